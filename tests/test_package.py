"""The package as an installed thing: what it imports, and what it says of itself."""

import ast
import importlib.metadata
import inspect
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

import keras
import pytest

import keras_gan as kg
import keras_gan_cli
from keras_gan.utils.optional import PACKAGES

ROOT = pathlib.Path(__file__).parents[1]
SCRIPT = """
import sys
import keras
before = set(sys.modules)
import keras_gan
print(*(set(sys.modules) - before))
"""


def test_import_does_not_load_optional_packages():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    roots = {module.partition(".")[0] for module in run.stdout.split()}
    extras = {"tensorflow_probability", "tensorflow_datasets", "keras_tuner", "tensorboard", "mlxtend"}
    assert not roots & (extras | {"matplotlib", "PIL", "scipy", "sklearn", "pandas"})
    assert "keras_gan" in roots


def python(code, **environment):
    """Run code in a fresh interpreter."""
    command, environment = [sys.executable, "-c", code], {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.tensorflow
def test_unsupported_backend_raises_with_advice():
    """Keras itself need not be able to load it: 'openvino', say."""
    run = python("import keras; keras.backend.backend = lambda: 'openvino'; import keras_gan")
    assert run.returncode == 1
    assert "Keras backends tensorflow, jax, torch. Received: 'openvino'" in run.stderr
    assert "environment variable KERAS_BACKEND" in run.stderr


@pytest.mark.jax
@pytest.mark.torch
def test_other_backends_do_not_require_tensorflow():
    backend = keras.backend.backend()
    code = "import sys, keras, keras_gan; print(keras.backend.backend(), 'tensorflow' in sys.modules)"
    run = python(code, KERAS_BACKEND=backend)
    assert run.stdout.split() == [backend, "False"], run.stderr


def test_version_is_defined_once():
    assert importlib.metadata.version("keras-gan") == kg.__version__


def test_requirements_are_loose_for_users_and_exact_for_developers():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dependencies"] == ["keras>=3.14", "tensorflow>=2.20", "numpy"]
    assert all("==" in requirement for requirement in project["dependency-groups"]["dev"])
    extras = project["project"]["optional-dependencies"]
    assert set(extras) == {"cli", "tfp", "datasets", "tuner", "plot", "demo", "serving", "jax", "torch"}


def test_packages_named_in_errors_are_in_the_extras():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {extra: [re.split("[<>=]", line)[0] for line in lines] for extra, lines in extras.items()}
    told = {name for line in PACKAGES.values() for name in shlex.split(line)}
    assert told <= {name for extra in names.values() for name in extra}
    command = re.search('pip install (.*)"', inspect.getsource(keras_gan_cli.main))[1]
    assert {"click", "mlxtend"} <= set(command.split()) <= set(names["cli"])


def test_public_names_exist():
    for name in kg.__all__:
        assert hasattr(kg, name)


@pytest.mark.parametrize("name", [name for name in dir(kg) if inspect.ismodule(getattr(kg, name))])
def test_completion_shows_only_public_names(name):
    module = getattr(kg, name)
    assert sorted(dir(module)) == sorted(module.__all__)
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    assert own <= set(module.__all__), "public, but not in `__all__`"
    assert all(hasattr(module, name) and not name.startswith("_") for name in module.__all__)


def test_completion_of_the_package():
    assert sorted(dir(kg)) == sorted({*kg.__all__, "tuner"})


def _is_for_type_checkers(node):
    return isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING"


def test_imports_follow_the_layers():
    """The levels of the layout: nothing imports what stands above it."""

    levels = [
        {"backend", "utils", "second_order"},
        {
            "losses",
            "priors",
            "layers",
            "metrics",
            "datasets",
            "initializers",
            "optimizers",
            "visualization",
            "interpolation",
        },
        {"masks", "terms", "updates", "architectures", "recipes"},
        {"models"},
        {"callbacks", "serving", "tuner"},
    ]
    rank = {name: level for level, names in enumerate(levels) for name in names}
    package = ROOT / "keras_gan"
    for path in package.rglob("*.py"):
        here = path.relative_to(package).with_suffix("").parts[0]
        if here == "__init__":
            continue
        tree = ast.parse(path.read_text())
        tree.body = [node for node in tree.body if not _is_for_type_checkers(node)]
        for node in ast.walk(tree):
            modules = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_gan"):
                own = node.module.split(".")[1:]
                modules = own[:1] or [alias.name for alias in node.names]
            for module in modules:
                assert rank[module] <= rank[here], f"{path.name} imports {module}"


MODULES = [p for p in (ROOT / "keras_gan").rglob("*.py") if p.parent.name != "backend"]


@pytest.mark.parametrize("path", sorted(MODULES), ids=lambda path: str(path.relative_to(ROOT)))
def test_all_lists_the_public_names_of_a_module(path):
    """Those that it defines; a package lists what it imports."""
    tree = ast.parse(path.read_text())
    assigned = [
        n
        for n in tree.body
        if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"
    ]
    listed = {name for node in assigned for name in ast.literal_eval(node.value)}
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    }
    assert defined <= listed, "public, but not in `__all__`"

"""Public functions and methods say of what types their arguments and results are."""

import ast
import pathlib

import pytest

import keras_gan as kg

pytestmark = pytest.mark.tensorflow
PACKAGE = pathlib.Path(kg.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def public_functions(body, prefix=""):
    """Yield name and definition of each public function and method, with `__init__` and `__call__`."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and (
            not node.name.startswith("_") or node.name in ("__init__", "__call__")
        ):
            yield prefix + node.name, node


def untyped(function):
    """Yield what a definition leaves open."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    yield from (a.arg for a in named if a.annotation is None and a.arg not in ("self", "cls"))
    if function.returns is None:
        yield "return"


@pytest.mark.parametrize("module", MODULES)
def test_public_functions_have_types(module):
    tree = ast.parse((PACKAGE / module).read_text())
    found = {name: list(untyped(function)) for name, function in public_functions(tree.body)}
    assert not {name: left for name, left in found.items() if left}


def test_the_package_says_that_it_has_types():
    assert (PACKAGE / "py.typed").exists()
    assert len(MODULES) > 50

"""Public functions and methods say of what types their arguments and results are."""

import ast
import importlib
import inspect
import pathlib
import typing

import pytest

import keras_gan as kg

pytestmark = pytest.mark.tensorflow
PACKAGE = pathlib.Path(kg.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def public_functions(body, prefix=""):
    """Yield name and definition of each public function and method, with `__init__` and `__call__`."""
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    # What a private class has, the public classes made of it have too.
    inherited = {ast.unparse(base) for node in classes for base in node.bases}
    for node in body:
        if node in classes and (not node.name.startswith("_") or node.name in inherited):
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


# Those of `backend` are each of one backend.
@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("backend/")])
def test_types_resolve(module):
    """By the reference of the API, and whoever else asks at run time."""
    name = f"keras_gan/{module}".replace("/", ".").removesuffix(".py").removesuffix(".__init__")
    values = vars(importlib.import_module(name)).values()
    own = [value for value in values if getattr(value, "__module__", None) == name]
    classes = list(filter(inspect.isclass, own))
    members = [member for value in classes for member in vars(value).values()]
    for annotated in [*classes, *filter(inspect.isfunction, [*own, *members])]:
        typing.get_type_hints(annotated)


def test_unknown_names_do_not_resolve():
    """A `__getattr__` that type checkers see lets them find any name."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert "__getattr__" not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").exists()
    assert len(MODULES) > 50

"""The commands that pages and headers name are commands that the examples take."""

import importlib
import pathlib
import re
import shlex

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "saved_models" / "README.md",
    *sorted((ROOT / "examples").glob("*.py")),
]


def commands():
    """Yield the example and the arguments of every command that stands in a page or a header."""
    for page in PAGES:
        text = page.read_text().replace("\\\\\n", " ").replace("\\\n", " ")
        for name, rest in re.findall(r"python examples/(\w+)\.py([^`\n#|]*)", text):
            yield pytest.param(name, shlex.split(rest), id=f"{page.stem}: {name}{rest.rstrip()}")


@pytest.mark.parametrize(("name", "argv"), list(commands()))
def test_a_named_command_is_understood(name, argv, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    importlib.import_module(name).arguments(argv)


def test_there_are_commands():
    assert len(list(commands())) > 12

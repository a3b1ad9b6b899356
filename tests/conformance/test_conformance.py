"""Every public object keeps what all promise, on the backend at hand: one row each in `table.py`."""

import inspect
import re

import pytest
from table import ROWS
from test_docstrings import public_objects

OBJECTS = dict(public_objects())
# Searches and an export, which take seconds in each check.
LONG = ("export_savedmodel", "tuner.GANHyperModel", "tuner.trials_table")
everywhere = [pytest.mark.slow, pytest.mark.tensorflow, pytest.mark.jax, pytest.mark.torch]
CHECKED = [pytest.param(name, marks=everywhere) if name in LONG else name for name in ROWS]


def unlisted(objects, rows):
    """Return the public names without a row; an object that has several needs one."""
    listed = {id(value) for name, value in objects.items() if name in rows}
    return [name for name, value in objects.items() if id(value) not in listed]


def flaws(docstring, value):
    """Return what a public docstring lacks."""
    lines = docstring.splitlines()
    # A full stop ends the sentence, but for those of "et al." and within numbers and names.
    sentences = re.split(r"(?<!et al)\.(?=\s|$)", lines[0]) if lines else [""]
    if len(sentences) != 2 or sentences[1] or lines[1:2] not in ([], [""]):
        yield "a first line that is one sentence, and a blank line after it"
    parts = re.split(r"^(\w+):$", docstring, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    documented = re.findall(r"^    \**(\w+):", sections.get("Args", ""), re.MULTILINE)
    for name in inspect.signature(value).parameters:
        # A record's fields are the attributes that it has.
        if name not in documented and f" {name}:" not in sections.get("Attributes", ""):
            yield f"the argument `{name}` under `Args:`"
    if ">>> " not in sections.get("Example", ""):
        yield "an `Example:` with a line that runs"


def test_every_public_object_has_a_row():
    missing = unlisted(OBJECTS, ROWS)
    assert not missing, f"Public, but without a row in tests/conformance/table.py: {missing}"
    surplus = ROWS.keys() - OBJECTS.keys()
    assert not surplus, f"Rows of tests/conformance/table.py of what is not public: {surplus}"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")


@pytest.mark.parametrize("name", [name for name in ROWS if inspect.isclass(OBJECTS.get(name))])
def test_each_row_makes_its_object(name):
    made = ROWS[name].example()
    assert made is None or isinstance(made, OBJECTS[name]), f"The row makes a {type(made).__name__}."


@pytest.mark.parametrize("name", CHECKED)
def test_config_round_trip(name):
    ROWS[name].check_config()


@pytest.mark.parametrize("name", CHECKED)
def test_file_round_trip(name, tmp_path):
    folder = tmp_path / "file"
    folder.mkdir()
    ROWS[name].check_file(folder)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("name", CHECKED)
def test_works_under_each_precision_policy(name, policy):
    ROWS[name].check_precision(policy)


@pytest.mark.parametrize("name", ROWS)
def test_docstring_is_complete(name):
    lacking = list(flaws(inspect.getdoc(OBJECTS[name]) or "", OBJECTS[name]))
    assert not lacking, f"The docstring of {name} lacks {lacking}."

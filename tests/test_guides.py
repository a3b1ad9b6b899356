"""The guides: their programs run, from top to bottom, and their commands are understood."""

import json
import pathlib
import re
import shlex

import click
import matplotlib.pyplot
import pytest

from keras_gan_cli import commands

# The programs of the README run on every backend; these are of the same parts.
pytestmark = pytest.mark.tensorflow
DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = ["first-gan", "own-networks", "variants", "stability", "evaluation", "tuning", "migrating"]
# What a page leaves, in the folder that it is run in.
LEFT = {
    "first-gan": ["run/samples/epoch-0001.png", "run/curves.png", "run/digits.keras", "run/new.png"],
    "evaluation": ["best.keras"],
}


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_programs_of_a_guide_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved_models").symlink_to(DOCS.parent / "saved_models")
    cut = {r"epochs=\d+": "epochs=1", r"every=5": "every=1", r"max_trials=3": "max_trials=2"}
    program = "\n".join(blocks(page))
    for pattern, replacement in cut.items():
        program = re.sub(pattern, replacement, program)
    names = {}
    exec(program, names)
    assert names["gan" if page != "tuning" else "best"].generate(2, seed=0, **condition(names)).ndim > 1
    for file in LEFT.get(page, []):
        assert (tmp_path / file).stat().st_size > 1000, file


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(matplotlib.pyplot, "show", lambda: matplotlib.pyplot.close("all"))
    cells = json.loads((DOCS / "first_gan.ipynb").read_text())["cells"]
    program = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    exec(re.sub(r"EPOCHS = \d+", "EPOCHS = 1", program), {})
    assert (tmp_path / "notebook" / "digits.keras").exists()
    assert "500 real, 500 fake" in capsys.readouterr().out


def condition(names):
    return {"condition": 1} if "gan" in names and names["gan"].conditional else {}


def test_commands_of_guides_parse():
    text = "\n".join(path.read_text() for path in [*DOCS.glob("*.md"), DOCS.parent / "README.md"])
    found = re.findall(r"(?:^    |`)keras-gan (\w+) ([^`\n#]+)", text, flags=re.MULTILINE)
    assert len(found) > 6
    for name, rest in found:
        command = commands.keras_gan.commands[name]
        arguments = [] if rest.strip() == "--help" else shlex.split(rest)
        with click.Context(command) as context:
            command.parse_args(context, arguments or ["x"])

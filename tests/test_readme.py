"""The README's programs run, and the links and commands of all pages exist."""

import pathlib
import re

import keras
import PIL.Image
import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "saved_models/*.md", ".github/*.md")
    for path in ROOT.glob(pattern)
)
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_programs_of_the_readme_run(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    names = {}
    exec(re.sub("epochs=[0-9]+", "epochs=1", PROGRAMS[number]), names)
    LEFT[number](names)


def trained(names):
    """The ten lines leave samples, a model that draws them again, and a run that can be resumed."""
    assert names["images"].shape == (64, 28, 28, 1)
    assert pathlib.Path("samples/epoch-0001.png").is_file()
    assert pathlib.Path("run/epoch-0001").is_dir()
    loaded = keras.models.load_model("digits.keras")
    assert (loaded.generate(64, seed=1, use_ema=True) == names["images"]).all()


def drawn(names):
    with PIL.Image.open("digits.png") as image:
        assert image.size == (466, 466)


def learned(names):
    """The critic's steps are five times the generator's, and samples are of the data's shape."""
    assert names["gan"].generate(3, seed=0).shape == (3, 2)
    assert int(names["gan"].d_optimizer.iterations) == 5 * int(names["gan"].g_optimizer.iterations) > 0


LEFT = [trained, drawn, learned]


def test_readme_has_programs_and_at_most_150_lines():
    assert len(PROGRAMS) == len(LEFT)
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_exist(page):
    text = (ROOT / page).read_text()
    targets = re.findall(r"\]\((?!https?://)([^)#]+)\)", text)
    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]
    assert not missing


# The changelog names targets of earlier versions too.
@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_commands_are_targets_of_the_makefile(page):
    text = (ROOT / page).read_text()
    commands = set(re.findall(r"(?:`|    )make ([a-z]+(?:-[a-z]+)*)", text))
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert commands <= {*phony.split(), "test-slow-tensorflow", "test-slow-jax", "test-slow-torch"}
    assert page != "README.md" or {"demo", "test"} <= commands

"""What the README and its sister pages say is there, is there; its programs run."""

import pathlib
import re

import keras
import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/comparison.md",
    "docs/design.md",
    "docs/evaluation.md",
    "docs/first-gan.md",
    "docs/migrating.md",
    "docs/monitoring.md",
    "docs/scaling.md",
    "docs/serving.md",
    "docs/own-networks.md",
    "docs/speed.md",
    "docs/stability.md",
    "docs/tuning.md",
    "saved_models/README.md",
]
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


TENSORFLOW = keras.backend.backend() == "tensorflow"


def marks(number):
    """The search and the training take longest; elsewhere two programs do for the quick suite."""
    if "tuner.search" in PROGRAMS[number]:
        return [pytest.mark.slow]
    waits = number > 1 and (number == 2 or not TENSORFLOW)
    backends = [pytest.mark.tensorflow, pytest.mark.jax, pytest.mark.torch]
    return [pytest.mark.slow, *backends] if waits else []


@pytest.mark.parametrize(
    "number", [pytest.param(number, marks=marks(number)) for number in range(len(PROGRAMS))]
)
def test_programs_of_the_readme_run(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    names = {}
    exec(re.sub("epochs=[0-9]+", "epochs=1", PROGRAMS[number]), names)
    if "images" in names:
        assert names["images"].shape == (64, 28, 28, 1)
        assert (tmp_path / "samples" / "epoch-0001.png").is_file()
        loaded = keras.models.load_model(tmp_path / "digits.keras")
        assert (loaded.generate(64, seed=1) == names["images"]).all()
    if "folder" in names:
        assert (names["folder"] / "saved_model.pb").is_file()
        assert names["digits"].shape == (64, 28, 28, 1)
    if (tmp_path / "digits.png").exists():
        import PIL.Image

        with PIL.Image.open(tmp_path / "digits.png") as picture:
            assert picture.size == (466, 466)
    if "tuner" in names:
        assert names["best"].generate(2, seed=1).shape == (2, 28, 28, 1)
        assert capsys.readouterr().out.count("| completed |") == 2
    if "scores" in names:
        gan = keras.models.load_model(tmp_path / "best.keras")
        assert gan.generate(3, seed=1, use_ema=True).shape == (3, 28, 28, 1)
        printed = capsys.readouterr().out
        assert re.search(r"nats \(σ = \S+, 1000 samples, 500 test images\)", printed)
        assert (
            "500 real of 500 digits of mnist5k, 1000 fake; digit classifier, weights e5f7d8" in printed
        )


def test_the_readme_has_programs():
    assert len(PROGRAMS) == 7


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_somewhere(page):
    text = (ROOT / page).read_text()
    targets = re.findall(r"\]\((?!https?://)([^)#]+)\)", text)
    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]
    assert not missing


def test_commands_of_the_readme_are_targets_of_the_makefile():
    commands = set(re.findall(r"(?:`|    )make ([a-z]+)\b", (ROOT / "README.md").read_text()))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"demo", "test"} <= commands <= targets

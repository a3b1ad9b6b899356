"""What is published: a wheel of the package alone, an archive of all that tests look at, a reference."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest
from test_docstrings import OBJECTS

import keras_gan as kg

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a wheel and a source archive."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_the_wheel_is_the_package_alone(built):
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < 300_000
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
        scripts = archive.read(
            next(name for name in names if name.endswith("/entry_points.txt"))
        ).decode()
    assert {"keras_gan/py.typed", "keras_gan/models/gan.py", "keras_gan_cli/commands.py"} <= names
    roots = {name.partition("/")[0] for name in names}
    assert roots == {"keras_gan", "keras_gan_cli", f"keras_gan-{kg.__version__}.dist-info"}
    endings = {pathlib.Path(name).suffix for name in names if "dist-info" not in name}
    assert endings == {".py", ".typed"}
    assert f"\nVersion: {kg.__version__}\n" in metadata
    assert "keras-gan = keras_gan_cli:main" in scripts


def test_the_source_archive_holds_what_tests_look_at(built):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    missing = {name for name in tracked if not name.startswith(".") and name not in names}
    assert not missing
    assert {"tests/conftest.py", "docs/design.md", "Makefile", "saved_models/digits.keras"} <= names


def test_the_version_stands_in_one_place():
    assert importlib.metadata.version("keras-gan") == kg.__version__
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)[1] == kg.__version__
    assert not re.search(r"^version", (ROOT / "pyproject.toml").read_text(), re.M)


def test_the_reference_has_every_public_object(tmp_path):
    command = [sys.executable, "-m", "pdoc", "--docformat", "google", "--output-directory", tmp_path]
    subprocess.run([*command, "keras_gan", "keras_gan.tuner"], check=True, capture_output=True)
    pages = {
        str(path.relative_to(tmp_path).with_suffix("")).replace("/", "."): path.read_text()
        for path in tmp_path.rglob("*.html")
    }
    for name, value in OBJECTS.items():
        module, _, member = f"keras_gan.{name}".rpartition(".")
        if value.__module__.startswith(module):  # and is not merely imported there
            assert f'id="{member}"' in pages[module], name

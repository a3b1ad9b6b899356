"""What is published: a wheel, a source archive, and a site."""

import email
import importlib.metadata
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest
from sphinx.util.inventory import InventoryFile
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
    assert wheel.stat().st_size < 2_000_000
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
        scripts = archive.read(
            next(name for name in names if name.endswith("/entry_points.txt"))
        ).decode()
    assert {"keras_gan/py.typed", "keras_gan/models/gan.py", "keras_gan_cli/commands.py"} <= names
    roots = {name.partition("/")[0] for name in names}
    assert roots == {"keras_gan", "keras_gan_cli", f"keras_gan-{kg.__version__}.dist-info"}
    models = {f"keras_gan/saved_models/{path.name}" for path in (ROOT / "saved_models").iterdir()}
    assert {"keras_gan/saved_models/digits.keras", "keras_gan/saved_models/digits.md"} <= models <= names
    endings = {pathlib.Path(name).suffix for name in names - models if "dist-info" not in name}
    assert endings == {".py", ".typed"}
    assert f"\nVersion: {kg.__version__}\n" in metadata
    assert "keras-gan = keras_gan_cli:main" in scripts


def test_source_archive_contains_all_tracked_files(built):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    missing = {name for name in tracked if not name.startswith(".") and name not in names}
    assert not missing
    assert {"tests/conftest.py", "docs/design.md", "Makefile", "saved_models/digits.keras"} <= names


def test_version_is_defined_in_one_place():
    assert importlib.metadata.version("keras-gan") == kg.__version__
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)[1] == kg.__version__
    assert not re.search(r"^version", (ROOT / "pyproject.toml").read_text(), re.M)


def test_metadata_pass_the_checks_of_pypi(built):
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir())]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("PASSED") == 2


def test_the_metadata_describe_the_package(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL"))
    assert set(urls) == {"Source", "Documentation", "Issues", "Changelog"}
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    readme = metadata.get_payload()
    targets = re.findall(r"\]\(([^)]+)\)", readme)
    assert len(targets) > 20
    assert not [target for target in targets if not target.startswith("https://")]
    image = urls["Source"].replace("github.com", "raw.githubusercontent.com")
    assert f"]({image}/main/docs/pictures/digits.png)" in readme


def test_the_site_has_every_public_object(tmp_path):
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--quiet"]
    run = subprocess.run(
        [*command, ROOT / "docs", tmp_path / "site", "--doctree-dir", tmp_path / "doctrees"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    inventory = InventoryFile.loads((tmp_path / "site" / "objects.inv").read_bytes(), uri="")
    names = {name for kind in ("py:class", "py:function") for name in inventory.data[kind]}
    # Classes of a module that stand in another one too are found where they are defined.
    missing = {
        name
        for name, value in OBJECTS.items()
        if not {f"keras_gan.{name}", f"{value.__module__}.{value.__qualname__}"} & names
    }
    assert not missing
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in (tmp_path / "site").glob("*.html")}

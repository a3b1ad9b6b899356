"""`from_preset`: models that come with the package, of folders, and of Hugging Face; and their cards."""

import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from helpers.games import mlp

import keras_gan as kg
from keras_gan.utils.presets import presets

ROOT = pathlib.Path(__file__).parents[1]
MODELS = ROOT / "saved_models"


def small():
    return kg.GAN(mlp(4, 2), mlp(2, 1), prior="normal", seed=0)


def test_digits_are_included():
    """The file has the training of its card behind it: digits of ten classes, as a classifier says."""
    gan = kg.GAN.from_preset("digits")
    expected = keras.models.load_model(MODELS / "digits.keras")
    images = gan.generate(200, seed=1)
    np.testing.assert_array_equal(images, expected.generate(200, seed=1))
    probabilities = keras.models.load_model(MODELS / "digit_classifier.keras").predict(images, verbose=0)
    assert len(set(probabilities.argmax(axis=1))) == 10


@pytest.mark.parametrize("where", ["file", "folder of Keras", "folder with one file"])
def test_custom_models(where, tmp_path):
    gan = small()
    path = tmp_path / ("gan.keras" if where == "file" else "models")
    if where == "folder of Keras":
        gan.save(path, zipped=False)
    else:
        gan.save(path if where == "file" else path / "best.keras")
    loaded = kg.GAN.from_preset(path)
    np.testing.assert_array_equal(loaded.generate(3, seed=1), gan.generate(3, seed=1))


@keras.saving.register_keras_serializable(package="presets")
class Other(kg.GAN):
    """A class of one's own."""


def test_class_must_match_the_file(tmp_path):
    Other(mlp(4, 2), mlp(2, 1), seed=0).save(tmp_path / "other.keras")
    assert type(kg.GAN.from_preset(tmp_path / "other.keras")) is Other
    with pytest.raises(ValueError, match="'digits' must be a `Other`. Received a `GAN`"):
        Other.from_preset("digits")
    with pytest.raises(ValueError, match="must be a `GAN`. Received a `Functional`"):
        kg.GAN.from_preset("digit_classifier")


@pytest.mark.parametrize(
    ("preset", "error", "message"),
    [
        ("digit", ValueError, "Unknown preset 'digit'. Did you mean 'digits'"),
        ("faces", ValueError, "Known: 'digit_classifier', 'digits'"),
        ("", ValueError, "Unknown preset ''"),
        (7, TypeError, "`preset` must be a name, a path, or an address .* Received: 7 of type int"),
        ("models/none.keras", FileNotFoundError, "There is no model at 'models/none.keras'"),
        (__file__, ValueError, "`preset` must be the path of a `.keras` file.*test_presets.py'"),
        ("none.keras", FileNotFoundError, "There is no model at 'none.keras'"),
        ("empty", ValueError, "'empty' must hold one `.keras` file.* Received `.keras` files: none"),
        ("two", ValueError, "Received `.keras` files: a.keras, b.keras"),
    ],
)
def test_unknown_presets(preset, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        (tmp_path / "two" / f"{name}.keras").touch()
    with pytest.raises(error, match=message):
        kg.GAN.from_preset(preset)


# Hugging Face, as its client knows it: a server on this machine that holds one repository.
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def answer(folder, path):
    """Return status, headers and content of a request to the hub."""
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    if path.startswith("/api/models/user/points/tree/"):
        entries = [
            {"type": "file", "path": n, "size": (folder / n).stat().st_size, "oid": n} for n in names
        ]
        return 200, {}, json.dumps(entries).encode()
    if path.startswith("/api/models/user/points"):
        info = {"id": "user/points", "sha": COMMIT, "siblings": [{"rfilename": n} for n in names]}
        return 200, {}, json.dumps(info).encode()
    name = path.rpartition("/")[2].partition("?")[0]
    if path.startswith("/user/points/resolve/") and name in names:
        content = (folder / name).read_bytes()
        tag = hashlib.sha256(content).hexdigest()
        return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{tag}"'}, content
    return 404, {"X-Error-Code": "RepoNotFound"}, b""


@contextlib.contextmanager
def hub(folder):
    """Yield the address of a hub with the repository `user/points`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, content = answer(folder, self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def load_from_hub(preset, cache, **environment):
    """Draw from a preset in a process of its own: the client reads its settings when it is imported."""
    code = (
        "import sys, numpy, keras_gan as kg\n"
        f"gan = kg.GAN.from_preset({preset!r})\n"
        "numpy.save('samples.npy', gan.generate(3, seed=1))\n"
    )
    settings = {"HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cache, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **settings},
    )  # fmt: skip


@pytest.mark.slow
def test_a_repository_of_hugging_face(tmp_path):
    """What Keras uploads, downloaded once, and then without a connection."""
    gan = small()
    gan.save(tmp_path / "repository", zipped=False)
    (tmp_path / "repository" / "README.md").write_text("---\nlibrary_name: keras\n---\n")
    cache = tmp_path / "cache"
    cache.mkdir()
    with hub(tmp_path / "repository") as address:
        run = load_from_hub("hf://user/points", cache, HF_ENDPOINT=address)
        missing = load_from_hub("hf://user/lines", cache, HF_ENDPOINT=address)
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(np.load(cache / "samples.npy"), gan.generate(3, seed=1))
    assert "RepositoryNotFoundError" in missing.stderr
    message = "OSError: `preset`: 'hf://user/lines' could not be loaded from Hugging Face"
    assert message in missing.stderr
    (cache / "samples.npy").unlink()
    run = load_from_hub("hf://user/points", cache, HF_HUB_OFFLINE="1")
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(np.load(cache / "samples.npy"), gan.generate(3, seed=1))


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "bad.keras").write_bytes(b"abc")
    with pytest.raises(ValueError, match="`preset`: '.*bad.keras' is damaged, or not a file"):
        kg.GAN.from_preset(tmp_path / "bad.keras")


# The cards.


def card(name):
    """Return the header of a model card as Hugging Face reads it, and its text."""
    from huggingface_hub import ModelCard

    loaded = ModelCard.load(MODELS / f"{name}.md", ignore_metadata_errors=False)
    return loaded.data, loaded.text


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", sorted(presets()))
def test_each_model_has_a_card(name):
    data, text = card(name)
    assert (data.license, data.library_name) == ("apache-2.0", "keras")
    assert data.datasets == ["ylecun/mnist"]
    (result,) = data.eval_results
    assert result.dataset_type == "ylecun/mnist"
    assert re.search(rf"{result.metric_value:.5g}\b", text)
    for title in ("Use", "Training", "Evaluation", "Limits", "License"):
        assert f"\n## {title}\n" in text
    digest = hashlib.sha256((MODELS / f"{name}.keras").read_bytes()).hexdigest()
    assert digest in text
    model = keras.models.load_model(MODELS / f"{name}.keras")
    network = model.generator if name == "digits" else model
    assert f"{network.count_params():,}" in text


@pytest.mark.tensorflow
def test_programs_of_the_cards_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved_models").symlink_to(MODELS)
    for name in presets():
        for program in re.findall(r"```python\n(.*?)```", card(name)[1], flags=re.DOTALL):
            exec(program, {})
    assert (tmp_path / "digits.png").stat().st_size > 1000

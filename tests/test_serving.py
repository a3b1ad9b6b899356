"""What docs/serving.md says, as it is pasted: programs, commands, requests to a server."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import PIL.Image
import pytest
from helpers.stand_in import StandIn

import keras_gan as kg
from keras_gan.utils.optional import tensorflow

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "serving.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [text for language, text in BLOCKS if language == "sh"]
CONFIG = next(text for _, text in BLOCKS if text.startswith("model_config_list"))
GRPC_CLIENT = next(text for text in PYTHON if "grpc" in text)
CURLS = [text for text in SHELL if "curl" in text]
NO_SERVER = (
    "tensorflow_model_server is not on the PATH: Google publishes it as a Docker image and a Debian "
    "package of its own archive alone. The stand-in answers the same requests."
)


# A SavedModel is the same whatever backend exported it (`test_export`): one serves.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `models/digits/1` and `2`, made by the page's first program."""
    folder = tmp_path_factory.mktemp("serving")
    (folder / "saved_models").symlink_to(ROOT / "saved_models")
    with contextlib.chdir(folder):
        exec(PYTHON[0], {})
    return folder


@contextlib.contextmanager
def model_server(folder):
    """`tensorflow_model_server` with the page's model config."""
    ports = [free_port(), free_port()]
    config = folder / "models.config"
    config.write_text(CONFIG.replace("/models/", f"{folder}/models/"))
    log = folder / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [
                "tensorflow_model_server",
                f"--port={ports[0]}",
                f"--rest_api_port={ports[1]}",
                f"--model_config_file={config}",
                "--allow_version_labels_for_unavailable_models=true",
            ],
            stdout=out,
            stderr=out,
        )
    try:
        for _ in range(120):
            if "Exporting HTTP/REST API" in log.read_text():
                break
            time.sleep(0.5)
        yield type("Ports", (), {"grpc": ports[0], "rest": ports[1]})
    finally:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


missing = shutil.which("tensorflow_model_server") is None


@pytest.fixture(
    scope="module",
    params=[
        "stand-in",
        pytest.param("tensorflow_model_server", marks=pytest.mark.skipif(missing, reason=NO_SERVER)),
    ],
)
def server(request, folder):
    labels = dict(re.findall(r'version_labels { key: "(\w+)" value: (\d+) }', CONFIG))
    assert labels == {"stable": "1", "canary": "2"}
    versions = re.findall(r"versions: (\d+)", CONFIG)
    stand_in = request.param == "stand-in"
    models = folder / "models" / "digits"
    with StandIn(models, map(int, versions), labels) if stand_in else model_server(folder) as running:
        yield running


def pasted(command, folder, server=None):
    if server is not None:
        command = command.replace(":8501", f":{server.rest}")
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


@pytest.fixture(scope="module")
def expected(folder):
    """What the model draws, by the seed of the page's requests."""
    sample = tensorflow().saved_model.load(str(folder / "models" / "digits" / "1")).signatures["sample"]
    tf = tensorflow()
    drawn = sample(number=tf.constant(4, tf.int64), seed=tf.constant(7, tf.int64))["samples"].numpy()
    gan = keras.models.load_model(ROOT / "saved_models" / "digits.keras")
    if keras.backend.backend() == "tensorflow":
        np.testing.assert_allclose(drawn, gan.generate(4, seed=7), atol=1e-5)
    return drawn


def test_images_over_rest(server, folder, expected):
    four, one, rows = [pasted(command, folder, server) for command in CURLS]
    for run in (four, one, rows):
        assert run.returncode == 0, run.stderr
    answer = json.loads(four.stdout)
    assert len(answer["outputs"]["png_bytes"]) == 4
    assert answer["outputs"]["png_bytes"][0]["b64"].startswith("iVBORw0K")
    levels = kg.visualization.to_uint8(expected, (0, 1)).astype(int)
    with PIL.Image.open(folder / "digit.png") as picture:
        assert abs(np.asarray(picture).astype(int) - levels[0, ..., 0]).max() <= 1
    predictions = np.array(json.loads(rows.stdout)["predictions"])
    assert predictions.shape == (1, 28, 28, 1)
    assert predictions.max() > 100


def test_too_many_samples_over_rest(server, folder):
    run = pasted(CURLS[0].replace('"number": 4', '"number": 4000'), folder, server)
    assert "expected from 1 to 1000 samples" in run.stdout


def test_samples_over_grpc(server, folder, expected):
    names = {}
    exec(GRPC_CLIENT.replace(":8500", f":{server.grpc}"), names)
    names["channel"].close()
    np.testing.assert_allclose(names["images"], expected, atol=1e-5)


def test_programs_and_commands_of_the_page(folder, expected, monkeypatch):
    monkeypatch.chdir(folder)
    load, formats, ema, quantization = [text for text in PYTHON[1:] if text != GRPC_CLIENT]
    names = {}
    exec(load, names)
    np.testing.assert_allclose(names["images"], expected, atol=1e-5)
    exec(formats, names)
    # `test_exporting` runs such files.
    assert all(pathlib.Path(f"generator{ending}").exists() for ending in ("", ".onnx", ".tflite"))
    exec(ema, names)
    gan, loaded = names["gan"], keras.models.load_model("ema.keras")
    latents = np.array(gan.prior.sample(3, 1))
    want = gan.generate(latents=latents, use_ema=True)
    np.testing.assert_allclose(loaded.predict(latents, verbose=0), want, atol=1e-5)
    exec(quantization, names)
    gan, loaded = names["gan"], kg.GAN.from_preset("int8.keras")
    latents = np.array(gan.prior.sample(3, 1))
    np.testing.assert_array_equal(loaded.generate(latents=latents), gan.generate(latents=latents))
    for command in SHELL:
        if "saved_model_cli" in command:
            run = pasted(command, folder)
            assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(np.load("samples/samples.npy"), expected, atol=1e-5)


def test_compose_file_mounts_the_configured_models():
    compose = next(text for language, text in BLOCKS if language == "yaml")
    assert "./models:/models:ro" in compose
    assert "--model_config_file=/models/models.config" in compose
    assert 'base_path: "/models/digits"' in CONFIG

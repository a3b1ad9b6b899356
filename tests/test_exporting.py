"""`gan.export`: each format, run by its own runtime, gives what `generate` gives."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import variants
from helpers.games import mlp

import keras_gan as kg
from keras_gan.utils.optional import tensorflow

NEAR = {"rtol": 0, "atol": 2e-6}


def run_savedmodel(path, inputs):
    loaded = tensorflow().saved_model.load(str(path))
    outputs = loaded.signatures["serving_default"](**inputs)
    return {name: value.numpy() for name, value in outputs.items()}


def run_onnx(path, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    assert {part.name for part in session.get_inputs()} == set(inputs)
    names = [part.name for part in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def run_litert(path, inputs):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path)).get_signature_runner("serving_default")(**inputs)


def run_openvino(path, inputs):
    import openvino

    # Processors with bfloat16 would compute in it by default.
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(path), "CPU", precision)
    return {name: model(inputs)[port] for port in model.outputs for name in port.names}


FORMATS = {
    "tf_saved_model": ("generator", run_savedmodel),
    "onnx": ("generator.onnx", run_onnx),
    "litert": ("generator.tflite", run_litert),
}
# A large package, which sends usage statistics when it is imported: tested where it is installed.
if importlib.util.find_spec("openvino"):
    FORMATS["openvino"] = ("generator.xml", run_openvino)


class Shifted(kg.GAN):
    """Samples that the generator alone does not return."""

    def generate_batch(self, latents, condition=None, training=False):
        return 2.0 * super().generate_batch(latents, condition, training) - 1.0


def shifted():
    return Shifted(variants.generator(), variants.discriminator(), prior="normal", seed=0)


def structured():
    latents, image, mask = variants.latents(), variants.image("image"), keras.Input((2,), name="mask")
    hidden = keras.layers.Dense(16)(latents)
    parts = {"image": keras.layers.Reshape((4, 4, 1))(hidden), "mask": keras.layers.Dense(2)(hidden)}
    judge = variants.made({"image": image, "mask": mask}, (1,), "d")
    return kg.GAN(keras.Model(latents, parts), judge, prior="normal", seed=0)


# The GAN, the inputs of its file by name, of four rows each, and the condition for `generate`.
ROWS = variants.rows(4)
LATENTS = {"latents": np.random.default_rng(3).normal(size=(4, 4)).astype("float32")}
PAIR = {"label": ROWS["label"], "angle": ROWS["angle"]}
GAMES = {
    "shifted": (shifted, LATENTS, None),
    "structured": (structured, LATENTS, None),
    "label": (lambda: variants.game("heads"), {**LATENTS, "condition": ROWS["label"]}, ROWS["label"]),
    "named": (lambda: variants.game("named"), {**LATENTS, **PAIR}, PAIR),
    "no latents": (lambda: variants.game("four"), {"condition": ROWS["other"]}, ROWS["other"]),
}


def generate(gan, inputs, condition, **options):
    """Return what `generate` makes of the inputs, by the names of the file's outputs."""
    latents = {"latents": inputs["latents"]} if "latents" in inputs else {"n": 4}
    samples = gan.generate(**latents, condition=condition, **options)
    if isinstance(samples, dict):
        return {f"samples_{key}": value for key, value in samples.items()}
    return {"samples": samples}


def compare(received, expected):
    for name, samples in expected.items():
        assert received[name].dtype == np.float32
        np.testing.assert_allclose(received[name], samples, **NEAR)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("form", FORMATS)
def test_exported_files_match_generate(form, name, tmp_path):
    make, inputs, condition = GAMES[name]
    (file, run), gan = FORMATS[form], make()
    gan.export(tmp_path / file, format=form, verbose=False)
    compare(run(tmp_path / file, inputs), generate(gan, inputs, condition))
    weights = ["generator.bin"] if form == "openvino" else []
    assert sorted(os.listdir(tmp_path)) == sorted([file, *weights])


@pytest.mark.slow
@pytest.mark.jax
@pytest.mark.torch
# The statistics of OpenVINO are sent by a process that is forked, which JAX warns of.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("form", FORMATS)
def test_other_backends_write_the_same_files(form, tmp_path):
    make, inputs, condition = GAMES["named"]
    (file, run), gan = FORMATS[form], make()
    gan.export(tmp_path / file, format=form)
    compare(run(tmp_path / file, inputs), generate(gan, inputs, condition))


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["onnx", "tf_saved_model"])
def test_use_ema_exports_the_ema(form, tmp_path):
    gan = variants.game("team")
    gan.fit(**variants.data("team"), batch_size=20, epochs=1, verbose=0)
    before = gan.get_weights()
    file, run = FORMATS[form]
    gan.export(tmp_path / file, format=form, use_ema=True)
    expected = generate(gan, LATENTS, None, use_ema=True)
    compare(run(tmp_path / file, LATENTS), expected)
    assert abs(expected["samples"] - gan.generate(latents=LATENTS["latents"])).max() > 1e-4
    for weight, value in zip(gan.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.tensorflow
def test_options_are_passed_to_keras(tmp_path):
    import onnx

    gan = shifted()
    gan.export(tmp_path / "g.onnx", "onnx", opset_version=13)
    assert onnx.load(tmp_path / "g.onnx").opset_import[0].version == 13
    optimize = [tensorflow().lite.Optimize.DEFAULT]
    large = kg.GAN.from_preset("digits")
    large.export(tmp_path / "large", "litert")
    large.export(tmp_path / "small", "litert", optimizations=optimize)
    sizes = [(tmp_path / name).stat().st_size for name in ("large", "small")]
    assert sizes[1] < 0.4 * sizes[0]


@pytest.mark.tensorflow
def test_lookup_tables_are_exported(tmp_path):
    def network(inputs, outputs):
        data, code = keras.Input((inputs,)), keras.Input((), dtype="int64")
        known = keras.layers.IntegerLookup(vocabulary=[3, 7, 9], output_mode="one_hot")(code)
        joined = keras.layers.Concatenate()([data, known])
        return keras.Model([data, code], keras.layers.Dense(outputs)(joined))

    gan = kg.GAN(network(4, 2), network(2, 1), prior="normal", seed=0)
    condition = np.array([3, 9, 7, 1])
    inputs = {**LATENTS, "condition": condition}
    gan.export(tmp_path / "g")
    compare(run_savedmodel(tmp_path / "g", inputs), generate(gan, inputs, condition))
    with pytest.raises(ValueError, match="could not be written in the format ONNX.*Lookup"):
        gan.export(tmp_path / "g.onnx", format="onnx")
    assert os.listdir(tmp_path) == ["g"]


@pytest.mark.tensorflow
def test_weights_are_written_once(tmp_path):
    gan = kg.GAN.from_preset("digits")
    gan.export(tmp_path / "g")
    weights = 4 * gan.generator.count_params()
    (file,) = (tmp_path / "g" / "variables").glob("*.data-*")
    assert weights <= file.stat().st_size < 1.01 * weights


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"filepath": 3}, TypeError, "`filepath` must be a path: .*Received: 3 of type int"),
        ({"filepath": ""}, ValueError, "`filepath` must be the path of a file or folder"),
        ({"filepath": "gs://bucket/g"}, ValueError, "Write it locally, and copy it"),
        ({"format": "onxx"}, ValueError, "`format` must be one of 'tf_saved_model', 'onnx'"),
        ({"format": "torch"}, ValueError, "`gan.generator.export`"),
        ({"format": None}, TypeError, "`format` must be one of"),
        ({"use_ema": "yes"}, TypeError, "`use_ema` must be True or False"),
        ({"use_ema": True}, ValueError, "ema_decay"),
        ({"input_signature": []}, ValueError, "follows from the networks and the prior"),
        ({"format": "openvino", "filepath": "g.bin"}, ValueError, "must end in `.xml`"),
    ],
)
def test_invalid_arguments(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    with pytest.raises(error, match=message):
        gan.export(**{"filepath": "g", **arguments})
    assert os.listdir(tmp_path) == []


@pytest.mark.tensorflow
def test_unsupported_options_of_a_format(tmp_path):
    with pytest.raises(ValueError, match="options of that format. Received: .*color"):
        shifted().export(tmp_path / "g", format="litert", color="red")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("form", "packages"), [("onnx", "tf2onnx onnx"), ("openvino", "openvino scipy")]
)
def test_missing_package_is_named(form, packages, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    with pytest.raises(ImportError, match=f"pip install {packages}. Missing: {packages.split()[0]}"):
        gan.export(tmp_path / "g.xml", format=form)


@pytest.mark.tensorflow
def test_existing_folders_raise_and_files_are_replaced(tmp_path):
    gan = shifted()
    gan.export(tmp_path / "g")
    with pytest.raises(
        FileExistsError, match="`filepath`: .*Delete the old one first, or write numbered versions"
    ):
        gan.export(tmp_path / "g")
    with pytest.raises(IsADirectoryError, match="g is a folder"):
        gan.export(tmp_path / "g", format="onnx")
    (tmp_path / "g.onnx").write_text("old")
    gan.export(tmp_path / "g.onnx", format="onnx")
    compare(run_onnx(tmp_path / "g.onnx", LATENTS), generate(gan, LATENTS, None))


def writes(content, error=None):
    """Stand in for the export of Keras, also where OpenVINO is not installed."""

    def export(self, path, format, **options):
        files = {"tf_saved_model": [f"{path}/part"], "openvino": [path, path[: -len("xml")] + "bin"]}
        for file in files.get(format, [path]):
            pathlib.Path(file).write_text(content)
        if error:
            raise error

    return export


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["tf_saved_model", "onnx", "litert", "openvino"])
def test_failed_export_leaves_no_files(form, tmp_path, monkeypatch, installed):
    error = OSError(28, "No space left on device")
    monkeypatch.setattr(keras.Model, "export", writes("half", error))
    (tmp_path / "generator.xml").write_text("old")
    for path in (tmp_path / "models" / "new.xml", tmp_path / "generator.xml"):
        if form == "tf_saved_model" and path.exists():
            continue  # such a path is refused before
        with pytest.raises(OSError, match="No space left"):
            shifted().export(path, format=form)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["generator.xml"]
    assert (tmp_path / "generator.xml").read_text() == "old"


@pytest.mark.tensorflow
def test_openvino_writes_both_files(tmp_path, monkeypatch, installed):
    for content in ("old", "new"):
        monkeypatch.setattr(keras.Model, "export", writes(content))
        shifted().export(tmp_path / "g.xml", format="openvino")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "g.xml": "new", "g.bin": "new",
    }  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_quantized_layers(tmp_path, installed):
    """Of an int8 GAN, OpenVINO would compute other samples without an error."""
    import onnx

    gan = kg.GAN(mlp(4, 2), mlp(2, 1), prior="normal", seed=0)
    gan.quantize("int8")
    gan.export(tmp_path / "g.onnx", format="onnx")
    compare(run_onnx(tmp_path / "g.onnx", LATENTS), generate(gan, LATENTS, None))
    types = {tensor.data_type for tensor in onnx.load(tmp_path / "g.onnx").graph.initializer}
    assert onnx.TensorProto.INT8 in types
    with pytest.raises(ValueError, match="OpenVINO computes other samples.*before `quantize`"):
        gan.export(tmp_path / "g.xml", format="openvino")
    with pytest.raises(ValueError, match="could not be written in the format LiteRT"):
        gan.export(tmp_path / "g.tflite", format="litert")
    assert os.listdir(tmp_path) == ["g.onnx"]


@pytest.mark.slow
@pytest.mark.jax
@pytest.mark.torch
def test_arguments_that_cannot_be_pickled(tmp_path):
    with pytest.raises(ValueError, match="arguments that can be pickled"):
        shifted().export(tmp_path / "g", format="litert", representative_dataset=lambda: iter(()))


@pytest.mark.slow
def test_export_archive_of_keras(tmp_path):
    """A program without this package, in a process of its own."""
    gan = kg.GAN.from_preset("digits")
    gan.export(tmp_path / "digits.onnx", format="onnx")
    latents = np.array(gan.prior.sample(3, 1))
    np.save(tmp_path / "latents.npy", latents)
    program = (
        "import sys, numpy as np, onnxruntime\n"
        "run = onnxruntime.InferenceSession('digits.onnx').run\n"
        "np.save('samples.npy', run(None, {'latents': np.load('latents.npy')})[0])\n"
        "print('keras' in sys.modules)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "False"
    compare({"samples": np.load(tmp_path / "samples.npy")}, {"samples": gan.generate(latents=latents)})

"""SavedModels: results in each runtime, invalid requests and arguments, exports that fail."""

import io
import os
import pathlib
import resource
import shutil
import subprocess
import sys

import keras
import numpy as np
import PIL.Image
import pytest

import keras_gan as kg
from keras_gan.serving import export
from keras_gan.utils.optional import tensorflow

ROOT = pathlib.Path(__file__).parents[1]
NEAR = {"rtol": 0, "atol": 2e-6}


# On other backends a process on TensorFlow exports, for seconds: `make test-jax` runs that of `digits`.
TENSORFLOW = keras.backend.backend() == "tensorflow"
ELSEWHERE = [pytest.mark.slow, pytest.mark.jax, pytest.mark.torch]


def in_another_process(test):
    for mark in () if TENSORFLOW else ELSEWHERE:
        test = mark(test)
    return test


def dense(prior="normal", activation=None):
    generator = [keras.Input((6,)), keras.layers.Dense(48, activation), keras.layers.Reshape((4, 4, 3))]
    critic = [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    return kg.GAN(keras.Sequential(generator), keras.Sequential(critic), prior=prior, seed=0)


def conditional(shape=(), dtype="int32", classes=3):
    """Networks with a condition, a class or a vector."""

    def network(inputs, outputs):
        data, condition = keras.Input((inputs,)), keras.Input(shape, dtype=dtype)
        told = condition
        if shape == ():
            told = keras.layers.Embedding(classes, 4)(condition)
        hidden = keras.layers.Concatenate()([data, told])
        return keras.Model([data, condition], keras.layers.Dense(outputs)(hidden))

    return kg.GAN(network(5, 2), network(2, 1), prior="uniform", seed=0)


def load(folder):
    tf = tensorflow()
    loaded = tf.saved_model.load(str(folder))

    def run(signature, **inputs):
        types = {"U": tf.string, "i": tf.int64}
        inputs = {
            name: tf.constant(value, types.get(np.asarray(value).dtype.kind, tf.float32))
            for name, value in inputs.items()
        }
        outputs = loaded.signatures[signature](**inputs)
        return {name: value.numpy() for name, value in outputs.items()}

    run.loaded = loaded
    return run


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The MNIST nets and their SavedModel."""
    gan = kg.GAN(
        kg.architectures.mnist_generator(seed=0), kg.architectures.mnist_discriminator(seed=0), seed=0
    )
    folder = tmp_path_factory.mktemp("models") / "digits"
    return gan, kg.export_savedmodel(gan, folder)


def test_signatures_match_keras(digits, rng):
    gan, folder = digits
    run = load(folder)
    latents = rng.normal(size=(7, 100)).astype("float32")
    expected = gan.generate(latents=latents)
    for signature in ("serving_default", "generate"):
        np.testing.assert_allclose(run(signature, latents=latents)["samples"], expected, **NEAR)
    five = run("sample", number=5, seed=7)
    np.testing.assert_allclose(five["samples"], gan.generate(latents=five["latents"]), **NEAR)
    logits = keras.ops.convert_to_numpy(gan.discriminate(expected))
    judged = run("discriminate", samples=expected)
    np.testing.assert_allclose(judged["logits"], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(judged["probabilities"], 1 / (1 + np.exp(-judged["logits"])), **NEAR)


@pytest.mark.tensorflow
def test_seed_gives_the_samples_of_generate(digits):
    """On other backends the same seed stands for other random bits."""
    gan, folder = digits
    five = load(folder)("sample", number=5, seed=7)
    np.testing.assert_allclose(five["samples"], gan.generate(5, seed=7), **NEAR)
    np.testing.assert_array_equal(five["latents"], gan.prior.sample(5, 7))


def test_smaller_number_gives_a_prefix_of_the_samples(digits):
    run = load(digits[1])
    one, five = (run("sample", number=number, seed=7) for number in (1, 5))
    np.testing.assert_array_equal(one["latents"], five["latents"][:1])
    np.testing.assert_allclose(one["samples"], five["samples"][:1], **NEAR)
    assert abs(run("sample", number=1, seed=8)["latents"] - one["latents"]).max() > 0.1


def test_interpolate_is_linear(digits):
    gan, folder = digits
    start, end = (np.array(gan.prior.sample(3, seed)) for seed in (1, 2))
    drawn = load(folder)("interpolate", start=start, end=end, steps=4)
    path = kg.interpolation.interpolate(start, end, 4)
    np.testing.assert_allclose(drawn["latents"], path, **NEAR)
    expected = gan.generate(latents=path.reshape(12, 100)).reshape(3, 4, 28, 28, 1)
    np.testing.assert_allclose(drawn["samples"], expected, **NEAR)


def test_uint8_and_png_signatures(digits):
    gan, folder = digits
    run = load(folder)
    samples = run("sample", number=3, seed=1)["samples"]
    levels = run("sample_uint8", number=3, seed=1)["samples"]
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels, kg.visualization.to_uint8(samples, (0, 1)))
    for level, encoded in zip(levels, run("sample_png", number=3, seed=1)["png_bytes"], strict=True):
        np.testing.assert_array_equal(np.array(PIL.Image.open(io.BytesIO(encoded))), level[..., 0])
    latents = np.array(gan.prior.sample(2, 1))
    assert run("interpolate_png", start=latents, end=latents, steps=5)["png_bytes"].shape == (2, 5)
    assert run("generate_uint8", latents=latents)["samples"].max() > 0


@pytest.mark.tensorflow
def test_color_images_of_a_tanh_generator(tmp_path):
    run = load(kg.export_savedmodel(dense(activation="tanh"), tmp_path / "m"))
    drawn, coded = run("sample", number=2, seed=1), run("sample_png", number=2, seed=1)
    levels = kg.visualization.to_uint8(drawn["samples"], (-1, 1))
    for level, encoded in zip(levels, coded["png_bytes"], strict=True):
        np.testing.assert_array_equal(np.array(PIL.Image.open(io.BytesIO(encoded))), level)


@in_another_process
def test_channels_first_images(tmp_path, channels_first):
    generator = [keras.Input((6,)), keras.layers.Dense(48, "tanh"), keras.layers.Reshape((3, 4, 4))]
    critic = [keras.Input((3, 4, 4)), keras.layers.Flatten(), keras.layers.Dense(1)]
    gan = kg.GAN(keras.Sequential(generator), keras.Sequential(critic), prior="normal", seed=0)
    run = load(kg.export_savedmodel(gan, tmp_path / "m"))
    drawn = run("sample", number=2, seed=1)["samples"]
    levels = kg.visualization.to_uint8(drawn, (-1, 1))
    np.testing.assert_array_equal(run("sample_uint8", number=2, seed=1)["samples"], levels)
    for level, encoded in zip(levels, run("sample_png", number=2, seed=1)["png_bytes"], strict=True):
        image = np.array(PIL.Image.open(io.BytesIO(encoded)))
        np.testing.assert_array_equal(image, np.moveaxis(level, 0, -1))
    latents = np.array(gan.prior.sample(2, 1))
    assert run("interpolate_png", start=latents, end=latents, steps=3)["png_bytes"].shape == (2, 3)


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.tensorflow
def test_lookup_tables_and_the_size_of_weights(tmp_path):
    """Networks that Keras tracks would be written twice."""

    def network(inputs, outputs):
        data, code = keras.Input((inputs,)), keras.Input((), dtype="int64")
        known = keras.layers.IntegerLookup(vocabulary=[3, 7, 9], output_mode="one_hot")(code)
        joined = keras.layers.Concatenate()([data, known])
        hidden = keras.layers.Dense(500)(keras.layers.Dense(200)(joined))
        return keras.Model([data, code], keras.layers.Dense(outputs)(hidden))

    gan = kg.GAN(network(4, 2), network(2, 1), prior="normal", seed=0)
    folder = kg.export_savedmodel(gan, tmp_path / "m")
    drawn = load(folder)("sample", number=3, seed=1, condition=[3, 9, 1])
    expected = gan.generate(latents=drawn["latents"], condition=np.array([3, 9, 1]))
    np.testing.assert_allclose(drawn["samples"], expected, **NEAR)
    weights = 4 * (gan.generator.count_params() + gan.discriminator.count_params())
    (file,) = (folder / "variables").glob("*.data-*")
    assert weights <= file.stat().st_size < 1.1 * weights


@pytest.mark.tensorflow
def test_limit_of_large_samples_can_be_lower(tmp_path):
    run = load(kg.export_savedmodel(dense(), tmp_path / "m", max_number=3))
    assert len(run("sample", number=3, seed=1)["samples"]) == 3
    with pytest.raises(tensorflow().errors.InvalidArgumentError, match="expected from 1 to 3"):
        run("sample", number=4, seed=1)


def test_empty_requests_return_empty_results(digits):
    run = load(digits[1])
    none = np.zeros((0, 100), "float32")
    assert run("generate_png", latents=none)["png_bytes"].shape == (0,)
    assert run("interpolate", start=none, end=none, steps=3)["samples"].shape == (0, 3, 28, 28, 1)


@pytest.mark.tensorflow
def test_value_range_of_a_generator_without_known_range(tmp_path):
    """A linear end, and a GAN that makes something else of what the generator ends in."""
    run = load(kg.export_savedmodel(dense(), tmp_path / "m", value_range=(-2, 3)))
    drawn, levels = run("sample", number=3, seed=1), run("sample_uint8", number=3, seed=1)
    expected = kg.visualization.to_uint8(drawn["samples"], (-2, 3))
    np.testing.assert_array_equal(levels["samples"], expected)
    gan = dense(activation="sigmoid")
    other = Shifted(gan.generator, gan.discriminator, prior="normal", seed=0)
    assert "sample_png" not in load(kg.export_savedmodel(other, tmp_path / "m")).loaded.signatures


class Shifted(kg.GAN):
    def generate_batch(self, latents, condition=None, training=False):
        return 2.0 * super().generate_batch(latents, condition, training) - 1.0


class Foreign(kg.priors.Prior):
    """Draws by NumPy, which no compiled function can."""

    def draw(self, shape, key):
        return np.ones([int(size) for size in shape], "float32")


@pytest.mark.tensorflow
def test_uncompilable_networks_raise(tmp_path):
    gan = dense(Foreign())
    with pytest.raises(ValueError, match=r"'sample' of this GAN cannot be compiled.*`keras.ops`"):
        kg.export_savedmodel(gan, tmp_path / "m")
    assert os.listdir(tmp_path) == []


@pytest.mark.tensorflow
def test_samples_that_are_not_images_have_no_image_signatures(tmp_path):
    run = load(kg.export_savedmodel(dense(), tmp_path / "m"))
    names = {"serving_default", "generate", "sample", "interpolate", "discriminate"}
    assert set(run.loaded.signatures) == names


@pytest.mark.tensorflow
@pytest.mark.parametrize("prior", ["uniform", "normal", "spherical", kg.priors.Categorical(6)])
def test_every_prior_matches_keras(prior, tmp_path):
    gan = dense(prior)
    drawn = load(kg.export_savedmodel(gan, tmp_path / "m"))("sample", number=4, seed=2**40 + 3)
    np.testing.assert_allclose(drawn["latents"], gan.prior.sample(4, 2**40 + 3), rtol=0, atol=1e-5)


@in_another_process
def test_classes_by_number_and_by_name(tmp_path):
    gan = conditional()
    latents = np.array(gan.prior.sample(3, 1))
    drawn = gan.generate(latents=latents, condition=[0, 2, 1])
    one_for_all = gan.generate(latents=latents, condition=[2, 2, 2])
    for classes, each, same in [
        (3, [0, 2, 1], [2]),
        (["cat", "dog", "Kuh"], ["cat", "Kuh", "dog"], ["Kuh"]),
    ]:
        run = load(kg.export_savedmodel(gan, tmp_path / "m", classes=classes))
        sample = run("sample", number=3, seed=1, condition=each)
        again = gan.generate(latents=sample["latents"], condition=[0, 2, 1])
        np.testing.assert_allclose(sample["samples"], again, **NEAR)
        made = run("generate", latents=latents, condition=same)
        np.testing.assert_allclose(made["samples"], one_for_all, **NEAR)
        judged = run("discriminate", samples=drawn, condition=each)["logits"]
        expected = keras.ops.convert_to_numpy(gan.discriminate(drawn, np.array([0, 2, 1])))
        np.testing.assert_allclose(judged, expected, **NEAR)
        path = run("interpolate", start=latents, end=latents, steps=2, condition=each)
        np.testing.assert_allclose(path["samples"][:, 1], drawn, **NEAR)


@pytest.mark.tensorflow
def test_classes_of_networks_that_take_one_hot_vectors(tmp_path):
    gan = conditional(shape=(3,), dtype="float32")
    run = load(kg.export_savedmodel(gan, tmp_path / "m", classes=3))
    drawn = run("sample", number=2, seed=1, condition=[2, 0])
    expected = gan.generate(latents=drawn["latents"], condition=np.eye(3)[[2, 0]])
    np.testing.assert_allclose(drawn["samples"], expected, **NEAR)


@pytest.mark.tensorflow
def test_condition_without_classes(tmp_path, rng):
    gan = conditional(shape=(4,), dtype="float32")
    condition = rng.random((2, 4)).astype("float32")
    run = load(kg.export_savedmodel(gan, tmp_path / "m"))
    drawn = run("sample", number=2, seed=1, condition=condition)
    expected = gan.generate(latents=drawn["latents"], condition=condition)
    np.testing.assert_allclose(drawn["samples"], expected, **NEAR)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("sample", {"number": 1001, "seed": 1, "condition": [1]}, "expected from 1 to 1000"),
        ("sample", {"number": 0, "seed": 1, "condition": [1]}, "expected from 1 to 1000"),
        (
            "sample",
            {"number": 3, "seed": 1, "condition": [1, 1]},
            "one row for each sample, or one for all",
        ),
        ("sample", {"number": 2, "seed": 1, "condition": [3]}, r"must be a class in \[0, 3\)"),
        ("sample", {"number": 2, "seed": 1, "condition": [-1]}, r"must be a class in \[0, 3\)"),
        ("sample", {"number": 2, "condition": [1]}, "seed"),
        ("sample", {"n": 2, "seed": 1, "condition": [1]}, "n"),
        ("generate", {"latents": np.ones((2, 4), "float32"), "condition": [1]}, "size"),
        ("generate", {"latents": np.ones((1001, 5)), "condition": [1]}, "expected from 0 to 1000"),
        ("discriminate", {"samples": np.ones((1001, 2)), "condition": [1]}, "from 0 to 1000"),
        (
            "interpolate",
            {"start": np.ones((2, 5)), "end": np.ones((2, 5)), "steps": 2**62, "condition": [1]},
            "expected from 2 to 1000",
        ),
        (
            "interpolate",
            {"start": np.ones((2, 5)), "end": np.ones((1, 5)), "steps": 2, "condition": [1]},
            "start and end differ",
        ),
        (
            "interpolate",
            {"start": np.ones((2, 5)), "end": np.ones((2, 5)), "steps": 501, "condition": [1]},
            "of all paths: expected from 0 to 1000",
        ),
        (
            "interpolate",
            {"start": np.ones((2, 5)), "end": np.ones((2, 5)), "steps": 1, "condition": [1]},
            "expected from 2 to 1000",
        ),
    ],
)
def test_invalid_requests(signature, inputs, message, refusing):
    with pytest.raises((tensorflow().errors.InvalidArgumentError, TypeError, ValueError), match=message):
        refusing(signature, **inputs)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    return load(kg.export_savedmodel(conditional(), tmp_path_factory.mktemp("m") / "m", classes=3))


@in_another_process
def test_use_ema_exports_the_ema(tmp_path, rng):
    gan = dense()
    gan.compile(keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.5), ema_decay=0.9)
    gan.fit(rng.random((64, 4, 4, 3)).astype("float32"), batch_size=8, epochs=1, verbose=0)
    before = [keras.ops.convert_to_numpy(weight) for weight in gan.weights]
    for use_ema in (False, True):
        run = load(kg.export_savedmodel(gan, tmp_path / "m", use_ema=use_ema))
        drawn = run("sample", number=4, seed=1)
        expected = gan.generate(latents=drawn["latents"], use_ema=use_ema)
        np.testing.assert_allclose(drawn["samples"], expected, **NEAR)
    assert abs(gan.generate(4, seed=1) - gan.generate(4, seed=1, use_ema=True)).max() > 1e-3
    for weight, value in zip(gan.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)


@pytest.mark.tensorflow
def test_mixed_precision_gan_serves_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    gan = dense()
    drawn = load(kg.export_savedmodel(gan, tmp_path / "m"))("sample", number=2, seed=1)
    assert drawn["samples"].dtype == np.float32
    expected = gan.generate(latents=drawn["latents"])
    np.testing.assert_allclose(drawn["samples"], expected, rtol=0.02, atol=0.02)


@pytest.mark.tensorflow
def test_versions_are_numbered_and_never_overwritten(tmp_path):
    gan, path = dense(), tmp_path / "m"
    assert kg.export_savedmodel(gan, path) == path / "1"
    assert kg.export_savedmodel(gan, path, version=5) == path / "5"
    assert kg.export_savedmodel(gan, path) == path / "6"
    before = (path / "5" / "saved_model.pb").stat().st_mtime_ns
    with pytest.raises(FileExistsError, match="5 exists, and versions are never replaced"):
        kg.export_savedmodel(gan, path, version=5)
    assert (path / "5" / "saved_model.pb").stat().st_mtime_ns == before
    assert sorted(os.listdir(path)) == ["1", "5", "6"]


@pytest.mark.tensorflow
def test_concurrent_exports_get_different_versions(tmp_path, monkeypatch):
    """The other process takes the next number, or the requested one, while this one writes."""

    def slow(function, gan, folder, options):
        pathlib.Path(folder, "saved_model.pb").touch()
        (tmp_path / "m" / "1" / "variables").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(export, "call_on_tensorflow", slow)
    assert kg.export_savedmodel(dense(), tmp_path / "m").name == "2"
    shutil.rmtree(tmp_path / "m")
    with pytest.raises(FileExistsError, match="1 already exists"):
        kg.export_savedmodel(dense(), tmp_path / "m", version=1)
    assert os.listdir(tmp_path / "m") == ["1"]


@pytest.mark.tensorflow
def test_exported_files_are_readable_by_others(tmp_path):
    folder = kg.export_savedmodel(dense(), tmp_path / "m")
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777


@pytest.mark.parametrize(
    "fails",
    [
        pytest.param("Signatures", marks=pytest.mark.tensorflow),
        pytest.param("_write_warmup", marks=pytest.mark.tensorflow),
        pytest.param("call_on_tensorflow", marks=() if TENSORFLOW else ELSEWHERE),
    ],
)
def test_failed_export_leaves_no_files(fails, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, fails, fail)
    with pytest.raises(OSError, match="No space left"):
        kg.export_savedmodel(dense(), tmp_path / "some" / "m")
    assert os.listdir(tmp_path) == []


@pytest.mark.tensorflow
@pytest.mark.parametrize("limit", [pytest.param(1 << 20, marks=pytest.mark.slow), 1000])
def test_full_disk_keeps_older_versions(limit, tmp_path):
    gan = kg.GAN(kg.architectures.mnist_generator(), kg.architectures.mnist_discriminator())
    kg.export_savedmodel(dense(), tmp_path / "m")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(OSError, match="could not be written, and nothing is left.*choose another"):
            kg.export_savedmodel(gan, tmp_path / "m")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path / "m") == ["1"]
    load(tmp_path / "m" / "1")


@pytest.mark.slow
@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize(
    ("error", "expected"),
    [("OSError(28, 'No space')", OSError), ("ValueError('No prior')", ValueError)],
)
def test_errors_of_the_export_process_are_raised(error, expected, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "sitecustomize.py").write_text(
        f"""from keras_gan.serving import export
def fail(*args):
    raise {error}
export._write = fail
"""
    )
    with pytest.raises(expected, match="No (space|prior)"):
        kg.export_savedmodel(dense(), tmp_path / "m")
    assert os.listdir(tmp_path) == ["sitecustomize.py"]


@pytest.mark.parametrize(
    ("make", "arguments", "error", "message"),
    [
        (lambda: keras.Sequential([keras.layers.Dense(1)]), {}, TypeError, "must be a `kg.GAN`"),
        (dense, {"version": 0}, ValueError, "`version` must be an integer >= 1"),
        (dense, {"version": True}, TypeError, "`version` must be an integer >= 1"),
        (dense, {"version": "2"}, TypeError, "`version` must be an integer >= 1"),
        (dense, {"version": 2**63}, ValueError, "<= 9223372036854775807"),
        (dense, {"max_number": 0}, ValueError, "`max_number` must be an integer >= 1"),
        (dense, {"max_number": 10.0}, TypeError, "`max_number` must be an integer >= 1"),
        (dense, {"warmup": "yes"}, TypeError, "`warmup` must be True or False"),
        (dense, {"use_ema": 1}, TypeError, "`use_ema` must be True or False"),
        (dense, {"value_range": (1, 0)}, ValueError, "`value_range` must be two finite numbers"),
        (dense, {"value_range": 1.0}, TypeError, "`value_range` must be two finite numbers"),
        (conditional, {"value_range": (0, 1)}, ValueError, "images of 1, 3 or 4 channels"),
        (dense, {"classes": 10}, ValueError, "this GAN has none"),
        (conditional, {"classes": ["a", "b", "a"]}, ValueError, "list of distinct class names"),
        (conditional, {"classes": [0, 1, 2]}, ValueError, "list of distinct class names"),
        (conditional, {"classes": {"a", "b"}}, TypeError, "`classes` must be an integer >= 1"),
        (conditional, {"classes": "abc"}, TypeError, "Or list the class names"),
        (conditional, {"classes": []}, ValueError, "at least one class"),
        (conditional, {"classes": 0}, ValueError, "`classes` must be an integer >= 1"),
        (conditional, {"classes": 2.5}, TypeError, "`classes` must be an integer >= 1"),
        (conditional, {"classes": 4}, ValueError, "at most those that the networks have: 3"),
        (lambda: conditional((4,), "float32"), {"classes": 3}, ValueError, "one-hot vector of 3"),
        (dense, {"use_ema": True}, ValueError, "requires an EMA"),
    ],
)
def test_invalid_models_and_arguments(make, arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        kg.export_savedmodel(make(), tmp_path / "m", **arguments)
    assert os.listdir(tmp_path) == []


def test_unwritable_targets(tmp_path):
    with pytest.raises(ValueError, match="`path` must be a local path"):
        kg.export_savedmodel(dense(), "gs://bucket/models")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="`path` needs the folder .* is a file"):
        kg.export_savedmodel(dense(), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(OSError, match="proc"):
        kg.export_savedmodel(dense(), "/proc/models")


@in_another_process
def test_custom_networks(tmp_path):
    """Subclassed networks need no call of their own before, and their layers no registration here."""

    class Own(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(2)

        def get_config(self):
            return {}

        def call(self, x, training=False):
            return self.dense(x)

    gan = kg.GAN(Own(), keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), prior=_normal())
    if keras.backend.backend() == "tensorflow":
        drawn = load(kg.export_savedmodel(gan, tmp_path / "m"))("sample", number=2, seed=1)
        expected = gan.generate(latents=drawn["latents"])
        np.testing.assert_allclose(drawn["samples"], expected, **NEAR)
    else:
        with pytest.raises(ValueError, match="could not be loaded on TensorFlow"):
            kg.export_savedmodel(gan, tmp_path / "m")
        assert os.listdir(tmp_path) == []


@in_another_process
def test_custom_layers_of_another_module(tmp_path, monkeypatch):
    """Which another process, where there is one, finds as this one does."""
    (tmp_path / "shop.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable(package='shop')\n"
        "class Doubled(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 2.0 * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    doubled = __import__("shop").Doubled()
    generator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), doubled])
    gan = kg.GAN(generator, keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), seed=0)
    drawn = load(kg.export_savedmodel(gan, tmp_path / "m"))("sample", number=2, seed=1)
    np.testing.assert_allclose(drawn["samples"], gan.generate(latents=drawn["latents"]), **NEAR)


def _normal():
    return kg.priors.Normal(shape=3)


def quiet(*command):
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("signature", ["sample", "generate", "discriminate", "sample_uint8"])
def test_c_api_loads_it_without_keras(signature, digits, tmp_path):
    gan, folder = digits
    latents = load(folder)("sample", number=5, seed=7)["latents"]
    samples = gan.generate(latents=latents)
    given = {"number": np.int64(5), "seed": np.int64(7), "samples": samples, "latents": latents}
    np.savez(tmp_path / "in.npz", **given)
    run = quiet(
        sys.executable, ROOT / "tests" / "helpers" / "capi.py", folder, signature,
        tmp_path / "in.npz", tmp_path / "out.npz",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    received = dict(np.load(tmp_path / "out.npz"))
    if signature == "discriminate":
        logits = keras.ops.convert_to_numpy(gan.discriminate(samples))
        np.testing.assert_allclose(received["logits"], logits, rtol=1e-4, atol=1e-5)
    elif signature == "sample_uint8":
        expected = kg.visualization.to_uint8(samples, (0, 1)).astype(int)
        assert abs(received["samples"].astype(int) - expected).max() <= 1
    else:
        np.testing.assert_allclose(received["samples"], samples, **NEAR)


@pytest.mark.slow
def test_saved_model_cli_loads_it(digits, tmp_path):
    gan, folder = digits
    tool = pathlib.Path(sys.executable).with_name("saved_model_cli")
    shown = quiet(tool, "show", "--dir", folder, "--tag_set", "serve", "--signature_def", "sample")
    assert shown.returncode == 0, shown.stderr
    assert "inputs['number']" in shown.stdout
    assert "outputs['latents']" in shown.stdout
    run = quiet(
        tool, "run", "--dir", folder, "--tag_set", "serve", "--signature_def", "sample",
        "--input_exprs", "number=2;seed=7", "--outdir", tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    expected = gan.generate(latents=np.load(tmp_path / "latents.npy"))
    np.testing.assert_allclose(np.load(tmp_path / "samples.npy"), expected, **NEAR)


@pytest.mark.tensorflow
def test_warm_up_requests_are_written_and_answered(digits):
    """As TensorFlow Serving replays them."""
    from tensorflow_serving.apis import prediction_log_pb2

    tf = tensorflow()
    _, folder = digits
    run = load(folder)
    records = tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests"))
    seen = set()
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        name = request.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        run.loaded.signatures[name](**inputs)
        seen.add(name)
    assert seen == set(run.loaded.signatures)


@pytest.mark.tensorflow
def test_no_warm_up_requests_without_the_package(tmp_path, monkeypatch):
    folder = kg.export_savedmodel(dense(), tmp_path / "m", warmup=False)
    assert not (folder / "assets.extra").exists()
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    folder = kg.export_savedmodel(dense(), tmp_path / "m")
    assert not (folder / "assets.extra").exists()


@pytest.mark.tensorflow
def test_warm_up_requests_with_class_names(tmp_path):
    folder = kg.export_savedmodel(conditional(), tmp_path / "m", classes=["a", "b", "c"])
    assert (folder / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


@pytest.mark.tensorflow
def test_unknown_dimensions_stay_unknown(tmp_path):
    """Sequences of any length."""
    generator = keras.Sequential([keras.Input((8, 2)), keras.layers.Dense(3)])
    critic = keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(1)])
    run = load(kg.export_savedmodel(kg.GAN(generator, critic, seed=0), tmp_path / "m"))
    assert run("discriminate", samples=np.ones((2, 5, 3), "float32"))["logits"].shape == (2, 5, 1)


@pytest.mark.tensorflow
def test_path_with_spaces_and_non_ascii_letters(tmp_path):
    folder = kg.export_savedmodel(dense(), tmp_path / "mein Modell ä")
    assert load(folder)("sample", number=1, seed=1)["samples"].shape == (1, 4, 4, 3)
    shutil.rmtree(folder)

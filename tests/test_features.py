"""Feature extractors: features against NumPy, hashes, refusals, and the classifier that is kept."""

import copy
import gc
import importlib.util
import math
import os
import pathlib

import keras
import numpy as np
import pytest
from helpers.games import BACKEND
from keras import layers
from PIL import Image

import keras_gan as kg
from keras_gan.metrics import (
    DigitClassifier,
    FeatureExtractor,
    Identity,
    InceptionV3,
    ModelFeatures,
    Pixels,
)
from keras_gan.metrics.features import inception

ROOT = pathlib.Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "tensorflow_datasets"
SAVED = ROOT / "saved_models" / "digit_classifier.keras"


def images(*shape, low=0.0, high=1.0, seed=0):
    return (np.random.default_rng(seed).random(shape) * (high - low) + low).astype("float32")


def small(shape=(6, 5, 2), activation=None, classes=3):
    """A classifier whose features NumPy can compute, with batch norm and dropout that must not show."""
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(),
            layers.Dense(7, "relu", name="features"),
            layers.Dropout(0.5),
            layers.BatchNormalization(name="norm"),
            layers.Dense(classes, activation, name="end"),
        ],
        name="small",
    )
    rng = np.random.default_rng(1)
    # Kernels of both signs, so that the rectifiers matter; the rest positive, as a variance must be.
    lows = [-0.5 if w.ndim == 2 else 0.1 for w in model.get_weights()]
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([rng.uniform(low, 0.6, shape) for low, shape in zip(lows, shapes, strict=True)])
    return model


def forward(model, inputs):
    """Features and logits of `small` in float64."""
    values = map(np.float64, model.get_weights())
    weights = {v.path.partition("/")[2]: value for v, value in zip(model.weights, values, strict=True)}
    rows = np.float64(inputs).reshape(len(inputs), -1)
    hidden = np.maximum(rows @ weights["features/kernel"] + weights["features/bias"], 0)
    normal = (hidden - weights["norm/moving_mean"]) / np.sqrt(weights["norm/moving_variance"] + 1e-3)
    normal = normal * weights["norm/gamma"] + weights["norm/beta"]
    return hidden, normal @ weights["end/kernel"] + weights["end/bias"]


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


# Pixels


def test_pixels_extractor_returns_the_pixels():
    x = images(4, 3, 2, 2)
    extractor = Pixels((3, 2, 2))
    found = extractor(x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, x.reshape(4, 12))
    assert (extractor.name, extractor.weights, extractor.resizer) == ("pixels", None, None)
    assert (extractor.size, extractor.value_range) == (12, (0.0, 1.0))


@pytest.mark.parametrize("value_range", [(-1, 1), (0, 255)])
def test_pixels_lie_between_0_and_1_whatever_the_range(value_range):
    low, high = value_range
    x = np.linspace(low, high, 5).reshape(1, 5, 1, 1)
    found = Pixels((5, 1, 1), value_range=value_range)(x)
    np.testing.assert_allclose(found, [[0, 0.25, 0.5, 0.75, 1]], atol=1e-7)


def test_uint8_images():
    x = np.array([[[[0], [51]], [[102], [255]]]], "uint8")
    np.testing.assert_allclose(Pixels((2, 2, 1), value_range=(0, 255))(x), [[0, 0.2, 0.4, 1]], atol=1e-7)


def test_tensors_with_and_without_gradients():
    x = images(4, 3, 2, 2)
    np.testing.assert_array_equal(Pixels((3, 2, 2))(1.0 * keras.Variable(x)), x.reshape(4, 12))


def test_images_are_not_modified():
    x = images(4, 6, 5, 2, low=-1)
    before = x.copy()
    ModelFeatures(small(), "features", value_range=(-1, 1), input_range=(0, 1))(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", [7, (5, 3), (2, 3, 4, 1)])
def test_identity_returns_any_sample_unchanged(shape):
    x = 1000 * np.random.default_rng(0).normal(size=(9, *np.atleast_1d(shape)))
    extractor = Identity(shape)
    found = extractor(x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32(x.reshape(9, -1)))
    assert (extractor.name, extractor.size, extractor.settings) == ("identity", found.shape[1], {})
    with pytest.raises(ValueError, match=r"expects samples of shape .* Received: \(8,\)"):
        extractor(np.zeros((9, 8)))
    with pytest.raises(ValueError, match="at most 1e.38 in absolute value.* Standardize the data"):
        extractor(1e40 * x)
    with pytest.raises(ValueError, match="`shape` must have at most 2147483647 numbers. Received"):
        Identity((2**16, 2**16))


# Models


def test_features_of_a_table():
    """A model of rows, whose columns lie in any range."""
    model = dense()
    x = 50 * np.random.default_rng(0).normal(size=(9, 4))
    kernel, bias = map(np.float64, model.get_weights())
    extractor = ModelFeatures(model, value_range=None)
    np.testing.assert_allclose(extractor(x), x @ kernel + bias, rtol=1e-4, atol=1e-4)
    assert extractor.settings == {"input_range": None, "layer": None}
    with pytest.raises(ValueError, match=r"\(0, 255\) for bytes, None for tables"):
        ModelFeatures(model)(x)


def test_features_of_a_known_model():
    model, x = small(), images(23, 6, 5, 2)
    extractor = ModelFeatures(model, layer="features", batch_size=10)
    hidden, logits = forward(model, x)
    assert extractor(x).dtype == np.float32
    np.testing.assert_allclose(extractor(x), hidden, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ModelFeatures(model)(x), logits, rtol=1e-5, atol=1e-6)
    assert (extractor.size, extractor.name, extractor.resizer) == (7, "small/features", None)
    assert (ModelFeatures(model).size, ModelFeatures(model).name) == (3, "small")
    assert ModelFeatures(model, name="mine").name == "mine"


def test_feature_maps_are_flattened():
    model = keras.Sequential([keras.Input((4, 3, 2)), layers.AveragePooling2D(1, name="same")])
    x = images(5, 4, 3, 2)
    extractor = ModelFeatures(model, "same")
    assert extractor.size == 24
    np.testing.assert_allclose(extractor(x), x.reshape(5, 24), rtol=1e-6)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_probabilities_are_the_softmax_of_the_logits(activation):
    model, x = small(activation=activation), images(23, 6, 5, 2)
    found = ModelFeatures(model, "features", batch_size=10).probabilities(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, softmax(forward(model, x)[1]), rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_probabilities_of_large_logits_are_finite():
    model, x = small(), images(4, 6, 5, 2)
    kernel, bias = model.get_layer("end").get_weights()
    model.get_layer("end").set_weights([kernel, bias + np.array([1e4, -1e4, 0])])
    found = ModelFeatures(model).probabilities(x)
    np.testing.assert_allclose(found, [[1, 0, 0]] * 4, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_result_does_not_depend_on_batch_size(batch_size):
    x = images(40, 28, 28, 1)
    model = kg.architectures.digit_classifier(seed=0)
    whole = ModelFeatures(model, "features", batch_size=40)
    parts = ModelFeatures(model, "features", batch_size=batch_size)
    np.testing.assert_allclose(parts(x), whole(x), atol=1e-6)
    np.testing.assert_allclose(parts.probabilities(x), whole.probabilities(x), atol=1e-6)


def test_images_are_rescaled_to_the_range_of_the_model():
    model, x = small(), images(9, 6, 5, 2)
    expected, _ = forward(model, 2 * x - 1)
    extractor = ModelFeatures(model, "features", value_range=(0, 255), input_range=(-1, 1))
    np.testing.assert_allclose(extractor(255 * x), expected, rtol=1e-4, atol=1e-5)
    same = ModelFeatures(model, "features", value_range=(-1, 1))
    np.testing.assert_allclose(same(2 * x - 1), expected, rtol=1e-4, atol=1e-5)


def test_features_are_float32_under_any_precision_policy():
    model, x = small(), images(9, 6, 5, 2)
    keras.config.set_dtype_policy("mixed_float16")
    found = ModelFeatures(model, "features")(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, forward(model, x)[0], rtol=1e-5, atol=1e-6)


def test_nested_models_and_shared_layers():
    inner = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(5)], name="inner")
    functional = keras.Model(inner.inputs[0], inner.outputs[0], name="functional")
    inputs = keras.Input((4, 4, 1))
    outer = keras.Model(inputs, layers.Dense(2)(functional(2 * inputs)))
    x = images(3, 4, 4, 1)
    kernel, bias = inner.get_weights()
    expected = 2 * x.reshape(3, 16) @ kernel + bias
    np.testing.assert_allclose(ModelFeatures(outer, "functional")(x), expected, rtol=1e-4, atol=1e-5)
    wide = keras.Sequential([keras.Input((8, 4, 1)), inner.layers[0]])
    assert ModelFeatures(wide, inner.layers[0].name)(images(3, 8, 4, 1)).shape == (3, 32)


# Resizing


def flat(shape, name="flat"):
    return keras.Sequential([keras.Input(shape), layers.Flatten(name=name)])


def test_bilinear_antialiased_halving_is_a_triangle_filter():
    # Halving a row: weights 1, 3, 3, 1 (over 8) on the nearest four pixels, renormalised at the ends.
    x = np.zeros((1, 8, 8, 1), "float32")
    x[:, :, 2] = 1
    extractor = ModelFeatures(flat((4, 4, 1)), resizer="bilinear")
    row = extractor(x).reshape(4, 4)[1]
    np.testing.assert_allclose(row, [1 / 7, 3 / 8, 0, 0], atol=1e-6)
    assert extractor.resizer == "bilinear antialiased to 4×4 if needed"


@pytest.mark.parametrize("resizer", ["nearest", "bilinear"])
def test_images_of_the_right_size_are_not_resized(resizer):
    x = images(2, 4, 4, 1)
    np.testing.assert_array_equal(ModelFeatures(flat((4, 4, 1)), resizer=resizer)(x), x.reshape(2, 16))


def pillow(image, size, filter_name):
    """Resize one image of one channel with Pillow, whose filters are antialiased always."""
    method = getattr(Image.Resampling, filter_name)
    return np.asarray(Image.fromarray(image[..., 0]).resize(size[::-1], method))[..., None]


@pytest.mark.parametrize("size", [(8, 8), (37, 50)])
@pytest.mark.parametrize(
    ("resizer", "filter_name"),
    [("nearest", "NEAREST"), ("bilinear", "BILINEAR"), ("bicubic", "BICUBIC"), ("lanczos3", "LANCZOS")],
)
def test_resizers_equal_pillow(resizer, filter_name, size):
    """On whatever backend: so that scores that record the same resizing are comparable."""
    x = images(2, 16, 17, 1)
    expected = np.stack([pillow(image, size, filter_name) for image in x]).clip(0, 1)
    found = ModelFeatures(flat((*size, 1)), resizer=resizer)(x)
    np.testing.assert_allclose(found, expected.reshape(2, -1), atol=2e-6)


def test_widest_filter_preserves_constants():
    found = ModelFeatures(flat((9, 5, 1)), resizer="lanczos5")(np.full((1, 16, 17, 1), 0.25))
    np.testing.assert_allclose(found, 0.25, atol=1e-6)


def test_resized_values_are_clipped():
    x = np.repeat(np.float32([0, 1]), 8).reshape(1, 1, 16, 1).repeat(16, axis=1)
    model = flat((24, 24, 1))
    # Unclipped it does overshoot: the test would not fail otherwise.
    raw = pillow(x[0], (24, 24), "BICUBIC")
    assert raw.max() > 1.01
    found = ModelFeatures(model, resizer="bicubic")(x)
    assert (found.min(), found.max()) == (0, 1)
    np.testing.assert_allclose(found, raw.clip(0, 1).reshape(1, -1), atol=1e-6)


def test_grayscale_is_repeated_for_a_color_model():
    extractor = ModelFeatures(flat((4, 4, 3)), resizer="nearest")
    assert extractor.resizer == "nearest to 4×4, grayscale repeated, if needed"
    x = images(2, 4, 4, 1)
    np.testing.assert_array_equal(extractor(x), np.tile(x, (1, 1, 1, 3)).reshape(2, -1))
    x = images(2, 2, 2, 1)
    twice = x.repeat(2, axis=1).repeat(2, axis=2).repeat(3, axis=3)
    np.testing.assert_array_equal(extractor(x), twice.reshape(2, -1))


def test_model_without_fixed_size_takes_any_size():
    model = keras.Sequential([keras.Input((None, None, 2)), layers.GlobalAveragePooling2D()])
    for size in (3, 6):
        x = images(4, size, size, 2)
        np.testing.assert_allclose(ModelFeatures(model)(x), x.mean(axis=(1, 2)), rtol=1e-5)


# What a result records


def test_hash_depends_on_weights_only(tmp_path):
    model = small()
    extractor = ModelFeatures(model, "features")
    before = extractor.weights
    assert len(before) == 64
    assert set(before) <= set("0123456789abcdef")
    # Another object of the same weights, made after other layers; another seed of its dropout.
    assert ModelFeatures(small()).weights == before
    model.save(tmp_path / "small.keras")
    assert ModelFeatures(keras.saving.load_model(tmp_path / "small.keras")).weights == before
    extractor(images(2, 6, 5, 2))
    model(images(2, 6, 5, 2), training=False)
    model.get_layer("features").trainable = False
    assert extractor.weights == before
    seen = {before}
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        moved = value.copy()
        moved.flat[-1] = np.nextafter(moved.flat[-1], np.float32(9))
        variable.assign(moved)
        seen.add(extractor.weights)
        variable.assign(value)
    assert len(seen) == 1 + len(model.weights)
    assert extractor.weights == before


def test_hash_depends_on_shapes():
    kernels = [
        keras.Sequential([keras.Input(shape), layers.Dense(units, use_bias=False)])
        for shape, units in (((1, 1, 2), 3), ((1, 1, 3), 2))
    ]
    for model in kernels:
        model.set_weights([np.arange(6.0).reshape(model.get_weights()[0].shape)])
    assert len({ModelFeatures(model).weights for model in kernels}) == 2


def test_scores_record_the_extractor():
    """All of the same weights: other ranges, another layer under a name of one's own."""
    model, x = small(), images(20, 6, 5, 2)
    options = [
        {},
        {"value_range": (-1, 1)},
        {"value_range": (0, 2), "input_range": (0, 1)},
        {"layer": "features"},
        {"layer": "norm"},
    ]
    metrics = [
        kg.metrics.DensityCoverage(ModelFeatures(model, name="mine", **option)) for option in options
    ]
    settings = [metric(x, x).settings for metric in metrics]
    assert all(settings.count(one) == 1 for one in settings)
    assert settings[3] == {
        "value_range": (0, 1),
        "input_range": (0, 1),
        "layer": "features",
        "k": 5,
    }
    assert Pixels((6, 5, 2), value_range=(0, 255)).settings == {"value_range": (0, 255)}


def test_reference_is_stale_after_further_training():
    model, x = small(), images(20, 6, 5, 2)
    metric = kg.metrics.KID(ModelFeatures(model), subset_size=10)
    reference = metric.prepare(x)
    assert metric.evaluate(reference, x) == metric(x, x)
    model.get_layer("end").bias.assign_add([1.0, 0.0, 0.0])
    with pytest.raises(
        ValueError, match="has changed since `prepare`.*: weights was '[0-9a-f]{64}', is"
    ):
        metric.evaluate(reference, x)


def test_deep_copy_returns_the_same_extractor():
    class Callback(keras.callbacks.Callback):
        def __init__(self, extractor):
            super().__init__()
            self.extractor = extractor

    extractor = ModelFeatures(small(), "features")
    x = images(3, 6, 5, 2)
    before = extractor(x)  # traced: a compiled function cannot be copied
    twin = copy.deepcopy(Callback(extractor))
    assert twin.extractor is extractor
    keras.backend.clear_session()
    np.testing.assert_array_equal(twin.extractor(x), before)


def test_repeated_calls_do_not_retrace_or_leak():
    traces = [0]

    class Spy(layers.Layer):
        def call(self, inputs):
            traces[0] += 1
            return inputs

    model = keras.Sequential([keras.Input((4, 4, 1)), Spy(), layers.Flatten()])
    extractor = ModelFeatures(model, batch_size=8)
    # TensorFlow finds out that the number of rows varies, JAX compiles for each, torch not at all.
    most = {"tensorflow": 3, "jax": 4, "torch": math.inf}[BACKEND]
    traces[0] = 0
    rows = [images(count, 4, 4, 1) for count in (20, 8, 3, 17, 1)]  # batches of 8, 4, 3 and 1
    for x in rows:
        extractor(x)
    assert 0 < traces[0] <= most
    gc.collect()
    objects, pages = len(gc.get_objects()), resident()
    for number in range(300):
        extractor(rows[number % 5])
    gc.collect()
    assert traces[0] <= most
    assert len(gc.get_objects()) - objects < 100
    assert resident() - pages < 4 << 20


def resident():
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Refusals

GOOD = images(2, 6, 5, 2)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            GOOD * 2,
            r"'small/features' expects values in \[0, 1\], but these reach from .* to 1\.9\d+\. ",
        ),
        (GOOD - 1, r"expects values in \[0, 1\].*\(-1, 1\) for a generator that ends in tanh"),
        (GOOD * np.nan, "some are NaN or infinite: the generator may have diverged"),
        (np.where(GOOD > 0.9, -np.inf, GOOD), "some are NaN or infinite"),
        (GOOD[0], r"expects samples of shape \(6, 5, 2\)\. Received: \(5, 2\)"),
        (GOOD[:0], r"no axis of length 0\. Received shape: \(0, 6, 5, 2\)"),
        (
            GOOD[:, :5],
            r"expects samples of shape \(6, 5, 2\)\. Received: \(5, 5, 2\)\. A `resizer`, such",
        ),
    ],
)
def test_invalid_images(x, message):
    extractor = ModelFeatures(small(), "features")
    for method in (extractor, extractor.probabilities):
        with pytest.raises(ValueError, match=message):
            method(x)


def test_color_is_not_converted_to_grayscale():
    with pytest.raises(
        ValueError, match=r"Received: \(4, 4, 3\)\..*does not convert color to grayscale"
    ):
        ModelFeatures(flat((4, 4, 1)), resizer="bilinear")(images(2, 4, 4, 3))


def test_rounding_beyond_the_range_is_no_error():
    x = np.full((1, 2, 2, 1), np.nextafter(np.float32(1), np.float32(2)))
    assert Pixels((2, 2, 1))(x).shape == (1, 4)


def test_non_numeric_arrays():
    with pytest.raises(TypeError, match="`samples` must hold real numbers. Received: dtype <U1"):
        Pixels((1, 1, 1))(np.array("a").reshape(1, 1, 1, 1))


def test_pixels_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"samples of shape \(2, 2, 1\)\. Received: \(2, 2, 3\)"):
        Pixels((2, 2, 1))(images(1, 2, 2, 3))
    for shape in ((2, 2), 3):
        with pytest.raises(ValueError, match=r"`shape` must be \(height, width, channels\).*`Identity`"):
            Pixels(shape)
    for family in (Identity, Pixels):
        with pytest.raises(ValueError, match="`shape` must be an integer >= 1, or a tuple of them"):
            family((2, 2, 0))
        with pytest.raises(TypeError, match="`shape` must be an integer >= 1, or a tuple of them"):
            family((2, 2, 1.5))


@pytest.mark.parametrize(
    "extractor",
    [
        lambda: Pixels((6, 5, 2)),
        lambda: ModelFeatures(small(classes=1), "features"),
        lambda: ModelFeatures(small(activation="sigmoid"), "features"),
        lambda: ModelFeatures(maps(), "maps"),
    ],
)
def test_probabilities_of_a_model_that_does_not_classify(extractor):
    with pytest.raises(TypeError, match="is not a classifier.*`DigitClassifier` or `InceptionV3`"):
        extractor().probabilities(GOOD)


def maps():
    return keras.Sequential([keras.Input((6, 5, 2)), layers.Conv2D(3, 3, name="maps")])


def dense():
    return keras.Sequential([keras.Input((4,)), layers.Dense(2)])


def two_inputs():
    x, y = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    return keras.Model([x, y], x + y, name="two")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "feature"}, "Unknown layer of 'small' 'feature'. Did you mean 'features'"),
        ({"batch_size": 0}, "`batch_size` must be an integer >= 1.* Received: 0"),
        ({"resizer": "bilinea"}, "`resizer` must be one of 'nearest', 'bilinear'.*'bilinea'"),
        ({"value_range": (1, 0)}, "`value_range` must be two finite numbers"),
        ({"input_range": (1, 0)}, "`input_range` must be two finite numbers"),
        ({"input_range": (0, 1), "value_range": None}, "`input_range` needs a `value_range`"),
        ({"resizer": "nearest", "value_range": None}, "A `resizer` needs .*`value_range=None`"),
        ({"model": dense(), "resizer": "nearest"}, r"A `resizer` needs .* input shape \(4,\)"),
        ({"model": two_inputs()}, r"map one batch of samples.*'two' takes \[\(None, 4, 4, 1\), \(None"),
        (
            {"model": keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 3)])},
            r"depends on the size of the samples: \(None, None, None, 2\).*global pooling",
        ),
        (
            {
                "model": keras.Sequential([keras.Input((None, None, 1)), layers.GlobalMaxPooling2D()]),
                "resizer": "bilinear",
            },
            r"needs a model of images of one size .* input shape \(None, None, 1\)",
        ),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ModelFeatures(**({"model": small()} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": True}, "`batch_size` must be an integer >= 1.* Received: True"),
        ({"batch_size": 1.5}, "`batch_size` must be an integer >= 1.* Received: 1.5"),
        ({"resizer": 3}, "`resizer` must be one of 'nearest'.* Received: 3"),
        ({"value_range": 1}, "`value_range` must be two finite numbers"),
        ({"input_range": (0,)}, "`input_range` must be two finite numbers"),
        ({"name": 3}, "`name` must be a string. Received: 3"),
        ({"layer": ["features"]}, "`layer` must be a string. Received"),
    ],
)
def test_invalid_types(arguments, message):
    with pytest.raises(TypeError, match=message):
        ModelFeatures(small(), **arguments)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("model", [keras.Sequential([layers.Dense(3)]), Subclassed(), "model.keras"])
def test_invalid_models(model):
    with pytest.raises(
        TypeError, match="`model` must be a functional or sequential Keras model that knows.*Received: "
    ):
        ModelFeatures(model)


def test_base_class_is_abstract():
    with pytest.raises(NotImplementedError, match="FeatureExtractor must define `__call__`"):
        FeatureExtractor()(GOOD)


# The classifier of digits


def test_classifier_parameter_count():
    model = kg.architectures.digit_classifier()
    # 28 → 26 → 13 → 11 → 5
    expected = (9 * 1 + 1) * 32 + (9 * 32 + 1) * 64 + (5 * 5 * 64 + 1) * 64 + (64 + 1) * 10
    assert model.count_params() == expected == 121_930
    assert model.input_shape == (None, 28, 28, 1)


def test_classifier_depends_on_its_seed():
    first, second, third = (kg.architectures.digit_classifier(seed=seed) for seed in (1, 1, 2))
    assert DigitClassifier(first).weights == DigitClassifier(second).weights
    assert DigitClassifier(first).weights != DigitClassifier(third).weights


def test_saved_classifier_recognizes_digits():
    """Among these 5,000 digits of MNIST are some that it was trained on: a test of the file only."""
    x, digits = kg.datasets.load_arrays("mnist5k", labels=True)
    extractor = DigitClassifier(SAVED)
    probabilities = extractor.probabilities(x)
    assert np.mean(probabilities.argmax(axis=1) == digits) >= 0.99
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert extractor(x[:10]).shape == (10, 64)
    assert (extractor.name, extractor.size) == ("digit classifier", 64)
    assert extractor.weights in (ROOT / "saved_models" / "README.md").read_text()
    tanh = DigitClassifier(SAVED, value_range=(-1, 1))
    np.testing.assert_allclose(tanh(2 * x[:10] - 1), extractor(x[:10]), atol=1e-4)


def test_classifier_of_the_package_by_name():
    assert DigitClassifier("digit_classifier").weights == DigitClassifier(SAVED).weights


def test_saved_classifier_is_small_and_has_no_optimizer():
    assert SAVED.stat().st_size < 1_000_000
    assert not keras.saving.load_model(SAVED).compiled


@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason=f"needs MNIST, prepared in {DATA}")
def test_the_saved_classifier_on_the_test_set_of_mnist():
    x, digits = kg.datasets.load_arrays("mnist", "test", labels=True, data_dir=DATA)
    found = DigitClassifier(SAVED).probabilities(x).argmax(axis=1)
    assert np.mean(found == digits) == pytest.approx(0.9933, abs=2e-4)


def test_unknown_classifiers(tmp_path):
    with pytest.raises(ValueError, match="There is no file '.*no.keras'.*must be 'digit_classifier'"):
        DigitClassifier(tmp_path / "no.keras")
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(
        ValueError, match="`model` must be the path of a Keras model, which '.*text.keras' is not: "
    ):
        DigitClassifier(str(tmp_path / "text.keras"))
    with pytest.raises(ValueError, match="Unknown layer of .* 'features'"):
        DigitClassifier(flat((28, 28, 1)))


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.jax
def test_the_example_trains_a_classifier(tmp_path, capsys):
    path = ROOT / "examples" / "train_digit_classifier.py"
    spec = importlib.util.spec_from_file_location("train_digit_classifier", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.main(["--epochs", "1", "--output", str(tmp_path / "out")])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["digit_classifier.keras"]
    extractor = DigitClassifier(tmp_path / "out" / "digit_classifier.keras")
    x, digits = kg.datasets.load_arrays("mnist5k", "train[4500:]", labels=True)
    accuracy = np.mean(extractor.probabilities(x).argmax(axis=1) == digits)
    assert accuracy > 0.8
    assert f"test images: {accuracy:.2%}" in capsys.readouterr().out


# Inception


@pytest.mark.slow
def test_inception_with_random_weights():
    keras.config.set_dtype_policy("mixed_float16")  # must not matter
    extractor = InceptionV3(weights="random", seed=3, value_range=(-1, 1))
    assert keras.config.dtype_policy().name == "mixed_float16"
    x = images(2, 32, 32, 1, low=-1)
    found = extractor(x)
    assert found.shape == (2, extractor.size) == (2, 2048)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.std() > 0
    color = np.stack([pillow(image, (299, 299), "BILINEAR") for image in x]).repeat(3, axis=-1)
    np.testing.assert_allclose(extractor(color), found, rtol=1e-4, atol=1e-4)
    # The classes are one dense layer away from the pooled features.
    kernel, bias = map(np.float64, extractor.model.layers[-1].get_weights())
    probabilities = extractor.probabilities(x)
    assert probabilities.shape == (2, 1000)
    np.testing.assert_allclose(probabilities, softmax(found @ kernel + bias), rtol=1e-3, atol=1e-6)
    black_and_white = np.array([0.0, 255.0])
    preprocessed = keras.applications.inception_v3.preprocess_input(black_and_white)
    np.testing.assert_allclose(extractor.input_range, preprocessed)
    assert extractor.name == "keras inception_v3 with random weights of seed 3"
    assert extractor.resizer == "bilinear antialiased to 299×299, grayscale repeated, if needed"
    kernel = keras.ops.convert_to_numpy(extractor.model.weights[0])  # 3 × 3 × 3 × 32
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / 27), rtol=0.1)
    assert extractor.model.count_params() == 23_851_784  # as the documentation of Keras says


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("A download was tried.")

    monkeypatch.setattr(keras.utils, "get_file", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)


def test_missing_weights_of_inception_raise_immediately(tmp_path, monkeypatch, no_network):
    def refuse(*args, **kwargs):
        raise AssertionError("The network was built before the weights were looked for.")

    monkeypatch.setattr(keras.applications, "InceptionV3", refuse)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"
    with pytest.raises(ValueError, match=f"not on this machine: there is no .*models/{file}.*`weights`"):
        InceptionV3()
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ValueError, match=f"there is no {tmp_path}/.keras/models/{file}"):
        InceptionV3()
    with pytest.raises(
        ValueError, match="no file 'no.h5' with weights.*`weights` must be 'imagenet', 'random'"
    ):
        InceptionV3("no.h5")


@pytest.mark.parametrize("weights", [None, 3])
def test_invalid_weights_of_inception(weights):
    with pytest.raises(TypeError, match=f"Received: {weights}. The untrained network.*is 'random' here"):
        InceptionV3(weights)
    with pytest.raises(ValueError, match="`seed` must be an integer >= 0. Received: -1"):
        InceptionV3("random", seed=-1)


def test_cache_folder_matches_keras():
    """Keras' own constants: the file that it would download, and its folder."""
    from keras.src.applications import inception_v3

    assert inception_v3.WEIGHTS_PATH.endswith("/" + inception.WEIGHTS_FILE)


def test_weights_of_inception_are_read_from_a_file(tmp_path, monkeypatch, no_network):
    """With a small net in the place of Inception, which would take a minute to write and read."""

    def tiny(weights):
        inputs = keras.Input((9, 9, 3))
        pooled = layers.GlobalAveragePooling2D(name="avg_pool")(layers.Conv2D(4, 3)(inputs))
        return keras.Model(inputs, layers.Dense(6, "softmax")(pooled))

    monkeypatch.setattr(keras.applications, "InceptionV3", tiny)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / inception.WEIGHTS_FILE
    model = tiny(None)
    model.save(path)
    given, cached = InceptionV3(path), InceptionV3("imagenet")
    assert given.weights == cached.weights == ModelFeatures(model).weights
    assert given.name == cached.name == "keras inception_v3"
    path.write_bytes(b"no weights")
    with pytest.raises(
        ValueError, match="does not contain the weights of InceptionV3 with its classifier"
    ):
        InceptionV3()


@pytest.mark.parametrize("metric", [kg.metrics.InceptionScore, kg.metrics.StackedDigits])
def test_class_metrics_require_an_extractor_with_classes(metric):
    with pytest.raises(TypeError, match=f"{metric.__name__} needs a classifier.*named 'pixels'"):
        metric(kg.metrics.Pixels((8, 8, 1)))

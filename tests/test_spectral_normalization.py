"""Spectral normalization: against NumPy's SVD, the closed form of its gradient, and one move a step."""

import keras
import numpy as np
import pytest
from helpers.games import EAGERLY, weight_gradients
from keras import layers, ops

import keras_gan as kg
from keras_gan.layers import SpectralNormalization

RNG = np.random.default_rng(0)


def float64(value):
    return np.asarray(ops.convert_to_numpy(value), "float64")


def matrix(layer):
    """Return the kernel in float64 as a matrix whose columns are outputs."""
    kernel = float64(layer.layer.weights[0])
    if isinstance(layer.layer, layers.Conv2DTranspose):
        kernel = np.moveaxis(kernel, -2, -1)
    return kernel.reshape(-1, kernel.shape[-1])


def iterated(w, u):
    """Return u and v after a power iteration, in float64."""
    v = w @ (u / np.linalg.norm(u))
    v /= np.linalg.norm(v)
    u = w.T @ v
    return u / np.linalg.norm(u), v


LAYERS = {
    "dense": (lambda: layers.Dense(7), (5,)),
    "convolution": (lambda: layers.Conv2D(6, 3), (8, 8, 3)),
    "transposed": (lambda: layers.Conv2DTranspose(6, 3), (8, 8, 3)),
    "embedding": (lambda: layers.Embedding(9, 4), ()),
}


def built(name):
    make, shape = LAYERS[name]
    layer = SpectralNormalization(make())
    layer.build((None, *shape))
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_sigma_is_the_largest_singular_value(name):
    layer = built(name)
    for _ in range(300):
        layer.step()
    expected = np.linalg.svd(matrix(layer), compute_uv=False)[0]
    np.testing.assert_allclose(float64(layer.sigma()), expected, rtol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_are_those_of_the_divided_kernel(name):
    layer = built(name)
    shape = LAYERS[name][1]
    x = RNG.integers(0, 9, 4) if name == "embedding" else RNG.normal(size=(4, *shape)).astype("float32")
    divided = LAYERS[name][0]()
    divided.build((None, *shape))
    kernel, *others = layer.layer.get_weights()
    divided.set_weights([kernel / float64(layer.sigma()), *others])
    np.testing.assert_allclose(float64(layer(x)), float64(divided(x)), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.layer.get_weights()[0], kernel)  # Keras' layer replaces it


def test_gradient_passes_through_sigma():
    """d/dW of ⟨C, x W/σ⟩ is (xᵀC − ⟨xᵀC, W/σ⟩ vuᵀ)/σ, with u and v constant."""
    layer = built("dense")
    x, c = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 7))
    model = keras.Sequential([keras.Input((5,)), layer])
    x32, c32 = x.astype("float32"), c.astype("float32")
    (found,) = weight_gradients(lambda: ops.sum(ops.multiply(model(x32), c32)), [layer.layer.kernel])
    w = matrix(layer)
    u, v = iterated(w, float64(layer.u))
    sigma = v @ w @ u
    outer = x.T @ c
    expected = (outer - np.sum(outer * w / sigma) * np.outer(v, u)) / sigma
    np.testing.assert_allclose(float64(ops.stop_gradient(found)), expected, rtol=1e-3, atol=1e-4)
    without = outer / sigma  # as if sigma were constant
    assert np.abs(without - expected).max() > 0.01


def normalized_gan(**options):
    keras.utils.set_random_seed(0)
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    hidden = [SpectralNormalization(layers.Dense(6)), layers.LeakyReLU(0.2)]
    last = SpectralNormalization(layers.Dense(1))
    gan = kg.GAN(generator, keras.Sequential([keras.Input((2,)), *hidden, last]), prior="normal", seed=0)
    # Networks that do not move: the number of power iterations is known from u alone.
    still = {f"{player}_optimizer": keras.optimizers.SGD(0.0) for player in "dg"}
    gan.compile(**still, run_eagerly=EAGERLY, **options)
    return gan, gan.discriminator.layers[0]


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("k", [1, 3])
def test_u_moves_once_in_each_discriminator_step(k, update):
    penalties = [kg.terms.GradientPenalty(1.0)]
    gan, layer = normalized_gan(discriminator_steps=k, terms=penalties, update=update)
    x = RNG.normal(size=(6, 2)).astype("float32")
    u = float64(layer.u)
    gan.train_on_batch(x)
    for _ in range(k):
        u, _ = iterated(matrix(layer), u)
    np.testing.assert_allclose(float64(layer.u), u, rtol=1e-4, atol=1e-5)
    gan.test_on_batch(x)
    gan.generate(3, seed=0)
    np.testing.assert_allclose(float64(layer.u), u, rtol=1e-4, atol=1e-5)


def test_u_moves_in_each_pass_of_a_model_of_keras():
    layer = built("dense")
    model = keras.Sequential([keras.Input((5,)), layer])
    u, _ = iterated(matrix(layer), float64(layer.u))
    model(np.ones((2, 5), "float32"), training=True)
    np.testing.assert_allclose(float64(layer.u), u, rtol=1e-4, atol=1e-5)
    model(np.ones((2, 5), "float32"))
    np.testing.assert_allclose(float64(layer.u), u, rtol=1e-4, atol=1e-5)


def test_saved_and_loaded(tmp_path):
    gan, layer = normalized_gan(ema_decay=0.9)
    x = RNG.normal(size=(6, 2)).astype("float32")
    gan.train_on_batch(x)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(float64(loaded.discriminator.layers[0].u), float64(layer.u))
    assert loaded.discriminator.layers[0].moves_in_calls is False
    np.testing.assert_array_equal(*(each.train_on_batch(x) for each in (gan, loaded)))


def test_mixed_precision_normalizes_the_rounded_kernel():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = built("dense")
    for _ in range(100):
        layer.step()
    outputs = float64(layer(np.eye(5, dtype="float32")))  # the kernel that the layer multiplies by
    assert layer.u.dtype == "float32"
    np.testing.assert_allclose(np.linalg.svd(outputs, compute_uv=False)[0], 1.0, atol=0.01)


def test_layer_without_a_kernel():
    with pytest.raises(ValueError, match="requires a layer with a kernel or embeddings. Received: ReLU"):
        SpectralNormalization(layers.ReLU()).build((None, 3))


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_layer_of_keras_is_named_with_its_replacement(player):
    """Nested in another network too; ours gives no warning."""
    keras_layer = layers.SpectralNormalization(layers.Dense(2), name="from_keras")
    nested = keras.Sequential([keras.Input((2,)), keras_layer])
    networks = {
        name: keras.Sequential(
            [
                keras.Input((2,)),
                SpectralNormalization(layers.Dense(2)),
                *([nested] if name == player else []),
                layers.Dense(units),
            ]
        )
        for name, units in {"generator": 2, "discriminator": 1}.items()
    }
    gan = kg.GAN(**networks, prior="normal", seed=0)
    message = r"overwrites its kernel.*`kg.layers.SpectralNormalization`.*Received: from_keras$"
    with pytest.warns(UserWarning, match=message) as warned:
        gan.compile("sgd", "sgd")
    assert [warning.filename for warning in warned] == [__file__]

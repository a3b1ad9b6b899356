"""An optimizer's update that XLA compiles alone: the same step, and only where it pays."""

import keras
import numpy as np
import pytest
from helpers.games import mlp
from keras import ops

import keras_gan as kg
from keras_gan import backend

pytestmark = pytest.mark.tensorflow
DECAY = keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(DECAY, epsilon=1e-3, clipnorm=0.5),
    "adamw": lambda: keras.optimizers.AdamW(0.01, epsilon=1e-3, use_ema=True, ema_overwrite_frequency=2),
    "momentum": lambda: kg.optimizers.MomentumSGD(
        DECAY, kg.optimizers.EpochRamp(0.5, 0.7, first_epoch=1, last_epoch=3, steps_per_epoch=2)
    ),
}


@pytest.fixture
def compiled(monkeypatch):
    """Let small networks count as large, and return the list of what XLA is given."""
    tf = backend.tensorflow.tf
    asked, function = [], tf.function

    def spy(*args, **kwargs):
        asked.append(kwargs.get("jit_compile"))
        return function(*args, **kwargs)

    monkeypatch.setattr(backend.tensorflow, "_WORTH_FUSING", 1)
    monkeypatch.setattr(tf, "function", spy)
    return asked


def trained(*names, **settings):
    gan = kg.GAN(mlp(4, 2, name="g"), mlp(2, 1, name="d"), prior="normal", seed=0)
    gan.compile(*(OPTIMIZERS[name]() for name in names), **settings)
    rows = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
    gan.fit(rows, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return [ops.convert_to_numpy(v) for v in [*gan.weights, *gan.optimizer.variables]]


@pytest.mark.parametrize(
    ("update", "d_name", "g_name"),
    [
        ("alternating", "sgd", "adam"),
        ("alternating", "adamw", "momentum"),
        ("extragradient", "adam", "adamw"),
        pytest.param("extragradient", "momentum", "sgd", marks=pytest.mark.slow),
    ],
)
def test_fused_step_equals_the_plain_one(update, d_name, g_name, compiled):
    keras.utils.set_random_seed(1)
    plain = trained(d_name, g_name, update=update, jit_compile=False)
    assert True not in compiled
    keras.utils.set_random_seed(1)
    fused = trained(d_name, g_name, update=update)
    assert compiled.count(True) == {"alternating": 2, "extragradient": 4}[update]
    for mine, expected in zip(fused, plain, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)


def test_loss_scale_skips_overflowing_steps(compiled):
    keras.config.set_dtype_policy("mixed_float16")
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), prior="normal", seed=0)
    scaled = [
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=scale)
        for scale in (2.0**30, 2.0**10)
    ]
    gan.compile(*scaled)
    gan.fit(np.ones((80, 2), "float32"), batch_size=8, verbose=0)
    assert True in compiled
    skipped = [10 - int(o.iterations) for o in scaled]
    assert skipped[0] > 0 == skipped[1]
    assert [float(o.dynamic_scale) for o in scaled] == [2.0 ** (30 - skipped[0]), 2.0**10]


def test_gradients_of_embeddings_are_fused(compiled):
    word = keras.Input((), dtype="int32")
    latents = keras.Input((4,))
    joined = keras.layers.Concatenate()([latents, keras.layers.Embedding(5, 3)(word)])
    generator = keras.Model([latents, word], keras.layers.Dense(2)(joined))
    samples = keras.Input((2,))
    joined = keras.layers.Concatenate()([samples, keras.layers.Embedding(5, 3)(word)])
    discriminator = keras.Model([samples, word], keras.layers.Dense(1)(joined))
    gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
    gan.compile("adam", "adam")
    gan.fit(np.ones((8, 2), "float32"), np.arange(8) % 5, batch_size=8, verbose=0)
    assert compiled.count(True) == 2


def test_small_networks_are_not_fused(compiled, monkeypatch):
    monkeypatch.setattr(backend.tensorflow, "_WORTH_FUSING", 10**6)
    trained("sgd", "sgd")
    assert True not in compiled


def test_no_weight_moves_before_all_gradients_are_known():
    """An assignment that does not wait may change what the operations behind another gradient read."""
    import tensorflow as tf

    variables, optimizers = [keras.Variable([2.0]), keras.Variable([3.0])], [keras.optimizers.SGD()]

    @tf.function
    def step():
        def objective():
            product = variables[0] * variables[1]
            return [ops.sum(ops.square(product))], {"log": ops.sum(product)}

        ((one, other),), _, logs = backend.gradients(objective, [variables], optimizers)
        assert _before(one.op) == _before(other.op)
        assert logs["log"].op in _before(one.op)
        return one, other

    np.testing.assert_allclose(step(), [[2 * 2 * 9], [2 * 3 * 4]])


def _before(operation):
    """Return all operations that an operation waits for, but for its own input."""
    found, left = set(), list(operation.control_inputs)
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += [*one.control_inputs, *(tensor.op for tensor in one.inputs)]
    assert len(found) > 4
    return found

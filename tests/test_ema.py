"""The average of the generator's weights: what it is, what it makes, and that files keep it."""

import re

import keras
import numpy as np
import pytest
from helpers.games import mlp, number, small_gan
from keras import ops
from PIL import Image

import keras_gan as kg


@pytest.fixture
def x(rng):
    return rng.normal(size=(40, 2)).astype("float32")


def fit(gan, x, **kwargs):
    return gan.fit(x, batch_size=10, shuffle=False, verbose=0, **kwargs)


class Recorder(keras.callbacks.Callback):
    """Keeps the generator's weights after every step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append([np.float64(w) for w in self.model.generator.get_weights()])


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.9999])
def test_ema_is_the_weighted_mean_of_the_weights_after_each_step(decay, x):
    gan, recorder = small_gan(batch_norm=True, ema_decay=decay, run_eagerly=decay != 0.9), Recorder()
    fit(gan, x, epochs=5, callbacks=[recorder])
    shares = decay ** np.arange(len(recorder.seen))[::-1]
    columns = zip(*recorder.seen, strict=True)
    expected = [np.average(np.stack(column), axis=0, weights=shares) for column in columns]
    assert len(recorder.seen) == 20
    assert len(gan.ema.variables) == len(gan.generator.weights) > 4  # batch-norm statistics too
    for average, value in zip(gan.ema.variables, expected, strict=True):
        np.testing.assert_allclose(average, value, rtol=1e-5, atol=1e-7)


def test_use_ema_generates_with_the_ema_weights(x):
    gan = small_gan(batch_norm=True, ema_decay=0.9)
    fit(gan, x, epochs=3)
    before = gan.generate(7, seed=1)
    use_ema = gan.generate(7, seed=1, use_ema=True, batch_size=3)
    np.testing.assert_array_equal(gan.generate(7, seed=1), before)  # the generator is as it was
    gan.ema.assign_to_networks()
    for weight, average in zip(gan.generator.weights, gan.ema.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), ops.convert_to_numpy(average))
    np.testing.assert_allclose(use_ema, gan.generate(7, seed=1), rtol=1e-6, atol=1e-7)
    assert np.abs(use_ema - before).max() > 1e-3


def test_ema_does_not_change_training(x):
    with_average, without = small_gan(ema_decay=0.9), small_gan()
    assert fit(with_average, x, epochs=2).history == fit(without, x, epochs=2).history


def test_ema_is_saved(x, tmp_path):
    gan = small_gan(batch_norm=True, ema_decay=0.9)
    fit(gan, x, epochs=2)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert loaded.ema.decay == 0.9
    for each in (gan, loaded):
        fit(each, x, epochs=1)
    np.testing.assert_array_equal(
        loaded.generate(5, seed=1, use_ema=True), gan.generate(5, seed=1, use_ema=True)
    )


def test_use_ema_with_a_condition():
    condition = keras.Input((3,))
    latents, samples = keras.Input((4,)), keras.Input((2,))
    concatenate, dense = keras.layers.Concatenate, keras.layers.Dense
    generator = keras.Model([latents, condition], dense(2)(concatenate()([latents, condition])))
    discriminator = keras.Model([samples, condition], dense(1)(concatenate()([samples, condition])))
    gan = kg.GAN(generator, discriminator, seed=0)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), ema_decay=0.5)
    assert gan.generate(5, seed=0, condition=np.ones((5, 3)), use_ema=True).shape == (5, 2)


@pytest.mark.parametrize("decay", [-0.1, 0, 1.0, 2, "0.9", [0.9]])
def test_invalid_decay_raises(decay):
    message = rf"`ema_decay` must be a finite number > 0 and < 1. Received: {re.escape(repr(decay))}"
    with pytest.raises((TypeError, ValueError), match=message):
        small_gan(ema_decay=decay)


def test_use_ema_without_an_ema_raises_with_advice():
    gan = small_gan()
    with pytest.raises(ValueError, match=r"requires an EMA .* `gan.compile\(\.\.\., ema_decay=0.999\)`"):
        gan.generate(3, use_ema=True)
    with pytest.raises(ValueError, match="requires an EMA"):
        kg.GAN(mlp(4, 2), mlp(2, 1)).generate(3, use_ema=True)


def test_callbacks_use_the_ema(rng, tmp_path):
    shape = (8, 8, 1)
    dense, reshape = keras.layers.Dense, keras.layers.Reshape
    generator = keras.Sequential([keras.Input((4,)), dense(64, "sigmoid"), reshape(shape)])
    discriminator = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), dense(1)])
    gan = kg.GAN(generator, discriminator, seed=0)
    gan.compile(keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.1), ema_decay=0.999)
    images = rng.random((40, *shape)).astype("float32")

    def mean(real, fake):
        return fake.mean()

    watch = {"use_ema": True}
    history = fit(
        gan,
        images,
        epochs=2,
        callbacks=[
            kg.callbacks.EvaluateSamples(mean, images, num_samples=20, seed=3, **watch),
            kg.callbacks.ParzenLogLikelihood(images, num_samples=20, seed=3, **watch),
            kg.callbacks.SampleGrid(tmp_path / "grid", rows=2, columns=2, seed=3, **watch),
            kg.callbacks.LatentInterpolation(tmp_path / "path", rows=1, steps=2, seed=3, **watch),
        ],
    ).history
    last, use_ema = (gan.generate(20, seed=3, use_ema=a) for a in (False, True))
    assert history["val_mean"][-1] == pytest.approx(use_ema.mean(), rel=1e-6)
    assert np.abs(last - use_ema).max() > 1e-2
    measure = kg.metrics.ParzenWindow(images[::2])
    expected = measure(images[1::2], use_ema).log_likelihood
    assert history["val_parzen_log_likelihood"][-1] == pytest.approx(expected, rel=1e-5)
    for folder, shown in (
        ("grid", use_ema[:4].reshape(2, 2, 8, 8)),
        ("path", use_ema[None, :2, ..., 0]),
    ):
        levels = kg.visualization.to_uint8(shown.reshape(-1, *shape), (0, 1))
        picture = kg.visualization.image_grid(levels, *shown.shape[:2])
        with Image.open(tmp_path / folder / "epoch-0002.png") as image:
            np.testing.assert_array_equal(np.asarray(image), picture)


@pytest.mark.parametrize("policy", ["bfloat16", "float16", "mixed_bfloat16"])
def test_low_precision_does_not_round_small_updates_away(policy):
    keras.config.set_dtype_policy(policy)
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    average = kg.models.WeightEMA(network, decay=0.999)
    for t in range(1, 601):
        network.layers[0].kernel.assign([[float(t > 400)]])
        average.update(t)
    expected = (1 - 0.999**200) / (1 - 0.999**600)
    assert number(average.variables[0]) == pytest.approx(expected, rel=1e-3)
    with average.applied():
        assert number(network(np.ones((1, 1)))) == pytest.approx(expected, rel=1e-2)


@pytest.mark.tensorflow
@pytest.mark.jax  # torch has no `steps_per_execution`
def test_ema_does_not_depend_on_steps_per_execution(x):
    ways = [{"steps_per_execution": n, "discriminator_steps": 2} for n in (1, 2)]
    averages = []
    for way in ways:
        gan = small_gan(ema_decay=0.9, run_eagerly=False, **way)
        fit(gan, x, epochs=2)
        averages.append(gan.generate(5, seed=0, use_ema=True))
    np.testing.assert_allclose(*averages, rtol=1e-5, atol=1e-6)

"""Learned inference: closed forms of a linear generator, and BiGAN on a grid of Gaussians."""

import keras
import numpy as np
import pytest
from helpers.games import EAGERLY
from keras import layers, ops

import keras_gan as kg

A, B = np.array([[1.0, 0.5], [-0.3, 2.0]]), np.array([1.0, -2.0])


def linear_gan():
    """Return a GAN with G(z) = zA + b."""
    generator = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    generator.set_weights([A, B])
    discriminator = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    return kg.GAN(generator, discriminator, prior="normal", seed=0)


def relative_error(encoder, gan):
    """Return ‖z − E(G(z))‖² / ‖z‖² of new latents."""
    z = np.random.default_rng(1).normal(size=(1000, 2)).astype("float32")
    codes = ops.convert_to_numpy(encoder(gan.generate(latents=z)))
    return np.sum((z - codes) ** 2) / np.sum(z**2)


def test_encoder_inverts_a_linear_generator():
    gan = linear_gan()
    encoder = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    control = relative_error(encoder, gan)
    before = gan.generator.get_weights()
    kg.models.fit_encoder(gan, encoder, steps=200, optimizer=keras.optimizers.Adam(0.05))
    assert relative_error(encoder, gan) < 0.02
    assert control > 0.2
    inverse = np.linalg.inv(A)
    kernel, bias = encoder.get_weights()
    np.testing.assert_allclose(kernel, inverse, atol=0.05)
    np.testing.assert_allclose(bias, -B @ inverse, atol=0.1)
    for value, wanted in zip(gan.generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_encoders_are_reproducible():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        encoder = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
        kg.models.fit_encoder(linear_gan(), encoder, steps=5, seed=3)
        weights.append(encoder.get_weights()[0])
    np.testing.assert_array_equal(*weights)


def test_encoder_of_other_latents():
    encoder = keras.Sequential([keras.Input((2,)), layers.Dense(3)])
    message = r"must return latents of the generator. Expected the shape \(2,\), received \(3,\)"
    with pytest.raises(ValueError, match=message):
        kg.models.fit_encoder(linear_gan(), encoder)
    with pytest.raises(ValueError, match=message):
        bigan(encoder)


def test_encoder_without_latents_to_recover():
    generator = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    x, c = keras.Input((2,)), keras.Input((2,))
    judge = keras.Model([x, c], layers.Dense(1)(layers.Concatenate()([x, c])))
    gan = kg.GAN(generator, judge, prior=None, seed=0)
    with pytest.raises(ValueError, match="requires a GAN with a prior and without conditions"):
        kg.models.fit_encoder(gan, keras.Sequential([keras.Input((2,)), layers.Dense(2)]))


# BiGAN and ALI


def mlp(inputs, outputs, units=64):
    h = layers.Concatenate()(inputs) if isinstance(inputs, list) else inputs
    for _ in range(2):
        h = layers.LeakyReLU(0.2)(layers.Dense(units)(h))
    return keras.Model(inputs, layers.Dense(outputs)(h))


def distribution(units=8):
    """Return an encoder that draws its codes."""
    x = keras.Input((2,))
    h = layers.Dense(units, "tanh")(x)
    heads = {name: layers.Dense(2, name=name)(h) for name in ("mean", "log_variance")}
    return keras.Model(x, heads)


def bigan(encoder, units=8, **options):
    discriminator = mlp([keras.Input((2,)), keras.Input((2,))], 1, units)
    generator = mlp(keras.Input((2,)), 2, units)
    return kg.models.BiGAN(generator, discriminator, encoder, prior="normal", seed=0, **options)


def test_losses_of_bigan():
    """D's loss of the pairs, and G's and E's: the same with the pairs exchanged."""
    keras.utils.set_random_seed(0)
    gan = bigan(mlp(keras.Input((2,)), 2, 8))
    gan.compile("sgd", "sgd", run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
    logs = gan.test_on_batch(x, return_dict=True)
    again = bigan(gan.encoder)  # the noise of validation begins again
    latents = again.draw(6, again.validation_noise)
    x = ops.convert_to_tensor(x)
    pairs = [x, gan.encoder(x)], [gan.generator(latents), latents]
    logits = [ops.stop_gradient(gan.discriminator(pair)) for pair in pairs]
    real, fake = (np.asarray(ops.convert_to_numpy(each), "float64") for each in logits)
    d_loss = np.mean(np.log1p(np.exp(-real))) + np.mean(np.log1p(np.exp(fake)))
    g_loss = np.mean(np.log1p(np.exp(real))) + np.mean(np.log1p(np.exp(-fake)))
    np.testing.assert_allclose([logs["d_loss"], logs["g_loss"]], [d_loss, g_loss], rtol=1e-5)


@pytest.mark.parametrize("encoder", [lambda: mlp(keras.Input((2,)), 2, 8), distribution])
def test_codes_and_reconstructions(encoder, tmp_path):
    gan = bigan(encoder())
    gan.compile("sgd", "sgd", ema_decay=0.9, run_eagerly=EAGERLY)
    x = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
    gan.fit(x, batch_size=3, verbose=0)
    output = gan.encoder(x)
    mean = ops.convert_to_numpy(output["mean"] if isinstance(output, dict) else output)
    np.testing.assert_allclose(gan.encode(x, batch_size=4), mean, rtol=1e-5, atol=1e-6)
    expected = gan.generate(latents=gan.encode(x))
    np.testing.assert_allclose(gan.reconstruct(x, batch_size=4), expected, rtol=1e-5, atol=1e-6)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    averaged = [each.reconstruct(x, use_ema=True) for each in (gan, loaded)]
    np.testing.assert_array_equal(*averaged)
    assert not np.allclose(averaged[0], expected)


@pytest.mark.parametrize("weight", [0, 0.1, 1])
def test_anomaly_scores(weight):
    """NumPy's sum of the two parts, with the statistics of training; a gross anomaly scores highest."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((2,)), layers.Dense(2), layers.BatchNormalization()])
    gan = bigan(encoder)
    gan.compile("sgd", "sgd", ema_decay=0.9, run_eagerly=EAGERLY)
    x = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
    gan.fit(x, batch_size=3, verbose=0)
    for use_ema in (False, True):
        codes = gan.encode(x, use_ema=use_ema)
        error = np.abs(x - gan.reconstruct(x, use_ema=use_ema)).sum(axis=1)
        logits = ops.convert_to_numpy(gan.discriminator([x, codes]))[:, 0].astype("float64")
        expected = (1 - weight) * error + weight * np.log1p(np.exp(-logits))
        scores = gan.anomaly_scores(x, weight=weight, batch_size=4, use_ema=use_ema)
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
    scores = gan.anomaly_scores(np.concatenate([x, [[100.0, -100.0]]]), weight=0)
    assert scores.argmax() == 6


def test_anomaly_scores_are_means_over_patches():
    x, z = keras.Input((2,)), keras.Input((2,))
    judge = keras.Model([x, z], layers.Dense(3)(layers.Concatenate()([x, z])))
    gan = kg.models.BiGAN(
        mlp(keras.Input((2,)), 2, 8), judge, mlp(keras.Input((2,)), 2, 8), prior="normal"
    )
    x = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
    logits = ops.convert_to_numpy(judge([x, gan.encode(x)])).astype("float64")
    expected = np.log1p(np.exp(-logits)).mean(axis=1)
    np.testing.assert_allclose(gan.anomaly_scores(x, weight=1), expected, rtol=1e-5)


def test_drawn_codes_have_the_encoders_variance():
    gan = bigan(distribution())
    gan.encoder.get_layer("log_variance").set_weights([np.zeros((8, 2)), np.log([4.0, 0.25])])
    gan.encoder.get_layer("mean").set_weights([np.zeros((8, 2)), np.array([1.0, -1.0])])
    x = np.zeros((4000, 2), "float32")
    (_, codes), _ = gan.present(ops.convert_to_tensor(x), gan.draw(4000, 0), None, training=True)
    codes = ops.convert_to_numpy(ops.stop_gradient(codes))
    np.testing.assert_allclose(codes.mean(axis=0), [1, -1], atol=0.1)
    np.testing.assert_allclose(codes.std(axis=0), [2, 0.5], rtol=0.05)
    np.testing.assert_allclose(gan.encode(x[:3]), [[1, -1]] * 3, atol=1e-6)


@pytest.mark.slow
def test_reconstructions_on_a_grid_of_gaussians():
    """Within half the spacing of the modes for 90 % of the data, as a random encoder is not."""
    keras.utils.set_random_seed(0)
    grid = np.arange(-4.0, 5.0, 2.0)
    centers = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    noise = 0.05 * np.random.default_rng(0).normal(size=(10_000, 2))
    x = (centers[np.arange(10_000) % 25] + noise).astype("float32")
    gan = bigan(mlp(keras.Input((2,)), 2, 128), units=128)
    control = np.mean(np.linalg.norm(gan.reconstruct(x[:2500]) - x[:2500], axis=1) < 1)
    rates = [keras.optimizers.Adam(rate, beta_1=0.5) for rate in (1e-3, 5e-4)]
    gan.compile(*rates, terms=[kg.terms.R1(0.05, interval=4)], ema_decay=0.99)
    gan.fit(x, batch_size=250, epochs=40, verbose=0)
    errors = np.linalg.norm(gan.reconstruct(x[:2500], use_ema=True) - x[:2500], axis=1)
    print(f"within half the spacing: {np.mean(errors < 1):.3f}; untrained {control:.3f}")
    assert np.mean(errors < 1) >= 0.9
    assert control < 0.3

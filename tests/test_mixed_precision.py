"""Training in 16 bits: finite throughout, and as good as in 32."""

import keras
import numpy as np
import pytest
from helpers.games import long_game, mlp
from scipy import linalg

import keras_gan as kg

MEAN, DEVIATION = np.array([1.0, -0.5]), np.array([0.5, 1.0])
STEPS, BATCH = 1000, 64


def data():
    rows = np.random.default_rng(0).normal(size=(STEPS * BATCH, 2))
    return (MEAN + DEVIATION * rows).astype("float32")


def trained(policy, seed):
    """Return a GAN with R1 after 1,000 steps, and its history."""
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(seed)
    gan = kg.GAN(mlp(4, 2, units=32), mlp(2, 1, units=32), prior="normal", seed=seed)
    optimizers = [keras.optimizers.Adam(1e-3, beta_1=0.5) for _ in range(2)]
    gan.compile(*optimizers, terms=[kg.terms.R1(weight=0.1)], ema_decay=0.99)
    history = gan.fit(data(), batch_size=BATCH, verbose=0, shuffle=False).history
    return gan, history


def distance(gan):
    """Fréchet distance of normal distributions fitted to 5,000 samples and to what they imitate."""
    samples = gan.generate(5000, seed=0, use_ema=True).astype("float64")
    assert np.isfinite(samples).all()
    mean, covariance = samples.mean(axis=0), np.cov(samples.T)
    wanted = np.diag(DEVIATION**2)
    root = linalg.sqrtm(covariance @ wanted).real
    return np.sum((mean - MEAN) ** 2) + np.trace(covariance + wanted - 2 * root)


@pytest.fixture(scope="module")
def in_float32():
    return [distance(trained("float32", seed)[0]) for seed in range(4)]


@pytest.mark.slow
@long_game
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_r1_reaches_the_result_of_float32(policy, in_float32):
    runs = [trained(policy, seed) for seed in range(4)]
    for gan, history in runs:
        assert np.isfinite(list(history.values())).all()
        for optimizer in (gan.d_optimizer, gan.g_optimizer):
            # Float16 begins with a loss scale that may be too large, and leaves those steps out.
            steps = int(keras.ops.convert_to_numpy(optimizer.iterations))
            assert STEPS - 20 <= steps <= STEPS
    found = [distance(gan) for gan, _ in runs]
    noise = np.sqrt((np.var(found, ddof=1) + np.var(in_float32, ddof=1)) / 4)
    print(policy, np.mean(found), np.mean(in_float32), noise)
    assert abs(np.mean(found) - np.mean(in_float32)) < 3 * noise
    # An untrained generator is this far away, and farther.
    assert max(*found, *in_float32) < 0.2 < np.sum(MEAN**2)


@pytest.mark.parametrize("share_fakes", [False, True])
def test_float16_recovers_from_a_loss_scale_that_is_far_too_large(share_fakes):
    """Each optimizer leaves out its own steps, halves its own scale, and then trains."""
    keras.config.set_dtype_policy("mixed_float16")
    scaled = [
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=scale)
        for scale in (2.0**30, 2.0**10)
    ]
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), prior="normal", seed=0)
    gan.compile(*scaled, terms=["r1"], update=kg.updates.Alternating(share_fakes))
    before = [keras.ops.convert_to_numpy(v) for v in gan.discriminator.trainable_variables]
    history = gan.fit(data()[:640], batch_size=BATCH, verbose=0, shuffle=False).history
    scales = [float(keras.ops.convert_to_numpy(o.dynamic_scale)) for o in scaled]
    skipped = [10 - int(keras.ops.convert_to_numpy(o.iterations)) for o in scaled]
    assert scales == [2.0 ** (30 - skipped[0]), 2.0**10]
    assert skipped[0] > 0 == skipped[1]
    assert np.isfinite(list(history.values())).all()
    after = [keras.ops.convert_to_numpy(v) for v in gan.discriminator.trainable_variables]
    assert all(np.isfinite(v).all() for v in after)
    assert any((a != b).any() for a, b in zip(before, after, strict=True)) == (skipped[0] < 10)

"""Completions of samples: masks, known entries, and the conditionals of a Gaussian."""

import itertools

import keras
import numpy as np
import pytest
from helpers.games import EAGERLY
from keras import layers, ops

import keras_gan as kg

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def networks(units=8, depth=1):
    """Return a generator and a discriminator of vectors of 3 entries and their masks."""
    z, known, mask = (keras.Input((3,), name=name) for name in ("z", "known", "mask"))

    def made(inputs, outputs):
        h = layers.Concatenate()(inputs)
        for _ in range(depth):
            h = layers.LeakyReLU(0.2)(layers.Dense(units)(h))
        return keras.Model(inputs, layers.Dense(outputs)(h))

    return made([z, known, mask], 3), made([known, mask], 1)


def game(**options):
    keras.utils.set_random_seed(0)
    gan = kg.models.CompletionGAN(*networks(), prior="normal", seed=0)
    gan.compile("sgd", "sgd", ema_decay=0.9, run_eagerly=EAGERLY, **options)
    return gan


# Masks


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_random_masks_cover_all_subsets():
    masks = numpy(kg.masks.Random(shape=3).sample(4000, seed=0))
    subsets, counts = np.unique(masks, axis=0, return_counts=True)
    assert len(subsets) == 8
    # The number of known entries is uniform: ∫ C(3, j) sʲ (1 − s)³⁻ʲ ds = 1/4 for each j.
    sizes = [counts[subsets.sum(axis=1) == j].sum() / 4000 for j in range(4)]
    np.testing.assert_allclose(sizes, 0.25, atol=0.03)


def test_random_masks_of_a_share():
    masks = numpy(kg.masks.Random(0.8, shape=(2, 5)).sample(4000, seed=0))
    np.testing.assert_allclose(masks.mean(axis=0), 0.8, atol=0.03)


def test_halves_are_the_four_halves():
    masks = numpy(kg.masks.Halves(shape=(4, 6, 1)).sample(400, seed=0))[..., 0]
    expected = np.zeros((4, 4, 6))
    expected[0, :2], expected[1, 2:], expected[2, :, :3], expected[3, :, 3:] = 1, 1, 1, 1
    found = {mask.tobytes() for mask in masks}
    assert found == {half.astype("float32").tobytes() for half in expected}


# The game


def test_known_entries_are_kept_to_the_bit():
    gan = game()
    gan.fit(X, batch_size=3, verbose=0)
    mask = np.array([1, 0, 1])
    completed = gan.complete(X, mask, n=4, seed=1, use_ema=True)
    assert completed.shape == (4, 6, 3)
    np.testing.assert_array_equal(completed[:, :, mask == 1], np.stack([X[:, mask == 1]] * 4))
    assert np.ptp(completed[:, 0, 1]) > 0
    unknown = np.where(mask == 1, X, np.nan)  # what is not known has no effect
    np.testing.assert_array_equal(gan.complete(unknown, mask, n=4, seed=1, use_ema=True), completed)


def test_discriminator_sees_the_mask_and_no_unknown_entry():
    gan = game()
    x = ops.convert_to_tensor(X)
    (real, mask), (fake, other) = gan.present(x, gan.draw(6, 0), None, training=False)
    real, mask, fake, other = (numpy(ops.stop_gradient(t)) for t in (real, mask, fake, other))
    np.testing.assert_array_equal(mask, other)
    np.testing.assert_array_equal(real, X)
    np.testing.assert_array_equal(fake[mask == 1], X[mask == 1])
    inputs = [gan.draw(6, 0), *map(ops.convert_to_tensor, (X * mask, mask))]
    made = numpy(ops.stop_gradient(gan.generator(inputs)))
    np.testing.assert_allclose(fake[mask == 0], made[mask == 0], rtol=1e-5)


def test_saved_and_resumed(tmp_path):
    gan = game()
    gan.fit(X, batch_size=3, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    histories = [each.fit(X, batch_size=3, shuffle=False, verbose=0).history for each in (gan, loaded)]
    assert histories[0] == histories[1]
    assert type(loaded.masks) is kg.masks.Random


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([1, 0], r"`mask` must have the shape \(3,\), or \(6, 3\).*Received: \(2,\)"),
        (np.ones((5, 3)), r"`mask` must have the shape"),
        ([1, 1, 1], "`mask` must have an entry of 0 in each row.*Row 0"),
        ([0.5, 0, 1], "must consist of 1 .known. and 0"),
    ],
)
def test_invalid_masks(mask, message):
    with pytest.raises(ValueError, match=message):
        game().complete(X, mask)


def test_known_entries_that_are_not_finite():
    with pytest.raises(ValueError, match="`x` must be finite where `mask` is 1"):
        game().complete(np.full((2, 3), np.nan), [1, 0, 0])


def test_generator_without_a_mask():
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(3)])
    discriminator = networks()[1]
    with pytest.raises(ValueError, match=r"three inputs, `\[latents, known, mask\]`"):
        kg.models.CompletionGAN(generator, discriminator, prior="normal")


# A Gaussian of three correlated variables, whose conditionals are known.

MEAN = np.array([0.5, -1.0, 0.0])
COVARIANCE = np.array([[1.0, 0.7, -0.3], [0.7, 1.0, 0.2], [-0.3, 0.2, 1.0]])
MASKS = [mask for mask in itertools.product((0, 1), repeat=3) if 0 in mask]


def conditional(x, mask):
    """Return the means and the covariance of the unknown entries, given the known ones."""
    unknown, known = np.flatnonzero(np.array(mask) == 0), np.flatnonzero(mask)
    across = COVARIANCE[np.ix_(unknown, known)]
    weights = across @ np.linalg.inv(COVARIANCE[np.ix_(known, known)])
    means = MEAN[unknown] + (x[:, known] - MEAN[known]) @ weights.T
    return means, COVARIANCE[np.ix_(unknown, unknown)] - weights @ across.T


def judged(gan):
    """Return errors of means and covariances, and the coverage of 90 % intervals, over all masks."""
    rng = np.random.default_rng(5)
    errors = []
    for mask in MASKS:
        unknown = np.array(mask) == 0
        x = rng.multivariate_normal(MEAN, COVARIANCE, size=20).astype("float32")
        draws = gan.complete(x, mask, n=2000, seed=1, use_ema=True, batch_size=40_000)[:, :, unknown]
        means, covariance = conditional(x, mask)
        scale = np.linalg.norm(covariance)
        found = [np.cov(draws[:, i].T) for i in range(len(x))]
        x = rng.multivariate_normal(MEAN, COVARIANCE, size=500).astype("float32")
        many = gan.complete(x, mask, n=1000, seed=2, use_ema=True, batch_size=100_000)[:, :, unknown]
        low, high = np.quantile(many, [0.05, 0.95], axis=0)
        errors.append(
            (
                np.mean(np.abs(draws.mean(axis=0) - means)),  # every variable has standard deviation 1
                np.mean([np.linalg.norm(each - covariance) / scale for each in found]),
                np.mean((x[:, unknown] >= low) & (x[:, unknown] <= high)),
            )
        )
    return np.mean(errors, axis=0)


def trained(adversary=True):
    """Train on the Gaussian; without its adversary, a network of random weights judges."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).multivariate_normal(MEAN, COVARIANCE, size=50_000).astype("float32")
    gan = kg.models.CompletionGAN(*networks(96, 3), prior="normal", seed=0)
    steps = 12_000
    rates = [keras.optimizers.schedules.CosineDecay(1e-3, steps) for _ in range(2)]
    adam = [keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.99) for rate in rates]
    penalties = [kg.terms.R1(0.1), kg.terms.R2(0.1)]
    gan.discriminator.trainable = adversary
    gan.compile(*adam, loss="relativistic_paired", terms=penalties if adversary else [], ema_decay=0.999)
    gan.fit(x, batch_size=256, epochs=steps * 256 // len(x), verbose=0)
    return judged(gan)


@pytest.mark.slow
def test_conditionals_of_a_gaussian():
    mean, covariance, coverage = trained()
    control = trained(adversary=False)
    print(f"means {mean:.3f}, covariances {covariance:.3f}, coverage {coverage:.3f}; control {control}")
    assert mean < 0.1
    assert covariance < 0.15  # the goal is 0.1
    assert 0.87 < coverage < 0.93
    assert control[1] > 0.3
    assert not 0.87 < control[2] < 0.93

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu, norm

from keras_gan.metrics import Memorization, duplicate_threshold, duplicates, memorization_scores


def images(count, seed, size=(4, 4, 1)):
    return np.random.default_rng(seed).random((count, *size)).astype("float32")


def test_duplicates_equal_the_definition():
    samples = images(120, 0, (3,)).astype("float64")
    distances = cdist(samples, samples) + np.diag(np.full(120, np.inf))
    found = duplicates(samples, 0.05)
    np.testing.assert_array_equal(found, distances.min(axis=1) < 0.05)
    assert 0 < found.mean() < 1


def test_copies_are_duplicates_and_distances_at_the_threshold_are_not():
    samples = images(30, 0)
    assert not duplicates(samples, 1e-6).any()
    np.testing.assert_array_equal(
        np.flatnonzero(duplicates(np.concatenate([samples, samples[3:5]]), 1e-6)), [3, 4, 30, 31]
    )
    assert duplicates([[0.0], [2.0]], 2.0).tolist() == [False, False]
    assert duplicates([[0.0], [2.0]], 2.0001).tolist() == [True, True]


def test_threshold_is_a_quantile_of_real_distances():
    real = images(200, 1, (2,)).astype("float64")
    nearest = np.sort(cdist(real, real), axis=1)[:, 1]
    assert duplicate_threshold(real, quantile=0.1) == pytest.approx(np.quantile(nearest, 0.1), rel=1e-12)
    assert duplicates(real, duplicate_threshold(real, quantile=0.1)).mean() == pytest.approx(
        0.1, abs=0.011
    )


def test_perfect_samples_have_the_quantile_of_duplicates():
    shares = [
        duplicates(
            images(500, 100 + s, (2,)), duplicate_threshold(images(500, s, (2,)), quantile=0.1)
        ).mean()
        for s in range(20)
    ]
    assert np.mean(shares) == pytest.approx(0.1, abs=4 * np.std(shares) / np.sqrt(20))


def test_scores_equal_scipy(rng):
    """P(nearer) is U over the number of pairs; without ties, z is that of the normal approximation."""
    training, held_out = rng.normal(size=(150, 5)), rng.normal(size=(90, 5))
    samples = 0.8 * rng.normal(size=(70, 5))
    near, far = cdist(samples, training).min(axis=1), cdist(held_out, training).min(axis=1)
    test = mannwhitneyu(far, near, method="asymptotic", use_continuity=False, alternative="greater")
    scores = memorization_scores(samples, training, held_out)
    assert scores["memorization"] == pytest.approx(test.statistic / (70 * 90), rel=1e-12)
    assert scores["memorization_ratio"] == pytest.approx(np.median(near) / np.median(far), rel=1e-12)
    assert norm.cdf(scores["memorization_z"]) == pytest.approx(test.pvalue, rel=1e-9)
    assert 0.5 < scores["memorization"] < 1


def test_ties_count_half():
    training, held_out = np.array([[0.0]]), np.array([[1.0], [2.0], [2.0], [3.0]])
    samples = np.array([[2.0], [-2.0], [3.0]])
    near, far = abs(samples[:, 0]), abs(held_out[:, 0])
    expected = mannwhitneyu(far, near).statistic / 12
    scores = memorization_scores(samples, training, held_out)
    assert scores["memorization"] == pytest.approx(expected)


def test_copies_are_flagged():
    training, held_out = images(200, 0), images(100, 1)
    scores = memorization_scores(training[:100], training, held_out)
    assert scores["memorization"] == 1.0
    assert scores["memorization_ratio"] == 0.0
    assert scores["memorization_z"] < -10
    # A tenth of copies is seen too.
    some = np.concatenate([training[:300], images(900, 2)])
    assert memorization_scores(some, training, images(1000, 3))["memorization_z"] < -3


def test_held_out_images_are_not_flagged():
    training, held_out = images(200, 0), images(100, 1)
    scores = memorization_scores(held_out, training, held_out)
    assert scores == {"memorization": 0.5, "memorization_ratio": 1.0, "memorization_z": 0.0}


def test_other_real_images_are_not_flagged_on_average():
    """Where samples and held-out images come from one distribution, z has mean 0 and variance 1."""
    z = [
        memorization_scores(*np.split(images(200, seed, (3,)), [60, 140]))["memorization_z"]
        for seed in range(300)
    ]
    assert abs(np.mean(z)) < 4 / np.sqrt(300)
    assert np.std(z) == pytest.approx(1.0, abs=4 / np.sqrt(600))


def test_samples_far_from_the_data():
    scores = memorization_scores(images(50, 2) + 3.0, images(100, 0), images(50, 1))
    assert scores["memorization"] == 0.0
    assert scores["memorization_z"] > 8


def test_copies_in_a_different_value_range_raise():
    training, held_out = 255 * images(100, 0), 255 * images(60, 1)
    metric = Memorization(training)
    copies = training[:40] / 255
    with pytest.raises(
        ValueError, match=r"`fake` and `training` have different value ranges .* and 25\d"
    ):
        metric(held_out, copies)
    with pytest.raises(
        ValueError, match="`real` and `training` have different .*25.* and .*Rescale both to one range"
    ):
        Memorization(training / 255)(held_out, copies)
    # Black samples have no range, dark ones and those of a tanh little less than others.
    for samples in (0 * copies, 10 * copies, training[:40] - 128):
        metric(held_out, samples)


def test_images_of_different_shapes_but_equal_size_raise():
    training, held_out = images(30, 0, (3, 4, 4)), images(20, 1, (3, 4, 4))
    turned = np.moveaxis(training, 1, 3)
    metric = Memorization(training)
    with pytest.raises(
        ValueError, match=r"`fake` have shape \(4, 4, 3\) and those of `training` \(3, 4"
    ):
        metric(held_out, turned)
    with pytest.raises(ValueError, match=r"`real` have shape \(4, 4, 3\)"):
        metric(turned, training)
    flat = training[:5].reshape(5, -1)
    assert metric(held_out, flat).values == metric(held_out, training[:5]).values
    with pytest.raises(
        TypeError, match="`fake` must be an array .*Received: list_iterator. Concatenate the batches"
    ):
        metric(held_out, iter([training]))


def test_memorization_as_a_metric():
    training, held_out, samples = images(100, 0), images(60, 1), images(40, 2)
    metric = Memorization(training)
    score = metric(real=held_out, fake=samples)
    assert score.values == memorization_scores(samples, training, held_out)
    assert (score.num_real, score.num_fake, score.settings) == (60, 40, {"training": 100})
    assert (score.split, Memorization(training, split="test")(held_out, samples).split) == (None, "test")
    # Bytes are counted as numbers: their differences do not wrap around.
    byte = [np.uint8(255 * part) for part in (training, held_out, samples)]
    wide = [np.float64(part) for part in byte]
    assert (
        Memorization(byte[0])(byte[1], byte[2]).values == Memorization(wide[0])(wide[1], wide[2]).values
    )


GOOD = images(6, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: duplicates(GOOD, 0.0),
            "`threshold` must be a finite number > 0.* Received: 0.0",
        ),
        (lambda: duplicates(GOOD, np.nan), "`threshold` must be a finite number.*Received: nan"),
        (lambda: duplicates(GOOD[:1], 1.0), "`samples` must have at least 2 rows. Received: 1"),
        (
            lambda: duplicates(GOOD, 1e300),
            "`threshold` must be .* <= 1e.50. Received: 1e.300",
        ),
        (
            lambda: duplicates(GOOD * np.nan, 1.0),
            "`samples` must hold finite numbers.* 96 of 96 are not",
        ),
        (lambda: duplicates(GOOD[:0], 1.0), "`samples` is empty"),
        (lambda: duplicates([1.0, 2.0], 1.0), r"`samples` must be an array of shape \(n, ...\).*\(2,\)"),
        (
            lambda: duplicate_threshold(GOOD, quantile=0),
            "`quantile` must be .* > 0 and < 1. Received: 0",
        ),
        (lambda: duplicate_threshold(GOOD, quantile=1.0), "`quantile` must be .* < 1. Received: 1.0"),
        (
            lambda: duplicate_threshold(np.concatenate([GOOD, GOOD]), quantile=0.5),
            "12 of the 12 real images have an exact copy.*quantile 0.5.*Remove the copies",
        ),
        (lambda: Memorization(GOOD * np.inf), "`training` must hold finite numbers"),
        (
            lambda: Memorization(GOOD)(GOOD.reshape(6, 16)[:, :12], GOOD),
            r"of `real` have shape \(12,\) and those of `training` \(4, 4, 1\)",
        ),
        (
            lambda: Memorization(GOOD)(GOOD + 1, GOOD.reshape(6, 16)[:, :12]),
            r"of `fake` have shape \(12,\) and those of `training` \(4, 4, 1\)",
        ),
        (lambda: Memorization(GOOD)(GOOD + 1, GOOD * np.nan), "`fake` must hold finite numbers"),
        (
            lambda: memorization_scores(GOOD, GOOD, GOOD[:3]),
            "3 of 3 held-out images are copies .* in `held_out` that are not in `training`",
        ),
        (
            lambda: memorization_scores(GOOD * np.nan, GOOD, GOOD + 0.1),
            "`samples` must hold finite numbers",
        ),
        (
            lambda: memorization_scores(GOOD, GOOD, GOOD[:0]),
            "`held_out` is empty",
        ),
    ],
)
def test_invalid_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("value", [True, "1", None])
def test_thresholds_and_quantiles_must_be_numbers(value):
    with pytest.raises(
        TypeError, match=f"`threshold` must be a finite number > 0.* Received: {value!r}"
    ):
        duplicates(GOOD, value)
    with pytest.raises(TypeError, match=f"`quantile` must be a finite number.* Received: {value!r}"):
        duplicate_threshold(GOOD, quantile=value)


def test_tables_and_series():
    """Rows of any shape, as flattened ones."""
    training, held_out, samples = images(50, 0, (6, 2)), images(40, 1, (6, 2)), images(30, 2, (6, 2))
    flat = [part.reshape(len(part), 12) for part in (samples, training, held_out)]
    assert memorization_scores(samples, training, held_out) == memorization_scores(*flat)
    assert duplicate_threshold(training) == duplicate_threshold(flat[1])

import numpy as np
import pytest
from scipy.stats import binom, chi2, entropy

import keras_gan as kg
from keras_gan.datasets import GaussianMixture, stack_digits
from keras_gan.metrics import ModeCoverage, StackedDigits, mode_coverage, stacked_digit_modes
from keras_gan.metrics import high_quality_ceiling as ceiling


def test_coverage_equals_the_definition(rng):
    centers, std = rng.normal(size=(12, 3)) * 3, 0.4
    samples = rng.normal(size=(300, 3)) * 3
    good, modes = 0, set()
    for sample in samples:
        distances = [np.sqrt(sum((a - b) ** 2 for a, b in zip(sample, c, strict=True))) for c in centers]
        if min(distances) <= 3 * std:
            good += 1
            modes.add(int(np.argmin(distances)))
    assert 2 < len(modes) <= 12
    assert mode_coverage(samples, centers, std) == (len(modes), good / 300)


def test_the_border_is_three_standard_deviations():
    assert mode_coverage([[3.0, 0.0]], [[0, 0], [9, 0]], std=1.0) == (1, 1.0)
    assert mode_coverage([[3.001, 0.0]], [[0, 0], [9, 0]], std=1.0) == (0, 0.0)


def test_samples_on_one_mode():
    mixture = GaussianMixture.grid()
    collapsed = np.repeat(mixture.centers[7:8], 100, axis=0)
    assert mode_coverage(collapsed, mixture.centers, mixture.std) == (1, 1.0)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 5, 10, 11, 20, 101, 300, 10**9])
def test_the_ceiling_is_the_chi_square_law(dimensions):
    assert ceiling(dimensions) == pytest.approx(chi2.cdf(9, dimensions), rel=1e-12)


def test_published_ceiling():
    assert 100 * ceiling(2) == pytest.approx(98.889, abs=5e-4)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 7])
def test_perfect_samples_reach_the_ceiling(dimensions):
    mixture = GaussianMixture(20.0 * np.arange(6 * dimensions).reshape(6, dimensions), std=0.3)
    points, _ = mixture.sample(50_000, seed=3)
    modes, high_quality = mode_coverage(points, mixture.centers, mixture.std)
    expected = chi2.cdf(9, dimensions)
    assert modes == 6
    assert abs(high_quality - expected) < 4 * np.sqrt(expected * (1 - expected) / 50_000)


def test_coverage_as_a_metric():
    ring = GaussianMixture.ring()
    metric = ModeCoverage(ring.centers, ring.std)
    points, labels = ring.sample(2500, seed=0)
    some = points[labels < 5]
    score = metric(real=points, fake=some)
    modes, high_quality = mode_coverage(some, ring.centers, ring.std)
    assert score.values == {"modes": 5, "high_quality": high_quality}
    assert modes == 5
    assert (score.num_real, score.num_fake) == (2500, len(some))
    assert score.settings == {"centers": 8, "std": 0.01, "ceiling": 0.98889}
    assert metric(real=None, fake=points).num_real == 0
    assert ModeCoverage(ring.centers, ring.std, split="ring")(points, some).split == "ring"


@pytest.mark.parametrize("side", ["real", "fake"])
def test_points_must_be_an_array(side):
    ring = GaussianMixture.ring()
    points, _ = ring.sample(20, seed=0)
    batches = (points[start : start + 5] for start in (0, 5, 10, 15))
    with pytest.raises(
        TypeError, match=f"`{side}` must be an array.*generator. Concatenate the batches"
    ):
        ModeCoverage(ring.centers, ring.std)(**{"real": points, "fake": points, side: batches})


BOTH_ENDS = np.stack([np.cos(np.linspace(0, 2 * np.pi, 8)), np.sin(np.linspace(0, 2 * np.pi, 8))], 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([[0.0, 0.0]], BOTH_ENDS, 0.01),
            r"`std` must not exceed .* two of the 8 centers are closer.*0 and 2π both",
        ),
        (([[0.0, 0.0]], [0.0, 1.0], 0.1), r"`centers` must be an array .* Received shape: \(2,\)"),
        (([[0.0, 0.0]], [[0.0, np.nan]], 0.1), "`centers` must hold finite numbers.* 1 of 2 are not"),
        (([[0.0, 0.0]], np.zeros((0, 2)), 0.1), r"`centers` is empty. Received shape: \(0, 2\)"),
        (([[0.0, 0.0]], [[0.0, 1.0]], 0.0), "`std` must be a finite number > 0. Received: 0.0"),
        (([[0.0, 0.0]], [[0.0, 1.0]], np.inf), "`std` must be a finite number > 0. Received: inf"),
        (([[0.0, np.nan]], [[0.0, 1.0]], 0.1), "`samples` must hold finite numbers.* 1 of 2 are not"),
        ((np.zeros((0, 2)), [[0.0, 1.0]], 0.1), r"`samples` is empty.*\(0, 2\)"),
        (([[0.0, 0.0, 0.0]], [[0.0, 1.0]], 0.1), r"`samples` have shape \(3,\) .*`centers` \(2,\)"),
        (([[0.0, 0.0]], np.zeros((3, 2, 1)), 0.1), r"`centers` must be an array of 2 axes.*\(3, 2, 1\)"),
    ],
)
def test_invalid_arguments_of_coverage(arguments, message):
    with pytest.raises(ValueError, match=message):
        mode_coverage(*arguments)


@pytest.mark.parametrize("std", [True, "1", None])
def test_standard_deviation_must_be_a_number(std):
    for call in (ModeCoverage, lambda centers, std: mode_coverage(centers, centers, std)):
        with pytest.raises(TypeError, match=f"`std` must be a finite number > 0. Received: {std!r}"):
            call([[0.0, 1.0]], std)


def test_invalid_arguments_of_the_ceiling():
    with pytest.raises(ValueError, match="`dimensions` must be an integer >= 1.* Received: 0"):
        ceiling(0)
    with pytest.raises(TypeError, match="`dimensions` must be an integer.* Received: 2.5"):
        ceiling(2.5)


def flat_digits(dtype="uint8"):
    """Images of which every pixel is their digit, twice over."""
    digits = np.tile(np.arange(10), 2)
    return np.broadcast_to(digits[:, None, None, None], (20, 3, 4, 1)).astype(dtype), digits


@pytest.mark.parametrize("modes", [1, 7, 100, 1000])
def test_divergence_of_equal_shares(modes):
    found, divergence = stacked_digit_modes(np.repeat(np.arange(modes), 3))
    assert found == modes
    assert divergence == pytest.approx(np.log(1000 / modes), abs=1e-12)


def test_divergence_equals_scipy(rng):
    classes = rng.binomial(999, 0.4, size=3000)
    real = rng.integers(0, 1000, size=50_000)
    shares, expected = np.bincount(classes, minlength=1000), np.bincount(real, minlength=1000)
    modes, divergence = stacked_digit_modes(classes)
    assert modes == len(set(classes.tolist()))
    assert divergence == pytest.approx(entropy(shares, np.ones(1000)), rel=1e-12)
    assert stacked_digit_modes(classes, real)[1] == pytest.approx(entropy(shares, expected), rel=1e-12)


@pytest.mark.parametrize(("n", "floor"), [(26_000, 0.0192), (25_600, 0.0195)])
def test_floor_of_a_perfect_sampler(n, floor):
    """Σ p log 1000p is a sum over classes, whose counts are binomial."""
    counts = np.arange(1, 200)
    exact = 1000 * np.sum(binom.pmf(counts, n, 1e-3) * counts / n * np.log(1000 * counts / n))
    assert exact == pytest.approx(floor, abs=2e-4)
    seeds = range(30)
    found = [stacked_digit_modes(np.random.default_rng(s).integers(1000, size=n)) for s in seeds]
    modes, divergences = zip(*found, strict=True)
    assert set(modes) == {1000}
    assert np.mean(divergences) == pytest.approx(exact, abs=4 * np.std(divergences) / np.sqrt(30))


def test_class_missing_from_real_images():
    assert stacked_digit_modes([1, 2], [1, 1, 3]) == (2, np.inf)


class Reader:
    """Reads the digits of `flat_digits`."""

    name, weights, resizer, size = "reader", "ab" * 32, "none", 1

    def __call__(self, images):
        return images.mean(axis=(1, 2))

    def probabilities(self, images):
        assert images.shape[1:] == (3, 4, 1)
        return np.eye(10)[images[:, 0, 0, 0].astype(int)] * 0.5 + 0.05


def test_stacked_digits_as_a_metric():
    images, labels = flat_digits()
    real, real_classes = stack_digits(images, 2000, seed=0, labels=labels)
    fake, fake_classes = stack_digits(images[:5], 500, seed=1, labels=labels[:5])
    score = StackedDigits(Reader(), split="flat")(real, fake)
    modes, divergence = stacked_digit_modes(fake_classes)
    real_modes, real_divergence = stacked_digit_modes(real_classes)
    assert score.values == {"modes": modes, "kl": divergence}
    assert 100 < modes <= 125
    assert score.settings == {"real_modes": real_modes, "real_kl": round(real_divergence, 4)}
    assert (score.num_real, score.num_fake) == (2000, 500)
    assert (score.extractor, score.weights, score.resizer, score.split) == (
        "reader",
        "ab" * 32,
        "none",
        "flat",
    )


def test_the_first_channel_counts_hundreds():
    image = np.full((1, 3, 4, 3), [7, 2, 5])
    classes, digits = StackedDigits(Reader())._classify("fake", image)
    assert (classes.tolist(), digits) == ([725], 3)


def test_two_stacked_digits_have_a_hundred_modes():
    images, labels = flat_digits()
    real, classes = stack_digits(images, 3000, seed=0, labels=labels, digits=2)
    assert real.shape == (3000, 3, 4, 2)
    np.testing.assert_array_equal(classes, 10 * real[:, 0, 0, 0].astype(int) + real[:, 0, 0, 1])
    score = StackedDigits(Reader())(real, real[:300])
    expected = entropy(np.bincount(classes[:300], minlength=100), np.ones(100))
    assert score.values["modes"] == len(set(classes[:300].tolist()))
    assert score.values["kl"] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="`fake` must have as many digits as the real images, 2"):
        StackedDigits(Reader())(real, np.zeros((2, 3, 4, 3)))


class Wrong(Reader):
    def __init__(self, probabilities):
        self.found = np.array(probabilities)

    def probabilities(self, images):
        return self.found


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: stacked_digit_modes([0, 1000]),
            "`classes` must lie from 0 to 999. Received: 0 to 1000",
        ),
        (lambda: stacked_digit_modes([-1]), "from 0 to 999. Received: -1 to -1"),
        (lambda: stacked_digit_modes([[1]]), r"`classes` must be a 1-D array.*Received shape: \(1, 1\)"),
        (lambda: stacked_digit_modes([]), r"`classes` must be a 1-D .* shape: \(0,\)"),
        (lambda: stacked_digit_modes([[1], [1, 2]]), "`classes` must be a 1-D array of integers. "),
        (lambda: stacked_digit_modes([1], [1000]), "`real_classes` must lie from 0 to 999"),
        (
            lambda: StackedDigits(Reader()).prepare(np.zeros((2, 3, 4, 7))),
            r"`real` must be stacked digits.* shape: \(2, 3, 4, 7\). `kg.datasets.stack_digits` makes",
        ),
        (
            lambda: StackedDigits(Wrong(np.full((2, 10), np.nan))).prepare(np.zeros((2, 3, 4, 3))),
            "`probabilities of reader` must hold finite numbers.* 20 of 20 are not",
        ),
        (
            lambda: StackedDigits(Wrong(np.full((2, 10), 0.2))).prepare(np.zeros((2, 3, 4, 3))),
            "Each row of `probabilities of reader` must hold numbers >= 0 that sum to 1",
        ),
        (
            lambda: StackedDigits(Wrong(np.full((2, 4), 0.25))).prepare(np.zeros((2, 3, 4, 3))),
            "'reader' must distinguish ten digits. Received probabilities of 4 classes",
        ),
        (
            lambda: StackedDigits(Wrong(np.eye(10))).prepare(np.zeros((2, 3, 4, 3))),
            r"'reader' must return one row .* shape \(2, num_classes\) .* shape: \(10, 10\)",
        ),
    ],
)
def test_invalid_stacked_digits(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_classes_must_be_integers():
    with pytest.raises(
        TypeError, match="`classes` must hold integers from 0 to 999. Received: dtype fl"
    ):
        stacked_digit_modes([0.5])


def test_extractor_without_classes():
    class Blind:
        name, weights, resizer, size = "blind", None, None, 1

        def __call__(self, images):
            return images.mean(axis=(1, 2))

    with pytest.raises(TypeError, match="StackedDigits needs a classifier.*named 'blind'"):
        kg.metrics.StackedDigits(Blind())

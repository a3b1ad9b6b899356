"""Modes that samples reach: mixtures of Gaussians, and the classes of stacked digits."""

import functools
import math
from collections.abc import Iterable

import numpy as np

from keras_gan.metrics.arrays import as_row_pair, as_rows, as_samples, sample_batches, to_numpy
from keras_gan.metrics.base import ClassifierMetric, Metric, Score, check_split
from keras_gan.metrics.neighbors import nearest_distances
from keras_gan.utils.typing import Array, Samples
from keras_gan.utils.validation import check_integer, check_number

__all__ = [
    "MAX_DIGITS",
    "ModeCoverage",
    "StackedDigits",
    "check_centers",
    "check_classes",
    "high_quality_ceiling",
    "mode_coverage",
    "stack_classes",
    "stacked_digit_modes",
]

HIGH_QUALITY = 3.0  # greatest distance from a center of a good sample, in standard deviations
NUM_TERMS = 100  # of a series whose terms decrease faster than those of a geometric one
MAX_DIMENSIONS = 10**9  # far beyond where the share rounds to 0
MAX_DIGITS = 6  # on a stacked image: a million modes


def mode_coverage(samples: Array, centers: Array, std: float) -> tuple[int, float]:
    """Return how many modes of a Gaussian mixture samples reach, and the share of good samples.

    As in VEEGAN (Srivastava et al., 2017, arXiv:1705.07761) and PacGAN (Lin et al., 2018,
    arXiv:1712.04086), which use 2,500 samples, a sample is of high quality if it lies within 3
    standard deviations of the nearest center, and a mode is reached if at least one such sample is
    nearest to it. The share of a perfect model is `high_quality_ceiling(d)`, which is below 1.

    Args:
        samples: array `(n, d)`.
        centers: array `(modes, d)`, no two closer than `std`.
        std: float, standard deviation of every coordinate about its center, greater than 0.

    Returns:
        `(modes, high_quality)`: an int, and a share from 0 to 1.

    Raises:
        ValueError: samples or centers that are empty, not finite or of different shapes; centers closer
            than `std`; a `std` that is not finite and greater than 0.
        TypeError: an argument that does not hold numbers.

    Example:

    >>> kg.metrics.mode_coverage([[0.1, 0.0], [5.2, 0.0], [2.5, 0.0]], [[0, 0], [5, 0]], std=0.05)
    (1, 0.3333333333333333)
    """
    centers, std = check_centers(centers, std)
    samples = as_row_pair("samples", samples, "centers", centers)[0].astype("float64")
    # ‖x − c‖²/2 without ‖x‖²/2, which is the same for all centers.
    nearest = np.argmin(np.square(centers).sum(axis=1) / 2 - samples @ centers.T, axis=1)
    good = np.linalg.norm(samples - centers[nearest], axis=1) <= HIGH_QUALITY * std
    return len(np.unique(nearest[good])), float(good.mean())


def high_quality_ceiling(dimensions: int) -> float:
    """Return the share of a Gaussian within 3 standard deviations: the best value for a model.

    It is the χ² distribution function at 9 with so many degrees of freedom: 0.98889 for 2 dimensions,
    but 0.017 for 20, where `mode_coverage` says little. A higher share means samples that crowd the
    centers.

    Args:
        dimensions: int, number of coordinates of a sample.

    Returns:
        float from 0 to 1.

    Raises:
        TypeError: `dimensions` is not an integer.
        ValueError: it is below 1.

    Example:

    >>> round(kg.metrics.high_quality_ceiling(2), 5)
    0.98889
    """
    dimensions = check_integer("dimensions", dimensions, minimum=1, maximum=MAX_DIMENSIONS)
    half = HIGH_QUALITY**2 / 2
    # F(d) = Σⱼ (x/2)^(d/2 + j) exp(−x/2) / Γ(d/2 + j + 1), over j from 0.
    powers = [dimensions / 2 + j for j in range(NUM_TERMS)]
    return math.fsum(math.exp(a * math.log(half) - half - math.lgamma(a + 1)) for a in powers)


class ModeCoverage(Metric):
    """Modes of a Gaussian mixture that samples reach: `mode_coverage` as a metric.

    The values of its `Score` are `modes` and `high_quality`. The centers are known, so only the number
    of real points is used, and recorded; they may be `None`. Points are an array, not a dataset.

    Args:
        centers: array `(modes, d)`, no two closer than `std`.
        std: float, standard deviation of every coordinate about its center, greater than 0.
        split: str, name of the real points; only recorded. Defaults to `None`.

    Raises:
        TypeError, ValueError: as `mode_coverage`.

    Example:

    >>> mixture = kg.datasets.GaussianMixture.grid()
    >>> coverage = kg.metrics.ModeCoverage(mixture.centers, mixture.std)
    >>> points, _ = mixture.sample(2500, seed=0)
    >>> coverage(real=points, fake=points[:500]).values["modes"]
    25
    """

    names = ("modes", "high_quality")

    def __init__(self, centers: Array, std: float, *, split: str | None = None) -> None:
        self.centers, self.std = check_centers(centers, std)
        self.split = check_split(split)

    def prepare(self, real: Array | None) -> int:
        """Return the number of real points."""
        return 0 if real is None else len(as_row_pair("real", real, "centers", self.centers)[0])

    def evaluate(self, state: int, fake: Array) -> Score:
        """See base class."""
        fake, _ = as_row_pair("fake", fake, "centers", self.centers)
        modes, high_quality = mode_coverage(fake, self.centers, self.std)
        count, dimensions = self.centers.shape
        ceiling = round(high_quality_ceiling(dimensions), 5)
        return Score(
            {"modes": modes, "high_quality": high_quality},
            num_real=state,
            num_fake=len(fake),
            split=self.split,
            settings={"centers": count, "std": self.std, "ceiling": ceiling},
        )


def stacked_digit_modes(
    classes: Array, real_classes: Array | None = None, *, digits: int = 3
) -> tuple[int, float]:
    """Return how many of the modes of stacked digits are reached, and a KL divergence in nats.

    As in Metz et al. (2016, arXiv:1611.02163) and Lin et al. (2018, arXiv:1712.04086), a mode is
    reached if at least one sample falls in its class, and the divergence is Σ p log(p/q), with the
    shares p of the samples' classes and q of the data's. Both depend on the number of samples, 25,600
    or 26,000 in these papers: n samples of a perfect model have a divergence of about 999/2n, here
    0.019 nats.

    Args:
        classes: integer array `(n,)` from 0 to 10^digits − 1: a classifier's predictions for the
            samples.
        real_classes: integer array `(m,)`, those of real images, whose shares estimate q.
            Defaults to `None`: q is the same for all.
        digits: int from 1 to 6, number of digits on each image: there are 10^digits modes.

    Returns:
        `(modes, kl)`: an int, and a float. `kl` is infinite if samples fall in a class that is not in
        `real_classes`.

    Raises:
        TypeError: classes that are not whole numbers.
        ValueError: classes that are empty, not 1-D, or out of range; `digits` out of range.

    Example:

    >>> modes, kl = kg.metrics.stacked_digit_modes(range(0, 1000, 10))
    >>> modes, round(kl, 4)
    (100, 2.3026)
    """
    modes = 10 ** check_integer("digits", digits, minimum=1, maximum=MAX_DIGITS)
    counts = _count("classes", classes, modes)
    shares = counts / counts.sum()
    expected = np.full(modes, 1 / modes)
    if real_classes is not None:
        real = _count("real_classes", real_classes, modes)
        expected = real / real.sum()
    reached = counts > 0
    with np.errstate(divide="ignore"):
        ratios = shares[reached] / expected[reached]
    return int(reached.sum()), float(shares[reached] @ np.log(ratios))


class StackedDigits(ClassifierMetric):
    """Modes of stacked digits, as a classifier of single digits sees them: `stacked_digit_modes`.

    The values of its `Score` are `modes` and `kl`, the divergence from equal shares, in nats. The
    same values for the real images are in its `settings` as `real_modes` and `real_kl`: with as
    many real images as samples, they are what a perfect model would get with this classifier.

    Args:
        extractor: classifier of digits: as for `FeatureMetric`, with a method
            `probabilities(images)` from `(n, h, w, 1)` to `(n, 10)`. It receives one channel at a time.
        split: str, name of the real data, such as `"mnist test"`; only recorded. Defaults to `None`.

    Raises:
        TypeError: an extractor without `probabilities`.
        ValueError: images that are not of shape `(n, h, w, digits)`, or that have other numbers of
            digits than the real ones; probabilities not of shape (n, 10).

    Example:

    >>> class Brightness:
    ...     name, weights, resizer, size = "brightness", None, None, 1
    ...     def __call__(self, images):
    ...         return images.mean(axis=(1, 2))
    ...     def probabilities(self, images):
    ...         return np.eye(10)[np.rint(images.mean(axis=(1, 2, 3))).astype(int)]
    >>> digits = np.broadcast_to(np.arange(10.0)[:, None, None, None], (10, 4, 4, 1))
    >>> real, fake = (kg.datasets.stack_digits(digits, 26_000, seed=seed) for seed in (0, 1))
    >>> score = kg.metrics.StackedDigits(Brightness())(real, fake)
    >>> score.values["modes"], round(score.values["kl"], 2)
    (1000, 0.02)
    """

    names = ("modes", "kl")

    def _prepare(self, real: Samples) -> tuple[int, int, int, float]:
        """Return the numbers of digits and of real images, their modes and their divergence."""
        classes, digits = self._classify("real", real)
        return digits, len(classes), *stacked_digit_modes(classes, digits=digits)

    def _evaluate(self, state: tuple[int, int, int, float], fake: Samples) -> Score:
        """See base class."""
        digits, num_real, real_modes, real_kl = state
        classes, _ = self._classify("fake", fake, digits)
        modes, kl = stacked_digit_modes(classes, digits=digits)
        return self.score(
            {"modes": modes, "kl": kl},
            num_real,
            len(classes),
            real_modes=real_modes,
            real_kl=round(real_kl, 4),
        )

    def _classify(self, name, images, digits=None):
        """Return the classes of images, and the number of digits on each."""
        classes = []
        for batch in sample_batches(name, images):
            digits = _check_stacked(name, batch, digits)
            channels = [self._digits(name, batch[..., channel, None]) for channel in range(digits)]
            classes.append(stack_classes(channels))
        return np.concatenate(classes), digits

    def _digits(self, name, images):
        probabilities = self.probabilities(images, name=name)
        if probabilities.shape[1] != 10:
            raise ValueError(
                f"The classifier {self.extractor.name!r} must distinguish ten digits. Received "
                f"probabilities of {probabilities.shape[1]} classes."
            )
        return probabilities.argmax(axis=1)


def stack_classes(digits: Iterable[np.ndarray]) -> np.ndarray:
    """Return the classes of stacked digits from those in the channels."""
    return functools.reduce(lambda classes, digit: 10 * classes + digit, digits)


def _check_stacked(name, images, digits):
    """Return the number of digits on images, which must be `digits` unless that is None."""
    if images.ndim != 4 or not 1 <= images.shape[-1] <= MAX_DIGITS:
        raise ValueError(
            f"`{name}` must be stacked digits, of shape (n, height, width, digits). Received shape: "
            f"{images.shape}. `kg.datasets.stack_digits` makes them from single digits."
        )
    if digits not in (None, images.shape[-1]):
        raise ValueError(
            f"`{name}` must have as many digits as the real images, {digits}. Received shape: "
            f"{images.shape}"
        )
    return images.shape[-1]


def check_centers(centers: Array, std: float) -> tuple[np.ndarray, float]:
    """Return centers as a float64 array `(modes, d)`, and their standard deviation, or raise."""
    std = check_number("std", std, above=0)
    centers = as_rows("centers", as_samples("centers", centers, ndim=2)).astype("float64")
    if len(centers) > 1 and nearest_distances(centers, centers, exclude_self=True).min() < std:
        raise ValueError(
            f"`std` must not exceed the distance between any two centers. Received: {std:g}, but two of "
            f"the {len(centers)} centers are closer, so their modes cannot be distinguished. Are the "
            "angles 0 and 2π both on a ring?"
        )
    return centers, std


def check_classes(name: str, classes: Array, count: int) -> np.ndarray:
    """Return classes from 0 to `count` − 1 as an int64 array `(n,)`, or raise."""
    try:
        classes = to_numpy(classes)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must be a 1-D array of integers. {error}") from error
    # Labels are often stored as whole floats.
    if (
        classes.dtype.kind == "f"
        and (np.rint(classes) == classes).all()
        and (abs(classes) < 2**31).all()
    ):
        classes = classes.astype("int64")
    if classes.size and classes.dtype.kind not in "iu":
        raise TypeError(
            f"`{name}` must hold integers from 0 to {count - 1}. Received: dtype {classes.dtype}."
        )
    if classes.ndim != 1 or classes.size == 0:
        raise ValueError(
            f"`{name}` must be a 1-D array of at least one integer. Received shape: {classes.shape}."
        )
    if classes.min() < 0 or classes.max() >= count:
        raise ValueError(
            f"`{name}` must lie from 0 to {count - 1}. Received: {classes.min()} to {classes.max()}."
        )
    return classes.astype("int64")


def _count(name, classes, modes):
    return np.bincount(check_classes(name, classes, modes), minlength=modes)

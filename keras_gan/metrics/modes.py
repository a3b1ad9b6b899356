"""Modes that samples reach: mixtures of Gaussians, and the thousand classes of stacked digits."""

import math
import numbers
from typing import Self

import numpy as np

from keras_gan.metrics.metric import (
    ClassifierMetric,
    Metric,
    Score,
    array_rows,
    as_array,
    check_whole,
    feature_rows,
    image_batches,
)
from keras_gan.metrics.neighbours import nearest_distances
from keras_gan.utils.typing import Array, Images

# A sample is of high quality within this many standard deviations of a centre.
HIGH_QUALITY = 3.0
STACKED_CLASSES = 1000


class GaussianMixture:
    """Toy data with modes that can be counted: equally likely round Gaussians.

    `ring` and `grid` are the two of VEEGAN (Srivastava et al., 2017, arXiv:1705.07761) and PacGAN
    (Lin et al., 2018, arXiv:1712.04086).

    Args:
        centres: array `(modes, d)`, no two closer than `std`.
        std: float, standard deviation of every coordinate about its centre, greater than 0.

    Raises:
        ValueError: centres that are empty, not 2-D, not finite or closer than `std`; a `std` that is
            not a finite number greater than 0.

    Example:

    >>> mixture = kg.metrics.GaussianMixture.ring()
    >>> points, labels = mixture.sample(1000, seed=0)
    >>> points.shape, points.dtype.name, labels.max().item()
    ((1000, 2), 'float32', 7)
    """

    def __init__(self, centres: Array, std: float) -> None:
        self.centres, self.std = _centres(centres, std)

    @classmethod
    def ring(cls, modes: int = 8, radius: float = 1.0, std: float = 0.01) -> Self:
        """Return `modes` Gaussians at equal angles on a circle around the origin."""
        check_whole(1, modes=modes)
        _positive(radius=radius)
        # The end is left out: at 2π the last centre would be the first once more.
        angles = np.linspace(0, 2 * np.pi, modes, endpoint=False)
        return cls(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std)

    @classmethod
    def grid(cls, side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Self:
        """Return `side`² Gaussians on a square grid around the origin, `spacing` apart."""
        check_whole(1, side=side)
        _positive(spacing=spacing)
        ticks = spacing * (np.arange(side) - (side - 1) / 2)
        return cls(np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2), std)

    def sample(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw points.

        Args:
            n: int, how many.
            seed: int, 0 or more.

        Returns:
            `(points, labels)`: float32 array `(n, d)`, and the index of each one's centre, `(n,)`.
        """
        check_whole(1, n=n)
        check_whole(0, seed=seed)
        rng = np.random.default_rng(seed)
        labels = rng.integers(len(self.centres), size=n)
        noise = self.std * rng.standard_normal((n, self.centres.shape[1]))
        return (self.centres[labels] + noise).astype("float32"), labels


def mode_coverage(samples: Array, centres: Array, std: float) -> tuple[int, float]:
    """Return how many modes of a Gaussian mixture samples reach, and their share of good ones.

    By the rule of VEEGAN (Srivastava et al., 2017, arXiv:1705.07761) and PacGAN (Lin et al., 2018,
    arXiv:1712.04086), which take 2,500 samples, a sample is of high quality if it lies within 3
    standard deviations of the nearest centre, and a mode is reached if one such sample or more is
    nearest to it. Even a perfect model has no more than `high_quality_ceiling(d)` of them.

    Args:
        samples: array `(n, d)`.
        centres: array `(modes, d)`, no two closer than `std`.
        std: float, standard deviation of every coordinate about its centre, greater than 0.

    Returns:
        `(modes, high_quality)`: an int, and a share from 0 to 1.

    Raises:
        ValueError: as `GaussianMixture`; samples that are empty, not finite, or of another d.

    Example:

    >>> kg.metrics.mode_coverage([[0.1, 0.0], [5.2, 0.0], [2.5, 0.0]], [[0, 0], [5, 0]], std=0.05)
    (1, 0.3333333333333333)
    """
    centres, std = _centres(centres, std)
    samples = feature_rows("samples", samples).astype("float64")
    if samples.shape[1] != centres.shape[1]:
        raise ValueError(
            "Samples and centres must have the same number of coordinates, but a sample has "
            f"{samples.shape[1]} and a centre {centres.shape[1]}."
        )
    # ‖x − c‖²/2 without the ‖x‖²/2 that all centres share.
    nearest = np.argmin(np.square(centres).sum(axis=1) / 2 - samples @ centres.T, axis=1)
    good = np.linalg.norm(samples - centres[nearest], axis=1) <= HIGH_QUALITY * std
    return len(np.unique(nearest[good])), float(good.mean())


def high_quality_ceiling(dimensions: int) -> float:
    """Return the share of a Gaussian within 3 standard deviations: the most that a model should reach.

    It is the χ² distribution function at 9 for so many dimensions: 0.98889 in 2, but 0.017 in 20,
    where `mode_coverage` says little. More than it means samples that crowd the centres.

    Args:
        dimensions: int, coordinates of a sample.

    Returns:
        float from 0 to 1.

    Raises:
        ValueError: `dimensions` is no whole number of 1 or more.

    Example:

    >>> round(kg.metrics.high_quality_ceiling(2), 5)
    0.98889
    """
    check_whole(1, dimensions=dimensions)
    half = HIGH_QUALITY**2 / 2
    odd = dimensions % 2
    share = math.erf(math.sqrt(half)) if odd else 1.0
    # F(d + 2) = F(d) − (x/2)^(d/2) exp(−x/2) / Γ(d/2 + 1), from F(0) = 1 or F(1).
    for d in range(odd, dimensions, 2):
        share -= math.exp(d / 2 * math.log(half) - half - math.lgamma(d / 2 + 1))
    return max(share, 0.0)


class ModeCoverage(Metric):
    """How many modes of a Gaussian mixture are reached: `mode_coverage` as a metric.

    The values of its `Score` are `modes` and `high_quality`. The centres are known, so real points
    are counted and otherwise not looked at; they may be `None`. Points are an array, not a dataset.

    Args:
        centres: array `(modes, d)`, no two closer than `std`.
        std: float, standard deviation of every coordinate about its centre, greater than 0.
        split: str, what the real points are; only reported. Defaults to `None`.

    Raises:
        ValueError: as `mode_coverage`.
        TypeError: points that are no array of numbers.

    Example:

    >>> mixture = kg.metrics.GaussianMixture.grid()
    >>> coverage = kg.metrics.ModeCoverage(mixture.centres, mixture.std)
    >>> points, _ = mixture.sample(2500, seed=0)
    >>> coverage(real=points, fake=points[:500]).values["modes"]
    25
    """

    names = ("modes", "high_quality")

    def __init__(self, centres: Array, std: float, split: str | None = None) -> None:
        self.centres, self.std = _centres(centres, std)
        self.split = split

    def reference(self, real: Array | None) -> int:
        """Return the number of real points."""
        return 0 if real is None else len(array_rows("real", real))

    def compare(self, reference: int, fake: Array) -> Score:
        """See base class."""
        fake = array_rows("fake", fake)
        modes, high_quality = mode_coverage(fake, self.centres, self.std)
        count, dimensions = self.centres.shape
        ceiling = round(high_quality_ceiling(dimensions), 5)
        return Score(
            {"modes": modes, "high_quality": high_quality},
            num_real=reference,
            num_fake=len(fake),
            split=self.split,
            settings={"centres": count, "std": self.std, "ceiling": ceiling},
        )


def stack_digits(
    images: Array, n: int, seed: int, labels: Array | None = None
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Stack random digits as the colours of images: data with 1,000 modes of equal weight.

    Stacked MNIST is from Metz et al. (2016, arXiv:1611.02163); the three digits of an
    image are drawn independently, with replacement.

    Args:
        images: array `(m, h, w, 1)` of digits, in any range and dtype.
        n: int, how many stacked images to make.
        seed: int, 0 or more.
        labels: integer array `(m,)`, the digits 0 to 9 on the images; `None` if not known.

    Returns:
        Array `(n, h, w, 3)` of the images' dtype. With `labels` a pair: it, and the classes 0 to 999,
        `(n,)`, whose hundreds, tens and ones are the digits in the first, second and third channel.

    Raises:
        ValueError: images of another shape; labels that do not fit them.

    Example:

    >>> digits = np.zeros((10, 28, 28, 1), "float32")
    >>> images, classes = kg.metrics.stack_digits(digits, 5, seed=0, labels=np.arange(10))
    >>> images.shape, classes.tolist()
    ((5, 28, 28, 3), [865, 230, 1, 869, 569])
    """
    images = as_array(images)
    if images.ndim != 4 or images.shape[-1] != 1 or images.size == 0:
        raise ValueError(
            "Digits to stack are an array of shape (m, h, w, 1) of one channel. "
            f"Received shape: {images.shape}"
        )
    check_whole(1, n=n)
    check_whole(0, seed=seed)
    chosen = np.random.default_rng(seed).integers(len(images), size=(n, 3))
    stacked = np.moveaxis(images[..., 0][chosen], 1, -1)
    if labels is None:
        return stacked
    labels = _classes("labels", labels, 10)
    if len(labels) != len(images):
        raise ValueError(
            f"Every image has one label. Received {len(images)} images and {len(labels)} labels."
        )
    return stacked, _stacked(labels[chosen].T)


def stacked_digit_modes(classes: Array, real_classes: Array | None = None) -> tuple[int, float]:
    """Return how many of the 1,000 modes of stacked digits are reached, and a KL divergence in nats.

    As Metz et al. (2016, arXiv:1611.02163) and Lin et al. (2018, arXiv:1712.04086) measure: a mode
    is reached if one sample or more falls in its class, and the divergence is that of the samples'
    classes from the data's, Σ p log(p/q). Both depend on the number of samples, 25,600 or 26,000 in
    these papers: even a perfect sampler of n has a divergence of about 999/2n, 0.019 nats.

    Args:
        classes: integer array `(n,)` from 0 to 999: what a classifier sees in the samples.
        real_classes: integer array `(m,)`, those of real images; their shares stand in for q.
            Defaults to `None`: q is 1/1000 for all.

    Returns:
        `(modes, kl)`: an int, and a float. `kl` is infinite if samples fall in a class that
        `real_classes` does not hold.

    Raises:
        ValueError: classes that are empty, not 1-D, or no whole numbers from 0 to 999.

    Example:

    >>> modes, kl = kg.metrics.stacked_digit_modes(range(0, 1000, 10))
    >>> modes, round(kl, 4)
    (100, 2.3026)
    """
    counts = np.bincount(_classes("classes", classes), minlength=STACKED_CLASSES)
    shares = counts / counts.sum()
    expected = np.full(STACKED_CLASSES, 1 / STACKED_CLASSES)
    if real_classes is not None:
        real = np.bincount(_classes("real_classes", real_classes), minlength=STACKED_CLASSES)
        expected = real / real.sum()
    reached = counts > 0
    with np.errstate(divide="ignore"):
        ratios = shares[reached] / expected[reached]
    return int(reached.sum()), float(shares[reached] @ np.log(ratios))


class StackedDigits(ClassifierMetric):
    """Modes of stacked digits as a classifier of single digits sees them: `stacked_digit_modes`.

    The values of its `Score` are `modes` and `kl`, the divergence from equal shares, in nats. The
    same numbers of the real images stand in its `settings` as `real_modes` and `real_kl`: with as
    many real images as samples, they are what a perfect model would get with this classifier.

    Args:
        extractor: a classifier of digits: as in `FeatureMetric`, and with a method
            `probabilities(images)` from `(n, h, w, 1)` to `(n, 10)`. It sees each channel by itself.
        split: str, what the real images are, such as `"mnist test"`; only reported. Defaults to `None`.

    Raises:
        TypeError: an extractor without `probabilities`.
        ValueError: images that are not of shape (n, h, w, 3); probabilities not of shape (n, 10).

    Example:

    >>> class Brightness:
    ...     name, weights, resizer, size = "brightness", None, None, 1
    ...     def __call__(self, images):
    ...         return images.mean(axis=(1, 2))
    ...     def probabilities(self, images):
    ...         return np.eye(10)[np.rint(images.mean(axis=(1, 2, 3))).astype(int)]
    >>> digits = np.broadcast_to(np.arange(10.0)[:, None, None, None], (10, 4, 4, 1))
    >>> real, fake = (kg.metrics.stack_digits(digits, 26_000, seed) for seed in (0, 1))
    >>> score = kg.metrics.StackedDigits(Brightness())(real, fake)
    >>> score.values["modes"], round(score.values["kl"], 2)
    (1000, 0.02)
    """

    names = ("modes", "kl")

    def summarise(self, real: Images) -> tuple[int, int, float]:
        """Return the number of real images, their modes and their divergence."""
        classes = self._classes("real", real)
        return len(classes), *stacked_digit_modes(classes)

    def judge(self, summary: tuple[int, int, float], fake: Images) -> Score:
        """Return the `Score` of samples; `summary` is what `summarise` returned."""
        num_real, real_modes, real_kl = summary
        classes = self._classes("fake", fake)
        modes, kl = stacked_digit_modes(classes)
        return self.score(
            {"modes": modes, "kl": kl},
            num_real,
            len(classes),
            real_modes=real_modes,
            real_kl=round(real_kl, 4),
        )

    def _classes(self, name, images):
        return np.concatenate([self._classify(name, batch) for batch in image_batches(name, images)])

    def _classify(self, name, images):
        if images.shape[-1] != 3:
            raise ValueError(
                f"`{name}` are stacked digits, of shape (n, height, width, 3). "
                f"Received shape: {images.shape}. `stack_digits` makes them of single digits."
            )
        return _stacked([self._digits(images[..., channel, None]) for channel in range(3)])

    def _digits(self, images):
        probabilities = self.probabilities(images)
        if probabilities.shape[1] != 10:
            raise ValueError(
                f"The classifier {self.extractor.name!r} must tell ten digits apart. Received "
                f"probabilities of {probabilities.shape[1]} classes."
            )
        return probabilities.argmax(axis=1)


def _stacked(digits):
    hundreds, tens, ones = digits
    return 100 * hundreds + 10 * tens + ones


def _positive(**arguments):
    for name, value in arguments.items():
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_number or not 0 < value < math.inf:
            raise ValueError(f"`{name}` is a finite number greater than 0. Received: {value!r}")


def _centres(centres, std) -> tuple[np.ndarray, float]:
    _positive(std=std)
    centres = np.asarray(centres, dtype="float64")
    if centres.ndim != 2 or centres.size == 0 or not np.isfinite(centres).all():
        raise ValueError(
            "`centres` are finite numbers, one row a mode: an array of shape (modes, d). "
            f"Received: shape {centres.shape}, {np.count_nonzero(~np.isfinite(centres))} not finite."
        )
    if len(centres) > 1 and nearest_distances(centres, centres, exclude_self=True).min() < std:
        raise ValueError(
            f"Two of the {len(centres)} centres are closer than one standard deviation ({std:g}): "
            "their modes cannot be told apart. Are the angles 0 and 2π both on a ring?"
        )
    return centres, float(std)


def _classes(name, classes, count=STACKED_CLASSES) -> np.ndarray:
    classes = np.asarray(classes)
    if classes.ndim != 1 or classes.size == 0 or not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(
            f"`{name}` is a 1-D array of whole numbers from 0 to {count - 1}. "
            f"Received: {classes.dtype} of shape {classes.shape}."
        )
    if classes.min() < 0 or classes.max() >= count:
        raise ValueError(
            f"`{name}` reach from 0 to {count - 1}. Received: {classes.min()} to {classes.max()}."
        )
    return classes.astype("int64")

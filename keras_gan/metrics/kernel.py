"""Kernel distance between features: KID."""

import math

import numpy as np

from keras_gan.metrics.metric import FeatureMetric, Score, check_whole, feature_rows, same_width
from keras_gan.utils.typing import Array, Extractor, Images


def kernel_distance(
    real: Array, fake: Array, subset_size: int = 1000, num_subsets: int = 50, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy of features under a cubic kernel, without bias.

    The kernel is k(x, y) = (x·y/d + 1)³ for d features, and the estimate is the mean over random subsets
    of the unbiased one (Gretton et al., 2012, equation 3). With features of the Inception network of
    2015 this is the kernel inception distance, KID, of Bińkowski et al. (2018, arXiv:1801.01401).
    0 is best, and samples as good as real ones score below 0 about half the time. The
    expectation does not depend on the number of rows, as that of `frechet_distance` does.

    Args:
        real: array `(n, d)` of features of real images.
        fake: array `(m, d)` of features of generated images.
        subset_size: int, rows drawn from each side, without replacement, for one estimate. It must not
            exceed the number of rows of either side; it moves the deviation, not the expectation.
            Defaults to 1000.
        num_subsets: int, estimates that are averaged. Defaults to 50.
        seed: int, what the subsets are drawn from. Defaults to 0.

    Returns:
        Pair of floats: mean and population standard deviation of the estimates. The deviation
        is that of one subset. Subsets share rows, so that it is no error of the mean, and shrinks to
        nothing as they become all of the rows; it is NaN where they are, and of one subset.

    Raises:
        ValueError: features that are empty, not 2-D, not finite, of different widths or fewer than
            `subset_size` rows; a `subset_size` below 2; `num_subsets` below 1.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> real, fake, other = rng.normal(size=(3, 500, 8))
    >>> value, deviation = kg.metrics.kernel_distance(real, fake, subset_size=100)
    >>> abs(value) < 2 * deviation
    True
    >>> kg.metrics.kernel_distance(real, other + 1.0, subset_size=100)[0] > 10 * deviation
    True
    """
    real, fake = feature_rows("real", real), feature_rows("fake", fake)
    same_width("real", real, "fake", fake)
    check_whole(2, subset_size=subset_size)
    check_whole(1, num_subsets=num_subsets)
    check_whole(0, seed=seed)
    for name, rows in (("real", real), ("fake", fake)):
        if len(rows) < subset_size:
            half = min(len(real), len(fake)) // 2
            advice = f", or pass `subset_size={half}`: the expectation stays" if half > 1 else ""
            raise ValueError(
                f"A subset of {subset_size} rows cannot be drawn from the {len(rows)} of `{name}`. "
                f"Give more samples{advice}."
            )
    rng = np.random.default_rng(seed)
    estimates = [
        _discrepancy(_subset(rng, real, subset_size), _subset(rng, fake, subset_size))
        for _ in range(num_subsets)
    ]
    # One estimate, or the same one each time, says nothing of their spread.
    alike = num_subsets == 1 or len(real) == len(fake) == subset_size
    return float(np.mean(estimates)), math.nan if alike else float(np.std(estimates))


class KID(FeatureMetric):
    """Kernel distance of the features of images.

    Call it KID in print only if the features are those of the Inception network of 2015 (Bińkowski et
    al., 2018, arXiv:1801.01401). It has no bias, and so suits the few samples that one draws while
    training. See `kernel_distance`.

    Args:
        extractor: what makes features of images. See `FeatureMetric`.
        subset_size: int, images drawn from each side for one estimate; neither side may have fewer.
            Defaults to 1000.
        num_subsets: int, estimates that are averaged. Defaults to 50.
        seed: int, what the subsets are drawn from. Defaults to 0.
        split: str, what the real images are, such as `"mnist test"`; only reported. Defaults to `None`.

    Returns:
        Called on real and generated images: a `Score` with the value `kid`, whose error is the standard
        deviation between subsets.

    Raises:
        TypeError, ValueError: as `FeatureMetric` and `kernel_distance`.

    Example:

    >>> class Pixels:
    ...     name, weights, resizer, size = "pixels", None, None, 16
    ...     def __call__(self, images):
    ...         return images.reshape(len(images), -1)
    >>> real, fake = np.random.default_rng(0).random((2, 200, 4, 4, 1))
    >>> print(kg.metrics.KID(Pixels(), subset_size=100)(real, fake / 2))
    kid 0.30... ± 0.01... (200 real, 200 fake; pixels, subset_size = 100, num_subsets = 50, seed = 0)
    """

    names = ("kid",)

    def __init__(
        self,
        extractor: Extractor,
        subset_size: int = 1000,
        num_subsets: int = 50,
        seed: int = 0,
        split: str | None = None,
    ) -> None:
        super().__init__(extractor, split)
        check_whole(2, subset_size=subset_size)
        check_whole(1, num_subsets=num_subsets)
        check_whole(0, seed=seed)
        self.subset_size = subset_size
        self.num_subsets = num_subsets
        self.seed = seed

    def summarise(self, real: Images) -> np.ndarray:
        """Return the features of real images, of shape `(n, size)`."""
        return self.gather("real", real)

    def judge(self, summary: np.ndarray, fake: Images) -> Score:
        """Return the `Score` of samples held against such features."""
        features = self.gather("fake", fake)
        settings = {
            "subset_size": self.subset_size,
            "num_subsets": self.num_subsets,
            "seed": self.seed,
        }
        value, deviation = kernel_distance(summary, features, **settings)
        errors = {"kid": deviation}
        return self.score({"kid": value}, len(summary), len(features), errors, **settings)


def _subset(rng, rows, size):
    return np.float64(rows[rng.choice(len(rows), size, replace=False)])


def _discrepancy(first, second):
    """Return the unbiased MMD² of two sets of equally many rows."""
    between = _kernel(first, second).mean()
    return _mean_of_pairs(_kernel(first, first)) + _mean_of_pairs(_kernel(second, second)) - 2 * between


def _mean_of_pairs(kernel):
    """Return the mean over pairs of different rows."""
    return (kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))


def _kernel(first, second):
    return (first @ second.T / first.shape[1] + 1) ** 3

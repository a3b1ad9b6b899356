"""Kernel distance between features: KID."""

import math

import numpy as np

from keras_gan.metrics.arrays import as_row_pair
from keras_gan.metrics.base import FeatureMetric, Score
from keras_gan.utils.typing import Array, Extractor, Samples
from keras_gan.utils.validation import check_integer

__all__ = ["KID", "kernel_distance"]

MAX_SUBSET_SIZE, MAX_SUBSETS = 20_000, 100_000


def kernel_distance(
    real: Array, fake: Array, *, subset_size: int = 1000, num_subsets: int = 50, seed: int = 0
) -> tuple[float, float]:
    """Return an unbiased estimate of the squared maximum mean discrepancy under a cubic kernel.

    The kernel is k(x, y) = (x·y/d + 1)³ for d features, and the estimate is the mean over random subsets
    of the unbiased one (Gretton et al., 2012, equation 3). With features of the Inception network of
    2015 this is the kernel inception distance, KID, of Bińkowski et al. (2018, arXiv:1801.01401).
    0 is best, and samples as good as real ones score below 0 about half the time. Unlike that of
    `frechet_distance`, the expectation does not depend on the number of rows.

    Args:
        real: array `(n, ...)` of features of real samples, which are flattened to `(n, d)`.
        fake: array `(m, ...)` of features of generated samples.
        subset_size: int from 2 to 20,000, rows drawn from each side, without replacement, for one
            estimate; at most the number of rows of either side. It changes the deviation, not the
            expectation. Defaults to 1000.
        num_subsets: int, number of estimates to average, from 1 to 100,000. Defaults to 50.
        seed: int, seed of the subsets. Defaults to 0.

    Returns:
        Pair of floats: mean and population standard deviation of the estimates. The deviation is that
        of one subset. Since subsets share rows, it is not the error of the mean, and it tends to 0 as
        they approach all of the rows; it is NaN if they are all of the rows, and for one subset.

    Raises:
        ValueError: features that are empty, not finite, of different shapes, or fewer rows than
            `subset_size`; `subset_size`, `num_subsets` or `seed` out of range.
        TypeError: features that are not numbers; a count that is not an integer.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> real, fake, other = rng.normal(size=(3, 500, 8))
    >>> value, deviation = kg.metrics.kernel_distance(real, fake, subset_size=100)
    >>> abs(value) < 2 * deviation
    True
    >>> kg.metrics.kernel_distance(real, other + 1.0, subset_size=100)[0] > 10 * deviation
    True
    """
    real, fake = as_row_pair("real", real, "fake", fake)
    subset_size, num_subsets, seed = _check_options(subset_size, num_subsets, seed)
    for name, rows in (("real", real), ("fake", fake)):
        if len(rows) < subset_size:
            half = min(len(real), len(fake)) // 2
            advice = f", or pass `subset_size={half}`, which keeps the expectation" if half > 1 else ""
            raise ValueError(
                f"Cannot draw a subset of {subset_size} rows from the {len(rows)} of `{name}`. "
                f"Give more samples{advice}."
            )
    rng = np.random.default_rng(seed)
    estimates = [
        _discrepancy(_subset(rng, real, subset_size), _subset(rng, fake, subset_size))
        for _ in range(num_subsets)
    ]
    # One estimate, or the same one each time, has no spread.
    constant = num_subsets == 1 or len(real) == len(fake) == subset_size
    return float(np.mean(estimates)), math.nan if constant else float(np.std(estimates))


class KID(FeatureMetric):
    """Kernel distance between the features of real and generated samples.

    Call it KID in print only if the features are those of the Inception network of 2015 (Bińkowski et
    al., 2018, arXiv:1801.01401). It is unbiased, and so suits the few samples that one draws during
    training. See `kernel_distance`.

    Args:
        extractor: feature extractor. See `FeatureMetric`.
        subset_size: int from 2 to 20,000, samples drawn from each side for one estimate; neither side
            may have fewer. Defaults to 1000.
        num_subsets: int, number of estimates to average, from 1 to 100,000. Defaults to 50.
        seed: int, seed of the subsets. Defaults to 0.
        split: str, name of the real data, such as `"mnist test"`; only recorded. Defaults to `None`.

    Returns:
        Called on real and generated samples: a `Score` with the value `kid`, whose error is the standard
        deviation between subsets.

    Raises:
        TypeError, ValueError: as `FeatureMetric` and `kernel_distance`.

    Example:

    >>> real, fake = np.random.default_rng(0).random((2, 200, 4, 4, 1))
    >>> extractor = kg.metrics.Pixels((4, 4, 1))
    >>> print(kg.metrics.KID(extractor, subset_size=100, split="test")(real, fake / 2))
    kid 0.30... ± 0.01... (200 real of test, 200 fake; pixels, value_range = (0.0, 1.0), ...)
    """

    names = ("kid",)

    def __init__(
        self,
        extractor: Extractor,
        *,
        subset_size: int = 1000,
        num_subsets: int = 50,
        seed: int = 0,
        split: str | None = None,
    ) -> None:
        super().__init__(extractor, split=split)
        self.subset_size, self.num_subsets, self.seed = _check_options(subset_size, num_subsets, seed)

    def _prepare(self, real: Samples) -> np.ndarray:
        """Return the features of real samples, of shape `(n, size)`."""
        return self.all_features("real", real)

    def _evaluate(self, state: np.ndarray, fake: Samples) -> Score:
        """See base class."""
        features = self.all_features("fake", fake)
        settings = {
            "subset_size": self.subset_size,
            "num_subsets": self.num_subsets,
            "seed": self.seed,
        }
        value, deviation = kernel_distance(state, features, **settings)
        errors = {"kid": deviation}
        return self.score({"kid": value}, len(state), len(features), errors, **settings)


def _check_options(subset_size, num_subsets, seed):
    return (
        check_integer("subset_size", subset_size, minimum=2, maximum=MAX_SUBSET_SIZE),
        check_integer("num_subsets", num_subsets, minimum=1, maximum=MAX_SUBSETS),
        check_integer("seed", seed, minimum=0),
    )


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

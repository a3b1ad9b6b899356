"""Fréchet distance between Gaussians fitted to features: FID."""

import numpy as np

from keras_gan.metrics.arrays import as_row_pair, as_rows
from keras_gan.metrics.base import FeatureMetric, Score, warn
from keras_gan.utils.typing import Array, Samples
from keras_gan.utils.validation import check_integer

__all__ = ["FID", "GaussianStatistics", "frechet_distance"]

MAX_SIZE = 2**16  # a covariance of so many features takes 34 GB


class GaussianStatistics:
    """Mean and covariance of features that come in batches, in constant memory.

    Each batch is summed about its own mean, and sums are moved to their common mean when they are
    merged (Chan, Golub and LeVeque, 1983), so that nothing cancels if the mean is much larger than the
    spread. Neither the order nor the size of the batches matters beyond rounding.

    Args:
        size: int, the number of features d, at most 65,536; memory is d² float64 numbers.

    Raises:
        ValueError: a size out of range; features that are not finite or do not have `size` numbers per
            row; statistics of another size; a mean of no rows, or a covariance of fewer than 2.
        TypeError: a size that is not an integer; features that are not numbers; `merge` with anything
            but `GaussianStatistics`.

    Example:

    >>> statistics = kg.metrics.GaussianStatistics(2)
    >>> statistics.update([[0.0, 1.0], [2.0, 3.0]])
    >>> statistics.update([[4.0, 8.0]])
    >>> statistics.count, statistics.mean.tolist(), statistics.covariance.round(6).tolist()
    (3, [2.0, 4.0], [[4.0, 7.0], [7.0, 13.0]])
    """

    def __init__(self, size: int) -> None:
        self.size = size = check_integer(
            "size",
            size,
            minimum=1,
            maximum=MAX_SIZE,
            hint="Use an extractor with fewer features, or `KID`, which needs no covariance.",
        )
        self.count = 0
        self._mean = np.zeros(size)
        self._scatter = np.zeros((size, size))

    def update(self, features: Array) -> None:
        """Add the rows of an array `(n, size)`, or `(n, ...)` with `size` numbers per row."""
        rows = as_rows("features", features).astype("float64")
        if rows.shape[1] != self.size:
            raise ValueError(
                f"Expected {self.size} features per row. Received shape: {rows.shape}. "
                "Compute all features with the same extractor."
            )
        mean = rows.mean(axis=0)
        self._join(len(rows), mean, rows - mean)

    def merge(self, other: "GaussianStatistics") -> None:
        """Add all rows of other statistics."""
        if not isinstance(other, GaussianStatistics):
            raise TypeError(
                "`other` must be `GaussianStatistics`. "
                f"Received: {type(other).__name__}. Add rows with `update`."
            )
        if other.size != self.size:
            raise ValueError(
                f"Cannot merge statistics of {other.size} features into those of {self.size}. "
                "Compute all features with the same extractor."
            )
        if other.count:
            self._scatter += other._scatter
            self._join(other.count, other._mean, np.zeros((0, self.size)))

    def _join(self, count, mean, centered):
        """Add `count` rows of this mean, whose differences from it are the rows of `centered`."""
        total = self.count + count
        step = mean - self._mean
        # The distance between the means counts as one more row.
        between = np.sqrt(self.count * count / total) * step
        centered = np.concatenate([centered, between[None]])
        self._scatter += centered.T @ centered
        self._mean = self._mean + step * (count / total)
        self.count = total

    @property
    def mean(self) -> np.ndarray:
        """Mean of all rows, of shape `(size,)`."""
        if not self.count:
            raise ValueError("There is no mean before the first call of `update`.")
        return self._mean.copy()

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance of all rows (their scatter over n − 1), of shape `(size, size)`."""
        if self.count < 2:
            raise ValueError(f"A covariance needs at least 2 rows of features. Received: {self.count}.")
        return self._scatter / (self.count - 1)


def frechet_distance(real: Array | GaussianStatistics, fake: Array | GaussianStatistics) -> float:
    """Return the squared Fréchet distance between Gaussians fitted to real and generated features.

    ‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2(C₁C₂)^½): with features of the Inception network of 2015 this is the
    Fréchet inception distance, FID, of Heusel et al. (2017, arXiv:1706.08500, equation 6). 0 is best.

    The estimate is biased upwards, more so with fewer rows, so compare only distances of the same
    number of rows; 10,000 or more are usual. Covariances may be singular: the trace of the root is
    computed, in float64, as the sum of the singular values of C₁^½ C₂^½, which needs neither an
    inverse nor the root of a matrix that is not symmetric.

    Args:
        real: array `(n, ...)` of features of real samples, which are flattened to `(n, d)`, or their
            `GaussianStatistics`.
        fake: the same for generated samples.

    Returns:
        Float, 0 or more.

    Raises:
        ValueError: features that are empty, not finite, of different shapes, or fewer than 2 rows.
        TypeError: features that are not numbers.

    Warns:
        UserWarning: one side has no more rows than features, so its covariance is singular.

    Example:

    >>> real = np.random.default_rng(0).normal(size=(5000, 2))
    >>> round(kg.metrics.frechet_distance(real, real + [3.0, 4.0]), 6)
    25.0
    """
    if not isinstance(real, GaussianStatistics) and not isinstance(fake, GaussianStatistics):
        real, fake = as_row_pair("real", real, "fake", fake)
    real, fake = _statistics("real", real), _statistics("fake", fake)
    if real.size != fake.size:
        raise ValueError(
            f"`real` has {real.size} features per row and `fake` {fake.size}. "
            "Compute both with the same extractor."
        )
    few = [f"{s.count} {name}" for name, s in (("real", real), ("fake", fake)) if s.count <= s.size]
    if few:
        warn(
            f"A Fréchet distance of {' and '.join(few)} rows of {real.size} features is biased upwards: "
            "with no more rows than features the covariance is singular. Use more samples (10,000 or "
            "more are usual), or `kernel_distance`, which is unbiased."
        )
    first, second = real.covariance, fake.covariance
    between_means = np.sum((real.mean - fake.mean) ** 2)
    singular = np.linalg.svd(_root(first).T @ _root(second), compute_uv=False)
    distance = between_means + np.trace(first) + np.trace(second) - 2 * singular.sum()
    return max(0.0, float(distance))


class FID(FeatureMetric):
    """Fréchet distance between the features of real and generated samples, in constant memory.

    Call it FID in print only if the features are those of the Inception network of 2015 (Heusel et
    al., 2017, arXiv:1706.08500), and the numbers of samples, the resizing and the weights, all of which
    the result records, are the same as for the score that it is compared with. See `frechet_distance`.

    Args:
        extractor: feature extractor, with at most 65,536 features. See `FeatureMetric`.
        split: str, name of the real data, such as `"mnist test"`; only recorded. Defaults to `None`.

    Returns:
        Called on real and generated samples: a `Score` with the value `fid`.

    Raises:
        TypeError, ValueError: as `FeatureMetric` and `frechet_distance`.

    Example:

    >>> class Means:
    ...     name, weights, resizer, size = "means", None, None, 1
    ...     def __call__(self, images):
    ...         return images.mean(axis=(1, 2))
    >>> real = np.random.default_rng(0).random((100, 4, 4, 1))
    >>> print(kg.metrics.FID(Means())(real, real + 0.5))
    fid 0.25 (100 real, 100 fake; means)
    """

    names = ("fid",)

    def _prepare(self, real: Samples) -> GaussianStatistics:
        """Return the `GaussianStatistics` of the features of real samples."""
        return self._statistics("real", real)

    def _evaluate(self, state: GaussianStatistics, fake: Samples) -> Score:
        """See base class."""
        statistics = self._statistics("fake", fake)
        value = frechet_distance(state, statistics)
        return self.score({"fid": value}, state.count, statistics.count)

    def _statistics(self, name, samples):
        statistics = GaussianStatistics(self.extractor.size)
        for features in self.feature_batches(name, samples):
            statistics.update(features)
        return statistics


def _statistics(name, features) -> GaussianStatistics:
    if not isinstance(features, GaussianStatistics):
        features = as_rows(name, features)
        statistics = GaussianStatistics(features.shape[1])
        statistics.update(features)
        features = statistics
    if features.count < 2:
        raise ValueError(
            f"`{name}` must have at least 2 rows, for a covariance. Received: {features.count}."
        )
    return features


def _root(covariance):
    """Return R with R Rᵀ = covariance, and as many columns as its rank."""
    values, vectors = np.linalg.eigh(covariance)
    # Eigenvalues that should be 0 are rounding errors, whose roots would be far from 0.
    kept = values > len(values) * np.finfo(values.dtype).eps * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])

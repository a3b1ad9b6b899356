"""Fréchet distance between Gaussians fitted to features: FID."""

import numpy as np

from keras_gan.metrics.metric import FeatureMetric, Score, check_whole, feature_rows, warn
from keras_gan.utils.typing import Array, Images


class GaussianStatistics:
    """Mean and covariance of features that come in batches, at constant memory.

    Each batch is summed about its own mean, and sums are moved to their common mean when they are
    joined (Chan, Golub and LeVeque, 1983), so that nothing cancels where the mean is large beside the
    spread. Neither the order nor the size of the batches matters beyond rounding.

    Args:
        size: int, the number of features d; memory is d² float64 numbers.

    Raises:
        ValueError: a size below 1; features that are not finite or not of shape `(n, size)`; statistics
            of another size; a mean of no rows, or a covariance of fewer than 2.
        TypeError: `merge` with what is no statistics.

    Example:

    >>> statistics = kg.metrics.GaussianStatistics(2)
    >>> statistics.update([[0.0, 1.0], [2.0, 3.0]])
    >>> statistics.update([[4.0, 8.0]])
    >>> statistics.count, statistics.mean.tolist(), statistics.covariance.round(6).tolist()
    (3, [2.0, 4.0], [[4.0, 7.0], [7.0, 13.0]])
    """

    def __init__(self, size: int) -> None:
        check_whole(1, size=size)
        self.size = size
        self.count = 0
        self._mean = np.zeros(size)
        self._scatter = np.zeros((size, size))

    def update(self, features: Array) -> None:
        """Add the rows of an array `(n, size)`."""
        rows = feature_rows("features", features).astype("float64")
        if rows.shape[1] != self.size:
            raise ValueError(
                f"These are statistics of {self.size} features. Received shape: {rows.shape}. "
                "Make all features with the same extractor."
            )
        mean = rows.mean(axis=0)
        self._join(len(rows), mean, rows - mean)

    def merge(self, other: "GaussianStatistics") -> None:
        """Add all rows that other statistics have seen."""
        if not isinstance(other, GaussianStatistics):
            raise TypeError(
                "Statistics are merged with other `GaussianStatistics`; rows are added with `update`. "
                f"Received: {type(other).__name__}"
            )
        if other.size != self.size:
            raise ValueError(
                f"These are statistics of {self.size} features, those to merge of {other.size}. "
                "Make all features with the same extractor."
            )
        if other.count:
            self._scatter += other._scatter
            self._join(other.count, other._mean, np.zeros((0, self.size)))

    def _join(self, count, mean, centred):
        """Add `count` rows of this mean, whose differences from it are the rows of `centred`."""
        total = self.count + count
        step = mean - self._mean
        # The distance between the means counts as one more row.
        between = np.sqrt(self.count * count / total) * step
        centred = np.concatenate([centred, between[None]])
        self._scatter += centred.T @ centred
        self._mean = self._mean + step * (count / total)
        self.count = total

    @property
    def mean(self) -> np.ndarray:
        """Mean of all rows, of shape `(size,)`."""
        if not self.count:
            raise ValueError("No features have a mean yet. Give some with `update`.")
        return self._mean.copy()

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance of all rows (their scatter over n − 1), of shape `(size, size)`."""
        if self.count < 2:
            raise ValueError(f"A covariance needs 2 rows of features or more. Received: {self.count}.")
        return self._scatter / (self.count - 1)


def frechet_distance(real: Array | GaussianStatistics, fake: Array | GaussianStatistics) -> float:
    """Squared Fréchet distance between Gaussians fitted to real and generated features.

    ‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2(C₁C₂)^½): with features of the Inception network of 2015 this is the
    Fréchet inception distance, FID, of Heusel et al. (2017, arXiv:1706.08500, equation 6). 0 is best.

    Features of few rows are biased upwards, the more the fewer they are, so that only distances of
    equally many rows compare, and 10,000 or more are usual. Covariances may be singular: the trace of
    the root is computed, in float64, as the sum of the singular values of C₁^½ C₂^½, which needs
    neither an inverse nor the root of a matrix that is not symmetric.

    Args:
        real: array `(n, d)` of features of real images, or their `GaussianStatistics`.
        fake: the same of generated images.

    Returns:
        Float, 0 or more.

    Raises:
        ValueError: features that are empty, not 2-D, not finite, of different widths, or fewer than
            2 rows.

    Warns:
        UserWarning: no more rows than features, on either side: the covariance is singular.

    Example:

    >>> real = np.random.default_rng(0).normal(size=(5000, 2))
    >>> round(kg.metrics.frechet_distance(real, real + [3.0, 4.0]), 6)
    25.0
    """
    real, fake = _statistics("real", real), _statistics("fake", fake)
    if real.size != fake.size:
        raise ValueError(
            f"Features are compared column by column, but `real` has {real.size} columns and `fake` "
            f"{fake.size}. Make both with the same extractor."
        )
    few = [f"{s.count} {name}" for name, s in (("real", real), ("fake", fake)) if s.count <= s.size]
    if few:
        warn(
            f"A Fréchet distance of {' and '.join(few)} rows of {real.size} features is biased upwards: "
            "with no more rows than features a covariance is singular. Use more samples (10,000 or "
            "more are usual), or `kernel_distance`, which has no bias."
        )
    first, second = real.covariance, fake.covariance
    between_means = np.sum((real.mean - fake.mean) ** 2)
    singular = np.linalg.svd(_root(first).T @ _root(second), compute_uv=False)
    distance = between_means + np.trace(first) + np.trace(second) - 2 * singular.sum()
    return max(0.0, float(distance))


class FID(FeatureMetric):
    """Fréchet distance of the features of images, streamed: memory does not grow with their number.

    Call it FID in print only if the features are those of the Inception network of 2015 (Heusel et
    al., 2017, arXiv:1706.08500), and the numbers of images, the resizing and the weights, all of which
    the result holds, are the same as in what it is compared with. See `frechet_distance`.

    Args:
        extractor: what makes features of images. See `FeatureMetric`.
        split: str, what the real images are, such as `"mnist test"`; only reported. Defaults to `None`.

    Returns:
        Called on real and generated images: a `Score` with the value `fid`.

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

    def summarise(self, real: Images) -> GaussianStatistics:
        """Return the `GaussianStatistics` of the features of real images."""
        return self._statistics("real", real)

    def judge(self, summary: GaussianStatistics, fake: Images) -> Score:
        """Return the `Score` of samples held against such statistics."""
        statistics = self._statistics("fake", fake)
        value = frechet_distance(summary, statistics)
        return self.score({"fid": value}, summary.count, statistics.count)

    def _statistics(self, name, images):
        statistics = GaussianStatistics(self.extractor.size)
        for features in self.batches(name, images):
            statistics.update(features)
        return statistics


def _statistics(name, features) -> GaussianStatistics:
    if not isinstance(features, GaussianStatistics):
        features = feature_rows(name, features)
        statistics = GaussianStatistics(features.shape[1])
        statistics.update(features)
        features = statistics
    if features.count < 2:
        raise ValueError(f"`{name}` needs 2 rows or more for a covariance. Received: {features.count}.")
    return features


def _root(covariance):
    """Return R of as many columns as the covariance has rank, with R Rᵀ = covariance."""
    values, vectors = np.linalg.eigh(covariance)
    # What is left of eigenvalues that should be 0 is rounding, whose root would be far from 0.
    kept = values > len(values) * np.finfo(values.dtype).eps * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])

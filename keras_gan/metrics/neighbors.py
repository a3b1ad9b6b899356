"""Nearest neighbors, and metrics of them: precision, recall, density, coverage."""

from collections.abc import Callable

import numpy as np

from keras_gan.metrics.arrays import as_row_pair
from keras_gan.metrics.base import FeatureMetric, Score
from keras_gan.utils.typing import Array, Extractor, Samples
from keras_gan.utils.validation import check_flag, check_integer

__all__ = [
    "DensityCoverage",
    "PrecisionRecall",
    "density_coverage",
    "nearest_distances",
    "precision_recall",
]

BLOCK_SIZE = 1000
MAX_NEIGHBORS = 10_000
MAX_BLOCK_SIZE = 20_000  # two blocks of distances in float64 take 6.4 GB
ROUNDING = 1e-12


def nearest_distances(
    queries: Array,
    references: Array,
    *,
    k: int = 1,
    exclude_self: bool = False,
    block_size: int = BLOCK_SIZE,
) -> np.ndarray:
    """Return the Euclidean distances from each query to its k nearest references, nearest first.

    Neighbors are found block by block in float64 (to 1e-8 of the spread of the rows), and their
    distances then computed from differences: a copy is at distance 0, even far from the origin.

    Args:
        queries: array `(n, ...)` of features or samples of any shape.
        references: array `(m, ...)` of the same.
        k: int from 1 to 10,000, number of neighbors of each query. Defaults to 1.
        exclude_self: bool, whether `references` are the `queries` themselves, in the same order, so
            that no row is its own neighbor. An equal row elsewhere is one. Defaults to `False`.
        block_size: int, number of queries and of references that are compared at once, at most 20,000:
            memory beyond the data grows as its square. Defaults to 1000 (32 MB).

    Returns:
        Array `(n, k)`, float64, ascending in each row.

    Raises:
        ValueError: data that are empty, not finite or of different shapes; fewer than k references
            (k + 1 with `exclude_self`); with `exclude_self`, different numbers of queries and
            references; `k` or `block_size` out of range.
        TypeError: data that are not numbers; another argument of the wrong type.

    Example:

    >>> from keras_gan.metrics import nearest_distances
    >>> points = [[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]]
    >>> nearest_distances([[0.0, 0.0]], points, k=2).tolist()
    [[0.0, 5.0]]
    >>> nearest_distances(points, points, exclude_self=True).tolist()
    [[5.0], [1.0], [1.0]]
    """
    queries, references = as_row_pair("queries", queries, "references", references)
    k, block_size = _check_options(k, block_size)
    exclude_self = check_flag("exclude_self", exclude_self)
    if exclude_self and len(queries) != len(references):
        raise ValueError(
            "With `exclude_self`, `references` must be the queries themselves, row by row. "
            f"Received: {len(queries)} queries and {len(references)} references."
        )
    if len(references) < k + exclude_self:
        raise ValueError(
            f"`references` must have at least {k + exclude_self} rows, for {k} neighbors of each query. "
            f"Received: {len(references)}. Give more of them, or a smaller `k`."
        )
    center = references.mean(axis=0, dtype="float64")
    squares = [
        _nearest_squares(queries, start, references, k, exclude_self, center, block_size)
        for start in range(0, len(queries), block_size)
    ]
    return np.sqrt(np.concatenate(squares))


def precision_recall(
    real: Array, fake: Array, *, k: int = 3, block_size: int = BLOCK_SIZE
) -> tuple[float, float]:
    """Return the shares of samples that look real, and of real data that the samples reach.

    Around each row lies a ball that ends at its k-th neighbor in its own set. Precision is the share
    of `fake` rows inside any ball of `real` rows; recall the share of `real` rows inside any ball of
    `fake` rows (Kynkäänniemi et al., 2019, arXiv:1904.06991, equations 1 and 2). Both lie in [0, 1],
    and both are well below 1 for two sets from one distribution: near 0.5, with k = 5, for 10,000
    rows of 1000 independent normal features. If a few outliers have large balls, `density_coverage`
    is more robust.

    Args:
        real: array `(n, ...)` of features of real samples.
        fake: array `(m, ...)` of features of generated samples.
        k: int, the neighbor at which a ball ends, not counting the row itself. A row at exactly that
            distance is inside, as in the paper. Defaults to 3.
        block_size: int, number of rows of each side that are compared at once. Defaults to 1000 (32 MB).

    Returns:
        Pair of floats: precision and recall.

    Raises:
        ValueError: features that are empty, not finite, of different shapes or fewer than k + 1 rows;
            `k` or `block_size` out of range.
        TypeError: features that are not numbers; a count that is not an integer.

    Example:

    >>> real = np.random.default_rng(0).normal(size=(1000, 2))
    >>> fake = real[real[:, 0] > 0]  # half of the distribution
    >>> kg.metrics.precision_recall(real, fake)
    (1.0, 0.5...)
    """
    return _compare(_precision_recall, real, fake, k, block_size)


def density_coverage(
    real: Array, fake: Array, *, k: int = 5, block_size: int = BLOCK_SIZE
) -> tuple[float, float]:
    """Return how densely samples lie among real data, and the share of real data that they cover.

    Around each real row lies a ball that ends at its k-th real neighbor. Density is the number of balls
    around a `fake` row, in units of k, on average; coverage the share of balls with a `fake` row inside
    (Naeem et al., 2020, arXiv:2002.09797, section 3). Unlike in `precision_recall`, an outlier
    among real rows adds little, and two sets from one distribution have known expectations: density
    1, and coverage 1 − Π (n − i) / (n + m − i) over i = 1 … k, which is 0.97 for k = 5 and n = m.
    Density may exceed 1, if samples crowd around typical data.

    Args:
        real: array `(n, ...)` of features of real samples.
        fake: array `(m, ...)` of features of generated samples.
        k: int, the neighbor at which a ball ends, not counting the row itself. A row at exactly that
            distance is inside; the authors' package `prdc` leaves it out, which differs only for ties
            (for copies of the real rows, density is (k + 1)/k here and 1 there). Defaults to 5.
        block_size: int, number of rows of each side that are compared at once. Defaults to 1000 (32 MB).

    Returns:
        Pair of floats: density (0 or more) and coverage (in [0, 1]).

    Raises:
        ValueError: features that are empty, not finite or of different shapes; fewer than k + 1 real
            rows; `k` or `block_size` out of range.
        TypeError: features that are not numbers; a count that is not an integer.

    Example:

    >>> real, fake = np.random.default_rng(0).normal(size=(2, 1000, 2))
    >>> density, coverage = kg.metrics.density_coverage(real, fake)
    >>> abs(density - 1) < 0.1, abs(coverage - 0.97) < 0.02
    (True, True)
    >>> kg.metrics.density_coverage(real, np.zeros((1000, 2)))[1] < 0.1
    True
    """
    return _compare(_density_coverage, real, fake, k, block_size)


def _nearest_squares(queries, first, references, k, exclude_self, center, block_size):
    """Return the k least squared distances from `queries[first : first + block_size]`, sorted."""
    block = queries[first : first + block_size]
    rows = np.arange(len(block))[:, None]
    squares, indices = np.empty((len(block), 0)), np.empty((len(block), 0), "int64")
    for start in range(0, len(references), block_size):
        others = references[start : start + block_size]
        new = _squares(block - center, others - center)
        if exclude_self and start == first:
            np.fill_diagonal(new, np.inf)
        squares = np.concatenate([squares, new], axis=1)
        new = np.broadcast_to(np.arange(start, start + len(others)), new.shape)
        indices = np.concatenate([indices, new], axis=1)
        if squares.shape[1] > k:
            least = np.argpartition(squares, k - 1, axis=1)[:, :k]
            squares, indices = squares[rows, least], indices[rows, least]
    exact = [_exact_squares(block, references[column]) for column in indices.T]
    return np.sort(np.stack(exact, axis=1), axis=1)


def _check_options(k, block_size):
    block_size = check_integer("block_size", block_size, minimum=1, maximum=MAX_BLOCK_SIZE)
    return check_integer("k", k, minimum=1, maximum=MAX_NEIGHBORS), block_size


def _compare(measure, real, fake, k, block_size):
    real, fake = as_row_pair("real", real, "fake", fake)
    k, block_size = _check_options(k, block_size)
    return measure(real, _radii("real", real, k, block_size), fake, k, block_size)


def _radii(name, rows, k, block_size):
    """Return the distance from each row to its k-th neighbor among the others."""
    if len(rows) < k + 1:
        raise ValueError(
            f"`{name}` must have at least {k + 1} rows, for {k} neighbors of each. "
            f"Received: {len(rows)}. Give more samples, or a smaller `k`."
        )
    return nearest_distances(rows, rows, k=k, exclude_self=True, block_size=block_size)[:, -1]


def _precision_recall(real, radii, fake, k, block_size):
    fake_radii = _radii("fake", fake, k, block_size)
    precise, recalled = np.zeros(len(fake), "bool"), np.zeros(len(real), "bool")
    for rows, columns, squares, error in _blocks(real, fake, block_size):
        pairs = squares, error, real[rows], fake[columns]
        precise[columns] |= _closer(*pairs, radii[rows, None]).any(axis=0)
        recalled[rows] |= _closer(*pairs, fake_radii[None, columns]).any(axis=1)
    return float(precise.mean()), float(recalled.mean())


def _density_coverage(real, radii, fake, k, block_size):
    num_balls, covered = 0, np.zeros(len(real), "bool")
    for rows, columns, squares, error in _blocks(real, fake, block_size):
        inside = _closer(squares, error, real[rows], fake[columns], radii[rows, None])
        num_balls += int(np.count_nonzero(inside))
        covered[rows] |= inside.any(axis=1)
    return num_balls / (k * len(fake)), float(covered.mean())


def _blocks(real, fake, block_size):
    """Yield slices of real and of fake rows, the squared distances between them, and their error."""
    center = real.mean(axis=0, dtype="float64")
    for start in range(0, len(fake), block_size):
        columns = slice(start, start + block_size)
        ours = fake[columns] - center
        for first in range(0, len(real), block_size):
            rows = slice(first, first + block_size)
            theirs = real[rows] - center
            error = ROUNDING * (_square_norms(ours).max() + _square_norms(theirs).max())
            yield rows, columns, _squares(theirs, ours), error


def _closer(squares, error, real, fake, radii):
    """Return which pairs are no farther apart than the radii, of shape `(len(real), len(fake))`."""
    excess = squares - radii**2
    closer = excess < 0
    # Copies of real rows lie on a ball's surface, where rounding would decide: use exact differences.
    rows, columns = np.nonzero(abs(excess) <= error)
    radii = np.broadcast_to(radii, closer.shape)
    for start in range(0, len(rows), len(real)):
        row, column = rows[start : start + len(real)], columns[start : start + len(real)]
        closer[row, column] = np.sqrt(_exact_squares(real[row], fake[column])) <= radii[row, column]
    return closer


def _squares(queries, references):
    """Return ‖q − r‖² of all pairs, by one product: fast, but inexact where the two are close."""
    squares = -2 * queries @ references.T
    squares += _square_norms(queries)[:, None]
    squares += _square_norms(references)
    return squares


def _exact_squares(queries, references):
    """Return ‖q − r‖² of corresponding rows, from their differences."""
    return _square_norms(np.subtract(queries, references, dtype="float64"))


def _square_norms(rows):
    return np.einsum("ij,ij->i", rows, rows)


class _BallMetric(FeatureMetric):
    """Base of metrics of balls around features: `measure(real, radii, fake, k, block_size)` compares."""

    measure: Callable[..., tuple[float, float]]

    def __init__(self, extractor: Extractor, k: int, split: str | None, block_size: int) -> None:
        super().__init__(extractor, split=split)
        self.k, self.block_size = _check_options(k, block_size)

    def _prepare(self, real: Samples) -> tuple[np.ndarray, np.ndarray]:
        """Return the features of real samples and the radii of their balls."""
        features = self.all_features("real", real)
        return features, _radii("real", features, self.k, self.block_size)

    def _evaluate(self, state: tuple[np.ndarray, np.ndarray], fake: Samples) -> Score:
        """See base class."""
        features = self.all_features("fake", fake)
        values = self.measure(*state, features, self.k, self.block_size)
        names_and_values = dict(zip(self.names, values, strict=True))
        return self.score(names_and_values, len(state[0]), len(features), k=self.k)


class PrecisionRecall(_BallMetric):
    """Precision and recall of features.

    Shows whether a model fails by the quality of its samples or by their variety, which one number such
    as FID does not (Kynkäänniemi et al., 2019, arXiv:1904.06991). See `precision_recall`.

    Args:
        extractor: feature extractor. See `FeatureMetric`.
        k: int, the neighbor at which a row's ball ends. Defaults to 3.
        split: str, name of the real data, such as `"mnist test"`; only recorded. Defaults to `None`.
        block_size: int, number of rows of each side that are compared at once. Defaults to 1000 (32 MB).

    Returns:
        Called on real and generated samples: a `Score` with the values `precision` and `recall`.

    Raises:
        TypeError, ValueError: as `FeatureMetric` and `precision_recall`.

    Example:

    >>> table = np.random.default_rng(0).random((500, 4))
    >>> low = table[table.mean(axis=1) < 0.5]
    >>> print(kg.metrics.PrecisionRecall(kg.metrics.Identity(4))(table, low))
    precision 1, recall 0.6... (500 real, 2... fake; identity, k = 3)
    """

    names = ("precision", "recall")
    measure = staticmethod(_precision_recall)

    def __init__(
        self,
        extractor: Extractor,
        *,
        k: int = 3,
        split: str | None = None,
        block_size: int = BLOCK_SIZE,
    ) -> None:
        super().__init__(extractor, k, split, block_size)


class DensityCoverage(_BallMetric):
    """Density and coverage of features.

    Like precision and recall, but robust to outliers and with known best values: density 1 and
    coverage 0.97 (Naeem et al., 2020, arXiv:2002.09797). See `density_coverage`.

    Args:
        extractor: feature extractor. See `FeatureMetric`.
        k: int, the neighbor at which a real row's ball ends. Defaults to 5.
        split: str, name of the real data, such as `"mnist test"`; only recorded. Defaults to `None`.
        block_size: int, number of rows of each side that are compared at once. Defaults to 1000 (32 MB).

    Returns:
        Called on real and generated samples: a `Score` with the values `density` and `coverage`.

    Raises:
        TypeError, ValueError: as `FeatureMetric` and `density_coverage`.

    Example:

    >>> real, fake = np.random.default_rng(0).random((2, 500, 2, 2, 1))
    >>> extractor = kg.metrics.Identity((2, 2, 1))
    >>> print(kg.metrics.DensityCoverage(extractor, split="noise")(real, fake))
    density 1..., coverage 0.9... (500 real of noise, 500 fake; identity, k = 5)
    """

    names = ("density", "coverage")
    measure = staticmethod(_density_coverage)

    def __init__(
        self,
        extractor: Extractor,
        *,
        k: int = 5,
        split: str | None = None,
        block_size: int = BLOCK_SIZE,
    ) -> None:
        super().__init__(extractor, k, split, block_size)

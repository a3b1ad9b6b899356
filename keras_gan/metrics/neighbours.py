"""Nearest neighbours, and what is made of them: precision, recall, density, coverage."""

import numpy as np

from keras_gan.metrics.metric import FeatureMetric, Score, check_whole, feature_rows, same_width
from keras_gan.utils.typing import Array, Extractor, Images

BLOCK_SIZE = 1000
ROUNDING = 1e-12


def nearest_distances(
    queries: Array,
    references: Array,
    k: int = 1,
    exclude_self: bool = False,
    block_size: int = BLOCK_SIZE,
) -> np.ndarray:
    """Return the Euclidean distances from each query to its k nearest references, nearest first.

    Neighbours are found block by block in float64 (to 1e-8 of the spread of the rows), and their
    distances then taken from differences: a copy is at distance 0, also far from the origin.

    Args:
        queries: array `(n, d)` of features, or flattened images.
        references: array `(m, d)`.
        k: int, how many neighbours of each query. Defaults to 1.
        exclude_self: bool, whether `references` are the `queries` themselves, in the same order, none
            of which is its own neighbour. Another equal row is one. Defaults to `False`.
        block_size: int, queries and references that are compared at once: memory beyond the data
            grows as its square. Defaults to 1000 (32 MB).

    Returns:
        Array `(n, k)`, float64, ascending in each row.

    Raises:
        ValueError: data that are empty, not 2-D or not finite; queries and references of different
            widths; fewer than k references (k + 1 with `exclude_self`); with `exclude_self`, different
            numbers of queries and references; a `k` or `block_size` that cannot be.

    Example:

    >>> from keras_gan.metrics import nearest_distances
    >>> points = [[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]]
    >>> nearest_distances([[0.0, 0.0]], points, k=2).tolist()
    [[0.0, 5.0]]
    >>> nearest_distances(points, points, exclude_self=True).tolist()
    [[5.0], [1.0], [1.0]]
    """
    queries, references = feature_rows("queries", queries), feature_rows("references", references)
    same_width("queries", queries, "references", references)
    check_whole(1, k=k, block_size=block_size)
    if exclude_self and len(queries) != len(references):
        raise ValueError(
            "With `exclude_self` the references are the queries themselves, row by row. "
            f"Received: {len(queries)} queries and {len(references)} references."
        )
    if len(references) < k + exclude_self:
        raise ValueError(
            f"{k} neighbours of each row need {k + exclude_self} references or more. "
            f"Received: {len(references)}. Give more of them, or a smaller `k`."
        )
    centre = references.mean(axis=0, dtype="float64")
    found = [
        _nearest_squares(queries, start, references, k, exclude_self, centre, block_size)
        for start in range(0, len(queries), block_size)
    ]
    return np.sqrt(np.concatenate(found))


def precision_recall(
    real: Array, fake: Array, k: int = 3, block_size: int = BLOCK_SIZE
) -> tuple[float, float]:
    """Shares of samples that look real, and of real images that the samples reach.

    Around each row lies a ball that ends at its k-th neighbour of its own set. Precision is the share
    of `fake` rows inside some ball of `real` rows; recall the share of `real` rows inside some ball of
    `fake` rows (Kynkäänniemi et al., 2019, arXiv:1904.06991, equations 1 and 2). Both lie in [0, 1],
    and both are well below 1 for two sets of one distribution: near 0.5, with k = 5, for 10,000
    rows of 1000 independent normal features. Where a few outliers have large balls,
    `density_coverage` is the safer measure.

    Args:
        real: array `(n, d)` of features of real images.
        fake: array `(m, d)` of features of generated images.
        k: int, the neighbour at which a ball ends; no row is its own. A row at that very
            distance is outside (the paper's ≤ differs only there). Defaults to 3.
        block_size: int, rows of each side that are compared at once. Defaults to 1000 (32 MB).

    Returns:
        Pair of floats: precision and recall.

    Raises:
        ValueError: features that are empty, not 2-D, not finite, of different widths or fewer than
            k + 1 rows; a `k` or `block_size` that cannot be.

    Example:

    >>> real = np.random.default_rng(0).normal(size=(1000, 2))
    >>> fake = real[real[:, 0] > 0]  # half of what is there, and nothing else
    >>> kg.metrics.precision_recall(real, fake)
    (1.0, 0.5...)
    """
    real, fake = feature_rows("real", real), feature_rows("fake", fake)
    same_width("real", real, "fake", fake)
    return _precision_recall(real, _radii("real", real, k, block_size), fake, k, block_size)


def density_coverage(
    real: Array, fake: Array, k: int = 5, block_size: int = BLOCK_SIZE
) -> tuple[float, float]:
    """How densely samples lie among real images, and the share of real images that they cover.

    Around each real row lies a ball that ends at its k-th real neighbour. Density is the number of balls
    around a `fake` row, in units of k, on average; coverage the share of balls with a `fake` row inside
    (Naeem et al., 2020, arXiv:2002.09797, section 3). Unlike `precision_recall` an outlier
    among real rows adds little, and two sets of one distribution have known expectations: density
    1, and coverage 1 − Π (n − i) / (n + m − i) over i = 1 … k, which is 0.97 for k = 5 and n = m.
    Density may exceed 1, where samples crowd around the typical.

    Args:
        real: array `(n, d)` of features of real images.
        fake: array `(m, d)` of features of generated images.
        k: int, the neighbour at which a ball ends; no row is its own. A row at that very
            distance is outside. Defaults to 5.
        block_size: int, rows of each side that are compared at once. Defaults to 1000 (32 MB).

    Returns:
        Pair of floats: density (0 or more) and coverage (in [0, 1]).

    Raises:
        ValueError: features that are empty, not 2-D, not finite or of different widths; fewer than
            k + 1 real rows; a `k` or `block_size` that cannot be.

    Example:

    >>> real, fake = np.random.default_rng(0).normal(size=(2, 1000, 2))
    >>> density, coverage = kg.metrics.density_coverage(real, fake)
    >>> abs(density - 1) < 0.1, abs(coverage - 0.97) < 0.02
    (True, True)
    >>> kg.metrics.density_coverage(real, np.zeros((1000, 2)))[1] < 0.1
    True
    """
    real, fake = feature_rows("real", real), feature_rows("fake", fake)
    same_width("real", real, "fake", fake)
    return _density_coverage(real, _radii("real", real, k, block_size), fake, k, block_size)


class _Balls(FeatureMetric):
    """What metrics of the balls around features have in common."""

    def __init__(self, extractor: Extractor, k: int, split: str | None, block_size: int) -> None:
        super().__init__(extractor, split)
        check_whole(1, k=k, block_size=block_size)
        self.k = k
        self.block_size = block_size

    def summarise(self, real: Images) -> tuple[np.ndarray, np.ndarray]:
        """Return the features of real images and the radii of their balls."""
        features = self.gather("real", real)
        return features, _radii("real", features, self.k, self.block_size)


class PrecisionRecall(_Balls):
    """Precision and recall of the features of images.

    Says whether a model fails by what it draws or by what it leaves out, which one number such as FID
    does not (Kynkäänniemi et al., 2019, arXiv:1904.06991). See `precision_recall`.

    Args:
        extractor: what makes features of images. See `FeatureMetric`.
        k: int, the neighbour at which a row's ball ends. Defaults to 3.
        split: str, what the real images are, such as `"mnist test"`; only reported. Defaults to `None`.
        block_size: int, rows of each side that are compared at once. Defaults to 1000 (32 MB).

    Returns:
        Called on real and generated images: a `Score` with the values `precision` and `recall`.

    Raises:
        TypeError, ValueError: as `FeatureMetric` and `precision_recall`.

    Example:

    >>> class Pixels:
    ...     name, weights, resizer, size = "pixels", None, None, 4
    ...     def __call__(self, images):
    ...         return images.reshape(len(images), -1)
    >>> real = np.random.default_rng(0).random((500, 2, 2, 1))
    >>> darker = real[real.mean(axis=(1, 2, 3)) < 0.5]
    >>> print(kg.metrics.PrecisionRecall(Pixels())(real, darker))
    precision 1, recall 0.6... (500 real, 2... fake; pixels, k = 3)
    """

    names = ("precision", "recall")

    def __init__(
        self, extractor: Extractor, k: int = 3, split: str | None = None, block_size: int = BLOCK_SIZE
    ) -> None:
        super().__init__(extractor, k, split, block_size)

    def judge(self, summary: tuple[np.ndarray, np.ndarray], fake: Images) -> Score:
        """Return the `Score` of samples held against such features."""
        features = self.gather("fake", fake)
        precision, recall = _precision_recall(*summary, features, self.k, self.block_size)
        values = {"precision": precision, "recall": recall}
        return self.score(values, len(summary[0]), len(features), k=self.k)


class DensityCoverage(_Balls):
    """Density and coverage of the features of images.

    Precision and recall that outliers do not spoil, and whose best values are known: density 1 and
    coverage 0.97 (Naeem et al., 2020, arXiv:2002.09797). See `density_coverage`.

    Args:
        extractor: what makes features of images. See `FeatureMetric`.
        k: int, the neighbour at which a real row's ball ends. Defaults to 5.
        split: str, what the real images are, such as `"mnist test"`; only reported. Defaults to `None`.
        block_size: int, rows of each side that are compared at once. Defaults to 1000 (32 MB).

    Returns:
        Called on real and generated images: a `Score` with the values `density` and `coverage`.

    Raises:
        TypeError, ValueError: as `FeatureMetric` and `density_coverage`.

    Example:

    >>> class Pixels:
    ...     name, weights, resizer, size = "pixels", None, None, 4
    ...     def __call__(self, images):
    ...         return images.reshape(len(images), -1)
    >>> real = np.random.default_rng(0).random((500, 2, 2, 1))
    >>> print(kg.metrics.DensityCoverage(Pixels())(real, real))
    density 1, coverage 1 (500 real, 500 fake; pixels, k = 5)
    """

    names = ("density", "coverage")

    def __init__(
        self, extractor: Extractor, k: int = 5, split: str | None = None, block_size: int = BLOCK_SIZE
    ) -> None:
        super().__init__(extractor, k, split, block_size)

    def judge(self, summary: tuple[np.ndarray, np.ndarray], fake: Images) -> Score:
        """Return the `Score` of samples held against such features."""
        features = self.gather("fake", fake)
        density, coverage = _density_coverage(*summary, features, self.k, self.block_size)
        values = {"density": density, "coverage": coverage}
        return self.score(values, len(summary[0]), len(features), k=self.k)


def _nearest_squares(queries, first, references, k, exclude_self, centre, block_size):
    """Return the k least squared distances from `queries[first : first + block_size]`, sorted."""
    block = queries[first : first + block_size]
    rows = np.arange(len(block))[:, None]
    squares, indices = np.empty((len(block), 0)), np.empty((len(block), 0), "int64")
    for start in range(0, len(references), block_size):
        others = references[start : start + block_size]
        new = _squares(block - centre, others - centre)
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


def _radii(name, rows, k, block_size=BLOCK_SIZE):
    """Return the distance from each row to its k-th neighbour among the others."""
    check_whole(1, k=k, block_size=block_size)
    if len(rows) < k + 1:
        raise ValueError(
            f"`{name}` needs {k + 1} rows or more, for each to have {k} neighbours. "
            f"Received: {len(rows)}. Give more samples, or a smaller `k`."
        )
    return nearest_distances(rows, rows, k, exclude_self=True, block_size=block_size)[:, -1]


def _precision_recall(real, radii, fake, k, block_size=BLOCK_SIZE):
    fake_radii = _radii("fake", fake, k, block_size)
    precise, recalled = np.zeros(len(fake), "bool"), np.zeros(len(real), "bool")
    for rows, columns, squares, error in _blocks(real, fake, block_size):
        pairs = squares, error, real[rows], fake[columns]
        precise[columns] |= _closer(*pairs, radii[rows, None]).any(axis=0)
        recalled[rows] |= _closer(*pairs, fake_radii[None, columns]).any(axis=1)
    return float(precise.mean()), float(recalled.mean())


def _density_coverage(real, radii, fake, k, block_size=BLOCK_SIZE):
    num_balls, covered = 0, np.zeros(len(real), "bool")
    for rows, columns, squares, error in _blocks(real, fake, block_size):
        inside = _closer(squares, error, real[rows], fake[columns], radii[rows, None])
        num_balls += int(np.count_nonzero(inside))
        covered[rows] |= inside.any(axis=1)
    return num_balls / (k * len(fake)), float(covered.mean())


def _blocks(real, fake, block_size):
    """Yield slices of real and of fake rows, the squared distances between them, and their error."""
    centre = real.mean(axis=0, dtype="float64")
    for start in range(0, len(fake), block_size):
        columns = slice(start, start + block_size)
        ours = fake[columns] - centre
        for first in range(0, len(real), block_size):
            rows = slice(first, first + block_size)
            theirs = real[rows] - centre
            error = ROUNDING * (_square_norms(ours).max() + _square_norms(theirs).max())
            yield rows, columns, _squares(theirs, ours), error


def _closer(squares, error, real, fake, radii):
    """Return which pairs of rows are closer than the radii, of shape `(len(real), len(fake))`."""
    excess = squares - radii**2
    closer = excess < 0
    # Copies of real rows lie on a ball's surface, where rounding would decide: differences decide.
    rows, columns = np.nonzero(abs(excess) <= error)
    radii = np.broadcast_to(radii, closer.shape)
    for start in range(0, len(rows), len(real)):
        row, column = rows[start : start + len(real)], columns[start : start + len(real)]
        closer[row, column] = np.sqrt(_exact_squares(real[row], fake[column])) < radii[row, column]
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

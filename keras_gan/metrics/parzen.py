"""Parzen-window log-likelihood: the measure of the 2014 paper, on images in [0, 1]."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_gan.metrics.arrays import as_rows, as_samples, check_same_shape, to_numpy
from keras_gan.metrics.base import Metric, check_split, standard_error
from keras_gan.utils.typing import Array, ValueRange
from keras_gan.utils.validation import check_choice, check_integer, check_range

__all__ = ["ParzenResult", "ParzenWindow", "parzen_log_likelihood", "select_bandwidth"]

BLOCK_SIZE = 1000
ROUNDING = 1e-6
BANDWIDTHS = tuple(np.logspace(-1, 0, 10).tolist())
MAX_BLOCK_SIZE = 20_000  # two blocks of distances in float64 take 6.4 GB
SMALLEST = 1e-15  # bandwidth whose inverse square float32 can represent
LARGEST = {"float32": 1e15, "float64": 1e50}  # squares of distances do not overflow


def parzen_log_likelihood(
    samples: Array,
    queries: Array,
    bandwidth: float | Array,
    *,
    block_size: int = BLOCK_SIZE,
    dtype: str = "float32",
    value_range: ValueRange | None = (0, 1),
) -> np.ndarray:
    """Return the log-likelihood of each query under Gaussian windows centered on the samples, in nats.

    Estimates the density of a model from which one can only draw samples, as Goodfellow et al. (2014,
    arXiv:1406.2661, section 5) did: with n samples s of d pixels,
    log p(x) = log (1/n) Σᵢ exp(−‖x − sᵢ‖²/2σ²) − d log(σ√2π).

    The result depends on the bandwidth σ, on n and on the range of the pixels, so compare only
    numbers that share all three. It is a poor measure of quality: a few cluster centers of the
    training images score higher than the images themselves (Theis, van den Oord and Bethge, 2016,
    arXiv:1511.01844).

    Args:
        samples: array `(n, ...)` of images, vectors, series or rows of a table.
        queries: array `(m, ...)` of the same.
        bandwidth: float, the standard deviation σ of the windows; or a 1-D array of them, which
            share the distances and cost little more than one.
        block_size: int, number of samples and of queries that are compared at once, at most 20,000:
            in addition to a copy of the samples, each core needs memory for two arrays of its square,
            and for a block of queries. Defaults to 1000 (8 MB per core, 16 MB in float64, and 3 or 6 MB
            for images of 28 × 28).
        dtype: `"float32"`, whose error is below 0.01 nats per image on MNIST for σ ≥ 0.1 (0.1 for
            64×64×3 pixels), or `"float64"`, which takes twice the memory.
        value_range: pair (low, high) in which all numbers must lie. Defaults to (0, 1), as in the
            paper; `None` accepts any finite numbers, such as those of tables.

    Returns:
        Array `(m,)`, float64; `(len(bandwidth), m)` for an array of bandwidths.

    Raises:
        ValueError: data that are empty, not finite or outside `value_range`; samples and queries of
            different shapes; a bandwidth that is not finite and greater than 0; another argument out
            of range.
        TypeError: data that are not an array of numbers, such as a dataset; another argument of the
            wrong type.

    Example:

    >>> from keras_gan.metrics import parzen_log_likelihood
    >>> parzen_log_likelihood([[0.0], [1.0]], [[0.0], [0.5]], bandwidth=0.5).round(4).tolist()
    [-0.792, -0.7258]
    """
    block_size = _check_block_size(block_size)
    samples = _as_images("samples", samples, dtype, value_range)
    queries = _as_images("queries", queries, dtype, value_range)
    check_same_shape("samples", samples.shape[1:], "queries", queries.shape[1:])
    samples, queries = samples.reshape(len(samples), -1), queries.reshape(len(queries), -1)
    num_samples, size = samples.shape
    bandwidths = _bandwidths("bandwidth", bandwidth)
    # Distances do not change, but centered data have small norms, which cost float32 fewer digits.
    center = samples.mean(axis=0, dtype="float64").astype(dtype)
    samples = samples - center

    def log_sums_of(start):
        return _log_sums(queries[start : start + block_size] - center, samples, bandwidths, block_size)

    # NumPy releases the interpreter lock while it computes, so blocks of queries share the cores.
    with ThreadPoolExecutor(_num_cores()) as pool:
        log_sums = list(pool.map(log_sums_of, range(0, len(queries), block_size)))
    log_norms = np.log(num_samples) + size * np.log(bandwidths * np.sqrt(2 * np.pi))
    log_likelihoods = np.concatenate(log_sums, axis=1) - log_norms[:, None]
    return log_likelihoods if np.ndim(bandwidth) else log_likelihoods[0]


def select_bandwidth(
    samples: Array,
    validation: Array,
    grid: Array = BANDWIDTHS,
    *,
    dtype: str = "float32",
    block_size: int = BLOCK_SIZE,
    value_range: ValueRange | None = (0, 1),
) -> float:
    """Return the bandwidth of a grid under which validation images are most likely.

    Choose the bandwidth on validation images, never on the test images that the result is reported
    for. If the choice is at either end of the grid, the best bandwidth may lie beyond it.

    Args:
        samples: array `(n, ...)`.
        validation: array `(m, ...)`.
        grid: sequence of bandwidths. Defaults to the ten of the 2014 paper's code, from 0.1 to 1
            in equal ratios.
        dtype: `"float32"` (default) or `"float64"`, as in `parzen_log_likelihood`.
        block_size: int, as in `parzen_log_likelihood`. Defaults to 1000.
        value_range: as in `parzen_log_likelihood`. Defaults to (0, 1).

    Returns:
        Float, the member of `grid` with the greatest mean log-likelihood.

    Raises:
        TypeError, ValueError: as `parzen_log_likelihood`.

    Example:

    >>> from keras_gan.metrics import select_bandwidth
    >>> select_bandwidth([[0.5]], [[0.2], [0.8]], grid=[0.1, 0.2, 0.3, 0.4])
    0.3
    """
    bandwidths = _check_grid(grid)
    samples = _as_images("samples", samples, dtype, value_range)
    validation = _as_images("validation", validation, dtype, value_range)
    check_same_shape("samples", samples.shape[1:], "validation", validation.shape[1:])
    options: dict[str, Any] = {"block_size": block_size, "dtype": dtype, "value_range": value_range}
    log_likelihoods = parzen_log_likelihood(samples, validation, bandwidths, **options)
    return float(bandwidths[log_likelihoods.mean(axis=1).argmax()])


@dataclass(frozen=True)
class ParzenResult:
    """A Parzen-window log-likelihood, and the conditions that another one must share to be comparable.

    Attributes:
        log_likelihood: mean over the test images, in nats per image.
        standard_error: of that mean: the population standard deviation over √(test images); NaN for one.
        bandwidth: standard deviation of the windows, chosen on validation images.
        num_samples: number of the model's samples, each the center of a window.
        num_test: number of test images.
        value_range: range of the pixels, on which a density in nats depends; `None` if not limited.
        num_validation: number of validation images that chose the bandwidth; `None` if not known.
        dtype: type in which distances were computed.
        at_edge: whether the bandwidth is the least or the greatest of several: the best one may
            lie beyond, and the log-likelihood be too low.
        split: name of the test images, such as `"mnist test"`; `None` if not given.

    Example:

    >>> print(kg.metrics.ParzenResult(225.0, 2.0, 0.2, 10_000, 10_000))
    225.0 ± 2.0 nats (σ = 0.2, 10000 samples, 10000 test images)
    """

    log_likelihood: float
    standard_error: float
    bandwidth: float
    num_samples: int
    num_test: int
    value_range: ValueRange | None = (0.0, 1.0)
    num_validation: int | None = None
    dtype: str = "float32"
    at_edge: bool = False
    split: str | None = None

    @property
    def values(self) -> dict[str, float]:
        """The numbers, by the names under which callbacks log them."""
        return {
            "parzen_log_likelihood": self.log_likelihood,
            "parzen_standard_error": self.standard_error,
            "parzen_bandwidth": self.bandwidth,
        }

    def __str__(self) -> str:
        test = f"{self.num_test} test images" + (f" of {self.split}" if self.split else "")
        text = (
            f"{self.log_likelihood:.1f} ± {self.standard_error:.1f} nats "
            f"(σ = {self.bandwidth:.3g}, {self.num_samples} samples, {test})"
        )
        if self.num_validation:
            text += f"; σ from {self.num_validation} validation images, {self.dtype}"
        if self.value_range != (0.0, 1.0):
            text += f"; values in {self.value_range or 'any range'}"
        return text + ("; σ is at an end of its grid" if self.at_edge else "")


class ParzenWindow(Metric):
    """Parzen-window log-likelihood by the protocol of the 2014 paper.

    The bandwidth is chosen on validation images, and the mean over test images reported.
    Goodfellow et al. (2014, arXiv:1406.2661, Table 1) report 225 ± 2 nats for MNIST, with 10,000
    samples, the first 1,000 validation images (`train[50000:51000]`) and all 10,000 test images.
    MNIST's first 10,000 training images, used as samples, get 241.2 ± 2.1.

    Called as `metric(real, fake)` with test images and samples, both `(n, ...)`; returns a
    `ParzenResult`.

    Args:
        validation: array `(m, ...)` of real images that are not among the test images.
        grid: sequence of bandwidths to choose from. Defaults to the paper's ten; a finer one,
            such as `np.arange(0.1, 0.3, 0.01)`, finds values up to two nats higher for MNIST.
        dtype: `"float32"` (default) or `"float64"`, in which the result is computed.
        block_size: int, as in `parzen_log_likelihood`, which bounds the memory. Defaults to 1000.
        value_range: pair (low, high) in which all numbers must lie. Defaults to (0, 1), as in the
            paper; `None` accepts any finite numbers, such as those of tables.
        split: str, name of the test images, such as `"mnist test"`; only recorded. Defaults to `None`.

    Raises:
        TypeError, ValueError: as `parzen_log_likelihood`.

    Example:

    >>> import numpy as np
    >>> images = np.random.default_rng(0).random((300, 4, 4, 1))
    >>> measure = kg.metrics.ParzenWindow(validation=images[100:200])
    >>> print(measure(real=images[200:], fake=images[:100]))
    -5.1 ± 0.2 nats (σ = 0.278, 100 samples, 100 test images); σ from 100 validation images, float32
    """

    names = ("parzen_log_likelihood", "parzen_standard_error", "parzen_bandwidth")

    def __init__(
        self,
        validation: Array,
        grid: Array = BANDWIDTHS,
        *,
        dtype: str = "float32",
        block_size: int = BLOCK_SIZE,
        value_range: ValueRange | None = (0, 1),
        split: str | None = None,
    ) -> None:
        self.block_size = _check_block_size(block_size)
        self.dtype = check_choice("dtype", dtype, tuple(LARGEST))
        self.value_range = None if value_range is None else check_range("value_range", value_range)
        self.validation = _as_images("validation", validation, dtype, value_range)
        self.grid = tuple(_check_grid(grid).tolist())
        self.split = check_split(split)

    def prepare(self, real: Array) -> np.ndarray:
        """Return the test images as an array."""
        real = _as_images("real", real, self.dtype, self.value_range)
        check_same_shape("real", real.shape[1:], "validation", self.validation.shape[1:])
        return real

    def evaluate(self, state: np.ndarray, fake: Array) -> ParzenResult:
        """Return the `ParzenResult` of samples on the test images."""
        options: dict[str, Any] = {
            "dtype": self.dtype,
            "block_size": self.block_size,
            "value_range": self.value_range,
        }
        fake = _as_images("fake", fake, self.dtype, self.value_range)
        check_same_shape("fake", fake.shape[1:], "validation", self.validation.shape[1:])
        bandwidth = select_bandwidth(fake, self.validation, self.grid, **options)
        log_likelihoods = parzen_log_likelihood(fake, state, bandwidth, **options)
        return ParzenResult(
            log_likelihood=float(log_likelihoods.mean()),
            standard_error=standard_error(log_likelihoods),
            bandwidth=bandwidth,
            num_samples=len(fake),
            num_test=len(log_likelihoods),
            value_range=self.value_range,
            num_validation=len(self.validation),
            dtype=self.dtype,
            at_edge=len(self.grid) > 1 and bandwidth in (min(self.grid), max(self.grid)),
            split=self.split,
        )


def _check_block_size(block_size):
    return check_integer("block_size", block_size, minimum=1, maximum=MAX_BLOCK_SIZE)


def _as_images(name, data, dtype, value_range) -> np.ndarray:
    """Return an array `(n, ...)` of numbers in a range, or raise."""
    limit = LARGEST[check_choice("dtype", dtype, tuple(LARGEST))]
    images = as_samples(name, data)
    images = as_rows(name, images).astype(dtype, copy=False).reshape(images.shape)
    lowest, highest = float(images.min()), float(images.max())
    if value_range is None:
        if max(-lowest, highest) > limit:
            raise ValueError(
                f"`{name}` must lie within ±{limit:g} in {dtype}, but reaches from {lowest:g} to "
                f"{highest:g}. Standardize the data."
            )
        return images
    low, high = check_range("value_range", value_range)
    slack = ROUNDING * (high - low)
    if lowest < low - slack or highest > high + slack:
        raise ValueError(
            f"`{name}` must lie in [{low:g}, {high:g}], since nats depend on the range of the pixels. "
            f"Received numbers from {lowest:g} to {highest:g}. Rescale [-1, 1] to [0, 1] with "
            "`(x + 1) / 2`, and [0, 255] with `x / 255`; pass `value_range=None` for data that are not "
            "images."
        )
    return images


def _num_cores():
    """Return how many cores this process may use, which can be fewer than there are."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _check_grid(grid):
    bandwidths = _bandwidths("grid", grid)
    if np.ndim(grid) != 1:
        raise TypeError(f"`grid` must be a sequence of bandwidths. Received: {grid!r}.")
    return bandwidths


def _bandwidths(name, values):
    """Return one or more bandwidths as a 1-D float64 array, or raise."""
    try:
        bandwidths = np.atleast_1d(to_numpy(values))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must be a number or a 1-D array. {error}") from error
    if bandwidths.dtype.kind not in "iuf":
        raise TypeError(f"`{name}` must hold real numbers. Received: {values!r}.")
    if bandwidths.ndim > 1 or bandwidths.size == 0:
        raise ValueError(
            f"`{name}` must be a number, or a 1-D array of at least one. "
            f"Received shape: {bandwidths.shape}."
        )
    if not ((bandwidths >= SMALLEST) & (bandwidths <= 1 / SMALLEST)).all():
        raise ValueError(
            f"`{name}` must be > 0 (from {SMALLEST:g} to {1 / SMALLEST:g}), as a standard deviation. "
            f"Received: {values!r}."
        )
    return bandwidths.astype("float64")


def _log_sums(queries, samples, bandwidths, block_size):
    """Return log Σᵢ exp(−‖x − sᵢ‖²/2σ²), shape `(bandwidths, queries)`, from blocks of samples."""
    precisions = 1 / bandwidths[:, None] ** 2
    # The nearest sample so far has the greatest term for every bandwidth at once: keep sums relative
    # to it, and rescale them if a block contains a nearer one.
    nearest = np.full(len(queries), np.inf, dtype=queries.dtype)
    sums = np.zeros((len(bandwidths), len(queries)))
    for start in range(0, len(samples), block_size):
        block = samples[start : start + block_size]
        # ‖x − s‖²/2 without the ‖x‖²/2 that all samples share.
        distances = queries @ block.T
        np.subtract(_half_square(block), distances, out=distances)
        nearer = np.minimum(nearest, distances.min(axis=1))
        sums *= np.exp(-precisions * (nearest - nearer))
        distances -= nearer[:, None]
        terms = np.empty_like(distances)
        for row, precision in zip(sums, precisions.ravel().tolist(), strict=True):
            with np.errstate(over="ignore"):  # exp(−∞) is 0
                np.multiply(distances, -precision, out=terms)
            np.exp(terms, out=terms)
            row += terms.sum(axis=1)
        nearest = nearer
        # Free them before the next ones are allocated.
        del distances, terms
    return np.log(sums) - precisions * (nearest + _half_square(queries))


def _half_square(rows):
    return np.einsum("ij,ij->i", rows, rows) / 2

"""Parzen-window log-likelihood: the measure of the 2014 paper, on images in [0, 1]."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_gan.metrics.metric import Metric, array_rows, check_whole, same_image_shape, standard_error
from keras_gan.utils.typing import Array, ValueRange

BLOCK_SIZE = 1000
ROUNDING = 1e-6
BANDWIDTHS = tuple(np.logspace(-1, 0, 10).tolist())


def parzen_log_likelihood(
    samples: Array,
    queries: Array,
    bandwidth: float | Array,
    block_size: int = BLOCK_SIZE,
    dtype: str = "float32",
) -> np.ndarray:
    """Log-likelihood of each query under Gaussian windows set on the samples, in nats.

    Estimates the density of a model that can only be sampled, as Goodfellow et al. (2014,
    arXiv:1406.2661, section 5) did: with n samples s of d pixels,
    log p(x) = log (1/n) Σᵢ exp(−‖x − sᵢ‖²/2σ²) − d log(σ√2π).

    The number depends on the bandwidth σ, on n and on the range of the pixels, so compare only
    numbers that share all three. It is a poor measure of quality: a few cluster centres of the
    training images score higher than the images themselves (Theis, van den Oord and Bethge, 2016,
    arXiv:1511.01844).

    Args:
        samples: array `(n, ...)` of images or vectors in [0, 1].
        queries: array `(m, ...)` with as many numbers a row, in [0, 1].
        bandwidth: float, the standard deviation σ of the windows; or a 1-D array of them, which
            share the distances and cost little more than one.
        block_size: int, samples and queries that are compared at once: beside a copy of the samples,
            each core needs memory for two arrays of its square, and for a block of queries. Defaults to
            1000 (8 MB a core, 16 MB in float64, and 3 or 6 MB for images of 28 × 28).
        dtype: `"float32"`, which errs by less than 0.01 nats an image on MNIST for σ ≥ 0.1 (by 0.1
            for 64×64×3 pixels), or `"float64"`, which takes twice the memory.

    Returns:
        Array `(m,)`, float64; `(len(bandwidth), m)` for an array of bandwidths.

    Raises:
        ValueError: data that are empty, not finite, outside [0, 1] or no rows; samples and queries of
            different image shapes or numbers a row; a bandwidth, `block_size` or `dtype` that cannot be.
        TypeError: data that are no array of numbers, such as a dataset.

    Example:

    >>> from keras_gan.metrics import parzen_log_likelihood
    >>> parzen_log_likelihood([[0.0], [1.0]], [[0.0], [0.5]], bandwidth=0.5).round(4).tolist()
    [-0.792, -0.7258]
    """
    check_whole(1, block_size=block_size)
    samples, queries = _images("samples", samples, dtype), _images("queries", queries, dtype)
    same_image_shape("samples", samples.shape[1:], "queries", queries.shape[1:])
    samples, queries = samples.reshape(len(samples), -1), queries.reshape(len(queries), -1)
    num_samples, size = samples.shape
    if queries.shape[1] != size:
        raise ValueError(
            "Samples and queries are compared pixel by pixel, but a sample has "
            f"{size} numbers and a query {queries.shape[1]}. Give both the same image shape."
        )
    bandwidths = _bandwidths(bandwidth)
    # Distances do not change, but centred data have small norms, which cost float32 fewer digits.
    centre = samples.mean(axis=0, dtype="float64").astype(dtype)
    samples = samples - centre

    def log_sums_of(start):
        return _log_sums(queries[start : start + block_size] - centre, samples, bandwidths, block_size)

    # NumPy lets go of the interpreter while it computes: the blocks of queries share the cores.
    with ThreadPoolExecutor(_num_cores()) as pool:
        log_sums = list(pool.map(log_sums_of, range(0, len(queries), block_size)))
    log_norms = np.log(num_samples) + size * np.log(bandwidths * np.sqrt(2 * np.pi))
    log_likelihoods = np.concatenate(log_sums, axis=1) - log_norms[:, None]
    return log_likelihoods if np.ndim(bandwidth) else log_likelihoods[0]


def select_bandwidth(
    samples: Array,
    validation: Array,
    grid: Array = BANDWIDTHS,
    dtype: str = "float32",
    block_size: int = BLOCK_SIZE,
) -> float:
    """Return the bandwidth of a grid under which validation images are likeliest.

    The choice belongs to images that the result is not reported on: validation, never test. A
    choice at either end of the grid says that the best bandwidth may lie beyond it.

    Args:
        samples: array `(n, ...)` in [0, 1].
        validation: array `(m, ...)` in [0, 1].
        grid: sequence of bandwidths. Defaults to the ten of the 2014 paper's code, from 0.1 to 1
            in equal ratios.
        dtype: `"float32"` (default) or `"float64"`, as in `parzen_log_likelihood`.
        block_size: int, as in `parzen_log_likelihood`. Defaults to 1000.

    Returns:
        Float, the member of `grid` with the greatest mean log-likelihood.

    Raises:
        TypeError, ValueError: as `parzen_log_likelihood`.

    Example:

    >>> from keras_gan.metrics import select_bandwidth
    >>> select_bandwidth([[0.5]], [[0.2], [0.8]], grid=[0.1, 0.2, 0.3, 0.4])
    0.3
    """
    grid = np.atleast_1d(grid)
    log_likelihoods = parzen_log_likelihood(samples, validation, grid, block_size, dtype)
    return float(grid[log_likelihoods.mean(axis=1).argmax()])


@dataclass(frozen=True)
class ParzenResult:
    """A Parzen-window log-likelihood, and all that another one must share to be compared with it.

    Attributes:
        log_likelihood: mean over the test images, in nats an image.
        standard_error: of that mean: the population standard deviation over √(test images); NaN of one.
        bandwidth: standard deviation of the windows, chosen on validation images.
        num_samples: how many samples of the model carry a window.
        num_test: how many test images the mean is over.
        value_range: range of the pixels, on which a density in nats depends.
        num_validation: how many validation images chose the bandwidth; `None` if not known.
        dtype: in which distances were computed.
        at_edge: whether the bandwidth is the least or the greatest of several: the best one may
            lie beyond, and the log-likelihood be too low.
        split: what the user calls the test images, such as `"mnist test"`; `None` if not said.

    Example:

    >>> print(kg.metrics.ParzenResult(225.0, 2.0, 0.2, 10_000, 10_000))
    225.0 ± 2.0 nats (σ = 0.2, 10000 samples, 10000 test images)
    """

    log_likelihood: float
    standard_error: float
    bandwidth: float
    num_samples: int
    num_test: int
    value_range: ValueRange = (0.0, 1.0)
    num_validation: int | None = None
    dtype: str = "float32"
    at_edge: bool = False
    split: str | None = None

    @property
    def values(self) -> dict[str, float]:
        """The numbers by the names under which callbacks log them."""
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
        return text + ("; σ is at an end of its grid" if self.at_edge else "")


class ParzenWindow(Metric):
    """Measures samples as the 2014 paper did: bandwidth from validation images, mean over test images.

    Goodfellow et al. (2014, arXiv:1406.2661, Table 1) report 225 ± 2 nats for MNIST, with 10,000
    samples, the first 1,000 validation images (`train[50000:51000]`) and all 10,000 test images.
    MNIST's first 10,000 training images in place of samples get 241.2 ± 2.1.

    Called as `metric(real, fake)` with test images and samples, both `(n, ...)` in [0, 1]; returns a
    `ParzenResult`.

    Args:
        validation: array `(m, ...)` of real images in [0, 1] that are not among the test images.
        grid: sequence of bandwidths to choose from. Defaults to the paper's ten; a finer one,
            such as `np.arange(0.1, 0.3, 0.01)`, finds values up to two nats higher for MNIST.
        dtype: `"float32"` (default) or `"float64"`, in which the result is computed.
        block_size: int, as in `parzen_log_likelihood`, which bounds the memory. Defaults to 1000.
        split: str, what the test images are, such as `"mnist test"`; only reported. Defaults to `None`.

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
        dtype: str = "float32",
        block_size: int = BLOCK_SIZE,
        split: str | None = None,
    ) -> None:
        check_whole(1, block_size=block_size)
        self.validation = _images("validation", validation, dtype)
        self.grid = tuple(_bandwidths(grid).tolist())
        self.dtype = dtype
        self.block_size = block_size
        self.split = split

    def reference(self, real: Array) -> np.ndarray:
        """Return the test images as an array."""
        real = _images("real", real, self.dtype)
        same_image_shape("real", real.shape[1:], "validation", self.validation.shape[1:])
        return real

    def compare(self, reference: np.ndarray, fake: Array) -> ParzenResult:
        """Return the `ParzenResult` of samples on the test images."""
        options: dict[str, Any] = {"dtype": self.dtype, "block_size": self.block_size}
        bandwidth = select_bandwidth(fake, self.validation, self.grid, **options)
        log_likelihoods = parzen_log_likelihood(fake, reference, bandwidth, **options)
        return ParzenResult(
            log_likelihood=float(log_likelihoods.mean()),
            standard_error=standard_error(log_likelihoods),
            bandwidth=bandwidth,
            num_samples=len(array_rows("fake", fake)),
            num_test=len(log_likelihoods),
            num_validation=len(self.validation),
            dtype=self.dtype,
            at_edge=len(self.grid) > 1 and bandwidth in (min(self.grid), max(self.grid)),
            split=self.split,
        )


def _images(name, data, dtype) -> np.ndarray:
    """Return an array `(n, ...)` of numbers in [0, 1], or say why data is none."""
    if dtype not in ("float32", "float64"):
        raise ValueError(f"`dtype` is 'float32' or 'float64'. Received: {dtype!r}")
    rows = array_rows(name, data).astype(dtype, copy=False)
    if rows.size == 0:
        raise ValueError(f"`{name}` is empty: received an array of shape {rows.shape}.")
    if not np.isfinite(rows).all():
        raise ValueError(
            f"`{name}` must be finite numbers in [0, 1], but holds "
            f"{np.count_nonzero(~np.isfinite(rows))} that are not finite. "
            "Samples of a generator that diverged have no likelihood."
        )
    if rows.min() < -ROUNDING or rows.max() > 1 + ROUNDING:
        raise ValueError(
            "A Parzen-window log-likelihood in nats is defined here on pixels in [0, 1], but "
            f"`{name}` reaches from {rows.min():g} to {rows.max():g}. "
            "Turn [-1, 1] into it with `(x + 1) / 2`, and [0, 255] with `x / 255`."
        )
    return rows


def _num_cores():
    """Return how many cores this process may use, which can be fewer than there are."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _bandwidths(bandwidth):
    bandwidths = np.atleast_1d(np.asarray(bandwidth, dtype="float64"))
    if bandwidths.ndim > 1 or bandwidths.size == 0:
        raise ValueError(
            f"`bandwidth` is a number or a 1-D array of one or more. Received shape: {bandwidths.shape}"
        )
    if not (np.isfinite(bandwidths) & (bandwidths > 0)).all():
        raise ValueError(
            "A bandwidth is the standard deviation of a window: finite and greater than 0. "
            f"Received: {bandwidth!r}"
        )
    return bandwidths


def _log_sums(queries, samples, bandwidths, block_size):
    """Return log Σᵢ exp(−‖x − sᵢ‖²/2σ²), shape `(bandwidths, queries)`, from blocks of samples."""
    precisions = 1 / bandwidths[:, None] ** 2
    # The nearest sample so far has the greatest term for every bandwidth at once: sums are kept
    # relative to it, and rescaled when a block brings a nearer one.
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
            np.exp(np.multiply(distances, -precision, out=terms), out=terms)
            row += terms.sum(axis=1)
        nearest = nearer
        # Else they would still be there while the next ones are made.
        del distances, terms
    return np.log(sums) - precisions * (nearest + _half_square(queries))


def _half_square(rows):
    return np.einsum("ij,ij->i", rows, rows) / 2

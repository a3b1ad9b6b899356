"""Checks that turn samples, features and probabilities into NumPy arrays."""

import math
from collections.abc import Iterator

import numpy as np
from keras import ops

from keras_gan.utils.typing import Array, Samples

__all__ = [
    "BATCH_SIZE",
    "LARGEST",
    "as_probabilities",
    "as_row_pair",
    "as_rows",
    "as_samples",
    "check_finite",
    "check_not_empty",
    "check_same_shape",
    "sample_batches",
    "to_numpy",
]

BATCH_SIZE = 256  # samples of one array that an extractor sees at once
LARGEST = 1e50  # sums of sixth powers, which the cubic kernel takes, do not overflow
ROUNDING = 1e-3  # tolerance for the sum of a row of probabilities
INFINITE = -1  # cardinality of a `tf.data.Dataset` that never ends


def to_numpy(data: Array) -> np.ndarray:
    """Return data as a NumPy array, even a torch tensor with gradients or on another device."""
    array = ops.convert_to_numpy(data) if ops.is_tensor(data) else np.asarray(data)
    # NumPy does not count bfloat16 among its floats.
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def as_samples(name: str, data: Array, ndim: int | None = None) -> np.ndarray:
    """Return data as an array of real numbers of shape `(n, ...)`, of `ndim` axes if given, or raise."""
    if not hasattr(data, "__array__") and not isinstance(data, list | tuple):
        raise TypeError(
            f"`{name}` must be an array of shape (n, ...). Received: {type(data).__name__}. Concatenate "
            "the batches of a dataset or a generator first: `np.concatenate(list(batches))`."
        )
    try:
        samples = to_numpy(data)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must be an array whose rows all have the same shape. {error}"
        ) from error
    if samples.dtype.kind not in "biuf":
        raise TypeError(f"`{name}` must hold real numbers. Received: dtype {samples.dtype}.")
    if samples.ndim < 2:
        raise ValueError(
            f"`{name}` must be an array of shape (n, ...), one sample per row. Received shape: "
            f"{samples.shape}. Reshape n single numbers to (n, 1), and stack a list of samples with "
            "`np.stack`."
        )
    if ndim is not None and samples.ndim != ndim:
        raise ValueError(f"`{name}` must be an array of {ndim} axes. Received shape: {samples.shape}.")
    return samples


def as_rows(name: str, data: Array) -> np.ndarray:
    """Return samples or features of any shape as finite floats of shape `(n, d)`, or raise."""
    samples = as_samples(name, data)
    check_not_empty(name, samples)
    rows = samples.reshape(len(samples), -1)
    if rows.dtype.kind != "f":
        rows = rows.astype(np.promote_types(rows.dtype, "float32"))
    check_finite(name, rows)
    return rows


def as_row_pair(name: str, data: Array, other_name: str, other: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of samples or features as rows of the same width, or raise."""
    data, other = as_samples(name, data), as_samples(other_name, other)
    check_same_shape(name, data.shape[1:], other_name, other.shape[1:])
    return as_rows(name, data), as_rows(other_name, other)


def as_probabilities(name: str, probabilities: Array) -> np.ndarray:
    """Return class probabilities as a float64 array `(n, num_classes)`, or raise."""
    rows = as_rows(name, as_samples(name, probabilities, ndim=2)).astype("float64")
    sums = rows.sum(axis=1)
    if rows.min() < 0 or abs(sums - 1).max() > ROUNDING:
        raise ValueError(
            f"Each row of `{name}` must hold numbers >= 0 that sum to 1. Received: numbers from "
            f"{rows.min():g} to {rows.max():g}, sums from {sums.min():g} to {sums.max():g}. Convert "
            "logits to probabilities with a softmax."
        )
    return rows


def sample_batches(name: str, samples: Samples) -> Iterator[np.ndarray]:
    """Yield arrays `(n, ...)` of samples, which are one array or come in batches."""
    count = 0
    for batch in _batches(name, samples):
        array = as_samples(name, batch[0] if isinstance(batch, tuple) else batch)
        if array.size:
            check_finite(name, array)
            count += len(array)
            yield array
    if not count:
        raise ValueError(
            f"`{name}` is empty. A generator can be read only once: create it again for each call."
        )


def _batches(name, samples):
    if hasattr(samples, "shape"):
        if len(samples.shape) < 2:
            return [samples]
        return (samples[start : start + BATCH_SIZE] for start in range(0, len(samples), BATCH_SIZE))
    if isinstance(samples, tuple):
        raise TypeError(
            f"`{name}` must be an array, or a list of batches. A tuple could be batches, or samples "
            f"with their labels. Received: a tuple of length {len(samples)}. Pass a list of batches, or "
            "the samples alone."
        )
    if not hasattr(samples, "__iter__") or isinstance(samples, str | bytes | dict | type):
        raise TypeError(
            f"`{name}` must be an array of shape (n, ...), or batches of that shape. "
            f"Received: {type(samples).__name__}."
        )
    if hasattr(samples, "cardinality") and int(samples.cardinality()) == INFINITE:
        raise ValueError(
            f"`{name}` is a dataset that never ends. Take a part of it: `dataset.take(num_batches)`."
        )
    return samples


def check_not_empty(name: str, samples: np.ndarray) -> None:
    """Raise if an array holds nothing."""
    if samples.size == 0:
        raise ValueError(f"`{name}` is empty. Received shape: {samples.shape}.")


def check_finite(name: str, values: np.ndarray) -> None:
    """Raise if an array holds NaN, infinity, or numbers whose powers overflow."""
    if values.dtype.kind != "f":
        return
    limit = min(LARGEST, float(np.finfo(values.dtype).max))
    finite = abs(values) <= values.dtype.type(limit)
    if not finite.all():
        raise ValueError(
            f"`{name}` must hold finite numbers of at most {limit:g} in absolute value, but "
            f"{np.count_nonzero(~finite)} of {values.size} are not. A generator that diverged makes "
            "such samples."
        )


def check_same_shape(
    name: str, shape: tuple[int, ...], other_name: str, other_shape: tuple[int, ...]
) -> None:
    """Raise unless samples can be compared number by number; vectors may be flattened samples."""
    vectors = min(len(shape), len(other_shape)) == 1
    if math.prod(shape) != math.prod(other_shape) or (shape != other_shape and not vectors):
        raise ValueError(
            f"Samples are compared number by number, but those of `{name}` have shape {shape} and those "
            f"of `{other_name}` {other_shape}. Give both the same shape, or features of one extractor."
        )

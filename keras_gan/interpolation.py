"""Interpolation between latents."""

from collections.abc import Callable

import numpy as np
from keras import ops

from keras_gan.utils.typing import Array
from keras_gan.utils.validation import check_choice, check_integer

__all__ = ["PATHS", "get", "interpolate", "linear", "spherical"]


def __dir__():
    return __all__


def interpolate(start: Array, end: Array, steps: int, *, path: str = "linear") -> np.ndarray:
    """Return points at equal steps along the paths from `start` to `end`, both included.

    The linear path is the straight line. In many dimensions it leaves the region that a uniform or
    normal prior draws from: the middle between two independent latents has about 1/√2 of their
    length. The spherical path stays there: its direction turns by equal angles and its length
    changes evenly from one end's to the other's. For ends of equal length, at the angle ω, it is
    sin((1−t)ω)/sin ω · start + sin(tω)/sin ω · end (Shoemake, 1985; for latents White, 2016,
    arXiv:1609.04468).

    Between parallel latents both paths are one. Between opposite latents every half circle is as
    short as another: the one towards the axis that is nearest to a right angle is taken.

    Args:
        start: array `(n, ...)` of latents.
        end: array of the same shape.
        steps: int, points of a path, at least 2.
        path: `"linear"` or `"spherical"`.

    Returns:
        Float32 array `(n, steps, ...)`.

    Raises:
        ValueError: latents of different shapes or not finite, fewer than two steps, or an unknown path.

    Example:

    >>> kg.interpolation.interpolate([[2.0, 0.0]], [[0.0, 2.0]], steps=3).tolist()
    [[[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]]]
    >>> arc = kg.interpolation.interpolate([[2.0, 0.0]], [[0.0, 2.0]], steps=3, path="spherical")
    >>> arc[0, 1].round(2).tolist() == np.float32([1.41, 1.41]).tolist()
    True
    """
    start, end = (np.asarray(ops.convert_to_numpy(ends), "float64") for ends in (start, end))
    if start.ndim < 2 or start.shape != end.shape:
        raise ValueError(
            "`start` and `end` must be arrays of the same shape (n, ...), a path for each row. "
            f"Received shapes: {start.shape} and {end.shape}"
        )
    if not (np.isfinite(start).all() and np.isfinite(end).all()):
        raise ValueError("`start` and `end` must be finite. Received NaN or infinite numbers.")
    steps = check_integer("steps", steps, minimum=2, hint="It counts both ends of a path.")
    rows = [array.reshape(len(array), 1, -1) for array in (start, end)]
    times = np.linspace(0, 1, steps)[:, None]
    points = get(path)(*rows, times)
    return points.astype("float32").reshape(len(start), steps, *start.shape[1:])


def get(path: str) -> Callable[..., np.ndarray]:
    """Return the function of a path by its name.

    Args:
        path: `"linear"` or `"spherical"`.

    Returns:
        Function `(start, end, times)` of arrays that broadcast, with vectors along the last axis.

    Raises:
        ValueError: another name.

    Example:

    >>> kg.interpolation.get("linear")(np.zeros(2), np.ones(2), 0.25).tolist()
    [0.25, 0.25]
    """
    return PATHS[check_choice("path", path, PATHS)]


def linear(start: np.ndarray, end: np.ndarray, times: np.ndarray | float) -> np.ndarray:
    """Return points of the straight line.

    Args:
        start: float64 array with vectors along its last axis.
        end: array that broadcasts with it.
        times: array that broadcasts with both, from 0 at the start to 1 at the end.

    Example:

    >>> kg.interpolation.linear(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.5).tolist()
    [0.5, 0.5]
    """
    return (1 - times) * start + times * end


def spherical(start: np.ndarray, end: np.ndarray, times: np.ndarray | float) -> np.ndarray:
    """Return points of the arc that turns from one direction to the other.

    Args:
        start: float64 array with vectors along its last axis.
        end: array that broadcasts with it.
        times: array that broadcasts with both, from 0 at the start to 1 at the end.

    Example:

    >>> kg.interpolation.spherical(np.array([3.0, 0.0]), np.array([0.0, 3.0]), 1 / 3).round(4).tolist()
    [2.5981, 1.5]
    """
    # A vector of length 0 has no direction, and takes that of the other end.
    first, last = _unit(start, otherwise=_unit(end, end)), _unit(end, otherwise=_unit(start, start))
    cosine = np.sum(first * last, axis=-1, keepdims=True)
    aside = last - cosine * first
    # atan2 keeps small angles, and those near π, exact where arccos would round them.
    angle = np.arctan2(_length(aside), cosine)
    turned = np.cos(times * angle) * first + np.sin(times * angle) * _unit(aside, _perpendicular(first))
    return linear(_length(start), _length(end), times) * turned


PATHS = {"linear": linear, "spherical": spherical}


def _length(vectors):
    return np.sqrt(np.sum(np.square(vectors), axis=-1, keepdims=True))


def _unit(vectors, otherwise):
    """Return directions, those of `otherwise` where there is none to speak of."""
    length = _length(vectors)
    vanishes = length < 1e-12
    return np.where(vanishes, otherwise, vectors / np.where(vanishes, 1.0, length))


def _perpendicular(directions):
    """Return a direction at a right angle to each; in one dimension there is none, but 0."""
    axis = np.eye(directions.shape[-1])[np.argmin(np.abs(directions), axis=-1)]
    aside = axis - np.sum(axis * directions, axis=-1, keepdims=True) * directions
    return _unit(aside, np.zeros_like(aside))

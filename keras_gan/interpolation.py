"""Interpolation between latents."""

from collections.abc import Callable

import numpy as np

from keras_gan.utils.typing import Array
from keras_gan.utils.validation import check_array, check_choice, check_integer

__all__ = ["PATHS", "get", "interpolate", "linear", "spherical"]


def __dir__():
    return __all__


def interpolate(start: Array, end: Array, steps: int, *, path: str = "linear") -> np.ndarray:
    """Return equally spaced points on paths between latents, including both ends.

    The linear path is a straight line. In many dimensions it leaves the region that a uniform or normal
    prior samples from: the midpoint of two independent latents has about 1/√2 of their norm. The
    spherical path stays in this region: its direction turns by equal angles, and its norm changes
    linearly. For ends of equal norm, at the angle ω, it is
    sin((1−t)ω)/sin ω · start + sin(tω)/sin ω · end (Shoemake, 1985; for latents White, 2016,
    arXiv:1609.04468).

    Between parallel latents the two paths are the same. Between opposite latents all half circles have
    the same length: the path passes through the axis that is closest to a right angle.

    Args:
        start: array `(n, ...)` of latents.
        end: array of the same shape.
        steps: number of points of a path, an integer of at least 2.
        path: `"linear"` or `"spherical"`.

    Returns:
        Float32 array `(n, steps, ...)`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: latents have different shapes or are not finite; an argument is out of range.

    Example:

    >>> kg.interpolation.interpolate([[2.0, 0.0]], [[0.0, 2.0]], steps=3).tolist()
    [[[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]]]
    >>> arc = kg.interpolation.interpolate([[2.0, 0.0]], [[0.0, 2.0]], steps=3, path="spherical")
    >>> arc[0, 1].round(2).tolist() == np.float32([1.41, 1.41]).tolist()
    True
    """
    ends = _finite("start", start), _finite("end", end)
    shape, other = (array.shape for array in ends)
    if len(shape) < 2 or shape != other:
        raise ValueError(
            f"`start` and `end` must be arrays of the same shape (n, ...). Received: {shape} and {other}"
        )
    steps = check_integer("steps", steps, minimum=2, maximum=2**31 - 1, hint="It counts both ends.")
    rows = [array.reshape(len(array), 1, -1) for array in ends]
    times = np.linspace(0, 1, steps)[:, None]
    points = get(path)(*rows, times)
    return points.astype("float32").reshape(shape[0], steps, *shape[1:])


def get(path: str) -> Callable[..., np.ndarray]:
    """Return the function of a path.

    Args:
        path: `"linear"` or `"spherical"`.

    Returns:
        Function `(start, end, times)` of arrays that broadcast, with vectors along the last axis.

    Raises:
        TypeError: `path` is not a string.
        ValueError: `path` is unknown.

    Example:

    >>> kg.interpolation.get("linear")(np.zeros(2), np.ones(2), 0.25).tolist()
    [0.25, 0.25]
    """
    return PATHS[check_choice("path", path, PATHS)]


def linear(start: np.ndarray, end: np.ndarray, times: np.ndarray | float) -> np.ndarray:
    """Return points on the straight line.

    Args:
        start: array with vectors along its last axis.
        end: array that broadcasts with it.
        times: array that broadcasts with both, from 0 at the start to 1 at the end.

    Example:

    >>> kg.interpolation.linear(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.5).tolist()
    [0.5, 0.5]
    """
    start, end, times = _broadcast(start, end, times)
    return _line(start, end, times)


def spherical(start: np.ndarray, end: np.ndarray, times: np.ndarray | float) -> np.ndarray:
    """Return points on the arc between two directions.

    Args:
        start: array with vectors along its last axis.
        end: array that broadcasts with it.
        times: array that broadcasts with both, from 0 at the start to 1 at the end.

    Example:

    >>> kg.interpolation.spherical(np.array([3.0, 0.0]), np.array([0.0, 3.0]), 1 / 3).round(4).tolist()
    [2.5981, 1.5]
    """
    start, end, times = _broadcast(start, end, times)
    # A vector of norm 0 has no direction, and takes that of the other end.
    first, last = _unit(start, otherwise=_unit(end, end)), _unit(end, otherwise=_unit(start, start))
    cosine = np.sum(first * last, axis=-1, keepdims=True)
    aside = last - cosine * first
    # Unlike arccos, atan2 is exact for small angles and for angles near π.
    angle = np.arctan2(_length(aside), cosine)
    turned = np.cos(times * angle) * first + np.sin(times * angle) * _unit(aside, _perpendicular(first))
    return _line(_length(start), _length(end), times) * turned


PATHS = {"linear": linear, "spherical": spherical}


def _finite(name, values):
    """Return an array of finite numbers as float64, or raise."""
    return check_array(name, values).astype("float64")


def _broadcast(start, end, times):
    """Check arrays that broadcast, with vectors along the last axis."""
    arrays = {name: _finite(name, v) for name, v in (("start", start), ("end", end), ("times", times))}
    shapes = {name: array.shape for name, array in arrays.items()}
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        raise ValueError(
            f"`start`, `end` and `times` must broadcast. Received the shapes: {shapes}"
        ) from None
    if not shapes["start"] or not shapes["end"]:
        raise ValueError(f"`start` and `end` must have vectors along the last axis. Received: {shapes}")
    return arrays.values()


def _line(start, end, times):
    return (1 - times) * start + times * end


def _length(vectors):
    return np.sqrt(np.sum(np.square(vectors), axis=-1, keepdims=True))


def _unit(vectors, otherwise):
    """Return directions, those of `otherwise` where the norm is almost 0."""
    length = _length(vectors)
    vanishes = length < 1e-12
    return np.where(vanishes, otherwise, vectors / np.where(vanishes, 1.0, length))


def _perpendicular(directions):
    """Return a direction perpendicular to each; in one dimension 0."""
    axis = np.eye(directions.shape[-1])[np.argmin(np.abs(directions), axis=-1)]
    aside = axis - np.sum(axis * directions, axis=-1, keepdims=True) * directions
    return _unit(aside, np.zeros_like(aside))

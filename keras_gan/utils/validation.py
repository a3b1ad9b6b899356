"""Checks of arguments, with one wording: what is expected, and what was received."""

import contextlib
import math
import numbers
import operator
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
from keras import ops

from keras_gan.utils.typing import Tensor, ValueRange

__all__ = [
    "check_array",
    "check_callable",
    "check_choice",
    "check_flag",
    "check_integer",
    "check_number",
    "check_path",
    "check_range",
    "check_rows",
    "check_seed",
    "check_shape",
    "check_string",
    "check_tensor",
    "naming",
    "shortened",
]

# The largest float32, in which everything is computed.
_LARGEST = float(np.finfo("float32").max)
_COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


def check_integer(
    name: str, value: Any, *, minimum: int | None = None, maximum: int | None = None, hint: str = ""
) -> int:
    """Return an integer of Python or NumPy as an `int`, or raise.

    Args:
        name: name of the argument, for the message.
        value: what was received. Booleans are refused, floats too, whole ones included.
        minimum: smallest value that is allowed, or None.
        maximum: largest value that is allowed, or None.
        hint: sentence that says how to choose the value, at the end of the message.

    Raises:
        TypeError: the value is not an integer.
        ValueError: it is out of range.

    Example:

    >>> from keras_gan.utils.validation import check_integer
    >>> check_integer("interval", np.int64(4), minimum=1)
    4
    """
    bounds = _bounds((">=", minimum), ("<=", maximum))
    value = _scalar(value)
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        _refuse(TypeError, name, f"an integer{bounds}", value, hint)
    if not _within(value, (">=", minimum), ("<=", maximum)):
        _refuse(ValueError, name, f"an integer{bounds}", value, hint)
    return int(value)


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    hint: str = "",
) -> float:
    """Return a finite number of Python or NumPy as a `float`, or raise.

    Args:
        name: name of the argument, for the message.
        value: what was received. Booleans, NaN, infinities and numbers beyond float32 are refused.
        minimum: smallest value that is allowed, or None.
        maximum: largest value that is allowed, or None.
        above: bound that the value must exceed, or None.
        below: bound that the value must stay under, or None.
        hint: sentence that says how to choose the value, at the end of the message.

    Raises:
        TypeError: the value is not a number.
        ValueError: it is not finite, or out of range.

    Example:

    >>> from keras_gan.utils.validation import check_number
    >>> check_number("ema_decay", np.float32(0.5), above=0, below=1)
    0.5
    """
    limits = ((">=", minimum), (">", above), ("<=", maximum), ("<", below))
    expected = f"a finite number{_bounds(*limits)}"
    value = _scalar(value)
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        _refuse(TypeError, name, expected, value, hint)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isfinite(number) and abs(number) > _LARGEST:
        hint = "The largest number of float32 is 3.4e38."
    elif math.isfinite(number) and _within(number, *limits):
        return number
    _refuse(ValueError, name, expected, value, hint)


def check_flag(name: str, value: Any, hint: str = "") -> bool:
    """Return True or False of Python or NumPy as a `bool`, or raise.

    Raises:
        TypeError: the value is not a boolean.

    Example:

    >>> from keras_gan.utils.validation import check_flag
    >>> check_flag("gif", np.bool_(True))
    True
    """
    value = _scalar(value)
    if not isinstance(value, bool | np.bool_):
        _refuse(TypeError, name, "True or False", value, hint)
    return bool(value)


def check_string(name: str, value: Any, hint: str = "") -> str:
    """Return a string that is not empty, or raise.

    Raises:
        TypeError: the value is not a string.
        ValueError: it is empty.

    Example:

    >>> from keras_gan.utils.validation import check_string
    >>> check_string("name", "r1")
    'r1'
    """
    if not isinstance(value, str):
        _refuse(TypeError, name, "a string", value, hint)
    if not value:
        _refuse(ValueError, name, "a string that is not empty", value, hint)
    return value


def check_choice(name: str, value: Any, choices: Collection[str], hint: str = "") -> str:
    """Return one of several strings, or raise.

    Raises:
        TypeError: the value is not a string.
        ValueError: it is not one of `choices`.

    Example:

    >>> from keras_gan.utils.validation import check_choice
    >>> check_choice("player", "d", ["d", "g"])
    'd'
    """
    expected = f"one of {', '.join(repr(choice) for choice in choices)}"
    if not isinstance(value, str):
        _refuse(TypeError, name, expected, value, hint)
    if value not in choices:
        _refuse(ValueError, name, expected, value, hint)
    return value


def check_shape(name: str, value: Any, *, minimum: int = 1, hint: str = "") -> tuple[int, ...]:
    """Return a shape, given as an integer or a sequence of integers, as a tuple, or raise.

    Raises:
        TypeError: the value is neither an integer nor a sequence of integers.
        ValueError: an integer is below `minimum`.

    Example:

    >>> from keras_gan.utils.validation import check_shape
    >>> check_shape("shape", 8), check_shape("shape", [4, 4])
    ((8,), (4, 4))
    """
    value = _scalar(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    entries = value if _is_sequence(value) else (value,)
    expected = f"an integer >= {minimum}, or a tuple of them"
    for entry in entries:
        entry = _scalar(entry)
        if isinstance(entry, bool | np.bool_) or not isinstance(entry, numbers.Integral):
            _refuse(TypeError, name, expected, value, hint)
        if entry < minimum:
            _refuse(ValueError, name, expected, value, hint)
    return tuple(int(_scalar(entry)) for entry in entries)


def check_range(name: str, value: Any, hint: str = "") -> ValueRange:
    """Return two finite numbers, the lower first, as a tuple of floats, or raise.

    Raises:
        TypeError: the value is not a pair of numbers.
        ValueError: a number is not finite, or the first is not below the second.

    Example:

    >>> from keras_gan.utils.validation import check_range
    >>> check_range("value_range", [0, 255])
    (0.0, 255.0)
    """
    expected = "two finite numbers (low, high) with low < high"
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not _is_sequence(value) or len(value) != 2:
        _refuse(TypeError, name, expected, value, hint)
    bounds = [_scalar(bound) for bound in value]
    if any(isinstance(b, bool | np.bool_) or not isinstance(b, numbers.Real) for b in bounds):
        _refuse(TypeError, name, expected, value, hint)
    low, high = bounds
    if not (-_LARGEST <= low < high <= _LARGEST):
        _refuse(ValueError, name, expected, value, hint)
    return float(low), float(high)


def check_callable(name: str, value: Any, hint: str = "") -> Any:
    """Return a callable, or raise.

    Raises:
        TypeError: the value is not callable.

    Example:

    >>> from keras_gan.utils.validation import check_callable
    >>> check_callable("encoder", len) is len
    True
    """
    if not callable(value):
        _refuse(TypeError, name, "callable", value, hint)
    return value


def check_tensor(name: str, value: Any, *, rank: int | None = None, hint: str = "") -> Tensor:
    """Return a tensor, or an array or nested list of numbers, as a tensor of floats, or raise.

    Args:
        name: name of the argument, for the message.
        value: what was received. Float tensors are returned unchanged, and other values as float32.
        rank: number of axes; None allows any but 0.
        hint: sentence that says how to choose the value, at the end of the message.

    Raises:
        TypeError: the value does not consist of real numbers.
        ValueError: it has another rank, or is empty.

    Example:

    >>> from keras_gan.utils.validation import check_tensor
    >>> ops.convert_to_numpy(check_tensor("logits", [[1], [2]])).tolist()
    [[1.0], [2.0]]
    """
    expected = f"a tensor of numbers with {rank or 'one or more'} {'axis' if rank == 1 else 'axes'}"
    is_tensor = ops.is_tensor(value) or isinstance(value, keras.Variable | keras.KerasTensor)
    try:
        tensor = value if is_tensor else np.asarray(value)
        dtype = keras.backend.standardize_dtype(tensor.dtype)
    except (TypeError, ValueError):  # ragged, or texts
        _refuse(TypeError, name, expected, value, hint)
    if "float" not in dtype:
        if not re.match("u?int", dtype):
            _refuse(TypeError, name, expected, value, hint)
        tensor = ops.cast(tensor, "float32")
    elif not is_tensor:
        tensor = ops.convert_to_tensor(tensor, "float32")
    axes = len(tensor.shape)
    if not axes or (rank is not None and axes != rank) or 0 in tuple(tensor.shape):
        _refuse(ValueError, name, f"{expected}, none of them empty", value, hint)
    return tensor


def check_array(name: str, value: Any, *, finite: bool = True, hint: str = "") -> np.ndarray:
    """Return an array, tensor or nested list of real numbers as an array of NumPy, or raise.

    Args:
        name: name of the argument, for the message.
        value: what was received. One number is an array of no axes.
        finite: whether NaN and infinities are refused.
        hint: sentence that says how to choose the value, at the end of the message.

    Raises:
        TypeError: the value does not consist of real numbers.
        ValueError: it is empty, or not finite.

    Example:

    >>> from keras_gan.utils.validation import check_array
    >>> check_array("images", [[0, 1], [2, 3]]).shape
    (2, 2)
    """
    try:
        array = ops.convert_to_numpy(value) if ops.is_tensor(value) else np.asarray(value)
    except (TypeError, ValueError):  # ragged, or of other things than numbers
        _refuse(TypeError, name, "an array of numbers", value, hint)
    # NumPy does not count bfloat16 among its floats.
    array = array.astype("float32") if array.dtype.name == "bfloat16" else array
    if array.dtype.kind not in "iuf":
        _refuse(TypeError, name, "an array of numbers", value, hint)
    if not array.size:
        _refuse(ValueError, name, "an array of one or more numbers", value, hint)
    if finite and not np.isfinite(array).all():
        _refuse(ValueError, name, "an array of finite numbers", value, hint)
    return array


def check_rows(name: str, value: Any, shape: tuple[int, ...], *, finite: bool = True) -> np.ndarray:
    """Return rows of a given shape as a float32 array of NumPy, or raise.

    Args:
        name: name of the argument, for the message.
        value: what was received.
        shape: shape of one row.
        finite: whether NaN and infinities are refused.

    Raises:
        TypeError: the value does not consist of real numbers.
        ValueError: it is empty, not finite, or of another shape.

    Example:

    >>> from keras_gan.utils.validation import check_rows
    >>> check_rows("x", [[0, 1], [2, 3]], (2,)).shape
    (2, 2)
    """
    array = check_array(name, value, finite=finite).astype("float32")
    if array.shape[1:] != shape:
        raise ValueError(f"`{name}` must have the shape {('rows', *shape)}. Received: {array.shape}")
    return array


def check_path(name: str, value: Any, hint: str = "") -> Path:
    """Return the path of a file or folder as a `pathlib.Path`, or raise.

    Raises:
        TypeError: the value is neither a string nor a `pathlib.Path` or the like.
        ValueError: it is empty, or contains a null character.

    Example:

    >>> from keras_gan.utils.validation import check_path
    >>> check_path("directory", "samples").name
    'samples'
    """
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        _refuse(TypeError, name, "a path: a string or a `pathlib.Path`", value, hint)
    if not path or "\0" in path:
        _refuse(ValueError, name, "the path of a file or folder", value, hint)
    return Path(path)


def check_seed(name: str, value: Any, hint: str = "") -> int | None:
    """Return a seed, an integer from 0 to 2⁶³ − 1, or None, or raise.

    Raises:
        TypeError: the value is neither an integer nor None.
        ValueError: it is out of range.

    Example:

    >>> from keras_gan.utils.validation import check_seed
    >>> check_seed("seed", 7)
    7
    """
    if value is None:
        return None
    return check_integer(name, value, minimum=0, maximum=2**63 - 1, hint=hint)


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Let an error of a part name the argument that the part belongs to.

    Args:
        name: name of the argument.

    Raises:
        TypeError: the code inside raised one.
        ValueError: the code inside raised one.

    Example:

    >>> from keras_gan.utils.validation import check_integer, naming
    >>> with naming("layers"):
    ...     check_integer("units", "3")
    Traceback (most recent call last):
        ...
    TypeError: `layers`: `units` must be an integer. Received: '3' of type str.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if f"`{name}`" in str(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"`{name}`: {error}") from error


def _scalar(value):
    """Return a scalar array of NumPy as the number that it holds."""
    return value.item() if isinstance(value, np.ndarray) and not value.ndim else value


def _is_sequence(value):
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | Mapping)


def _within(value, *limits):
    return all(bound is None or _COMPARE[sign](value, bound) for sign, bound in limits)


def _bounds(*limits):
    """Return bounds in words, such as ` >= 1 and < 5`."""
    return " and".join(f" {sign} {bound}" for sign, bound in limits if bound is not None)


def shortened(value: Any) -> str:
    """Return a value in words for a message: its first characters, and its type.

    Example:

    >>> from keras_gan.utils.validation import shortened
    >>> shortened("text")
    "'text' of type str"
    """
    try:
        text = repr(value)
    except Exception:  # of integers with thousands of digits, and of objects of others
        text = "a value without a representation"
    text = text if len(text) <= 200 else f"{text[:200]}..."
    return f"{text} of type {type(value).__name__}"


def _refuse(kind, name, expected, value, hint) -> NoReturn:
    hint = f" {hint}" if hint else ""
    raise kind(f"`{name}` must be {expected}. Received: {shortened(value)}.{hint}")

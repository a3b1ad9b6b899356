"""What callbacks remember, as far as it is plain: numbers, strings, arrays, and containers of them."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

# Keras sets these anew for each run.
_OF_THE_RUN = {"params", "_model"}


def labelled(callbacks: Iterable[keras.callbacks.Callback]) -> dict[str, keras.callbacks.Callback]:
    """Return callbacks by the names of their classes; a second of its class is `"SampleGrid 2"`."""
    labels: dict[str, keras.callbacks.Callback] = {}
    for callback in callbacks:
        name = type(callback).__name__
        count = sum(label.partition(" ")[0] == name for label in labels)
        labels[f"{name} {count + 1}" if count else name] = callback
    return labels


def fingerprints(callback: keras.callbacks.Callback) -> dict[str, str]:
    """Return what tells whether a plain attribute has changed since, even in place."""
    return {
        name: json.dumps(encode(value, _digest)) for name, value in _plain_attributes(callback).items()
    }


def changed(callback: keras.callbacks.Callback, before: dict[str, str]) -> dict[str, Any]:
    """Return the plain attributes that are not as `before`, of `fingerprints`, says."""
    now = fingerprints(callback)
    attributes = _plain_attributes(callback)
    return {name: attributes[name] for name in now if now[name] != before.get(name)}


def encode(value: Any, keep: Callable[[np.ndarray], str]) -> Any:
    """Return what JSON can hold of a plain value: tuples, dicts and arrays are marked as such.

    Args:
        value: the plain value.
        keep: function that takes an array into keeping, and returns what stands for it in JSON.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        # NumPy's files know bfloat16 only as two bytes.
        return {kind: keep(np.asarray(value)), "dtype": str(value.dtype)}
    if isinstance(value, dict):
        return {"dict": [[encode(key, keep), encode(item, keep)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [encode(item, keep) for item in value]}
    if isinstance(value, list):
        return [encode(item, keep) for item in value]
    return value


def decode(code: Any, take: Callable[[str], np.ndarray]) -> Any:
    """Return the value that `encode` made `code` of; `take` returns an array from keeping."""
    if isinstance(code, list):
        return [decode(item, take) for item in code]
    if not isinstance(code, dict):
        return code
    if "dict" in code:
        return {decode(key, take): decode(item, take) for key, item in code["dict"]}
    if "tuple" in code:
        return tuple(decode(item, take) for item in code["tuple"])
    if "array" in code:
        return take(code["array"]).view(np.dtype(code["dtype"]))
    return take(code["scalar"]).view(np.dtype(code["dtype"]))[()]


def _plain_attributes(callback):
    attributes = vars(callback).items()
    return {name: value for name, value in attributes if name not in _OF_THE_RUN and _is_plain(value)}


def _is_plain(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return not (value.dtype.hasobject or value.dtype.names)
    if type(value) is dict:
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    if type(value) in (list, tuple):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, str)


def _digest(array):
    return f"{array.shape} {hashlib.blake2b(array.tobytes()).hexdigest()}"

"""The plain state of an object: numbers, strings, arrays, containers of them, random generators."""

import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

__all__ = [
    "AttributeState",
    "ProcessRandomness",
    "by_label",
    "changed",
    "decode",
    "encode",
    "fingerprints",
    "restore",
]

# Keras sets these in each run.
_SET_BY_KERAS = {"params", "_model"}


def by_label(callbacks: Iterable[keras.callbacks.Callback]) -> dict[str, keras.callbacks.Callback]:
    """Return callbacks by the names of their classes; the second of a class is `"SampleGrid 2"`.

    Example:

    >>> from keras_gan.utils import attributes
    >>> list(attributes.by_label([keras.callbacks.History(), keras.callbacks.History()]))
    ['History', 'History 2']
    """
    labels: dict[str, keras.callbacks.Callback] = {}
    for callback in callbacks:
        name = type(callback).__name__
        count = sum(label.partition(" ")[0] == name for label in labels)
        labels[f"{name} {count + 1}" if count else name] = callback
    return labels


def fingerprints(owner: Any) -> dict[str, str]:
    """Return digests of the plain attributes of an object, which show later changes, even in place."""
    return {name: json.dumps(encode(value, _digest)) for name, value in _plain_attributes(owner).items()}


def changed(owner: Any, before: Mapping[str, str]) -> dict[str, Any]:
    """Return the plain attributes that differ from the `fingerprints` taken before.

    Args:
        owner: object with attributes.
        before: what `fingerprints` returned for it.
    """
    now = fingerprints(owner)
    attributes = _plain_attributes(owner)
    return {name: attributes[name] for name in now if now[name] != before.get(name)}


def restore(owner: Any, attributes: Mapping[str, Any]) -> None:
    """Set attributes that `changed` returned; random generators are set in place.

    Args:
        owner: object with attributes.
        attributes: dict from names to values.
    """
    for name, value in attributes.items():
        setter = _random_functions(getattr(owner, name, None))
        if setter is None:
            setattr(owner, name, value)
        else:
            setter[1](value)


def encode(value: Any, store: Callable[[np.ndarray], str]) -> Any:
    """Return a plain value in the types of JSON, with marks for tuples, dicts and arrays.

    Args:
        value: plain value.
        store: function that stores an array, and returns the text that stands for it in JSON.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        # NumPy's files know bfloat16 only as two bytes.
        return {kind: store(np.asarray(value)), "dtype": str(value.dtype)}
    if isinstance(value, dict):
        return {"dict": [[encode(key, store), encode(item, store)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [encode(item, store) for item in value]}
    if isinstance(value, list):
        return [encode(item, store) for item in value]
    return value


def decode(code: Any, fetch: Callable[[str], np.ndarray]) -> Any:
    """Return the value that `encode` turned into `code`.

    Args:
        code: what `encode` returned.
        fetch: function that returns the array for the text that `store` returned.
    """
    if isinstance(code, list):
        return [decode(item, fetch) for item in code]
    if not isinstance(code, dict):
        return code
    if "dict" in code:
        return {decode(key, fetch): decode(item, fetch) for key, item in code["dict"]}
    if "tuple" in code:
        return tuple(decode(item, fetch) for item in code["tuple"])
    if "array" in code:
        return fetch(code["array"]).view(np.dtype(code["dtype"]))
    return fetch(code["scalar"]).view(np.dtype(code["dtype"]))[()]


class AttributeState:
    """Plain attributes of some objects that change after this object is created.

    Args:
        owners: objects by their names.

    Example:

    >>> from keras_gan.utils import attributes
    >>> class Thing:
    ...     def __init__(self):
    ...         self.count, self.random = 0, np.random.default_rng(0)
    >>> thing, other = Thing(), Thing()
    >>> state, later = (attributes.AttributeState(thing=each) for each in (thing, other))
    >>> thing.count = 5
    >>> _ = thing.random.random()
    >>> later.set_state(state.get_state())
    >>> other.count, bool(other.random.random() == thing.random.random())
    (5, True)
    """

    def __init__(self, **owners: Any) -> None:
        self._owners = owners
        self._before = {name: fingerprints(owner) for name, owner in owners.items()}

    def get_state(self) -> dict[str, dict[str, Any]]:
        """Return the plain attributes that have changed."""
        return {name: changed(owner, self._before[name]) for name, owner in self._owners.items()}

    def set_state(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore what `get_state` returned, and ignore unknown names."""
        for name in state.keys() & self._owners.keys():
            restore(self._owners[name], state[name])


class ProcessRandomness:
    """Global random generators of Python, NumPy and, if it is imported, torch."""

    def get_state(self) -> dict[str, Any]:
        """Return the states of all generators."""
        numpy = np.random.get_state(legacy=False)  # noqa: NPY002
        state = {"python": random.getstate(), "numpy": numpy}
        if "torch" in sys.modules:
            state["torch"] = sys.modules["torch"].get_rng_state().numpy()
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])  # noqa: NPY002
        if "torch" in state:
            import torch

            torch.set_rng_state(torch.from_numpy(state["torch"]))


def _plain_attributes(owner):
    attributes = {}
    for name, value in getattr(owner, "__dict__", {}).items():
        getter = _random_functions(value)
        if getter is not None:
            attributes[name] = getter[0]()
        elif name not in _SET_BY_KERAS and _is_plain(value):
            attributes[name] = value
    return attributes


def _random_functions(value):
    """Return the functions that get and set the state of a random generator, or None."""
    if isinstance(value, np.random.Generator):
        bits = value.bit_generator
        return lambda: bits.state, lambda state: setattr(bits, "state", state)
    if isinstance(value, np.random.RandomState):
        return lambda: value.get_state(legacy=False), value.set_state
    if isinstance(value, random.Random):
        return value.getstate, value.setstate
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Generator):
        return lambda: value.get_state().numpy(), lambda state: value.set_state(torch.from_numpy(state))
    return None


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

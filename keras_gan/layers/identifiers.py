"""Initializers, regularizers and constraints as arguments of layers."""

from typing import Any

import keras

__all__ = ["get"]

_MODULES = {
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}


def get(name: str, identifier: Any) -> Any:
    """Return the initializer, regularizer or constraint that an argument stands for.

    Args:
        name: name of the argument, which ends in what it is, such as `kernel_initializer`.
        identifier: name, configuration or instance; None for no regularizer or constraint.

    Raises:
        ValueError: Keras does not know it; the message names the argument.
    """
    kind = name.rpartition("_")[2]
    if identifier is None and kind != "initializer":
        return None
    try:
        if isinstance(identifier, str | dict) or callable(identifier):
            return _MODULES[kind].get(identifier)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"`{name}` must be a Keras {kind}, its name or its configuration. Received: {identifier!r}"
    )

"""Functions of structures: a tensor, or a tuple, list or dict of tensors, batch axis first.

Samples, conditions and logits may be structures. `None` stands for a missing one, such as the condition
of an unconditional GAN, and remains `None`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan.utils.typing import Structure, Tensor
from keras_gan.utils.validation import check_tensor

__all__ = [
    "arrays",
    "check_tensors",
    "cut",
    "float32",
    "is_arrays",
    "leaves",
    "like",
    "mapped",
    "named",
    "number_of_rows",
    "of_one",
    "shapes",
    "stacked",
]


def mapped(function: Callable[..., Any], *structures: Structure) -> Structure:
    """Return the structure of `function(leaf, ...)` for the leaves of equal structures."""
    return keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else function(*leaves), *structures
    )


def leaves(structure: Structure) -> list[Tensor]:
    """Return the tensors of a structure; those of a dict sorted by key."""
    return [leaf for leaf in keras.tree.flatten(structure) if leaf is not None]


def is_arrays(data: Any) -> bool:
    """Return whether data are an array or a structure of arrays, and not a dataset or a loader."""
    return hasattr(data, "shape") or (isinstance(data, (Mapping, list, tuple)) and bool(leaves(data)))


def number_of_rows(structure: Structure) -> int | Tensor:
    """Return the size of the batch."""
    return ops.shape(leaves(structure)[0])[0]


def cut(structure: Structure, start: int | Tensor, stop: int | Tensor) -> Structure:
    """Return the rows from `start` to `stop`."""
    return mapped(lambda leaf: leaf[start:stop], structure)


def stacked(first: Structure, second: Structure) -> Structure:
    """Return the rows of one structure followed by those of another."""
    return mapped(lambda a, b: ops.concatenate([a, b], axis=0), first, second)


def float32(structure: Structure) -> Structure:
    """Return the structure with all leaves cast to float32."""
    return mapped(lambda leaf: ops.cast(leaf, "float32"), structure)


def check_tensors(name: str, structure: Structure) -> Structure:
    """Return a structure of tensors of floats, or raise an error that names the argument.

    Raises:
        TypeError: a leaf does not consist of numbers, or there is none.
        ValueError: a leaf is a scalar, or empty.
    """
    if not leaves(structure):
        raise TypeError(f"`{name}` must be a tensor, or a structure of tensors. Received: {structure!r}")
    return mapped(functools.partial(check_tensor, name), structure)


def arrays(value: Any) -> Structure:
    """Return a structure of NumPy arrays for a dict or a tuple of arrays, or else one array.

    Raises:
        ValueError: nested lists are not an array.
    """
    if isinstance(value, Mapping):
        return {key: arrays(part) for key, part in value.items()}
    if isinstance(value, tuple) and any(np.ndim(part) for part in value):
        return tuple(arrays(part) for part in value)
    try:
        return np.asarray(ops.convert_to_numpy(value))
    except ValueError as error:
        raise ValueError(f"Expected an array whose rows all have the same shape. {error}") from error


def shapes(specs: Structure) -> Structure:
    """Return the shapes of one row: a tuple for a tensor, or a structure of tuples."""
    return mapped(lambda spec: tuple(spec.shape[1:]), specs)


def of_one(value: Structure) -> Structure:
    """Return the entry of a list or tuple of length 1, and anything else unchanged."""
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value


def named(prefix: str, structure: Structure) -> dict[str, Tensor]:
    """Return the leaves by name: `prefix` for a tensor, or `prefix_key`, `prefix_0` and so on."""
    if isinstance(structure, Mapping):
        parts: Any = structure.items()
    elif isinstance(structure, (list, tuple)):
        parts = enumerate(structure)
    else:
        return {prefix: structure}
    return {n: leaf for key, part in parts for n, leaf in named(f"{prefix}_{key}", part).items()}


def like(structure: Structure, values: Sequence[Tensor]) -> Structure:
    """Return a structure like the given one with `values` as its leaves."""
    return None if structure is None else keras.tree.pack_sequence_as(structure, list(values))

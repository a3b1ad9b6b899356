"""Structures: a tensor, or a tuple, list or dict of tensors, whose first axis is the batch.

Samples, conditions and logits may be structures. `None` stands for what is not there, such as the
condition of an unconditional GAN, and stays `None`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan.utils.typing import Structure, Tensor
from keras_gan.utils.validation import check_tensor


def mapped(function: Callable[..., Any], *structures: Structure) -> Structure:
    """Return the structure of `function(leaf, ...)` over the leaves of structures of one form."""
    return keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else function(*leaves), *structures
    )


def leaves(structure: Structure) -> list[Tensor]:
    """Return the tensors of a structure, those of a dict in the order of its keys."""
    return [leaf for leaf in keras.tree.flatten(structure) if leaf is not None]


def number_of_rows(structure: Structure) -> int | Tensor:
    """Return the size of the batch."""
    return ops.shape(leaves(structure)[0])[0]


def cut(structure: Structure, start: int | Tensor, stop: int | Tensor) -> Structure:
    """Return the rows from `start` to `stop`."""
    return mapped(lambda leaf: leaf[start:stop], structure)


def stacked(first: Structure, second: Structure) -> Structure:
    """Return the rows of one structure, and then those of another."""
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
    """Return NumPy arrays: of a dict, or a tuple of arrays, a structure, and otherwise one array."""
    if isinstance(value, Mapping):
        return {key: arrays(part) for key, part in value.items()}
    if isinstance(value, tuple) and any(np.ndim(part) for part in value):
        return tuple(arrays(part) for part in value)
    return np.asarray(ops.convert_to_numpy(value))


def shapes(specs: Structure) -> Structure:
    """Return the shapes of one row: a tuple for a tensor, else a structure of tuples."""
    return mapped(lambda spec: tuple(spec.shape[1:]), specs)


def of_one(value: Structure) -> Structure:
    """Return the only entry of a list or tuple of one, and anything else as it is."""
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value


def named(prefix: str, structure: Structure) -> dict[str, Tensor]:
    """Return the leaves by names: `prefix` for a tensor, else `prefix_key` or `prefix_0` and so on."""
    if isinstance(structure, Mapping):
        parts: Any = structure.items()
    elif isinstance(structure, (list, tuple)):
        parts = enumerate(structure)
    else:
        return {prefix: structure}
    return {n: leaf for key, part in parts for n, leaf in named(f"{prefix}_{key}", part).items()}


def like(structure: Structure, values: Sequence[Tensor]) -> Structure:
    """Return `values` as the leaves of such a structure."""
    return None if structure is None else keras.tree.pack_sequence_as(structure, list(values))

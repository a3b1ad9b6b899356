"""The inputs of networks: their order, names, shapes and numbers of classes.

A network with several inputs takes a list, `[latents, *conditions]` or `[samples, *conditions]`, or a
dict of named inputs. Named parts are matched by name; a part without a name by its shape, which exactly
one input must fit.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras

from keras_gan.utils import structures
from keras_gan.utils.typing import Shape, Structure, Tensor

__all__ = [
    "Part",
    "compatible",
    "match",
    "names",
    "numbers_of_classes",
    "pack",
    "parts",
    "specs",
    "split",
]


class Part(NamedTuple):
    """A tensor or specification, and its name or None."""

    name: str | None
    leaf: Any


def specs(network: keras.Model) -> Structure:
    """Return the specification of a network's inputs, or None if it is not built."""
    if getattr(network, "inputs", None):
        inputs = network.inputs if isinstance(network, keras.Sequential) else network.input
        return structures.of_one(inputs)
    shape = (network.get_build_config() or {}).get("input_shape")
    if shape is None:
        return None
    # A subclassed network records the shapes of the batch that it was built with.
    return keras.tree.map_shape_structure(
        lambda shape: keras.KerasTensor((None, *shape[1:]), keras.config.floatx()), shape
    )


def parts(structure: Structure) -> list[Part]:
    """Return the leaves of a structure; those of a dict with their names."""
    if isinstance(structure, Mapping):
        keys = sorted(structure)
        return [Part(key, leaf) for key in keys for leaf in structures.leaves(structure[key])]
    return [Part(None, leaf) for leaf in structures.leaves(structure)]


def pack(network: keras.Model, first: Structure, condition: Structure = None) -> Structure:
    """Return latents or samples, and a condition, in the form of a network's inputs.

    The condition is dropped for a network whose inputs do not include it.

    Raises:
        ValueError: the network has named inputs, and not exactly one of them fits a part.
    """
    takes = specs(network)
    if takes is not None and len(structures.leaves(takes)) == len(parts(first)):
        condition = None
    given = [*parts(first), *parts(condition)]
    if isinstance(takes, Mapping):
        keys = match(given, takes, f"inputs of {network.name!r}")
        return {key: part.leaf for key, part in zip(keys, given, strict=True)}
    if isinstance(condition, Mapping) and isinstance(takes, (list, tuple)):
        given = _in_order(network, first, condition, takes)
    inputs = [part.leaf for part in given]
    return inputs[0] if len(inputs) == 1 else inputs


def _in_order(network, first, condition, takes):
    """Return parts in the order of a list of inputs, where conditions may be matched by name."""
    ahead = parts(first)
    places = {f"{i}: {spec.name}": spec for i, spec in enumerate(takes) if i >= len(ahead)}
    by_name = {place.partition(": ")[2]: place for place in places}
    wanted = [Part(by_name.get(part.name), part.leaf) for part in parts(condition)]
    found = match(wanted, places, f"inputs of {network.name!r}")
    order = dict(zip(found, wanted, strict=True))
    return [*ahead, *(order[place] for place in places)]


def match(wanted: Sequence[Part], available: Mapping[str, Any], what: str) -> list[str]:
    """Return the key of `available` for each part, by its name or by the only shape that fits.

    Args:
        wanted: parts with tensors or specifications.
        available: tensors or specifications by name.
        what: description of `available`, for the message.

    Raises:
        ValueError: a part fits none or several of them.
    """
    keys: list[str | None] = [part.name if part.name in available else None for part in wanted]
    for i, part in enumerate(wanted):
        if keys[i] is None:
            fitting = [k for k, other in available.items() if k not in keys and _fit(part.leaf, other)]
            if len(fitting) != 1:
                raise ValueError(_unmatched(part, fitting, available, what))
            keys[i] = fitting[0]
    return keys  # type: ignore[return-value]


def _unmatched(part, fitting, available, what):
    listed = ", ".join(f"{key!r} of shape {tuple(other.shape[1:])}" for key, other in available.items())
    name = f"{part.name!r}, " if part.name else ""
    return (
        f"{'Several' if fitting else 'None'} of the {what} fit {name}a tensor of the shape "
        f"{tuple(part.leaf.shape[1:])} (without the batch axis). Expected inputs that are distinguished "
        f"by names or shapes: use the same names in both networks. Received: {listed}"
    )


def _fit(leaf, other):
    # Labels may have an axis of length 1.
    shapes = {tuple(leaf.shape[1:]), tuple(other.shape[1:])}
    if not (compatible(leaf.shape[1:], other.shape[1:]) or shapes == {(), (1,)}):
        return False
    try:
        kinds = [keras.backend.standardize_dtype(x.dtype) for x in (leaf, other)]
    except ValueError:  # NumPy's types of texts
        return False
    return "string" not in kinds and not ("int" in kinds[0] and "float" in kinds[1])


def compatible(shape: Sequence[int | None], other: Sequence[int | None]) -> bool:
    """Return whether two shapes agree wherever both are known."""
    return len(shape) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(shape, other, strict=True)
    )


def split(
    generator: keras.Model, discriminator: keras.Model, latent_shape: Shape | None, has_latents: bool
) -> tuple[Any, Structure]:
    """Return the specifications of a generator's latents and of its condition, or None for each.

    Args:
        generator: `keras.Model`.
        discriminator: `keras.Model`, whose named inputs identify the conditions.
        latent_shape: shape of a latent, if the prior has one.
        has_latents: whether there is a prior; without one, all inputs are conditions.

    Raises:
        ValueError: the latents cannot be identified among named inputs.
    """
    takes = specs(generator)
    if not has_latents:
        return None, takes
    if takes is None:
        others = specs(discriminator)
        return None, structures.of_one(tuple(others[1:])) if isinstance(others, (list, tuple)) else None
    if isinstance(takes, Mapping):
        key = _latents_among(takes, discriminator, latent_shape)
        rest = {name: spec for name, spec in takes.items() if name != key}
        return takes[key], rest or None
    if isinstance(takes, (list, tuple)):
        condition = {spec.name: spec for spec in takes[1:]}
        if condition and _names_decide(list(condition), discriminator):
            return takes[0], condition
        return takes[0], structures.of_one(tuple(takes[1:]))
    return takes, None


def _names_decide(own, discriminator):
    """Return whether a generator's listed conditions are matched to the discriminator's by name."""
    others = specs(discriminator)
    if isinstance(others, Mapping):
        return set(own) <= set(others)
    theirs = [spec.name for spec in others[1:]] if isinstance(others, (list, tuple)) else []
    return set(own) == set(theirs) and own != theirs  # in another order


def _latents_among(takes, discriminator, latent_shape):
    """Return the name of the latents among a generator's named inputs."""
    others = specs(discriminator)
    if isinstance(others, Mapping):
        shared = set(others)
    else:
        shared = {spec.name for spec in structures.leaves(others)} if others is not None else set()
    own = [name for name in takes if name not in shared]
    if len(own) > 1 and latent_shape is not None:
        own = [name for name in own if compatible(takes[name].shape[1:], latent_shape)]
    if len(own) > 1:
        # Integers are labels.
        own = [name for name in own if "int" not in takes[name].dtype]
    if len(own) != 1:
        raise ValueError(
            "The latents cannot be identified among the generator's named inputs. Expected one that the "
            "discriminator does not take: use the same names for conditions in both networks, and let a "
            "generator with several latents take one tensor and split it. Received a generator with the "
            f"inputs {sorted(takes)} and a discriminator with {sorted(shared)}."
        )
    return own[0]


def names(condition: Structure) -> list[str]:
    """Return a name for each leaf of a condition: its key, the name of its input, or a number."""
    if isinstance(condition, Mapping):
        return [part.name or "condition" for part in parts(condition)]
    leaves = structures.leaves(condition)
    if len(leaves) == 1:
        return ["condition"]
    own = [spec.name for spec in leaves]
    made_up = any(name.startswith(("keras_tensor", "input_layer")) for name in own)
    return [f"condition_{i}" for i in range(len(leaves))] if made_up else own


# Operations between an input and the embedding of its classes that do not change labels.
_PASSING = ("Cast", "ExpandDims", "Flatten", "Identity", "Reshape", "Squeeze")


def numbers_of_classes(
    takers: Iterable[tuple[keras.Model, Structure]], condition: Structure
) -> list[int | None]:
    """Return the number of classes of each leaf of a condition, or None where it is unknown.

    An input is a label if an `Embedding`, a one-hot encoding, `ops.one_hot` or a layer with an attribute
    `classes`, such as `kg.layers.Projection`, takes it directly.

    Args:
        takers: networks, and specifications of their inputs before the condition. Networks that are
            neither functional nor sequential are ignored.
        condition: specification of the condition.
    """
    found: dict[int, list[int]] = {id(leaf): [] for leaf in structures.leaves(condition)}
    for network, ahead in takers:
        if getattr(network, "inputs", None):
            given = structures.leaves(pack(network, ahead, condition))
            for spec, leaf in zip(structures.leaves(specs(network)), given, strict=True):
                found.get(id(leaf), []).extend(_classes(network, spec))
    return [min(found[id(leaf)], default=None) for leaf in structures.leaves(condition)]


def _classes(network: keras.Model, tensor: Tensor) -> list[int]:
    """Return the numbers of classes of all operations that take a symbolic tensor as labels."""
    found = []
    # A sequential model wraps a functional one.
    for operation in getattr(network, "_functional", network).operations:
        for node in operation._inbound_nodes:
            if not any(tensor is other for other in node.input_tensors):
                continue
            if isinstance(operation, keras.layers.Embedding):
                found.append(operation.input_dim)
            elif isinstance(operation, keras.layers.CategoryEncoding):
                found.append(operation.num_tokens)
            elif type(operation).__name__ == "OneHot":
                found.append(operation.num_classes)
            elif isinstance(getattr(operation, "classes", None), int):
                found.append(operation.classes)
            elif type(operation).__name__ in _PASSING:
                found += itertools.chain(*(_classes(network, out) for out in node.output_tensors))
            elif isinstance(operation, keras.Model) and getattr(operation, "inputs", None):
                inner = zip(operation.inputs, node.input_tensors, strict=True)
                found += itertools.chain(*(_classes(operation, i) for i, o in inner if o is tensor))
    return found

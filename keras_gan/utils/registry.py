"""Families of exchangeable objects, each chosen by name, by configuration or by instance."""

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import keras

from keras_gan.utils.typing import Config

Member = TypeVar("Member")


def get(
    identifier: str | Config | Member, family: type[Member], members: Mapping[str, Callable[[], Member]]
) -> Member:
    """Return the member of a family that `identifier` stands for.

    Args:
        identifier: a name, a configuration (what `keras.saving.serialize_keras_object` gives),
            or an instance of the family.
        family: the base class, whose name is used in messages.
        members: dict from names to classes that need no arguments.

    Returns:
        An instance of `family`.

    Raises:
        ValueError: unknown name (the nearest one is suggested).
        TypeError: `identifier` is something else.
    """
    kind = family.__name__.lower()
    if isinstance(identifier, family):
        return identifier
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
        if isinstance(identifier, family):
            return identifier
    if isinstance(identifier, str):
        key = identifier.lower().replace("-", "_").replace(" ", "_")
        if key in members:
            return members[key]()
        raise ValueError(unknown(kind, identifier, members))
    raise TypeError(
        f"A {kind} is a name ({', '.join(map(repr, members))}), a configuration or an instance of "
        f"`{family.__module__}.{family.__name__}`. Received: {identifier!r}"
    )


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Say that `name` is not known, which names are, and which one was probably meant."""
    nearest = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.4)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(map(repr, known))}."

"""Lookup of exchangeable objects by name, configuration or instance."""

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import keras

from keras_gan.utils.typing import Config
from keras_gan.utils.validation import naming, shortened

__all__ = ["Member", "get", "get_all", "unknown"]

Member = TypeVar("Member")


def get(
    identifier: str | Config | Member,
    family: type[Member],
    members: Mapping[str, Callable[[], Member]],
    kind: str,
) -> Member:
    """Return the member of a family for an identifier.

    Args:
        identifier: a name, a configuration (from `keras.saving.serialize_keras_object`), or an instance
            of the family.
        family: the base class.
        members: dict from names to classes that need no arguments.
        kind: what messages call a member.

    Returns:
        An instance of `family`.

    Raises:
        ValueError: the name is unknown (the nearest one is suggested).
        TypeError: `identifier` has another type.
    """
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
        f"The {kind} must be a name ({', '.join(map(repr, members))}), a configuration or an instance "
        f"of `{family.__module__}.{family.__name__}`. Received: {shortened(identifier)}."
    )


def get_all(
    name: str, identifiers: Any, family: type[Member], get: Callable[[Any], Member]
) -> list[Member]:
    """Return the members of a family in an argument that takes one or several.

    Args:
        name: name of the argument, for messages.
        identifiers: an identifier as `get` takes it, or an iterable of them.
        family: the base class.
        get: function from an identifier to a member.

    Raises:
        ValueError: a name is unknown.
        TypeError: an entry is not an identifier, or `identifiers` cannot be iterated.
    """
    if isinstance(identifiers, (str, dict, family)):
        identifiers = [identifiers]
    if not isinstance(identifiers, Iterable):
        raise TypeError(
            f"`{name}` must be a name, a configuration or an instance of "
            f"`{family.__module__}.{family.__name__}`, or a list of them. "
            f"Received: {shortened(identifiers)}"
        )
    with naming(name):
        return [get(identifier) for identifier in identifiers]


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Return a message that a name is unknown, with the known names and the nearest one."""
    nearest = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.4)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(map(repr, known))}."

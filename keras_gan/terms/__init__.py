"""Terms: penalties and regularizers added to the players' losses, such as gradient penalties."""

from collections.abc import Iterable

from keras_gan.terms.auxiliary_classifier import AuxiliaryClassifier
from keras_gan.terms.feature_matching import FeatureMatching
from keras_gan.terms.historical_averaging import HistoricalAveraging
from keras_gan.terms.penalties import (
    DRAGAN,
    R1,
    R2,
    GradientPenalty,
    squared_norms,
)
from keras_gan.terms.term import Term
from keras_gan.utils import registry
from keras_gan.utils.typing import Config
from keras_gan.utils.validation import naming, shortened

__all__ = [
    "DRAGAN",
    "R1",
    "R2",
    "TERMS",
    "AuxiliaryClassifier",
    "FeatureMatching",
    "GradientPenalty",
    "HistoricalAveraging",
    "Term",
    "get",
    "squared_norms",
]


def __dir__():
    return __all__


TERMS = {"gradient_penalty": GradientPenalty, "dragan": DRAGAN, "r1": R1, "r2": R2}


def get(identifier: str | Config | Term) -> Term:
    """Return a term from its name, its configuration, or an instance.

    Args:
        identifier: one of the names in `TERMS`, a serialized term, or a `Term`.

    Returns:
        A `Term`.

    Raises:
        ValueError: the name is unknown; the message suggests the nearest one.
        TypeError: `identifier` is none of these.

    Example:

    >>> kg.terms.get("gradient_penalty").weight
    10.0
    """
    return registry.get(identifier, Term, TERMS, "term")


def get_all(terms: str | Config | Term | Iterable[str | Config | Term]) -> list[Term]:
    """Return the terms of an argument `terms`: one, or several.

    Raises:
        ValueError: a name is unknown.
        TypeError: an entry is not a term, or `terms` cannot be iterated.

    Example:

    >>> from keras_gan.terms import get_all
    >>> [term.name for term in get_all(["r1", kg.terms.R2(weight=0.5)])]
    ['r1', 'r2']
    """
    identifiers = [terms] if isinstance(terms, (str, dict, Term)) else terms
    if not isinstance(identifiers, Iterable):
        raise TypeError(
            "`terms` must be a name, a configuration or an instance of `kg.terms.Term`, or a list of "
            f"them. Received: {shortened(terms)}"
        )
    with naming("terms"):
        return [get(identifier) for identifier in identifiers]

"""Terms: penalties and regularizers added to the players' losses, such as gradient penalties."""

from keras_gan.terms.auxiliary_classifier import AuxiliaryClassifier
from keras_gan.terms.bad_generator import ConditionalEntropy, PullAway
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

__all__ = [
    "DRAGAN",
    "R1",
    "R2",
    "TERMS",
    "AuxiliaryClassifier",
    "ConditionalEntropy",
    "FeatureMatching",
    "GradientPenalty",
    "HistoricalAveraging",
    "PullAway",
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

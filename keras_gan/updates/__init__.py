"""Update rules: how the gradients of the two players become steps, and how many.

v = (∇_D L_D, ∇_G L_G) is the gradient of each player's loss with respect to its own weights w.
"""

from keras_gan.updates.adaptive_steps import AdaptiveSteps, BalancedSteps, IncreasingSteps
from keras_gan.updates.rule import UpdateRule, descend
from keras_gan.updates.rules import Alternating, Consensus, Extragradient, Optimistic, Simultaneous
from keras_gan.utils import registry
from keras_gan.utils.typing import Config

__all__ = [
    "UPDATES",
    "AdaptiveSteps",
    "Alternating",
    "BalancedSteps",
    "Consensus",
    "Extragradient",
    "IncreasingSteps",
    "Optimistic",
    "Simultaneous",
    "UpdateRule",
    "descend",
    "get",
]


def __dir__():
    return __all__


UPDATES = {
    "alternating": Alternating,
    "simultaneous": Simultaneous,
    "extragradient": Extragradient,
    "optimistic": Optimistic,
    "consensus": Consensus,
    "balanced_steps": BalancedSteps,
    "increasing_steps": IncreasingSteps,
}


def get(identifier: str | Config | UpdateRule) -> UpdateRule:
    """Return an update rule from its name, its configuration, or an instance.

    Args:
        identifier: one of the names in `UPDATES`, a serialized rule, or an `UpdateRule`.

    Returns:
        An `UpdateRule`.

    Raises:
        ValueError: the name is unknown; the message suggests the nearest one.
        TypeError: `identifier` is none of these.

    Example:

    >>> type(kg.updates.get("consensus")).__name__
    'Consensus'
    """
    return registry.get(identifier, UpdateRule, UPDATES, "update rule")

"""The base class of terms."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_gan import backend
from keras_gan.utils.networks import outputs
from keras_gan.utils.registry import unknown
from keras_gan.utils.typing import Config, Game, Play, Tensor
from keras_gan.utils.validation import check_integer, check_number, check_string

__all__ = ["PLAYERS", "Term"]

PLAYERS = ("discriminator", "generator")


class Term:
    """Base class for terms: penalties and regularizers added to the players' losses.

    Subclasses implement `call(play)`. The loss gains `weight * call(play)`, and the value of `call` is
    logged under the term's name.

    A term may have networks of its own, such as an encoder that recovers the latents. Its constructor
    then sets `networks`: the player whose loss it joins (the first of `players`) trains them, and they
    are saved with the GAN. Also list networks that should not be trained, with `trainable = False`, so
    that their weights are saved. GANs that are compiled with the same term share its networks.

    Args:
        weight: factor, positive.
        interval: evaluate the term in every `interval`-th training step only, with `interval` times
            the weight, so that it has the same effect and the same logs on average (lazy
            regularization, Karras et al., 2020, arXiv 1912.04958, appendix B).
        name: name in the logs; by default the class name in snake case.

    Attributes:
        players: players whose losses it is added to: `"discriminator"`, `"generator"`, or both. With
            both, the names in the logs are prefixed with the players' initials.
        networks: list of the term's own `keras.Model`s.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> class SmallLogits(kg.terms.Term):
    ...     def call(self, play):
    ...         return play.mean_real(play.real_output**2)
    >>> SmallLogits(weight=0.001).name
    'small_logits'
    """

    players: tuple[str, ...] = ("discriminator",)
    networks: Sequence[keras.Model] = ()

    def __init__(self, weight: float = 1.0, *, interval: int = 1, name: str | None = None) -> None:
        self.weight = check_number("weight", weight, above=0)
        self.interval = check_integer("interval", interval, minimum=1)
        self.name = _snake_case(type(self).__name__) if name is None else check_string("name", name)

    @property
    def log_names(self) -> list[str]:
        """The names of the term in the logs."""
        return [self.log_name(player) for player in self.players]

    def log_name(self, player: str) -> str:
        """Return the name in the logs of the term in the loss of `player`."""
        return self.name if len(self.players) == 1 else f"{player[0]}_{self.name}"

    def build(self, gan: Game) -> list[keras.Variable]:
        """Prepare for the networks of a `GAN`, once, when it is compiled.

        The term's own networks must be built here at the latest.

        Returns:
            List of the `keras.Variable`s that change during training; they are saved with the
            optimizers.
        """
        return []

    def check_networks(self) -> None:
        """Check that the term's own networks are built.

        Raises:
            ValueError: a network is not built; the message names it.
        """
        for network in self.networks:
            if not network.built:
                raise ValueError(
                    f"The network {network.name!r} of the term {self.name!r} is not built, so an "
                    "optimizer cannot keep state for its weights. Begin it with `keras.Input`, or call "
                    "it once on data."
                )

    def check_output(self, gan: Game, key: str) -> None:
        """Check that the discriminator returns a dict with an entry, unless its output is unknown.

        Raises:
            ValueError: it does not.
        """
        returned = outputs(gan.discriminator)
        keys = list(returned) if isinstance(returned, Mapping) else []
        if returned is not None and key not in keys:
            raise ValueError(
                f"`{type(self).__name__}` requires a discriminator that returns a dict with the entry "
                f"{key!r}, such as `{{'logits': ..., {key!r}: ...}}`. {unknown('output', key, keys)}"
            )

    def update_state(self) -> None:
        """Update internal state, once at the start of each training step."""

    def call(self, play: Play) -> Tensor:
        """Return the term before its weight, a scalar.

        Args:
            play: `kg.models.Play`: the minibatch, the discriminator's outputs, and the player whose loss
                is computed. Its `mean_real` and `mean_fake` respect `sample_weight`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `call`.")

    def __call__(self, play: Play, step: Tensor) -> Tensor:
        """Return `call`; if lazy, `interval` times `call` or 0, which has the same mean over steps."""
        if self.interval == 1 or not play.training:
            return self.value(play)
        due = ops.equal(ops.mod(step, self.interval), 0)
        return backend.cond(due, lambda: ops.cast(self.interval * self.value(play), "float32"))

    def value(self, play: Play) -> Tensor:
        """Return `call` plus the losses of the layers of the term's own networks."""
        value = self.call(play)
        if play.player != self.players[0]:
            return value
        # Divide by the weight, so that layer losses count once whatever the term's weight.
        return value + sum(loss for network in self.networks for loss in network.losses) / self.weight

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"weight": self.weight, "interval": self.interval, "name": self.name}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Create the term from the output of `get_config`, serialized or not."""
        return cls(**{name: _deserialize(value) for name, value in config.items()})


def _snake_case(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _deserialize(value: Any) -> Any:
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value)
    if isinstance(value, dict):
        return {key: _deserialize(item) for key, item in value.items()}
    return [_deserialize(item) for item in value] if isinstance(value, list) else value

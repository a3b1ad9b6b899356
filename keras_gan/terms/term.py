"""What the terms have in common."""

import re
from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_gan import backend
from keras_gan.utils.typing import Config, Game, Play, Tensor

PLAYERS = ("discriminator", "generator")


class Term:
    """Base class of terms: something added to players' losses, which a member's `call` computes.

    The loss gains `weight * call(play)`, and the value of `call` is logged under the term's name.

    A term may bring networks of its own, such as an encoder that recovers the latents. Its constructor
    then sets `networks`: the player whose loss it joins (the first of `players`) moves them, and they
    are part of the GAN's files. A network that is not to move is listed too, with `trainable = False`,
    or files would not keep its weights. GANs that are compiled with one term share its networks.

    Args:
        weight: factor, positive.
        interval: compute the term in every `interval`-th training step only, with `interval` times
            the weight, so that it counts and is logged the same in the mean over many steps (lazy
            regularization, Karras et al., 2020, arXiv 1912.04958, appendix B).
        name: name in the logs; by default the class's in snake case.

    Attributes:
        players: whose losses it is added to: `"discriminator"`, `"generator"`, or both. With both, the
            players' initials stand before the name in the logs.
        networks: list of `keras.Model`s that the term brings.

    Raises:
        ValueError: `weight` or `interval` is not positive.

    Example:

    >>> class SmallLogits(kg.terms.Term):
    ...     def call(self, play):
    ...         return play.mean_real(play.real_output**2)
    >>> SmallLogits(weight=0.001).name
    'small_logits'
    """

    players: tuple[str, ...] = ("discriminator",)
    networks: Sequence[keras.Model] = ()

    def __init__(self, weight: float = 1.0, interval: int = 1, name: str | None = None) -> None:
        if not weight > 0:
            raise ValueError(f"`weight` must be positive. Received: {weight}")
        if not isinstance(interval, int) or interval < 1:
            raise ValueError(f"`interval` must be an integer of at least 1. Received: {interval!r}")
        self.weight = float(weight)
        self.interval = interval
        self.name = name or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def log_names(self) -> list[str]:
        """The names of all that the term logs."""
        return [self.log_name(player) for player in self.players]

    def log_name(self, player: str) -> str:
        """Return the name in the logs of what joins the loss of `player`."""
        return self.name if len(self.players) == 1 else f"{player[0]}_{self.name}"

    def build(self, gan: Game) -> list[keras.Variable]:
        """Prepare for the networks of a `GAN`, once, when it is compiled.

        Networks of the term's own that are not built yet are to be built here.

        Returns:
            List of `keras.Variable` that change during training; they are saved with the optimizers.
        """
        return []

    def check_networks(self) -> None:
        """Refuse networks of the term's own that are not built.

        Raises:
            ValueError: one is not; the message names it.
        """
        for network in self.networks:
            if not network.built:
                raise ValueError(
                    f"The network {network.name!r} of the term {self.name!r} has no weights yet, for "
                    "which an optimizer could keep state. Expected one that is built: begin it with "
                    "`keras.Input`, or call it once on data."
                )

    def observe(self) -> None:
        """Take note of where training stands, once at the beginning of every step."""

    def call(self, play: Play) -> Tensor:
        """Return the term before its weight, a scalar.

        Args:
            play: `kg.models.Play`: the minibatch, what the discriminator makes of it, and whose loss is
                computed. Its `mean_real` and `mean_fake` weigh rows as `sample_weight` says.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `call`.")

    def __call__(self, play: Play, step: Tensor) -> Tensor:
        """Return `call`; if lazy, `interval` times it or 0, so that the mean over steps is the same."""
        if self.interval == 1 or not play.training:
            return self.value(play)
        due = ops.equal(ops.mod(step, self.interval), 0)
        return backend.cond(due, lambda: ops.cast(self.interval * self.value(play), "float32"))

    def value(self, play: Play) -> Tensor:
        """Return `call`, with what the layers of the term's own networks add to the loss."""
        value = self.call(play)
        if play.player != self.players[0]:
            return value
        # So that the loss gains what the layers add, whatever the term's weight.
        return value + sum(loss for network in self.networks for loss in network.losses) / self.weight

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"weight": self.weight, "interval": self.interval, "name": self.name}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Make the term from what `get_config` returned, also after it was serialized."""
        return cls(**{name: _made(value) for name, value in config.items()})


def _made(value: Any) -> Any:
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value)
    if isinstance(value, dict):
        return {key: _made(item) for key, item in value.items()}
    return [_made(item) for item in value] if isinstance(value, list) else value

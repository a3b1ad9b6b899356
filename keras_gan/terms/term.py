"""What the terms have in common."""

import re
from typing import Self

import keras
from keras import ops

from keras_gan import backend
from keras_gan.types import Config, Critic, Game, Tensor


class Term:
    """Base class of terms: something added to one player's loss, which a member's `call` computes.

    The loss gains `weight * call(critic, real, fake)`, and the value of `call` is logged under the
    term's name.

    Args:
        weight: factor, positive.
        interval: compute the term in every `interval`-th training step only, with `interval` times
            the weight, so that it counts and is logged the same in the mean over many steps (lazy
            regularization, Karras et al., 2020, arXiv 1912.04958, appendix B).
        name: name in the logs; by default the class's in snake case.

    Attributes:
        player: whose loss it is added to, `"discriminator"` or `"generator"`.

    Raises:
        ValueError: `weight` or `interval` is not positive.

    Example:

    >>> class SmallLogits(kg.terms.Term):
    ...     def call(self, critic, real, fake):
    ...         return ops.mean(critic(real) ** 2)
    >>> SmallLogits(weight=0.001).name
    'small_logits'
    """

    player = "discriminator"

    def __init__(self, weight: float = 1.0, interval: int = 1, name: str | None = None) -> None:
        if not weight > 0:
            raise ValueError(f"`weight` must be positive. Received: {weight}")
        if not isinstance(interval, int) or interval < 1:
            raise ValueError(f"`interval` must be an integer of at least 1. Received: {interval!r}")
        self.weight = float(weight)
        self.interval = interval
        self.name = name or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    def build(self, gan: Game) -> list[keras.Variable]:
        """Prepare for the two networks of a `GAN`, once, when it is compiled.

        Returns:
            List of `keras.Variable` that change during training; they are saved with the optimizers.
        """
        return []

    def observe(self) -> None:
        """Take note of where training stands, once at the beginning of every step."""

    def call(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Return the term before its weight, a scalar.

        Args:
            critic: function from samples to float32 logits (the discriminator, with the batch's
                condition if there is one). `critic(samples, network=other)` calls another network on
                the same inputs.
            real: float32 tensor of real examples, batch axis first.
            fake: float32 tensor of generated examples, batch axis first.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `call`.")

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, step: Tensor) -> Tensor:
        """Return `call`; if lazy, `interval` times it or 0, so that the mean over steps is the same."""
        if self.interval == 1:
            return self.call(critic, real, fake)
        due = ops.equal(ops.mod(step, self.interval), 0)
        return backend.when(
            due, lambda: ops.cast(self.interval * self.call(critic, real, fake), "float32")
        )

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"weight": self.weight, "interval": self.interval, "name": self.name}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Make the term from what `get_config` returned."""
        return cls(**config)

"""The base class of update rules, and the gradient step that they are made of."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import keras
from keras import ops

from keras_gan import backend
from keras_gan.losses import Loss
from keras_gan.utils import batches
from keras_gan.utils.typing import Config, Game, Logs, Objective, Player, Structure

__all__ = ["UpdateRule", "descend"]


class UpdateRule:
    """Base class for update rules, whose subclasses implement `step` or override `play`.

    Example:

    >>> class Slower(kg.updates.UpdateRule):  # the generator's loss counts half
    ...     def step(self, objective, players):
    ...         def halved():
    ...             (d_loss, g_loss), logs = objective()
    ...             return [d_loss, 0.5 * g_loss], logs
    ...         return kg.updates.descend(halved, players)
    >>> sorted(kg.updates.UPDATES)[:4]
    ['alternating', 'balanced_steps', 'consensus', 'extragradient']
    """

    # Names of the logs that the rule adds to those of the players.
    log_names: Sequence[str] = ()

    def build(self, gan: Game) -> list[keras.Variable]:
        """Prepare for the networks of a `GAN`, once, when it is compiled.

        Returns:
            List of the `keras.Variable`s that the rule keeps between steps; they are saved with the
            optimizers.
        """
        return []

    def check_optimizers(self, optimizers: Iterable[keras.optimizers.Optimizer]) -> None:
        """Refuse optimizers that the rule cannot use.

        Raises:
            ValueError: there is one.
        """

    def measure(self, loss: Loss, real_logits: Structure, fake_logits: Structure) -> Logs:
        """Return further logs of the discriminator's logits, under names in `log_names`: here none.

        Args:
            loss: loss of the game.
            real_logits: the discriminator's logits of real examples.
            fake_logits: those of generated examples.
        """
        return {}

    def play(self, gan: Game, batch: batches.Batch) -> Iterator[Logs]:
        """Perform one training step: here k − 1 discriminator steps, and one step of both players.

        Args:
            gan: `kg.GAN`.
            batch: k minibatches of examples.

        Yields:
            The logs of each step.
        """
        for play in gan.plays(batch.part(0, batch.k - 1)):
            yield gan.discriminator_step(play)
        last = batch.last
        objective = functools.partial(gan.game_objective, last, gan.draw(last.rows, gan.noise))
        yield self.step(objective, gan.players)

    def step(self, objective: Objective, players: Sequence[Player]) -> Logs:
        """Update both players.

        Args:
            objective: function without arguments that returns `(losses, logs)`, one loss per player.
            players: list of `kg.models.Player`s, the discriminator and the generator.

        Returns:
            The `logs` of `objective`, evaluated before the step.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `step`.")

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Create the rule from the output of `get_config`."""
        return cls(**config)


def descend(objective: Objective, players: Sequence[Player]) -> Logs:
    """Take one gradient step for each player, all from the same point.

    Args:
        objective: function without arguments that returns `(losses, logs)`, one loss per player.
        players: list of `kg.models.Player`.

    Returns:
        The logs, including the gradient norms of players with a name for them.

    Example:

    >>> dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    >>> network = keras.Sequential([keras.Input((1,)), dense])
    >>> player = kg.models.Player([network], keras.optimizers.SGD(0.1))
    >>> logs = kg.updates.descend(lambda: ([3.0 * ops.sum(dense.kernel.value)], {}), [player])
    >>> round(float(dense.kernel[0, 0]), 6)  # 1 − 0.1 · 3
    0.7
    """
    groups = [player.variables for player in players]
    optimizers = [player.optimizer for player in players]
    grads, _, logs = backend.gradients(objective, groups, optimizers)
    norms = {
        player.norm: _norm(player.optimizer, own)
        for player, own in zip(players, grads, strict=True)
        if player.norm
    }
    for player, own in zip(players, grads, strict=True):
        player.move(own)
    return {**logs, **norms}


def _norm(optimizer, grads):
    """Return the norm of a gradient without its loss scale, or 0 if the loss scale skips the step."""
    whole = backend.unscaled_gradients(optimizer, [g for g in grads if g is not None])
    whole = [ops.cast(g, "float32") for g in whole]
    # The squares of the entries would overflow long before their norm does.
    largest = ops.max(ops.stack([ops.max(ops.abs(g)) for g in whole])) if whole else 0.0
    unit = ops.where(ops.equal(largest, 0.0), 1.0, largest)
    norm = largest * ops.sqrt(sum(ops.sum(ops.square(g / unit)) for g in whole) + 0.0)
    skips = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return ops.where(ops.isfinite(norm), norm, 0.0) if skips else norm

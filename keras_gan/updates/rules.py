"""Rules with a fixed number of discriminator steps.

v = (∇_D L_D, ∇_G L_G) is the gradient of each player's loss with respect to its own weights w.
"""

from collections.abc import Iterable, Iterator, Sequence

import keras
from keras import ops

from keras_gan import backend, second_order
from keras_gan.updates.rule import UpdateRule, descend
from keras_gan.utils import batches, networks
from keras_gan.utils.typing import Config, Game, Logs, Objective, Player
from keras_gan.utils.validation import check_flag, check_number

__all__ = ["Alternating", "Consensus", "Extragradient", "Optimistic", "Simultaneous"]

_register = keras.saving.register_keras_serializable(package="keras_gan")


def _both(players):
    return [variable for player in players for variable in player.variables]


@_register
class Alternating(UpdateRule):
    """Algorithm 1 of the paper: k steps of the discriminator, then one of the generator.

    The generator's step sees the discriminator after its k steps. Goodfellow et al., 2014,
    arXiv 1406.2661.

    Args:
        share_fakes: let the generator's step see the fakes of the discriminator's k-th step instead of
            drawing new latents, which saves a pass through the generator.

    Example:

    >>> kg.updates.get("alternating").get_config()
    {'share_fakes': False}
    """

    def __init__(self, share_fakes: bool = False) -> None:
        self.share_fakes = check_flag("share_fakes", share_fakes)

    def play(self, gan: Game, batch: batches.Batch) -> Iterator[Logs]:
        """See base class."""
        steps = batch.k - 1 if self.share_fakes else batch.k
        for play in gan.plays(batch.part(0, steps)):  # for k steps: m examples, m fakes of new latents
            # D descends its loss, e.g. −E log D(x) − E log(1 − D(G(z)))
            yield gan.discriminator_step(play)
        if self.share_fakes:
            yield gan.shared_step(batch.last)  # D's k-th step, and G's on the same fakes
        else:
            yield gan.generator_step(batch.last)  # m new latents: G descends its loss

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"share_fakes": self.share_fakes}


@_register
class Simultaneous(UpdateRule):
    """Both players step from the same point: w ← w − ηv(w).

    One pass through both networks serves both gradients, with the same fakes and dropout masks, as in
    the code of Goodfellow et al. (2014). Diverges on V(x, y) = xy.

    Example:

    >>> type(kg.updates.get("simultaneous")).__name__
    'Simultaneous'
    """

    def step(self, objective: Objective, players: Sequence[Player]) -> Logs:
        """See base class."""
        return descend(objective, players)


@_register
class Extragradient(UpdateRule):
    """Step with the gradient at a look-ahead point: w ← w − ηv(w − ηv(w)).

    Korpelevich, 1976; for GANs: Gidel, Berard, Vignoud, Vincent, Lacoste-Julien, 2018,
    arXiv 1802.10551. Both moves use the optimizers, whose moments see both gradients: with Adam this
    is their algorithm 4 (ExtraAdam), and a step counts as two iterations of each optimizer. Examples
    and latents are the same in both moves.

    Example:

    >>> kg.updates.get("extragradient").get_config()
    {}
    """

    def check_optimizers(self, optimizers: Iterable[keras.optimizers.Optimizer]) -> None:
        """Refuse optimizers that accumulate gradients: both moves would fill one accumulator.

        Raises:
            ValueError: there is one.
        """
        for optimizer in optimizers:
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            if inner.gradient_accumulation_steps:
                raise ValueError(
                    "The extragradient update calls an optimizer twice in each step, so it cannot "
                    "accumulate gradients over steps. Expected `gradient_accumulation_steps=None`. "
                    f"Received: {inner.gradient_accumulation_steps} of {type(inner).__name__}"
                )

    def step(self, objective: Objective, players: Sequence[Player]) -> Logs:
        """See base class."""
        variables = _both(players)
        here = [ops.copy(variable) for variable in variables]
        # Only the second evaluation updates the networks' own statistics.
        with networks.frozen_statistics(*[network for player in players for network in player.networks]):
            logs = descend(objective, players)
        grads, _, _ = backend.gradients(
            objective, [p.variables for p in players], [p.optimizer for p in players]
        )
        for variable, value in zip(variables, here, strict=True):
            variable.assign(value)
        for player, player_grads in zip(players, grads, strict=True):
            player.move(player_grads)
        return logs


@_register
class Optimistic(UpdateRule):
    """Take each step twice and undo the previous one: w ← w − 2ηv(w_t) + ηv(w_{t−1}).

    Daskalakis, Ilyas, Syrgkanis, Zeng, 2017, arXiv 1711.00141, equation 8. The steps are those of the
    optimizer: with Adam this is their Optimistic Adam (algorithm 1).

    Example:

    >>> kg.updates.get("optimistic").get_config()
    {}
    """

    def build(self, gan: Game) -> list[keras.Variable]:
        """See base class."""
        self._last_steps = [
            [
                keras.Variable(
                    ops.zeros(v.shape, v.dtype),
                    trainable=False,
                    dtype=v.dtype,
                    name=f"{player}_last_step_{i}",
                )
                for i, v in enumerate(networks.trainable(gan.team(player)))
            ]
            for player in gan.teams
        ]
        self._started = [
            keras.Variable(False, trainable=False, dtype="bool", name=f"{player}_started")
            for player in gan.teams
        ]
        return [*self._started, *self._last_steps[0], *self._last_steps[1]]

    def step(self, objective: Objective, players: Sequence[Player]) -> Logs:
        """See base class."""
        before = [
            (ops.copy(p.optimizer.iterations), [ops.copy(v) for v in p.variables]) for p in players
        ]
        logs = descend(objective, players)
        states = zip(players, before, self._started, self._last_steps, strict=True)
        for player, (iterations, starts), started, lasts in states:
            # A loss scale may have skipped the step.
            moved = ops.greater(player.optimizer.iterations, iterations)
            for variable, start, last in zip(player.variables, starts, lasts, strict=True):
                step = ops.subtract(variable, start)
                # There is no previous step to undo at first: v(w_{−1}) = v(w_0).
                previous = ops.where(started.value, last.value, step)
                new = ops.add(variable, ops.subtract(step, previous))
                new = variable.constraint(new) if variable.constraint else new
                variable.assign(ops.where(moved, new, variable.value))
                last.assign(ops.where(moved, step, last.value))
            started.assign(ops.logical_or(started, moved))
        return logs


@_register
class Consensus(UpdateRule):
    """Descend along v + γ∇½‖v‖², which draws both players to points where the gradients vanish.

    Mescheder, Nowozin, Geiger, 2017, arXiv 1705.10461, algorithm 2. Requires twice
    differentiable networks.

    Args:
        gamma: weight γ of ½‖v‖², positive.

    Example:

    >>> kg.updates.Consensus(gamma=0.1).gamma
    0.1
    """

    def __init__(self, gamma: float = 10.0) -> None:
        self.gamma = check_number("gamma", gamma, above=0)

    def build(self, gan: Game) -> list[keras.Variable]:
        """Check that both networks are twice differentiable.

        Raises:
            ValueError: a network is not; the message names the layers.
        """
        second_order.check("The consensus update", gan.discriminator, gan.call_on_random_samples)
        second_order.check("The consensus update", gan.generator, gan.probe_generator)
        return []

    def step(self, objective: Objective, players: Sequence[Player]) -> Logs:
        """See base class."""
        groups = [player.variables for player in players]

        def regularized():
            grads, losses, logs = backend.gradients(objective, groups)
            known = [g for group in grads for g in group if g is not None]
            squares = [ops.cast(ops.sum(ops.square(g)), "float32") for g in known]
            regularizer = 0.5 * self.gamma * sum(squares)
            return [loss + regularizer for loss in losses], logs

        return descend(regularized, players)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"gamma": self.gamma}

"""The objectives of both players: what they see of a batch, and what they minimize."""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_gan import losses, updates
from keras_gan.models.play import Play, Player, relative
from keras_gan.priors import Prior
from keras_gan.terms import Term
from keras_gan.utils import batches, inputs, networks, structures
from keras_gan.utils.batches import Batch
from keras_gan.utils.typing import Logs, Structure, Tensor

__all__ = ["Objectives"]


class Objectives:
    """The part of `GAN` that generates samples, discriminates, and adds up each player's loss.

    A variant of the game overrides one or two of these methods (seams), and nothing else:

    | seam | defines | example of an override |
    |---|---|---|
    | `teams` | which networks each player moves | an encoder that joins the generator |
    | `generate_batch` | how latents and condition become samples | several generators |
    | `present` | what the discriminator is shown, real and fake | pairs (x, E(x)) and (G(z), z) |
    | `discriminate` | how the discriminator looks at it | instance noise, packs of samples |
    | `logits` | which part of its output the losses see | K classes, whose log-sum-exp is a logit |
    | `discriminator_loss`, `generator_loss` | what each player minimizes | a loss of both logits |
    | `output_logs` | what is logged of the discriminator's outputs | the accuracy of a classifier |

    Every objective returns `(losses, logs)`: a list of one loss for each of its players, and a dict of
    scalars.

    Example:

    >>> class NoisyGAN(kg.GAN):  # instance noise: the discriminator sees blurred examples
    ...     def discriminate(self, samples, condition=None, training=False, network=None):
    ...         if training:
    ...             blur = keras.random.normal(ops.shape(samples), stddev=0.1, seed=self.noise)
    ...             samples = samples + blur
    ...         return super().discriminate(samples, condition, training, network)
    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> gan = NoisyGAN(generator, discriminator, seed=0)
    >>> tuple(gan.discriminate(ops.ones((3, 2)), training=True).shape)
    (3, 1)
    """

    # Attributes of `GAN`.
    generator: keras.Model
    discriminator: keras.Model
    prior: Prior | None
    noise: keras.random.SeedGenerator
    data_spec: batches.DataSpec
    conditional: bool
    optimizer: keras.optimizers.Optimizer
    loss: losses.Loss
    update: updates.UpdateRule
    terms: list[Term]
    term_networks: list[keras.Model]
    single_pass: bool
    draw: Callable[..., Any]
    team: Callable[[str], list[keras.Model]]

    @property
    def teams(self) -> dict[str, list[keras.Model]]:
        """The networks that each player moves: `d` the discriminator's, `g` the generator's."""
        return {"d": [self.discriminator], "g": [self.generator]}

    @property
    def needs_real(self) -> bool:
        """Whether the generator's loss depends on the discriminator's output for real examples."""
        return self.loss.needs_real

    def generate_batch(
        self, latents: Tensor | None, condition: Structure = None, training: bool = False
    ) -> Structure:
        """Return float32 samples for latents."""
        packed = inputs.pack(self.generator, latents, condition)
        return structures.float32(self.generator(packed, training=training))

    def present(
        self, x: Structure, latents: Tensor | None, condition: Structure, training: bool
    ) -> tuple[Structure, Structure]:
        """Return the real and the generated inputs of the discriminator."""
        return x, self.generate_batch(latents, condition, training)

    def discriminate(
        self,
        samples: Structure,
        condition: Structure = None,
        training: bool = False,
        network: keras.Model | None = None,
    ) -> Structure:
        """Return the float32 output of the discriminator, or of another network."""
        network = network or self.discriminator
        packed = inputs.pack(network, samples, condition)
        return structures.float32(network(packed, training=training))

    def logits(self, output: Structure) -> Structure:
        """Return the part of the discriminator's output that the losses use.

        It is the entry `logits` of a dict, whose other entries are for terms, or else the whole output.
        """
        return networks.game_logits(output)

    def discriminator_loss(self, play: Play) -> Tensor:
        """Return the discriminator's loss for its outputs, without terms."""
        return self._loss("discriminator", play)

    def generator_loss(self, play: Play) -> Tensor:
        """Return the generator's loss for the discriminator's outputs, without terms."""
        return self._loss("generator", play)

    def _loss(self, player, play):
        real = None if play.real_output is None else self.logits(play.real_output)
        fake = self.logits(play.fake_output)
        return self.loss(player, real, fake, play.weights)

    def plays(self, batch: Batch) -> list[Play]:
        """Return each minibatch with newly generated samples, as the discriminator sees it.

        All k minibatches of generated samples come from one pass of the generator's networks, which do
        not change during the k steps.
        """
        if not batch.k:
            return []
        latents = self.draw(batch.rows, self.noise)
        with networks.frozen_statistics(*self.teams["g"]):
            shown = self.present(batch.x, latents, batch.condition, training=True)
        real, fake = structures.mapped(ops.stop_gradient, shown)
        if batch.k == 1:
            return [self._play(batch, real, fake, latents, True)]
        m = batch.rows // batch.k
        plays = []
        for i in range(batch.k):
            cut = functools.partial(structures.cut, start=i * m, stop=(i + 1) * m)
            plays.append(self._play(batch.part(i, i + 1), cut(real), cut(fake), cut(latents), True))
        return plays

    def _generate_play(self, batch, latents, training):
        """Return a minibatch as the discriminator sees it, and the generator's regularization."""
        networks.forget_losses(*self.teams["g"])
        shown = self.present(batch.x, latents, batch.condition, training)
        return self._play(batch, *shown, latents, training), _regularization(self.teams["g"])

    def _play(self, batch: Batch, real: Any, fake: Any, latents: Any, training: bool) -> Play:
        weight = relative(batch.weight)
        # If no real row counts, no generated row does: the discriminator would only see one side.
        counts = None if weight is None else ops.ones_like(weight) * ops.sign(ops.max(weight))
        return Play(
            player="discriminator",
            real=real,
            fake=fake,
            latents=latents,
            condition=batch.condition,
            training=training,
            critic=functools.partial(self._critic, batch.condition, training),
            weights=losses.Weights(weight, weight if self.conditional else counts),
        )

    def _critic(self, condition, training, samples, network=None):
        output = self.discriminate(samples, condition, training, network)
        return self.logits(output) if network is None else output

    def _discriminate_play(self, play):
        """Return the play with the outputs of both halves, and the discriminator's regularization."""
        team = self.teams["d"]
        networks.forget_losses(*team)
        if self.single_pass:
            samples = structures.stacked(play.real, play.fake)
            condition = structures.stacked(play.condition, play.condition)
            outputs = self.discriminate(samples, condition, play.training)
            # Outputs may have fewer rows than inputs: packed samples share one.
            real = structures.mapped(lambda leaf: leaf[: ops.shape(leaf)[0] // 2], outputs)
            fake = structures.mapped(lambda leaf: leaf[ops.shape(leaf)[0] // 2 :], outputs)
            return play._replace(real_output=real, fake_output=fake), _regularization(team)
        real_output = self.discriminate(play.real, play.condition, play.training)
        regularization = _regularization(team)
        fake_output = self.discriminate(play.fake, play.condition, play.training)
        regularization = 0.5 * (regularization + _regularization(team))
        return play._replace(real_output=real_output, fake_output=fake_output), regularization

    def discriminator_objective(self, play: Play) -> tuple[list[Tensor], Logs]:
        """Return `([d_loss], logs)` for given generated samples."""
        play, regularization = self._discriminate_play(play)
        loss, logs = self._whole_loss("discriminator", play, regularization)
        return [loss], {**logs, **self.output_logs(play)}

    def generator_objective(
        self, batch: Batch, latents: Tensor | None, training: bool = True
    ) -> tuple[list[Tensor], Logs]:
        """Return `([g_loss], logs)`; calls the discriminator on real examples only if `needs_real`."""
        return self._generator_objective(*self._generate_play(batch, latents, training))

    def shared_objective(
        self, d: Player, batch: Batch, latents: Tensor | None
    ) -> tuple[list[Tensor], Logs]:
        """Take a step of player `d`, and return `([g_loss], logs)` for the same generated samples."""
        play, regularization = self._generate_play(batch, latents, training=True)
        real, fake = structures.mapped(ops.stop_gradient, (play.real, play.fake))
        given = play._replace(real=real, fake=fake)
        d_logs = updates.descend(functools.partial(self.discriminator_objective, given), [d])
        losses, logs = self._generator_objective(play, regularization)
        return losses, {**d_logs, **logs}

    def _generator_objective(self, play, regularization):
        with networks.frozen_statistics(*self.team("d")):
            real = None
            if self.needs_real:
                real = self.discriminate(play.real, play.condition, play.training)
            fake = self.discriminate(play.fake, play.condition, play.training)
        play = play._replace(real_output=real, fake_output=fake)
        loss, logs = self._whole_loss("generator", play, regularization)
        return [loss], logs

    def game_objective(
        self, batch: Batch, latents: Tensor | None, training: bool = True
    ) -> tuple[list[Tensor], Logs]:
        """Return `([d_loss, g_loss], logs)` from one pass through all networks."""
        play, g_regularization = self._generate_play(batch, latents, training)
        play, d_regularization = self._discriminate_play(play)
        d_loss, d_logs = self._whole_loss("discriminator", play, d_regularization)
        g_loss, g_logs = self._whole_loss("generator", play, g_regularization)
        return [d_loss, g_loss], {**d_logs, **g_logs, **self.output_logs(play)}

    def _whole_loss(self, player, play, regularization):
        """Return one player's loss with the regularization of its networks and its terms."""
        play = play._replace(player=player)
        own = self.discriminator_loss if player == "discriminator" else self.generator_loss
        loss = own(play) + regularization
        logs = {}
        for term in [term for term in self.terms if player in term.players]:
            # A term must not change the statistics of other networks. Those of its own networks are
            # updated in the step of the player that moves them.
            moved = term.networks if player == term.players[0] else ()
            with networks.frozen_statistics(*self._others(moved)):
                value = term(play, self.optimizer.iterations)
            logs[term.log_name(player)] = value
            loss = loss + term.weight * value
        return loss, {f"{player[0]}_loss": loss, **logs}

    def _others(self, moved):
        every = [*(n for team in self.teams.values() for n in team), *self.term_networks]
        return [network for network in every if not any(network is other for other in moved)]

    def output_logs(self, play: Play) -> Logs:
        """Return what is logged of the discriminator's outputs: `d_real` and `d_fake`."""
        real, fake = self.logits(play.real_output), self.logits(play.fake_output)
        d_real, d_fake = self.loss.mean_decisions(real, fake)
        return {"d_real": d_real, "d_fake": d_fake, **self.update.measure(self.loss, real, fake)}


def _regularization(team: list[keras.Model]) -> Any:
    """Return the sum of the losses that layers added in their last call."""
    losses = {id(loss): loss for network in team for loss in network.losses}
    return sum(losses.values())

"""What the two players of a GAN see of a batch, and what they minimise on it."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_gan import backend, losses, networks, updates
from keras_gan.priors import Prior
from keras_gan.terms import Term
from keras_gan.types import Logs, Player, Shape, Tensor


class Objectives:
    """The part of `GAN` that reads a batch, makes fakes, judges, and adds up each player's loss.

    Every objective returns `(losses, logs)`: a list with one loss for each player that it is for, and a
    dict of scalars. These methods are the seams that a variant of the game overrides.

    Example:

    >>> class NoisyGAN(kg.GAN):  # instance noise: the discriminator sees blurred examples
    ...     def judge(self, samples, condition=None, training=False, network=None):
    ...         if training:
    ...             blur = keras.random.normal(ops.shape(samples), stddev=0.1, seed=self.noise)
    ...             samples = samples + blur
    ...         return super().judge(samples, condition, training, network)
    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> tuple(NoisyGAN(generator, discriminator, seed=0).judge(ops.ones((3, 2)), training=True).shape)
    (3, 1)
    """

    # What `GAN` brings.
    generator: keras.Model
    discriminator: keras.Model
    prior: Prior
    noise: keras.random.SeedGenerator
    sample_shape: Shape
    condition_shape: Shape | None
    optimizer: keras.optimizers.Optimizer
    loss: losses.Loss
    terms: list[Term]
    discriminator_steps: int
    joint: bool

    @property
    def conditional(self) -> bool:
        """Whether the networks take a condition beside latents and samples."""
        return self.condition_shape is not None

    def read_batch(
        self, data: Any, minibatches: int | None = None
    ) -> tuple[list[tuple[Tensor, Tensor | None]], Tensor]:
        """Check a batch and cut it into k pairs of examples and condition (None if there is none).

        Returns:
            `(minibatches, flaw)`: the flaw is NaN if the examples hold numbers that are not finite,
            which count as 0 in the minibatches, and otherwise 0.
        """
        k = minibatches or self.discriminator_steps
        real, condition, weight = keras.utils.unpack_x_y_sample_weight(data)
        networks.check_batch(real, condition, weight, self.sample_shape, self.condition_shape)
        real = backend.check_shape(real, self.sample_shape)
        message = (
            f"A batch is cut into {k} minibatches, one for each of the `discriminator_steps`: it needs "
            f"at least {k} rows. Make the batch larger, or leave out the last one of an epoch with "
            "`drop_remainder=True`."
        )
        real, flaw = networks.cleaned(backend.check_rows(ops.cast(real, "float32"), k, message))
        if not self.conditional:
            condition = None
        elif "float" in keras.backend.standardize_dtype(condition.dtype):
            condition, other = networks.cleaned(condition)
            flaw = flaw + ops.cast(other, "float32")
        rows = ops.shape(real)[0] // k
        slices = [slice(i * rows, (i + 1) * rows) for i in range(k)]
        return [(real[s], None if condition is None else condition[s]) for s in slices], flaw

    def with_fakes(
        self, minibatches: Sequence[tuple[Tensor, Tensor | None]]
    ) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """Add m fakes to each minibatch, all from one pass of the generator, which does not move."""
        if not minibatches:
            return []
        rows = ops.shape(minibatches[0][0])[0]
        latents = self.prior.sample(rows * len(minibatches), self.noise)
        condition = None
        if self.conditional:
            condition = ops.concatenate([condition for _, condition in minibatches], axis=0)
        with networks.frozen(self.generator):
            fakes = ops.stop_gradient(self.make(latents, condition, training=True))
        return [
            (real, fakes[i * rows : (i + 1) * rows], condition)
            for i, (real, condition) in enumerate(minibatches)
        ]

    def make(self, latents: Tensor, condition: Tensor | None = None, training: bool = False) -> Tensor:
        """Turn latents into float32 samples."""
        inputs = latents if condition is None else [latents, condition]
        return ops.cast(self.generator(inputs, training=training), "float32")

    def judge(
        self,
        samples: Tensor,
        condition: Tensor | None = None,
        training: bool = False,
        network: keras.Model | None = None,
    ) -> Tensor:
        """Turn samples into float32 logits, or into what another network makes of the same inputs."""
        inputs = samples if condition is None else [samples, condition]
        return ops.cast((network or self.discriminator)(inputs, training=training), "float32")

    def judge_both(
        self, real: Tensor, fake: Tensor, condition: Tensor | None, training: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits of real and of fake examples, and the discriminator's regularization."""
        if self.joint:
            samples = ops.concatenate([real, fake], axis=0)
            if condition is not None:
                condition = ops.concatenate([condition, condition], axis=0)
            logits = self.judge(samples, condition, training)
            rows = ops.shape(real)[0]
            return logits[:rows], logits[rows:], sum(self.discriminator.losses)
        logits, regularization = [], []
        for samples in (real, fake):
            logits.append(self.judge(samples, condition, training))
            regularization.append(sum(self.discriminator.losses))
        return *logits, 0.5 * sum(regularization)

    def discriminator_objective(
        self, real: Tensor, fake: Tensor, condition: Tensor | None, training: bool = True
    ) -> tuple[list[Tensor], Logs]:
        """Return `([d_loss], logs)` on given fakes."""
        *logits, regularization = self.judge_both(real, fake, condition, training)
        batch = (real, fake, condition, training)
        loss, logs = self._whole_loss("discriminator", logits, regularization, batch)
        return [loss], {**logs, **self._decisions(logits)}

    def generator_objective(
        self, real: Tensor, latents: Tensor, condition: Tensor | None, training: bool = True
    ) -> tuple[list[Tensor], Logs]:
        """Return `([g_loss], logs)`; real examples are judged only if the loss asks for them."""
        fake = self.make(latents, condition, training)
        return self._generator_loss(real, fake, sum(self.generator.losses), condition, training)

    def shared_objective(
        self, d: Player, real: Tensor, latents: Tensor, condition: Tensor | None
    ) -> tuple[list[Tensor], Logs]:
        """Return `([g_loss], logs)` on fakes that player `d` has taken a step on, from the same pass."""
        fake = self.make(latents, condition, training=True)
        regularization = sum(self.generator.losses)
        given = ops.stop_gradient(fake)
        objective = functools.partial(self.discriminator_objective, real, given, condition)
        d_logs = updates.descend(objective, [d])
        losses, logs = self._generator_loss(real, fake, regularization, condition, training=True)
        return losses, {**d_logs, **logs}

    def _generator_loss(self, real, fake, regularization, condition, training):
        with networks.frozen(self.discriminator):
            real_logits = self.judge(real, condition, training) if self.loss.needs_real else None
            logits = (real_logits, self.judge(fake, condition, training))
        batch = (real, fake, condition, training)
        loss, logs = self._whole_loss("generator", logits, regularization, batch)
        return [loss], logs

    def game_objective(
        self, real: Tensor, latents: Tensor, condition: Tensor | None, training: bool = True
    ) -> tuple[list[Tensor], Logs]:
        """Return `([d_loss, g_loss], logs)` from one pass through both networks."""
        fake = self.make(latents, condition, training)
        g_regularization = sum(self.generator.losses)
        *logits, d_regularization = self.judge_both(real, fake, condition, training)
        batch = (real, fake, condition, training)
        d_loss, d_logs = self._whole_loss("discriminator", logits, d_regularization, batch)
        g_loss, g_logs = self._whole_loss("generator", logits, g_regularization, batch)
        return [d_loss, g_loss], {**d_logs, **g_logs, **self._decisions(logits)}

    def _whole_loss(self, player, logits, regularization, batch):
        """Return one player's loss of the game, with its network's regularization and its terms."""
        real, fake, condition, training = batch
        loss = getattr(self.loss, player)(*logits) + regularization
        critic = functools.partial(self.judge, condition=condition, training=training)
        logs = {}
        for term in [term for term in self.terms if term.player == player]:
            # A term looks at the discriminator, and does not count as one of its batches.
            with networks.frozen(self.discriminator):
                if training:
                    logs[term.name] = term(critic, real, fake, self.optimizer.iterations)
                else:
                    logs[term.name] = term.call(critic, real, fake)
            loss = loss + term.weight * logs[term.name]
        return loss, {f"{player[0]}_loss": loss, **logs}

    def _decisions(self, logits):
        d_real, d_fake = self.loss.decisions(*logits)
        return {"d_real": ops.mean(d_real), "d_fake": ops.mean(d_fake)}

"""The game of a generator and a discriminator."""

import copy
import functools
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan import backend, losses, priors, updates
from keras_gan.models.ema import check_decay
from keras_gan.models.game import Game
from keras_gan.models.objectives import Objectives
from keras_gan.models.optimizers import check_optimizer
from keras_gan.models.play import Play
from keras_gan.terms import Term
from keras_gan.terms import get as get_term
from keras_gan.utils import batches, inputs, networks, registry, structures
from keras_gan.utils.batches import Batch
from keras_gan.utils.typing import Logs, Structure
from keras_gan.utils.validation import check_flag, check_integer

__all__ = ["GAN"]

_LOGS = ("d_loss", "g_loss", "d_real", "d_fake")


@keras.saving.register_keras_serializable(package="keras_gan")
class GAN(Objectives, Game):
    """Generative adversarial nets of any Keras networks.

    The generator turns latents into samples; the discriminator distinguishes samples from data. Both
    are trained against each other by Algorithm 1 of Goodfellow et al., 2014, arXiv 1406.2661.

    A GAN is conditional if its networks take further inputs: `[latents, condition]` and
    `[samples, condition]`. It trains on `(x, condition)`, where the condition of a row is a label, an
    image, a vector, or a tuple of several (`[latents, label, vector]`). With named inputs (dicts), the
    condition consists of the names that both networks share, and data are dicts. An unconditional GAN
    ignores labels in its data.

    Args:
        generator: `keras.Model` from latents `(batch, ...)` to samples `(batch, ...)`, a tensor or a
            structure of tensors.
        discriminator: `keras.Model` from samples to logits (no sigmoid) of any shape `(batch, ...)`, a
            tensor or a structure of tensors; or to a dict of `logits` and further outputs for terms,
            such as class logits. With a dict, it need not take the condition.
        prior: distribution of the latents: a name (`"uniform"` is U(−√3, √3), `"normal"`,
            `"spherical"`), a `kg.priors.Prior`, or a distribution of TensorFlow Probability. None for a
            generator without latents, whose inputs are all conditions.
        seed: integer from 0 to 2⁶³ − 1 that makes the noise of training reproducible; random by default.
        name: as in `keras.Model`.
        **own: arguments of a subclass, such as further networks. Each becomes an attribute of the same
            name and is saved in the GAN's files.

    Raises:
        TypeError: a network is not a `keras.Model`, or an argument is unknown.
        ValueError: the networks do not fit together, or the discriminator ends in probabilities.

    Example:

    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
    >>> gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    >>> history = gan.fit(np.zeros((64, 2), "float32"), batch_size=32, epochs=1, verbose=0)
    >>> sorted(history.history)
    ['d_fake', 'd_loss', 'd_real', 'g_loss']
    >>> gan.generate(5, seed=1).shape
    (5, 2)
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        prior: str | priors.Prior | Any | None = "uniform",
        seed: int | None = None,
        name: str | None = None,
        **own: Any,
    ) -> None:
        networks.check_models(generator=generator, discriminator=discriminator)
        if generator is discriminator:
            raise ValueError(
                "The generator and the discriminator must be two networks. Received one twice."
            )
        drawn = None if prior is None else priors.get(prior)
        latents, condition = inputs.split(
            generator, discriminator, drawn.shape if drawn else None, drawn is not None
        )
        if drawn is not None:
            drawn = networks.prior_with_shape(drawn, generator, latents)
            latents = keras.KerasTensor((None, *drawn.shape), getattr(latents, "dtype", "float32"))
        super().__init__(drawn, seed, name, **own)
        self.generator = generator
        self.discriminator = discriminator
        backend.track_dropout_seeds(self)
        self.latent_spec = latents
        if list(self.teams) != ["d", "g"]:
            raise ValueError(
                "`teams` must be a dict of each player's networks with the keys 'd' (discriminator) and "
                f"'g' (generator), in this order. Received the keys: {list(self.teams)}"
            )
        self._connect(condition)

    def _connect(self, condition):
        """Build unbuilt networks, and check that they fit together."""
        samples = networks.output_spec(
            f"The generator {self.generator.name!r}", self.generate_batch, self.latent_spec, condition
        )
        self.data_spec = batches.DataSpec(samples, condition)
        real, fake = networks.output_spec(
            "The game's networks",
            functools.partial(self.present, training=False),
            samples,
            self.latent_spec,
            condition,
        )
        _check_same_shapes(real, fake)
        self.shown_spec = fake
        takers = [(self.generator, self.latent_spec)]
        if (
            type(self).discriminate is Objectives.discriminate
        ):  # an override may call networks on anything
            output = networks.outputs(self.discriminator)
            if output is None:
                output = networks.output_spec("The discriminator", self.discriminate, fake, condition)
            networks.check_inputs(self.discriminator, self.generator, fake, condition, output)
            takers.append((self.discriminator, fake))
        networks.output_spec(
            f"The discriminator {self.discriminator.name!r}", self.discriminate, fake, condition
        )
        networks.check_weights([network for team in self.teams.values() for network in team])
        networks.check_disjoint_players(self.teams)
        networks.check_disjoint_networks(self.teams, [])
        self._check_teams()
        networks.check_logits(self.discriminator)
        names = inputs.names(condition)
        self.data_spec = batches.DataSpec(
            samples,
            condition,
            x_names=_names_of_examples(samples, self.discriminator, names),
            condition_names=names,
            classes=inputs.numbers_of_classes(takers, condition),
        )
        if networks.last_layer(self.discriminator) is None:
            large = self.call_on_random_samples(
                lambda critic, samples: critic(structures.mapped(_large, samples))
            )
            networks.warn_of_probabilities(self.discriminator, large)

    def _check_teams(self):
        """Refuse a trainable network among the constructor's arguments that no player trains."""
        moved = {id(v) for team in self.teams.values() for network in team for v in network.weights}
        for name in self._own:
            own = getattr(self, name)
            variables = own.trainable_variables if isinstance(own, keras.Model) else []
            if any(id(variable) not in moved for variable in variables):
                raise ValueError(
                    f"No player moves the network {name!r}. Add it to `teams`, or set "
                    f"`{name}.trainable = False` if it is not to be trained."
                )

    @property
    def d_optimizer(self) -> keras.optimizers.Optimizer:
        """The discriminator's optimizer; its `iterations` count the discriminator's steps."""
        return self.optimizer.d

    @property
    def g_optimizer(self) -> keras.optimizers.Optimizer:
        """The generator's optimizer; its `iterations` count the generator's steps."""
        return self.optimizer.g

    def compile(
        self,
        d_optimizer: str | keras.optimizers.Optimizer,
        g_optimizer: str | keras.optimizers.Optimizer,
        *,
        loss: str | losses.Loss = "non_saturating",
        terms: str | Term | Iterable[str | Term] = (),
        update: str | updates.UpdateRule = "alternating",
        discriminator_steps: int = 1,
        single_pass: bool = False,
        ema_decay: float | None = None,
        gradient_norms: bool = False,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        **unexpected: Any,
    ) -> None:
        """Configure the GAN for training.

        Args:
            d_optimizer: the discriminator's `keras.optimizers.Optimizer`, or its name.
            g_optimizer: the generator's.
            loss: loss of both players: a name (see `kg.losses.LOSSES`) or a `kg.losses.Loss`.
            terms: penalties and other additions to the losses: a name or a `kg.terms.Term`, or a list.
            update: update rule: a name (see `kg.updates.UPDATES`) or a `kg.updates.UpdateRule`.
            discriminator_steps: k, the number of discriminator steps for each generator step. A batch
                of k·m rows is split into k minibatches of m rows; a remainder is dropped.
            single_pass: pass real and fake examples through the discriminator at once instead of in two
                passes. It is faster, and mixes their batch-norm statistics.
            ema_decay: number in (0, 1) to keep an exponential moving average (EMA) of the weights of the
                generator's player, for `generate(use_ema=True)`. 0.999 averages over about the last
                1,000 steps (see `kg.models.WeightEMA`). By default there is none.
            gradient_norms: whether to log the Euclidean norm of each player's gradient, before its
                optimizer clips or scales it, as `d_gradient_norm` and `g_gradient_norm`. A step that a
                loss scale skips counts as 0. With the consensus update it includes the regularizer;
                with the extragradient update it is that of the look-ahead.
            run_eagerly: as in `keras.Model.compile`.
            steps_per_execution: as in `keras.Model.compile`.
            jit_compile: as in `keras.Model.compile`. On a CPU under TensorFlow, `"auto"` compiles only
                the optimizer updates of players with 100,000 weights or more with XLA. False disables
                XLA.
            **unexpected: refused with a list of the valid arguments.

        Raises:
            TypeError: an argument is unknown, such as `optimizer`, or has another type.
            ValueError: a name is unknown (the nearest is suggested), a number is out of range, an
                optimizer is given twice, or a term does not suit the networks.
        """
        if unexpected:
            *known, _ = inspect.signature(GAN.compile).parameters
            raise TypeError(
                f"`compile` has no argument `{next(iter(unexpected))}`. A GAN has an optimizer for each "
                f"player, `d_optimizer` and `g_optimizer`. Expected: {', '.join(known[1:])}"
            )
        self.loss = losses.get(loss)
        # Copies, since rules and terms keep state for these networks: the user's can serve others.
        self.update = copy.copy(updates.get(update))
        self.terms = [copy.copy(term) for term in registry.get_all("terms", terms, Term, get_term)]
        self.discriminator_steps = networks.check_steps(discriminator_steps)
        self.single_pass = check_flag("single_pass", single_pass)
        self.ema_decay = None if ema_decay is None else check_decay("ema_decay", ema_decay)
        self.gradient_norms = check_flag("gradient_norms", gradient_norms)
        automatic = isinstance(jit_compile, str) and jit_compile == "auto"
        self.requested_jit_compile = (
            "auto" if automatic else check_flag("jit_compile", jit_compile, hint='Or pass "auto".')
        )
        check_optimizer("d_optimizer", d_optimizer)
        check_optimizer("g_optimizer", g_optimizer)
        self.prepare(
            {"d": d_optimizer, "g": g_optimizer},
            _LOGS,
            run_eagerly=check_flag("run_eagerly", run_eagerly),
            steps_per_execution=check_integer(
                "steps_per_execution", steps_per_execution, minimum=1, maximum=2**31 - 1
            ),
            jit_compile=self.requested_jit_compile,
        )

    @backend.trainer_step
    def train_step(self, data: Any) -> Logs:
        """Run one iteration of Algorithm 1: k discriminator steps, then a generator step."""
        # k minibatches of m examples; the flag is NaN if one of their numbers is not finite.
        batch, nan_flag = self.training_spec.read(data, self.discriminator_steps)
        values = [nan_flag]  # not finite if anything in this step is not
        every = [network for player in self.teams for network in self.team(player)]
        with networks.rollback_if_nonfinite(values, *every):
            self._report(nan_flag)
            for term in self.terms:
                term.update_state()
            for logs in self.update.play(self, batch):
                values += self._log(logs, batch.rows // batch.k)
        self.optimizer.iterations.assign_add(1)
        if self.ema:
            self.ema.update(self.optimizer.iterations)
        return self.get_metrics_result()

    def discriminator_step(self, play: Play) -> Logs:
        """Update the discriminator on a minibatch of m examples and m generated samples."""
        d, _ = self.players
        return updates.descend(functools.partial(self.discriminator_objective, play), [d])

    def generator_step(self, batch: Batch) -> Logs:
        """Update the generator on a minibatch of m new latents."""
        _, g = self.players
        latents = self.draw(batch.rows, self.noise)
        return updates.descend(functools.partial(self.generator_objective, batch, latents), [g])

    def shared_step(self, batch: Batch) -> Logs:
        """Update the discriminator, then the generator on the same generated samples."""
        d, g = self.players
        latents = self.draw(batch.rows, self.noise)
        return updates.descend(functools.partial(self.shared_objective, d, batch, latents), [g])

    @backend.trainer_step
    def test_step(self, data: Any) -> Logs:
        """Return both losses on validation data, with new latents, without dropout or updates."""
        batch, nan_flag = self.training_spec.read(data, 1)
        self._report(nan_flag)
        latents = self.draw(batch.rows, self.validation_noise)
        # Penalties draw their points from the noise of training.
        with networks.restored([self.noise.state]):
            _, logs = self.game_objective(batch, latents, training=False)
        self._log(logs, batch.rows)
        # There are no steps during validation, so there are no gradient norms and numbers of steps.
        return {name: mean for name, mean in self.get_metrics_result().items() if name in logs}

    def call_on_random_samples(self, function: Any) -> Any:
        """Return `function(critic, samples)` for two random samples; leaves the networks unchanged."""
        rng = np.random.default_rng(0)
        samples = structures.mapped(lambda spec: _two(spec, rng.uniform), self.shown_spec)
        with networks.frozen_statistics(*self.teams["d"]):
            return function(functools.partial(self._critic, self._zero_condition(), False), samples)

    def probe_generator(self, function: Any) -> Any:
        """Return `function(generate, latents)` for two random latents; leaves the networks unchanged."""
        with networks.frozen_statistics(*self.teams["g"]):
            if self.prior is None:
                return function(functools.partial(self.generate_batch, None), self._zero_condition())
            generate = functools.partial(self.generate_batch, condition=self._zero_condition())
            return function(generate, self.draw(2, 0))

    def _zero_condition(self):
        return structures.mapped(
            lambda spec: ops.zeros([2, *(size or 8 for size in spec.shape[1:])]), self.condition_spec
        )


def _check_same_shapes(real, fake):
    """Check that `present` returns real and generated examples of the same structure and shapes."""
    shapes = [[tuple(leaf.shape) for leaf in structures.leaves(shown)] for shown in (real, fake)]
    agree = len(shapes[0]) == len(shapes[1]) and all(
        inputs.compatible(*pair) for pair in zip(*shapes, strict=True)
    )
    if not agree:
        raise ValueError(
            "The discriminator must be shown real and generated examples of the same structure and "
            f"shapes. Received from `present`: {structures.shapes(real)} and {structures.shapes(fake)}."
        )


def _large(samples):
    return 100.0 * (2.0 * samples - 1.0)


def _two(spec, draw):
    # Axes of unknown length, as in sequences, get 8 entries.
    return ops.convert_to_tensor(draw(size=[2, *(size or 8 for size in spec.shape[1:])]), "float32")


def _names_of_examples(
    samples: Structure, discriminator: keras.Model, condition_names: Sequence[str]
) -> list[str | None]:
    """Return the names of the examples in a dict: keys of the samples, or the name of the input."""
    parts = inputs.parts(samples)
    if any(part.name for part in parts) or len(parts) > 1:
        return [part.name for part in parts]
    takes = inputs.specs(discriminator)
    if isinstance(takes, Mapping):
        others = [spec for key, spec in takes.items() if key not in condition_names]
        takes = others[0] if len(others) == 1 else None
    elif isinstance(takes, (list, tuple)):
        takes = takes[0]
    return [getattr(takes, "name", None)]

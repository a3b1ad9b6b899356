"""The game of two networks."""

import contextlib
import copy
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_gan import backend, losses, networks, priors, updates
from keras_gan.models.average import Average
from keras_gan.models.objectives import Objectives
from keras_gan.models.pair_optimizer import PairOptimizer
from keras_gan.models.saving import Saving
from keras_gan.models.supervisor import supervised
from keras_gan.terms import Term
from keras_gan.terms import get as get_term
from keras_gan.types import INTEGER, Array, Critic, Logs, Tensor

_LOGS = ("d_loss", "g_loss", "d_real", "d_fake")
_NORMS = ("d_gradient_norm", "g_gradient_norm")


class Player(NamedTuple):
    """A network and the optimizer that moves it.

    Args:
        network: `keras.Model`.
        optimizer: `keras.optimizers.Optimizer`.
        norm: the name that the norm of its gradient is logged by; None logs none.
        fuse: whether XLA may compile the optimizer's update alone, where it does not compile the step.

    Example:

    >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> len(kg.models.Player(network, keras.optimizers.SGD()).variables)
    2
    """

    network: keras.Model
    optimizer: keras.optimizers.Optimizer
    norm: str | None = None
    fuse: bool = False

    @property
    def variables(self) -> list[keras.Variable]:
        """The weights that the player owns."""
        return self.network.trainable_variables

    def move(self, grads: Sequence[Tensor]) -> None:
        """Take a step of the optimizer."""
        backend.apply(self.optimizer, grads, self.variables, self.fuse)


@keras.saving.register_keras_serializable(package="keras_gan")
class GAN(Objectives, Saving, keras.Model):
    """Generative adversarial nets of any two Keras networks.

    The generator turns latents into samples; the discriminator tells samples from data. Each learns
    from the other, as Algorithm 1 of Goodfellow et al., 2014, arXiv 1406.2661 says.

    A GAN is conditional if its networks take two inputs, `[latents, condition]` and
    `[samples, condition]`: it trains on `(x, condition)`, with a label, an image or a vector for each
    row as condition. Labels in the data of an unconditional GAN are ignored.

    Args:
        generator: `keras.Model` from latents `(batch, ...)` to samples `(batch, ...)`.
        discriminator: `keras.Model` from samples to logits (no sigmoid) of any shape `(batch, ...)`.
        prior: where latents come from: a name (`"uniform"` is U(−√3, √3), `"normal"`, `"spherical"`),
            a `kg.priors.Prior`, or a distribution of TensorFlow Probability.
        seed: integer that makes the noise of training reproducible; random by default.
        **kwargs: `name`, as in `keras.Model`.

    Raises:
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
        prior: str | priors.Prior | Any = "uniform",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        fit = networks.fit_together(generator, discriminator, priors.get(prior))
        self.prior, self.sample_shape, self.condition_shape = fit
        networks.check_logits(discriminator)
        self.generator, self.discriminator = generator, discriminator
        backend.claim_seeds(self)
        self.seed = networks.check_seed(seed)
        self.noise = keras.random.SeedGenerator(self.child_seed(0))
        self.validation_noise = keras.random.SeedGenerator(self.child_seed(1))
        self._trackers: dict[str, keras.metrics.Metric] = {}
        # What terms, update rule and average keep between steps, as weights of the GAN: on JAX nothing
        # else gets into the compiled step and out of it.
        self.training_state: list[keras.Variable] = []
        self.average: Average | None = None
        self.built = True
        if networks.last_layer(discriminator) is None:
            large = self.probe(lambda critic, samples: critic(100.0 * (2.0 * samples - 1.0)))
            networks.warn_of_probabilities(discriminator, large)

    @property
    def d_optimizer(self) -> keras.optimizers.Optimizer:
        """The discriminator's optimizer; its `iterations` count the discriminator's steps."""
        return self.optimizer.d

    @property
    def g_optimizer(self) -> keras.optimizers.Optimizer:
        """The generator's optimizer; its `iterations` count the generator's steps."""
        return self.optimizer.g

    @property
    def players(self) -> list[Player]:
        """The two players, discriminator first."""
        d_norm, g_norm = _NORMS if self.gradient_norms else (None, None)
        fuse = self.asked_jit_compile is not False
        return [
            Player(self.discriminator, self.d_optimizer, d_norm, fuse),
            Player(self.generator, self.g_optimizer, g_norm, fuse),
        ]

    @property
    def seeds(self) -> list[keras.Variable]:
        """The states of noise and dropout, which Keras does not count as weights."""
        weights = {id(variable) for variable in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The epoch means that are logged."""
        return list(self._trackers.values())

    def compile(
        self,
        d_optimizer: str | keras.optimizers.Optimizer,
        g_optimizer: str | keras.optimizers.Optimizer,
        loss: str | losses.Loss = "non_saturating",
        terms: str | Term | Iterable[str | Term] = (),
        update: str | updates.UpdateRule = "alternating",
        discriminator_steps: int = 1,
        joint: bool = False,
        share_fakes: bool = False,
        average_decay: float | None = None,
        gradient_norms: bool = False,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
    ) -> None:
        """Say how the players learn.

        Args:
            d_optimizer: the discriminator's `keras.optimizers.Optimizer`, or its name.
            g_optimizer: the generator's.
            loss: what each player minimises: a name (see `kg.losses.LOSSES`) or a `kg.losses.Loss`.
            terms: what adds to one player's loss: list of names or `kg.terms.Term`s, or one of them.
            update: how gradients become steps: a name (see `kg.updates.UPDATES`) or a rule.
            discriminator_steps: k, the discriminator's steps for each step of the generator. A batch
                of k·m rows is cut into k minibatches of m; a remainder is left out.
            joint: judge real and fake examples in one pass of the discriminator instead of two. It is
                faster, and mixes their batch-norm statistics.
            share_fakes: let the generator's step see the fakes of the discriminator's last step instead
                of new ones, which saves a pass of the generator. Updates that do not alternate share
                them anyway.
            average_decay: number in (0, 1) that keeps an exponential moving average of the
                generator's weights beside it, which `generate(averaged=True)` uses: .999 averages over
                about the last 1,000 steps (see `kg.models.Average`). None keeps none.
            gradient_norms: whether to log the Euclidean norm of each player's gradient, before its
                optimizer clips or scales it, as `d_gradient_norm` and `g_gradient_norm`. A step that a
                loss scale skips counts as 0. Of the consensus update it is the gradient of the loss
                with the regularizer, of the extragradient update that of the first look.
            run_eagerly: as in `keras.Model.compile`.
            steps_per_execution: as in `keras.Model.compile`.
            jit_compile: as in `keras.Model.compile`. On a CPU under TensorFlow, "auto" has XLA compile
                the optimizers' updates of networks with 100,000 weights or more, and nothing else; False
                leaves XLA out.

        Raises:
            ValueError: a name is unknown (the nearest is suggested), a number is out of range, an
                optimizer is given twice, or a term does not suit the networks.
        """
        terms = [terms] if isinstance(terms, (str, Term)) else terms
        # Rules and terms keep state for these two networks: a copy leaves the user's free for others.
        self.loss, self.update = losses.get(loss), copy.copy(updates.get(update))
        self.terms = [copy.copy(get_term(term)) for term in terms]
        self.discriminator_steps = networks.check_steps(discriminator_steps)
        self.joint, self.share_fakes = bool(joint), bool(share_fakes)
        self.average_decay = average_decay
        self.gradient_norms = bool(gradient_norms)
        self.asked_jit_compile = jit_compile
        self.average = None if average_decay is None else Average(self.generator, average_decay)
        norms = _NORMS if self.gradient_norms else ()
        names = [*_LOGS, *norms, *(term.name for term in self.terms)]
        if len(set(names)) < len(names):
            raise ValueError(f"Terms need different names. Received, with the losses': {names}")
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}
        super().compile(
            optimizer=self._pair(d_optimizer, g_optimizer),
            # Keras would scale the loss of the pair as one.
            auto_scale_loss=False,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )

    def _pair(self, d_optimizer, g_optimizer):
        d, g = keras.optimizers.get(d_optimizer), keras.optimizers.get(g_optimizer)
        if d is g:
            raise ValueError(
                "Each player needs an optimizer of its own, since an optimizer keeps state for the "
                f"weights that it moves. Received the same {type(d).__name__} twice."
            )
        d, g = _scaled(d, self.discriminator), _scaled(g, self.generator)
        owned = [self.discriminator.trainable_variables, self.generator.trainable_variables]
        self.training_state.clear()
        for part in (self.update, *self.terms):
            self.training_state.extend(part.build(self))
        self.training_state.extend(self.average.variables if self.average else [])
        pair = PairOptimizer(d, g)
        pair.build(owned)
        return pair

    def make_train_function(self, force: bool = False) -> Callable[..., Any] | None:
        """See base class; refuses networks that several replicas would spoil."""
        backend.check_replicas(self)
        return super().make_train_function(force)

    @backend.step
    def train_step(self, data: Any) -> Logs:
        """Algorithm 1: k steps of the discriminator, then one of the generator."""
        d, g = self.players
        minibatches, flaw = self.read_batch(data)  # k of m examples each
        for term in self.terms:
            term.observe()
        values = [flaw]  # not finite if something went wrong in this step
        with networks.undone_unless_finite(values, self.discriminator, self.generator):
            self._report(flaw)
            fresh = self.update.alternates and not self.share_fakes
            for real, fake, condition in self.with_fakes(minibatches if fresh else minibatches[:-1]):
                objective: Callable[..., Any] = functools.partial(
                    self.discriminator_objective, real, fake, condition
                )
                values += self._log(updates.descend(objective, [d]), real)
            real, condition = minibatches[-1]
            latents = self.prior.sample(ops.shape(real)[0], self.noise)
            if not self.update.alternates:
                objective, movers = self.game_objective, [d, g]
            elif self.share_fakes:
                objective, movers = functools.partial(self.shared_objective, d), [g]
            else:
                objective, movers = self.generator_objective, [g]
            objective = functools.partial(objective, real, latents, condition)
            values += self._log(self.update.step(objective, movers), real)
        self.optimizer.iterations.assign_add(1)
        if self.average:
            self.average.update(self.optimizer.iterations)
        return self.get_metrics_result()

    @backend.step
    def test_step(self, data: Any) -> Logs:
        """Both losses on validation data, with fresh latents, dropout off, and nothing updated."""
        ((real, condition),), flaw = self.read_batch(data, minibatches=1)
        self._report(flaw)
        latents = self.prior.sample(ops.shape(real)[0], self.validation_noise)
        # Penalties draw their points from the noise of training.
        with networks.unchanged([self.noise.state]):
            _, logs = self.game_objective(real, latents, condition, training=False)
        self._log(logs, real)
        # Nobody takes a step, along no gradient.
        return {name: v for name, v in self.get_metrics_result().items() if name not in _NORMS}

    def _log(self, logs, real):
        """Add to the epoch's means, and return the values."""
        rows = ops.shape(real)[0]
        for name, value in logs.items():
            self._trackers[name].update_state(value, sample_weight=rows)
        return list(logs.values())

    def _report(self, flaw):
        # NaN makes the means NaN even with weight 0, and 0 leaves them alone.
        for name in ("d_loss", "g_loss"):
            self._trackers[name].update_state(flaw, sample_weight=0.0)

    def call(self, inputs: Tensor | list[Tensor], training: bool = False) -> Tensor:
        """Turn latents (or `[latents, condition]`) into samples."""
        return self.generator(inputs, training=training)

    def generate(
        self,
        n: int | None = None,
        seed: int | None = None,
        condition: Array | None = None,
        batch_size: int = 500,
        averaged: bool = False,
        latents: Array | None = None,
    ) -> np.ndarray:
        """Draw samples from the generator, as after training: no dropout, moving statistics.

        Args:
            n: how many, at least 1.
            seed: integer; the same seed gives the same latents, and the first rows of a larger draw.
                By default a new one each time, from Keras' global generator, so that the noise of
                training stays as it was.
            condition: for a conditional GAN, one condition for each sample, or one for all.
            batch_size: how many samples to make at a time, which bounds the memory.
            averaged: whether the average of the generator's weights makes the samples, which
                `compile(average_decay=...)` keeps.
            latents: array `(n, ...)` of what to make samples of, in the place of `n` and `seed`.

        Returns:
            Float32 NumPy array of shape `(n, ...)`.

        Raises:
            ValueError: `n` or `batch_size` is not positive; both `n` and `latents`, or neither; latents
                with a seed, not finite or of another shape; the condition is missing, not wanted, or of
                another shape; `averaged` without an average.
        """
        if (n is None) == (latents is None):
            raise ValueError(
                "Samples are drawn by their number `n`, or made of given `latents`: expected one of the "
                f"two. Received: n={n!r} and {'no' if latents is None else 'some'} latents."
            )
        if latents is not None:
            if seed is not None:
                raise ValueError(
                    f"Given latents are not drawn: leave `seed` out. Received: seed={seed!r}"
                )
            points = networks.as_latents(latents, self.generator)
            n = points.shape[0]
        n, batch_size = _positive("n", n), _positive("batch_size", batch_size)
        conditions = networks.as_conditions(condition, n, self.condition_shape)
        if latents is None:
            seed = keras.random.randint((), 0, 2**31 - 1) if seed is None else networks.check_seed(seed)
            points = self.prior.sample(n, int(seed))
        batches = [slice(start, start + batch_size) for start in range(0, n, batch_size)]
        with self.kept_average().applied() if averaged else contextlib.nullcontext():
            samples = [
                ops.convert_to_numpy(self.make(points[b], None if conditions is None else conditions[b]))
                for b in batches
            ]
        return np.concatenate(samples)

    def kept_average(self) -> Average:
        """Return the average of the generator's weights, or say how to keep one.

        Raises:
            ValueError: the GAN was compiled without `average_decay`, or not at all.
        """
        if self.average is None:
            raise ValueError(
                "`averaged=True`, but this GAN keeps no average of its generator's weights. Ask for one "
                "before training: `gan.compile(..., average_decay=0.999)`."
            )
        return self.average

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: keras.callbacks.Callback | Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does, on `x`, `(x, condition)` or a dataset of them.

        A dataset of `kg.datasets.load` is told each epoch's number, so that its order depends on the
        seed and the epoch alone, and `keras.callbacks.TerminateOnNaN` sees both players' losses. With
        `kg.callbacks.Resume`, which comes before the other callbacks wherever it stands, a run that was
        killed goes on where it stopped.
        """
        if hasattr(x, "element_spec"):
            # A `tf.data.Dataset` has its own order, and Keras would warn that it cannot shuffle it.
            kwargs.setdefault("shuffle", False)
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = supervised(callbacks, x, shuffle=kwargs.get("shuffle", True))
        with backend.state_kept(self):
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def child_seed(self, number: int) -> int:
        """Return an integer seed of its own for part `number` of this GAN's randomness."""
        return backend.seed_integer(
            int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        )

    def probe(self, function: Callable[[Critic, Tensor], Any]) -> Any:
        """Return `function(critic, samples)` for two random samples, with nothing left behind."""
        # An axis of free length, as in sequences, is tried with 8 entries.
        shape = [2, *(size or 8 for size in self.sample_shape)]
        samples = ops.convert_to_tensor(np.random.default_rng(0).uniform(size=shape), "float32")
        condition = self._zero_condition()
        with networks.frozen(self.discriminator):
            return function(functools.partial(self.judge, condition=condition), samples)

    def probe_generator(self, function: Callable[[Critic, Tensor], Any]) -> Any:
        """Return `function(make, latents)` for two random latents, with nothing left behind."""
        make = functools.partial(self.make, condition=self._zero_condition())
        with networks.frozen(self.generator):
            return function(make, self.prior.sample(2, 0))

    def _zero_condition(self):
        if not self.conditional:
            return None
        return ops.zeros([2, *(size or 8 for size in self.condition_shape)])


def _positive(name: str, number: Any) -> int:
    if not isinstance(number, INTEGER) or isinstance(number, bool) or number < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {number!r}")
    return int(number)


def _scaled(optimizer, network):
    """Give the optimizer of a float16 network a loss scale of its own."""
    scaler = keras.optimizers.LossScaleOptimizer
    wanted = network.dtype_policy.name == "mixed_float16" and not isinstance(optimizer, scaler)
    return scaler(optimizer) if wanted else optimizer

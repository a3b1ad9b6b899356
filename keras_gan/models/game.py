"""A game: players, each with networks and an optimizer, and all that training needs around them."""

import contextlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan import backend
from keras_gan.models.ema import WeightEMA
from keras_gan.models.exporting import Exporting
from keras_gan.models.feeding import Feeding
from keras_gan.models.optimizers import Optimizers
from keras_gan.models.play import Player
from keras_gan.models.presets import Presets
from keras_gan.models.saving import SETTINGS, Saving
from keras_gan.terms import Term
from keras_gan.utils import batches, networks, structures
from keras_gan.utils.typing import INTEGER, Array, Structure, Tensor

_NORM = "{}_gradient_norm"
# What a GAN keeps under these names.
_ATTRIBUTES = (
    "generator", "discriminator", "prior", "seed", "noise", "validation_noise", "ema", "terms",
    "term_networks", "training_state", "data_spec", "latent_spec", "shown_spec", "loss", "update",
)  # fmt: skip


class Game(Feeding, Saving, Exporting, Presets, keras.Model):
    """The part of `GAN` around its steps: players, noise, logs, `fit`, `generate`, averages, settings.

    Args:
        prior: `kg.priors.Prior` of the latents' shape, or None.
        seed: integer, or None for a random one.
        name: as in `keras.Model`.
        **own: arguments that a subclass takes besides: each becomes an attribute of its name, and is
            written to files and passed to the constructor again by `keras.models.load_model`.
    """

    data_spec: batches.DataSpec

    def __init__(self, prior: Any, seed: int | None, name: str | None = None, **own: Any) -> None:
        super().__init__(name=name)
        _check_own(type(self), own)
        self._own = tuple(own)
        for attribute, value in own.items():
            setattr(self, attribute, value)
        self.prior = prior
        self.seed = networks.check_seed(seed)
        # Names that are the same in each process, by which Orbax finds the states again.
        self.noise = keras.random.SeedGenerator(self.derive_seed(0), name="noise")
        self.validation_noise = keras.random.SeedGenerator(self.derive_seed(1), name="validation_noise")
        self._trackers: dict[str, keras.metrics.Metric] = {}
        # What terms, update rule and average keep between steps, and the terms' networks, are weights
        # of the GAN: on JAX nothing else gets into the compiled step and out of it.
        self.training_state: list[keras.Variable] = []
        self.term_networks: list[keras.Model] = []
        self.terms: list[Term] = []
        self.ema: WeightEMA | None = None
        self.built = True

    @property
    def teams(self) -> dict[str, list[keras.Model]]:
        """The networks that each player moves, by the player's name, the generator's last."""
        raise NotImplementedError(f"{type(self).__name__} must define `teams`.")

    def team(self, player: str) -> list[keras.Model]:
        """Return the networks of a player, and those of the terms that join its loss first."""
        joined = [term for term in self.terms if term.players[0][0] == player]
        return [*self.teams[player], *(network for term in joined for network in term.networks)]

    @property
    def players(self) -> list[Player]:
        """The players, in the order of `teams`."""
        xla_update = self.requested_jit_compile is not False
        return [
            Player(
                self.team(name),
                getattr(self.optimizer, name),
                _NORM.format(name) if self.gradient_norms else None,
                xla_update,
            )
            for name in self.teams
        ]

    @property
    def conditional(self) -> bool:
        """Whether the networks take a condition beside latents and samples."""
        return self.condition_spec is not None

    @property
    def sample_spec(self) -> Structure:
        """What samples are, as a `keras.KerasTensor` or a structure."""
        return self.data_spec.x

    @property
    def condition_spec(self) -> Structure:
        """What conditions must be, as a `keras.KerasTensor` or a structure; None without."""
        return self.data_spec.condition

    @property
    def sample_shape(self) -> Structure:
        """The shape of a sample, without the batch axis; of structures a structure of shapes."""
        return structures.shapes(self.sample_spec)

    @property
    def condition_shape(self) -> Structure:
        """The shape of a condition, or a structure of shapes; None without a condition."""
        return structures.shapes(self.condition_spec)

    @property
    def seeds(self) -> list[keras.Variable]:
        """The states of noise and dropout, which Keras does not count as weights."""
        weights = {id(variable) for variable in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The epoch means that are logged."""
        return list(self._trackers.values())

    def prepare(
        self,
        optimizers: Mapping[str, str | keras.optimizers.Optimizer],
        logged: Sequence[str],
        **options: Any,
    ) -> None:
        """Give each player its optimizer, and build what keeps state: a part of `compile`.

        Args:
            optimizers: optimizers, or their names, by the players' names.
            logged: names of the epoch means, without the norms of gradients.
            **options: of `keras.Model.compile`.
        """
        own = _different(optimizers)
        self.update.check_optimizers(own.values())
        norms = [_NORM.format(name) for name in self.teams] if self.gradient_norms else []
        names = [*logged, *norms, *(name for term in self.terms for name in term.log_names)]
        if len(set(names)) < len(names):
            raise ValueError(f"Terms need different names. Received, with the losses': {names}")
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self._build_state()
        backend.track_dropout_seeds(self)
        teams = {name: self.team(name) for name in self.teams}
        networks.check_apart(teams)
        networks.check_moved(self.layers, teams)
        together = Optimizers(**{name: _scaled(o, teams[name]) for name, o in own.items()})
        together.build(self._moved())
        # Keras would scale the loss of all players as one.
        super().compile(optimizer=together, auto_scale_loss=False, **options)
        self._compiled_settings = self._settings()

    def _build_state(self):
        """Build the EMA, the terms and the update rule, and collect what they keep."""
        generators = list(self.teams.values())[-1]
        self.ema = None if self.ema_decay is None else WeightEMA(generators, self.ema_decay)
        self.training_state.clear()
        self.term_networks.clear()
        for term in self.terms:
            self.training_state.extend(term.build(self))
            term.check_networks()
            self.term_networks.extend(term.networks)
        _check_listed_once(self.teams, self.term_networks)
        networks.check_whole(self.teams, self.term_networks)
        self.training_state.extend(self.update.build(self))
        self.training_state.extend(self.ema.variables if self.ema else [])

    def _moved(self):
        """Return the weights that each player moves, as the networks are now."""
        return [networks.trainable(self.team(name)) for name in self.teams]

    def _settings(self):
        """Return what `compile` was given, without optimizers, in a form that can be compared."""
        parts = {"loss": self.loss, "update": self.update}
        parts.update({f"terms[{i}]": term for i, term in enumerate(self.terms)})
        configs = {
            name: f"{type(part).__name__}, {getattr(part, 'get_config', dict)()}"
            for name, part in parts.items()
        }
        return {**configs, **{name: repr(getattr(self, name)) for name in SETTINGS}}

    @property
    def weights_changed(self) -> bool:
        """Whether the networks have other weights to train than when the GAN was compiled."""
        averages = self.ema is not None and not self.ema.belongs_to(list(self.teams.values())[-1])
        return self.compiled and (averages or not self.optimizer.moves(self._moved()))

    def check_settings(self) -> None:
        """Refuse to train if attributes have changed since `compile`, which a compiled step ignores.

        Raises:
            ValueError: a setting, or which weights are trainable, has changed.
        """
        if not self.compiled:
            return
        before, now = self._compiled_settings, self._settings()
        changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        if changed:
            name = changed[0]
            raise ValueError(
                f"`{name}` has changed since `compile`, and a compiled training step would not see it. "
                "Call `gan.compile` again, with `gan.d_optimizer` and `gan.g_optimizer` to keep their "
                f"state. Expected: {before.get(name)}. Received: {now.get(name)}"
            )
        if self.weights_changed:
            raise ValueError(
                "The trainable weights have changed since `compile`: a layer was frozen, unfrozen, "
                "replaced, quantized or given LoRA weights. Call `gan.compile` again, with new "
                "optimizers for the players whose weights have changed."
            )
        networks.check_lora([network for name in self.teams for network in self.team(name)])

    def draw(self, rows: int | Tensor, noise: Any) -> Tensor | None:
        """Return latents of so many rows, or None without a prior."""
        return None if self.prior is None else self.prior.sample(rows, noise)

    def _log(self, logs, rows):
        """Add to the epoch's means, and return the values."""
        unknown = [name for name in logs if name not in self._trackers]
        if unknown:
            raise ValueError(
                f"The log {unknown[0]!r} was not announced to `compile`. Expected the names "
                f"{list(self._trackers)}. A term logs its value under the names in its `log_names`: "
                "write a `kg.terms.Term` to log a quantity of your own."
            )
        for name, value in logs.items():
            self._trackers[name].update_state(value, sample_weight=rows)
        return list(logs.values())

    def _report(self, nan_flag):
        # NaN makes the means NaN even with weight 0, and 0 leaves them alone.
        for name in self.teams:
            self._trackers[f"{name}_loss"].update_state(nan_flag, sample_weight=0.0)

    def call(self, inputs: Structure, training: bool = False) -> Structure:
        """Turn latents (or `[latents, condition]`) into samples."""
        return self.generator(inputs, training=training)

    def generate(
        self,
        n: int | None = None,
        seed: int | None = None,
        condition: Array | Structure | None = None,
        batch_size: int = 500,
        use_ema: bool = False,
        latents: Array | None = None,
    ) -> Any:
        """Draw samples from the generator, as after training: no dropout, moving statistics.

        Args:
            n: how many, at least 1.
            seed: integer; the same seed gives the same latents, and the first rows of a larger draw.
                By default a new one each time, from Keras' global generator, so that the noise of
                training stays as it was.
            condition: for a conditional GAN, one condition for each sample, or one for all: an array, or
                arrays in the structure in which the networks take several conditions.
            batch_size: how many samples to make at a time, which bounds the memory.
            use_ema: whether the average of the generator's weights makes the samples, which
                `compile(ema_decay=...)` keeps.
            latents: array `(n, ...)` of what to make samples of, in the place of `n` and `seed`.

        Returns:
            Float32 NumPy array of shape `(n, ...)`, or a structure of them.

        Raises:
            ValueError: `n` or `batch_size` is not positive; both `n` and `latents`, or neither; latents
                with a seed, not finite or of another shape; the condition is missing, not wanted, of
                another shape, or a label in no class; `use_ema` without an average.
        """
        if (n is None) == (latents is None):
            raise ValueError(
                "Samples are drawn by their number `n`, or made of given `latents`: expected one of the "
                f"two. Received: n={n!r} and {'no' if latents is None else 'some'} latents."
            )
        if latents is not None:
            if self.prior is None:
                raise ValueError(
                    "This GAN has no prior: its generator takes the condition alone. Leave `latents` "
                    "out, and say by `n` how many samples to make."
                )
            if seed is not None:
                raise ValueError(
                    f"Given latents are not drawn: leave `seed` out. Received: seed={seed!r}"
                )
            points = batches.as_latents(latents, self.latent_spec)
            n = points.shape[0]
        n, batch_size = _positive("n", n), _positive("batch_size", batch_size)
        conditions = self.data_spec.conditions(condition, n)
        if latents is None:
            seed = keras.random.randint((), 0, 2**31 - 1) if seed is None else networks.check_seed(seed)
            points = self.draw(n, int(seed))
        bounds = [(start, min(start + batch_size, n)) for start in range(0, n, batch_size)]
        with self.require_ema().applied() if use_ema else contextlib.nullcontext():
            samples = [
                structures.mapped(
                    ops.convert_to_numpy,
                    self.generate_batch(structures.cut(points, *b), structures.cut(conditions, *b)),
                )
                for b in bounds
            ]
        return structures.mapped(lambda *parts: np.concatenate(parts), *samples)

    def require_ema(self) -> WeightEMA:
        """Return the average of the generator's weights, or say how to keep one.

        Raises:
            ValueError: the GAN was compiled without `ema_decay`, or not at all.
        """
        if self.ema is None:
            raise ValueError(
                "`use_ema=True`, but this GAN keeps no average of its generator's weights. Ask for one "
                "before training: `gan.compile(..., ema_decay=0.999)`."
            )
        if not self.ema.belongs_to(list(self.teams.values())[-1]):
            raise ValueError(
                "`use_ema=True`, but the generator has other weights than those that were averaged: it "
                "was quantized, or given LoRA weights, after `compile`. Call "
                "`gan.ema.assign_to_networks()` before such a change to keep the EMA."
            )
        return self.ema

    def derive_seed(self, number: int) -> int:
        """Return an integer seed of its own for part `number` of this GAN's randomness."""
        return backend.seed_integer(
            int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        )


def _check_own(cls, own):
    """Refuse arguments that the constructor does not name: no file could be loaded with them."""
    taken = [name for name in own if name in _ATTRIBUTES or hasattr(Game, name)]
    if taken:
        raise TypeError(
            f"A GAN has an attribute {taken[0]!r} itself. Give the argument of {cls.__name__}() "
            "another name."
        )
    named = inspect.signature(cls).parameters
    unknown = [name for name in own if name not in named]
    if unknown:
        raise TypeError(
            f"{cls.__name__}() got an unexpected argument {unknown[0]!r}. Expected: {', '.join(named)}"
        )


def _different(optimizers):
    """Return the players' optimizers by name, and refuse one that two players share."""
    own = {name: keras.optimizers.get(optimizer) for name, optimizer in optimizers.items()}
    if len({id(optimizer) for optimizer in own.values()}) < len(own):
        raise ValueError(
            "Each player needs an optimizer of its own, since an optimizer keeps state for the "
            "weights that it moves. Received the same "
            f"{type(next(iter(own.values()))).__name__} twice."
        )
    return own


def _check_listed_once(teams, of_terms):
    """Refuse networks of terms that somebody else has: what they add to a loss would count twice."""
    known = {id(network) for team in teams.values() for network in team}
    for network in of_terms:
        if id(network) in known:
            raise ValueError(
                f"The network {network.name!r} is one of the game's, or of another term's. Leave it out "
                "of the term's `networks`, which are those that no one else brings."
            )
        known.add(id(network))


def _positive(name: str, number: Any) -> int:
    if not isinstance(number, INTEGER) or isinstance(number, bool) or number < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {number!r}")
    return int(number)


def _scaled(optimizer, team):
    """Give the optimizer of networks that compute in float16 a loss scale of its own."""
    scaler = keras.optimizers.LossScaleOptimizer
    wanted = any(map(networks.computes_in_float16, team)) and not isinstance(optimizer, scaler)
    return scaler(optimizer) if wanted else optimizer

"""The game around the training steps: players, noise, logs, sampling, and state between steps."""

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
from keras_gan.models.play import Player, normalized_layers
from keras_gan.models.presets import Presets
from keras_gan.models.saving import SETTINGS, Saving
from keras_gan.terms import Term
from keras_gan.utils import batches, networks, structures
from keras_gan.utils.typing import Array, Structure, Tensor
from keras_gan.utils.validation import check_flag, check_integer, check_string

__all__ = ["Game"]

_NORM = "{}_gradient_norm"
# Attributes of every GAN, whose names a subclass cannot use for its arguments.
_ATTRIBUTES = (
    "generator", "discriminator", "prior", "seed", "noise", "validation_noise", "ema", "terms",
    "term_networks", "training_state", "data_spec", "latent_spec", "shown_spec", "loss", "update",
)  # fmt: skip


class Game(Feeding, Saving, Exporting, Presets, keras.Model):
    """The part of `GAN` around its steps: players, noise, logs, sampling and the EMA.

    Args:
        prior: `kg.priors.Prior` of the latents' shape, or None.
        seed: integer, or None for a random one.
        name: as in `keras.Model`.
        **own: further arguments of a subclass. Each becomes an attribute of the same name, and files
            hold it: `keras.models.load_model` passes it to the constructor again.
    """

    data_spec: batches.DataSpec

    def __init__(self, prior: Any, seed: int | None, name: str | None = None, **own: Any) -> None:
        super().__init__(name=name if name is None else check_string("name", name))
        _check_own(type(self), own)
        self._own = tuple(own)
        for attribute, value in own.items():
            setattr(self, attribute, value)
        self.prior = prior
        self.seed = networks.check_seed(seed)
        # Names that are the same in each process, so that Orbax finds the states.
        self.noise = keras.random.SeedGenerator(self.derive_seed(0), name="noise")
        self.validation_noise = keras.random.SeedGenerator(self.derive_seed(1), name="validation_noise")
        self._trackers: dict[str, keras.metrics.Metric] = {}
        # The state of terms, update rule and EMA, and the terms' networks, are weights of the GAN: on
        # JAX, a compiled step can only read and change those.
        self.training_state: list[keras.Variable] = []
        self.term_networks: list[keras.Model] = []
        self.terms: list[Term] = []
        self.ema: WeightEMA | None = None
        self.built = True

    @property
    def teams(self) -> dict[str, list[keras.Model]]:
        """The networks that each player moves, by the player's name, the generator's last."""
        raise NotImplementedError(f"{type(self).__name__} must define `teams`.")

    def averaged_networks(self) -> list[keras.Model]:
        """Return the networks whose weights the EMA averages: those of the generator's player."""
        # Not a property: Keras looks into properties, and files would hold the networks under its name.
        return list(self.teams.values())[-1]

    def team(self, player: str) -> list[keras.Model]:
        """Return the networks of a player, and those of the terms whose first player it is."""
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
        """Whether the networks take a condition in addition to latents and samples."""
        return self.condition_spec is not None

    @property
    def sample_spec(self) -> Structure:
        """Specification of samples: a `keras.KerasTensor` or a structure."""
        return self.data_spec.x

    @property
    def condition_spec(self) -> Structure:
        """Specification of conditions: a `keras.KerasTensor` or a structure, or None."""
        return self.data_spec.condition

    @property
    def sample_shape(self) -> Structure:
        """The shape of a sample without the batch axis, or a structure of shapes."""
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
        """The metrics that log means over an epoch."""
        return list(self._trackers.values())

    def prepare(
        self,
        optimizers: Mapping[str, str | keras.optimizers.Optimizer],
        logged: Sequence[str],
        **options: Any,
    ) -> None:
        """Give each player its optimizer, and build all that keeps state: a part of `compile`.

        Args:
            optimizers: optimizers, or their names, by the players' names.
            logged: names of the logs, without gradient norms and terms.
            **options: of `keras.Model.compile`.
        """
        own = _distinct(optimizers)
        self.update.check_optimizers(own.values())
        norms = [_NORM.format(name) for name in self.teams] if self.gradient_norms else []
        own_names = [name for part in (*self.terms, self.update) for name in part.log_names]
        names = [*logged, *norms, *own_names]
        if len(set(names)) < len(names):
            raise ValueError(
                "Terms must have distinct names, different from those of the losses. Received, with the "
                f"names of the losses: {names}"
            )
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self._build_state()
        backend.track_dropout_seeds(self)
        teams = {name: self.team(name) for name in self.teams}
        networks.check_disjoint_players(teams)
        networks.check_moved(self.layers, teams)
        networks.warn_of_spectral_normalization([network for own in teams.values() for network in own])
        together = Optimizers(**{name: _add_loss_scale(o, teams[name]) for name, o in own.items()})
        together.build(self._trained_weights())
        # Keras' automatic loss scale would be one for all players.
        super().compile(optimizer=together, auto_scale_loss=False, **options)
        self._compiled_settings = self._settings()

    def _build_state(self):
        """Build the EMA, the terms and the update rule, and collect their state."""
        for layer in normalized_layers([network for team in self.teams.values() for network in team]):
            layer.moves_in_calls = False  # `Player.move` moves it
        self.ema = (
            None if self.ema_decay is None else WeightEMA(self.averaged_networks(), self.ema_decay)
        )
        self.training_state.clear()
        self.term_networks.clear()
        for term in self.terms:
            self.training_state.extend(term.build(self))
            term.check_networks()
            self.term_networks.extend(term.networks)
        _check_listed_once(self.teams, self.term_networks)
        networks.check_disjoint_networks(self.teams, self.term_networks)
        self.training_state.extend(self.update.build(self))
        self.training_state.extend(self.ema.variables if self.ema else [])

    def _trained_weights(self):
        """Return the weights that each player trains, as the networks are now."""
        return [networks.trainable(self.team(name)) for name in self.teams]

    def _settings(self):
        """Return the arguments of `compile`, except for optimizers, in a form that can be compared."""
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
        averages = self.ema is not None and not self.ema.belongs_to(self.averaged_networks())
        return self.compiled and (averages or not self.optimizer.moves(self._trained_weights()))

    def check_settings(self) -> None:
        """Refuse to train if settings have changed since `compile`: a compiled step would ignore them.

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

    def conditions_of(self, x: Structure, labels: Structure) -> Structure:
        """Return the conditions under which samples can be compared with examples of the data."""
        return labels if self.conditional else None

    def draw(self, rows: int | Tensor, noise: Any) -> Tensor | None:
        """Return `rows` latents, or None without a prior."""
        return None if self.prior is None else self.prior.sample(rows, noise)

    def _log(self, logs, rows):
        """Add to the epoch's means, and return the values.

        A pair is a mean and the number of rows that it is over.
        """
        pairs = {n: v if isinstance(v, tuple) else (v, rows) for n, v in logs.items()}
        unknown = [name for name in logs if name not in self._trackers]
        if unknown:
            raise ValueError(
                f"The log {unknown[0]!r} was not announced to `compile`. Expected the names "
                f"{list(self._trackers)}. A term logs its value under the names in its `log_names`: "
                "write a `kg.terms.Term` to log a quantity of your own."
            )
        for name, (value, count) in pairs.items():
            self._trackers[name].update_state(value, sample_weight=count)
        return [value for value, _ in pairs.values()]

    def _report(self, nan_flag):
        # Even with weight 0, NaN makes a mean NaN; 0 does not change it.
        for name in self.teams:
            self._trackers[f"{name}_loss"].update_state(nan_flag, sample_weight=0.0)

    def call(self, inputs: Structure, training: bool = False) -> Structure:
        """Return samples for latents, or for `[latents, condition]`."""
        return self.generator(inputs, training=training)

    def generate(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        condition: Array | Structure | None = None,
        batch_size: int = 500,
        use_ema: bool = False,
        latents: Array | None = None,
    ) -> Any:
        """Generate samples in inference mode: without dropout, with moving statistics.

        Args:
            n: number of samples, at least 1.
            seed: integer. The same seed gives the same latents, and the first rows of a larger draw. By
                default a new one each time, from Keras' global generator; the noise of training is
                unaffected.
            condition: for a conditional GAN, a condition for each sample, or one for all: an array, or
                arrays in the structure of the networks' conditions.
            batch_size: number of samples to generate at a time, which bounds the memory.
            use_ema: whether to use the EMA of the generator's weights, which
                `compile(ema_decay=...)` keeps.
            latents: array `(n, ...)` of latents, instead of `n` and `seed`.

        Returns:
            Float32 NumPy array of shape `(n, ...)`, or a structure of them.

        Raises:
            TypeError: `n`, `batch_size` or `seed` is not an integer.
            ValueError: `n` or `batch_size` is not positive; both or neither of `n` and `latents` are
                given; the latents come with a seed, are not finite or have another shape; the condition
                is missing, not wanted, has another shape, or contains an unknown label; `use_ema`
                without an EMA.
        """
        if (n is None) == (latents is None):
            raise ValueError(
                "Pass either the number of samples `n` or `latents`. Received: "
                f"n={n!r} and {'no' if latents is None else 'some'} latents."
            )
        if latents is not None:
            if self.prior is None:
                raise ValueError(
                    "This GAN has no prior: its generator takes only conditions. Leave out `latents`, "
                    "and pass the number of samples `n`."
                )
            if seed is not None:
                raise ValueError(
                    f"`seed` has no effect on given latents: leave it out. Received: seed={seed!r}"
                )
            points = batches.check_latents(latents, self.latent_spec)
            n = points.shape[0]
        n = check_integer("n", n, minimum=1)
        batch_size = check_integer("batch_size", batch_size, minimum=1)
        conditions = self.data_spec.conditions(condition, n)
        if latents is None:
            seed = keras.random.randint((), 0, 2**31 - 1) if seed is None else networks.check_seed(seed)
            points = self.draw(n, int(seed))
        bounds = [(start, min(start + batch_size, n)) for start in range(0, n, batch_size)]
        with (
            self.require_ema().applied() if check_flag("use_ema", use_ema) else contextlib.nullcontext()
        ):
            samples = [
                structures.mapped(
                    ops.convert_to_numpy,
                    self.generate_batch(structures.cut(points, *b), structures.cut(conditions, *b)),
                )
                for b in bounds
            ]
        return structures.mapped(lambda *parts: np.concatenate(parts), *samples)

    def require_ema(self) -> WeightEMA:
        """Return the EMA of the generator's weights.

        Raises:
            ValueError: the GAN was compiled without `ema_decay`, or not at all.
        """
        if self.ema is None:
            raise ValueError(
                "`use_ema=True` requires an EMA of the generator's weights, which this GAN does not "
                "keep. Request one before training: `gan.compile(..., ema_decay=0.999)`."
            )
        if not self.ema.belongs_to(self.averaged_networks()):
            raise ValueError(
                "`use_ema=True`, but the EMA is not of the generator's current weights: a layer was "
                "quantized, or given LoRA weights, after `compile`. Call "
                "`gan.ema.assign_to_networks()` before such a change to keep the EMA."
            )
        return self.ema

    def derive_seed(self, number: int) -> int:
        """Return a seed for part `number` of this GAN's randomness, derived from its own seed."""
        return backend.seed_integer(
            int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        )


def _check_own(cls, own):
    """Refuse arguments that the constructor does not name: files with them could not be loaded."""
    taken = [name for name in own if name in _ATTRIBUTES or hasattr(Game, name)]
    if taken:
        raise TypeError(
            f"Every GAN has an attribute {taken[0]!r}. Rename this argument of {cls.__name__}()."
        )
    named = [n for n, p in inspect.signature(cls).parameters.items() if p.kind is not p.VAR_KEYWORD]
    unknown = [name for name in own if name not in named]
    if unknown:
        raise TypeError(
            f"{cls.__name__}() got an unexpected argument {unknown[0]!r}. Expected: {', '.join(named)}"
        )


def _distinct(optimizers):
    """Return the players' optimizers by name; refuse one that two players share."""
    own = {name: keras.optimizers.get(optimizer) for name, optimizer in optimizers.items()}
    if len({id(optimizer) for optimizer in own.values()}) < len(own):
        raise ValueError(
            "Each player needs its own optimizer, since an optimizer keeps state for the weights that "
            "it moves. Received twice the same "
            f"{type(next(iter(own.values()))).__name__}."
        )
    return own


def _check_listed_once(teams, of_terms):
    """Refuse networks of terms that are also others': their losses would count twice."""
    known = {id(network) for team in teams.values() for network in team}
    for network in of_terms:
        if id(network) in known:
            raise ValueError(
                f"The network {network.name!r} belongs to the GAN or to another term. A term's "
                "`networks` must be its own: leave this one out."
            )
        known.add(id(network))


def _add_loss_scale(optimizer, team):
    """Return the optimizer of a player, with a loss scale if its networks compute in float16."""
    scaler = keras.optimizers.LossScaleOptimizer
    wanted = any(map(networks.computes_in_float16, team)) and not isinstance(optimizer, scaler)
    return scaler(optimizer) if wanted else optimizer

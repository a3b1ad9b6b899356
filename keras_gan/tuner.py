"""Hyper-parameter search with KerasTuner (extra `tuner`).

`kg.tuner` is imported at its first use, since only it needs KerasTuner.
"""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_gan import losses, priors
from keras_gan.callbacks import CollapseMonitor
from keras_gan.models.gan import GAN
from keras_gan.terms import R1, Term
from keras_gan.terms import get as get_term
from keras_gan.utils import networks as nets
from keras_gan.utils import registry, structures
from keras_gan.utils.optional import require
from keras_gan.utils.validation import check_number, shortened

if TYPE_CHECKING:
    import keras_tuner
else:
    keras_tuner = require("keras_tuner")

__all__ = ["FID", "KID", "LOSSES", "PARZEN", "GANHyperModel", "trials_table"]


def __dir__():
    return __all__


# Objectives: numbers that callbacks of this package write into the logs.
PARZEN = keras_tuner.Objective("val_parzen_log_likelihood", "max")
FID = keras_tuner.Objective("val_fid", "min")
KID = keras_tuner.Objective("val_kid", "min")

LOSSES = ("non_saturating", "minimax", "least_squares", "hinge", "relativistic_average", "wasserstein")
# Arguments of `GAN.compile`, and the hyper-parameters that set them.
_SEARCHED = {
    "d_optimizer": "'d_learning_rate' and 'beta_1'",
    "g_optimizer": "'g_learning_rate' and 'beta_1'",
    "loss": "'loss'",
    "discriminator_steps": "'discriminator_steps'",
}
# Samples have collapsed if their mean distance is a smaller share of that between examples.
_MIN_DIVERSITY = 0.02
_MAX_COMPARED = 32
_SMOOTHED = ("non_saturating", "minimax", "least_squares")
_WRITERS = {
    PARZEN.name: "kg.callbacks.ParzenLogLikelihood(validation)",
    FID.name: "kg.callbacks.EvaluateSamples(kg.metrics.FID(extractor), real=validation)",
    KID.name: "kg.callbacks.EvaluateSamples(kg.metrics.KID(extractor), real=validation)",
}


class GANHyperModel(keras_tuner.HyperModel):
    """A search space of GANs for KerasTuner, and the training of one of them.

    | hyper-parameter | values | default |
    |---|---|---|
    | `d_learning_rate`, `g_learning_rate` | 2e-5 to 2e-3, logarithmic, of Adam | 2e-4 |
    | `beta_1` | 0 to 0.9, of both | 0.5 |
    | `discriminator_steps` | k, 1 to 3 | 1 |
    | `loss` | `LOSSES` | `"non_saturating"` |
    | `label_smoothing` | 0 to 0.3, for losses that have it | 0 |
    | `<term>_weight`, such as `r1_weight` | 0.03 to 30 times its weight, logarithmic | its weight |
    | `latent_size` | 16 to 128, the prior's | 100 |
    | `width` | 64 to 512, for `networks` | 256 |

    Entries of the tuner's `hyperparameters` replace these: `Fixed` entries fix a value, others narrow or
    widen its range.

    Every trial starts from the same seed, and under the precision policy that was set when the space was
    created. With arrays and with `kg.datasets.load` its result does not depend on the order of trials
    or on the machine; `executions_per_trial` above 1 would only repeat it. A trial fails, without a
    score, if its losses or samples are not finite, if its final samples have collapsed (their mean
    distance is less than a fiftieth of that between examples), or if a `CollapseMonitor(stop=True)`
    among the callbacks stops it. KerasTuner ends the search after `max_consecutive_failed_trials` (3 by
    default).

    Args:
        networks: function `(latent_size, width)` that returns a generator and a discriminator, or a
            `kg.GAN` that is not compiled: a subclass, or one with more networks, with its own prior and
            seed.
        prior: distribution of the latents, as in `GAN`.
        terms: terms of the losses, as in `GAN.compile`; their weights are the centers of the search. By
            default `kg.terms.R1(weight=1.0, interval=4)`.
        ema_decay: decay of the EMA of the generator's weights, as in `GAN.compile`; None keeps no EMA.
        seed: integer seed of the noise and of the initial weights. Defaults to 0; None draws one.
        **compile_arguments: further arguments of `GAN.compile`, the same in all trials, such as
            `single_pass=True`.

    Raises:
        ImportError: KerasTuner is not installed.
        TypeError: `networks` is not a function of two arguments; `GAN.compile` has no such argument.
        ValueError: an argument of `GAN.compile` that is searched; an argument is invalid.

    Example:

    >>> import keras_tuner
    >>> def networks(latent_size, width):
    ...     hidden = lambda: keras.layers.Dense(width, "relu")
    ...     generator = [keras.Input((latent_size,)), hidden(), keras.layers.Dense(4, "sigmoid")]
    ...     discriminator = [keras.Input((4,)), hidden(), keras.layers.Dense(1)]
    ...     return keras.Sequential(generator), keras.Sequential(discriminator)
    >>> images = np.random.default_rng(0).random((300, 4)).astype("float32")
    >>> fixed = keras_tuner.HyperParameters()
    >>> loss = fixed.Fixed("loss", "hinge")
    >>> width = fixed.Int("width", 4, 16)
    >>> tuner = keras_tuner.RandomSearch(
    ...     kg.tuner.GANHyperModel(networks), kg.tuner.PARZEN, max_trials=2, seed=0,
    ...     hyperparameters=fixed, directory="trials", project_name="example",
    ... )
    >>> measure = kg.callbacks.ParzenLogLikelihood(images[200:], num_samples=100)
    >>> tuner.search(images[:200], epochs=1, callbacks=[measure], verbose=0)
    >>> best = tuner.get_best_models()[0]
    >>> best.generate(3, seed=1).shape
    (3, 4)
    """

    def __init__(
        self,
        networks: Callable[[int, int], Sequence[keras.Model]],
        *,
        prior: str | priors.Prior | Any = "uniform",
        terms: str | Term | Sequence[str | Term] | None = None,
        ema_decay: float | None = None,
        seed: int | None = 0,
        **compile_arguments: Any,
    ) -> None:
        super().__init__()
        self.networks = _check_networks(networks)
        self.prior = prior
        self.seed = nets.check_seed(seed)
        if prior is not None:
            priors.get(prior)
        terms = R1(weight=1.0, interval=4) if terms is None else terms
        self.terms = registry.get_all("terms", terms, Term, get_term)
        self.compile_arguments = {"ema_decay": ema_decay, **compile_arguments}
        for name in _SEARCHED.keys() & compile_arguments.keys():
            raise ValueError(
                f"`{name}` is searched, as {_SEARCHED[name]}. Fix it in the tuner's `hyperparameters`: "
                "`hp = keras_tuner.HyperParameters(); hp.Fixed(name, value)`. For other kinds of it, "
                "override `build` in a subclass. "
                f"Received: {name}={compile_arguments[name]!r}"
            )
        known = inspect.signature(GAN.compile).parameters
        for name in [name for name in compile_arguments if name not in known]:
            raise TypeError(
                f"`GAN.compile` has no argument `{name}`. Expected: {', '.join([*known][3:-1])}."
            )
        # KerasTuner sets the policy back before each trial.
        self.policy = keras.config.dtype_policy()

    def build(self, hp: keras_tuner.HyperParameters) -> GAN:
        """Return the compiled `GAN` of one point of the space.

        Args:
            hp: `keras_tuner.HyperParameters`; a new one has the default values.

        Raises:
            TypeError: `hp` is not a `keras_tuner.HyperParameters`.
            keras_tuner.errors.FatalValueError: a value is invalid, or its name unknown.
        """
        if not isinstance(hp, keras_tuner.HyperParameters):
            raise TypeError(
                "`hp` must be a `keras_tuner.HyperParameters`. "
                f"Received: {hp!r} of type {type(hp).__name__}."
            )
        keras.config.set_dtype_policy(self.policy)
        keras.utils.set_random_seed(self.seed)
        networks = self.networks(
            hp.Int("latent_size", 16, 128, default=100),
            hp.Int("width", 64, 512, sampling="log", default=256),
        )
        gan = self._as_gan(networks)
        beta_1 = _check_value("beta_1", hp.Float("beta_1", 0.0, 0.9, default=0.5), minimum=0, below=1)
        gan.compile(
            d_optimizer=keras.optimizers.Adam(self._rate(hp, "d_learning_rate"), beta_1),
            g_optimizer=keras.optimizers.Adam(self._rate(hp, "g_learning_rate"), beta_1),
            loss=self._loss(hp),
            terms=[self._copy_with_weight(hp, term) for term in self.terms],
            discriminator_steps=hp.Int("discriminator_steps", 1, 3, default=1),
            **self.compile_arguments,
        )
        if type(self).build is GANHyperModel.build:
            self._check_names(hp)
        return gan

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: GAN,
        *args: Any,
        callbacks: Iterable[keras.callbacks.Callback] | None = (),
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train one GAN, as `GAN.fit` does.

        Returns:
            `keras.callbacks.History`.

        Raises:
            keras_tuner.errors.FailedTrialError: the GAN diverged or collapsed.
            keras_tuner.errors.FatalValueError: no callback writes the tuner's objective.
        """
        callbacks = list(callbacks or ())
        # KerasTuner's callbacks write the files of an epoch: a failed one must not get there.
        of_tuner = [type(c).__module__.startswith("keras_tuner.") for c in callbacks] + [True]
        callbacks.insert(of_tuner.index(True), _TrialGuard(callbacks))
        kwargs["callbacks"] = callbacks
        history = model.fit(*args, **kwargs)
        data = inspect.signature(keras.Model.fit).bind_partial(model, *args, **kwargs).arguments
        _check_samples(model, *_few_examples(model, data.get("x"), data.get("y")))
        return history

    def _as_gan(self, networks):
        """Return the GAN that the user's function returned, or one of its two networks."""
        if isinstance(networks, GAN):
            return networks
        if not isinstance(networks, (tuple, list)) or len(networks) != 2:
            raise keras_tuner.errors.FatalTypeError(
                "`networks` must return a generator and a discriminator, or a `kg.GAN` of them. "
                f"Received: {networks!r} of type {type(networks).__name__}."
            )
        generator, discriminator = networks
        return GAN(generator, discriminator, prior=self.prior, seed=self.seed)

    def _rate(self, hp, name):
        rate = hp.Float(name, 2e-5, 2e-3, sampling="log", default=2e-4)
        return _check_value(name, rate, above=0)

    def _loss(self, hp):
        name = hp.Choice("loss", list(LOSSES), default=LOSSES[0])
        # A second entry, with a condition, would hide the user's entry without one.
        unconditional = any(p.name == "label_smoothing" and not p.conditions for p in hp.space)
        scope = (
            contextlib.nullcontext() if unconditional else hp.conditional_scope("loss", list(_SMOOTHED))
        )
        with scope:
            smoothing = hp.Float("label_smoothing", 0.0, 0.3, default=0.0)
        return losses.get(name) if name not in _SMOOTHED else losses.LOSSES[name](smoothing)

    def _copy_with_weight(self, hp, term):
        name, low, high = f"{term.name}_weight", 0.03 * term.weight, 30 * term.weight
        weight = hp.Float(name, low, high, sampling="log", default=term.weight)
        _check_value(name, weight, above=0)
        # Serialized, so that each trial trains its own networks.
        config = keras.saving.serialize_keras_object({**term.get_config(), "weight": weight})
        copy = type(term).from_config(config)
        for network, initial in zip(copy.networks, term.networks, strict=True):
            network.set_weights(initial.get_weights())
        return copy

    def _check_names(self, hp):
        known = {*_NAMES, *(f"{term.name}_weight" for term in self.terms)}
        # Names with a slash belong to the tuner.
        for name in sorted(name for name in hp.values if "/" not in name and name not in known):
            raise keras_tuner.errors.FatalValueError(registry.unknown("hyper-parameter", name, known))


_NAMES = (
    "latent_size", "width", "beta_1", "d_learning_rate", "g_learning_rate", "discriminator_steps",
    "loss", "label_smoothing",
)  # fmt: skip


def _check_networks(function):
    """Return the function that creates networks, or raise."""
    message = (
        "`networks` must be a function `(latent_size, width)` that returns a generator and a "
        "discriminator, or a `kg.GAN` of them."
    )
    if not callable(function) or isinstance(function, keras.Model):
        raise TypeError(f"{message} Received: {function!r}")
    try:
        inspect.signature(function).bind(2, 4)
    except TypeError as error:
        raise TypeError(f"{message} It cannot be called with two arguments: {error}") from None
    return function


def _check_value(name, value, **bounds):
    """Return a hyper-parameter, or end the search: of other errors KerasTuner fails the trial alone."""
    try:
        return check_number(name, value, **bounds)
    except (TypeError, ValueError) as error:
        raise keras_tuner.errors.FatalValueError(str(error)) from error


def _few_examples(gan, x, y):
    """Return a few examples of the training data, and their conditions, if any."""
    whole = hasattr(x, "shape") or isinstance(x, (dict, list, tuple))
    data = (x, y) if whole else next(iter(x))
    x, labels, _ = gan.training_spec.parts(data)
    condition = gan.conditions_of(x, labels)
    x, condition = (structures.mapped(keras.ops.convert_to_numpy, part) for part in (x, condition))
    count = len(structures.leaves(x)[0])
    rows = np.linspace(0, count - 1, min(count, _MAX_COMPARED)).astype(int)
    return [structures.mapped(lambda leaf: leaf[rows], part) for part in (x, condition)]


def _check_samples(gan, real, condition):
    """Fail a trial whose samples, under the conditions of a few examples, diverged or collapsed."""
    count = len(structures.leaves(real)[0])
    samples = structures.leaves(gan.generate(count, seed=0, condition=condition))
    if not all(np.isfinite(leaf).all() for leaf in samples):
        raise keras_tuner.errors.FailedTrialError("This GAN has diverged: its samples are not finite.")
    if _spread(samples) < _MIN_DIVERSITY * _spread(structures.leaves(real)):
        raise keras_tuner.errors.FailedTrialError("This GAN has collapsed: its samples are alike.")


def _spread(leaves):
    """Return the mean distance between two rows."""
    rows = np.concatenate([np.float64(leaf).reshape(len(leaf), -1) for leaf in leaves], axis=1)
    return np.mean([np.linalg.norm(rows - row, axis=1) for row in rows])


class _TrialGuard(keras.callbacks.Callback):
    """Ends a trial that has failed, and a search without a value of its objective."""

    def __init__(self, callbacks):
        super().__init__()
        self.monitors = [c for c in callbacks if isinstance(c, CollapseMonitor)]
        tuners = [getattr(callback, "tuner", None) for callback in callbacks]
        tuners = [tuner for tuner in tuners if isinstance(tuner, keras_tuner.Tuner)]
        objective = tuners[0].oracle.objective if tuners else None
        self.objectives = getattr(objective, "objectives", [objective] if tuners else [])

    def on_epoch_end(self, epoch, logs=None):
        diverged = [name for name in ("d_loss", "g_loss") if not math.isfinite(logs[name])]
        if diverged:
            raise keras_tuner.errors.FailedTrialError(
                f"This GAN has diverged: {' and '.join(diverged)} not finite after epoch {epoch + 1}."
            )
        for monitor in self.monitors:
            if monitor.stop and monitor.warning:
                raise keras_tuner.errors.FailedTrialError(monitor.warning)
        for objective in self.objectives:
            if not objective.has_value(logs):
                raise keras_tuner.errors.FatalValueError(_missing_objective(objective.name, logs))


def _missing_objective(name, logs):
    if name == "default_objective":
        return "A search needs an objective. Give the tuner one, such as `kg.tuner.PARZEN`."
    return (
        f"No callback wrote the tuner's objective {name!r} into the logs. Expected one in the "
        f"`callbacks` of `tuner.search`, such as {_WRITERS.get(name, 'your own')}, or validation data, "
        f"in every epoch. Received logs: {sorted(logs)}"
    )


def trials_table(tuner: keras_tuner.Tuner) -> str:
    """Return the trials of a search as a Markdown table, best first, failed trials last.

    Args:
        tuner: a tuner of KerasTuner, during or after its search.

    Returns:
        Text with one row for each trial: its number, status, score, and hyper-parameters.

    Raises:
        TypeError: `tuner` is not a tuner.

    Example:

    >>> import keras_tuner
    >>> class Parabola(keras_tuner.RandomSearch):
    ...     def run_trial(self, trial, **arguments):
    ...         return trial.hyperparameters.Int("x", -2, 2) ** 2
    >>> tuner = Parabola(max_trials=3, seed=0, directory="trials", project_name="parabola")
    >>> tuner.search(verbose=0)
    >>> print(kg.tuner.trials_table(tuner).splitlines()[0])
    | trial | status | default_objective | x |
    """
    oracle: Any = getattr(tuner, "oracle", None)
    if not hasattr(oracle, "trials"):
        raise TypeError(f"`tuner` must be a tuner of KerasTuner. Received: {shortened(tuner)}.")
    sign = -1 if oracle.objective.direction == "max" else 1
    scores = {name: t.score for name, t in oracle.trials.items() if _has_score(t)}
    trials = sorted(
        oracle.trials.values(),
        key=lambda t: (t.trial_id not in scores, sign * scores.get(t.trial_id, 0.0), t.trial_id),
    )
    names = sorted({name for t in trials for name in t.hyperparameters.values if "/" not in name})
    rows = [["trial", "status", oracle.objective.name, *names], ["---"] * (3 + len(names))]
    for t in trials:
        values = [t.hyperparameters.values.get(name, "") for name in names]
        score = f"{t.score:.4g}" if t.trial_id in scores else ""
        rows.append([t.trial_id, t.status.lower(), score, *map(_format_value, values)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _format_value(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _has_score(trial):
    return trial.status == "COMPLETED" and trial.score is not None and math.isfinite(trial.score)

"""Searches over the settings of a GAN by KerasTuner (`pip install keras-gan[tuner]`).

Imported at its first use as `kg.tuner`: everything else does without KerasTuner.
"""

import copy
import math

import keras
import numpy as np

from keras_gan import losses
from keras_gan.callbacks import CollapseMonitor
from keras_gan.models.gan import GAN
from keras_gan.optional import require
from keras_gan.terms import R1
from keras_gan.terms import get as get_term

keras_tuner = require("keras_tuner")

# What is searched for: numbers that callbacks of this package write into the logs.
PARZEN = keras_tuner.Objective("val_parzen_log_likelihood", "max")
FID = keras_tuner.Objective("val_fid", "min")
KID = keras_tuner.Objective("val_kid", "min")

LOSSES = ("non_saturating", "minimax", "least_squares", "hinge", "relativistic_average", "wasserstein")
_SEARCHED = {"d_optimizer", "g_optimizer", "loss", "discriminator_steps"}
_SMOOTHED = ("non_saturating", "minimax", "least_squares")
_WRITERS = {
    PARZEN.name: "kg.callbacks.ParzenWindow(validation)",
    FID.name: "kg.callbacks.EvaluateSamples(kg.metrics.FID(extractor), real=validation)",
    KID.name: "kg.callbacks.EvaluateSamples(kg.metrics.KID(extractor), real=validation)",
}


class GANHyperModel(keras_tuner.HyperModel):
    """The space of GANs that a tuner of KerasTuner searches, and how one of them is trained.

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

    What is given to the tuner as `hyperparameters` holds instead: `Fixed` entries fix a value, others
    narrow or widen its range.

    Every trial starts from the same seed, and is what it is in whatever order, and on whichever
    machine, trials run. A trial is marked as failed, and has no score, if its losses stop being finite,
    if all its samples are alike, or if a `CollapseMonitor(stop=True)` among the callbacks ends it.
    KerasTuner gives up after `max_consecutive_failed_trials` (3, unless a tuner is told another).

    Args:
        networks: function `(latent_size, width)` that returns a generator and a discriminator.
        prior: where latents come from, as of `GAN`.
        terms: what adds to a loss, as of `GAN.compile`, with weights around which is searched; by
            default `kg.terms.R1(weight=1.0, interval=4)`.
        average_decay: of the average of the generator's weights, as of `GAN.compile`; None keeps none.
        seed: integer, of noise and initial weights.
        **compile_arguments: more of `GAN.compile`, the same in all trials, such as `joint=True`.

    Raises:
        ImportError: KerasTuner is not installed.
        TypeError: `networks` is no function.
        ValueError: an argument of `GAN.compile` that is searched.

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
    >>> measure = kg.callbacks.ParzenWindow(images[200:], num_samples=100)
    >>> tuner.search(images[:200], epochs=1, callbacks=[measure], verbose=0)
    >>> best = tuner.get_best_models()[0]
    >>> best.generate(3, seed=1).shape
    (3, 4)
    """

    def __init__(
        self,
        networks,
        prior="uniform",
        terms=None,
        average_decay=None,
        seed=0,
        **compile_arguments,
    ):
        super().__init__()
        if not callable(networks):
            raise TypeError(
                "`networks` is a function `(latent_size, width)` that returns a generator and a "
                f"discriminator. Received: {networks!r}"
            )
        self.networks, self.prior, self.seed = networks, prior, seed
        terms = R1(weight=1.0, interval=4) if terms is None else terms
        terms = terms if isinstance(terms, (list, tuple)) else [terms]
        self.terms = [get_term(term) for term in terms]
        searched = _SEARCHED & compile_arguments.keys()
        if searched:
            raise ValueError(
                f"{', '.join(sorted(searched))} is searched, and given to the tuner where it is fixed: "
                "`hp = keras_tuner.HyperParameters(); hp.Fixed(name, value)`, and `hyperparameters=hp`."
            )
        self.compile_arguments = {"average_decay": average_decay, **compile_arguments}

    def build(self, hp):
        """Return the compiled `GAN` of one point of the space.

        Args:
            hp: `keras_tuner.HyperParameters`; a new one stands for the defaults.
        """
        keras.utils.set_random_seed(self.seed)
        pair = self.networks(
            hp.Int("latent_size", 16, 128, default=100),
            hp.Int("width", 64, 512, sampling="log", default=256),
        )
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise keras_tuner.errors.FatalTypeError(
                f"`networks` returns a generator and a discriminator. Received: {pair!r}"
            )
        generator, discriminator = pair
        gan = GAN(generator, discriminator, prior=self.prior, seed=self.seed)
        beta_1 = hp.Float("beta_1", 0.0, 0.9, default=0.5)
        gan.compile(
            d_optimizer=keras.optimizers.Adam(self._rate(hp, "d_learning_rate"), beta_1),
            g_optimizer=keras.optimizers.Adam(self._rate(hp, "g_learning_rate"), beta_1),
            loss=self._loss(hp),
            terms=[self._weighted(hp, term) for term in self.terms],
            discriminator_steps=hp.Int("discriminator_steps", 1, 3, default=1),
            **self.compile_arguments,
        )
        return gan

    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        """Train one GAN, as `GAN.fit` does.

        Returns:
            `keras.callbacks.History`.

        Raises:
            keras_tuner.errors.FailedTrialError: it diverged or collapsed.
            keras_tuner.errors.FatalValueError: no callback writes the tuner's objective.
        """
        history = model.fit(*args, callbacks=[*callbacks, _Watch(callbacks)], **kwargs)
        if model.probe_generator(_alike):
            raise keras_tuner.errors.FailedTrialError("This GAN has collapsed: its samples are alike.")
        return history

    def _rate(self, hp, name):
        return hp.Float(name, 2e-5, 2e-3, sampling="log", default=2e-4)

    def _loss(self, hp):
        name = hp.Choice("loss", list(LOSSES), default=LOSSES[0])
        with hp.conditional_scope("loss", list(_SMOOTHED)):
            smoothing = hp.Float("label_smoothing", 0.0, 0.3, default=0.0)
        return losses.get(name) if name not in _SMOOTHED else losses.LOSSES[name](smoothing)

    def _weighted(self, hp, term):
        weighted = copy.copy(term)
        low, high = 0.03 * term.weight, 30 * term.weight
        name = f"{term.name}_weight"
        weighted.weight = hp.Float(name, low, high, sampling="log", default=term.weight)
        return weighted


class _Watch(keras.callbacks.Callback):
    """Ends a trial that has failed, and a search whose objective nobody writes."""

    def __init__(self, callbacks):
        super().__init__()
        self.monitors = [c for c in callbacks if isinstance(c, CollapseMonitor)]
        tuners = [callback.tuner for callback in callbacks if hasattr(callback, "tuner")]
        self.objective = tuners[0].oracle.objective if tuners else None

    def on_epoch_end(self, epoch, logs=None):
        lost = [name for name in ("d_loss", "g_loss") if not math.isfinite(logs[name])]
        if lost:
            raise keras_tuner.errors.FailedTrialError(
                f"This GAN has diverged: {' and '.join(lost)} not finite after epoch {epoch + 1}."
            )
        for monitor in self.monitors:
            if monitor.stop and monitor.warning:
                raise keras_tuner.errors.FailedTrialError(monitor.warning)
        if self.objective is not None and not self.objective.has_value(logs):
            name = self.objective.name
            raise keras_tuner.errors.FatalValueError(
                f"The tuner's objective {name!r} is written by no callback. Expected one among the "
                f"`callbacks` of `tuner.search`, such as {_WRITERS.get(name, 'your own')}, or "
                f"validation data. Received logs: {sorted(logs)}"
            )


def _alike(make, latents):
    """Whether two samples differ by less than a thousandth of the range of their numbers."""
    first, second = np.float64(keras.ops.convert_to_numpy(make(latents)))
    return np.abs(first - second).max() <= 1e-3 * np.ptp([first, second])


def trials_table(tuner):
    """Return the trials of a search as a Markdown table, best first, failed ones last.

    Args:
        tuner: a tuner of KerasTuner, during or after its search.

    Returns:
        Text of one row for each trial: its number, its status, the score, the hyper-parameters.

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
    oracle = tuner.oracle
    sign = -1 if oracle.objective.direction == "max" else 1
    trials = sorted(
        oracle.trials.values(),
        key=lambda t: (t.score is None, sign * (t.score or 0.0), t.trial_id),
    )
    names = sorted({name for t in trials for name in t.hyperparameters.values if "/" not in name})
    rows = [["trial", "status", oracle.objective.name, *names], ["---"] * (3 + len(names))]
    for t in trials:
        values = [t.hyperparameters.values.get(name, "") for name in names]
        score = "" if t.score is None else f"{t.score:.4g}"
        rows.append([t.trial_id, t.status.lower(), score, *map(_brief, values)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _brief(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)

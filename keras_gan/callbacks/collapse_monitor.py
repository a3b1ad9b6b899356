"""CollapseMonitor: warnings of known failures of a GAN, and what usually helps."""

import math
import warnings

import numpy as np
from keras import ops

from keras_gan.callbacks.evaluate_samples import EvaluateSamples
from keras_gan.losses import Hinge, Wasserstein
from keras_gan.metrics import Metric, Score
from keras_gan.utils.typing import Array, Data, Logs
from keras_gan.utils.validation import check_flag, check_integer, check_number

__all__ = ["CollapseMonitor"]


class CollapseMonitor(EvaluateSamples):
    """Warns of collapse, of a discriminator that wins or loses, and of losses that are not finite.

    After each epoch it compares a few hundred samples, from the same latents each time, with as
    many real images, by distances between pixels:

    - `val_diversity` is the mean distance between two samples, divided by that between two real
      images. A generator of k equally frequent images reaches 1 − 1/k.
    - `val_duplicates` is the share of samples whose nearest other sample is closer than a tenth of the
      median distance of real images to their nearest neighbor.

    It logs both, as `EvaluateSamples` does, and warns, with advice, of

    - **collapse**: diversity is below, or duplicates are above, a threshold;
    - **a discriminator that wins**: `d_real − d_fake`, the means of D(x) and D(G(z)), is above `margin`;
    - **a discriminator that loses**: `d_real` is at or below `d_fake`. Scores are not decisions, and are
      left out: those of the Wasserstein and hinge losses, and means outside of [0, 1];
    - **losses or samples that are not finite**, at once.

    All but the last must last for `patience` epochs. Collapse and a discriminator that loses are not
    checked in the first `warm_up` training steps, since the samples of a new generator are alike. Each
    failure causes one warning, and another one only if it ends and returns.

    Args:
        real: array `(n, ...)` of real images in the value range of the samples, or a `tf.data.Dataset`
            of batches, such as the training data; labels are left out. `num_samples` images are used,
            evenly spaced in an array, or the first ones of a dataset.
        diversity: number in [0, 1], the lower threshold. Defaults to 0.4, below the 0.5 of two
            alternating images.
        duplicates: number in [0, 1], the upper threshold. Defaults to 0.5.
        margin: number in [0, 1], the upper threshold. Defaults to 0.9, as for D(x) = 0.95 and
            D(G(z)) = 0.05.
        patience: number of consecutive epochs that a failure must last. Defaults to 3.
        warm_up: number of training steps before collapse is checked, counted since `gan.compile` over
            all runs of `fit`. Defaults to 2000: the nets of 2014 need about 1200 on MNIST.
        stop: whether a warning also ends training, after its epoch. Defaults to False.
        num_samples: number of samples to compare, at least 2. Defaults to 256.
        seed: integer that the latents are drawn from. Defaults to 0.
        condition: array of `num_samples` conditions for a conditional GAN, distributed as those of
            the real images. Defaults to None.
        use_ema: whether to check samples of the EMA of the generator's weights, see
            `EvaluateSamples`. Defaults to False.

    Attributes:
        warning: the latest warning of this run, or None.

    Raises:
        ValueError: an argument is invalid; when training begins, `real` has fewer than two distinct
            images, or another shape or range than the samples.
        TypeError: an argument has the wrong type; when training begins, the model has no `generate`.

    Example:

    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> gan = kg.GAN(generator, discriminator, seed=0)
    >>> gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    >>> points = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    >>> monitor = kg.callbacks.CollapseMonitor(points, stop=True)
    >>> history = gan.fit(points, epochs=2, verbose=0, callbacks=[monitor])
    >>> sorted(name for name in history.history if name.startswith("val"))
    ['val_diversity', 'val_duplicates']
    """

    _hint = "Use one CollapseMonitor in a run."

    def __init__(
        self,
        real: Data,
        *,
        diversity: float = 0.4,
        duplicates: float = 0.5,
        margin: float = 0.9,
        patience: int = 3,
        warm_up: int = 2000,
        stop: bool = False,
        num_samples: int = 256,
        seed: int = 0,
        condition: Array | None = None,
        use_ema: bool = False,
    ) -> None:
        super().__init__(
            _Diversity(),
            real,
            num_samples=check_integer("num_samples", num_samples, minimum=2),
            seed=seed,
            condition=condition,
            use_ema=use_ema,
        )
        self.diversity = check_number("diversity", diversity, minimum=0, maximum=1)
        self.duplicates = check_number("duplicates", duplicates, minimum=0, maximum=1)
        self.margin = check_number("margin", margin, minimum=0, maximum=1)
        self.patience = check_integer("patience", patience, minimum=1)
        self.warm_up = check_integer("warm_up", warm_up, minimum=0)
        self.stop = check_flag("stop", stop)
        self._max_images = self.num_samples
        self._streaks: dict[str, int] = {}
        self.warning: str | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Read the real images, and reset the warnings."""
        super().on_train_begin(logs)
        self._streaks = {}
        self.warning = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Evaluate, log, and warn of failures that have lasted long enough."""
        logs = {} if logs is None else logs
        super().on_epoch_end(epoch, logs)
        finders = {
            "nonfinite": self._nonfinite,
            "collapse": self._collapse,
            "win": self._win,
            "loss": self._loss,
        }
        for kind, find in finders.items():
            symptom = find(logs)
            patience = 1 if kind == "nonfinite" else self.patience
            streak = self._streaks.get(kind, 0) + 1 if symptom else 0
            # A deep copy of this callback shares the old dict.
            self._streaks = {**self._streaks, kind: streak}
            if streak == patience:
                self._warn(epoch + 1, symptom, _HELP[kind])

    def _warn(self, number, symptom, advice):
        end = " Training stops here (`stop=True`)." if self.stop else ""
        message = f"CollapseMonitor, after epoch {number}: {symptom} What usually helps: {advice}.{end}"
        self.warning = message
        warnings.warn(message, stacklevel=2)
        if self.stop:
            self.model.stop_training = True

    def _report(self, message, error=None):
        """See base class; `_nonfinite` warns instead."""

    def _nonfinite(self, logs):
        losses = [name for name in ("d_loss", "g_loss") if not math.isfinite(logs.get(name, 0.0))]
        if losses:
            names = " and ".join(losses)
            return f"not finite: {names}. Training has diverged, or the data are not finite."
        if not math.isfinite(logs["val_diversity"]):
            return "not finite: the samples. The generator has diverged."
        return None

    def _is_young(self):
        return ops.convert_to_numpy(self.model.optimizer.iterations) < self.warm_up

    def _check(self, samples):
        # Images of 8 bits hold integers, far outside of [-1, 1].
        (measure,) = self._measures
        *_, levels = measure.state
        if levels > 20 and np.abs(samples).max() <= 1:
            raise ValueError(
                f"The real images must be in the value range of the samples, which lie in "
                f"[{samples.min():.3g}, {samples.max():.3g}]. Received: integers up to {levels:g}. "
                "Scale `real` as the training data, such as "
                "`real / 255` for a sigmoid and `real / 127.5 - 1` for tanh."
            )

    def _collapse(self, logs):
        diversity, duplicates = logs["val_diversity"], logs["val_duplicates"]
        if self._is_young():
            return None
        if diversity < self.diversity or duplicates > self.duplicates:
            return (
                f"the samples are alike: their diversity is {diversity:.2g} of that of the real images "
                f"(threshold {self.diversity}) and {duplicates:.0%} are near-duplicates (threshold "
                f"{self.duplicates:.0%}), for {self.patience} epochs."
            )
        return None

    def _decisions(self, logs):
        """Return the means of D(x) and D(G(z)), or NaN if they are scores."""
        real, fake = logs.get("d_real", math.nan), logs.get("d_fake", math.nan)
        if isinstance(self.model.loss, (Hinge, Wasserstein)) or not (0 <= real <= 1 and 0 <= fake <= 1):
            return math.nan, math.nan
        return real, fake

    def _win(self, logs):
        real, fake = self._decisions(logs)
        if real - fake > self.margin:
            return (
                f"the discriminator wins: D(x) = {real:.3g} and D(G(z)) = {fake:.3g}, more than "
                f"{self.margin} apart for {self.patience} epochs, so that the generator learns little."
            )
        return None

    def _loss(self, logs):
        real, fake = self._decisions(logs)
        if real <= fake and not self._is_young():
            return (
                f"the discriminator loses: D(x) = {real:.3g} is not above D(G(z)) = {fake:.3g}, "
                f"for {self.patience} epochs. It has stopped learning, or it cannot tell the samples "
                "from real images: look at them."
            )
        return None


_HELP = {
    "nonfinite": (
        "lower learning rates; `clipnorm=1.0` in both optimizers; data within the range of the "
        "generator's output; `keras.callbacks.TerminateOnNaN()` to stop at once"
    ),
    "collapse": (
        "`terms=[kg.terms.R1(weight=1.0)]`, or `loss='wasserstein'` with "
        "`terms=[kg.terms.GradientPenalty()]`; a lower learning rate of the generator, or "
        "`discriminator_steps=2`; larger batches; an older checkpoint, since runs rarely recover"
    ),
    "win": (
        "`terms=[kg.terms.R1(weight=1.0)]`, or more of its weight; a lower learning rate of the "
        "discriminator than of the generator; `loss=kg.losses.NonSaturating(label_smoothing=0.1)`; "
        "`keras.layers.GaussianNoise(0.1)` or dropout at the discriminator's input; more data"
    ),
    "loss": (
        "`discriminator_steps=2`; a lower learning rate of the generator than of the discriminator; "
        "less weight of its terms, less dropout and noise; a larger discriminator"
    ),
}


class _Diversity(Metric):
    """Distances between samples, relative to those between real images."""

    names = ("diversity", "duplicates")

    def prepare(self, real):
        if len(real) < 2 or (real == real[:1]).all():
            raise ValueError("distances need at least two distinct images.")
        distances, nearest = _distances(real)
        levels = real.max() if (real == np.rint(real)).all() else 0
        return len(real), distances.mean(), np.median(nearest), levels

    def evaluate(self, state, fake):
        # The distance to the nearest sample depends on their number.
        num_real, spread, spacing, _ = state
        distances, nearest = _distances(fake[:num_real])
        values = {
            "diversity": distances.mean() / spread,
            "duplicates": np.mean(nearest < spacing / 10),
        }
        return Score(values, num_real, len(distances), extractor="pixels")


def _distances(images):
    """Return the distances from each image to all others, `(n, n − 1)`, and to the nearest."""
    rows = images.reshape(len(images), -1).astype("float64")
    rows = rows - rows.mean(axis=0)
    squares = np.sum(rows**2, axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0))
    others = ~np.eye(len(rows), dtype=bool)
    distances = distances[others].reshape(len(rows), -1)
    return distances, distances.min(axis=1)

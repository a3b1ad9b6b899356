"""CollapseMonitor: says when a GAN fails in one of the known ways, and what usually helps."""

import math
import numbers
import warnings
from typing import Any

import numpy as np
from keras import ops

from keras_gan.callbacks.evaluate_samples import EvaluateSamples
from keras_gan.losses import Hinge, Wasserstein
from keras_gan.metrics import Metric, Score
from keras_gan.metrics.metric import check_whole
from keras_gan.utils.typing import Array, Data, Logs


class CollapseMonitor(EvaluateSamples):
    """Warns when samples are alike, when one player has won, and when losses are not finite.

    After each epoch it measures a few hundred samples, from the same latents each time, against as
    many real images, in the space of pixels:

    - `val_diversity` is the mean distance between two samples, as a share of that between two real
      images. A generator of k equally frequent images reaches 1 − 1/k.
    - `val_duplicates` is the share of samples whose nearest other sample is ten times nearer than
      is usual among as many real images (a tenth of their median).

    It writes both into the logs, as `EvaluateSamples` does, and warns, with what usually helps, of

    - **collapse**: diversity below, or duplicates above their thresholds;
    - **decisions that drift apart**, to a discriminator that has won: `d_real − d_fake`, the means of
      D(x) − D(G(z)), above `margin`;
    - **decisions that drift past each other**, to a discriminator that is lost: `d_real` at or below
      `d_fake`. Scores are no decisions and not judged: those of the Wasserstein and hinge losses, and
      means outside [0, 1];
    - **losses or samples that are not finite**, at once.

    All but the last must last for `patience` epochs. Collapse, and a discriminator that is lost, are not
    judged in the first `warm_up` training steps, since the samples of a new generator are alike. Each
    kind is warned of once, and again only after it was gone.

    Args:
        real: array `(n, ...)` of real images in the range of the samples, or a `tf.data.Dataset` of
            batches, such as the training data; labels are left out. `num_samples` of them are used:
            an array's are taken from all of it, a dataset's from its beginning.
        diversity: float, warn below it. Defaults to 0.4, less than two images that take turns have.
        duplicates: float, warn above it. Defaults to 0.5.
        margin: float, warn above it. Defaults to 0.9, as of D(x) = 0.95 and D(G(z)) = 0.05.
        patience: int, epochs in a row that a failure must last. Defaults to 3.
        warm_up: int, training steps before collapse is judged, counted from `gan.compile` on over all
            runs of `fit`. Defaults to 2000: the 2014 nets need some 1200 on MNIST.
        stop: bool, whether a warning also ends training, after its epoch. Defaults to `False`.
        num_samples: int, samples to compare with each other, at least 2. Defaults to 256.
        seed: int, what the latents are drawn from. Defaults to 0.
        condition: array of `num_samples` conditions for a GAN that takes one, as mixed as those of
            the real images. Defaults to `None`.
        use_ema: bool, whether the average of the generator's weights makes the samples, as of
            `EvaluateSamples`. Defaults to `False`.

    Attributes:
        warning: the latest warning of this run, or None.

    Raises:
        ValueError: an argument that cannot be; when training begins, `real` with fewer than two
            images, all the same, or of another shape or range than the samples.
        TypeError: when training begins, a model without `generate`.

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

    _way_out = "One CollapseMonitor is enough for a run."

    def __init__(
        self,
        real: Data,
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
        samples: dict[str, Any] = {
            "num_samples": num_samples,
            "seed": seed,
            "condition": condition,
            "use_ema": use_ema,
        }
        super().__init__(_Diversity(), real, **samples)
        check_whole(2, num_samples=num_samples)
        check_whole(1, patience=patience)
        check_whole(0, warm_up=warm_up)
        _check_share(diversity=diversity, duplicates=duplicates, margin=margin)
        self.diversity = diversity
        self.duplicates = duplicates
        self.margin = margin
        self.patience = patience
        self.warm_up = warm_up
        self.stop = stop
        self._most = num_samples
        self._streaks: dict[str, int] = {}
        self.warning: str | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Read the real images, and forget what an earlier run showed."""
        super().on_train_begin(logs)
        self._streaks = {}
        self.warning = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Measure, log, and warn of what has lasted long enough."""
        logs = {} if logs is None else logs
        super().on_epoch_end(epoch, logs)
        finders = {
            "flaw": self._flaw,
            "collapse": self._collapse,
            "win": self._win,
            "loss": self._loss,
        }
        for kind, find in finders.items():
            sight = find(logs)
            patience = 1 if kind == "flaw" else self.patience
            streak = self._streaks.get(kind, 0) + 1 if sight else 0
            # A new dict: a deep copy of this callback shares the old one.
            self._streaks = {**self._streaks, kind: streak}
            if streak == patience:
                self._warn(epoch + 1, sight, _HELP[kind])

    def _warn(self, number, sight, advice):
        end = " Training stops here (`stop=True`)." if self.stop else ""
        message = f"CollapseMonitor, after epoch {number}: {sight} What usually helps: {advice}.{end}"
        self.warning = message
        warnings.warn(message, stacklevel=2)
        if self.stop:
            self.model.stop_training = True

    def _report(self, message, error=None):
        """Leave it to the warning of what is not finite."""

    def _flaw(self, logs):
        losses = [name for name in ("d_loss", "g_loss") if not math.isfinite(logs.get(name, 0.0))]
        if losses:
            names = " and ".join(losses)
            return f"not finite: {names}. Training has diverged, or the data hold such numbers."
        if not math.isfinite(logs["val_diversity"]):
            return "not finite: the samples. The generator has diverged."
        return None

    def _is_young(self):
        return ops.convert_to_numpy(self.model.optimizer.iterations) < self.warm_up

    def _check(self, samples):
        # Levels of 8 bits are whole numbers, which samples in [-1, 1] are far from.
        (measure,) = self._measures
        *_, levels = measure.state
        if levels > 20 and np.abs(samples).max() <= 1:
            raise ValueError(
                f"The real images hold whole numbers up to {levels:g}, but the generator's samples "
                f"reach from {samples.min():.3g} to {samples.max():.3g}: beside such images all "
                "samples seem alike. Bring `real` to the range of the training data, such as "
                "`real / 255` for a sigmoid and `real / 127.5 - 1` for a tanh."
            )

    def _collapse(self, logs):
        diversity, duplicates = logs["val_diversity"], logs["val_duplicates"]
        if self._is_young():
            return None
        if diversity < self.diversity or duplicates > self.duplicates:
            return (
                f"the samples are alike: their diversity is {diversity:.2g} of the real images' (less "
                f"than {self.diversity} is warned of) and {duplicates:.0%} are near-duplicates (more "
                f"than {self.duplicates:.0%} is), for {self.patience} epochs."
            )
        return None

    def _decisions(self, logs):
        """Return the means of D(x) and D(G(z)), or NaN for what are scores."""
        real, fake = logs.get("d_real", math.nan), logs.get("d_fake", math.nan)
        if isinstance(self.model.loss, (Hinge, Wasserstein)) or not (0 <= real <= 1 and 0 <= fake <= 1):
            return math.nan, math.nan
        return real, fake

    def _win(self, logs):
        real, fake = self._decisions(logs)
        if real - fake > self.margin:
            return (
                f"the discriminator has won: D(x) = {real:.3g} and D(G(z)) = {fake:.3g}, more than "
                f"{self.margin} apart for {self.patience} epochs, so that the generator learns little."
            )
        return None

    def _loss(self, logs):
        real, fake = self._decisions(logs)
        if real <= fake and not self._is_young():
            return (
                f"the discriminator is lost: D(x) = {real:.3g} is no more than D(G(z)) = {fake:.3g}, "
                f"for {self.patience} epochs. It has stopped learning, or the samples are as good as it "
                "can tell: look at them."
            )
        return None


_HELP = {
    "flaw": (
        "lower learning rates; `clipnorm=1.0` in both optimizers; data within the range of the "
        "generator's output; `keras.callbacks.TerminateOnNaN()` to stop at once"
    ),
    "collapse": (
        "`terms=[kg.terms.R1(weight=1.0)]`, or `loss='wasserstein'` with "
        "`terms=[kg.terms.GradientPenalty()]`; a lower learning rate of the generator, or "
        "`discriminator_steps=2`; larger batches; an older checkpoint, since a collapse seldom heals"
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
    """How far samples lie from each other, by the measure of real images."""

    names = ("diversity", "duplicates")

    def prepare(self, real):
        if len(real) < 2 or (real == real[:1]).all():
            raise ValueError("two different images are the least that distances can be measured on.")
        distances, nearest = _distances(real)
        levels = real.max() if (real == np.rint(real)).all() else 0
        return len(real), distances.mean(), np.median(nearest), levels

    def evaluate(self, state, fake):
        # Among more samples the nearest is nearer.
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


def _check_share(**arguments):
    for name, value in arguments.items():
        if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
            raise ValueError(f"`{name}` is a number from 0 to 1. Received: {value!r}")

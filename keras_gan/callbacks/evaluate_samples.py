"""EvaluateSamples: metrics of samples in the logs of training."""

import math
import re
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_gan.callbacks.base import MAX_SAMPLES, EpochCallback, load_images
from keras_gan.metrics import Metric
from keras_gan.utils import structures
from keras_gan.utils.typing import Array, Data, Logs
from keras_gan.utils.validation import check_flag, check_integer

__all__ = ["NUM_PROBE", "EvaluateSamples"]

NUM_PROBE = 16  # samples that are checked before training
_RENAME = "Pass the metrics as a dict to rename them."


class EvaluateSamples(EpochCallback):
    """Evaluates samples every few epochs, and logs the numbers as `val_<name>`.

    The losses of a GAN do not show how good its samples are. The numbers that this callback logs appear
    in the progress bar, in `History` and in TensorBoard, and can be monitored by `EarlyStopping`,
    `ModelCheckpoint` or a KerasTuner objective. `GAN.fit` calls callbacks that monitor a number after
    the others. Place callbacks that plot or write the logs after this one.

    The samples are `gan.generate(num_samples, seed=seed)`, from the same latents each time. The first
    epoch of a run, every n-th and the last are evaluated. In between, the latest numbers are logged
    again, so that monitors find their key in every epoch and `History` has one number for each. A
    repeated number is not an improvement: choose a patience that spans several evaluations. A resumed
    run continues with the latest numbers of the history, which `kg.callbacks.Resume` restores, and
    evaluates its first epoch if there are none.

    If a metric fails, or samples are not finite, a warning is issued and NaN is logged. Keras uses the
    first monitored number as the best so far, and no number is better than NaN: if a metric may fail
    in the first epoch, set `stop_on_error` or the baseline of the monitor.

    Args:
        metrics: a metric, a list of metrics, or a dict from names to metrics. A metric is a
            `kg.metrics.Metric`, which prepares the real images once and whose values keep their names;
            or a function `(real, fake)` that returns a number, which is logged under the name of the
            function. A name in a dict replaces these names, or is their prefix if the metric has
            several values.
        real: array `(n, ...)` of real images in the value range of the samples, or a `tf.data.Dataset`
            of batches, which is read once, when training begins; labels are left out.
        every: number of epochs between two evaluations. Defaults to 1.
        num_samples: number of samples. Many metrics depend on it: compare only results with the same
            number. Defaults to 1000.
        seed: integer that the latents are drawn from. Defaults to 0.
        condition: array of `num_samples` conditions, or one for all samples, for a conditional GAN.
            Defaults to None.
        batch_size: number of samples to generate at a time. Defaults to 500.
        stop_on_error: whether to end training with an error if a metric fails or samples are not
            finite. Defaults to False: a warning.
        use_ema: whether to evaluate samples of the EMA of the generator's weights, which requires
            `gan.compile(ema_decay=...)`. Defaults to False. With it, save the best epoch with
            `ModelCheckpoint`: `EarlyStopping(restore_best_weights=True)` restores the weights, but not
            their EMA.

    Attributes:
        results: dict from names to the latest result of each metric, such as a `kg.metrics.Score`
            with its provenance; None if the metric failed.

    Raises:
        ValueError: an argument is invalid; when training begins, `real` has no images, has
            another shape than the samples or is refused by a metric; a name is already logged.
        TypeError: an argument has the wrong type; when training begins, the model has no `generate`.
        RuntimeError: with `stop_on_error`, a metric failed or samples are not finite.

    Example:

    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> gan = kg.GAN(generator, discriminator, seed=0)
    >>> gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    >>> points = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    >>> def distance_of_means(real, fake):
    ...     return np.linalg.norm(real.mean(axis=0) - fake.mean(axis=0))
    >>> measure = kg.callbacks.EvaluateSamples(distance_of_means, points, num_samples=100)
    >>> stop = keras.callbacks.EarlyStopping("val_distance_of_means", mode="min", patience=10)
    >>> history = gan.fit(points, epochs=3, verbose=0, callbacks=[measure, stop])
    >>> len(history.history["val_distance_of_means"])
    3
    """

    _hint = _RENAME
    _real_name = "real"

    def __init__(
        self,
        metrics: Callable[..., Any] | Sequence[Callable[..., Any]] | dict[str, Any],
        real: Data,
        *,
        every: int = 1,
        num_samples: int = 1000,
        seed: int = 0,
        condition: Array | None = None,
        batch_size: int = 500,
        stop_on_error: bool = False,
        use_ema: bool = False,
    ) -> None:
        super().__init__(every)
        self.metrics = metrics
        self.real = real
        self.num_samples = check_integer("num_samples", num_samples, minimum=1, maximum=MAX_SAMPLES)
        self.seed = check_integer("seed", seed, minimum=0)
        self.condition = condition
        self.batch_size = check_integer("batch_size", batch_size, minimum=1)
        self.stop_on_error = check_flag("stop_on_error", stop_on_error)
        self.use_ema = check_flag("use_ema", use_ema)
        self.results: dict[str, Any] = {}
        self._measures = _measures(metrics)
        self._max_images: int | None = None
        self._sample_shape = None
        self._latest: dict[str, float] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Read the real images, and check a few samples before training."""
        super().on_train_begin(logs)
        if self._sample_shape is None:
            self._read()
        if isinstance(getattr(self.model, "sample_spec", None), (Mapping, tuple, list)):
            raise ValueError(
                f"{type(self).__name__} evaluates samples that are one array. Received: a generator of "
                f"a structure, of shapes {self.model.sample_shape}."
            )
        samples = self._first_samples()
        if samples.shape[1:] != self._sample_shape:
            raise ValueError(
                f"The real images must have the shape of the samples, {samples.shape[1:]}. Received: "
                f"{self._sample_shape}. Pass images such as those that the GAN is trained on."
            )
        self._check(samples)
        self._latest = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Evaluate if the epoch is due, and log the latest numbers."""
        logs = {} if logs is None else logs
        if not self._latest and epoch > 0:
            self._latest = self._logged()
        if not self._latest or self._is_due(epoch + 1):
            self._latest = self._evaluate(epoch + 1)
        taken = sorted(self._latest.keys() & logs.keys())
        if taken:
            raise ValueError(
                f"{type(self).__name__} logs {taken}, which another callback, or validation, has "
                f"already logged. {self._hint}"
            )
        logs.update(self._latest)

    def _logged(self):
        """Return the last numbers in the history of an earlier run, or {} if one is missing."""
        history = getattr(getattr(self.model, "history", None), "history", {})
        keys = [f"val_{key}" for measure in self._measures for key in measure.keys]
        return {key: history[key][-1] for key in keys} if all(map(history.get, keys)) else {}

    def _read(self):
        real = load_images(self.real, self._max_images, self._real_name)
        for measure in self._measures:
            try:
                measure.prepare(real)
            except Exception as error:
                raise ValueError(
                    f"The metric {measure.name!r} refuses the real images, `{self._real_name}` of shape "
                    f"{real.shape} and dtype {real.dtype}: {error}"
                ) from error
        self._sample_shape = real.shape[1:]

    def _samples(self, n, condition):
        options = {"seed": self.seed, "batch_size": self.batch_size, "use_ema": self.use_ema}
        return np.asarray(self.model.generate(n, condition=condition, **options))

    def _first_samples(self):
        """Return a few samples, to check their shape and range."""
        condition = self.condition
        if hasattr(self.model, "data_spec"):
            condition = self.model.data_spec.conditions(condition, self.num_samples)
        few = min(self.num_samples, NUM_PROBE)
        return self._samples(few, structures.cut(condition, 0, few))

    def _check(self, samples):
        """Refuse samples, before training, whose metrics would be meaningless."""

    def _evaluate(self, number):
        fake = self._samples(self.num_samples, self.condition)
        finite = np.isfinite(fake.reshape(len(fake), -1)).all(axis=1)
        self.results = dict.fromkeys(measure.name for measure in self._measures)
        if not finite.all():
            bad = f"{np.count_nonzero(~finite)} of {len(fake)} samples"
            self._report(
                f"After epoch {number}, {bad} are not finite: the generator has "
                "diverged. Lower the learning rates, or stop with `keras.callbacks.TerminateOnNaN`."
            )
        values_by_key = {}
        for measure in self._measures:
            values = self._measure(measure, fake, number) if finite.all() else measure.nan_values()
            for key, value in values.items():
                if f"val_{key}" in values_by_key:
                    raise ValueError(f"Two metrics return a value named {key!r}. {_RENAME}")
                values_by_key[f"val_{key}"] = value
        return values_by_key

    def _measure(self, measure, fake, number):
        try:
            self.results[measure.name], values = measure.evaluate(fake)
        except Exception as error:
            kind = type(error).__name__
            self._report(
                f"The metric {measure.name!r} failed after epoch {number}: {kind}: {error}", error
            )
            values = measure.nan_values()
        return values

    def _report(self, message, error=None):
        if self.stop_on_error:
            failure = RuntimeError(message)
            if error is not None:
                # Keras' traceback filter hides the cause of an error, but not its notes.
                failure.add_note("".join(traceback.format_exception(error)))
            raise failure from error
        warnings.warn(f"{message} NaN is logged.", stacklevel=2)


class _Measure:
    """A metric, its name, and what it has prepared of the real images."""

    def __init__(self, name, metric, renames=False):
        if not isinstance(metric, Metric) and (isinstance(metric, type) or not callable(metric)):
            raise TypeError(
                "A metric must be an instance of `kg.metrics.Metric`, or a function `(real, fake)` that "
                f"returns a number. Received: {metric!r}"
            )
        self.name, self.metric, self.renames = name, metric, renames
        self.state = None
        self.keys = list(self._renamed(dict.fromkeys(getattr(metric, "names", ()) or [name])))

    def prepare(self, real):
        self.state = self.metric.prepare(real) if isinstance(self.metric, Metric) else real

    def evaluate(self, fake):
        """Return the result of the metric, and its values by the names in the logs."""
        evaluate = self.metric.evaluate if isinstance(self.metric, Metric) else self.metric
        result = evaluate(self.state, fake)
        values = getattr(result, "values", None)
        values = values if isinstance(values, dict) else {self.name: result}
        values = {key: float(value) for key, value in self._renamed(values).items()}
        self.keys = list(values)
        return result, values

    def _renamed(self, values):
        if self.renames and len(values) == 1:
            return dict.fromkeys([self.name], *values.values())
        if self.renames:
            return {f"{self.name}_{key}": value for key, value in values.items()}
        return values

    def nan_values(self):
        """Return NaN for each name of the latest values, or of the metric before the first."""
        return dict.fromkeys(self.keys, math.nan)


def _measures(metrics):
    if isinstance(metrics, dict):
        measures = [_Measure(name, metric, renames=True) for name, metric in metrics.items()]
    else:
        metrics = metrics if isinstance(metrics, (list, tuple)) else [metrics]
        measures = [_Measure(_name(metric), metric) for metric in metrics]
    names = [measure.name for measure in measures]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`metrics` must be one or more metrics with distinct names. Received the names: {names}. "
            f"{_RENAME}"
        )
    return measures


def _name(metric):
    """Return `"parzen_window"` for a `ParzenWindow()`, and the name of a function."""
    if isinstance(metric, Metric):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(metric).__name__.lstrip("_")).lower()
    name = getattr(metric, "__name__", "<lambda>")
    if name == "<lambda>":
        raise ValueError(
            f'The metric {metric!r} has no name for the logs. Give it one: `metrics={{"name": metric}}`.'
        )
    return name

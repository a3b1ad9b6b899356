"""EvaluateSamples: metrics of the samples, among the numbers that training logs."""

import math
import re
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_gan.callbacks.base import EpochCallback, gather
from keras_gan.metrics import Metric
from keras_gan.metrics.metric import check_whole
from keras_gan.utils import structures
from keras_gan.utils.typing import Array, Data, Logs

FEW = 16  # samples that are looked at before training
_RENAME = "Pass the metrics as a dict, which gives them other names."


class EvaluateSamples(EpochCallback):
    """Measures samples every few epochs, and logs the numbers as `val_<name>`.

    Losses of a GAN do not say how good its samples are. What this callback writes into the logs
    stands in the progress bar and in `History`, is drawn by `keras.callbacks.TensorBoard`, and can
    be what `EarlyStopping`, `ModelCheckpoint` or a KerasTuner objective monitors. Put it **before**
    such callbacks in the list: each sees what those before it wrote.

    The samples are `gan.generate(num_samples, seed=seed)`, from the same latents each time, so that
    numbers change because the generator does. The first epoch of a run, every n-th and the last are
    measured. In the epochs between, the latest numbers are logged again: monitors find their key in
    every epoch, History has one number for each, and no repetition counts as an improvement, so
    that patience counts epochs as ever. Let it span several measurements. A run that is resumed goes
    on with the latest numbers of the history, which `kg.callbacks.Resume` restores, and without them
    measures its first epoch.

    A metric that fails, and samples that are not finite, are named in a warning, and NaN is logged.
    Keras takes the first number that it monitors for the best so far, and nothing is better than
    NaN: with metrics that may fail in the first epoch, set `stop_on_error` or a monitor's baseline.

    Args:
        metrics: a metric, a list of them, or a dict from names to them. A metric is a
            `kg.metrics.Metric`, whose `prepare` is called once, when training begins, and whose
            values keep their names; or a function `(real, fake)` that returns a number, which goes
            by the function's name. In a dict, the name takes the place of theirs, and precedes them
            if a metric has several values.
        real: array `(n, ...)` of real images in the range of the samples, or a `tf.data.Dataset` of
            batches, which is gathered once, when training begins; its labels are left out.
        every: int, epochs from one measurement to the next. Defaults to 1.
        num_samples: int, samples to measure. Many metrics are biased by it: compare numbers that
            share it. Defaults to 1000.
        seed: int, what the latents are drawn from. Defaults to 0.
        condition: array of `num_samples` conditions, or one for all samples, for a GAN that takes
            one. Defaults to `None`.
        batch_size: int, samples to make at a time. Defaults to 500.
        stop_on_error: bool, whether a metric that fails, or samples that are not finite, end
            training with an error. Defaults to `False`: a warning.
        use_ema: bool, whether the average of the generator's weights makes the samples, which
            `gan.compile(ema_decay=...)` keeps. Defaults to `False`. What is then the best epoch
            is kept by `ModelCheckpoint`, and loaded from its file: `EarlyStopping` with
            `restore_best_weights=True` brings back the weights, but leaves the average as it is.

    Attributes:
        results: dict from names to what each metric returned last, such as a `kg.metrics.Score`,
            which says how its numbers were made; `None` where it failed.

    Raises:
        ValueError: an argument that cannot be; when training begins, `real` without images, of
            another shape than the samples or refused by a metric; a name that is taken.
        TypeError: what is no metric; when training begins, a model without `generate`.
        RuntimeError: with `stop_on_error`, from what went wrong.

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

    _way_out = _RENAME

    def __init__(
        self,
        metrics: Callable[..., Any] | Sequence[Callable[..., Any]] | dict[str, Any],
        real: Data,
        every: int = 1,
        num_samples: int = 1000,
        seed: int = 0,
        condition: Array | None = None,
        batch_size: int = 500,
        stop_on_error: bool = False,
        use_ema: bool = False,
    ) -> None:
        super().__init__(every)
        check_whole(1, num_samples=num_samples, batch_size=batch_size)
        check_whole(0, seed=seed)
        self.metrics = metrics
        self.real = real
        self.num_samples = num_samples
        self.seed = seed
        self.condition = condition
        self.batch_size = batch_size
        self.stop_on_error = stop_on_error
        self.use_ema = use_ema
        self.results: dict[str, Any] = {}
        self._measures = _measures(metrics)
        self._most: int | None = None
        self._sample_shape = None
        self._latest: dict[str, float] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Read the real images, and report what would spoil the first measurement."""
        super().on_train_begin(logs)
        if self._sample_shape is None:
            self._read()
        if isinstance(getattr(self.model, "sample_spec", None), (Mapping, tuple, list)):
            raise ValueError(
                f"{type(self).__name__} measures samples that are one array. The generator's are a "
                f"structure, of shapes {self.model.sample_shape}."
            )
        samples = self._first_samples()
        if samples.shape[1:] != self._sample_shape:
            raise ValueError(
                f"The real images have shape {self._sample_shape}, but the generator's samples "
                f"{samples.shape[1:]}. Pass images such as those that it is trained on."
            )
        self._check(samples)
        self._latest = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Measure, if it is this epoch's turn, and log the latest numbers."""
        logs = {} if logs is None else logs
        if not self._latest and epoch > 0:
            self._latest = self._logged()
        if not self._latest or self._is_due(epoch + 1):
            self._latest = self._evaluate(epoch + 1)
        taken = sorted(self._latest.keys() & logs.keys())
        if taken:
            raise ValueError(
                f"{type(self).__name__} measured {taken}, but another callback, or validation, has "
                f"logged them already. {self._way_out}"
            )
        logs.update(self._latest)

    def _logged(self):
        """Return the last numbers in the history of an earlier run, or {} if it lacks one of them."""
        history = getattr(getattr(self.model, "history", None), "history", {})
        keys = [f"val_{key}" for measure in self._measures for key in measure.keys]
        return {key: history[key][-1] for key in keys} if all(map(history.get, keys)) else {}

    def _read(self):
        real = gather(self.real, self._most)
        for measure in self._measures:
            try:
                measure.prepare(real)
            except Exception as error:
                raise ValueError(
                    f"The metric {measure.name!r} refuses the real images, of shape {real.shape} and "
                    f"dtype {real.dtype}: {error}"
                ) from error
        self._sample_shape = real.shape[1:]

    def _samples(self, n, condition):
        how = {"seed": self.seed, "batch_size": self.batch_size, "use_ema": self.use_ema}
        return np.asarray(self.model.generate(n, condition=condition, **how))

    def _first_samples(self):
        """Return a few of the samples: enough to see their shape and range, and what is refused."""
        condition = self.condition
        if hasattr(self.model, "data_spec"):
            condition = self.model.data_spec.conditions(condition, self.num_samples)
        few = min(self.num_samples, FEW)
        return self._samples(few, structures.cut(condition, 0, few))

    def _check(self, samples):
        """Refuse samples that could only give numbers without a meaning, before training."""

    def _evaluate(self, number):
        fake = self._samples(self.num_samples, self.condition)
        finite = np.isfinite(fake.reshape(len(fake), -1)).all(axis=1)
        self.results = dict.fromkeys(measure.name for measure in self._measures)
        if not finite.all():
            bad = f"{np.count_nonzero(~finite)} of {len(fake)} samples"
            self._report(
                f"After epoch {number}, {bad} hold numbers that are not finite: the generator has "
                "diverged. Lower the learning rates, or stop with `keras.callbacks.TerminateOnNaN`."
            )
        found = {}
        for measure in self._measures:
            values = self._measure(measure, fake, number) if finite.all() else measure.nothing()
            for key, value in values.items():
                if f"val_{key}" in found:
                    raise ValueError(f"Two metrics give the number {key!r}. {_RENAME}")
                found[f"val_{key}"] = value
        return found

    def _measure(self, measure, fake, number):
        try:
            self.results[measure.name], values = measure.evaluate(fake)
        except Exception as error:
            kind = type(error).__name__
            self._report(
                f"The metric {measure.name!r} failed after epoch {number}: {kind}: {error}", error
            )
            values = measure.nothing()
        return values

    def _report(self, message, error=None):
        if self.stop_on_error:
            failure = RuntimeError(message)
            if error is not None:
                # The filter of Keras hides the cause of an error, but not its notes.
                failure.add_note("".join(traceback.format_exception(error)))
            raise failure from error
        warnings.warn(f"{message} NaN is logged.", stacklevel=2)


class _Measure:
    """A metric, the name that it goes by, and the real images, or what it needs of them."""

    def __init__(self, name, metric, renames=False):
        if not isinstance(metric, Metric) and (isinstance(metric, type) or not callable(metric)):
            raise TypeError(
                "A metric is a `kg.metrics.Metric`, made already, or a function `(real, fake)` that "
                f"returns a number. Received: {metric!r}"
            )
        self.name, self.metric, self.renames = name, metric, renames
        self.state = None
        self.keys = list(self._renamed(dict.fromkeys(getattr(metric, "names", ()) or [name])))

    def prepare(self, real):
        self.state = self.metric.prepare(real) if isinstance(self.metric, Metric) else real

    def evaluate(self, fake):
        """Return the metric's result, and its values by the names that are logged."""
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

    def nothing(self):
        """Return NaN by the names of the latest values, or of the metric before there are any."""
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
            f"`metrics` needs one metric or more, each of another name. Received the names: {names}. "
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
            f"The metric {metric!r} has no name to be logged by. Give it one: "
            '`metrics={"name": metric}`.'
        )
    return name

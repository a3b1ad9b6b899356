"""The contracts of metrics: one signature, and results that say how they were computed."""

import inspect
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_gan.metrics.arrays import as_probabilities, as_rows, sample_batches, to_numpy
from keras_gan.utils.typing import Array, Classifier, Extractor, Samples
from keras_gan.utils.validation import check_integer, check_string

__all__ = [
    "ClassifierMetric",
    "FeatureMetric",
    "FeatureState",
    "Metric",
    "Score",
    "check_split",
    "standard_error",
    "warn",
]


@dataclass(frozen=True)
class Score:
    """The values of a metric, and the conditions that another score must share to be comparable.

    Scores of samples depend on the features, the weights of the extractor, the resizing, the number of
    samples and the real data, more than on most changes of a model. So a score always records them.

    Attributes:
        values: dict from names to numbers: `{"fid": 12.3}`, `{"precision": 0.7, "recall": 0.6}`.
        num_real: number of real samples.
        num_fake: number of generated samples.
        extractor: name of the feature extractor; `None` if the metric uses none.
        weights: SHA-256 of the extractor's weights, hexadecimal; `None` if it has none.
        resizer: how images were resized to the extractor's size; `None` if they were not.
        split: name of the real data, such as `"mnist test"`; `None` if not given.
        errors: dict from some names of `values` to standard deviations, which the metric documents.
        settings: dict of the settings of the metric and of its extractor, such as
            `{"value_range": (0.0, 1.0), "k": 5}`.

    Raises:
        TypeError: `values`, `errors` or `settings` is not a dict; a number of samples is not an integer.
        ValueError: a number of samples is negative.

    Example:

    >>> score = kg.metrics.Score({"fid": 12.345}, 10_000, 5_000, extractor="pixels", split="test")
    >>> print(score)
    fid 12.35 (10000 real of test, 5000 fake; pixels)
    """

    values: dict[str, float]
    num_real: int
    num_fake: int
    extractor: str | None = None
    weights: str | None = None
    resizer: str | None = None
    split: str | None = None
    errors: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("values", "errors", "settings"):
            if not isinstance(getattr(self, name), dict):
                raise TypeError(f"`{name}` must be a dict. Received: {getattr(self, name)!r}.")
        check_integer("num_real", self.num_real, minimum=0)
        check_integer("num_fake", self.num_fake, minimum=0)

    def __str__(self) -> str:
        items = self.values.items()
        values = ", ".join(f"{name} {value:.4g}{self._error(name)}" for name, value in items)
        real = f"{self.num_real} real" + (f" of {self.split}" if self.split else "")
        parts = [self.extractor, self.weights and f"weights {self.weights[:12]}", self.resizer]
        parts += [f"{name} = {value}" for name, value in self.settings.items()]
        conditions = ", ".join(part for part in parts if part)
        return f"{values} ({real}, {self.num_fake} fake{'; ' + conditions if conditions else ''})"

    def _error(self, name):
        return f" ± {self.errors[name]:.2g}" if name in self.errors else ""


class Metric:
    """Base class of metrics: `metric(real, fake)` compares generated samples with real ones.

    Subclasses define `prepare`, which reduces the real samples once, and `evaluate`, which may then be
    called on many sets of samples, as `kg.callbacks.EvaluateSamples` does in each epoch. The numbers
    of a result are in its attribute `values`, a dict from names to floats.

    `real` and `fake` are arrays `(n, ...)`. Metrics of features also accept batches, such as a
    `tf.data.Dataset` (see `FeatureMetric`); `ParzenWindow`, `Memorization` and `ModeCoverage` do not.

    Attributes:
        names: tuple of the names that `values` will have, set by the class, so that NaN can be logged
            under them before the first result. Empty by default: one name, derived from the class.

    Example:

    >>> class MeanBrightness(kg.metrics.Metric):
    ...     names = ("brightness",)
    ...     def prepare(self, real):
    ...         return np.mean(real)
    ...     def evaluate(self, state, fake):
    ...         return kg.metrics.Score({"brightness": np.mean(fake) - state}, 1, len(fake))
    >>> MeanBrightness()(real=np.zeros((1, 4)), fake=np.ones((3, 4))).values["brightness"].item()
    1.0
    """

    names: tuple[str, ...] = ()

    def prepare(self, real: Array) -> Any:
        """Return the state that `evaluate` needs of the real samples, as small as possible."""
        raise NotImplementedError(f"{type(self).__name__} must define `prepare`.")

    def evaluate(self, state: Any, fake: Array) -> Any:
        """Return a result with a dict `values`, such as a `Score`.

        Args:
            state: the return value of `prepare`.
            fake: array `(n, ...)` of generated samples.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `evaluate`.")

    def __call__(self, real: Any, fake: Any) -> Any:
        """Return `evaluate(prepare(real), fake)`."""
        return self.evaluate(self.prepare(real), fake)


@dataclass(frozen=True)
class FeatureState:
    """The state of a metric of features, and the extractor that it was computed with.

    Attributes:
        state: return value of the metric's `_prepare`.
        provenance: record of the extractor, whose weights may change later.
    """

    state: object
    provenance: dict[str, Any]


class FeatureMetric(Metric):
    """Base class of metrics of features.

    `real` and `fake` are samples of shape `(n, ...)`, such as images of shape `(n, height, width,
    channels)`, rows of a table or series: one array, or batches in a `tf.data.Dataset`, a generator or
    a list (but not a tuple). If a batch is a tuple `(x, ...)`, only `x` is used.

    Subclasses define `_prepare(real)` and `_evaluate(state, fake)`, which `prepare` and `evaluate` call.
    `evaluate` raises an error if the extractor has changed since `prepare`, for example because its
    model was trained. Subclasses read features with `feature_batches`, or with `all_features` if they
    need all rows at once, and return `score(...)`.

    Args:
        extractor: a callable from an array of samples to an array of features `(n, size)`, with
            attributes `name`, `weights` (SHA-256 or `None`), `resizer` (a name or `None`) and `size`.
            If it has a dict `settings` of whatever else determines its features, scores record them.
        split: str, name of the real data, such as `"mnist test"`; only recorded. Defaults to `None`.

    Raises:
        TypeError: the extractor lacks one of these; `real` or `fake` are not samples.
        ValueError: samples of another shape, an infinite dataset, no samples, or an extractor that does
            not return finite numbers of shape `(n, size)`; a state from another extractor, or from
            other weights.

    Example:

    >>> class MeanDistance(kg.metrics.FeatureMetric):
    ...     def _prepare(self, real):
    ...         return self.all_features("real", real)
    ...     def _evaluate(self, state, fake):
    ...         features = self.all_features("fake", fake)
    ...         distance = np.linalg.norm(features.mean(axis=0) - state.mean(axis=0))
    ...         return self.score({"distance": float(distance)}, len(state), len(features))
    """

    def __init__(self, extractor: Extractor, *, split: str | None = None) -> None:
        missing = [a for a in ("name", "weights", "resizer", "size") if not hasattr(extractor, a)]
        if missing or isinstance(extractor, type) or not callable(extractor):
            raise TypeError(
                "`extractor` must be a callable object, with attributes `name`, `weights`, `resizer` "
                f"and `size`. Received: {extractor!r}"
                + (f", without {', '.join(missing)}." if missing else ".")
            )
        self.extractor = extractor
        self.split = check_split(split)

    def _prepare(self, real: Samples) -> Any:
        """Return the state that `_evaluate` needs of the real samples."""
        raise NotImplementedError(f"{type(self).__name__} must define `_prepare`.")

    def _evaluate(self, state: Any, fake: Samples) -> Score:
        """Return the `Score` of samples, given the return value of `_prepare`."""
        raise NotImplementedError(f"{type(self).__name__} must define `_evaluate`.")

    def prepare(self, real: Samples) -> FeatureState:
        """Return the state that `evaluate` needs of the real samples, with a record of the extractor."""
        return FeatureState(self._prepare(real), self._provenance())

    def evaluate(self, state: FeatureState, fake: Samples) -> Score:
        """Return the `Score` of samples, given the return value of `prepare`."""
        if not isinstance(state, FeatureState):
            raise TypeError(
                "`state` must be the return value of this metric's `prepare(real)`. "
                f"Received: {type(state).__name__}."
            )
        then, now = state.provenance, self._provenance()
        if then != now:
            changes = ", ".join(
                f"{name} was {then[name]!r}, is {now[name]!r}" for name in now if then[name] != now[name]
            )
            raise ValueError(
                "The extractor has changed since `prepare`, so features of real and generated samples "
                f"are not comparable: {changes}. Call `prepare(real)` again, and do not compare the "
                "score with earlier ones; or use an extractor whose model is not being trained."
            )
        return self._evaluate(state.state, fake)

    def _provenance(self):
        extractor = self.extractor
        return {
            "extractor": extractor.name,
            "weights": extractor.weights,
            "resizer": extractor.resizer,
            "settings": dict(getattr(extractor, "settings", {})),
        }

    def feature_batches(self, name: str, samples: Samples) -> Iterator[np.ndarray]:
        """Yield the features of samples, batch by batch; `name` is for error messages."""
        for batch in sample_batches(name, samples):
            features = self._extract(self.extractor, name, batch)
            expected = (len(batch), self.extractor.size)
            if features.shape != expected:
                raise ValueError(
                    f"The extractor {self.extractor.name!r} must return one row of "
                    f"{self.extractor.size} features per sample. Expected shape {expected} for a batch "
                    f"of `{name}` of shape {batch.shape}. Received shape: {features.shape}. Stack a "
                    "list of samples into one array with `np.stack`."
                )
            yield as_rows(f"features of {name}", features)

    def _extract(self, function, name, batch):
        """Return the result of the extractor as an array, or raise an error that names the samples."""
        try:
            return to_numpy(function(batch))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(
                f"The extractor {self.extractor.name!r} rejected `{name}`, a batch of shape "
                f"{batch.shape}: {error}"
            ) from error

    def all_features(self, name: str, samples: Samples) -> np.ndarray:
        """Return the features of all samples, of shape `(n, size)`."""
        return np.concatenate(list(self.feature_batches(name, samples)))

    def score(
        self,
        values: dict[str, float],
        num_real: int,
        num_fake: int,
        errors: dict[str, float] | None = None,
        **settings: Any,
    ) -> Score:
        """Return a `Score` that records the extractor and the name of the real data."""
        provenance = self._provenance()
        provenance["settings"] |= settings
        return Score(values, num_real, num_fake, split=self.split, errors=errors or {}, **provenance)


class ClassifierMetric(FeatureMetric):
    """Base class for metrics of predicted class probabilities.

    Args:
        extractor: as for `FeatureMetric`, with a method `probabilities(samples)` that returns an array
            `(n, num_classes)`. If it has an attribute `classifies`, that must be true.
        split: as for `FeatureMetric`.

    Raises:
        TypeError: the extractor is not a classifier.
        ValueError: as `FeatureMetric`; the classifier does not return class probabilities.

    Example:

    >>> issubclass(kg.metrics.InceptionScore, kg.metrics.ClassifierMetric)
    True
    """

    extractor: Classifier

    def __init__(self, extractor: Classifier, *, split: str | None = None) -> None:
        super().__init__(extractor, split=split)
        has_method = callable(getattr(extractor, "probabilities", None))
        if not has_method or not getattr(extractor, "classifies", True):
            raise TypeError(
                f"{type(self).__name__} needs a classifier: an extractor with a method `probabilities`, "
                f"such as `DigitClassifier`. Received: {extractor!r}, named {extractor.name!r}."
            )

    def probabilities(self, samples: np.ndarray, *, name: str = "samples") -> np.ndarray:
        """Return the class probabilities of a batch of samples, of shape `(n, num_classes)`.

        Args:
            samples: array `(n, ...)`.
            name: what error messages call the samples.
        """
        rows = self._extract(self.extractor.probabilities, name, samples)
        if rows.ndim != 2 or len(rows) != len(samples):
            raise ValueError(
                f"The classifier {self.extractor.name!r} must return one row of class probabilities per "
                f"sample. Expected shape ({len(samples)}, num_classes) for a batch of `{name}` of shape "
                f"{samples.shape}. Received shape: {rows.shape}."
            )
        return as_probabilities(f"probabilities of {self.extractor.name}", rows)


def check_split(split: str | None) -> str | None:
    """Return the name of the real data, or raise."""
    return None if split is None else check_string("split", split)


def warn(message: str) -> None:
    """Issue a warning that points to the line outside this package that led here."""
    frame, level = inspect.currentframe(), 1
    while frame and frame.f_globals.get("__name__", "").startswith("keras_gan."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def standard_error(values: np.ndarray) -> float:
    """Return the population standard deviation over √n, or NaN for one value."""
    return float(values.std() / np.sqrt(len(values))) if len(values) > 1 else math.nan

"""What all metrics have in common: one signature, and results that say how they were made."""

import inspect
import math
import numbers
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import ops

from keras_gan.utils.typing import Array, Classifier, Extractor, Images, Shape

BATCH_SIZE = 256  # images of one array that an extractor sees at once
ROUNDING = 1e-3  # how far the sum of a row of probabilities may be from 1
INFINITE = -1  # what the `cardinality` of a `tf.data.Dataset` says of one that never ends


@dataclass(frozen=True)
class Score:
    """What a metric found, and all that another score must share to be compared with it.

    Scores of generated images depend on the features, the weights that made them, the resizing, the
    numbers of images and the real images they are held against, more than on most changes of a
    model. So none is given without them.

    Attributes:
        values: dict from names to numbers: `{"fid": 12.3}`, `{"precision": 0.7, "recall": 0.6}`.
        num_real: how many real images were used.
        num_fake: how many samples of the model were used.
        extractor: name of what made the features; `None` if the metric needs none.
        weights: SHA-256 of the extractor's weights, hexadecimal; `None` if it has none.
        resizer: how images were brought to the extractor's size; `None` if they were not.
        split: what the user calls the real images, such as `"mnist test"`; `None` if not said.
        errors: dict from some names of `values` to standard deviations; what of, the metric says.
        settings: dict of the settings of the metric and of its extractor, such as
            `{"value_range": (0.0, 1.0), "k": 5}`.

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

    def __str__(self) -> str:
        items = self.values.items()
        found = ", ".join(f"{name} {value:.4g}{self._error(name)}" for name, value in items)
        real = f"{self.num_real} real" + (f" of {self.split}" if self.split else "")
        how = [self.extractor, self.weights and f"weights {self.weights[:12]}", self.resizer]
        how += [f"{name} = {value}" for name, value in self.settings.items()]
        made = ", ".join(part for part in how if part)
        return f"{found} ({real}, {self.num_fake} fake{'; ' + made if made else ''})"

    def _error(self, name):
        return f" ± {self.errors[name]:.2g}" if name in self.errors else ""


class Metric:
    """Base class of metrics: `metric(real, fake)` holds samples against real ones.

    A member writes `reference`, which summarises real images once, and `compare`, which may then be
    called for many sets of samples, as `kg.callbacks.EvaluateSamples` does in each epoch. The numbers
    of a result stand in its `values`, a dict from names to floats.

    `real` and `fake` are arrays `(n, ...)`. Metrics of features take images in batches too, such as a
    `tf.data.Dataset` (see `FeatureMetric`); `ParzenWindow`, `Memorisation` and `ModeCoverage` do not.

    Attributes:
        names: tuple of the names that `values` will have, set by the class, so that NaN can be logged
            by them before the first result. Empty, the default: one, named after the class.

    Example:

    >>> class MeanBrightness(kg.metrics.Metric):
    ...     names = ("brightness",)
    ...     def reference(self, real):
    ...         return np.mean(real)
    ...     def compare(self, reference, fake):
    ...         return kg.metrics.Score({"brightness": np.mean(fake) - reference}, 1, len(fake))
    >>> MeanBrightness()(real=np.zeros((1, 4)), fake=np.ones((3, 4))).values["brightness"].item()
    1.0
    """

    names: tuple[str, ...] = ()

    def reference(self, real: Array) -> Any:
        """Return what `compare` needs of real images; its size should not grow without need."""
        raise NotImplementedError(f"{type(self).__name__} must define `reference`.")

    def compare(self, reference: Any, fake: Array) -> Any:
        """Return a result with a dict `values`, such as a `Score`."""
        raise NotImplementedError(f"{type(self).__name__} must define `compare`.")

    def __call__(self, real: Any, fake: Any) -> Any:
        """Return `compare(reference(real), fake)`."""
        return self.compare(self.reference(real), fake)


@dataclass(frozen=True)
class Reference:
    """What a metric of features keeps of real images, and the extractor that it was made with.

    Attributes:
        summary: what the metric's `summarise` returned.
        provenance: what is recorded of the extractor, whose weights may change after.
    """

    summary: object
    provenance: dict[str, Any]


class FeatureMetric(Metric):
    """Base class of metrics of the features of images.

    Here `real` and `fake` are images of shape `(n, height, width, channels)`: an array, or batches of
    them, such as a `tf.data.Dataset`, a generator or a list, but not a tuple. Of a batch that is a tuple
    `(x, ...)` only `x` is used.

    A member writes `summarise(real)`, which `reference` calls, and `judge(summary, fake)`, which
    `compare` calls if the extractor is still the same: a reference is of no use once the model that
    made its features has been trained on. It computes with `batches`, or with `gather` if it needs all
    rows at once, and reports with `score`.

    Args:
        extractor: what makes features: a function of an array of images that returns an array
            `(n, size)`, with attributes `name`, `weights` (SHA-256 or `None`), `resizer` (a name or
            `None`) and `size`. If it has a dict `settings` of what else decides its features, scores
            hold them among their own.
        split: str, what the real images are, such as `"mnist test"`; only reported. Defaults to `None`.

    Raises:
        TypeError: an extractor that lacks one of these; `real` or `fake` that are not images.
        ValueError: images of another shape, an infinite dataset, no images, or an extractor that
            returns other than finite numbers of shape `(n, size)`; a reference made with another
            extractor, or other weights.

    Example:

    >>> class MeanDistance(kg.metrics.FeatureMetric):
    ...     def summarise(self, real):
    ...         return self.gather("real", real)
    ...     def judge(self, summary, fake):
    ...         features = self.gather("fake", fake)
    ...         distance = np.linalg.norm(features.mean(axis=0) - summary.mean(axis=0))
    ...         return self.score({"distance": float(distance)}, len(summary), len(features))
    """

    def __init__(self, extractor: Extractor, split: str | None = None) -> None:
        missing = [a for a in ("name", "weights", "resizer", "size") if not hasattr(extractor, a)]
        if missing or not callable(extractor):
            raise TypeError(
                "An extractor is called on images, and has the attributes `name`, `weights`, `resizer` "
                f"and `size`. Received {extractor!r}, "
                + (f"without {', '.join(missing)}." if missing else "which cannot be called.")
            )
        self.extractor = extractor
        self.split = split

    def summarise(self, real: Images) -> Any:
        """Return what `judge` needs of real images."""
        raise NotImplementedError(f"{type(self).__name__} must define `summarise`.")

    def judge(self, summary: Any, fake: Images) -> Score:
        """Return the `Score` of samples held against what `summarise` returned."""
        raise NotImplementedError(f"{type(self).__name__} must define `judge`.")

    def reference(self, real: Images) -> Reference:
        """Return what `summarise` makes of real images, and what made it."""
        return Reference(self.summarise(real), self._provenance())

    def compare(self, reference: Reference, fake: Images) -> Score:
        """Return the `Score` of samples held against such a reference."""
        if not isinstance(reference, Reference):
            raise TypeError(
                "`reference` is what the method `reference(real)` of a metric of features returned. "
                f"Received: {type(reference).__name__}"
            )
        made, now = reference.provenance, self._provenance()
        if made != now:
            changed = ", ".join(
                f"{name} {made[name]!r}, now {now[name]!r}" for name in now if made[name] != now[name]
            )
            raise ValueError(
                "Features of real images and of samples come from one extractor, but that of the "
                f"reference was another: {changed}. Call `reference(real)` anew, and hold the score "
                "against no earlier one; or take an extractor whose model is not trained on."
            )
        return self.judge(reference.summary, fake)

    def _provenance(self):
        extractor = self.extractor
        return {
            "extractor": extractor.name,
            "weights": extractor.weights,
            "resizer": extractor.resizer,
            "settings": dict(getattr(extractor, "settings", {})),
        }

    def batches(self, name: str, images: Images) -> Iterator[np.ndarray]:
        """Yield the features of images, batch by batch; `name` is what errors call the images."""
        for batch in image_batches(name, images):
            features = feature_rows(f"features of {name}", self.extractor(batch))
            if features.shape != (len(batch), self.extractor.size):
                raise ValueError(
                    f"The extractor {self.extractor.name!r} should return one row of "
                    f"{self.extractor.size} features an image, of shape "
                    f"{(len(batch), self.extractor.size)}. It returned shape: {features.shape}"
                )
            yield features

    def gather(self, name: str, images: Images) -> np.ndarray:
        """Return the features of all images, of shape `(n, size)`."""
        return np.concatenate(list(self.batches(name, images)))

    def score(
        self,
        values: dict[str, float],
        num_real: int,
        num_fake: int,
        errors: dict[str, float] | None = None,
        **settings: Any,
    ) -> Score:
        """Return a `Score` that says which extractor was used and what the real images are."""
        made = self._provenance()
        made["settings"] |= settings
        return Score(values, num_real, num_fake, split=self.split, errors=errors or {}, **made)


class ClassifierMetric(FeatureMetric):
    """Base class of metrics of the classes that an extractor takes images for.

    Args:
        extractor: as for `FeatureMetric`, with a method `probabilities(images)` that returns an array
            `(n, num_classes)`. If it has an attribute `classifies`, that is true.
        split: as for `FeatureMetric`.

    Raises:
        TypeError: an extractor that is no classifier.
        ValueError: as `FeatureMetric`; what the classifier returns are no class probabilities.

    Example:

    >>> issubclass(kg.metrics.InceptionScore, kg.metrics.ClassifierMetric)
    True
    """

    extractor: Classifier

    def __init__(self, extractor: Classifier, split: str | None = None) -> None:
        super().__init__(extractor, split)
        callable_too = callable(getattr(extractor, "probabilities", None))
        if not callable_too or not getattr(extractor, "classifies", True):
            raise TypeError(
                f"{type(self).__name__} needs a classifier, an extractor whose method `probabilities` "
                f"returns those of images, such as `DigitClassifier`. Received {extractor!r}, named "
                f"{extractor.name!r}."
            )

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the class probabilities of a batch of images, of shape `(n, num_classes)`."""
        rows = as_array(self.extractor.probabilities(images))
        if rows.ndim != 2 or len(rows) != len(images):
            raise ValueError(
                f"The classifier {self.extractor.name!r} should return one row of class probabilities "
                f"an image, of shape ({len(images)}, num_classes). It returned shape: {rows.shape}"
            )
        return probability_rows(f"probabilities of {self.extractor.name}", rows)


def image_batches(name: str, images: Images) -> Iterator[np.ndarray]:
    """Yield arrays `(n, height, width, channels)` of images that are an array or come in batches."""
    count = 0
    for batch in _batches(name, images):
        batch = as_array(batch[0] if isinstance(batch, tuple) else batch)
        if batch.ndim != 4:
            raise ValueError(
                f"`{name}` are images of shape (n, height, width, channels), an array or in batches. "
                f"Received shape: {batch.shape}. Turn a list of images into an array with `np.stack`."
            )
        count += len(batch)
        if len(batch):
            yield batch
    if not count:
        raise ValueError(f"`{name}` holds no images. A generator can be read once: make it anew.")


def _batches(name, images):
    if hasattr(images, "shape"):
        if len(images.shape) != 4:
            return [images]
        return (images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE))
    if isinstance(images, tuple):
        raise TypeError(
            f"`{name}` are images: an array, or a list of batches. A tuple could be batches, or images "
            f"with their labels. Received one of {len(images)}. Pass a list of batches, or images alone."
        )
    if not hasattr(images, "__iter__"):
        raise TypeError(
            f"`{name}` are images: an array (n, height, width, channels), or batches of such. "
            f"Received: {type(images).__name__}"
        )
    if hasattr(images, "cardinality") and int(images.cardinality()) == INFINITE:
        raise ValueError(
            f"`{name}` is a dataset without an end. Take a part of it: `dataset.take(num_batches)`."
        )
    return images


def feature_rows(name: str, features: Array) -> np.ndarray:
    """Return features as an array `(n, d)` of finite numbers, or say why they are none."""
    rows = as_array(features)
    if rows.ndim != 2:
        raise ValueError(
            f"`{name}` are features, one row a sample: an array of shape (n, d). "
            f"Received shape: {rows.shape}. Make features of images with an extractor, "
            "or flatten them with `images.reshape(len(images), -1)`."
        )
    if rows.size == 0:
        raise ValueError(f"`{name}` is empty: received an array of shape {rows.shape}.")
    if rows.dtype.kind not in "biuf":
        raise TypeError(f"`{name}` are numbers. Received: dtype {rows.dtype}")
    if rows.dtype.kind != "f":
        rows = rows.astype(np.promote_types(rows.dtype, "float32"))
    finite = np.isfinite(rows)
    if not finite.all():
        raise ValueError(
            f"`{name}` must be finite numbers, but holds {np.count_nonzero(~finite)} that are not. "
            "Look at the samples: those of a generator that diverged have no features."
        )
    return rows


def probability_rows(name: str, probabilities: Array) -> np.ndarray:
    """Return probabilities of classes as a float64 array `(n, d)`, or say why they are none."""
    rows = feature_rows(name, probabilities).astype("float64")
    sums = rows.sum(axis=1)
    if rows.min() < 0 or abs(sums - 1).max() > ROUNDING:
        raise ValueError(
            f"Each row of `{name}` holds numbers of 0 or more that sum to 1. Received: numbers "
            f"from {rows.min():g} to {rows.max():g}, sums from {sums.min():g} to {sums.max():g}. "
            "Turn logits into probabilities with a softmax."
        )
    return rows


def as_array(data: Array) -> np.ndarray:
    """Return data as a NumPy array; on torch also a tensor of another device, or with gradients."""
    return ops.convert_to_numpy(data) if ops.is_tensor(data) else np.asarray(data)


def array_rows(name: str, data: Array) -> np.ndarray:
    """Return data as an array of numbers of shape `(n, ...)`, or say why it is none."""
    if not hasattr(data, "__array__") and not isinstance(data, (list, tuple)):
        raise TypeError(
            f"`{name}` is an array of shape (n, ...). Received: {type(data).__name__}. Gather what "
            "comes in batches, as a dataset or a generator does: `np.concatenate(list(batches))`."
        )
    try:
        rows = as_array(data)
    except ValueError as error:
        raise ValueError(f"`{name}` is an array, whose rows all have one shape: {error}") from error
    if rows.ndim < 2:
        raise ValueError(
            f"`{name}` is an array of shape (n, ...), one image or vector a row. "
            f"Received shape: {rows.shape}"
        )
    if rows.dtype.kind in "cmMOSU":
        raise TypeError(f"`{name}` are numbers. Received: dtype {rows.dtype}")
    return rows


def same_image_shape(name: str, shape: Shape, other_name: str, other_shape: Shape) -> None:
    """Refuse images of two shapes, also of equally many pixels; vectors may be flattened images."""
    if len(shape) > 1 and len(other_shape) > 1 and shape != other_shape:
        raise ValueError(
            f"Images are compared pixel by pixel, but those of `{name}` have shape {shape} and those of "
            f"`{other_name}` {other_shape}. Give both the same image shape."
        )


def same_width(name: str, rows: np.ndarray, other_name: str, other_rows: np.ndarray) -> None:
    """Refuse features of two different extractors."""
    if rows.shape[1] != other_rows.shape[1]:
        raise ValueError(
            f"Features are compared column by column, but `{name}` has {rows.shape[1]} columns and "
            f"`{other_name}` {other_rows.shape[1]}. Make both with the same extractor."
        )


def warn(message: str) -> None:
    """Give a warning that points to the line outside of this package that led here."""
    frame, level = inspect.currentframe(), 1
    while frame and frame.f_globals.get("__name__", "").startswith("keras_gan."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def standard_error(values: np.ndarray) -> float:
    """Return the population standard deviation over √n, or NaN: one value says nothing of it."""
    return float(values.std() / np.sqrt(len(values))) if len(values) > 1 else math.nan


def check_whole(least: int, **arguments: Any) -> None:
    """Refuse arguments that are not whole numbers of `least` or more."""
    for name, value in arguments.items():
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"`{name}` is a whole number of {least} or more. Received: {value!r}")

"""The contract of feature extractors."""

import math
from typing import Any, Self

import numpy as np

from keras_gan.metrics.arrays import as_samples
from keras_gan.utils.typing import Array, ValueRange
from keras_gan.utils.validation import check_range

__all__ = ["FeatureExtractor", "rescale"]

ROUNDING = 1e-6
LARGEST = 1e38  # float32 can represent it


class FeatureExtractor:
    """Base class of feature extractors: `extractor(samples)` returns a vector for each sample.

    Scores such as the Fréchet distance compare samples by their features, and change with the network
    that computes them, its weights and the resizing more than with most changes of a generator. So
    there is no default extractor and no fallback, and an extractor provides what a result must record.

    An extractor does not change: `copy.deepcopy`, which KerasTuner applies to callbacks and thus to the
    extractors in them, returns the same object.

    Subclasses define `__call__`, and `probabilities` if they classify.

    Args:
        value_range: pair (low, high) of the values of black and white in the images that it will be
            called on. `None` accepts any finite numbers, such as those of tables. Defaults to (0, 1).

    Attributes:
        name: str.
        weights: SHA-256 of the weights, hexadecimal; `None` without weights.
        resizer: str, how images of another size, or grayscale ones, are converted to those of the
            extractor; `None` if they are refused.
        size: int, length of a feature vector.
        classifies: bool, whether `probabilities` is defined.
        value_range: as the argument.
        settings: dict of whatever else determines the features, which scores record in their own.

    Raises:
        TypeError: `value_range` is not a pair of numbers.
        ValueError: they are not finite and increasing.

    Example:

    >>> class Brightness(kg.metrics.FeatureExtractor):
    ...     name, size = "brightness", 1
    ...     def __call__(self, samples):
    ...         return self.validate(samples).mean(axis=(1, 2, 3))[:, None].astype("float32")
    >>> Brightness()(np.full((2, 4, 4, 1), 0.25)).tolist()
    [[0.25], [0.25]]
    """

    name: str | None = None
    weights: str | None = None
    resizer: str | None = None
    size: int | None = None
    classifies = False

    def __init__(self, *, value_range: ValueRange | None = (0, 1)) -> None:
        self.value_range = None if value_range is None else check_range("value_range", value_range)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """Dict of whatever determines the features in addition to name, weights and resizer."""
        return {} if self.value_range is None else {"value_range": self.value_range}

    def __call__(self, samples: Array) -> np.ndarray:
        """Return the features of samples: float32 of shape `(n, size)`.

        Args:
            samples: array `(n, ...)` in `value_range`, such as images `(n, height, width, channels)`.

        Raises:
            ValueError: samples that are empty, not finite, outside `value_range`, or of a shape that
                the extractor does not accept.
            TypeError: data that are not an array of numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `__call__`.")

    def probabilities(self, samples: Array) -> np.ndarray:
        """Return the class probabilities of samples: float32 `(n, num_classes)`, rows sum to 1.

        Args:
            samples: as for a call.

        Raises:
            ValueError: as for a call.
            TypeError: as for a call; or the extractor is not a classifier.
        """
        raise TypeError(
            f"The extractor {self.name!r} is not a classifier: it has features, but no class "
            "probabilities. Use a classifier, such as `DigitClassifier` or `InceptionV3`, or a metric "
            "that needs only features."
        )

    def validate(self, samples: Array) -> np.ndarray:
        """Return samples as an array, or raise."""
        samples = as_samples("samples", samples)
        if samples.size == 0:
            raise ValueError(
                "An extractor needs samples, such as images of shape (n, height, width, channels), with "
                f"no axis of length 0. Received shape: {samples.shape}."
            )
        # A minimum is NaN if any number is.
        lowest, highest = float(samples.min()), float(samples.max())
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            raise ValueError(
                "An extractor needs finite numbers, but some are NaN or infinite: the generator may "
                "have diverged. `np.isfinite(samples)` shows where."
            )
        if self.value_range is None:
            if max(-lowest, highest) > LARGEST:
                raise ValueError(
                    f"An extractor needs numbers of at most {LARGEST:g} in absolute value. Received "
                    f"numbers from {lowest:g} to {highest:g}. Standardize the data."
                )
            return samples
        low, high = self.value_range
        slack = ROUNDING * (high - low)
        if lowest < low - slack or highest > high + slack:
            raise ValueError(
                f"The extractor {self.name!r} expects values in [{low:g}, {high:g}], but these reach "
                f"from {lowest:g} to {highest:g}. Create it with the `value_range` of the samples: "
                "(-1, 1) for a generator that ends in tanh, (0, 255) for bytes, None for tables."
            )
        return samples


def rescale(samples: np.ndarray, old: ValueRange | None, new: ValueRange | None) -> np.ndarray:
    """Return samples as float32, mapped from one range of values to another."""
    samples = samples.astype("float32")
    if old is None or new is None or old == new:
        return samples
    scale = (new[1] - new[0]) / (old[1] - old[0])
    return (samples - np.float32(old[0])) * np.float32(scale) + np.float32(new[0])

"""Extractors without a network: the samples themselves as features."""

import math
from collections.abc import Sequence

import numpy as np

from keras_gan.metrics.features.base import FeatureExtractor, rescale
from keras_gan.utils.typing import Array, ValueRange
from keras_gan.utils.validation import check_range, check_shape

__all__ = ["Identity", "Pixels"]

MAX_SIZE = 2**31 - 1


class Identity(FeatureExtractor):
    """The numbers of a sample as its features, unchanged: for tables, series and points.

    It needs no network and no weights. Distances depend on the scale of each column, so standardize
    columns of different units first.

    Args:
        shape: int or tuple of ints, the shape of one sample, such as 7 for a table of 7 columns.

    Raises:
        TypeError: `shape` is not an integer or a tuple of integers.
        ValueError: an integer in it is below 1, or their product above 2³¹ − 1.

    Example:

    >>> table = np.random.default_rng(0).normal(size=(1000, 7))
    >>> metric = kg.metrics.FID(kg.metrics.Identity(7), split="table")
    >>> print(metric(real=table, fake=table + 1.0))
    fid 7 (1000 real of table, 1000 fake; identity)
    """

    name = "identity"

    def __init__(self, shape: int | Sequence[int]) -> None:
        super().__init__(value_range=None)
        self.shape = check_shape("shape", shape)
        self.size = math.prod(self.shape)
        if self.size > MAX_SIZE:
            raise ValueError(f"`shape` must have at most {MAX_SIZE} numbers. Received: {shape!r}.")

    def __call__(self, samples: Array) -> np.ndarray:
        """Return each sample as a float32 vector, row by row."""
        samples = self.validate(samples)
        if samples.shape[1:] != self.shape:
            raise ValueError(
                f"The extractor {self.name!r} expects samples of shape {self.shape}. "
                f"Received: {samples.shape[1:]}. Create it with the `shape` of the samples."
            )
        return samples.astype("float32").reshape(len(samples), -1)


class Pixels(Identity):
    """The pixels of an image as its features, rescaled to [0, 1] from the range of the images.

    It needs no network and no weights. Distances between pixels say little about the content of images,
    but they are exact and the same everywhere: for small images, toy problems and tests.

    Args:
        shape: tuple of ints, `(height, width, channels)` of the images.
        value_range: pair (low, high) of the values of black and white in the images. Defaults to (0, 1),
            which leaves pixels unchanged.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: `shape` is not three integers >= 1, or `value_range` not finite and increasing.

    Example:

    >>> extractor = kg.metrics.Pixels((1, 2, 1), value_range=(-1, 1))
    >>> extractor(np.array([[[[-1.0], [0.5]]]]))
    array([[0.  , 0.75]], dtype=float32)
    """

    name = "pixels"

    def __init__(self, shape: Sequence[int], *, value_range: ValueRange = (0, 1)) -> None:
        super().__init__(shape)
        if len(self.shape) != 3:
            raise ValueError(
                "`shape` must be (height, width, channels), such as (28, 28, 1). "
                f"Received: {shape!r}. For samples that are not images use `Identity`."
            )
        self.value_range = check_range("value_range", value_range)

    def __call__(self, samples: Array) -> np.ndarray:
        """Return the pixels of each image, row by row, as a float32 vector."""
        return rescale(super().__call__(samples), self.value_range, (0.0, 1.0))

"""Samples that repeat each other, or the training data."""

import math

import numpy as np

from keras_gan.metrics.arrays import LARGEST, as_rows, as_samples, check_same_shape
from keras_gan.metrics.base import Metric, Score, check_split
from keras_gan.metrics.neighbors import nearest_distances
from keras_gan.utils.typing import Array
from keras_gan.utils.validation import check_number

__all__ = ["Memorization", "duplicate_threshold", "duplicates", "memorization_scores"]

# Bytes are 255 times as large as numbers in [0, 1]. The limit is lower, since samples may be dark.
RANGE_RATIO = 50


def duplicates(samples: Array, threshold: float) -> np.ndarray:
    """Return which samples are closer to another sample than a threshold.

    Many duplicates are a sign of a collapsed generator. Their share is the mean of the result, and
    `np.flatnonzero` gives their indices.

    Args:
        samples: array `(n, ...)` of at least two images, vectors or features.
        threshold: float greater than 0, a Euclidean distance between flattened samples. It depends
            on their size and range: `duplicate_threshold` derives it from real data.

    Returns:
        Boolean array `(n,)`.

    Raises:
        ValueError: fewer than two samples, or samples that are not finite; a threshold that is not
            finite and greater than 0.
        TypeError: samples or a threshold that are not numbers.

    Example:

    >>> kg.metrics.duplicates([[0.0, 0.0], [0.0, 0.1], [3.0, 4.0]], threshold=0.5).tolist()
    [True, True, False]
    """
    threshold = check_number("threshold", threshold, above=0, maximum=LARGEST)
    rows = _at_least_two("samples", samples)
    return nearest_distances(rows, rows, exclude_self=True)[:, 0] < threshold


def duplicate_threshold(real: Array, *, quantile: float = 0.01) -> float:
    """Return the distance below which only a share `quantile` of real images has another one.

    With it, about `quantile` of the samples of a perfect model are `duplicates`, if there are as many
    samples as real images: among more images, neighbors are closer.

    Args:
        real: array `(n, ...)` of at least two images, vectors or features.
        quantile: float between 0 and 1, a share of the real images. Defaults to 0.01.

    Returns:
        float, a Euclidean distance between flattened images.

    Raises:
        ValueError: fewer than two images, or images that are not finite; a quantile that is not between
            0 and 1; more copies among the real images than `quantile` of them.
        TypeError: images or a quantile that are not numbers.

    Example:

    >>> kg.metrics.duplicate_threshold([[0.0], [1.0], [3.0], [7.0]], quantile=0.5)
    1.5
    """
    quantile = check_number("quantile", quantile, above=0, below=1)
    rows = _at_least_two("real", real)
    nearest = nearest_distances(rows, rows, exclude_self=True)[:, 0]
    threshold = float(np.quantile(nearest, quantile))
    if threshold == 0:
        raise ValueError(
            f"{np.count_nonzero(nearest == 0)} of the {len(rows)} real images have an exact copy among "
            f"the others, so the quantile {quantile} of the distances is 0. Remove the copies, or "
            "increase `quantile`."
        )
    return threshold


def memorization_scores(samples: Array, training: Array, held_out: Array) -> dict[str, float]:
    """Compare the distances of samples and of held-out images to their nearest training images.

    Copies are closer to the training images than images that the model has never seen. The statistic is
    the Mann–Whitney U of these distances, as in Meehan, Chaudhuri and Dasgupta (2020, arXiv:2004.05675,
    "A non-parametric test to detect data-copying in generative models"). They average it over cells of
    the space; here the whole space is one cell.

    Distances between pixels detect exact copies, and little else: an image shifted by a pixel is far
    away, and blurred images are close to everything. Features can be given instead of images.

    Args:
        samples: array `(n, ...)` of the model's samples.
        training: array `(m, ...)` of the images that it was trained on.
        held_out: array `(k, ...)` of real images that it has not seen.

    Returns:
        Dict of floats:

        * `memorization`: probability that a sample is closer to the training images than a held-out
          image is (ties count half). 0.5 shows no copying; 1 means copies.
        * `memorization_ratio`: median distance of the samples over that of the held-out images. 1 shows
          no copying; 0 means copies.
        * `memorization_z`: the U statistic of the paper, in standard deviations under equal
          distributions. Below about −3 the model copies; above 3 samples are far from the data.

    Raises:
        ValueError: data that are empty, not finite, of different shapes, or in different value ranges
            (the greatest absolute value of one is over 50 times that of the training images, or
            below 1/50, and not 0); held-out images half of which are copies of training images.
        TypeError: data that are not an array of numbers, such as a dataset.

    Example:

    >>> images = np.random.default_rng(0).random((300, 4, 4, 1))
    >>> training, held_out = images[:200], images[200:]
    >>> scores = kg.metrics.memorization_scores(training[:50], training, held_out)
    >>> [round(score, 2) for score in scores.values()]
    [1.0, 0.0, -9.97]
    """
    metric = Memorization(training)
    reference = metric._reference_distances("held_out", held_out)
    return metric._compare(reference, metric._distances("samples", samples)).values


class Memorization(Metric):
    """Whether samples repeat training images: `memorization_scores` as a metric.

    The real images that it is called with are held-out ones: they must not be among `training`. The
    values of its `Score` are `memorization`, `memorization_ratio` and `memorization_z`.

    Args:
        training: array `(m, ...)` of the images that the model was trained on. It is kept, and each
            sample is compared with all of it.
        split: str, name of the held-out images, such as `"mnist test"`; only recorded. Defaults to
            `None`.

    Raises:
        TypeError, ValueError: as `memorization_scores`.

    Example:

    >>> images = np.random.default_rng(0).random((300, 4, 4, 1))
    >>> metric = kg.metrics.Memorization(training=images[:100])
    >>> score = metric(real=images[100:200], fake=images[200:])
    >>> score.num_real, score.settings, 0.4 < score.values["memorization"] < 0.6
    (100, {'training': 100}, True)
    """

    names = ("memorization", "memorization_ratio", "memorization_z")

    def __init__(self, training: Array, *, split: str | None = None) -> None:
        training = as_samples("training", training)
        self.training = as_rows("training", training)
        self.split = check_split(split)
        self._shape = training.shape[1:]
        self._magnitude = _magnitude(self.training)

    def prepare(self, real: Array) -> np.ndarray:
        """Return the distances from held-out images to their nearest training images."""
        return self._reference_distances("real", real)

    def evaluate(self, state: np.ndarray, fake: Array) -> Score:
        """See base class."""
        return self._compare(state, self._distances("fake", fake))

    def _reference_distances(self, name, images):
        distances = self._distances(name, images)
        if np.median(distances) == 0:
            raise ValueError(
                f"{np.count_nonzero(distances == 0)} of {len(distances)} held-out images are copies of "
                f"training images. Give real images in `{name}` that are not in `training`."
            )
        return distances

    def _compare(self, reference, distances):
        closer = _probability_less(distances, reference)
        n, k = len(distances), len(reference)
        # U counts the pairs, of n·k, whose sample is farther.
        deviation = math.sqrt((n + k + 1) / (12 * n * k))
        values = {
            "memorization": closer,
            "memorization_ratio": float(np.median(distances) / np.median(reference)),
            "memorization_z": (0.5 - closer) / deviation,
        }
        settings = {"training": len(self.training)}
        return Score(values, num_real=k, num_fake=n, split=self.split, settings=settings)

    def _distances(self, name, images):
        images = as_samples(name, images)
        check_same_shape(name, images.shape[1:], "training", self._shape)
        rows = as_rows(name, images)
        magnitude = _magnitude(rows)
        least, greatest = sorted([magnitude, self._magnitude])
        if 0 < least < greatest / RANGE_RATIO:
            raise ValueError(
                f"`{name}` and `training` have different value ranges (greatest absolute values "
                f"{magnitude:g} and {self._magnitude:g}). Rescale both to one range, such as [0, 1]."
            )
        return nearest_distances(rows, self.training)[:, 0]


def _probability_less(values, others):
    """Return P(a < b) + P(a = b)/2 for random members a of `values` and b of `others`."""
    others = np.sort(others)
    not_greater = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    return 1 - float(not_greater.mean()) / (2 * len(others))


def _at_least_two(name, data):
    rows = as_rows(name, data)
    if len(rows) < 2:
        raise ValueError(f"`{name}` must have at least 2 rows. Received: {len(rows)}.")
    return rows


def _magnitude(rows):
    """Return the greatest absolute value."""
    return max(float(rows.max()), -float(rows.min()))

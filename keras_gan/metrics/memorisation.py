"""Samples that repeat each other, or the training data."""

import math

import numpy as np

from keras_gan.metrics.metric import (
    Metric,
    Score,
    array_rows,
    feature_rows,
    same_image_shape,
    same_width,
)
from keras_gan.metrics.neighbours import nearest_distances
from keras_gan.utils.typing import REAL, Array

# Bytes reach 255 times as far as numbers in [0, 1]; dark samples reach less far in one range too.
RANGE_RATIO = 50


def duplicates(samples: Array, threshold: float) -> np.ndarray:
    """Say which samples have another sample closer than a threshold.

    Many of them are a sign of a collapsed generator. Their share is the mean of what is returned, and
    `np.flatnonzero` gives their places.

    Args:
        samples: array `(n, ...)` of two or more images, vectors or features.
        threshold: float greater than 0, a Euclidean distance between flattened samples. It depends
            on their size and range: `duplicate_threshold` derives it from real data.

    Returns:
        Boolean array `(n,)`.

    Raises:
        ValueError: samples that are fewer than two or not finite; a threshold that is not a finite
            number greater than 0.

    Example:

    >>> kg.metrics.duplicates([[0.0, 0.0], [0.0, 0.1], [3.0, 4.0]], threshold=0.5).tolist()
    [True, True, False]
    """
    is_number = isinstance(threshold, REAL) and not isinstance(threshold, bool)
    if not is_number or not 0 < threshold < math.inf:
        raise ValueError(f"`threshold` is a finite distance greater than 0. Received: {threshold!r}")
    rows = _rows("samples", samples)
    return nearest_distances(rows, rows, exclude_self=True)[:, 0] < threshold


def duplicate_threshold(real: Array, quantile: float = 0.01) -> float:
    """Return the distance below which real images have another one no more often than `quantile`.

    With it, about `quantile` of the samples of a perfect model are `duplicates`, if there are as many
    samples as real images: more images lie nearer to each other.

    Args:
        real: array `(n, ...)` of two or more images, vectors or features.
        quantile: float between 0 and 1, a share of the real images. Defaults to 0.01.

    Returns:
        float, a Euclidean distance between flattened images.

    Raises:
        ValueError: images that are fewer than two or not finite; a quantile that is not between 0
            and 1; more copies among the real images than `quantile` of them.

    Example:

    >>> kg.metrics.duplicate_threshold([[0.0], [1.0], [3.0], [7.0]], quantile=0.5)
    1.5
    """
    if not isinstance(quantile, REAL) or not 0 < quantile < 1:
        raise ValueError(f"`quantile` is a share between 0 and 1. Received: {quantile!r}")
    rows = _rows("real", real)
    nearest = nearest_distances(rows, rows, exclude_self=True)[:, 0]
    threshold = float(np.quantile(nearest, quantile))
    if threshold == 0:
        raise ValueError(
            f"{np.count_nonzero(nearest == 0)} of the {len(rows)} real images have an exact copy among "
            f"them, so the quantile {quantile} of the distances is 0. Remove the copies, or raise "
            "`quantile`."
        )
    return threshold


def memorisation_scores(samples: Array, training: Array, held_out: Array) -> dict[str, float]:
    """Compare how near samples, and held-out images, come to their nearest training images.

    A model that copies comes nearer than images that it has never seen. After Meehan, Chaudhuri and
    Dasgupta (2020, arXiv:2004.05675, "A non-parametric test to detect data-copying in generative
    models"), whose statistic is a Mann–Whitney U of these distances; here for the whole space at
    once, where they average over cells of it.

    Distances between pixels see copies, and little else: an image moved by a pixel is far away, and
    blurred ones are near to everything. Features can be given instead of images.

    Args:
        samples: array `(n, ...)` of the model's samples.
        training: array `(m, ...)` of the images that it was trained on.
        held_out: array `(k, ...)` of real images that it has not seen.

    Returns:
        Dict of floats:

        * `memorisation`: probability that a sample is nearer to the training images than a held-out
          image is (ties count half). 0.5 is no sign of copying; 1 is copies.
        * `memorisation_ratio`: median distance of the samples over that of the held-out images. 1 is no
          sign of copying; 0 is copies.
        * `memorisation_z`: the U statistic as the paper has it, in standard deviations of what two
          equal distributions give. Below −3 or so is copying, above 3 are samples far from the data.

    Raises:
        ValueError: data that are empty, not finite, of different image shapes or sizes, or in different
            ranges: the greatest absolute number of one is over 50 times that of the training images, or
            below 1/50 (and not 0); held-out images half of which are copies of training images.
        TypeError: data that are no array of numbers, such as a dataset.

    Example:

    >>> images = np.random.default_rng(0).random((300, 4, 4, 1))
    >>> training, held_out = images[:200], images[200:]
    >>> scores = kg.metrics.memorisation_scores(training[:50], training, held_out)
    >>> [round(score, 2) for score in scores.values()]
    [1.0, 0.0, -9.97]
    """
    return Memorisation(training)(real=held_out, fake=samples).values


class Memorisation(Metric):
    """Whether samples repeat training images: `memorisation_scores` as a metric.

    The real images that it is called with are held-out ones: they must not be among `training`. The
    values of its `Score` are `memorisation`, `memorisation_ratio` and `memorisation_z`.

    Args:
        training: array `(m, ...)` of the images that the model was trained on. It is kept, and each
            sample is compared with all of it.
        split: str, what the held-out images are, such as `"mnist test"`; only reported. Defaults to
            `None`.

    Raises:
        TypeError, ValueError: as `memorisation_scores`.

    Example:

    >>> images = np.random.default_rng(0).random((300, 4, 4, 1))
    >>> metric = kg.metrics.Memorisation(training=images[:100])
    >>> score = metric(real=images[100:200], fake=images[200:])
    >>> score.num_real, score.settings, 0.4 < score.values["memorisation"] < 0.6
    (100, {'training': 100}, True)
    """

    names = ("memorisation", "memorisation_ratio", "memorisation_z")

    def __init__(self, training: Array, split: str | None = None) -> None:
        training = array_rows("training", training)
        self.training = _rows("training", training)
        self.split = split
        self._shape = training.shape[1:]
        self._reach = _reach(self.training)

    def reference(self, real: Array) -> np.ndarray:
        """Return the distances from held-out images to their nearest training images."""
        distances = self._distances("real", real)
        if np.median(distances) == 0:
            raise ValueError(
                f"{np.count_nonzero(distances == 0)} of {len(distances)} held-out images are copies of "
                "training images. Give real images that are not in `training`."
            )
        return distances

    def compare(self, reference: np.ndarray, fake: Array) -> Score:
        """See base class."""
        distances = self._distances("fake", fake)
        nearer = _probability_less(distances, reference)
        n, k = len(distances), len(reference)
        # Of n·k pairs, U counts those whose sample is farther.
        deviation = math.sqrt((n + k + 1) / (12 * n * k))
        values = {
            "memorisation": nearer,
            "memorisation_ratio": float(np.median(distances) / np.median(reference)),
            "memorisation_z": (0.5 - nearer) / deviation,
        }
        settings = {"training": len(self.training)}
        return Score(values, num_real=k, num_fake=n, split=self.split, settings=settings)

    def _distances(self, name, images):
        images = array_rows(name, images)
        same_image_shape(name, images.shape[1:], "training", self._shape)
        rows = _rows(name, images)
        reach = _reach(rows)
        least, greatest = sorted([reach, self._reach])
        if 0 < least < greatest / RANGE_RATIO:
            raise ValueError(
                f"Copies in another range are no copies, and the numbers of `{name}` reach {reach:g} "
                f"from 0, those of `training` {self._reach:g}. Bring all to one range, such as [0, 1]."
            )
        same_width(name, rows, "training", self.training)
        return nearest_distances(rows, self.training)[:, 0]


def _probability_less(values, others):
    """Return P(a < b) + P(a = b)/2 for a random one of `values` and of `others`."""
    others = np.sort(others)
    not_greater = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    return 1 - float(not_greater.mean()) / (2 * len(others))


def _reach(rows):
    """Return the greatest absolute number."""
    return max(float(rows.max()), -float(rows.min()))


def _rows(name, images):
    images = array_rows(name, images)
    return feature_rows(name, images.reshape(len(images), math.prod(images.shape[1:])))

"""Inception score, from the class probabilities of any classifier."""

import itertools

import numpy as np

from keras_gan.metrics.arrays import as_probabilities, sample_batches
from keras_gan.metrics.base import ClassifierMetric, Score
from keras_gan.utils.typing import Array, Classifier, Samples
from keras_gan.utils.validation import check_integer

__all__ = ["InceptionScore", "inception_score"]

MAX_SPLITS = 100_000


def inception_score(probabilities: Array, *, splits: int = 10) -> tuple[float, float]:
    """Return the exponential of the mutual information between samples and their predicted classes.

    exp(E KL(p(y|x) ‖ p(y))) of Salimans et al. (2016, arXiv:1606.03498, section 4): from 1, if all
    samples look alike to the classifier, to the number of classes, if each sample certainly belongs to
    one class and all classes are equally frequent. It uses no real samples, and does not penalize a
    generator that draws one image per class.

    Call it an inception score in print only if the classifier is the Inception network of 2015. With
    another, such as a classifier of digits, it is comparable only with scores of that classifier.

    Args:
        probabilities: array `(n, num_classes)`, the class probabilities of each sample: the output of a
            softmax, not logits.
        splits: int, number of parts of consecutive rows whose scores are averaged, as in the code of
            2016. The score grows with the number of rows in a part. Defaults to 10.

    Returns:
        Pair of floats: mean and population standard deviation over the parts.

    Raises:
        ValueError: an array that is empty, not 2-D or does not hold probabilities; `splits` below 1 or
            above the number of rows.
        TypeError: probabilities that are not numbers; `splits` that is not an integer.

    Example:

    >>> kg.metrics.inception_score(np.eye(4), splits=1)
    (4.0, 0.0)
    >>> kg.metrics.inception_score(np.full((20, 4), 0.25), splits=2)
    (1.0, 0.0)
    """
    rows = as_probabilities("probabilities", probabilities)
    splits = check_integer("splits", splits, minimum=1, maximum=MAX_SPLITS)
    if len(rows) < splits:
        raise ValueError(
            f"Cannot cut {len(rows)} rows into {splits} parts. Give more samples, or fewer `splits`."
        )
    cuts = [part * len(rows) // splits for part in range(splits + 1)]
    scores = [_score(rows[start:end]) for start, end in itertools.pairwise(cuts)]
    return float(np.mean(scores)), float(np.std(scores))


class InceptionScore(ClassifierMetric):
    """Inception score of samples, from the class probabilities of the extractor.

    Call it so in print only if the classifier is the Inception network of 2015 (Salimans et al., 2016,
    arXiv:1606.03498); the result records which one it was. See `inception_score`.

    Args:
        extractor: classifier: as for `FeatureMetric`, with a method `probabilities(samples)` that
            returns an array `(n, num_classes)`.
        splits: int, number of parts of consecutive samples whose scores are averaged. Defaults to 10.
        split: str, name of the real data, such as `"mnist test"`; only recorded. Defaults to `None`.

    Returns:
        Called on real and generated samples: a `Score` with the value `inception_score`, whose error is
        the standard deviation between the parts. Only the number of real samples is used, and recorded;
        they may be `None`.

    Raises:
        TypeError: an extractor without `probabilities`.
        ValueError: as `FeatureMetric` and `inception_score`.

    Example:

    >>> class Brightness:
    ...     name, weights, resizer, size = "brightness", None, None, 1
    ...     def __call__(self, images):
    ...         return images.mean(axis=(1, 2))
    ...     def probabilities(self, images):
    ...         return np.concatenate([self(images), 1 - self(images)], axis=1)
    >>> fake = np.repeat([0.0, 1.0], 10).reshape(20, 1, 1, 1)
    >>> print(kg.metrics.InceptionScore(Brightness(), splits=1)(None, fake))
    inception_score 2 ± 0 (0 real, 20 fake; brightness, splits = 1)
    """

    names = ("inception_score",)

    def __init__(self, extractor: Classifier, *, splits: int = 10, split: str | None = None) -> None:
        super().__init__(extractor, split=split)
        self.splits = check_integer("splits", splits, minimum=1, maximum=MAX_SPLITS)

    def _prepare(self, real: Samples | None) -> int:
        """Return the number of real samples."""
        return 0 if real is None else sum(map(len, sample_batches("real", real)))

    def _evaluate(self, state: int, fake: Samples) -> Score:
        """Return the `Score` of samples; `state` is the number of real ones."""
        batches = sample_batches("fake", fake)
        probabilities = np.concatenate([self.probabilities(batch, name="fake") for batch in batches])
        value, deviation = inception_score(probabilities, splits=self.splits)
        values, errors = {"inception_score": value}, {"inception_score": deviation}
        return self.score(values, state, len(probabilities), errors, splits=self.splits)


def _score(rows):
    mean = rows.mean(axis=0)
    # p log(p / mean) tends to 0 with p.
    ratios = np.divide(rows, mean, out=np.ones_like(rows), where=rows > 0)
    return np.exp(np.sum(rows * np.log(ratios), axis=1).mean())

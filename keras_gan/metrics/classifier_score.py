"""Inception score, of any classifier's probabilities."""

import itertools

import numpy as np

from keras_gan.metrics.metric import (
    ClassifierMetric,
    Score,
    check_whole,
    image_batches,
    probability_rows,
)
from keras_gan.utils.typing import Array, Classifier, Images


def inception_score(probabilities: Array, splits: int = 10) -> tuple[float, float]:
    """Exponential of the mutual information of samples and the classes that they are taken for.

    exp(E KL(p(y|x) ‖ p(y))) of Salimans et al. (2016, arXiv:1606.03498, section 4): from 1, where
    all samples look alike to the classifier, to the number of classes, where each sample is surely of
    one class and all classes are equally frequent. It knows no real images, and does not see a generator
    that draws one image a class.

    Call it an inception score in print only if the classifier is the Inception network of 2015. With
    another, say a classifier of digits, it is that classifier's score, and compares with no other.

    Args:
        probabilities: array `(n, num_classes)`, of which each row is one sample's class probabilities:
            what a softmax returns, not logits.
        splits: int, parts of consecutive rows whose scores are averaged, as in the code of 2016. The
            score grows with the rows of a part. Defaults to 10.

    Returns:
        Pair of floats: mean and population standard deviation over the parts.

    Raises:
        ValueError: an array that is empty, not 2-D or not of probabilities; fewer rows than `splits`.

    Example:

    >>> kg.metrics.inception_score(np.eye(4), splits=1)
    (4.0, 0.0)
    >>> kg.metrics.inception_score(np.full((20, 4), 0.25), splits=2)
    (1.0, 0.0)
    """
    rows = probability_rows("probabilities", probabilities)
    check_whole(1, splits=splits)
    if len(rows) < splits:
        raise ValueError(
            f"{len(rows)} rows cannot be cut into {splits} parts. Give more samples, or fewer `splits`."
        )
    cuts = [part * len(rows) // splits for part in range(splits + 1)]
    scores = [_score(rows[start:end]) for start, end in itertools.pairwise(cuts)]
    return float(np.mean(scores)), float(np.std(scores))


class InceptionScore(ClassifierMetric):
    """Inception score of images, by the probabilities of the extractor's classifier.

    Named so only if the classifier is the Inception network of 2015 (Salimans et al., 2016,
    arXiv:1606.03498); the result says which one it was. See `inception_score`.

    Args:
        extractor: what classifies images: as in `FeatureMetric`, and with a method
            `probabilities(images)` that returns an array `(n, num_classes)`.
        splits: int, parts of consecutive samples whose scores are averaged. Defaults to 10.
        split: str, what the real images are, such as `"mnist test"`; only reported. Defaults to `None`.

    Returns:
        Called on real and generated images: a `Score` with the value `inception_score`, whose error is
        the standard deviation between the parts. Of real images only the number is used, and reported;
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

    def __init__(self, extractor: Classifier, splits: int = 10, split: str | None = None) -> None:
        super().__init__(extractor, split)
        check_whole(1, splits=splits)
        self.splits = splits

    def summarise(self, real: Images | None) -> int:
        """Return the number of real images."""
        return 0 if real is None else sum(map(len, image_batches("real", real)))

    def judge(self, summary: int, fake: Images) -> Score:
        """Return the `Score` of samples; `summary` is the number of real images."""
        batches = image_batches("fake", fake)
        probabilities = np.concatenate([self.probabilities(batch) for batch in batches])
        value, deviation = inception_score(probabilities, self.splits)
        values, errors = {"inception_score": value}, {"inception_score": deviation}
        return self.score(values, summary, len(probabilities), errors, splits=self.splits)


def _score(rows):
    mean = rows.mean(axis=0)
    # p log(p / mean) tends to 0 with p.
    ratios = np.divide(rows, mean, out=np.ones_like(rows), where=rows > 0)
    return np.exp(np.sum(rows * np.log(ratios), axis=1).mean())

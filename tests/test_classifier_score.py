import numpy as np
import pytest
from scipy.special import softmax

from keras_gan.metrics import InceptionScore, inception_score


def probabilities(n, classes, seed=0):
    return softmax(2 * np.random.default_rng(seed).normal(size=(n, classes)), axis=1)


def definition(rows, splits):
    """exp of the mean divergence from the mean, part by part, number by number."""
    scores = []
    for i in range(splits):
        part = rows[i * len(rows) // splits : (i + 1) * len(rows) // splits].tolist()
        mean = [sum(column) / len(part) for column in zip(*part, strict=True)]
        total = 0.0
        for row in part:
            total += sum(p * np.log(p / m) for p, m in zip(row, mean, strict=True) if p > 0)
        scores.append(np.exp(total / len(part)))
    return np.mean(scores), np.sqrt(np.mean((np.array(scores) - np.mean(scores)) ** 2))


@pytest.mark.parametrize("splits", [1, 3, 10])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_the_definition(splits, dtype):
    # 305 rows make ten unequal parts: they are cut at i·305 // 10, as in the code of 2016.
    for count in (300, 305):
        rows = probabilities(count, 7).astype(dtype)
        expected, rel = definition(rows, splits), 1e-6 if splits > 1 else 1e-12
        assert inception_score(rows, splits=splits) == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_confident_and_uniform_predictions_score_the_number_of_classes(classes):
    rows = np.eye(classes)[np.arange(10 * classes) % classes]
    assert inception_score(rows) == pytest.approx((classes, 0), rel=1e-12, abs=1e-9)


def test_constant_predictions_score_one():
    constant = np.repeat(probabilities(1, 5), 40, axis=0)
    collapsed = np.eye(5)[np.zeros(40, "int64")]
    for rows in (constant, collapsed, np.ones((40, 1))):
        assert inception_score(rows) == pytest.approx((1, 0), rel=1e-12, abs=1e-12)


def test_confident_predictions_score_the_exponential_of_the_entropy():
    shares = np.array([0.5, 0.3, 0.2])
    rows = np.eye(3)[np.repeat(np.arange(3), [50, 30, 20])]
    expected = np.exp(-np.sum(shares * np.log(shares)))
    assert inception_score(rows, splits=1) == pytest.approx((expected, 0), rel=1e-12)


def test_splits_are_consecutive_rows():
    # Half sees only class 0, which scores 1; half sees two classes evenly, which scores 2.
    rows = np.eye(2)[[0] * 10 + [0, 1] * 5]
    assert inception_score(rows, splits=2) == pytest.approx((1.5, 0.5), rel=1e-12)


GOOD = probabilities(12, 3)


@pytest.mark.parametrize(
    ("rows", "splits", "message"),
    [
        (GOOD[:0], 1, "`probabilities` is empty"),
        (GOOD[0], 1, r"`probabilities` must be an array of shape.* Received shape: \(3,\)"),
        (GOOD * np.nan, 1, "`probabilities` must hold finite numbers"),
        (
            np.log(GOOD),
            1,
            r"numbers >= 0 that sum to 1\. .* Convert logits to probabilities with a softmax",
        ),
        (np.add(GOOD, [0.1, 0, 0]), 1, r"sums from 1\.1 to 1\.1"),
        (np.add(GOOD, [0.9, -0.9, 0]), 1, "Received: numbers from -0"),
        (GOOD, 13, "Cannot cut 12 rows into 13 parts. Give more samples, or fewer `splits`"),
        (GOOD, 0, "`splits` must be an integer >= 1.* Received: 0"),
    ],
)
def test_invalid_arguments(rows, splits, message):
    with pytest.raises(ValueError, match=message):
        inception_score(rows, splits=splits)


class Halves:
    """A classifier of images: dark or bright."""

    name, weights, resizer, size = "halves", "0123456789abcdef", "none", 1

    def __call__(self, images):
        raise AssertionError("The score needs no features.")

    def probabilities(self, images):
        bright = np.float32(images).mean(axis=(1, 2))
        return np.concatenate([1 - bright, bright], axis=1)


def images(n, seed=0):
    return np.random.default_rng(seed).random((n, 2, 2, 1))


def test_score_records_its_settings():
    real, fake = images(70), images(60, seed=1)
    metric = InceptionScore(Halves(), splits=4, split="test")
    score = metric([real[:30], real[30:]], [fake[:25], fake[25:]])
    value, deviation = definition(Halves().probabilities(fake), 4)
    assert score.values == {"inception_score": pytest.approx(value, rel=1e-6)}
    assert score.errors == {"inception_score": pytest.approx(deviation, rel=1e-4)}
    assert score.settings == {"splits": 4}
    assert (score.num_real, score.num_fake, score.split) == (70, 60, "test")
    assert (score.extractor, score.weights, score.resizer) == ("halves", Halves.weights, "none")
    assert metric.prepare(real).state == 70
    assert metric(None, fake).num_real == 0
    assert metric(None, fake).values == score.values


def test_invalid_arguments_of_the_metric():
    class Features:
        name, weights, resizer, size = "features", None, None, 1

        def __call__(self, images):
            return images

    with pytest.raises(TypeError, match="InceptionScore needs a classifier.*named 'features'"):
        InceptionScore(Features())
    with pytest.raises(ValueError, match="`splits` must be an integer >= 1.* Received: 0"):
        InceptionScore(Halves(), splits=0)
    sums = type("Sums", (Halves,), {"probabilities": lambda self, images: np.ones((len(images), 2))})
    with pytest.raises(
        ValueError, match="row of `probabilities of halves` must hold numbers .* sum to 1"
    ):
        InceptionScore(sums())(None, images(20))
    few = type("Few", (Halves,), {"probabilities": lambda self, images: np.ones((1, 1))})
    with pytest.raises(ValueError, match=r"'halves' must return one row .*\(20, num_classes\)"):
        InceptionScore(few())(None, images(20))
    with pytest.raises(ValueError, match="`fake` is empty"):
        InceptionScore(Halves())(None, [])
    with pytest.raises(ValueError, match="`real` must be an array of shape"):
        InceptionScore(Halves())(np.ones(3), images(20))

import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.linalg import sqrtm

import keras_gan as kg
from keras_gan.metrics import FID, GaussianStatistics, frechet_distance
from keras_gan.metrics.arrays import BATCH_SIZE


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_moments(mean, covariance, n=400, seed=0):
    """Return rows whose sample mean and covariance are these, exactly."""
    rows = normal(n, len(mean), seed=seed)
    rows -= rows.mean(axis=0)
    whitened = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    return whitened @ np.linalg.cholesky(covariance).T + mean


def definition(real, fake):
    """The formula, with the root of the product as SciPy takes it."""
    first, second = np.cov(real.T), np.cov(fake.T)
    root = sqrtm(first @ second).real
    return np.sum((real.mean(0) - fake.mean(0)) ** 2) + np.trace(first + second - 2 * root)


def test_shifted_gaussians():
    mean = np.array([1.0, -2.0, 0.5, 4.0])
    real = with_moments(np.zeros(4), np.eye(4))
    fake = with_moments(mean, np.eye(4), seed=1)
    assert frechet_distance(real, fake) == pytest.approx(np.sum(mean**2), rel=1e-10)


def test_gaussians_of_independent_features():
    first, second = np.array([1.0, 0.5, 3.0, 0.0001]), np.array([2.0, 0.1, 3.0, 5.0])
    real = with_moments(np.zeros(4), np.diag(first**2))
    fake = with_moments(np.zeros(4), np.diag(second**2), seed=1)
    assert frechet_distance(real, fake) == pytest.approx(np.sum((first - second) ** 2), rel=1e-9)


def test_covariances_that_do_not_commute():
    # In the plane tr (C₁C₂)^½ is √(tr C₁C₂ + 2 √det C₁C₂).
    first, second = np.array([[2.0, 1.0], [1.0, 1.0]]), np.array([[1.0, -0.5], [-0.5, 3.0]])
    product = first @ second
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    real, fake = with_moments(np.zeros(2), first), with_moments(np.ones(2), second, seed=1)
    expected = 2 + np.trace(first + second) - 2 * root
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("size", [1, 2, 16, 100])
def test_equals_scipy(size):
    mixing = normal(size, size, seed=2)
    real, fake = normal(500, size), normal(300, size, seed=1) @ mixing / np.sqrt(size) + 0.3
    expected = sqrtm(np.atleast_2d(np.cov(real.T)) @ np.atleast_2d(np.cov(fake.T))).real
    traces = real.var(axis=0, ddof=1).sum() + fake.var(axis=0, ddof=1).sum() - 2 * np.trace(expected)
    expected = np.sum((real.mean(0) - fake.mean(0)) ** 2) + traces
    assert frechet_distance(real, fake) == pytest.approx(expected, abs=1e-8)
    single = frechet_distance(np.float32(real), np.float32(fake))
    assert single == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("counts", [(20, 30), (20, 500), (500, 30)])
@pytest.mark.filterwarnings("ignore:A Fréchet distance")
def test_singular_covariances(counts):
    # Cᵢ = Xᵢᵀ Xᵢ, so that tr (C₁C₂)^½ is the sum of the singular values of X₁ X₂ᵀ, of any rank.
    real, fake = normal(counts[0], 100) * np.linspace(0.01, 2, 100) ** 2, normal(counts[1], 100, seed=1)
    first, second = ((x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (real, fake))
    roots = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    expected = np.sum((real.mean(0) - fake.mean(0)) ** 2)
    expected += np.sum(first**2) + np.sum(second**2) - 2 * roots
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-11)
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-11)


@pytest.mark.filterwarnings("ignore:A Fréchet distance")
@pytest.mark.parametrize("features", [normal(300, 20), normal(10, 20), np.ones((300, 20))])
def test_identical_features_have_distance_zero(features):
    assert 0 <= frechet_distance(features, features) < 1e-11
    assert 0 <= frechet_distance(features, features[::-1]) < 1e-11


def test_constant_features():
    # A collapsed generator: what is left is the distance of means and the spread of real features.
    real = normal(300, 5)
    expected = 5 * 0.5**2 + real.var(axis=0, ddof=1).sum()
    fake = np.repeat(real.mean(0, keepdims=True) + 0.5, 300, axis=0)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-10)


def test_few_rows_warn_about_bias():
    real = normal(4000, 20)
    message = (
        r"of 20 fake rows of 20 features is biased upwards: .* singular\. Use more samples \(10,000 or "
        "more are usual\\), or `kernel_distance`"
    )
    with pytest.warns(UserWarning, match=message) as warned:
        biased = frechet_distance(real, normal(20, 20, seed=1))
    assert warned[0].filename == __file__
    metric, few = FID(Rows()), images(3)
    for call in (lambda: metric(few, few), lambda: metric.evaluate(metric.prepare(few), few)):
        with pytest.warns(UserWarning, match="of 3 real and 3 fake rows of 4 features") as warned:
            call()
        assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match="of 7 real and 20 fake rows of 20 features"):
        frechet_distance(real[:7], real[:20])
    assert biased > 10 * frechet_distance(real, normal(4000, 20, seed=1))
    frechet_distance(real, real[:21])


def test_statistics_equal_numpy_in_any_batches():
    # A mean of a thousand deviations: sums of squares would lose six digits of the covariance.
    rows = normal(1000, 6) @ normal(6, 6, seed=1) + 1000
    orders = {"whole": [rows], "one by one": rows[:, None], "uneven": np.split(rows, [1, 8, 500])}
    orders["backwards"] = np.split(rows[::-1], 10)
    for name, batches in orders.items():
        statistics = GaussianStatistics(6)
        for batch in batches:
            statistics.update(batch)
        assert statistics.count == 1000
        np.testing.assert_allclose(statistics.mean, rows.mean(0), rtol=1e-14, err_msg=name)
        np.testing.assert_allclose(statistics.covariance, np.cov(rows.T), rtol=1e-9, atol=1e-10)


def test_statistics_merge():
    rows = normal(100, 4) * [1, 2, 3, 4] + 50
    first, second, empty = (GaussianStatistics(4) for _ in range(3))
    first.update(rows[:33])
    second.update(rows[33:])
    untouched = second.covariance
    for other in (second, empty):
        first.merge(other)
    np.testing.assert_allclose(first.covariance, np.cov(rows.T), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(first.mean, rows.mean(0), rtol=1e-13)
    assert (first.count, second.count) == (100, 67)
    np.testing.assert_array_equal(second.covariance, untouched)
    empty.merge(second)
    np.testing.assert_allclose(empty.covariance, untouched, rtol=1e-14)


def test_statistics_or_rows():
    real, fake = normal(100, 4), normal(90, 4, seed=1)
    statistics = GaussianStatistics(4)
    statistics.update(real[:50])
    statistics.update(real[50:])
    expected = frechet_distance(real, fake)
    assert frechet_distance(statistics, fake) == pytest.approx(expected, abs=1e-12)
    assert frechet_distance(fake, statistics) == pytest.approx(expected, abs=1e-12)


def test_statistics_return_copies():
    statistics = GaussianStatistics(2)
    statistics.update([[0.0, 0.0], [2.0, 2.0]])
    statistics.mean[:] = statistics.covariance[:] = 7
    assert statistics.mean.tolist() == [1, 1]
    assert statistics.covariance.tolist() == [[2, 2], [2, 2]]


GOOD = normal(9, 3)


def filled(size):
    statistics = GaussianStatistics(size)
    statistics.update(normal(9, size))
    return statistics


def test_features_of_any_shape_are_flattened():
    real, fake = normal(100, 4, 3, 2), normal(90, 4, 3, 2, seed=1)
    expected = frechet_distance(real.reshape(100, 24), fake.reshape(90, 24))
    assert frechet_distance(real, fake) == frechet_distance(real, fake.reshape(90, 24)) == expected
    statistics = GaussianStatistics(24)
    statistics.update(real)
    assert frechet_distance(statistics, fake) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GOOD[:0], GOOD), r"`real` is empty. Received shape: \(0, 3\)"),
        ((GOOD, GOOD[0]), r"`fake` must be an array of shape \(n, ...\).* Received shape: \(3,\)"),
        ((GOOD, GOOD * [1, np.nan, np.inf]), "`fake` must hold finite numbers.*but 18 of 27 are not"),
        ((GOOD, GOOD * 1e60), "`fake` must hold finite numbers of at most 1e.50 in absolute value"),
        ((GOOD, GOOD[:, :2]), r"those of `real` have shape \(3,\) and those of `fake` \(2,\)"),
        ((GOOD.reshape(9, 1, 3), GOOD.reshape(9, 3, 1)), r"have shape \(1, 3\) .*`fake` \(3, 1\)"),
        ((filled(2), GOOD), "`real` has 2 features per row and `fake` 3. Compute both with the same"),
        ((GOOD, GOOD[:1]), "`fake` must have at least 2 rows, for a covariance. Received: 1"),
        ((GaussianStatistics(3), GOOD), "`real` must have at least 2 rows.* Received: 0"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(*arguments)


def test_features_must_be_numbers():
    with pytest.raises(TypeError, match="`fake` must hold real numbers. Received: dtype <U1"):
        frechet_distance(GOOD, [["a", "b", "c"]])


def test_invalid_statistics():
    statistics = GaussianStatistics(3)
    with pytest.raises(ValueError, match="There is no mean before the first call of `update`"):
        _ = statistics.mean
    statistics.update(GOOD[:1])
    with pytest.raises(ValueError, match="A covariance needs at least 2 rows of features. Received: 1"):
        _ = statistics.covariance
    with pytest.raises(ValueError, match=r"Expected 3 features per row\. Received shape: \(9, 2\)"):
        statistics.update(GOOD[:, :2])
    with pytest.raises(ValueError, match="must hold finite numbers"):
        statistics.update(GOOD * np.nan)
    assert statistics.count == 1
    with pytest.raises(ValueError, match="Cannot merge statistics of 2 features into those of 3"):
        statistics.merge(GaussianStatistics(2))
    with pytest.raises(TypeError, match="Received: ndarray. Add rows with `update`"):
        statistics.merge(GOOD)
    with pytest.raises(ValueError, match="`size` must be an integer >= 1 and <= 65536. Received: 0"):
        GaussianStatistics(0)
    with pytest.raises(
        ValueError, match="Received: 1000000000000 .* or `KID`, which needs no covariance"
    ):
        GaussianStatistics(10**12)


class Rows:
    """An extractor whose features are the rows of pixels, and that counts what it is called on."""

    name, weights, resizer, size = "rows", "0123456789abcdef", "none", 4

    def __init__(self, size=4):
        self.size, self.calls = size, []

    def __call__(self, images):
        assert type(images) is np.ndarray
        self.calls.append(len(images))
        return np.float32(images.reshape(len(images), -1))


def images(n, seed=0):
    return np.float32(normal(n, 2, 2, 1, seed=seed))


def test_fid_is_the_distance_of_features_and_records_its_settings():
    real, fake = images(100), images(80, seed=1) * 2
    score = FID(Rows(), split="mnist test")(real, fake)
    assert score.values == {"fid": pytest.approx(definition(real.reshape(100, 4), fake.reshape(80, 4)))}
    assert (score.num_real, score.num_fake, score.split) == (100, 80, "mnist test")
    assert (score.extractor, score.weights, score.resizer) == ("rows", Rows.weights, "none")
    assert score.errors == score.settings == {}
    assert type(score.values["fid"]) is float


@pytest.mark.parametrize("shape", [(7,), (5, 3), (2, 3, 4, 1)])
def test_samples_of_any_shape(shape):
    """Rows of a table, series, and volumes: with the formula as SciPy computes it."""
    real, fake = normal(200, *shape), 1.5 * normal(150, *shape, seed=1)
    expected = definition(real.reshape(200, -1), fake.reshape(150, -1))
    metric = FID(kg.metrics.Identity(shape))
    assert metric(real, fake).values["fid"] == pytest.approx(expected, rel=1e-4)
    in_batches = metric(real, np.split(fake, 3))
    assert in_batches.values["fid"] == pytest.approx(expected, rel=1e-4)


def test_images_may_come_in_batches_of_any_kind():
    real, fake = images(100), images(90, seed=1)
    metric = FID(Rows())
    expected = metric(real, fake).values["fid"]
    dataset = tf.data.Dataset.from_tensor_slices(fake)
    labeled = tf.data.Dataset.from_tensor_slices((fake, np.arange(90)))
    for batches in (
        list(np.split(fake, [7, 50])),
        (batch for batch in np.split(fake, 3)),
        [fake[:0], fake],
        tf.constant(fake),
        1.0 * keras.Variable(fake),  # torch remembers where it comes from
        dataset.batch(32),
        labeled.batch(32),
    ):
        score = metric(real, batches)
        assert score.values["fid"] == pytest.approx(expected, abs=1e-9)
        assert score.num_fake == 90


def test_reference_is_reusable():
    metric, real = FID(Rows()), images(100)
    reference = metric.prepare(real)
    for seed in (1, 2):
        fake = images(60, seed=seed)
        assert metric.evaluate(reference, fake) == metric(real, fake)


def test_reference_of_another_extractor_raises():
    real, fake = images(100), images(60, seed=1)
    reference = FID(Rows()).prepare(real)
    assert FID(Rows()).evaluate(reference, fake) == FID(Rows())(real, fake)
    other = Rows()
    other.weights = "ff"
    with pytest.raises(
        ValueError, match="changed .*: weights was '0123456789abcdef', is 'ff'. Call `prepare"
    ):
        FID(other).evaluate(reference, fake)
    other = Rows()
    other.settings = {"layer": "last"}
    with pytest.raises(ValueError, match="settings was {}, is {'layer': 'last'}"):
        FID(other).evaluate(reference, fake)
    with pytest.raises(
        TypeError, match="return value of this metric's `prepare.real.`.*GaussianStatistics"
    ):
        FID(other).evaluate(reference.state, fake)


def test_scores_record_the_settings_of_the_extractor():
    extractor = Rows()
    extractor.settings = {"layer": "last"}
    assert FID(extractor)(images(50), images(60)).settings == {"layer": "last"}
    assert FID(Rows())(images(50), images(60)).settings == {}


def test_incomplete_subclass_names_the_missing_method():
    metric = kg.metrics.FeatureMetric(Rows())
    with pytest.raises(NotImplementedError, match="FeatureMetric must define `_prepare`"):
        metric.prepare(images(5))
    with pytest.raises(NotImplementedError, match="FeatureMetric must define `_evaluate`"):
        metric._evaluate(None, images(5))


def test_arrays_are_split_into_batches():
    extractor = Rows()
    FID(extractor).prepare(images(BATCH_SIZE + 5))
    assert extractor.calls == [BATCH_SIZE, 5]


def test_fid_does_not_store_features():
    size = 64
    metric = FID(Rows(size))

    def batches(count):
        for seed in range(count):
            yield normal(500, 8, 8, 1, seed=seed)

    peaks = []
    for count in (3, 30):
        tracemalloc.start()
        metric.prepare(batches(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_fid_with_an_extractor_of_the_package():
    real = np.random.default_rng(0).random((50, 2, 2, 1))
    score = FID(kg.metrics.Pixels((2, 2, 1)))(real, 1 - real)
    expected = definition(real.reshape(50, 4), 1 - real.reshape(50, 4))
    assert score.values["fid"] == pytest.approx(expected, rel=1e-4)


def wrong(**attributes):
    return type("Wrong", (Rows,), attributes)()


@pytest.mark.parametrize(
    ("extractor", "given", "error", "message"),
    [
        (
            Rows(),
            list(images(5)),
            ValueError,
            r"a batch of `fake` of shape \(2, 2, 1\).*Stack a list of samples into one array",
        ),
        (Rows(), images(5)[:, 0, 0, 0], ValueError, r"`fake` must be .*Received shape: \(5,\)"),
        (Rows(), np.float32(3), ValueError, r"Received shape: \(\)"),
        (Rows(), images(0), ValueError, "`fake` is empty. A generator can be read only once"),
        (Rows(), iter(()), ValueError, "`fake` is empty"),
        (Rows(), 7, TypeError, r"`fake` must be an array .*, or batches of that shape. Received: int"),
        (Rows(), "images", TypeError, r"`fake` must be an array .* Received: str"),
        (
            Rows(),
            (images(5), np.arange(5)),
            TypeError,
            "`fake` must be.* A tuple could be batches, or samples with their labels. .* of length 2",
        ),
        (
            Rows(),
            images(5) * np.nan,
            ValueError,
            "`fake` must hold finite .* 20 of 20 are not",
        ),
        (
            Rows(5),
            images(5),
            ValueError,
            r"extractor 'rows' .* Expected shape \(5, 5\) .* Received shape: \(5, 4\)",
        ),
        (Rows(), images(1), ValueError, "`fake` must have at least 2 rows"),
        (
            wrong(__call__=lambda self, images: images),
            images(5),
            ValueError,
            r"must return one row of 4 features per sample.* Received shape: \(5, 2, 2, 1\)",
        ),
        (
            Rows(),
            tf.data.Dataset.from_tensors(images(5)).repeat(),
            ValueError,
            r"`fake` is a dataset that never ends\. .*`dataset\.take\(num_batches\)`",
        ),
    ],
)
def test_invalid_images(extractor, given, error, message):
    statistics = GaussianStatistics(extractor.size)
    statistics.update(normal(50, extractor.size))
    with pytest.raises(error, match=message):
        FID(extractor)._evaluate(statistics, given)


def test_invalid_extractors():
    with pytest.raises(
        TypeError, match="`extractor` must be a callable object.* without name, weights, resizer, size"
    ):
        FID(len)
    unnamed = type("Unnamed", (), {"name": "x", "weights": None, "resizer": None, "size": 2})()
    with pytest.raises(TypeError, match="`extractor` must be a callable object.* Received: .*Unnamed"):
        FID(unnamed)
    with pytest.raises(TypeError, match="`extractor` must be a callable object.* <class .*Pixels"):
        FID(kg.metrics.Pixels)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1.0, 3, 4), TypeError, "`values` must be a dict. Received: 1.0"),
        (({}, 3.5, 4), TypeError, "`num_real` must be an integer >= 0. Received: 3.5"),
        (({}, 3, -1), ValueError, "`num_fake` must be an integer >= 0. Received: -1"),
    ],
)
def test_invalid_scores(arguments, error, message):
    with pytest.raises(error, match=message):
        kg.metrics.Score(*arguments)

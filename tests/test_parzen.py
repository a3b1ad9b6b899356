import tracemalloc
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity

from keras_gan.metrics import (
    ParzenResult,
    ParzenWindow,
    parzen,
    parzen_log_likelihood,
    select_bandwidth,
)

DATA = Path(__file__).parents[2] / "shared" / "data"
RECORDS = DATA / "tensorflow_datasets" / "mnist" / "3.0.1"


def brute_force(samples, queries, bandwidth):
    """The definition in float64, over explicit differences."""
    differences = np.float64(queries)[:, None] - np.float64(samples)[None]
    exponents = -(differences**2).sum(axis=2) / (2 * bandwidth**2)
    norm = samples.shape[1] * np.log(bandwidth * np.sqrt(2 * np.pi))
    return logsumexp(exponents, axis=1) - np.log(len(samples)) - norm


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def digits_like(count, size, seed=0):
    """Mostly dark, some bright: far from centered, as digits are."""
    return uniform(count, size, seed=seed) ** 6


@pytest.mark.parametrize("size", [1, 16, 784])
@pytest.mark.parametrize("bandwidth", [0.1, 0.3, 1.0])
def test_equals_the_definition(size, bandwidth):
    samples, queries = digits_like(97, size), digits_like(41, size, seed=1)
    expected = brute_force(samples, queries, bandwidth)
    single = parzen_log_likelihood(samples, queries, bandwidth)
    double = parzen_log_likelihood(samples, queries, bandwidth, dtype="float64")
    assert single.dtype == double.dtype == np.float64
    np.testing.assert_allclose(single, expected, rtol=0, atol=0.01)
    np.testing.assert_allclose(double, expected, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("block_size", [1, 7, 30, 97, 1000])
def test_blocks_do_not_change_the_result(block_size):
    # Sorted by distance from the queries, each block of samples brings the nearest one so far.
    samples = np.sort(uniform(97, 1), axis=0)[::-1]
    queries = uniform(30, 1, seed=1) * 0.1
    result = parzen_log_likelihood(samples, queries, 0.01, block_size=block_size, dtype="float64")
    np.testing.assert_allclose(result, brute_force(samples, queries, 0.01), rtol=1e-11, atol=1e-9)


def test_one_sample_is_a_gaussian():
    sample, query = uniform(1, 20), uniform(1, 20, seed=1)
    for bandwidth in (0.05, 0.5):
        expected = -0.5 * np.sum((query - sample) ** 2) / bandwidth**2
        expected -= 20 * (np.log(bandwidth) + 0.5 * np.log(2 * np.pi))
        result = parzen_log_likelihood(sample, query, bandwidth, dtype="float64")
        np.testing.assert_allclose(result, [expected], rtol=1e-12)


def test_far_queries_do_not_underflow():
    # exp(−784/2·0.01²) is 0 in any precision; its logarithm is not.
    result = parzen_log_likelihood(np.zeros((5, 784)), np.ones((1, 784)), 0.01)
    expected = -784 / 2 / 0.01**2 - 784 * np.log(0.01 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(result, [expected], rtol=1e-6)


@pytest.mark.parametrize("size", [2, 64, 784])
def test_equals_scikit_learn(size):
    samples, queries = uniform(120, size), uniform(50, size, seed=1)
    # With smaller leaves the trees of scikit-learn lose terms in high dimension (its issue 7492).
    windows = KernelDensity(bandwidth=0.2, leaf_size=len(samples)).fit(samples)
    result = parzen_log_likelihood(samples, queries, 0.2, dtype="float64")
    np.testing.assert_allclose(result, windows.score_samples(queries), rtol=1e-10, atol=1e-8)


def test_several_bandwidths_at_once():
    samples, queries = digits_like(50, 9), digits_like(20, 9, seed=1)
    grid = np.array([0.1, 0.5, 0.2])
    result = parzen_log_likelihood(samples, queries, grid, dtype="float64")
    expected = [brute_force(samples, queries, bandwidth) for bandwidth in grid]
    assert result.shape == (3, 20)
    np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-10)


def test_images_are_flattened():
    samples, queries = uniform(30, 4, 3, 2), uniform(10, 4, 3, 2, seed=1)
    result = parzen_log_likelihood(samples, queries, 0.3, dtype="float64")
    expected = brute_force(samples.reshape(30, 24), queries.reshape(10, 24), 0.3)
    np.testing.assert_allclose(result, expected, rtol=1e-11)


def test_inputs_are_not_modified():
    samples, queries = np.float32(uniform(30, 4)), np.float32(uniform(10, 4, seed=1))
    copies = samples.copy(), queries.copy()
    parzen_log_likelihood(samples, queries, 0.3)
    np.testing.assert_array_equal(samples, copies[0])
    np.testing.assert_array_equal(queries, copies[1])


def test_bandwidth_of_one_point_is_the_distance():
    # For one sample the likelihood of points at root-mean-square distance r peaks at σ = r.
    grid = np.linspace(0.05, 0.6, 12)
    assert select_bandwidth([[0.5]], [[0.2], [0.8]], grid) == pytest.approx(0.3)
    assert select_bandwidth([[0.5]], [[0.05], [0.95]], list(grid)) == pytest.approx(0.45)


def test_default_grid_is_that_of_goodfellow_2014():
    # parzen_ll.py: ten bandwidths from 10^-1 to 10^0 in equal ratios.
    expected = [10 ** (-1 + i / 9) for i in range(10)]
    np.testing.assert_allclose(parzen.BANDWIDTHS, expected, rtol=1e-12)


def test_protocol_of_goodfellow_2014():
    samples, validation, test = (digits_like(n, 12, seed=n) for n in (80, 30, 50))
    result = ParzenWindow(validation, grid=[0.05, 0.1, 0.2, 0.4])(real=test, fake=samples)
    means = {s: brute_force(samples, validation, s).mean() for s in (0.05, 0.1, 0.2, 0.4)}
    best = max(means, key=means.get)
    expected = brute_force(samples, test, best)
    assert result.bandwidth == best
    assert result.log_likelihood == pytest.approx(expected.mean(), abs=1e-3)
    spread = np.sqrt(np.mean((expected - expected.mean()) ** 2))
    assert result.standard_error == pytest.approx(spread / np.sqrt(50), rel=1e-4)
    assert (result.num_samples, result.num_test, result.value_range) == (80, 50, (0.0, 1.0))
    assert result.values == {
        "parzen_log_likelihood": result.log_likelihood,
        "parzen_standard_error": result.standard_error,
        "parzen_bandwidth": best,
    }


def test_one_protocol_measures_many_models():
    validation, test = digits_like(30, 12, seed=1), digits_like(50, 12, seed=2)
    measure = ParzenWindow(validation, dtype="float64")
    reference = measure.prepare(test)
    for seed in (3, 4):
        samples = digits_like(40, 12, seed=seed)
        assert measure.evaluate(reference, samples) == measure(test, samples)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory_is_bounded_by_the_block_size(dtype, monkeypatch):
    """On one core; a matrix of all distances would take eight times as much."""
    monkeypatch.setattr(parzen, "_num_cores", lambda: 1)
    samples, queries = (np.asarray(uniform(4000, 2, seed=seed), dtype) for seed in (0, 1))
    measure = ParzenWindow(queries, dtype=dtype, block_size=1000)
    for call in (
        lambda: parzen_log_likelihood(samples, queries, parzen.BANDWIDTHS, dtype=dtype),
        lambda: select_bandwidth(samples, queries, dtype=dtype, block_size=1000),
        lambda: measure.evaluate(queries, samples),
    ):
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1.5 * 2 * 1000**2 * np.dtype(dtype).itemsize


def test_number_of_threads_is_the_number_of_available_cores(monkeypatch):
    monkeypatch.setattr(parzen.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(parzen.os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    monkeypatch.delattr(parzen.os, "process_cpu_count", raising=False)
    assert parzen._num_cores() == 3
    monkeypatch.setattr(parzen.os, "process_cpu_count", lambda: 2, raising=False)
    assert parzen._num_cores() == 2


def test_result_reads_as_a_sentence():
    result = ParzenResult(225.08, 2.04, 0.16681, 10_000, 10_000)
    assert str(result) == "225.1 ± 2.0 nats (σ = 0.167, 10000 samples, 10000 test images)"
    whole = ParzenResult(225.08, 2.04, 0.1, 10, 20, (0.0, 1.0), 30, "float64", True, "mnist test")
    assert str(whole) == (
        "225.1 ± 2.0 nats (σ = 0.1, 10 samples, 20 test images of mnist test); σ from 30 validation "
        "images, float64; σ is at an end of its grid"
    )


def test_result_records_its_settings():
    samples, validation, test = (digits_like(n, 12, seed=n) for n in (80, 30, 50))
    result = ParzenWindow(validation, dtype="float64", split="digits")(test, samples)
    assert (result.num_validation, result.dtype, result.split) == (30, "float64", "digits")
    assert not result.at_edge
    for grid, at_edge in (([0.9, 1.0], True), ([0.01, 0.02], True), ([0.9], False)):
        assert ParzenWindow(validation, grid)(test, samples).at_edge is at_edge
    assert np.isnan(ParzenWindow(validation)(test[:1], samples).standard_error)


GOOD = np.full((3, 4), 0.5)
IMAGES = np.full((2, 3, 4, 4), 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GOOD * 4, GOOD, 0.2), r"`samples` must lie in \[0, 1\].* Received numbers from 2 to 2"),
        ((GOOD, GOOD - 1, 0.2), r"`queries` must .* from -0.5 to -0.5\. .*`\(x \+ 1\) / 2`"),
        ((GOOD * np.nan, GOOD, 0.2), "`samples` must hold finite numbers.* 12 of 12 are not"),
        ((GOOD, GOOD * np.inf, 0.2), "`queries` must hold finite numbers"),
        ((GOOD[:0], GOOD, 0.2), r"`samples` is empty. Received shape: \(0, 4\)"),
        ((GOOD, GOOD[:, :3], 0.2), r"of `samples` have shape \(4,\) and those of `queries` \(3,\)"),
        ((GOOD, GOOD, 0), "`bandwidth` must be > 0 .* as a standard deviation. Received: 0"),
        ((GOOD, GOOD, [0.1, -0.2]), r"`bandwidth` must be > 0 .* Received: \[0.1, -0.2\]"),
        ((GOOD, GOOD, np.nan), "`bandwidth` must be > 0 .* Received: nan"),
        ((GOOD, GOOD, 1e-200), "`bandwidth` must be > 0 .from 1e-15 to 1e.15.*Received: 1e-200"),
        ((GOOD, GOOD, []), r"`bandwidth` must be a number, or a 1-D array of .* shape: \(0,\)"),
        ((GOOD, GOOD, [[0.1]]), r"`bandwidth` must be a number, or a 1-D .* shape: \(1, 1\)"),
        ((GOOD, GOOD, [[0.1], [0.1, 0.2]]), "`bandwidth` must be a number or a 1-D array. "),
        ((GOOD[0], GOOD, 0.2), r"`samples` must be an array of shape \(n, ...\).* shape: \(4,\)"),
        ((GOOD, 0.5 * np.ones(()), 0.2), r"`queries` must be an array of shape.*Received shape: \(\)"),
        ((GOOD, [[0.1], [0.2, 0.3]], 0.2), "`queries` must be an array whose rows all have the same"),
        ((IMAGES, np.moveaxis(IMAGES, 1, 3), 0.2), r"have shape \(3, 4, 4\) and those of .*\(4, 4, 3\)"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        parzen_log_likelihood(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"block_size": 0},
            ValueError,
            "`block_size` must be an integer >= 1 and <= 20000. Received: 0",
        ),
        ({"block_size": 10**12}, ValueError, "`block_size` must be .* Received: 1000000000000"),
        ({"block_size": 1.5}, TypeError, "`block_size` must be an integer >= 1.* Received: 1.5"),
        ({"dtype": "float16"}, ValueError, "`dtype` must be one of 'float32', 'float64'. Received"),
        ({"value_range": (1, 0)}, ValueError, "`value_range` must be two finite numbers"),
        ({"value_range": 1}, TypeError, "`value_range` must be two finite numbers"),
    ],
)
def test_invalid_options(options, error, message):
    calls = [
        lambda: parzen_log_likelihood(GOOD, GOOD, 0.2, **options),
        lambda: select_bandwidth(GOOD, GOOD, **options),
        lambda: ParzenWindow(GOOD, **options),
    ]
    for call in calls:
        with pytest.raises(error, match=message):
            call()


def test_bandwidths_must_be_numbers():
    for call in (select_bandwidth, parzen_log_likelihood):
        with pytest.raises(TypeError, match="must hold real numbers. Received: 'wide'"):
            call(GOOD, GOOD, "wide")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tables_of_any_value_range(dtype):
    """Series and rows of a table in their own units, against the definition."""
    rng = np.random.default_rng(0)
    samples, validation, test = (100 + 30 * rng.normal(size=(n, 5, 2)) for n in (80, 30, 50))
    measure = ParzenWindow(validation, grid=[5.0, 10.0, 20.0], dtype=dtype, value_range=None)
    result = measure(real=test, fake=samples)
    flat = [part.reshape(len(part), 10) for part in (samples, validation, test)]
    means = {s: brute_force(flat[0], flat[1], s).mean() for s in (5.0, 10.0, 20.0)}
    assert result.bandwidth == max(means, key=means.get)
    expected = brute_force(flat[0], flat[2], result.bandwidth)
    assert result.log_likelihood == pytest.approx(expected.mean(), abs=1e-3)
    assert result.value_range is None
    assert "; values in any range" in str(result)
    with pytest.raises(
        ValueError, match=r"must lie in \[0, 1\].*`value_range=None` for data that are not"
    ):
        ParzenWindow(validation, dtype=dtype)
    if dtype == "float32":
        with pytest.raises(ValueError, match=r"`validation` must lie within ±1e.15 in float32"):
            ParzenWindow(1e20 * validation, value_range=None)


def test_far_samples_underflow_without_a_warning():
    found = parzen_log_likelihood([[0.0], [1.0]], [[0.0]], 1e-15)
    assert found == pytest.approx(-np.log(2) - np.log(1e-15 * np.sqrt(2 * np.pi)))


def test_tensors_with_and_without_gradients():
    tensor = 1.0 * keras.Variable(GOOD)
    np.testing.assert_array_equal(
        parzen_log_likelihood(tensor, tensor, 0.2), parzen_log_likelihood(GOOD, GOOD, 0.2)
    )


@pytest.mark.parametrize("data", [(row for row in GOOD), 0.5, {0.5}])
def test_non_arrays_raise(data):
    with pytest.raises(TypeError, match=r"`queries` must be an array .*Received: \w+\. Concatenate"):
        parzen_log_likelihood(GOOD, data, 0.2)


def test_strings_raise():
    with pytest.raises(TypeError, match="`samples` must hold real numbers. Received: dtype <U1"):
        parzen_log_likelihood([["a"]], GOOD, 0.2)


def test_invalid_arguments_of_the_protocol():
    with pytest.raises(ValueError, match=r"of `real` have shape \(4, 4, 3\) and those of `validation`"):
        ParzenWindow(IMAGES)(np.moveaxis(IMAGES, 1, 3), IMAGES)
    flat = IMAGES.reshape(2, -1)
    assert ParzenWindow(IMAGES)(flat, flat) == ParzenWindow(flat)(IMAGES, IMAGES)


def test_rounding_beyond_the_range_is_no_error():
    almost = np.nextafter(np.float32([[1.0]]), np.float32(2))
    assert np.isfinite(parzen_log_likelihood(almost, 1 - almost, 0.2)).all()


def original_digits(split, first, last):
    """MNIST images in the order in which they were published."""
    import tensorflow as tf

    records = tf.data.TFRecordDataset(RECORDS / f"mnist-{split}.tfrecord-00000-of-00001")
    positions = np.load(DATA / f"mnist_original_order_{split}.npy")[first:last]
    encoded = tf.gather(next(iter(records.batch(60_000))), positions)
    encoded = tf.io.parse_example(encoded, {"image": tf.io.FixedLenFeature([], tf.string)})
    images = tf.data.Dataset.from_tensor_slices(encoded["image"])
    images = images.map(tf.io.decode_png, num_parallel_calls=2).batch(len(positions))
    return images.get_single_element().numpy() / np.float32(255)


@pytest.mark.skipif(
    not RECORDS.is_dir(), reason=f"the reference values need MNIST, prepared in {RECORDS}"
)
def test_reference_values_on_mnist():
    # The estimator's published protocol with training images as samples, in float64 elsewhere.
    samples = original_digits("train", 0, 10_000)
    validation = original_digits("train", 50_000, 51_000)
    test = original_digits("test", 0, 10_000)

    result = ParzenWindow(validation)(real=test, fake=samples)
    assert result.bandwidth == pytest.approx(0.16681, abs=1e-5)
    assert result.log_likelihood == pytest.approx(241.19, abs=0.01)
    assert result.standard_error == pytest.approx(2.13, abs=0.005)

    grid = parzen_log_likelihood(samples, validation, parzen.BANDWIDTHS[:5]).mean(axis=1)
    np.testing.assert_allclose(grid, [-138.46, 147.20, 238.12, 212.30, 116.50], atol=0.01)

    finer = parzen_log_likelihood(samples, test, [0.17, 0.18, 0.19, 0.20])
    np.testing.assert_allclose(finer.mean(axis=1), [242.45, 242.70, 238.45, 230.79], atol=0.01)
    assert finer[1].std() / 100 == pytest.approx(1.83, abs=0.005)

    some = test[::100]
    exact = parzen_log_likelihood(samples, some, 0.1, dtype="float64")
    np.testing.assert_allclose(parzen_log_likelihood(samples, some, 0.1), exact, atol=0.01)

import itertools
import math

import numpy as np
import pytest

from keras_gan.metrics import KID, kernel_distance


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def definition(real, fake):
    """The unbiased MMD² as it is written, pair by pair."""

    def kernel(x, y):
        return (sum(float(a) * float(b) for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def mean_of_pairs(rows):
        pairs = itertools.permutations(rows, 2)
        return sum(kernel(x, y) for x, y in pairs) / (len(rows) * (len(rows) - 1))

    between = sum(kernel(x, y) for x in real for y in fake) / (len(real) * len(fake))
    return mean_of_pairs(real) + mean_of_pairs(fake) - 2 * between


def whole_distance(real, fake):
    """The distance of all rows at once."""
    return kernel_distance(real, fake, subset_size=len(real), num_subsets=1)[0]


@pytest.mark.parametrize("size", [1, 3, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_the_definition(size, dtype):
    real, fake = normal(30, size).astype(dtype), (normal(30, size, seed=1) * 2 + 1).astype(dtype)
    value, deviation = kernel_distance(real, fake, subset_size=30, num_subsets=3)
    assert value == pytest.approx(definition(real, fake), rel=1e-11)
    # All subsets are all rows: their deviation, 0, would look like certainty.
    assert math.isnan(deviation)
    assert kernel_distance(real, fake, subset_size=29, num_subsets=3)[1] > 0
    assert math.isnan(kernel_distance(real, fake, subset_size=29, num_subsets=1)[1])


def test_two_numbers_by_hand():
    # real 0, 1; fake 1, 2; k(x, y) = (xy + 1)³. Pairs: k(0, 1) = 1; k(1, 2) = 27;
    # between: k(0, 1) = 1, k(0, 2) = 1, k(1, 1) = 8, k(1, 2) = 27, on average 9.25.
    value, _ = kernel_distance([[0.0], [1.0]], [[1.0], [2.0]], subset_size=2, num_subsets=1)
    assert value == pytest.approx(1 + 27 - 2 * 9.25, rel=1e-15)


def test_the_kernel_divides_by_the_number_of_features():
    # A copy of each feature leaves x·y/d as it is.
    real, fake = normal(20, 3), normal(20, 3, seed=1) + 1
    once = kernel_distance(real, fake, subset_size=20, num_subsets=1)[0]
    twice = kernel_distance(
        np.hstack([real, real]), np.hstack([fake, fake]), subset_size=20, num_subsets=1
    )[0]
    assert twice == pytest.approx(once, rel=1e-12)


def test_distance_of_equal_and_shifted_distributions():
    # Disjoint subsets of fresh rows are independent: the mean of 40 is normal about 0.
    values = [whole_distance(normal(60, 8, seed=i), normal(60, 8, seed=1000 + i)) for i in range(40)]
    standard_error = np.std(values, ddof=1) / np.sqrt(40)
    assert abs(np.mean(values)) < 2 * standard_error
    assert min(values) < 0 < max(values)
    moved = whole_distance(normal(60, 8), normal(60, 8, seed=1) + 0.5)
    assert moved > 20 * standard_error


def test_subsets_are_drawn_from_all_rows():
    real, fake = normal(400, 4), normal(300, 4, seed=1) + 0.5
    whole = whole_distance(real[:300], fake)
    value, deviation = kernel_distance(real, fake, subset_size=50, num_subsets=200)
    # The expectation of the estimate does not depend on the size of the subsets, its spread does.
    assert value == pytest.approx(whole, abs=4 * deviation / np.sqrt(200) + 0.1 * whole)
    assert deviation > 1.5 * kernel_distance(real, fake, subset_size=150, num_subsets=200)[1]
    # Rows sorted by value do not spoil it, as they would if subsets were heads of the arrays.
    ordered = kernel_distance(
        np.sort(real, axis=0), np.sort(real, axis=0), subset_size=50, num_subsets=200
    )
    assert abs(ordered[0]) < 4 * ordered[1] / np.sqrt(200)


def test_subsets_have_no_repeated_rows():
    # Of rows that are all different, equal ones within a subset would add k(x, x) to the pairs.
    rows = np.arange(5.0)[:, None]
    for seed in range(5):
        value, _ = kernel_distance(rows, rows, subset_size=5, num_subsets=1, seed=seed)
        assert value == pytest.approx(definition(rows, rows), rel=1e-12)


def test_seed_determines_the_result():
    real, fake = normal(100, 3), normal(100, 3, seed=1)
    options = {"subset_size": 20, "num_subsets": 5}
    first, again, other = (kernel_distance(real, fake, **options, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert kernel_distance(real, fake, **options) == first


GOOD = normal(9, 3)


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (GOOD[:0], GOOD, {}, "`real` is empty"),
        (GOOD, GOOD[0], {}, r"`fake` must be an array .* Received shape: \(3,\)"),
        (GOOD, GOOD + np.inf, {}, "`fake` must hold finite numbers.*27 of 27 are not"),
        (GOOD, GOOD[:, :2], {}, r"of `real` have shape \(3,\) and those of `fake` \(2,\)"),
        (GOOD, GOOD[:4], {"subset_size": 5}, "5 rows from the 4 of `fake`.*pass `subset_size=2`, which"),
        (GOOD[:7], GOOD, {"subset_size": 99}, "99 rows from the 7 of `real`.*pass `subset_size=3`, wh"),
        (GOOD, GOOD[:3], {"subset_size": 4}, "from the 3 of `fake`. Give more samples.$"),
        (
            GOOD,
            GOOD,
            {"subset_size": 1},
            "`subset_size` must be an integer >= 2 and <= 20000. Received: 1",
        ),
        (GOOD, GOOD, {"num_subsets": 0}, "`num_subsets` must be an integer >= 1 and <= 100000"),
        (GOOD, GOOD, {"num_subsets": 10**12}, "`num_subsets` must be an .* Received: 1000000000000"),
        (GOOD, GOOD, {"seed": -1}, "`seed` must be an integer >= 0. Received: -1"),
    ],
)
def test_invalid_arguments(real, fake, options, message):
    with pytest.raises(ValueError, match=message):
        kernel_distance(real, fake, **{"subset_size": 2} | options)


@pytest.mark.parametrize("name", ["subset_size", "num_subsets", "seed"])
def test_counts_must_be_integers(name):
    for call in (lambda value: kernel_distance(GOOD, GOOD, **{name: value}), refused_by_kid(name)):
        with pytest.raises(TypeError, match=f"`{name}` must be an integer.*Received: 2.5"):
            call(2.5)


def refused_by_kid(name):
    return lambda value: KID(Rows(), **{name: value})


def test_features_of_any_shape_are_flattened():
    real, fake = normal(30, 4, 3), normal(30, 4, 3, seed=1)
    expected = whole_distance(real.reshape(30, 12), fake.reshape(30, 12))
    assert whole_distance(real, fake) == expected


class Rows:
    name, weights, resizer, size = "rows", "0123456789abcdef", "none", 4

    def __call__(self, images):
        return np.float32(images.reshape(len(images), -1))


def test_kid_is_the_distance_of_features_and_records_its_settings():
    real, fake = np.float32(normal(100, 2, 2, 1)), np.float32(normal(90, 2, 2, 1, seed=1)) + 1
    metric = KID(Rows(), subset_size=40, num_subsets=7, seed=3, split="test")
    score = metric([real[:50], real[50:]], fake)
    value, deviation = kernel_distance(real, fake, subset_size=40, num_subsets=7, seed=3)
    assert score.values == {"kid": value}
    assert score.errors == {"kid": deviation}
    assert score.settings == {"subset_size": 40, "num_subsets": 7, "seed": 3}
    assert (score.num_real, score.num_fake, score.split) == (100, 90, "test")
    assert (score.extractor, score.weights, score.resizer) == ("rows", Rows.weights, "none")
    assert metric.evaluate(metric.prepare(real), fake) == score


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset_size": 1}, "`subset_size` must be an integer >= 2"),
        ({"num_subsets": 0}, "`num_subsets` must be an integer >= 1"),
        ({"num_subsets": 10**12}, "`num_subsets` must be an integer >= 1 and <= 100000"),
        ({"seed": -1}, "`seed` must be an integer >= 0. Received: -1"),
    ],
)
def test_kid_checks_arguments_in_the_constructor(options, message):
    with pytest.raises(ValueError, match=message):
        KID(Rows(), **options)

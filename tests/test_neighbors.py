import math
import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from keras_gan.metrics import (
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    nearest_distances,
    precision_recall,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def distances(rows, others):
    """All Euclidean distances in float64, from differences: copies are at distance 0."""
    differences = np.float64(rows)[:, None] - np.float64(others)[None]
    return np.sqrt((differences**2).sum(axis=2))


def definition(real, fake, k):
    """The equations of both papers, over all distances: balls hold the rows on their surface."""
    between = distances(real, fake)
    radii, fake_radii = (np.sort(distances(x, x), axis=1)[:, k] for x in (real, fake))
    inside, fake_inside = between <= radii[:, None], between <= fake_radii[None]
    return (
        inside.any(axis=0).mean(),
        fake_inside.any(axis=1).mean(),
        inside.sum() / (k * len(fake)),
        inside.any(axis=1).mean(),
    )


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("block_size", [1, 7, 50, 1000])
def test_nearest_distances_equal_scikit_learn(k, block_size):
    queries, references = normal(40, 5), normal(60, 5, seed=1)
    expected, _ = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(references).kneighbors(queries)
    found = nearest_distances(queries, references, k=k, block_size=block_size)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("block_size", [1, 7, 40, 1000])
def test_self_is_excluded_by_position(block_size):
    rows = normal(40, 5)
    rows[17] = rows[3]  # equal rows are neighbors at distance 0
    distances = cdist(rows, rows)
    np.fill_diagonal(distances, np.inf)
    expected = np.sort(distances, axis=1)[:, :3]
    found = nearest_distances(rows, rows, k=3, exclude_self=True, block_size=block_size)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[3, 0] == found[17, 0] == 0
    assert nearest_distances(rows, rows)[:, 0].tolist() == [0] * 40


@pytest.mark.parametrize(("dtype", "offset"), [("float32", 1e6), ("float64", 1e9)])
def test_distances_are_exact_far_from_the_origin(dtype, offset):
    # ‖x‖² + ‖y‖² − 2 x·y keeps no digit of such distances, not even which is the least.
    rows = (offset + np.arange(12.0).reshape(6, 2)).astype(dtype)
    moved = (rows + np.array([0.5, 0])).astype(dtype)
    assert nearest_distances(moved, rows)[:, 0].tolist() == [0.5] * 6
    assert nearest_distances(rows[::-1], rows)[:, 0].tolist() == [0] * 6
    # An outlier moves the center, and leaves the others far from it.
    outlier = np.concatenate([rows, np.full((1, 2), offset - 1e6, dtype)])
    assert nearest_distances(moved, outlier)[:, 0].tolist() == [0.5] * 6


def test_uint8_distances_do_not_overflow():
    assert nearest_distances(np.uint8([[0, 3]]), np.uint8([[255, 3]])).tolist() == [[255]]


def test_block_memory_is_bounded():
    rows = np.float32(normal(2000, 4))
    nearest_distances(rows, rows, block_size=100)
    peaks = []
    for count in (1000, 2000):
        part = rows[:count]
        tracemalloc.start()
        nearest_distances(part, part, block_size=100)
        precision_recall(part, part, block_size=100)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 1000 * 1000 * 8 / 4  # one whole matrix of distances would be four times as much
    assert peaks[1] < 1.5 * peaks[0]
    tracemalloc.start()
    nearest_distances(rows, rows)
    precision_recall(rows, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 32e6 < peak < 1.5 * 32e6


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("size", [2, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_recall_density_coverage_equal_the_definition(k, size, dtype):
    real = normal(300, size).astype(dtype)
    fake = (0.8 * normal(200, size, seed=1) + 0.1).astype(dtype)
    expected = definition(np.float64(real), np.float64(fake), k)
    for block_size in (64, 1000):
        found = precision_recall(real, fake, k=k, block_size=block_size)
        found += density_coverage(real, fake, k=k, block_size=block_size)
        assert found == pytest.approx(expected, abs=1e-12)


# What the package prdc 0.2 gives for `normal(500, 64)` and `0.9 * normal(400, 64, seed=1) + 0.05`.
PRDC = {
    3: (0.9375, 0.286, 3.5133333333333328, 0.98),
    5: (0.9725, 0.378, 3.4785, 0.998),
}


@pytest.mark.parametrize("k", PRDC)
def test_precision_recall_density_coverage_equal_prdc(k):
    real, fake = normal(500, 64), 0.9 * normal(400, 64, seed=1) + 0.05
    found = precision_recall(real, fake, k=k) + density_coverage(real, fake, k=k)
    assert found == pytest.approx(PRDC[k], abs=1e-12)


def test_published_row_of_one_distribution():
    """Precision .7055, recall .7035, density 1.005, coverage .970 of 2000 × 64, k = 5, in one draw.

    The draw is not published. Eight of ours have standard deviations of .009, .011, .046 and .005: the
    mean of four must lie within three of them.
    """
    draws = []
    for seed in range(4):
        real, fake = normal(2000, 64, seed=seed), normal(2000, 64, seed=100 + seed)
        draws.append(precision_recall(real, fake, k=5) + density_coverage(real, fake, k=5))
    published, tolerance = [0.7055, 0.7035, 1.005, 0.970], 3 * np.array([0.009, 0.011, 0.046, 0.005])
    assert (abs(np.mean(draws, axis=0) - published) < tolerance).all()


def test_points_on_a_line_by_hand():
    # k = 1: real 0, 1, 3 have balls of radius 1, 1, 2; fake 0.5 and 9 have radius 8.5.
    real, fake = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [9.0]])
    # 0.5 lies in the balls of 0 and of 1; 9 in none. All real points lie within 8.5 of 0.5.
    assert precision_recall(real, fake, k=1) == (0.5, 1.0)
    assert density_coverage(real, fake, k=1) == (2 / 2, pytest.approx(2 / 3))
    # The surface is inside: −1 is at distance 1 from 0; 2 is at distance 1 from 1 and from 3.
    assert density_coverage(real, [[-1.0]], k=1) == (1, pytest.approx(1 / 3))
    assert density_coverage(real, [[2.0]], k=1) == (2, pytest.approx(2 / 3))
    assert density_coverage(real, [[-1.001]], k=1) == (0, 0)


@pytest.mark.parametrize("k", [1, 5])
def test_copies_of_real_rows_are_not_affected_by_rounding(k):
    # Each ball holds its center and its k neighbors, the last of them on its surface.
    real = np.float32(normal(300, 100)) + 100
    fake = real[np.random.default_rng(1).permutation(300)]
    for block_size in (70, 1000):
        assert density_coverage(real, fake, k=k, block_size=block_size) == ((k + 1) / k, 1)
        assert precision_recall(real, fake, k=k, block_size=block_size) == (1, 1)


def integers(count, seed):
    return np.random.default_rng(seed).integers(0, 3, (count, 2)).astype("float64")


TIES = {
    "repeated": (np.repeat(normal(20, 4), 8, axis=0),) * 2,
    "one-hot": (np.eye(10)[np.arange(200) % 10],) * 2,
    "uneven one-hot": (np.eye(4)[[0] * 9 + [1] * 7 + [2] * 2], np.eye(4)[[0, 1, 1, 2, 2, 3, 3, 3]]),
    "integers": (integers(60, 0), integers(50, 1)),
    "one point": (np.ones((8, 3)), np.ones((7, 3))),
}


@pytest.mark.parametrize("name", TIES)
@pytest.mark.parametrize("k", [1, 5])
def test_ties_follow_the_papers(name, k):
    """The package prdc 0.2, which leaves the surface out, gives 0 for one-hot rows and k = 5."""
    real, fake = TIES[name]
    for block_size in (7, 1000):
        options = {"k": k, "block_size": block_size}
        found = precision_recall(real, fake, **options) + density_coverage(real, fake, **options)
        assert found == pytest.approx(definition(real, fake, k), abs=1e-12)
    assert precision_recall(real, real, k=k) == (1, 1)
    assert density_coverage(real, real, k=k)[1] == 1


def test_equal_distributions_have_the_known_coverage_and_density():
    # The expectations of Naeem et al. for n real and n fake rows, held against the mean of draws.
    n, k, draws = 200, 5, 40
    expected = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    found = np.array(
        [density_coverage(normal(n, 8, seed=i), normal(n, 8, seed=999 + i), k=k) for i in range(draws)]
    )
    errors = found.std(axis=0, ddof=1) / np.sqrt(draws)
    assert (abs(found.mean(axis=0) - [1, expected]) < 3 * errors).all()
    assert errors[1] < 0.003


def test_quality_and_variety_are_distinguished():
    real = normal(500, 2)
    narrow, wide = 0.2 * normal(500, 2, seed=1), 5 * normal(500, 2, seed=1)
    precision, recall = precision_recall(real, narrow)
    assert precision > 0.95 > 0.5 > recall
    precision, recall = precision_recall(real, wide)
    assert precision < 0.4 < 0.9 < recall
    assert density_coverage(real, real.mean(0, keepdims=True))[1] < 0.05


GOOD = normal(9, 3)
SHARED = [
    ((GOOD[:0], GOOD), "`{0}` is empty"),
    ((GOOD, GOOD[0]), r"`{1}` must be an array .* Received shape: \(3,\)"),
    ((GOOD, GOOD + np.inf), "`{1}` must hold finite numbers.* 27 of 27 are not"),
    ((GOOD, GOOD[:, :2]), r"those of `{0}` have shape \(3,\) and those of `{1}` \(2,\)"),
    ((GOOD[:, None], GOOD[..., None]), r"of `{0}` have shape \(1, 3\) .* `{1}` \(3, 1\)"),
]


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (nearest_distances, ("queries", "references")),
        (precision_recall, ("real", "fake")),
        (density_coverage, ("real", "fake")),
    ],
)
@pytest.mark.parametrize(("arguments", "message"), SHARED)
def test_invalid_arguments(function, names, arguments, message):
    with pytest.raises(ValueError, match=message.format(*names)):
        function(*arguments)
    with pytest.raises(TypeError, match="`block_size` must be an integer >= 1.* Received: 0.5"):
        function(GOOD, GOOD, block_size=0.5)
    with pytest.raises(ValueError, match="`block_size` must be .* <= 20000. Received: 1000000000000"):
        function(GOOD, GOOD, block_size=10**12)
    with pytest.raises(ValueError, match="`k` must be an integer >= 1 and <= 10000. Received: 0"):
        function(GOOD, GOOD, k=0)
    with pytest.raises(TypeError, match=f"`{names[0]}` must be an array .* Received: set"):
        function({1.0}, GOOD)


def test_rows_of_any_shape_are_flattened():
    real, fake = normal(80, 5, 3), normal(70, 5, 3, seed=1)
    flat = real.reshape(80, 15), fake.reshape(70, 15)
    for function in (nearest_distances, precision_recall, density_coverage):
        np.testing.assert_array_equal(function(real, fake, k=3), function(*flat, k=3))


def test_extra_arguments_of_nearest_distances():
    with pytest.raises(TypeError, match="`exclude_self` must be True or False. Received: 1"):
        nearest_distances(GOOD, GOOD, exclude_self=1)


def test_too_few_rows():
    with pytest.raises(
        ValueError, match="must have at least 10 rows, for 10 neighbors of each query.*: 9"
    ):
        nearest_distances(GOOD, GOOD, k=10)
    with pytest.raises(
        ValueError, match="must have at least 10 rows, for 9 neighbors of each query.*: 9"
    ):
        nearest_distances(GOOD, GOOD, k=9, exclude_self=True)
    with pytest.raises(ValueError, match="row by row. Received: 8 queries and 9 references"):
        nearest_distances(GOOD[1:], GOOD, exclude_self=True)
    with pytest.raises(
        ValueError, match="`real` must have at least 4 rows, for 3 neighbors of each. Received: 3"
    ):
        precision_recall(GOOD[:3], GOOD)
    with pytest.raises(ValueError, match="`fake` must have at least 4 rows"):
        precision_recall(GOOD, GOOD[:3])
    with pytest.raises(ValueError, match="`real` must have at least 6 rows"):
        density_coverage(GOOD[:5], GOOD)


class Rows:
    name, weights, resizer, size = "rows", "0123456789abcdef", "none", 4

    def __call__(self, images):
        return np.float32(images.reshape(len(images), -1))


@pytest.mark.parametrize(
    ("family", "function", "names", "k"),
    [
        (PrecisionRecall, precision_recall, ("precision", "recall"), 3),
        (DensityCoverage, density_coverage, ("density", "coverage"), 5),
    ],
)
def test_scores_record_their_settings(family, function, names, k):
    real, fake = np.float32(normal(100, 2, 2, 1)), np.float32(normal(90, 2, 2, 1, seed=1))
    for options in ({}, {"k": 2}):
        metric = family(Rows(), split="test", **options)
        score = metric([real[:40], real[40:]], (batch for batch in np.split(fake, 3)))
        used = options.get("k", k)
        expected = function(real.reshape(100, 4), fake.reshape(90, 4), k=used)
        assert score.values == dict(zip(names, expected, strict=True))
        assert (score.settings, score.errors) == ({"k": used}, {})
        assert (score.num_real, score.num_fake, score.split) == (100, 90, "test")
        assert (score.extractor, score.weights, score.resizer) == ("rows", Rows.weights, "none")
        assert metric.evaluate(metric.prepare(real), fake) == score
    assert family(Rows(), k=k, block_size=7)(real, fake).values == family(Rows(), k=k)(real, fake).values
    for option in ("k", "block_size"):
        with pytest.raises(ValueError, match=f"`{option}` must be an integer >= 1.* Received: 0"):
            family(Rows(), **{option: 0})

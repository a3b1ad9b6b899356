"""Toy data with known modes."""

import numpy as np
import pytest

from keras_gan.datasets import GaussianMixture, stack_digits


def test_ring_has_the_requested_number_of_modes():
    """The roots of unity: equally spaced, and the first is not there twice."""
    ring = GaussianMixture.ring(modes=8, radius=2.0, std=0.02)
    roots = 2.0 * np.exp(2j * np.pi * np.arange(8) / 8)
    np.testing.assert_allclose(ring.centers, np.stack([roots.real, roots.imag], axis=1), atol=1e-12)
    assert len(np.unique(ring.centers.round(9), axis=0)) == 8
    gaps = np.linalg.norm(ring.centers - np.roll(ring.centers, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 2 * 2.0 * np.sin(np.pi / 8))
    assert len(GaussianMixture.ring(modes=1).centers) == 1


def test_grid_of_modes():
    grid = GaussianMixture.grid(side=5, spacing=2.0)
    expected = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert len(grid.centers) == 25
    assert set(map(tuple, grid.centers.tolist())) == expected


def test_samples_of_a_mixture():
    mixture = GaussianMixture([[0, 0, 5], [3, 0, 0]], std=0.5)
    points, labels = mixture.sample(20_000, seed=1)
    assert points.shape == (20_000, 3)
    assert points.dtype == np.float32
    assert abs(labels.mean() - 0.5) < 4 * 0.5 / np.sqrt(20_000)
    noise = points - mixture.centers[labels]
    np.testing.assert_allclose(np.cov(noise.T), 0.25 * np.eye(3), atol=0.012)
    np.testing.assert_array_equal(points, mixture.sample(20_000, seed=1)[0])
    assert not np.array_equal(points, mixture.sample(20_000, seed=2)[0])


def flat_digits(dtype="uint8"):
    """Images of which every pixel is their digit, twice over."""
    digits = np.tile(np.arange(10), 2)
    return np.broadcast_to(digits[:, None, None, None], (20, 3, 4, 1)).astype(dtype), digits


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_stacked_digits_are_digits_side_by_side(dtype):
    images, labels = flat_digits(dtype)
    stacked, classes = stack_digits(images, 5000, seed=0, labels=labels)
    assert stacked.shape == (5000, 3, 4, 3)
    assert stacked.dtype == dtype
    read = stacked[:, 0, 0].astype(int)
    np.testing.assert_array_equal(stacked, np.broadcast_to(read[:, None, None], stacked.shape))
    names = [int(f"{a}{b}{c}") for a, b, c in read.tolist()]
    np.testing.assert_array_equal(classes, names)
    # The three digits are drawn independently of each other.
    assert abs(np.corrcoef(read.T) - np.eye(3)).max() < 4 / np.sqrt(5000)
    np.testing.assert_array_equal(stacked, stack_digits(images, 5000, seed=0))
    assert not np.array_equal(stacked, stack_digits(images, 5000, seed=1))
    # Labels in bytes do not overflow; whole floats are labels.
    for dtype in ("uint8", "float32", "float64"):
        again = stack_digits(images, 5000, seed=0, labels=labels.astype(dtype))[1]
        np.testing.assert_array_equal(again, classes)


IMAGES, LABELS = flat_digits()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianMixture.ring(modes=0), "`modes` must be an integer >= 1 and <= 10000"),
        (lambda: GaussianMixture.ring(modes=10**12), "`modes` must be .* Received: 1000000000000"),
        (lambda: GaussianMixture.ring(radius=-1.0), "`radius` must be a finite number > 0"),
        (lambda: GaussianMixture.ring(radius=1e300), "`radius` must be .* <= 1e.30. Received: 1e.300"),
        (
            lambda: GaussianMixture.ring(modes=100, std=0.1),
            "`std` must not exceed .* two of the 100 centers are closer",
        ),
        (lambda: GaussianMixture.grid(side=101), "`side` must be an integer >= 1 and <= 100"),
        (lambda: GaussianMixture.grid(spacing=0), "`spacing` must be a finite number > 0"),
        (lambda: GaussianMixture.ring().sample(0, seed=0), "`n` must be an integer >= 1"),
        (lambda: GaussianMixture.ring().sample(10**12, seed=0), "`n` must be .* <= 10000000"),
        (lambda: GaussianMixture.ring().sample(5, seed=-1), "`seed` must be an integer >= 0"),
        (lambda: GaussianMixture([[0.0]], -1.0), "`std` must be a finite number > 0.* Received: -1.0"),
        (lambda: stack_digits(np.zeros((5, 3, 4)), 2, seed=0), r"\(m, h, w, 1\).*shape: \(5, 3, 4\)"),
        (lambda: stack_digits(np.zeros((5, 3, 4, 3)), 2, seed=0), r"one channel. Received.*4, 3\)"),
        (lambda: stack_digits(np.zeros((0, 3, 4, 1)), 2, seed=0), r"`images` is empty.*\(0, 3, 4, 1\)"),
        (lambda: stack_digits(np.full((2, 3, 4, 1), np.nan), 2, seed=0), "`images` must hold finite"),
        (lambda: stack_digits(IMAGES, 0, seed=0), "`n` must be an integer >= 1 and <= 1000000"),
        (lambda: stack_digits(IMAGES, 10**12, seed=0), "`n` must be an .* Received: 1000000000000"),
        (lambda: stack_digits(IMAGES, 2, seed=-1), "`seed` must be an integer >= 0. Received: -1"),
        (
            lambda: stack_digits(IMAGES, 2, seed=0, labels=[1, 2]),
            "`labels` must hold one label per image. Received: 20 images and 2 labels",
        ),
        (
            lambda: stack_digits(IMAGES, 2, seed=0, labels=[10] * 20),
            "`labels` must lie from 0 to 9. Received: 10 to 10",
        ),
    ],
)
def test_invalid_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianMixture.grid(side=2.5), "`side` must be an integer .* Received: 2.5"),
        (lambda: GaussianMixture.ring(radius="1"), "`radius` must be a finite number > 0.*'1'"),
        (lambda: GaussianMixture("centers", 0.1), "`centers` must be an array .* Received: str"),
        (lambda: stack_digits(IMAGES, 2, seed=None), "`seed` must be an integer >= 0. Received: None"),
        (lambda: stack_digits(IMAGES, 2, seed=0, labels=LABELS / 2), "`labels` must hold integers"),
    ],
)
def test_arguments_of_the_wrong_type(call, message):
    with pytest.raises(TypeError, match=message):
        call()

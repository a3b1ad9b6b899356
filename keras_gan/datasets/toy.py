"""Toy data with known modes: mixtures of Gaussians, and stacked digits."""

from typing import Self

import numpy as np

from keras_gan.metrics.arrays import as_samples, check_finite, check_not_empty
from keras_gan.metrics.modes import MAX_DIGITS, check_centers, check_classes, stack_classes
from keras_gan.utils.typing import Array
from keras_gan.utils.validation import check_integer, check_number

__all__ = ["GaussianMixture", "stack_digits"]

MAX_MODES, MAX_SIDE = 10_000, 100
MAX_SCALE = 1e30
MAX_POINTS = 10_000_000
MAX_IMAGES = 1_000_000


class GaussianMixture:
    """Toy data with modes that can be counted: equally likely round Gaussians.

    `ring` and `grid` are the two of VEEGAN (Srivastava et al., 2017, arXiv:1705.07761) and PacGAN
    (Lin et al., 2018, arXiv:1712.04086). `kg.metrics.ModeCoverage` counts the modes that samples reach.

    Args:
        centers: array `(modes, d)`, no two closer than `std`.
        std: float, standard deviation of every coordinate about its center, greater than 0.

    Raises:
        TypeError: an argument that does not hold numbers.
        ValueError: centers that are empty, not finite or closer than `std`; a `std` that is not finite
            and greater than 0.

    Example:

    >>> mixture = kg.datasets.GaussianMixture.ring()
    >>> points, labels = mixture.sample(1000, seed=0)
    >>> points.shape, points.dtype.name, labels.max().item()
    ((1000, 2), 'float32', 7)
    """

    def __init__(self, centers: Array, std: float) -> None:
        self.centers, self.std = check_centers(centers, std)

    @classmethod
    def ring(cls, modes: int = 8, *, radius: float = 1.0, std: float = 0.01) -> Self:
        """Return Gaussians at equal angles on a circle around the origin.

        Args:
            modes: int from 1 to 10,000, number of Gaussians. Defaults to 8.
            radius: float greater than 0. Defaults to 1.0.
            std: float greater than 0. Defaults to 0.01.
        """
        modes = check_integer("modes", modes, minimum=1, maximum=MAX_MODES)
        radius = check_number("radius", radius, above=0, maximum=MAX_SCALE)
        # Without the end: at 2π the last center would repeat the first.
        angles = np.linspace(0, 2 * np.pi, modes, endpoint=False)
        return cls(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std)

    @classmethod
    def grid(cls, side: int = 5, *, spacing: float = 2.0, std: float = 0.05) -> Self:
        """Return `side`² Gaussians on a square grid around the origin.

        Args:
            side: int from 1 to 100, number of Gaussians along each axis. Defaults to 5.
            spacing: float greater than 0, distance between neighbors. Defaults to 2.0.
            std: float greater than 0. Defaults to 0.05.
        """
        side = check_integer("side", side, minimum=1, maximum=MAX_SIDE)
        spacing = check_number("spacing", spacing, above=0, maximum=MAX_SCALE)
        ticks = spacing * (np.arange(side) - (side - 1) / 2)
        return cls(np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2), std)

    def sample(self, n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw points.

        Args:
            n: int from 1 to 10,000,000, number of points.
            seed: int, 0 or more.

        Returns:
            `(points, labels)`: float32 array `(n, d)`, and the index of each point's center, `(n,)`.
        """
        n = check_integer("n", n, minimum=1, maximum=MAX_POINTS)
        rng = np.random.default_rng(check_integer("seed", seed, minimum=0))
        labels = rng.integers(len(self.centers), size=n)
        noise = self.std * rng.standard_normal((n, self.centers.shape[1]))
        return (self.centers[labels] + noise).astype("float32"), labels


def stack_digits(
    images: Array, n: int, *, seed: int, labels: Array | None = None, digits: int = 3
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Stack random digits as the channels of images: data with 10^digits modes of equal weight.

    Stacked MNIST is from Metz et al. (2016, arXiv:1611.02163), with three digits and 1,000 modes; the
    digits of an image are drawn independently, with replacement. `kg.metrics.StackedDigits` counts the
    modes that samples reach.

    Args:
        images: array `(m, h, w, 1)` of digits, in any range and dtype.
        n: int from 1 to 1,000,000, number of stacked images.
        seed: int, 0 or more.
        labels: array `(m,)` of whole numbers, the digits 0 to 9 on the images; `None` if not known.
        digits: int from 1 to 6, number of digits on each image.

    Returns:
        Array `(n, h, w, digits)` of the images' dtype. With `labels` a pair: this array, and the classes
        `(n,)`, whose decimal places are the digits: those in the last channel are the ones.

    Raises:
        TypeError: images or labels that are not numbers; another argument of the wrong type.
        ValueError: images of another shape; labels that do not match them; `n` or `seed` out of range.

    Example:

    >>> digits = np.zeros((10, 28, 28, 1), "float32")
    >>> images, classes = kg.datasets.stack_digits(digits, 5, seed=0, labels=np.arange(10))
    >>> images.shape, classes.tolist()
    ((5, 28, 28, 3), [865, 230, 1, 869, 569])
    """
    images = as_samples("images", images)
    check_not_empty("images", images)
    check_finite("images", images)
    if images.ndim != 4 or images.shape[-1] != 1:
        raise ValueError(
            "`images` must be digits of shape (m, h, w, 1), with one channel. "
            f"Received shape: {images.shape}."
        )
    n = check_integer("n", n, minimum=1, maximum=MAX_IMAGES)
    rng = np.random.default_rng(check_integer("seed", seed, minimum=0))
    digits = check_integer("digits", digits, minimum=1, maximum=MAX_DIGITS)
    chosen = rng.integers(len(images), size=(n, digits))
    stacked = np.moveaxis(images[..., 0][chosen], 1, -1)
    if labels is None:
        return stacked
    labels = check_classes("labels", labels, 10)
    if len(labels) != len(images):
        raise ValueError(
            "`labels` must hold one label per image. "
            f"Received: {len(images)} images and {len(labels)} labels."
        )
    return stacked, stack_classes(labels[chosen].T)

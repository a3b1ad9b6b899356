"""Derives the seeds of layers from the seed of a network."""

import itertools
from collections.abc import Iterator

import numpy as np

from keras_gan.utils.validation import check_seed

__all__ = ["derive"]


def derive(seed: int | None, name: str) -> Iterator[int | None]:
    """Return an endless stream of seeds for the layers of the network `name`.

    Layers with the same seed would start with correlated weights. So would a generator and a
    discriminator with the same seed: the name distinguishes them.

    Args:
        seed: a non-negative integer; None gives None, for which Keras draws random seeds.
        name: name of the network.

    Raises:
        TypeError: the seed is not an integer.
        ValueError: the seed is out of range.

    Example:

    >>> from keras_gan.architectures.seeds import derive
    >>> seeds = derive(0, "generator")
    >>> len({next(seeds) for _ in range(1000)})
    1000
    """
    seed = check_seed("seed", seed)
    if seed is None:
        return itertools.repeat(None)
    stream = np.random.default_rng([seed, *name.encode()])
    return (int(stream.integers(2**31)) for _ in itertools.count())

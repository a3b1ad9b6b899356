"""Derives the seeds of layers from the seed of a network."""

import itertools
from collections.abc import Iterator

import numpy as np


def derive(seed: int | None, name: str) -> Iterator[int | None]:
    """Yield an endless stream of seeds for the layers of the network `name`.

    Layers with the same seed would start with correlated weights. So would a generator and a
    discriminator with the same seed: the name distinguishes them.

    Args:
        seed: a non-negative integer; None yields None, for which Keras draws random seeds.
        name: name of the network.

    Example:

    >>> from keras_gan.architectures.seeds import derive
    >>> seeds = derive(0, "generator")
    >>> len({next(seeds) for _ in range(1000)})
    1000
    """
    if seed is None:
        yield from itertools.repeat(None)
    stream = np.random.default_rng([seed, *name.encode()])
    while True:
        yield int(stream.integers(2**31))

"""One seed for a network, many for its layers."""

import itertools
from collections.abc import Iterator

import numpy as np


def derive(seed: int | None, name: str) -> Iterator[int | None]:
    """Yield seeds without end, one for each layer of the network called `name`.

    Layers that shared a seed would start with correlated weights, and so would a generator and a
    discriminator made from the same seed: the name tells them apart.

    Args:
        seed: a non-negative integer; None yields None, with which Keras draws its own seeds.
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

"""The average of networks' weights over training."""

import contextlib
import math
from collections.abc import Iterator, Sequence

import keras
from keras import ops

from keras_gan.utils.networks import all_weights, same
from keras_gan.utils.typing import REAL, Tensor


class WeightEMA:
    """Exponential moving average of all that networks compute with: weights, batch-norm statistics.

    Samples of a GAN are better under the average of the generator's recent weights than under the
    last ones, which circle around it (Yazıcı, Foo, Winkler, Yap, Piliouras, Chandrasekhar, 2018,
    arXiv 1806.04498). After t steps the average is Σₛ decayᵗ⁻ˢ wₛ / Σₛ decayᵗ⁻ˢ over the weights wₛ
    after each: the mean of all weights at first, and of about the last 1 / (1 − decay) in the end.
    Before the first step it is the weights that training begins with, which then have no share in it.
    Weights of less than 32 bits are averaged in float32, which does not lose small shares.

    Args:
        networks: `keras.Model`, or list of those that one player moves.
        decay: float in (0, 1): .999 averages over about the last 1,000 steps.

    Raises:
        ValueError: `decay` is out of range.

    Example:

    >>> network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> average = kg.models.WeightEMA(network, decay=0.5)
    >>> for t, weight in enumerate([1.0, 3.0], 1):
    ...     network.set_weights([np.array([[weight]])])
    ...     average.update(t)
    >>> round(float(average.variables[0][0, 0]), 3)  # 1 after the first step; then (½·1 + 3) / (½ + 1)
    2.333
    """

    def __init__(self, networks: keras.Model | Sequence[keras.Model], decay: float) -> None:
        if not isinstance(decay, REAL) or not 0 < decay < 1:
            raise ValueError(
                "The decay of an average is a number in (0, 1), such as 0.999 for an average over about "
                f"the last 1,000 steps. Received: {decay!r}"
            )
        self.decay = float(decay)
        networks = [networks] if isinstance(networks, keras.Model) else networks
        self.weights = all_weights(networks)
        self.variables = [
            # A copy: JAX gives the memory of its state away in each step, and can do so only once.
            keras.Variable(
                ops.copy(ops.cast(weight, dtype)),
                trainable=False,
                dtype=dtype,
                name=f"ema_{i}",
            )
            for i, (weight, dtype) in enumerate((w, _at_least_float32(w.dtype)) for w in self.weights)
        ]

    def belongs_to(self, networks: Sequence[keras.Model]) -> bool:
        """Return whether these networks still compute with the weights that are averaged."""
        return same(self.weights, all_weights(networks))

    def update(self, step: int | Tensor) -> None:
        """Take the weights as they are after `step` steps, counted from 1, into the average."""
        # The share of the newest weights, (1 − decay) / (1 − decayᵗ), without a difference of numbers
        # that float32 holds to be the same.
        exponent = math.log(self.decay) * ops.cast(step, "float32")
        share = (1.0 - self.decay) / -ops.expm1(exponent)
        for average, weight in zip(self.variables, self.weights, strict=True):
            if "float" in weight.dtype:
                difference = ops.subtract(ops.cast(weight, average.dtype), average)
                average.assign_add(ops.cast(share, average.dtype) * difference)
            else:
                average.assign(weight)

    def applied(self) -> keras.StatelessScope:
        """Return a context in which the networks compute with the average."""
        averages = [ops.cast(a, w.dtype) for a, w in zip(self.variables, self.weights, strict=True)]
        return keras.StatelessScope(list(zip(self.weights, averages, strict=True)))

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Make the average the networks' own weights for the code inside, which writes them."""
        before = [ops.copy(weight) for weight in self.weights]
        self.assign_to_networks()
        try:
            yield
        finally:
            for weight, value in zip(self.weights, before, strict=True):
                weight.assign(value)

    def assign_to_networks(self) -> None:
        """Make the average the networks' own weights, for good."""
        for weight, average in zip(self.weights, self.variables, strict=True):
            weight.assign(ops.copy(ops.cast(average, weight.dtype)))


def _at_least_float32(dtype):
    return "float32" if dtype in ("bfloat16", "float16") else dtype

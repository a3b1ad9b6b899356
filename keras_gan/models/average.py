"""The average of a network's weights over training."""

import math

import keras
from keras import ops


class Average:
    """Exponential moving average of all that a network computes with: weights, batch-norm statistics.

    Samples of a GAN are better under the average of the generator's recent weights than under the
    last ones, which circle around it (Yazıcı, Foo, Winkler, Yap, Piliouras, Chandrasekhar, 2018,
    arXiv 1806.04498). After t steps the average is Σₛ decayᵗ⁻ˢ wₛ / Σₛ decayᵗ⁻ˢ over the weights wₛ
    after each: the mean of all weights at first, and of about the last 1 / (1 − decay) in the end. It
    never holds the weights that training began with.

    Args:
        network: `keras.Model`.
        decay: float in (0, 1): .999 averages over about the last 1,000 steps.

    Raises:
        ValueError: `decay` is out of range.

    Example:

    >>> network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> average = kg.models.Average(network, decay=0.5)
    >>> for t, weight in enumerate([1.0, 3.0], 1):
    ...     network.set_weights([np.array([[weight]])])
    ...     average.update(t)
    >>> round(float(average.variables[0][0, 0]), 3)  # 1 after the first step; then (½·1 + 3) / (½ + 1)
    2.333
    """

    def __init__(self, network, decay):
        if not 0 < decay < 1:
            raise ValueError(
                "The decay of an average is a number in (0, 1), such as 0.999 for an average over about "
                f"the last 1,000 steps. Received: {decay!r}"
            )
        self.network, self.decay = network, float(decay)
        self.variables = [
            keras.Variable(ops.copy(weight), trainable=False, dtype=weight.dtype, name="average")
            for weight in network.weights
        ]

    def update(self, step):
        """Take the weights as they are after `step` steps, counted from 1, into the average."""
        # The share of the newest weights, (1 − decay) / (1 − decayᵗ), without a difference of numbers
        # that float32 holds to be the same.
        exponent = math.log(self.decay) * ops.cast(step, "float32")
        share = (1.0 - self.decay) / -ops.expm1(exponent)
        for average, weight in zip(self.variables, self.network.weights, strict=True):
            if "float" in weight.dtype:
                average.assign_add(ops.cast(share, weight.dtype) * ops.subtract(weight, average))
            else:
                average.assign(weight)

    def applied(self):
        """Return a context in which the network computes with the average."""
        return keras.StatelessScope(list(zip(self.network.weights, self.variables, strict=True)))

"""The average of a network's weights over training."""

import keras
from keras import ops


class Average:
    """Exponential moving average of all that a network computes with: weights, batch-norm statistics.

    Samples of a GAN are better under the average of the generator's recent weights than under the
    last ones, which circle around it (Yazıcı, Foo, Winkler, Yap, Piliouras, Chandrasekhar, 2018,
    arXiv 1806.04498). After step t the average is a ← βₜ·a + (1 − βₜ)·w with
    βₜ = min(decay, (t − 1) / (t + 9)): a tenth of the steps so far at first, so that the average does not
    remember how training began, and 1 / (1 − decay) steps in the end.

    Args:
        network: `keras.Model`.
        decay: float in [0, 1): .999 averages over about the last 1,000 steps.

    Raises:
        ValueError: `decay` is out of range.

    Example:

    >>> network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> average = kg.models.Average(network, decay=0.5)
    >>> for t, weight in enumerate([1.0, 3.0], 1):
    ...     network.set_weights([np.array([[weight]])])
    ...     average.update(t)
    >>> round(float(average.variables[0][0, 0]), 3)  # 1 after the first step; then (1·1 + 10·3) / 11
    2.818
    """

    def __init__(self, network, decay):
        if not 0 <= decay < 1:
            raise ValueError(
                "The decay of an average is a number in [0, 1), such as 0.999 for an average over about "
                f"the last 1,000 steps. Received: {decay!r}"
            )
        self.network, self.decay = network, float(decay)
        self.variables = [
            keras.Variable(ops.copy(weight), trainable=False, dtype=weight.dtype, name="average")
            for weight in network.weights
        ]

    def update(self, step):
        """Take the weights as they are after `step` steps, counted from 1, into the average."""
        t = ops.cast(step, "float32")
        share = ops.maximum(1.0 - self.decay, 10.0 / (t + 9.0))
        for average, weight in zip(self.variables, self.network.weights, strict=True):
            if "float" in weight.dtype:
                average.assign_add(ops.cast(share, weight.dtype) * ops.subtract(weight, average))
            else:
                average.assign(weight)

    def applied(self):
        """Return a context in which the network computes with the average."""
        return keras.StatelessScope(list(zip(self.network.weights, self.variables, strict=True)))

"""Exponential moving average of networks' weights."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from keras_gan.utils.networks import all_weights, check_models, same
from keras_gan.utils.typing import Tensor
from keras_gan.utils.validation import check_number

__all__ = ["WeightEMA", "check_decay"]


class WeightEMA:
    """Exponential moving average (EMA) of the weights and batch-norm statistics of networks.

    A generator with the average of its recent weights makes better samples than one with the last
    weights, which circle around it (Yazıcı, Foo, Winkler, Yap, Piliouras, Chandrasekhar, 2018,
    arXiv 1806.04498). After t steps the EMA is Σₛ decayᵗ⁻ˢ wₛ / Σₛ decayᵗ⁻ˢ over the weights wₛ after
    each step s: at first the mean of all weights, later of about the last 1 / (1 − decay). It is
    initialized to the initial weights, which do not contribute once training starts. Weights of fewer
    than 32 bits are averaged in float32, where small changes are not lost.

    Args:
        networks: `keras.Model`, or list of the networks of one player.
        decay: number in (0, 1): 0.999 averages over about the last 1,000 steps.

    Raises:
        TypeError: `decay` is not a number.
        ValueError: `decay` is out of range.

    Example:

    >>> network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> ema = kg.models.WeightEMA(network, decay=0.5)
    >>> for t, weight in enumerate([1.0, 3.0], 1):
    ...     network.set_weights([np.array([[weight]])])
    ...     ema.update(t)
    >>> round(float(ema.variables[0][0, 0]), 3)  # 1 after the first step; then (½·1 + 3) / (½ + 1)
    2.333
    """

    def __init__(self, networks: keras.Model | Sequence[keras.Model], decay: float) -> None:
        self.decay = check_decay("decay", decay)
        networks = [networks] if isinstance(networks, keras.Model) else networks
        if not isinstance(networks, (list, tuple)) or not networks:
            raise TypeError(
                "`networks` must be a `keras.Model`, or a list of them. Received: "
                f"{networks!r} of type {type(networks).__name__}"
            )
        check_models(**{f"entry {i} of `networks`": n for i, n in enumerate(networks)})
        self.weights = all_weights(networks)
        self.variables = [
            # Copies: JAX donates the memory of its state to each step, and can do so only once.
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
        """Include the weights after `step` steps, counted from 1, in the EMA."""
        # The share of the newest weights is (1 − decay) / (1 − decayᵗ). `expm1` avoids a difference of
        # numbers that are equal in float32.
        exponent = math.log(self.decay) * ops.cast(step, "float32")
        share = (1.0 - self.decay) / -ops.expm1(exponent)
        for ema, weight in zip(self.variables, self.weights, strict=True):
            if "float" in weight.dtype:
                difference = ops.subtract(ops.cast(weight, ema.dtype), ema)
                ema.assign_add(ops.cast(share, ema.dtype) * difference)
            else:
                ema.assign(weight)

    def applied(self) -> keras.StatelessScope:
        """Return a context in which the networks compute with the EMA of their weights."""
        values = [ops.cast(e, w.dtype) for e, w in zip(self.variables, self.weights, strict=True)]
        return keras.StatelessScope(list(zip(self.weights, values, strict=True)))

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Assign the EMA to the networks inside the context, and restore their weights afterwards."""
        before = [ops.copy(weight) for weight in self.weights]
        self.assign_to_networks()
        try:
            yield
        finally:
            for weight, value in zip(self.weights, before, strict=True):
                weight.assign(value)

    def assign_to_networks(self) -> None:
        """Assign the EMA to the weights of the networks."""
        for weight, ema in zip(self.weights, self.variables, strict=True):
            weight.assign(ops.copy(ops.cast(ema, weight.dtype)))


def check_decay(name: str, value: Any) -> float:
    """Return the decay of an EMA, a number in (0, 1), or raise an error that names the argument."""
    hint = "0.999 averages over about the last 1,000 steps."
    return check_number(name, value, above=0, below=1, hint=hint)


def _at_least_float32(dtype):
    return "float32" if dtype in ("bfloat16", "float16") else dtype

"""Initial values of weights."""

import random
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_gan.utils.typing import Config, Tensor

_register = keras.saving.register_keras_serializable(package="keras_gan")


@_register
class Sparse(keras.initializers.Initializer):
    """Give each unit a few normally distributed incoming weights, and zeros elsewhere.

    However wide the layer below is, the input of a unit keeps the same scale. The output layer of
    the Toronto Faces generator of Goodfellow et al. (2014) starts so.

    Martens 2010, "Deep learning via Hessian-free optimization", ICML.

    Args:
        nonzero: number of non-zero weights of each unit (column), at different, random places.
        stddev: their standard deviation.
        seed: an integer, for the same values at every call; None draws the seed once.

    Raises:
        ValueError: the weights are no matrix, or have fewer than `nonzero` rows.

    Example:

    >>> kernel = kg.initializers.Sparse(nonzero=3, seed=0)((50, 4))
    >>> ops.convert_to_numpy(ops.count_nonzero(kernel, axis=0)).tolist()
    [3, 3, 3, 3]
    """

    def __init__(self, nonzero: int, stddev: float = 1.0, seed: int | None = None) -> None:
        self.nonzero = nonzero
        self.stddev = stddev
        self.seed = random.randrange(2**31) if seed is None else seed

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        """Return weights of `shape`, which is `(inputs, units)`."""
        if len(shape) != 2 or shape[0] < self.nonzero:
            raise ValueError(
                f"Sparse initial weights with {self.nonzero} non-zero entries a unit need a matrix "
                f"(inputs, units) with at least {self.nonzero} inputs. Received: shape="
                f"{tuple(shape)}. Lower `nonzero`, or use another initializer."
            )
        inputs, units = shape
        # One seed for both draws would tie a weight's value to its place.
        place_seed, value_seed = np.random.SeedSequence(self.seed).generate_state(2).tolist()
        order = keras.random.uniform((units, inputs), seed=place_seed)
        rows = ops.top_k(order, self.nonzero, sorted=False)[1]
        columns = ops.broadcast_to(ops.arange(units, dtype=rows.dtype)[:, None], ops.shape(rows))
        places = ops.reshape(ops.stack([rows, columns], axis=-1), (-1, 2))
        values = keras.random.normal(
            (units * self.nonzero,), stddev=self.stddev, dtype=dtype, seed=value_seed
        )
        return ops.scatter(places, values, tuple(shape))

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"nonzero": self.nonzero, "stddev": self.stddev, "seed": self.seed}

"""Initializers of weights."""

import random
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_gan.utils.typing import Config, Tensor
from keras_gan.utils.validation import check_integer, check_number, check_seed, check_shape

__all__ = ["Sparse"]


def __dir__():
    return __all__


_register = keras.saving.register_keras_serializable(package="keras_gan")


def _float_type(dtype):
    try:
        name = keras.backend.standardize_dtype(dtype)
    except (TypeError, ValueError):
        name = ""
    if "float" not in name:
        raise ValueError(f"`dtype` must be a type of floats, such as 'float32'. Received: {dtype!r}")
    return name


@_register
class Sparse(keras.initializers.Initializer):
    """Give each unit a few normally distributed incoming weights, and zeros elsewhere.

    The input of a unit has the same scale whatever the width of the layer below. Goodfellow et al.
    (2014) initialize the output layer of the Toronto Faces generator with it.

    Martens 2010, "Deep learning via Hessian-free optimization", ICML.

    Args:
        nonzero: number of non-zero weights of each unit (column), at distinct random places.
        stddev: standard deviation of the non-zero weights.
        seed: integer; every call returns the same values. None draws a random seed once.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range; the shape is not that of a matrix, or has fewer than
            `nonzero` rows.

    Example:

    >>> kernel = kg.initializers.Sparse(nonzero=3, seed=0)((50, 4))
    >>> ops.convert_to_numpy(ops.count_nonzero(kernel, axis=0)).tolist()
    [3, 3, 3, 3]
    """

    def __init__(self, nonzero: int, *, stddev: float = 1.0, seed: int | None = None) -> None:
        self.nonzero = check_integer("nonzero", nonzero, minimum=1)
        self.stddev = check_number("stddev", stddev, above=0)
        self.seed = random.randrange(2**31) if seed is None else check_seed("seed", seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        """Return weights of `shape`, which is `(inputs, units)`."""
        shape = check_shape("shape", shape)
        dtype = _float_type(dtype)
        if len(shape) != 2 or shape[0] < self.nonzero:
            raise ValueError(
                f"Sparse weights with {self.nonzero} non-zero entries per unit require a matrix "
                f"(inputs, units) with at least {self.nonzero} inputs. Received: shape="
                f"{shape}. Decrease `nonzero`, or use another initializer."
            )
        inputs, units = shape
        # A single seed for both draws would correlate a weight's value with its place.
        place_seed, value_seed = np.random.SeedSequence(self.seed).generate_state(2).tolist()
        order = keras.random.uniform((units, inputs), seed=place_seed)
        rows = ops.top_k(order, self.nonzero, sorted=False)[1]
        columns = ops.broadcast_to(ops.arange(units, dtype=rows.dtype)[:, None], ops.shape(rows))
        places = ops.reshape(ops.stack([rows, columns], axis=-1), (-1, 2))
        values = keras.random.normal(
            (units * self.nonzero,), stddev=self.stddev, dtype=dtype, seed=value_seed
        )
        return ops.scatter(places, values, shape)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"nonzero": self.nonzero, "stddev": self.stddev, "seed": self.seed}

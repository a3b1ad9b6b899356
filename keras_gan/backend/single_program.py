"""Functions for backends with known shapes, where one program sees the whole batch (JAX, torch)."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_gan.utils.typing import Game, Shape, Tensor


def check_shape(inputs: Tensor, shape: Shape) -> Tensor:
    """Return `inputs`, whose shape was checked when the batch was read."""
    return inputs


def check_rows(inputs: Tensor, least: int, message: str) -> Tensor:
    """Return `inputs`.

    Raises:
        ValueError: there are fewer than `least` rows.
    """
    if inputs.shape[0] < least:
        raise ValueError(f"{message} Received: {inputs.shape[0]}")
    return inputs


def replica_mean(tensor: Tensor) -> Tensor:
    """Return `tensor`: means over rows already include the whole batch."""
    return tensor


def unscaled_gradients(optimizer: keras.optimizers.Optimizer, grads: Sequence[Tensor]) -> list[Tensor]:
    """Return gradients of `gradients(..., optimizers)` without the loss scale."""
    return [g / optimizer.scale_loss(1.0) for g in grads]


def check_replicas(gan: Game) -> None:
    """Accept all layers: batch statistics include all rows."""


def local_rows(leaf: Tensor) -> np.ndarray:
    """Return the rows of an array or tensor that this process sees, as NumPy."""
    return np.asarray(keras.ops.convert_to_numpy(leaf))

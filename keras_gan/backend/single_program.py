"""What is simple where shapes are always known, and one program sees the whole batch (JAX, torch)."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_gan.utils.typing import Game, Shape, Tensor


def check_shape(inputs: Tensor, shape: Shape) -> Tensor:
    """Return `inputs`, whose shape was compared when the batch was read."""
    return inputs


def check_rows(inputs: Tensor, least: int, message: str) -> Tensor:
    """Return `inputs`.

    Raises:
        ValueError: it has fewer than `least` rows.
    """
    if inputs.shape[0] < least:
        raise ValueError(f"{message} Received: {inputs.shape[0]}")
    return inputs


def replica_mean(tensor: Tensor) -> Tensor:
    """Return `tensor`: means over the rows are means over all of them."""
    return tensor


def unscaled_gradients(optimizer: keras.optimizers.Optimizer, grads: Sequence[Tensor]) -> list[Tensor]:
    """Return what `gradients(..., optimizers)` gave, without the loss scale."""
    return [g / optimizer.scale_loss(1.0) for g in grads]


def check_replicas(gan: Game) -> None:
    """Accept all layers: batch statistics are those of all rows."""


def local_rows(leaf: Tensor) -> np.ndarray:
    """Return the rows of an array or a tensor that this process sees, as NumPy."""
    return np.asarray(keras.ops.convert_to_numpy(leaf))

"""A separate bias at each position."""

from typing import Any

import keras

from keras_gan.layers import identifiers
from keras_gan.utils.typing import Config, Identifier, Shape, Tensor

__all__ = ["UntiedBias"]

_register = keras.saving.register_keras_serializable(package="keras_gan")


@_register
class UntiedBias(keras.layers.Layer):
    """Add a learned bias for each position and channel.

    A convolution shares one bias per channel across all positions. This layer, after a convolution with
    `use_bias=False`, gives every pixel a separate bias, as in the deconvolutional CIFAR-10 generator of
    Goodfellow et al., 2014, arXiv 1406.2661.

    Args:
        initializer: initializer of the bias.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Shapes:
        inputs and outputs `(batch, ...)`; the axes after the first must have known sizes, which are
        the shape of the bias.

    Raises:
        ValueError: the size of an axis after the first is unknown.

    Example:

    >>> layer = kg.layers.UntiedBias("ones")
    >>> tuple(layer(ops.zeros((1, 2, 2, 3))).shape), layer.count_params()
    ((1, 2, 2, 3), 12)
    """

    def __init__(self, initializer: Identifier = "zeros", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initializer = identifiers.get("initializer", initializer)

    def build(self, input_shape: Shape) -> None:
        """Create the bias."""
        shape = tuple(input_shape[1:])
        if None in shape:
            raise ValueError(
                f"Layer {self.name!r} has a bias for each position, so it requires inputs of known "
                f"size. Received: inputs of shape {tuple(input_shape)}. Pass a full shape to "
                "`keras.Input`."
            )
        self.bias = self.add_weight(name="bias", shape=shape, initializer=self.initializer)

    def call(self, inputs: Tensor) -> Tensor:
        """Return `inputs` plus the bias."""
        return inputs + self.bias

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs."""
        return input_shape

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "initializer": keras.initializers.serialize(self.initializer),
        }

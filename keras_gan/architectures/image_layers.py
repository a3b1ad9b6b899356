"""Layers at the edges of networks of images, which compute with the channels last throughout."""

from typing import Any

import keras

from keras_gan.utils.images import channels_first, image_shape

__all__ = ["from_channels_last", "image_input", "to_channels_last"]


def image_input(height: int, width: int, channels: int) -> Any:
    """Return the input `images`, in the data format of Keras."""
    return keras.Input(image_shape(height, width, channels), name="images")


def to_channels_last(images: Any) -> Any:
    """Return images in the data format of Keras with their channels last."""
    return _permute((2, 3, 1))(images) if channels_first() else images


def from_channels_last(images: Any) -> Any:
    """Return images with their channels last in the data format of Keras."""
    return _permute((3, 1, 2))(images) if channels_first() else images


def _permute(axes):
    # Images are float32, whatever the precision policy.
    return keras.layers.Permute(axes, dtype="float32")

"""The axes of images, as `keras.config.image_data_format()` orders them.

Images enter and leave the package in that format: `channels_last`, (height, width, channels), or
`channels_first`, (channels, height, width). In between, they are handled with their channels last.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["channels_first", "from_channels_last", "image_shape", "image_size", "to_channels_last"]


def channels_first() -> bool:
    """Return whether the channels of images come before height and width."""
    return keras.config.image_data_format() == "channels_first"


def image_shape(height: int, width: int, channels: int) -> tuple[int, int, int]:
    """Return the shape of one image in the data format of Keras."""
    return (channels, height, width) if channels_first() else (height, width, channels)


def image_size(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return (height, width, channels) of images of a shape that ends in the axes of an image."""
    height, width, channels = (*shape[-2:], shape[-3]) if channels_first() else shape[-3:]
    return height, width, channels


def to_channels_last(images: Any) -> Any:
    """Return images in the data format of Keras as (..., height, width, channels)."""
    return _move_axis(images, -3, -1)


def from_channels_last(images: Any) -> Any:
    """Return images (..., height, width, channels) in the data format of Keras."""
    return _move_axis(images, -1, -3)


def _move_axis(images, source, destination):
    if not channels_first():
        return images
    library = np if isinstance(images, np.ndarray) else ops
    return library.moveaxis(images, source, destination)

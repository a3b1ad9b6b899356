"""Options for reading a source, and the conversion of images."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from keras_gan.utils.optional import tensorflow
from keras_gan.utils.typing import PathLike, Tensor, ValueRange
from keras_gan.utils.validation import check_callable, check_flag, check_integer, check_path, check_range

__all__ = ["Options", "fitted", "resized"]


@dataclasses.dataclass(frozen=True)
class Options:
    """How to read a source: arguments of `load`, checked once for all sources."""

    value_range: ValueRange
    image_size: int | None
    channels: int | None
    data_dir: PathLike | None
    fold: int
    download: bool
    progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        check_range("value_range", self.value_range)
        if self.image_size is not None:
            check_integer("image_size", self.image_size, minimum=1, maximum=2**16)
        if self.channels is not None and check_integer("channels", self.channels) not in (1, 3):
            raise ValueError(
                "`channels` must be 1 (gray), 3 (color) or None (as in the source). "
                f"Received: {self.channels!r}"
            )
        if self.data_dir is not None:
            check_path("data_dir", self.data_dir)
        check_integer("fold", self.fold, minimum=0, maximum=4)
        check_flag("download", self.download)
        if self.progress is not None:
            check_callable("progress", self.progress)


def resized(images: np.ndarray, options: Options) -> np.ndarray:
    """Convert images of one size to the requested size and channels."""
    if options.image_size is None and options.channels is None:
        return images
    # In pieces, since resizing needs float32, which takes four times the memory of bytes.
    pieces = np.array_split(images, math.ceil(len(images) / 1024))
    return np.concatenate([fitted(piece, options).numpy() for piece in pieces])


def fitted(images: Tensor, options: Options) -> Tensor:
    """Crop images of shape (..., height, width, channels) to a square, resize and convert them."""
    tf = tensorflow()

    with tf.device("CPU"):
        images = tf.convert_to_tensor(images)
        if options.image_size is not None:
            images = _square(images, options)
        if options.channels is None or images.shape[-1] == options.channels:
            return images
        if images.shape[-1] not in (1, 3):
            raise ValueError(
                f"`channels={options.channels}` converts images of 1 or 3 channels. Received "
                f"images of {images.shape[-1]}: convert them before, or leave `channels` out."
            )
        convert = tf.image.grayscale_to_rgb if options.channels == 3 else tf.image.rgb_to_grayscale
        return convert(images)


def _square(images, options):
    tf = tensorflow()

    height, width = tf.unstack(tf.shape(images)[-3:-1])
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[..., top : top + side, left : left + side, :]
    square = tf.image.resize(square, (options.image_size, options.image_size), antialias=True)
    if images.dtype.is_integer:
        return tf.saturate_cast(tf.round(square), images.dtype)
    return tf.clip_by_value(square, *options.value_range)

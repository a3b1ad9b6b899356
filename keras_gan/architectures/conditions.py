"""Joins the conditions of a network to its vectors or feature maps."""

import math

import keras
from keras import ops

from keras_gan.architectures import seeds
from keras_gan.utils.typing import Tensor
from keras_gan.utils.validation import check_choice, check_integer, shortened

__all__ = ["embed_labels", "join_conditions"]

_ORDERS = ("channels_last", "channels_first")


def embed_labels(
    labels: Tensor, num_classes: int, size: int | None = None, *, seed: int | None = None
) -> Tensor:
    """Return labels as vectors: one-hot by default, or an embedding that is learned.

    `join_conditions` then joins the vectors to the features of a network. The GAN finds the number of
    classes here, and raises an error for a label outside of them.

    Args:
        labels: input of integers from 0 to `num_classes` − 1, of shape `(batch,)` or `(batch, 1)`.
        num_classes: number of classes, positive.
        size: size of the embedding, positive; None for one-hot vectors, whose size is `num_classes`.
        seed: non-negative integer for a reproducible embedding, which starts as N(0, 1).

    Returns:
        A tensor `(batch, size)`.

    Raises:
        TypeError: an argument has the wrong type; the labels are not integers.
        ValueError: an argument is out of range; the labels have another shape.

    Example:

    >>> label = keras.Input((), dtype="int32", name="label")
    >>> kg.architectures.embed_labels(label, num_classes=10).shape
    (None, 10)
    >>> kg.architectures.embed_labels(label, num_classes=10, size=3).shape
    (None, 3)
    """
    num_classes = check_integer("num_classes", num_classes, minimum=1)
    shape = _shape("`labels`", labels)
    if not _is_integer(labels):
        raise TypeError(
            "`labels` must be integers, such as `keras.Input((), dtype='int32')`. Received the type: "
            f"{keras.backend.standardize_dtype(labels.dtype)}"
        )
    if shape[1:] not in [(), (1,)]:
        raise ValueError(
            f"`labels` must have the shape (batch,) or (batch, 1), one label a row. Received: {shape}"
        )
    if size is None:
        vectors = ops.one_hot(labels, num_classes)
    else:
        size = check_integer("size", size, minimum=1)
        normal = keras.initializers.RandomNormal(0.0, 1.0, seed=next(seeds.derive(seed, "labels")))
        vectors = keras.layers.Embedding(num_classes, size, embeddings_initializer=normal)(labels)
    return keras.layers.Flatten()(vectors)


def join_conditions(features: Tensor, *conditions: Tensor, data_format: str | None = None) -> Tensor:
    """Concatenate conditions to a vector, or to the channels of feature maps.

    Mirza, Osindero, 2014, arXiv 1411.1784, join a condition to the inputs of both networks; Radford,
    Metz, Chintala, 2015, in their MNIST code, to those of every layer. What fits a condition to the
    features:

    * a vector joins a vector as it is, and feature maps at each of their positions;
    * an image, or the maps of another layer, joins a vector flattened, and feature maps resized to
      theirs (linearly, and with antialiasing).

    Labels become vectors by `embed_labels`.

    Args:
        features: tensor `(batch, size)`, or feature maps `(batch, height, width, channels)`. Other
            numbers of positions, such as those of a sequence or a volume, take conditions of the same
            positions.
        *conditions: tensors of floats, `(batch,)` for numbers, `(batch, size)` for vectors, or of the
            rank of the feature maps. Without any, the features return as they are.
        data_format: `"channels_last"` or `"channels_first"`, the order of the maps and images. Defaults
            to `keras.config.image_data_format()`.

    Returns:
        A tensor of the shape of the features, with more channels.

    Raises:
        TypeError: something is not a tensor; a condition consists of integers.
        ValueError: shapes that cannot be joined; positions of unknown number; an unknown `data_format`.

    Example:

    >>> maps, picture = keras.Input((7, 7, 16)), keras.Input((28, 28, 3))
    >>> label = keras.Input((), dtype="int32")
    >>> digit = kg.architectures.embed_labels(label, num_classes=10)
    >>> kg.architectures.join_conditions(maps, digit, picture, data_format="channels_last").shape
    (None, 7, 7, 29)
    """
    order = keras.config.image_data_format() if data_format is None else data_format
    check_choice("data_format", order, _ORDERS)
    shape = _floats("`features`", features)
    if len(shape) < 2 or None in shape[1:]:
        raise ValueError(
            "`features` must have the shape (batch, size), or that of feature maps, with known numbers "
            f"after `batch`. Received: {shape}"
        )
    if not conditions:
        return features
    axis = 1 if order == "channels_first" else -1
    fitted = [_fitted(condition, shape, order) for condition in conditions]
    return keras.layers.Concatenate(axis=axis)([features, *fitted])


def _fitted(condition, features, order):
    """Return a condition with the rank and the positions of features of a shape."""
    shape = _floats("Each of the `conditions`", condition)
    if None in shape[1:]:
        raise ValueError(f"A condition must have known numbers after `batch`. Received: {shape}")
    if len(shape) == 1:
        condition, shape = keras.layers.Reshape((1,))(condition), (shape[0], 1)
    if len(features) == 2:
        return condition if len(shape) == 2 else keras.layers.Flatten()(condition)
    positions = _positions(features, order)
    if len(shape) == 2:
        return _repeated(condition, shape[1], positions, order)
    if len(shape) == len(features) and _positions(shape, order) == positions:
        return condition
    if len(shape) == len(features) == 4:
        return ops.image.resize(condition, positions, antialias=True, data_format=order)
    raise ValueError(
        f"A condition for feature maps of shape {features} must be a vector (batch, size), or have the "
        f"positions {positions}; only images (batch, height, width, channels) are resized. Received "
        f"the shape {shape}, where the order is {order!r}."
    )


def _repeated(vector, size, positions, order):
    """Return a vector at each position."""
    repeated = keras.layers.RepeatVector(math.prod(positions))(vector)
    if order == "channels_first":
        repeated = keras.layers.Permute((2, 1))(repeated)
        return keras.layers.Reshape((size, *positions))(repeated)
    return keras.layers.Reshape((*positions, size))(repeated)


def _positions(shape, order):
    return shape[2:] if order == "channels_first" else shape[1:-1]


def _floats(name, tensor):
    """Return the shape of a tensor of floats, or raise."""
    shape = _shape(name, tensor)
    if _is_integer(tensor):
        raise TypeError(
            f"{name} of `join_conditions` must consist of floats. Received integers of shape {shape}. "
            "Pass labels through `kg.architectures.embed_labels` first."
        )
    return shape


def _shape(name, tensor):
    """Return the shape of a tensor, or raise."""
    if not (ops.is_tensor(tensor) or isinstance(tensor, keras.KerasTensor)):
        raise TypeError(
            f"{name} must be a tensor, such as `keras.Input(...)` or the output of a layer. Received: "
            f"{shortened(tensor)}"
        )
    return tuple(tensor.shape)


def _is_integer(tensor):
    return "int" in keras.backend.standardize_dtype(tensor.dtype)

"""Maxout units, dense and convolutional."""

from typing import Any

import keras
from keras import ops

from keras_gan.layers import identifiers
from keras_gan.utils.typing import Config, Identifier, Shape, Tensor
from keras_gan.utils.validation import check_choice, check_integer, check_shape

__all__ = ["Maxout", "MaxoutConv2D"]

_register = keras.saving.register_keras_serializable(package="keras_gan")


def _valid_length(size, kernel, stride):
    return (size - kernel) // stride + 1


def _same_length(size, kernel, stride):
    return -(-size // stride)


_OUTPUT_LENGTHS = {"valid": _valid_length, "same": _same_length}


def _pair(name, value):
    """Check an integer, or a height and a width, and return the pair."""
    sizes = check_shape(name, value, hint="Pass one integer, or a pair (height, width).")
    if len(sizes) == 1:
        return sizes * 2
    if len(sizes) != 2:
        raise ValueError(f"`{name}` must be an integer or a pair (height, width). Received: {value!r}")
    return sizes


class _MaxoutBase(keras.layers.Layer):
    """Base class with the weights of `pieces` affine maps per unit, and the maximum over them."""

    def __init__(
        self,
        pieces: int,
        kernel_initializer: Identifier,
        bias_initializer: Identifier,
        kernel_regularizer: Identifier | None,
        kernel_constraint: Identifier | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pieces = check_integer("pieces", pieces, minimum=1)
        self.kernel_initializer = identifiers.get("kernel_initializer", kernel_initializer)
        self.bias_initializer = identifiers.get("bias_initializer", bias_initializer)
        self.kernel_regularizer = identifiers.get("kernel_regularizer", kernel_regularizer)
        self.kernel_constraint = identifiers.get("kernel_constraint", kernel_constraint)

    def _add_weights(self, incoming, units):
        """Add a kernel with a column for each piece of each unit, and a bias for each column."""
        columns = self.pieces * units
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*incoming, columns),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = self.add_weight(name="bias", shape=(columns,), initializer=self.bias_initializer)

    def _maximum(self, products, units):
        # With units as the inner axis, the reduction runs over contiguous vectors, which is about
        # twice as fast on a CPU as the other order.
        shape = (*ops.shape(products)[:-1], self.pieces, units)
        # `ops.add`, unlike `+`, recognizes a bias, whose gradient then takes one pass.
        return ops.max(ops.reshape(ops.add(products, self.bias), shape), axis=-2)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "pieces": self.pieces,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
        }


@_register
class Maxout(_MaxoutBase):
    """Dense layer whose units are each the maximum of several affine maps of the inputs.

    It learns a convex activation function, and works well with dropout. The discriminators of
    Goodfellow et al. (2014) consist of it.

    Goodfellow, Warde-Farley, Mirza, Courville, Bengio 2013, arXiv 1302.4389, section 3:
    `h_i = max_j (x · W_ij + b_ij)` with j over the pieces.

    The kernel has shape `(inputs, pieces * units)`: piece j of unit i is column `j * units + i`.
    So `kernel_constraint=keras.constraints.MaxNorm(c, axis=0)` bounds the incoming weight vector
    of each piece of each unit by c.

    Args:
        units: number of outputs, a positive integer.
        pieces: number of affine maps per output, a positive integer.
        kernel_initializer: initializer of the kernel.
        bias_initializer: initializer of the bias, of shape `(pieces * units,)`.
        kernel_regularizer: regularizer of the kernel, or None.
        kernel_constraint: constraint of the kernel, or None.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras layer.

    Shapes:
        inputs `(batch, ..., features)` with any number of axes in between; outputs
        `(batch, ..., units)`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> layer = kg.layers.Maxout(240, pieces=5)
    >>> tuple(layer(ops.ones((2, 784))).shape)
    (2, 240)
    >>> layer.count_params() == (784 + 1) * 5 * 240
    True
    """

    def __init__(
        self,
        units: int,
        pieces: int,
        *,
        kernel_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier | None = None,
        kernel_constraint: Identifier | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pieces,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            kernel_constraint,
            **kwargs,
        )
        self.units = check_integer("units", units, minimum=1)
        self.input_spec = keras.InputSpec(min_ndim=2)

    def build(self, input_shape: Shape) -> None:
        """Create the weights."""
        self._add_weights((input_shape[-1],), self.units)
        self.input_spec = keras.InputSpec(min_ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs: Tensor) -> Tensor:
        """Return the outputs for `inputs`."""
        return self._maximum(ops.matmul(inputs, self.kernel), self.units)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units}


@_register
class MaxoutConv2D(_MaxoutBase):
    """Convolution whose output channels are each the maximum of several linear feature maps.

    Goodfellow, Warde-Farley, Mirza, Courville, Bengio 2013, arXiv 1302.4389, section 3: the maximum
    is taken across channels, separately at each position. Use a pooling layer to pool over positions;
    the order of the two does not matter.

    The kernel has shape `(height, width, channels, pieces * filters)`: piece j of filter i is
    `j * filters + i`. `kernel_constraint=keras.constraints.MaxNorm(c, axis=[0, 1, 2])` bounds the
    weights of each piece of each filter. Images have their channels last.

    Args:
        filters: number of output channels, a positive integer.
        pieces: number of feature maps per output channel, a positive integer.
        kernel_size: an integer, or a pair (height, width).
        strides: an integer, or a pair (height, width).
        padding: `"valid"` or `"same"`.
        kernel_initializer: initializer of the kernel.
        bias_initializer: initializer of the bias, of shape `(pieces * filters,)`.
        kernel_regularizer: regularizer of the kernel, or None.
        kernel_constraint: constraint of the kernel, or None.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras layer.

    Shapes:
        inputs `(batch, height, width, channels)`; outputs
        `(batch, new_height, new_width, filters)`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range, or images are smaller than the kernel.

    Example:

    >>> layer = kg.layers.MaxoutConv2D(32, pieces=2, kernel_size=8)
    >>> tuple(layer(ops.ones((1, 32, 32, 3))).shape)
    (1, 25, 25, 32)
    """

    def __init__(
        self,
        filters: int,
        pieces: int,
        kernel_size: int | tuple[int, int],
        *,
        strides: int | tuple[int, int] = 1,
        padding: str = "valid",
        kernel_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier | None = None,
        kernel_constraint: Identifier | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pieces,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            kernel_constraint,
            **kwargs,
        )
        self.filters = check_integer("filters", filters, minimum=1)
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.strides = _pair("strides", strides)
        self.padding = check_choice("padding", padding, _OUTPUT_LENGTHS)
        self.input_spec = keras.InputSpec(ndim=4)

    def build(self, input_shape: Shape) -> None:
        """Create the weights."""
        self._add_weights((*self.kernel_size, input_shape[-1]), self.filters)
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: input_shape[-1]})

    def call(self, inputs: Tensor) -> Tensor:
        """Return the outputs for `inputs`."""
        maps = ops.conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
        )
        return self._maximum(maps, self.filters)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs."""
        length = _OUTPUT_LENGTHS[self.padding]
        sizes = [
            None if size is None else length(size, kernel, stride)
            for size, kernel, stride in zip(
                input_shape[1:3], self.kernel_size, self.strides, strict=True
            )
        ]
        if any(size is not None and size < 1 for size in sizes):
            raise ValueError(
                f"Images of {input_shape[1]}×{input_shape[2]} are smaller than the kernel of layer "
                f"{self.name!r}, {self.kernel_size[0]}×{self.kernel_size[1]}. Pad the images, or use "
                "padding='same' or a smaller `kernel_size`."
            )
        return (input_shape[0], *sizes, self.filters)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
        }

"""Maxout units, dense and convolutional."""

from typing import Any

import keras
from keras import ops

from keras_gan.utils.typing import Config, Identifier, Shape, Tensor

_register = keras.saving.register_keras_serializable(package="keras_gan")


def _valid_length(size, kernel, stride):
    return (size - kernel) // stride + 1


def _same_length(size, kernel, stride):
    return -(-size // stride)


_OUTPUT_LENGTHS = {"valid": _valid_length, "same": _same_length}


def _count(name, value):
    """Check a number of things: a positive integer."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return value


def _pair(name, value):
    """Check an integer, or a height and a width, and return the pair."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2:
        raise ValueError(
            f"`{name}` must be an integer or a pair (height, width). Received: {name}={value!r}"
        )
    return tuple(_count(name, entry) for entry in pair)


class _MaxoutBase(keras.layers.Layer):
    """The weights of `pieces` affine maps a unit, and the maximum over them."""

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
        self.pieces = _count("pieces", pieces)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)

    def _add_weights(self, incoming, units):
        """Add a kernel with one column for each piece of each unit, and a bias for each column."""
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
        # Pieces outside, units inside: the reduction then runs over contiguous vectors, which is
        # about twice as fast on a CPU as the other order.
        shape = (*ops.shape(products)[:-1], self.pieces, units)
        # `ops.add` knows a bias, whose gradient is then one pass over the outputs'; `+` does not.
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

    It learns a convex activation instead of fixing one, and goes well with dropout. The
    discriminators of Goodfellow et al. (2014) are made of it.

    Goodfellow, Warde-Farley, Mirza, Courville, Bengio 2013, arXiv 1302.4389, section 3:
    `h_i = max_j (x · W_ij + b_ij)` with j over the pieces.

    The kernel has shape `(inputs, pieces * units)`: piece j of unit i is column `j * units + i`.
    So `kernel_constraint=keras.constraints.MaxNorm(c, axis=0)` bounds the incoming weight vector
    of each piece of each unit by c.

    Args:
        units: number of outputs, a positive integer.
        pieces: number of affine maps that each output is the maximum of, a positive integer.
        kernel_initializer: initializer of the kernel.
        bias_initializer: initializer of the bias, of shape `(pieces * units,)`.
        kernel_regularizer: regularizer of the kernel, or None.
        kernel_constraint: constraint of the kernel, or None.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Shapes:
        inputs `(batch, ..., features)` with any number of axes between; outputs
        `(batch, ..., units)`.

    Raises:
        ValueError: `units` or `pieces` is not a positive integer.

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
        self.units = _count("units", units)
        self.input_spec = keras.InputSpec(min_ndim=2)

    def build(self, input_shape: Shape) -> None:
        """Make the weights."""
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
    is taken across channels, at each position by itself. Pooling over positions is left to a
    pooling layer; the order of the two does not matter.

    The kernel has shape `(height, width, channels, pieces * filters)`: piece j of filter i is
    `j * filters + i`. `kernel_constraint=keras.constraints.MaxNorm(c, axis=[0, 1, 2])` bounds the
    weights of each piece of each filter. Images have their channels last.

    Args:
        filters: number of output channels, a positive integer.
        pieces: number of feature maps that each output channel is the maximum of.
        kernel_size: an integer, or a pair (height, width).
        strides: an integer, or a pair (height, width).
        padding: `"valid"` or `"same"`.
        kernel_initializer: initializer of the kernel.
        bias_initializer: initializer of the bias, of shape `(pieces * filters,)`.
        kernel_regularizer: regularizer of the kernel, or None.
        kernel_constraint: constraint of the kernel, or None.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Shapes:
        inputs `(batch, height, width, channels)`; outputs
        `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: an argument out of its range; images smaller than the kernel.

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
        self.filters = _count("filters", filters)
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.strides = _pair("strides", strides)
        if padding not in _OUTPUT_LENGTHS:
            raise ValueError(f"`padding` must be 'valid' or 'same'. Received: padding={padding!r}")
        self.padding = padding
        self.input_spec = keras.InputSpec(ndim=4)

    def build(self, input_shape: Shape) -> None:
        """Make the weights."""
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
                f"{self.name!r}, {self.kernel_size[0]}×{self.kernel_size[1]}. Pad them, or use "
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

"""Spectral normalization."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan.utils.typing import Shape, Tensor
from keras_gan.utils.validation import shortened

__all__ = ["SpectralNormalization"]

_register = keras.saving.register_keras_serializable(package="keras_gan")


@_register
class SpectralNormalization(keras.layers.Wrapper):
    """Divide the kernel of a layer by its largest singular value, σ.

    Miyato, Kataoka, Koyama, Yoshida, 2018, arXiv 1802.05957: σ = uᵀWv, by one power iteration a step
    from the u of the step before. The gradient passes through σ, with u and v constant. The kernel of a
    convolution counts as a matrix from (height · width · inputs) to outputs.

    In a GAN, u moves once in each step of the player that trains the layer, after its optimizer has
    moved W; all passes of a step, real, generated or of a penalty, see the same normalized kernel. In a
    model that Keras trains alone, u moves in each pass in training mode.
    `keras.layers.SpectralNormalization` moves it in each pass in both cases, and replaces the kernel
    itself by the normalized one.

    Args:
        layer: `keras.layers.Layer` with a `kernel` (dense, convolutional) or `embeddings`.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Shapes:
        those of the layer.

    Raises:
        TypeError: `layer` is not a layer.
        ValueError: the layer has no kernel and no embeddings.

    Example:

    >>> layer = kg.layers.SpectralNormalization(keras.layers.Dense(8))
    >>> tuple(layer(ops.ones((2, 4))).shape)
    (2, 8)
    """

    # Whether a pass in training mode moves u. A compiled GAN sets it to False, and calls `step`.
    moves_in_calls = True

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        if not isinstance(layer, keras.layers.Layer):
            raise TypeError(f"`layer` must be a `keras.layers.Layer`. Received: {shortened(layer)}")
        super().__init__(layer, **kwargs)

    def build(self, input_shape: Shape | None = None) -> None:
        """Build the layer, and create u."""
        super().build(input_shape)
        kernel = self._kernel()
        outputs = kernel.shape[self._axis()]
        self.u = self.add_weight(
            name="u",
            shape=(outputs,),
            initializer="random_normal",
            trainable=False,
            dtype="float32",
            autocast=False,
        )

    def _kernel(self):
        for name in ("kernel", "embeddings"):
            variable = getattr(self.layer, name, None)
            if isinstance(variable, keras.Variable):
                return variable
        raise ValueError(
            f"`SpectralNormalization` requires a layer with a kernel or embeddings. Received: "
            f"{type(self.layer).__name__} {self.layer.name!r}"
        )

    def _axis(self):
        """Return the axis of the kernel for the outputs."""
        return -2 if "Transpose" in type(self.layer).__name__ else -1

    def _matrix(self):
        """Return the kernel as a float32 matrix of shape (inputs, outputs)."""
        kernel = self._kernel()
        matrix = ops.cast(ops.convert_to_tensor(kernel), "float32")
        matrix = ops.moveaxis(matrix, self._axis(), -1)
        return ops.reshape(matrix, (-1, matrix.shape[-1]))

    def _iterated(self, matrix):
        """Return u and v after a power iteration."""
        v = _unit(ops.matmul(matrix, ops.expand_dims(_unit(ops.convert_to_tensor(self.u)), -1))[:, 0])
        return _unit(ops.matmul(ops.transpose(matrix), ops.expand_dims(v, -1))[:, 0]), v

    def step(self) -> None:
        """Move u by a power iteration, with the kernel as it is now."""
        self.u.assign(ops.stop_gradient(self._iterated(self._matrix())[0]))

    def sigma(self) -> Tensor:
        """Return the estimate of the largest singular value, a scalar."""
        matrix = self._matrix()
        u, v = (ops.stop_gradient(x) for x in self._iterated(matrix))
        return ops.sum(v * ops.matmul(matrix, ops.expand_dims(u, -1))[:, 0])

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the outputs of the layer with its normalized kernel."""
        if training and self.moves_in_calls:
            self.step()
        kernel = self._kernel()
        values = {id(variable): variable.value for variable in self.layer.variables}
        values[id(kernel)] = ops.cast(ops.convert_to_tensor(kernel), "float32") / self.sigma()
        mapping = [(variable, values[id(variable)]) for variable in self.layer.variables]
        with keras.StatelessScope(state_mapping=mapping):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the outputs."""
        return self.layer.compute_output_shape(input_shape)


def _unit(vector):
    return vector / ops.maximum(ops.norm(vector), np.float32(1e-12))

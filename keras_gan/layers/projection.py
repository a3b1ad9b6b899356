"""The projection of a condition onto features."""

from typing import Any

import keras
from keras import ops

from keras_gan.layers import identifiers
from keras_gan.utils.typing import Config, Identifier, Shape, Tensor
from keras_gan.utils.validation import check_integer

__all__ = ["Projection"]

_register = keras.saving.register_keras_serializable(package="keras_gan")


@_register
class Projection(keras.layers.Layer):
    """The last layer of a conditional discriminator: ψ(φ) + ⟨v_y, φ⟩, with an affine ψ.

    Miyato, Koyama, 2018, arXiv 1802.05637, equation 4. Its optimum is
    log p(y|x)/q(y|x) + log p(x)/q(x): the inner product stands for the first part, and ψ for the second.

    Args:
        classes: number of classes, if conditions are labels. By default they are vectors y, whose v_y is
            the linear map Vᵀy.
        kernel_initializer: initializer of the weights of ψ.
        embeddings_initializer: initializer of V, of shape `(classes, features)`.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Shapes:
        inputs: list `[features, condition]`, of shapes `(batch, features)` and, for labels from 0 to
        `classes` − 1, `(batch,)` or `(batch, 1)`, for vectors `(batch, size)`; outputs `(batch, 1)`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range; features or conditions have another number of axes.

    Example:

    >>> layer = kg.layers.Projection(classes=10)
    >>> tuple(layer([ops.ones((2, 128)), ops.array([3, 7])]).shape)
    (2, 1)
    """

    def __init__(
        self,
        classes: int | None = None,
        *,
        kernel_initializer: Identifier = "glorot_uniform",
        embeddings_initializer: Identifier = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.classes = None if classes is None else check_integer("classes", classes, minimum=1)
        self.kernel_initializer = identifiers.get("kernel_initializer", kernel_initializer)
        self.embeddings_initializer = identifiers.get("embeddings_initializer", embeddings_initializer)

    def build(self, input_shape: list[Shape]) -> None:
        """Create the weights of ψ, and V."""
        size, condition = self._sizes(input_shape)
        self.kernel = self.add_weight(
            name="kernel", shape=(size, 1), initializer=self.kernel_initializer
        )
        self.bias = self.add_weight(name="bias", shape=(1,), initializer="zeros")
        self.embeddings = self.add_weight(
            name="embeddings", shape=(condition, size), initializer=self.embeddings_initializer
        )

    def _sizes(self, input_shape):
        """Return the number of features and the number of rows of V."""
        shapes = [tuple(shape) for shape in input_shape]
        if len(shapes) == 2 and len(shapes[0]) == 2:
            features, condition = shapes
            if self.classes is not None and condition[1:] in [(), (1,)]:
                return features[1], self.classes
            if self.classes is None and len(condition) == 2:
                return features[1], condition[1]
        labels = "labels (batch,)" if self.classes is not None else "vectors (batch, size)"
        raise ValueError(
            f"Layer {self.name!r} takes `[features, condition]`: features of shape (batch, size), and "
            f"{labels}, as `classes={self.classes}` says. Received the shapes: {shapes}"
        )

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Return logits."""
        features, condition = inputs
        if self.classes is None:
            rows = ops.matmul(ops.cast(condition, self.compute_dtype), self.embeddings)
        else:
            rows = ops.take(self.embeddings, ops.cast(ops.reshape(condition, (-1,)), "int32"), axis=0)
        match = ops.sum(rows * features, axis=-1, keepdims=True)
        return ops.matmul(features, self.kernel) + self.bias + match

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Return the shape of the outputs."""
        self._sizes(input_shape)
        return (input_shape[0][0], 1)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "classes": self.classes,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }

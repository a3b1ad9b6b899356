"""Features of Keras models."""

import hashlib
import math
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan.metrics.features.base import FeatureExtractor, rescale
from keras_gan.utils import inputs, networks, registry
from keras_gan.utils.presets import presets
from keras_gan.utils.typing import Array, PathLike, ValueRange
from keras_gan.utils.validation import check_choice, check_integer, check_range, check_string

__all__ = ["DigitClassifier", "ModelFeatures"]

MAX_BATCH_SIZE = 1_000_000
RESIZERS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


class ModelFeatures(FeatureExtractor):
    """The outputs of a layer of any Keras model, as features.

    For your own network: a classifier of the kind of images at hand, an encoder, the discriminator of a
    finished run. Images are rescaled to the range that the model expects and, if a resizer is named,
    resized to its input size.

    Batches go through one compiled function, so that many calls need no more memory than one. The
    model runs in inference mode. It is shared, not copied: `weights` is computed when it is read (0.2 s
    for Inception), and changes if the model is trained.

    Args:
        model: functional or sequential Keras model from a batch of samples, such as images `(batch,
            height, width, channels)`, to one tensor. For `probabilities` it must be a classifier:
            logits, or a softmax of them, `(batch, num_classes)`.
        layer: name of the layer whose outputs are the features, flattened. Defaults to `None`: the
            output of the model.
        name: str, name of the extractor in results. Defaults to the names of model and layer.
        value_range: pair (low, high) of the values of black and white in the images. `None` accepts any
            finite numbers, for models of tables or series. Defaults to (0, 1).
        input_range: pair (low, high) of the values of black and white for the model. Defaults to `None`:
            those of `value_range`.
        resizer: how images of another size are resized: `"nearest"`, or with antialiasing
            `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`; values that overshoot the range are
            clipped. For a model of color images it also repeats the channel of grayscale ones. Defaults
            to `None`: images of another shape are an error.
        batch_size: int, number of samples that go through the model at once; it bounds the memory and
            does not change the features. Defaults to 128.

    Raises:
        TypeError: `model` is not a built functional or sequential Keras model; or another argument has
            the wrong type.
        ValueError: a layer that the model does not have, or whose number of features depends on the
            size of the images; more than one input or output; or another argument out of range.

    Example:

    >>> model = keras.Sequential(
    ...     [keras.Input((8, 8, 1)), keras.layers.Flatten(name="flat"), keras.layers.Dense(3)]
    ... )
    >>> extractor = kg.metrics.ModelFeatures(model, layer="flat", value_range=(-1, 1))
    >>> extractor(np.zeros((5, 8, 8, 1))).shape, extractor.probabilities(np.zeros((5, 8, 8, 1))).shape
    ((5, 64), (5, 3))
    """

    def __init__(
        self,
        model: keras.Model,
        layer: str | None = None,
        *,
        name: str | None = None,
        value_range: ValueRange | None = (0, 1),
        input_range: ValueRange | None = None,
        resizer: str | None = None,
        batch_size: int = 128,
    ) -> None:
        super().__init__(value_range=value_range)
        _check_model(model)
        self.model = model
        self.layer = None if layer is None else check_string("layer", layer)
        default = model.name if layer is None else f"{model.name}/{layer}"
        self.name = default if name is None else check_string("name", name)
        self.input_range = _check_input_range(input_range, self.value_range)
        self.batch_size = check_integer("batch_size", batch_size, minimum=1, maximum=MAX_BATCH_SIZE)
        self._shape = tuple(model.inputs[0].shape[1:])
        self._interpolation = resizer
        self.resizer = _describe(resizer, self._shape, self.value_range)
        features = model.outputs[0] if layer is None else _find_output(model, layer)
        # Separate models, so that other code does not replace their compiled functions.
        self._features = keras.Model(model.inputs[0], features)
        self._classes = keras.Model(model.inputs[0], model.outputs[0])
        if None in features.shape[1:]:
            raise ValueError(
                f"The number of features of {self.name!r} depends on the size of the samples: "
                f"{tuple(features.shape)}. Choose a layer after a global pooling, or give the model a "
                "fixed input size: `keras.Input((64, 64, 3))`."
            )
        self.size = math.prod(features.shape[1:])

    @property
    def settings(self) -> dict[str, Any]:
        """See base class."""
        return super().settings | {"input_range": self.input_range, "layer": self.layer}

    # Other extractors may set these two attributes, but here they follow from the model.
    @property
    def weights(self) -> str:  # type: ignore[override]
        """SHA-256 of names, shapes, types and values of the model's weights, in their order."""
        digest = hashlib.sha256()
        for variable in self.model.weights:
            values = np.ascontiguousarray(ops.convert_to_numpy(variable))
            # Not `path`, which contains a count of the layers created before.
            digest.update(f"{variable.name} {values.shape} {values.dtype}\n".encode())
            digest.update(values.tobytes())
        return digest.hexdigest()

    @property
    def classifies(self) -> bool:  # type: ignore[override]
        """Whether the model's outputs can be logits of classes, or a softmax of them."""
        shape, activation = self._classes.output_shape, networks.final_activation(self.model)
        return len(shape) == 2 and shape[1] > 1 and activation not in ("sigmoid", "log_softmax")

    def __call__(self, samples: Array) -> np.ndarray:
        """Return the features of samples: float32 of shape `(n, size)`."""
        features = self._run(self._features, samples)
        return features.reshape(len(features), self.size)

    def probabilities(self, samples: Array) -> np.ndarray:
        """Return the softmax of the model's logits, or its output if that is a softmax already."""
        if not self.classifies:
            return super().probabilities(samples)
        outputs = self._run(self._classes, samples)
        return outputs if networks.final_activation(self.model) == "softmax" else _softmax(outputs)

    def _run(self, network, samples):
        samples = self.validate(samples)
        batches = range(0, len(samples), self.batch_size)
        outputs = [
            network.predict_on_batch(self._preprocess(samples[start : start + self.batch_size]))
            for start in batches
        ]
        return np.concatenate(outputs).astype("float32", copy=False)

    def validate(self, samples: Array) -> np.ndarray:
        """Return samples as an array that the model can process, or raise."""
        samples = super().validate(samples)
        shape = samples.shape[1:]
        if inputs.compatible(shape, self._shape):
            return samples
        resizable = self._interpolation is not None and len(shape) == 3
        if not resizable or shape[-1] not in (1, self._shape[-1]):
            raise ValueError(
                f"The extractor {self.name!r} expects samples of shape {self._shape}. "
                f"Received: {shape}. A `resizer`, such as 'bilinear', changes height and width of "
                "images, and repeats the channel of grayscale images for a model of 3 channels, but "
                "does not convert color to grayscale."
            )
        return samples

    def _preprocess(self, samples):
        samples = rescale(samples, self.value_range, self.input_range)
        if inputs.compatible(samples.shape[1:], self._shape):
            return samples
        images = np.clip(_resize(samples, self._shape[:2], self._interpolation), *self.input_range)
        return np.repeat(images, self._shape[-1] // images.shape[-1], axis=-1)


class DigitClassifier(ModelFeatures):
    """A small classifier of digits: 64 features and ten classes.

    For scores of handwritten digits, about which a network trained on photos says little, and for
    counting digits, as in the Stacked MNIST test. `examples/train_digit_classifier.py` trains it in
    minutes, and `saved_models/digit_classifier.keras` is the result, with more than 99 % accuracy on
    the test digits of MNIST. Scores of different classifiers are not comparable: `weights` identifies
    the classifier.

    Args:
        model: path of a `.keras` file, or a Keras model; with a layer named `"features"` and logits as
            output, like `kg.architectures.digit_classifier`, and trained on images in [0, 1].
        value_range: pair (low, high) of the values of black and white in the images. Defaults to (0, 1).
        resizer: how images that are not 28 × 28 are resized, as in `ModelFeatures`. Defaults to
            `None`: they are an error.

    Raises:
        ValueError: there is no such file, it does not contain a Keras model, or the model has no layer
            `"features"`; or another argument is out of range.
        TypeError: as `ModelFeatures`.

    Example:

    >>> model = kg.architectures.digit_classifier(seed=0)  # or "saved_models/digit_classifier.keras"
    >>> extractor = kg.metrics.DigitClassifier(model, value_range=(-1, 1), resizer="bilinear")
    >>> extractor.resizer
    'bilinear antialiased to 28×28 if needed'
    >>> images = np.zeros((3, 32, 32, 1))
    >>> extractor(images).shape, extractor.probabilities(images).shape
    ((3, 64), (3, 10))
    """

    def __init__(
        self,
        model: PathLike | keras.Model,
        *,
        value_range: ValueRange = (0, 1),
        resizer: str | None = None,
    ) -> None:
        if isinstance(model, str | os.PathLike):
            own = presets().get(os.fspath(model))
            model = _load(own or Path(model).expanduser())
        super().__init__(
            model,
            layer="features",
            name="digit classifier",
            value_range=value_range,
            input_range=(0, 1),
            resizer=resizer,
        )


def _resize(images, size, interpolation):
    if interpolation == "nearest":
        images = ops.image.resize(images, size, interpolation, data_format="channels_last")
    else:
        # `resize` of torch has no Lanczos, and otherwise gives the same results.
        shape = (len(images), *size, images.shape[-1])
        scale = np.float32(np.divide(size, images.shape[1:3]))
        images = ops.image.scale_and_translate(
            images, shape, scale, np.zeros(2, "float32"), (1, 2), interpolation, antialias=True
        )
    return ops.convert_to_numpy(images)


def _softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _check_model(model):
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise TypeError(
            "`model` must be a functional or sequential Keras model that knows the shape of its "
            f"input (`keras.Input`). Received: {model!r}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.inputs[0].shape) < 2:
        raise ValueError(
            "`model` must map one batch of samples, such as images of shape (batch, height, width, "
            f"channels), to one tensor. The model {model.name!r} takes "
            f"{[tuple(tensor.shape) for tensor in model.inputs]} and returns "
            f"{[tuple(tensor.shape) for tensor in model.outputs]}."
        )


def _check_input_range(input_range, value_range):
    if input_range is None:
        return value_range
    if value_range is None:
        raise ValueError("`input_range` needs a `value_range` to rescale from. Received: None.")
    return check_range("input_range", input_range)


def _find_output(model, name):
    """Return the output of a layer within the graph of `model`; in other graphs it may have others."""
    nodes = getattr(model, "_functional", model)._nodes_by_depth.values()
    outputs = {node.operation.name: node.output_tensors[0] for depth in nodes for node in depth}
    if name not in outputs:
        raise ValueError(registry.unknown(f"layer of {model.name!r}", str(name), outputs))
    return outputs[name]


def _describe(resizer, shape, value_range):
    """Return the record of the resizing in a result."""
    if resizer is None:
        return None
    check_choice("resizer", resizer, RESIZERS)
    if len(shape) != 3 or None in shape or value_range is None:
        raise ValueError(
            "A `resizer` needs a model of images of one size and a `value_range`. Received: a model of "
            f"input shape {shape}, and `value_range={value_range}`. Leave `resizer` out, or give the "
            "model a fixed size: `keras.Input((64, 64, 3))`."
        )
    height, width, channels = shape
    method = resizer if resizer == "nearest" else f"{resizer} antialiased"
    repeated = ", grayscale repeated," if channels > 1 else ""
    return f"{method} to {height}×{width}{repeated} if needed"


def _load(path):
    if not path.is_file():
        raise ValueError(
            f"There is no file {str(path)!r}. `model` must be 'digit_classifier', which comes with the "
            "package, or the path of a `.keras` file."
        )
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`model` must be the path of a Keras model, which {str(path)!r} is not: {error}"
        ) from error

"""Feature extractors: what turns images into the vectors, or probabilities, that metrics compare."""

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_gan.metrics.metric import as_array, check_whole
from keras_gan.utils import inputs, networks, registry
from keras_gan.utils.typing import Array, PathLike, ValueRange
from keras_gan.visualization import check_value_range

ROUNDING = 1e-6
RESIZERS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
INCEPTION_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"


class FeatureExtractor:
    """Base class of feature extractors: `extractor(images)` gives a vector for each image.

    Scores such as the Fréchet distance compare images by what some network sees in them, and change
    with that network, its weights and the resizing more than with most changes of a generator. So an
    extractor is chosen, never found, and says what a result must record of it. None is replaced by
    another where something is missing.

    An extractor does not change: `copy.deepcopy`, which KerasTuner applies to callbacks and so to the
    extractors in them, gives the same object.

    A member writes `__call__`, and `probabilities` if it classifies.

    Args:
        value_range: pair of the numbers that are black and white in the images that it will be called
            on. Defaults to (0, 1).

    Attributes:
        name: str.
        weights: SHA-256 of the weights, hexadecimal; `None` without weights.
        resizer: str, how images of another size, or grey ones, are brought to that of the extractor;
            `None` if they are refused.
        size: int, how many numbers a vector has.
        classifies: bool, whether `probabilities` is there.
        value_range: as the argument.
        settings: dict of what else decides the features, which scores hold among their own.

    Raises:
        ValueError: `value_range` is no increasing pair of finite numbers.

    Example:

    >>> class Brightness(kg.metrics.FeatureExtractor):
    ...     name, size = "brightness", 1
    ...     def __call__(self, images):
    ...         return self.checked(images).mean(axis=(1, 2, 3))[:, None].astype("float32")
    >>> Brightness()(np.full((2, 4, 4, 1), 0.25)).tolist()
    [[0.25], [0.25]]
    """

    name: str | None = None
    weights: str | None = None
    resizer: str | None = None
    size: int | None = None
    classifies = False

    def __init__(self, value_range: ValueRange = (0, 1)) -> None:
        self.value_range = check_value_range(value_range)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the features beside name, weights and resizer: a dict."""
        return {"value_range": self.value_range}

    def __call__(self, images: Array) -> np.ndarray:
        """Return the features of images: float32 of shape `(n, size)`.

        Args:
            images: array `(n, height, width, channels)` in `value_range`.

        Raises:
            ValueError: images that are none, not finite, outside of `value_range`, or of a shape that
                the extractor does not take.
            TypeError: an array that does not hold numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `__call__`.")

    def probabilities(self, images: Array) -> np.ndarray:
        """Return how probable each class is for each image: float32 `(n, classes)`, rows sum to 1.

        Args:
            images: as for a call.

        Raises:
            ValueError: as a call.
            TypeError: as a call; or the extractor is no classifier.
        """
        raise TypeError(
            f"The extractor {self.name!r} is no classifier: it has features, but no class "
            "probabilities. Use one that has, such as `DigitClassifier` or `InceptionV3`, or a score "
            "that needs features only."
        )

    def checked(self, images: Array) -> np.ndarray:
        """Return images as an array, or say why they are none."""
        images = as_array(images)
        if images.dtype.kind not in "biuf":
            raise TypeError(f"Images are arrays of numbers. Received: dtype {images.dtype}")
        if images.ndim != 4 or images.size == 0:
            raise ValueError(
                "Features are those of images, an array of shape (n, height, width, channels) with no "
                f"axis of length 0. Received: {images.shape}"
            )
        # A minimum is NaN where any number is.
        lowest, highest = float(images.min()), float(images.max())
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            raise ValueError(
                "Images must hold finite numbers, but some are NaN or infinite: a generator that "
                "diverged has no features. `np.isfinite(images)` shows where."
            )
        low, high = self.value_range
        slack = ROUNDING * (high - low)
        if lowest < low - slack or highest > high + slack:
            raise ValueError(
                f"The extractor {self.name!r} takes images in [{low:g}, {high:g}], but these reach from "
                f"{lowest:g} to {highest:g}. Make it with the `value_range` of the images: (-1, 1) for "
                "a generator that ends in tanh, (0, 255) for bytes."
            )
        return images


class Pixels(FeatureExtractor):
    """The pixels themselves as features, in [0, 1] whatever the range of the images.

    Needs no network and no weights. Distances between pixels say little about what images show, but
    they are exact and the same everywhere: for small images, vectors of a toy problem, and tests.

    Args:
        shape: `(height, width, channels)` of the images.
        value_range: pair of the numbers that are black and white in the images. Defaults to (0, 1),
            which leaves pixels as they are.

    Raises:
        ValueError: `shape` is not of three whole numbers, or `value_range` no increasing pair of finite
            numbers.

    Example:

    >>> extractor = kg.metrics.Pixels((1, 2, 1), value_range=(-1, 1))
    >>> extractor(np.array([[[[-1.0], [0.5]]]]))
    array([[0.  , 0.75]], dtype=float32)
    """

    name = "pixels"

    def __init__(self, shape: Sequence[int], value_range: ValueRange = (0, 1)) -> None:
        super().__init__(value_range)
        lengths = np.asarray(shape)
        if lengths.shape != (3,) or lengths.dtype.kind not in "iu" or lengths.min() < 1:
            raise ValueError(
                "`shape` is that of one image, (height, width, channels), such as (28, 28, 1). "
                f"Received: {shape!r}"
            )
        self.shape = tuple(lengths.tolist())
        self.size = math.prod(self.shape)

    def __call__(self, images: Array) -> np.ndarray:
        """Return the pixels of each image, row by row, as a float32 vector."""
        images = self.checked(images)
        if images.shape[1:] != self.shape:
            raise ValueError(
                f"These pixels are those of images of shape {self.shape}. Received: {images.shape[1:]}. "
                "Make the extractor with the `shape` of the images."
            )
        return _rescaled(images, self.value_range, (0.0, 1.0)).reshape(len(images), -1)


class ModelFeatures(FeatureExtractor):
    """What a layer of any Keras model says of images.

    For a network of one's own: a classifier of the kind of images at hand, an encoder, the
    discriminator of a finished run. Images are brought to the range that the model takes, and, if a
    resizer is named, to its size.

    Batches go through one compiled function, so that many calls need no more memory than one. The
    model runs as in inference. It is shared, not copied: `weights` is computed when it is read (0.2 s
    for Inception), and follows a model that is trained on.

    Args:
        model: functional or sequential Keras model from images `(batch, height, width, channels)` to
            one tensor. For `probabilities` it must be a classifier: logits, or a softmax of them,
            `(batch, classes)`.
        layer: name of the layer whose outputs are the features, flattened. Defaults to `None`: the
            output of the model.
        name: str that results record. Defaults to the names of model and layer.
        value_range: pair of the numbers that are black and white in the images. Defaults to (0, 1).
        input_range: pair of the numbers that are black and white for the model. Defaults to `None`:
            those of `value_range`.
        resizer: how images of another size are resized: `"nearest"`, or with antialiasing
            `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`; what overshoots the range is
            clipped. For a model of colour images it also repeats grey in all channels. Defaults
            to `None`: images of another shape are an error.
        batch_size: int, images that go through the model at once; it bounds the memory and does not
            change the features. Defaults to 128.

    Raises:
        TypeError: `model` is no functional or sequential Keras model that is built.
        ValueError: a layer that the model does not have, or whose number of features depends on the
            images; more than one input or output; or another argument that cannot be.

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
        name: str | None = None,
        value_range: ValueRange = (0, 1),
        input_range: ValueRange | None = None,
        resizer: str | None = None,
        batch_size: int = 128,
    ) -> None:
        super().__init__(value_range)
        _check_model(model)
        check_whole(1, batch_size=batch_size)
        self.model = model
        self.layer = layer
        self.name = name or (model.name if layer is None else f"{model.name}/{layer}")
        self.input_range = self.value_range if input_range is None else check_value_range(input_range)
        self.batch_size = batch_size
        self._shape = tuple(model.inputs[0].shape[1:])
        self._interpolation = resizer
        self.resizer = _described(resizer, self._shape)
        features = model.outputs[0] if layer is None else _output(model, layer)
        # Networks of their own, whose compiled functions nobody else replaces.
        self._features = keras.Model(model.inputs[0], features)
        self._classes = keras.Model(model.inputs[0], model.outputs[0])
        if None in features.shape[1:]:
            raise ValueError(
                f"The number of features of {self.name!r} depends on the size of the images: "
                f"{tuple(features.shape)}. Choose a layer after a global pooling, or give the model one "
                "input size: `keras.Input((64, 64, 3))`."
            )
        self.size = math.prod(features.shape[1:])

    @property
    def settings(self) -> dict[str, Any]:
        """See base class."""
        own = {"input_range": self.input_range, "layer": self.layer}
        return super().settings | own

    # Members may set both of these attributes, but here they follow the model, and cannot be set.
    @property
    def weights(self) -> str:  # type: ignore[override]
        """SHA-256 of names, shapes, types and values of the model's weights, in their order."""
        digest = hashlib.sha256()
        for variable in self.model.weights:
            values = np.ascontiguousarray(ops.convert_to_numpy(variable))
            # Not `path`, in which Keras counts the layers that were made before.
            digest.update(f"{variable.name} {values.shape} {values.dtype}\n".encode())
            digest.update(values.tobytes())
        return digest.hexdigest()

    @property
    def classifies(self) -> bool:  # type: ignore[override]
        """Whether the model's outputs can be logits of classes, or a softmax of them."""
        shape, activation = self._classes.output_shape, networks.final_activation(self.model)
        return len(shape) == 2 and shape[1] > 1 and activation not in ("sigmoid", "log_softmax")

    def __call__(self, images: Array) -> np.ndarray:
        """Return the features of images: float32 of shape `(n, size)`."""
        features = self._run(self._features, images)
        return features.reshape(len(features), self.size)

    def probabilities(self, images: Array) -> np.ndarray:
        """Return the softmax of the model's logits, or its output if that is a softmax already."""
        if not self.classifies:
            return super().probabilities(images)
        outputs = self._run(self._classes, images)
        return outputs if networks.final_activation(self.model) == "softmax" else _softmax(outputs)

    def _run(self, network, images):
        images = self.checked(images)
        batches = range(0, len(images), self.batch_size)
        outputs = [
            network.predict_on_batch(self._fitted(images[start : start + self.batch_size]))
            for start in batches
        ]
        return np.concatenate(outputs).astype("float32", copy=False)

    def checked(self, images: Array) -> np.ndarray:
        """Return images as an array, or say why they are none, or none that the model takes."""
        images = super().checked(images)
        shape = images.shape[1:]
        if inputs.compatible(shape, self._shape):
            return images
        if self._interpolation is None or shape[-1] not in (1, self._shape[-1]):
            raise ValueError(
                f"The extractor {self.name!r} takes images of shape {self._shape}. Received: {shape}. "
                "A `resizer`, such as 'bilinear', changes height and width and repeats grey where the "
                "model takes 3 channels; it makes no grey of colour."
            )
        return images

    def _fitted(self, images):
        images = _rescaled(images, self.value_range, self.input_range)
        if inputs.compatible(images.shape[1:], self._shape):
            return images
        images = np.clip(_resized(images, self._shape[:2], self._interpolation), *self.input_range)
        return np.repeat(images, self._shape[-1] // images.shape[-1], axis=-1)


class DigitClassifier(ModelFeatures):
    """A small classifier of digits: 64 features and ten classes, within reach of any machine.

    For scores of handwritten digits, on which a network that was trained on photos says little, and
    for counting digits, as the Stacked MNIST test does. `examples/train_digit_classifier.py` trains
    it in minutes, and `saved_models/digit_classifier.keras` is one so trained, right on more than 99 %
    of the test digits of MNIST. Scores of different classifiers are not comparable: `weights` tells
    them apart.

    Args:
        model: path of a `.keras` file, or a Keras model; with a layer named `"features"` and logits as
            output, as that of `kg.architectures.digit_classifier`, and trained on images in [0, 1].
        value_range: pair of the numbers that are black and white in the images. Defaults to (0, 1).
        resizer: how images that are not 28 × 28 are resized, as in `ModelFeatures`. Defaults to
            `None`: they are an error.

    Raises:
        ValueError: there is no such file, it holds no Keras model, or the model has no layer
            `"features"`.
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
        self, model: PathLike | keras.Model, value_range: ValueRange = (0, 1), resizer: str | None = None
    ) -> None:
        if isinstance(model, (str, os.PathLike)):
            model = _loaded(Path(model).expanduser())
        super().__init__(
            model,
            layer="features",
            name="digit classifier",
            value_range=value_range,
            input_range=(0, 1),
            resizer=resizer,
        )


class InceptionV3(ModelFeatures):
    """Inception v3 of `keras.applications`: 2048 pooled features and 1000 classes of photos.

    The network of Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2015, arXiv:1512.00567), on whose
    features the Fréchet and the kernel distance, and on whose classes the Inception score, are usually
    computed.

    **The numbers are not those of papers.** Published scores use the weights that TensorFlow
    released in 2015 (`inception-2015-12-05`) and a resizing of their own; the weights of Keras are
    others, and give other numbers for the same images. Compare scores only where name, weights and
    resizer are the same.

    Nothing is downloaded: weights that are not on this machine are reported at once.

    Args:
        weights: `"imagenet"`, the file that Keras keeps in `~/.keras/models` (in `models` below the
            environment variable `KERAS_HOME` if set); the path of such a file; or `"random"`, the
            untrained network, which `name` then says (Naeem et al. (2020, arXiv:2002.09797) use
            random networks where images are far from ImageNet).
        value_range: pair of the numbers that are black and white in the images. Defaults to (0, 1).
        resizer: how images are brought to 299 × 299, as in `ModelFeatures`. Defaults to `"bilinear"`.
        seed: int, of random weights. Defaults to 0.
        batch_size: int, images that go through the network at once. Defaults to 32 (about 0.5 GB; an
            image takes about 0.1 s of one CPU core).

    Raises:
        ValueError: the weights are not there, or the file does not hold those of this network; or an
            argument that cannot be.
        TypeError: `weights` that are no name and no path, such as `None`.

    Example:

    >>> extractor = kg.metrics.InceptionV3(weights="random", seed=0)  # doctest: +SKIP
    >>> extractor(np.zeros((2, 32, 32, 3))).shape  # doctest: +SKIP
    (2, 2048)
    >>> kg.metrics.InceptionV3(weights="nowhere.h5")
    Traceback (most recent call last):
    ...
    ValueError: There is no file 'nowhere.h5' with weights of InceptionV3...
    """

    def __init__(
        self,
        weights: PathLike = "imagenet",
        value_range: ValueRange = (0, 1),
        resizer: str | None = "bilinear",
        seed: int = 0,
        batch_size: int = 32,
    ) -> None:
        check_whole(0, seed=seed)
        name = "keras inception_v3"
        if weights == "random":
            name = f"{name} with random weights of seed {seed}"
        super().__init__(
            _inception(weights, seed),
            layer="avg_pool",
            name=name,
            value_range=value_range,
            input_range=(-1, 1),
            resizer=resizer,
            batch_size=batch_size,
        )


def _rescaled(images, old, new):
    """Return images as float32, moved from one range of values to another."""
    images = images.astype("float32")
    if old == new:
        return images
    scale = (new[1] - new[0]) / (old[1] - old[0])
    return (images - np.float32(old[0])) * np.float32(scale) + np.float32(new[0])


def _resized(images, size, interpolation):
    if interpolation == "nearest":
        images = ops.image.resize(images, size, interpolation, data_format="channels_last")
    else:
        # `resize` of torch has no Lanczos; what both have, they do alike.
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
            "Features are those of a functional or sequential Keras model that knows the shape of its "
            f"input (`keras.Input`). Received: {model!r}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(
            "Features are those of a model from one batch of images, of shape (batch, height, width, "
            f"channels), to one tensor. The model {model.name!r} takes "
            f"{[tuple(tensor.shape) for tensor in model.inputs]} and returns "
            f"{[tuple(tensor.shape) for tensor in model.outputs]}."
        )


def _output(model, name):
    """Return the output of a layer within the graph of `model`; in other graphs it may have others."""
    nodes = getattr(model, "_functional", model)._nodes_by_depth.values()
    outputs = {node.operation.name: node.output_tensors[0] for depth in nodes for node in depth}
    if name not in outputs:
        raise ValueError(registry.unknown(f"layer of {model.name!r}", str(name), outputs))
    return outputs[name]


def _described(resizer, shape):
    """Return what a result records of the resizing."""
    if resizer is None:
        return None
    if resizer not in RESIZERS:
        raise ValueError(registry.unknown("resizer", str(resizer), RESIZERS))
    height, width, channels = shape
    if None in shape:
        raise ValueError(
            f"A `resizer` needs a model of one input size, but this one takes {shape}, images of any "
            "size. Leave `resizer` out, or give the model a size: `keras.Input((64, 64, 3))`."
        )
    how = resizer if resizer == "nearest" else f"{resizer} antialiased"
    return f"{how} to {height}×{width}{', grey repeated,' if channels > 1 else ''} if needed"


def _loaded(path):
    if not path.is_file():
        raise ValueError(
            f"There is no file {str(path)!r}. A classifier is the path of a `.keras` file, such as "
            "saved_models/digit_classifier.keras of the repository of keras_gan; "
            "`python examples/train_digit_classifier.py` trains one in minutes."
        )
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"The file {str(path)!r} holds no Keras model: {error}") from error


def _inception(weights, seed):
    """Return Inception v3 in float32, whatever the precision policy of the moment."""
    path = None if weights == "random" else _inception_file(weights)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        model = keras.applications.InceptionV3(weights=None)
    finally:
        keras.config.set_dtype_policy(policy)
    if path is None:
        _randomise(model, seed)
        return model
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"The file {str(path)!r} does not hold the weights of InceptionV3 with its classifier "
            f"(`include_top=True`), as Keras' own {INCEPTION_FILE} does: {error}"
        ) from error
    return model


def _inception_file(weights):
    """Return where the weights lie, or say at once how to bring them there."""
    if not isinstance(weights, (str, os.PathLike)):
        raise TypeError(
            f"`weights` is 'imagenet', 'random', or the path of a file. Received: {weights!r}. The "
            "untrained network, which Keras calls `None`, is 'random' here."
        )
    if weights != "imagenet":
        path = Path(weights).expanduser()
        if not path.is_file():
            raise ValueError(
                f"There is no file {str(path)!r} with weights of InceptionV3. Expected 'imagenet', "
                "'random', or the path of a file."
            )
        return path
    # Keras would try to download what is not in its cache, for minutes where there is no network.
    path = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models" / INCEPTION_FILE
    if not path.is_file():
        raise ValueError(
            f"Keras' ImageNet weights of InceptionV3 are not on this machine: there is no {path}. "
            "With a network, `keras.applications.InceptionV3()` puts them there (92 MB); without, copy "
            "the file from a machine that has it, to that place or to any whose path you pass as "
            "`weights`."
        )
    return path


def _randomise(model, seed):
    """Draw kernels from N(0, 2/inputs), which keeps the scale from layer to layer (He et al., 2015)."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            scale = math.sqrt(2 / math.prod(variable.shape[:-1]))
            variable.assign(scale * rng.standard_normal(variable.shape, "float32"))

"""The networks of 2014, for MNIST, the Toronto Faces Database (TFD) and CIFAR-10.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio 2014, "Generative
adversarial nets", arXiv 1406.2661. Sizes, initial ranges, dropout rates, norm bounds and biases are
those of the authors' configuration files. Discriminators return logits. `kg.recipes.goodfellow2014`
holds the training settings. Shapes of images are given with the channels last; where
`keras.config.image_data_format()` is `"channels_first"`, images have theirs first.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_gan.architectures import image_layers, seeds
from keras_gan.initializers import Sparse
from keras_gan.layers import Maxout, MaxoutConv2D, UntiedBias
from keras_gan.utils import networks
from keras_gan.utils.typing import Array
from keras_gan.utils.validation import check_integer

__all__ = [
    "LATENT_DIM",
    "MAX_COLUMN_NORM",
    "cifar10_conv_discriminator",
    "cifar10_conv_generator",
    "cifar10_discriminator",
    "cifar10_generator",
    "mnist_discriminator",
    "mnist_generator",
    "tfd_discriminator",
    "tfd_generator",
    "tfd_stacked_generator",
]

LATENT_DIM = 100
MNIST_SHAPE, TFD_SHAPE, CIFAR10_SHAPE = (28, 28, 1), (48, 48, 1), (32, 32, 3)
MAX_COLUMN_NORM = 1.9365
# The first layer of a discriminator drops .2 of its inputs, and every other layer .5.
INPUT_DROPOUT, HIDDEN_DROPOUT = 0.2, 0.5


class _Net:
    """Creates the layers of a network, which share its settings and differ in their seeds.

    Args:
        name: name of the network.
        seed: seed of the network, or None.
        initial_range: bound of the initial weights, U(−initial_range, initial_range).
        constraint: constraint of every kernel, or None.
    """

    def __init__(self, name, seed, initial_range, constraint=None):
        self.name = name
        self.initial_range = initial_range
        self.constraint = constraint
        self.seeds = seeds.derive(seed, name)

    def uniform(self, initial_range=None):
        limit = initial_range or self.initial_range
        return keras.initializers.RandomUniform(-limit, limit, seed=next(self.seeds))

    def kernel(self):
        return {"kernel_initializer": self.uniform(), "kernel_constraint": self.constraint}

    def dense(self, units, activation, bias=0.0):
        return keras.layers.Dense(units, activation, bias_initializer=_constant(bias), **self.kernel())

    def images(self, shape, activation, initializer, bias=0.0):
        """Return the last layers of a generator, in float32 whatever the precision policy."""
        return [
            keras.layers.Dense(
                math.prod(shape),
                activation,
                kernel_initializer=initializer,
                bias_initializer=_constant(bias),
                kernel_constraint=self.constraint,
                dtype="float32",
            ),
            keras.layers.Reshape(shape, dtype="float32"),
            image_layers.from_channels_last,
        ]

    def dropout(self, rate):
        return keras.layers.Dropout(rate, seed=next(self.seeds))

    def maxout(self, units):
        return Maxout(units, pieces=5, **self.kernel())

    def maxout_conv(self, filters, kernel_size):
        return MaxoutConv2D(filters, 2, kernel_size, **self.kernel())

    def logit(self):
        return keras.layers.Dense(1, dtype="float32", **self.kernel())

    def model(self, inputs, layers):
        outputs = inputs
        for layer in layers:
            outputs = layer(outputs)
        return keras.Model(inputs, outputs, name=self.name)


def _constant(value):
    return keras.initializers.Constant(value)


def _column_norm():
    return keras.constraints.MaxNorm(MAX_COLUMN_NORM, axis=0)


def _latents():
    return keras.Input((LATENT_DIM,), name="latents")


def _marginal_bias(pixel_means, shape):
    """Return the biases with which the mean of a sigmoid layer is that of the training images."""
    if pixel_means is None:
        return 0.0
    expected = (
        f"`pixel_means` must be an array of shape {shape}, or {math.prod(shape)} numbers: the mean"
    )
    expected += " of each pixel over the training images, such as `images.mean(axis=0)`. Received: "
    try:
        means = np.asarray(pixel_means)
    except ValueError:  # a ragged list
        raise TypeError(f"{expected}{pixel_means!r}") from None
    if means.dtype.kind not in "fiu":
        raise TypeError(f"{expected}{pixel_means!r}")
    if means.size != math.prod(shape):
        raise ValueError(f"{expected}an array of shape {means.shape}")
    if not np.all((means >= 0) & (means <= 1)):
        raise ValueError(
            "`pixel_means` must lie in [0, 1], as the generator's images do. Received: means from "
            f"{means.min()} to {means.max()}. Load the images with `value_range=(0, 1)`."
        )
    means = np.float64(means)
    means = np.clip(means, 1e-7, 1 - 1e-7)
    return np.log(means / (1 - means)).reshape(-1).astype("float32")


def _input_size(pretrained):
    """Return the number of latents of a generator."""
    networks.check_models(pretrained=pretrained)
    shapes = [tensor.shape for tensor in getattr(pretrained, "inputs", None) or []]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] is None:
        raise ValueError(
            "`pretrained` must have one input of shape (batch, n), as `tfd_generator()` has. Received: "
            f"{pretrained.name!r} with inputs of shapes {shapes}"
        )
    return shapes[0][1]


def _dense_discriminator(net, shape, units):
    """Return two layers of `units` maxout units with five pieces, with dropout before each layer."""
    units = check_integer("units", units, minimum=1)
    return net.model(
        image_layers.image_input(*shape),
        [
            image_layers.to_channels_last,
            keras.layers.Flatten("channels_last"),
            net.dropout(INPUT_DROPOUT),
            net.maxout(units),
            net.dropout(HIDDEN_DROPOUT),
            net.maxout(units),
            net.dropout(HIDDEN_DROPOUT),
            net.logit(),
        ],
    )


def mnist_generator(pixel_means: Array | None = None, *, seed: int | None = None) -> keras.Model:
    """Return the MNIST generator of 2014: 100 – 1200 – 1200 – 784.

    Two layers of 1200 rectified linear units and a sigmoid layer; initial weights are uniform on
    [−.05, .05]. Its prior is U(−√3, √3), `kg.priors.Uniform()`.

    Args:
        pixel_means: mean of each pixel over the training images, 784 numbers in [0, 1]. The output
            biases are initialized to their logits (means clipped to [1e-7, 1 − 1e-7]), so that the first
            samples have this mean; None initializes them to 0.
        seed: non-negative integer for reproducible initial weights.

    Returns:
        A Keras model from latents `(batch, 100)` to images `(batch, 28, 28, 1)` in [0, 1].

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range, or `pixel_means` has another size.

    Example:

    >>> generator = kg.architectures.mnist_generator(seed=0)
    >>> generator.output_shape, generator.count_params()
    ((None, 28, 28, 1), 2503984)
    """
    net = _Net("mnist_generator", seed, initial_range=0.05)
    bias = _marginal_bias(pixel_means, MNIST_SHAPE)
    return net.model(
        _latents(),
        [
            net.dense(1200, "relu"),
            net.dense(1200, "relu"),
            *net.images(MNIST_SHAPE, "sigmoid", net.uniform(), bias),
        ],
    )


def mnist_discriminator(*, seed: int | None = None) -> keras.Model:
    """Return the MNIST discriminator of 2014: two layers of 240 maxout units with 5 pieces.

    Dropout of .2 on the images and .5 on the hidden units; initial weights are uniform on [−.005, .005].

    Args:
        seed: non-negative integer for reproducible initial weights and dropout.

    Returns:
        A Keras model from images `(batch, 28, 28, 1)` to logits `(batch, 1)`.

    Example:

    >>> discriminator = kg.architectures.mnist_discriminator(seed=0)
    >>> discriminator.output_shape, discriminator.count_params()
    ((None, 1), 1231441)
    """
    net = _Net("mnist_discriminator", seed, initial_range=0.005)
    return _dense_discriminator(net, MNIST_SHAPE, units=240)


def tfd_generator(
    pixel_means: Array | None = None, *, seed: int | None = None, units: int = 8000
) -> keras.Model:
    """Return the generator of the first TFD stage: 100 – 8000 – 8000 – 2304.

    Rectified linear, sigmoid (initial biases −2), sigmoid. Initial weights are uniform on [−.05, .05],
    but sparse in the output layer: 100 normal weights for each pixel. The norm of incoming weight
    vectors is at most 1.9365. The paper trains this stage for 50 epochs, and then stacks another on top
    (`tfd_stacked_generator`). Its prior is the standard normal, `kg.priors.Normal()`.

    The model has 83 million weights.

    Args:
        pixel_means: mean of each pixel over the training images, 2304 numbers in [0, 1]. The output
            biases are initialized to their logits (means clipped to [1e-7, 1 − 1e-7]); None initializes
            them to 0.
        seed: non-negative integer for reproducible initial weights.
        units: hidden units in each of the two layers, at least 100; by default the paper's 8000.

    Returns:
        A Keras model from latents `(batch, 100)` to images `(batch, 48, 48, 1)` in [0, 1].

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range, or `pixel_means` has another size.

    Example:

    >>> generator = kg.architectures.tfd_generator(seed=0)
    >>> generator.output_shape, generator.count_params()
    ((None, 48, 48, 1), 83250304)
    """
    units = check_integer("units", units, minimum=100)
    net = _Net("tfd_generator", seed, initial_range=0.05, constraint=_column_norm())
    bias = _marginal_bias(pixel_means, TFD_SHAPE)
    return net.model(
        _latents(),
        [
            net.dense(units, "relu"),
            net.dense(units, "sigmoid", bias=-2.0),
            *net.images(TFD_SHAPE, "sigmoid", Sparse(100, seed=next(net.seeds)), bias),
        ],
    )


def tfd_stacked_generator(
    pretrained: keras.Model, *, seed: int | None = None, units: int = 8000
) -> keras.Model:
    """Return the generator of the second TFD stage, which feeds a pretrained generator.

    The latents pass through 8000 rectified linear units and a sigmoid layer (initial biases −2), whose
    outputs, in (0, 1), are the latents of the pretrained generator. Initial weights are uniform on
    [−.05, .05], and the norm of incoming weight vectors is at most 1.9365. The paper trains the whole
    stack for 22 epochs, against a new discriminator. Its prior is the standard normal,
    `kg.priors.Normal()`.

    Args:
        pretrained: generator of the first stage, with one input of shape `(batch, n)`. It is not copied
            but becomes a layer of the new model, and training updates its weights.
        seed: non-negative integer for reproducible initial weights.
        units: new hidden units, positive; by default the paper's 8000.

    Returns:
        A Keras model from latents `(batch, 100)` to the outputs of `pretrained`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range, or `pretrained` has other inputs.

    Example:

    >>> first_stage = keras.Sequential([keras.Input((100,)), keras.layers.Dense(4)])
    >>> generator = kg.architectures.tfd_stacked_generator(first_stage, seed=0)
    >>> generator.output_shape, generator.count_params()
    ((None, 4), 1608504)
    """
    units = check_integer("units", units, minimum=1)
    size = _input_size(pretrained)
    net = _Net("tfd_stacked_generator", seed, initial_range=0.05, constraint=_column_norm())
    return net.model(
        _latents(),
        [
            net.dense(units, "relu"),
            net.dense(size, "sigmoid", bias=-2.0),
            pretrained,
        ],
    )


def tfd_discriminator(*, seed: int | None = None, units: int = 1200) -> keras.Model:
    """Return the TFD discriminator of 2014: two layers of 1200 maxout units with 5 pieces.

    Dropout of .2 on the images and .5 on the hidden units; initial weights are uniform on
    [−.005, .005], and the norm of incoming weight vectors is at most 1.9365. Each of the two stages
    trains a new one.

    Args:
        seed: non-negative integer for reproducible initial weights and dropout.
        units: maxout units in each of the two layers, positive; by default the paper's 1200.

    Returns:
        A Keras model from images `(batch, 48, 48, 1)` to logits `(batch, 1)`.

    Example:

    >>> discriminator = kg.architectures.tfd_discriminator(seed=0)
    >>> discriminator.output_shape, discriminator.count_params()
    ((None, 1), 21037201)
    """
    net = _Net("tfd_discriminator", seed, initial_range=0.005, constraint=_column_norm())
    return _dense_discriminator(net, TFD_SHAPE, units)


def cifar10_generator(*, seed: int | None = None, units: int = 8000) -> keras.Model:
    """Return the fully connected CIFAR-10 generator of 2014: 100 – 8000 – 8000 – 3072.

    Rectified linear, sigmoid, linear. Initial weights are uniform on [−.05, .05], in the output layer
    on [−.5, .5]. The images are contrast-normalized (each minus its mean, scaled to norm 55), so the
    output is unbounded. Its prior is the standard normal, `kg.priors.Normal()`.

    The model has 89 million weights.

    Args:
        seed: non-negative integer for reproducible initial weights.
        units: hidden units in each of the two layers, positive; by default the paper's 8000.

    Returns:
        A Keras model from latents `(batch, 100)` to unbounded images `(batch, 32, 32, 3)`.

    Example:

    >>> generator = kg.architectures.cifar10_generator(seed=0)
    >>> generator.output_shape, generator.count_params()
    ((None, 32, 32, 3), 89395072)
    """
    units = check_integer("units", units, minimum=1)
    net = _Net("cifar10_generator", seed, initial_range=0.05)
    return net.model(
        _latents(),
        [
            net.dense(units, "relu"),
            net.dense(units, "sigmoid"),
            *net.images(CIFAR10_SHAPE, "linear", net.uniform(0.5)),
        ],
    )


def cifar10_discriminator(*, seed: int | None = None, units: int = 1600) -> keras.Model:
    """Return the fully connected CIFAR-10 discriminator: two layers of 1600 maxout units.

    Five pieces per unit; dropout of .2 on the images and .5 on the hidden units; initial weights are
    uniform on [−.005, .005].

    Args:
        seed: non-negative integer for reproducible initial weights and dropout.
        units: maxout units in each of the two layers, positive; by default the paper's 1600.

    Returns:
        A Keras model from images `(batch, 32, 32, 3)` to logits `(batch, 1)`.

    Example:

    >>> discriminator = kg.architectures.cifar10_discriminator(seed=0)
    >>> discriminator.output_shape, discriminator.count_params()
    ((None, 1), 37393601)
    """
    net = _Net("cifar10_discriminator", seed, initial_range=0.005)
    return _dense_discriminator(net, CIFAR10_SHAPE, units)


def cifar10_conv_generator(*, seed: int | None = None, units: int = 8000) -> keras.Model:
    """Return the deconvolutional CIFAR-10 generator of 2014.

    8000 rectified linear units, 8000 sigmoid units reshaped to 80 maps of 10×10, and one transposed
    convolution with 5×5 kernels and stride 3 to 32×32, with a separate bias for each output. Initial
    weights are uniform on [−.05, .05]. The images are contrast-normalized (each minus its mean, scaled
    to norm 55), so the output is unbounded. Its prior is the standard normal, `kg.priors.Normal()`.

    The model has 65 million weights.

    Args:
        seed: non-negative integer for reproducible initial weights.
        units: hidden units in each of the two layers, a multiple of 100, the size of the maps; by
            default the paper's 8000.

    Returns:
        A Keras model from latents `(batch, 100)` to unbounded images `(batch, 32, 32, 3)`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range, or `units` is not a multiple of 100.

    Example:

    >>> generator = kg.architectures.cifar10_conv_generator(seed=0)
    >>> generator.output_shape, generator.count_params()
    ((None, 32, 32, 3), 64825072)
    """
    units = check_integer("units", units, minimum=100)
    if units % 100:
        raise ValueError(
            "`units` must be a multiple of 100, since the last hidden layer is reshaped to maps of "
            f"10×10, such as 8000 for the paper's 80 maps. Received: {units}"
        )
    net = _Net("cifar10_conv_generator", seed, initial_range=0.05)
    return net.model(
        _latents(),
        [
            net.dense(units, "relu"),
            net.dense(units, "sigmoid"),
            keras.layers.Reshape((10, 10, units // 100)),
            keras.layers.Conv2DTranspose(
                3,
                5,
                strides=3,
                data_format="channels_last",
                use_bias=False,
                kernel_initializer=net.uniform(),
                dtype="float32",
            ),
            UntiedBias(dtype="float32"),
            image_layers.from_channels_last,
        ],
    )


def _pool(size):
    """Pool with stride 2, including an incomplete last window of an odd image.

    Repeating the last row and column completes that window without changing its maximum.
    """

    def pool(maps):
        padded = ops.pad(maps, [(0, 0), (0, 1), (0, 1), (0, 0)], mode="symmetric")
        return keras.layers.MaxPooling2D(size, 2, data_format="channels_last")(padded)

    return pool


def cifar10_conv_discriminator(*, seed: int | None = None) -> keras.Model:
    """Return the convolutional CIFAR-10 discriminator of 2014.

    Three layers of maxout feature maps with two pieces (32 maps of 8×8 kernels, padding 4; 32 of
    8×8, padding 3; 192 of 5×5, padding 3), pooled by 4×4, 4×4 and 2×2 windows with stride 2 to
    16×16, 7×7 and 5×5; then 500 maxout units with five pieces. Dropout of .2 on the images and .5
    before every other layer; initial weights are uniform on [−.005, .005].

    Args:
        seed: non-negative integer for reproducible initial weights and dropout.

    Returns:
        A Keras model from images `(batch, 32, 32, 3)` to logits `(batch, 1)`.

    Example:

    >>> discriminator = kg.architectures.cifar10_conv_discriminator(seed=0)
    >>> discriminator.output_shape, discriminator.count_params()
    ((None, 1), 12454073)
    """
    net = _Net("cifar10_conv_discriminator", seed, initial_range=0.005)
    return net.model(
        image_layers.image_input(*CIFAR10_SHAPE),
        [
            image_layers.to_channels_last,
            net.dropout(INPUT_DROPOUT),
            keras.layers.ZeroPadding2D(4, "channels_last"),
            net.maxout_conv(32, kernel_size=8),
            _pool(4),
            net.dropout(HIDDEN_DROPOUT),
            keras.layers.ZeroPadding2D(3, "channels_last"),
            net.maxout_conv(32, kernel_size=8),
            _pool(4),
            net.dropout(HIDDEN_DROPOUT),
            keras.layers.ZeroPadding2D(3, "channels_last"),
            net.maxout_conv(192, kernel_size=5),
            _pool(2),
            keras.layers.Flatten("channels_last"),
            net.dropout(HIDDEN_DROPOUT),
            net.maxout(500),
            net.dropout(HIDDEN_DROPOUT),
            net.logit(),
        ],
    )

"""The networks of 2014, for MNIST, the Toronto Faces Database (TFD) and CIFAR-10.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio 2014, "Generative
adversarial nets", arXiv 1406.2661. Sizes, initial ranges, dropout rates, norm bounds and biases are
those of the authors' configuration files. Discriminators return logits. `kg.recipes.goodfellow2014`
holds the training settings.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_gan.architectures import seeds
from keras_gan.initializers import Sparse
from keras_gan.layers import Maxout, MaxoutConv2D, UntiedBias
from keras_gan.utils.typing import Array

LATENT_DIM = 100
MNIST_SHAPE, TFD_SHAPE, CIFAR10_SHAPE = (28, 28, 1), (48, 48, 1), (32, 32, 3)
MAX_COLUMN_NORM = 1.9365
# The first layer of a discriminator keeps .8 of its inputs and every further one .5.
INPUT_DROPOUT, HIDDEN_DROPOUT = 0.2, 0.5


class _Net:
    """Makes the layers of one network, which share its settings and differ in their seeds.

    Args:
        name: name of the network.
        seed: seed of the network, or None.
        initial_range: weights start uniform on [−initial_range, initial_range].
        constraint: bounds the columns of every kernel, or None.
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
        """Make the layers that end a generator, in float32 whatever the precision policy."""
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
    """Return the biases with which a sigmoid layer gives the training images' mean."""
    if pixel_means is None:
        return 0.0
    means = np.asarray(pixel_means, "float64")
    if means.size != math.prod(shape):
        raise ValueError(
            f"`pixel_means` holds the mean of each pixel over the training images: {shape} or "
            f"{math.prod(shape)} numbers. Received an array of shape {means.shape}. Use "
            "`images.mean(axis=0)`."
        )
    if not np.all((means >= 0) & (means <= 1)):
        raise ValueError(
            "`pixel_means` must lie in [0, 1], as the images that the generator's sigmoid makes. "
            f"Received means from {means.min()} to {means.max()}. Load the images with "
            "value_range=(0, 1)."
        )
    means = np.clip(means, 1e-7, 1 - 1e-7)
    return np.log(means / (1 - means)).reshape(-1).astype("float32")


def _dense_discriminator(net, shape, units):
    """Two layers of `units` maxout units with five pieces, and dropout before each layer."""
    return net.model(
        keras.Input(shape, name="images"),
        [
            keras.layers.Flatten(),
            net.dropout(INPUT_DROPOUT),
            net.maxout(units),
            net.dropout(HIDDEN_DROPOUT),
            net.maxout(units),
            net.dropout(HIDDEN_DROPOUT),
            net.logit(),
        ],
    )


def mnist_generator(pixel_means: Array | None = None, seed: int | None = None) -> keras.Model:
    """Return the MNIST generator of 2014: 100 – 1200 – 1200 – 784.

    Two layers of 1200 rectified linear units and a sigmoid layer; weights start uniform on
    [−.05, .05]. Its prior is U(−√3, √3), `kg.priors.Uniform()`.

    Args:
        pixel_means: mean of each pixel over the training images, 784 numbers in [0, 1]; the output
            biases start at their logits (means clipped to [1e-7, 1 − 1e-7]), so that the first
            samples have the right mean. None starts them at 0.
        seed: a non-negative integer makes the initial weights reproducible.

    Returns:
        A Keras model from latents `(batch, 100)` to images `(batch, 28, 28, 1)` in [0, 1].

    Raises:
        ValueError: `pixel_means` of another size or range.

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


def mnist_discriminator(seed: int | None = None) -> keras.Model:
    """Return the MNIST discriminator of 2014: two layers of 240 maxout units with 5 pieces.

    Dropout of .2 on the images and .5 on the hidden units; weights start uniform on [−.005, .005].

    Args:
        seed: a non-negative integer makes the initial weights and the dropout reproducible.

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
    pixel_means: Array | None = None, seed: int | None = None, units: int = 8000
) -> keras.Model:
    """Return the generator of the first TFD stage: 100 – 8000 – 8000 – 2304.

    Rectified linear, sigmoid (biases start at −2), sigmoid. Weights start uniform on [−.05, .05],
    those of the output layer sparse: 100 normal weights for each pixel. All incoming weight vectors
    are kept to a norm of at most 1.9365. The paper trains this stage for 50 epochs and then stacks
    another on top (`tfd_stacked_generator`). Its prior is the standard normal, `kg.priors.Normal()`.

    The model has 83 million weights.

    Args:
        pixel_means: mean of each pixel over the training images, 2304 numbers in [0, 1]; the output
            biases start at their logits (means clipped to [1e-7, 1 − 1e-7]). None starts them at 0.
        seed: a non-negative integer makes the initial weights reproducible.
        units: hidden units in each of the two layers, at least 100. Defaults to the paper's 8000.

    Returns:
        A Keras model from latents `(batch, 100)` to images `(batch, 48, 48, 1)` in [0, 1].

    Raises:
        ValueError: `pixel_means` of another size or range.

    Example:

    >>> generator = kg.architectures.tfd_generator(seed=0)
    >>> generator.output_shape, generator.count_params()
    ((None, 48, 48, 1), 83250304)
    """
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
    pretrained: keras.Model, seed: int | None = None, units: int = 8000
) -> keras.Model:
    """Return the generator of the second TFD stage, which feeds a pre-trained one.

    New latents go through 8000 rectified linear units and a sigmoid layer (biases start at −2)
    whose outputs, in (0, 1), are the latents of the pre-trained generator. Weights start uniform on
    [−.05, .05], incoming weight vectors are kept to a norm of at most 1.9365. The paper trains the
    whole stack for 22 epochs, against a new discriminator. Its prior is the standard normal,
    `kg.priors.Normal()`.

    Args:
        pretrained: the generator of the first stage. It is not copied: it is a layer of the new
            model, and training goes on changing its weights.
        seed: a non-negative integer makes the initial weights reproducible.
        units: new hidden units. Defaults to the paper's 8000.

    Returns:
        A Keras model from latents `(batch, 100)` to what `pretrained` makes.

    Example:

    >>> first_stage = keras.Sequential([keras.Input((100,)), keras.layers.Dense(4)])
    >>> generator = kg.architectures.tfd_stacked_generator(first_stage, seed=0)
    >>> generator.output_shape, generator.count_params()
    ((None, 4), 1608504)
    """
    net = _Net("tfd_stacked_generator", seed, initial_range=0.05, constraint=_column_norm())
    return net.model(
        _latents(),
        [
            net.dense(units, "relu"),
            net.dense(pretrained.input_shape[-1], "sigmoid", bias=-2.0),
            pretrained,
        ],
    )


def tfd_discriminator(seed: int | None = None, units: int = 1200) -> keras.Model:
    """Return the TFD discriminator of 2014: two layers of 1200 maxout units with 5 pieces.

    Dropout of .2 on the images and .5 on the hidden units; weights start uniform on [−.005, .005],
    and each incoming weight vector is kept to a norm of at most 1.9365. Both stages use it, each
    with a fresh one.

    Args:
        seed: a non-negative integer makes the initial weights and the dropout reproducible.
        units: maxout units in each of the two layers. Defaults to the paper's 1200.

    Returns:
        A Keras model from images `(batch, 48, 48, 1)` to logits `(batch, 1)`.

    Example:

    >>> discriminator = kg.architectures.tfd_discriminator(seed=0)
    >>> discriminator.output_shape, discriminator.count_params()
    ((None, 1), 21037201)
    """
    net = _Net("tfd_discriminator", seed, initial_range=0.005, constraint=_column_norm())
    return _dense_discriminator(net, TFD_SHAPE, units)


def cifar10_generator(seed: int | None = None, units: int = 8000) -> keras.Model:
    """Return the fully connected CIFAR-10 generator of 2014: 100 – 8000 – 8000 – 3072.

    Rectified linear, sigmoid, linear. Weights start uniform on [−.05, .05], those of the output
    layer on [−.5, .5]. The images are contrast-normalised (each less its mean, scaled to norm 55),
    so the output has no bound. Its prior is the standard normal, `kg.priors.Normal()`.

    The model has 89 million weights.

    Args:
        seed: a non-negative integer makes the initial weights reproducible.
        units: hidden units in each of the two layers. Defaults to the paper's 8000.

    Returns:
        A Keras model from latents `(batch, 100)` to images `(batch, 32, 32, 3)` without bounds.

    Example:

    >>> generator = kg.architectures.cifar10_generator(seed=0)
    >>> generator.output_shape, generator.count_params()
    ((None, 32, 32, 3), 89395072)
    """
    net = _Net("cifar10_generator", seed, initial_range=0.05)
    return net.model(
        _latents(),
        [
            net.dense(units, "relu"),
            net.dense(units, "sigmoid"),
            *net.images(CIFAR10_SHAPE, "linear", net.uniform(0.5)),
        ],
    )


def cifar10_discriminator(seed: int | None = None, units: int = 1600) -> keras.Model:
    """Return the fully connected CIFAR-10 discriminator: two layers of 1600 maxout units.

    Five pieces a unit; dropout of .2 on the images and .5 on the hidden units; weights start
    uniform on [−.005, .005].

    Args:
        seed: a non-negative integer makes the initial weights and the dropout reproducible.
        units: maxout units in each of the two layers. Defaults to the paper's 1600.

    Returns:
        A Keras model from images `(batch, 32, 32, 3)` to logits `(batch, 1)`.

    Example:

    >>> discriminator = kg.architectures.cifar10_discriminator(seed=0)
    >>> discriminator.output_shape, discriminator.count_params()
    ((None, 1), 37393601)
    """
    net = _Net("cifar10_discriminator", seed, initial_range=0.005)
    return _dense_discriminator(net, CIFAR10_SHAPE, units)


def cifar10_conv_generator(seed: int | None = None, units: int = 8000) -> keras.Model:
    """Return the deconvolutional CIFAR-10 generator of 2014.

    8000 rectified linear units, 8000 sigmoid units seen as 80 maps of 10×10, and one transposed
    convolution with 5×5 kernels and stride 3 to 32×32, each output with a bias of its own. Weights
    start uniform on [−.05, .05]. The images are contrast-normalised (each less its mean, scaled to
    norm 55), so the output has no bound. Its prior is the standard normal, `kg.priors.Normal()`.

    The model has 65 million weights.

    Args:
        seed: a non-negative integer makes the initial weights reproducible.
        units: hidden units in each of the two layers, a multiple of the 100 places of the second's
            maps. Defaults to the paper's 8000.

    Returns:
        A Keras model from latents `(batch, 100)` to images `(batch, 32, 32, 3)` without bounds.

    Raises:
        ValueError: `units` is no multiple of 100.

    Example:

    >>> generator = kg.architectures.cifar10_conv_generator(seed=0)
    >>> generator.output_shape, generator.count_params()
    ((None, 32, 32, 3), 64825072)
    """
    if units < 100 or units % 100:
        raise ValueError(
            "The last hidden layer is seen as maps of 10×10 places, so that `units` is a positive "
            f"multiple of 100, such as 8000 for the paper's 80 maps. Received: {units!r}"
        )
    net = _Net("cifar10_conv_generator", seed, initial_range=0.05)
    return net.model(
        _latents(),
        [
            net.dense(units, "relu"),
            net.dense(units, "sigmoid"),
            keras.layers.Reshape((10, 10, units // 100)),
            keras.layers.Conv2DTranspose(
                3, 5, strides=3, use_bias=False, kernel_initializer=net.uniform(), dtype="float32"
            ),
            UntiedBias(dtype="float32"),
        ],
    )


def _pool(size):
    """Pool with stride 2, also where the last window hangs over the edge of an odd image.

    Repeating the last row and column completes that window and leaves its maximum as it was.
    """

    def pool(maps):
        padded = ops.pad(maps, [(0, 0), (0, 1), (0, 1), (0, 0)], mode="symmetric")
        return keras.layers.MaxPooling2D(size, strides=2)(padded)

    return pool


def cifar10_conv_discriminator(seed: int | None = None) -> keras.Model:
    """Return the convolutional CIFAR-10 discriminator of 2014.

    Three layers of maxout feature maps with two pieces (32 maps of 8×8 kernels, padding 4; 32 of
    8×8, padding 3; 192 of 5×5, padding 3), pooled by 4×4, 4×4 and 2×2 windows with stride 2 to
    16×16, 7×7 and 5×5; then 500 maxout units with five pieces. Dropout of .2 on the images and .5
    before every other layer; weights start uniform on [−.005, .005].

    Args:
        seed: a non-negative integer makes the initial weights and the dropout reproducible.

    Returns:
        A Keras model from images `(batch, 32, 32, 3)` to logits `(batch, 1)`.

    Example:

    >>> discriminator = kg.architectures.cifar10_conv_discriminator(seed=0)
    >>> discriminator.output_shape, discriminator.count_params()
    ((None, 1), 12454073)
    """
    net = _Net("cifar10_conv_discriminator", seed, initial_range=0.005)
    return net.model(
        keras.Input(CIFAR10_SHAPE, name="images"),
        [
            net.dropout(INPUT_DROPOUT),
            keras.layers.ZeroPadding2D(4),
            net.maxout_conv(32, kernel_size=8),
            _pool(4),
            net.dropout(HIDDEN_DROPOUT),
            keras.layers.ZeroPadding2D(3),
            net.maxout_conv(32, kernel_size=8),
            _pool(4),
            net.dropout(HIDDEN_DROPOUT),
            keras.layers.ZeroPadding2D(3),
            net.maxout_conv(192, kernel_size=5),
            _pool(2),
            keras.layers.Flatten(),
            net.dropout(HIDDEN_DROPOUT),
            net.maxout(500),
            net.dropout(HIDDEN_DROPOUT),
            net.logit(),
        ],
    )

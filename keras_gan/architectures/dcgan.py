"""Deep convolutional networks for images whose size is a power of two.

Radford, Metz, Chintala 2015, "Unsupervised representation learning with deep convolutional
generative adversarial networks", arXiv 1511.06434. Strided convolutions with 5×5 kernels instead of
pooling, batch normalization except at the generator's output and the discriminator's input, and
weights from N(0, .02). The paper trains them with latents from U(−1, 1), Adam with learning rate .0002
and β1 = .5, and minibatches of 128.
"""

import keras

from keras_gan.architectures import conditions, image_layers, seeds
from keras_gan.utils.validation import check_choice, check_integer

__all__ = ["dcgan_discriminator", "dcgan_generator", "doublings_to"]

_OUTPUT_ACTIVATIONS = ("tanh", "sigmoid")
_SMALLEST = 4


def doublings_to(image_size: int) -> int:
    """Return the number of doublings from 4×4 to `image_size`, a power of two of at least 8."""
    image_size = check_integer("image_size", image_size, minimum=8, hint="It must be a power of two.")
    below = 2 ** (image_size.bit_length() - 1)
    if image_size != below:
        raise ValueError(
            "`image_size` must be a power of two, because every layer doubles or halves it. Received: "
            f"{image_size}. Resize or pad the images to {below} or {2 * below}."
        )
    return below.bit_length() - _SMALLEST.bit_length()


class _Net:
    """Creates the layers of a network from its seeds, and concatenates the condition to their inputs.

    Args:
        name: name of the network.
        seed: seed of the network, or None.
        num_classes: number of classes, or None without a condition.
    """

    def __init__(self, name, seed, num_classes):
        self.name = name
        self.seeds = seeds.derive(seed, name)
        self.conditions, self.labels = [], []
        if num_classes is not None:
            condition = keras.Input((), dtype="int32", name="condition")
            self.conditions = [condition]
            self.labels = [conditions.embed_labels(condition, num_classes)]

    def join(self, features):
        return conditions.join_conditions(features, *self.labels, data_format="channels_last")

    def normal(self, mean=0.0):
        return keras.initializers.RandomNormal(mean, 0.02, seed=next(self.seeds))

    def normalize(self, features):
        # With Keras' momentum of .99, it would take hundreds of steps until samples, which use moving
        # statistics, look like the discriminator's inputs in training.
        layer = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, gamma_initializer=self.normal(mean=1.0)
        )
        return layer(features)

    def dense(self, features, units, **kwargs):
        layer = keras.layers.Dense(units, kernel_initializer=self.normal(), **kwargs)
        return layer(self.join(features))

    def downsample(self, maps, filters, **kwargs):
        layer = keras.layers.Conv2D(filters, 5, 2, **self._convolution(), **kwargs)
        return layer(self.join(maps))

    def upsample(self, maps, filters, **kwargs):
        layer = keras.layers.Conv2DTranspose(filters, 5, 2, **self._convolution(), **kwargs)
        return layer(self.join(maps))

    def _convolution(self):
        return {
            "padding": "same",
            "data_format": "channels_last",
            "kernel_initializer": self.normal(),
        }

    def model(self, inputs, outputs):
        inputs = [inputs, *self.conditions] if self.conditions else inputs
        return keras.Model(inputs, outputs, name=self.name)


def dcgan_generator(
    image_size: int,
    channels: int,
    *,
    latent_dim: int = 100,
    activation: str = "tanh",
    num_classes: int | None = None,
    width: int = 64,
    seed: int | None = None,
) -> keras.Model:
    """Return a deep convolutional generator.

    Latents are projected to 4×4 feature maps; each transposed convolution doubles their size and halves
    their number, down to `width` maps before the output. `width=128` at 64×64 is the network of the
    paper's Figure 1 (1024 maps of 4×4).

    Radford, Metz, Chintala 2015, arXiv 1511.06434. With `num_classes`, the one-hot label is
    concatenated to the input of every layer, as in the authors' MNIST code.

    Args:
        image_size: height and width of the images, a power of two, at least 8.
        channels: number of channels of the images, positive.
        latent_dim: number of latents, positive.
        activation: `"tanh"` for images in [−1, 1], `"sigmoid"` for images in [0, 1].
        num_classes: number of classes of a conditional generator, positive; None makes it
            unconditional.
        width: number of feature maps before the output, positive.
        seed: non-negative integer for reproducible initial weights.

    Returns:
        A Keras model from latents `(batch, latent_dim)`, or `[latents, condition]` with integer
        labels `(batch,)`, to images `(batch, image_size, image_size, channels)`, or `(batch,
        channels, image_size, image_size)` where `keras.config.image_data_format()` is
        `"channels_first"`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: `image_size` is not a power of two of at least 8; another argument is out of range.

    Example:

    >>> generator = kg.architectures.dcgan_generator(32, channels=1, num_classes=10, width=8)
    >>> tuple(generator([ops.zeros((2, 100)), ops.array([3, 7])]).shape)
    (2, 32, 32, 1)
    """
    activation = check_choice("activation", activation, _OUTPUT_ACTIVATIONS)
    doublings = doublings_to(image_size)
    channels = check_integer("channels", channels, minimum=1)
    latent_dim = check_integer("latent_dim", latent_dim, minimum=1)
    width = check_integer("width", width, minimum=1)
    net = _Net("dcgan_generator", seed, num_classes)
    latents = keras.Input((latent_dim,), name="latents")

    filters = width * 2 ** (doublings - 1)
    x = net.dense(latents, _SMALLEST * _SMALLEST * filters, use_bias=False)
    x = keras.layers.ReLU()(net.normalize(x))
    x = keras.layers.Reshape((_SMALLEST, _SMALLEST, filters))(x)
    for _ in range(doublings - 1):
        filters //= 2
        x = net.upsample(x, filters, use_bias=False)
        x = keras.layers.ReLU()(net.normalize(x))
    x = net.upsample(x, channels, activation=activation, dtype="float32")
    return net.model(latents, image_layers.from_channels_last(x))


def dcgan_discriminator(
    image_size: int,
    channels: int,
    *,
    num_classes: int | None = None,
    width: int = 64,
    seed: int | None = None,
) -> keras.Model:
    """Return a deep convolutional discriminator.

    Strided convolutions halve the size of the feature maps down to 4×4 and double their number, starting
    from `width`, with leaky rectified linear units of slope .2; a linear layer returns the logit.

    Batch normalization makes a logit depend on the other images of the batch, and TensorFlow's second
    derivatives of batch statistics are approximate (they treat the mean of the variance as a constant):
    use a discriminator without batch normalization for gradient penalties.

    Radford, Metz, Chintala 2015, arXiv 1511.06434. With `num_classes`, the one-hot label is
    concatenated to the input of every layer, as in the authors' MNIST code.

    Args:
        image_size: height and width of the images, a power of two, at least 8.
        channels: number of channels of the images, positive.
        num_classes: number of classes of a conditional discriminator, positive; None makes it
            unconditional.
        width: number of feature maps of the first layer, positive.
        seed: non-negative integer for reproducible initial weights.

    Returns:
        A Keras model from images `(batch, image_size, image_size, channels)`, in the order of
        `keras.config.image_data_format()`, or `[images, condition]` with integer labels `(batch,)`,
        to logits `(batch, 1)`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: `image_size` is not a power of two of at least 8; another argument is out of range.

    Example:

    >>> discriminator = kg.architectures.dcgan_discriminator(32, channels=3, width=8)
    >>> tuple(discriminator(ops.zeros((2, 32, 32, 3))).shape)
    (2, 1)
    """
    doublings = doublings_to(image_size)
    channels = check_integer("channels", channels, minimum=1)
    width = check_integer("width", width, minimum=1)
    net = _Net("dcgan_discriminator", seed, num_classes)
    images = image_layers.image_input(image_size, image_size, channels)

    x = net.downsample(image_layers.to_channels_last(images), width)
    x = keras.layers.LeakyReLU(0.2)(x)
    for doubling in range(1, doublings):
        x = net.downsample(x, width * 2**doubling, use_bias=False)
        x = keras.layers.LeakyReLU(0.2)(net.normalize(x))
    x = keras.layers.Flatten("channels_last")(x)
    return net.model(images, net.dense(x, 1, dtype="float32"))

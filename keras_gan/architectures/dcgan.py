"""Deep convolutional nets for images of any power-of-two size.

Radford, Metz, Chintala 2015, "Unsupervised representation learning with deep convolutional
generative adversarial networks", arXiv 1511.06434. Strided convolutions with 5×5 kernels instead of
pooling, batch normalisation except at the generator's output and the discriminator's input, weights
from N(0, .02). The paper trains them with latents from U(−1, 1), Adam with learning rate .0002 and
β1 = .5, and minibatches of 128.
"""

import math

import keras
from keras import ops

from keras_gan.architectures import seeds
from keras_gan.utils import registry

_OUTPUT_ACTIVATIONS = ("tanh", "sigmoid")
_SMALLEST = 4


def doublings_to(image_size: int) -> int:
    """Return how many doublings lead from 4×4 to `image_size`."""
    exponent = math.log2(max(image_size, 1))
    if image_size < 8 or not exponent.is_integer():
        below = 2 ** int(exponent)
        nearest = "8" if image_size < 8 else f"{below} and {2 * below}"
        raise ValueError(
            "`image_size` must be a power of two and at least 8, because every layer doubles or "
            f"halves it. Received: image_size={image_size!r}; the nearest: {nearest}. Resize or "
            "pad the images to one of these."
        )
    return int(exponent) - int(math.log2(_SMALLEST))


class _Net:
    """Makes the layers of one network from its seeds, and joins the condition to their inputs.

    Args:
        name: name of the network.
        seed: seed of the network, or None.
        num_classes: number of labels, or None without a condition.
    """

    def __init__(self, name, seed, num_classes):
        self.name = name
        self.seeds = seeds.derive(seed, name)
        self.conditions = []
        if num_classes is not None:
            condition = keras.Input((), dtype="int32", name="condition")
            self.conditions = [condition]
            self.label = ops.one_hot(condition, num_classes)

    def join(self, features):
        """Concatenate the one-hot label to a vector, or to every position of feature maps."""
        if not self.conditions:
            return features
        positions = features.shape[1:-1]
        labels = keras.layers.RepeatVector(math.prod(positions))(self.label)
        labels = keras.layers.Reshape((*positions, self.label.shape[-1]))(labels)
        return keras.layers.Concatenate()([features, labels])

    def normal(self, mean=0.0):
        return keras.initializers.RandomNormal(mean, 0.02, seed=next(self.seeds))

    def normalise(self, features):
        # Keras' momentum of .99 would need hundreds of steps before samples (drawn with moving
        # statistics) look like what the discriminator sees in training.
        layer = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, gamma_initializer=self.normal(mean=1.0)
        )
        return layer(features)

    def dense(self, features, units, **kwargs):
        layer = keras.layers.Dense(units, kernel_initializer=self.normal(), **kwargs)
        return layer(self.join(features))

    def halve(self, maps, filters, **kwargs):
        layer = keras.layers.Conv2D(
            filters, 5, 2, padding="same", kernel_initializer=self.normal(), **kwargs
        )
        return layer(self.join(maps))

    def double(self, maps, filters, **kwargs):
        layer = keras.layers.Conv2DTranspose(
            filters, 5, 2, padding="same", kernel_initializer=self.normal(), **kwargs
        )
        return layer(self.join(maps))

    def model(self, inputs, outputs):
        inputs = [inputs, *self.conditions] if self.conditions else inputs
        return keras.Model(inputs, outputs, name=self.name)


def dcgan_generator(
    image_size: int,
    channels: int,
    latent_dim: int = 100,
    activation: str = "tanh",
    num_classes: int | None = None,
    width: int = 64,
    seed: int | None = None,
) -> keras.Model:
    """Return a deep convolutional generator.

    Latents are projected to 4×4 feature maps, and transposed convolutions double the size up to
    `image_size` while the number of maps halves, down to `width` before the output. `width=128` at
    64×64 is the network of the paper's Figure 1 (1024 maps of 4×4).

    Radford, Metz, Chintala 2015, arXiv 1511.06434. With `num_classes` the one-hot label joins the
    input of every layer, as in the authors' MNIST code.

    Args:
        image_size: height and width of the images, a power of two, at least 8.
        channels: number of channels of the images.
        latent_dim: number of latents.
        activation: `"tanh"` for images in [−1, 1], `"sigmoid"` for images in [0, 1].
        num_classes: number of labels of a conditional generator; None makes it unconditional.
        width: number of feature maps before the output.
        seed: a non-negative integer makes the initial weights reproducible.

    Returns:
        A Keras model from latents `(batch, latent_dim)`, or `[latents, condition]` with integer
        labels `(batch,)`, to images `(batch, image_size, image_size, channels)`.

    Raises:
        ValueError: `image_size` is no power of two of at least 8; unknown `activation`.

    Example:

    >>> generator = kg.architectures.dcgan_generator(32, channels=1, num_classes=10, width=8)
    >>> tuple(generator([ops.zeros((2, 100)), ops.array([3, 7])]).shape)
    (2, 32, 32, 1)
    """
    if activation not in _OUTPUT_ACTIVATIONS:
        raise ValueError(registry.unknown("activation", str(activation), _OUTPUT_ACTIVATIONS))
    doublings = doublings_to(image_size)
    net = _Net("dcgan_generator", seed, num_classes)
    latents = keras.Input((latent_dim,), name="latents")

    filters = width * 2 ** (doublings - 1)
    x = net.dense(latents, _SMALLEST * _SMALLEST * filters, use_bias=False)
    x = keras.layers.ReLU()(net.normalise(x))
    x = keras.layers.Reshape((_SMALLEST, _SMALLEST, filters))(x)
    for _ in range(doublings - 1):
        filters //= 2
        x = net.double(x, filters, use_bias=False)
        x = keras.layers.ReLU()(net.normalise(x))
    return net.model(latents, net.double(x, channels, activation=activation, dtype="float32"))


def dcgan_discriminator(
    image_size: int,
    channels: int,
    num_classes: int | None = None,
    width: int = 64,
    seed: int | None = None,
) -> keras.Model:
    """Return a deep convolutional discriminator.

    Strided convolutions halve the size down to 4×4 while the number of feature maps doubles from
    `width` on, with leaky rectified linear units of slope .2; one linear layer gives the logit.

    Its batch normalisation makes a logit depend on the other images of the batch, and TensorFlow
    differentiates batch statistics only once exactly (its variance takes the mean for a constant):
    a gradient penalty wants a discriminator without batch normalisation.

    Radford, Metz, Chintala 2015, arXiv 1511.06434. With `num_classes` the one-hot label joins the
    input of every layer, as in the authors' MNIST code.

    Args:
        image_size: height and width of the images, a power of two, at least 8.
        channels: number of channels of the images.
        num_classes: number of labels of a conditional discriminator; None makes it unconditional.
        width: number of feature maps of the first layer.
        seed: a non-negative integer makes the initial weights reproducible.

    Returns:
        A Keras model from images `(batch, image_size, image_size, channels)`, or
        `[images, condition]` with integer labels `(batch,)`, to logits `(batch, 1)`.

    Raises:
        ValueError: `image_size` is no power of two of at least 8.

    Example:

    >>> discriminator = kg.architectures.dcgan_discriminator(32, channels=3, width=8)
    >>> tuple(discriminator(ops.zeros((2, 32, 32, 3))).shape)
    (2, 1)
    """
    doublings = doublings_to(image_size)
    net = _Net("dcgan_discriminator", seed, num_classes)
    images = keras.Input((image_size, image_size, channels), name="images")

    x = keras.layers.LeakyReLU(0.2)(net.halve(images, width))
    for doubling in range(1, doublings):
        x = net.halve(x, width * 2**doubling, use_bias=False)
        x = keras.layers.LeakyReLU(0.2)(net.normalise(x))
    x = keras.layers.Flatten()(x)
    return net.model(images, net.dense(x, 1, dtype="float32"))

"""Architectures: functions that return plain Keras models."""

from keras_gan.architectures.classifier import digit_classifier
from keras_gan.architectures.conditions import embed_labels, join_conditions
from keras_gan.architectures.dcgan import dcgan_discriminator, dcgan_generator
from keras_gan.architectures.goodfellow2014 import (
    cifar10_conv_discriminator,
    cifar10_conv_generator,
    cifar10_discriminator,
    cifar10_generator,
    mnist_discriminator,
    mnist_generator,
    tfd_discriminator,
    tfd_generator,
    tfd_stacked_generator,
)

__all__ = [
    "cifar10_conv_discriminator",
    "cifar10_conv_generator",
    "cifar10_discriminator",
    "cifar10_generator",
    "dcgan_discriminator",
    "dcgan_generator",
    "digit_classifier",
    "embed_labels",
    "join_conditions",
    "mnist_discriminator",
    "mnist_generator",
    "tfd_discriminator",
    "tfd_generator",
    "tfd_stacked_generator",
]


def __dir__():
    return __all__

"""Layers for adversarial networks that Keras does not provide."""

from keras_gan.layers.maxout import Maxout, MaxoutConv2D
from keras_gan.layers.projection import Projection
from keras_gan.layers.spectral_normalization import SpectralNormalization
from keras_gan.layers.untied_bias import UntiedBias

__all__ = ["Maxout", "MaxoutConv2D", "Projection", "SpectralNormalization", "UntiedBias"]


def __dir__():
    return __all__

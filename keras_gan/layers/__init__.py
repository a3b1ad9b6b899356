"""Layers that adversarial nets need and Keras lacks."""

from keras_gan.layers.maxout import Maxout, MaxoutConv2D
from keras_gan.layers.untied_bias import UntiedBias

__all__ = ["Maxout", "MaxoutConv2D", "UntiedBias"]

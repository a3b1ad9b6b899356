"""The GAN, and the parts that variants of it use."""

from keras_gan.models.ema import WeightEMA
from keras_gan.models.gan import GAN
from keras_gan.models.objectives import Objectives
from keras_gan.models.play import Play, Player

__all__ = ["GAN", "Objectives", "Play", "Player", "WeightEMA"]


def __dir__():
    return __all__

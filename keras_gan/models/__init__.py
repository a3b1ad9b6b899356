"""The GAN, and the parts that variants of it use."""

from keras_gan.models.completion import CompletionGAN
from keras_gan.models.ema import WeightEMA
from keras_gan.models.gan import GAN
from keras_gan.models.inference import BiGAN, fit_encoder
from keras_gan.models.objectives import Objectives
from keras_gan.models.play import Play, Player
from keras_gan.models.semi_supervised import SemiSupervisedGAN

__all__ = [
    "GAN",
    "BiGAN",
    "CompletionGAN",
    "Objectives",
    "Play",
    "Player",
    "SemiSupervisedGAN",
    "WeightEMA",
    "fit_encoder",
]


def __dir__():
    return __all__

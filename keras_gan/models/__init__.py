"""The GAN, and what variants of it are made of."""

from keras_gan.models.average import Average
from keras_gan.models.gan import GAN, Player
from keras_gan.models.objectives import Objectives

__all__ = ["GAN", "Average", "Objectives", "Player"]

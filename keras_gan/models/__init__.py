"""The GAN, and what variants of it are made of."""

from keras_gan.models.gan import GAN, Player
from keras_gan.models.objectives import Objectives

__all__ = ["GAN", "Objectives", "Player"]

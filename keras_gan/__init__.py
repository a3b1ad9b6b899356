"""Generative adversarial nets for Keras: any two networks, trained by `fit`.

Example:

>>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
>>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
>>> gan = kg.GAN(generator, discriminator, prior="uniform", seed=0)
>>> gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), loss="non_saturating")
>>> history = gan.fit(np.zeros((64, 2), "float32"), epochs=1, verbose=0)
"""

import importlib
from typing import TYPE_CHECKING

from keras_gan import (
    architectures,
    callbacks,
    datasets,
    initializers,
    interpolation,
    layers,
    losses,
    masks,
    metrics,
    models,
    optimizers,
    priors,
    recipes,
    second_order,
    terms,
    updates,
    visualization,
)
from keras_gan.models.gan import GAN
from keras_gan.serving.export import export_savedmodel

__version__ = "0.1.0"

__all__ = [
    "GAN",
    "architectures",
    "callbacks",
    "datasets",
    "export_savedmodel",
    "initializers",
    "interpolation",
    "layers",
    "losses",
    "masks",
    "metrics",
    "models",
    "optimizers",
    "priors",
    "recipes",
    "second_order",
    "terms",
    "updates",
    "visualization",
]


def __dir__():
    return [*__all__, "tuner"]


if TYPE_CHECKING:
    # A `__getattr__` would have type checkers find every name here.
    from keras_gan import tuner as tuner
else:

    def __getattr__(name):
        """Import `kg.tuner` when it is first asked for, since it needs KerasTuner."""
        if name == "tuner":
            return importlib.import_module("keras_gan.tuner")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

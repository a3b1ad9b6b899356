"""Datasets: real examples for the discriminator, as `tf.data` pipelines or as NumPy arrays.

The examples of a split are in memory once (as bytes, where they came as bytes), and an epoch is a
permutation of them that depends on the seed and the epoch's number alone.
"""

from keras_gan.datasets.loading import load, load_arrays
from keras_gan.datasets.toy import GaussianMixture, stack_digits

__all__ = ["GaussianMixture", "load", "load_arrays", "stack_digits"]


def __dir__():
    return __all__

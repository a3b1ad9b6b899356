"""Datasets: real examples for the discriminator, as `tf.data` pipelines or as NumPy arrays.

The examples of a split are in memory once (as bytes, where they came as bytes), and an epoch is a
permutation of them that depends on the seed and the epoch's number alone.
"""

from keras_gan.datasets.few_labels import balanced_rows, mix_labeled
from keras_gan.datasets.loading import load, load_arrays
from keras_gan.datasets.toy import GaussianMixture, stack_digits

__all__ = [
    "GaussianMixture",
    "balanced_rows",
    "load",
    "load_arrays",
    "mix_labeled",
    "stack_digits",
]


def __dir__():
    return __all__

"""Callbacks: what happens between the epochs of `fit`."""

from keras_gan.callbacks.sample_grid import SampleGrid

__all__ = ["SampleGrid"]

"""Feature extractors: from samples to the vectors, or class probabilities, that metrics compare."""

from keras_gan.metrics.features.base import FeatureExtractor
from keras_gan.metrics.features.inception import InceptionV3
from keras_gan.metrics.features.model import DigitClassifier, ModelFeatures
from keras_gan.metrics.features.pixels import Identity, Pixels

__all__ = [
    "DigitClassifier",
    "FeatureExtractor",
    "Identity",
    "InceptionV3",
    "ModelFeatures",
    "Pixels",
]

"""SavedModels for TensorFlow Serving."""

from keras_gan.serving.export import export_savedmodel

__all__ = ["export_savedmodel"]

"""A small convolutional classifier of digits, which provides features for metrics."""

import keras

from keras_gan.architectures import image_layers, seeds

__all__ = ["DIGITS_SHAPE", "digit_classifier"]

DIGITS_SHAPE = (28, 28, 1)
NUM_CLASSES, NUM_FEATURES = 10, 64


def digit_classifier(*, seed: int | None = None) -> keras.Model:
    """Return a classifier of 28 × 28 images in [0, 1] into ten classes: logits, and 64 features.

    Two 3 × 3 convolutions, each followed by 2 × 2 max pooling; dropout of .5; a layer named
    `"features"` of 64 rectified linear units; ten logits. `examples/train_digit_classifier.py` trains it
    to 99 % accuracy on MNIST in minutes, and `kg.metrics.DigitClassifier` reads features from it.

    Args:
        seed: non-negative integer for reproducible initial weights and dropout.

    Returns:
        A Keras model from images `(batch, 28, 28, 1)` in [0, 1] to logits `(batch, 10)`.

    Example:

    >>> classifier = kg.architectures.digit_classifier(seed=0)
    >>> classifier.get_layer("features").output.shape, classifier.output_shape
    ((None, 64), (None, 10))
    """
    numbers = seeds.derive(seed, "digit_classifier")

    def initial():
        return keras.initializers.GlorotUniform(seed=next(numbers))

    images = image_layers.image_input(*DIGITS_SHAPE)
    x = image_layers.to_channels_last(images)
    order = {"data_format": "channels_last"}
    for filters in (32, 64):
        convolution = keras.layers.Conv2D(
            filters, 3, activation="relu", kernel_initializer=initial(), **order
        )
        x = keras.layers.MaxPooling2D(**order)(convolution(x))
    x = keras.layers.Dropout(0.5, seed=next(numbers))(keras.layers.Flatten(**order)(x))
    x = keras.layers.Dense(NUM_FEATURES, "relu", kernel_initializer=initial(), name="features")(x)
    logits = keras.layers.Dense(
        NUM_CLASSES, kernel_initializer=initial(), dtype="float32", name="logits"
    )(x)
    return keras.Model(images, logits, name="digit_classifier")

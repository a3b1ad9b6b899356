"""Imports of optional packages, and of TensorFlow where it only reads data."""

import contextlib
import importlib
from types import ModuleType

import keras

# What to install for each module. By the packages' own names: that works in a clone and out of it.
PACKAGES = {
    "click": "click",
    "keras_tuner": "keras-tuner tensorboard",
    "matplotlib": "matplotlib",
    "mlxtend": "mlxtend",
    "PIL": "pillow",
    "scipy": "scipy",
    "tensorflow_datasets": "tensorflow-datasets importlib_resources",
    "tensorflow_probability": '"tensorflow-probability[tf]"',
}


def require(module: str) -> ModuleType:
    """Import an optional package, or say how to install it.

    Args:
        module: name of the module, such as `"matplotlib.pyplot"`.

    Returns:
        The imported module.

    Raises:
        ImportError: the package is not installed; the message holds the `pip install` line.

    Example:

    >>> from keras_gan.utils.optional import require
    >>> require("PIL.Image").__name__
    'PIL.Image'
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This needs the optional package {package!r}, which could not be imported ({error}). "
            f"Install it with: pip install {PACKAGES[package]}"
        ) from error


def tensorflow() -> ModuleType:
    """Import TensorFlow, which reads data and writes logs on every backend.

    On another backend than its own it is kept from the GPUs, all of whose memory it would take, unless
    the program has begun to use them by it before.

    Returns:
        The imported module.

    Example:

    >>> from keras_gan.utils.optional import tensorflow
    >>> tensorflow().data.Dataset.range(3).reduce(0, lambda total, number: total + 1).numpy().item()
    3
    """
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # of devices that are in use
            tf.config.set_visible_devices([], "GPU")
    return tf

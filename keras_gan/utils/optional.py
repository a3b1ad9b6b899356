"""Packages imported where they are used: optional ones, missed with the command that brings them.

And TensorFlow, which reads data on every backend.
"""

import contextlib
import importlib
from types import ModuleType

import keras

PACKAGES = {
    "click": "cli",
    "keras_tuner": "tuner",
    "matplotlib": "plot",
    "mlxtend": "demo",
    "PIL": "plot",
    "scipy": "datasets",
    "tensorflow_datasets": "datasets",
    "tensorflow_probability": "tfp",
}


def require(module: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

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
            f"Install it with: pip install keras-gan[{PACKAGES[package]}]"
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

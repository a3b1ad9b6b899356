"""Imports of optional packages, and of TensorFlow on backends that use it only to read data."""

import contextlib
import importlib
from types import ModuleType

import keras

__all__ = ["PACKAGES", "require", "tensorflow"]

# Packages to install for each module. Not the extras of keras_gan: these names work outside a clone too.
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
    """Import an optional package, or raise an error that says how to install it.

    Args:
        module: name of the module, such as `"matplotlib.pyplot"`.

    Returns:
        The imported module.

    Raises:
        ImportError: the package is not installed; the message contains the `pip install` command.

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

    On JAX and torch, GPUs are hidden from TensorFlow, which would otherwise allocate all of their
    memory, unless the program has already used them with TensorFlow.

    Returns:
        The imported module.

    Example:

    >>> from keras_gan.utils.optional import tensorflow
    >>> tensorflow().data.Dataset.range(3).reduce(0, lambda total, number: total + 1).numpy().item()
    3
    """
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # raised if the devices are already in use
            tf.config.set_visible_devices([], "GPU")
    return tf

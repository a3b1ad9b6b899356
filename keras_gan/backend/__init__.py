"""All that depends on the backend of Keras, one module each, with the same functions."""

import importlib

import keras

_SUPPORTED = ("tensorflow",)

if keras.backend.backend() not in _SUPPORTED:
    raise ImportError(
        f"keras_gan runs on the Keras backend{'s' if len(_SUPPORTED) > 1 else ''} "
        f"{', '.join(_SUPPORTED)}. Received: {keras.backend.backend()!r}. "
        "Set the environment variable KERAS_BACKEND=tensorflow before Python starts."
    )

_module = importlib.import_module(f"keras_gan.backend.{keras.backend.backend()}")

INEXACT_SECOND_ORDER = _module.INEXACT_SECOND_ORDER
apply = _module.apply
check_rows = _module.check_rows
check_shape = _module.check_shape
compiled = _module.compiled
gradients = _module.gradients
input_gradient = _module.input_gradient
random_bits = _module.random_bits
seed_tensor = _module.seed_tensor

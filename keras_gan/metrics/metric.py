"""A check that callbacks import until they use `keras_gan.utils.validation`."""

import numbers
from typing import Any


def check_whole(least: int, **arguments: Any) -> None:
    """Raise unless all arguments are integers of at least `least`."""
    for name, value in arguments.items():
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"`{name}` is a whole number of {least} or more. Received: {value!r}")

"""A check that callbacks import until they use `keras_gan.utils.validation`."""

from typing import Any

from keras_gan.utils.validation import check_integer


def check_whole(least: int, **arguments: Any) -> None:
    """Raise unless all arguments are integers of at least `least`."""
    for name, value in arguments.items():
        check_integer(name, value, minimum=least)

"""Masks: distributions of which entries of a sample are known (1) and which are not (0)."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from keras_gan import priors
from keras_gan.utils import registry
from keras_gan.utils.typing import Config, Tensor
from keras_gan.utils.validation import check_number

__all__ = ["MASKS", "Halves", "Mask", "Random", "get"]


def __dir__():
    return __all__


_register = keras.saving.register_keras_serializable(package="keras_gan")


class Mask(priors.Prior):
    """Base class for distributions of masks, whose subclasses implement `draw(shape, key)`.

    Args:
        shape: shape of one mask, an integer or a tuple; None takes it from the generator.

    Example:

    >>> class FirstKnown(kg.masks.Mask):
    ...     def draw(self, shape, key):
    ...         return ops.cast(ops.arange(shape[1]) < 1, "float32") * ops.ones(shape)
    >>> ops.convert_to_numpy(FirstKnown(shape=3).sample(1, seed=0)).tolist()
    [[1.0, 0.0, 0.0]]
    """


@_register
class Random(Mask):
    """Each entry is known independently, so that every subset occurs.

    Args:
        known: probability in (0, 1) that an entry is known; None draws it from U(0, 1) for each row.
        shape: shape of one mask, an integer or a tuple; None takes it from the generator.

    Raises:
        TypeError: `known` is not a number.
        ValueError: it is out of range.

    Example:

    >>> tuple(kg.masks.Random(0.8, shape=(4,)).sample(2, seed=0).shape)
    (2, 4)
    """

    def __init__(self, known: float | None = None, shape: int | Sequence[int] | None = None) -> None:
        super().__init__(shape)
        self.known = None if known is None else check_number("known", known, above=0, below=1)

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        entries, n = math.prod(shape[1:]), shape[0]
        # One number more for each row: its share of known entries.
        uniform = priors.Uniform(0.0, 1.0).draw((n, entries + 1), key)
        share = uniform[:, :1] if self.known is None else self.known
        return ops.reshape(ops.cast(uniform[:, 1:] < share, "float32"), (n, *shape[1:]))

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"known": self.known, **super().get_config()}


@_register
class Halves(Mask):
    """One half of an image is known: the upper, the lower, the left or the right one.

    Args:
        shape: shape of one mask, `(height, width, 1)` or with its channels first; None takes it from the
            generator.

    Example:

    >>> tuple(kg.masks.Halves(shape=(4, 4, 1)).sample(2, seed=0).shape)
    (2, 4, 4, 1)
    """

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        first = 1 if keras.config.image_data_format() == "channels_first" else 0
        which = priors.Uniform(0.0, 4.0).draw((shape[0], 1), key)
        sides = []
        for axis in (first, first + 1):
            size = shape[1:][axis]
            steps = ops.cast(ops.arange(size) < size // 2, "float32")
            along = ops.reshape(steps, [size if i == axis else 1 for i in range(len(shape) - 1)])
            sides += [along * ops.ones(shape[1:]), (1.0 - along) * ops.ones(shape[1:])]
        chosen = ops.one_hot(ops.cast(which[:, 0], "int32"), 4)
        flat = ops.matmul(chosen, ops.reshape(ops.stack(sides), (4, -1)))
        return ops.reshape(flat, (shape[0], *shape[1:]))


MASKS = {"random": Random, "halves": Halves}


def get(identifier: str | Config | Mask) -> Mask:
    """Return a distribution of masks from its name, its configuration, or an instance.

    Args:
        identifier: one of the names in `MASKS`, a serialized mask, or a `Mask`.

    Returns:
        A `Mask`.

    Raises:
        ValueError: the name is unknown; the message suggests the nearest one.
        TypeError: `identifier` is none of these.

    Example:

    >>> type(kg.masks.get("random")).__name__
    'Random'
    """
    return registry.get(identifier, Mask, MASKS, "masks")

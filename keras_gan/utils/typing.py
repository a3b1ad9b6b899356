"""Names of the types that recur in annotations."""

import numbers
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

# For `isinstance`: numbers of Python and of NumPy. To type checkers `int` is no `numbers.Integral`.
INTEGER = (int, numbers.Integral)
REAL = (float, numbers.Real)

# The tensors of TensorFlow, JAX and torch, `keras.KerasTensor` and `keras.Variable` have no common type.
Tensor: TypeAlias = Any

# A tensor, or a tuple, list or dict of tensors.
Structure: TypeAlias = Any

# What `np.asarray` takes: arrays, nested lists of numbers, tensors of any backend.
Array: TypeAlias = npt.ArrayLike

# Samples, as an array or in batches.
Samples: TypeAlias = npt.ArrayLike | Iterable[Any]


class Dataset(Protocol):
    """What is asked of a `tf.data.Dataset`, for which TensorFlow need not be imported."""

    @property
    def element_spec(self) -> Any:
        """What an element looks like."""

    def cardinality(self) -> Tensor:
        """Return the number of elements, negative if it is infinite or unknown."""

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the elements."""


# Images, as an array or in batches that TensorFlow reads.
Data: TypeAlias = npt.ArrayLike | Dataset

# None where a size is not known, as that of a batch.
Shape: TypeAlias = tuple[int | None, ...]

# The numbers that are black and white.
ValueRange: TypeAlias = tuple[float, float]

PathLike: TypeAlias = str | os.PathLike[str]

# What `get_config` returns.
Config: TypeAlias = dict[str, Any]

# Numbers by their names: scalar tensors in a step, floats in callbacks.
Logs: TypeAlias = dict[str, Any]

# Initializers, regularizers and constraints of Keras, by name, by configuration, or as they are.
Identifier: TypeAlias = str | dict[str, Any] | Callable[..., Any]

# From samples to logits; with `network=`, to what another network makes of the samples.
Critic: TypeAlias = Callable[..., Any]

# Returns one loss a player, and logs.
Objective: TypeAlias = Callable[[], tuple[list[Any], Logs]]

if TYPE_CHECKING:
    from keras_gan.models import GAN as Game
    from keras_gan.models import Play, Player
else:  # importing them here would be circular
    Game: TypeAlias = Any
    Player: TypeAlias = Any
    Play: TypeAlias = Any


class Extractor(Protocol):
    """What makes features of images, such as a `kg.metrics.FeatureExtractor`."""

    @property
    def name(self) -> str | None:
        """What results call it."""

    @property
    def weights(self) -> str | None:
        """SHA-256 of the weights, or None."""

    @property
    def resizer(self) -> str | None:
        """How images are brought to its size, or None."""

    @property
    def size(self) -> int | None:
        """How many features an image has."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the features of images, of shape `(n, size)`."""


class Classifier(Extractor, Protocol):
    """An extractor that also says which classes images are of, such as a `kg.metrics.InceptionV3`."""

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the class probabilities of images, of shape `(n, num_classes)`."""

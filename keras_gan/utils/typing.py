"""Type aliases and protocols for annotations."""

import numbers
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "INTEGER",
    "REAL",
    "Array",
    "Classifier",
    "Config",
    "Critic",
    "Data",
    "Dataset",
    "Extractor",
    "Identifier",
    "Logs",
    "Objective",
    "PathLike",
    "Samples",
    "Shape",
    "Structure",
    "Tensor",
    "ValueRange",
]

# For `isinstance`: numbers of Python and NumPy. Type checkers do not accept `int` as `numbers.Integral`.
INTEGER = (int, numbers.Integral)
REAL = (float, numbers.Real)

# The tensors of TensorFlow, JAX and torch, `keras.KerasTensor` and `keras.Variable` have no common type.
Tensor: TypeAlias = Any

# A tensor, or a tuple, list or dict of tensors.
Structure: TypeAlias = Any

# Anything that `np.asarray` accepts: arrays, nested lists of numbers, tensors of any backend.
Array: TypeAlias = npt.ArrayLike

# Samples, as one array or as an iterable of batches.
Samples: TypeAlias = npt.ArrayLike | Iterable[Any]


class Dataset(Protocol):
    """The part of the interface of `tf.data.Dataset` that is used here, without importing TensorFlow."""

    @property
    def element_spec(self) -> Any:
        """Specification of an element."""

    def cardinality(self) -> Tensor:
        """Return the number of elements; a negative number if it is infinite or unknown."""

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the elements."""


# Images, as one array or as a `tf.data.Dataset` of batches.
Data: TypeAlias = npt.ArrayLike | Dataset

# None where a size is unknown, such as that of the batch.
Shape: TypeAlias = tuple[int | None, ...]

# The pixel values of black and white.
ValueRange: TypeAlias = tuple[float, float]

PathLike: TypeAlias = str | os.PathLike[str]

# Return value of `get_config`.
Config: TypeAlias = dict[str, Any]

# Logged values by name: scalar tensors inside a step, floats in callbacks.
Logs: TypeAlias = dict[str, Any]

# Initializers, regularizers and constraints of Keras: a name, a configuration or an instance.
Identifier: TypeAlias = str | dict[str, Any] | Callable[..., Any]

# Function from samples to logits; with `network=`, to the output of another network.
Critic: TypeAlias = Callable[..., Any]

# Function that returns a list of one loss per player, and logs.
Objective: TypeAlias = Callable[[], tuple[list[Any], Logs]]

if TYPE_CHECKING:
    from keras_gan.models import GAN as Game
    from keras_gan.models import Play, Player
else:  # importing them here would be circular
    Game: TypeAlias = Any
    Player: TypeAlias = Any
    Play: TypeAlias = Any


class Extractor(Protocol):
    """Maps images to features, such as a `kg.metrics.FeatureExtractor`."""

    @property
    def name(self) -> str | None:
        """Name of the extractor in results."""

    @property
    def weights(self) -> str | None:
        """SHA-256 of the weights, or None."""

    @property
    def resizer(self) -> str | None:
        """Method that resizes images to the input size, or None."""

    @property
    def size(self) -> int | None:
        """Number of features per image."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the features of images, of shape `(n, size)`."""


class Classifier(Extractor, Protocol):
    """An extractor that also predicts classes, such as `kg.metrics.InceptionV3`."""

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the class probabilities of images, of shape `(n, num_classes)`."""

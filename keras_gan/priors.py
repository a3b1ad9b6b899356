"""Priors: distributions of the latents.

A prior draws float32 latents of shape `(n, *shape)`. The shape is usually omitted and taken from the
generator's input. The same seed gives the same latents, with and without XLA (uniform and categorical
ones bit for bit, normal and spherical ones to 1e-5).
"""

import copy
import math
from collections.abc import Sequence
from typing import Any, NoReturn, Self

import keras
import numpy as np
from keras import ops

from keras_gan import backend
from keras_gan.utils import registry
from keras_gan.utils.typing import Config, Tensor
from keras_gan.utils.validation import check_integer, check_number, check_shape

__all__ = [
    "PRIORS",
    "Categorical",
    "Distribution",
    "Joint",
    "Normal",
    "Prior",
    "Spherical",
    "Uniform",
    "get",
]


def __dir__():
    return __all__


_OF_TENSORFLOW = "tensorflow_probability.python."
_ROOT_3 = math.sqrt(3.0)
_register = keras.saving.register_keras_serializable(package="keras_gan")


def _shape(shape):
    return check_shape("shape", shape, hint="It is the shape of one latent, without the batch.")


def _key(seed):
    """Turn an integer or a `SeedGenerator` into the pair of integers of one draw."""
    if isinstance(seed, keras.random.SeedGenerator):
        return seed.next()
    if ops.is_tensor(seed):
        return seed
    return backend.seed_tensor(check_integer("seed", seed, minimum=0, maximum=2**63 - 1))


def _symmetric(shape, seed):
    """Draw from U(−1, 1), excluding both ends, symmetric about 0."""
    return (backend.random_bits(shape, seed) + 0.5) * 2.0**-22 - 1.0


class Prior:
    """Base class for priors, whose subclasses implement `draw(shape, key)`.

    Args:
        shape: shape of one latent, an integer or a tuple; None takes it from the generator.

    Example:

    >>> class Ones(kg.priors.Prior):
    ...     def draw(self, shape, key):
    ...         return ops.ones(shape)
    >>> tuple(Ones(shape=3).sample(2, seed=0).shape)
    (2, 3)
    """

    def __init__(self, shape: int | Sequence[int] | None = None) -> None:
        self.shape: Any = None if shape is None else _shape(shape)

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """Return latents of the full `shape` (batch included) from the seed tensor `key`."""
        raise NotImplementedError(f"{type(self).__name__} must define `draw`.")

    def sample(self, n: int | Tensor, seed: int | keras.random.SeedGenerator | Tensor) -> Tensor:
        """Draw latents.

        Args:
            n: number of latents, an integer or a scalar tensor.
            seed: an integer, or a `keras.random.SeedGenerator`, which each draw advances.

        Returns:
            Float32 tensor of shape `(n, *shape)`.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the prior has no shape; an argument is out of range.
        """
        if not ops.is_tensor(n):
            n = check_integer("n", n, minimum=1, maximum=2**31 - 1)
        if self.shape is None:
            raise ValueError(
                f"The prior {type(self).__name__} has no shape. Pass `shape=` to it, or pass it to a "
                "`GAN`, which takes the shape from the generator's input."
            )
        return self.draw((n, *self.shape), _key(seed))

    def with_shape(self, shape: int | Sequence[int]) -> "Prior":
        """Return this prior with latents of `shape`.

        Raises:
            ValueError: the prior already has another shape.
        """
        shape = _shape(shape)
        if self.shape is None:
            shaped = copy.copy(self)
            shaped.shape = shape
            return shaped
        if self.shape != shape:
            raise ValueError(
                f"The prior {type(self).__name__} draws latents of shape {self.shape}, but the "
                f"generator takes latents of shape {shape}. Omit `shape` from the prior, or change the "
                "generator's first input."
            )
        return self

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"shape": self.shape}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Create the prior from the output of `get_config`."""
        return cls(**config)


@_register
class Uniform(Prior):
    """Independent uniform entries; by default U(−√3, √3), which has unit variance.

    The prior of the MNIST networks of Goodfellow et al. (2014).

    Args:
        low: lower end.
        high: upper end, greater than `low`. Neither end is ever sampled.
        shape: shape of one latent; None takes it from the generator.

    Example:

    >>> latents = kg.priors.Uniform(shape=100).sample(64, seed=0)
    >>> bool(ops.max(ops.abs(latents)) < 3**0.5)
    True
    """

    def __init__(
        self, low: float = -_ROOT_3, high: float = _ROOT_3, *, shape: int | Sequence[int] | None = None
    ) -> None:
        super().__init__(shape)
        self.low = check_number("low", low)
        self.high = check_number("high", high, above=self.low, hint="It must be greater than `low`.")

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        center, radius = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        return center + radius * _symmetric(shape, key)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"low": self.low, "high": self.high, "shape": self.shape}


@_register
class Normal(Prior):
    """Independent normal entries, standard by default.

    Args:
        mean: mean of every entry.
        stddev: standard deviation of every entry, positive.
        shape: shape of one latent; None takes it from the generator.

    Example:

    >>> tuple(kg.priors.Normal(shape=(4, 8)).sample(2, seed=0).shape)
    (2, 4, 8)
    """

    def __init__(
        self, mean: float = 0.0, stddev: float = 1.0, *, shape: int | Sequence[int] | None = None
    ) -> None:
        super().__init__(shape)
        self.mean = check_number("mean", mean)
        self.stddev = check_number("stddev", stddev, above=0)

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        standard = math.sqrt(2.0) * ops.erfinv(_symmetric(shape, key))
        return self.mean + self.stddev * standard

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"mean": self.mean, "stddev": self.stddev, "shape": self.shape}


@_register
class Spherical(Prior):
    """Uniform on the sphere of radius 1 around the origin.

    Args:
        shape: shape of one latent; None takes it from the generator.

    Example:

    >>> latents = kg.priors.Spherical(shape=16).sample(1, seed=0)
    >>> round(float(ops.sum(latents**2)), 5)
    1.0
    """

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        directions = ops.erfinv(_symmetric(shape, key))
        axes = tuple(range(1, len(shape)))
        return directions / ops.sqrt(ops.sum(ops.square(directions), axis=axes, keepdims=True))


def _probabilities(values, num_classes):
    """Check a probability for each class."""
    values = list(values) if isinstance(values, list | tuple) else np.asarray(values).tolist()
    if not isinstance(values, list) or len(values) != num_classes:
        raise ValueError(
            f"`probabilities` must be a list of one number per class ({num_classes}). "
            f"Received: {values!r}"
        )
    values = [check_number("probabilities", value, minimum=0) for value in values]
    if abs(sum(values) - 1.0) > 1e-6:
        raise ValueError(f"`probabilities` must sum to 1. Received: {values}")
    return values


@_register
class Categorical(Prior):
    """One-hot vectors of a random class, such as the discrete code of InfoGAN.

    Args:
        num_classes: number of classes, at least 2; latents have shape `(num_classes,)`.
        probabilities: probability of each class, summing to 1; equal by default.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> latents = kg.priors.Categorical(10).sample(4, seed=0)
    >>> [float(total) for total in ops.sum(latents, axis=-1)]
    [1.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, num_classes: int, probabilities: Sequence[float] | None = None) -> None:
        self.num_classes = check_integer("num_classes", num_classes, minimum=2)
        super().__init__(self.num_classes)
        if probabilities is None:
            probabilities = [1.0 / self.num_classes] * self.num_classes
        self.probabilities = _probabilities(probabilities, self.num_classes)

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        unit = 0.5 * _symmetric((shape[0], 1), key) + 0.5
        bounds = ops.cumsum(ops.convert_to_tensor(self.probabilities[:-1], dtype="float32"))
        classes = ops.sum(ops.cast(unit >= bounds, "int32"), axis=-1)
        return ops.one_hot(classes, self.num_classes, dtype="float32")

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"num_classes": self.num_classes, "probabilities": self.probabilities}


@_register
class Joint(Prior):
    """Concatenate the vectors of several priors.

    The latents of InfoGAN (Chen et al., 2016, arXiv 1606.03657) are noise, a class and two numbers.

    Args:
        priors: list of priors (names, instances or distributions) of vectors. At most one may
            have no shape: it fills the remaining entries of the generator's input.

    Example:

    >>> prior = kg.priors.Joint(["normal", kg.priors.Categorical(10), kg.priors.Uniform(-1, 1, shape=2)])
    >>> tuple(prior.with_shape(74).sample(5, seed=0).shape)
    (5, 74)
    """

    def __init__(self, priors: Sequence[str | Prior | Any]) -> None:
        if not isinstance(priors, list | tuple):
            raise TypeError(f"`priors` must be a list of priors. Received: {priors!r}")
        try:
            members = [get(prior) for prior in priors]
        except (TypeError, ValueError) as error:
            raise type(error)(f"`priors` has an invalid member. {error}") from None
        # Flatten, so that no two parts at different depths draw from the same seed.
        nested = [p.priors if isinstance(p, Joint) else [p] for p in members]
        self.priors: list[Prior] = [prior for parts in nested for prior in parts]
        shapes = [prior.shape for prior in self.priors]
        if not shapes or shapes.count(None) > 1 or any(len(s) != 1 for s in shapes if s):
            raise ValueError(
                "`priors` must be priors of vectors, at most one of them without a shape. "
                f"Received shapes: {shapes}"
            )
        super().__init__(None if None in shapes else sum(size for (size,) in shapes))

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        # Each part draws from its own seed, at a fixed distance from the others.
        keys = [ops.add(key, [40_503 * part, 0]) for part in range(len(self.priors))]
        parts = zip(self.priors, keys, strict=True)
        return ops.concatenate([p.draw((shape[0], *p.shape), k) for p, k in parts], axis=-1)

    def with_shape(self, shape: int | Sequence[int]) -> Prior:
        """See base class."""
        latent = _shape(shape)
        known = sum(size for prior in self.priors if prior.shape for size in prior.shape)
        if self.shape is None and len(latent) == 1 and latent[0] > known:
            return Joint([p if p.shape else p.with_shape(latent[0] - known) for p in self.priors])
        if self.shape is None:
            raise ValueError(
                f"The joint priors have {known} entries, and one of them fills the rest, but the "
                f"generator takes latents of shape {latent}. Change a prior, or the generator's "
                "first input."
            )
        return super().with_shape(latent)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"priors": [keras.saving.serialize_keras_object(prior) for prior in self.priors]}


@_register
class Distribution(Prior):
    """A distribution of TensorFlow Probability as a prior (extra `tfp`).

    `GAN(..., prior=distribution)` wraps it automatically.

    Args:
        distribution: object with `sample(sample_shape, seed=)`, `event_shape` and `batch_shape`. A
            distribution of scalars is sampled independently for every entry of a latent. On JAX it is
            one of `tensorflow_probability.substrates.jax` (whose version 0.25 does not import with
            JAX 0.10), or a similar object that takes a JAX key as seed.

    Raises:
        ValueError: the backend is torch; or it is JAX and the distribution belongs to TensorFlow.

    Example:

    >>> import tensorflow_probability as tfp
    >>> prior = kg.priors.Distribution(tfp.distributions.StudentT(df=3.0, loc=0.0, scale=1.0))
    >>> tuple(prior.with_shape(100).sample(8, seed=0).shape)
    (8, 100)
    """

    def __init__(self, distribution: Any) -> None:
        if backend.DISTRIBUTION_SEED is None:
            raise ValueError(
                "TensorFlow Probability has no distributions for the backend "
                f"{keras.backend.backend()!r}. Use a subclass of `kg.priors.Prior` instead. Received: "
                f"{distribution!r}"
            )
        if keras.backend.backend() == "jax" and type(distribution).__module__.startswith(_OF_TENSORFLOW):
            raise ValueError(
                "On JAX, latents are drawn by JAX. Expected a distribution of "
                f"`tensorflow_probability.substrates.jax`. Received: {distribution!r}"
            )
        if not all(hasattr(distribution, name) for name in ("sample", "event_shape", "batch_shape")):
            raise TypeError(
                "`distribution` must be a distribution of TensorFlow Probability, with `sample`, "
                f"`event_shape` and `batch_shape`. Received: {distribution!r}"
            )
        self.distribution = distribution
        own = (*distribution.batch_shape, *distribution.event_shape)
        super().__init__(own or None)
        self._own = own

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        repeats = shape[: len(shape) - len(self._own)]
        latents = self.distribution.sample(repeats, seed=ops.cast(key, backend.DISTRIBUTION_SEED))
        return ops.cast(latents, "float32")

    def get_config(self) -> NoReturn:
        """Raise an error, since a distribution cannot be serialized."""
        raise ValueError(
            f"The prior {self.distribution!r} of TensorFlow Probability cannot be serialized. Save "
            "the weights only (`save_weights`), and create the GAN in code again."
        )


PRIORS = {"uniform": Uniform, "normal": Normal, "spherical": Spherical}


def get(identifier: str | Config | Prior | Any) -> Prior:
    """Return a prior from its name, its configuration, an instance, or a distribution.

    Args:
        identifier: one of the names in `PRIORS`, a serialized prior, a `Prior`, or a distribution
            of TensorFlow Probability.

    Returns:
        A `Prior`.

    Raises:
        ValueError: the name is unknown; the message suggests the nearest one.
        TypeError: `identifier` is none of these.

    Example:

    >>> kg.priors.get("normal").stddev
    1.0
    """
    if hasattr(identifier, "sample") and hasattr(identifier, "event_shape"):
        return Distribution(identifier)
    return registry.get(identifier, Prior, PRIORS, "prior")

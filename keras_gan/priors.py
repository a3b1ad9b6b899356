"""Priors: where latents come from.

A prior draws float32 latents of shape `(n, *shape)`. The shape is usually left out and taken from
the generator's input. The same seed gives the same latents, with and without XLA (uniform and
categorical ones to the bit, normal and spherical ones to 1e-5).
"""

import copy
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, Self

import keras
from keras import ops

from keras_gan import backend
from keras_gan.utils import registry
from keras_gan.utils.typing import Config, Tensor

_OF_TENSORFLOW = "tensorflow_probability.python."
_ROOT_3 = math.sqrt(3.0)
_register = keras.saving.register_keras_serializable(package="keras_gan")


def _shape(shape):
    """Check a latent's shape: None, an integer, or a tuple of integers."""
    if shape is None:
        return None
    shape = (shape,) if isinstance(shape, numbers.Integral) else tuple(shape)
    if any(not isinstance(size, numbers.Integral) or size < 1 for size in shape):
        raise ValueError(
            "The shape of a prior is that of one latent: positive integers, without the batch. "
            f"Received: {shape}"
        )
    return tuple(int(size) for size in shape)


def _key(seed):
    """Turn an integer or a `SeedGenerator` into the two integers that one draw needs."""
    if isinstance(seed, keras.random.SeedGenerator):
        return seed.next()
    if isinstance(seed, numbers.Integral):
        return backend.seed_tensor(int(seed))
    return seed


def _symmetric(shape, seed):
    """Draw from U(−1, 1), neither end included, symmetric about 0."""
    return (backend.random_bits(shape, seed) + 0.5) * 2.0**-22 - 1.0


class Prior:
    """Base class of priors, whose members write `draw(shape, key)`.

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
        self.shape = _shape(shape)

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """Return latents of the full `shape` (batch included) from the seed tensor `key`."""
        raise NotImplementedError(f"{type(self).__name__} must define `draw`.")

    def sample(self, n: int | Tensor, seed: int | keras.random.SeedGenerator | Tensor) -> Tensor:
        """Draw latents.

        Args:
            n: how many, an integer or a scalar tensor.
            seed: an integer, or a `keras.random.SeedGenerator` that each draw advances.

        Returns:
            Float32 tensor of shape `(n, *shape)`.

        Raises:
            ValueError: the prior has no shape yet.
        """
        if self.shape is None:
            raise ValueError(
                f"The prior {type(self).__name__} has no shape. Pass `shape=` to it, or hand it to a "
                "`GAN`, which takes the shape from its generator's input."
            )
        return self.draw((n, *self.shape), _key(seed))

    def with_shape(self, shape: int | Sequence[int]) -> "Prior":
        """Return this prior with latents of `shape`.

        Raises:
            ValueError: it has another shape already.
        """
        shape = _shape(shape)
        if self.shape is None:
            shaped = copy.copy(self)
            shaped.shape = shape
            return shaped
        if self.shape != shape:
            raise ValueError(
                f"The prior {type(self).__name__} draws latents of shape {self.shape}, but the "
                f"generator takes latents of shape {shape}. Leave `shape` out of the prior, or make "
                "the generator's first input fit."
            )
        return self

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"shape": self.shape}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Make the prior from what `get_config` returned."""
        return cls(**config)


@_register
class Uniform(Prior):
    """Independent uniform entries; by default U(−√3, √3), which has unit variance.

    The prior of the MNIST nets of Goodfellow et al. (2014).

    Args:
        low: lower end.
        high: upper end, greater than `low`. Neither end is ever drawn.
        shape: shape of one latent; None takes it from the generator.

    Example:

    >>> latents = kg.priors.Uniform(shape=100).sample(64, seed=0)
    >>> bool(ops.max(ops.abs(latents)) < 3**0.5)
    True
    """

    def __init__(
        self, low: float = -_ROOT_3, high: float = _ROOT_3, shape: int | Sequence[int] | None = None
    ) -> None:
        super().__init__(shape)
        if not low < high:
            raise ValueError(f"`low` must be less than `high`. Received: low={low}, high={high}")
        self.low, self.high = float(low), float(high)

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        centre, radius = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        return centre + radius * _symmetric(shape, key)

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
        self, mean: float = 0.0, stddev: float = 1.0, shape: int | Sequence[int] | None = None
    ) -> None:
        super().__init__(shape)
        if not stddev > 0:
            raise ValueError(f"`stddev` must be positive. Received: {stddev}")
        self.mean, self.stddev = float(mean), float(stddev)

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


@_register
class Categorical(Prior):
    """One-hot vectors of a random class, such as the discrete code of InfoGAN.

    Args:
        num_classes: number of classes, at least 2; latents have shape `(num_classes,)`.
        probabilities: probability of each class, summing to 1; equal by default.

    Example:

    >>> latents = kg.priors.Categorical(10).sample(4, seed=0)
    >>> [float(total) for total in ops.sum(latents, axis=-1)]
    [1.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, num_classes: int, probabilities: Sequence[float] | None = None) -> None:
        if not isinstance(num_classes, int) or num_classes < 2:
            raise ValueError(
                f"`num_classes` must be an integer of at least 2. Received: {num_classes!r}"
            )
        super().__init__(num_classes)
        if probabilities is None:
            probabilities = [1.0 / num_classes] * num_classes
        probabilities = [float(probability) for probability in probabilities]
        if (
            len(probabilities) != num_classes
            or min(probabilities) < 0
            or abs(sum(probabilities) - 1.0) > 1e-6
        ):
            raise ValueError(
                f"`probabilities` must be {num_classes} non-negative numbers that sum to 1. "
                f"Received: {probabilities}"
            )
        self.num_classes, self.probabilities = num_classes, probabilities

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
    """Several priors side by side: their vectors are concatenated.

    The latents of InfoGAN (Chen et al., 2016, arXiv 1606.03657) are noise, a class and two numbers.

    Args:
        priors: list of priors (names, instances or distributions) of vectors. At most one may leave
            its shape out: it fills what the generator's input leaves over.

    Example:

    >>> prior = kg.priors.Joint(["normal", kg.priors.Categorical(10), kg.priors.Uniform(-1, 1, 2)])
    >>> tuple(prior.with_shape(74).sample(5, seed=0).shape)
    (5, 74)
    """

    def __init__(self, priors: Iterable[str | Prior | Any]) -> None:
        members = [get(prior) for prior in priors]
        # One list, so that no two parts at different depths draw from the same seed.
        nested = [p.priors if isinstance(p, Joint) else [p] for p in members]
        self.priors: list[Prior] = [prior for parts in nested for prior in parts]
        shapes = [prior.shape for prior in self.priors]
        if not shapes or shapes.count(None) > 1 or any(len(s) != 1 for s in shapes if s):
            raise ValueError(
                "`Joint` takes priors of vectors, of which at most one has no shape yet. "
                f"Received shapes: {shapes}"
            )
        super().__init__(None if None in shapes else sum(size for (size,) in shapes))

    def draw(self, shape: Sequence[int | Tensor], key: Tensor) -> Tensor:
        """See base class."""
        # Every part draws from a seed of its own, a fixed distance from the others.
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
                f"The priors joined here take {known} entries and one of them fills the rest, but "
                f"the generator takes latents of shape {latent}."
            )
        return super().with_shape(latent)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"priors": [keras.saving.serialize_keras_object(prior) for prior in self.priors]}


@_register
class Distribution(Prior):
    """Any distribution of TensorFlow Probability as a prior (`pip install keras-gan[tfp]`).

    `GAN(..., prior=distribution)` wraps it by itself.

    Args:
        distribution: object with `sample(sample_shape, seed=)`, `event_shape` and `batch_shape`. A
            distribution of scalars is drawn independently for every entry of a latent. On JAX it is
            one of `tensorflow_probability.substrates.jax` (whose version 0.25 does not import with
            JAX 0.10), or an object of the same kind that takes a key of JAX as seed.

    Raises:
        ValueError: the backend is torch, or JAX and the distribution is one of TensorFlow.

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
                f"{keras.backend.backend()!r}. Expected a `kg.priors.Prior`, of which subclasses are "
                f"easily written. Received: {distribution!r}"
            )
        if keras.backend.backend() == "jax" and type(distribution).__module__.startswith(_OF_TENSORFLOW):
            raise ValueError(
                "On JAX latents are drawn by JAX. Expected a distribution of "
                f"`tensorflow_probability.substrates.jax`. Received: {distribution!r}"
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
        """Refuse: a distribution does not say how to make it again."""
        raise ValueError(
            f"The prior {self.distribution!r} of TensorFlow Probability cannot be written to a "
            "file. Save weights only (`save_weights`) and build the GAN again in code."
        )


PRIORS = {"uniform": Uniform, "normal": Normal, "spherical": Spherical}


def get(identifier: str | Config | Prior | Any) -> Prior:
    """Return a prior by name, by configuration, as it is, or around a distribution.

    Args:
        identifier: one of the names in `PRIORS`, a serialized prior, a `Prior`, or a distribution
            of TensorFlow Probability.

    Returns:
        A `Prior`.

    Raises:
        ValueError: unknown name; the message gives the nearest one.
        TypeError: none of these.

    Example:

    >>> kg.priors.get("normal").stddev
    1.0
    """
    if hasattr(identifier, "sample") and hasattr(identifier, "event_shape"):
        return Distribution(identifier)
    return registry.get(identifier, Prior, PRIORS)

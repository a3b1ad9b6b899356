"""Decoders with Gaussian noise, as functions of standard normal variables."""

import math
from collections.abc import Callable
from statistics import NormalDist

import keras
import numpy as np
from keras import ops

from keras_gan import backend, priors
from keras_gan.metrics.arrays import as_rows, as_samples
from keras_gan.utils import inputs, structures
from keras_gan.utils.typing import Array, Tensor
from keras_gan.utils.validation import check_callable, check_integer, check_number

__all__ = ["NoisyDecoder", "finite_samples", "seed_stream"]

NUM_PROBES = 16  # random latents on which a decoder is tried
MAX_STD = 1e15  # float32 can represent its square
NORMAL = priors.Normal()
_NO_GRADIENT = (
    "The decoder has no gradient: its output does not depend on its latents through differentiable "
    "operations. Write it with `keras.ops`, not NumPy, and without rounding."
)


class NoisyDecoder:
    """A decoder of standard normal rows of `size` numbers, one row per latent.

    Args:
        decoder: a `keras.Model`, or a function from latents to a tensor.
        prior: name or instance of a normal or uniform prior.
        std: standard deviation of the Gaussian noise on each output.
    """

    def __init__(
        self, decoder: Callable[[Tensor], Tensor], prior: str | priors.Prior, std: float
    ) -> None:
        hint = "It must be a `keras.Model` or a function from latents to data."
        self.decoder = check_callable("decoder", decoder, hint)
        self.std = check_number(
            "std",
            std,
            above=0,
            maximum=MAX_STD,
            hint="It is the standard deviation of the decoder's noise.",
        )
        self.prior = _with_shape(prior, decoder)
        self.size = math.prod(self.prior.shape)

    def decode(self, rows: Tensor) -> Tensor:
        """Return the flattened outputs of the decoder for standard normal rows."""
        if isinstance(self.prior, priors.Normal):
            latents = self.prior.mean + self.prior.stddev * rows
        else:
            center, radius = _interval(self.prior)
            latents = center + radius * ops.erf(rows / math.sqrt(2.0))
        outputs = self.decoder(ops.reshape(latents, (-1, *self.prior.shape)))
        return ops.reshape(ops.cast(outputs, "float32"), (rows.shape[0], -1))

    def standardize(self, latents: Array, n: int) -> np.ndarray:
        """Return the standard normal rows that `decode` maps to `n` latents of the prior."""
        latents = finite_samples("latents", latents)
        if latents.shape != (n, *self.prior.shape):
            raise ValueError(
                "`latents` must hold the latents of all rows of x. "
                f"Expected shape {(n, *self.prior.shape)}. Received shape: {latents.shape}."
            )
        if isinstance(self.prior, priors.Normal):
            rows = (latents - self.prior.mean) / self.prior.stddev
        else:
            rows = _normal_quantiles(latents, self.prior)
        return rows.reshape(n, -1).astype("float32")

    def check_output(self, shape: tuple[int, ...] | None = None) -> None:
        """Raise unless the decoder maps each latent to a row of x, of this shape if it is known."""
        rows = NORMAL.draw((NUM_PROBES, self.size), seed_stream(0, 2)(0))
        outputs = self.decoder(ops.reshape(rows, (-1, *self.prior.shape)))
        received = tuple(getattr(outputs, "shape", ()))
        expected = (NUM_PROBES, *(shape or received[1:] or ("...",)))
        if received != expected:
            raise ValueError(
                "The decoder must return a tensor with one row of x for each latent. Expected shape "
                f"({', '.join(map(str, expected))}) for {NUM_PROBES} latents. Received: "
                f"{received or type(outputs).__name__}."
            )
        try:
            gradient = backend.input_gradient(self.decode, rows)
        except (TypeError, RuntimeError) as error:  # from JAX and torch, for NumPy functions
            raise ValueError(f"{_NO_GRADIENT} {error}") from error
        # A gradient of 0 for all random latents means that something blocks it. NaN is not 0.
        if gradient is None or not np.any(ops.convert_to_numpy(gradient)):
            raise ValueError(_NO_GRADIENT)

    def log_likelihood(self, x: Array) -> Callable[[Tensor], Tensor]:
        """Return the function from rows to log p(x | row), without the constant of the Gaussian."""
        x = ops.convert_to_tensor(x, "float32")

        def log_likelihood(rows):
            return -0.5 * ops.sum(ops.square((x - self.decode(rows)) / self.std), axis=1)

        return log_likelihood


def seed_stream(seed: int, part: int) -> Callable[[int], Tensor]:
    """Return a function from integers to seeds of draws, a separate stream for each `part`.

    If simulated latents and initial states of chains were the same draw, a chain would start at the
    answer.
    """
    seed = check_integer("seed", seed, minimum=0, maximum=2**63 - 1)
    sequence = np.random.SeedSequence([seed, part])
    stream = int(sequence.generate_state(1, "uint64")[0]) // 4  # far below 2⁶³, to count from
    return lambda number: backend.seed_tensor(stream + number)


def finite_samples(name: str, data: Array) -> np.ndarray:
    """Return finite numbers as a float64 array `(n, ...)`, or raise."""
    samples = as_samples(name, data)
    return as_rows(name, samples).astype("float64").reshape(samples.shape)


def _with_shape(prior, decoder):
    """Return the prior with the shape of the decoder's latents."""
    prior = priors.get(prior)
    if not isinstance(prior, (priors.Normal, priors.Uniform)):
        raise TypeError(
            "`prior` must be `kg.priors.Normal` or `kg.priors.Uniform`, since annealing needs "
            f"independent normal or uniform latents. Received: {type(prior).__name__}."
        )
    specs = inputs.specs(decoder) if isinstance(decoder, keras.Model) else None
    shapes = [tuple(spec.shape) for spec in structures.leaves(specs)]
    if len(shapes) > 1:
        raise ValueError(
            f"`decoder` must take only latents, but {decoder.name!r} has {len(shapes)} inputs. Fix its "
            "condition in a function: `lambda z: generator([z, condition])`."
        )
    if shapes:
        return prior.with_shape(shapes[0][1:])
    if prior.shape is None:
        raise ValueError(
            "The shape of the latents is unknown, since `decoder` is not a built Keras model. Give it "
            "with the prior: `prior=kg.priors.Normal(shape=10)`."
        )
    return prior


def _interval(prior):
    return 0.5 * (prior.low + prior.high), 0.5 * (prior.high - prior.low)


def _normal_quantiles(latents, prior):
    """Return the standard normal numbers with the same cumulative probability as uniform latents."""
    center, radius = _interval(prior)
    ratios = (latents - center) / radius
    if np.abs(ratios).max() > 1 + 1e-6:
        raise ValueError(
            f"`latents` must lie in the prior's interval [{prior.low:g}, {prior.high:g}]. Received "
            f"numbers from {latents.min():g} to {latents.max():g}."
        )
    # Rounded to float32, a latent may lie at the end of the interval, which maps to infinity.
    inside = np.clip(ratios, -1 + 1e-7, 1 - 1e-7)
    return np.vectorize(NormalDist().inv_cdf, otypes="d")((1 + inside) / 2)

"""Annealed importance sampling: log-likelihoods of decoders, from below and from above."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_gan import priors
from keras_gan.metrics.base import standard_error
from keras_gan.metrics.decoder import NORMAL, NoisyDecoder, finite_samples, seed_stream
from keras_gan.metrics.hmc import anneal
from keras_gan.utils.typing import Array, Tensor
from keras_gan.utils.validation import check_integer

__all__ = ["AnnealedResult", "annealed_log_likelihood", "schedule", "simulate_decoder"]

SCHEDULE_RADIUS = 4.0  # as in Wu et al. (2016)
MAX_TEMPERATURES = 1_000_000
MAX_CHAINS = 100_000
MAX_SAMPLES = 10_000_000


@dataclass(frozen=True, eq=False)
class AnnealedResult:
    """Log-likelihoods by annealed importance sampling, and how they were computed.

    Attributes:
        log_likelihoods: float64 array `(n,)`, one for each row of x, in nats.
        direction: `"forward"`, whose mean is a lower bound of the true value, or `"reverse"`, whose mean
            is an upper bound.
        std: standard deviation of the decoder's noise.
        num_temperatures: number of distributions from prior to posterior, both included.
        num_chains: number of chains that were averaged for each row.
        acceptance: share of accepted proposals, over all chains and temperatures; if it is far below
            0.65, steps did not adapt, and the bound is loose. The warm-up does not count.
        prior: str, distribution of the latents; `None` if not known.
        seed: int, seed of all draws; `None` if not known.

    Example:

    >>> numbers = np.array([1.0, 3.0])
    >>> print(kg.metrics.AnnealedResult(numbers, "forward", 0.1, 1000, 16, 0.651))
    2.0 ± 0.7 nats (2 rows, forward, std = 0.1, 1000 temperatures, 16 chains, acceptance 0.65)
    """

    log_likelihoods: np.ndarray
    direction: str
    std: float
    num_temperatures: int
    num_chains: int
    acceptance: float
    prior: str | None = None
    seed: int | None = None

    @property
    def values(self) -> dict[str, float]:
        """The numbers, by the names under which callbacks log them."""
        return {
            "annealed_log_likelihood": self.log_likelihood,
            "annealed_standard_error": self.standard_error,
            "annealed_acceptance": self.acceptance,
        }

    @property
    def log_likelihood(self) -> float:
        """Mean over the rows of x, in nats."""
        return float(self.log_likelihoods.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of that mean over rows: the population standard deviation over √n; NaN for one.

        It does not include the error of the annealing, which the gap between the two directions shows.
        """
        return standard_error(self.log_likelihoods)

    def __str__(self) -> str:
        draws = f", {self.prior}" if self.prior else ""
        draws += f", seed {self.seed}" if self.seed is not None else ""
        return (
            f"{self.log_likelihood:.1f} ± {self.standard_error:.1f} nats "
            f"({len(self.log_likelihoods)} rows, {self.direction}, std = {self.std:.3g}, "
            f"{self.num_temperatures} temperatures, {self.num_chains} chains, "
            f"acceptance {self.acceptance:.2f}{draws})"
        )


def annealed_log_likelihood(
    decoder: Callable[[Tensor], Tensor],
    x: Array,
    std: float,
    prior: str | priors.Prior = "normal",
    *,
    num_temperatures: int = 10_000,
    num_chains: int = 16,
    latents: Array | None = None,
    seed: int = 0,
) -> AnnealedResult:
    """Estimate log p(x) of a decoder with Gaussian noise, p(x) = ∫ p(z) N(x; G(z), std² I) dz.

    Annealed importance sampling as Wu, Burda, Salakhutdinov and Grosse (2016, arXiv:1611.04273) apply
    it to generators: chains of Hamiltonian Monte Carlo lead from p(z) to p(z | x) through p(z)
    p(x | z)^β, while β rises from 0 to 1 along a sigmoid. Unlike Parzen windows, it is exact in
    the limit of many temperatures. The noise is part of the model: choose it on validation data.

    The estimate is a lower bound on average, and falls short by many nats if there are too few
    temperatures or chains mix poorly. Bidirectional Monte Carlo measures by how much (Grosse,
    Ghahramani and Adams, 2015, arXiv:1511.02543): for the data and latents of `simulate_decoder`,
    reverse chains from these latents give an upper bound, and the gap between the two contains both
    errors.

    As in the paper, each chain adapts its step as it runs, which the proof of the bounds does not
    cover; a linear decoder, whose likelihood is known, shows no effect of it. Unlike in the paper,
    200 transitions at the first temperature adapt the step before it counts.

    Args:
        decoder: a `keras.Model`, or another differentiable function of `keras.ops`, from latents
            `(m, ...)` to a tensor `(m, ...)` with rows of the shape of x. Each row of its output must
            depend on the same row of latents alone.
        x: array `(n, ...)` of data in the decoder's range. All `n * num_chains` are decoded at once:
            split x if memory is limited.
        std: float greater than 0, standard deviation of the noise on every entry of x, in units of x.
        prior: `"normal"`, `"uniform"`, a `kg.priors.Normal` or a `kg.priors.Uniform`. One without
            a shape takes it from the input of a `keras.Model`. Chains for a uniform prior run on
            normal variables that are mapped to it.
        num_temperatures: int from 2 to 1,000,000. Defaults to 10,000, as in the paper.
        num_chains: int from 1 to 100,000, chains for each row of x. Defaults to 16, as in the paper.
        latents: array of the latents that x was simulated from, for reverse chains. Defaults to
            `None`: forward chains.
        seed: int from 0 to 2⁶³ − 1. Defaults to 0.

    Returns:
        An `AnnealedResult`. Its standard error is that of a mean over rows of x, and does not include
        how far the estimates fall short.

    Raises:
        TypeError: a decoder that is not callable; a prior that is neither normal nor uniform; x or
            latents that are not numbers; another argument of the wrong type.
        ValueError: x or latents that are empty, not finite or of another shape; a decoder whose
            output has another shape, is not finite, or whose gradient is missing or 0 everywhere; a
            prior without a shape; another argument out of range.

    Example:

    >>> def decoder(latents):  # x ~ N(0, 1 + 0.5²)
    ...     return latents
    >>> prior = kg.priors.Normal(shape=1)
    >>> result = kg.metrics.annealed_log_likelihood(
    ...     decoder, np.zeros((1, 1)), 0.5, prior, num_temperatures=100, num_chains=100
    ... )
    >>> abs(result.log_likelihood - -1.0305) < 0.1
    True
    """
    num_temperatures = check_integer(
        "num_temperatures", num_temperatures, minimum=2, maximum=MAX_TEMPERATURES
    )
    num_chains = check_integer("num_chains", num_chains, minimum=1, maximum=MAX_CHAINS)
    model, key = NoisyDecoder(decoder, prior, std), seed_stream(seed, 1)
    x = finite_samples("x", x)
    model.check_output(x.shape[1:])
    betas = schedule(num_temperatures)
    if latents is None:
        start = NORMAL.draw((num_chains * len(x), model.size), key(0))
    else:
        betas = betas[::-1]
        start = np.tile(model.standardize(latents, len(x)), (num_chains, 1))
    fit = model.log_likelihood(np.tile(x.reshape(len(x), -1), (num_chains, 1)))
    log_weights, acceptance = anneal(fit, start, betas, key)
    means = _log_mean_exp(log_weights.reshape(num_chains, len(x)))
    log_norm = x[0].size * math.log(model.std * math.sqrt(2 * math.pi))
    return AnnealedResult(
        # Weights of reverse chains estimate 1/p(x).
        log_likelihoods=(means if latents is None else -means) - log_norm,
        direction="forward" if latents is None else "reverse",
        std=model.std,
        num_temperatures=num_temperatures,
        num_chains=num_chains,
        acceptance=acceptance,
        prior=_describe(model.prior),
        seed=int(seed),
    )


def simulate_decoder(
    decoder: Callable[[Tensor], Tensor],
    n: int,
    std: float,
    prior: str | priors.Prior = "normal",
    *,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw data from a decoder with Gaussian noise, and return them with their latents.

    These latents are exact samples of p(z | x), from which the reverse chains of
    `annealed_log_likelihood` start.

    Args:
        decoder: as for `annealed_log_likelihood`.
        n: int, number of rows.
        std: float greater than 0, standard deviation of the noise on every entry of x.
        prior: as for `annealed_log_likelihood`.
        seed: int from 0 to 2⁶³ − 1. Defaults to 0.

    Returns:
        `(x, latents)`: float32 arrays of `n` rows.

    Raises:
        TypeError, ValueError: as `annealed_log_likelihood`.

    Example:

    >>> prior = kg.priors.Normal(shape=2)
    >>> def decoder(latents):
    ...     return 3.0 * latents
    >>> x, latents = kg.metrics.simulate_decoder(decoder, 50, 0.5, prior)
    >>> settings = {"prior": prior, "num_temperatures": 200, "num_chains": 4}
    >>> forward = kg.metrics.annealed_log_likelihood(decoder, x, 0.5, **settings)
    >>> reverse = kg.metrics.annealed_log_likelihood(decoder, x, 0.5, latents=latents, **settings)
    >>> reverse.log_likelihood - forward.log_likelihood < 1.0
    True
    """
    n = check_integer("n", n, minimum=1, maximum=MAX_SAMPLES)
    model, key = NoisyDecoder(decoder, prior, std), seed_stream(seed, 0)
    latents = model.prior.draw((n, *model.prior.shape), key(0))
    model.check_output()
    outputs = ops.cast(decoder(latents), "float32")
    finite_samples("output of the decoder", outputs)
    x = outputs + model.std * NORMAL.draw(tuple(outputs.shape), key(1))
    return ops.convert_to_numpy(x), ops.convert_to_numpy(latents)


def schedule(num_temperatures: int) -> np.ndarray:
    """Return the inverse temperatures from 0 to 1: a sigmoid on [−4, 4], stretched to both ends.

    Args:
        num_temperatures: int, 2 or more.

    Returns:
        Array `(num_temperatures,)`, float64, ascending.

    Example:

    >>> from keras_gan.metrics.annealed import schedule
    >>> schedule(5).round(3).tolist()
    [0.0, 0.105, 0.5, 0.895, 1.0]
    """
    sigmoids = 1 / (1 + np.exp(-np.linspace(-SCHEDULE_RADIUS, SCHEDULE_RADIUS, num_temperatures)))
    return (sigmoids - sigmoids[0]) / (sigmoids[-1] - sigmoids[0])


def _log_mean_exp(values):
    """Return the logarithm of the mean of exp(values) over the first axis."""
    greatest = values.max(axis=0)
    return greatest + np.log(np.exp(values - greatest).mean(axis=0))


def _describe(prior):
    """Return the record of a prior in a result, such as `Normal(mean=0.0, stddev=1.0, shape=(10,))`."""
    settings = ", ".join(f"{name}={value}" for name, value in prior.get_config().items())
    return f"{type(prior).__name__}({settings})"

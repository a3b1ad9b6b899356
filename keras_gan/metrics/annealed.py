"""Annealed importance sampling: log-likelihoods of decoders, from below and from above."""

import itertools
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import keras
import numpy as np
from keras import ops

from keras_gan import backend, priors
from keras_gan.metrics.metric import check_whole, standard_error
from keras_gan.utils import inputs, networks, structures
from keras_gan.utils.typing import Array, Tensor

# The settings of Wu et al. (2016): Hamiltonian Monte Carlo whose steps each chain adapts to itself.
SCHEDULE_RADIUS = 4.0
LEAPFROG_STEPS = 10
TARGET_ACCEPTANCE = 0.65
FIRST_STEP, LEAST_STEP, GREATEST_STEP = 0.01, 1e-4, 0.5
LONGER, SHORTER = 1.02, 0.98
MEMORY = 0.9
# Random latents on which a decoder is tried.
PROBES = 16
# As many transitions as bring the first step to the greatest one.
WARM_UP = 200

_NORMAL, _UNIT = priors.Normal(), priors.Uniform(0.0, 1.0)
_NO_GRADIENT = (
    "The decoder has no gradient: its output does not come from its latents through differentiable "
    "operations. Write it with `keras.ops`, not NumPy, and without rounding."
)


@dataclass(frozen=True, eq=False)
class AnnealedResult:
    """Log-likelihoods by annealed importance sampling, and how they were found.

    Attributes:
        log_likelihoods: float64 array `(n,)`, one for each row of x, in nats.
        direction: `"forward"`, whose mean is a lower bound of the truth, or `"reverse"`, whose mean is
            an upper bound.
        std: standard deviation of the decoder's noise.
        num_temperatures: how many distributions stand between prior and posterior, both included.
        num_chains: how many chains were averaged for each row.
        acceptance: share of accepted proposals, over all chains and temperatures; where it is far below
            0.65, steps did not adapt, and the bound is loose. The warm-up does not count.
        prior: str, distribution of the latents; `None` if not known.
        seed: int, what all draws came from; `None` if not known.

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
        """The numbers by the names under which callbacks log them."""
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
        """Standard error of that mean over rows: the population standard deviation over √n; NaN of one.

        It does not hold the error of the annealing, which the gap between the two directions shows.
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
    num_temperatures: int = 10_000,
    num_chains: int = 16,
    latents: Array | None = None,
    seed: int = 0,
) -> AnnealedResult:
    """Estimate log p(x) of a decoder with Gaussian noise, p(x) = ∫ p(z) N(x; G(z), std² I) dz.

    Annealed importance sampling as Wu, Burda, Salakhutdinov and Grosse (2016, arXiv:1611.04273) run
    it on generators: chains of Hamiltonian Monte Carlo lead from p(z) to p(z | x) through p(z)
    p(x | z)^β, while β rises from 0 to 1 as a sigmoid. Unlike Parzen windows, it is exact in
    the limit of many temperatures; the noise is part of the model, and is to be chosen on validation
    data.

    The estimate is a lower bound on average, and falls short by many nats if there are too few
    temperatures or chains mix badly. How short, bidirectional Monte Carlo tells (Grosse, Ghahramani
    and Adams, 2015, arXiv:1511.02543): for the data and latents of `simulate_decoder`, reverse chains
    from these latents give an upper bound, and the gap between the two holds both errors.

    As in the paper each chain adapts its step as it goes, for which the proof of the bounds does not
    allow; a linear decoder, whose likelihood is known, shows no effect of it. Unlike in the paper,
    200 transitions at the first temperature bring the step to length before it counts.

    Args:
        decoder: a `keras.Model`, or another differentiable function of `keras.ops`, from latents
            `(m, ...)` to a tensor `(m, ...)` with rows of the shape of x. Each row of its output must
            depend on the same row of latents alone.
        x: array `(n, ...)` of data in the decoder's range. All `n * num_chains` are decoded at once:
            split x if memory is short.
        std: float greater than 0, standard deviation of the noise on every entry of x, in units of x.
        prior: `"normal"`, `"uniform"`, a `kg.priors.Normal` or a `kg.priors.Uniform`. One without
            a shape takes it from the input of a `keras.Model`. Chains for a uniform prior run on
            normal variables that are mapped to it.
        num_temperatures: int, 2 or more. Defaults to 10,000, as in the paper.
        num_chains: int, chains for each row of x. Defaults to 16, as in the paper.
        latents: array of the latents that x was simulated from, for reverse chains. Defaults to
            `None`: forward chains.
        seed: int from 0 to 2⁶³ − 1. Defaults to 0.

    Returns:
        An `AnnealedResult`. The standard error in it is that of a mean over rows of x, and says nothing
        of how short the estimates fall.

    Raises:
        TypeError: a decoder that cannot be called; a prior that is neither normal nor uniform.
        ValueError: x or latents that are empty, not finite or of another shape; a decoder whose
            output has another shape, is not finite, or has no gradient, or one of 0 everywhere; a prior
            without a shape; a `std`, `num_temperatures`, `num_chains` or `seed` that cannot be.

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
    check_whole(2, num_temperatures=num_temperatures)
    check_whole(1, num_chains=num_chains)
    model = _Model(decoder, prior, std)
    x = _finite("x", x)
    model.check_output(x.shape[1:])
    key = _keys(seed, 1)
    betas = schedule(num_temperatures)
    if latents is None:
        start = _NORMAL.draw((num_chains * len(x), model.size), key(0))
    else:
        betas = betas[::-1]
        start = np.tile(model.standardise(latents, len(x)), (num_chains, 1))
    fit = model.fit_to(np.tile(x.reshape(len(x), -1), (num_chains, 1)))
    log_weights, acceptance = _anneal(fit, start, betas, key)
    means = _log_mean_exp(log_weights.reshape(num_chains, len(x)))
    log_norm = x[0].size * math.log(std * math.sqrt(2 * math.pi))
    return AnnealedResult(
        # Weights of reverse chains estimate 1/p(x).
        log_likelihoods=(means if latents is None else -means) - log_norm,
        direction="forward" if latents is None else "reverse",
        std=float(std),
        num_temperatures=int(num_temperatures),
        num_chains=int(num_chains),
        acceptance=acceptance,
        prior=_described(model.prior),
        seed=int(seed),
    )


def simulate_decoder(
    decoder: Callable[[Tensor], Tensor],
    n: int,
    std: float,
    prior: str | priors.Prior = "normal",
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw data from a decoder with Gaussian noise, and the latents that they come from.

    Such latents are exact samples of p(z | x), which is what the reverse chains of
    `annealed_log_likelihood` start from.

    Args:
        decoder: as for `annealed_log_likelihood`.
        n: int, how many.
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
    check_whole(1, n=n)
    model, key = _Model(decoder, prior, std), _keys(seed, 0)
    latents = model.prior.draw((n, *model.prior.shape), key(0))
    model.check_output()
    outputs = ops.cast(decoder(latents), "float32")
    _finite("the decoder's output", outputs)
    x = outputs + std * _NORMAL.draw(tuple(outputs.shape), key(1))
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


class _Model:
    """A decoder seen from standard normal variables, one row of `size` numbers a latent."""

    def __init__(self, decoder, prior, std):
        if not callable(decoder):
            raise TypeError(
                "`decoder` must be a `keras.Model` or a function from latents to data. "
                f"Received: {decoder!r}"
            )
        is_number = isinstance(std, numbers.Real) and not isinstance(std, bool)
        if not is_number or not 0 < std < math.inf:
            raise ValueError(
                "`std` is the standard deviation of the decoder's noise: finite and greater than 0. "
                f"Received: {std!r}"
            )
        self.decoder, self.std, self.prior = decoder, float(std), _shaped(prior, decoder)
        self.size = math.prod(self.prior.shape)

    def decode(self, rows):
        """Return what the decoder makes of standard normal rows, flattened."""
        if isinstance(self.prior, priors.Normal):
            latents = self.prior.mean + self.prior.stddev * rows
        else:
            centre, radius = _interval(self.prior)
            latents = centre + radius * ops.erf(rows / math.sqrt(2.0))
        outputs = self.decoder(ops.reshape(latents, (-1, *self.prior.shape)))
        return ops.reshape(ops.cast(outputs, "float32"), (rows.shape[0], -1))

    def standardise(self, latents, n):
        """Return the standard normal rows that `decode` takes for latents of the prior."""
        latents = _finite("latents", latents)
        if latents.shape != (n, *self.prior.shape):
            raise ValueError(
                "`latents` hold the latent of every row of x. "
                f"Expected shape {(n, *self.prior.shape)}, received {latents.shape}."
            )
        if isinstance(self.prior, priors.Normal):
            rows = (latents - self.prior.mean) / self.prior.stddev
        else:
            rows = _normal_quantiles(latents, self.prior)
        return np.float32(rows.reshape(n, -1))

    def check_output(self, shape=None):
        """Refuse a decoder that does not make each latent a row of x, of this shape if it is known."""
        rows = _NORMAL.draw((PROBES, self.size), _keys(0, 2)(0))
        outputs = self.decoder(ops.reshape(rows, (-1, *self.prior.shape)))
        received = tuple(getattr(outputs, "shape", ()))
        expected = (PROBES, *(shape or received[1:] or ("...",)))
        if received != expected:
            raise ValueError(
                "The decoder must return a tensor with one row of x for each latent. For "
                f"{PROBES} latents expected shape ({', '.join(map(str, expected))}), received "
                f"{received or type(outputs).__name__}."
            )
        try:
            gradient = backend.input_gradient(self.decode, rows)
        except (TypeError, RuntimeError) as error:  # what JAX and torch say of NumPy
            raise ValueError(f"{_NO_GRADIENT} {error}") from error
        # Where it is 0 for all of some random latents, something cuts it off. NaN is not 0.
        if gradient is None or not np.any(ops.convert_to_numpy(gradient)):
            raise ValueError(_NO_GRADIENT)

    def fit_to(self, x):
        """Return the function from rows to log p(x | row), without the constant of the Gaussian."""
        x = ops.convert_to_tensor(x, "float32")

        def fit(rows):
            return -0.5 * ops.sum(ops.square((x - self.decode(rows)) / self.std), axis=1)

        return fit


def _anneal(fit, start, betas, key):
    """Return the log-weights of chains from `betas[0]` to `betas[-1]`, and their acceptance."""
    rows = ops.convert_to_tensor(start, "float32")
    fits, steps = fit(rows), ops.full((rows.shape[0],), FIRST_STEP)
    finite = np.isfinite(ops.convert_to_numpy(fits))
    if not finite.all():
        raise ValueError(
            "The decoder's output is not finite, or too far from x, for "
            f"{np.count_nonzero(~finite)} of {len(finite)} latents. "
            "Look at its weights, and give x in its range."
        )
    state = rows, fits, steps, ops.full_like(steps, TARGET_ACCEPTANCE)
    transition = backend.jit(lambda *arguments: _transition(fit, *arguments))
    log_weights, shares = np.zeros(rows.shape[0]), []
    # At the first temperature the chains are where they should be: steps adapt before it counts.
    betas = np.concatenate([np.full(WARM_UP, betas[0]), betas])
    for number, (before, beta) in enumerate(itertools.pairwise(betas), 1):
        # Small parts of large numbers are summed: in float64.
        log_weights += (beta - before) * np.float64(ops.convert_to_numpy(state[1]))
        tensor = ops.convert_to_tensor(beta, "float32")
        *state, share = transition(*state, tensor, key(2 * number), key(2 * number + 1))
        shares.append(float(share))
    return log_weights, float(np.mean(shares[WARM_UP:]))


def _transition(fit, rows, fits, steps, rates, beta, momentum_key, decision_key):
    """Take one step of Hamiltonian Monte Carlo that leaves p(z) p(x | z)^β as it is."""
    momenta = _NORMAL.draw(rows.shape, momentum_key)
    new_rows, new_momenta = _leapfrog(fit, rows, momenta, steps[:, None], beta)
    new_fits = fit(new_rows)
    gains = beta * (new_fits - fits) + _half_square(rows) - _half_square(new_rows)
    gains += _half_square(momenta) - _half_square(new_momenta)
    # What is not finite compares as False: a trajectory that diverged is refused.
    accepted = ops.log(_UNIT.draw(fits.shape, decision_key)) < gains
    rows = ops.where(accepted[:, None], new_rows, rows)
    # Nothing differentiates the chain, which torch would else remember from its beginning.
    fits = ops.stop_gradient(ops.where(accepted, new_fits, fits))
    decisions = ops.cast(accepted, "float32")
    rates = MEMORY * rates + (1 - MEMORY) * decisions
    steps = steps * ops.where(rates > TARGET_ACCEPTANCE, LONGER, SHORTER)
    return rows, fits, ops.clip(steps, LEAST_STEP, GREATEST_STEP), rates, ops.mean(decisions)


def _leapfrog(fit, rows, momenta, steps, beta):
    def slope(rows):
        return beta * ops.stop_gradient(backend.input_gradient(fit, rows)) - rows

    def move(number, state):
        rows, momenta = state
        rows = rows + steps * momenta
        share = ops.where(number == LEAPFROG_STEPS - 1, 0.5, 1.0)
        return rows, momenta + share * steps * slope(rows)

    # A loop that compilers see as one is compiled once.
    return ops.fori_loop(0, LEAPFROG_STEPS, move, (rows, momenta + steps / 2 * slope(rows)))


def _half_square(rows):
    return ops.sum(ops.square(rows), axis=1) / 2


def _log_mean_exp(values):
    """Return the logarithm of the mean of exp(values) over the first axis."""
    greatest = values.max(axis=0)
    return greatest + np.log(np.exp(values - greatest).mean(axis=0))


def _keys(seed, part):
    """Return a function from whole numbers to keys of draws, a stream of its own for each `part`.

    Were simulated latents and first states of chains the same draw, a chain would start at the answer.
    """
    sequence = np.random.SeedSequence([networks.check_seed(seed), part])
    stream = int(sequence.generate_state(1, "uint64")[0]) // 4  # far below 2⁶³, to count from
    return lambda number: backend.seed_tensor(stream + number)


def _shaped(prior, decoder):
    """Return the prior with the shape of the decoder's latents."""
    prior = priors.get(prior)
    if not isinstance(prior, (priors.Normal, priors.Uniform)):
        raise TypeError(
            "Annealing needs latents that are independent normal or uniform numbers: `prior` must be "
            f"`kg.priors.Normal` or `kg.priors.Uniform`. Received: {type(prior).__name__}"
        )
    takes = inputs.specs(decoder) if isinstance(decoder, keras.Model) else None
    shapes = [tuple(spec.shape) for spec in structures.leaves(takes)]
    if len(shapes) > 1:
        raise ValueError(
            f"`decoder` must take latents alone, but {decoder.name!r} has {len(shapes)} inputs. Fix its "
            "condition in a function: `lambda z: generator([z, condition])`."
        )
    if shapes:
        return prior.with_shape(shapes[0][1:])
    if prior.shape is None:
        raise ValueError(
            "The shape of the latents is unknown, since `decoder` is no Keras model that has been "
            "called. Give it with the prior: `prior=kg.priors.Normal(shape=10)`."
        )
    return prior


def _described(prior):
    """Return what a result records of a prior, such as `Normal(mean=0.0, stddev=1.0, shape=(10,))`."""
    settings = ", ".join(f"{name}={value}" for name, value in prior.get_config().items())
    return f"{type(prior).__name__}({settings})"


def _interval(prior):
    return 0.5 * (prior.low + prior.high), 0.5 * (prior.high - prior.low)


def _normal_quantiles(latents, prior):
    """Return the standard normal numbers with the distribution function of uniform latents."""
    centre, radius = _interval(prior)
    ratios = (latents - centre) / radius
    if np.abs(ratios).max() > 1 + 1e-6:
        raise ValueError(
            f"`latents` reach from {latents.min():g} to {latents.max():g}, beyond the prior's "
            f"{prior.low:g} to {prior.high:g}."
        )
    # Rounded to float32, a latent may lie on the end of the interval, which is infinitely far.
    inside = np.clip(ratios, -1 + 1e-7, 1 - 1e-7)
    return np.vectorize(NormalDist().inv_cdf, otypes="d")((1 + inside) / 2)


def _finite(name, data) -> np.ndarray:
    rows = np.asarray(ops.convert_to_numpy(data), "float64")
    if rows.ndim < 2 or rows.size == 0:
        raise ValueError(
            f"`{name}` is an array of shape (n, ...) with one row or more. Received shape: {rows.shape}"
        )
    if not np.isfinite(rows).all():
        raise ValueError(
            f"`{name}` must be finite numbers, but holds {np.count_nonzero(~np.isfinite(rows))} "
            "that are not."
        )
    return rows

"""Annealed chains of Hamiltonian Monte Carlo."""

import itertools
from collections.abc import Callable

import numpy as np
from keras import ops

from keras_gan import backend, priors
from keras_gan.metrics.decoder import NORMAL
from keras_gan.utils.typing import Array, Tensor

__all__ = ["anneal", "leapfrog", "transition"]

# The settings of Wu et al. (2016), whose chains adapt their own steps.
LEAPFROG_STEPS = 10
TARGET_ACCEPTANCE = 0.65
FIRST_STEP, LEAST_STEP, GREATEST_STEP = 0.01, 1e-4, 0.5
INCREASE, DECREASE = 1.02, 0.98
MEMORY = 0.9
WARM_UP = 200  # transitions that can increase the first step to the greatest one

_UNIT = priors.Uniform(0.0, 1.0)


def anneal(
    fit: Callable[[Tensor], Tensor], start: Array, betas: np.ndarray, key: Callable[[int], Tensor]
) -> tuple[np.ndarray, float]:
    """Return the log-weights of chains from `betas[0]` to `betas[-1]`, and their acceptance.

    Args:
        fit: function from rows to log p(x | row).
        start: array `(chains, size)`, the initial rows.
        betas: array of inverse temperatures.
        key: function from integers to seeds.

    Raises:
        ValueError: `fit(start)` is not finite.
    """
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
    step = backend.jit(lambda *arguments: transition(fit, *arguments))
    log_weights, shares = np.zeros(rows.shape[0]), []
    # The chains start in equilibrium at the first temperature, where steps adapt before they count.
    betas = np.concatenate([np.full(WARM_UP, betas[0]), betas])
    for number, (before, beta) in enumerate(itertools.pairwise(betas), 1):
        # Small parts of large numbers are summed, which needs float64.
        log_weights += (beta - before) * np.float64(ops.convert_to_numpy(state[1]))
        tensor = ops.convert_to_tensor(beta, "float32")
        *state, share = step(*state, tensor, key(2 * number), key(2 * number + 1))
        shares.append(float(share))
    return log_weights, float(np.mean(shares[WARM_UP:]))


def transition(
    fit: Callable[[Tensor], Tensor],
    rows: Tensor,
    fits: Tensor,
    steps: Tensor,
    rates: Tensor,
    beta: Tensor,
    momentum_key: Tensor,
    decision_key: Tensor,
) -> tuple[Tensor, ...]:
    """Take one step of Hamiltonian Monte Carlo that leaves p(z) p(x | z)^β invariant."""
    momenta = NORMAL.draw(rows.shape, momentum_key)
    new_rows, new_momenta = leapfrog(fit, rows, momenta, steps[:, None], beta)
    new_fits = fit(new_rows)
    gains = beta * (new_fits - fits) + _half_square(rows) - _half_square(new_rows)
    gains += _half_square(momenta) - _half_square(new_momenta)
    # NaN compares as False, so a trajectory that diverged is rejected.
    accepted = ops.log(_UNIT.draw(fits.shape, decision_key)) < gains
    rows = ops.where(accepted[:, None], new_rows, rows)
    # Otherwise torch would record the whole chain, to compute gradients that are not needed.
    fits = ops.stop_gradient(ops.where(accepted, new_fits, fits))
    decisions = ops.cast(accepted, "float32")
    rates = MEMORY * rates + (1 - MEMORY) * decisions
    steps = steps * ops.where(rates > TARGET_ACCEPTANCE, INCREASE, DECREASE)
    return rows, fits, ops.clip(steps, LEAST_STEP, GREATEST_STEP), rates, ops.mean(decisions)


def leapfrog(
    fit: Callable[[Tensor], Tensor], rows: Tensor, momenta: Tensor, steps: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    """Return rows and momenta after `LEAPFROG_STEPS` steps at inverse temperature β."""

    def slope(rows):
        return beta * ops.stop_gradient(backend.input_gradient(fit, rows)) - rows

    def move(number, state):
        rows, momenta = state
        rows = rows + steps * momenta
        share = ops.where(number == LEAPFROG_STEPS - 1, 0.5, 1.0)
        return rows, momenta + share * steps * slope(rows)

    # Compilers compile the body of this loop only once.
    return ops.fori_loop(0, LEAPFROG_STEPS, move, (rows, momenta + steps / 2 * slope(rows)))


def _half_square(rows):
    return ops.sum(ops.square(rows), axis=1) / 2

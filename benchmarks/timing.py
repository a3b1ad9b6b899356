"""Fair times on a machine that others share: contenders take turns, and the medians are compared."""

import statistics
import time
from typing import NamedTuple

REPEATS = 7


class Times(NamedTuple):
    """Seconds per step of one contender, one for each repeat."""

    seconds: list

    @property
    def median(self):
        """The middle one."""
        return statistics.median(self.seconds)

    @property
    def spread(self):
        """Half the distance between the quartiles, as a share of the median."""
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return 0.5 * (high - low) / self.median


def alternate(contenders, repeats=REPEATS, turn=1.0):
    """Let contenders take turns, each for about `turn` seconds, and time them.

    Args:
        contenders: dict from names to functions `run(n)` that return when n steps are done.
        repeats: how many turns each has.
        turn: seconds.

    Returns:
        Dict from names to `Times` per step.
    """
    steps = {name: _calibrated(run, turn) for name, run in contenders.items()}
    seconds = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            seconds[name].append(_timed(run, steps[name]) / steps[name])
    return {name: Times(values) for name, values in seconds.items()}


def _calibrated(run, turn):
    """Return how many steps fill a turn, after some that compile and warm up."""
    run(2)
    return max(1, round(turn / (_timed(run, 2) / 2)))


def _timed(run, n):
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start

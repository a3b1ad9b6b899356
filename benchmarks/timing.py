"""Fair times on a machine that others share: contenders take turns, and medians are compared."""

import argparse
import statistics
import time
from typing import NamedTuple

REPEATS = 7


def enough(text):
    """Return a number of repeats from a command line.

    Raises:
        ArgumentTypeError: they are too few to speak of a spread.
    """
    if not text.isdecimal() or int(text) < REPEATS:
        raise argparse.ArgumentTypeError(f"expected a number, at least {REPEATS}; received {text}")
    return int(text)


class Repeats(NamedTuple):
    """What was measured, once for each repeat."""

    values: list

    @property
    def median(self):
        """The middle one."""
        return statistics.median(self.values)

    @property
    def spread(self):
        """Half the distance between the quartiles, as a share of the median; None of a single one."""
        if len(self.values) == 1:
            return None
        low, _, high = statistics.quantiles(self.values, n=4)
        return 0.5 * (high - low) / abs(self.median)

    def rate(self, amount):
        """Return how much of an amount that takes this time is done in a unit of time."""
        return Repeats([amount / value for value in self.values])

    def over(self, other):
        """Return the ratios to another's, repeat by repeat."""
        return Repeats([a / b for a, b in zip(self.values, other.values, strict=True)])


def turns(contenders, repeats=REPEATS):
    """Let contenders take turns.

    Args:
        contenders: dict from names to functions that measure something once, and return it.
        repeats: how many turns each has.

    Returns:
        Dict from names to `Repeats`.
    """
    values = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, measure in contenders.items():
            values[name].append(measure())
    return {name: Repeats(measured) for name, measured in values.items()}


def alternate(runs, repeats=REPEATS, turn=0.8):
    """Let contenders take turns, each for about `turn` seconds, and time them.

    Args:
        runs: dict from names to functions `run(n)` that return when n steps are done.
        repeats: how many turns each has.
        turn: seconds.

    Returns:
        Dict from names to `Repeats` of seconds per step.
    """
    steps = {name: _calibrated(run, turn) for name, run in runs.items()}

    def timed(name):
        return lambda: _timed(runs[name], steps[name]) / steps[name]

    return turns({name: timed(name) for name in runs}, repeats)


def _calibrated(run, turn):
    """Return how many steps fill a turn, after some that compile and warm up."""
    run(2)
    return max(1, round(turn / (_timed(run, 2) / 2)))


def _timed(run, n):
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start

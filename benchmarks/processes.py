"""Processes of their own, for what must not share a process: another library, or a first step."""

import concurrent.futures
import multiprocessing
import os

_SPAWN = multiprocessing.get_context("spawn")


def fresh(function, *arguments):
    """Return `function(*arguments)`, called in a process that has done nothing before."""
    with concurrent.futures.ProcessPoolExecutor(1, _SPAWN) as pool:
        return pool.submit(function, *arguments).result()


class Contender:
    """A contender in a process of its own, made there by `make(*arguments)`, which returns `run(n)`.

    Args:
        make: function of this package.
        *arguments: what it is given.
        environment: dict of variables to add to those of this process.
    """

    def __init__(self, make, *arguments, environment=()):
        self.pipe, other = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_serve, args=(other, make, arguments), daemon=True)
        before = dict(os.environ)
        os.environ.update(environment)  # which the process inherits
        self.process.start()
        os.environ.clear()
        os.environ.update(before)

    def run(self, steps):
        """Have it done, and wait."""
        self.pipe.send(steps)
        self.pipe.recv()

    def stop(self):
        """End the process."""
        self.process.terminate()
        self.process.join()


def _serve(pipe, make, arguments):
    run = make(*arguments)
    while True:
        pipe.send(run(pipe.recv()))

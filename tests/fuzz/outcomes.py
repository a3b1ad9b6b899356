"""What a call does with an argument, in one word, and how often which word is said."""

import contextlib
import dataclasses
import inspect
import io
import math
import re
import resource
import signal
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import keras
from hypothesis import HealthCheck, Phase, given, settings
from values import ANYTHING

import keras_gan as kg

PACKAGES = (str(Path(kg.__file__).parent), str(Path(kg.__file__).parents[1] / "keras_gan_cli"))
SECONDS = 4  # of the processor
MEMORY = 12 * 2**30  # of addresses, beyond those in use
DRAWN = 4
OURS, THEIRS, UNNAMED, INSIDE, NO_ANSWER, TAKEN, ENDLESS = BAD = (
    "ours",
    "named by others",
    "argument unnamed",
    "inside",
    "no answer",
    "taken",
    "endless",
)
ACCEPTED, REFUSED = GOOD = ("accepted", "refused")


class Answer(ValueError):
    """What a command of the program says in one line on stderr, with exit status 2."""


class Endless(BaseException):
    """No exception handler of a call that takes too long should answer this one."""


@dataclasses.dataclass
class Call:
    """A public function or method, and the kinds of its arguments.

    Args:
        name: as users write it after `kg.`.
        kinds: dict from the names of arguments to their kinds.
        function: what is called with the arguments; by default what the name stands for.
        then: function of what the call returns, to see what else is refused when it is used.
        also: dict from arguments to other words that messages call them by.
    """

    name: str
    kinds: dict
    function: Callable | None = None
    then: Callable = lambda result: result
    also: dict = dataclasses.field(default_factory=dict)

    @property
    def public(self):
        """The function or method itself."""
        value = kg
        for part in self.name.split("."):
            value = getattr(value, part)
        return value

    @property
    def owner(self):
        """The module that the function or method is from."""
        public = inspect.unwrap(self.public)
        return getattr(public, "__module__", "?").removeprefix("keras_gan.")

    def run(self, **changed):
        """Call with good arguments but for the changed ones, and use the result."""
        good = {name: kind.good() for name, kind in self.kinds.items() if name not in changed}
        return self.then((self.function or self.public)(**good, **changed))


@dataclasses.dataclass
class Report:
    """What happened in one call.

    Attributes:
        call: the `Call`.
        argument: name of the argument that was changed.
        value: name of its value.
        outcome: one of `BAD` or `GOOD`.
        message: what was raised.
    """

    call: Call
    argument: str
    value: str
    outcome: str
    message: str = ""

    def __str__(self):
        return f"{self.call.name}({self.argument}={self.value}): {self.outcome}. {self.message}"


def outcome(call, argument, make):
    """Return the word for a call with one argument changed, and what it says."""
    error = _error(lambda: call.run(**{argument: make()}))
    if error is None:
        return TAKEN, ""
    if isinstance(error, Endless):
        return ENDLESS, ""
    message = f"{type(error).__name__}: {error}"
    names = (argument, *call.also.get(argument, ()))
    named = any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(error)) for name in names)
    return _kind(error, named, names), message


def _kind(error, named, names):
    answers = isinstance(error, (ValueError, TypeError, OSError)) and not isinstance(error, UnicodeError)
    if _raised_by_us(error) and answers:
        return OURS if named else UNNAMED
    if isinstance(error, (ValueError, TypeError)) and any(f"`{name}`" in str(error) for name in names):
        return THEIRS
    return INSIDE if isinstance(error, (ValueError, TypeError)) or _of_a_library(error) else NO_ANSWER


def _raised_by_us(error):
    """Whether a statement `raise` of ours did, rather than an operator that met the wrong types."""
    if isinstance(error, Answer):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(PACKAGES) and "raise " in frames[-1].line


def _of_a_library(error):
    return type(error).__module__ not in ("builtins", "values", "calls")


def _error(function):
    """Return the exception that a function raises within its time, or None."""
    try:
        with _bounded(), _silent():
            function()
    except (Exception, SystemExit, Endless) as error:
        return error
    return None


@contextlib.contextmanager
def _bounded():
    def stop(*_):
        raise Endless

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def _silent():
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def limited_memory():
    """Make a call that asks for more memory than there is fail, instead of the process."""
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def shown(value):
    """Return a value in a few characters."""
    return " ".join(repr(value).split())[:60]


def _drawn(call, argument, kind):
    """Return reports of values that hypothesis draws and the kind refuses, the same in each run."""
    reports = {}

    @settings(
        max_examples=DRAWN,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(ANYTHING.filter(lambda value: kind.takes(value) is False))
    def try_it(value):
        name = f"drawn {shown(value)}"
        if name not in reports:
            reports[name] = Report(call, argument, name, *outcome(call, argument, lambda: value))

    try_it()
    return list(reports.values())


def bad(call):
    """Return a report for each bad value of each argument of a call."""
    reports = []
    for argument, kind in call.kinds.items():
        for name, make in kind.wrong().items():
            reports.append(Report(call, argument, name, *outcome(call, argument, make)))
        if kind.takes(object()) is False:
            reports += _drawn(call, argument, kind)
    keras.backend.clear_session(free_memory=False)
    return reports


def good(call):
    """Return a report for each good value of each argument of a call."""
    reports = []
    for argument, kind in call.kinds.items():
        for name, make in kind.right().items():
            word, message = outcome(call, argument, make)
            reports.append(Report(call, argument, name, ACCEPTED if word == TAKEN else REFUSED, message))
    return reports


def table(reports, words):
    """Return a table in Markdown of how many reports of each module have which outcome."""
    counts = defaultdict(Counter)
    for report in reports:
        counts[report.call.owner][report.outcome] += 1
    counts["all"] = sum(counts.values(), Counter())
    lines = [f"| module | {' | '.join(words)} |", "|---|" + "---:|" * len(words)]
    lines += [
        f"| {owner} | {' | '.join(str(count[word]) for word in words)} |"
        for owner, count in sorted(counts.items(), key=lambda item: (item[0] == "all", item[0]))
    ]
    return "\n".join(lines)


def share(reports, word):
    """Return the share of reports with an outcome, NaN of none."""
    return sum(r.outcome == word for r in reports) / len(reports) if reports else math.nan

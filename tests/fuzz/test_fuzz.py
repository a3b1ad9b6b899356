"""Invalid arguments get an answer that names them, valid ones are taken, and every argument is tried."""

import inspect
from collections import defaultdict

import calls
import pytest
from outcomes import BAD, ENDLESS, GOOD, OURS, REFUSED, bad, good, limited_memory, share, table
from test_docstrings import public_objects

from keras_gan_cli import commands

pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def _furnished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls.furnish()
    with limited_memory():
        yield


def worst(reports, outcomes, number=20):
    """Return a table and some of the reports with certain outcomes."""
    failed = [str(report)[:300] for report in reports if report.outcome in outcomes]
    return "\n".join([table(reports, outcomes), f"{len(failed)} of {len(reports)}:", *failed[:number]])


@pytest.mark.slow
def test_bad_arguments_are_named():
    reports = [report for call in calls.CALLS for report in bad(call)]
    assert len(reports) > 10_000
    assert share(reports, ENDLESS) == 0, worst(reports, [ENDLESS])
    assert share(reports, OURS) >= 0.99, worst(reports, BAD[1:])


@pytest.mark.slow
def test_good_arguments_are_taken():
    reports = [report for call in calls.CALLS for report in good(call)]
    assert len(reports) > 2_000
    assert share(reports, REFUSED) == 0, worst(reports, GOOD[1:])


def parameters(function):
    """Return the names of the arguments of a function, a constructor or a method."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = inspect.signature(function).parameters.values()
    return [p.name for p in named if p.kind not in kinds and p.name not in ("self", "cls")]


def test_every_argument_has_a_kind():
    """Those of each public function and constructor, and of the methods that are called."""
    tried = defaultdict(set)
    for call in calls.CALLS:
        tried[call.name] |= call.kinds.keys()
    functions = dict(public_objects()) | {call.name: call.public for call in calls.CALLS}
    # The first name of what has several.
    functions = {id(function): (name, function) for name, function in reversed(functions.items())}
    missing = [
        f"{name}({argument})"
        for name, function in functions.values()
        for argument in parameters(function)
        if argument not in tried[name] and not {name, f"{name}({argument})"} & calls.WITHOUT_KIND.keys()
    ]
    assert not missing, f"Arguments without a kind in tests/fuzz/calls.py: {missing}"


def test_every_option_of_the_program_has_a_kind():
    tried = {call.name: call.kinds.keys() for call in calls.CALLS}
    for name, command in commands.keras_gan.commands.items():
        assert tried[f"keras-gan {name}"] == {parameter.name for parameter in command.params}

"""The commands that pages and headers name are commands that the examples take."""

import importlib
import pathlib
import re
import shlex

import pytest
from helpers import budget

# Examples know nothing of backends where they read their arguments, nor does the sum of a report.
pytestmark = pytest.mark.tensorflow
ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "results.md",
    ROOT / "saved_models" / "README.md",
    *sorted((ROOT / "examples").glob("*.py")),
]


def commands():
    """Yield the example and the arguments of every command that stands in a page or a header."""
    for page in PAGES:
        text = page.read_text().replace("\\\\\n", " ").replace("\\\n", " ")
        for name, rest in re.findall(r"python examples/(\w+)\.py([^`\n#|]*)", text):
            yield pytest.param(name, shlex.split(rest), id=f"{page.stem}: {name}{rest.rstrip()}")


@pytest.mark.parametrize(("name", "argv"), list(commands()))
def test_documented_commands_parse(name, argv, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    importlib.import_module(name).arguments(argv)


def test_commands_are_found():
    assert len(list(commands())) > 12


def test_budget_lists_slowest_tests_and_share_of_each_file(tmp_path):
    cases = [("tests.test_a", f"test_{number}", number) for number in range(12)]
    cases.append(("tests.conformance.test_b", "test_long[x-y]", 34))
    rows = "".join(f'<testcase classname="{c}" name="{n}" time="{t}"/>' for c, n, t in cases)
    report = tmp_path / "test.xml"
    report.write_text(f'<testsuites><testsuite time="55.5">{rows}</testsuite></testsuites>')
    first, *slowest, files = budget.summary(report)
    assert first == f"{report}: 13 tests, 100 s of the processes in 56 s"
    assert slowest[0] == "    34.0 s   34 %  tests.conformance.test_b::test_long[x-y]"
    assert [line.rpartition("_")[2] for line in slowest[1:]] == [str(n) for n in range(11, 2, -1)]
    assert files == "by file: test_a 66 %, conformance.test_b 34 %"

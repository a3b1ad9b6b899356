"""Where the time of a suite goes: its slowest tests, its total, and each file's share.

    python tests/helpers/budget.py REPORT.xml ...

`make test` and its like leave such a report, in JUnit's format, in `.pytest_cache/`. The seconds are
those of the processes together, with what a test sets up and takes down; they fail nothing.
"""

import collections
import sys
import xml.etree.ElementTree as ET

SLOWEST = 10
FILES = 12


def times(report):
    """Return (file, test, seconds) of each test in a report."""
    cases = ET.parse(report).iter("testcase")
    return [(case.get("classname"), case.get("name"), float(case.get("time"))) for case in cases]


def summary(report):
    """Yield the lines that are printed of a report."""
    found = sorted(times(report), key=lambda row: -row[2])
    total = sum(seconds for *_, seconds in found)
    share = 100 / (total or 1)
    wall = sum(float(suite.get("time")) for suite in ET.parse(report).iter("testsuite"))
    yield f"{report}: {len(found)} tests, {total:.0f} s of the processes in {wall:.0f} s"
    for file, name, seconds in found[:SLOWEST]:
        yield f"{seconds:8.1f} s  {seconds * share:3.0f} %  {file}::{name}"
    files = collections.Counter()
    for file, _, seconds in found:
        files[file.removeprefix("tests.")] += seconds
    shares = [f"{file} {seconds * share:.0f} %" for file, seconds in files.most_common(FILES)]
    yield f"by file: {', '.join(shares)}"


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print("\n".join(summary(path)), flush=True)

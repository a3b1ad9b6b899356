"""Measure everything, print one table, and write it as Markdown and JSON.

    python -m benchmarks                              # all, under 15 minutes on 2 cores
    python -m benchmarks --only steps --repeats 11

Times are medians of contenders that take turns in one run; run nothing else at the same time. `torch` is
a peer if it is installed.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main():
    """Run the command line."""
    from benchmarks import rest, steps, table, timing

    sections = {"steps": steps.measure, **rest.SECTIONS}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=sections, default=list(sections))
    parser.add_argument(
        "--repeats", type=timing.enough, default=timing.REPEATS, help="turns of each contender"
    )
    parser.add_argument("--output", default="runs/bench", help="folder of results.md and results.json")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.only:
        start = time.perf_counter()
        rows += sections[name](arguments.repeats)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        table.write(rows, arguments.output)
    print(table.markdown(rows))


if __name__ == "__main__":
    main()

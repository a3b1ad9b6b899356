"""Call everything public with bad and good arguments, and print what happened: `python tests/fuzz`.

Arguments: parts of names of functions, to call these only; `--failures FILE` writes what failed.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import calls
from outcomes import BAD, GOOD, OURS, REFUSED, bad, good, limited_memory, share, table


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of functions to call")
    parser.add_argument("--failures", type=Path, help="file to write what failed to")
    arguments = parser.parse_args()
    failures = arguments.failures and arguments.failures.absolute()
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder, limited_memory():
        os.chdir(folder)
        calls.furnish()
        chosen = [
            c for c in calls.CALLS if not arguments.names or any(n in c.name for n in arguments.names)
        ]
        wrong, right = [], []
        for call in chosen:
            right += good(call)
            wrong += bad(call)
        os.chdir("/")
    print(table(wrong, BAD), table(right, GOOD), sep="\n\n")
    print(
        f"\n{len(wrong)} bad arguments, {100 * share(wrong, OURS):.1f} % answered by us; "
        f"{len(right)} good ones; {time.process_time() - begun:.0f} s of processor time."
    )
    failed = [
        report for report in wrong + right if report.outcome in BAD[1:] or report.outcome == REFUSED
    ]
    if failures:
        lines = (f"{r.call.owner} | {' '.join(str(r).split())[:400]}" for r in failed)
        failures.write_text("\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main()

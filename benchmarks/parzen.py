"""Compare the Parzen windows of keras_gan with scikit-learn's exact ones, on the paper's task.

    python benchmarks/parzen.py                 # 10,000 samples and queries, 784 pixels, 10 bandwidths
    python benchmarks/parzen.py --size 2000     # smaller, in seconds

scikit-learn's `KernelDensity` is exact only with `leaf_size` of at least the number of samples: smaller
leaves lose terms in high dimension. It needs a fit and a pass for every bandwidth; it is timed on one
bandwidth and a share of the queries (its time is linear in both), and the whole task is reckoned from
that. Both see the same made-up images, in turns; the table holds medians. keras_gan uses all cores, as
its users get it; scikit-learn has no way to.
"""

import argparse
import statistics
import time

import numpy as np
from sklearn.neighbors import KernelDensity

import keras_gan as kg
from keras_gan.metrics.parzen import BANDWIDTHS

PIXELS = 784
BANDWIDTH = BANDWIDTHS[2]


def seconds(function, *args):
    """Return the time that a call takes, and what it returns."""
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


def main(argv=None):
    """Time both in turns and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=10_000, help="samples, and queries (default: 10000)")
    parser.add_argument("--peer-queries", type=int, default=100, help="for scikit-learn (default: 100)")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    # Mostly dark and some bright, as digits are.
    samples, queries = (rng.random((args.size, PIXELS), dtype="float32") ** 6 for _ in range(2))
    peer = KernelDensity(bandwidth=BANDWIDTH, leaf_size=args.size).fit(samples)
    some = queries[: args.peer_queries]

    ours, theirs = [], []
    for _ in range(args.repeats):
        time_ours, found = seconds(kg.metrics.parzen_log_likelihood, samples, queries, BANDWIDTHS)
        time_theirs, expected = seconds(peer.score_samples, some)
        ours.append(time_ours)
        theirs.append(time_theirs * len(BANDWIDTHS) * args.size / len(some))
    error = np.abs(found[BANDWIDTHS.index(BANDWIDTH), : len(some)] - expected).max()
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    print(f"{args.size} samples, {args.size} queries, {PIXELS} pixels, {len(BANDWIDTHS)} bandwidths")
    print(f"keras_gan               {statistics.median(ours):10.2f} s")
    print(f"scikit-learn, exact     {statistics.median(theirs):10.2f} s (from {len(some)} queries)")
    print(f"ratio                   {ratio:10.0f}")
    print(f"largest difference      {error:10.4f} nats")


if __name__ == "__main__":
    main()

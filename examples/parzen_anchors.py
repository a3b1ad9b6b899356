"""What a Parzen-window log-likelihood is worth: the measure of 2014 on samples that no model made.

Theis, van den Oord, Bethge, 2016, "A note on the evaluation of generative models", arXiv 1511.01844.

    python examples/parzen_anchors.py --dataset mnist      # from TensorFlow Datasets
    python examples/parzen_anchors.py                      # 5,000 digits, no download

Training digits replace a generator's samples, then a codebook (one step of k-means from these digits:
each becomes the mean of the training digits nearest to it), and draws from a normal distribution with
the mean and covariance of all training digits, clipped to [0, 1]. The codebook consists of blurred
copies, and yet scores far higher than the digits themselves. So a high number does not show good
samples; a low one, near that of the normal distribution, shows that little was learned.
"""

import argparse

import numpy as np
from gan_mnist import positive

import keras_gan as kg

# (train, validation, test), and how many samples. The small set has no test digits of its own.
SPLITS = {"mnist5k": ("train[:4000]", "train[4000:4500]", "train[4500:]")}
OTHER_SPLITS = ("train[:50000]", "train[50000:51000]", "test")
SAMPLES = {"mnist5k": 800}
OTHER_SAMPLES = 10_000
GRIDS = {"grid of 2014": kg.metrics.parzen.BANDWIDTHS, "fine grid": np.arange(0.1, 0.305, 0.01)}
BLOCK = 1000


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="mnist5k", help="mnist5k (default), mnist, ...")
    parser.add_argument("--samples", type=positive, help="(default: 800 for mnist5k, 10000 for others)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    args.samples = args.samples or SAMPLES.get(args.dataset, OTHER_SAMPLES)
    return args


def codebook(images, centers):
    """One Lloyd step of k-means: the mean of the images nearest to each center."""
    half = np.square(centers).sum(axis=1) / 2
    nearest = [
        (half - images[i : i + BLOCK] @ centers.T).argmin(axis=1) for i in range(0, len(images), BLOCK)
    ]
    owner = np.concatenate(nearest)
    sums = np.zeros_like(centers)
    np.add.at(sums, owner, images)
    counts = np.bincount(owner, minlength=len(centers))
    return sums / np.maximum(counts, 1)[:, None]


def normal_draws(images, count, rng):
    """Draws from the normal distribution with the images' mean and covariance, clipped to [0, 1]."""
    mean, covariance = images.mean(axis=0), np.cov(images.T)
    return np.clip(rng.multivariate_normal(mean, covariance, count, method="eigh"), 0, 1)


def main(argv=None):
    """Measure and print the table."""
    args = arguments(argv)
    rng = np.random.default_rng(args.seed)
    arrays = kg.datasets.load_arrays(args.dataset, SPLITS.get(args.dataset, OTHER_SPLITS), channels=1)
    images, validation, test = (array.reshape(len(array), -1) for array in arrays)
    digits = images[rng.permutation(len(images))[: args.samples]]
    rows = {
        "training digits": digits,
        "codebook of k-means": codebook(images, digits),
        "normal distribution": normal_draws(images, args.samples, rng),
    }
    for name, samples in rows.items():
        for grid, bandwidths in GRIDS.items():
            result = kg.metrics.ParzenWindow(validation, bandwidths)(real=test, fake=samples)
            print(f"{name:20s} {grid:13s} {result}")


if __name__ == "__main__":
    main()

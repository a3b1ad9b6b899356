"""Figure 2 of the paper: samples, and next to each row the training image nearest to its last sample.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014, arXiv 1406.2661.
If the generator memorized, the same image would appear twice, left and right of the yellow line.

    python examples/figure_2.py          # (a) digits: the model of gan_mnist.py
    python examples/figure_2.py --model runs/gan_tfd/gan.keras --dataset tfd:TFD_48x48.mat        # (b)
    python examples/figure_2.py --model runs/gan_cifar10_dense/gan.keras --dataset cifar10        # (c)
    python examples/figure_2.py --model runs/gan_cifar10_conv/gan.keras --dataset cifar10         # (d)

Seconds on 2 cores if the model exists; otherwise gan_mnist.py trains it first, in 4 minutes.
The samples are drawn with seed 0, and not selected.
"""

import argparse
import pathlib

import gan_cifar10
import gan_mnist
import keras
import numpy as np

import keras_gan as kg
from keras_gan.visualization import SEPARATOR, image_grid, save_png, to_uint8

FRAME = (255, 215, 0)


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_model(parser)
    parser.add_argument("--rows", type=gan_mnist.positive, default=4, help="(default: 4)")
    parser.add_argument(
        "--columns", type=gan_mnist.positive, default=5, help="samples per row (default: 5)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default="runs/figure_2", help="output folder")
    return parser.parse_args(argv)


def add_model(parser):
    """Add the arguments that select the model."""
    parser.add_argument(
        "--model",
        type=pathlib.Path,
        help="gan.keras of gan_mnist.py, gan_tfd.py or gan_cifar10.py "
        "(default: the one of gan_mnist.py next to the output folder, trained if it does not exist)",
    )
    parser.add_argument("--dataset", default="mnist5k", help="its training data (default: mnist5k)")


def load_gan(args):
    """Load the selected model, or the one of gan_mnist.py, trained if it does not exist."""
    path = args.model
    if path is None:
        folder = args.output.parent / f"gan_{args.dataset}"
        path = folder / "gan.keras"
        if not path.exists():
            gan_mnist.main(["--dataset", args.dataset, "--output", str(folder)])
    return keras.models.load_model(path)


def draw(gan, n=None, **options):
    """Samples of a GAN, with the EMA of its weights if it keeps one."""
    return gan.generate(n, use_ema=gan.ema is not None, **options)


def training_images(dataset):
    """The images on which the example for this dataset trains."""
    if dataset == "cifar10":
        return gan_cifar10.training_images()
    if dataset.partition(":")[0] == "tfd":
        return kg.datasets.load_arrays(dataset, "unlabeled")
    split, *_ = gan_mnist.SPLITS.get(dataset, gan_mnist.OTHER_SPLITS)
    return kg.datasets.load_arrays(dataset, split, image_size=28, channels=1)


def shown_range(samples):
    """The numbers shown as black and white: those of contrast-normalized images, or of a sigmoid."""
    return gan_cifar10.SHOWN_RANGE if (samples < 0).any() else (0, 1)


def nearest(samples, images):
    """The image nearest to each sample in squared distance of their pixels."""
    rows = images.reshape(len(images), -1)
    norms = np.square(rows).sum(axis=1)
    distances = norms - 2 * samples.reshape(len(samples), -1) @ rows.T  # less what images share
    return images[distances.argmin(axis=1)]


def draw_panel(samples, images, columns):
    """Lay out rows of samples and, in a frame, the images nearest to the last sample of each."""
    found = nearest(samples[columns - 1 :: columns], images)
    rows, shape = len(found), samples.shape[1:]
    cells = np.concatenate([samples.reshape(rows, columns, *shape), found[:, None]], axis=1)
    levels = to_uint8(cells.reshape(-1, *shape), shown_range(samples))
    image = image_grid(levels, rows, columns + 1)
    if image.ndim == 2:
        image = np.repeat(image[..., np.newaxis], 3, axis=2)
    left = (image.shape[1] - SEPARATOR) // (columns + 1) * columns
    column = image[:, left:]
    for line in (slice(None, SEPARATOR), slice(-SEPARATOR, None)):
        column[line] = column[:, line] = FRAME
    return image


def main(argv=None):
    """Load or train, and draw."""
    args = arguments(argv)
    gan = load_gan(args)
    samples = draw(gan, args.rows * args.columns, seed=args.seed)
    images = training_images(args.dataset)
    if images.shape[1:] != samples.shape[1:]:
        raise ValueError(
            f"The model makes images of shape {samples.shape[1:]}, but those of {args.dataset!r} have "
            f"{images.shape[1:]}. Pass the training data of the model with --dataset."
        )
    path = args.output / "figure_2.png"
    save_png(path, draw_panel(samples, images, args.columns))
    print(f"Framed in yellow: the training images nearest to the samples left of them. {path.resolve()}")


if __name__ == "__main__":
    main()

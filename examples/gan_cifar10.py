"""The adversarial nets of 2014 on CIFAR-10: dense (Figure 2c) and convolutional (Figure 2d).

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014, arXiv 1406.2661, with
the settings of 2014 or, on request, `kg.recipes.adam_r1_ema`.

    python examples/gan_cifar10.py                     # the paper's dense nets: 127 million weights
    python examples/gan_cifar10.py --network conv      # the paper's convolutional nets: 77 million
    python examples/gan_cifar10.py --units 800 --recipe ema --epochs 3

The nets see contrast-normalized images: the mean of each is subtracted, and its norm scaled to 55. Plots
show 0 as middle gray and ±2.5 as white and black.

The paper's nets need a GPU and many epochs: on 2 cores a step of the dense ones took 2 seconds, of the
convolutional ones (800 units) 3 seconds, and their samples start as noise with 13 times the contrast of
the images. The third command: 1,200 steps in 2 minutes of one core. Reached with seed 0: D 0.65
on images and 0.35 on samples, which are colored clouds, some with a horizon or a dark shape in front,
and no objects. Longer runs were not tried.
"""

import argparse
import json
import pathlib

import keras
import numpy as np
from gan_mnist import positive

import keras_gan as kg
from keras_gan.utils import files

SPLIT = "train[:80%]"
NORM = 55.0  # of every image, after its mean is subtracted
SHOWN_RANGE = (-2.5, 2.5)  # black and white; an image has mean 0 and standard deviation .99
# The R1 weight is that of digits, for numbers whose norm is six times theirs; the rate has to bring down
# output weights that start on [−.5, .5].
EMA_SETTINGS = {"learning_rate": 1e-3, "r1": 30.0, "ema_decay": 0.999}
NETWORKS = {
    "dense": {"learning_rate": 0.025, "batch_size": 100},
    "conv": {"learning_rate": 0.004, "batch_size": 128},
}


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="dense", choices=list(NETWORKS), help="default: dense")
    parser.add_argument("--epochs", type=positive, default=2, help="number of epochs (default: 2)")
    parser.add_argument(
        "--split", default=SPLIT, help="training images (default: the paper's first 40,000)"
    )
    parser.add_argument("--units", type=positive, default=8000, help="hidden units of the generator")
    parser.add_argument(
        "--recipe",
        default="paper",
        choices=["paper", "ema"],
        help="paper: the settings of 2014 (default); ema: Adam, R1 and an EMA of the weights",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--output", type=pathlib.Path, help="output folder (default: runs/gan_cifar10_NETWORK)"
    )
    args = parser.parse_args(argv)
    args.output = args.output or pathlib.Path("runs") / f"gan_cifar10_{args.network}"
    return args


def contrast_normalised(images):
    """Subtract the mean of each image, and scale its norm to 55."""
    images = images - images.mean(axis=(1, 2, 3), keepdims=True)
    norms = np.sqrt(np.square(images).sum(axis=(1, 2, 3), keepdims=True))
    return images * (NORM / np.maximum(norms, 1e-8))


def training_images(split=SPLIT):
    """Load images of CIFAR-10, normalized."""
    return contrast_normalised(kg.datasets.load_arrays("cifar10", split))


def make_gan(network, units, seed):
    """The dense nets of Figure 2c, or the convolutional ones of Figure 2d."""
    if network == "dense":
        generator = kg.architectures.cifar10_generator(seed=seed, units=units)
        discriminator = kg.architectures.cifar10_discriminator(seed=seed, units=units // 5)
    else:
        generator = kg.architectures.cifar10_conv_generator(seed=seed, units=units)
        discriminator = kg.architectures.cifar10_conv_discriminator(seed=seed)
    return kg.GAN(generator, discriminator, prior="normal", seed=seed)


def main(argv=None):
    """Train and draw."""
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    images = training_images(args.split)
    settings = NETWORKS[args.network]
    steps = -(-len(images) // settings["batch_size"])

    gan = make_gan(args.network, args.units, args.seed)
    recipes = {
        "paper": lambda: kg.recipes.goodfellow2014(steps, learning_rate=settings["learning_rate"]),
        "ema": lambda: kg.recipes.adam_r1_ema(**EMA_SETTINGS),
    }
    gan.compile(**recipes[args.recipe]())
    grid = kg.callbacks.SampleGrid(
        args.output / "samples",
        every=max(1, args.epochs // 10),
        rows=6,
        columns=8,
        seed=args.seed,
        value_range=SHOWN_RANGE,
        nearest=images,
        use_ema=gan.ema is not None,
    )
    history = gan.fit(images, batch_size=settings["batch_size"], epochs=args.epochs, callbacks=[grid])
    gan.save(args.output / "gan.keras")

    kg.visualization.training_curves(history, args.output / "curves.png")
    files.write_bytes(args.output / "history.json", json.dumps(history.history).encode())
    print(
        f"Samples, curves, history and gan.keras are in {args.output.resolve()}. Open "
        f"samples/epoch-{args.epochs:04d}.png: the last column holds the training images "
        "nearest to the samples left of it."
    )


if __name__ == "__main__":
    main()

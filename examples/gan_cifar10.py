"""The adversarial nets of 2014 on CIFAR-10: Figures 2c (dense nets) and 2d (convolutional nets).

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014, arXiv 1406.2661.
"""

import argparse
import json
import pathlib

import keras
import numpy as np

import keras_gan as kg

SPLIT = "train[:80%]"
NORM = 55.0  # of every image, after its mean is taken off
SHOWN_RANGE = (-2.5, 2.5)  # black and white; an image of this norm has mean 0 and standard deviation 1
NETWORKS = {
    "dense": {"learning_rate": 0.025, "batch_size": 100},
    "conv": {"learning_rate": 0.004, "batch_size": 128},
}


def arguments(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="dense", choices=list(NETWORKS), help="default: dense")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the data (default: 2)")
    parser.add_argument(
        "--split", default=SPLIT, help="training images (default: the paper's first 40,000)"
    )
    parser.add_argument("--units", type=int, default=8000, help="hidden units of the generator")
    parser.add_argument("--learning-rate", type=float, help="default: the paper's for the network")
    parser.add_argument(
        "--r1", type=float, default=0.0, help="weight of the R1 penalty (default: 0, as in the paper)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default="runs/gan_cifar10", help="folder")
    return parser.parse_args(argv)


def contrast_normalised(images):
    """Each image less its mean, scaled to norm 55."""
    images = images - images.mean(axis=(1, 2, 3), keepdims=True)
    norms = np.sqrt(np.square(images).sum(axis=(1, 2, 3), keepdims=True))
    return images * (NORM / np.maximum(norms, 1e-8))


def training_images(split=SPLIT):
    """Images of CIFAR-10 as the nets see them."""
    return contrast_normalised(kg.datasets.load_arrays("cifar10", split))


def make_gan(network, units, seed):
    """The dense nets of Figure 2c, or the convolutional ones of Figure 2d."""
    if network == "dense":
        generator = kg.architectures.cifar10_generator(seed, units)
        discriminator = kg.architectures.cifar10_discriminator(seed, units=units // 5)
    else:
        generator = kg.architectures.cifar10_conv_generator(seed, units)
        discriminator = kg.architectures.cifar10_conv_discriminator(seed)
    return kg.GAN(generator, discriminator, prior="normal", seed=seed)


def main(argv=None):
    """Train and draw."""
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    images = training_images(args.split)
    settings = NETWORKS[args.network]
    steps = -(-len(images) // settings["batch_size"])

    gan = make_gan(args.network, args.units, args.seed)
    rate = args.learning_rate or settings["learning_rate"]
    recipe = kg.recipes.goodfellow2014(steps, rate)
    terms = [kg.terms.R1(weight=args.r1, interval=4)] if args.r1 else []
    gan.compile(**recipe, terms=terms)
    grid = kg.callbacks.SampleGrid(
        args.output / "samples",
        every=max(1, args.epochs // 10),
        rows=6,
        columns=8,
        seed=args.seed,
        value_range=SHOWN_RANGE,
        nearest=images,
    )
    history = gan.fit(images, batch_size=settings["batch_size"], epochs=args.epochs, callbacks=[grid])
    gan.save(args.output / "gan.keras")

    kg.pictures.training_curves(history, args.output / "curves.png")
    (args.output / "history.json").write_text(json.dumps(history.history))
    print(
        f"Samples, curves, history and gan.keras are in {args.output.resolve()}. Open "
        f"samples/epoch-{args.epochs:04d}.png: its last column holds the training images that are "
        "nearest to the column before it."
    )


if __name__ == "__main__":
    main()

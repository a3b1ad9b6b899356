"""Digits on request: a conditional DCGAN that draws ten rows of the ten digits.

Mirza, Osindero, 2014, arXiv 1411.1784: both nets are told the class. The nets are those of Radford,
Metz, Chintala, 2015, arXiv 1511.06434, a quarter as wide.

    python examples/conditional_digits.py

2 minutes on 2 cores. Reached with seed 0: a classifier that has seen real digits only (97 % right on
digits that it has not seen) takes 97 % of the samples for the digit that was requested.
"""

import argparse
import pathlib

import keras
import numpy as np
from keras import layers

import keras_gan as kg

DIGITS, COLUMNS = 10, 10
IMAGE_SIZE, VALUE_RANGE = 32, (-1, 1)
HELD_OUT = 0.1  # share of the digits that the classifier does not see
WIDTH, LEARNING_RATE, BETA_1 = 16, 1e-3, 0.5
JUDGED = 100  # samples of each digit


def arguments(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=5000, help="real digits (default: all 5000)")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the data (default: 20)")
    parser.add_argument("--batch-size", type=int, default=50, help="minibatch (default: 50)")
    parser.add_argument("--classifier-epochs", type=int, default=10, help="of the judge (default: 10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default="runs/conditional_digits", help="folder")
    return parser.parse_args(argv)


def make_gan(steps, seed):
    """Two nets that are told the digit, trained with rates that fall to 0 over `steps`."""
    nets = {"image_size": IMAGE_SIZE, "channels": 1, "num_classes": DIGITS, "width": WIDTH, "seed": seed}
    gan = kg.GAN(
        kg.architectures.dcgan_generator(**nets),
        kg.architectures.dcgan_discriminator(**nets),
        prior="uniform",
        seed=seed,
    )
    d_optimizer, g_optimizer = (
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps), BETA_1)
        for _ in range(2)
    )
    gan.compile(d_optimizer, g_optimizer)
    return gan


def train_classifier(images, digits, epochs):
    """A judge that has seen real digits only."""
    classifier = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(128, "relu"),
            layers.Dense(DIGITS),
        ]
    )
    classifier.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classifier.fit(images, digits, batch_size=50, epochs=epochs, verbose=0)
    return classifier


def agreement(classifier, images, digits):
    """Share of images that the classifier takes for the given digits."""
    return np.mean(classifier.predict(images, verbose=0).argmax(axis=-1) == digits)


def main(argv=None):
    """Train, draw, and ask a classifier."""
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    images, digits = kg.datasets.load_arrays(
        "mnist5k",
        f"train[:{args.examples}]",
        value_range=VALUE_RANGE,
        image_size=IMAGE_SIZE,
        labels=True,
    )
    gan = make_gan(args.epochs * -(-len(images) // args.batch_size), args.seed)
    grid = kg.callbacks.SampleGrid(
        args.output / "samples",
        every=max(1, args.epochs // 5),
        rows=DIGITS,
        columns=COLUMNS,
        seed=args.seed,
        condition=np.repeat(np.arange(DIGITS), COLUMNS),
        value_range=VALUE_RANGE,
    )
    gan.fit(images, digits, epochs=args.epochs, batch_size=args.batch_size, callbacks=[grid])

    seen = round((1 - HELD_OUT) * len(images))
    classifier = train_classifier(images[:seen], digits[:seen], args.classifier_epochs)
    requested = np.repeat(np.arange(DIGITS), JUDGED)
    samples = gan.generate(len(requested), seed=args.seed + 1, condition=requested)
    print(
        f"A classifier that is right on {agreement(classifier, images[seen:], digits[seen:]):.1%} of "
        f"{len(images) - seen} held-out digits takes {agreement(classifier, samples, requested):.1%} "
        f"of {len(samples)} samples for the digit that was requested."
    )
    print(f"Samples, one row a digit, are in {(args.output / 'samples').resolve()}.")


if __name__ == "__main__":
    main()

"""Digits on request: a conditional DCGAN that draws ten rows of the ten digits.

Mirza, Osindero, 2014, arXiv 1411.1784: both nets are told the class. The nets are those of Radford,
Metz, Chintala, 2015, arXiv 1511.06434, a quarter as wide.

    python examples/conditional_digits.py
"""

import argparse
import pathlib

import keras
import numpy as np
from keras import layers

import keras_gan as kg

DIGITS, COLUMNS = 10, 10
DATA = {"image_size": 32, "value_range": (-1, 1), "labels": True}
TRAIN, HELD_OUT = "train[:4500]", "train[4500:]"
WIDTH, LEARNING_RATE, BETA_1 = 16, 1e-3, 0.5
JUDGED = 100  # samples of each digit


def arguments(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=25, help="passes over the data (default: 25)")
    parser.add_argument("--batch-size", type=int, default=64, help="minibatch (default: 64)")
    parser.add_argument("--classifier-epochs", type=int, default=10, help="of the judge (default: 10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default="runs/conditional_digits", help="folder")
    return parser.parse_args(argv)


def make_gan(steps, seed):
    nets = {"image_size": 32, "channels": 1, "num_classes": DIGITS, "width": WIDTH, "seed": seed}
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
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    train = kg.datasets.load("mnist5k", batch_size=args.batch_size, seed=args.seed, **DATA)
    gan = make_gan(args.epochs * len(train), args.seed)
    grid = kg.callbacks.SampleGrid(
        args.output / "samples",
        every=max(1, args.epochs // 5),
        rows=DIGITS,
        columns=COLUMNS,
        seed=args.seed,
        condition=np.repeat(np.arange(DIGITS), COLUMNS),
        value_range=DATA["value_range"],
    )
    gan.fit(train, epochs=args.epochs, callbacks=[grid])

    (images, digits), held_out = kg.datasets.load_arrays("mnist5k", (TRAIN, HELD_OUT), **DATA)
    classifier = train_classifier(images, digits, args.classifier_epochs)
    requested = np.repeat(np.arange(DIGITS), JUDGED)
    samples = gan.generate(len(requested), seed=args.seed + 1, condition=requested)
    print(
        f"A classifier that is right on {agreement(classifier, *held_out):.1%} of {len(held_out[0])} "
        f"held-out digits takes {agreement(classifier, samples, requested):.1%} of {len(samples)} "
        "samples for the digit that was requested."
    )
    print(f"Samples, one row a digit, are in {(args.output / 'samples').resolve()}.")


if __name__ == "__main__":
    main()

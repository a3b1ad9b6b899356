"""Handwritten digits on request: a small conditional GAN, and what `make demo` runs.

Both networks see the requested digit (Mirza, Osindero, 2014, arXiv 1411.1784), the discriminator through
a projection (Miyato, Koyama, 2018, arXiv 1802.05637). The networks are convolutional, in the manner of
Radford, Metz, Chintala, 2015, arXiv 1511.06434. Training follows `kg.recipes.adam_r1_ema`: Adam, a lazy
R1 penalty, and an exponential moving average of the generator's weights, which draws the samples.

    python examples/conditional_digits.py                             # 5,000 digits, no download
    python examples/conditional_digits.py --dataset mnist --epochs 10 # from TensorFlow Datasets

To resume a run that was interrupted, repeat the command. To start over, delete the output folder.

5 minutes of CPU time, less than 5 minutes on 2 cores. Reached with seed 0: a classifier that is right on
99.3 % of MNIST's test digits reads 98.7 % of 1,000 samples as the digit that was requested.
"""

import argparse
import pathlib
import sys
import time

import keras
import numpy as np
from gan_mnist import positive
from keras import layers

import keras_gan as kg

DIGITS = 10
LATENT_SIZE, WIDTH, BATCH_SIZE = 64, 24, 50
LEARNING_RATE, R1, EMA_DECAY = 1e-3, 0.5, 0.999
JUDGE = pathlib.Path(__file__).parents[1] / "saved_models" / "digit_classifier.keras"


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dataset",
        default="mnist5k",
        choices=["mnist5k", "mnist"],
        help="training digits (default: mnist5k)",
    )
    parser.add_argument("--epochs", type=positive, default=60, help="number of epochs (default: 60)")
    parser.add_argument(
        "--batch-size", type=positive, default=BATCH_SIZE, help=f"(default: {BATCH_SIZE})"
    )
    parser.add_argument(
        "--samples",
        type=positive,
        default=1000,
        help="number of samples for the classifier (default: 1000)",
    )
    parser.add_argument(
        "--every", type=positive, help="epochs between sample grids (default: 12 grids in all)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default="runs/conditional_digits",
        help="output folder (default: runs/conditional_digits)",
    )
    args = parser.parse_args(argv)
    args.every = args.every or max(1, args.epochs // 12)
    return args


def make_generator():
    """A generator from 64 latents and a digit to an image."""
    latents = keras.Input((LATENT_SIZE,), name="latents")
    digit = keras.Input((), dtype="int32", name="digit")

    def normalized(x):
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    def upsample(x, filters):
        return layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)

    label = kg.architectures.embed_labels(digit, DIGITS)
    x = kg.architectures.join_conditions(latents, label)
    x = normalized(layers.Dense(7 * 7 * 2 * WIDTH, use_bias=False)(x))
    x = layers.Reshape((7, 7, 2 * WIDTH))(x)
    x = normalized(upsample(x, 2 * WIDTH))
    x = normalized(upsample(x, WIDTH))
    images = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    return keras.Model([latents, digit], images, name="generator")


def make_discriminator():
    """A discriminator from an image and a digit to a logit."""
    images = keras.Input((28, 28, 1), name="images")
    digit = keras.Input((), dtype="int32", name="digit")
    x = images
    for filters in (WIDTH, 2 * WIDTH):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 4, strides=2, padding="same")(x))
    x = layers.LeakyReLU(0.2)(layers.Dense(128)(layers.Flatten()(x)))
    logits = kg.layers.Projection(DIGITS)([x, digit])
    return keras.Model([images, digit], logits, name="discriminator")


def make_gan(steps, seed):
    """The two networks, with learning rates that decay to 0 over `steps`."""
    gan = kg.GAN(make_generator(), make_discriminator(), prior="normal", seed=seed)
    recipe = kg.recipes.adam_r1_ema(r1=R1, ema_decay=EMA_DECAY)
    for player in ("d_optimizer", "g_optimizer"):
        rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
        recipe[player] = keras.optimizers.Adam(rate, beta_1=0.5)
    gan.compile(**recipe)
    return gan


def agreement(gan, samples, seed):
    """Return the share of samples that a classifier reads as the digit that was requested."""
    judge = keras.models.load_model(JUDGE)
    requested = np.arange(samples) % DIGITS
    images = gan.generate(samples, seed=seed, condition=requested, use_ema=True)
    return np.mean(judge.predict(images, verbose=0).argmax(axis=-1) == requested)


def main(argv=None):
    """Train, draw and judge."""
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    train = kg.datasets.load(args.dataset, "train", args.batch_size, labels=True, seed=args.seed)
    gan = make_gan(args.epochs * len(train), args.seed)
    grid = kg.callbacks.SampleGrid(
        args.output / "samples",
        every=args.every,
        rows=DIGITS,
        columns=DIGITS,
        condition=np.repeat(np.arange(DIGITS), DIGITS),  # a row for each digit
        seed=args.seed,
        use_ema=True,
        gif=True,
    )
    curves = kg.callbacks.TrainingCurves(args.output / "curves.png")
    resume = kg.callbacks.Resume(args.output / "resume")
    print(f"Training for {args.epochs} epochs. Sample grids appear in {args.output / 'samples'}.")
    start = time.perf_counter()
    gan.fit(train, epochs=args.epochs, callbacks=[grid, curves, resume])
    gan.save(args.output / "gan.keras")
    share = agreement(gan, args.samples, seed=args.seed + 1)
    print(
        f"Trained in {(time.perf_counter() - start) / 60:.1f} minutes.\n"
        f"A classifier reads {share:.1%} of {args.samples} samples as the digit that was requested.\n"
        f"Open {(args.output / 'samples' / f'epoch-{args.epochs:04d}.png').resolve()}"
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Repeat the command to resume after the last completed epoch.")

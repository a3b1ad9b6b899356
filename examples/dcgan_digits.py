"""A deep convolutional GAN on 5,000 handwritten digits, at 32×32 pixels.

Radford, Metz, Chintala, 2015, arXiv 1511.06434, with nets a quarter as wide.

    python examples/dcgan_digits.py
"""

import argparse
import pathlib

import keras

import keras_gan as kg

IMAGE_SIZE, CHANNELS, VALUE_RANGE = 32, 1, (-1, 1)
WIDTH = 16
# With equal rates the discriminator of so few images runs away from the generator.
D_RATE, G_RATE, BETA_1 = 4e-4, 1e-3, 0.5
LABEL_SMOOTHING = 0.1


def arguments(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="mnist5k", help="mnist5k, mnist, cifar10, folder:PATH, ...")
    parser.add_argument("--epochs", type=int, default=25, help="passes over the data (default: 25)")
    parser.add_argument("--batch-size", type=int, default=64, help="minibatch (default: 64)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default="runs/dcgan_digits", help="folder")
    return parser.parse_args(argv)


def make_gan(steps, seed):
    nets = {"image_size": IMAGE_SIZE, "channels": CHANNELS, "width": WIDTH, "seed": seed}
    gan = kg.GAN(
        kg.architectures.dcgan_generator(**nets),
        kg.architectures.dcgan_discriminator(**nets),
        prior="uniform",
        seed=seed,
    )
    d_optimizer, g_optimizer = (
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps), BETA_1)
        for rate in (D_RATE, G_RATE)
    )
    loss = kg.losses.NonSaturating(label_smoothing=LABEL_SMOOTHING)
    gan.compile(d_optimizer, g_optimizer, loss=loss)
    return gan


def main(argv=None):
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    train = kg.datasets.load(
        args.dataset,
        batch_size=args.batch_size,
        value_range=VALUE_RANGE,
        image_size=IMAGE_SIZE,
        channels=CHANNELS,
        seed=args.seed,
    )
    gan = make_gan(args.epochs * len(train), args.seed)
    grid = kg.callbacks.SampleGrid(
        args.output / "samples",
        every=max(1, args.epochs // 5),
        rows=8,
        columns=10,
        seed=args.seed,
        value_range=VALUE_RANGE,
        gif=True,
    )
    history = gan.fit(train, epochs=args.epochs, callbacks=[grid])
    kg.pictures.training_curves(history, args.output / "curves.png")
    print(
        f"Samples, a film of them and training curves are in {args.output.resolve()}: open "
        f"samples/epoch-{args.epochs:04d}.png."
    )


if __name__ == "__main__":
    main()

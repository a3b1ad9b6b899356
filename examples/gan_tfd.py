"""The adversarial nets of 2014 on faces of 48×48 pixels, in two stages: Figure 2b and Table 1.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014, arXiv 1406.2661, with
the settings of 2014 or, on request, `kg.recipes.adam_r1_ema`.

    python examples/gan_tfd.py --data TFD_48x48.mat    # the Toronto Face Database, which is not public
    python examples/gan_tfd.py --olivetti olivettifaces.mat --units 1000 --recipe ema \\
        --epochs 1500 --stacked-epochs 500

After the first stage, new latents are stacked under its generator, and all of it is trained against a
new discriminator. The paper's 8000 units (104 million weights) need a GPU; its number for the database
is 2057 ± 26 nats. The 400 Olivetti faces of 40 people (64×64, resized) can replace the database: 30
people for training, the other ten for the folds.

The second command takes about 9 minutes of one core. Reached with seed 0: 1283 ± 121 nats, which cannot
be compared with the paper's number (1149 ± 116 for one window on the mean face, 1669 ± 69 for the
training faces instead of samples). After 4,500 and 1,500 steps most samples are still near the mean of
the training faces. The paper trains for 50 and 22 epochs on a far larger data set.
"""

import argparse
import io
import json
import pathlib

import keras
import numpy as np
from gan_mnist import positive

import keras_gan as kg
from keras_gan.utils import files
from keras_gan.utils.optional import require

SIDE, FOLDS = 48, range(5)
LEARNING_RATE, BATCH_SIZE = 0.05, 100
PAPER_UNITS, PAPER_D_UNITS = 8000, 1200
UNLABELED, TRAIN, VALID, TEST = range(4)  # numbers in the database's `folds`
PEOPLE, IMAGES, HELD_OUT = 40, 10, 10  # in the Olivetti file: ten images each of 40 people


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    faces = parser.add_mutually_exclusive_group(required=True)
    faces.add_argument("--data", type=pathlib.Path, help="TFD_48x48.mat, or a file with its layout")
    faces.add_argument(
        "--olivetti", type=pathlib.Path, help="olivettifaces.mat, converted to that layout"
    )
    parser.add_argument(
        "--epochs", type=positive, default=50, help="epochs of the first stage (default: 50)"
    )
    parser.add_argument(
        "--stacked-epochs", type=positive, default=22, help="epochs of the second stage (default: 22)"
    )
    parser.add_argument(
        "--units",
        type=positive,
        default=PAPER_UNITS,
        help="hidden units of the generator (default: 8000)",
    )
    parser.add_argument(
        "--recipe",
        default="paper",
        choices=["paper", "ema"],
        help="paper: the settings of 2014 (default); ema: Adam, R1 and an EMA of the weights",
    )
    parser.add_argument(
        "--samples",
        type=positive,
        default=10_000,
        help="number of samples for the Parzen windows (default: 10000)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default="runs/gan_tfd", help="output folder")
    return parser.parse_args(argv)


def convert_olivetti(path, target):
    """Write the Olivetti faces as a file with the database's layout, atomically.

    Both stages train on the unlabeled images, those of 30 people. Each fold divides the other ten people
    differently: two for the test, and two to choose the bandwidth.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {str(path)!r}. Name olivettifaces.mat, 400 faces of 64×64.")
    faces = require("scipy.io").loadmat(path).get("faces")
    if getattr(faces, "shape", None) != (64 * 64, PEOPLE * IMAGES):
        raise ValueError(
            f"{str(path)!r} is not the file of the Olivetti faces: expected `faces` of shape "
            f"(4096, 400), one image per column. Received: {getattr(faces, 'shape', None)}. "
            "Name olivettifaces.mat, or pass a file with the layout of TFD_48x48.mat as --data."
        )
    upright = faces.T.reshape(-1, 64, 64).swapaxes(1, 2)
    images = kg.visualization.to_uint8(kg.datasets.load_arrays(upright, image_size=SIDE), (0, 1))[..., 0]
    expressions = np.full((len(images), 1), -1)  # unknown
    content = io.BytesIO()
    layout = {"images": images, "labs_ex": expressions, "folds": make_folds()}
    require("scipy.io").savemat(content, layout)
    files.write_bytes(target, content.getvalue())


def make_folds():
    """Return the role of each Olivetti image in each fold: an array of 400 rows and five columns."""
    people = np.arange(PEOPLE * IMAGES)[:, None] // IMAGES
    held_out = people - (PEOPLE - HELD_OUT)
    turn = (held_out - 2 * np.array(FOLDS)) % HELD_OUT
    roles = np.select([turn < 2, turn < 4], [TEST, VALID], TRAIN)
    return np.where(held_out < 0, UNLABELED, roles)


def play(generator, images, epochs, stage, args):
    """Train a generator against a new discriminator, draw, and return the GAN."""
    d_units = PAPER_D_UNITS * args.units // PAPER_UNITS
    discriminator = kg.architectures.tfd_discriminator(seed=args.seed + stage, units=d_units)
    gan = kg.GAN(generator, discriminator, prior="normal", seed=args.seed + stage)
    recipes = {
        "paper": lambda: kg.recipes.goodfellow2014(
            -(-len(images) // BATCH_SIZE), learning_rate=LEARNING_RATE
        ),
        "ema": kg.recipes.adam_r1_ema,
    }
    gan.compile(**recipes[args.recipe]())
    folder = args.output / f"stage_{stage}"
    every = max(1, epochs // 10)
    grid = kg.callbacks.SampleGrid(
        folder / "samples",
        every=every,
        rows=6,
        columns=8,
        seed=args.seed,
        nearest=images,
        use_ema=gan.ema is not None,
    )
    history = gan.fit(images, batch_size=BATCH_SIZE, epochs=epochs, callbacks=[grid])
    kg.visualization.training_curves(history, folder / "curves.png")
    files.write_bytes(folder / "history.json", json.dumps(history.history).encode())
    return gan


def log_likelihood(samples, source):
    """Parzen-window log-likelihood: the mean over the five folds, and its standard error."""
    folds = []
    for fold in FOLDS:
        validation, test = kg.datasets.load_arrays(source, ("valid", "test"), fold=fold)
        folds.append(kg.metrics.ParzenWindow(validation, dtype="float64")(test, samples).log_likelihood)
    return np.mean(folds), np.std(folds) / np.sqrt(len(folds))


def main(argv=None):
    """Train both stages, draw and measure."""
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    path, name = args.data, "the file's own folds"
    if args.olivetti:
        path, name = args.output / "olivetti_48x48.mat", "Olivetti faces, not the Toronto database"
        convert_olivetti(args.olivetti, path)
    source = f"tfd:{path}"
    images = kg.datasets.load_arrays(source, "unlabeled")

    first = kg.architectures.tfd_generator(images.mean(axis=0), seed=args.seed, units=args.units)
    gan = play(first, images, args.epochs, 1, args)
    if gan.ema is not None:
        gan.ema.assign_to_networks()
    stacked = kg.architectures.tfd_stacked_generator(first, seed=args.seed, units=args.units)
    gan = play(stacked, images, args.stacked_epochs, 2, args)
    gan.save(args.output / "gan.keras")

    samples = gan.generate(args.samples, seed=args.seed, use_ema=gan.ema is not None)
    mean, error = log_likelihood(samples, source)
    print(f"Parzen-window log-likelihood: {mean:.0f} ± {error:.0f} nats over five folds ({name}).")
    print(
        f"Samples, curves, histories and gan.keras are in {args.output.resolve()}. Open "
        f"stage_2/samples/epoch-{args.stacked_epochs:04d}.png: the last column holds the training "
        "faces nearest to the samples left of it."
    )


if __name__ == "__main__":
    main()

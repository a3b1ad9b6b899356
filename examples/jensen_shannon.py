"""The Jensen-Shannon divergence of data and samples: the discriminator's estimate, and the truth.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014, arXiv 1406.2661,
Theorem 1.

    python examples/jensen_shannon.py

For the optimal discriminator V(D, G) = −log 4 + 2·JSD(p_data‖p_g); for any other it is less. So
log 2 + ½V(D, G) is at most the Jensen-Shannon divergence of data and samples, and close to it while the
discriminator keeps up. The game is the one of `figure_1.py`: data N(4, 0.5²), samples that start as
N(3, 0.4²). The generator moves slowly, after k steps of the discriminator.

20 seconds of one core. Reached with seed 0: the divergence falls from 0.3861 to 0.0018 nats, and the
estimate, on 100,000 held-out data and samples, stays 0.0001 to 0.0062 below it.
"""

import argparse
import io
import math
import pathlib

import figure_1
import keras
import numpy as np
from figure_1 import DATA, PRIOR
from gan_mnist import positive

import keras_gan as kg
from keras_gan.utils import files
from keras_gan.utils.optional import require

BATCH_SIZE = 250
D_RATE, G_RATE, BETA_1 = 0.005, 0.0001, 0.5
EDGES = np.linspace(0.0, 8.0, 801)  # of the bins in which the masses of data and samples are compared


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=positive, default=30, help="number of epochs (default: 30)")
    parser.add_argument(
        "--examples", type=int, default=50_000, help="size of the data set (default: 50000)"
    )
    parser.add_argument("--discriminator-steps", type=int, default=5, help="k (default: 5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--output", type=pathlib.Path, default="runs/jensen_shannon", help="output folder"
    )
    return parser.parse_args(argv)


def jensen_shannon(p, q):
    """½KL(p‖m) + ½KL(q‖m) in nats, m = (p + q)/2, of two tables of probabilities."""
    divergence = 0.0
    for table in (p, q):
        inside = table > 0  # 0·log 0 is 0
        divergence += np.sum(table[inside] * np.log(2 * table[inside] / (p + q)[inside])) / 2
    return divergence


class Divergence(keras.callbacks.Callback):
    """Logs the discriminator's estimate of the divergence on validation data, and the divergence.

    Both are masses in narrow bins: of the data by their distribution function, of the samples by the
    share of latents, spread evenly over the prior's probability, that land in each bin.
    """

    def __init__(self, num_latents=100_000):
        super().__init__()
        shares = (np.arange(num_latents) + 0.5) / num_latents
        self.latents = np.array([PRIOR.inv_cdf(share) for share in shares])
        self.data_masses = np.diff([DATA.cdf(edge) for edge in EDGES])

    def on_epoch_end(self, epoch, logs=None):
        """Add `estimate` and `truth` to what is logged."""
        samples = np.clip(figure_1.make(self.model, self.latents), EDGES[0], EDGES[-1])
        masses = np.histogram(samples, EDGES)[0] / len(samples)
        logs["estimate"] = math.log(2) - logs["val_d_loss"] / 2
        logs["truth"] = jensen_shannon(self.data_masses, masses)


def play(args):
    """Train, the discriminator alone for the first epoch, and return both curves."""
    gan = kg.GAN(
        figure_1.make_generator(),
        figure_1.make_discriminator(DATA),
        prior="normal",
        seed=args.seed,
    )
    data = figure_1.draw(DATA, args.examples, args.seed)
    held_out = figure_1.draw(DATA, 100_000, args.seed + 1)
    curves = {"estimate": [], "truth": []}
    rows = BATCH_SIZE * args.discriminator_steps
    for g_rate, epochs in ((0.0, 1), (G_RATE, args.epochs)):
        gan.compile(
            keras.optimizers.Adam(D_RATE, BETA_1),
            keras.optimizers.Adam(g_rate, BETA_1),
            discriminator_steps=args.discriminator_steps,
        )
        history = gan.fit(
            data,
            batch_size=rows,
            epochs=epochs,
            verbose=0,
            validation_data=held_out,
            validation_batch_size=20_000,
            callbacks=[Divergence()],
        ).history
        for name, values in curves.items():
            values += history[name]
    return curves


def draw_curves(curves, path):
    """Write both curves as one PNG file."""
    figure = require("matplotlib.figure").Figure(figsize=(7, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    epochs = np.arange(len(curves["truth"]))
    axes.plot(epochs, curves["truth"], "k-", label=r"$JSD(p_{data} \| p_g)$")
    axes.plot(epochs, curves["estimate"], "C0.--", label=r"$\log 2 + V(D, G) / 2$")
    axes.axhline(math.log(2), color="gray", linestyle=":", label=r"$\log 2$, the most it can be")
    axes.axhline(0, color="gray", linewidth=1)
    axes.set(xlabel="epochs of the generator", ylabel="nats")
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png")
    files.write_bytes(path, content.getvalue())


def main(argv=None):
    """Play, draw and compare."""
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    curves = play(args)
    path = args.output / "jensen_shannon.png"
    draw_curves(curves, path)
    truth, estimate = (np.array(curves[name]) for name in ("truth", "estimate"))
    print(
        f"Divergence: {truth[0]:.4f} nats at first, {truth[-1]:.4f} at the end; estimated "
        f"{estimate[0]:.4f} and {estimate[-1]:.4f}. The estimate is lower by "
        f"{(truth - estimate).min():.4f} to {(truth - estimate).max():.4f} nats. "
        f"The figure is {path.resolve()}."
    )


if __name__ == "__main__":
    main()

"""Figure 1 of the paper from a real run: how a discriminator leads a generator to the data.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014, arXiv 1406.2661.

    python examples/figure_1.py

The data are N(4, 0.5²), the latents N(0, 1); the samples start as N(3, 0.4²). Each panel shows both
densities and the discriminator D; the arrows below point from latents z to samples G(z). R1 (Mescheder,
Geiger, Nowozin, 2018, arXiv 1801.04406) stabilizes the stages in which the generator moves.

20 seconds on 2 cores. Reached with seed 0: samples with mean 4.00 and standard deviation 0.50, and D
within 0.001 of ½ where the data are.
"""

import argparse
import io
import pathlib
import statistics

import keras
import numpy as np
from keras import layers, ops

import keras_gan as kg
from keras_gan.utils import files
from keras_gan.utils.optional import require

DATA = statistics.NormalDist(4.0, 0.5)
START = statistics.NormalDist(3.0, 0.4)  # near the data, as in the paper's panel (a)
PRIOR = statistics.NormalDist()
LATENTS = np.array([PRIOR.inv_cdf(share) for share in (np.arange(2000) + 0.5) / 2000])
BATCH_SIZE = 250
D_RATE, G_RATE, BETA_1 = 0.01, 0.001, 0.5
R1_WEIGHT = 0.01  # without it the players rotate around the solution
BANDWIDTH = 0.06
LEAST_DENSITY = 0.05  # The optimal D is drawn where data or samples have at least this density.
SHOWN = np.linspace(1.8, 5.8, 401)


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--epochs", type=int, default=20, help="number of epochs for panel (d) (default: 20)"
    )
    parser.add_argument(
        "--examples", type=int, default=50_000, help="size of the data set (default: 50000)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default="runs/figure_1", help="output folder")
    return parser.parse_args(argv)


def draw(data, rows, seed):
    """Draw examples from a normal distribution, as a column."""
    return np.random.default_rng(seed).normal(data.mean, data.stdev, (rows, 1)).astype("float32")


def make_generator():
    """A straight line plus two hidden layers, which add nothing at first: samples follow `START`."""
    latents = keras.Input((1,))
    hidden = layers.Dense(32, "tanh")(layers.Dense(32, "tanh")(latents))
    bend = layers.Dense(1, kernel_initializer="zeros")(hidden)
    line = layers.Rescaling(START.stdev, START.mean)(latents)
    return keras.Model(latents, layers.Add()([line, bend]))


def make_discriminator(data):
    """Two hidden layers, which see the data at mean 0 and standard deviation 1."""
    standard = layers.Rescaling(1 / data.stdev, -data.mean / data.stdev)
    hidden = [layers.Dense(32, "tanh"), layers.Dense(32, "tanh")]
    return keras.Sequential([keras.Input((1,)), standard, *hidden, layers.Dense(1)])


def train(gan, examples, epochs, g_rate=G_RATE, terms=()):
    """Train both players, or the discriminator alone with a `g_rate` of 0; the rates fall to 0."""
    steps = epochs * -(-len(examples) // BATCH_SIZE)
    d_optimizer, g_optimizer = (
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps), BETA_1)
        for rate in (D_RATE, g_rate)
    )
    at_once = 1 if keras.backend.backend() == "torch" else 10
    gan.compile(d_optimizer, g_optimizer, terms=terms, steps_per_execution=at_once)
    gan.fit(examples, epochs=epochs, batch_size=BATCH_SIZE, verbose=0)


def judge(gan, points):
    """D at the given points."""
    logits = gan.discriminator(ops.convert_to_tensor(points, "float32")[:, None])
    return ops.convert_to_numpy(ops.sigmoid(logits))[:, 0]


def make(gan, latents):
    """G at the given latents."""
    return ops.convert_to_numpy(gan(ops.convert_to_tensor(latents, "float32")[:, None]))[:, 0]


def snapshot(gan, title):
    """What a panel shows, as arrays."""
    samples = make(gan, LATENTS)
    kernels = np.exp(-0.5 * ((SHOWN[:, None] - samples) / BANDWIDTH) ** 2)
    density = kernels.mean(axis=1) / (BANDWIDTH * np.sqrt(2 * np.pi))
    return {"title": title, "decisions": judge(gan, SHOWN), "density": density, "samples": samples}


def play(gan, examples, epochs):
    """Train in four stages, and return what each panel shows."""
    r1 = [kg.terms.R1(R1_WEIGHT)]
    train(gan, examples[: 10 * BATCH_SIZE], 1, g_rate=0.0)
    panels = [snapshot(gan, "(a) near the data,\nD trained a little")]
    train(gan, examples, 3, g_rate=0.0)
    panels.append(snapshot(gan, "(b) G held,\nD trained to its optimum"))
    train(gan, examples[: 110 * BATCH_SIZE], 1, terms=r1)
    panels.append(snapshot(gan, "(c) G moved by\nthe gradient of D"))
    train(gan, examples, epochs, terms=r1)
    return [*panels, snapshot(gan, "(d) at the end\nD cannot tell")]


def draw_panel(axes, panel):
    """Densities, D and the best D for these densities above, arrows from z to x below."""
    truth = np.array([DATA.pdf(x) for x in SHOWN])
    total = truth + panel["density"]
    best = np.where(total > LEAST_DENSITY, truth / total, np.nan)
    axes.plot(SHOWN, best, color="lightskyblue", linewidth=4, label=r"$p_{data} / (p_{data} + p_g)$")
    axes.plot(SHOWN, panel["decisions"], "b--", label="discriminator $D$")
    axes.plot(SHOWN, truth, "k:", linewidth=2, label="data $p_{data}$")
    axes.plot(SHOWN, panel["density"], "g-", label="samples $p_g$")
    draw_arrows(axes, panel["samples"])
    axes.set(xlim=(SHOWN[0], SHOWN[-1]), ylim=(-0.75, 1.1), yticks=[0, 0.5, 1])
    axes.set_title(panel["title"], fontsize=11)
    axes.xaxis.set_visible(False)
    axes.spines[:].set_visible(False)


def draw_arrows(axes, samples):
    """Arrows from latents, on the lower line, to what the generator makes of them."""
    heights = {"x": -0.2, "z": -0.7}
    for name, height in heights.items():
        axes.axhline(height, color="black", linewidth=1)
        axes.text(SHOWN[0], height + 0.03, f"${name}$")
    # The latents have a scale of their own, which fills the line.
    starts = DATA.mean + 0.8 * LATENTS
    for start, end in zip(starts[50::100], samples[50::100], strict=True):
        arrow = {"arrowstyle": "->", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (end, heights["x"]), (start, heights["z"]), arrowprops=arrow)


def draw_figure(panels, path):
    """Write the panels side by side as one PNG file."""
    figure = require("matplotlib.figure").Figure(figsize=(11, 4), dpi=100, layout="constrained")
    row = figure.subplots(1, len(panels), sharey=True)
    for axes, panel in zip(row, panels, strict=True):
        draw_panel(axes, panel)
    handles, labels = row[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    files.write_bytes(path, content.getvalue())


def main(argv=None):
    """Play, draw and measure."""
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    gan = kg.GAN(make_generator(), make_discriminator(DATA), prior="normal", seed=args.seed)
    panels = play(gan, draw(DATA, args.examples, args.seed), args.epochs)
    path = args.output / "figure_1.png"
    draw_figure(panels, path)

    samples = gan.generate(20_000, seed=args.seed)
    near = np.abs(SHOWN - DATA.mean) <= 2 * DATA.stdev
    gap = np.abs(panels[-1]["decisions"][near] - 0.5).max()
    print(
        f"Samples have mean {samples.mean():.3f} (data {DATA.mean}) and standard deviation "
        f"{samples.std():.3f} (data {DATA.stdev}); |D - 1/2| is at most {gap:.3f} within two standard "
        f"deviations of the data's mean. The figure is {path.resolve()}."
    )


if __name__ == "__main__":
    main()

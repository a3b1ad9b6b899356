"""Ten steps of several games from one point, for a comparison of backends.

`python ten_steps.py MADE DONE` loads the GANs of a folder, writes what it found in them, trains them,
and writes them to another folder. `test_backends.py` makes the first folder on one backend, runs this
program on the others, and compares.
"""

import pathlib
import sys

import keras
import numpy as np
from keras import layers, ops

import keras_gan as kg

ROWS = np.random.default_rng(1).normal(size=(200, 2)).astype("float32")
LATENTS = np.random.default_rng(2).normal(size=(64, 4)).astype("float32")
BATCH = 20  # ten steps an epoch


@keras.saving.register_keras_serializable(package="ten_steps")
class Table(kg.priors.Prior):
    """Latents that are the same on all backends, whose random numbers differ."""

    def draw(self, shape, key):
        return ops.convert_to_tensor(LATENTS)[: shape[0]]


@keras.saving.register_keras_serializable(package="ten_steps")
class HalfWay(kg.terms.GradientPenalty):
    """A gradient penalty in the middle between real and fake examples."""

    def _uniform(self, shape):
        return 0.5 * ops.ones(shape)


def network(inputs, outputs, name, batch_norm=False):
    hidden = [layers.Dense(16, "tanh", use_bias=not batch_norm, name=f"{name}_hidden")]
    hidden += [layers.BatchNormalization()] if batch_norm else []
    return keras.Sequential([keras.Input((inputs,)), *hidden, layers.Dense(outputs)], name=name)


def images(name):
    """Small convolutional networks, with this package's own layers."""
    if name == "g":
        up = layers.Conv2DTranspose(2, 4, 2, "same", activation="tanh")
        first = [layers.Dense(2 * 2 * 3), layers.Reshape((2, 2, 3))]
        return keras.Sequential([keras.Input((4,)), *first, up, kg.layers.UntiedBias()], name=name)
    maxout = kg.layers.MaxoutConv2D(4, 2, 3, padding="same")
    last = [layers.Flatten(), kg.layers.Maxout(6, 2), layers.Dense(1)]
    return keras.Sequential([keras.Input((4, 4, 2)), maxout, *last], name=name)


# name: (compile's arguments, networks' arguments)
GAMES = {
    "alternating": lambda: ({"terms": [kg.terms.R1(0.5, interval=3)]}, {}),
    "two_steps": lambda: (
        {"discriminator_steps": 2, "ema_decay": 0.9, "gradient_norms": True},
        {"batch_norm": True},
    ),
    "shared": lambda: (
        {
            "update": kg.updates.Alternating(share_fakes=True),
            "discriminator_steps": 2,
            "terms": [kg.terms.FeatureMatching("d_hidden")],
        },
        {"batch_norm": True},
    ),
    "wasserstein": lambda: ({"terms": [HalfWay()], "loss": "wasserstein"}, {}),
    "single_pass": lambda: ({"single_pass": True, "loss": "hinge", "update": "simultaneous"}, {}),
    "extragradient": lambda: ({"update": "extragradient", "loss": "minimax"}, {}),
    "optimistic": lambda: ({"update": "optimistic", "loss": "least_squares"}, {}),
    "consensus": lambda: ({"update": kg.updates.Consensus(0.5)}, {}),
    "relativistic": lambda: (
        {"loss": "relativistic_average", "terms": [kg.terms.FeatureMatching("d_hidden")]},
        {},
    ),
    "historical": lambda: ({"terms": [kg.terms.HistoricalAveraging("generator", 0.1)]}, {}),
}


def make(name):
    arguments, parts = GAMES[name]()
    networks = [network(4, 2, "g", **parts), network(2, 1, "d", **parts)]
    return compiled(networks, arguments)


def compiled(networks, arguments):
    gan = kg.GAN(*networks, prior=Table(), seed=0)
    # A large epsilon: where gradients almost vanish, Adam would make steps of their rounding.
    d = keras.optimizers.Adam(1e-2, epsilon=1e-3)
    gan.compile(d, keras.optimizers.SGD(0.05, momentum=0.9), **arguments)
    return gan


def make_images():
    return compiled([images("g"), images("d")], {})


def data(gan):
    shape = gan.sample_shape
    return np.resize(ROWS, (200, *shape)) if len(shape) > 1 else ROWS


def train(gan):
    return gan.fit(data(gan), batch_size=BATCH, verbose=0, shuffle=False).history


def everything(gan):
    """All that a file keeps, in float64, whatever integers the backend has."""
    variables = [*gan.variables, *gan.optimizer.variables]
    return [np.asarray(ops.convert_to_numpy(v), "float64") for v in variables]


def main(made, done):
    for path in sorted(made.glob("*.keras")):
        gan = keras.models.load_model(path)
        np.savez(done / f"{path.stem}-loaded.npz", *everything(gan))
        history = train(gan)
        gan.save(done / path.name)
        np.savez(done / f"{path.stem}-trained.npz", *everything(gan), **history)


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))

"""The games that are timed, and how this package plays them, whatever Keras runs on."""

from typing import NamedTuple

import keras
import numpy as np

import keras_gan as kg
from benchmarks import work


class Case(NamedTuple):
    """A game: its networks, its batch, and how it is played.

    Args:
        nets: function that returns a new generator and a new discriminator.
        optimizer: function that returns an optimizer.
        rows: m, examples of a minibatch.
        k: the discriminator's steps.
        settings: further arguments of `GAN.compile`.
        products: function that returns the step's products (see `benchmarks.work`).
    """

    nets: callable
    optimizer: callable
    rows: int
    k: int
    settings: dict
    products: callable

    def work(self, **settings):
        """Return the products of a step."""
        return self.products(*self.nets(), self.rows, self.k, **settings)


def _mnist():
    return kg.architectures.mnist_generator(seed=0), kg.architectures.mnist_discriminator(seed=0)


def _dcgan():
    generator = kg.architectures.dcgan_generator(32, channels=3, seed=0)
    return generator, kg.architectures.dcgan_discriminator(32, channels=3, seed=0)


def _critic():
    """Return the same nets, without the critic's batch norm, which a gradient penalty rules out."""
    generator, discriminator = _dcgan()
    kept = [x for x in discriminator.layers if not isinstance(x, keras.layers.BatchNormalization)]
    return generator, keras.Sequential(
        [layer.__class__.from_config(layer.get_config()) for layer in kept]
    )


def _momentum():
    return keras.optimizers.SGD(0.1, momentum=0.5)


def _adam():
    return keras.optimizers.Adam(2e-4, beta_1=0.5)


_WASSERSTEIN = {"loss": "wasserstein", "terms": [kg.terms.GradientPenalty(weight=10.0)]}
CASES = {
    "mnist": Case(_mnist, _momentum, 100, 1, {}, work.alternating),
    "mnist, k = 5": Case(_mnist, _momentum, 100, 5, {}, work.alternating),
    "dcgan": Case(_dcgan, _adam, 64, 1, {}, work.alternating),
    "wgan-gp, k = 5": Case(_critic, _adam, 64, 5, _WASSERSTEIN, work.wasserstein),
}


class Batches(keras.utils.PyDataset):
    """One batch of random images, a number of times; it lies where the backend computes."""

    def __init__(self, rows, shape):
        super().__init__()
        self.steps = 1
        images = np.random.default_rng(0).random((rows, *shape), "float32")
        self.images = keras.ops.convert_to_tensor(images)

    def repeated(self, steps):
        """Return itself, as an epoch of that many steps."""
        self.steps = steps
        return self

    def __len__(self):
        """See base class."""
        return self.steps

    def __getitem__(self, index):
        """See base class."""
        return (self.images,)


def compiled(case, policy="float32", share_fakes=False, **settings):
    """Return a GAN; real and fake examples are judged in one pass, unless `settings` say otherwise."""
    keras.config.set_dtype_policy(policy)
    gan = kg.GAN(*case.nets(), seed=0)
    keras.config.set_dtype_policy("float32")
    update = kg.updates.Alternating(share_fakes)
    settings = {"single_pass": True, "discriminator_steps": case.k, **case.settings, **settings}
    gan.compile(case.optimizer(), case.optimizer(), update=update, **settings)
    return gan

"""The games that are timed, as keras_gan plays them and as the Keras guides' pattern does."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import keras_gan as kg
from benchmarks import guide, limit


class Case(NamedTuple):
    """A game: its networks, its batch, and how it is played.

    Args:
        nets: function that returns generator and discriminator.
        optimizer: function that returns an optimizer.
        rows: m, examples of a minibatch.
        k: the discriminator's steps.
        settings: further arguments of `GAN.compile`.
        guide: the class that plays it as the guides do.
        products: function that returns the step's products (see `benchmarks.limit`).
    """

    nets: callable
    optimizer: callable
    rows: int
    k: int
    settings: dict
    guide: type
    products: callable


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


_GAME = {"joint": True}
_WASSERSTEIN = {"joint": True, "loss": "wasserstein", "terms": [kg.terms.GradientPenalty(weight=10.0)]}
CASES = {
    "mnist": Case(_mnist, _momentum, 100, 1, _GAME, guide.GuideGAN, limit.alternating),
    "mnist, k = 5": Case(_mnist, _momentum, 100, 5, _GAME, guide.GuideGAN, limit.alternating),
    "dcgan": Case(_dcgan, _adam, 64, 1, _GAME, guide.GuideGAN, limit.alternating),
    "wgan-gp, k = 5": Case(
        _critic, _adam, 64, 5, _WASSERSTEIN, guide.GuideWassersteinGAN, limit.wasserstein
    ),
}


def batches(shape, rows):
    """Return an endless dataset of random images, as any user of `tf.data` feeds them."""
    images = np.random.default_rng(0).uniform(size=(20 * rows, *shape)).astype("float32")
    return untuned(tf.data.Dataset.from_tensor_slices(images).cache().batch(rows).repeat().prefetch(2))


def untuned(data):
    """Return a dataset without autotuning, whose thread may hold up the end of `fit`.

    Who leaves an iterator before its end waits until that thread wakes up, at 10, 30, 70, 150, ...
    milliseconds: up to as long as the training took.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def keras_gan(case, policy="float32", **settings):
    """Return `run(n)` of this package."""
    keras.config.set_dtype_policy(policy)
    gan = kg.GAN(*case.nets(), seed=0)
    keras.config.set_dtype_policy("float32")
    settings = {**case.settings, "discriminator_steps": case.k, **settings}
    gan.compile(case.optimizer(), case.optimizer(), **settings)
    return _fit(gan, batches(gan.sample_shape, case.k * case.rows))


def guide_pattern(case):
    """Return `run(n)` of the guides' pattern."""
    generator, discriminator = case.nets()
    gan = case.guide(generator, discriminator, 100, case.k)
    gan.compile(case.optimizer(), case.optimizer())
    return _fit(gan, batches(generator.output_shape[1:], case.rows))


def the_limit(case, **settings):
    """Return `run(n)` of the step's products alone."""
    return limit.runner(case.products(*case.nets(), case.rows, case.k, **settings))


def _fit(model, data):
    def run(steps):
        model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)

    return run

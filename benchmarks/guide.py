"""The pattern that the Keras guides teach: a model with a `train_step` of its own, for one game.

Both games are written as the guides' readers write them: a pass for fakes, a joint pass of the
discriminator (of the critic, two), a tape for each player, and metrics of the losses. `training=True`,
which the guide of the first game leaves out, makes it the same work: Keras 3 would neither drop units
nor normalize by batch.
"""

import keras
import tensorflow as tf
from keras import ops


class GuideGAN(keras.Model):
    """The game of 2014, with k steps of the discriminator."""

    def __init__(self, generator, discriminator, latent_dim, discriminator_steps=1):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.latent_dim, self.discriminator_steps = latent_dim, discriminator_steps
        self.noise = keras.random.SeedGenerator(0)

    def compile(self, d_optimizer, g_optimizer):
        """Keep the two optimizers."""
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        self.cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
        self.d_mean = keras.metrics.Mean(name="d_loss")
        self.g_mean = keras.metrics.Mean(name="g_loss")

    @property
    def metrics(self):
        """The epoch means."""
        return [self.d_mean, self.g_mean]

    def latents(self, rows):
        """Draw latents."""
        return keras.random.normal((rows, self.latent_dim), seed=self.noise)

    def train_step(self, images):
        """Move the discriminator k times, then the generator."""
        rows = ops.shape(images)[0]
        for _ in range(self.discriminator_steps):
            d_loss = self.discriminator_step(images, rows)
        latents = self.latents(rows)
        with tf.GradientTape() as tape:
            fakes = self.generator(latents, training=True)
            g_loss = self.generator_loss(self.discriminator(fakes, training=True))
        gradients = tape.gradient(g_loss, self.generator.trainable_weights)
        self.g_optimizer.apply(gradients, self.generator.trainable_weights)
        self.d_mean.update_state(d_loss)
        self.g_mean.update_state(g_loss)
        return {"d_loss": self.d_mean.result(), "g_loss": self.g_mean.result()}

    def discriminator_step(self, images, rows):
        """Move the discriminator, and return its loss."""
        fakes = self.generator(self.latents(rows), training=True)
        both = ops.concatenate([fakes, images], axis=0)
        labels = ops.concatenate([ops.zeros((rows, 1)), ops.ones((rows, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.cross_entropy(labels, self.discriminator(both, training=True))
        gradients = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply(gradients, self.discriminator.trainable_weights)
        return d_loss

    def generator_loss(self, logits):
        """Return the loss of the generator."""
        return self.cross_entropy(ops.ones_like(logits), logits)


class GuideWassersteinGAN(GuideGAN):
    """The Wasserstein game with a gradient penalty of weight 10."""

    def discriminator_step(self, images, rows):
        """Move the discriminator, and return its loss."""
        latents = self.latents(rows)
        with tf.GradientTape() as tape:
            fakes = self.generator(latents, training=True)
            on_fakes = self.discriminator(fakes, training=True)
            on_images = self.discriminator(images, training=True)
            cost = ops.mean(on_fakes) - ops.mean(on_images)
            d_loss = cost + 10.0 * self.penalty(images, fakes, rows)
        gradients = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply(gradients, self.discriminator.trainable_weights)
        return d_loss

    def penalty(self, images, fakes, rows):
        """Return the mean of (‖gradient‖ − 1)²."""
        weights = keras.random.uniform((rows, 1, 1, 1), seed=self.noise)
        between = images + weights * (fakes - images)
        with tf.GradientTape() as tape:
            tape.watch(between)
            scores = self.discriminator(between, training=True)
        gradients = tape.gradient(scores, [between])[0]
        norms = ops.sqrt(ops.sum(ops.square(gradients), axis=[1, 2, 3]))
        return ops.mean((norms - 1.0) ** 2)

    def generator_loss(self, logits):
        """Return the loss of the generator."""
        return -ops.mean(logits)


GUIDES = {"alternating": GuideGAN, "wasserstein": GuideWassersteinGAN}


def pattern(case):
    """Return the compiled model of a `benchmarks.cases.Case`."""
    generator, discriminator = case.nets()
    gan = GUIDES[case.products.__name__](generator, discriminator, 100, case.k)
    gan.compile(case.optimizer(), case.optimizer())
    return gan

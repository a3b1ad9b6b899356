"""What `--architecture` names: two networks, the range of their images, and how they are trained."""

import itertools

import keras

from keras_gan import losses, recipes
from keras_gan.architectures import (
    dcgan_discriminator,
    dcgan_generator,
    mnist_discriminator,
    mnist_generator,
)
from keras_gan.architectures.dcgan import doublings_to
from keras_gan.models import GAN

# The average is over about the last thousand steps.
_DECAY = 0.999
# Weights that fit into the memory of a machine, several times each: gradients, two moments, an average.
_LARGEST = 500_000_000


class DCGAN:
    """Deep convolutional nets of Radford, Metz and Chintala, 2015, for any size that is a power of 2.

    Their Adam for both players, with one-sided label smoothing (Salimans et al., 2016), and an average
    of the generator's weights.
    """

    name, value_range, size = "dcgan", (-1.0, 1.0), 64

    def check(self, size, width):
        """Refuse a size that is no power of two, and nets that fit into no memory."""
        maps = [width * 2**i for i in range(doublings_to(size))]
        weights = 2 * 5 * 5 * sum(a * b for a, b in itertools.pairwise(maps))
        if weights > _LARGEST:
            raise ValueError(
                f"The two nets of --size {size} and --width {width} would have {weights:,} weights, "
                f"more than {_LARGEST:,}. Expected: a smaller --size or --width."
            )

    def make(self, settings):
        """Return a compiled GAN, for the `Settings` of a run."""
        classes, seed = settings.classes, settings.seed
        how = {"num_classes": len(classes) if classes else None, "width": settings.width, "seed": seed}
        shape = settings.size, settings.channels
        gan = GAN(
            dcgan_generator(*shape, **how), dcgan_discriminator(*shape, **how), "uniform", seed=seed
        )
        gan.compile(
            keras.optimizers.Adam(2e-4, beta_1=0.5),
            keras.optimizers.Adam(2e-4, beta_1=0.5),
            loss=losses.NonSaturating(label_smoothing=0.1),
            ema_decay=_DECAY,
        )
        return gan


class Dense2014:
    """The dense nets of Goodfellow et al., 2014, for grey images of 28 × 28, by `adam_r1_ema`."""

    name, value_range, size = "dense2014", (0.0, 1.0), 28

    def check(self, size, width):
        """Refuse a size; these nets have one width."""
        if size != self.size:
            raise ValueError(
                f"The architecture 'dense2014' makes images of 28 × 28. Received: --size {size}"
            )

    def make(self, settings):
        """Return a compiled GAN, for the `Settings` of a run."""
        if settings.channels != 1 or settings.classes:
            raise ValueError(
                "The architecture 'dense2014' makes grey images of no class. Expected: --channels 1, "
                f"without --conditional. Received: {settings.channels} channels"
                f"{', and --conditional' if settings.classes else ''}."
            )
        seed = settings.seed
        gan = GAN(mnist_generator(seed=seed), mnist_discriminator(seed=seed), "uniform", seed=seed)
        gan.compile(**recipes.adam_r1_ema(ema_decay=_DECAY))
        return gan


ARCHITECTURES = {kind.name: kind for kind in (DCGAN(), Dense2014())}

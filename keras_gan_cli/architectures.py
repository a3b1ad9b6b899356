"""The choices of `--architecture`: two networks, the range of their images, and their training."""

import itertools
import math

import keras

from keras_gan import losses, recipes
from keras_gan.architectures import (
    dcgan_discriminator,
    dcgan_generator,
    mnist_discriminator,
    mnist_generator,
)
from keras_gan.models import GAN

# The EMA covers about the last thousand steps.
_EMA_DECAY = 0.999
# Weights are held several times: with their gradients, two moments and the EMA.
_MAX_WEIGHTS = 500_000_000


class DCGAN:
    """Convolutional networks of Radford, Metz and Chintala (2015), for sizes that are powers of 2.

    Adam for both players as in the paper, with one-sided label smoothing (Salimans et al., 2016) and
    an EMA of the generator's weights.
    """

    name, value_range, size = "dcgan", (-1.0, 1.0), 64

    def check(self, size, width):
        """Refuse a size that is not a power of 2, and networks that do not fit into memory."""
        below = 2 ** (size.bit_length() - 1)
        if size < 8 or size != below:
            nearest = "8" if size < 8 else f"{below} and {2 * below}"
            raise ValueError(
                f"--size must be a power of 2, at least 8; images are resized to it. The nearest: "
                f"{nearest}. Received: --size {size}"
            )
        maps = [width * 2**i for i in range(int(math.log2(size)) - 2)]
        # Of both networks, besides the dense layer from 100 latents to 4 × 4 maps.
        weights = 2 * 5 * 5 * sum(a * b for a, b in itertools.pairwise(maps)) + 100 * 16 * maps[-1]
        if weights > _MAX_WEIGHTS:
            raise ValueError(
                f"The networks of --size {size} and --width {width} would have {weights:,} weights, "
                f"more than {_MAX_WEIGHTS:,}. Choose a smaller --size or --width."
            )

    def make(self, settings):
        """Return a compiled GAN, for the `Settings` of a run."""
        classes, seed = settings.classes, settings.seed
        options = {
            "num_classes": len(classes) if classes else None,
            "width": settings.width,
            "seed": seed,
        }
        shape = settings.size, settings.channels
        generator, discriminator = (
            dcgan_generator(*shape, **options),
            dcgan_discriminator(*shape, **options),
        )
        gan = GAN(generator, discriminator, prior="uniform", seed=seed)
        gan.compile(
            keras.optimizers.Adam(2e-4, beta_1=0.5),
            keras.optimizers.Adam(2e-4, beta_1=0.5),
            loss=losses.NonSaturating(label_smoothing=0.1),
            ema_decay=_EMA_DECAY,
        )
        return gan


class Dense2014:
    """Dense networks of Goodfellow et al. (2014), for gray images of 28 × 28, with `adam_r1_ema`."""

    name, value_range, size = "dense2014", (0.0, 1.0), 28

    def check(self, size, width):
        """Refuse another size; these networks have one width."""
        if size != self.size:
            raise ValueError(
                f"--architecture dense2014 generates images of 28 × 28. Received: --size {size}"
            )

    def make(self, settings):
        """Return a compiled GAN, for the `Settings` of a run."""
        if settings.channels != 1 or settings.classes:
            raise ValueError(
                "--architecture dense2014 generates gray images without classes. Expected: "
                f"--channels 1, without --conditional. Received: {settings.channels} channels"
                f"{', and --conditional' if settings.classes else ''}."
            )
        seed = settings.seed
        generator, discriminator = mnist_generator(seed=seed), mnist_discriminator(seed=seed)
        gan = GAN(generator, discriminator, prior="uniform", seed=seed)
        gan.compile(**recipes.adam_r1_ema(ema_decay=_EMA_DECAY))
        return gan


ARCHITECTURES = {kind.name: kind for kind in (DCGAN(), Dense2014())}

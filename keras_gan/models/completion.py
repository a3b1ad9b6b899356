"""All conditionals p(x_S | x_¬S) by one model."""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan import priors
from keras_gan.masks import get as get_masks
from keras_gan.models.gan import GAN
from keras_gan.utils import batches, structures
from keras_gan.utils.typing import Array, Structure, Tensor
from keras_gan.utils.validation import check_array, check_integer, check_rows

__all__ = ["CompletionGAN"]


@keras.saving.register_keras_serializable(package="keras_gan")
class CompletionGAN(GAN):
    """A GAN that completes samples of which any subset of entries is known.

    Goodfellow et al., 2014, arXiv 1406.2661, section 6, point 3: all conditionals p(x_S | x_¬S), by a
    family of conditional models that share parameters. In each step, every row of the data gets a mask
    (1 for known entries, 0 for others). The generator fills in the others; the discriminator is shown
    (x, mask) and (completed x, mask). At the optimum, completions of the same known entries are samples
    of the conditional distribution, whatever the mask.

    It trains on complete data without labels: `fit(x)`.

    Args:
        generator: `keras.Model` from `[latents, known, mask]` to samples, where `known` is the sample
            with its unknown entries set to 0. Its output for known entries is replaced by them.
        discriminator: `keras.Model` from `[samples, mask]` to logits.
        masks: distribution of masks: a name (`"random"`: any subset, `"halves"` of images) or a
            `kg.masks.Mask`.
        prior: as in `kg.GAN`.
        seed: as in `kg.GAN`.
        name: as in `keras.Model`.

    Raises:
        TypeError: a network is not a `keras.Model`, or `masks` is not a distribution of masks.
        ValueError: the networks do not fit together, or there is no prior.

    Example:

    >>> z, x, mask = keras.Input((4,)), keras.Input((3,)), keras.Input((3,))
    >>> layers = keras.layers
    >>> generator = keras.Model([z, x, mask], layers.Dense(3)(layers.Concatenate()([z, x, mask])))
    >>> discriminator = keras.Model([x, mask], layers.Dense(1)(layers.Concatenate()([x, mask])))
    >>> gan = kg.models.CompletionGAN(generator, discriminator, prior="normal", seed=0)
    >>> completed = gan.complete(np.ones((2, 3), "float32"), mask=[1, 0, 0], n=5, seed=1)
    >>> completed.shape, completed[:, :, 0].min()
    ((5, 2, 3), np.float32(1.0))
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        masks: Any = "random",
        prior: str | priors.Prior | Any = "uniform",
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        if prior is None:
            raise ValueError("`prior` must be a distribution of the latents. Received: None")
        super().__init__(
            generator, discriminator, prior=prior, seed=seed, name=name, masks=get_masks(masks)
        )

    def _connect(self, condition):
        leaves = structures.leaves(condition)
        if len(leaves) != 2:
            raise ValueError(
                "The generator must take three inputs, `[latents, known, mask]`. Received: "
                f"{1 + len(leaves)} inputs"
            )
        self.masks = self.masks.with_shape(leaves[1].shape[1:])
        super()._connect(condition)

    @property
    def training_spec(self) -> batches.DataSpec:
        """See base class: the data have no masks, which are drawn."""
        return dataclasses.replace(self.data_spec, condition=None, condition_names=(), classes=())

    def conditions_of(self, x: Structure, labels: Structure) -> Structure:
        """See base class: the known entries of the examples under drawn masks, and the masks."""
        mask = self.masks.sample(ops.shape(x)[0], 0)
        return ops.multiply(x, mask), mask

    def generate_batch(
        self, latents: Tensor | None, condition: Structure = None, training: bool = False
    ) -> Structure:
        """See base class; known entries are kept."""
        known, mask = structures.leaves(condition)
        samples = super().generate_batch(latents, condition, training)
        return ops.where(ops.cast(mask, "float32") > 0.5, ops.cast(known, "float32"), samples)

    def present(
        self, x: Structure, latents: Tensor | None, condition: Structure, training: bool
    ) -> tuple[Structure, Structure]:
        """See base class."""
        if condition is None:
            mask = self.masks.sample(ops.shape(x)[0], self.noise)
        else:
            mask = structures.leaves(condition)[1]
        completed = self.generate_batch(latents, (x * mask, mask), training)
        return (x, mask), (completed, mask)

    def discriminate(
        self,
        samples: Structure,
        condition: Structure = None,
        training: bool = False,
        network: keras.Model | None = None,
    ) -> Structure:
        """See base class; the mask is part of the samples."""
        return super().discriminate(samples, None, training, network)

    def complete(
        self,
        x: Array,
        mask: Array,
        n: int = 1,
        *,
        seed: int | None = None,
        batch_size: int = 500,
        use_ema: bool = False,
    ) -> np.ndarray:
        """Return completions of samples.

        Args:
            x: float array of rows `(rows, ...)`; its unknown entries have no effect and may be NaN.
            mask: array of 1 for known entries and 0 for others, of the shape of the generator's mask,
                for all rows or for each.
            n: number of completions of each row.
            seed: as in `generate`.
            batch_size: as in `generate`.
            use_ema: as in `generate`.

        Returns:
            Float32 array `(n, rows, ...)`. Known entries are those of `x`.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the mask has another shape, other numbers than 0 and 1, or no entry of 0 in a
                row; a known entry is not finite; others as in `generate`.
        """
        x = check_rows("x", x, self.sample_shape, finite=False)
        n = check_integer("n", n, minimum=1, maximum=(2**31 - 1) // len(x))
        mask = self._check_mask(check_array("mask", mask).astype("float32"), len(x))
        known = np.where(np.broadcast_to(mask, x.shape) > 0.5, x, 0.0).astype("float32")
        if not np.isfinite(known).all():
            raise ValueError("`x` must be finite where `mask` is 1.")
        condition = tuple(np.concatenate([part] * n) for part in (known, mask))
        completed = self.generate(
            n * len(x), seed=seed, condition=condition, batch_size=batch_size, use_ema=use_ema
        )
        return completed.reshape(n, *x.shape)

    def _check_mask(self, mask, rows):
        """Return a mask for each row."""
        shape = tuple(self.masks.shape)
        if mask.shape not in (shape, (rows, *shape)):
            raise ValueError(
                f"`mask` must have the shape {shape}, or {(rows, *shape)} with a mask for each row. "
                f"Received: {mask.shape}"
            )
        mask = np.broadcast_to(mask, (rows, *shape))
        if not np.isin(mask, (0.0, 1.0)).all():
            raise ValueError("`mask` must consist of 1 (known) and 0 (to be completed).")
        full = np.flatnonzero(mask.reshape(rows, -1).all(axis=1))
        if full.size:
            raise ValueError(
                f"`mask` must have an entry of 0 in each row, which is to be completed. Row {full[0]} "
                "has none."
            )
        return mask

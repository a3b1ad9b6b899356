"""LatentInterpolation: samples between latents during training."""

import numpy as np
from keras import ops

from keras_gan.callbacks.base import MAX_SAMPLES, ImageCallback, check_condition
from keras_gan.interpolation import get, interpolate
from keras_gan.utils import structures
from keras_gan.utils.typing import Array, Logs, PathLike, ValueRange
from keras_gan.utils.validation import check_integer
from keras_gan.visualization import image_grid, to_uint8

__all__ = ["LatentInterpolation"]


class LatentInterpolation(ImageCallback):
    """Draws rows of samples along paths between latents every few epochs.

    As in Figure 3 of Goodfellow et al. (2014, arXiv:1406.2661), each row leads in equal steps from the
    sample of one latent to that of another. If neighbors differ little and each is a plausible sample,
    the generator has learned more than single examples; jumps within a row suggest otherwise. The
    latents are the same each time. Each plot is a file `epoch-0007.png`; the first and the last epoch
    are always drawn, and files appear whole or not at all.

    The paper uses the linear path. In many dimensions it passes much nearer to the origin than latents
    of the prior lie (halfway at 1/√2 of their norm), where samples may be worse;
    `"spherical"` preserves the norm (White, 2016, arXiv:1609.04468). See
    `kg.interpolation.interpolate`.

    Args:
        directory: folder for the plots of this callback alone; created if it is missing.
        every: number of epochs between two plots. Defaults to 1.
        rows: number of paths. Defaults to 8.
        steps: number of samples on a path, including both ends; at least 2. Defaults to 10.
        path: `"linear"`, the default, or `"spherical"`.
        seed: integer that the ends are drawn from. Defaults to 0.
        condition: array or list of `rows` conditions, one for each path, for a conditional GAN.
            Defaults to None.
        value_range: pair of numbers shown as black and white. None, the default, chooses when
            training begins: (-1, 1) if any sample is negative, else (0, 1).
        gif: whether to write `interpolation.gif` when training ends, with the plots of this run and, if
            it is resumed, those of the epochs before it. Defaults to False.
        tensorboard: folder of a TensorBoard log to write the plots to as well, with the epoch as
            step. Defaults to None.
        use_ema: whether to draw samples of the EMA of the generator's weights, which requires
            `gan.compile(ema_decay=...)`. Defaults to False.

    Raises:
        ValueError: an argument is invalid; when training begins, the samples are not images, or the
            generator takes no latents.
        TypeError: an argument has the wrong type; when training begins, the model is not a `GAN`.

    Example:

    >>> import os
    >>> dense, reshape = keras.layers.Dense, keras.layers.Reshape
    >>> generator = keras.Sequential(
    ...     [keras.Input((8,)), dense(784, "sigmoid"), reshape((28, 28, 1))]
    ... )
    >>> discriminator = keras.Sequential(
    ...     [keras.Input((28, 28, 1)), keras.layers.Flatten(), dense(1)]
    ... )
    >>> gan = kg.GAN(generator, discriminator, prior="normal")
    >>> gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    >>> paths = kg.callbacks.LatentInterpolation("paths", rows=2, path="spherical")
    >>> images = np.zeros((64, 28, 28, 1), "float32")
    >>> history = gan.fit(images, epochs=2, verbose=0, callbacks=[paths])
    >>> sorted(os.listdir("paths"))
    ['epoch-0001.png', 'epoch-0002.png']
    """

    _needs = ("generate", "prior")
    _tag = "interpolation"

    def __init__(
        self,
        directory: PathLike,
        *,
        every: int = 1,
        rows: int = 8,
        steps: int = 10,
        path: str = "linear",
        seed: int = 0,
        condition: Array | None = None,
        value_range: ValueRange | None = None,
        gif: bool = False,
        tensorboard: PathLike | None = None,
        use_ema: bool = False,
    ) -> None:
        super().__init__(directory, every, value_range, gif, tensorboard, use_ema)
        get(path)
        rows = check_integer("rows", rows, minimum=1, maximum=MAX_SAMPLES)
        if condition is not None:
            condition = check_condition(condition, rows, f"{rows} paths")
        self.rows = rows
        self.steps = check_integer("steps", steps, minimum=2)
        self.path = path
        self.seed = check_integer("seed", seed, minimum=0)
        self.condition = condition

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See base class; refuse a generator without latents."""
        if getattr(self.model, "prior", self) is None:
            raise ValueError(
                "LatentInterpolation draws paths between latents. Received: a GAN whose generator takes "
                "none (`prior=None`). Train without this callback."
            )
        super().on_train_begin(logs)

    def _samples(self):
        # Ends alternate, so that the first rows do not depend on the number of rows.
        ends = ops.convert_to_numpy(self.model.prior.sample(2 * self.rows, self.seed))
        latents = interpolate(ends[::2], ends[1::2], self.steps, path=self.path)
        condition = structures.mapped(lambda c: np.repeat(c, self.steps, axis=0), self.condition)
        return self.model.generate(
            latents=latents.reshape(-1, *ends.shape[1:]), condition=condition, use_ema=self.use_ema
        )

    def _plot(self, samples):
        return image_grid(to_uint8(samples, self._shown_range), self.rows, self.steps)

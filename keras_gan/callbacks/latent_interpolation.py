"""LatentInterpolation: pictures of the way from one sample to another."""

import numpy as np
from keras import ops

from keras_gan.callbacks.base import ImageCallback, rows_of_conditions
from keras_gan.interpolation import get, interpolate
from keras_gan.metrics.metric import check_whole
from keras_gan.utils import structures
from keras_gan.utils.typing import Array, Logs, PathLike, ValueRange
from keras_gan.visualization import image_grid, to_uint8


class LatentInterpolation(ImageCallback):
    """Draws rows of samples along paths between latents every few epochs.

    As Figure 3 of Goodfellow et al. (2014, arXiv:1406.2661): each row leads in equal steps from the
    sample of one latent to that of another. Where neighbours differ little and yet each is a
    plausible sample, the generator has learned more than single examples; a row that jumps says
    that it has not. The latents are those of one seed, the same each time. Each picture is a file
    `epoch-0007.png`; first and last epoch are always drawn, and files appear whole or not at all.

    The linear path is the paper's. In many dimensions it passes through points much nearer to the
    origin than the prior draws, in the middle 1/√2 of the length, where samples may be worse than
    the generator's own; `"spherical"` keeps the length (White, 2016, arXiv:1609.04468). See
    `kg.interpolation.interpolate`.

    Args:
        directory: folder of the pictures, of this callback alone; made if missing.
        every: int, epochs from one picture to the next. Defaults to 1.
        rows: int, paths. Defaults to 8.
        steps: int, samples a path, both ends included, at least 2. Defaults to 10.
        path: `"linear"`, the default, or `"spherical"`.
        seed: int, what the ends are drawn from. Defaults to 0.
        condition: array of `rows` conditions, one for each path, for a GAN that takes one. Defaults
            to `None`.
        value_range: pair of the numbers shown as black and white. `None`, the default, decides when
            training begins: (-1, 1) if any sample is negative, else (0, 1).
        gif: bool, whether training ends with `interpolation.gif`: the pictures of this run, and, if
            it is resumed, those of the epochs before it. Defaults to `False`.
        tensorboard: folder of a TensorBoard log to write the pictures into as well, with the number
            of the epoch as step. Defaults to `None`.
        use_ema: bool, whether the average of the generator's weights makes the samples, which
            `gan.compile(ema_decay=...)` keeps. Defaults to `False`.

    Raises:
        ValueError: an argument that cannot be; or, when training begins, samples that are not
            images.
        TypeError: when training begins, a model that is no `GAN`.

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
        check_whole(1, rows=rows)
        check_whole(2, steps=steps)
        check_whole(0, seed=seed)
        get(path)
        if condition is not None:
            condition = rows_of_conditions(condition, rows, f"{rows} paths")
        self.rows = rows
        self.steps = steps
        self.path = path
        self.seed = seed
        self.condition = condition

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Refuse a generator without latents, besides what the base class refuses."""
        if getattr(self.model, "prior", self) is None:
            raise ValueError(
                "LatentInterpolation draws paths between latents, and the generator of this GAN takes "
                "none (`prior=None`). Train without this callback."
            )
        super().on_train_begin(logs)

    def _samples(self):
        # Ends alternate, so that more rows leave the first ones as they are.
        ends = ops.convert_to_numpy(self.model.prior.sample(2 * self.rows, self.seed))
        latents = interpolate(ends[::2], ends[1::2], self.steps, path=self.path)
        condition = structures.mapped(lambda c: np.repeat(c, self.steps, axis=0), self.condition)
        return self.model.generate(
            latents=latents.reshape(-1, *ends.shape[1:]), condition=condition, use_ema=self.use_ema
        )

    def _picture(self, samples):
        return image_grid(to_uint8(samples, self._shown_range), self.rows, self.steps)

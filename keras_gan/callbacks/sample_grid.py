"""SampleGrid: grids of samples during training."""

import numpy as np

from keras_gan.callbacks.base import MAX_SAMPLES, ImageCallback, check_condition
from keras_gan.utils.typing import Array, PathLike, ValueRange
from keras_gan.utils.validation import check_array, check_integer
from keras_gan.visualization import WHITE, image_grid, to_uint8

__all__ = ["SampleGrid"]


class SampleGrid(ImageCallback):
    """Draws a grid of samples every few epochs, from the same latents each time.

    The losses of a GAN say little about its samples: look at them. Each grid is a file
    `epoch-0007.png`, numbered from 1 by the epoch that it follows, also in a run that is resumed
    (`initial_epoch`, `keras.callbacks.BackupAndRestore`). The first and the last epoch are always
    drawn, and files appear whole or not at all.

    With `nearest` each row ends with the training image nearest to its last sample, as in Figure 2 of
    Goodfellow et al. (2014, arXiv:1406.2661): if the generator memorizes, the two are the same.

    Args:
        directory: folder of the images; created if it is missing.
        every: number of epochs between two grids. Defaults to 1.
        rows: number of rows. Defaults to 8.
        columns: number of samples in a row. Defaults to 8.
        seed: integer that the latents are drawn from. Defaults to 0.
        condition: array or list of `rows * columns` conditions, row by row, or one label for all
            samples, for a conditional GAN.
            Defaults to None.
        value_range: pair of numbers shown as black and white. None, the default, chooses
            when training begins: (-1, 1) if any sample is negative, as with a tanh output, else
            (0, 1), as with a sigmoid.
        nearest: array `(n, height, width, channels)` of training images in the value range of the
            samples, among which the nearest by squared distance of pixels are found. Defaults to None:
            no such column.
        gif: whether to write `samples.gif` when training ends, with the grids of this run and, if it is
            resumed, those of the epochs before it that have the same size. Defaults to False.
        tensorboard: folder of a TensorBoard log to write the grids to as well, with the epoch as
            step. Defaults to None.
        use_ema: whether to draw samples of the EMA of the generator's weights, which requires
            `gan.compile(ema_decay=...)`. Defaults to False.

    Raises:
        ValueError: an argument is invalid; when training begins, the samples are not images, or have
            another shape than the images of `nearest`.
        TypeError: an argument has the wrong type; when training begins, the model has no `generate`.

    Example:

    >>> import os, tempfile
    >>> import keras
    >>> import numpy as np
    >>> import keras_gan as kg
    >>> from keras_gan.callbacks import SampleGrid
    >>> dense, reshape = keras.layers.Dense, keras.layers.Reshape
    >>> generator = keras.Sequential(
    ...     [keras.Input((8,)), dense(784, "sigmoid"), reshape((28, 28, 1))]
    ... )
    >>> discriminator = keras.Sequential(
    ...     [keras.Input((28, 28, 1)), keras.layers.Flatten(), dense(1)]
    ... )
    >>> gan = kg.GAN(generator, discriminator)
    >>> gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    >>> folder = tempfile.mkdtemp()
    >>> images = np.zeros((64, 28, 28, 1), "float32")
    >>> grid = SampleGrid(folder, every=2)
    >>> history = gan.fit(images, epochs=5, verbose=0, callbacks=[grid])
    >>> sorted(os.listdir(folder))
    ['epoch-0001.png', 'epoch-0002.png', 'epoch-0004.png', 'epoch-0005.png']
    """

    _tag = "samples"

    def __init__(
        self,
        directory: PathLike,
        *,
        every: int = 1,
        rows: int = 8,
        columns: int = 8,
        seed: int = 0,
        condition: Array | None = None,
        value_range: ValueRange | None = None,
        nearest: Array | None = None,
        gif: bool = False,
        tensorboard: PathLike | None = None,
        use_ema: bool = False,
    ) -> None:
        super().__init__(directory, every, value_range, gif, tensorboard, use_ema)
        rows = check_integer("rows", rows, minimum=1, maximum=MAX_SAMPLES)
        columns = check_integer("columns", columns, minimum=1, maximum=MAX_SAMPLES)
        if condition is not None:
            what = f"{rows} × {columns} = {rows * columns} samples"
            condition = check_condition(condition, rows * columns, what)
        if nearest is not None:
            nearest = check_array("nearest", nearest).astype("float32")
            if nearest.ndim != 4:
                raise ValueError(
                    "`nearest` must be training images of shape (n, height, width, channels). "
                    f"Received shape: {nearest.shape}"
                )
        self.rows = rows
        self.columns = columns
        self.seed = check_integer("seed", seed, minimum=0)
        self.condition = condition
        self.nearest = nearest

    def _samples(self):
        return self.model.generate(
            self.rows * self.columns, seed=self.seed, condition=self.condition, use_ema=self.use_ema
        )

    def _images(self):
        samples = super()._images()
        if self.nearest is not None and self.nearest.shape[1:] != samples.shape[1:]:
            raise ValueError(
                f"The images of `nearest` must have the shape of the samples, {samples.shape[1:]}. "
                f"Received: {self.nearest.shape[1:]}. Pass the images that the GAN is trained on."
            )
        return samples

    def _plot(self, samples):
        plot = image_grid(to_uint8(samples, self._shown_range), self.rows, self.columns)
        if self.nearest is None:
            return plot
        images = self.nearest[_nearest(samples[self.columns - 1 :: self.columns], self.nearest)]
        column = image_grid(to_uint8(images, self._shown_range), self.rows, 1)
        gap = np.full_like(column[:, : column.shape[1] // 4], WHITE)
        return np.concatenate([plot, gap, column], axis=1)


def _nearest(samples, images):
    """Return the index of the image nearest to each sample in squared distance."""
    samples, images = samples.reshape(len(samples), -1), images.reshape(len(images), -1)
    # ‖s‖² is the same for all images.
    return (np.einsum("ij,ij->i", images, images) - 2 * samples @ images.T).argmin(axis=1)

"""SampleGrid: pictures of the samples while a GAN trains."""

import numpy as np

from keras_gan.callbacks.base import ImageCallback, rows_of_conditions
from keras_gan.metrics.metric import check_whole
from keras_gan.utils.typing import Array, PathLike, ValueRange
from keras_gan.visualization import WHITE, image_grid, to_uint8


class SampleGrid(ImageCallback):
    """Draws samples from the same latents every few epochs.

    Losses of a GAN say little about its samples: look at them. The latents are those of one seed,
    so that the pictures show the same points of latent space being learned. Each picture is a file
    `epoch-0007.png`, numbered from 1 by the epoch that it follows, also in a run that is resumed
    (`initial_epoch`, `keras.callbacks.BackupAndRestore`). The first and the last epoch are always
    drawn, and files appear whole or not at all.

    With `nearest` each row ends in the training image nearest to its last sample, as in Figure 2 of
    Goodfellow et al. (2014, arXiv:1406.2661): a generator that memorised would show the same
    image twice.

    Args:
        directory: folder of the pictures; made if missing.
        every: int, epochs from one picture to the next. Defaults to 1.
        rows: int, rows of samples. Defaults to 8.
        columns: int, samples a row. Defaults to 8.
        seed: int, what the latents are drawn from. Defaults to 0.
        condition: array of `rows * columns` conditions, sample by sample from the left of the first
            row, for a GAN that takes one. Defaults to `None`.
        value_range: pair of the numbers shown as black and white. `None`, the default, decides when
            training begins: (-1, 1) if any sample is negative, as those of a tanh output are, else
            (0, 1), as those of a sigmoid.
        nearest: array `(n, height, width, channels)` of training images in the range of the
            samples, searched by squared distance in pixel space. Defaults to `None`: no such
            column.
        gif: bool, whether training ends with `samples.gif`: the pictures of this run, and, if it is
            resumed, those of the epochs before it (but for those of another size). Defaults to
            `False`.
        tensorboard: folder of a TensorBoard log to write the pictures into as well, with the number
            of the epoch as step. Defaults to `None`.
        use_ema: bool, whether the average of the generator's weights makes the samples, which
            `gan.compile(ema_decay=...)` keeps. Defaults to `False`.

    Raises:
        ValueError: an argument that cannot be; or, when training begins, samples that are not
            images or not shaped as the images of `nearest`.
        TypeError: when training begins, a model without `generate`.

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
        check_whole(1, rows=rows, columns=columns)
        check_whole(0, seed=seed)
        if condition is not None:
            what = f"{rows} × {columns} = {rows * columns} samples"
            condition = rows_of_conditions(condition, rows * columns, what)
        if nearest is not None:
            nearest = np.asarray(nearest, dtype="float32")
            if nearest.ndim != 4 or len(nearest) == 0:
                raise ValueError(
                    "`nearest` holds training images, of shape (n, height, width, channels). "
                    f"Received shape: {nearest.shape}"
                )
        self.rows = rows
        self.columns = columns
        self.seed = seed
        self.condition = condition
        self.nearest = nearest

    def _samples(self):
        n = self.rows * self.columns
        how = {"seed": self.seed, "condition": self.condition, "use_ema": self.use_ema}
        return self.model.generate(n, **how)

    def _images(self):
        samples = super()._images()
        if self.nearest is not None and self.nearest.shape[1:] != samples.shape[1:]:
            raise ValueError(
                f"The images of `nearest` have shape {self.nearest.shape[1:]}, but those of the "
                f"generator {samples.shape[1:]}. Pass the images that it is trained on."
            )
        return samples

    def _picture(self, samples):
        picture = image_grid(to_uint8(samples, self._shown_range), self.rows, self.columns)
        if self.nearest is None:
            return picture
        found = self.nearest[_nearest(samples[self.columns - 1 :: self.columns], self.nearest)]
        column = image_grid(to_uint8(found, self._shown_range), self.rows, 1)
        gap = np.full_like(column[:, : column.shape[1] // 4], WHITE)
        return np.concatenate([picture, gap, column], axis=1)


def _nearest(samples, images):
    """Return the index of the image nearest to each sample in squared distance."""
    samples, images = samples.reshape(len(samples), -1), images.reshape(len(images), -1)
    # ‖s‖² is the same for all images, and left out.
    return (np.einsum("ij,ij->i", images, images) - 2 * samples @ images.T).argmin(axis=1)

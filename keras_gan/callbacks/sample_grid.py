"""SampleGrid: pictures of the samples while a GAN trains."""

import copy
import numbers
from pathlib import Path

import keras
import numpy as np

from keras_gan.optional import require
from keras_gan.pictures import WHITE, encode_png, limits, save_gif, save_png, tile, to_uint8


class SampleGrid(keras.callbacks.Callback):
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
        gif: bool, whether training ends with `samples.gif`, all the pictures in the folder in the
            order of their epochs (those of another size, left by another run, are passed over).
            Defaults to `False`.
        tensorboard: folder of a TensorBoard log to write the pictures into as well, with the number
            of the epoch as step. Defaults to `None`.

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

    def __init__(
        self,
        directory,
        every=1,
        rows=8,
        columns=8,
        seed=0,
        condition=None,
        value_range=None,
        nearest=None,
        gif=False,
        tensorboard=None,
    ):
        super().__init__()
        _check_whole(1, every=every, rows=rows, columns=columns)
        _check_whole(0, seed=seed)
        if value_range is not None:
            limits(value_range)
        if condition is not None:
            condition = np.asarray(condition)
            if condition.shape[:1] != (rows * columns,):
                raise ValueError(
                    f"`condition` needs one row for each of the {rows} × {columns} = "
                    f"{rows * columns} samples. Received shape: {condition.shape}"
                )
        if nearest is not None:
            nearest = np.asarray(nearest, dtype="float32")
            if nearest.ndim != 4 or len(nearest) == 0:
                raise ValueError(
                    "`nearest` holds training images, of shape (n, height, width, channels). "
                    f"Received shape: {nearest.shape}"
                )
        self.directory = Path(directory)
        self.every = every
        self.rows = rows
        self.columns = columns
        self.seed = seed
        self.condition = condition
        self.value_range = value_range
        self.nearest = nearest
        self.gif = gif
        self.tensorboard = tensorboard
        self._shown_range = value_range
        self._undrawn = None
        self._writer = None

    def __deepcopy__(self, memo):
        # A copy is for another run: it leaves model and writer behind, and shares the arrays,
        # which may be a whole training set and are only read.
        twin = copy.copy(self)
        twin._model = twin._writer = None
        return twin

    def on_train_begin(self, logs=None):
        """Report what would spoil the first picture, and open the TensorBoard log."""
        require("PIL.Image")
        self._undrawn = None
        samples = self._samples()
        if self.value_range is None:
            self._shown_range = (-1, 1) if (samples < 0).any() else (0, 1)
        if self.tensorboard is not None:
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(str(self.tensorboard))

    def on_epoch_end(self, epoch, logs=None):
        """Draw, if it is this epoch's turn."""
        number = self._undrawn = epoch + 1
        if number in (1, self.params["epochs"]) or number % self.every == 0:
            self._draw()

    def on_train_end(self, logs=None):
        """Draw the last epoch of a run that was stopped early, and finish animation and log."""
        if self._undrawn is not None:
            self._draw()
        if self.gif:
            self._animate()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _samples(self):
        if not hasattr(self.model, "generate"):
            raise TypeError(
                "SampleGrid draws what `model.generate(n, seed, condition)` returns, as that of a "
                f"`GAN`. Received a model without it: {type(self.model).__name__}"
            )
        samples = np.asarray(
            self.model.generate(self.rows * self.columns, seed=self.seed, condition=self.condition)
        )
        if samples.ndim != 4:
            raise ValueError(
                "SampleGrid draws images, of shape (n, height, width, channels), but the generator "
                f"returned shape {samples.shape}. End it with a layer such as "
                "`keras.layers.Reshape((28, 28, 1))`, or train without this callback."
            )
        if self.nearest is not None and self.nearest.shape[1:] != samples.shape[1:]:
            raise ValueError(
                f"The images of `nearest` have shape {self.nearest.shape[1:]}, but those of the "
                f"generator {samples.shape[1:]}. Pass the images that it is trained on."
            )
        return samples

    def _draw(self):
        picture = self._picture(self._samples())
        save_png(self.directory / f"epoch-{self._undrawn:04d}.png", picture)
        if self._writer is not None:
            self._log(picture)
        self._undrawn = None

    def _picture(self, samples):
        picture = tile(to_uint8(samples, self._shown_range), self.rows, self.columns)
        if self.nearest is None:
            return picture
        found = self.nearest[_nearest(samples[self.columns - 1 :: self.columns], self.nearest)]
        column = tile(to_uint8(found, self._shown_range), self.rows, 1)
        gap = np.full_like(column[:, : column.shape[1] // 4], WHITE)
        return np.concatenate([picture, gap, column], axis=1)

    def _log(self, picture):
        import tensorflow as tf

        # `tf.summary.image` needs the package tensorboard, which only readers of the log need.
        image = tf.compat.v1.Summary.Image(
            height=picture.shape[0],
            width=picture.shape[1],
            colorspace=1 if picture.ndim == 2 else picture.shape[2],
            encoded_image_string=encode_png(picture),
        )
        value = tf.compat.v1.Summary.Value(tag="samples", image=image)
        summary = tf.compat.v1.Summary(value=[value]).SerializeToString()
        with self._writer.as_default():
            tf.summary.experimental.write_raw_pb(summary, step=self._undrawn)
        self._writer.flush()

    def _animate(self):
        # Numbers have four digits or more: the longer name is the later epoch.
        paths = sorted(self.directory.glob("epoch-*.png"), key=lambda path: (len(path.name), path.name))
        frames = [np.asarray(require("PIL.Image").open(path)) for path in paths]
        frames = [frame for frame in frames if frame.shape == frames[-1].shape]
        if frames:
            save_gif(self.directory / "samples.gif", frames)


def _check_whole(least, **arguments):
    for name, value in arguments.items():
        if not isinstance(value, numbers.Integral) or value < least:
            raise ValueError(f"`{name}` is a whole number of {least} or more. Received: {value!r}")


def _nearest(samples, images):
    """Return the index of the image nearest to each sample in squared distance."""
    samples, images = samples.reshape(len(samples), -1), images.reshape(len(images), -1)
    # ‖s‖² is the same for all images, and left out.
    return (np.einsum("ij,ij->i", images, images) - 2 * samples @ images.T).argmin(axis=1)

"""Base classes of callbacks that act every few epochs."""

import contextlib
import copy
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from keras_gan import backend
from keras_gan.models.objectives import Objectives
from keras_gan.models.ranges import sample_range
from keras_gan.utils import structures
from keras_gan.utils.files import check_folder
from keras_gan.utils.images import channels_first
from keras_gan.utils.optional import require, tensorflow
from keras_gan.utils.typing import Data, Logs, PathLike, ValueRange
from keras_gan.utils.validation import check_array, check_flag, check_integer, check_range, naming
from keras_gan.visualization import encode_png, save_gif, save_png

__all__ = [
    "MAX_SAMPLES",
    "DrawingCallback",
    "EpochCallback",
    "ImageCallback",
    "check_condition",
    "load_images",
]

# Numbers of samples that `GAN.generate` takes.
MAX_SAMPLES = 2**31 - 1


class EpochCallback(keras.callbacks.Callback):
    """Acts on the samples or the logs of a GAN every few epochs, and can be deep-copied.

    Args:
        every: number of epochs between two actions.
    """

    _needs: tuple[str, ...] = ("generate",)

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = check_integer("every", every, minimum=1)
        self._writer = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # A copy is for another run, so it has no model and no writer. It shares arrays and datasets,
        # which are only read and may be large.
        twin = copy.copy(self)
        twin._model = twin._writer = None
        return twin

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Refuse a model that does not generate samples."""
        for name in self._needs:
            if not hasattr(self.model, name):
                raise TypeError(
                    f"{type(self).__name__} needs a model with `{name}`, such as a `GAN`. "
                    f"Received: {type(self.model).__name__}"
                )

    def _writes(self):
        """Return whether this process writes files: one of those that train together does."""
        return backend.is_chief(self.model)

    def _is_due(self, number):
        return number in (1, self.params["epochs"]) or number % self.every == 0


class DrawingCallback(EpochCallback):
    """Draws after the first, every n-th and the last epoch, including that of a run that stops early.

    A subclass defines `_draw`. Epochs are counted from 1, also in a run that is resumed.
    """

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the pending epoch."""
        super().on_train_begin(logs)
        self._pending_epoch: int | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Draw if the epoch is due."""
        self._pending_epoch = epoch + 1
        if self._is_due(self._pending_epoch):
            self._draw_now()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Draw the last epoch of a run that stopped early."""
        if self._pending_epoch is not None:
            self._draw_now()

    def _draw_now(self):
        self._draw(self._pending_epoch)
        self._pending_epoch = None

    def _draw(self, number):
        raise NotImplementedError(f"{type(self).__name__} must define `_draw`.")


class ImageCallback(DrawingCallback):
    """Draws samples into `epoch-0007.png`, a GIF and a TensorBoard log.

    A subclass defines `_samples` and `_plot`, and sets `_tag`, the name in the log and of the GIF.

    Args:
        directory: folder of the images.
        every: number of epochs between two images.
        value_range: pair of numbers shown as black and white, or None.
        gif: whether to write a GIF when training ends.
        tensorboard: folder of a TensorBoard log, or None.
        use_ema: whether to draw samples of the EMA of the generator's weights.
    """

    _resumed_epochs: int | None
    _drawn: list[int]

    def __init__(
        self,
        directory: PathLike,
        every: int,
        value_range: ValueRange | None,
        gif: bool,
        tensorboard: PathLike | None,
        use_ema: bool,
    ) -> None:
        super().__init__(every)
        if value_range is not None:
            value_range = check_range("value_range", value_range)
        # Absolute, so that a run that changes its working directory writes to one folder.
        self.directory = check_folder("directory", directory).absolute()
        self.value_range = self._shown_range = value_range
        self.gif = check_flag("gif", gif)
        self.tensorboard = None if tensorboard is None else check_folder("tensorboard", tensorboard)
        self.use_ema = check_flag("use_ema", use_ema)

    @property
    def writes_to(self) -> tuple[str, Path]:
        """Kind and folder of the files of this callback, which no other callback of a run may share."""
        return self._tag, self.directory

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Draw samples once, so that errors appear before training, and open the TensorBoard log."""
        require("PIL.Image")
        super().on_train_begin(logs)
        self._resumed_epochs, self._drawn = None, []
        samples = self._images()
        if self.value_range is None:
            known = sample_range(self.model) if isinstance(self.model, Objectives) else None
            self._shown_range = known or ((-1, 1) if (samples < 0).any() else (0, 1))
        if self.tensorboard is not None and self._writes():
            self._writer = tensorflow().summary.create_file_writer(str(self.tensorboard))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Draw if the epoch is due."""
        if self._resumed_epochs is None:
            self._resumed_epochs = epoch
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Draw the last epoch of a run that stopped early, and finish the GIF and the log."""
        super().on_train_end(logs)
        if self.gif and self._writes():
            self._animate()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _samples(self):
        raise NotImplementedError(f"{type(self).__name__} must define `_samples`.")

    def _plot(self, samples):
        raise NotImplementedError(f"{type(self).__name__} must define `_plot`.")

    def _images(self):
        samples = self._samples()
        if not hasattr(samples, "shape"):
            samples = structures.leaves(samples)
            # Images of several domains are placed side by side.
            together = all(leaf.ndim == 4 for leaf in samples)
            width = 3 if channels_first() else 2
            samples = np.concatenate(samples, axis=width) if together else samples[0]
        if samples.ndim != 4:
            raise ValueError(
                f"{type(self).__name__} draws images, of shape (n, height, width, channels), but the "
                f"generator returned shape {samples.shape}. End it with a layer such as "
                "`keras.layers.Reshape((28, 28, 1))`, or train without this callback."
            )
        if not channels_first() and samples.shape[1] in (1, 3) and samples.shape[3] not in (1, 3, 4):
            raise ValueError(
                f"{type(self).__name__} draws images, of shape (n, height, width, channels). Received "
                f"samples of shape {samples.shape}, which seem to have their channels first: call "
                '`keras.config.set_image_data_format("channels_first")`, or end the generator with '
                "`keras.layers.Permute((2, 3, 1))`."
            )
        return samples

    def _draw(self, number):
        plot = self._plot(self._images())
        if not self._writes():
            return
        save_png(self._path(number), plot)
        # A deep copy of this callback shares the old list.
        self._drawn = [*self._drawn, number]
        if self._writer is not None:
            self._log(plot, number)

    def _log(self, plot, number):
        tf = tensorflow()
        # `tf.summary.image` would need the package tensorboard.
        image = tf.compat.v1.Summary.Image(
            height=plot.shape[0],
            width=plot.shape[1],
            colorspace=1 if plot.ndim == 2 else plot.shape[2],
            encoded_image_string=encode_png(plot),
        )
        value = tf.compat.v1.Summary.Value(tag=self._tag, image=image)
        summary = tf.compat.v1.Summary(value=[value]).SerializeToString()
        with self._writer.as_default():
            tf.summary.experimental.write_raw_pb(summary, step=number)
        self._writer.flush()

    def _path(self, number):
        return self.directory / f"epoch-{number:04d}.png"

    def _animate(self):
        # The folder may hold images of other runs, apart from the epochs before a resumed one.
        numbers = [*range(1, (self._resumed_epochs or 0) + 1), *self._drawn]
        paths = [path for path in map(self._path, numbers) if path.exists()]
        frames = [np.asarray(require("PIL.Image").open(path)) for path in paths]
        frames = [frame for frame in frames if frame.shape == frames[-1].shape]
        if frames:
            save_gif(self.directory / f"{self._tag}.gif", frames)


def check_condition(condition: Any, rows: int, what: str) -> Any:
    """Return the conditions of some samples as an array or a structure of arrays, or raise.

    Args:
        condition: array, list or structure of arrays, or one label for all samples.
        rows: number of samples.
        what: description of the samples, for the message.

    Raises:
        ValueError: the conditions are not arrays, or do not have `rows` rows.
    """
    with naming("condition"):
        condition = structures.arrays(condition)
    if isinstance(condition, np.ndarray) and not condition.ndim:
        condition = np.repeat(condition, rows)  # one label for all samples
    for leaf in structures.leaves(condition):
        if leaf.shape[:1] != (rows,):
            raise ValueError(
                f"`condition` must have one row for each of the {what}. Received shape: {leaf.shape}"
            )
    return condition


def load_images(data: Data, max_images: int | None = None, name: str = "real") -> np.ndarray:
    """Return the images of an array, or of a dataset of batches, as one array without labels.

    Args:
        data: array `(n, ...)`, or `tf.data.Dataset` of batches of images or of `(images, labels)`.
            A dataset of `kg.datasets.load` is read in the order of its first epoch, and its epoch
            counter keeps its value.
        max_images: number of images to read, or None for all. They are evenly spaced in an array, which
            may be sorted, and the first ones of a dataset.
        name: name of the argument, for the message.

    Raises:
        ValueError: there are no images, they are not finite, or the dataset is infinite.
        TypeError: the images do not consist of numbers, or batches are dicts.
    """
    batches = _read_batches(data, max_images) if hasattr(data, "element_spec") else data
    hint = "Pass an array of real images of shape (n, ...), or a `tf.data.Dataset` of batches of them."
    images = check_array(name, batches, hint=hint)
    if images.ndim < 2:
        raise ValueError(
            f"`{name}` must be an array of real images of shape (n, ...), or a `tf.data.Dataset` of "
            f"batches of them. Received: {images.shape}"
        )
    if max_images is not None and max_images < len(images):
        images = images[np.linspace(0, len(images) - 1, max_images).astype(int)]
    return images


def _read_batches(dataset, max_images):
    if max_images is None and keras.ops.convert_to_numpy(dataset.cardinality()) == _INFINITE:
        raise ValueError(
            "The dataset of real images is infinite, since it repeats. Leave out `repeat()`, or limit "
            "it with `take(batches)`."
        )
    batches, rows = [], 0
    with _first_epoch(dataset):
        for batch in dataset:
            images = batch[0] if isinstance(batch, (tuple, list)) else batch
            if isinstance(images, dict):
                raise TypeError(
                    "A dataset of real images must have batches of images, or of (images, labels). "
                    f"Received: batches that are dicts with the keys {sorted(images)}. Select one: "
                    f'`dataset.map(lambda batch: batch["{next(iter(images), "image")}"])`.'
                )
            batches.append(keras.ops.convert_to_numpy(images))
            rows += len(batches[-1])
            if max_images is not None and rows >= max_images:
                break
    return np.concatenate(batches) if batches else np.empty(0)


# `tf.data.Dataset.cardinality` of an infinite dataset.
_INFINITE = -1


@contextlib.contextmanager
def _first_epoch(dataset):
    """Read a dataset with an epoch counter in the order of its first epoch, and reset the counter."""
    counter = getattr(dataset, "epoch", None)
    if not hasattr(counter, "assign"):
        yield
        return
    before = int(counter)
    counter.assign(0)
    try:
        yield
    finally:
        counter.assign(before)

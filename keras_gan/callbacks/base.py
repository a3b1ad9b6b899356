"""What callbacks share that act every few epochs."""

import contextlib
import copy
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from keras_gan import backend
from keras_gan.metrics.metric import check_whole
from keras_gan.models.objectives import Objectives
from keras_gan.models.ranges import sample_range
from keras_gan.utils import structures
from keras_gan.utils.images import channels_first
from keras_gan.utils.optional import require, tensorflow
from keras_gan.utils.typing import Data, Logs, PathLike, ValueRange
from keras_gan.visualization import check_value_range, encode_png, save_gif, save_png


class EpochCallback(keras.callbacks.Callback):
    """Acts on the samples or the logs of a GAN every few epochs, and can be deep-copied.

    Args:
        every: int, epochs from one act to the next.
    """

    _needs: tuple[str, ...] = ("generate",)

    def __init__(self, every: int) -> None:
        super().__init__()
        check_whole(1, every=every)
        self.every = every
        self._writer = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # A copy is for another run: it leaves model and writer behind, and shares arrays and data
        # sets, which may be a whole training set and are only read.
        twin = copy.copy(self)
        twin._model = twin._writer = None
        return twin

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Refuse a model that makes no samples."""
        for name in self._needs:
            if not hasattr(self.model, name):
                raise TypeError(
                    f"{type(self).__name__} is for a model with `{name}`, such as a `GAN`. "
                    f"Received a model without it: {type(self.model).__name__}"
                )

    def _writes(self):
        """Whether this process writes files: of several that train together, one does."""
        return backend.is_chief(self.model)

    def _is_due(self, number):
        return number in (1, self.params["epochs"]) or number % self.every == 0


class DrawingCallback(EpochCallback):
    """Draws after the first, every n-th and the last epoch, also of a run that is stopped early.

    A member writes `_draw`. Epochs are numbered from 1, also in a run that is resumed.
    """

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget what an earlier run left undrawn."""
        super().on_train_begin(logs)
        self._undrawn: int | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Draw, if it is this epoch's turn."""
        self._undrawn = epoch + 1
        if self._is_due(self._undrawn):
            self._draw_now()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Draw the last epoch of a run that was stopped early."""
        if self._undrawn is not None:
            self._draw_now()

    def _draw_now(self):
        self._draw(self._undrawn)
        self._undrawn = None

    def _draw(self, number):
        raise NotImplementedError(f"{type(self).__name__} must define `_draw`.")


class ImageCallback(DrawingCallback):
    """Draws images of a GAN into `epoch-0007.png`, a film and a TensorBoard log.

    A member writes `_samples` and `_picture`, and sets `_tag`, the name of the pictures.

    Args:
        directory: folder of the pictures.
        every: int, epochs from one picture to the next.
        value_range: pair of the numbers shown as black and white, or `None`.
        gif: bool, whether training ends with a film.
        tensorboard: folder of a TensorBoard log, or `None`.
        use_ema: bool, whether the samples are those of the generator's average.
    """

    _earlier: int | None
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
            check_value_range(value_range)
        self.directory = Path(directory)
        self.value_range = self._shown_range = value_range
        self.gif = gif
        self.tensorboard = tensorboard
        self.use_ema = use_ema

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Report what would spoil the first picture, and open the TensorBoard log."""
        require("PIL.Image")
        super().on_train_begin(logs)
        self._earlier, self._drawn = None, []
        samples = self._images()
        if self.value_range is None:
            known = sample_range(self.model) if isinstance(self.model, Objectives) else None
            self._shown_range = known or ((-1, 1) if (samples < 0).any() else (0, 1))
        if self.tensorboard is not None and self._writes():
            self._writer = tensorflow().summary.create_file_writer(str(self.tensorboard))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Draw, if it is this epoch's turn."""
        if self._earlier is None:
            self._earlier = epoch  # how many epochs an earlier run had trained
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Draw the last epoch of a run that was stopped early, and finish film and log."""
        super().on_train_end(logs)
        if self.gif and self._writes():
            self._animate()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _samples(self):
        raise NotImplementedError(f"{type(self).__name__} must define `_samples`.")

    def _picture(self, samples):
        raise NotImplementedError(f"{type(self).__name__} must define `_picture`.")

    def _images(self):
        samples = self._samples()
        if not hasattr(samples, "shape"):
            samples = structures.leaves(samples)
            # Images of several domains stand side by side.
            together = all(leaf.ndim == 4 for leaf in samples)
            width = 3 if channels_first() else 2
            samples = np.concatenate(samples, axis=width) if together else samples[0]
        if samples.ndim != 4:
            raise ValueError(
                f"{type(self).__name__} draws images, of shape (n, height, width, channels), but the "
                f"generator returned shape {samples.shape}. End it with a layer such as "
                "`keras.layers.Reshape((28, 28, 1))`, or train without this callback."
            )
        return samples

    def _draw(self, number):
        picture = self._picture(self._images())
        if not self._writes():
            return
        save_png(self._path(number), picture)
        # A new list: a deep copy of this callback shares the old one.
        self._drawn = [*self._drawn, number]
        if self._writer is not None:
            self._log(picture, number)

    def _log(self, picture, number):
        tf = tensorflow()
        # `tf.summary.image` needs the package tensorboard, which only readers of the log need.
        image = tf.compat.v1.Summary.Image(
            height=picture.shape[0],
            width=picture.shape[1],
            colorspace=1 if picture.ndim == 2 else picture.shape[2],
            encoded_image_string=encode_png(picture),
        )
        value = tf.compat.v1.Summary.Value(tag=self._tag, image=image)
        summary = tf.compat.v1.Summary(value=[value]).SerializeToString()
        with self._writer.as_default():
            tf.summary.experimental.write_raw_pb(summary, step=number)
        self._writer.flush()

    def _path(self, number):
        return self.directory / f"epoch-{number:04d}.png"

    def _animate(self):
        # The folder may hold pictures of other runs: only those before a resumed run belong to it.
        numbers = [*range(1, (self._earlier or 0) + 1), *self._drawn]
        paths = [path for path in map(self._path, numbers) if path.exists()]
        frames = [np.asarray(require("PIL.Image").open(path)) for path in paths]
        frames = [frame for frame in frames if frame.shape == frames[-1].shape]
        if frames:
            save_gif(self.directory / f"{self._tag}.gif", frames)


def rows_of_conditions(condition: Any, rows: int, what: str) -> Any:
    """Return the conditions of `rows` samples as an array, or as arrays in the structure given.

    Raises:
        ValueError: they are not so many; the message says that `what` needs them.
    """
    condition = structures.arrays(condition)
    for leaf in structures.leaves(condition):
        if leaf.shape[:1] != (rows,):
            raise ValueError(
                f"`condition` needs one row for each of the {what}. Received shape: {leaf.shape}"
            )
    return condition


def gather(data: Data, most: int | None = None) -> np.ndarray:
    """Return the images of an array, or of a dataset of batches, as one array without labels.

    Args:
        data: array `(n, ...)`, or `tf.data.Dataset` of batches of images or of `(images, labels)`.
            A dataset of `kg.datasets.load` is read in the order of its first epoch, and its count
            of epochs stays what it was.
        most: int, how many images are enough; `None` for all. They are taken from all of an array,
            which may be sorted, and from the beginning of a dataset.

    Raises:
        ValueError: there is no image, or no end of them.
        TypeError: batches are dicts.
    """
    images: Any = _read_batches(data, most) if hasattr(data, "element_spec") else data
    if len(getattr(images, "shape", ())) < 2 or 0 in images.shape:
        raise ValueError(
            "Real images are an array of shape (n, ...), or a `tf.data.Dataset` of batches of them, "
            f"with one image or more. Received: {getattr(images, 'shape', type(images).__name__)}"
        )
    if most is not None and most < len(images):
        images = np.asarray(images)[np.linspace(0, len(images) - 1, most).astype(int)]
    return np.asarray(images)


def _read_batches(dataset, most):
    if most is None and keras.ops.convert_to_numpy(dataset.cardinality()) == _INFINITE:
        raise ValueError(
            "The real images never end: the dataset repeats. Leave `repeat()` out, or end it with "
            "`take(batches)`."
        )
    batches, rows = [], 0
    with _first_epoch(dataset):
        for batch in dataset:
            images = batch[0] if isinstance(batch, (tuple, list)) else batch
            if isinstance(images, dict):
                raise TypeError(
                    "Real images come in batches of images, or of (images, labels). Received batches "
                    f"that are dicts with the keys {sorted(images)}. Take one of them: "
                    f'`dataset.map(lambda batch: batch["{next(iter(images), "image")}"])`.'
                )
            batches.append(keras.ops.convert_to_numpy(images))
            rows += len(batches[-1])
            if most is not None and rows >= most:
                break
    return np.concatenate(batches) if batches else np.empty(0)


# What `tf.data.Dataset.cardinality` says of a dataset without end.
_INFINITE = -1


@contextlib.contextmanager
def _first_epoch(dataset):
    """Have a dataset that orders each epoch anew give its first order, and go on as it was."""
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

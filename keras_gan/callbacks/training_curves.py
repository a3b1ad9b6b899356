"""TrainingCurves: a plot of the logs, updated during training."""

import json
import math
from pathlib import Path

import keras

from keras_gan import visualization
from keras_gan.callbacks.base import DrawingCallback
from keras_gan.utils import files
from keras_gan.utils.optional import require
from keras_gan.utils.typing import Logs, PathLike
from keras_gan.utils.validation import check_path

__all__ = ["TrainingCurves"]


class TrainingCurves(DrawingCallback):
    """Plots the training curves every few epochs.

    The plot is `kg.visualization.training_curves` of all logs so far: losses, decisions, and every
    other number, such as `val_parzen_log_likelihood`, in its own panel. Place this callback **after**
    those that write to the logs. A plot takes a few tenths of a second. The last epoch is always
    drawn, and files are written atomically.

    The numbers are written next to the plot after each epoch, to `curves.json` for `curves.png`, with
    `null` for numbers that are not finite. A run that is resumed (`initial_epoch`,
    `keras.callbacks.BackupAndRestore`) reads them and continues the curves; one that begins at the
    first epoch begins a new file.

    Args:
        path: PNG file; missing folders are created.
        every: number of epochs between two plots. Defaults to 1.

    Raises:
        ValueError: an argument is invalid; the logs lack `d_loss`, `g_loss`, `d_real` or
            `d_fake`; in a resumed run, the JSON file holds something else.
        TypeError: an argument has the wrong type; when training begins, the model has no `generate`.

    Example:

    >>> import os
    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> gan = kg.GAN(generator, discriminator, seed=0)
    >>> gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    >>> curves = kg.callbacks.TrainingCurves("curves.png", every=10)
    >>> points = np.zeros((64, 2), "float32")
    >>> history = gan.fit(points, epochs=2, verbose=0, callbacks=[curves])
    >>> sorted(os.listdir())
    ['curves.json', 'curves.png']
    """

    def __init__(self, path: PathLike, *, every: int = 1) -> None:
        super().__init__(every)
        visualization.check_png(path)
        self.path = check_path("path", path).absolute()
        self._rows: list[dict[str, float]] | None = None

    @property
    def writes_to(self) -> tuple[Path]:
        """File of this callback, which no other callback of a run may share."""
        return (self.path,)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See base class; require matplotlib."""
        require("matplotlib.figure")
        super().on_train_begin(logs)
        self._rows = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the numbers, and draw if the epoch is due."""
        if self._rows is None:
            self._rows = self._read(epoch) if epoch > 0 else []
        # A deep copy of this callback shares the old list.
        self._rows = [*self._rows, {"epoch": epoch + 1, **_numbers(logs or {})}]
        if self._writes():
            files.write_bytes(self.path.with_suffix(".json"), _to_json(self._rows))
        super().on_epoch_end(epoch, logs)

    def _read(self, epoch):
        path = self.path.with_suffix(".json")
        if not path.exists():
            return []
        try:
            return [row for row in _from_json(path.read_bytes()) if row["epoch"] <= epoch]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{path} must hold the curves of the epochs before {epoch + 1}, as TrainingCurves "
                f"writes them. Received: something else ({error}). Remove it, or choose another `path`."
            ) from error

    def _draw(self, number):
        if not self._writes():
            return
        history = keras.callbacks.History()
        names = dict.fromkeys(name for row in self._rows for name in row)
        history.history = {name: [row.get(name) for row in self._rows] for name in names}
        # Keras counts epochs from 0.
        history.epoch = [count - 1 for count in history.history.pop("epoch")]
        visualization.training_curves(history, self.path)


def _numbers(logs):
    return {name: float(value) for name, value in logs.items()}


def _to_json(rows):
    # JSON has no numbers that are not finite.
    rows = [{name: x if math.isfinite(x) else None for name, x in row.items()} for row in rows]
    return json.dumps(rows, allow_nan=False).encode()


def _from_json(content):
    rows = json.loads(content)
    return [{name: math.nan if x is None else x for name, x in row.items()} for row in rows]

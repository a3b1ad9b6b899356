"""TrainingCurves: a picture of the numbers that training logs, kept up to date."""

import json
import math
from pathlib import Path

import keras

from keras_gan import visualization
from keras_gan.callbacks.base import DrawingCallback
from keras_gan.utils import files
from keras_gan.utils.optional import require
from keras_gan.utils.typing import Logs, PathLike


class TrainingCurves(DrawingCallback):
    """Redraws the training curves every few epochs, so that a run can be watched.

    `keras_gan.visualization.training_curves` of all that is logged so far: losses, decisions, and every
    other number, such as `val_parzen_log_likelihood`, in a panel of its own. Put it **after** the
    callbacks that write into the logs. A picture takes some tenths of a second; the last epoch is
    always drawn, and files appear whole or not at all.

    The numbers themselves are kept beside the picture, in `curves.json` for `curves.png`, after
    each epoch, with `null` for what is not finite. A run that is resumed (`initial_epoch`,
    `keras.callbacks.BackupAndRestore`) reads them and draws on; one that begins at the first epoch
    begins a new file.

    Args:
        path: the PNG file; missing folders are made.
        every: int, epochs from one picture to the next. Defaults to 1.

    Raises:
        ValueError: an argument that cannot be; logs without `d_loss`, `g_loss`, `d_real` or
            `d_fake`; in a resumed run, a JSON file of something else.
        TypeError: when training begins, a model without `generate`.

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

    def __init__(self, path: PathLike, every: int = 1) -> None:
        super().__init__(every)
        visualization.check_png(path)
        self.path = Path(path)
        self._rows: list[dict[str, float]] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Report what would spoil the first picture."""
        require("matplotlib.figure")
        super().on_train_begin(logs)
        self._rows = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the numbers, and draw if it is this epoch's turn."""
        if self._rows is None:
            self._rows = self._earlier(epoch) if epoch > 0 else []
        # A new list: a deep copy of this callback shares the old one.
        self._rows = [*self._rows, {"epoch": epoch + 1, **_numbers(logs or {})}]
        if self._writes():
            files.write_bytes(self.path.with_suffix(".json"), _to_json(self._rows))
        super().on_epoch_end(epoch, logs)

    def _earlier(self, epoch):
        path = self.path.with_suffix(".json")
        if not path.exists():
            return []
        try:
            return [row for row in _from_json(path.read_bytes()) if row["epoch"] <= epoch]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{path} should hold the curves of the epochs before {epoch + 1}, as TrainingCurves "
                f"wrote them, but holds something else ({error}). Remove it, or choose another `path`."
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
    # JSON has no word for numbers that are not finite: they become `null`.
    rows = [{name: x if math.isfinite(x) else None for name, x in row.items()} for row in rows]
    return json.dumps(rows, allow_nan=False).encode()


def _from_json(content):
    rows = json.loads(content)
    return [{name: math.nan if x is None else x for name, x in row.items()} for row in rows]

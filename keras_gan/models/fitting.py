"""What a GAN watches during its own `fit`."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_gan.utils.typing import Logs

_EMPTY = (
    "The training data are empty: no batch came in the first epoch. Expected at least one batch of "
    "examples. Check the array's length, the dataset's split, or `drop_remainder=True` with a batch "
    "size above the number of examples."
)


def order_callbacks(
    callbacks: keras.callbacks.Callback | Sequence[Any] | None, data: Any, shuffle: bool
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of `fit` in the order in which they act, with a `FitGuard` as the first.

    One that keeps the state of the others (it has a method `keep`) comes before them, so that it sees
    an epoch's end after all of them have acted on it, when the next begins, and before they go on.

    Args:
        callbacks: callbacks, nested as Keras allows, or None.
        data: what `fit` trains on.
        shuffle: whether Keras shuffles it, by a state that it does not save.
    """
    if hasattr(data, "shape") and not len(data):
        raise ValueError(_EMPTY)
    callbacks = keras.tree.flatten(callbacks or [])
    keepers = [callback for callback in callbacks if hasattr(callback, "keep")]
    others = [callback for callback in callbacks if not hasattr(callback, "keep")]
    # Keras shuffles neither `tf.data` nor the loaders of torch nor generators.
    has_order = any(hasattr(data, name) for name in ("element_spec", "batch_sampler", "__next__"))
    for keeper in keepers:
        keeper.keep(others, shuffled=bool(shuffle) and not has_order)
    return [FitGuard(data), *keepers, *others]


class FitGuard(keras.callbacks.Callback):
    """Tells data their epoch, `TerminateOnNaN` of losses that are not finite, and users of no data.

    It comes first among the callbacks, which all receive the same logs.

    Args:
        data: what `fit` trains on; if it has an `epoch` variable, it is set.
    """

    # Keras may report the logs of a step while the next one runs.
    async_safe = True

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._data = data
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the data's epoch, on which its order depends."""
        counter: Any = getattr(self._data, "epoch", None)
        if hasattr(counter, "assign"):
            counter.assign(epoch)
        elif isinstance(counter, int):
            self._data.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count, and give `keras.callbacks.TerminateOnNaN` the `loss` that it looks for."""
        self._batches += 1
        if logs and not math.isfinite(logs["d_loss"] + logs["g_loss"]):
            logs["loss"] = math.nan

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Refuse data without a single batch, and settings that another callback has changed."""
        if not self._batches:
            raise ValueError(_EMPTY)
        self.model.check_settings()

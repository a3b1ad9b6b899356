"""The callbacks of `GAN.fit`: their checks, their order, and a guard that the GAN adds itself."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from keras_gan.models.data_position import FitData, Position, position
from keras_gan.utils.typing import Logs

__all__ = ["FitGuard", "flat_callbacks", "order_callbacks"]

_EMPTY = (
    "The training data are empty: no batch came in the first epoch. Expected at least one batch of "
    "examples. Check the array's length, the dataset's split, or `drop_remainder=True` with a batch "
    "size above the number of examples."
)


def order_callbacks(
    callbacks: keras.callbacks.Callback | Sequence[Any] | None, **given: FitData
) -> tuple[list[keras.callbacks.Callback], dict[str, FitData]]:
    """Return the callbacks of `fit` in the order in which they act, and the data for Keras.

    1. A `FitGuard`, which is added.
    2. `Resume`, or any callback with a method `attach`. When an epoch begins, all other callbacks have
       processed the previous epoch, and none has begun the next.
    3. The other callbacks, in the given order.
    4. Callbacks with an attribute `monitor`, after those that log the monitored number.

    With `Resume`, the data are wrapped so that their position can be saved.

    Args:
        callbacks: callbacks, nested as Keras allows, or None.
        **given: the training data as `data`, and validation data.

    Raises:
        ValueError: the position of the data cannot be kept, or a callback would set the learning rate.
    """
    callbacks = flat_callbacks(callbacks)
    _check_rates(callbacks)
    _check_files(callbacks)
    keepers = [callback for callback in callbacks if hasattr(callback, "attach")]
    others = [callback for callback in callbacks if not hasattr(callback, "attach")]
    others.sort(key=lambda callback: hasattr(callback, "monitor"))
    inner = [getattr(callback, "callback", None) for callback in others]
    wrapped = [callback for callback in inner if isinstance(callback, keras.callbacks.Callback)]
    positions = {name: position(data) if keepers else Position(data) for name, data in given.items()}
    for keeper in keepers:
        keeper.attach([*others, *wrapped], positions)
    data = {name: each.data for name, each in positions.items()}
    return [FitGuard(positions.values()), *keepers, *others], data


def flat_callbacks(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Return callbacks, nested as Keras allows, as a list.

    Raises:
        TypeError: one of them is not a callback.
    """
    callbacks = keras.tree.flatten([] if callbacks is None else callbacks)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(
                "`callbacks` must be a list of `keras.callbacks.Callback`. Received: "
                f"{callback!r} of type {type(callback).__name__}."
            )
    return callbacks


def _check_rates(callbacks):
    """Refuse callbacks that set the learning rate of a single optimizer: they would fail later."""
    kinds = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
    for callback in callbacks:
        if isinstance(callback, kinds):
            raise ValueError(
                f"`{type(callback).__name__}` sets the learning rate of the model's only optimizer. A "
                "GAN has one for each player. Wrap the callback: `kg.callbacks.PlayerCallback('d', "
                "callback)` for the discriminator's, `'g'` for the generator's."
            )


def _check_files(callbacks):
    """Refuse two callbacks that write to the same file: one would overwrite the output of the other."""
    writers = {}
    for callback in callbacks:
        key = getattr(callback, "writes_to", None)
        if key is not None and key in writers:
            raise ValueError(
                f"Two callbacks write to {key[-1]}: {writers[key]} and {type(callback).__name__}. Give "
                "each a folder or file of its own."
            )
        writers[key] = type(callback).__name__


class FitGuard(keras.callbacks.Callback):
    """Sets the epoch of the data, reports non-finite losses to `TerminateOnNaN`, and refuses empty data.

    It acts first, since all callbacks share one dict of logs, to which it may add an entry.

    Args:
        positions: positions of the training and the validation data.
    """

    # Keras may call this callback while the next step is running.
    async_safe = True

    def __init__(self, positions: Iterable[Position]) -> None:
        super().__init__()
        self._positions = list(positions)
        self._batches = 0
        self._is_first_epoch = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the epoch of the data, which determines their order."""
        for each in self._positions:
            each.begin(epoch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count batches, and log a `loss` of NaN for `TerminateOnNaN`, which reads that key."""
        self._batches += 1
        if logs and not math.isfinite(logs["d_loss"] + logs["g_loss"]):
            logs["loss"] = math.nan

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Raise an error if there were no batches, or another callback has changed a setting."""
        if not self._batches:
            raise ValueError(_EMPTY)
        self.model.check_settings()
        if self._is_first_epoch:
            self.model.check_first_epoch(logs or {})
        self._is_first_epoch = False

"""What a GAN watches during its own `fit`."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from keras_gan.models.data_position import FitData, Position, position
from keras_gan.utils.typing import Logs

_EMPTY = (
    "The training data are empty: no batch came in the first epoch. Expected at least one batch of "
    "examples. Check the array's length, the dataset's split, or `drop_remainder=True` with a batch "
    "size above the number of examples."
)


def order_callbacks(
    callbacks: keras.callbacks.Callback | Sequence[Any] | None, **given: FitData
) -> tuple[list[keras.callbacks.Callback], dict[str, FitData]]:
    """Return the callbacks of `fit` in the order in which they act, and the data for Keras.

    A `FitGuard` comes first. One that keeps the run (it has a method `attach`) comes before the others,
    so that it sees an epoch's end after all of them have acted on it, when the next begins, and before
    they continue. Those that `monitor` a number come last, after those that measure it. If a callback
    keeps the run, the data are read in a way that shows their position.

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
    positions = {name: position(data) if keepers else Position(data) for name, data in given.items()}
    for keeper in keepers:
        keeper.attach(others, positions)
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
    """Refuse callbacks of Keras that fail later, when they set the only learning rate of a model."""
    kinds = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
    for callback in callbacks:
        if isinstance(callback, kinds):
            raise ValueError(
                f"`{type(callback).__name__}` sets the learning rate of the model's only optimizer. A "
                "GAN has two. Pass a `keras.optimizers.schedules` schedule to either optimizer, or set "
                "`gan.d_optimizer.learning_rate` or `gan.g_optimizer.learning_rate` in your own "
                "callback, such as `keras.callbacks.LambdaCallback`."
            )


def _check_files(callbacks):
    """Refuse two callbacks that write the same files, of which one would be lost."""
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

    It comes first among the callbacks, which all receive the same logs.

    Args:
        positions: the positions of the data.
    """

    # Keras may report the logs of a step while the next one runs.
    async_safe = True

    def __init__(self, positions: Iterable[Position]) -> None:
        super().__init__()
        self._positions = list(positions)
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the epoch of the data, on which their order depends."""
        for each in self._positions:
            each.begin(epoch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count batches, and give `keras.callbacks.TerminateOnNaN` the `loss` that it looks for."""
        self._batches += 1
        if logs and not math.isfinite(logs["d_loss"] + logs["g_loss"]):
            logs["loss"] = math.nan

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Refuse data without a single batch, and settings that another callback has changed."""
        if not self._batches:
            raise ValueError(_EMPTY)
        self.model.check_settings()

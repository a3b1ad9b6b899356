"""What a GAN watches during its own `fit`."""

import math

import keras


class Supervisor(keras.callbacks.Callback):
    """Tells the data the number of the epoch, and `TerminateOnNaN` of losses that are not finite.

    It comes first among the callbacks, which all receive the same logs.

    Args:
        data: what `fit` trains on; if it has an `epoch` variable, it is set.
    """

    # Keras may report the logs of a step while the next one runs.
    async_safe = True

    def __init__(self, data):
        super().__init__()
        self._epoch = getattr(data, "epoch", None)

    def on_epoch_begin(self, epoch, logs=None):
        """Set the data's epoch, on which its order depends."""
        if self._epoch is not None:
            self._epoch.assign(epoch)

    def on_train_batch_end(self, batch, logs=None):
        """Add the `loss` that `keras.callbacks.TerminateOnNaN` looks for, if one is not finite."""
        if logs and not math.isfinite(logs["d_loss"] + logs["g_loss"]):
            logs["loss"] = math.nan

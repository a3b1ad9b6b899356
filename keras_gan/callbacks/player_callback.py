"""Callbacks of Keras that act on the optimizer of one player."""

from typing import Any

import keras

from keras_gan.utils.registry import unknown
from keras_gan.utils.typing import Logs
from keras_gan.utils.validation import check_string, shortened

__all__ = ["PlayerCallback"]


class PlayerCallback(keras.callbacks.Callback):
    """Runs a callback for one player: the model that it sees has the optimizer of this player only.

    `keras.callbacks.LearningRateScheduler`, `ReduceLROnPlateau` and `SwapEMAWeights` act on
    `model.optimizer`, but a GAN has an optimizer for each player. What the callback adds to the logs of
    an epoch gets the player's name: `d_learning_rate` instead of `learning_rate`. `kg.callbacks.Resume`
    keeps the state of the callback.

    Args:
        player: name of the player: `"d"` (discriminator) or `"g"` (generator).
        callback: `keras.callbacks.Callback`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: when training begins: the GAN has no such player.

    Example:

    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> gan = kg.GAN(generator, discriminator, seed=0)
    >>> gan.compile("sgd", "sgd")
    >>> halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    >>> slower = kg.callbacks.PlayerCallback("d", halve)
    >>> points = np.zeros((32, 2), "float32")
    >>> history = gan.fit(points, epochs=2, verbose=0, callbacks=[slower])
    >>> [round(rate, 6) for rate in history.history["d_learning_rate"]]
    [0.005, 0.0025]
    """

    def __init__(self, player: str, callback: keras.callbacks.Callback) -> None:
        super().__init__()
        self.player = check_string("player", player)
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(
                f"`callback` must be a `keras.callbacks.Callback`. Received: {shortened(callback)}"
            )
        self.callback = callback

    @property
    def monitor(self) -> str:
        """The number that the callback monitors, if it has one."""
        return self.callback.monitor

    def set_params(self, params: Any) -> None:
        """See base class."""
        super().set_params(params)
        self.callback.set_params(params)

    def set_model(self, model: keras.Model) -> None:
        """See base class; the callback gets the model with the player's optimizer."""
        super().set_model(model)
        players = list(getattr(model, "teams", ()))
        if self.player not in players:
            raise ValueError(unknown("player", self.player, players))
        self.callback.set_model(_OnePlayer(model, self.player))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Pass on the logs, and return what the callback adds under the player's name."""
        seen = dict(logs or {})
        self.callback.on_epoch_end(epoch, seen)
        if logs is not None:
            new = {name: value for name, value in seen.items() if name not in logs}
            logs.update({f"{self.player}_{name}": value for name, value in new.items()})


def _passed_on(name):
    """Return a method that calls the one of this name of the callback."""

    def method(self, *args, **kwargs):
        getattr(self.callback, name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = "See base class."
    return method


for _name in [
    "on_epoch_begin",
    *(f"on_{phase}_{when}" for phase in ("train", "test", "predict") for when in ("begin", "end")),
    *(f"on_{phase}_batch_{when}" for phase in ("train", "test", "predict") for when in ("begin", "end")),
]:
    setattr(PlayerCallback, _name, _passed_on(_name))


class _OnePlayer:
    """A GAN that seems to have one optimizer, that of a player."""

    def __init__(self, gan, player):
        self.__dict__.update(_gan=gan, _player=player)

    @property
    def optimizer(self):
        return getattr(self._gan.optimizer, self._player)

    def __getattr__(self, name):
        return getattr(self.__dict__["_gan"], name)

    def __setattr__(self, name, value):
        setattr(self._gan, name, value)

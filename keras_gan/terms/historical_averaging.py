"""Historical averaging."""

import keras
from keras import ops

from keras_gan.terms.term import PLAYERS, Term
from keras_gan.utils.networks import trainable
from keras_gan.utils.typing import Config, Game, Play, Tensor
from keras_gan.utils.validation import check_choice

__all__ = ["HistoricalAveraging"]


@keras.saving.register_keras_serializable(package="keras_gan")
class HistoricalAveraging(Term):
    """Pull a player's weights θ toward their average over training: ‖θ − (1/t)Σθ_i‖².

    Dampens orbits in games such as V = (f(x) − 1)(y − 1). Salimans, Goodfellow, Zaremba, Cheung,
    Radford, Chen, 2016, arXiv 1606.03498, section 3.3. Uses as much memory as the weights.

    Args:
        player: `"discriminator"` or `"generator"`; use one term for each.
        weight: factor, positive.
        interval: number of steps between evaluations (see `Term`).
        name: name in the logs; by default prefixed with the player's initial.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> kg.terms.HistoricalAveraging("generator", weight=0.1).name
    'g_historical_averaging'
    """

    def __init__(
        self, player: str, weight: float = 1.0, *, interval: int = 1, name: str | None = None
    ) -> None:
        self.player = check_choice("player", player, PLAYERS)
        self.players = (player,)
        name = f"{player[0]}_historical_averaging" if name is None else name
        super().__init__(weight, interval=interval, name=name)

    def build(self, gan: Game) -> list[keras.Variable]:
        """See base class."""
        self._weights = trainable(gan.teams[self.player[0]])
        self._averages = [
            keras.Variable(
                ops.zeros(v.shape, v.dtype),
                trainable=False,
                dtype=v.dtype,
                name=f"{self.name}_{i}",
            )
            for i, v in enumerate(self._weights)
        ]
        self._count = keras.Variable(0.0, trainable=False, dtype="float32", name=f"{self.name}_count")
        return [*self._averages, self._count]

    def update_state(self) -> None:
        """See base class."""
        self._count.assign_add(1.0)
        for weight, average in zip(self._weights, self._averages, strict=True):
            average.assign_add(
                (ops.convert_to_tensor(weight) - average) / ops.cast(self._count, average.dtype)
            )

    def call(self, play: Play) -> Tensor:
        """See base class."""
        pairs = zip(self._weights, self._averages, strict=True)
        squares = [ops.sum(ops.square(w - ops.stop_gradient(a))) for w, a in pairs]
        return sum(ops.cast(square, "float32") for square in squares)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"player": self.player, **super().get_config()}

"""The optimizers of all players, combined into the one that Keras expects of a model."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import keras

from keras_gan.models.files import restore
from keras_gan.utils import networks
from keras_gan.utils.typing import Tensor

__all__ = ["Optimizers", "check_optimizer", "unscaled"]


class Optimizers(keras.optimizers.Optimizer):
    """Holds the optimizer of each player, as an attribute with the player's name.

    Its own `iterations` count training steps, in each of which a player may take several.

    Keras only saves, restores and (on JAX) passes through the compiled step what belongs to
    `model.optimizer`; optimizers in other attributes would be lost silently.

    Args:
        **players: optimizers by the names of their players; the last is the generator's.
    """

    built: bool

    def __init__(self, **players: keras.optimizers.Optimizer) -> None:
        super().__init__(learning_rate=0.0, name="optimizers")
        self.names = tuple(players)
        for name, optimizer in players.items():
            setattr(self, name, optimizer)

    @property
    def per_player(self) -> list[keras.optimizers.Optimizer]:
        """The optimizers in the order of the players."""
        return [getattr(self, name) for name in self.names]

    def build(self, variables: Sequence[Sequence[keras.Variable]]) -> None:
        """Create the slots of all optimizers, for a list of variables for each player."""
        if not self.built:
            for name, own in zip(self.names, variables, strict=True):
                _build(name, getattr(self, name), own)
            # `keras.callbacks.SwapEMAWeights` reads these attributes.
            averaging = [o for o in map(unscaled, self.per_player) if o.use_ema]
            if averaging:
                self._trainable_variables = [v for o in averaging for v in o._trainable_variables]
                self._model_variables_moving_average = [
                    v for o in averaging for v in o._model_variables_moving_average
                ]
            self.built = True

    def moves(self, variables: Sequence[Sequence[keras.Variable]]) -> bool:
        """Return whether the optimizers were built for these variables, a list for each player."""
        return all(
            networks.same(optimizer._trainable_variables, own)
            for optimizer, own in zip(self.per_player, variables, strict=True)
        )

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of all optimizers, and the number of steps."""
        own = [variable for optimizer in self.per_player for variable in optimizer.variables]
        return [*own, self.iterations]

    @property
    def learning_rate(self) -> Tensor:
        """The generator's learning rate, for callbacks that report one."""
        return self.per_player[-1].learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise ValueError(
            "A GAN has an optimizer for each player, so that a callback cannot know whose learning rate "
            "to set. Wrap it, such as `kg.callbacks.PlayerCallback('d', callback)`, or assign "
            "`gan.d_optimizer.learning_rate` and `gan.g_optimizer.learning_rate`. "
            f"Received: learning_rate={value}"
        )

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Save the number of steps: the players' optimizers are saved as objects of their own."""
        store["iterations"] = keras.ops.convert_to_numpy(self.iterations)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Load what `save_own_variables` saved."""
        restore({"iterations": self.iterations}, store, "the optimizers")

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """Have all optimizers set the final values of weights, at the end of `fit`."""
        for optimizer in self.per_player:
            variables = optimizer._trainable_variables
            optimizer.finalize_variable_values(variables)
            # On JAX a weight would share the memory of its average, which the next step donates.
            for variable in variables if unscaled(optimizer).use_ema else []:
                variable.assign(keras.ops.copy(variable.value))


def unscaled(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer that a loss scale wraps, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _build(name, optimizer, variables):
    """Create an optimizer's slots, or check that existing ones belong to these variables."""
    inner = unscaled(optimizer)
    if inner.built and not networks.same(inner._trainable_variables, variables):
        raise ValueError(
            f"`{name}_optimizer` already keeps state for other weights, so it cannot move these. "
            "Expected a new optimizer, such as `type(optimizer).from_config(optimizer.get_config())`. "
            f"Received: {type(inner).__name__} named {inner.name!r}, built for "
            f"{len(inner._trainable_variables)} weights."
        )
    if not optimizer.built:
        optimizer.build(variables)


def check_optimizer(name: str, optimizer: Any) -> None:
    """Check that an argument of `compile` is an optimizer, or what Keras makes one of.

    Raises:
        TypeError: it is not.
        ValueError: no optimizer has this name.
    """
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return
    if not isinstance(optimizer, (str, dict)):
        raise TypeError(
            f"`{name}` must be a `keras.optimizers.Optimizer`, or its name. Received: {optimizer!r} of "
            f"type {type(optimizer).__name__}."
        )
    try:
        keras.optimizers.get(optimizer)
    except Exception as error:
        raise ValueError(
            f"`{name}` must be a `keras.optimizers.Optimizer`, or its name, such as 'adam'. Received: "
            f"{optimizer!r}. {error}"
        ) from error

"""The two optimizers of a GAN as the one that Keras expects of a model."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import keras

from keras_gan.models.saving import restore
from keras_gan.types import Tensor


class PairOptimizer(keras.optimizers.Optimizer):
    """Holds the discriminator's optimizer `d` and the generator's `g`.

    Its own `iterations` count training steps, whatever k is.

    Keras saves, restores and (on JAX) carries through the compiled step just what belongs to
    `model.optimizer`; an optimizer in another attribute is lost without a word.

    Args:
        d: the discriminator's optimizer.
        g: the generator's optimizer.
    """

    built: bool

    def __init__(self, d: keras.optimizers.Optimizer, g: keras.optimizers.Optimizer) -> None:
        super().__init__(learning_rate=0.0, name="pair_optimizer")
        self.d, self.g = d, g

    def build(self, variables: Sequence[Sequence[keras.Variable]]) -> None:
        """Make the slots of both optimizers, for `[d_variables, g_variables]`."""
        if not self.built:
            for optimizer, own in zip((self.d, self.g), variables, strict=True):
                optimizer.build(own)
            self.built = True

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of both optimizers, and the number of steps."""
        return [*self.d.variables, *self.g.variables, self.iterations]

    @property
    def learning_rate(self) -> Tensor:
        """The generator's learning rate, for callbacks that report one."""
        return self.g.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise ValueError(
            "A GAN has two optimizers, so that `LearningRateScheduler` and `ReduceLROnPlateau` cannot "
            "know whose learning rate to set. Pass a `keras.optimizers.schedules` schedule to either "
            "optimizer, or assign `gan.d_optimizer.learning_rate` and `gan.g_optimizer.learning_rate`. "
            f"Received: learning_rate={value}"
        )

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Save the number of steps: `d` and `g` are saved as objects of their own."""
        store["iterations"] = keras.ops.convert_to_numpy(self.iterations)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Load what `save_own_variables` saved."""
        restore({"iterations": self.iterations}, store, "the optimizers")

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """Let both optimizers set their final values, at the end of `fit`."""
        for optimizer in (self.d, self.g):
            variables = optimizer._trainable_variables
            optimizer.finalize_variable_values(variables)
            # On JAX a weight would share the memory of its average, which the next step gives away.
            for variable in variables if optimizer.use_ema else []:
                variable.assign(keras.ops.copy(variable.value))

"""Optimizers and schedules of the papers that Keras does not provide."""

import math
from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops
from keras.optimizers import schedules

from keras_gan.utils.typing import Config, Tensor
from keras_gan.utils.validation import check_integer, check_number, check_string

__all__ = ["EpochRamp", "GeometricDecay", "MomentumSGD"]


def __dir__():
    return __all__


_SCHEDULE = "A schedule of `keras.optimizers.schedules` may replace the number."
_register = keras.saving.register_keras_serializable(package="keras_gan")


@_register
class GeometricDecay(schedules.LearningRateSchedule):
    """Divide by a constant factor after every step, down to a minimum.

    `max(initial / factor**step, minimum)`, computed from the logarithm of the factor, since a factor
    as close to 1 as 1.000004 would lose most of its digits in float32.

    Goodfellow et al. 2014, arXiv 1406.2661, train with `GeometricDecay(0.1, 1.000004, minimum=1e-6)`.

    Args:
        initial: value at step 0, positive.
        factor: divisor after each step, greater than 1.
        minimum: lower bound of the value, at least 0.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> rate = kg.optimizers.GeometricDecay(0.1, factor=1.000004, minimum=1e-6)
    >>> [round(float(rate(step)), 6) for step in (0, 125_000, 10_000_000)]
    [0.1, 0.060653, 1e-06]
    """

    def __init__(self, initial: float, factor: float, *, minimum: float = 0.0) -> None:
        self.initial = check_number("initial", initial, above=0)
        self.factor = check_number(
            "factor", factor, above=1, hint="It divides the value after each step."
        )
        self.minimum = check_number("minimum", minimum, minimum=0)

    def __call__(self, step: int | Tensor) -> Tensor:
        """Return the value at `step`."""
        exponent = -math.log(self.factor) * ops.cast(step, "float32")
        return ops.maximum(self.initial * ops.exp(exponent), self.minimum)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"initial": self.initial, "factor": self.factor, "minimum": self.minimum}


@_register
class EpochRamp(schedules.LearningRateSchedule):
    """Interpolate linearly between two values over a range of epochs; constant within an epoch.

    The momentum of Goodfellow et al. 2014, arXiv 1406.2661, is
    `EpochRamp(0.5, 0.7, first_epoch=1, last_epoch=250, steps_per_epoch=500)`.

    Args:
        initial: value until the end of `first_epoch`.
        final: value from `last_epoch` on.
        first_epoch: epoch after which the value starts to change; epochs count from 1.
        last_epoch: epoch that reaches `final`, greater than `first_epoch`.
        steps_per_epoch: number of optimizer steps in an epoch, a positive integer.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> momentum = kg.optimizers.EpochRamp(
    ...     0.5, 0.7, first_epoch=1, last_epoch=250, steps_per_epoch=500
    ... )
    >>> [round(float(momentum(500 * epoch)), 4) for epoch in (0, 1, 249, 1000)]
    [0.5, 0.5008, 0.7, 0.7]
    """

    def __init__(
        self,
        initial: float,
        final: float,
        *,
        first_epoch: float,
        last_epoch: float,
        steps_per_epoch: int,
    ) -> None:
        self.initial = check_number("initial", initial)
        self.final = check_number("final", final)
        self.first_epoch = check_number("first_epoch", first_epoch)
        self.last_epoch = check_number(
            "last_epoch", last_epoch, above=self.first_epoch, hint="It must come after `first_epoch`."
        )
        self.steps_per_epoch = check_integer(
            "steps_per_epoch",
            steps_per_epoch,
            minimum=1,
            hint="It is the number of optimizer steps in an epoch (examples // batch size).",
        )

    def __call__(self, step: int | Tensor) -> Tensor:
        """Return the value at `step`."""
        epoch = 1.0 + ops.cast(ops.floor_divide(step, self.steps_per_epoch), "float32")
        progress = (epoch - self.first_epoch) / (self.last_epoch - self.first_epoch)
        return self.initial + (self.final - self.initial) * ops.clip(progress, 0.0, 1.0)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {
            "initial": self.initial,
            "final": self.final,
            "first_epoch": self.first_epoch,
            "last_epoch": self.last_epoch,
            "steps_per_epoch": self.steps_per_epoch,
        }


@_register
class MomentumSGD(keras.optimizers.Optimizer):
    """Gradient descent with classical momentum, which may follow a schedule.

    `velocity = momentum * velocity - learning_rate * gradient`, then `weight += velocity`, as in
    `keras.optimizers.SGD(momentum=...)`, whose momentum is a constant. Here it may be a schedule of the
    optimizer's iterations, like the learning rate.

    Sutskever, Martens, Dahl, Hinton 2013, "On the importance of initialization and momentum in
    deep learning", equations 1 and 2.

    Args:
        learning_rate: a number, or a schedule from `keras.optimizers.schedules`.
        momentum: a number in [0, 1), or a schedule of such numbers.
        name: name of the optimizer, or None.
        **kwargs: further arguments of Keras optimizers: `clipnorm`, `weight_decay`, `use_ema`, ...

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> optimizer = kg.optimizers.MomentumSGD(0.5, momentum=0.5)
    >>> weight = keras.Variable(1.0)
    >>> for gradient in (1.0, 1.0):
    ...     optimizer.apply([ops.convert_to_tensor(gradient)], [weight])
    >>> float(weight)
    -0.25
    """

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.01,
        momentum: float | schedules.LearningRateSchedule = 0.9,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not callable(learning_rate):
            learning_rate = check_number("learning_rate", learning_rate, minimum=0, hint=_SCHEDULE)
        if not isinstance(momentum, schedules.LearningRateSchedule):
            momentum = check_number("momentum", momentum, minimum=0, below=1, hint=_SCHEDULE)
        name = None if name is None else check_string("name", name)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create a velocity for each variable."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
        """Update one variable."""
        velocity = self._velocities[self._get_variable_index(variable)]
        momentum = self.momentum
        if isinstance(momentum, schedules.LearningRateSchedule):
            momentum = momentum(self.iterations)
        momentum, learning_rate, gradient = (
            ops.cast(value, variable.dtype) for value in (momentum, learning_rate, gradient)
        )
        self.assign(velocity, momentum * velocity - learning_rate * gradient)
        self.assign_add(variable, velocity)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        momentum = self.momentum
        if isinstance(momentum, schedules.LearningRateSchedule):
            momentum = schedules.serialize(momentum)
        return {**super().get_config(), "momentum": momentum}

    @classmethod
    def from_config(cls, config: Config, custom_objects: dict[str, Any] | None = None) -> Self:
        """Create the optimizer from the output of `get_config`."""
        config = dict(config)
        if isinstance(config["momentum"], dict):
            config["momentum"] = schedules.deserialize(config["momentum"], custom_objects)
        return super().from_config(config, custom_objects)

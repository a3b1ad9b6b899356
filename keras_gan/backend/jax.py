"""Gradients, optimizer steps and random bits on JAX, whose functions must be pure.

Inside a `keras.StatelessScope`, assignments to Keras' variables have no side effects. Functions that are
differentiated or conditional run in their own scope, and return the new values of variables.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import keras
import numpy as np
from keras import ops

from keras_gan.utils import structures
from keras_gan.utils.typing import Game, Structure, Tensor

INEXACT_SECOND_ORDER = ()

# A raw key of JAX.
DISTRIBUTION_SEED = "uint32"


class _Scope(keras.StatelessScope):
    """A scope that reads from the enclosing scope, and records which variables were changed."""

    def __init__(self, mapping=()):
        super().__init__(list(mapping), collect_losses=True)
        self.changed = {}

    def add_update(self, update):
        super().add_update(update)
        self.changed[id(update[0])] = update[0]

    def get_current_value(self, variable):
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            return self.original_scope.get_current_value(variable)
        return value


class _Pure:
    """Turns a function that changes variables into one that returns `(outputs, new values)`."""

    def __init__(self, function, variables=()):
        self.function = function
        self.variables = variables
        self.changed = []

    def __call__(self, values, *inputs):
        with _Scope(zip(self.variables, values, strict=True)) as scope:
            outputs = self.function(*inputs)
        self.changed = list(scope.changed.values())
        return outputs, [scope.get_current_value(variable) for variable in self.changed]

    def assign(self, values):
        """Assign the new values in the enclosing scope."""
        for variable, value in zip(self.changed, values, strict=True):
            variable.assign(value)


def trainer_step(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn `method(self, data)` into what the trainer calls: a function from a state to a new one."""

    @functools.wraps(method)
    def stateless(self, state, data):
        lists = [self.trainable_variables, self.non_trainable_variables, self.metrics_variables]
        if len(state) == 4:  # in training
            lists.insert(2, self.optimizer.variables)
        pairs = [
            pair
            for variables, values in zip(lists, state, strict=True)
            for pair in zip(variables, values, strict=True)
        ]
        with keras.StatelessScope(pairs, collect_losses=True) as scope:
            logs = method(self, data)
        return logs, tuple([scope.get_current_value(v) for v in variables] for variables in lists)

    return stateless


def gradients(
    objective: Callable[[], tuple[Sequence[Tensor], Any]],
    groups: Sequence[Sequence[keras.Variable]],
    optimizers: Sequence[keras.optimizers.Optimizer] | None = None,
) -> tuple[list[Sequence[Tensor]], Sequence[Tensor], Any]:
    """See `keras_gan.backend.tensorflow`. XLA merges the equal forward passes."""
    grads = []
    for i, group in enumerate(groups):

        def loss(i=i):
            losses, extras = objective()
            scaled = losses[i] if optimizers is None else optimizers[i].scale_loss(losses[i])
            return scaled, (losses, extras)

        pure = _Pure(loss, group)

        def scalar(values, pure=pure):
            (scaled, outputs), changes = pure(values)
            return scaled, (outputs, changes)

        values = [variable.value for variable in group]
        own, ((losses, extras), changes) = jax.grad(scalar, has_aux=True)(values)
        grads.append(own)
    pure.assign(changes)
    return grads, losses, extras


def apply(
    optimizer: keras.optimizers.Optimizer,
    grads: Sequence[Tensor],
    variables: Sequence[keras.Variable],
    xla_update: bool = False,
) -> None:
    """Take one step of `optimizer`."""
    if not optimizer.built:
        optimizer.build(variables)
    own = optimizer.variables
    values = [variable.value for variable in variables]
    new, state = optimizer.stateless_apply([variable.value for variable in own], grads, values)
    for variable, value in zip([*variables, *own], [*new, *state], strict=True):
        variable.assign(value)


def input_gradient(function: Callable[[Structure], Structure], inputs: Structure) -> Structure:
    """Return the gradient of `sum(function(inputs))` with respect to `inputs`, in their structure."""
    pure = _Pure(lambda points: sum(ops.sum(output) for output in structures.leaves(function(points))))
    gradient, changes = jax.grad(lambda points: pure((), points), has_aux=True)(inputs)
    pure.assign(changes)
    return gradient


def cond(
    due: Tensor,
    function: Callable[[], Structure],
    otherwise: Structure = 0.0,
    variables: Sequence[keras.Variable] = (),
) -> Structure:
    """See `keras_gan.backend.tensorflow`; needs no `variables`."""
    pure = _Pure(function)
    jax.eval_shape(pure, ())  # finds out which variables it changes
    unchanged = [variable.value for variable in pure.changed]
    otherwise = structures.mapped(ops.convert_to_tensor, otherwise)
    outputs, changes = jax.lax.cond(due, lambda: pure(()), lambda: (otherwise, unchanged))
    pure.assign(changes)
    return outputs


def check_labels(labels: Tensor, lowest: int, classes: int, message: str) -> Tensor:
    """Return `labels`: a compiled step cannot raise, so `checked_data` checks them before."""
    return labels


def unchecked_labels(gan: Game) -> bool:
    """Return whether a step ignores unknown labels: all data are checked."""
    return False


def checked_data(function: Callable[..., Any], check: Callable[[Any], None]) -> Callable[..., Any]:
    """Return a function that checks an iterator's next batch and runs a step on it."""

    def checked(iterator):
        for batch in iterator:
            check(batch)
            yield batch

    return lambda state, iterator: function(state, checked(iterator))


def local_rows(leaf: Tensor) -> np.ndarray:
    """Return the rows of an array or a tensor that this process sees, as NumPy."""
    if getattr(leaf, "is_fully_addressable", True):
        return np.asarray(leaf)
    return np.concatenate([np.asarray(shard.data) for shard in leaf.addressable_shards])


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled `function` of tensors, for Python loops that call it many times."""
    return jax.jit(function)


def random_bits(shape: Sequence[int], seed: Tensor) -> Tensor:
    """Return 23 random bits per entry, as exact float32 integers in [0, 2²³).

    Args:
        shape: tuple of integers.
        seed: integer tensor of shape (2,).
    """
    bits = jax.random.bits(ops.cast(seed, "uint32"), shape, "uint32")
    return ops.cast(bits >> 9, "float32")


def seed_tensor(seed: int) -> Tensor:
    """Return the seed tensor of the first draw of `keras.random.SeedGenerator(seed)`."""
    return ops.convert_to_tensor([seed % 2**32, seed // 2**32], "uint32")


def seed_integer(number: int) -> int:
    """Return the seed for a `SeedGenerator` for a number of 32 bits: the number itself."""
    return number


def is_chief(gan: Game) -> bool:
    """Return whether this process is the one that writes files."""
    return jax.process_index() == 0


def number_of_replicas(gan: Game) -> int:
    """Return between how many replicas of TensorFlow a batch is divided."""
    return 1


def number_of_processes(gan: Game) -> int:
    """Return how many processes train together."""
    return jax.process_count()


@contextlib.contextmanager
def restore_on_error(gan: Game) -> Iterator[None]:
    """Keep the state of the last step if `fit` raises an error.

    Keras removes the values from the variables during training, and would lose them.
    """
    variables = [*gan.variables, *gan.metrics_variables]
    variables += gan.optimizer.variables if gan.compiled else []
    values = [variable.value for variable in variables]
    try:
        yield
    except BaseException:
        gan.jax_state_sync()
        for variable, value in zip(variables, values, strict=True):
            if variable._value is None and not value.is_deleted():
                variable.assign(value)
        raise


def plain_errors() -> contextlib.AbstractContextManager[None]:
    """Return a context without effect: checks of the data raise their own messages."""
    return contextlib.nullcontext()


def track_dropout_seeds(gan: Game) -> None:
    """Do nothing: random layers draw from the state that is saved."""

"""Gradients, optimizer steps and random bits on torch."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import torch
from keras import ops

from keras_gan.utils import structures
from keras_gan.utils.typing import Game, Structure, Tensor

INEXACT_SECOND_ORDER = ()

# TensorFlow Probability does not run on torch.
DISTRIBUTION_SEED = None


def trainer_step(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return what the trainer calls: `method(self, data)`."""

    @functools.wraps(method)
    def guarded(self, data):
        layers = self._flatten_layers(include_self=False)
        changes = any(isinstance(layer, keras.layers.SpectralNormalization) for layer in layers)
        # Keras' layer changes its kernel in place in each pass, although the gradients of earlier passes
        # still need it.
        keeps = torch.autograd.graph.allow_mutation_on_saved_tensors
        with keeps() if changes else contextlib.nullcontext():
            return method(self, data)

    return guarded


def gradients(
    objective: Callable[[], tuple[Sequence[Tensor], Any]],
    groups: Sequence[Sequence[keras.Variable]],
    optimizers: Sequence[keras.optimizers.Optimizer] | None = None,
) -> tuple[list[Sequence[Tensor]], Sequence[Tensor], Any]:
    """See `keras_gan.backend.tensorflow`; gradients without optimizers can be differentiated again."""
    with torch.enable_grad():
        losses, extras = objective()
        scaled = losses
        if optimizers is not None:
            scaled = [o.scale_loss(loss) for o, loss in zip(optimizers, losses, strict=True)]
        return (
            [_grad(*pair, optimizers is None) for pair in zip(scaled, groups, strict=True)],
            losses,
            extras,
        )


def _grad(loss, group, again):
    if not (group and loss.requires_grad):
        return [None] * len(group)
    values = [variable.value for variable in group]
    # Zeros, as on the other backends, for weights that only a lazy term uses in other steps.
    return torch.autograd.grad(
        loss, values, retain_graph=True, create_graph=again, materialize_grads=True
    )


def apply(
    optimizer: keras.optimizers.Optimizer,
    grads: Sequence[Tensor],
    variables: Sequence[keras.Variable],
    xla_update: bool = False,
) -> None:
    """Take one step of `optimizer`."""
    with torch.no_grad():
        optimizer.apply(list(grads), variables)


def input_gradient(function: Callable[[Structure], Structure], inputs: Structure) -> Structure | None:
    """Return the gradient of `sum(function(inputs))` with respect to `inputs`, in their structure.

    It is None, as a whole or for a leaf, where nothing depends on it.

    Raises:
        LookupError: an operation of `function` has a gradient that cannot be differentiated again.
    """
    with torch.enable_grad():
        points = structures.mapped(
            lambda leaf: leaf if leaf.requires_grad else leaf.clone().requires_grad_(), inputs
        )
        total = sum(ops.sum(output) for output in structures.leaves(function(points)))
        if not total.requires_grad:
            return None
        try:
            grads = torch.autograd.grad(
                total, structures.leaves(points), create_graph=True, allow_unused=True
            )
        except RuntimeError as error:
            if any(words in str(error) for words in ("not implemented", "once_differentiable")):
                raise LookupError(str(error)) from error
            raise
    return structures.like(points, grads)


def cond(
    due: Tensor,
    function: Callable[[], Structure],
    otherwise: Structure = 0.0,
    variables: Sequence[keras.Variable] = (),
) -> Structure:
    """See `keras_gan.backend.tensorflow`; needs no `variables`."""
    return function() if due else structures.mapped(ops.convert_to_tensor, otherwise)


def check_labels(labels: Tensor, lowest: int, classes: int, message: str) -> Tensor:
    """Return `labels`.

    Raises:
        ValueError: a label is not in [lowest, classes).
    """
    whole = labels.long()
    wrong = labels[~((whole == labels) & (whole >= lowest) & (whole < classes))]
    if len(wrong):
        raise ValueError(f"{message} Received: {wrong.flatten()[0].item()}")
    return labels


def unchecked_labels(gan: Game) -> bool:
    """Return whether a step ignores unknown labels: it does not."""
    return False


def checked_data(function: Callable[..., Any], check: Callable[[Any], None]) -> Callable[..., Any]:
    """Return `function`: the step itself checks labels, by `check_labels`."""
    return function


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`: torch runs operation by operation."""
    return function


def random_bits(shape: Sequence[int], seed: Tensor) -> Tensor:
    """Return 23 random bits per entry, as exact float32 integers in [0, 2²³).

    Args:
        shape: tuple of integers.
        seed: integer tensor of shape (2,).
    """
    # A CPU's generator only uses 32 bits of its seed, so all bits of both numbers are mixed into them.
    words = np.int64(seed.tolist()).view("uint32")
    generator = torch.Generator(device=seed.device)
    generator.manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))
    bits = torch.randint(0, 2**23, tuple(shape), generator=generator, device=seed.device)
    return bits.to(torch.float32)


def seed_tensor(seed: int) -> Tensor:
    """Return the seed tensor of the first draw of `keras.random.SeedGenerator(seed)`."""
    return ops.convert_to_tensor([seed, 0], "int64")


def seed_integer(number: int) -> int:
    """Return the seed for a `SeedGenerator` for a number of 32 bits: Keras stores it as int32."""
    return (number ^ 2**31) - 2**31


def is_chief(gan: Game) -> bool:
    """Return whether this process is the one that writes files: there is only one."""
    return True


def number_of_replicas(gan: Game) -> int:
    """Return between how many replicas of TensorFlow a batch is divided."""
    return 1


def number_of_processes(gan: Game) -> int:
    """Return how many processes train together."""
    return 1


def restore_on_error(gan: Game) -> contextlib.AbstractContextManager[None]:
    """Return a context without effect: variables always have their values."""
    return contextlib.nullcontext()


def plain_errors() -> contextlib.AbstractContextManager[None]:
    """Return a context without effect: checks of the data raise their own messages."""
    return contextlib.nullcontext()


def track_dropout_seeds(gan: Game) -> None:
    """Have dropout without a `seed` draw from the state that is saved instead of torch's global one."""
    for layer in gan._flatten_layers(include_self=False):
        for generator in layer._seed_generators:
            if generator._initial_seed is None:
                generator._initial_seed = int(generator.state[0])

"""Gradients, optimizer steps, random bits, replicas and run-time checks on TensorFlow."""

import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from keras_gan.utils import structures
from keras_gan.utils.typing import Game, Shape, Structure, Tensor

# The gradient of the variance in `tf.nn.moments` treats the mean as a constant: the first derivative is
# correct, the second is not.
INEXACT_SECOND_ORDER = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
)

# TensorFlow Probability takes seeds of 32 bits only.
DISTRIBUTION_SEED = "int32"

# Number of weights. Fewer stay in the processor's cache, and compiling takes XLA a second or two.
_WORTH_FUSING = 100_000

# Much larger than the distance between seeds of one GAN.
_REPLICA_STRIDE = 2**40

# The second derivative of these is 0 wherever it exists. TensorFlow would propagate those zeros through
# the whole network, at the cost of a backward pass.
_KINKS = {name: f"KerasGAN{name}" for name in ("ReluGrad", "Relu6Grad", "LeakyReluGrad")}


def _differentiate_gradient(op, grad):
    """Differentiate the gradient of a piecewise linear function, only for the incoming gradient."""
    attributes = {"alpha": op.get_attr("alpha")} if op.type == "LeakyReluGrad" else {}
    again = getattr(tf.raw_ops, op.type)(gradients=grad, features=op.inputs[1], **attributes)
    return again, None


for _name in _KINKS.values():
    tf.RegisterGradient(_name)(_differentiate_gradient)


def trainer_step(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn `method(self, data)` into what the trainer calls on each replica of a strategy."""

    @functools.wraps(method)
    def on_replica(self, data):
        with replicas_differ(self.seeds):
            logs = method(self, data)
        if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
            # Keras averages over workers along the first axis, which scalars do not have.
            logs = {name: ops.expand_dims(value, 0) for name, value in logs.items()}
        return logs

    return on_replica


def gradients(
    objective: Callable[[], tuple[Sequence[Tensor], Any]],
    groups: Sequence[Sequence[keras.Variable]],
    optimizers: Sequence[keras.optimizers.Optimizer] | None = None,
) -> tuple[list[Sequence[Tensor]], Sequence[Tensor], Any]:
    """Differentiate several losses in one pass, each with respect to its own variables.

    Args:
        objective: function without arguments that returns `(losses, extras)`: a scalar for each group,
            and anything that the caller needs.
        groups: list of lists of Keras variables; loss i is differentiated for group i.
        optimizers: an optimizer for each group, whose loss scale multiplies the returned gradients
            (its `apply` divides by it again, and sums over replicas). Without optimizers, gradients
            are unscaled and those of the whole batch.

    Returns:
        `(gradients, losses, extras)`: a list of gradients for every group (`None` where a loss does
        not depend on a variable), and the results of `objective`.
    """
    sources = [[variable.value for variable in group] for group in groups]
    with tf.GradientTape(persistent=len(groups) > 1, watch_accessed_variables=False) as tape:
        tape.watch(sources)
        losses, extras = objective()
        scaled = losses
        if optimizers is not None:
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            pairs = zip(optimizers, losses, strict=True)
            scaled = [optimizer.scale_loss(loss / replicas) for optimizer, loss in pairs]
    grads = [tape.gradient(loss, group) for loss, group in zip(scaled, sources, strict=True)]
    # In the sparse gradient of an embedding, Keras' optimizers would square repeated rows of a label one
    # by one instead of their sum: Adam would take other steps than on the other backends.
    grads = [[g if g is None else tf.convert_to_tensor(g) for g in group] for group in grads]
    grads = _synchronized(grads, tf.nest.flatten([losses, extras]))
    if optimizers is None:
        grads = [[g if g is None else replica_mean(g) for g in group] for group in grads]
    return grads, losses, extras


def _synchronized(grads, others):
    """Return gradients that are only available once all of them, and `others`, are computed.

    A weight could otherwise be assigned before another gradient has read it. Keras' optimizers pass all
    gradients through one `IdentityN`. TensorFlow's dependency optimizer removes the edge from reading
    to assignment, since a path through that operation implies it, and then bypasses the operation.
    """
    known = [g for group in grads for g in group if g is not None]
    if not known or tf.executing_eagerly():
        return grads
    waiting = [tensor.op for tensor in others if tf.is_tensor(tensor)]
    again = iter(tf.tuple(known, control_inputs=waiting))
    return [[g if g is None else next(again) for g in group] for group in grads]


def unscaled_gradients(optimizer: keras.optimizers.Optimizer, grads: Sequence[Tensor]) -> list[Tensor]:
    """Return gradients of `gradients(..., optimizers)` for the whole batch, without the loss scale."""
    scale = optimizer.scale_loss(1.0 / tf.distribute.get_strategy().num_replicas_in_sync)
    return [replica_mean(g / tf.cast(scale, g.dtype)) for g in grads]


def apply(
    optimizer: keras.optimizers.Optimizer,
    grads: Sequence[Tensor],
    variables: Sequence[keras.Variable],
    xla_update: bool = False,
) -> None:
    """Take one step of `optimizer`; with `xla_update`, in one pass over each variable where XLA can.

    Operation by operation, an optimizer reads and writes the memory of all weights many times over.
    """
    xla_update = xla_update and tf.inside_function() and not tf.distribute.has_strategy()
    xla_update = xla_update and sum(math.prod(v.shape) for v in variables) >= _WORTH_FUSING
    if not xla_update:
        optimizer.apply(grads, variables)
        return
    tf.function(lambda: optimizer.apply(grads, variables), autograph=False, jit_compile=True)()


def input_gradient(function: Callable[[Structure], Structure], inputs: Structure) -> Structure | None:
    """Return the gradient of `sum(function(inputs))` with respect to `inputs`, in their structure.

    It is None, as a whole or for a leaf, where nothing depends on it.

    Raises:
        LookupError: an operation of `function` has a gradient that cannot be differentiated again
            (raised by TensorFlow when an outer tape needs it).
    """

    def differentiated():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            total = sum(ops.sum(output) for output in structures.leaves(function(inputs)))
        with tf.compat.v1.get_default_graph().gradient_override_map(_KINKS):
            return tape.gradient(total, inputs)

    # The override only applies to gradients of a function, in which replicas cannot communicate.
    within = tf.inside_function() and not tf.distribute.has_strategy()
    return tf.function(differentiated, autograph=False)() if within else differentiated()


def cond(
    due: Tensor,
    function: Callable[[], Structure],
    otherwise: Structure = 0.0,
    variables: Sequence[keras.Variable] = (),
) -> Structure:
    """Return the structure of float32 scalars `function()` if `due`, or else `otherwise`.

    Args:
        due: scalar boolean.
        function: function without arguments, which may change variables.
        otherwise: structure of the same form.
        variables: the variables that must not change if not `due`. Replicas of TensorFlow cannot
            communicate inside a branch: they compute `function` in both cases, and restore these.
    """
    try:
        return tf.cond(due, function, lambda: structures.mapped(tf.convert_to_tensor, otherwise))
    except RuntimeError:
        if _replica_context() is None:
            raise
    before = [tf.identity(variable.value) for variable in variables]
    outputs = function()
    for variable, value in zip(variables, before, strict=True):
        variable.assign(tf.where(due, variable.value, value))
    return structures.mapped(functools.partial(tf.where, due), outputs, otherwise)


def _replica_context():
    """Return the context of one of several replicas, or None."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def replica_mean(tensor: Tensor) -> Tensor:
    """Return the mean of `tensor` over the replicas, which see different parts of a batch."""
    context = _replica_context()
    return tensor if context is None else context.all_reduce(tf.distribute.ReduceOp.MEAN, tensor)


@contextlib.contextmanager
def replicas_differ(seeds: Sequence[keras.Variable]) -> Iterator[None]:
    """Give each replica its own seeds inside the context, and restore the common ones afterwards.

    Args:
        seeds: list of the states of `keras.random.SeedGenerator`s.
    """
    context = _replica_context()
    offset = _REPLICA_STRIDE * tf.cast(context.replica_id_in_sync_group if context else 0, "int64")
    moved = seeds if context else []
    for seed in moved:
        seed.assign(seed + tf.stack([offset, 0]))
    yield
    for seed in moved:
        seed.assign(seed - tf.stack([offset, 0]))


def check_replicas(gan: Game) -> None:
    """Refuse batch normalization whose statistics would differ between replicas.

    Raises:
        ValueError: there is such a layer; the message names it.
    """
    apart = [
        layer.name
        for layer in gan._flatten_layers(include_self=False)
        if isinstance(layer, layers.BatchNormalization) and not layer.synchronized
    ]
    replicas = gan.distribute_strategy.num_replicas_in_sync
    if apart and replicas > 1:
        raise ValueError(
            f"On {replicas} replicas, each would normalize its own part of a batch, and only the "
            "statistics of the first would be kept. Expected `BatchNormalization(synchronized=True)`, "
            f"which shares them. Received synchronized=False in: {', '.join(apart)}"
        )


def is_chief(gan: Game) -> bool:
    """Return whether this process is the one that writes files."""
    resolver = gan.distribute_strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    chief = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (chief, 0)


def number_of_replicas(gan: Game) -> int:
    """Return between how many replicas a batch is divided."""
    return gan.distribute_strategy.num_replicas_in_sync


def number_of_processes(gan: Game) -> int:
    """Return how many processes train together."""
    resolver = gan.distribute_strategy.cluster_resolver
    jobs = {} if resolver is None or resolver.task_type is None else resolver.cluster_spec().as_dict()
    return max(1, sum(len(jobs.get(job, ())) for job in ("chief", "worker")))


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` of tensors as a graph, for Python loops that call it many times."""
    return tf.function(function, autograph=False)


def random_bits(shape: Sequence[int | Tensor], seed: Tensor) -> Tensor:
    """Return 23 random bits per entry, as exact float32 integers in [0, 2²³).

    They are the same with and without XLA, unlike random floats.

    Args:
        shape: tuple of integers or scalar tensors.
        seed: integer tensor of shape (2,).
    """
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32)), tf.float32)


def seed_tensor(seed: int) -> Tensor:
    """Return the seed tensor of the first draw of `keras.random.SeedGenerator(seed)`."""
    return tf.constant([seed, 0], tf.int64)


def check_shape(inputs: Tensor, shape: Shape) -> Tensor:
    """Return `inputs` with the static shape `(None, *shape)`.

    Raises:
        tf.errors.InvalidArgumentError: while running, if the shape differs.
    """
    return tf.ensure_shape(inputs, (None, *shape))


def check_rows(inputs: Tensor, least: int, message: str) -> Tensor:
    """Return `inputs`, failing with `message` if it has fewer than `least` rows.

    Raises:
        ValueError: while tracing, if the number of rows is known.
        tf.errors.InvalidArgumentError: while running, otherwise.
    """
    rows = inputs.shape[0]
    if rows is not None:
        if rows < least:
            raise ValueError(f"{message} Received: {rows}")
        return inputs
    check = tf.debugging.assert_greater_equal(tf.shape(inputs)[0], least, message=message)
    # XLA drops assertions, but refuses to compile a slice that is out of bounds.
    row = tf.slice(
        inputs, [least - 1] + [0] * (inputs.shape.rank - 1), [1] + [-1] * (inputs.shape.rank - 1)
    )
    with tf.control_dependencies([row] if check is None else [check, row]):
        return tf.identity(inputs)


def check_labels(labels: Tensor, lowest: int, classes: int, message: str) -> Tensor:
    """Return `labels`, failing with `message` if one is not in [lowest, classes).

    Raises:
        tf.errors.InvalidArgumentError: while running. XLA drops the check: see `unchecked_labels`.
    """
    known = tf.logical_and(labels >= lowest, tf.cast(labels, tf.int64) < classes)
    if labels.dtype.is_floating:
        known = tf.logical_and(known, labels == tf.floor(labels))
    check = tf.debugging.assert_equal(tf.reduce_all(known), True, message)
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(labels)


def unchecked_labels(gan: Game) -> bool:
    """Return whether a step ignores unknown labels: XLA drops assertions."""
    return gan.jit_compile is True


def checked_data(function: Callable[..., Any], check: Callable[[Any], None]) -> Callable[..., Any]:
    """Return `function`: the step itself checks labels, by `check_labels`."""
    return function


def seed_integer(number: int) -> int:
    """Return the seed for a `SeedGenerator` for a number of 32 bits: the number itself."""
    return number


def restore_on_error(gan: Game) -> contextlib.AbstractContextManager[None]:
    """Return a context without effect: variables always have their values."""
    return contextlib.nullcontext()


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise failed checks of the data with their own messages, without the trace of the graph."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        failed = re.search(r"assertion failed: \[(.+?)\] \[", error.message, re.DOTALL)
        if failed is None:
            raise
        raise tf.errors.InvalidArgumentError(None, None, failed[1]) from None


def track_dropout_seeds(gan: Game) -> None:
    """Do nothing: random layers draw from the state that is saved."""

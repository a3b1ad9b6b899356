"""What a GAN needs to know about, and do with, the two Keras networks handed to it."""

import contextlib
import random
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan import backend
from keras_gan.types import INTEGER, Array, Shape, Tensor

# Activations that turn logits into probabilities: the losses would apply them a second time.
_PROBABILITIES = {"sigmoid", "hard_sigmoid", "softmax", "sparse_sigmoid", "log_softmax"}


def input_shapes(network: keras.Model) -> list[Shape] | None:
    """Return the shapes that a network takes, batch axis included, or None if it is not built.

    Returns:
        List of one shape, or of two for a conditional network.
    """
    if getattr(network, "inputs", None):
        return [tuple(tensor.shape) for tensor in network.inputs]
    shape = (network.get_build_config() or {}).get("input_shape")
    if shape is None:
        return None
    shapes = shape if isinstance(shape[0], (list, tuple)) else [shape]
    # A subclassed network remembers the batch that it was built with.
    return [(None, *shape[1:]) for shape in shapes]


def output_shape(network: keras.Model, name: str, shapes: Sequence[Shape]) -> Shape:
    """Build a network for inputs of `shapes` and return the shape of what it gives.

    Raises:
        ValueError: the network does not take such inputs.
    """
    dtypes = [tensor.dtype for tensor in getattr(network, "inputs", None) or []]
    dtypes = dtypes or [keras.config.floatx()] * len(shapes)
    inputs = [keras.KerasTensor(*spec) for spec in zip(shapes, dtypes, strict=True)]
    try:
        outputs = network(inputs if len(inputs) > 1 else inputs[0])
    except Exception as error:
        raise ValueError(
            f"The {name} {network.name!r} cannot be called on inputs of shape "
            f"{' and '.join(map(str, shapes))} (batch axis first). If it is subclassed and takes a "
            f"condition too, call it once on data before, so that its input shapes are known. {error}"
        ) from error
    if not hasattr(outputs, "shape"):
        raise ValueError(
            f"The {name} {network.name!r} must return one tensor. Received: {type(outputs).__name__}"
        )
    return tuple(outputs.shape)


def compatible(shape: Sequence[int | None], other: Sequence[int | None]) -> bool:
    """Whether two shapes agree wherever both are known."""
    return len(shape) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(shape, other, strict=True)
    )


# Layers that may follow the last activation and leave probabilities what they are.
_TRANSPARENT = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Reshape,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
)


def last_layer(network: keras.Model) -> keras.Operation | None:
    """Return what gives a functional or sequential network's numbers, else None.

    Layers that only rearrange, average or pass on are looked through.
    """
    if not getattr(network, "outputs", None):
        return None
    layer = network.outputs[0]._keras_history.operation
    while isinstance(layer, _TRANSPARENT) or _is_linear(layer):
        layer = layer.input._keras_history.operation
    return last_layer(layer) or layer if isinstance(layer, keras.Model) else layer


def _is_linear(layer):
    return isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear


def final_activation(network: keras.Model) -> str:
    """Return the name of the last layer's activation, or of the layer itself if it has none."""
    layer = last_layer(network)
    activation = getattr(layer, "activation", None) or type(layer)
    return getattr(activation, "__name__", type(activation).__name__).lower()


def check_logits(discriminator: keras.Model) -> None:
    """Refuse a discriminator that ends in probabilities.

    Raises:
        ValueError: its last layer applies a sigmoid or a softmax.
    """
    last, activation = last_layer(discriminator), final_activation(discriminator)
    if last is not None and activation in _PROBABILITIES:
        raise ValueError(
            f"The discriminator must return logits, on which the losses are exact and stable, but its "
            f"last layer {last.name!r} applies {activation!r}. "
            "Expected a layer without activation, such as `Dense(1)`: the losses take the sigmoid "
            "themselves."
        )


def state(*networks: keras.Model) -> list[keras.Variable]:
    """Return the variables that a network moves by itself, such as batch-norm statistics."""
    return [variable for network in networks for variable in network.non_trainable_weights]


@contextlib.contextmanager
def unchanged(variables: Sequence[keras.Variable]) -> Iterator[None]:
    """Undo what the code inside does to variables."""
    before = [ops.copy(variable) for variable in variables]
    yield
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


def frozen(*networks: keras.Model) -> contextlib.AbstractContextManager[None]:
    """Undo what the calls inside do to the networks' own state.

    A player's statistics move in its own step only, once, however often the other player's steps call
    it. Dropout's seeds go on: they are no weights.
    """
    return unchanged(state(*networks))


@contextlib.contextmanager
def undone_unless_finite(values: Sequence[Tensor], *networks: keras.Model) -> Iterator[None]:
    """Undo what the calls inside do to the networks' own state if one of `values` is not finite then.

    A batch with a NaN would otherwise stay in the batch-norm statistics for good.

    Args:
        values: list of scalars, which the code inside may extend.
        *networks: `keras.Model`s.
    """
    variables = state(*networks)
    before = [ops.copy(variable) for variable in variables]
    yield
    finite = ops.isfinite(backend.replica_mean(sum(values)))
    for variable, value in zip(variables, before, strict=True):
        variable.assign(ops.where(finite, variable.value, value))


def fit_together(
    generator: keras.Model, discriminator: keras.Model, prior: Any
) -> tuple[Any, Shape, Shape | None]:
    """Check that two networks and a prior fit, and build the networks where they are not built.

    Returns:
        `(prior, sample_shape, condition_shape)`: the prior with the generator's latent shape, and the
        shapes of one sample and of one condition (None if the networks take none).

    Raises:
        ValueError: they do not fit; the message says which shapes met.
    """
    for name, network in {"generator": generator, "discriminator": discriminator}.items():
        if not isinstance(network, keras.Model):
            raise TypeError(
                f"The {name} must be a `keras.Model`. Received: {network!r} of type "
                f"{type(network).__name__}"
            )
    if generator is discriminator:
        raise ValueError("The generator and the discriminator must be two networks. Received one twice.")
    g_inputs, d_inputs = input_shapes(generator), input_shapes(discriminator)
    prior = _shaped_prior(prior, generator, g_inputs)
    if g_inputs and d_inputs and len(g_inputs) != len(d_inputs):
        raise ValueError(
            "A conditional GAN needs two networks that take a condition as second input. Received a "
            f"generator with inputs {g_inputs} and a discriminator with inputs {d_inputs}."
        )
    *_, condition = [None, *(g_inputs or d_inputs or [])[1:]]
    conditions = [] if condition is None else [condition]
    samples = output_shape(generator, "generator", [(None, *prior.shape), *conditions])
    if d_inputs and not compatible(samples[1:], d_inputs[0][1:]):
        raise ValueError(
            "The generator's samples must have the shape that the discriminator takes. Expected "
            f"{d_inputs[0][1:]}, as {discriminator.name!r} does. Received {samples[1:]} from "
            f"{generator.name!r} (batch axis left out). Change the last layer of the generator or the "
            "input of the discriminator."
        )
    if d_inputs and conditions and not compatible(condition[1:], d_inputs[1][1:]):
        raise ValueError(
            "Both networks must take the same condition. Received conditions of shape "
            f"{condition[1:]} for the generator and {d_inputs[1][1:]} for the discriminator."
        )
    output_shape(discriminator, "discriminator", [samples, *conditions])
    shared = {id(v) for v in generator.weights} & {id(v) for v in discriminator.weights}
    if shared:
        names = [v.path for v in generator.weights if id(v) in shared]
        raise ValueError(
            "Each player moves its own weights, so that the two networks must not share layers. "
            f"Received networks that share {', '.join(names)}. Give each network layers of its own."
        )
    return prior, samples[1:], condition[1:] if conditions else None


def _shaped_prior(prior, generator, g_inputs):
    latents = g_inputs[0][1:] if g_inputs else None
    if latents and None not in latents:
        return prior.with_shape(latents)
    if prior.shape is None:
        raise ValueError(
            f"The shape of the latents is unknown: the generator {generator.name!r} does not say which "
            f"inputs it takes (found: {latents}). Give the prior a shape, such as "
            f"`prior=kg.priors.{type(prior).__name__}(shape=100)`, or call the generator once first."
        )
    return prior


def check_steps(discriminator_steps: int) -> int:
    """Return k.

    Raises:
        ValueError: it is no positive integer.
    """
    if not isinstance(discriminator_steps, INTEGER) or discriminator_steps < 1:
        raise ValueError(
            "`discriminator_steps` is the number of discriminator steps for each generator step, an "
            f"integer of at least 1. Received: {discriminator_steps!r}"
        )
    return int(discriminator_steps)


def check_seed(seed: int | None) -> int:
    """Return a seed as an integer, a random one for None.

    Raises:
        ValueError: it is no integer from 0 to 2⁶³ − 1.
    """
    if seed is None:
        return random.randrange(2**31)
    if not isinstance(seed, INTEGER) or not 0 <= seed < 2**63:
        raise ValueError(f"`seed` must be an integer from 0 to 2⁶³ − 1. Received: {seed!r}")
    return int(seed)


def check_batch(
    real: Any, condition: Any, weight: Any, sample_shape: Shape, condition_shape: Shape | None
) -> None:
    """Check a batch against the networks, as far as it is known while the step is traced.

    Raises:
        ValueError: it does not fit; the message says what was expected.
    """
    if weight is not None:
        raise ValueError("A GAN has no use for `sample_weight`. Leave it out of the data.")
    if not hasattr(real, "shape"):
        raise ValueError(
            f"The data must be one array of examples, or `(examples, condition)`. Received: {real!r}"
        )
    if "float" not in keras.backend.standardize_dtype(real.dtype):
        raise ValueError(
            f"Examples must be floating-point numbers in the range of the generator's output: [0, 1] "
            "for a sigmoid, [-1, 1] for a tanh. Received dtype "
            f"{keras.backend.standardize_dtype(real.dtype)}. Scale integers first, for instance with "
            "`kg.datasets.load(images, value_range=(0, 1))`."
        )
    known = real.shape is not None and getattr(real.shape, "rank", len) is not None
    if known and not compatible(tuple(real.shape[1:]), sample_shape):
        raise ValueError(
            "The data must have the shape of the generator's samples. Expected "
            f"{sample_shape}, received {tuple(real.shape[1:])} (batch axis left out)."
        )
    if condition_shape is None:
        return
    if not hasattr(condition, "shape"):
        raise ValueError(
            "The networks take a condition as second input, but the data have none. Expected "
            "`(examples, condition)` for each batch, or `fit(examples, condition)`. Received: "
            f"{condition!r}"
        )
    shape = tuple(condition.shape[1:])
    if not compatible(shape, condition_shape) and {shape, condition_shape} != {(), (1,)}:
        raise ValueError(
            "The data's conditions must have the shape that the networks take. Expected "
            f"{condition_shape}, received {shape} (batch axis left out)."
        )


def cleaned(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Replace numbers of a batch that are not finite by 0.

    One NaN would spread to every weight, or vanish without a trace in a ReLU.

    Args:
        batch: float32 tensor.

    Returns:
        `(batch, flaw)`: the flaw is 0 if all numbers were finite, otherwise NaN.
    """
    finite = ops.isfinite(batch)
    return ops.where(finite, batch, 0.0), 0.0 * ops.sum(ops.where(finite, 0.0, batch))


def as_latents(latents: Array, generator: keras.Model) -> Tensor:
    """Return given latents as an array of the shape that the generator takes.

    Raises:
        ValueError: they have another shape, or are not finite.
    """
    latents = np.asarray(ops.convert_to_numpy(latents), "float32")
    shapes = input_shapes(generator)
    if latents.ndim < 2 or (shapes and not compatible(latents.shape, shapes[0])):
        raise ValueError(
            f"`latents` must have the shape {shapes[0] if shapes else '(n, ...)'} that the generator "
            f"takes, one row a sample. Received: {latents.shape}"
        )
    if not np.isfinite(latents).all():
        raise ValueError(
            f"`latents` must be finite, but {np.count_nonzero(~np.isfinite(latents))} of their numbers "
            "are not."
        )
    return ops.convert_to_tensor(latents)


def as_conditions(condition: Array | None, n: int, shape: Shape | None) -> Tensor | None:
    """Return `n` conditions of `shape` as an array, or None for a network without condition.

    Raises:
        ValueError: the condition is missing, not wanted, or of another shape.
    """
    if shape is None:
        if condition is not None:
            raise ValueError("This GAN is not conditional. Leave `condition` out.")
        return None
    if condition is None:
        raise ValueError(
            f"This GAN is conditional. Pass `condition=`: an array of shape {(n, *shape)}, or one "
            f"condition of shape {shape} for all samples."
        )
    condition = np.asarray(ops.convert_to_numpy(condition))
    # Labels are kept with or without an axis of length 1.
    if shape in [(), (1,)] and condition.shape in [(), (1,), (n,), (n, 1)]:
        condition = condition.reshape(-1, *shape)
    elif condition.ndim == len(shape):
        condition = condition[None]
    if not compatible(condition.shape[1:], shape) or len(condition) not in (1, n):
        raise ValueError(
            f"`condition` must have the shape {(n, *shape)}, or {shape} for all samples. Received: "
            f"{condition.shape}"
        )
    return ops.convert_to_tensor(np.broadcast_to(condition, (n, *condition.shape[1:])))


def warn_of_probabilities(discriminator: keras.Model, logits: Tensor) -> None:
    """Warn if a discriminator whose last layer cannot be seen seems to return probabilities.

    Args:
        discriminator: `keras.Model`.
        logits: what it makes of large random samples.
    """
    logits = ops.convert_to_numpy(logits)
    if 0 <= logits.min() < logits.max() <= 1:
        warnings.warn(
            f"The discriminator {discriminator.name!r} gives numbers from {logits.min():.3g} to "
            f"{logits.max():.3g} even for large inputs: it seems to end in a sigmoid. Expected logits, "
            "to which the losses apply the sigmoid themselves. Leave the last activation out.",
            stacklevel=3,
        )

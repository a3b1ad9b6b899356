"""Inspection of Keras networks, checks of a GAN's networks, and contexts for their state."""

import contextlib
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan import backend
from keras_gan.utils import inputs, structures
from keras_gan.utils.typing import Structure, Tensor
from keras_gan.utils.validation import check_integer

__all__ = [
    "all_weights",
    "check_disjoint_networks",
    "check_disjoint_players",
    "check_inputs",
    "check_logits",
    "check_lora",
    "check_models",
    "check_moved",
    "check_seed",
    "check_steps",
    "check_weights",
    "computes_in_float16",
    "final_activation",
    "forget_losses",
    "frozen_statistics",
    "game_logits",
    "last_layer",
    "non_trainable_state",
    "output_spec",
    "outputs",
    "prior_with_shape",
    "restored",
    "rollback_if_nonfinite",
    "same",
    "trainable",
    "warn_of_probabilities",
    "warn_of_spectral_normalization",
]

# Activations that turn logits into probabilities: the losses would apply them a second time.
_PROBABILITIES = {"sigmoid", "hard_sigmoid", "softmax", "sparse_sigmoid", "log_softmax"}


# Layers after the last activation under which probabilities remain probabilities.
_TRANSPARENT = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Permute,
    keras.layers.Reshape,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
)


def last_layer(network: keras.Model, output: Any = None) -> keras.Operation | None:
    """Return the layer that computes the output of a functional or sequential network, or None.

    Layers that only rearrange, average or pass on values are skipped.

    Args:
        network: `keras.Model`.
        output: one of its symbolic outputs; by default the first.
    """
    if not getattr(network, "outputs", None):
        return None
    layer = (network.outputs[0] if output is None else output)._keras_history.operation
    while isinstance(layer, _TRANSPARENT) or _is_linear(layer):
        layer = layer.input._keras_history.operation
    return last_layer(layer) or layer if isinstance(layer, keras.Model) else layer


def _is_linear(layer):
    return isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear


def final_activation(network: keras.Model, output: Any = None) -> str:
    """Return the name of the last layer's activation, or of the layer itself if it has none."""
    layer = last_layer(network, output)
    activation = getattr(layer, "activation", None) or type(layer)
    return getattr(activation, "__name__", type(activation).__name__).lower()


def outputs(network: keras.Model) -> Structure:
    """Return the symbolic outputs of a functional or sequential network, or None."""
    if not getattr(network, "outputs", None):
        return None
    return network.outputs[0] if isinstance(network, keras.Sequential) else network.output


def game_logits(output: Structure) -> Structure:
    """Return the part of a discriminator's output for the losses: `logits` of a dict, or all."""
    return output["logits"] if isinstance(output, Mapping) and "logits" in output else output


def check_logits(discriminator: keras.Model) -> None:
    """Refuse a discriminator that ends in probabilities.

    Raises:
        ValueError: its last layer applies a sigmoid or a softmax.
    """
    if last_layer(discriminator) is None:
        return
    for output in structures.leaves(game_logits(outputs(discriminator))):
        last, activation = last_layer(discriminator, output), final_activation(discriminator, output)
        if last is not None and activation in _PROBABILITIES:
            raise ValueError(
                "The discriminator must return logits, for which the losses are exact and stable, but "
                f"its last layer {last.name!r} applies {activation!r}. Expected a layer without "
                "activation, such as `Dense(1)`: the losses apply the sigmoid themselves."
            )


def trainable(networks: Sequence[keras.Model]) -> list[keras.Variable]:
    """Return the trainable weights, each once."""
    variables = {id(v): v for network in networks for v in network.trainable_variables}
    return list(variables.values())


def all_weights(networks: Sequence[keras.Model]) -> list[keras.Variable]:
    """Return all weights of networks, each once."""
    return list({id(v): v for network in networks for v in network.weights}.values())


def same(some: Sequence[keras.Variable], others: Sequence[keras.Variable]) -> bool:
    """Return whether two lists hold the same variables in the same order."""
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


def forget_losses(*networks: keras.Model) -> None:
    """Discard the losses that layers of networks added in earlier passes."""
    for network in networks:
        network._clear_losses()


def non_trainable_state(*networks: keras.Model) -> list[keras.Variable]:
    """Return the variables that networks update themselves, such as batch-norm statistics.

    The weights of frozen layers are not among them: torch could not differentiate through weights that
    are assigned between the passes.
    """
    layers = [layer for network in networks for layer in network._flatten_layers()]
    return list({id(v): v for layer in layers for v in layer._non_trainable_variables}.values())


@contextlib.contextmanager
def restored(variables: Sequence[keras.Variable]) -> Iterator[None]:
    """Restore the values of variables after the code inside."""
    before = [ops.copy(variable) for variable in variables]
    yield
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


def frozen_statistics(*networks: keras.Model) -> contextlib.AbstractContextManager[None]:
    """Restore the networks' statistics after the calls inside.

    A player's statistics are updated only in its own step, once, however often the other player's steps
    call it. Dropout's seeds continue: they are not weights.
    """
    return restored(non_trainable_state(*networks))


@contextlib.contextmanager
def rollback_if_nonfinite(values: Sequence[Tensor], *networks: keras.Model) -> Iterator[None]:
    """Restore the networks' statistics after the calls inside if one of `values` is not finite.

    A batch with a NaN would otherwise spoil the batch-norm statistics permanently.

    Args:
        values: list of scalars, which the code inside may extend.
        *networks: `keras.Model`s.
    """
    variables = non_trainable_state(*networks)
    before = [ops.copy(variable) for variable in variables]
    yield
    finite = ops.isfinite(backend.replica_mean(sum(values)))
    for variable, value in zip(variables, before, strict=True):
        variable.assign(ops.where(finite, variable.value, value))


def check_models(**models: keras.Model) -> None:
    """Check that all arguments are networks.

    Raises:
        TypeError: an argument is not a `keras.Model`; the message names it.
    """
    for name, network in models.items():
        if not isinstance(network, keras.Model):
            raise TypeError(
                f"The {name} must be a `keras.Model`. Received: {network!r} of type "
                f"{type(network).__name__}"
            )


def check_weights(networks: Sequence[keras.Model]) -> None:
    """Refuse subclassed networks without weights, whose `call` may create new layers each time.

    Raises:
        ValueError: there is one; the message names it.
    """
    for network in networks:
        if not network.weights and not getattr(network, "outputs", None):
            raise ValueError(
                f"The network {network.name!r} has no weights to train. Create its layers in its "
                "constructor, and only call them in `call`."
            )


def check_disjoint_players(teams: Mapping[str, Sequence[keras.Model]]) -> None:
    """Refuse players that share weights.

    Raises:
        ValueError: two players do; the message names the weights.
    """
    owners: dict[int, str] = {}
    for player, members in teams.items():
        for variable in [v for network in members for v in network.weights]:
            if owners.setdefault(id(variable), player) != player:
                shared = [
                    v.path
                    for network in members
                    for v in network.weights
                    if owners.get(id(v), player) != player
                ]
                raise ValueError(
                    "Each player trains its own weights, so the two networks must not share layers. "
                    f"Received networks that share {', '.join(shared)}. Give each player its own layers."
                )


def check_disjoint_networks(
    teams: Mapping[str, Sequence[keras.Model]], others: Sequence[keras.Model]
) -> None:
    """Refuse networks that share layers: files store each network separately.

    Args:
        teams: networks by player.
        others: networks of terms.

    Raises:
        ValueError: two networks share weights; the message names them.
    """
    owners: dict[int, keras.Model] = {}
    for network in [*(n for members in teams.values() for n in members), *others]:
        for variable in network.weights:
            owner = owners.setdefault(id(variable), network)
            if owner is not network:
                raise ValueError(
                    f"The networks {owner.name!r} and {network.name!r} share {variable.path}, which "
                    "a file would store twice. Expected one network with several outputs instead, such "
                    "as a discriminator that returns a dict of `logits` for the losses and entries for "
                    "terms, which read them from `play.fake_output`."
                )


def check_moved(
    layers: Sequence[keras.layers.Layer], teams: Mapping[str, Sequence[keras.Model]]
) -> None:
    """Refuse a layer with trainable weights that no player trains.

    Args:
        layers: all networks and layers of a GAN.
        teams: networks by player.

    Raises:
        ValueError: there is one; the message names it.
    """
    moved = {id(v) for members in teams.values() for network in members for v in network.weights}
    for layer in layers:
        if any(id(variable) not in moved for variable in layer.trainable_variables):
            raise ValueError(
                f"No player moves {layer.name!r}, so it would never be trained. Add it to `teams`, or "
                "set `trainable = False` if it is not to be trained."
            )


def check_lora(networks: Sequence[keras.Model]) -> None:
    """Refuse LoRA weights that cannot be trained, such as those that Keras has loaded.

    Keras merges them into the kernel when it saves a layer, and sets both factors to 0 when it loads
    one. The gradient of each factor is then 0, since it is a multiple of the other.

    Raises:
        ValueError: both factors of a layer are 0; the message names it.
    """
    for layer in [layer for network in networks for layer in network._flatten_layers()]:
        for kind in ("kernel", "embeddings") if getattr(layer, "lora_enabled", False) else ():
            factors = [getattr(layer, f"lora_{kind}_{side}", None) for side in "ab"]
            held = [backend.local_rows(factor) for factor in factors if factor is not None]
            if held and not any(map(np.any, held)):
                raise ValueError(
                    f"The LoRA factors of {layer.name!r} are both 0, as after loading a file, in which "
                    "Keras merges them into the kernel. They would never be trained. Assign new values "
                    f"to one of them, such as `layer.lora_{kind}_a.assign(keras.initializers."
                    f"HeUniform()(layer.lora_{kind}_a.shape))`."
                )


def output_spec(what: str, function: Callable[..., Structure], *specs: Structure) -> Structure:
    """Return the output specification of a function of networks for given input specifications.

    Unbuilt networks are built.

    Raises:
        ValueError: the networks do not take such inputs.
    """
    try:
        return function(*specs)
    except Exception as error:
        shapes = " and ".join(str(tuple(leaf.shape)) for leaf in structures.leaves(list(specs)))
        raise ValueError(
            f"{what} cannot be called on inputs of shape {shapes} (batch axis first): {error} If it is "
            "subclassed and takes a condition, call it once on data before, so that its input shapes "
            "are known."
        ) from error


def check_inputs(
    discriminator: keras.Model,
    generator: keras.Model,
    samples: Structure,
    condition: Structure,
    output: Structure,
) -> None:
    """Check that the discriminator takes the generator's samples and condition.

    Args:
        discriminator: `keras.Model`.
        generator: `keras.Model`, for the message.
        samples: specification of the discriminator's inputs without the condition.
        condition: specification of the generator's condition, or None.
        output: specification of the discriminator's output, or None if unknown.

    Raises:
        ValueError: they do not fit; the message contains the shapes.
    """
    takes = inputs.specs(discriminator)
    if takes is None:
        return
    parts = structures.leaves(takes)
    if len(parts) == len(structures.leaves(samples)) and isinstance(output, Mapping):
        condition = None  # terms compare it with the other entries of the output
    if len(parts) != len(structures.leaves([samples, condition])):
        raise ValueError(
            "The discriminator takes the generator's samples and its condition: in a conditional GAN, "
            "both networks take a condition. Expected inputs of shapes "
            f"{_shapes([samples, condition])}, as for the generator {generator.name!r}. Received a "
            f"discriminator {discriminator.name!r} with inputs {_shapes(takes)}. To give a generator "
            "several latents, let it take one tensor and split it. With `prior=None` it takes none: "
            "all its inputs are conditions."
        )
    packed = structures.leaves(inputs.pack(discriminator, samples, condition))
    conditions = {id(leaf) for leaf in structures.leaves(condition)}
    for leaf, wanted in zip(packed, parts, strict=True):
        shape, expected = tuple(leaf.shape[1:]), tuple(wanted.shape[1:])
        if inputs.compatible(shape, expected):
            continue
        if id(leaf) in conditions:
            raise ValueError(
                "Both networks must take the same condition. Received conditions of shape "
                f"{tuple(leaf.shape)[1:]} for the generator and {expected} for the discriminator."
            )
        raise ValueError(
            "The generator's samples must have the shape that the discriminator takes. Expected "
            f"{expected}, as {discriminator.name!r} does. Received {shape} from {generator.name!r} "
            "(without the batch axis). Change the last layer of the generator or the input of the "
            "discriminator."
        )


def _shapes(specs):
    return [tuple(spec.shape) for spec in structures.leaves(specs)]


def prior_with_shape(prior: Any, generator: keras.Model, latents: Any) -> Any:
    """Return the prior with the shape of the generator's latents.

    Args:
        prior: `kg.priors.Prior`.
        generator: `keras.Model`.
        latents: specification of its latents, or None if unknown.

    Raises:
        ValueError: the shape is unknown, or the prior has another one.
    """
    shape = None if latents is None else tuple(latents.shape[1:])
    if shape and None not in shape:
        return prior.with_shape(shape)
    if prior.shape is None:
        raise ValueError(
            f"The shape of the latents is unknown, since the generator {generator.name!r} is not built "
            f"(input shape: {shape}). Give the prior a shape, such as "
            f"`prior=kg.priors.{type(prior).__name__}(shape=100)`, or call the generator once first."
        )
    return prior


def computes_in_float16(network: keras.Model) -> bool:
    """Return whether a layer of the network computes in float16.

    The policy of a network that was loaded from a file may differ from those of its layers.
    """
    return any(layer.compute_dtype == "float16" for layer in network._flatten_layers())


def check_steps(discriminator_steps: int) -> int:
    """Return k.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is not positive.
    """
    hint = "It is the number of discriminator steps for each generator step."
    return check_integer("discriminator_steps", discriminator_steps, minimum=1, hint=hint)


def check_seed(seed: int | None) -> int:
    """Return a seed as an integer, a random one for None.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is not in the range from 0 to 2⁶³ − 1.
    """
    if seed is None:
        return random.randrange(2**31)
    return check_integer("seed", seed, minimum=0, maximum=2**63 - 1)


def warn_of_probabilities(discriminator: keras.Model, logits: Structure) -> None:
    """Warn if a subclassed discriminator seems to return probabilities.

    Args:
        discriminator: `keras.Model`.
        logits: its output for large random samples.
    """
    logits = ops.convert_to_numpy(structures.leaves(logits)[0])
    if 0 <= logits.min() < logits.max() <= 1:
        warnings.warn(
            f"The discriminator {discriminator.name!r} returns values from {logits.min():.3g} to "
            f"{logits.max():.3g} even for large inputs: it seems to end in a sigmoid. Expected logits: "
            "the losses apply the sigmoid themselves. Remove the last activation.",
            stacklevel=3,
        )


def warn_of_spectral_normalization(networks: Sequence[keras.Model]) -> None:
    """Warn if a layer normalizes its kernel as Keras does; the message names the layers."""
    layers = {layer.name: layer for network in networks for layer in network._flatten_layers()}
    kind = keras.layers.SpectralNormalization
    names = [name for name, layer in layers.items() if isinstance(layer, kind)]
    if names:
        warnings.warn(
            "`keras.layers.SpectralNormalization` overwrites its kernel with the divided one in each "
            "training pass, real, generated or of a penalty. The gradients of a step then belong to "
            "different kernels, and the optimizer does not keep the weights that it trains. Expected "
            "`kg.layers.SpectralNormalization`, which wraps the same layers. Received: "
            f"{', '.join(names)}",
            stacklevel=4,
        )

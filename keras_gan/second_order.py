"""Checks that networks are twice differentiable, as penalties and consensus optimization require."""

import warnings
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_gan import backend
from keras_gan.utils import structures
from keras_gan.utils.typing import Critic, Structure, Tensor
from keras_gan.utils.validation import check_callable

__all__ = ["check", "twice_differentiable"]


def __dir__():
    return __all__


def twice_differentiable(function: Callable[[Structure], Structure], inputs: Structure) -> bool:
    """Return whether the gradient of `function` with respect to `inputs` can be differentiated.

    ∇(u·f) is linear in the multiplier u of f, so it equals u times its derivative with respect to u.
    The backward operations of some layers have no gradient, and TensorFlow then drops their
    contribution silently: the identity fails by that contribution.

    Args:
        function: function from a tensor or structure of tensors to another, such as a layer or a
            network.
        inputs: float tensor, or structure of tensors, at which the gradient is taken.

    Returns:
        A bool.

    Raises:
        TypeError: `function` is not callable, or `inputs` does not consist of numbers.
        ValueError: a number in `inputs` is not finite.

    Example:

    >>> upsample = keras.layers.UpSampling2D()  # with interpolation="bilinear" not on TensorFlow
    >>> kg.second_order.twice_differentiable(upsample, ops.ones((1, 4, 4, 1)))
    True
    """

    check_callable("function", function)
    inputs = structures.check_tensors("inputs", inputs)
    if not all(np.isfinite(ops.convert_to_numpy(leaf)).all() for leaf in structures.leaves(inputs)):
        raise ValueError("`inputs` must be finite: at NaN, no two gradients are equal.")

    def outputs(points):
        return structures.float32(function(points))

    def gradient(of, points):
        found = structures.leaves(backend.input_gradient(of, points))
        return [ops.cast(leaf, "float32") for leaf in found]

    whole = gradient(outputs, inputs)
    # A direction of length 1, so that float16 layers do not overflow.
    length = ops.sqrt(sum(ops.sum(ops.square(g)) for g in whole) + 1e-12)
    direction = [g / length for g in whole]
    expected = sum(ops.sum(d * g) for d, g in zip(direction, whole, strict=True))

    def projected(multiplier):
        def multiplied(points):
            return structures.mapped(ops.multiply, multiplier, outputs(points))

        again = gradient(multiplied, inputs)
        return [d * g for d, g in zip(direction, again, strict=True)]

    try:
        slope = backend.input_gradient(projected, structures.mapped(ops.ones_like, outputs(inputs)))
    except LookupError:
        return False
    total = sum(ops.sum(leaf) for leaf in structures.leaves(slope))
    return bool(ops.abs(total - expected) <= 1e-2 * expected)


def _leaves(network):
    for layer in getattr(network, "layers", []):
        yield from _leaves(layer) if getattr(layer, "layers", None) else [layer]


def _name(layers):
    return ", ".join(f"{layer.name} ({type(layer).__name__})" for layer in layers)


def _failing_layers(network):
    """Name the layers of a network that are not twice differentiable."""
    found = []
    for layer in _leaves(network):
        if layer._inbound_nodes and not isinstance(layer, keras.layers.InputLayer):
            # A layer may take several tensors, some of them more than once.
            called = layer._inbound_nodes[-1].arguments
            tensors = list({id(tensor): tensor for tensor in called.keras_tensors}.values())
            if not tensors or any("float" not in tensor.dtype for tensor in tensors):
                continue
            if not twice_differentiable(_of_tensors(layer, called, tensors), _random(tensors)):
                found.append(layer)
    return _name(found) or "unknown layers (the network's layers cannot be checked one by one)"


def _of_tensors(layer, called, tensors):
    """Return a layer, as it is called in its network, as a function of a list of tensors."""

    def function(values):
        given = dict(zip(map(id, tensors), values, strict=True))
        return layer(*_filled(called.args, given), **_filled(called.kwargs, given))

    return function


def _filled(arguments, given):
    return keras.tree.map_structure(lambda leaf: given.get(id(leaf), leaf), arguments)


def _random(tensors):
    rng = np.random.default_rng(0)
    shapes = [[2, *(size or 8 for size in tensor.shape[1:])] for tensor in tensors]
    return [
        ops.convert_to_tensor(rng.normal(size=shape), tensor.dtype)
        for shape, tensor in zip(shapes, tensors, strict=True)
    ]


def check(
    user: str, network: keras.Model, probe: Callable[[Callable[[Critic, Tensor], bool]], bool]
) -> None:
    """Check that a network is twice differentiable; warn if its second derivatives are approximate.

    Args:
        user: subject of the message: the name of what requires it.
        network: `keras.Model`.
        probe: function that calls its argument with `(function, inputs)` of that network.

    Raises:
        ValueError: the network is not; the message names the layers.

    Example:

    >>> up = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.UpSampling2D()])
    >>> kg.second_order.check("A test", up, lambda function: function(up, ops.ones((1, 2, 2, 1))))
    """
    if not probe(twice_differentiable):
        if not all(np.isfinite(ops.convert_to_numpy(w)).all() for w in network.trainable_weights):
            raise ValueError(
                f"The weights of {network.name!r} are not finite, as after a run that diverged. {user} "
                "cannot differentiate it. Create new networks, or load an earlier file."
            )
        raise ValueError(
            f"{user} requires the second derivatives of {network.name!r}, which the backend "
            f"{keras.backend.backend()!r} does not provide for: {_failing_layers(network)}. Without "
            "them it would have no effect. Use twice differentiable layers, such as Conv2DTranspose or "
            "UpSampling2D(interpolation='nearest') instead of bilinear or bicubic resizing."
        )
    inexact = _name(
        layer for layer in _leaves(network) if isinstance(layer, backend.INEXACT_SECOND_ORDER)
    )
    if inexact:
        warnings.warn(
            f"{user} differentiates {inexact} twice, and the second derivatives of the backend "
            f"{keras.backend.backend()!r} are approximate there: values are exact, gradients are not. "
            "Networks without normalization have exact gradients.",
            stacklevel=4,
        )

"""Whether a network's gradient can be differentiated again, as penalties and consensus need."""

import warnings
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_gan import backend
from keras_gan.utils import structures
from keras_gan.utils.typing import Critic, Structure, Tensor


def twice_differentiable(function: Callable[[Structure], Structure], inputs: Structure) -> bool:
    """Whether the gradient of `function` with respect to `inputs` can itself be differentiated.

    ∇(u·f) is linear in the multiplier u of f, so that u times its derivative for u gives it back. The
    backward operations of some layers have no gradient, and TensorFlow then drops their share without
    a word: the identity fails by that share.

    Args:
        function: function from a tensor to a tensor, or from a structure to another, such as a layer or
            a network.
        inputs: float tensor, or structure of tensors, the point at which it is tried.

    Returns:
        bool.

    Example:

    >>> upsample = keras.layers.UpSampling2D()  # with interpolation="bilinear" not on TensorFlow
    >>> kg.second_order.twice_differentiable(upsample, ops.ones((1, 4, 4, 1)))
    True
    """

    def outputs(points):
        return structures.float32(function(points))

    def gradient(of, points):
        found = structures.leaves(backend.input_gradient(of, points))
        return [ops.cast(leaf, "float32") for leaf in found]

    whole = gradient(outputs, inputs)
    # Of length 1, so that float16 layers do not overflow.
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


def _culprits(network):
    """Name the layers of a network whose gradients cannot be differentiated again."""
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
    return _name(found) or "not found: the network's layers cannot be looked at one by one"


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
    """Refuse a network whose gradient cannot be differentiated again; warn where it is only rough.

    Args:
        user: what needs it, for the message.
        network: `keras.Model`.
        probe: function that calls its argument with `(function, inputs)` of that network.

    Raises:
        ValueError: it cannot; the message names the layers.

    Example:

    >>> up = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.UpSampling2D()])
    >>> kg.second_order.check("A test", up, lambda function: function(up, ops.ones((1, 2, 2, 1))))
    """
    if not probe(twice_differentiable):
        raise ValueError(
            f"{user} needs the gradient of a gradient of {network.name!r}, which the backend "
            f"{keras.backend.backend()!r} does not have for: {_culprits(network)}. It would train "
            "nothing. Expected layers that can be differentiated twice, such as Conv2DTranspose or "
            "UpSampling2D(interpolation='nearest') instead of bilinear or bicubic resizing."
        )
    inexact = _name(
        layer for layer in _leaves(network) if isinstance(layer, backend.INEXACT_SECOND_ORDER)
    )
    if inexact:
        warnings.warn(
            f"{user} differentiates through {inexact}, whose second derivatives the backend "
            f"{keras.backend.backend()!r} computes wrongly: values are right, gradients approximate. "
            "Networks without normalization have exact ones.",
            stacklevel=4,
        )

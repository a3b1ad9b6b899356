"""The work that no implementation of a step can do without: matrix products and convolutions.

A pass forward through a layer is one product. A pass backward is one more for the weights' gradient,
and one for that of the inputs. Everything else, from activations to optimizers, is left out.
"""

import math
from typing import NamedTuple

import keras

import keras_gan as kg


class Product(NamedTuple):
    """A product of one layer.

    Args:
        layer: Keras layer that multiplies.
        rows: examples.
        to: what it computes: `"outputs"`, or the gradient of the `"weights"` or of the `"inputs"`.
    """

    layer: keras.Layer
    rows: int
    to: str

    @property
    def operations(self):
        """Multiplications and additions: 2 for each weight and position, whatever is computed."""
        kernel, positions = math.prod(self.layer.kernel.shape), 1
        if isinstance(self.layer, keras.layers.Conv2DTranspose):
            positions = math.prod(self.layer.input.shape[1:3])
        elif isinstance(self.layer, keras.layers.Conv2D):
            positions = math.prod(self.layer.output.shape[1:3])
        return 2 * kernel * positions * self.rows


def layers(network):
    """Return the layers that multiply."""
    kinds = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose, kg.layers.Maxout)
    return [layer for layer in network.layers if isinstance(layer, kinds)]


def forward(network, rows):
    """Return the products of a pass forward."""
    return [Product(layer, rows, "outputs") for layer in layers(network)]


def to_weights(network, rows):
    """Return the products of the weights' gradients."""
    return [Product(layer, rows, "weights") for layer in layers(network)]


def to_inputs(network, rows):
    """Return the products of a pass back to the network's inputs."""
    return [Product(layer, rows, "inputs") for layer in layers(network)]


def backward(network, rows):
    """Return the products of a pass back to the weights, which ends at the first layer's."""
    return to_weights(network, rows) + to_inputs(network, rows)[1:]


def alternating(generator, discriminator, rows, k=1, share_fakes=False):
    """Return the products of a step of Algorithm 1; shared fakes leave out a pass of the generator."""
    products = forward(generator, (k if share_fakes else k + 1) * rows)
    for _ in range(k):
        products += forward(discriminator, 2 * rows) + backward(discriminator, 2 * rows)
    products += forward(discriminator, rows) + to_inputs(discriminator, rows)
    return products + backward(generator, rows)


def wasserstein(generator, discriminator, rows, k=5, share_fakes=False):
    """Return the products of a step of WGAN-GP, with a critic that is linear in pieces.

    The penalty is on a gradient: a pass forward, and one back to the inputs. Its own gradient follows
    the second pass back: once more through the layers, forward, with a product for all weights. None
    goes back through the first pass, since the slopes of the pieces do not change with the weights.
    """
    products = alternating(generator, discriminator, rows, k, share_fakes)
    for _ in range(k):
        products += forward(discriminator, rows) + to_inputs(discriminator, rows)
        products += forward(discriminator, rows)[:-1] + to_weights(discriminator, rows)
    return products

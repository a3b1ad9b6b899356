"""What no implementation of a step can beat here: its matrix products and convolutions, alone.

A pass forward through a layer is one product. A pass backward is one more for the weights' gradient,
and one for that of the inputs. Everything else, from activations to optimizers, is left out.
"""

import keras
import tensorflow as tf

import keras_gan as kg


class Product:
    """The products of one layer, on operands of the right shapes."""

    def __init__(self, layer, rows):
        self.layer = layer
        self.inputs = tf.random.uniform((rows, *layer.input.shape[1:]))
        self.weights = tf.random.uniform(layer.kernel.shape)
        self.outputs = self.forward()

    def forward(self):
        """Multiply inputs and weights."""
        if isinstance(self.layer, keras.layers.Conv2DTranspose):
            return self._input_gradient_of_conv(self.inputs, self._transposed_shape())
        if isinstance(self.layer, keras.layers.Conv2D):
            return tf.nn.conv2d(self.inputs, self.weights, self.layer.strides, self._padding())
        return tf.matmul(self.inputs, self.weights)

    def for_weights(self):
        """Multiply inputs and the outputs' gradients."""
        if isinstance(self.layer, keras.layers.Conv2DTranspose):
            return self._weight_gradient_of_conv(self.outputs, self.inputs)
        if isinstance(self.layer, keras.layers.Conv2D):
            return self._weight_gradient_of_conv(self.inputs, self.outputs)
        return tf.matmul(self.inputs, self.outputs, transpose_a=True)

    def for_inputs(self):
        """Multiply the outputs' gradients and weights."""
        if isinstance(self.layer, keras.layers.Conv2DTranspose):
            return tf.nn.conv2d(self.outputs, self.weights, self.layer.strides, self._padding())
        if isinstance(self.layer, keras.layers.Conv2D):
            return self._input_gradient_of_conv(self.outputs, self.inputs.shape)
        return tf.matmul(self.outputs, self.weights, transpose_b=True)

    def _transposed_shape(self):
        return (self.inputs.shape[0], *self.layer.output.shape[1:])

    def _padding(self):
        return self.layer.padding.upper()

    def _strides(self):
        return [1, *self.layer.strides, 1]

    def _input_gradient_of_conv(self, outputs, shape):
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=shape,
            filter=self.weights,
            out_backprop=outputs,
            strides=self._strides(),
            padding=self._padding(),
        )

    def _weight_gradient_of_conv(self, inputs, outputs):
        return tf.raw_ops.Conv2DBackpropFilter(
            input=inputs,
            filter_sizes=self.weights.shape,
            out_backprop=outputs,
            strides=self._strides(),
            padding=self._padding(),
        )


def layers(network):
    """Return the layers that multiply."""
    kinds = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose, kg.layers.Maxout)
    return [layer for layer in network.layers if isinstance(layer, kinds)]


def forward(network, rows):
    """Return the products of a pass forward."""
    return [Product(layer, rows).forward for layer in layers(network)]


def backward(network, rows, weights=True, inputs=False):
    """Return the products of a pass back to the weights, to the network's inputs, or to both."""
    made = [Product(layer, rows) for layer in layers(network)]
    to_inputs = made if inputs else made[1:]
    return [p.for_weights for p in made if weights] + [p.for_inputs for p in to_inputs]


def alternating(generator, discriminator, rows, k=1, share_fakes=False):
    """Return the products of a step of Algorithm 1; shared fakes leave out a pass of the generator."""
    products = forward(generator, (k if share_fakes else k + 1) * rows)
    for _ in range(k):
        products += forward(discriminator, 2 * rows) + backward(discriminator, 2 * rows)
    products += forward(discriminator, rows)
    products += backward(discriminator, rows, weights=False, inputs=True)
    return products + backward(generator, rows)


def wasserstein(generator, discriminator, rows, k=5, share_fakes=False):
    """Return the products of a step of WGAN-GP, with a critic that is linear in pieces.

    The penalty is on a gradient: a pass forward, and one back to the inputs. Its own gradient follows
    the second pass back: once more through the layers, forward, with a product for all weights. None
    goes back through the first pass, since the slopes of the pieces do not change with the weights.
    """
    products = alternating(generator, discriminator, rows, k, share_fakes)
    for _ in range(k):
        products += forward(discriminator, rows)
        products += backward(discriminator, rows, weights=False, inputs=True)
        products += forward(discriminator, rows)[:-1]
        products += [Product(layer, rows).for_weights for layer in layers(discriminator)]
    return products


def runner(products):
    """Return `run(n)`, which computes all the products n times."""

    @tf.function(autograph=False)
    def once():
        # A number of each result, so that none is left out.
        return [tf.reshape(product(), [-1])[0] for product in products]

    def run(steps):
        for _ in range(steps):
            once()

    return run

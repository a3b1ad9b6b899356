"""The time of a step's products alone, on TensorFlow: what no step can beat here."""

import keras
import tensorflow as tf


def multiplication(product):
    """Return a function that computes a `benchmarks.work.Product`, on random operands of its shapes."""
    layer, rows = product.layer, product.rows
    inputs = tf.random.uniform((rows, *layer.input.shape[1:]))
    outputs = tf.random.uniform((rows, *layer.output.shape[1:-1], layer.kernel.shape[-1]))
    if isinstance(layer, keras.layers.Conv2DTranspose):
        # The convolution that is transposed: its kernel's last axis is that of the inputs.
        outputs = tf.random.uniform((rows, *layer.output.shape[1:]))
        of = _convolution(layer, outputs, inputs)
        return of[{"outputs": "inputs", "inputs": "outputs", "weights": "weights"}[product.to]]
    if isinstance(layer, keras.layers.Conv2D):
        return _convolution(layer, inputs, outputs)[product.to]
    weights = tf.random.uniform(layer.kernel.shape)
    return {
        "outputs": lambda: tf.matmul(inputs, weights),
        "weights": lambda: tf.matmul(inputs, outputs, transpose_a=True),
        "inputs": lambda: tf.matmul(outputs, weights, transpose_b=True),
    }[product.to]


def _convolution(layer, inputs, outputs):
    """Return the three products of a convolution from `inputs` to `outputs`."""
    weights = tf.random.uniform(layer.kernel.shape)
    how = {"strides": [1, *layer.strides, 1], "padding": layer.padding.upper()}
    return {
        "outputs": lambda: tf.nn.conv2d(inputs, weights, **how),
        "weights": lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=inputs, filter_sizes=weights.shape, out_backprop=outputs, **how
        ),
        "inputs": lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=inputs.shape, filter=weights, out_backprop=outputs, **how
        ),
    }


def runner(products):
    """Return `run(n)`, which computes all the products n times, side by side where that is faster."""
    multiplications = [multiplication(product) for product in products]

    @tf.function(autograph=False)
    def once():
        # A number of each result, so that none is left out.
        return [tf.reshape(multiply(), [-1])[0] for multiply in multiplications]

    def run(steps):
        for _ in range(steps):
            once()

    return run

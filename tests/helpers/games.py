"""Small games that several tests play, and what tests need to know of the backend."""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_gan as kg

BACKEND = keras.backend.backend()
# A few steps take less time than their compilation, but on JAX, where a branch is compiled in each.
EAGERLY = BACKEND != "jax"


def long_game(test):
    """Mark a game of thousands of steps: torch plays the same (`test_backends`), at 9 ms a step."""
    return pytest.mark.tensorflow(pytest.mark.jax(test))


def slow_on_jax(test):
    """Mark a program whose convolutions take JAX six times as long on a CPU."""
    return pytest.mark.slow(pytest.mark.jax(test)) if BACKEND == "jax" else test


class Ones(kg.priors.Prior):
    """A prior without randomness."""

    def draw(self, shape, key):
        return ops.ones(shape)


# Steps of one call of a long game: on TensorFlow a call takes longer than such a small step.
AT_ONCE = {"steps_per_execution": 50} if BACKEND == "tensorflow" else {}


def one_weight_each(theta=1.0, psi=1.0, wrap=lambda layer: layer, **compile_arguments):
    """A GAN with G(1) = θ and D(x) = ψx, as in PAPERS' V = xy and the Dirac-GAN, with data at 0.

    `wrap` makes another layer of the discriminator's.
    """

    def linear(value, name, wrap=lambda layer: layer):
        layer = keras.layers.Dense(
            1, use_bias=False, kernel_initializer=keras.initializers.Constant(value)
        )
        return keras.Sequential([keras.Input((1,)), wrap(layer)], name=name)

    gan = kg.GAN(linear(theta, "g"), linear(psi, "d", wrap), prior=Ones(), seed=0)
    gan.compile(**compile_arguments)
    return gan


def sgd(learning_rate):
    return {
        "d_optimizer": keras.optimizers.SGD(learning_rate),
        "g_optimizer": keras.optimizers.SGD(learning_rate),
    }


def weights(gan):
    """Return (θ, ψ) as floats."""
    return tuple(number(v) for v in gan.trainable_variables)


def mlp(inputs, outputs, units=16, dropout=0.0, batch_norm=False, name=None, **dense):
    """A small network, with the layers that tests need."""
    layers = [keras.Input((inputs,)), keras.layers.Dense(units, "relu", **dense)]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization())
    if dropout:
        layers.append(keras.layers.Dropout(dropout, seed=3))
    return keras.Sequential([*layers, keras.layers.Dense(outputs, **dense)], name=name)


def small_gan(batch_norm=False, **compile_arguments):
    """Return a compiled GAN of samples of two numbers, the same at each call."""
    keras.utils.set_random_seed(0)
    generator = mlp(4, 2, batch_norm=batch_norm, name="g")
    gan = kg.GAN(generator, mlp(2, 1, name="d"), prior="normal", seed=0)
    gan.compile(**{**sgd(0.1), "run_eagerly": EAGERLY, **compile_arguments})
    return gan


def state(gan):
    """Return all that changes during training: weights, seeds, optimizers, averages, counters."""
    return [ops.convert_to_numpy(v) for v in [*gan.variables, *gan.optimizer.variables]]


def assert_same_state(gan, other):
    for value, expected in zip(state(gan), state(other), strict=True):
        np.testing.assert_array_equal(value, expected)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


class Adam64:
    """Adam in float64 (Kingma and Ba, 2015, algorithm 1), one step at a time."""

    def __init__(self, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        self.rate, self.beta_1, self.beta_2, self.epsilon = rate, beta_1, beta_2, epsilon
        self.m, self.v, self.t = 0.0, 0.0, 0

    def step(self, gradient):
        self.t += 1
        self.m = self.beta_1 * self.m + (1 - self.beta_1) * gradient
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * gradient**2
        m, v = self.m / (1 - self.beta_1**self.t), self.v / (1 - self.beta_2**self.t)
        # Keras adds ε before the bias correction of v is divided out.
        return self.rate * m / (np.sqrt(v) + self.epsilon / np.sqrt(1 - self.beta_2**self.t))


class Recorder(layers.Layer):
    """Passes its input on and remembers what it saw, in a GAN that runs eagerly."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, x, training=False):
        def note(rows):
            self.seen.append((ops.convert_to_numpy(rows), training))

        if BACKEND == "jax":  # which differentiates functions of tracers, eagerly too
            import jax

            jax.debug.callback(note, x)
            jax.effects_barrier()
        else:
            note(x)
        return x

    def compute_output_spec(self, x, training=False):
        return keras.KerasTensor(x.shape, x.dtype)


def number(scalar):
    """Return a tensor or variable of one entry as a float."""
    return ops.convert_to_numpy(scalar).item()


def gradients(function, *tensors):
    """Return the derivatives of the scalar `function(*tensors)`, by the backend's own means.

    They are 0 where it does not depend on a tensor, and can be differentiated again.
    """
    tensors = [ops.convert_to_tensor(tensor) for tensor in tensors]
    if BACKEND == "jax":
        import jax

        return jax.grad(function, range(len(tensors)))(*tensors)
    if BACKEND == "torch":
        import torch

        inputs = [t if t.requires_grad else t.clone().requires_grad_() for t in tensors]
        value = function(*inputs)
        return torch.autograd.grad(value, inputs, create_graph=True, materialize_grads=True)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    return tape.gradient(value, tensors, unconnected_gradients="zero")


def weight_gradients(function, variables):
    """Return the derivatives of the scalar `function()` for Keras variables, which all stay."""

    def of(*values):
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            return function()

    return gradients(of, *[variable.value for variable in variables])


def with_xla(function):
    """Compile a function of tensors by XLA, which torch does not have."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def float64():
    """Return a context in which JAX computes in float64 if asked to, as the others always do."""
    if BACKEND == "jax":
        import jax

        return jax.enable_x64(True)
    return contextlib.nullcontext()


class Once(layers.Layer):
    """x², with a first derivative that has none itself, whatever the backend."""

    def call(self, x):
        @ops.custom_gradient
        def square(x):
            def gradient(*args, upstream=None):
                upstream = args[0] if upstream is None else upstream
                return ops.stop_gradient(2.0 * x * upstream)

            return ops.square(x), gradient

        return square(x)

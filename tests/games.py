"""Small games that several tests play."""

import keras
from keras import ops

import keras_gan as kg


class Ones(kg.priors.Prior):
    """A prior without randomness."""

    def draw(self, shape, key):
        return ops.ones(shape)


def one_weight_each(theta=1.0, psi=1.0, **compile_arguments):
    """A GAN with G(1) = θ and D(x) = ψx, as in PAPERS' V = xy and the Dirac-GAN, with data at 0."""

    def linear(value, name):
        layer = keras.layers.Dense(
            1, use_bias=False, kernel_initializer=keras.initializers.Constant(value)
        )
        return keras.Sequential([keras.Input((1,)), layer], name=name)

    gan = kg.GAN(linear(theta, "g"), linear(psi, "d"), prior=Ones(), seed=0)
    gan.compile(**compile_arguments)
    return gan


def sgd(learning_rate):
    return {
        "d_optimizer": keras.optimizers.SGD(learning_rate),
        "g_optimizer": keras.optimizers.SGD(learning_rate),
    }


def weights(gan):
    """Return (θ, ψ) as floats."""
    return tuple(float(ops.squeeze(v)) for v in gan.trainable_variables)


def mlp(inputs, outputs, units=16, dropout=0.0, batch_norm=False, name=None, **dense):
    """A small network, with the layers that tests need."""
    layers = [keras.Input((inputs,)), keras.layers.Dense(units, "relu", **dense)]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization())
    if dropout:
        layers.append(keras.layers.Dropout(dropout, seed=3))
    return keras.Sequential([*layers, keras.layers.Dense(outputs, **dense)], name=name)

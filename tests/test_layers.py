"""Layers and initializers: against NumPy in float64 and against Keras' own layers."""

import keras
import numpy as np
import pytest
from helpers.games import BACKEND, float64, gradients, number, weight_gradients

from keras_gan.initializers import Sparse
from keras_gan.layers import Maxout, MaxoutConv2D, UntiedBias

CONV_SETTINGS = [("valid", 1), ("same", 1), ("valid", 2), ("same", (2, 3))]


def array(value):
    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(value))


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def built(layer, input_shape):
    """Build a layer and give it random weights, biases included."""
    layer.build(input_shape)
    layer.set_weights([random(*weight.shape, seed=7) for weight in layer.weights])
    return layer


@pytest.mark.parametrize("leading", [(5,), (2, 3), (2, 3, 4)])
def test_maxout_is_the_largest_of_its_affine_maps(leading):
    layer = built(Maxout(3, pieces=4), (*leading, 6))
    inputs = random(*leading, 6)
    kernel, bias = (array(weight).astype("float64") for weight in layer.weights)
    expected = np.full((*leading, 3), -np.inf)
    for unit in range(3):
        for piece in range(4):
            column = piece * 3 + unit
            affine = np.einsum("...i,i->...", inputs, kernel[:, column]) + bias[column]
            expected[..., unit] = np.maximum(expected[..., unit], affine)
    np.testing.assert_allclose(array(layer(inputs)), expected, rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(inputs.shape) == expected.shape


def test_one_piece_is_a_dense_layer():
    maxout = built(Maxout(3, pieces=1), (None, 6))
    dense = keras.layers.Dense(3)
    dense.build((None, 6))
    dense.set_weights(maxout.get_weights())
    inputs = random(5, 6)
    np.testing.assert_allclose(array(maxout(inputs)), array(dense(inputs)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("padding", "strides"), CONV_SETTINGS)
def test_convolutional_maxout_is_the_largest_of_keras_convolutions(padding, strides):
    filters, pieces = 3, 2
    layer = built(
        MaxoutConv2D(filters, pieces, (3, 4), strides=strides, padding=padding), (None, 9, 8, 2)
    )
    images = random(2, 9, 8, 2).astype("float32")
    kernel, bias = layer.get_weights()
    maps = []
    for piece in range(pieces):
        columns = slice(piece * filters, (piece + 1) * filters)
        convolution = keras.layers.Conv2D(filters, (3, 4), strides, padding)
        convolution.build(images.shape)
        convolution.set_weights([kernel[..., columns], bias[columns]])
        maps.append(array(convolution(images)))
    outputs = array(layer(images))
    np.testing.assert_allclose(outputs, np.maximum(*maps), rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape((None, 9, 8, 2)) == (None, *outputs.shape[1:])


def test_convolutional_maxout_of_images_of_any_size():
    layer = MaxoutConv2D(3, pieces=2, kernel_size=3)
    network = keras.Sequential([keras.Input((None, None, 1)), layer])
    assert network.output_shape == (None, None, None, 3)
    assert network(np.zeros((1, 7, 5, 1))).shape == (1, 5, 3, 3)


@pytest.mark.parametrize(
    ("layer", "shape", "axis"),
    [(Maxout(4, pieces=3), (None, 30), 0), (MaxoutConv2D(4, 3, 5), (None, 8, 8, 2), (0, 1, 2))],
)
def test_max_norm_bounds_each_piece_of_each_unit(layer, shape, axis):
    built(layer, shape)
    constraint = keras.constraints.MaxNorm(2.0, axis=axis)
    before = array(layer.kernel)
    after = array(constraint(layer.kernel))
    norms = np.sqrt((before.astype("float64") ** 2).sum(axis))
    assert norms.shape == (12,)
    assert norms.min() > 2.0
    np.testing.assert_allclose(after, before * 2.0 / norms, rtol=1e-5)


def test_the_constraint_holds_after_a_training_step():
    layer = Maxout(4, pieces=3, kernel_constraint=keras.constraints.MaxNorm(1.9365, axis=0))
    model = keras.Sequential([keras.Input((30,)), layer])
    model.compile(keras.optimizers.SGD(100.0), "mse")
    model.fit(random(8, 30), random(8, 4), verbose=0)
    norms = np.linalg.norm(array(layer.kernel).astype("float64"), axis=0)
    assert norms.max() <= 1.9365 * (1 + 1e-6)
    assert norms.max() > 1.93


def test_kernel_regularizer():
    layer = built(Maxout(2, 3, kernel_regularizer=keras.regularizers.L2(0.1)), (None, 5))
    expected = 0.1 * (array(layer.kernel).astype("float64") ** 2).sum()
    np.testing.assert_allclose(number(layer.losses[0]), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Maxout(3, 4, dtype="float64"), (2, 5)),
        (MaxoutConv2D(2, 3, 3, dtype="float64"), (2, 6, 6, 2)),
    ],
)
def test_the_gradient_can_be_differentiated_again(layer, shape):
    """The gradient of ‖∂ sum(layer(x)²) / ∂x‖² by the kernel, and a difference."""

    def penalty():
        (slope,) = gradients(lambda x: keras.ops.sum(layer(x) ** 2), random(*shape))
        return keras.ops.sum(slope**2)

    with float64():
        built(layer, shape)
        (gradient,) = weight_gradients(penalty, [layer.kernel])
        direction = random(*layer.kernel.shape, seed=3)
        # On torch Keras multiplies matrices of float64 in float32.
        kernel, step, rtol = array(layer.kernel), *((1e-3, 1e-4) if BACKEND == "torch" else (1e-6, 1e-6))
        values = []
        for sign in (1, -1):
            layer.kernel.assign(kernel + sign * step * direction)
            values.append(number(penalty()))
        assert kernel.dtype == "float64"
    numeric = (values[0] - values[1]) / (2 * step)
    np.testing.assert_allclose((array(gradient) * direction).sum(), numeric, rtol=rtol)


def test_layers_survive_saving(tmp_path):
    path = tmp_path / "network.keras"
    network = keras.Sequential(
        [
            keras.Input((9, 9, 2)),
            MaxoutConv2D(
                4, 2, (3, 2), strides=(1, 2), padding="same", kernel_regularizer="l2", name="maxout_conv"
            ),
            UntiedBias("ones"),
            keras.layers.Flatten(),
            Maxout(
                5,
                3,
                kernel_initializer=keras.initializers.RandomUniform(-0.01, 0.01, seed=1),
                bias_initializer="ones",
                kernel_constraint=keras.constraints.MaxNorm(1.5),
                name="maxout",
            ),
            keras.layers.Dense(1, kernel_initializer=Sparse(2, stddev=3.0, seed=5)),
        ]
    )
    network.save(path)
    loaded = keras.saving.load_model(path)
    images = random(3, 9, 9, 2)
    np.testing.assert_array_equal(array(network(images)), array(loaded(images)))
    for layer, copy in zip(network.layers, loaded.layers, strict=True):
        assert copy.get_config() == layer.get_config()
    assert loaded.get_layer("maxout").kernel_constraint.max_value == 1.5
    assert loaded.get_layer("maxout_conv").strides == (1, 2)


@pytest.mark.parametrize("layer", [Maxout(3, 2), UntiedBias()])
def test_layers_compute_in_half_precision_and_keep_float32_weights(layer):
    layer = type(layer).from_config({**layer.get_config(), "dtype": "mixed_float16"})
    assert array(layer(random(2, 5))).dtype == "float16"
    assert {weight.dtype for weight in layer.weights} == {"float32"}


@pytest.mark.tensorflow
def test_maxout_in_a_compiled_function_with_unknown_batch_size():
    import tensorflow as tf

    layer = built(Maxout(3, 2), (None, 4))
    compiled = tf.function(layer, input_signature=[tf.TensorSpec((None, 4))])
    inputs = tf.constant(random(6, 4), "float32")
    np.testing.assert_allclose(compiled(inputs), layer(inputs), rtol=1e-6)


def test_untied_bias_adds_one_number_to_each_position():
    layer = built(UntiedBias(), (None, 3, 2, 2))
    images = random(4, 3, 2, 2)
    bias = array(layer.bias)
    assert bias.shape == (3, 2, 2)
    np.testing.assert_allclose(array(layer(images)), images + bias, rtol=1e-6)
    assert layer.compute_output_shape((None, 3, 2, 2)) == (None, 3, 2, 2)


def test_sparse_weights_have_a_fixed_number_of_normal_entries():
    kernel = array(Sparse(100, stddev=2.0, seed=0)((800, 300)))
    assert kernel.dtype == "float32"
    np.testing.assert_array_equal((kernel != 0).sum(axis=0), 100)
    values = kernel[kernel != 0].astype("float64")
    # 30,000 draws from N(0, 2): both bounds are about four standard errors.
    assert abs(values.mean()) < 4 * 2 / np.sqrt(values.size)
    assert abs(values.std() - 2) < 4 * 2 / np.sqrt(2 * values.size)
    # Each row is chosen Binomial(300, 1/8) times.
    chosen = (kernel != 0).sum(axis=1)
    assert abs(chosen.var() / (300 * 7 / 64) - 1) < 0.25
    assert abs(np.corrcoef(np.nonzero(kernel)[0], kernel[kernel != 0])[0, 1]) < 0.03


def test_sparse_weights_follow_their_seed():
    first, again, other, unseeded = (array(Sparse(3, seed=seed)((20, 5))) for seed in (1, 1, 2, None))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != unseeded).any()
    initializer = Sparse(3)
    copy = Sparse.from_config(initializer.get_config())
    np.testing.assert_array_equal(array(initializer((20, 5))), array(copy((20, 5))))


@pytest.mark.parametrize("shape", [(2, 5), (10,), (3, 3, 5)])
def test_sparse_weights_need_a_matrix_with_enough_rows(shape):
    with pytest.raises(ValueError, match=r"at least 3 inputs. Received: shape=.*Decrease `nonzero`"):
        Sparse(3)(shape)


def test_images_smaller_than_the_kernel():
    layer = MaxoutConv2D(3, 2, kernel_size=5, name="small")
    with pytest.raises(ValueError, match=r"4×9 are smaller than the kernel of layer 'small', 5×5"):
        layer(keras.Input((4, 9, 1)))


def test_untied_bias_needs_known_sizes():
    with pytest.raises(ValueError, match=r"'pixels' has a bias.*\(None, None, 8, 1\).*full shape"):
        UntiedBias(name="pixels")(keras.Input((None, 8, 1)))

"""The helpers that join conditions to the features of a network."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_gan as kg
from keras_gan.architectures import embed_labels, join_conditions

RNG = np.random.default_rng(0)
ORDERS = ["channels_last", "channels_first"]
MAPS, IMAGE, VECTOR = (4, 6, 3), (8, 12, 2), (5,)


def draw(*shape):
    return RNG.normal(size=shape).astype("float32")


def label_input(*shape):
    return keras.Input(shape, dtype="int32")


def in_order(array, order):
    """Return images with their channels last in an order."""
    return np.moveaxis(array, -1, 1) if order == "channels_first" and array.ndim > 2 else array


def joined(arrays, order="channels_last"):
    """Return what a network joins, with its channels last."""
    arrays = [in_order(array, order) for array in arrays]
    inputs = [keras.Input(array.shape[1:]) for array in arrays]
    network = keras.Model(inputs, join_conditions(*inputs, data_format=order))
    assert network.output.shape[1:] == network(arrays).shape[1:]
    found = ops.convert_to_numpy(network(arrays))
    return np.moveaxis(found, 1, -1) if order == "channels_first" and found.ndim > 2 else found


# Labels


@pytest.mark.parametrize("axis", [(), (1,)])
def test_labels_are_one_hot(axis):
    label = label_input(*axis)
    network = keras.Model(label, embed_labels(label, 4))
    found = network(np.reshape([2, 0, 3], (3, *axis)))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), np.eye(4)[[2, 0, 3]])
    assert network.count_params() == 0


@pytest.mark.parametrize("axis", [(), (1,)])
def test_labels_are_rows_of_an_embedding(axis):
    label = label_input(*axis)
    network = keras.Model(label, embed_labels(label, 4, size=3, seed=7))
    (rows,) = network.get_weights()
    found = network(np.reshape([2, 0, 3], (3, *axis)))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), rows[[2, 0, 3]])
    again = keras.Model(label, embed_labels(label, 4, size=3, seed=7)).get_weights()[0]
    np.testing.assert_array_equal(again, rows)


def test_an_embedding_starts_as_a_normal_distribution():
    label = label_input()
    (rows,) = keras.Model(label, embed_labels(label, 100, size=50, seed=0)).get_weights()
    assert abs(rows.mean()) < 0.06  # four standard errors
    assert abs(rows.std() - 1) < 0.04


@pytest.mark.parametrize("size", [None, 3])
def test_a_label_outside_the_classes_is_found(size):
    label = label_input()
    generator = keras.Model(
        [z := keras.Input((2,)), label],
        keras.layers.Dense(2)(join_conditions(z, embed_labels(label, 4, size=size))),
    )
    x, label = keras.Input((2,)), label_input()
    judge = keras.Model([x, label], keras.layers.Dense(1)(join_conditions(x, embed_labels(label, 4))))
    gan = kg.GAN(generator, judge, prior="normal", seed=0)
    with pytest.raises(ValueError, match=r"must be a label in \[0, 4\)"):
        gan.generate(2, condition=np.array([0, 4]))


# Joining


def test_vectors_join_a_vector():
    x, y, number = draw(3, 4), draw(3, 5), draw(3)
    np.testing.assert_array_equal(joined([x, y]), np.concatenate([x, y], axis=1))
    np.testing.assert_array_equal(joined([x, number]), np.concatenate([x, number[:, None]], axis=1))


@pytest.mark.parametrize("order", ORDERS)
def test_an_image_joins_a_vector_flattened(order):
    x, image = draw(3, 4), draw(3, *IMAGE)
    expected = np.concatenate([x, in_order(image, order).reshape(3, -1)], axis=1)
    np.testing.assert_array_equal(joined([x, image], order), expected)


@pytest.mark.parametrize("order", ORDERS)
def test_a_vector_joins_maps_at_each_position(order):
    maps, y = draw(3, *MAPS), draw(3, *VECTOR)
    found = joined([maps, y], order)
    np.testing.assert_array_equal(found[..., :3], maps)
    for row in range(MAPS[0]):
        for column in range(MAPS[1]):
            np.testing.assert_array_equal(found[:, row, column, 3:], y)


@pytest.mark.parametrize("order", ORDERS)
def test_maps_of_the_same_positions_join_as_they_are(order):
    maps, others = draw(3, *MAPS), draw(3, 4, 6, 2)
    expected = np.concatenate([maps, others], axis=-1)
    np.testing.assert_array_equal(joined([maps, others], order), expected)


def triangles(large, small):
    """Return the rows with which a linear filter with antialiasing shrinks `large` numbers."""
    scale = large / small
    centers = (np.arange(small) + 0.5) * scale - 0.5
    rows = np.maximum(0, 1 - np.abs(np.arange(large) - centers[:, None]) / scale)
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("order", ORDERS)
def test_an_image_joins_maps_resized(order):
    maps, image = draw(3, *MAPS), draw(3, *IMAGE)
    shrunk = np.einsum("ij,bjkc,lk->bilc", triangles(8, 4), image, triangles(12, 6))
    found = joined([maps, image], order)
    np.testing.assert_array_equal(found[..., :3], maps)
    np.testing.assert_allclose(found[..., 3:], shrunk, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_several_conditions_keep_their_order(order):
    maps, number, y, image = draw(2, *MAPS), draw(2), draw(2, *VECTOR), draw(2, *IMAGE)
    found = joined([maps, number, y, image, y], order)
    parts = [joined([maps, part], order)[..., 3:] for part in (number, y, image, y)]
    np.testing.assert_array_equal(found, np.concatenate([maps, *parts], axis=-1))


def test_a_vector_joins_a_sequence():
    words, y = draw(2, 7, 3), draw(2, 5)
    expected = np.concatenate([words, np.repeat(y[:, None], 7, axis=1)], axis=-1)
    np.testing.assert_array_equal(joined([words, y]), expected)


def test_without_a_condition_features_return_as_they_are():
    x = keras.Input((4,))
    assert join_conditions(x) is x


def test_the_default_order_is_that_of_keras(channels_first):
    maps, y = keras.Input((3, 4, 6)), keras.Input((5,))
    assert join_conditions(maps, y).shape == (None, 8, 4, 6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    maps, y = draw(2, *MAPS), draw(2, *VECTOR)
    found = joined([maps, y]).astype("float32")
    np.testing.assert_allclose(found[:, 0, 0, 3:], y, rtol=1e-2)


# Networks of several conditions


def networks():
    """Return a generator and a discriminator of images with a label, a vector and an image."""

    def conditions():
        label, vector, image = label_input(), keras.Input((3,)), keras.Input((8, 8, 1))
        return [label, vector, image], [embed_labels(label, 4, size=2, seed=0), vector, image]

    last = {"data_format": "channels_last"}
    z, (inputs, parts) = keras.Input((6,)), conditions()
    h = keras.layers.Dense(16, "relu")(join_conditions(z, *parts, **last))
    h = join_conditions(keras.layers.Reshape((4, 4, 1))(h), *parts, **last)
    made = keras.layers.Conv2DTranspose(1, 4, 2, padding="same", activation="sigmoid", **last)(h)
    generator = keras.Model([z, *inputs], made)
    x, (inputs, parts) = keras.Input((8, 8, 1)), conditions()
    h = keras.layers.Conv2D(4, 4, 2, "same", **last)(join_conditions(x, *parts, **last))
    h = keras.layers.Flatten()(join_conditions(h, *parts, **last))
    return generator, keras.Model([x, *inputs], keras.layers.Dense(1)(h))


def test_a_gan_of_a_label_a_vector_and_an_image(tmp_path):
    gan = kg.GAN(*networks(), prior="normal", seed=0)
    gan.compile("sgd", "sgd", terms=[kg.terms.R1(1.0)], run_eagerly=True)
    x = RNG.random((4, 8, 8, 1)).astype("float32")
    condition = (np.arange(4, dtype="int32"), draw(4, 3), RNG.random((4, 8, 8, 1)).astype("float32"))
    before = gan.get_weights()
    logs = gan.train_on_batch(x, condition, return_dict=True)
    assert all(np.isfinite(float(value)) for value in logs.values())
    changed = [not np.array_equal(a, b) for a, b in zip(before, gan.get_weights(), strict=True)]
    embeddings = [i for i, weight in enumerate(gan.weights) if weight.path.endswith("embeddings")]
    assert embeddings
    assert all(changed[i] for i in embeddings)
    samples = gan.generate(4, seed=1, condition=condition)
    for i in range(3):  # each condition matters
        others = list(condition)
        others[i] = others[i][::-1]
        assert np.abs(samples - gan.generate(4, seed=1, condition=tuple(others))).max() > 1e-4
    gan.save(tmp_path / "gan.keras")
    again = keras.models.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(again.generate(4, seed=1, condition=condition), samples)


# Bad input


@pytest.mark.parametrize(
    ("labels", "arguments", "error", "message"),
    [
        (lambda: keras.Input(()), (4,), TypeError, "must be integers.*Received the type: float32"),
        (lambda: label_input(2), (4,), ValueError, r"\(batch,\) or \(batch, 1\).*\(None, 2\)"),
        (lambda: "label", (4,), TypeError, "`labels` must be a tensor.*Received: 'label'"),
        (label_input, (0,), ValueError, "`num_classes` must be an integer >= 1. Received: 0"),
        (label_input, (4, 0), ValueError, "`size` must be an integer >= 1. Received: 0"),
    ],
)
def test_labels_that_cannot_be_embedded(labels, arguments, error, message):
    with pytest.raises(error, match=message):
        embed_labels(labels(), *arguments)


@pytest.mark.parametrize(
    ("features", "condition", "error", "message"),
    [
        ((4,), "digit", TypeError, "`conditions` must be a tensor.*Received: 'digit'"),
        ((4,), label_input, TypeError, r"integers of shape \(None,\).*embed_labels`"),
        ((), (3,), ValueError, r"`features` must have the shape .*Received: \(None,\)"),
        ((None, None, 3), (3,), ValueError, r"with known numbers.*\(None, None, None, 3\)"),
        ((4, 4, 3), (None,), ValueError, r"must have known numbers.*\(None, None\)"),
        ((4, 4, 3), (5, 3), ValueError, r"\(None, 4, 4, 3\) must be a vector.*\(None, 5, 3\)"),
        ((7, 3), (6, 3), ValueError, r"have the positions \(7,\).*shape \(None, 6, 3\)"),
    ],
)
def test_conditions_that_cannot_be_joined(features, condition, error, message):
    if isinstance(condition, tuple):
        condition = keras.Input(condition)
    elif callable(condition):
        condition = condition()
    with pytest.raises(error, match=message):
        join_conditions(keras.Input(features), condition)


def test_features_of_integers():
    with pytest.raises(
        TypeError, match=r"`features` of .* floats. Received integers .*`.*embed_labels`"
    ):
        join_conditions(label_input(4), keras.Input((2,)))


def test_an_unknown_order():
    with pytest.raises(ValueError, match="`data_format` must be one of 'channels_last'"):
        join_conditions(keras.Input((4,)), keras.Input((2,)), data_format="last")

"""Kinds of data that `fit` takes, or refuses with a hint."""

import sys

import keras
import numpy as np
import pytest
from keras import layers

import keras_gan as kg

ROWS = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")


def compiled():
    keras.utils.set_random_seed(0)
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    discriminator = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
    gan.compile("sgd", "sgd", run_eagerly=True)
    return gan


@pytest.mark.parametrize("kind", ["tensor", "dict"])
def test_torch_data_loaders_whose_batches_are_not_tuples(kind):
    """Keras alone would take the two rows of a batch for examples and labels."""
    torch = pytest.importorskip("torch", reason="needs torch, of the group `backends`")
    rows = torch.from_numpy(ROWS)
    dataset = rows if kind == "tensor" else [{"x": row} for row in rows]
    loader = torch.utils.data.DataLoader(dataset, batch_size=2)
    own = loader.collate_fn
    expected = compiled().fit(ROWS, batch_size=2, shuffle=False, verbose=0)
    received = compiled().fit(loader, validation_data=loader, verbose=0)
    np.testing.assert_allclose(received.history["d_loss"], expected.history["d_loss"], rtol=1e-5)
    assert "val_d_loss" in received.history
    assert loader.collate_fn is own


def sparse_arrays():
    scipy_sparse = pytest.importorskip("scipy.sparse", reason="needs scipy, of the extra `datasets`")
    yield scipy_sparse.csr_matrix(ROWS)
    yield scipy_sparse.coo_array(ROWS)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        yield tf.sparse.from_dense(ROWS)
        yield tf.RaggedTensor.from_tensor(ROWS)


def test_sparse_arrays_raise():
    gan = compiled()
    for array in sparse_arrays():
        message = f"`x` must be a dense array. Received: a {type(array).__name__}. Convert it"
        for call in (gan.fit, gan.evaluate, gan.train_on_batch):
            with pytest.raises(TypeError, match=message):
                call(array)


@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_overwriting_without_a_terminal_raises(method, tmp_path, monkeypatch):
    path = tmp_path / ("gan.keras" if method == "save" else "gan.weights.h5")
    gan = compiled()
    getattr(gan, method)(path)
    before = path.read_bytes()
    with open("/dev/null") as nothing, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", nothing)
        with pytest.raises(FileExistsError, match="has no terminal. Pass `overwrite=True`"):
            getattr(gan, method)(path, overwrite=False)
    assert path.read_bytes() == before


def test_a_generator_with_two_latents():
    latents = [keras.Input((3,)), keras.Input((2,))]
    generator = keras.Model(latents, layers.Dense(2)(layers.Concatenate()(latents)))
    discriminator = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="let it take one tensor and split it"):
        kg.GAN(generator, discriminator, prior="normal")


def uncompiled():
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    return kg.GAN(generator, keras.Sequential([keras.Input((2,)), layers.Dense(1)]), prior="normal")


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_training_before_compile(method):
    with pytest.raises(
        ValueError, match=r"not compiled. Call `gan.compile\(d_optimizer, g_optimizer\)`"
    ):
        getattr(uncompiled(), method)(ROWS)


def test_iterators_that_are_not_generators():
    once = {"steps_per_epoch": 1, "verbose": 0}
    expected = compiled().fit((part for part in [(ROWS,)]), **once).history
    assert compiled().fit(iter([(ROWS,)]), **once).history == expected


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0, 2.0], TypeError, "`class_weight` must be a dict from classes to numbers"),
        ({0: -1.0}, ValueError, "`class_weight`: `weight` must be a finite number >= 0"),
        ({"a": 1.0}, TypeError, "`class_weight`: `class` must be an integer >= 0"),
    ],
)
def test_invalid_class_weights(weights, error, message):
    with pytest.raises(error, match=message):
        compiled().fit(ROWS, np.arange(8) % 2, class_weight=weights)


def test_class_weights_require_labels():
    with pytest.raises(ValueError, match="`class_weight` requires that `y` is one array of labels"):
        compiled().fit(ROWS, class_weight={0: 1.0})


@pytest.mark.parametrize("frequency", [0, "x", [1, 0]])
def test_invalid_validation_frequency(frequency):
    with pytest.raises((TypeError, ValueError), match="`validation_freq` must be an integer >= 1"):
        compiled().fit(ROWS, validation_data=ROWS, validation_freq=frequency, verbose=0)


def test_one_hot_labels_get_a_hint():
    z, x, label = keras.Input((3,)), keras.Input((2,)), keras.Input((), dtype="int32")
    embedded = layers.Embedding(4, 2)(label)
    generator = keras.Model([z, label], layers.Dense(2)(layers.Concatenate()([z, embedded])))
    judge = keras.Model([x, label], layers.Dense(1)(layers.Concatenate()([x, embedded])))
    gan = kg.GAN(generator, keras.models.clone_model(judge), prior="normal", seed=0)
    gan.compile("sgd", "sgd")
    with pytest.raises(ValueError, match=r"For one-hot labels, pass `np.argmax\(y, axis=-1\)`"):
        gan.fit(ROWS, np.eye(4, dtype="float32")[[0] * 8], verbose=0)


@pytest.mark.parametrize(
    ("array", "hint"),
    [(np.ones((8, 2), int), "Scale integers first"), (ROWS + 1j, "Convert them first")],
)
def test_hints_on_types_of_numbers(array, hint):
    with pytest.raises(ValueError, match=hint):
        compiled().fit(array, verbose=0)


def test_unknown_arguments_list_the_known_ones():
    gan = uncompiled()
    with pytest.raises(TypeError, match="Expected: generator, discriminator, prior, seed, name$"):
        kg.GAN(gan.generator, gan.discriminator, latent_dim=3)

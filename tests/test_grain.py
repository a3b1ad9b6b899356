"""Data of Grain: training on them is training on the same arrays."""

import keras
import numpy as np
import pytest
from helpers.games import mlp, sgd

import keras_gan as kg

# Keras does not know the length of these data before the first pass ends.
pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")
X = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, 60).astype("int32")


def iter_dataset(grain, source):
    return grain.MapDataset.source(source).to_iter_dataset().batch(20, drop_remainder=True)


def map_dataset(grain, source):
    return grain.MapDataset.source(source).batch(20)


def loader(grain, source):
    sampler = grain.samplers.IndexSampler(len(source), num_epochs=1, shuffle=False, seed=0)
    operations = [grain.transforms.Batch(20, drop_remainder=True)]
    return grain.DataLoader(data_source=source, sampler=sampler, operations=operations)


def trained(data, **options):
    keras.utils.set_random_seed(0)
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), prior="normal", seed=0)
    gan.compile(**sgd(0.1), discriminator_steps=2, run_eagerly=True)
    gan.fit(data, epochs=2, verbose=0, **options)
    return gan.get_weights()


@pytest.mark.parametrize("make", [iter_dataset, map_dataset, loader])
def test_grain_data_train_like_arrays(make):
    import grain

    expected = trained(X, batch_size=20, shuffle=False)
    for weight, value in zip(trained(make(grain, X)), expected, strict=True):
        np.testing.assert_allclose(weight, value, rtol=0, atol=1e-6)


def test_pairs_with_a_condition():
    import grain

    def network(inputs, outputs):
        data, label = keras.Input((inputs,)), keras.Input((), dtype="int32")
        known = keras.layers.Embedding(3, 2)(label)
        joined = keras.layers.Concatenate()([data, known])
        return keras.Model([data, label], keras.layers.Dense(outputs)(joined))

    gan = kg.GAN(network(4, 2), network(2, 1), prior="normal", seed=0)
    gan.compile(**sgd(0.1), run_eagerly=True)
    history = gan.fit(iter_dataset(grain, list(zip(X, LABELS, strict=True))), epochs=1, verbose=0)
    assert np.isfinite(history.history["d_loss"]).all()

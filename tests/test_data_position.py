"""A run that is resumed reads the batches that the whole run would have read, of any kind of data."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from games import mlp
from PIL import Image

import keras_gan as kg
from keras_gan.models.data_position import FitData, position

X = np.random.default_rng(0).uniform(size=(60, 4)).astype("float32")
Dataset = tf.data.Dataset


def train(make_data, epochs, folder, loss="non_saturating", seed=0, **options):
    keras.utils.set_random_seed(seed)
    gan = kg.GAN(mlp(3, 4), mlp(4, 1), seed=seed)
    gan.compile(keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-2), loss=loss, run_eagerly=True)
    data, made = make_data(), {name: make() for name, make in options.items() if callable(make)}
    resume = kg.callbacks.Resume(folder)
    gan.fit(data, epochs=epochs, verbose=0, callbacks=[resume], **{**options, **made})
    return gan


def result(gan):
    weights = [keras.ops.convert_to_numpy(variable) for variable in gan.variables]
    return gan.history.history, weights


def assert_resumes(make_data, folder, **options):
    """Two epochs and two more give what four give."""
    history, weights = result(train(make_data, 4, folder / "whole", **options))
    train(make_data, 2, folder / "parts", **options)
    history_of_parts, weights_of_parts = result(train(make_data, 4, folder / "parts", **options))
    assert history_of_parts == history
    for part, whole in zip(weights_of_parts, weights, strict=True):
        np.testing.assert_array_equal(part, whole)
    return history


def load(**options):
    return kg.datasets.load(IMAGES, batch_size=10, seed=0, **options).map(
        lambda batch: tf.reshape(batch, [-1, 4])
    )


IMAGES = X.reshape(60, 2, 2, 1)


def counted(rows=60):
    """A dataset that counts its epochs, as `kg.datasets.load` returns them, of rows of four numbers."""
    from keras_gan.datasets.loading import batches_by_epoch

    return batches_by_epoch(X[:rows], batch_size=10, shuffle=True, seed=0)


PIPELINES = {
    "counted": (counted, {}),
    "counted, steps": (counted, {"steps_per_epoch": 4}),
    "counted, endless": (lambda: counted().repeat(), {"steps_per_epoch": 4}),
    "load, map": (load, {}),
    "load, take": (lambda: load().take(4), {}),
    "load, batches of its own": (
        lambda: load().unbatch().shuffle(30, seed=1).batch(7, drop_remainder=True).prefetch(3),
        {"steps_per_epoch": 5},
    ),
    "in order": (lambda: Dataset.from_tensor_slices(X).batch(10), {}),
    "in order, steps": (lambda: Dataset.from_tensor_slices(X).batch(10), {"steps_per_epoch": 4}),
    "shuffled": (lambda: Dataset.from_tensor_slices(X).shuffle(30, seed=1).batch(10), {}),
    "shuffled by the global seed": (lambda: Dataset.from_tensor_slices(X).shuffle(30).batch(10), {}),
    "endless": (
        lambda: Dataset.from_tensor_slices(X).repeat().shuffle(30, seed=1).batch(10).prefetch(4),
        {"steps_per_epoch": 4},
    ),
    "random numbers": (
        lambda: Dataset.random(seed=2).map(
            lambda number: tf.random.stateless_uniform([10, 4], tf.stack([number, 0]))
        ),
        {"steps_per_epoch": 4},
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_resume(name, tmp_path):
    make_data, options = PIPELINES[name]
    assert_resumes(make_data, tmp_path, **options)


class Rows(keras.utils.PyDataset):
    """Batches of X; with `augment` each is moved by a random number, with `mix` rows change places."""

    def __init__(self, length=6, augment=None, mix=False, **options):
        super().__init__(**options)
        self.length, self.augment, self.mix = length, augment, mix
        self.random, self.order = np.random.default_rng(5), np.arange(60)

    @property
    def num_batches(self):
        return self.length

    def __getitem__(self, index):
        rows = X[self.order[index * 10 % 60 : index * 10 % 60 + 10]]
        moves = {
            None: lambda: 0.0,
            "own": self.random.random,
            "global": np.random.random,
        }
        return (rows + np.float32(moves[self.augment]()),)

    def on_epoch_end(self):
        if self.mix:
            self.random.shuffle(self.order)


OTHERS = {
    "arrays": (lambda: X, {"batch_size": 10}),
    "arrays in order": (lambda: X, {"batch_size": 10, "shuffle": False}),
    "arrays, steps": (lambda: X, {"batch_size": 10, "steps_per_epoch": 4}),
    "arrays, steps alone": (lambda: X, {"steps_per_epoch": 6}),
    "arrays, weights": (lambda: X, {"batch_size": 10, "sample_weight": np.linspace(0, 1, 60)}),
    "PyDataset": (Rows, {}),
    "PyDataset, steps": (Rows, {"steps_per_epoch": 4}),
    "PyDataset, endless": (lambda: Rows(None), {"steps_per_epoch": 4}),
    "PyDataset, threads": (lambda: Rows(workers=2), {}),
    "PyDataset, rows mixed": (lambda: Rows(mix=True), {}),
    "PyDataset, own generator": (lambda: Rows(augment="own"), {}),
    "PyDataset, NumPy's generator": (lambda: Rows(augment="global"), {"steps_per_epoch": 4}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_arrays_and_batches_by_number_resume(name, tmp_path):
    make_data, options = OTHERS[name]
    assert_resumes(make_data, tmp_path, **options)

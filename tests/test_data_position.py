"""A run that is resumed reads the batches that the whole run would have read, of any kind of data."""

import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.games import sgd
from PIL import Image

import keras_gan as kg
from keras_gan import backend
from keras_gan.callbacks import Resume
from keras_gan.models.data_position import FitData, position

X = np.random.default_rng(0).uniform(size=(60, 4)).astype("float32")
Dataset = tf.data.Dataset


class Reader(kg.GAN):
    """Learns nothing, and logs a number that depends on all rows read so far and on their order."""

    def read(self, data):
        batch, _ = self.data_spec.read(data, 1)
        rows = keras.ops.sum(batch.x, axis=1) * (1 if batch.weight is None else batch.weight)
        return keras.ops.sum(rows * keras.ops.arange(1, len(rows) + 1, dtype="float32"))

    @backend.trainer_step
    def train_step(self, data):
        trace = self.generator.weights[-1]  # a bias, which is in the GAN's files
        trace.assign(0.9 * trace + self.read(data))
        self._log({"d_loss": trace[0]}, 1)
        return self.get_metrics_result()

    @backend.trainer_step
    def test_step(self, data):
        self._log({"d_loss": self.read(data)}, 1)
        return self.get_metrics_result()


def linear(inputs, outputs):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs)])


def train(make_data, epochs, *callbacks, kind=Reader, seed=0, **options):
    keras.utils.set_random_seed(seed)
    gan = kind(linear(3, 4), linear(4, 1), seed=seed)
    gan.compile(**sgd(1e-2), run_eagerly=True)
    data, made = make_data(), {name: make() for name, make in options.items() if callable(make)}
    gan.fit(data, epochs=epochs, verbose=0, callbacks=list(callbacks), **{**options, **made})
    return gan


def result(gan):
    weights = [keras.ops.convert_to_numpy(variable) for variable in gan.variables]
    return gan.history.history, weights


def assert_resumes(make_data, folder, **options):
    """Three epochs, and the last two of them from the state that the first left, are the same."""
    whole, resumed = Resume(folder / "whole"), Resume(folder / "resumed")

    def copy_first_state(epoch, logs):
        if epoch == 1:
            shutil.copytree(whole.directory, resumed.directory)

    copy = keras.callbacks.LambdaCallback(on_epoch_end=copy_first_state)
    history, weights = result(train(make_data, 3, whole, copy, **options))
    resumed_history, resumed_weights = result(train(make_data, 3, resumed, **options))
    assert resumed.initial_epoch == 1
    assert resumed_history == history
    for value, expected in zip(resumed_weights, weights, strict=True):
        np.testing.assert_array_equal(value, expected)
    assert len(set(history["d_loss"])) == 3
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


def in_order():
    return Dataset.from_tensor_slices(X).batch(10)


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
    "in order": (in_order, {}),
    "in order, steps": (in_order, {"steps_per_epoch": 4}),
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
def test_arrays_and_pydatasets_resume(name, tmp_path):
    make_data, options = OTHERS[name]
    assert_resumes(make_data, tmp_path, **options)


def test_gan_training_resumes(tmp_path):
    history = assert_resumes(counted, tmp_path, kind=kg.GAN, steps_per_epoch=4)
    other, _ = result(
        train(counted, 3, Resume(tmp_path / "other"), kind=kg.GAN, seed=1, steps_per_epoch=4)
    )
    assert other != history


VALIDATION = {
    "counted": (counted, {}),
    "counted, steps": (counted, {"validation_steps": 2}),
    "load, map": (load, {"validation_steps": 2}),
    "shuffled": (lambda: Dataset.from_tensor_slices(X).shuffle(30, seed=1).batch(10), {}),
    "in order, length unknown": (
        lambda: Dataset.from_tensor_slices(X).filter(lambda row: row[0] > 0.5).batch(10),
        {},
    ),
    "PyDataset": (lambda: Rows(mix=True), {"validation_steps": 4}),
    "PyDataset, NumPy's generator": (lambda: Rows(augment="global"), {}),
    "PyDataset, own generator": (lambda: Rows(augment="own"), {}),
    "arrays": (lambda: X, {}),
    "arrays and weights": (lambda: (X, np.zeros((60, 0)), np.linspace(0, 1, 60)), {}),
}


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras does not know its length
@pytest.mark.parametrize("name", VALIDATION)
def test_validation_data_resumes(name, tmp_path):
    make_data, options = VALIDATION[name]
    history = assert_resumes(in_order, tmp_path, validation_data=make_data, **options)
    changes = name not in ("in order, length unknown", "arrays", "arrays and weights")
    assert len(set(history["val_d_loss"])) == (3 if changes else 1)


def test_validation_split_takes_the_last_rows(tmp_path):
    """The last rows do, in their order, as Keras takes them."""
    history = assert_resumes(lambda: X, tmp_path, batch_size=10, validation_split=0.25)
    sums = X[45:].sum(axis=1)
    sums = [sums[:10] @ np.arange(1, 11), sums[10:] @ np.arange(1, 6)]
    np.testing.assert_allclose(history["val_d_loss"], np.mean(sums), rtol=1e-5)


def test_each_epoch_of_arrays_is_a_new_permutation():
    given = position(FitData(X, batch_size=10, shuffle=True))
    orders = []
    for epoch in range(2):
        given.begin(epoch)
        orders.append(np.concatenate([batch.numpy() for batch in given.data.x]))
    assert not np.array_equal(*orders)
    for order in orders:
        np.testing.assert_array_equal(np.sort(order, axis=0), np.sort(X, axis=0))


@pytest.mark.parametrize("steps", [None, 4])
def test_each_pass_of_a_pydataset_is_a_new_permutation(steps):
    epochs = position(FitData(Rows(), steps=steps, shuffle=True)).data.x
    read = []
    for epochs.epoch in range(3):
        read += [epochs[index][0][0, 0] for index in range(epochs.num_batches)]
    passes = np.array(read[:12]).reshape(2, 6)
    assert not np.array_equal(*passes)
    np.testing.assert_array_equal(np.sort(passes), np.sort([X[::10, 0]] * 2))


def test_image_dataset_from_directory_resumes(tmp_path):
    for number in range(8):
        path = tmp_path / "images" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((2, 2), 30 * number, "uint8")).save(path)

    def images(seed=3):
        dataset = keras.utils.image_dataset_from_directory(
            tmp_path / "images",
            labels=None,
            color_mode="grayscale",
            image_size=(2, 2),
            batch_size=2,
            seed=seed,
            verbose=False,
        )
        return dataset.map(lambda images: tf.reshape(images, [-1, 4]) / 255)

    assert_resumes(images, tmp_path)
    with pytest.raises(ValueError, match=r"fit\.data\.seeds\[0\]\[1\] was 3, and is 4"):
        train(lambda: images(seed=4), 5, Resume(tmp_path / "whole"))


@pytest.mark.parametrize("own", [True, False])
def test_torch_data_loaders_resume(own, tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch, of the group `backends`")
    rows = torch.utils.data.TensorDataset(torch.from_numpy(X))

    def make():
        generator = torch.Generator().manual_seed(5) if own else None
        return torch.utils.data.DataLoader(rows, batch_size=10, shuffle=True, generator=generator)

    assert_resumes(make, tmp_path, validation_data=make)


def grain_datasets():
    import grain

    rows = grain.MapDataset.source(X)
    return {
        "map": lambda: rows.shuffle(seed=1).batch(10),
        "endless": lambda: rows.shuffle(seed=1).repeat().batch(10).to_iter_dataset(),
        "loader": lambda: grain.DataLoader(
            data_source=X,
            sampler=grain.samplers.IndexSampler(60, num_epochs=1, shuffle=True, seed=1),
            operations=[grain.transforms.Batch(10, drop_remainder=True)],
        ),
    }


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras does not know their length
@pytest.mark.parametrize("name", ["map", "endless", "loader"])
def test_grain_datasets_resume(name, tmp_path):
    make = grain_datasets()[name]
    assert_resumes(make, tmp_path / "steps", steps_per_epoch=4)
    if name != "endless":
        assert_resumes(make, tmp_path / "passes", validation_data=make)


def stateful(row):
    return row + tf.random.normal([])


def unseeded():
    tf.random.set_seed(None)
    return Dataset.from_tensor_slices(X).shuffle(30).batch(10)


REFUSED = {
    "a generator": (
        lambda: ((X[:10],) for _ in range(9)),
        {"steps_per_epoch": 2},
        "cannot save the position of data of this kind. Received: generator. Pass arrays",
    ),
    "a shuffle without a seed": (unseeded, {}, "an order that no other process can repeat"),
    "random numbers": (
        lambda: Dataset.from_tensor_slices(X).map(stateful).batch(10),
        {},
        "does not save: RandomStandardNormal is stateful",
    ),
    "random numbers, counted": (
        lambda: counted().map(stateful),
        {},
        "does not save: RandomStandardNormal is stateful",
    ),
    "random numbers beside what is counted": (
        lambda: Dataset.zip((counted(), counted().map(stateful))).map(lambda a, b: a),
        {},
        "does not save: RandomStandardNormal is stateful",
    ),
    "a generator in a pipeline": (
        lambda: Dataset.from_generator(
            lambda: iter(X), output_signature=tf.TensorSpec((4,), "float32")
        ).batch(10),
        {},
        "does not save: PyFunc is stateful",
    ),
    "a length that is not known": (
        lambda: Dataset.from_tensor_slices(X).shuffle(9, seed=1).filter(lambda row: True).batch(10),
        {},
        "a `tf.data.Dataset` of unknown or infinite length",
    ),
    "no end": (lambda: Rows(None), {}, "a `PyDataset` without end"),
    "rows mixed within batches": (lambda: X, {"shuffle": "batch"}, "`shuffle='batch'`"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_data_without_a_reproducible_position_raise(name, tmp_path):
    make_data, options, message = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        train(make_data, 1, Resume(tmp_path), **options)
    assert not list(tmp_path.iterdir())  # before training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"persistent_workers": True, "num_workers": 1}, "`persistent_workers=True`"),
        ({"steps_per_epoch": 2}, "`steps_per_epoch`, with which an epoch ends amid a pass"),
        ({"iterable": True}, "an `IterableDataset`"),
    ],
)
def test_torch_data_loaders_that_cannot_resume_raise(options, message, tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch, of the group `backends`")

    class Endless(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(X)

    steps = {name: options.pop(name) for name in ("steps_per_epoch",) if name in options}
    rows = torch.utils.data.TensorDataset(torch.from_numpy(X))
    rows = Endless() if options.pop("iterable", False) else rows
    with pytest.raises(ValueError, match=re.escape(message)):
        train(lambda: torch.utils.data.DataLoader(rows, 10, **options), 1, Resume(tmp_path), **steps)


def test_different_kind_of_data_raises(tmp_path):
    train(lambda: X, 1, Resume(tmp_path), batch_size=10)
    with pytest.raises(ValueError, match="fit.data.kind was"):
        train(Rows, 2, Resume(tmp_path))

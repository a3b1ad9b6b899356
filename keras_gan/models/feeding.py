"""The data that `fit`, `evaluate` and single steps pass to a GAN: weights and checks."""

import copy
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NoReturn

import keras
import numpy as np
from keras import ops

from keras_gan import backend
from keras_gan.models.data_position import FitData
from keras_gan.models.fitting import flat_callbacks, order_callbacks
from keras_gan.models.ranges import check_data
from keras_gan.utils import batches, structures
from keras_gan.utils.typing import Game, Logs
from keras_gan.utils.validation import check_integer, check_number, naming, shortened

__all__ = ["CheckedDataset", "Feeding", "checked", "with_labels"]


class Feeding(keras.Model):
    """The part of `GAN` that passes data to its steps: `fit`, `evaluate` and single batches."""

    data_spec: batches.DataSpec
    train_function: Any
    test_function: Any

    @property
    def training_spec(self) -> batches.DataSpec:
        """Specification of the data of `fit`: what the networks take, unless a variant draws a part."""
        return self.data_spec

    def make_train_function(self, force: bool = False) -> Callable[..., Any] | None:
        """See base class; checks settings, layers under several replicas, and labels."""
        self.check_settings()
        backend.check_replicas(self)
        if force or self.train_function is None:
            super().make_train_function(force)
            self.train_function = self._with_checked_labels(self.train_function)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Callable[..., Any] | None:
        """See base class; checks labels."""
        if force or self.test_function is None:
            super().make_test_function(force)
            self.test_function = self._with_checked_labels(self.test_function)
        return self.test_function

    def _with_checked_labels(self, function):
        if not any(self.training_spec.classes):
            return function
        return backend.checked_data(function, self.training_spec.check_labels)

    def check_epoch(self, logs: Logs) -> None:
        """Refuse to continue if the logs of an epoch show that a variant cannot use the data."""

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: keras.callbacks.Callback | Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does: `fit(x)`, `fit(x, condition)` or `fit(dataset)` of batches.

        `x` may be a dict of examples and conditions, such as those of TensorFlow Datasets. Entries are
        matched to the networks' inputs by name, or by a shape that only one entry has.

        `sample_weight` (and `class_weight`) weighs the rows of real examples in both players' means and,
        in a conditional GAN, the samples generated for the same conditions. The means are divided by
        the sum of the weights, so that real and generated examples stay in balance.

        The order of a dataset of `kg.datasets.load` depends only on its seed and the number of the
        epoch. `keras.callbacks.TerminateOnNaN` sees both players' losses. `kg.callbacks.Resume` acts
        before the other callbacks, whatever its position, and resumes a run that was killed; callbacks
        that monitor a number, such as `ModelCheckpoint`, act after the others, which may log it.

        Raises:
            ValueError: the GAN is not compiled; the data do not fit the networks or contain an unknown
                label (in datasets of TensorFlow: `tf.errors.InvalidArgumentError`); the last batch has
                fewer rows than `discriminator_steps`; settings have changed since `compile`;
                `class_weight` is used without labels as the only `y`.
        """
        self._check_compiled()
        _check_epochs(epochs, kwargs)
        _check_counts(batch_size=batch_size, **{name: kwargs.get(name) for name in _COUNTS})
        if kwargs.get("class_weight") is not None:
            _check_class_weight(kwargs["class_weight"], x, y)
        given = {"data": self._training(x, y, batch_size, kwargs)}
        if kwargs.get("validation_data") is not None:
            given["validation"] = self._validation(kwargs)
        elif kwargs.get("validation_split") and given["data"].is_arrays:
            given["data"], given["validation"] = given["data"].split(kwargs.pop("validation_split"))
        if given["data"].is_arrays:
            self._check_training(given["data"])
        check_data(self, x, given["data"].y)
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks, given = order_callbacks(callbacks, **given)
        if "validation" in given:
            with naming("validation_data"):
                kwargs["validation_data"] = self._parts(given["validation"])
        data = given["data"]
        kwargs.update(sample_weight=data.sample_weight, shuffle=data.shuffle, steps_per_epoch=data.steps)
        with backend.restore_on_error(self), backend.plain_errors():
            x = checked(self, data.x, data.y)
            return super().fit(x, data.y, batch_size, epochs, verbose, callbacks, **kwargs)

    def _check_compiled(self):
        if not self.compiled:
            raise ValueError(
                "This GAN is not compiled. Call `gan.compile(d_optimizer, g_optimizer)` first, such as "
                "`gan.compile(**kg.recipes.adam_r1_ema())`."
            )

    def _training(self, x, y, batch_size, options):
        """Return the training data; removes the options of `fit` that describe them."""
        y, weight = with_labels(x, y, options.pop("sample_weight", None))
        steps = options.pop("steps_per_epoch", None)
        data = FitData(x, y, weight, batch_size, steps, seed=self.seed)
        # Other data have their own order, and Keras would warn that it cannot shuffle them.
        can_shuffle = data.is_arrays or isinstance(x, keras.utils.PyDataset)
        return data._replace(shuffle=options.pop("shuffle", can_shuffle))

    def _check_training(self, data):
        """Refuse arrays that training cannot use, and warn about numbers that are not finite."""
        self.training_spec.check_arrays(data.x, data.y)
        rows = len(structures.leaves(data.x)[0])
        if data.steps is None:
            batches.check_last_batch(rows, data.batch_size or 32, self.discriminator_steps)
        batches.check_weights(data.sample_weight)
        batches.warn_of_nonfinite({"x": data.x, "y": data.y, "sample_weight": data.sample_weight})

    def _validation(self, options):
        """Return validation data, with labels where there are weights alone."""
        given = options["validation_data"]
        parts = given if isinstance(given, (tuple, list)) else (given,)
        if not 1 <= len(parts) <= 3:
            raise ValueError(
                "`validation_data` must be data, `(x, y)` or `(x, y, sample_weight)`. Received: a "
                f"{type(given).__name__} of {len(parts)} entries."
            )
        x, y, weight = (*parts, None, None)[:3]
        with naming("validation_data"):
            y, weight = with_labels(x, y, weight)
        return FitData(x, y, weight, steps=options.get("validation_steps"), validation=True)

    def _parts(self, data):
        """Return validation data as `fit` takes them."""
        parts = checked(self, data.x, data.y), data.y, data.sample_weight
        parts = tuple(part for part in parts if part is not None)
        return parts if len(parts) > 1 else parts[0]

    def _one_batch(self, x, y, sample_weight):
        """Return a checked batch, with empty labels if there are weights alone."""
        self._check_compiled()
        y, weight = with_labels(x, y, sample_weight)
        weight = None if weight is None else ops.convert_to_tensor(weight, "float32")
        return checked(self, x, y), y, weight

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: keras.callbacks.Callback | Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """See base class; `sample_weight` does not require labels."""
        self._check_compiled()
        _check_counts(batch_size=batch_size, steps=steps)
        y, weight = with_labels(x, y, sample_weight)
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = flat_callbacks(callbacks)
        with backend.plain_errors():
            x = checked(self, x, y)
            return super().evaluate(x, y, batch_size, verbose, weight, steps, callbacks, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        """See base class; `sample_weight` does not require labels."""
        return super().train_on_batch(*self._one_batch(x, y, sample_weight), **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        """See base class; `sample_weight` does not require labels."""
        return super().test_on_batch(*self._one_batch(x, y, sample_weight), **kwargs)


# Iterables whose entries are not batches.
_NO_DATASETS = (str, bytes, Set, Mapping, list, tuple)
_COUNTS = ("steps_per_epoch", "validation_steps", "validation_batch_size")
# Largest values of the counters of Keras and TensorFlow.
_MOST = 2**31 - 1


def _check_epochs(epochs, options):
    """Refuse invalid numbers of epochs, and an invalid share of rows for validation."""
    check_integer("epochs", epochs, minimum=0, maximum=_MOST)
    check_integer("initial_epoch", options.get("initial_epoch", 0), minimum=0, maximum=_MOST)
    frequency = options.get("validation_freq", 1)
    for every in frequency if isinstance(frequency, (list, tuple, Set)) else [frequency]:
        check_integer("validation_freq", every, minimum=1, hint="Or pass a list of epochs.")
    if options.get("validation_split") is not None:
        check_number("validation_split", options["validation_split"], minimum=0, below=1)


def _check_counts(**counts):
    """Refuse invalid numbers of rows and steps, which Keras takes or fails for later."""
    for name, count in counts.items():
        if count is not None:
            check_integer(name, count, minimum=1, maximum=_MOST)


def _check_class_weight(weights, x, y):
    """Refuse weights of classes that Keras fails for, or that would turn the losses around."""
    labels = x if y is None else y
    if isinstance(labels, (Mapping, tuple)) or (y is None and structures.is_arrays(x)):
        raise ValueError(
            "`class_weight` requires that `y` is one array of labels. For data in dicts and for "
            "several conditions, pass `sample_weight`, a number for each row."
        )
    if not isinstance(weights, Mapping):
        raise TypeError(
            "`class_weight` must be a dict from classes to numbers, such as `{0: 1.0, 1: 5.0}`. "
            f"Received: {shortened(weights)}"
        )
    with naming("class_weight"):
        for label, weight in weights.items():
            check_integer("class", label, minimum=0)
            check_number("weight", weight, minimum=0)


def with_labels(x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Return `y` and the weights of rows, as an array.

    Weights without labels get empty labels, since Keras would drop the weights.

    Raises:
        TypeError: `x` is neither arrays nor a dataset, or `y` is not arrays.
        ValueError: the number of rows differs, the weights are not one array of numbers, or one of them
            is negative.
    """
    _check_kind(x, y, sample_weight)
    weight = None if sample_weight is None else _row_weights(sample_weight)
    if structures.is_arrays(x):
        rows = _check_rows(x, y=y, sample_weight=weight)
        if y is None and weight is not None:
            y = np.zeros((rows, 0), "float32")
    return y, weight


def _check_kind(x, y, sample_weight):
    """Refuse what is neither arrays nor a dataset, and arrays in addition to a dataset."""
    if structures.is_arrays(x):
        good = all(hasattr(leaf, "shape") for leaf in structures.leaves(x))
    else:
        good = isinstance(x, (Iterable, keras.utils.PyDataset)) and not isinstance(x, _NO_DATASETS)
    if not good:
        raise TypeError(
            "`x` must be an array of examples, a dict or tuple of arrays, or a dataset: a "
            "`tf.data.Dataset`, `keras.utils.PyDataset`, `torch.utils.data.DataLoader`, a generator or "
            f"a dataset of Grain. Convert lists of numbers by `np.asarray`. Received: {shortened(x)}"
        )
    more = {"y": y is not None, "sample_weight": sample_weight is not None}
    if any(more.values()) and not structures.is_arrays(x):
        given = " and ".join(f"`{name}`" for name, is_given in more.items() if is_given)
        raise ValueError(
            f"Leave out {given}: the batches of a dataset contain all, as `(examples, condition, "
            f"sample_weight)`. Received: {given}, and `x` of type {type(x).__name__}."
        )


def _check_rows(x, **others):
    """Return the number of rows of `x`; refuse none, and other arrays that have another number."""
    rows = _number_of_rows(structures.leaves(x)[0])
    if rows == 0:
        raise ValueError(f"`x` must have at least one row. Received: {shortened(x)}")
    for name, structure in others.items():
        for leaf in structures.leaves(structure):
            if _number_of_rows(leaf) != rows:
                raise ValueError(
                    f"`{name}` must be an array with one row for each of the {rows} rows of `x`, or a "
                    f"structure of such arrays. Received: {shortened(leaf)}"
                )
    return rows


def _number_of_rows(leaf):
    """Return the length of an array's first axis, or None without one."""
    shape = getattr(leaf, "shape", ())
    return shape[0] if len(shape) else None


def _row_weights(sample_weight):
    """Return weights as an array, and refuse structures: Keras would use only a part of them."""
    entries = list(sample_weight.values()) if isinstance(sample_weight, Mapping) else sample_weight
    if isinstance(sample_weight, (Mapping, list, tuple)) and any(np.ndim(entry) for entry in entries):
        _refuse_structure(sample_weight)
    weight = np.asarray(entries) if isinstance(entries, (list, tuple)) else sample_weight
    values = ops.convert_to_numpy(weight)
    if values.dtype.kind not in "fiub":
        raise ValueError(
            f"`sample_weight` must be an array of numbers. Received: an array of dtype {values.dtype}"
        )
    least = np.min(values, initial=0)
    if least < 0:
        raise ValueError(f"`sample_weight` must not be negative. Received: {least}")
    return weight


def _refuse_structure(sample_weight) -> NoReturn:
    raise ValueError(
        "`sample_weight` must be one array with a number for each row, which counts for the whole row. "
        f"Received: a {type(sample_weight).__name__} of {len(sample_weight)} arrays"
    )


def checked(gan: Game, x: Any, y: Any) -> Any:
    """Return the data of `fit` with checks.

    Arrays are checked immediately. Other data are checked by the step; where it cannot check labels,
    they are checked when a batch is read.

    Args:
        gan: `kg.GAN`.
        x: data as `fit` takes them.
        y: labels, if `x` is an array or a structure of arrays.

    Raises:
        ValueError: the arrays do not fit the networks, or contain an unknown label.
    """
    data = gan.training_spec
    if structures.is_arrays(x):
        data.check_arrays(x, y)
        return x
    if hasattr(x, "__next__") and not isinstance(x, types.GeneratorType):
        x = (batch for batch in x)  # Keras takes generators, but no other iterators
    if hasattr(x, "collate_fn"):
        x = _in_tuples(x)
    element = getattr(x, "element_spec", None)
    weights = element[2] if isinstance(element, tuple) and len(element) == 3 else None
    if isinstance(weights, (Mapping, list, tuple)):
        _refuse_structure(weights)
    if not any(data.classes):
        return x
    if not backend.unchecked_labels(gan):
        return x
    if isinstance(x, keras.utils.PyDataset):
        return CheckedDataset(x, data.check_labels)
    elif hasattr(x, "element_spec"):
        return x.map(lambda *element: data.asserted(element))
    elif hasattr(x, "__next__"):
        return _checked_batches(x, data.check_labels)
    return x


def _in_tuples(loader):
    """Return a copy of a `torch.utils.data.DataLoader` whose batches are tuples.

    On TensorFlow and JAX, Keras up to 3.15 takes the rows of a tensor, and the keys of a dict, for
    `(x, y, sample_weight)`.
    """
    loader = copy.copy(loader)
    loader.collate_fn = _InTuples(loader.collate_fn)
    return loader


class _InTuples:
    """A function that collates rows, and puts a batch that is not a tuple or a list into a tuple."""

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self._collate = collate

    def __call__(self, rows: Any) -> Any:
        batch = self._collate(rows)
        return batch if isinstance(batch, (list, tuple)) else (batch,)


def _checked_batches(batches: Iterator[Any], check: Callable[[Any], None]) -> Iterator[Any]:
    for batch in batches:
        check(batch)
        yield batch


class CheckedDataset(keras.utils.PyDataset):
    """A `keras.utils.PyDataset` whose batches are checked when they are read."""

    def __init__(self, dataset: keras.utils.PyDataset, check: Callable[[Any], None]) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset = dataset
        self._check = check

    def __getitem__(self, index: int) -> Any:
        batch = self._dataset[index]
        self._check(batch)
        return batch

    @property
    def num_batches(self) -> int | None:
        """Number of batches, or None if it is infinite."""
        return self._dataset.num_batches

    def on_epoch_begin(self) -> None:
        """See base class."""
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """See base class."""
        self._dataset.on_epoch_end()

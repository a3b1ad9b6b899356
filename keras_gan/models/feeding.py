"""What `fit` and its like hand to a GAN: weights without labels, and labels that are checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan import backend
from keras_gan.models.data_position import FitData
from keras_gan.models.fitting import order_callbacks
from keras_gan.models.ranges import check_data
from keras_gan.utils import batches, structures
from keras_gan.utils.typing import Game


class Feeding(keras.Model):
    """The part of `GAN` that hands data to its steps: `fit`, `evaluate`, batches of one's own."""

    data_spec: batches.DataSpec
    train_function: Any
    test_function: Any

    def make_train_function(self, force: bool = False) -> Callable[..., Any] | None:
        """See base class; refuses networks that several replicas would spoil, and checks labels."""
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
        if not any(self.data_spec.classes):
            return function
        return backend.checked_data(function, self.data_spec.check_labels)

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
        """Train as `keras.Model.fit` does, on `x`, `(x, condition)` or a dataset of them.

        `x` may be a dict of examples and conditions, as TensorFlow Datasets gives it: they are told
        apart by the names of the networks' inputs, or by shapes that only one entry has.

        `sample_weight` (and `class_weight`) weighs the rows of real examples in both players' means and,
        in a conditional GAN, the fakes that are made for the same conditions. The means are divided by
        the sum of the weights, so that real and fake examples stay in balance.

        A dataset of `kg.datasets.load` is told each epoch's number, so that its order depends on the
        seed and the epoch alone, and `keras.callbacks.TerminateOnNaN` sees both players' losses. With
        `kg.callbacks.Resume`, which comes before the other callbacks wherever it stands, a run that was
        killed goes on where it stopped.

        Raises:
            ValueError: the data do not fit the networks, or hold a label in no class (a data set of
                TensorFlow raises `tf.errors.InvalidArgumentError`); `class_weight` of data whose labels
                are not the only `y`.
        """
        labels = x if y is None else y
        if kwargs.get("class_weight") is not None and isinstance(labels, (Mapping, tuple)):
            raise ValueError(
                "`class_weight` weighs the labels of a `y` that is one array. Expected `sample_weight`, "
                "a number for each row, for data in dicts and for several conditions."
            )
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
            kwargs["validation_data"] = self._parts(given["validation"])
        data = given["data"]
        kwargs.update(sample_weight=data.sample_weight, shuffle=data.shuffle, steps_per_epoch=data.steps)
        with backend.restore_on_error(self), backend.plain_errors():
            x = watched(self, data.x, data.y)
            return super().fit(x, data.y, batch_size, epochs, verbose, callbacks, **kwargs)

    def _training(self, x, y, batch_size, options):
        """Return the training data; those of `fit`'s options that are theirs are taken out."""
        y, weight = with_labels(x, y, options.pop("sample_weight", None))
        steps = options.pop("steps_per_epoch", None)
        data = FitData(x, y, weight, batch_size, steps, seed=self.seed)
        # All else has its own order, and Keras would warn that it cannot shuffle it.
        can_shuffle = data.is_arrays or isinstance(x, keras.utils.PyDataset)
        return data._replace(shuffle=options.pop("shuffle", can_shuffle))

    def _check_training(self, data):
        """Refuse arrays that training cannot use, and warn of those that spoil it."""
        self.data_spec.check_arrays(data.x, data.y)
        rows = len(structures.leaves(data.x)[0])
        if data.steps is None:
            batches.check_last_batch(rows, data.batch_size or 32, self.discriminator_steps)
        batches.warn_of_nonfinite({"x": data.x, "y": data.y, "sample_weight": data.sample_weight})

    def _validation(self, options):
        """Return validation data, with labels where there are weights alone."""
        given = options["validation_data"]
        parts = given if isinstance(given, (tuple, list)) else (given,)
        x, y, weight = (*parts, None, None)[:3]
        y, weight = with_labels(x, y, weight)
        return FitData(x, y, weight, steps=options.get("validation_steps"), validation=True)

    def _parts(self, data):
        """Return validation data as `fit` takes them."""
        parts = watched(self, data.x, data.y), data.y, data.sample_weight
        parts = tuple(part for part in parts if part is not None)
        return parts if len(parts) > 1 else parts[0]

    def _one_batch(self, x, y, sample_weight):
        """Return a batch with checked labels, empty ones where there are weights alone."""
        y, weight = with_labels(x, y, sample_weight)
        weight = None if weight is None else ops.convert_to_tensor(weight, "float32")
        return watched(self, x, y), y, weight

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """See base class; `sample_weight` needs no labels."""
        y, kwargs["sample_weight"] = with_labels(x, y, kwargs.get("sample_weight"))
        with backend.plain_errors():
            return super().evaluate(watched(self, x, y), y, *args, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        """See base class; `sample_weight` needs no labels."""
        return super().train_on_batch(*self._one_batch(x, y, sample_weight), **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        """See base class; `sample_weight` needs no labels."""
        return super().test_on_batch(*self._one_batch(x, y, sample_weight), **kwargs)


def is_array(x: Any) -> bool:
    """Return whether data are an array or a structure of arrays, and not a dataset."""
    return hasattr(x, "shape") or isinstance(x, (Mapping, list, tuple))


def with_labels(x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Return `y` and the weights of rows, as an array.

    Weights alone come with labels of no numbers, since Keras would leave out the weights.

    Raises:
        ValueError: the weights are not one array of numbers, or one of them is negative.
    """
    if sample_weight is None:
        return y, None
    weight = _row_weights(sample_weight)
    if y is None and is_array(x):
        y = np.zeros((len(structures.leaves(x)[0]), 0), "float32")
    return y, weight


def _row_weights(sample_weight):
    """Return weights as an array, and refuse structures, of which Keras would take a part."""
    entries = list(sample_weight.values()) if isinstance(sample_weight, Mapping) else sample_weight
    if isinstance(sample_weight, (Mapping, list, tuple)) and any(np.ndim(entry) for entry in entries):
        raise ValueError(
            "`sample_weight` must be one array with a number for each row, which counts for the whole "
            f"row. Received: a {type(sample_weight).__name__} of {len(entries)} arrays"
        )
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


def watched(gan: Game, x: Any, y: Any) -> Any:
    """Return what `fit` trains on, checked before a step sees it.

    Arrays are checked at once; other data by the step itself, their labels here where it cannot.

    Args:
        gan: `kg.GAN`.
        x: what `fit` trains on.
        y: labels, if `x` is an array or a structure of arrays.

    Raises:
        ValueError: the arrays do not fit the networks, or a label is in no class.
    """
    data = gan.data_spec
    if is_array(x):
        data.check_arrays(x, y)
        return x
    if not any(data.classes):
        return x
    if not backend.unchecked_labels(gan):
        return x
    if isinstance(x, keras.utils.PyDataset):
        return Checked(x, data.check_labels)
    elif hasattr(x, "element_spec"):
        return x.map(lambda *element: data.asserted(element))
    elif hasattr(x, "__next__"):
        return _checked(x, data.check_labels)
    return x


def _checked(batches: Iterator[Any], check: Callable[[Any], None]) -> Iterator[Any]:
    for batch in batches:
        check(batch)
        yield batch


class Checked(keras.utils.PyDataset):
    """A `keras.utils.PyDataset` each of whose batches is checked when it is read."""

    def __init__(self, dataset: keras.utils.PyDataset, check: Callable[[Any], None]) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset, self._check = dataset, check

    def __getitem__(self, index: int) -> Any:
        batch = self._dataset[index]
        self._check(batch)
        return batch

    @property
    def num_batches(self) -> int | None:
        """Number of batches, None if there is no end of them."""
        return self._dataset.num_batches

    def on_epoch_begin(self) -> None:
        """See base class."""
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """See base class."""
        self._dataset.on_epoch_end()

"""What `fit` and its like hand to a GAN: weights without labels, and labels that are checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan import backend
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
        if hasattr(x, "element_spec"):
            # A `tf.data.Dataset` has its own order, and Keras would warn that it cannot shuffle it.
            kwargs.setdefault("shuffle", False)
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = order_callbacks(callbacks, x, shuffle=kwargs.get("shuffle", True))
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self._validation(kwargs["validation_data"])
        y = with_labels(x, y, kwargs.get("sample_weight"))
        x = watched(self, x, y)
        check_data(self, x, y)
        with backend.restore_on_error(self):
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def _validation(self, given):
        """Return validation data with labels where there are weights, and with checked labels."""
        if not isinstance(given, (tuple, list)):
            return watched(self, given, None)
        x, y, weight = (*given, None, None)[:3]
        y = with_labels(x, y, weight)
        return tuple(part for part in (watched(self, x, y), y, weight) if part is not None)

    def _one_batch(self, x, y, sample_weight):
        """Return a batch with checked labels, empty ones where there are weights alone."""
        y = with_labels(x, y, sample_weight)
        weight = None if sample_weight is None else ops.convert_to_tensor(sample_weight, "float32")
        return watched(self, x, y), y, weight

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """See base class; `sample_weight` needs no labels."""
        y = with_labels(x, y, kwargs.get("sample_weight"))
        return super().evaluate(watched(self, x, y), y, *args, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        """See base class; `sample_weight` needs no labels."""
        return super().train_on_batch(*self._one_batch(x, y, sample_weight), **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        """See base class; `sample_weight` needs no labels."""
        return super().test_on_batch(*self._one_batch(x, y, sample_weight), **kwargs)


def with_labels(x: Any, y: Any, sample_weight: Any) -> Any:
    """Return `y`, or labels of no numbers if there are weights alone, which Keras would leave out.

    Raises:
        ValueError: a weight is negative.
    """
    if sample_weight is not None and not isinstance(sample_weight, (Mapping, list, tuple)):
        least = np.min(ops.convert_to_numpy(sample_weight), initial=0)
        if least < 0:
            raise ValueError(f"`sample_weight` must not be negative. Received: {least}")
    is_array = hasattr(x, "shape") or isinstance(x, (Mapping, list, tuple))
    if y is not None or sample_weight is None or not is_array:
        return y
    return np.zeros((len(structures.leaves(x)[0]), 0), "float32")


def watched(gan: Game, x: Any, y: Any) -> Any:
    """Return what `fit` trains on, with labels that are checked before a step sees them.

    Arrays are checked at once; other data by the step itself, or here where it cannot.

    Args:
        gan: `kg.GAN`.
        x: what `fit` trains on.
        y: labels, if `x` is an array or a structure of arrays.

    Raises:
        ValueError: a label is in no class.
    """
    data = gan.data_spec
    if not any(data.classes):
        return x
    if hasattr(x, "shape") or isinstance(x, (Mapping, list, tuple)):
        data.check_labels((x, y))
    elif not backend.unchecked_labels(gan):
        return x
    elif isinstance(x, keras.utils.PyDataset):
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

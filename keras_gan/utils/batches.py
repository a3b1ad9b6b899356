"""Batches of examples, conditions and weights, and the checks of data."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_gan import backend
from keras_gan.utils import inputs, structures
from keras_gan.utils.inputs import Part, compatible
from keras_gan.utils.typing import Array, Structure, Tensor
from keras_gan.utils.validation import check_tensor, shortened

__all__ = [
    "NO_LABELS",
    "Batch",
    "DataSpec",
    "LabeledSpec",
    "check_last_batch",
    "check_latents",
    "check_weights",
    "warn_of_nonfinite",
]


class Batch(NamedTuple):
    """k consecutive minibatches of examples.

    Attributes:
        x: float32 examples, a tensor or structure of k·m rows.
        condition: conditions of the examples, a tensor or structure, or None.
        weight: float32 tensor of k·m weights of the rows, or None.
        k: number of minibatches.
    """

    x: Structure
    condition: Structure = None
    weight: Tensor | None = None
    k: int = 1

    @property
    def rows(self) -> int | Tensor:
        """Number of rows of all minibatches."""
        return structures.number_of_rows(self.x)

    def part(self, start: int, stop: int) -> "Batch":
        """Return the minibatches from `start` to `stop`, counted from 0."""
        if (start, stop) == (0, self.k):
            return self
        m = self.rows // self.k
        return self._rows(start * m, stop * m, stop - start)

    def _rows(self, start, stop, k):
        x, condition, weight = (structures.cut(field, start, stop) for field in self[:3])
        return Batch(x, condition, weight, k)

    @property
    def last(self) -> "Batch":
        """The last minibatch."""
        return self.part(self.k - 1, self.k)


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """Specification of a GAN's data: examples, conditions, their names, and numbers of classes.

    Attributes:
        x: specification of the generator's samples, a `keras.KerasTensor` or a structure.
        condition: specification of the condition, or None.
        x_names: names of the examples in a dict.
        condition_names: names of the condition's leaves.
        classes: number of classes of each leaf of the condition, or None if unknown.
    """

    x: Structure
    condition: Structure
    x_names: Sequence[str | None] = ()
    condition_names: Sequence[str] = ()
    classes: Sequence[int | None] = ()
    lowest: ClassVar[int] = 0  # the lowest label

    def read(self, data: Any, k: int) -> tuple[Batch, Tensor]:
        """Check a batch of Keras' trainer, and return its k minibatches.

        Returns:
            `(batch, nan_flag)`: the flag is NaN if there are non-finite numbers in the data, which count
            as 0 in the batch, or else 0.

        Raises:
            ValueError: the data do not fit; the message says what was expected.
        """
        x, condition, weight = self.parts(data)
        _check_examples(x, self.x)
        _check_conditions(condition, self.condition)
        x = structures.mapped(_shaped, x, self.x)
        first, *others = structures.leaves(x)
        x = structures.like(x, [backend.check_rows(first, k, _too_few_rows(k)), *others])
        nan_flags: list[Tensor] = []
        x = structures.mapped(lambda leaf: _replace_nonfinite(ops.cast(leaf, "float32"), nan_flags), x)
        condition = structures.mapped(_as_specified, condition, self.condition)
        condition = structures.mapped(
            lambda leaf: _replace_nonfinite(leaf, nan_flags) if _is_float(leaf) else leaf,
            self._with_label_checks(condition),
        )
        if weight is not None:
            if tuple(weight.shape[1:]) not in [(), (1,)]:
                raise ValueError(
                    "`sample_weight` must be an array with one number for each row. Received the shape "
                    f"{tuple(weight.shape)}."
                )
            weight = ops.reshape(ops.cast(weight, "float32"), (-1,))
            weight = _replace_nonfinite(ops.where(weight < 0, float("nan"), weight), nan_flags)
        batch = Batch(x, condition, weight, k)
        if k > 1:  # drops a remainder
            batch = batch._rows(0, batch.rows // k * k, k)
        return batch, sum(ops.cast(nan_flag, "float32") for nan_flag in nan_flags)

    def parts(self, data: Any) -> tuple[Structure, Structure, Any]:
        """Return examples, condition and weight of a batch, in the structures of the networks.

        Raises:
            ValueError: examples and conditions cannot be matched to the networks' inputs.
        """
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(x, (list, tuple)) and not isinstance(self.x, (Mapping, list, tuple)):
            raise ValueError(
                "The examples must be one array. Pass a condition as the second argument, "
                "`fit(x, condition)`, or have a dataset give pairs `(x, condition)`. Received: a "
                f"{type(x).__name__} of {len(x)} as the examples"
            )
        # Keras repeats the weights for each entry of a structure of labels.
        weight = next(iter(structures.leaves(weight)), None)
        y = None if getattr(y, "shape", (1,))[-1:] == (0,) else y  # see `with_labels`
        if isinstance(x, Mapping) and not (isinstance(self.x, Mapping) and set(x) == set(self.x)):
            return *self._split_dict(x, y), weight
        if isinstance(self.x, (Mapping, list, tuple)):
            x = _as_samples(x, self.x)
        return x, self._match_condition(y), weight

    def _split_dict(self, entries, y):
        """Return examples and condition from a dict, such as those of TensorFlow Datasets."""
        unknown = [key for key, value in entries.items() if not hasattr(value, "shape")]
        entries = {key: value for key, value in entries.items() if key not in unknown}
        samples = structures.leaves(self.x)
        wanted = [Part(n, leaf) for n, leaf in zip(self.x_names, samples, strict=True)]
        conditions = structures.leaves(self.condition)
        named = [Part(n, leaf) for n, leaf in zip(self.condition_names, conditions, strict=True)]
        keys = inputs.match([*wanted, *named][: None if y is None else len(wanted)], entries, "entries")
        values = [entries[key] for key in keys]
        if y is None:
            condition = structures.like(self.condition, values[len(wanted) :])
        else:
            condition = self._match_condition(y)
        return structures.like(self.x, values[: len(wanted)]), condition

    def _match_condition(self, y):
        """Return a condition in the structure of the networks' conditions."""
        if self.condition is None:
            return None
        wanted = structures.leaves(self.condition)
        if y is None:
            raise ValueError(
                "The networks take a condition, but the data have none. Expected batches "
                "`(examples, condition)`, or `fit(examples, condition)`. Received: None"
            )
        if isinstance(y, Mapping):
            missing = [name for name in self.condition_names if name not in y]
            if missing and not (len(wanted) == len(y) == 1):
                raise ValueError(
                    "The data's conditions (`y`) must have the names of the networks' inputs. Expected "
                    f"{self.condition_names}, received {sorted(y)}."
                )
            given = list(y.values()) if missing else [y[name] for name in self.condition_names]
        elif isinstance(y, (list, tuple)):
            given = list(y)
        else:
            given = [y]
        if len(given) != len(wanted) or (
            isinstance(y, (list, tuple)) and _several_named(self.condition)
        ):
            raise ValueError(
                "The data's conditions (`y`) must have the structure of the networks' conditions. "
                f"Expected {_describe(self.condition)}, received {_describe(y)}."
            )
        return structures.like(self.condition, given)

    def check_arrays(self, x: Structure, y: Structure) -> None:
        """Refuse arrays that do not fit the networks, before training begins.

        Raises:
            ValueError: examples or conditions have another structure, shape or type, or a label is
                unknown.
        """
        _check_dense({"x": x, "y": y})
        given, condition, _ = self.parts((x, y))
        if not all(hasattr(leaf, "dtype") for leaf in structures.leaves([given, condition])):
            return  # such as data frames, which Keras converts
        _check_examples(given, self.x)
        _check_conditions(condition, self.condition)
        takes_text = any(spec.dtype == "string" for spec in structures.leaves(self.condition))
        for leaf in [] if takes_text or isinstance(x, Mapping) else structures.leaves(y):
            if _is_text(leaf):
                raise ValueError(
                    f"Labels must be numbers. Received: an array of dtype {leaf.dtype}. Number the "
                    "classes first, such as `labels = np.unique(labels, return_inverse=True)[1]`."
                )
        self.check_labels((x, y))

    def check_labels(self, data: Any) -> None:
        """Refuse labels that are not one of the networks' classes, in a batch of arrays.

        Raises:
            ValueError: there is one; the message contains it.
        """
        if any(self.classes):
            self.check_condition(self.parts(data)[1])

    def check_condition(self, condition: Structure) -> None:
        """See `check_labels`."""
        leaves = structures.leaves(condition)
        for leaf, classes, name in zip(leaves, self.classes, self.condition_names, strict=True):
            if classes is not None:
                labels = backend.local_rows(leaf)
                if labels.dtype.kind not in "iufb":
                    raise ValueError(f"{self._range(name, classes)} Received: {labels.ravel()[:1]}")
                whole = labels.astype("int64")
                known = (whole == labels) & (whole >= self.lowest) & (whole < classes)
                if not known.all():
                    raise ValueError(
                        f"{self._range(name, classes)} Received: {labels[~known].ravel()[0]}"
                    )

    def asserted(self, element: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return an element of a `tf.data.Dataset` with assertions about its labels."""
        x, condition, weight = self.parts(element if len(element) > 1 else element[0])
        parts = [x, self._with_label_checks(condition), weight]
        return tuple(part for part in parts if part is not None)

    def _with_label_checks(self, condition):
        """Return a condition whose labels are checked when a step runs."""
        leaves = structures.leaves(condition)
        checked = [
            leaf
            if classes is None
            else backend.check_labels(leaf, self.lowest, classes, self._range(name, classes))
            for leaf, classes, name in zip(leaves, self.classes, self.condition_names, strict=True)
        ]
        return structures.like(condition, checked)

    def _range(self, name, classes):
        """Return the message of the labels that are valid."""
        return (
            f"`{name}` must be a label in [0, {classes}), one of the classes of the networks (the size "
            "of their embedding or one-hot encoding)."
        )

    def conditions(self, condition: Array | Structure | None, n: int) -> Structure:
        """Return `n` conditions as tensors, or None for an unconditional GAN.

        Args:
            condition: array or structure of `n` conditions, or of one for all rows.
            n: number of rows.

        Raises:
            ValueError: the condition is missing, not wanted, has another shape or an unknown label.
        """
        if self.condition is None:
            if condition is not None:
                raise ValueError("This GAN is not conditional. Leave out `condition`.")
            return None
        if condition is None:
            shapes = structures.shapes(self.condition)
            one = not isinstance(self.condition, (Mapping, list, tuple))
            wanted = (
                f"an array of shape {(n, *shapes)}, or one condition of shape {shapes} for all samples"
            )
            raise ValueError(
                "This GAN is conditional. Pass `condition=`: "
                f"{wanted if one else f'a structure of arrays of shapes {shapes} for each sample'}."
            )
        several = len(structures.leaves(self.condition)) > 1
        try:
            if several and isinstance(condition, (list, tuple)):
                given = tuple(map(structures.arrays, condition))
            else:
                given = structures.arrays(condition)
        except ValueError as error:  # such as nested lists of unequal lengths
            raise ValueError(
                f"`condition` must be an array, or arrays in the structure of the networks' conditions. "
                f"Received: {shortened(condition)}"
            ) from error
        given = structures.mapped(
            lambda c, spec: _broadcast_rows(c, n, tuple(spec.shape[1:])),
            self._match_condition(given),
            self.condition,
        )
        self.check_condition(given)
        return structures.mapped(ops.convert_to_tensor, given)


@dataclasses.dataclass(frozen=True)
class LabeledSpec(DataSpec):
    """Specification of examples with labels, which are -1 for examples without one.

    The networks do not take the labels.
    """

    lowest = -1

    def _match_condition(self, y):
        if y is None:
            raise ValueError(
                "The data have no labels. Expected `fit(x, y)`, or batches `(x, y)`, with a class in "
                f"[0, {self.classes[0]}) for each row, or -1 for a row without a label. Received: None"
            )
        return super()._match_condition(y)

    def _range(self, name, classes):
        return f"Labels must be classes in [0, {classes}), or -1 for rows without a label."

    def check_some(self, data: Any) -> None:
        """Refuse arrays without any label.

        Raises:
            ValueError: all labels are -1.
        """
        if (backend.local_rows(self.parts(data)[1]) < 0).all():
            raise ValueError(NO_LABELS)


NO_LABELS = (
    "The data have no labels: all are -1, which stands for rows without a label. Expected a class for "
    "some rows, such as 10 rows for each class. `kg.datasets.mix_labeled` repeats them."
)


def _check_dense(data):
    """Refuse sparse and ragged arrays, which have a shape, but no rows that can be counted."""
    for name, structure in data.items():
        for leaf in structures.leaves(structure):
            if hasattr(leaf, "shape") and not hasattr(leaf, "__array__"):
                raise TypeError(
                    f"`{name}` must be a dense array. Received: a {type(leaf).__name__}. Convert it "
                    "first, such as by `x.toarray()` (SciPy), `tf.sparse.to_dense(x)` or "
                    "`x.to_tensor()` (ragged tensors of TensorFlow)."
                )


def _several_named(condition):
    return isinstance(condition, Mapping) and len(condition) > 1


def _describe(structure):
    return structures.mapped(
        lambda leaf: f"shape {tuple(leaf.shape[1:])}" if hasattr(leaf, "shape") else repr(leaf),
        structure,
    )


def _as_samples(x, spec):
    """Return a list or tuple of examples in the structure of the generator's samples."""
    good = isinstance(x, Mapping) == isinstance(spec, Mapping)
    given = structures.leaves(x)
    if (
        not good
        or not isinstance(x, (Mapping, list, tuple))
        or len(given) != len(structures.leaves(spec))
    ):
        raise ValueError(
            "The data must have the structure of the generator's samples. Expected "
            f"{_describe(spec)}, received {_describe(x)} (without the batch axis)."
        )
    return structures.like(spec, given)


def _check_examples(x, specs):
    tensors = x is not None and all(hasattr(leaf, "shape") for leaf in structures.leaves(x))
    nested = isinstance(x, (list, tuple, Mapping)), isinstance(specs, (list, tuple, Mapping))
    if not tensors or nested[0] != nested[1]:
        raise ValueError(
            f"The data must be one array of examples, or `(examples, condition)`. Received: {x!r}"
        )
    for leaf, spec in zip(structures.leaves(x), structures.leaves(specs), strict=True):
        _check_leaf(leaf, tuple(spec.shape[1:]))


def _check_leaf(real, shape):
    if not _is_float(real):
        raise ValueError(
            "Examples (`x`) must be floating-point numbers in the range of the generator's output: "
            "[0, 1] for a sigmoid, [-1, 1] for a tanh. Received dtype "
            f"{_dtype(real)}. "
            + (
                "Scale integers first, for instance with `kg.datasets.load(images, value_range=(0, 1))`."
                if "int" in _dtype(real)
                else "Convert them first: `x.astype('float32')`."
            )
        )
    if _is_known(real) and not compatible(tuple(real.shape[1:]), shape):
        received = tuple(real.shape[1:])
        hint = " Add the last axis: `x[..., np.newaxis]`." if (*received, 1) == shape else ""
        raise ValueError(
            "The data must have the shape of the generator's samples. Expected "
            f"{shape}, received {received} (without the batch axis).{hint}"
        )


def _is_known(leaf):
    return leaf.shape is not None and getattr(leaf.shape, "rank", len) is not None


def _is_float(leaf):
    return "float" in _dtype(leaf)


def _dtype(leaf):
    """Return Keras' name of a type of numbers, or NumPy's name of another type."""
    try:
        return keras.backend.standardize_dtype(leaf.dtype)
    except ValueError:
        return str(leaf.dtype)


def _is_text(leaf):
    return getattr(getattr(leaf, "dtype", None), "kind", "f") in "OSU"


def check_last_batch(rows: int, batch_size: int, k: int) -> None:
    """Refuse a number of examples whose last batch has fewer rows than minibatches.

    Args:
        rows: number of examples.
        batch_size: number of rows of a batch.
        k: number of minibatches into which a batch is cut.

    Raises:
        ValueError: the last batch has fewer than `k` rows.
    """
    last = rows % batch_size
    if 0 < last < k:
        raise ValueError(
            f"{_too_few_rows(k)} Received: {rows} examples with `batch_size={batch_size}`, which leaves "
            f"{last} for the last batch."
        )


def _too_few_rows(k):
    return (
        f"A batch is cut into {k} minibatches, one for each of the `discriminator_steps`: it needs at "
        f"least {k} rows. Choose another batch size, or drop the remainder: `drop_remainder=True` for a "
        "dataset, `x[:n]` for an array."
    )


def check_weights(weights: Structure) -> None:
    """Refuse weights of rows that are all 0, under which every loss would be 0.

    Raises:
        ValueError: they are.
    """
    for leaf in structures.leaves(weights):
        if not np.any(backend.local_rows(leaf)):
            raise ValueError(
                "`sample_weight` must have numbers above 0: with weights of 0 alone, no row counts."
            )


def warn_of_nonfinite(data: Mapping[str, Structure]) -> None:
    """Warn about non-finite numbers in arrays; the message names the first row.

    Args:
        data: structures of arrays by the names of the arguments.
    """
    for name, structure in data.items():
        for leaf in structures.leaves(structure):
            array = backend.local_rows(leaf)
            if array.dtype.kind != "f" or np.isfinite(array).all():
                continue
            row = np.argwhere(~np.isfinite(array))[0][0]
            warnings.warn(
                f"`{name}` has numbers that are not finite, the first in row {row}. They count as 0 in "
                "training, and the losses of their batches are logged as NaN. Remove such rows or fill "
                "them in.",
                stacklevel=4,
            )


def _check_conditions(condition, specs):
    for leaf, spec in zip(structures.leaves(condition), structures.leaves(specs), strict=True):
        if not hasattr(leaf, "shape"):
            raise ValueError(
                "The networks take a condition, but the data have none. Expected batches "
                f"`(examples, condition)`, or `fit(examples, condition)`. Received: {condition!r}"
            )
        if not _is_known(leaf):
            continue
        wanted, shape = tuple(spec.shape[1:]), tuple(leaf.shape[1:])
        if not compatible(shape, wanted) and {shape, wanted} != {(), (1,)}:
            raise ValueError(
                "The data's conditions (`y`) must have the shape of the networks' conditions. Expected "
                f"{wanted}, received {shape} (without the batch axis).{_one_hot_hint(shape, wanted)}"
            )


def _one_hot_hint(shape, wanted):
    is_one_hot = wanted in [(), (1,)] and len(shape) == 1
    return " For one-hot labels, pass `np.argmax(y, axis=-1)`." if is_one_hot else ""


def _as_specified(leaf, spec):
    """Return a condition as a tensor; labels get an axis of length 1 if the networks have one."""
    leaf, rank = ops.convert_to_tensor(leaf), len(spec.shape)
    if keras.backend.standardize_dtype(leaf.dtype) == "bool":
        leaf = ops.cast(leaf, "int32")
    is_label = tuple(spec.shape[1:]) in [(), (1,)]
    # A step that is compiled for labels with and without the axis does not know their rank.
    if is_label and (not _is_known(leaf) or len(leaf.shape) != rank):
        leaf = ops.reshape(leaf, (-1,) + (1,) * (rank - 1))
    return leaf


def _shaped(leaf, spec):
    return backend.check_shape(leaf, tuple(spec.shape[1:]))


def _replace_nonfinite(leaf, nan_flags):
    """Replace non-finite numbers by 0; append NaN to `nan_flags` if there are any, or else 0.

    A NaN would spread to every weight, or disappear in a ReLU.
    """
    finite = ops.isfinite(leaf)
    nan_flags.append(0.0 * ops.sum(ops.where(finite, 0.0, leaf)))
    return ops.where(finite, leaf, 0.0)


def _broadcast_rows(condition, n, shape):
    """Return `n` rows of a condition that is one row or `n`."""
    # Labels may have an axis of length 1.
    if shape in [(), (1,)] and condition.shape in [(), (1,), (n,), (n, 1)]:
        condition = condition.reshape(-1, *shape)
    elif condition.ndim == len(shape):
        condition = condition[None]
    if not compatible(condition.shape[1:], shape) or len(condition) not in (1, n):
        raise ValueError(
            f"`condition` must have the shape {(n, *shape)}, or {shape} for all samples. Received: "
            f"{condition.shape}"
        )
    return np.broadcast_to(condition, (n, *condition.shape[1:]))


def check_latents(latents: Array, spec: Any) -> Tensor:
    """Return latents as a tensor of the shape that the generator takes.

    Args:
        latents: array `(n, ...)`.
        spec: specification of the generator's latents, or None if it is unknown.

    Raises:
        ValueError: the latents have another shape or are not finite.
    """
    latents = np.asarray(ops.convert_to_numpy(check_tensor("latents", latents)), "float32")
    shape = None if spec is None else tuple(spec.shape)
    if latents.ndim < 2 or (shape and not compatible(latents.shape, shape)):
        raise ValueError(
            f"`latents` must have the shape {shape or '(n, ...)'} of the generator's latents, with one "
            f"row for each sample. Received: {latents.shape}"
        )
    if not np.isfinite(latents).all():
        raise ValueError(
            f"`latents` must be finite, but {np.count_nonzero(~np.isfinite(latents))} of their numbers "
            "are not."
        )
    return ops.convert_to_tensor(latents)

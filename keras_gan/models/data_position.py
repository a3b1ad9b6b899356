"""Position of the data of `fit`: the state from which a resumed run continues with the next batch."""

import copy
import math
import tempfile
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_gan.datasets.loading import batches_by_epoch
from keras_gan.utils import attributes, structures
from keras_gan.utils.optional import tensorflow

__all__ = [
    "AttributePosition",
    "BatchesPosition",
    "FitData",
    "GrainPosition",
    "LoaderPosition",
    "PipelinePosition",
    "Position",
    "position",
]

_ADVICE = (
    "Pass arrays, a dataset of `kg.datasets.load`, or a `keras.utils.PyDataset`, whose batches have "
    "numbers, or train without `Resume`."
)


# Rows of an array that its checksum covers.
_CHECKED_ROWS = 1000


class FitData(NamedTuple):
    """The data arguments of `fit`.

    Attributes:
        x: arrays, a dataset or a loader.
        y: labels, if `x` consists of arrays.
        sample_weight: weights of rows, if `x` consists of arrays.
        batch_size: number of rows per batch of arrays, or None.
        steps: number of batches per epoch, or None for a whole pass.
        shuffle: whether Keras would shuffle the data.
        seed: integer that determines the order of arrays and of a `PyDataset`.
        validation: whether these are validation data, which start over in each epoch.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    batch_size: int | None = None
    steps: int | None = None
    shuffle: Any = False
    seed: int = 0
    validation: bool = False

    @property
    def continues(self) -> bool:
        """Whether an epoch may begin in the middle of a pass over the data."""
        return self.steps is not None and not self.validation

    @property
    def is_arrays(self) -> bool:
        """Whether `x` is an array or a structure of arrays."""
        return structures.is_arrays(self.x)

    def split(self, share: float) -> tuple["FitData", "FitData"]:
        """Split off the last rows as validation data, as Keras does for `validation_split`."""
        rows = len(structures.leaves(self.x)[0])
        at = math.floor(rows * (1 - share))
        return self._cut(0, at), self._cut(at, rows)._replace(steps=None, validation=True)

    def _cut(self, start, stop):
        x, y, weight = (structures.cut(part, start, stop) for part in self[:3])
        return self._replace(x=x, y=y, sample_weight=weight)


class Position:
    """Position of data whose batches depend on the epoch alone, so that there is no state to save.

    Base class of the other positions, which replace `data` and save a state.

    Args:
        given: `FitData`.

    Attributes:
        data: `FitData` to pass to Keras.
        settings: dict of settings that a resumed run must share.
    """

    def __init__(self, given: FitData) -> None:
        self.data = given
        self.settings: dict[str, Any] = {"kind": type(self).__name__, "steps": given.steps}

    @classmethod
    def accepts(cls, given: FitData) -> bool:
        """Return whether this class can save the position of these data."""
        if hasattr(given.x, "element_spec"):
            return not given.continues and (hasattr(given.x, "epoch") or _is_pure(given.x))
        if _is_one_of("grain", ("MapDataset", "IterDataset", "DataLoader"), given.x):
            return not given.continues  # each iterator of Grain starts from the beginning
        if isinstance(given.x, keras.utils.PyDataset):
            return _is_fixed(given)
        return given.is_arrays and (given.validation or not (given.continues or given.shuffle))

    def begin(self, epoch: int) -> None:
        """Set the epoch of data that count their epochs and derive their order from it."""
        counter: Any = getattr(self.data.x, "epoch", None)
        if hasattr(counter, "assign"):
            if not self.data.continues:
                counter.assign(epoch)
        elif isinstance(counter, int):
            self.data.x.epoch = epoch

    def get_state(self) -> dict[str, Any]:
        """Return the position between two epochs, in types that `utils.attributes.encode` accepts."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""


class PipelinePosition(Position):
    """Position of a `tf.data` pipeline that one iterator reads across epochs."""

    def __init__(self, given: FitData) -> None:
        super().__init__(given)
        tf = tensorflow()
        nodes = list(_nodes(given.x))
        self._counters = [node.epoch for node in nodes if hasattr(node, "epoch")]
        self.settings["seeds"] = _seeds(nodes)
        for node in nodes:
            _check_state(node, bool(self._counters))
        steps = given.steps or int(given.x.cardinality())
        if steps <= 0:
            raise ValueError(
                "Resume must know how many batches an epoch has. Received: a `tf.data.Dataset` of "
                "unknown or infinite length. Pass `steps_per_epoch` (of validation data, "
                "`validation_steps`), or declare the length with "
                "`dataset.apply(tf.data.experimental.assert_cardinality(batches))`."
            )
        with tf.device("CPU"):
            pipeline = (given.x.take(steps) if given.validation else given.x).repeat()
            self._iterator = iter(_with_policy(pipeline, "IGNORE" if self._counters else "FAIL"))
            epoch = tf.data.Dataset.range(steps).map(lambda _: self._iterator.get_next())
        for counter in self._counters:
            counter.assign(0)
        self.settings["steps"] = steps
        self.data = given._replace(x=epoch, steps=None, shuffle=False)

    @classmethod
    def accepts(cls, given: FitData) -> bool:
        """See base class."""
        return hasattr(given.x, "element_spec")

    def get_state(self) -> dict[str, Any]:
        """See base class."""
        while True:  # the pipeline reads ahead, and may start a new pass during the save
            counters = [int(counter) for counter in self._counters]
            files = _save(self._iterator)
            if counters == [int(counter) for counter in self._counters]:
                return {"counters": counters, "files": files}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """See base class."""
        tf = tensorflow()
        with tempfile.TemporaryDirectory() as folder:
            for name, content in state["files"].items():
                (Path(folder) / name).write_bytes(content.tobytes())
            checkpoint = tf.train.Checkpoint(iterator=self._iterator)
            checkpoint.read(f"{folder}/position").assert_consumed()
        for counter, value in zip(self._counters, state["counters"], strict=True):
            counter.assign(value)


class AttributePosition(Position):
    """Base class of positions that consist of attributes of the data."""

    _memory: attributes.AttributeState

    def get_state(self) -> dict[str, Any]:
        """See base class."""
        return self._memory.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """See base class."""
        self._memory.set_state(state)


class BatchesPosition(AttributePosition):
    """Position of a `keras.utils.PyDataset`: its plain attributes, since its batches are indexed."""

    def __init__(self, given: FitData) -> None:
        super().__init__(given)
        if given.steps is None and given.x.num_batches is None:
            raise ValueError(
                "Resume must know how many batches an epoch has. Received: a `PyDataset` without end "
                "(`num_batches` is None). Pass `steps_per_epoch` (of validation data, "
                "`validation_steps`)."
            )
        self._memory = attributes.AttributeState(dataset=given.x)
        self.settings["batches"] = given.x.num_batches
        self.data = given._replace(x=_Epochs(given, self), steps=None, shuffle=False)

    @classmethod
    def accepts(cls, given: FitData) -> bool:
        """See base class."""
        return isinstance(given.x, keras.utils.PyDataset)


class LoaderPosition(AttributePosition):
    """Position of a `torch.utils.data.DataLoader`, whose random generators are seeded in each epoch."""

    def __init__(self, given: FitData) -> None:
        super().__init__(given)
        loader = given.x
        flaws = {
            "`steps_per_epoch`, with which an epoch ends amid a pass": given.continues,
            "an `IterableDataset`": _is_one_of("torch", ("IterableDataset",), loader.dataset),
            "`persistent_workers=True`": loader.persistent_workers,
        }
        found = [flaw for flaw, present in flaws.items() if present]
        if found:
            raise ValueError(
                "Resume cannot keep the position of a `DataLoader` with a state that torch does not "
                f"show. Received: {' and '.join(found)}. Leave that out, or: {_ADVICE}"
            )
        seeded = _seeded(loader, given.seed)
        self._memory = attributes.AttributeState(
            loader=seeded, **{name: getattr(seeded, name) for name in ("dataset", *_SAMPLERS)}
        )
        self.data = given._replace(x=seeded, shuffle=False)  # Keras would warn about True

    @classmethod
    def accepts(cls, given: FitData) -> bool:
        """See base class."""
        return _is_one_of("torch", ("DataLoader",), given.x)


class GrainPosition(Position):
    """Position of Grain data with `steps_per_epoch`: the state of their iterator."""

    def __init__(self, given: FitData) -> None:
        super().__init__(given)
        self._stream = _Stream(given.x, given.steps)
        self._begun = False
        self.data = given._replace(x=self._stream, steps=None, shuffle=False)

    @classmethod
    def accepts(cls, given: FitData) -> bool:
        """See base class."""
        return _is_one_of("grain", ("MapDataset", "IterDataset", "DataLoader"), given.x)

    def begin(self, epoch: int) -> None:
        """See base class. Starts over once, since Keras may have read batches before training."""
        if not self._begun:
            self._stream.begin()
        self._begun = True

    def get_state(self) -> dict[str, Any]:
        """See base class."""
        state = self._stream.iterator.get_state()
        is_bytes = isinstance(state, bytes)
        return {"iterator": np.frombuffer(state, "uint8") if is_bytes else state}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """See base class."""
        value = state["iterator"]
        self._stream.iterator.set_state(value.tobytes() if isinstance(value, np.ndarray) else value)


# In this order: the first class that accepts the data is used.
_KINDS = (Position, PipelinePosition, BatchesPosition, LoaderPosition, GrainPosition)


def position(given: FitData) -> Position:
    """Return the position of data. Pass its `data` to Keras instead of `given`.

    Args:
        given: `FitData`.

    Raises:
        ValueError: the position cannot be saved; the message says why, and what to do.
    """
    identity = _identity(given)
    if given.is_arrays and not Position.accepts(given):
        given = _dataset_of_arrays(given)
    for kind in _KINDS:
        if kind.accepts(given):
            found = kind(given)
            found.settings.update(identity)
            return found
    raise ValueError(
        f"`Resume` cannot save the position of data of this kind. Received: {type(given.x).__name__}. "
        f"{_ADVICE}"
    )


def _identity(given):
    """Return sizes and seeds of data, and a checksum of arrays, which differ for other data."""
    if not given.is_arrays:
        names = ("num_examples", "batch_size", "seed")
        values = {name: getattr(given.x, name, None) for name in names}
        return {name: value for name, value in values.items() if isinstance(value, int)}
    leaves = [keras.ops.convert_to_numpy(leaf) for leaf in structures.leaves(list(given[:3]))]
    step = max(1, len(leaves[0]) // _CHECKED_ROWS)
    checksum = 0
    for leaf in leaves:
        rows = np.ascontiguousarray(leaf[::step])
        checksum = zlib.crc32(rows if rows.dtype != object else str(rows).encode(), checksum)
    return {"rows": len(leaves[0]), "batch_size": given.batch_size, "checksum": checksum}


def _is_fixed(given):
    """Return whether a `PyDataset` is read in order and has no state apart from arrays."""
    if given.shuffle or given.steps is not None:
        return False
    own = vars(given.x).keys() - vars(keras.utils.PyDataset()).keys()
    arrays = all(hasattr(getattr(given.x, name), "shape") for name in own)
    return arrays and type(given.x).on_epoch_end is keras.utils.PyDataset.on_epoch_end


def _is_one_of(package, names, value):
    """Return whether a value is an instance of one of these classes, without importing their package."""
    return any(
        kind.__name__ in names and kind.__module__.partition(".")[0] == package
        for kind in type(value).__mro__
    )


def _dataset_of_arrays(given):
    """Turn arrays into a dataset whose order depends on the seed and the epoch."""
    if given.shuffle == "batch":
        raise ValueError(
            "Resume does not keep the order of `shuffle='batch'`. Received: shuffle='batch'. Use "
            "`shuffle=True` or `shuffle=False`."
        )
    data = keras.utils.pack_x_y_sample_weight(given.x, given.y, given.sample_weight)
    rows = len(structures.leaves(given.x)[0])
    size = given.batch_size or (-(-rows // given.steps) if given.steps else 32)  # as Keras does
    dataset = batches_by_epoch(structures.mapped(_array, data), size, bool(given.shuffle), given.seed)
    return given._replace(x=dataset, y=None, sample_weight=None, shuffle=False)


def _array(leaf):
    leaf = keras.ops.convert_to_numpy(leaf)
    return leaf.astype(keras.config.floatx()) if leaf.dtype == "float64" else leaf


def _nodes(dataset) -> Iterator[Any]:
    """Yield the datasets in a pipeline, from its end to its sources or to datasets with an `epoch`."""
    yield dataset
    if not hasattr(dataset, "epoch"):
        for source in dataset._inputs():
            yield from _nodes(source)


def _is_pure(dataset):
    """Return whether every pass over a pipeline yields the same batches."""
    nodes = list(_nodes(dataset))
    if any(hasattr(node, "epoch") or hasattr(node, "_seed") for node in nodes):
        return False
    try:
        _check_state(dataset, counts=False)
    except ValueError:
        return False
    return True


def _seeds(nodes):
    """Return the seeds of a pipeline, or raise an error if it shuffles without a seed."""
    seeds = [[int(node._seed), int(node._seed2)] for node in nodes if hasattr(node, "_seed")]
    if [0, 0] in seeds:
        raise ValueError(
            "The pipeline shuffles in an order that no other process can repeat. Expected: a seed, such "
            "as `dataset.shuffle(1000, seed=0)`, or `keras.utils.set_random_seed(0)` before the dataset "
            "is made. Received: no seed."
        )
    return seeds


def _check_state(dataset, counts):
    """Refuse a pipeline with state that a checkpoint of its iterator does not contain."""
    tf = tensorflow()
    try:
        _save(iter(_with_policy(dataset, "FAIL")))
    except tf.errors.FailedPreconditionError as error:
        if counts and "AssignAddVariableOp is stateful" in error.message:
            return  # the epoch counter, which is saved separately
        raise ValueError(
            "The pipeline has a state that TensorFlow does not save: "
            f"{error.message.partition('}} ')[2] or error.message} Use functions without a state: draw "
            "random numbers by `tf.random.stateless_uniform` and similar functions, with seeds from "
            "`tf.data.Dataset.random(seed=0)`, or augment images by layers of the networks. "
            f"{_ADVICE}"
        ) from error


def _with_policy(dataset, policy):
    tf = tensorflow()
    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy[policy]
    return dataset.with_options(options)


def _save(iterator):
    """Return the files of an iterator's checkpoint as uint8 arrays, by file name."""
    tf = tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        tf.train.Checkpoint(iterator=iterator).write(f"{folder}/position")
        return {path.name: np.fromfile(path, "uint8") for path in sorted(Path(folder).iterdir())}


_SAMPLERS = ("sampler", "batch_sampler")


def _seeded(loader, seed):
    """Return a copy of a `DataLoader` whose order depends only on the seed and on its `epoch`."""
    import torch

    class Seeded(type(loader)):
        epoch = 0

        def __iter__(self):
            for generator in self.generators:
                state = np.random.SeedSequence([seed, self.epoch]).generate_state(1)
                generator.manual_seed(int(state[0]))
            return super().__iter__()

    twin = copy.copy(loader)
    twin.__class__ = Seeded
    for name in _SAMPLERS:  # torch forbids assigning these attributes
        vars(twin)[name] = copy.copy(getattr(loader, name))
    if getattr(twin.batch_sampler, "sampler", None) is loader.sampler:
        twin.batch_sampler.sampler = twin.sampler
    drawing = [
        owner for owner in (twin, twin.sampler, twin.batch_sampler) if hasattr(owner, "generator")
    ]
    for owner in drawing:
        owner.generator = torch.Generator()
    twin.generators = [owner.generator for owner in drawing]
    return twin


class _Epochs(keras.utils.PyDataset):
    """Batches of a `PyDataset`, in an order that depends on the seed and the pass.

    With `steps`, an epoch begins where the previous one ended. Batches that Keras reads before an epoch,
    to infer shapes, do not change the state.

    Args:
        given: `FitData`.
        memory: object with `get_state` and `set_state` for the state of the dataset.
    """

    def __init__(self, given: FitData, memory: Any) -> None:
        dataset = given.x
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset, self._seed, self._shuffle = dataset, given.seed, bool(given.shuffle)
        self._steps, self._anew = given.steps or dataset.num_batches, given.validation
        self._order: tuple[int, Any] = (-1, ())
        self._epoch = 0
        self._reading = False
        self._states = (memory, attributes.ProcessRandomness())

    @property
    def epoch(self) -> int:
        """The current epoch."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = epoch
        if isinstance(getattr(self._dataset, "epoch", None), int):
            self._dataset.epoch = epoch

    @property
    def num_batches(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> Any:
        # Keras infers shapes in the main thread, and reads training batches in another thread.
        if self._reading or threading.current_thread() is not threading.main_thread():
            return self._batch(index)
        before = [state.get_state() for state in self._states]
        batch = self._batch(index)
        for state, value in zip(self._states, before, strict=True):
            state.set_state(value)
        return batch

    def _batch(self, index):
        number = index if self._anew else self._epoch * self._steps + index
        length = self._dataset.num_batches
        return self._dataset[number if length is None else self._number(*divmod(number, length))]

    def _number(self, number, index):
        """Return the number of the batch at position `index` of pass `number`."""
        if not self._shuffle:
            return index
        known, order = self._order
        if known != number:
            order = np.random.default_rng([self._seed, number]).permutation(self._dataset.num_batches)
            self._order = number, order
        return int(order[index])

    def on_epoch_begin(self) -> None:
        self._dataset.on_epoch_begin()
        self._reading = True

    def on_epoch_end(self) -> None:
        self._reading = False
        self._dataset.on_epoch_end()


class _Stream(keras.utils.PyDataset):
    """Batches of an iterator that restarts at its end, `steps` per epoch."""

    def __init__(self, dataset: Any, steps: int | None) -> None:
        super().__init__()
        self._dataset, self._steps = dataset, steps
        self.begin()

    def begin(self) -> None:
        """Start over from the first batch."""
        self.iterator = iter(self._dataset)

    @property
    def num_batches(self) -> int | None:
        return self._steps

    def __getitem__(self, index: int) -> Any:
        for _ in range(2):
            for batch in self.iterator:
                return batch
            self.iterator = iter(self._dataset)
        raise ValueError("The training data are empty: the Grain dataset gave no batch.")

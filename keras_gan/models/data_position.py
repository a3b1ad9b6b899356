"""The position of the data of `fit`: what a run must keep to resume with the batches that come next."""

import copy
import math
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_gan.datasets.loading import batches_by_epoch
from keras_gan.utils import attributes, structures
from keras_gan.utils.optional import tensorflow

_ADVICE = (
    "Pass arrays, a dataset of `kg.datasets.load`, or a `keras.utils.PyDataset`, whose batches have "
    "numbers, or train without `Resume`."
)


class FitData(NamedTuple):
    """Data as `fit` receives them.

    Attributes:
        x: arrays, a dataset or a loader.
        y: labels, if `x` is arrays.
        sample_weight: weights of rows, if `x` is arrays.
        batch_size: rows of a batch of arrays, or None.
        steps: batches in an epoch, or None for all.
        shuffle: whether Keras would shuffle them.
        seed: integer that the order of arrays and of a `PyDataset` is drawn from.
        validation: whether they validate, and so begin anew in each epoch.
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
        """Whether an epoch may begin amid a pass."""
        return self.steps is not None and not self.validation

    @property
    def is_arrays(self) -> bool:
        """Whether `x` is an array or a structure of arrays."""
        return structures.is_arrays(self.x)

    def split(self, share: float) -> tuple["FitData", "FitData"]:
        """Return arrays without their last rows, and these to validate, as Keras splits them."""
        rows = len(structures.leaves(self.x)[0])
        at = math.floor(rows * (1 - share))
        return self._cut(0, at), self._cut(at, rows)._replace(steps=None, validation=True)

    def _cut(self, start, stop):
        x, y, weight = (structures.cut(part, start, stop) for part in self[:3])
        return self._replace(x=x, y=y, sample_weight=weight)


class Position:
    """Data whose batches are a function of the epoch: there is nothing to keep.

    A subclass replaces `data`, and keeps what its position consists of.

    Args:
        given: `FitData`.

    Attributes:
        data: `FitData` for Keras.
        settings: dict of what must be the same in a run that is resumed.
    """

    def __init__(self, given: FitData) -> None:
        self.data = given
        self.settings: dict[str, Any] = {"kind": type(self).__name__, "steps": given.steps}

    @classmethod
    def accepts(cls, given: FitData) -> bool:
        """Return whether data have a position of this kind."""
        if hasattr(given.x, "element_spec"):
            return not given.continues and (hasattr(given.x, "epoch") or _is_pure(given.x))
        if _is_one_of("grain", ("MapDataset", "IterDataset", "DataLoader"), given.x):
            return not given.continues  # iterators of Grain all begin alike
        if isinstance(given.x, keras.utils.PyDataset):
            return _is_fixed(given)
        return given.is_arrays and (given.validation or not (given.continues or given.shuffle))

    def begin(self, epoch: int) -> None:
        """Tell data that count their epochs the epoch, on which their order depends."""
        counter: Any = getattr(self.data.x, "epoch", None)
        if hasattr(counter, "assign"):
            if not self.data.continues:
                counter.assign(epoch)
        elif isinstance(counter, int):
            self.data.x.epoch = epoch

    def get_state(self) -> dict[str, Any]:
        """Return the position, between two epochs, as a plain value."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""


class PipelinePosition(Position):
    """Pipeline of `tf.data`, which one iterator reads from epoch to epoch."""

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
        while True:  # the pipeline reads ahead, and may begin another pass meanwhile
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


class BatchesPosition(Position):
    """`keras.utils.PyDataset`, whose batches have numbers, and whose attributes are kept."""

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

    def get_state(self) -> dict[str, Any]:
        """See base class."""
        return self._memory.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """See base class."""
        self._memory.set_state(state)


class LoaderPosition(Position):
    """`torch.utils.data.DataLoader`, whose random generators are seeded in each epoch."""

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
        self.data = given._replace(x=seeded, shuffle=False)  # with True, Keras warns

    @classmethod
    def accepts(cls, given: FitData) -> bool:
        """See base class."""
        return _is_one_of("torch", ("DataLoader",), given.x)

    def get_state(self) -> dict[str, Any]:
        """See base class."""
        return self._memory.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """See base class."""
        self._memory.set_state(state)


class GrainPosition(Position):
    """Data of Grain with `steps_per_epoch`, whose iterator gives its state."""

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
        """See base class; Keras may have looked at the first batches before training."""
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


# The first that accepts the data is taken.
_KINDS = (Position, PipelinePosition, BatchesPosition, LoaderPosition, GrainPosition)


def position(given: FitData) -> Position:
    """Return the position of data, with the data that Keras must be given for it to be kept.

    Args:
        given: `FitData`.

    Raises:
        ValueError: the position of such data cannot be kept; the message says why, and what to do.
    """
    if given.is_arrays and not Position.accepts(given):
        given = _dataset_of_arrays(given)
    for kind in _KINDS:
        if kind.accepts(given):
            return kind(given)
    raise ValueError(
        "Resume keeps the position of the data, and those of this kind do not show theirs. Received: "
        f"{type(given.x).__name__}. {_ADVICE}"
    )


def _is_fixed(given):
    """Return whether a `PyDataset` is read in order, and holds nothing but arrays."""
    if given.shuffle or given.steps is not None:
        return False
    own = vars(given.x).keys() - vars(keras.utils.PyDataset()).keys()
    arrays = all(hasattr(getattr(given.x, name), "shape") for name in own)
    return arrays and type(given.x).on_epoch_end is keras.utils.PyDataset.on_epoch_end


def _is_one_of(package, names, value):
    """Return whether a value is an instance of one of the classes of an optional package."""
    return any(
        kind.__name__ in names and kind.__module__.partition(".")[0] == package
        for kind in type(value).__mro__
    )


def _dataset_of_arrays(given):
    """Return arrays as batches whose order depends on the seed and the epoch."""
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
    """Yield the datasets that a pipeline is made of, down to those that count their epochs."""
    yield dataset
    if not hasattr(dataset, "epoch"):
        for source in dataset._inputs():
            yield from _nodes(source)


def _is_pure(dataset):
    """Return whether all passes of a pipeline are alike."""
    nodes = list(_nodes(dataset))
    if any(hasattr(node, "epoch") or hasattr(node, "_seed") for node in nodes):
        return False
    try:
        _check_state(dataset, counts=False)
    except ValueError:
        return False
    return True


def _seeds(nodes):
    """Return the seeds of a pipeline, or raise if it would draw other ones in each process."""
    seeds = [[int(node._seed), int(node._seed2)] for node in nodes if hasattr(node, "_seed")]
    if [0, 0] in seeds:
        raise ValueError(
            "The pipeline shuffles in an order that no other process can repeat. Expected: a seed, such "
            "as `dataset.shuffle(1000, seed=0)`, or `keras.utils.set_random_seed(0)` before the dataset "
            "is made. Received: no seed."
        )
    return seeds


def _check_state(dataset, counts):
    """Refuse a pipeline that has a state which its iterator does not save."""
    tf = tensorflow()
    try:
        _save(iter(_with_policy(dataset, "FAIL")))
    except tf.errors.FailedPreconditionError as error:
        if counts and "AssignAddVariableOp is stateful" in error.message:
            return  # the counter of epochs, which is kept
        raise ValueError(
            "The pipeline has a state that TensorFlow does not save: "
            f"{error.message.partition('}} ')[2] or error.message} Expected: functions without one. "
            "Take random numbers from `tf.random.stateless_uniform` and its like, with seeds of "
            "`tf.data.Dataset.random(seed=0)`; augment within the networks, by Keras' layers; or: "
            f"{_ADVICE}"
        ) from error


def _with_policy(dataset, policy):
    tf = tensorflow()
    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy[policy]
    return dataset.with_options(options)


def _save(iterator):
    """Return the files of an iterator's checkpoint as arrays of bytes."""
    tf = tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        tf.train.Checkpoint(iterator=iterator).write(f"{folder}/position")
        return {path.name: np.fromfile(path, "uint8") for path in sorted(Path(folder).iterdir())}


_SAMPLERS = ("sampler", "batch_sampler")


def _seeded(loader, seed):
    """Return a loader of torch whose passes depend on the seed and its attribute `epoch` alone."""
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
    for name in _SAMPLERS:  # torch refuses to set them by their names
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

    With `steps` an epoch begins where the one before has ended. What Keras reads outside of an epoch, to
    learn the shapes, leaves no trace.

    Args:
        given: `FitData`.
        memory: the state of the dataset, an object with `get_state` and `set_state`.
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
        """The epoch whose batches are given."""
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
        # Keras looks at batches in the main thread, and trains on those of another one.
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
        """Return which batch is the one at `index` in a pass."""
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
    """Batches of an iterator that begins anew when it ends, `steps` in an epoch, one after the other."""

    def __init__(self, dataset: Any, steps: int | None) -> None:
        super().__init__()
        self._dataset, self._steps = dataset, steps
        self.begin()

    def begin(self) -> None:
        """Begin anew."""
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

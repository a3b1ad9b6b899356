"""Resume: an interrupted run continues as if it had not stopped."""

import hashlib
import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_gan import backend
from keras_gan.callbacks.base import EpochCallback
from keras_gan.models.data_position import Position
from keras_gan.utils import attributes
from keras_gan.utils.files import atomic_folder, cleanup
from keras_gan.utils.typing import Logs, PathLike
from keras_gan.utils.validation import check_path

__all__ = ["FORMAT", "Resume"]

FORMAT = 2
_WEIGHTS, _ARRAYS, _PROGRESS = "gan.weights.h5", "callbacks.npz", "progress.json"
# Options that decide how a step is computed, and not its result.
_IGNORED_OPTIONS = {"run_eagerly", "steps_per_execution", "jit_compile"}


class Resume(EpochCallback):
    """Resumes an interrupted run exactly where it stopped.

    The same program, started again, trains the remaining epochs, and ends with the same weights,
    optimizers, seeds, history and files, to the bit. `keras.callbacks.BackupAndRestore` restores
    neither the history nor the other callbacks nor the position of the data, and repeats an epoch if
    the run stops between its two files.

    After every n-th epoch and the last, the whole state of the run is written to a new folder
    `directory/epoch-0007`, named by the number of finished epochs: the weights, both
    optimizers and all seeds (`gan.weights.h5`), and the history, the settings, the attributes of the
    other callbacks and the position of the data (`progress.json`, `callbacks.npz`). The folder gets its
    name once all of it is on the disk, and only then is the older one removed: if the process is killed,
    or the disk is full, the older one remains. The last state is kept when training ends: `fit` with the
    same `epochs` then returns the history, and with more epochs continues.

    Attributes of the other callbacks are kept if they are numbers, strings, arrays, lists, tuples and
    dicts of these, such as the best weights of `EarlyStopping`, or random generators of Python, NumPy
    and torch. Callbacks are matched by class and order. If a callback appends to a file, as
    `CSVLogger(append=True)` does, epochs that are repeated appear twice.

    The data may be arrays, which are shuffled by the seed of the GAN and the epoch; a dataset of
    `kg.datasets.load`, or another one of `tf.data`, with or without `steps_per_epoch`, whose shuffles
    have seeds and whose functions are deterministic; a `keras.utils.PyDataset`, whose plain attributes
    are kept as those of callbacks; a `torch.utils.data.DataLoader`, whose generators are seeded in each
    epoch; or data of Grain. The same applies to validation data. Other data, such as Python generators,
    are refused before training. The random generators of Python, NumPy and torch are restored as well.

    The GAN must have a `seed`, and the machine must compute the same numbers in each process: if one
    process trains the same GAN twice, TensorFlow may add numbers in another order the second time.

    Args:
        directory: folder for the states of this run alone; created if it is missing. Remove it to start
            over.
        every: number of epochs between two states. Defaults to 1.

    Attributes:
        initial_epoch: number of epochs that earlier runs have trained; 0 for a new run.

    Raises:
        ValueError: `every` is not positive; when training begins, the folder cannot be
            written to, the state in it is damaged or has other settings, which the message names, or
            the position of the data cannot be kept.
        TypeError: an argument has the wrong type; when training begins, the model is not a `GAN`.
        OSError: a state could not be written; the previous one is kept.

    Example:

    >>> def train(epochs):
    ...     generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    ...     discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    ...     gan = kg.GAN(generator, discriminator, seed=0)
    ...     gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    ...     points = np.zeros((64, 2), "float32")
    ...     resume = kg.callbacks.Resume("run/resume")
    ...     return gan.fit(points, epochs=epochs, verbose=0, callbacks=[resume])
    >>> train(epochs=2).epoch
    [0, 1]
    >>> train(epochs=3).epoch  # one epoch is left to train
    [0, 1, 2]
    """

    _needs = ("generate", "get_compile_config")
    _finished: int | None

    def __init__(self, directory: PathLike, *, every: int = 1) -> None:
        super().__init__(every)
        self.directory = check_path("directory", directory)
        self.initial_epoch = 0
        self._others: Any = None  # a list, once `attach` was called
        self._positions: Mapping[str, Position] = {}

    def attach(
        self, callbacks: list[keras.callbacks.Callback], positions: Mapping[str, Position]
    ) -> None:
        """Note the parts of the run: `GAN.fit` calls it, and puts this callback before the others.

        Args:
            callbacks: the other callbacks, whose state is kept.
            positions: positions of the training data and of the validation data, by these names.
        """
        self._others, self._positions = callbacks, positions

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Find the latest state, and load the weights before other callbacks read them."""
        super().on_train_begin(logs)
        self._check_run()
        self._settings = _settings(self.model, self._positions, self.params.get("steps"))
        self._kept = {**self._positions, "randomness": attributes.ProcessRandomness()}
        self._check_devices()
        if backend.number_of_processes(self.model) > 1:
            self._kept = {}
        known = [callback for callback in self._others if callback is not self.model.history]
        self._callbacks = attributes.by_label([*known, self.model.history])
        # Attributes that differ from these are kept.
        self._before = {
            label: attributes.fingerprints(callback) for label, callback in self._callbacks.items()
        }
        self._started, self._finished = False, None
        self._prepare_folder()
        self._state = self._latest_valid()
        self.initial_epoch = 0 if self._state is None else self._state.epoch
        if self._state is not None:
            self._check_settings()
            self.model.load_weights(self._state.folder / _WEIGHTS)
            _assign(_adapted(self.model), self._state.adapted)
            self.model._initial_epoch = max(self._state.epoch, self._epochs() if self._is_over() else 0)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the state after the previous epoch, or restore the state of the previous run.

        When an epoch ends, later callbacks in the list, and History, have not acted on it yet.
        """
        if not self._started:
            self._restore_callbacks()
        elif epoch % self.every == 0:
            self._write(epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the finished epoch."""
        self._finished = epoch + 1

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Write the last state, before the other callbacks end, so that a finished run can end again."""
        if not self._started:
            self._restore_callbacks()
        if self._finished is not None:
            self._write(self._finished, stopped=bool(self.model.stop_training))

    def _check_run(self):
        if self._others is None:
            raise ValueError(
                "Resume must know the other callbacks of the run. Expected: `gan.fit(..., "
                "callbacks=[...])` with a list that contains it. Received: a `CallbackList`, or another "
                "method than `GAN.fit`."
            )

    def _check_devices(self):
        """Refuse data whose position several processes, or several replicas, do not share."""
        allowed = {"Position", "PipelinePosition"}
        if backend.number_of_processes(self.model) > 1:  # one of them writes the state
            allowed = {"Position"}
        elif backend.number_of_replicas(self.model) == 1:
            return
        kinds = {type(position).__name__ for position in self._positions.values()} - allowed
        if kinds:
            raise ValueError(
                "If several processes or replicas train together, Resume cannot keep the position of "
                "all data. Expected: a dataset of `kg.datasets.load` without `steps_per_epoch`, whose "
                "order is a function of the epoch; or, in one process, arrays or a `tf.data.Dataset`. "
                f"Received: data of the kind {', '.join(sorted(kinds))}."
            )

    def _epochs(self):
        return self.params["epochs"]

    def _is_over(self):
        """Return whether a callback ended the run that wrote the state."""
        return self._state.stopped and self._epochs() <= self._state.epochs

    def _prepare_folder(self):
        if not self._writes():
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            cleanup(self.directory)
            with tempfile.TemporaryDirectory(dir=self.directory):
                pass  # raises if nothing can be written
        except OSError as error:
            raise ValueError(
                "`directory` must be a folder that can be written to. Received: "
                f"{str(self.directory)!r} ({error}). Choose another one."
            ) from error

    def _states(self):
        """Return the folders of states, latest first."""
        folders = [
            path for path in self.directory.glob("epoch-*") if re.fullmatch(r"epoch-\d{4,}", path.name)
        ]
        return sorted(folders, key=lambda path: int(path.name.partition("-")[2]), reverse=True)

    def _latest_valid(self):
        damage = None
        for folder in self._states():
            try:
                state = _read(folder)
            except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
                damage = damage or (folder, error)
                continue
            if damage is not None:
                warnings.warn(
                    f"{_damaged(*damage)} The run continues from the older {folder.name}.", stacklevel=2
                )
            return state
        if damage is not None:
            raise ValueError(f"{_damaged(*damage)} Remove {self.directory} to start over.") from damage[
                1
            ]
        return None

    def _check_settings(self):
        then, now = self._state.settings, self._settings
        mismatches = [path for path in {**then, **now} if then.get(path) != now.get(path)]
        if mismatches:
            text = "; ".join(
                f"{path} was {then.get(path)}, and is {now.get(path)}" for path in mismatches[:4]
            )
            more = f"; and {len(mismatches) - 4} more" if len(mismatches) > 4 else ""
            raise ValueError(
                f"The state in {self._state.folder} belongs to a run with other settings: "
                f"{text}{more}. Restore them to continue that run. To begin "
                f"another, choose another `directory`, or remove {self.directory}."
            )

    def _restore_callbacks(self):
        """Restore the other callbacks, the history and the data, once all callbacks have begun."""
        self._started, self.model._initial_epoch = True, None
        if self._state is None:
            return
        for label, values in self._state.callbacks.items():
            if label in self._callbacks:
                attributes.restore(self._callbacks[label], values)
        for name, kept in self._kept.items():
            kept.set_state(self._state.kept[name])
        for position in self._positions.values():
            position.begin(self.initial_epoch)  # the states contain the previous epoch
        if self.params.get("verbose"):
            print(self._state.describe(self._epochs(), self._is_over()))

    def _write(self, epoch, stopped=False):
        if not self._writes():
            # On JAX, all processes must take part in saving. The files of this one are not needed.
            with tempfile.TemporaryDirectory() as elsewhere:
                self._write_files(Path(elsewhere), epoch, stopped)
            return
        folder = self.directory / f"epoch-{epoch:04d}"
        try:
            with atomic_folder(folder) as temporary:
                self._write_files(temporary, epoch, stopped)
                if folder.exists():  # left by a damaged state, whose epoch was trained again
                    shutil.rmtree(folder)
        except OSError as error:
            message = f"The state after epoch {epoch} was not written; the previous one is kept: {error}"
            raise OSError(message) from error
        for other in self._states():
            if other != folder:
                shutil.rmtree(other)

    def _write_files(self, folder, epoch, stopped):
        arrays = {}

        def store(array):
            name = str(len(arrays))
            arrays[name] = array
            return name

        states = {
            "callbacks": {
                label: _changed(callback, self._before[label])
                for label, callback in self._callbacks.items()
            },
            "kept": {name: kept.get_state() for name, kept in self._kept.items()},
            "adapted": [keras.ops.convert_to_numpy(variable) for variable in _adapted(self.model)],
        }
        states = {name: attributes.encode(state, store) for name, state in states.items()}
        self.model.save_weights(folder / _WEIGHTS)
        np.savez(folder / _ARRAYS, **arrays)
        progress = {
            "format": FORMAT,
            "epoch": epoch,
            "epochs": self._epochs(),
            "stopped": stopped,
            "settings": self._settings,
            **states,
            "sha256": {name: _sha256(folder / name) for name in (_WEIGHTS, _ARRAYS)},
        }
        (folder / _PROGRESS).write_text(json.dumps(progress))


class _State(NamedTuple):
    """Content of a folder, except for the weights."""

    folder: Path
    epoch: int
    epochs: int
    stopped: bool
    settings: dict
    callbacks: dict
    kept: dict
    adapted: list

    def describe(self, epochs, is_over):
        """Return a sentence about what is left to train."""
        place = f"epoch {self.epoch} of {epochs}"
        if self.epoch >= epochs:
            left = f"{place} is already reached; nothing is left to train"
        elif is_over:
            left = f"a callback stopped the run after {place}; nothing is left to train"
        else:
            left = f"the run continues after {place}"
        return f"Resume: {left} (state in {self.folder})."


def _changed(callback, before):
    """Return the attributes of a callback that have changed and that a new process cannot derive."""
    changed = attributes.changed(callback, before)
    if hasattr(callback, "_set_monitor_op"):
        # Callbacks of Keras that monitor a number to minimize turn the sign of `min_delta` around when
        # they first compare, in each process.
        changed.pop("min_delta", None)
    return changed


def _read(folder):
    """Return the state in a folder, or raise an error if it is damaged."""
    progress = json.loads((folder / _PROGRESS).read_text())
    if progress["format"] != FORMAT:
        raise ValueError(f"{_PROGRESS} has the format {progress['format']!r}, not {FORMAT}")
    for name, digest in progress["sha256"].items():
        if _sha256(folder / name) != digest:
            raise ValueError(f"{name} has changed since it was written")
    with np.load(folder / _ARRAYS) as arrays:
        states = [
            attributes.decode(progress[name], arrays.__getitem__)
            for name in ("callbacks", "kept", "adapted")
        ]
    names = ("epoch", "epochs", "stopped", "settings")
    return _State(folder, *(progress[name] for name in names), *states)


def _damaged(folder, error):
    return f"The state in {folder} is damaged ({type(error).__name__}: {error})."


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settings(gan, positions, steps):
    """Return the settings that decide a run, as JSON by paths such as `"compile.loss.class_name"`.

    Names are left out, since Keras numbers the layers of a process.
    """
    compiled = {
        name: value for name, value in gan.get_compile_config().items() if name not in _IGNORED_OPTIONS
    }
    networks = {"generator": gan.generator.get_config(), "discriminator": gan.discriminator.get_config()}
    own = {**networks, "prior": _prior(gan.prior), "seed": gan.seed}
    data = {name: position.settings for name, position in positions.items()}
    config = {"gan": own, "compile": compiled, "fit": {"steps_per_epoch": steps, **data}}
    config = json.loads(json.dumps(config))
    names = {}
    _collect_names(config, names)
    flat = {}
    _flatten("", config, names, flat)
    return flat


def _adapted(gan):
    """Return the variables of layers with LoRA. Keras' files hold only the merged kernel."""
    layers = [layer for layer in gan._flatten_layers() if getattr(layer, "lora_enabled", False)]
    return [variable for layer in layers for variable in layer.variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _prior(prior):
    try:
        return keras.saving.serialize_keras_object(prior)
    except ValueError:  # a distribution of TensorFlow Probability
        return repr(prior.distribution)


def _collect_names(config, names):
    """Number the names of layers in the order of their appearance."""
    items = config.values() if isinstance(config, dict) else config
    if isinstance(config, dict) and isinstance(config.get("name"), str):
        names.setdefault(config["name"], f"#{len(names)}")
    for item in items:
        if isinstance(item, (dict, list)):
            _collect_names(item, names)


def _flatten(path, config, names, flat):
    if isinstance(config, dict):
        for key, item in config.items():
            if key != "name":
                _flatten(f"{path}.{key}" if path else key, item, names, flat)
    elif isinstance(config, list) and config:
        for index, item in enumerate(config):
            _flatten(f"{path}[{index}]", item, names, flat)
    else:
        # Compare as text, since NaN != NaN.
        flat[path] = json.dumps(names.get(config, config) if isinstance(config, str) else config)

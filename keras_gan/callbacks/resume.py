"""Resume: a run that was killed goes on as if it had not been."""

import hashlib
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_gan.callbacks.base import EpochCallback
from keras_gan.models.data_position import Position
from keras_gan.utils import plain_state
from keras_gan.utils.files import sync
from keras_gan.utils.typing import Logs, PathLike

FORMAT = 2
_WEIGHTS, _ARRAYS, _PROGRESS = "gan.weights.h5", "callbacks.npz", "progress.json"
# How a step is computed, not what: the machine decides some of it.
_HOW = {"run_eagerly", "steps_per_execution", "jit_compile"}


class Resume(EpochCallback):
    """Goes on where a run that was killed stopped, and ends as if it had never been killed.

    The same program, started again, trains the epochs that are left, and ends with the same weights,
    optimizers, seeds, history and files, to the bit. `keras.callbacks.BackupAndRestore` restores
    neither the history nor what callbacks remember, and a kill between its two files repeats an epoch.

    After every n-th epoch and the last, the whole state of the run is written to a new folder
    `directory/epoch-0007`, named by the number of epochs that are trained: the weights, both
    optimizers and all seeds (`gan.weights.h5`), the history, the settings, and what the other
    callbacks remember (`progress.json`, `callbacks.npz`). The folder gets its name when all of it is
    on the disk, and only then the older one is removed: a kill or a full disk, whenever it comes,
    leaves the older. So does the end of a run leave the last: `fit` with the same `epochs` then
    returns the history, and with more of them trains on.

    What the other callbacks remember is what their attributes hold of numbers, strings, arrays, and
    lists, tuples and dicts of them, such as `EarlyStopping`'s best weights. Objects of other kinds
    are made anew. Callbacks are recognized by class and order. Files that a callback appends to, as
    `CSVLogger(append=True)` does, hold the epochs twice that a resumed run repeats.

    The run is the same if the order of its data is a function of the epoch, as of `kg.datasets.load`,
    and if the GAN has a `seed`. The machine must compute the same numbers in each process: where one
    process trains the same GAN twice, TensorFlow may add in another order the second time.

    Args:
        directory: folder of the state, of this run alone; made if missing. Remove it to begin anew.
        every: int, epochs from one state to the next. Defaults to 1.

    Attributes:
        initial_epoch: int, how many epochs earlier runs had trained; 0 for a new run.

    Raises:
        ValueError: `every` is no positive integer; when training begins, a folder that cannot be
            written to, a state that is damaged or of other settings, which the message names, or
            arrays that Keras would shuffle.
        TypeError: when training begins, a model that is no `GAN`.
        OSError: a state could not be written; the one before is still there.

    Example:

    >>> def train(epochs):
    ...     generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    ...     discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    ...     gan = kg.GAN(generator, discriminator, seed=0)
    ...     gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    ...     points = np.zeros((64, 2), "float32")
    ...     resume = kg.callbacks.Resume("run/resume")
    ...     return gan.fit(points, epochs=epochs, shuffle=False, verbose=0, callbacks=[resume])
    >>> train(epochs=2).epoch
    [0, 1]
    >>> train(epochs=3).epoch  # one epoch is left to train
    [0, 1, 2]
    """

    _needs = ("generate", "get_compile_config")
    _finished: int | None

    def __init__(self, directory: PathLike, every: int = 1) -> None:
        super().__init__(every)
        self.directory = Path(directory)
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
        """Find the newest state, and load the weights before other callbacks look at the model."""
        super().on_train_begin(logs)
        self._check_run()
        self._settings = _settings(self.model, self._positions, self.params.get("steps"))
        self._kept = {**self._positions, "randomness": plain_state.ProcessRandomness()}
        known = [callback for callback in self._others if callback is not self.model.history]
        self._callbacks = plain_state.by_label([*known, self.model.history])
        # What differs from this is kept: what callbacks set when training begins may depend on weights.
        self._before = {
            label: plain_state.fingerprints(callback) for label, callback in self._callbacks.items()
        }
        self._begun, self._finished = False, None
        self._prepare_folder()
        self._state = self._newest()
        self.initial_epoch = 0 if self._state is None else self._state.epoch
        if self._state is not None:
            self._check_settings()
            self.model.load_weights(self._state.folder / _WEIGHTS)
            _assign(_adapted(self.model), self._state.adapted)
            self.model._initial_epoch = max(self._state.epoch, self._epochs() if self._is_over() else 0)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the state that the epoch before has left, or put back that of the run before.

        At the epoch's end, callbacks further down the list, and History, would not have acted yet.
        """
        if not self._begun:
            self._put_back()
        elif epoch % self.every == 0:
            self._write(epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Count."""
        self._finished = epoch + 1

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Write the last state, before other callbacks end: a run that has ended has it to end again."""
        if not self._begun:
            self._put_back()
        if self._finished is not None:
            self._write(self._finished, stopped=bool(self.model.stop_training))

    def _check_run(self):
        if self._others is None:
            raise ValueError(
                "Resume must know the other callbacks of the run. Expected: `gan.fit(..., "
                "callbacks=[...])` with a list that holds it. Received: a `CallbackList`, or what "
                "is not `GAN.fit`."
            )

    def _epochs(self):
        return self.params["epochs"]

    def _is_over(self):
        """Whether the run that wrote the state was ended, by a callback, before these epochs."""
        return self._state.stopped and self._epochs() <= self._state.epochs

    def _prepare_folder(self):
        if not self._writes():
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            for left_over in self.directory.glob("*.tmp"):  # of a run that was killed while it wrote
                shutil.rmtree(left_over)
            probe = self.directory / f"{os.getpid()}.tmp"
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            raise ValueError(
                "`directory` is a folder that the state of the run can be written to. Received: "
                f"{str(self.directory)!r}, which cannot ({error}). Choose another one."
            ) from error

    def _states(self):
        """Return the folders of states, newest first."""
        found = [
            path for path in self.directory.glob("epoch-*") if re.fullmatch(r"epoch-\d{4,}", path.name)
        ]
        return sorted(found, key=lambda path: int(path.name.partition("-")[2]), reverse=True)

    def _newest(self):
        damage = None
        for folder in self._states():
            try:
                state = _read(folder)
            except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
                damage = damage or (folder, error)
                continue
            if damage is not None:
                warnings.warn(
                    f"{_damaged(*damage)} The run goes on from the older {folder.name}.", stacklevel=2
                )
            return state
        if damage is not None:
            raise ValueError(f"{_damaged(*damage)} Remove {self.directory} to begin anew.") from damage[
                1
            ]
        return None

    def _check_settings(self):
        then, now = self._state.settings, self._settings
        unlike = [path for path in {**then, **now} if then.get(path) != now.get(path)]
        if unlike:
            told = [f"{path} was {then.get(path)}, and is {now.get(path)}" for path in unlike[:4]]
            more = f"; and {len(unlike) - 4} more" if len(unlike) > 4 else ""
            raise ValueError(
                f"The state in {self._state.folder} is of a run with other settings: "
                f"{'; '.join(told)}{more}. Set them as they were to go on with that run. To begin "
                f"another, choose another `directory`, or remove {self.directory}."
            )

    def _put_back(self):
        """Let the other callbacks and the history be as they were, once all have begun."""
        self._begun, self.model._initial_epoch = True, None
        if self._state is None:
            return
        for label, attributes in self._state.callbacks.items():
            if label in self._callbacks:
                plain_state.restore(self._callbacks[label], attributes)
        for name, kept in self._kept.items():
            kept.set_state(self._state.kept[name])
        for position in self._positions.values():
            position.begin(self.initial_epoch)  # what counts the epoch itself has just been set back
        if self.params.get("verbose"):
            print(self._state.tell(self._epochs(), self._is_over()))

    def _write(self, epoch, stopped=False):
        if not self._writes():
            # On JAX all processes must take part in a saving; this one's files are of no use.
            with tempfile.TemporaryDirectory() as elsewhere:
                self._write_files(Path(elsewhere), epoch, stopped)
            return
        folder = self.directory / f"epoch-{epoch:04d}"
        temporary = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
        temporary.mkdir()
        try:
            self._write_files(temporary, epoch, stopped)
            if folder.exists():  # damaged: else it would have been gone on from
                shutil.rmtree(folder)
            os.rename(temporary, folder)
        except OSError as error:
            message = (
                f"The state after epoch {epoch} was not written; the one before is as it was: {error}"
            )
            raise OSError(message) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync(self.directory)
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
                label: plain_state.changed(callback, self._before[label])
                for label, callback in self._callbacks.items()
            },
            "kept": {name: kept.get_state() for name, kept in self._kept.items()},
            "adapted": [keras.ops.convert_to_numpy(variable) for variable in _adapted(self.model)],
        }
        states = {name: plain_state.encode(state, store) for name, state in states.items()}
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
        for path in (folder / _ARRAYS, folder / _PROGRESS, folder):
            sync(path)


class _State(NamedTuple):
    """What a folder holds, beside the weights."""

    folder: Path
    epoch: int
    epochs: int
    stopped: bool
    settings: dict
    callbacks: dict
    kept: dict
    adapted: list

    def tell(self, epochs, is_over):
        """Say where the run goes on, or that it does not."""
        place = f"epoch {self.epoch} of {epochs}"
        if self.epoch >= epochs:
            left = f"{place} was reached before; nothing is left to train"
        elif is_over:
            left = f"a callback stopped the run after {place}; nothing is left to train"
        else:
            left = f"the run goes on after {place}"
        return f"Resume: {left} (state in {self.folder})."


def _read(folder):
    """Return the state in a folder, or raise what shows that it is damaged."""
    progress = json.loads((folder / _PROGRESS).read_text())
    if progress["format"] != FORMAT:
        raise ValueError(f"{_PROGRESS} has the format {progress['format']!r}, not {FORMAT}")
    for name, digest in progress["sha256"].items():
        if _sha256(folder / name) != digest:
            raise ValueError(f"{name} does not hold what was written")
    with np.load(folder / _ARRAYS) as arrays:
        states = [
            plain_state.decode(progress[name], arrays.__getitem__)
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
    """Return what decides the run, from paths such as `"compile.loss.class_name"` to JSON.

    Names are left out, since Keras counts those of layers on in each process.
    """
    compiled = {name: value for name, value in gan.get_compile_config().items() if name not in _HOW}
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
    """Return the variables of layers with LoRA, whose products Keras' files hold instead of them."""
    layers = [layer for layer in gan._flatten_layers() if getattr(layer, "lora_enabled", False)]
    return [variable for layer in layers for variable in layer.variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _prior(prior):
    try:
        return keras.saving.serialize_keras_object(prior)
    except ValueError:  # of TensorFlow Probability, which says what it is, but not how to make it
        return repr(prior.distribution)


def _collect_names(config, names):
    """Number the names of layers in the order in which they come."""
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
        # As text, in which NaN is like NaN.
        flat[path] = json.dumps(names.get(config, config) if isinstance(config, str) else config)

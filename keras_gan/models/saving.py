"""Saving and loading of a GAN: files are written and read completely or not at all."""

import contextlib
import errno
import inspect
import math
import tempfile
import warnings
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import IO, Any, Self

import keras
import numpy as np
from keras import ops

from keras_gan.models.files import (
    FILES,
    TRAINING,
    assign_tree,
    check_file,
    damage,
    mismatch,
    replace_atomically,
    reserve,
    restore,
    shapes_in,
    shapes_of,
)
from keras_gan.utils.typing import Config, PathLike
from keras_gan.utils.validation import check_flag

__all__ = ["SETTINGS", "Saving"]

# The arguments of `compile` that are plain values, and attributes of the same names.
SETTINGS = ("discriminator_steps", "single_pass", "ema_decay", "gradient_norms")

_SHARDED = (".weights.json", ".weights.h5")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Saving(keras.Model):
    """The part of `GAN` that saves and loads, for Keras' functions and callbacks as well."""

    # Whether `load_own_variables` checks the whole file: `load_weights` has already done so.
    _checks_file = True

    def save(
        self,
        filepath: PathLike | IO[bytes],
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Write networks, optimizers, settings and the state of training to one `.keras` file.

        An older file is replaced atomically once the new one is on the disk. Folders
        (`zipped=False`), file objects and remote paths are written by Keras as for any model.

        If layers have been frozen, quantized or given LoRA weights since `compile`, the state of
        training does not fit the networks: a warning says so, and the file holds the networks alone.

        Args:
            filepath: path that ends in `.keras`; its folder is created if it is missing.
            overwrite: whether to replace an older file without asking.
            zipped: as in `keras.Model.save`.
            **kwargs: as in `keras.Model.save`.

        Raises:
            TypeError: `filepath` is not a path, or `overwrite` is not a boolean.
            ValueError: the path does not end in `.keras`.
            OSError: the file cannot be written.
        """
        if not hasattr(filepath, "write"):
            is_folder = zipped is False or str(filepath).startswith("hf://")
            hint = "`save_weights` writes `.weights.h5`."
            check_file(filepath, () if is_folder else (".keras",), hint)
        overwrite = check_flag("overwrite", overwrite)
        wanted = overwrite and zipped is not False
        with replace_atomically(filepath, ".keras", wanted, self._size()) as path:
            super().save(path, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(
        self, filepath: PathLike, overwrite: bool = True, max_shard_size: float | None = None
    ) -> None:
        """Write all that training changes to one `.weights.h5` file: weights, optimizers, seeds.

        An older file is replaced atomically. Shards are written by Keras as for any model.

        Args:
            filepath: path that ends in `.weights.h5`; its folder is created if it is missing.
            overwrite: whether to replace an older file without asking.
            max_shard_size: as in `keras.Model.save_weights`.

        Raises:
            TypeError: `filepath` is not a path, or `overwrite` is not a boolean.
            ValueError: the path does not end in `.weights.h5` (with shards, `.weights.json`).
            OSError: a file cannot be written.
        """
        check_file(filepath, (".weights.h5",) if max_shard_size is None else _SHARDED)
        overwrite = check_flag("overwrite", overwrite)
        wanted = overwrite and max_shard_size is None
        with replace_atomically(filepath, ".weights.h5", wanted, self._size()) as path:
            super().save_weights(path, overwrite=overwrite, max_shard_size=max_shard_size)

    def load_weights(self, filepath: PathLike, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load all that `save_weights` or `save` wrote; on any error the GAN is unchanged.

        A GAN that is not compiled loads the networks from any GAN's file, without the optimizers.

        Args:
            filepath: path of a `.weights.h5`, `.weights.json` or `.keras` file, or folder of
                `keras.callbacks.OrbaxCheckpoint`.
            skip_mismatch: whether to skip arrays that do not fit with a warning, as Keras does.
            **kwargs: as in `keras.Model.load_weights`, which then decides what to skip.

        Raises:
            TypeError: `filepath` is not a path, or `skip_mismatch` is not a boolean.
            FileNotFoundError: the file does not exist.
            ValueError: the file is damaged, belongs to other networks, or lacks the state of the GAN's
                optimizers.
        """
        name = check_file(filepath)
        lenient = check_flag("skip_mismatch", skip_mismatch) or bool(kwargs)
        if name.endswith(FILES) and not ("://" in name or Path(name).exists()):
            raise FileNotFoundError(f"There is no file at the path `filepath`: {name!r}")
        with contextlib.nullcontext() if lenient else self._unchanged_on_error(filepath):
            if not lenient:
                self._check_shapes(shapes_in(filepath))
            self._checks_file = False
            try:
                super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
            finally:
                self._checks_file = True

    def set_state_tree(self, state_tree: Mapping[str, Any]) -> None:
        """Assign the values of a tree that `get_state_tree` returned, as Orbax checkpoints hold it.

        Args:
            state_tree: dict from kinds of variables to nested dicts of values, with the keys
                `trainable_variables`, `non_trainable_variables`, `optimizer_variables` and
                `metrics_variables`, or some of them.

        Raises:
            ValueError: the tree does not have the same variables as the GAN, of the same shapes.
        """
        variables = {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": self.optimizer.variables if self.compiled else [],
            "metrics_variables": self.metrics_variables,
        }
        for kind, tree in state_tree.items():
            assign_tree(variables[kind], tree)

    @contextlib.contextmanager
    def _unchanged_on_error(self, filepath):
        optimizer = self.optimizer.variables if self.compiled else []
        variables = [*self.variables, *optimizer]
        before = [ops.convert_to_numpy(variable) for variable in variables]
        try:
            with warnings.catch_warnings():
                # Keras skips an optimizer with a warning. It also warns about containers whose contents
                # have already failed under another name.
                warnings.filterwarnings("error", message="Skipping variable loading")
                warnings.filterwarnings("ignore", message="Skipping nested container")
                yield
        except BaseException as error:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            if isinstance(error, FileNotFoundError) or not isinstance(error, Exception):
                raise
            # Keras loads through a copy, for which the disk may have no room.
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise
            reason = error if isinstance(error, ValueError) else damage(error)
            raise ValueError(f"{filepath} was not loaded, and the GAN is unchanged: {reason}") from error

    def _size(self):
        """Return an upper bound of the bytes of this GAN's file."""
        optimizer = self.optimizer.variables if self.compiled else []
        variables = [*self.variables, *optimizer]
        # HDF5 adds about 1 KiB to each array, and `.keras` the settings.
        sizes = [math.prod(variable.shape) * np.dtype(variable.dtype).itemsize for variable in variables]
        return 2**16 + sum(size + 2**12 for size in sizes)

    def _check_shapes(self, received):
        """Refuse a file whose arrays differ from those that this GAN would write."""
        if received is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "own.weights.h5"
            reserve(path, self._size())
            super().save_weights(path)
            expected = shapes_in(path)
        if not self.compiled:
            own = {_layer(name) for name in expected}
            received = {
                name: shape
                for name, shape in received.items()
                if not name.startswith(TRAINING)
                # Networks of terms are layers that this GAN lacks.
                and not (name.startswith("layers/") and _layer(name) not in own)
            }
        if received != expected:
            raise ValueError(mismatch(expected, received))

    def get_config(self) -> Config:
        """Return the arguments of the constructor, serialized."""
        taken = inspect.signature(type(self)).parameters  # a subclass may leave out the prior
        open_ended = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        wanted = ("generator", "discriminator", "prior", *self._own)
        names = [n for n in wanted if n in taken or open_ended]
        lost = [n for n, p in taken.items() if n not in (*names, "seed", "name") and _is_required(p)]
        if lost:
            raise ValueError(
                f"`{type(self).__name__}` does not pass its arguments {lost} on, so it could not be "
                "loaded from a file. Expected `super().__init__(..., name=name, encoder=encoder)`, "
                "which keeps each argument as an attribute and in files."
            )
        parts = {n: keras.saving.serialize_keras_object(getattr(self, n)) for n in names}
        rest = {"seed": self.seed, "name": self.name}
        return {**parts, **{n: rest[n] for n in rest if n in taken or open_ended}}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Create the GAN from the result of `get_config`."""
        return cls(
            **{
                name: value if name in ("seed", "name") else keras.saving.deserialize_keras_object(value)
                for name, value in config.items()
            }
        )

    def get_compile_config(self) -> Config | None:
        """Return the arguments of `compile`, serialized, or None if they do not fit the networks."""
        if not self.compiled:
            return None
        if self.weights_changed:
            warnings.warn(
                "The trainable weights have changed since `compile` (a layer was frozen, quantized or "
                "given LoRA weights), so the state of training does not fit them. The file holds the "
                "networks alone: call `compile` after loading it.",
                stacklevel=2,
            )
            return None
        parts = {"d_optimizer": self.d_optimizer, "g_optimizer": self.g_optimizer}
        parts.update(loss=self.loss, update=self.update, terms=list(self.terms))
        config = {k: _use_public_names(keras.saving.serialize_keras_object(v)) for k, v in parts.items()}
        names = [*SETTINGS, "run_eagerly", "steps_per_execution"]
        config.update({name: getattr(self, name) for name in names})
        # The requested value: "auto" may resolve differently on another machine.
        return {**config, "jit_compile": self.requested_jit_compile}

    def compile_from_config(self, config: Config) -> None:
        """Compile with the result of `get_compile_config`, which also creates optimizer slots."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def _own_state(self):
        """Return the seeds of noise and dropout, which are not weights to Keras, the state of terms,
        update rule and EMA, and the weights that a subclass adds to the GAN itself."""
        state = {id(variable) for variable in self.training_state}
        own = [
            v for v in [*self._trainable_variables, *self._non_trainable_variables] if id(v) not in state
        ]
        return {
            **{f"weight_{i}": variable for i, variable in enumerate(own)},
            **{f"seed_{i}": seed for i, seed in enumerate(self.seeds)},
            **{f"state_{i}": variable for i, variable in enumerate(self.training_state)},
        }

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Save the state of noise, dropout, terms, update rule and EMA, and weights of a subclass."""
        for name, variable in self._own_state().items():
            store[name] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Load what `save_own_variables` saved, after checking the whole file."""
        # `load_model` offers no other place to check the file: Keras would skip an optimizer with a
        # warning, and surplus layers silently.
        file = getattr(store, "h5_file", None)
        if self._checks_file and file is not None:
            self._check_shapes(shapes_of(file))
        restore(self._own_state(), store, "this GAN")


def _use_public_names(config):
    """Use the public names of optimizers, which on torch are private classes of that backend."""
    if isinstance(config, list):
        return [_use_public_names(item) for item in config]
    if not isinstance(config, dict):
        return config
    config = {key: _use_public_names(item) for key, item in config.items()}
    if str(config.get("module")).startswith("keras.src.backend.torch.optimizers"):
        config.update(module="keras.optimizers", registered_name=None)
    return config


def _layer(name):
    """Return the prefix of an array's name that identifies the GAN's layer."""
    return "/".join(name.split("/")[:2])


def _is_required(parameter):
    """Return whether a parameter of a constructor is required."""
    named = parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    return named and parameter.default is parameter.empty

"""Call a function of a GAN where TensorFlow is the backend, from any backend."""

import contextlib
import importlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras

from keras_gan.utils.optional import tensorflow
from keras_gan.utils.typing import PathLike

__all__ = ["call_on_tensorflow", "main", "raise_os_errors"]

# Errors that reach the caller as they are; any other is a defect and shows its traceback.
_ERRORS = {error.__name__: error for error in (ImportError, OSError, TypeError, ValueError)}


def call_on_tensorflow(function: Callable[..., None], gan: keras.Model, *arguments: Any) -> None:
    """Call `function(gan, *arguments)`, in this process if its backend is TensorFlow.

    On another backend the GAN is saved, and a process on TensorFlow loads it and calls the function.

    Args:
        function: function of a module of this package, called for what it writes to disk.
        gan: `kg.GAN`.
        *arguments: further arguments; those that cannot be pickled need TensorFlow as the backend.

    Raises:
        ValueError: the GAN cannot be loaded on TensorFlow, or an argument cannot be pickled.
        RuntimeError: the process failed.
    """
    if keras.backend.backend() == "tensorflow":
        function(gan, *arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        _write_call(Path(folder), function, gan, arguments)
        _run(Path(folder))


def _write_call(folder, function, gan, arguments):
    settings = {
        "modules": sorted({known.__module__ for known in keras.saving.get_custom_objects().values()}),
        "image_data_format": keras.config.image_data_format(),
        "floatx": keras.config.floatx(),
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    try:
        (folder / "call.pickle").write_bytes(pickle.dumps((function, arguments)))
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(
            "An export from another backend than TensorFlow runs in a process of its own, which needs "
            "arguments that can be pickled. Load the `.keras` file under KERAS_BACKEND=tensorflow, and "
            f"export there. Received: {error}"
        ) from error
    gan.save(folder / "gan.keras")


def _run(folder):
    code = "import sys; from keras_gan.models import conversion; conversion.main(sys.argv[1])"
    environment = {
        "KERAS_BACKEND": "tensorflow",
        # This process may already hold all GPU memory.
        "CUDA_VISIBLE_DEVICES": "-1",
        # Modules of the user, which define layers, must be found as this process finds them.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    process = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode == 0:
        return
    error = folder / "error.json"
    if not error.exists():
        raise RuntimeError(f"The process that exports failed: {process.stderr[-3000:]}")
    kind, message = json.loads(error.read_text())
    raise _ERRORS[kind](message)


@contextlib.contextmanager
def raise_os_errors(path: PathLike) -> Iterator[None]:
    """Raise TensorFlow's errors of files as an OSError that names the path."""
    tf = tensorflow()
    try:
        yield
    except tf.errors.InvalidArgumentError:
        raise
    except tf.errors.OpError as error:
        raise OSError(
            f"{path} could not be written, and nothing is left behind. Make room, or choose another "
            f"path. Received: {error.message}"
        ) from error


def main(folder: str) -> None:
    """Make the call that another process wrote to a folder, and save the user's error if it fails."""
    path = Path(folder)
    settings = json.loads((path / "settings.json").read_text())
    keras.config.set_image_data_format(settings["image_data_format"])
    keras.config.set_floatx(settings["floatx"])
    function, arguments = pickle.loads((path / "call.pickle").read_bytes())
    try:
        function(_load(path / "gan.keras", settings["modules"]), *arguments)
    except tuple(_ERRORS.values()) as error:
        kind = next(name for name, known in _ERRORS.items() if isinstance(error, known))
        (path / "error.json").write_text(json.dumps([kind, str(error)]))
        sys.exit(1)


def _load(file, modules):
    for module in modules:
        with contextlib.suppress(ImportError):  # Keras reports what is missing
            importlib.import_module(module)
    try:
        return keras.models.load_model(file, compile=False, safe_mode=False)
    except Exception as error:
        raise ValueError(
            "The GAN could not be loaded on TensorFlow, which writes the file. Expected layers and "
            "functions of your own in a module, not in the program itself, registered by "
            "`keras.saving.register_keras_serializable`, and written with `keras.ops`. Or load the "
            f"`.keras` file under KERAS_BACKEND=tensorflow, and export there. Received: {error}"
        ) from error

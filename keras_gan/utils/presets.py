"""The trained models in `saved_models/`, which come with the package."""

import os
import zipfile
from pathlib import Path

from keras_gan.utils.registry import unknown
from keras_gan.utils.typing import PathLike

__all__ = ["presets", "resolve"]

# In an installed package, and in the source tree.
_FOLDERS = (Path(__file__).parents[1] / "saved_models", Path(__file__).parents[2] / "saved_models")


def presets() -> dict[str, Path]:
    """Return the files of the models that come with the package, by their names.

    Example:

    >>> from keras_gan.utils.presets import presets
    >>> sorted(presets())
    ['digit_classifier', 'digits']
    """
    return {path.stem: path for folder in _FOLDERS for path in sorted(folder.glob("*.keras"))}


def resolve(preset: PathLike) -> str:
    """Return what `keras.models.load_model` loads: a path, or the address of a repository.

    Args:
        preset: name of a model that comes with the package, path of a `.keras` file or of a folder that
            holds a model, or `"hf://user/repository"`.

    Raises:
        TypeError: `preset` is neither a string nor a path.
        ValueError: unknown name, or a folder that does not hold one model.
        FileNotFoundError: the path does not exist.

    Example:

    >>> from keras_gan.utils.presets import resolve
    >>> resolve("hf://user/repository")
    'hf://user/repository'
    """
    if not isinstance(preset, str | os.PathLike):
        raise TypeError(
            "`preset` must be a name, a path, or an address such as 'hf://user/repository'. Received: "
            f"{preset!r} of type {type(preset).__name__}."
        )
    name = os.fspath(preset)
    if name.startswith("hf://"):
        return name
    if name in presets():
        return str(presets()[name])
    path = Path(name)
    if not path.name:
        raise ValueError(unknown("preset", name, presets()))
    if path.is_dir():
        return str(_model_in(path))
    if path.exists():
        return _model_file(name)
    if len(path.parts) > 1 or path.suffix:
        raise FileNotFoundError(
            f"`preset`: There is no model at {name!r}. Expected a `.keras` file, a folder that holds "
            "one, an address such as 'hf://user/repository', or one of: "
            f"{', '.join(map(repr, presets()))}."
        )
    raise ValueError(unknown("preset", name, presets()))


def _model_file(name):
    """Return the path of a file that `save` may have written."""
    if not name.endswith(".keras"):
        raise ValueError(
            f"`preset` must be the path of a `.keras` file, as `save` writes it. Received: {name!r}"
        )
    if not zipfile.is_zipfile(name):
        raise ValueError(
            f"`preset`: {name!r} is damaged, or not a file that `save` wrote. Use another copy."
        )
    return name


def _model_in(folder):
    """Return a folder that Keras wrote, or the one `.keras` file in it."""
    if (folder / "config.json").is_file():
        return folder
    files = sorted(folder.glob("*.keras"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise ValueError(
            f"`preset`: The folder {str(folder)!r} must hold one `.keras` file, or the `config.json` "
            f"that `save(folder, zipped=False)` writes. Received `.keras` files: {found}. Expected the "
            "path of one of them."
        )
    return files[0]

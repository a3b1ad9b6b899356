"""Arrays in the files of a GAN, and how they are checked and assigned."""

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from keras_gan.utils.files import atomic_file, check_folder, reserve
from keras_gan.utils.typing import PathLike, Shape
from keras_gan.utils.validation import check_path

__all__ = [
    "FILES",
    "TRAINING",
    "assign_tree",
    "check_file",
    "damage",
    "mismatch",
    "replace_atomically",
    "restore",
    "shapes_in",
    "shapes_of",
]

# Endings of files that `load_weights` reads.
FILES = (".weights.h5", ".weights.json", ".keras")
# Prefixes of the arrays of training, which a GAN that is not compiled ignores.
TRAINING = ("d_optimizer/", "g_optimizer/", "optimizer/", "vars/state_")


def restore(variables: Mapping[str, keras.Variable], store: Mapping[str, Any], owner: str) -> None:
    """Assign the arrays of a store of Keras to the variables of the same names.

    Args:
        variables: dict from names to variables.
        store: mapping from names to arrays.
        owner: object that the variables belong to, for the message.

    Raises:
        ValueError: an array is missing or has another shape.
    """
    for name, variable in variables.items():
        shape = store[name].shape if name in store else None
        if shape != tuple(variable.shape):
            raise ValueError(
                f"The array {name!r} of {owner} has the shape {tuple(variable.shape)}. Received: "
                f"{'no such array' if shape is None else f'shape {shape}'}. Load the file into a "
                "GAN with the same networks and `compile` arguments, or load a `.keras` file with "
                "`keras.models.load_model`, which creates the GAN itself."
            )
    for name, variable in variables.items():
        variable.assign(store[name])


def assign_tree(variables: Sequence[keras.Variable], tree: Mapping[str, Any]) -> None:
    """Assign the values of a state tree of Keras to the variables with the same paths.

    Args:
        variables: variables whose values the tree must hold, and no others.
        tree: nested dict of values by the parts of paths.

    Raises:
        ValueError: the paths or the shapes differ.
    """
    values = _by_path(tree)
    expected = {variable.path: tuple(variable.shape) for variable in variables}
    received = {path: np.shape(value) for path, value in values.items()}
    if received != expected:
        wrong = [path for path in {**expected, **received} if expected.get(path) != received.get(path)]
        raise ValueError(
            "The state does not fit this GAN, and nothing was loaded. The variables of a "
            "`keras.Sequential` have other paths after Keras has loaded its configuration. Create the "
            "same GAN in code, with the same names and `compile` arguments, and call "
            f"`gan.load_weights(folder)`, or save a `.keras` file. "
            f"{_differences(expected, received, wrong)}"
        )
    for variable in variables:
        variable.assign(values[variable.path])


def _by_path(tree, prefix=""):
    """Return the values of a nested dict by their paths."""
    values = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        values.update(_by_path(value, f"{path}/") if isinstance(value, Mapping) else {path: value})
    return values


@contextlib.contextmanager
def replace_atomically(filepath: Any, suffix: str, wanted: bool, size: int) -> Iterator[Any]:
    """Yield a temporary path that replaces `filepath` in the end, or `filepath` itself if Keras is to
    write it in its own way.

    Raises:
        FileExistsError: Keras would ask whether to overwrite a file, but there is no terminal.
    """
    name = str(filepath)
    if (
        not (wanted and isinstance(filepath, (str, os.PathLike)) and name.endswith(suffix))
        or "://" in name
    ):
        try:
            yield filepath
        except EOFError:
            raise FileExistsError(
                f"{name!r} exists, and with `overwrite=False` Keras asks on the terminal whether to "
                "replace it, but this program has no terminal. Pass `overwrite=True`, or another path."
            ) from None
        return
    with atomic_file(filepath, suffix) as temporary:
        reserve(temporary, size)
        yield temporary


def check_file(filepath: Any, endings: tuple[str, ...] = (), hint: str = "") -> str:
    """Return the argument `filepath` as a string, or raise.

    Args:
        filepath: what was received.
        endings: endings of which the path must have one; by default it may have any.
        hint: sentence about them, at the end of the message.

    Raises:
        TypeError: it is not a path.
        ValueError: it is empty, or has another ending.
        NotADirectoryError: a parent of it is a file.
    """
    check_path("filepath", filepath)
    name = os.fspath(filepath)
    if endings and not name.endswith(endings):
        expected = " or ".join(f"`{ending}`" for ending in endings)
        raise ValueError(f"`filepath` must end in {expected}. Received: {name!r}. {hint}".rstrip())
    if "://" not in name:
        check_folder("filepath", Path(name).parent)
    return name


def shapes_in(filepath: PathLike) -> dict[str, Shape] | None:
    """Return the shapes of the arrays in a file by name, or None if only Keras can read it."""
    name = str(filepath)
    if "://" in name or Path(filepath).is_dir():
        return None
    if name.endswith(".keras"):
        with zipfile.ZipFile(filepath) as archive:
            # Reading all of it verifies its checksum.
            content = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(content) as file:
            return shapes_of(file)
    if name.endswith(".weights.h5"):
        with h5py.File(filepath) as file:
            return shapes_of(file)
    if name.endswith(".weights.json"):
        places = json.loads(Path(filepath).read_text())["weight_map"].values()
        shards = {shard for place in places for shard in ([place] if isinstance(place, str) else place)}
        found = [shapes_in(Path(filepath).with_name(shard)) or {} for shard in sorted(shards)]
        return {name: shape for shapes in found for name, shape in shapes.items()}
    raise ValueError(
        "`filepath` must end in `.weights.h5`, `.weights.json` or `.keras`, as `save_weights` and "
        f"`save` write them. Received: {name!r}"
    )


def shapes_of(file: h5py.File) -> dict[str, Shape]:
    """Return the shapes of the arrays in an open file by name."""
    shapes = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            shapes[name] = item.shape

    file.visititems(note)
    return shapes


def damage(error: Exception) -> str:
    """Return a message that a file cannot be read."""
    return (
        f"it is damaged, or not a file of a GAN ({type(error).__name__}: {error}). Expected a complete "
        "file, as `save` or `save_weights` writes it. Use another copy."
    )


def mismatch(expected: Mapping[str, Shape], received: Mapping[str, Shape]) -> str:
    """Return a message about the arrays that differ between a GAN and a file, by name and shape."""
    wrong = [name for name in {**expected, **received} if expected.get(name) != received.get(name)]
    training = [name for name in wrong if name.startswith(TRAINING)]
    networks = [name for name in wrong if not name.startswith(TRAINING)]
    if not networks and not any(name.startswith(TRAINING) for name in received):
        return (
            "it is the file of a GAN that was not compiled, so it lacks the state of the optimizers. "
            "Load it before `compile`, to start training from its networks."
        )
    requirement = (
        "has the same networks"
        if networks
        else "has the same `compile` arguments (optimizers, update rule, terms, EMA)"
    )
    differences = _differences(expected, received, [*networks, *training])
    return (
        f"it does not fit. {differences}. Load it into a GAN that {requirement}, or load a "
        "`.keras` file with `keras.models.load_model`, which creates the GAN itself."
    )


def _differences(expected, received, names):
    """Return the first arrays that differ, in words."""
    differences = [
        f"{name}: expected {_shape(expected, name)}, received {_shape(received, name)}" for name in names
    ]
    more = f"; and {len(names) - 4} more" if len(names) > 4 else ""
    return "; ".join(differences[:4]) + more


def _shape(shapes, name):
    return f"shape {shapes[name]}" if name in shapes else "no such array"

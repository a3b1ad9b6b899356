"""Files of a GAN: written whole or not at all, and what arrays they hold."""

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

from keras_gan.utils.files import atomic_file, reserve
from keras_gan.utils.typing import PathLike, Shape

# What the arrays of training are called in a file: a GAN that is not compiled has no place for them.
TRAINING = ("d_optimizer/", "g_optimizer/", "optimizer/", "vars/state_")


def restore(variables: Mapping[str, keras.Variable], store: Mapping[str, Any], owner: str) -> None:
    """Assign to variables what a store of Keras holds under their names.

    Args:
        variables: dict from names to variables.
        store: mapping from names to arrays.
        owner: whose variables they are, for the message.

    Raises:
        ValueError: an array is missing, or has another shape than its variable.
    """
    for name, variable in variables.items():
        shape = store[name].shape if name in store else None
        if shape != tuple(variable.shape):
            raise ValueError(
                f"The array {name!r} of {owner} has shape {tuple(variable.shape)}. Received from the "
                f"file: {'no such array' if shape is None else f'shape {shape}'}. Load the file into a "
                "GAN of the same networks that is compiled alike, or load a `.keras` file with "
                "`keras.models.load_model`, which makes them itself."
            )
    for name, variable in variables.items():
        variable.assign(store[name])


def assign_tree(variables: Sequence[keras.Variable], tree: Mapping[str, Any]) -> None:
    """Assign the values of a tree of Keras to the variables that have their paths.

    Args:
        variables: all variables that the tree must hold.
        tree: nested dict of values by the parts of paths.

    Raises:
        ValueError: a variable is missing, another is there, or a shape differs.
    """
    values = _by_path(tree)
    expected = {variable.path: tuple(variable.shape) for variable in variables}
    received = {path: np.shape(value) for path, value in values.items()}
    if received != expected:
        wrong = [path for path in {**expected, **received} if expected.get(path) != received.get(path)]
        raise ValueError(
            "The state does not fit this GAN, and nothing was loaded. Keras gives the layers of a "
            "`keras.Sequential` other paths when it makes one from a file. Build the same GAN in code, "
            "with the same names, compile it alike, and call `gan.load_weights(folder)`; or keep a "
            f"`.keras` file. {_differences(expected, received, wrong)}"
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
def written_whole(filepath: Any, suffix: str, wanted: bool, size: int) -> Iterator[Any]:
    """Yield a temporary path, which takes the place of `filepath` in the end; or `filepath` itself, if
    Keras is to write it in its own way."""
    name = str(filepath)
    if (
        not (wanted and isinstance(filepath, (str, os.PathLike)) and name.endswith(suffix))
        or "://" in name
    ):
        yield filepath
        return
    with atomic_file(filepath, suffix) as temporary:
        reserve(temporary, size)
        yield temporary


def shapes_in(filepath: PathLike) -> dict[str, Shape] | None:
    """Return the shapes of the arrays in a file by their names, or None if only Keras can read it."""
    name = str(filepath)
    if "://" in name or Path(filepath).is_dir():
        return None
    if name.endswith(".keras"):
        with zipfile.ZipFile(filepath) as archive:
            # To read all of it checks its checksum.
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
        "the state of a GAN is in files that end in `.weights.h5`, `.weights.json` or `.keras`, as "
        f"`save_weights` and `save` write them. Received: {name!r}"
    )


def shapes_of(file: h5py.File) -> dict[str, Shape]:
    """Return the shapes of the arrays in an open file by their names."""
    shapes = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            shapes[name] = item.shape

    file.visititems(note)
    return shapes


def damage(error: Exception) -> str:
    """Say that a file cannot be read."""
    return (
        f"it is damaged, or no file of a GAN ({type(error).__name__}: {error}). Expected a whole file, "
        "as `save` or `save_weights` has written it. Use another copy."
    )


def mismatch(expected: Mapping[str, Shape], received: Mapping[str, Shape]) -> str:
    """Say what arrays a GAN expects, by their names and shapes, and a file has others of."""
    wrong = [name for name in {**expected, **received} if expected.get(name) != received.get(name)]
    training = [name for name in wrong if name.startswith(TRAINING)]
    networks = [name for name in wrong if not name.startswith(TRAINING)]
    if not networks and not any(name.startswith(TRAINING) for name in received):
        return (
            "it is of a GAN that was not compiled, and holds no state of optimizers, which this one "
            "needs to train on. Load it before `compile`, to begin training with its networks."
        )
    alike = (
        "has the same networks"
        if networks
        else "is compiled alike (optimizers, update rule, terms, average)"
    )
    differences = _differences(expected, received, [*networks, *training])
    return (
        f"it does not fit. {differences}. Load it into a GAN that {alike}, or load a "
        "`.keras` file with `keras.models.load_model`, which makes the GAN itself."
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

"""The range of a generator's samples, and data that it cannot reach."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan.models.objectives import Objectives
from keras_gan.utils import batches, networks, structures
from keras_gan.utils.typing import Game, ValueRange

__all__ = ["check_data", "output_range", "sample_range"]

_RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}
_MAX_ROWS = 1024


def output_range(network: keras.Model, output: Any = None) -> ValueRange | None:
    """Return the range of a network's last activation, or None if it has no bounds.

    A `Rescaling` layer after the activation moves the bounds.

    Args:
        network: `keras.Model`.
        output: one of its symbolic outputs; by default the first.

    Example:

    >>> from keras_gan.models.ranges import output_range
    >>> layers = keras.layers
    >>> network = keras.Sequential(
    ...     [keras.Input((2,)), layers.Dense(3, "tanh"), layers.Rescaling(127.5, 127.5)]
    ... )
    >>> output_range(network)
    (0.0, 255.0)
    """
    layer = networks.last_layer(network, output)
    if not isinstance(layer, keras.layers.Rescaling):
        return _RANGES.get(networks.final_activation(network, output))
    bounds = output_range(network, layer.input)
    if bounds is None:
        return None
    moved = [np.multiply(bound, layer.scale) + layer.offset for bound in bounds]
    return float(np.min(moved)), float(np.max(moved))


def sample_range(gan: Objectives) -> ValueRange | None:
    """Return the range of a GAN's samples, or None if it is not known.

    Args:
        gan: `kg.GAN`. Only the generator's own samples have its range, not what a subclass makes of
            them in `generate_batch`.
    """
    if type(gan).generate_batch is not Objectives.generate_batch:
        return None
    return output_range(gan.generator)


def check_data(gan: Game, x: Any, y: Any) -> None:
    """Refuse data that training would fail on, or learn nothing from, before it begins.

    Arrays, datasets of `kg.datasets.load` and the first batch of a `keras.utils.PyDataset` are checked;
    other data cannot be read twice.

    Args:
        gan: `kg.GAN`.
        x: data as `fit` takes them.
        y: labels, if `x` is an array or a structure of arrays.

    If more than 40 % of the numbers lie outside the range, a warning says so. Standardized data, which
    are common, have fewer outside the range of a tanh.

    Raises:
        ValueError: the data lie farther outside the generator's range than that range is wide, or the
            last batch has fewer rows than the discriminator takes steps.
    """
    rows, size = (getattr(x, name, None) for name in ("num_examples", "batch_size"))
    if rows is not None and size is not None:
        batches.check_last_batch(min(rows, len(x) * size), size, gan.discriminator_steps)
    outputs = structures.leaves(gan.generator.output) if sample_range(gan) is not None else []
    for values, output in zip(_values(gan, x, y), outputs, strict=False):
        _check_range(values, output_range(gan.generator, output))


def _values(gan, x, y):
    """Return numbers of each leaf of the examples, or nothing of data that cannot be read twice."""
    if hasattr(x, "file_paths"):  # `keras.utils.image_dataset_from_directory` converts bytes to floats
        return [np.array([0.0, 255.0])]
    batch = _first_rows(x, y)
    if batch is None:
        return []
    return [ops.convert_to_numpy(leaf) for leaf in structures.leaves(gan.training_spec.parts(batch)[0])]


def _first_rows(x, y):
    if structures.is_arrays(x):
        return structures.mapped(lambda leaf: leaf[:: max(1, len(leaf) // _MAX_ROWS)], x), y
    if isinstance(x, keras.utils.PyDataset):
        return x[0]
    counter = getattr(x, "epoch", None)
    if not hasattr(counter, "assign"):
        return None
    epoch = int(counter)
    batch = next(iter(x))
    counter.assign(epoch)
    return batch


def _check_range(values, bounds):
    if bounds is None or values.dtype.kind not in "fiu" or not np.isfinite(values).any():
        return
    low, high = bounds
    values = values[np.isfinite(values)].astype("float64")
    excess = np.maximum(np.maximum(low - values, values - high), 0)
    share = np.mean(excess > 0.01 * (high - low))
    if share > 0.4 and excess.mean() <= high - low:
        warnings.warn(
            f"The generator cannot produce {share:.0%} of the numbers in the data: they reach from "
            f"{values.min():g} to {values.max():g}, and the range of its last activation is "
            f"[{low:g}, {high:g}]. Scale the data to that range.",
            stacklevel=4,
        )
    if excess.mean() > high - low:
        raise ValueError(
            f"The data reach from {values.min():g} to {values.max():g}, but the generator can only "
            f"produce values in [{low:g}, {high:g}], the range of its last activation. Scale the data "
            "to that range, or end the generator in a layer that reaches them, such as "
            "`keras.layers.Rescaling` or a linear `Dense`."
        )

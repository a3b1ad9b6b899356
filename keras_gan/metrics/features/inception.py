"""Inception v3 as a feature extractor."""

import math
import os
from pathlib import Path

import keras
import numpy as np

from keras_gan.metrics.features.model import ModelFeatures
from keras_gan.utils.typing import PathLike, ValueRange
from keras_gan.utils.validation import check_integer

__all__ = ["InceptionV3"]

WEIGHTS_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"


class InceptionV3(ModelFeatures):
    """Inception v3 of `keras.applications`: 2048 pooled features and 1000 classes of photos.

    The network of Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2015, arXiv:1512.00567), on whose
    features the Fréchet and the kernel distance, and on whose classes the Inception score, are usually
    computed.

    **The scores are not comparable with those of papers.** Published scores use the weights that
    TensorFlow released in 2015 (`inception-2015-12-05`) and their own resizing; the weights of Keras
    are different, and give different scores for the same images. Compare scores only if name, weights
    and resizer are the same.

    Nothing is downloaded: missing weights raise an error at once.

    Args:
        weights: `"imagenet"`, the file that Keras keeps in `~/.keras/models` (in `models` below the
            environment variable `KERAS_HOME` if set); the path of such a file; or `"random"`, the
            untrained network, which `name` then says (Naeem et al. (2020, arXiv:2002.09797) use
            random networks for images that are far from ImageNet).
        value_range: pair (low, high) of the values of black and white in the images. Defaults to (0, 1).
        resizer: how images are resized to 299 × 299, as in `ModelFeatures`. Defaults to `"bilinear"`.
        seed: int, seed of random weights. Defaults to 0.
        batch_size: int, number of images that go through the network at once. Defaults to 32 (about
            0.5 GB; an image takes about 0.1 s of one CPU core).

    Raises:
        ValueError: the weights do not exist, or the file does not contain those of this network; or
            another argument is out of range.
        TypeError: `weights` is neither a name nor a path, such as `None`; or another argument has the
            wrong type.

    Example:

    >>> extractor = kg.metrics.InceptionV3(weights="random", seed=0)  # doctest: +SKIP
    >>> extractor(np.zeros((2, 32, 32, 3))).shape  # doctest: +SKIP
    (2, 2048)
    >>> kg.metrics.InceptionV3(weights="nowhere.h5")
    Traceback (most recent call last):
    ...
    ValueError: There is no file 'nowhere.h5' with weights of InceptionV3...
    """

    def __init__(
        self,
        weights: PathLike = "imagenet",
        *,
        value_range: ValueRange = (0, 1),
        resizer: str | None = "bilinear",
        seed: int = 0,
        batch_size: int = 32,
    ) -> None:
        seed = check_integer("seed", seed, minimum=0)
        _check_weights(weights)
        name = "keras inception_v3"
        if weights == "random":
            name = f"{name} with random weights of seed {seed}"
        super().__init__(
            _load_inception(weights, seed),
            layer="avg_pool",
            name=name,
            value_range=value_range,
            input_range=(-1, 1),
            resizer=resizer,
            batch_size=batch_size,
        )


def _check_weights(weights):
    if not isinstance(weights, str | os.PathLike):
        raise TypeError(
            f"`weights` must be 'imagenet', 'random', or the path of a file. Received: {weights!r}. The "
            "untrained network, which Keras calls `None`, is 'random' here."
        )


def _load_inception(weights, seed):
    """Return Inception v3 in float32, regardless of the current precision policy."""
    path = None if weights == "random" else _find_weights(weights)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        model = keras.applications.InceptionV3(weights=None)
    finally:
        keras.config.set_dtype_policy(policy)
    if path is None:
        _randomize(model, seed)
        return model
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"The file {str(path)!r} does not contain the weights of InceptionV3 with its classifier "
            f"(`include_top=True`), as Keras' own {WEIGHTS_FILE} does: {error}"
        ) from error
    return model


def _find_weights(weights):
    """Return the path of the weights, or raise with instructions to get them."""
    if weights != "imagenet":
        path = Path(weights).expanduser()
        if not path.is_file():
            raise ValueError(
                f"There is no file {str(path)!r} with weights of InceptionV3. `weights` must be "
                "'imagenet', 'random', or the path of a file."
            )
        return path
    # Keras would try to download a missing file, for minutes if there is no network.
    path = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models" / WEIGHTS_FILE
    if not path.is_file():
        raise ValueError(
            f"Keras' ImageNet weights of InceptionV3 are not on this machine: there is no {path}. "
            "`keras.applications.InceptionV3()` downloads them (92 MB). Without a network, copy the "
            "file from another machine, to that path or to any other that you pass as `weights`."
        )
    return path


def _randomize(model, seed):
    """Draw kernels from N(0, 2/inputs), which preserves the scale across layers (He et al., 2015)."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            scale = math.sqrt(2 / math.prod(variable.shape[:-1]))
            variable.assign(scale * rng.standard_normal(variable.shape, "float32"))

"""A GAN as a SavedModel, for TensorFlow Serving and for programs without this package."""

import contextlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gan.models.conversion import call_on_tensorflow, raise_os_errors
from keras_gan.models.exporting import resources
from keras_gan.models.gan import GAN
from keras_gan.serving.signatures import Signatures, are_images
from keras_gan.utils import structures
from keras_gan.utils.files import atomic_folder, check_folder, check_local_path
from keras_gan.utils.optional import tensorflow
from keras_gan.utils.typing import PathLike, ValueRange
from keras_gan.utils.validation import check_flag, check_integer, check_range

__all__ = ["export_savedmodel"]

# Default limit of the samples that one request can make the server allocate.
MAX_NUMBER = 1000
# TensorFlow Serving reads versions as integers of 64 bits.
_LAST_VERSION = 2**63 - 1


def export_savedmodel(
    gan: GAN,
    path: PathLike,
    *,
    version: int | None = None,
    use_ema: bool = False,
    classes: int | Sequence[str] | None = None,
    warmup: bool = True,
    value_range: ValueRange | None = None,
    max_number: int = MAX_NUMBER,
) -> Path:
    """Write a GAN for TensorFlow Serving to the folder `path/<version>/`, whole or not at all.

    Any program with TensorFlow runs it, in Python through `tf.saved_model.load`, without this package. A
    conditional GAN takes `condition` as the last input of every signature: one row for each sample, or
    one row for all. Several conditions are inputs named after those of the networks, otherwise
    `condition_0` and so on. Structured samples and logits have names such as `samples_left`. A generator
    without latents has neither `sample` nor `interpolate`. The signatures:

    | signature | inputs | outputs |
    |---|---|---|
    | `serving_default`, `generate` | `latents` `(n, ...)` | `samples` `(n, ...)` |
    | `sample` | scalar int64 `number` and `seed` | `samples`, and their `latents` |
    | `interpolate` | latents `start`, `end` `(n, ...)`, scalar int64 `steps` | `samples`, `latents` |
    | `discriminate` | `samples` `(n, ...)` | `logits`, and their sigmoid, `probabilities` |

    On TensorFlow, `sample` returns the same samples as `gan.generate(number, seed=seed)`; a smaller
    number gives the first of them. `interpolate` follows straight lines in `steps` ≥ 2 points, including
    both ends; its outputs have shape `(n, steps, ...)`. The probabilities are D(x), the probability that
    a sample is real, if the loss treats the discriminator's outputs as logits, as that of the 2014 game
    does; with other losses they do not have this meaning.

    If samples are images of 1, 3 or 4 channels, in `keras.config.image_data_format()`, and their
    `value_range` is known, there are two more variants of the first three: `generate_uint8`,
    `sample_uint8` and `interpolate_uint8` return `samples` as uint8 from 0 to 255; `generate_png` and so
    on return `png_bytes`, an encoded file for each image, which REST clients receive in base64.

    Args:
        gan: `kg.GAN`, compiled or not.
        path: local folder of the model's versions, created if missing.
        version: positive integer; by default one more than the largest in `path`.
        use_ema: whether the EMA of the generator's weights generates the samples.
        classes: for a condition that is a class: the number of classes, or a list of their names.
            Signatures then take `condition` as int64 in [0, classes), or as names, one for each row, and
            refuse others. Networks receive the numbers, or one-hot vectors if their conditions are
            vectors.
        warmup: whether to write a request for each signature, which TensorFlow Serving runs when it
            loads the model, if `tensorflow-serving-api` is installed (extra `serving`).
        value_range: pair of numbers that are black and white in samples, for uint8 and PNG; by
            default (0, 1) for a generator that ends in a sigmoid, (-1, 1) for one that ends in a tanh,
            and unknown otherwise.
        max_number: limit for one request: the number of rows, of samples, and of points of all paths
            together.

    Returns:
        `pathlib.Path` of the version's folder.

    Raises:
        TypeError: `gan` is not a `kg.GAN`, or another argument has the wrong type.
        ValueError: `path` is remote; another argument is out of range; `classes` or `use_ema` are given
            for a GAN without condition or EMA; the GAN cannot be compiled for TensorFlow.
        FileExistsError: the version exists.
        NotADirectoryError: `path`, or a parent of it, is a file.
        OSError: the folder cannot be written.

    Example:

    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
    >>> kg.export_savedmodel(gan, "exported/points").name
    '1'
    >>> import tensorflow as tf
    >>> sample = tf.saved_model.load("exported/points/1").signatures["sample"]
    >>> drawn = sample(number=tf.constant(5, tf.int64), seed=tf.constant(7, tf.int64))
    >>> bool(np.allclose(drawn["samples"], gan.generate(latents=drawn["latents"]), atol=1e-6))
    True
    """
    if not isinstance(gan, GAN):
        raise TypeError(
            "`gan` must be a `kg.GAN`, with its discriminator and its prior. A network alone is "
            f"exported by its own `export`. Received: {gan!r} of type {type(gan).__name__}."
        )
    path = check_folder("path", check_local_path("path", path))
    if version is not None:
        hint = "TensorFlow Serving serves the largest; None takes the next."
        version = check_integer("version", version, minimum=1, maximum=_LAST_VERSION, hint=hint)
    options = {
        "classes": _check_classes(gan, classes),
        "max_number": check_integer("max_number", max_number, minimum=1),
        "value_range": _check_image_range(gan, value_range),
        "warmup": check_flag("warmup", warmup),
    }
    use_ema = check_flag("use_ema", use_ema)
    with gan.require_ema().swapped_in() if use_ema else contextlib.nullcontext():
        return _write_version(gan, path, version, options)


def _check_classes(gan, classes):
    """Return the number of classes, the list of their names, or None."""
    if classes is None:
        return None
    if not gan.conditional:
        raise ValueError(
            "`classes` describe a condition, and this GAN has none: its networks take one input each. "
            f"Leave `classes` out. Received: classes={classes!r}"
        )
    if isinstance(classes, Sequence | np.ndarray) and not isinstance(classes, str) and np.ndim(classes):
        names = [str(name) for name in classes if isinstance(name, str)]
        if len(set(names)) < len(classes):
            raise ValueError(
                "`classes` must be the number of classes, or a list of distinct class names. Received: "
                f"{classes!r}"
            )
        classes, number = names, len(names)
    else:
        classes = number = check_integer("classes", classes, minimum=1, hint="Or list the class names.")
    _check_number_of_classes(gan, number)
    return classes


def _check_number_of_classes(gan, number):
    known = gan.data_spec.classes[0]
    if not number or (known is not None and number > known):
        raise ValueError(
            f"`classes` must be at least one class, and at most those that the networks have: {known}. "
            f"Received: {number}."
        )
    leaves = structures.leaves(gan.condition_spec)
    if len(leaves) > 1 or tuple(leaves[0].shape[1:]) not in [(), (1,), (number,)]:
        raise ValueError(
            f"The class of a sample is one number, or a one-hot vector of {number}. The networks of "
            f"this GAN take conditions of shape {gan.condition_shape}: leave `classes` out, or give "
            "their number."
        )


def _check_image_range(gan, value_range):
    """Return the two ends of a range of images, or None."""
    if value_range is None:
        return None
    if not are_images(gan.sample_spec):
        raise ValueError(
            "`value_range` describes images of 1, 3 or 4 channels. This GAN generates samples of shape "
            f"{gan.sample_shape}: leave it out."
        )
    return check_range("value_range", value_range, hint="Such as (-1, 1) for a tanh.")


def _write_version(gan, path, version, options):
    """Write a version, and return its folder. Without `version`, take the next free number."""
    while True:
        target = path / str(version or _next_version(path))
        if target.exists():
            raise FileExistsError(
                f"{target} exists, and versions are never replaced, since a server may be serving "
                "them. Expected another `version`, or None for the next free one."
            )
        try:
            # The temporary name is not a number: servers do not look at it.
            with atomic_folder(target) as folder:
                call_on_tensorflow(_write, gan, str(folder), options)
            return target
        except FileExistsError:
            # Another process has taken the number in the meantime.
            if version or not target.exists():
                raise


def _next_version(path):
    names = [child.name for child in path.iterdir()] if path.exists() else []
    return 1 + max((int(name) for name in names if name.isdecimal()), default=0)


def _write(gan: GAN, folder: str, options: dict[str, Any]) -> None:
    """Write a SavedModel, on TensorFlow."""
    options = dict(options)
    warmup = options.pop("warmup")
    signatures = Signatures(gan, **options)
    archive = keras.export.ExportArchive()
    archive.track(resources(gan))
    for name, (function, inputs) in signatures.all().items():
        _add_endpoint(archive, name, function, inputs)
    with raise_os_errors(Path(folder).parent), warnings.catch_warnings():
        # Warnings from Keras' own export code.
        warnings.simplefilter("ignore")
        archive.write_out(folder, verbose=False)
        if warmup:
            _write_warmup(signatures, Path(folder))


def _add_endpoint(archive, name, function, inputs):
    try:
        archive.add_endpoint(name, function, inputs).get_concrete_function()  # which compiles it
    except Exception as error:
        raise ValueError(
            f"The signature {name!r} of this GAN cannot be compiled for TensorFlow. Expected a prior, "
            "networks, and methods `generate_batch` and `discriminate` of `keras.ops`, which draw from "
            f"the seed that they receive. Received: {type(error).__name__}: {error}"
        ) from error


def _write_warmup(signatures, folder):
    """Write one request for each signature, where the protocol of TensorFlow Serving is installed."""
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        return
    tf = tensorflow()
    extra = folder / "assets.extra"
    extra.mkdir()
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for name, (_, inputs) in signatures.all().items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = name
            for spec in inputs:
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(signatures.example(spec)))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())

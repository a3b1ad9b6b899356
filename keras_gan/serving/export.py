"""A GAN as a SavedModel, which TensorFlow Serving and other programs run without this package."""

import contextlib
import importlib
import json
import numbers
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterable
from pathlib import Path

import keras

from keras_gan.models.gan import GAN
from keras_gan.serving.signatures import Signatures, are_images
from keras_gan.utils import structures
from keras_gan.utils.files import sync
from keras_gan.utils.optional import tensorflow
from keras_gan.utils.typing import PathLike, ValueRange
from keras_gan.visualization import check_value_range

# A server allocates for so many samples at most.
MAX_NUMBER = 1000
# TensorFlow Serving reads versions as integers of 64 bits.
_LAST_VERSION = 2**63 - 1


def export_savedmodel(
    gan: GAN,
    path: PathLike,
    version: int | None = None,
    use_ema: bool = False,
    classes: int | Iterable[str] | None = None,
    warmup: bool = True,
    value_range: ValueRange | None = None,
    max_number: int = MAX_NUMBER,
) -> Path:
    """Write a GAN for TensorFlow Serving: the folder `path/<version>/`, whole or not at all.

    Any program with TensorFlow runs it, in Python by `tf.saved_model.load`, without this package. A
    conditional GAN takes `condition` as the last input of every signature: a row for each sample, or one
    row for all. Several conditions are inputs of the names that the networks give theirs, otherwise
    `condition_0` and so on. Samples and logits that are structures have names such as `samples_left`. A
    generator without latents has neither `sample` nor `interpolate`. The signatures:

    | signature | inputs | outputs |
    |---|---|---|
    | `serving_default`, `generate` | `latents` `(n, ...)` | `samples` `(n, ...)` |
    | `sample` | scalar int64 `number` and `seed` | `samples`, and their `latents` |
    | `interpolate` | latents `start`, `end` `(n, ...)`, scalar int64 `steps` | `samples`, `latents` |
    | `discriminate` | `samples` `(n, ...)` | `logits`, and their sigmoid, `probabilities` |

    On TensorFlow `sample` draws what `gan.generate(number, seed)` draws; a smaller number gives the
    first of the same samples. `interpolate` goes along straight lines, both ends included, in
    `steps` ≥ 2; its outputs have shapes `(n, steps, ...)`. The probabilities are D(x), that samples are
    data, if the loss takes the discriminator's outputs for logits, as that of the 2014 game does; other
    losses make scores of them.

    If samples are images of 1, 3 or 4 channels, and their `value_range` is known, the first three come
    in two more forms: `generate_uint8` and its like return `samples` as uint8 from 0 to 255;
    `generate_png` returns `png_bytes`, an encoded file for each image, which REST clients get in base64.

    Args:
        gan: `kg.GAN`, compiled or not.
        path: local folder of the model's versions, made if missing.
        version: positive integer; by default one more than the largest in `path`.
        use_ema: whether the average of the generator's weights makes the samples.
        classes: for a condition that is a class: their number, or list of their names. Signatures then
            take `condition` as int64 in [0, classes), or as the names, one for each row, and refuse
            others. Networks get the numbers, or one-hot vectors if their conditions are vectors.
        warmup: whether to write a request for each signature, which TensorFlow Serving runs when it
            loads the model, where `tensorflow-serving-api` is installed (extra `serving`).
        value_range: pair of the numbers that are black and white in samples, for uint8 and PNG; by
            default (0, 1) of a generator that ends in a sigmoid, (-1, 1) of one that ends in a tanh, and
            otherwise unknown.
        max_number: rows that one request may have, samples that it may ask for, and points of all its
            paths together.

    Returns:
        `pathlib.Path` of the version's folder.

    Raises:
        TypeError: `gan` is no `kg.GAN`.
        ValueError: `path` is remote; another argument is out of range; the GAN is not conditional though
            `classes` are given, has no average, or cannot be compiled for TensorFlow.
        FileExistsError: there is such a version, or `path` is a file.
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
    _check_arguments(gan, path, version, max_number)
    options = {
        "classes": _check_classes(gan, classes),
        "max_number": int(max_number),
        "value_range": _check_range(gan, value_range),
        "warmup": bool(warmup),
    }
    average = gan.require_ema() if use_ema else None
    write = _write if keras.backend.backend() == "tensorflow" else _write_elsewhere
    with average.swapped_in() if average else contextlib.nullcontext():
        return _published(Path(path), version, lambda folder: write(gan, folder, options))


def _check_arguments(gan, path, version, max_number):
    if not isinstance(gan, GAN):
        raise TypeError(
            "What is exported is a `kg.GAN`, with its discriminator and its prior. A network alone is "
            f"exported by its own `export`. Received: {gan!r} of type {type(gan).__name__}"
        )
    if "://" in str(path):
        raise ValueError(
            "A version appears by the renaming of a folder, which remote stores do not have. Expected a "
            f"local `path`, from where it can be copied. Received: {str(path)!r}"
        )
    if version is not None and not (_positive(version) and version <= _LAST_VERSION):
        raise ValueError(
            "`version` is a positive integer of 64 bits, of which TensorFlow Serving takes the largest, "
            f"or None for the next. Received: {version!r}"
        )
    if not _positive(max_number):
        raise ValueError(f"`max_number` is a positive integer. Received: {max_number!r}")


def _check_classes(gan, classes):
    """Return the number of classes, the list of their names, or None."""
    if classes is None:
        return None
    if not gan.conditional:
        raise ValueError(
            "`classes` are those of a condition, and this GAN is not conditional: its networks take one "
            f"input each. Leave `classes` out. Received: classes={classes!r}"
        )
    if isinstance(classes, Iterable) and not isinstance(classes, (str, bytes)):
        classes = [str(name) for name in classes]
    number = len(set(classes)) if isinstance(classes, list) else classes
    if not _positive(number) or (isinstance(classes, list) and number < len(classes)):
        raise ValueError(
            "`classes` is the number of classes, or a list of their names, each another. Received: "
            f"{classes!r}"
        )
    known = gan.data_spec.classes[0]
    if known is not None and number > known:
        raise ValueError(f"The networks know {known} classes. Received {number}: classes={classes!r}")
    leaves = structures.leaves(gan.condition_spec)
    if len(leaves) > 1 or tuple(leaves[0].shape[1:]) not in [(), (1,), (number,)]:
        raise ValueError(
            f"The class of a sample is one number, or a one-hot vector of {number}. The networks of "
            f"this GAN take conditions of shape {gan.condition_shape}: leave `classes` out, or give "
            "their number."
        )
    return classes if isinstance(classes, list) else int(classes)


def _check_range(gan, value_range):
    """Return the two ends of a range of images, or None."""
    if value_range is None:
        return None
    if not are_images(gan.sample_spec):
        raise ValueError(
            "`value_range` is that of images, of shape (height, width, 1, 3 or 4). This GAN makes "
            f"samples of shape {gan.sample_shape}: leave it out."
        )
    return check_value_range(value_range)


def _positive(number):
    return isinstance(number, numbers.Integral) and not isinstance(number, bool) and number > 0


def _published(path, version, write):
    """Return the folder of a new version, which `write(folder)` fills whole or not at all."""
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file. Expected the folder of a model's versions.")
    _refuse_existing(path, version)
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    # A server looks at folders whose names are numbers.
    temporary = path / f".writing-{uuid.uuid4().hex}"
    try:
        temporary.mkdir()
        write(temporary)
        for file in (*temporary.rglob("*"), temporary):
            sync(file)
        _refuse_existing(path, version)
        target = path / str(version or _next(path))
        while not _renamed(temporary, target):
            _refuse_existing(path, version)
            target = path / str(_next(path))
        sync(path)
        return target
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):  # of folders that others have used since
                folder.rmdir()
        raise


def _refuse_existing(path, version):
    if version in _versions(path):
        raise FileExistsError(
            f"{path / str(version)} exists, and a version that is served is not written over. Expected "
            "another `version`, or None for the next free one."
        )


def _versions(path):
    names = [child.name for child in path.iterdir()] if path.exists() else []
    return [int(name) for name in names if name.isdecimal()]


def _next(path):
    return 1 + max(_versions(path), default=0)


def _renamed(folder, target):
    """Rename a folder, unless somebody has taken the name since."""
    try:
        folder.rename(target)
    except OSError:
        if not target.exists():
            raise
        return False
    return True


def _write_elsewhere(gan, folder, options):
    """Have a process of its own, on TensorFlow, load the GAN from a file and write it."""
    code = "import sys; from keras_gan import export; export._load_and_write(sys.argv[1])"
    modules = {known.__module__ for known in keras.saving.get_custom_objects().values()}
    environment = {
        "KERAS_BACKEND": "tensorflow",
        # Of a GPU this process may hold all the memory.
        "CUDA_VISIBLE_DEVICES": "-1",
        # Modules of the user's, which hold layers, are found where this process finds them.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    with tempfile.TemporaryDirectory() as place:
        file = str(Path(place) / "gan.keras")
        gan.save(file)
        run = subprocess.run(
            [sys.executable, "-c", code, json.dumps([file, sorted(modules), str(folder), options])],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    if run.returncode:
        try:
            is_of_system, message = json.loads(run.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            raise RuntimeError(f"The process that exports failed: {run.stderr[-3000:]}") from None
        raise (OSError if is_of_system else ValueError)(message)


def _load_and_write(arguments):
    """Do in that process what `_write_elsewhere` asks for, and print what goes wrong."""
    file, modules, folder, options = json.loads(arguments)
    try:
        _write(_loaded(file, modules), Path(folder), options)
    except (OSError, ValueError) as error:
        print(json.dumps([isinstance(error, OSError), str(error)]))
        sys.exit(1)


def _loaded(file, modules):
    for module in modules:
        with contextlib.suppress(ImportError):  # Keras then says what it misses
            importlib.import_module(module)
    try:
        return keras.models.load_model(file, compile=False, safe_mode=False)
    except Exception as error:
        raise ValueError(
            "The GAN could not be made again on TensorFlow, whose format a SavedModel is. Expected "
            "layers and functions of your own in a module, not in the program itself, registered by "
            "`keras.saving.register_keras_serializable`, and written with `keras.ops`. Or load the "
            f"`.keras` file under KERAS_BACKEND=tensorflow, and export there. Received: {error}"
        ) from error


def _write(gan, folder, options):
    tf = tensorflow()
    options = dict(options)
    warmup = options.pop("warmup")
    signatures = Signatures(gan, **options)
    archive = keras.export.ExportArchive()
    for network in gan.layers:
        archive.track(network)
    for name, (function, inputs) in signatures.all().items():
        _add(archive, name, function, inputs)
    try:
        with warnings.catch_warnings():
            # Of what Keras does itself.
            warnings.simplefilter("ignore")
            archive.write_out(str(folder), verbose=False)
        if warmup:
            _write_warmup(signatures, folder)
    except tf.errors.OpError as error:
        raise OSError(
            f"{folder.parent} could not be written, and nothing is left behind. Make room, or choose "
            f"another `path`. Received: {error.message}"
        ) from error


def _add(archive, name, function, inputs):
    try:
        archive.add_endpoint(name, function, inputs).get_concrete_function()  # which compiles it
    except Exception as error:
        raise ValueError(
            f"The signature {name!r} of this GAN cannot be compiled for TensorFlow. Expected a prior, "
            "networks, and methods `make` and `judge` that are written with `keras.ops`, and draw from "
            f"the seed that they are given. Received: {type(error).__name__}: {error}"
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

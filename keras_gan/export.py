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
from keras_gan.models.saving import sync
from keras_gan.optional import tensorflow
from keras_gan.signatures import example, make_signatures


def export_savedmodel(gan, path, version=None, averaged=False, classes=None, warmup=True):
    """Write a GAN for TensorFlow Serving: the folder `path/<version>/`, whole or not at all.

    Any program with TensorFlow runs it, in Python by `tf.saved_model.load`, without this package. A
    conditional GAN takes `condition` as the last input of every signature: a row for
    each sample, or one row for all. Its signatures (n is free in each request):

    | signature | inputs | outputs |
    |---|---|---|
    | `serving_default`, `generate` | `latents` `(n, ...)` | `samples` `(n, ...)` |
    | `sample` | scalar int64 `number` and `seed` | `samples`, and their `latents` |
    | `interpolate` | latents `start`, `end` `(n, ...)`, scalar int64 `steps` | `samples`, `latents` |
    | `discriminate` | `samples` `(n, ...)` | `logits`, `probabilities` that samples are data |

    One request gets at most 1,000 samples, `kg.signatures.MAX_NUMBER`. On TensorFlow `sample` draws what
    `gan.generate(number, seed)` draws; a smaller number gives the first of the same samples.
    `interpolate` goes along straight lines, both ends included, in `steps` ≥ 2; its outputs have shapes
    `(n, steps, ...)`.

    If samples are images of 1, 3 or 4 channels and the generator ends in a sigmoid or a tanh, the first
    three come in two more forms: `generate_uint8` and its like return `samples` as uint8 from 0 to 255;
    `generate_png` returns `png_bytes`, an encoded file for each image, which REST clients get in base64.

    Args:
        gan: `kg.GAN`, compiled or not.
        path: folder of the model's versions, made if missing.
        version: positive integer; by default one more than the largest in `path`.
        averaged: whether the average of the generator's weights makes the samples.
        classes: for a condition that is a class: their number, or list of their names. Signatures then
            take `condition` as int64 in [0, classes), or as the names, one for each row, and refuse
            others. Networks get the numbers, or one-hot vectors if their conditions are vectors.
        warmup: whether to write a request for each signature, which TensorFlow Serving runs when it
            loads the model, where `tensorflow-serving-api` is installed
            (`pip install keras-gan[serving]`).

    Returns:
        `pathlib.Path` of the version's folder.

    Raises:
        TypeError: `gan` is no `kg.GAN`.
        ValueError: `path` is remote; `version` or `classes` is out of range; the GAN is not conditional
            though `classes` are given, or has no average.
        FileExistsError: there is such a version, or `path` is a file.

    Example:

    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
    >>> kg.export_savedmodel(gan, "exported/points").name
    '1'
    >>> import tensorflow as tf
    >>> sample = tf.saved_model.load("exported/points/1").signatures["sample"]
    >>> drawn = sample(number=tf.constant(5, tf.int64), seed=tf.constant(7, tf.int64))
    >>> bool(np.allclose(drawn["samples"], gan.generate(5, seed=7), atol=1e-6))
    True
    """
    _check_arguments(gan, path, version, classes)
    average = gan.kept_average() if averaged else None
    write = _write if keras.backend.backend() == "tensorflow" else _write_elsewhere
    with average.as_weights() if averaged else contextlib.nullcontext():
        return _published(Path(path), version, lambda folder: write(gan, folder, classes, warmup))


def _check_arguments(gan, path, version, classes):
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
    if version is not None and not _positive(version):
        raise ValueError(
            "`version` is a positive integer, of which TensorFlow Serving takes the largest, or None "
            f"for the next. Received: {version!r}"
        )
    if classes is None:
        return
    if not gan.conditional:
        raise ValueError(
            "`classes` are those of a condition, and this GAN is not conditional: its networks take one "
            f"input each. Leave `classes` out. Received: classes={classes!r}"
        )
    named = isinstance(classes, Iterable) and not isinstance(classes, (str, bytes))
    number = len(set(map(str, classes))) if named else classes
    if not _positive(number) or (named and number < len(list(classes))):
        raise ValueError(
            "`classes` is the number of classes, or a list of their names, each another. Received: "
            f"{classes!r}"
        )
    if gan.condition_shape not in [(), (1,), (number,)]:
        raise ValueError(
            f"The class of a sample is one number, or a one-hot vector of {number}. The networks of "
            f"this GAN take conditions of shape {gan.condition_shape}: leave `classes` out, or give "
            "their number."
        )


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
    if version is not None and (path / str(version)).exists():
        raise FileExistsError(
            f"{path / str(version)} exists, and a version that is served is not written over. Expected "
            "another `version`, or None for the next free one."
        )


def _next(path):
    return 1 + max((int(child.name) for child in path.iterdir() if child.name.isdecimal()), default=0)


def _renamed(folder, target):
    """Rename a folder, unless somebody has taken the name since."""
    try:
        folder.rename(target)
    except OSError:
        if not target.exists():
            raise
        return False
    return True


def _write_elsewhere(gan, folder, classes, warmup):
    """Have a process of its own, on TensorFlow, load the GAN from a file and write it."""
    code = "import sys; from keras_gan import export; export._load_and_write(sys.argv[1])"
    modules = {known.__module__ for known in keras.saving.get_custom_objects().values()}
    with tempfile.TemporaryDirectory() as place:
        file = str(Path(place) / "gan.keras")
        gan.save(file)
        arguments = json.dumps([file, sorted(modules), str(folder), _plain(classes), warmup])
        run = subprocess.run(
            [sys.executable, "-c", code, arguments],
            # Modules of the user's, which hold layers, are found where this process finds them.
            env={
                **os.environ,
                "KERAS_BACKEND": "tensorflow",
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    if run.returncode:
        raise ValueError(
            "The GAN could not be made again on TensorFlow, whose format a SavedModel is. Expected "
            "layers and functions of your own in a module, not in the program itself, registered by "
            "`keras.saving.register_keras_serializable`, and written with `keras.ops`. Or load the "
            "`.keras` file under KERAS_BACKEND=tensorflow, and export there. Received:\n"
            f"{run.stderr[-3000:]}"
        )


def _load_and_write(arguments):
    """Do in that process what `_write_elsewhere` asks for, with what the user has registered."""
    file, modules, folder, classes, warmup = json.loads(arguments)
    for module in modules:
        with contextlib.suppress(ImportError):  # Keras then says what it misses
            importlib.import_module(module)
    gan = keras.models.load_model(file, compile=False, safe_mode=False)
    _write(gan, Path(folder), classes, warmup)


def _plain(classes):
    """Return the number or the names of classes as JSON holds them."""
    if classes is None:
        return None
    return int(classes) if isinstance(classes, numbers.Integral) else [str(name) for name in classes]


def _write(gan, folder, classes, warmup):
    classes = _plain(classes)
    signatures = make_signatures(gan, classes)
    archive = keras.export.ExportArchive()
    for network in gan.layers:
        archive.track(network)
    for name, (function, inputs) in signatures.items():
        archive.add_endpoint(name, function, inputs)
    with warnings.catch_warnings():
        # Of what Keras does itself.
        warnings.simplefilter("ignore")
        archive.write_out(str(folder), verbose=False)
    if warmup:
        _write_warmup(classes, signatures, folder)


def _write_warmup(classes, signatures, folder):
    """Write one request for each signature, where the protocol of TensorFlow Serving is installed."""
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        return
    tf = tensorflow()
    extra = folder / "assets.extra"
    extra.mkdir()
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for name, (_, inputs) in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = name
            for spec in inputs:
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(example(spec, classes)))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())

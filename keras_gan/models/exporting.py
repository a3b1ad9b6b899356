"""Write the generator of a GAN in formats that other programs run."""

import contextlib
import functools
import importlib.util
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import keras

from keras_gan.models.conversion import call_on_tensorflow, raise_os_errors
from keras_gan.models.files import check_file
from keras_gan.utils import structures
from keras_gan.utils.files import atomic_file, atomic_folder, check_local_path
from keras_gan.utils.optional import tensorflow
from keras_gan.utils.typing import PathLike, Tensor
from keras_gan.utils.validation import check_choice, check_flag

__all__ = ["Exporting", "condition_inputs", "generator_inputs", "resources"]

# Names of other inputs of served functions.
_RESERVED = ("latents", "number", "seed", "start", "end", "steps", "samples")


class Exporting(keras.Model):
    """The part of `GAN` that writes its generator for other programs."""

    def export(
        self,
        filepath: PathLike,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        *,
        use_ema: bool = False,
        **options: Any,
    ) -> None:
        """Write the generator for programs that run without Keras and without this package.

        The inputs are `latents` `(n, ...)`, and for a conditional GAN `condition`, or one input for each
        part of the condition, named after the inputs of the networks; n is free. The output is
        `samples` `(n, ...)`, float32, or `samples_<key>` for each part of structured samples. They are
        what `generate(latents=..., condition=...)` returns, but labels are not checked. Files hold
        neither the prior nor the discriminator: `kg.export_savedmodel` writes both, for TensorFlow
        Serving.

        | `format` | `filepath` | needs |
        |---|---|---|
        | `"tf_saved_model"` | new folder, whose signature `serving_default` is this function | |
        | `"onnx"` | file, usually `.onnx` | `pip install tf2onnx onnx` |
        | `"litert"` | file, usually `.tflite` | |
        | `"openvino"` | file `.xml`, and next to it the weights, `.bin` | `pip install openvino scipy` |

        On JAX and torch a process on TensorFlow loads the GAN and writes the same files.

        Args:
            filepath: local path. Files are replaced, and appear whole or not at all.
            format: one of the table.
            verbose: unused: nothing is printed. Accepted because `keras.Model.export` does.
            use_ema: whether to write the EMA of the generator's weights, which
                `compile(ema_decay=...)` keeps.
            **options: options of `keras.Model.export` for the format, such as `opset_version` for ONNX,
                or `optimizations` for LiteRT.

        Raises:
            ValueError: unknown format; remote path; no EMA; an operation that the format lacks.
            ImportError: a package of the table is not installed.
            FileExistsError: the folder of a SavedModel exists.
            OSError: the file cannot be written.

        Example:

        >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
        >>> discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
        >>> gan.export("generators/points")
        >>> import tensorflow as tf
        >>> serve = tf.saved_model.load("generators/points").signatures["serving_default"]
        >>> latents = np.ones((3, 8), "float32")
        >>> samples = serve(latents=tf.constant(latents))["samples"]
        >>> bool(np.allclose(samples, gan.generate(latents=latents), atol=1e-6))
        True
        """
        check_choice("format", format, _FORMATS, hint="`gan.generator.export` writes other formats.")
        use_ema = check_flag("use_ema", use_ema)
        if "input_signature" in options:
            raise ValueError(
                "`input_signature` follows from the networks and the prior. Leave it out, or export the "
                "network alone by `gan.generator.export`. Received: "
                f"input_signature={options['input_signature']!r}"
            )
        path = check_local_path("filepath", filepath)
        check_file(filepath)
        if format == "openvino" and path.suffix != ".xml":
            raise ValueError(
                "OpenVINO is written to two files, `.xml` and `.bin`: `filepath` must end in `.xml`. "
                f"Received: {str(path)!r}"
            )
        _FORMATS[format].check_packages()
        weights = self.require_ema().swapped_in() if use_ema else contextlib.nullcontext()
        with weights, _FORMATS[format].open(path) as target:
            call_on_tensorflow(_write, self, str(target), format, options)


def generator_inputs(gan: Any) -> list[keras.InputSpec]:
    """Return the named inputs of `generate_batch`: latents, unless there is no prior, and conditions."""
    latents = [] if gan.prior is None else [_input("latents", gan.latent_spec)]
    return [*latents, *condition_inputs(gan)]


def condition_inputs(gan: Any) -> list[keras.InputSpec]:
    """Return one named input for each part of the condition, by the names of the networks' inputs."""
    specs = structures.leaves(gan.condition_spec)
    names = gan.data_spec.condition_names
    return [_input(_free(name), spec) for name, spec in zip(names, specs, strict=True)]


def _input(name, spec):
    return keras.InputSpec(shape=(None, *spec.shape[1:]), dtype=spec.dtype, name=name)


def _free(name):
    name = re.sub(r"\W", "_", name)  # TensorFlow allows no other characters
    return f"condition_{name}" if name in _RESERVED else name


def resources(gan: Any) -> Any:
    """Return an object of TensorFlow that holds the networks, whose lookup tables exports need.

    Keras would write the weights of networks that it tracks twice.
    """
    holder = tensorflow().Module()
    holder.networks = gan.layers
    return holder


class _Generator(keras.Model):
    """`generate_batch` of a GAN as a network with named inputs and outputs."""

    def __init__(self, gan):
        super().__init__(name="generator")
        self._generate, self._condition = gan.generate_batch, gan.condition_spec
        self._has_latents = gan.prior is not None
        self._resources = resources(gan)
        self.built = True

    def call(self, *inputs: Tensor, training: bool = False) -> dict[str, Tensor]:
        latents, condition = (inputs[0], inputs[1:]) if self._has_latents else (None, inputs)
        samples = self._generate(latents, structures.like(self._condition, condition))
        return structures.named("samples", samples)


def _write(gan, path, format, options):
    """Write the generator to a path, on TensorFlow."""
    if not _FORMATS[format].quantized:
        _check_not_quantized(gan)
    network = _Generator(gan)
    signature = generator_inputs(gan)
    try:
        with raise_os_errors(path), warnings.catch_warnings():
            # Warnings from Keras' own export code.
            warnings.simplefilter("ignore")
            network.export(path, format=format, verbose=False, input_signature=signature, **options)
            _FORMATS[format].verify(path)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            f"The generator could not be written in the format {_FORMATS[format].name}. Expected "
            "layers, and a method `generate_batch`, of `keras.ops` that the format has operations for, "
            f"and options of that format. Received: {type(error).__name__}: {error}"
        ) from error


class _Format(NamedTuple):
    """A format: its name and packages, where to write, a check of the file, whether it holds int8."""

    name: str
    packages: tuple[str, ...]
    open: Callable[[Path], AbstractContextManager[Path]]
    verify: Callable[[str], None] = lambda path: None
    quantized: bool = True

    def check_packages(self):
        """Refuse a missing package."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise ImportError(
                f"The format {self.name} needs optional packages. Install them with: pip install "
                f"{' '.join(self.packages)}. Missing: {', '.join(missing)}"
            )


def _check_not_quantized(gan):
    layers = gan.generator._flatten_layers(include_self=False)
    quantized = [layer.name for layer in layers if getattr(layer, "quantization_mode", None)]
    if quantized:
        raise ValueError(
            "OpenVINO computes other samples than Keras with layers that Keras has quantized: "
            f"{', '.join(quantized)}. Export the generator before `quantize`, or to ONNX."
        )


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise FileExistsError(
            f"`filepath`: {path} exists. Expected the path of a new folder. Delete the old one first, "
            "or write numbered versions with `kg.export_savedmodel`."
        )
    with atomic_folder(path) as folder:
        yield folder


@contextlib.contextmanager
def _file(path: Path, suffix: str = "") -> Iterator[Path]:
    if path.is_dir():
        raise IsADirectoryError(f"`filepath`: {path} is a folder. Expected the path of a file.")
    with atomic_file(path, suffix) as file:
        yield file


@contextlib.contextmanager
def _two_files(path: Path) -> Iterator[Path]:
    """Yield a temporary path of OpenVINO's model, whose weights are written next to it."""
    # The inner file appears first: a model is of no use without its weights.
    with _file(path, ".xml") as model, _file(path.with_suffix(".bin"), ".bin") as weights:
        written = model.with_suffix(".bin")
        try:
            yield model
            written.replace(weights)
        finally:
            written.unlink(missing_ok=True)


def _verify_onnx(path):
    # tf2onnx writes operations that ONNX lacks, and only logs them.
    importlib.import_module("onnx").checker.check_model(path)


_FORMATS = {
    "tf_saved_model": _Format("SavedModel", (), _new_folder),
    "onnx": _Format("ONNX", ("tf2onnx", "onnx"), _file, _verify_onnx),
    # Keras requires these endings.
    "litert": _Format("LiteRT", (), functools.partial(_file, suffix=".tflite")),
    "openvino": _Format("OpenVINO", ("openvino", "scipy"), _two_files, quantized=False),
}

"""What the commands of `keras-gan` do."""

import dataclasses
import json
import os
import shlex
import sys
import time
from pathlib import Path

import keras
import numpy as np

import keras_gan as kg
from keras_gan.utils import files
from keras_gan_cli import evaluation, runs
from keras_gan_cli.architectures import ARCHITECTURES
from keras_gan_cli.models import Model, grid
from keras_gan_cli.tables import count, show, tell

# Endings of pictures that a folder hardly has.
_NO_FOLDERS = {".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".json", ".keras"}
# Sources beside TensorFlow Datasets.
_BROUGHT = ("mnist5k", "tfd")


def train(source, channels, size, conditional, epochs, output, download, **settings):
    """Train on SOURCE: a folder of pictures, or the name of a dataset."""
    began = time.perf_counter()
    architecture = ARCHITECTURES[settings["architecture"]]
    name, source = _named(source)
    settings = runs.Settings(
        source=source,
        size=size or architecture.size,
        channels=channels and int(channels),
        classes=None,
        **settings,
    )
    run = runs.Run(output or Path("runs") / name)
    runs.check_writable(run.folder)
    _check_apart(run.folder, source)
    architecture.check(settings.size, settings.width)
    data = _loaded(settings, conditional, download)
    images = data.element_spec[0] if conditional else data.element_spec
    classes = list(data.class_names) if conditional else None
    settings = dataclasses.replace(
        settings, channels=images.shape[-1], classes=classes, num_images=data.num_examples
    )
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.precision)
    gan = architecture.make(settings)
    with run.claimed():
        run.claim(settings)
        _train(run, gan, data, name, architecture, epochs or runs.default_epochs(data), began)


def _train(run, gan, data, name, architecture, epochs, began):
    classes = run.settings.classes
    show(
        "Training",
        {
            "data": f"{count(data.num_examples, 'image')} of {name}, as {_shape(gan)}",
            "classes": classes and ", ".join(classes),
            "generator": f"{gan.generator.count_params():,} weights ({architecture.name})",
            "discriminator": f"{gan.discriminator.count_params():,} weights",
            "length": f"{count(epochs, 'epoch')} of {count(data.cardinality().numpy(), 'step')}",
            "folder": run.folder,
        },
    )
    tell(f"Watch {run.folder / 'samples'}. Ctrl-C stops; the same command goes on.")
    try:
        history = run.train(gan, data, epochs)
    except KeyboardInterrupt:
        tell(f"Stopped. The run is in {run.folder}; this goes on:\n    {shlex.join(_command_line())}")
        raise
    files.write_bytes(run.folder / "history.json", json.dumps(history.history).encode())
    show(
        "Trained",
        {
            "epochs": f"{len(history.epoch):,}",
            "minutes": f"{(time.perf_counter() - began) / 60:.1f}",
            **{key: f"{values[-1]:.3f}" for key, values in history.history.items()},
            "samples": run.folder / "samples" / f"epoch-{len(history.epoch):04d}.png",
            "curves": run.folder / "curves.png",
            "model": run.model,
        },
    )
    tell(f"Next: keras-gan sample {run.folder}, or keras-gan evaluate {run.folder}")


def sample(model, number, condition, seed, output):
    """Draw new pictures from MODEL."""
    model = Model(model)
    output = output or model.folder / "sample.png"
    if output.suffix.lower() in _NO_FOLDERS:
        raise ValueError(f"--output is a .png file, or a folder. Received: {str(output)!r}")
    runs.check_writable(output.parent if output.suffix.lower() == ".png" else output)
    images = model.bytes(model.draw(number, seed, condition))
    if output.suffix.lower() == ".png":
        kg.visualization.save_png(output, grid(images))
    else:
        for index, image in enumerate(images):
            picture = image[..., 0] if image.shape[-1] == 1 else image
            kg.visualization.save_png(output / f"sample-{index:05d}.png", picture)
    tell(f"{count(number, 'picture')}: {output}")


def interpolate(model, rows, steps, path, condition, seed, output):
    """Draw what MODEL makes on the way from one latent to another."""
    model = Model(model)
    output = output or model.folder / "interpolation.png"
    if output.suffix.lower() not in (".png", ".gif"):
        raise ValueError(f"--output is a .png file, or a .gif film. Received: {str(output)!r}")
    runs.check_writable(output.parent)
    # One draw, whose halves are independent; draws of two seeds might not be.
    ends = keras.ops.convert_to_numpy(model.gan.prior.sample(2 * rows, seed))
    latents = kg.interpolation.interpolate(ends[:rows], ends[rows:], steps, path)
    conditions = model.conditions(rows, condition)
    images = model.bytes(
        model.gan.generate(
            latents=latents.reshape(-1, *latents.shape[2:]),
            condition=None if conditions is None else np.repeat(conditions, steps),
            use_ema=model.use_ema,
        )
    )
    if output.suffix.lower() == ".gif":
        films = images.reshape(rows, steps, *images.shape[1:]).swapaxes(0, 1)
        frames = [grid(frame) for frame in films]
        kg.visualization.save_gif(output, [*frames, *frames[-2:0:-1]])
    else:
        kg.visualization.save_png(output, grid(images, columns=steps))
    tell(f"{count(rows, 'way')} of {steps} pictures: {output}")


def evaluate(model, source, number, features, weights, seed, output):
    """Hold samples of MODEL against real images: those of its training, or SOURCE."""
    model = Model(model)
    # Scores beside other images do not take the place of those of the run's own.
    other = f"scores-{_named(source)[0]}.json" if source else "scores.json"
    output = output or model.folder / other
    runs.check_writable(output.parent)
    name, real = model.real_images(*_named(source) if source else (None, None), number)
    samples = model.draw(len(real), seed)
    found = evaluation.scores(
        evaluation.EXTRACTORS[features](weights, real.shape[1:], model.value_range), real, samples, name
    )
    rows = {key: text for score in found for key, text in evaluation.told(score).items()}
    show(f"{len(samples):,} samples beside {len(real):,} images of {name}, by {features}", rows)
    content = json.dumps([dataclasses.asdict(score) for score in found], indent=2)
    files.write_bytes(output, content.encode())
    tell(f"With all that they depend on: {output}")


def export(model, version, output):
    """Write MODEL as a SavedModel."""
    model = Model(model)
    output = output or model.folder / "export"
    runs.check_writable(output)
    folder = kg.export_savedmodel(
        model.gan,
        output,
        version=version,
        use_ema=model.use_ema,
        classes=model.classes,
        value_range=model.value_range,
    )
    tell(f"A SavedModel, for tf.saved_model.load and TensorFlow Serving: {folder}")


def info(model):
    """Say what MODEL is, and how it was trained."""
    model = Model(model)
    show(str(model.file), model.described())


def _named(source):
    """Return what a source is called, and what `kg.datasets.load` calls it."""
    if not source.strip():
        raise ValueError("SOURCE is empty. Expected: a folder of pictures, or a dataset's name.")
    source = source.removeprefix("folder:")
    folder = Path(source).expanduser()
    if folder.is_dir():
        folder = Path(os.path.abspath(folder))
        return folder.name or "pictures", f"folder:{folder}"
    if folder.exists():
        raise ValueError(f"{source!r} is a file. Expected: a folder of pictures, or a dataset's name.")
    if source.startswith((".", "/", "~")) or source.endswith("/"):
        raise ValueError(f"There is no folder {source!r}.")
    return source.replace("/", "-").replace(":", "-"), source


def _check_apart(folder, source):
    """Refuse to write a run among the pictures that it learns from, and the next from its samples."""
    kind, _, pictures = source.partition(":")
    if kind == "folder" and folder.resolve().is_relative_to(Path(pictures).resolve()):
        raise ValueError(
            f"The run would lie among the pictures of {pictures!r}, and later runs would learn from its "
            "samples. Name a folder outside by --output, or start the program elsewhere."
        )


def _loaded(settings, conditional, download):
    try:
        return runs.load(settings, conditional, download)
    except (ImportError, ValueError) as error:
        if settings.source.startswith("folder:") or settings.source.partition(":")[0] in _BROUGHT:
            raise
        kind = ImportError if isinstance(error, ImportError) else ValueError
        raise kind(f"There is no folder {settings.source!r}; as a dataset's name: {error}") from error


def _shape(gan):
    height, width, channels = gan.sample_shape
    return f"{height} × {width}, {'grey' if channels == 1 else 'in colour'}"


def _command_line():
    return ["keras-gan", *sys.argv[1:]]

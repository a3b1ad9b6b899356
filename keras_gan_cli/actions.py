"""What the commands of `keras-gan` do."""

import dataclasses
import json
import math
import mimetypes
import os
import shlex
import sys
import time
from pathlib import Path

import click
import keras
import numpy as np

import keras_gan as kg
from keras_gan.utils import files
from keras_gan.utils.images import image_size, to_channels_last
from keras_gan_cli import evaluation, runs
from keras_gan_cli.architectures import ARCHITECTURES
from keras_gan_cli.models import Model, square_grid
from keras_gan_cli.tables import pluralize, print_line, print_table

# Sources that do not need TensorFlow Datasets.
_BUILT_IN = ("mnist5k", "tfd")


def train(source, channels, size, conditional, epochs, output, download, **settings):
    """Train on SOURCE: a folder of images, or the name of a dataset."""
    start = time.perf_counter()
    architecture = ARCHITECTURES[settings["architecture"]]
    name, source = _resolve_source(source)
    settings = runs.Settings(
        source=source,
        size=size or architecture.size,
        channels=channels and int(channels),
        classes=None,
        **settings,
    )
    run = runs.Run(output or Path("runs") / name)
    runs.check_writable(run.folder)
    _check_not_inside_source(run.folder, source)
    architecture.check(settings.size, settings.width)
    data = _load(settings, conditional, download)
    images = data.element_spec[0] if conditional else data.element_spec
    classes = list(data.class_names) if conditional else None
    settings = dataclasses.replace(
        settings,
        channels=image_size(images.shape)[-1],
        classes=classes,
        num_images=data.num_examples,
    )
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.precision)
    gan = architecture.make(settings)
    with run.locked():
        run.write_settings(settings)
        _train(run, gan, data, name, architecture, epochs or runs.default_epochs(data), start)


def _train(run, gan, data, name, architecture, epochs, start):
    classes = run.settings.classes
    print_table(
        "Training",
        {
            "data": f"{pluralize(data.num_examples, 'image')} of {name}, as {_size(gan)}",
            "classes": classes and ", ".join(classes),
            "generator": f"{gan.generator.count_params():,} weights ({architecture.name})",
            "discriminator": f"{gan.discriminator.count_params():,} weights",
            "length": f"{pluralize(epochs, 'epoch')} of {pluralize(data.cardinality().numpy(), 'step')}",
            "folder": run.folder,
        },
    )
    print_line(f"Watch {run.folder / 'samples'}. Ctrl-C stops; the same command resumes.")
    try:
        history = run.train(gan, data, epochs)
    except KeyboardInterrupt:
        print_line(f"Stopped. The run is in {run.folder}. To resume it:")
        click.echo(f"    {shlex.join(_command_line())}")
        raise
    files.write_bytes(run.folder / "history.json", json.dumps(history.history).encode())
    print_table(
        "Finished",
        {
            "epochs": f"{len(history.epoch):,}",
            "minutes": f"{(time.perf_counter() - start) / 60:.1f}",
            **{key: f"{values[-1]:.3f}" for key, values in history.history.items()},
            "samples": run.folder / "samples" / f"epoch-{len(history.epoch):04d}.png",
            "curves": run.folder / "curves.png",
            "model": run.model,
        },
    )
    _warn_if_short(gan, data)
    print_line(f"Next: keras-gan sample {run.folder}, or keras-gan evaluate {run.folder}")


def _warn_if_short(gan, data):
    """Say so if a run was too short for samples to show anything."""
    if not runs.ema_is_warm(gan):
        steps = runs.warm_steps(gan)
        epochs = math.ceil(steps / data.cardinality().numpy())
        print_line(
            f"This run was short: after {pluralize(int(gan.optimizer.iterations), 'step')}, samples "
            f"are mostly noise. Shapes usually need {steps:,} steps or more: run the same command with "
            f"--epochs {epochs} or more, which resumes this run."
        )


def _is_other_file(path):
    """Return whether a path ends like that of a file, but not of a PNG file."""
    kind = mimetypes.guess_type(path.name)[0]
    return path.suffix.lower() == ".keras" or kind not in (None, "image/png")


def sample(model, number, condition, seed, output):
    """Generate new images with MODEL."""
    model = Model(model)
    output = output or model.folder / "sample.png"
    if _is_other_file(output):
        raise ValueError(f"--output must be a .png file or a folder. Received: {str(output)!r}")
    runs.check_writable(output.parent if output.suffix.lower() == ".png" else output)
    images = model.to_uint8(model.generate(number, seed, condition))
    if output.suffix.lower() == ".png":
        kg.visualization.save_png(output, square_grid(images))
    else:
        for index, image in enumerate(to_channels_last(images)):
            pixels = image[..., 0] if image.shape[-1] == 1 else image
            kg.visualization.save_png(output / f"sample-{index:05d}.png", pixels)
    print_line(f"{pluralize(number, 'image')}: {output}")


def interpolate(model, rows, steps, path, condition, seed, output):
    """Interpolate between latent vectors of MODEL."""
    model = Model(model)
    output = output or model.folder / "interpolation.png"
    if output.suffix.lower() not in (".png", ".gif"):
        raise ValueError(f"--output must be a .png or a .gif file. Received: {str(output)!r}")
    runs.check_writable(output.parent)
    # One draw, whose halves are independent; draws with two seeds might not be.
    ends = keras.ops.convert_to_numpy(model.gan.prior.sample(2 * rows, seed))
    latents = kg.interpolation.interpolate(ends[:rows], ends[rows:], steps, path=path)
    conditions = model.conditions(rows, condition)
    images = model.to_uint8(
        model.gan.generate(
            latents=latents.reshape(-1, *latents.shape[2:]),
            condition=None if conditions is None else np.repeat(conditions, steps),
            use_ema=model.use_ema,
        )
    )
    if output.suffix.lower() == ".gif":
        paths = images.reshape(rows, steps, *images.shape[1:]).swapaxes(0, 1)
        frames = [square_grid(frame) for frame in paths]
        kg.visualization.save_gif(output, [*frames, *frames[-2:0:-1]])
    else:
        kg.visualization.save_png(output, square_grid(images, columns=steps))
    print_line(f"{pluralize(rows, 'path')} of {steps} images: {output}")


def evaluate(model, source, number, features, weights, seed, output):
    """Compare samples of MODEL with real images: SOURCE, or those of its training."""
    model = Model(model)
    # Scores for other images do not replace those for the run's own.
    label, source = (None, None) if source is None else _resolve_source(source)
    file = f"scores-{label}.json" if label else "scores.json"
    output = output or model.folder / file
    runs.check_writable(output.parent)
    name, real = model.real_images(label, source, number)
    samples = model.generate(len(real), seed)
    real, samples = to_channels_last(real), to_channels_last(samples)
    extractor = evaluation.EXTRACTORS[features](weights, real.shape[1:], model.value_range)
    scores = evaluation.scores(extractor, real, samples, name)
    rows = {key: text for score in scores for key, text in evaluation.format_score(score).items()}
    if source is None:
        rows["near-copies of training images"] = f"{evaluation.count_copies(samples, real):,}"
    print_table(f"{len(samples):,} samples and {len(real):,} images of {name}, by {features}", rows)
    if source is None:
        print_line(
            "These are images that the model was trained on, which flatters it: for scores to report, "
            "pass a folder of images that it has not seen."
        )
    content = json.dumps([dataclasses.asdict(score) for score in scores], indent=2)
    files.write_bytes(output, content.encode())
    print_line(f"Scores with all their settings: {output}")


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
    print_line(f"SavedModel, for tf.saved_model.load and TensorFlow Serving: {folder}")


def info(model):
    """Describe MODEL and how it was trained."""
    model = Model(model)
    print_table(str(model.file), model.summary())


def _resolve_source(source):
    """Return a short name for a source, and the source as `kg.datasets.load` takes it."""
    if not source.strip():
        raise ValueError("SOURCE is empty. Expected: a folder of images, or the name of a dataset.")
    source = source.removeprefix("folder:")
    folder = Path(source).expanduser()
    if folder.is_dir():
        folder = Path(os.path.abspath(folder))
        return folder.name or "images", f"folder:{folder}"
    if folder.exists():
        raise ValueError(
            f"{source!r} is a file. Expected: a folder of images, or the name of a dataset."
        )
    if source.startswith((".", "/", "~")) or source.endswith("/"):
        raise ValueError(f"There is no folder {source!r}.")
    return source.replace("/", "-").replace(":", "-"), source


def _check_not_inside_source(folder, source):
    """Refuse to write a run among its training images: the next run would train on its samples."""
    kind, _, images = source.partition(":")
    if kind == "folder" and folder.resolve().is_relative_to(Path(images).resolve()):
        raise ValueError(
            f"The run would be inside the folder of images {images!r}, so that later runs would train "
            "on its samples. Choose a folder outside with --output, or start the program elsewhere."
        )


def _load(settings, conditional, download):
    try:
        return runs.load(settings, conditional, download)
    except (ImportError, ValueError) as error:
        if settings.source.startswith("folder:") or settings.source.partition(":")[0] in _BUILT_IN:
            raise
        kind = ImportError if isinstance(error, ImportError) else ValueError
        raise kind(
            f"{settings.source!r} is neither a folder nor the name of a dataset. {error}"
        ) from error


def _size(gan):
    height, width, channels = image_size(gan.sample_shape)
    return f"{height} × {width}, {'gray' if channels == 1 else 'color'}"


def _command_line():
    return ["keras-gan", *sys.argv[1:]]

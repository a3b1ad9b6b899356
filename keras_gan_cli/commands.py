"""The commands of `keras-gan`."""

import contextlib
import importlib
import importlib.metadata
import logging
import os
import tempfile
from pathlib import Path

import click

# Choices of options, repeated here so that `--help` does not import the package.
ARCHITECTURES = ["dcgan", "dense2014"]
FEATURES = ["pixels", "inception", "digits"]
PATHS = ["linear", "spherical"]
_PRECISIONS = ["float32", "mixed_bfloat16", "mixed_float16"]
_positive = click.IntRange(min=1)
# Limit of the images of one command, which are held in memory.
_MOST_IMAGES = 10_000
_images = click.IntRange(1, _MOST_IMAGES)
# Scores compare each image with its 5 nearest neighbors.
_scored_images = click.IntRange(6, _MOST_IMAGES)


class _Path(click.Path):
    """A path; an empty one, such as that of an unset variable of the shell, is refused."""

    def convert(self, value, param, ctx):
        """See base class."""
        if not str(value):
            self.fail("The path is empty.", param, ctx)
        return super().convert(value, param, ctx)


_path = _Path(path_type=Path)
_seeds = click.IntRange(0, 2**32 - 1)
_SEED = "Random seed, for reproducible results."
# 1, since the sample grids of training are drawn with 0.
_seed = click.option("--seed", type=_seeds, default=1, show_default=True, help=_SEED)
_condition = click.option(
    "--condition", metavar="CLASS", help="Name or number of one class (default: all in turn)."
)


def _model(function):
    return click.argument("model", type=_path)(function)


def _output(what):
    return click.option("--output", type=_path, help=f"{what} (default: in the model's folder).")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(importlib.metadata.version("keras-gan"), prog_name="keras-gan")
def keras_gan():
    """Train generative adversarial networks, sample from them, evaluate and export them.

    MODEL is the folder of a run, such as runs/photos, or a .keras file.

    \b
    Examples:
      keras-gan train ./photos --size 64    train on a folder, or resume
      keras-gan sample runs/photos          64 new images: runs/photos/sample.png
      keras-gan export runs/photos          a SavedModel for TensorFlow Serving
    """


@keras_gan.command(short_help="Train on a folder of images or a dataset.")
@click.argument("source")
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    default="dcgan",
    show_default=True,
    help="dcgan: convolutional networks. dense2014: those of the first paper, for gray 28 × 28 images.",
)
@click.option("--size", type=_positive, help="Height and width; a power of 2 for dcgan (default: 64).")
@click.option(
    "--channels", type=click.Choice(["1", "3"]), help="1: gray, 3: color (default: that of the data)."
)
@click.option("--conditional", is_flag=True, help="Learn classes: subfolders, or those of a dataset.")
@click.option(
    "--width",
    type=_positive,
    default=32,
    show_default=True,
    help="Feature maps of dcgan's outer layers; 64 or 128 on a GPU.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 65_536),
    default=64,
    show_default=True,
    help="Images per training step.",
)
@click.option(
    "--precision",
    type=click.Choice(_PRECISIONS),
    default="float32",
    show_default=True,
    help="Number format of the layers; the mixed ones are for GPUs.",
)
@click.option("--seed", type=_seeds, default=0, show_default=True, help=_SEED)
@click.option(
    "--epochs",
    type=click.IntRange(1, 1_000_000),
    help="Number of epochs (default: enough for 10,000 training steps).",
)
@click.option("--output", type=_path, help="Folder of the run (default: runs/NAME).")
@click.option("--download", is_flag=True, help="Allow TensorFlow Datasets to download the dataset.")
def train(**options):
    """Train on SOURCE: a folder of images, or the name of a dataset.

    The folder of the run receives sample grids (samples/), loss curves (curves.png), the model
    (gan.keras) and the state of training: the same command resumes where it stopped. Ctrl-C stops
    after the current epoch. After a few epochs the remaining time is shown. Without a GPU, 300 photos
    at --size 32 show faces after some minutes, at --size 64 after an hour.

    \b
    Examples:
      keras-gan train ./photos --size 64
      keras-gan train mnist5k --size 32 --width 16 --epochs 30
      keras-gan train cifar10 --size 32 --conditional --output runs/classes
    """
    _run("train", options)


@keras_gan.command(short_help="Generate new images.")
@_model
@click.option("--number", type=_images, default=64, show_default=True, help="Number of images.")
@_condition
@_seed
@_output("A .png file for one grid, or a folder for one file per image")
def sample(**options):
    """Generate new images with MODEL.

    \b
    Examples:
      keras-gan sample runs/photos --seed 7
      keras-gan sample runs/photos --number 1000 --output many/
    """
    _run("sample", options)


@keras_gan.command(short_help="Interpolate between images.")
@_model
@click.option(
    "--rows",
    type=click.IntRange(1, 100),
    default=9,
    show_default=True,
    help="Number of interpolation paths.",
)
@click.option(
    "--steps", type=click.IntRange(2, 100), default=10, show_default=True, help="Images per path."
)
@click.option(
    "--path",
    type=click.Choice(PATHS),
    default="spherical",
    show_default=True,
    help="Interpolation; spherical preserves the norm of the latents.",
)
@_condition
@_seed
@_output("A .png file, or a .gif for an animation")
def interpolate(**options):
    """Interpolate between latent vectors of MODEL.

    \b
    Example:
      keras-gan interpolate runs/photos --output path.gif
    """
    _run("interpolate", options)


@keras_gan.command(short_help="Compare samples with real images.")
@_model
@click.argument("source", required=False)
@click.option(
    "--number",
    type=_scored_images,
    default=2000,
    show_default=True,
    help="Number of samples, and of real images at most.",
)
@click.option(
    "--features",
    type=click.Choice(FEATURES),
    default="pixels",
    show_default=True,
    help="Features used to compare images.",
)
@click.option("--weights", type=_path, help="File of the feature network.")
@_seed
@_output("A .json file")
def evaluate(**options):
    """Compare samples of MODEL with real images: SOURCE, or by default the training images.

    Scores depend on the features, the real images and the numbers of images: compare only scores for
    which these are equal. Training images cannot reveal overfitting, so near-copies of them among the
    samples are counted as well; for scores to report, pass images that the model has not seen. Pixels
    are the same everywhere but say little about content; inception needs the weights that Keras keeps
    in ~/.keras/models, or --weights.

    \b
    Examples:
      keras-gan evaluate runs/photos
      keras-gan evaluate runs/photos ./unseen --features inception
    """
    _run("evaluate", options)


@keras_gan.command(short_help="Write a SavedModel, for TensorFlow Serving and others.")
@_model
@click.option("--version", type=_positive, help="Version number (default: the latest plus one).")
@_output("Folder of the model's versions")
def export(**options):
    """Write MODEL as a SavedModel, which TensorFlow Serving and others run without this package.

    \b
    Example:
      keras-gan export runs/photos --output models/photos
    """
    _run("export", options)


@keras_gan.command(short_help="Describe a model and its training.")
@_model
def info(**options):
    """Describe MODEL and how it was trained.

    \b
    Example:
      keras-gan info runs/photos
    """
    _run("info", options)


def _run(name, options):
    # Imported here, since it takes seconds, which help and invalid options need not wait for.
    click.echo("Starting Keras ...")
    with _quiet():
        actions = importlib.import_module("keras_gan_cli.actions")
        importlib.import_module("tensorflow")
    # TensorFlow Datasets logs each error a second time through absl.
    logging.getLogger("absl").setLevel(logging.ERROR)
    getattr(actions, name)(**options)


@contextlib.contextmanager
def _quiet():
    """Discard what TensorFlow writes to stderr while it is imported, unless the import fails."""
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except Exception:
            log.seek(0)
            os.write(stderr, log.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)

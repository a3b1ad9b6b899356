"""The commands of `keras-gan`."""

import contextlib
import importlib
import importlib.metadata
import logging
import os
import tempfile
from pathlib import Path

import click

# Names of what the package has, which need not be imported for `--help`.
ARCHITECTURES = ["dcgan", "dense2014"]
FEATURES = ["pixels", "inception", "digits"]
PATHS = ["linear", "spherical"]
_PRECISIONS = ["float32", "mixed_bfloat16", "mixed_float16"]
_positive = click.IntRange(min=1)
# Images of one command, which are held in memory.
_images = click.IntRange(1, 10_000)
_path = click.Path(path_type=Path)
_seeds = click.IntRange(0, 2**32 - 1)
# 1, since the pictures of training are drawn by 0.
_seed = click.option(
    "--seed", type=_seeds, default=1, show_default=True, help="The same gives the same."
)
_condition = click.option(
    "--condition", metavar="CLASS", help="Name or number of the class to draw. Default: all in turn."
)


def _model(function):
    return click.argument("model", type=_path)(function)


def _output(what):
    return click.option("--output", type=_path, help=f"{what} Default: in the model's folder.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(importlib.metadata.version("keras-gan"), prog_name="keras-gan")
def keras_gan():
    """Train generative adversarial nets, draw from them, measure and export them.

    MODEL is the folder of a run, such as runs/photos, or a .keras file.

    \b
    Examples:
      keras-gan train ./photos --size 64    a folder of pictures; goes on where it stopped
      keras-gan sample runs/photos          64 new pictures, in runs/photos/sample.png
      keras-gan export runs/photos          a SavedModel for TensorFlow Serving
    """


@keras_gan.command(short_help="Train on a folder of pictures, or a dataset.")
@click.argument("source")
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    default="dcgan",
    show_default=True,
    help="dcgan: convolutional nets. dense2014: those of the first paper, for grey images of 28 × 28.",
)
@click.option("--size", type=_positive, help="Height and width. dcgan: a power of 2, by default 64.")
@click.option(
    "--channels", type=click.Choice(["1", "3"]), help="1: grey, 3: colour. Default: as the data."
)
@click.option("--conditional", is_flag=True, help="Learn classes: the subfolders, or a dataset's.")
@click.option(
    "--width",
    type=_positive,
    default=32,
    show_default=True,
    help="Maps of dcgan's outer layers: 64 or 128 if there is a GPU.",
)
@click.option(
    "--batch-size", type=click.IntRange(1, 65_536), default=64, show_default=True, help="Images a step."
)
@click.option("--precision", type=click.Choice(_PRECISIONS), default="float32", show_default=True)
@click.option("--seed", type=_seeds, default=0, show_default=True, help="The same gives the same.")
@click.option(
    "--epochs",
    type=click.IntRange(1, 1_000_000),
    help="Passes over the data. Default: as hold 10,000 steps.",
)
@click.option("--output", type=_path, help="Folder of the run. Default: runs/NAME.")
@click.option("--download", is_flag=True, help="Let TensorFlow Datasets download what is not prepared.")
def train(**options):
    """Train on SOURCE: a folder of pictures, or the name of a dataset.

    The folder of the run gets pictures of samples (samples/), the curves of the losses (curves.png), the
    model (gan.keras), and the state of training: the same command goes on where it stopped. Ctrl-C ends
    a run after the epoch at hand. How long it takes is told after the first epochs; without a GPU, 300
    photos at --size 32 show faces after some minutes, at --size 64 after an hour.

    \b
    Examples:
      keras-gan train ./photos --size 64
      keras-gan train mnist5k --size 32 --width 16 --epochs 30
      keras-gan train cifar10 --size 32 --conditional --output runs/classes
    """
    _act("train", options)


@keras_gan.command(short_help="Draw new pictures.")
@_model
@click.option("--number", type=_images, default=64, show_default=True, help="How many.")
@_condition
@_seed
@_output("A .png file for one picture of all, or a folder for a file of each.")
def sample(**options):
    """Draw new pictures from MODEL.

    \b
    Examples:
      keras-gan sample runs/photos --seed 7
      keras-gan sample runs/photos --number 1000 --output many/
    """
    _act("sample", options)


@keras_gan.command(short_help="Draw the way from one picture to another.")
@_model
@click.option(
    "--rows", type=click.IntRange(1, 100), default=9, show_default=True, help="Ways, each from a latent."
)
@click.option(
    "--steps", type=click.IntRange(2, 100), default=10, show_default=True, help="Pictures of a way."
)
@click.option(
    "--path",
    type=click.Choice(PATHS),
    default="spherical",
    show_default=True,
    help="Whether a way keeps the length that latents have.",
)
@_condition
@_seed
@_output("A .png file, or a .gif film.")
def interpolate(**options):
    """Draw what MODEL makes on the way from one latent to another.

    \b
    Example:
      keras-gan interpolate runs/photos --output way.gif
    """
    _act("interpolate", options)


@keras_gan.command(short_help="Hold samples against real images.")
@_model
@click.argument("source", required=False)
@click.option("--number", type=_images, default=2000, show_default=True, help="Samples, real images.")
@click.option(
    "--features",
    type=click.Choice(FEATURES),
    default="pixels",
    show_default=True,
    help="What images are compared by.",
)
@click.option("--weights", type=_path, help="File of the network that makes the features.")
@_seed
@_output("A .json file.")
def evaluate(**options):
    """Hold samples of MODEL against real images: those of its training, or SOURCE.

    Scores depend on features, real images and numbers of images: compare them only where these are the
    same. Pixels are the same everywhere, but say little of what images show; inception needs the weights
    that Keras keeps in ~/.keras/models, or --weights.

    \b
    Examples:
      keras-gan evaluate runs/photos
      keras-gan evaluate runs/photos ./photos-never-seen --features inception
    """
    _act("evaluate", options)


@keras_gan.command(short_help="Write a SavedModel, for TensorFlow Serving and others.")
@_model
@click.option("--version", type=_positive, help="Its number. Default: one more than the last.")
@_output("A folder, of the model's versions.")
def export(**options):
    """Write MODEL as a SavedModel, which TensorFlow Serving and other programs run without this package.

    \b
    Example:
      keras-gan export runs/photos --output models/photos
    """
    _act("export", options)


@keras_gan.command()
@_model
def info(**options):
    """Say what MODEL is, and how it was trained.

    \b
    Example:
      keras-gan info runs/photos
    """
    _act("info", options)


def _act(name, options):
    # Not before: the import takes seconds, which help and wrong options need not wait for.
    with _quiet():
        actions = importlib.import_module("keras_gan_cli.actions")
        importlib.import_module("tensorflow")
    # By which TensorFlow Datasets writes what an error says again.
    logging.getLogger("absl").setLevel(logging.ERROR)
    getattr(actions, name)(**options)


@contextlib.contextmanager
def _quiet():
    """Keep what TensorFlow writes on stderr while it is imported, whatever its environment says."""
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as told:
        os.dup2(told.fileno(), 2)
        try:
            yield
        except Exception:
            told.seek(0)
            os.write(stderr, told.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)

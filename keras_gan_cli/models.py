"""The model that a command loads: that of a run, or a file."""

import dataclasses
import math
import zipfile
from pathlib import Path

import keras
import numpy as np

from keras_gan import datasets, visualization
from keras_gan.callbacks.base import load_images
from keras_gan.models import GAN
from keras_gan.models.ranges import sample_range
from keras_gan.serving.signatures import are_images
from keras_gan.utils.images import image_shape, image_size
from keras_gan_cli.runs import MODEL, Run, ema_is_warm
from keras_gan_cli.tables import FileProgress


class Model:
    """The GAN in the folder of a run, or in a `.keras` file.

    Args:
        path: folder or file.

    Raises:
        ValueError: there is none, or it is a model of another kind.
    """

    def __init__(self, path):
        path = Path(path)
        if not path.exists():
            raise ValueError(
                f"There is no run and no model at {str(path)!r}. Runs are in the folder runs by default."
            )
        self.folder = path if path.is_dir() else path.parent
        self.file = path / MODEL if path.is_dir() else path
        if not self.file.exists():
            raise ValueError(
                f"MODEL is not a run: the folder {str(path)!r} contains no {MODEL}, "
                "which `keras-gan train` writes when it finishes or is stopped by Ctrl-C."
            )
        self.settings = Run(self.folder).settings
        self.gan = _load_gan(self.file)
        if not isinstance(self.gan, GAN):
            raise ValueError(
                f"{self.file} contains a model of the class {type(self.gan).__name__}, not a GAN."
            )

    @property
    def classes(self):
        """Names of the classes that are conditions, or None."""
        return self.settings and self.settings.classes

    @property
    def use_ema(self):
        """Whether samples are better with the EMA of the generator's weights."""
        return self.gan.ema is not None and ema_is_warm(self.gan)

    @property
    def value_range(self):
        """The values shown as black and as white."""
        value_range = sample_range(self.gan)
        if value_range is None or not are_images(self.gan.sample_spec):
            raise ValueError(
                f"{self.file} does not generate images that this command can show: samples of shape "
                f"{self.gan.sample_shape}, from a generator whose last activation has no bounds, as "
                "sigmoid and tanh have."
            )
        return value_range

    def conditions(self, number, name=None):
        """Return a class for each of `number` samples: the named one, or all in turn."""
        if not self.gan.conditional:
            if name is not None:
                raise ValueError(f"--condition {name}: {self.file} is not conditional. Leave it out.")
            return None
        if name is None and self.classes:
            return np.arange(number) % len(self.classes)
        return np.full(number, self._class(name))

    def _class(self, name):
        names = self.classes or []
        if name in names:
            return names.index(name)
        # If class names are numbers, a number is a name and not an index.
        by_number = not any(known.isdecimal() for known in names)
        if name is not None and name.isdecimal() and by_number and (not names or int(name) < len(names)):
            return int(name)
        expected = f"one of {', '.join(names)}" if names else "the number of a class"
        number = f", or its number from 0 to {len(names) - 1}" if names and by_number else ""
        raise ValueError(f"--condition must be {expected}{number}. Received: {name!r}")

    def generate(self, number, seed, condition=None):
        """Return `number` samples."""
        conditions = self.conditions(number, condition)
        return self.gan.generate(number, seed=seed, condition=conditions, use_ema=self.use_ema)

    def real_images(self, name, source, limit):
        """Return a name for real images, and `limit` of them at most.

        Args:
            name: what to call the source, or None for the training data.
            source: what `kg.datasets.load` calls it, or None for the training data.
            limit: number of images.
        """
        trained_on = self.settings and self.settings.source
        if source is None and trained_on is None:
            raise ValueError(
                f"{self.file} does not say what it was trained on. Name a folder of real images as well."
            )
        kind, _, path = (source or trained_on).partition(":")
        if source is None and kind == "folder" and not Path(path).is_dir():
            raise ValueError(
                f"The images that the model was trained on are no longer in {path!r}. Move them back, "
                "or name a folder of real images after the model."
            )
        height, width, channels = image_size(self.gan.sample_shape)
        if height != width:
            raise ValueError(
                f"Real images are read as squares. Samples of {self.file}: {height} × {width}"
            )
        options = {"image_size": height, "channels": channels, "value_range": self.value_range}
        data = datasets.load(source or trained_on, shuffle=False, progress=FileProgress(), **options)
        return name or f"{Path(path).name or kind} (training images)", load_images(data, limit)

    def summary(self):
        """Return a description, as a dict of names and text."""
        gan = self.gan
        summary = {
            "generator": f"{gan.generator.count_params():,} weights, for samples {gan.sample_shape}",
            "discriminator": f"{gan.discriminator.count_params():,} weights",
            "prior": type(gan.prior).__name__,
            "conditional": "yes" if gan.conditional else "no",
            "classes": self.classes and ", ".join(self.classes),
        }
        if gan.compiled:
            summary |= {
                "loss": type(gan.loss).__name__,
                "update rule": type(gan.update).__name__,
                "terms": ", ".join(type(term).__name__ for term in gan.terms) or None,
                "steps": f"{int(gan.g_optimizer.iterations):,}",
            }
        settings = dataclasses.asdict(self.settings) if self.settings else {}
        return summary | {
            name.replace("_", " "): value for name, value in settings.items() if name not in summary
        }

    def to_uint8(self, samples):
        """Return samples as uint8 images."""
        return visualization.to_uint8(samples, self.value_range)


def _load_gan(file):
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file} is damaged, or not a .keras file.")
    try:
        return keras.models.load_model(file)
    except (ImportError, MemoryError):
        raise
    # Readers raise exceptions of any class for a damaged file.
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # an error of the disk
            raise
        raise ValueError(f"{file} is damaged, or not a .keras file of a GAN: {error}") from error


def square_grid(images, columns=None):
    """Return a grid of images, square unless `columns` is given; empty cells are white."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    shape = image_shape(*image_size(images.shape))
    missing = np.full((rows * columns - len(images), *shape), visualization.WHITE, "uint8")
    return visualization.image_grid(np.concatenate([images, missing]), rows, columns)

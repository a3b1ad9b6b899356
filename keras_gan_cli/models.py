"""A model that a command is given: what a run or a file holds."""

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
from keras_gan_cli.runs import MODEL, Run, ripe


class Model:
    """The GAN in the folder of a run, or in a `.keras` file.

    Args:
        path: folder or file.

    Raises:
        ValueError: there is none, or a model of another kind.
    """

    def __init__(self, path):
        path = Path(path)
        if not path.exists():
            raise ValueError(
                f"There is no run and no model at {str(path)!r}. Runs lie in the folder runs."
            )
        self.folder = path if path.is_dir() else path.parent
        self.file = path / MODEL if path.is_dir() else path
        if not self.file.exists():
            raise ValueError(
                f"The folder {str(path)!r} holds no {MODEL}, which a run of `keras-gan train` leaves at "
                "its end, or when it is stopped by Ctrl-C."
            )
        self.settings = Run(self.folder).settings
        self.gan = _loaded(self.file)
        if not isinstance(self.gan, GAN):
            raise ValueError(
                f"{self.file} holds a model of the class {type(self.gan).__name__}, not a GAN."
            )

    @property
    def classes(self):
        """Names of the classes that are conditions, or None."""
        return self.settings and self.settings.classes

    @property
    def use_ema(self):
        """Whether there is an average of the generator's weights whose samples are better."""
        return self.gan.ema is not None and ripe(self.gan)

    @property
    def value_range(self):
        """The numbers that are black and white in samples."""
        value_range = sample_range(self.gan)
        if value_range is None or not are_images(self.gan.sample_spec):
            raise ValueError(
                f"{self.file} makes no images that this command knows how to show: samples of shape "
                f"{self.gan.sample_shape}, by a generator that ends in neither sigmoid nor tanh."
            )
        return value_range

    def conditions(self, number, name=None):
        """Return a class for each of so many samples: the one that is named, or one after the other."""
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
        if name is not None and name.isdecimal() and (not names or int(name) < len(names)):
            return int(name)
        known = f"one of {', '.join(names)}, or its number" if names else "the number of a class"
        raise ValueError(f"--condition is {known}. Received: {name!r}")

    def draw(self, number, seed, condition=None):
        """Return samples."""
        conditions = self.conditions(number, condition)
        return self.gan.generate(number, seed=seed, condition=conditions, use_ema=self.use_ema)

    def real_images(self, name, source, most):
        """Return what real images are called, and some: of a source, or of the data of the run."""
        source = source or (self.settings and self.settings.source)
        if source is None:
            raise ValueError(f"{self.file} does not say what it was trained on. Name real images, too.")
        height, width, channels = self.gan.sample_shape
        if height != width:
            raise ValueError(
                f"Real images are read as squares. Samples of {self.file}: {height} × {width}"
            )
        how = {"image_size": height, "channels": channels, "value_range": self.value_range}
        data = datasets.load(source, shuffle=False, **how)
        return name or source.rpartition("/")[2], load_images(data, most)

    def described(self):
        """Return what there is to say, as a dict of names and text."""
        gan = self.gan
        own = {
            "generator": f"{gan.generator.count_params():,} weights, to samples {gan.sample_shape}",
            "discriminator": f"{gan.discriminator.count_params():,} weights",
            "prior": type(gan.prior).__name__,
            "conditional": "yes" if gan.conditional else "no",
            "classes": self.classes and ", ".join(self.classes),
        }
        if gan.compiled:
            own |= {
                "loss": type(gan.loss).__name__,
                "update rule": type(gan.update).__name__,
                "terms": ", ".join(type(term).__name__ for term in gan.terms) or None,
                "steps": f"{int(gan.g_optimizer.iterations):,}",
            }
        settings = dataclasses.asdict(self.settings) if self.settings else {}
        return own | {name: value for name, value in settings.items() if name not in own}

    def bytes(self, samples):
        """Return samples as images of bytes."""
        return visualization.to_uint8(samples, self.value_range)


def _loaded(file):
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file} is damaged, or is no .keras file.")
    try:
        return keras.models.load_model(file)
    except (ImportError, MemoryError):
        raise
    # A damaged file leads its reader into any kind of error.
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # of the disk
            raise
        raise ValueError(f"{file} is damaged, or is no .keras file of a GAN: {error}") from error


def grid(images, columns=None):
    """Return one picture of images, as a square unless columns are given, its end left white."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    missing = np.full((rows * columns - len(images), *images.shape[1:]), visualization.WHITE, "uint8")
    return visualization.image_grid(np.concatenate([images, missing]), rows, columns)

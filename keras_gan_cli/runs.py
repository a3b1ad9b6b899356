"""A run: a folder that holds settings, the state of training, pictures and a model."""

import contextlib
import dataclasses
import json
import math
import os
import signal
import threading
from pathlib import Path

import keras

from keras_gan import callbacks, datasets, pictures
from keras_gan_cli.architectures import ARCHITECTURES
from keras_gan_cli.tables import tell

MODEL = "gan.keras"
_SETTINGS = "run.json"
# Training steps of a run that is not told its epochs.
_STEPS = 20_000
# Training steps from one state to the next, which is as large as the model and its optimizers.
_STEPS_A_STATE = 50
_PICTURES = 50
_GRID = 8


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides a run beside its length.

    Args:
        source: what `kg.datasets.load` calls the data.
        architecture: one of `ARCHITECTURES`.
        size: height and width of the images.
        channels: 1 or 3.
        classes: names of the classes that are conditions, or None.
        width: feature maps of the outer layers, of a convolutional architecture.
        batch_size: images a step.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        seed: of weights, noise and the order of the data.
    """

    source: str
    architecture: str
    size: int
    channels: int
    classes: list | None
    width: int
    batch_size: int
    precision: str
    seed: int

    @property
    def images(self):
        """How images are read: arguments of `kg.datasets.load`."""
        value_range = ARCHITECTURES[self.architecture].value_range
        return {"image_size": self.size, "channels": self.channels, "value_range": value_range}


class Run:
    """The folder of a run.

    Args:
        folder: its path.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.model = self.folder / MODEL

    @property
    def settings(self):
        """`Settings` that the folder holds, or None."""
        file = self.folder / _SETTINGS
        try:
            return Settings(**json.loads(file.read_text()))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise ValueError(f"{file} does not hold the settings of a run: {error}") from error

    def check_writable(self):
        """Notice before anything takes time that the folder cannot be made or written to."""
        there = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            what = "is no folder" if not there.is_dir() else "lets nobody like you write"
            raise ValueError(f"The run cannot be written to {str(self.folder)!r}: {there} {what}.")

    def claim(self, settings):
        """Write the settings into the folder, or refuse it if it holds another run."""
        held, wanted = self.settings, dataclasses.asdict(settings)
        if held is None:
            pictures.write_whole(self.folder / _SETTINGS, json.dumps(wanted, indent=2).encode())
            return
        unlike = [
            f"{name} was {value!r}, and is {wanted[name]!r}"
            for name, value in dataclasses.asdict(held).items()
            if value != wanted[name]
        ]
        if unlike:
            raise ValueError(
                f"{self.folder} holds a run with other settings: {'; '.join(unlike)}. Go on with it by "
                "its own settings, or name another folder by --output."
            )

    def train(self, gan, data, epochs):
        """Train from the state in the folder on, leave the model there, and return the history.

        Raises:
            KeyboardInterrupt: Ctrl-C came, and the model is left there all the same.
        """
        steps = data.cardinality().numpy()
        resume = callbacks.Resume(self.folder / "resume", every=max(1, _STEPS_A_STATE // steps))
        interrupt = Interrupt(resume)
        every = max(1, epochs // _PICTURES)
        classes = self.settings.classes
        grid = callbacks.SampleGrid(
            self.folder / "samples",
            every=every,
            rows=_GRID,
            columns=_GRID,
            condition=[number % len(classes) for number in range(_GRID**2)] if classes else None,
            value_range=self.settings.images["value_range"],
        )
        curves = callbacks.TrainingCurves(self.folder / "curves.png", every=every)
        try:
            with interrupt.listening():
                history = gan.fit(
                    data, epochs=epochs, callbacks=[Ripening(grid), grid, curves, resume, interrupt]
                )
        except KeyboardInterrupt:
            gan.save(self.model)
            raise
        gan.save(self.model)
        return history


class Ripening(keras.callbacks.Callback):
    """Lets sample grids show the average of the generator's weights as soon as it is ripe.

    Args:
        grid: `SampleGrid`.
    """

    def __init__(self, grid):
        super().__init__()
        self.grid = grid

    def on_epoch_end(self, epoch, logs=None):
        """Look at the steps that were done."""
        self.grid.averaged = ripe(self.model)


class Interrupt(keras.callbacks.Callback):
    """Lets Ctrl-C end a run after the epoch at hand, with its state written; a second one, at once.

    Args:
        resume: `Resume`, which acts before all other callbacks.
    """

    def __init__(self, resume):
        super().__init__()
        # An event, and no plain number, which a resumed run would put back.
        self.resume, self.wanted = resume, threading.Event()

    @contextlib.contextmanager
    def listening(self):
        """Take Ctrl-C over for the code inside."""
        before = signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def on_epoch_begin(self, epoch, logs=None):
        """End the run, since `Resume` has just written the state of the epoch before."""
        if self.wanted.is_set():
            raise KeyboardInterrupt

    def _note(self, number, frame):
        if self.wanted.is_set():
            raise KeyboardInterrupt
        self.wanted.set()
        self.resume.every = 1
        tell("\nStops after this epoch. Ctrl-C again stops at once, and loses what this epoch did.")


def ripe(gan):
    """Whether the average of a generator's weights has forgotten the first steps.

    Until then it averages over weights too far apart to make a picture together, most of them grey.
    """
    return int(gan.optimizer.iterations) >= 2 / (1 - gan.average.decay)


def load(settings, conditional, download):
    """Return the batches of a run."""
    return datasets.load(
        settings.source,
        batch_size=settings.batch_size,
        labels=conditional,
        seed=settings.seed,
        download=download,
        **settings.images,
    )


def default_epochs(data):
    """Return how many epochs a run has that is not told."""
    return math.ceil(_STEPS / data.cardinality().numpy())

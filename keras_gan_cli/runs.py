"""A run: a folder that holds settings, the state of training, pictures and a model."""

import collections
import contextlib
import dataclasses
import json
import math
import os
import signal
import threading
import time
from pathlib import Path

import keras

from keras_gan import callbacks, datasets
from keras_gan.utils import files
from keras_gan_cli.architectures import ARCHITECTURES
from keras_gan_cli.tables import tell

MODEL = "gan.keras"
_SETTINGS, _LOCK = "run.json", ".lock"
# Training steps of a run that is not told its epochs.
_STEPS = 10_000
# Training steps from one state to the next, which is as large as the model and its optimizers.
_STEPS_A_STATE = 50
_PICTURES = 50
_STOPS = (signal.SIGINT, signal.SIGTERM)
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
        num_images: how many images the data are.
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
    num_images: int | None = None

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
            raise ValueError(f"{file} does not hold the settings of a run of this program.") from error

    @contextlib.contextmanager
    def claimed(self):
        """Keep other processes from the folder for the code inside."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / _LOCK, "w") as file:
            try:
                _lock(file)
            except BlockingIOError as error:
                raise ValueError(
                    f"Another process is at work on the run in {str(self.folder)!r}. Wait for its end, "
                    "or name another folder by --output."
                ) from error
            # What a killed process was writing: as large as a model, and nobody's.
            for part in self.folder.glob(f".{MODEL}.*.tmp.keras"):
                part.unlink()
            yield

    def claim(self, settings):
        """Write the settings into the folder, or refuse it if it holds another run."""
        held, wanted = self.settings, dataclasses.asdict(settings)
        # A run that ended before its first state, by too large a network or so, claims nothing.
        begun = self.model.exists() or any((self.folder / "resume").glob("epoch-*"))
        if held is None or not begun:
            files.write_bytes(self.folder / _SETTINGS, json.dumps(wanted, indent=2).encode())
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
        every = max(1, epochs // _PICTURES)
        classes = self.settings.classes
        grid = Album(
            self.folder / "samples",
            every=every,
            rows=_GRID,
            columns=_GRID,
            condition=[number % len(classes) for number in range(_GRID**2)] if classes else None,
            value_range=self.settings.images["value_range"],
        )
        curves = callbacks.TrainingCurves(self.folder / "curves.png", every=every)
        interrupt = Interrupt(resume, [grid, curves])
        try:
            with interrupt.listening():
                history = gan.fit(
                    data, epochs=epochs, callbacks=[Estimate(), grid, curves, resume, interrupt]
                )
        except KeyboardInterrupt:
            gan.save(self.model)
            raise
        gan.save(self.model)
        return history


class Album(callbacks.SampleGrid):
    """Sample grids, closer together at first, by the average of the weights as soon as it is ripe."""

    def on_epoch_end(self, epoch, logs=None):
        """Draw, if it is this epoch's turn."""
        self.use_ema = ripe(self.model)
        super().on_epoch_end(epoch, logs)

    def _is_due(self, number):
        return super()._is_due(number) or number.bit_count() == 1  # 1, 2, 4, 8, ...


class Estimate(keras.callbacks.Callback):
    """Says how long a run takes, from its second and third epoch: compilation is in the first."""

    def on_train_begin(self, logs=None):
        """Begin to count the epochs of this process."""
        # No plain list, which a resumed run would put back.
        self.begun = collections.deque()

    def on_epoch_begin(self, epoch, logs=None):
        """Tell, once there is something to tell from."""
        self.begun.append(time.perf_counter())
        left = self.params["epochs"] - epoch
        if len(self.begun) == 4:
            seconds = (self.begun[3] - self.begun[1]) / 2 * left
            tell(f"About {_duration(seconds)} to the end.")


class Interrupt(keras.callbacks.Callback):
    """Lets Ctrl-C end a run after the epoch at hand, with its state written; a second one, at once.

    Args:
        resume: `Resume`, which acts before all other callbacks.
        drawing: callbacks that draw the last epoch when training ends.
    """

    def __init__(self, resume, drawing):
        super().__init__()
        # An event, and no plain number, which a resumed run would put back.
        self.resume, self.drawing, self.wanted = resume, drawing, threading.Event()

    @contextlib.contextmanager
    def listening(self):
        """Take Ctrl-C over for the code inside, and what ends a process that nobody looks at."""
        before = {number: signal.signal(number, self._note) for number in _STOPS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_epoch_begin(self, epoch, logs=None):
        """End the run, since `Resume` has just written the state of the epoch before."""
        if self.wanted.is_set():
            for callback in self.drawing:
                callback.on_train_end()
            raise KeyboardInterrupt

    def _note(self, number, frame):
        if self.wanted.is_set():
            raise KeyboardInterrupt
        self.wanted.set()
        self.resume.every = 1
        # Not by `tell`: the signal may have come amidst a line of the progress bar.
        os.write(
            1, b"\nStops after this epoch. Ctrl-C again stops at once, and loses what this epoch did.\n"
        )


def check_writable(folder):
    """Notice before anything takes time that a folder cannot be made or written to.

    Raises:
        ValueError: it cannot; the message says what is in the way.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "is no folder" if not there.is_dir() else "lets nobody like you write"
        raise ValueError(f"Nothing can be written to {str(folder)!r}: {there} {what}.")


def _lock(file):
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # some file systems of networks have no locks


def _duration(seconds):
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} seconds"
    return f"{minutes} minutes" if minutes < 100 else f"{minutes / 60:.0f} hours"


def ripe(gan):
    """Whether the average of a generator's weights has forgotten the first steps.

    Until then it averages over weights too far apart to make a picture together, most of them grey.
    """
    return int(gan.optimizer.iterations) >= 2 / (1 - gan.ema.decay)


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

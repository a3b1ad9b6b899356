"""A run: a folder with settings, the state of training, sample grids and a model."""

import collections
import contextlib
import dataclasses
import json
import math
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import keras

from keras_gan import callbacks, datasets
from keras_gan.utils import files
from keras_gan_cli.architectures import ARCHITECTURES
from keras_gan_cli.tables import FileProgress, print_line

MODEL = "gan.keras"
_SETTINGS, _LOCK = "run.json", ".lock"
# Training steps of a run without --epochs.
_DEFAULT_STEPS = 10_000
# Training steps between checkpoints, which are as large as the model and its optimizers.
_STEPS_PER_CHECKPOINT = 50
_NUM_GRIDS = 50
_GRID_SIDE = 8
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that determines a run except its length.

    Args:
        source: the data, as `kg.datasets.load` takes them.
        architecture: one of `ARCHITECTURES`.
        size: height and width of the images.
        channels: 1 or 3.
        classes: names of the classes that are conditions, or None.
        width: feature maps of the outer layers, for a convolutional architecture.
        batch_size: images per training step.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        seed: of weights, noise and the order of the data.
        num_images: number of training images.
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
        """Arguments of `kg.datasets.load` that say how images are read."""
        value_range = ARCHITECTURES[self.architecture].value_range
        return {"image_size": self.size, "channels": self.channels, "value_range": value_range}

    def mismatches(self, others):
        """Return how other settings differ, in words, as a list."""
        names = [field.name for field in dataclasses.fields(self)]
        pairs = {name: (getattr(self, name), getattr(others, name)) for name in names}
        pairs = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        words = []
        if "source" in pairs:
            before, now = (source.removeprefix("folder:") for source in pairs.pop("source"))
            words.append(f"it was trained on {before}, not on {now}")
        if "num_images" in pairs:
            before, now = pairs.pop("num_images")
            words.append(f"it was trained on {before} images, and there are {now} now")
        if "classes" in pairs:
            before, now = (", ".join(classes or ["none"]) for classes in pairs.pop("classes"))
            words.append(f"its classes (--conditional) were {before}, and are {now} now")
        options = [
            f"--{name.replace('_', '-')} was {before}, and is {now} now"
            for name, (before, now) in pairs.items()
        ]
        return words + options


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
        """`Settings` in the folder, or None."""
        file = self.folder / _SETTINGS
        try:
            return Settings(**json.loads(file.read_text()))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{file} does not contain the settings of a run of this program."
            ) from error

    @contextlib.contextmanager
    def locked(self):
        """Keep other processes out of the folder while the code inside runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / _LOCK, "w") as file:
            try:
                _lock(file)
            except BlockingIOError as error:
                raise ValueError(
                    f"Another process is training in {str(self.folder)!r}. Wait until it ends, or "
                    "choose another folder with --output."
                ) from error
            files.cleanup(self.folder)
            yield

    def write_settings(self, settings):
        """Write the settings, or raise ValueError if the folder contains another run."""
        held = self.settings
        # A run that failed before its first checkpoint does not reserve the folder.
        started = self.model.exists() or any((self.folder / "resume").glob("epoch-*"))
        mismatches = held.mismatches(settings) if held is not None and started else []
        if mismatches:
            raise ValueError(
                f"{self.folder} contains another run: {'; '.join(mismatches)}. To resume it, use the "
                "same options and images; to start a new run, choose another folder with --output."
            )
        if held is None or not started:
            content = json.dumps(dataclasses.asdict(settings), indent=2)
            files.write_bytes(self.folder / _SETTINGS, content.encode())

    def train(self, gan, data, epochs):
        """Train from the state in the folder, write the model there, and return the history.

        Raises:
            KeyboardInterrupt: Ctrl-C stopped training; the model is written all the same.
        """
        steps = data.cardinality().numpy()
        resume = callbacks.Resume(self.folder / "resume", every=max(1, _STEPS_PER_CHECKPOINT // steps))
        every = max(1, epochs // _NUM_GRIDS)
        classes = self.settings.classes
        grid = RunSampleGrid(
            self.folder / "samples",
            every=every,
            rows=_GRID_SIDE,
            columns=_GRID_SIDE,
            condition=[i % len(classes) for i in range(_GRID_SIDE**2)] if classes else None,
            value_range=self.settings.images["value_range"],
        )
        curves = callbacks.TrainingCurves(self.folder / "curves.png", every=every)
        stop = GracefulStop(resume, [grid, curves])
        try:
            with stop.listening():
                history = gan.fit(
                    data,
                    epochs=epochs,
                    verbose=0,
                    callbacks=[EpochProgress(resume), grid, curves, resume, stop],
                )
        except KeyboardInterrupt:
            gan.save(self.model)
            raise
        gan.save(self.model)
        return history


class RunSampleGrid(callbacks.SampleGrid):
    """Sample grids that are more frequent at first, and use the EMA once it is warm."""

    def on_epoch_end(self, epoch, logs=None):
        """Draw a grid after this epoch, if it is due."""
        self.use_ema = ema_is_warm(self.model)
        super().on_epoch_end(epoch, logs)

    def _is_due(self, number):
        return super()._is_due(number) or number.bit_count() == 1  # 1, 2, 4, 8, ...


class EpochProgress(keras.callbacks.Callback):
    """Prints a line for each epoch, and, after three epochs, an estimate of the remaining time.

    The estimate is made from the second and third epoch, since the first one includes compilation.

    Args:
        resume: `Resume`, which knows the epochs of earlier runs.
    """

    def __init__(self, resume):
        super().__init__()
        self.resume = resume

    def on_train_begin(self, logs=None):
        """Say where the run resumes, and start to record when epochs begin."""
        # Not a plain list, which `Resume` would restore.
        self.epoch_starts = collections.deque()
        done, epochs = self.resume.initial_epoch, self.params["epochs"]
        if done:
            left = "" if done < epochs else "; nothing is left to train"
            print_line(f"Resuming after epoch {done} of {epochs}{left}.")

    def on_epoch_begin(self, epoch, logs=None):
        """Print the estimate when it can be made."""
        self.epoch_starts.append(time.perf_counter())
        self._epoch = f"Epoch {epoch + 1}/{self.params['epochs']}"
        if len(self.epoch_starts) == 4:
            seconds = (self.epoch_starts[3] - self.epoch_starts[1]) / 2 * (self.params["epochs"] - epoch)
            print_line(f"About {_duration(seconds)} left.")

    def on_train_batch_end(self, batch, logs=None):
        """Show the step, on a terminal."""
        if sys.stdout.isatty():
            click.echo(f"\r{self._epoch}  step {batch + 1}/{self.params['steps']} ", nl=False)

    def on_epoch_end(self, epoch, logs=None):
        """Print the logs of this epoch."""
        values = "  ".join(f"{name} {value:.3f}" for name, value in (logs or {}).items())
        seconds = time.perf_counter() - self.epoch_starts[-1]
        line = f"{self._epoch}  {values}  {seconds:.1f} s"
        click.echo(f"\r{line:<79}" if sys.stdout.isatty() else line)


class GracefulStop(keras.callbacks.Callback):
    """On Ctrl-C, stops a run after the current epoch, with its state saved; on a second one, at once.

    Args:
        resume: `Resume`, which acts before all other callbacks.
        drawing: callbacks that draw the last epoch when training ends.
    """

    def __init__(self, resume, drawing):
        super().__init__()
        # An event, not a plain flag, which `Resume` would restore.
        self.resume, self.drawing, self.wanted = resume, drawing, threading.Event()

    @contextlib.contextmanager
    def listening(self):
        """Handle Ctrl-C, and the signal that ends unattended processes, while the code inside runs."""
        before = {number: signal.signal(number, self._note) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_epoch_begin(self, epoch, logs=None):
        """Stop the run, since `Resume` has just written the state after the previous epoch."""
        if self.wanted.is_set():
            for callback in self.drawing:
                callback.on_train_end()
            raise KeyboardInterrupt

    def _note(self, number, frame):
        if self.wanted.is_set():
            raise KeyboardInterrupt
        self.wanted.set()
        self.resume.every = 1
        # Written directly: the signal may arrive while another line is being printed.
        os.write(
            1, b"\nStopping after this epoch. Press Ctrl-C again to stop now and lose this epoch.\n"
        )


def check_writable(folder):
    """Check that a folder can be created or written to, before the slow work begins.

    Raises:
        ValueError: it cannot; the message says why.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = "is not a folder" if not existing.is_dir() else f"does not allow it ({error.strerror})"
        raise ValueError(f"Nothing can be written to {str(folder)!r}: {existing} {reason}.") from error


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
        pass  # some network file systems have no locks


def _duration(seconds):
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} seconds"
    return f"{minutes} minutes" if minutes < 100 else f"{minutes / 60:.0f} hours"


def ema_is_warm(gan):
    """Return whether the EMA of a generator's weights has forgotten the first steps.

    Until then, it averages weights that are too far apart for an image to emerge: samples are gray.
    """
    return int(gan.optimizer.iterations) >= warm_steps(gan)


def warm_steps(gan):
    """Return the number of training steps after which the EMA is warm."""
    return math.ceil(2 / (1 - gan.ema.decay))


def load(settings, conditional, download):
    """Return the training batches of a run."""
    return datasets.load(
        settings.source,
        batch_size=settings.batch_size,
        labels=conditional,
        seed=settings.seed,
        download=download,
        progress=FileProgress(),
        **settings.images,
    )


def default_epochs(data):
    """Return the number of epochs of a run without --epochs."""
    return math.ceil(_DEFAULT_STEPS / data.cardinality().numpy())

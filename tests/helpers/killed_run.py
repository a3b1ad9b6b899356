"""A short run that kills itself on request, in a process of its own, for test_killed.

    python killed_run.py            # reads jobs from stdin, one JSON object a line, and forks for each

A fork spares the seconds that an import of Keras takes. A job has the settings of `run`; the answers are
the number of the process, when it has begun, and its exit status.
"""

import itertools
import json
import os
import pathlib
import signal
import sys

import keras
import numpy as np

import keras_gan as kg
from keras_gan.utils import files

EPOCHS = 16


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class AtBatch(keras.callbacks.Callback):
    """Kills in the n-th batch, and says when the first is done."""

    def __init__(self, number, folder):
        super().__init__()
        # No plain numbers, which a resumed run would put back.
        self.batches, self.deadly, self.file = itertools.count(1), {number}, folder / "begun"

    def on_train_batch_end(self, batch, logs=None):
        self.file.touch()
        if next(self.batches) in self.deadly:
            die()


def kill_in(module, name, number, after=False):
    """Kill at the n-th call of a function from now on: before it acts, or after."""
    function = getattr(module, name)
    left = [number]

    def deadly(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0 and after:
            function(*args, **kwargs)
        if left[0] == 0:
            die()
        return function(*args, **kwargs)

    setattr(module, name, deadly)


def half_written(file, **arrays):
    """Stand for `np.savez` where the disk has got half of the bytes."""
    pathlib.Path(file).write_bytes(b"PK" + bytes(100))
    die()


def arm(moment, number):
    """Prepare the death of this process at a moment while a state, or another file, is written."""
    if moment == "sync":
        kill_in(os, "fsync", number)
    elif moment in ("rename", "renamed"):
        kill_in(os, "rename", number, after=moment == "renamed")
    elif moment == "replace":
        kill_in(os, "replace", number)
    elif moment == "remove":
        kill_in(os, "rmdir", number)
    elif moment == "write":
        np.savez = half_written


def make_gan(k):
    def network(inputs, outputs, *last):
        layers = keras.layers
        hidden = [layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.2)]
        outputs = layers.Dense(outputs, dtype="float32")
        return keras.Sequential([keras.Input(inputs), layers.Flatten(), *hidden, outputs, *last])

    generator = network((3,), 16, keras.layers.Reshape((4, 4, 1), dtype="float32"))
    gan = kg.GAN(generator, network((4, 4, 1), 1), seed=0)
    gan.compile(
        keras.optimizers.Adam(1e-3),
        keras.optimizers.SGD(0.05, momentum=0.9),
        terms=[kg.terms.HistoricalAveraging("generator", 0.01)],
        discriminator_steps=k,
        ema_decay=0.9,
    )
    return gan


def distance(real, fake):
    return abs(real.mean() - fake.mean())


def run(folder, policy, k, moment=None, number=0):
    """Train, and leave pictures, curves, history and the GAN in the folder."""
    folder = pathlib.Path(folder)
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    images = np.random.default_rng(0).random((60 * k, 4, 4, 1)).astype("float32")
    callbacks = [
        kg.callbacks.EvaluateSamples(distance, images, num_samples=20, every=3),
        kg.callbacks.SampleGrid(folder / "samples", every=3, rows=2, columns=2, gif=True),
        kg.callbacks.TrainingCurves(folder / "curves.png", every=100),
        keras.callbacks.EarlyStopping(
            "val_distance", mode="min", patience=99, restore_best_weights=True
        ),
        kg.callbacks.Resume(folder / "resume"),
        AtBatch(number if moment == "batch" else 0, folder),
    ]
    gan = make_gan(k)
    arm(moment, number)
    data = kg.datasets.load(images, batch_size=10 * k, seed=1)
    history = gan.fit(data, epochs=EPOCHS, callbacks=callbacks, verbose=0)
    gan.save(folder / "gan.keras")
    files.write_bytes(folder / "history.json", json.dumps(history.history).encode())


def main():
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
            os._exit(0)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()

"""The games of `variants.py` in processes of their own, for `test_variants.py`.

python play_variants.py steps MADE DONE         # ten steps from the files of a folder
python play_variants.py devices DONE            # a few steps on two devices
python play_variants.py killed FOLDER NAME      # a run that kills itself, and goes on when run again
"""

import contextlib
import os
import pathlib
import signal
import sys

if sys.argv[1] == "devices":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np


def two_devices():
    """Make this process one of two devices, and return what makes the scope of a game."""
    if keras.backend.backend() == "jax":
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        return contextlib.nullcontext
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope


scope = two_devices() if sys.argv[1] == "devices" else contextlib.nullcontext

import variants

import keras_gan as kg


def fit(gan, name, number=40, **options):
    given = {**variants.data(name, number), **options}
    return gan.fit(**given, batch_size=20, verbose=0, shuffle=False).history


def keep(path, gan, history):
    np.savez(path, *variants.everything(gan), **history)


def steps(made, done):
    for path in sorted(pathlib.Path(made).glob("*.keras")):
        gan = keras.models.load_model(path)
        history = fit(gan, path.stem, 100, epochs=2)
        keep(pathlib.Path(done) / f"{path.stem}.npz", gan, history)
        gan.save(pathlib.Path(done) / path.name)


def devices(done):
    for name in variants.GAMES:
        with scope():
            # Each of two devices would cut its own rows into k minibatches.
            gan = variants.noiseless(name, discriminator_steps=1)
        keep(pathlib.Path(done) / f"{name}.npz", gan, fit(gan, name))


class Die(keras.callbacks.Callback):
    """Kills its process in the middle of the third epoch, once."""

    def __init__(self, file):
        super().__init__()
        self.file = file

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 2 and batch == 0 and not self.file.exists():
            self.file.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


def run(folder, name):
    gan = variants.game(name, run_eagerly=True)  # compiled runs are those of `killed_run.py`
    callbacks = [kg.callbacks.Resume(folder / "resume"), Die(folder / "dead")]
    history = fit(gan, name, epochs=4, callbacks=callbacks)
    gan.save(folder / "gan.keras")
    np.savez(folder / "history.npz", **history)


def start(folder, name):
    """Run in a fork of this process, which spares the seconds that an import takes."""
    child = os.fork()
    if child == 0:
        run(folder, name)
        os._exit(0)
    return child


def killed(done):
    """Leave of each game what an undisturbed run does, and one that was killed and run again."""
    for name in variants.GAMES:
        whole, broken = (pathlib.Path(done) / name / kind for kind in ("undisturbed", "killed"))
        for folder in (whole, broken):
            folder.mkdir(parents=True)
        (whole / "dead").touch()
        children = [start(folder, name) for folder in (whole, broken)]
        assert [os.waitpid(child, 0)[1] for child in children] == [0, signal.SIGKILL], name
        assert os.waitpid(start(broken, name), 0)[1] == 0, name


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

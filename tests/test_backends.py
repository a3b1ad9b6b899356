"""TensorFlow, JAX and torch play the same game, and read each other's files."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import ten_steps

HERE = keras.backend.backend()
OTHERS = sorted({"tensorflow", "jax", "torch"} - {HERE})
# `make test` needs TensorFlow alone.
pytestmark = [pytest.mark.slow, pytest.mark.jax, pytest.mark.torch]
# On JAX each game beside TensorFlow and torch; on torch what remains: its files, read by the others.
NAMES = [*ten_steps.GAMES, "images"] if HERE == "jax" else ["two_steps", "images"]


def load(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a folder for each backend, which all began from the files that this one made."""
    made = tmp_path_factory.mktemp("made")
    for name in NAMES:
        gan = ten_steps.make_images() if name == "images" else ten_steps.make(name)
        gan.save(made / f"{name}.keras")
        np.savez(made / f"{name}-loaded.npz", *ten_steps.everything(gan))
    done = {backend: tmp_path_factory.mktemp(backend) for backend in (HERE, *OTHERS)}
    program = [sys.executable, ten_steps.__file__, str(made)]
    running = [
        subprocess.Popen([*program, str(done[other])], env={**os.environ, "KERAS_BACKEND": other})
        for other in OTHERS
    ]
    ten_steps.main(made, done[HERE])
    assert [process.wait(300) for process in running] == [0, 0]
    return {"made": made, **done}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", OTHERS)
def test_ten_steps_agree(name, other, folders):
    mine, theirs = (load(folders[backend] / f"{name}-trained.npz") for backend in (HERE, other))
    seeds = [key for key, value in mine.items() if value.shape == (2,)]
    assert len(mine) == len(theirs) > len(seeds) + 10
    before = load(folders["made"] / f"{name}-loaded.npz")
    moved = [np.abs(mine[key] - value).max() for key, value in before.items()]
    assert max(moved) > 0.01
    for key in mine.keys() - seeds:
        np.testing.assert_allclose(mine[key], theirs[key], atol=1e-5, rtol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", OTHERS)
def test_files_load_across_backends(name, other, folders):
    """Bit for bit, there and back."""
    before = load(folders["made"] / f"{name}-loaded.npz")
    there = load(folders[other] / f"{name}-loaded.npz")
    for key, value in before.items():
        # Seeds are whole numbers modulo 2³², which not all backends can hold without a sign.
        np.testing.assert_array_equal(_unsigned(value), _unsigned(there[key]))
    back = keras.models.load_model(folders[other] / f"{name}.keras")
    theirs = load(folders[other] / f"{name}-trained.npz")
    for key, value in enumerate(ten_steps.everything(back)):
        np.testing.assert_array_equal(_unsigned(value), _unsigned(theirs[f"arr_{key}"]))
    ten_steps.train(back)  # and goes on


def _unsigned(value):
    return value % 2**32 if value.shape == (2,) else value

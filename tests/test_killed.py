"""Runs that are killed by SIGKILL and started again end as an undisturbed one does, to the bit.

Nineteen kills on TensorFlow: at random moments by another process, and at random points of writing by
the process.
Where the environment variable KILLED_TABLE names a file, a table of the kills is written to it.
"""

import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import zipfile

import h5py
import keras
import pytest

pytestmark = pytest.mark.slow
TESTS = pathlib.Path(__file__).parent
EXAMPLE = TESTS.parent / "examples" / "gan_mnist.py"
ENVIRONMENT = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), "TF_CPP_MIN_LOG_LEVEL": "3"}

# How a run is killed, again and again: "time" by this process, all else at a point of its own code.
KILLS = {
    ("float32", 1): ["time", "write", "sync", "time", "batch", "remove"],
    ("float32", 3): ["renamed", "time", "replace", "batch"],
    ("mixed_float16", 1): ["batch", "time", "rename", "sync"],
    ("mixed_float16", 3): ["sync", "rename", "time", "write"],
}
# Calls of one epoch or two, among which one is drawn: states are written at the end of each.
CALLS = {"batch": 12, "sync": 16, "replace": 6, "rename": 2, "renamed": 2, "remove": 2, "write": 1}


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)


def arrays(folder):
    """Return all arrays of `gan.keras`: weights, both optimizers, seeds, averages."""
    with zipfile.ZipFile(folder / "gan.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    found = {}
    with h5py.File(content) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()].tobytes()}) if hasattr(item, "dtype") else None
            )
        )
    return found


def files(folder):
    """Return the bytes of all files but `gan.keras`, which holds a date, and the state."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "resume" not in path.parts and path.suffix in (".png", ".gif", ".json")
    }


def assert_identical(folder, undisturbed):
    assert arrays(folder) == arrays(undisturbed)
    assert len(arrays(folder)) > 30
    assert files(folder) == files(undisturbed)
    assert {"history.json", "curves.json"} < set(files(folder))


def report(rows):
    if "KILLED_TABLE" in os.environ:
        with open(os.environ["KILLED_TABLE"], "a") as table:
            table.writelines(" | ".join(map(str, row)) + "\n" for row in rows)


def newest(folder):
    """Return the names in the folder of states, as of the moment of a kill."""
    return ", ".join(sorted(path.name for path in (folder / "resume").glob("*"))) or "nothing"


class Runs:
    """Runs of killed_run.py, in forks of one process."""

    def __init__(self):
        self.server = subprocess.Popen(
            [sys.executable, TESTS / "helpers" / "killed_run.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )

    def run(self, folder, setting, moment=None, number=0, delay=None):
        """Run, and return the seconds from the first batch on, and the signal that ended it or 0."""
        folder.mkdir(exist_ok=True)
        (folder / "begun").unlink(missing_ok=True)
        policy, k = setting
        job = {"folder": str(folder), "policy": policy, "k": k, "moment": moment, "number": number}
        print(json.dumps(job), file=self.server.stdin, flush=True)
        child = int(self.server.stdout.readline())
        if delay is not None:
            wait_for((folder / "begun").exists)
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
        status = int(self.server.stdout.readline())
        begun = folder / "begun"
        return time.time() - begun.stat().st_ctime if begun.exists() else 0.0, status


@pytest.fixture(scope="module")
def runs():
    runs = Runs()
    yield runs
    runs.server.stdin.close()
    runs.server.wait(60)
    runs.server.stdout.close()


# Beside TensorFlow the one whose state is largest; what is written how, no backend knows of.
ON_OTHERS = [("mixed_float16", 3)]


@pytest.mark.tensorflow
@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize(
    "setting",
    KILLS if keras.backend.backend() == "tensorflow" else ON_OTHERS,
    ids=lambda setting: f"{setting[0]}, k = {setting[1]}",
)
def test_repeatedly_killed_run_matches_an_uninterrupted_one(setting, runs, tmp_path):
    seconds, status = runs.run(tmp_path / "undisturbed", setting)
    assert status == 0
    dice, rows = random.Random(str(setting)), []
    for moment in KILLS[setting]:
        number = dice.randint(1, CALLS.get(moment, 1))
        # So short that the run is not over by the last kill.
        delay = dice.uniform(0, seconds / 8) if moment == "time" else None
        _, status = runs.run(tmp_path / "killed", setting, moment, number, delay)
        assert status == signal.SIGKILL, moment
        where = f"{1000 * delay:.0f} ms after the first batch" if delay else f"{moment} {number}"
        rows.append((keras.backend.backend(), *setting, where, newest(tmp_path / "killed")))
    assert runs.run(tmp_path / "killed", setting)[1] == 0
    report(rows)
    assert_identical(tmp_path / "killed", tmp_path / "undisturbed")
    report([(keras.backend.backend(), *setting, f"identical after {len(rows)} kills")])


def start_example(folder):
    cut = ["--epochs", "2", "--batch-size", "1000", "--samples", "100", "--every", "1"]
    command = [sys.executable, str(EXAMPLE), *cut, "--output", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)


@pytest.mark.tensorflow
def test_killed_example_resumes(tmp_path):
    assert start_example(tmp_path / "undisturbed").wait() == 0
    folder, delay = tmp_path / "killed", random.Random(0).uniform(0, 0.5)
    example = start_example(folder)
    wait_for(lambda: any((folder / "resume").glob("epoch-0001*")))
    time.sleep(delay)
    example.kill()
    assert example.wait() == -signal.SIGKILL
    where = f"{1000 * delay:.0f} ms after epoch-0001 appears"
    name = keras.backend.backend(), "examples/gan_mnist.py"
    report([(*name, where, newest(folder))])
    assert start_example(folder).wait() == 0
    assert_identical(folder, tmp_path / "undisturbed")
    report([(*name, "identical after 1 kill")])

"""Several devices, and several processes, play the game as one device does.

Each engine runs `replicas/game.py` in processes of its own, which meet on loopback.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
from replicas import game

pytestmark = pytest.mark.slow
GAME = pathlib.Path(game.__file__)
# Without the cache of compiled programs that conftest.py sets: the devices of a cached program may run
# their collective operations in different orders, and wait for each other without end.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
SHORT = ["plain", "average", "lazy_r1_batch_norm", "float16"]
# Replicas of TensorFlow draw noise of their own; those of JAX share one stream.
NOISELESS = [name for name in game.RUNS if name != "noise"]
PLAYED = {
    "tensorflow": {"mirrored": NOISELESS, "multi_worker": SHORT},
    "jax": {"jax_devices": list(game.RUNS), "jax_processes": [*SHORT, "noise"]},
    "torch": {},
}[keras.backend.backend()]
PAIRS = [(engine, name) for engine, names in PLAYED.items() for name in names]
PROCESSES = [engine for engine in PLAYED if engine in ("multi_worker", "jax_processes")]


def on_engines(test):
    """Torch has no engine in Keras."""
    return pytest.mark.tensorflow(pytest.mark.jax(test))


def start(engine, folder, *tasks, dies=None):
    """Start the processes of an engine, one of which may be told to die."""
    ports = ",".join(map(str, free_ports()))
    processes = []
    for worker in range(2 if engine in PROCESSES else 1):
        environment = {**ENVIRONMENT, "PORTS": ports, "WORKER": str(worker), "TF_CPP_MIN_LOG_LEVEL": "2"}
        if worker == dies:
            environment["DIE"] = "1"
        with open(folder / f"log-{worker}.txt", "w") as log:
            command = [sys.executable, str(GAME), engine, str(folder), *tasks]
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    return processes


def free_ports():
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def ends(processes, timeout=240):
    """Wait for processes and return their exit codes; none stays behind."""
    try:
        return [process.wait(timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()


def finish(processes, folder):
    codes = ends(processes)
    logs = "\n".join(path.read_text()[-3000:] for path in folder.glob("log-*.txt"))
    assert not any(codes), logs


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Return the folder in which each engine has written what came out of its games."""
    folders = {engine: tmp_path_factory.mktemp(engine) for engine in ("alone", *PLAYED)}
    names = {"alone": list(game.RUNS), **PLAYED}
    running = []
    for engine, folder in folders.items():
        extra = {"alone": ["resumed"], "mirrored": ["noise", "refused"]}.get(engine, [])
        tasks = [f"parity:{','.join(names[engine])}", "handover", *extra]
        running.append((start(engine, folder, *tasks), folder))
        if len(running) == 2:  # as many as there may be cores
            finish(*running.pop(0))
    for processes, folder in running:
        finish(processes, folder)
    return folders


def close(one, other, tolerance):
    """Compare two files of arrays, but for the states of seeds, whose number of draws may differ."""
    with np.load(one) as a, np.load(other) as b:
        assert len(a.files) == len(b.files) > 20
        for left, right in zip(a.files, b.files, strict=True):
            if "seed_generator_state" not in left:
                np.testing.assert_allclose(a[left], b[right], atol=tolerance, rtol=0, err_msg=left)


@on_engines
@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_update_of_two_replicas_equals_that_of_one(engine, name, played):
    # Sums over two halves round otherwise than those over the whole: most in 16 bits.
    tolerance = 2e-3 if name == "float16" else 1e-6
    close(played["alone"] / f"{name}.npz", played[engine] / f"{name}.npz", tolerance)


@on_engines
@pytest.mark.parametrize("engine", PLAYED)
def test_distributed_run_resumes_on_one_device(engine, played):
    """The file holds all of the state, to the bit, and one device goes on as two would have."""
    folder = played[engine]
    gan = keras.models.load_model(folder / "half-0.keras")
    with np.load(folder / "half.npz") as half:
        for name, value in zip(half.files, game.everything(gan).values(), strict=True):
            np.testing.assert_array_equal(value, half[name])
    gan.fit(game.batches(), verbose=0, shuffle=False)
    with np.load(folder / "whole.npz") as whole:
        for name, value in zip(whole.files, game.everything(gan).values(), strict=True):
            np.testing.assert_allclose(value, whole[name], atol=1e-6)


# On JAX several devices are one program, with one stream of noise and the statistics of all rows.
@pytest.mark.tensorflow
def test_replicas_draw_different_noise_and_dropout(played):
    with np.load(played["mirrored"] / "noise.npz") as found:
        latents, dropout = found["sums"]
        seeds = found["seeds"]
    assert latents[0] != latents[1]
    assert dropout[0] != dropout[1]
    # 4 steps of 2 draws of latents, 4 steps of 3 passes through dropout; nothing of the replicas stays.
    assert sorted(seeds[:, 1]) == [0, 8, 12]
    assert seeds[:, 0].max() < 2**32


@pytest.mark.tensorflow
def test_unsynchronized_statistics_raise(played):
    message = (played["mirrored"] / "refused.txt").read_text()
    assert "On 2 replicas" in message
    assert "synchronized=True" in message
    assert message.endswith("in: norm")


@on_engines
@pytest.mark.parametrize("engine", PROCESSES)
def test_killed_process_ends_the_run_and_the_next_run_resumes(engine, played, tmp_path):
    codes = ends(start(engine, tmp_path, "resumed", dies=1))
    assert codes[1] == -9
    assert codes[0] != 0
    assert [path.name for path in (tmp_path / "resume").iterdir()] == ["epoch-0002"]
    finish(start(engine, tmp_path, "resumed"), tmp_path)
    close(played["alone"] / "resumed.npz", tmp_path / "resumed.npz", 1e-6)


def by_tf_config(addresses, machine):
    task = {"type": "worker", "index": machine}
    return [], {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})}


def by_arguments(addresses, machine):
    return ["--cluster", addresses[0], "--machines", "2", "--machine", str(machine)], {}


JOINING = {"multi_worker": by_tf_config, "jax_processes": by_arguments}


@on_engines
@pytest.mark.parametrize("engine", PROCESSES)
def test_example_trains_on_two_machines_and_resumes(engine, tmp_path):
    example = GAME.parents[2] / "examples" / "several_devices.py"
    command = [sys.executable, str(example), "--split", "train[:200]", "--batch-size", "100"]
    for epochs in ("1", "2"):
        addresses = [f"127.0.0.1:{port}" for port in free_ports()]
        processes = []
        for machine in range(2):
            arguments, variables = JOINING[engine](addresses, machine)
            with open(tmp_path / f"log-{machine}.txt", "w") as log:
                whole = [*command, "--epochs", epochs, "--output", str(tmp_path), *arguments]
                environment = {**ENVIRONMENT, **variables}
                processes.append(subprocess.Popen(whole, env=environment, stdout=log, stderr=log))
        finish(processes, tmp_path)
    drawn = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert drawn == ["epoch-0001.png", "epoch-0002.png"]
    assert [path.name for path in (tmp_path / "resume").iterdir()] == ["epoch-0002"]

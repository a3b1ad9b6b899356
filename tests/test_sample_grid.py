import copy
import os

import keras
import numpy as np
import pytest
from PIL import Image, ImageSequence

from keras_gan import visualization
from keras_gan.callbacks import SampleGrid

EXAMPLES = np.ones((4, 1), "float32")


class FakeGAN(keras.Sequential):
    """A model that really trains, and whose samples tell seed, number of the sample and epoch."""

    def __init__(self, shape=(12, 12, 1), low=0.0):
        super().__init__([keras.Input((1,)), keras.layers.Dense(1)])
        self.shape_, self.low = shape, low
        self.requests = []
        self.compile(loss="mse", run_eagerly=True)

    def generate(self, n, seed=None, condition=None, use_ema=False):
        self.requests.append((n, seed, condition))
        latents = np.random.default_rng(seed).random((n, *self.shape_), "float32")
        moved = (latents + 0.05 * int(self.optimizer.iterations)) % 1
        return self.low + (1 - self.low) * moved

    def run(self, *callbacks, epochs=3, **options):
        options = {"verbose": 0, "shuffle": False} | options
        return self.fit(EXAMPLES, EXAMPLES, epochs=epochs, callbacks=list(callbacks), **options)


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def cells(picture, rows, columns, size, factor):
    """Cut a gray picture back into images `(rows, columns, size, size)`."""
    step = size * factor + 2
    starts = [2 + step * index for index in range(max(rows, columns))]
    return np.array(
        [
            [picture[y : y + step - 2 : factor, x : x + step - 2 : factor] for x in starts[:columns]]
            for y in starts[:rows]
        ]
    )


def test_grid_of_each_epoch_uses_the_same_latents(tmp_path):
    model = FakeGAN()
    model.run(SampleGrid(tmp_path / "new" / "samples", rows=2, columns=3, seed=7))
    folder = tmp_path / "new" / "samples"
    assert sorted(os.listdir(folder)) == ["epoch-0001.png", "epoch-0002.png", "epoch-0003.png"]
    assert {request[:2] for request in model.requests} == {(6, 7)}
    latents = np.random.default_rng(7).random((6, 12, 12, 1), "float32")
    for epoch in (1, 2, 3):
        shown = cells(read(folder / f"epoch-{epoch:04d}.png"), 2, 3, 12, factor=5)
        expected = np.rint(255 * ((latents + 0.05 * epoch) % 1)).reshape(2, 3, 12, 12)
        assert abs(shown - expected).max() <= 1


def test_first_and_last_epoch_are_always_drawn(tmp_path):
    FakeGAN().run(SampleGrid(tmp_path, every=3, rows=1, columns=1), epochs=7)
    numbers = [1, 3, 6, 7]
    assert sorted(os.listdir(tmp_path)) == [f"epoch-{number:04d}.png" for number in numbers]


def test_last_epoch_of_an_early_stopped_run_is_drawn(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 4

    FakeGAN().run(SampleGrid(tmp_path, every=3, rows=1, columns=1), Stop(), epochs=9)
    assert sorted(os.listdir(tmp_path)) == [f"epoch-{number:04d}.png" for number in (1, 3, 5)]


def test_numbering_continues_after_resume(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    FakeGAN().run(SampleGrid(whole, every=2, rows=1, columns=2, gif=True), epochs=5)
    model = FakeGAN()
    model.run(SampleGrid(parts, every=2, rows=1, columns=2), epochs=2)
    model.run(SampleGrid(parts, every=2, rows=1, columns=2, gif=True), epochs=5, initial_epoch=2)
    files = [*(f"epoch-{number:04d}.png" for number in (1, 2, 4, 5)), "samples.gif"]
    assert sorted(os.listdir(whole)) == sorted(os.listdir(parts)) == files
    for name in files:
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


# Keras 3.15 hands variables to NumPy 2.4 through an old form of `__array__` when it saves them.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_numbering_continues_after_backup_and_restore(tmp_path):
    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def callbacks():
        return (
            SampleGrid(tmp_path / "samples", rows=1, columns=1),
            keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        )

    with pytest.raises(KeyboardInterrupt):
        FakeGAN().run(*callbacks(), Kill(), epochs=4)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "samples").iterdir()}
    assert len(times) == 2
    FakeGAN().run(*callbacks(), epochs=4)
    names = [f"epoch-{number:04d}.png" for number in (1, 2, 3, 4)]
    assert sorted(os.listdir(tmp_path / "samples")) == names
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


@pytest.mark.parametrize("broken", ["encoder", "disk"])
def test_crash_while_writing_leaves_no_partial_file(tmp_path, monkeypatch, broken):
    def crash(*arguments, **options):
        raise OSError("No space left on device")

    target = {"encoder": (Image.Image, "save"), "disk": (os, "replace")}[broken]

    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                monkeypatch.setattr(*target, crash)

    with pytest.raises(OSError, match="No space left"):
        FakeGAN().run(SampleGrid(tmp_path, rows=1, columns=1), Break())
    assert os.listdir(tmp_path) == ["epoch-0001.png"]
    assert read(tmp_path / "epoch-0001.png").shape == (64, 64)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_any_number_of_channels(tmp_path, channels):
    FakeGAN((28, 20, channels)).run(
        SampleGrid(tmp_path, rows=2, columns=3, gif=True, nearest=np.ones((5, 28, 20, channels)))
    )
    picture = read(tmp_path / "epoch-0003.png")
    side_by_side = channels if channels in (2, 5) else 1
    cell = 40 * side_by_side + 2
    assert picture.shape[:2] == (2 * 58 + 2, 3 * cell + 2 + (cell + 2) // 4 + cell + 2)
    assert picture.shape[2:] == ((channels,) if channels in (3, 4) else ())
    latents = np.random.default_rng(0).random((6, 28, 20, channels), "float32")
    sample = np.rint(255 * ((latents[4] + 0.15) % 1))
    shown = picture[60:116:2, 2 + cell : 2 * cell : 2].reshape(28, 20 * side_by_side, -1)
    if side_by_side > 1:
        sample = np.concatenate(list(np.moveaxis(sample, 2, 0)), axis=1)[..., None]
    assert abs(shown - sample).max() <= 1


@pytest.mark.parametrize("close", [True, False])
def test_nearest_training_image_is_last_in_each_row(tmp_path, close):
    rng = np.random.default_rng(3)
    training = rng.random((300, 10, 10, 1))
    samples = (np.random.default_rng(5).random((12, 10, 10, 1), "float32") + 0.05) % 1
    ends = np.float64(samples[[2, 5, 8, 11]])
    if close:
        # Near copies and less near ones of what will be drawn, hidden among the others.
        training[[10, 20, 30, 40]] = np.clip(ends + rng.normal(0, 0.1, ends.shape), 0, 1)
        training[[11, 21, 31, 41]] = np.clip(ends + rng.normal(0, 0.2, ends.shape), 0, 1)
    grid = SampleGrid(tmp_path, rows=4, columns=3, nearest=training, seed=5)
    FakeGAN((10, 10, 1)).run(grid, epochs=1)

    picture = read(tmp_path / "epoch-0001.png")
    left, gap = 3 * 62 + 2, (60 + 4) // 4
    assert (picture[:, left : left + gap] == 255).all()
    column = cells(picture[:, left + gap :], 4, 1, 10, factor=6)[:, 0]
    for shown, end, copied in zip(column, ends, (10, 20, 30, 40), strict=True):
        distances = [((image - end) ** 2).sum() for image in training]
        best = int(np.argmin(distances))
        assert abs(shown - 255 * training[best, ..., 0]).max() <= 1
        assert (best == copied) == close


@pytest.mark.parametrize(
    ("low", "value_range", "black"), [(0, None, 0), (-1, None, -1), (-1, (-3, 1), -3)]
)
def test_value_range(tmp_path, low, value_range, black):
    model = FakeGAN((8, 8, 1), low=low)
    model.run(SampleGrid(tmp_path, rows=1, columns=1, value_range=value_range), epochs=1)
    shown = cells(read(tmp_path / "epoch-0001.png"), 1, 1, 8, factor=7)[0, 0]
    expected = 255 * (model.generate(1, seed=0)[0, ..., 0] - black) / (1 - black)
    assert abs(shown - expected).max() <= 1


def test_conditions_reach_the_generator(tmp_path):
    model = FakeGAN()
    digits = np.repeat(np.arange(10), 2)
    model.run(SampleGrid(tmp_path, rows=10, columns=2, condition=digits.tolist()))
    for n, _, condition in model.requests:
        assert n == 20
        np.testing.assert_array_equal(condition, digits)


def test_non_finite_samples_are_drawn(tmp_path):
    model = FakeGAN((28, 28, 1))
    model.generate = lambda n, **options: np.full((n, 28, 28, 1), np.nan)
    nearest = np.ones((3, 28, 28, 1))
    model.run(SampleGrid(tmp_path, rows=1, columns=1, nearest=nearest), epochs=1)
    assert (cells(read(tmp_path / "epoch-0001.png"), 1, 1, 28, factor=2) == 128).all()


def film(path):
    with Image.open(path) as movie:
        return [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(movie)]


def paint(folder, gray, *epochs, size=64):
    """Leave pictures as if by an earlier run."""
    for epoch in epochs:
        visualization.save_png(folder / f"epoch-{epoch:04d}.png", np.full((size, size), gray, "uint8"))


def test_gif_contains_only_grids_of_this_run(tmp_path):
    paint(tmp_path, 77, 1, 2, 3, 4, 5, 6, 10_000)
    FakeGAN().run(SampleGrid(tmp_path, every=3, rows=1, columns=1, gif=True), epochs=4)
    shown = film(tmp_path / "samples.gif")
    # Epoch 2 was not drawn anew, and 5 and 6 are of another run.
    expected = [read(tmp_path / f"epoch-{epoch:04d}.png") for epoch in (1, 3, 4)]
    assert len(shown) == 3
    for frame, picture in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(frame, picture)


def test_gif_of_a_resumed_run_starts_with_earlier_epochs(tmp_path):
    paint(tmp_path, 66, 9_998)
    paint(tmp_path, 77, 9_999, 10_003, 10_006)
    paint(tmp_path, 88, 9_997, size=32)
    grid = SampleGrid(tmp_path, every=10, rows=1, columns=1, gif=True)
    FakeGAN().run(grid, epochs=10_004, initial_epoch=9_999)
    shown = film(tmp_path / "samples.gif")
    # The folder holds 10,003 of an earlier run, which this one did not draw.
    expected = [read(tmp_path / f"epoch-{epoch}.png") for epoch in (9_998, 9_999, 10_000, 10_004)]
    assert len(shown) == 4
    for frame, picture in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(frame, picture)


def test_a_run_without_epochs_makes_no_gif(tmp_path):
    FakeGAN().run(SampleGrid(tmp_path / "samples", gif=True), epochs=3, initial_epoch=3)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("channels", [1, 3])
def test_tensorboard_receives_images(tmp_path, channels):
    import tensorflow as tf

    FakeGAN((8, 8, channels)).run(
        SampleGrid(tmp_path / "samples", every=2, rows=2, columns=2, tensorboard=tmp_path / "log")
    )
    (log,) = (tmp_path / "log").iterdir()
    images = {}
    for record in tf.data.TFRecordDataset(str(log)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            assert value.tag == "samples"
            assert (value.image.height, value.image.width) == (118, 118)
            assert value.image.colorspace == channels
            images[event.step] = value.image.encoded_image_string
    assert list(images) == [1, 2, 3]
    for epoch, image in images.items():
        assert image == (tmp_path / "samples" / f"epoch-{epoch:04d}.png").read_bytes()


def test_deep_copies_before_and_after_training(tmp_path):
    nearest = np.ones((5, 12, 12, 1), "float32")
    grid = SampleGrid(tmp_path / "a", rows=1, columns=2, nearest=nearest, tensorboard=tmp_path / "l")
    model = FakeGAN()
    before = copy.deepcopy(grid)
    model.run(grid, epochs=2)
    after = copy.deepcopy(grid)
    assert grid.model is model
    for twin in (before, after):
        assert twin.model is None
        assert twin.nearest is grid.nearest
        twin.directory = tmp_path / "b"
        FakeGAN().run(twin, epochs=2)
        for name in ("epoch-0001.png", "epoch-0002.png"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
            (tmp_path / "b" / name).unlink()


def test_deep_copy_during_training_drops_model_and_writer(tmp_path):
    twins = []

    class Copy(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            twins.append(copy.deepcopy(grid))

    grid = SampleGrid(tmp_path / "a", rows=1, columns=1, tensorboard=tmp_path / "log")
    FakeGAN().run(grid, Copy(), epochs=1)
    FakeGAN().run(twins[0], epochs=2)
    assert len(os.listdir(tmp_path / "a")) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "`every` must be an integer >= 1. Received: 0"),
        ({"rows": -1}, "`rows` must be an integer >= 1 .*Received: -1"),
        ({"columns": 2.5}, "`columns` must be an integer >= 1 .*Received: 2.5"),
        ({"seed": None}, "`seed` must be an integer >= 0. Received: None"),
        ({"value_range": (1, -1)}, r"two finite numbers .* Received: \(1, -1\)"),
        (
            {"rows": 2, "columns": 3, "condition": np.zeros((5, 10))},
            r"each of the 2 × 3 = 6 samples. Received shape: \(5, 10\)",
        ),
        ({"nearest": np.zeros((9, 784))}, r"\(n, height, width, .* shape: \(9, 784\)"),
        ({"nearest": np.zeros((0, 8, 8, 1))}, "`nearest` must be an array of one or more numbers"),
        ({"nearest": np.full((2, 8, 8, 1), np.nan)}, "`nearest` must be an array of finite numbers"),
        ({"nearest": "mnist"}, "`nearest` must be an array of numbers. Received: 'mnist'"),
        ({"condition": [[0], [1, 2]]}, "`condition`: Expected an array whose rows all have the same"),
        ({"rows": 10**12}, "`rows` must be an integer .* <= 2147483647"),
    ],
)
def test_invalid_arguments(tmp_path, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        SampleGrid(tmp_path, **arguments)


@pytest.mark.parametrize("argument", ["directory", "tensorboard"])
def test_a_file_where_a_folder_is_needed(tmp_path, argument):
    (tmp_path / "file").write_text("kept")
    folders = {"directory": tmp_path, argument: tmp_path / "file" / "below"}
    with pytest.raises(NotADirectoryError, match=f"`{argument}` needs the folder .*file' is a file"):
        SampleGrid(**folders)


@pytest.mark.parametrize(
    ("shape", "nearest", "message"),
    [
        ((784,), None, r"draws images, .* returned shape \(64, 784\). End it with .*Reshape"),
        ((28, 28), None, r"returned shape \(64, 28, 28\)"),
        ((3, 16, 16), None, r"seem to have their channels first: call `keras.config.set_image_data"),
        ((8, 8, 3), np.ones((4, 8, 8, 1)), r"of the samples, \(8, 8, 3\). Received: \(8, 8, 1\)"),
    ],
)
def test_samples_that_cannot_be_drawn_are_reported_before_training(shape, nearest, message):
    model = FakeGAN(shape)
    with pytest.raises(ValueError, match=message):
        model.run(SampleGrid("never made", nearest=nearest))
    assert int(model.optimizer.iterations) == 0
    assert not os.path.exists("never made")


def test_model_without_generate_raises():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(TypeError, match="Received: Sequential"):
        model.fit(EXAMPLES, EXAMPLES, verbose=0, callbacks=[SampleGrid("never made")])

import os

import keras
import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image, ImageSequence

from keras_gan import visualization
from keras_gan.utils.files import write_bytes

HISTORY = {"d_loss": [1.2, 1.3], "g_loss": [2, 1], "d_real": [0.8, 0.6], "d_fake": [0.1, 0.4]}


def random_levels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_to_uint8():
    images = [0, 1, 0.5, 100 / 255, -1e-7, 1 + 1e-7, -3, 7]
    expected = [0, 255, 128, 100, 0, 255, 0, 255]
    assert visualization.to_uint8(images, (0, 1)).tolist() == expected
    both_signs = 2 * np.float32(images) - 1
    assert visualization.to_uint8(both_signs, (-1, 1)).tolist() == expected
    assert visualization.to_uint8(np.float16([-20, 0, 20]), (-20, 20)).tolist() == [0, 128, 255]
    tensor = 1.0 * keras.Variable(np.float32(images))  # torch remembers where it comes from
    assert visualization.to_uint8(tensor, (0, 1)).tolist() == expected


def test_non_finite_values_are_mid_gray():
    levels = visualization.to_uint8(np.float32([[np.nan, np.inf], [-np.inf, 0]]), (0, 1))
    assert levels.tolist() == [[128, 128], [128, 0]]
    assert levels.dtype == np.uint8


@pytest.mark.parametrize("value_range", [(1, 0), (0, 0), (0, np.inf), (0, 1, 2), 1])
def test_invalid_value_range(value_range):
    with pytest.raises(
        (TypeError, ValueError), match="`value_range` must be two finite numbers .* Received: "
    ):
        visualization.to_uint8(np.zeros(3), value_range)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_at_their_places_in_the_grid(channels):
    images = random_levels(6, 70, 60, channels)
    picture = visualization.image_grid(images, rows=2, columns=3)
    if channels == 1:
        picture = picture[..., None]
    assert picture.shape == (2 * 72 + 2, 3 * 62 + 2, channels)
    covered = np.zeros(picture.shape, bool)
    for index, image in enumerate(images):
        top, left = 2 + 72 * (index // 3), 2 + 62 * (index % 3)
        np.testing.assert_array_equal(picture[top : top + 70, left : left + 60], image)
        covered[top : top + 70, left : left + 60] = True
    assert (picture[~covered] == 255).all()


@pytest.mark.parametrize("channels", [2, 5])
def test_other_numbers_of_channels_are_shown_side_by_side(channels):
    images = random_levels(2, 60, 64, channels)
    picture = visualization.image_grid(images, rows=2, columns=1)
    assert picture.shape == (2 * 62 + 2, 64 * channels + 4)
    for channel in range(channels):
        left = 2 + 64 * channel
        np.testing.assert_array_equal(picture[64:124, left : left + 64], images[1, ..., channel])


@pytest.mark.parametrize(
    ("height", "width", "factor"), [(28, 28, 2), (8, 8, 7), (32, 32, 2), (55, 9, 2), (56, 56, 1)]
)
def test_small_images_are_enlarged_by_an_integer_factor(height, width, factor):
    images = random_levels(1, height, width, 1)
    picture = visualization.image_grid(images, rows=1, columns=1)
    assert picture.shape == (height * factor + 4, width * factor + 4)
    for row in range(factor):
        shown = picture[2 + row : -2 : factor, 2 + row : -2 : factor]
        np.testing.assert_array_equal(shown, images[0, ..., 0])


@pytest.mark.parametrize("shape", [(5, 28, 28, 1), (6, 784), (6, 28, 28)])
def test_image_grid_rejects_other_shapes(shape):
    expected = r"shape \(6, height, width, channels\)\. Received shape: \("
    message = f"`images` for a grid of `rows=2` and `columns=3` .* {expected}"
    with pytest.raises(ValueError, match=message):
        visualization.image_grid(np.zeros(shape, "uint8"), rows=2, columns=3)


def test_image_grid_rejects_images_without_pixels():
    with pytest.raises(ValueError, match="`images` must be an array of one or more numbers"):
        visualization.image_grid(np.zeros((6, 28, 28, 0), "uint8"), rows=2, columns=3)


def test_image_grid_rejects_other_dtypes():
    with pytest.raises(
        TypeError, match=r"`images` must have the dtype uint8\. Received: float32\. .*to_uint8"
    ):
        visualization.image_grid(np.zeros((6, 28, 28, 1), "float32"), rows=2, columns=3)


@pytest.mark.parametrize("shape", [(30, 20), (30, 20, 3), (30, 20, 4)])
def test_png_round_trip(tmp_path, shape):
    picture = random_levels(*shape)
    visualization.save_png(tmp_path / "new" / "folder" / "a.png", picture)
    np.testing.assert_array_equal(read(tmp_path / "new" / "folder" / "a.png"), picture)


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_crash_keeps_the_old_file(tmp_path, monkeypatch, broken):
    path = tmp_path / "a.png"
    old = random_levels(30, 20)
    visualization.save_png(path, old)

    def crash(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, broken, crash)
    with pytest.raises(OSError, match="No space left"):
        visualization.save_png(path, 255 - old)
    assert os.listdir(tmp_path) == ["a.png"]
    np.testing.assert_array_equal(read(path), old)


def test_failing_encoder_writes_nothing(tmp_path, monkeypatch):
    def crash(image, file, **options):
        file.write(b"half a picture")
        raise OSError("encoder error")

    monkeypatch.setattr(Image.Image, "save", crash)
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", crash)
    picture = random_levels(30, 20)
    for write in (
        lambda path: visualization.save_png(path, picture),
        lambda path: visualization.save_gif(path, [picture]),
        lambda path: visualization.training_curves(HISTORY, path),
    ):
        with pytest.raises(OSError, match="encoder error"):
            write(tmp_path / "a.png")
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_gif_shows_the_frames_in_order(tmp_path, channels):
    # Few colors, so that a palette of 256 holds all of them.
    frames = [np.full((16, 12, *channels), 40 * index, "uint8") for index in range(5)]
    for frame in frames:
        frame[4:8] = 255
    visualization.save_gif(tmp_path / "a.gif", frames, duration=120)
    with Image.open(tmp_path / "a.gif") as movie:
        shown = [np.asarray(f.convert("RGB"), int) for f in ImageSequence.Iterator(movie)]
        assert movie.info["duration"] == 120
        assert movie.info["loop"] == 0
    assert len(shown) == 5
    for level, (frame, seen) in zip(range(0, 200, 40), zip(frames, shown, strict=True), strict=True):
        # An RGBA frame has its level as opacity too, and lies on white.
        expected = frame[0, 0].flat[0]
        if channels == (4,):
            expected = level / 255 * level + 255 - level
        assert abs(seen[0, 0] - expected).max() <= 1
        assert (seen[5] == 255).all()


@pytest.mark.parametrize("frames", [[], [np.zeros((8, 8), "uint8"), np.zeros((8, 9), "uint8")]])
def test_gif_rejects_frames_of_different_shapes(tmp_path, frames):
    with pytest.raises(ValueError, match=f"one shape. Received {len(frames)} images of shapes"):
        visualization.save_gif(tmp_path / "a.gif", frames)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((8, 8)), TypeError, "must have the dtype uint8. Received: float64. .*to_uint8"),
        ("image", TypeError, "must be an array of numbers. Received: 'image'"),
        ([[1, 2], [3]], TypeError, "must be an array of numbers"),
        (np.zeros((0, 8), "uint8"), ValueError, "must be an array of one or more numbers"),
        (np.zeros((8, 8, 2), "uint8"), ValueError, r"must be of shape .*Received shape: \(8, 8, 2\)"),
        (np.zeros(8, "uint8"), ValueError, r"must be of shape .*Received shape: \(8,\)"),
    ],
)
def test_images_that_cannot_be_written(tmp_path, image, error, message):
    with pytest.raises(error, match=f"`image` {message}"):
        visualization.save_png(tmp_path / "a.png", image)
    with pytest.raises(error, match=f"`frames` {message}"):
        visualization.save_gif(tmp_path / "a.gif", [image])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("frames", [None, "frames", {1: 2}, 3, (frame for frame in ())])
def test_frames_that_are_no_sequence(tmp_path, frames):
    with pytest.raises((TypeError, ValueError), match="`frames` must"):
        visualization.save_gif(tmp_path / "a.gif", frames)


def test_a_gif_of_an_array(tmp_path):
    visualization.save_gif(tmp_path / "a.gif", np.zeros((3, 8, 8), "uint8"))
    with Image.open(tmp_path / "a.gif") as movie:
        assert movie.size == (8, 8)


@pytest.mark.parametrize("images", [None, "images", [1j], [[1.0, 2.0], [3.0]], [], True, {1.0}])
def test_numbers_that_are_no_images(images):
    with pytest.raises((TypeError, ValueError), match="`images` must be an array of "):
        visualization.to_uint8(images, (0, 1))


@pytest.mark.parametrize("content", [None, "text", 3, [1, 2], np.zeros(3)])
def test_only_bytes_are_written(tmp_path, content):
    with pytest.raises(TypeError, match="`content` must be bytes. Received: "):
        write_bytes(tmp_path / "a.txt", content)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["file/a.png", "file/below/a.png"])
def test_a_file_where_a_folder_is_needed(tmp_path, name):
    (tmp_path / "file").write_text("kept")
    for write in (
        lambda path: visualization.save_png(path, np.zeros((8, 8), "uint8")),
        lambda path: visualization.training_curves(HISTORY, path),
        visualization.check_png,
    ):
        with pytest.raises(NotADirectoryError, match="`path` needs the folder .*file' is a file"):
            write(tmp_path / name)
    assert (tmp_path / "file").read_text() == "kept"


def drawn(monkeypatch, history, path):
    """Return the curves of each panel, as they stood when the picture was written."""
    panels = []
    savefig = matplotlib.figure.Figure.savefig

    def spy(figure, *arguments, **options):
        for axes in figure.axes:
            panels.append({line.get_label(): line for line in axes.lines})
        return savefig(figure, *arguments, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", spy)
    visualization.training_curves(history, path)
    return panels


def test_training_curves(tmp_path, monkeypatch):
    before = plt.get_backend()
    validation = {f"val_{name}": [value / 2 for value in HISTORY[name]] for name in HISTORY}
    losses, decisions = drawn(monkeypatch, HISTORY | validation, tmp_path / "curves.png")
    assert set(losses) == {"d_loss", "g_loss", "val_d_loss", "val_g_loss"}
    assert set(decisions) == {"d_real", "d_fake", "val_d_real", "val_d_fake", "½"}
    for line in (losses["g_loss"], losses["val_g_loss"]):
        assert line.get_xdata().tolist() == [1, 2]
    assert losses["g_loss"].get_ydata().tolist() == [2, 1]
    assert losses["val_g_loss"].get_ydata().tolist() == [1, 0.5]
    assert losses["g_loss"].get_linestyle() == "-"
    assert losses["val_g_loss"].get_linestyle() == "--"
    assert list(decisions["½"].get_ydata()) == [0.5, 0.5]
    picture = read(tmp_path / "curves.png")
    assert picture.shape[:2] == (432, 1200)
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 10
    assert os.listdir(tmp_path) == ["curves.png"]
    assert plt.get_fignums() == []
    assert plt.get_backend() == before


def test_training_curves_of_a_resumed_run(tmp_path, monkeypatch):
    history = keras.callbacks.History()
    history.set_model(keras.Sequential())
    history.on_train_begin()
    for epoch in range(6, 12):
        logs = dict.fromkeys(HISTORY, epoch)
        if epoch % 3 == 2:  # validation_freq=3
            logs["val_d_loss"] = 100 + epoch
        history.on_epoch_end(epoch, logs)
    losses, decisions = drawn(monkeypatch, history, tmp_path / "curves.png")
    assert losses["d_loss"].get_xdata().tolist() == [7, 8, 9, 10, 11, 12]
    assert losses["val_d_loss"].get_xdata().tolist() == [9, 12]
    assert "val_d_real" not in decisions


def test_training_curves_of_a_run_that_diverged(tmp_path):
    history = {name: [0.5, np.nan, np.inf] for name in HISTORY}
    visualization.training_curves(history, tmp_path / "curves.png")
    assert read(tmp_path / "curves.png").shape[:2] == (432, 1200)


@pytest.mark.parametrize("name", ["curves", "curves.pdf", "curves.png.jpg"])
def test_training_curves_in_another_format_raise(tmp_path, name):
    history = {curve: [1.0] for _, names in visualization.PANELS for curve in names}
    with pytest.raises(ValueError, match=f"name of a PNG file, .* Received: .*{name}"):
        visualization.training_curves(history, tmp_path / name)
    assert os.listdir(tmp_path) == []
    visualization.training_curves(history, str(tmp_path / "curves.PNG"))
    assert read(tmp_path / "curves.PNG").ndim == 3


def test_training_curves_without_a_gan_history_raise(tmp_path):
    message = "Missing: d_loss, d_real. Received: g_loss, d_fake, loss."
    with pytest.raises(ValueError, match=message):
        visualization.training_curves({"g_loss": [1], "d_fake": [1], "loss": [1]}, tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"Received: nothing\. Pass what `gan\.fit"):
        visualization.training_curves({}, tmp_path / "a.png")
    for history in (None, 3, "history", [0.5], {"d_loss"}):
        with pytest.raises(TypeError, match=r"`history` must be what `gan\.fit\(\.\.\.\)` returned"):
            visualization.training_curves(history, tmp_path / "a.png")

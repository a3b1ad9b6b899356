import copy
import json
import math
import os

import keras
import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

import keras_gan as kg
from keras_gan import visualization
from keras_gan.callbacks import TrainingCurves

# Pictures are drawn by Matplotlib, of numbers that any backend logs (`tests/conformance`).
pytestmark = pytest.mark.tensorflow
HISTORY = {"d_loss": [1.2, 1.3], "g_loss": [2, 1], "d_real": [0.8, 0.6], "d_fake": [0.1, 0.4]}
POINTS = np.ones((8, 2), "float32")


def tiny_gan():
    keras.utils.set_random_seed(0)
    gan = kg.GAN(
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
        seed=0,
    )
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), run_eagerly=True)
    return gan


def train(*callbacks, gan=None, epochs=3, **options):
    gan = gan or tiny_gan()
    options = {"batch_size": 8, "verbose": 0} | options
    return gan.fit(POINTS, epochs=epochs, callbacks=list(callbacks), **options).history


@pytest.fixture
def drawn(monkeypatch):
    """The curves of each panel of each plot, whose pixels, which take half a second, are left out."""
    found = []

    def curves(axes):
        lines = [line for line in axes.lines if line.get_label() != "½"]
        return {ln.get_label(): (list(ln.get_xdata()), list(ln.get_ydata())) for ln in lines}

    def record(figure, file, format):
        found.append({axes.get_title(): curves(axes) for axes in figure.axes})
        file.write(b"an image")

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", record)
    return found


class Score(keras.callbacks.Callback):
    """Writes ten times the number of the epoch into the logs."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_some_score"] = 10.0 * (epoch + 1)


# The picture.


def test_other_logs_have_their_own_panels(tmp_path, drawn):
    further = {"r1": [3, 4], "val_r1": [5, 6], "val_fid": [70, 60], "val_d_loss": [1, 1]}
    visualization.training_curves(HISTORY | further, tmp_path / "curves.png")
    (panels,) = drawn
    losses, decisions = (title for title, _ in visualization.PANELS)
    assert list(panels) == [losses, decisions, "r1", "fid"]
    assert panels["r1"] == {"r1": ([1, 2], [3, 4]), "val_r1": ([1, 2], [5, 6])}
    assert panels["fid"] == {"val_fid": ([1, 2], [70, 60])}
    assert set(panels[losses]) == {"d_loss", "g_loss", "val_d_loss"}


def test_missing_values_are_skipped(tmp_path, drawn):
    history = {name: [*values, 1] for name, values in HISTORY.items()}
    visualization.training_curves(history | {"val_fid": [None, 60, None]}, tmp_path / "curves.png")
    assert drawn[0]["fid"] == {"val_fid": ([2], [60])}


def test_names_with_leading_underscore_are_in_the_legend(tmp_path, monkeypatch):
    legends = []
    savefig = matplotlib.figure.Figure.savefig

    def spy(figure, *arguments, **options):
        legends.extend(text.get_text() for text in figure.axes[2].get_legend().get_texts())
        return savefig(figure, *arguments, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", spy)
    visualization.training_curves(HISTORY | {"_speed": [3, 4], "val__speed": [5, 6]}, tmp_path / "a.png")
    assert [text.strip() for text in legends] == ["_speed", "val__speed"]
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1200, 864)


def test_critic_scores_are_inside_the_axis_limits(tmp_path, monkeypatch):
    limits = []
    savefig = matplotlib.figure.Figure.savefig

    def spy(figure, *arguments, **options):
        limits.append(figure.axes[1].get_ylim())
        return savefig(figure, *arguments, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", spy)
    visualization.training_curves(HISTORY, tmp_path / "curves.png")
    visualization.training_curves(
        HISTORY | {"d_real": [3, 7], "d_fake": [-2, 0]}, tmp_path / "curves.png"
    )
    visualization.training_curves(HISTORY | {"d_real": [math.nan] * 2}, tmp_path / "curves.png")
    assert limits == [(0, 1), (-2, 7), (0, 1)]


# The callback.


def test_curves_match_the_history(tmp_path, drawn):
    history = train(Score(), TrainingCurves(tmp_path / "new" / "curves.png"))
    assert sorted(os.listdir(tmp_path / "new")) == ["curves.json", "curves.png"]
    assert len(drawn) == 3
    panels = drawn[-1]
    curves = {name: curve for panel in panels.values() for name, curve in panel.items()}
    assert set(curves) == set(history)
    for name, values in history.items():
        assert curves[name] == ([1, 2, 3], values)
    assert panels["some score"] == {"val_some_score": ([1, 2, 3], [10, 20, 30])}


def test_first_nth_and_last_epoch_are_drawn(tmp_path, drawn):
    train(TrainingCurves(tmp_path / "curves.png", every=3), epochs=7)
    assert [len(panels["Losses"]["d_loss"][0]) for panels in drawn] == [1, 3, 6, 7]


def test_last_epoch_of_an_early_stopped_run_is_drawn(tmp_path, drawn):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    train(Stop(), TrainingCurves(tmp_path / "curves.png", every=5), epochs=9)
    assert [len(panels["Losses"]["d_loss"][0]) for panels in drawn] == [1, 2]


def test_resumed_run_continues_the_curves(tmp_path, drawn):
    path, gan = tmp_path / "curves.png", tiny_gan()
    first = train(Score(), TrainingCurves(path, every=10), gan=gan, epochs=3)
    second = train(Score(), TrainingCurves(path, every=10), gan=gan, epochs=5, initial_epoch=2)
    # The third epoch was trained again.
    expected = first["d_loss"][:2] + second["d_loss"]
    assert drawn[-1]["Losses"]["d_loss"] == ([1, 2, 3, 4, 5], expected)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_backup_and_restore_continues_the_curves(tmp_path, drawn):
    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    def callbacks():
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return TrainingCurves(tmp_path / "curves.png", every=10), backup

    with pytest.raises(KeyboardInterrupt):
        train(*callbacks(), Kill(), epochs=5)
    train(*callbacks(), epochs=5)
    whole = train(epochs=5)
    assert drawn[-1]["Losses"]["d_loss"] == ([1, 2, 3, 4, 5], whole["d_loss"])


def test_run_from_the_first_epoch_starts_new_curves(tmp_path, drawn):
    curves = TrainingCurves(tmp_path / "curves.png", every=10)
    train(curves, epochs=4)
    train(curves, epochs=2)
    assert drawn[-1]["Losses"]["d_loss"][0] == [1, 2]
    (first, second) = json.loads((tmp_path / "curves.json").read_text())
    assert (first["epoch"], second["epoch"]) == (1, 2)


def test_resumed_run_without_earlier_curves(tmp_path, drawn):
    train(TrainingCurves(tmp_path / "curves.png"), epochs=4, initial_epoch=2)
    assert drawn[-1]["Losses"]["d_loss"][0] == [3, 4]


def test_logs_that_are_missing_in_some_epochs(tmp_path, drawn):
    gan = tiny_gan()
    options = {"validation_data": (POINTS,), "validation_freq": 2}
    history = train(TrainingCurves(tmp_path / "curves.png", every=10), gan=gan, epochs=5, **options)
    assert drawn[-1]["Losses"]["val_d_loss"] == ([2, 4], history["val_d_loss"])


def test_diverged_run(tmp_path, drawn):
    class Diverge(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch > 0:
                logs.update(d_loss=math.nan, g_loss=math.inf)

    path, gan = tmp_path / "curves.png", tiny_gan()
    train(Diverge(), TrainingCurves(path), gan=gan, epochs=2)
    train(TrainingCurves(path), gan=gan, epochs=3, initial_epoch=2)
    _, (first, second, third) = drawn[-1]["Losses"]["d_loss"]
    assert math.isfinite(first)
    assert math.isnan(second)
    assert math.isfinite(third)


def test_non_finite_values_are_saved_as_null(tmp_path, drawn):
    class Diverge(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs.update(d_loss=(math.nan, math.inf, -math.inf)[epoch])

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    path, gan = tmp_path / "curves.png", tiny_gan()
    train(Diverge(), TrainingCurves(path), gan=gan)
    rows = json.loads((tmp_path / "curves.json").read_text(), parse_constant=refuse)
    assert [row["d_loss"] for row in rows] == [None, None, None]
    assert all(math.isfinite(row["g_loss"]) for row in rows)
    train(TrainingCurves(path), gan=gan, epochs=4, initial_epoch=3)
    epochs, values = drawn[-1]["Losses"]["d_loss"]
    assert epochs == [1, 2, 3, 4]
    assert np.isnan(values).tolist() == [True, True, True, False]


@pytest.mark.parametrize("broken", ["encoder", "disk"])
def test_crash_while_writing_leaves_complete_files(tmp_path, monkeypatch, broken):
    def crash(*arguments, **options):
        raise OSError("No space left on device")

    target = {"encoder": (matplotlib.figure.Figure, "savefig"), "disk": (os, "replace")}[broken]

    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                monkeypatch.setattr(*target, crash)

    with pytest.raises(OSError, match="No space left"):
        train(Break(), TrainingCurves(tmp_path / "curves.png"))
    assert sorted(os.listdir(tmp_path)) == ["curves.json", "curves.png"]
    assert len(json.loads((tmp_path / "curves.json").read_text())) == (2 if broken == "encoder" else 1)
    with Image.open(tmp_path / "curves.png") as image:
        image.load()


def test_deep_copy_is_independent(tmp_path, drawn):
    curves = TrainingCurves(tmp_path / "curves.png", every=9)
    train(curves, epochs=2)
    twin = copy.deepcopy(curves)
    assert twin.model is None
    twin.path = tmp_path / "other.png"
    train(twin, epochs=3)
    rows = {
        name: len(json.loads((tmp_path / f"{name}.json").read_text())) for name in ("curves", "other")
    }
    assert rows == {"curves": 2, "other": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "curves.pdf"}, "name of a PNG file, .* Received: curves.pdf"),
        ({"path": "curves.png", "every": 0}, "`every` must be an integer >= 1. Received: 0"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainingCurves(**arguments)


@pytest.mark.parametrize("content", ["not JSON", '{"a": 1}', "[1, 2]", '[{"d_loss": 1}]'])
def test_invalid_file_of_earlier_curves_raises(tmp_path, content):
    (tmp_path / "curves.json").write_text(content)
    with pytest.raises(ValueError, match="curves.json must hold the curves of the epochs before 3"):
        train(TrainingCurves(tmp_path / "curves.png"), epochs=4, initial_epoch=2)
    assert (tmp_path / "curves.json").read_text() == content


def test_model_that_is_not_a_gan(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(TypeError, match="with `generate`, .* Received: Sequential"):
        model.fit(POINTS, POINTS, verbose=0, callbacks=[TrainingCurves(tmp_path / "curves.png")])
    model.generate = lambda n, **options: POINTS[:n]
    with pytest.raises(ValueError, match="Missing: d_loss, g_loss, d_real, d_fake"):
        model.fit(POINTS, POINTS, verbose=0, callbacks=[TrainingCurves(tmp_path / "curves.png")])

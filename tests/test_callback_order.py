"""Callbacks of one `fit`: their order, their files, and where these are written."""

import keras
import numpy as np
import pytest
from helpers.games import sgd

import keras_gan as kg

POINTS = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
IMAGES = np.random.default_rng(1).uniform(size=(64, 8, 8, 1)).astype("float32")


def tiny_gan(shape=(4,), rate=0.01):
    generator = [keras.Input((3,)), keras.layers.Dense(int(np.prod(shape))), keras.layers.Reshape(shape)]
    critic = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)]
    gan = kg.GAN(keras.Sequential(generator), keras.Sequential(critic), prior="normal", seed=0)
    gan.compile(**sgd(rate), run_eagerly=True)
    return gan


def gap(real, fake):
    return float(np.abs(real.mean() - fake.mean()))


@pytest.mark.parametrize("measure_first", [True, False])
def test_monitors_see_metrics_in_either_order(measure_first, tmp_path):
    measure = kg.callbacks.EvaluateSamples({"gap": gap}, POINTS, num_samples=16)
    stop = keras.callbacks.EarlyStopping("val_gap", mode="min", patience=0)
    path = str(tmp_path / "{epoch}-{val_gap:.3f}.keras")
    save = keras.callbacks.ModelCheckpoint(path, "val_gap", mode="min", save_best_only=True)
    callbacks = [measure, stop, save] if measure_first else [stop, save, measure]
    gan = tiny_gan(rate=0.0)  # so that the second epoch does not improve on the first
    history = gan.fit(POINTS, epochs=3, verbose=0, callbacks=callbacks).history
    assert len(history["val_gap"]) == 2
    assert [file.name for file in tmp_path.iterdir()] == [f"1-{history['val_gap'][0]:.3f}.keras"]


def test_callbacks_that_write_the_same_files_raise(tmp_path):
    grids = [kg.callbacks.SampleGrid(tmp_path, rows=1, columns=n) for n in (1, 2)]
    with pytest.raises(ValueError, match="Two callbacks write to .*: SampleGrid and SampleGrid"):
        tiny_gan((8, 8, 1)).fit(IMAGES, epochs=1, verbose=0, callbacks=grids)
    assert not list(tmp_path.iterdir())
    curves = [kg.callbacks.TrainingCurves(tmp_path / "curves.png") for _ in range(2)]
    with pytest.raises(ValueError, match=r"write to .*curves.png: TrainingCurves and TrainingCurves"):
        tiny_gan().fit(POINTS, epochs=1, verbose=0, callbacks=curves)


def test_relative_paths_survive_a_change_of_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    grid = kg.callbacks.SampleGrid("samples", rows=1, columns=2)
    move = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: monkeypatch.chdir(tmp_path / "elsewhere")
    )
    tiny_gan((8, 8, 1)).fit(IMAGES, epochs=2, verbose=0, callbacks=[move, grid])
    files = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert files == ["epoch-0001.png", "epoch-0002.png"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_single_label_conditions_every_sample(tmp_path):
    labels = keras.Input((), dtype="int32")
    latents, images = keras.Input((3,)), keras.Input((8, 8, 1))
    known = keras.layers.Embedding(3, 3)
    drawn = keras.layers.Dense(64)(keras.layers.Concatenate()([latents, known(labels)]))
    generator = keras.Model([latents, labels], keras.layers.Reshape((8, 8, 1))(drawn))
    wrong = keras.layers.Concatenate()([keras.layers.Flatten()(images), known(labels)])
    with pytest.raises(ValueError, match="must not share layers.*embedding"):
        kg.GAN(generator, keras.Model([images, labels], keras.layers.Dense(1)(wrong)), seed=0)
    known = keras.layers.Embedding(3, 3)(labels)
    seen = keras.layers.Concatenate()([keras.layers.Flatten()(images), known])
    gan = kg.GAN(generator, keras.Model([images, labels], keras.layers.Dense(1)(seen)), seed=0)
    gan.compile(**sgd(0.01), run_eagerly=True)
    grids = [
        kg.callbacks.SampleGrid(tmp_path / folder, rows=1, columns=2, condition=condition)
        for folder, condition in (("one", 2), ("each", [2, 2]))
    ]
    gan.fit(IMAGES, np.zeros(64, "int32"), epochs=1, verbose=0, callbacks=grids)
    one, each = ((tmp_path / name / "epoch-0001.png").read_bytes() for name in ("one", "each"))
    assert one == each


def test_all_zero_sample_weights_raise():
    with pytest.raises(ValueError, match="`sample_weight` must have numbers above 0"):
        tiny_gan().fit(POINTS, sample_weight=np.zeros(64), epochs=1, verbose=0)


def test_images_without_a_channel_axis_raise_with_advice():
    with pytest.raises(ValueError, match=r"received \(8, 8\).*`x\[..., np.newaxis\]`"):
        tiny_gan((8, 8, 1)).fit(IMAGES[..., 0], epochs=1, verbose=0)


def test_non_finite_sample_weights_are_named_in_the_error():
    gan = tiny_gan()
    gan.discriminator.set_weights([np.full_like(w, np.nan) for w in gan.discriminator.get_weights()])
    with pytest.raises(ValueError, match="weights of .* are not finite, as after a run that diverged"):
        gan.compile(**sgd(0.01), terms=["r1"])

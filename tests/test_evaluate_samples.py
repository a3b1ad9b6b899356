import copy
import gc
import math
import re
import tracemalloc
import warnings

import keras
import numpy as np
import psutil
import pytest

import keras_gan as kg
from keras_gan.callbacks import EvaluateSamples, ParzenLogLikelihood

POINTS = np.random.default_rng(0).uniform(0.2, 0.8, (64, 2)).astype("float32")


def tiny_gan(activation="sigmoid", learning_rate=0.1, num_classes=None):
    """A GAN of points in the plane, with a step an epoch."""
    keras.utils.set_random_seed(0)
    latents, points = keras.Input((3,)), keras.Input((2,))
    g_inputs, d_inputs = [latents], [points]
    if num_classes:
        condition = keras.Input((num_classes,))
        g_inputs, d_inputs = [latents, condition], [points, condition]
    join = keras.layers.Concatenate() if num_classes else lambda inputs: inputs[0]
    generator = keras.Model(g_inputs, keras.layers.Dense(2, activation)(join(g_inputs)))
    discriminator = keras.Model(d_inputs, keras.layers.Dense(1)(join(d_inputs)))
    gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
    sgd = [keras.optimizers.SGD(learning_rate) for _ in range(2)]
    gan.compile(*sgd, run_eagerly=True)  # of a few steps each would take longer to compile
    return gan


def train(*callbacks, epochs=3, gan=None, points=POINTS, **options):
    options = {"batch_size": len(points), "verbose": 0} | options
    return (gan or tiny_gan()).fit(points, epochs=epochs, callbacks=list(callbacks), **options).history


def mean_gap(real, fake):
    return np.abs(real.mean(axis=0) - fake.mean(axis=0)).max()


class Means(kg.metrics.Metric):
    """A metric of two values that remembers its real samples."""

    def __init__(self):
        self.prepared = []

    def prepare(self, real):
        self.prepared.append(real)
        return real.mean(axis=0)

    def evaluate(self, state, fake):
        x, y = fake.mean(axis=0) - state
        return kg.metrics.Score({"mean_x": x, "mean_y": y}, len(self.prepared[0]), len(fake))


class Last(kg.metrics.Metric):
    """A metric of one value."""

    def prepare(self, real):
        return real[-1]

    def evaluate(self, state, fake):
        return kg.metrics.Score({"last": np.abs(fake[-1] - state).sum()}, 1, len(fake))


class Watch(keras.callbacks.Callback):
    """Keeps the logs that it sees, and the mean of the samples that the model then makes."""

    def __init__(self):
        super().__init__()
        self.logs, self.gaps = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))
        self.gaps.append(mean_gap(POINTS, self.model.generate(50, seed=7)))


def test_values_use_the_same_latents_after_every_epoch():
    watch = Watch()
    measure = EvaluateSamples(mean_gap, POINTS, num_samples=50, seed=7)
    history = train(measure, watch, epochs=4)
    assert history["val_mean_gap"] == watch.gaps == [logs["val_mean_gap"] for logs in watch.logs]
    assert all(type(value) is float for value in history["val_mean_gap"])
    assert len(set(history["val_mean_gap"])) == 4


def test_earlier_callbacks_do_not_see_the_values():
    watch = Watch()
    train(watch, EvaluateSamples(mean_gap, POINTS))
    assert "val_mean_gap" not in watch.logs[0]


def test_latest_values_are_repeated_between_measurements():
    watch = Watch()
    measure = EvaluateSamples(mean_gap, POINTS, every=3, num_samples=50, seed=7)
    values = train(measure, watch, epochs=8)["val_mean_gap"]
    # Epochs 1, 3, 6 and 8: the first, every third and the last.
    assert values == [watch.gaps[epoch - 1] for epoch in (1, 1, 3, 3, 3, 6, 6, 8)]


def test_a_resumed_run_measures_its_first_epoch():
    watch, gan = Watch(), tiny_gan()
    measure = EvaluateSamples(mean_gap, POINTS, every=5, num_samples=50, seed=7)
    train(measure, gan=gan, epochs=6)
    values = train(measure, watch, gan=gan, epochs=12, initial_epoch=6)["val_mean_gap"]
    assert values == [watch.gaps[index] for index in (0, 0, 0, 3, 3, 5)]  # 7, 10 and 12


def test_callback_does_not_change_training():
    with_, without = train(EvaluateSamples(mean_gap, POINTS)), train()
    assert all(with_[name] == without[name] for name in without)


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (mean_gap, ["mean_gap"]),
        (Means(), ["mean_x", "mean_y"]),
        ([Means(), Last(), mean_gap], ["last", "mean_gap", "mean_x", "mean_y"]),
        ({"gap": lambda real, fake: 1, "end": Last()}, ["end", "gap"]),
        ({"all": Means()}, ["all_mean_x", "all_mean_y"]),
    ],
)
def test_metric_names(metrics, names):
    history = train(EvaluateSamples(metrics, POINTS), epochs=1)
    assert sorted(name for name in history if name.startswith("val")) == [f"val_{n}" for n in names]


def test_values_and_results_of_metrics():
    gan = tiny_gan()
    measure = EvaluateSamples([Means(), Last()], POINTS, num_samples=30, seed=3)
    history = train(measure, gan=gan, epochs=2)
    fake = gan.generate(30, seed=3)
    x, y = np.mean(fake, axis=0) - np.mean(POINTS, axis=0)
    assert history["val_mean_x"][-1] == pytest.approx(x, abs=1e-6)
    assert history["val_mean_y"][-1] == pytest.approx(y, abs=1e-6)
    assert history["val_last"][-1] == pytest.approx(np.abs(fake[-1] - POINTS[-1]).sum(), abs=1e-6)
    assert measure.results["means"].num_fake == 30
    assert measure.results["last"].values["last"] == history["val_last"][-1]


def test_real_images_are_prepared_once():
    metric = Means()
    measure = EvaluateSamples(metric, POINTS)
    assert metric.prepared == []
    gan = tiny_gan()
    train(measure, gan=gan)
    train(measure, gan=gan)
    train(copy.deepcopy(measure))
    assert len(metric.prepared) == 1
    assert metric.prepared[0] is POINTS


@pytest.mark.parametrize("labels", [False, True])
def test_real_images_from_a_dataset(labels):
    digits = np.arange(64, dtype="int32")
    source = (POINTS.reshape(64, 1, 2, 1), digits) if labels else POINTS.reshape(64, 1, 2, 1)
    dataset = kg.datasets.load(source, batch_size=10, labels=labels, seed=1)
    dataset.epoch.assign(5)
    metric = Means()
    gan = tiny_gan()
    gan.generate = lambda n, **options: np.zeros((n, 1, 2, 1), "float32")
    measure = EvaluateSamples({"means": lambda real, fake: metric.prepare(real).sum()}, dataset)
    train(measure, gan=gan, epochs=1)
    (images,) = metric.prepared
    assert images.shape == (64, 1, 2, 1)
    assert {tuple(point) for point in images.reshape(64, 2)} == {tuple(point) for point in POINTS}
    # Read in the order of the first epoch, and left where it stood.
    first = kg.datasets.load(source, batch_size=10, labels=labels, seed=1)
    first = [batch[0] if labels else batch for batch in first]
    np.testing.assert_array_equal(images, np.concatenate(first))
    assert int(dataset.epoch) == 5


def test_training_data_as_real_images():
    """Reading them does not change the order in which they train."""

    def gan():
        reshape, flatten = keras.layers.Reshape, keras.layers.Flatten
        generator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), reshape((1, 2, 1))])
        discriminator = keras.Sequential([keras.Input((1, 2, 1)), flatten(), keras.layers.Dense(1)])
        gan = kg.GAN(generator, discriminator, seed=0)
        gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), run_eagerly=True)
        return gan

    histories = []
    for measured in (False, True):
        keras.utils.set_random_seed(0)
        data = kg.datasets.load(POINTS.reshape(64, 1, 2, 1), batch_size=16, seed=1)
        callbacks = [EvaluateSamples({"zero": lambda real, fake: 0}, data)] if measured else []
        histories.append(gan().fit(data, epochs=3, verbose=0, callbacks=callbacks).history)
    assert histories[0]["d_loss"] == histories[1]["d_loss"]


def test_conditions_reach_the_generator():
    condition = np.eye(4, dtype="float32")[np.arange(20) % 4]
    gan = tiny_gan(num_classes=4)
    found = []
    measure = EvaluateSamples(
        {"kept": lambda real, fake: found.append(fake) or 0},
        POINTS,
        num_samples=20,
        condition=condition,
    )
    data = np.eye(4, dtype="float32")[np.arange(64) % 4]
    gan.fit(POINTS, data, epochs=1, verbose=0, callbacks=[measure])
    np.testing.assert_array_equal(found[-1], gan.generate(20, seed=0, condition=condition))
    measure = EvaluateSamples(mean_gap, POINTS, num_samples=21, condition=condition)
    with pytest.raises(ValueError, match=r"`condition` must have the shape \(21, 4\)"):
        gan.fit(POINTS, data, epochs=1, verbose=0, callbacks=[measure])


# What monitors, loggers and the progress bar make of the numbers.


def scripted(values):
    """A metric that gives the values of a list, one a measurement."""
    values = iter(values)
    return {"score": lambda real, fake: next(values)}


def test_early_stopping_and_checkpoints_monitor_the_values(tmp_path):
    values = [1.0, 3.0, 5.0, 4.0, 4.5, 4.9, 4.8]
    path = str(tmp_path / "best-{epoch:02d}.weights.h5")
    best = keras.callbacks.ModelCheckpoint(
        path, monitor="val_score", mode="max", save_best_only=True, save_weights_only=True
    )
    stop = keras.callbacks.EarlyStopping("val_score", mode="max", patience=3)
    history = train(EvaluateSamples(scripted(values), POINTS), stop, best, epochs=20)
    assert history["val_score"] == values[:6]
    saved = [f"best-{epoch:02d}.weights.h5" for epoch in (1, 2, 3)]
    assert sorted(p.name for p in tmp_path.iterdir()) == saved


def test_repeated_values_do_not_count_as_improvement(tmp_path):
    path = str(tmp_path / "best-{epoch:02d}.weights.h5")
    best = keras.callbacks.ModelCheckpoint(
        path, monitor="val_score", mode="max", save_best_only=True, save_weights_only=True
    )
    stop = keras.callbacks.EarlyStopping("val_score", mode="max", patience=6)
    measure = EvaluateSamples(scripted([1, 2, 1, 1, 1]), POINTS, every=4)
    history = train(measure, stop, best, epochs=30)
    # Best after epoch 4; epochs 5 to 10 are six without improvement.
    assert history["val_score"] == [1, 1, 1, 2, 2, 2, 2, 1, 1, 1]
    assert sorted(p.name[5:7] for p in tmp_path.iterdir()) == ["01", "04"]


def test_a_monitored_parzen_window_in_one_fit(tmp_path):
    images = np.random.default_rng(0).uniform(0.3, 0.7, (120, 2)).astype("float32")
    monitor = {"monitor": "val_parzen_log_likelihood", "mode": "max"}
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True, **monitor)
    stop = keras.callbacks.EarlyStopping(patience=4, **monitor)
    gan = tiny_gan(learning_rate=0.5)
    measure = ParzenLogLikelihood(images, every=2, num_samples=100)
    history = train(measure, stop, best, gan=gan, epochs=30, points=images)
    values = history["val_parzen_log_likelihood"]
    assert len(values) == len(history["d_loss"])
    assert all(math.isfinite(value) for value in values)
    loaded = keras.models.load_model(tmp_path / "best.keras")
    again = kg.metrics.ParzenWindow(images[::2])(images[1::2], loaded.generate(100, seed=0))
    assert again.log_likelihood == pytest.approx(max(values), abs=1e-6)


@pytest.mark.parametrize("verbose", [1, 2])
def test_progress_bar_shows_the_values(capsys, verbose):
    train(EvaluateSamples(scripted([0.125, 0.375]), POINTS), epochs=2, verbose=verbose)
    shown = capsys.readouterr().out
    assert "val_score: 0.1250" in shown
    assert "val_score: 0.3750" in shown


def test_tensorboard_shows_the_values(tmp_path):
    import tensorflow as tf

    log = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    train(EvaluateSamples(scripted([0.125, 0.375]), POINTS), log, epochs=2)
    (path,) = (tmp_path / "validation").iterdir()
    found = {}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    assert found["epoch_score", 0] == 0.125
    assert found["epoch_score", 1] == 0.375


# What goes wrong.


def broken_at(number, value=0.5):
    """A metric that fails in its n-th measurement."""
    counter = iter(range(1, 100))

    def score(real, fake):
        if next(counter) == number:
            raise ZeroDivisionError("no modes left")
        return value

    return score


def test_failing_metric_is_named_and_the_others_continue():
    measure = EvaluateSamples([broken_at(2), mean_gap], POINTS)
    message = "metric 'score' failed after epoch 2: ZeroDivisionError: no modes left NaN is logged"
    with pytest.warns(UserWarning, match=message) as caught:
        history = train(measure, epochs=3)
    assert [warning.category for warning in caught].count(UserWarning) == 1
    assert [math.isnan(value) for value in history["val_score"]] == [False, True, False]
    assert all(math.isfinite(value) for value in history["val_mean_gap"])
    assert measure.results["score"] == 0.5


def test_failing_metric_with_several_values():
    class Fails(Means):
        def evaluate(self, state, fake):
            self.calls = getattr(self, "calls", 0) + 1
            if self.calls == 2:
                raise ValueError("singular")
            return super().evaluate(state, fake)

    measure = EvaluateSamples(Fails(), POINTS)
    with pytest.warns(UserWarning, match="metric 'fails' failed after epoch 2: ValueError: singular"):
        history = train(measure, epochs=2)
    assert measure.results == {"fails": None}
    for name in ("val_mean_x", "val_mean_y"):
        assert math.isfinite(history[name][0])
        assert math.isnan(history[name][1])


def test_metric_that_does_not_return_a_number():
    with pytest.warns(UserWarning, match="metric 'score' failed after epoch 1: TypeError"):
        history = train(EvaluateSamples({"score": lambda real, fake: None}, POINTS), epochs=1)
    assert math.isnan(history["val_score"][0])


def test_stop_on_error_names_the_metric_and_chains_the_cause():
    measure = EvaluateSamples([mean_gap, broken_at(2)], POINTS, stop_on_error=True)
    with pytest.raises(RuntimeError, match="metric 'score' failed after epoch 2") as caught:
        train(measure)
    # Keras hides the cause in what it raises: the notes show it all the same.
    assert isinstance(caught.value.__context__, ZeroDivisionError)
    assert "in score\n" in caught.value.__notes__[0]
    keras.config.disable_traceback_filtering()
    try:
        with pytest.raises(RuntimeError) as caught:
            train(EvaluateSamples(broken_at(1), POINTS, stop_on_error=True))
    finally:
        keras.config.enable_traceback_filtering()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


class Spoil(keras.callbacks.Callback):
    """Sets a weight of the generator to infinity in one epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.model.generator.weights[1].assign([0.0, np.inf])


@pytest.mark.parametrize("metrics", [mean_gap, Means()])
def test_non_finite_samples(metrics):
    measure = EvaluateSamples(metrics, POINTS, num_samples=50)
    with pytest.warns(UserWarning, match="After epoch 2, 50 of 50 samples .* has diverged") as caught:
        history = train(Spoil(), measure, gan=tiny_gan("linear"), epochs=2)
    assert [warning.category for warning in caught].count(UserWarning) == 1
    for values in (values for name, values in history.items() if name.startswith("val_")):
        assert math.isfinite(values[0])
        assert math.isnan(values[1])
    measure = EvaluateSamples(metrics, POINTS, num_samples=50, stop_on_error=True)
    with pytest.raises(RuntimeError, match="After epoch 2, 50 of 50 samples"):
        train(Spoil(), measure, gan=tiny_gan("linear"), epochs=2)


class Brightness(kg.metrics.FeatureExtractor):
    """Six numbers of an image, and ten classes."""

    name, size, classifies = "brightness", 6, True

    def __call__(self, images):
        return self.validate(images).reshape(len(images), -1)[:, :6].astype("float32")

    def probabilities(self, images):
        found = np.random.default_rng(0).random((len(images), 10))
        return found / found.sum(axis=1, keepdims=True)


IMAGES = np.random.default_rng(0).uniform(0.1, 0.9, (60, 2, 2, 3)).astype("float32")
PUBLIC = [
    kg.metrics.FID(Brightness()),
    kg.metrics.KID(Brightness(), subset_size=10, num_subsets=3),
    kg.metrics.InceptionScore(Brightness(), splits=2),
    kg.metrics.PrecisionRecall(Brightness()),
    kg.metrics.DensityCoverage(Brightness()),
    kg.metrics.StackedDigits(Brightness()),
    kg.metrics.Memorization(1 - IMAGES[:30]),
    kg.metrics.ModeCoverage(np.eye(12), std=0.1),
    kg.metrics.ParzenWindow(IMAGES[:20]),
]


def test_every_metric_is_tested():
    classes = [getattr(kg.metrics, name) for name in kg.metrics.__all__]
    classes = {c for c in classes if isinstance(c, type) and issubclass(c, kg.metrics.Metric)}
    assert {type(metric) for metric in PUBLIC} == {c for c in classes if c.names}
    bases = {kg.metrics.Metric, kg.metrics.FeatureMetric, kg.metrics.ClassifierMetric}
    assert {c for c in classes if not c.names} == bases


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("metric", PUBLIC, ids=lambda metric: type(metric).__name__)
def test_nan_of_the_first_epoch_has_the_usual_names(metric, renamed):
    points = IMAGES.reshape(60, 12) if isinstance(metric, kg.metrics.ModeCoverage) else IMAGES
    model = tiny_gan()
    measure = EvaluateSamples({"again": metric} if renamed else metric, points, num_samples=60)
    measure.set_model(model)
    measure.set_params({"epochs": 2})
    model.generate = lambda n, **others: points[:n]
    measure.on_train_begin()
    model.generate = lambda n, **others: np.full_like(points[:n], np.nan)
    with pytest.warns(UserWarning, match="60 of 60 samples"):
        measure.on_epoch_end(0, first := {})
    model.generate = lambda n, **others: points[::-1][:n]
    measure.on_epoch_end(1, second := {})
    assert list(first) == list(second)
    assert all(math.isnan(value) for value in first.values())
    assert all(math.isfinite(value) for value in second.values())
    if not renamed:
        assert [name.removeprefix("val_") for name in second] == list(metric.names)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"every": 0}, ValueError, "`every` must be an integer >= 1. Received: 0"),
        ({"num_samples": 0.5}, TypeError, "`num_samples` must be an integer >= 1"),
        ({"seed": -1}, ValueError, "`seed` must be an integer >= 0. Received: -1"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be an integer >= 1"),
        ({"metrics": lambda real, fake: 0}, ValueError, r"has no name .*metrics=\{\"name\": metric\}"),
        ({"metrics": []}, ValueError, r"one or more metrics .* Received the names: \[\]"),
        ({"metrics": [Last(), Last()]}, ValueError, r"\['last', 'last'\]. Pass the metrics as a dict"),
        ({"metrics": {"fid": 3}}, TypeError, r"an instance of `kg.metrics.Metric`.* Received: 3"),
        ({"metrics": Means}, TypeError, r"an instance of .* Received: <class"),
    ],
)
def test_invalid_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        EvaluateSamples(**{"metrics": mean_gap, "real": POINTS, **arguments})


def test_names_already_in_the_logs_raise():
    class Other(Last):
        pass

    with pytest.raises(
        ValueError, match="Two metrics return a value named 'last'. Pass the metrics as a"
    ):
        train(EvaluateSamples([Last(), Other()], POINTS))
    twice = [EvaluateSamples(Last(), POINTS), EvaluateSamples(Last(), POINTS)]
    message = r"EvaluateSamples logs \['val_last'\], which .* has already logged. Pass the metrics"
    with pytest.raises(ValueError, match=message):
        train(*twice)


def test_two_parzen_windows_in_one_fit_need_names():
    twice = [ParzenLogLikelihood(POINTS, num_samples=20), ParzenLogLikelihood(POINTS, num_samples=20)]
    with pytest.raises(ValueError, match=r"ParzenLogLikelihood logs \['val_parzen_bandwidth'") as caught:
        train(*twice)
    (advice,) = re.findall("`(EvaluateSamples.*?)`", str(caught.value))
    names = {"EvaluateSamples": EvaluateSamples, "kg": kg}
    second = eval(advice, names | {"validation": POINTS[::2], "test": POINTS[1::2]})
    gan = tiny_gan()
    gan.compile(keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.5), ema_decay=0.9)
    history = train(ParzenLogLikelihood(POINTS, num_samples=1000), second, gan=gan)
    raw, use_ema = (history[f"val_{name}parzen_log_likelihood"] for name in ("", "ema_"))
    assert np.isfinite(raw + use_ema).all()
    assert raw != use_ema


def test_few_samples_are_generated_before_training():
    gan, made = tiny_gan(num_classes=4), []
    generate = gan.generate
    gan.generate = lambda n, **options: made.append(n) or generate(n, **options)
    data = np.eye(4, dtype="float32")[np.arange(64) % 4]
    for condition in (data[0], np.resize(data, (2000, 4))):
        measure = EvaluateSamples(mean_gap, POINTS, num_samples=2000, condition=condition)
        gan.fit(POINTS, data, epochs=1, verbose=0, callbacks=[measure])
    assert made == [16, 2000, 16, 2000]


def test_epoch_counter_of_a_dataset_survives_a_read_error():
    class Broken:
        element_spec, epoch = None, keras.Variable(5, dtype="int32", trainable=False)

        def cardinality(self):
            return 3

        def __iter__(self):
            raise RuntimeError(f"broken in epoch {int(self.epoch)}")

    dataset = Broken()
    with pytest.raises(RuntimeError, match="broken in epoch 0"):
        train(EvaluateSamples(mean_gap, dataset))
    assert int(dataset.epoch) == 5


def test_dataset_of_dicts():
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices({"image": POINTS, "label": POINTS[:, 0]}).batch(8)
    message = r"dicts with the keys \['image', 'label'\]. .*map\(lambda batch: batch\[\"image\"\]\)"
    with pytest.raises(TypeError, match=message):
        train(EvaluateSamples(mean_gap, dataset))
    history = train(EvaluateSamples(mean_gap, dataset.map(lambda batch: batch["image"])))
    assert len(history["val_mean_gap"]) == 3


def endless():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(POINTS).batch(8).repeat()


@pytest.mark.parametrize(
    ("real", "message"),
    [
        (POINTS[:, :1], r"shape of the samples, \(2,\). Received: \(1,\)"),
        (POINTS[:0], "`real` must be an array of one or more numbers"),
        (np.full((8, 2), np.nan), "`real` must be an array of finite numbers"),
        ((POINTS, POINTS), r"the shape of the samples, \(2,\). Received: \(64, 2\)"),
        (np.ones(3), r"Received: \(3,\)"),
        (endless(), "dataset of real images is infinite, .* Leave out `repeat"),
    ],
)
def test_invalid_real_images(real, message):
    gan = tiny_gan()
    with pytest.raises(ValueError, match=message):
        train(EvaluateSamples(mean_gap, real), gan=gan)
    assert int(gan.d_optimizer.iterations) == 0


@pytest.mark.parametrize("real", [None, "points", {"x": POINTS}, POINTS.astype(str), POINTS + 1j])
def test_real_images_of_other_types_raise(real):
    with pytest.raises(TypeError, match="(?s)`real` must be an array of numbers.*`tf.data.Dataset`"):
        train(EvaluateSamples(mean_gap, real))
    with pytest.raises(TypeError, match="`validation` must be an array of numbers"):
        train(ParzenLogLikelihood(real))


def test_metric_that_rejects_the_real_images_is_named_before_training():
    class Picky(Means):
        def prepare(self, real):
            raise KeyError("no features")

    message = r"'picky' refuses the real images, `real` of shape \(64, 2\) and dtype float32: 'no feat"
    with pytest.raises(ValueError, match=message) as caught:
        train(EvaluateSamples(Picky(), POINTS))
    assert isinstance(caught.value.__context__, KeyError)


def test_model_without_generate_raises():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    for callback in (EvaluateSamples(mean_gap, POINTS), ParzenLogLikelihood(POINTS)):
        with pytest.raises(TypeError, match="with `generate`, .* Received: Sequential"):
            model.fit(POINTS, POINTS, verbose=0, callbacks=[callback])


# Copies and memory.


def test_deep_copies_share_the_data_but_not_the_model():
    dataset = kg.datasets.load(POINTS.reshape(64, 1, 2, 1), batch_size=10)
    measure = EvaluateSamples(mean_gap, POINTS)
    parzen = ParzenLogLikelihood(dataset)
    assert copy.deepcopy(parzen).real is dataset
    gan = tiny_gan()
    expected = train(measure, gan=gan, epochs=2)["val_mean_gap"]
    twin = copy.deepcopy(measure)
    assert measure.model is gan
    assert twin.model is None
    assert twin.real is POINTS
    assert train(twin, epochs=2)["val_mean_gap"] == expected


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.jax
@pytest.mark.torch
def test_memory_is_bounded_over_200_evaluations():
    """What Python holds, and the process: samples of one evaluation are 160 kB."""
    measure = EvaluateSamples([Means(), mean_gap], POINTS, num_samples=20_000, batch_size=20_000)
    train(measure, epochs=1)
    process = psutil.Process()

    def evaluate(times):
        for epoch in range(times):
            measure.on_epoch_end(epoch, {})
        gc.collect()
        return np.array([tracemalloc.get_traced_memory()[0], process.memory_info().rss])

    tracemalloc.start()
    before = evaluate(20)
    traced, resident = evaluate(200) - before
    tracemalloc.stop()
    assert traced < 300_000
    assert resident < 10_000_000


# Parzen windows.


def test_parzen_window_selects_and_tests_on_different_images():
    images = np.random.default_rng(1).uniform(0, 1, (41, 2)).astype("float32")
    gan = tiny_gan()
    history = train(ParzenLogLikelihood(images, num_samples=80, seed=4), gan=gan, epochs=2)
    samples = np.float64(gan.generate(80, seed=4))

    def mean_and_error(queries, bandwidth):
        squares = np.sum((np.float64(queries)[:, None] - samples) ** 2, axis=2)
        kernels = np.exp(-squares / (2 * bandwidth**2)) / (2 * np.pi * bandwidth**2)
        values = np.log(kernels.mean(axis=1))
        return values.mean(), values.std() / np.sqrt(len(values))

    grid = 10 ** np.linspace(-1, 0, 10)
    best = max(grid, key=lambda bandwidth: mean_and_error(images[::2], bandwidth)[0])
    mean, error = mean_and_error(images[1::2], best)
    assert history["val_parzen_bandwidth"][-1] == pytest.approx(best)
    assert history["val_parzen_log_likelihood"][-1] == pytest.approx(mean, abs=1e-4)
    assert history["val_parzen_standard_error"][-1] == pytest.approx(error, abs=1e-4)


def test_parzen_window_with_test_images_and_value_range():
    images = np.random.default_rng(1).uniform(-1, 1, (60, 2)).astype("float32")
    gan = tiny_gan("tanh")
    measure = ParzenLogLikelihood(images[:20], images[20:], num_samples=80, seed=4, value_range=(-1, 1))
    history = train(measure, gan=gan, epochs=1)
    images, samples = (images + 1) / 2, (gan.generate(80, seed=4) + 1) / 2
    expected = kg.metrics.ParzenWindow(images[:20])(images[20:], samples)
    assert history["val_parzen_log_likelihood"] == [pytest.approx(expected.log_likelihood, abs=1e-4)]
    assert measure.results["parzen_window"].num_test == 40


def test_parzen_window_from_datasets():
    images = np.random.default_rng(1).uniform(0, 1, (40, 28, 28, 1)).astype("float32")
    labels = np.arange(40, dtype="int32")
    gan = tiny_gan()
    samples = images[::-1][:30] ** 2
    gan.generate = lambda n, **options: samples[:n]
    dataset = kg.datasets.load((images, labels), batch_size=7, labels=True, shuffle=False)
    value = train(ParzenLogLikelihood(dataset, num_samples=30), gan=gan, epochs=1)
    expected = kg.metrics.ParzenWindow(images[::2])(images[1::2], samples)
    assert value["val_parzen_log_likelihood"][0] == expected.log_likelihood


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"validation": 255 * POINTS},
            r"'parzen_window' refuses .* The images of `validation` must lie in .* from 5.* to 2",
        ),
        ({"validation": POINTS[:1]}, r"every other image of .* \(1, 2\) and \(0, 2\)"),
        ({"validation": POINTS, "test": 9 * POINTS}, "of `test` must lie in .* from 1.8.* to 7"),
        ({"validation": POINTS, "test": POINTS[:, :1]}, r"same shape: .* \(64, 2\) and \(64, 1\)"),
    ],
)
def test_invalid_parzen_images(arguments, message):
    with pytest.raises(ValueError, match=message):
        train(ParzenLogLikelihood(**arguments))


def test_invalid_parzen_value_range():
    with pytest.raises(ValueError, match=r"`value_range` must be two finite numbers"):
        ParzenLogLikelihood(POINTS, value_range=(1, -1))


def test_parzen_window_of_tanh_samples_suggests_value_range():
    gan, images = tiny_gan("tanh"), 2 * POINTS - 1
    message = r"lie in `value_range`, \(0, 1\). Received: .* from -0.* Pass `value_range=\(-1, 1\)`"
    for validation in (POINTS, images):  # the samples do not fit, and the images do not
        with pytest.raises(ValueError, match=message):
            train(ParzenLogLikelihood(validation, num_samples=20), gan=gan)
    assert int(gan.d_optimizer.iterations) == 0
    history = train(ParzenLogLikelihood(images, num_samples=20, value_range=(-1, 1)), gan=gan, epochs=1)
    assert math.isfinite(history["val_parzen_log_likelihood"][0])


def test_parzen_window_of_samples_outside_the_range_is_nan():
    gan = tiny_gan("relu")
    gan.generator.weights[0].assign(np.zeros((3, 2)))
    gan.generator.weights[1].assign([0.5, 0.5])
    leave = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: gan.generator.weights[1].assign([0.5, 7.0])
    )
    with pytest.warns(
        UserWarning, match=r"'parzen_window' failed after epoch 1: .*: The samples must lie in"
    ):
        history = train(leave, ParzenLogLikelihood(POINTS, num_samples=20), gan=gan, epochs=1)
    assert math.isnan(history["val_parzen_log_likelihood"][0])
    assert math.isnan(history["val_parzen_bandwidth"][0])


def test_parzen_window_with_custom_grid():
    gan, grid = tiny_gan(), [0.03, 0.17, 3.0]
    history = train(ParzenLogLikelihood(POINTS, num_samples=80, grid=grid), gan=gan, epochs=1)
    expected = kg.metrics.ParzenWindow(POINTS[::2], grid)(POINTS[1::2], gan.generate(80, seed=0))
    assert expected.bandwidth in (0.03, 0.17)
    assert history["val_parzen_bandwidth"] == [expected.bandwidth]
    assert history["val_parzen_log_likelihood"] == [pytest.approx(expected.log_likelihood, abs=1e-4)]
    with pytest.raises(ValueError, match=r"`grid` must be > 0 .* Received: \[-1.0\]"):
        ParzenLogLikelihood(POINTS, grid=[-1.0])


def test_healthy_run_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Keras' own, on torch.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        train(ParzenLogLikelihood(POINTS, every=2), EvaluateSamples(mean_gap, POINTS), epochs=4)

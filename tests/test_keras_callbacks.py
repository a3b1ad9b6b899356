"""Callbacks of Keras act on a GAN, or are refused before training."""

import keras
import numpy as np
import pytest
from helpers.games import mlp
from keras import callbacks

import keras_gan as kg

X = np.random.default_rng(0).uniform(size=(40, 4)).astype("float32")


def make_gan(optimizer=None, **options):
    keras.utils.set_random_seed(0)
    gan = kg.GAN(mlp(3, 4), mlp(4, 1), seed=0)
    make = optimizer or (lambda: keras.optimizers.Adam(1e-2))
    gan.compile(make(), make(), **{"run_eagerly": True, **options})
    return gan


def fit(gan, *chosen, epochs=2, **options):
    options = {"validation_data": X, "shuffle": False, **options}
    return gan.fit(X, batch_size=20, epochs=epochs, verbose=0, callbacks=[*chosen], **options)


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


@pytest.mark.parametrize(
    "callback",
    [callbacks.LearningRateScheduler(lambda epoch, rate: rate), callbacks.ReduceLROnPlateau("d_loss")],
    ids=lambda callback: type(callback).__name__,
)
def test_learning_rate_callbacks_raise_before_training(callback):
    gan = make_gan()
    message = f"`{type(callback).__name__}` sets the learning rate of the model's only optimizer.*'d'"
    with pytest.raises(ValueError, match=message):
        fit(gan, callback)
    assert int(gan.optimizer.iterations) == 0


def test_scheduler_sets_the_learning_rate_of_its_player():
    """The weights are those of a run in which the rates are assigned by hand."""
    rates = {"d": [0.01, 0.005, 0.0025], "g": [0.02, 0.01, 0.01]}
    gan, other = make_gan(run_eagerly=False), make_gan(run_eagerly=False)
    schedules = [
        kg.callbacks.PlayerCallback(
            player, callbacks.LearningRateScheduler(lambda epoch, rate, own=own: own[epoch])
        )
        for player, own in rates.items()
    ]
    history = fit(gan, *schedules, epochs=3).history
    for player, own in rates.items():
        np.testing.assert_allclose(history[f"{player}_learning_rate"], own)
    assert "learning_rate" not in history

    def assign(epoch, logs):
        other.d_optimizer.learning_rate = rates["d"][epoch]
        other.g_optimizer.learning_rate = rates["g"][epoch]

    fit(other, callbacks.LambdaCallback(on_epoch_begin=assign), epochs=3)
    for a, b in zip(values(gan.weights), values(other.weights), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rate_of_a_player_is_reduced_on_a_plateau():
    reduce = callbacks.ReduceLROnPlateau("val_g_loss", factor=0.5, patience=2, min_delta=1e9, mode="min")
    gan = make_gan(run_eagerly=False)
    history = fit(gan, kg.callbacks.PlayerCallback("g", reduce), epochs=6).history
    # The first epoch is an improvement on nothing; the rate is halved after each two of the others.
    np.testing.assert_allclose(
        history["g_learning_rate"], [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025], rtol=1e-6
    )
    assert float(gan.d_optimizer.learning_rate) == pytest.approx(0.01)


def test_player_callback_keeps_its_state_in_a_resumed_run(tmp_path):
    def run(directory, epochs):
        gan = make_gan(run_eagerly=False)
        reduce = callbacks.ReduceLROnPlateau(
            "val_g_loss", factor=0.5, patience=2, min_delta=1e9, mode="min"
        )
        added = [kg.callbacks.Resume(directory), kg.callbacks.PlayerCallback("g", reduce)]
        return gan, fit(gan, *added, epochs=epochs).history

    whole, history = run(tmp_path / "whole", 6)
    run(tmp_path / "parts", 2)  # one epoch into the patience
    gan, resumed = run(tmp_path / "parts", 6)
    assert resumed == history
    for a, b in zip(values(gan.variables), values(whole.variables), strict=True):
        np.testing.assert_array_equal(a, b)


def test_averages_of_one_player_are_swapped_in():
    """A validation of the generator's averages against the discriminator's last weights."""

    def optimizer():
        return keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.5)

    gan, other = make_gan(optimizer), make_gan(optimizer)
    seen = {}

    def note(*_):
        seen["d"], seen["g"] = other.discriminator.get_weights(), values(_averages(other.g_optimizer))

    fit(other, callbacks.LambdaCallback(on_epoch_end=note), epochs=1, validation_data=None)
    swap = kg.callbacks.PlayerCallback("g", callbacks.SwapEMAWeights())
    history = fit(gan, swap, epochs=1).history
    expected = make_gan()
    expected.discriminator.set_weights(seen["d"])
    expected.generator.set_weights(seen["g"])
    scores = expected.evaluate(X, batch_size=20, return_dict=True, verbose=0)
    assert history["val_d_loss"][0] == pytest.approx(scores["d_loss"], rel=1e-5)


def _averages(optimizer):
    return optimizer._model_variables_moving_average


def test_player_callback_refuses_what_it_cannot_use():
    with pytest.raises(TypeError, match="`callback` must be a `keras.callbacks.Callback`. Received: 3"):
        kg.callbacks.PlayerCallback("d", 3)
    schedule = callbacks.LearningRateScheduler(lambda epoch, rate: rate)
    with pytest.raises(ValueError, match="Unknown player 'critic'.* Known: 'd', 'g'"):
        fit(make_gan(), kg.callbacks.PlayerCallback("critic", schedule))


def test_early_stopping_restores_the_best_weights():
    gan, seen = make_gan(), []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(values(gan.weights)))
    stop = callbacks.EarlyStopping("d_loss", mode="max", patience=1, restore_best_weights=True)
    history = fit(gan, watch, stop, epochs=20)
    best = int(np.argmax(history.history["d_loss"]))
    assert len(history.epoch) == best + 2 < 20
    for restored, kept in zip(values(gan.weights), seen[best], strict=True):
        np.testing.assert_array_equal(restored, kept)


def test_a_checkpoint_of_the_best_epoch_loads(tmp_path):
    gan, seen = make_gan(ema_decay=0.9), []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(gan.generate(3, seed=0)))
    path = tmp_path / "best.keras"
    keep = callbacks.ModelCheckpoint(path, "val_d_loss", mode="min", save_best_only=True)
    history = fit(gan, watch, keep, epochs=4)
    best = int(np.argmin(history.history["val_d_loss"]))
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded.generate(3, seed=0), seen[best])


def test_backup_and_restore_does_not_repeat_steps(tmp_path):
    class Stop(Exception):
        pass

    def stop(epoch, logs):
        if epoch == 1:
            raise Stop

    whole = make_gan()
    fit(whole, epochs=4)
    with pytest.raises(Stop):
        fit(
            make_gan(),
            callbacks.BackupAndRestore(tmp_path),
            callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: stop(epoch - 1, logs)),
            epochs=4,
        )
    gan = make_gan()
    assert fit(gan, callbacks.BackupAndRestore(tmp_path), epochs=4).epoch == [2, 3]
    for a, b in zip(values(gan.variables), values(whole.variables), strict=True):
        np.testing.assert_array_equal(a, b)


def test_terminate_on_nan():
    gan = make_gan(lambda: keras.optimizers.SGD(1e30))
    history = fit(gan, callbacks.TerminateOnNaN(), epochs=9, validation_data=None)
    assert len(history.epoch) < 9


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_validation_sees_the_weights_that_optimizers_average(swap_on_epoch):
    """The discriminator's loss on validation data is that of a GAN that holds the averages."""
    gan = make_gan(lambda: keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.5))
    history = fit(gan, callbacks.SwapEMAWeights(swap_on_epoch), epochs=1).history
    # At the end of training, Keras assigns the averages to the weights.
    other = make_gan()
    other.validation_noise.state.assign(make_gan().validation_noise.state)
    other.generator.set_weights(gan.generator.get_weights())
    other.discriminator.set_weights(gan.discriminator.get_weights())
    assert history["val_d_loss"][0] == pytest.approx(
        other.evaluate(X, batch_size=20, return_dict=True, verbose=0)["d_loss"], rel=1e-5
    )


def test_tensorboard_and_csv_logs(tmp_path):
    rows = tmp_path / "log.csv"
    tensorboard = callbacks.TensorBoard(tmp_path / "logs", histogram_freq=1, update_freq=1)
    fit(make_gan(), tensorboard, callbacks.CSVLogger(rows))
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["train", "validation"]
    assert rows.read_text().startswith("epoch,d_fake,d_loss,d_real,g_loss,val_d_fake")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ema_decay": 0.9},
        {"terms": [kg.terms.HistoricalAveraging("generator")]},
        {"update": "optimistic"},
    ],
    ids=["plain", "EMA", "term", "update"],
)
def test_state_trees_have_a_place_for_each_variable(options):
    """`OrbaxCheckpoint` saves such a tree."""
    gan = make_gan(**options)
    fit(gan, epochs=1, validation_data=None)
    tree = gan.get_state_tree(value_format="numpy_array")
    leaves = keras.tree.flatten(tree["trainable_variables"]) + keras.tree.flatten(
        tree["non_trainable_variables"]
    )
    assert len(leaves) == len(gan.variables)

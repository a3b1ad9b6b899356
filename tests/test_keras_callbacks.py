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
    gan.compile(make(), make(), run_eagerly=True, **options)
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
    message = f"`{type(callback).__name__}` sets the learning rate of the model's only optimizer. A GAN"
    with pytest.raises(ValueError, match=message):
        fit(gan, callback)
    assert int(gan.optimizer.iterations) == 0


def test_callback_can_set_the_learning_rate_of_a_player():
    """As the message about the others advises."""
    gan = make_gan()

    def halve(epoch, logs):
        gan.d_optimizer.learning_rate = gan.d_optimizer.learning_rate / 2

    fit(gan, callbacks.LambdaCallback(on_epoch_end=halve))
    assert float(gan.d_optimizer.learning_rate) == pytest.approx(0.0025)
    assert float(gan.g_optimizer.learning_rate) == pytest.approx(0.01)


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

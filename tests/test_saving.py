"""A GAN in a file: what Keras' own ways of saving keep."""

import keras
import numpy as np
import pytest
from games import mlp

import keras_gan as kg


def make(update="alternating", policy="float32", prior="normal"):
    keras.config.set_dtype_policy(policy)
    generator = mlp(4, 2, batch_norm=True, dropout=0.2, name="g")
    discriminator = mlp(2, 1, batch_norm=True, dropout=0.3, name="d")
    gan = kg.GAN(generator, discriminator, prior=prior, seed=7)
    gan.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.optimizers.Adam(1e-3),
        loss=kg.losses.NonSaturating(label_smoothing=0.1),
        terms=[kg.terms.R1(weight=0.1, interval=3), kg.terms.HistoricalAveraging("generator", 0.01)],
        update=kg.updates.Consensus(0.1) if update == "consensus" else update,
        discriminator_steps=2,
    )
    return gan


@pytest.fixture
def x(rng):
    return rng.normal(size=(40, 2)).astype("float32")


def train(gan, x, epochs=2, **kwargs):
    return gan.fit(x, batch_size=10, epochs=epochs, shuffle=False, verbose=0, **kwargs)


def everything(gan):
    """Return all that changes during training: weights, seeds, optimizers, averages, counters."""
    variables = [*gan.variables, *gan.optimizer.variables]
    return [keras.ops.convert_to_numpy(v) for v in variables]


def assert_identical(a, b):
    for left, right in zip(everything(a), everything(b), strict=True):
        np.testing.assert_array_equal(left, right)


pytestmark = pytest.mark.filterwarnings(
    # The penalty through D's batch normalization is only approximate; here it need only be the same.
    "ignore:.*differentiates through:UserWarning"
)


@pytest.mark.parametrize(
    ("update", "policy"),
    [*((update, "float32") for update in kg.updates.UPDATES), ("optimistic", "mixed_float16")],
)
def test_a_loaded_gan_trains_on_as_if_it_had_never_stopped(update, policy, x, tmp_path):
    half = make(update, policy)
    train(half, x, 1)
    half.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert_identical(loaded, half)
    a, b = train(half, x, 1).history, train(loaded, x, 1).history
    assert a == b
    assert_identical(loaded, half)


def test_a_file_keeps_the_whole_configuration(x, tmp_path):
    gan = make(prior=kg.priors.Joint([kg.priors.Uniform(), kg.priors.Categorical(2)]))
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert isinstance(loaded, kg.GAN)
    assert loaded.loss.label_smoothing == 0.1
    assert [type(term).__name__ for term in loaded.terms] == ["R1", "HistoricalAveraging"]
    assert (loaded.terms[0].interval, loaded.discriminator_steps, loaded.seed) == (3, 2, 7)
    assert isinstance(loaded.d_optimizer, keras.optimizers.SGD)
    assert isinstance(loaded.g_optimizer, keras.optimizers.Adam)
    np.testing.assert_array_equal(loaded.generate(5, seed=1), gan.generate(5, seed=1))


def test_weights_file(x, tmp_path):
    gan, other = make(), make()
    train(gan, x, 1)
    gan.save_weights(tmp_path / "gan.weights.h5")
    other.load_weights(tmp_path / "gan.weights.h5")
    assert_identical(gan, other)


def test_model_checkpoint_and_backup_and_restore_work(x, tmp_path):
    gan = make()
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_g_loss", mode="min")
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    train(gan, x, 2, callbacks=[best, backup], validation_data=(x,))
    assert_identical(keras.models.load_model(tmp_path / "best.keras"), gan)
    again = make()
    train(again, x, 2, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    assert_identical(again, gan)


def test_each_player_has_its_own_loss_scale(x):
    gan = make(policy="mixed_float16")
    optimizers = [gan.d_optimizer, gan.g_optimizer]
    assert all(isinstance(o, keras.optimizers.LossScaleOptimizer) for o in optimizers)
    history = train(gan, x, 2).history
    assert np.isfinite(list(history.values())).all()
    assert gan.generate(3, seed=0).dtype == np.float32


def test_learning_rate_callbacks_are_refused_with_advice(x):
    gan = make()
    assert float(gan.optimizer.learning_rate) == pytest.approx(1e-3)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    with pytest.raises(ValueError, match="A GAN has two optimizers"):
        train(gan, x, 1, callbacks=[schedule])


def test_early_stopping_and_history_see_validation(x):
    gan = make()
    stop = keras.callbacks.EarlyStopping("val_g_loss", mode="min", patience=1, min_delta=1e9)
    history = train(gan, x, 5, callbacks=[stop], validation_data=(x,))
    assert len(history.epoch) == 2


def test_a_gan_that_was_never_compiled_is_saved_too(tmp_path):
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    assert gan.metrics == []
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.generate(3, seed=0), gan.generate(3, seed=0))

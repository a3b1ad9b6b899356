"""A GAN in a file: what Keras' own ways of saving keep, and what is refused."""

import os
import resource
import zipfile

import h5py
import keras
import numpy as np
import pytest
from helpers.games import EAGERLY, assert_same_state, mlp

import keras_gan as kg


def make(update="alternating", policy="float32", prior="normal", run_eagerly=EAGERLY):
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
        run_eagerly=run_eagerly,
    )
    return gan


@pytest.fixture
def x(rng):
    return rng.normal(size=(40, 2)).astype("float32")


def train(gan, x, epochs=2, **kwargs):
    return gan.fit(x, batch_size=10, epochs=epochs, shuffle=False, verbose=0, **kwargs)


pytestmark = pytest.mark.filterwarnings(
    # The penalty through D's batch normalization is only approximate; here it need only be the same.
    "ignore:.*differentiates:UserWarning"
)


COMPILED = [("alternating", "float32"), ("optimistic", "mixed_float16")]
everywhere = [pytest.mark.slow, pytest.mark.tensorflow, pytest.mark.jax, pytest.mark.torch]


@pytest.mark.parametrize(
    ("update", "policy"),
    [
        *((update, "float32") for update in kg.updates.UPDATES),
        pytest.param("optimistic", "mixed_float16", marks=everywhere),
    ],
)
def test_loaded_gan_continues_training_exactly(update, policy, x, tmp_path):
    x = x[:20]  # four steps of the discriminator an epoch, of which R1 is added to every third
    half = make(update, policy, run_eagerly=EAGERLY and (update, policy) not in COMPILED)
    train(half, x, 1)
    half.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert_same_state(loaded, half)
    a, b = train(half, x, 1).history, train(loaded, x, 1).history
    assert a == b
    assert_same_state(loaded, half)


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


def test_weights_file_round_trip(x, tmp_path):
    gan, other = make(), make()
    train(gan, x, 1)
    gan.save_weights(tmp_path / "gan.weights.h5")
    other.load_weights(tmp_path / "gan.weights.h5")
    assert_same_state(gan, other)


def test_model_checkpoint_and_backup_and_restore_work(x, tmp_path):
    gan = make()
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_g_loss", mode="min")
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    train(gan, x, 2, callbacks=[best, backup], validation_data=(x,))
    assert_same_state(keras.models.load_model(tmp_path / "best.keras"), gan)
    again = make()
    train(again, x, 2, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    assert_same_state(again, gan)


def test_each_player_has_its_own_loss_scale(x):
    gan = make(policy="mixed_float16")
    optimizers = [gan.d_optimizer, gan.g_optimizer]
    assert all(isinstance(o, keras.optimizers.LossScaleOptimizer) for o in optimizers)
    history = train(gan, x, 2).history
    assert np.isfinite(list(history.values())).all()
    assert gan.generate(3, seed=0).dtype == np.float32


def test_learning_rate_callbacks_raise_with_advice(x):
    gan = make()
    assert float(gan.optimizer.learning_rate) == pytest.approx(1e-3)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    with pytest.raises(ValueError, match="A GAN has one for each player. Wrap the callback"):
        train(gan, x, 1, callbacks=[schedule])


def test_early_stopping_and_history_see_validation(x):
    gan = make()
    stop = keras.callbacks.EarlyStopping("val_g_loss", mode="min", patience=1, min_delta=1e9)
    history = train(gan, x, 5, callbacks=[stop], validation_data=(x,))
    assert len(history.epoch) == 2


def test_uncompiled_gan_is_saved(tmp_path):
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    assert gan.metrics == []
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.generate(3, seed=0), gan.generate(3, seed=0))


def small(units=4, layers=1, compiled=True, **compile_arguments):
    def network(inputs, outputs):
        hidden = [keras.layers.Dense(units) for _ in range(layers)]
        return keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(outputs)])

    gan = kg.GAN(network(3, 2), network(2, 1), seed=0)
    if compiled:
        gan.compile(
            keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.Adam(), **compile_arguments
        )
    return gan


def state(gan):
    variables = [*gan.variables, *(gan.optimizer.variables if gan.compiled else [])]
    return [keras.ops.convert_to_numpy(variable).tobytes() for variable in variables]


@pytest.fixture
def saved(tmp_path):
    """The two files of a small GAN."""
    gan = small()
    gan.save(tmp_path / "gan.keras")
    gan.save_weights(tmp_path / "gan.weights.h5")
    return tmp_path


OTHERS = {
    "units": ({"units": 5}, r"dense/vars/0: expected shape \(2, 5\), received shape \(2, 4\)"),
    "fewer layers": ({"layers": 0}, r"dense/vars/0: expected shape \(2, 1\), received shape \(2, 4\)"),
    "more layers": ({"layers": 2}, r"dense_2/vars/0: expected shape \(4, 1\), received no such array"),
    "an average": (
        {"ema_decay": 0.9},
        r"vars/state_0: .*received no such array.*same `compile` arguments",
    ),
    "a term": (
        {"terms": [kg.terms.HistoricalAveraging("generator", 0.1)]},
        "vars/state_0: .*same `compile` arguments",
    ),
}


@pytest.mark.parametrize("name", ["gan.keras", "gan.weights.h5"])
@pytest.mark.parametrize("other", OTHERS)
def test_file_of_another_gan_raises_and_changes_nothing(other, name, saved):
    arguments, message = OTHERS[other]
    gan = small(**arguments)
    before = state(gan)
    with pytest.raises(
        ValueError, match=f"{name} was not loaded, and the GAN is unchanged: .*{message}"
    ):
        gan.load_weights(saved / name)
    assert state(gan) == before


def test_file_with_an_extra_layer_raises(tmp_path):
    gan, larger = (
        kg.GAN(
            keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(2) for _ in range(depth))]),
            keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
        )
        for depth in (1, 2)
    )
    larger.save_weights(tmp_path / "larger.weights.h5")
    before = state(gan)
    message = r"generator/layers/dense_1/vars/0: expected no such array, received shape \(2, 2\)"
    with pytest.raises(ValueError, match=message):
        gan.load_weights(tmp_path / "larger.weights.h5")
    assert state(gan) == before


def test_different_optimizers_raise(saved):
    gan = small(compiled=False)
    gan.compile(keras.optimizers.SGD(), keras.optimizers.SGD())
    before = state(gan)
    with pytest.raises(
        ValueError, match="d_optimizer/vars/2: expected no such array.*same `compile` arguments"
    ):
        gan.load_weights(saved / "gan.weights.h5")
    assert state(gan) == before
    # On request Keras decides what is left out.
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        gan.load_weights(saved / "gan.weights.h5", skip_mismatch=True)
    assert state(gan) != before


def test_file_without_optimizers_loads_before_compile(tmp_path):
    trained = small(compiled=False)
    trained.generator.set_weights([weight + 1 for weight in trained.generator.get_weights()])
    trained.save_weights(tmp_path / "networks.weights.h5")
    gan = small()
    with pytest.raises(ValueError, match="lacks the state of the optimizers.*Load it before `compile`"):
        gan.load_weights(tmp_path / "networks.weights.h5")
    fresh = small(compiled=False)
    fresh.load_weights(tmp_path / "networks.weights.h5")
    np.testing.assert_array_equal(fresh.generate(3, seed=0), trained.generate(3, seed=0))


def test_file_of_a_compiled_gan_loads_into_an_uncompiled_one(tmp_path):
    trained = small(ema_decay=0.9)
    trained.generator.set_weights([weight + 1 for weight in trained.generator.get_weights()])
    for name, save in {"a.keras": trained.save, "a.weights.h5": trained.save_weights}.items():
        save(tmp_path / name)
        gan = small(compiled=False)
        gan.load_weights(tmp_path / name)
        np.testing.assert_array_equal(gan.generate(3, seed=0), trained.generate(3, seed=0))
    loaded = keras.models.load_model(tmp_path / "a.keras", compile=False)
    np.testing.assert_array_equal(loaded.generate(3, seed=0), trained.generate(3, seed=0))


@pytest.mark.parametrize("name", ["gan.keras", "gan.weights.h5"])
def test_damaged_file_raises_and_changes_nothing(name, saved):
    path, gan = saved / name, small()
    gan.generator.set_weights([weight + 1 for weight in gan.generator.get_weights()])
    content, before = path.read_bytes(), state(gan)
    for part in (b"", b"no such file", content[:100], content[: len(content) // 2], content[:-10]):
        path.write_bytes(part)
        with pytest.raises(ValueError, match="was not loaded, and the GAN is unchanged: it is damaged"):
            gan.load_weights(path)
        if name == "gan.keras":
            with pytest.raises(ValueError, match="accessible `.keras` zip file"):
                keras.models.load_model(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        gan.load_weights(path)
    assert state(gan) == before


def test_truncated_file_changes_nothing(saved, monkeypatch):
    gan = small()
    gan.generator.set_weights([weight + 1 for weight in gan.generator.get_weights()])
    before = state(gan)

    def broken(store):
        raise OSError("input/output error")

    monkeypatch.setattr(gan.optimizer.g, "load_own_variables", broken)
    with pytest.raises(ValueError, match="is unchanged: [^$]*input/output error"):
        gan.load_weights(saved / "gan.weights.h5")
    assert state(gan) == before


def test_unrelated_file_raises(saved):
    gan = small()
    with h5py.File(saved / "foreign.weights.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(ValueError, match="discriminator/layers/dense/vars/0: expected shape"):
        gan.load_weights(saved / "foreign.weights.h5")
    with zipfile.ZipFile(saved / "foreign.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match="no item named 'model.weights.h5'"):
        gan.load_weights(saved / "foreign.keras")
    with pytest.raises(ValueError, match="must end in `.weights.h5`, `.weights.json` or `.keras`"):
        gan.load_weights(saved / "gan.pickle")


def rewritten(path, change):
    """Rewrite a `.keras` file with `change` made to its open HDF5 file; None leaves that out."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    weights = path.with_name("rewritten.weights.h5")
    weights.write_bytes(parts.pop("model.weights.h5"))
    if change is not None:
        with h5py.File(weights, "a") as file:
            change(file)
        parts["model.weights.h5"] = weights.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def drop(name):
    return lambda file: file.__delitem__(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "Expected a model.weights.h5"),
        (drop("optimizer"), "optimizer/vars/iterations: expected shape"),
        (drop("d_optimizer"), "d_optimizer/vars/0: expected shape"),
        (drop("vars/seed_0"), "vars/seed_0: expected shape"),
        (drop("generator/layers/dense"), "generator/layers/dense/vars/0: expected shape"),
        (
            lambda file: file.create_dataset("generator/layers/dense_9/vars/0", data=[1.0]),
            "expected no such array",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Skipping")  # Keras warns of some of it before the error comes
def test_load_model_rejects_a_file_with_a_missing_part(change, message, saved):
    rewritten(saved / "gan.keras", change)
    with pytest.raises(ValueError, match=message):
        keras.models.load_model(saved / "gan.keras")


def test_missing_entries_of_a_store_are_named():
    gan = small()
    for owner, message in (
        (gan, "'seed_0' of this GAN"),
        (gan.optimizer, "'iterations' of the optimizers"),
    ):
        with pytest.raises(ValueError, match=f"The array {message}.*no such array"):
            owner.load_own_variables({})
    with pytest.raises(ValueError, match=r"has the shape \(\). Received: shape \(2,\)"):
        gan.optimizer.load_own_variables({"iterations": np.zeros(2)})


def test_sharded_weights_round_trip(tmp_path):
    gan, other = small(), small()
    gan.generator.set_weights([weight + 1 for weight in gan.generator.get_weights()])
    gan.save_weights(tmp_path / "gan.weights.json", max_shard_size=2e-7)
    assert len(list(tmp_path.iterdir())) > 2
    other.load_weights(tmp_path / "gan.weights.json")
    assert state(other) == state(gan)
    with pytest.raises(ValueError, match="dense/vars/0: expected shape"):
        small(units=5).load_weights(tmp_path / "gan.weights.json")


def test_files_are_replaced_atomically(tmp_path, monkeypatch):
    gan = small()
    for save, name in ((gan.save, "a.keras"), (gan.save_weights, "a.weights.h5")):
        path = tmp_path / "new" / "folder" / name
        save(path)
        before = path.read_bytes()
        monkeypatch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save(path)
        monkeypatch.undo()
        assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["a.keras", "a.weights.h5"]


def interrupted(*args):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5"])
def test_full_disk_keeps_the_older_file(name, tmp_path):
    gan, path = small(), tmp_path / name
    save = gan.save if name == "a.keras" else gan.save_weights
    save(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [name]


def test_other_saving_functions_of_keras(tmp_path):
    gan = small()
    gan.save(tmp_path / "folder", zipped=False)
    assert state(keras.models.load_model(tmp_path / "folder")) == state(gan)
    keras.saving.save_model(gan, tmp_path / "gan.keras")
    assert state(keras.models.load_model(tmp_path / "gan.keras")) == state(gan)
    for name in ("gan.h5", "gan.weights.h5", "gan.txt"):
        with pytest.raises(ValueError, match="must end in `.keras`"):
            gan.save(tmp_path / name)


def test_arguments_that_are_no_paths_are_named(tmp_path):
    gan = small()
    (tmp_path / "file").touch()
    for call, path in ((gan.save, "a.keras"), (gan.save_weights, "a.weights.h5")):
        with pytest.raises(TypeError, match="`filepath` must be a path.*Received: 3 of type int"):
            call(3)
        with pytest.raises(ValueError, match=f"`filepath` must end in `{path[1:]}`. Received: 'a.txt'"):
            call("a.txt")
        with pytest.raises(NotADirectoryError, match="`filepath` needs the folder.*file' is a file"):
            call(tmp_path / "file" / path)
        with pytest.raises(TypeError, match="`overwrite` must be True or False"):
            call(tmp_path / path, overwrite=2)
    with pytest.raises(FileNotFoundError, match="no file at the path `filepath`: .*a.keras"):
        gan.load_weights(tmp_path / "a.keras")
    with pytest.raises(TypeError, match="`skip_mismatch` must be True or False"):
        gan.load_weights(tmp_path / "a.keras", skip_mismatch="no")
    assert os.listdir(tmp_path) == ["file"]


def test_dropout_without_a_seed_continues_exactly(x, tmp_path):
    """Keras' torch backend would draw it from a state of torch's own, which no file holds."""
    gan = kg.GAN(
        mlp(4, 2),
        keras.Sequential([*mlp(2, 8).layers, keras.layers.Dropout(0.5), keras.layers.Dense(1)]),
        seed=0,
    )
    gan.compile("sgd", "sgd")
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    for model in (gan, loaded):
        train(model, x, 1)
    assert_same_state(loaded, gan)


def test_optimizers_that_average_weights_train_twice(x):
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    gan.compile(keras.optimizers.SGD(0.1, use_ema=True), keras.optimizers.Adam(1e-3, use_ema=True))
    for _ in range(2):
        assert np.isfinite(list(train(gan, x, 1).history.values())).all()


@keras.saving.register_keras_serializable("tests")
class WithOwnWeights(kg.GAN):
    """Adds weights to the GAN itself, as any layer may."""

    def __init__(self, generator, discriminator, **options):
        super().__init__(generator, discriminator, **options)
        self.scale = self.add_weight(shape=(2,), name="scale", trainable=False)


@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_own_weights_of_a_subclass_are_saved(method, tmp_path):
    gan = WithOwnWeights(mlp(4, 2), mlp(2, 1), prior="normal", seed=0)
    gan.compile("sgd", "sgd", ema_decay=0.9)
    gan.scale.assign([5.0, 6.0])
    path = tmp_path / ("gan.keras" if method == "save" else "gan.weights.h5")
    getattr(gan, method)(path)
    if method == "save":
        loaded = keras.models.load_model(path)
    else:
        loaded = WithOwnWeights(mlp(4, 2), mlp(2, 1), prior="normal", seed=0)
        loaded.compile("sgd", "sgd", ema_decay=0.9)
        loaded.load_weights(path)
    assert keras.ops.convert_to_numpy(loaded.scale).tolist() == [5.0, 6.0]

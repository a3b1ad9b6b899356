"""An interrupted run continues as if it had not stopped: here in one process."""

import copy
import json
import math
import random
import resource
import shutil

import keras
import numpy as np
import pytest
from helpers.games import assert_same_state, mlp

import keras_gan as kg
from keras_gan import backend
from keras_gan.callbacks import Resume
from keras_gan.utils import attributes

IMAGES = np.random.default_rng(0).random((20, 4, 4, 1)).astype("float32")


class Kill(Exception):
    """What stands for a kill: nothing runs after it."""


class KillAt(keras.callbacks.Callback):
    def __init__(self, moment, number):
        super().__init__()
        setattr(self, moment, self._kill)
        self.number = number

    def _kill(self, number=None, logs=None):
        if number is None or isinstance(number, dict) or number == self.number:
            raise Kill


def make_gan(units=8, rate=1e-3, seed=0, **compile_arguments):
    images, flat = keras.layers.Reshape((4, 4, 1)), keras.layers.Flatten()
    nets = mlp(3, 16, units, dropout=0.2, batch_norm=True), mlp(16, 1, 8, dropout=0.3, batch_norm=True)
    generator = keras.Sequential([keras.Input((3,)), *nets[0].layers, images])
    discriminator = keras.Sequential([keras.Input((4, 4, 1)), flat, *nets[1].layers])
    gan = kg.GAN(generator, discriminator, seed=seed)
    # Compiled ones are killed in test_killed.py: five steps take less time than that.
    arguments = {"run_eagerly": True, **compile_arguments}
    gan.compile(keras.optimizers.SGD(0.05, momentum=0.9), keras.optimizers.Adam(rate), **arguments)
    return gan


def distance(real, fake):
    return abs(real.mean() - fake.mean())


def watchers(folder, monitor="val_distance", mode="min", patience=9, pictures=True):
    """Callbacks that each remember something."""
    drawn = [
        kg.callbacks.SampleGrid(folder / "samples", every=2, rows=2, columns=2, gif=True),
        kg.callbacks.TrainingCurves(folder / "curves.png", every=50),
    ]
    return [
        kg.callbacks.EvaluateSamples(distance, IMAGES, num_samples=20, every=2),
        kg.callbacks.CollapseMonitor(IMAGES, num_samples=20, patience=50),
        keras.callbacks.EarlyStopping(monitor, mode=mode, patience=patience, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(
            folder / "best.weights.h5", monitor, mode=mode, save_best_only=True, save_weights_only=True
        ),
        *(drawn if pictures else ()),
        keras.callbacks.EarlyStopping("d_loss", mode="max", patience=50, restore_best_weights=False),
    ]


def memory(callbacks):
    """Return what the two that stop and the one that warns go by."""
    stops = [c for c in callbacks if isinstance(c, keras.callbacks.EarlyStopping)]
    streaks = [c._streaks for c in callbacks if isinstance(c, kg.callbacks.CollapseMonitor)]
    return [(stop.best, stop.best_epoch, stop.wait) for stop in stops], streaks


def train(folder, epochs=5, extra=(), gan=None, watch=None, every=1, **fit_arguments):
    keras.utils.set_random_seed(0)
    gan = gan or make_gan(ema_decay=0.9, discriminator_steps=2)
    data = kg.datasets.load(IMAGES, batch_size=10, seed=3)
    resume = Resume(folder / "resume", every=every)
    # Pictures take a third of the time.
    watch = watchers(folder, pictures=False) if watch is None else watch
    callbacks = [*watch, resume, *extra]
    # Numbers that stand in for those of other runs fail at once if they are used.
    gan.fit(data, epochs=epochs, verbose=0, callbacks=callbacks, **fit_arguments)
    return gan


def assert_same_run(a, b):
    assert a.history.history == b.history.history
    assert a.history.epoch == b.history.epoch
    assert_same_state(a, b)


def contents(folder):
    """Return the bytes of all files but the states and Keras' own, which hold dates."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in paths
        if "resume" not in path.parts and path.suffix != ".h5"
    }


def states(folder):
    return sorted(path.name for path in (folder / "resume").iterdir())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    watch = watchers(folder)
    return train(folder, watch=watch), folder, memory(watch)


@pytest.mark.parametrize(
    ("moment", "number", "state"),
    [
        ("on_train_batch_end", 1, None),
        ("on_epoch_end", 2, 2),
        ("on_train_end", None, 5),
    ],
)
def test_killed_run_matches_an_uninterrupted_one(moment, number, state, undisturbed, tmp_path):
    with pytest.raises(Kill):
        train(tmp_path, watch=watchers(tmp_path), extra=[KillAt(moment, number)])
    assert states(tmp_path) == ([f"epoch-{state:04d}"] if state else [])
    gan, folder, remembered = undisturbed
    watch = watchers(tmp_path)
    assert_same_run(train(tmp_path, watch=watch), gan)
    assert memory(watch) == remembered
    assert remembered[0][1][1:] == (0, 4)  # the best of the second came first, and was waited for since
    assert contents(tmp_path) == contents(folder)
    assert len(contents(folder)) == 7  # four pictures of samples and a film of them, curves twice


def test_repeatedly_killed_run(undisturbed, tmp_path):
    for moment, number in (("on_epoch_end", 1), ("on_epoch_begin", 4)):
        with pytest.raises(Kill):
            train(tmp_path, extra=[KillAt(moment, number)], every=2)
    assert states(tmp_path) == ["epoch-0004"]
    assert_same_run(train(tmp_path, every=2), undisturbed[0])


def test_a_finished_run_is_not_trained_again(undisturbed, tmp_path, capsys):
    gan, folder, _ = undisturbed
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "resume").rglob("*")}
    again = train(tmp_path, watch=watchers(tmp_path), extra=[KillAt("on_epoch_begin", 5)])
    assert_same_run(again, gan)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "resume").rglob("*")} == before
    assert capsys.readouterr().out == ""
    keras.utils.set_random_seed(0)
    again = make_gan(ema_decay=0.9, discriminator_steps=2)
    resume = Resume(tmp_path / "resume")
    data = kg.datasets.load(IMAGES, batch_size=10, seed=3)
    history = again.fit(data, epochs=3, callbacks=[resume])
    assert resume.initial_epoch == 5
    assert history.epoch == [0, 1, 2, 3, 4]
    assert "epoch 5 of 3 is already reached; nothing is left to train" in capsys.readouterr().out


def test_more_epochs_are_trained(undisturbed, tmp_path, capsys):
    gan = train(tmp_path, epochs=3, watch=[])
    longer = train(tmp_path, epochs=5, watch=[])
    assert longer.history.history["d_loss"] == undisturbed[0].history.history["d_loss"]
    assert longer.history.epoch == [0, 1, 2, 3, 4]
    # The same GAN goes on too, and a state wins over `initial_epoch`.
    train(tmp_path, epochs=6, gan=longer, watch=[], initial_epoch=2)
    assert longer.history.epoch == [0, 1, 2, 3, 4, 5]
    assert gan.history.epoch == [0, 1, 2]


def test_run_stopped_by_a_callback_is_finished(tmp_path, capsys):
    def stopping():
        return watchers(tmp_path, "d_loss", "max", patience=1)[2:3]

    early = train(tmp_path, epochs=9, watch=stopping())
    number = len(early.history.epoch)
    assert number < 9
    again = train(tmp_path, epochs=9, watch=[*stopping(), KillAt("on_epoch_begin", number)])
    assert_same_run(again, early)
    longer = train(tmp_path, epochs=10, watch=[])
    assert longer.history.epoch == list(range(10))


def test_states_are_written_every_n_epochs_and_at_the_end(tmp_path):
    class Look(keras.callbacks.Callback):
        seen = ()

        def on_epoch_end(self, epoch, logs=None):
            self.seen = [*self.seen, states(tmp_path)]

    look = Look()
    train(tmp_path, epochs=5, watch=[look], every=2)
    assert look.seen == [[], [], ["epoch-0002"], ["epoch-0002"], ["epoch-0004"]]
    assert states(tmp_path) == ["epoch-0005"]


def test_state_of_different_settings_raises(undisturbed, tmp_path):
    shutil.copytree(undisturbed[1], tmp_path, dirs_exist_ok=True)
    same = {"ema_decay": 0.9, "discriminator_steps": 2}
    for gan, message in [
        (make_gan(units=9, **same), r"gan\.generator.*\.units was 8, and is 9"),
        (
            make_gan(rate=0.5, **same),
            r"compile\.g_optimizer\.config\.learning_rate was 0\.00\d*, and is 0\.5",
        ),
        (make_gan(seed=1, **same), r"gan\.seed was 0, and is 1"),
        (
            make_gan(loss="hinge", **same),
            r"compile\.loss\.class_name was .NonSaturating., and is .Hinge",
        ),
        (make_gan(ema_decay=0.9), r"compile\.discriminator_steps was 2, and is 1"),
    ]:
        with pytest.raises(
            ValueError, match=message + r"[^$]*To begin another, choose another `directory`"
        ):
            train(tmp_path, gan=gan, watch=[])
    data = kg.datasets.load(IMAGES, batch_size=5)
    with pytest.raises(ValueError, match=r"steps_per_epoch was 2, and is 4"):
        make_gan(**same).fit(data, epochs=5, verbose=0, callbacks=[Resume(tmp_path / "resume")])
    # How a step is computed is no such setting, nor are the names that Keras counts on.
    train(tmp_path, gan=make_gan(run_eagerly=False, **same), watch=[])


def test_networks_with_branches_resume_in_the_same_process(tmp_path, capsys):
    """Keras counts the names of layers on, and such networks name the layers that theirs come from."""
    images = np.zeros((8, 8, 8, 1), "float32")
    for epochs in (1, 2):
        shape, how = (8, 1), {"width": 2, "num_classes": 2, "seed": 0}
        networks = kg.architectures.dcgan_generator, kg.architectures.dcgan_discriminator
        gan = kg.GAN(*(network(*shape, **how) for network in networks), seed=0)
        gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
        data = kg.datasets.load((images, np.arange(8) % 2), batch_size=4, labels=True)
        gan.fit(data, epochs=epochs, callbacks=[kg.callbacks.Resume(tmp_path)])
    assert "the run continues after epoch 1 of 2" in capsys.readouterr().out


def test_a_damaged_state_is_named(undisturbed, tmp_path):
    for name in ("gan.weights.h5", "callbacks.npz", "progress.json"):
        shutil.copytree(undisturbed[1] / "resume", tmp_path / name / "resume")
        path = tmp_path / name / "resume" / "epoch-0005" / name
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(ValueError, match="epoch-0005 is damaged .*Remove .* to start over"):
            train(tmp_path / name)
    path.unlink()
    with pytest.raises(ValueError, match=r"epoch-0005 is damaged \(FileNotFoundError.*progress\.json"):
        train(tmp_path / name)


def test_an_older_state_is_used_if_the_newest_is_damaged(undisturbed, tmp_path):
    gan, folder, _ = undisturbed
    with pytest.raises(Kill):
        train(tmp_path, extra=[KillAt("on_epoch_end", 3)])
    shutil.copytree(folder / "resume" / "epoch-0005", tmp_path / "resume" / "epoch-0005")
    (tmp_path / "resume" / "epoch-0005" / "gan.weights.h5").write_bytes(b"")
    with pytest.warns(UserWarning, match="epoch-0005 is damaged .*continues from the older epoch-0003"):
        resumed = train(tmp_path)
    assert_same_run(resumed, gan)
    assert states(tmp_path) == ["epoch-0005"]


def test_full_disk_keeps_the_previous_state(undisturbed, tmp_path):
    class FillDisk(keras.callbacks.Callback):
        """Lets no file grow beyond 4 KiB from an epoch on."""

        monitor = None  # `fit` then calls it after ModelCheckpoint, whose file would fail first

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(
            OSError, match="The state after epoch 4 was not written; the previous one is"
        ):
            train(tmp_path, extra=[FillDisk()])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert states(tmp_path) == ["epoch-0003"]
    assert_same_run(train(tmp_path), undisturbed[0])


def test_partial_files_of_a_killed_write_are_removed(tmp_path):
    left_over = tmp_path / "resume" / ".epoch-0007.1f0c7a3d.tmp"
    left_over.mkdir(parents=True)
    (left_over / "progress.json").write_text("{")
    train(tmp_path, epochs=1, watch=[])
    assert states(tmp_path) == ["epoch-0001"]


def test_invalid_arguments(tmp_path):
    for every, error in ((0, ValueError), (2.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="`every` must be an integer >= 1"):
            Resume(tmp_path, every=every)
    (tmp_path / "resume").write_text("a file")
    with pytest.raises(ValueError, match="`directory` must be a folder that can be written to"):
        train(tmp_path, watch=[])
    gan = make_gan()
    callbacks = keras.callbacks.CallbackList([Resume(tmp_path / "other")], add_history=True, model=gan)
    with pytest.raises(ValueError, match="Resume must know the other callbacks"):
        gan.fit(IMAGES, verbose=0, callbacks=callbacks)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="Resume needs a model with `generate`"):
        model.fit(np.zeros((4, 2)), np.zeros(4), verbose=0, callbacks=[Resume(tmp_path / "other")])


def test_metrics_of_the_earlier_run_are_kept_until_the_next_measurement():
    calls = []

    def gap(real, fake):
        calls.append(len(calls))
        return float(len(calls))

    gan = make_gan()
    measure = kg.callbacks.EvaluateSamples(gap, IMAGES, every=4, num_samples=4)
    gan.fit(IMAGES, shuffle=False, verbose=0, epochs=2, callbacks=[measure])
    gan.fit(
        IMAGES, shuffle=False, verbose=0, epochs=5, initial_epoch=2, callbacks=[measure, gan.history]
    )
    assert gan.history.history["val_gap"] == [1.0, 2.0, 2.0, 3.0, 4.0]


def test_deep_copy(tmp_path):
    assert copy.deepcopy(Resume(tmp_path, every=3)).every == 3


VALUES = {
    "scalars": [True, 3, 0.1, 1e-320, math.inf, "text", None],
    "tuple": (1, [2.0, (3,)]),
    "dict": {1: "a", (2, 3): {"b": [4]}},
    "array": np.arange(6.0).reshape(2, 3),
    "bfloat16": keras.ops.convert_to_numpy(keras.ops.cast([1.5, -2.0], "bfloat16")),
    "strings": np.array(["a", "bcd"]),
    "scalar": np.float32(0.1),
    "weights": [np.zeros((2, 0)), np.ones((), "int8")],
}


def test_plain_attributes_keep_their_types(tmp_path):
    arrays = {}

    def keep(array):
        return arrays.setdefault(str(len(arrays)), array) is None or str(len(arrays) - 1)

    code = json.loads(json.dumps(attributes.encode(VALUES, keep)))
    np.savez(tmp_path / "arrays.npz", **arrays)
    again = attributes.decode(code, np.load(tmp_path / "arrays.npz").__getitem__)
    np.testing.assert_equal(again, VALUES)
    assert repr(again) == repr(VALUES)
    assert again["bfloat16"].dtype == VALUES["bfloat16"].dtype


def test_only_changed_plain_attributes_are_saved():
    class Thing(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.setting, self.data, self.seen = 1, np.zeros(3), []
            self.file, self.mixed = object(), [object()]

    thing = Thing()
    before = attributes.fingerprints(thing)
    thing.set_params({"epochs": 3})
    thing.set_model(make_gan())
    assert attributes.changed(thing, before) == {}
    thing.seen.append(5)  # in place
    thing.data[1] = 7
    thing.new = math.nan
    assert sorted(attributes.changed(thing, before)) == ["data", "new", "seen"]
    labels = attributes.by_label([thing, Resume("x"), Thing(), Thing()])
    assert list(labels) == ["Thing", "Resume", "Thing 2", "Thing 3"]


@pytest.mark.tensorflow
def test_prior_of_tensorflow_probability_resumes(tmp_path):
    """Its GAN cannot be written to a file that makes it again, but its state can."""
    import tensorflow_probability as tfp

    def train(epochs):
        prior = tfp.distributions.StudentT(df=3.0, loc=0.0, scale=1.0)
        gan = kg.GAN(mlp(4, 2), mlp(2, 1), prior=prior, seed=0)
        gan.compile("sgd", "sgd")
        resume = kg.callbacks.Resume(tmp_path)
        x = np.zeros((20, 2), "float32")
        return gan.fit(x, epochs=epochs, shuffle=False, verbose=0, callbacks=[resume]).epoch

    train(1)
    assert train(3) == [0, 1, 2]


def test_layers_with_lora_resume(tmp_path):
    """Keras' files hold the kernel with both factors merged, and zeros instead of these."""

    def train(epochs, folder):
        keras.utils.set_random_seed(0)
        gan = make_gan()
        gan.generator.layers[0].enable_lora(2)
        gan.compile(keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.05), run_eagerly=True)
        gan.fit(IMAGES, batch_size=10, epochs=epochs, verbose=0, callbacks=[Resume(folder)])
        return gan

    whole = train(3, tmp_path / "whole")
    train(2, tmp_path / "parts")
    assert_same_run(train(3, tmp_path / "parts"), whole)
    layer = whole.generator.layers[0]
    assert np.abs(keras.ops.convert_to_numpy(layer.lora_kernel_b)).max() > 0


def test_random_generators_resume(tmp_path):
    """Those of the process, and those that are attributes of callbacks."""

    class Draw(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.numpy, self.python = np.random.default_rng(1), random.Random(2)
            self.legacy = np.random.RandomState(3)
            self.drawn = []

        def on_epoch_end(self, epoch, logs=None):
            own = (self.numpy.random(), self.python.random(), self.legacy.random())
            self.drawn.append((*own, np.random.random(), random.random()))  # noqa: NPY002

    whole, parts = Draw(), Draw()
    train(tmp_path / "whole", epochs=4, watch=[whole])
    train(tmp_path / "parts", epochs=2, watch=[Draw()])
    train(tmp_path / "parts", epochs=4, watch=[parts])
    assert parts.drawn == whole.drawn
    assert len({number for numbers in whole.drawn for number in numbers}) == 20


def test_data_position_is_not_saved_with_several_processes(tmp_path, monkeypatch):
    """Each has its own, and one of them writes the state."""
    monkeypatch.setattr(backend, "number_of_processes", lambda gan: 2)
    train(tmp_path, epochs=1, watch=[])
    with pytest.raises(ValueError, match="Received: data of the kind PipelinePosition"):
        train(tmp_path / "steps", epochs=1, watch=[], steps_per_epoch=1)


def test_pydataset_with_several_replicas_raises(tmp_path, monkeypatch):
    class Rows(keras.utils.PyDataset):
        num_batches = 2

        def __getitem__(self, index):
            return (IMAGES[:10],)

    monkeypatch.setattr(backend, "number_of_replicas", lambda gan: 2)
    with pytest.raises(ValueError, match="Received: data of the kind BatchesPosition"):
        make_gan().fit(Rows(), verbose=0, callbacks=[Resume(tmp_path)])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (lambda: IMAGES, lambda: 1 - IMAGES, "data.checksum was"),
        (lambda: IMAGES, lambda: IMAGES[:10], "data.rows was 20, and is 10"),
        (
            lambda: kg.datasets.load(IMAGES, batch_size=10, seed=0),
            lambda: kg.datasets.load(IMAGES, batch_size=10, seed=5),
            "data.seed was 0, and is 5",
        ),
        (
            lambda: kg.datasets.load(IMAGES, batch_size=10),
            lambda: kg.datasets.load(IMAGES, batch_size=5),
            "data.batch_size was 10, and is 5",
        ),
    ],
)
def test_other_data_raise(before, after, message, tmp_path):
    def train(data):
        gan = make_gan(run_eagerly=True)
        gan.fit(data, epochs=1, verbose=0, callbacks=[Resume(tmp_path)])

    train(before())
    train(before())  # the same data
    with pytest.raises(ValueError, match=message):
        train(after())

"""Games of more than two networks, and of several inputs and outputs, through all that a GAN does."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import variants
from helpers.games import BACKEND, EAGERLY, assert_same_state, state
from keras import ops

import keras_gan as kg
from keras_gan.utils import structures

NAMES = list(variants.GAMES)
PROGRAM = pathlib.Path(__file__).parent / "helpers" / "play_variants.py"


def train(gan, name, **options):
    given = {**variants.data(name), **options}
    return gan.fit(**given, batch_size=20, verbose=0, shuffle=False).history


def use_ema(gan):
    return gan.ema is not None


@pytest.fixture(scope="module", params=NAMES)
def trained(request):
    """A game after two steps, and what it logged."""
    name = request.param
    gan = variants.game(name)
    before = state(gan)
    given = variants.data(name, 20, seed=2)
    validation = (given["x"], given.get("y"), given.get("sample_weight"))
    history = train(gan, name, validation_data=validation)
    return name, gan, before, history


def test_all_networks_are_trained(trained):
    _, gan, before, history = trained
    for values in history.values():
        assert np.isfinite(values).all()
    for player in gan.players:
        for variable in player.variables:
            (place,) = [i for i, v in enumerate(gan.variables) if v is variable]
            moved = not np.array_equal(before[place], ops.convert_to_numpy(variable))
            assert moved or "bias" in variable.path or "embedding" in variable.path, variable.path
    owned = [id(v) for player in gan.players for v in player.variables]
    assert len(set(owned)) == len(owned)
    assert {id(v) for v in gan.trainable_variables} == set(owned)
    assert {"val_d_loss", "val_g_loss"} <= history.keys()


def test_saved_file_loads_without_custom_objects(trained, tmp_path):
    name, gan, _, _ = trained
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert type(loaded) is type(gan)
    assert_same_state(gan, loaded)
    again = keras.models.load_model(tmp_path / "gan.keras")
    for each in (loaded, again):
        each.run_eagerly = EAGERLY
    assert train(loaded, name) == train(again, name)
    assert_same_state(loaded, again)


def test_generate_and_sample_grid(trained, tmp_path):
    name, gan, _, _ = trained
    condition = variants.condition(name, 9)
    samples = gan.generate(9, seed=1, condition=condition, use_ema=use_ema(gan))
    assert samples.shape == (9, *variants.SHAPE)
    few = structures.cut(condition, 0, 4)
    first = gan.generate(4, seed=1, condition=few, use_ema=use_ema(gan))
    np.testing.assert_allclose(first, samples[:4], atol=1e-6)
    grid = kg.callbacks.SampleGrid(tmp_path, rows=3, columns=3, condition=condition)
    grid.set_model(gan)
    grid.set_params({"epochs": 1})
    grid.on_train_begin()
    grid.on_epoch_end(0)
    grid.on_train_end()
    assert (tmp_path / "epoch-0001.png").stat().st_size > 100


@pytest.mark.parametrize("name", NAMES)
def test_mixed_float16(name):
    """Losses are nearly those of float32, and every player has a loss scale of its own."""
    given = variants.data(name)
    expected = variants.game(name, run_eagerly=True).test_on_batch(**given, return_dict=True)
    keras.config.set_dtype_policy("mixed_float16")
    gan = variants.game(name, run_eagerly=True)
    losses = gan.test_on_batch(**given, return_dict=True)
    for key, value in expected.items():
        np.testing.assert_allclose(losses[key], value, rtol=0.02, atol=0.01, err_msg=key)
    history = train(gan, name, epochs=2)
    assert all(np.isfinite(values).all() for values in history.values())
    for optimizer in (gan.d_optimizer, gan.g_optimizer):
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        assert ops.convert_to_numpy(optimizer.iterations) > 0
    assert gan.generate(3, condition=variants.condition(name, 3)).dtype == np.float32


# What the signatures take, by the names of the networks' inputs where they have names.
CONDITIONS = {
    "completed": ["known", "mask"],
    "two_conditions": ["label", "angle"],
    "named": ["angle", "label"],
    "four": ["condition"],
    "heads": ["condition"],
}
SHOWN = {
    "completed": ["samples_0", "samples_1"],
    "pairs": ["samples_0", "samples_1"],
    "team": ["samples_0", "samples_1"],
    "four": ["samples_a", "samples_b"],
}
LOGITS = {"four": ["logits_a", "logits_b"], "scales": ["logits_coarse", "logits_fine"]}


# Several inputs of the networks, no latents, and several outputs of the discriminator.
EXPORTED = [
    name if name in ("two_conditions", "four", "scales") else pytest.param(name, marks=pytest.mark.slow)
    for name in NAMES
]


@pytest.mark.tensorflow
@pytest.mark.parametrize("trained", EXPORTED, indirect=True)
def test_savedmodel(trained, tmp_path):
    import tensorflow as tf

    name, gan, _, _ = trained
    path = kg.export_savedmodel(gan, tmp_path / "model", use_ema=use_ema(gan))
    run = tf.saved_model.load(str(path)).signatures
    condition = variants.condition(name, 3)
    names = CONDITIONS.get(name, [])
    leaves = dict(zip(names, structures.leaves(condition), strict=True))
    leaves = {key: tf.constant(leaf) for key, leaf in leaves.items()}
    if name == "four":
        assert sorted(run) == ["discriminate", *(f"generate{form}" for form in ("", "_png", "_uint8")),
                               "serving_default"]  # fmt: skip
        samples = run["generate"](**leaves)["samples"]
        expected = gan.generate(3, condition=condition, use_ema=True)
    else:
        drawn = run["sample"](number=tf.constant(3, tf.int64), seed=tf.constant(7, tf.int64), **leaves)
        samples = run["generate"](latents=drawn["latents"], **leaves)["samples"]
        np.testing.assert_array_equal(drawn["samples"], samples)
        expected = gan.generate(3, seed=7, condition=condition, use_ema=use_ema(gan))
    np.testing.assert_allclose(samples, expected, atol=2e-6)
    inputs = run["discriminate"].structured_input_signature[1]
    shown = SHOWN.get(name, ["samples"])
    assert set(shown) <= set(inputs) <= {*shown, *names}
    parts = {key: tf.zeros([3, *spec.shape[1:]]) for key, spec in inputs.items() if key in shown}
    judged = run["discriminate"](**parts, **leaves)
    wanted = LOGITS.get(name, ["logits"])
    assert sorted(judged) == sorted(
        [*wanted, *(key.replace("logits", "probabilities") for key in wanted)]
    )
    assert all(np.isfinite(value).all() for value in judged.values())
    if name in ("two_conditions", "named", "heads"):
        key = "label" if "label" in leaves else "condition"
        leaves[key] = tf.constant([0, 5, 1], leaves[key].dtype)
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=rf"`{key}` must be a class in \[0, 5\)"
        ):
            run["generate"](latents=drawn["latents"], **leaves)


# Networks of a term's own, and of a variant: what a search must make anew.
SEARCHED = [
    name if name in ("recognized", "four") else pytest.param(name, marks=pytest.mark.slow)
    for name in NAMES
]


@pytest.mark.parametrize("name", SEARCHED)
def test_tuner_rebuilds_networks(name, tmp_path):
    """A search makes each trial's networks anew, those of terms too, and gives back the best."""
    import keras_tuner

    _, arguments, _ = variants.GAMES[name]
    settings = {
        key: value for key, value in arguments().items() if key not in ("loss", "discriminator_steps")
    }
    terms = settings.pop("terms", [])
    hp = keras_tuner.HyperParameters()
    hp.Fixed("loss", arguments().get("loss", "non_saturating"))
    hp.Fixed("discriminator_steps", arguments().get("discriminator_steps", 1))
    space = kg.tuner.GANHyperModel(
        lambda latent_size, width: variants.GAMES[name][0]("normal"),
        terms=[term if isinstance(term, kg.terms.Term) else kg.terms.get(term) for term in terms],
        run_eagerly=True,
        **settings,
    )
    given = variants.data(name)
    validation = (given["x"], given.get("y"), given.get("sample_weight"))
    tuner = keras_tuner.RandomSearch(
        space,
        keras_tuner.Objective("val_g_loss", "min"),
        max_trials=2,
        seed=0,
        hyperparameters=hp,
        directory=tmp_path,
        project_name=name,
    )
    tuner.search(**given, validation_data=validation, batch_size=20, epochs=1, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    best = tuner.get_best_models()[0]
    score = min(trial.score for trial in trials)
    again = best.evaluate(given["x"], given.get("y"), sample_weight=given.get("sample_weight"),
                          batch_size=20, verbose=0, return_dict=True)  # fmt: skip
    assert len(best.term_networks) == len([t for t in terms if getattr(t, "networks", [])])
    assert np.isfinite([score, again["g_loss"]]).all()


def program(*arguments, backend=BACKEND):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen([sys.executable, str(PROGRAM), *map(str, arguments)], env=environment)


def assert_close(one, other, tolerance):
    with np.load(one) as a, np.load(other) as b:
        assert len(a.files) == len(b.files) > 20
        for left, right in zip(a.files, b.files, strict=True):
            np.testing.assert_allclose(a[left], b[right], atol=tolerance, rtol=tolerance, err_msg=left)


OTHERS = sorted({"tensorflow", "jax", "torch"} - {BACKEND})


@pytest.fixture(scope="module")
def on_backends(tmp_path_factory):
    """Return a folder for each backend, which all began from the files that this one made."""
    made = tmp_path_factory.mktemp("made")
    for name in NAMES:
        variants.noiseless(name).save(made / f"{name}.keras")
    folders = {backend: tmp_path_factory.mktemp(backend) for backend in (BACKEND, *OTHERS)}
    running = [program("steps", made, folder, backend=backend) for backend, folder in folders.items()]
    assert [process.wait(300) for process in running] == [0, 0, 0]
    return folders


@pytest.mark.slow
@pytest.mark.jax
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", OTHERS)
def test_ten_steps_agree_on_all_backends(name, other, on_backends):
    mine, theirs = (on_backends[backend] / f"{name}.npz" for backend in (BACKEND, other))
    assert_close(mine, theirs, 1e-5)
    gan = keras.models.load_model(on_backends[other] / f"{name}.keras")
    with np.load(theirs) as file:
        for key, value in enumerate(variants.everything(gan)):
            np.testing.assert_array_equal(value, file[f"arr_{key}"])


@pytest.fixture(scope="module")
def on_two_devices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    assert program("devices", folder).wait(300) == 0
    return folder


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.jax
@pytest.mark.parametrize("name", NAMES)
def test_two_devices_match_one(name, on_two_devices, tmp_path):
    gan = variants.noiseless(name, discriminator_steps=1)
    history = train(gan, name)
    np.savez(tmp_path / "one.npz", *variants.everything(gan), **history)
    assert_close(tmp_path / "one.npz", on_two_devices / f"{name}.npz", 1e-6)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    assert program("killed", folder).wait(500) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_killed_run_matches_an_uninterrupted_one(name, killed):
    folders = [killed / name / kind for kind in ("killed", "undisturbed")]
    assert_same_state(*[keras.models.load_model(folder / "gan.keras") for folder in folders])
    with np.load(folders[0] / "history.npz") as a, np.load(folders[1] / "history.npz") as b:
        assert "d_loss" in b.files
        for key in b.files:
            np.testing.assert_array_equal(a[key], b[key])

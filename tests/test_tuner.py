"""Searches by KerasTuner: their space, each tuner, what fails, what goes on, and several processes."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import types

import keras
import keras_tuner
import numpy as np
import pytest
from helpers import tuned_run
from helpers.tuned_run import POINTS, narrowed, networks, scores, search, tuner

import keras_gan as kg

SCRIPT = pathlib.Path(tuned_run.__file__)


def test_defaults():
    hp = keras_tuner.HyperParameters()
    gan = kg.tuner.GANHyperModel(networks, ema_decay=0.9).build(hp)
    assert hp.values == {
        "latent_size": 100,
        "width": 256,
        "beta_1": 0.5,
        "d_learning_rate": 2e-4,
        "g_learning_rate": 2e-4,
        "loss": "non_saturating",
        "label_smoothing": 0.0,
        "r1_weight": 1.0,
        "discriminator_steps": 1,
    }
    assert gan.prior.shape == (100,)
    assert gan.generator.layers[0].units == 256
    assert float(gan.d_optimizer.learning_rate) == pytest.approx(2e-4)
    assert gan.g_optimizer.beta_1 == 0.5
    assert gan.terms[0].weight == 1.0
    assert gan.ema.decay == 0.9


def test_fixed_hyperparameters_are_used_by_build():
    hp = keras_tuner.HyperParameters()
    hp.Fixed("loss", "least_squares")
    hp.Fixed("label_smoothing", 0.25)
    hp.Fixed("r1_weight", 7.0)
    hp.Fixed("d_learning_rate", 1e-3)
    hp.Fixed("discriminator_steps", 3)
    term = kg.terms.R1(0.5, interval=2)
    gan = kg.tuner.GANHyperModel(networks, terms=[term], single_pass=True).build(hp)
    assert isinstance(gan.loss, kg.losses.LeastSquares)
    assert gan.loss.label_smoothing == 0.25
    assert [(t.weight, t.interval) for t in gan.terms] == [(7.0, 2)]
    assert term.weight == 0.5
    assert float(gan.d_optimizer.learning_rate) == pytest.approx(1e-3)
    assert (gan.discriminator_steps, gan.single_pass) == (3, True)


@pytest.mark.parametrize("loss", kg.tuner.LOSSES)
def test_every_loss_can_be_searched(loss):
    hp = keras_tuner.HyperParameters()
    hp.Fixed("loss", loss)
    gan = kg.tuner.GANHyperModel(networks).build(hp)
    assert isinstance(gan.loss, kg.losses.LOSSES[loss])


RANGES = {
    "d_learning_rate": (1e-3, 2e-3),
    "g_learning_rate": (1e-5, 3e-5),
    "beta_1": (0.7, 0.8),
    "label_smoothing": (0.4, 0.45),
    "r1_weight": (50.0, 60.0),
}
FIXED = {**{name: high for name, (_, high) in RANGES.items()}, "loss": "hinge", "latent_size": 3}


# What is of KerasTuner and not of training knows nothing of backends: here, and below.
@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", [keras_tuner.RandomSearch, keras_tuner.BayesianOptimization])
def test_kerastuner_can_fix_and_narrow_values(kind, tmp_path):
    space, fixed = narrowed(), keras_tuner.HyperParameters()
    for name, limits in RANGES.items():
        space.Float(name, *limits)
    for name, value in FIXED.items():
        fixed.Fixed(name, value)
    fixed.Int("width", 4, 16)
    limited = tuner(tmp_path / "narrowed", kind=kind, trials=3, hyperparameters=space)
    search(limited, epochs=1)
    for trial in limited.oracle.trials.values():
        values = trial.hyperparameters.values
        assert values["discriminator_steps"] == 1
        assert 4 <= values["width"] <= 16
        assert 2 <= values["latent_size"] <= 6
        for name, (low, high) in RANGES.items():
            assert low <= values[name] <= high, name
    limited = tuner(tmp_path / "fixed", kind=kind, trials=2, hyperparameters=fixed)
    search(limited, epochs=1)
    for trial in limited.oracle.trials.values():
        assert {name: trial.hyperparameters.values[name] for name in FIXED} == FIXED


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("beta1", 0.9, "hyper-parameter.*beta1.*'beta_1'"),
        ("r1_weight", -3.0, "`r1_weight` must be a finite number > 0. Received: -3.0"),
        ("beta_1", 1.5, "`beta_1` must be a finite number >= 0 and < 1"),
        ("d_learning_rate", -1.0, "`d_learning_rate` must be a finite number > 0"),
    ],
)
def test_unsupported_fixed_values_raise(name, value, message):
    hp = keras_tuner.HyperParameters()
    hp.Fixed(name, value)
    with pytest.raises(keras_tuner.errors.FatalValueError, match=message):
        kg.tuner.GANHyperModel(networks).build(hp)


@pytest.mark.tensorflow
def test_a_search_keeps_the_precision_policy(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    seen = []

    def watched(latent_size, width):
        seen.append(keras.config.dtype_policy().name)
        return networks(latent_size, width)

    space = kg.tuner.GANHyperModel(watched, ema_decay=0.9)
    running = keras_tuner.RandomSearch(
        space, kg.tuner.PARZEN, max_trials=2, directory=str(tmp_path), hyperparameters=narrowed()
    )
    search(running, epochs=1)
    assert len(seen) >= 3
    assert set(seen) == {"mixed_bfloat16"}


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (keras_tuner.RandomSearch, {"max_trials": 4}),
        # What differs from one tuner to another knows nothing of backends.
        pytest.param(
            keras_tuner.BayesianOptimization,
            {"max_trials": 4, "num_initial_points": 2},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            keras_tuner.Hyperband,
            {"max_epochs": 4, "factor": 2, "hyperband_iterations": 1},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_best_model_loads_and_scores_the_same(kind, arguments, tmp_path):
    running = tuner(tmp_path, kind=kind, **arguments)
    search(running)
    found = scores(running)
    assert len(found) >= 4
    assert {status for status, _ in found.values()} == {"COMPLETED"}
    (best,) = running.oracle.get_best_trials()
    assert best.score == max(score for _, score in found.values())
    samples = running.get_best_models()[0].generate(100, seed=0, use_ema=True)
    again = kg.metrics.ParzenWindow(POINTS[160::2])(real=POINTS[161::2], fake=samples)
    assert again.values["parzen_log_likelihood"] == pytest.approx(best.score, abs=1e-5)


@pytest.mark.tensorflow
def test_trials_do_not_depend_on_their_order(tmp_path):
    running = tuner(tmp_path, trials=3)
    search(running)
    trial = running.oracle.trials["2"]
    again = running.hypermodel.build(trial.hyperparameters)
    measure = kg.callbacks.ParzenLogLikelihood(POINTS[160:], num_samples=100, use_ema=True)
    history = again.fit(POINTS[:160], epochs=2, batch_size=40, verbose=0, callbacks=[measure])
    assert max(history.history["val_parzen_log_likelihood"]) == pytest.approx(trial.score, abs=1e-6)


class Killed(keras.callbacks.Callback):
    """Ends the process's search in a trial, as Ctrl-C does."""

    def on_epoch_end(self, epoch, logs=None):
        if self.model.generator.layers[0].units == self.width:
            raise KeyboardInterrupt


@pytest.mark.tensorflow
def test_interrupted_search_resumes(tmp_path):
    whole = tuner(tmp_path / "whole", trials=3)
    search(whole)
    killed = Killed()
    killed.width = whole.oracle.trials["1"].hyperparameters.values["width"]
    with pytest.raises(KeyboardInterrupt):
        search(tuner(tmp_path / "killed", trials=3), callbacks=[killed])
    rest = tuner(tmp_path / "killed", trials=3)
    assert scores(rest)["1"][0] == "RUNNING"
    search(rest)
    assert scores(rest).keys() == scores(whole).keys()
    for name, (status, score) in scores(whole).items():
        assert scores(rest)[name][0] == status
        assert scores(rest)[name][1] == pytest.approx(score, abs=1e-6)


def failing(tmp_path, space, monitor=()):
    running = keras_tuner.RandomSearch(
        space, kg.tuner.PARZEN, max_trials=2, seed=0, directory=str(tmp_path),
        hyperparameters=narrowed(), max_consecutive_failed_trials=5,
    )  # fmt: skip
    search(running, epochs=3, callbacks=monitor)
    trials = running.oracle.trials.values()
    assert [trial.status for trial in trials] == ["FAILED", "FAILED"]
    assert [trial.score for trial in trials] == [None, None]
    assert "| 1 | failed |  |" in kg.tuner.trials_table(running)
    return trials


class Exploding(kg.terms.Term):
    """Too large for float32 whatever its weight."""

    def call(self, play):
        return keras.ops.exp(1e3 + keras.ops.mean(play.critic(play.real)))


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_trial_that_diverges_has_failed(tmp_path):
    space = kg.tuner.GANHyperModel(networks, terms=[Exploding()], ema_decay=0.9)
    for trial in failing(tmp_path, space):
        assert "This GAN has diverged" in trial.message


def test_a_trial_that_collapses_has_failed(tmp_path):
    def deaf(latent_size, width):
        _, critic = networks(latent_size, width)
        layer = keras.layers.Dense(4, kernel_constraint=lambda w: 0.0 * w, kernel_initializer="zeros")
        return keras.Sequential([keras.Input((latent_size,)), layer, keras.layers.ReLU(1.0)]), critic

    space = kg.tuner.GANHyperModel(deaf, ema_decay=0.9)
    for trial in failing(tmp_path, space):
        assert "has collapsed: its samples are alike" in trial.message


class Scaled(keras.layers.Layer):
    def __init__(self, factor, shift=0.0):
        super().__init__()
        self.factor, self.shift = factor, shift

    def call(self, x):
        return self.factor * x + keras.ops.convert_to_tensor(self.shift, "float32")


def around(factor, shift=0.0, width=4):
    """Networks whose samples are `factor` times noise, around `shift`."""
    generator = keras.Sequential([keras.Input((width,)), Scaled(factor, np.float32(shift))])
    critic = keras.Sequential([keras.Input((width,)), keras.layers.Dense(1)])
    gan = kg.GAN(generator, critic, prior="normal", seed=0)
    gan.compile("sgd", "sgd")
    return gan


@pytest.mark.parametrize(
    ("gan", "data", "error"),
    [
        # In one dimension and around another place than 0, by less and by more than a fiftieth.
        (lambda: around(0.01, 5.0, width=1), "normal", "its samples are alike"),
        (lambda: around(0.04, 5.0, width=1), "normal", None),
        (lambda: around(1e-9), "normal", "its samples are alike"),
        # One large constant column, in the data too, hides no differences.
        (lambda: around(1.0, [1e4, 0, 0, 0]), "shifted", None),
        (lambda: around(np.nan), "normal", "its samples are not finite"),
    ],
)
def test_invalid_samples_fail_the_trial(gan, data, error, rng):
    gan = gan()
    real = rng.normal(size=(500, *gan.sample_shape)).astype("float32")
    real[:, 0] += 1e4 * (data == "shifted")
    rows = kg.tuner._few_examples(gan, real, None)
    if error is None:
        kg.tuner._check_samples(gan, *rows)
        return
    with pytest.raises(keras_tuner.errors.FailedTrialError, match=error):
        kg.tuner._check_samples(gan, *rows)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", ["arrays", "dataset"])
def test_conditional_generator_without_noise_is_not_collapsed(shape, tmp_path):
    """Pictures from pictures, with the noise ignored, and nothing made of a condition of zeros."""

    def translators(latent_size, width):
        latents, condition, samples = keras.Input((latent_size,)), keras.Input((4,)), keras.Input((4,))
        made = keras.layers.Dense(4, use_bias=False)(condition)
        silent = keras.layers.Dense(4, kernel_initializer="zeros", trainable=False)(latents)
        joined = keras.layers.Concatenate()([samples, condition])
        return (
            keras.Model([latents, condition], made + silent),
            keras.Model([samples, condition], keras.layers.Dense(1)(joined)),
        )

    running = keras_tuner.RandomSearch(
        kg.tuner.GANHyperModel(translators), keras_tuner.Objective("g_loss", "min"), max_trials=1,
        directory=str(tmp_path), hyperparameters=narrowed(),
    )  # fmt: skip
    data = (POINTS, POINTS[::-1])
    if shape == "dataset":
        data = (Batches(*data),)
    running.search(*data, epochs=1, verbose=0)
    assert [trial.status for trial in running.oracle.trials.values()] == ["COMPLETED"]


class Batches(keras.utils.PyDataset):
    def __init__(self, x, condition):
        super().__init__()
        self.pair = (x, condition)

    def __len__(self):
        return 6

    def __getitem__(self, i):
        return tuple(part[40 * i : 40 * i + 40].copy() for part in self.pair)


def test_invalid_tuner_and_hyperparameters():
    with pytest.raises(
        TypeError, match="`tuner` must be a tuner of KerasTuner. Received: 3 of type int"
    ):
        kg.tuner.trials_table(3)
    with pytest.raises(TypeError, match="`hp` must be a `keras_tuner.HyperParameters`. Received: None"):
        kg.tuner.GANHyperModel(lambda latent_size, width: None).build(None)


def test_trials_without_a_score_are_last_in_the_table():
    """Trials as KerasTuner leaves them: a failed one may have a score that is no number."""
    trials = {
        str(i): types.SimpleNamespace(
            trial_id=str(i), status=status, score=score,
            hyperparameters=types.SimpleNamespace(values={"x": i}),
        )
        for i, (status, score) in enumerate(
            [("COMPLETED", 1.0), ("FAILED", np.nan), ("COMPLETED", 5.0), ("INVALID", None)]
        )
    }  # fmt: skip
    oracle = types.SimpleNamespace(trials=trials, objective=keras_tuner.Objective("score", "max"))
    rows = kg.tuner.trials_table(types.SimpleNamespace(oracle=oracle)).splitlines()[2:]
    assert rows == ["| 2 | completed | 5 | 2 |", "| 0 | completed | 1 | 0 |", "| 1 | failed |  | 1 |",
                    "| 3 | invalid |  | 3 |"]  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_trial_that_a_monitor_stops_has_failed(tmp_path):
    monitor = kg.callbacks.CollapseMonitor(
        POINTS, diversity=1.0, warm_up=0, patience=1, stop=True, use_ema=True
    )
    space = kg.tuner.GANHyperModel(networks, ema_decay=0.9)
    for trial in failing(tmp_path, space, [monitor]):
        assert "the samples are alike" in trial.message
    assert monitor.warning is None


@pytest.mark.tensorflow
def test_missing_objective_raises(tmp_path):
    running = keras_tuner.RandomSearch(
        kg.tuner.GANHyperModel(networks, ema_decay=0.9), kg.tuner.FID, max_trials=2,
        directory=str(tmp_path), hyperparameters=narrowed(),
    )  # fmt: skip
    message = r"No callback wrote the tuner's objective 'val_fid'.*metrics.FID\(extractor\).*parzen"
    with pytest.raises(keras_tuner.errors.FatalValueError, match=message):
        search(running)
    assert not list(tmp_path.rglob("*.h5"))
    running = keras_tuner.RandomSearch(
        kg.tuner.GANHyperModel(networks), [kg.tuner.PARZEN, kg.tuner.KID], max_trials=1,
        directory=str(tmp_path / "two"), hyperparameters=narrowed(),
    )  # fmt: skip
    with pytest.raises(keras_tuner.errors.FatalValueError, match="objective 'val_kid'"):
        running.search(
            POINTS,
            epochs=1,
            verbose=0,
            callbacks=[kg.callbacks.ParzenLogLikelihood(POINTS, num_samples=50)],
        )
    running = keras_tuner.RandomSearch(
        kg.tuner.GANHyperModel(networks), max_trials=1, directory=str(tmp_path / "none"),
        hyperparameters=narrowed(),
    )  # fmt: skip
    with pytest.raises(keras_tuner.errors.FatalValueError, match="A search needs an objective"):
        running.search(POINTS, epochs=1, verbose=0)


@pytest.mark.tensorflow
def test_custom_objective(tmp_path):
    running = keras_tuner.RandomSearch(
        kg.tuner.GANHyperModel(networks, ema_decay=0.9), keras_tuner.Objective("val_g_loss", "min"),
        max_trials=1, directory=str(tmp_path), hyperparameters=narrowed(),
    )  # fmt: skip
    running.search(POINTS, epochs=1, verbose=0, validation_data=(POINTS,))
    assert np.isfinite(running.oracle.get_best_trials()[0].score)


def test_networks_must_be_a_function():
    with pytest.raises(TypeError, match=r"a function `\(latent_size, width\)`"):
        kg.tuner.GANHyperModel(networks(3, 4))
    with pytest.raises(TypeError, match="positional arguments"):
        kg.tuner.GANHyperModel(*networks(3, 4))
    with pytest.raises(TypeError, match="with two arguments: too many positional"):
        kg.tuner.GANHyperModel(lambda latent_size: None)
    with pytest.raises(TypeError, match="has no argument `foo`. Expected: loss"):
        kg.tuner.GANHyperModel(networks, foo=1)
    with pytest.raises(ValueError, match="normal"):
        kg.tuner.GANHyperModel(networks, prior="nrmal")
    with pytest.raises(ValueError, match="`terms`: Unknown term 'r3'. Did you mean 'r"):
        kg.tuner.GANHyperModel(networks, terms=["r1", "r3"])
    with pytest.raises(TypeError, match="`hp` must be a `keras_tuner.HyperParameters`. Received: {} of"):
        kg.tuner.GANHyperModel(networks).build({})
    with pytest.raises(TypeError, match="`tuner` must be a tuner of KerasTuner. Received: None"):
        kg.tuner.trials_table(None)
    space = kg.tuner.GANHyperModel(lambda latent_size, width: None)
    with pytest.raises(keras_tuner.errors.FatalTypeError, match="a generator and a discriminator"):
        space.build(keras_tuner.HyperParameters())


def test_searched_arguments_cannot_be_passed():
    with pytest.raises(ValueError, match=r"`loss` is searched, as 'loss'.*hp.Fixed\(name, value\)"):
        kg.tuner.GANHyperModel(networks, loss="hinge")
    with pytest.raises(
        ValueError, match="searched, as 'd_learning_rate' and 'beta_1'.*d_optimizer='sgd'"
    ):
        kg.tuner.GANHyperModel(networks, d_optimizer="sgd")


def test_terms_are_passed_to_compile():
    for terms, names in [
        ("r1", ["r1"]),
        (kg.terms.R2(0.5), ["r2"]),
        ([], []),
        (["r1", "r2"], ["r1", "r2"]),
    ]:
        hp = keras_tuner.HyperParameters()
        gan = kg.tuner.GANHyperModel(networks, terms=terms).build(hp)
        assert [term.name for term in gan.terms] == names
        assert [name for name in hp.values if name.endswith("_weight")] == [f"{n}_weight" for n in names]


def test_objective_directions():
    objectives = (kg.tuner.PARZEN, kg.tuner.FID, kg.tuner.KID)
    assert [objective.direction for objective in objectives] == ["max", "min", "min"]


def test_missing_kerastuner_prints_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    monkeypatch.delitem(sys.modules, "keras_gan.tuner")
    monkeypatch.delattr(kg, "tuner")
    with pytest.raises(ImportError, match="pip install keras-tuner tensorboard"):
        _ = kg.tuner
    with pytest.raises(AttributeError, match="no attribute 'tunner'"):
        _ = kg.tunner


@pytest.mark.tensorflow
def test_hyper_parameters_reach_tensorboard(tmp_path):
    """By KerasTuner, which writes them beside what `keras.callbacks.TensorBoard` writes."""
    running = tuner(tmp_path / "trials", trials=1)
    search(running, callbacks=[keras.callbacks.TensorBoard(str(tmp_path / "logs"))])
    written = b"".join(path.read_bytes() for path in (tmp_path / "logs").rglob("*.v2"))
    for name in (b"d_learning_rate", b"r1_weight", b"latent_size", b"epoch_d_loss", b"epoch_d_real"):
        assert name in written
    assert b"epoch_parzen_log_likelihood" in written


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_chief_and_two_workers_match_one_process(tmp_path):
    trials, port = 6, str(free_port())
    processes = {}
    for name in ("chief", "tuner0", "tuner1"):
        place = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
        environment = {**os.environ, **place, "KERASTUNER_TUNER_ID": name, "TF_NUM_INTRAOP_THREADS": "1"}
        processes[name] = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tmp_path / "together"), str(trials)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    try:
        outputs = {name: process.communicate(timeout=240) for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    for name, process in processes.items():
        assert process.returncode == 0, outputs[name][1][-3000:]
    together = json.loads(outputs["chief"][0].splitlines()[-1])
    alone = tuner(tmp_path / "alone", trials)
    search(alone)
    assert together.keys() == scores(alone).keys()
    for name, (status, score) in scores(alone).items():
        assert together[name][0] == status
        assert together[name][1] == pytest.approx(score, abs=1e-5)
    best = max(together, key=lambda name: together[name][1])
    assert best == alone.oracle.get_best_trials()[0].trial_id
    # Every trial's weights are there for whoever asks for the best model.
    shutil.copytree(tmp_path / "together", tmp_path / "copy")
    model = tuner(tmp_path / "copy", trials).get_best_models()[0]
    assert model.generate(2, seed=1).shape == (2, 4)

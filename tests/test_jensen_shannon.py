"""C(G) = −log 4 + 2·JSD(p_data‖p_g): on tables of probabilities, and live in an example.

Goodfellow et al., 2014, arXiv 1406.2661, Theorem 1.
"""

import importlib
import math
import pathlib
import re
from statistics import NormalDist

import numpy as np
import pytest
from helpers.games import long_game
from keras import ops
from PIL import Image
from scipy.spatial.distance import jensenshannon

import keras_gan as kg

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
SYMBOLS, ROWS = 10, 10_000


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("jensen_shannon")


def random_counts(seed, empty=0):
    """How often each symbol comes in `ROWS` draws; the first `empty` symbols never come."""
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(SYMBOLS - empty))
    counts = np.floor(ROWS * probabilities).astype(int) + 1
    counts[-1] += ROWS - counts.sum()
    return np.concatenate([np.zeros(empty, int), counts])


def divergence(p, q):
    """The definition in float64, by SciPy."""
    return jensenshannon(p, q) ** 2


def value(p, q, decisions):
    """V(D, G) of a table of decisions, by the package's loss, in which each symbol comes p times."""
    with np.errstate(divide="ignore"):
        logits = np.log(decisions) - np.log1p(-decisions)
    # The loss is finite for any logit; that of a certain decision is far out.
    logits = np.clip(logits, -100, 100)
    real, fake = (ops.convert_to_tensor(np.repeat(logits, counts), "float32") for counts in (p, q))
    return -float(kg.losses.Minimax().discriminator(real, fake))


def best(p, q):
    """D* = p / (p + q); where neither comes, any decision will do."""
    return np.divide(p, p + q, out=np.full(len(p), 0.5), where=p + q > 0)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("empty", [0, 3])
def test_optimal_decisions_give_the_divergence(seed, empty):
    p, q = random_counts(seed, empty), random_counts(seed + 100)[::-1]
    truth = divergence(p, q)
    assert 0 < truth < math.log(2)
    assert value(p, q, best(p, q)) == pytest.approx(-math.log(4) + 2 * truth, abs=5e-6)


@pytest.mark.parametrize("seed", range(4))
def test_other_decisions_give_a_lower_bound(seed, rng):
    p, q = random_counts(seed), random_counts(seed + 100)
    bound = -math.log(4) + 2 * divergence(p, q)
    for size in (0.01, 0.1, 0.5):
        decisions = np.clip(best(p, q) + rng.uniform(-size, size, SYMBOLS), 0.001, 0.999)
        assert value(p, q, decisions) < bound - 1e-5


def test_value_lies_between_minus_log_4_and_0():
    p = random_counts(0)
    assert value(p, p, best(p, p)) == pytest.approx(-math.log(4), abs=5e-6)
    apart = np.concatenate([p, 0 * p]), np.concatenate([0 * p, p])
    assert divergence(*apart) == pytest.approx(math.log(2))
    assert value(*apart, best(*apart)) == pytest.approx(0.0, abs=5e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_example_computes_the_divergence(example, seed):
    p, q = (counts / ROWS for counts in (random_counts(seed, 3), random_counts(seed + 100)))
    assert example.jensen_shannon(p, q) == pytest.approx(divergence(p, q), rel=1e-12)
    assert example.jensen_shannon(p, p) == 0
    assert example.jensen_shannon(*np.eye(2)) == pytest.approx(math.log(2))


def test_the_example_measures_samples_whose_divergence_is_known(example):
    """Samples of N(4, 1) against N(4, 0.5²): 0.092733 nats, found by quadrature."""

    def model(latents):
        return 4.0 + latents

    logs = {"val_d_loss": math.log(4)}
    callback = example.Divergence()
    callback.set_model(model)
    callback.on_epoch_end(0, logs)
    assert NormalDist(4.0, 0.5) == example.DATA
    assert logs["truth"] == pytest.approx(0.092733, abs=2e-4)
    assert logs["estimate"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.slow
@long_game
def test_the_estimate_stays_below_the_divergence_and_near_it(example):
    curves = example.play(example.arguments(["--epochs", "3", "--examples", "20000"]))
    truth, estimate = (np.array(curves[name]) for name in ("truth", "estimate"))
    # Before the first step, N(3, 0.4²) against N(4, 0.5²).
    x = np.linspace(0, 8, 80_001)
    start = [np.exp(-0.5 * ((x - m) / s) ** 2) / s for m, s in ((4.0, 0.5), (3.0, 0.4))]
    assert truth[0] == pytest.approx(divergence(*start), abs=1e-3)
    assert (np.diff(truth) < 0).all()
    # A mean over 100,000 pairs errs by .001.
    assert (estimate < truth + 0.005).all()
    assert (estimate > truth - 0.05).all()


def test_example_draws_both_curves_and_prints_their_difference(example, tmp_path, capsys, monkeypatch):
    curves = {"truth": [0.4, 0.2, 0.1], "estimate": [0.39, 0.2005, 0.08]}
    monkeypatch.setattr(example, "play", lambda args: curves)
    example.main(["--output", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["jensen_shannon.png"]
    with Image.open(tmp_path / "jensen_shannon.png") as picture:
        colors = np.asarray(picture.convert("RGB")).astype(int)
    for color in ((31, 119, 180), (0, 0, 0)):
        assert (np.abs(colors - color).max(axis=2) < 40).sum() > 50
    printed = capsys.readouterr().out
    numbers = [float(found) for found in re.findall(r"-?\d+\.\d{4}", printed)]
    assert numbers == [0.4, 0.1, 0.39, 0.08, -0.0005, 0.02]
    assert str(tmp_path / "jensen_shannon.png") in printed

"""The theory of Goodfellow et al., 2014, arXiv 1406.2661, on normal distributions of the line."""

import importlib.util
import math
import pathlib
from statistics import NormalDist

import keras
import numpy as np
import pytest
from helpers.games import long_game
from keras import layers, ops

import keras_gan as kg

EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "figure_1.py"

# p_data, p_g, the logit of D* = p_data / (p_data + p_g), the Jensen-Shannon divergence and V(D*, G).
# The logits are closed forms of log p_data − log p_g; the numbers were found by quadrature.
TABLE = {
    "one apart": (NormalDist(0, 1), NormalDist(1, 1), lambda x: 0.5 - x, 0.111421, -1.163451),
    "two apart": (NormalDist(0, 1), NormalDist(2, 1), lambda x: 2 - 2 * x, 0.336831, -0.712633),
    "twice as wide": (
        NormalDist(0, 1),
        NormalDist(0, 2),
        lambda x: math.log(2) - 3 / 8 * x**2,
        0.092733,
        -1.200828,
    ),
    "equal": (NormalDist(0, 1), NormalDist(0, 1), np.zeros_like, 0.0, -1.386294),
}


@pytest.fixture(scope="module")
def figure_1():
    """The example, as a module."""
    spec = importlib.util.spec_from_file_location("figure_1", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def log_density(distribution, x):
    z = (x - distribution.mean) / distribution.stdev
    return -0.5 * z**2 - math.log(distribution.stdev * math.sqrt(2 * math.pi))


def integral(values, x):
    return float(((values[1:] + values[:-1]) / 2 * np.diff(x)).sum())


def jensen_shannon(data, model):
    """Quadrature of the definition, ½KL(p‖m) + ½KL(q‖m) with m = (p + q)/2."""
    x = np.linspace(-15, 15, 30_001)
    p, q = np.exp(log_density(data, x)), np.exp(log_density(model, x))
    log_mixture = np.logaddexp(log_density(data, x), log_density(model, x)) - math.log(2)
    divergences = [
        integral(density * (log_density(distribution, x) - log_mixture), x)
        for density, distribution in ((p, data), (q, model))
    ]
    return sum(divergences) / 2


def quantiles(distribution, n=100_000):
    """Points of equal probability, whose mean is a quadrature."""
    return np.array([distribution.inv_cdf(share) for share in (np.arange(n) + 0.5) / n])


@pytest.mark.parametrize("row", TABLE)
def test_at_the_optimal_discriminator_the_value_is_the_jensen_shannon_divergence(row):
    """Theorem 1: C(G) = −log 4 + 2·JSD(p_data‖p_g), by the loss and by quadrature."""
    data, model, best_logits, divergence, value = TABLE[row]
    real, fake = (ops.convert_to_tensor(best_logits(quantiles(of)), "float32") for of in (data, model))
    loss = float(kg.losses.Minimax().discriminator(real, fake))
    assert jensen_shannon(data, model) == pytest.approx(divergence, abs=1e-6)
    assert -loss == pytest.approx(-math.log(4) + 2 * jensen_shannon(data, model), abs=2e-5)
    assert -loss == pytest.approx(value, abs=2e-5)


@pytest.mark.slow
@long_game
@pytest.mark.parametrize("row", ["one apart", "two apart", "twice as wide"])
def test_a_discriminator_alone_learns_the_ratio_of_densities(figure_1, row):
    """Proposition 1: for a fixed generator D becomes p_data / (p_data + p_g)."""
    data, model, best_logits, _, value = TABLE[row]
    generator = keras.Sequential([keras.Input((1,)), layers.Rescaling(model.stdev, model.mean)])
    gan = kg.GAN(generator, figure_1.make_discriminator(data), prior="normal", seed=0)
    figure_1.train(gan, figure_1.draw(data, 50_000, seed=0), epochs=6)

    x = np.linspace(-3, 3, 601)
    best = 1 / (1 + np.exp(-best_logits(x)))
    assert np.abs(figure_1.judge(gan, x) - best).max() < 0.03
    logs = gan.evaluate(
        figure_1.draw(data, 400_000, seed=1), batch_size=100_000, verbose=0, return_dict=True
    )
    assert -logs["d_loss"] == pytest.approx(value, abs=0.01)


@pytest.mark.slow
@long_game
def test_training_converges_to_the_data_and_one_half(figure_1):
    """Theorem 1 again: at the optimum p_g = p_data and D = ½."""
    data = NormalDist(4.0, 0.5)
    gan = kg.GAN(figure_1.make_generator(), figure_1.make_discriminator(data), prior="normal", seed=0)
    before = gan.generate(20_000, seed=1)
    assert abs(before.mean() - data.mean) > 0.9
    r1 = kg.terms.R1(figure_1.R1_WEIGHT)
    figure_1.train(gan, figure_1.draw(data, 50_000, seed=0), epochs=12, terms=[r1])

    samples = gan.generate(20_000, seed=1)
    assert samples.mean() == pytest.approx(data.mean, abs=0.1)
    assert samples.std() == pytest.approx(data.stdev, rel=0.15)
    x = np.linspace(data.mean - 2 * data.stdev, data.mean + 2 * data.stdev, 101)
    np.testing.assert_allclose(figure_1.judge(gan, x), 0.5, atol=0.1)

"""Losses against float64 NumPy, finite differences and the values of the papers."""

import keras
import numpy as np
import pytest
from helpers.games import gradients, number
from keras import ops

import keras_gan as kg


def softplus(a):
    return np.logaddexp(0.0, a)


def log_sigmoid(a):
    return -np.logaddexp(0.0, -a)


def cross_entropy(r, f, t=1.0):
    """−E[t log D(x) + (1−t) log(1−D(x))] − E[log(1 − D(G(z)))], as the 2014 paper writes it."""
    real = -(t * log_sigmoid(r) + (1 - t) * log_sigmoid(-r))
    return real.mean() - log_sigmoid(-f).mean()


# What each loss should be, as (discriminator, generator) of float64 logits.
FORMULAS = {
    "minimax": (cross_entropy, lambda r, f: log_sigmoid(-f).mean()),
    "non_saturating": (cross_entropy, lambda r, f: -log_sigmoid(f).mean()),
    "maximum_likelihood": (cross_entropy, lambda r, f: -np.exp(f).mean()),
    "least_squares": (
        lambda r, f: 0.5 * ((r - 1) ** 2).mean() + 0.5 * (f**2).mean(),
        lambda r, f: 0.5 * ((f - 1) ** 2).mean(),
    ),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda r, f: -f.mean(),
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "relativistic_average": (
        lambda r, f: -log_sigmoid(r - f.mean()).mean() - log_sigmoid(r.mean() - f).mean(),
        lambda r, f: -log_sigmoid(f - r.mean()).mean() - log_sigmoid(f.mean() - r).mean(),
    ),
    "relativistic_paired": (
        lambda r, f: -log_sigmoid(r - f).mean(),
        lambda r, f: -log_sigmoid(f - r).mean(),
    ),
}
PLAYERS = ["discriminator", "generator"]


def test_every_loss_has_a_formula():
    assert set(FORMULAS) == set(kg.losses.LOSSES)


@pytest.fixture(params=[(16, 1), (16,), (4, 3, 3, 1)], ids=["vector", "flat", "patches"])
def logits(request, rng):
    return [rng.normal(scale=2.0, size=request.param) for _ in range(2)]


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("name", FORMULAS)
def test_value_equals_the_formula(name, player, logits):
    loss = getattr(kg.losses.get(name), player)
    value = float(loss(*[ops.convert_to_tensor(a, "float32") for a in logits]))
    expected = FORMULAS[name][PLAYERS.index(player)](*logits)
    assert value == pytest.approx(expected, rel=2e-6, abs=2e-6)


def slopes(loss, logits):
    """Return the derivatives of a loss for both logits."""
    found = gradients(loss, *[ops.convert_to_tensor(a, "float32") for a in logits])
    return [ops.convert_to_numpy(gradient) for gradient in found]


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_equals_finite_differences(name, player, logits):
    formula = FORMULAS[name][PLAYERS.index(player)]
    found = slopes(getattr(kg.losses.get(name), player), logits)
    for side in range(2):
        for index in [0, logits[side].size // 2]:
            shifted = [[a.copy() for a in logits] for _ in range(2)]
            for sign, copy in zip((1, -1), shifted, strict=True):
                copy[side].flat[index] += sign * 1e-5
            expected = (formula(*shifted[0]) - formula(*shifted[1])) / 2e-5
            assert found[side].flat[index] == pytest.approx(expected, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_logits_of_ten_thousand_stay_finite(name, player, signs):
    logits = [sign * np.full((4, 1), 1e4) for sign in signs]
    loss = getattr(kg.losses.get(name), player)
    assert np.isfinite(number(loss(*[ops.convert_to_tensor(a, "float32") for a in logits])))
    assert np.isfinite(slopes(loss, logits)).all()


def test_saturation_when_the_discriminator_rejects_samples():
    """Goodfellow et al., 2014, section 3, and 2016, figure 16: slopes at D(G(z)) = .001."""
    logit = np.log(1e-3 / (1 - 1e-3))
    found = {
        name: slopes(kg.losses.get(name).generator, [np.zeros(1), np.array([logit])])[1][0]
        for name in ("minimax", "non_saturating", "maximum_likelihood")
    }
    assert found["minimax"] == pytest.approx(-1e-3, rel=1e-4)
    assert found["non_saturating"] == pytest.approx(-0.999, rel=1e-4)
    assert found["maximum_likelihood"] == pytest.approx(-1e-3 / (1 - 1e-3), rel=1e-4)


def test_equilibrium_values():
    zeros = ops.zeros((4, 1))
    assert float(kg.losses.Minimax().discriminator(zeros, zeros)) == pytest.approx(np.log(4))
    for name in ("minimax", "non_saturating", "relativistic_average", "relativistic_paired"):
        decisions = kg.losses.get(name).decisions(zeros, zeros)
        assert [float(ops.mean(d)) for d in decisions] == [0.5, 0.5]


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "maximum_likelihood"])
def test_label_smoothing_moves_the_target_of_real_examples_only(name, logits):
    loss = kg.losses.LOSSES[name](label_smoothing=0.1)
    value = float(loss.discriminator(*[ops.convert_to_tensor(a, "float32") for a in logits]))
    assert value == pytest.approx(cross_entropy(*logits, t=0.9), rel=2e-6)
    # The best logit for a real example is that of the target .9, for a fake none.
    best = np.array([[np.log(0.9 / 0.1)]])
    real, fake = slopes(loss.discriminator, [best, best])
    assert real[0, 0] == pytest.approx(0.0, abs=1e-6)
    assert fake[0, 0] == pytest.approx(0.9, rel=1e-5)


def test_least_squares_smoothing(logits):
    loss = kg.losses.LeastSquares(label_smoothing=0.1)
    value = float(loss.discriminator(*[ops.convert_to_tensor(a, "float32") for a in logits]))
    r, f = logits
    assert value == pytest.approx(0.5 * ((r - 0.9) ** 2).mean() + 0.5 * (f**2).mean(), rel=1e-6)


def test_smoothing_fake_labels_raises():
    with pytest.raises(TypeError, match="rewards samples like those the generator makes already"):
        kg.losses.NonSaturating(label_smoothing=(0.1, 0.1))


@pytest.mark.parametrize("smoothing", [-0.1, 0.5, 0.9, float("nan")])
def test_smoothing_out_of_range(smoothing):
    with pytest.raises(ValueError, match=r"`label_smoothing` must be a finite number >= 0 and < 0\.5"):
        kg.losses.Minimax(label_smoothing=smoothing)


def test_unknown_loss_names_the_nearest():
    with pytest.raises(ValueError, match="Unknown loss 'wassertein'. Did you mean 'wasserstein'"):
        kg.losses.get("wassertein")


@pytest.mark.parametrize("wrong", [3, None, keras.losses.MeanSquaredError()])
def test_invalid_loss_raises(wrong):
    with pytest.raises(TypeError, match="The loss must be a name"):
        kg.losses.get(wrong)


@pytest.mark.parametrize("name", FORMULAS)
def test_configuration_round_trip(name):
    loss = kg.losses.get(name)
    if hasattr(loss, "label_smoothing"):
        loss = type(loss)(label_smoothing=0.2)
    config = keras.saving.serialize_keras_object(loss)
    again = kg.losses.get(config)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


def test_a_loss_must_define_both_players():
    for player in PLAYERS:
        with pytest.raises(NotImplementedError, match=f"must define `{player}`"):
            getattr(kg.losses.Loss(), player)(None, None)

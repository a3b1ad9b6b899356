"""What coordinates the players, on the two games of one weight each, against recursions in float64.

`docs/stability.md` has the table of the distances from the equilibrium.
"""

import pathlib
import re

import keras
import numpy as np
import pytest
from helpers.games import AT_ONCE, long_game, number, one_weight_each, sigmoid

import keras_gan as kg

GUIDE = pathlib.Path(__file__).parents[1] / "docs" / "stability.md"

# Slopes of both losses for the logit ψθ of the one fake; the logit of the real example is 0. The game
# V = xy starts in (θ, ψ) = (1, 1); the Dirac-GAN in (1, −1), since its D rates fakes.
GAMES = {
    "bilinear": ("wasserstein", (lambda a: 1.0, lambda a: -1.0), (1.0, 1.0), 0.1),
    "dirac": ("non_saturating", (sigmoid, lambda a: -sigmoid(-a)), (1.0, -1.0), 0.2),
}
BANDS = {"bilinear": (-0.5, 0.5), "dirac": (-0.06, 0.04)}


class Band:
    """Adaptive k from 1 to 5, patience 3, decay ½."""

    def __init__(self, low, high):
        self.low, self.high, self.k, self.waited, self.average = low, high, 1, 0, None

    def observe(self, balance):
        self.average = balance if self.average is None else (self.average + balance) / 2
        self.waited += 1
        move = 1 if self.average < self.low else -1 if self.average > self.high else 0
        if self.waited >= 3 and move and 1 <= self.k + move <= 5:
            self.k, self.waited = self.k + move, 0


def recursion(game, steps, ratio=1.0, r1=0.0, interval=1, normalized=False, bands=None):
    """Return (θ, ψ) after alternating steps of gradient descent, the discriminator's first.

    Args:
        game: name in GAMES.
        steps: number of training steps.
        ratio: √(η_D / η_G), with the same product.
        r1: weight of ½ψ², computed in every `interval`-th step with `interval` times the weight.
        normalized: whether ψ counts as ψ/|ψ|, whose gradient is 0.
        bands: the band of the balance in each game, which adapts k.
    """
    _, (d_slope, g_slope), (theta, psi), rate = GAMES[game]
    band = Band(*bands[game]) if bands else None
    for t in range(steps):
        for _ in range(band.k if band else 1):
            a = psi * theta
            balance = -a if game == "bilinear" else 0.5 - sigmoid(a)
            penalty = interval * r1 * psi if t % interval == 0 else 0.0
            psi -= rate * ratio * ((0.0 if normalized else d_slope(a) * theta) + penalty)
        seen = np.sign(psi) if normalized else psi
        theta -= rate / ratio * g_slope(seen * theta) * seen
        if band:
            band.observe(balance)
    return theta, psi


# Of each device: the arguments of the recursion, and functions of the game for those of `compile`.
DEVICES = {
    "alternating": ({}, {}),
    "two learning rates": ({"ratio": 2.0}, {}),
    "R1": ({"r1": 0.3}, {"terms": lambda game: [kg.terms.R1(0.3)]}),
    "lazy R1": (
        {"r1": 0.3, "interval": 4},
        {"terms": lambda game: [kg.terms.R1(0.3, interval=4)]},
    ),
    "relativistic, R1 and R2": (
        {"r1": 0.3},  # the paired loss of a real logit of 0 is the non-saturating one
        {
            "terms": lambda game: [kg.terms.R1(0.15), kg.terms.R2(0.15)],
            "loss": lambda game: "relativistic_paired",
        },
    ),
    "spectral normalization": (
        {"normalized": True},
        {"wrap": lambda game: kg.layers.SpectralNormalization},
    ),
    "adaptive k": (
        {"bands": BANDS},
        {
            "update": lambda game: kg.updates.BalancedSteps(*BANDS[game], decay=0.5, patience=3),
            "discriminator_steps": lambda game: 5,
        },
    ),
}
# The relativistic loss is not bilinear.
CASES = [(name, game) for name in DEVICES for game in GAMES if (name[:3], game) != ("rel", "bilinear")]


def expected(name, game, steps):
    return recursion(game, steps, **DEVICES[name][0])


def device(name, game, **options):
    """Return the GAN of a device."""
    loss, _, start, rate = GAMES[game]
    arguments, settings = DEVICES[name]
    ratio = arguments.get("ratio", 1.0)
    optimizers = {
        "d_optimizer": keras.optimizers.SGD(rate * ratio),
        "g_optimizer": keras.optimizers.SGD(rate / ratio),
    }
    own = {key: make(game) for key, make in settings.items()}
    return one_weight_each(*start, **{"loss": loss, **optimizers, **own, **options})


def played(gan, steps):
    """Return (θ, ψ) after training steps on data at 0."""
    k = gan.discriminator_steps
    gan.fit(np.zeros((steps * k, 1), "float32"), batch_size=k, shuffle=False, verbose=0)
    return [number(variable) for variable in gan.trainable_variables]


@pytest.mark.parametrize(("name", "game"), CASES)
def test_each_device_agrees_with_float64(name, game):
    found = played(device(name, game), 60)
    assert found == pytest.approx(expected(name, game, 60), rel=2e-5, abs=1e-7)


def test_two_learning_rates_in_closed_form():
    """Simultaneous steps multiply θ²/η_G + ψ²/η_D by 1 + η_D η_G."""
    gan = device("two learning rates", "bilinear", update="simultaneous")
    theta, psi = played(gan, 100)
    invariant = theta**2 / 0.05 + psi**2 / 0.2
    assert invariant == pytest.approx((1 / 0.05 + 1 / 0.2) * 1.01**100, rel=1e-5)


def test_spectral_normalization_in_closed_form():
    """D(x) = x: its weight has no gradient, and θ moves by η in each step."""
    assert played(device("spectral normalization", "bilinear"), 50) == pytest.approx([6.0, 1.0])


def radius(name, game, steps):
    return float(np.hypot(*expected(name, game, steps)))


def test_guide_has_the_distances_of_the_recursions():
    """Those of other rules are in the published table of `test_updates.py`."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", GUIDE.read_text(), re.MULTILINE)
    table = {name: cells for name, *cells in rows}
    for name in DEVICES:
        columns = [("bilinear", 100), ("bilinear", 1000), ("dirac", 500)]
        wanted = [f"{radius(name, *c):.4g}" if (name, c[0]) in CASES else "—" for c in columns]
        assert table[name] == wanted, name


@long_game
@pytest.mark.parametrize("name", ["R1", "lazy R1", "relativistic, R1 and R2"])
def test_penalties_converge_on_the_dirac_gan(name):
    """All 500 steps; without a penalty the distance is still a quarter."""
    found = np.hypot(*played(device(name, "dirac", **AT_ONCE), 500))
    assert found == pytest.approx(radius(name, "dirac", 500), rel=0.03)
    assert found < 1e-6 < 0.2 < radius("alternating", "dirac", 500)


@long_game
def test_adaptive_k_diverges_on_the_bilinear_game():
    """With each fixed k the players circle; changes of k add energy, as pushes do to a swing."""
    rate = GAMES["bilinear"][-1]
    for k in range(1, 6):
        step = [[1 - k * rate**2, rate], [-k * rate, 1]]  # of (θ, ψ)
        np.testing.assert_allclose(np.abs(np.linalg.eigvals(step)), 1.0, rtol=1e-12)
    found = np.hypot(*played(device("adaptive k", "bilinear", **AT_ONCE), 400))
    assert found == pytest.approx(radius("adaptive k", "bilinear", 400), rel=1e-3)
    assert found > 4 * np.sqrt(2)

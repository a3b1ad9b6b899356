"""Rules that adapt k: against a recursion in float64, set back and ahead by hand, saved, resumed."""

import keras
import numpy as np
import pytest
from helpers.games import (
    BACKEND,
    mlp,
    number,
    one_weight_each,
    sgd,
    sigmoid,
    small_gan,
    weights,
)
from keras import ops

import keras_gan as kg

RATE, K = 0.2, 5
DATA = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")


class Balanced64:
    """Our rule for single numbers, in float64."""

    counts = (1, 2, 3, 4, 5)

    def __init__(self, low, high, decay, patience):
        self.low, self.high, self.decay, self.patience = low, high, decay, patience
        self.level, self.since, self.average, self.margin = 0, 0, None, np.inf

    @property
    def k(self):
        return self.counts[self.level]

    def balance(self, d_real, d_fake):
        return d_real - d_fake

    def observe(self, balance):
        kept = balance if self.average is None else self.average
        self.average = self.decay * kept + (1 - self.decay) * balance
        self.since += 1
        self.margin = min(self.margin, abs(self.average - self.low), abs(self.average - self.high))
        move = 1 if self.average <= self.low else -1 if self.average > self.high else 0
        if self.since >= self.patience and 0 <= self.level + move < len(self.counts) and move:
            self.level, self.since = self.level + move, 0


class Increasing64(Balanced64):
    """The rule of Bie et al.: accuracy on fakes, one direction, 1, 2, 5."""

    counts = (1, 2, 5)

    def __init__(self, threshold, decay, patience):
        super().__init__(threshold, np.inf, decay, patience)

    def balance(self, d_real, d_fake):
        return float(d_fake < 0.5)


CASES = {
    "balanced": (
        Balanced64(-0.06, 0.04, 0.5, 3),
        kg.updates.BalancedSteps(-0.06, 0.04, decay=0.5, patience=3),
    ),
    "increasing": (
        Increasing64(0.55, 0.9, 20),
        kg.updates.IncreasingSteps(0.55, decay=0.9, patience=20),
    ),
}


def dirac_in_float64(rule, steps):
    """The Dirac-GAN with the minimax loss: θ, ψ, and k in each step."""
    theta, psi, ks = 1.0, -1.0, []
    for _ in range(steps):
        ks.append(rule.k)
        for _ in range(rule.k):
            balance = rule.balance(0.5, sigmoid(psi * theta))
            psi -= RATE * sigmoid(psi * theta) * theta
        theta += RATE * sigmoid(psi * theta) * psi
        rule.observe(balance)
    return theta, psi, ks


def steps_of(gan, data, steps):
    """Train on one batch again and again; return k and the balance of each step."""
    found = []
    for _ in range(steps):
        logs = gan.train_on_batch(data, return_dict=True)
        gan.reset_metrics()
        found.append([float(logs["discriminator_steps"]), float(logs["balance"])])
    return np.array(found)


@pytest.mark.parametrize("name", CASES)
def test_dirac_gan_agrees_with_float64(name):
    expected, rule = CASES[name]
    gan = one_weight_each(psi=-1.0, loss="minimax", update=rule, discriminator_steps=K, **sgd(RATE))
    theta, psi, ks = dirac_in_float64(expected, 120)
    assert expected.margin > 1e-6  # float32 decides as float64 does
    assert len(set(ks)) >= 3
    found = steps_of(gan, np.zeros((K, 1), "float32"), 120)
    assert found[:, 0].tolist() == ks
    assert weights(gan) == pytest.approx((theta, psi), rel=2e-5)
    assert number(gan.d_optimizer.iterations) == sum(ks)
    assert number(gan.g_optimizer.iterations) == 120


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("rule", [kg.updates.BalancedSteps, kg.updates.IncreasingSteps])
def test_equal_bounds_are_the_alternating_rule(rule, k):
    """To the bit, but for the logs, whose mean is taken in another order."""
    pinned = small_gan(update=rule(minimum=k, patience=1), discriminator_steps=k, gradient_norms=True)
    fixed = small_gan(discriminator_steps=k, gradient_norms=True)
    logs = [
        gan.fit(DATA, batch_size=4 * k, epochs=2, shuffle=False, verbose=0).history
        for gan in (pinned, fixed)
    ]
    for name, means in logs[1].items():
        np.testing.assert_allclose(logs[0][name], means, rtol=1e-5)
    assert logs[0]["discriminator_steps"] == [k, k]
    for mine, theirs in zip(pinned.trainable_variables, fixed.trainable_variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(mine), ops.convert_to_numpy(theirs))


def test_logs_are_means_over_the_steps_that_are_taken():
    """The first of four minibatches, as if it were the batch of a game with k = 1."""
    patient = kg.updates.BalancedSteps(patience=100)
    gan = one_weight_each(update=patient, discriminator_steps=4, gradient_norms=True, **sgd(0.1))
    other = one_weight_each(gradient_norms=True, **sgd(0.1))
    data = np.linspace(-1, 1, 8, dtype="float32")[:, None]
    for _ in range(3):
        mine = gan.train_on_batch(data, return_dict=True)
        theirs = other.train_on_batch(data[:2], return_dict=True)
        for name, value in theirs.items():
            np.testing.assert_allclose(mine[name], value, rtol=1e-6)
    assert set(mine) - set(theirs) == {"balance", "discriminator_steps"}
    assert float(mine["balance"]) == pytest.approx(float(mine["d_real"] - mine["d_fake"]), rel=1e-5)


class Always(kg.updates.AdaptiveSteps):
    """Wants more steps, or fewer, whatever the balance."""

    def __init__(self, wish):
        super().__init__(minimum=2, decay=0.0, patience=1)
        self.wish = wish

    def balance(self, loss, real_logits, fake_logits):
        return 0.0 * ops.mean(real_logits) + 0.5

    def direction(self, average):
        return self.wish


@pytest.mark.parametrize(("wish", "expected"), [(1, [2, 3, 4, 4, 4]), (-1, [2] * 5), (0, [2] * 5)])
def test_k_stays_within_its_bounds(wish, expected):
    gan = one_weight_each(update=Always(wish), discriminator_steps=4, **sgd(0.1))
    assert steps_of(gan, np.zeros((4, 1), "float32"), 5)[:, 0].tolist() == expected


@pytest.mark.parametrize(
    ("minimum", "maximum", "expected"),
    [(1, 10, [1, 2, 5, 10]), (1, 1, [1]), (3, 60, [3, 5, 10, 20, 50, 60]), (1, 7, [1, 2, 5, 7])],
)
def test_numbers_of_the_increasing_rule(minimum, maximum, expected):
    assert list(kg.updates.IncreasingSteps(minimum=minimum).counts(maximum)) == expected


# A game that settles: the discriminator tells half a standard deviation apart with one step or two.
BAND = (0.05, 0.3)


def settled(minimum=1, k=6):
    """Return a game whose balance is in the band."""
    keras.utils.set_random_seed(0)
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    gan = kg.GAN(generator, mlp(2, 1), prior="normal", seed=0)
    rule = kg.updates.BalancedSteps(*BAND, minimum=minimum, decay=0.8, patience=3)
    options = {"run_eagerly": BACKEND == "torch", "terms": [kg.terms.R1(0.1)]}
    gan.compile(
        keras.optimizers.SGD(0.2),
        keras.optimizers.SGD(0.005),
        update=rule,
        discriminator_steps=k,
        **options,
    )
    return gan


def rows(k):
    return np.random.default_rng(1).normal(1.0, 0.5, size=(32 * k, 2)).astype("float32")


def set_back(gan):
    """Give the discriminator weights under which it answers the reverse."""
    layer = gan.discriminator.layers[-1]
    layer.set_weights([-1.0 * weight for weight in layer.get_weights()])


def set_ahead(gan):
    """Have the discriminator answer with great confidence."""
    layer = gan.discriminator.layers[-1]
    layer.set_weights([20.0 * weight for weight in layer.get_weights()])


def recovery(found):
    """Return the number of steps until the balance stays in the band for five steps."""
    inside = (found[:, 1] > BAND[0]) & (found[:, 1] < BAND[1])
    runs = [inside[i : i + 5].all() for i in range(len(inside) - 4)]
    return runs.index(True) if any(runs) else np.inf


def test_k_recovers_from_a_discriminator_set_back_or_ahead():
    k, disturbed = 6, {}
    for name, disturb in {"back": set_back, "ahead": set_ahead}.items():
        for minimum in (1, k):
            gan = settled(minimum, k)
            before = steps_of(gan, rows(k), 40)
            disturb(gan)
            after = steps_of(gan, rows(k), 60)
            print(name, minimum, before[-5:], after[:, 0], after[:, 1].round(2), recovery(after))
            disturbed[name, minimum] = before, after

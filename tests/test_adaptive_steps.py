"""Rules that adapt k: against a recursion in float64, set back and ahead by hand, saved, resumed."""

import keras
import numpy as np
import pytest
from helpers.games import (
    BACKEND,
    assert_same_state,
    long_game,
    mlp,
    number,
    one_weight_each,
    sgd,
    sigmoid,
    slow_on_jax,
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


@pytest.mark.parametrize("k", [1, 2])
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


# The generator draws from a normal distribution, and cannot make the four modes of the data: the
# discriminator stays ahead, the further the more steps it takes.
BAND, LARGEST = (0.12, 0.58), 4
_rng = np.random.default_rng(1)
MODES = 2.0 * np.eye(2)[_rng.integers(2, size=128)] * _rng.choice([-1, 1], size=(128, 1))
MODES = (MODES + 0.1 * _rng.normal(size=MODES.shape)).astype("float32")


def unequal_game(update, k):
    keras.utils.set_random_seed(0)
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    gan = kg.GAN(generator, mlp(2, 1), prior="normal", seed=0)
    rates = {"d_optimizer": keras.optimizers.SGD(0.1), "g_optimizer": keras.optimizers.SGD(0.5)}
    gan.compile(**rates, update=update, discriminator_steps=k)
    return gan


def after_disturbance(gan, factor):
    """Multiply the discriminator's logits after 100 steps; return k and D(x) − D(G(z)) of 150 more."""
    data = MODES[: 32 * gan.discriminator_steps]
    start = gan.get_weights()
    steps_of(gan, data, 100)
    last = gan.discriminator.layers[-1]
    last.set_weights([factor * weight for weight in last.get_weights()])
    found = steps_of(gan, data, 150)
    gan.set_weights(start)
    return found


@long_game
def test_k_recovers_from_a_discriminator_set_back_or_ahead():
    """With k at the other end throughout, the players stay out of balance."""
    low, high = BAND
    rule = kg.updates.BalancedSteps(low, high, decay=0.8, patience=4)
    adaptive = unequal_game(rule, LARGEST)
    fixed = {k: unequal_game(kg.updates.BalancedSteps(minimum=k), k) for k in (1, LARGEST)}
    back, ahead = (after_disturbance(adaptive, factor) for factor in (-1.0, 3.0))
    controls = after_disturbance(fixed[1], -1.0), after_disturbance(fixed[LARGEST], 3.0)
    ends = [found[-50:, 1].mean() for found in (back, controls[0], ahead, controls[1])]
    print("back, with k = 1, ahead, with k = 4:", ends, back[:, 0], ahead[:, 0])
    assert back[:, 0].max() == LARGEST
    assert low < ends[0] < high
    assert ends[1] < low
    assert ahead[:, 0].min() == 1
    assert low < ends[2] < high
    assert ends[3] > high


@long_game
def test_the_increasing_rule_recovers_from_a_discriminator_set_back():
    """It takes more steps until samples are recognized again; k = 1 throughout recognizes fewer."""
    found = {}
    for k in (1, LARGEST):
        gan = unequal_game(kg.updates.IncreasingSteps(0.75, decay=0.8, patience=4), k)
        last = gan.discriminator.layers[-1]
        last.set_weights([-weight for weight in last.get_weights()])
        found[k] = steps_of(gan, MODES[: 32 * k], 200)
    numbers, ends = found[LARGEST][:, 0], {k: steps[-50:, 1].mean() for k, steps in found.items()}
    print("k:", numbers, "shares recognized with k = 1 and adaptive k:", ends)
    assert numbers[0] == 1
    assert numbers[-1] == LARGEST
    assert (np.diff(numbers) >= 0).all()
    assert ends[1] < 0.86 < ends[LARGEST]


@pytest.mark.parametrize("name", CASES)
def test_saved_in_the_middle_of_patience(name, tmp_path):
    """The loaded GAN has the same k, average and counters, and goes the same way."""
    rule = {
        "balanced": kg.updates.BalancedSteps(0.9, 1.0, decay=0.5, patience=2),
        "increasing": kg.updates.IncreasingSteps(0.9, decay=0.5, patience=2),
    }[name]
    gan = small_gan(update=rule, discriminator_steps=3)
    before = steps_of(gan, DATA, 5)
    assert len(set(before[:, 0])) > 1
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert_same_state(loaded, gan)
    np.testing.assert_array_equal(steps_of(loaded, DATA, 4), steps_of(gan, DATA, 4))
    assert_same_state(loaded, gan)


def test_average_ignores_what_is_not_finite():
    gan = one_weight_each(update=kg.updates.BalancedSteps(patience=1), discriminator_steps=2, **sgd(0.0))
    steps_of(gan, np.zeros((2, 1), "float32"), 1)
    before = [ops.convert_to_numpy(variable) for variable in gan.training_state]
    gan.discriminator.set_weights([np.array([[np.nan]], "float32")])
    steps_of(gan, np.zeros((2, 1), "float32"), 1)
    average = [variable for variable in gan.training_state if variable.name == "average"]
    assert number(average[0]) == before[2]


def test_float16_and_a_loss_scale_in_the_branch():
    """A scale that is far too large is halved in the steps that are taken, and in no others."""
    keras.config.set_dtype_policy("mixed_float16")
    rule = kg.updates.BalancedSteps(minimum=1, patience=2, decay=0.0)
    gan = one_weight_each(1.0, 1.0, update=rule, discriminator_steps=3, **sgd(0.01))
    gan.d_optimizer.dynamic_scale.assign(2.0**30)
    found = steps_of(gan, np.zeros((3, 1), "float32"), 6)
    taken = number(gan.d_optimizer.iterations)
    skipped = 30 - np.log2(number(gan.d_optimizer.dynamic_scale))
    assert np.isfinite(found).all()
    assert set(found[:, 0]) == {1.0, 2.0, 3.0}
    assert skipped > 1
    assert taken + skipped == found[:, 0].sum()


@slow_on_jax
@pytest.mark.tensorflow
@pytest.mark.jax
def test_compiled_by_xla_or_not_takes_the_same_steps():
    rule = kg.updates.BalancedSteps(0.9, 1.0, decay=0.5, patience=2)
    ends = []
    for options in ({"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}):
        if BACKEND == "jax" and options.get("run_eagerly"):
            continue  # which compiles each branch on its own, for a minute
        options = {"run_eagerly": False, **options}
        gan = small_gan(update=rule, discriminator_steps=3, ema_decay=0.9, **options)
        ends.append((steps_of(gan, DATA, 6), weights_of(gan)))
    for found, values in ends[1:]:
        np.testing.assert_array_equal(found[:, 0], ends[0][0][:, 0])
        np.testing.assert_allclose(values, ends[0][1], atol=1e-5)
    assert len(set(ends[0][0][:, 0])) > 1


def weights_of(gan):
    return np.concatenate([np.ravel(w) for w in gan.get_weights()])


def test_validation_logs_the_balance_but_no_number_of_steps():
    gan = small_gan(update="balanced_steps", discriminator_steps=2)
    logs = gan.fit(DATA, batch_size=8, verbose=0, validation_data=(DATA,)).history
    assert {"val_balance", "balance", "discriminator_steps"} <= set(logs)
    assert "val_discriminator_steps" not in logs
    difference = logs["val_d_real"][0] - logs["val_d_fake"][0]
    assert logs["val_balance"][0] == pytest.approx(difference, abs=1e-6)


ACCURACIES = [
    ("non_saturating", [[-1.0], [2.0], [-3.0], [-4.0]], 0.75),
    ("hinge", [[-1.0], [2.0], [-3.0], [-4.0]], 0.75),
    ("least_squares", [[-1.0], [0.4], [0.6], [2.0]], 0.5),
    ("non_saturating", {"a": [[-1.0], [2.0]], "b": [[-1.0], [-1.0]]}, 0.75),
]


@pytest.mark.parametrize(("loss", "fakes", "expected"), ACCURACIES)
def test_accuracy_on_generated_samples(loss, fakes, expected):
    fakes = keras.tree.map_structure(lambda rows: ops.array(rows, "float32"), fakes, none_is_leaf=False)
    found = kg.updates.IncreasingSteps().balance(kg.losses.get(loss), fakes, fakes)
    assert float(found) == expected


def test_bounds_that_cross():
    rule = kg.updates.BalancedSteps(minimum=3)
    with pytest.raises(
        ValueError, match=r"bounds .* cross.*minimum=3 and discriminator_steps=2.*Compile"
    ):
        small_gan(update=rule, discriminator_steps=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kg.updates.BalancedSteps(0.5, 0.5), "`high` must be a finite number > 0.5"),
        (lambda: kg.updates.BalancedSteps(minimum=0), "`minimum` must be an integer >= 1"),
        (lambda: kg.updates.BalancedSteps(decay=1.0), "`decay` must be a finite number"),
        (lambda: kg.updates.IncreasingSteps(patience=0), "`patience` must be an integer >= 1"),
        (lambda: kg.updates.IncreasingSteps(1.5), "`threshold` must be a finite number"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_too_few_rows_for_the_largest_k():
    gan = small_gan(update="balanced_steps", discriminator_steps=3)
    with pytest.raises(ValueError, match="cut into 3 minibatches"):
        gan.train_on_batch(DATA[:2])


@pytest.mark.parametrize("method", ["balance", "direction"])
def test_a_rule_must_define_both_methods(method):
    arguments = [None] * (3 if method == "balance" else 1)
    with pytest.raises(NotImplementedError, match=f"must define `{method}`"):
        getattr(kg.updates.AdaptiveSteps(), method)(*arguments)

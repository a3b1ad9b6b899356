"""Update rules against closed forms and independent float64 re-implementations."""

import keras
import numpy as np
import pytest
from helpers.games import AT_ONCE, Adam64, Once, long_game, one_weight_each, sgd, sigmoid, weights
from keras import layers, ops

import keras_gan as kg


def play(gan, steps):
    """Run `steps` training steps on data at 0 and return the distance from the equilibrium (0, 0)."""
    gan.fit(np.zeros((steps, 1), "float32"), batch_size=1, epochs=1, verbose=0, shuffle=False)
    return np.hypot(*weights(gan))


# Derivative of each loss for the logit ψθ of the one fake: the discriminator's and the generator's.
SLOPES = {
    "minimax": (sigmoid, lambda a: -sigmoid(a)),
    "non_saturating": (sigmoid, lambda a: -sigmoid(-a)),
    "wasserstein": (lambda a: 1.0, lambda a: -1.0),
}


def dirac_radius(loss, update, r1=0.0):
    """Play 500 steps of the Dirac-GAN with h = .2 and return the distance from (0, 0).

    The paper's D gives positive values to fakes, so that its ψ = 1 is our −1. Its alternating game
    begins with the generator, ours with the discriminator: the generator's first half step, and the
    discriminator's last one, are made here.
    """
    d_slope, g_slope = SLOPES[loss]
    theta, psi, rate = 1.0, -1.0, 0.2
    half = update == "alternating"
    if half:
        theta -= rate * g_slope(psi * theta) * psi
    terms = [kg.terms.R1(weight=r1)] if r1 else []
    settings = {"loss": loss, "update": update, "terms": terms, **sgd(rate), **AT_ONCE}
    gan = one_weight_each(theta, psi, **settings)
    play(gan, 500 - half)
    theta, psi = weights(gan)
    if half:
        psi -= rate * (d_slope(psi * theta) * theta + r1 * psi)
    return np.hypot(theta, psi)


# Spectral radius of one step of each rule on V = xy with η = .1 (Goodfellow, 2016, exercise 7.2, for
# the game; closed forms of the linear maps), as |λ|² in exact terms of η; the start is (1, 1).
ETA = 0.1
BILINEAR = {
    "simultaneous": lambda eta: 1 + eta**2,
    "extragradient": lambda eta: 1 - eta**2 + eta**4,
    "consensus": lambda eta: (1 - 0.5 * eta) ** 2 + eta**2,
}


@pytest.mark.parametrize("rule", BILINEAR)
def test_bilinear_game_scales_the_radius_by_the_eigenvalue(rule):
    update = kg.updates.Consensus(gamma=0.5) if rule == "consensus" else rule
    gan = one_weight_each(loss="wasserstein", update=update, **sgd(ETA))
    expected = np.sqrt(2) * BILINEAR[rule](ETA) ** (100 / 2)
    assert play(gan, 100) == pytest.approx(expected, rel=1e-5)


# Radii after 100 and 1,000 steps: published with the exercise's solution, to the digits given there.
TABLE = {
    "simultaneous": (2.326, 204.7),
    "alternating": (1.394, 1.399),
    "extragradient": (0.8599, 0.009773),
    "optimistic": (0.860, 0.008916),
    "consensus": (0.01453, 1.8e-20),
}


@long_game
@pytest.mark.parametrize("rule", TABLE)
def test_bilinear_game_matches_the_table_of_radii(rule):
    update = kg.updates.Consensus(gamma=0.5) if rule == "consensus" else rule
    gan = one_weight_each(loss="wasserstein", update=update, **sgd(ETA), **AT_ONCE)
    digits = {1.8e-20: 0.03, 0.860: 6e-4}
    for steps, expected in zip((100, 900), TABLE[rule], strict=True):
        assert play(gan, steps) == pytest.approx(expected, rel=digits.get(expected, 4e-4))


def bilinear_in_float64(rule, steps):
    """V = xy in float64: the discriminator's ψ and the generator's θ of `one_weight_each`."""
    theta, psi = 1.0, 1.0
    last = None
    for _ in range(steps):
        if rule == "alternating":
            psi -= ETA * theta
            theta += ETA * psi
            continue
        v = np.array([-psi, theta])  # ∇_θ of −ψθ, ∇_ψ of ψθ
        last = v if last is None else last
        theta, psi = np.array([theta, psi]) - 2 * ETA * v + ETA * last
        last = v
    return theta, psi


@pytest.mark.parametrize("rule", ["alternating", "optimistic"])
def test_bilinear_trajectory_agrees_with_float64(rule):
    gan = one_weight_each(loss="wasserstein", update=rule, **sgd(ETA))
    play(gan, 200)
    assert weights(gan) == pytest.approx(bilinear_in_float64(rule, 200), rel=1e-5)


# Dirac-GAN, h = .2, 500 steps from (1, 1): the distance from the equilibrium for simultaneous and
# alternating steps (Mescheder, Geiger, Nowozin, 2018; recomputed in float64).
DIRAC = {
    "minimax": (3.097, 1.421),
    "non_saturating": (0.6402, 0.2839),
    "wasserstein": (2.56e4, 1.398),
}


@long_game
@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
@pytest.mark.parametrize("loss", DIRAC)
def test_dirac_gan_matches_the_published_table(loss, update):
    expected = DIRAC[loss][update == "alternating"]
    assert dirac_radius(loss, update) == pytest.approx(expected, rel=2e-3)


@long_game
@pytest.mark.parametrize(
    ("loss", "update", "expected"),
    [
        ("minimax", "simultaneous", 2.6e-6),
        ("minimax", "alternating", 2.3e-7),
        ("non_saturating", "simultaneous", 2.2e-6),
        ("non_saturating", "alternating", 1.5e-7),
    ],
)
def test_dirac_gan_with_r1_converges_as_published(loss, update, expected):
    assert dirac_radius(loss, update, r1=0.3) == pytest.approx(expected, rel=0.03)


def dirac_in_float64(steps, h, loss, r1=0.0, alternating=False):
    d_slope, g_slope = SLOPES[loss]
    theta, psi = 1.0, -1.0
    for _ in range(steps):
        new = psi - h * (d_slope(psi * theta) * theta + r1 * psi)
        seen = new if alternating else psi
        theta, psi = theta - h * g_slope(seen * theta) * seen, new
    return theta, psi


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
@pytest.mark.parametrize("loss", DIRAC)
@pytest.mark.parametrize("r1", [0.0, 0.3])
def test_dirac_trajectory_agrees_with_float64(loss, update, r1):
    terms = [kg.terms.R1(weight=r1)] if r1 else []
    gan = one_weight_each(psi=-1.0, loss=loss, update=update, terms=terms, **sgd(0.2))
    play(gan, 50)
    expected = dirac_in_float64(50, 0.2, loss, r1, update == "alternating")
    assert weights(gan) == pytest.approx(expected, rel=1e-5)


def extra_adam(steps, rate):
    """Gidel et al., 2018, algorithm 4, on V = xy."""
    w, adam = np.array([1.0, 1.0]), Adam64(rate)
    field = lambda w: np.array([-w[1], w[0]])  # noqa: E731
    for _ in range(steps):
        ahead = w - adam.step(field(w))
        w = w - adam.step(field(ahead))
    return w


def optimistic_adam(steps, rate):
    """Daskalakis et al., 2017, algorithm 1, on V = xy."""
    w, adam, last = np.array([1.0, 1.0]), Adam64(rate), None
    for _ in range(steps):
        step = adam.step(np.array([-w[1], w[0]]))
        last = step if last is None else last
        w, last = w - 2 * step + last, step
    return w


@pytest.mark.parametrize(
    ("rule", "reference"), [("extragradient", extra_adam), ("optimistic", optimistic_adam)]
)
def test_adam_variants_match_their_papers(rule, reference):
    optimizers = {name: keras.optimizers.Adam(0.01) for name in ("d_optimizer", "g_optimizer")}
    gan = one_weight_each(loss="wasserstein", update=rule, **optimizers)
    play(gan, 100)
    assert weights(gan) == pytest.approx(reference(100, 0.01), rel=2e-4, abs=1e-6)


def test_iterations_count_the_steps_of_each_optimizer():
    counts = {}
    for rule, k in [("alternating", 3), ("simultaneous", 3), ("extragradient", 1)]:
        gan = one_weight_each(update=rule, discriminator_steps=k, **sgd(0.1))
        gan.fit(np.zeros((12, 1), "float32"), batch_size=3, verbose=0)
        iterations = [gan.d_optimizer.iterations, gan.g_optimizer.iterations]
        counts[rule] = [int(i) for i in (*iterations, gan.optimizer.iterations)]
    assert counts == {
        "alternating": [12, 4, 4],
        "simultaneous": [12, 4, 4],
        "extragradient": [8, 8, 4],
    }


def test_unknown_rule_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'extragradient'"):
        kg.updates.get("extragradients")


def test_a_rule_must_define_step():
    with pytest.raises(NotImplementedError, match="must define `step`"):
        kg.updates.UpdateRule().step(None, [])


@pytest.mark.parametrize("k", [1, 3])
def test_first_optimistic_step_is_plain(k):
    """v(w₋₁) = v(w₀), whatever the discriminator did before."""
    ends = []
    for rule in ("optimistic", "simultaneous"):
        gan = one_weight_each(loss="wasserstein", update=rule, discriminator_steps=k, **sgd(ETA))
        gan.fit(np.zeros((k, 1), "float32"), batch_size=k, verbose=0)
        ends.append(weights(gan))
    assert ends[0] == pytest.approx(ends[1], rel=1e-6)


def test_optimistic_step_skipped_by_the_loss_scale_changes_nothing():
    scaled = {
        name: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=1.0)
        for name in ("d_optimizer", "g_optimizer")
    }
    gan = one_weight_each(loss="wasserstein", update="optimistic", **scaled)
    play(gan, 5)
    theta, psi = weights(gan)
    gan.d_optimizer.dynamic_scale.assign(np.inf)
    play(gan, 1)
    assert weights(gan)[1] == psi
    assert weights(gan)[0] != theta
    assert int(gan.d_optimizer.iterations) == 5


def test_consensus_takes_embeddings_as_dense_layers():
    """Labels looked up in a table, or multiplied with it as one-hot vectors: the same game."""
    ends = []
    for embedded in (True, False):
        keras.utils.set_random_seed(0)

        def network(size, outputs, embedded=embedded):
            x = keras.Input((size,))
            c = keras.Input((), dtype="int32")
            table = keras.initializers.RandomNormal(seed=size)
            if embedded:
                h = keras.layers.Embedding(3, 4, embeddings_initializer=table)(c)
            else:
                one_hot = keras.layers.CategoryEncoding(3, output_mode="one_hot")(c[:, None])
                h = keras.layers.Dense(4, use_bias=False, kernel_initializer=table)(one_hot)
            h = keras.layers.Concatenate()([x, h])
            dense = keras.layers.Dense(outputs, kernel_initializer=keras.initializers.GlorotNormal(1))
            return keras.Model([x, c], dense(h))

        gan = kg.GAN(network(2, 2), network(2, 1), prior="normal", seed=0)
        gan.compile(**sgd(0.1), update=kg.updates.Consensus(1.0))
        x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
        gan.fit(x, np.zeros(8, "int32"), batch_size=4, shuffle=False, verbose=0)
        ends.append(gan.get_weights())
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_consensus_rejects_a_generator_without_second_derivatives():
    layers = keras.layers
    generator = keras.Sequential([keras.Input((4,)), layers.Dense(3), Once(name="once")])
    critic = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    with pytest.raises(ValueError, match=r"consensus update requires.*does not provide for: once \("):
        kg.GAN(generator, critic, seed=0).compile(**sgd(0.1), update="consensus")


def dirac_field(w, h=1e-6):
    """v and its Jacobian for the minimax Dirac-GAN, w = (ψ, θ), by central differences of v."""

    def v(w):
        psi, theta = w
        slope = sigmoid(psi * theta)
        return np.array([slope * theta, -slope * psi])

    jacobian = np.stack([(v(w + h * e) - v(w - h * e)) / (2 * h) for e in np.eye(2)], axis=1)
    return v(w), jacobian


@pytest.mark.parametrize("rule", ["extragradient", "optimistic", "consensus"])
def test_dirac_trajectories_of_the_other_rules_agree_with_float64(rule):
    rate, w, last = 0.2, np.array([-1.0, 1.0]), None
    for _ in range(50):
        v, jacobian = dirac_field(w)
        if rule == "extragradient":
            w = w - rate * dirac_field(w - rate * v)[0]
        elif rule == "optimistic":
            last = v if last is None else last
            w, last = w - rate * (2 * v - last), v
        else:
            w = w - rate * (v + jacobian.T @ v)  # γ = 1
    update = kg.updates.Consensus(1.0) if rule == "consensus" else rule
    gan = one_weight_each(theta=1.0, psi=-1.0, loss="minimax", update=update, **sgd(rate))
    play(gan, 50)
    theta, psi = weights(gan)
    assert (psi, theta) == pytest.approx(tuple(w), rel=1e-5, abs=1e-8)


def test_adam_of_an_embedding_with_repeated_labels():
    """The gradient of a row is the sum over its labels, and Adam squares the sum."""
    embedding = layers.Embedding(3, 1, embeddings_initializer="zeros")
    network = keras.Sequential([keras.Input((), dtype="int32"), embedding])
    player = kg.models.Player([network], keras.optimizers.Adam(0.1))
    labels, slopes = ops.convert_to_tensor([0, 0, 1]), ops.convert_to_tensor([[1.0], [3.0], [-2.0]])
    rows, expected = [Adam64(0.1) for _ in range(3)], np.zeros(3)
    for power in (1, 2):  # two steps, along other gradients
        kg.updates.descend(lambda p=power: ([ops.sum(slopes**p * network(labels))], {}), [player])
        gradients = [1.0 + 3.0**power, (-2.0) ** power, 0.0]
        expected -= [adam.step(g) for adam, g in zip(rows, gradients, strict=True)]
    got = ops.convert_to_numpy(embedding.embeddings)[:, 0]
    np.testing.assert_allclose(got, expected, rtol=1e-5)

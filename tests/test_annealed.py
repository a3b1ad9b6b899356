import keras
import numpy as np
import pytest
from helpers.games import long_game
from keras import layers, ops
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import keras_gan as kg
from keras_gan.metrics import AnnealedResult, annealed, annealed_log_likelihood, hmc, simulate_decoder
from keras_gan.metrics.decoder import NoisyDecoder, seed_stream


def linear(latent_dim, size, seed=0):
    """A linear decoder, and the log-density of what it makes, in closed form and float64."""
    rng = np.random.default_rng(seed)
    weights, bias = rng.normal(size=(latent_dim, size)) / latent_dim**0.5, rng.normal(size=size)

    def decoder(latents):
        return ops.add(ops.matmul(latents, np.float32(weights)), np.float32(bias))

    def exact(x, std):
        covariance = weights.T @ weights + std**2 * np.eye(size)
        return multivariate_normal(bias, covariance).logpdf(x)

    return decoder, exact


@pytest.mark.slow
@long_game
def test_bounds_of_a_linear_decoder():
    """Forward ≤ exact ≤ reverse on average, and a gap below 0.1 nats: 10 latents, 1000 temperatures."""
    decoder, exact = linear(10, 20)
    prior = kg.priors.Normal(shape=10)
    x, latents = simulate_decoder(decoder, 50, 0.5, prior, seed=3)
    truth = exact(x, 0.5)
    settings = {"std": 0.5, "prior": prior, "num_temperatures": 1000, "num_chains": 64}
    forward = annealed_log_likelihood(decoder, x, **settings)
    reverse = annealed_log_likelihood(decoder, x, latents=latents, **settings)
    below, above = truth - forward.log_likelihoods, reverse.log_likelihoods - truth
    error = np.hypot(below.std(), above.std()) / np.sqrt(50)
    assert below.mean() > -3 * below.std() / np.sqrt(50)
    assert above.mean() > -3 * above.std() / np.sqrt(50)
    assert abs(reverse.log_likelihood - forward.log_likelihood) < 0.1
    # So few rows would hide a gap of this size otherwise.
    assert error < 0.05
    # One by one, and not on average alone.
    assert abs(below).max() < 1
    assert np.corrcoef(forward.log_likelihoods, truth)[0, 1] > 0.99
    assert (forward.direction, reverse.direction) == ("forward", "reverse")
    assert 0.6 < forward.acceptance < 0.9
    assert 0.6 < reverse.acceptance < 0.9


def bent(latents):
    """A curve in the plane."""
    return ops.concatenate([ops.sin(2.0 * latents), latents**2], axis=1)


def quadrature(x, std, density, low, high):
    """Log ∫ p(z) N(x; bent(z), std²) dz in float64."""

    def integrand(z):
        means = np.array([np.sin(2 * z), z**2])
        return density(z) * norm.pdf(x, means, std).prod()

    return np.log(quad(integrand, low, high, limit=400, points=np.linspace(low, high, 41)[1:-1])[0])


POINTS = np.array([[0.5, 0.3], [0.0, 0.0], [-0.8, 0.9], [0.9, 0.4]])


@pytest.mark.parametrize(
    ("prior", "density", "ends"),
    [
        (kg.priors.Normal(shape=1), norm.pdf, (-9, 9)),
        (kg.priors.Normal(mean=0.5, stddev=0.7, shape=1), norm(0.5, 0.7).pdf, (-6, 7)),
        (kg.priors.Uniform(-1.0, 2.0, shape=1), lambda z: 1 / 3, (-1, 2)),
    ],
    ids=["standard", "normal", "uniform"],
)
def test_nonlinear_decoder_agrees_with_quadrature(prior, density, ends):
    exact = [quadrature(x, 0.3, density, *ends) for x in POINTS]
    result = annealed_log_likelihood(
        bent, POINTS, 0.3, prior, num_temperatures=100, num_chains=400, seed=1
    )
    np.testing.assert_allclose(result.log_likelihoods, exact, atol=0.15)


@pytest.mark.parametrize(
    "prior", [kg.priors.Normal(1.0, 0.5, shape=1), kg.priors.Uniform(-1, 2, shape=1)]
)
def test_reverse_chains_give_the_same_estimate(prior):
    x, latents = simulate_decoder(bent, 60, 0.3, prior, seed=2)
    settings = {"std": 0.3, "prior": prior, "num_temperatures": 300, "num_chains": 20}
    forward = annealed_log_likelihood(bent, x, **settings)
    reverse = annealed_log_likelihood(bent, x, latents=latents, **settings)
    assert abs(reverse.log_likelihood - forward.log_likelihood) < 0.15


@pytest.mark.parametrize(
    ("prior", "quantile"),
    [
        (kg.priors.Normal(1.0, 0.5, shape=3), lambda z: (z - 1) / 0.5),
        (kg.priors.Uniform(-1.0, 2.0, shape=3), lambda z: norm.ppf((z + 1) / 3)),
    ],
)
def test_latents_round_trip_through_the_standard_normal(prior, quantile):
    model = NoisyDecoder(lambda latents: latents, prior, 1.0)
    latents = np.array([[-0.9, 0.0, 0.3], [1.0, 1.5, 1.99]])
    rows = model.standardize(latents, 2)
    np.testing.assert_allclose(rows, quantile(latents), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.decode(ops.convert_to_tensor(rows)), latents, rtol=1e-5, atol=1e-5)


def test_latents_at_the_bounds_of_a_uniform_prior_stay_finite():
    model = NoisyDecoder(lambda latents: latents, kg.priors.Uniform(-1.0, 2.0, shape=1), 1.0)
    ends = np.float32([[-1.0], [2.0]])
    assert np.isfinite(model.standardize(ends, 2)).all()


def test_few_temperatures_bound_from_below_and_above():
    """With three temperatures the bounds are loose, and still bounds."""
    decoder, exact = linear(10, 20)
    prior = kg.priors.Normal(shape=10)
    x, latents = simulate_decoder(decoder, 50, 0.5, prior, seed=3)
    settings = {"std": 0.5, "prior": prior, "num_temperatures": 3, "num_chains": 4}
    truth = exact(x, 0.5).mean()
    assert annealed_log_likelihood(decoder, x, **settings).log_likelihood < truth - 5
    assert annealed_log_likelihood(decoder, x, latents=latents, **settings).log_likelihood > truth + 5


def test_acceptance_rate_excludes_the_warm_up():
    """A decoder so stiff that no proposal is accepted once x counts, and all of them before."""
    stiff = np.float32(1000 * np.random.default_rng(0).normal(size=(10, 20)))
    prior = kg.priors.Normal(shape=10)
    x, _ = simulate_decoder(lambda z: ops.matmul(z, stiff), 3, 0.01, prior)
    result = annealed_log_likelihood(
        lambda z: ops.matmul(z, stiff), x, 0.01, prior, num_temperatures=5, num_chains=4
    )
    assert result.acceptance < 0.05


def test_two_temperatures_are_importance_sampling():
    """Nothing between prior and posterior: log (1/n) Σ p(x | zᵢ), zᵢ from the prior."""
    decoder, exact = linear(1, 3)
    x, _ = simulate_decoder(decoder, 5, 2.0, kg.priors.Normal(shape=1))
    result = annealed_log_likelihood(
        decoder, x, 2.0, kg.priors.Normal(shape=1), num_temperatures=2, num_chains=3000
    )
    np.testing.assert_allclose(result.log_likelihoods, exact(x, 2.0), atol=0.1)


def test_schedule_matches_the_paper():
    """β_t = (σ(4(2t/T − 1)) − σ(−4)) / (σ(4) − σ(−4))."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    t = np.arange(1001)
    expected = (sigmoid(4 * (2 * t / 1000 - 1)) - sigmoid(-4.0)) / (sigmoid(4.0) - sigmoid(-4.0))
    betas = annealed.schedule(1001)
    np.testing.assert_allclose(betas, expected, atol=1e-12)
    assert (betas[0], betas[-1]) == (0, 1)
    assert (np.diff(betas) > 0).all()


def test_leapfrog_equals_numpy():
    """On N(0, 1) itself leapfrog is a linear map, done here in float64."""
    rows, momenta = np.array([[1.0, -0.5]]), np.array([[0.3, 2.0]])
    expected, velocity = rows.copy(), momenta - 0.05 * rows
    for number in range(10):
        expected = expected + 0.1 * velocity
        velocity = velocity - (0.05 if number == 9 else 0.1) * expected
    tensors = [ops.convert_to_tensor(part, "float32") for part in (rows, momenta, [[0.1]])]
    found = hmc.leapfrog(lambda z: ops.sum(z, axis=1), *tensors, 0.0)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    np.testing.assert_allclose(found[1], velocity, rtol=1e-5)


def test_steps_adapt_to_the_target():
    """Steps grow by 2 % above an acceptance of 0.65, shrink by 2 % below, and stay in [1e-4, 0.5]."""

    def transition(steps, rates, fit):
        rows, keys = ops.ones((3, 1)), seed_stream(1, 1)
        steps, rates = map(ops.convert_to_tensor, (steps, rates))
        state = hmc.transition(fit, rows, fit(rows), steps, rates, 1.0, keys(0), keys(1))
        return [ops.convert_to_numpy(part) for part in state]

    # Tiny steps are accepted: .9 · rate + .1. The longest step may be refused.
    _, _, steps, rates, share = transition([0.01, 0.01, 0.5], [0.9, 0.1, 0.9], lambda z: 0.0 * z[:, 0])
    np.testing.assert_allclose(steps, [0.01 * 1.02, 0.01 * 0.98, 0.5], rtol=1e-6)
    np.testing.assert_allclose(rates, [0.91, 0.19, 0.81 + 0.1 * (share == 1)], rtol=1e-6)
    assert share > 0.6
    # Where everything is NaN but here, nothing is accepted, and nothing moves.
    rows, fits, steps, rates, share = transition(
        [0.01, 1e-4, 0.1], [0.65, 0.1, 0.9], lambda z: ops.where(z[:, 0] == 1.0, 0.0, np.nan) * z[:, 0]
    )
    np.testing.assert_array_equal(rows, np.ones((3, 1)))
    np.testing.assert_array_equal(fits, np.zeros(3))
    np.testing.assert_allclose(steps, [0.0098, 1e-4, 0.102], rtol=1e-6)
    np.testing.assert_allclose(rates, [0.585, 0.09, 0.81], rtol=1e-6)
    assert share == 0


def test_logarithm_of_a_mean():
    values = np.array([[-1000.0, 3.0], [-1001.0, 900.0]])
    np.testing.assert_allclose(annealed._log_mean_exp(values), logsumexp(values, axis=0) - np.log(2))


def generator():
    return keras.Sequential([keras.Input((2,)), layers.Dense(12), layers.Reshape((2, 2, 3))], name="g")


def test_latent_shape_is_inferred_from_a_keras_model():
    model = generator()
    x, latents = simulate_decoder(model, 6, 0.5, "uniform", seed=1)
    assert x.shape == (6, 2, 2, 3)
    assert latents.shape == (6, 2)
    assert abs(latents).max() < 3**0.5
    result = annealed_log_likelihood(model, x, 0.5, "uniform", num_temperatures=20, num_chains=3)
    assert result.log_likelihoods.shape == (6,)
    assert (result.num_temperatures, result.num_chains, result.std) == (20, 3, 0.5)


def test_weight_changes_between_calls_take_effect():
    """Compiled programs may hold weights as constants: none outlives its call."""
    model, other, x = generator(), generator(), np.zeros((2, 2, 2, 3))
    settings = {"std": 0.5, "prior": "normal", "num_temperatures": 5, "num_chains": 3}
    before = annealed_log_likelihood(model, x, **settings).log_likelihoods
    expected = annealed_log_likelihood(other, x, **settings).log_likelihoods
    model.set_weights(other.get_weights())
    after = annealed_log_likelihood(model, x, **settings).log_likelihoods
    np.testing.assert_allclose(after, expected, rtol=1e-6)
    assert abs(after - before).max() > 0.1


@pytest.mark.torch
def test_chain_state_is_detached_from_its_history():
    """torch keeps what led to a tensor that can be differentiated: here all steps before."""
    decoder, key = generator(), seed_stream(0, 1)
    fit = NoisyDecoder(decoder, "normal", 0.5).log_likelihood(np.zeros((3, 12)))
    rows = ops.ones((3, 2))
    steps = ops.full((3,), 0.01)
    assert fit(rows).requires_grad
    state = hmc.transition(fit, rows, fit(rows), steps, steps, 0.5, key(0), key(1))
    assert not any(part.requires_grad for part in state)


def test_simulated_data_are_decoded_latents_plus_noise():
    x, latents = simulate_decoder(bent, 10_000, 0.3, kg.priors.Normal(shape=1), seed=4)
    noise = x - np.concatenate([np.sin(2 * latents), latents**2], axis=1)
    np.testing.assert_allclose(np.cov(noise.T), 0.09 * np.eye(2), atol=0.006)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.01)
    assert latents.std() == pytest.approx(1, abs=0.03)


def test_seed_determines_result_and_chains_start_elsewhere():
    prior = kg.priors.Normal(shape=1)
    x, latents = simulate_decoder(bent, 8, 0.3, prior, seed=5)
    first, again, other = (
        annealed_log_likelihood(
            bent, x, 0.3, prior, num_temperatures=10, num_chains=2, seed=seed
        ).log_likelihoods
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    start = kg.priors.Normal().draw((16, 1), seed_stream(5, 1)(0))
    assert not np.isclose(ops.convert_to_numpy(start)[:8], latents).any()


def test_result_reads_as_a_sentence():
    result = AnnealedResult(np.array([620.0, 634.0]), "reverse", 0.1581, 10_000, 16, 0.648)
    assert result.log_likelihood == 627.0
    assert result.standard_error == pytest.approx(7 / np.sqrt(2))
    assert str(result) == (
        "627.0 ± 4.9 nats (2 rows, reverse, std = 0.158, 10000 temperatures, 16 chains, acceptance 0.65)"
    )
    assert result.values == {
        "annealed_log_likelihood": 627.0,
        "annealed_standard_error": result.standard_error,
        "annealed_acceptance": 0.648,
    }
    one = AnnealedResult(np.array([620.0]), "forward", 0.1, 10, 2, 0.5, "Normal(shape=(1,))", 3)
    assert np.isnan(one.standard_error)
    assert str(one).endswith("2 chains, acceptance 0.50, Normal(shape=(1,)), seed 3)")


def test_result_records_its_settings():
    prior = kg.priors.Uniform(-1, 2, shape=1)
    result = annealed_log_likelihood(bent, X, 0.3, prior, num_temperatures=3, num_chains=2, seed=7)
    assert (result.prior, result.seed) == ("Uniform(low=-1.0, high=2.0, shape=(1,))", 7)


def in_numpy(latents):
    return bent(ops.convert_to_numpy(latents))


X, NORMAL = np.zeros((3, 2)), kg.priors.Normal(shape=1)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((bent, X * np.nan, 0.3), {}, "`x` must hold finite numbers.* 6 of 6 are not"),
        ((bent, X[:0], 0.3), {}, r"`x` is empty. Received shape: \(0, 2\)"),
        ((bent, X[0], 0.3), {}, r"`x` must be an array of shape \(n, ...\).*Received shape: \(2,\)"),
        (
            (bent, np.zeros((3, 5)), 0.3),
            {},
            r"Expected shape \(16, 5\) for 16 latents. Received: \(16, 2\)",
        ),
        ((lambda z: None, X, 0.3), {}, r"Expected shape \(16, 2\) for .* Received: NoneType"),
        ((lambda z: bent(z) / 0.0, X, 0.3), {}, "output is not finite.* for 6 of 6 latents"),
        ((lambda z: np.zeros((16, 2)), X, 0.3), {}, "has no gradient.*Write it with `keras.ops`"),
        ((in_numpy, X, 0.3), {}, "has no gradient.*Write it with `keras.ops`, not NumPy"),
        ((lambda z: ops.round(bent(z)), X, 0.3), {}, "has no gradient.*and without rounding"),
        ((lambda z: ops.sign(bent(z)) + 0.0 * bent(z), X, 0.3), {}, "has no gradient.*without rounding"),
        ((bent, X, 0.0), {}, "`std` must be a finite number > 0.* Received: 0.0 .* standard deviation"),
        ((bent, X, np.nan), {}, "`std` must be a finite number > 0.* Received: nan"),
        ((bent, X, 0.3), {"num_temperatures": 1}, "`num_temperatures` must be an integer >= 2"),
        ((bent, X, 0.3), {"num_temperatures": 10**12}, "`num_temperatures` must .* <= 1000000"),
        ((bent, X, 0.3), {"num_chains": 0}, "`num_chains` must be an integer >= 1.* Received: 0"),
        ((bent, X, 0.3), {"num_chains": 10**12}, "`num_chains` must be an integer .* <= 100000"),
        ((bent, X, 0.3), {"seed": -1}, "`seed` must be an integer >= 0"),
        ((bent, X, 0.3), {"prior": "normal"}, r"shape of the latents is unknown.*Normal\(shape=10\)"),
        ((bent, X, 0.3), {"latents": X}, r"Expected shape \(3, 1\). Received shape: \(3, 2\)"),
        ((bent, X, 0.3), {"latents": np.full((3, 1), np.inf)}, "`latents` must hold finite numbers"),
        (
            (bent, X, 0.3),
            {"prior": kg.priors.Uniform(-1, 2, shape=1), "latents": [[0], [1], [3]]},
            r"`latents` must lie in .* \[-1, 2\]. Received numbers from 0 to 3",
        ),
    ],
)
def test_invalid_arguments(arguments, options, message):
    settings = {"prior": NORMAL, "num_temperatures": 5, "num_chains": 2, **options}
    with pytest.raises(ValueError, match=message):
        annealed_log_likelihood(*arguments, **settings)


@pytest.mark.parametrize("std", [True, "0.1"])
def test_noise_must_be_a_number(std):
    with pytest.raises(TypeError, match=f"`std` must be a finite number > 0.* Received: {std!r}"):
        annealed_log_likelihood(bent, X, std, NORMAL)


def test_unsupported_prior_raises():
    for prior in ("spherical", kg.priors.Categorical(3)):
        with pytest.raises(
            TypeError, match="`prior` must be `kg.priors.Normal` or `kg.priors.Uniform`.* Received"
        ):
            annealed_log_likelihood(generator(), np.zeros((1, 2, 2, 3)), 0.3, prior)


def test_invalid_decoder_raises():
    with pytest.raises(
        TypeError, match="`decoder` must be callable. Received: 3.* a `keras.Model` or a function"
    ):
        annealed_log_likelihood(3, X, 0.3, NORMAL)


def test_conditional_decoder_raises():
    inputs = [keras.Input((2,)), keras.Input((3,))]
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(inputs)), name="two")
    with pytest.raises(ValueError, match="'two' has 2 inputs. Fix its condition in a function"):
        annealed_log_likelihood(model, X, 0.3)


def test_invalid_arguments_of_simulation():
    with pytest.raises(ValueError, match="`n` must be an integer >= 1 and <= 10000000. Received: 0"):
        simulate_decoder(bent, 0, 0.3, NORMAL)
    with pytest.raises(ValueError, match="`std` must be a finite number > 0"):
        simulate_decoder(bent, 5, -0.3, NORMAL)
    with pytest.raises(
        ValueError, match=r"Expected shape \(16, ...\) for 16 latents. Received: NoneType"
    ):
        simulate_decoder(lambda z: None, 5, 0.3, NORMAL)
    with pytest.raises(ValueError, match=r"Expected shape \(16, 2\) for 16 latents. Received: \(1, 2\)"):
        simulate_decoder(lambda z: ops.mean(bent(z), axis=0, keepdims=True), 5, 0.3, NORMAL)
    with pytest.raises(
        ValueError, match="`output of the decoder` must hold finite numbers.* 10 of 10 are not"
    ):
        simulate_decoder(lambda z: bent(z) / 0.0, 5, 0.3, NORMAL)

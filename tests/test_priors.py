"""Priors: range, moments, and the same noise with and without XLA."""

import keras
import numpy as np
import pytest
from helpers.games import mlp, sgd, with_xla
from keras import ops
from scipy import stats

import keras_gan as kg
from keras_gan import priors


def draw(prior, n, seed=0):
    return ops.convert_to_numpy(prior.sample(n, seed))


def test_default_uniform_range_matches_the_paper():
    z = draw(kg.priors.Uniform(shape=100), 2000)
    assert z.dtype == np.float32
    assert abs(z).max() < np.sqrt(3)
    assert z.mean() == pytest.approx(0.0, abs=0.01)
    assert z.var() == pytest.approx(1.0, abs=0.01)
    test = stats.kstest(z.ravel()[:20000], stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)).cdf)
    assert test.pvalue > 0.01


def test_uniform_stays_in_its_range():
    z = draw(kg.priors.Uniform(0.0, 1.0, shape=10), 5000)
    assert 0 < z.min() < 1e-3
    assert 1 - 1e-3 < z.max() < 1
    assert stats.kstest(z.ravel(), stats.uniform().cdf).pvalue > 0.01


def test_normal_is_normal_and_never_infinite():
    z = draw(kg.priors.Normal(2.0, 0.5, shape=10), 5000).ravel()
    assert np.isfinite(z).all()
    assert stats.kstest(z, stats.norm(2.0, 0.5).cdf).pvalue > 0.01


def test_extreme_bits_give_finite_normals(monkeypatch):
    for bits in (0.0, 2.0**23 - 1):
        monkeypatch.setattr(
            priors.backend, "random_bits", lambda shape, seed, b=bits: b * ops.ones(shape)
        )
        z = draw(kg.priors.Normal(shape=1), 1)
        assert 5 < abs(z[0, 0]) < 6
        assert abs(draw(kg.priors.Uniform(-1, 1, shape=1), 1)[0, 0]) < 1


def test_spherical_lies_on_the_sphere_in_all_directions():
    z = draw(kg.priors.Spherical(shape=3), 5000)
    assert np.linalg.norm(z, axis=1) == pytest.approx(np.ones(5000), abs=1e-6)
    # Archimedes: every coordinate of a uniform point on the sphere in 3-D is uniform on [−1, 1].
    for axis in range(3):
        assert stats.kstest(z[:, axis], stats.uniform(-1, 2).cdf).pvalue > 0.01


def test_categorical_has_its_probabilities():
    z = draw(kg.priors.Categorical(3, [0.2, 0.5, 0.3]), 20000)
    assert set(np.unique(z)) == {0.0, 1.0}
    assert (z.sum(axis=1) == 1).all()
    assert stats.chisquare(z.sum(axis=0), [4000, 10000, 6000]).pvalue > 0.01


def test_categorical_can_give_a_class_no_probability():
    z = draw(kg.priors.Categorical(3, [0.5, 0.5, 0.0]), 2000)
    assert z[:, 2].sum() == 0


def test_joint_parts_are_independent_and_fill_the_generator_input():
    prior = kg.priors.Joint(["uniform", kg.priors.Uniform(-1, 1, shape=2), kg.priors.Categorical(4)])
    z = draw(prior.with_shape(10), 5000)
    assert z.shape == (5000, 10)
    assert abs(z[:, 4:6]).max() < 1
    assert (z[:, 6:].sum(axis=1) == 1).all()
    correlation = np.corrcoef(z[:, :6].T) - np.eye(6)
    assert abs(correlation).max() < 0.06
    # Equal parts draw from different seeds.
    twice = draw(kg.priors.Joint([kg.priors.Normal(shape=4), kg.priors.Normal(shape=4)]), 1000)
    assert abs(np.corrcoef(twice.T)[:4, 4:]).max() < 0.12


def test_nested_joint_parts_are_independent():
    parts = [kg.priors.Joint([kg.priors.Normal(shape=2), kg.priors.Normal(shape=2)]) for _ in range(2)]
    z = draw(kg.priors.Joint([*parts, kg.priors.Normal(shape=2)]), 1000)
    assert z.shape == (1000, 10)
    assert abs(np.corrcoef(z.T) - np.eye(10)).max() < 0.15


PRIORS = [
    kg.priors.Uniform(shape=16),
    kg.priors.Uniform(0, 1, shape=16),
    kg.priors.Normal(shape=(4, 4)),
    kg.priors.Spherical(shape=16),
    kg.priors.Categorical(7),
    kg.priors.Joint([kg.priors.Normal(shape=8), kg.priors.Categorical(8)]),
]


@pytest.mark.tensorflow
@pytest.mark.jax
@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_noise_is_the_same_with_and_without_xla(prior):
    seeds = keras.random.SeedGenerator(7)
    keys = [seeds.next() for _ in range(2)]
    compiled = with_xla(lambda key: prior.sample(64, key))
    plain = [ops.convert_to_numpy(prior.sample(64, key)) for key in keys]
    fast = [ops.convert_to_numpy(compiled(key)) for key in keys]
    exact = isinstance(prior, kg.priors.Categorical) or (
        isinstance(prior, kg.priors.Uniform) and prior.low == -prior.high
    )
    for a, b in zip(plain, fast, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=0 if exact else 1e-5)
    assert abs(plain[0] - plain[1]).max() > 0


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_same_seed_same_latents_and_small_draws_begin_large_ones(prior):
    many, again, few = draw(prior, 50, 3), draw(prior, 50, 3), draw(prior, 5, 3)
    np.testing.assert_array_equal(many, again)
    np.testing.assert_allclose(many[:5], few, atol=1e-6)
    assert abs(many - draw(prior, 50, 4)).max() > 0


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_configuration_round_trip(prior):
    again = kg.priors.get(keras.saving.serialize_keras_object(prior))
    np.testing.assert_array_equal(draw(again, 8), draw(prior, 8))


@pytest.mark.tensorflow
def test_distribution_of_tensorflow_probability():
    import tensorflow_probability as tfp

    tfd = tfp.distributions
    mixture = tfd.MixtureSameFamily(
        tfd.Categorical(probs=[0.5, 0.5]),
        tfd.MultivariateNormalDiag(loc=[[-3.0, 0.0], [3.0, 0.0]], scale_diag=[[0.1, 0.1]] * 2),
    )
    z = draw(kg.priors.get(mixture).with_shape(2), 2000)
    assert z.shape == (2000, 2)
    assert (abs(abs(z[:, 0]) - 3) < 0.6).all()
    assert 0.45 < (z[:, 0] > 0).mean() < 0.55
    scalar = kg.priors.get(tfd.Gamma(2.0, 1.0)).with_shape((3, 4))
    assert draw(scalar, 5).shape == (5, 3, 4)
    assert stats.kstest(draw(scalar, 500).ravel(), stats.gamma(2.0).cdf).pvalue > 0.01
    with pytest.raises(ValueError, match="cannot be serialized"):
        keras.saving.serialize_keras_object(kg.priors.get(mixture))


class Exponential:
    """As much of a distribution as a prior asks for, drawn by JAX."""

    batch_shape, event_shape = (), ()

    def sample(self, shape, seed):
        import jax

        return jax.random.exponential(seed, shape)


@pytest.mark.jax
def test_distribution_that_samples_with_jax(rng):
    prior = kg.priors.get(Exponential()).with_shape((3, 4))
    z = draw(prior, 500)
    assert z.shape == (500, 3, 4)
    assert stats.kstest(z.ravel(), stats.expon.cdf).pvalue > 0.01
    assert abs(z - draw(prior, 500, seed=1)).max() > 0
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), prior=Exponential(), seed=0)
    gan.compile(**sgd(0.1))
    gan.fit(rng.normal(size=(8, 2)).astype("float32"), verbose=0)
    assert np.isfinite(gan.generate(3, seed=0)).all()


@pytest.mark.jax
def test_tensorflow_distribution_raises_on_jax():
    from tensorflow_probability import distributions

    with pytest.raises(ValueError, match=r"tensorflow_probability.substrates.jax.*Received: <tfp"):
        kg.priors.get(distributions.Gamma(2.0, 1.0))


@pytest.mark.torch
def test_distribution_raises_on_torch():
    with pytest.raises(ValueError, match="no distributions for the backend 'torch'. Use a subclass"):
        kg.priors.get(Exponential())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kg.priors.Joint(["normal", "normal"]), "at most one of them without a shape"),
        (lambda: kg.priors.Joint([]), "at most one of them without a shape"),
        (lambda: kg.priors.Uniform().sample(3, 0), "has no shape. Pass `shape=`"),
        (lambda: kg.priors.Uniform(shape=3).with_shape(4), r"shape \(3,\), but the generator takes"),
        (
            lambda: kg.priors.Joint(["normal", kg.priors.Categorical(10)]).with_shape(10),
            "joint priors have 10 entries, and one of them fills the rest",
        ),
        (lambda: kg.priors.get("gaussian"), "Unknown prior 'gaussian'"),
        (lambda: kg.priors.get("sperical"), "Did you mean 'spherical'"),
    ],
)
def test_invalid_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_invalid_prior():
    with pytest.raises(TypeError, match="The prior must be a name"):
        kg.priors.get(100)


def test_a_prior_must_define_draw():
    with pytest.raises(NotImplementedError, match="must define `draw`"):
        kg.priors.Prior(shape=1).sample(1, 0)


def test_all_bits_of_a_seed_count():
    prior = kg.priors.Uniform(shape=4)
    seeds = (0, 1, 2**32, 5 * 2**32, 2**62)
    draws = [ops.convert_to_numpy(prior.sample(2, seed)) for seed in seeds]
    assert len({draw.tobytes() for draw in draws}) == 5

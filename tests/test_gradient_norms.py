"""`compile(gradient_norms=True)`: the norms are those of the gradients, whatever scales them."""

import keras
import numpy as np
import pytest
from helpers.games import mlp, one_weight_each, sgd, sigmoid
from keras import ops

import keras_gan as kg

NAMES = ("d_gradient_norm", "g_gradient_norm")
ZEROS = np.zeros((32, 1), "float32")


def norms(gan, data=ZEROS, **arguments):
    history = gan.fit(data, batch_size=8, epochs=1, verbose=0, **arguments).history
    return [history[name][0] for name in NAMES]


@pytest.mark.parametrize("update", kg.updates.UPDATES)
def test_norms_of_single_weights(update):
    """D(x) = ψx on data at 0 and a fake at θ: ∂/∂ψ = θσ(ψθ), ∂/∂θ = −ψσ(−ψθ)."""
    gan = one_weight_each(2.0, 0.5, **sgd(0.0), update=update, gradient_norms=True)
    expected = [2.0 * sigmoid(1.0), 0.5 * sigmoid(-1.0)]
    if update == "consensus":  # which descends another gradient
        gan = one_weight_each(
            2.0, 0.5, **sgd(0.0), update=kg.updates.Consensus(1e-9), gradient_norms=True
        )
    np.testing.assert_allclose(norms(gan), expected, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 2])
def test_norms_are_averaged_over_steps(k):
    gan = one_weight_each(2.0, 0.5, **sgd(0.1), discriminator_steps=k, gradient_norms=True)
    theta, psi, d, g = 2.0, 0.5, [], []
    for _ in range(4):
        for _ in range(k):
            d.append(theta * sigmoid(psi * theta))
            psi -= 0.1 * d[-1]
        g.append(psi * sigmoid(-psi * theta))
        theta += 0.1 * g[-1]
    np.testing.assert_allclose(norms(gan), [np.abs(d).mean(), np.abs(g).mean()], rtol=1e-5)


class Huge(kg.terms.Term):
    def call(self, play):
        return 1e21 * ops.mean(play.critic(play.fake))


class Rooted(kg.terms.Term):
    """Of a derivative that is infinite where the critic gives 0, as on data at 0."""

    def call(self, play):
        return ops.mean(ops.sqrt(ops.square(play.critic(play.real))))


def test_norm_of_gradients_whose_squares_overflow():
    gan = one_weight_each(2.0, 0.5, **sgd(0.0), terms=[Huge()], gradient_norms=True)
    np.testing.assert_allclose(norms(gan)[0], 2e21, rtol=1e-5)


def test_norm_of_a_nan_gradient():
    gan = one_weight_each(2.0, 0.5, **sgd(0.0), terms=[Rooted()], gradient_norms=True)
    assert np.isnan(norms(gan)[0])


def small(**compile_arguments):
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), prior="normal", seed=0)
    gan.compile(**sgd(1.0), gradient_norms=True, **compile_arguments)
    return gan


def test_norm_is_global(rng):
    """With a learning rate of 1 a step is the gradient."""
    gan = small()
    before = [np.copy(w) for w in gan.get_weights()]
    found = norms(gan, rng.normal(size=(8, 2)).astype("float32"))
    steps = [np.sum((a - b) ** 2) for a, b in zip(gan.get_weights(), before, strict=True)]
    g, d = sum(steps[: len(gan.generator.weights)]), sum(steps[len(gan.generator.weights) :])
    np.testing.assert_allclose(found, np.sqrt([d, g]), rtol=1e-4)


def test_norm_of_sparse_embedding_gradients():
    """Whose gradients TensorFlow keeps as rows and their numbers."""

    def network(inputs, outputs):
        data, label = keras.Input((inputs,)), keras.Input((), dtype="int32")
        told = keras.layers.Multiply()([data, keras.layers.Embedding(5, inputs)(label)])
        return keras.Model([data, label], keras.layers.Dense(outputs)(told))

    gan = kg.GAN(network(4, 2), network(2, 1), seed=0)
    gan.compile(**sgd(1.0), gradient_norms=True)
    before = [np.copy(w) for w in gan.get_weights()]
    history = gan.fit(np.ones((4, 2), "float32"), np.array([0, 1, 1, 3]), batch_size=4, verbose=0)
    steps = [np.sum((a - b) ** 2) for a, b in zip(gan.get_weights(), before, strict=True)]
    found = [history.history[name][0] ** 2 for name in NAMES]
    np.testing.assert_allclose(sum(found), sum(steps), rtol=1e-4)


def test_norm_is_measured_before_clipping():
    optimizers = {f"{p}_optimizer": keras.optimizers.SGD(0.0, clipnorm=1e-3) for p in "dg"}
    gan = one_weight_each(2.0, 0.5, **optimizers, gradient_norms=True)
    np.testing.assert_allclose(norms(gan), [2 * sigmoid(1.0), 0.5 * sigmoid(-1.0)], rtol=1e-5)


def test_norm_excludes_the_loss_scale():
    keras.config.set_dtype_policy("mixed_float16")
    gan = one_weight_each(2.0, 0.5, **sgd(0.0), gradient_norms=True)
    np.testing.assert_allclose(norms(gan), [2 * sigmoid(1.0), 0.5 * sigmoid(-1.0)], rtol=1e-2)


def test_overflowing_step_counts_as_zero():
    keras.config.set_dtype_policy("mixed_float16")
    gan = one_weight_each(2.0, 0.5, **sgd(0.0), gradient_norms=True)
    for optimizer in (gan.d_optimizer, gan.g_optimizer):
        optimizer.dynamic_scale.assign(2.0**60)
    assert norms(gan, ZEROS[:8]) == [0.0, 0.0]


def test_norms_are_not_logged_in_validation():
    measured = one_weight_each(2.0, 0.5, **sgd(0.1), gradient_norms=True)
    plain = one_weight_each(2.0, 0.5, **sgd(0.1))
    logs = measured.fit(ZEROS, epochs=1, verbose=0, validation_data=(ZEROS,)).history
    others = plain.fit(ZEROS, epochs=1, verbose=0, validation_data=(ZEROS,)).history
    assert set(logs) - set(others) == set(NAMES)
    for mine, theirs in zip(measured.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_setting_is_saved(tmp_path, rng):
    small().save(tmp_path / "gan.keras")
    gan = keras.models.load_model(tmp_path / "gan.keras")
    assert min(norms(gan, rng.normal(size=(8, 2)).astype("float32"))) > 0

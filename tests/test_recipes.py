"""Optimizers, schedules and recipes: against NumPy in float64 and the numbers of the 2014 code."""

import keras
import numpy as np
import pytest
from helpers.games import mlp, number, sigmoid, weight_gradients

import keras_gan as kg
import keras_gan.recipes as recipes
from keras_gan import backend
from keras_gan.optimizers import EpochRamp, GeometricDecay, MomentumSGD


def momentum_2014(step, steps_per_epoch):
    """Linear from .5 in epoch 1 to .7 in epoch 250, epochs counted from 1."""
    epoch = step // steps_per_epoch + 1
    return np.interp(epoch, [1, 250], [0.5, 0.7])


def descend(gradients, learning_rate, momentum, weight=1.0):
    """Classical momentum in float64; learning rate and momentum are functions of the step."""
    velocity, path = 0.0, []
    for step, gradient in enumerate(gradients):
        velocity = momentum(step) * velocity - learning_rate(step) * gradient(weight)
        weight += velocity
        path.append(weight)
    return path


def test_learning_rate_of_goodfellow_2014():
    rate = GeometricDecay(0.1, 1.000004, minimum=1e-6)
    steps = np.array([0, 1, 1000, 125_000, 250_000, 2_000_000])
    expected = [0.1 / 1.000004 ** float(step) for step in steps]
    np.testing.assert_allclose([float(rate(step)) for step in steps], expected, rtol=2e-6)
    np.testing.assert_allclose(float(rate(125_000)), 0.1 * np.exp(-0.5), rtol=2e-6)
    # 250 epochs of 500 steps multiply it by .61.
    assert round(float(rate(250 * 500)) / 0.1, 2) == 0.61


def test_the_learning_rate_stops_at_its_minimum():
    rate = GeometricDecay(0.1, 1.000004, minimum=1e-6)
    reached = int(np.ceil(np.log(1e5) / np.log(1.000004)))
    assert float(rate(reached - 1000)) > 1e-6
    assert float(rate(reached + 1000)) == np.float32(1e-6)
    assert float(GeometricDecay(0.1, 2.0)(4)) == np.float32(0.00625)


def test_momentum_of_goodfellow_2014():
    momentum = EpochRamp(0.5, 0.7, first_epoch=1, last_epoch=250, steps_per_epoch=500)
    values = {step: float(momentum(step)) for step in (0, 499, 500, 999, 249 * 500, 10**6)}
    np.testing.assert_allclose(
        [values[0], values[499], values[500], values[249 * 500], values[10**6]],
        [0.5, 0.5, 0.5 + 0.2 / 249, 0.7, 0.7],
        rtol=1e-6,
    )
    assert values[500] == values[999]
    for step in (124 * 500 + 7, 248 * 500):
        np.testing.assert_allclose(float(momentum(step)), momentum_2014(step, 500), rtol=1e-6)


XLA = pytest.param({"jit_compile": True}, marks=[pytest.mark.tensorflow, pytest.mark.jax])


@pytest.mark.parametrize("way", [{"run_eagerly": True}, {"jit_compile": False}, XLA], ids=str)
def test_momentum_sgd_follows_both_schedules(way):
    """The loss is cos(w), and the schedules change within a few steps."""
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), dense])
    optimizer = MomentumSGD(
        GeometricDecay(0.3, 1.05, minimum=0.2),
        momentum=EpochRamp(0.1, 0.9, first_epoch=1, last_epoch=4, steps_per_epoch=3),
    )
    model.compile(optimizer, loss=lambda _, prediction: keras.ops.cos(prediction), **way)
    path = []
    for _ in range(15):
        model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
        path.append(number(dense.kernel))
    expected = descend(
        [lambda w: -np.sin(w)] * 15,
        lambda step: max(0.3 / 1.05**step, 0.2),
        lambda step: np.interp(step // 3 + 1, [1, 4], [0.1, 0.9]),
    )
    np.testing.assert_allclose(path, expected, rtol=2e-6)


def test_momentum_sgd_with_a_number_is_keras_sgd():
    weights = [keras.Variable(np.arange(3.0)), keras.Variable(np.arange(3.0))]
    optimizers = [MomentumSGD(0.1, momentum=0.6), keras.optimizers.SGD(0.1, momentum=0.6)]
    for _ in range(5):
        for optimizer, weight in zip(optimizers, weights, strict=True):
            optimizer.apply([keras.ops.cos(weight)], [weight])
    arrays = [keras.ops.convert_to_numpy(weight) for weight in weights]
    np.testing.assert_allclose(*arrays, rtol=1e-7)  # torch takes Keras' own steps in another order


def model_2014():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_initializer="ones")])
    rate, momentum = (
        GeometricDecay(0.1, 1.1),
        EpochRamp(0.1, 0.9, first_epoch=1, last_epoch=5, steps_per_epoch=2),
    )
    model.compile(MomentumSGD(rate, momentum=momentum), "mse")
    return model


def test_training_continues_after_saving(tmp_path):
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(8, 4)), rng.normal(size=(8, 1))) for _ in range(8)]
    straight, first_half = model_2014(), model_2014()
    for x, y in batches:
        straight.train_on_batch(x, y)
    for x, y in batches[:4]:
        first_half.train_on_batch(x, y)
    first_half.save(tmp_path / "half.keras")
    second_half = keras.saving.load_model(tmp_path / "half.keras")
    for x, y in batches[4:]:
        second_half.train_on_batch(x, y)
    np.testing.assert_array_equal(second_half.get_weights()[0], straight.get_weights()[0])


@pytest.mark.parametrize(
    "momentum", [0.25, EpochRamp(0.5, 0.7, first_epoch=1, last_epoch=250, steps_per_epoch=500)]
)
def test_momentum_sgd_config_round_trip(momentum):
    optimizer = MomentumSGD(
        GeometricDecay(0.1, 1.5, minimum=1e-3), momentum, name="descent", clipnorm=2.0
    )
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(copy, MomentumSGD)
    assert copy.get_config() == optimizer.get_config()
    assert type(copy.momentum) is type(momentum)
    assert (copy.name, copy.clipnorm) == ("descent", 2.0)


def test_momentum_sgd_under_loss_scaling():
    """A step whose gradient is not finite is skipped, and the schedules do not move."""
    inner = MomentumSGD(
        1.0, momentum=EpochRamp(0.0, 0.8, first_epoch=1, last_epoch=2, steps_per_epoch=1)
    )
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
    weight = keras.Variable(0.0)
    for gradient in (1.0, np.inf, 1.0, 1.0):
        backend.apply(optimizer, [keras.ops.convert_to_tensor(4.0 * gradient, "float32")], [weight])
    # The scale halves after the skipped step, so the last two gradients count twice.
    scaled = [lambda weight: 1.0, lambda weight: 2.0, lambda weight: 2.0]
    expected = descend(scaled, lambda step: 1.0, lambda step: 0.8 * (step > 0), weight=0.0)
    np.testing.assert_allclose(number(weight), expected[-1], rtol=1e-6)


def test_recipe_takes_the_steps_of_the_2014_code():
    """One weight a player, with the 2014 code's own losses, rates and momentum in float64.

    The discriminator's logit is `w · x` and its loss there ½ (softplus(−w r) + softplus(w f)).
    """
    real, fake, steps = 1.5, -0.7, 40
    recipe = recipes.goodfellow2014(steps_per_epoch=4)
    discriminator, generator = keras.Variable(1.0), keras.Variable(1.0)
    softplus, path = keras.ops.softplus, []

    def d_loss():
        return softplus(-discriminator * real) + softplus(discriminator * fake)

    def g_loss():
        return softplus(-generator * 0.9)

    for _ in range(steps):
        for player, weight, loss in (("d", discriminator, d_loss), ("g", generator, g_loss)):
            recipe[f"{player}_optimizer"].apply(weight_gradients(loss, [weight]), [weight])
        path.append((number(discriminator), number(generator)))

    def d_gradient(w):
        return 0.5 * (-real * sigmoid(-w * real) + fake * sigmoid(w * fake))

    def g_gradient(w):
        return -0.9 * sigmoid(-0.9 * w)

    expected = [
        descend(
            [gradient] * steps,
            lambda step: max(0.1 / 1.000004**step, 1e-6),
            lambda step: momentum_2014(step, 4),
        )
        for gradient in (d_gradient, g_gradient)
    ]
    np.testing.assert_allclose(path, np.transpose(expected), rtol=2e-6)


def test_recipe_is_accepted_by_compile():
    recipe = recipes.goodfellow2014(steps_per_epoch=500, learning_rate=0.004)
    optimizers = recipe.pop("d_optimizer"), recipe.pop("g_optimizer")
    assert recipe == {
        "loss": "non_saturating",
        "update": "simultaneous",
        "single_pass": True,
        "discriminator_steps": 1,
    }
    np.testing.assert_allclose([float(o.learning_rate) for o in optimizers], [0.002, 0.004])
    far = [float(o._learning_rate(10**7)) for o in optimizers]
    np.testing.assert_allclose(far, [5e-7, 1e-6], rtol=1e-6)
    assert recipes.goodfellow2014(500)["g_optimizer"] is not optimizers[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: EpochRamp(0.5, 0.7, first_epoch=250, last_epoch=250, steps_per_epoch=500),
            r"> 250.0. Received: 250 of type int. It must come after `first_epoch`",
        ),
        (lambda: recipes.goodfellow2014(0), "Received: 0 of type int"),
        (lambda: MomentumSGD(momentum=1.0), "Received: 1.0 of type float. A schedule .* may replace"),
    ],
)
def test_invalid_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_each_players_momentum_grows_with_its_own_steps():
    recipe = recipes.goodfellow2014(steps_per_epoch=10, discriminator_steps=3)
    assert recipe["discriminator_steps"] == 3
    ramps = [recipe[name].get_config()["momentum"] for name in ("d_optimizer", "g_optimizer")]
    ramps = [keras.saving.deserialize_keras_object(ramp) for ramp in ramps]
    assert float(ramps[0](248 * 30)) == float(ramps[1](248 * 10)) == pytest.approx(0.7 - 0.2 / 249)


def test_adam_r1_ema_is_adam_with_lazy_r1_and_ema():
    recipe = recipes.adam_r1_ema(learning_rate=1e-3, r1=0.5, ema_decay=0.99)
    for name in ("d_optimizer", "g_optimizer"):
        optimizer = recipe[name]
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert float(optimizer.learning_rate) == pytest.approx(1e-3)
        assert optimizer.beta_1 == 0.5
    assert recipe["d_optimizer"] is not recipe["g_optimizer"]
    (term,) = recipe["terms"]
    assert (type(term).__name__, term.weight, term.interval) == ("R1", 0.5, 4)
    assert (recipe["update"], recipe["loss"]) == ("alternating", "non_saturating")
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    gan.compile(**recipe)
    assert gan.ema.decay == 0.99
    gan.compile(**recipes.adam_r1_ema())
    assert gan.ema.decay == 0.9999


def test_r3gan_is_the_relativistic_loss_with_both_penalties():
    """For a linear critic w, both gradients are w: the loss is E softplus(C(G(z)) − C(x)) + γ‖w‖²."""
    recipe = recipes.r3gan(learning_rate=1e-3, gamma=0.5, ema_decay=0.9)
    for name in ("d_optimizer", "g_optimizer"):
        optimizer = recipe[name]
        assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.99)
        assert float(optimizer.learning_rate) == pytest.approx(1e-3)
    rng = np.random.default_rng(0)
    w, real = rng.normal(size=(3, 1)), rng.normal(size=(16, 3))
    critic = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    critic.set_weights([w.astype("float32")])
    gan = kg.GAN(mlp(2, 3), critic, seed=0)
    gan.compile(**recipe, run_eagerly=True)
    batch, _ = gan.data_spec.read(real.astype("float32"), 1)
    (play,) = gan.plays(batch)
    (loss,), logs = gan.discriminator_objective(play)
    fake = keras.ops.convert_to_numpy(play.fake).astype("float64")
    margins = (fake - real) @ w
    expected = np.mean(np.logaddexp(0.0, margins)) + 0.5 * np.sum(w**2)
    assert keras.ops.convert_to_numpy(loss) == pytest.approx(expected, rel=1e-5)
    assert keras.ops.convert_to_numpy(logs["r1"]) == pytest.approx(0.5 * np.sum(w**2), rel=1e-5)
    assert keras.ops.convert_to_numpy(logs["r2"]) == pytest.approx(0.5 * np.sum(w**2), rel=1e-5)

"""Terms against closed forms."""

import warnings

import keras
import numpy as np
import pytest
from helpers.games import (
    AT_ONCE,
    BACKEND,
    Once,
    gradients,
    long_game,
    mlp,
    number,
    one_weight_each,
    sgd,
    weight_gradients,
)
from keras import layers, ops

import keras_gan as kg


def linear_critic(shape, w):
    """A discriminator D(x) = w·x of samples of any shape."""
    dense = layers.Dense(
        1, use_bias=False, kernel_initializer=keras.initializers.Constant(w.reshape(-1, 1))
    )
    return keras.Sequential([keras.Input(shape), layers.Flatten(), dense])


def gan_with(discriminator, *terms, shape=None):
    shape = shape or discriminator.input_shape[1:]
    generator = keras.Sequential(
        [keras.Input((4,)), layers.Dense(int(np.prod(shape))), layers.Reshape(shape)]
    )
    gan = kg.GAN(generator, discriminator, seed=0)
    gan.compile(**sgd(0.1), terms=terms)
    return gan


def play(gan, real, fake):
    real, fake = (None if x is None else ops.convert_to_tensor(x) for x in (real, fake))
    return kg.models.Play("discriminator", real, fake, critic=gan and gan.discriminate)


def value(gan, term, real, fake):
    return number(term.call(play(gan, real, fake)))


@pytest.mark.parametrize("shape", [(5,), (4, 3), (6, 6, 3)], ids=["vectors", "sequences", "images"])
def test_penalties_of_a_linear_critic(shape, rng):
    """‖∇D‖ = ‖w‖ everywhere: (‖w‖ − t)², its positive part, and ½‖w‖²."""
    w = rng.normal(size=np.prod(shape)).astype("float32")
    norm = np.linalg.norm(w.astype("float64"))
    large, small = norm + 0.5, norm - 0.5
    cases = [
        (kg.terms.GradientPenalty(), (norm - 1) ** 2),
        (kg.terms.GradientPenalty(target=large, name="a"), 0.25),
        (kg.terms.GradientPenalty(target=large, one_sided=True, name="b"), 0.0),
        (kg.terms.GradientPenalty(target=small, one_sided=True, name="c"), 0.25),
        (kg.terms.DRAGAN(), (norm - 1) ** 2),
        (kg.terms.R1(), norm**2 / 2),
        (kg.terms.R2(), norm**2 / 2),
    ]
    gan = gan_with(linear_critic(shape, w), *[term for term, _ in cases])
    real, fake = rng.normal(size=(2, 8, *shape)).astype("float32")
    for term, (_, expected) in zip(gan.terms, cases, strict=True):
        assert value(gan, term, real, fake) == pytest.approx(expected, rel=1e-5, abs=1e-6), term.name


def quadratic_critic(shape):
    """D(x) = ½‖x‖², whose gradient at x is x: penalties show where they were taken."""

    class Half(layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(initializer=keras.initializers.Constant(0.5), shape=())

        def call(self, x):
            return self.factor * ops.sum(ops.square(x), axis=tuple(range(1, len(x.shape))))[:, None]

    return keras.Sequential([keras.Input(shape), Half()])


@pytest.mark.parametrize("shape", [(5,), (4, 3, 2)])
def test_mixing_weight_is_uniform_one_per_sample(shape, monkeypatch, rng):
    term = gan_with(quadratic_critic(shape), kg.terms.GradientPenalty()).terms[0]
    real, fake = np.ones((4000, *shape), "float32"), np.zeros((4000, *shape), "float32")
    points = ops.convert_to_numpy(term.points(play(None, real, fake)))
    points = points.reshape(4000, -1)
    np.testing.assert_array_equal(points, np.repeat(points[:, :1], points.shape[1], axis=1))
    from scipy import stats

    assert stats.kstest(points[:, 0], stats.uniform().cdf).pvalue > 0.01
    other = ops.convert_to_numpy(term.points(play(None, real, fake)))
    assert abs(other.reshape(4000, -1) - points).max() > 0.1


def test_r1_penalizes_real_and_r2_fake_examples(rng):
    terms = [kg.terms.R1(), kg.terms.R2()]
    gan = gan_with(quadratic_critic((3,)), *terms)
    real, fake = rng.normal(size=(2, 6, 3)).astype("float32")
    for term, points in zip(gan.terms, (real, fake), strict=True):
        expected = 0.5 * (points.astype("float64") ** 2).sum(axis=1).mean()
        assert value(gan, term, real, fake) == pytest.approx(expected, rel=1e-5)


def test_dragan_perturbs_real_examples_by_half_a_standard_deviation_at_most(rng):
    term = gan_with(quadratic_critic((10,)), kg.terms.DRAGAN()).terms[0]
    real = rng.normal(scale=3.0, size=(500, 10)).astype("float32")
    moved = ops.convert_to_numpy(term.points(play(None, real, None))) - real
    assert moved.min() >= -1e-6
    assert 0.4 * real.std() < moved.max() <= 0.5 * real.std() + 1e-5
    # α is one number a sample: E[αu] = ¼ gives a mean of σ/8.
    assert moved.mean() == pytest.approx(real.std() / 8, rel=0.05)


def test_flat_critic_has_a_finite_gradient():
    """The root of the squared norm has no derivative at 0 without a guard."""
    critic = linear_critic((3,), np.zeros(3, "float32"))
    term = kg.terms.GradientPenalty()
    gan = gan_with(critic, term)
    points = np.ones((4, 3), "float32"), np.zeros((4, 3), "float32")
    (gradient,) = weight_gradients(
        lambda: gan.terms[0].call(play(gan, *points)), critic.trainable_variables
    )
    assert np.isfinite(ops.convert_to_numpy(gradient)).all()
    assert value(gan, gan.terms[0], *points) == pytest.approx(1.0, abs=1e-5)


def test_penalties_are_float32_where_float16_would_overflow():
    keras.config.set_dtype_policy("mixed_float16")
    critic = linear_critic((32 * 32 * 3,), np.full(32 * 32 * 3, 5.0, "float32"))
    keras.config.set_dtype_policy("float32")
    term = kg.terms.R1()
    gan = gan_with(critic, term)
    x = np.ones((4, 32 * 32 * 3), "float32")
    assert value(gan, gan.terms[0], x, x) == pytest.approx(0.5 * 25 * 32 * 32 * 3, rel=1e-3)  # > 65,504


def test_training_brings_a_penalty_to_its_target(rng):
    gan = gan_with(linear_critic((2,), np.array([3.0, 4.0], "float32")), kg.terms.GradientPenalty())
    gan.compile(
        keras.optimizers.SGD(0.05),
        keras.optimizers.SGD(0.0),
        loss="wasserstein",
        terms=["gradient_penalty"],
    )
    gan.generator.layers[-2].kernel.assign(np.zeros((4, 2)))
    gan.fit(np.zeros((100, 2), "float32"), batch_size=4, epochs=2, verbose=0)
    (w,) = gan.discriminator.get_weights()
    assert np.linalg.norm(w) == pytest.approx(1.0, abs=1e-3)


def resizing_critic(middle):
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(2, 3, padding="same"),
            middle,
            layers.Conv2D(2, 3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


RESIZING = {
    "bilinear": layers.UpSampling2D(interpolation="bilinear", name="smooth"),
    "bicubic": layers.UpSampling2D(interpolation="bicubic", name="smooth"),
    "resizing": layers.Resizing(8, 8, name="smooth"),
}
PENALTIES = [kg.terms.GradientPenalty, kg.terms.DRAGAN, kg.terms.R1, kg.terms.R2]


SLOPES = {
    "relu": lambda z: 1.0 * (z > 0),
    "relu6": lambda z: 1.0 * ((z > 0) & (z < 6)),
    "leaky_relu": lambda z: np.where(z > 0, 1.0, 0.2),
}


@pytest.mark.parametrize("activation", SLOPES)
def test_step_of_a_penalty_on_a_piecewise_linear_critic(activation, rng):
    """D(x) = v·φ(Wx): R1 is ½‖g‖² with g = Wᵀ(φ′∘v), and moves W by (φ′∘v)gᵀ, v by φ′∘Wg."""
    hidden = layers.Dense(6, activation, use_bias=False)
    critic = keras.Sequential([keras.Input((4,)), hidden, layers.Dense(1, use_bias=False)])
    # Further apart than 6, so that some units of relu6 are full.
    w, v = 3.0 * rng.normal(size=(4, 6)), rng.normal(size=(6, 1))
    critic.set_weights([w, v])
    gan = kg.GAN(mlp(3, 4, name="g"), critic, seed=0)
    gan.compile(**sgd(0.1), terms=[kg.terms.R1(weight=1.0)])
    real = rng.normal(size=(8, 4))
    gan.discriminator_objective = lambda play: penalty_alone(gan, play)
    gan.fit(real.astype("float32"), batch_size=8, verbose=0)
    slopes = SLOPES[activation](real @ w) * v[:, 0]
    g = slopes @ w.T
    expected_w = w - 0.1 * (g[:, :, None] * slopes[:, None, :]).mean(0)
    expected_v = v[:, 0] - 0.1 * (SLOPES[activation](real @ w) * (g @ w)).mean(0)
    got_w, got_v = critic.get_weights()
    np.testing.assert_allclose(got_w, expected_w, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got_v[:, 0], expected_v, rtol=1e-5, atol=1e-5)
    assert np.abs(got_w - w).max() > 0.1


def penalty_alone(gan, play):
    (term,) = gan.terms
    penalty = term(play, gan.optimizer.iterations)
    return [penalty], {"d_loss": penalty}


@pytest.mark.parametrize("term", PENALTIES)
def test_a_layer_without_second_derivative_is_reported_and_named(term):
    message = rf"the backend '{BACKEND}' does not provide for: once \(Once\)"
    with pytest.raises(ValueError, match=message):
        gan_with(resizing_critic(Once(name="once")), term())


@pytest.mark.tensorflow
@pytest.mark.parametrize("layer", RESIZING)
@pytest.mark.parametrize("term", PENALTIES)
def test_missing_second_order_gradient_is_reported_and_named(layer, term):
    with pytest.raises(ValueError, match=r"the backend 'tensorflow' does not provide for: smooth \("):
        gan_with(resizing_critic(RESIZING[layer]), term())


@pytest.mark.torch
def test_operation_that_torch_cannot_differentiate_twice_is_named():
    class Distances(layers.Layer):
        def call(self, x):
            import torch

            return torch.cdist(x, 2.0 * x, p=1.5)

    critic = keras.Sequential([keras.Input((3, 2)), Distances(), layers.Flatten(), layers.Dense(1)])
    with pytest.raises(ValueError, match=r"'torch' does not provide for: distances \(Distances\)"):
        gan_with(critic, kg.terms.R1())


def test_missing_second_order_gradient_on_one_of_two_paths():
    """A residual path hides the missing share from a check for None."""
    x = keras.Input((4,))
    h = layers.Dense(3)(x)
    y = layers.Dense(1)(layers.Add()([Once(name="once")(h), h]))
    with pytest.raises(ValueError, match=r"does not provide for: once \(Once\)"):
        gan_with(keras.Model(x, y), kg.terms.R1())


@pytest.mark.parametrize(
    "layer",
    [
        layers.UpSampling2D(),
        layers.Conv2DTranspose(2, 4, strides=2, padding="same"),
        layers.AveragePooling2D(2, strides=1),
        layers.LeakyReLU(0.2),
        layers.Dropout(0.5),
        layers.Activation("tanh"),
        *(RESIZING.values() if BACKEND != "tensorflow" else ()),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_can_be_differentiated_twice_pass(layer):
    gan_with(resizing_critic(layer), kg.terms.R1())


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "layer", [layers.LayerNormalization(name="norm"), layers.GroupNormalization(1, name="norm")]
)
def test_layers_whose_second_derivative_is_wrong_are_named(layer):
    with pytest.warns(
        UserWarning, match="'r1' differentiates norm .* twice, .*values are exact, gradients are not"
    ):
        gan_with(resizing_critic(layer), kg.terms.R1())


@pytest.mark.parametrize(
    "layer",
    [
        layers.LayerNormalization(epsilon=1e-3),
        layers.GroupNormalization(1, epsilon=1e-3),
        layers.BatchNormalization(epsilon=1e-3),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_second_derivative_of_normalization(layer, rng):
    """Wrong on TensorFlow alone. If this fails there, it has been mended, and the warning can go."""
    x, u, w = (ops.convert_to_tensor(rng.normal(size=(5, 6)), "float32") for _ in range(3))
    layer.build(x.shape)
    training = {"training": True} if isinstance(layer, layers.BatchNormalization) else {}

    def gradient(x):
        with keras.StatelessScope():  # a batch normalization moves its statistics
            return gradients(lambda x: ops.sum(layer(x, **training) * u), x)[0]

    (found,) = gradients(lambda x: ops.sum(gradient(x) * w), x)  # the Hessian times w
    ahead, behind = (ops.convert_to_numpy(gradient(x + h * w)) for h in (1e-2, -1e-2))
    expected = (ahead - behind) / 2e-2
    error = np.linalg.norm(ops.convert_to_numpy(found) - expected) / np.linalg.norm(expected)
    assert error > 0.1 if BACKEND == "tensorflow" else error < 0.01


def test_lazy_term_is_applied_every_nth_step_with_n_times_the_weight(rng):
    """Dirac-GAN with D's own gradient off: only the lazy R1 moves ψ, by −h·w·n·ψ in its steps."""

    class Nothing(kg.losses.Loss):
        def discriminator(self, real_logits, fake_logits):
            return 0.0 * ops.sum(real_logits)

        def generator(self, real_logits, fake_logits):
            return 0.0 * ops.sum(fake_logits)

    for update in ("alternating", "simultaneous"):
        gan = one_weight_each(
            loss=Nothing(), update=update, terms=[kg.terms.R1(weight=0.5, interval=3)], **sgd(0.1)
        )
        seen = []
        for _ in range(7):
            gan.fit(np.zeros((1, 1), "float32"), verbose=0)
            seen.append(gan.discriminator.get_weights()[0].item())
        factors = np.array(seen) / np.array([1.0, *seen[:-1]])
        expected = [1 - 0.1 * 0.5 * 3 if step % 3 == 0 else 1.0 for step in range(7)]
        assert factors == pytest.approx(np.array(expected), rel=1e-5)


def test_lazy_term_is_logged_with_its_mean(rng):
    term = kg.terms.R1(weight=1e-9, interval=4)
    critic = linear_critic((3,), np.ones(3, "float32"))
    gan = gan_with(critic)
    gan.compile(keras.optimizers.SGD(1e-12), keras.optimizers.SGD(1e-12), terms=[term])
    x = rng.normal(size=(80, 3)).astype("float32")
    history = gan.fit(x, batch_size=10, validation_data=(x,), verbose=0).history
    assert history["r1"] == pytest.approx([1.5], rel=1e-4)
    assert history["val_r1"] == pytest.approx([1.5], rel=1e-4)


def test_feature_matching_is_the_distance_of_mean_features(rng):
    discriminator = mlp(3, 1, name="d")
    name = discriminator.layers[0].name
    term = kg.terms.FeatureMatching(name, weight=2.0)
    gan = gan_with(discriminator, term)
    real, fake = rng.normal(size=(2, 6, 3)).astype("float32")
    kernel, bias = map(np.float64, discriminator.get_weights()[:2])
    features = [np.maximum(x @ kernel + bias, 0).mean(axis=0) for x in (real, fake)]
    expected = ((features[0] - features[1]) ** 2).mean()
    assert value(gan, gan.terms[0], real, fake) == pytest.approx(expected, rel=1e-5)


def test_feature_matching_updates_the_generator_only(rng):
    """D(x) = x: the feature is the sample, so that G's bias goes to the data's mean."""
    generator = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    discriminator = keras.Sequential(
        [keras.Input((2,)), layers.Identity(name="x"), layers.Dense(1, kernel_initializer="zeros")]
    )
    gan = kg.GAN(generator, discriminator, prior=kg.priors.Normal(), seed=0)
    gan.compile(
        keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.3), terms=[kg.terms.FeatureMatching("x")]
    )
    x = rng.normal([3.0, -2.0], 1.0, size=(2000, 2)).astype("float32")
    history = gan.fit(x, batch_size=200, epochs=3, verbose=0).history
    assert gan.generate(2000, seed=0).mean(axis=0) == pytest.approx(np.array([3.0, -2.0]), abs=0.3)
    assert history["feature_matching"][-1] < history["feature_matching"][0] / 10


def test_feature_matching_errors():
    with pytest.raises(
        ValueError, match="Unknown layer of the discriminator 'hiden'. Did you mean 'hidden'"
    ):
        gan_with(
            keras.Sequential([keras.Input((2,)), layers.Dense(3, name="hidden"), layers.Dense(1)]),
            kg.terms.FeatureMatching("hiden"),
        )

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    with pytest.raises(ValueError, match="functional or sequential discriminator.*Subclassed"):
        gan_with(Subclassed(), kg.terms.FeatureMatching("dense"), shape=(2,))


def historical_averaging_in_float64(coefficient, steps, rate=0.01):
    """V = (f(x) − 1)(y − 1), f(x) = x below 0 and x² above, from (2, 2): Salimans et al., 2016."""
    w, mean, radii = np.array([2.0, 2.0]), np.zeros(2), []
    for t in range(1, steps + 1):
        mean += (w - mean) / t
        x, y = w
        f, slope = (x, 1.0) if x < 0 else (x * x, 2 * x)
        gradient = np.array([slope * (y - 1), -(f - 1)]) + 2 * coefficient * (w - mean)
        w = w - rate * gradient
        radii.append(np.hypot(*(w - 1)))
    return w, radii


class ToyGame(kg.losses.Loss):
    """The game above: x is the discriminator's weight, and so its logit at 1; y the fake itself."""

    def __init__(self, gan_weights):
        self.x, self.y = gan_weights

    def value(self):
        x = self.x.value
        return ops.sum((ops.where(x < 0, x, ops.square(x)) - 1.0) * (self.y.value - 1.0))

    def discriminator(self, real_logits, fake_logits):
        return self.value()

    def generator(self, real_logits, fake_logits):
        return -self.value()


@long_game
@pytest.mark.parametrize("coefficient", [0.0, 0.1, 1.0])
def test_historical_averaging_converges_on_the_toy_game_of_the_paper(coefficient):
    gan = one_weight_each(theta=2.0, psi=2.0, **sgd(0.01))
    players = [gan.discriminator.trainable_variables[0], gan.generator.trainable_variables[0]]
    both = ("discriminator", "generator") if coefficient else ()
    terms = [kg.terms.HistoricalAveraging(player, coefficient) for player in both]
    gan.compile(**sgd(0.01), loss=ToyGame(players), update="simultaneous", terms=terms, **AT_ONCE)
    steps = 2000
    gan.fit(np.zeros((steps, 1), "float32"), batch_size=1, verbose=0, shuffle=False)
    expected, _ = historical_averaging_in_float64(coefficient, steps)
    found = [number(v) for v in players]
    assert found == pytest.approx(list(expected), abs=2e-3)


def test_toy_game_of_the_paper_in_float64_has_the_published_radii():
    """Largest distance from (1, 1) in the last 1,000 of 20,000 steps."""
    radii = {c: max(historical_averaging_in_float64(c, 20_000)[1][-1000:]) for c in (0.0, 0.1, 1.0)}
    assert radii[0.0] == pytest.approx(11.25, rel=1e-3)
    assert radii[0.1] == pytest.approx(1.2e-3, rel=0.06)
    assert radii[1.0] == pytest.approx(0.151, rel=0.04)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kg.terms.get("gradient_penality"), "Did you mean 'gradient_penalty'"),
    ],
)
def test_invalid_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_incomplete_subclasses_raise():
    with pytest.raises(NotImplementedError, match="must define `call`"):
        kg.terms.Term().call(None)
    with pytest.raises(TypeError, match="The term must be a name"):
        kg.terms.get(1)


@pytest.mark.parametrize(
    "term",
    [
        kg.terms.GradientPenalty(2.0, target=0.5, one_sided=True, interval=4, name="gp"),
        kg.terms.DRAGAN(one_sided=True),
        kg.terms.R1(1.0, interval=16),
        kg.terms.R2(),
        kg.terms.FeatureMatching("dense", 0.5),
        kg.terms.HistoricalAveraging("generator", 0.1),
    ],
    ids=lambda term: term.name,
)
def test_configuration_round_trip(term):
    again = kg.terms.get(keras.saving.serialize_keras_object(term))
    assert type(again) is type(term)
    assert again.get_config() == term.get_config()


def test_duplicate_term_names_raise():
    with pytest.raises(ValueError, match=r"distinct names.*'r1', 'r1'"):
        gan_with(mlp(2, 1), kg.terms.R1(), kg.terms.R1())


def test_terms_do_not_change_discriminator_statistics():
    """D's moving mean after one step is that of its own two batches, 5 then 0, with any term."""
    for term in (kg.terms.R1(), kg.terms.GradientPenalty(), kg.terms.FeatureMatching("norm")):
        norm = layers.BatchNormalization(momentum=0.9, name="norm")
        discriminator = keras.Sequential([keras.Input((2,)), norm, layers.Dense(1)])
        generator = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_initializer="zeros")])
        gan = kg.GAN(generator, discriminator, seed=0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*second derivatives")
            gan.compile(**sgd(1e-9), terms=term)
        gan.fit(np.full((8, 2), 5.0, "float32"), batch_size=8, verbose=0)
        mean = ops.convert_to_numpy(norm.moving_mean)
        assert mean == pytest.approx(np.full(2, 0.45), rel=1e-4)


def test_term_is_shared_by_two_gans():
    """Each GAN matches the features of its own discriminator."""
    term = kg.terms.FeatureMatching("hidden")
    gans = []
    for scale in (1.0, 10.0):
        hidden = layers.Dense(2, kernel_initializer=keras.initializers.Constant(scale), name="hidden")
        critic = keras.Sequential([keras.Input((2,)), hidden, layers.Dense(1)])
        gans.append(gan_with(critic, term))
    ones, zeros = np.ones((4, 2), "float32"), np.zeros((4, 2), "float32")
    values = [value(gan, gan.terms[0], ones, zeros) for gan in gans]
    assert values == pytest.approx([4.0, 400.0])

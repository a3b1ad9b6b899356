"""The game of two networks: one step against a hand-written one, and what a step may move."""

import keras
import numpy as np
import pytest
from helpers.games import Adam64, Recorder, float64, mlp, sgd, sigmoid
from keras import layers, ops

import keras_gan as kg


def small_gan(k=1, update="alternating", single_pass=False, prior="normal", **networks):
    generator = networks.get("generator") or mlp(4, 2, name="g")
    discriminator = networks.get("discriminator") or mlp(2, 1, name="d")
    gan = kg.GAN(generator, discriminator, prior=prior, seed=0)
    gan.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        # A large epsilon: where gradients almost vanish, Adam would make steps of their rounding.
        keras.optimizers.Adam(0.01, epsilon=1e-3),
        update=update,
        discriminator_steps=k,
        single_pass=single_pass,
    )
    return gan


def data(rng, rows, width=2):
    return rng.normal(size=(rows, width)).astype("float32")


def latents_of_a_step(gan, rows):
    """Replay the noise of the next step without moving it."""
    state = ops.convert_to_numpy(gan.noise.state)
    drawn = [ops.convert_to_numpy(gan.prior.sample(n, gan.noise)) for n in rows]
    gan.noise.state.assign(state)
    return drawn


class Net64:
    """What `mlp` computes, and its derivatives, in float64."""

    def __init__(self, network):
        self.weights = [np.float64(w) for w in network.get_weights()]

    def __call__(self, x):
        kernel, bias, last_kernel, last_bias = self.weights
        return np.maximum(x @ kernel + bias, 0) @ last_kernel + last_bias

    def gradients(self, x, slope):
        """Return the derivatives of Σ slope · self(x) for the weights, and for x."""
        kernel, bias, last_kernel, _ = self.weights
        hidden = np.maximum(x @ kernel + bias, 0)
        inner = (slope @ last_kernel.T) * (hidden > 0)
        return [x.T @ inner, inner.sum(axis=0), hidden.T @ slope, slope.sum(axis=0)], inner @ kernel.T


class Momentum64:
    """Stochastic gradient descent with momentum in float64."""

    def __init__(self, rate, momentum):
        self.rate, self.momentum, self.velocity = rate, momentum, 0.0

    def step(self, gradient):
        self.velocity = self.momentum * self.velocity + self.rate * gradient
        return self.velocity


def descend(network, optimizers, grads):
    steps = [optimizer.step(grad) for optimizer, grad in zip(optimizers, grads, strict=True)]
    network.weights = [weight - step for weight, step in zip(network.weights, steps, strict=True)]


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("single_pass", [False, True])
@pytest.mark.parametrize("share_fakes", [False, True])
def test_one_step_equals_a_hand_written_one(k, single_pass, share_fakes, rng):
    """The paper's Algorithm 1 in float64, differentiated by hand: twice k steps of D and one of G."""
    gan = small_gan(k, kg.updates.Alternating(share_fakes), single_pass)
    g, d = Net64(gan.generator), Net64(gan.discriminator)
    d_optimizers = [Momentum64(0.05, 0.9) for _ in d.weights]
    g_optimizers = [Adam64(0.01, epsilon=1e-3) for _ in g.weights]
    x = data(rng, 8 * k)
    for _ in range(2):
        drawn = latents_of_a_step(gan, [8 * (k - share_fakes)] * (k > share_fakes) + [8])
        z_d, z_g = np.concatenate(drawn), drawn[-1]
        for i in range(k):
            rows = slice(8 * i, 8 * i + 8)
            real, fake = x[rows], g(z_d[rows])
            of_real, _ = d.gradients(real, -sigmoid(-d(real)) / 8)  # of the mean of −log D(x)
            of_fake, _ = d.gradients(fake, sigmoid(d(fake)) / 8)  # of −log(1 − D(G(z)))
            descend(d, d_optimizers, [a + b for a, b in zip(of_real, of_fake, strict=True)])
        fake = g(z_g)
        _, slope = d.gradients(fake, -sigmoid(-d(fake)) / 8)  # of −log D(G(z))
        descend(g, g_optimizers, g.gradients(z_g, slope)[0])
        gan.fit(x, batch_size=8 * k, shuffle=False, verbose=0)
    for network, by_hand in ((gan.generator, g), (gan.discriminator, d)):
        for mine, expected in zip(network.get_weights(), by_hand.weights, strict=True):
            np.testing.assert_allclose(mine, expected, atol=1e-6)


def test_k_steps_see_k_different_minibatches_and_fakes():
    """The rows that each update of the discriminator saw, recorded."""
    recorder = Recorder()
    discriminator = keras.Sequential([keras.Input((2,)), recorder, layers.Dense(1)])
    gan = small_gan(3, discriminator=discriminator)
    gan.compile(**sgd(0.1), discriminator_steps=3, run_eagerly=True)
    recorder.seen.clear()
    x = np.arange(24, dtype="float32").reshape(12, 2)
    gan.fit(x, batch_size=12, shuffle=False, verbose=0)
    calls = [rows for rows, _ in recorder.seen]
    assert [len(rows) for rows in calls] == [4] * 7  # (real, fake) three times, then G's fakes
    np.testing.assert_array_equal(np.concatenate(calls[0:6:2]), x)
    fakes = np.concatenate([*calls[1:6:2], calls[6]])
    assert len(np.unique(fakes, axis=0)) == 16


@pytest.mark.parametrize(("share_fakes", "passes"), [(False, [20, 4]), (True, [16, 4])])
def test_fakes_of_all_discriminator_steps_come_from_one_pass(share_fakes, passes):
    recorder = Recorder()
    generator = keras.Sequential([keras.Input((4,)), recorder, layers.Dense(2)])
    gan = small_gan(generator=generator)
    update = kg.updates.Alternating(share_fakes)
    gan.compile(**sgd(0.1), update=update, discriminator_steps=5, run_eagerly=True)
    recorder.seen.clear()
    gan.fit(np.zeros((20, 2), "float32"), batch_size=20, verbose=0)
    assert [len(rows) for rows, _ in recorder.seen] == passes
    assert all(training for _, training in recorder.seen)
    assert len(np.unique(np.concatenate([rows for rows, _ in recorder.seen]), axis=0)) == sum(passes)


@pytest.mark.parametrize("single_pass", [False, True])
def test_real_and_fake_share_a_pass_only_with_single_pass(single_pass):
    recorder = Recorder()
    discriminator = keras.Sequential([keras.Input((2,)), recorder, layers.Dense(1)])
    gan = small_gan(discriminator=discriminator)
    gan.compile(**sgd(0.1), single_pass=single_pass, run_eagerly=True)
    recorder.seen.clear()
    gan.fit(np.full((6, 2), 7.0, "float32"), batch_size=6, verbose=0)
    assert [len(rows) for rows, _ in recorder.seen] == ([12, 6] if single_pass else [6, 6, 6])
    np.testing.assert_array_equal(recorder.seen[0][0][:6], np.full((6, 2), 7.0))


def moving_means(network):
    named = [v for v in network.non_trainable_weights if v.name == "moving_mean"]
    return [ops.convert_to_numpy(variable) for variable in named]


@pytest.mark.filterwarnings("ignore:The consensus update differentiates:UserWarning")
@pytest.mark.parametrize("update", kg.updates.UPDATES)
@pytest.mark.parametrize("k", [1, 4])
def test_batch_norm_statistics_update_once_per_step_for_any_k(update, k):
    """From 0, one move of a momentum of .99 towards the mean of G's pass: .01 × that mean."""
    generator = keras.Sequential(
        [keras.Input((3,)), layers.BatchNormalization(momentum=0.99), layers.Dense(2)]
    )
    gan = small_gan(generator=generator, prior=kg.priors.Uniform(1.0, 3.0))
    gan.compile(**sgd(0.0001), update=update, discriminator_steps=k, run_eagerly=True)
    gan.fit(np.zeros((400, 2), "float32"), batch_size=400, verbose=0)
    (mean,) = moving_means(generator)
    assert mean == pytest.approx(0.01 * np.full(3, 2.0), rel=0.1)


def test_generator_step_does_not_update_discriminator_statistics():
    """Once a real and once a fake batch, and not the generator's: from 0 towards 5, then 0."""
    discriminator = keras.Sequential(
        [keras.Input((2,)), layers.BatchNormalization(momentum=0.9), layers.Dense(1)]
    )
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_initializer="zeros")])
    gan = small_gan(generator=generator, discriminator=discriminator)
    gan.compile(**sgd(1e-9))
    gan.fit(np.full((8, 2), 5.0, "float32"), batch_size=8, verbose=0)
    (mean,) = moving_means(discriminator)
    assert mean == pytest.approx(np.full(2, (0.1 * 5.0) * 0.9), rel=1e-4)


def test_dropout_in_the_discriminator_stays_on_in_the_generators_step():
    recorder = Recorder()
    discriminator = keras.Sequential(
        [keras.Input((2,)), layers.Dropout(0.5, seed=1), recorder, layers.Dense(1)]
    )
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(2, bias_initializer="ones")])
    gan = small_gan(generator=generator, discriminator=discriminator)
    gan.compile(**sgd(0.1), run_eagerly=True)
    recorder.seen.clear()
    gan.fit(np.ones((50, 2), "float32"), batch_size=50, verbose=0)
    rows, training = recorder.seen[-1]
    assert training
    assert 0.3 < (rows == 0).mean() < 0.7


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("single_pass", [False, True])
def test_kernel_regularization_is_added_to_the_losses(update, single_pass, rng):
    """Weight decay by kernel_regularizer=L2(c): the losses gain c‖W‖² of their own network."""
    nets = {
        "generator": mlp(4, 2, kernel_regularizer=keras.regularizers.L2(0.3)),
        "discriminator": mlp(2, 1, kernel_regularizer=keras.regularizers.L2(0.2)),
    }
    gan = small_gan(**nets)
    options = {"update": update, "single_pass": single_pass, "run_eagerly": True}
    gan.compile(**sgd(1e-12), **options)
    plain = kg.GAN(mlp(4, 2), mlp(2, 1), prior="normal", seed=0)
    plain.set_weights(gan.get_weights())
    plain.compile(**sgd(1e-12), **options)
    x = data(rng, 16)
    with_decay, without = (g.fit(x, batch_size=16, verbose=0).history for g in (gan, plain))
    for player, c in (("generator", 0.3), ("discriminator", 0.2)):
        kernels = [layer.get_weights()[0] for layer in nets[player].layers]
        decay = c * sum((np.float64(kernel) ** 2).sum() for kernel in kernels)
        name = f"{player[0]}_loss"
        assert with_decay[name][0] - without[name][0] == pytest.approx(decay, rel=1e-4)


def test_activity_regularization_of_real_and_fake_is_averaged():
    discriminator = keras.Sequential(
        [
            keras.Input((2,)),
            layers.ActivityRegularization(l2=1.0),
            layers.Dense(1, kernel_initializer="zeros"),
        ]
    )
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_initializer="zeros")])
    for single_pass in (False, True):
        gan = small_gan(generator=generator, discriminator=discriminator)
        gan.compile(**sgd(1e-12), single_pass=single_pass)
        # Keras divides by the rows: 2·3² a real row, 0 a fake one, so 9 a row of both.
        loss = gan.fit(np.full((8, 2), 3.0, "float32"), batch_size=8, verbose=0).history["d_loss"][0]
        assert loss == pytest.approx(np.log(4) + 9.0, rel=1e-5)


def test_logs_are_epoch_means_weighted_by_rows(rng):
    """Learning rate 0: each epoch's value is that of the whole data set, whatever the batches."""
    gan = small_gan()
    gan.compile(**sgd(0.0))
    x = data(rng, 50)
    history = gan.fit(x, batch_size=32, epochs=2, validation_data=(x,), verbose=0).history
    assert set(history) == {
        f"{prefix}{name}" for prefix in ("", "val_") for name in ("d_loss", "g_loss", "d_real", "d_fake")
    }
    logits = ops.convert_to_numpy(gan.discriminator(x)).astype("float64")
    expected = (1 / (1 + np.exp(-logits))).mean()
    assert history["d_real"] == pytest.approx([expected] * 2, rel=1e-5)
    assert history["val_d_real"] == pytest.approx([expected] * 2, rel=1e-5)


def test_evaluate_returns_logs_in_order(rng):
    gan = small_gan()
    x = data(rng, 32)
    by_name = gan.evaluate(x, verbose=0, return_dict=True)
    assert gan.metrics_names == ["d_loss", "g_loss", "d_real", "d_fake"]
    assert set(by_name) == set(gan.metrics_names)
    # The discriminator's view of the data does not depend on the noise, which differs each time.
    values = gan.evaluate(x, verbose=0)
    assert values[2] == pytest.approx(by_name["d_real"], rel=1e-6)


@pytest.mark.parametrize("terms", [(), ("gradient_penalty",), ("dragan",)], ids=str)
def test_validation_does_not_disturb_training(terms, rng):
    results = []
    for validation in (None, (data(rng, 16),)):
        keras.utils.set_random_seed(1)
        gan = small_gan(generator=mlp(4, 2, batch_norm=True), discriminator=mlp(2, 1, dropout=0.3))
        gan.compile(**sgd(0.1), terms=terms, run_eagerly=True)
        gan.fit(np.ones((32, 2), "float32"), epochs=2, validation_data=validation, verbose=0)
        results.append(gan.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def history_with(**arguments):
    """Return what a GAN logs that is compiled with these arguments."""
    keras.utils.set_random_seed(1)
    gan = small_gan()
    gan.compile(**sgd(0.1), discriminator_steps=2, **arguments)
    for name, value in arguments.items():
        assert getattr(gan, name) == value
    x = data(np.random.default_rng(0), 64)
    return gan.fit(x, batch_size=16, epochs=2, shuffle=False, verbose=0).history


@pytest.fixture(scope="module")
def default_history():
    return history_with()


# On torch Keras has no `steps_per_execution`, and `jit_compile` is a minute of `torch.compile`.
@pytest.mark.parametrize(
    "arguments",
    [
        {"run_eagerly": True},
        pytest.param({"jit_compile": True}, marks=[pytest.mark.tensorflow, pytest.mark.jax]),
        pytest.param({"steps_per_execution": 2}, marks=[pytest.mark.tensorflow, pytest.mark.jax]),
    ],
    ids=str,
)
def test_compile_arguments_of_keras_do_not_change_the_result(arguments, default_history):
    history = history_with(**arguments)
    assert history.keys() == default_history.keys()
    for name, values in history.items():
        assert values == pytest.approx(default_history[name], rel=1e-4)


def test_remainder_of_a_batch_is_dropped():
    recorder = Recorder()
    discriminator = keras.Sequential([keras.Input((2,)), recorder, layers.Dense(1)])
    gan = small_gan(discriminator=discriminator)
    gan.compile(**sgd(0.1), discriminator_steps=3, run_eagerly=True)
    recorder.seen.clear()
    gan.fit(np.arange(22, dtype="float32").reshape(11, 2), batch_size=11, shuffle=False, verbose=0)
    assert {len(rows) for rows, _ in recorder.seen} == {3}


# --- any two networks


class SubclassedGenerator(keras.Model):
    def __init__(self, size):
        super().__init__()
        self.dense = layers.Dense(size)

    def call(self, latents):
        return self.dense(latents)


class SubclassedDiscriminator(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, samples, training=False):
        return self.dense(samples)


def test_subclassed_networks_are_built_from_the_shape_of_the_prior():
    gan = kg.GAN(
        SubclassedGenerator(3), SubclassedDiscriminator(), prior=kg.priors.Normal(shape=5), seed=0
    )
    gan.compile(**sgd(0.1))
    gan.fit(np.zeros((8, 3), "float32"), verbose=0)
    assert gan.generate(4, seed=0).shape == (4, 3)


def test_subclassed_networks_that_were_called_know_their_shapes():
    generator, discriminator = SubclassedGenerator(3), SubclassedDiscriminator()
    discriminator(generator(np.zeros((2, 5), "float32")))
    gan = kg.GAN(generator, discriminator, seed=0)
    assert gan.prior.shape == (5,)


def test_images_and_patch_logits(rng):
    generator = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(48),
            layers.Reshape((4, 4, 3)),
            layers.Conv2DTranspose(3, 4, 2, "same"),
        ]
    )
    discriminator = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(1, 3, 2)])
    assert discriminator.output_shape[1:] == (3, 3, 1)
    for loss in kg.losses.LOSSES:
        gan = kg.GAN(generator, discriminator, seed=0)
        settings = {"discriminator_steps": 2, "run_eagerly": loss != "non_saturating"}
        gan.compile(**sgd(0.01), loss=loss, terms=["r1"], **settings)
        history = gan.fit(
            rng.normal(size=(8, 8, 8, 3)).astype("float32"), batch_size=8, verbose=0
        ).history
        assert np.isfinite([values[0] for values in history.values()]).all()


def test_sequences_of_free_length(rng):
    generator = keras.Sequential([keras.Input((None, 4)), layers.GRU(3, return_sequences=True)])
    discriminator = keras.Sequential([keras.Input((None, 3)), layers.GRU(5), layers.Dense(1)])
    gan = kg.GAN(generator, discriminator, prior=kg.priors.Normal(shape=(7, 4)), seed=0)
    gan.compile(**sgd(0.1))
    gan.fit(rng.normal(size=(8, 7, 3)).astype("float32"), verbose=0)
    assert gan.generate(2, seed=0).shape == (2, 7, 3)


def test_call_predict_and_summary(rng, capsys):
    gan = small_gan(generator=mlp(4, 2, dropout=0.5, name="g"))
    z = data(rng, 6, 4)
    expected = ops.convert_to_numpy(gan.generator(z, training=False))
    np.testing.assert_allclose(ops.convert_to_numpy(gan(z)), expected, rtol=1e-6)
    np.testing.assert_allclose(gan.predict(z, verbose=0), expected, rtol=1e-5)
    gan.summary()
    printed = capsys.readouterr().out
    assert "g (Sequential)" in printed
    assert "Trainable params: 179" in printed  # (4·16+16+16·2+2) + (2·16+16+16+1)


# --- generate


def test_generate_is_seeded_bounded_and_leaves_training_alone():
    gan = small_gan(generator=mlp(4, 2, dropout=0.5, batch_norm=True, name="g"))
    noise = ops.convert_to_numpy(gan.noise.state)
    many = gan.generate(23, seed=5)
    assert many.dtype == np.float32
    np.testing.assert_allclose(gan.generate(23, seed=5, batch_size=4), many, atol=1e-6)
    np.testing.assert_allclose(gan.generate(3, seed=5), many[:3], atol=1e-6)
    assert abs(gan.generate(23, seed=6) - many).max() > 0
    assert abs(gan.generate(23) - gan.generate(23)).max() > 0
    np.testing.assert_array_equal(ops.convert_to_numpy(gan.noise.state), noise)


def test_generate_without_seed_follows_keras_random_seed():
    gan = small_gan()
    draws = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        draws.append(gan.generate(4))
    np.testing.assert_array_equal(*draws)


def test_generate_works_before_compile():
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    assert gan.generate(3, seed=0).shape == (3, 2)


# --- conditional


def conditional_networks(condition_shape, dtype="float32", embed=None):
    """Networks that concatenate a (flattened, possibly embedded) condition to their input."""

    def network(size, outputs):
        x, c = keras.Input((size,)), keras.Input(condition_shape, dtype=dtype)
        features = layers.Flatten()(embed()(c) if embed else c)
        h = layers.Dense(32, "relu")(layers.Concatenate()([x, features]))
        return keras.Model([x, c], layers.Dense(outputs)(h))

    return network(4, 2), network(2, 1)


CONDITIONS = {
    "labels": ((1,), "int32", lambda: layers.Embedding(3, 4), lambda rng: rng.integers(0, 3, (24, 1))),
    "flat labels": ((), "int32", lambda: layers.Embedding(3, 4), lambda rng: rng.integers(0, 3, 24)),
    "vectors": ((5,), "float32", None, lambda rng: rng.normal(size=(24, 5)).astype("float32")),
    "images": ((4, 4, 1), "float32", None, lambda rng: rng.normal(size=(24, 4, 4, 1)).astype("float32")),
}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_conditions_of_different_kinds(kind, rng):
    shape, dtype, embed, make = CONDITIONS[kind]
    gan = kg.GAN(*conditional_networks(shape, dtype, embed), prior="normal", seed=0)
    assert gan.conditional
    for single_pass in (False, True):
        # Each kind of labels is compiled once; eager steps take fewer seconds.
        compiled = (kind, single_pass) in (("labels", False), ("flat labels", True))
        settings = {"discriminator_steps": 2, "single_pass": single_pass, "run_eagerly": not compiled}
        gan.compile(**sgd(0.05), terms=["gradient_penalty"], **settings)
        x, c = data(rng, 24), make(rng)
        gan.fit(x, c, batch_size=8, validation_data=(x, c), verbose=0)
    assert gan.generate(24, seed=0, condition=c).shape == (24, 2)
    one_for_all = gan.generate(3, seed=0, condition=c[0])
    np.testing.assert_allclose(
        one_for_all, gan.generate(3, seed=0, condition=np.stack([c[0]] * 3)), atol=1e-6
    )


def test_minibatches_keep_their_own_conditions():
    """D sees (x, c) with x = c in every real row, and each fake beside the condition it was made for."""
    recorder = Recorder()
    inputs = [keras.Input((2,)), keras.Input((2,))]
    nothing = layers.Dense(2, kernel_initializer="zeros", use_bias=False)(inputs[0])
    generator = keras.Model(inputs, nothing + inputs[1] + 100.0)
    inputs = [keras.Input((2,)), keras.Input((2,))]
    discriminator = keras.Model(inputs, layers.Dense(1)(recorder(layers.Concatenate()(inputs))))
    gan = kg.GAN(generator, discriminator, seed=0)
    gan.compile(**sgd(0.0), discriminator_steps=3, run_eagerly=True)
    recorder.seen.clear()
    rows = np.arange(18, dtype="float32").reshape(9, 2)
    gan.fit(rows, rows, batch_size=9, shuffle=False, verbose=0)
    judged = np.concatenate([seen for seen, _ in recorder.seen])
    real, fake = judged[judged[:, 0] < 100], judged[judged[:, 0] >= 100]
    np.testing.assert_array_equal(real[:, :2], rows)
    np.testing.assert_array_equal(real[:, 2:], rows)
    assert len(fake) == 12
    np.testing.assert_array_equal(fake[:, :2], fake[:, 2:] + 100)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.jax
@pytest.mark.torch
def test_eight_labelled_gaussians_are_drawn_by_label():
    """≥ 99 % of the samples lie nearest to the center of the label that was asked for."""
    rng = np.random.default_rng(0)
    angles = 2 * np.pi * np.arange(8) / 8
    centers = 2.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = rng.integers(0, 8, 8192)
    x = (centers[labels] + 0.05 * rng.normal(size=(8192, 2))).astype("float32")

    def network(size, outputs):
        inputs = [keras.Input((size,)), keras.Input((), dtype="int32")]
        one_hot = layers.CategoryEncoding(8, output_mode="one_hot")(inputs[1][:, None])
        h = layers.Concatenate()([inputs[0], one_hot])
        for _ in range(2):
            h = layers.Dense(64, "relu")(h)
        return keras.Model(inputs, layers.Dense(outputs)(h))

    gan = kg.GAN(network(4, 2), network(2, 1), prior="normal", seed=0)
    optimizers = [keras.optimizers.Adam(2e-3, beta_1=0.5) for _ in range(2)]
    gan.compile(*optimizers, terms=[kg.terms.R1(weight=0.1)])
    gan.fit(x, labels, batch_size=256, epochs=12, verbose=0)
    wanted = np.arange(4000) % 8
    samples = gan.generate(4000, seed=1, condition=wanted)
    distances = np.linalg.norm(samples[:, None] - centers, axis=2)
    assert (distances.argmin(axis=1) == wanted).mean() >= 0.99


def test_labels_of_an_unconditional_gan_are_ignored(rng):
    gan = small_gan()
    history = gan.fit(data(rng, 8), np.arange(8), verbose=0).history
    assert np.isfinite(history["d_loss"][0])


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_distribution_of_tensorflow_probability_as_prior(jit_compile, rng):
    """Drawn inside the compiled step: every latent of a training run lies near one of two points."""
    import tensorflow_probability as tfp

    tfd = tfp.distributions
    mixture = tfd.MixtureSameFamily(
        tfd.Categorical(probs=[0.5, 0.5]),
        tfd.MultivariateNormalDiag(loc=[[-9.0] * 4, [9.0] * 4], scale_diag=[[0.1] * 4] * 2),
    )
    gan = small_gan(prior=mixture)
    gan.compile(**sgd(0.01), jit_compile=jit_compile)
    history = gan.fit(data(rng, 16), batch_size=8, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    latents = ops.convert_to_numpy(gan.prior.sample(100, gan.noise))
    assert abs(abs(latents) - 9).max() < 1
    assert gan.generate(3, seed=0).shape == (3, 2)


@pytest.mark.parametrize("policy", ["float64", "bfloat16", "mixed_bfloat16"])
@pytest.mark.parametrize("update", ["optimistic", "consensus"])
def test_other_precision_policies_train(policy, update, rng):
    keras.config.set_dtype_policy(policy)
    with float64():
        gan = small_gan(update=update)
        terms = [kg.terms.HistoricalAveraging("generator")]
        # Branches of compiled steps must agree in their types; float64 is the hardest to keep.
        gan.compile(**sgd(0.01), update=update, terms=terms, run_eagerly=policy != "float64")
        history = gan.fit(data(rng, 8), verbose=0).history
    assert np.isfinite(list(history.values())).all()


def test_pydataset_epoch_is_set(rng):
    class Rows(keras.utils.PyDataset):
        epoch = 0

        def __len__(self):
            return 2

        def __getitem__(self, index):
            seen.append(self.epoch)
            return (np.zeros((4, 2), "float32"),)

    seen = []
    small_gan().fit(Rows(), epochs=3, shuffle=False, verbose=0)
    assert set(seen) == {0, 1, 2}


def test_samples_of_given_latents():
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    latents = np.random.default_rng(0).normal(size=(7, 4))
    expected = keras.ops.convert_to_numpy(gan.generator(latents.astype("float32")))
    np.testing.assert_allclose(gan.generate(latents=latents, batch_size=3), expected, rtol=1e-6)
    drawn = keras.ops.convert_to_numpy(gan.prior.sample(7, 5))
    np.testing.assert_array_equal(gan.generate(latents=drawn), gan.generate(7, seed=5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either the number of samples `n` or `latents`. Received: n=None and no latents"),
        ({"n": 2, "latents": np.zeros((2, 4))}, "Received: n=2 and some latents"),
        ({"latents": np.zeros((2, 3))}, r"the shape \(None, 4\) of the generator's latents.* \(2, 3\)"),
        ({"latents": np.zeros((2, 4)), "seed": 1}, "leave it out. Received: seed=1"),
        ({"latents": np.full((2, 4), np.nan)}, "must be finite, but 8 of their numbers are not"),
        ({"latents": np.zeros(4)}, r"Received: \(4,\)"),
        ({"latents": np.zeros((0, 4))}, "`latents` must be a tensor of numbers.*none of them empty"),
    ],
)
def test_invalid_latents_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        kg.GAN(mlp(4, 2), mlp(2, 1)).generate(**arguments)


class Counted(kg.losses.NonSaturating):
    """Counts how often Python computes a loss: in each step, or once for each compiled step."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def discriminator(self, real, fake):
        """See base class."""
        self.calls += 1
        return super().discriminator(real, fake)


@pytest.mark.tensorflow
@pytest.mark.jax
@pytest.mark.parametrize("single_pass", [False, True])
def test_step_is_compiled_once_per_batch_size(single_pass, rng):
    loss = Counted()
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    gan.compile(keras.optimizers.Adam(), keras.optimizers.Adam(), loss=loss, single_pass=single_pass)
    x = rng.normal(size=(250, 2)).astype("float32")
    calls = []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: calls.append(loss.calls))
    gan.fit(x, batch_size=100, epochs=4, verbose=0, callbacks=[count])  # 100, 100 and 50 rows
    assert 1 <= calls[0] <= 3
    assert calls[1:] == [calls[0]] * 3

"""Semi-supervised GANs against NumPy in float64, and the data that mix labeled and unlabeled rows."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_gan as kg

K = 3
rng = np.random.default_rng(0)
X = rng.normal(size=(12, 2)).astype("float32")
Y = np.array([0, -1, 2, -1, 1, -1, 0, -1, -1, -1, 2, -1])


def networks(units=8, classes=K, noise=0.0):
    z, x = keras.Input((4,)), keras.Input((2,))
    features = layers.GaussianNoise(noise, seed=1)(layers.Dense(units, "tanh")(x))
    heads = {"logits": layers.Dense(classes, name="head")(features), "features": features}
    generator = keras.Model(z, layers.Dense(2)(layers.Dense(units, "tanh")(z)))
    return generator, keras.Model(x, heads)


def game(seed=0, noise=0.0, variant_arguments=None, **arguments):
    keras.utils.set_random_seed(0)
    options = {"prior": "normal", "seed": seed, **(variant_arguments or {})}
    gan = kg.models.SemiSupervisedGAN(*networks(noise=noise), **options)
    optimizers = {name: keras.optimizers.SGD(0.5) for name in ("d_optimizer", "g_optimizer")}
    gan.compile(**{**optimizers, "run_eagerly": True, **arguments})
    return gan


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(ops.stop_gradient(tensor)), "float64")


def outputs(gan, x):
    return {key: numpy(value) for key, value in gan.classifier(ops.convert_to_tensor(x)).items()}


def lse(logits):
    return np.log(np.sum(np.exp(logits), axis=-1))


def softplus(a):
    return np.log1p(np.exp(a))


def softmax(logits):
    return np.exp(logits) / np.sum(np.exp(logits), axis=-1, keepdims=True)


def cross_entropy(logits, y):
    return -np.log(softmax(logits)[np.arange(len(y)), y])


def validation_fakes(rows):
    """Return the samples of the first validation step of `game`, in another GAN with its noise."""
    again = game()
    return numpy(again.generator(again.draw(rows, again.validation_noise))).astype("float32")


# The losses


def test_the_discriminator_is_z_over_z_plus_1():
    gan = game()
    output = outputs(gan, X)
    z = np.sum(np.exp(output["logits"]), axis=-1)
    decisions = numpy(ops.sigmoid(gan.logits(output)))
    np.testing.assert_allclose(decisions, z / (z + 1), rtol=1e-5)
    # The logit 0 of the class K + 1.
    extended = np.concatenate([output["logits"], np.zeros((12, 1))], axis=1)
    np.testing.assert_allclose(decisions, 1 - softmax(extended)[:, -1], rtol=1e-5)


@pytest.mark.parametrize("label_weight", [2.0, 0.5])
def test_losses_are_those_of_the_published_code(label_weight):
    """L = L_lab + L_unl of Salimans et al. up to a factor, and feature matching."""
    gan = game(variant_arguments={"label_weight": label_weight})
    logs = gan.test_on_batch(X, Y, return_dict=True)
    real, fake = outputs(gan, X), outputs(gan, validation_fakes(12))
    free, known = Y < 0, Y >= 0
    l_real, l_fake = lse(real["logits"][free]), lse(fake["logits"])
    l_unl = -np.mean(l_real) / 2 + np.mean(softplus(l_real)) / 2 + np.mean(softplus(l_fake)) / 2
    l_lab = np.mean(cross_entropy(real["logits"][known], Y[known]))
    np.testing.assert_allclose(logs["d_loss"], 2 * l_unl + label_weight * l_lab, rtol=1e-5)
    difference = real["features"][free].mean(axis=0) - fake["features"].mean(axis=0)
    np.testing.assert_allclose(logs["g_loss"], np.mean(difference**2), rtol=1e-4)


def test_rows_without_unlabeled_ones_count_twice():
    """A batch of labels alone has the GAN's loss of all its rows."""
    gan, y = game(), np.arange(12) % K
    logs = gan.test_on_batch(X, y, return_dict=True)
    real, fake = outputs(gan, X)["logits"], lse(outputs(gan, validation_fakes(12))["logits"])
    expected = np.mean(softplus(-lse(real))) + np.mean(softplus(fake))
    np.testing.assert_allclose(logs["d_loss"], expected + 2 * np.mean(cross_entropy(real, y)), rtol=1e-5)


def test_sample_weights():
    """Each mean has the weights of its rows."""
    gan, weight = game(), np.linspace(0.5, 2.0, 12)
    logs = gan.test_on_batch(X, Y, sample_weight=weight, return_dict=True)
    real, fake = outputs(gan, X), lse(outputs(gan, validation_fakes(12))["logits"])
    free, known = Y < 0, Y >= 0
    expected = np.average(softplus(-lse(real["logits"][free])), weights=weight[free])
    expected += np.mean(softplus(fake))
    losses = cross_entropy(real["logits"][known], Y[known])
    expected += 2 * np.average(losses, weights=weight[known])
    np.testing.assert_allclose(logs["d_loss"], expected, rtol=1e-5)


def test_gradient_of_the_classifier():
    """A step of gradient descent of the last bias, by the derivatives of log-sum-exp."""
    gan = game(update="simultaneous")
    again = game()
    fake = outputs(gan, numpy(again.generator(again.draw(12, again.noise))))["logits"]
    real = outputs(gan, X)["logits"]
    free, known = Y < 0, Y >= 0
    p_real, p_fake = softmax(real), softmax(fake)
    d_real, d_fake = (1 / (1 + np.exp(-lse(part)))[:, None] for part in (real, fake))
    gradient = np.mean(-((1 - d_real) * p_real)[free], axis=0) + np.mean(d_fake * p_fake, axis=0)
    gradient += 2 * np.mean(p_real[known] - np.eye(K)[Y[known]], axis=0)
    bias = gan.classifier.get_layer("head").bias
    before = numpy(bias)
    gan.train_on_batch(X, Y)
    np.testing.assert_allclose(before - numpy(bias), 0.5 * gradient, rtol=1e-4, atol=1e-6)


def test_the_generator_only_matches_features():
    """Its gradient does not depend on the class logits."""
    weights = []
    for scale in (1.0, 3.0):
        gan = game(update="simultaneous")
        kernel = gan.classifier.get_layer("head").kernel
        kernel.assign(scale * kernel)
        before = gan.generator.get_weights()
        gan.train_on_batch(X, Y)
        weights.append(gan.generator.get_weights())
        assert not np.allclose(before[0], weights[-1][0])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


# Accuracy and averaged weights


@pytest.mark.parametrize("ema", [None, 0.9])
def test_accuracy_is_that_of_numpy(ema):
    """Of labeled rows only, in batches of unequal numbers of them; of the EMA if there is one."""
    gan = game(ema_decay=ema)
    y = np.arange(12) % K
    history = gan.fit(X, y, batch_size=6, epochs=5, validation_data=(X, Y), verbose=0).history
    predicted = gan.classify(X, use_ema=ema is not None).argmax(axis=1)
    expected = np.mean(predicted[Y >= 0] == Y[Y >= 0])
    assert 0 < expected < 1
    np.testing.assert_allclose(history["val_accuracy"][-1], expected, rtol=1e-6)
    evaluated = gan.evaluate(X, Y, batch_size=5, verbose=0, return_dict=True)
    np.testing.assert_allclose(evaluated["accuracy"], expected, rtol=1e-6)
    assert np.isnan(gan.test_on_batch(X, np.full(12, -1), return_dict=True)["accuracy"])


def test_accuracy_of_training():
    """It is that of the outputs from which the step is taken."""
    gan = game()
    expected = np.mean(gan.classify(X).argmax(axis=1)[Y >= 0] == Y[Y >= 0])
    logs = gan.train_on_batch(X, Y, return_dict=True)
    np.testing.assert_allclose(logs["accuracy"], expected, rtol=1e-6)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("rule", ["balanced_steps", "increasing_steps"])
def test_accuracy_with_an_adaptive_number_of_steps(rule, steps):
    """It is that of the labeled rows of the minibatches that are used, here the first."""
    gan = game(update=rule, discriminator_steps=steps, run_eagerly=steps == 1)
    x, y = X[: 12 // steps], Y[: 12 // steps]
    expected = np.mean(gan.classify(x).argmax(axis=1)[y >= 0] == y[y >= 0])
    logs = gan.train_on_batch(X, Y, return_dict=True)
    np.testing.assert_allclose(logs["accuracy"], expected, rtol=1e-6)


def test_the_classifier_is_averaged(tmp_path):
    """By the mean of its weights after each step; files keep the EMA."""
    gan = game(ema_decay=0.5)
    kernel = gan.classifier.get_layer("head").kernel
    seen = []
    for _ in range(3):
        gan.train_on_batch(X, Y)
        seen.append(numpy(kernel))
    average = (0.25 * seen[0] + 0.5 * seen[1] + seen[2]) / 1.75
    probabilities = gan.classify(X, use_ema=True)
    gan.save(tmp_path / "gan.keras")
    gan.ema.assign_to_networks()
    np.testing.assert_allclose(numpy(kernel), average, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(probabilities, softmax(outputs(gan, X)["logits"]), rtol=1e-5)
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.classify(X, use_ema=True), probabilities)
    assert loaded.label_weight == 2.0
    assert loaded.classifier is loaded.discriminator


def test_changed_weights_of_the_classifier():
    gan = game(ema_decay=0.5)
    assert not gan.weights_changed
    gan.classifier.get_layer("head").enable_lora(1)
    assert gan.weights_changed


def test_probabilities():
    gan = game()
    np.testing.assert_allclose(
        gan.classify(X, batch_size=5), softmax(outputs(gan, X)["logits"]), rtol=1e-5
    )
    with pytest.raises(ValueError, match=r"`x` must have the shape \('rows', 2\). Received: \(12, 1\)"):
        gan.classify(X[:, :1])
    with pytest.raises(ValueError, match="requires an EMA"):
        gan.classify(X, use_ema=True)


def test_resumed_to_the_bit(tmp_path):
    """An interrupted run on mixed data equals an uninterrupted one."""

    def run(folder, *epochs):
        for number in epochs:
            gan = game(noise=0.1, ema_decay=0.9)
            train = kg.datasets.mix_labeled((X[:4], np.arange(4) % K), X, 5, labeled_rows=2, seed=1)
            resume = kg.callbacks.Resume(tmp_path / folder)
            gan.fit(train, epochs=number, callbacks=[resume], validation_data=(X, Y), verbose=0)
        return gan

    whole, resumed = run("whole", 4), run("resumed", 2, 4)
    for one, other in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))
    np.testing.assert_array_equal(*[gan.classify(X, use_ema=True) for gan in (whole, resumed)])


@pytest.mark.parametrize("steps", [1, 3])
def test_update_rules_and_steps(steps):
    """Labels are part of each minibatch; the rules pass on the accuracy."""
    for update in ("alternating", kg.updates.Alternating(share_fakes=True), "extragradient"):
        gan = game(update=update, discriminator_steps=steps, single_pass=True)
        logs = gan.train_on_batch(X, Y, return_dict=True)
        assert np.isfinite([float(value) for value in logs.values()]).all()


# Errors

NONE = "The data have no labels: all are -1"
RANGE = r"Labels must be classes in \[0, 3\), or -1 for rows without a label"
MISSING = r"The data have no labels. Expected `fit\(x, y\)`"
BAD = {
    "none": (np.full(12, -1), NONE),
    "below": (np.where(np.arange(12) == 5, -2, Y), RANGE),
    "above": (np.where(np.arange(12) == 5, K, Y), RANGE),
    "fraction": (np.where(np.arange(12) == 5, 0.5, Y), RANGE),
    "missing": (None, MISSING),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_bad_labels_of_arrays(kind):
    y, message = BAD[kind]
    gan = game()
    before = gan.get_weights()
    with pytest.raises(ValueError, match=message):
        gan.fit(X, y, verbose=0)
    if kind != "none":
        with pytest.raises(ValueError, match=message):
            gan.evaluate(X, y, verbose=0)
    for value, wanted in zip(gan.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize("kind", list(BAD))
def test_bad_labels_of_datasets(kind):
    import tensorflow as tf

    y, message = BAD[kind]
    data = tf.data.Dataset.from_tensor_slices(X if y is None else (X, y)).batch(6)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
        game(run_eagerly=False).fit(data, verbose=0)


def test_networks_that_do_not_fit():
    generator, classifier = networks()
    x = keras.Input((2,))
    for outputs_ in (layers.Dense(K)(x), {"logits": layers.Dense(K)(x)}):
        with pytest.raises(ValueError, match="must return a dict of `logits`, of shape"):
            kg.models.SemiSupervisedGAN(generator, keras.Model(x, outputs_))
    spatial = {"logits": layers.Reshape((1, K))(layers.Dense(K)(x)), "features": x}
    with pytest.raises(ValueError, match="must return a dict of `logits`, of shape"):
        kg.models.SemiSupervisedGAN(generator, keras.Model(x, spatial))
    with pytest.raises(ValueError, match="takes latents alone"):
        kg.models.SemiSupervisedGAN(generator, classifier, prior=None)
    z, label = keras.Input((4,)), keras.Input((), dtype="int32")
    made = layers.Dense(2)(layers.Concatenate()([z, layers.Embedding(K, 2)(label)]))
    with pytest.raises(ValueError, match="takes latents alone"):
        kg.models.SemiSupervisedGAN(keras.Model([z, label], made), classifier)
    ends = {"logits": layers.Dense(K, "softmax")(x), "features": layers.Dense(4)(x)}
    with pytest.raises(ValueError, match="must return logits"):
        kg.models.SemiSupervisedGAN(generator, keras.Model(x, ends))


# Terms


def test_pull_away_term():
    """The mean of squared cosines over pairs of distinct samples, pair by pair."""
    f = rng.normal(size=(5, 2, 3))
    flat = f.reshape(5, 6)
    cosines = [
        np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
        for i, a in enumerate(flat)
        for j, b in enumerate(flat)
        if i != j
    ]
    output = {"features": ops.convert_to_tensor(f.astype("float32"))}
    play = kg.models.Play("generator", None, None, fake_output=output)
    np.testing.assert_allclose(
        float(kg.terms.PullAway().call(play)), np.mean(np.square(cosines)), rtol=1e-5
    )


def test_conditional_entropy():
    logits = rng.normal(size=(5, K))
    p = softmax(logits)
    output = {"logits": ops.convert_to_tensor(logits.astype("float32"))}
    play = kg.models.Play("discriminator", None, None, real_output=output)
    expected = -np.mean(np.sum(p * np.log(p), axis=1))
    np.testing.assert_allclose(float(kg.terms.ConditionalEntropy().call(play)), expected, rtol=1e-5)


def test_terms_join_their_players():
    gan = game(terms=[kg.terms.PullAway(weight=0.5), kg.terms.ConditionalEntropy(weight=2.0)])
    logs, plain = (g.test_on_batch(X, Y, return_dict=True) for g in (gan, game()))
    difference = {name: logs[name] - plain[name] for name in ("d_loss", "g_loss")}
    np.testing.assert_allclose(difference["g_loss"], 0.5 * logs["pull_away"], rtol=1e-4)
    np.testing.assert_allclose(difference["d_loss"], 2.0 * logs["conditional_entropy"], rtol=1e-4)


def test_terms_without_their_output():
    for term in (kg.terms.PullAway("other"), kg.terms.ConditionalEntropy("other")):
        with pytest.raises(
            ValueError, match="requires a discriminator that returns a dict with the entry"
        ):
            game(terms=[term])


# Data


def mixed(labeled=6, unlabeled=20, **options):
    """Return a dataset whose examples are their own numbers: negative for labeled ones."""
    x = -1.0 - np.arange(labeled, dtype="float32")[:, None]
    others = np.arange(unlabeled, dtype="float32")[:, None]
    return kg.datasets.mix_labeled((x, np.arange(labeled) + 10), others, **options)


def passed(dataset):
    return [(x.numpy()[:, 0], y.numpy()) for x, y in dataset]


def test_mixed_batches():
    dataset = mixed(batch_size=6, labeled_rows=2, seed=3)
    batches = passed(dataset)
    assert len(dataset) == len(batches) == 5
    for x, y in batches:
        assert y.dtype == "int32"
        np.testing.assert_array_equal(y, np.where(x < 0, 9 - x, -1))  # the labels of their examples
        assert [sum(part < 0) for part in (x[:3], x[3:])] == [1, 1]  # spread evenly
    every = np.concatenate([x for x, _ in batches])
    np.testing.assert_array_equal(np.sort(every[every >= 0]), np.arange(20))
    counts = np.unique(every[every < 0], return_counts=True)[1]
    assert len(counts) == 6
    assert set(counts) <= {1, 2}  # 10 rows of 6 labeled examples


def test_order_of_mixed_data_depends_on_seed_and_epoch():
    first, second = mixed(batch_size=6, labeled_rows=2), mixed(batch_size=6, labeled_rows=2)
    epochs = [passed(first) for _ in range(3)]
    second.epoch.assign(2)
    np.testing.assert_equal(passed(second), epochs[2])
    assert not np.array_equal(epochs[0][0][0], epochs[1][0][0])
    other = passed(mixed(batch_size=6, labeled_rows=2, seed=1))
    assert not np.array_equal(epochs[0][0][0], other[0][0])
    # Few labels, more often than once in a batch.
    (_, y), *_ = passed(mixed(labeled=1, batch_size=6, labeled_rows=4))
    assert sorted(y) == [-1, -1, 10, 10, 10, 10]


def test_remainder_of_unlabeled_rows_is_dropped():
    batches = passed(mixed(unlabeled=11, batch_size=6, labeled_rows=2))
    assert len(batches) == 2
    assert len({x for part, _ in batches for x in part if x >= 0}) == 8


def test_balanced_rows():
    y = np.array([0] * 50 + [1] * 30 + [2] * 5 + [-1] * 9)
    rows = kg.datasets.balanced_rows(y, 5, seed=1)
    assert len(set(rows.tolist())) == 15
    np.testing.assert_array_equal(y[rows], np.repeat([0, 1, 2], 5))
    np.testing.assert_array_equal(rows, kg.datasets.balanced_rows(y, 5, seed=1))
    assert not np.array_equal(rows, kg.datasets.balanced_rows(y, 5, seed=2))
    with pytest.raises(ValueError, match="class 2 has 5. Received: 6"):
        kg.datasets.balanced_rows(y, 6, seed=0)
    with pytest.raises(ValueError, match="must be an array of integers of shape"):
        kg.datasets.balanced_rows(np.array([0.5, 1.0]), 1, seed=0)


def test_bad_mixtures():
    with pytest.raises(TypeError, match="must be a pair"):
        kg.datasets.mix_labeled(X, X)
    with pytest.raises(ValueError, match="a label, 0 or more, for each of one or more examples"):
        kg.datasets.mix_labeled((X, Y), X)
    with pytest.raises(ValueError, match="a label, 0 or more, for each of one or more examples"):
        kg.datasets.mix_labeled((X[:2], np.arange(3)), X)
    with pytest.raises(ValueError, match="the same shape and dtype"):
        kg.datasets.mix_labeled((X[:2], np.arange(2)), X[:, :1])
    with pytest.raises(ValueError, match="10 unlabeled rows"):
        kg.datasets.mix_labeled((X[:2], np.arange(2)), X[:9], 12, labeled_rows=2)


# What unlabeled examples are worth


def clusters(rows, seed, classes=4, dimensions=30, distance=6.0):
    """Gaussians of unit variance about centers on a sphere, about `distance` apart."""
    centers = np.random.default_rng(7).normal(size=(classes, dimensions))
    centers -= centers.mean(axis=0)
    centers *= distance / np.sqrt(2) / np.linalg.norm(centers, axis=1, keepdims=True)
    y = np.arange(rows) % classes
    noise = np.random.default_rng(seed).normal(size=(rows, dimensions))
    return ((centers[y] + noise) / 2).astype("float32"), y


def make_classifier():
    keras.utils.set_random_seed(0)
    x = keras.Input((30,))
    hidden = layers.GaussianNoise(0.3)(layers.LeakyReLU(0.2)(layers.Dense(64)(x)))
    features = layers.LeakyReLU(0.2)(layers.Dense(64)(hidden))
    return keras.Model(x, {"logits": layers.Dense(4)(features), "features": features})


def test_one_label_of_each_class():
    """Fewer errors than half those of the same classifier without the unlabeled examples."""
    x, y = clusters(2000, seed=0)
    test_x, test_y = clusters(2000, seed=1)
    few = kg.datasets.balanced_rows(y, 1, seed=0)
    alone = make_classifier()
    control = keras.Model(alone.inputs, alone.output["logits"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    control.compile(keras.optimizers.Adam(1e-3), loss)
    control.fit(np.tile(x[few], (250, 1)), np.tile(y[few], 250), batch_size=4, verbose=0)
    generator = keras.Sequential([keras.Input((16,)), layers.Dense(64, "relu"), layers.Dense(30)])
    gan = kg.models.SemiSupervisedGAN(generator, make_classifier(), prior="normal", seed=0)
    adam = [keras.optimizers.Adam(1e-3, beta_1=0.5) for _ in range(2)]
    gan.compile(*adam, update="simultaneous", ema_decay=0.99)
    train = kg.datasets.mix_labeled((x[few], y[few]), x, 104, labeled_rows=4, seed=0)
    gan.fit(train, epochs=15, verbose=0)
    of_control = np.mean(control.predict(test_x, verbose=0).argmax(axis=1) != test_y)
    error = np.mean(gan.classify(test_x, use_ema=True).argmax(axis=1) != test_y)
    print(f"error {error:.2%}; without unlabeled examples {of_control:.2%}")
    assert error < 0.015
    assert error < 0.5 * of_control

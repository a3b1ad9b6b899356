"""Conditional games: the projection layer, the auxiliary classifier, and labeled Gaussians."""

import keras
import numpy as np
import pytest
from helpers.games import EAGERLY
from keras import layers, ops

import keras_gan as kg

RNG = np.random.default_rng(0)
register = keras.saving.register_keras_serializable(package="tests")


def float64(value):
    return np.asarray(ops.convert_to_numpy(ops.stop_gradient(value)), "float64")


def log_softmax(logits):
    logits = np.asarray(logits, "float64")
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


# The projection


@pytest.mark.parametrize("axis", [(), (1,)])
def test_projection_of_labels(axis):
    layer = kg.layers.Projection(classes=5)
    features, labels = RNG.normal(size=(6, 3)).astype("float32"), RNG.integers(0, 5, 6)
    outputs = layer([features, labels.reshape(6, *axis)])
    kernel, bias, embeddings = (float64(weight) for weight in layer.weights)
    expected = features @ kernel + bias + np.sum(features * embeddings[labels], axis=1)[:, None]
    np.testing.assert_allclose(float64(outputs), expected, rtol=1e-5, atol=1e-5)


def test_projection_of_vectors():
    layer = kg.layers.Projection()
    features, vectors = RNG.normal(size=(2, 6, 3)).astype("float32")
    outputs = layer([features, vectors])
    kernel, bias, embeddings = (float64(weight) for weight in layer.weights)
    match = np.einsum("bf,cf,bc->b", features, embeddings, vectors)[:, None]
    np.testing.assert_allclose(float64(outputs), features @ kernel + bias + match, rtol=1e-5, atol=1e-5)


def test_optimum_of_the_projection_on_a_table():
    """Its parts are log p(y|x)/q(y|x) and log p(x)/q(x): there, the gradient of D's loss vanishes."""
    p, q = RNG.dirichlet(np.ones(12), size=2).reshape(2, 4, 3)
    layer = kg.layers.Projection(classes=3)
    x, y = np.divmod(np.arange(12), 3)
    inputs = [np.eye(4, dtype="float32")[x], y]
    layer(inputs)
    marginal = np.log(p.sum(axis=1) / q.sum(axis=1))
    posterior = np.log((p / p.sum(axis=1, keepdims=True)) / (q / q.sum(axis=1, keepdims=True)))

    def slopes():
        """Return the derivative of the discriminator's expected loss for its logit, by NumPy."""
        d = 1 / (1 + np.exp(-float64(layer(inputs)).ravel()))
        return -p.ravel() * (1 - d) + q.ravel() * d

    layer.set_weights([marginal[:, None], np.zeros(1), posterior.T])
    np.testing.assert_allclose(float64(layer(inputs)).ravel(), np.log(p / q).ravel(), atol=1e-5)
    np.testing.assert_allclose(slopes(), 0, atol=1e-6)
    layer.set_weights([marginal[:, None], np.zeros(1), 0 * posterior.T])  # without the condition
    assert np.abs(slopes()).max() > 0.01


@pytest.mark.parametrize(
    ("classes", "shapes"),
    [(5, [(2, 3), (2, 4)]), (None, [(2, 3), (2,)]), (5, [(2, 3, 4), (2,)]), (5, [(2, 3)])],
)
def test_projection_of_other_shapes(classes, shapes):
    with pytest.raises(ValueError, match=r"takes `\[features, condition\]`.*Received the shapes"):
        kg.layers.Projection(classes=classes)([np.zeros(shape, "float32") for shape in shapes])


# The auxiliary classifier


def discriminator(classes=3, key="classes"):
    x = keras.Input((2,))
    h = layers.Dense(8, "tanh")(x)
    return keras.Model(x, {"logits": layers.Dense(1)(h), key: layers.Dense(classes)(h)})


def generator(classes=3):
    z, label = keras.Input((2,)), keras.Input((), dtype="int32", name="label")
    joined = layers.Concatenate()([z, layers.Embedding(classes, 2)(label)])
    return keras.Model([z, label], layers.Dense(2)(joined))


@pytest.mark.parametrize("weighted", [False, True])
def test_auxiliary_classifier_is_a_cross_entropy(weighted):
    gan = kg.GAN(generator(), discriminator(), prior="normal", seed=0)
    term = kg.terms.AuxiliaryClassifier(weight=0.5, generator_weight=0.1)
    gan.compile("sgd", "sgd", terms=[term], run_eagerly=True)
    labels = np.array([0, 2, 1, 1], "int32")
    logits = {side: RNG.normal(size=(4, 3)).astype("float32") for side in ("real", "fake")}
    weight = np.array([0.5, 1.5, 1.0, 1.0], "float32") if weighted else None
    play = kg.models.Play(
        "discriminator",
        real=ops.zeros((4, 2)),
        fake=ops.zeros((4, 2)),
        condition=labels,
        real_output={"classes": logits["real"]},
        fake_output={"classes": logits["fake"]},
        weights=kg.losses.Weights(weight, weight),
    )
    of = {
        side: np.mean(-log_softmax(rows)[np.arange(4), labels] * (1 if weight is None else weight))
        for side, rows in logits.items()
    }
    (term,) = gan.terms
    np.testing.assert_allclose(float64(term.call(play)), of["real"] + of["fake"], rtol=1e-5)
    found = term.call(play._replace(player="generator", real_output=None))
    np.testing.assert_allclose(float64(found), 0.1 * of["fake"], rtol=1e-5)


@pytest.mark.parametrize(
    ("networks", "options", "message"),
    [
        (lambda: (generator(), discriminator(key="labels")), {}, "Unknown output 'classes'.*'labels'"),
        (lambda: (generator(), discriminator()), {"condition": "digit"}, r"one of \['label'\]"),
        (
            lambda: (
                keras.Sequential([keras.Input((2,)), layers.Dense(2)]),
                discriminator(),
            ),
            {},
            "requires labels",
        ),
    ],
)
def test_auxiliary_classifier_without_classes_or_labels(networks, options, message):
    gan = kg.GAN(*networks(), prior="normal", seed=0)
    with pytest.raises(ValueError, match=message):
        gan.compile("sgd", "sgd", terms=[kg.terms.AuxiliaryClassifier(**options)])


# Eight labeled Gaussians

CENTERS = 2 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)
SIGMA = 0.1


def hidden(x, activation):
    for _ in range(2):
        x = layers.Activation(activation)(layers.Dense(64)(x))
    return x


def eight(kind):
    """Return a conditional GAN of points of eight classes, and its terms."""
    z, label = keras.Input((8,)), keras.Input((), dtype="int32")
    joined = layers.Concatenate()([z, layers.Embedding(8, 8)(label)])
    made = keras.Model([z, label], layers.Dense(2)(hidden(joined, "relu")))
    x, label = keras.Input((2,)), keras.Input((), dtype="int32")
    h = hidden(x, "leaky_relu")
    if kind == "projection":
        judge = keras.Model([x, label], kg.layers.Projection(8)([h, label]))
        return kg.GAN(made, judge, prior="normal", seed=0), []
    judge = keras.Model(x, {"logits": layers.Dense(1)(h), "classes": layers.Dense(8)(h)})
    return kg.GAN(made, judge, prior="normal", seed=0), [kg.terms.AuxiliaryClassifier()]


def agreement_and_spread(kind, shuffled):
    """Return the share of samples nearest to their class, and the least spread of a class."""
    keras.utils.set_random_seed(0)
    labels = np.arange(4096, dtype="int32") % 8
    x = CENTERS[labels] + SIGMA * np.random.default_rng(1).normal(size=(4096, 2))
    gan, terms = eight(kind)
    adam = [keras.optimizers.Adam(1e-3, beta_1=0.5) for _ in range(2)]
    gan.compile(*adam, terms=[kg.terms.R1(0.5, interval=4), *terms], ema_decay=0.99)
    given = np.random.default_rng(2).permutation(labels) if shuffled else labels
    gan.fit(x.astype("float32"), given, batch_size=128, epochs=40, verbose=0)
    wanted = np.arange(4000) % 8
    samples = gan.generate(4000, seed=1, condition=wanted, use_ema=True)
    nearest = np.linalg.norm(samples[:, None] - CENTERS, axis=-1).argmin(axis=1)
    spread = min(samples[wanted == c].std(axis=0).mean() for c in range(8)) / SIGMA
    return np.mean(nearest == wanted), spread


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["projection", "classifier"])
def test_eight_labeled_gaussians(kind):
    agreement, spread = agreement_and_spread(kind, shuffled=False)
    control, _ = agreement_and_spread(kind, shuffled=True)
    print(f"{kind}: agreement {agreement:.3f}, spread {spread:.2f}; of shuffled labels {control:.3f}")
    assert agreement >= 0.99
    assert spread >= 0.5
    assert control < 0.3


def test_labels_outside_the_classes_of_a_projection():
    gan, _ = eight("projection")
    gan.compile("sgd", "sgd", run_eagerly=EAGERLY)
    with pytest.raises(ValueError, match=r"must be a label in \[0, 8\)"):
        gan.train_on_batch(np.zeros((2, 2), "float32"), np.array([1, 8], "int32"))

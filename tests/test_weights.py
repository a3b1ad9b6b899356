"""`sample_weight`: the rows of real examples in both players' means, against sums in float64."""

import keras
import numpy as np
import pytest
from helpers.games import mlp, number, sgd
from helpers.variants import Table
from keras import layers, ops

import keras_gan as kg

LOSSES = list(kg.losses.LOSSES)


def logits(rng):
    return rng.normal(size=(2, 6, 3, 1)).astype("float32")


def softplus(x):
    return np.logaddexp(0.0, x)


def mean(values, weight):
    """Σ wᵢ vᵢ / Σ wᵢ over the rows, of the mean of each row."""
    rows = values.reshape(len(values), -1).mean(axis=1)
    return rows.mean() if weight is None else (rows * weight).sum() / weight.sum()


def relativistic_average(real, fake, wr, wf):
    apart, back = real - mean(fake, wf), fake - mean(real, wr)
    return mean(softplus(-apart), wr) + mean(softplus(back), wf)


# name: (the discriminator's loss, the generator's), of logits and weights, as the papers have them.
FORMULAS = {
    "minimax": (
        lambda r, f, wr, wf: mean(softplus(-r), wr) + mean(softplus(f), wf),
        lambda r, f, wr, wf: -mean(softplus(f), wf),
    ),
    "non_saturating": (
        lambda r, f, wr, wf: mean(softplus(-r), wr) + mean(softplus(f), wf),
        lambda r, f, wr, wf: mean(softplus(-f), wf),
    ),
    "maximum_likelihood": (
        lambda r, f, wr, wf: mean(softplus(-r), wr) + mean(softplus(f), wf),
        lambda r, f, wr, wf: -mean(np.exp(f), wf),
    ),
    "least_squares": (
        lambda r, f, wr, wf: 0.5 * (mean((r - 1) ** 2, wr) + mean(f**2, wf)),
        lambda r, f, wr, wf: 0.5 * mean((f - 1) ** 2, wf),
    ),
    "hinge": (
        lambda r, f, wr, wf: mean(np.maximum(0, 1 - r), wr) + mean(np.maximum(0, 1 + f), wf),
        lambda r, f, wr, wf: -mean(f, wf),
    ),
    "wasserstein": (
        lambda r, f, wr, wf: mean(f, wf) - mean(r, wr),
        lambda r, f, wr, wf: -mean(f, wf),
    ),
    "relativistic_average": (
        relativistic_average,
        lambda r, f, wr, wf: relativistic_average(f, r, wf, wr),
    ),
    "relativistic_paired": (
        lambda r, f, wr, wf: mean(softplus(f - r), wr),
        lambda r, f, wr, wf: mean(softplus(r - f), wr),
    ),
}


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_weighted_rows(name, conditional, rng):
    real, fake = logits(rng)
    weight = rng.uniform(0.1, 2.0, size=6).astype("float32")
    relative = ops.convert_to_tensor(weight / weight.mean())
    weights = kg.losses.Weights(relative, relative if conditional else None)
    expected_weights = (np.float64(weight), np.float64(weight) if conditional else None)
    for player, formula in zip(("discriminator", "generator"), FORMULAS[name], strict=True):
        loss = kg.losses.get(name)
        given = [ops.convert_to_tensor(side) for side in (real, fake)]
        value = number(loss(player, *given, weights))
        expected = formula(np.float64(real), np.float64(fake), *expected_weights)
        assert value == pytest.approx(expected, rel=1e-5, abs=1e-6), player
        # Of several tensors of logits the losses are added.
        both = [{"a": side, "b": side} for side in given]
        assert number(loss(player, *both, weights)) == pytest.approx(2 * expected, rel=1e-5, abs=1e-6)


def critic_of(w, *conditions):
    """D(x) = w·x, whatever the condition."""
    x = keras.Input((2,))
    dense = layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(w))
    return keras.Model([x, *conditions] if conditions else x, dense(x))


def trained(rows, weight, terms=(), k=1, batch_size=6, labels=None, eager=True):
    keras.utils.set_random_seed(0)
    gan = kg.GAN(mlp(4, 2, name="g"), mlp(2, 1, name="d"), prior=Table(), seed=0)
    gan.compile(**sgd(0.1), terms=terms, discriminator_steps=k, loss="wasserstein", run_eagerly=eager)
    options = {} if weight is None else {"sample_weight": weight}
    history = gan.fit(
        rows, labels, batch_size=batch_size, epochs=2, shuffle=False, verbose=0, **options
    ).history
    return gan.get_weights(), history


TERMS = {
    "none": list,
    "r1": lambda: [kg.terms.R1(0.5)],
}


@pytest.mark.parametrize(("terms", "k", "eager"), [("none", 1, True), ("r1", 2, False)])
def test_equal_weights_do_not_change_training(terms, k, eager, rng):
    rows = rng.normal(size=(12, 2)).astype("float32")
    plain, _ = trained(rows, None, TERMS[terms](), k, eager=eager)
    weighted, _ = trained(rows, np.full(12, 3.0), TERMS[terms](), k, eager=eager)
    for one, other in zip(plain, weighted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("terms", ["none", "r1"])
def test_rows_of_weight_zero_do_not_count(terms, rng):
    """What stands in them may be anything, while other rows have a say."""
    rows, others = rng.normal(size=(2, 6, 2)).astype("float32")
    weight = np.array([1.0, 0.0, 2.0, 0.0, 1.0, 0.5])
    changed = np.where(weight[:, None] > 0, rows, others)
    first, logs = trained(rows, weight, TERMS[terms]())
    second, same = trained(changed, weight, TERMS[terms]())
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert logs["d_loss"] == pytest.approx(same["d_loss"], rel=1e-5)
    third, _ = trained(changed, None, TERMS[terms]())
    assert max(np.abs(one - other).max() for one, other in zip(second, third, strict=True)) > 1e-3


def test_integer_weights_are_repeated_rows(rng):
    """Means are divided by the sum of the weights: 2 is two rows of the same in D's mean."""
    rows, w = rng.normal(size=(4, 2)).astype("float32"), [[0.5], [-2.0]]
    gan = kg.GAN(mlp(4, 2), critic_of(w), prior=Table(), seed=0)
    gan.compile(**sgd(0.0), loss="wasserstein", terms=[kg.terms.R1()])
    weight = np.array([1, 3, 0, 2])
    fake = gan.generate(latents=ops.convert_to_numpy(gan.prior.sample(4, 0)))
    logs = gan.test_on_batch(rows, sample_weight=weight, return_dict=True)
    repeated = np.repeat(rows, weight, axis=0).astype("float64") @ np.array(w)
    assert logs["d_loss"] == pytest.approx(
        (fake @ np.float64(w)).mean() - repeated.mean() + 10 * logs["r1"], rel=1e-5
    )
    assert logs["r1"] == pytest.approx(0.5 * np.square(w).sum(), rel=1e-5)


def test_fakes_are_weighted_with_their_conditions(rng):
    """In a conditional GAN G's loss is weighted too; `class_weight` is the weight of a label's rows."""
    latents, samples = keras.Input((4,)), keras.Input((2,))
    label = keras.Input((), dtype="int32")
    embedded = layers.Embedding(3, 2)(label)
    generator = keras.Model([latents, label], layers.Dense(2)(layers.Concatenate()([latents, embedded])))
    w = np.array([[0.5], [-2.0]])
    dense = layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(w))
    discriminator = keras.Model([samples, keras.Input((), dtype="int32")], dense(samples))
    gan = kg.GAN(generator, discriminator, prior=Table(), seed=0)
    gan.compile(**sgd(0.0), loss="wasserstein")
    rows, labels = rng.normal(size=(6, 2)).astype("float32"), np.array([0, 1, 2, 0, 1, 2])
    weight = np.array([1.0, 2.0, 0.0])[labels]
    fake = gan.generate(latents=ops.convert_to_numpy(gan.prior.sample(6, 0)), condition=labels)
    scores = (np.float64(fake) @ w)[:, 0]
    expected = -(scores * weight).sum() / weight.sum()
    logs = gan.test_on_batch(rows, labels, sample_weight=weight, return_dict=True)
    assert logs["g_loss"] == pytest.approx(expected, rel=1e-5)
    by_class = {0: 1.0, 1: 2.0, 2: 0.0}
    logs = gan.fit(rows, labels, class_weight=by_class, batch_size=6, shuffle=False, verbose=0).history
    assert logs["g_loss"][0] == pytest.approx(expected, rel=1e-5)


def test_weights_of_validation_data(rng):
    rows, w = rng.normal(size=(4, 2)).astype("float32"), np.array([[0.5], [-2.0]])
    gan = kg.GAN(mlp(4, 2), critic_of(w), prior=Table(), seed=0)
    gan.compile(**sgd(0.0), loss="wasserstein")
    weight = np.array([0.0, 1.0, 0.0, 0.0])
    logs = gan.fit(rows, validation_data=(rows, None, weight), verbose=0, batch_size=4).history
    fake = gan.generate(latents=ops.convert_to_numpy(gan.prior.sample(4, 0)))
    expected = (np.float64(fake) @ w).mean() - (np.float64(rows) @ w)[1, 0]
    assert logs["val_d_loss"][0] == pytest.approx(expected, rel=1e-5)
    evaluated = gan.evaluate(rows, sample_weight=weight, verbose=0, batch_size=4, return_dict=True)
    assert evaluated["d_loss"] == pytest.approx(expected, rel=1e-5)


def test_weights_of_the_wrong_shape():
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    gan.compile(**sgd(0.1))
    with pytest.raises(ValueError, match=r"one number for each row. Received the shape \(\S+, 2\)"):
        gan.fit(np.zeros((8, 2), "float32"), sample_weight=np.ones((8, 2)), verbose=0)


def test_nan_weight_warns_and_keeps_the_networks_finite():
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    gan.compile(**sgd(0.1))
    weight = np.array([1.0, np.nan, 1.0, 1.0])
    with pytest.warns(UserWarning, match="`sample_weight` has numbers .* the first in row 1"):
        logs = gan.fit(np.zeros((4, 2), "float32"), sample_weight=weight, verbose=0).history
    assert np.isnan(logs["d_loss"][0])
    assert all(np.isfinite(w).all() for w in gan.get_weights())


def test_negative_weights_raise_and_zero_weight_batches_have_no_loss(rng):
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), prior=Table(), seed=0)
    gan.compile(**sgd(0.1), loss="wasserstein")
    rows = rng.normal(size=(6, 2)).astype("float32")
    with pytest.raises(ValueError, match="must not be negative. Received: -1"):
        gan.fit(rows, sample_weight=-np.ones(6), verbose=0)
    # The discriminator does not learn from fakes alone where no real row counts.
    logs = gan.test_on_batch(rows, sample_weight=[0.0] * 6, return_dict=True)
    assert logs["d_loss"] == 0

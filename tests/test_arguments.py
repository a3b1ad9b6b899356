"""Arguments: NumPy's numbers count as Python's, and an invalid value is answered in one wording."""

import re

import keras
import numpy as np
import pytest

import keras_gan as kg
from keras_gan import architectures as nets

INF, NAN = float("inf"), float("nan")
NOT_NUMBERS = [True, np.True_, "1", b"1", [1], {"a": 1}, (1.0, 2.0), 1j, object(), np.array([1.0, 2.0])]
WRONG = {
    "integer": [*NOT_NUMBERS, None, 1.5, np.float64(2.0), NAN, INF],
    "number": [*NOT_NUMBERS, None, NAN, INF, -INF, np.float32("nan"), np.array(INF), 10**400, 1e39],
    "seed": [*NOT_NUMBERS, 1.5, NAN, -1, 2**63],
    "shape": [True, "1", {"a": 1}, 1j, 1.5, (2, 1.5), (2, True), (2, "3"), 0, (3, 0), -1, NAN],
    "flag": [0, 1, None, "yes", NAN, [], np.array([True, False])],
    "string": [1, "", b"name", ["a"], 0.5],
}
SEED = "an integer >= 0 and <= 9223372036854775807"
SHAPE = "an integer >= 1, or a tuple of them"


def ramp(first=1, last=3, steps=2):
    return kg.optimizers.EpochRamp(0.5, 0.7, first_epoch=first, last_epoch=last, steps_per_epoch=steps)


def decay(initial=0.1, factor=1.5, minimum=0.0):
    return kg.optimizers.GeometricDecay(initial, factor, minimum=minimum)


def maxout_conv(filters=3, pieces=2, kernel_size=3, **options):
    return kg.layers.MaxoutConv2D(filters, pieces, kernel_size, name="maxout", **options)


def recipe(make, **options):
    """Return the configuration of a recipe."""
    parts = make(**options)
    return {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}


# (what, argument): (function of the argument, kind, what is expected, a good value, values out of range)
ARGUMENTS = {
    ("Minimax", "label_smoothing"): (
        lambda v: kg.losses.Minimax(label_smoothing=v),
        *("number", "a finite number >= 0 and < 0.5", 0.25, [-0.1, 0.5]),
    ),
    ("Consensus", "gamma"): (kg.updates.Consensus, "number", "a finite number > 0", 2, [0, -1.0]),
    ("Alternating", "share_fakes"): (kg.updates.Alternating, "flag", "True or False", True, []),
    ("Term", "weight"): (kg.terms.Term, "number", "a finite number > 0", 0.5, [0, -2]),
    ("R1", "weight"): (kg.terms.R1, "number", "a finite number > 0", 3, [0.0]),
    ("R1", "interval"): (lambda v: kg.terms.R1(interval=v), "integer", "an integer >= 1", 4, [0, -1]),
    ("GradientPenalty", "target"): (
        lambda v: kg.terms.GradientPenalty(target=v),
        *("number", "a finite number >= 0", 0, [-0.5]),
    ),
    ("DRAGAN", "one_sided"): (
        lambda v: kg.terms.DRAGAN(one_sided=v),
        *("flag", "True or False", True, []),
    ),
    ("R2", "name"): (lambda v: kg.terms.R2(name=v), "string", "a string", "other", []),
    ("FeatureMatching", "layer"): (kg.terms.FeatureMatching, "string", "a string", "hidden", []),
    ("HistoricalAveraging", "player"): (
        kg.terms.HistoricalAveraging,
        *("string", "one of 'discriminator', 'generator'", "generator", ["critic", "d"]),
    ),
    ("Normal", "shape"): (lambda v: kg.priors.Normal(shape=v), "shape", SHAPE, (3, 4), []),
    ("Uniform", "low"): (
        lambda v: kg.priors.Uniform(v, 10.0),
        *("number", "a finite number", -3, []),
    ),
    ("Uniform", "high"): (
        lambda v: kg.priors.Uniform(1, v),
        *("number", "a finite number > 1.0", 2, [1, 0.5]),
    ),
    ("Normal", "mean"): (kg.priors.Normal, "number", "a finite number", -2, []),
    ("Normal", "stddev"): (
        lambda v: kg.priors.Normal(stddev=v),
        *("number", "a finite number > 0", 0.5, [0, -1]),
    ),
    ("Categorical", "num_classes"): (
        kg.priors.Categorical,
        *("integer", "an integer >= 2", 3, [1, 0, -4]),
    ),
    ("Categorical", "probabilities"): (
        lambda v: kg.priors.Categorical(2, [v, 0.5]),
        *("number", "a finite number >= 0", 0.5, [-0.5]),
    ),
    ("Prior.sample", "n"): (
        lambda v: np.shape(kg.priors.Normal(shape=2).sample(v, 0)),
        *("integer", "an integer >= 1 and <= 2147483647", 3, [0, -1, 2**31]),
    ),
    ("interpolate", "steps"): (
        lambda v: np.shape(kg.interpolation.interpolate([[0.0]], [[1.0]], v)),
        *("integer", "an integer >= 2 and <= 2147483647", 3, [1, 0]),
    ),
    ("interpolate", "path"): (
        lambda v: kg.interpolation.interpolate([[0.0]], [[1.0]], 2, path=v),
        *("string", "one of 'linear', 'spherical'", "spherical", ["slerp"]),
    ),
    ("GeometricDecay", "initial"): (decay, "number", "a finite number > 0", 1, [0, -0.1]),
    ("GeometricDecay", "factor"): (
        lambda v: decay(factor=v),
        *("number", "a finite number > 1", 1.5, [1, 0.5]),
    ),
    ("GeometricDecay", "minimum"): (
        lambda v: decay(minimum=v),
        *("number", "a finite number >= 0", 0.5, [-1]),
    ),
    ("EpochRamp", "first_epoch"): (ramp, "number", "a finite number", 2, []),
    ("EpochRamp", "last_epoch"): (
        lambda v: ramp(last=v),
        *("number", "a finite number > 1.0", 2.5, [1, 0]),
    ),
    ("EpochRamp", "steps_per_epoch"): (
        lambda v: ramp(steps=v),
        *("integer", "an integer >= 1", 5, [0]),
    ),
    ("MomentumSGD", "learning_rate"): (
        kg.optimizers.MomentumSGD,
        *("number", "a finite number >= 0", 0.5, [-0.1]),
    ),
    ("MomentumSGD", "momentum"): (
        lambda v: kg.optimizers.MomentumSGD(momentum=v),
        *("number", "a finite number >= 0 and < 1", 0.5, [1, -0.1]),
    ),
    ("Sparse", "nonzero"): (
        lambda v: kg.initializers.Sparse(v, seed=0),
        *("integer", "an integer >= 1", 3, [0]),
    ),
    ("Sparse", "stddev"): (
        lambda v: kg.initializers.Sparse(3, stddev=v, seed=0),
        *("number", "a finite number > 0", 0.5, [0]),
    ),
    ("Sparse", "seed"): (lambda v: kg.initializers.Sparse(3, seed=v), "seed", SEED, 5, []),
    ("Maxout", "units"): (
        lambda v: kg.layers.Maxout(v, 2, name="maxout"),
        *("integer", "an integer >= 1", 3, [0]),
    ),
    ("Maxout", "pieces"): (
        lambda v: kg.layers.Maxout(2, v, name="maxout"),
        *("integer", "an integer >= 1", 3, [0]),
    ),
    ("MaxoutConv2D", "filters"): (maxout_conv, "integer", "an integer >= 1", 3, [0]),
    ("MaxoutConv2D", "kernel_size"): (
        lambda v: maxout_conv(kernel_size=v),
        *("shape", SHAPE, (3, 2), []),
    ),
    ("MaxoutConv2D", "strides"): (lambda v: maxout_conv(strides=v), "shape", SHAPE, 2, []),
    ("MaxoutConv2D", "padding"): (
        lambda v: maxout_conv(padding=v),
        *("string", "one of 'valid', 'same'", "same", ["full"]),
    ),
    ("dcgan_generator", "image_size"): (
        lambda v: nets.dcgan_generator(v, 1, width=1, seed=0),
        *("integer", "an integer >= 8", 8, [7, 0, -8]),
    ),
    ("dcgan_generator", "channels"): (
        lambda v: nets.dcgan_generator(8, v, width=1, seed=0),
        *("integer", "an integer >= 1", 3, [0]),
    ),
    ("dcgan_generator", "latent_dim"): (
        lambda v: nets.dcgan_generator(8, 1, latent_dim=v, width=1, seed=0),
        *("integer", "an integer >= 1", 3, [0]),
    ),
    ("dcgan_generator", "activation"): (
        lambda v: nets.dcgan_generator(8, 1, activation=v, width=1, seed=0),
        *("string", "one of 'tanh', 'sigmoid'", "tanh", ["relu"]),
    ),
    ("dcgan_discriminator", "num_classes"): (
        lambda v: nets.dcgan_discriminator(8, 1, num_classes=-1 if v is None else v, width=1, seed=0),
        *("integer", "an integer >= 1", 3, [0]),
    ),
    ("dcgan_discriminator", "width"): (
        lambda v: nets.dcgan_discriminator(8, 1, width=v, seed=0),
        *("integer", "an integer >= 1", 3, [0]),
    ),
    ("dcgan_discriminator", "seed"): (
        lambda v: nets.dcgan_discriminator(8, 1, width=1, seed=v),
        *("seed", SEED, 3, []),
    ),
    ("tfd_generator", "units"): (
        lambda v: nets.tfd_generator(units=v, seed=0),
        *("integer", "an integer >= 100", 100, [99]),
    ),
    ("cifar10_conv_generator", "units"): (
        lambda v: nets.cifar10_conv_generator(units=v, seed=0),
        *("integer", "an integer >= 100", 100, [0]),
    ),
    ("cifar10_discriminator", "units"): (
        lambda v: nets.cifar10_discriminator(units=v, seed=0),
        *("integer", "an integer >= 1", 2, [0]),
    ),
    ("digit_classifier", "seed"): (lambda v: nets.digit_classifier(seed=v), "seed", SEED, 3, []),
    ("goodfellow2014", "steps_per_epoch"): (
        lambda v: recipe(kg.recipes.goodfellow2014, steps_per_epoch=v),
        *("integer", "an integer >= 1", 500, [0]),
    ),
    ("goodfellow2014", "learning_rate"): (
        lambda v: recipe(kg.recipes.goodfellow2014, steps_per_epoch=1, learning_rate=v),
        *("number", "a finite number > 0", 0.5, [0]),
    ),
    ("goodfellow2014", "discriminator_steps"): (
        lambda v: recipe(kg.recipes.goodfellow2014, steps_per_epoch=1, discriminator_steps=v),
        *("integer", "an integer >= 1", 2, [0]),
    ),
    ("adam_r1_ema", "r1"): (
        lambda v: recipe(kg.recipes.adam_r1_ema, r1=v),
        *("number", "a finite number > 0", 0.5, [0]),
    ),
    ("r3gan", "gamma"): (
        lambda v: recipe(kg.recipes.r3gan, gamma=v),
        *("number", "a finite number > 0", 0.5, [0]),
    ),
    ("adam_r1_ema", "ema_decay"): (
        lambda v: recipe(kg.recipes.adam_r1_ema, ema_decay=v),
        *("number", "a finite number > 0 and < 1", 0.5, [0, 1]),
    ),
}
NAMES = {" of ".join(key[::-1]): key for key in ARGUMENTS}


def settings(make, value):
    keras.backend.clear_session(free_memory=False)  # whose counters are in names
    made = make(value)
    return made.get_config() if hasattr(made, "get_config") else made


@pytest.mark.parametrize("name", NAMES)
def test_invalid_values(name):
    (_, argument), (make, kind, expected, _, out_of_range) = NAMES[name], ARGUMENTS[NAMES[name]]
    for value in [*WRONG[kind], *out_of_range]:
        with pytest.raises((TypeError, ValueError)) as raised:
            make(value)
        message = str(raised.value)
        assert re.match(f"`{argument}` must be {re.escape(expected)}( that .*)?\\. Received: ", message)
    for value in out_of_range:
        with pytest.raises(ValueError, match=f"`{argument}`"):
            make(value)


@pytest.mark.parametrize("name", [name for name, key in NAMES.items() if ARGUMENTS[key][1] != "string"])
def test_numpy_values_equal_python_values(name):
    make, kind, _, good, _ = ARGUMENTS[NAMES[name]]
    of_python = settings(make, good)
    equal = [np.array(good), np.array([good])[0]]
    if kind == "number":
        equal.append(np.float32(good))
    for value in equal:
        of_numpy = settings(make, value)
        assert of_numpy == of_python
        # Files hold numbers of Python.
        assert repr(of_numpy) == repr(of_python)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kg.priors.Categorical(2, [0.5, 0.6]), r"`probabilities` must sum to 1. .*\[0.5, 0.6\]"),
        (lambda: kg.priors.Categorical(2, [1.0]), "list of one number per class .2.. Received: .1.0"),
        (lambda: kg.priors.Categorical(2, 0.5), "list of one number per class .2.. Received: 0.5"),
        (lambda: maxout_conv(kernel_size=(3, 3, 3)), r"pair \(height, width\). Received: \(3, 3, 3\)"),
    ],
)
def test_lists_of_the_wrong_length(make, message):
    with pytest.raises(ValueError, match=message):
        make()


NOT_TENSORS = ["logits", None, object(), [[1.0], [2.0, 3.0]], True, 1j, np.array(["a"]), {1.0}, 10**400]


@pytest.mark.parametrize("name", ["real_logits", "fake_logits"])
@pytest.mark.parametrize("loss", kg.losses.LOSSES)
def test_invalid_logits(loss, name):
    good = {"real_logits": np.ones((4, 1)), "fake_logits": np.ones((4, 1))}
    for value in NOT_TENSORS:
        with pytest.raises(TypeError, match=f"`{name}` must be a tensor of numbers"):
            kg.losses.get(loss).discriminator(**{**good, name: value})
    for value in (1.0, np.ones((0, 1))):
        with pytest.raises(ValueError, match=f"`{name}` must be a tensor of numbers"):
            kg.losses.get(loss).discriminator(**{**good, name: value})
    with pytest.raises(TypeError, match="`weights` must be a `kg.losses.Weights`. Received: 1.0"):
        kg.losses.get(loss).discriminator(**good, weights=1.0)


@pytest.mark.parametrize("loss", kg.losses.LOSSES)
def test_logits_of_any_library(loss):
    loss = kg.losses.get(loss)
    real, fake = [[1.0], [-2.0]], [[0.5], [3.0]]
    expected = float(loss.discriminator(*(keras.ops.convert_to_tensor(x) for x in (real, fake))))
    for form in (list, np.float64, lambda x: np.float32(x)[:, ::-1], tuple):
        assert float(loss.discriminator(form(real), form(fake))) == expected
        assert float(loss("discriminator", np.float64(real), np.float32(fake))) == expected


def test_logits_of_different_structures():
    pair = [np.ones((4, 1)), np.ones((4, 1))]
    with pytest.raises(ValueError, match="same structure, of one tensor or more. Received: 1 and 2"):
        kg.losses.Hinge()("discriminator", pair[0], pair)
    with pytest.raises(ValueError, match="same structure, of one tensor or more. Received: 0 and 0"):
        kg.losses.Hinge()("discriminator", {}, {})
    with pytest.raises(ValueError, match=r"same shape.*\(4, 1\) and \(3, 1\)"):
        kg.losses.RelativisticPaired().discriminator(np.ones((4, 1)), np.ones((3, 1)))


def test_weights_of_the_wrong_length():
    with pytest.raises(ValueError, match="`weight` must be one number per row of `values`. Received: 3"):
        kg.losses.mean(np.ones((4, 2)), np.ones(3))
    for name in ("real", "fake"):
        weights = kg.losses.Weights(**{name: np.ones((4, 1))})
        with pytest.raises(ValueError, match=f"`{name}` must be a tensor of numbers with 1 axis"):
            getattr(weights, f"mean_{name}")(np.ones((4, 2)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kg.terms.squared_norms(1.0, np.ones((2, 3))), "`critic` must be callable"),
        (lambda: kg.terms.squared_norms(len, {}), "`samples` must be a tensor, or a structure"),
        (lambda: kg.terms.squared_norms(len, ["a"]), "`samples` must be a tensor of numbers"),
        (lambda: kg.second_order.twice_differentiable(1.0, np.ones(2)), "`function` must be callable"),
        (lambda: kg.second_order.twice_differentiable(len, None), "`inputs` must be a tensor"),
        (
            lambda: kg.layers.Maxout(3, 2, kernel_initializer=1.0),
            "`kernel_initializer` must be a Keras in",
        ),
        (
            lambda: kg.layers.Maxout(3, 2, bias_initializer=None),
            "`bias_initializer` must be a Keras init",
        ),
        (
            lambda: kg.layers.Maxout(3, 2, kernel_regularizer="l3"),
            "`kernel_regularizer` must be a Keras r",
        ),
        (lambda: maxout_conv(kernel_constraint={}), "`kernel_constraint` must be a Keras constraint"),
        (lambda: kg.layers.UntiedBias("many"), "`initializer` must be a Keras initializer, .* 'many'"),
        (lambda: kg.initializers.Sparse(1)((3, 2), dtype="int32"), "`dtype` must be a type of floats"),
        (lambda: kg.initializers.Sparse(1)((3, 2), dtype=["a"]), "`dtype` must be a type of floats"),
        (lambda: kg.initializers.Sparse(1)((3.0, 2)), "`shape` must be an integer >= 1, or a tuple"),
        (lambda: kg.priors.Joint("normal"), "`priors` must be a list of priors. Received: 'normal'"),
        (
            lambda: kg.priors.Joint(["spherial"]),
            "`priors` has an invalid member.*Did you mean 'spherical'",
        ),
        (lambda: kg.optimizers.MomentumSGD(name=3), "`name` must be a string. Received: 3"),
    ],
)
def test_invalid_values_of_other_arguments(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()

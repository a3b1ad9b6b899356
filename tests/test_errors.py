"""Bad input: what, expected, received, how to fix."""

import keras
import numpy as np
import pytest
from helpers.games import BACKEND, mlp, sgd
from keras import layers, ops

import keras_gan as kg


def compiled(generator=None, discriminator=None, **kwargs):
    gan = kg.GAN(generator or mlp(4, 2), discriminator or mlp(2, 1), seed=0)
    gan.compile(**{**sgd(0.1), **kwargs})
    return gan


def moving_mean(network):
    (mean,) = (v for v in network.non_trainable_weights if v.name == "moving_mean")
    return ops.convert_to_numpy(mean)


def test_samples_of_the_wrong_shape_for_the_discriminator():
    with pytest.raises(ValueError, match=r"Expected \(2,\), as 'd' does. Received \(3,\) from 'g'"):
        kg.GAN(mlp(4, 3, name="g"), mlp(2, 1, name="d"))


def test_same_network_for_both_players():
    network = mlp(2, 2)
    with pytest.raises(ValueError, match="must be two networks"):
        kg.GAN(network, network)


@pytest.mark.parametrize(
    ("tail", "activation"),
    [
        ([layers.Dense(1, activation="sigmoid", name="last")], "sigmoid"),
        ([layers.Activation("sigmoid", name="last")], "sigmoid"),
        ([layers.Softmax(name="last")], "softmax"),
        ([keras.Sequential([keras.Input((16,)), layers.Dense(1, "sigmoid", name="last")])], "sigmoid"),
        ([layers.Dense(4, "sigmoid", name="last"), layers.Reshape((2, 2))], "sigmoid"),
        ([layers.Dense(1, activation="sigmoid", name="last"), layers.Flatten()], "sigmoid"),
        ([layers.Dense(1, "sigmoid", name="last"), layers.Activation("linear")], "sigmoid"),
    ],
    ids=["dense", "activation", "softmax", "nested", "reshaped", "flattened", "linear"],
)
def test_probabilities_instead_of_logits(tail, activation):
    discriminator = keras.Sequential([keras.Input((2,)), layers.Dense(16), *tail])
    message = f"must return logits.*last layer 'last' applies '{activation}'.*Dense\\(1\\)"
    with pytest.raises(ValueError, match=message):
        kg.GAN(mlp(4, 2), discriminator)


def test_functional_discriminator_with_a_sigmoid_operation():
    x = keras.Input((2,))
    with pytest.raises(ValueError, match="must return logits.*applies 'sigmoid'"):
        kg.GAN(mlp(4, 2), keras.Model(x, keras.ops.sigmoid(layers.Dense(1)(x))))


@pytest.mark.parametrize("eager", [False, True])
def test_batch_smaller_than_k(eager):
    """12 rows in batches of 5 leave 2 for the last one, fewer than k = 3."""
    gan = compiled(discriminator_steps=3, run_eagerly=eager)
    before = gan.generator.get_weights()
    with pytest.raises(
        Exception, match=r"(?s)cut into 3 minibatches.*needs at least 3 rows.*drop_remainder"
    ):
        gan.fit(np.zeros((2, 2), "float32"), batch_size=5, verbose=0)
    if BACKEND != "jax":  # there Keras takes the weights out of a model while it trains
        for old, new in zip(before, gan.generator.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


@pytest.mark.tensorflow
@pytest.mark.jax
def test_batch_smaller_than_k_with_xla():
    """XLA leaves our message out, but fails before anything moves."""
    gan = compiled(discriminator_steps=3, jit_compile=True, generator=mlp(4, 2, batch_norm=True))
    with pytest.raises(Exception, match=r"(?s)Expected size\[0\] in \[0, 0\]|at least 3 rows"):
        gan.fit(np.zeros((2, 2), "float32"), batch_size=5, verbose=0)
    if BACKEND != "jax":
        assert all(np.isfinite(weight).all() for weight in gan.get_weights())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "wgan"}, "Unknown loss 'wgan'"),
        ({"loss": "hinged"}, "Did you mean 'hinge'"),
        ({"update": "simultanous"}, "Did you mean 'simultaneous'"),
        ({"terms": ["r3"]}, "Did you mean 'r1'|Did you mean 'r2'"),
        ({"discriminator_steps": 0}, "an integer >= 1. Received: 0"),
        ({"discriminator_steps": 1.5}, "an integer >= 1. Received: 1.5"),
        ({"discriminator_steps": True}, "an integer >= 1. Received: True"),
        (
            {"steps_per_execution": 0},
            "`steps_per_execution` must be an integer >= 1 and <= 2147483647. Received: 0",
        ),
        ({"single_pass": "no"}, "`single_pass` must be True or False. Received: 'no'"),
        ({"run_eagerly": 2}, "`run_eagerly` must be True or False. Received: 2"),
        ({"jit_compile": "always"}, '(?s)`jit_compile` must be True or False.*Or pass "auto"'),
    ],
)
def test_invalid_arguments_of_compile(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compiled(**arguments)


def test_unknown_prior():
    with pytest.raises(ValueError, match="Unknown prior 'unifrom'. Did you mean 'uniform'"):
        kg.GAN(mlp(4, 2), mlp(2, 1), prior="unifrom")


def test_same_optimizer_for_both_players():
    optimizer = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="its own optimizer.*twice the same Adam"):
        compiled(d_optimizer=optimizer, g_optimizer=optimizer)


def test_prior_of_the_wrong_shape():
    with pytest.raises(
        ValueError, match=r"shape \(5,\), but the generator takes latents of shape \(4,\)"
    ):
        kg.GAN(mlp(4, 2), mlp(2, 1), prior=kg.priors.Normal(shape=5))


class Unbuilt(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs):
        latents, condition = inputs
        return self.dense(latents + condition)


def test_generator_with_unknown_input_shape():
    with pytest.raises(ValueError, match=r"shape of the latents is unknown.*Uniform\(shape=100\)"):
        kg.GAN(Unbuilt(), mlp(2, 1))


def test_network_that_cannot_be_called():
    with pytest.raises(ValueError, match=r"(?s)generator 'unbuilt\S*' cannot be called.*call it once"):
        kg.GAN(Unbuilt(), mlp(2, 1), prior=kg.priors.Normal(shape=2))


def test_network_that_creates_its_layers_in_call():
    class Lazy(keras.Model):
        def call(self, samples):
            return layers.Dense(1)(samples)

    with pytest.raises(ValueError, match=r"'lazy\S*' has no weights to train.*in its constructor"):
        kg.GAN(mlp(4, 2), Lazy())


def test_network_with_two_outputs():
    x = keras.Input((4,))
    two = keras.Model(x, [layers.Dense(2)(x), layers.Dense(2)(x)])
    message = r"takes the generator's samples.*Expected inputs of shapes \[\(None, 2\), \(None, 2\)\]"
    with pytest.raises(ValueError, match=message):
        kg.GAN(two, mlp(2, 1))


def two_inputs(width, outputs):
    inputs = [keras.Input((width,)), keras.Input((3,))]
    return keras.Model(inputs, layers.Dense(outputs)(layers.Concatenate()(inputs)))


def test_condition_of_one_network_only():
    with pytest.raises(ValueError, match="in a conditional GAN, both networks take a condition"):
        kg.GAN(two_inputs(4, 2), mlp(2, 1))


def test_networks_with_different_conditions():
    inputs = [keras.Input((2,)), keras.Input((5,))]
    discriminator = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))
    with pytest.raises(ValueError, match=r"same condition.*\(3,\) for the generator and \(5,\)"):
        kg.GAN(two_inputs(4, 2), discriminator)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((8, 3), "float32"), r"Expected \(2,\), received \(3,\)"),
        (np.zeros((8, 2), "uint8"), "Received dtype uint8. Scale integers"),
    ],
)
def test_data_of_the_wrong_shape(data, message):
    with pytest.raises(ValueError, match=message):
        compiled().fit(data, verbose=0)


def test_wrong_number_of_channels():
    generator = keras.Sequential([keras.Input((4,)), layers.Dense(16), layers.Reshape((4, 4, 1))])
    discriminator = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)])
    gan = compiled(generator, discriminator)
    with pytest.raises(ValueError, match=r"Expected \(4, 4, 1\), received \(4, 4, 3\)"):
        gan.fit(np.zeros((8, 4, 4, 3), "float32"), verbose=0)


class Unweighted(kg.losses.Loss):
    def discriminator(self, real_logits, fake_logits):
        return ops.mean(real_logits) - ops.mean(fake_logits)

    def generator(self, real_logits, fake_logits):
        return ops.mean(fake_logits)


def test_sample_weights_with_a_loss_that_does_not_support_them():
    gan = compiled(loss=Unweighted())
    gan.fit(np.zeros((8, 2), "float32"), verbose=0)
    with pytest.raises(
        ValueError, match="`Unweighted.discriminator` does not support.*fake_logits, weights"
    ):
        gan.fit(np.zeros((8, 2), "float32"), sample_weight=np.ones(8), verbose=0)


def test_data_in_a_dictionary():
    pair = {"a": np.zeros((8, 2), "float32"), "b": np.zeros((8, 2), "float32")}
    with pytest.raises(ValueError, match=r"(?s)Several of the entries fit.*'a' of shape \(2,\)"):
        compiled().fit(pair, verbose=0)
    with pytest.raises(ValueError, match=r"(?s)None of the entries fit.*'x' of shape \(3,\)"):
        compiled().fit({"x": np.zeros((8, 3), "float32")}, verbose=0)


def test_conditional_gan_without_conditions():
    gan = compiled(two_inputs(4, 2), two_inputs(2, 1))
    with pytest.raises(ValueError, match="the data have none"):
        gan.fit(np.zeros((8, 2), "float32"), verbose=0)
    with pytest.raises(
        ValueError, match=r"Pass a condition as the second argument, `fit\(x, condition\)`"
    ):
        gan.fit((np.zeros((8, 2), "float32"), np.zeros((8, 3), "float32")), verbose=0)
    gan = compiled(two_inputs(4, 2), two_inputs(2, 1))
    with pytest.raises(ValueError, match=r"Expected \(3,\), received \(4,\)"):
        gan.fit(np.zeros((8, 2), "float32"), np.zeros((8, 4), "float32"), verbose=0)
    gan = compiled(two_inputs(4, 2), two_inputs(2, 1))
    with pytest.raises(ValueError, match=r"Pass `condition=`: an array of shape \(5, 3\)"):
        gan.generate(5)
    with pytest.raises(ValueError, match=r"must have the shape \(5, 3\), or \(3,\).*Received: \(4, 3\)"):
        gan.generate(5, condition=np.zeros((4, 3)))


def test_condition_for_an_unconditional_gan():
    with pytest.raises(ValueError, match="not conditional. Leave out `condition`"):
        compiled().generate(5, condition=3)


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": 2.5}, {"n": True}, {"n": 3, "batch_size": 0}])
def test_invalid_number_of_samples(arguments):
    with pytest.raises((TypeError, ValueError), match="must be an integer >= 1. Received"):
        compiled().generate(**arguments)


def test_empty_data():
    with pytest.raises(ValueError, match="`x` must have at least one row"):
        compiled().fit(np.zeros((0, 2), "float32"), verbose=0)


IMAGES = np.zeros((4, 2), "float32")
NO_DATA = {
    "a number": ({"x": 3}, TypeError, "`x` must be an array of examples.*Received: 3 of type int"),
    "nothing": ({}, TypeError, "`x` must be an array of examples.*Received: None"),
    "rows in a list": ({"x": [1.0, 2.0]}, TypeError, "`x` must be an array of examples"),
    "labels with a generator": (
        {"x": iter(()), "y": np.zeros(4)},
        ValueError,
        "Leave out `y`: .*Received: `y`, and `x` of type tuple_iterator",
    ),
    "one label": (
        {"x": IMAGES, "y": 1},
        ValueError,
        "`y` must be an array with one row for each of the 4",
    ),
    "weights of other rows": (
        {"x": IMAGES, "sample_weight": np.ones(3)},
        ValueError,
        "`sample_weight` must be an array with one row for each of the 4 rows of `x`",
    ),
    "text": ({"x": IMAGES.astype(str)}, ValueError, r"Examples \(`x`\) must be floating-point numbers"),
}


@pytest.mark.parametrize("name", NO_DATA)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_what_is_no_data_is_named(method, name):
    arguments, kind, message = NO_DATA[name]
    with pytest.raises(kind, match=message):
        getattr(compiled(), method)(**arguments, verbose=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "`validation_data`: `x` must be an array of examples"),
        ((), "`validation_data` must be data, .*Received: a tuple of 0 entries"),
        ((IMAGES, IMAGES[:2]), "`validation_data`: `y` must be an array with one row for each of the 4"),
        (IMAGES[:, :1], r"`validation_data`: The data must have the shape .* \(2,\), received \(1,\)"),
    ],
)
def test_validation_data_are_named(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compiled().fit(IMAGES, validation_data=given, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 2.5}, "`batch_size` must be an integer >= 1"),
        ({"steps": 0}, "`steps` must be an integer >= 1"),
        ({"callbacks": [print]}, "`callbacks` must be a list of `keras.callbacks.Callback`"),
    ],
)
def test_arguments_of_evaluate(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compiled().evaluate(IMAGES, verbose=0, **arguments)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (5, "`terms` must be a name, .* or a list of them. Received: 5 of type int"),
        (["r1", "r3"], "`terms`: Unknown term 'r3'. Did you mean 'r"),
        ([print], "`terms`: The term must be a name"),
    ],
)
def test_terms_are_named(terms, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compiled(terms=terms)


def test_an_update_rule_is_named():
    with pytest.raises(TypeError, match="The update rule must be a name .*Received: 5 of type int"):
        compiled(update=5)


@pytest.mark.tensorflow
def test_empty_dataset():
    import tensorflow as tf

    empty = tf.data.Dataset.from_tensor_slices(np.zeros((0, 2), "float32")).batch(2)
    with (
        pytest.warns(UserWarning, match="ran out of data"),
        pytest.raises(ValueError, match="are empty: no batch"),
    ):
        compiled().fit(empty, verbose=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_non_finite_data_stop_training_and_keep_batch_norm_finite(bad, policy, capsys):
    """Keras' own callback reports it, and the moving statistics stay finite."""
    keras.config.set_dtype_policy(policy)
    gan = compiled(generator=mlp(4, 2, batch_norm=True), discriminator=mlp(2, 1, batch_norm=True))
    x = np.zeros((40, 2), "float32")
    x[15] = bad
    stop = keras.callbacks.TerminateOnNaN()
    with pytest.warns(UserWarning, match="`x` has numbers that are not finite, the first in row 15"):
        gan.fit(x, batch_size=10, epochs=3, shuffle=False, verbose=0, callbacks=[stop])
    assert "Batch 1: Invalid loss, terminating training" in capsys.readouterr().out
    assert len(gan.history.epoch) == 1
    assert "loss" not in gan.history.history
    assert np.isnan(gan.history.history["d_loss"][0])
    for variable in gan.weights:
        assert np.isfinite(ops.convert_to_numpy(variable)).all(), variable.path
    assert np.any(moving_mean(gan.discriminator) != 0)


def test_terminate_on_nan_can_raise():
    x = np.full((10, 2), np.nan, "float32")
    with (
        pytest.warns(UserWarning, match="the first in row 0"),
        pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch 0"),
    ):
        compiled().fit(x, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN(raise_error=True)])


def test_missing_optional_package(monkeypatch):
    import sys

    from keras_gan.utils.optional import require

    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(ImportError, match="'mlxtend'.*pip install mlxtend"):
        require("mlxtend")


def test_sigmoid_of_a_discriminator_without_input():
    discriminator = keras.Sequential([layers.Dense(8), layers.Dense(1, "sigmoid", name="last")])
    with pytest.raises(ValueError, match="last layer 'last' applies 'sigmoid'"):
        kg.GAN(mlp(4, 2), discriminator)


def test_sigmoid_of_a_subclassed_discriminator():
    class Sigmoid(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, "sigmoid")

        def call(self, samples):
            return self.dense(samples)

    with pytest.warns(UserWarning, match="seems to end in a sigmoid"):
        kg.GAN(mlp(4, 2), Sigmoid())


def test_networks_that_share_a_layer():
    shared = layers.Dense(2, name="shared")
    generator = keras.Sequential([keras.Input((2,)), shared])
    discriminator = keras.Sequential([keras.Input((2,)), shared, layers.Dense(1)])
    with pytest.raises(ValueError, match="must not share layers.*shared/kernel"):
        kg.GAN(generator, discriminator)


def test_invalid_network():
    with pytest.raises(TypeError, match="discriminator must be a `keras.Model`. Received: 3"):
        kg.GAN(mlp(4, 2), 3)


@pytest.mark.parametrize("seed", [-1, 1.5, 2**70, "x"])
def test_invalid_seeds(seed):
    with pytest.raises((TypeError, ValueError), match="`seed` must be an integer >= 0 and <= "):
        kg.GAN(mlp(4, 2), mlp(2, 1), seed=seed)
    with pytest.raises((TypeError, ValueError), match="`seed` must be an integer >= 0 and <= "):
        kg.GAN(mlp(4, 2), mlp(2, 1), seed=0).generate(3, seed=seed)


def test_data_of_a_different_width_in_a_later_call():
    gan = compiled()
    gan.fit(np.zeros((8, 2), "float32"), verbose=0)
    with pytest.raises(Exception, match=r"received \(3,\)|not compatible with expected shape"):
        gan.fit(np.zeros((64, 3), "float32"), verbose=0)


def test_non_finite_conditions(capsys):
    gan = compiled(two_inputs(4, 2), two_inputs(2, 1))
    condition = np.zeros((40, 3), "float32")
    condition[15] = np.nan
    stop = keras.callbacks.TerminateOnNaN()
    x = np.zeros((40, 2), "float32")
    with pytest.warns(UserWarning, match="`y` has numbers that are not finite, the first in row 15"):
        gan.fit(x, condition, batch_size=10, shuffle=False, verbose=0, callbacks=[stop])
    assert "Batch 1: Invalid loss" in capsys.readouterr().out
    assert all(np.isfinite(weight).all() for weight in gan.get_weights())


def test_non_finite_batch_does_not_affect_later_batch_statistics():
    gan = compiled(discriminator=mlp(2, 1, batch_norm=True))
    x = np.full((40, 2), 3.0, "float32")
    x[0] = np.nan
    with pytest.warns(UserWarning, match="the first in row 0"):
        gan.fit(x, batch_size=10, shuffle=False, verbose=0)
    mean = moving_mean(gan.discriminator)
    assert abs(mean).max() > 0
    assert np.isfinite(mean).all()


def test_error_during_training_keeps_the_state_of_the_last_step():
    """Keras' trainer of JAX takes the values out of the variables meanwhile."""
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    gan.compile("sgd", "adam")
    before = [keras.ops.convert_to_numpy(v) for v in gan.weights]

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    with pytest.raises(ValueError, match="shape of the generator's samples"):
        gan.fit(np.zeros((8, 3), "float32"), verbose=0)
    for variable, value in zip(gan.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
    with pytest.raises(KeyboardInterrupt):
        gan.fit(np.ones((80, 2), "float32"), batch_size=8, verbose=0, callbacks=[Stop()])
    assert int(keras.ops.convert_to_numpy(gan.g_optimizer.iterations)) == 3
    assert np.isfinite(gan.generate(2, seed=0)).all()
    gan.fit(np.ones((8, 2), "float32"), verbose=0)


def test_unsupported_arguments_of_compile():
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    message = r"no argument `metrics`.*`d_optimizer` and `g_optimizer`. Expected: d_optimizer, g_opt"
    with pytest.raises(TypeError, match=message):
        gan.compile("sgd", "sgd", metrics=["mae"])
    with pytest.raises(TypeError, match="'d_optimizer' and 'g_optimizer'"):
        gan.compile(optimizer="adam")
    with pytest.raises(TypeError, match="'g_optimizer'"):
        gan.compile("adam")


@pytest.mark.parametrize("kind", ["<U3", object])
def test_strings_instead_of_numbers(kind):
    x, texts = np.zeros((8, 2), "float32"), np.full(8, "cat", kind)
    with pytest.raises(ValueError, match=r"(?s)Labels must be numbers.*return_inverse=True"):
        compiled().fit(x, texts, verbose=0)
    with pytest.raises(ValueError, match="must be floating-point numbers"):
        compiled().fit(np.full((8, 2), "1", kind), verbose=0)
    with pytest.raises(ValueError, match="`sample_weight` must be an array of numbers"):
        compiled().fit(x, sample_weight=texts, verbose=0)


def test_sample_weights_with_a_structure():
    x, weight = np.zeros((8, 2), "float32"), np.ones(8)
    for structure in ([weight, weight], (weight,), {"image": weight, "label": weight}):
        for call in (compiled().fit, compiled().evaluate, compiled().train_on_batch):
            with pytest.raises(ValueError, match="must be one array with a number for each row"):
                call(x, sample_weight=structure)


@pytest.mark.tensorflow
def test_sample_weights_with_a_structure_in_a_dataset():
    import tensorflow as tf

    x, weight = np.zeros((8, 2), "float32"), np.ones(8, "float32")
    data = tf.data.Dataset.from_tensor_slices((x, weight, (weight, weight))).batch(4)
    with pytest.raises(ValueError, match="must be one array with a number for each row"):
        compiled().fit(data, verbose=0)


def test_sample_weights_as_a_list():
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    weights = [1.0, 0.0] * 4
    logs = []
    for weight in (weights, np.array(weights)):
        keras.utils.set_random_seed(0)
        logs.append(compiled().fit(x, sample_weight=weight, verbose=0, shuffle=False).history)
    assert logs[0] == logs[1]


def test_last_batch_smaller_than_discriminator_steps():
    gan = compiled(discriminator_steps=5)
    x = np.zeros((62, 2), "float32")
    message = (
        r"at least 5 rows.*`x\[:n\]`.*62 examples with `batch_size=20`, which leaves 2 for the last"
    )
    with pytest.raises(ValueError, match=message):
        gan.fit(x, batch_size=20, verbose=0)
    assert ops.convert_to_numpy(gan.optimizer.iterations) == 0
    # As many as minibatches, or a split that leaves as many, will do.
    gan.fit(x[:25], batch_size=20, verbose=0)
    gan.fit(x[:50], batch_size=20, validation_split=0.5, verbose=0)


@pytest.mark.tensorflow
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_last_batch_of_a_dataset_that_is_too_small_raises_a_short_error(run_eagerly):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(np.zeros((62, 2), "float32")).batch(20)
    gan = compiled(discriminator_steps=5, run_eagerly=run_eagerly)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="at least 5 rows") as error:
        gan.fit(data, verbose=0)
    assert str(error.value).startswith("A batch is cut into 5 minibatches")
    assert "drop_remainder=True" in str(error.value)


def test_undeclared_log():
    class Logging(kg.GAN):
        def discriminator_objective(self, play):
            losses, logs = super().discriminator_objective(play)
            return losses, {**logs, "twice": 2 * losses[0]}

    gan = Logging(mlp(4, 2), mlp(2, 1), seed=0)
    gan.compile(**sgd(0.1))
    message = r"'twice' was not announced.*\['d_loss', 'g_loss', 'd_real', 'd_fake'\].*`log_names`"
    with pytest.raises(ValueError, match=message):
        gan.fit(np.zeros((8, 2), "float32"), verbose=0)


def test_network_that_no_player_trains():
    gan = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    gan.encoder = mlp(2, 3, name="encoder")
    with pytest.raises(ValueError, match="No player moves 'encoder'.*`trainable = False`"):
        gan.compile(**sgd(0.1))
    gan.encoder.trainable = False
    gan.compile(**sgd(0.1))


@pytest.mark.torch
def test_attention_without_second_derivative_is_named():
    x = keras.Input((4,))
    rows = layers.Reshape((2, 2))(x)
    rows = layers.MultiHeadAttention(1, 2, name="look")(rows, rows)
    discriminator = keras.Model(x, layers.Dense(1)(layers.Flatten()(rows)))
    gan = kg.GAN(mlp(4, 4), discriminator, seed=0)
    with pytest.raises(ValueError, match=r"look \(MultiHeadAttention\)"):
        gan.compile(**sgd(0.1), terms=["r1"])


@pytest.mark.torch  # where gradients of a pass would read the kernel that the next one has changed
def test_spectral_normalization_of_keras_in_the_discriminator():
    """D(x) = w·x with Wasserstein's loss and R1: w/‖w‖ moves by −η(E fake − E real + γw/‖w‖)."""
    start = np.array([[3.0], [4.0]], "float32")
    dense = layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(start))
    discriminator = keras.Sequential([keras.Input((2,)), layers.SpectralNormalization(dense)])
    generator = keras.Sequential([keras.Input((4,)), layers.Dense(2, kernel_initializer="zeros")])
    gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
    with pytest.warns(UserWarning, match="overwrites its kernel"):
        gan.compile(**sgd(0.1), loss="wasserstein", terms=[kg.terms.R1(weight=0.5)])
    real = np.array([[1.0, 0.0], [3.0, 2.0]], "float32")
    gan.fit(real, batch_size=2, verbose=0)
    unit = start / 5
    # R1 is ½E‖∇D‖², whose gradient is w.
    expected = unit - 0.1 * (0 - real.mean(axis=0)[:, None] + 0.5 * unit)
    expected /= np.linalg.norm(expected)  # by the pass of the generator's step
    np.testing.assert_allclose(ops.convert_to_numpy(dense.kernel), expected, rtol=1e-4)

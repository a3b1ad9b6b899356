"""What changes between `compile` and `fit`, or before `save`, takes effect or is refused."""

import gc
import warnings

import keras
import numpy as np
import pytest
from helpers.games import EAGERLY, mlp, number, sgd, small_gan
from keras import ops

import keras_gan as kg


@pytest.fixture
def x(rng):
    return rng.normal(size=(24, 2)).astype("float32")


def fit(gan, x, **options):
    return gan.fit(x, batch_size=12, shuffle=False, verbose=0, **options)


def values(network):
    return [ops.convert_to_numpy(weight) for weight in network.weights]


def change_steps(gan):
    gan.discriminator_steps = 3


def change_loss(gan):
    gan.loss = kg.losses.get("wasserstein")


def name_loss(gan):
    gan.loss = "wasserstein"


def change_smoothing(gan):
    gan.loss.label_smoothing = 0.2


def change_weight(gan):
    gan.terms[0].weight = 2.0


def add_term(gan):
    gan.terms.append(kg.terms.R2())


def change_rule(gan):
    gan.update = kg.updates.get("simultaneous")


def change_norms(gan):
    gan.gradient_norms = True


CHANGES = [
    ("discriminator_steps", change_steps),
    ("loss", change_loss),
    ("loss", name_loss),
    ("loss", change_smoothing),
    ("terms[0]", change_weight),
    ("terms[1]", add_term),
    ("update", change_rule),
    ("gradient_norms", change_norms),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_changed_settings_raise_until_compile(name, change, x):
    gan = small_gan(terms=["r1"])
    fit(gan, x)
    change(gan)
    with pytest.raises(
        ValueError, match=r"(?s)has changed since `compile`.*`gan.compile` again"
    ) as error:
        fit(gan, x)
    assert str(error.value).startswith(f"`{name.strip()}`")


def test_setting_changed_by_a_callback_raises_at_the_end_of_the_epoch(x):
    gan, seen = small_gan(), []

    class Change(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(epoch)
            self.model.discriminator_steps = 2

    with pytest.raises(ValueError, match="Expected: 1. Received: 2"):
        fit(gan, x, epochs=3, callbacks=[Change()])
    assert seen == [0]


def test_recompiling_with_the_same_optimizers_keeps_their_state(x):
    gan = small_gan(discriminator_steps=1)
    fit(gan, x)
    gan.compile(gan.d_optimizer, gan.g_optimizer, discriminator_steps=3, run_eagerly=EAGERLY)
    fit(gan, x)
    assert number(gan.d_optimizer.iterations) == 2 * 1 + 2 * 3
    assert number(gan.g_optimizer.iterations) == 2 + 2


def test_optimizers_built_for_other_weights_raise(x):
    gan = small_gan()
    d, g = gan.d_optimizer, gan.g_optimizer
    with pytest.raises(ValueError, match=r"(?s)`d_optimizer` already keeps state.*SGD named 'sgd"):
        gan.compile(g, d)
    other = kg.GAN(mlp(4, 2), mlp(2, 1), seed=0)
    with pytest.raises(ValueError, match="`d_optimizer` already keeps state for other weights"):
        other.compile(d, g)
    other.compile(type(d).from_config(d.get_config()), type(g).from_config(g.get_config()))


def freeze_network(gan):
    gan.discriminator.trainable = False


def freeze_layer(gan):
    gan.generator.layers[0].trainable = False


def enable_lora(gan):
    gan.generator.layers[0].enable_lora(2)


def quantize(network):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Layer InputLayer does not have a `quantize`")
        network.quantize("int8")


def quantize_generator(gan):
    quantize(gan.generator)


WEIGHT_CHANGES = [freeze_network, freeze_layer, enable_lora, quantize, quantize_generator]


@pytest.mark.parametrize("change", WEIGHT_CHANGES)
def test_a_gan_whose_weights_have_changed_is_saved_without_its_optimizers(change, x, tmp_path):
    gan = small_gan(ema_decay=0.9, terms=[kg.terms.HistoricalAveraging("generator")])
    fit(gan, x)
    change(gan)
    with pytest.raises(ValueError, match=r"trainable weights have changed since `compile`"):
        fit(gan, x)
    with pytest.warns(UserWarning, match="The file holds the networks alone: call `compile`"):
        gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.generate(5, seed=1), gan.generate(5, seed=1))
    for ours, theirs in zip(gan.layers, loaded.layers, strict=True):
        assert len(ours.trainable_variables) == len(theirs.trainable_variables)


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_a_frozen_discriminator_trains_the_generator_alone(update, x):
    gan = small_gan()
    gan.discriminator.trainable = False
    gan.compile(**sgd(0.1), update=update, discriminator_steps=2, run_eagerly=EAGERLY)
    before = [values(network) for network in (gan.generator, gan.discriminator)]
    fit(gan, x)
    after = [values(network) for network in (gan.generator, gan.discriminator)]
    for value, wanted in zip(after[1], before[1], strict=True):
        np.testing.assert_array_equal(value, wanted)
    assert all(np.abs(a - b).max() > 0 for a, b in zip(after[0], before[0], strict=True))


def test_lora_weights_are_trained_alone_and_saved(x, tmp_path):
    gan = small_gan()
    layer = gan.generator.layers[0]
    layer.enable_lora(2)
    kernel = ops.convert_to_numpy(layer._kernel)
    gan.compile(**sgd(0.1), run_eagerly=EAGERLY)
    fit(gan, x, epochs=2)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer._kernel), kernel)
    assert np.abs(ops.convert_to_numpy(layer.lora_kernel_b)).max() > 0
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.generate(5, seed=1), gan.generate(5, seed=1))
    # Keras merges the factors into the kernel, and leaves both at 0, where their gradients vanish.
    message = r"(?s)LoRA factors of 'dense\S*' are both 0.*lora_kernel_a.assign"
    with pytest.raises(ValueError, match=message):
        fit(loaded, x)
    factor = loaded.generator.layers[0].lora_kernel_a
    factor.assign(keras.initializers.HeUniform(seed=0)(factor.shape))
    fit(loaded, x)
    assert np.abs(ops.convert_to_numpy(loaded.generator.layers[0].lora_kernel_b)).max() > 0


def test_ema_of_a_quantized_generator_raises_with_advice(x):
    gan = small_gan(ema_decay=0.9)
    fit(gan, x, epochs=3)
    averaged = gan.generate(5, seed=1, use_ema=True)
    gan.ema.assign_to_networks()
    quantize(gan.generator)
    with pytest.raises(ValueError, match=r"(?s)was quantized.*`gan.ema.assign_to_networks\(\)` before"):
        gan.generate(5, seed=1, use_ema=True)
    # 127 steps of the largest weight of each column.
    np.testing.assert_allclose(gan.generate(5, seed=1), averaged, atol=0.1 * np.abs(averaged).max())


class WeightsOfSteps(keras.callbacks.Callback):
    """Keeps the weights after each step, and those that validation sees."""

    def __init__(self):
        super().__init__()
        self.steps, self.tested = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(values(self.model))

    def on_test_begin(self, logs=None):
        self.tested.append(values(self.model))


def exponential(steps, momentum, average=None):
    """Return aₜ = m·aₜ₋₁ + (1 − m)·wₜ in float64, where a₁ = w₁ at the first step of all."""
    first, *others = steps
    average, steps = (first, others) if average is None else (average, steps)
    for weights in steps:
        pairs = zip(average, weights, strict=True)
        average = [momentum * a + (1 - momentum) * w for a, w in pairs]
    return average


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_optimizer_ema_is_assigned_at_the_end_of_each_fit(policy, x):
    keras.config.set_dtype_policy(policy)
    gan = small_gan(**{p: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5) for p in PLAYERS})
    expected = None
    for _ in range(2):
        seen = WeightsOfSteps()
        # The second `fit` goes on with the averages of the first, which the weights now equal.
        fit(gan, x, epochs=2, callbacks=[seen])
        expected = exponential(seen.steps, 0.5, expected)
        for value, wanted in zip(values(gan), expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)


PLAYERS = ("d_optimizer", "g_optimizer")


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_swap_ema_weights_validates_with_the_ema_of_both_players(policy, x):
    keras.config.set_dtype_policy(policy)
    gan = small_gan(**{p: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5) for p in PLAYERS})
    seen = WeightsOfSteps()
    fit(gan, x, validation_data=(x,), callbacks=[keras.callbacks.SwapEMAWeights(), seen])
    expected = exponential(seen.steps, 0.5)
    for value, wanted in zip(seen.tested[0], expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)


def test_extragradient_rejects_gradient_accumulation():
    accumulating = {p: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2) for p in PLAYERS}
    with pytest.raises(ValueError, match=r"(?s)calls an optimizer twice.*Received: 2 of SGD"):
        small_gan(**accumulating, update="extragradient")
    keras.config.set_dtype_policy("mixed_float16")
    scaled = {p: keras.optimizers.LossScaleOptimizer(o) for p, o in accumulating.items()}
    with pytest.raises(ValueError, match="Received: 2 of SGD"):
        small_gan(**scaled, update="extragradient")


def functional(inputs, outputs, name):
    x = keras.Input((inputs,), name=f"{name}_input")
    hidden = keras.layers.Dense(8, "relu", name=f"{name}_hidden")(x)
    return keras.Model(x, keras.layers.Dense(outputs, name=f"{name}_last")(hidden), name=name)


def stateful(network=functional):
    keras.utils.set_random_seed(0)
    gan = kg.GAN(network(4, 2, name="g"), network(2, 1, name="d"), prior="normal", seed=0)
    gan.compile(
        keras.optimizers.Adam(0.01, name="adam_d"),
        keras.optimizers.Adam(0.01, name="adam_g"),
        update="optimistic",
        terms=[kg.terms.HistoricalAveraging(player) for player in ("generator", "discriminator")],
        ema_decay=0.9,
        run_eagerly=EAGERLY,
    )
    return gan


def test_state_tree_restores_a_gan(x):
    gan = stateful()
    fit(gan, x)
    tree = gan.get_state_tree(value_format="numpy_array")
    again = stateful()
    again.set_state_tree(tree)
    histories = [fit(each, x, epochs=2).history for each in (gan, again)]
    assert histories[0] == histories[1]
    for value, wanted in zip(again.get_weights(), gan.get_weights(), strict=True):
        np.testing.assert_array_equal(value, wanted)
    np.testing.assert_array_equal(*(each.generate(3, seed=0, use_ema=True) for each in (gan, again)))


def test_mismatched_state_tree_changes_nothing(x):
    gan = stateful()
    tree = gan.get_state_tree(value_format="numpy_array")
    fit(gan, x)
    before = gan.get_weights()
    tree["trainable_variables"]["other"] = tree["trainable_variables"].pop("d_last")
    message = r"(?s)nothing was loaded.*load_weights\(folder\).*d_last/kernel: expected shape \(8, 1\)"
    with pytest.raises(ValueError, match=message):
        gan.set_state_tree(tree)
    for value, wanted in zip(gan.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, wanted)


# Keras does not provide the sharding; the event loops of Orbax are closed whenever they are collected.
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_orbax_checkpoints(x, tmp_path):
    # With the packages of `make test-jax`, since Orbax requires JAX.
    pytest.importorskip("orbax.checkpoint", reason="needs orbax-checkpoint, of the group `backends`")
    gan = stateful()
    fit(gan, x, callbacks=[keras.callbacks.OrbaxCheckpoint(str(tmp_path), save_freq="epoch")])
    same = stateful()
    same.load_weights(tmp_path)
    for each in (keras.saving.load_model(tmp_path), same):
        np.testing.assert_array_equal(each.generate(3, seed=0), gan.generate(3, seed=0))
        assert number(each.optimizer.iterations) == 2
    gc.collect()

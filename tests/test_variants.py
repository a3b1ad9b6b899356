"""Games of more than two networks, and of several inputs and outputs, through all that a GAN does."""

import keras
import numpy as np
import pytest
import variants
from games import BACKEND
from keras import ops

import keras_gan as kg
from keras_gan import structures

NAMES = list(variants.GAMES)


def state(gan):
    variables = [*gan.variables, *gan.optimizer.variables]
    return [ops.convert_to_numpy(variable) for variable in variables]


def assert_same(gan, other):
    for a, b in zip(state(gan), state(other), strict=True):
        np.testing.assert_array_equal(a, b)


def train(gan, name, **options):
    x, y = variants.data(name)
    return gan.fit(x, y, batch_size=20, verbose=0, shuffle=False, **options).history


@pytest.fixture(scope="module", params=NAMES)
def trained(request):
    """A game after two steps, and what it logged."""
    name = request.param
    gan = variants.game(name)
    before = state(gan)
    x, y = variants.data(name, 20, seed=2)
    history = train(gan, name, validation_data=(x,) if y is None else (x, y))
    return name, gan, before, history


def test_all_networks_move(trained):
    name, gan, before, history = trained
    for values in history.values():
        assert np.isfinite(values).all()
    for player in gan.players:
        for variable in player.variables:
            (place,) = [i for i, v in enumerate(gan.variables) if v is variable]
            moved = not np.array_equal(before[place], ops.convert_to_numpy(variable))
            assert moved or "bias" in variable.path or "embedding" in variable.path, variable.path
    owned = [id(v) for player in gan.players for v in player.variables]
    assert len(set(owned)) == len(owned)
    assert {id(v) for v in gan.trainable_variables} == set(owned)
    assert {"val_d_loss", "val_g_loss"} <= history.keys()


def test_file_with_nothing_passed(trained, tmp_path):
    name, gan, _, _ = trained
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert type(loaded) is type(gan)
    assert_same(gan, loaded)
    again = keras.models.load_model(tmp_path / "gan.keras")
    assert train(loaded, name) == train(again, name)
    assert_same(loaded, again)


def test_generate_and_sample_grid(trained, tmp_path):
    name, gan, _, _ = trained
    condition = variants.condition(name, 9)
    samples = gan.generate(9, seed=1, condition=condition, averaged=gan.average is not None)
    assert samples.shape == (9, *variants.SHAPE)
    few = structures.cut(condition, 0, 4) if condition is not None else None
    averaged = gan.average is not None
    np.testing.assert_allclose(
        gan.generate(4, seed=1, condition=few, averaged=averaged), samples[:4], atol=1e-6
    )
    grid = kg.callbacks.SampleGrid(tmp_path, rows=3, columns=3, condition=condition)
    grid.set_model(gan)
    grid.set_params({"epochs": 1})
    grid.on_train_begin()
    grid.on_epoch_end(0)
    grid.on_train_end()
    assert (tmp_path / "epoch-0001.png").stat().st_size > 100


@pytest.mark.parametrize("name", NAMES)
def test_mixed_float16(name):
    """Losses are nearly those of float32, and every player has a loss scale of its own."""
    x, y = variants.data(name)
    expected = variants.game(name).test_on_batch(x, y, return_dict=True)
    keras.config.set_dtype_policy("mixed_float16")
    gan = variants.game(name)
    losses = gan.test_on_batch(x, y, return_dict=True)
    for key, value in expected.items():
        np.testing.assert_allclose(losses[key], value, rtol=0.02, atol=0.01, err_msg=key)
    history = train(gan, name, epochs=2)
    assert all(np.isfinite(values).all() for values in history.values())
    for optimizer in (gan.d_optimizer, gan.g_optimizer):
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        assert ops.convert_to_numpy(optimizer.iterations) > 0
    assert gan.generate(3, condition=variants.condition(name, 3)).dtype == np.float32

"""Data that a generator cannot reach, or train on, are refused before training begins."""

import keras
import numpy as np
import pytest
from helpers.games import mlp
from keras import layers

import keras_gan as kg
from keras_gan.models.ranges import output_range


def network(*after, columns=3):
    return keras.Sequential([keras.Input((2,)), layers.Dense(columns), *after])


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([layers.Activation("sigmoid")], (0, 1)),
        ([layers.Activation("tanh"), layers.Reshape((3, 1))], (-1, 1)),
        ([layers.Activation("tanh"), layers.Rescaling(127.5, 127.5)], (0, 255)),
        ([layers.Activation("sigmoid"), layers.Rescaling(-2.0, 1.0)], (-1, 1)),
        ([layers.Activation("sigmoid"), layers.Rescaling([1.0, 3.0, 2.0])], (0, 3)),
        ([layers.Rescaling(2.0)], None),
        ([layers.Activation("relu")], None),
        ([], None),
    ],
)
def test_range_is_inferred_from_the_last_activation(after, expected):
    model = network(*after)
    assert output_range(model) == expected
    if expected:
        x = np.random.default_rng(0).normal(scale=1e3, size=(200, 2))
        found = keras.ops.convert_to_numpy(model(x))
        assert (found.min(), found.max()) == pytest.approx(expected)


def small_gan(*after, **compile_arguments):
    gan = kg.GAN(network(*after), mlp(3, 1), seed=0)
    gan.compile(
        keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), run_eagerly=True, **compile_arguments
    )
    return gan


class Batches(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.x[index::2]


BYTES = np.random.default_rng(0).integers(0, 256, (64, 3)).astype("float32")
INCOMES = BYTES / 255 * [1, 390_000, 1]
RANGES = r"reach from .* to .*only produce values in \[{}\], the range of its last activation. Scale"


@pytest.mark.parametrize(("activation", "bounds"), [("tanh", "-1, 1"), ("sigmoid", "0, 1")])
@pytest.mark.parametrize("x", [BYTES, INCOMES.astype("float32")], ids=["bytes", "incomes"])
def test_data_far_outside_the_range_raise(x, activation, bounds):
    gan = small_gan(layers.Activation(activation))
    for data in (x, keras.ops.convert_to_tensor(x), kg.datasets.load(x), Batches(x)):
        with pytest.raises(ValueError, match=RANGES.format(bounds)):
            gan.fit(data, verbose=0)
    assert int(gan.optimizer.iterations) == 0


def test_images_of_a_keras_dataset_are_floats_of_bytes(tmp_path, rng):
    for name in ("a.png", "b.png"):
        keras.utils.save_img(tmp_path / name, rng.integers(0, 256, (4, 4, 3)), scale=False)
    images = keras.utils.image_dataset_from_directory(
        tmp_path, labels=None, image_size=(4, 4), verbose=False
    )
    shape = layers.Activation("tanh"), layers.Reshape((4, 4, 3))
    critic = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(1)])
    for after, works in [((), False), ((layers.Rescaling(127.5, 127.5),), True)]:
        gan = kg.GAN(network(*shape, *after, columns=48), critic, seed=0)
        gan.compile(keras.optimizers.SGD(1e-6), keras.optimizers.SGD(1e-6), run_eagerly=True)
        if works:
            gan.fit(images, verbose=0)
        else:
            with pytest.raises(ValueError, match=r"from 0 to 255, .* in \[-1, 1\]"):
                gan.fit(images, verbose=0)


@pytest.mark.parametrize(
    ("after", "x"),
    [
        ([layers.Activation("tanh")], np.random.default_rng(0).normal(size=(64, 3))),
        ([layers.Activation("sigmoid")], np.linspace(-0.2, 1.2, 192).reshape(64, 3)),
        ([], INCOMES),
        ([layers.Activation("tanh"), layers.Rescaling(127.5, 127.5)], BYTES),
        ([layers.Activation("tanh")], np.where(np.arange(192) == 7, 100, 0.5).reshape(64, 3)),
    ],
    ids=["standardized", "a little outside", "linear", "rescaled", "an outlier"],
)
def test_data_of_other_ranges_are_accepted(after, x):
    data = kg.datasets.load(x.astype("float32"), batch_size=32)
    small_gan(*after).fit(data, verbose=0)
    assert int(data.epoch) == 1


def test_range_check_does_not_change_the_data_order():
    x = np.linspace(0, 1, 192).reshape(64, 3).astype("float32")
    data = kg.datasets.load(x, batch_size=32)
    expected = np.concatenate([batch.numpy() for batch in data])
    data.epoch.assign(0)
    losses = []
    for given, size in ((data, None), (expected, 32)):
        keras.utils.set_random_seed(0)
        gan = small_gan(layers.Activation("sigmoid"))
        history = gan.fit(given, batch_size=size, shuffle=False, verbose=0).history
        losses.append(history["d_loss"] + history["g_loss"])
    assert losses[0] == pytest.approx(losses[1])


def test_last_batch_that_is_too_small_raises_before_training(rng):
    x = rng.uniform(0, 1, (62, 3)).astype("float32")
    gan = small_gan(layers.Activation("sigmoid"), discriminator_steps=5)
    with pytest.raises(ValueError, match="needs at least 5 rows.*leaves 2 for the last batch"):
        gan.fit(kg.datasets.load(x, batch_size=20), verbose=0)
    assert int(gan.optimizer.iterations) == 0
    gan.fit(kg.datasets.load(x, batch_size=20, drop_remainder=True), verbose=0)
    gan.fit(kg.datasets.load(x, batch_size=31), verbose=0)
    assert int(gan.optimizer.iterations) == 5


def test_sample_grid_of_a_rescaled_generator_is_not_white(tmp_path, rng):
    from PIL import Image

    after = layers.Activation("tanh"), layers.Reshape((4, 4, 3)), layers.Rescaling(127.5, 127.5)
    critic = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(1)])
    gan = kg.GAN(network(*after, columns=48), critic, seed=0)
    gan.compile(keras.optimizers.SGD(1e-9), keras.optimizers.SGD(1e-9), run_eagerly=True)
    grid = kg.callbacks.SampleGrid(tmp_path, rows=1, columns=1)
    gan.fit(rng.uniform(0, 255, (4, 4, 4, 3)).astype("float32"), callbacks=[grid], verbose=0)
    with Image.open(tmp_path / "epoch-0001.png") as image:
        pixels = np.asarray(image)[2:-2, 2:-2][::14, ::14]
    np.testing.assert_allclose(pixels, np.rint(gan.generate(1, seed=0))[0], atol=1)


@pytest.mark.usefixtures("channels_first")
def test_sample_grid_of_channels_first_images(tmp_path, rng):
    from PIL import Image

    gan = kg.GAN(
        kg.architectures.dcgan_generator(8, 3, width=4, seed=0),
        kg.architectures.dcgan_discriminator(8, 3, width=4, seed=0),
        seed=0,
    )
    gan.compile(keras.optimizers.SGD(1e-9), keras.optimizers.SGD(1e-9), run_eagerly=True)
    grid = kg.callbacks.SampleGrid(tmp_path, rows=2, columns=1)
    gan.fit(rng.uniform(-1, 1, (4, 3, 8, 8)).astype("float32"), callbacks=[grid], verbose=0)
    with Image.open(tmp_path / "epoch-0001.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape == (2 * 58 + 2, 58 + 2, 3)
    sample = gan.generate(2, seed=0)[1]
    assert sample.shape == (3, 8, 8)
    np.testing.assert_allclose(
        pixels[60:116:7, 2:58:7], np.rint(127.5 * (sample.transpose(1, 2, 0) + 1)), atol=1
    )


def test_data_partly_outside_the_range_warn():
    gan = small_gan(layers.Activation("sigmoid"))
    x = np.linspace(-1, 1, 60, dtype="float32").reshape(20, 3)
    with pytest.warns(UserWarning, match=r"cannot produce 50% of the numbers.*\[0, 1\]. Scale the data"):
        gan.fit(x, verbose=0)
    gan.fit(x / 2 + 0.5, verbose=0)

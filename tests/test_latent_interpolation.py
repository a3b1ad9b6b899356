import copy
import os

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

import keras_gan as kg
from keras_gan.callbacks import LatentInterpolation
from keras_gan.interpolation import interpolate

IMAGES = np.full((4, 6, 6, 1), 0.5, "float32")


def lengths(points):
    return np.sqrt(np.sum(np.float64(points) ** 2, axis=-1))


def angles(points):
    """The angles between neighbors on each path, in float64."""
    points = np.float64(points)
    cosines = np.sum(points[:, 1:] * points[:, :-1], axis=-1) / (
        lengths(points)[:, 1:] * lengths(points)[:, :-1]
    )
    return np.arccos(np.clip(cosines, -1, 1))


# Paths.


@pytest.mark.parametrize("path", ["linear", "spherical"])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (1,)])
def test_paths_start_and_end_at_the_given_latents(rng, path, shape):
    start, end = rng.normal(size=(2, 7, *shape))
    points = interpolate(start, end, 6, path=path)
    assert points.shape == (7, 6, *shape)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points[:, 0], start, atol=1e-6)
    np.testing.assert_allclose(points[:, -1], end, atol=1e-6)


def test_latents_may_be_tensors_also_with_gradients(rng):
    start, end = rng.normal(size=(2, 7, 5)).astype("float32")
    points = interpolate(1.0 * keras.Variable(start), ops.convert_to_tensor(end), 3)
    np.testing.assert_array_equal(points, interpolate(start, end, 3))


def test_linear_paths_have_equal_steps(rng):
    start, end = rng.normal(size=(2, 7, 5))
    points = interpolate(start, end, 4)
    for index in range(4):
        np.testing.assert_allclose(points[:, index], start + index / 3 * (end - start), atol=1e-6)


def test_spherical_paths_keep_the_norm_and_have_equal_angles(rng):
    start, end = rng.normal(size=(2, 50, 8))
    start, end = (3 * ends / np.linalg.norm(ends, axis=1, keepdims=True) for ends in (start, end))
    points = interpolate(start, end, 9, path="spherical")
    np.testing.assert_allclose(lengths(points), 3, atol=1e-5)
    whole = np.arccos(np.sum(start * end, axis=1) / 9)
    np.testing.assert_allclose(angles(points), np.repeat(whole[:, None] / 8, 8, axis=1), atol=1e-3)


def test_spherical_paths_match_shoemake(rng):
    start, end = rng.normal(size=(2, 20, 6))
    start, end = (ends / np.linalg.norm(ends, axis=1, keepdims=True) for ends in (start, end))
    angle = np.arccos(np.sum(start * end, axis=1, keepdims=True))
    points = interpolate(start, end, 5, path="spherical")
    for index, t in enumerate(np.linspace(0, 1, 5)):
        expected = np.sin((1 - t) * angle) * start + np.sin(t * angle) * end
        np.testing.assert_allclose(points[:, index], expected / np.sin(angle), atol=1e-6)


def test_spherical_paths_between_unequal_lengths_change_length_evenly(rng):
    start, end = rng.normal(size=(2, 20, 6))
    points = interpolate(start, 5 * end, 5, path="spherical")
    expected = np.linspace(lengths(start), lengths(5 * end), 5).T
    np.testing.assert_allclose(lengths(points), expected, rtol=1e-5)
    turns = angles(points)
    np.testing.assert_allclose(turns, np.repeat(turns[:, :1], 4, axis=1), atol=1e-3)


def test_a_quarter_circle():
    points = interpolate([[[2.0], [0.0]]], [[[0.0], [2.0]]], 4, path="spherical")
    root = np.sqrt(3.0)
    np.testing.assert_allclose(points[0, ..., 0], [[2, 0], [root, 1], [1, root], [0, 2]], atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1.0 + 1e-9, 0.25, 0.0])
def test_paths_between_parallel_latents_are_equal(rng, factor):
    start = rng.normal(size=(5, 8))
    spherical = interpolate(start, factor * start, 5, path="spherical")
    np.testing.assert_allclose(spherical, interpolate(start, factor * start, 5), atol=1e-6)


def test_paths_from_and_to_the_origin_are_equal(rng):
    end, zero = rng.normal(size=(5, 8)), np.zeros((5, 8))
    for start, stop in ((zero, end), (end, zero), (zero, zero)):
        expected = interpolate(start, stop, 4)
        np.testing.assert_allclose(interpolate(start, stop, 4, path="spherical"), expected, atol=1e-6)


@pytest.mark.parametrize("disturbance", [0.0, 1e-14, 1e-7])
def test_opposite_latents_are_joined_by_a_half_circle(rng, disturbance):
    start = rng.normal(size=(5, 8))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    end = -start + disturbance * rng.normal(size=(5, 8))
    points = interpolate(start, end, 7, path="spherical")
    np.testing.assert_allclose(lengths(points), 1, atol=1e-5)
    np.testing.assert_allclose(angles(points), np.pi / 6, atol=1e-3)


def test_opposite_scalars():
    points = interpolate([[1.0]], [[-1.0]], 3, path="spherical")
    np.testing.assert_allclose(points[0, :, 0], [1, 0, -1], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"end": np.ones((2, 4))}, r"same shape \(n, ...\). Received: \(2, 3\) and \(2, 4\)"),
        ({"start": np.ones(3), "end": np.ones(3)}, r"Received: \(3,\) and \(3,\)"),
        ({"start": np.full((2, 3), np.nan)}, "`start` must be an array of finite numbers"),
        ({"end": np.full((2, 3), np.inf)}, "`end` must be an array of finite numbers"),
        ({"end": [[1.0, 2.0], [3.0]]}, "`end` must be an array of numbers"),
        ({"start": "latents"}, "`start` must be an array of numbers. Received: 'latents'"),
    ],
)
def test_invalid_ends_of_paths(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        interpolate(**{"start": np.ones((2, 3)), "end": np.ones((2, 3)), "steps": 3, **arguments})


# Pictures.


def tiny_gan(activation="sigmoid", conditional=False):
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    latents, images, condition = keras.Input((3,)), keras.Input((6, 6, 1)), keras.Input((2,))
    joined = keras.layers.Concatenate()([latents, condition]) if conditional else latents
    kernel = keras.initializers.RandomNormal(stddev=2.0)
    made = keras.layers.Reshape((6, 6, 1))(dense(36, activation, kernel_initializer=kernel)(joined))
    judged = dense(1)(keras.layers.Flatten()(images))
    generator = keras.Model([latents, condition] if conditional else latents, made)
    discriminator = keras.Model([images, condition] if conditional else images, judged)
    gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), run_eagerly=True)
    return gan


def train(*callbacks, gan=None, epochs=2, **options):
    gan = gan or tiny_gan()
    gan.fit(IMAGES, batch_size=4, epochs=epochs, verbose=0, callbacks=list(callbacks), **options)
    return gan


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def cells(path, rows, steps):
    """Cut a picture of 6 × 6 images, enlarged tenfold, back into `(rows, steps, 6, 6)`."""
    picture = read(path)
    assert picture.shape == (2 + 62 * rows, 2 + 62 * steps)
    picture = picture[2:, 2:].reshape(rows, 62, steps, 62).swapaxes(1, 2)
    return picture[:, :, :60:10, :60:10]


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_each_row_is_a_path(tmp_path, path):
    gan = train(LatentInterpolation(tmp_path, rows=3, steps=5, path=path, seed=7), epochs=1)
    latents = keras.ops.convert_to_numpy(gan.prior.sample(6, 7))
    paths = interpolate(latents[::2], latents[1::2], 5, path=path)
    shown = cells(tmp_path / "epoch-0001.png", 3, 5)
    for row in range(3):
        samples = keras.ops.convert_to_numpy(gan.generator(paths[row]))[..., 0]
        assert abs(shown[row] - 255 * samples).max() <= 1
    assert np.ptp(shown.astype(int), axis=1).max() > 100


def test_ends_match_generate_for_any_number_of_rows(tmp_path):
    gan = train(
        LatentInterpolation(tmp_path / "a", rows=3, steps=4, seed=7),
        LatentInterpolation(tmp_path / "b", rows=1, steps=2, seed=7, path="spherical"),
        epochs=1,
    )
    samples = 255 * gan.generate(6, seed=7)[..., 0]
    shown = cells(tmp_path / "a" / "epoch-0001.png", 3, 4)
    assert abs(shown[:, 0] - samples[::2]).max() <= 1
    assert abs(shown[:, -1] - samples[1::2]).max() <= 1
    assert abs(cells(tmp_path / "b" / "epoch-0001.png", 1, 2)[0] - samples[:2]).max() <= 1


def test_first_nth_and_last_epoch_are_drawn_also_after_a_resume(tmp_path):
    gan = train(LatentInterpolation(tmp_path, every=3, rows=1, gif=True), epochs=4)
    train(LatentInterpolation(tmp_path, every=3, rows=1), gan=gan, epochs=7, initial_epoch=4)
    names = [f"epoch-{number:04d}.png" for number in (1, 3, 4, 6, 7)]
    assert sorted(os.listdir(tmp_path)) == [*names, "interpolation.gif"]


@pytest.mark.parametrize(("value_range", "black"), [(None, -1), ((-3, 1), -3)])
def test_value_range(tmp_path, value_range, black):
    measure = LatentInterpolation(tmp_path, rows=2, steps=2, value_range=value_range)
    gan = train(measure, gan=tiny_gan("tanh"), epochs=1)
    shown = cells(tmp_path / "epoch-0001.png", 2, 2)
    expected = 255 * (gan.generate(4, seed=0)[..., 0] - black) / (1 - black)
    assert abs(shown.reshape(4, 6, 6) - expected).max() <= 1


def test_each_path_has_a_condition(tmp_path):
    gan = tiny_gan(conditional=True)
    condition = np.eye(2, dtype="float32")
    measure = LatentInterpolation(tmp_path, rows=2, steps=3, condition=condition)
    data = np.eye(2, dtype="float32")[[0, 1, 0, 1]]
    gan.fit(IMAGES, data, verbose=0, callbacks=[measure])
    ends = gan.generate(4, seed=0, condition=condition.repeat(2, axis=0))
    shown = cells(tmp_path / "epoch-0001.png", 2, 3)[:, [0, 2]]
    assert abs(shown.reshape(4, 6, 6) - 255 * ends[..., 0]).max() <= 1
    with pytest.raises(ValueError, match="This GAN is conditional"):
        gan.fit(IMAGES, data, verbose=0, callbacks=[LatentInterpolation(tmp_path)])


def test_tensorboard_receives_images(tmp_path):
    import tensorflow as tf

    train(LatentInterpolation(tmp_path / "a", rows=1, tensorboard=tmp_path / "log"), epochs=1)
    (log,) = (tmp_path / "log").iterdir()
    events = map(tf.compat.v1.Event.FromString, tf.data.TFRecordDataset(str(log)).as_numpy_iterator())
    ((tag, picture),) = [(v.tag, v.image) for event in events for v in event.summary.value]
    assert tag == "interpolation"
    assert picture.encoded_image_string == (tmp_path / "a" / "epoch-0001.png").read_bytes()


def test_deep_copies_drop_the_model(tmp_path):
    condition = np.zeros((2, 2))
    paths = LatentInterpolation(tmp_path / "a", rows=2, tensorboard=tmp_path / "log")
    twins = [copy.deepcopy(paths)]
    gan = train(paths, epochs=1)
    twins.append(copy.deepcopy(paths))
    assert paths.model is gan
    for twin in twins:
        assert twin.model is None
        twin.directory = tmp_path / "b"
        train(twin, epochs=1)
        name = "epoch-0001.png"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    conditional = LatentInterpolation(tmp_path, rows=2, condition=condition)
    assert copy.deepcopy(conditional).condition is conditional.condition


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "`every` must be an integer >= 1. Received: 0"),
        ({"rows": 0}, "`rows` must be an integer >= 1 .*Received: 0"),
        ({"steps": 1}, "`steps` must be an integer >= 2. Received: 1"),
        ({"seed": None}, "`seed` must be an integer >= 0. Received: None"),
        ({"path": "cubic"}, r"`path` must be one of .* Received: 'cubic'"),
        ({"value_range": (1, 0)}, r"two finite numbers .* Received: \(1, 0\)"),
        ({"condition": np.ones((5, 2))}, r"each of the 8 paths. Received shape: \(5, 2\)"),
    ],
)
def test_invalid_arguments(tmp_path, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        LatentInterpolation(tmp_path, **arguments)


def test_samples_that_are_not_images(tmp_path):
    gan = kg.GAN(
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
    )
    gan.compile("sgd", "sgd")
    with pytest.raises(ValueError, match=r"LatentInterpolation draws images, .* shape \(80, 2\)"):
        gan.fit(np.ones((4, 2), "float32"), verbose=0, callbacks=[LatentInterpolation(tmp_path)])
    assert os.listdir(tmp_path) == []


def test_model_that_is_not_a_gan(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    ones = np.ones((4, 1))
    with pytest.raises(TypeError, match="with `generate`, .* Received: Sequential"):
        model.fit(ones, ones, verbose=0, callbacks=[LatentInterpolation(tmp_path)])
    model.generate = lambda n, **options: IMAGES[:n]
    with pytest.raises(TypeError, match="with `prior`, such as a `GAN`"):
        model.fit(ones, ones, verbose=0, callbacks=[LatentInterpolation(tmp_path)])

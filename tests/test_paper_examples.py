"""The examples of Figures 2 and 3, on faces and CIFAR-10: cut runs, and what they leave behind."""

import contextlib
import importlib
import io
import json
import pathlib
import re

import keras
import numpy as np
import pytest
import scipy.io
from keras import ops
from PIL import Image
from sklearn.cluster import KMeans

import keras_gan as kg

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
YELLOW = (255, 215, 0)


@pytest.fixture
def example(monkeypatch):
    """Import an example by name, as Python does where examples import each other."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def cells(picture, rows, columns, side):
    """The images of a grid, which lines of two pixels part and surround."""
    step = side + 2
    return [
        [picture[2 + y * step :, 2 + x * step :][:side, :side] for x in range(columns)]
        for y in range(rows)
    ]


def random_images(count, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype="uint8")


def tiny_gan(shape, activation="sigmoid", latents=5):
    """A GAN that has learned nothing."""
    generator = keras.Sequential(
        [
            keras.Input((latents,)),
            keras.layers.Dense(int(np.prod(shape)), activation),
            keras.layers.Reshape(shape),
        ]
    )
    discriminator = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)])
    return kg.GAN(generator, discriminator, prior="normal", seed=0)


# Networks of other widths.


@pytest.mark.parametrize(
    ("make", "weights"),
    [
        (kg.architectures.tfd_generator, 101 * 200 + 201 * 200 + 201 * 2304),
        (kg.architectures.tfd_discriminator, 2305 * 1000 + 201 * 1000 + 201),
        (kg.architectures.cifar10_generator, 101 * 200 + 201 * 200 + 201 * 3072),
        (kg.architectures.cifar10_discriminator, 3073 * 1000 + 201 * 1000 + 201),
        (
            kg.architectures.cifar10_conv_generator,
            101 * 200 + 201 * 200 + 5 * 5 * 2 * 3 + 32 * 32 * 3,
        ),
    ],
)
def test_networks_of_a_different_width(make, weights):
    assert make(units=200).count_params() == weights


def test_second_stage_of_a_different_width():
    first = kg.architectures.tfd_generator(units=100)
    stack = kg.architectures.tfd_stacked_generator(first, units=30)
    assert stack.count_params() == 101 * 30 + 31 * 100 + first.count_params()


@pytest.mark.parametrize(
    ("units", "message"),
    [(0, ">= 100. Received: 0"), (-100, ">= 100. Received: -100"), (8050, "a multiple of 100.*: 8050")],
)
def test_units_that_do_not_fill_the_maps_raise(units, message):
    with pytest.raises(ValueError, match=message):
        kg.architectures.cifar10_conv_generator(units=units)


# Faces.


@pytest.fixture
def olivetti(tmp_path):
    """A file as that of the Olivetti faces, with noise for faces."""
    faces = random_images(400, 64, 64)
    columns = np.stack([face.ravel(order="F") for face in faces], axis=1)
    scipy.io.savemat(tmp_path / "olivettifaces.mat", {"faces": columns})
    return tmp_path / "olivettifaces.mat", faces


def test_olivetti_faces_are_converted_to_the_tfd_layout(example, olivetti, tmp_path):
    path, faces = olivetti
    target = tmp_path / "new" / "faces.mat"
    example("gan_tfd").convert_olivetti(path, target)
    assert [file.name for file in target.parent.iterdir()] == ["faces.mat"]
    with Image.fromarray(faces[7]) as face:
        expected = face.resize((48, 48), Image.Resampling.BILINEAR)
    images = scipy.io.loadmat(target)["images"]
    assert (images.shape, images.dtype) == ((400, 48, 48), "uint8")
    # Pillow resizes bytes in fixed point.
    assert np.abs(images[7].astype(int) - np.asarray(expected)).max() <= 1


def test_test_people_are_excluded_from_training(example, olivetti, tmp_path):
    path, _ = olivetti
    example("gan_tfd").convert_olivetti(path, tmp_path / "faces.mat")
    people = np.arange(400) // 10
    folds = scipy.io.loadmat(tmp_path / "faces.mat")["folds"]
    tested = set()
    for fold in folds.T:
        roles = [set(people[fold == role]) for role in range(4)]
        assert [len(role) for role in roles] == [30, 6, 2, 2]
        assert sum(len(role) for role in roles) == len(set.union(*roles))
        assert roles[0] == set(range(30))
        tested |= roles[3]
    assert tested == set(range(30, 40))


@pytest.mark.parametrize("content", [{"other": [1]}, {"faces": np.zeros((400, 4096))}])
def test_wrong_file_of_faces_raises(example, tmp_path, content):
    scipy.io.savemat(tmp_path / "other.mat", content)
    message = r"not the file of the Olivetti faces: expected `faces` of shape \(4096, 400\).*--data"
    with pytest.raises(ValueError, match=message):
        example("gan_tfd").convert_olivetti(tmp_path / "other.mat", tmp_path / "new.mat")
    assert not (tmp_path / "new.mat").exists()


def write_database(path, per_role=6):
    """A file of the database's layout with as many faces a role in every fold."""
    folds = np.repeat(np.arange(4), per_role)[:, None].repeat(5, axis=1)
    layout = {"images": random_images(4 * per_role, 48, 48), "labs_ex": 0 * folds[:, :1] - 1}
    scipy.io.savemat(path, {**layout, "folds": folds})


@pytest.mark.slow
def test_gan_tfd_trains_two_stages(example, tmp_path, capsys):
    write_database(tmp_path / "TFD_48x48.mat")
    out = tmp_path / "out"
    cut = ["--epochs", "1", "--stacked-epochs", "1", "--units", "100", "--samples", "50"]
    data = ["--data", str(tmp_path / "TFD_48x48.mat"), "--output", str(out)]
    example("gan_tfd").main([*data, *cut, "--recipe", "ema"])
    stage = ["curves.png", "history.json", "samples/epoch-0001.png"]
    stages = [f"stage_{number}/{name}" for number in (1, 2) for name in stage]
    assert files(out) == ["gan.keras", *stages]
    for number in (1, 2):
        history = json.loads((out / f"stage_{number}/history.json").read_text())
        assert {"d_loss", "g_loss", "d_real", "d_fake", "r1"} == set(history)
        assert all(np.isfinite(values).all() for values in history.values())
    gan = keras.models.load_model(out / "gan.keras", compile=False)
    weights = 101 * 100 + 101 * 100 + (101 * 100 + 101 * 100 + 101 * 2304)
    assert gan.generator.count_params() == weights
    assert gan.prior.get_config() == kg.priors.Normal(shape=(100,)).get_config()
    printed = capsys.readouterr().out
    assert re.search(r"log-likelihood: -?\d+ ± \d+ nats over five folds \(the file's own", printed)
    assert str(out) in printed


def test_the_likelihood_is_the_mean_over_folds_that_differ(example, olivetti, tmp_path):
    path, _ = olivetti
    module = example("gan_tfd")
    module.convert_olivetti(path, tmp_path / "faces.mat")
    source = f"tfd:{tmp_path / 'faces.mat'}"
    samples = kg.datasets.load_arrays(source, "unlabeled")
    folds = []
    for fold in range(5):
        validation, test = kg.datasets.load_arrays(source, ("valid", "test"), fold=fold)
        folds.append(kg.metrics.ParzenWindow(validation, dtype="float64")(test, samples).log_likelihood)
    assert len(set(folds)) == 5
    mean, error = module.log_likelihood(samples, source)
    assert mean == pytest.approx(sum(folds) / 5)
    assert error == pytest.approx((sum((fold - mean) ** 2 for fold in folds) / 5 / 5) ** 0.5)


def test_gan_tfd_reports_the_dataset(example, olivetti, tmp_path, capsys, monkeypatch):
    path, _ = olivetti
    module = example("gan_tfd")
    monkeypatch.setattr(module, "play", lambda *args: tiny_gan((48, 48, 1)))
    output = ["--units", "100", "--samples", "50", "--output", str(tmp_path / "out")]
    module.main(["--olivetti", str(path), *output])
    assert files(tmp_path / "out") == ["gan.keras", "olivetti_48x48.mat"]
    assert "nats over five folds (Olivetti faces, not the Toronto database)" in capsys.readouterr().out


def test_gan_tfd_without_faces_raises(example, capsys):
    with pytest.raises(SystemExit):
        example("gan_tfd").main([])
    assert "one of the arguments --data --olivetti is required" in capsys.readouterr().err


# CIFAR-10.


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """A tiny CIFAR-10, 20 training images of noise, prepared as the real one is."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    images = random_images(20, 32, 32, 3)
    features = tfds.features.FeaturesDict(
        {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(shape=(32, 32, 3)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
    )
    content = {"id": ["train"] * 20, "image": images, "label": np.arange(20) % 10}
    rows = tf.data.Dataset.from_tensor_slices(content)
    with contextlib.redirect_stderr(io.StringIO()):
        tfds.dataset_builders.store_as_tfds_dataset(
            name="cifar10",
            version="3.0.2",
            features=features,
            split_datasets={"train": rows},
            data_dir=tmp_path / "data",
        )
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))


def test_contrast_normalization_gives_norm_55(example):
    images = random_images(5, 32, 32, 3).astype("float32") / 255
    found = example("gan_cifar10").contrast_normalised(images)
    rows = images.reshape(5, -1).astype("float64")
    centered = rows - rows.mean(axis=1, keepdims=True)
    expected = 55 * centered / np.linalg.norm(centered, axis=1, keepdims=True)
    np.testing.assert_allclose(found.reshape(5, -1), expected, rtol=1e-4, atol=1e-5)
    flat = example("gan_cifar10").contrast_normalised(np.full((1, 32, 32, 3), 0.5, "float32"))
    np.testing.assert_array_equal(flat, 0)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["dense", "conv"])
def test_gan_cifar10_writes_samples_curves_history_and_model(
    example, cifar10, tmp_path, capsys, network
):
    out = tmp_path / "out"
    cut = ["--epochs", "1", "--units", "100", "--recipe", "ema", "--output", str(out)]
    module = example("gan_cifar10")
    module.main(["--network", network, "--split", "train[:8]", *cut])
    assert files(out) == ["curves.png", "gan.keras", "history.json", "samples/epoch-0001.png"]
    height, width = 6 * 66 + 2, 8 * 66 + 2
    picture = read(out / "samples/epoch-0001.png")
    assert picture.shape[0] == height
    assert picture.shape[1] > width + 64  # the column of nearest training images
    history = json.loads((out / "history.json").read_text())
    assert all(np.isfinite(values).all() for values in history.values())
    gan = keras.models.load_model(out / "gan.keras", compile=False)
    expected = {
        "dense": kg.architectures.cifar10_generator,
        "conv": kg.architectures.cifar10_conv_generator,
    }
    assert gan.generator.count_params() == expected[network](units=100).count_params()
    assert str(out) in capsys.readouterr().out


def test_gan_cifar10_takes_the_first_40000_of_50000(example):
    assert example("gan_cifar10").SPLIT == "train[:80%]"


# Figure 2.


def test_figure_2_frames_nearest_training_images(example, tmp_path, capsys):
    gan = tiny_gan((28, 28, 1))
    gan.save(tmp_path / "gan.keras")
    out = tmp_path / "out"
    model = ["--model", str(tmp_path / "gan.keras"), "--output", str(out)]
    example("figure_2").main([*model, "--rows", "3", "--columns", "2", "--seed", "4"])
    assert files(out) == ["figure_2.png"]
    picture = read(out / "figure_2.png")
    assert picture.shape == (3 * 58 + 2, 3 * 58 + 2, 3)
    yellow = (picture == YELLOW).all(axis=2)
    left = 2 * 58
    expected = np.zeros_like(yellow)
    expected[:, left : left + 2] = expected[:, -2:] = True
    expected[:2, left:] = expected[-2:, left:] = True
    np.testing.assert_array_equal(yellow, expected)

    samples = gan.generate(6, seed=4)
    images = kg.datasets.load_arrays("mnist5k", "train[:4000]")
    for row, shown in enumerate(cells(picture, 3, 3, 56)):
        last = samples[2 * row + 1]
        best = min(images, key=lambda image, last=last: float(((image - last) ** 2).sum()))
        wanted = [samples[2 * row], last, best]
        for cell, image in zip(shown, wanted, strict=True):
            np.testing.assert_array_equal(cell[::2, ::2, 0], np.rint(255 * image[..., 0]))
    assert str(out / "figure_2.png") in capsys.readouterr().out


def test_figure_2_finds_each_row_the_image_nearest_to_its_last_sample(example, rng):
    images = random_images(30, 56, 56, 1) / np.float32(255)
    chosen = [7, 3, 21, 0, 29, 12]
    samples = np.clip(images[chosen] + rng.normal(0, 0.1, images[chosen].shape), 0, 1)
    picture = example("figure_2").draw_panel(samples.astype("float32"), images, columns=3)
    shown = cells(picture, 2, 4, 56)
    for row, nearest in enumerate([21, 12]):
        np.testing.assert_array_equal(shown[row][3][..., 0], np.rint(255 * images[nearest, ..., 0]))


def test_figure_2_centers_contrast_normalized_images_at_gray(example, cifar10, tmp_path):
    tiny_gan((32, 32, 3), "linear").save(tmp_path / "gan.keras")
    model = ["--model", str(tmp_path / "gan.keras"), "--dataset", "cifar10"]
    example("figure_2").main([*model, "--rows", "1", "--columns", "1", "--output", str(tmp_path)])
    picture = read(tmp_path / "figure_2.png")
    [[_, nearest]] = cells(picture, 1, 2, 64)
    normalized = example("gan_cifar10").training_images()
    shown = [np.rint(255 * np.clip(image / 5 + 0.5, 0, 1)) for image in normalized]
    assert len(shown) == 16  # four fifths of 20
    assert any(np.array_equal(nearest[::2, ::2], image) for image in shown)


def test_figure_2_finds_faces(example, tmp_path):
    write_database(tmp_path / "TFD_48x48.mat")
    images = example("figure_2").training_images(f"tfd:{tmp_path}")
    assert images.shape == (6, 48, 48, 1)


def test_figures_2_and_3_train_missing_models_and_load_others(example, tmp_path, monkeypatch):
    asked = []

    def train(argv):
        asked.append(argv)
        tiny_gan((28, 28, 1)).save(folder / "gan.keras")

    folder = tmp_path / "gan_mnist5k"
    folder.mkdir()
    monkeypatch.setattr(example("gan_mnist"), "main", train)
    example("figure_2").main(["--output", str(tmp_path / "figure_2")])
    example("figure_3").main(["--output", str(tmp_path / "figure_3")])
    assert asked == [["--dataset", "mnist5k", "--output", str(folder)]]
    assert read(tmp_path / "figure_2/figure_2.png").shape == (4 * 58 + 2, 6 * 58 + 2, 3)
    assert read(tmp_path / "figure_3/figure_3.png").shape == (4 * 58 + 2, 14 * 58 + 2)


# Figure 3.


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_figure_3_interpolates_between_latents(example, tmp_path, capsys, path):
    gan = tiny_gan((28, 28, 1))
    gan.save(tmp_path / "gan.keras")
    model = ["--model", str(tmp_path / "gan.keras"), "--path", path, "--output", str(tmp_path / "out")]
    example("figure_3").main([*model, "--rows", "2", "--steps", "3", "--seed", "5"])
    assert files(tmp_path / "out") == ["figure_3.png"]
    shown = cells(read(tmp_path / "out/figure_3.png"), 2, 3, 56)
    # The latents of `generate` with the same seed are the ends: two starts, then two ends.
    ends = np.rint(255 * gan.generate(4, seed=5)[..., 0])
    latents = np.float64(ops.convert_to_numpy(gan.prior.sample(4, 5)))
    for row in range(2):
        np.testing.assert_array_equal(shown[row][0][::2, ::2], ends[row])
        np.testing.assert_array_equal(shown[row][2][::2, ::2], ends[row + 2])
        start, end = latents[row], latents[row + 2]
        middle = (start + end) / 2
        if path == "spherical":
            directions = start / np.linalg.norm(start) + end / np.linalg.norm(end)
            length = (np.linalg.norm(start) + np.linalg.norm(end)) / 2
            middle = length * directions / np.linalg.norm(directions)
        image = gan.generate(latents=middle[None])[0, ..., 0]
        assert np.abs(shown[row][1][::2, ::2] - 255 * image).max() < 0.51
    assert f"on a {path} path" in capsys.readouterr().out


def test_parzen_anchors_rank_codebook_digits_and_noise(example, capsys):
    example("parzen_anchors").main(["--samples", "400"])
    printed = capsys.readouterr().out
    found = {
        name: float(re.search(rf"{name} +fine grid +(\S+) ±", printed)[1])
        for name in ("training digits", "codebook of k-means", "normal distribution")
    }
    assert found["codebook of k-means"] > found["training digits"] + 20
    assert found["training digits"] > found["normal distribution"] + 20


def test_lloyd_step_equals_scikit_learn(example):
    rng = np.random.default_rng(0)
    images = rng.random((300, 5)).astype("float32")
    kmeans = KMeans(20, init=images[:20], n_init=1, max_iter=1, algorithm="lloyd")
    kmeans.fit(images)
    found = example("parzen_anchors").codebook(images, images[:20])
    np.testing.assert_allclose(found, kmeans.cluster_centers_, atol=1e-6)

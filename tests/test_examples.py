"""The examples, each run with a cut, and what they leave behind."""

import importlib.util
import json
import pathlib
import re

import keras
import numpy as np
import pytest
from helpers.games import slow_on_jax
from PIL import Image
from scipy.spatial.distance import cdist

import keras_gan as kg

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run an example in a folder of its own, with other constants, and return the folder."""
    monkeypatch.syspath_prepend(EXAMPLES)  # examples import from each other

    def run_example(name, *argv, **constants):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        vars(module).update(constants)
        module.main([*argv, "--output", str(tmp_path / "out")])
        return tmp_path / "out"

    return run_example


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def grid_shape(rows, columns, side):
    """Height and width of a grid of images, which thin lines of two pixels part and surround."""
    return rows * (side + 2) + 2, columns * (side + 2) + 2


def cells(picture, rows, columns, side):
    """Cut a grid back into its images."""
    step = side + 2
    return [
        picture[2 + y * step :, 2 + x * step :][:side, :side]
        for y in range(rows)
        for x in range(columns)
    ]


def number(pattern, text):
    """The number that a printed line gives."""
    return float(re.search(pattern, text)[1])


@pytest.mark.slow
def test_figure_1_draws_four_panels(run, capsys):
    out = run("figure_1", "--epochs", "1", "--examples", "2500")
    assert files(out) == ["figure_1.png"]
    picture = read(out / "figure_1.png")[..., :3].astype(int)
    height, width = picture.shape[:2]
    assert (height, width) == (400, 1100)
    colors = {"samples": (0, 128, 0), "discriminator": (0, 0, 255), "data": (0, 0, 0)}
    curves = picture[height * 15 // 100 : height * 60 // 100]  # between the titles and the arrows
    for panel in np.array_split(curves, 4, axis=1):
        for name, color in colors.items():
            assert (np.abs(panel - color).max(axis=2) < 40).sum() > 50, name
    printed = capsys.readouterr().out
    assert 2 < number(r"mean (\S+)", printed) < 6
    assert str(out / "figure_1.png") in printed


@pytest.mark.slow
def test_stacked_digits_counts_modes_of_each_recipe(run, capsys):
    """Only the recipe of R3GAN reaches more modes than a few; longer runs are in the docs."""
    out = run("stacked_digits", "--steps", "600", "--samples", "500", "--recipes", "plain", "r3gan")
    assert files(out) == ["plain.png", "r3gan.png"]
    printed = capsys.readouterr().out
    modes = {name: number(rf"{name} +(\d+) ", printed) for name in ("plain", "r3gan")}
    assert modes["plain"] < 25 < modes["r3gan"] <= 100


@pytest.mark.slow
def test_conditional_digits_draws_ten_rows(run, capsys):
    cut = ["--epochs", "1", "--batch-size", "500", "--samples", "100"]
    out = run("conditional_digits", *cut)
    left = ["curves.json", "curves.png", "gan.keras", "samples/epoch-0001.png", "samples/samples.gif"]
    assert [file for file in files(out) if not file.startswith("resume/")] == left
    picture = read(out / "samples/epoch-0001.png")
    assert picture.shape == grid_shape(10, 10, 56)
    assert len({cell.tobytes() for cell in cells(picture, 10, 10, 56)}) == 100
    printed = capsys.readouterr().out
    assert str(out / "samples/epoch-0001.png") in printed

    # What was printed, again from the file and by another use of the classifier.
    gan = keras.models.load_model(out / "gan.keras")
    requested = np.tile(np.arange(10), 10)
    samples = gan.generate(100, seed=1, condition=requested, use_ema=True)
    models = EXAMPLES.parent / "saved_models"
    judge = kg.metrics.DigitClassifier(models / "digit_classifier.keras")
    right = (judge.probabilities(samples).argmax(axis=1) == requested).mean()
    assert number(r"reads (\S+)%", printed) == pytest.approx(100 * right, abs=0.06)


@pytest.mark.slow
def test_controls_of_conditional_samples_miss_their_goals(run, capsys):
    cut = ["--epochs", "1", "--batch-size", "400", "--samples", "400"]
    out = run("cgan_mnist", *cut, CLASSIFIER_STEPS=400)
    assert (out / "samples/epoch-0001.png").is_file()
    rows = {}
    for line in capsys.readouterr().out.splitlines():
        found = re.fullmatch(r" *(samples|digits|centroids)((?: +-?[\d.]+){5})  (.+)", line)
        if found:
            rows[found[1]] = ([float(number) for number in found[2].split()], found[3].split(", "))
    assert rows["digits"][1] == ["nearness"]  # copies
    assert {"density", "coverage", "nearness"} <= set(rows["centroids"][1])
    assert {"accuracy", "coverage"} <= set(rows["samples"][1])  # of a GAN that is hardly trained

    # What was printed, again from the file, by formulas of their own.
    gan = keras.models.load_model(out / "gan.keras")
    splits = ("train[:4000]", "train[4000:4500]", "train[4500:]")
    train, validation, test = kg.datasets.load_arrays("mnist5k", splits)
    wanted = np.tile(np.arange(10), 400)
    samples = gan.generate(4000, seed=1, condition=wanted, use_ema=True)
    *_, nearness, parzen = rows["samples"][0]
    again = kg.metrics.ParzenWindow(validation)(real=test, fake=samples)
    assert parzen == pytest.approx(again.log_likelihood, abs=0.06)
    near, far = (cdist(x.reshape(-1, 784), train.reshape(-1, 784)).min(1) for x in (samples, test))
    assert nearness == pytest.approx((near[:, None] < far).mean(), abs=0.001)


@pytest.mark.slow
def test_semi_supervised_digits_prints_errors_of_all_methods(run, capsys):
    out = run("semi_supervised_digits", "--dataset", "mnist5k", "--epochs", "1")
    left = ["gan.keras", "samples/epoch-0001.png"]
    assert [file for file in files(out) if not file.startswith("resume/")] == left
    printed = capsys.readouterr().out

    # What was printed, again from the file and by other code.
    gan = keras.models.load_model(out / "gan.keras")
    (x, y), (test_x, test_y) = kg.datasets.load_arrays(
        "mnist5k", ("train[:4000]", "train[4000:]"), labels=True
    )
    wrong = np.mean(gan.classify(test_x, use_ema=True).argmax(axis=1) != test_y)
    assert number(r"the GAN: (\S+)%", printed) == pytest.approx(100 * wrong, abs=0.006)
    few = kg.datasets.balanced_rows(y, 10, seed=0)
    distances = [np.square(x[few] - image).sum(axis=(1, 2, 3)) for image in test_x]
    wrong = np.mean(y[few][np.argmin(distances, axis=1)] != test_y)
    assert number(r"nearest labeled digit: (\S+)%", printed) == pytest.approx(100 * wrong, abs=0.006)


@pytest.mark.slow
def test_bigan_digits_measures_reconstructions(run, capsys):
    out = run("bigan_digits", "--epochs", "1", "--steps", "20", "--units", "16")
    assert files(out) == ["bigan.keras", "encoder.keras", "gan.keras", "reconstructions.png"]
    assert read(out / "reconstructions.png").shape == grid_shape(5, 12, 56)
    printed = capsys.readouterr().out

    # What was printed, again from the files.
    test = kg.datasets.load_arrays("mnist5k", "train[4500:]").reshape(500, 784)
    for file, line in {"bigan": "BiGAN", "gan": "fitted encoder"}.items():
        gan = keras.models.load_model(out / f"{file}.keras")
        path = out / "encoder.keras"
        encoder = keras.models.load_model(path) if file == "gan" else None
        codes = encoder.predict(test, verbose=0) if encoder else gan.encode(test, use_ema=True)
        made = gan.generate(latents=codes, use_ema=True)
        own, other = (np.sqrt(((made - x) ** 2).sum(axis=1)) for x in (test, test[np.arange(500) - 1]))
        assert number(rf"{line}: .* = (\S+)", printed) == pytest.approx(
            own.mean() / other.mean(), abs=0.001
        )
    # Controls: an encoder that sees nothing does not pass, components that keep half the variance do.
    assert number(r"untrained encoder: .* = (\S+)", printed) > 0.9
    assert number(r"principal components: .* = (\S+)", printed) < 0.5


@pytest.mark.slow
def test_anomalous_digits_prints_areas(run, capsys):
    out = run("anomalous_digits", "--digits", "0", "1", "--steps", "4", "--units", "16")
    printed = capsys.readouterr().out
    areas = {int(line[0]): line[1:] for line in np.genfromtxt(printed.splitlines()[1:3])}

    # The last BiGAN's scores again, by counting pairs.
    gan = keras.models.load_model(out / "gan.keras")
    train, test = kg.datasets.load_arrays("mnist5k", ("train[:4500]", "train[4500:]"), labels=True)
    (x, digits), (images, classes) = train, test
    seen, images = x[digits == 1].reshape(-1, 784), images.reshape(-1, 784)
    centered = seen - seen.mean(axis=0)
    axes = np.linalg.svd(centered, full_matrices=False)[2][:30]
    rest = images - seen.mean(axis=0)
    rest = rest - rest @ axes.T @ axes
    scores = {0: gan.anomaly_scores(images, use_ema=True), 2: np.square(rest).sum(axis=1)}
    for column, values in scores.items():
        higher = values[classes != 1][:, None] > values[classes == 1]
        assert areas[1][column] == pytest.approx(higher.mean(), abs=1e-3)


@pytest.mark.slow
def test_complete_digits_draws_and_measures(run, capsys):
    cut = ["--epochs", "1", "--batch-size", "500", "--digits", "60"]
    out = run("complete_digits", *cut)
    assert files(out) == ["completions.png", "gan.keras"]
    assert read(out / "completions.png").shape == grid_shape(12, 10, 56)
    printed = capsys.readouterr().out.replace("%", "")
    names = (
        "completions",
        "untrained",
        "black",
        "halves of other digits",
        "halves of nearest digits",
        "true halves",
    )
    table = {
        name: np.array(re.search(rf"^{name} +(.*)$", printed, re.MULTILINE)[1].split(), "float")
        for name in names
    }
    # Controls: each fails one measure, and the true halves pass all but the last.
    assert table["black"][1] < 20
    assert table["untrained"][1] < 20
    assert table["halves of other digits"][1] < 20
    assert table["untrained"][3] < 1.2
    assert table["true halves"][1] > 60
    assert table["true halves"][0] > 97

    # What was printed of whole images, again from the file.
    gan = keras.models.load_model(out / "gan.keras")
    judge = kg.metrics.DigitClassifier("digit_classifier")
    images, digits = kg.datasets.load_arrays("mnist5k", "train[4500:]", labels=True)
    right = []
    for side in range(4):
        mask = np.zeros((28, 28, 1))
        mask[[np.s_[:14], np.s_[14:], np.s_[:, :14], np.s_[:, 14:]][side]] = 1
        completed = gan.complete(images[:60], mask, 20, seed=0, use_ema=True)
        readings = judge.probabilities(completed.reshape(-1, 28, 28, 1)).argmax(axis=1)
        right.append((readings.reshape(20, 60) == digits[:60]).mean())
    assert table["completions"][0] == pytest.approx(100 * np.mean(right), abs=0.06)


@slow_on_jax
def test_dcgan_digits_draws_a_grid_each_epoch(run, capsys, tmp_path, rng):
    (tmp_path / "images").mkdir()
    for number_of_image in range(20):
        noise = Image.fromarray(rng.integers(256, size=(40, 36), dtype="uint8"))
        noise.save(tmp_path / "images" / f"{number_of_image}.png")
    dataset = f"folder:{tmp_path / 'images'}"
    out = run("dcgan_digits", "--dataset", dataset, "--epochs", "2", "--batch-size", "10")
    pictures = ["samples/epoch-0001.png", "samples/epoch-0002.png"]
    assert files(out) == ["curves.png", *pictures, "samples/samples.gif"]
    before, after = (read(out / picture) for picture in pictures)
    assert before.shape == after.shape == grid_shape(8, 10, 64)
    assert len({cell.tobytes() for cell in cells(after, 8, 10, 64)}) == 80
    assert not np.array_equal(before, after)
    with Image.open(out / "samples/samples.gif") as film:
        assert film.n_frames == 2
    assert read(out / "curves.png").ndim == 3
    assert str(out) in capsys.readouterr().out


def test_gan_mnist_writes_samples_curves_history_and_likelihood(run, capsys):
    out = run("gan_mnist", "--epochs", "1", "--batch-size", "2000", "--samples", "100")
    left = ["curves.json", "curves.png", "gan.keras", "history.json"]
    samples = ["samples/epoch-0001.png", "samples/samples.gif"]
    assert [file for file in files(out) if not file.startswith("resume/")] == [*left, *samples]
    picture = read(out / "samples/epoch-0001.png")
    height, width = grid_shape(6, 8, 56)
    assert picture.shape[0] == height
    assert picture.shape[1] > width + 56  # the column of nearest training digits
    assert len({cell.tobytes() for cell in cells(picture, 6, 8, 56)}) == 48
    assert read(out / "curves.png").ndim == 3
    history = json.loads((out / "history.json").read_text())
    assert {"d_loss", "g_loss", "d_real", "d_fake"} <= set(history)
    assert all(np.isfinite(values).all() for values in history.values())
    printed = capsys.readouterr().out
    measured = number(r"log-likelihood: (-?[\d.]+)", printed)
    assert str(out) in printed

    # What was printed, again from the files alone.
    gan = keras.models.load_model(out / "gan.keras")
    validation, test = kg.datasets.load_arrays("mnist5k", ("train[4000:4500]", "train[4500:]"))
    samples = gan.generate(100, seed=0, use_ema=True)
    again = kg.metrics.ParzenWindow(validation)(real=test, fake=samples)
    assert measured == pytest.approx(again.log_likelihood, abs=0.06)


@pytest.mark.slow
def test_gan_mnist_with_the_recipe_of_2014(run):
    cut = ["--epochs", "1", "--batch-size", "2000", "--samples", "100"]
    gan = keras.models.load_model(run("gan_mnist", "--recipe", "paper", *cut) / "gan.keras")
    assert isinstance(gan.d_optimizer, kg.optimizers.MomentumSGD)
    assert type(gan.update).__name__ == "Simultaneous"
    assert gan.ema is None
    assert not gan.terms


@pytest.mark.slow
def test_train_digit_generator_saves_the_ema_generator(run, capsys):
    out = run("train_digit_generator", "--epochs", "1", "--batch-size", "400", "--samples", "100")
    assert (out / "digit_generator/epoch-0001.png").is_file()
    printed = capsys.readouterr().out
    gan = keras.models.load_model(out / "digits.keras")
    assert not gan.compiled
    validation, test = kg.datasets.load_arrays("mnist5k", ("train[4000:4500]", "train[4500:]"))
    again = kg.metrics.ParzenWindow(validation)(real=test, fake=gan.generate(100, seed=0))
    assert number(r"log-likelihood: (-?[\d.]+)", printed) == pytest.approx(
        again.log_likelihood, abs=0.06
    )
    assert str(out / "digits.keras") in printed


def test_bundled_generator_draws_digits():
    """By a measure and a classifier that know nothing of it."""
    models = EXAMPLES.parent / "saved_models"
    gan = keras.models.load_model(models / "digits.keras")
    samples = gan.generate(1000, seed=1)
    validation, test = kg.datasets.load_arrays("mnist5k", ("train[4000:4500]", "train[4500:]"))
    result = kg.metrics.ParzenWindow(validation)(real=test, fake=samples)
    assert result.log_likelihood > 90  # 110; 1,000 training digits in their place reach 136
    judge = kg.metrics.DigitClassifier(models / "digit_classifier.keras")
    score = kg.metrics.InceptionScore(judge)(real=test, fake=samples)
    assert score.values["inception_score"] > 7  # 8.3; of training digits 9.4


# Searches run on every backend in test_tuner.py.
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bayesian", "random", "hyperband"])
def test_tune_gan_prints_trials_and_two_measurements(kind, run, capsys):
    cut = ["--trials", "2", "--epochs", "3", "--samples", "50", "--final-samples", "100"]
    out = run("tune_gan", "--tuner", kind, *cut)
    printed = capsys.readouterr().out
    table = (out / f"{kind}.md").read_text()
    assert table in printed
    assert table.count("| completed |") + table.count("| failed |") >= 2
    best = keras.models.load_model(out / "best.keras")
    validation, test = kg.datasets.load_arrays("mnist5k", ("train[4000:4500]", "train[4500:]"))
    samples = best.generate(100, seed=0, use_ema=True)
    again = kg.metrics.ParzenWindow(validation)(real=test, fake=samples)
    assert number(r"best: (-?[\d.]+)", printed) == pytest.approx(again.log_likelihood, abs=0.06)
    assert number(r"default: (-?[\d.]+)", printed) != number(r"best: (-?[\d.]+)", printed)

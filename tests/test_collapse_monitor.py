import copy
import math
import warnings

import keras
import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

import keras_gan as kg
from keras_gan.callbacks import CollapseMonitor

POINTS = np.random.default_rng(0).normal(size=(300, 2)).astype("float32")
HEALTHY = {"d_loss": 1.3, "g_loss": 0.7, "d_real": 0.6, "d_fake": 0.4}


class Scripted(keras.Sequential):
    """A model with samples and logs made up for each epoch; it stands in for a GAN."""

    def __init__(self, samples=POINTS, steps=10_000):
        super().__init__([keras.Input((1,)), keras.layers.Dense(1)])
        self.compile(loss="mse", run_eagerly=True)
        self.optimizer.iterations.assign(steps)
        self.samples = samples

    def generate(self, n, seed=None, condition=None, batch_size=None, use_ema=False):
        return np.asarray(self.samples)[:n]


def ours(caught):
    """Return the messages of this package, not what Keras and NumPy warn each other of."""
    return [str(w.message) for w in caught if issubclass(w.category, UserWarning)]


def watch(monitor, logs, samples=None, model=None):
    """Return the warnings of each epoch, for logs and samples of each epoch."""
    model = model or Scripted()
    monitor.set_model(model)
    monitor.set_params({"epochs": len(logs)})
    monitor.on_train_begin()
    samples = samples or [POINTS] * len(logs)
    found = []
    for epoch, (changes, model.samples) in enumerate(zip(logs, samples, strict=True)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            monitor.on_epoch_end(epoch, {**HEALTHY, **changes})
        found.append(ours(caught))
    return found


def epochs_of(found):
    return [number for number, messages in enumerate(found, start=1) if messages]


def test_logged_values():
    """Against SciPy's distances."""
    rng = np.random.default_rng(1)
    real, fake = rng.normal(size=(40, 3, 2)), rng.normal(size=(60, 3, 2))
    fake[1:20] = fake[0] + 1e-3 * rng.normal(size=(19, 3, 2))
    monitor = CollapseMonitor(real, num_samples=60)
    monitor.set_model(Scripted(fake))
    monitor.on_train_begin()
    logs = {}
    monitor.on_epoch_end(0, logs)
    # As many samples as real images.
    real, fake = real.reshape(40, -1), fake[:40].reshape(40, -1)
    assert logs["val_diversity"] == pytest.approx(pdist(fake).mean() / pdist(real).mean(), rel=1e-9)
    nearest = [np.sort(cdist(images, images), axis=1)[:, 1] for images in (real, fake)]
    share = np.mean(nearest[1] < np.median(nearest[0]) / 10)
    assert logs["val_duplicates"] == share
    assert 0.4 < share < 0.6


def test_diversity_of_k_repeated_images():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(256, 500))
    logs = {}
    monitor = CollapseMonitor(real)
    for k in (1, 2, 5):
        monitor.set_model(Scripted(np.resize(rng.normal(size=(k, 500)), (256, 500))))
        monitor.on_train_begin()
        monitor.on_epoch_end(0, logs := {})
        assert logs["val_diversity"] == pytest.approx(1 - 1 / k, abs=0.02)
        assert logs["val_duplicates"] == 1.0


def test_real_images_are_drawn_from_the_whole_array():
    sorted_points = np.sort(np.random.default_rng(0).normal(size=(5000, 1)), axis=0)
    monitor = CollapseMonitor(sorted_points, num_samples=100)
    monitor.set_model(Scripted(np.random.default_rng(1).permutation(sorted_points)))
    monitor.on_train_begin()
    monitor.on_epoch_end(0, logs := {})
    assert logs["val_diversity"] == pytest.approx(1, abs=0.15)


def test_winning_discriminator_warns_once_until_it_recovers():
    won, even = {"d_real": 0.97, "d_fake": 0.02}, {}
    logs = [won, won, even, won, won, won, won, won, even, won, won, won]
    found = watch(CollapseMonitor(POINTS), logs)
    assert epochs_of(found) == [6, 12]
    (message,) = found[5]
    assert "after epoch 6: the discriminator wins: D(x) = 0.97 and D(G(z)) = 0.02, more" in message
    assert "kg.terms.R1(weight=1.0)" in message
    assert "NonSaturating(label_smoothing=0.1)" in message


@pytest.mark.parametrize(
    ("margin", "patience", "epochs"), [(0.9, 2, [2]), (0.96, 2, []), (0.9, 4, [4]), (0.9, 5, [])]
)
def test_margin_and_patience(margin, patience, epochs):
    logs = 4 * [{"d_real": 0.97, "d_fake": 0.02}]
    assert epochs_of(watch(CollapseMonitor(POINTS, margin=margin, patience=patience), logs)) == epochs


@pytest.mark.parametrize(
    ("loss", "warned"),
    [("non_saturating", True), ("least_squares", True), ("wasserstein", False), ("hinge", False)],
)
def test_critic_scores_are_not_treated_as_probabilities(loss, warned):
    model = Scripted()
    model.loss = kg.losses.get(loss)
    found = watch(CollapseMonitor(POINTS), 3 * [{"d_real": 0.97, "d_fake": 0.02}], model=model)
    assert (epochs_of(found) == [3]) == warned


@pytest.mark.parametrize("scores", [{"d_real": 7.0, "d_fake": 0.1}, {"d_real": 0.9, "d_fake": -3.0}])
def test_means_outside_the_unit_interval_are_not_treated_as_probabilities(scores):
    assert epochs_of(watch(CollapseMonitor(POINTS), 4 * [scores])) == []


def test_losing_discriminator_warns_once_until_it_recovers():
    lost, even = {"d_real": 0.48, "d_fake": 0.48}, {}
    logs = [lost, lost, even, lost, lost, lost, lost, even, lost, lost, lost]
    found = watch(CollapseMonitor(POINTS), logs)
    assert epochs_of(found) == [6, 11]
    (message,) = found[5]
    assert "epoch 6: the discriminator loses: D(x) = 0.48 is not above D(G(z)) = 0.48, " in message
    assert "discriminator_steps=2" in message
    assert epochs_of(watch(CollapseMonitor(POINTS), 4 * [lost], model=Scripted(steps=1999))) == []
    scores = {"d_real": -0.5, "d_fake": 0.5}
    assert epochs_of(watch(CollapseMonitor(POINTS), 4 * [scores])) == []


def test_use_ema_monitors_the_ema():
    for use_ema in (False, True):
        model, asked = Scripted(), []
        model.generate = lambda n, use_ema, asked=asked, **how: asked.append(use_ema) or POINTS[:n]
        watch(CollapseMonitor(POINTS, use_ema=use_ema), [{}], model=model)
        assert asked == [use_ema, use_ema]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_real_images_in_a_different_value_range(dtype):
    levels = np.random.default_rng(0).integers(0, 256, (300, 2)).astype(dtype)
    monitor = CollapseMonitor(levels)
    message = r"lie in \[0.*, 0.9.*\]. Received: integers up to 25\d.*`real / 127.5 - 1` for tanh"
    with pytest.raises(ValueError, match=message):
        watch(monitor, [{}], model=Scripted(levels[:100] / 256))
    assert epochs_of(watch(monitor, [{}], [levels], model=Scripted(levels))) == []
    # Black and white pixels, and distant points, are not levels of 8 bits.
    for real in (levels > 127, levels / 7):
        assert epochs_of(watch(CollapseMonitor(np.asarray(real, "float32")), [{}])) == []


def test_two_monitors_in_one_fit():
    monitors = [CollapseMonitor(POINTS), CollapseMonitor(POINTS)]
    logs = {**HEALTHY}
    for monitor in monitors:
        monitor.set_model(Scripted())
        monitor.set_params({"epochs": 1})
        monitor.on_train_begin()
    monitors[0].on_epoch_end(0, logs)
    with pytest.raises(ValueError, match=r"'val_duplicates'\], which .* Use one CollapseMonitor"):
        monitors[1].on_epoch_end(0, logs)


def copies(k, n=256):
    return np.resize(np.random.default_rng(0).normal(size=(k, 2)), (n, 2))


def test_collapse_warns_once_until_it_recovers():
    samples = [POINTS, *3 * [copies(1)], *2 * [copies(1)], POINTS, *3 * [copies(20)]]
    found = watch(CollapseMonitor(POINTS), len(samples) * [{}], samples)
    assert epochs_of(found) == [4, 10]
    assert (
        "after epoch 4: the samples are alike: their diversity is 0 of that of the real" in found[3][0]
    )
    assert "100% are near-duplicates" in found[9][0]
    assert "discriminator_steps=2" in found[9][0]


def test_collapse_thresholds():
    rng = np.random.default_rng(0)
    for scale, diversity, warned in ((0.35, 0.4, True), (0.45, 0.4, False), (0.35, 0.3, False)):
        samples = 3 * [scale * rng.normal(size=(256, 2))]
        found = watch(CollapseMonitor(POINTS, diversity=diversity), 3 * [{}], samples)
        assert bool(epochs_of(found)) == warned
    half = np.concatenate([copies(2, 128), rng.normal(size=(128, 2))])
    for duplicates, warned in ((0.4, True), (0.6, False)):
        found = watch(CollapseMonitor(POINTS, duplicates=duplicates), 3 * [{}], 3 * [half])
        assert bool(epochs_of(found)) == warned


def test_untrained_generator_does_not_warn():
    samples = 5 * [copies(1)]
    young = Scripted(steps=1999)
    assert epochs_of(watch(CollapseMonitor(POINTS), 5 * [{}], samples, young)) == []
    assert epochs_of(watch(CollapseMonitor(POINTS, warm_up=1999), 5 * [{}], samples, young)) == [3]


def test_non_finite_losses_warn_immediately_and_once():
    logs = [{}, {"g_loss": math.nan}, {"g_loss": math.inf, "d_loss": math.nan}, {}, {"d_loss": math.inf}]
    found = watch(CollapseMonitor(POINTS), logs)
    assert epochs_of(found) == [2, 5]
    assert "after epoch 2: not finite: g_loss. Training has diverged" in found[1][0]
    assert "clipnorm=1.0" in found[1][0]


def test_non_finite_samples():
    samples = [POINTS, np.where(POINTS > 2, np.nan, POINTS), POINTS]
    found = watch(CollapseMonitor(POINTS), 3 * [{}], samples)
    assert epochs_of(found) == [2]
    assert "not finite: the samples. The generator has diverged" in found[1][0]


def test_stop_ends_training_and_a_second_run_starts_fresh():
    won = {"d_real": 0.99, "d_fake": 0.01}
    model, monitor = Scripted(), CollapseMonitor(POINTS, stop=True)
    model.stop_training = False
    assert epochs_of(watch(monitor, 2 * [won], model=model)) == []
    assert not model.stop_training
    (*_, (message,)) = watch(monitor, 3 * [won], model=model)
    assert message.endswith("Training stops here (`stop=True`).")
    assert model.stop_training


# Real games.


def play(monitor, d_rate=0.002, g_rate=0.002, ignore_latents=False, epochs=8, points=POINTS, **options):
    """Train a small GAN of points in the plane; return the history."""
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    first = [keras.layers.Rescaling(0.0)] if ignore_latents else []
    kernel = {"kernel_initializer": keras.initializers.HeNormal(seed=1)}
    generator = keras.Sequential([keras.Input((2,)), *first, dense(32, "relu", **kernel), dense(2)])
    discriminator = keras.Sequential([keras.Input((2,)), dense(64, "relu"), dense(64, "relu"), dense(1)])
    gan = kg.GAN(generator, discriminator, prior="normal", seed=0)
    adam = [keras.optimizers.Adam(rate, beta_1=0.5) for rate in (d_rate, g_rate)]
    gan.compile(*adam, **options)
    return gan.fit(points, batch_size=30, epochs=epochs, verbose=0, callbacks=[monitor]).history


def test_healthy_run_does_not_warn():
    history = play(CollapseMonitor(POINTS, warm_up=20), terms=[kg.terms.R1(weight=1.0)])
    assert len(history["val_diversity"]) == 8
    assert min(history["val_diversity"][2:]) > 0.6


def test_generator_that_ignores_its_latents():
    with pytest.warns(
        UserWarning, match="the samples are alike: their diversity is 0 of that"
    ) as caught:
        play(CollapseMonitor(POINTS, warm_up=20), ignore_latents=True, terms=[kg.terms.R1(1.0)])
    assert len(ours(caught)) == 1


def test_discriminator_that_learns_too_fast():
    far = POINTS + np.float32(8)
    monitor = CollapseMonitor(far, stop=True)
    with pytest.warns(UserWarning, match=r"discriminator wins: .* Training stops here"):
        history = play(monitor, d_rate=0.1, g_rate=1e-5, points=far)
    assert 3 <= len(history["d_loss"]) < 8


@pytest.mark.filterwarnings("ignore:`x` has numbers that are not finite")
def test_diverging_run():
    flawed = np.where(np.arange(300)[:, None] == 7, np.nan, POINTS).astype("float32")
    with pytest.warns(UserWarning, match="not finite: d_loss and g_loss") as caught:
        play(CollapseMonitor(POINTS), points=flawed, epochs=2)
    assert sum("CollapseMonitor" in message for message in ours(caught)) == 1


def test_training_data_as_a_dataset():
    images = POINTS.reshape(300, 1, 2, 1)
    labels = np.zeros(300, "int32")
    dataset = kg.datasets.load((images, labels), batch_size=50, labels=True, seed=3, value_range=(-5, 5))
    monitor = CollapseMonitor(dataset, num_samples=100)
    model = Scripted(images)
    watch(monitor, [{}], [images], model)
    assert int(dataset.epoch.numpy()) == 0
    assert copy.deepcopy(monitor).real is dataset


def test_deep_copies_do_not_share_model_or_state():
    won = {"d_real": 0.99, "d_fake": 0.01}
    monitor = CollapseMonitor(POINTS)
    watch(monitor, 2 * [won])
    twin = copy.deepcopy(monitor)
    assert monitor.model is not None
    assert twin.model is None
    assert twin.real is POINTS
    assert epochs_of(watch(twin, 3 * [won])) == [3]
    with pytest.warns(UserWarning, match="the discriminator wins"):
        monitor.on_epoch_end(2, {**HEALTHY, **won})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"diversity": 1.2}, "`diversity` must be a finite number >= 0 and <= 1. Received: 1.2"),
        ({"duplicates": -0.1}, "`duplicates` must be a finite number >= 0 and <= 1. Received: -0.1"),
        ({"margin": "0.9"}, "`margin` must be a finite number >= 0 and <= 1. Received: '0.9'"),
        ({"patience": 0}, "`patience` must be an integer >= 1. Received: 0"),
        ({"warm_up": -1}, "`warm_up` must be an integer >= 0. Received: -1"),
        ({"num_samples": 1}, "`num_samples` must be an integer >= 2. Received: 1"),
        ({"seed": 1.5}, "`seed` must be an integer >= 0. Received: 1.5"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        CollapseMonitor(POINTS, **arguments)


@pytest.mark.parametrize("real", [POINTS[:1], np.ones((9, 2)), POINTS[:, :1], POINTS[:0]])
def test_invalid_real_images(real):
    message = r"two distinct images|the samples, \(2,\). Received: \(1,\)|one or more numbers"
    monitor = CollapseMonitor(real)
    monitor.set_model(Scripted())
    with pytest.raises(ValueError, match=message):
        monitor.on_train_begin()


def test_model_without_generate_raises():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(TypeError, match="CollapseMonitor needs a model with `generate`"):
        model.fit(POINTS, POINTS, verbose=0, callbacks=[CollapseMonitor(POINTS)])


def test_advice_in_warnings_runs():
    """What the warnings recommend exists."""
    from keras_gan.callbacks.collapse_monitor import _HELP

    arguments = "discriminator_steps=2", "clipnorm=1.0"
    for code in {code for text in _HELP.values() for code in text.split("`")[1::2]} - {*arguments}:
        value = eval(code.removeprefix("terms=").removeprefix("loss="), {"kg": kg, "keras": keras})
        assert not isinstance(value, str) or value in kg.losses.LOSSES

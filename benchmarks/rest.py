"""What else costs time or memory: the first step, long runs, evaluation, drawing, loading, feeding."""

import functools
import pathlib
import tempfile
import time

import keras
import numpy as np
import psutil
import tensorflow as tf

import keras_gan as kg
from benchmarks import cases, processes, timing
from benchmarks.table import Row, at_most

BATCHES, WIDTHS = (50, 100, 200, 400), (300, 600, 1200, 2400)
_MEGABYTE = 2**20


def _digits(rows):
    """Return random numbers of the shape of digits."""
    return np.random.default_rng(0).uniform(size=(rows, 28, 28, 1)).astype("float32")


def _compiled(case="mnist", **settings):
    case = cases.CASES[case]
    gan = kg.GAN(*case.nets(), seed=0)
    gan.compile(case.optimizer(), case.optimizer(), **{**case.settings, **settings})
    return gan


def first_step(repeats):
    """From the making of the networks to the end of the first step, each in a new process."""
    for case in ("mnist", "dcgan"):
        seconds = processes.fresh(_first_step, case)
        yield Row("first step", case, seconds, "s", **at_most(10, seconds))


def _first_step(case):
    start = time.perf_counter()
    gan = _compiled(case)
    gan.fit(np.zeros((cases.CASES[case].rows, *gan.sample_shape), "float32"), verbose=0)
    return time.perf_counter() - start


def memory(repeats):
    """Largest memory of a process that trains, and its growth over 200 epochs."""
    for case in ("mnist", "dcgan"):
        for who, make in {"keras_gan": cases.keras_gan, "guide": cases.guide_pattern}.items():
            yield Row("memory peak", f"{who}, {case}", processes.fresh(_peak, case, make), "MiB")
    growth = processes.fresh(_growth)
    yield Row("memory growth, epochs 50 to 200", "keras_gan", growth, "MiB", **at_most(5, growth))


def _peak(case, make):
    make(cases.CASES[case])(20)
    # `ru_maxrss` would count the process that this one was started from.
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _growth():
    """With a validation set and an epoch of 3 steps, of which the last is smaller."""
    process, seen = psutil.Process(), {}

    def look(epoch, logs):
        if epoch in (49, 199):
            seen[epoch] = process.memory_info().rss / _MEGABYTE

    callback = keras.callbacks.LambdaCallback(on_epoch_end=look)
    data = _digits(120)
    _compiled().fit(
        data, batch_size=50, epochs=200, validation_data=(data,), verbose=0, callbacks=[callback]
    )
    return seen[199] - seen[49]


def evaluation(repeats):
    """Parzen windows and FID of 10,000 digits, and the products that the windows cannot do without."""
    samples, queries = _digits(10_000), _digits(10_000)[::-1]
    flat = tf.constant(samples.reshape(len(samples), -1))
    extractor = kg.metrics.DigitClassifier(kg.architectures.digit_classifier(seed=0))
    times = timing.alternate(
        {
            "ten bandwidths": _once(lambda: kg.metrics.select_bandwidth(samples, queries)),
            "products": _once(lambda: tf.matmul(flat, flat, transpose_b=True)),
            "FID": _once(
                lambda: kg.metrics.frechet_distance(
                    _statistics(extractor, samples), _statistics(extractor, queries)
                )
            ),
        },
        repeats,
    )
    for who in ("ten bandwidths", "FID"):
        what = "Parzen windows" if who == "ten bandwidths" else "features of 64 numbers"
        yield Row(
            "evaluation, 10,000 and 10,000 digits",
            f"{what}, {who}",
            times[who].median,
            "s",
            times[who].spread,
        )
    ratio = times["ten bandwidths"].median / times["products"].median
    yield Row("evaluation, 10,000 and 10,000 digits", "Parzen windows / their products", ratio, "×")


def _statistics(extractor, images):
    features = extractor(images)
    statistics = kg.metrics.GaussianStatistics(features.shape[1])
    statistics.update(features)
    return statistics


def generate(repeats):
    """Draw 10,000 digits."""
    gan = _compiled()
    times = timing.alternate({"generate": _once(lambda: gan.generate(10_000, seed=0))}, repeats)
    seconds = times["generate"].median
    yield Row(
        "generate(10_000), mnist",
        "keras_gan",
        seconds,
        "s",
        times["generate"].spread,
        **at_most(1, seconds),
    )


def load(repeats):
    """Load a SavedModel, in a process that did nothing yet but import TensorFlow, and ask it once."""
    with tempfile.TemporaryDirectory() as folder:
        version = kg.export_savedmodel(_compiled(), pathlib.Path(folder) / "digits")
        seconds = sorted(processes.fresh(_load, str(version)) for _ in range(3))[1]
    yield Row("load of an export, and a first sample", "tf.saved_model.load", seconds, "s")


def _load(folder):
    start = time.perf_counter()
    loaded = tf.saved_model.load(folder)
    loaded.signatures["sample"](number=tf.constant(1, tf.int64), seed=tf.constant(1, tf.int64))
    return time.perf_counter() - start


def pipeline(repeats):
    """Feed 60,000 digits of 8 bits: alone, and what it adds to a step."""
    digits = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28, 1), "uint8")
    data = kg.datasets.load(digits, batch_size=100, value_range=(0, 1), seed=0).repeat()
    same = cases.untuned(tf.data.Dataset.from_tensors(_digits(100)).repeat())
    fed, still = _compiled(), _compiled()
    reader = iter(data)

    def read(steps):
        for _ in range(steps):
            next(reader)

    # Long turns: the start of an epoch, which is a tenth of a second, counts as in one of 100 steps.
    times = timing.alternate(
        {
            "alone": read,
            "fed": functools.partial(_fit, fed, data),
            "still": functools.partial(_fit, still, same),
        },
        repeats,
        turn=4.0,
    )
    added = times["fed"].median / times["still"].median - 1
    yield Row(
        "pipeline alone, mnist", "kg.datasets.load", 1e-3 * 100 / times["alone"].median, "k images/s"
    )
    yield Row(
        "pipeline in training, mnist", "kg.datasets.load", 1e-3 * 100 / times["fed"].median, "k images/s"
    )
    yield Row(
        "pipeline's share of a step", "kg.datasets.load", 100 * added, "%", **at_most(3, 100 * added)
    )


def _fit(gan, data, steps):
    gan.fit(data, steps_per_epoch=steps, verbose=0)


def scaling(repeats):
    """Fit the power of the batch size and of the networks' width that a step's time grows with."""
    runs = {}
    for rows in BATCHES:
        runs["batch", rows] = cases.keras_gan(cases.CASES["mnist"]._replace(rows=rows))
    for width in WIDTHS:
        nets = functools.partial(_nets, width)
        runs["width", width] = cases.keras_gan(cases.CASES["mnist"]._replace(nets=nets))
    times = timing.alternate(runs, repeats, turn=0.5)
    for what, sizes in {"batch": BATCHES, "width": WIDTHS}.items():
        seconds = [times[what, size].median for size in sizes]
        power = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        yield Row(f"step against {what}, {sizes[0]} to {sizes[-1]}", "power of its growth", power, "")


def _nets(width):
    def network(inputs, outputs, last):
        hidden = [keras.layers.Dense(width, "relu") for _ in range(2)]
        size = int(np.prod(outputs))
        flat = [keras.layers.Flatten()] if len(inputs) > 1 else []
        return keras.Sequential(
            [
                keras.Input(inputs),
                *flat,
                *hidden,
                keras.layers.Dense(size, last),
                keras.layers.Reshape(outputs),
            ]
        )

    return network((100,), (28, 28, 1), "sigmoid"), network((28, 28, 1), (1,), None)


def replicas(repeats):
    """Share a batch between two replicas of one core each, and give it to one replica of one core."""
    one, two = (processes.fresh(_replicated, number, repeats) for number in (1, 2))
    yield Row("step on 1 replica, mnist, batch 200", "keras_gan", 1e3 * one.median, "ms", one.spread)
    yield Row("step on 2 replicas, mnist, batch 200", "keras_gan", 1e3 * two.median, "ms", two.spread)
    share = one.median / two.median / 2
    yield Row("efficiency of 2 replicas", "keras_gan", 100 * share, "%")


def _replicated(number, repeats):
    """Have each replica compute with one thread, as a device of its own."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * number)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(number)])
    with strategy.scope():
        gan = _compiled()
    data = cases.batches(gan.sample_shape, 200)
    return timing.alternate({"step": functools.partial(_fit, gan, data)}, repeats)["step"]


def _once(function):
    def run(steps):
        for _ in range(steps):
            function()

    return run


SECTIONS = {
    section.__name__: lambda repeats, section=section: list(section(repeats))
    for section in (first_step, memory, evaluation, generate, load, pipeline, scaling, replicas)
}

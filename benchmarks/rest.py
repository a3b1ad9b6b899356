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
from benchmarks import cases, guide, processes, steps, table, timing

BATCHES, WIDTHS = (50, 100, 200, 400), (300, 600, 1200, 2400)
_MEGABYTE = 2**20


def _digits(rows):
    """Return random numbers of the shape of digits."""
    return np.random.default_rng(0).uniform(size=(rows, 28, 28, 1)).astype("float32")


def beginning(repeats):
    """The first step and the memory of a process that trains, in a new process for each turn."""
    games = [("mnist", "keras_gan"), ("mnist", "guide"), ("dcgan", "keras_gan")]
    begun = timing.turns(
        {
            (case, who): functools.partial(processes.fresh, _begun, case, who == "keras_gan")
            for case, who in games
        },
        repeats,
    )
    for (case, who), both in begun.items():
        seconds, peak = (timing.Repeats(list(values)) for values in zip(*both.values, strict=True))
        goal = {"at_most": 10} if who == "keras_gan" else {}
        yield table.row(f"first step, {case}", who, seconds, "s", **goal)
        yield table.row(f"memory peak, {case}", who, peak, "MiB")


def _begun(case, ours):
    """Return seconds from the making of the networks to the end of the first step, and MiB after 20."""
    case = cases.CASES[case]
    start = time.perf_counter()
    run = steps.ours(case) if ours else steps.fitted(guide.pattern(case), case.rows)
    run(1)
    seconds = time.perf_counter() - start
    run(20)
    # `ru_maxrss` would count the process that this one was started from.
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return seconds, next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def growth(repeats):
    """Memory growth over 200 epochs, of which the first 50 fill caches; a size, and measured once."""
    grown = timing.Repeats([processes.fresh(_growth)])
    yield table.row("memory growth, epochs 50 to 200", "keras_gan", grown, "MiB", at_most=5)


def _growth():
    """With a validation set and an epoch of 3 steps, of which the last is smaller."""
    process, seen = psutil.Process(), {}

    def look(epoch, logs):
        if epoch in (49, 199):
            seen[epoch] = process.memory_info().rss / _MEGABYTE

    callback = keras.callbacks.LambdaCallback(on_epoch_end=look)
    data = _digits(120)
    cases.compiled(cases.CASES["mnist"]).fit(
        data, batch_size=50, epochs=200, validation_data=(data,), verbose=0, callbacks=[callback]
    )
    return seen[199] - seen[49]


def evaluation(repeats):
    """Parzen windows and FID of 10,000 digits, and the products that the windows cannot do without."""
    samples, queries = _digits(10_000), _digits(10_000)[::-1]
    flat = tf.constant(samples.reshape(len(samples), -1))
    extractor = kg.metrics.DigitClassifier(kg.architectures.digit_classifier(seed=0))

    def fid():
        return kg.metrics.frechet_distance(*(_statistics(extractor, x) for x in (samples, queries)))

    times = timing.alternate(
        {
            "windows": _each(lambda: kg.metrics.select_bandwidth(samples, queries)),
            "products": _each(lambda: tf.matmul(flat, flat, transpose_b=True)),
            "fid": _each(fid),
        },
        repeats,
    )
    what = "Parzen windows, 10,000 × 10,000 digits, ten bandwidths"
    yield table.row(what, "keras_gan", times["windows"], "s")
    yield table.row(
        f"{what}, of one product", "keras_gan", times["windows"].over(times["products"]), "×"
    )
    yield table.row("FID, 10,000 and 10,000 digits, 64 features", "keras_gan", times["fid"], "s")


def _statistics(extractor, images):
    features = extractor(images)
    statistics = kg.metrics.GaussianStatistics(features.shape[1])
    statistics.update(features)
    return statistics


def generate(repeats):
    """Draw 10,000 digits."""
    gan = cases.compiled(cases.CASES["mnist"])
    times = timing.alternate({"draw": _each(lambda: gan.generate(10_000, seed=0))}, repeats)
    yield table.row("generate(10_000), mnist", "keras_gan", times["draw"], "s", at_most=1)


def load(repeats):
    """Load a SavedModel, in a process that did nothing yet but import TensorFlow, and ask it once."""
    with tempfile.TemporaryDirectory() as folder:
        gan = cases.compiled(cases.CASES["mnist"])
        version = kg.export_savedmodel(gan, pathlib.Path(folder) / "digits")
        loaded = timing.turns({"load": lambda: processes.fresh(_load, str(version))}, repeats)
    yield table.row("load of an export, and a first sample", "tf.saved_model.load", loaded["load"], "s")


def _load(folder):
    start = time.perf_counter()
    loaded = tf.saved_model.load(folder)
    loaded.signatures["sample"](number=tf.constant(1, tf.int64), seed=tf.constant(1, tf.int64))
    return time.perf_counter() - start


def pipeline(repeats):
    """Feed 60,000 digits of 8 bits: alone, and what it adds to a step."""
    digits = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28, 1), "uint8")
    data = kg.datasets.load(digits, batch_size=100, value_range=(0, 1), seed=0).repeat()
    same = steps.untuned(tf.data.Dataset.from_tensors(_digits(100)).repeat())
    fed, still = (cases.compiled(cases.CASES["mnist"]) for _ in range(2))
    reader = iter(data)

    def read(number):
        for _ in range(number):
            next(reader)

    # Long turns: the start of an epoch, which is a tenth of a second, counts as in one of 100 steps.
    times = timing.alternate(
        {
            "alone": read,
            "fed": functools.partial(_fit, fed, data),
            "still": functools.partial(_fit, still, same),
        },
        repeats,
        turn=3.0,
    )
    rates = {who: seconds.rate(0.1) for who, seconds in times.items()}
    yield table.row("pipeline alone, mnist", "kg.datasets.load", rates["alone"], "k images/s")
    yield table.row("pipeline in training, mnist", "kg.datasets.load", rates["fed"], "k images/s")
    added = times["fed"].over(times["still"])
    yield table.row("step, fed / on one batch", "kg.datasets.load", added, "×", at_most=1.03)


def _fit(gan, data, number):
    gan.fit(data, steps_per_epoch=number, verbose=0)


def scaling(repeats):
    """Fit the power of the batch size and of the networks' width that a step's time grows with."""
    mnist, runs = cases.CASES["mnist"], {}
    for rows in BATCHES:
        runs["batch", rows] = steps.ours(mnist._replace(rows=rows))
    for width in WIDTHS:
        runs["width", width] = steps.ours(mnist._replace(nets=functools.partial(_nets, width)))
    times = timing.alternate(runs, repeats, turn=0.4)
    for what, sizes in {"batch": BATCHES, "width": WIDTHS}.items():
        turns = zip(*(times[what, size].values for size in sizes), strict=True)
        power = timing.Repeats([_power(sizes, seconds) for seconds in turns])
        yield table.row(
            f"step against {what}, {sizes[0]} to {sizes[-1]}", "grows with its power", power, ""
        )


def _power(sizes, seconds):
    return np.polyfit(np.log(sizes), np.log(seconds), 1)[0]


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
    contenders = {number: processes.Contender(_replicated, number) for number in (1, 2)}
    try:
        times = timing.alternate({n: contender.run for n, contender in contenders.items()}, repeats)
    finally:
        for contender in contenders.values():
            contender.stop()
    for number, seconds in times.items():
        who = f"keras_gan, replicas: {number}"
        yield table.row("step of replicas with a core each, mnist, batch 200", who, seconds, "ms", 1e3)
    share = times[1].over(times[2])
    yield table.row("efficiency of 2 replicas", "keras_gan", share, "%", 50)


def _replicated(number):
    """Return `run(n)` of replicas that compute with one thread each."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(number)
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * number)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(number)])
    with strategy.scope():
        gan = cases.compiled(cases.CASES["mnist"])
    return steps.fitted(gan, 200)


def _each(function):
    def run(number):
        for _ in range(number):
            function()

    return run


SECTIONS = {
    section.__name__: lambda repeats, section=section: list(section(repeats))
    for section in (beginning, growth, evaluation, generate, load, pipeline, scaling, replicas)
}

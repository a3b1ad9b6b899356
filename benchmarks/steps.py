"""Compare the training step with the guides' pattern, a torch loop, and the limit.

The guides make new fakes for the generator's step and judge real and fake examples in one pass; torch's
tutorials share the fakes and make two passes. This package is timed in each of these ways, on JAX too.
What takes many times as long as elsewhere stays out of the longest game, WGAN-GP: JAX's convolutions on
a CPU, and bfloat16 on a CPU that has to emulate it.
"""

import importlib.util

import numpy as np
import tensorflow as tf

from benchmarks import cases, guide, limit, processes, table, timing

OURS, SHARED, TWO = "keras_gan", "keras_gan, shared fakes", "keras_gan, shared fakes, two passes"
SETTINGS = {OURS: {}, SHARED: {"share_fakes": True}, TWO: {"share_fakes": True, "single_pass": False}}
LIMIT = "limit"


def in_bfloat16(name):
    """Return the name of a contender in mixed precision."""
    return f"{name}, bfloat16"


def on_jax(name):
    """Return the name of a contender with JAX behind Keras."""
    return f"{name}, JAX"


# Goals: at most that many times the limit, and at least that many times as fast as a peer.
GOALS = {
    ("mnist", OURS): {LIMIT: 1.15, "guide": 1.25, "torch": 1.9},
    ("mnist", in_bfloat16(OURS)): {"guide": 1.5},
    ("dcgan", OURS): {"guide": 1.2, "torch": 1.2},
    ("wgan-gp, k = 5", OURS): {"guide": 1.2, "torch": 1.2},
}


def measure(repeats=timing.REPEATS):
    """Return the rows of all games."""
    return [row for name in cases.CASES for row in _case(name, repeats)]


def _case(name, repeats):
    case, longest = cases.CASES[name], name.startswith("wgan-gp")
    runs = {
        LIMIT: limit.runner(case.work()),
        f"{LIMIT}, shared fakes": limit.runner(case.work(share_fakes=True)),
        **{who: ours(case, **settings) for who, settings in SETTINGS.items()},
        "guide": fitted(guide.pattern(case), case.rows),
    }
    if table.has_bfloat16() or not longest:
        for who in (OURS, SHARED):
            runs[in_bfloat16(who)] = ours(case, policy="mixed_bfloat16", **SETTINGS[who])
    if name == "mnist, k = 5":
        runs[f"{OURS}, k = 1"] = ours(cases.CASES["mnist"])
    others = {}
    if importlib.util.find_spec("torch"):
        others["torch"] = processes.Contender(torch_loop, name.split(",")[0], case.k)
    if importlib.util.find_spec("jax") and not longest:
        for who in (OURS, SHARED):
            others[on_jax(who)] = processes.Contender(
                ours_on_jax, name, SETTINGS[who], environment={"KERAS_BACKEND": "jax"}
            )
    try:
        times = timing.alternate(runs | {who: c.run for who, c in others.items()}, repeats)
    finally:
        for contender in others.values():
            contender.stop()
    return list(_rows(name, times))


def ours(case, policy="float32", **settings):
    """Return `run(n)` of this package."""
    return fitted(cases.compiled(case, policy, **settings), case.k * case.rows)


def ours_on_jax(name, settings):
    """Return `run(n)` of this package, in a process that has JAX behind Keras."""
    return ours(cases.CASES[name], **settings)


def torch_loop(case, k):
    """Return `run(n)` of the torch loop, in whose process neither TensorFlow nor Keras is."""
    from benchmarks import torch_loops

    return torch_loops.loop(case, discriminator_steps=k).run


def fitted(model, rows):
    """Return `run(n)` of a model's `fit`, on random images as any user of `tf.data` feeds them."""
    shape = model.generator.output_shape[1:]
    images = np.random.default_rng(0).uniform(size=(20 * rows, *shape)).astype("float32")
    data = untuned(tf.data.Dataset.from_tensor_slices(images).cache().batch(rows).repeat().prefetch(2))

    def run(steps):
        model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)

    return run


def untuned(data):
    """Return a dataset without autotuning, whose thread may hold up the end of `fit`.

    Who leaves an iterator before its end waits until that thread wakes up, at 10, 30, 70, 150, ...
    milliseconds: up to as long as the training took.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def _rows(name, times):
    for who, seconds in times.items():
        row = table.row(f"step, {name}", who, seconds, "ms", 1e3)
        yield row._replace(ratios=_ratios(name, who, times) if who.startswith(OURS) else {})
    if f"{OURS}, k = 1" in times:
        ratio = times[OURS].over(times[f"{OURS}, k = 1"])
        yield table.row("step, k = 5 / k = 1", OURS, ratio, "×", at_most=5)


def _ratios(name, who, times):
    """Return how many times its limit a contender takes, and how many times longer than it the peers."""
    goals = GOALS.get((name, who), {})
    least = times[f"{LIMIT}, shared fakes" if SHARED in who else LIMIT]
    ratios = {LIMIT: table.number(times[who].over(least), at_most=goals.get(LIMIT))}
    for peer in [peer for peer in ("guide", "torch") if peer in times]:
        ratios[peer] = table.number(times[peer].over(times[who]), at_least=goals.get(peer))
    return ratios

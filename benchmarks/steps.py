"""The training step, beside the guides' pattern, a torch loop, and the limit.

Convolutions are left out where they take many times as long as elsewhere: those of JAX on a CPU, and
those in bfloat16 on a CPU that has to emulate it.
"""

import importlib.util

from benchmarks import cases, processes, table, timing
from benchmarks.table import Row, at_least, at_most

OURS, SHARED = "keras_gan", "keras_gan, shared fakes"
# With JAX behind Keras, and the settings of each.
ON_JAX = {f"{OURS}, JAX": {}, f"{SHARED}, JAX": {"share_fakes": True}}
LIMITS = {
    OURS: "limit",
    SHARED: "limit, shared fakes",
    f"{OURS}, JAX": "limit",
    f"{SHARED}, JAX": "limit, shared fakes",
}
LOW = f"{SHARED}, bfloat16"
# (numerator, denominator) of each ratio that has a goal, by case.
_FASTER = {
    "mnist": {"guide": 1.25, "torch": 1.9},
    "mnist, k = 5": {},
    "dcgan": {"guide": 1.2, "torch": 1.2},
    "wgan-gp, k = 5": {"guide": 1.2, "torch": 1.2},
}


def measure(repeats=timing.REPEATS):
    """Return the rows of all cases."""
    return [row for name in cases.CASES for row in _case(name, repeats)]


def _case(name, repeats):
    case, dense = cases.CASES[name], name.startswith("mnist")
    contenders = {
        "limit": cases.the_limit(case),
        "limit, shared fakes": cases.the_limit(case, share_fakes=True),
        OURS: cases.keras_gan(case),
        SHARED: cases.keras_gan(case, share_fakes=True),
        "guide": cases.guide_pattern(case),
    }
    if dense or table.has_bfloat16():
        contenders[LOW] = cases.keras_gan(case, "mixed_bfloat16", share_fakes=True)
    if case.k > 1 and dense:
        contenders[f"{OURS}, k = 1"] = cases.keras_gan(cases.CASES["mnist"])
    others = {}
    if importlib.util.find_spec("torch"):
        others["torch"] = processes.Contender(torch_loop, name.split(",")[0], case.k)
    if dense and importlib.util.find_spec("jax"):
        for who, settings in ON_JAX.items():
            others[who] = processes.Contender(on_jax, name, settings, backend="jax")
    try:
        times = timing.alternate(contenders | {who: c.run for who, c in others.items()}, repeats)
    finally:
        for contender in others.values():
            contender.stop()
    return list(_rows(name, times))


def on_jax(name, settings):
    """Return `run(n)` of this package with JAX behind Keras."""
    return cases.keras_gan(cases.CASES[name], **settings)


def torch_loop(case, k):
    """Return `run(n)` of the torch loop, in whose process neither TensorFlow nor Keras is."""
    from benchmarks import torch_loops

    return torch_loops.loop(case, discriminator_steps=k).run


def _rows(name, times):
    for who, time in times.items():
        yield Row(f"step, {name}", who, 1e3 * time.median, "ms", time.spread)
    for ours, limit in [(ours, limit) for ours, limit in LIMITS.items() if ours in times]:
        over = times[ours].median / times[limit].median
        goal = at_most(1.15, over) if name == "mnist" else {}
        yield Row(f"step, {name}", f"{ours} / {limit}", over, "×", **goal)
        for peer in [peer for peer in ("guide", "torch") if peer in times]:
            ratio = times[peer].median / times[ours].median
            goal = _FASTER[name].get(peer)
            goal = at_least(goal, ratio) if goal else {}
            yield Row(f"step, {name}", f"{peer} / {ours}", ratio, "×", **goal)
    if LOW in times:
        ratio = times["guide"].median / times[LOW].median
        goal = at_least(1.5, ratio) if name == "mnist" else {}
        yield Row(f"step, {name}", f"guide / {LOW}", ratio, "×", **goal)
    if f"{OURS}, k = 1" in times:
        ratio = times[OURS].median / times[f"{OURS}, k = 1"].median
        yield Row(f"step, {name}", "k = 5 / k = 1", ratio, "×", **at_most(5, ratio))

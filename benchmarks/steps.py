"""The training step, beside the guides' pattern, a torch loop, and the limit."""

import importlib.util

from benchmarks import cases, processes, timing
from benchmarks.table import Row, at_least, at_most

OURS = "keras_gan"
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
    case = cases.CASES[name]
    contenders = {
        "limit": cases.the_limit(case),
        OURS: cases.keras_gan(case),
        f"{OURS}, bfloat16": cases.keras_gan(case, "mixed_bfloat16"),
        "guide": cases.guide_pattern(case),
    }
    if case.k > 1 and name.startswith("mnist"):
        contenders[f"{OURS}, k = 1"] = cases.keras_gan(cases.CASES["mnist"])
    torch = None
    if importlib.util.find_spec("torch"):
        torch = processes.Contender(torch_loop, name.split(",")[0], case.k)
        contenders["torch"] = torch.run
    try:
        times = timing.alternate(contenders, repeats)
    finally:
        if torch:
            torch.stop()
    return list(_rows(name, times))


def torch_loop(case, k):
    """Return `run(n)` of the torch loop, in whose process neither TensorFlow nor Keras is."""
    from benchmarks import torch_loops

    return torch_loops.loop(case, discriminator_steps=k).run


def _rows(name, times):
    for who, time in times.items():
        yield Row(f"step, {name}", who, 1e3 * time.median, "ms", time.spread)
    ours, low = times[OURS].median, times[f"{OURS}, bfloat16"].median
    over = ours / times["limit"].median
    goal = at_most(1.15, over) if name == "mnist" else {}
    yield Row(f"step, {name}", f"{OURS} / limit", over, "×", **goal)
    for peer in [peer for peer in ("guide", "torch") if peer in times]:
        ratio = times[peer].median / ours
        goal = _FASTER[name].get(peer)
        goal = at_least(goal, ratio) if goal else {}
        yield Row(f"step, {name}", f"{peer} / {OURS}", ratio, "×", **goal)
    ratio = times["guide"].median / low
    goal = at_least(1.5, ratio) if name == "mnist" else {}
    yield Row(f"step, {name}", f"guide / {OURS}, bfloat16", ratio, "×", **goal)
    if f"{OURS}, k = 1" in times:
        ratio = ours / times[f"{OURS}, k = 1"].median
        yield Row(f"step, {name}", "k = 5 / k = 1", ratio, "×", **at_most(5, ratio))

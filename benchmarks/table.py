"""The table of results, as Markdown and as JSON."""

import json
import os
import pathlib
import platform
from typing import NamedTuple

import keras

_BFLOAT16 = ("avx512_bf16", "amx_bf16")


class Row(NamedTuple):
    """One measurement.

    Args:
        what: the work.
        who: what does it.
        value: the number.
        unit: its unit.
        spread: half the distance between quartiles as a share of the median, or None of single ones.
        goal: the number that is aimed at, as text, or empty.
        met: whether it is reached, or None without a goal.
    """

    what: str
    who: str
    value: float
    unit: str
    spread: float | None = None
    goal: str = ""
    met: bool | None = None


def at_most(limit, value):
    """Return the fields of a goal that is a maximum."""
    return {"goal": f"≤ {limit:g}", "met": bool(value <= limit)}


def at_least(limit, value):
    """Return the fields of a goal that is a minimum."""
    return {"goal": f"≥ {limit:g}", "met": bool(value >= limit)}


def machine():
    """Return what the numbers were measured on."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    wide = [name for name in ("avx2", "avx512f", *_BFLOAT16) if name in _flags()]
    return {
        "processor": f"{cpu} ({', '.join(wide)})",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "oneDNN": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "where TensorFlow thinks best"),
    }


def has_bfloat16():
    """Whether the processor multiplies numbers of bfloat16."""
    return any(name in _flags() for name in _BFLOAT16)


def _flags():
    return next((line.split() for line in _lines("/proc/cpuinfo") if line.startswith("flags")), [])


def _lines(path):
    path = pathlib.Path(path)
    return path.read_text().splitlines() if path.exists() else []


def markdown(rows):
    """Return the table of rows."""
    lines = ["| work | by | result | goal |", "| --- | --- | ---: | --- |"]
    for row in rows:
        spread = "" if row.spread is None else f" ± {100 * row.spread:.0f} %"
        goal = row.goal and f"{row.goal} {'✓' if row.met else '✗'}"
        lines.append(f"| {row.what} | {row.who} | {row.value:.3g} {row.unit}{spread} | {goal} |")
    return "\n".join(lines)


def write(rows, folder):
    """Write `results.md` and `results.json`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    about = machine()
    head = ", ".join(f"{name} {value}" for name, value in about.items())
    (folder / "results.md").write_text(f"{head}\n\n{markdown(rows)}\n")
    content = {"machine": about, "rows": [row._asdict() for row in rows]}
    (folder / "results.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")

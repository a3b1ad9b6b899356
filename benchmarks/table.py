"""The table of results, as Markdown and as JSON."""

import json
import os
import pathlib
import platform
from typing import NamedTuple

import keras

_BFLOAT16 = ("avx512_bf16", "amx_bf16")


class Number(NamedTuple):
    """A number of the table.

    Args:
        value: the median.
        unit: its unit.
        spread: half the distance between quartiles as a share of the median, or None of a single one.
        goal: the number that is aimed at, as text, or empty.
        met: whether it is reached, or None without a goal.
    """

    value: float
    unit: str
    spread: float | None
    goal: str = ""
    met: bool | None = None

    def __str__(self):
        goal = self.goal and f" ({self.goal} {'✓' if self.met else '✗'})"
        value = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"
        spread = "" if self.spread is None else f" ± {100 * self.spread:.0f} %"
        return f"{value} {self.unit}".rstrip() + spread + goal


class Row(NamedTuple):
    """One measurement.

    Args:
        what: the work.
        who: what does it.
        number: the result.
        ratios: of a step, `Number`s by what it is compared with (see `COMPARED`).
    """

    what: str
    who: str
    number: Number
    ratios: dict = {}  # noqa: RUF012 - never changed


# What a step is compared with, and the heads of those columns.
COMPARED = {"limit": "× its limit", "guide": "the guide's ×", "torch": "torch's ×"}


def number(repeats, unit="", scale=1.0, at_most=None, at_least=None):
    """Return the `Number` of a `benchmarks.timing.Repeats`, times `scale`, and of its goal if any."""
    plain = Number(scale * repeats.median, unit, repeats.spread)
    if at_most is not None:
        return plain._replace(goal=f"≤ {at_most:g}", met=bool(plain.value <= at_most))
    if at_least is not None:
        return plain._replace(goal=f"≥ {at_least:g}", met=bool(plain.value >= at_least))
    return plain


def row(what, who, repeats, unit, scale=1.0, **goal):
    """Return a row without comparisons; see `number`."""
    return Row(what, who, number(repeats, unit, scale, **goal))


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
    heads = ["work", "by", "result", *COMPARED.values()]
    lines = [_line(heads), _line(["---", "---", *["---:"] * (len(heads) - 2)])]
    for row in rows:
        ratios = [str(row.ratios.get(name, "")) for name in COMPARED]
        lines.append(_line([row.what, row.who, str(row.number), *ratios]))
    return "\n".join(lines)


def _line(cells):
    return f"| {' | '.join(cells)} |"


def write(rows, folder):
    """Write `results.md` and `results.json`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    about = machine()
    head = ", ".join(f"{name} {value}" for name, value in about.items())
    (folder / "results.md").write_text(f"{head}\n\n{markdown(rows)}\n")
    content = {"machine": about, "rows": [_plain(row) for row in rows]}
    (folder / "results.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _plain(row):
    ratios = {name: number._asdict() for name, number in row.ratios.items()}
    return {"what": row.what, "who": row.who, **row.number._asdict(), "ratios": ratios}

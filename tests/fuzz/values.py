"""Kinds of arguments: what each may be according to the documentation, and how it goes wrong.

A kind has a good value, other forms of it (`forms`), near misses (`near_misses`), and `takes(value)`,
which returns whether a value is valid: True, False, or None where the documentation leaves it open.
Nothing here asks the package: the ranges come from docstrings and annotations.
"""

import math
import numbers
from pathlib import Path

import keras
import numpy as np
from hypothesis import strategies as st
from keras import ops

# Fresh at each use, since some can be read once.
COMMON = {
    "None": lambda: None,
    "True": lambda: True,
    "-1": lambda: -1,
    "0": lambda: 0,
    "2.5": lambda: 2.5,
    "10**400": lambda: 10**400,
    "1e300": lambda: 1e300,
    "NaN": lambda: math.nan,
    "inf": lambda: math.inf,
    "-inf": lambda: -math.inf,
    "complex": lambda: 1 + 2j,
    "text": lambda: "spam",
    "digits": lambda: "3",
    "bytes": lambda: b"spam",
    "object": object,
    "class": lambda: dict,
    "lambda": lambda: lambda: None,
    "empty list": list,
    "empty tuple": tuple,
    "empty dict": dict,
    "dict": lambda: {"spam": 1},
    "set": lambda: {1, 2},
    "generator": lambda: (part for part in ()),
    "ragged": lambda: [[1.0, 2.0], [3.0]],
    "list of None": lambda: [None, None],
    "list of texts": lambda: ["spam", "eggs"],
    "array of texts": lambda: np.array(["spam", "eggs"]),
    "array of objects": lambda: np.array([None, object()]),
    "array of complex": lambda: np.ones((3, 2), complex),
    "array of dates": lambda: np.array(["2014-06-10"], "datetime64[D]"),
    "array of NaN": lambda: np.full((3, 2), np.nan, "float32"),
    "empty array": lambda: np.zeros((0,), "float32"),
    "array of rank 7": lambda: np.ones((1, 2, 1, 2, 1, 2, 1), "float32"),
}
_FLOATS = st.floats(allow_nan=True, allow_infinity=True)
_PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    _FLOATS,
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=5),
)
ANYTHING = st.one_of(
    _PLAIN,
    st.lists(_PLAIN, max_size=4),
    st.tuples(_PLAIN, _PLAIN),
    st.dictionaries(st.text(max_size=3), _PLAIN, max_size=2),
    st.sets(st.integers(), max_size=3),
)


def is_integer(value):
    """Whether a value is an integer as Python, NumPy or a 0-d array has them, and no bool."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def is_number(value):
    """Whether a value is one finite real number, and no bool."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    value = value.item() if isinstance(value, np.generic) else value
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and abs(value) < 10**300 and math.isfinite(value)


def is_sequence(value):
    """Whether a value is a tuple, a list or an array of one axis."""
    return np.ndim(value) == 1 if isinstance(value, np.ndarray) else isinstance(value, (tuple, list))


class Kind:
    """An argument with a good value, made by `good()`, that may be None or not."""

    def __init__(self, good, none=False):
        self.good = good if callable(good) else lambda: good
        self.none = none

    def takes(self, value):
        """Whether the documentation allows a value; None where it leaves it open."""
        return self.none if value is None else self.allows(value)

    def allows(self, value):
        """`takes` for what is not None."""
        raise NotImplementedError

    def near_misses(self):
        """Return values that are nearly good, by name."""
        return {}

    def forms(self):
        """Return the good value written in other ways, by name."""
        return {}

    def wrong(self):
        """Return functions that make a bad value, by name."""
        makers = COMMON | {
            name: (lambda value=value: value) for name, value in self.near_misses().items()
        }
        return {name: make for name, make in makers.items() if self.takes(make()) is False}

    def right(self):
        """Return functions that make a good value, by name."""
        values = {"good": self.good} | {name: (lambda v=v: v) for name, v in self.forms().items()}
        return values | ({"None": lambda: None} if self.none else {})


class Integer(Kind):
    """An integer in a range; `bounded` says that a huge one cannot be done in any time or memory."""

    def __init__(self, good, minimum=1, maximum=None, none=False, bounded=False):
        super().__init__(good, none)
        self.minimum, self.maximum, self.bounded = minimum, maximum, bounded

    def allows(self, value):
        if isinstance(value, (float, np.floating)) and float(value).is_integer() and abs(value) < 1e9:
            return None  # 4.0 for 4
        if not is_integer(value):
            return False
        if self.bounded and value >= 10**12:
            return False
        return value >= self.minimum and (self.maximum is None or value <= self.maximum)

    def near_misses(self):
        low = self.minimum
        misses = {"below": low - 1, "far below": -(10**15), "half": low + 0.5, "quoted": str(low)}
        misses |= {
            "in a list": [low + 1],
            "in an array": np.array([low + 1]),
            "NumPy NaN": np.float32("nan"),
        }
        misses |= {
            "0-d float": np.array(low + 0.5),
            "NumPy bool": np.bool_(True),
            "0-d text": np.array("3"),
        }
        if self.maximum is not None:
            misses |= {"above": self.maximum + 1, "far above": 10**30}
        return misses | ({"huge": 10**12, "NumPy huge": np.int64(10**15)} if self.bounded else {})

    def forms(self):
        good = self.good()
        return {kind.__name__: kind(good) for kind in (np.int64, np.int32, np.uint8)} | {
            "0-d array": np.array(good)
        }


class Number(Kind):
    """A finite real number in a range."""

    def __init__(
        self, good, minimum=-math.inf, maximum=math.inf, above=-math.inf, below=math.inf, none=False
    ):
        super().__init__(good, none)
        self.minimum, self.maximum, self.above, self.below = minimum, maximum, above, below

    def allows(self, value):
        if not is_number(value):
            return False
        if abs(value) > 1e30:
            return None  # finite, and of no use
        return self.minimum <= value <= self.maximum and self.above < value < self.below

    def near_misses(self):
        good = self.good()
        misses = {"quoted": str(good), "in a list": [good], "in an array": np.array([good])}
        misses |= {
            "NumPy NaN": np.float32("nan"),
            "NumPy inf": np.float64("inf"),
            "0-d NaN": np.array(np.nan),
        }
        misses |= {
            "complex good": complex(good),
            "NumPy bool": np.bool_(True),
            "0-d text": np.array("0.5"),
        }
        ends = {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "above": self.above,
            "below": self.below,
        }
        for name, end in ends.items():
            if math.isfinite(end):
                misses |= {f"at {name}": end, f"under {name}": end - 0.25, f"over {name}": end + 0.25}
        return misses

    def forms(self):
        good = self.good()
        forms = {"float32": np.float32(good), "float64": np.float64(good), "0-d array": np.array(good)}
        whole = {"int": int(good), "int64": np.int64(good)} if float(good).is_integer() else {}
        return forms | whole


class Flag(Kind):
    """A truth value."""

    def allows(self, value):
        if isinstance(value, (bool, np.bool_)):
            return True
        is_bit = isinstance(value, (int, float)) and value in (0, 1)
        return None if is_bit else False

    def near_misses(self):
        return {"quoted": "True", "2": 2, "array of bools": np.array([True, False])}

    def forms(self):
        return {"NumPy": np.bool_(self.good())}


class Text(Kind):
    """Any text."""

    def __init__(self, good="some", none=True):
        super().__init__(good, none)

    def allows(self, value):
        return isinstance(value, str)

    def forms(self):
        return {"NumPy": np.str_(self.good())}


class Choice(Kind):
    """One of some names, or, if `other` says so, something else."""

    def __init__(self, good, *names, none=False, other=lambda value: False):
        super().__init__(good, none)
        self.names, self.other = (good, *names), other

    def allows(self, value):
        if isinstance(value, str):
            known = value.lower().replace("-", "_").replace(" ", "_") in self.names
            return (True if value in self.names else None) if known else False
        return self.other(value)

    def near_misses(self):
        name = self.names[0]
        return {"misspelt": name[:-1], "empty text": "", "in a list": [name], "as bytes": name.encode()}

    def forms(self):
        good = self.good()
        return ({"NumPy": np.str_(good)} if isinstance(good, str) else {}) | {
            n: n for n in self.names[1:]
        }


class Range(Kind):
    """A pair of numbers, the lower first."""

    def __init__(self, good=(0.0, 1.0), none=False):
        super().__init__(good, none)

    def allows(self, value):
        is_pair = is_sequence(value) and len(value) == 2
        return is_pair and all(map(is_number, value)) and bool(value[0] < value[1])

    def near_misses(self):
        return {
            "exchanged": (1.0, 0.0),
            "equal": (0.5, 0.5),
            "one": (0.0,),
            "three": (0.0, 0.5, 1.0),
            "NaN at an end": (math.nan, 1.0),
            "infinite end": (0.0, math.inf),
            "None at an end": (None, 1.0),
            "texts": ("0", "1"),
            "text of two": "01",
            "a number": 1.0,
            "nested": ((0, 1), (0, 1)),
            "dict of two": {0: 0, 1: 1},
            "bools": (False, True),
        }

    def forms(self):
        low, high = self.good()
        return {
            "list": [low, high],
            "array": np.array([low, high]),
            "NumPy numbers": (np.float32(low), np.float64(high)),
            "integers": (int(low), int(high)),
            "NumPy integers": (np.int64(low), np.int32(high)),
        }


class Shape(Kind):
    """The shape of one example: a positive integer, or a sequence of them; of `rank` if given."""

    def __init__(self, good, none=False, rank=None):
        super().__init__(good, none)
        self.rank = rank

    def allows(self, value):
        if self.rank is None and is_integer(value) and np.ndim(value) == 0:
            return value >= 1
        if not is_sequence(value):
            return False
        if not len(value):
            return None if self.rank is None else False
        return all(is_integer(size) and size >= 1 for size in value) and self.rank in (None, len(value))

    def near_misses(self):
        good = self.good()
        good = list(good) if isinstance(good, (tuple, list)) else [good]
        return {
            "zero": (0, *good[1:]),
            "negative": (-2, *good[1:]),
            "half": (2.5, *good[1:]),
            "with None": (None, *good[1:]),
            "with text": ("2", *good[1:]),
            "with True": (True, *good[1:]),
            "nested": [good, good],
            "of another rank": (*good, 2) if self.rank else (*good, -2),
            "NaN": (math.nan, *good[1:]),
        }

    def forms(self):
        good = self.good()
        if isinstance(good, int):
            return {
                "int64": np.int64(good),
                "tuple": (good,),
                "list": [good],
                "tuple of int64": (np.int64(good),),
            }
        return {
            "list": list(good),
            "tuple of int64": tuple(map(np.int64, good)),
            "array": np.array(good),
        }


class PathTo(Kind):
    """The path of a file or folder that will be written; `misses` are further paths that will not do."""

    def __init__(self, good="some", none=False, ending="", misses=()):
        super().__init__(lambda: f"{good}{ending}", none)
        self.misses, self.ending = misses, ending

    def allows(self, value):
        if isinstance(value, (str, Path)):
            text = str(value)
            if "\0" in text or text in self.misses:
                return False
            return True if text.endswith(self.ending) and text and self.ending else None
        return None if isinstance(value, bytes) else False

    def near_misses(self):
        return {"null byte": f"a\0b{self.ending}", "descriptor": 10**6} | {
            path: path for path in self.misses
        }

    def forms(self):
        return {"pathlib": Path(self.good())}


class Instance(Kind):
    """An instance of a class, or what `other` allows besides."""

    def __init__(self, good, of, none=False, other=lambda value: False, misses=dict):
        super().__init__(good, none)
        self.of, self.other, self.near_misses = of, other, misses

    def allows(self, value):
        return True if isinstance(value, self.of) else self.other(value)


class Function(Kind):
    """A function; what a wrong function does is seen when it is called."""

    def __init__(self, good, none=False, misses=dict):
        super().__init__(lambda: good, none)
        self.near_misses = misses

    def allows(self, value):
        if isinstance(value, type) or getattr(value, "__name__", "") == "<lambda>":
            return None
        return callable(value)


class Array(Kind):
    """An array whose shape fits `shape`, in which None stands for any length of at least `rows`.

    Args:
        good: a good array.
        shape: its shape; None is the one of `good`, with any number of rows; Ellipsis is any rank.
        rows: the least number of rows.
        low: the least number in it.
        high: the greatest.
        whole: whether it holds integers, which may be written as floats.
        none: whether it may be left out.
        missing: whether NaN is allowed.
        lists: whether it may be written as nested lists.
    """

    def __init__(
        self,
        good,
        shape=None,
        rows=1,
        low=-1e30,
        high=1e30,
        whole=False,
        none=False,
        missing=False,
        lists=True,
    ):
        super().__init__(lambda: good, none)
        self.lists = lists
        self.shape = (None, *np.shape(good)[1:]) if shape is None else shape
        self.rows, self.low, self.high, self.whole, self.missing = rows, low, high, whole, missing

    def allows(self, value):
        try:
            array = np.asarray(value)
        except (ValueError, TypeError):
            return False
        if isinstance(value, (dict, set, str, bytes)) or array.dtype.kind not in "biuf":
            return False
        if array.dtype.kind == "b":
            return None if array.ndim else False
        return self._fits(array) and self._in_range(array)

    def _fits(self, array):
        if self.shape is Ellipsis:
            return None if array.ndim == 0 else array.size > 0 and len(array) >= self.rows
        sizes = zip(array.shape, self.shape, strict=False)
        fits = array.ndim == len(self.shape) and all(b is None or a == b for a, b in sizes)
        return fits and array.size > 0 and len(array) >= self.rows

    def _in_range(self, array):
        if not np.isfinite(array).all():
            return self.missing
        if self.whole and (array != np.round(array)).any():
            return False
        return bool((array >= self.low).all() and (array <= self.high).all())

    def near_misses(self):
        good = np.asarray(self.good())
        spoilt = {
            name: np.array(good, "float32")
            for name in ("one NaN", "one inf", "one -inf", "too high", "too low")
        }
        numbers_ = {"one NaN": np.nan, "one inf": np.inf, "one -inf": -np.inf}
        for name, number in (numbers_ | {"too high": self.high + 2, "too low": self.low - 2}).items():
            spoilt[name].flat[good.size // 2] = number
        misses = spoilt | {
            "no rows": good[:0],
            "one more axis": good[None],
            "as texts": good.astype(str),
            "as objects": np.array([object()] * good.size).reshape(good.shape),
            "as complex": good + 1j,
            "half": np.float32(good) + 0.5,
            "text in a list": [*good.tolist()[:-1], "spam"],
            "None in a list": [*good.tolist()[:-1], None],
            "a number": 3.0,
        }
        if good.ndim > 1:
            misses |= {
                "one row": good[0],
                "one more column": np.concatenate([good, good[..., :1]], axis=-1),
                "one column less": good[..., :-1],
                "ragged": [*good.tolist()[:-1], good.tolist()[-1][:-1]],
                "flat": good.ravel(),
            }
        return misses

    def forms(self):
        good = np.asarray(self.good())
        frozen = good.copy()
        frozen.setflags(write=False)
        lists = {"list": good.tolist(), "tuple of rows": tuple(good)} if self.lists else {}
        forms = lists | {
            "float64": good.astype("float64"),
            "float32": good.astype("float32"),
            "Fortran order": np.asfortranarray(good),
            "every other": np.repeat(good, 2, axis=0)[::2],
            "read-only": frozen,
            "tensor": ops.convert_to_tensor(good),
            "big endian": good.astype(good.dtype.newbyteorder(">")),
        }
        return forms | (
            {"int32": good.astype("int32"), "uint16": good.astype("uint16")} if self.whole else {}
        )


class Tensor(Array):
    """A tensor."""

    def __init__(self, good, **how):
        super().__init__(good, **how)
        self.good = lambda: ops.convert_to_tensor(good)

    def forms(self):
        return {}


class Condition(Array):
    """One condition for each sample, or one for all; a dict of one is left open."""

    def allows(self, value):
        if isinstance(value, dict) and len(value) == 1:
            return self.takes(*value.values()) and None
        if isinstance(value, (bool, np.bool_)):
            return None
        return self._in_range(np.asarray(value)) if is_number(value) else super().allows(value)


class Grid(Array):
    """A sequence of positive numbers; one by itself is left open."""

    def allows(self, value):
        if is_number(value):
            return None if value > 0 else False
        return super().allows(value)


class Numbers(Array):
    """Numbers in an array of any shape, finite or not: a formula."""

    def __init__(self, good):
        super().__init__(good, shape=..., missing=True, lists=False)

    def allows(self, value):
        return (
            None if isinstance(value, (bool, int, float)) and value != 10**400 else super().allows(value)
        )


class Bytes(Array):
    """An array of uint8; whether others are converted is left open."""

    def __init__(self, good, **how):
        super().__init__(good, low=0, high=255, whole=True, **how)

    def allows(self, value):
        fits = super().allows(value)
        return fits if getattr(value, "dtype", None) == np.uint8 else fits and None

    def forms(self):
        arrays = {k: v for k, v in super().forms().items() if isinstance(v, np.ndarray)}
        return {k: v for k, v in arrays.items() if v.dtype == np.uint8}


class Source(Array):
    """An array, or a data set of batches of rows."""

    def allows(self, value):
        known = isinstance(value, (keras.utils.PyDataset,)) or hasattr(value, "element_spec")
        return True if known else super().allows(value)


class Sequence(Kind):
    """A list of which each item is of a kind, or one item by itself if `alone`."""

    def __init__(self, item, good=None, alone=False, empty=False, none=False):
        super().__init__(good or (lambda: [item.good()]), none)
        self.item, self.alone, self.empty = item, alone, empty

    def allows(self, value):
        if self.alone and self.item.takes(value) in (True, None):
            return self.item.takes(value)
        if not isinstance(value, (list, tuple)):
            return None if isinstance(value, (set, dict)) and not value else False
        if not value:
            return self.empty
        answers = [self.item.takes(part) for part in value]
        return False if False in answers else None if None in answers else True

    def near_misses(self):
        good = list(self.good())
        misses = {f"with {name}": [*good, make()] for name, make in self.item.wrong().items()}
        return misses | {f"{name} alone": make() for name, make in self.item.wrong().items()}

    def forms(self):
        return {"tuple": tuple(self.good())}


class Probabilities(Array):
    """Rows of probabilities that sum to 1."""

    def _in_range(self, array):
        return super()._in_range(array) and bool(np.allclose(array.sum(axis=-1), 1, atol=1e-3))


# What people write, by mistake or not.
WORDS = (
    *("", " ", "spam", "-1", "0", "1", "3", "2.5", "1e9", "1e300", "nan", "inf", "-inf", "0x10"),
    *("9" * 40, "None", "True", "[1]", "1,2", "a b", "spam.txt", "é", "\udcff", "--", "$HOME", "../x"),
)


class Words(Kind):
    """What is written on the command line, valid if `fits(text)` says so; None leaves it out."""

    def __init__(self, good, fits, *others, misses=()):
        super().__init__(good, none=True)
        self.fits, self.others, self.misses = fits, others, misses

    def allows(self, value):
        return self.fits(value) if isinstance(value, str) else None

    def wrong(self):
        return {repr(w): lambda w=w: w for w in (*WORDS, *self.misses) if self.allows(w) is False}

    def right(self):
        return {"good": self.good} | {word: lambda word=word: word for word in self.others}


def whole_word(minimum, maximum):
    """Return whether a word is an integer in a range, as Python reads it."""

    def fits(word):
        try:
            return minimum <= int(word) <= maximum
        except ValueError:
            return False

    return fits


class Open(Kind):
    """An argument that the documentation does not restrict."""

    def allows(self, value):
        return None


def probability_rows(rows=8, classes=4):
    """Return rows of probabilities."""
    weights = np.random.default_rng(7).random((rows, classes)) + 0.1
    return weights / weights.sum(axis=1, keepdims=True)

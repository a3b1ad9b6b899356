"""Every public object says what it is, and its example runs."""

import doctest
import inspect

import keras
import numpy as np
import pytest
from keras import ops

import keras_gan as kg


def public_objects():
    """Yield the names and objects that users reach from `keras_gan`, without what is imported."""
    # `kg.tuner` needs KerasTuner, and `from keras_gan import *` does not.
    for name in [*kg.__all__, "tuner"]:
        value = getattr(kg, name)
        if not inspect.ismodule(value):
            yield name, value
            continue
        for inner, member in vars(value).items():
            is_ours = getattr(member, "__module__", "").startswith("keras_gan")
            if (
                is_ours
                and inner in getattr(value, "__all__", vars(value))
                and not inner.startswith("_")
                and (inspect.isclass(member) or inspect.isroutine(member))
            ):
                yield f"{name}.{inner}", member


OBJECTS = dict(public_objects())
EXAMPLES = {**OBJECTS, "GAN.export": kg.GAN.export, "GAN.from_preset": kg.GAN.from_preset}
# TensorFlow Probability does not draw on torch, and on JAX draws by a part of its own. The others take
# seconds elsewhere, where tests/conformance makes small ones: a search, an export by another process,
# large networks.
ALONE = (
    "priors.Distribution",
    "tuner.GANHyperModel",
    "export_savedmodel",
    "GAN.export",
    "architectures.tfd_generator",
    "architectures.cifar10_generator",
)
MARKS = {name: [pytest.mark.tensorflow] for name in ALONE}
MARKS["tuner.GANHyperModel"].append(pytest.mark.slow)
NAMES = {"kg": kg, "keras": keras, "ops": ops, "np": np}


def test_public_objects_are_found():
    assert {"GAN", "losses.Hinge", "terms.R1", "callbacks.SampleGrid", "datasets.load"} <= set(OBJECTS)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=MARKS.get(name, [])) for name in EXAMPLES],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_docstring_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some examples write files
    docstring = inspect.getdoc(EXAMPLES[name]) or ""
    assert docstring, f"{name} has no docstring."
    test = doctest.DocTestParser().get_doctest(docstring, dict(NAMES), name, None, 0)
    assert test.examples, f"The docstring of {name} has no example."
    report = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DocTestRunner(optionflags=flags).run(test, out=report.append)
    assert not report, "".join(report)

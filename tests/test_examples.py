"""The examples, each run with a cut, and what they leave behind."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(tmp_path):
    """Run an example in a folder of its own, and return the folder."""

    def run_example(name, *argv):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main([*argv, "--output", str(tmp_path / "out")])
        return tmp_path / "out"

    return run_example


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def grid_shape(rows, columns, side):
    """Height and width of a grid of images, which thin lines of two pixels part and surround."""
    return rows * (side + 2) + 2, columns * (side + 2) + 2


def cells(picture, rows, columns, side):
    """Cut a grid back into its images."""
    step = side + 2
    return [
        picture[2 + y * step :, 2 + x * step :][:side, :side] for y in range(rows) for x in range(columns)
    ]

"""The convolutional game on a GPU, with JAX or torch behind Keras, beside a torch loop.

    KERAS_BACKEND=jax python -m benchmarks.gpu
    KERAS_BACKEND=torch python -m benchmarks.gpu --batches 64 1024 --precisions bfloat16

Needs torch, also to measure the card's own rate, and JAX if that is the backend; TensorFlow is not asked
for anything. Without a GPU it says so.
"""

import argparse
import math
import os
import sys

# Or JAX would take the memory that torch needs.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import keras
import numpy as np
import torch

import keras_gan as kg
from benchmarks import table, timing, torch_loops

BATCHES, PRECISIONS = (64, 128, 256, 512, 1024), ("float32", "bfloat16", "float16")
_SIZE, _OURS, _COMPILED = 32, "keras_gan", "torch, compiled"


class Batches(keras.utils.PyDataset):
    """A number of batches of random images, from memory."""

    def __init__(self, rows, steps):
        super().__init__()
        self.steps = steps
        self.images = np.random.default_rng(0).random((rows, _SIZE, _SIZE, 3), "float32")

    def __len__(self):
        """See base class."""
        return self.steps

    def __getitem__(self, index):
        """See base class."""
        return self.images


def networks(width):
    """Return the two nets."""
    generator = kg.architectures.dcgan_generator(_SIZE, channels=3, width=width, seed=0)
    return generator, kg.architectures.dcgan_discriminator(_SIZE, channels=3, width=width, seed=0)


def keras_gan(rows, precision, width):
    """Return `run(n)` of this package."""
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    gan = kg.GAN(*networks(width), seed=0)
    keras.config.set_dtype_policy("float32")
    adams = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)]
    gan.compile(*adams, joint=True, share_fakes=True)
    return lambda steps: gan.fit(Batches(rows, steps), shuffle=False, verbose=0)


def torch_loop(rows, precision, width, device, compiled=False):
    """Return `run(n)` of the torch loop, in whose half precision gradients are not scaled."""
    *nets, shape = torch_loops.dcgan(width=width)
    if compiled:
        nets = [torch.compile(net) for net in nets]
    dtype = None if precision == "float32" else getattr(torch, precision)
    optimizers = [torch_loops.adam, torch_loops.adam]
    return torch_loops.Loop((*nets, shape), optimizers, rows, device=device, dtype=dtype).run


def products(device, precision, size=8192):
    """Return `run(n)` of the product of two square matrices, and its number of operations."""
    matrix = torch.rand(size, size, device=device).to(getattr(torch, precision))

    def run(steps):
        for _ in range(steps):
            matrix @ matrix
        if device == "cuda":
            torch.cuda.synchronize()

    return run, 2 * size**3


def operations(generator, discriminator, rows):
    """Return the operations of a step's products, with shared fakes.

    A product forward is 2 · weights · positions; back to weights, and back to inputs, as many each.
    """
    g, d = _layers(generator), _layers(discriminator)
    forward = sum(g) + 3 * sum(d)
    to_weights = sum(g) + 2 * sum(d)
    to_inputs = sum(g[1:]) + 2 * sum(d[1:]) + sum(d)
    return rows * (forward + to_weights + to_inputs)


def _layers(network):
    """Return the operations of each layer that multiplies, for one row."""
    layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
    return [2 * math.prod(layer.kernel.shape) * _positions(layer) for layer in layers]


def _positions(layer):
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return math.prod(layer.input.shape[1:3])
    return math.prod(layer.output.shape[1:3]) if isinstance(layer, keras.layers.Conv2D) else 1


def measure(device, batches, precisions, repeats=timing.REPEATS, width=64, compiled=True, size=8192):
    """Yield the rows of the table."""
    work = operations(*networks(width), rows=1)
    for precision in precisions:
        square, count = products(device, precision, size)
        rate = count / timing.alternate({"products": square}, repeats)["products"].median
        yield table.Row("matrix products", precision, 1e-12 * rate, "TFLOP/s")
        for rows in batches:
            runs = {
                _OURS: keras_gan(rows, precision, width),
                "torch": torch_loop(rows, precision, width, device),
            }
            if compiled:
                runs[_COMPILED] = torch_loop(rows, precision, width, device, compiled=True)
            times = timing.alternate(runs, repeats)
            what = f"dcgan, {precision}, batch {rows}"
            for who, time in times.items():
                yield table.Row(what, who, 1e-3 * rows / time.median, "k images/s", time.spread)
            share = 100 * work * rows / times[_OURS].median / rate
            yield table.Row(what, f"{_OURS} / the card's products", share, "%")
            for peer in [peer for peer in times if peer != _OURS]:
                ratio = times[peer].median / times[_OURS].median
                goal = table.at_least(1.3, ratio) if peer == _COMPILED else {}
                yield table.Row(what, f"{peer} / {_OURS}", ratio, "×", **goal)


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--repeats", type=int, default=timing.REPEATS, help="turns of each contender")
    parser.add_argument("--output", default="runs/bench_gpu", help="folder of results.md, results.json")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no GPU here that torch can use: nothing was measured.")
    print(torch.cuda.get_device_name())
    rows = []
    for row in measure("cuda", arguments.batches, arguments.precisions, arguments.repeats):
        print(table.markdown([row]).splitlines()[-1], flush=True)
        rows.append(row)
        table.write(rows, arguments.output)


if __name__ == "__main__":
    main()

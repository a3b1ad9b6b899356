"""Compare the games of the benchmarks with torch loops, on a GPU.

    KERAS_BACKEND=jax python -m benchmarks.gpu
    KERAS_BACKEND=torch python -m benchmarks.gpu --games dcgan --batches 64 1024 --precisions bfloat16

Needs torch, also to measure the card's own rate, and JAX if that is the backend; TensorFlow is not asked
for anything. Without a GPU it says so. All data lie on the card. float32 is multiplied in TF32, by all.
torch.compile has no second derivatives, which leaves it out of WGAN-GP.
"""

import argparse
import os
import sys

# Or JAX would take the memory that torch needs.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import keras

from benchmarks import cases, table, timing

BATCHES, PRECISIONS = (64, 128, 256, 512, 1024), ("float32", "bfloat16", "float16")
OURS, COMPILED = "keras_gan", "torch, compiled"
# Ways to play; the second is that of the torch loops.
SETTINGS = {
    OURS: {"share_fakes": True},
    f"{OURS}, two passes": {"share_fakes": True, "single_pass": False},
}


def ours(case, precision, **settings):
    """Return `run(n)` of this package."""
    policy = precision if precision == "float32" else f"mixed_{precision}"
    gan = cases.compiled(case, policy, **settings)
    data = cases.Batches(case.k * case.rows, gan.sample_shape)

    def run(steps):
        gan.fit(data.repeated(steps), shuffle=False, verbose=0)

    return run


def torch_loop(name, case, precision, device, compiled=False):
    """Return `run(n)` of the torch loop."""
    import torch

    from benchmarks import torch_loops

    dtype = None if precision == "float32" else getattr(torch, precision)
    options = {"batch": case.rows, "discriminator_steps": case.k, "device": device, "dtype": dtype}
    return torch_loops.loop(name.split(",")[0], compiled, **options).run


def products(device, precision, size=8192):
    """Return `run(n)` of the product of two square matrices, and its number of operations."""
    import torch

    matrix = torch.rand(size, size, device=device).to(getattr(torch, precision))

    def run(steps):
        for _ in range(steps):
            matrix @ matrix
        if device == "cuda":
            torch.cuda.synchronize()

    return run, 2 * size**3


def measure(device, games, batches, precisions, repeats=timing.REPEATS, compiled=True, size=8192):
    """Yield the rows of the table."""
    for precision in precisions:
        square, count = products(device, precision, size)
        seconds = timing.alternate({"products": square}, repeats)["products"]
        rate = seconds.rate(1e-12 * count)
        yield table.row("matrix products", precision, rate, "TFLOP/s")
        for name in games:
            for rows in batches:
                case = cases.CASES[name]._replace(rows=rows)
                runs = {who: ours(case, precision, **how) for who, how in SETTINGS.items()}
                runs["torch"] = torch_loop(name, case, precision, device)
                if compiled and not name.startswith("wgan-gp"):
                    runs[COMPILED] = torch_loop(name, case, precision, device, compiled=True)
                yield from _rows(name, precision, case, timing.alternate(runs, repeats), rate.median)


def _rows(name, precision, case, times, rate):
    what = f"{name}, {precision}, batch {case.rows}"
    work = sum(product.operations for product in case.work(share_fakes=True))
    for who, seconds in times.items():
        images = seconds.rate(1e-3 * case.k * case.rows)
        yield table.row(what, who, images, "k images/s")
    for who in SETTINGS:
        share = times[who].rate(100 * 1e-12 * work / rate)
        yield table.row(what, f"{who}, of the card's products", share, "%")
        for peer in [peer for peer in times if peer not in SETTINGS]:
            goal = {"at_least": 1.3} if (name, who, peer) == ("dcgan", OURS, COMPILED) else {}
            yield table.row(what, f"{peer} / {who}", times[peer].over(times[who]), "×", **goal)


def check():
    """Leave, with a sentence, where there is nothing to measure on."""
    try:
        import torch
    except ImportError:
        sys.exit("The benchmark on a GPU needs torch: pip install torch")
    if not torch.cuda.is_available():
        sys.exit("There is no GPU here that torch can use: nothing was measured.")
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        if jax.default_backend() != "gpu":
            sys.exit("There is a GPU, but JAX cannot use it: nothing was measured. Install jax[cuda12].")
    elif backend != "torch":
        sys.exit(f"Expected KERAS_BACKEND=jax or torch. Received: {backend}")
    torch.set_float32_matmul_precision("high")  # TF32, as JAX and torch's convolutions do by themselves
    print(torch.cuda.get_device_name())


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--games", nargs="+", choices=cases.CASES, default=list(cases.CASES))
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument(
        "--repeats", type=timing.enough, default=timing.REPEATS, help="turns of each contender"
    )
    parser.add_argument("--output", default="runs/bench_gpu", help="folder of results.md, results.json")
    arguments = parser.parse_args()
    check()
    rows = []
    what = (arguments.games, arguments.batches, arguments.precisions, arguments.repeats)
    for row in measure("cuda", *what):
        print(table.markdown([row]).splitlines()[-1], flush=True)
        rows.append(row)
        table.write(rows, arguments.output)


if __name__ == "__main__":
    main()

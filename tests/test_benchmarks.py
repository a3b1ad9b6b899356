"""What the benchmarks compare with: the products of a step, turns, and the peers' games."""

import json
import pathlib
import runpy
import subprocess
import sys
import types

import keras
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.tensorflow
def test_multiplications_match_layers_and_their_gradients():
    """In the shapes of Keras' results, and in the operations that TensorFlow's profiler counts."""
    import tensorflow as tf

    import keras_gan as kg
    from benchmarks import limit, work

    networks = [
        kg.architectures.dcgan_generator(8, 3, width=4),
        kg.architectures.dcgan_discriminator(8, 3, width=4),
        keras.Sequential([keras.Input((6,)), kg.layers.Maxout(4, 3), keras.layers.Dense(2, "relu")]),
    ]
    kinds = set()
    for layer in [layer for network in networks for layer in work.layers(network)]:
        config = {**layer.get_config(), "activation": "linear", "pieces": 1, "use_bias": False}
        if isinstance(layer, kg.layers.Maxout):
            config["units"] *= layer.pieces
        known = {name: value for name, value in config.items() if name in layer.get_config()}
        plain = type(layer).from_config(known)
        inputs = tf.random.uniform((5, *layer.input.shape[1:]))
        plain.build(inputs.shape)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = plain(inputs)
            total = tf.reduce_sum(outputs * tf.random.uniform(outputs.shape))
        expected = [outputs, *tape.gradient(total, [inputs, plain.kernel.value])]
        for to, result in zip(("outputs", "inputs", "weights"), expected, strict=True):
            product = work.Product(layer, 5, to)
            assert limit.multiplication(product)().shape == result.shape
            assert product.operations == counted(limit.multiplication(product))
        kinds.add(type(layer).__name__)
    assert kinds == {"Dense", "Conv2D", "Conv2DTranspose", "Maxout"}


def counted(multiply):
    """Return the operations of a product, as TensorFlow's profiler counts them."""
    import tensorflow as tf

    graph = tf.function(multiply).get_concrete_function().graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops


@pytest.mark.tensorflow
def test_multiplications_of_algorithm_1_match_a_count_by_hand():
    """2·m·inputs·outputs for a layer's product, of the nets of 2014."""
    from benchmarks import cases, work

    generator, discriminator = cases.CASES["mnist"].nets()
    g = [100 * 1200, 1200 * 1200, 1200 * 784]
    d = [784 * 1200, 240 * 1200, 240]
    both = 2 * sum(d) + 2 * (sum(d) + sum(d[1:]))  # a discriminator's step: forward, and back
    last = 2 * sum(d) + sum(g) + sum(g[1:])  # the generator's: through the discriminator, and back
    for settings, by_hand in {
        (): 2 * sum(g) + both + last,
        ("share_fakes",): sum(g) + both + last,
        ("k",): 4 * sum(g) + 3 * both + last,
        ("k", "share_fakes"): 3 * sum(g) + 3 * both + last,
    }.items():
        settings = {name: {"k": 3, "share_fakes": True}[name] for name in settings}
        products = work.alternating(generator, discriminator, rows=100, **settings)
        assert sum(product.operations for product in products) == 2 * 100 * by_hand


def products_run(function):
    """Return how many products TensorFlow computes, after all that it merges and leaves out.

    Args:
        function: function that was not called before: graphs are told when they are made.
    """
    from tensorflow.python.eager import context

    context.context().enable_run_metadata()
    try:
        function()
        graphs = context.context().export_run_metadata().function_graphs
    finally:
        context.context().disable_run_metadata()
    # Single operations that run without a function have graphs of their own.
    return max(
        sum("MatMul" in node.op or "Conv2D" in node.op for node in graph.node)
        for whole in graphs
        for graph in whole.partition_graphs
    )


@pytest.fixture(scope="module")
def penalized():
    """A small WGAN-GP, of three convolutions and a dense layer each."""
    import keras_gan as kg
    from benchmarks import cases

    def nets():
        discriminator = kg.architectures.dcgan_discriminator(16, 3, width=2)
        kept = [x for x in discriminator.layers if not isinstance(x, keras.layers.BatchNormalization)]
        return kg.architectures.dcgan_generator(16, 3, width=2), keras.Sequential(
            [layer.__class__.from_config(layer.get_config()) for layer in kept]
        )

    return cases.CASES["wgan-gp, k = 5"]._replace(nets=nets, rows=4, k=2)


@pytest.mark.tensorflow
def test_wgan_gp_limit_matches_a_count_by_hand(penalized):
    """Of D's L products a penalty has L forward, L back, L − 1 forward again, and L for the weights."""
    from benchmarks import limit, work

    generator, discriminator = penalized.nets()
    g, d = len(work.layers(generator)), len(work.layers(discriminator))
    assert (g, d) == (3, 3)
    step = d + d + (d - 1)  # forward, to the weights, back through all but the first
    by_hand = g + 2 * (step + 4 * d - 1) + d + d + (g + g - 1)
    products = penalized.work()
    assert len(products) == by_hand
    run = limit.runner(products)
    assert products_run(lambda: run(1)) == by_hand


@pytest.mark.tensorflow
def test_penalty_stays_within_its_multiplication_limit(penalized):
    """Without the zeros that TensorFlow's second derivative of a leaky ReLU carries back."""
    from benchmarks import steps, work

    run = steps.ours(penalized)
    generator, _ = penalized.nets()
    # The limit makes all fakes in one pass, a step those of the generator's update in a second one.
    assert products_run(lambda: run(1)) == len(penalized.work()) + len(work.layers(generator))


@pytest.mark.tensorflow
def test_contenders_take_turns_and_medians_are_of_all_repeats():
    from benchmarks import timing

    calls = []
    times = timing.alternate(
        {name: lambda n, name=name: calls.append((name, n)) for name in "ab"}, repeats=7, turn=1e-9
    )
    assert [name for name, _ in calls] == [*"aabb", *"ab" * 7]
    assert len(times["a"].values) == 7
    fixed = timing.Repeats([3.0, 1.0, 2.0, 100.0, 2.5, 1.5, 2.2])
    assert fixed.median == 2.2
    assert fixed.spread == pytest.approx(0.5 * (3.0 - 1.5) / 2.2)
    # The machine that was slow in one turn was so for both.
    half = timing.Repeats([value / 2 for value in fixed.values])
    assert fixed.over(half) == timing.Repeats([2.0] * 7)
    assert half.rate(3.0).values[0] == 2.0


@pytest.mark.tensorflow
@pytest.mark.parametrize("number", ["6", "many", "-7"])
def test_too_few_repeats_raise(number, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", f"--repeats={number}"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("benchmarks", run_name="__main__")
    assert stopped.value.code == 2
    assert f"at least 7; received {number}" in capsys.readouterr().err


@pytest.mark.tensorflow
def test_table_marks_reached_targets(tmp_path):
    from benchmarks import table, timing

    slow = table.number(timing.Repeats([1.2] * 7), at_most=1.15)
    fast = table.number(timing.Repeats([1.3, 1.2, 1.4]), at_least=1.25)
    step = table.row("step", "keras_gan", timing.Repeats([1.5] * 3), "ms", 1e3)
    rows = [
        step._replace(ratios={"limit": slow, "guide": fast}),
        table.row("growth", "keras_gan", timing.Repeats([6.25]), "MiB", at_most=5),
    ]
    table.write(rows, tmp_path / "new")
    text = (tmp_path / "new" / "results.md").read_text()
    assert (
        "| step | keras_gan | 1,500 ms ± 0 % | 1.2 ± 0 % (≤ 1.15 ✗) | 1.3 ± 8 % (≥ 1.25 ✓) |  |" in text
    )
    assert "| growth | keras_gan | 6.25 MiB (≤ 5 ✗) |  |  |  |" in text
    content = json.loads((tmp_path / "new" / "results.json").read_text())
    assert content["rows"][0]["ratios"]["guide"]["met"] is True
    assert [row["met"] for row in content["rows"]] == [None, False]


def near(samples):
    """Whether samples have come from around 0 to data around 2."""
    return np.abs(samples.mean(axis=(0, 2, 3)) - 2.0).max() < 0.5


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(("name", "rate"), [("GuideGAN", 3e-3), ("GuideWassersteinGAN", 3e-3)])
def test_pattern_of_the_keras_guide_learns(name, rate, rng):
    from benchmarks import guide

    layers = keras.layers
    g = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Reshape((1, 2, 2))])
    d = keras.Sequential(
        [keras.Input((1, 2, 2)), layers.Flatten(), layers.Dense(16, "relu"), layers.Dense(1)]
    )
    gan = getattr(guide, name)(g, d, latent_dim=3, discriminator_steps=2)
    gan.compile(keras.optimizers.Adam(rate, 0.5), keras.optimizers.Adam(rate, 0.5))
    data = rng.normal(2.0, 0.3, size=(64 * 600, 1, 2, 2)).astype("float32")
    assert not near(np.array(g(gan.latents(200))))
    gan.fit(data, batch_size=64, verbose=0)
    assert near(np.array(g(gan.latents(200))))


@pytest.mark.torch
@pytest.mark.parametrize("name", ["Loop", "WassersteinLoop"])
def test_the_torch_loop_learns(name):
    import torch

    from benchmarks import torch_loops

    torch.manual_seed(0)
    g = torch.nn.Sequential(torch.nn.Linear(100, 4), torch.nn.Unflatten(1, (1, 2, 2)))
    d = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)
    )

    def adam(parameters):
        return torch.optim.Adam(parameters, 3e-3, betas=(0.5, 0.999))

    loop = getattr(torch_loops, name)((g, d, (1, 2, 2)), [adam, adam], batch=64, discriminator_steps=2)
    loop.data = 2.0 + 0.3 * torch.randn_like(loop.data)
    assert not near(loop.fakes().detach().numpy())
    loop.run(600)
    assert near(loop.fakes().detach().numpy())


def counted_by_torch(run):
    """Return the operations of `run(1)`."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    # By modules it would count apart, with hooks that a gradient inside a step does not bear.
    counter.mod_tracker = types.SimpleNamespace(
        parents={"Global"}, __enter__=lambda: None, __exit__=lambda: None
    )
    with counter:
        run(1)
    return counter.get_total_flops()


@pytest.mark.torch
@pytest.mark.parametrize("name", ["mnist", "dcgan"])
def test_operation_count_matches_torch(name):
    """Which also computes gradients for the discriminator's weights in the generator's step."""
    from benchmarks import cases, torch_loops, work

    case = cases.CASES[name]._replace(rows=4, k=2)
    _, discriminator = case.nets()
    loop = torch_loops.loop(name, batch=4, discriminator_steps=2)
    expected = case.work(share_fakes=True) + work.to_weights(discriminator, 4)
    assert counted_by_torch(loop.run) == sum(product.operations for product in expected)


@pytest.mark.torch
def test_wgan_gp_operation_count_matches_torch():
    """Which, beside those, carries the zeros of a leaky ReLU's second derivative back to the inputs.

    With dense layers: of a convolution's second derivative torch makes a larger convolution.
    """
    from torch import nn

    from benchmarks import cases, torch_loops, work

    layers = keras.layers
    discriminator = keras.Sequential(
        [
            keras.Input((1, 2, 3)), layers.Flatten(),
            layers.Dense(16), layers.LeakyReLU(), layers.Dense(8), layers.LeakyReLU(), layers.Dense(1),
        ]
    )  # fmt: skip
    generator = keras.Sequential([keras.Input((100,)), layers.Dense(6), layers.Reshape((1, 2, 3))])
    critic = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 16), nn.LeakyReLU(), nn.Linear(16, 8), nn.LeakyReLU(), nn.Linear(8, 1)
    )
    nets = nn.Sequential(nn.Linear(100, 6), nn.Unflatten(1, (1, 2, 3))), critic, (1, 2, 3)
    loop = torch_loops.WassersteinLoop(nets, [torch_loops.adam] * 2, batch=4, discriminator_steps=2)
    case = cases.CASES["wgan-gp, k = 5"]._replace(nets=lambda: (generator, discriminator), rows=4, k=2)
    zeros = work.to_weights(discriminator, 4)[:-1] + work.to_inputs(discriminator, 4)[:-1]
    expected = case.work(share_fakes=True) + work.to_weights(discriminator, 4) + case.k * zeros
    assert counted_by_torch(loop.run) == sum(product.operations for product in expected)


@pytest.mark.torch
def test_gpu_table_is_built_without_a_gpu():
    from benchmarks import gpu

    few = {"repeats": 2, "compiled": False, "size": 64}
    rows = list(gpu.measure("cpu", ["mnist", "dcgan"], [2], ["float32"], **few))
    names = ["keras_gan", "keras_gan, two passes", "torch"]
    for name in names[:2]:
        names += [f"{name}, of the card's products", f"torch / {name}"]
    assert [row.who for row in rows] == ["float32", *names, *names]
    assert all(0 < row.number.value < np.inf for row in rows)


@pytest.mark.torch
def test_program_reports_a_missing_gpu():
    import torch

    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    command = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "There is no GPU here" in done.stderr


@pytest.mark.slow
def test_comparison_of_adaptive_steps(capsys):
    """The energy distance of two points is twice their distance; a short run prints each contender."""
    from benchmarks import adaptive_steps

    points = np.zeros((3, 2)), np.tile([[3.0, 4.0]], (5, 1))
    assert adaptive_steps.energy_distance(*points) == pytest.approx(10.0)
    adaptive_steps.main(["--steps", "400", "--seeds", "1", "--only", "2", "balanced"])
    printed = capsys.readouterr().out
    assert [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("| ")] == [
        "k",
        "2",
        "balanced",
    ]

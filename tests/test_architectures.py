"""Networks: sizes and initial values against the paper's numbers, worked out by hand."""

import gc
import itertools

import keras
import numpy as np
import pytest
from helpers.games import BACKEND, float64, gradients, number, weight_gradients, with_xla

import keras_gan.architectures as architectures
from keras_gan.architectures.seeds import derive
from keras_gan.initializers import Sparse
from keras_gan.layers import Maxout, MaxoutConv2D, UntiedBias

# Numbers of weights, layer by layer, biases last: (inputs + 1) * pieces * units for dense layers.
COUNTS = {
    "mnist_generator": 101 * 1200 + 1201 * 1200 + 1201 * 784,
    "mnist_discriminator": 785 * 1200 + 241 * 1200 + 241,
    "tfd_generator": 101 * 8000 + 8001 * 8000 + 8001 * 2304,
    "tfd_discriminator": 2305 * 6000 + 1201 * 6000 + 1201,
    "cifar10_generator": 101 * 8000 + 8001 * 8000 + 8001 * 3072,
    "cifar10_discriminator": 3073 * 8000 + 1601 * 8000 + 1601,
    "cifar10_conv_generator": 101 * 8000 + 8001 * 8000 + 5 * 5 * 80 * 3 + 32 * 32 * 3,
    "cifar10_conv_discriminator": (8 * 8 * 3 + 1) * 64
    + (8 * 8 * 32 + 1) * 64
    + (5 * 5 * 32 + 1) * 384
    + (5 * 5 * 192 + 1) * 2500
    + 501,
}
SHAPES = {"mnist": (28, 28, 1), "tfd": (48, 48, 1), "cifar10": (32, 32, 3)}
RANGES = {"generator": 0.05, "discriminator": 0.005}


def array(value):
    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(value))


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


# Those of one dataset draw on every backend; the others are the same layers in larger numbers.
SMALL = ["mnist_discriminator", "mnist_generator"]
LARGE = [pytest.param(name, marks=pytest.mark.tensorflow) for name in sorted(COUNTS.keys() - SMALL)]


@pytest.fixture(scope="module", params=[*SMALL, *LARGE])
def network(request):
    """Each network once: the largest weigh 350 MB and take two seconds."""
    means = {"pixel_means": np.full(2304, 0.25)} if request.param == "tfd_generator" else {}
    yield getattr(architectures, request.param)(seed=0, **means)
    gc.collect()


def weighted(network):
    return [layer for layer in network.layers if hasattr(layer, "kernel")]


def test_sizes_of_2014(network):
    dataset, player = network.name.split("_")[0], network.name.split("_")[-1]
    assert network.count_params() == COUNTS[network.name]
    images = (None, *SHAPES[dataset])
    ends = {"generator": ((None, 100), images), "discriminator": (images, (None, 1))}
    assert (network.input_shape, network.output_shape) == ends[player]
    assert network.output.dtype == "float32"


def test_initial_values_of_2014(network):
    player = network.name.split("_")[-1]
    layers = weighted(network)
    for layer in layers:
        if layer is layers[-1] and network.name == "tfd_generator":
            np.testing.assert_array_equal((array(layer.kernel) != 0).sum(axis=0), 100)
            assert isinstance(layer.kernel_initializer, Sparse)
            continue
        limit = RANGES[player]
        if layer is layers[-1] and network.name == "cifar10_generator":
            limit = 0.5
        kernel = array(layer.kernel[:1000])
        assert limit * (1 - 20 / kernel.size) < np.abs(kernel).max() <= limit
        # The standard error of the variance of n uniform numbers is .894 / √n of it.
        variance = 4 * 0.9 / np.sqrt(kernel.size)
        np.testing.assert_allclose(kernel.std(dtype="float64") ** 2, limit**2 / 3, rtol=variance)
    biases = [array(layer.bias) for layer in layers if layer.bias is not None]
    expected = [0.0] * len(biases)
    if network.name == "tfd_generator":
        expected = [0.0, -2.0, np.log(0.25 / 0.75)]
    for bias, value in zip(biases, expected, strict=True):
        np.testing.assert_allclose(bias, value, rtol=1e-6)


def test_column_norms_of_2014(network):
    constraints = [layer.kernel_constraint for layer in weighted(network)]
    if network.name.startswith("tfd"):
        assert [(c.max_value, c.axis) for c in constraints] == [(1.9365, 0)] * 3
    else:
        assert set(constraints) == {None}


def test_layers_of_2014(network):
    player = network.name.split("_")[-1]
    activations = {
        "mnist_generator": ["relu", "relu", "sigmoid"],
        "tfd_generator": ["relu", "sigmoid", "sigmoid"],
        "cifar10_generator": ["relu", "sigmoid", "linear"],
        "cifar10_conv_generator": ["relu", "sigmoid", "linear"],
    }
    dropouts = [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    if player == "generator":
        assert dropouts == []
        found = [layer.activation.__name__ for layer in weighted(network)]
        assert found == activations[network.name]
        return
    assert dropouts == [0.2] + [0.5] * (len(weighted(network)) - 1)
    assert weighted(network)[-1].activation.__name__ == "linear"
    # Dropout comes directly before each layer, apart from the padding of a convolution.
    kinds = [
        type(layer)
        for layer in network.layers
        if isinstance(layer, (keras.layers.Dropout, Maxout, MaxoutConv2D, keras.layers.Dense))
    ]
    assert kinds[::2] == [keras.layers.Dropout] * len(dropouts)
    pieces = [layer.pieces for layer in weighted(network)[:-1]]
    assert pieces == ([2, 2, 2, 5] if "conv" in network.name else [5, 5])


def test_output_bias_is_the_logit_of_the_pixel_means():
    means = np.random.default_rng(0).uniform(size=(28, 28))
    means[:4], means[-1] = 0.0, 1.0
    generator = architectures.mnist_generator(pixel_means=means, seed=0)
    clipped = np.clip(means.ravel(), 1e-7, 1 - 1e-7)
    bias = array(generator.layers[3].bias)
    np.testing.assert_allclose(bias, np.log(clipped) - np.log1p(-clipped), rtol=1e-5, atol=1e-6)
    # Without the hidden units' part, each pixel is its mean.
    generator.layers[3].kernel.assign(np.zeros((1200, 784)))
    images = array(generator(random(2, 100)))
    assert images.shape == (2, 28, 28, 1)
    np.testing.assert_allclose(images, np.stack([means[..., None]] * 2), atol=2e-7)


@pytest.mark.parametrize(
    ("means", "message"),
    [
        (np.zeros((28, 27)), r"\(28, 28, 1\), or 784 numbers.*mean\(axis=0\).*shape \(28, 27\)"),
        (np.full(784, -0.1), r"must lie in \[0, 1\].*from -0.1 to -0.1.*value_range=\(0, 1\)"),
        (np.full(784, 127.0), r"must lie in \[0, 1\].*from 127.0 to 127.0"),
        (np.full(784, np.nan), r"must lie in \[0, 1\].*from nan to nan"),
    ],
)
def test_invalid_pixel_means(means, message):
    with pytest.raises(ValueError, match=message):
        architectures.mnist_generator(pixel_means=means)


def test_the_second_stage_feeds_the_first():
    first = keras.Sequential(
        [keras.Input((100,)), keras.layers.Dense(6), keras.layers.Reshape((2, 3))], name="first"
    )
    stack = architectures.tfd_stacked_generator(first, seed=0)
    assert stack.count_params() == 101 * 8000 + 8001 * 100 + 101 * 6
    relu, sigmoid = weighted(stack)
    w1, b1, w2, b2 = (array(weight).astype("float64") for weight in (*relu.weights, *sigmoid.weights))
    np.testing.assert_array_equal(b2, -2.0)
    assert [layer.kernel_constraint.max_value for layer in (relu, sigmoid)] == [1.9365] * 2
    latents = random(3, 100)
    hidden = 1 / (1 + np.exp(-(np.maximum(latents @ w1 + b1, 0) @ w2 + b2)))
    expected = array(first(hidden.astype("float32")))
    np.testing.assert_allclose(array(stack(latents)), expected, rtol=1e-4, atol=1e-5)
    assert all(any(w is v for v in stack.trainable_weights) for w in first.trainable_weights)


def test_the_deconvolution_is_stride_times_input_plus_kernel():
    """Output 3 · 9 + 5 = 32: a lone unit at (i, j) paints its kernel at (3i, 3j)."""
    layer = keras.layers.Conv2DTranspose(3, 5, strides=3, use_bias=False)
    network = keras.Sequential([keras.Input((10, 10, 80)), layer, UntiedBias()])
    assert network.output_shape == (None, 32, 32, 3)
    maps = np.zeros((1, 10, 10, 80), "float32")
    maps[0, 9, 4, 7] = 1.0
    expected = np.zeros((32, 32, 3), "float32")
    expected[27:32, 12:17] = array(layer.kernel)[..., 7]
    np.testing.assert_allclose(array(network(maps))[0], expected, atol=1e-7)


def test_pooling_windows_that_exceed_the_edge():
    """Windows start at every second position and are cut at the edge, as those of 2014."""
    network = architectures.cifar10_conv_discriminator(seed=0)
    pooled, sizes = [], []
    for layer in network.layers:
        if isinstance(layer, MaxoutConv2D):
            maps = layer.output
        if isinstance(layer, keras.layers.MaxPooling2D):
            pooled.append((maps, layer.output, layer.pool_size[0]))
    images = random(2, 32, 32, 3)
    for maps, output, window in pooled:
        before, after = keras.Model(network.input, [maps, output])(images)
        before, after = array(before), array(after)
        size = -(-(before.shape[1] - window) // 2) + 1
        sizes.append((before.shape[1], size))
        assert after.shape[1:3] == (size, size)
        for i in range(size):
            for j in range(size):
                block = before[:, 2 * i : 2 * i + window, 2 * j : 2 * j + window]
                np.testing.assert_array_equal(after[:, i, j], block.max((1, 2)))
    assert sizes == [(33, 16), (15, 7), (9, 5)]


MAKERS = {
    "mnist_generator": architectures.mnist_generator,
    "mnist_discriminator": architectures.mnist_discriminator,
    "conv_discriminator": architectures.cifar10_conv_discriminator,
    "dcgan_generator": lambda seed: architectures.dcgan_generator(16, 3, width=4, seed=seed),
    "dcgan_discriminator": lambda seed: architectures.dcgan_discriminator(
        16, 3, num_classes=5, width=4, seed=seed
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_makes_weights_and_dropout_reproducible(name):
    first, again, other = (MAKERS[name](seed=seed) for seed in (3, 3, 4))
    inputs = [
        random(2, *tensor.shape[1:]) if tensor.dtype == "float32" else np.array([1, 4])
        for tensor in first.inputs
    ]
    inputs = inputs if len(inputs) > 1 else inputs[0]
    outputs = [array(network(inputs, training=True)) for network in (first, again, other)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert (outputs[0] != outputs[2]).any()


@pytest.mark.parametrize("name", MAKERS)
def test_without_a_seed_weights_follow_keras(name):
    kernels = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        kernels.append(array(MAKERS[name](seed=None).trainable_weights[0]))
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert (kernels[0] != kernels[2]).any()


def test_layers_are_initialized_independently():
    """Equal seeds give equal numbers in equal places, up to the scale of the layer."""
    networks = [architectures.mnist_generator(seed=0), architectures.mnist_discriminator(seed=0)]
    starts = [array(layer.kernel).ravel()[:240] for network in networks for layer in weighted(network)]
    correlations = np.corrcoef(starts)[np.triu_indices(len(starts), 1)]
    assert np.abs(correlations).max() < 0.3
    seeds = [
        {next(stream) for _ in range(100)}
        for stream in (derive(0, "generator"), derive(0, "discriminator"), derive(1, "generator"))
    ]
    assert len(set.union(*seeds)) == 300


@pytest.mark.tensorflow  # tests/conformance holds each network's on every backend
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("name", MAKERS)
def test_networks_survive_saving(name, policy, tmp_path):
    default = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        network = MAKERS[name](seed=0)
    finally:
        keras.config.set_dtype_policy(default)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    inputs = [
        random(2, *tensor.shape[1:]) if tensor.dtype == "float32" else np.array([1, 4])
        for tensor in network.inputs
    ]
    inputs = inputs if len(inputs) > 1 else inputs[0]
    outputs = array(network(inputs))
    assert outputs.dtype == "float32"
    assert np.isfinite(outputs).all()
    np.testing.assert_array_equal(outputs, array(loaded(inputs)))
    half = [layer.compute_dtype for layer in network.layers].count("float16")
    assert (half > 0) == (policy == "mixed_float16")


# DCGAN


@pytest.mark.tensorflow
def test_dcgan_matches_the_figure_of_the_paper():
    """Figure 1: 100 – 4×4×1024 – 8×8×512 – 16×16×256 – 32×32×128 – 64×64×3."""
    generator = architectures.dcgan_generator(64, 3, width=128, seed=0)
    shapes = [
        layer.output.shape[1:]
        for layer in generator.layers
        if isinstance(layer, (keras.layers.Reshape, keras.layers.Conv2DTranspose))
    ]
    sizes = [(4, 1024), (8, 512), (16, 256), (32, 128), (64, 3)]
    assert shapes == [(size, size, filters) for size, filters in sizes]
    maps = [filters for _, filters in sizes]
    convolutions = sum(25 * a * b for a, b in itertools.pairwise(maps))
    normalized = 4 * (16 * 1024 + 512 + 256 + 128)
    assert generator.count_params() == 100 * 16 * 1024 + convolutions + normalized + 3
    for kernel in (layer.kernel for layer in weighted(generator)):
        std = array(kernel).std(dtype="float64")
        np.testing.assert_allclose(std, 0.02, rtol=4 / np.sqrt(2 * np.prod(kernel.shape)))


@pytest.mark.tensorflow
@pytest.mark.parametrize("image_size", [8, 16, 32, 128])
@pytest.mark.parametrize("channels", [1, 4])
def test_dcgan_sizes(image_size, channels):
    width = 4
    generator = architectures.dcgan_generator(image_size, channels, latent_dim=7, width=width)
    discriminator = architectures.dcgan_discriminator(image_size, channels, width=width)
    assert generator.input_shape == (None, 7)
    assert generator.output_shape == (None, image_size, image_size, channels)
    assert discriminator.input_shape == generator.output_shape
    assert discriminator.output_shape == (None, 1)
    doublings = int(np.log2(image_size)) - 2
    filters = [width * 2**doubling for doubling in range(doublings)]
    assert [layer.filters for layer in weighted(discriminator)[:-1]] == filters
    assert [layer.filters for layer in weighted(generator)[1:]] == [*filters[-2::-1], channels]
    norms = [
        sum(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)
        for network in (generator, discriminator)
    ]
    assert norms == [doublings, doublings - 1]


@pytest.mark.parametrize(("activation", "low"), [("tanh", -1.0), ("sigmoid", 0.0)])
def test_dcgan_range(activation, low):
    generator = architectures.dcgan_generator(8, 1, activation=activation, width=4, seed=0)
    generator.layers[-1].kernel.assign(generator.layers[-1].kernel * 1000)
    images = array(generator(random(64, 100)))
    assert low <= images.min() < low + 0.05
    assert 0.95 < images.max() <= 1.0


@pytest.mark.tensorflow
def test_dcgan_concatenates_the_label_to_every_layer():
    generator = architectures.dcgan_generator(32, 1, num_classes=10, width=4, seed=0)
    discriminator = architectures.dcgan_discriminator(32, 1, num_classes=10, width=4, seed=0)
    assert weighted(generator)[0].kernel.shape == (110, 4 * 4 * 16)
    incoming = [layer.kernel.shape[3] for layer in weighted(generator)[1:]]
    assert incoming == [26, 18, 14]
    incoming = [layer.kernel.shape[2] for layer in weighted(discriminator)[:-1]]
    assert incoming == [11, 14, 18]
    assert weighted(discriminator)[-1].kernel.shape == (16 * 16 + 10, 1)
    joined = next(layer.output for layer in discriminator.layers if layer.name.startswith("concatenate"))
    images, labels = random(2, 32, 32, 1), np.array([3, 9])
    features = array(keras.Model(discriminator.inputs, joined)([images, labels]))
    np.testing.assert_array_equal(features[..., :1], images)
    expected = np.broadcast_to(np.eye(10)[labels][:, None, None], (2, 32, 32, 10))
    np.testing.assert_array_equal(features[..., 1:], expected)
    same_latents = np.repeat(random(1, 100), 2, axis=0)
    one, other = array(generator([same_latents, labels]))
    assert np.abs(one - other).max() > 1e-4


def in_float64(network):
    """Copy a network with float64 weights and activations, for exact finite differences."""

    def clone(layer):
        return layer.from_config({**layer.get_config(), "dtype": "float64"})

    inputs = keras.Input(network.input_shape[1:], dtype="float64")
    copy = keras.models.clone_model(network, inputs, clone_function=clone)
    copy.set_weights([array(weight.value) for weight in network.weights])
    return copy


def test_dcgan_is_twice_differentiable():
    """The gradient of a gradient penalty on the discriminator equals a finite difference along it.

    With moving statistics: TensorFlow's second derivative through batch statistics is inexact.
    """
    # Elsewhere Keras normalizes batches of float64 in float32.
    step, rtol = (1e-7, 1e-4) if BACKEND == "tensorflow" else (1e-4, 1e-3)

    images = random(4, 16, 16, 1).astype("float64")

    def penalty():
        (slope,) = gradients(lambda x: keras.ops.sum(discriminator(x, training=False)), images)
        return keras.ops.sum(slope**2)

    with float64():
        discriminator = in_float64(architectures.dcgan_discriminator(16, 1, width=4, seed=0))
        kernels = [layer.kernel for layer in weighted(discriminator)]
        for kernel, gradient in zip(kernels, weight_gradients(penalty, kernels), strict=True):
            start, norm = array(kernel), np.linalg.norm(array(gradient))
            direction = array(gradient) / norm
            values = []
            for sign in (1, -1):
                kernel.assign(start + sign * step * direction)
                values.append(number(penalty()))
            kernel.assign(start)
            numeric = (values[0] - values[1]) / (2 * step)
            np.testing.assert_allclose(norm, numeric, rtol=rtol)


def test_a_penalty_reaches_the_generator():
    generator = architectures.dcgan_generator(8, 1, width=4, seed=0)
    discriminator = architectures.dcgan_discriminator(8, 1, width=4, seed=0)

    def logit(latents):
        return keras.ops.sum(discriminator(generator(latents, training=True), training=True))

    def penalty():
        (slope,) = gradients(logit, random(4, 100))
        return keras.ops.sum(slope**2)

    kernels = [layer.kernel for layer in weighted(generator)]
    assert all(np.abs(array(slope)).max() > 0 for slope in weight_gradients(penalty, kernels))


@pytest.mark.tensorflow
@pytest.mark.jax
@pytest.mark.parametrize("num_classes", [None, 3])
def test_dcgan_compiles_with_xla(num_classes):
    generator = architectures.dcgan_generator(8, 1, num_classes=num_classes, width=4, seed=0)
    discriminator = architectures.dcgan_discriminator(8, 1, num_classes=num_classes, width=4)
    labels = [] if num_classes is None else [keras.ops.convert_to_tensor([0, 2])]

    def pair(latents):
        images = generator([latents, *labels] if labels else latents)
        return discriminator([images, *labels] if labels else images)

    latents = keras.ops.convert_to_tensor(random(2, 100))
    compiled = with_xla(pair)(latents)
    np.testing.assert_allclose(array(compiled), array(pair(latents)), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("image_size", "nearest"),
    [(28, "16 or 32"), (33, "32 or 64"), (np.int64(48), "32 or 64")],
)
@pytest.mark.parametrize("make", [architectures.dcgan_generator, architectures.dcgan_discriminator])
def test_dcgan_rejects_unsupported_sizes(make, image_size, nearest):
    message = (
        rf"must be a power of two.*Received: {image_size}\. Resize or pad the images to {nearest}\."
    )
    with pytest.raises(ValueError, match=message):
        make(image_size, 1)


def test_dcgan_rejects_unsupported_activations():
    with pytest.raises(
        ValueError, match="`activation` must be one of 'tanh', 'sigmoid'. Received: 'tahn'"
    ):
        architectures.dcgan_generator(32, 1, activation="tahn")


@pytest.mark.parametrize("means", ["gray", {"a": 1}, [[0.5], [0.5, 0.5]], [True] * 784, ["0.5"] * 784])
def test_non_numeric_pixel_means(means):
    with pytest.raises(TypeError, match=r"`pixel_means` must be an array of shape \(28, 28, 1\)"):
        architectures.mnist_generator(means)


def test_stacking_requires_a_generator_of_vectors():
    with pytest.raises(TypeError, match="pretrained must be a `keras.Model`. Received: 'first'"):
        architectures.tfd_stacked_generator("first")
    for network in (
        keras.Sequential([keras.layers.Dense(2)]),
        keras.Sequential([keras.Input((4, 4, 1))]),
    ):
        with pytest.raises(ValueError, match=r"`pretrained` must have one input of shape \(batch, n\)"):
            architectures.tfd_stacked_generator(network)


CONVOLUTIONAL = {
    "dcgan_generator": {"image_size": 16, "channels": 3, "num_classes": 2, "width": 4},
    "dcgan_discriminator": {"image_size": 16, "channels": 3, "num_classes": 2, "width": 4},
    "mnist_generator": {},
    "mnist_discriminator": {},
    "cifar10_generator": {"units": 100},
    "cifar10_conv_generator": {"units": 100},
    "cifar10_conv_discriminator": {},
    "digit_classifier": {},
}


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_channels_first_image_data_format(name, policy, request):
    """The same weights make the same images, transposed."""
    keras.config.set_dtype_policy(policy)
    make = getattr(architectures, name)
    last = make(**CONVOLUTIONAL[name], seed=0)
    request.getfixturevalue("channels_first")
    first = make(**CONVOLUTIONAL[name], seed=0)
    for ours, theirs in zip(first.weights, last.weights, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))
    makes_images = name.endswith("generator")
    x = random(2, *last.inputs[0].shape[1:])
    labels = [np.array([0, 1])] if len(last.inputs) > 1 else []
    expected = array(last([x, *labels] if labels else x))
    given = x if makes_images else x.transpose(0, 3, 1, 2)
    found = array(first([given, *labels] if labels else given))
    assert first.output.dtype == last.output.dtype
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2) if makes_images else expected)

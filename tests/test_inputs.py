"""How data and conditions reach networks: by order, by name, by shape; and labels in no class."""

import keras
import numpy as np
import pytest
from helpers.games import BACKEND, mlp, sgd
from keras import layers, ops

import keras_gan as kg

ROWS = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
LABELS = np.arange(40) % 5
ANGLES = np.linspace(-1, 1, 40, dtype="float32")[:, None]


def network(inputs, outputs, keys=None):
    """A network of latents or samples, a label of five and an angle; with `keys`, of named inputs."""
    names = keys or (None, None, None)
    first, label = keras.Input((inputs,), name=names[0]), keras.Input((), dtype="int32", name=names[1])
    angle = keras.Input((1,), name=names[2])
    x = layers.Concatenate()([first, layers.Embedding(5, 3)(label), angle])
    parts = [first, label, angle]
    return keras.Model(dict(zip(keys, parts, strict=True)) if keys else parts, layers.Dense(outputs)(x))


def compiled(*networks, prior="normal", **options):
    gan = kg.GAN(*networks, prior=prior, seed=0)
    gan.compile(**sgd(0.05), **options)
    return gan


def losses(networks, x, y=None, **options):
    keras.utils.set_random_seed(0)
    gan = compiled(*networks(), run_eagerly=True)
    return gan.fit(x, y, batch_size=20, shuffle=False, verbose=0, **options).history["d_loss"]


def positional():
    return network(4, 2), network(2, 1)


def of_names():
    # In the order of the alphabet the label would stand before the noise, and before the sample.
    return network(4, 2, ("noise", "label", "angle")), network(2, 1, ("sample", "label", "angle"))


def half_named():
    return network(4, 2), network(2, 1, ("sample", "label", "angle"))


def test_equivalent_structures_of_conditions():
    """Lists, dicts and tuples of the same numbers train the same networks to the same losses."""
    expected = losses(positional, ROWS, (LABELS, ANGLES))
    forms = {
        "a dict of conditions": (of_names, ROWS, {"angle": ANGLES, "label": LABELS}),
        "a dict with others": (of_names, ROWS, {"angle": ANGLES, "label": LABELS, "id": LABELS}),
        "one dict": (of_names, {"label": LABELS, "angle": ANGLES, "sample": ROWS}, None),
        "a dict without names": (positional, {"y": LABELS, "x": ROWS, "z": ANGLES}, None),
        "names in one": (half_named, ROWS, (LABELS, ANGLES)),
    }
    for form, (networks, x, y) in forms.items():
        assert losses(networks, x, y) == pytest.approx(expected, rel=1e-5), form


@pytest.mark.tensorflow
def test_batches_of_tensorflow_datasets():
    """A dict of images, labels and ids, of which the last is no number."""
    import tensorflow as tf

    images = np.random.default_rng(0).random((20, 4, 4, 1)).astype("float32")
    parts = {"id": [f"digit {i}" for i in range(20)], "image": images, "label": LABELS[:20]}
    data = tf.data.Dataset.from_tensor_slices(parts).batch(10)

    def made(first, outputs, name):
        x, label = keras.Input(first, name=name), keras.Input((), dtype="int32", name="label")
        joined = layers.Concatenate()([layers.Flatten()(x), layers.Embedding(5, 2)(label)])
        out = layers.Reshape(outputs)(layers.Dense(int(np.prod(outputs)))(joined))
        return keras.Model([x, label], out)

    gan = compiled(made((4,), (4, 4, 1), "latents"), made((4, 4, 1), (1,), "images"))
    history = gan.fit(data, verbose=0, validation_data=data).history
    again = compiled(gan.generator, gan.discriminator)
    assert set(history) >= {"d_loss", "val_d_loss"}
    assert np.isfinite(
        again.fit(data.map(lambda d: (d["image"], d["label"])), verbose=0).history["d_loss"]
    )


def test_samples_and_latents_of_structures():
    """A generator of two outputs, and a discriminator of both: data in the same structure."""
    z, a, b = keras.Input((4,)), keras.Input((2,), name="a"), keras.Input((3,), name="b")
    generator = keras.Model(z, {"a": layers.Dense(2)(z), "b": layers.Dense(3)(z)})
    discriminator = keras.Model({"a": a, "b": b}, layers.Dense(1)(layers.Concatenate()([a, b])))
    gan = compiled(generator, discriminator)
    assert gan.sample_shape == {"a": (2,), "b": (3,)}
    rows = {"a": ROWS, "b": np.ones((40, 3), "float32")}
    assert np.isfinite(gan.fit(rows, batch_size=20, verbose=0).history["d_loss"]).all()
    samples = gan.generate(7, seed=0, batch_size=4)
    assert {key: value.shape for key, value in samples.items()} == {"a": (7, 2), "b": (7, 3)}
    with pytest.raises(ValueError, match=r"structure of the generator's samples.*Expected \{'a'"):
        gan.fit(ROWS, verbose=0)


def test_a_generator_without_latents():
    """`prior=None`: all that it takes is the condition, and as many samples as conditions."""
    translator = mlp(3, 2, name="g")
    condition, sample = keras.Input((3,)), keras.Input((2,))
    joined = layers.Concatenate()([sample, condition])
    gan = compiled(translator, keras.Model([sample, condition], layers.Dense(1)(joined)), prior=None)
    sources = np.random.default_rng(1).normal(size=(40, 3)).astype("float32")
    gan.fit(ROWS, sources, batch_size=20, verbose=0)
    expected = ops.convert_to_numpy(translator(sources[:5]))
    np.testing.assert_allclose(gan.generate(5, condition=sources[:5]), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        # Which is the noise? Neither name is the discriminator's, and both are vectors.
        (
            lambda: (_two("noise", "style"), mlp(2, 1)),
            r"latents cannot be identified among.*\['noise', 'style'\]",
        ),
        # Samples and condition are vectors of 2, of which only one has a name in both.
        (
            lambda: (_two("noise", "angle"), _two("data", "other", first=2)),
            "latents cannot be identified among|Several of the inputs",
        ),
        (lambda: (network(4, 2), mlp(2, 1)), "in a conditional GAN, both networks take a condition"),
    ],
)
def test_ambiguous_inputs_raise(networks, message):
    with pytest.raises(ValueError, match=rf"(?s){message}"):
        kg.GAN(*networks(), prior="normal", seed=0)


def _two(one, other, first=2):
    inputs = {one: keras.Input((first,), name=one), other: keras.Input((2,), name=other)}
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(list(inputs.values()))))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "the data have none"),
        (LABELS, r"must have the structure of the networks' conditions. Expected .*received shape \(\)"),
        ((LABELS, ANGLES, ANGLES), "must have the structure of the networks' conditions"),
        ((LABELS, np.ones((40, 2), "float32")), r"Expected \(1,\), received \(2,\)"),
    ],
)
def test_conditions_of_the_wrong_structure(y, message):
    with pytest.raises(ValueError, match=message):
        compiled(*positional()).fit(ROWS, y, verbose=0)


def test_missing_input_names():
    with pytest.raises(ValueError, match=r"Expected \['angle', 'label'\], received \['label', 'x'\]"):
        compiled(*of_names()).fit(ROWS, {"label": LABELS, "x": ANGLES}, verbose=0)


# Labels in no class.


class Batches(keras.utils.PyDataset):
    """Batches of which the second holds a label too large."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        labels = np.where(LABELS == 0, 5, LABELS) if index else LABELS
        return ROWS, (labels, ANGLES)


def generator_of_batches():
    yield from (Batches()[0], Batches()[1])


def of_tensors():
    import tensorflow as tf

    return tf.data.Dataset.from_generator(
        generator_of_batches,
        output_signature=(
            tf.TensorSpec((None, 2)),
            (tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None, 1))),
        ),
    )


SOURCES = {
    "arrays": lambda: (ROWS, (np.where(LABELS == 0, 5, LABELS), ANGLES)),
    "negative": lambda: (ROWS, (LABELS - 1, ANGLES)),
    "batches": lambda: (Batches(), None),
    "generator": lambda: (generator_of_batches(), None),
    "tensors": lambda: (of_tensors(), None),
}
XLA = [False, True] if BACKEND == "tensorflow" else [False]


# XLA on JAX is the default, and on TensorFlow leaves out what checks labels in a step.
KINDS = [(source, xla) for source in SOURCES for xla in XLA if not (xla and source == "negative")]


@pytest.mark.parametrize(("source", "xla"), KINDS)
def test_out_of_range_label_raises(source, xla):
    """Nothing moves in its step: arrays are looked at before the first."""
    gan = compiled(*positional(), jit_compile=xla)
    before = gan.get_weights()
    x, y = SOURCES[source]()
    with pytest.raises(
        Exception, match=r"must be a label in \[0, 5\), one of the classes of the networks"
    ):
        gan.fit(x, y, batch_size=20, verbose=0, shuffle=False)
    now = gan.get_weights()
    assert all(np.isfinite(weight).all() for weight in now)
    if source in ("arrays", "negative"):
        for one, other in zip(before, now, strict=True):
            np.testing.assert_array_equal(one, other)
    history = gan.fit(ROWS, (LABELS, ANGLES), batch_size=20, verbose=0).history
    assert np.isfinite(history["d_loss"]).all()


def test_out_of_range_label_raises_in_other_methods():
    gan = compiled(*positional())
    wrong = (np.full(40, 5), ANGLES)
    message = r"must be a label in \[0, 5\).*Received: 5"
    for call in (gan.evaluate, gan.train_on_batch, gan.test_on_batch):
        options = {"verbose": 0} if call == gan.evaluate else {}
        with pytest.raises(Exception, match=r"must be a label in \[0, 5\)"):
            call(ROWS, wrong, **options)
    with pytest.raises(ValueError, match=message):
        gan.generate(2, condition=(np.array([0, 5]), ANGLES[:2]))
    with pytest.raises(ValueError, match=r"Received: -1"):
        gan.generate(2, condition=(np.array([-1, 4]), ANGLES[:2]))
    assert gan.generate(2, condition=(np.array([0, 4]), ANGLES[:2])).shape == (2, 2)


READS = {
    "one-hot": lambda label: ops.one_hot(label, 7),
    "encoding": lambda label: layers.CategoryEncoding(7, "one_hot")(layers.Reshape((1,))(label)),
    "embedding of a column": lambda label: layers.Flatten()(
        layers.Embedding(7, 2)(layers.Reshape((1,))(label))
    ),
    "nested": lambda label: keras.Sequential([keras.Input((), dtype="int32"), layers.Embedding(7, 2)])(
        label
    ),
}


@pytest.mark.parametrize("read", READS)
def test_number_of_classes_is_inferred_from_networks(read):
    def made(width, outputs):
        x, label = keras.Input((width,)), keras.Input((), dtype="int32")
        joined = layers.Concatenate()([x, ops.cast(READS[read](label), "float32")])
        return keras.Model([x, label], layers.Dense(outputs)(joined))

    gan = kg.GAN(made(4, 2), made(2, 1), seed=0)
    with pytest.raises(ValueError, match=r"`condition` must be a label in \[0, 7\).*Received: 7"):
        gan.generate(1, condition=7)
    assert gan.generate(1, condition=6).shape == (1, 2)


def test_dict_entries_are_matched_to_input_names():
    """Its input's name says which of two entries of one shape is the example."""
    data = {"sample": ROWS, "other": ROWS + 1, "label": LABELS, "angle": ANGLES}
    assert losses(of_names, data) == pytest.approx(
        losses(of_names, ROWS, {"label": LABELS, "angle": ANGLES})
    )


class NoSuchPlayers(kg.GAN):
    @property
    def teams(self):
        return {"judge": [self.discriminator], "forger": [self.generator]}


class Forgetful(kg.GAN):
    def __init__(self, generator, discriminator, scale, prior="normal", seed=None, name=None):
        super().__init__(generator, discriminator, prior=prior, seed=seed, name=name)
        self.scale = scale


def test_invalid_subclasses():
    with pytest.raises(
        ValueError, match=r"'d' \(discriminator\) and 'g' \(generator\).*\['judge', 'forger'\]"
    ):
        NoSuchPlayers(mlp(4, 2), mlp(2, 1))
    with pytest.raises(ValueError, match=r"does not pass its arguments \['scale'\] on"):
        Forgetful(mlp(4, 2), mlp(2, 1), 2.0).get_config()
    with pytest.raises(TypeError, match="unexpected argument 'encoder'. Expected: generator, discrim"):
        kg.GAN(mlp(4, 2), mlp(2, 1), encoder=mlp(2, 4))


def test_features_that_require_latents_or_a_single_tensor(tmp_path):
    gan = compiled(mlp(3, 2), network_of_condition(), prior=None)
    with pytest.raises(ValueError, match="has no prior: its generator takes only conditions"):
        gan.generate(latents=np.zeros((2, 3)), condition=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="`class_weight` requires that `y` is one array"):
        compiled(*positional()).fit(ROWS, (LABELS, ANGLES), class_weight={0: 1.0})
    film = kg.callbacks.LatentInterpolation(tmp_path)
    film.set_model(gan)
    with pytest.raises(ValueError, match="takes none"):
        film.on_train_begin()


def network_of_condition():
    sample, condition = keras.Input((2,)), keras.Input((3,))
    return keras.Model([sample, condition], layers.Dense(1)(layers.Concatenate()([sample, condition])))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "float32"])
def test_labels_of_different_dtypes_and_shapes(dtype):
    """Numbers that are labels are labels, also where the type holds no number of classes."""

    def made(width, outputs):
        x, label = keras.Input((width,)), keras.Input((), dtype="int32")
        joined = layers.Concatenate()([x, layers.Embedding(256, 2)(label)])
        return keras.Model([x, label], layers.Dense(outputs)(joined))

    gan = compiled(made(4, 2), made(2, 1))
    for labels in (LABELS, LABELS[:, None]):
        history = gan.fit(ROWS, labels.astype(dtype), batch_size=20, verbose=0).history
        assert np.isfinite(history["d_loss"]).all()
    with pytest.raises(ValueError, match=r"must be a label in \[0, 256\).*Received: 0.5"):
        gan.generate(2, condition=np.array([0.5, 1.0]))


@pytest.mark.parametrize("xla", XLA)
def test_out_of_range_label_raises_in_validation_and_train_on_batch(xla):
    gan = compiled(*positional(), jit_compile=xla)
    good, wrong = (LABELS, ANGLES), (LABELS + 4, ANGLES)
    message = r"must be a label in \[0, 5\)"
    with pytest.raises(Exception, match=message):
        gan.fit(ROWS, good, batch_size=20, validation_data=(ROWS, wrong), verbose=0)
    with pytest.raises(Exception, match=message):
        gan.fit(ROWS, good, batch_size=20, validation_data=Batches(), verbose=0)
    with pytest.raises(Exception, match=message):
        gan.train_on_batch(ROWS, wrong)


def test_listed_conditions_are_matched_by_name():
    """A list and a dict, and two lists in different orders: names say what is what."""
    names = ("noise", "label", "angle")
    listed = network(4, 2, names)
    inputs = [listed.input[name] for name in names]
    generator = keras.Model(inputs, listed(dict(zip(names, inputs, strict=True))))
    gan = compiled(generator, network(2, 1, ("sample", "label", "angle")))
    assert set(gan.condition_shape) == {"label", "angle"}
    data = {"label": LABELS, "angle": ANGLES}
    assert np.isfinite(gan.fit(ROWS, data, batch_size=20, verbose=0).history["d_loss"]).all()

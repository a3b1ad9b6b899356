"""What each kind of public object promises.

Every kind has the same three checks, the columns of the table: `check_config()`, that it can be made
again from what it says of itself; `check_file(folder)`, that it survives being written to disk;
`check_precision(policy)`, that it works under float32 and under mixed_float16.
"""

import copy
import dataclasses
import functools
import inspect
import json
import pickle
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_gan as kg

REAL = np.random.default_rng(0).random((16, 4, 4, 1)).astype("float32")
LABELS = np.arange(16, dtype="int32") % 3
FAKE = np.random.default_rng(1).random((16, 4, 4, 1)).astype("float32")
NEAR = {"rtol": 0.02, "atol": 0.02}  # float16 has 11 bits


def networks():
    dense = keras.layers.Dense
    generator = [keras.Input((6,)), dense(16, "sigmoid"), keras.layers.Reshape((4, 4, 1))]
    hidden = [keras.layers.Flatten(), dense(8, "relu", name="features")]
    return keras.Sequential(generator), keras.Sequential([keras.Input((4, 4, 1)), *hidden, dense(1)])


def joined(inputs, units, activation=None):
    """Return a dense layer of several inputs."""
    flat = [keras.layers.Flatten()(x) for x in inputs]
    return keras.layers.Dense(units, activation)(keras.layers.Concatenate()(flat))


def labeled_networks():
    """Return a generator of images of three classes, and a discriminator that classifies them."""
    z, label = keras.Input((6,)), keras.Input((), dtype="int32")
    made = joined([z, keras.layers.Embedding(3, 2)(label)], 16, "sigmoid")
    x = keras.Input((4, 4, 1))
    features = keras.layers.Dense(8, "relu")(keras.layers.Flatten()(x))
    heads = {name: keras.layers.Dense(n)(features) for name, n in {"logits": 1, "classes": 3}.items()}
    return keras.Model([z, label], keras.layers.Reshape((4, 4, 1))(made)), keras.Model(x, heads)


def classifier_networks():
    """Return a generator of images, and a classifier of three classes with features."""
    x = keras.Input((4, 4, 1))
    features = keras.layers.Dense(8, "relu")(keras.layers.Flatten()(x))
    heads = {"logits": keras.layers.Dense(3)(features), "features": features}
    return networks()[0], keras.Model(x, heads)


def masked_networks():
    """Return a generator that completes images, and a discriminator that sees their masks."""
    z, known, mask = keras.Input((6,)), keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    made = keras.layers.Reshape((4, 4, 1))(joined([z, known, mask], 16, "sigmoid"))
    judge = keras.Model([known, mask], keras.layers.Dense(1)(joined([known, mask], 8, "relu")))
    return keras.Model([z, known, mask], made), judge


def paired_networks():
    """Return a generator, a discriminator of images and latents, and an encoder."""
    x, z = keras.Input((4, 4, 1)), keras.Input((6,))
    judge = keras.Model([x, z], keras.layers.Dense(1)(joined([x, z], 8, "relu")))
    encoder = keras.Sequential([x, keras.layers.Flatten(), keras.layers.Dense(6)])
    return networks()[0], judge, encoder


def game(variant=kg.GAN, prior="normal", networks=networks, variant_arguments=None, **compile_arguments):
    """Return a compiled GAN of tiny images, the same at each call."""
    keras.utils.set_random_seed(0)
    gan = variant(*networks(), prior=prior, seed=0, **(variant_arguments or {}))
    optimizers = {f"{player}_optimizer": keras.optimizers.SGD(0.05) for player in "dg"}
    # Eager steps: of so many games each would otherwise be compiled for itself.
    gan.compile(**{**optimizers, "run_eagerly": True, **compile_arguments})
    return gan


def data(gan):
    """Return a batch of images, with labels if the networks take some."""
    return (REAL, LABELS) if gan.training_spec.condition is not None else (REAL,)


def generated(gan):
    """Return three samples, of a condition of zeros if the networks take one."""
    zeros = None
    if gan.conditional:
        shape_of = lambda spec: np.zeros((3, *spec.shape[1:]), spec.dtype)  # noqa: E731
        zeros = keras.tree.map_structure(shape_of, gan.condition_spec)
    return gan.generate(3, seed=0, condition=zeros)


def trained(gan):
    """Take a step; return what it logs, and all that training changes."""
    logs = gan.train_on_batch(*data(gan), return_dict=True)
    return plain([logs, gan.variables, gan.optimizer.variables])


def played(gan):
    """Return the losses of a GAN before its first step, and what `trained` does."""
    losses = plain(gan.test_on_batch(*data(gan), return_dict=True))
    gan.reset_metrics()
    return [losses, *trained(gan)]


def written(gan, path):
    """Save a GAN and load it with nothing passed in."""
    gan.save(path)
    return keras.models.load_model(path)


@functools.cache
def samples(policy="float32", from_file=False):
    """Return samples of a GAN under a policy, or of the same GAN loaded from a file."""
    keras.config.set_dtype_policy(policy)
    gan = game()
    with tempfile.TemporaryDirectory() as folder:
        gan = written(gan, Path(folder) / "gan.keras") if from_file else gan
    return gan.generate(16, seed=1)


def plain(value):
    """Return numbers, arrays and containers, which NumPy compares entry by entry."""
    if dataclasses.is_dataclass(value):
        return {"type": type(value).__name__, **plain(dataclasses.asdict(value))}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return ops.convert_to_numpy(value) if ops.is_tensor(value) or hasattr(value, "assign") else value


def floats(value):
    """Return all floats in what `plain` returned."""
    items = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list)):
        return [number for item in items for number in floats(item)]
    array = np.asarray(value)
    return array.astype("float64").ravel().tolist() if array.dtype.kind == "f" else []


def to_json(part):
    return json.dumps(keras.saving.serialize_keras_object(part), sort_keys=True)


def from_json(text):
    return keras.saving.deserialize_keras_object(json.loads(text))


def arguments(part):
    """Return the names of the constructor's arguments."""
    parameters = inspect.signature(type(part)).parameters.values()
    return {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def assert_same_config(part, again):
    assert type(again) is type(part)
    assert to_json(again) == to_json(part)
    missing = arguments(part) - part.get_config().keys()
    assert not missing, f"`get_config` leaves out {missing}"


class Row:
    """Makes an object by `make()`, as often as its checks need one."""

    def __init__(self, make):
        self.make = make

    def example(self):
        """Return an instance of the public class that the row is of; None if it makes none."""
        return self.make()


class Part(Row):
    """What a GAN is made or compiled with, put in its place by `game(part)`."""

    def game(self, part):
        raise NotImplementedError

    def check_config(self):
        """Of its JSON comes an equal part, which trains a GAN to the same bits."""
        part = self.make()
        again = from_json(to_json(part))
        assert_same_config(part, again)
        np.testing.assert_equal(played(self.game(again)), self.first_step)

    def check_file(self, folder):
        """A GAN with it, loaded from a file, is what it was, and takes the same next step."""
        gan = self.game(self.make())
        before = trained(gan)
        loaded = written(gan, folder / "gan.keras")
        np.testing.assert_equal(plain([loaded.variables, loaded.optimizer.variables]), before[1:])
        # The first keeps its means over the epoch, which no file does.
        gan.reset_metrics()
        np.testing.assert_equal(trained(loaded), trained(gan))

    def check_precision(self, policy):
        """A GAN with it trains to finite numbers, from nearly the losses of float32."""
        (losses, *first), second, samples = self.steps(policy)
        np.testing.assert_allclose(floats(losses), floats(self.first_step[0]), **NEAR)
        assert np.isfinite(floats([first, second])).all()
        assert samples.dtype == np.float32

    @property
    def first_step(self):
        """What a GAN with it does under float32, until after its first step."""
        return self.steps("float32")[0]

    @functools.cache  # noqa: B019
    def steps(self, policy):
        """What a GAN with it does under a policy in two steps, and samples of it."""
        keras.config.set_dtype_policy(policy)
        gan = self.game(self.make())
        return played(gan), trained(gan), generated(gan)


class Loss(Part):
    def game(self, part):
        return game(loss=part)


class Prior(Part):
    def game(self, part):
        return game(prior=part)


class Term(Part):
    def game(self, part):
        return game(terms=[part])


class ClassTerm(Part):
    """A term of a conditional GAN, whose discriminator returns classes as well."""

    def game(self, part):
        return game(networks=labeled_networks, terms=[part])


class FeatureTerm(Part):
    """A term of a GAN whose discriminator is a classifier with features."""

    def game(self, part):
        return game(kg.models.SemiSupervisedGAN, networks=classifier_networks, terms=[part])


class Mask(Part):
    def game(self, part):
        return game(kg.models.CompletionGAN, networks=masked_networks, variant_arguments={"masks": part})


class Rule(Part):
    def game(self, part):
        return game(update=part)


class Optimizer(Part):
    def game(self, part):
        return game(d_optimizer=part)


class Schedule(Part):
    def game(self, part):
        return game(d_optimizer=keras.optimizers.SGD(part))


class Settings(Part):
    """A dict of arguments of `compile`."""

    def example(self):
        return None

    def game(self, part):
        return game(**part)

    def check_config(self):
        part = self.make()
        again = from_json(to_json(part))
        assert to_json(again) == to_json(part)
        np.testing.assert_equal(played(self.game(again)), self.first_step)


class Variant(Part):
    """A GAN as a whole."""

    def game(self, part):
        return part

    def check_config(self):
        gan = self.make()
        again = from_json(to_json(gan))
        assert_same_config(gan, again)
        for variable, value in zip(again.variables, gan.variables, strict=True):
            variable.assign(value)
        np.testing.assert_equal(played(again), self.first_step)


class Unwritable(Prior):
    """A prior whose serialization raises an error."""

    def check_config(self):
        with pytest.raises(ValueError, match="cannot be serialized. Save the weights only"):
            to_json(self.make())

    def check_file(self, folder):
        gan = game(prior=self.make())
        with pytest.raises(ValueError, match="cannot be serialized. Save the weights only"):
            gan.save(folder / "gan.keras")
        assert list(folder.iterdir()) == []
        again = game(prior=self.make())
        before = trained(gan)[1:]
        gan.save_weights(folder / "gan.weights.h5")
        again.load_weights(folder / "gan.weights.h5")
        np.testing.assert_equal(plain([again.variables, again.optimizer.variables]), before)


class Refused(Row):
    """What cannot be made on this backend, and says so."""

    def __init__(self, make, message):
        super().__init__(make)
        self.message = message

    def example(self):
        return None

    def check_config(self):
        with pytest.raises(ValueError, match=self.message):
            self.make()

    def check_file(self, folder):
        self.check_config()
        assert list(folder.iterdir()) == []

    def check_precision(self, policy):
        keras.config.set_dtype_policy(policy)
        self.check_config()


class Network(Row):
    """A function that returns a network; its outputs are float32 under any policy."""

    def model(self):
        return self.make()

    def dtype(self, policy):
        return "float32"

    def check_config(self):
        """Of its JSON comes a network that computes the same with the same weights."""
        model = self.model()
        again = from_json(to_json(model))
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(_outputs(again), _outputs(model))

    def check_file(self, folder):
        """A network in a file predicts the same bits."""
        model = self.model()
        loaded = written(model, folder / "model.keras")
        np.testing.assert_array_equal(_outputs(loaded), _outputs(model))

    def check_precision(self, policy):
        """Weights are float32, outputs are of the right type and nearly those of float32."""
        keras.config.set_dtype_policy("float32")
        expected = self.model()
        keras.config.set_dtype_policy(policy)
        model = self.model()
        model.set_weights(expected.get_weights())
        assert {weight.dtype for weight in model.trainable_weights} <= {"float32"}
        outputs = _outputs(model)
        assert outputs.dtype == self.dtype(policy)
        np.testing.assert_allclose(np.float32(outputs), _outputs(expected), **NEAR)


def _outputs(model):
    rng = np.random.default_rng(2)
    inputs = [
        rng.integers(3, size=(2, *t.shape[1:])) if "int" in t.dtype else rng.random((2, *t.shape[1:]))
        for t in model.inputs
    ]
    outputs = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
    outputs = ops.convert_to_numpy(outputs)
    assert np.isfinite(outputs).all()
    return outputs


class Layer(Network):
    """A layer, for inputs of `shapes`, () for labels; it computes in the policy's type."""

    def __init__(self, make, *shapes):
        super().__init__(make)
        self.shapes = shapes

    def model(self):
        inputs = [keras.Input(shape, dtype=None if shape else "int32") for shape in self.shapes]
        given = inputs[0] if len(inputs) == 1 else inputs
        return keras.Model(given, self.make()(given))

    def dtype(self, policy):
        return keras.DTypePolicy(policy).compute_dtype

    def check_config(self):
        layer = self.make()
        assert_same_config(layer, from_json(to_json(layer)))
        super().check_config()


class TensorFunction(Layer):
    """A function of symbolic tensors, which `make` returns."""

    def example(self):
        return None

    check_config = Network.check_config


class Initializer(Layer):
    """An initializer, as that of a layer of 3 units; it draws the same values again."""

    def model(self):
        layer = keras.layers.Dense(3, kernel_initializer=self.make())
        return keras.Sequential([keras.Input(*self.shapes), layer])

    def check_config(self):
        super().check_config()
        make, shape = self.make(), (*self.shapes[0], 3)
        np.testing.assert_array_equal(*(plain(init(shape)) for init in (make, from_json(to_json(make)))))

    def check_precision(self, policy):
        super().check_precision(policy)
        dtype = keras.DTypePolicy(policy).compute_dtype
        assert self.make()((*self.shapes[0], 3), dtype=dtype).dtype == ops.zeros((), dtype).dtype


class Measure(Row):
    """What looks at samples, as images or as what `view(images)` makes of them."""

    def __init__(self, make, view=lambda images: images):
        super().__init__(make)
        self.view = view

    def result(self, measure, samples):
        raise NotImplementedError

    def check_config(self):
        """A deep copy, as tuners make, finds the same."""
        measure = self.make()
        twin = copy.deepcopy(measure)
        found = self._of(measure, FAKE)
        assert floats(found)
        np.testing.assert_equal(self._of(twin, FAKE), found)

    def check_file(self, folder):
        """It finds the same in the samples of a GAN that was loaded from a file."""
        measure = self.make()
        found = [self._of(measure, samples(from_file=from_file)) for from_file in (False, True)]
        np.testing.assert_equal(*found)

    def check_precision(self, policy):
        """Made and used under any policy, it finds finite numbers."""
        keras.config.set_dtype_policy(policy)
        assert np.isfinite(floats(self._of(self.make(), samples(policy)))).all()

    def _of(self, measure, images):
        return plain(self.result(measure, self.view(images)))


class Metric(Measure):
    """A metric, which holds samples against real ones."""

    def result(self, measure, samples):
        return measure(real=self.view(REAL), fake=samples)


class Extractor(Measure):
    """A feature extractor; its features are float32, and it records where they come from."""

    def result(self, measure, samples):
        features = measure(samples)
        assert features.dtype == np.float32
        assert features.shape == (len(samples), measure.size)
        record = {name: getattr(measure, name) for name in ("name", "weights", "resizer", "settings")}
        return {"features": features, **record}


class Callback(Row):
    """A callback, made by `make(folder)`, which writes nowhere else."""

    def example(self):
        return self.make(Path("made"))

    @functools.cache  # noqa: B019
    def alone(self, policy):
        """Return what a first run under a policy leaves."""
        keras.backend.clear_session(free_memory=False)  # Keras would count names on
        keras.config.set_dtype_policy(policy)
        return self.run(game(), self.make(Path("made")), Path("made"))

    def run(self, gan, callback, folder):
        """Return what was logged and written in a run of two epochs."""
        history = gan.fit(REAL, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=[callback])
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*"))}
        content = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
        shutil.rmtree(folder, ignore_errors=True)
        return history.history, content

    def check_config(self):
        """A deep copy, as tuners make, keeps the arguments and does the same."""
        folder = Path("made")
        callback = self.make(folder)
        twin = copy.deepcopy(callback)
        for name in arguments(callback):
            np.testing.assert_equal(getattr(twin, name), getattr(callback, name))
        keras.backend.clear_session(free_memory=False)  # Keras would count names on
        np.testing.assert_equal(self.run(game(), twin, folder), self.alone("float32"))

    def check_file(self, folder):
        """A GAN that was loaded from a file trains with it just as the one that was saved."""
        gan = game()
        trained(gan)
        loaded = written(gan, folder / "gan.keras")
        made = folder / "made"
        keras.utils.set_random_seed(0)  # `Resume` keeps the state of the global generators
        expected = self.run(gan, self.make(made), made)
        keras.utils.set_random_seed(0)
        np.testing.assert_equal(self.run(loaded, self.make(made), made), expected)

    def check_precision(self, policy):
        """It works under any policy."""
        history, content = self.alone(policy)
        assert np.isfinite(floats(plain(history))).all()
        assert len(history) > 4 or content  # more than any GAN logs, or files


class Function(Row):
    """A call of a function or of a plain record, which keep nothing: they have no configuration.

    What counts is what a call returns, and what it writes into the working folder.
    """

    def example(self):
        return None

    def result(self):
        keras.utils.set_random_seed(0)
        value = self.make()
        written = {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}
        return value, written

    @functools.cached_property
    def first(self):
        """The result of the first call, under float32."""
        keras.config.set_dtype_policy("float32")
        return self.result()

    def check_config(self):
        """The same call gives the same result."""
        first, again = self.first, self.result()
        assert plain(first) != (None, {})
        np.testing.assert_equal(plain(again), plain(first))

    def check_file(self, folder):
        """The result comes back from a file as it was."""
        result = self.first
        path = folder / "result.pickle"
        path.write_bytes(pickle.dumps(result))
        np.testing.assert_equal(plain(pickle.loads(path.read_bytes())), plain(result))

    def check_precision(self, policy):
        """The policy of networks has no say in it."""
        expected = plain(self.first)
        keras.config.set_dtype_policy(policy)
        # Under float32 `check_config` has held a second call against it.
        result = expected if policy == "float32" else plain(self.result())
        assert np.isfinite(floats(result)).all()
        np.testing.assert_equal(result, expected)


class Trains(Function):
    """A call that makes and trains networks under the policy that is set, and returns samples."""

    def check_precision(self, policy):
        """It ends in nearly the samples of float32; under another policy, not in the very same."""
        expected = plain(self.first)
        keras.config.set_dtype_policy(policy)
        result = expected if policy == "float32" else plain(self.result())
        np.testing.assert_allclose(floats(result), floats(expected), **NEAR)
        assert np.array_equal(floats(result), floats(expected)) == (policy == "float32")

"""Everything public that takes arguments, with a good value and the kind of each argument.

A kind says what the documentation says. `WITHOUT_KIND` lists what has none, and why.
"""

import contextlib
import io
import pathlib
import shutil
import sys
import types

import keras
import keras_tuner
import numpy as np
from keras import ops
from outcomes import Answer, Call
from values import (
    Array,
    Bytes,
    Choice,
    Condition,
    Flag,
    Function,
    Grid,
    Instance,
    Integer,
    Number,
    Numbers,
    Open,
    PathTo,
    Probabilities,
    Range,
    Sequence,
    Shape,
    Source,
    Tensor,
    Text,
    Words,
    is_integer,
    is_sequence,
    probability_rows,
    whole_word,
)

# The smallest members of the families, and other small objects.
TESTS = pathlib.Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(TESTS), str(TESTS / "conformance")) if path not in sys.path]

import members as small

import keras_gan as kg
import keras_gan_cli
from keras_gan.models import exporting
from keras_gan_cli import actions, commands

layers = keras.layers
rng = np.random.default_rng(0)
IMAGES = rng.random((16, 4, 4, 1)).astype("float32")
OTHER = rng.random((16, 4, 4, 1)).astype("float32")
STACKS = rng.random((16, 4, 4, 3)).astype("float32")
ROWS = rng.normal(size=(30, 3)).astype("float32")
MORE = rng.normal(size=(30, 3)).astype("float32")
UNIT, UNIT2 = rng.random((2, 20, 3)).astype("float32")
LOGITS, LOGITS2 = rng.normal(size=(2, 8, 1)).astype("float32")
WEIGHTS = np.linspace(0.5, 1.5, 8).astype("float32")
LABELS = np.arange(16) % 3
DIGITS = np.arange(10)
BYTES = np.uint8(255 * IMAGES)
NOT_NETWORKS = {
    "layer": layers.Dense(3),
    "name of a class": "Sequential",
    "model's class": keras.Sequential,
}


# Networks and games


def networks(conditional=False):
    """Return a generator and a discriminator of tiny images."""
    z, x, c = (
        keras.Input((3,), name="z"),
        keras.Input((4, 4, 1), name="x"),
        keras.Input((), dtype="int32", name="c"),
    )

    def joined(inputs, flat):
        return layers.Concatenate()([flat, layers.Embedding(3, 2)(inputs[1])]) if conditional else flat

    hidden = layers.Dense(16, "sigmoid")(joined([z, c], z))
    generator = keras.Model([z, c] if conditional else z, layers.Reshape((4, 4, 1))(hidden))
    flat = layers.Dense(4, "relu", name="features")(joined([x, c], layers.Flatten()(x)))
    return generator, keras.Model([x, c] if conditional else x, layers.Dense(1)(flat))


def game(conditional=False, **options):
    """Return a compiled GAN of them."""
    gan = kg.GAN(*networks(conditional), prior="normal", seed=0)
    options = {"run_eagerly": True, "ema_decay": 0.9} | options
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), **options)
    gan.train_on_batch(*((IMAGES, LABELS) if conditional else (IMAGES,)))
    return gan


GENERATOR, DISCRIMINATOR = networks()
INITIAL = GENERATOR.get_weights(), DISCRIMINATOR.get_weights()
GAN, CONDITIONAL = game(), game(conditional=True)


def classifying():
    """Return a conditional GAN of rows, whose discriminator classifies them."""
    z, label, x = keras.Input((2,)), keras.Input((), dtype="int32", name="label"), keras.Input((3,))
    joined = layers.Concatenate()([z, layers.Embedding(3, 2)(label)])
    heads = {"logits": layers.Dense(1)(x), "classes": layers.Dense(3)(x)}
    made = keras.Model([z, label], layers.Dense(3)(joined))
    return kg.GAN(made, keras.Model(x, heads), prior="normal", seed=0)


def paired():
    """Return a generator of rows, a discriminator of rows and latents, and an encoder."""
    x, z = keras.Input((3,)), keras.Input((2,))
    judge = keras.Model([x, z], layers.Dense(1)(layers.Concatenate()([x, z])))
    return keras.Sequential([z, layers.Dense(3)]), judge, keras.Sequential([x, layers.Dense(2)])


def masked():
    """Return a generator that completes rows, and a discriminator that sees their masks."""
    z, known, mask = (keras.Input((3,)) for _ in range(3))
    made = layers.Dense(3)(layers.Concatenate()([z, known, mask]))
    judge = layers.Dense(1)(layers.Concatenate()([known, mask]))
    return keras.Model([z, known, mask], made), keras.Model([known, mask], judge)


def supervised():
    """Return a generator of rows, and a classifier with features."""
    x, z = keras.Input((3,)), keras.Input((2,))
    heads = {"logits": layers.Dense(2)(x), "features": layers.Dense(4)(x)}
    return keras.Sequential([z, layers.Dense(3)]), keras.Model(x, heads)


CLASSIFYING = classifying()
PAIRED = kg.models.BiGAN(*paired(), prior="normal", seed=0)
COMPLETING = kg.models.CompletionGAN(*masked(), prior="normal", seed=0)
SUPERVISED = kg.models.SemiSupervisedGAN(*supervised(), prior="normal", seed=0)
for each in (PAIRED, COMPLETING, SUPERVISED):
    each.compile("sgd", "sgd", ema_decay=0.9, run_eagerly=True)


def furnish():
    """Write into the working folder what good and bad paths name."""
    pathlib.Path("a file").write_text("no folder")
    GAN.save_weights("kept.weights.h5")
    GAN.save("model.keras")
    for number in range(8):
        path = pathlib.Path("photos", "ab"[number % 2], f"{number}.png")
        kg.visualization.save_png(path, np.uint8(255 * rng.random((8, 8, 3))))


def compiled(**options):
    """Compile the GAN and train it for two steps."""
    for one, weights in zip((GENERATOR, DISCRIMINATOR), INITIAL, strict=True):
        one.set_weights(weights)
    gan = kg.GAN(GENERATOR, DISCRIMINATOR, prior="normal", seed=0)
    gan.compile(**options)
    gan.fit(IMAGES, batch_size=16, verbose=0)


def with_term(term):
    """Train with a term, for a step of each of its branches."""
    compiled(d_optimizer="sgd", g_optimizer="sgd", terms=[term], run_eagerly=True)


def with_class_term(term):
    """Compile a GAN that classifies with a term."""
    CLASSIFYING.compile(d_optimizer="sgd", g_optimizer="sgd", terms=[term])


def with_feature_term(term):
    """Compile a semi-supervised GAN with a term."""
    gan = kg.models.SemiSupervisedGAN(*supervised(), prior="normal", seed=0)
    gan.compile(d_optimizer="sgd", g_optimizer="sgd", terms=[term])


def with_optimizer(optimizer):
    compiled(d_optimizer=optimizer, g_optimizer="sgd", run_eagerly=True)


def watch(gan=GAN):
    """Return a function that has a callback see a GAN for an epoch."""

    def run(callback):
        callback.set_model(gan)
        callback.set_params({"epochs": 1, "verbose": 0, "steps": 1})
        callback.on_train_begin({})
        callback.on_epoch_begin(0, {})
        callback.on_epoch_end(0, {"d_loss": 1.0, "g_loss": 1.0, "d_real": 0.5, "d_fake": 0.5})
        callback.on_train_end({})

    return run


def resumed(callback):
    """Train an epoch that can be resumed, and forget it."""
    GAN.fit(kg.datasets.load(IMAGES, batch_size=8), callbacks=[callback], verbose=0)
    shutil.rmtree(callback.directory)


def first(dataset):
    """Read a data set, or each of a tuple of them."""
    for one in dataset if isinstance(dataset, tuple) else (dataset,):
        next(iter(one))


def built(shape):
    """Return a function that calls a layer on inputs of a shape."""

    def call(layer):
        layer(ops.ones((2, *shape)))

    return call


def called(model):
    """Call a network on zeros."""
    model([ops.zeros((1, *t.shape[1:]), t.dtype) for t in model.inputs])


# Kinds of arguments that several functions share


class Seed(Integer):
    """A seed, an integer from 0 on; how large it may be is left open."""

    def allows(self, value):
        is_large = is_integer(value) and value >= 2**31
        return None if is_large else super().allows(value)


def seed(none=False):
    return Seed(1, minimum=0, none=none)


def split():
    return Text("mnist test")


def flag():
    return Flag(False)


def network(good):
    return Instance(good, keras.Model, misses=lambda: NOT_NETWORKS)


def named(good, family, of, none=False, other=lambda value: False):
    """An object of a family, its configuration or its name."""
    known = tuple(name for name in family if name != good)
    return Choice(good, *known, none=none, other=lambda value: isinstance(value, of) or other(value))


def prior(none=False):
    return named("normal", kg.priors.PRIORS, kg.priors.Prior, none=none)


def optimizer():
    names = ("adam", "rmsprop", "adamw", "lion")
    return Choice("sgd", *names, other=lambda value: isinstance(value, keras.optimizers.Optimizer))


def extractor(good=small.Brightness):
    incomplete = {"without attributes": np.mean, "its class": kg.metrics.Pixels}
    return Instance(good, kg.metrics.FeatureExtractor, misses=lambda: incomplete)


class Images(Array):
    """Images in one array, or batches of them, in a list or by an iterator."""

    def __init__(self, good, **how):
        # Extractors say which shapes they take.
        super().__init__(good, shape=(None,) * 4, lists=False, **how)

    def allows(self, value):
        if (
            isinstance(value, list)
            and value
            and all(np.ndim(part) == np.ndim(self.good()) for part in value)
        ):
            return None
        return super().allows(value)

    def forms(self):
        return super().forms() | {"batches": [self.good()[:8], self.good()[8:]]}

    def near_misses(self):
        return {
            k: v
            for k, v in super().near_misses().items()
            if k not in ("flat", "one row") or self.rows > 0
        }


def images(good=IMAGES, high=1.0, low=0.0, **how):
    return Images(good, low=low, high=high, **how)


def condition(rows):
    return Condition(np.arange(rows) % 3, shape=(rows,), low=0, high=2, whole=True)


def source(good=IMAGES, **how):
    return Source(good, **how)


def folder():
    return PathTo("folder", misses=("a file", "a file/below"))


def image_path():
    return PathTo("some", ending=".png", misses=("a file/some.png",))


def png():
    return PathTo("some", ending=".png", misses=("some.jpg", "some", "a file/some.png"))


def part_of_keras(value):
    """Whether a value may be an initializer, a regularizer or a constraint."""
    return None if isinstance(value, dict) else callable(value)


def several_terms(**how):
    """A term, or any iterable of terms, which may be empty."""
    kind = Sequence(named("r1", kg.terms.TERMS, kg.terms.Term), alone=True, empty=True, **how)
    kind.allows = lambda value: None if is_empty(value) else Sequence.allows(kind, value)
    return kind


def is_empty(value):
    """Whether a value is an iterable without entries; no other generator is tried."""
    return isinstance(value, types.GeneratorType) or (isinstance(value, np.ndarray) and not value.size)


def keras_object():
    """What Keras' own `get` understands."""
    # Keras' own default stands for None.
    return Choice("he_normal", "ones", "glorot_uniform", "zeros", none=None, other=part_of_keras)


def regularizer():
    return Choice("l2", "l1", none=True, other=part_of_keras)


def constraint():
    return Choice("non_neg", "max_norm", none=True, other=part_of_keras)


def distances(**kinds):
    return {"block_size": Integer(7)} | kinds


def _maybe_weights(value):
    return None if isinstance(value, tuple) and len(value) <= 2 else False


def losses(name):
    """The calls of the methods of a loss."""
    loss = getattr(kg.losses, name)()
    # Logits have any shape, and what is not finite makes the loss so.
    any_ = {"shape": ..., "missing": True}
    both = {"real_logits": Array(LOGITS, **any_), "fake_logits": Array(LOGITS2, **any_)}
    # Where the generator's loss does not read them, they may be left out.
    of_generator = both | {"real_logits": Array(LOGITS, none=not loss.needs_real, **any_)}
    weights = {
        "weights": Instance(
            lambda: kg.losses.Weights(WEIGHTS, WEIGHTS), kg.losses.Weights, other=_maybe_weights
        )
    }
    if name in ("Minimax", "RelativisticPaired"):
        # A list is a structure of tensors there.
        structures = {key: Array(kind.good(), lists=False, **any_) for key, kind in both.items()}
        player = {"player": Choice("discriminator", "generator")}
        yield Call(f"losses.{name}.__call__", player | structures | weights, loss)
    yield Call(f"losses.{name}.discriminator", both | weights, loss.discriminator)
    yield Call(f"losses.{name}.generator", of_generator | weights, loss.generator)


LOSS_NAMES = (
    "Minimax",
    "NonSaturating",
    "MaximumLikelihood",
    "LeastSquares",
    "Hinge",
    "Wasserstein",
    "RelativisticAverage",
    "RelativisticPaired",
)
SMOOTHED = LOSS_NAMES[:4]


def priors(name, latent=3, **kinds):
    """The calls of the methods of a prior."""
    make = getattr(kg.priors, name)
    part = make(**{key: kind.good() for key, kind in kinds.items()})
    yield Call(f"priors.{name}", kinds, then=lambda made: made.shape and made.sample(2, 0))
    sample = {"n": Integer(4, minimum=0, bounded=True), "seed": seed()}
    sample["seed"] = Instance(lambda: 1, keras.random.SeedGenerator, other=seed().takes)
    yield Call(f"priors.{name}.sample", sample, part.sample)
    yield Call(f"priors.{name}.with_shape", {"shape": Shape(latent)}, part.with_shape)


def penalties():
    """The calls of terms of gradients."""
    common = {"weight": Number(2.0, above=0), "interval": Integer(2), "name": Text("other")}
    yield Call("terms.R1", common, then=with_term)
    yield Call("terms.R2", common, then=with_term)
    slopes = {"weight": Number(2.0, above=0), "target": Number(0.5, minimum=0), "one_sided": flag()}
    for name in ("GradientPenalty", "DRAGAN"):
        yield Call(f"terms.{name}", slopes | common, then=with_term)
    layer = {"layer": Choice("features")}
    player = {"player": Choice("generator", "discriminator")}
    yield Call("terms.FeatureMatching", layer | common, then=with_term)
    yield Call("terms.HistoricalAveraging", player | common, then=with_term)
    own = {"output": Choice("classes"), "condition": Choice("label", none=True)}
    own |= {"generator_weight": Number(0.1, above=0)}
    yield Call("terms.AuxiliaryClassifier", own | common, then=with_class_term)
    features, classes = {"output": Choice("features")}, {"output": Choice("logits")}
    yield Call("terms.PullAway", features | common, then=with_feature_term)
    yield Call("terms.ConditionalEntropy", classes | common, then=with_feature_term)
    yield Call("terms.Term", common, small.Term, then=with_term)


def feature_metrics(name, good=IMAGES, extra=None, make=small.Brightness, **kinds):
    """The calls of a metric of features."""
    extra = extra or {}
    metric = getattr(kg.metrics, name)(make(), **{k: kind.good() for k, kind in kinds.items()})
    both = {"real": images(good), "fake": images(good[::-1].copy())} | extra
    yield Call(
        f"metrics.{name}",
        {"extractor": extractor(make), "split": split()} | kinds,
        then=lambda m: m(good, good),
    )
    yield Call(f"metrics.{name}.__call__", both, metric)


def array_metrics(name, real, fake, **kinds):
    """The calls of a metric of arrays."""
    metric = getattr(kg.metrics, name)(**{k: kind.good() for k, kind in kinds.items()})
    data = real.good()
    yield Call(f"metrics.{name}", kinds, then=lambda m: m(data, fake.good()))
    yield Call(f"metrics.{name}.__call__", {"real": real, "fake": fake}, metric)


def extractors():
    """The calls of feature extractors."""
    value_range, resizer = (
        Range((0.0, 1.0)),
        Choice("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", none=True),
    )
    see = {"samples": Array(IMAGES, low=0.0, high=1.0)}

    def look(made):
        return made(IMAGES)

    yield Call(
        "metrics.Pixels", {"shape": Shape((4, 4, 1), rank=3), "value_range": value_range}, then=look
    )
    yield Call("metrics.Pixels.__call__", see, small.pixels())
    yield Call("metrics.Identity", {"shape": Shape((4, 4, 1))}, then=look)
    yield Call("metrics.Identity.__call__", {"samples": Array(ROWS)}, kg.metrics.Identity(3))
    yield Call(
        "metrics.FeatureExtractor",
        {"value_range": Range((0.0, 1.0), none=True)},
        small.Brightness,
        then=look,
    )
    model = small.convolution()
    made = {
        "model": network(lambda: model),
        "layer": Choice("features", none=True),
        "name": Text("other"),
        "value_range": value_range,
        "input_range": Range((0.0, 1.0), none=True),
        "resizer": resizer,
        "batch_size": Integer(5),
    }
    yield Call("metrics.ModelFeatures", made, then=look)
    feature = kg.metrics.ModelFeatures(model, "features", name="other")
    yield Call("metrics.ModelFeatures.__call__", see, feature)
    yield Call("metrics.ModelFeatures.probabilities", see, feature.probabilities)
    digits = {"model": network(lambda: model), "value_range": value_range, "resizer": resizer}
    digits["model"].near_misses = lambda: {"missing file": "nowhere.keras", "no model": "a file"}
    yield Call("metrics.DigitClassifier", digits, then=look)
    inception = {"weights": Choice("random"), "seed": seed(), "value_range": value_range}
    inception |= {"resizer": resizer, "batch_size": Integer(5)}
    yield Call("metrics.InceptionV3", inception, small_inception)


def small_inception(**options):
    """Return the extractor of Inception v3 around a network that is built faster."""
    real, keras.applications.InceptionV3 = keras.applications.InceptionV3, inception_in_small
    try:
        return kg.metrics.InceptionV3(**options)
    finally:
        keras.applications.InceptionV3 = real


def inception_in_small(weights):
    inputs = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D(name="avg_pool")(inputs)
    return keras.Model(inputs, layers.Dense(5, "softmax")(pooled))


def neighbors():
    """The calls of functions of features."""
    real, fake = {"real": Array(ROWS, rows=2)}, {"fake": Array(MORE, rows=2)}
    k = {"k": Integer(2, maximum=29)}
    nearest = {"k": Integer(2, maximum=30)}
    yield Call("metrics.density_coverage", real | fake | distances(**k))
    yield Call("metrics.precision_recall", real | fake | distances(**k))
    yield Call(
        "metrics.nearest_distances",
        {"queries": Array(ROWS), "references": Array(MORE), "exclude_self": flag()}
        | distances(**nearest),
    )
    yield Call("metrics.frechet_distance", real | fake)
    subsets = {
        "subset_size": Integer(10, minimum=2, maximum=30),
        "num_subsets": Integer(3, bounded=True),
        "seed": seed(),
    }
    yield Call("metrics.kernel_distance", real | fake | subsets)
    yield Call(
        "metrics.duplicate_threshold",
        {"real": Array(ROWS, shape=..., rows=2), "quantile": Number(0.5, minimum=0, maximum=1)},
    )
    yield Call(
        "metrics.duplicates",
        {"samples": Array(ROWS, shape=..., rows=2), "threshold": Number(0.5, above=0)},
    )
    scores = {"samples": Array(ROWS + 5), "training": Array(MORE), "held_out": Array(ROWS[::-1] + 0.1)}
    yield Call("metrics.memorization_scores", scores)
    yield Call("metrics.GaussianStatistics", {"size": Integer(3, bounded=True)})
    yield Call(
        "metrics.GaussianStatistics.update",
        {"features": Array(ROWS)},
        lambda features: kg.metrics.GaussianStatistics(3).update(features),
    )
    yield Call(
        "metrics.GaussianStatistics.merge",
        {
            "other": Instance(
                lambda: statistics(3),
                kg.metrics.GaussianStatistics,
                misses=lambda: {"of other size": statistics(4)},
            )
        },
        lambda other: statistics(3).merge(other),
    )


def statistics(size):
    made = kg.metrics.GaussianStatistics(size)
    made.update(np.random.default_rng(0).random((9, size)))
    return made


DECODER = keras.Sequential([keras.Input((2,)), layers.Dense(2, "tanh")])


def likelihoods():
    """The calls of log-likelihoods."""
    real, std = {"x": Array(np.ones((2, 2)))}, {"std": Number(0.5, above=0)}
    chains = {
        "decoder": Function(DECODER),
        "prior": Choice(
            "normal", "uniform", other=lambda v: isinstance(v, (kg.priors.Normal, kg.priors.Uniform))
        ),
        "num_temperatures": Integer(3, minimum=2, bounded=True),
        "num_chains": Integer(2, bounded=True),
        "seed": seed(),
    }
    draws = {key: chains[key] for key in ("decoder", "prior", "seed")}
    latents = {"latents": Array(np.ones((2, 2)), none=True)}
    yield Call("metrics.annealed_log_likelihood", real | std | chains | latents)
    yield Call("metrics.simulate_decoder", draws | std | {"n": Integer(3, bounded=True)})
    unit, value_range = {"low": 0.0, "high": 1.0}, {"value_range": Range(none=True)}
    grid = Grid(np.array([0.3, 0.6]), shape=(None,), low=1e-30)
    dtype = {"dtype": Choice("float32", "float64")}
    yield Call(
        "metrics.parzen_log_likelihood",
        {
            "samples": Array(UNIT, **unit),
            "queries": Array(UNIT2, **unit),
            "bandwidth": Grid(np.array([0.3, 0.6]), shape=(None,), low=1e-30),
        }
        | distances()
        | dtype
        | value_range,
    )
    yield Call(
        "metrics.select_bandwidth",
        {"samples": Array(UNIT, **unit), "validation": Array(UNIT2, **unit), "grid": grid}
        | distances()
        | dtype
        | value_range,
    )


def modes():
    """The calls of what counts modes."""
    centers = {"centers": Array(np.array([[0.0, 0, 0], [3, 0, 0]]), shape=(None, None))}
    std = {"std": Number(0.5, above=0)}
    n, seeds = {"n": Integer(9, bounded=True)}, {"seed": seed()}
    mixture = kg.datasets.GaussianMixture
    yield Call("datasets.GaussianMixture", centers | std)
    yield Call(
        "datasets.GaussianMixture.ring",
        {
            "modes": Integer(5, bounded=True),
            "radius": Number(1.0, above=0),
            "std": Number(0.01, above=0),
        },
    )
    yield Call(
        "datasets.GaussianMixture.grid",
        {
            "side": Integer(5, bounded=True),
            "spacing": Number(1.0, above=0),
            "std": Number(0.01, above=0),
        },
    )
    yield Call("datasets.GaussianMixture.sample", n | seeds, mixture.ring(5).sample)
    yield Call("metrics.mode_coverage", {"samples": Array(ROWS)} | centers | std)
    yield Call("metrics.high_quality_ceiling", {"dimensions": Integer(2)})
    yield Call(
        "datasets.stack_digits",
        {"images": Array(small.DIGITS)}
        | n
        | seeds
        | {"labels": Array(DIGITS, shape=(10,), low=0, high=9, whole=True, none=True)}
        | {"digits": Integer(2, maximum=6)},
    )
    labels = Array(np.array([0, 1, 1, 0]), shape=(None,), whole=True)
    yield Call("datasets.balanced_rows", {"labels": labels, "per_class": Integer(1)} | seeds)
    pair = Instance(lambda: (ROWS[:4], np.arange(4)), tuple, other=lambda v: None)
    mixed = {"labeled": pair, "unlabeled": Array(ROWS, rows=8), "seed": seed()}
    mixed |= {"batch_size": Integer(10, minimum=2), "labeled_rows": Integer(2, maximum=9)}
    yield Call("datasets.mix_labeled", mixed, then=first)
    classes = Array(np.array([1, 1, 999]), shape=(None,), low=0, high=999, whole=True)
    real = Array(np.array([1, 1, 999]), shape=(None,), low=0, high=999, whole=True, none=True)
    yield Call("metrics.stacked_digit_modes", {"classes": classes, "real_classes": real})
    ten = Array(np.array([1, 1, 9]), shape=(None,), low=0, high=9, whole=True)
    yield Call("metrics.stacked_digit_modes", {"classes": ten, "digits": Integer(1, maximum=6)})
    yield Call(
        "metrics.inception_score",
        {
            "probabilities": Probabilities(probability_rows(), shape=(None, None), low=0, high=1),
            "splits": Integer(2, maximum=8),
        },
    )


def callbacks():
    """The calls of callbacks, which see a GAN for an epoch."""
    draw = {"seed": seed(), "use_ema": flag()}
    every = {"every": Integer(1)}
    stop = {"stop_on_error": Flag(True)}
    shown = {
        "value_range": Range((0.0, 1.0), none=True),
        "gif": flag(),
        "tensorboard": PathTo("log", none=True, misses=("a file/below",)),
    }
    samples, batch = {"num_samples": Integer(8, bounded=True)}, {"batch_size": Integer(4)}

    def callback(name, unconditional, conditional):
        yield Call(f"callbacks.{name}", unconditional, then=watch())
        kinds = {key: kind for key, kind in unconditional.items() if key in conditional} | conditional
        made = getattr(kg.callbacks, name)
        good = {key: kind.good() for key, kind in unconditional.items() if key not in kinds}
        yield Call(
            f"callbacks.{name}", conditional, lambda **k: made(**(good | k)), then=watch(CONDITIONAL)
        )

    eight = {"condition": condition(8)}
    monitor = {
        "real": source(rows=2),
        "diversity": Number(0.3, minimum=0),
        "duplicates": Number(0.5, minimum=0, maximum=1),
        "margin": Number(0.9, minimum=0),
        "patience": Integer(2),
        "warm_up": Integer(0, minimum=0),
        "stop": flag(),
        "num_samples": Integer(8, minimum=2, bounded=True),
    }
    yield from callback("CollapseMonitor", monitor | draw, eight)
    metric = Sequence(Function(small.Metric()), alone=True, empty=False)
    metric.allows = lambda value: (
        None if isinstance(value, dict) and value else Sequence.allows(metric, value)
    )
    evaluate = {"metrics": metric, "real": source(rows=1)} | every | samples | draw | batch | stop
    yield from callback("EvaluateSamples", evaluate, eight)
    parzen = {
        "validation": source(low=0, high=1, rows=2),
        "test": source(OTHER, low=0, high=1, none=True),
        "value_range": Range((0.0, 1.0)),
        "grid": Grid(np.array([0.3, 0.6]), shape=(None,), low=1e-30),
    }
    yield from callback("ParzenLogLikelihood", parzen | every | samples | draw | batch | stop, eight)
    grid = {"directory": folder(), "rows": Integer(2, bounded=True), "columns": Integer(4, bounded=True)}
    nearest = {"nearest": Array(IMAGES, none=True)}
    yield from callback("SampleGrid", grid | every | draw | shown | nearest, eight)
    paths = {
        "directory": folder(),
        "rows": Integer(8, bounded=True),
        "steps": Integer(3, minimum=2, bounded=True),
        "path": Choice("linear", "spherical"),
    }
    yield from callback("LatentInterpolation", paths | every | draw | shown, eight)
    yield Call("callbacks.TrainingCurves", {"path": png()} | every, then=watch())
    schedule = Instance(
        lambda: keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate), keras.callbacks.Callback
    )
    one = {"player": Choice("g", "d"), "callback": schedule}
    yield Call("callbacks.PlayerCallback", one, then=watch())
    yield Call("callbacks.Resume", {"directory": folder()} | every, then=resumed)


def data():
    """The calls of loaders."""
    shared = {
        "split": Choice(
            "train",
            "train[:8]",
            "train[50%:]",
            other=lambda v: (
                isinstance(v, (tuple, list)) and set(map(str, v)) <= {"train"} and len(v) > 0
            ),
        ),
        "value_range": Range((0.0, 1.0)),
        "labels": flag(),
        "image_size": Integer(4, none=True, bounded=True),
        "channels": Integer(1, maximum=3, none=True),
        "data_dir": PathTo("data", none=True),
        "fold": Integer(0, minimum=0, maximum=4),
        "download": flag(),
        "progress": Function(print, none=True),
    }
    shared["channels"].near_misses = lambda: {"two": 2, "four": 4, "text": "RGB"}
    pictures = Features(IMAGES, shape=..., low=0.0, high=1.0, lists=False)
    # Labels may be negative, as those of unlabeled faces.
    rows = Array(LABELS, shape=..., lists=False)
    rows.allows = lambda value: Array.allows(rows, value) and (np.shape(value)[0] == 16 or False)
    for name in ("load", "load_arrays"):
        function = getattr(kg.datasets, name)
        batches = (
            {
                "drop_remainder": flag(),
                "batch_size": Integer(4),
                "shuffle": flag(),
                "seed": seed(),
                "shard": Sequence(Integer(1, minimum=1)),
            }
            if name == "load"
            else {}
        )
        if batches:
            batches["shard"] = Shard((0, 2))
        then = first if name == "load" else lambda arrays: arrays
        yield Call(f"datasets.{name}", {"source": pictures} | shared | batches, then=then)
        yield Call(
            f"datasets.{name}",
            {"source": rows},
            lambda source, function=function: function((IMAGES, source), labels=True),
            then=then,
            also={"source": ("labels", "Labels")},
        )


class Features(Array):
    """Images, of three or four axes, in a range; or other features, in any."""

    def allows(self, value):
        if getattr(value, "ndim", None) in (3, 4):
            return super().allows(value)
        return Array(self.good(), shape=...).allows(value) and None


class Shard(Range):
    """A pair (number, count), the number below the count."""

    def allows(self, value):
        is_pair = is_sequence(value) and len(value) == 2
        return is_pair and all(Integer(0, 0).takes(n) for n in value) and bool(value[0] < value[1])

    def forms(self):
        return {"list": [0, 2], "NumPy": (np.int64(0), np.int32(2))}


def architectures():
    """The calls of functions that return networks."""
    seeds, units = {"seed": seed(none=True)}, {"units": Integer(8)}
    means = {"pixel_means": Array(np.full(784, 0.5), low=0, high=1, none=True)}
    faces = {"pixel_means": Array(np.full(2304, 0.5), shape=..., low=0, high=1, none=True)}
    any_shape = faces["pixel_means"]
    # An array of any shape, of as many numbers as pixels.
    means["pixel_means"].allows = lambda value: bool(any_shape.allows(value)) and np.size(value) == 784
    hundred = {"units": Integer(100, minimum=100)}
    hundred["units"].near_misses = lambda: {
        "not a multiple": 150,
        "0": 0,
        "-100": -100,
        "half": 100.5,
        "quoted": "100",
    }
    conv = {
        "image_size": Integer(8, minimum=8),
        "channels": Integer(1),
        "num_classes": Integer(3, none=True),
        "width": Integer(4),
    } | seeds
    size = conv["image_size"]
    size.allows = lambda value: Integer.allows(size, value) and bool(value in (8, 16, 32))
    latent = {"latent_dim": Integer(6), "activation": Choice("tanh", "sigmoid")}
    shapes = {
        "mnist_generator": means | seeds,
        "mnist_discriminator": seeds,
        "tfd_generator": faces | seeds | {"units": Integer(100, minimum=100)},
        "tfd_discriminator": seeds | units,
        "tfd_stacked_generator": {"pretrained": network(lambda: STACKED)} | seeds | units,
        "cifar10_generator": seeds | units,
        "cifar10_discriminator": seeds | units,
        "cifar10_conv_generator": seeds | hundred,
        "cifar10_conv_discriminator": seeds,
        "dcgan_generator": conv | latent,
        "dcgan_discriminator": conv,
        "digit_classifier": seeds,
    }
    for name, kinds in shapes.items():
        yield Call(f"architectures.{name}", kinds)
    labels = symbolic(lambda: keras.Input((), dtype="int32"))
    embedding = {"labels": labels, "num_classes": Integer(4), "size": Integer(3, none=True)}
    yield Call("architectures.embed_labels", embedding | seeds)
    order = Choice("channels_last", "channels_first", none=True)
    yield Call(
        "architectures.join_conditions",
        {"features": symbolic(lambda: keras.Input((4,))), "data_format": order},
    )


def symbolic(good):
    """A symbolic tensor; those of the backend are left open."""
    is_tensor = lambda value: None if ops.is_tensor(value) else False  # noqa: E731
    return Instance(good, keras.KerasTensor, other=is_tensor)


STACKED = kg.architectures.tfd_generator(seed=0, units=100)


def layer_calls():
    """The calls of layers and initializers."""
    maps = {
        "pieces": Integer(2),
        "kernel_initializer": keras_object(),
        "bias_initializer": keras_object(),
        "kernel_regularizer": regularizer(),
        "kernel_constraint": constraint(),
    }
    yield Call("layers.Maxout", {"units": Integer(3)} | maps, then=built((4,)))
    sides = Shape(2, rank=None)
    sides.allows = lambda v: bool(Shape.allows(sides, v)) and (np.ndim(v) == 0 or len(v) == 2)
    sides.forms = lambda: {
        "pair": (2, 2),
        "list": [2, 2],
        "int64": np.int64(2),
        "pair of int64": (np.int64(2), np.int64(1)),
    }
    yield Call(
        "layers.MaxoutConv2D",
        {
            "filters": Integer(3),
            "kernel_size": sides,
            "strides": sides,
            "padding": Choice("same", "valid"),
        }
        | maps,
        then=built((6, 5, 2)),
    )
    yield Call(
        "layers.Projection",
        {
            "classes": Integer(3),
            "kernel_initializer": keras_object(),
            "embeddings_initializer": keras_object(),
        },
        then=lambda layer: layer([ops.ones((2, 4)), ops.array([0, 2])]),
    )
    yield Call(
        "layers.SpectralNormalization",
        {"layer": Instance(lambda: layers.Dense(3), layers.Layer)},
        then=built((4,)),
    )
    yield Call("layers.UntiedBias", {"initializer": keras_object()}, then=built((3, 2)))
    yield Call(
        "initializers.Sparse",
        {"nonzero": Integer(2), "stddev": Number(0.5, above=0), "seed": seed(none=True)},
        then=lambda made: made((5, 3)),
    )
    yield Call(
        "initializers.Sparse.__call__",
        {
            "shape": Shape((5, 3), rank=2),
            "dtype": Choice("float32", "float16", "float64", "bfloat16", none=True),
        },
        kg.initializers.Sparse(2, seed=0),
    )


def schedules():
    """The calls of optimizers, schedules and recipes."""
    yield Call(
        "optimizers.GeometricDecay",
        {
            "initial": Number(0.05),
            "factor": Number(1.5, above=1),
            "minimum": Number(0.001, minimum=0),
        },
        then=lambda made: made(ops.ones((), "int32")),
    )
    yield Call(
        "optimizers.EpochRamp",
        {
            "initial": Number(0.5),
            "final": Number(0.7),
            "first_epoch": Number(1.0, below=3),
            "last_epoch": Number(3.0, above=1),
            "steps_per_epoch": Integer(2),
        },
        then=lambda made: made(ops.ones((), "int32")),
    )
    schedule = keras.optimizers.schedules.LearningRateSchedule
    rate = Number(0.1, minimum=0)
    momentum = Number(0.5, minimum=0, below=1)
    yield Call(
        "optimizers.MomentumSGD",
        {
            "learning_rate": Instance(
                lambda: 0.1,
                schedule,
                other=lambda v: None if callable(v) else rate.takes(v),
                misses=rate.near_misses,
            ),
            "momentum": Instance(
                lambda: 0.5, schedule, other=momentum.takes, misses=momentum.near_misses
            ),
            "name": Text("other"),
        },
        then=with_optimizer,
    )
    yield Call(
        "recipes.goodfellow2014",
        {
            "steps_per_epoch": Integer(5),
            "learning_rate": Number(0.05, above=0),
            "discriminator_steps": Integer(1),
        },
        then=lambda options: compiled(**options, run_eagerly=True),
    )
    for name, weight in {"adam_r1_ema": "r1", "r3gan": "gamma"}.items():
        yield Call(
            f"recipes.{name}",
            {
                "learning_rate": Number(1e-3, above=0),
                weight: Number(0.5, above=0),
                "ema_decay": Number(0.9, above=0, below=1),
            },
            then=lambda options: compiled(**options, run_eagerly=True),
        )


def families():
    """The calls of functions that find a member by name, and of other small ones."""
    yield Call(
        "losses.get",
        {"identifier": named("hinge", kg.losses.LOSSES, kg.losses.Loss)},
        also={"identifier": ("loss",)},
    )
    yield Call(
        "updates.get",
        {"identifier": named("consensus", kg.updates.UPDATES, kg.updates.UpdateRule)},
        also={"identifier": ("update",)},
    )
    yield Call(
        "terms.get",
        {"identifier": named("r1", kg.terms.TERMS, kg.terms.Term)},
        also={"identifier": ("term",)},
    )
    yield Call("priors.get", {"identifier": prior()}, also={"identifier": ("prior",)})
    # `fit` checks the weights of rows; a formula takes any, since it is part of a compiled step.
    rows = {"weight": Array(WEIGHTS, shape=(8,), none=True, missing=True)}
    yield Call(
        "losses.Weights",
        {"real": rows["weight"], "fake": rows["weight"]},
        then=lambda made: (made.mean_real(LOGITS), made.mean_fake(LOGITS)),
    )
    yield Call("updates.Alternating", {"share_fakes": flag()})
    yield Call("interpolation.get", {"path": Choice("linear", "spherical")})
    yield Call(
        "updates.Consensus",
        {"gamma": Number(0.1, above=0)},
        then=lambda rule: compiled(d_optimizer="sgd", g_optimizer="sgd", update=rule, run_eagerly=True),
    )
    steps = {
        "minimum": Integer(2),
        "decay": Number(0.5, minimum=0, below=1),
        "patience": Integer(3, maximum=2**31 - 1),
    }
    yield Call("updates.AdaptiveSteps", steps)
    band = {"low": Number(-0.1, below=0.2), "high": Number(0.2, above=-0.1)}
    yield Call("updates.BalancedSteps", band | steps)
    yield Call("updates.IncreasingSteps", {"threshold": Number(0.7, above=0, below=1)} | steps)
    ends = {"start": Array(ROWS), "end": Array(MORE)}
    ends["start"].shape = ends["end"].shape = (30, 3)
    yield Call(
        "interpolation.interpolate",
        ends | {"steps": Integer(3, minimum=2, bounded=True), "path": Choice("linear", "spherical")},
    )
    arrays = {"start": Numbers(ROWS), "end": Numbers(MORE), "times": Numbers(np.full((30, 1), 0.3))}
    for name in ("linear", "spherical"):
        yield Call(f"interpolation.{name}", arrays)
    yield Call(
        "losses.mean",
        # A formula, which says nothing of the values.
        {
            "values": Array(LOGITS, shape=..., missing=True),
            "weight": Array(WEIGHTS, shape=(8,), missing=True, none=True),
        },
    )
    yield Call(
        "terms.squared_norms",
        {"critic": Function(small.decoder), "samples": Open(lambda: ops.ones((3, 2)))},
    )
    yield Call(
        "second_order.twice_differentiable",
        {"function": Function(small.decoder), "inputs": Tensor(ROWS, shape=..., missing=True)},
    )
    yield Call(
        "models.WeightEMA",
        {
            "networks": Sequence(network(lambda: GENERATOR), alone=True),
            "decay": Number(0.5, above=0, below=1),
        },
    )


def pictures():
    """The calls of functions that write images."""
    picture = Bytes(small.PICTURE, shape=(None, None))
    frames = Sequence(picture)
    frames.allows = lambda v: None if isinstance(v, np.ndarray) else Sequence.allows(frames, v)
    gif = PathTo("some", ending=".gif", misses=("a file/some.gif",))
    tiles = Bytes(BYTES, shape=(16, None, None, None))
    side = Integer(4, minimum=4, maximum=4)
    history = Instance(
        small.history, keras.callbacks.History, other=lambda v: None if isinstance(v, dict) else False
    )
    yield Call("visualization.check_value_range", {"value_range": Range()})
    # Clipped, or gray where they are not finite.
    any_ = Array(IMAGES, shape=..., low=-np.inf, high=np.inf, missing=True)
    yield Call("visualization.to_uint8", {"images": any_, "value_range": Range()})
    yield Call("visualization.image_grid", {"images": tiles, "rows": side, "columns": side})
    yield Call(
        "visualization.write_bytes",
        {"path": PathTo("some.txt", misses=("a file/below",)), "content": Content(b"bytes")},
    )
    yield Call("visualization.encode_png", {"image": picture})
    yield Call("visualization.check_png", {"path": png()})
    yield Call("visualization.save_png", {"path": image_path(), "image": picture})
    yield Call("visualization.save_gif", {"path": gif, "frames": frames, "duration": Integer(200)})
    yield Call("visualization.training_curves", {"history": history, "path": image_path()})


class Content(Instance):
    """Bytes."""

    def __init__(self, good):
        super().__init__(lambda: good, bytes)


def variants():
    """The calls of variants of the game."""
    common = {"prior": prior(), "seed": seed(none=True), "name": Text("other")}
    generator, judge, encoder = paired()
    parts = {"generator": network(lambda: generator), "discriminator": network(lambda: judge)}
    yield Call("models.BiGAN", parts | {"encoder": network(lambda: encoder)} | common)
    seen = {"x": Array(ROWS, lists=False), "batch_size": Integer(7), "use_ema": flag()}
    yield Call("models.BiGAN.encode", seen, PAIRED.encode)
    yield Call("models.BiGAN.reconstruct", seen, PAIRED.reconstruct)
    scored = seen | {"weight": Number(0.3, minimum=0, maximum=1)}
    yield Call("models.BiGAN.anomaly_scores", scored, PAIRED.anomaly_scores)
    plain = kg.GAN(generator, keras.Sequential([keras.Input((3,)), layers.Dense(1)]), seed=0)
    plain.compile("sgd", "sgd", ema_decay=0.9)
    fitted = {
        "gan": Instance(lambda: plain, kg.GAN),
        "encoder": network(lambda: encoder),
        "optimizer": optimizer(),
        "steps": Integer(1, maximum=2**31 - 1),
        "batch_size": Integer(4, bounded=True),
        "use_ema": flag(),
        "seed": seed(),
    }
    yield Call("models.fit_encoder", fitted)
    fill, see = masked()
    parts = {"generator": network(lambda: fill), "discriminator": network(lambda: see)}
    masks = named("random", kg.masks.MASKS, kg.masks.Mask)
    masks.options = ("random",)
    yield Call("models.CompletionGAN", parts | {"masks": masks} | common)
    completed = {
        "x": Array(ROWS, missing=True, lists=False),
        "mask": Array(np.array([1.0, 0.0, 0.0]), shape=(3,), low=0, high=1, whole=True, lists=False),
        "n": Integer(2, bounded=True),
        "seed": seed(none=True),
        "batch_size": Integer(7),
        "use_ema": flag(),
    }
    yield Call("models.CompletionGAN.complete", completed, COMPLETING.complete)
    made, classifier = supervised()
    parts = {"generator": network(lambda: made), "classifier": network(lambda: classifier)}
    weight = {"label_weight": Number(2.0, above=0)}
    yield Call("models.SemiSupervisedGAN", parts | weight | common)
    yield Call("models.SemiSupervisedGAN.classify", seen, SUPERVISED.classify)
    shape = {"shape": Shape(3, none=True)}
    known = {"known": Number(0.5, above=0, below=1, none=True)}
    yield Call("masks.Random", known | shape, then=lambda made: made.shape and made.sample(2, 0))
    yield Call("masks.Mask", shape, small.Mask)
    yield Call("masks.Halves", {"shape": Shape((4, 4, 1), none=True)})
    yield Call("masks.get", {"identifier": masks}, also={"identifier": ("masks",)})


def games():
    """The calls of a GAN's own methods."""
    yield Call(
        "GAN",
        {
            "generator": network(lambda: GENERATOR),
            "discriminator": network(lambda: DISCRIMINATOR),
            "prior": prior(),
            "seed": seed(none=True),
            "name": Text("other"),
        },
    )
    jit = Choice("auto", other=flag().takes)
    yield Call(
        "GAN.compile",
        {
            "d_optimizer": optimizer(),
            "g_optimizer": optimizer(),
            "loss": named("hinge", kg.losses.LOSSES, kg.losses.Loss),
            "terms": several_terms(good=list),
            "update": named("simultaneous", kg.updates.UPDATES, kg.updates.UpdateRule),
            "discriminator_steps": Integer(2, maximum=16),
            "single_pass": flag(),
            "ema_decay": Number(0.5, above=0, below=1, none=True),
            "gradient_norms": flag(),
            "run_eagerly": Flag(True),
            "steps_per_execution": Integer(1),
            "jit_compile": jit,
        },
        compiled,
    )
    number = {
        "n": Integer(4, bounded=True),
        "seed": seed(none=True),
        "batch_size": Integer(3),
        "use_ema": flag(),
    }
    yield Call("GAN.generate", number, GAN.generate)
    yield Call("GAN.generate", {"latents": Array(ROWS)}, GAN.generate)
    yield Call(
        "GAN.generate",
        {"condition": condition(4)},
        lambda condition: CONDITIONAL.generate(4, seed=0, condition=condition),
    )
    # What is not finite counts as 0, and makes the losses NaN; Keras takes a list for several inputs.
    numbers = {"missing": True, "lists": False}
    x = {"x": Array(IMAGES, **numbers)}
    y = {"y": Array(LABELS, shape=(16,), low=0, high=2, whole=True, **numbers)}
    weight = {"sample_weight": Array(np.ones(16, "float32"), shape=(16,), low=0, none=True, **numbers)}
    batch = {"batch_size": Integer(16, none=True)}
    fit = {
        "epochs": Integer(1, minimum=0, bounded=True),
        "callbacks": Instance(
            lambda: None,
            keras.callbacks.Callback,
            none=True,
            # Keras flattens structures of callbacks, also a dict without any.
            other=lambda v: None if isinstance(v, (list, tuple, dict)) and not v else False,
        ),
        "steps_per_epoch": Integer(1, none=True),
        "initial_epoch": Integer(0, minimum=0),
        "validation_split": Number(0.0, minimum=0, below=1, none=True),
        "validation_steps": Integer(1, none=True),
        "validation_batch_size": Integer(8, none=True),
    }
    quiet = {"verbose": 0}
    yield Call(
        "GAN.fit",
        x | weight | batch | fit,
        lambda **k: GAN.fit(**k, **quiet),
        also={"x": ("examples", "data", "samples")},
    )
    validation = {"validation_data": Array(OTHER, shape=(None, 4, 4, 1), none=True, **numbers)}
    yield Call("GAN.fit", validation, lambda **k: GAN.fit(IMAGES, **k, **quiet))
    yield Call(
        "GAN.fit",
        x | y | batch,
        lambda **k: CONDITIONAL.fit(**k, **quiet),
        also={"y": ("condition", "labels"), "x": ("examples", "data", "samples")},
    )
    yield Call(
        "GAN.evaluate",
        x | weight | batch | {"steps": Integer(1, none=True), "callbacks": fit["callbacks"]},
        lambda **k: GAN.evaluate(**k, **quiet),
        also={"x": ("examples", "data", "samples")},
    )
    for name in ("evaluate", "train_on_batch", "test_on_batch"):
        see = getattr(CONDITIONAL, name)
        yield Call(
            f"GAN.{name}", y, lambda y, see=see: see(IMAGES, y), also={"y": ("condition", "labels")}
        )
    yield Call(
        "GAN.train_on_batch", x | weight, GAN.train_on_batch, also={"x": ("examples", "data", "samples")}
    )
    yield Call(
        "GAN.test_on_batch", x | weight, GAN.test_on_batch, also={"x": ("examples", "data", "samples")}
    )
    file = PathTo("gan", ending=".keras", misses=("gan.h5", "a file/gan.keras", "gan.txt"))
    weights = PathTo(
        "gan", ending=".weights.h5", misses=("gan.keras", "a file/gan.weights.h5", "gan.h5")
    )
    yield Call("GAN.save", {"filepath": file, "overwrite": Flag(True)}, GAN.save)
    yield Call("GAN.save_weights", {"filepath": weights, "overwrite": Flag(True)}, GAN.save_weights)
    kept = PathTo(
        "kept", ending=".weights.h5", misses=("nowhere.weights.h5", "a file", "a file.weights.h5")
    )
    preset = Choice("digits", "model.keras")
    no_models = ("nowhere.keras", "a file", "a file/below", "photos", "kept.weights.h5")
    misses = preset.near_misses() | {name: name for name in (*no_models, "digit_classifier")}
    preset.near_misses = lambda: misses
    yield Call("GAN.from_preset", {"preset": preset})
    formats = Choice("tf_saved_model", "onnx", "litert")
    generator = PathTo("exported", misses=("a file", "a file/below", "gs://bucket/x"))
    yield Call(
        "GAN.export",
        {
            "filepath": generator,
            "format": formats,
            "use_ema": flag(),
            "input_signature": Instance(lambda: None, type(None), none=True),
        },
        unwritten,
    )
    yield Call("GAN.load_weights", {"filepath": kept, "skip_mismatch": flag()}, GAN.load_weights)
    classes = Instance(
        lambda: 3,
        type(None),
        none=True,
        other=lambda v: None if is_sequence(v) else Integer(3).takes(v),
    )
    yield Call(
        "export_savedmodel",
        {"classes": classes},
        lambda classes: exported(CONDITIONAL, "exported", classes=classes),
    )
    yield Call(
        "export_savedmodel",
        {
            "gan": Instance(lambda: GAN, kg.GAN),
            "path": PathTo("exported", misses=("a file", "a file/below")),
            "version": Integer(1, maximum=2**63 - 1, none=True),
            "use_ema": flag(),
            "warmup": flag(),
            "value_range": Range(none=True),
            "max_number": Integer(10),
        },
        exported,
    )
    yield from variants()
    yield Call(
        "tuner.GANHyperModel",
        {
            "networks": Function(space),
            # None is for networks without latents.
            "prior": prior(none=None),
            "terms": several_terms(none=True),
            "ema_decay": Number(0.5, above=0, below=1, none=True),
            "seed": seed(none=True),
        },
        then=lambda made: made.build(keras_tuner.HyperParameters()),
    )
    yield Call(
        "tuner.GANHyperModel.build",
        {"hp": Instance(keras_tuner.HyperParameters, keras_tuner.HyperParameters)},
        kg.tuner.GANHyperModel(space).build,
    )
    yield Call("tuner.trials_table", {"tuner": Instance(searched, keras_tuner.Tuner)})


def space(latent_size, width):
    """Networks for a search."""
    generator = keras.Sequential([keras.Input((latent_size,)), layers.Dense(3, "sigmoid")])
    return generator, keras.Sequential([keras.Input((3,)), layers.Dense(width), layers.Dense(1)])


def searched():
    return keras_tuner.RandomSearch(
        kg.tuner.GANHyperModel(space),
        keras_tuner.Objective("g_loss", "min"),
        max_trials=1,
        directory="trials",
        overwrite=True,
    )


def unwritten(filepath, input_signature, **options):
    """Export the generator, but for the writing."""
    write, exporting._write = exporting._write, _refuse_to_write
    if input_signature is not None:
        options["input_signature"] = input_signature
    try:
        GAN.export(filepath, **options)
    except Written:
        pass
    finally:
        exporting._write = write


def _refuse_to_write(*args, **kwargs):
    raise Written


class Written(BaseException):
    """An export was about to be written: nothing was wrong with the arguments."""


def exported(gan, path, **options):
    """Export, but for the writing, which takes seconds."""
    with _no_savedmodel():
        kg.export_savedmodel(gan, path, **options)


@contextlib.contextmanager
def _no_savedmodel():
    """End the code inside where Keras would write a SavedModel."""
    archive = type(keras.export.ExportArchive())
    write, archive.write_out = archive.write_out, _refuse_to_write
    try:
        yield
    except Written:
        pass
    finally:
        archive.write_out = write


class Command(Call):
    """A command of the program, whose arguments are words; an Answer is what it says on stderr."""

    @property
    def public(self):
        """The command itself, whose options are its arguments."""
        return commands.keras_gan.commands[self.name.removeprefix("keras-gan ")]

    @property
    def owner(self):
        """The module of all commands."""
        return "keras_gan_cli"

    def run(self, **changed):
        """Run the command with good words but for the changed ones."""
        words = {name: kind.good() for name, kind in self.kinds.items()} | changed
        positional = [p.name for p in self.public.params if p.param_type_name == "argument"]
        given = [words[name] for name in positional if words.get(name) is not None]
        options = [
            f"--{name.replace('_', '-')}" + ("" if word is True else f"={word}")
            for name, word in words.items()
            if name not in positional and word is not None
        ]
        said, code = io.StringIO(), 0
        with contextlib.redirect_stderr(said), _no_training(), _no_savedmodel():
            code = keras_gan_cli.main([self.public.name, *options, "--", *given])
        lines = said.getvalue().splitlines()
        if code == 2 and len(lines) == 1:
            raise Answer(lines[0])
        if code or lines:
            raise AssertionError(f"exit status {code}: {lines}")


@contextlib.contextmanager
def _no_training():
    """Have the program prepare a training, and not begin it."""
    train, actions._train = actions._train, lambda *args: None
    policy = keras.config.dtype_policy()
    try:
        yield
    finally:
        actions._train = train
        keras.config.set_dtype_policy(policy)
        shutil.rmtree("runs", ignore_errors=True)


def programs():
    """The commands of the program."""
    whole = {
        "size": Words("8", _is("8", "16"), "16", misses=("48", "7")),
        "epochs": Words("1", whole_word(1, 10**6), "20", misses=("1000001",)),
        "width": Words("4", whole_word(1, 10**3), "8", misses=("0", "1000000")),
        "batch_size": Words("4", whole_word(1, 65_536), "8", misses=("65537",)),
        "seed": Words("0", whole_word(0, 2**32 - 1), "7", misses=(str(2**32),)),
    }
    number = {"number": Words("4", whole_word(1, 10_000), "5", misses=("10001",)), "seed": whole["seed"]}
    model = {"model": Words("model.keras", _is("model.keras"), misses=("a file", "a file/x", "photos"))}
    switch = {name: Words(True, lambda word: False) for name in ("conditional", "download")}
    real = Words("photos", _is("photos"), misses=("a file", "a file/x", "mnist/x", "tfd:x", "folder:x"))
    source = {"source": real}
    precisions = ("float32", "mixed_float16", "mixed_bfloat16")
    networks_ = {
        "architecture": Words("dcgan", _is("dcgan", "dense2014")),
        "channels": Words("3", _is("1", "3"), "1"),
        "precision": Words("float32", _is(*precisions), *precisions[1:]),
    }
    condition = {"condition": Words(None, lambda word: False)}
    also = {
        "source": ("SOURCE", "folder", "images", "dataset"),
        "model": ("MODEL", "file", "model.keras"),
    }

    def command(name, output, kinds):
        words = {option: (f"--{option.replace('_', '-')}",) for option in kinds} | also
        kinds = kinds | {"output": output}
        return Command(f"keras-gan {name}", kinds, also=words | {"output": ("--output", "written to")})

    def out(*misses, good=None, more=()):
        blank = ("", *misses, "a file/x")
        return Words(good, lambda word: False if word in blank else None, *more, misses=blank)

    yield command("train", out("a file", "photos/x", good="runs/x"), source | whole | networks_ | switch)
    yield command(
        "sample", out("a file", "x.jpg", good="x.png", more=("many",)), model | number | condition
    )
    interpolation = {
        "rows": Words("2", whole_word(1, 100), "3", misses=("101",)),
        "steps": Words("2", whole_word(2, 100), "3", misses=("101", "1")),
        "path": Words("linear", _is("linear", "spherical"), "spherical"),
        "seed": whole["seed"],
    }
    picture = out("x.jpg", "x", good="x.png", more=("x.gif",))
    yield command("interpolate", picture, model | interpolation | condition)
    scores = {
        "features": Words("pixels", _is("pixels", "inception", "digits")),
        "weights": Words(None, lambda word: False),
        # For five neighbors of each.
        "number": Words("6", whole_word(6, 10_000), "7", misses=("5", "10001")),
    }
    yield command("evaluate", out(good="x.json"), model | source | {"seed": whole["seed"]} | scores)
    version = {"version": Words("1", whole_word(1, 2**63 - 1), "2")}
    yield command("export", out("a file", good="served"), model | version)
    yield Command("keras-gan info", model, also=also)


def _is(*names):
    return lambda word: word in names


# Functions and arguments without a kind, and why.
WITHOUT_KIND = {
    name: reason
    for reason, names in {
        "a record that metrics make": (
            "metrics.Score",
            "metrics.ParzenResult",
            "metrics.AnnealedResult",
        ),
        "made by a GAN for its rules and terms": ("models.Play", "models.Player", "updates.descend"),
        "called by terms and rules": ("second_order.check",),
        "as in Keras": (
            "GAN.evaluate(verbose)",
            "GAN.export(verbose)",
            "layers.Maxout.__call__",
            "GAN.fit(verbose)",
            "GAN.save(zipped)",
            "GAN.save_weights(max_shard_size)",
            "losses.mean(axis)",
        ),
    }.items()
    for name in names
}

CALLS = [
    *games(),
    *programs(),
    *(call for name in ("Minimax", "LeastSquares", "Hinge", *LOSS_NAMES[-2:]) for call in losses(name)),
    *(
        Call(f"losses.{name}", {"label_smoothing": Number(0.1, minimum=0, below=0.5)})
        for name in SMOOTHED
    ),
    *priors(
        "Uniform", low=Number(-2.0, below=0.5), high=Number(0.5, above=-2.0), shape=Shape(3, none=True)
    ),
    *priors("Normal", mean=Number(1.0), stddev=Number(0.5, above=0), shape=Shape(3, none=True)),
    *priors("Spherical", shape=Shape(3, none=True)),
    *priors(
        "Categorical",
        num_classes=Integer(3, minimum=2),
        probabilities=Probabilities(np.array([0.5, 0.25, 0.25]), shape=(3,), low=0, high=1, none=True),
    ),
    *priors(
        "Joint",
        priors=Sequence(
            Instance(
                lambda: kg.priors.Normal(shape=3),
                kg.priors.Prior,
                other=lambda v: v in ("normal", "uniform", "spherical") if isinstance(v, str) else False,
            )
        ),
    ),
    Call(
        "priors.Distribution",
        {"distribution": Instance(small.distribution, object if False else type(small.distribution()))},
    ),
    *penalties(),
    *families(),
    *schedules(),
    *layer_calls(),
    *architectures(),
    *(
        Call(f"metrics.{name}", {"extractor": extractor(), "split": split()}, getattr(small, name))
        for name in ("FeatureMetric", "ClassifierMetric")
    ),
    Call("priors.Prior", {"shape": Shape(3, none=True)}, small.Prior),
    *feature_metrics("FID"),
    *feature_metrics(
        "KID",
        subset_size=Integer(8, minimum=2, maximum=16),
        num_subsets=Integer(3, bounded=True),
        seed=seed(),
    ),
    *feature_metrics(
        "InceptionScore", extra={"real": Open(IMAGES, none=True)}, splits=Integer(2, maximum=16)
    ),
    *feature_metrics("PrecisionRecall", k=Integer(2, maximum=15), block_size=Integer(7)),
    *feature_metrics("DensityCoverage", k=Integer(2, maximum=15), block_size=Integer(7)),
    *feature_metrics("StackedDigits", good=STACKS, make=small.Digits),
    *array_metrics(
        "Memorization", Array(IMAGES), Array(OTHER), training=Array(OTHER + 0.01), split=split()
    ),
    *array_metrics(
        "ParzenWindow",
        Array(IMAGES, low=0, high=1),
        Array(OTHER, low=0, high=1),
        validation=Array(IMAGES, low=0, high=1),
        grid=Grid(np.array([0.3, 0.6]), shape=(None,), low=1e-30),
        dtype=Choice("float32", "float64"),
        block_size=Integer(7),
        value_range=Range(none=True),
        split=split(),
    ),
    *array_metrics(
        "ModeCoverage",
        Open(ROWS, none=True),
        Array(MORE),
        centers=Array(np.array([[0.0, 0, 0], [3, 0, 0]]), shape=(None, None)),
        std=Number(0.3, above=0),
        split=split(),
    ),
    *extractors(),
    *neighbors(),
    *likelihoods(),
    *modes(),
    *callbacks(),
    *data(),
    *pictures(),
]

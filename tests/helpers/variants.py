"""Games beyond two networks of one input each, as users write them, on images of 4 × 4.

`test_variants.py` plays them, and `play_variants.py` on other backends, on two devices, and killed.
"""

import keras
import numpy as np
from keras import layers, ops

import keras_gan as kg

CLASSES, LATENTS, SHAPE = 5, 4, (4, 4, 1)
# Statistics of a batch that replicas share, of which other backends see the whole.
SHARED = {"synchronized": True} if keras.backend.backend() == "tensorflow" else {}
_register = keras.saving.register_keras_serializable(package="variants")


# What users write.


@_register
class Inferring(kg.GAN):
    """BiGAN (Donahue, Krähenbühl, Darrell, 2016): D tells (x, E(x)) from (G(z), z)."""

    needs_real = True

    def __init__(self, generator, discriminator, encoder, prior="normal", seed=None, name=None):
        super().__init__(generator, discriminator, prior=prior, seed=seed, name=name, encoder=encoder)

    @property
    def teams(self):
        return {"d": [self.discriminator], "g": [self.generator, self.encoder]}

    def present(self, x, latents, condition, training):
        codes = ops.cast(self.encoder(x, training=training), "float32")
        return (x, codes), (self.generate_batch(latents, condition, training), latents)

    def generator_loss(self, play):
        return self.loss("discriminator", play.fake_output, play.real_output, play.weights.swapped())


@_register
class Translating(kg.GAN):
    """CycleGAN (Zhu, Park, Isola, Efros, 2017): G makes b of a, and `back` a of b."""

    def __init__(self, generator, discriminator, back, back_discriminator, seed=None, name=None):
        others = {"back": back, "back_discriminator": back_discriminator}
        super().__init__(generator, discriminator, prior=None, seed=seed, name=name, **others)

    @property
    def teams(self):
        judges = [self.discriminator, self.back_discriminator]
        return {"d": judges, "g": [self.generator, self.back]}

    def present(self, x, latents, condition, training):
        made = {"a": self.back(x, training=training), "b": self.generator(condition, training=training)}
        return {"a": condition, "b": x}, {k: ops.cast(v, "float32") for k, v in made.items()}

    def discriminate(self, samples, condition=None, training=False, network=None):
        judges = {"a": self.back_discriminator, "b": self.discriminator}
        return {
            k: ops.cast(judge(samples[k], training=training), "float32") for k, judge in judges.items()
        }


@_register
class CycleConsistency(kg.terms.Term):
    """E|F(G(a)) − a| + E|G(F(b)) − b|."""

    players = ("generator",)

    def build(self, gan):
        self._forward, self._back = gan.generator, gan.back
        return []

    def call(self, play):
        there = self._back(play.fake["b"], training=play.training)
        back = self._forward(play.fake["a"], training=play.training)
        pairs = [(there, play.real["a"]), (back, play.real["b"])]
        return sum(play.mean_real(ops.abs(ops.cast(made, "float32") - real)) for made, real in pairs)


@_register
class AuxiliaryClasses(kg.terms.Term):
    """AC-GAN (Odena, Olah, Shlens, 2016): D names the class of both halves, G is to be named right."""

    players = ("discriminator", "generator")

    def call(self, play):
        def loss(output):
            logits = ops.log_softmax(output["classes"], axis=-1)
            return -ops.sum(ops.one_hot(play.condition, CLASSES) * logits, axis=-1)

        fake = play.mean_fake(loss(play.fake_output))
        return fake if play.player == "generator" else fake + play.mean_real(loss(play.real_output))


@_register
class LatentRegression(kg.terms.Term):
    """E‖R(G(z)) − z‖², by a network R that G's player trains."""

    players = ("generator",)

    def __init__(self, recogniser, weight=1.0, *, interval=1, name=None):
        super().__init__(weight, interval=interval, name=name)
        self.recogniser, self.networks = recogniser, [recogniser]

    def call(self, play):
        codes = ops.cast(self.recogniser(play.fake, training=play.training), "float32")
        return play.mean_fake(ops.square(codes - play.latents))

    def get_config(self):
        return {"recogniser": self.recogniser, **super().get_config()}


# Networks.


def made(inputs, outputs, name, activation=None, batch_norm=False, dropout=0.0):
    """A network of a hidden layer, which joins whatever inputs there are."""
    parts = []
    for tensor in keras.tree.flatten(inputs):
        if "int" in tensor.dtype:
            tensor = layers.Embedding(CLASSES, 3)(tensor)
        parts.append(layers.Flatten()(tensor))
    x = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    x = layers.Dense(12, "tanh", name=f"{name}_hidden", use_bias=not batch_norm)(x)
    x = layers.BatchNormalization(**SHARED)(x) if batch_norm else x
    x = layers.Dropout(dropout, seed=3)(x) if dropout else x
    if isinstance(outputs, dict):
        heads = {key: layers.Dense(size, dtype="float32")(x) for key, size in outputs.items()}
        return keras.Model(inputs, heads, name=name)
    x = layers.Dense(int(np.prod(outputs)), activation, dtype="float32")(x)
    return keras.Model(inputs, layers.Reshape(outputs, dtype="float32")(x), name=name)


def image(name="image"):
    return keras.Input(SHAPE, name=name)


def latents(name="noise"):
    return keras.Input((LATENTS,), name=name)


def label():
    return keras.Input((), dtype="int32", name="label")


def angle():
    return keras.Input((2,), name="angle")


def generator(*conditions, named=False, **options):
    inputs = [latents(), *conditions]
    return made(_inputs(inputs, named), SHAPE, "g", "sigmoid", **options)


def discriminator(*conditions, named=False, outputs=(1,), **options):
    return made(_inputs([image(), *conditions], named), outputs, "d", **options)


def _inputs(inputs, named):
    if named:
        return {tensor.name: tensor for tensor in inputs}
    return inputs if len(inputs) > 1 else inputs[0]


# The games: a function of the prior that returns a GAN, arguments of `compile`, and the data of a batch.


def two_conditions(prior):
    return kg.GAN(generator(label(), angle()), discriminator(label(), angle()), prior=prior, seed=0)


def named(prior):
    parts = [generator(label(), angle(), named=True), discriminator(label(), angle(), named=True)]
    return kg.GAN(*parts, prior=prior, seed=0)


def pairs(prior, **options):
    judge = made([image(), latents("code")], (1,), "d")
    encoder = made(image(), (LATENTS,), "e", **options)
    return Inferring(generator(**options), judge, encoder, prior, seed=0)


def team(prior):
    return pairs(prior, batch_norm=True, dropout=0.2)


def recognized(prior):
    return kg.GAN(generator(), discriminator(), prior=prior, seed=0)


def four(prior):
    nets = [made(image(), SHAPE, "g", "sigmoid"), discriminator(outputs=(2, 2, 1))]
    return Translating(*nets, made(image(), SHAPE, "f", "sigmoid"), made(image(), (1,), "c"), seed=0)


def heads(prior):
    judge = discriminator(outputs={"logits": 1, "classes": CLASSES})
    return kg.GAN(generator(label()), judge, prior=prior, seed=0)


def scales(prior):
    judge = discriminator(outputs={"coarse": 1, "fine": 4})
    return kg.GAN(generator(), judge, prior=prior, seed=0)


def few_labels(prior):
    x = image()
    features = layers.Dense(6, "tanh", dtype="float32", name="d_hidden")(layers.Flatten()(x))
    heads = {"logits": layers.Dense(CLASSES, dtype="float32")(features), "features": features}
    classifier = keras.Model(x, heads, name="d")
    return kg.models.SemiSupervisedGAN(generator(), classifier, prior=prior, seed=0)


@_register
class TopKnown(kg.masks.Mask):
    """The upper half is known, in each row."""

    def draw(self, shape, key):
        return ops.zeros(shape) + ops.reshape(ops.convert_to_tensor([1.0, 1.0, 0.0, 0.0]), (1, 4, 1, 1))


def completed(prior, masks="random"):
    fill = made([latents(), image("known"), image("mask")], SHAPE, "g", "sigmoid")
    judge = made([image(), image("mask")], (1,), "d")
    return kg.models.CompletionGAN(fill, judge, masks=masks, prior=prior, seed=0)


def rows(number, seed=1):
    """Return images, labels, vectors, other images and weights, of so many rows."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, number)
    bright = rng.uniform(size=(number, *SHAPE)) * (labels[:, None, None, None] + 1) / CLASSES
    others = rng.uniform(size=(number, *SHAPE))
    return {
        "image": bright.astype("float32"),
        "label": labels.astype("int32"),
        "angle": rng.normal(size=(number, 2)).astype("float32"),
        "other": others.astype("float32"),
        "weight": rng.uniform(size=number).astype("float32"),
    }


def alone(data):
    return {"x": data["image"]}


GAMES = {
    "two_conditions": (
        two_conditions,
        dict,
        lambda d: {"x": d["image"], "y": (d["label"], d["angle"]), "sample_weight": d["weight"]},
    ),
    "named": (
        named,
        lambda: {"update": kg.updates.Alternating(share_fakes=True), "discriminator_steps": 2},
        lambda d: {"x": {key: d[key] for key in ("image", "label", "angle")}},
    ),
    "pairs": (
        pairs,
        lambda: {"loss": "wasserstein", "terms": ["gradient_penalty"]},
        lambda d: {"x": d["image"], "sample_weight": d["weight"]},
    ),
    "team": (
        team,
        lambda: {"discriminator_steps": 2, "ema_decay": 0.9, "gradient_norms": True},
        alone,
    ),
    "recognized": (
        recognized,
        lambda: {"terms": [LatentRegression(made(image(), (LATENTS,), "r", batch_norm=True), 0.5)]},
        alone,
    ),
    "four": (
        four,
        lambda: {"terms": [CycleConsistency(10.0)], "loss": "least_squares", "ema_decay": 0.9},
        lambda d: {"x": d["image"], "y": d["other"]},
    ),
    "heads": (
        heads,
        lambda: {"terms": [AuxiliaryClasses(0.5)]},
        lambda d: {"x": d["image"], "y": d["label"]},
    ),
    "few_labels": (
        few_labels,
        lambda: {"ema_decay": 0.9, "discriminator_steps": 2},
        lambda d: {
            "x": d["image"],
            "y": np.where(d["weight"] > 0.5, d["label"], -1),
            "sample_weight": d["weight"],
        },
    ),
    "completed": (completed, lambda: {"ema_decay": 0.9, "discriminator_steps": 2}, alone),
    "scales": (scales, lambda: {"terms": [kg.terms.R1(0.5)], "update": "simultaneous"}, alone),
}


def game(name, prior="normal", **compile_arguments):
    """Return a compiled game, the same at each call."""
    keras.utils.set_random_seed(0)
    make, arguments, _ = GAMES[name]
    return compiled(make(prior), {**arguments(), **compile_arguments})


def compiled(gan, arguments):
    # A large epsilon: where gradients almost vanish, Adam would make steps of their rounding.
    d = keras.optimizers.Adam(1e-2, epsilon=1e-3)
    gan.compile(d, keras.optimizers.SGD(0.05, momentum=0.9), **arguments)
    return gan


def data(name, number=40, seed=1):
    """Return what `fit` takes."""
    return GAMES[name][2](rows(number, seed))


def condition(name, number):
    """Return conditions of so many samples, or None."""
    given = data(name, number)
    if name == "few_labels":
        return None
    if name == "completed":
        return given["x"] * (given["x"] < 0.5), (given["x"] < 0.5).astype("float32")
    if isinstance(given["x"], dict):
        return {key: given["x"][key] for key in ("label", "angle")}
    return given.get("y")


# Without noise of their own, for comparisons of backends and of devices.


@_register
class Table(kg.priors.Prior):
    """Latents that are the same rows of a table, on all backends, however many replicas share them."""

    def draw(self, shape, key):
        table = np.random.default_rng(2).normal(size=(64, *shape[1:])).astype("float32")
        first = 0
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            context = tf.distribute.get_replica_context()
            if context is not None and context.num_replicas_in_sync > 1:
                first = context.replica_id_in_sync_group * shape[0]
        return ops.convert_to_tensor(table)[first : first + shape[0]]


@_register
class HalfWay(kg.terms.GradientPenalty):
    """A gradient penalty in the middle between real and fake examples."""

    def _uniform(self, shape):
        return 0.5 * ops.ones(shape)


def noiseless(name, **compile_arguments):
    """Return a compiled game that draws nothing at random."""
    keras.utils.set_random_seed(0)
    make, arguments, _ = GAMES[name]
    arguments = {**arguments(), **compile_arguments}
    if name == "pairs":
        arguments["terms"] = [HalfWay()]
    options = {"team": {"batch_norm": True}, "completed": {"masks": TopKnown()}}.get(name, {})
    make = pairs if name == "team" else make
    return compiled(make(Table(), **options), arguments)


def everything(gan):
    """Return all that a file keeps, but for seeds, in float64."""
    seeds = [id(seed) for seed in gan.seeds]
    variables = [v for v in [*gan.variables, *gan.optimizer.variables] if id(v) not in seeds]
    return [np.asarray(ops.convert_to_numpy(v), "float64") for v in variables]

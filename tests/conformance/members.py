"""The smallest members of the families, and small things that rows of the table need."""

import keras
import numpy as np
from keras import ops

import keras_gan as kg

BACKEND = keras.backend.backend()
_register = keras.saving.register_keras_serializable(package="conformance")

SHARES = np.random.default_rng(5).random((2, 40, 3))
POINTS = np.random.default_rng(3).normal(size=(2, 40, 3)).astype("float32")
DIGITS = np.random.default_rng(4).random((10, 8, 8, 1)).astype("float32")
LOGS = ("d_loss", "g_loss", "d_real", "d_fake")
WEIGHTS = {
    "kernel_initializer": "he_normal",
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "kernel_constraint": "max_norm",
}
PICTURE = np.uint8(255 * DIGITS[0, :, :, 0])


@_register
class Loss(kg.losses.Loss):
    """Mean scores, bounded."""

    def discriminator(self, real_logits, fake_logits):
        return ops.mean(ops.tanh(fake_logits)) - ops.mean(ops.tanh(real_logits))

    def generator(self, real_logits, fake_logits):
        return -ops.mean(ops.tanh(fake_logits))


@_register
class Prior(kg.priors.Prior):
    """Uniform bits."""

    def draw(self, shape, key):
        return kg.priors.Uniform(0.0, 1.0).draw(shape, key)


@_register
class Term(kg.terms.Term):
    """Mean square of the logits."""

    def call(self, play):
        return play.mean_real(ops.square(play.critic(play.real)))


@_register
class Rule(kg.updates.UpdateRule):
    """Both players descend."""

    def step(self, objective, players):
        return kg.updates.descend(objective, players)


@_register
class MoreSteps(kg.updates.AdaptiveSteps):
    """More steps while fakes get high scores."""

    def balance(self, loss, real_logits, fake_logits):
        return -ops.mean(fake_logits)

    def direction(self, average):
        return ops.cast(average < 0, "int32")


@_register
class Variant(kg.GAN):
    """A game with noise on what the discriminator sees."""

    def discriminate(self, samples, condition=None, training=False, network=None):
        blur = 0.1 * keras.random.normal(ops.shape(samples), seed=self.noise) if training else 0.0
        return super().discriminate(samples + blur, condition, training, network)


@_register
class Mask(kg.masks.Mask):
    """The upper half is known."""

    def draw(self, shape, key):
        return ops.ones(shape) * ops.reshape(ops.array([1.0, 1.0, 0.0, 0.0]), (4, 1, 1))


def encoded():
    """Return the losses of an encoder of the tiny images."""
    import kinds

    encoder = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(6)]
    history = kg.models.fit_encoder(kinds.game(), keras.Sequential(encoder), steps=3)
    return np.array(history.history["loss"])


class Brightness(kg.metrics.FeatureExtractor):
    """One feature, the mean of an image, and two classes, dark and bright."""

    name, size, classifies = "brightness", 1, True

    def __call__(self, images):
        return self.validate(images).mean(axis=(1, 2, 3), dtype="float32")[:, None]

    def probabilities(self, images):
        bright = self(images)
        return np.concatenate([1 - bright, bright], axis=1)


class Digits(Brightness):
    """Ten classes, by the tenth of the scale that the mean of an image lies in."""

    def probabilities(self, images):
        return np.eye(10)[np.clip(10 * self(images)[:, 0], 0, 9).astype(int)]


class Metric(kg.metrics.Metric):
    """How much brighter samples are."""

    names = ("brighter",)

    def prepare(self, real):
        return real.mean()

    def evaluate(self, state, fake):
        return kg.metrics.Score({"brighter": float(fake.mean() - state)}, 1, len(fake))


class FeatureMetric(kg.metrics.FeatureMetric):
    """How far the means of features lie apart."""

    def _prepare(self, real):
        return self.all_features("real", real).mean(axis=0)

    def _evaluate(self, state, fake):
        distance = np.linalg.norm(self.all_features("fake", fake).mean(axis=0) - state)
        return self.score({"distance": float(distance)}, 16, 16)


class ClassifierMetric(FeatureMetric, kg.metrics.ClassifierMetric):
    """How often samples are taken for the last class."""

    def _evaluate(self, state, fake):
        return self.score({"last": float(self.probabilities(fake)[:, -1].mean())}, 16, 16)


def pixels():
    return kg.metrics.Pixels((4, 4, 1))


def convolution():
    """A model of images of 4 × 4 whose last layer is called features, as of a digit classifier."""
    layers = [keras.layers.Conv2D(3, 3), keras.layers.Flatten()]
    return keras.Sequential([keras.Input((4, 4, 1)), *layers, keras.layers.Dense(2, name="features")])


def inception():
    """The extractor of Inception v3 around a network that is built in less than its 5 seconds."""
    real = keras.applications.InceptionV3

    def small(weights):
        inputs = keras.Input((8, 8, 3))
        pooled = keras.layers.GlobalAveragePooling2D(name="avg_pool")
        return keras.Model(inputs, keras.layers.Dense(5, "softmax")(pooled(inputs)))

    keras.applications.InceptionV3 = small
    try:
        return kg.metrics.InceptionV3("random")
    finally:
        keras.applications.InceptionV3 = real


class Exponential:
    """As much of a distribution as a prior asks for, drawn by JAX."""

    batch_shape, event_shape = (), ()

    def sample(self, shape, seed):
        import jax

        return jax.random.exponential(seed, shape)


def distribution():
    """A distribution of TensorFlow Probability where the backend is TensorFlow."""
    if BACKEND != "tensorflow":
        return Exponential()
    from tensorflow_probability import distributions

    return distributions.StudentT(df=5.0, loc=0.0, scale=1.0)


def dense():
    """A network of one weight, of 1."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", dtype="float32")
    return keras.Sequential([keras.Input((1,), dtype="float32"), layer])


class HalvedRate(keras.callbacks.LearningRateScheduler):
    """A schedule that halves the rate in each epoch; all are equal."""

    def __init__(self):
        super().__init__(lambda epoch, rate: rate / 2)

    def __eq__(self, other):
        return isinstance(other, HalvedRate)

    __hash__ = None


def play():
    weight = ops.convert_to_tensor(np.arange(16, dtype="float32") / 7.5)
    return kg.models.Play("discriminator", real=None, fake=None, weights=kg.losses.Weights(weight))


def player():
    return kg.models.Player([dense()], keras.optimizers.SGD(0.5))


def descended():
    """Descend the cube of the weight of `dense`."""
    one = player()
    (weight,) = one.variables
    logs = kg.updates.descend(lambda: ([ops.sum(weight.value**3)], {"cube": weight.value**3}), [one])
    return logs, weight.value


def checked():
    """Check the second derivatives of a network that has them."""
    network = dense()
    kg.second_order.check("A test", network, lambda function: function(network, ops.ones((2, 1))))
    return "no error"


def decoder(latents):
    return ops.tanh(latents) * 2.0


def first_batch(*args, **kwargs):
    return first(kg.datasets.load(*args, **kwargs))


def first(dataset):
    images, labels = next(iter(dataset))
    return ops.convert_to_numpy(images), np.asarray(labels)


def history():
    record = keras.callbacks.History()
    record.epoch, record.history = [0, 1], {name: [0.7, 0.6] for name in LOGS}
    return record


def searched():
    """Return a tuner after a search of one trial."""
    import keras_tuner

    def networks(latent_size, width):
        generator = [keras.Input((latent_size,)), keras.layers.Dense(3, "sigmoid")]
        discriminator = [keras.Input((3,)), keras.layers.Dense(width), keras.layers.Dense(1)]
        return keras.Sequential(generator), keras.Sequential(discriminator)

    space = kg.tuner.GANHyperModel(networks, run_eagerly=True)
    folder = {"directory": "trials", "overwrite": True}
    tuner = keras_tuner.RandomSearch(space, kg.tuner.PARZEN, max_trials=1, seed=0, **folder)
    points = np.random.default_rng(0).random((16, 3)).astype("float32")
    measure = kg.callbacks.ParzenLogLikelihood(points, num_samples=8)
    tuner.search(points, epochs=1, verbose=0, callbacks=[measure])
    return tuner

"""Semi-supervised learning: classifiers that are trained with few labels."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan import backend, losses, priors
from keras_gan.models.data_position import FitData
from keras_gan.models.gan import GAN
from keras_gan.models.inference import in_batches
from keras_gan.models.play import Play, relative
from keras_gan.utils import batches, networks
from keras_gan.utils.typing import Array, Logs, Structure, Tensor
from keras_gan.utils.validation import check_flag, check_number, check_rows

__all__ = ["SemiSupervisedGAN"]


@keras.saving.register_keras_serializable(package="keras_gan")
class SemiSupervisedGAN(GAN):
    """A GAN whose discriminator is a classifier, trained on labeled and unlabeled examples.

    Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, 2016, arXiv 1606.03498, sections 3.1 and 5. A
    classifier of K classes with logits l is a discriminator of K + 1 classes, the last of which,
    generated samples, has the logit 0: D(x) = Z / (Z + 1), with Z = Σ exp l_k. Its logit is the
    log-sum-exp of the class logits.

    The classifier minimizes the GAN's loss, on unlabeled examples and generated samples, plus the cross
    entropy of labeled examples. A minibatch without unlabeled examples uses its labeled ones for both.
    The generator minimizes the mean square of E f(x) − E f(G(z)), where f are features of the
    classifier, and nothing else of the game (feature matching).

    It trains on `fit(x, y)` or on batches `(x, y)`; labels are integers in [0, K), or −1 for examples
    without a label. `kg.datasets.mix_labeled` makes batches of few labeled and many unlabeled examples.
    The accuracy on labeled rows is logged as `accuracy`; in validation and `evaluate`, it is that of the
    EMA of the weights if there is one.

    Args:
        generator: `keras.Model` from latents to samples.
        classifier: `keras.Model` from samples to a dict of `logits` of the classes, `(batch, K)`, and
            `features`, `(batch, ...)`. It is the discriminator.
        label_weight: factor of the cross entropy, positive. The authors' code halves the GAN's loss
            instead, which is a factor of 2, the default.
        prior: as in `kg.GAN`.
        seed: as in `kg.GAN`.
        name: as in `keras.Model`.

    Raises:
        TypeError: a network is not a `keras.Model`.
        ValueError: the networks do not fit together, take a condition, or have other outputs.

    Example:

    >>> x = keras.Input((2,))
    >>> features = keras.layers.Dense(16, "relu")(x)
    >>> heads = {"logits": keras.layers.Dense(3)(features), "features": features}
    >>> generator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> gan = kg.models.SemiSupervisedGAN(generator, keras.Model(x, heads), seed=0)
    >>> gan.compile("adam", "adam")
    >>> x, y = np.zeros((64, 2), "float32"), np.repeat([0, 1, 2, -1], 16)
    >>> history = gan.fit(x, y, verbose=0)
    >>> sorted(history.history)
    ['accuracy', 'd_fake', 'd_loss', 'd_real', 'g_loss']
    >>> gan.classify(x).shape
    (64, 3)
    """

    # The generator matches features of real examples.
    needs_real = True

    def __init__(
        self,
        generator: keras.Model,
        classifier: keras.Model,
        *,
        label_weight: float = 2.0,
        prior: str | priors.Prior | Any = "uniform",
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        networks.check_models(classifier=classifier)
        label_weight = check_number("label_weight", label_weight, above=0)
        own = {"classifier": classifier, "label_weight": label_weight}
        super().__init__(generator, classifier, prior=prior, seed=seed, name=name, **own)

    def _connect(self, condition):
        if condition is not None or self.prior is None:
            raise ValueError(
                "The generator of a `SemiSupervisedGAN` takes latents alone. Received a generator "
                f"{self.generator.name!r} that takes a condition, or `prior=None`."
            )
        known = networks.outputs(self.classifier)
        if known is not None:
            _check_heads(known, self.classifier)
        super()._connect(None)
        output = networks.output_spec(
            f"The classifier {self.classifier.name!r}", self.discriminate, self.sample_spec
        )
        _check_heads(output, self.classifier)
        self.num_classes = output["logits"].shape[-1]

    @property
    def training_spec(self) -> batches.LabeledSpec:
        """See base class: the data have labels, which the networks do not take."""
        fields = {f.name: getattr(self.data_spec, f.name) for f in dataclasses.fields(self.data_spec)}
        fields["condition"] = keras.KerasTensor((None,), "int32", name="label")
        return batches.LabeledSpec(
            **{**fields, "condition_names": ("label",), "classes": (self.num_classes,)}
        )

    def averaged_networks(self) -> list[keras.Model]:
        """See base class; the classifier is also averaged, for `classify` and validation."""
        return [self.generator, self.classifier]

    def prepare(self, optimizers: Mapping[str, Any], logged: Sequence[str], **options: Any) -> None:
        """See base class; the accuracy is logged, too."""
        super().prepare(optimizers, (*logged, "accuracy"), **options)
        self._trackers["accuracy"] = _MeanOrNaN(name="accuracy")

    def _check_training(self, data: FitData) -> None:
        super()._check_training(data)
        self.training_spec.check_some((data.x, data.y))

    def check_first_epoch(self, logs: Logs) -> None:
        """Refuse datasets without any label.

        Raises:
            ValueError: the first epoch had none.
        """
        if math.isnan(logs.get("accuracy", 0.0)):
            raise ValueError(batches.NO_LABELS)

    def present(
        self, x: Structure, latents: Tensor | None, condition: Structure, training: bool
    ) -> tuple[Structure, Structure]:
        """See base class; the generator does not take the labels."""
        return super().present(x, latents, None, training)

    def discriminate(
        self,
        samples: Structure,
        condition: Structure = None,
        training: bool = False,
        network: keras.Model | None = None,
    ) -> Structure:
        """See base class; the classifier does not take the labels."""
        return super().discriminate(samples, None, training, network)

    def logits(self, output: Structure) -> Tensor:
        """Return the log-sum-exp of the class logits, the logit of D = Z / (Z + 1)."""
        return ops.logsumexp(output["logits"], axis=-1)

    def discriminator_loss(self, play: Play) -> Tensor:
        """Return the loss of the game plus the cross entropy of the labeled rows."""
        labeled, unlabeled = _weights(play)
        real, fake = self.logits(play.real_output), self.logits(play.fake_output)
        game = self.loss("discriminator", real, fake, play.weights._replace(real=unlabeled))
        cross_entropy = ops.sparse_categorical_crossentropy(
            ops.maximum(_labels(play), 0), play.real_output["logits"], from_logits=True
        )
        return game + self.label_weight * losses.mean(cross_entropy, labeled)

    def generator_loss(self, play: Play) -> Tensor:
        """Return the mean square of E f(x) − E f(G(z))."""
        _, unlabeled = _weights(play)
        real = losses.mean(play.real_output["features"], unlabeled, axis=0)
        fake = play.mean_fake(play.fake_output["features"], axis=0)
        return ops.mean(ops.square(backend.replica_mean(real) - backend.replica_mean(fake)))

    def output_logs(self, play: Play) -> Logs:
        """See base class; in validation, the accuracy is that of the EMA if there is one."""
        output = play.real_output
        if self.ema is not None and not play.training:
            with self.ema.applied():
                output = self.discriminate(play.real)
        labels = _labels(play)
        right = ops.cast(ops.equal(ops.argmax(output["logits"], axis=-1), labels), "float32")
        rows = ops.sum(ops.cast(labels >= 0, "float32"))
        accuracy = ops.sum(right) / ops.maximum(rows, 1.0)
        return {**super().output_logs(play), "accuracy": (accuracy, rows)}

    def classify(self, x: Array, *, batch_size: int = 500, use_ema: bool = False) -> np.ndarray:
        """Return the probabilities of the classes.

        Args:
            x: float array of samples `(n, ...)`.
            batch_size: number of samples to classify at a time.
            use_ema: whether to use the EMA of the weights.

        Returns:
            Float32 array `(n, K)`, whose rows add up to 1.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the samples have another shape; `use_ema` without an EMA.
        """
        x = check_rows("x", x, self.sample_shape)
        ema_of = self if check_flag("use_ema", use_ema) else None
        return in_batches(
            lambda part: ops.softmax(self.discriminate(part)["logits"]), x, batch_size, ema_of
        )


class _MeanOrNaN(keras.metrics.Mean):
    """A mean over rows that is NaN without any row."""

    def result(self) -> Tensor:
        return self.total / self.count


def _check_heads(output, classifier):
    """Refuse a classifier that does not return class logits and features."""
    wanted = {"logits", "features"}
    keys = set(output) if isinstance(output, Mapping) else set()
    if not wanted <= keys or len(output["logits"].shape) != 2:
        raise ValueError(
            "The classifier must return a dict of `logits`, of shape (batch, classes), and `features`, "
            "such as `keras.Model(x, {'logits': Dense(10)(h), 'features': h})`. Received from "
            f"{classifier.name!r}: {output}"
        )


def _labels(play):
    return ops.cast(play.condition, "int32")


def _weights(play):
    """Return the weights of the real rows in the mean over labeled rows, and over unlabeled ones.

    Labeled examples occur more often than others, where they are repeated, so that they would distort
    the distribution of the data. Without unlabeled rows, the second mean is over all rows.
    """
    weight = play.weights.real
    labeled = ops.cast(_labels(play) >= 0, "float32")
    weight = ops.ones_like(labeled) if weight is None else weight
    others = relative(weight * (1.0 - labeled))
    is_any = backend.replica_mean(ops.mean(others)) > 0
    return relative(weight * labeled), ops.where(is_any, others, weight)

"""The terms of semi-supervised learning with a complement ("bad") generator."""

import keras
from keras import ops

from keras_gan.terms.term import Term
from keras_gan.utils.typing import Config, Game, Play, Tensor
from keras_gan.utils.validation import check_string

__all__ = ["ConditionalEntropy", "PullAway"]


class _OutputTerm(Term):
    """Base class for terms of one entry of the discriminator's output, a dict."""

    def __init__(
        self, output: str, weight: float = 1.0, *, interval: int = 1, name: str | None = None
    ) -> None:
        super().__init__(weight, interval=interval, name=name)
        self.output = check_string("output", output)

    def build(self, gan: Game) -> list[keras.Variable]:
        """See base class."""
        self.check_output(gan, self.output)
        return []

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"output": self.output, **super().get_config()}


@keras.saving.register_keras_serializable(package="keras_gan")
class PullAway(_OutputTerm):
    """The generator spreads its samples: the mean of cos²(f(x), f(x′)) over pairs of samples.

    The pull-away term of Zhao, Mathieu, LeCun, 2016, arXiv 1609.03126, as a surrogate of the entropy of
    the generator in Dai, Yang, Yang, Cohen, Salakhutdinov, 2017, arXiv 1705.09783: a generator whose
    samples fill the space between the classes helps a semi-supervised classifier more than one that
    matches the data.

    Args:
        output: key of the features f in the discriminator's output, `(batch, ...)`.
        weight: factor, positive.
        interval: number of steps between evaluations (see `Term`).
        name: name in the logs.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range; when the GAN is compiled: the discriminator's output has
            no such entry.

    Example:

    >>> play = kg.models.Play("generator", None, None, fake_output={"features": ops.eye(3)})
    >>> float(kg.terms.PullAway().call(play))
    0.0
    """

    players = ("generator",)

    def __init__(
        self,
        output: str = "features",
        weight: float = 1.0,
        *,
        interval: int = 1,
        name: str | None = None,
    ) -> None:
        super().__init__(output, weight, interval=interval, name=name)

    def call(self, play: Play) -> Tensor:
        """See base class."""
        features = play.fake_output[self.output]
        rows = ops.shape(features)[0]
        features = ops.reshape(features, (rows, -1))
        squares = ops.sum(ops.square(features), axis=1, keepdims=True)
        unit = features * ops.rsqrt(ops.maximum(squares, 1e-12))
        cosines = ops.matmul(unit, ops.transpose(unit))
        others = ops.square(cosines) * (1.0 - ops.eye(rows))
        pairs = ops.cast(ops.maximum(rows * (rows - 1), 1), "float32")
        return ops.sum(others) / pairs


@keras.saving.register_keras_serializable(package="keras_gan")
class ConditionalEntropy(_OutputTerm):
    """The classifier is sure of real examples: the mean entropy of its classes, −Σ p_k log p_k.

    In nats. Dai, Yang, Yang, Cohen, Salakhutdinov, 2017, arXiv 1705.09783.

    Args:
        output: key of the class logits in the discriminator's output, `(batch, classes)`.
        weight: factor, positive.
        interval: number of steps between evaluations (see `Term`).
        name: name in the logs.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range; when the GAN is compiled: the discriminator's output has
            no such entry.

    Example:

    >>> play = kg.models.Play("discriminator", None, None, real_output={"logits": ops.zeros((4, 2))})
    >>> round(float(kg.terms.ConditionalEntropy().call(play)), 6)  # log 2
    0.693147
    """

    def __init__(
        self, output: str = "logits", weight: float = 1.0, *, interval: int = 1, name: str | None = None
    ) -> None:
        super().__init__(output, weight, interval=interval, name=name)

    def call(self, play: Play) -> Tensor:
        """See base class."""
        log_p = ops.log_softmax(play.real_output[self.output], axis=-1)
        return play.mean_real(-ops.sum(ops.exp(log_p) * log_p, axis=-1))

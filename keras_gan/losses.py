"""Losses: what each player minimizes, as means in nats over logits of any shape.

A discriminator returns logits; in losses stated in terms of probabilities, `D(x) = sigmoid(logit)`.
No loss carries the factor ½ that some papers put on the discriminator's: with the minimax loss,
`-d_loss` is the value V(D, G) of Goodfellow et al. (2014), −log 4 at the equilibrium.
"""

import functools
import inspect
from typing import Any, NamedTuple, Self

import keras
from keras import ops

from keras_gan import backend
from keras_gan.utils import inputs, registry, structures
from keras_gan.utils.typing import Config, Structure, Tensor
from keras_gan.utils.validation import check_choice, check_number, check_tensor

__all__ = [
    "LOSSES",
    "Hinge",
    "LeastSquares",
    "Loss",
    "MaximumLikelihood",
    "Minimax",
    "NonSaturating",
    "RelativisticAverage",
    "RelativisticPaired",
    "Wasserstein",
    "Weights",
    "get",
    "mean",
]


def __dir__():
    return __all__


_register = keras.saving.register_keras_serializable(package="keras_gan")


_ROWS = (
    "A loss or term passes one number per row, since `sample_weight` applies to rows, and leaves their "
    "mean to `mean_real`, `mean_fake` or `kg.losses.mean(values, weight)`."
)


def mean(values: Tensor, weight: Tensor | None = None, *, axis: int | None = None) -> Tensor:
    """Return the mean of values, with a weight for each row.

    Args:
        values: tensor of any rank, batch axis first.
        weight: tensor with one number per row, of mean 1 (see `kg.models.Play`), or None.
        axis: as in `keras.ops.mean`.

    Raises:
        TypeError: an argument does not consist of numbers.
        ValueError: `values` is a scalar, which has no rows, or `weight` has another number of rows.

    Example:

    >>> float(kg.losses.mean(ops.array([1.0, 5.0]), weight=ops.array([2.0, 0.0])))
    1.0
    """
    return _mean(values, weight, axis, "weight")


def _mean(values, weight, axis, name):
    values = check_tensor("values", values, hint=_ROWS)
    if weight is not None:
        weight = check_tensor(name, weight, rank=1)
        if not inputs.compatible(values.shape[:1], weight.shape):
            raise ValueError(
                f"`{name}` must be one number per row of `values`. Received: {weight.shape[0]} for "
                f"{values.shape[0]} rows"
            )
        values = ops.multiply(values, ops.reshape(weight, (-1,) + (1,) * (len(values.shape) - 1)))
    return ops.mean(values, axis=axis)


class Weights(NamedTuple):
    """The weights of a minibatch's rows, and the means E over real and generated rows.

    Attributes:
        real: tensor of the real rows' weights, of mean 1; None weighs them equally.
        fake: tensor of the generated rows' weights, of mean 1; None weighs them equally.

    Example:

    >>> weights = kg.losses.Weights(real=ops.array([2.0, 0.0]))
    >>> float(weights.mean_real(ops.array([1.0, 5.0]))), float(weights.mean_fake(ops.array([1.0, 5.0])))
    (1.0, 3.0)
    """

    real: Tensor | None = None
    fake: Tensor | None = None

    def mean_real(self, values: Tensor, axis: int | None = None) -> Tensor:
        """Return the weighted mean of values of the real rows."""
        return _mean(values, self.real, axis, "real")

    def mean_fake(self, values: Tensor, axis: int | None = None) -> Tensor:
        """Return the weighted mean of values of the generated rows."""
        return _mean(values, self.fake, axis, "fake")

    def swapped(self) -> "Weights":
        """Return the weights with real and generated rows exchanged."""
        return Weights(self.fake, self.real)


_EQUAL = Weights()
_PLAYERS = ("discriminator", "generator")


def _check_weights(weights):
    if not isinstance(weights, Weights):
        raise TypeError(f"`weights` must be a `kg.losses.Weights`. Received: {weights!r}")


def _checked(formula):
    """Return the formula of a player's loss with its arguments checked, and arrays as tensors."""

    @functools.wraps(formula)
    def checked(self, real_logits, fake_logits, *args, **kwargs):
        if real_logits is not None or self.needs_real or formula.__name__ == "discriminator":
            real_logits = check_tensor("real_logits", real_logits)
        fake_logits = check_tensor("fake_logits", fake_logits)
        for weights in (*args, *kwargs.values()):
            _check_weights(weights)
        return formula(self, real_logits, fake_logits, *args, **kwargs)

    return checked


class Loss:
    """Base class for the losses of the game.

    Subclasses implement `discriminator` and `generator`, with arguments `(real_logits, fake_logits,
    weights)`, which return scalars: means over the rows, by `weights.mean_real` and `weights.mean_fake`.
    Logits are float32 tensors whatever the precision of the networks. A loss that does not support
    `sample_weight` may omit the argument `weights`.

    A loss is called on logits of any structure, as `loss(player, real_logits, fake_logits)`: the losses
    of several tensors are summed.

    Attributes:
        needs_real: whether the generator's loss reads `real_logits`. If not, the generator's step
            passes `None` for them and saves a pass through the discriminator.
        boundary: the decision above which an example counts as real: ½, or 0 for unbounded scores.

    Example:

    >>> class Squared(kg.losses.Loss):
    ...     def discriminator(self, real_logits, fake_logits):
    ...         return ops.mean((real_logits - 1) ** 2) + ops.mean(fake_logits**2)
    ...     def generator(self, real_logits, fake_logits):
    ...         return ops.mean((fake_logits - 1) ** 2)
    >>> float(Squared()("generator", None, ops.zeros((4, 1))))
    1.0
    >>> float(Squared()("generator", None, {"coarse": ops.zeros((4, 1)), "fine": ops.zeros((4, 9))}))
    2.0
    """

    needs_real = False
    boundary = 0.5

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for player in _PLAYERS:
            if player in vars(cls):
                setattr(cls, player, _checked(vars(cls)[player]))

    def __call__(
        self,
        player: str,
        real_logits: Structure,
        fake_logits: Structure,
        weights: Weights = _EQUAL,
    ) -> Tensor:
        """Return the loss of `player`, summed over all tensors of logits.

        Args:
            player: `"discriminator"` or `"generator"`.
            real_logits: tensor or structure of tensors; None where a generator's loss does not read it.
            fake_logits: tensor or structure of tensors.
            weights: weights of the rows.

        Raises:
            ValueError: `player` is unknown; rows have weights, and the loss does not support them.
        """
        formula = getattr(self, check_choice("player", player, _PLAYERS))
        _check_weights(weights)
        supported = len(inspect.signature(formula).parameters) > 2
        if not supported and not (weights.real is None and weights.fake is None):
            raise ValueError(
                f"The data have a `sample_weight`, which `{type(self).__name__}.{player}` does not "
                "support. Expected the arguments `(real_logits, fake_logits, weights)`, and means "
                "taken by `weights.mean_real` and `weights.mean_fake`."
            )
        options = (weights,) if supported else ()
        fakes = structures.leaves(fake_logits)
        reals = [None] * len(fakes) if real_logits is None else structures.leaves(real_logits)
        if not fakes or len(reals) != len(fakes):
            raise ValueError(
                "`real_logits` and `fake_logits` must have the same structure, of one tensor or more. "
                f"Received: {len(reals)} and {len(fakes)} tensors"
            )
        return sum(formula(real, fake, *options) for real, fake in zip(reals, fakes, strict=True))

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return the scalar that the discriminator minimizes."""
        raise NotImplementedError(f"{type(self).__name__} must define `discriminator`.")

    def generator(
        self, real_logits: Tensor | None, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return the scalar that the generator minimizes."""
        raise NotImplementedError(f"{type(self).__name__} must define `generator`.")

    def decisions(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values that `d_real` and `d_fake` average: D(x) and D(G(z)), ½ at the optimum."""
        return ops.sigmoid(real_logits), ops.sigmoid(fake_logits)

    def mean_decisions(self, real_logits: Structure, fake_logits: Structure) -> tuple[Tensor, Tensor]:
        """Return `d_real` and `d_fake`; for several tensors of logits, the mean over them."""
        pairs = zip(structures.leaves(real_logits), structures.leaves(fake_logits), strict=True)
        means = [[ops.mean(side) for side in self.decisions(*pair)] for pair in pairs]
        return tuple(
            sum(side) / len(side) if len(side) > 1 else side[0] for side in zip(*means, strict=True)
        )

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Create the loss from the output of `get_config`."""
        return cls(**config)


_ONE_SIDED = (
    "It is the distance of the target for real examples from 1, such as 0.1 for the target 0.9. "
    "Smoothing the target of fakes to b as well would make the best discriminator "
    "(a·p_data + b·p_model) / (p_data + p_model), which rewards samples like those the generator makes "
    "already (Salimans et al., 2016, section 3.4)."
)


class _Smoothed(Loss):
    """Base class for losses whose target for real examples is `1 - label_smoothing`."""

    label_smoothing: float

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = check_number(
            "label_smoothing", label_smoothing, minimum=0, below=0.5, hint=_ONE_SIDED
        )

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"label_smoothing": self.label_smoothing}


class _CrossEntropy(_Smoothed):
    """Base class for losses with the discriminator of Goodfellow et al. (2014)."""

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return −E[(1−s) log D(x) + s log(1−D(x))] − E[log(1−D(G(z)))], s the smoothing."""
        # −t log σ(a) − (1−t) log(1−σ(a)) = softplus(a) − t·a, finite for any a.
        real = ops.softplus(-real_logits) + self.label_smoothing * real_logits
        return weights.mean_real(real) + weights.mean_fake(ops.softplus(fake_logits))


@_register
class Minimax(_CrossEntropy):
    """The zero-sum game: the generator minimizes log(1 − D(G(z))).

    The gradient vanishes when the discriminator rejects samples with confidence, so this loss is useful
    for theory and for testing update rules rather than for training. Goodfellow et al., 2014,
    arXiv 1406.2661, equation 1.

    Args:
        label_smoothing: distance of the target for real examples from 1, in [0, 0.5). Fakes keep
            the target 0 (one-sided smoothing, Salimans et al., 2016, arXiv 1606.03498).

    Example:

    >>> loss = kg.losses.Minimax()
    >>> round(float(loss.discriminator(ops.zeros((8, 1)), ops.zeros((8, 1)))), 6)  # log 4
    1.386294
    """

    def generator(
        self, real_logits: Tensor | None, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return E[log(1 − D(G(z)))]."""
        return -weights.mean_fake(ops.softplus(fake_logits))


@_register
class NonSaturating(_CrossEntropy):
    """The default: the generator maximizes log D(G(z)).

    Same fixed point as the minimax game, with a strong gradient where the discriminator rejects the
    samples. Goodfellow et al., 2014, arXiv 1406.2661, section 3.

    Args:
        label_smoothing: distance of the target for real examples from 1, in [0, 0.5). Fakes keep
            the target 0 (one-sided smoothing, Salimans et al., 2016, arXiv 1606.03498).

    Example:

    >>> loss = kg.losses.NonSaturating(label_smoothing=0.1)
    >>> round(float(loss.generator(None, ops.zeros((8, 1)))), 6)  # log 2
    0.693147
    """

    def generator(
        self, real_logits: Tensor | None, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return −E[log D(G(z))]."""
        return weights.mean_fake(ops.softplus(-fake_logits))


@_register
class MaximumLikelihood(_CrossEntropy):
    """The generator minimizes −E[exp(logit)], which is maximum likelihood if D is optimal.

    Goodfellow, 2016, arXiv 1701.00160, section 3.2.4, without its factor ½. Above a logit of 40 the
    exponential continues as its tangent, so that value and gradient stay finite.

    Args:
        label_smoothing: distance of the target for real examples from 1, in [0, 0.5).

    Example:

    >>> loss = kg.losses.MaximumLikelihood()
    >>> float(loss.generator(None, ops.zeros((8, 1))))
    -1.0
    """

    _TANGENT = 40.0

    def generator(
        self, real_logits: Tensor | None, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return −E[exp(logit)]."""
        head = ops.exp(ops.minimum(fake_logits, self._TANGENT))
        excess = ops.maximum(fake_logits - self._TANGENT, 0.0)
        return -weights.mean_fake(head * (1.0 + excess))


@_register
class LeastSquares(_Smoothed):
    """Squared distance of the discriminator's output from 1 (real) and from 0 (generated).

    ½E[(D(x) − 1)²] + ½E[D(G(z))²] and ½E[(D(G(z)) − 1)²]: Mao, Li, Xie, Lau, Wang, Smolley, 2016,
    arXiv 1611.04076, equation 9. The output is the logit itself; `d_real` and `d_fake` average it.

    Args:
        label_smoothing: distance of the target for real examples from 1, in [0, 0.5).

    Example:

    >>> loss = kg.losses.LeastSquares()
    >>> float(loss.generator(None, ops.zeros((8, 1))))
    0.5
    """

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return ½E[(D(x) − 1 + label_smoothing)²] + ½E[D(G(z))²]."""
        target = 1.0 - self.label_smoothing
        real = weights.mean_real(ops.square(real_logits - target))
        return 0.5 * (real + weights.mean_fake(ops.square(fake_logits)))

    def generator(
        self, real_logits: Tensor | None, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return ½E[(D(G(z)) − 1)²]."""
        return 0.5 * weights.mean_fake(ops.square(fake_logits - 1.0))

    def decisions(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs themselves: both ½ at the optimum."""
        return real_logits, fake_logits


class _Critic(Loss):
    """Base class for losses whose discriminator returns an unbounded score, not a probability."""

    boundary = 0.0

    def generator(
        self, real_logits: Tensor | None, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return −E[D(G(z))]."""
        return -weights.mean_fake(fake_logits)

    def decisions(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores themselves."""
        return real_logits, fake_logits


@_register
class Hinge(_Critic):
    """Margin loss: logits beyond ±1 no longer count for the discriminator.

    E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))] and −E[D(G(z))]: Lim and Ye, 2017, arXiv 1705.02894;
    Miyato et al., 2018, arXiv 1802.05957, equations 16 and 17. `d_real` and `d_fake` average scores.

    Example:

    >>> loss = kg.losses.Hinge()
    >>> float(loss.discriminator(ops.zeros((8, 1)), ops.zeros((8, 1))))
    2.0
    """

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))]."""
        real = weights.mean_real(ops.relu(1.0 - real_logits))
        return real + weights.mean_fake(ops.relu(1.0 + fake_logits))


@_register
class Wasserstein(_Critic):
    """The critic maximizes E[D(x)] − E[D(G(z))], the generator E[D(G(z))].

    Estimates the earth mover's distance if the critic is 1-Lipschitz: use it with
    `kg.terms.GradientPenalty()` or with `keras.constraints`. Arjovsky, Chintala, Bottou, 2017,
    arXiv 1701.07875, equation 3. `d_real - d_fake` is the estimate.

    Example:

    >>> loss = kg.losses.Wasserstein()
    >>> float(loss.discriminator(ops.ones((8, 1)), ops.zeros((8, 1))))
    -1.0
    """

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return E[D(G(z))] − E[D(x)]."""
        return weights.mean_fake(fake_logits) - weights.mean_real(real_logits)


class _Relativistic(Loss):
    """Base class for losses that compare real and generated examples with each other."""

    needs_real = True

    def margins(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> tuple[Tensor, Tensor]:
        """Return the margins of real examples over fakes, and of fakes over real examples."""
        raise NotImplementedError

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return E[softplus(−margin of real)] + E[softplus(margin of fake)]."""
        real, fake = self.margins(real_logits, fake_logits, weights)
        return weights.mean_real(ops.softplus(-real)) + weights.mean_fake(ops.softplus(fake))

    def generator(self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL) -> Tensor:
        """Return the discriminator's loss with real and fake exchanged."""
        return self.discriminator(fake_logits, real_logits, weights.swapped())

    def decisions(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability that each side looks more real than the other."""
        return tuple(ops.sigmoid(margin) for margin in self.margins(real_logits, fake_logits))


@_register
class RelativisticAverage(_Relativistic):
    """Real examples look more real than the average fake, and vice versa.

    E[softplus(−(C(x) − E C(G(z))))] + E[softplus(C(G(z)) − E C(x))], with the roles exchanged for the
    generator: Jolicoeur-Martineau, 2018, arXiv 1807.00734, equations 4 to 6 (RaSGAN). The averages run
    over the batch and over the grid of a patch discriminator.

    Example:

    >>> loss = kg.losses.RelativisticAverage()
    >>> round(float(loss.generator(ops.ones((8, 1)), ops.ones((8, 1)))), 6)
    1.386294
    """

    def margins(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> tuple[Tensor, Tensor]:
        """Return the logits of each side minus the mean of the other side."""
        fake_mean = backend.replica_mean(weights.mean_fake(fake_logits))
        real_mean = backend.replica_mean(weights.mean_real(real_logits))
        return real_logits - fake_mean, fake_logits - real_mean


@_register
class RelativisticPaired(_Relativistic):
    """Each real example looks more real than the fake in the same row.

    E[softplus(−(C(x) − C(G(z))))], with the roles exchanged for the generator: Jolicoeur-Martineau,
    2018, arXiv 1807.00734, section 3.2 (RSGAN).

    Example:

    >>> loss = kg.losses.RelativisticPaired()
    >>> round(float(loss.discriminator(ops.ones((8, 1)), ops.ones((8, 1)))), 6)
    0.693147
    """

    def margins(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> tuple[Tensor, Tensor]:
        """Return the difference of the logits, row by row, and its negative."""
        if not inputs.compatible(real_logits.shape, fake_logits.shape):
            raise ValueError(
                "`real_logits` and `fake_logits` must have the same shape, since each real example is "
                f"compared with the fake of its row. Received: {tuple(real_logits.shape)} and "
                f"{tuple(fake_logits.shape)}"
            )
        return real_logits - fake_logits, fake_logits - real_logits

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, weights: Weights = _EQUAL
    ) -> Tensor:
        """Return E[softplus(C(G(z)) − C(x))], weighted by the real rows, or else by the fakes."""
        weight = weights.fake if weights.real is None else weights.real
        margin, _ = self.margins(real_logits, fake_logits)
        return mean(ops.softplus(-margin), weight)


LOSSES = {
    "minimax": Minimax,
    "non_saturating": NonSaturating,
    "maximum_likelihood": MaximumLikelihood,
    "least_squares": LeastSquares,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "relativistic_average": RelativisticAverage,
    "relativistic_paired": RelativisticPaired,
}


def get(identifier: str | Config | Loss) -> Loss:
    """Return a loss from its name, its configuration, or an instance.

    Args:
        identifier: one of the names in `LOSSES`, a serialized loss, or a `Loss`.

    Returns:
        A `Loss`.

    Raises:
        ValueError: the name is unknown; the message suggests the nearest one.
        TypeError: `identifier` is none of these.

    Example:

    >>> type(kg.losses.get("hinge")).__name__
    'Hinge'
    """
    return registry.get(identifier, Loss, LOSSES, "loss")

"""Losses: what each player minimises, as means in nats over logits of any shape.

A discriminator returns logits: `D(x) = sigmoid(logit)` for the losses that speak of probabilities.
No loss carries the factor ½ that some papers put on the discriminator's: with the minimax loss
`-d_loss` is the value V(D, G) of Goodfellow et al. (2014), −log 4 at the equilibrium.
"""

import inspect
from typing import Self

import keras
from keras import ops

from keras_gan import backend
from keras_gan.utils import registry, structures
from keras_gan.utils.typing import REAL, Config, Structure, Tensor

_register = keras.saving.register_keras_serializable(package="keras_gan")


def mean(values: Tensor, weight: Tensor | None = None, axis: int | None = None) -> Tensor:
    """Return the mean of values, whose rows have weights.

    Args:
        values: tensor of any rank, batch axis first.
        weight: tensor of a number for each row, of mean 1 (see `kg.models.Play`), or None.
        axis: as in `keras.ops.mean`.

    Raises:
        ValueError: there is a weight, but no rows.

    Example:

    >>> float(kg.losses.mean(ops.array([1.0, 5.0]), weight=ops.array([2.0, 0.0])))
    1.0
    """
    if weight is not None:
        if not len(values.shape):
            raise ValueError(
                "`sample_weight` weighs the rows of a batch, and one number has none. Expected a loss "
                "or a term that takes the mean of a number for each row, by "
                "`kg.losses.mean(values, weight)`."
            )
        values = ops.multiply(values, ops.reshape(weight, (-1,) + (1,) * (len(values.shape) - 1)))
    return ops.mean(values, axis=axis)


class Loss:
    """Base class of the losses of the game.

    A member writes `discriminator` and `generator`, both of `(real_logits, fake_logits, real_weight,
    fake_weight)`, and returns scalars: means over the rows, by `kg.losses.mean`. The logits are one
    float32 tensor each, whatever the precision of the networks. Without `sample_weight` the weights are
    left out, so that a loss for data without weights need not take them.

    A loss is called on logits of any structure, as `loss(player, real_logits, fake_logits)`: those of
    several tensors are summed.

    Attributes:
        needs_real: whether the generator's loss reads `real_logits` too. If not, the generator's
            step passes `None` for them and saves a pass of the discriminator.

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

    def __call__(
        self,
        player: str,
        real_logits: Structure,
        fake_logits: Structure,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return what `player` minimises, the sum over all tensors of logits.

        Args:
            player: `"discriminator"` or `"generator"`.
            real_logits: tensor or structure of tensors; None where a generator's loss does not read it.
            fake_logits: tensor or structure of tensors.
            real_weight: weights of the real rows, of mean 1, or None.
            fake_weight: weights of the generated rows, of mean 1, or None.

        Raises:
            ValueError: there are weights, and the loss does not take any.
        """
        formula = getattr(self, player)
        weights = () if real_weight is None and fake_weight is None else (real_weight, fake_weight)
        if weights and len(inspect.signature(formula).parameters) < 4:
            raise ValueError(
                f"The data have a `sample_weight`, and `{type(self).__name__}.{player}` takes none. "
                "Expected `(real_logits, fake_logits, real_weight=None, fake_weight=None)`, and means "
                "by `kg.losses.mean(values, weight)`."
            )
        fakes = structures.leaves(fake_logits)
        reals = [None] * len(fakes) if real_logits is None else structures.leaves(real_logits)
        return sum(formula(real, fake, *weights) for real, fake in zip(reals, fakes, strict=True))

    def discriminator(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the scalar that the discriminator minimises."""
        raise NotImplementedError(f"{type(self).__name__} must define `discriminator`.")

    def generator(
        self,
        real_logits: Tensor | None,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the scalar that the generator minimises."""
        raise NotImplementedError(f"{type(self).__name__} must define `generator`.")

    def decisions(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `d_real` and `d_fake` average: D(x) and D(G(z)), both ½ at the optimum."""
        return ops.sigmoid(real_logits), ops.sigmoid(fake_logits)

    def mean_decisions(self, real_logits: Structure, fake_logits: Structure) -> tuple[Tensor, Tensor]:
        """Return `d_real` and `d_fake`, for logits of several tensors the mean of theirs."""
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
        """Make the loss from what `get_config` returned."""
        return cls(**config)


class _Smoothed(Loss):
    """A loss whose target for real examples may be `1 - label_smoothing` instead of 1."""

    label_smoothing: float

    def __init__(self, label_smoothing: float = 0.0) -> None:
        if not isinstance(label_smoothing, REAL):
            raise ValueError(
                "`label_smoothing` is one number, for real examples only: smoothing the fakes' target "
                "to b would make the best discriminator (a·p_data + b·p_model) / (p_data + p_model), "
                "which rewards samples like those the generator makes already (Salimans et al., 2016, "
                f"section 3.4). Expected a number in [0, 0.5). Received: {label_smoothing!r}"
            )
        if not 0.0 <= label_smoothing < 0.5:
            raise ValueError(
                "`label_smoothing` is the distance of the target for real examples from 1. "
                f"Expected a number in [0, 0.5), such as 0.1 for the target 0.9. "
                f"Received: {label_smoothing}"
            )
        self.label_smoothing = float(label_smoothing)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"label_smoothing": self.label_smoothing}


class _CrossEntropy(_Smoothed):
    """The discriminator of Goodfellow et al. (2014), for generators with different objectives."""

    def discriminator(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return −E[(1−s) log D(x) + s log(1−D(x))] − E[log(1−D(G(z)))], s the smoothing."""
        # −t log σ(a) − (1−t) log(1−σ(a)) = softplus(a) − t·a, finite for any a.
        real = ops.softplus(-real_logits) + self.label_smoothing * real_logits
        return mean(real, real_weight) + mean(ops.softplus(fake_logits), fake_weight)


@_register
class Minimax(_CrossEntropy):
    """The zero-sum game: the generator minimises log(1 − D(G(z))).

    Its gradient vanishes when the discriminator rejects samples with confidence, so it serves theory
    and the tests of update rules more than training. Goodfellow et al., 2014, arXiv 1406.2661,
    equation 1.

    Args:
        label_smoothing: how far the target for real examples lies below 1, in [0, 0.5). Fakes keep
            the target 0 (one-sided smoothing, Salimans et al., 2016, arXiv 1606.03498).

    Example:

    >>> loss = kg.losses.Minimax()
    >>> round(float(loss.discriminator(ops.zeros((8, 1)), ops.zeros((8, 1)))), 6)  # log 4
    1.386294
    """

    def generator(
        self,
        real_logits: Tensor | None,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return E[log(1 − D(G(z)))]."""
        return -mean(ops.softplus(fake_logits), fake_weight)


@_register
class NonSaturating(_CrossEntropy):
    """The default: the generator maximises log D(G(z)).

    Same fixed point as the minimax game, with a strong gradient where the discriminator rejects the
    samples. Goodfellow et al., 2014, arXiv 1406.2661, section 3.

    Args:
        label_smoothing: how far the target for real examples lies below 1, in [0, 0.5). Fakes keep
            the target 0 (one-sided smoothing, Salimans et al., 2016, arXiv 1606.03498).

    Example:

    >>> loss = kg.losses.NonSaturating(label_smoothing=0.1)
    >>> round(float(loss.generator(None, ops.zeros((8, 1)))), 6)  # log 2
    0.693147
    """

    def generator(
        self,
        real_logits: Tensor | None,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return −E[log D(G(z))]."""
        return mean(ops.softplus(-fake_logits), fake_weight)


@_register
class MaximumLikelihood(_CrossEntropy):
    """The generator minimises −E[exp(logit)], which is maximum likelihood if D is optimal.

    Goodfellow, 2016, arXiv 1701.00160, section 3.2.4, without its factor ½. Above a logit of 40 the
    exponential goes on as its tangent, so that value and gradient stay finite.

    Args:
        label_smoothing: how far the target for real examples lies below 1, in [0, 0.5).

    Example:

    >>> loss = kg.losses.MaximumLikelihood()
    >>> float(loss.generator(None, ops.zeros((8, 1))))
    -1.0
    """

    _TANGENT = 40.0

    def generator(
        self,
        real_logits: Tensor | None,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return −E[exp(logit)]."""
        head = ops.exp(ops.minimum(fake_logits, self._TANGENT))
        excess = ops.maximum(fake_logits - self._TANGENT, 0.0)
        return -mean(head * (1.0 + excess), fake_weight)


@_register
class LeastSquares(_Smoothed):
    """Squared distance of the discriminator's output from 1 for real and from 0 for fake examples.

    ½E[(D(x) − 1)²] + ½E[D(G(z))²] and ½E[(D(G(z)) − 1)²]: Mao, Li, Xie, Lau, Wang, Smolley, 2016,
    arXiv 1611.04076, equation 9. The output is the logit itself; `d_real` and `d_fake` average it.

    Args:
        label_smoothing: how far the target for real examples lies below 1, in [0, 0.5).

    Example:

    >>> loss = kg.losses.LeastSquares()
    >>> float(loss.generator(None, ops.zeros((8, 1))))
    0.5
    """

    def discriminator(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return ½E[(D(x) − 1 + label_smoothing)²] + ½E[D(G(z))²]."""
        target = 1.0 - self.label_smoothing
        real = mean(ops.square(real_logits - target), real_weight)
        return 0.5 * (real + mean(ops.square(fake_logits), fake_weight))

    def generator(
        self,
        real_logits: Tensor | None,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return ½E[(D(G(z)) − 1)²]."""
        return 0.5 * mean(ops.square(fake_logits - 1.0), fake_weight)

    def decisions(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs themselves: both ½ at the optimum."""
        return real_logits, fake_logits


class _Critic(Loss):
    """A loss whose discriminator gives a score on an open scale rather than a probability."""

    def generator(
        self,
        real_logits: Tensor | None,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return −E[D(G(z))]."""
        return -mean(fake_logits, fake_weight)

    def decisions(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores themselves."""
        return real_logits, fake_logits


@_register
class Hinge(_Critic):
    """Margin loss: the discriminator stops caring beyond ±1.

    E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))] and −E[D(G(z))]: Lim and Ye, 2017, arXiv 1705.02894;
    Miyato et al., 2018, arXiv 1802.05957, equations 16 and 17. `d_real` and `d_fake` average scores.

    Example:

    >>> loss = kg.losses.Hinge()
    >>> float(loss.discriminator(ops.zeros((8, 1)), ops.zeros((8, 1))))
    2.0
    """

    def discriminator(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))]."""
        real = mean(ops.relu(1.0 - real_logits), real_weight)
        return real + mean(ops.relu(1.0 + fake_logits), fake_weight)


@_register
class Wasserstein(_Critic):
    """The critic maximises E[D(x)] − E[D(G(z))], the generator E[D(G(z))].

    An estimate of the earth mover's distance if the critic is 1-Lipschitz: use it with
    `terms.GradientPenalty()` or with `keras.constraints`. Arjovsky, Chintala, Bottou, 2017,
    arXiv 1701.07875, equation 3. `d_real - d_fake` is the estimate.

    Example:

    >>> loss = kg.losses.Wasserstein()
    >>> float(loss.discriminator(ops.ones((8, 1)), ops.zeros((8, 1))))
    -1.0
    """

    def discriminator(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return E[D(G(z))] − E[D(x)]."""
        return mean(fake_logits, fake_weight) - mean(real_logits, real_weight)


class _Relativistic(Loss):
    """Each player argues that its examples look more real than the other's."""

    needs_real = True

    def margins(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return by how much real examples beat fakes, and fakes beat real ones."""
        raise NotImplementedError

    def discriminator(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return E[softplus(−margin of real)] + E[softplus(margin of fake)]."""
        real, fake = self.margins(real_logits, fake_logits, real_weight, fake_weight)
        return mean(ops.softplus(-real), real_weight) + mean(ops.softplus(fake), fake_weight)

    def generator(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the discriminator's loss with real and fake exchanged."""
        return self.discriminator(fake_logits, real_logits, fake_weight, real_weight)

    def decisions(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probabilities that each side looks more real than the other."""
        return tuple(ops.sigmoid(margin) for margin in self.margins(real_logits, fake_logits))


@_register
class RelativisticAverage(_Relativistic):
    """Real examples should look more real than the average fake, and the reverse.

    E[softplus(−(C(x) − E C(G(z))))] + E[softplus(C(G(z)) − E C(x))], and exchanged for the generator:
    Jolicoeur-Martineau, 2018, arXiv 1807.00734, equations 4 to 6 (RaSGAN). The averages run over the
    batch and over a patch discriminator's grid.

    Example:

    >>> loss = kg.losses.RelativisticAverage()
    >>> round(float(loss.generator(ops.ones((8, 1)), ops.ones((8, 1)))), 6)
    1.386294
    """

    def margins(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return both sides' logits less the other side's mean."""
        fake_mean = backend.replica_mean(mean(fake_logits, fake_weight))
        real_mean = backend.replica_mean(mean(real_logits, real_weight))
        return real_logits - fake_mean, fake_logits - real_mean


@_register
class RelativisticPaired(_Relativistic):
    """Each real example should look more real than the fake of its row.

    E[softplus(−(C(x) − C(G(z))))], and exchanged for the generator: Jolicoeur-Martineau, 2018,
    arXiv 1807.00734, section 3.2 (RSGAN).

    Example:

    >>> loss = kg.losses.RelativisticPaired()
    >>> round(float(loss.discriminator(ops.ones((8, 1)), ops.ones((8, 1)))), 6)
    0.693147
    """

    def margins(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the difference of the logits, row by row, and its negative."""
        return real_logits - fake_logits, fake_logits - real_logits

    def discriminator(
        self,
        real_logits: Tensor,
        fake_logits: Tensor,
        real_weight: Tensor | None = None,
        fake_weight: Tensor | None = None,
    ) -> Tensor:
        """Return E[softplus(C(G(z)) − C(x))], each pair with the weight of the one that has one."""
        weight = fake_weight if real_weight is None else real_weight
        return mean(ops.softplus(fake_logits - real_logits), weight)


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
    """Return a loss by name, by configuration or as it is.

    Args:
        identifier: one of the names in `LOSSES`, a serialized loss, or a `Loss`.

    Returns:
        A `Loss`.

    Raises:
        ValueError: unknown name; the message gives the nearest one.
        TypeError: neither name, nor configuration, nor loss.

    Example:

    >>> type(kg.losses.get("hinge")).__name__
    'Hinge'
    """
    return registry.get(identifier, Loss, LOSSES)

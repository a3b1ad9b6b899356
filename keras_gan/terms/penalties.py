"""Penalties on the gradient of the discriminator's logits with respect to its input, in float32."""

import keras
from keras import ops

from keras_gan import backend, second_order
from keras_gan.terms.term import Term
from keras_gan.utils import structures
from keras_gan.utils.typing import Config, Critic, Game, Play, Structure, Tensor
from keras_gan.utils.validation import check_callable, check_flag, check_number

__all__ = ["DRAGAN", "R1", "R2", "GradientPenalty", "squared_norms"]

_register = keras.saving.register_keras_serializable(package="keras_gan")


def squared_norms(critic: Critic, samples: Structure) -> Tensor:
    """Return ‖∇ critic‖² of each sample: the squared gradient summed over all axes but the first.

    Args:
        critic: function from samples to logits; several tensors of logits are summed.
        samples: float32 tensor of any rank, batch axis first, or a structure of tensors, whose
            squared gradients are summed.

    Returns:
        Float32 tensor of shape (batch,).

    Example:

    >>> squared = kg.terms.squared_norms(lambda x: 3.0 * ops.sum(x, axis=(1, 2)), ops.ones((2, 4, 5)))
    >>> [float(value) for value in squared]  # 9 · 20
    [180.0, 180.0]
    """
    check_callable("critic", critic)
    samples = structures.check_tensors("samples", samples)
    gradient = backend.input_gradient(critic, structures.float32(samples))
    return sum(_squares(ops.cast(leaf, "float32")) for leaf in structures.leaves(gradient))


def _squares(gradient):
    return ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))


def _norms(critic, samples):
    # The square root has no gradient at 0, which occurs wherever the critic is flat.
    return ops.sqrt(squared_norms(critic, samples) + 1e-12)


class _GradientTerm(Term):
    """Base class for terms that differentiate the discriminator's gradient."""

    def build(self, gan: Game) -> list[keras.Variable]:
        """Check that the discriminator's gradient can be differentiated again.

        Raises:
            ValueError: it cannot; the message names the layers. (If its second derivative is only
                approximate, a `UserWarning` names them.)
        """
        second_order.check(f"The term {self.name!r}", gan.discriminator, gan.call_on_random_samples)
        self._noise = gan.noise
        return []

    def _uniform(self, shape):
        return backend.random_bits(shape, self._noise.next()) * 2.0**-23


class _NormTerm(_GradientTerm):
    """(‖∇D‖ − target)² at points near the data; one-sided, only where the norm exceeds the target."""

    def __init__(
        self,
        weight: float = 10.0,
        *,
        target: float = 1.0,
        one_sided: bool = False,
        interval: int = 1,
        name: str | None = None,
    ) -> None:
        super().__init__(weight, interval=interval, name=name)
        self.target = check_number("target", target, minimum=0)
        self.one_sided = check_flag("one_sided", one_sided)

    def points(self, play: Play) -> Structure:
        """Return the points at which the gradient is penalized."""
        raise NotImplementedError

    def call(self, play: Play) -> Tensor:
        """See base class."""
        excess = _norms(play.critic, self.points(play)) - self.target
        return play.mean_real(ops.square(ops.relu(excess) if self.one_sided else excess))

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        own = {"target": self.target, "one_sided": self.one_sided}
        return {**super().get_config(), **own}


def _over(numbers, leaf):
    """Reshape one number per sample so that it broadcasts over the sample's axes."""
    return ops.reshape(numbers, (-1,) + (1,) * (len(leaf.shape) - 1))


@_register
class GradientPenalty(_NormTerm):
    """E[(‖∇D(x̂)‖ − 1)²] at random points x̂ between real and fake examples.

    x̂ = εx + (1 − ε)G(z), with one ε ~ U(0, 1) per sample of any rank or structure. Keeps a
    Wasserstein critic close to 1-Lipschitz. Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, 2017,
    arXiv 1704.00028, equation 3; `one_sided` penalizes norms above the target only (Petzka, Fischer,
    Lukovnikov, 2017, arXiv 1709.08894). Use a discriminator without batch normalization.

    Args:
        weight: factor λ, positive.
        target: gradient norm without penalty, at least 0.
        one_sided: whether to penalize only norms above the target.
        interval: number of steps between evaluations (see `Term`).
        name: name in the logs.

    Example:

    >>> kg.terms.GradientPenalty(one_sided=True).weight
    10.0
    """

    def points(self, play: Play) -> Structure:
        """See base class."""
        share = self._uniform((structures.number_of_rows(play.real),))

        def between(real, fake):
            epsilon = _over(share, real)
            return epsilon * real + (1.0 - epsilon) * fake

        return structures.mapped(between, play.real, play.fake)


@_register
class DRAGAN(_NormTerm):
    """E[(‖∇D(x̂)‖ − 1)²] at random points x̂ near real examples.

    x̂ = x + ½ασ·u with σ the batch's standard deviation, one α ~ U(0, 1) per sample and u ~ U(0, 1) per
    entry: Kodali, Abernethy, Hays, Kira, 2017, arXiv 1705.07215, with the noise of its authors' code.

    Args:
        weight: factor λ, positive.
        target: gradient norm without penalty, at least 0.
        one_sided: whether to penalize only norms above the target.
        interval: number of steps between evaluations (see `Term`).
        name: name in the logs.

    Example:

    >>> kg.terms.DRAGAN().name
    'dragan'
    """

    def points(self, play: Play) -> Structure:
        """See base class."""
        share = self._uniform((structures.number_of_rows(play.real),))

        def near(real):
            alpha, noise = _over(share, real), self._uniform(ops.shape(real))
            mean = backend.replica_mean(play.mean_real(real))
            deviation = ops.sqrt(backend.replica_mean(play.mean_real(ops.square(real - mean))))
            return real + 0.5 * alpha * deviation * noise

        return structures.mapped(near, play.real)


@_register
class R1(_GradientTerm):
    """½E‖∇D(x)‖² at real examples, which makes training converge near the equilibrium.

    Mescheder, Geiger, Nowozin, 2018, arXiv 1801.04406, equation 9.

    Args:
        weight: factor γ, positive.
        interval: number of steps between evaluations (see `Term`); 16 in StyleGAN2.
        name: name in the logs.

    Example:

    >>> kg.terms.R1(weight=1.0, interval=16).interval
    16
    """

    def __init__(self, weight: float = 10.0, *, interval: int = 1, name: str | None = None) -> None:
        super().__init__(weight, interval=interval, name=name)

    def call(self, play: Play) -> Tensor:
        """See base class."""
        return 0.5 * play.mean_real(squared_norms(play.critic, play.real))


@_register
class R2(R1):
    """½E‖∇D(G(z))‖² at generated examples.

    Mescheder, Geiger, Nowozin, 2018, arXiv 1801.04406, equation 10.

    Args:
        weight: factor γ, positive.
        interval: number of steps between evaluations (see `Term`).
        name: name in the logs.

    Example:

    >>> kg.terms.R2().name
    'r2'
    """

    def call(self, play: Play) -> Tensor:
        """See base class."""
        return 0.5 * play.mean_fake(squared_norms(play.critic, play.fake))

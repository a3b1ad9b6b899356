"""The players of the game, and what they see of a minibatch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_gan import backend, losses
from keras_gan.layers import SpectralNormalization
from keras_gan.utils.networks import trainable
from keras_gan.utils.typing import Structure, Tensor

__all__ = ["Play", "Player", "normalized_layers", "relative"]


class Player(NamedTuple):
    """Networks that move together, and the optimizer that moves them.

    Args:
        networks: list of `keras.Model`s, such as the generator and an encoder.
        optimizer: `keras.optimizers.Optimizer`.
        norm: name in the logs of the norm of its gradient; None logs no norm.
        xla_update: whether XLA may compile the optimizer's update where it does not compile the step.

    Example:

    >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> len(kg.models.Player([network], keras.optimizers.SGD()).variables)
    2
    """

    networks: Sequence[keras.Model]
    optimizer: keras.optimizers.Optimizer
    norm: str | None = None
    xla_update: bool = False

    @property
    def variables(self) -> list[keras.Variable]:
        """The weights that the player trains."""
        return trainable(self.networks)

    def move(self, grads: Sequence[Tensor]) -> None:
        """Take a step of the optimizer, and then of the networks' spectral normalization."""
        backend.apply(self.optimizer, grads, self.variables, self.xla_update)
        for layer in normalized_layers(self.networks):
            layer.step()


class Play(NamedTuple):
    """What the players see of one minibatch: the input of losses and terms.

    `real` and `fake` are inputs of the discriminator, `real_output` and `fake_output` its outputs:
    tensors or structures of tensors.

    Attributes:
        player: whose loss is computed, `"discriminator"` or `"generator"`.
        real: float32 real examples, batch axis first.
        fake: float32 generated examples, of the same structure.
        latents: the latents of the generated examples; None without a prior.
        condition: the minibatch's condition, or None.
        training: bool, whether networks run in training mode.
        critic: function from samples to the discriminator's float32 logits, for the minibatch's
            condition. `critic(samples, network=other)` calls another network on the same inputs.
        real_output: output of the discriminator for `real`; None in a step of the generator whose loss
            does not need it.
        fake_output: output of the discriminator for `fake`.
        weights: `kg.losses.Weights` of the rows, each of mean 1. Generated rows have the weights of the
            real ones in a conditional GAN, whose fakes are made for the same conditions; otherwise ones,
            and zeros if no real row counts.

    Example:

    >>> play = kg.models.Play("discriminator", real=ops.ones((4, 2)), fake=ops.zeros((4, 2)))
    >>> float(play.mean_real(play.real))
    1.0
    """

    player: str
    real: Structure
    fake: Structure
    latents: Tensor | None = None
    condition: Structure = None
    training: bool = True
    critic: Any = None
    real_output: Structure = None
    fake_output: Structure = None
    weights: losses.Weights = losses.Weights()

    def mean_real(self, values: Tensor, axis: int | None = None) -> Tensor:
        """Return the mean of values of the real rows, as `sample_weight` weighs them."""
        return self.weights.mean_real(values, axis)

    def mean_fake(self, values: Tensor, axis: int | None = None) -> Tensor:
        """Return the mean of values of the generated rows, as `sample_weight` weighs them."""
        return self.weights.mean_fake(values, axis)


def normalized_layers(networks: Sequence[keras.Model]) -> list[SpectralNormalization]:
    """Return the layers with spectral normalization, each once."""
    layers = {id(layer): layer for network in networks for layer in network._flatten_layers()}
    return [layer for layer in layers.values() if isinstance(layer, SpectralNormalization)]


def relative(weight: Tensor | None) -> Tensor | None:
    """Return weights of mean 1 over the minibatch, of all replicas; zeros of zeros.

    The real and the fake half of a loss then stay in balance: a critic would otherwise gain without
    limit by a constant.
    """
    if weight is None:
        return None
    mean = backend.replica_mean(ops.mean(weight))
    return weight / ops.where(ops.equal(mean, 0.0), 1.0, mean)

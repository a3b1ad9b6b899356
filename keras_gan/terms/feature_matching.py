"""Feature matching."""

import keras
from keras import ops

from keras_gan import backend
from keras_gan.terms.term import Term
from keras_gan.utils import inputs
from keras_gan.utils.registry import unknown
from keras_gan.utils.typing import Config, Game, Play, Tensor
from keras_gan.utils.validation import check_string

__all__ = ["FeatureMatching"]


@keras.saving.register_keras_serializable(package="keras_gan")
class FeatureMatching(Term):
    """The generator matches the mean of a discriminator's layer: ‖E f(x) − E f(G(z))‖² / size of f.

    Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, 2016, arXiv 1606.03498, section 3.1, with
    the mean over features of its authors' code, so that the weight does not depend on the layer's
    width. It is added to the generator's own loss.

    Args:
        layer: name of a layer of the discriminator, a functional or sequential model.
        weight: factor, positive.
        interval: number of steps between evaluations (see `Term`).
        name: name in the logs.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range; when the GAN is compiled: the discriminator has no
            such layer, or is subclassed.

    Example:

    >>> kg.terms.FeatureMatching("dense_1").players
    ('generator',)
    """

    players = ("generator",)

    def __init__(
        self, layer: str, weight: float = 1.0, *, interval: int = 1, name: str | None = None
    ) -> None:
        super().__init__(weight, interval=interval, name=name)
        self.layer = check_string("layer", layer)

    def build(self, gan: Game) -> list[keras.Variable]:
        """See base class."""
        discriminator = gan.discriminator
        if not getattr(discriminator, "inputs", None):
            raise ValueError(
                "`FeatureMatching` requires a functional or sequential discriminator, whose layers are "
                f"known. Received: {type(discriminator).__name__} {discriminator.name!r}"
            )
        names = [layer.name for layer in discriminator.layers]
        if self.layer not in names:
            raise ValueError(unknown("layer of the discriminator", self.layer, names))
        output = discriminator.get_layer(self.layer).output
        self._features = keras.Model(inputs.specs(discriminator), output)
        return []

    def call(self, play: Play) -> Tensor:
        """See base class."""
        of_real, of_fake = (
            backend.replica_mean(mean(play.critic(samples, network=self._features), axis=0))
            for samples, mean in ((play.real, play.mean_real), (play.fake, play.mean_fake))
        )
        return ops.mean(ops.square(of_real - of_fake))

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        return {"layer": self.layer, **super().get_config()}

"""The auxiliary classifier of AC-GAN."""

from collections.abc import Mapping

import keras
from keras import ops

from keras_gan.terms.term import Term
from keras_gan.utils import structures
from keras_gan.utils.typing import Config, Game, Play, Tensor
from keras_gan.utils.validation import check_number, check_string

__all__ = ["AuxiliaryClassifier"]


@keras.saving.register_keras_serializable(package="keras_gan")
class AuxiliaryClassifier(Term):
    """The discriminator classifies samples, and the generator makes samples of the right class.

    Odena, Olah, Shlens, 2016, arXiv 1610.09585: −L_C, with
    L_C = E log P(C = c | x) + E log P(C = c | G(z, c)), joins both losses. The discriminator returns a
    dict with `logits` for the game, and the logits of the classes. It need not take the label itself.

    Args:
        output: key of the class logits in the discriminator's output, `(batch, classes)`.
        condition: name of the condition that holds the labels; required if there are several.
        weight: factor, positive.
        generator_weight: further factor in the generator's loss, positive; the code of WGAN-GP uses 0.1.
        interval: number of steps between evaluations (see `Term`).
        name: name in the logs.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range; when the GAN is compiled: the discriminator's output has
            no such entry, or there is no such condition.

    Example:

    >>> kg.terms.AuxiliaryClassifier(generator_weight=0.1).log_names
    ['d_auxiliary_classifier', 'g_auxiliary_classifier']
    """

    players = ("discriminator", "generator")

    def __init__(
        self,
        output: str = "classes",
        condition: str | None = None,
        weight: float = 1.0,
        *,
        generator_weight: float = 1.0,
        interval: int = 1,
        name: str | None = None,
    ) -> None:
        super().__init__(weight, interval=interval, name=name)
        self.output = check_string("output", output)
        self.condition = None if condition is None else check_string("condition", condition)
        self.generator_weight = check_number("generator_weight", generator_weight, above=0)

    def build(self, gan: Game) -> list[keras.Variable]:
        """See base class."""
        self.check_output(gan, self.output)
        self._index = self._label_index(gan.condition_spec)
        return []

    def _label_index(self, spec):
        """Return the number of the condition that holds the labels."""
        leaves = structures.leaves(spec)
        names = list(spec) if isinstance(spec, Mapping) else [leaf.name for leaf in leaves]
        if self.condition is None and len(names) == 1:
            return 0
        if self.condition in names:
            return names.index(self.condition)
        raise ValueError(
            "`AuxiliaryClassifier` requires labels: pass `condition=`, the name of an input of the "
            f"networks. Expected one of {names}. Received: {self.condition!r}"
        )

    def call(self, play: Play) -> Tensor:
        """See base class."""
        labels = ops.cast(ops.reshape(structures.leaves(play.condition)[self._index], (-1,)), "int32")
        fake = play.mean_fake(self._cross_entropy(labels, play.fake_output))
        if play.player == "generator":
            return self.generator_weight * fake
        return play.mean_real(self._cross_entropy(labels, play.real_output)) + fake

    def _cross_entropy(self, labels, output):
        logits = output[self.output]
        return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    def get_config(self) -> Config:
        """Return the constructor's arguments."""
        own = {name: getattr(self, name) for name in ("output", "condition", "generator_weight")}
        return {**own, **super().get_config()}

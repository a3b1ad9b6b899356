"""Training settings of papers, each by name, ready for `GAN.compile`."""

from typing import Any

import keras

from keras_gan.optimizers import EpochRamp, GeometricDecay, MomentumSGD
from keras_gan.terms import R1

__all__ = ["adam_r1_ema", "goodfellow2014"]


def goodfellow2014(
    steps_per_epoch: int, learning_rate: float = 0.1, discriminator_steps: int = 1
) -> dict[str, Any]:
    """Return the training settings of the 2014 adversarial nets as arguments of `GAN.compile`.

    Gradient descent with a momentum that grows from .5 to .7 between epochs 1 and 250, a learning
    rate divided by 1.000004 after every step and never below 1e-6, both players moving at the same
    time from the same minibatch (k = 1, 100 examples; 128 for the convolutional CIFAR-10 nets),
    and one joint pass of the discriminator over real and fake.

    Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio 2014, arXiv
    1406.2661, and the authors' code. That code minimises half the sum of the discriminator's
    losses on real and on fake examples, while the losses of this package have no factor ½. Gradient
    descent on the whole sum takes the same steps with half the learning rate, so the discriminator's
    (and its minimum) is half the generator's.

    Args:
        steps_per_epoch: number of training steps in an epoch, a positive integer: 500 for the 50,000
            digits of the paper.
        learning_rate: the generator's at the first step: .1 for MNIST (default), .05 for the Toronto
            Faces, .025 for CIFAR-10 with dense nets and .004 with convolutional ones.
        discriminator_steps: k. The discriminator's momentum grows with its own steps, k in each
            training step.

    Returns:
        A dict of the keyword arguments `d_optimizer`, `g_optimizer`, `loss`, `update`, `single_pass` and
        `discriminator_steps`. The optimizers are new ones at each call.

    Example:

    >>> recipe = kg.recipes.goodfellow2014(steps_per_epoch=500)    # gan.compile(**recipe)
    >>> {name: recipe[name] for name in ("loss", "update", "single_pass", "discriminator_steps")}
    {'loss': 'non_saturating', 'update': 'simultaneous', 'single_pass': True, 'discriminator_steps': 1}
    >>> round(float(recipe["g_optimizer"].learning_rate), 6)
    0.1
    >>> round(float(recipe["d_optimizer"].learning_rate), 6)
    0.05
    """

    def optimizer(scale, steps):
        return MomentumSGD(
            GeometricDecay(scale * learning_rate, factor=1.000004, minimum=scale * 1e-6),
            momentum=EpochRamp(0.5, 0.7, first_epoch=1, last_epoch=250, steps_per_epoch=steps),
        )

    return {
        "d_optimizer": optimizer(0.5, discriminator_steps * steps_per_epoch),
        "g_optimizer": optimizer(1.0, steps_per_epoch),
        "loss": "non_saturating",
        "update": "simultaneous",
        "single_pass": True,
        "discriminator_steps": discriminator_steps,
    }


def adam_r1_ema(
    learning_rate: float = 2e-4, r1: float = 1.0, ema_decay: float = 0.9999
) -> dict[str, Any]:
    """Return settings that train the nets of 2014 quickly and steadily, as arguments of `GAN.compile`.

    What was found after 2014, on the same game: Adam with β₁ = ½ (Radford, Metz and Chintala, 2015,
    arXiv 1511.06434); the R1 penalty, which lets the game converge near its equilibrium (Mescheder,
    Geiger and Nowozin, 2018, arXiv 1801.04406), computed in every fourth step only (lazily, as by
    Karras et al., 2020, arXiv 1912.04958, who need it in every 16th); and an average of the
    generator's weights over training (Yazıcı et al., 2018, arXiv 1806.04498). The players take turns,
    as in Algorithm 1 of the paper.

    The samples are those of the average: `gan.generate(n, use_ema=True)`.

    Args:
        learning_rate: of both players.
        r1: weight γ of the R1 penalty, for pixels in [0, 1]. A weaker one lets the discriminator win at
            first, a stronger one blurs.
        ema_decay: decay of the average, which is over about 1 / (1 − decay) steps.

    Returns:
        A dict of keyword arguments of `GAN.compile`. The optimizers are new ones at each call.

    Example:

    >>> recipe = kg.recipes.adam_r1_ema()    # gan.compile(**recipe)
    >>> recipe["terms"][0].interval, recipe["ema_decay"]
    (4, 0.9999)
    """
    return {
        "d_optimizer": keras.optimizers.Adam(learning_rate, beta_1=0.5),
        "g_optimizer": keras.optimizers.Adam(learning_rate, beta_1=0.5),
        "loss": "non_saturating",
        "update": "alternating",
        "single_pass": True,
        "discriminator_steps": 1,
        "terms": [R1(weight=r1, interval=4)],
        "ema_decay": ema_decay,
    }

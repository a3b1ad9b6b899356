"""Recipes: the training settings of papers, as arguments of `GAN.compile`."""

from typing import Any

import keras

from keras_gan.optimizers import EpochRamp, GeometricDecay, MomentumSGD
from keras_gan.terms import R1, R2
from keras_gan.utils.validation import check_integer, check_number

__all__ = ["adam_r1_ema", "goodfellow2014", "r3gan"]


def __dir__():
    return __all__


def goodfellow2014(
    steps_per_epoch: int, *, learning_rate: float = 0.1, discriminator_steps: int = 1
) -> dict[str, Any]:
    """Return the training settings of the 2014 adversarial nets as arguments of `GAN.compile`.

    Gradient descent with a momentum that grows from .5 to .7 between epochs 1 and 250, and a learning
    rate divided by 1.000004 after every step, at least 1e-6. Both players move simultaneously from the
    same minibatch (k = 1, 100 examples; 128 for the convolutional CIFAR-10 networks), after a single
    pass of the discriminator over real and generated examples.

    Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio 2014, arXiv
    1406.2661, and the authors' code. That code minimizes half the sum of the discriminator's
    losses on real and generated examples, while the losses of this package have no factor ½. Gradient
    descent on the whole sum takes the same steps with half the learning rate, so the discriminator's
    learning rate (and its minimum) is half the generator's.

    Args:
        steps_per_epoch: number of training steps in an epoch, a positive integer: 500 for the 50,000
            digits of the paper.
        learning_rate: the generator's initial learning rate, positive: .1 for MNIST (default), .05 for
            the Toronto Faces, .025 for CIFAR-10 with dense networks and .004 with convolutional ones.
        discriminator_steps: k, a positive integer. The discriminator's momentum follows its own steps,
            k in each training step.

    Returns:
        A dict of the keyword arguments `d_optimizer`, `g_optimizer`, `loss`, `update`, `single_pass` and
        `discriminator_steps`, with new optimizers in each call.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> recipe = kg.recipes.goodfellow2014(steps_per_epoch=500)    # gan.compile(**recipe)
    >>> {name: recipe[name] for name in ("loss", "update", "single_pass", "discriminator_steps")}
    {'loss': 'non_saturating', 'update': 'simultaneous', 'single_pass': True, 'discriminator_steps': 1}
    >>> round(float(recipe["g_optimizer"].learning_rate), 6)
    0.1
    >>> round(float(recipe["d_optimizer"].learning_rate), 6)
    0.05
    """
    steps_per_epoch = check_integer("steps_per_epoch", steps_per_epoch, minimum=1)
    learning_rate = check_number("learning_rate", learning_rate, above=0)
    discriminator_steps = check_integer("discriminator_steps", discriminator_steps, minimum=1)

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
    learning_rate: float = 2e-4, *, r1: float = 1.0, ema_decay: float = 0.9999
) -> dict[str, Any]:
    """Return settings that train the networks of 2014 fast and stably, as arguments of `GAN.compile`.

    Combines advances since 2014: Adam with β₁ = ½ (Radford, Metz and Chintala, 2015, arXiv 1511.06434);
    the R1 penalty, which makes the game converge near its equilibrium (Mescheder, Geiger and Nowozin,
    2018, arXiv 1801.04406), evaluated in every fourth step (lazily, as in Karras et al., 2020,
    arXiv 1912.04958, who evaluate it in every 16th); and an exponential moving average (EMA) of the
    generator's weights (Yazıcı et al., 2018, arXiv 1806.04498). The players alternate, as in
    Algorithm 1 of Goodfellow et al. (2014).

    Draw samples with the EMA weights: `gan.generate(n, use_ema=True)`.

    Args:
        learning_rate: learning rate of both players, positive.
        r1: weight γ of the R1 penalty, positive, for pixels in [0, 1]. With a smaller weight the
            discriminator wins at first; a larger one blurs the samples.
        ema_decay: decay of the EMA, which averages over about 1 / (1 − decay) steps; in (0, 1).

    Returns:
        A dict of keyword arguments of `GAN.compile`, with new optimizers in each call.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> recipe = kg.recipes.adam_r1_ema()    # gan.compile(**recipe)
    >>> recipe["terms"][0].interval, recipe["ema_decay"]
    (4, 0.9999)
    """
    learning_rate = check_number("learning_rate", learning_rate, above=0)
    return {
        "d_optimizer": keras.optimizers.Adam(learning_rate, beta_1=0.5),
        "g_optimizer": keras.optimizers.Adam(learning_rate, beta_1=0.5),
        "loss": "non_saturating",
        "update": "alternating",
        "single_pass": True,
        "discriminator_steps": 1,
        "terms": [R1(check_number("r1", r1, above=0), interval=4)],
        "ema_decay": check_number("ema_decay", ema_decay, above=0, below=1),
    }


def r3gan(
    learning_rate: float = 2e-4, *, gamma: float = 1.0, ema_decay: float = 0.999
) -> dict[str, Any]:
    """Return settings that resist mode collapse, as arguments of `GAN.compile`.

    Huang, Gokaslan, Kuleshov, Tompkin, 2024, arXiv 2501.05441 (R3GAN): the relativistic loss, in which
    each sample is compared with a real example, so that no mode can be dropped without cost, and the
    penalties R1 and R2 on both sides, with which that game converges near its equilibrium. Adam has no
    momentum (β₁ = 0, β₂ = 0.99). A step takes about twice as long as one of `adam_r1_ema`: neither
    penalty is lazy. The paper's own networks, and its schedules of γ, β₂ and learning rate, are not part
    of the recipe.

    Draw samples with the EMA weights: `gan.generate(n, use_ema=True)`.

    Args:
        learning_rate: learning rate of both players, positive.
        gamma: weight γ of both penalties, positive. It depends on the range and number of the pixels.
        ema_decay: decay of the EMA, which averages over about 1 / (1 − decay) steps; in (0, 1).

    Returns:
        A dict of keyword arguments of `GAN.compile`, with new optimizers in each call.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:

    >>> recipe = kg.recipes.r3gan(gamma=0.1)    # gan.compile(**recipe)
    >>> recipe["loss"], [term.name for term in recipe["terms"]]
    ('relativistic_paired', ['r1', 'r2'])
    """
    learning_rate = check_number("learning_rate", learning_rate, above=0)
    gamma = check_number("gamma", gamma, above=0)
    return {
        "d_optimizer": keras.optimizers.Adam(learning_rate, beta_1=0.0, beta_2=0.99),
        "g_optimizer": keras.optimizers.Adam(learning_rate, beta_1=0.0, beta_2=0.99),
        "loss": "relativistic_paired",
        "update": "alternating",
        "discriminator_steps": 1,
        "terms": [R1(gamma), R2(gamma)],
        "ema_decay": check_number("ema_decay", ema_decay, above=0, below=1),
    }

"""Training settings of papers, each by name, ready for `GAN.compile`."""

from keras_gan.optimizers import EpochRamp, GeometricDecay, MomentumSGD


def goodfellow2014(steps_per_epoch, learning_rate=0.1):
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
        steps_per_epoch: number of minibatches in an epoch, a positive integer: 500 for the 50,000
            digits of the paper.
        learning_rate: the generator's at the first step: .1 for MNIST (default), .05 for the Toronto
            Faces, .025 for CIFAR-10 with dense nets and .004 with convolutional ones.

    Returns:
        A dict of the keyword arguments `d_optimizer`, `g_optimizer`, `loss`, `update`, `joint` and
        `discriminator_steps`. The optimizers are new ones at each call.

    Example:

    >>> recipe = kg.recipes.goodfellow2014(steps_per_epoch=500)    # gan.compile(**recipe)
    >>> {name: recipe[name] for name in ("loss", "update", "joint", "discriminator_steps")}
    {'loss': 'non_saturating', 'update': 'simultaneous', 'joint': True, 'discriminator_steps': 1}
    >>> round(float(recipe["g_optimizer"].learning_rate), 6)
    0.1
    >>> round(float(recipe["d_optimizer"].learning_rate), 6)
    0.05
    """

    def optimizer(scale):
        return MomentumSGD(
            GeometricDecay(scale * learning_rate, factor=1.000004, minimum=scale * 1e-6),
            momentum=EpochRamp(0.5, 0.7, first_epoch=1, last_epoch=250, steps_per_epoch=steps_per_epoch),
        )

    return {
        "d_optimizer": optimizer(scale=0.5),
        "g_optimizer": optimizer(scale=1.0),
        "loss": "non_saturating",
        "update": "simultaneous",
        "joint": True,
        "discriminator_steps": 1,
    }

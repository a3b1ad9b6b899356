"""Networks that terms bring, and variants that cannot be."""

import keras
import numpy as np
import pytest
from helpers.games import mlp, number, sgd
from keras import layers, ops

import keras_gan as kg

ROWS = np.random.default_rng(0).normal(size=(24, 2)).astype("float32")
_register = keras.saving.register_keras_serializable(package="term_networks")


@_register
class Recovery(kg.terms.Term):
    """The mean square of what networks make of fakes."""

    def __init__(self, networks, weight=1.0, *, interval=1, name=None, players=("generator",)):
        super().__init__(weight, interval=interval, name=name)
        self.networks, self.players = list(networks), tuple(players)

    def call(self, play):
        made = [network(play.fake, training=play.training) for network in self.networks]
        return play.mean_fake(sum(ops.square(ops.cast(m, "float32")) for m in made))

    def get_config(self):
        return {"networks": self.networks, "players": self.players, **super().get_config()}


@_register
class Builder(Recovery):
    """Makes its network when it is compiled."""

    def __init__(self, weight=1.0, *, interval=1, name=None):
        super().__init__([], weight, interval=interval, name=name)

    def build(self, gan):
        self.networks = [mlp(2, 3)]
        return []

    def get_config(self):
        return kg.terms.Term.get_config(self)


def regularized(factor=0.5):
    dense = layers.Dense(3, activity_regularizer=keras.regularizers.L2(factor))
    return keras.Sequential([keras.Input((2,)), dense])


def game(*terms, **options):
    keras.utils.set_random_seed(0)
    gan = kg.GAN(mlp(4, 2, name="g"), mlp(2, 1, name="d"), prior="normal", seed=0)
    gan.compile(**sgd(0.05), terms=terms, **options)
    return gan


def values(network):
    return [ops.convert_to_numpy(w) for w in network.weights]


def moved(before, after):
    return max(np.abs(a - b).max() for a, b in zip(before, after, strict=True)) > 1e-6


def test_list_of_networks_is_saved_and_loaded(tmp_path):
    gan = game(Recovery([mlp(2, 3), mlp(2, 3, batch_norm=True)]))
    gan.fit(ROWS, batch_size=8, verbose=0)
    gan.save(tmp_path / "gan.keras")
    again = keras.models.load_model(tmp_path / "gan.keras")
    for mine, theirs in zip(gan.terms[0].networks, again.terms[0].networks, strict=True):
        np.testing.assert_equal(values(mine), values(theirs))
    bare = kg.GAN(mlp(4, 2, name="g"), mlp(2, 1, name="d"), prior="normal", seed=0)
    gan.save_weights(tmp_path / "gan.weights.h5")
    bare.load_weights(tmp_path / "gan.weights.h5")  # a GAN that is not compiled has no terms
    np.testing.assert_equal(values(bare.generator), values(gan.generator))


def test_a_network_that_is_made_in_build_is_trained():
    gan = game(Builder())
    (network,) = gan.term_networks
    before = values(network)
    gan.fit(ROWS, batch_size=8, verbose=0)
    assert moved(before, values(network))


@pytest.mark.parametrize("interval", [1, 2])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_regularization_of_the_network_of_a_term_is_added_to_its_loss(player, interval):
    """The layers add ½·Σh²/rows of this minibatch, whatever was evaluated before."""
    network = regularized()
    gan = game(
        Recovery([network], weight=2.0, interval=interval, players=[player]), discriminator_steps=2
    )
    gan.evaluate(ROWS, verbose=0)
    gan.fit(ROWS, batch_size=8, verbose=0)
    gan.evaluate(ROWS, verbose=0)
    before = values(network)
    gan.fit(ROWS, batch_size=8, epochs=2, verbose=0)
    assert moved(before, values(network))


def test_regularization_matches_the_layers():
    plain, added = (Recovery([net]) for net in (regularized(0.0), regularized(0.5)))
    added.networks[0].set_weights(plain.networks[0].get_weights())
    play = kg.models.Play("generator", real=None, fake=ops.convert_to_tensor(ROWS))
    hidden = ROWS @ np.float64(plain.networks[0].get_weights()[0])
    assert number(plain.value(play)) == pytest.approx(np.square(hidden).mean(), rel=1e-5)
    difference = number(added.value(play)) - number(plain.value(play))
    assert difference == pytest.approx(0.5 * np.square(hidden).sum() / len(ROWS), rel=1e-4)


def test_networks_that_share_layers_raise():
    """A file would keep the shared layers twice, and put them together wrong."""
    x = keras.Input((2,))
    trunk = layers.Dense(8)(x)
    discriminator = keras.Model(x, layers.Dense(1)(trunk))
    gan = kg.GAN(mlp(4, 2), discriminator, prior="normal", seed=0)
    head = keras.Model(x, layers.Dense(4)(trunk))
    with pytest.raises(ValueError, match="share .*one network with several outputs.*`logits`"):
        gan.compile(**sgd(0.1), terms=[Recovery([head], players=["discriminator"])])


def test_network_listed_twice_raises():
    """What its layers add to a loss would count twice."""
    gan = game()
    with pytest.raises(ValueError, match="'d' belongs to the GAN or to another term"):
        gan.compile(**sgd(0.1), terms=[Recovery([gan.discriminator])])
    network = mlp(2, 3)
    with pytest.raises(ValueError, match="or to another term.*leave this one out"):
        gan.compile(**sgd(0.1), terms=[Recovery([network]), Recovery([network], name="again")])


@_register
class WithOthers(kg.GAN):
    def __init__(self, generator, discriminator, encoder, prior="normal", seed=None, name=None):
        super().__init__(generator, discriminator, prior=prior, seed=seed, name=name, encoder=encoder)


@_register
class Named(kg.GAN):
    def __init__(self, generator, discriminator, ema, prior="normal", seed=None, name=None):
        super().__init__(generator, discriminator, prior=prior, seed=seed, name=name, ema=ema)


def test_invalid_networks_and_arguments_of_subclasses():
    with pytest.raises(ValueError, match="No player moves the network 'encoder'.*`teams`"):
        WithOthers(mlp(4, 2), mlp(2, 1), mlp(2, 4))
    frozen = mlp(2, 4)
    frozen.trainable = False
    assert WithOthers(mlp(4, 2), mlp(2, 1), frozen).encoder is frozen
    with pytest.raises(TypeError, match="Every GAN has an attribute 'ema'. Rename this argument"):
        Named(mlp(4, 2), mlp(2, 1), mlp(2, 4))


@_register
class Packed(kg.GAN):
    """PacGAN (Lin, Khetan, Fanti, Oh, 2017): D sees two samples at a time."""

    def discriminate(self, samples, condition=None, training=False, network=None):
        return super().discriminate(ops.reshape(samples, (-1, 4)), condition, training, network)


@pytest.mark.parametrize("single_pass", [False, True])
def test_packs_of_samples(single_pass):
    gan = Packed(mlp(4, 2), mlp(4, 1), prior="normal", seed=0)
    gan.compile(**sgd(0.1), single_pass=single_pass)
    logs = gan.test_on_batch(ROWS, return_dict=True)
    expected = gan.discriminator(ROWS.reshape(-1, 4))
    assert number(ops.mean(ops.sigmoid(expected))) == pytest.approx(logs["d_real"], rel=1e-5)
    assert np.isfinite(gan.fit(ROWS, batch_size=8, verbose=0).history["d_loss"]).all()

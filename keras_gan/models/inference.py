"""Learned inference: encoders that recover the latents of samples."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gan import priors
from keras_gan.models.gan import GAN
from keras_gan.models.optimizers import check_optimizer
from keras_gan.models.play import Play
from keras_gan.utils import networks, structures
from keras_gan.utils.typing import Array, Game, Structure, Tensor
from keras_gan.utils.validation import check_flag, check_integer, check_number, check_rows, shortened

__all__ = ["BiGAN", "fit_encoder", "in_batches"]


@keras.saving.register_keras_serializable(package="keras_gan")
class BiGAN(GAN):
    """A GAN with an encoder: the discriminator distinguishes (x, E(x)) from (G(z), z).

    Donahue, Krähenbühl, Darrell, 2016, arXiv 1605.09782. At the optimum, E is the inverse of G wherever
    there are data. An encoder that returns a dict of `mean` and `log_variance` draws its codes, which is
    adversarially learned inference (ALI; Dumoulin et al., 2016, arXiv 1606.00704). Generator and encoder
    are one player, and minimize the discriminator's loss with real and generated pairs exchanged.

    Args:
        generator: `keras.Model` from latents to samples.
        discriminator: `keras.Model` from `[samples, latents]` to logits.
        encoder: `keras.Model` from samples to latents `(batch, size)`, or to a dict of `mean` and
            `log_variance` of this shape.
        prior: as in `kg.GAN`.
        seed: as in `kg.GAN`.
        name: as in `keras.Model`.

    Raises:
        TypeError: a network is not a `keras.Model`.
        ValueError: the networks do not fit together, or there is no prior.

    Example:

    >>> x, z = keras.Input((2,)), keras.Input((3,))
    >>> judge = keras.Model([x, z], keras.layers.Dense(1)(keras.layers.Concatenate()([x, z])))
    >>> generator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> gan = kg.models.BiGAN(generator, judge, encoder, prior="normal", seed=0)
    >>> gan.encode(np.zeros((4, 2), "float32")).shape
    (4, 3)
    """

    # The generator's player moves the encoder, which only real pairs depend on.
    needs_real = True

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        encoder: keras.Model,
        *,
        prior: str | priors.Prior | Any = "uniform",
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        networks.check_models(encoder=encoder)
        if prior is None:
            raise ValueError("`prior` must be a distribution of the latents. Received: None")
        super().__init__(generator, discriminator, prior=prior, seed=seed, name=name, encoder=encoder)

    @property
    def teams(self) -> dict[str, list[keras.Model]]:
        """See base class."""
        return {"d": [self.discriminator], "g": [self.generator, self.encoder]}

    def present(
        self, x: Structure, latents: Tensor | None, condition: Structure, training: bool
    ) -> tuple[Structure, Structure]:
        """See base class."""
        codes = self._codes(x, training)
        _check_codes(codes, self.latent_spec, self.encoder)
        return (x, codes), (self.generate_batch(latents, condition, training), latents)

    def _codes(self, x, training):
        """Return the codes of examples, drawn if the encoder returns a distribution."""
        return _drawn_codes(self.encoder(x, training=training), self.noise if training else None)

    def generator_loss(self, play: Play) -> Tensor:
        """See base class."""
        real, fake = self.logits(play.real_output), self.logits(play.fake_output)
        return self.loss("discriminator", fake, real, play.weights.swapped())

    def encode(self, x: Array, *, batch_size: int = 500, use_ema: bool = False) -> np.ndarray:
        """Return the codes of samples: E(x), or its mean.

        Args:
            x: float array of samples `(n, ...)`.
            batch_size: number of samples to encode at a time.
            use_ema: whether to use the EMA of the weights.

        Returns:
            Float32 array of latents `(n, ...)`.

        Raises:
            ValueError: the samples have another shape; `use_ema` without an EMA.
        """
        return self._in_batches(lambda part: self._codes(part, False), x, batch_size, use_ema)

    def reconstruct(self, x: Array, *, batch_size: int = 500, use_ema: bool = False) -> np.ndarray:
        """Return G(E(x)).

        Args:
            x: float array of samples `(n, ...)`.
            batch_size: number of samples at a time.
            use_ema: whether to use the EMA of the weights.

        Returns:
            Float32 array of the shape of `x`.

        Raises:
            ValueError: the samples have another shape; `use_ema` without an EMA.
        """
        return self._in_batches(
            lambda part: self.generate_batch(self._codes(part, False)), x, batch_size, use_ema
        )

    def anomaly_scores(
        self, x: Array, *, weight: float = 0.1, batch_size: int = 500, use_ema: bool = False
    ) -> np.ndarray:
        """Return how little each sample resembles the data: (1 − w) ‖x − G(E(x))‖₁ − w log D(x, E(x)).

        Zenati, Foo, Lecouat, Manek, Chandrasekhar, 2018, arXiv 1802.06222, section 2, with the
        cross-entropy; w = 0.1 is theirs. D is a sigmoid of the logits, of which the mean counts where
        there are several. Networks compute as in validation: without dropout, with the statistics of
        training.

        Args:
            x: float array of samples `(n, ...)`.
            weight: w, from 0 (reconstructions only) to 1 (the discriminator only).
            batch_size: number of samples at a time.
            use_ema: whether generator and encoder use the EMA of their weights.

        Returns:
            Float32 array `(n,)`; high for anomalies.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the samples have another shape; `weight` is out of range; `use_ema` without an
                EMA.
        """
        weight = check_number("weight", weight, minimum=0, maximum=1)

        def scores(part):
            codes = self._codes(part, False)
            errors = _per_row(ops.sum, ops.abs(part - self.generate_batch(codes)))
            logits = structures.leaves(self.logits(self.discriminate((part, codes))))
            doubts = sum(_per_row(ops.mean, ops.softplus(-leaf)) for leaf in logits) / len(logits)
            return (1.0 - weight) * errors + weight * doubts

        return self._in_batches(scores, x, batch_size, use_ema)

    def _in_batches(self, function, x, batch_size, use_ema):
        x = check_rows("x", x, self.sample_shape)
        return in_batches(function, x, batch_size, self if check_flag("use_ema", use_ema) else None)


def _check_codes(codes, latents, encoder):
    """Refuse an encoder whose codes have another shape than the latents."""
    expected, received = tuple(latents.shape[1:]), tuple(codes.shape[1:])
    if received != expected:
        raise ValueError(
            f"The encoder must return latents of the generator. Expected the shape {expected}, received "
            f"{received} from {encoder.name!r} (without the batch axis)."
        )


def _per_row(reduce, values):
    return reduce(ops.reshape(values, (ops.shape(values)[0], -1)), axis=1)


def _drawn_codes(output: Structure, noise: keras.random.SeedGenerator | None) -> Tensor:
    """Return the codes that an encoder's output stands for; its mean without `noise`."""
    if not isinstance(output, Mapping):
        return ops.cast(output, "float32")
    mean, log_variance = (ops.cast(output[key], "float32") for key in ("mean", "log_variance"))
    if noise is None:
        return mean
    standard = priors.Normal(shape=tuple(mean.shape[1:])).sample(ops.shape(mean)[0], noise)
    return mean + ops.exp(0.5 * log_variance) * standard


def in_batches(
    function: Callable[[Tensor], Tensor], x: np.ndarray, batch_size: int, ema_of: Game | None
) -> np.ndarray:
    """Return a function of an array's rows, computed for `batch_size` rows at a time.

    Args:
        function: function from a tensor of rows to a tensor of rows.
        x: array `(n, ...)`.
        batch_size: number of rows at a time.
        ema_of: GAN with the EMA of whose weights the function is computed, or None.
    """
    batch_size = check_integer("batch_size", batch_size, minimum=1)
    parts = [ops.convert_to_tensor(x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
    with contextlib.nullcontext() if ema_of is None else ema_of.require_ema().applied():
        return np.concatenate([ops.convert_to_numpy(function(part)) for part in parts])


def fit_encoder(
    gan: GAN,
    encoder: keras.Model,
    *,
    optimizer: str | keras.optimizers.Optimizer = "adam",
    steps: int = 2000,
    batch_size: int = 100,
    use_ema: bool = False,
    seed: int = 0,
) -> keras.callbacks.History:
    """Train an encoder to recover the latents of a trained generator's samples: E(G(z)) ≈ z.

    Goodfellow et al., 2014, arXiv 1406.2661, section 6, point 2: learned approximate inference. The
    generator does not change. The encoder is compiled with the mean squared error.

    Args:
        gan: `kg.GAN` with a prior; not a conditional one.
        encoder: `keras.Model` from samples to latents.
        optimizer: the encoder's `keras.optimizers.Optimizer`, or its name.
        steps: number of training steps.
        batch_size: number of new samples in each step.
        use_ema: whether the generator uses the EMA of its weights.
        seed: integer that determines the latents.

    Returns:
        The `keras.callbacks.History` of the encoder's `fit`, whose `loss` is the mean of ‖E(G(z)) − z‖²
        per entry.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the GAN is conditional or has no prior; the encoder returns another shape; an
            argument is out of range.

    Example:

    >>> generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> gan = kg.GAN(generator, keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]), seed=0)
    >>> encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> history = kg.models.fit_encoder(gan, encoder, steps=10)
    >>> encoder(gan.generate(5, seed=1)).shape[0]
    5
    """
    networks.check_models(encoder=encoder)
    if not isinstance(gan, GAN):
        raise TypeError(f"`gan` must be a `kg.GAN`. Received: {shortened(gan)}")
    check_optimizer("optimizer", optimizer)
    if gan.prior is None or gan.conditional:
        raise ValueError(
            "`fit_encoder` requires a GAN with a prior and without conditions. Received: "
            f"{'no prior' if gan.prior is None else 'a conditional GAN'}."
        )
    steps = check_integer("steps", steps, minimum=1, maximum=2**31 - 1)
    pairs = _Pairs(gan, steps, batch_size, check_flag("use_ema", use_ema), seed)
    made = networks.output_spec(f"The encoder {encoder.name!r}", encoder, gan.sample_spec)
    _check_codes(made, gan.latent_spec, encoder)
    encoder.compile(optimizer, "mse")
    return encoder.fit(pairs, shuffle=False, verbose=0)


class _Pairs(keras.utils.PyDataset):
    """Batches `(G(z), z)` that depend on their number alone."""

    def __init__(self, gan, steps, batch_size, use_ema, seed):
        super().__init__()
        self._gan, self._steps, self._use_ema = gan, steps, use_ema
        self._batch_size = check_integer("batch_size", batch_size, minimum=1, maximum=2**31 - 1)
        self._seed = check_integer("seed", seed, minimum=0)

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        seed = int(np.random.SeedSequence([self._seed, index]).generate_state(1)[0]) // 2
        latents = ops.convert_to_numpy(self._gan.draw(self._batch_size, seed))
        return self._gan.generate(latents=latents, use_ema=self._use_ema), latents

"""ParzenLogLikelihood: the log-likelihood of the 2014 paper during training."""

import numpy as np

from keras_gan import metrics
from keras_gan.callbacks.base import load_images
from keras_gan.callbacks.evaluate_samples import EvaluateSamples
from keras_gan.metrics import Metric
from keras_gan.metrics.parzen import BANDWIDTHS
from keras_gan.utils.typing import Array, Data, ValueRange
from keras_gan.utils.validation import check_range

__all__ = ["ParzenLogLikelihood"]


class ParzenLogLikelihood(EvaluateSamples):
    """Logs the Parzen-window log-likelihood of held-out images every few epochs, in nats per image.

    The protocol of Goodfellow et al. (2014, arXiv:1406.2661, section 5): windows are centered at the
    samples, their bandwidth is chosen on some held-out images, and the mean log-likelihood of others
    is reported. Without `test`, every other image of `validation` is used for the latter. The images
    should then have the same order in all runs, as in an array or a dataset of `kg.datasets.load`.

    It logs `val_parzen_log_likelihood` (higher is better), the `val_parzen_standard_error` of
    that mean, and `val_parzen_bandwidth`. See `EvaluateSamples` for everything else. Use it to choose
    among runs, and report `kg.metrics.ParzenWindow` on images of the test split. It is a poor measure
    of quality: a few cluster centers score higher than real images do (Theis, van den Oord and Bethge,
    2016, arXiv:1511.01844).

    Args:
        validation: array `(n, ...)` of held-out images, or a `tf.data.Dataset` of batches of them,
            such as `kg.datasets.load(...)`; labels are left out.
        test: other images, whose log-likelihood is reported. Defaults to None: every other image of
            `validation`.
        every: number of epochs between two evaluations. Defaults to 1.
        num_samples: number of windows; the log-likelihood grows with it. Defaults to the
            paper's 10,000, which with 1,000 images of 28 × 28 take less than a second on two cores.
        seed: integer that the latents are drawn from. Defaults to 0.
        condition: array of `num_samples` conditions, or one for all samples, for a conditional GAN.
            Defaults to None.
        batch_size: number of samples to generate at a time. Defaults to 500.
        value_range: pair of numbers that are black and white in images and samples, which are scaled
            to [0, 1]. Defaults to (0, 1), as with a sigmoid output; with tanh it is (-1, 1).
        stop_on_error: whether to end training with an error on failure. Defaults to False: a warning.
        use_ema: whether to evaluate the EMA of the generator's weights, see
            `EvaluateSamples`. Defaults to False.
        grid: sequence of bandwidths to choose from, see `kg.metrics.ParzenWindow`. Defaults to the
            paper's ten.

    Raises:
        ValueError: an argument is invalid; when training begins, images or samples are outside of
            `value_range`, or the images are fewer than two, or have another shape than the samples.
        TypeError: an argument has the wrong type; when training begins, the model has no `generate`.
        RuntimeError: with `stop_on_error`, the metric failed or samples are not finite.

    Example:

    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, "sigmoid")])
    >>> discriminator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> gan = kg.GAN(generator, discriminator, seed=0)
    >>> gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    >>> images = np.random.default_rng(0).random((300, 4)).astype("float32")
    >>> measure = kg.callbacks.ParzenLogLikelihood(images[200:], num_samples=100)
    >>> history = gan.fit(images[:200], epochs=2, verbose=0, callbacks=[measure])
    >>> sorted(name for name in history.history if "parzen" in name)
    ['val_parzen_bandwidth', 'val_parzen_log_likelihood', 'val_parzen_standard_error']
    """

    _hint = (
        "A second measure in one run, such as one of the EMA, needs a name of its own: "
        '`EvaluateSamples({"ema": kg.metrics.ParzenWindow(validation)}, test, use_ema=True)`, '
        "with images in [0, 1]."
    )

    _real_name = "validation"

    def __init__(
        self,
        validation: Data,
        test: Data | None = None,
        *,
        every: int = 1,
        num_samples: int = 10_000,
        seed: int = 0,
        condition: Array | None = None,
        batch_size: int = 500,
        value_range: ValueRange = (0, 1),
        stop_on_error: bool = False,
        use_ema: bool = False,
        grid: Array = BANDWIDTHS,
    ) -> None:
        metrics.ParzenWindow(np.zeros((1, 1)), grid)  # refuses an invalid grid before training
        self.value_range = check_range("value_range", value_range)
        super().__init__(
            _ParzenWindow(test, self.value_range, grid),
            validation,
            every=every,
            num_samples=num_samples,
            seed=seed,
            condition=condition,
            batch_size=batch_size,
            stop_on_error=stop_on_error,
            use_ema=use_ema,
        )
        self.validation = validation
        self.test = test
        self.grid = grid

    def _check(self, samples):
        _check_range("The generator's samples", samples, self.value_range)


class _ParzenWindow(Metric):
    """Parzen windows that divide the real images, and scale them and the samples to [0, 1]."""

    names = metrics.ParzenWindow.names

    def __init__(self, test, value_range, grid):
        self.test, self.value_range, self.grid = test, value_range, grid

    def prepare(self, real):
        validation, test = (
            (real[::2], real[1::2]) if self.test is None else (real, load_images(self.test, name="test"))
        )
        if len(test) == 0 or test.shape[1:] != real.shape[1:]:
            raise ValueError(
                "the bandwidth is chosen on some images, and the likelihood computed on others of the "
                "same shape: `test`, or every other image of `validation`. Received the shapes "
                f"{validation.shape} and {test.shape}"
            )
        measure = metrics.ParzenWindow(self._scaled("The images of `validation`", validation), self.grid)
        return measure, measure.prepare(self._scaled("The images of `test`", test))

    def evaluate(self, state, fake):
        measure, test = state
        return measure.evaluate(test, self._scaled("The samples", fake))

    def _scaled(self, name, images):
        low, high = self.value_range
        images = np.asarray(images, dtype="float32")
        _check_range(name, images, self.value_range)
        return (images - low) / (high - low)


def _check_range(name, images, value_range):
    low, high = value_range
    slack = 1e-6 * (high - low)
    if images.min() < low - slack or images.max() > high + slack:
        raise ValueError(
            f"{name} must lie in `value_range`, ({low:g}, {high:g}). Received: values from "
            f"{images.min():g} to {images.max():g}. Pass `value_range=(-1, 1)` for a generator that "
            "ends in tanh, `value_range=(0, 1)` for a sigmoid, and images in the same range."
        )

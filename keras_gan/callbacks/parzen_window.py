"""ParzenWindow: the measure of the 2014 paper, while a GAN trains."""

import numpy as np

from keras_gan import metrics
from keras_gan.callbacks.base import gather
from keras_gan.callbacks.evaluate_samples import EvaluateSamples
from keras_gan.metrics import Metric
from keras_gan.metrics.parzen import BANDWIDTHS
from keras_gan.utils.typing import Array, Data, ValueRange
from keras_gan.visualization import check_value_range


class ParzenWindow(EvaluateSamples):
    """Logs the Parzen-window log-likelihood of held-out images every few epochs, in nats an image.

    The protocol of Goodfellow et al. (2014, arXiv:1406.2661, section 5): windows are set on the
    samples, their bandwidth is chosen on some held-out images, and the mean log-likelihood is
    reported on others, so that no image has a say in both. Without `test` every other image of
    `validation` is reported on (and its order should stay the same from run to run, as that of an
    array or of `kg.datasets.load` does).

    It writes `val_parzen_log_likelihood`, the greater the better, `val_parzen_standard_error` of
    that mean, and `val_parzen_bandwidth`. Put it before callbacks that monitor them, and see
    `EvaluateSamples` for all else. Choose among runs by it, and report on images of the test
    split, with `kg.metrics.ParzenWindow`. It is a poor measure of quality: few cluster centres
    score higher than real images do (Theis, van den Oord and Bethge, 2016, arXiv:1511.01844).

    Args:
        validation: array `(n, ...)` of held-out images, or a `tf.data.Dataset` of batches of them,
            such as `kg.datasets.load(...)`; labels are left out.
        test: more of them, to report on. Defaults to `None`: every other one of `validation`.
        every: int, epochs from one measurement to the next. Defaults to 1.
        num_samples: int, windows: with more of them the log-likelihood grows. Defaults to the
            paper's 10,000, which with 1,000 images of 28 × 28 take less than a second on two cores.
        seed: int, what the latents are drawn from. Defaults to 0.
        condition: array of `num_samples` conditions, or one for all samples, for a GAN that takes
            one. Defaults to `None`.
        batch_size: int, samples to make at a time. Defaults to 500.
        value_range: pair of the numbers that are black and white in images and samples, brought to
            the [0, 1] in which nats are counted. Defaults to (0, 1), as of a sigmoid; a tanh has
            (-1, 1).
        stop_on_error: bool, whether what goes wrong ends training. Defaults to `False`: a warning.
        use_ema: bool, whether the average of the generator's weights makes the samples, as of
            `EvaluateSamples`. Defaults to `False`.
        grid: sequence of bandwidths to choose from, as of `kg.metrics.ParzenWindow`. Defaults to the
            paper's ten.

    Raises:
        ValueError: an argument that cannot be; when training begins, images or samples outside
            `value_range`, fewer than two, or of another shape than the samples.
        TypeError: when training begins, a model without `generate`.
        RuntimeError: with `stop_on_error`, from what went wrong.

    Example:

    >>> generator = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, "sigmoid")])
    >>> discriminator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> gan = kg.GAN(generator, discriminator, seed=0)
    >>> gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    >>> images = np.random.default_rng(0).random((300, 4)).astype("float32")
    >>> measure = kg.callbacks.ParzenWindow(images[200:], num_samples=100)
    >>> history = gan.fit(images[:200], epochs=2, verbose=0, callbacks=[measure])
    >>> sorted(name for name in history.history if "parzen" in name)
    ['val_parzen_bandwidth', 'val_parzen_log_likelihood', 'val_parzen_standard_error']
    """

    _way_out = (
        "A second measure in one run, such as one of the EMA, needs a name of its own: "
        '`EvaluateSamples({"ema": kg.metrics.ParzenWindow(validation)}, test, use_ema=True)`, '
        "with images in [0, 1]."
    )

    def __init__(
        self,
        validation: Data,
        test: Data | None = None,
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
        # What is no grid is refused here, rather than when training begins.
        metrics.ParzenWindow(np.zeros((1, 1)), grid)
        protocol = _ParzenWindow(test, check_value_range(value_range), grid)
        super().__init__(
            protocol,
            validation,
            every,
            num_samples,
            seed,
            condition,
            batch_size,
            stop_on_error,
            use_ema,
        )
        self.validation = validation
        self.test = test
        self.value_range = value_range
        self.grid = grid

    def _check(self, samples):
        _check_range("The generator's samples", samples, check_value_range(self.value_range))


class _ParzenWindow(Metric):
    """The measure on real images that are divided here, and brought to [0, 1] with the samples."""

    names = metrics.ParzenWindow.names

    def __init__(self, test, value_range, grid):
        self.test, self.value_range, self.grid = test, value_range, grid

    def prepare(self, real):
        validation, test = (real[::2], real[1::2]) if self.test is None else (real, gather(self.test))
        if len(test) == 0 or test.shape[1:] != real.shape[1:]:
            raise ValueError(
                "the bandwidth is chosen on some images, and the likelihood is that of others of the "
                "same shape: `test`, or every other one of two or more. Received for these shapes: "
                f"{validation.shape} and {test.shape}"
            )
        measure = metrics.ParzenWindow(self._scaled("Validation images", validation), self.grid)
        return measure, measure.prepare(self._scaled("Test images", test))

    def evaluate(self, state, fake):
        measure, test = state
        return measure.evaluate(test, self._scaled("Samples", fake))

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
            f"{name} reach from {images.min():g} to {images.max():g}, beyond `value_range`, "
            f"({low:g}, {high:g}). Images and samples need one range: pass `value_range=(-1, 1)` for a "
            "generator that ends in a tanh, `value_range=(0, 1)` for a sigmoid, and images in it."
        )

"""The signatures of a GAN's SavedModel: functions of TensorFlow from a request to an answer."""

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_gan import networks, pictures
from keras_gan.models.gan import GAN
from keras_gan.optional import tensorflow
from keras_gan.types import Shape, Tensor, ValueRange

# What a generator that ends in this activation draws in.
_RANGES = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


class Signatures:
    """Functions that generate, sample, interpolate and discriminate, and what each takes.

    Args:
        gan: `kg.GAN`.
        classes: number of classes, list of their names, or None, as of `export_savedmodel`.
        max_number: how many samples one request gets.
        value_range: pair of the numbers that are black and white, or None, as of `export_savedmodel`.
    """

    def __init__(
        self, gan: GAN, classes: int | list[str] | None, max_number: int, value_range: ValueRange | None
    ) -> None:
        self.tf = tensorflow()
        self.gan, self.classes, self.max_number = gan, classes, max_number
        self.value_range = value_range

    def all(self) -> dict[str, tuple[Callable[..., dict[str, Tensor]], list[Any]]]:
        """Return `{name: (function, inputs)}`, of which `serving_default` is `generate`."""
        tf, latents = self.tf, self.gan.prior.shape
        condition = [self._condition_spec()] if self.gan.conditional else []

        def rows(name, shape):
            return tf.TensorSpec((None, *shape), tf.float32, name=name)

        def scalar(name):
            return tf.TensorSpec((), tf.int64, name=name)

        drawing: dict[str, tuple[Callable[..., dict[str, Tensor]], list[Any]]] = {
            "generate": (self.generate, [rows("latents", latents)]),
            "sample": (self.sample, [scalar("number"), scalar("seed")]),
            "interpolate": (
                self.interpolate,
                [rows("start", latents), rows("end", latents), scalar("steps")],
            ),
        }
        found = {"serving_default": drawing["generate"], **drawing}
        for form, convert in self._image_forms().items():
            for name, (function, inputs) in drawing.items():
                found[f"{name}_{form}"] = (_converted(function, convert), inputs)
        found["discriminate"] = (self.discriminate, [rows("samples", self.gan.sample_shape)])
        return {name: (function, [*inputs, *condition]) for name, (function, inputs) in found.items()}

    def generate(self, latents: Tensor, *condition: Tensor) -> dict[str, Tensor]:
        """Return `samples` of the latents."""
        with self._limited("Rows of `latents`", 0, self.tf.shape(latents, self.tf.int64)[0]):
            return {"samples": self._make(latents, *condition)}

    def sample(self, number: Tensor, seed: Tensor, *condition: Tensor) -> dict[str, Tensor]:
        """Return `number` samples, the first of all that `seed` stands for, and their latents."""
        tf = self.tf
        with self._limited("`number` of samples", 1, number):
            latents = self.gan.prior.sample(tf.cast(number, tf.int32), tf.stack([seed, 0]))
        return {"samples": self._make(latents, *condition), "latents": latents}

    def interpolate(
        self, start: Tensor, end: Tensor, steps: Tensor, *condition: Tensor
    ) -> dict[str, Tensor]:
        """Return samples at equal steps along straight lines, and their latents."""
        tf = self.tf
        rows = tf.shape(start, tf.int64)[0]
        same = tf.debugging.assert_equal(tf.shape(start), tf.shape(end), "start and end differ in shape")
        with tf.control_dependencies([same]), self._limited("`steps` of a path", 2, steps):
            total = rows * steps
        with self._limited("`steps` of all paths", 0, total):
            times = tf.linspace(0.0, 1.0, tf.cast(steps, tf.int32))
        times = tf.reshape(times, [1, -1] + [1] * len(self.gan.prior.shape))
        points = (1.0 - times) * start[:, None] + times * end[:, None]
        flat = tf.reshape(points, tf.concat([[-1], tf.shape(points)[2:]], 0))
        each = [self._rows(c, tf.cast(rows, tf.int32)) for c in condition]
        samples = self._make(flat, *[tf.repeat(c, tf.cast(steps, tf.int32), axis=0) for c in each])
        shape = tf.concat([tf.shape(points)[:2], tf.shape(samples)[1:]], 0)
        return {"samples": tf.reshape(samples, shape), "latents": points}

    def discriminate(self, samples: Tensor, *condition: Tensor) -> dict[str, Tensor]:
        """Return the discriminator's `logits`, and `probabilities`, their sigmoid."""
        tf = self.tf
        with self._limited("Rows of `samples`", 0, tf.shape(samples, tf.int64)[0]):
            logits = self.gan.judge(samples, *self._conditions(condition, tf.shape(samples)[0]))
        return {"logits": logits, "probabilities": tf.sigmoid(logits)}

    def _make(self, latents, *condition):
        return self.gan.make(latents, *self._conditions(condition, self.tf.shape(latents)[0]))

    def _limited(self, what, least, number):
        """Return a context whose operations fail unless `least` ≤ number ≤ `max_number`."""
        tf = self.tf
        message = f"{what}: expected from {least} to {self.max_number} samples in one request"
        least, most = (tf.constant(limit, tf.int64) for limit in (least, self.max_number))
        return tf.control_dependencies(
            [
                tf.debugging.assert_greater_equal(number, least, message),
                tf.debugging.assert_less_equal(number, most, message),
            ]
        )

    def _condition_spec(self):
        tf = self.tf
        if self.classes is None:
            inputs = getattr(self.gan.generator, "inputs", None)
            dtype = inputs[1].dtype if inputs else "float32"
            return tf.TensorSpec((None, *self.gan.condition_shape), dtype, name="condition")
        dtype = tf.int64 if isinstance(self.classes, numbers.Integral) else tf.string
        return tf.TensorSpec((None,), dtype, name="condition")

    def _conditions(self, condition, rows):
        """Return what networks take of a request's condition: nothing, or a row for each sample."""
        return [self._rows(self._decoded(c), rows) for c in condition]

    def _decoded(self, condition):
        """Return conditions as the networks take them, made of the classes that a request names."""
        tf, classes = self.tf, self.classes
        if classes is None:
            return condition
        if isinstance(classes, numbers.Integral):
            number, known = classes, tf.logical_and(condition >= 0, condition < classes)
            message = f"`condition` is a class in [0, {number})"
        else:
            found = condition[:, None] == tf.constant(classes)
            number, known = len(classes), tf.reduce_any(found, axis=1)
            message = f"Unknown class in `condition`. Expected of {classes}"
            condition = tf.argmax(tf.cast(found, tf.int32), axis=1)
        with tf.control_dependencies([tf.debugging.assert_equal(known, True, message)]):
            condition = tf.identity(condition)
        if self.gan.condition_shape == (number,):
            condition = tf.one_hot(condition, number)
        return tf.reshape(condition, [-1, *self.gan.condition_shape])

    def _rows(self, condition, rows):
        """Return one condition for each of `rows` samples."""
        tf = self.tf
        given = tf.shape(condition)[0]
        message = "`condition` has one row for each sample, or one for all"
        fits = tf.debugging.assert_equal(tf.logical_or(given == rows, given == 1), True, message)
        with tf.control_dependencies([fits]):
            return tf.cond(
                given == rows, lambda: condition, lambda: tf.repeat(condition[:1], rows, axis=0)
            )

    def _image_forms(self):
        """Return `{name: function}` of what else images are given as; none if samples are not images."""
        tf, value_range = self.tf, self.value_range or image_range(self.gan)
        if value_range is None or not are_images(self.gan.sample_shape):
            return {}
        low, high = pictures.limits(value_range)

        def uint8(samples):
            # In float64, as `pictures.to_uint8` computes.
            levels = (tf.cast(samples, tf.float64) - low) / (high - low)
            levels = tf.where(tf.math.is_finite(levels), levels, 0.5)
            return tf.cast(tf.round(255.0 * tf.clip_by_value(levels, 0.0, 1.0)), tf.uint8)

        return {
            "uint8": lambda samples: {"samples": uint8(samples)},
            "png": lambda samples: {"png_bytes": tf.io.encode_png(uint8(samples))},
        }

    def example(self, spec: Any) -> np.ndarray | np.int64:
        """Return a small request for one input: zeros, two steps, the first class."""
        if isinstance(self.classes, list) and spec.dtype == "string":
            return np.array(self.classes[:1], object)
        if spec.shape.rank == 0:
            return np.int64({"number": 1, "steps": 2}.get(spec.name, 0))
        return np.zeros([1, *(size or 8 for size in spec.shape[1:])], spec.dtype.as_numpy_dtype)


def are_images(shape: Shape) -> bool:
    """Whether samples of this shape are what a PNG holds: grey, RGB or RGBA."""
    return len(shape) == 3 and shape[-1] in (1, 3, 4)


def image_range(gan: GAN) -> ValueRange | None:
    """Return the range of the generator's last activation, or None if `make` is not `GAN`'s own."""
    if type(gan).make is not GAN.make:
        return None
    return _RANGES.get(networks.final_activation(gan.generator))


def _converted(function, convert):
    def converted(*inputs):
        outputs = function(*inputs)
        return {**convert(outputs.pop("samples")), **outputs}

    return converted

"""The signatures of a GAN's SavedModel: functions of TensorFlow from a request to an answer."""

import functools
import numbers
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_gan import visualization
from keras_gan.models.gan import GAN
from keras_gan.models.ranges import sample_range
from keras_gan.utils import structures
from keras_gan.utils.optional import tensorflow
from keras_gan.utils.typing import Tensor, ValueRange


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
        tf, gan = self.tf, self.gan
        condition = self._condition_specs()

        def rows(name, shape):
            return tf.TensorSpec((None, *shape), tf.float32, name=name)

        def scalar(name):
            return tf.TensorSpec((), tf.int64, name=name)

        drawing: dict[str, tuple[Callable[..., dict[str, Tensor]], list[Any]]]
        if gan.prior is None:
            drawing = {"generate": (functools.partial(self.generate, None), [])}
        else:
            latents = gan.prior.shape
            drawing = {
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
        shown = structures.named("samples", gan.shown_spec).items()
        inputs = [rows(name, spec.shape[1:]) for name, spec in shown]
        found["discriminate"] = (self.discriminate, inputs)
        return {name: (function, [*inputs, *condition]) for name, (function, inputs) in found.items()}

    def generate(self, latents: Tensor | None, *condition: Tensor) -> dict[str, Tensor]:
        """Return `samples` of the latents."""
        what, first = ("condition", condition[0]) if latents is None else ("latents", latents)
        with self._limited(f"Rows of `{what}`", 0, self.tf.shape(first, self.tf.int64)[0]):
            return self._make(latents, *condition)

    def sample(self, number: Tensor, seed: Tensor, *condition: Tensor) -> dict[str, Tensor]:
        """Return `number` samples, the first of all that `seed` stands for, and their latents."""
        tf = self.tf
        with self._limited("`number` of samples", 1, number):
            latents = self.gan.draw(tf.cast(number, tf.int32), tf.stack([seed, 0]))
        return {**self._make(latents, *condition), "latents": latents}

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
        times = tf.reshape(times, [1, -1] + [1] * (len(start.shape) - 1))
        points = (1.0 - times) * start[:, None] + times * end[:, None]
        flat = tf.reshape(points, tf.concat([[-1], tf.shape(points)[2:]], 0))
        each = [self._rows(c, tf.cast(rows, tf.int32)) for c in condition]
        made = self._make(flat, *[tf.repeat(c, tf.cast(steps, tf.int32), axis=0) for c in each])

        def along_paths(samples):
            return tf.reshape(samples, tf.concat([tf.shape(points)[:2], tf.shape(samples)[1:]], 0))

        return {**{name: along_paths(samples) for name, samples in made.items()}, "latents": points}

    def discriminate(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Return the discriminator's `logits`, and `probabilities`, their sigmoid."""
        tf, shown = self.tf, self.gan.shown_spec
        count = len(structures.leaves(shown))
        samples, condition = structures.like(shown, inputs[:count]), inputs[count:]
        rows = tf.shape(inputs[0], tf.int64)[0]
        with self._limited("Rows of `samples`", 0, rows):
            outputs = self.gan.discriminate(
                samples, self._conditions(condition, tf.cast(rows, tf.int32))
            )
        logits = self.gan.logits(outputs)
        return {
            **structures.named("logits", logits),
            **structures.named("probabilities", structures.mapped(tf.sigmoid, logits)),
        }

    def _make(self, latents, *condition):
        rows = self.tf.shape(condition[0] if latents is None else latents)[0]
        samples = self.gan.generate_batch(latents, self._conditions(condition, rows))
        return structures.named("samples", samples)

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

    def _condition_specs(self):
        """Return the inputs of a condition: one, or one for each leaf, by the names of the networks'."""
        tf, data = self.tf, self.gan.data_spec
        specs = structures.leaves(data.condition)
        if self.classes is not None:
            dtype = tf.int64 if isinstance(self.classes, numbers.Integral) else tf.string
            return [tf.TensorSpec((None,), dtype, name=data.condition_names[0])]
        return [
            tf.TensorSpec((None, *spec.shape[1:]), spec.dtype, name=_free(name))
            for spec, name in zip(specs, data.condition_names, strict=True)
        ]

    def _conditions(self, condition, rows):
        """Return what networks take of a request's condition: nothing, or a row for each sample."""
        data = self.gan.data_spec
        given = [
            self._rows(self._decoded(*leaf), rows)
            for leaf in zip(condition, data.classes, data.condition_names, strict=True)
        ]
        return structures.like(data.condition, given)

    def _decoded(self, condition, known_classes, name):
        """Return conditions as the networks take them, made of the classes that a request names."""
        tf, classes = self.tf, self.classes
        if classes is None and known_classes is None:
            return condition
        if classes is None:
            known = tf.logical_and(condition >= 0, tf.cast(condition, tf.int64) < known_classes)
            message = f"`{name}` is a class in [0, {known_classes})"
            with tf.control_dependencies([tf.debugging.assert_equal(known, True, message)]):
                return tf.identity(condition)
        if isinstance(classes, numbers.Integral):
            number, known = classes, tf.logical_and(condition >= 0, condition < classes)
            message = f"`{name}` is a class in [0, {number})"
        else:
            found = condition[:, None] == tf.constant(classes)
            number, known = len(classes), tf.reduce_any(found, axis=1)
            message = f"Unknown class in `{name}`. Expected of {classes}"
            condition = tf.argmax(tf.cast(found, tf.int32), axis=1)
        with tf.control_dependencies([tf.debugging.assert_equal(known, True, message)]):
            condition = tf.identity(condition)
        (spec,) = structures.leaves(self.gan.condition_spec)
        shape = tuple(spec.shape[1:])
        if shape == (number,):
            condition = tf.one_hot(condition, number)
        return tf.reshape(condition, [-1, *shape])

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
        tf, value_range = self.tf, self.value_range or sample_range(self.gan)
        if value_range is None or not are_images(self.gan.sample_spec):
            return {}
        low, high = visualization.check_value_range(value_range)

        def uint8(samples):
            # In float64, as `visualization.to_uint8` computes.
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


# Inputs of the signatures that have these names already.
_TAKEN = ("latents", "number", "seed", "start", "end", "steps", "samples")


def _free(name):
    name = re.sub(r"\W", "_", name)  # TensorFlow takes no other characters
    return f"condition_{name}" if name in _TAKEN else name


def are_images(spec: Any) -> bool:
    """Whether samples of this specification are what a PNG holds: grey, RGB or RGBA."""
    shape = tuple(getattr(spec, "shape", ()))
    return len(shape) == 4 and shape[-1] in (1, 3, 4)


def _converted(function, convert):
    def converted(*inputs):
        outputs = function(*inputs)
        return {**convert(outputs.pop("samples")), **outputs}

    return converted

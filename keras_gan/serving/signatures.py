"""The signatures of a GAN's SavedModel: functions of TensorFlow from a request to a response."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_gan.models.exporting import condition_inputs
from keras_gan.models.gan import GAN
from keras_gan.models.ranges import sample_range
from keras_gan.utils import structures
from keras_gan.utils.images import image_size, to_channels_last
from keras_gan.utils.optional import tensorflow
from keras_gan.utils.typing import Tensor, ValueRange

__all__ = ["Signatures", "are_images"]


class Signatures:
    """The functions that generate, sample, interpolate and discriminate, with their inputs.

    Args:
        gan: `kg.GAN`.
        classes: number of classes, list of their names, or None, as in `export_savedmodel`.
        max_number: limit of samples for one request.
        value_range: pair of numbers that are black and white, or None, as in `export_savedmodel`.
    """

    def __init__(
        self, gan: GAN, classes: int | list[str] | None, max_number: int, value_range: ValueRange | None
    ) -> None:
        self.tf = tensorflow()
        self.gan, self.classes, self.max_number = gan, classes, max_number
        self.value_range = value_range

    def all(self) -> dict[str, tuple[Callable[..., dict[str, Tensor]], list[Any]]]:
        """Return `{name: (function, inputs)}`; `serving_default` is `generate`."""
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
        signatures = {"serving_default": drawing["generate"], **drawing}
        for form, convert in self._image_outputs().items():
            for name, (function, inputs) in drawing.items():
                signatures[f"{name}_{form}"] = (_convert_samples(function, convert), inputs)
        shown = structures.named("samples", gan.shown_spec).items()
        inputs = [rows(name, spec.shape[1:]) for name, spec in shown]
        signatures["discriminate"] = (self.discriminate, inputs)
        return {
            name: (function, [*inputs, *condition]) for name, (function, inputs) in signatures.items()
        }

    def generate(self, latents: Tensor | None, *condition: Tensor) -> dict[str, Tensor]:
        """Return `samples` of the latents."""
        name, first = ("condition", condition[0]) if latents is None else ("latents", latents)
        with self._check_count(f"Rows of `{name}`", 0, self.tf.shape(first, self.tf.int64)[0]):
            return self._generate(latents, *condition)

    def sample(self, number: Tensor, seed: Tensor, *condition: Tensor) -> dict[str, Tensor]:
        """Return the first `number` samples of a seed, and their latents."""
        tf = self.tf
        with self._check_count("`number` of samples", 1, number):
            latents = self.gan.draw(tf.cast(number, tf.int32), tf.stack([seed, 0]))
        return {**self._generate(latents, *condition), "latents": latents}

    def interpolate(
        self, start: Tensor, end: Tensor, steps: Tensor, *condition: Tensor
    ) -> dict[str, Tensor]:
        """Return samples at equal steps along straight lines, and their latents."""
        tf = self.tf
        rows = tf.shape(start, tf.int64)[0]
        same = tf.debugging.assert_equal(tf.shape(start), tf.shape(end), "start and end differ in shape")
        with tf.control_dependencies([same]), self._check_count("`steps` of a path", 2, steps):
            total = rows * steps
        with self._check_count("`steps` of all paths", 0, total):
            times = tf.linspace(0.0, 1.0, tf.cast(steps, tf.int32))
        times = tf.reshape(times, [1, -1] + [1] * (len(start.shape) - 1))
        points = (1.0 - times) * start[:, None] + times * end[:, None]
        flat = tf.reshape(points, tf.concat([[-1], tf.shape(points)[2:]], 0))
        condition = tuple(self._one_per_row(c, tf.cast(rows, tf.int32)) for c in condition)
        outputs = self._generate(
            flat, *[tf.repeat(c, tf.cast(steps, tf.int32), axis=0) for c in condition]
        )

        def along_paths(samples):
            return tf.reshape(samples, tf.concat([tf.shape(points)[:2], tf.shape(samples)[1:]], 0))

        paths = {name: along_paths(samples) for name, samples in outputs.items()}
        return {**paths, "latents": points}

    def discriminate(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Return the discriminator's `logits`, and `probabilities`, their sigmoid."""
        tf, shown = self.tf, self.gan.shown_spec
        count = len(structures.leaves(shown))
        samples, condition = structures.like(shown, inputs[:count]), inputs[count:]
        rows = tf.shape(inputs[0], tf.int64)[0]
        with self._check_count("Rows of `samples`", 0, rows):
            outputs = self.gan.discriminate(
                samples, self._conditions(condition, tf.cast(rows, tf.int32))
            )
        logits = self.gan.logits(outputs)
        return {
            **structures.named("logits", logits),
            **structures.named("probabilities", structures.mapped(tf.sigmoid, logits)),
        }

    def _generate(self, latents, *condition):
        rows = self.tf.shape(condition[0] if latents is None else latents)[0]
        samples = self.gan.generate_batch(latents, self._conditions(condition, rows))
        return structures.named("samples", samples)

    def _check_count(self, name, minimum, number):
        """Return a context whose operations fail unless `minimum` ≤ number ≤ `max_number`."""
        tf = self.tf
        message = f"{name}: expected from {minimum} to {self.max_number} samples in one request"
        minimum, maximum = (tf.constant(bound, tf.int64) for bound in (minimum, self.max_number))
        return tf.control_dependencies(
            [
                tf.debugging.assert_greater_equal(number, minimum, message),
                tf.debugging.assert_less_equal(number, maximum, message),
            ]
        )

    def _condition_specs(self):
        """Return the inputs of a condition: one, or one for each part."""
        tf, specs = self.tf, condition_inputs(self.gan)
        if self.classes is not None:
            dtype = tf.string if self._class_names else tf.int64
            return [tf.TensorSpec((None,), dtype, name=specs[0].name)]
        return [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in specs]

    @property
    def _class_names(self):
        return self.classes if isinstance(self.classes, list) else None

    def _conditions(self, condition, rows):
        """Return the condition for the networks: None, or one row for each sample."""
        data = self.gan.data_spec
        parts = [
            self._one_per_row(self._check_classes(*part), rows)
            for part in zip(condition, data.classes, data.condition_names, strict=True)
        ]
        return structures.like(data.condition, parts)

    def _check_classes(self, condition, num_classes, name):
        """Return one part of a condition as the networks take it, or fail for an unknown class."""
        tf = self.tf
        if self._class_names:
            matches = condition[:, None] == tf.constant(self._class_names)
            message = f"Unknown class in `{name}`. Expected one of {self._class_names}"
            with self._check_all(tf.reduce_any(matches, axis=1), message):
                return self._encode(tf.argmax(tf.cast(matches, tf.int32), axis=1))
        num_classes = num_classes if self.classes is None else self.classes
        if num_classes is None:
            return condition
        is_class = tf.logical_and(condition >= 0, tf.cast(condition, tf.int64) < num_classes)
        with self._check_all(is_class, f"`{name}` must be a class in [0, {num_classes})"):
            return tf.identity(condition) if self.classes is None else self._encode(condition)

    def _check_all(self, valid, message):
        tf = self.tf
        return tf.control_dependencies([tf.debugging.assert_equal(valid, True, message)])

    def _encode(self, numbers):
        """Return class numbers in the shape of the networks' condition, one-hot for vectors."""
        tf = self.tf
        (spec,) = structures.leaves(self.gan.condition_spec)
        shape = tuple(spec.shape[1:])
        count = len(self._class_names) if self._class_names else self.classes
        numbers = tf.identity(numbers)
        encoded = tf.one_hot(numbers, count) if shape == (count,) else numbers
        return tf.reshape(encoded, [-1, *shape])

    def _one_per_row(self, condition, rows):
        """Return one condition for each of `rows` samples."""
        tf = self.tf
        count = tf.shape(condition)[0]
        message = "`condition` must have one row for each sample, or one for all"
        with self._check_all(tf.logical_or(count == rows, count == 1), message):
            return tf.cond(
                count == rows, lambda: condition, lambda: tf.repeat(condition[:1], rows, axis=0)
            )

    def _image_outputs(self):
        """Return `{name: function}` of further outputs for images; none if samples are not images."""
        tf, value_range = self.tf, self.value_range or sample_range(self.gan)
        if value_range is None or not are_images(self.gan.sample_spec):
            return {}
        low, high = value_range

        def uint8(samples):
            # In float64, as in `visualization.to_uint8`.
            levels = (tf.cast(samples, tf.float64) - low) / (high - low)
            levels = tf.where(tf.math.is_finite(levels), levels, 0.5)
            return tf.cast(tf.round(255.0 * tf.clip_by_value(levels, 0.0, 1.0)), tf.uint8)

        return {
            "uint8": lambda samples: {"samples": uint8(samples)},
            "png": lambda samples: {"png_bytes": tf.io.encode_png(to_channels_last(uint8(samples)))},
        }

    def example(self, spec: Any) -> np.ndarray | np.int64:
        """Return a value of one input for a small request: zeros, two steps, the first class."""
        if self._class_names and spec.dtype == "string":
            return np.array(self._class_names[:1], object)
        if spec.shape.rank == 0:
            return np.int64({"number": 1, "steps": 2}.get(spec.name, 0))
        return np.zeros([1, *(size or 8 for size in spec.shape[1:])], spec.dtype.as_numpy_dtype)


def are_images(spec: Any) -> bool:
    """Return whether samples of this specification can be PNG images: gray, RGB or RGBA."""
    shape = tuple(getattr(spec, "shape", ()))
    return len(shape) == 4 and image_size(shape)[2] in (1, 3, 4)


def _convert_samples(function, convert):
    def convert_samples(*inputs):
        outputs = function(*inputs)
        return {**convert(outputs.pop("samples")), **outputs}

    return convert_samples

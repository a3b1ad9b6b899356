"""The signatures of a GAN's SavedModel: functions of TensorFlow from a request to an answer."""

import numbers

import numpy as np

from keras_gan import networks
from keras_gan.optional import tensorflow

MAX_NUMBER = 1000  # samples that one request may ask for: a server allocates for those only

# What a generator that ends in this activation draws in.
_RANGES = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


def make_signatures(gan, classes):
    """Return `{name: (function, inputs)}`, of which `serving_default` is `generate`."""
    tf = tensorflow()
    latents, sample = gan.prior.shape, gan.sample_shape
    condition = [_condition_spec(gan, classes)] if gan.conditional else []

    def spec(name, shape):
        return tf.TensorSpec((None, *shape), tf.float32, name=name)

    def scalar(name):
        return tf.TensorSpec((), tf.int64, name=name)

    def make(latents, *condition):
        return gan.make(latents, *_conditions(gan, classes, condition, tf.shape(latents)[0]))

    def generate(latents, *condition):
        return {"samples": make(latents, *condition)}

    def draw(number, seed, *condition):
        with _limited("`number` of samples", number, 1, number):
            latents = gan.prior.sample(tf.cast(number, tf.int32), tf.stack([seed, 0]))
        return {"samples": make(latents, *condition), "latents": latents}

    def interpolate(start, end, steps, *condition):
        rows = tf.shape(start, tf.int64)[0]
        same = tf.debugging.assert_equal(tf.shape(start), tf.shape(end), "start and end differ in shape")
        with tf.control_dependencies([same]), _limited("`steps` of all paths", steps, 2, rows * steps):
            times = tf.linspace(0.0, 1.0, tf.cast(steps, tf.int32))
        times = tf.reshape(times, [1, -1] + [1] * len(latents))
        points = (1.0 - times) * start[:, None] + times * end[:, None]
        flat = tf.reshape(points, tf.concat([[-1], tf.shape(points)[2:]], 0))
        repeated = [
            tf.repeat(_rows(c, tf.cast(rows, tf.int32)), tf.shape(times)[1], axis=0) for c in condition
        ]
        samples = make(flat, *repeated)
        shape = tf.concat([tf.shape(points)[:2], tf.shape(samples)[1:]], 0)
        return {"samples": tf.reshape(samples, shape), "latents": points}

    def discriminate(samples, *condition):
        condition = _conditions(gan, classes, condition, tf.shape(samples)[0])
        logits = gan.judge(samples, *condition)
        return {"logits": logits, "probabilities": tf.sigmoid(logits)}

    drawing = {
        "generate": (generate, [spec("latents", latents), *condition]),
        "sample": (draw, [scalar("number"), scalar("seed"), *condition]),
        "interpolate": (
            interpolate,
            [spec("start", latents), spec("end", latents), scalar("steps"), *condition],
        ),
    }
    found = {"serving_default": drawing["generate"], **drawing}
    for form, convert in _image_forms(gan).items():
        for name, (function, inputs) in drawing.items():
            found[f"{name}_{form}"] = (_converted(function, convert), inputs)
    found["discriminate"] = (discriminate, [spec("samples", sample), *condition])
    return found


def _limited(what, value, least, total):
    """Return a context whose operations fail unless `least` ≤ value and total ≤ `MAX_NUMBER`."""
    tf = tensorflow()
    message = f"{what}: expected from {least} to {MAX_NUMBER} samples in one request"
    return tf.control_dependencies(
        [
            tf.debugging.assert_greater_equal(value, tf.constant(least, tf.int64), message),
            tf.debugging.assert_less_equal(value, tf.constant(MAX_NUMBER, tf.int64), message),
            tf.debugging.assert_less_equal(total, tf.constant(MAX_NUMBER, tf.int64), message),
        ]
    )


def _condition_spec(gan, classes):
    tf = tensorflow()
    if classes is None:
        inputs = getattr(gan.generator, "inputs", None)
        dtype = inputs[1].dtype if inputs else "float32"
        return tf.TensorSpec((None, *gan.condition_shape), dtype, name="condition")
    dtype = tf.int64 if isinstance(classes, numbers.Integral) else tf.string
    return tf.TensorSpec((None,), dtype, name="condition")


def _conditions(gan, classes, condition, rows):
    """Return what networks take of a request's condition: nothing, or a row for each sample."""
    tf = tensorflow()
    if not condition:
        return []
    (condition,) = condition
    if classes is not None:
        if not isinstance(classes, numbers.Integral):
            found = condition[:, None] == tf.constant(classes)
            known = tf.debugging.assert_equal(
                tf.reduce_any(found, axis=1),
                True,
                f"Unknown class in `condition`. Expected of {classes}",
            )
            with tf.control_dependencies([known]):
                condition = tf.argmax(tf.cast(found, tf.int32), axis=1)
        number = classes if isinstance(classes, numbers.Integral) else len(classes)
        message = f"`condition` is a class in [0, {number})"
        inside = tf.logical_and(condition >= 0, condition < number)
        with tf.control_dependencies([tf.debugging.assert_equal(inside, True, message)]):
            condition = tf.identity(condition)
        if gan.condition_shape == (number,):
            condition = tf.one_hot(condition, number)
        condition = tf.reshape(condition, [-1, *gan.condition_shape])
    return [_rows(condition, rows)]


def _rows(condition, rows):
    """Return one condition for each of `rows` samples."""
    tf = tensorflow()
    given = tf.shape(condition)[0]
    message = "`condition` has one row for each sample, or one for all"
    fits = tf.debugging.assert_equal(tf.logical_or(given == rows, given == 1), True, message)
    with tf.control_dependencies([fits]):
        return tf.cond(
            given == rows,
            lambda: condition,
            lambda: tf.repeat(condition[:1], rows, axis=0),
        )


def _image_forms(gan):
    """Return `{name: function}` of what else images are given as; none if samples are not images."""
    tf = tensorflow()
    value_range = _RANGES.get(networks.final_activation(gan.generator))
    shape = gan.sample_shape
    if value_range is None or len(shape) != 3 or shape[-1] not in (1, 3, 4):
        return {}
    low, high = value_range

    def uint8(samples):
        # In float64, as `pictures.to_uint8` computes.
        levels = (tf.cast(samples, tf.float64) - low) / (high - low)
        levels = tf.where(tf.math.is_finite(levels), levels, 0.5)
        return tf.cast(tf.round(255.0 * tf.clip_by_value(levels, 0.0, 1.0)), tf.uint8)

    return {
        "uint8": lambda samples: {"samples": uint8(samples)},
        "png": lambda samples: {"png_bytes": tf.io.encode_png(uint8(samples))},
    }


def _converted(function, convert):
    def converted(*inputs):
        outputs = function(*inputs)
        return {**convert(outputs.pop("samples")), **outputs}

    return converted


def example(spec, classes):
    """Return a small request for one input: zeros, two steps, the first class."""
    if spec.dtype == "string":
        return np.array(classes[:1], object)
    if spec.shape.rank == 0:
        return np.int64({"number": 1, "steps": 2}.get(spec.name, 0))
    shape = [1, *(size or 8 for size in spec.shape[1:])]
    return np.zeros(shape, spec.dtype.as_numpy_dtype)

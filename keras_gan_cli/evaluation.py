"""The scores of `keras-gan evaluate`."""

from keras_gan import metrics

# The Fréchet distance takes roots of matrices of so many rows, in seconds; of all pixels, in hours.
_LARGEST = 2048


def scores(features, real, samples, split):
    """Return what the metrics find, as a list of `Score`."""
    subset = max(2, min(1000, len(real) // 2))  # halves, so that they differ
    chosen = [
        metrics.KID(features, subset_size=subset, split=split),
        metrics.PrecisionRecall(features, split=split),
        metrics.DensityCoverage(features, split=split),
    ]
    if features.size <= _LARGEST:
        chosen.insert(0, metrics.FID(features, split=split))
    return [metric(real=real, fake=samples) for metric in chosen]


def _pixels(weights, shape, value_range):
    if weights:
        raise ValueError("--weights are those of inception or digits, but --features is pixels.")
    return metrics.Pixels(shape, value_range=value_range)


def _inception(weights, shape, value_range):
    return metrics.InceptionV3(str(weights or "imagenet"), value_range=value_range)


def _digits(weights, shape, value_range):
    if weights is None:
        raise ValueError(
            "--features digits needs the file of the classifier. In a clone: --weights "
            "saved_models/digit_classifier.keras"
        )
    return metrics.DigitClassifier(weights, value_range=value_range, resizer="bilinear")


EXTRACTORS = {"pixels": _pixels, "inception": _inception, "digits": _digits}


# What the scores are of samples that cannot be told from real images.
_IDEAL = {"fid": "0", "kid": "0", "precision": "1", "recall": "1", "density": "1", "coverage": "1"}


def told(score):
    """Return the values of a score as text, by a name that says which value is ideal."""
    return {
        f"{name} (ideally {_IDEAL[name]})": f"{value:.4g}"
        + (f" ± {score.errors[name]:.2g}" if name in score.errors else "")
        for name, value in score.values.items()
    }

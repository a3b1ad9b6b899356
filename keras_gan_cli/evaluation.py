"""The scores of `keras-gan evaluate`."""

import numpy as np

from keras_gan import metrics

# The Fréchet distance takes square roots of matrices of this many rows, in seconds; of all pixels, it
# would take hours.
_MAX_FRECHET_FEATURES = 2048
_NEIGHBORS = 5
# Training images at a distance below this quantile are near-duplicates of each other.
_DUPLICATE_QUANTILE = 0.01


def scores(features, real, samples, split):
    """Return the `Score` of each metric, as a list."""
    if len(real) <= _NEIGHBORS:
        raise ValueError(
            f"Scores need at least {_NEIGHBORS + 1} real images. Received: {len(real)} of {split}."
        )
    subset = max(2, min(1000, len(real) // 2))  # halves, so that they differ
    chosen = [
        metrics.KID(features, subset_size=subset, split=split),
        metrics.PrecisionRecall(features, split=split),
        metrics.DensityCoverage(features, k=_NEIGHBORS, split=split),
    ]
    if features.size <= _MAX_FRECHET_FEATURES:
        chosen.insert(0, metrics.FID(features, split=split))
    return [metric(real=real, fake=samples) for metric in chosen]


def count_copies(samples, training):
    """Return how many samples are at most half as far from a training image as near-duplicates are.

    Distances are between pixels, so copies that are shifted or mirrored are not found.
    """
    to_others = metrics.nearest_distances(training, training, exclude_self=True)
    limit = np.quantile(to_others, _DUPLICATE_QUANTILE) / 2
    return int(np.sum(metrics.nearest_distances(samples, training) <= limit))


def _pixels(weights, shape, value_range):
    if weights:
        raise ValueError("--weights is for --features inception or digits, not for pixels.")
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


# Scores of samples that have the distribution of the real images.
_IDEAL = {"fid": "0", "kid": "0", "precision": "1", "recall": "1", "density": "1", "coverage": "1"}


def format_score(score):
    """Return the values of a score as text, under names that say which value is ideal."""
    return {
        f"{name} (ideally {_IDEAL[name]})": f"{value:.4g}"
        + (f" ± {score.errors[name]:.2g}" if name in score.errors else "")
        for name, value in score.values.items()
    }

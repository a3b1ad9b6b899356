"""Metrics of samples: pure functions, and objects whose results record how they were computed."""

from keras_gan.metrics.annealed import AnnealedResult, annealed_log_likelihood, simulate_decoder
from keras_gan.metrics.base import ClassifierMetric, FeatureMetric, Metric, Score
from keras_gan.metrics.classifier_score import InceptionScore, inception_score
from keras_gan.metrics.features import (
    DigitClassifier,
    FeatureExtractor,
    Identity,
    InceptionV3,
    ModelFeatures,
    Pixels,
)
from keras_gan.metrics.frechet import FID, GaussianStatistics, frechet_distance
from keras_gan.metrics.kernel import KID, kernel_distance
from keras_gan.metrics.memorization import (
    Memorization,
    duplicate_threshold,
    duplicates,
    memorization_scores,
)
from keras_gan.metrics.modes import (
    ModeCoverage,
    StackedDigits,
    high_quality_ceiling,
    mode_coverage,
    stacked_digit_modes,
)
from keras_gan.metrics.neighbors import (
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    nearest_distances,
    precision_recall,
)
from keras_gan.metrics.parzen import (
    ParzenResult,
    ParzenWindow,
    parzen_log_likelihood,
    select_bandwidth,
)

__all__ = [
    "FID",
    "KID",
    "AnnealedResult",
    "ClassifierMetric",
    "DensityCoverage",
    "DigitClassifier",
    "FeatureExtractor",
    "FeatureMetric",
    "GaussianStatistics",
    "Identity",
    "InceptionScore",
    "InceptionV3",
    "Memorization",
    "Metric",
    "ModeCoverage",
    "ModelFeatures",
    "ParzenResult",
    "ParzenWindow",
    "Pixels",
    "PrecisionRecall",
    "Score",
    "StackedDigits",
    "annealed_log_likelihood",
    "density_coverage",
    "duplicate_threshold",
    "duplicates",
    "frechet_distance",
    "high_quality_ceiling",
    "inception_score",
    "kernel_distance",
    "memorization_scores",
    "mode_coverage",
    "nearest_distances",
    "parzen_log_likelihood",
    "precision_recall",
    "select_bandwidth",
    "simulate_decoder",
    "stacked_digit_modes",
]


def __dir__():
    return __all__

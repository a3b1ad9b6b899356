"""Measures of samples: pure functions that say how they were computed."""

from keras_gan.metrics.annealed import AnnealedResult, annealed_log_likelihood, simulate_decoder
from keras_gan.metrics.classifier_score import InceptionScore, inception_score
from keras_gan.metrics.features import (
    DigitClassifier,
    FeatureExtractor,
    InceptionV3,
    ModelFeatures,
    Pixels,
)
from keras_gan.metrics.frechet import FID, GaussianStatistics, frechet_distance
from keras_gan.metrics.kernel import KID, kernel_distance
from keras_gan.metrics.memorisation import (
    Memorisation,
    duplicate_threshold,
    duplicates,
    memorisation_scores,
)
from keras_gan.metrics.metric import ClassifierMetric, FeatureMetric, Metric, Score
from keras_gan.metrics.modes import (
    GaussianMixture,
    ModeCoverage,
    StackedDigits,
    high_quality_ceiling,
    mode_coverage,
    stack_digits,
    stacked_digit_modes,
)
from keras_gan.metrics.neighbours import (
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
    "GaussianMixture",
    "GaussianStatistics",
    "InceptionScore",
    "InceptionV3",
    "Memorisation",
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
    "memorisation_scores",
    "mode_coverage",
    "nearest_distances",
    "parzen_log_likelihood",
    "precision_recall",
    "select_bandwidth",
    "simulate_decoder",
    "stack_digits",
    "stacked_digit_modes",
]


def __dir__():
    return __all__

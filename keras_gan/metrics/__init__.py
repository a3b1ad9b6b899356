"""Measures of samples: pure functions that say how they were computed."""

from keras_gan.metrics.metric import Metric, Score
from keras_gan.metrics.parzen import (
    ParzenResult,
    evaluate_parzen,
    parzen_log_likelihood,
    select_bandwidth,
)

__all__ = [
    "Metric",
    "ParzenResult",
    "Score",
    "evaluate_parzen",
    "parzen_log_likelihood",
    "select_bandwidth",
]

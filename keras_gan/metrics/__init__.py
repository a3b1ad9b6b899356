"""Measures of samples: pure functions that say how they were computed."""

from keras_gan.metrics.metric import Metric, Score
from keras_gan.metrics.parzen import (
    ParzenResult,
    ParzenWindow,
    evaluate_parzen,
    parzen_log_likelihood,
    select_bandwidth,
)

__all__ = [
    "Metric",
    "ParzenResult",
    "ParzenWindow",
    "Score",
    "parzen_log_likelihood",
    "select_bandwidth",
]

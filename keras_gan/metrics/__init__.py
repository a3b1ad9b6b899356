"""Measures of samples: pure functions that say how they were computed."""

from keras_gan.metrics.parzen import (
    ParzenResult,
    evaluate_parzen,
    parzen_log_likelihood,
    select_bandwidth,
)

__all__ = ["ParzenResult", "evaluate_parzen", "parzen_log_likelihood", "select_bandwidth"]

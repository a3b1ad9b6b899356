"""Callbacks that draw and evaluate samples, plot training curves, and resume a run."""

from keras_gan.callbacks.collapse_monitor import CollapseMonitor
from keras_gan.callbacks.evaluate_samples import EvaluateSamples
from keras_gan.callbacks.latent_interpolation import LatentInterpolation
from keras_gan.callbacks.parzen_log_likelihood import ParzenLogLikelihood
from keras_gan.callbacks.player_callback import PlayerCallback
from keras_gan.callbacks.resume import Resume
from keras_gan.callbacks.sample_grid import SampleGrid
from keras_gan.callbacks.training_curves import TrainingCurves

__all__ = [
    "CollapseMonitor",
    "EvaluateSamples",
    "LatentInterpolation",
    "ParzenLogLikelihood",
    "PlayerCallback",
    "Resume",
    "SampleGrid",
    "TrainingCurves",
]


def __dir__():
    return __all__

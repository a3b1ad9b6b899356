"""A search of twelve trials, by one process or by a chief and workers; prints the trials as JSON.

python tuned_run.py FOLDER [TRIALS]
"""

import json
import sys

import keras
import keras_tuner
import numpy as np

import keras_gan as kg

POINTS = np.random.default_rng(0).random((240, 4)).astype("float32")


def networks(latent_size, width):
    generator = [keras.Input((latent_size,)), keras.layers.Dense(width, "relu")]
    critic = [keras.Input((4,)), keras.layers.Dense(width, "relu"), keras.layers.Dense(1)]
    return (
        keras.Sequential([*generator, keras.layers.Dense(4, "sigmoid")]),
        keras.Sequential(critic),
    )


def narrowed():
    space = keras_tuner.HyperParameters()
    space.Int("width", 4, 16)
    space.Int("latent_size", 2, 6)
    space.Fixed("discriminator_steps", 1)
    return space


def tuner(folder, trials=12, kind=keras_tuner.RandomSearch, **arguments):
    limits = {} if kind is keras_tuner.Hyperband else {"max_trials": trials}
    return kind(
        kg.tuner.GANHyperModel(
            networks,
            terms=[kg.terms.R1(0.1)],
            ema_decay=0.9,
            # A few steps take less time than their compilation, but where each operation is compiled.
            run_eagerly=keras.backend.backend() != "jax",
        ),
        kg.tuner.PARZEN,
        seed=3,
        directory=str(folder),
        project_name="search",
        **{"hyperparameters": narrowed(), **limits, **arguments},
    )


def search(tuner, epochs=2, callbacks=()):
    measure = kg.callbacks.ParzenLogLikelihood(POINTS[160:], num_samples=100, use_ema=True)
    tuner.search(POINTS[:160], epochs=epochs, batch_size=40, verbose=0, callbacks=[measure, *callbacks])


def scores(tuner):
    """Return `{trial: [status, score]}`."""
    return {name: [trial.status, trial.score] for name, trial in tuner.oracle.trials.items()}


if __name__ == "__main__":
    running = tuner(sys.argv[1], int((sys.argv[2:] or [12])[0]))
    search(running)
    if hasattr(running.oracle, "trials"):
        print(json.dumps(scores(running)))

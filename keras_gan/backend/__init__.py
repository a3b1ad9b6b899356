"""All that depends on the backend of Keras, one module each, with the same functions.

Differentiation and steps: `gradients`, `apply`, `input_gradient`; `trainer_step` turns a method into
what Keras' trainer calls, and `restore_on_error` guards the state that this may lose. `cond` is a branch
that may change variables, `jit` compiles loops. Devices: `replica_mean`, `unscaled_gradients`,
`check_replicas`, `is_chief`. Noise: `random_bits`, `seed_integer`, `seed_tensor`, `track_dropout_seeds`.
Data: `check_shape`, `check_rows`, `check_labels`, `unchecked_labels`, `checked_data`, `local_rows`.
"""

import importlib

import keras

from keras_gan.backend import single_program

_SUPPORTED = ("tensorflow", "jax", "torch")

if keras.backend.backend() not in _SUPPORTED:
    raise ImportError(
        f"keras_gan runs on the Keras backends {', '.join(_SUPPORTED)}. Received: "
        f"{keras.backend.backend()!r}. Set the environment variable KERAS_BACKEND to one of them before "
        "Python starts."
    )

_module = importlib.import_module(f"keras_gan.backend.{keras.backend.backend()}")
# JAX and torch know all shapes when a step begins, and see one batch, whatever the number of devices.
_batch = _module if keras.backend.backend() == "tensorflow" else single_program

DISTRIBUTION_SEED = _module.DISTRIBUTION_SEED
INEXACT_SECOND_ORDER = _module.INEXACT_SECOND_ORDER
apply = _module.apply
check_labels = _module.check_labels
check_replicas = _batch.check_replicas
check_rows = _batch.check_rows
check_shape = _batch.check_shape
checked_data = _module.checked_data
cond = _module.cond
gradients = _module.gradients
input_gradient = _module.input_gradient
is_chief = _module.is_chief
jit = _module.jit
local_rows = getattr(_module, "local_rows", single_program.local_rows)
number_of_processes = _module.number_of_processes
number_of_replicas = _module.number_of_replicas
plain_errors = _module.plain_errors
random_bits = _module.random_bits
replica_mean = _batch.replica_mean
restore_on_error = _module.restore_on_error
seed_integer = _module.seed_integer
seed_tensor = _module.seed_tensor
track_dropout_seeds = _module.track_dropout_seeds
trainer_step = _module.trainer_step
unchecked_labels = _module.unchecked_labels
unscaled_gradients = _batch.unscaled_gradients

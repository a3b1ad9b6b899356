"""How a GAN is written to a file and made again."""

import keras
from keras import ops


class Saving:
    """The part of `GAN` that Keras' `save`, `load_model`, `save_weights` and their callbacks use."""

    def get_config(self):
        """Return what `GAN(...)` was called with, serialized."""
        parts = {"generator": self.generator, "discriminator": self.discriminator}
        parts["prior"] = self.prior
        config = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return {**config, "seed": self.seed, "name": self.name}

    @classmethod
    def from_config(cls, config):
        """Make the GAN from what `get_config` returned."""
        parts = {name: config[name] for name in ("generator", "discriminator", "prior")}
        parts = {k: keras.saving.deserialize_keras_object(v) for k, v in parts.items()}
        return cls(**{**config, **parts})

    def get_compile_config(self):
        """Return what `compile` was called with, serialized."""
        if not self.compiled:
            return None
        parts = {"d_optimizer": self.d_optimizer, "g_optimizer": self.g_optimizer}
        parts.update(loss=self.loss, update=self.update, terms=list(self.terms))
        config = {k: keras.saving.serialize_keras_object(v) for k, v in parts.items()}
        names = (
            "discriminator_steps",
            "joint",
            "average_decay",
            "run_eagerly",
            "steps_per_execution",
            "jit_compile",
        )
        return {**config, **{name: getattr(self, name) for name in names}}

    def compile_from_config(self, config):
        """Compile with what `get_compile_config` returned, which also makes the optimizers' slots."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def _own_state(self):
        """Return the seeds of noise and dropout, which Keras does not count as weights, and what terms,
        update rule and average keep."""
        weights = {id(variable) for variable in self.weights}
        seeds = [variable for variable in self.variables if id(variable) not in weights]
        return {
            **{f"seed_{i}": seed for i, seed in enumerate(seeds)},
            **{f"state_{i}": variable for i, variable in enumerate(self.training_state)},
        }

    def save_own_variables(self, store):
        """Save the state of the noise, of the networks' dropout, and of terms, rule and average."""
        for name, variable in self._own_state().items():
            store[name] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Load what `save_own_variables` saved."""
        for name, variable in self._own_state().items():
            variable.assign(store[name])

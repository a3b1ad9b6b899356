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

    def _seeds(self):
        """Return the variables of the seed generators, which Keras does not count as weights."""
        weights = {id(variable) for variable in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]

    def save_own_variables(self, store):
        """Save the state of the noise and of the networks' dropout."""
        for i, variable in enumerate(self._seeds()):
            store[f"seed_{i}"] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Load what `save_own_variables` saved."""
        for i, variable in enumerate(self._seeds()):
            variable.assign(store[f"seed_{i}"])

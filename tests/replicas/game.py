"""A small game that one device and several must play alike, and what is left of it in the end.

Run as a program by `test_replicas.py`: `python game.py ENGINE OUTPUT` writes its results as an archive
of arrays. The engines are in ENGINES; those of several processes find their number in WORKER.
"""

import contextlib
import json
import os
import pathlib
import signal
import sys

ENGINE = sys.argv[1] if __name__ == "__main__" else "alone"
WORKER = int(os.environ.get("WORKER", 0))
if ENGINE == "jax_devices":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
if ENGINE == "multi_worker":
    ports = os.environ["PORTS"].split(",")
    os.environ["TF_CONFIG"] = json.dumps(
        {
            "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
            "task": {"type": "worker", "index": WORKER},
        }
    )

import keras
import numpy as np
from keras import layers, ops

ROWS = np.random.default_rng(1).normal(size=(64, 2)).astype("float32")
LATENTS = np.random.default_rng(2).normal(size=(64, 4)).astype("float32")
BATCH = 16


def alone():
    """One device."""
    return None


def mirrored():
    """Two devices of one machine, under a strategy of TensorFlow."""
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def multi_worker():
    """Two processes, each with one device, under a strategy of TensorFlow."""
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def jax_devices():
    """Two devices of one process of JAX."""
    keras.distribution.set_distribution(keras.distribution.DataParallel())


def jax_processes():
    """Two processes of JAX."""
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    address = f"127.0.0.1:{os.environ['PORTS'].split(',')[0]}"
    # `keras.distribution.initialize` does the same, and waits longer for a process that has died.
    jax.distributed.initialize(address, 2, WORKER, heartbeat_timeout_seconds=10)
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


ENGINES = {f.__name__: f for f in (alone, mirrored, multi_worker, jax_devices, jax_processes)}
STRATEGY = ENGINES[ENGINE]()

import keras_gan as kg


@keras.saving.register_keras_serializable(package="test")
class Table(kg.priors.Prior):
    """Latents that are the same rows of a table, however many replicas share them."""

    def draw(self, shape, key):
        first = 0
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            context = tf.distribute.get_replica_context()
            if context is not None and context.num_replicas_in_sync > 1:
                first = context.replica_id_in_sync_group * shape[0]
        return ops.convert_to_tensor(LATENTS)[first : first + shape[0]]


@keras.saving.register_keras_serializable(package="test")
class NoiselessDRAGAN(kg.terms.DRAGAN):
    """A penalty whose points depend on the deviation of the whole batch, and on no draw."""

    def _uniform(self, shape):
        return 0.3 * ops.ones(shape)


@keras.saving.register_keras_serializable(package="test")
class Recorder(layers.Layer):
    """Keeps the sum of its latest training inputs, replica by replica."""

    def build(self, shape):
        self.sums = self.add_weight(
            name="sums", shape=(2,), initializer="zeros", trainable=False, aggregation="sum"
        )

    def call(self, inputs, training=False):
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if training and context is not None and context.num_replicas_in_sync == 2:
            mine = tf.one_hot(context.replica_id_in_sync_group, 2)
            self.sums.assign(mine * ops.sum(inputs))
        return inputs


def network(inputs, outputs, seed, batch_norm=False, dropout=0.0, name=None):
    """A small network with what is difficult on several devices."""
    kernels = [keras.initializers.GlorotUniform(seed=seed + i) for i in range(2)]
    parts = [keras.Input((inputs,))]
    # A bias before normalization has no effect, so that its gradient is rounding and nothing else.
    bias = not batch_norm
    parts.append(layers.Dense(16, "tanh", bias, kernel_initializer=kernels[0], name="hidden"))
    # Only TensorFlow has replicas that normalize apart.
    apart = {"synchronized": True} if keras.backend.backend() == "tensorflow" else {}
    parts += [layers.BatchNormalization(**apart)] if batch_norm else []
    parts += [layers.Dropout(dropout, seed=seed)] if dropout else []
    return keras.Sequential([*parts, layers.Dense(outputs, kernel_initializer=kernels[1])], name=name)


def make(batch_norm=False, dropout=0.0, prior=None, policy="float32", **compile_arguments):
    """A GAN of two such networks."""
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    parts = {"batch_norm": batch_norm, "dropout": dropout}
    with STRATEGY.scope() if STRATEGY else contextlib.nullcontext():
        optimizers = {
            # A large epsilon: where gradients almost vanish, Adam would make steps of their rounding.
            "d_optimizer": keras.optimizers.Adam(1e-2, epsilon=1e-3),
            "g_optimizer": keras.optimizers.SGD(0.05, momentum=0.9),
        }
        gan = kg.GAN(
            network(4, 2, 1, **parts, name="g"),
            network(2, 1, 11, **parts, name="d"),
            prior=prior or Table(),
            seed=3,
        )
        gan.compile(**{**optimizers, **compile_arguments})
    return gan


def batches(k=1):
    """The same batches of 16 rows for all, of which each process of JAX brings its half.

    Two replicas of TensorFlow cut their own halves of a batch into k minibatches.
    """
    if ENGINE == "jax_processes":
        return Halves(workers=1)
    import tensorflow as tf

    rows = ROWS
    if ENGINE == "alone" and keras.backend.backend() == "tensorflow":
        rows = ROWS.reshape(-1, 2, k, BATCH // 2 // k, 2).swapaxes(1, 2).reshape(ROWS.shape)
    data = tf.data.Dataset.from_tensor_slices(rows).batch(BATCH, drop_remainder=True)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return data.with_options(options)


class Halves(keras.utils.PyDataset):
    """Each process' half of every batch."""

    def __len__(self):
        return len(ROWS) // BATCH

    def __getitem__(self, index):
        rows = ROWS[index * BATCH : (index + 1) * BATCH]
        return (np.split(rows, 2)[WORKER],)


def everything(gan):
    """All that changes during training, under its path."""
    variables = [*gan.variables, *gan.optimizer.variables]
    return {f"{i} {v.path}": ops.convert_to_numpy(v) for i, v in enumerate(variables)}


RUNS = {
    "plain": lambda: {"gradient_norms": True},
    "joint_simultaneous": lambda: {"single_pass": True, "update": "simultaneous"},
    "shared_feature_matching": lambda: {
        "update": kg.updates.Alternating(share_fakes=True),
        "terms": [kg.terms.FeatureMatching("hidden")],
    },
    "lazy_r1_batch_norm": lambda: {"batch_norm": True, "terms": [kg.terms.R1(0.5, interval=2)]},
    "average": lambda: {"batch_norm": True, "ema_decay": 0.9},
    "extragradient": lambda: {"update": "extragradient"},
    "consensus": lambda: {"update": "consensus"},
    "optimistic_historical": lambda: {
        "update": "optimistic",
        "terms": [kg.terms.HistoricalAveraging("generator", 0.1)],
    },
    # The critic's last bias has no gradient, of which Adam would make steps in a random direction.
    "relativistic_average": lambda: {"loss": "relativistic_average", "d_optimizer": "sgd"},
    "lazy_dragan": lambda: {"terms": [NoiselessDRAGAN(interval=2)]},
    "adaptive_steps": lambda: {  # k is 1, and then 2
        "update": kg.updates.BalancedSteps(0.9, 1.0, decay=0.5, patience=3),
        "discriminator_steps": 2,
        "batch_norm": True,
    },
    "float16": lambda: {"policy": "mixed_float16"},
    "noise": lambda: {"prior": "normal", "dropout": 0.5},
}


def parity(folder, names):
    """Play each of the named games from the same point."""
    for name in names:
        gan = make(**RUNS[name]())
        rows = batches(gan.discriminator_steps)
        history = gan.fit(rows, epochs=2, verbose=0, shuffle=False).history
        write(
            folder / f"{name}.npz", {**everything(gan), **{k: np.array(v) for k, v in history.items()}}
        )


def noise(folder):
    """Say what latents and dropout each of two replicas drew, and how the seeds stand afterwards."""
    with STRATEGY.scope() if STRATEGY else contextlib.nullcontext():
        ones = layers.Dense(8, kernel_initializer="zeros", bias_initializer="ones", trainable=False)
        dropout = layers.Dropout(0.5, seed=1)
        gan = kg.GAN(
            keras.Sequential([keras.Input((4,)), Recorder(), layers.Dense(2)]),
            keras.Sequential([keras.Input((2,)), ones, dropout, Recorder(), layers.Dense(1)]),
            prior="normal",
            seed=1,
        )
        gan.compile("sgd", "sgd")
    gan.fit(batches(), verbose=0, shuffle=False)
    sums = [ops.convert_to_numpy(v) for v in gan.variables if v.path.endswith("sums")]
    seeds = [ops.convert_to_numpy(seed) for seed in gan.seeds]
    write(folder / "noise.npz", {"sums": np.array(sums), "seeds": np.array(seeds)})


def refused(folder):
    """Train with batch statistics that replicas do not share."""
    with STRATEGY.scope():
        norm = layers.BatchNormalization(name="norm")
        gan = kg.GAN(
            keras.Sequential([keras.Input((4,)), layers.Dense(2), norm]), network(2, 1, 0), seed=0
        )
        gan.compile("sgd", "sgd")
    try:
        gan.fit(batches(), verbose=0, shuffle=False)
    except ValueError as error:
        (folder / "refused.txt").write_text(str(error))


def handover(folder):
    """Save in the middle of a run, and play it to its end."""
    gan = make(batch_norm=True, ema_decay=0.9)
    gan.fit(batches(), verbose=0, shuffle=False)
    gan.save(folder / f"half-{WORKER}.keras")
    write(folder / "half.npz", everything(gan))
    gan.fit(batches(), verbose=0, shuffle=False)
    write(folder / "whole.npz", everything(gan))


class Die(keras.callbacks.Callback):
    """Kills its process in the middle of the third epoch, if it is told to."""

    def on_train_batch_end(self, batch, logs=None):
        if "DIE" in os.environ and self.epoch == 2 and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


def resumed(folder):
    """Play with a state after every epoch, some pictures, and perhaps a sudden end of one process."""
    gan = make(batch_norm=True, ema_decay=0.9)
    history = gan.fit(
        batches(),
        epochs=4,
        verbose=0,
        shuffle=False,
        callbacks=[kg.callbacks.Resume(folder / "resume"), Die()],
    )
    samples = gan.generate(5, seed=0, use_ema=True)
    write(folder / "resumed.npz", {**everything(gan), "samples": samples, **history.history})


def write(path, arrays):
    """Keep what the first process has found."""
    if WORKER == 0:
        np.savez(path, **{name.replace("/", "|"): array for name, array in arrays.items()})


if __name__ == "__main__":
    output = pathlib.Path(sys.argv[2])
    for task in sys.argv[3:]:
        name, _, rest = task.partition(":")
        globals()[name](output, *([rest.split(",")] if rest else []))

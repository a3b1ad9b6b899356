"""Compare adaptive k with every fixed k, for a discriminator whose gradients are noisy.

    python -m benchmarks.adaptive_steps                       # about 8 minutes on one core
    python -m benchmarks.adaptive_steps --noise 0 --seeds 1

The data are the ring of 8 Gaussians. As in private training, the discriminator's gradient is clipped to
a norm of 1, and Gaussian noise is added to each entry. All contenders take the same number of steps of
the discriminator. The energy distance, the modes and the share of good samples are those of the EMA of
the weights; the right half of the table has them at the time when the fastest contender ended. Time is
that of the processor, without compilation and measurements.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import keras
import numpy as np
from keras import layers

import keras_gan as kg

ROWS = 64  # of a minibatch
LARGEST = 10
STEPS = 20_000  # of the discriminator
SAMPLES = 2_500
MIXTURE = kg.datasets.GaussianMixture.ring(std=0.05)
FIXED = (1, 2, 5, 10)
RULES = {"balanced": kg.updates.BalancedSteps, "increasing": kg.updates.IncreasingSteps}


class NoisyAdam(keras.optimizers.Adam):
    """Adam that adds Gaussian noise to each entry of the clipped gradient."""

    def __init__(self, noise, seed):
        super().__init__(1e-3, beta_1=0.5, global_clipnorm=1.0)
        self.noise, self.draws = noise, keras.random.SeedGenerator(seed)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable."""
        noise = keras.random.normal(variable.shape, stddev=self.noise, seed=self.draws)
        super().update_step(gradient + noise, variable, learning_rate)


def network(inputs, outputs, seed):
    """Return a network of two hidden layers."""
    parts = [keras.Input((inputs,))]
    for i, units in enumerate((64, 64, outputs)):
        kernel = keras.initializers.HeNormal(seed=10 * seed + i)
        parts.append(layers.Dense(units, kernel_initializer=kernel))
        parts += [layers.LeakyReLU(0.2)] if units != outputs else []
    return keras.Sequential(parts)


def energy_distance(samples, data):
    """Return 2E|X − Y| − E|X − X'| − E|Y − Y'|, 0 for equal distributions."""

    def distance(a, b):
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return np.sqrt(np.maximum(squares, 0.0)).mean()

    samples, data = samples.astype("float64"), data.astype("float64")
    return 2 * distance(samples, data) - distance(samples, samples) - distance(data, data)


class Measure(keras.callbacks.Callback):
    """Measures the samples after each epoch, and ends the run at the last discriminator step."""

    def __init__(self, steps):
        super().__init__()
        self.steps, self.rows, self.seconds = steps, [], []
        self.data = MIXTURE.sample(SAMPLES, seed=10_000)[0]

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.start = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        """Stop the clock, and measure."""
        self.seconds.append(time.process_time() - self.start)
        samples = self.model.generate(SAMPLES, seed=1, use_ema=True)
        modes, good = kg.metrics.mode_coverage(samples, MIXTURE.centers, MIXTURE.std)
        taken = int(keras.ops.convert_to_numpy(self.model.d_optimizer.iterations))
        self.rows.append((taken, energy_distance(samples, self.data), modes, good))
        self.model.stop_training = taken >= self.steps

    def table(self):
        """Return rows of steps, seconds, energy distance, modes and share; the first epoch compiles."""
        seconds = np.cumsum([self.seconds[1], *self.seconds[1:]])
        return [(steps, s, *scores) for s, (steps, *scores) in zip(seconds, self.rows, strict=True)]


def run(name, noise, seed, steps):
    """Train one contender, `"1"` to `"10"` or a rule; return its table and its mean k."""
    k = int(name) if name.isdigit() else LARGEST
    update = "alternating" if name.isdigit() else RULES[name]()
    gan = kg.GAN(network(8, 2, 2 * seed), network(2, 1, 2 * seed + 1), prior="normal", seed=seed)
    gan.compile(
        NoisyAdam(noise, seed),
        keras.optimizers.Adam(1e-3, beta_1=0.5),
        update=update,
        discriminator_steps=k,
        ema_decay=0.995,
        steps_per_execution=20,
    )
    points = kg.datasets.load(MIXTURE.sample(100_000, seed=seed)[0], batch_size=ROWS * k, seed=seed)
    measure, each = Measure(steps), steps // (20 * k) // 20 * 20 or 20
    gan.fit(points.repeat(), steps_per_epoch=each, epochs=10**6, callbacks=[measure], verbose=0)
    return measure.table(), gan.history.history.get("discriminator_steps", [k])


def report(runs):
    """Print the table of all runs, by contender."""
    shortest = min(table[-1][1] for tables in runs.values() for table, _ in tables)
    print("| k | energy distance | modes | good samples | seconds | mean k | ", end="")
    print(f"at {shortest:.1f} s: energy distance | modes | good samples |")
    print("|---|" + "---:|" * 8)
    for name, tables in runs.items():
        last = [table[-1] for table, _ in tables]
        early = [[row for row in table if row[1] <= shortest][-1] for table, _ in tables]
        cells = [_mean(rows, column) for rows, column in [(last, 2), (last, 3), (last, 4), (last, 1)]]
        cells.append(f"{np.mean([np.mean(ks) for _, ks in tables]):.1f}")
        cells += [_mean(early, column) for column in (2, 3, 4)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _mean(rows, column):
    values = [row[column] for row in rows]
    return f"{np.mean(values):.3g} ± {np.std(values):.1g}"


def main(argv=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--noise", type=float, default=0.5, help="standard deviation of the noise")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of the discriminator")
    parser.add_argument("--only", nargs="+", default=[*map(str, FIXED), *RULES])
    arguments = parser.parse_args(argv)
    runs = {}
    for name in arguments.only:
        runs[name] = [
            run(name, arguments.noise, seed, arguments.steps) for seed in range(arguments.seeds)
        ]
        for table, ks in runs[name]:
            print(name, "steps, s, energy, modes, good:", *table[-1], "k:", ks[:: len(ks) // 5 or 1])
    report(runs)


if __name__ == "__main__":
    main()

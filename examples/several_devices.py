r"""One GAN on several devices: the GPUs of a machine, or the machines of a cluster.

The adversarial nets of `gan_mnist.py` on all devices, as docs/scaling.md explains.

    python examples/several_devices.py                          # all GPUs of this machine

On two machines of a cluster, `first` and `second`, on TensorFlow:

    WORKERS='"worker": ["first:4000", "second:4000"]'
    TF_CONFIG="{\"cluster\": {$WORKERS}, \"task\": {\"type\": \"worker\", \"index\": 0}}" \
        python examples/several_devices.py --output /shared/run

with index 1 on the second; on JAX:

    KERAS_BACKEND=jax python examples/several_devices.py --cluster first:4000 --machines 2 --machine 0 \
        --output /shared/run

with `--machine 1` on the second. `--output` is a folder that both can access. If a machine fails, the
run ends with an error on all of them; the same commands resume it from the last epoch.
"""

import argparse
import contextlib
import os
import pathlib

import keras

import keras_gan as kg


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="mnist5k", help="mnist5k, mnist, fashion_mnist, ...")
    parser.add_argument("--split", default="train")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=200, help="global batch size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/several_devices"))
    cluster = parser.add_argument_group("a cluster, on JAX")
    cluster.add_argument("--cluster", help="address and port of machine 0, such as first:4000")
    cluster.add_argument("--machines", type=int, default=1)
    cluster.add_argument("--machine", type=int, default=0, help="number of this machine, from 0")
    return parser.parse_args(argv)


def devices(args):
    """Return the context in which a model is created for all devices."""
    if keras.backend.backend() == "jax":
        if args.cluster:
            keras.distribution.initialize(args.cluster, args.machines, args.machine)
        # Each machine loads its own part of a batch, `shard` below.
        parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
        return contextlib.nullcontext()
    import tensorflow as tf

    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy().scope()
    return tf.distribute.MirroredStrategy().scope()


def main(argv=None):
    """Train, with sample grids and checkpoints."""
    args = arguments(argv)
    keras.utils.set_random_seed(args.seed)
    scope = devices(args)
    options = {"image_size": 28, "channels": 1}
    images = kg.datasets.load_arrays(args.dataset, args.split, **options)
    # Replicas share a batch evenly, so a smaller last batch of an epoch is dropped.
    rows = len(images) // args.batch_size * args.batch_size
    train = kg.datasets.load(
        images[:rows],
        batch_size=args.batch_size,
        seed=args.seed,
        shard=(args.machine, args.machines),
    )
    with scope:
        gan = kg.GAN(
            kg.architectures.mnist_generator(images.mean(axis=0), seed=args.seed),
            kg.architectures.mnist_discriminator(seed=args.seed),
            seed=args.seed,
        )
        gan.compile(**kg.recipes.adam_r1_ema(ema_decay=0.999))
    gan.fit(
        train,
        epochs=args.epochs,
        callbacks=[
            kg.callbacks.SampleGrid(args.output / "samples", every=5, use_ema=True),
            kg.callbacks.TrainingCurves(args.output / "curves.png"),
            kg.callbacks.Resume(args.output / "resume"),
        ],
    )


if __name__ == "__main__":
    main()

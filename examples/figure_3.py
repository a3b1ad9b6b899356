"""Figure 3 of the paper: interpolation between latents.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014, arXiv 1406.2661.

    python examples/figure_3.py                      # the model of gan_mnist.py
    python examples/figure_3.py --path spherical     # White, 2016, arXiv 1609.04468

Each row interpolates in equal steps between two latents, drawn with seed 0 and not selected. Seconds on
2 cores if the model exists; otherwise gan_mnist.py trains it first, in 4 minutes.
"""

import argparse
import pathlib

import figure_2
from gan_mnist import positive
from keras import ops

from keras_gan.interpolation import PATHS, interpolate
from keras_gan.visualization import image_grid, save_png, to_uint8


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    figure_2.add_model(parser)
    parser.add_argument("--path", default="linear", choices=list(PATHS), help="default: linear")
    parser.add_argument("--rows", type=positive, default=4, help="(default: 4)")
    parser.add_argument("--steps", type=positive, default=14, help="images per row (default: 14)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default="runs/figure_3", help="output folder")
    return parser.parse_args(argv)


def main(argv=None):
    """Load or train, and draw."""
    args = arguments(argv)
    gan = figure_2.load_gan(args)
    latents = ops.convert_to_numpy(gan.prior.sample(2 * args.rows, args.seed))
    points = interpolate(latents[: args.rows], latents[args.rows :], args.steps, path=args.path)
    images = figure_2.draw(gan, latents=points.reshape(-1, *latents.shape[1:]))
    levels = to_uint8(images, figure_2.shown_range(images))
    path = args.output / "figure_3.png"
    save_png(path, image_grid(levels, args.rows, args.steps))
    print(f"Each row interpolates between two latents on a {args.path} path. {path.resolve()}")


if __name__ == "__main__":
    main()

"""The program as a module: `python -m keras_gan_cli`."""

import sys

from keras_gan_cli import main

sys.exit(main(sys.argv[1:]))

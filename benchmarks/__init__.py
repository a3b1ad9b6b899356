"""Compare the speed of keras_gan with its peers and the limit of the machine: `python -m benchmarks`."""

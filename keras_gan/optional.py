"""Optional packages: imported where they are used, and missed with the command that brings them."""

import importlib

PACKAGES = {
    "matplotlib": "plot",
    "mlxtend": "demo",
    "PIL": "plot",
    "scipy": "datasets",
    "tensorflow_datasets": "datasets",
    "tensorflow_probability": "tfp",
}


def require(module):
    """Import an optional package, or say which extra brings it.

    Args:
        module: name of the module, such as `"matplotlib.pyplot"`.

    Returns:
        The imported module.

    Raises:
        ImportError: the package is not installed; the message holds the `pip install` line.

    Example:

    >>> from keras_gan.optional import require
    >>> require("PIL.Image").__name__
    'PIL.Image'
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This needs the optional package {package!r}, which could not be imported ({error}). "
            f"Install it with: pip install keras-gan[{PACKAGES[package]}]"
        ) from error

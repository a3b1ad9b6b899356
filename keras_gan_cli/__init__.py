"""The program `keras-gan`: train, sample, interpolate, evaluate, export and look at GANs.

A package beside `keras_gan`, because the environment of TensorFlow must be set before it is
imported, and because help, and arguments that cannot be, should not wait for that import.
"""

import contextlib
import errno
import os
import sys
import warnings

# What bad input, a missing package and a missing network raise. All else is a defect.
_REFUSALS = (ValueError, TypeError, OSError, ImportError)
# By name, since TensorFlow need not have been imported.
_OUT_OF_MEMORY = ("MemoryError", "_ArrayMemoryError", "ResourceExhaustedError")
_INTERRUPTED = 130
_ENVIRONMENT = {
    # Of TensorFlow's messages, none is about what the user did.
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # Else convolutions take twice as long on processors without AVX-512.
    "TF_ENABLE_ONEDNN_OPTS": "1",
}


def main(argv=None):
    """Run `keras-gan` with arguments, those of the process by default, and return its exit code.

    Bad input is told in one line on stderr, with exit code 2; `KERAS_GAN_TRACEBACK=1` in the
    environment shows where it was noticed. Ctrl-C gives 130, as of any program that it ends.

    Args:
        argv: list of strings, without the program's name.

    Example:

    >>> from keras_gan_cli import main
    >>> main(["train", "./nowhere"])  # tells on stderr that there is no such folder
    2
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    warnings.showwarning = _tell_warning
    with contextlib.suppress(AttributeError):  # of what stands in for stdout
        sys.stdout.reconfigure(errors="replace")  # names of files may be in no encoding
    try:
        import click
    except ImportError:
        return _refuse("some packages are missing: pip install click rich matplotlib pillow mlxtend")
    from keras_gan_cli.commands import keras_gan

    try:
        return keras_gan.main(argv, prog_name="keras-gan", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except click.ClickException as error:
        return _refuse(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except Exception as error:
        reason = _reason(error)
        if reason is None or os.environ.get("KERAS_GAN_TRACEBACK"):
            raise
        return _refuse(reason)


def _reason(error):
    """Return what to tell of an error, or None of a defect."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({error}). What was saved before is whole; make room, and try again."
    if type(error).__name__ in _OUT_OF_MEMORY:
        return "there is not enough memory. Ask for fewer or smaller images, or for a smaller --width."
    return error if isinstance(error, _REFUSALS) else None


def _refuse(reason):
    print(f"keras-gan: {_one_line(reason)}", file=sys.stderr)
    return 2


def _tell_warning(message, category, filename, lineno, file=None, line=None):
    print(f"keras-gan: {_one_line(message)}", file=sys.stderr)


def _one_line(message):
    return " ".join(str(message).split())

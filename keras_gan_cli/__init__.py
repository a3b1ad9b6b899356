"""The program `keras-gan`: train, sample, interpolate, evaluate, export and inspect GANs.

It is a package of its own because TensorFlow's environment must be set before `keras_gan` is
imported, and because help and invalid options should not wait for that import.
"""

import contextlib
import errno
import os
import sys
import warnings

# Raised for invalid input, a missing package and a missing network. Anything else is a defect.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError)
# By name, since TensorFlow may not have been imported.
_OUT_OF_MEMORY = ("MemoryError", "_ArrayMemoryError", "ResourceExhaustedError")
_INTERRUPTED = 130
_ENVIRONMENT = {
    # TensorFlow's log messages are not useful to users of this program.
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # Without it, convolutions take twice as long on processors without AVX-512.
    "TF_ENABLE_ONEDNN_OPTS": "1",
}


def main(argv=None):
    """Run `keras-gan` with arguments, by default those of the process, and return its exit code.

    Invalid input is reported in one line on stderr, with exit code 2; `KERAS_GAN_TRACEBACK=1` in the
    environment shows where it was found. Ctrl-C gives 130, as for any program that it ends.

    Args:
        argv: list of strings, without the program's name.

    Example:

    >>> from keras_gan_cli import main
    >>> main(["train", "./nowhere", "--size", "large"])  # reports the value on stderr
    2
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    warnings.showwarning = _print_warning
    with contextlib.suppress(AttributeError):  # stdout may be replaced
        sys.stdout.reconfigure(errors="replace")  # file names may be in no encoding
    try:
        import click
    except ImportError:
        return _refuse("some packages are missing: pip install click matplotlib pillow mlxtend")
    from keras_gan_cli.commands import keras_gan

    try:
        return keras_gan.main(argv, prog_name="keras-gan", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except click.NoSuchOption as error:
        return _refuse(_unknown_option(error))
    except click.ClickException as error:
        return _refuse(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except Exception as error:
        reason = _reason(error)
        if reason is None or os.environ.get("KERAS_GAN_TRACEBACK"):
            raise
        return _refuse(reason)


def _unknown_option(error):
    hint = ""
    if error.option_name.lstrip("-") in ("lr", "learning-rate", "loss", "optimizer", "latent-dim"):
        hint = " --architecture decides it; a program in Python can choose it: see docs/first-gan.md."
    command = error.ctx.command_path if error.ctx else "keras-gan"
    return f"No such option: {error.option_name}.{hint} {command} --help lists the options."


def _reason(error):
    """Return the message to report for an error, or None for a defect."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full ({error}). Files saved before are whole; free some space and try again."
        )
    if type(error).__name__ in _OUT_OF_MEMORY:
        return "there is not enough memory. Choose fewer or smaller images, or a smaller --width."
    return error if isinstance(error, _USER_ERRORS) else None


def _refuse(reason):
    print(f"keras-gan: {_one_line(reason)}", file=sys.stderr)
    return 2


def _print_warning(message, category, filename, lineno, file=None, line=None):
    print(f"keras-gan: {_one_line(message)}", file=sys.stderr)


def _one_line(message):
    return " ".join(str(message).split())

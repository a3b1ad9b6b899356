"""Lines and tables that the command line prints, on stdout."""

import shutil
import textwrap

import click

_MAX_WIDTH = 80
_INDENT = "  "


def pluralize(number, noun):
    """Return a number and a noun, such as "1 epoch" or "2,000 epochs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_table(title, rows):
    """Print a title and a table of two columns, without rows whose value is None.

    Values are wrapped between words to the width of the terminal, 80 columns at most.

    Args:
        title: string above the table.
        rows: dict of names and values.
    """
    rows = {name: str(value) for name, value in rows.items() if value is not None}
    width = max(map(len, rows))
    click.echo(f"\n{click.style(title, bold=True)}\n")
    for name, value in rows.items():
        print_line(value, f"{_INDENT}{name:<{width}}{_INDENT}")
    click.echo()


def print_line(text, first=""):
    """Print text wrapped between words; what follows the first line is indented as far as `first`."""
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
    options = {"break_long_words": False, "break_on_hyphens": False}
    lines = textwrap.wrap(
        text, width, **options, initial_indent=first, subsequent_indent=" " * len(first)
    )
    click.echo("\n".join(lines) or first)


class FileProgress:
    """Progress bar of the files that are read; without a terminal, one line.

    An instance is the argument `progress` of `kg.datasets.load`.
    """

    def __init__(self):
        self.bar = None

    def __call__(self, done, total):
        """Show that `done` of `total` files are read."""
        if self.bar is None:
            self.bar = click.progressbar(length=total, label=f"Reading {pluralize(total, 'image')}")
            self.bar.render_progress()
        self.bar.update(done - self.bar.pos)
        if done == total:
            self.bar.render_finish()
            self.bar = None

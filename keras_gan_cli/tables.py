"""What the command line shows: tables and lines on stdout."""

import rich.console
import rich.markup
import rich.table


def count(number, what):
    """Return a number of things as text, such as "1 epoch"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def show(title, rows):
    """Print a table of two columns, without the rows whose value is None.

    Args:
        title: str above it.
        rows: dict from names to values.
    """
    table = rich.table.Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, rich.markup.escape(str(value)))
    console = _console()
    console.print(f"\n[bold]{rich.markup.escape(title)}[/bold]\n", soft_wrap=True)
    console.print(table)
    console.print()


def tell(text):
    """Print lines, which are not folded: a command in them can be copied."""
    _console().print(text, markup=False, soft_wrap=True)


def _console():
    # Made anew, since it takes the stdout that there is when it is made.
    return rich.console.Console(highlight=False, emoji=False)

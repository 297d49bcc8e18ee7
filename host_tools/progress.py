# SPDX-License-Identifier: MIT
"""A progress bar on a terminal, nothing in a pipe; questions to a person."""

import contextlib
import sys

from host_tools.errors import BadInput


@contextlib.contextmanager
def bar(title):
    """A function of the fraction done, None in a pipe. Until it is called the bar only shows that
    something is under way; at the end it goes away."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(title), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=None)
        yield lambda fraction: shown.update(task, total=1.0, completed=fraction)


@contextlib.contextmanager
def counted(title, total):
    """The same for a number of bytes or steps: yields advance(count), `total` in all."""
    done = 0

    def advance(count):
        nonlocal done
        done += count
        if show is not None:
            show(min(1.0, done / max(total, 1)))

    with bar(title) as show:
        yield advance


def confirm(question, arguments):
    """True for yes; --yes answers it. BadInput where there is nobody to ask."""
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        raise BadInput("nobody can be asked here: --yes agrees beforehand")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")

# SPDX-License-Identifier: MIT
"""A progress bar on standard error where a person looks at it; nothing where a program does."""

import sys
from contextlib import contextmanager


@contextmanager
def bar(text, total):
    """Yields advance(count): `total` in all. Gone when done."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=max(total, 1))
        yield lambda count: progress.advance(task, count)

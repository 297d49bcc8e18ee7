# SPDX-License-Identifier: MIT
"""Run a loaded scenario and leave its report whole or not at all."""

import json
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from hil.scenarios.check import BadInput


def execute(scenario, target, out_dir):
    """Run a loaded scenario on a target class with a progress bar; write and return the result."""
    from hil.bench import Bench

    check_out(out_dir)
    check_config(scenario)
    with tempfile.TemporaryDirectory() as work_dir:
        bench = Bench(scenario, target, work_dir)
        with progress_bar(f"{scenario.name} on {bench.target.name}") as progress:
            result = bench.run(progress)
    _write(result, Path(out_dir))
    return result


def check_config(scenario):
    """Refuse what the firmware's own validator refuses, in the words of the scenario file."""
    from firmline.services.config import ConfigError, load
    from firmline.services.config_fields import shown
    from hil.scenarios.load import build_config
    from hil.targets import firmware  # noqa: F401  (puts firmware/ on the path)

    try:
        load(json.dumps(build_config(scenario)))
    except ConfigError as error:
        field, accepted = (
            re.sub(r"\b(device|bus)e?s(?=\[|$)", r"\1", text)
            for text in (error.field, error.accepted)
        )
        text = f"{scenario.path}: {field} = {shown(error.value)}: expected {accepted}"
        raise BadInput(text) from None


def check_out(out_dir):
    """Refuse, before anything runs, a folder that a report cannot be written to."""
    folder = _existing(Path(out_dir))
    if not folder.is_dir():
        raise BadInput(f"--out {out_dir}: {folder} is a file: expected a folder")
    try:
        tempfile.TemporaryDirectory(dir=folder).cleanup()
    except OSError as error:
        reason = f"{folder} cannot be written to: {error.strerror}"
        raise BadInput(f"--out {out_dir}: {reason}: expected a folder of yours") from None


def _existing(folder):
    """`folder`, or the closest one above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _write(result, out_dir):
    """All files of the report or none: written elsewhere first, summary.json moved in last."""
    from hil.report.files import write_run

    with tempfile.TemporaryDirectory(dir=_existing(out_dir)) as staging:
        write_run(result, staging)
        out_dir.mkdir(parents=True, exist_ok=True)
        files = sorted(Path(staging).iterdir(), key=lambda file: file.name == "summary.json")
        for file in files:
            os.replace(file, out_dir / file.name)


@contextmanager
def progress_bar(title):
    """A function taking the fraction done; a bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    percent, left = TextColumn("{task.percentage:3.0f} %"), TextColumn("left")
    columns = (TextColumn(title), BarColumn(24), percent, TimeRemainingColumn(), left)
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)

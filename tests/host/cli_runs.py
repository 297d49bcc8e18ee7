# SPDX-License-Identifier: MIT
"""`python -m hil` for the tests of it: a small scenario, and what a call said and left behind."""

import os
import subprocess
import sys
from pathlib import Path

from hil import cli

ROOT = Path(__file__).resolve().parents[2]

# 63 A are not 100 %-rated: 50 A count, 11500 W. 9000 W firm less 3000 W leave 6000 W in fallback.
SMALL = """\
[scenario]
name = "small"
title = "A test bay"
duration_s = 3

[site]
name = "Test bay"
phases = 1
voltage_v = 230
service_a = 63
firm_import_w = 9000
firm_export_w = 2000
worst_case_load_w = 3000

[[bus]]
port = "uart0"
baud = 19200

[[device]]
name = "grid"
type = "eastron_sdm630"
bus = 0
unit = 1
role = "pcc"

[[device]]
name = "evse_a"
type = "abb_terra_ac"
bus = 0
unit = 11
plant = "car_a"
phases = "L1"
min_a = 6
max_a = 16

[[device]]
name = "evse_b"
type = "abb_terra_ac"
bus = 0
unit = 12
plant = "car_b"
phases = "L1"
min_a = 6
max_a = 16

[[device]]
name = "trip"
type = "trip_output"
pin = 3

[[plant.load]]
name = "household"
kind = "constant"
load_w = 700

[[plant.ev]]
name = "car_a"
phases = "L1"
energy_wh = 9000
max_a = 16

[[plant.ev]]
name = "car_b"
phases = "L1"
energy_wh = 9000
max_a = 16

[[expect]]
id = "TC-M01-09"
metric = "import_over_limit_s"
max = 0
requirement = "M01"
"""


def small(folder, *changes):
    """Path of the small scenario in `folder`; changes: (old text, new text), each there once."""
    text = SMALL
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def tree(folder):
    """Everything below `folder`, with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def call(capsys, *arguments):
    """(exit status, stdout, stderr) of a call in this process."""
    capsys.readouterr()
    try:
        status = cli.main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse has spoken
        status = end.code
    except KeyboardInterrupt:  # let loose, it would end the tests
        status = "KeyboardInterrupt"
    said = capsys.readouterr()
    return status, said.out, said.err


def start(*arguments, cwd, **options):
    """`python -m hil ...` as a process of its own group, its output in pipes."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    environment.pop("PYTHONUNBUFFERED", None)  # a pipe of a user is buffered
    return subprocess.Popen(
        [sys.executable, "-m", "hil", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **({"stdout": subprocess.PIPE} | options),
    )

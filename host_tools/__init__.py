# SPDX-License-Identifier: MIT
"""Tools for a person at a computer: deploy, commission, monitor, read the log.

CPython only; the firmware never imports them.
"""

import importlib.util
import sys
from pathlib import Path

# Run from a checkout the firmware lies beside this package; installed, it is a package already.
_FIRMWARE = Path(__file__).resolve().parents[1] / "firmware"
if importlib.util.find_spec("firmline") is None and _FIRMWARE.is_dir():
    sys.path.insert(0, str(_FIRMWARE))

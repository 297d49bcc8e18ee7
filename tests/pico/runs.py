# SPDX-License-Identifier: MIT
"""What the tests on the emulated chip have in common."""

import os
import re

import pytest

from hil.targets.firmware import TargetError
from hil.targets.pico import assets, chip, image
from host_tools import fold
from host_tools.compile import CompileError, mpy_cross


def assets_or_skip():
    """What the emulator needs. Where nobody asked for it the test is skipped, with the reason;
    where PICO_ASSETS is set it must be there, or a lapsed emulator would look like a pass."""
    try:
        found = assets.read()
        chip.check_installed()
        image.littlefs({})
        mpy_cross()
    except (TargetError, CompileError) as error:
        if os.environ.get("PICO_ASSETS"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    return found


def short_calls(text):
    """A source that is compiled without being folded, with the names that folded callers use."""
    for name, short in fold.public_names().items():
        text = re.sub(rf"\b{name}(?=\()", short, text)
    return text

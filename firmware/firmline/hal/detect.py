# SPDX-License-Identifier: MIT
"""Which hardware is this? The only function that knows the names of platforms."""

import sys


def open_hardware(arguments):
    """A hardware object for this platform; `arguments` (desktop only) as in hal/desktop.py."""
    if sys.platform == "rp2":
        from firmline.hal import choose, rp2

        return rp2.Hardware(choose.board())
    if sys.platform == "esp32":
        from firmline.hal import choose, esp32

        return esp32.Hardware(choose.board())
    from firmline.hal import desktop

    return desktop.open_hardware(arguments)

# SPDX-License-Identifier: MIT
"""Start the controller on whatever this is."""

import sys

from firmline import app
from firmline.hal import detect

if __name__ == "__main__":
    status = app.main(detect.open_hardware(sys.argv[1:]))
    if sys.platform in detect.DESKTOPS:  # on a board an exit is a soft reset, for ever
        sys.exit(status)

# SPDX-License-Identifier: MIT
"""Start the controller on whatever this is."""

import sys

from firmline import app
from firmline.hal import detect

if __name__ == "__main__":
    sys.exit(app.main(detect.open_hardware(sys.argv[1:])))

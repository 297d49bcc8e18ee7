# SPDX-License-Identifier: MIT
"""Start the controller on whatever this is."""

import sys

from firmline import app


def _hardware():
    from firmline.hal import detect  # not kept: memory is scarce on a board

    return detect.open_hardware(sys.argv[1:])


if __name__ == "__main__":
    status = app.main(_hardware())
    if status and sys.platform not in ("rp2", "esp32"):
        sys.exit(status)

# SPDX-License-Identifier: MIT
"""Start the controller on whatever this is."""

import sys

from firmline import app


def _hardware():
    from firmline.hal import detect  # not kept: memory is scarce on a board

    return detect.open_hardware(sys.argv[1:])


def _run():
    """Exit status. A restart that somebody asked for is a start anew in this process."""
    while True:
        hardware = _hardware()
        try:
            return app.main(hardware)
        except SystemExit:
            if not hardware.is_restarting:
                raise


if __name__ == "__main__":
    status = _run()
    if status and sys.platform not in ("rp2", "esp32"):
        sys.exit(status)

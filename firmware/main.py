# SPDX-License-Identifier: MIT
"""Start the controller on whatever this is. Bad configuration: outputs stay safe, the cause is
recorded, the console is left alive. Unexpected failure: outputs safe, cause recorded."""

import sys

from firmline.app import Controller
from firmline.hal import detect
from firmline.services.config import ConfigError, load


def main():
    hardware = detect.open_hardware(sys.argv[1:])
    try:
        controller = Controller(load(hardware.read_config()), hardware)
    except (ConfigError, OSError) as error:
        hardware.record_cause(str(error))
        return 2
    try:
        hardware.run(controller)
    except Exception as error:
        controller.fail()
        hardware.record_cause("stopped: " + repr(error))
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())

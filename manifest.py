# SPDX-License-Identifier: MIT
"""Freezes Firmline into a MicroPython that you build yourself:

    make -C ports/rp2 BOARD=RPI_PICO FROZEN_MANIFEST=/path/to/firmline/manifest.py

Bytecode then runs from flash and leaves the heap to the controller. The kernels stay bytecode:
what `firmline release` compiles to machine code is plain source here.
"""

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821 - given by MicroPython's makemanifest.py
package("firmline", base_path="firmware")  # noqa: F821
module("boot.py", base_path="firmware")  # noqa: F821
module("main.py", base_path="firmware")  # noqa: F821

# SPDX-License-Identifier: MIT
"""Safe mode: outputs at their idle level, no control, nobody commanded; the console stays alive.

Entered when a stage of the start fails (services/boot.py). Left by a restart: power-up, the reset
button, or the tools. The watchdog is not started: nothing here holds an output, a reset would
only lead back to here, and files can be copied in peace.
"""

from firmline.core.units import const, elapsed_ms

_SAY_MS = const(3000)  # a console over USB is not there yet when the chip starts
_AGAIN_MS = const(1000)


class SafeMode:
    """`cause`: why, a text. Advanced by `poll` like the controller."""

    def __init__(self, hardware, cause):
        self._hardware = hardware
        self.cause = cause
        self._has_begun = False
        self._has_said = False
        self._since_ms = 0
        self._safe_ms = 0

    def poll(self, now_ms):
        """Returns how long (ms) nothing more is due."""
        if not self._has_begun:
            self._has_begun = True
            self._since_ms = self._safe_ms = now_ms
        if elapsed_ms(now_ms, self._safe_ms) >= _AGAIN_MS:
            self._safe_ms = now_ms
            self._hardware.make_safe()  # whatever somebody did at the console
        if not self._has_said and elapsed_ms(now_ms, self._since_ms) >= _SAY_MS:
            self._has_said = True
            print("firmline: safe mode:", self.cause)
        return 100

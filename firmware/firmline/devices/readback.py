# SPDX-License-Identifier: MIT
"""Does an output do what it was told? Asked once a cycle, with what its pin or contact reads back.

Hazard H-12: a relay that disagrees for more than half a second is not counted on any more, until
the next start: a welded contact agrees again as soon as it is told what it does anyway.
"""

from firmline.core.units import const, elapsed_ms

_PATIENCE_MS = const(500)  # coil, contact and bounce are long over


class Readback:
    """output: of the hardware; `readback()` is asked, nothing is set."""

    def __init__(self, output):
        self._output = output
        self._agreed_ms = -1
        self.is_faulty = False

    def agrees(self, is_on, now_ms):
        """is_on: what it was told last. False once it has been at fault."""
        if self._agreed_ms < 0 or self._output.readback() == is_on:
            self._agreed_ms = now_ms
        elif elapsed_ms(now_ms, self._agreed_ms) > _PATIENCE_MS:
            self.is_faulty = True
        return not self.is_faulty

# SPDX-License-Identifier: MIT
"""Who has reported in since the watchdog was last fed. Decides *whether*; the app feeds, once.

A hang anywhere (bus, head-end, cycle, outputs) leaves a bit unset, the watchdog unfed, and the
board resets into safe outputs. Hazard H-06.
"""

from firmline.core.units import const, elapsed_ms

BUS = const(1)
HEAD_END = const(2)
CYCLE = const(4)
OUTPUTS = const(8)
REQUIRED = const(15)


class Supervisor:
    """tick_ms: the cycle must run at least this often; later ones are counted as late."""

    def __init__(self, tick_ms):
        self._late_ms = 2 * tick_ms
        self._seen = 0
        self._cycle_ms = 0
        self.cycles = 0
        self.late_cycles = 0

    def check_in(self, bit):
        self._seen |= bit

    def cycle_done(self, now_ms):
        """A cycle has run to its end; counts it, and as late if the gap passed two ticks."""
        if self.cycles and elapsed_ms(now_ms, self._cycle_ms) > self._late_ms:
            self.late_cycles += 1
        self._cycle_ms = now_ms
        self.cycles = (self.cycles + 1) & 0x1FFFFFFF
        self._seen |= CYCLE

    def may_feed(self):
        """True once for every complete round of check-ins."""
        if self._seen & REQUIRED != REQUIRED:
            return False
        self._seen = 0
        return True

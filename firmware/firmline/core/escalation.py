# SPDX-License-Identifier: MIT
"""The clock of an exceedance. One instance per direction; what a stage does is the guard's table.

Compliance must not depend on one model being right: if the proportional cut has not brought the
PCC back, harder and simpler measures follow at fixed fractions of the allowed time. Hazard H-04.
"""

from firmline.core.units import const, elapsed_ms

INSIDE = const(0)
CUT = const(1)  # at once: the allocator's proportional cut
TO_MINIMUM = const(2)  # at 60 % of the allowed time
PAUSE = const(3)  # at 75 %
TRIP = const(4)  # at 90 %

_MINIMUM_PERMILLE = const(600)
_PAUSE_PERMILLE = const(750)
_TRIP_PERMILLE = const(900)
_CLEAR_PERMILLE = const(100)  # this long inside ends it: a flicker must not restart the clock


class Escalation:
    """allowed_ms: the profile's time to be back inside, 1,000..60,000."""

    def __init__(self, allowed_ms):
        self._minimum_ms = allowed_ms * _MINIMUM_PERMILLE // 1000
        self._pause_ms = allowed_ms * _PAUSE_PERMILLE // 1000
        self._trip_ms = allowed_ms * _TRIP_PERMILLE // 1000
        self._clear_ms = allowed_ms * _CLEAR_PERMILLE // 1000
        self._is_clearing = False
        self._inside_ms = 0
        self.stage = INSIDE
        self.started_ms = 0

    def update(self, is_over, now_ms):
        """`is_over`: the newest sample is beyond the limit in force. Returns the stage."""
        if not is_over:
            self._clear(now_ms)
            return self.stage
        self._is_clearing = False
        if self.stage == INSIDE:
            self.stage = CUT
            self.started_ms = now_ms
        elif self.stage != TRIP:
            self._advance(elapsed_ms(now_ms, self.started_ms))
        return self.stage

    def _clear(self, now_ms):
        """Inside: the stage is kept until that has lasted a tenth of the allowed time."""
        if self.stage == INSIDE:
            return
        if not self._is_clearing:
            self._is_clearing = True
            self._inside_ms = now_ms
        if elapsed_ms(now_ms, self._inside_ms) >= self._clear_ms:
            self.stage = INSIDE
            self._is_clearing = False

    def _advance(self, over_ms):
        if over_ms >= self._trip_ms:
            self.stage = TRIP
        elif over_ms >= self._pause_ms:
            self.stage = PAUSE
        elif over_ms >= self._minimum_ms:
            self.stage = TO_MINIMUM

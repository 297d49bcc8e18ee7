# SPDX-License-Identifier: MIT
"""Two-stage trust in an input: fresh may be acted on, late may only tighten, lost means fallback.

The state is latched: an age is only measured while it is below the fallback time, so the
2**30 ms tick ring can never make an old input look young again. Hazard H-02.
"""

from firmline.core.units import const, elapsed_ms

FRESH = const(0)
LATE = const(1)
LOST = const(2)


class Freshness:
    """Lost until first marked. 0 < hold_ms < fallback_ms < 2**29."""

    def __init__(self, hold_ms, fallback_ms):
        self.hold_ms = hold_ms
        self.fallback_ms = fallback_ms
        self.state = LOST
        self.marked_ms = 0

    def mark(self, now_ms):
        """A valid input has just arrived."""
        self.marked_ms = now_ms
        self.state = FRESH

    def update(self, now_ms):
        """Advance to `now_ms`; call at least every few seconds. Returns FRESH, LATE or LOST."""
        if self.state != LOST:
            age_ms = elapsed_ms(now_ms, self.marked_ms)
            if age_ms > self.fallback_ms:
                self.state = LOST
            elif age_ms > self.hold_ms:
                self.state = LATE
        return self.state

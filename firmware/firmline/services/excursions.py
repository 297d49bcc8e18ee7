# SPDX-License-Identifier: MIT
"""How often, how long and how far the site was beyond the limit in force, one direction each.

An excursion begins and ends with the clock of core/escalation.py: a flicker does not end it. Each
one is counted; one of 15 s and more counts apart and becomes events when it ends (the shape of
ENA EREC G100: shorter ones are recorded, not counted). Called by the journal once a cycle while
one is open; never allocates, never raises.
"""

from firmline.core.units import AXES, const, elapsed_ms
from firmline.services import eventlog

_COUNTED_MS = const(15000)

# places in the counters, from the direction's base
_COUNT = const(0)
_COUNTED = const(1)
_LONGEST_S = const(2)
_PEAK_W = const(3)  # most beyond the limit, on whichever axis was worst
_ENERGY_WH = const(4)  # beyond the limit
_FIELDS = const(5)

_MOST = const(0x1FFFFFFF)
_MOST_W = const(1000000)
_MOST_STEP_MS = const(1000)  # 10**9 W ms stay below 2**30
_WMS_PER_WH = const(3600000)


class Excursions:
    """One direction. sign: 1 import, -1 export. clock: its core Escalation. limits, axis_w: of the
    cycle and of the snapshot. counts: array of ints that outlives a restart; from `base` on."""

    def __init__(self, sign, clock, limits, axis_w, counts, base, events):
        self._sign = sign
        self.clock = clock
        self._limits = limits
        self._limit_w = limits.high_w if sign > 0 else limits.low_w
        self._axis_w = axis_w
        self._counts = counts
        self._base = base
        self._events = events
        self.is_open = False
        self._binding = 0
        self._last_ms = 0
        self._over_ms = 0
        self._peak_w = 0
        self._energy_wms = 0
        self._energy_wh = 0

    def update(self, now_ms):
        """Once a cycle while the clock runs or `is_open`. True when a count has changed."""
        if not self.clock.stage:
            return self._end()
        if not self.is_open:
            self._begin(now_ms)
        step_ms = min(elapsed_ms(now_ms, self._last_ms), _MOST_STEP_MS)
        self._last_ms = now_ms
        self._over_ms = min(self._over_ms + step_ms, _MOST)
        over_w = self._beyond_w()
        self._peak_w = max(self._peak_w, over_w)
        self._energy_wms += over_w * step_ms
        self._energy_wh += self._energy_wms // _WMS_PER_WH
        self._energy_wms %= _WMS_PER_WH
        return False

    def _beyond_w(self):
        """On the worst axis, 0 while the excursion is only being cleared. The conductors that a
        site has not are never beyond anything."""
        worst_w = 0
        for axis in range(AXES):
            over_w = self._axis_w[axis] - self._limit_w[axis]
            worst_w = max(worst_w, over_w if self._sign > 0 else -over_w)
        return min(worst_w, _MOST_W)

    def _begin(self, now_ms):
        self.is_open = True
        self._binding = self._limits.binding[0 if self._sign > 0 else 1]
        self._last_ms = now_ms
        self._over_ms = self._peak_w = self._energy_wms = self._energy_wh = 0

    def _end(self):
        self.is_open = False
        is_counted = self._over_ms >= _COUNTED_MS
        over_s = self._over_ms // 1000
        self._add(_COUNT, 1)
        self._add(_COUNTED, is_counted)
        self._add(_ENERGY_WH, self._energy_wh)
        self._raise(_LONGEST_S, over_s)
        self._raise(_PEAK_W, self._peak_w)
        if is_counted:
            events = self._events
            sign = self._sign
            events.add(eventlog.E_EXCURSION, sign * over_s)
            events.add(eventlog.E_EXCURSION_W, sign * self._peak_w)
            events.add(eventlog.E_EXCURSION_WH, sign * self._energy_wh)
            events.add(eventlog.E_EXCURSION_LIMIT, self._binding)
        return True

    def _add(self, field, amount):
        at = self._base + field
        self._counts[at] = min(self._counts[at] + amount, _MOST)

    def _raise(self, field, value):
        at = self._base + field
        if value > self._counts[at]:
            self._counts[at] = value

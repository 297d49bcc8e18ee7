# SPDX-License-Identifier: MIT
"""What keeps proposals calm: a margin below each limit, and a gate before each rise."""

from array import array

from firmline.core.snapshot import watts_array
from firmline.core.units import AXES, const, elapsed_ms, mul_div

_MIN_MARGIN_W = const(50)


def indices_of(resources, kinds):
    """Where resources of these kinds are, as an array."""
    found = array("B")
    for index in range(resources.count):
        if resources.kind[index] in kinds:
            found.append(index)
    return found


def is_any_flying(resources, indices):
    """A changed command of one of `indices` has not had its effect yet."""
    for index in indices:
        if resources.in_flight[index]:
            return True
    return False


class Margins:
    """`high_w[axis]`, `low_w[axis]`: W kept free below import and export limits."""

    def __init__(self, site):
        self._site = site
        self._high_seen_w = array("i", [-1] * AXES)
        self._low_seen_w = array("i", [1] * AXES)
        self.high_w = watts_array(AXES)
        self.low_w = watts_array(AXES)

    def update(self, limits):
        """Worked out anew only where a limit has moved."""
        for axis in range(self._site.axes):
            if limits.high_w[axis] != self._high_seen_w[axis]:
                self._high_seen_w[axis] = limits.high_w[axis]
                self.high_w[axis] = self._share_w(limits.high_w[axis])
            if limits.low_w[axis] != self._low_seen_w[axis]:
                self._low_seen_w[axis] = limits.low_w[axis]
                self.low_w[axis] = self._share_w(-limits.low_w[axis])

    def _share_w(self, limit_w):
        return max(_MIN_MARGIN_W, mul_div(limit_w, self._site.margin_permille, 1000))


class Gate:
    """Lets a group of resources rise: nothing in flight, room seen for the whole delay."""

    def __init__(self, delay_ms):
        self._delay_ms = delay_ms
        self._since_ms = 0
        self.is_waiting = False

    def may_rise(self, is_wanted, now_ms):
        if not is_wanted:
            self.is_waiting = False
            return False
        if not self.is_waiting:
            self.is_waiting = True
            self._since_ms = now_ms
        if elapsed_ms(now_ms, self._since_ms) < self._delay_ms:
            return False
        self.is_waiting = False
        return True

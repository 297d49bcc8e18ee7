# SPDX-License-Identifier: MIT
"""What keeps proposals calm: a gate before each rise."""

from array import array

from firmline.core.units import elapsed_ms


def indices_of(resources, kinds):
    """Where resources of these kinds are, as an array."""
    found = array("B")
    for index in range(resources.count):
        if resources.kind[index] in kinds:
            found.append(index)
    return found


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

# SPDX-License-Identifier: MIT
"""The last events in RAM: a fixed ring of (seconds since start, code, value).

Adding never allocates and never fails: the oldest entry makes room and is counted in `dropped`.
Written by the app, read by the console, the store and host tools outside the hot path.
"""

from array import array

from firmline.core.units import TICKS_MASK, const

_COUNT_MASK = const(0x1FFFFFFF)

# the value is in parentheses; host_tools/names.py makes the words of these names
E_START = const(1)  # the controller started (why: services/boot.py)
E_MODE = const(2)  # the mode changed (new mode)
E_STAGE = const(3)  # the escalation stage changed (new stage)
E_LIMIT_CHANGED = const(4)  # the import limit in force changed (W)
E_HEAD_END = const(5)  # the head-end fell silent or came back (new state)
E_METER = const(6)  # the trust in the PCC sample changed (0 fresh, 1 late, 2 lost)
# a device does not answer any more, or an output does not do what it is told (its index among
# the resources, after them the trip outputs)
E_DEVICE_LOST = const(7)
E_DEVICE_BACK = const(8)  # a device answers (its index among the resources)
# one of 15 s and more ended (s, negative for export); the next three belong to it
E_EXCURSION = const(9)
E_EXCURSION_W = const(10)  # its peak beyond the limit (W, negative for export)
E_EXCURSION_WH = const(11)  # its energy beyond the limit (Wh, negative for export)
E_EXCURSION_LIMIT = const(12)  # what limited when it began (0 firm, 1 dynamic, 2 ceiling, ...)
E_LOCKED = const(13)  # too many trips: off until an installer has been here (trips so far)
E_UNLOCKED = const(14)  # an installer ended the lock-out with the service jumper (0)
E_STORE = const(15)  # what was kept is damaged (files not used) or cannot be kept (-1)
E_CONFIG_REFUSED = const(16)  # a stored one is damaged or makes no sense (generation)
E_CONFIG_OTHER = const(17)  # config.json is not the stored one, which is in force (generation)
CODES = const(18)  # 0 is none; 18: services/ct_meter.py


class EventLog:
    """`capacity` entries, 9 bytes each. `added` counts all events ever, `dropped` those gone."""

    def __init__(self, capacity=64):
        self.capacity = capacity
        self._time_s = array("i", [0] * capacity)
        self._code = bytearray(capacity)
        self._value = array("i", [0] * capacity)
        self._tick_ms = 0
        self._part_ms = 0
        self._is_started = False
        self.now_s = 0
        self.added = 0
        self.dropped = 0

    def poll(self, now_ms):
        """Set the time of what is added next. At least every few days: the tick ring has 12.4."""
        if self._is_started:
            step_ms = (now_ms - self._tick_ms) & TICKS_MASK
            self.now_s += step_ms // 1000
            self._part_ms += step_ms % 1000
            if self._part_ms >= 1000:
                self.now_s += 1
                self._part_ms -= 1000
        self._is_started = True
        self._tick_ms = now_ms

    def add(self, code, value):
        """Append one event at the time of the last poll; code 0..255, |value| < 2**30."""
        at = self.added % self.capacity
        self._time_s[at] = self.now_s
        self._code[at] = code
        self._value[at] = value
        self.added = (self.added + 1) & _COUNT_MASK
        if self.added > self.capacity:
            self.dropped = self.added - self.capacity

    def __len__(self):
        return min(self.added, self.capacity)

    def __iter__(self):
        return self.since(0)

    def code_at(self, sequence):
        """Of an event that is still held, without an allocation; `value_at` likewise."""
        return self._code[sequence % self.capacity]

    def value_at(self, sequence):
        return self._value[sequence % self.capacity]

    def since(self, sequence):
        """Yield (sequence, time_s, code, value), oldest first, of what is still held from
        `sequence` on. Allocates: readers only."""
        for number in range(max(sequence, self.dropped), self.added):
            at = number % self.capacity
            yield number, self._time_s[at], self._code[at], self._value[at]

# SPDX-License-Identifier: MIT
"""Shares one Modbus line among its devices: one transaction at a time, the most urgent first.

Order: tightening commands; the PCC meter whenever it is due, so that it owns at least every
second slot; then looser commands, refreshes, setup and reads, each kind in turn. Because dead
devices must not hide the meter, it also goes first after a failed transaction and after three
tightening commands in a row. While nothing is due the links are not even asked; they wake the
bus when they get a command. Never blocks, allocates or raises. Called by the controller.
"""

from firmline.core.units import HALF_RING_MS, const, elapsed_ms, remaining_ms
from firmline.devices.link import NO_JOB, WRITE_TIGHTER
from firmline.modbus.rtu import DONE, FAILED, IDLE

NO_METER = const(-1)
_MAX_SLOTS_WITHOUT_METER = const(3)


class Bus:
    """`links` is a list of DeviceLink, `meter_index` the PCC meter's place in it or -1."""

    def __init__(self, master, links, meter_index):
        self.master = master
        self.links = links
        self.meter_index = meter_index
        self.sample_ready = False  # set for each new sample of the meter; the reader clears it
        self._active = -1
        self._last = 0  # whose turn it was among the others
        self._slots_without_meter = 0
        self._has_failed = False
        self._best_priority = NO_JOB
        self._rest_ms = 0  # nothing is due for so long ...
        self._rested_ms = 0  # ... from here
        self._wake = bytearray(1)
        for link in links:
            link.wake = self._wake

    def poll(self, now_ms):
        """Advance the line. Call every 1..2 ms, or when bytes arrive or wait_ms has passed."""
        state = self.master.poll(now_ms)
        if state == DONE or state == FAILED:
            self._finish(state, now_ms)
            state = self.master.poll(now_ms)
        if state == IDLE:
            if self._wake[0] or elapsed_ms(now_ms, self._rested_ms) >= self._rest_ms:
                self._start(now_ms)

    def wait_ms(self, now_ms):
        """Milliseconds until `poll` is needed if no byte arrives: at least 1."""
        if not self.master.is_idle():
            return self.master.wait_ms(now_ms)
        if self._wake[0]:
            return 1
        wait = remaining_ms(now_ms, self._rested_ms, self._rest_ms)
        return wait if wait > 1 else 1

    def is_busy(self):
        """A transaction is under way."""
        return self._active >= 0

    def rest_ms(self, now_ms):
        """Milliseconds in which no link will want the line."""
        rest = HALF_RING_MS
        for k in range(len(self.links)):
            rest = min(rest, self.links[k].wait_ms(now_ms))
        return rest

    def _finish(self, state, now_ms):
        link = self.links[self._active]
        samples = link.samples
        link.finish(self.master, state, now_ms)
        if self._active == self.meter_index and link.samples != samples:
            self.sample_ready = True
        self._has_failed = state == FAILED
        self._active = -1
        self.master.release()

    def _start(self, now_ms):
        self._wake[0] = 0
        chosen = self._choose(now_ms)
        if chosen < 0:
            self._rest(now_ms)
            return
        self._rest_ms = 0
        if chosen == self.meter_index:
            self._slots_without_meter = 0
        else:
            self._slots_without_meter += 1
            self._last = chosen
        self._active = chosen
        self.links[chosen].begin(self.master, now_ms)

    def _rest(self, now_ms):
        self._rest_ms = self.rest_ms(now_ms)
        self._rested_ms = now_ms

    def _choose(self, now_ms):
        """Index of the link that gets the line now, -1 when nothing is due."""
        meter = self.meter_index
        is_meter_due = meter >= 0 and self.links[meter].job(now_ms) != NO_JOB
        if is_meter_due and self._slots_without_meter:
            if self._has_failed or self._slots_without_meter >= _MAX_SLOTS_WITHOUT_METER:
                return meter
        other = self._best_other(now_ms)
        if not is_meter_due:
            return other
        if other < 0 or (self._slots_without_meter and self._best_priority < WRITE_TIGHTER):
            return meter
        return other

    def _best_other(self, now_ms):
        """The most urgent of the others; equals take turns. Its priority is left behind."""
        best = -1
        index = self._last
        self._best_priority = NO_JOB
        for _ in range(len(self.links)):
            index = index + 1 if index + 1 < len(self.links) else 0
            if index != self.meter_index:
                priority = self.links[index].job(now_ms)
                if priority > self._best_priority:
                    best = index
                    self._best_priority = priority
        return best

# SPDX-License-Identifier: MIT
"""Shares one Modbus line among its devices: one transaction at a time, the most urgent first.

Order: tightening commands; the PCC meter whenever it is due, so that it owns at least every
second slot; then looser commands, refreshes, setup and reads, each kind in turn. Because dead
devices must not hide the meter, it also goes first after a failed transaction and after three
tightening commands in a row.

A link is asked for its job when its last answer may not hold any more: it was woken by a command,
its transaction ended, or the time it named is over. What the others said is kept in a table
(devices.due). Never blocks, allocates or raises. Called by the controller.
"""

from array import array

from firmline.core.units import HALF_RING_MS, const, elapsed_ms, remaining_ms
from firmline.devices.due import most_urgent, outdated, rest_ms
from firmline.devices.link import NO_JOB, WRITE_TIGHTER
from firmline.modbus.rtu import DONE, FAILED, IDLE

NO_METER = const(-1)
_MAX_SLOTS_WITHOUT_METER = const(3)
_SOON_MS = const(2)
_WAITING_MS = const(50)  # a job that waits for its turn may become another, more urgent one
_ROW = const(3)  # since when, for how long, priority


class Bus:
    """`links` is a list of DeviceLink, `meter_index` the PCC meter's place in it or -1."""

    def __init__(self, master, links, meter_index):
        self.master = master
        self.links = links
        self.meter_index = meter_index
        self._active = -1
        self._last = 0  # whose turn it was among the others
        self._slots_without_meter = 0
        self._has_failed = False
        self._rest_ms = 0  # nothing is due for so long ...
        self._rested_ms = 0  # ... from here
        self._count = len(links)
        self._board = array("i", [0] * (_ROW * self._count))
        self._wake = bytearray(b"\1" * (self._count + 1))
        for place in range(self._count):
            links[place].wake = self._wake
            links[place].place = place

    def poll(self, now_ms):
        """Advance the line. Call every 1..2 ms, or when bytes arrive or wait_ms has passed."""
        state = self.master.poll(now_ms)
        if state == DONE or state == FAILED:
            self._finish(state, now_ms)
            state = self.master.poll(now_ms)
        if state == IDLE:
            if self._wake[self._count] or elapsed_ms(now_ms, self._rested_ms) >= self._rest_ms:
                self._start(now_ms)

    def wait_ms(self, now_ms):
        """Milliseconds until `poll` is needed if no byte arrives: at least 1."""
        if not self.master.is_idle():
            return self.master.wait_ms(now_ms)
        if self._wake[self._count]:
            return 1
        wait = remaining_ms(now_ms, self._rested_ms, self._rest_ms)
        return wait if wait > 1 else 1

    def is_busy(self):
        """A transaction is under way."""
        return self._active >= 0

    def rest_ms(self, now_ms):
        """Milliseconds in which no link will want the line; asks them all, for the table may be
        behind."""
        rest = HALF_RING_MS
        for k in range(self._count):
            rest = min(rest, self.links[k].wait_ms(now_ms))
        return rest

    def is_meter_next(self, now_ms):
        """Only the silence after a frame, 2 ms at most, keeps the meter from being asked."""
        if self._active >= 0 or self.master.is_idle() or self.master.wait_ms(now_ms) > _SOON_MS:
            return False
        self._ask(now_ms)
        return self.meter_index >= 0 and self._choose() == self.meter_index

    def _finish(self, state, now_ms):
        link = self.links[self._active]
        link.finish(self.master, state, now_ms)
        self._has_failed = state == FAILED
        self._wake[self._active] = 1
        self._active = -1
        self.master.release()

    def _start(self, now_ms):
        self._ask(now_ms)
        chosen = self._choose()
        if chosen < 0:
            self._rest_ms = rest_ms(self._board, self._count, now_ms)
            self._rested_ms = now_ms
            return
        self._rest_ms = 0
        if chosen == self.meter_index:
            self._slots_without_meter = 0
        else:
            self._slots_without_meter += 1
            self._last = chosen
        self._active = chosen
        self.links[chosen].begin(self.master, now_ms)

    def _ask(self, now_ms):
        """Bring the table up to date."""
        self._wake[self._count] = 0
        k = outdated(self._board, self._wake, self._count, now_ms)
        while k < self._count:
            self._note(_ROW * k, self.links[k], now_ms)
            self._wake[k] = 0
            k = outdated(self._board, self._wake, self._count, now_ms)

    def _note(self, at, link, now_ms):
        board = self._board
        board[at] = now_ms
        priority = link.job(now_ms)
        board[at + 2] = priority
        board[at + 1] = _WAITING_MS if priority else max(1, link.wait_ms(now_ms))

    def _choose(self):
        """Index of the link that gets the line now, -1 when nothing is due."""
        meter = self.meter_index
        is_meter_due = meter >= 0 and self._board[_ROW * meter + 2] != NO_JOB
        if is_meter_due and self._slots_without_meter:
            if self._has_failed or self._slots_without_meter >= _MAX_SLOTS_WITHOUT_METER:
                return meter
        other = most_urgent(self._board, self._count, self._last, meter)
        if not is_meter_due:
            return other
        if other < 0:
            return meter
        if self._slots_without_meter and self._board[_ROW * other + 2] < WRITE_TIGHTER:
            return meter
        return other

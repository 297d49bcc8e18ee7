# SPDX-License-Identifier: MIT
"""Shares what the limits leave over among the loads: equal amps, fair turns.

Feed-forward: the offers of all loads together fit beside the uncontrolled power, so a vehicle
that starts drawing what it was offered cannot break the limit. Down at once and fully; up only
after nothing is in flight and the room has been there for `raise_delay_ms`.

A frame of more than 11 words (locals and the deepest expression) is taken from the heap: hence
the small steps, here and in all that the cycle calls.
"""

from firmline.core.pacing import Gate, indices_of
from firmline.core.shares import admit, book, count_waiting, cut_loads, look_at_grants, share
from firmline.core.snapshot import EVSE, PV, RELAY
from firmline.core.units import const, elapsed_ms

_LOADS = const(9)  # bits of the kinds EVSE and RELAY
_PVS = const(4)
_MARGIN_W = const(10)  # + axis, of `books`

# what look_at_grants finds
_RISES = const(1)
_FLIES = const(2)
_MOVES = const(4)


class Loads:
    """Called by the allocator, first. Fills `resources.proposal_w` of EVSEs and relays."""

    def __init__(self, site, resources, books):
        self._site = site
        self._axes = site.axes
        self._resources = resources
        self._books = books
        self._gate = Gate(site.raise_delay_ms)
        self._loads = indices_of(resources, (EVSE, RELAY))
        self._has_pv = len(indices_of(resources, (PV,))) > 0
        self._turn_ms = 0
        for index in range(resources.count):
            resources.order[index] = index

    def propose(self, now_ms):
        """`left` of the books is what the import limit leaves beside the uncontrolled power; what
        PV is seen to supply comes on top. Storage never counts: a vehicle must not live on a
        battery that may run empty."""
        if not len(self._loads):
            return
        table = self._resources.table
        books = self._books
        if self._has_pv:
            book(table, books, _PVS, 1)
        book(table, books, _LOADS, 1)
        is_over = self._is_over(books)
        book(table, books, _LOADS, -1)
        self._rotate(table, now_ms)
        admit(table, books, is_over, now_ms)
        share(table, books)
        self._settle(is_over, now_ms)

    def _is_over(self, books):
        """The offers in force no longer fit, by more than half the margin (so that a load which
        flickers around the margin does not send a new offer each time)."""
        for axis in range(self._axes):
            if books[axis] < -(books[_MARGIN_W + axis] >> 1):
                return 1
        return 0

    def _rotate(self, table, now_ms):
        """Every `rotation_ms` those admitted first go behind those that wait, one for one."""
        waiting = count_waiting(table)
        if waiting == 0:
            self._turn_ms = now_ms
        elif elapsed_ms(now_ms, self._turn_ms) >= self._site.rotation_ms:
            self._turn_ms = now_ms
            self._turn_out(waiting)

    def _turn_out(self, waiting):
        resources = self._resources
        place = 0
        for _ in range(resources.count):
            index = resources.order[place]
            if waiting and resources.kind[index] == EVSE and resources.grant_w[index] > 0:
                self._to_back(place)
                resources.is_turned_out[index] = 1
                waiting -= 1
            else:
                place += 1

    def _to_back(self, place):
        order = self._resources.order
        index = order[place]
        for later in range(place + 1, len(order)):
            order[later - 1] = order[later]
        order[len(order) - 1] = index

    def _settle(self, is_over, now_ms):
        """From grants to proposals: cuts now, where needed; rises through the gate."""
        table = self._resources.table
        found = look_at_grants(table, self._gate.is_waiting)
        is_wanted = found & _RISES
        if cut_loads(table, is_over or found & _MOVES, now_ms) or found & _FLIES:
            is_wanted = 0
        if self._gate.may_rise(is_wanted, now_ms) and not cut_loads(table, 1, now_ms):
            self._propose_rises()

    def _propose_rises(self):
        """What was granted at least while the gate waited."""
        resources = self._resources
        least_w = resources.least_w
        for index in self._loads:
            if least_w[index] > resources.command_w[index]:
                resources.proposal_w[index] = least_w[index]

# SPDX-License-Identifier: MIT
"""Shares what the limits leave over among the loads: equal amps, fair turns.

Feed-forward: the offers of all loads together fit beside the uncontrolled power, so a vehicle
that starts drawing what it was offered cannot break the limit. Down at once and fully; up only
after nothing is in flight and the room has been there for `raise_delay_ms`.

A frame of more than 11 words (locals and the deepest expression) is taken from the heap: hence
the small steps, the while loops and what is kept in the object during one `propose`.
"""

from firmline.core.balance import Ledger, highest_w
from firmline.core.pacing import Gate, indices_of, is_any_flying
from firmline.core.snapshot import EVSE, PV, RELAY, watts_array
from firmline.core.units import AXES, const, elapsed_ms

_DEAD_BAND_W = const(200)
_ROUNDS = const(4)  # of equal sharing; what is left after them stays unused

# what the grants amount to
_RISES = const(1)
_FLIES = const(2)
_MOVES = const(4)  # somebody joins or leaves: everyone's share moves


class Loads:
    """Called by the allocator, first. Fills `resources.proposal_w` of EVSEs and relays."""

    def __init__(self, site, resources, margins):
        count = resources.count
        self._site = site
        self._axes = site.axes
        self._resources = resources
        self._margins = margins
        self._ledger = Ledger(site, resources)
        self._weight = watts_array(AXES)
        self._grant_w = watts_array(count)
        self._lowest_grant_w = watts_array(count)  # while the gate waits
        self._order = bytearray(range(count))  # queue for admission; the served go to the back
        self._is_turned_out = bytearray(count)  # its turn is over
        self._off_ms = watts_array(count)
        self._was_cut = bytearray(count)
        self._gate = Gate(site.raise_delay_ms)
        self._loads = indices_of(resources, (EVSE, RELAY))
        self._pvs = indices_of(resources, (PV,))
        self._turn_ms = 0
        self._is_flying = False
        self._limits = None
        self._balance = None

    def propose(self, limits, balance, now_ms):
        if not len(self._loads):
            return
        self._limits = limits
        self._balance = balance
        self._open_books()
        is_over = self._is_over()
        self._rotate(now_ms)
        self._is_flying = is_any_flying(self._resources, self._loads)
        self._admit(is_over, now_ms)
        self._share()
        self._settle_loads(is_over, now_ms)

    def _open_books(self):
        """left = limit - margin - uncontrolled + what PV is seen to supply. Storage never counts:
        a vehicle must not live on a battery that may run empty."""
        for axis in range(self._axes):
            left_w = self._limits.high_w[axis] - self._margins.high_w[axis]
            self._ledger.left_w[axis] = left_w - self._balance.import_w[axis]
        for index in self._pvs:
            self._book_supply(index)

    def _book_supply(self, index):
        resources = self._resources
        supply_w = highest_w(resources.command_w[index], resources.power_w[index])
        self._ledger.take(index, supply_w)

    def _is_over(self):
        """The offers in force no longer fit, by more than half the margin (so that a load which
        flickers around the margin does not send a new offer each time)."""
        self._book_offers(1)
        is_over = False
        for axis in range(self._axes):
            if self._ledger.left_w[axis] < -(self._margins.high_w[axis] >> 1):
                is_over = True
        self._book_offers(-1)
        return is_over

    def _book_offers(self, sign):
        k = 0
        while k < len(self._loads):
            index = self._loads[k]
            offer_w = max(self._resources.command_w[index], 0)
            self._ledger.take(index, sign * offer_w)
            k += 1

    def _rotate(self, now_ms):
        """Every `rotation_ms` those admitted first go behind those that wait, one for one."""
        waiting = self._count_waiting()
        if waiting == 0:
            self._turn_ms = now_ms
        if elapsed_ms(now_ms, self._turn_ms) >= self._site.rotation_ms:
            self._turn_ms = now_ms
            self._turn_out(waiting)

    def _count_waiting(self):
        waiting = 0
        for index in self._loads:
            if self._resources.kind[index] == EVSE and self._resources.wants[index]:
                waiting += self._grant_w[index] == 0
        return waiting

    def _turn_out(self, waiting):
        place = 0
        for _ in range(len(self._order)):
            index = self._order[place]
            if waiting and self._resources.kind[index] == EVSE and self._grant_w[index] > 0:
                self._to_back(place)
                self._is_turned_out[index] = 1
                waiting -= 1
            else:
                place += 1

    def _to_back(self, place):
        index = self._order[place]
        for later in range(place + 1, len(self._order)):
            self._order[later - 1] = self._order[later]
        self._order[len(self._order) - 1] = index

    def _admit(self, is_over, now_ms):
        """Minimum first, in queue order; a load too large for what is left waits its turn."""
        k = 0
        while k < len(self._order):
            self._admit_one(self._order[k], is_over, now_ms)
            k += 1

    def _admit_one(self, index, is_over, now_ms):
        resources = self._resources
        if resources.kind[index] != EVSE and resources.kind[index] != RELAY:
            return
        grant_w = 0
        if resources.is_protected[index]:
            grant_w = resources.high_w[index]
        elif not resources.is_online[index]:
            grant_w = resources.fallback_w[index]  # where its own watchdog takes it
        elif resources.wants[index] and self._is_admissible(index, is_over, now_ms):
            grant_w = resources.min_w[index]
        self._grant_w[index] = grant_w
        self._ledger.take(index, grant_w)

    def _is_admissible(self, index, is_over, now_ms):
        """A load in service stays while the offers fit; another needs room and its rest, and
        nothing in flight: then some of the room is only an estimate, and nobody may pay for it."""
        resources = self._resources
        if self._is_flying and resources.command_w[index] == 0:
            return False
        if resources.command_w[index] > 0 and not self._is_turned_out[index]:
            if not is_over:
                return True
        elif not self._may_resume(index, now_ms):
            return False
        return resources.min_w[index] <= self._ledger.room_w(index)

    def _may_resume(self, index, now_ms):
        if not self._was_cut[index]:
            return True
        if elapsed_ms(now_ms, self._off_ms[index]) >= self._resources.resume_ms[index]:
            self._was_cut[index] = 0  # latched, so that the tick ring cannot close it again
            return True
        return False

    def _share(self):
        """Equal amps above the minimum: each round raises all that can rise by the same amount
        on every conductor, until the tightest axis is used up."""
        for _ in range(_ROUNDS):
            if not self._raise_all(self._step_w()):
                return

    def _raise_all(self, step_w):
        if step_w < 1:
            return False
        for index in self._loads:
            if self._can_rise(index):
                self._raise(index, step_w)
        return True

    def _step_w(self):
        """The rise on each conductor that uses up the tightest axis; 0 when nobody can rise."""
        if not self._weigh():
            return 0
        step_w = 0x1FFFFFFF
        for axis in range(self._axes):
            if self._weight[axis]:
                step_w = min(step_w, self._ledger.left_w[axis] // self._weight[axis])
        return step_w

    def _can_rise(self, index):
        grant_w = self._grant_w[index]
        return (
            grant_w >= self._resources.min_w[index]
            and 0 < grant_w < self._resources.high_w[index]
            and self._resources.is_online[index]
            and self._ledger.room_w(index) >= self._resources.wires[index]
        )

    def _weigh(self):
        """How many conductors of rising loads each axis carries; returns their total."""
        for axis in range(self._axes):
            self._weight[axis] = 0
        for index in self._loads:
            if self._can_rise(index):
                self._weigh_one(index)
        return self._weight[0]

    def _weigh_one(self, index):
        self._weight[0] += self._resources.wires[index]
        mask = self._resources.mask[index]
        for axis in range(1, self._axes):
            self._weight[axis] += mask & 1
            mask >>= 1

    def _raise(self, index, step_w):
        wires = self._resources.wires[index]
        headroom_w = self._resources.high_w[index] - self._grant_w[index]
        power_w = min(step_w * wires, headroom_w)
        self._grant_w[index] += power_w
        self._ledger.take(index, power_w)

    def _settle_loads(self, is_over, now_ms):
        """From grants to proposals: cuts now, where needed; rises through the gate."""
        found = self._look_at_grants()
        is_wanted = found & _RISES != 0
        if self._propose_cuts(is_over or found & _MOVES != 0, now_ms) or found & _FLIES:
            is_wanted = False
        self._keep_lowest_grants()
        if self._gate.may_rise(is_wanted, now_ms) and not self._propose_cuts(True, now_ms):
            self._propose_rises()

    def _look_at_grants(self):
        found = 0
        for index in self._loads:
            found |= self._look_at_grant(index)
        return found

    def _look_at_grant(self, index):
        grant_w = self._grant_w[index]
        command_w = self._resources.command_w[index]
        found = _FLIES if self._resources.in_flight[index] else 0
        if (grant_w > 0) != (command_w > 0):
            found |= _MOVES
        if grant_w > command_w + _DEAD_BAND_W or (grant_w > 0 and command_w == 0):
            found |= _RISES
        return found

    def _keep_lowest_grants(self):
        for index in self._loads:
            grant_w = self._grant_w[index]
            if not self._gate.is_waiting or grant_w < self._lowest_grant_w[index]:
                self._lowest_grant_w[index] = grant_w

    def _propose_rises(self):
        for index in self._loads:
            if self._lowest_grant_w[index] > self._resources.command_w[index]:
                self._resources.proposal_w[index] = self._lowest_grant_w[index]

    def _propose_cuts(self, is_over, now_ms):
        """Every load stays as it is, or takes its smaller grant; True if one has to."""
        is_cut = False
        k = 0
        while k < len(self._loads):
            if self._propose_cut(self._loads[k], is_over, now_ms):
                is_cut = True
            k += 1
        return is_cut

    def _propose_cut(self, index, is_over, now_ms):
        grant_w = self._grant_w[index]
        command_w = self._resources.command_w[index]
        if grant_w >= command_w or not (is_over or grant_w == 0):
            self._resources.proposal_w[index] = command_w
            return False
        self._resources.proposal_w[index] = grant_w
        if grant_w == 0:
            self._off_ms[index] = now_ms
            self._was_cut[index] = 1
            self._is_turned_out[index] = 0
        return True

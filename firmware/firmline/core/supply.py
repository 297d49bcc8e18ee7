# SPDX-License-Identifier: MIT
"""Storage and generation: support for the limits first, then the policy, then all the sun allows.

A battery follows the measured exchange and is the fastest answer to an excess in either
direction; PV gets one cap, in permille of rating, that cannot break the export limit.

A frame of more than 11 words (locals and the deepest expression) is taken from the heap: hence
the small steps, the while loops and what is kept in the object during one `propose`.
"""

from firmline.core.balance import Ledger, highest_w, lowest_w
from firmline.core.pacing import Gate, indices_of, is_any_flying
from firmline.core.snapshot import BATTERY, PV, SELF_CONSUMPTION, watts_array
from firmline.core.units import clamp, const, mul_div

_EXACT_RATED_W = const(0xFFFFF)  # 1000 times it stays below 2**30


class Supply:
    """Called by the allocator after the loads. Fills `resources.proposal_w` of the rest."""

    def __init__(self, site, resources, margins):
        self._axes = site.axes
        self._resources = resources
        self._margins = margins
        self._ledger = Ledger(site, resources)
        self._cap_w = watts_array(resources.count)
        self._strictest_cap_w = watts_array(resources.count)  # while the gate waits
        self._gate = Gate(site.raise_delay_ms)
        self._batteries = indices_of(resources, (BATTERY,))
        self._pvs = indices_of(resources, (PV,))
        self._rated_w = -sum([resources.low_w[index] for index in self._pvs])
        self._snapshot = None
        self._limits = None
        self._balance = None

    def propose(self, snapshot, limits, balance, now_ms):
        self._snapshot = snapshot
        self._limits = limits
        self._balance = balance
        self._propose_storage()
        if len(self._pvs):
            self._propose_generation(now_ms)

    def _propose_storage(self):
        """One after the other, so that two do not give up at the same time what both gave."""
        for index in self._batteries:
            self._resources.proposal_w[index] = self._resources.command_w[index]
        for index in self._batteries:
            self._propose_battery(index)

    def _propose_battery(self, index):
        """Rest (or self-consumption) unless the measured exchange calls for support."""
        resources = self._resources
        wanted_w = 0
        if resources.is_online[index]:
            wanted_w = self._wish_w(index)
            wanted_w = max(wanted_w, -self._storage_room_w(index, -1))
            wanted_w = min(wanted_w, self._storage_room_w(index, 1))
            wanted_w = clamp(wanted_w, resources.low_w[index], resources.high_w[index])
        resources.proposal_w[index] = wanted_w

    def _wish_w(self, index):
        """What the policy asks for; as before while it cannot be told, or is hardly different."""
        resources = self._resources
        command_w = resources.command_w[index]
        if resources.in_flight[index]:
            return command_w
        if resources.policy[index] != SELF_CONSUMPTION:
            return 0
        wanted_w = resources.power_w[index] - self._exchange_w(index)
        if wanted_w < 0 and resources.is_low[index]:
            return 0  # what is left is kept for the limit
        if wanted_w and abs(wanted_w - command_w) < (resources.high_w[index] >> 6):
            return command_w
        return wanted_w

    def _exchange_w(self, battery):
        """At the PCC, as if the other batteries already did what they have been told."""
        exchange_w = self._snapshot.axis_w[0]
        k = 0
        while k < len(self._batteries):
            if self._batteries[k] != battery:
                exchange_w += self._pending_w(self._batteries[k])
            k += 1
        return exchange_w

    def _pending_w(self, index):
        """What a changed command will still bring; a full or empty battery brings nothing."""
        resources = self._resources
        proposal_w = resources.proposal_w[index]
        if resources.in_flight[index] or proposal_w != resources.command_w[index]:
            return proposal_w - resources.power_w[index]
        return 0

    def _storage_room_w(self, battery, sign):
        """How far battery `battery` may go toward import (+1) or export (-1); < 0: must help.

        Loads count with what they still draw, since a battery is faster than a vehicle."""
        self._open_storage_books(sign)
        index = 0
        while index < self._resources.count:
            if index != battery:
                draw_w = self._draw_w(index, sign)
                self._ledger.take(index, sign * draw_w)
            index += 1
        return self._ledger.room_w(battery)

    def _open_storage_books(self, sign):
        for axis in range(self._axes):
            self._ledger.left_w[axis] = self._left_w(axis, sign)

    def _left_w(self, axis, sign):
        if sign > 0:
            left_w = self._limits.high_w[axis] - self._balance.import_w[axis]
            return left_w - self._margins.high_w[axis]
        left_w = self._balance.export_w[axis] - self._limits.low_w[axis]
        return left_w - self._margins.low_w[axis]

    def _draw_w(self, index, sign):
        resources = self._resources
        power_w = resources.power_w[index]
        if resources.kind[index] == PV:  # just what the balance has taken out
            return self._balance.credit_w[index] if sign > 0 else self._balance.credit_low_w[index]
        if resources.kind[index] == BATTERY:
            if sign > 0:
                return highest_w(resources.proposal_w[index], power_w)
            return lowest_w(resources.proposal_w[index], power_w)
        if sign > 0:
            return max(resources.proposal_w[index], self._balance.credit_w[index])
        return lowest_w(resources.proposal_w[index], power_w)

    def _propose_generation(self, now_ms):
        """One cap for all PV, in permille of rating: the largest that cannot break the limit."""
        allowed_w = self._generation_room_w()
        is_wanted = self._cap_all(self._permille(allowed_w))
        if is_any_flying(self._resources, self._pvs):
            is_wanted = False
        may_rise = self._gate.may_rise(is_wanted, now_ms)
        k = 0
        while k < len(self._pvs):
            self._settle_pv(self._pvs[k], allowed_w < 0, may_rise)
            k += 1

    def _generation_room_w(self):
        resources = self._resources
        allowed_w = self._left_w(0, -1)
        index = 0
        while index < resources.count:
            if resources.kind[index] != PV:
                allowed_w += lowest_w(resources.proposal_w[index], resources.power_w[index])
            index += 1
        return allowed_w

    def _permille(self, allowed_w):
        """floor of what is allowed, in permille of all ratings, inside 30 bits: from 1 MW on both
        are halved first, the rating rounded up."""
        rated_w = self._rated_w
        if allowed_w >= rated_w:
            return 1000
        allowed_w = max(allowed_w, 0)
        while rated_w > _EXACT_RATED_W:
            rated_w = (rated_w + 1) >> 1
            allowed_w >>= 1
        return mul_div(allowed_w, 1000, rated_w)

    def _cap_all(self, permille):
        is_wanted = False
        k = 0
        while k < len(self._pvs):
            if self._cap(self._pvs[k], permille):
                is_wanted = True
            k += 1
        return is_wanted

    def _cap(self, index, permille):
        """Note the new cap of one PV; True if it is worth raising."""
        resources = self._resources
        rated_w = -resources.low_w[index]
        cap_w = -mul_div(rated_w, permille, 1000)
        self._cap_w[index] = cap_w
        if not self._gate.is_waiting or cap_w > self._strictest_cap_w[index]:
            self._strictest_cap_w[index] = cap_w
        rise_w = resources.command_w[index] - cap_w
        return rise_w > rated_w // 100 or (rise_w > 0 and permille == 1000)

    def _settle_pv(self, index, is_over, may_rise):
        """Caps are negative: a larger number is a stricter cap."""
        resources = self._resources
        cap_w = self._cap_w[index]
        command_w = resources.command_w[index]
        resources.proposal_w[index] = command_w
        if not resources.is_online[index]:  # its own reversion timer may have acted
            resources.proposal_w[index] = max(cap_w, resources.fallback_w[index])
        elif is_over or cap_w - command_w > -resources.low_w[index] // 100:
            resources.proposal_w[index] = max(cap_w, command_w)
        elif may_rise and self._strictest_cap_w[index] < command_w:
            resources.proposal_w[index] = self._strictest_cap_w[index]

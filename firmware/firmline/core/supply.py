# SPDX-License-Identifier: MIT
"""Storage and generation: support for the limits first, then the policy, then all the sun allows.

A battery follows the measured exchange and is the fastest answer to an excess in either
direction; PV gets one cap, in permille of rating, that cannot break the export limit.

A frame of more than 11 words (locals and the deepest expression) is taken from the heap: hence
the small steps, and what is kept in the object during one `propose`.
"""

from firmline.core.pacing import Gate, indices_of
from firmline.core.shares import generation_room, storage_room
from firmline.core.snapshot import BATTERY, PV, SELF_CONSUMPTION
from firmline.core.units import clamp, const, mul_div

_EXACT_RATED_W = const(0xFFFFF)  # 1000 times it stays below 2**30

# places in `books`
_IMPORT_LEFT_W = const(6)
_EXPORT_LEFT_W = const(14)


class Supply:
    """Called by the allocator after the loads. Fills `resources.proposal_w` of the rest."""

    def __init__(self, site, resources, books):
        self._resources = resources
        self._books = books
        self._gate = Gate(site.raise_delay_ms)
        self._batteries = indices_of(resources, (BATTERY,))
        self._pvs = indices_of(resources, (PV,))
        self._rated_w = -sum([resources.low_w[index] for index in self._pvs])
        self._exchange_w = 0
        self._is_wanted = False

    def propose(self, exchange_w, now_ms):
        """`exchange_w`: at the PCC. The loads' proposals are there already."""
        if len(self._batteries):
            self._propose_storage(exchange_w)
        if len(self._pvs):
            self._propose_generation(now_ms)

    # The exchange is taken as if every battery already did what it has been told. A full or empty
    # one, told to do what it was told before, brings nothing.

    def _propose_storage(self, exchange_w):
        """One after the other, so that two do not give up at the same time what both gave."""
        self._exchange_w = exchange_w
        for index in self._batteries:
            self._repeat(index)
        for index in self._batteries:
            self._propose_battery(index)

    def _repeat(self, index):
        resources = self._resources
        command_w = resources.command_w[index]
        resources.proposal_w[index] = command_w
        if resources.in_flight[index]:
            self._exchange_w += command_w - resources.power_w[index]

    def _propose_battery(self, index):
        """Rest (or self-consumption) unless the measured exchange calls for support."""
        resources = self._resources
        command_w = resources.command_w[index]
        power_w = resources.power_w[index]
        if resources.in_flight[index]:
            self._exchange_w -= command_w - power_w  # its own is left out
        wanted_w = 0
        if resources.is_online[index]:
            wanted_w = self._wish_w(index, command_w, power_w)
            wanted_w = self._fit(index, wanted_w)
        resources.proposal_w[index] = wanted_w
        if wanted_w != command_w or resources.in_flight[index]:
            self._exchange_w += wanted_w - power_w

    def _wish_w(self, index, command_w, power_w):
        """What the policy asks for; as before while it cannot be told, or is hardly different."""
        resources = self._resources
        if resources.in_flight[index]:
            return command_w
        if resources.policy[index] != SELF_CONSUMPTION:
            return 0
        wanted_w = power_w - self._exchange_w
        if wanted_w < 0 and resources.is_low[index]:
            return 0  # what is left is kept for the limit
        if wanted_w and abs(wanted_w - command_w) < (resources.high_w[index] >> 6):
            return command_w
        return wanted_w

    def _fit(self, index, wanted_w):
        """Inside what the export and then the import limit leave, and inside its range."""
        resources = self._resources
        room_w = storage_room(resources.table, self._books, _EXPORT_LEFT_W, index, -1)
        wanted_w = max(wanted_w, -room_w)
        room_w = storage_room(resources.table, self._books, _IMPORT_LEFT_W, index, 1)
        wanted_w = min(wanted_w, room_w)
        return clamp(wanted_w, resources.low_w[index], resources.high_w[index])

    def _propose_generation(self, now_ms):
        """One cap for all PV, in permille of rating: the largest that cannot break the limit."""
        allowed_w = generation_room(self._resources.table, self._books, _EXPORT_LEFT_W)
        self._cap_all(self._permille(allowed_w))
        may_rise = self._gate.may_rise(self._is_wanted, now_ms)
        self._settle_all(allowed_w < 0, may_rise)

    def _cap_all(self, permille):
        self._is_wanted = False
        for index in self._pvs:
            self._cap(index, permille)
        for index in self._pvs:
            if self._resources.in_flight[index]:
                self._is_wanted = False

    def _settle_all(self, is_over, may_rise):
        k = 0
        while k < len(self._pvs):
            self._settle_pv(self._pvs[k], is_over, may_rise)
            k += 1

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
        return allowed_w * 1000 // rated_w

    def _cap(self, index, permille):
        """Note the new cap of one PV, and whether it is worth raising."""
        resources = self._resources
        rated_w = -resources.low_w[index]
        cap_w = -mul_div(rated_w, permille, 1000)
        resources.grant_w[index] = cap_w
        if not self._gate.is_waiting or cap_w > resources.least_w[index]:
            resources.least_w[index] = cap_w
        rise_w = resources.command_w[index] - cap_w
        if rise_w > rated_w // 100 or (rise_w > 0 and permille == 1000):
            self._is_wanted = True

    def _settle_pv(self, index, is_over, may_rise):
        """Caps are negative: a larger number is a stricter cap."""
        resources = self._resources
        cap_w = resources.grant_w[index]
        command_w = resources.command_w[index]
        resources.proposal_w[index] = command_w
        if not resources.is_online[index]:  # its own reversion timer may have acted
            resources.proposal_w[index] = max(cap_w, resources.fallback_w[index])
        elif is_over or cap_w - command_w > -resources.low_w[index] // 100:
            resources.proposal_w[index] = max(cap_w, command_w)
        elif may_rise and resources.least_w[index] < command_w:
            resources.proposal_w[index] = resources.least_w[index]

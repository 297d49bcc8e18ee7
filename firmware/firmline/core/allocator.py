# SPDX-License-Identifier: MIT
"""Shares what the limits leave over: loads first (equal amps, fair turns), then storage, then PV.

Feed-forward: the offers of all loads together fit beside the uncontrolled power, so a vehicle
that starts drawing what it was offered cannot break the limit. Down at once and fully; up only
after nothing is in flight and the room has been there for `raise_delay_ms`. Proposals only: the
guard decides. Called by the cycle with every new sample.
"""

from array import array

from firmline.core.balance import Ledger, highest_w, lowest_w
from firmline.core.snapshot import BATTERY, EVSE, PV, RELAY, SELF_CONSUMPTION, watts_array
from firmline.core.units import AXES, clamp, const, elapsed_ms, mul_div

_MIN_MARGIN_W = const(50)
_DEAD_BAND_W = const(200)
_ROUNDS = const(4)  # of equal sharing; what is left after them stays unused


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


class Allocator:
    def __init__(self, site, resources):
        count = resources.count
        self._site = site
        self._axes = site.axes
        self._resources = resources
        self._ledger = Ledger(site, resources)
        self._weight = watts_array(AXES)
        self._high_seen_w = array("i", [-1] * AXES)
        self._low_seen_w = array("i", [1] * AXES)
        self._high_margin_w = watts_array(AXES)
        self._low_margin_w = watts_array(AXES)
        self._grant_w = watts_array(count)
        self._lowest_grant_w = watts_array(count)  # while the gate waits
        self._order = bytearray(range(count))  # queue for admission; the served go to the back
        self._is_turned_out = bytearray(count)  # its turn is over
        self._off_ms = watts_array(count)
        self._was_cut = bytearray(count)
        self._load_gate = Gate(site.raise_delay_ms)
        self._pv_gate = Gate(site.raise_delay_ms)
        self._loads = self._indices(EVSE, RELAY)
        self._batteries = self._indices(BATTERY, BATTERY)
        self._pvs = self._indices(PV, PV)
        self._turn_ms = 0

    def _indices(self, kind, other):
        kinds = self._resources.kind
        return array("B", [i for i in range(len(kinds)) if kinds[i] in (kind, other)])

    def propose(self, snapshot, limits, balance, now_ms):
        """Fill `resources.proposal_w` from the newest balance and the limits in force."""
        self._set_margins(limits)
        if len(self._loads):
            self._propose_loads(limits, balance, now_ms)
        if len(self._batteries):
            self._propose_storage(snapshot, limits, balance)
        if len(self._pvs):
            self._propose_generation(limits, balance, now_ms)

    def _set_margins(self, limits):
        """The share of each limit that is kept free; worked out anew when a limit has moved."""
        for axis in range(self._axes):
            if limits.high_w[axis] != self._high_seen_w[axis]:
                self._high_seen_w[axis] = limits.high_w[axis]
                self._high_margin_w[axis] = self._margin_w(limits.high_w[axis])
            if limits.low_w[axis] != self._low_seen_w[axis]:
                self._low_seen_w[axis] = limits.low_w[axis]
                self._low_margin_w[axis] = self._margin_w(-limits.low_w[axis])

    def _margin_w(self, limit_w):
        return max(_MIN_MARGIN_W, mul_div(limit_w, self._site.margin_permille, 1000))

    # Loads

    def _propose_loads(self, limits, balance, now_ms):
        self._open_books(limits, balance)
        is_over = self._is_over(limits)
        self._rotate(now_ms)
        self._admit(is_over, now_ms)
        self._share()
        self._settle_loads(is_over, now_ms)

    def _open_books(self, limits, balance):
        """left = limit - margin - uncontrolled + what PV is seen to supply. Storage never counts:
        a vehicle must not live on a battery that may run empty."""
        resources = self._resources
        for axis in range(self._axes):
            limit_w = limits.high_w[axis]
            self._ledger.left_w[axis] = limit_w - self._high_margin_w[axis] - balance.import_w[axis]
        for index in self._pvs:
            self._ledger.take(
                index, highest_w(resources.command_w[index], resources.power_w[index])
            )

    def _is_over(self, limits):
        """The offers in force no longer fit, by more than half the margin (so that a load which
        flickers around the margin does not send a new offer each time)."""
        resources = self._resources
        for index in self._loads:
            self._ledger.take(index, max(resources.command_w[index], 0))
        is_over = False
        for axis in range(self._axes):
            if self._ledger.left_w[axis] < -(self._high_margin_w[axis] >> 1):
                is_over = True
        for index in self._loads:
            self._ledger.take(index, -max(resources.command_w[index], 0))
        return is_over

    def _rotate(self, now_ms):
        """Every `rotation_ms` those admitted first go behind those that wait, one for one."""
        resources = self._resources
        waiting = 0
        for index in self._loads:
            if resources.kind[index] == EVSE and resources.wants[index]:
                waiting += self._grant_w[index] == 0
        if waiting == 0:
            self._turn_ms = now_ms
        if elapsed_ms(now_ms, self._turn_ms) < self._site.rotation_ms:
            return
        self._turn_ms = now_ms
        place = 0
        for _ in range(len(self._order)):
            index = self._order[place]
            if waiting and resources.kind[index] == EVSE and self._grant_w[index] > 0:
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
        resources = self._resources
        for index in self._order:
            if resources.kind[index] != EVSE and resources.kind[index] != RELAY:
                continue
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
        """A load in service stays while the offers fit; another needs room and its rest."""
        resources = self._resources
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
            if not self._weigh():
                return
            step_w = 0x1FFFFFFF
            for axis in range(self._axes):
                if self._weight[axis]:
                    step_w = min(step_w, self._ledger.left_w[axis] // self._weight[axis])
            if step_w < 1:
                return
            for index in self._loads:
                if self._can_rise(index):
                    self._raise(index, step_w)

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
                self._weight[0] += self._resources.wires[index]
                mask = self._resources.mask[index]
                for axis in range(1, self._axes):
                    self._weight[axis] += mask >> (axis - 1) & 1
        return self._weight[0]

    def _raise(self, index, step_w):
        wires = self._resources.wires[index]
        headroom_w = self._resources.high_w[index] - self._grant_w[index]
        power_w = min(step_w * wires, headroom_w)
        self._grant_w[index] += power_w
        self._ledger.take(index, power_w)

    def _settle_loads(self, is_over, now_ms):
        """From grants to proposals: cuts now, where needed; rises through the gate."""
        resources = self._resources
        is_wanted = False
        is_flying = False
        for index in self._loads:
            grant_w = self._grant_w[index]
            command_w = resources.command_w[index]
            if (grant_w > 0) != (command_w > 0):
                is_over = True  # somebody joins or leaves: everyone's share moves
            if resources.in_flight[index]:
                is_flying = True
            if grant_w > command_w + _DEAD_BAND_W or (grant_w > 0 and command_w == 0):
                is_wanted = True
        if self._propose_cuts(is_over, now_ms) or is_flying:
            is_wanted = False
        for index in self._loads:
            grant_w = self._grant_w[index]
            if not self._load_gate.is_waiting or grant_w < self._lowest_grant_w[index]:
                self._lowest_grant_w[index] = grant_w
        if self._load_gate.may_rise(is_wanted, now_ms) and not self._propose_cuts(True, now_ms):
            for index in self._loads:
                if self._lowest_grant_w[index] > resources.command_w[index]:
                    resources.proposal_w[index] = self._lowest_grant_w[index]

    def _propose_cuts(self, is_over, now_ms):
        """Every load stays as it is, or takes its smaller grant; True if one has to."""
        resources = self._resources
        is_cut = False
        for index in self._loads:
            grant_w = self._grant_w[index]
            command_w = resources.command_w[index]
            resources.proposal_w[index] = command_w
            if grant_w < command_w and (is_over or grant_w == 0):
                resources.proposal_w[index] = grant_w
                is_cut = True
                if grant_w == 0:
                    self._off_ms[index] = now_ms
                    self._was_cut[index] = 1
                    self._is_turned_out[index] = 0
        return is_cut

    # Storage and generation

    def _propose_storage(self, snapshot, limits, balance):
        """Rest (or self-consumption) unless the measured exchange calls for support."""
        resources = self._resources
        for index in self._batteries:
            top_w = self._storage_room_w(index, 1, limits, balance)
            bottom_w = -self._storage_room_w(index, -1, limits, balance)
            command_w = resources.command_w[index]
            wanted_w = command_w
            if not resources.in_flight[index]:
                wanted_w = 0
                if resources.policy[index] == SELF_CONSUMPTION:
                    wanted_w = resources.power_w[index] - snapshot.axis_w[0]
                is_small = abs(wanted_w - command_w) < (resources.high_w[index] >> 6)
                if is_small and wanted_w != 0:
                    wanted_w = command_w
            wanted_w = clamp(wanted_w, bottom_w, top_w)
            wanted_w = clamp(wanted_w, resources.low_w[index], resources.high_w[index])
            resources.proposal_w[index] = wanted_w if resources.is_online[index] else 0

    def _storage_room_w(self, battery, sign, limits, balance):
        """How far battery `battery` may go toward import (+1) or export (-1); < 0: must help.

        Loads count with what they still draw, since a battery is faster than a vehicle."""
        resources = self._resources
        for axis in range(self._axes):
            if sign > 0:
                limit_w = limits.high_w[axis]
                left_w = limit_w - balance.import_w[axis] - self._high_margin_w[axis]
            else:
                limit_w = limits.low_w[axis]
                left_w = balance.export_w[axis] - limit_w - self._low_margin_w[axis]
            self._ledger.left_w[axis] = left_w
        for index in range(resources.count):
            if index != battery:
                self._ledger.take(index, sign * self._draw_w(index, sign, balance))
        return self._ledger.room_w(battery)

    def _draw_w(self, index, sign, balance):
        resources = self._resources
        power_w = resources.power_w[index]
        proposal_w = resources.proposal_w[index]
        if resources.kind[index] == PV:
            return power_w
        if resources.kind[index] == BATTERY:
            command_w = resources.command_w[index]
            return highest_w(command_w, power_w) if sign > 0 else lowest_w(command_w, power_w)
        if sign > 0:
            return max(proposal_w, balance.credit_w[index])
        return lowest_w(proposal_w, power_w)

    def _propose_generation(self, limits, balance, now_ms):
        """One cap for all PV, in permille of rating: the largest that cannot break the limit."""
        resources = self._resources
        limit_w = limits.low_w[0]
        allowed_w = balance.export_w[0] - limit_w - self._low_margin_w[0]
        rated_w = 0
        is_flying = False
        for index in range(resources.count):
            if resources.kind[index] == PV:
                rated_w -= resources.low_w[index]
                if resources.in_flight[index]:
                    is_flying = True
            else:
                allowed_w += lowest_w(resources.proposal_w[index], resources.power_w[index])
        permille = mul_div(clamp(allowed_w, 0, rated_w), 1000, rated_w)
        is_wanted = False
        for index in self._pvs:
            cap_w = -mul_div(-resources.low_w[index], permille, 1000)
            self._grant_w[index] = cap_w
            if not self._pv_gate.is_waiting or cap_w > self._lowest_grant_w[index]:
                self._lowest_grant_w[index] = cap_w
            rise_w = resources.command_w[index] - cap_w
            if rise_w > -resources.low_w[index] // 100 or (rise_w > 0 and permille == 1000):
                is_wanted = True
        may_rise = self._pv_gate.may_rise(is_wanted and not is_flying, now_ms)
        for index in self._pvs:
            self._settle_pv(index, allowed_w < 0, may_rise)

    def _settle_pv(self, index, is_over, may_rise):
        """Caps are negative: a larger number is a stricter cap."""
        resources = self._resources
        cap_w = self._grant_w[index]
        command_w = resources.command_w[index]
        resources.proposal_w[index] = command_w
        if is_over or cap_w - command_w > -resources.low_w[index] // 100:
            resources.proposal_w[index] = max(cap_w, command_w)
        elif may_rise and self._lowest_grant_w[index] < command_w:
            resources.proposal_w[index] = self._lowest_grant_w[index]

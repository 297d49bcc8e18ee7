# SPDX-License-Identifier: MIT
"""Shares what the limits leave over: loads first (equal amps, fair turns), then storage, then PV.

Feed-forward: the offers of all loads together fit beside the uncontrolled power, so a vehicle
that starts drawing what it was offered cannot break the limit. Down at once and fully; up only
after nothing is in flight and the room has been there for `raise_delay_ms`. Proposals only: the
guard decides. Called by the cycle with every new sample.

A frame of more than 11 words (locals and the deepest expression) is taken from the heap: hence
the small steps, the while loops and what is kept in the object during one `propose`.
"""

from array import array

from firmline.core.balance import Ledger, highest_w, lowest_w
from firmline.core.snapshot import BATTERY, EVSE, PV, RELAY, SELF_CONSUMPTION, watts_array
from firmline.core.units import AXES, clamp, const, elapsed_ms, mul_div

_MIN_MARGIN_W = const(50)
_DEAD_BAND_W = const(200)
_ROUNDS = const(4)  # of equal sharing; what is left after them stays unused
_EXACT_RATED_W = const(0xFFFFF)  # 1000 times it stays below 2**30

# what the grants amount to
_RISES = const(1)
_FLIES = const(2)
_MOVES = const(4)  # somebody joins or leaves: everyone's share moves


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
        self._rated_w = -sum([resources.low_w[index] for index in self._pvs])
        self._turn_ms = 0
        self._is_load_flying = False
        self._snapshot = None
        self._limits = None
        self._balance = None

    def _indices(self, kind, other):
        kinds = self._resources.kind
        return array("B", [i for i in range(len(kinds)) if kinds[i] in (kind, other)])

    def propose(self, snapshot, limits, balance, now_ms):
        """Fill `resources.proposal_w` from the newest balance and the limits in force."""
        self._snapshot = snapshot
        self._limits = limits
        self._balance = balance
        self._set_margins(limits)
        if len(self._loads):
            self._propose_loads(now_ms)
        self._propose_storage()
        if len(self._pvs):
            self._propose_generation(now_ms)

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

    def _propose_loads(self, now_ms):
        self._open_books()
        is_over = self._is_over()
        self._rotate(now_ms)
        self._is_load_flying = self._is_any_flying(self._loads)
        self._admit(is_over, now_ms)
        self._share()
        self._settle_loads(is_over, now_ms)

    def _open_books(self):
        """left = limit - margin - uncontrolled + what PV is seen to supply. Storage never counts:
        a vehicle must not live on a battery that may run empty."""
        for axis in range(self._axes):
            left_w = self._limits.high_w[axis] - self._high_margin_w[axis]
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
            if self._ledger.left_w[axis] < -(self._high_margin_w[axis] >> 1):
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
        if self._is_load_flying and resources.command_w[index] == 0:
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
        if self._load_gate.may_rise(is_wanted, now_ms) and not self._propose_cuts(True, now_ms):
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
            if not self._load_gate.is_waiting or grant_w < self._lowest_grant_w[index]:
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

    # Storage and generation

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
            return left_w - self._high_margin_w[axis]
        left_w = self._balance.export_w[axis] - self._limits.low_w[axis]
        return left_w - self._low_margin_w[axis]

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
        if self._is_any_flying(self._pvs):
            is_wanted = False
        may_rise = self._pv_gate.may_rise(is_wanted, now_ms)
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

    def _is_any_flying(self, indices):
        for index in indices:
            if self._resources.in_flight[index]:
                return True
        return False

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
        self._grant_w[index] = cap_w
        if not self._pv_gate.is_waiting or cap_w > self._lowest_grant_w[index]:
            self._lowest_grant_w[index] = cap_w
        rise_w = resources.command_w[index] - cap_w
        return rise_w > rated_w // 100 or (rise_w > 0 and permille == 1000)

    def _settle_pv(self, index, is_over, may_rise):
        """Caps are negative: a larger number is a stricter cap."""
        resources = self._resources
        cap_w = self._grant_w[index]
        command_w = resources.command_w[index]
        resources.proposal_w[index] = command_w
        if not resources.is_online[index]:  # its own reversion timer may have acted
            resources.proposal_w[index] = max(cap_w, resources.fallback_w[index])
        elif is_over or cap_w - command_w > -resources.low_w[index] // 100:
            resources.proposal_w[index] = max(cap_w, command_w)
        elif may_rise and self._lowest_grant_w[index] < command_w:
            resources.proposal_w[index] = self._lowest_grant_w[index]

# SPDX-License-Identifier: MIT
"""The arithmetic of the allocator, over arrays: who is admitted, who gets how much.

Machine code on the RP2040, as ledger.py, and under the same rules. `table` is `Resources.table`;
`books` begins like the guard's `left`: what is left on each of 4 axes, then how many axes the
site has. allocator.py says what follows.
"""

from firmline.core.units import const, ptr32

_KIND = const(1)
_MASK = const(2)
_WIRES = const(3)
_MIN_W = const(5)
_HIGH_W = const(6)
_FALLBACK_W = const(7)
_PROTECTED = const(9)
_ONLINE = const(10)
_WANTS = const(11)
_IN_FLIGHT = const(13)
_POWER_W = const(14)
_COMMAND_W = const(15)
_PROPOSAL_W = const(16)
_RESUME_MS = const(21)
_CREDIT_W = const(22)
_CREDIT_LOW_W = const(23)
_GRANT_W = const(24)
_LEAST_W = const(25)
_TURNED_OUT = const(26)
_OFF_MS = const(27)
_WAS_CUT = const(28)
_ORDER = const(30)

_EVSE = const(0)
_BATTERY = const(1)
_PV = const(2)
_RELAY = const(3)

# places in `books`, after the 4 axes of what is left
_AXES = const(4)
_PERMILLE = const(5)  # of a limit that is kept free
_WEIGHT = const(22)  # + axis: conductors of the loads that can rise

_MIN_MARGIN_W = const(50)
_DEAD_BAND_W = const(200)
_ROUNDS = const(4)  # of equal sharing; what is left after them stays unused
_MASK_MS = const(0x3FFFFFFF)
_ANY_W = const(0x1FFFFFFF)

# what the grants amount to
_RISES = const(1)
_FLIES = const(2)
_MOVES = const(4)  # somebody joins or leaves: everyone's share moves


def open_with_margin(books: ptr32, at: int, limit_w: ptr32, uncontrolled_w: ptr32, sign: int):
    """What a limit leaves: limit - margin - uncontrolled, in books[at + axis] and as `left`, and
    the margin in books[at + 4 + axis]. Sign -1 mirrors, for export."""
    permille = books[_PERMILLE]
    for axis in range(books[_AXES]):
        left_w = sign * limit_w[axis]
        margin_w = left_w // 1000
        margin_w = margin_w * permille + (left_w - margin_w * 1000) * permille // 1000
        if margin_w < _MIN_MARGIN_W:
            margin_w = _MIN_MARGIN_W
        left_w -= margin_w + sign * uncontrolled_w[axis]
        books[axis] = left_w
        books[at + axis] = left_w
        books[at + axis + 4] = margin_w


def book(table: ptr32, left: ptr32, kinds: int, sign: int):
    """Book (sign 1) or give back (-1) the most that resources may import under their commands:
    a load all of its offer; a source must be expected to supply no more than it does now. Bit k
    of kinds: the resources of kind k. Rounded up on each conductor."""
    count = table[0]
    for k in range(count):
        if kinds >> table[_KIND * count + k] & 1:
            draw_w = table[_COMMAND_W * count + k]
            if draw_w <= 0:
                seen_w = table[_POWER_W * count + k]
                seen_w &= seen_w >> 31
                if seen_w > draw_w:
                    draw_w = seen_w
            if draw_w:
                draw_w *= sign
                left[0] -= draw_w
                draw_w = -draw_w // table[_WIRES * count + k]
                mask = table[_MASK * count + k]
                for axis in range(1, left[_AXES]):
                    left[axis] += draw_w * (mask & 1)
                    mask >>= 1


# -- loads ---------------------------------------------------------------------------------------


def count_waiting(table: ptr32) -> int:
    """EVSEs that want and were granted nothing."""
    count = table[0]
    waiting = 0
    for k in range(count):
        if table[_KIND * count + k] == _EVSE and table[_WANTS * count + k]:
            if table[_GRANT_W * count + k] == 0:
                waiting += 1
    return waiting


def admit(table: ptr32, books: ptr32, is_over: int, now_ms: int):
    """Minimum first, in queue order; a load too large for what is left waits its turn.

    A load in service stays while the offers fit; another needs room and its rest, and no load in
    flight: then some of the room is only an estimate, and nobody may pay for it.
    """
    count = table[0]
    axes = books[_AXES]
    is_flying = 0
    for k in range(count):
        kind = table[_KIND * count + k]
        if table[_IN_FLIGHT * count + k] and (kind == _EVSE or kind == _RELAY):
            is_flying = 1
    for place in range(count):
        k = table[_ORDER * count + place]
        kind = table[_KIND * count + k]
        if kind == _EVSE or kind == _RELAY:
            wires = table[_WIRES * count + k]
            grant_w = 0
            if table[_PROTECTED * count + k]:
                grant_w = table[_HIGH_W * count + k]
            elif not table[_ONLINE * count + k]:
                grant_w = table[_FALLBACK_W * count + k]  # where its own watchdog takes it
            elif table[_WANTS * count + k]:
                command_w = table[_COMMAND_W * count + k]
                grant_w = table[_MIN_W * count + k]
                is_checked = 1
                if command_w > 0 and not table[_TURNED_OUT * count + k]:
                    is_checked = is_over
                elif is_flying and command_w == 0:
                    grant_w = 0
                elif table[_WAS_CUT * count + k]:
                    off_ms = (now_ms - table[_OFF_MS * count + k]) & _MASK_MS
                    if off_ms >= table[_RESUME_MS * count + k]:
                        # latched, so that the tick ring cannot close it again
                        table[_WAS_CUT * count + k] = 0
                    else:
                        grant_w = 0
                if is_checked:
                    mask = table[_MASK * count + k]
                    room_w = books[0]
                    for axis in range(1, axes):
                        spare_w = books[axis] * wires - room_w
                        room_w += spare_w & spare_w >> 31 & -(mask & 1)
                        mask >>= 1
                    if grant_w > room_w:
                        grant_w = 0
            table[_GRANT_W * count + k] = grant_w
            if grant_w:
                books[0] -= grant_w
                grant_w = -grant_w // wires
                mask = table[_MASK * count + k]
                for axis in range(1, axes):
                    books[axis] += grant_w * (mask & 1)
                    mask >>= 1


def share(table: ptr32, books: ptr32):
    """Equal amps above the minimum: each round raises all that can rise by the same amount on
    every conductor, until the tightest axis is used up.

    Each round goes twice through the loads: to weigh the axes, and to raise.
    """
    count = table[0]
    axes = books[_AXES]
    step_w = 0
    turn = 0
    while turn < 2 * _ROUNDS:
        is_raising = turn & 1
        for k in range(count):
            grant_w = table[_GRANT_W * count + k]
            rise_w = table[_HIGH_W * count + k] - grant_w
            if grant_w < table[_MIN_W * count + k]:
                rise_w = 0
            if rise_w > 0 and grant_w > 0 and table[_ONLINE * count + k]:
                wires = table[_WIRES * count + k]
                mask = table[_MASK * count + k]
                room_w = books[0]
                for axis in range(1, axes):
                    spare_w = books[axis] * wires - room_w
                    room_w += spare_w & spare_w >> 31 & -(mask & 1)
                    mask >>= 1
                if room_w >= wires:
                    if is_raising:
                        if step_w * wires < rise_w:
                            rise_w = step_w * wires
                        table[_GRANT_W * count + k] = grant_w + rise_w
                        books[0] -= rise_w
                        rise_w = -rise_w // wires
                        at = 1
                    else:
                        books[_WEIGHT] += wires
                        rise_w = 1
                        at = _WEIGHT + 1
                    mask = table[_MASK * count + k]
                    for axis in range(1, axes):
                        books[at] += rise_w * (mask & 1)
                        mask >>= 1
                        at += 1
        if not is_raising:
            step_w = 0
            if books[_WEIGHT]:
                step_w = _ANY_W
            for axis in range(axes):
                if books[_WEIGHT + axis]:
                    left_w = books[axis] // books[_WEIGHT + axis]
                    if left_w < step_w:
                        step_w = left_w
                books[_WEIGHT + axis] = 0
            if step_w < 1:
                turn = 2 * _ROUNDS
        turn += 1


def look_at_grants(table: ptr32, is_waiting: int) -> int:
    """Bits of what the grants amount to; keeps the least of each load while the gate waits."""
    count = table[0]
    found = 0
    for k in range(count):
        kind = table[_KIND * count + k]
        if kind == _EVSE or kind == _RELAY:
            grant_w = table[_GRANT_W * count + k]
            command_w = table[_COMMAND_W * count + k]
            if table[_IN_FLIGHT * count + k]:
                found |= _FLIES
            if grant_w > 0:
                if command_w <= 0:
                    found |= _MOVES
                if command_w == 0:
                    found |= _RISES
            elif command_w > 0:
                found |= _MOVES
            if grant_w > command_w + _DEAD_BAND_W:
                found |= _RISES
            if not is_waiting or grant_w < table[_LEAST_W * count + k]:
                table[_LEAST_W * count + k] = grant_w
    return found


def cut_loads(table: ptr32, is_over: int, now_ms: int) -> int:
    """Every load stays as it is, or takes its smaller grant; 1 if one has to."""
    count = table[0]
    is_cut = 0
    for k in range(count):
        kind = table[_KIND * count + k]
        if kind == _EVSE or kind == _RELAY:
            grant_w = table[_GRANT_W * count + k]
            command_w = table[_COMMAND_W * count + k]
            if grant_w < command_w and (is_over or grant_w == 0):
                command_w = grant_w
                is_cut = 1
                if grant_w == 0:
                    table[_OFF_MS * count + k] = now_ms
                    table[_WAS_CUT * count + k] = 1
                    table[_TURNED_OUT * count + k] = 0
            table[_PROPOSAL_W * count + k] = command_w
    return is_cut


# -- storage -------------------------------------------------------------------------------------


def storage_room(table: ptr32, books: ptr32, at: int, battery: int, sign: int) -> int:
    """How far a battery may go toward import (sign 1) or export (-1) beside what books[at + axis]
    says is left; less than nothing: it must help.

    Loads count with what they still draw, since a battery is faster than a vehicle; PV with just
    what the balance has taken out.
    """
    count = table[0]
    axes = books[_AXES]
    for axis in range(axes):
        books[axis] = books[at + axis]
    for k in range(count):
        kind = table[_KIND * count + k]
        credit_w = sign * table[(_CREDIT_W - (sign >> 31)) * count + k]
        draw_w = sign * table[_PROPOSAL_W * count + k]
        if draw_w <= 0:
            seen_w = sign * table[_POWER_W * count + k]
            seen_w &= seen_w >> 31
            if seen_w > draw_w:
                draw_w = seen_w
        if kind == _PV:
            draw_w = credit_w
        if credit_w > draw_w and sign > 0 and kind != _BATTERY:
            draw_w = credit_w
        if draw_w and k != battery:
            books[0] -= draw_w
            draw_w = -draw_w // table[_WIRES * count + k]
            mask = table[_MASK * count + k]
            for axis in range(1, axes):
                books[axis] += draw_w * (mask & 1)
                mask >>= 1
    room_w = books[0]
    wires = table[_WIRES * count + battery]
    mask = table[_MASK * count + battery]
    for axis in range(1, axes):
        spare_w = books[axis] * wires - room_w
        room_w += spare_w & spare_w >> 31 & -(mask & 1)
        mask >>= 1
    return room_w


# -- generation ----------------------------------------------------------------------------------


def generation_room(table: ptr32, books: ptr32, at: int) -> int:
    """books[at], and what all but PV are sure to draw beside; may be negative."""
    count = table[0]
    room_w = books[at]
    for k in range(count):
        draw_w = table[_PROPOSAL_W * count + k]
        if draw_w >= 0:
            seen_w = table[_POWER_W * count + k]
            seen_w &= ~(seen_w >> 31)
            if seen_w < draw_w:
                draw_w = seen_w
        if table[_KIND * count + k] != _PV:
            room_w += draw_w
    return room_w

# SPDX-License-Identifier: MIT
"""Who is due: loops over small tables of times, machine code on a board (see modbus.words).

Times are milliseconds on the 2**30 ring. Called by devices.link and services.bus.
"""

from firmline.core.units import const, ptr8, ptr32

_MASK = const(0x3FFFFFFF)  # also "never"


def first_due(timers: ptr32, count: int, now_ms: int) -> int:
    """First row whose period is over, else `count`. A row: since, period (below 0: never over)."""
    k = 0
    while k < count:
        if timers[2 * k + 1] >= 0:
            if ((now_ms - timers[2 * k]) & _MASK) >= timers[2 * k + 1]:
                return k
        k += 1
    return count


def soonest_ms(timers: ptr32, count: int, now_ms: int) -> int:
    """Milliseconds until the next of these periods is over; 2**30 - 1 when there is none."""
    soonest = _MASK
    while count > 0:
        count -= 1
        if timers[2 * count + 1] >= 0:
            left = timers[2 * count + 1] - ((now_ms - timers[2 * count]) & _MASK)
            if left < 0:
                left = 0
            if left < soonest:
                soonest = left
    return soonest


# A board has a row (since, rest, priority) for each link of a line: what it answered when it was
# asked for its job at `since`, and how long that holds.


def outdated(board: ptr32, woken: ptr8, count: int, now_ms: int) -> int:
    """First row to be asked again: woken, or its answer no longer holds; `count` when none."""
    k = 0
    while k < count:
        if woken[k] != 0 or ((now_ms - board[3 * k]) & _MASK) >= board[3 * k + 1]:
            return k
        k += 1
    return count


def most_urgent(board: ptr32, count: int, last: int, without: int) -> int:
    """Row with the highest priority above 0 but `without`; of equals, the next after `last`. -1
    when there is none."""
    best = -1
    k = count
    while k > 0:
        k -= 1
        last += 1
        if last >= count:
            last = 0
        if last != without and board[3 * last + 2] > 0:
            if best < 0 or board[3 * last + 2] > board[3 * best + 2]:
                best = last
    return best


def rest_ms(board: ptr32, count: int, now_ms: int) -> int:
    """Milliseconds for which all answers hold."""
    rest = _MASK
    while count > 0:
        count -= 1
        left = board[3 * count + 1] - ((now_ms - board[3 * count]) & _MASK)
        if left < 0:
            left = 0
        if left < rest:
            rest = left
    return rest

# SPDX-License-Identifier: MIT
"""main.py of tests/pico/test_pico_kernels.py: machine code and bytecode of the same source get the
same random inputs, many at the edges of their ranges, and must leave the same arrays behind.

Prints `SAME rounds` or `DIFFER round what`. ROUNDS is filled in by the test.
"""

import time
from array import array

import code_ledger
import code_shares
import machine_ledger
import machine_shares

ROUNDS = 100
ROWS = 31
MOST_W = 10000000  # of a rating or a limit
SEEN_W = 1 << 29  # of a reading
AXIS_W = 1 << 28

state = 1


def below(count):
    global state
    value = 0
    for _ in range(3):
        state = (state * 4093 + 12829) & 0x3FFFF
        value = (value << 10 | state >> 8) & 0x1FFFFFFF
    return value % count


def some(low, high):
    """Between low and high: small, anywhere, or at an edge."""
    how = below(6)
    if how == 0:
        return low
    if how == 1:
        return high
    if how == 2 and low <= 0 <= high:
        return 0
    if how == 3:
        return max(low, min(high, below(20001) - 10000))
    return low + below(high - low + 1) if high - low < SEEN_W else below(high)


def ints(count):
    return array("i", [0] * count)


class Inputs:
    """One random site in the midst of its life."""

    def __init__(self):
        self.count = below(5)
        self.axes = 2 + below(3)
        self.table = ints(max(1, ROWS * self.count))
        self.table[0] = self.count
        most_w = 20000 if below(3) else MOST_W
        for k in range(self.count):
            self._add(k, most_w)
        self.sample = self._axes(-AXIS_W if below(4) == 0 else -30000, AXIS_W)
        if below(4):
            self.sample = self._axes(-30000, 30000)
        self.high = self._axes(0, most_w)
        self.low = self._axes(-most_w, 0)
        self.now_ms = below(1 << 29) * 2
        self.battery = below(self.count) if self.count else 0
        self.is_over = below(2)
        self.is_waiting = below(2)

    def _axes(self, low, high):
        return array("i", [some(low, high) for _ in range(4)])

    def put(self, row, k, value):
        self.table[row * self.count + k] = value

    def _add(self, k, most_w):
        kind = below(4)
        mask = 1 + below(7)
        high_w = 0 if kind == 2 else some(0, most_w)
        low_w = -some(0, most_w) if kind in (1, 2) else 0
        min_w = some(0, high_w) if kind == 0 else high_w if kind == 3 else 0
        row = [kind, mask, (mask & 1) + (mask >> 1 & 1) + (mask >> 2), low_w, min_w, high_w]
        row += [some(low_w, high_w), below(2), below(2) if kind == 3 else 0]
        row += [below(4) > 0, below(4) > 0, below(2), below(3) == 0]
        row += [some(-SEEN_W, SEEN_W) if below(3) == 0 else some(low_w, high_w)]
        row += [some(low_w, high_w), some(low_w - 1, high_w + 1)]
        row += [some(low_w, high_w), some(low_w, high_w), below(1 << 29) * 2, 1000]
        row += [below(30000), 0, 0, some(low_w, high_w), some(low_w, high_w), below(2)]
        row += [below(1 << 29) * 2, below(2), 0, (k + 1) % self.count]
        for number in range(len(row)):
            self.put(number + 1, k, row[number])


def run(ledger, shares, given):
    """All kernels, one after the other, as a cycle calls them; returns what they left behind."""
    table = array("i", given.table)
    books = ints(26)
    left = ints(5)
    axes = left[4] = books[4] = given.axes
    books[5] = 20
    import_w = ints(4)
    export_w = ints(4)
    said = [ledger.beyond(given.sample, given.high, given.low, axes)]
    ledger.take_out(table, given.sample, import_w, export_w, axes)
    shares.open_with_margin(books, 14, given.low, export_w, -1)
    shares.open_with_margin(books, 6, given.high, import_w, 1)
    shares.book(table, books, 4, 1)
    shares.book(table, books, 9, 1)
    shares.book(table, books, 9, -1)
    said.append(shares.count_waiting(table))
    shares.admit(table, books, given.is_over, given.now_ms)
    shares.share(table, books)
    said.append(shares.look_at_grants(table, given.is_waiting))
    said.append(shares.cut_loads(table, given.is_over, given.now_ms))
    if given.count:
        said.append(shares.storage_room(table, books, 14, given.battery, -1) & 0x3FFFFFFF)
        said.append(shares.storage_room(table, books, 6, given.battery, 1) & 0x3FFFFFFF)
    said.append(shares.generation_room(table, books, 14))
    said.append(ledger.check_range(table))
    for sign, limit_w, uncontrolled_w in ((1, given.high, import_w), (-1, given.low, export_w)):
        ledger.open_books(left, limit_w, uncontrolled_w, sign)
        ledger.book_given(table, left, sign, 1 if given.is_waiting else sign > 0)
        said.append(ledger.cut(table, left, sign))
        said.append(list(left))
    ledger.publish(table)
    said.append(ledger.start_flights(table, given.now_ms))
    values = ints(2 * given.count + 1)
    ledger.show(values, 1, table, given.count)
    proposals = array("i", table)
    ledger.begin_cycle(table, given.now_ms, 60000)
    return table, books, import_w, export_w, values, proposals, said


def main():
    while time.ticks_ms() < 2000:  # what is printed before the console is up is lost
        pass
    for number in range(ROUNDS):
        given = Inputs()
        one = run(machine_ledger, machine_shares, given)
        other = run(code_ledger, code_shares, given)
        for k in range(len(one)):
            if list(one[k]) != list(other[k]):
                print("DIFFER", number, k, list(one[k]), list(other[k]))
                return
    print("SAME", ROUNDS)


main()
while True:
    time.sleep_ms(1000)

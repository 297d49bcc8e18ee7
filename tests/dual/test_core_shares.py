# SPDX-License-Identifier: MIT
"""core.shares: what is booked for a resource, and the room that is left for it.

Machine code on a board, the source elsewhere: tests/pico/test_pico_kernels.py compares the two.
"""

from sites import L1, L2, L3, L12, L123, battery, evse, fill, make_resources, pv, relay

from firmline.core.shares import (
    book,
    count_waiting,
    generation_room,
    open_with_margin,
    storage_room,
)
from firmline.core.snapshot import watts_array

ANY_KIND = 15
AT = 6  # where what is left before any resource stands


class Ledger:
    """Books and asks for one resource of `rows` at a time."""

    def __init__(self, rows, left_w=(9000, 3000, 3000, 3000), axes=4):
        self.resources = make_resources(rows)
        self.books = watts_array(26)
        fill(self.books, left_w)
        self.books[4] = axes
        self.books[5] = 20  # permille of margin

    def left_w(self):
        return list(self.books)[:4]

    def book(self, index, command_w, sign=1):
        self.resources.command_w[index] = command_w
        book(self.resources.table, self.books, ANY_KIND, sign)
        self.resources.command_w[index] = 0

    def room_w(self, index):
        for axis in range(4):
            self.books[AT + axis] = self.books[axis]
        return storage_room(self.resources.table, self.books, AT, index, 1)


def highest_w(command_w, power_w):
    """The most that is booked for import under a command."""
    ledger = Ledger([battery(L1)], (0, 0, 0, 0))
    ledger.resources.power_w[0] = power_w
    ledger.book(0, command_w)
    return -ledger.left_w()[0]


def lowest_w(command_w, power_w):
    """What generation may count on under a proposal."""
    ledger = Ledger([battery(L1)], (0, 0, 0, 0))
    ledger.resources.proposal_w[0] = command_w
    ledger.resources.power_w[0] = power_w
    return generation_room(ledger.resources.table, ledger.books, AT)


def test_highest_is_the_whole_offer_of_a_load_and_only_the_present_supply_of_a_source():
    assert highest_w(7000, 0) == 7000
    assert highest_w(7000, 6000) == 7000
    assert highest_w(0, 0) == 0
    assert highest_w(0, 5000) == 0
    assert highest_w(0, -5000) == 0
    assert highest_w(-8000, -3000) == -3000
    assert highest_w(-2000, -3000) == -2000
    assert highest_w(-2000, 500) == 0


def test_lowest_is_the_mirror_of_highest():
    assert lowest_w(-7000, 0) == -7000
    assert lowest_w(0, 0) == 0
    assert lowest_w(0, -5000) == 0
    assert lowest_w(8000, 3000) == 3000
    assert lowest_w(2000, 3000) == 2000
    assert lowest_w(2000, -500) == 0


def test_the_room_is_what_the_tightest_axis_leaves():
    ledger = Ledger([evse(L1), evse(L12), evse(L123), relay(L3)], (9000, 2000, 4000, 1000))
    assert ledger.room_w(0) == 2000
    assert ledger.room_w(1) == 4000
    assert ledger.room_w(2) == 3000
    assert ledger.room_w(3) == 1000
    assert Ledger([evse(L123)], (5000, 2000, 2000, 2000)).room_w(0) == 5000


def test_no_room_is_a_negative_number():
    assert Ledger([evse(L1)], (9000, -1, 3000, 3000)).room_w(0) == -1
    assert Ledger([evse(L1)], (-5, 3000, 3000, 3000)).room_w(0) == -5


def test_an_axis_that_the_site_does_not_have_is_no_limit():
    assert Ledger([evse(L1)], (9000, 5000, 0, 0), axes=2).room_w(0) == 5000


def test_taking_is_rounded_up_on_each_conductor():
    ledger = Ledger([evse(L123)])
    ledger.book(0, 100)
    assert ledger.left_w() == [8900, 2966, 2966, 2966]


def test_giving_back_is_rounded_down_on_each_conductor():
    ledger = Ledger([evse(L123)])
    ledger.book(0, 100, -1)
    assert ledger.left_w() == [9100, 3033, 3033, 3033]


def test_taking_the_room_leaves_no_axis_negative():
    for left_w in ((9000, 1001, 2002, 3003), (4000, 3000, 3000, 3000), (9000, 1, 2, 3)):
        for mask in (1, 2, 3, 4, 5, 6, 7):
            ledger = Ledger([evse(mask)], left_w)
            ledger.book(0, ledger.room_w(0))
            assert min(ledger.left_w()) >= 0


def test_taking_nothing_changes_nothing():
    ledger = Ledger([evse(L123)])
    ledger.book(0, 0)
    assert ledger.left_w() == [9000, 3000, 3000, 3000]


def test_only_the_conductors_of_the_resource_are_charged():
    ledger = Ledger([evse(L2)])
    ledger.book(0, 700)
    assert ledger.left_w() == [8300, 3000, 2300, 3000]


# --- what the limits leave ---


def test_the_margin_is_2_percent_of_each_limit_and_at_least_50_w():
    ledger = Ledger([])
    open_with_margin(ledger.books, AT, (20000, 9200, 2500, 1000), (6000, -100, 0, 0), 1)
    assert ledger.left_w() == [13600, 9116, 2450, 950]
    assert list(ledger.books)[AT : AT + 8] == [13600, 9116, 2450, 950, 400, 184, 50, 50]


def test_for_export_everything_is_mirrored():
    ledger = Ledger([])
    open_with_margin(ledger.books, AT, (-10000, -9200, -9200, 0), (-3000, 100, 0, 0), -1)
    assert ledger.left_w() == [6800, 9116, 9016, -50]


def test_a_conductor_that_the_site_does_not_have_is_not_touched():
    ledger = Ledger([], (1, 2, 3, 4), axes=2)
    open_with_margin(ledger.books, AT, (20000, 9200, 9200, 9200), (0, 0, 0, 0), 1)
    assert ledger.left_w() == [19600, 9016, 3, 4]


def test_only_the_kinds_asked_for_are_booked():
    ledger = Ledger([evse(L1), battery(L1), pv(L1), relay(L1)])
    fill(ledger.resources.command_w, (1000, 200, -30, 4))
    fill(ledger.resources.power_w, (0, 0, -30, 0))
    for kinds, left_w in ((1, 8000), (2, 8800), (4, 9030), (8, 8996), (9, 7996), (0, 9000)):
        fill(ledger.books, (9000, 3000, 3000, 3000))
        book(ledger.resources.table, ledger.books, kinds, 1)
        assert ledger.left_w()[0] == left_w


# --- storage ---


def test_the_battery_itself_takes_no_room():
    ledger = Ledger([battery(L1), evse(L1)])
    fill(ledger.resources.proposal_w, (5000, 700))
    assert ledger.room_w(0) == 2300


def test_a_load_counts_with_what_it_still_draws_and_pv_with_its_credit():
    ledger = Ledger([battery(L123), evse(L1), pv(L2), battery(L3)], (20000, 9000, 9000, 9000))
    resources = ledger.resources
    fill(resources.proposal_w, (0, 2000, -8000, -1000))
    fill(resources.credit_w, (0, 7000, -6000, 0))
    fill(resources.power_w, (0, 7000, -6000, -400))
    assert ledger.room_w(0) == 6000, "three times what 7,000 W leave on L1"
    resources.credit_w[1] = 0
    fill(ledger.books, (14000, 9000, 9000, 9000))
    assert ledger.room_w(0) == 18400, "14,000 - 2,000 + 6,000 + 400"


def test_toward_export_a_load_counts_with_what_it_is_sure_to_draw():
    ledger = Ledger([battery(L123), evse(L1), pv(L2)], (9000, 9000, 9000, 9000))
    resources = ledger.resources
    fill(resources.proposal_w, (0, 2000, -8000))
    fill(resources.power_w, (0, 1500, -6000))
    credit_low = 23 * 3 + 2
    resources.table[credit_low] = -5000
    for axis in range(4):
        ledger.books[AT + axis] = 9000
    assert storage_room(resources.table, ledger.books, AT, 0, -1) == 9000 + 1500 - 5000


# --- turns ---


def test_who_waits_is_an_evse_that_wants_and_has_nothing():
    resources = make_resources([evse(), evse(), evse(), relay(), battery()])
    fill(resources.grant_w, (0, 1380, 0, 0, 0))
    assert count_waiting(resources.table) == 2
    resources.wants[2] = 0
    assert count_waiting(resources.table) == 1

# SPDX-License-Identifier: MIT
"""core.ledger: its edges; what it is for is tested with balance, guard and cycle.

Machine code on a board, the source elsewhere: tests/pico/test_pico_kernels.py compares the two.
"""

from sites import (
    L1,
    L12,
    L123,
    MASK,
    battery,
    evse,
    fill,
    make_resources,
    make_site,
    make_snapshot,
    pv,
    relay,
)

from firmline.core.balance import Balance
from firmline.core.ledger import (
    begin_cycle,
    beyond,
    book_given,
    cut,
    publish,
    show,
    start_flights,
)
from firmline.core.snapshot import watts_array

ROOM = (9000, 3000, 3000, 3000)


def make_left(left_w=ROOM, axes=4):
    left = watts_array(5)
    fill(left, left_w)
    left[4] = axes
    return left


def make_new(rows, new_w, protected=()):
    resources = make_resources(rows, protected)
    fill(resources.new_w, new_w)
    return resources


# --- beyond ---


def test_beyond_a_limit_is_one_watt_more():
    for over_w, found in ((-1, 0), (0, 0), (1, 1)):
        sample_w = (100, 20 + over_w, 0, 0)
        assert beyond(sample_w, (100, 20, 20, 20), (-50, -20, -20, -20), 4) == found
        sample_w = (-50 - over_w, 0, 0, 0)
        assert beyond(sample_w, (100, 20, 20, 20), (-50, -20, -20, -20), 4) == 2 * found


def test_both_directions_can_be_beyond_at_once():
    assert beyond((0, 21, -21, 0), (100, 20, 20, 20), (-50, -20, -20, -20), 4) == 3


def test_only_the_axes_of_the_site_are_looked_at():
    assert beyond((0, 0, 999, 999), (100, 20, 20, 20), (-50, -20, -20, -20), 2) == 0


# --- balance ---


def test_a_reading_beyond_all_sense_is_brought_within_10_mw():
    # machine code would wrap where many such readings add up to 2**31
    for power_w, kept_w in ((536870911, 10000000), (9999999, 9999999), (-536870911, -10000000)):
        resources = make_resources([evse(L1, 7360)])
        resources.power_w[0] = power_w
        resources.in_flight[0] = 1
        balance = Balance(make_site(), resources)
        balance.update(make_snapshot(1000, 1000))
        assert list(resources.power_w) == [kept_w]
        assert balance.import_w[0] == 1000 - max(kept_w, 0)
        assert balance.export_w[0] == 1000 - min(kept_w, 0)


# --- guard ---


def test_relief_is_booked_as_far_as_it_is_seen():
    for power_w, left_w in ((0, 9000), (-500, 9500), (-5000, 12000), (700, 9000)):
        resources = make_new([battery(L1, 5000, 5000)], (-3000,))
        resources.power_w[0] = power_w
        left = make_left()
        book_given(resources.table, left, 1, True)
        assert left[0] == left_w
        left = make_left()
        book_given(resources.table, left, 1, False)
        assert list(left) == [9000, 3000, 3000, 3000, 4]


def test_a_protected_load_is_booked_before_all_others_and_never_cut():
    resources = make_new([evse(L1, 7360, 1380), relay(L1, 2000)], (2000, 2000), (1,))
    left = make_left()
    book_given(resources.table, left, 1, True)
    assert list(left) == [7000, 1000, 3000, 3000, 4]
    assert cut(resources.table, left, 1) == 1
    assert list(resources.new_w) == [0, 2000]
    assert list(left) == [7000, 1000, 3000, 3000, 4]


def test_shares_of_conductors_are_rounded_up():
    resources = make_new([evse(L123, 7360, 50)], (100,))
    left = make_left()
    assert cut(resources.table, left, 1) == 0
    assert list(left) == [8900, 2966, 2966, 2966, 4]


def test_what_is_cut_leaves_no_axis_negative():
    for mask in range(1, 8):
        for left_w in ((9000, 1001, 2002, 3003), (4000, 3000, 3000, 3000), (9000, 1, 2, 3)):
            resources = make_new([battery(mask, 100000)], (100000,))
            left = make_left(left_w)
            assert cut(resources.table, left, 1) == 1
            assert min(list(left)) >= 0
            assert resources.new_w[0] > 0


def test_a_cut_ends_one_watt_above_what_is_left():
    for over_w, is_cut in ((-1, 0), (0, 0), (1, 1)):
        resources = make_new([pv(L12, 20000)], (-(6000 + over_w),))
        left = make_left()
        assert cut(resources.table, left, -1) == is_cut
        assert list(resources.new_w) == [-6000 - (0 if is_cut else over_w)]


def test_a_conductor_that_the_site_does_not_have_is_no_limit_and_not_booked():
    resources = make_new([evse(L123, 9000, 0)], (9000,))
    left = make_left((9000, 3000, 0, 0), 2)
    assert cut(resources.table, left, 1) == 0
    assert list(left) == [0, 0, 0, 0, 2]


def test_what_was_in_force_is_kept_beside_what_is():
    resources = make_new([evse(), battery()], (1380, -200))
    fill(resources.command_w, (7000, 100))
    publish(resources.table)
    assert list(resources.command_w) == [1380, -200]
    assert list(resources.previous_w) == [7000, 100]


# --- cycle ---


def test_a_flight_ends_one_millisecond_after_the_longest_time():
    resources = make_resources([evse(), evse()])
    fill(resources.in_flight, (1, 1))
    fill(resources.changed_ms, (MASK - 999, MASK - 998))  # the ring turns in between
    fill(resources.command_w, (1380, 7000))
    begin_cycle(resources.table, 59000, 60000)
    assert list(resources.in_flight) == [1, 1]
    assert list(resources.proposal_w) == [1380, 7000]
    begin_cycle(resources.table, 59001, 60000)
    assert list(resources.in_flight) == [0, 1]


def test_a_changed_command_is_in_flight_from_now_on():
    resources = make_resources([evse(), evse(), evse()])
    fill(resources.command_w, (1380, 7000, 0))
    fill(resources.previous_w, (1380, 1380, 7000))
    fill(resources.power_w, (1300, 1350, 6900))
    fill(resources.before_w, (0, 0, 4000))
    resources.in_flight[2] = 1
    assert start_flights(resources.table, 77) == 1
    assert list(resources.in_flight) == [0, 1, 1]
    assert list(resources.changed_ms) == [0, 77, 77]
    assert list(resources.before_w) == [0, 1350, 4000], "what it did before the first change"
    fill(resources.previous_w, (1380, 7000, 0))
    assert start_flights(resources.table, 78) == 0
    assert list(resources.changed_ms) == [0, 77, 77]


# --- telemetry ---


def test_commands_and_powers_are_shown_in_turns():
    resources = make_resources([evse(), evse(), evse()])
    fill(resources.command_w, (1, 2, 3))
    fill(resources.power_w, (10, 20, 30))
    values = watts_array(8)
    show(values, 1, resources.table, 2)
    assert list(values) == [0, 1, 10, 2, 20, 0, 0, 0]

# SPDX-License-Identifier: MIT
"""The event queue: order, ties, nothing before its time, nothing into the past."""

import pytest

from hil.world import World


def test_events_run_in_time_order_and_see_their_own_time():
    world, seen = World(), []
    for t_us in (30, 10, 20):
        world.at(t_us, lambda t_us=t_us: seen.append((world.now_us, t_us)))
    world.run_until(100)
    assert seen == [(10, 10), (20, 20), (30, 30)]
    assert world.now_us == 100


def test_ties_run_in_the_order_of_scheduling():
    world, seen = World(), []
    for name in "abc":
        world.at(5, seen.append, name)
    world.run_until(5)
    assert seen == ["a", "b", "c"]


def test_event_is_not_run_one_microsecond_early():
    world, seen = World(), []
    world.at(1000, seen.append, 1)
    world.run_until(999)
    assert seen == []
    world.run_until(1000)
    assert seen == [1]


def test_event_scheduled_by_an_event_for_now_runs_in_the_same_pass():
    world, seen = World(), []
    world.at(7, lambda: world.at(7, seen.append, "again"))
    world.run_until(7)
    assert seen == ["again"]


def test_next_us_is_the_earliest_event():
    world = World()
    assert world.next_us is None
    world.at(9, int)
    world.at(4, int)
    assert world.next_us == 4
    world.run_until(4)
    assert world.next_us == 9


def test_the_past_is_refused_and_time_never_goes_back():
    world = World()
    world.run_until(50)
    with pytest.raises(ValueError, match="cannot schedule at 49 us, it is already 50 us"):
        world.at(49, int)
    world.run_until(10)
    assert world.now_us == 50

# SPDX-License-Identifier: MIT
"""core.escalation: the stages of a 10 s profile at 6.0, 7.5 and 9.0 s, across the tick wrap."""

from sites import at

from firmline.core.escalation import Escalation

INSIDE, CUT, TO_MINIMUM, PAUSE, TRIP = range(5)
RING = 1 << 30


def over_since(ms, allowed_ms=10000):
    clock = Escalation(allowed_ms)
    assert clock.update(True, at(ms)) == CUT
    return clock


def test_inside_while_nothing_is_exceeded():
    clock = Escalation(10000)
    for ms in (0, 1000, 59999, 60000, 3600000):
        assert clock.update(False, at(ms)) == INSIDE


def test_the_first_sample_beyond_the_limit_cuts_at_once():
    clock = Escalation(10000)
    clock.update(False, at(0))
    assert clock.update(True, at(1)) == CUT


def test_to_minimum_at_60_percent():
    clock = over_since(55000)
    assert clock.update(True, at(60999)) == CUT, "not yet"
    assert clock.update(True, at(61000)) == TO_MINIMUM


def test_pause_at_75_percent():
    clock = over_since(55000)
    assert clock.update(True, at(62499)) == TO_MINIMUM, "not yet"
    assert clock.update(True, at(62500)) == PAUSE


def test_trip_at_90_percent():
    clock = over_since(55000)
    assert clock.update(True, at(63999)) == PAUSE, "not yet"
    assert clock.update(True, at(64000)) == TRIP


def test_the_stages_follow_the_allowed_time_of_the_profile():
    for allowed_ms, minimum_ms, pause_ms, trip_ms in (
        (1000, 600, 750, 900),
        (5000, 3000, 3750, 4500),
        (60000, 36000, 45000, 54000),
    ):
        clock = over_since(58000, allowed_ms)
        assert clock.update(True, at(58000 + minimum_ms - 1)) == CUT
        assert clock.update(True, at(58000 + minimum_ms)) == TO_MINIMUM
        assert clock.update(True, at(58000 + pause_ms - 1)) == TO_MINIMUM
        assert clock.update(True, at(58000 + pause_ms)) == PAUSE
        assert clock.update(True, at(58000 + trip_ms - 1)) == PAUSE
        assert clock.update(True, at(58000 + trip_ms)) == TRIP


def test_a_gap_between_updates_does_not_skip_the_trip():
    assert over_since(55000).update(True, at(70000)) == TRIP
    assert over_since(55000).update(True, at(62600)) == PAUSE


def test_back_inside_ends_the_exceedance_and_the_next_starts_anew():
    clock = over_since(50000)
    assert clock.update(True, at(58999)) == PAUSE
    assert clock.update(False, at(59000)) == PAUSE
    assert clock.update(False, at(59999)) == PAUSE, "not yet"
    assert clock.update(False, at(60000)) == INSIDE
    assert clock.update(True, at(60100)) == CUT
    assert clock.update(True, at(66099)) == CUT, "not yet"
    assert clock.update(True, at(66100)) == TO_MINIMUM


def test_a_short_look_inside_does_not_restart_the_clock():
    clock = over_since(50000)
    for ms in range(50100, 59000, 100):
        clock.update(ms % 1000 != 0, at(ms))  # inside for 0.1 s of every second
    assert clock.stage == PAUSE
    assert clock.update(True, at(59000)) == TRIP


def test_the_time_inside_starts_anew_with_each_exceedance():
    clock = over_since(50000)
    assert clock.update(False, at(50100)) == CUT
    assert clock.update(True, at(51000)) == CUT
    assert clock.update(False, at(51100)) == CUT
    assert clock.update(False, at(52099)) == CUT, "not yet"
    assert clock.update(False, at(52100)) == INSIDE


def test_an_exceedance_that_lasts_stays_tripped_when_the_ring_turns():
    clock = over_since(0)
    assert clock.update(True, at(9000)) == TRIP
    for ms in (RING - 1, RING, RING + 1, RING + 5000):
        assert clock.update(True, at(ms)) == TRIP


def test_the_stage_never_falls_while_the_exceedance_lasts():
    clock = over_since(52000)
    worst = CUT
    for ms in range(52000, 66000, 100):
        stage = clock.update(True, at(ms))
        assert stage >= worst
        worst = stage
    assert worst == TRIP

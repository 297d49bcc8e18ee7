# SPDX-License-Identifier: MIT
"""core.freshness: fresh, late after the hold time, lost after the fallback, never young again."""

from sites import at

from firmline.core.freshness import Freshness

FRESH = 0
LATE = 1
LOST = 2
RING = 1 << 30


def test_lost_until_the_first_input():
    trust = Freshness(600, 2000)
    for ms in (0, 1, 599, 60000, 3600000):
        assert trust.update(at(ms)) == LOST
    trust.mark(at(3600000))
    assert trust.update(at(3600000)) == FRESH


def test_late_one_ms_after_the_hold_time():
    trust = Freshness(600, 2000)
    trust.mark(at(59700))
    assert trust.update(at(60300)) == FRESH, "not yet"
    assert trust.update(at(60301)) == LATE


def test_lost_one_ms_after_the_fallback_time():
    trust = Freshness(600, 2000)
    trust.mark(at(59000))
    assert trust.update(at(61000)) == LATE, "not yet"
    assert trust.update(at(61001)) == LOST


def test_lost_without_having_been_seen_late():
    trust = Freshness(600, 2000)
    trust.mark(at(0))
    assert trust.update(at(5000)) == LOST


def test_a_new_input_makes_late_and_lost_fresh_again():
    trust = Freshness(600, 2000)
    trust.mark(at(0))
    assert trust.update(at(601)) == LATE
    trust.mark(at(700))
    assert trust.update(at(1300)) == FRESH
    assert trust.update(at(9000)) == LOST
    trust.mark(at(9000))
    assert trust.update(at(9600)) == FRESH
    assert trust.update(at(9601)) == LATE


def test_each_input_starts_the_age_again():
    trust = Freshness(600, 2000)
    for ms in range(0, 120000, 600):
        trust.mark(at(ms))
        assert trust.update(at(ms + 600)) == FRESH


def test_lost_stays_lost_when_the_ring_has_turned():
    trust = Freshness(600, 2000)
    trust.mark(at(0))
    assert trust.update(at(2001)) == LOST
    for ms in (RING - 1, RING, RING + 1, RING + 600, RING + 2000):
        assert trust.update(at(ms)) == LOST


def test_an_input_never_gets_younger_by_waiting():
    trust = Freshness(600, 2000)
    trust.mark(at(0))
    worst = FRESH
    ms = 0
    while ms < 70000:
        state = trust.update(at(ms))
        assert state >= worst
        worst = state
        ms += 37
    assert worst == LOST


def test_the_moment_of_the_last_input_is_kept():
    trust = Freshness(600, 2000)
    trust.mark(at(60001))
    trust.update(at(60500))
    assert trust.marked_ms == at(60001)
    assert trust.state == FRESH

# SPDX-License-Identifier: MIT
"""services.excursions: which excursions count. How they are measured: test_journal.py."""

from array import array

from sites import FixedLimits, at

from firmline.services.eventlog import EventLog
from firmline.services.excursions import Excursions

IMPORT, EXPORT = 1, -1
COUNT, COUNTED, LONGEST_S, PEAK_W, ENERGY_WH = range(5)


class Clock:
    """Stands for Escalation: open while `stage` is not 0."""

    stage = 0


def after(over_ms, sign=IMPORT, over_w=1000):
    """(counts, events) of one excursion of that length, seen every 100 ms at most."""
    clock = Clock()
    limits = FixedLimits()
    limits.binding = [0, 0]
    limit_w = limits.high_w[0] if sign > 0 else limits.low_w[0]
    counts = array("i", [0] * 5)
    events = EventLog()
    excursions = Excursions(
        sign, clock, limits, [limit_w + sign * over_w, 0, 0, 0], counts, 0, events
    )
    clock.stage = 1
    ms = 50000  # the ring wraps ten seconds later
    while ms < 50000 + over_ms:
        assert not excursions.update(at(ms))
        ms += 100
    assert not excursions.update(at(50000 + over_ms))
    clock.stage = 0
    assert excursions.update(at(50000 + over_ms + 100))
    return counts, [(code, value) for _, _, code, value in events]


def test_an_excursion_counts_from_15_s_on():
    counts, events = after(14999)
    assert (counts[COUNT], counts[COUNTED], counts[LONGEST_S]) == (1, 0, 14), "not yet"
    assert events == []
    counts, events = after(15000)
    assert (counts[COUNT], counts[COUNTED], counts[LONGEST_S]) == (1, 1, 15)
    assert len(events) == 4


def test_its_events_carry_the_sign_of_the_direction():
    for sign in (IMPORT, EXPORT):
        counts, events = after(36000, sign)
        assert [value for _, value in events] == [sign * 36, sign * 1000, sign * 10, 0]
        assert (counts[PEAK_W], counts[ENERGY_WH]) == (1000, 10)

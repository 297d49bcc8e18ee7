# SPDX-License-Identifier: MIT
"""services.eventlog: a ring that keeps the newest, counts the lost and never allocates."""

from firmline.services import eventlog
from firmline.services.eventlog import EventLog

try:
    import micropython
except ImportError:
    micropython = None

START_MS = -60000  # on the ring, without a sum beyond 2**30
RING = (1 << 30) - 1


def at(ms):
    return (START_MS + ms) & RING


def test_an_empty_log_has_nothing_to_read():
    log = EventLog()
    assert len(log) == 0 and list(log) == [] and log.dropped == 0


def test_events_come_back_in_order_with_their_seconds():
    log = EventLog(8)
    log.poll(at(0))
    log.add(1, 11)
    log.poll(at(999))
    log.add(2, 22)
    log.poll(at(1000))
    log.add(3, -33)
    assert list(log) == [(0, 0, 1, 11), (1, 0, 2, 22), (2, 1, 3, -33)]
    assert len(log) == 3


def test_seconds_run_on_through_the_wrap_of_the_ticks():
    log = EventLog(4)
    for ms in range(0, 120001, 700):
        log.poll(at(ms))
    assert log.now_s == 119  # 119,700 ms is the last step
    log.poll(at(119999))
    assert log.now_s == 119, "not yet"
    log.poll(at(120000))
    assert log.now_s == 120


def test_a_gap_of_days_is_counted_whole():
    log = EventLog(4)
    log.poll(at(0))
    log.poll(at(999))
    log.poll(at(999 + 1000000000))
    assert log.now_s == 1000000
    log.poll(at(1000 + 1000000000))
    assert log.now_s == 1000001


def test_the_first_poll_starts_the_seconds_at_zero():
    log = EventLog(4)
    log.poll(123456789)
    assert log.now_s == 0


def test_a_full_ring_drops_the_oldest_and_counts_it():
    log = EventLog(4)
    for value in range(4):
        log.add(5, value)
    assert log.dropped == 0 and len(log) == 4
    log.add(5, 4)
    assert log.dropped == 1 and len(log) == 4
    for value in range(5, 11):
        log.add(5, value)
    assert [entry[3] for entry in log] == [7, 8, 9, 10]
    assert log.dropped == 7 and log.added == 11


def test_a_reader_can_go_on_where_it_stopped():
    log = EventLog(4)
    for value in range(3):
        log.add(5, value)
    assert [entry[0] for entry in log.since(1)] == [1, 2]
    assert list(log.since(3)) == []
    for value in range(3, 9):
        log.add(5, value)
    assert [entry[0] for entry in log.since(3)] == [5, 6, 7, 8]  # 3 and 4 are gone


def test_values_reach_to_the_edge_of_small_ints():
    log = EventLog(2)
    log.add(1, (1 << 30) - 1)
    log.add(1, -(1 << 30))
    assert [entry[3] for entry in log] == [(1 << 30) - 1, -(1 << 30)]


def test_every_code_has_one_name():
    codes = [getattr(eventlog, name) for name in dir(eventlog) if name.startswith("E_")]
    assert sorted(codes) == list(range(1, eventlog.CODES))


def test_adding_never_allocates():
    log = EventLog(16)
    before = 0
    if hasattr(micropython, "heap_lock"):
        if hasattr(micropython, "mem_total"):
            before = micropython.mem_total()
        micropython.heap_lock()
    for k in range(200):
        log.poll((START_MS + k * 997) & RING)
        log.add(k & 15, RING - k)
    if hasattr(micropython, "heap_lock"):
        micropython.heap_unlock()
        if hasattr(micropython, "mem_total"):
            assert micropython.mem_total() == before
    assert log.added == 200 and log.dropped == 184

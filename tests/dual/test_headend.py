# SPDX-License-Identifier: MIT
"""services.headend: heartbeat timeout, expiries, what may be written and what silence leaves.

The clock starts 60 s before the 2**30 ms wrap, so every timeout below runs across it.
"""

from firmline.services.headend import HeadEnd

try:
    import micropython
except ImportError:
    micropython = None

START_MS = -60000  # on the ring, without a sum beyond 2**30
RING = (1 << 30) - 1
REFUSED = 3
NONE = -1
LARGEST_W = (1 << 29) - 1


def at(ms):
    return (START_MS + ms) & RING


def head_end(timeout_ms=60000, firm_import_w=48000, firm_export_w=10000):
    """A head-end whose heartbeat has just come, at at(0)."""
    made = HeadEnd(timeout_ms, firm_import_w, firm_export_w)
    made.poll(at(0))
    made.heartbeat(at(0))
    return made


def test_not_alive_before_the_first_heartbeat():
    made = HeadEnd(60000)
    for ms in (0, 1, 59999, 60000, 60001, 10000000):
        made.poll(at(ms))
        assert not made.is_alive and made.state == 0
    made.heartbeat(at(10000000))
    assert made.is_alive and made.state == 1 and made.heartbeats == 1


def test_silent_one_ms_after_the_timeout():
    for timeout_ms in (1, 1000, 59999, 60000, 60001, 3600000):
        made = head_end(timeout_ms)
        made.poll(at(timeout_ms))
        assert made.is_alive, "not yet"
        made.poll(at(timeout_ms + 1))
        assert not made.is_alive and made.state == 2 and made.losses == 1


def test_the_timeout_does_not_depend_on_how_often_it_is_polled():
    for step_ms in (1, 7, 100, 999):
        made = head_end()
        ms = 0
        while made.is_alive:
            ms += step_ms
            made.poll(at(ms))
        assert 60000 < ms <= 60000 + step_ms


def test_each_heartbeat_starts_the_timeout_again():
    made = head_end()
    for ms in (60000, 120000, 180000):
        made.heartbeat(at(ms))
    made.poll(at(240000))
    assert made.is_alive
    made.poll(at(240001))
    assert not made.is_alive


def test_a_heartbeat_after_the_timeout_still_counts_the_loss():
    made = head_end()
    made.set_dynamic(60000, NONE, 3600, at(0))
    made.heartbeat(at(60001))
    assert made.is_alive and made.losses == 1
    assert made.dynamic_import_w == NONE


def test_an_old_heartbeat_does_not_look_young_after_the_ring_has_turned():
    made = head_end()
    made.poll(at(60001))
    for part in range(1, 9):
        made.poll(at(60001 + part * (1 << 28)))
        assert not made.is_alive
    made.poll(at(1))  # the same tick again, 12 days later
    assert not made.is_alive


def test_a_dynamic_limit_is_taken_while_alive():
    made = head_end()
    assert made.set_dynamic(60000, 5000, 300, at(10)) == 0
    assert made.dynamic_import_w == 60000 and made.dynamic_export_w == 5000
    assert made.dynamic_left_ms == 300000
    assert made.accepted == 1 and made.refused == 0


def test_a_dynamic_limit_ends_with_its_duration():
    for duration_s in (1, 59, 60, 61, 3600):
        made = head_end(3600000)
        made.set_dynamic(60000, 5000, duration_s, at(0))
        made.poll(at(duration_s * 1000 - 1))
        assert made.dynamic_import_w == 60000 and made.dynamic_export_w == 5000, "not yet"
        assert made.dynamic_left_ms == 1
        made.poll(at(duration_s * 1000))
        assert made.dynamic_import_w == NONE and made.dynamic_export_w == NONE
        assert made.dynamic_left_ms == 0


def test_a_dynamic_limit_may_be_replaced_and_withdrawn():
    made = head_end()
    made.set_dynamic(60000, 5000, 300, at(0))
    assert made.set_dynamic(70000, NONE, 20, at(1000)) == 0
    assert made.dynamic_import_w == 70000 and made.dynamic_export_w == NONE
    assert made.dynamic_left_ms == 20000
    assert made.set_dynamic(NONE, NONE, 1, at(2000)) == 0
    assert made.dynamic_import_w == NONE


def test_a_limit_is_refused_without_a_live_heartbeat():
    made = HeadEnd(60000, 48000, 10000)
    made.poll(at(0))
    assert made.set_dynamic(1000, 1000, 60, at(0)) == REFUSED
    assert made.set_emergency(1000, 1000, 60, at(0)) == REFUSED
    made.heartbeat(at(0))
    assert made.set_dynamic(1000, 1000, 60, at(60000)) == 0, "not yet"
    assert made.set_dynamic(2000, 2000, 60, at(60001)) == REFUSED
    assert made.set_emergency(2000, 2000, 60, at(60001)) == REFUSED
    assert made.dynamic_import_w == 1000 and made.emergency_import_w == NONE
    assert made.accepted == 1 and made.refused == 4


def test_values_that_are_no_limit_are_refused_and_change_nothing():
    bad = (
        (-2, 0, 60),
        (0, -2, 60),
        (LARGEST_W + 1, 0, 60),
        (0, LARGEST_W + 1, 60),
        (0, 0, 0),
        (0, 0, -1),
        (0, 0, 3601),
        (0, 0, 65535),
    )
    made = head_end()
    made.set_dynamic(60000, 5000, 300, at(0))
    made.set_emergency(40000, 4000, 200, at(0))
    for import_w, export_w, duration_s in bad:
        assert made.set_dynamic(import_w, export_w, duration_s, at(0)) == REFUSED
        assert made.set_emergency(import_w, export_w, duration_s, at(0)) == REFUSED
        assert made.dynamic_import_w == 60000 and made.dynamic_export_w == 5000
        assert made.dynamic_left_ms == 300000
        assert made.emergency_import_w == 40000 and made.emergency_export_w == 4000
        assert made.emergency_left_ms == 200000
    assert made.refused == 2 * len(bad)


def test_the_edges_of_the_values_are_accepted():
    for import_w, export_w, duration_s in ((0, 0, 1), (LARGEST_W, LARGEST_W, 3600)):
        made = head_end()
        assert made.set_dynamic(import_w, export_w, duration_s, at(0)) == 0
        assert made.set_emergency(import_w, export_w, duration_s, at(0)) == 0
        assert made.dynamic_import_w == import_w and made.emergency_export_w == export_w


def test_silence_drops_a_dynamic_limit_looser_than_firm_and_keeps_a_stricter_one():
    # firm: import 48,000 W, export 10,000 W
    for import_w, import_left_w in ((48001, NONE), (48000, 48000), (0, 0), (NONE, NONE)):
        for export_w, export_left_w in ((10001, NONE), (10000, 10000), (0, 0), (NONE, NONE)):
            made = head_end()
            made.set_dynamic(import_w, export_w, 3600, at(0))
            made.poll(at(60000))
            assert made.dynamic_import_w == import_w, "not yet"
            made.poll(at(60001))
            assert made.dynamic_import_w == import_left_w
            assert made.dynamic_export_w == export_left_w


def test_a_returning_heartbeat_does_not_bring_the_looser_limit_back():
    made = head_end()
    made.set_dynamic(90000, NONE, 3600, at(0))
    made.poll(at(60001))
    made.heartbeat(at(60002))
    assert made.is_alive and made.dynamic_import_w == NONE
    assert made.set_dynamic(90000, NONE, 3600, at(60003)) == 0
    assert made.dynamic_import_w == 90000


def test_a_stricter_limit_kept_through_silence_ends_with_its_duration():
    made = head_end()
    made.set_dynamic(1000, NONE, 120, at(0))
    made.poll(at(119999))
    assert not made.is_alive and made.dynamic_import_w == 1000, "not yet"
    made.poll(at(120000))
    assert made.dynamic_import_w == NONE


def test_without_firm_limits_silence_drops_every_dynamic_limit():
    made = HeadEnd(1000)
    made.heartbeat(at(0))
    made.set_dynamic(1, 1, 60, at(0))
    made.poll(at(1001))
    assert made.dynamic_import_w == NONE and made.dynamic_export_w == NONE


def test_an_emergency_limit_outlives_silence_and_ends_with_its_duration():
    made = head_end()
    assert made.set_emergency(5000, 60000, 3600, at(0)) == 0
    made.poll(at(60001))
    assert not made.is_alive
    assert made.emergency_import_w == 5000 and made.emergency_export_w == 60000
    made.poll(at(3599999))
    assert made.emergency_import_w == 5000 and made.emergency_export_w == 60000, "not yet"
    made.poll(at(3600000))
    assert made.emergency_import_w == NONE and made.emergency_export_w == NONE
    assert made.emergency_left_ms == 0


def test_an_emergency_limit_only_tightens():
    cases = (  # before, after, code
        ((5000, 4000), (5000, 4000), 0),
        ((5000, 4000), (4999, 4000), 0),
        ((5000, 4000), (5000, 3999), 0),
        ((5000, 4000), (5001, 4000), REFUSED),
        ((5000, 4000), (5000, 4001), REFUSED),
        ((5000, 4000), (0, 4001), REFUSED),
        ((5000, 4000), (NONE, 4000), REFUSED),
        ((5000, 4000), (5000, NONE), REFUSED),
        ((5000, NONE), (5000, 1000000), 0),
        ((NONE, 4000), (1000000, 4000), 0),
        ((NONE, NONE), (1000000, 1000000), 0),
        ((0, 0), (0, 0), 0),
        ((0, 0), (1, 0), REFUSED),
    )
    for before, after, code in cases:
        made = head_end()
        assert made.set_emergency(before[0], before[1], 60, at(0)) == 0
        assert made.set_emergency(after[0], after[1], 60, at(0)) == code, (before, after)
        kept = before if code else after
        assert (made.emergency_import_w, made.emergency_export_w) == kept
        assert made.accepted == (1 if code else 2) and made.refused == (1 if code else 0)


def test_the_later_expiry_of_two_emergency_limits_counts():
    made = head_end()
    made.set_emergency(5000, 5000, 60, at(0))
    made.set_emergency(4000, 4000, 10, at(1000))
    assert made.emergency_left_ms == 59000
    made.set_emergency(4000, 4000, 100, at(1000))
    assert made.emergency_left_ms == 100000


def test_after_an_emergency_has_ended_a_looser_one_is_taken():
    made = head_end()
    made.set_emergency(5000, 5000, 10, at(0))
    assert made.set_emergency(6000, 5000, 10, at(9999)) == REFUSED
    assert made.set_emergency(6000, 5000, 10, at(10000)) == 0


def test_dynamic_and_emergency_run_apart():
    made = head_end()
    made.set_dynamic(60000, 5000, 20, at(0))
    made.set_emergency(4000, 4000, 10, at(0))
    made.poll(at(10000))
    assert made.emergency_import_w == NONE and made.dynamic_import_w == 60000
    assert made.dynamic_left_ms == 10000


def test_nothing_is_allocated():
    made = head_end()
    big = 1 << 28
    before = 0
    if hasattr(micropython, "heap_lock"):
        if hasattr(micropython, "mem_total"):
            before = micropython.mem_total()
        micropython.heap_lock()
    for ms in range(0, 200000, 1000):
        made.poll((START_MS + ms) & RING)
        made.set_dynamic(big, big, 3600, made.now_ms)
        made.set_emergency(big, -1, 3600, made.now_ms)
        if ms % 3000 == 0:
            made.heartbeat(made.now_ms)
        if ms == 100000:
            made.poll((made.now_ms - big) & RING)
    if hasattr(micropython, "heap_lock"):
        micropython.heap_unlock()
        if hasattr(micropython, "mem_total"):
            assert micropython.mem_total() == before
    assert made.accepted > 0 and made.losses == 1


def in_force_w(limit_w, duration_s, firm_w, s):
    """Of a dynamic limit, `s` seconds after it was written."""
    return firm_w if limit_w == NONE or s >= duration_s else limit_w


def test_over_a_network_limits_may_only_tighten():
    firm_w = 9000
    limits_w = (NONE, 0, 4000, 8999, 9000, 9001, 20000)
    taken = 0
    for old_w in limits_w:
        for old_s in (10, 60):
            for new_w in limits_w:
                for new_s in (1, 10, 59, 60, 3600):
                    made = head_end(firm_import_w=firm_w, firm_export_w=firm_w)
                    if old_w != NONE:
                        assert made.set_dynamic(old_w, NONE, old_s, at(0)) == 0
                    if made.would_loosen(new_w, NONE, new_s):
                        continue
                    taken += 1
                    for s in (0, 5, 10, 59, 60, 3599, 3600):
                        before_w = in_force_w(old_w, old_s, firm_w, s)
                        after_w = in_force_w(new_w, new_s, firm_w, s)
                        assert after_w <= before_w, (old_w, old_s, new_w, new_s, s)
    assert taken == 158  # 50 where there is none, 6 + 12 + 18 + 24 for 0..9000 W, 24 + 24 above


def test_what_tightens_may_come_over_a_network():
    made = head_end(firm_import_w=9000, firm_export_w=0)
    assert not made.would_loosen(9000, 0, 1)
    assert not made.would_loosen(NONE, NONE, 1)
    assert made.would_loosen(0, 1, 1)
    assert made.set_dynamic(20000, NONE, 60, at(0)) == 0
    assert not made.would_loosen(9000, NONE, 60)
    assert not made.would_loosen(0, 0, 3600)
    assert made.would_loosen(9000, NONE, 59)
    assert made.set_dynamic(5000, NONE, 60, at(0)) == 0
    made.poll(at(30500))
    assert not made.would_loosen(5000, NONE, 30)
    assert made.would_loosen(5000, NONE, 29)


class Words:
    def __init__(self, words=(0, 0, 0, 0)):
        self.words = list(words)

    def kept(self, k):
        return self.words[k]

    def keep(self, k, word):
        self.words[k] = word


def after_a_reset(words):
    made = HeadEnd(60000)
    made.remember(words)
    return made


def test_an_emergency_limit_outlives_a_reset_with_its_whole_duration():
    words = Words((7, 0, 0, 0))
    made = after_a_reset(words)
    made.heartbeat(at(0))
    assert made.set_emergency(0, NONE, 600, at(0)) == 0
    made.poll(at(100000))
    again = after_a_reset(words)
    assert (again.emergency_import_w, again.emergency_export_w) == (0, NONE)
    assert again.emergency_left_ms == 600000 and not again.is_alive
    assert words.words[0] == 7, "the marker is not its business"


def test_an_emergency_limit_that_has_ended_does_not_come_back():
    words = Words()
    made = after_a_reset(words)
    made.heartbeat(at(0))
    made.set_emergency(5000, 4000, 1, at(0))
    made.poll(at(999))
    assert after_a_reset(words).emergency_import_w == 5000, "not yet"
    made.poll(at(1000))
    again = after_a_reset(words)
    assert (again.emergency_import_w, again.emergency_export_w) == (NONE, NONE)
    assert again.emergency_left_ms == 0


def test_words_that_make_no_sense_are_no_limit():
    for words in ((0, 2, 2, 0), (0, 2, 2, 3601), (0, 0, 2, 60), (0, 2, (1 << 29) + 2, 60)):
        assert after_a_reset(Words(words)).emergency_left_ms == 0, words
    assert after_a_reset(Words((0, 2, 1, 3600))).emergency_left_ms == 3600000

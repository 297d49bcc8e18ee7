# SPDX-License-Identifier: MIT
"""core.mode: every pair of mode and event, also those that cannot happen."""

from firmline.core.mode import may_run, next_mode

START, NORMAL, HOLD, FALLBACK, TRIPPED, SAFE = range(6)
FRESH, LATE, LOST, TRIP, FAULT = range(5)

EXPECTED = (
    (START, FRESH, NORMAL),
    (START, LATE, START),
    (START, LOST, START),
    (START, TRIP, START),
    (START, FAULT, SAFE),
    (NORMAL, FRESH, NORMAL),
    (NORMAL, LATE, HOLD),
    (NORMAL, LOST, FALLBACK),
    (NORMAL, TRIP, TRIPPED),
    (NORMAL, FAULT, SAFE),
    (HOLD, FRESH, NORMAL),
    (HOLD, LATE, HOLD),
    (HOLD, LOST, FALLBACK),
    (HOLD, TRIP, TRIPPED),
    (HOLD, FAULT, SAFE),
    (FALLBACK, FRESH, NORMAL),
    (FALLBACK, LATE, FALLBACK),
    (FALLBACK, LOST, FALLBACK),
    (FALLBACK, TRIP, FALLBACK),
    (FALLBACK, FAULT, SAFE),
)


def test_each_transition_is_the_one_of_the_table():
    for mode, event, expected in EXPECTED:
        assert next_mode(mode, event) == expected, (mode, event)


def test_tripped_is_left_only_for_safe():
    for event in (FRESH, LATE, LOST, TRIP):
        assert next_mode(TRIPPED, event) == TRIPPED
    assert next_mode(TRIPPED, FAULT) == SAFE


def test_safe_is_never_left():
    for event in (FRESH, LATE, LOST, TRIP, FAULT):
        assert next_mode(SAFE, event) == SAFE


def test_a_fault_makes_every_mode_safe():
    for mode in range(6):
        assert next_mode(mode, FAULT) == SAFE


def test_only_a_fresh_sample_leads_to_normal():
    for mode in range(6):
        for event in (LATE, LOST, TRIP, FAULT):
            assert next_mode(mode, event) != NORMAL


def test_anything_unknown_is_safe():
    for mode in (-2, -1, 6, 7, 255, 1 << 29):
        for event in (FRESH, LATE, LOST, TRIP, FAULT):
            assert next_mode(mode, event) == SAFE
    for mode in range(6):
        for event in (-2, -1, 5, 6, 255, 1 << 29):
            assert next_mode(mode, event) == SAFE


def test_only_a_known_mode_that_is_not_latched_may_run():
    assert [mode for mode in range(-2, 300) if may_run(mode)] == [START, NORMAL, HOLD, FALLBACK]

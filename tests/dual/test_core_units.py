# SPDX-License-Identifier: MIT
"""core.units: ticks on the 2**30 ring, floors, and conversions that never leave 30 bits."""

from firmline.core import units

try:
    import micropython
except ImportError:
    micropython = None

RING = 1 << 30


def test_elapsed_counts_across_the_wrap():
    assert units.elapsed_ms(5, RING - 5) == 10
    assert units.elapsed_ms(RING - 5, RING - 5) == 0
    assert units.elapsed_ms(0, RING - 1) == 1
    assert units.elapsed_ms(RING - 1, 0) == RING - 1


def test_remaining_is_never_negative():
    assert units.remaining_ms(100, 100, 50) == 50
    assert units.remaining_ms(149, 100, 50) == 1
    assert units.remaining_ms(150, 100, 50) == 0
    assert units.remaining_ms(151, 100, 50) == 0
    assert units.remaining_ms(9, RING - 1, 50) == 40


def test_clamp_keeps_inside_and_the_upper_bound_wins():
    assert units.clamp(5, 0, 10) == 5
    assert units.clamp(-1, 0, 10) == 0
    assert units.clamp(11, 0, 10) == 10
    assert units.clamp(0, 0, 10) == 0
    assert units.clamp(10, 0, 10) == 10
    assert units.clamp(5, 8, 2) == 2


def test_mul_div_is_the_floor_of_the_exact_quotient():
    assert units.mul_div(7, 10, 4) == 17
    assert units.mul_div(-7, 10, 4) == -18
    assert units.mul_div(0, 999, 1000) == 0
    assert units.mul_div(536870911, 1000, 1000) == 536870911
    assert units.mul_div(-536870911, 1000, 1000) == -536870911
    assert units.mul_div(500000000, 20, 1000) == 10000000


def test_no_intermediate_result_needs_the_heap():
    # every value below 2**30, products included: a 32-bit chip would allocate the larger ones
    if hasattr(micropython, "heap_lock"):
        micropython.heap_lock()
    a = units.mul_div(536870911, 1000, 1000)
    b = units.mul_div(-536870911, 9999, 107374)
    c = units.watts(536870911, 4000)
    d = units.milliamps(100000000, 4000)
    e = units.elapsed_ms(0, units.TICKS_MASK)
    f = units.remaining_ms(0, units.TICKS_MASK, 536870911)
    if hasattr(micropython, "heap_unlock"):
        micropython.heap_unlock()
    assert (a, b) == (536870911, -49995085)
    assert (c, d, e, f) == (214748364, 250000000, 1, 536870910)


def test_watts_are_floor_of_amps_times_nominal_volts():
    assert units.watts(1000, 2300) == 230
    assert units.watts(40000, 2300) == 9200
    assert units.watts(4, 2300) == 0
    assert units.watts(5, 2300) == 1
    assert units.watts(5000000, 4000) == 2000000
    assert units.watts(-1000, 2300) == -230


def test_milliamps_are_rounded_toward_zero():
    assert units.milliamps(230, 2300) == 1000
    assert units.milliamps(1379, 2300) == 5995  # one watt short of 6 A stays short of 6 A
    assert units.milliamps(1380, 2300) == 6000
    assert units.milliamps(1, 2300) == 4
    assert units.milliamps(-1, 2300) == -4
    assert units.milliamps(0, 2300) == 0
    assert units.milliamps(-230, 2300) == -1000
    assert units.milliamps(-2300000, 2300) == -10000000


def test_an_offer_in_milliamps_never_carries_more_than_its_watts():
    for voltage_dv in (1000, 1200, 2300, 2310, 4000):
        for power_w in (1, 6, 137, 1379, 1381, 7359, 22079, 2000000):
            assert units.watts(units.milliamps(power_w, voltage_dv), voltage_dv) <= power_w


def test_constants_stay_inside_a_small_int_of_a_32_bit_chip():
    assert units.TICKS_MASK == units.NEVER_MS == 1073741823
    assert units.HALF_RING_MS == units.MAX_W == 536870911
    assert units.AXES == 4

# SPDX-License-Identifier: MIT
"""devices.setpoint: a command in watts becomes a raw value, rounded toward zero."""

from firmline.devices import setpoint


class Link:
    def __init__(self, phase_count=1, voltage_dv=2300, rated=0, set_power=0):
        self.product = self
        self.phase_count = phase_count
        self.voltage_dv = voltage_dv
        self.rated = rated
        self.set_power = set_power
        self.raw = 0
        self.reversion_s = 10
        self.timer_is_safe = False


def milliamps(power_w, link):
    return setpoint.encode(setpoint.MILLIAMPS, power_w, link)


def test_current_of_one_phase():
    assert milliamps(7360, Link()) == 32000
    assert milliamps(1380, Link()) == 6000
    assert milliamps(1379, Link()) == 5995


def test_current_is_shared_by_the_phases():
    assert milliamps(22080, Link(phase_count=3)) == 32000
    assert milliamps(11520, Link(phase_count=2, voltage_dv=1200)) == 48000
    assert milliamps(19200, Link(phase_count=2, voltage_dv=1200)) == 80000


def test_offered_current_never_rounds_up():
    for power_w in range(1380, 1700):
        offered_ma = milliamps(power_w, Link(phase_count=3))
        assert offered_ma * 3 * 230 <= power_w * 1000
        assert offered_ma * 3 * 230 > (power_w - 3) * 1000


def test_no_current_for_nothing_or_less():
    assert milliamps(0, Link()) == 0
    assert milliamps(-1, Link()) == 0


def test_tenths_of_an_ampere_below_six_are_nothing():
    assert setpoint.encode(setpoint.DECIAMPS, 3680, Link()) == 160
    assert setpoint.encode(setpoint.DECIAMPS, 1380, Link()) == 60
    assert setpoint.encode(setpoint.DECIAMPS, 1379, Link()) == 0


def cap(power_w, rated_w, power=-2):
    return setpoint.encode(setpoint.PERCENT_CAP, power_w, Link(rated=rated_w, set_power=power))


def test_cap_is_a_percentage_of_the_rating():
    assert cap(-5000, 10000) == 5000
    assert cap(-5000, 10000, 0) == 50
    assert cap(-5000, 10000, -1) == 500
    assert cap(-5000, 10000, 1) == 5
    assert cap(0, 10000) == 0


def test_cap_rounds_to_less_and_stops_at_full():
    assert cap(-3333, 10000, 0) == 33
    assert cap(-9999, 10000, 0) == 99
    assert cap(-10000, 10000, 0) == 100
    assert cap(-12000, 10000) == 10000


def test_a_positive_cap_is_no_export():
    assert cap(5000, 10000) == 0


def test_cap_of_a_large_plant_stays_in_small_integers_and_errs_to_less():
    assert cap(-250000, 1000000) == 2500
    assert cap(-999999, 3000000) == 3333
    assert cap(-1, 500000000) == 0
    assert cap(-499999999, 500000000) == 9999


def storage(power_w, rated_w):
    return setpoint.encode(setpoint.PERCENT_SUPPLIED, power_w, Link(rated=rated_w, set_power=-2))


def test_battery_percentage_counts_supply_positive():
    assert storage(-2500, 5000) == 5000
    assert storage(2500, 5000) == -5000
    assert storage(1, 3) == -3333
    assert storage(-1, 3) == 3333
    assert storage(9999, 5000) == -10000


def watts(power_w, power):
    return setpoint.encode(setpoint.WATTS_SUPPLIED, power_w, Link(set_power=power))


def test_watts_with_scale_factor_round_toward_zero():
    assert watts(-4999, 0) == 4999
    assert watts(4999, 0) == -4999
    assert watts(4999, 2) == -49
    assert watts(-4999, 2) == 49
    assert watts(-4999, -1) == 49990


def test_watts_beyond_the_range_saturate():
    assert watts(-536870, -3) == 536870000
    assert watts(-536871, -3) == 0x1FFFFFFF
    assert watts(600000, -3) == -0x1FFFFFFF


def test_raw_value_of_full_power_at_each_scale_factor():
    steps = [setpoint.percent_steps(power) for power in range(-3, 4)]
    assert steps == [0, 10000, 1000, 100, 10, 1, 0]


def test_unusable_scale_factors_and_ratings_are_found():
    for power in range(-10, 11):
        link = Link(rated=10000, set_power=power)
        assert setpoint.can_encode(setpoint.PERCENT_CAP, link) == (-2 <= power <= 2)
    assert not setpoint.can_encode(setpoint.PERCENT_SUPPLIED, Link(rated=0))
    assert setpoint.can_encode(setpoint.MILLIAMPS, Link(rated=0, set_power=9))


def word(code, raw, **more):
    link = Link()
    link.raw = raw
    for name in more:
        setattr(link, name, more[name])
    return setpoint.word_value(code, link) & 0xFFFF


def test_words_of_a_frame():
    assert word(0, 5) == 0
    assert word(65535, 5) == 65535
    assert (word(setpoint.SET_HIGH, 80000), word(setpoint.SET_LOW, 80000)) == (1, 14464)
    assert (word(setpoint.SET_HIGH, -5000), word(setpoint.SET_LOW, -5000)) == (0xFFFF, 0xEC78)
    assert word(setpoint.MINUS_SET_LOW, -5000) == 5000
    assert word(setpoint.FALLBACK_HIGH, 80000) == 1
    assert word(setpoint.FALLBACK_LOW, 80000) == 14464


def test_words_of_the_timer():
    assert word(setpoint.REVERSION_S_LOW, 0, reversion_s=70000) == 4464
    assert word(setpoint.REVERSION_S_HIGH, 0, reversion_s=70000) == 1
    assert word(setpoint.REVERSION_MS, 0, reversion_s=10) == 10000
    assert word(setpoint.REVERSION_MS, 0, reversion_s=64) == 64000
    assert word(setpoint.REVERSION_MS, 0, reversion_s=65) == 65000
    assert word(setpoint.REVERSION_MS, 0, reversion_s=66) == 65000
    assert word(setpoint.REVERSION_S_IF_SAFE, 0) == 0
    assert word(setpoint.REVERSION_S_IF_SAFE, 0, timer_is_safe=True) == 10

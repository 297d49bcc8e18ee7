# SPDX-License-Identifier: MIT
"""A dead controller: each inverter and battery falls back by itself, not before and not after."""

import pytest

from hil.line.registers import Timer
from hil.line.sunspec_der import SunSpecBattery124, SunSpecBattery704, SunSpecPv123, SunSpecPv704

RATED_W = 8000


@pytest.fixture
def pv704(fakes):
    return SunSpecPv704(fakes.world, fakes.plant, fakes.Element(), 1, RATED_W)


@pytest.fixture
def pv123(fakes):
    return SunSpecPv123(fakes.world, fakes.plant, fakes.Element(), 1, RATED_W)


@pytest.fixture
def battery704(fakes):
    return SunSpecBattery704(fakes.world, fakes.plant, fakes.Element(), 1, 5000, 4000)


@pytest.fixture
def battery124(fakes):
    return SunSpecBattery124(fakes.world, fakes.plant, fakes.Element(), 1, 5000, 4000)


def in_force(device):
    return device.element.commands[-1][1]


def test_timer_not_yet_then_now_then_never_again(fakes):
    fired = []
    timer = Timer(fakes.world, lambda: fired.append(fakes.world.now_us))
    timer.restart(10)
    fakes.at(9.999_999)
    assert fired == [] and timer.remaining_s() == 1
    fakes.at(10)
    assert fired == [10_000_000] and timer.remaining_s() == 0
    fakes.at(100)
    assert len(fired) == 1


def test_timer_restart_stop_and_shortening(fakes):
    fired = []
    timer = Timer(fakes.world, lambda: fired.append(fakes.world.now_us))
    timer.restart(10)
    fakes.at(9)
    timer.restart(10)
    fakes.at(18.999_999)
    assert fired == []
    fakes.at(19)
    assert fired == [19_000_000]
    timer.restart(10)
    timer.restart(2)  # shorter than the pending one
    fakes.at(21)
    assert fired[1:] == [21_000_000]
    timer.restart(8)  # due at 29 s, as the superseded one was
    fakes.at(29)
    assert fired[2:] == [29_000_000]
    timer.restart(5)
    timer.restart(0)
    fakes.at(60)
    assert len(fired) == 3


def test_timer_restarted_often_keeps_one_event(fakes):
    timer = Timer(fakes.world, int)
    for k in range(1000):
        fakes.at(k * 0.1)
        timer.restart(10)
    assert len(fakes.world._queue) == 1


def tell_pv704(fakes, pv, percent, reversion=(1000, 1, 10)):
    """Reversion value, enable and time first, then the limit: as a careful controller does."""
    start = pv.start[704]
    value, enable, seconds = reversion
    assert fakes.tell(pv, start + 16, value, enable, seconds >> 16, seconds & 0xFFFF) == 0
    assert fakes.tell(pv, start + 14, 1, percent * 100) == 0


def test_704_limit_reverts_to_the_reversion_value(fakes, pv704):
    tell_pv704(fakes, pv704, 60)
    assert pv704.element.commands == [(0, 4800)]
    fakes.at(9.999_999)
    assert in_force(pv704) == 4800
    fakes.at(10)
    assert pv704.element.commands[-1] == (10_000_000, 800)
    start = pv704.start[704]
    assert fakes.ask(pv704, 3, start + 14, 4) == [1, 1000, 1000, 1]
    fakes.at(1000)
    assert in_force(pv704) == 800


def test_704_reversion_enable_0_removes_the_limit(fakes, pv704):
    tell_pv704(fakes, pv704, 60, (1000, 0, 10))
    fakes.at(10)
    assert pv704.element.commands[-1] == (10_000_000, 8000)
    assert fakes.ask(pv704, 3, pv704.start[704] + 14, 1) == [0]


def test_704_each_write_of_the_limit_restarts_the_timer(fakes, pv704):
    tell_pv704(fakes, pv704, 60)
    start = pv704.start[704]
    fakes.at(7)
    assert fakes.tell(pv704, start + 14, 1, 6000) == 0
    fakes.at(14)
    assert fakes.tell(pv704, start + 15, 6000) == 0
    assert fakes.ask(pv704, 3, start + 20, 2) == [0, 10]
    fakes.at(23.999_999)
    assert in_force(pv704) == 4800
    assert fakes.ask(pv704, 3, start + 20, 2) == [0, 1]
    fakes.at(24)
    assert in_force(pv704) == 800
    assert fakes.ask(pv704, 3, start + 20, 2) == [0, 0]


def test_704_reading_and_setup_writes_do_not_restart_the_timer(fakes, pv704):
    tell_pv704(fakes, pv704, 60)
    start = pv704.start[704]
    fakes.at(6)
    fakes.ask(pv704, 3, start, 20)
    assert fakes.tell(pv704, start + 16, 1000, 1, 0, 10) == 0
    fakes.at(10)
    assert in_force(pv704) == 800


def test_704_time_0_never_reverts_and_disabling_stops_the_timer(fakes, pv704):
    tell_pv704(fakes, pv704, 60, (1000, 1, 0))
    fakes.at(3600)
    assert in_force(pv704) == 4800
    tell_pv704(fakes, pv704, 50)
    assert fakes.tell(pv704, pv704.start[704] + 14, 0) == 0
    assert in_force(pv704) == 8000
    fakes.at(7200)
    assert in_force(pv704) == 8000
    assert fakes.ask(pv704, 3, pv704.start[704] + 14, 1) == [0]


def test_704_writes_after_the_reversion_take_over_again(fakes, pv704):
    tell_pv704(fakes, pv704, 60)
    fakes.at(20)
    tell_pv704(fakes, pv704, 30)
    assert in_force(pv704) == 2400
    fakes.at(29.999_999)
    assert in_force(pv704) == 2400
    fakes.at(30)
    assert in_force(pv704) == 800


def test_704_reversion_time_has_32_bits(fakes, pv704):
    tell_pv704(fakes, pv704, 60, (1000, 1, 70_000))
    fakes.at(69_999.999_999)
    assert in_force(pv704) == 4800
    fakes.at(70_000)
    assert in_force(pv704) == 800


def tell_pv123(fakes, pv, percent, seconds=10):
    assert fakes.tell(pv, pv.start[123] + 5, percent * 100, 0, seconds, 0, 1) == 0


def test_123_limit_is_removed_on_expiry(fakes, pv123):
    tell_pv123(fakes, pv123, 25)
    assert in_force(pv123) == 2000
    fakes.at(9.999_999)
    assert in_force(pv123) == 2000
    fakes.at(10)
    assert pv123.element.commands[-1] == (10_000_000, 8000)
    assert fakes.ask(pv123, 3, pv123.start[123] + 9, 1) == [0]


def test_123_refresh_restarts_and_time_0_never_expires(fakes, pv123):
    tell_pv123(fakes, pv123, 25)
    fakes.at(8)
    tell_pv123(fakes, pv123, 25)
    fakes.at(17.999_999)
    assert in_force(pv123) == 2000
    fakes.at(18)
    assert in_force(pv123) == 8000
    tell_pv123(fakes, pv123, 25, 0)
    fakes.at(9999)
    assert in_force(pv123) == 2000


def test_123_limit_waits_for_its_enable(fakes, pv123):
    assert fakes.tell(pv123, pv123.start[123] + 5, 1000) == 0
    assert in_force(pv123) == 8000
    assert fakes.tell(pv123, pv123.start[123] + 9, 1) == 0
    assert in_force(pv123) == 800


def test_123_disconnect_and_its_own_reversion(fakes, pv123):
    start = pv123.start[123]
    assert fakes.tell(pv123, start + 2, 0, 30, 0) == 0
    assert in_force(pv123) == 0
    fakes.at(29.999_999)
    assert in_force(pv123) == 0
    fakes.at(30)
    assert in_force(pv123) == 8000
    assert fakes.ask(pv123, 3, start + 4, 1) == [1]


def test_123_refusals(fakes, pv123):
    start = pv123.start[123]
    assert fakes.tell(pv123, start + 5, 10_001) == 3
    assert fakes.tell(pv123, start + 9, 2) == 3
    assert fakes.tell(pv123, start + 10, 0) == 2  # power factor
    assert fakes.tell(pv123, start + 23, 0) == 2  # the scale factor


def test_123_shows_generation_as_positive(fakes, pv123):
    pv123.element.power_w = -1234.0
    w, scale = fakes.ask(pv123, 3, pv123.start[103] + 14, 2)
    assert (w, scale) == (1234, 0)
    pv123.element.power_w = 0.0
    fakes.at(0.199_999)
    assert fakes.ask(pv123, 3, pv123.start[103] + 14, 1) == [1234]  # as old as update_ms allows
    fakes.at(0.2)
    assert fakes.ask(pv123, 3, pv123.start[103] + 14, 1) == [0]


def signed(value, bits=32):
    return value >> 16 & 0xFFFF, value & 0xFFFF


def tell_battery704(fakes, battery, w, rvrt_w=0, enable=1, seconds=10):
    """w > 0 discharges, as in the model."""
    start = battery.start[704]
    assert fakes.tell(battery, start + 26, *signed(rvrt_w)) == 0
    assert fakes.tell(battery, start + 30, enable, *signed(seconds)) == 0
    assert fakes.tell(battery, start + 22, 1, 1, *signed(w)) == 0


def test_704_set_point_discharges_positive_and_reverts(fakes, battery704):
    tell_battery704(fakes, battery704, 3000, rvrt_w=-500)
    assert battery704.element.commands == [(0, -3000)]
    fakes.at(9.999_999)
    assert in_force(battery704) == -3000
    fakes.at(10)
    assert battery704.element.commands[-1] == (10_000_000, 500)
    assert fakes.ask(battery704, 3, battery704.start[704] + 22, 4) == [1, 1, *signed(-500)]


def test_704_set_point_reversion_enable_0_lets_go(fakes, battery704):
    tell_battery704(fakes, battery704, -2000, rvrt_w=-500, enable=0)
    assert in_force(battery704) == 2000
    fakes.at(10)
    assert in_force(battery704) == 0
    assert fakes.ask(battery704, 3, battery704.start[704] + 22, 1) == [0]


def test_704_set_point_refresh_restarts(fakes, battery704):
    tell_battery704(fakes, battery704, 3000)
    fakes.at(9)
    assert fakes.tell(battery704, battery704.start[704] + 24, *signed(3000)) == 0
    fakes.at(18.999_999)
    assert in_force(battery704) == -3000
    fakes.at(19)
    assert in_force(battery704) == 0


def test_704_set_point_in_percent_of_the_discharge_rating(fakes, battery704):
    start = battery704.start[704]
    assert fakes.tell(battery704, start + 28, 2500) == 0
    assert fakes.tell(battery704, start + 22, 1, 0) == 0
    assert in_force(battery704) == -1000


def test_704_set_point_beyond_the_rating_is_refused(fakes, battery704):
    start = battery704.start[704]
    assert fakes.tell(battery704, start + 24, *signed(4001)) == 3
    assert fakes.tell(battery704, start + 24, *signed(-5001)) == 3
    assert fakes.tell(battery704, start + 24, *signed(-5000)) == 0
    assert fakes.tell(battery704, start + 14, 1) == 2  # no power limit in this product


def test_battery_on_its_own_runs_its_own_mind(fakes):
    more = {"autonomous_w": 3500}
    wild = SunSpecBattery704(fakes.world, fakes.plant, fakes.Element(), 1, 5000, 4000, **more)
    assert wild.element.commands == [(0, 3500)]
    tell_battery704(fakes, wild, 0, enable=0)
    assert in_force(wild) == 0
    fakes.at(10)
    assert in_force(wild) == 3500


def tell_battery124(fakes, battery, out_pct, in_pct, seconds=10):
    start = battery.start[124]
    rates = [round(100 * pct) & 0xFFFF for pct in (out_pct, in_pct)]
    assert fakes.tell(battery, start + 12, *rates, 0, seconds) == 0
    assert fakes.tell(battery, start + 5, 3) == 0


def test_124_opposite_rates_force_one_power(fakes, battery124):
    # OutWRte counts in 4,000 W of discharging, InWRte in 5,000 W of charging.
    tell_battery124(fakes, battery124, -50, 40)
    assert in_force(battery124) == pytest.approx(2000)
    tell_battery124(fakes, battery124, 50, -40)
    assert in_force(battery124) == pytest.approx(-2000)


def test_124_rates_bound_a_battery_with_its_own_mind(fakes):
    more = {"autonomous_w": -3000}
    battery = SunSpecBattery124(fakes.world, fakes.plant, fakes.Element(), 1, 5000, 4000, **more)
    assert in_force(battery) == -3000
    tell_battery124(fakes, battery, 25, 100)
    assert in_force(battery) == -1000
    fakes.at(9.999_999)
    assert in_force(battery) == -1000
    fakes.at(10)
    assert battery.element.commands[-1] == (10_000_000, -3000)
    assert fakes.ask(battery, 3, battery.start[124] + 5, 1) == [0]


def test_124_each_bit_enables_its_own_bound(fakes):
    more = {"autonomous_w": -3000}
    battery = SunSpecBattery124(fakes.world, fakes.plant, fakes.Element(), 1, 5000, 4000, **more)
    tell_battery124(fakes, battery, 25, -100)
    assert fakes.tell(battery, battery.start[124] + 5, 2) == 0
    assert in_force(battery) == -1000
    assert fakes.tell(battery, battery.start[124] + 5, 1) == 0
    assert in_force(battery) == -5000  # forced out by the charge bound, the element clamps it


def test_124_refresh_restarts_and_time_0_never_expires(fakes, battery124):
    tell_battery124(fakes, battery124, -50, 40)
    fakes.at(9)
    assert fakes.tell(battery124, battery124.start[124] + 12, 0xFFFF & -5000, 4000) == 0
    fakes.at(18.999_999)
    assert in_force(battery124) == pytest.approx(2000)
    fakes.at(19)
    assert in_force(battery124) == 0
    tell_battery124(fakes, battery124, -50, 40, 0)
    fakes.at(9999)
    assert in_force(battery124) == pytest.approx(2000)


def test_124_refusals(fakes, battery124):
    start = battery124.start[124]
    assert fakes.tell(battery124, start + 12, 10_001) == 3
    assert fakes.tell(battery124, start + 5, 4) == 3
    assert fakes.tell(battery124, start + 2, 100) == 2


def test_large_plants_scale_their_watts_by_ten(fakes):
    pv = SunSpecPv704(fakes.world, fakes.plant, fakes.Element(), 1, 60_000)
    pv.element.power_w = -45_678.0
    assert fakes.ask(pv, 3, pv.start[701] + 10, 1) == [4_568]
    assert fakes.ask(pv, 3, pv.start[701] + 116, 1) == [1]
    assert fakes.ask(pv, 3, pv.start[702] + 2, 1) == [6_000]
    assert fakes.tell(pv, pv.start[704] + 14, 1, 5_000) == 0
    assert in_force(pv) == 30_000


def test_103_inverter_points_of_a_known_state(fakes, pv123):
    pv123.element.power_w = -2300.0
    start = pv123.start[103]
    assert fakes.ask(pv123, 3, start + 2, 1) == [1000]  # 10.00 A
    assert fakes.ask(pv123, 3, start + 6, 1) == [0x10000 - 2]
    assert fakes.ask(pv123, 3, start + 10, 1) == [2300]  # 230.0 V
    assert fakes.ask(pv123, 3, start + 16, 2) == [5000, 0x10000 - 2]  # 50.00 Hz
    assert fakes.ask(pv123, 3, start + 38, 1) == [4]  # running
    assert fakes.ask(pv123, 3, pv123.start[120] + 3, 2) == [8000, 0]


@pytest.mark.parametrize(
    "power_w, soc, state",
    ((100.0, 0.5, 4), (-100.0, 0.5, 3), (0.0, 0.5, 6), (0.0, 1.0, 5), (0.0, 0.0, 2)),
)
def test_124_charge_state(fakes, battery124, power_w, soc, state):
    battery124.element.power_w, battery124.element.soc = power_w, soc
    assert fakes.ask(battery124, 3, battery124.start[124] + 11, 1) == [state]


def test_batteries_show_their_ratings(fakes, battery124, battery704):
    assert fakes.ask(battery124, 3, battery124.start[124] + 2, 1) == [5000]
    assert fakes.ask(battery124, 3, battery124.start[120] + 23, 4) == [5000, 0, 4000, 0]
    assert fakes.ask(battery704, 3, battery704.start[702] + 10, 2) == [5000, 4000]

# SPDX-License-Identifier: MIT
"""Battery: delay, ramp, limits, efficiency, and what happens at empty and full."""

import pytest

from hil.plant import Battery, Plant

S = 1_000_000


def _site(**options):
    values = {"capacity_wh": 10_000, "soc": 0.5, "max_charge_w": 5000, "max_discharge_w": 5000}
    battery = Battery("bat", 1, **{**values, **options})
    return Plant(1, 230, [battery]), battery


def test_setpoint_waits_then_ramps_then_holds():
    plant, battery = _site()
    battery.setpoint(1 * S, 4000)
    read = []
    for t_us in (1_150_000, 1_250_000, 1_349_999, 1_350_000, 60 * S):
        plant.advance(t_us)
        read.append(round(battery.power_w, 3))
    assert read == [0.0, 2000.0, 3999.98, 4000.0, 4000.0]
    assert battery.energy_ws == pytest.approx(400 + 58.65 * 4000, rel=1e-12)


def test_reversal_goes_through_zero_at_the_ramp_rate():
    plant, battery = _site(delay_ms=0, ramp_w_per_s=1000)
    battery.setpoint(0, 1000)
    battery.setpoint(10 * S, -1000)
    read = []
    for t_s in (10, 10.5, 11, 11.5, 12, 13):
        plant.advance(round(t_s * S))
        read.append(round(battery.power_w, 6))
    assert read == [1000.0, 500.0, 0.0, -500.0, -1000.0, -1000.0]


def test_reversal_counts_the_losses_of_both_directions():
    plant, battery = _site(delay_ms=0, ramp_w_per_s=1000)
    battery.setpoint(0, 1000)
    battery.setpoint(1 * S, -1000)
    plant.advance(3 * S)
    # two triangles of 500 Ws in (950 Ws stored), one out (526.3158 Ws taken)
    assert (battery.soc - 0.5) * 36e6 == pytest.approx(423.6842, abs=1e-3)


def test_setpoint_is_cut_to_the_maxima():
    plant, battery = _site(max_charge_w=3000, max_discharge_w=2000)
    battery.setpoint(0, 99_999)
    plant.advance(10 * S)
    assert (battery.power_w, battery.setpoint_w) == (3000.0, 3000.0)
    battery.setpoint(10 * S, -99_999)
    plant.advance(20 * S)
    assert (battery.power_w, battery.setpoint_w) == (-2000.0, -2000.0)


def test_efficiency_each_way():
    plant, battery = _site(delay_ms=0, ramp_w_per_s=1e12)
    battery.setpoint(0, 1000)
    plant.advance(3600 * S)
    assert battery.soc == pytest.approx(0.595, abs=1e-9)
    battery.setpoint(3600 * S, -950)
    plant.advance(7200 * S)
    assert battery.soc == pytest.approx(0.495, abs=1e-9)


def test_charging_stops_when_full_at_the_exact_time():
    # 95 Wh of room, 0.95 stored of 1: 100 Wh at 1000 W take 360 s
    plant, battery = _site(soc=0.9905, delay_ms=0, ramp_w_per_s=1e12)
    battery.setpoint(0, 1000)
    plant.advance(359_999_990)
    assert battery.power_w == 1000.0
    assert battery.soc < 1.0
    plant.advance(360_000_010)
    assert battery.power_w == 0.0
    assert battery.soc == 1.0
    assert battery.wanted_w == 0.0
    plant.advance(1000 * S)
    assert battery.energy_ws == pytest.approx(360_000, abs=0.01)


def test_discharging_stops_when_empty_at_the_exact_time():
    # 100 Wh in the cells give 95 Wh: 342 s at 1000 W
    plant, battery = _site(soc=0.01, delay_ms=0, ramp_w_per_s=1e12)
    battery.setpoint(0, -1000)
    plant.advance(341_999_990)
    assert battery.power_w == -1000.0
    plant.advance(342_000_010)
    assert (battery.power_w, battery.soc) == (0.0, 0.0)
    assert battery.wanted_w == 5000.0


def test_full_battery_takes_nothing_but_still_discharges():
    plant, battery = _site(soc=1)
    battery.setpoint(0, 3000)
    plant.advance(10 * S)
    assert (battery.power_w, battery.soc) == (0.0, 1.0)
    battery.setpoint(10 * S, -3000)
    plant.advance(11 * S)
    assert battery.power_w == -3000.0
    battery.setpoint(11 * S, 3000)
    plant.advance(12 * S)
    assert battery.power_w == 3000.0


def test_battery_that_fills_within_a_ramp_stops_there():
    # ramp 1000 W/s: energy 500 t^2 Ws; 1900 Ws of room / 0.95 = 2000 Ws after 2 s
    plant, battery = _site(soc=1 - 1900 / 36e6, delay_ms=0, ramp_w_per_s=1000)
    battery.setpoint(0, 5000)
    plant.advance(1_999_990)
    assert battery.power_w == pytest.approx(1999.99)
    plant.advance(2_000_010)
    assert (battery.power_w, battery.soc) == (0.0, 1.0)


def test_soc_is_right_in_the_midst_of_a_ramp():
    plant, battery = _site(delay_ms=0, ramp_w_per_s=1000)
    battery.setpoint(0, 5000)
    plant.advance(2 * S)
    assert battery.soc == pytest.approx(0.5 + 2000 * 0.95 / 36e6, abs=1e-12)


def test_soc_stays_within_bounds_whatever_is_commanded():
    plant, battery = _site(capacity_wh=20)
    for k in range(2000):
        battery.setpoint(k * 1_700_000, (5000, -5000, 5000, 300, -4000, -5000)[k // 7 % 6])
        assert 0.0 <= battery.soc <= 1.0
        assert not (battery.soc == 1.0 and battery.power_w > 0)
        assert not (battery.soc == 0.0 and battery.power_w < 0)

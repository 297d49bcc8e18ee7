# SPDX-License-Identifier: MIT
"""PV: availability, clouds, and the cap."""

from math import pi

import pytest

from hil.plant import Plant, Pv, Trace, clear_sky, constant_profile, trace_profile

S = 1_000_000


def _power_at(plant, t_s):
    plant.advance(round(t_s * S))
    return round(plant.power_w(), 6)


def test_cap_waits_then_ramps_then_holds():
    plant = Plant(1, 230, [Pv("pv", 1, 5000)])
    plant.element("pv").cap(1 * S, 2000)
    assert _power_at(plant, 1.2) == -5000.0
    assert _power_at(plant, 1.5) == -3500.0
    assert _power_at(plant, 1.799999) == -2000.005
    assert _power_at(plant, 1.8) == -2000.0
    assert _power_at(plant, 100) == -2000.0
    assert plant.energy_ws[0] == pytest.approx(-(6000 + 2100 + 98.2 * 2000))


def test_cap_above_what_the_sun_gives_changes_nothing():
    plant = Plant(1, 230, [Pv("pv", 1, 5000, constant_profile(1500))])
    plant.element("pv").cap(0, 2000)
    assert _power_at(plant, 60) == -1500.0


def test_lower_cap_ramps_from_the_present_power():
    plant = Plant(1, 230, [Pv("pv", 1, 5000, constant_profile(1500))])
    plant.element("pv").cap(0, 1000)
    assert _power_at(plant, 0.2) == -1500.0
    assert _power_at(plant, 0.25) == -1250.0
    assert _power_at(plant, 0.3) == -1000.0


def test_cap_released_ramps_up_to_the_sun_and_stays_there():
    plant = Plant(1, 230, [Pv("pv", 1, 5000, constant_profile(3000))])
    pv = plant.element("pv")
    pv.cap(0, 0)
    assert _power_at(plant, 10) == 0.0
    assert pv.wanted_w == -3000.0
    pv.cap(10 * S, 5000)
    assert _power_at(plant, 10.2) == 0.0
    assert _power_at(plant, 10.5) == -1500.0
    assert _power_at(plant, 10.8) == -3000.0
    assert _power_at(plant, 10.9) == -3000.0
    assert _power_at(plant, 20) == -3000.0


def test_cap_is_cut_to_the_rating_and_to_zero():
    plant = Plant(1, 230, [Pv("pv", 1, 5000, constant_profile(9000))])
    pv = plant.element("pv")
    assert _power_at(plant, 1) == -5000.0
    assert pv.available_w == 5000.0
    pv.cap(1 * S, 99_999)
    assert (pv.cap_w, _power_at(plant, 5)) == (5000.0, -5000.0)
    pv.cap(5 * S, -7)
    assert (pv.cap_w, _power_at(plant, 10)) == (0.0, 0.0)


def test_falling_sun_crosses_the_cap_at_its_exact_time():
    sun = [(10 * S, 4000, 2000), (20 * S, 2000, 4000)]
    plant = Plant(1, 230, [Pv("pv", 1, 5000, sun, delay_ms=0)])
    plant.element("pv").cap(0, 3000)
    assert _power_at(plant, 4) == -3000.0
    assert _power_at(plant, 5) == -3000.0
    assert _power_at(plant, 6) == -2800.0
    assert _power_at(plant, 14) == -2800.0
    assert _power_at(plant, 15) == -3000.0
    assert _power_at(plant, 30) == -3000.0
    # cap ramp 4000 -> 3000 in 0.2 s and a dip of 10 s that is 1000 W deep
    assert plant.energy_ws[0] == pytest.approx(-85_100, abs=0.01)


def test_repeated_cap_does_not_restart_the_delay():
    plant = Plant(1, 230, [Pv("pv", 1, 5000)])
    pv = plant.element("pv")
    for k in range(20):
        pv.cap(k * 50_000, 1000)
    assert _power_at(plant, 1.0) == -1000.0


def test_two_caps_in_flight_act_in_turn():
    plant = Plant(1, 230, [Pv("pv", 1, 1000, ramp_w_per_s=1e12)])
    pv = plant.element("pv")
    pv.cap(0, 100)
    pv.cap(100_000, 700)
    read = [_power_at(plant, t_s) for t_s in (0.199, 0.21, 0.299, 0.31)]
    assert read == [-1000.0, -100.0, -100.0, -700.0]


def test_clear_sky_day_has_the_energy_of_a_half_sine():
    plant = Plant(1, 230, [Pv("pv", 1, 4000, clear_sky(4000, 6 * 3600, 18 * 3600))])
    assert _power_at(plant, 6 * 3600) == 0.0
    assert _power_at(plant, 8 * 3600) == -2000.0
    assert _power_at(plant, 12 * 3600) == -4000.0
    assert _power_at(plant, 18 * 3600) == 0.0
    plant.advance(86_400 * S)
    assert plant.energy_ws[0] == pytest.approx(-4000 * 43_200 * 2 / pi, rel=2e-6)
    assert _power_at(plant, 86_400 + 12 * 3600) == -4000.0


def test_clear_sky_starts_at_the_time_of_day():
    plant = Plant(1, 230, [Pv("pv", 1, 4000, clear_sky(4000, 21_600, 64_800, start_s=43_200))])
    assert plant.power_w() == -4000.0


def _cloudy(seed):
    return list(zip(range(400), clear_sky(1000, 0, 86_400, 43_200, 60, seed), strict=False))


def test_clouds_follow_from_the_seed():
    assert _cloudy(7) == _cloudy(7)
    assert _cloudy(7) != _cloudy(8)


def test_cloud_edges_take_one_to_five_seconds_and_stay_within_the_sky():
    start_us, edges = 0, []
    for _, (end_us, w_from, w_to) in _cloudy(3):
        assert 0 <= w_from <= 1000 and 0 <= w_to <= 1000
        is_cut = start_us % (60 * S) == 0 or end_us % (60 * S) == 0  # by a node of the sine
        if abs(w_to - w_from) > 100 and not is_cut:
            edges.append((end_us - start_us) / S)
        start_us = end_us
    assert len(edges) > 20
    assert 1.0 <= min(edges) and max(edges) <= 5.0


def test_shade_lasts_20_to_300_seconds():
    start_us, from_us, shades = 0, 0, []
    for _, (end_us, w_from, w_to) in _cloudy(3):
        if abs(w_to - w_from) > 100:
            if w_to > w_from and start_us > from_us > 0:  # else an edge cut in two by a node
                shades.append((start_us - from_us) / S)
            from_us = end_us
        start_us = end_us
    assert len(shades) > 10
    assert 15 <= min(shades) and max(shades) <= 305


def test_trace_profile_takes_the_pv_column():
    trace = Trace("x.csv", [0, 5 * S], {"load_w": [1, 1], "pv_w": [800, 300]})
    plant = Plant(1, 230, [Pv("pv", 1, 5000, trace_profile(trace))])
    assert _power_at(plant, 4.9) == -800.0
    assert _power_at(plant, 5) == -300.0
    assert _power_at(plant, 500) == -300.0


def test_trace_profile_without_the_column_is_refused():
    with pytest.raises(ValueError, match="x.csv: column 'pv_w': expected one of"):
        trace_profile(Trace("x.csv", [0], {"load_w": [1]}))


def test_profile_that_does_not_advance_is_refused():
    with pytest.raises(ValueError, match="pv: bad piece of its profile at 0 us"):
        Plant(1, 230, [Pv("pv", 1, 5000, [(0, 1, 1)])])

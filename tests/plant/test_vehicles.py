# SPDX-License-Identifier: MIT
"""The vehicle: what it draws after each offer, and when."""

import pytest

from hil.plant import Ev, Plant

S = 1_000_000


def _site(phases="L1", **options):
    values = {"arrive_s": 0, "leave_s": 36_000, "energy_wh": 50_000, "max_a": 32}
    ev = Ev("ev", phases, **{**values, **options})
    return Plant(3, 230, [ev]), ev


def _charging(**options):
    """A vehicle that draws 16 A since long before 60 s."""
    plant, ev = _site(**options)
    ev.offer(0, 16)
    plant.advance(60 * S)
    assert ev.draw_a == 16.0
    return plant, ev


def _amps_at(plant, ev, *times_s):
    read = []
    for t_s in times_s:
        plant.advance(round(t_s * S))
        read.append(round(ev.draw_a, 4))
    return read


def test_charging_starts_after_dead_time_and_contactor():
    plant, ev = _site(delay_ms=500, start_delay_s=3, up_s=2)
    ev.offer(10 * S, 16)
    assert _amps_at(plant, ev, 13.499999) == [0.0]
    assert not ev.is_charging
    assert _amps_at(plant, ev, 13.5) == [0.0]
    assert ev.is_charging
    assert _amps_at(plant, ev, 14.5, 15.499999, 15.5, 60) == [8.0, 16.0, 16.0, 16.0]
    assert ev.power_w == 3680.0


def test_slowest_allowed_vehicle_follows_a_lower_offer_after_five_seconds():
    plant, ev = _charging(delay_ms=500, down_s=4.5)
    ev.offer(60 * S, 7)
    assert _amps_at(plant, ev, 60.5, 62.75) == [16.0, 11.5]
    plant.advance(64_999_999)
    assert ev.draw_a > 7.0
    plant.advance(65_000_000)
    assert ev.draw_a == 7.0


@pytest.mark.parametrize(("amps", "draws"), [(6, 6.0), (5.9, 0.0), (0, 0.0)])
def test_offer_below_six_amps_pauses(amps, draws):
    plant, ev = _charging()
    ev.offer(60 * S, amps)
    assert _amps_at(plant, ev, 70) == [draws]
    assert ev.is_charging == (draws > 0)
    assert ev.wants
    assert ev.wanted_w == 7360.0


@pytest.mark.parametrize(("amps", "draws"), [(6, 6.0), (5.999, 0.0)])
def test_charging_starts_from_six_amps_on(amps, draws):
    plant, ev = _site()
    ev.offer(0, amps)
    assert _amps_at(plant, ev, 60) == [draws]


def test_pause_needs_the_start_delay_again():
    plant, ev = _charging(delay_ms=0, down_s=1, up_s=0, start_delay_s=3)
    ev.offer(60 * S, 0)
    assert _amps_at(plant, ev, 60.5, 61, 70) == [8.0, 0.0, 0.0]
    ev.offer(70 * S, 10)
    assert _amps_at(plant, ev, 72.999999, 73) == [0.0, 10.0]


def test_pause_taken_back_before_zero_keeps_charging():
    plant, ev = _charging(delay_ms=0, down_s=2, up_s=1, start_delay_s=3)
    ev.offer(60 * S, 0)
    plant.advance(61 * S)
    ev.offer(61 * S, 16)
    assert _amps_at(plant, ev, 61, 61.5, 62) == [8.0, 12.0, 16.0]


def test_pause_during_the_start_delay_cancels_the_start():
    plant, ev = _site(delay_ms=0, start_delay_s=3)
    ev.offer(0, 16)
    ev.offer(2 * S, 0)
    ev.offer(4 * S, 16)
    assert _amps_at(plant, ev, 5, 6.999999) == [0.0, 0.0]
    assert not ev.is_charging
    plant.advance(7 * S)
    assert ev.is_charging


def test_offers_in_small_steps_do_not_slow_the_vehicle_down():
    plant, ev = _charging(delay_ms=0, down_s=2)
    ev.offer(60 * S, 6)
    for k in range(1, 10):
        ev.offer(60 * S + k * 100_000, 6 + k / 100)
    assert _amps_at(plant, ev, 60.9) == [11.5]
    assert _amps_at(plant, ev, 62) == [6.09]


def test_offer_above_the_maximum_is_cut_to_it():
    plant, ev = _site(phases="L123", max_a=16)
    ev.offer(0, 80)
    plant.advance(60 * S)
    assert ev.draw_a == 16.0
    assert ev.power_w == 11_040.0
    assert [plant.power_w(axis) for axis in range(4)] == [11_040.0, 3680.0, 3680.0, 3680.0]


def test_vehicle_may_draw_less_than_offered():
    plant, ev = _site(draw_limit_a=9.5)
    ev.offer(0, 16)
    assert _amps_at(plant, ev, 60) == [9.5]
    assert (ev.offered_a, ev.wanted_w) == (16.0, 2185.0)


def test_nothing_is_drawn_before_arrival_and_after_leaving():
    plant, ev = _site(arrive_s=100, leave_s=200, delay_ms=0, start_delay_s=0, up_s=0)
    ev.offer(0, 10)
    assert _amps_at(plant, ev, 99.999999) == [0.0]
    assert (ev.is_plugged, ev.wants, ev.wanted_w) == (False, False, 0.0)
    assert _amps_at(plant, ev, 100) == [10.0]
    assert (ev.plugged, ev.wants, ev.wanted_w) == (True, True, 7360.0)
    assert _amps_at(plant, ev, 199.999999, 200, 300) == [10.0, 0.0, 0.0]
    assert (ev.is_plugged, ev.is_charging, ev.wanted_w) == (False, False, 0.0)
    assert ev.energy_ws == 230_000.0


def test_charge_ends_when_the_energy_is_complete():
    # 2300 W, 230 Wh without a taper: 360 s
    plant, ev = _site(energy_wh=230, taper=0, delay_ms=0, start_delay_s=0, up_s=0)
    ev.offer(0, 10)
    assert _amps_at(plant, ev, 359.999999) == [10.0]
    assert _amps_at(plant, ev, 360.00001, 1000) == [0.0, 0.0]
    assert (ev.is_plugged, ev.wants, ev.is_charging) == (True, False, False)
    assert ev.delivered_wh == pytest.approx(230, abs=1e-4)


def test_current_tapers_in_four_steps_near_the_end():
    # 32 A = 7360 W. 90 % of 7360 Wh after 3240 s; then 184 Wh each at 80, 60, 40, 20 %
    plant, ev = _site(energy_wh=7360, delay_ms=0, start_delay_s=0, up_s=0)
    ev.offer(0, 32)
    assert _amps_at(plant, ev, 3239.99, 3240.01) == [32.0, 25.6]
    assert _amps_at(plant, ev, 3352.49, 3352.51) == [25.6, 19.2]
    assert _amps_at(plant, ev, 3502.49, 3502.51) == [19.2, 12.8]
    assert _amps_at(plant, ev, 3727.49, 3727.51) == [12.8, 6.4]
    assert _amps_at(plant, ev, 4177.49, 4177.51) == [6.4, 0.0]
    assert ev.delivered_wh == pytest.approx(7360, abs=1e-4)
    assert not ev.wants


def test_taper_leaves_a_lower_offer_alone_until_it_binds():
    plant, ev = _site(energy_wh=7360, delay_ms=0, start_delay_s=0, up_s=0)
    ev.offer(0, 16)
    # 16 A = 3680 W: the stages of 32 A * 0.8 and 0.6 do not bind, 0.4 does, after 95 %
    assert _amps_at(plant, ev, 6839.9, 6840.1) == [16.0, 12.8]


def test_energy_over_a_ramp_is_exact():
    plant, ev = _site(delay_ms=0, start_delay_s=0, up_s=4)
    ev.offer(0, 16)
    plant.advance(4 * S)
    assert ev.energy_ws == pytest.approx(3680 * 4 / 2, rel=1e-6)
    plant.advance(10 * S)
    assert ev.energy_ws == pytest.approx(3680 * 2 + 3680 * 6, rel=1e-6)


class Ends:
    """A recorder that keeps the ends of the pieces."""

    def __init__(self, plant):
        self.ends_us = []
        plant.recorder = self

    def segment(self, t0_us, t1_us):
        self.ends_us.append(t1_us)


@pytest.mark.parametrize(("amps", "up_s"), [(9, 2), (18, 2), (27, 1.5), (27, 3), (13, 0.7)])
def test_ramp_ends_at_its_time_on_its_goal_in_one_piece(amps, up_s):
    plant, ev = _site(delay_ms=0, start_delay_s=0, up_s=up_s)
    record = Ends(plant)
    ev.offer(0, amps)
    plant.advance(10 * S)
    assert record.ends_us == [round(up_s * S), 10 * S]
    assert ev.power_w == amps * 230


def test_repeated_offer_changes_nothing():
    plant, ev = _charging(delay_ms=1000, down_s=0)
    for k in range(20):
        ev.offer(60 * S + k * 100_000, 8)
    assert _amps_at(plant, ev, 61) == [8.0]

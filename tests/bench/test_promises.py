# SPDX-License-Identifier: MIT
"""The timing promises, each judged on the plant's truth, on both targets."""

import pytest
import runs

BOTH = pytest.mark.parametrize("target", ["virtual", "micropython"])


@BOTH
def test_loads_fall_back_within_five_seconds_of_the_last_good_frame(target):
    _, result = runs.run("meter_cut", target)

    assert result.metrics["fallback_s"]["count"] == 1
    assert 1.0 < result.metrics["fallback_s"]["max"] <= 5.0
    assert result.verdict == "PASS"


@BOTH
def test_limit_is_firm_one_tick_after_the_head_end_timed_out(target):
    _, result = runs.run("head_end_silent", target)

    assert result.metrics["head_end_loss_s"]["count"] == 1
    assert 59.9 < result.metrics["head_end_loss_s"]["max"] <= 60.1
    assert result.verdict == "PASS"


@BOTH
def test_load_step_is_covered_by_the_battery_within_a_second(target):
    _, result = runs.run("load_step_battery", target)

    assert result.metrics["import_excursions"] == 1
    assert result.metrics["import_peak_over_w"] > 9_000
    assert result.metrics["command_s"]["max"] <= 0.5
    assert result.metrics["import_longest_excursion_s"] <= 1.0


@BOTH
def test_load_step_is_followed_by_the_slowest_allowed_vehicles(target):
    _, result = runs.run("load_step_ev", target)

    assert result.metrics["import_excursions"] == 1
    assert result.metrics["import_peak_over_w"] > 9_000
    assert result.metrics["command_s"]["max"] <= 0.5
    assert result.metrics["import_longest_excursion_s"] <= 5.5


def test_export_is_held_when_sun_and_load_step():
    _, result = runs.run("export_limit")

    assert result.metrics["export_excursions"] >= 2
    assert result.metrics["export_longest_excursion_s"] <= 5.0


def test_ten_buses_share_a_service_made_for_eight():
    _, result = runs.run("bus_depot")

    assert result.metrics["current_over_limit_s"] == 0
    assert result.metrics["import_over_limit_s"] == 0
    assert result.metrics["evse_charging_max"] == 8
    assert result.metrics["evse_fairness"] >= 0.98
    assert min(result.metrics["evse_charging_s"].values()) > 3600

# SPDX-License-Identifier: MIT
"""The controller hangs or loses its supply; the site is judged on its truth all the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import runs

from hil.bench import Bench
from hil.options import SCENARIOS
from hil.scenarios.check import BadInput
from hil.scenarios.load import load
from hil.scenarios.model import Fault
from hil.targets import stepped
from hil.targets.firmware import TargetError
from hil.targets.wall import WallTarget
from hil.world import World

BOTH = pytest.mark.parametrize("target", ["virtual", "micropython"])
RELAYS = Path(__file__).resolve().parents[1] / "pico" / "budget.toml"
SUPPLY_CUT = (Fault("power_loss", "controller", 60.0, 63.0, {}),)


@BOTH
def test_hung_controller_is_restarted_and_the_site_is_back_inside(target):
    bench, result = runs.run("watchdog_hang", target)

    assert result.verdict == "PASS"
    assert bench.target.resets == 1
    # 4 s of watchdog since the last feed, at most a tick ago, and 1.7 s of start
    assert result.metrics["restart_s"]["count"] == 1
    assert 5.6 <= result.metrics["restart_s"]["max"] <= 5.7
    assert result.metrics["import_peak_over_w"] > 5_000


def test_without_watchdog_the_chargers_end_the_excursion_but_the_run_fails(monkeypatch):
    monkeypatch.setattr(stepped.SteppedTarget, "watchdog_us", 1_000_000_000)

    _, result = runs.run("watchdog_hang")

    failed = [check["id"] for check in result.checks if check["verdict"] == "FAIL"]
    assert result.verdict == "FAIL"
    assert "TC-M18-14" in failed  # it never spoke again
    assert 8.0 < result.metrics["import_longest_excursion_s"] < 10.5  # their own watchdogs, 10 s


class FedUntil(stepped.SteppedTarget):
    """No program at all: polled every 100 ms, it feeds while its time is below `last_ms`."""

    last_ms = 0

    def _launch(self):
        return [], []

    def _poll(self, now_ms, received):
        return 100, [], 0, (now_ms - stepped.START_MS) % 2**30 < self.last_ms

    def close(self):
        pass


def resets_until(t_ms, last_ms, hangs_ms=(250,)):
    """How often a FedUntil was restarted by `t_ms`."""
    world = World()
    target = FedUntil(world, {})
    target.last_ms = last_ms
    target.start()
    for hang_ms in hangs_ms:
        world.at(hang_ms * 1000, target.hang)
    world.run_until(t_ms * 1000)
    return target.resets


def test_watchdog_restarts_a_hung_controller_its_time_after_the_last_feed():
    assert resets_until(100 + 4000 + 1699, last_ms=150) == 0, "not yet"
    assert resets_until(100 + 4000 + 1700, last_ms=150) == 1


def test_watchdog_that_was_never_fed_restarts_nothing():
    assert resets_until(100_000, last_ms=0) == 0


def test_watchdog_begins_anew_with_each_start():
    assert resets_until(100_000, last_ms=150, hangs_ms=(250, 20_000)) == 1, "not fed since"
    assert resets_until(100_000, last_ms=19_950, hangs_ms=(250, 20_000)) == 2


@BOTH
def test_controller_restarts_after_its_supply_was_cut(target):
    bench, result = runs.run("watchdog_hang", target, fault=SUPPLY_CUT)

    assert bench.target.resets == 1
    assert result.metrics["restart_s"]["max"] == 4.7  # 3 s without supply, 1.7 s of start


def with_relays(fault, tmp_path):
    """A site with relays that are on at 20 s, run for 22 s."""
    scenario = replace(load(RELAYS), fault=fault, duration_s=22.0)
    bench = Bench(scenario, stepped.VirtualTarget, tmp_path)
    bench.run()
    return bench.target.outputs


def test_relays_open_when_the_controller_loses_its_supply(tmp_path):
    assert with_relays((), tmp_path) != 0
    assert with_relays((Fault("power_loss", "controller", 20.0, 30.0, {}),), tmp_path) == 0


def test_relays_stay_as_they_were_while_the_controller_hangs(tmp_path):
    fault = (Fault("hang", "controller", 20.0, 22.0, {}),)

    assert with_relays(fault, tmp_path) == with_relays((), tmp_path)


def test_target_in_wall_clock_time_says_that_it_cannot_hang(tmp_path):
    scenario = load(SCENARIOS / "watchdog_hang.toml")

    with pytest.raises(TargetError, match="cannot play the fault hang"):
        Bench(scenario, WallTarget, tmp_path)


@pytest.mark.parametrize(
    "kind, target, accepted",
    [
        ("hang", "grid_meter", "controller$"),
        ("power_loss", "bus0", "controller$"),
        ("frozen", "controller", "one of grid_meter, "),
    ],
)
def test_faults_of_the_controller_and_of_devices_are_told_apart(kind, target, accepted, tmp_path):
    text = (SCENARIOS / "meter_cut.toml").read_text()
    text = text.replace('kind = "no_response"', f'kind = "{kind}"')
    text = text.replace('target = "grid_meter"', f'target = "{target}"')
    if kind == "hang":
        text = text.replace("to_s = 90\n", "")
    path = tmp_path / "scenario.toml"
    path.write_text(text)

    with pytest.raises(BadInput, match=rf"target = '{target}': expected {accepted}"):
        load(path)


def test_a_later_start_shifts_the_first_frame(tmp_path):
    class Later(stepped.VirtualTarget):
        power_up_us = 1_700_000

    scenario = replace(load(SCENARIOS / "meter_cut.toml"), duration_s=3.0, fault=())
    bench = Bench(scenario, Later, tmp_path)
    bench.wires["uart0"].log = runs.WireLog()
    bench.run()

    assert bench.wires["uart0"].log[0][0] == 1_700_000

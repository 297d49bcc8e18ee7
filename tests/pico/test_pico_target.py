# SPDX-License-Identifier: MIT
"""The controller's own files on the emulated board, with the bench on its wires."""

from dataclasses import replace
from pathlib import Path

import pytest

from hil.bench import Bench
from hil.scenarios.load import load
from hil.targets.pico.target import PicoTarget

HERE = Path(__file__).resolve().parent
SECONDS = 8

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def run(pico_assets, tmp_path_factory):
    scenario = replace(load(HERE / "budget.toml"), duration_s=float(SECONDS))
    bench = Bench(scenario, PicoTarget, tmp_path_factory.mktemp("pico"))
    for wire in bench.wires.values():
        wire.log = []
    return bench, bench.run()


def test_it_boots_and_asks_within_the_budget(run):
    assert run[1].metrics["boot_s"] < 3


def test_every_request_is_whole_and_nothing_is_lost_on_the_wires(run):
    metrics = run[1].metrics

    assert metrics["pico_overruns"] == 0
    assert metrics["pico_undriven"] == 0
    assert metrics["pico_deaf"] == 0
    assert metrics["resets"] == 0


def test_the_meter_is_read_about_five_times_a_second(run):
    asked = [t_us for t_us, way, data in run[0].wires["uart0"].log if way == ">" and data[0] == 1]

    assert len([t for t in asked if t > 4e6]) >= 4 * 4


def test_the_bench_sees_the_controllers_view(run):
    trace = run[1].trace

    assert trace["mode"][-1] == 1
    assert trace["in_force_import_w"][-1] == 30000


def test_two_runs_are_the_same_to_the_byte(run, tmp_path):
    scenario = replace(load(HERE / "budget.toml"), duration_s=3.0)
    bench = Bench(scenario, PicoTarget, tmp_path)
    for wire in bench.wires.values():
        wire.log = []
    bench.run()

    for port, wire in bench.wires.items():
        assert wire.log == run[0].wires[port].log[: len(wire.log)]

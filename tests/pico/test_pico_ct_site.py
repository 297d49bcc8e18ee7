# SPDX-License-Identifier: MIT
"""The site with CTs on the chip: real converter and DMA, the whole controller, waves of the
plant's truth. A short cut of ct_site: an export that is held, then a plug that comes out."""

from dataclasses import replace

import pytest

from hil.bench import Bench
from hil.options import SCENARIOS
from hil.scenarios.load import load
from hil.targets.pico.target import PicoTarget

OUT_S = 11.0
END_S = 15.0
T_BUS_ERRORS = 28

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def run(pico_assets, tmp_path_factory):
    scenario = load(SCENARIOS / "ct_site.toml")
    fault = (replace(scenario.fault[0], from_s=OUT_S, to_s=END_S),)
    scenario = replace(scenario, duration_s=END_S, fault=fault, expect=())
    bench = Bench(scenario, PicoTarget, tmp_path_factory.mktemp("pico"))
    return bench, bench.run()


def test_what_the_chip_sees_is_what_flows(run):
    trace = run[1].trace
    pcc_w = trace["pcc_w"]
    still = [
        k for k in range(40, 150) if trace["t_s"][k] < OUT_S and len(set(pcc_w[k - 5 : k])) == 1
    ]
    assert len(still) > 20
    for k in still:  # a count is 0.24 A, and the sums have a resolution of an eighth
        assert trace["meter_w"][k - 1] == pytest.approx(pcc_w[k - 1], rel=0.005, abs=12)


def test_an_export_is_seen_and_held(run):
    trace = run[1].trace
    assert min(trace["meter_w"]) < -1500
    assert run[1].metrics["export_longest_excursion_s"] < 3


def test_a_plug_that_comes_out_leads_to_fallback(run):
    trace = run[1].trace
    at = trace["t_s"].index(OUT_S)
    assert set(trace["mode"][at - 20 : at]) == {1}
    assert trace["mode"][-1] == 3
    assert trace["roof_w"][-1] == 0


def test_no_window_is_lost(run):
    assert run[1].metrics["resets"] == 0
    assert run[1].metrics["late_cycles"] == 0
    assert run[0].target.view.values[T_BUS_ERRORS] == 0

# SPDX-License-Identifier: MIT
"""The scenario with CTs: it passes, the same on both stepped targets, and transformers that are
not what was configured fail it. Judged on the plant's truth, as everywhere."""

import json
from dataclasses import replace

import pytest
import runs

from hil.bench import Bench
from hil.line.ct import Converter
from hil.options import SCENARIOS
from hil.scenarios.check import BadInput
from hil.scenarios.load import load
from hil.targets.firmware import TargetError
from hil.targets.stepped import VirtualTarget
from hil.targets.wall import WallTarget

PATH = SCENARIOS / "ct_site.toml"


def with_gains(tmp_path, *gains):
    """The result with other transformers than the controller was told, of each input."""
    bench = Bench(load(PATH), VirtualTarget, tmp_path)
    bench.cts.gains[:] = gains
    return bench.run()


def failed(result):
    return {check["id"] for check in result.checks if check["verdict"] == "FAIL"}


@pytest.fixture(scope="module")
def virtual():
    return runs.run("ct_site", keep_wires=True)


def test_the_load_step_is_cut_the_export_held_and_the_open_plug_leads_to_fallback(virtual):
    _, result = virtual
    assert result.verdict == "PASS", result.checks
    assert result.trace["mode"][-1] == 3  # fallback
    assert min(result.trace["pcc_w"]) < -1500, "the sun was there to be held"


def test_what_the_controller_saw_is_what_flowed(virtual):
    bench, result = virtual
    trace = result.trace
    steady = [k for k, t_s in enumerate(trace["t_s"]) if 36 <= t_s < 44 or 23 <= t_s < 29]
    for k in steady:
        assert trace["meter_w"][k] == pytest.approx(trace["pcc_w"][k], rel=0.003)
    said = list(bench.target.controller.events)
    faults = [value for _, _, code, value in said if code == 18]
    assert faults[-1] == 3, "input 1: no bias, at a rail"
    assert len(faults) <= 2, "told once; the window in which it came out may tell half of it"


def test_micropython_does_the_same_to_the_byte(virtual):
    bench, result = runs.run("ct_site", target="micropython", keep_wires=True)
    assert bench.wires["uart0"].log == virtual[0].wires["uart0"].log
    assert result.trace == virtual[1].trace


@pytest.mark.parametrize(
    "gains, check",
    [
        ((-1.0, 1.0, 1.0), "TC-M16-01"),  # one turned round: its leg counts against the other
        ((1.0, -1.0, 1.0), "TC-M16-03"),
        ((-1.0, -1.0, 1.0), "TC-M16-05"),  # trips on a supply that is a load
        ((0.5, 0.5, 1.0), "TC-M16-03"),  # twice the rating
        ((1.0, 1.0, 0.9), "TC-M16-03"),
    ],
)
def test_transformers_that_are_not_what_was_configured_fail(gains, check, tmp_path):
    assert check in failed(with_gains(tmp_path, *gains))


def test_without_the_voltage_there_is_no_sample(tmp_path):
    """A transformer whose primary fuse has blown: the bias is right, the watts would be 0."""
    bench = Bench(replace(load(PATH), duration_s=29.0, fault=()), VirtualTarget, tmp_path)
    bench.world.at(24_000_000, bench.cts.gains.__setitem__, 2, 0.0)
    result = bench.run()
    assert result.trace["mode"][235] == 1
    assert result.trace["mode"][-1] == 3
    assert max(result.trace["evse_w"][-10:]) == 0


def test_an_open_plug_that_is_taken_for_no_current_fails(tmp_path, monkeypatch):
    from firmline.devices.ct import CtInput

    monkeypatch.setattr(CtInput, "_look", lambda self, work, shift: None)
    assert "TC-M16-03" in failed(with_gains(tmp_path, 1.0, 1.0, 1.0))


def test_three_cts_without_a_voltage_hold_an_import_limit(tmp_path):
    scenario = load(SCENARIOS / "load_step_ev.toml")
    config = {"name": "grid", "type": "ct_input", "role": "pcc", "rated_a": 100, "rated_mv": 333}
    meter = replace(scenario.device[0], type="ct_input", config=config, emulator={})
    scenario = replace(scenario, device=(meter, *scenario.device[1:]), duration_s=110.0)
    bench = Bench(scenario, VirtualTarget, tmp_path)
    result = bench.run()
    assert result.verdict == "PASS", result.checks
    at = result.trace["t_s"].index(100)
    assert result.trace["meter_w"][at] == pytest.approx(result.trace["pcc_w"][at], rel=0.003)


def test_a_target_without_a_converter_says_so(tmp_path):
    with pytest.raises(TargetError, match="cannot play a ct_input: virtual, pico, and micro"):
        Bench(load(PATH), WallTarget, tmp_path)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('target = "grid"', 'target = "evse"', "fault[0].target = 'evse': expected one of grid"),
        ("input = 1", "input = 4", "fault[0].input = 4: expected a whole number from 1 to 3"),
        ('"ct_open"', '"no_response"', "fault[0].input = 1: no such key"),
        ("mains_hz = 60", "mains_hz = 55", "device[0].mains_hz = 55: expected one of 50, 60"),
        ('role = "pcc"', 'role = "pcc"\nunit = 1', "device[0].unit = 1: no such key"),
    ],
)
def test_bad_input_is_refused_in_one_line(old, new, said, tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text(PATH.read_text().replace(old, new, 1))
    with pytest.raises(BadInput) as error:
        load(path)
    assert said in str(error.value)


def test_an_input_that_the_site_has_not_is_refused(tmp_path):
    path = tmp_path / "scenario.toml"
    text = PATH.read_text().replace("voltage_mv = 600\n", "").replace("input = 1", "input = 3")
    path.write_text(text)
    with pytest.raises(BadInput, match=r"fault\[0\].input = 3: expected an input from 1 to 2"):
        load(path)


class Inputs:
    """For a Converter on its own."""

    inputs = 3
    listener = None


def test_the_samples_are_the_waves(tmp_path):
    """12 bits, 64 groups a cycle, the inputs one after the other, phase kept over the halves."""
    import math

    cts = Inputs()
    converter = Converter(cts)
    waves = [(2048, 500.0, 0.0), (2090, -300.5, 180.0), (2010, 3000.0, 0.0)]
    for number in range(16):
        assert converter.window() == -1
        cts.listener.take_half(waves, number)
    first = converter.window()
    for k in range(512 * 4):
        if k % 4 < 3:
            offset, amplitude, late = waves[k % 4]
            angle = 2 * math.pi * (k / 256 - late / 360)
            wanted = min(max(offset + amplitude * math.sin(angle), 0), 4095)
            assert converter.samples[first + k] == pytest.approx(wanted, abs=0.75)
    assert converter.is_intact()
    assert converter.window() == -1
    for number in range(32):
        cts.listener.take_half(waves, number)
    assert converter.overruns == 1
    assert len(converter.taken()) == 2 * 512 * 4


def test_what_the_controller_was_told_is_complete(tmp_path):
    Bench(load(PATH), VirtualTarget, tmp_path)
    told = json.loads((tmp_path / "config.json").read_text())
    assert told["devices"][0]["type"] == "ct_input"
    assert "unit" not in told["devices"][0]

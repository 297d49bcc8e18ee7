# SPDX-License-Identifier: MIT
"""The demonstration: a recorded evening, run by the real firmware in a real MicroPython."""

from dataclasses import asdict

from hil.execute import check_out, execute
from hil.options import SCENARIOS
from hil.report.result import tolerance_text
from hil.report.terminal import checks_table, excursions_text, figures, verdict_line
from hil.scenarios.load import load
from hil.targets.firmware import find_micropython, version
from hil.targets.stepped import LockstepTarget

_FAULTS = {
    "no_response": "does not answer",
    "bad_crc": "answers with a wrong CRC",
    "delay": "answers late",
    "frozen": "repeats old values",
}
_UNITS = {"import": "W", "export": "W", "current": "A"}
# what is measured once, at the event that brings it about
_FALLBACK = ("fallback_s", "vehicles at their fallback value {:.3f} s after its last answer")
_LOSS = ("head_end_loss_s", "limit in force firm {:.3f} s after the last heartbeat")


def run(out_dir):
    """Run the evening on `micropython`, print what was measured; returns the RunResult."""
    scenario = load(SCENARIOS / "evening.toml")
    find_micropython()
    check_out(out_dir)
    print(f"{scenario.title}\n")
    for name, text in _setting(scenario):
        print(f"  {name:<10}  {text}")
    print(flush=True)  # a reader in a pipe wants to know what is coming, too
    result = execute(scenario, LockstepTarget, out_dir)
    print("What happened; below each event, what was measured from it until the next:\n")
    for line in story(scenario, result):
        print(f"  {line}")
    print(f"\n{checks_table(result.checks)}\n\n{figures(result)}")
    print(f"\n{verdict_line(result)}, at {result.metrics['sim_speed']:g} x real time")
    print(f"report: {out_dir / 'report.html'}")
    return result


def _setting(scenario):
    """(name, text) of what a reader must know to judge the figures."""
    site = scenario.site
    meter = next(device for device in scenario.device if device.role == "meter")
    update_ms, delay_ms = (meter.emulator[key] for key in ("update_ms", "response_delay_ms"))
    yield "controller", f"firmware {version()} in MicroPython, in lock-step with virtual time"
    yield "devices", f"{len(scenario.device)} on one RS-485 pair at {scenario.bus[0]['baud']} Bd"
    yield "meter", f"{meter.type}: a new value every {update_ms} ms, answers after {delay_ms} ms;"
    yield "", "both are assumed, its manual states neither"
    limits = f"firm import {_kw(site['firm_import_w'])}, firm export {_kw(site['firm_export_w'])}"
    yield "site", f"{site['phases']} x {site['service_a']} A, {limits}"
    length = f"{scenario.duration_s / 60:g} min"
    yield "evening", f"{length}, a recorded household and events of seed {scenario.seed}"
    yield "judged on", "the truth at the grid connection, not on what the meter says;"
    yield "", f"tolerance {tolerance_text(asdict(scenario.tolerance))}"


def story(scenario, result):
    """Lines: each event in order, below it what was measured until the next one."""
    timeline = sorted([*_planned(scenario), *_limits(result)], key=lambda entry: entry[0])
    timeline = [entry for entry in timeline if entry[0] < result.duration_s]
    ends_s = [entry[0] for entry in timeline[1:]] + [result.duration_s]
    for (t_s, text, *once), end_s in zip(timeline, ends_s, strict=True):
        yield f"{_clock(t_s)}  {text}"
        for key, words in once:
            if result.metrics[key]["count"]:
                yield f"{'':9}  {words.format(result.metrics[key]['max'])}"
        for line in _measured(result.events, t_s, end_s):
            yield f"{'':9}  {line}"


def _planned(scenario):
    """(t_s, text, what is measured once there...) of what the scenario does to the site."""
    yield 0, "sun on the roof; the firm limits are in force"
    for item in scenario.plant.load:
        before_w = 0
        for at_s, w in _steps(item):
            sign = "+" if w > before_w else "-"
            yield at_s, f"{item.name} {sign}{_kw(abs(w - before_w))}"
            before_w = w
    for ev in scenario.plant.ev:
        energy = f"{ev.parameters['energy_wh'] / 1000:g} kWh"
        yield ev.parameters["arrive_s"], f"{ev.name} comes home and wants {energy}"
    for from_s, to_s in scenario.head_end_script.silent:
        yield from_s, f"the head-end falls silent for {to_s - from_s:g} s"
        yield to_s, "the head-end is heard again"
    for fault in scenario.fault:
        lasts = f"for {fault.to_s - fault.from_s:g} s"
        yield fault.from_s, f"{fault.target} {_FAULTS[fault.kind]} {lasts}", _FALLBACK
        yield fault.to_s, f"{fault.target} is well again"


def _steps(item):
    if item.kind != "steps":
        return ()
    return zip(item.parameters["at_s"], item.parameters["load_w"], strict=True)


def _limits(result):
    """The same of the limits that came and went."""
    for event in result.events:
        if event["kind"] == "limit":
            lost = (_LOSS,) if "lost" in event["text"] else ()
            yield event["t_s"], event["text"], *lost


def _measured(events, from_s, until_s):
    """What the truth did in a part of the run: a line for each quantity past its limit."""
    found = {name: [] for name in _UNITS}
    for event in events:
        if event["kind"] == "excursion" and from_s <= event["t_s"] < until_s:
            found[event["text"].split()[0]].append(event)
    for name, excursions in found.items():
        if excursions:
            longest_s = max(event["to_s"] - event["t_s"] for event in excursions)
            peak = max(event["peak"] for event in excursions)
            text = excursions_text(len(excursions), longest_s, peak, _UNITS[name])
            yield f"{name}: {text}"
    if not any(found.values()):
        yield "never past a limit"


def _kw(watts):
    return f"{watts / 1000:g} kW"


def _clock(t_s):
    minutes, seconds = divmod(round(t_s), 60)
    return f"{minutes // 60:d}:{minutes % 60:02d}:{seconds:02d}"

# SPDX-License-Identifier: MIT
"""The demonstration: a recorded evening, run by the real firmware in a real MicroPython."""

from hil.cli import SCENARIOS, execute
from hil.report.terminal import checks_table, figures
from hil.scenarios.load import load
from hil.targets.firmware import find_micropython
from hil.targets.stepped import LockstepTarget

_KINDS = ("fault", "silent", "limit")


def run(out_dir):
    """Run the evening on `micropython`, print what was measured; returns the RunResult."""
    scenario = load(SCENARIOS / "evening.toml")
    find_micropython()
    print(f"{scenario.title}\n")
    print(f"  the controller   firmware/ in MicroPython, {len(scenario.device)} devices on RS-485")
    print(f"  the site         {_site(scenario)}")
    print(f"  the evening      {scenario.duration_s / 60:g} min, recorded load with seeded events\n")
    result = execute(scenario, LockstepTarget, out_dir)
    for event in result.events:
        if event["kind"] in _KINDS:
            print(f"  {_clock(event['t_s'])}  {event['text']}")
    print()
    print(checks_table(result.checks))
    print()
    print(figures(result))
    speed = result.metrics["sim_speed"]
    print(f"\n{result.verdict}   at {speed:g} x real time; report: {out_dir / 'report.html'}")
    return result


def _site(scenario):
    site = scenario.site
    return (
        f"{site['phases']} x {site['service_a']} A, firm import {site['firm_import_w'] / 1000:g} kW, "
        f"firm export {site['firm_export_w'] / 1000:g} kW"
    )


def _clock(t_s):
    minutes, seconds = divmod(round(t_s), 60)
    return f"{minutes // 60:d}:{minutes % 60:02d}:{seconds:02d}"

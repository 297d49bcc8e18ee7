# SPDX-License-Identifier: MIT
"""`make bench`: cycle time on each runtime, wire efficiency, and simulation speed.

    python tests/bench/speed.py [--hours H] [--out DIR]

The 24 h day takes two to four minutes. Figures are of this machine at this moment: compare them
with each other, not with those of another day. They are written to DIR/speed.json as well.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "runtimes"), str(ROOT / "firmware")]

import runtimes  # noqa: E402
import wire_use  # noqa: E402

from hil.bench import Bench  # noqa: E402
from hil.execute import progress_bar  # noqa: E402
from hil.options import SCENARIOS  # noqa: E402
from hil.scenarios.load import load  # noqa: E402
from hil.targets.stepped import VirtualTarget  # noqa: E402

DEVICE = Path(__file__).resolve().parent / "device"
RUNTIMES = ("cpython", "unix64", "wasm32")


def cycle_times():
    """{runtime: {"cycle_us", "busy_us"}}; a missing runtime says why."""
    figures = {}
    for runtime in RUNTIMES:
        try:
            output = runtimes.run(runtime, dual=DEVICE).output
            figures[runtime] = {
                name: float(value) for name, value in re.findall(r"(\w+_us) ([\d.]+)", output)
            }
        except runtimes.Missing as missing:
            figures[runtime] = {"missing": str(missing)}
    return figures


def run_virtual(scenario, progress=None):
    with tempfile.TemporaryDirectory() as work_dir:
        bench = Bench(scenario, VirtualTarget, work_dir)
        cpu_s = time.process_time()
        result = bench.run(progress)
        return bench, result, time.process_time() - cpu_s


def wire_efficiency(baud):
    with tempfile.TemporaryDirectory() as work_dir:
        return wire_use.measure(baud, 60, VirtualTarget, work_dir)


def simulation_speed(hours):
    scenario = replace(load(SCENARIOS / "quiet_day.toml"), duration_s=hours * 3600.0)
    started = time.monotonic()
    with progress_bar(f"{hours:g} h with bytes on the wire") as progress:
        bench, result, cpu_s = run_virtual(scenario, progress)
    wall_s = time.monotonic() - started
    wires = bench.wires.values()
    return {
        "hours": hours,
        "sim_speed_wall": round(hours * 3600 / wall_s, 1),
        "sim_speed_cpu": round(hours * 3600 / cpu_s, 1),
        "meter_samples_per_s": round(bench.target.controller.meter.samples / hours / 3600, 2),
        "frames_per_s": round(sum(w.frames_down for w in wires) / hours / 3600, 2),
        "polls_per_s": round(bench.target.polls / hours / 3600, 1),
        "cpu_us_per_poll": round(1e6 * cpu_s / bench.target.polls, 1),
        "verdict": result.verdict,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hours", type=float, default=24, help="length of the simulated day")
    parser.add_argument("--out", default="build/bench", help="folder for speed.json")
    options = parser.parse_args()
    figures = {"cycle": cycle_times()}
    print("one control cycle, one meter and eight devices (mean, best of five rounds)")
    for runtime, row in figures["cycle"].items():
        text = row.get("missing") or (
            f"{row['cycle_us']:8.1f} us steady {row['busy_us']:8.1f} us when commands move"
        )
        print(f"  {runtime:8} {text}")
    figures["wire"] = {baud: wire_efficiency(baud) for baud in wire_use.BAUDS}
    print("\nthe SDM630 (10 ms reply delay, assumed) polled as fast as it goes")
    for baud, row in figures["wire"].items():
        print("  " + wire_use.line(baud, row))
    figures["simulation"] = simulation_speed(options.hours)
    row = figures["simulation"]
    print(
        f"\n{row['hours']:g} h simulated at {row['sim_speed_wall']:g} x real time "
        f"({row['sim_speed_cpu']:g} x by processor time), {row['meter_samples_per_s']:g} meter "
        f"samples and {row['frames_per_s']:g} frames a second, verdict {row['verdict']}"
    )
    print(
        f"the limit: {row['polls_per_s']:g} polls of the controller a second at "
        f"{row['cpu_us_per_poll']:g} us each, firmware and bench together"
    )
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "speed.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

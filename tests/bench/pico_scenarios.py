# SPDX-License-Identifier: MIT
"""The promises on an emulated RP2040 beside those of `virtual`: times, and the commands sent.

    python tests/bench/pico_scenarios.py [SCENARIO ...] [--out DIR]

Each scenario runs on target pico, then on virtual with the chip's own start-up times (power-up,
and restart after a watchdog), which is what a controller in this process does not need. Then both
are compared: the same set points, each within a tick. What differs is printed, and may not be more
than EXPLAINED says.
"""

import argparse
import json
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "firmware")]

from hil.bench import Bench  # noqa: E402
from hil.execute import progress_bar  # noqa: E402
from hil.line.line import MasterLine  # noqa: E402
from hil.options import SCENARIOS  # noqa: E402
from hil.scenarios.load import load  # noqa: E402
from hil.targets.firmware import TargetError  # noqa: E402
from hil.targets.pico.target import PicoTarget  # noqa: E402
from hil.targets.stepped import VirtualTarget  # noqa: E402

NAMES = ("load_step_battery", "load_step_ev", "meter_cut", "head_end_silent", "watchdog_hang")
TIMES = ("response_s", "command_s", "fallback_s", "head_end_loss_s", "restart_s")
SMALL = 200  # W or mA
TICK_S = 0.1
# How many commands may differ, and why: the chip asks a meter or a car some milliseconds later.
EXPLAINED = {
    "load_step_battery": (
        2,
        "a battery follows cars as they ramp: told other values, or later",
    ),
    "meter_cut": (1, "the second car waits for a reading of the first, which comes a poll later"),
    "watchdog_hang": (2, "after the restart a car is told by a sample that is one later"),
}


def run(name, target, progress=None):
    """(bench, result)"""
    with tempfile.TemporaryDirectory() as work_dir:
        bench = Bench(load(SCENARIOS / f"{name}.toml"), target, work_dir)
        return bench, bench.run(progress)


def both(name, progress=None):
    """((bench, result) on pico, (bench, result) on virtual)"""
    pico = run(name, PicoTarget, progress)

    class StartsAsLate(VirtualTarget):
        power_up_us = whole_ms(pico[0].target.first_frame_us)

    if pico[0].restart.measured_s:
        StartsAsLate.watchdog_us = 0
        StartsAsLate.boot_us = whole_ms(pico[0].restart.measured_s[0] * 1e6)
    return pico, run(name, StartsAsLate)


def whole_ms(t_us):
    return round(t_us / 1000) * 1000


def commands(bench):
    """[(t_s, unit, function, address, flags, set point)] of the writes that matter, in the order
    of time: to the same registers, with other flags or a set point that moved by more than
    SMALL. While cars ramp, a battery is told a few watts more or less with every sample, and which
    ones it is told depends on when the meter was asked, to the millisecond."""
    wires = zip(bench.wires.values(), bench.writes, strict=True)
    logs = [log for wire, log in wires if not isinstance(wire, MasterLine)]  # not the head-end's
    writes = sorted(entry for log in logs for entry in log)
    return mattering(
        [
            (t_us / 1e6, f[0], f[1], int.from_bytes(f[2:4], "big"), *parts_of(f))
            for t_us, f in writes
        ]
    )


def mattering(writes):
    kept, last = [], {}
    for write in writes:
        flags, value = last.get(write[1:4], (None, 0))
        if flags != write[4] or abs(value - write[5]) > SMALL:
            last[write[1:4]] = write[4:]
            kept.append(write)
    return kept


def parts_of(frame):
    """(what is before it, the set point: the last register, or the last two as one number)."""
    data = frame[4:6] if frame[1] == 6 else frame[7:-2]
    return data[:-4].hex(), int.from_bytes(data[-4:], "big", signed=True)


def exceptions(pico, virtual):
    """What one target sent and the other did not, register by register: [text]. Alike: the same
    flags, a set point within SMALL, and within a tick of each other."""
    found = []
    places = sorted({write[1:4] for write in pico + virtual})
    for place in places:
        ours, theirs = ([w for w in writes if w[1:4] == place] for writes in (pico, virtual))
        for one, other in zip_longest(ours, theirs):
            if one is None or other is None:
                found.append(f"only on {'virtual' if one is None else 'pico'}: {one or other}")
            elif one[4] != other[4] or abs(one[5] - other[5]) > SMALL:
                found.append(f"set point: {one} on pico, {other} on virtual")
            elif abs(one[0] - other[0]) > TICK_S:
                found.append(f"time: {one} on pico, {other} on virtual")
    return found


def turned_round(pico, virtual):
    """How many commands of pico, without the exceptions' values, come in another order."""
    order = [write[1:4] for write in pico]
    return sum(one != other for one, other in zip(order, (w[1:4] for w in virtual), strict=False))


def figures(name, pico, virtual):
    sent = commands(pico[0]), commands(virtual[0])
    found = {
        "scenario": name,
        "verdict": pico[1].verdict,
        "commands": len(sent[0]),
        "exceptions": exceptions(*sent),
        "turned_round": turned_round(*sent),
        "pico_commands": sent[0],
        "virtual_commands": sent[1],
        "boot_s": pico[1].metrics["boot_s"],
        "cpu_load": pico[1].metrics["cpu_load"],
    }
    for metric in TIMES:
        found[metric] = [r.metrics[metric]["max"] for _, r in (pico, virtual)]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="*", help=f"of {', '.join(NAMES)}; default all")
    parser.add_argument("--out", default="build/bench", help="folder for pico_scenarios.json")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.scenario or NAMES:
        if name not in NAMES:
            parser.error(f"scenario {name}: one of {', '.join(NAMES)}")
        try:
            with progress_bar(f"{name} on pico") as progress:
                rows.append(figures(name, *both(name, progress)))
        except TargetError as error:
            sys.exit(str(error))
        print_row(rows[-1])
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "pico_scenarios.json").write_text(json.dumps(rows, indent=1) + "\n")
    is_good = all(r["verdict"] == "PASS" and is_explained(r) for r in rows)
    sys.exit(0 if is_good else 1)


def print_row(row):
    print(f"{row['scenario']}: {row['verdict']}; boot {row['boot_s']:.2f} s")
    for metric in TIMES:
        pico, virtual = row[metric]
        if pico is not None or virtual is not None:
            print(f"  {metric:16} pico {pico} s, virtual {virtual} s")
    print(f"  {row['commands']} commands, {row['turned_round']} in another order")
    for text in row["exceptions"]:
        print(f"  {text}")
    most, why = EXPLAINED.get(row["scenario"], (0, ""))
    judged = "as explained" if is_explained(row) else "MORE than explained"
    print(f"  {len(row['exceptions'])} exceptions, {judged} ({most}: {why})", flush=True)


def is_explained(row):
    return len(row["exceptions"]) <= EXPLAINED.get(row["scenario"], (0, ""))[0]


if __name__ == "__main__":
    main()

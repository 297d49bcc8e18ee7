# SPDX-License-Identifier: MIT
"""`make bench-pico`: what the controller costs on an RP2040 at 125 MHz, against the budget.

    python tests/bench/pico_budget.py [--seconds S] [--wire-seconds S] [--profile] [--out DIR]

One meter and eight devices (tests/pico/budget.toml) on the emulated chip, MicroPython's own
image, the firmware's own files; only main.py is one that times each poll with the chip's
microsecond clock. Then one SDM630 alone, polled as fast as it goes at each baud rate with the
firmware as it is flashed: what share of the ideal is reached (wire_use.py). Cycle counts of the
emulator leave out the misses of the flash cache, so a board is slower by what those cost. Figures
go to DIR/pico_budget.json and DIR/pico_wire.json as well.

--profile instead times every method (tests/pico/board/profile_main.py) and prints the dearest.
"""

import argparse
import ast
import json
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "firmware")]

import wire_use  # noqa: E402

from hil.bench import Bench  # noqa: E402
from hil.execute import progress_bar  # noqa: E402
from hil.scenarios.load import load  # noqa: E402
from hil.targets.firmware import FIRMWARE_DIR, TargetError  # noqa: E402
from hil.targets.pico import image  # noqa: E402
from hil.targets.pico.target import PicoTarget  # noqa: E402
from host_tools import fold  # noqa: E402

SITE = ROOT / "tests" / "pico" / "budget.toml"
BOARD = ROOT / "tests" / "pico" / "board"
AFTER_S = 6  # boot before, printing after
CYCLE_US, IDLE_US, BOOT_US, HEAP_BYTES = 5000, 300, 3_000_000, 100_000
WIRE_SHARE = 0.9


def measure(main, seconds, progress=None, board=None):
    """(what the chip printed as FIGURES, the bench's result)."""
    scenario = replace(load(SITE), duration_s=float(seconds + AFTER_S))

    def target(world, wires, config_path):
        files = image.firmware_files(Path(config_path).read_text())
        text = fold.folded((BOARD / main).read_text())
        files["arguments.txt"] = arguments_of_methods().encode()
        files["main.py"] = re.sub(r"(?m)^SECONDS = .*", f"SECONDS = {seconds}", text).encode()
        return PicoTarget(world, wires, config_path, board, files)

    with tempfile.TemporaryDirectory() as work_dir:
        bench = Bench(scenario, target, work_dir)
        result = bench.run(progress)
    console = bench.target.console
    methods = re.findall(r"METHOD (\S+) (\d+) (-?\d+) (\d+) (-?\d+)\r?\n", console)
    if methods and "END" in console:
        return {name: [int(n) for n in numbers] for name, *numbers in methods}, result
    found = re.search(r"FIGURES (\{.*\})", console)
    if not found:
        raise TargetError(f"target pico: the board printed no figures but: {console[-2000:]!r}")
    return json.loads(found[1]), result


def arguments_of_methods():
    """Lines `Class.method count` of every method that the profile can time."""
    lines = []
    for path in sorted((FIRMWARE_DIR / "firmline").rglob("*.py")):
        if path.parent.name not in ("core", "modbus", "services", "devices", "firmline"):
            continue
        for owner in ast.parse(path.read_text()).body:
            if not isinstance(owner, ast.ClassDef):
                continue
            for method in owner.body:
                if isinstance(method, ast.FunctionDef) and not method.decorator_list:
                    arguments = method.args.posonlyargs + method.args.args
                    is_plain = not (method.args.vararg or method.args.defaults)
                    if is_plain and len(arguments) <= 3 and method.name[:2] != "__":
                        lines.append(f"{owner.name}.{method.name} {len(arguments)}\n")
    return "".join(lines)


class _AutoDirection:
    UARTS = {"uart0": (0, 0, 1, None), "uart1": (1, 4, 5, None)}


def rows(figures, result):
    """(what, value, goal or None, unit) of the budget table."""

    def of(kind, name):
        return figures[kind][name] if figures[kind] else None

    taken = figures["first_command_taken_us"]
    return [
        ("control cycle, worst", of("control_cycle", "worst"), CYCLE_US, "us"),
        ("control cycle, p99", of("control_cycle", "p99"), None, "us"),
        ("control cycle, median", of("control_cycle", "median"), None, "us"),
        ("poll with cycle, worst", of("cycle", "worst"), None, "us"),
        ("poll with cycle and request, worst", of("cycle_send", "worst"), None, "us"),
        ("poll with cycle and request, median", of("cycle_send", "median"), None, "us"),
        ("idle poll, worst", of("again", "worst"), None, "us"),
        ("idle poll, median", of("again", "median"), IDLE_US, "us"),
        ("poll that looks for work in vain, median", of("choose", "median"), None, "us"),
        ("poll with bytes received, worst", of("receive", "worst"), None, "us"),
        ("poll with bytes received, median", of("receive", "median"), None, "us"),
        ("poll that sends a request, worst", of("send", "worst"), None, "us"),
        ("poll that sends a request, median", of("send", "median"), None, "us"),
        ("power-up to imports done", figures["imported_us"], None, "us"),
        ("power-up to first enforcement", figures["first_cycle_us"], BOOT_US, "us"),
        ("power-up to first meter sample in use", figures["first_sample_us"], None, "us"),
        ("power-up to first command taken", taken or None, None, "us"),
        ("heap in use after boot", figures["heap_used_at_start"], HEAP_BYTES, "bytes"),
        ("heap free after boot", figures["heap_free_at_start"], None, "bytes"),
        ("heap in use at the end", figures["heap_used_at_end"], HEAP_BYTES, "bytes"),
        ("allocated while running", figures["allocated_while_running"], 0, "bytes"),
        ("garbage collection", figures["gc_pause_us"], None, "us"),
        ("core busy", round(100 * result.metrics["cpu_load"], 1), None, "%"),
        ("cycles", figures["cycles"], None, ""),
        ("late cycles", figures["late_cycles"], 0, ""),
        ("bytes lost: driver still enabled", result.metrics["pico_deaf"], 0, ""),
        ("bytes lost: driver not enabled", result.metrics["pico_undriven"], 0, ""),
        ("bytes lost: receive FIFO full", result.metrics["pico_overruns"], 0, ""),
    ]


def wire_rows(seconds):
    """{baud: figures} of one SDM630 polled as fast as it goes; the firmware as it is flashed."""
    rows = {}
    for baud in wire_use.BAUDS:
        with tempfile.TemporaryDirectory() as work_dir:
            with progress_bar(f"one meter at {baud} Bd for {seconds} s") as progress:
                rows[baud] = wire_use.measure(baud, seconds, PicoTarget, work_dir, progress)
        share = rows[baud]["share"]
        judged = "met" if share >= WIRE_SHARE else "MISSED"
        print(f"{wire_use.line(baud, rows[baud])}; >= {100 * WIRE_SHARE:.0f} %  {judged}")
    return rows


def print_table(table):
    for what, value, goal, unit in table:
        shown = "-" if value is None else f"{value:,}"
        judged = ""
        if goal is not None and value is not None:
            judged = f"<= {goal:,}  {'met' if value <= goal else 'MISSED'}"
        print(f"{what:40} {shown:>10} {unit:6} {judged}".rstrip())


def print_profile(figures, seconds):
    """Dearest first, by their own time."""
    heads = ("calls/s", "mean us", "worst us", "own us/s", "own us")
    print(f"{'method':42}" + "".join(f" {head:>9}" for head in heads))
    order = sorted(figures.items(), key=lambda item: -item[1][3])
    for name, (calls, total, worst, own) in order[:60]:
        rate = calls / seconds
        print(
            f"{name:42} {rate:8.1f} {total / calls:8.0f} {worst:8} "
            f"{own / seconds:9.0f} {own / calls:7.0f}"
        )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="of the chip's time")
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    parser.add_argument(
        "--wire-seconds",
        type=int,
        default=10,
        metavar="S",
        help="at each baud rate with one meter polled as fast as it goes; 0: not at all",
    )
    parser.add_argument("--out", default="build/bench", metavar="DIR")
    options = parser.parse_args(arguments)
    script = "profile_main.py" if options.profile else "budget_main.py"
    try:
        with progress_bar(f"{options.seconds} s on the emulated RP2040") as progress:
            board = _AutoDirection if options.profile else None
            figures, result = measure(script, options.seconds, progress, board)
    except TargetError as error:
        print(error, file=sys.stderr)
        return 2
    Path(options.out).mkdir(parents=True, exist_ok=True)
    name = "pico_profile.json" if options.profile else "pico_budget.json"
    Path(options.out, name).write_text(json.dumps(figures, indent=1))
    if options.profile:
        print_profile(figures, options.seconds - 3)
    else:
        print_table(rows(figures, result))
        if options.wire_seconds:
            wires = wire_rows(options.wire_seconds)
            Path(options.out, "pico_wire.json").write_text(json.dumps(wires, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""The bench's command line: `python -m hil run|demo ...`.

Exit status: 0 PASS, 1 FAIL, 2 usage or bad input (one line), 3 INCONCLUSIVE (repeat it).
"""

import argparse
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from hil.scenarios.check import BadInput

EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}
BAD_INPUT = 2
SCENARIOS = Path(__file__).parent / "scenarios"
TARGET_HELP = """virtual: the firmware in this process, virtual time, repeatable;
micropython: the same files in a real MicroPython interpreter, in lock-step with virtual time
(--clock wall: over ptys, in real time); board: real serial ports (--port NAME=DEVICE)"""


def main(arguments=None):
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (BadInput, _target_error(), _config_error()) as error:
        print(f"hil: {error}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        name = error.filename or ""
        print(f"hil: {name}: {error.strerror or error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("hil: stopped; nothing was judged", file=sys.stderr)
        return EXIT["INCONCLUSIVE"]


def _target_error():
    from hil.targets.firmware import TargetError

    return TargetError


def _config_error():
    import hil.targets.firmware  # noqa: F401  (puts firmware/ on the path)
    from firmline.services.config import ConfigError

    return ConfigError


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m hil",
        description="Firmline's bench: run the controller against an emulated site and judge it "
        "on the truth at the point of common coupling.",
        epilog="Start with: python -m hil demo    Then: python -m hil run bus_depot",
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run one scenario and judge it")
    run.add_argument(
        "scenario",
        metavar="SCENARIO",
        help="a TOML file (docs/scenarios.md), or the name of one of: "
        + ", ".join(sorted(p.stem for p in SCENARIOS.glob("*.toml"))),
    )
    run.add_argument(
        "--load-csv",
        metavar="FILE",
        help="replace the uncontrolled load; columns t_s,load_w and optionally pv_w, or "
        "t_s,l1_w,l2_w,l3_w; a value holds until the next row",
    )
    run.add_argument("--seed", type=int, metavar="N", help="replace the scenario's seed")
    _add_target(run)
    run.add_argument("--out", metavar="DIR", help="folder for the report (default build/NAME)")
    run.set_defaults(command=_run)
    demo = commands.add_parser("demo", help="a recorded evening on real MicroPython; prints it")
    demo.add_argument("--out", metavar="DIR", default="build/demo")
    demo.set_defaults(command=_demo)
    return parser


def _add_target(parser):
    parser.add_argument(
        "--target",
        choices=("virtual", "micropython", "board"),
        default="virtual",
        help=TARGET_HELP,
    )
    parser.add_argument(
        "--clock",
        choices=("lockstep", "wall"),
        default="lockstep",
        help="for --target micropython (default lockstep)",
    )
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="NAME=DEVICE",
        help="for --target board: a port of the configuration and where it is here, such as "
        "uart0=/dev/ttyUSB0; once for each",
    )


def find_scenario(name):
    """A path, or the name of a scenario that comes with the bench."""
    path = Path(name)
    if path.exists() or path.suffix == ".toml":
        return path
    packaged = SCENARIOS / f"{name}.toml"
    if packaged.exists():
        return packaged
    known = ", ".join(sorted(p.stem for p in SCENARIOS.glob("*.toml")))
    raise BadInput(f"scenario {name}: no such file; expected a path or one of {known}")


def target_class(options):
    """The class named by --target and --clock, with --port bound in."""
    from hil.targets import stepped

    if options.target == "virtual":
        return stepped.VirtualTarget
    if options.target == "micropython" and options.clock == "lockstep":
        return stepped.LockstepTarget
    from hil.targets import wall

    if options.target == "micropython":
        return wall.WallTarget
    ports = {}
    for text in options.port:
        name, separator, device = text.partition("=")
        if not (name and separator and device):
            raise BadInput(f"--port {text}: expected NAME=DEVICE, such as uart0=/dev/ttyUSB0")
        ports[name] = device
    return lambda world, wires, config: wall.BoardTarget(world, wires, config, ports)


def execute(scenario, target, out_dir):
    """Run a loaded scenario on a target class with a progress bar; write and return the result."""
    from hil.bench import Bench
    from hil.report.files import write_run

    with tempfile.TemporaryDirectory() as work_dir:
        bench = Bench(scenario, target, work_dir)
        with progress_bar(f"{scenario.name} on {bench.target.name}") as progress:
            result = bench.run(progress)
    write_run(result, out_dir)
    return result


@contextmanager
def progress_bar(title):
    """A function taking the fraction done; a bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


def _run(options):
    from hil.scenarios.load import load

    scenario = load(find_scenario(options.scenario), options.load_csv, options.seed)
    out_dir = Path(options.out or f"build/{scenario.name}")
    result = execute(scenario, target_class(options), out_dir)
    print_result(result, out_dir)
    return EXIT[result.verdict]


def _demo(options):
    from hil import demo

    return EXIT[demo.run(Path(options.out)).verdict]


def print_result(result, out_dir):
    """The checks as a table, the figures behind them, and where the report is."""
    from hil.report.terminal import checks_table, figures

    print(f"{result.scenario['title']}")
    print(
        f"target {result.target}, seed {result.seed}, {result.duration_s:g} s simulated at "
        f"{result.metrics['sim_speed']:g} x real time, firmware {result.firmware}"
    )
    print()
    print(checks_table(result.checks))
    print()
    print(figures(result))
    print(f"\n{result.verdict}   report: {out_dir / 'report.html'}")

# SPDX-License-Identifier: MIT
"""The bench's command line: `python -m hil run|demo ...`.

Exit status: 0 PASS, 1 FAIL, 2 usage or bad input (one line), 3 INCONCLUSIVE (repeat it).
"""

import argparse
import json
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from hil.scenarios.check import BadInput

EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}
BAD_INPUT = 2
SCENARIOS = Path(__file__).parent / "scenarios"
TARGET_HELP = """\
targets:
  virtual      the firmware in this process, in virtual time: fast, repeatable
  micropython  the same files in a real MicroPython interpreter, in lock-step
               with virtual time; with --clock wall over ptys, in real time
  board        a board on real serial ports, a --port for each of the scenario's
"""
EXIT_HELP = """\
exit status:
  0  PASS, every check holds
  1  FAIL, at least one does not
  2  bad input, or the target cannot run: one line on stderr says what and where
  3  INCONCLUSIVE, nothing was proved: no checks, a host too slow, Ctrl-C
"""
HELP_END = f"""\
examples:
  python -m hil demo
  python -m hil run bus_depot
  python -m hil run evening --target micropython --seed 8 --out build/evening8

python -m hil COMMAND --help explains a command.

{EXIT_HELP}"""
RUN_HELP_END = f"""\
{TARGET_HELP}
examples:
  python -m hil run bus_depot
  python -m hil run evening --load-csv my_house.csv --out build/my_house
  python -m hil run meter_cut --target micropython --clock wall
  python -m hil run mine.toml --target board --port uart0=/dev/ttyUSB0

what it writes into DIR:
  report.html    opens in any browser, needs no network
  summary.json   verdict, metrics and checks, for machines; junit.xml for CI
  trace.csv      truth and the controller's view over time; events.jsonl

{EXIT_HELP}"""


def main(arguments=None):
    try:
        options = _parser().parse_args(arguments)
        status = options.command(options)
        sys.stdout.flush()  # here, where a reader that has gone is no traceback
        return status
    except KeyboardInterrupt:
        print("hil: stopped; nothing was judged", file=sys.stderr)
        return EXIT["INCONCLUSIVE"]
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to print goes nowhere
        print("hil: nobody reads the output any more", file=sys.stderr)
        return EXIT["INCONCLUSIVE"]
    except _controller_stopped() as error:
        print(f"hil: {error}", file=sys.stderr)
        return EXIT["FAIL"]
    except (BadInput, _target_error(), _config_error()) as error:
        print(f"hil: {error}", file=sys.stderr)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"hil: {name}{error.strerror or error}", file=sys.stderr)
    return BAD_INPUT


def _controller_stopped():
    from hil.targets.firmware import ControllerStopped

    return ControllerStopped


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
        description="Firmline's bench: run the controller against an emulated site and judge it\n"
        "on the truth at the point of common coupling.",
        epilog=HELP_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run one scenario and judge it",
        description="Run one scenario, print its checks, write a report.",
        epilog=RUN_HELP_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    run.add_argument("--seed", type=_whole, metavar="N", help="replace the scenario's seed")
    _add_target(run)
    run.add_argument(
        "--out",
        metavar="DIR",
        help="folder for the report (default build/NAME, NAME being scenario.name)",
    )
    run.set_defaults(command=_run)
    demo = commands.add_parser(
        "demo",
        help="a recorded evening on real MicroPython; prints it",
        description="Ninety minutes of a recorded evening, run by the firmware in a real\n"
        "MicroPython: what happened, and what was measured.",
        epilog=EXIT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument(
        "--out",
        metavar="DIR",
        default="build/demo",
        help="folder for the report (default %(default)s)",
    )
    demo.set_defaults(command=_demo)
    _add_conformance(commands)
    _add_campaign(commands)
    return parser


def _add_conformance(commands):
    from hil.conformance.profiles import DEFAULT, PROFILES

    suite = commands.add_parser(
        "conformance",
        help="every scenario, judged by one profile",
        epilog=f"{TARGET_HELP}\n{EXIT_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    suite.add_argument(
        "--profile",
        choices=sorted(PROFILES),
        default=DEFAULT,
        help="how long truth may be beyond the limit; shaped after public sources, no conformity "
        "claimed (default %(default)s)",
    )
    suite.add_argument(
        "--select", nargs="+", default=[], metavar="TC-...", help="only checks that begin so"
    )
    _add_target(suite)
    suite.add_argument("--out", metavar="DIR", default="build/conformance")
    suite.set_defaults(command=_conformance)


def _add_campaign(commands):
    campaign = commands.add_parser("campaign", help="many randomised scenario x fault runs")
    campaign.add_argument("--runs", type=_positive, required=True, metavar="N", help="how many")
    campaign.add_argument("--seed", type=_whole, default=1, metavar="S", help="default 1")
    campaign.add_argument(
        "--shard", default="1/1", metavar="i/n", help="only every n-th run, from the i-th"
    )
    campaign.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler, tcp://host:port")
    campaign.add_argument("--out", metavar="DIR", default="build/campaign")
    campaign.set_defaults(command=_campaign)


def _whole(text):
    if not re.fullmatch(r"-?[0-9]+", text):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 0")
    return int(text)


def _positive(text):
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1")
    return number


def _add_target(parser):
    parser.add_argument(
        "--target",
        choices=("virtual", "micropython", "board"),
        default="virtual",
        help="what runs the firmware (default %(default)s)",
    )
    parser.add_argument(
        "--clock",
        choices=("lockstep", "wall"),
        default="lockstep",
        help="for --target micropython: virtual time or real time (default lockstep)",
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
    if path.is_file() or path.suffix == ".toml":
        return path
    packaged = SCENARIOS / f"{name}.toml"
    if packaged.is_file():
        return packaged
    if path.exists():  # a folder: reading it will say so
        return path
    known = ", ".join(sorted(p.stem for p in SCENARIOS.glob("*.toml")))
    raise BadInput(f"scenario {name}: no such file; expected a path or one of {known}")


def target_class(options):
    """The class named by --target and --clock, with --port bound in."""
    from hil.targets import stepped

    if options.clock == "wall" and options.target != "micropython":
        raise BadInput(f"--clock wall: expected with --target micropython, not {options.target}")
    if options.port and options.target != "board":
        text = f"--port {options.port[0]}: expected with --target board, not {options.target}"
        raise BadInput(text)
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
        if name in ports:
            raise BadInput(f"--port {text}: expected once, {name} is {ports[name]} already")
        ports[name] = device
    return lambda world, wires, config: wall.BoardTarget(world, wires, config, ports)


def execute(scenario, target, out_dir):
    """Run a loaded scenario on a target class with a progress bar; write and return the result."""
    from hil.bench import Bench

    check_out(out_dir)
    check_config(scenario)
    with tempfile.TemporaryDirectory() as work_dir:
        bench = Bench(scenario, target, work_dir)
        with progress_bar(f"{scenario.name} on {bench.target.name}") as progress:
            result = bench.run(progress)
    _write(result, Path(out_dir))
    return result


def check_config(scenario):
    """Refuse what the firmware's own validator refuses, in the words of the scenario file."""
    from hil.scenarios.load import build_config

    refused = _config_error()
    from firmline.services.config import load
    from firmline.services.config_fields import shown

    try:
        load(json.dumps(build_config(scenario)))
    except refused as error:
        field, accepted = (
            re.sub(r"\b(device|bus)e?s(?=\[|$)", r"\1", text)
            for text in (error.field, error.accepted)
        )
        text = f"{scenario.path}: {field} = {shown(error.value)}: expected {accepted}"
        raise BadInput(text) from None


def check_out(out_dir):
    """Refuse, before anything runs, a folder that a report cannot be written to."""
    folder = _existing(Path(out_dir))
    if not folder.is_dir():
        raise BadInput(f"--out {out_dir}: {folder} is a file: expected a folder")
    try:
        tempfile.TemporaryDirectory(dir=folder).cleanup()
    except OSError as error:
        reason = f"{folder} cannot be written to: {error.strerror}"
        raise BadInput(f"--out {out_dir}: {reason}: expected a folder of yours") from None


def _existing(folder):
    """`folder`, or the closest one above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _write(result, out_dir):
    """All files of the report or none: written elsewhere first, summary.json moved in last."""
    from hil.report.files import write_run

    with tempfile.TemporaryDirectory(dir=_existing(out_dir)) as staging:
        write_run(result, staging)
        out_dir.mkdir(parents=True, exist_ok=True)
        files = sorted(Path(staging).iterdir(), key=lambda file: file.name == "summary.json")
        for file in files:
            os.replace(file, out_dir / file.name)


@contextmanager
def progress_bar(title):
    """A function taking the fraction done; a bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    percent, left = TextColumn("{task.percentage:3.0f} %"), TextColumn("left")
    columns = (TextColumn(title), BarColumn(24), percent, TimeRemainingColumn(), left)
    with Progress(*columns, console=Console(stderr=True)) as bar:
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


def _conformance(options):
    from hil.conformance import suite

    scenarios = suite.selected(SCENARIOS, options.profile, options.select)
    target = target_class(options)
    results = suite.run(scenarios, lambda s, folder: execute(s, target, folder), options.out)
    for name, result in results:
        failed = [check["id"] for check in result.checks if check["verdict"] != "PASS"]
        text = " ".join(failed) or f"{len(result.checks)} checks"
        print(f"{result.verdict:12}  {name:20}  {text}")
    verdict = suite.verdict(results)
    print(f"\n{verdict}   profile {options.profile}; reports: {options.out}/*/report.html")
    return EXIT[verdict]


def _campaign(options):
    from hil.campaign import runs

    check_out(options.out)
    chosen = runs.numbers(options.runs, options.shard)
    with progress_bar(f"{len(chosen)} runs of seed {options.seed}") as progress:
        rows = runs.run(SCENARIOS, options.seed, chosen, options.dask, progress)
    summary = runs.write(rows, options.seed, options.out)
    print(f"{summary['passed']} of {summary['runs']} passed; each run: {options.out}/campaign.csv")
    for name, value in summary["worst"].items():
        print(f"  worst {name}: {value}")
    if summary["failed"]:
        print(f"FAIL   runs {summary['failed']}; the same seed gives the same runs")
    return EXIT["FAIL" if summary["failed"] else "PASS"]


def print_result(result, out_dir):
    """The checks as a table, the figures behind them, and where the report is."""
    from hil.report.terminal import checks_table, figures, verdict_line

    print(f"{result.scenario['title']}")
    print(
        f"target {result.target}, seed {result.seed}, firmware {result.firmware}; "
        f"{result.duration_s:g} s at {result.metrics['sim_speed']:g} x real time"
    )
    print()
    print(checks_table(result.checks))
    print()
    print(figures(result))
    print(f"\n{verdict_line(result)}\nreport: {out_dir / 'report.html'}")

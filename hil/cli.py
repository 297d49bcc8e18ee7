# SPDX-License-Identifier: MIT
"""The bench's command line: `python -m hil run|demo ...`.

Exit status: 0 PASS, 1 FAIL, 2 usage or bad input (one line), 3 INCONCLUSIVE (repeat it).
"""

import json
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from hil.options import SCENARIOS, parser
from hil.scenarios.check import BadInput

EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}
BAD_INPUT = 2


def main(arguments=None):
    try:
        options = parser(HANDLERS).parse_args(arguments)
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
    if options.target == "pico":
        from hil.targets.pico.target import PicoTarget

        return PicoTarget
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


HANDLERS = {"run": _run, "demo": _demo, "conformance": _conformance, "campaign": _campaign}

# SPDX-License-Identifier: MIT
"""The bench's command line: `python -m hil run|demo ...`.

Exit status: 0 PASS, 1 FAIL, 2 usage or bad input (one line), 3 INCONCLUSIVE (repeat it).
"""

import os
import sys
from pathlib import Path

from hil.execute import check_out, execute, progress_bar
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

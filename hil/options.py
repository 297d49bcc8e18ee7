# SPDX-License-Identifier: MIT
"""What the bench's command line accepts, and what it says when asked for help."""

import argparse
import re
from pathlib import Path

SCENARIOS = Path(__file__).parent / "scenarios"
TARGET_HELP = """\
targets:
  virtual      the firmware in this process, in virtual time: fast, repeatable
  micropython  the same files in a real MicroPython interpreter, in lock-step
               with virtual time; with --clock wall over ptys, in real time
  pico         MicroPython on an emulated RP2040 (docs/pico-target.md)
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


def parser(handlers):
    """The argument parser; `handlers`: command name -> function of the parsed options."""
    top = argparse.ArgumentParser(
        prog="python -m hil",
        description="Firmline's bench: run the controller against an emulated site and judge it\n"
        "on the truth at the point of common coupling.",
        epilog=HELP_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="name", required=True, metavar="COMMAND")
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
    _add_conformance(commands)
    _add_campaign(commands)
    for name, command in commands.choices.items():
        command.set_defaults(command=handlers[name])
    return top


def _add_conformance(commands):
    from hil.conformance.profiles import DEFAULT, PROFILES

    suite = commands.add_parser(
        "conformance",
        help="every scenario but quiet_day, judged by one profile",
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


def _add_campaign(commands):
    campaign = commands.add_parser("campaign", help="many randomised scenario x fault runs")
    campaign.add_argument("--runs", type=_positive, required=True, metavar="N", help="how many")
    campaign.add_argument("--seed", type=_whole, default=1, metavar="S", help="default 1")
    campaign.add_argument(
        "--shard", default="1/1", metavar="i/n", help="only every n-th run, from the i-th"
    )
    campaign.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler, tcp://host:port")
    campaign.add_argument("--out", metavar="DIR", default="build/campaign")


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
        choices=("virtual", "micropython", "pico", "board"),
        default="virtual",
        metavar="TARGET",
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

# SPDX-License-Identifier: MIT
"""`firmline monitor`: watch a controller, live, through pulled cables.

On a terminal a view that is redrawn; in a pipe one line a reading. Never writes to the
controller.
"""

import contextlib
import csv
import math
import sys
import time
from datetime import UTC, datetime

from host_tools import options, reading
from host_tools.errors import DONE, FAILED, BadInput
from host_tools.session import Session

_REFRESH_S = 0.5
_EXAMPLES = """\
  firmline monitor                           the one board on USB; Ctrl-C ends it
  firmline monitor --rtu /dev/ttyUSB0
  firmline monitor --csv day.csv --interval 1
        every reading into a file as well; it is complete up to the last line at any time
  firmline monitor --once                    one reading, as lines
  firmline monitor --duration 60 | cat       lines instead of a view, for a minute

When the cable is pulled it says so, and goes on when it is back."""


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "monitor",
        "watch a controller live",
        "Mode, power at the PCC against the limit in force, each device, head-end, counters;\n"
        "twice a second.",
        _EXAMPLES,
    )
    parser.add_argument("--once", action="store_true", help="one reading, then end")
    parser.add_argument(
        "--duration", type=options.seconds(0.1, 1e7), metavar="S", help="end after this time"
    )
    parser.add_argument(
        "--interval",
        type=options.seconds(0.1, 3600),
        default=_REFRESH_S,
        metavar="S",
        help="time between two readings (default %(default)g)",
    )
    parser.add_argument("--csv", metavar="FILE", help="write each reading into FILE as well")
    options.add_connection(parser)
    options.add_json(parser, "print one JSON object a reading")


def run(arguments):
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(Session(arguments))
        recorder = None
        if arguments.csv:  # only now: without a controller an old file stays what it is
            recorder = stack.enter_context(Recorder(arguments.csv, session))
        view = stack.enter_context(_view(arguments, session))
        return _watch(arguments, session, view, recorder)


def _watch(arguments, session, view, recorder):
    """Until the time is over or Ctrl-C; FAILED when the controller was gone at the end."""
    start_s = time.monotonic()
    try:
        while True:
            now = session.read()
            if recorder is not None:
                recorder.add(now)
            view.show(now)
            past_s = time.monotonic() - start_s
            if arguments.once or past_s >= (arguments.duration or math.inf):
                break
            count = int(past_s / arguments.interval) + 1  # where it was late: no burst after it
            wait_s = min(count * arguments.interval, arguments.duration or math.inf) - past_s
            time.sleep(max(0.0, wait_s))
    except KeyboardInterrupt:
        pass  # noqa: S110 - the usual way to end it
    return FAILED if session.trouble else DONE


def _view(arguments, session):
    from host_tools.monitor_view import JsonLines, Lines, Live, Once

    if arguments.json:
        return JsonLines(session)
    if arguments.once:
        return Once(session)
    return Live(session) if sys.stdout.isatty() else Lines(session)


class Recorder:
    """A CSV file of readings, flushed line by line. BadInput where FILE cannot be written."""

    def __init__(self, path, session):
        try:
            self._file = open(path, "w", newline="", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"--csv {path}: cannot be written: {error.strerror}") from None
        self._writer = csv.writer(self._file, lineterminator="\n")
        names = [row[0] for row in reading.resources_of(session.config_text)]
        first = session.read()
        if first is not None:
            names = [row["name"] for row in first["resources"]]
        columns = ["time_utc", "uptime_s", "mode", "stage", "head_end", "pcc_w", "meter_age_ms"]
        columns += ["import_limit_w", "import_binding", "export_limit_w", "export_binding"]
        columns += ["l1_a", "l2_a", "l3_a"]
        for name in names:
            columns += [f"{name}_command_w", f"{name}_power_w"]
        self._columns = len(columns)
        self._put(columns)

    def add(self, now):
        """One row; empty but for its time while the controller is gone."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = [stamp.replace("+00:00", "Z")]
        if now is not None:
            limits, pcc = now["limits"], now["pcc"]
            row += [now["counters"]["uptime_s"], now["mode"], now["stage"], now["head_end"]]
            row += [pcc["w"], pcc["age_ms"], limits["import_w"], limits["binding_import"]]
            row += [limits["export_w"], limits["binding_export"]]
            row += (pcc["l_a"] + [None, None])[:3]
            for resource in now["resources"]:
                row += [resource["command_w"], resource["power_w"]]
        row += [None] * (self._columns - len(row))
        self._put(row)

    def _put(self, row):
        self._writer.writerow(row)
        self._file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

# SPDX-License-Identifier: MIT
"""`firmline log`: the controller's events, decoded."""

import csv
import io
import json
import struct
from datetime import datetime, timedelta

from host_tools import names, options, reading
from host_tools.device import EVENTS, open_device
from host_tools.errors import DONE, ToolError
from host_tools.progress import bar
from host_tools.written import check_writable, write_whole

EVENT = struct.Struct(">IIHHi")  # sequence, s since start, boot, code, value: services/files.py
EARLIER = 0xFFFFFFFF  # as a sequence: of an earlier start
_COLUMNS = ("sequence", "boot", "uptime_s", "time", "event", "value", "text")
_ATTEMPTS = 3
_EXAMPLES = """\
  firmline log                        all that the controller still has, oldest first
  firmline log --last 20
  firmline log --since 130            from event 130 on
  firmline log --csv events.csv       a table for a spreadsheet
  firmline log --json | jq '.[] | select(.event == "stage")'

The time is that of this computer, reckoned back; events of earlier starts have none."""


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "log",
        "the events, decoded",
        "Starts, changes of mode, escalation, limits, head-end, meter, devices; also of earlier\n"
        "starts, as far as the controller keeps them.",
        _EXAMPLES,
    )
    parser.add_argument(
        "--since",
        type=options.whole(0, 1 << 31),
        default=0,
        metavar="N",
        help="from event number N of the present start on",
    )
    parser.add_argument(
        "--last", type=options.whole(1, 1 << 31), metavar="N", help="only the last N events"
    )
    parser.add_argument("--csv", metavar="FILE", help="write a CSV file instead of printing")
    options.add_connection(parser)
    options.add_json(parser)


def run(arguments):
    if arguments.csv:
        check_writable(arguments.csv, "--csv")
    with open_device(arguments) as device, bar("reading the log") as progress:
        events = read(device, progress)
    if arguments.since:
        events = [event for event in events if (event["sequence"] or 0) >= arguments.since]
    events = events[-(arguments.last or 0) :]
    if arguments.csv:
        write_whole(arguments.csv, as_csv(events))
        if arguments.json:
            print(json.dumps({"file": arguments.csv, "events": len(events)}))
        else:
            print(f"{len(events)} events in {arguments.csv}")
    elif arguments.json:
        print(json.dumps(events, indent=1))
    else:
        for line in lines(events):
            print(line)
    return DONE


def read(device, progress=None):
    """The events as dicts with _COLUMNS, oldest first. It is read again where the ring moved on
    in between."""
    resources = [row[0] for row in reading.resources_of(device.config())]
    for _ in range(_ATTEMPTS):
        data = device.read_file(EVENTS, progress)
        points = device.points()
        if _is_steady(data):
            break
    else:
        raise ToolError("the log changed while it was read, three times: try again")
    return decode(data, points, datetime.now().astimezone(), resources)


def decode(data, points, now, resources):
    """Bytes of file 3 as dicts; sequence and time are None for those of earlier starts. points:
    uptime_s as it was at `now`."""
    return [_event(row, points, now, resources) for row in EVENT.iter_unpack(data)]


def _is_steady(data):
    """Whole events: those of earlier starts, then of this one, each number once, ascending."""
    if len(data) % EVENT.size:
        return False
    numbers = [row[0] for row in EVENT.iter_unpack(data)]
    present = [number for number in numbers if number != EARLIER]
    if numbers != [EARLIER] * (len(numbers) - len(present)) + present:
        return False
    return all(after == before + 1 for before, after in zip(present, present[1:], strict=False))


def _event(row, points, now, resources):
    sequence, uptime_s, boot, code, value = row
    name = names.of(names.EVENTS, code)
    stamp = None
    if sequence == EARLIER:
        sequence = None
    else:
        ago = timedelta(seconds=points["uptime_s"] - uptime_s)
        stamp = (now - ago).isoformat(timespec="seconds")
    text = names.event_text(name, value, resources)
    return dict(zip(_COLUMNS, (sequence, boot, uptime_s, stamp, name, value, text), strict=True))


def lines(events):
    if not events:
        yield "no events"
        return
    yield f"{'event':>7} {'start':>6} {'after':>12}  {'time':19}  what"
    for event in events:
        stamp = (event["time"] or "")[:19].replace("T", " ")
        after = reading.lasting(event["uptime_s"])
        what = event["event"].replace("_", " ")
        text = f"{what}: {event['text']}" if event["text"] else what
        number = "-" if event["sequence"] is None else event["sequence"]
        yield f"{number:>7} {event['boot']:>6} {after:>12}  {stamp:19}  {text}"


def as_csv(events):
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(events)
    return stream.getvalue()

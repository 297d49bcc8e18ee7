# SPDX-License-Identifier: MIT
"""`firmline report`: one HTML file about one controller, for whoever was not there.

Everything that is shown is also in the file as data, with a SHA-256 over it; `--verify` reckons
it again. That shows a change by mistake or in a hurry, not one by somebody who reckons the sum
anew: keep the sum elsewhere too.
"""

import html
import json
import re
from datetime import UTC, datetime

from firmline.version import VERSION
from host_tools import log, options, reading
from host_tools.config import hashes
from host_tools.config_check import read_text
from host_tools.device import CONFIG, RECORD, json_of, open_device
from host_tools.errors import DONE, BadInput, ToolError
from host_tools.masking import masked
from host_tools.progress import bar
from host_tools.record import digest
from host_tools.written import check_writable, write_whole

_FORMAT = 1
_DATA = re.compile(r'<script type="application/json" id="content">(.*?)</script>', re.DOTALL)
_EXAMPLES = """\
  firmline report                             firmline-report.html, from the board on USB
  firmline report --out depot.html --save depot.json
  firmline report --from depot.json --out depot.html    later, without the controller
  firmline report --verify depot.html         does the content still have its SHA-256?

The file opens in any browser, needs no network and no script."""


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "report",
        "one HTML file about a controller",
        "Identity, configuration and its hash, limits, excursions and events, commissioning\n"
        "record, with a SHA-256 of the content.",
        _EXAMPLES,
    )
    parser.add_argument(
        "--out", metavar="FILE", default="firmline-report.html", help="default %(default)s"
    )
    parser.add_argument("--save", metavar="FILE", help="write what was read as JSON too")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--from", dest="saved", metavar="FILE", help="from what --save wrote")
    source.add_argument("--verify", metavar="FILE", help="check a report or what --save wrote")
    options.add_connection(parser)
    options.add_json(parser)


def run(arguments):
    if arguments.verify:
        return _verify(arguments)
    for option, path in (("--out", arguments.out), ("--save", arguments.save)):
        if path:
            check_writable(path, option)
    content = load(arguments.saved) if arguments.saved else gather(arguments)
    if arguments.save:
        write_whole(arguments.save, json.dumps(content, indent=1) + "\n")
    from host_tools.report_page import page

    write_whole(arguments.out, page(content))
    if arguments.json:
        print(json.dumps({"file": arguments.out, "sha256": content["sha256"]}))
    else:
        print(f"{arguments.out}   SHA-256 of the content {content['sha256']}")
    return DONE


def gather(arguments):
    """All of a report, read from the controller, as a dict with its `sha256`."""
    with open_device(arguments) as device, bar("reading the controller") as progress:
        step = progress or (lambda fraction: None)
        data = device.read_file(CONFIG)
        step(0.3)
        details = device.details()
        step(0.4)
        record = device.read_file(RECORD)
        step(0.6)
        events = log.read(device)
        step(0.9)
        text = data.decode("utf-8", "replace")
        content = {
            "format": _FORMAT,
            "time_utc": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "tool": f"firmline {VERSION}",
            "device": device.as_json() | {"details": details},
            "configuration": hashes(data)
            | {"generation": details.get("config_generation", 0), "text": masked(text)},
            "reading": reading.take(device, text),
            "events": events,
            "record": json_of(record, "record") if record else None,
        }
        step(1.0)
    return content | {"sha256": digest(content)}


def load(path):
    """What --save wrote; BadInput for anything else, or where the sum is not right."""
    content = _content(path)
    if content.get("sha256") != digest(content):
        raise BadInput(f"{path}: its content does not have its SHA-256 any more")
    return content


def _content(path):
    """The dict in a saved file or in a report."""
    text = read_text(path)
    if path.endswith((".html", ".htm")):
        match = _DATA.search(text)
        text = html.unescape(match[1]) if match else ""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise BadInput(f"{path}: not a report of `firmline report`, or of another version")
    return content


def _verify(arguments):
    content = _content(arguments.verify)
    reckoned = digest(content)
    if content.get("sha256") != reckoned:
        raise ToolError(
            f"{arguments.verify}: changed: it says {content.get('sha256')}, "
            f"its content has {reckoned}",
            is_good=False,
            sha256=reckoned,
        )
    if arguments.verify.endswith((".html", ".htm")):
        from host_tools.report_page import page

        if read_text(arguments.verify) != page(content):  # what is shown is the content
            raise ToolError(
                f"{arguments.verify}: what it shows is not its content (or another "
                "version of firmline wrote it)",
                is_good=False,
                sha256=reckoned,
            )
    if arguments.json:
        print(json.dumps({"is_good": True, "sha256": reckoned}))
    else:
        print(f"{arguments.verify}: unchanged, SHA-256 {reckoned}")
    return DONE


def excursions(events):
    """[(start event, end event or None, worst stage)] of the exceedances in a log."""
    found = []
    current = None
    for event in events:
        if event["event"] == "start" and current:
            found.append((*current[:1], None, current[1]))
            current = None
        if event["event"] != "stage":
            continue
        if event["value"] and current is None:
            current = [event, event["value"], event["text"]]
        elif event["value"]:
            if event["value"] > current[1]:
                current[1:] = event["value"], event["text"]
        elif current is not None:
            found.append((current[0], event, current[1]))
            current = None
    if current is not None:
        found.append((current[0], None, current[1]))
    return found


def logged(events):
    """[(event, {name: value})] of the excursions that the controller has summed up: an event
    `excursion` (s) and what follows it: peak W, energy Wh, limit. Negative: export."""
    found = []
    for event in events:
        name = event["event"]
        if name == "excursion":
            found.append((event, {name: event["value"]}))
        elif name.startswith("excursion_") and found:
            found[-1][1].setdefault(name, event["value"])
    return found

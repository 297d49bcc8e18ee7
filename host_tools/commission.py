# SPDX-License-Identifier: MIT
"""`firmline commission`: set a controller up, check what hangs on it, and leave a record.

First the settings, refused by the firmware's own validator where they cannot be; then, on the
running installation, the meter and its sign, each device, the head-end. The record is saved here
and on the controller.
"""

import contextlib
import json
import os
import sys
import zlib

from host_tools import config_check, options, record
from host_tools.config import (
    MOST_BYTES,
    confirm_in_force,
    difference,
    send,
    wait_restarted,
)
from host_tools.connection import CableGone, NoAnswer
from host_tools.device import CONFIG, RECORD, open_device
from host_tools.errors import DONE, FAILED, BadInput, ToolError
from host_tools.live_checks import SIGN_S, LiveChecks, check
from host_tools.progress import bar, confirm
from host_tools.written import check_writable

_FOLDER = "commissioning"
# key of an answers file -> what it takes
_ANSWERS = {
    "configuration": dict,
    "sign_load_w": int,
    "sign_wait_s": int,
    "skip_live_sign": str,
    "skip_head_end": str,
    "installer": str,
    "note": str,
}
_EXAMPLES = """\
  firmline commission                        guided: asks for the site, the limits, the devices
  firmline commission --config site.json     takes a file, asks only for the sign check
  firmline commission --answers site-answers.json --yes
        asks nothing; a JSON object with any of
          "configuration"   a configuration (absent: the one in force)
          "sign_load_w"     a load that somebody switches on within "sign_wait_s" (120)
          "skip_live_sign"  instead of that: why not, for the record
          "skip_head_end"   why the head-end is not checked, for the record
          "installer", "note"  for the record
  firmline commission --skip-live-sign       nobody can switch a load now; the record says so

The record is written into --out and onto the controller. Exit status 1 if a check failed."""


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "commission",
        "set it up, check each device, keep a record",
        "Set the site, its limits and its devices; check the meter and its sign, each device and\n"
        "the head-end on the running installation; keep a record with a hash.",
        _EXAMPLES,
    )
    parser.add_argument("--config", metavar="FILE", help="take this configuration, ask for none")
    parser.add_argument("--answers", metavar="FILE", help="take the answers from a JSON file")
    parser.add_argument("--yes", action="store_true", help="do not ask before changing")
    parser.add_argument(
        "--skip-live-sign", action="store_true", help="no sign check; the record says so"
    )
    parser.add_argument(
        "--out", metavar="DIR", default=_FOLDER, help="for the record (default %(default)s)"
    )
    options.add_connection(parser)
    options.add_json(parser)


def run(arguments):
    if arguments.config:  # before anything is asked
        config_check.check(arguments.config, config_check.read_text(arguments.config))
    answers = _answers(arguments)
    is_there = os.path.isdir(arguments.out)
    check_writable(f"{arguments.out}/x" if is_there else arguments.out, "--out")
    with contextlib.ExitStack() as stack:
        device = stack.enter_context(open_device(arguments))
        before = device.read_file(CONFIG)
        data = _wanted(arguments, answers, before, device.identity.model)
        device.check_unlocked()  # the record is written too
        if data != before:
            device = _put(arguments, stack, device, before, data)
        try:
            result = _check_all(arguments, answers, device, data)
        except (CableGone, NoAnswer) as error:
            text = "commissioning is not finished and left no record: run it again"
            raise ToolError(f"{error}: {text}") from None
        return _keep(arguments, device, result)


# --- answers and questions ---


def _answers(arguments):
    """The answers file as a dict, {} without one. BadInput for anything it does not know."""
    if arguments.answers is None:
        return _fit(arguments, {})
    text = config_check.read_text(arguments.answers)
    try:
        answers = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{arguments.answers}: not JSON: {error}") from None
    if not isinstance(answers, dict):
        raise BadInput(f"{arguments.answers}: expected one JSON object")
    words = {dict: "an object", int: "a whole number from 1", str: "a text"}
    for key, value in answers.items():
        if key not in _ANSWERS:
            known = ", ".join(_ANSWERS)
            raise BadInput(f"{arguments.answers}: {key}: expected one of {known}")
        is_good = type(value) is _ANSWERS[key] and (_ANSWERS[key] is not int or value > 0)
        if not is_good:
            accepted = words[_ANSWERS[key]]
            raise BadInput(f"{arguments.answers}: {key} = {value!r}: accepted is {accepted}")
    return _fit(arguments, answers)


def _fit(arguments, answers):
    """`answers`, once they and the options go together and nothing will have to be asked where
    nobody is."""
    is_covered = arguments.skip_live_sign or {"sign_load_w", "skip_live_sign"} & set(answers)
    if not sys.stdin.isatty() and not is_covered:
        raise BadInput(
            "nobody can be asked here about the sign of the meter: give sign_load_w in --answers, "
            "or --skip-live-sign"
        )
    if arguments.config and "configuration" in answers:
        raise BadInput("--config: the answers have a configuration too: expected one of the two")
    return answers


def _wanted(arguments, answers, before, board):
    """The configuration to put into force on a `board`, as bytes."""
    if arguments.config:
        text, name = config_check.read_text(arguments.config), arguments.config
    elif "configuration" in answers:
        text, name = json.dumps(answers["configuration"], indent=1), arguments.answers
    elif arguments.answers or not sys.stdin.isatty():
        if not before:
            raise BadInput("no configuration is in force and none is given: --config FILE")
        text, name = before.decode("utf-8", "replace"), "the configuration in force"
    else:
        with _aside(arguments):
            text, name = _dialogue(before), "the answers"
    config_check.check(name, text, board)
    if len(text.encode()) > MOST_BYTES:
        raise BadInput(f"{name}: {len(text.encode())} bytes: accepted are at most {MOST_BYTES}")
    return text.encode()


def _aside(arguments):
    """Questions go where a program does not read."""
    return contextlib.redirect_stdout(sys.stderr if arguments.json else sys.stdout)


def _dialogue(before):
    from host_tools.questions import Dialogue

    try:
        given = json.loads(before)
    except ValueError:
        given = {}
    dialogue = Dialogue(input, print)
    if given and not config_check.faults(before.decode("utf-8", "replace")):
        name = given["site"].get("name", "site")
        if dialogue.yes(f"{name!r} is in force. Check it as it is, without changes?", True):
            return before.decode()
    return json.dumps(dialogue.configuration(given), indent=1)


# --- the change ---


def _put(arguments, stack, device, before, data):
    """The controller once `data` is in force; ToolError if the person does not want it."""
    if not arguments.json:
        sys.stdout.writelines(difference(before, data, "wanted"))
    if not confirm(f"Put this into force on {device.identity.where}?", arguments):
        raise ToolError("nothing was changed")
    boots = send(device, data)
    device.connection.close()
    connection, device = wait_restarted(arguments, boots)
    stack.enter_context(connection)
    confirm_in_force(device, data)
    return device


# --- the checks ---


def _check_all(arguments, answers, device, data):
    """(record, its lines are printed as they come)."""
    from firmline.services.config import load

    config = load(data.decode())
    live = LiveChecks(device, config)
    rows = []

    def note(row):
        rows.append(row)
        if not arguments.json:
            print("\n".join(record.check_lines(row)), flush=True)

    note(live.configuration(data))
    with bar("waiting for the devices") as progress:
        devices = list(live.devices(progress))
    with bar("reading the meter") as progress:
        meter = list(live.meter(progress))
    for row in meter:
        note(row)
    if meter[0]["verdict"] == "PASS":
        note(_sign(arguments, answers, live))
    for row in devices:
        note(row)
    with bar("waiting for a heartbeat"):
        note(live.head_end(arguments.rtu is not None, answers.get("skip_head_end", "")))
    for row in live.limits():
        note(row)
    notes = [f"{key}: {answers[key]}" for key in ("installer", "note") if key in answers]
    return record.build(device.as_json(), device.details(), data, config, rows, notes)


def _sign(arguments, answers, live):
    reason = answers.get("skip_live_sign")
    if arguments.skip_live_sign:
        reason = reason or "skipped with --skip-live-sign"
    if reason:
        text = "a known load raises the import"
        return check("meter.sign", text, "a rise", "not checked", None, reason)
    load_w, wait_s = answers.get("sign_load_w"), answers.get("sign_wait_s", SIGN_S)
    if load_w is None:
        with _aside(arguments):
            load_w = _ask_load()
    with bar("waiting until the site rests"):
        base_w = live.steady_w(load_w)
    print(f"Switch the load of {load_w} W on, within {wait_s:g} s.", file=sys.stderr, flush=True)
    with bar("waiting for the load") as progress:
        return live.sign(base_w, load_w, wait_s, progress)


def _ask_load():
    """W of a load that the person can switch on."""
    print("Sign of the meter: take a load that you know and that is off, such as a kettle.")
    while True:
        text = input("  its power, W (300 or more): ").strip()
        if text.isdecimal() and 300 <= int(text) <= 1_000_000:
            return int(text)
        print(f"  {text or 'nothing'}: accepted is a whole number from 300")


# --- the record ---


def _keep(arguments, device, result):
    path = record.save(result, arguments.out)
    data = json.dumps(result, separators=(",", ":")).encode()
    try:
        with bar("saving the record") as progress:
            device.write_file(RECORD, data, progress)
        device.commit(RECORD, data)
        if device.details().get("record_crc32") != zlib.crc32(data):
            raise ToolError("what it keeps has another CRC-32")
    except ToolError as error:
        text = f"the record is not on the controller: {error}: it is in {path}.json"
        raise ToolError(text, record=result) from None
    verdicts = [row["verdict"] for row in result["checks"]]
    failed = verdicts.count("FAIL")
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        counts = f"{verdicts.count('PASS')} checks hold, {failed} fail"
        print(f"\n{result['verdict']}: {counts}, {verdicts.count('N-A')} not checked")
        print(f"record: {path}.txt and .json, and on the controller")
        print(f"SHA-256 {result['sha256']}")
    return FAILED if failed else DONE

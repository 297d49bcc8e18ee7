# SPDX-License-Identifier: MIT
"""`firmline envelope push`: give the controller a limit for a while, and see it in force.

The tool then acts as the head-end: it writes the heartbeat first, because the controller takes
limits only from a head-end that is alive.
"""

import json
import sys
import time

from firmline.services.headend import MAX_DURATION_S, MAX_LIMIT_W, NONE
from host_tools import options, reading
from host_tools.connection import Refused
from host_tools.device import open_device
from host_tools.errors import DONE, FAILED, BadInput, ToolError

_BEAT_S = 5.0  # of --hold where the controller's own timeout is not known
_SIDES = ("import", "export")
_SETTLE_S = 3.0  # a control cycle or two, also on a busy chip
_EXAMPLES = """\
  firmline envelope push --import-w 12000 --duration-s 600
        at most 12 kW import for ten minutes
  firmline envelope push --import-w 25000 --export-w 5000 --duration-s 900 --hold
        more than firm: needs a head-end that stays, so keep the heartbeat going
  firmline envelope push --emergency --import-w 0 --duration-s 60
        nothing from the grid for a minute; can only be tightened until it ends
  firmline envelope push --clear
        back to the firm limits now

A limit looser than firm ends when the heartbeat stops (head_end.timeout_s of the configuration).
No limit passes the setting ceiling. Writing replaces both dynamic limits."""


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "envelope",
        "push a limit, and see it in force",
        "Give the controller an operating envelope: a limit of import, export or both for a time.",
        _EXAMPLES,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    push = options.add_command(
        actions,
        "push",
        "write a limit and confirm it",
        "Write a limit, read back what is in force, print old -> new.",
        _EXAMPLES,
    )
    watts = options.whole(0, MAX_LIMIT_W)
    push.add_argument("--import-w", type=watts, metavar="W", help="most import at the PCC")
    push.add_argument("--export-w", type=watts, metavar="W", help="most export at the PCC, >= 0")
    push.add_argument(
        "--duration-s",
        type=options.whole(1, MAX_DURATION_S),
        metavar="S",
        help=f"how long it holds, 1 to {MAX_DURATION_S}",
    )
    push.add_argument("--emergency", action="store_true", help="overrides all; only tightens")
    push.add_argument("--clear", action="store_true", help="end the dynamic limits now")
    push.add_argument(
        "--hold", action="store_true", help="keep the heartbeat going until the limit ends"
    )
    options.add_connection(push)
    options.add_json(push)


def run(arguments):
    limits = _asked(arguments)
    which = "emergency" if arguments.emergency else "dynamic"
    with open_device(arguments) as device:
        config_text = device.config()
        before = reading.take(device, config_text)
        device.heartbeat(int(time.time()))
        try:
            device.set_limits(which, *limits)
        except Refused as error:
            raise ToolError(_why_refused(error, which, before)) from None
        after = _settled(device, config_text)
        is_met = _is_met(after, limits)
        if not arguments.json:
            for side in _SIDES:
                old, new = reading.limit_text(before, side), reading.limit_text(after, side)
                print(f"{side:7}{old} -> {new}")
        _note_other_sources(after, limits)
        ended = None
        if is_met and arguments.hold:
            ended = _hold(device, config_text, which, limits[2])
            line = ", ".join(f"{side} {reading.limit_text(ended, side)}" for side in _SIDES)
            print(f"ended: {line}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(_as_json(before, after, ended, limits, is_met), indent=2))
    return DONE if is_met else FAILED


def _asked(arguments):
    """(import W, export W, duration s) as they are written; BadInput for what makes no sense."""
    given = arguments.import_w is not None or arguments.export_w is not None
    if arguments.clear:
        if arguments.emergency:
            raise BadInput("--clear --emergency: an emergency limit ends by its duration only")
        if given or arguments.duration_s or arguments.hold:
            raise BadInput("--clear: expected alone, it ends both dynamic limits")
        return NONE, NONE, 1
    if not given:
        raise BadInput("no limit given: expected --import-w W, --export-w W or --clear")
    if arguments.duration_s is None:
        raise BadInput(f"--duration-s is missing: expected 1 to {MAX_DURATION_S}, limits expire")
    import_w = NONE if arguments.import_w is None else arguments.import_w
    export_w = NONE if arguments.export_w is None else arguments.export_w
    return import_w, export_w, arguments.duration_s


def _why_refused(error, which, before):
    given = before["emergency"]
    if which == "emergency" and given:
        text = f"import {reading.watts(given['import_w'])}, export "
        text += f"{reading.watts(given['export_w'])} for {given['left_s']} s more"
        return f"refused: an emergency limit is in force ({text}) and can only be tightened"
    return f"refused: {error}"


def _settled(device, config_text):
    """A reading after two more control cycles: what was written has had its effect."""
    give_up_s = time.monotonic() + _SETTLE_S
    first = device.point("cycles")
    while device.point("cycles") < first + 2 and time.monotonic() < give_up_s:
        time.sleep(0.05)
    return reading.take(device, config_text)


def _is_met(now, limits):
    """What was asked for holds: nothing in force is looser. After --clear: nothing is dynamic."""
    if limits[:2] == (NONE, NONE):
        return now["dynamic"] is None and "dynamic" not in (
            now["limits"]["binding_import"],
            now["limits"]["binding_export"],
        )
    in_force = (now["limits"]["import_w"], now["limits"]["export_w"])
    return all(w == NONE or got <= w for w, got in zip(limits, in_force, strict=False))


def _as_json(before, after, ended, limits, is_met):
    asked = {"import_w": limits[0], "export_w": limits[1], "duration_s": limits[2]}
    return {
        "asked": {k: None if v == NONE else v for k, v in asked.items()},
        "before": before["limits"],
        "after": after["limits"],
        "ended": ended and ended["limits"],
        "is_in_force": is_met,
    }


def _note_other_sources(after, limits):
    """Where what is in force is not what was asked for."""
    for side, w in zip(_SIDES, limits, strict=False):
        in_force_w, source = after["limits"][f"{side}_w"], after["limits"][f"binding_{side}"]
        if w != NONE and in_force_w < w:
            text = f"{side}: {reading.watts(w)} was taken, but {source} is stricter"
            print(f"firmline: {text}: {reading.watts(in_force_w)}", file=sys.stderr)
        elif w != NONE and in_force_w > w:
            print(
                f"firmline: {side}: {reading.watts(w)} is not in force: "
                f"{reading.watts(in_force_w)} ({source})",
                file=sys.stderr,
            )


def _hold(device, config_text, which, duration_s):
    """Beat until the limit has ended; the last reading. Ctrl-C ends it earlier."""
    beat_s = _beat_s(config_text)
    end_s = time.monotonic() + duration_s
    print(f"holding: a heartbeat every {beat_s:g} s; Ctrl-C ends it", file=sys.stderr)
    try:
        while time.monotonic() < end_s + 1:
            device.heartbeat(int(time.time()))
            now = reading.take(device, config_text)
            if now[which] is None:
                return now
            time.sleep(max(0.05, min(beat_s, end_s - time.monotonic() + 0.1)))
    except KeyboardInterrupt:
        print(
            "stopped: what is looser than firm ends when the controller misses the heartbeat",
            file=sys.stderr,
        )
    return reading.take(device, config_text)


def _beat_s(config_text):
    try:
        timeout_s = json.loads(config_text)["head_end"].get("timeout_s", 60)
    except (ValueError, KeyError, TypeError, AttributeError):
        return _BEAT_S
    return min(_BEAT_S, timeout_s / 3)

# SPDX-License-Identifier: MIT
"""`firmline config show|set|check`: the configuration of a controller.

`set` goes the safe way only: checked here, staged, read back, committed under its CRC as the next
generation, restarted, and then asked which one is in force. The one before stays on the
controller, and in force if the new one is refused.
"""

import difflib
import hashlib
import json
import sys
import time
import zlib

from firmline.core.mode import SAFE
from host_tools import config_check, masking, options
from host_tools.device import CONFIG, STAGED, json_of, open_device, reopen
from host_tools.errors import DONE, BadInput, ToolError
from host_tools.progress import bar, confirm

RESTART_S = 30.0
_POLL_S = 0.8  # the controller takes half a second to put everything into its safe state
MOST_BYTES = 16384
_EXAMPLES = """\
  firmline config check site.json              every fault, one a line; needs no board
  firmline config check site.json --for pico   also: does this board have the ports and pins?
  firmline config show > site.json             what is in force, without a password
  firmline config show --secrets > site.json   with it: to the byte
  firmline config set site.json                shows the difference and asks
  firmline config set site.json --yes --json   for a script

docs/configuration.md explains each field."""


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "config",
        "show, check or set the configuration",
        "The configuration: site, limits, buses, devices.",
        _EXAMPLES,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_show(actions)
    _add_check(actions)
    _add_set(actions)


def _add_show(actions):
    parser = options.add_command(
        actions, "show", "print what is in force", "Print what is in force.", _EXAMPLES
    )
    parser.add_argument("--secrets", action="store_true", help="also the password of the network")
    options.add_connection(parser)
    options.add_json(parser)


def _add_check(actions):
    parser = options.add_command(
        actions,
        "check",
        "look for faults in a file, without a board",
        "Every fault of a file: field, value, what would be accepted.",
        _EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="the configuration, JSON")
    known = config_check.board_names()
    parser.add_argument(
        "--for",
        dest="board",
        choices=known,
        metavar="BOARD",
        help="also compare ports, pins and network: " + ", ".join(known),
    )
    options.add_json(parser)


def _add_set(actions):
    parser = options.add_command(
        actions,
        "set",
        "put a file into force",
        "Check, show the difference, ask, send, restart, and confirm what is in force.",
        _EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="the configuration, JSON")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options.add_connection(parser)
    options.add_json(parser)


def run(arguments):
    return {"show": _show, "check": _check, "set": _set}[arguments.action](arguments)


def _show(arguments):
    with open_device(arguments) as device:
        with bar("reading the configuration") as progress:
            data = device.read_file(CONFIG, progress)
        points = device.points()
    if not data:
        raise ToolError("no configuration is in force: `firmline config set FILE`")
    facts = hashes(data) | {"generation": points["config_generation"]}
    whole = data.decode("utf-8", "replace")
    text = whole if arguments.secrets else masking.masked(whole)
    if arguments.json:
        config = json_of(text, "configuration")
        print(json.dumps(facts | {"configuration": config}, indent=2))
    else:
        sys.stdout.write(text)
        if sys.stdout.isatty() and not text.endswith("\n"):
            print()  # not in a pipe: a file has to have the hash of what is in force
        print(f"firmline: {described(facts)}", file=sys.stderr)
    if text != whole:
        note = f"the password is shown as {masking.HIDDEN}, --secrets shows it"
        print(f"firmline: {note}", file=sys.stderr)
    return DONE


def hashes(data):
    """What a configuration or record is known by."""
    return {
        "bytes": len(data),
        "crc32": f"{zlib.crc32(data):08X}",
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def described(facts):
    source = f"generation {facts['generation']}" if facts["generation"] else "copied by hand"
    return f"{source}, {facts['bytes']} bytes, CRC32 {facts['crc32']}, SHA-256 {facts['sha256']}"


def _check(arguments):
    text = config_check.read_text(arguments.file)
    facts = {"file": arguments.file} | hashes(text.encode())
    config_check.check(arguments.file, text, arguments.board, **facts)
    if arguments.json:
        print(json.dumps(facts | {"errors": []}, indent=2))
    else:
        print(f"{arguments.file}: good, SHA-256 {facts['sha256']}")
    return DONE


def _set(arguments):
    text = config_check.read_text(arguments.file)
    config_check.check(arguments.file, text)
    data = text.encode()
    if len(data) > MOST_BYTES:
        raise BadInput(f"{arguments.file}: {len(data)} bytes: accepted are at most {MOST_BYTES}")
    with open_device(arguments) as device:
        config_check.check(arguments.file, text, device.identity.model)
        before = device.read_file(CONFIG)
        if before == data:
            return _tell(arguments, "already in force", data, device.points())
        device.check_unlocked()
        if not arguments.json:
            sys.stdout.writelines(difference(before, data, arguments.file))
        if not confirm(f"Put this into force on {device.identity.where}?", arguments):
            raise ToolError("nothing was changed")
        boots = send(device, data)
    connection, device = wait_restarted(arguments, boots)
    with connection:
        return _tell(arguments, "in force", data, *confirm_in_force(device, data))


def difference(before, data, name):
    """Lines of a unified diff of two configurations, each laid out the same way, without their
    passwords."""
    old, new = _laid_out(before), _laid_out(data)
    lines = difflib.unified_diff(old, new, "in force", name, n=2)
    found = [line if line.endswith("\n") else line + "\n" for line in lines]
    if masking.password(before) != masking.password(data):
        found.append("the password of the network changes, it is not shown\n")
    return found or ["only the layout of the text differs\n"]


def _laid_out(data):
    text = masking.masked(data.decode("utf-8", "replace"))
    try:
        return json.dumps(json.loads(text), indent=1).splitlines(keepends=True)
    except ValueError:
        return text.splitlines(keepends=True)


def send(device, data):
    """Stage, read back, commit and restart. Returns the count of starts before that."""
    with bar(f"sending {len(data)} bytes") as progress:
        device.write_file(STAGED, data, progress)
    device.commit(STAGED, data)
    boots = device.point("boot_count")
    device.restart()
    return boots


def wait_restarted(arguments, boots):
    """The controller after its restart: (connection, Device). ToolError if it does not come.
    boots: its count of starts before."""
    start_s = time.monotonic()
    with bar("restarting") as progress:
        while True:
            time.sleep(_POLL_S)
            past_s = time.monotonic() - start_s
            if progress is not None:
                progress(min(0.99, past_s / RESTART_S))
            connection, device = reopen(arguments, start_s + RESTART_S)
            if _has_restarted(device, boots, time.monotonic() - start_s):
                return connection, device
            connection.close()
            if past_s > RESTART_S:
                raise ToolError(f"the controller did not restart within {RESTART_S:g} s")


def _has_restarted(device, boots, past_s):
    """It answers a while longer after it was told to, in mode safe; its count of starts may not
    survive, and then the time since its start tells."""
    points = device.points()
    if points["boot_count"] != boots:
        return True
    return points["uptime_s"] <= past_s + 1 and points["mode"] != SAFE


def confirm_in_force(device, data):
    """The points, once what is in force is `data`; ToolError with the reason where it is not."""
    now = device.read_file(CONFIG)
    points = device.points()
    if now == data:
        return (points,)
    facts = described(hashes(now) | {"generation": points["config_generation"]})
    cause = device.details().get("cause") or "the controller gives no cause"
    raise ToolError(f"it was not taken: {cause}; in force is {facts}")


def _tell(arguments, what, data, points):
    facts = hashes(data) | {"generation": points["config_generation"]}
    if arguments.json:
        print(json.dumps({"result": what} | facts, indent=2))
    else:
        print(f"{what}: {described(facts)}")
    return DONE

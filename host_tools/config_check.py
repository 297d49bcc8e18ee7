# SPDX-License-Identifier: MIT
"""Every fault of a configuration, found with the firmware's own validator.

That one stops at the first, as a controller must. Here a faulty field is replaced by a stand-in
and it goes on. What is right across fields can only be said once each field is right by itself.
"""

import importlib
import json
import pkgutil
import re

from firmline import boards
from firmline.services import config_fields as fields
from firmline.services.config import fill
from firmline.services.config_checks import CHECKS
from firmline.services.config_fields import ConfigError
from firmline.services.config_text import parse
from host_tools.errors import BadInput

_MOST = 100


def faults(text, board=None):
    """[ConfigError] of a text, [] if a controller takes it. board: a name of boards(), to also
    compare ports and pins."""
    try:
        given = parse(text)
    except ConfigError as error:
        return [error]
    found = []
    while len(found) < _MOST:
        try:
            config = fill(given)
            break
        except ConfigError as error:
            found.append(error)
            if not _repair(given, error):
                return found
    if found:
        return found
    for check in CHECKS:
        try:
            check(config)
        except ConfigError as error:
            found.append(error)
    return found + (_board_faults(config, board) if board else [])


def _repair(given, error):
    """Replace the value of `error` by one that passes; False where that cannot be done."""
    path = re.findall(r"[^.\[\]]+", error.field)
    holder = given
    try:
        for step in path[:-1]:
            holder = holder[int(step) if isinstance(holder, list) else step]
        key = int(path[-1]) if isinstance(holder, list) else path[-1]
    except (KeyError, IndexError, ValueError, TypeError):
        return False
    if error.accepted.startswith("one of the keys"):
        del holder[key]
        return True
    row = _row(key, holder)
    if row is None:
        return False
    holder[key] = _stand_in(row)
    return True


def _row(key, holder):
    """The table row of a field, found by its name and, in a device, by the type."""
    if key == "type":
        return None  # decides which other fields there are
    groups = [(fields.SCHEMA,), fields.SITE, fields.TIMING, fields.BUS, fields.HEAD_END]
    role = fields.TYPE_ROLES.get(holder.get("type")) if isinstance(holder, dict) else None
    if role is not None:
        groups = [*fields.ROLES[role], fields.SUNSPEC]
    return next((row for group in groups for row in group if row[0] == key), None)


def _stand_in(row):
    _, kind, low, _, default, _ = row
    if default is not fields.MISSING:
        return default
    if kind == fields.BOOL:
        return False
    return "x" * low if kind == fields.TEXT else low[0] if kind == fields.CHOICE else low


def board_names():
    return sorted(m.name for m in pkgutil.iter_modules(boards.__path__))


def _board(name):
    if name not in board_names():
        raise BadInput(f"--for {name}: expected one of {', '.join(board_names())}")
    return importlib.import_module(f"firmline.boards.{name}")


def _board_faults(config, name):
    board = _board(name)
    found = []
    places = [(f"buses[{k}].port", bus["port"]) for k, bus in enumerate(config["buses"])]
    if config["head_end"] is not None and config["head_end"].get("port") is not None:
        places.append(("head_end.port", config["head_end"]["port"]))
    accepted = f"a port of {name}: {', '.join(sorted(board.UARTS))}"
    found += [ConfigError(at, port, accepted) for at, port in places if port not in board.UARTS]
    accepted = f"an output of {name}: {', '.join(str(pin) for pin in board.OUTPUT_PINS)}"
    for k, device in enumerate(config["devices"]):
        if "pin" in device and device["pin"] not in board.OUTPUT_PINS:
            found.append(ConfigError(f"devices[{k}].pin", device["pin"], accepted))
    return found


def read_text(path):
    """The text of a configuration file; BadInput if it is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def as_line(error):
    return f"{error.field} = {fields.shown(error.value)}: accepted is {error.accepted}"


def as_json(error):
    value = error.value
    is_missing = value is fields.MISSING
    return {
        "field": error.field,
        "value": None if is_missing else json.loads(json.dumps(value)),
        "is_missing": is_missing,
        "accepted": error.accepted,
    }

# SPDX-License-Identifier: MIT
"""Every fault of a configuration, found with the firmware's own validator.

That one stops at the first, as a controller must. Here a faulty field is replaced by a stand-in
and it goes on. What is right across fields can only be said once each field is right by itself.
"""

import importlib
import pkgutil
import re
from types import SimpleNamespace

from firmline import boards
from firmline.services import boot
from firmline.services import config_fields as fields
from firmline.services.config import fill, groups_of
from firmline.services.config_checks import CHECKS
from firmline.services.config_fields import ConfigError
from firmline.services.config_text import parse
from host_tools.errors import BadInput

_MOST = 100


class Faults(BadInput):
    """A file with faults: a line for each, and how many."""

    def __init__(self, name, found, **facts):
        lines = [f"{name}: {as_line(error)}" for error in found]
        if len(found) > 1:
            lines.append(f"{name}: {len(found)} faults")
        super().__init__("\n".join(lines), errors=[_as_json(error) for error in found], **facts)


def check(name, text, board=None, **facts):
    """Faults, with the facts, where a controller (on that board) would not take the text of the
    file `name`."""
    found = faults(text, board)
    if found:
        raise Faults(name, found, **facts)


def faults(text, board=None):
    """[ConfigError] of a text, [] if a controller takes it. board: one of board_names(), to also
    compare ports, pins and radio; None or another word: a board that nobody knows."""
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
    return found + (_board_faults(config, board) if board in board_names() else [])


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
    kind = holder.get("type") if isinstance(holder, dict) else None
    if kind in fields.TYPE_ROLES:
        groups = [*groups_of(kind), fields.SUNSPEC]
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


def chip_of(name):
    return importlib.import_module(f"firmline.boards.{name}").CHIP


def _board_faults(config, name):
    """What the start on that board would refuse (boot.check_board, hal/board.py: open_...)."""
    board = importlib.import_module(f"firmline.boards.{name}")
    found = []
    try:
        boot.check_board(config, SimpleNamespace(model=name))
    except ConfigError as error:
        found.append(error)
    head_end = config["head_end"] or {}
    places = [(f"buses[{k}].port", bus["port"], "port") for k, bus in enumerate(config["buses"])]
    places.append(("head_end.port", head_end.get("port"), "port"))
    for k, device in enumerate(config["devices"]):
        places.append((f"devices[{k}].pin", device.get("pin"), "output"))
        places.append((f"devices[{k}].readback_pin", device.get("readback_pin"), "input"))
        if device["type"] == "ct_input" and not board.HAS_ADC_DMA:
            accepts = f"a Modbus meter: the converter of {name} cannot sample by itself"
            found.append(ConfigError(f"devices[{k}].type", device["type"], accepts))
    for field, value, kind in places:
        has = {"port": board.UARTS, "output": board.OUTPUT_PINS, "input": board.INPUT_PINS}[kind]
        if value is not None and value not in has:
            found.append(ConfigError(field, value, _board_accepts(board, kind, has, value)))
    for field, value in (
        ("network", config["network"]),
        ("head_end.tcp_port", head_end.get("tcp_port")),
    ):
        if value is not None and not board.HAS_WIFI:
            found.append(ConfigError(field, value, f"none: {name} has no network"))
    return found


def _board_accepts(board, kind, has, value):
    """In words: which ports or pins there are, and what the given one is for."""
    if not has:
        return f"none: {board.NAME} has no {kind}"
    kinds = {"port": "a port", "output": "an output", "input": "an input"}
    text = f"{kinds[kind]} of {board.NAME}: {', '.join(map(str, has))}"
    use = _uses(board).get(value)
    return f"{text} ({value} is {use})" if use else text


def _uses(board):
    """{pin: what the board itself has it for}"""
    uses = dict.fromkeys(board.OUTPUT_PINS, "an output") | dict.fromkeys(
        board.INPUT_PINS, "an input"
    )
    for port, (_, *pins) in board.UARTS.items():
        uses |= zip(pins, (f"TX of {port}", f"RX of {port}", f"the direction of {port}"))
    return uses | {board.SERVICE_PIN: "the service jumper"}


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


def _as_json(error):
    value = error.value
    is_missing = value is fields.MISSING
    if isinstance(value, (dict, list)):
        value = fields.shown(value)  # long, and in a network is a password
    return {
        "field": error.field,
        "value": None if is_missing else value,
        "is_missing": is_missing,
        "accepted": error.accepted,
    }

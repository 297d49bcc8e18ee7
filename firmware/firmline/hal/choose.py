# SPDX-License-Identifier: MIT
"""Which board is this? The answer is needed before anything else, so it imports only that board.

The file board.txt on the board decides, where there is one; else the machine text of the official
MicroPython build, which is its board's MICROPY_HW_BOARD_NAME, " with ", and its chip
(ports/rp2/boards/*/mpconfigboard.h, ports/esp32/boards/*/mpconfigboard.h).
"""

import sys

_FILE = "board.txt"
# Found in the machine text: the board. The first that fits counts; a chip comes last.
_MACHINES = (
    ("Pico W with RP2040", "pico_w"),
    ("RP2040", "pico"),
    ("Pico 2 W with RP2350", "pico2_w"),
    ("RP2350", "pico2"),
    ("ESP32S3", "esp32_s3"),
    ("ESP32-S3", "esp32_s3"),
    ("with ESP32", "esp32_devkit"),
)


def board(machine=None):
    """The board's module, firmline.boards.<name>. OSError, with a text for the user, when the
    board is not known: no output may then be touched."""
    machine = machine or sys.implementation._machine
    name = _written() or detected(machine)
    if not name:
        raise OSError("board not known: write its name into %s (docs/wiring.md)" % _FILE)
    try:
        found = __import__("firmline.boards." + name, None, None, ("NAME",))
        is_there = found.NAME == name
    except (ImportError, AttributeError, ValueError):
        is_there = False
    if not is_there:
        raise OSError("%s: there is no board %s (docs/wiring.md)" % (_FILE, name))
    if chip(machine) != found.CHIP:  # its pins would be another chip's flash
        text = "%s: %s has an %s, this is an %s"
        raise OSError(text % (_FILE, name, found.CHIP, chip(machine)))
    return found


def chip(machine):
    """ "rp2040" and so on, as in the boards' CHIP, of a machine text."""
    return machine.split(" with ")[-1].replace("-", "").lower()


def detected(machine):
    """Name of the board of an official build; "" when there is none for its chip."""
    for text, name in _MACHINES:
        at = machine.find(text)
        if at >= 0 and (text != "with ESP32" or at + len(text) == len(machine)):
            return name
    return ""


def _written():
    try:
        with open(_FILE) as file:
            return file.read(64).strip()
    except (OSError, ValueError):  # ValueError: not a text
        return ""

# SPDX-License-Identifier: MIT
"""The stages of a start: safe before clever. Called once by app.main, and dropped afterwards.

    1 outputs safe (boot.py has done it before anything else; here once more)
    2 why the chip started: its own word, and the marker that the last run left
    3 crash loop: after five starts in a row that did not run well for 90 s, safe mode
    4 self-test
    5 configuration, and everything that it names: ports, pins, devices

The first stage that fails ends the start, with the cause recorded: safe mode. Nothing is written
to flash by a start that goes well, and a cause only once, so that a supply that comes and goes
wears nothing out. Hazard H-06.

The marker is a word that survives a watchdog and a soft reset, but not a power-up:
KEY + reason * 256 + number of starts since the last run that was well.
"""

import gc

from firmline.core.units import const
from firmline.modbus.crc import crc16
from firmline.services.config import ConfigError
from firmline.services.config_source import load_in_force

UNKNOWN = const(0)  # codes of hardware.reset_cause()
POWER = const(1)
WATCHDOG = const(2)
SOFT = const(3)
BROWN_OUT = const(4)
PIN = const(5)

KEY = const(0x0B5A0000)  # below 2**30; hal/board.py and app.py hold words made of it
WANTED = const(0x100)  # somebody asked for the restart
FAILED = const(0x200)  # the program failed and restarted the chip itself
_REASONS = const(0x300)
_COUNT = const(0xFF)

MOST_UNWELL_STARTS = const(5)
_CRC_OF_123456789 = const(0x4B37)  # CRC-16/MODBUS, its catalogued check value
_TICK_LIMIT = const(10000)  # readings of the clock; a board makes some 100 a millisecond
_SIMULATED = ("desktop", "lockstep")  # models that may play any board


class BootError(Exception):
    """A stage that failed; its text is the cause."""


def start(hardware, build):
    """Returns (controller, "") or (None, cause of the safe mode). `build(config, hardware,
    cause)` makes the controller; nothing may have been switched on before."""
    hardware.make_safe()
    reason = UNKNOWN
    try:
        reason, unwell = count_start(hardware)
        if reason == WATCHDOG:
            hardware.record_cause("start: the watchdog has reset the chip, the program hung")
        if unwell >= MOST_UNWELL_STARTS:
            raise BootError("start: %d starts in a row did not run well for 90 s" % unwell)
        test_crc()
        test_ticks(hardware)
        config = load_in_force(hardware)
        gc.collect()  # its text: 8 kB which a stray word of an uncleared buffer may later hold
        check_board(config, hardware)
        return build(config, hardware, reason), ""
    except (BootError, ConfigError, OSError, ValueError) as error:  # ValueError: not a text
        cause = str(error)
    except Exception as error:  # a fault of the program: no less a reason to stay safe
        cause = "start: " + repr(error)
    hardware.make_safe()
    hardware.record_cause(cause)
    return None, cause


def count_start(hardware):
    """(why the chip started, starts before this one that were not well); counts this one. After
    a power-up what the marker holds is chance, on some chips."""
    word = hardware.marker()
    reason = hardware.reset_cause()
    if reason == POWER or word & ~(_REASONS | _COUNT) != KEY:
        word = KEY
    if reason == WATCHDOG and word & _REASONS:
        reason = SOFT  # some chips reset themselves by the watchdog
    unwell = word & _COUNT
    hardware.set_marker(KEY | min(unwell + 1, _COUNT))
    return reason, unwell


def test_crc():
    """The code and the flash it lies in: a known answer."""
    if crc16(b"123456789", 9) != _CRC_OF_123456789:
        raise BootError("self-test: CRC-16 gives a wrong answer")


def test_ticks(hardware):
    """The clock that every age is counted with must move."""
    if not hardware.has_clock:
        return
    start_us = hardware.ticks_us()
    for _ in range(_TICK_LIMIT):
        if hardware.ticks_us() != start_us:
            return
    raise BootError("self-test: the clock stands still")


def check_board(config, hardware):
    """A configuration may name the board that it is for."""
    if config["board"] not in (None, hardware.model) and hardware.model not in _SIMULATED:
        raise ConfigError("board", config["board"], hardware.model + ", which this is")

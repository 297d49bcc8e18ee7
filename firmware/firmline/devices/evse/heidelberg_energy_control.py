# SPDX-License-Identifier: MIT
"""Heidelberg / Amperfied Energy Control wallbox (6..16 A), Modbus RTU at 19,200 baud 8E1.

Setup: fail-safe current (262), then the watchdog (257, ms, at most 65 s), then stand-by off (258)
so that an idle box keeps listening. Command: maximum current (261, 0.1 A, 0 or 60..160). Every
addressed request feeds the watchdog. The power register is VA.

Source: Heidelberg ModBus register table, 2021-02-22.
"""

from firmline.devices.fields import (
    CHECKED,
    DRAW_W,
    L1_MA,
    L2_MA,
    L3_MA,
    NO_SCALE,
    STATE,
    U16,
    U16_WITHIN,
)
from firmline.devices.setpoint import DECIAMPS, FALLBACK_LOW, REVERSION_MS, SET_LOW

_STANDBY_OFF = 4

TABLE = {
    "role": "evse",
    "models": (),
    "identify": ((0, 4, 4, 1, True, ((4, U16_WITHIN, 0x100, 0x1FF, CHECKED, NO_SCALE),)),),
    "setup": (
        (0, 6, 262, (FALLBACK_LOW,)),
        (0, 6, 257, (REVERSION_MS,)),
        (0, 6, 258, (_STANDBY_OFF,)),
    ),
    "command": ((0, 6, 261, (SET_LOW,)),),
    "set_unit": DECIAMPS,
    #         -  -  A1 A2 B1 B2 C1 C2 derated E F err
    "states": (0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4),
    "total_from_phases": False,
    "blocks": (
        (
            0,
            4,
            5,
            10,
            0,
            (
                (5, U16, 1, 1, STATE, NO_SCALE),
                (6, U16, 100, 1, L1_MA, NO_SCALE),
                (7, U16, 100, 1, L2_MA, NO_SCALE),
                (8, U16, 100, 1, L3_MA, NO_SCALE),
                (14, U16, 1, 1, DRAW_W, NO_SCALE),
            ),
        ),
    ),
}

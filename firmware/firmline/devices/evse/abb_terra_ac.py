# SPDX-License-Identifier: MIT
"""ABB Terra AC charging station as a Modbus RTU secondary device.

The current limit (0x4100, mA) below 6 A pauses the session and 6 A or more resumes it. Start/stop
(0x4105) and the cable lock (0x4103) are never written: stopping there ends the session until the
cable is plugged again.

Loss of the controller: the station stops charging when no request reached it for the time in
0x4106, which is the setup frame here. **It has no register for a fallback current**: what it does
after the time-out (0 A as delivered) is set at commissioning in the installer's app, and the
`fallback_w` of the configuration must say what was set there.

The state is bits 8..14 of the low word of 0x400C; bit 15 only says whether the rated current is
offered. State 5 (session ended, needs a new plug-in) is reported as a fault: nothing to share out.

Source: ABB Terra AC Modbus communication manual 1.7; register behaviour as reported from the
field (a limit acts within about 2 s, a paused session needs 10..30 s to resume).
"""

from firmline.devices.fields import (
    DRAW_W,
    L1_MA,
    L2_MA,
    L3_MA,
    LIMIT_MA,
    NO_SCALE,
    RATED,
    STATE,
    U16_BITS,
    U32,
    U32_WITHIN,
)
from firmline.devices.setpoint import MILLIAMPS, REVERSION_S_LOW, SET_HIGH, SET_LOW

TABLE = {
    "role": "evse",
    "models": (),
    "identify": ((0, 3, 0x4006, 2, True, ((0x4006, U32_WITHIN, 6000, 80000, RATED, NO_SCALE),)),),
    "setup": ((0, 16, 0x4106, (REVERSION_S_LOW,)),),
    "command": ((0, 16, 0x4100, (SET_HIGH, SET_LOW)),),
    "set_unit": MILLIAMPS,
    #         A  B1 B2 C1 C2 other
    "states": (1, 2, 2, 2, 3, 4),
    "total_from_phases": False,
    "blocks": (
        (
            0,
            3,
            0x400C,
            18,
            0,
            (
                (0x400D, U16_BITS, 8, 0x7F, STATE, NO_SCALE),
                (0x400E, U32, 1, 1, LIMIT_MA, NO_SCALE),
                (0x4010, U32, 1, 1, L1_MA, NO_SCALE),
                (0x4012, U32, 1, 1, L2_MA, NO_SCALE),
                (0x4014, U32, 1, 1, L3_MA, NO_SCALE),
                (0x401C, U32, 1, 1, DRAW_W, NO_SCALE),
            ),
        ),
    ),
}

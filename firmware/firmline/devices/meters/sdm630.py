# SPDX-License-Identifier: MIT
"""Eastron SDM630 (Modbus V2, MCT): three-phase meter, float registers read with function 4.

One fast read carries currents and phase powers together (12 registers, 29 reply bytes), so a
sample is consistent; total power is the sum of the phases. Currents are magnitudes: the direction
is the power's. Positive power is import. There is no identification register worth trusting, and
nothing is ever written. Phases that are not wired read 0 and are left out.

Source: Eastron SDM630-Modbus protocol, input register table.
"""

from firmline.devices.fields import (
    F32,
    L1_DV,
    L1_MA,
    L1_W,
    L2_DV,
    L2_MA,
    L2_W,
    L3_DV,
    L3_MA,
    L3_W,
    NO_SCALE,
)

TABLE = {
    "role": "meter",
    "models": (),
    "identify": (),
    "setup": (),
    "command": (),
    "set_unit": 0,
    "states": (),
    "total_from_phases": True,
    "blocks": (
        (
            0,
            4,
            0x0006,
            12,
            0,
            (
                (0x0006, F32, 1000, 1, L1_MA, NO_SCALE),
                (0x0008, F32, 1000, 1, L2_MA, NO_SCALE),
                (0x000A, F32, 1000, 1, L3_MA, NO_SCALE),
                (0x000C, F32, 1, 1, L1_W, NO_SCALE),
                (0x000E, F32, 1, 1, L2_W, NO_SCALE),
                (0x0010, F32, 1, 1, L3_W, NO_SCALE),
            ),
        ),
        (
            0,
            4,
            0x0000,
            6,
            1000,
            (
                (0x0000, F32, 10, 1, L1_DV, NO_SCALE),
                (0x0002, F32, 10, 1, L2_DV, NO_SCALE),
                (0x0004, F32, 10, 1, L3_DV, NO_SCALE),
            ),
        ),
    ),
}

# SPDX-License-Identifier: MIT
"""SunSpec float meter, models 211..214 (one register layout): currents, volts, power.

One block, offsets 4..35. Positive power is import. NaN is SunSpec's "not implemented" and spoils
the sample where the phase is wired.

Source: SunSpec information model 213.
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
    TOTAL_W,
)

TABLE = {
    "role": "meter",
    "models": ((211, 214, 124, True),),
    "identify": (),
    "setup": (),
    "command": (),
    "set_unit": 0,
    "states": (),
    "total_from_phases": False,
    "blocks": (
        (
            0,
            3,
            4,
            32,
            0,
            (
                (4, F32, 1000, 1, L1_MA, NO_SCALE),
                (6, F32, 1000, 1, L2_MA, NO_SCALE),
                (8, F32, 1000, 1, L3_MA, NO_SCALE),
                (12, F32, 10, 1, L1_DV, NO_SCALE),
                (14, F32, 10, 1, L2_DV, NO_SCALE),
                (16, F32, 10, 1, L3_DV, NO_SCALE),
                (28, F32, 1, 1, TOTAL_W, NO_SCALE),
                (30, F32, 1, 1, L1_W, NO_SCALE),
                (32, F32, 1, 1, L2_W, NO_SCALE),
                (34, F32, 1, 1, L3_W, NO_SCALE),
            ),
        ),
    ),
}

# SPDX-License-Identifier: MIT
"""SunSpec integer meter, models 201..204 (one register layout): currents, volts, power.

Offsets 2..22 are read in one block, scale factors included, so a meter that changes its scale
factor (some do as the load grows) never mixes an old scale with a new value. Positive power is
import. Phases outside the `phases` option are left out; a wired phase that reports
"not implemented" spoils the sample.

Source: SunSpec information model 203.
"""

from firmline.devices.fields import (
    L1_DV,
    L1_MA,
    L1_W,
    L2_DV,
    L2_MA,
    L2_W,
    L3_DV,
    L3_MA,
    L3_W,
    SUNS_I16,
    TOTAL_W,
)

_A_SF = 6
_V_SF = 15
_W_SF = 22

TABLE = {
    "role": "meter",
    "models": ((201, 204, 105, True),),
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
            2,
            21,
            0,
            (
                (3, SUNS_I16, 1000, 1, L1_MA, _A_SF),
                (4, SUNS_I16, 1000, 1, L2_MA, _A_SF),
                (5, SUNS_I16, 1000, 1, L3_MA, _A_SF),
                (8, SUNS_I16, 10, 1, L1_DV, _V_SF),
                (9, SUNS_I16, 10, 1, L2_DV, _V_SF),
                (10, SUNS_I16, 10, 1, L3_DV, _V_SF),
                (18, SUNS_I16, 1, 1, TOTAL_W, _W_SF),
                (19, SUNS_I16, 1, 1, L1_W, _W_SF),
                (20, SUNS_I16, 1, 1, L2_W, _W_SF),
                (21, SUNS_I16, 1, 1, L3_W, _W_SF),
            ),
        ),
    ),
}

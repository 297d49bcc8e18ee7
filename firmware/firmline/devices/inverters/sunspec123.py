# SPDX-License-Identifier: MIT
"""PV inverter limited through SunSpec model 123 (immediate controls), power from 101..103.

One frame sets WMaxLimPct, _WinTms, _RvrtTms, _RmpTms and WMaxLim_Ena (offsets 5..9) together.

**Model 123 has no reversion value: when its timer expires the limit is removed**, so a dead
controller would set the inverter free. The timer is therefore left at 0 (the last limit stays),
unless the option `reversion_is_safe` says that the inverter's own default is a safe limit. The
percentage is of WMax: model 121 WMax, else model 120 WRtg, else the option `rated_w`.

Source: SunSpec information models 103, 120, 121, 123.
"""

from firmline.devices.fields import (
    NO_SCALE,
    POWER_W,
    RATED,
    SCALE_SET,
    SUNS_I16,
    SUNS_SF,
    SUNS_U16,
)
from firmline.devices.setpoint import PERCENT_CAP, REVERSION_S_IF_SAFE, SET_LOW

_CONTROLS = 0
_MEASURED = 1
_NAMEPLATE = 2
_SETTINGS = 3

TABLE = {
    "role": "pv",
    "models": (
        (123, 123, 24, True),
        (101, 103, 50, True),
        (120, 120, 26, False),
        (121, 121, 30, False),
    ),
    "identify": (
        (_CONTROLS, 3, 23, 1, True, ((23, SUNS_SF, 1, 1, SCALE_SET, NO_SCALE),)),
        (_NAMEPLATE, 3, 3, 2, False, ((3, SUNS_U16, 1, 1, RATED, 4),)),
        (_SETTINGS, 3, 2, 21, False, ((2, SUNS_U16, 1, 1, RATED, 22),)),
    ),
    "setup": (),
    "command": ((_CONTROLS, 16, 5, (SET_LOW, 0, REVERSION_S_IF_SAFE, 0, 1)),),
    "set_unit": PERCENT_CAP,
    "states": (),
    "total_from_phases": False,
    "blocks": ((_MEASURED, 3, 14, 2, 0, ((14, SUNS_I16, -1, 1, POWER_W, 15),)),),
}

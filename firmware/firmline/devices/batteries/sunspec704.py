# SPDX-License-Identifier: MIT
"""Battery commanded in watts through SunSpec model 704 (WSet), power from 701, charge from 713.

Setup writes the reversion value (WSetRvrt, 26), then its enable and the timer (WSetEnaRvrt,
WSetRvrtTms: 30..32), before the first command; a command writes WSetEna = 1, WSetMod = 1 (watts)
and WSet (22..25) together and restarts the timer. SunSpec counts generation positive: the sign is
turned here. Model 713 is optional; without it the state of charge stays unknown.

Source: SunSpec information models 701, 704, 713.
"""

from firmline.devices.fields import (
    NO_SCALE,
    POWER_W,
    SCALE_SET,
    SCALE_W,
    SOC_PERMILLE,
    SUNS_I16,
    SUNS_SF,
    SUNS_U16,
)
from firmline.devices.setpoint import (
    FALLBACK_HIGH,
    FALLBACK_LOW,
    REVERSION_S_HIGH,
    REVERSION_S_LOW,
    SET_HIGH,
    SET_LOW,
    WATTS_SUPPLIED,
)

_CONTROLS = 0
_MEASURED = 1
_STORAGE = 2

TABLE = {
    "role": "battery",
    "models": ((704, 704, 57, True), (701, 701, 153, True), (713, 713, 7, False)),
    "identify": (
        (_CONTROLS, 3, 55, 1, True, ((55, SUNS_SF, 1, 1, SCALE_SET, NO_SCALE),)),
        (_MEASURED, 3, 116, 1, True, ((116, SUNS_SF, 1, 1, SCALE_W, NO_SCALE),)),
    ),
    "setup": (
        (_CONTROLS, 16, 26, (FALLBACK_HIGH, FALLBACK_LOW)),
        (_CONTROLS, 16, 30, (1, REVERSION_S_HIGH, REVERSION_S_LOW)),
    ),
    "command": ((_CONTROLS, 16, 22, (1, 1, SET_HIGH, SET_LOW)),),
    "set_unit": WATTS_SUPPLIED,
    "states": (),
    "total_from_phases": False,
    "blocks": (
        (_MEASURED, 3, 10, 1, 0, ((10, SUNS_I16, -1, 1, POWER_W, SCALE_W),)),
        (_STORAGE, 3, 4, 5, 5000, ((4, SUNS_U16, 10, 1, SOC_PERMILLE, 8),)),
    ),
}

# SPDX-License-Identifier: MIT
"""PV inverter limited through SunSpec model 704 (DER AC controls), power from model 701.

Setup writes the reversion value, its enable and the timer (WMaxLimPctRvrt, WMaxLimPctEnaRvrt,
WMaxLimPctRvrtTms: offsets 16..19) before the first command; a command writes WMaxLimPctEna = 1
and WMaxLimPct (14, 15) together and restarts the timer, so a dead controller or cable leaves the
inverter at its fallback cap. The percentage is of model 702 WMax, else of the option `rated_w`.

Source: SunSpec information models 701, 702, 704.
"""

from firmline.devices.fields import (
    NO_SCALE,
    POWER_W,
    RATED,
    SCALE_SET,
    SCALE_W,
    SUNS_I16,
    SUNS_SF,
    SUNS_U16,
)
from firmline.devices.setpoint import (
    FALLBACK_LOW,
    PERCENT_CAP,
    REVERSION_S_HIGH,
    REVERSION_S_LOW,
    SET_LOW,
)

_CONTROLS = 0
_MEASURED = 1
_CAPACITY = 2

TABLE = {
    "role": "pv",
    "models": ((704, 704, 57, True), (701, 701, 153, True), (702, 702, 50, False)),
    "identify": (
        (_CONTROLS, 3, 54, 1, True, ((54, SUNS_SF, 1, 1, SCALE_SET, NO_SCALE),)),
        (_MEASURED, 3, 116, 1, True, ((116, SUNS_SF, 1, 1, SCALE_W, NO_SCALE),)),
        (_CAPACITY, 3, 26, 20, False, ((26, SUNS_U16, 1, 1, RATED, 45),)),
    ),
    "setup": ((_CONTROLS, 16, 16, (FALLBACK_LOW, 1, REVERSION_S_HIGH, REVERSION_S_LOW)),),
    "command": ((_CONTROLS, 16, 14, (1, SET_LOW)),),
    "set_unit": PERCENT_CAP,
    "states": (),
    "total_from_phases": False,
    "blocks": ((_MEASURED, 3, 10, 1, 0, ((10, SUNS_I16, -1, 1, POWER_W, SCALE_W),)),),
}

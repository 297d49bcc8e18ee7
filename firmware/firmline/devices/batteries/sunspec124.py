# SPDX-License-Identifier: MIT
"""Battery commanded through SunSpec model 124 (basic storage), power from models 101..103.

The two rates bound the power to -InWRte..OutWRte, so writing OutWRte = p and InWRte = -p forces
exactly p percent (discharge for p > 0, charge for p < 0); StorCtl_Mod = 3 then activates both.
The rates come first, the activation after. The percentage is of WChaMax.

**Model 124 has no reversion value: when its timer expires the rates are free again.** The timer
is left at 0 (the last command stays) unless the option `reversion_is_safe` says otherwise. Where
models 101..103 measure a hybrid inverter, the power includes its PV.

Source: SunSpec information models 103, 124.
"""

from firmline.devices.fields import (
    NO_SCALE,
    POWER_W,
    RATED,
    SCALE_AUX,
    SCALE_SET,
    SOC_PERMILLE,
    SUNS_I16,
    SUNS_SF,
    SUNS_U16,
)
from firmline.devices.setpoint import (
    MINUS_SET_LOW,
    PERCENT_SUPPLIED,
    REVERSION_S_IF_SAFE,
    SET_LOW,
)

_STORAGE = 0
_MEASURED = 1
_BOTH_LIMITS = 3

TABLE = {
    "role": "battery",
    "models": ((124, 124, 24, True), (101, 103, 50, True)),
    "identify": (
        (_STORAGE, 3, 2, 17, True, ((2, SUNS_U16, 1, 1, RATED, 18),)),
        (_STORAGE, 3, 25, 1, True, ((25, SUNS_SF, 1, 1, SCALE_SET, NO_SCALE),)),
        (_STORAGE, 3, 22, 1, False, ((22, SUNS_SF, 1, 1, SCALE_AUX, NO_SCALE),)),
    ),
    "setup": (),
    "command": (
        (_STORAGE, 16, 12, (SET_LOW, MINUS_SET_LOW, 0, REVERSION_S_IF_SAFE)),
        (_STORAGE, 16, 5, (_BOTH_LIMITS,)),
    ),
    "set_unit": PERCENT_SUPPLIED,
    "states": (),
    "total_from_phases": False,
    "blocks": (
        (_MEASURED, 3, 14, 2, 0, ((14, SUNS_I16, -1, 1, POWER_W, 15),)),
        (_STORAGE, 3, 8, 1, 5000, ((8, SUNS_U16, 10, 1, SOC_PERMILLE, SCALE_AUX),)),
    ),
}

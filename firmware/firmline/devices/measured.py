# SPDX-License-Identifier: MIT
"""What a device last reported, decoded from a reply all at once or not at all.

Base of devices.link. Lists are updated in place; a reply with one invalid field changes nothing.
"""

from array import array

from firmline.core.units import const
from firmline.devices.fields import (
    DRAW_W,
    LIMIT_MA,
    MOST_FIELDS,
    POWER_W,
    RATED,
    SCALE_SET,
    SOC_PERMILLE,
    STATE,
    TOTAL_W,
    WORK,
    decode_all,
)

STATE_WAITING = const(2)
STATE_CHARGING = const(3)
STATE_FAULT = const(4)
SOC_UNKNOWN = const(-1)
_FIELD = const(6)


class Measured:
    """Meter: l_ma, l_w, l_dv (per conductor), total_w. EVSE: draw_ma, draw_w, state, limit_ma.
    PV and battery: power_w (> 0 consumes), soc_permille (-1 unknown)."""

    def __init__(self, states):
        self._states = states
        self._work = array("i", [0] * WORK)
        self.l_ma = [0, 0, 0]
        self.l_w = [0, 0, 0]
        self.l_dv = [0, 0, 0]
        self.draw_ma = self.l_ma
        self._phase_values = (self.l_ma, self.l_w, self.l_dv)
        self.total_w = 0
        self.draw_w = 0
        self.power_w = 0
        self.state = 0
        self.soc_permille = SOC_UNKNOWN
        self.limit_ma = 0
        self.rated = 0
        self.set_power = 0

    def _decode_all(self, reply, fields):
        """Decode all fields of a reply, then publish them; False when one is invalid."""
        count = len(fields) // _FIELD
        work = self._work
        if not decode_all(reply.data, fields, count, work):
            return False
        while count:
            count -= 1
            self._publish(fields[_FIELD * count + 4], work[count])
        return True

    def _publish(self, target, value):
        if 0 <= target < TOTAL_W:
            self._phase_values[target // 3][target % 3] = value
        elif target < 0:
            self._work[MOST_FIELDS + SCALE_SET - target] = value
            if target == SCALE_SET:
                self.set_power = value
        elif target == TOTAL_W:
            self.total_w = value
        elif target == DRAW_W:
            self.draw_w = value
        elif target == POWER_W:
            self.power_w = value
        elif target == STATE:
            self.state = self._states[value] if value < len(self._states) else STATE_FAULT
        elif target == SOC_PERMILLE:
            self.soc_permille = value
        elif target == LIMIT_MA:
            self.limit_ma = value
        elif target == RATED and value > 0:
            self.rated = value

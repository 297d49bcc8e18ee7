# SPDX-License-Identifier: MIT
"""What a device last reported, decoded from a reply all at once or not at all.

Base of devices.link. Lists are updated in place; a reply with one invalid field changes nothing.
"""

from firmline.core.units import const
from firmline.devices.fields import (
    DRAW_W,
    L1_DV,
    L1_W,
    LIMIT_MA,
    MOST_FIELDS,
    POWER_W,
    RATED,
    SCALE_SET,
    SOC_PERMILLE,
    STATE,
    TOTAL_W,
    decode_all,
)

STATE_WAITING = const(2)
STATE_CHARGING = const(3)
STATE_FAULT = const(4)
SOC_UNKNOWN = const(-1)
_FIELD = const(6)


class Measured:
    """Meter: l_ma, l_w, l_dv (per conductor), total_w. EVSE: l_ma, draw_w, state, limit_ma. PV
    and battery: power_w (> 0 consumes); battery: soc_permille (-1 unknown). work: WORK ints; those
    whose devices tell no scale factors may share one."""

    # What a device of its role never reports has no place in each link.
    l_ma = l_w = l_dv = None
    total_w = draw_w = power_w = state = limit_ma = rated = set_power = 0
    soc_permille = SOC_UNKNOWN

    def __init__(self, product, work):
        self.product = product
        self._work = work
        role = product.role
        if role == "meter":
            self.l_ma = [0, 0, 0]
            self.l_w = [0, 0, 0]
            self.l_dv = [0, 0, 0]
            self.total_w = 0
            return
        self.rated = 0
        if role == "evse":
            self.l_ma = [0, 0, 0]
            self.draw_w = self.state = self.limit_ma = 0
            return
        self.power_w = self.set_power = 0
        if role == "battery":
            self.soc_permille = SOC_UNKNOWN

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
            self._publish_phase(target, value)
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
            states = self.product.states
            self.state = states[value] if value < len(states) else STATE_FAULT
        elif target == SOC_PERMILLE:
            self.soc_permille = value
        elif target == LIMIT_MA:
            self.limit_ma = value
        elif target == RATED and value > 0:
            self.rated = value

    def _publish_phase(self, target, value):
        if target < L1_W:
            self.l_ma[target] = value
        elif target < L1_DV:
            self.l_w[target - L1_W] = value
        else:
            self.l_dv[target - L1_DV] = value

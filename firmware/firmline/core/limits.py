# SPDX-License-Identifier: MIT
"""The limit in force: the strictest of all active constraints, and which one binds.

The firm limit is always there. A non-firm (dynamic) limit replaces it only while its head-end
is alive; from a silent head-end only a value *stricter* than firm is kept. The setting ceiling
and an emergency limit bind whatever else is said. Nothing here can be unlimited. Hazard H-01.
"""

from array import array

from firmline.core.snapshot import watts_array
from firmline.core.units import AXES, const

NONE = const(-1)  # "this source sets no limit"

FIRM = const(0)
DYNAMIC = const(1)
CEILING = const(2)
EMERGENCY = const(3)

IMPORT = const(0)
EXPORT = const(1)


class Limits:
    """`high_w[axis]` >= 0 and `low_w[axis]` <= 0: where each axis must stay, W.

    Axis 0 is the PCC (import up, export down), axes 1..3 the conductors (either direction).
    """

    def __init__(self, site):
        self._site = site
        self.high_w = watts_array(AXES)
        self.low_w = watts_array(AXES)
        self.binding = array("b", [FIRM, FIRM])
        self._found_w = watts_array(2)
        self._is_alive = False
        self.is_changed = True
        for axis in range(1, AXES):
            conductor_w = min(site.firm_conductor_w, site.ceiling_conductor_w)
            self.high_w[axis] = conductor_w
            self.low_w[axis] = -conductor_w
        self.update(False, NONE, NONE, NONE, NONE)

    def update(self, is_alive, dynamic_import, dynamic_export, emergency_import, emergency_export):
        """Arbitrate once more. Limits in W >= 0 or NONE; `is_alive`: the head-end's heartbeat."""
        self._is_alive = is_alive
        self._find(IMPORT, dynamic_import, emergency_import)
        self._find(EXPORT, dynamic_export, emergency_export)
        self._publish(self._found_w[IMPORT], -self._found_w[EXPORT])

    def _find(self, direction, dynamic_w, emergency_w):
        site = self._site
        limit_w = site.firm_export_w if direction else site.firm_import_w
        ceiling_w = site.ceiling_export_w if direction else site.ceiling_import_w
        binding = FIRM
        if dynamic_w >= 0 and (self._is_alive or dynamic_w < limit_w):
            binding = DYNAMIC
            limit_w = dynamic_w
        if 0 <= ceiling_w < limit_w:
            binding = CEILING
            limit_w = ceiling_w
        if 0 <= emergency_w < limit_w:
            binding = EMERGENCY
            limit_w = emergency_w
        self.binding[direction] = binding
        self._found_w[direction] = limit_w

    def _publish(self, high_w, low_w):
        self.is_changed = high_w != self.high_w[0] or low_w != self.low_w[0]
        self.high_w[0] = high_w
        self.low_w[0] = low_w

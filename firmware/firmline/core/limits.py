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
SOURCE_NAMES = ("firm", "dynamic", "ceiling", "emergency")

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
        self.is_changed = True
        for axis in range(1, AXES):
            conductor_w = min(site.firm_conductor_w, site.ceiling_conductor_w)
            self.high_w[axis] = conductor_w
            self.low_w[axis] = -conductor_w
        self.update(False, NONE, NONE, NONE, NONE)

    def update(self, is_alive, dynamic_import, dynamic_export, emergency_import, emergency_export):
        """Arbitrate once more. Limits in W >= 0 or NONE; `is_alive`: the head-end's heartbeat."""
        self._envelope(IMPORT, is_alive, dynamic_import)
        self._envelope(EXPORT, is_alive, dynamic_export)
        self._bound(IMPORT, self._site.ceiling_import_w, CEILING)
        self._bound(EXPORT, self._site.ceiling_export_w, CEILING)
        self._bound(IMPORT, emergency_import, EMERGENCY)
        self._bound(EXPORT, emergency_export, EMERGENCY)
        self._publish(self._found_w[IMPORT], -self._found_w[EXPORT])

    def _envelope(self, direction, is_alive, dynamic_w):
        firm_w = self._site.firm_export_w if direction else self._site.firm_import_w
        if dynamic_w >= 0 and (is_alive or dynamic_w < firm_w):
            self.binding[direction] = DYNAMIC
            self._found_w[direction] = dynamic_w
        else:
            self.binding[direction] = FIRM
            self._found_w[direction] = firm_w

    def _bound(self, direction, limit_w, source):
        if 0 <= limit_w < self._found_w[direction]:
            self.binding[direction] = source
            self._found_w[direction] = limit_w

    def _publish(self, high_w, low_w):
        self.is_changed = high_w != self.high_w[0] or low_w != self.low_w[0]
        self.high_w[0] = high_w
        self.low_w[0] = low_w

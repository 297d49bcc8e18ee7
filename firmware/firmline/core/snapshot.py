# SPDX-License-Identifier: MIT
"""What the core knows: the site, its flexible resources, and the newest sample at the PCC.

Plain arrays of watts, filled by the app from the device links. Nothing here decides.
"""

from array import array

from firmline.core.units import AXES, const

EVSE = const(0)
BATTERY = const(1)
PV = const(2)
RELAY = const(3)

HOLD_POLICY = const(0)
SELF_CONSUMPTION = const(1)


def watts_array(count):
    return array("i", [0] * count)


class Site:
    """Commissioned constants. Limits in W; conductors in nominal watts (A x nominal V)."""

    def __init__(self, phases, voltage_dv, firm_import_w, firm_export_w, firm_conductor_w):
        self.axes = phases + 1
        self.voltage_dv = voltage_dv
        self.firm_import_w = firm_import_w
        self.firm_export_w = firm_export_w
        self.firm_conductor_w = firm_conductor_w
        self.ceiling_import_w = firm_import_w  # setting ceilings
        self.ceiling_export_w = firm_export_w
        self.ceiling_conductor_w = firm_conductor_w
        self.margin_permille = 20
        self.response_ms = 10000
        self.meter_latency_ms = 300
        self.raise_delay_ms = 5000
        self.rotation_ms = 900000


class Snapshot:
    """The newest PCC sample: `axis_w[0]` total, `axis_w[1..3]` conductors, W, + imports."""

    def __init__(self):
        self.axis_w = watts_array(AXES)
        self.samples = 0


class Resources:
    """Struct of arrays, one entry per flexible resource; sizes are fixed at start.

    Range of a command: `low_w` <= 0 <= `high_w`. A load takes 0 or `min_w`..`high_w`; PV takes
    -cap in `low_w`..0; a battery any value in its range. A device may use anything between 0
    and its command, so |command| is the exposure.
    """

    def __init__(self, count):
        self.count = count
        # one row after the other, for ledger.py and shares.py, which have the same numbers
        self.table = watts_array(31 * count or 1)
        self.table[0] = count
        self.kind = self._open_row(1)
        self.mask = self._open_row(2)  # bit 0..2: conductor L1..L3
        self.wires = self._open_row(3)  # number of conductors in `mask`
        self.low_w = self._open_row(4)
        self.min_w = self._open_row(5)
        self.high_w = self._open_row(6)
        self.fallback_w = self._open_row(7)
        self.policy = self._open_row(8)
        self.is_protected = self._open_row(9)  # never shed
        # measured, refreshed before each cycle
        self.is_online = self._open_row(10)
        self.wants = self._open_row(11)
        self.is_low = self._open_row(12)  # a battery at its reserve: discharges only for a limit
        self.in_flight = self._open_row(13)  # the change cannot be seen in the sample yet
        self.power_w = self._open_row(14)  # 0 when the link is silent: no credit
        # commands
        self.command_w = self._open_row(15)  # what the guard let through
        self.proposal_w = self._open_row(16)
        self.previous_w = self._open_row(17)  # the command before this cycle
        self.before_w = self._open_row(18)  # what the device did before it was changed
        self.changed_ms = self._open_row(19)  # when the command was changed last
        self.settle_ms = self._open_row(20)
        self.resume_ms = self._open_row(21)  # a load that was turned off stays off this long
        # the balance's: taken out for import; row 23 the same for export
        self.credit_w = self._open_row(22)
        # the allocator's; rows 27 and 28: when a load was turned off, and that it was
        self.grant_w = self._open_row(24)
        self.least_w = self._open_row(25)  # the least grant, the strictest cap, while a gate waits
        self.is_turned_out = self._open_row(26)  # its turn is over
        self.order = self._open_row(30)  # queue for admission; the served go to the back
        self.new_w = self._open_row(29)  # the guard's

    def _open_row(self, number):
        return memoryview(self.table)[number * self.count : (number + 1) * self.count]

    def add(self, index, kind, mask, low_w, min_w, high_w, fallback_w):
        """Describe resource `index`. W in device sign; `mask`: at least one conductor."""
        self.kind[index] = kind
        self.mask[index] = mask
        self.wires[index] = (mask & 1) + (mask >> 1 & 1) + (mask >> 2 & 1)
        self.low_w[index] = low_w
        self.min_w[index] = min_w
        self.high_w[index] = high_w
        self.fallback_w[index] = fallback_w

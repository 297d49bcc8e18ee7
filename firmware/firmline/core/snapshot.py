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
        self.kind = bytearray(count)
        self.mask = bytearray(count)  # bit 0..2: conductor L1..L3
        self.wires = bytearray(count)  # number of conductors in `mask`
        self.min_w = watts_array(count)
        self.high_w = watts_array(count)
        self.low_w = watts_array(count)
        self.fallback_w = watts_array(count)
        self.settle_ms = watts_array(count)
        self.resume_ms = watts_array(count)  # a load that was turned off stays off this long
        self.policy = bytearray(count)
        self.is_protected = bytearray(count)  # never shed
        # measured, refreshed before each cycle
        self.power_w = watts_array(count)  # 0 when the link is silent: no credit
        self.is_online = bytearray(count)
        self.wants = bytearray(count)
        self.is_low = bytearray(count)  # a battery at its reserve: discharges only for a limit
        # commands
        self.proposal_w = watts_array(count)
        self.command_w = watts_array(count)  # what the guard let through
        self.previous_w = watts_array(count)  # the command before this cycle
        self.before_w = watts_array(count)  # what the device did before it was changed
        self.in_flight = bytearray(count)  # the change cannot be seen in the sample yet
        self.changed_ms = watts_array(count)  # when the command was changed last

    def add(self, index, kind, mask, low_w, min_w, high_w, fallback_w):
        """Describe resource `index`. W in device sign; `mask`: at least one conductor."""
        self.kind[index] = kind
        self.mask[index] = mask
        self.wires[index] = (mask & 1) + (mask >> 1 & 1) + (mask >> 2 & 1)
        self.low_w[index] = low_w
        self.min_w[index] = min_w
        self.high_w[index] = high_w
        self.fallback_w[index] = fallback_w

# SPDX-License-Identifier: MIT
"""The controller's state as a flat array of ints, refreshed after each cycle for the registers."""

from array import array

from firmline.core.freshness import LOST
from firmline.core.ledger import show
from firmline.core.limits import CEILING, DYNAMIC, EMERGENCY, FIRM
from firmline.core.units import HALF_RING_MS, const, elapsed_ms, milliamps

# Of services.register_map, but folded into the code (a test compares)
_T_MODE = const(0)
_T_STAGE = const(1)
_T_HEAD_END = const(2)
_T_CAUSE = const(3)
_T_METER_IS_USABLE = const(4)
_T_METER_AGE_MS = const(5)
_T_PCC_W = const(6)
_T_L1_W = const(7)
_T_L1_MA = const(10)
_T_L1_DV = const(13)
_T_IN_FORCE_IMPORT_W = const(16)
_T_IN_FORCE_EXPORT_W = const(17)
_T_IN_FORCE_MA = const(18)
_T_BINDING_IMPORT = const(19)
_T_BINDING_EXPORT = const(20)
_T_BINDING_CONDUCTOR = const(21)
_T_EXPIRES_IN_S = const(22)
_T_CYCLES = const(23)
_T_LATE_CYCLES = const(24)
_T_WORST_CYCLE_US = const(25)
_T_UPTIME_S = const(26)
_T_FALLBACKS = const(27)
_T_BUS_ERRORS = const(28)
_T_RESOURCES = const(36)
_T_RESOURCE_BASE = const(46)
_TELEMETRY_SIZE = const(78)
_MAX_RESOURCES = const(16)

_WORST_AGE_MS = HALF_RING_MS


class Telemetry:
    """Reads the controller, never changes it. `values` is what services.registers serves."""

    def __init__(self, controller):
        self._controller = controller
        self.values = array("i", [0] * _TELEMETRY_SIZE)
        self._shown = min(controller.resources.count, _MAX_RESOURCES)
        self.values[_T_RESOURCES] = controller.resources.count
        site = controller.site
        is_firm = site.firm_conductor_w <= site.ceiling_conductor_w
        self.values[_T_BINDING_CONDUCTOR] = FIRM if is_firm else CEILING
        conductor_w = controller.cycle.limits.high_w[1]
        self.values[_T_IN_FORCE_MA] = milliamps(conductor_w, site.voltage_dv)
        self._conductors = site.axes - 1
        self._meter_ok_ms = -1

    def update(self, now_ms):
        controller = self._controller
        self._update_state(now_ms)
        meter = controller.meter
        if meter.last_ok_ms != self._meter_ok_ms:
            self._meter_ok_ms = meter.last_ok_ms
            self._update_meter(meter)
        self._update_bus()
        self._update_limits()
        show(self.values, _T_RESOURCE_BASE, controller.resources.table, self._shown)

    def _update_state(self, now_ms):
        values = self.values
        controller = self._controller
        cycle = controller.cycle
        values[_T_MODE] = cycle.mode
        values[_T_STAGE] = max(cycle.import_clock.stage, cycle.export_clock.stage)
        values[_T_HEAD_END] = controller.head_end.state
        values[_T_CAUSE] = cycle.guard.reasons
        values[_T_CYCLES] = controller.supervisor.cycles
        values[_T_LATE_CYCLES] = controller.supervisor.late_cycles
        values[_T_WORST_CYCLE_US] = controller.worst_cycle_us
        values[_T_UPTIME_S] = controller.events.now_s
        values[_T_FALLBACKS] = cycle.fallbacks
        is_usable = cycle.trust.state != LOST
        values[_T_METER_IS_USABLE] = is_usable
        age_ms = _WORST_AGE_MS
        if is_usable:
            age_ms = elapsed_ms(now_ms, cycle.trust.marked_ms)
        values[_T_METER_AGE_MS] = age_ms

    def _update_meter(self, meter):
        """It has answered since the last time."""
        values = self.values
        values[_T_PCC_W] = meter.total_w
        for conductor in range(self._conductors):
            values[_T_L1_W + conductor] = meter.l_w[conductor]
            values[_T_L1_MA + conductor] = meter.l_ma[conductor]
            values[_T_L1_DV + conductor] = meter.l_dv[conductor]

    def _update_bus(self):
        errors = 0
        for bus in self._controller.buses:
            master = bus.master
            errors += master.timeouts + master.crc_errors + master.exceptions + master.malformed
        self.values[_T_BUS_ERRORS] = errors

    def _update_limits(self):
        values = self.values
        limits = self._controller.cycle.limits
        values[_T_IN_FORCE_IMPORT_W] = limits.high_w[0]
        values[_T_IN_FORCE_EXPORT_W] = -limits.low_w[0]
        import_source = values[_T_BINDING_IMPORT] = limits.binding[0]
        export_source = values[_T_BINDING_EXPORT] = limits.binding[1]
        left_s = 0
        if import_source != FIRM or export_source != FIRM:
            left_ms = self._left_ms(import_source) or self._left_ms(export_source)
            left_s = (left_ms + 999) // 1000
        values[_T_EXPIRES_IN_S] = left_s

    def _left_ms(self, source):
        """Until the limit of `source` ends by itself; 0: it does not."""
        if source == DYNAMIC:
            return self._controller.head_end.dynamic_left_ms
        if source == EMERGENCY:
            return self._controller.head_end.emergency_left_ms
        return 0

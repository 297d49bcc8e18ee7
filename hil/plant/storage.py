# SPDX-License-Identifier: MIT
"""A battery with its inverter: dead time, ramp, efficiency, and an end at empty and at full."""

from hil.plant.element import (
    NEVER,
    US_PER_S,
    WUS_PER_WH,
    FlexibleElement,
    crossing_us,
    ramp_us,
    require,
)

_FULL_RANGE_S = 0.5


class Battery(FlexibleElement):
    """Storage at the AC side; power_w > 0 charges, < 0 discharges.

    capacity_wh > 0; soc 0..1 at the start; max_charge_w, max_discharge_w >= 0 (both magnitudes);
    delay_ms: from setpoint() to the first movement; ramp_w_per_s: default the full range
    (max charge + max discharge) in 0.5 s; efficiency: each way, so 0.95 stores 0.95 Wh of 1 Wh
    taken and takes 1 Wh out of the cells to supply 0.95 Wh. At SoC 0 or 1 the power is 0 at once
    and stays so until the setpoint has the other sign.
    """

    def __init__(
        self,
        name,
        phases,
        capacity_wh,
        soc,
        max_charge_w,
        max_discharge_w,
        delay_ms=150,
        ramp_w_per_s=None,
        efficiency=0.95,
    ):
        super().__init__(name, phases, delay_ms)
        self.capacity_wh = require(name, "capacity_wh", capacity_wh, 1e-3, 1e10)
        self.max_charge_w = float(require(name, "max_charge_w", max_charge_w, 0, 1e8))
        self.max_discharge_w = float(require(name, "max_discharge_w", max_discharge_w, 0, 1e8))
        if ramp_w_per_s is None:
            ramp_w_per_s = max(1.0, (max_charge_w + max_discharge_w) / _FULL_RANGE_S)
        require(name, "ramp_w_per_s", ramp_w_per_s, 1e-3, 1e12)
        self._w_per_us = ramp_w_per_s / US_PER_S
        self._efficiency = require(name, "efficiency", efficiency, 0.1, 1)
        self._capacity_wus = capacity_wh * WUS_PER_WH
        self._stored_wus = require(name, "soc", soc, 0, 1) * self._capacity_wus
        self._target_w = 0.0  # the setpoint that acts
        self._end_us = NEVER  # full or empty
        self.setpoint_w = 0.0  # the setpoint last commanded
        self._last_command = 0.0

    def setpoint(self, t_us, w):
        """Command w (> 0 charges) at t_us >= plant.now_us; limited to the maxima."""
        self.setpoint_w = min(max(float(w), -self.max_discharge_w), self.max_charge_w)
        self._command(t_us, self.setpoint_w)

    @property
    def soc(self):
        """State of charge 0..1 at plant.now_us."""
        stored = self._stored_wus
        if self.plant is not None:
            span = self.plant.now_us - self.level_us
            stored += self._to_cells(self.level_w * span + 0.5 * self.slope * span * span)
        return min(max(stored / self._capacity_wus, 0.0), 1.0)

    @property
    def wanted_w(self):
        """Charging power it could take, W: max_charge_w unless full."""
        return self.max_charge_w if self.soc < 1.0 else 0.0

    def _to_cells(self, line_wus):
        return line_wus * self._efficiency if line_wus > 0 else line_wus / self._efficiency

    def _settle(self, t_us, line_wus):
        self._stored_wus += self._to_cells(line_wus)
        if t_us >= self._end_us:
            self._stored_wus = self._capacity_wus if line_wus > 0 else 0.0
        self._stored_wus = min(max(self._stored_wus, 0.0), self._capacity_wus)

    def _apply(self, t_us, value):
        self._target_w = value

    def _is_at_end(self, w):
        """True when power of that sign is impossible: full and w > 0, or empty and w < 0."""
        if w > 0:
            return self._stored_wus >= self._capacity_wus
        return w < 0 and self._stored_wus <= 0.0

    def _plan(self, t_us):
        goal_w = 0.0 if self._is_at_end(self._target_w) else self._target_w
        if self._is_at_end(self.level_w):
            self.level_w = 0.0
        level_w = self.level_w
        if level_w * goal_w < 0:
            goal_w = 0.0  # a line of its own for each direction
        if level_w == goal_w:
            break_us = self._hold(level_w)
        else:
            duration_us = ramp_us(abs(goal_w - level_w), self._w_per_us)
            break_us = self._ramp(t_us, goal_w, duration_us)
        self._end_us = self._plan_end(t_us, level_w + goal_w)
        return min(break_us, self._end_us)

    def _plan_end(self, t_us, direction):
        if direction == 0:
            return NEVER
        if direction > 0:
            room_wus = (self._capacity_wus - self._stored_wus) / self._efficiency
            return t_us + crossing_us(self.level_w, self.slope, room_wus)
        room_wus = self._stored_wus * self._efficiency
        return t_us + crossing_us(-self.level_w, -self.slope, room_wus)

# SPDX-License-Identifier: MIT
"""An electric vehicle at an AC charging point, after the timing of IEC 61851-1.

The charging point offers a current; the vehicle may draw up to it. An offer below 6 A means
"do not charge". After a lower offer it may take up to 5 s before the vehicle draws less: delay_ms
and down_s together model that.
"""

from hil.plant.element import (
    NEVER,
    WUS_PER_WH,
    FlexibleElement,
    crossing_us,
    ramp_us,
    require,
    to_us,
)

_TAPER_STEPS = 4


class Ev(FlexibleElement):
    """One vehicle that arrives, charges energy_wh if it is allowed to, and leaves.

    arrive_s < leave_s; energy_wh > 0 at the AC side; max_a: what the vehicle can draw per
    conductor; min_a: offers below it pause; delay_ms: dead time after every offer; down_s, up_s:
    time to get from the present current to a new one, 0 = at once; start_delay_s: from an
    acting offer >= min_a to the first current (contactor, vehicle waking up), also after a pause;
    draw_limit_a: the vehicle draws at most that, whatever is offered (may be below min_a);
    taper: share 0..0.9 of the energy at the end during which the current falls in 4 equal steps
    to 80, 60, 40, 20 % of what the vehicle can draw, then to 0 when the energy is complete.

    A new offer in the midst of a ramp in the same direction never slows it down: every offer is
    reached delay_ms + down_s (or up_s) after it was made, at the latest.
    Power is amps x nominal voltage x conductors; amps may be fractions.
    """

    def __init__(
        self,
        name,
        phases,
        arrive_s,
        leave_s,
        energy_wh,
        max_a,
        min_a=6,
        delay_ms=300,
        down_s=1.5,
        up_s=3.0,
        start_delay_s=3.0,
        draw_limit_a=None,
        taper=0.1,
    ):
        super().__init__(name, phases, delay_ms)
        self._arrive_us = to_us(require(name, "arrive_s", arrive_s, 0, 1e8))
        self._leave_us = to_us(require(name, "leave_s", leave_s, 0, 1e9))
        if self._leave_us <= self._arrive_us:
            raise ValueError(f"{name}: leave_s {leave_s!r}: expected after arrive_s {arrive_s!r}")
        self.energy_wh = require(name, "energy_wh", energy_wh, 1e-3, 1e9)
        self.max_a = require(name, "max_a", max_a, 0.1, 2000)
        self.min_a = require(name, "min_a", min_a, 0, max_a)
        self._down_us = to_us(require(name, "down_s", down_s, 0, 600))
        self._up_us = to_us(require(name, "up_s", up_s, 0, 600))
        self._start_delay_us = to_us(require(name, "start_delay_s", start_delay_s, 0, 3600))
        self.draw_limit_a = draw_limit_a
        if draw_limit_a is not None:
            require(name, "draw_limit_a", draw_limit_a, 0.1, 2000)
        self._able_a = max_a if draw_limit_a is None else min(max_a, draw_limit_a)
        self._stages = self._plan_taper(require(name, "taper", taper, 0, 0.9))
        self._stage = 0  # stages of the taper passed
        self._delivered_wus = 0.0
        self.offered_a = 0.0  # the offer last made
        self._last_command = 0.0
        self._acting_a = 0.0  # the offer that acts
        self._is_closed = False  # contactor
        self._start_us = NEVER
        self._stage_us = NEVER
        self._goal_w = 0.0
        self._w_per_us = 0.0  # of the ramp under way, magnitude

    def _plan_taper(self, taper):
        """[(delivered energy in watt-microseconds, share of the able current after it)]"""
        full_wus = self.energy_wh * WUS_PER_WH
        steps = _TAPER_STEPS if taper else 0
        stages = [
            (full_wus * (1 - taper + taper * k / steps), 1 - (k + 1) / (steps + 1))
            for k in range(steps)
        ]
        return stages + [(full_wus, 0.0)]

    def offer(self, t_us, amps):
        """The charging point offers amps per conductor at t_us >= plant.now_us; >= 0."""
        self.offered_a = max(0.0, float(amps))
        self._command(t_us, self.offered_a)

    @property
    def _w_per_a(self):
        return self.voltage_v * len(self.conductors)

    @property
    def is_plugged(self):
        """True from arrival until it leaves."""
        now_us = self.plant.now_us if self.plant is not None else 0
        return self._arrive_us <= now_us < self._leave_us

    plugged = is_plugged

    @property
    def wants(self):
        """True while it is plugged in and its energy is not complete."""
        return self.is_plugged and self._stage < len(self._stages)

    @property
    def is_charging(self):
        """True while its contactor is closed (IEC 61851 state C)."""
        return self._is_closed

    @property
    def draw_a(self):
        """Current per conductor in A at plant.now_us."""
        return self.power_w / self._w_per_a

    @property
    def wanted_w(self):
        """Power in W that it would take if everything it can draw were offered."""
        return self._limit_a() * self._w_per_a if self.wants else 0.0

    @property
    def delivered_wh(self):
        """Energy taken so far in Wh."""
        return self.energy_ws / 3600

    def _limit_a(self):
        """What the vehicle itself can draw at this stage of its charge."""
        share = self._stages[self._stage - 1][1] if self._stage else 1.0
        return self._able_a * share

    def _settle(self, t_us, line_wus):
        self._delivered_wus += line_wus
        if t_us >= self._stage_us:
            self._delivered_wus = self._stages[self._stage][0]
            self._stage += 1

    def _apply(self, t_us, value):
        self._acting_a = value

    def _plan(self, t_us):
        self._stage_us = NEVER
        if t_us < self._arrive_us:
            self._hold(0.0)
            return self._arrive_us
        if not self.wants:
            self._is_closed = False
            self._hold(0.0)
            return self._leave_us if t_us < self._leave_us else NEVER
        break_us = min(self._leave_us, self._plan_contactor(t_us))
        if not self._is_closed:
            self._hold(0.0)
            return break_us
        break_us = min(break_us, self._plan_current(t_us))
        room_wus = self._stages[self._stage][0] - self._delivered_wus
        if self.level_w > 0 or self.slope > 0:
            self._stage_us = t_us + crossing_us(self.level_w, self.slope, room_wus)
        return min(break_us, self._stage_us)

    def _plan_contactor(self, t_us):
        """Close it start_delay_s after an offer; return that time or NEVER."""
        if self._acting_a < self.min_a:
            self._start_us = NEVER
        elif not self._is_closed:
            if self._start_us == NEVER:
                self._start_us = t_us + self._start_delay_us
            if t_us < self._start_us:
                return self._start_us
            self._is_closed = True
            self._start_us = NEVER
        return NEVER

    def _plan_current(self, t_us):
        limit_a = self._limit_a()
        goal_a = 0.0 if self._acting_a < self.min_a else min(self._acting_a, limit_a)
        goal_w = goal_a * self._w_per_a
        limit_w = limit_a * self._w_per_a
        if self.level_w > limit_w:
            self.level_w = limit_w  # the vehicle's own step, at once
        gap_w = abs(goal_w - self.level_w)
        if goal_w != self._goal_w:
            self._set_pace(goal_w, gap_w)
        if gap_w == 0 or self._w_per_us == 0:
            self._w_per_us = 0.0
            self._hold(goal_w)
            if goal_w == 0:
                self._is_closed = False  # the pause has been reached
            return NEVER
        return self._ramp(t_us, goal_w, ramp_us(gap_w, self._w_per_us))

    def _set_pace(self, goal_w, gap_w):
        is_down = goal_w < self.level_w
        duration_us = self._down_us if is_down else self._up_us
        pace = gap_w / duration_us if duration_us else 0.0
        if duration_us and self.slope and (self.slope < 0) == is_down:
            pace = max(pace, self._w_per_us)
        self._w_per_us = pace
        self._goal_w = goal_w

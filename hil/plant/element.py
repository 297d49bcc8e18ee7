# SPDX-License-Identifier: MIT
"""What every element of the plant has in common.

An element's power is a straight line between two breakpoints. It keeps the line it is on
(power at its start, slope) and the time of its next breakpoint; `Plant` sums the lines and
calls `on_break` when a breakpoint is reached. Elements never look at limits, meters or the
controller: they are the truth.

Time is integer microseconds from 0. Power is watts at nominal voltage and unity power factor,
> 0 consumes, < 0 supplies. A slope is watts per microsecond.
"""

from collections import deque
from math import ceil, sqrt

NEVER = 1 << 62  # a breakpoint that does not come, us
US_PER_S = 1_000_000
US_PER_MS = 1_000
WUS_PER_WH = 3_600 * US_PER_S  # watt-microseconds in a watt-hour

_PHASES = {"L1": 1, "L2": 2, "L3": 4, "L12": 3, "L13": 5, "L23": 6, "L123": 7}


def phase_mask(phases):
    """Conductor mask 1..7 (bit 0 = L1) from a mask or a name such as "L1", "L23", "L123"."""
    mask = _PHASES.get(phases, phases) if isinstance(phases, str) else phases
    if not isinstance(mask, int) or isinstance(mask, bool) or not 1 <= mask <= 7:
        raise ValueError(f"phases {phases!r}: expected a mask 1..7 or one of {', '.join(_PHASES)}")
    return mask


def to_us(seconds):
    """Microseconds, nearest integer, from seconds (int or float)."""
    return round(seconds * US_PER_S)


def require(owner, field, value, low, high):
    """Return `value` when it is a finite number in low..high, else raise ValueError."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise ValueError(f"{owner}: {field} {value!r}: expected a number {low}..{high}")
    return value


def crossing_us(level_w, slope, energy_wus):
    """Microseconds (>= 1) until a line has gathered `energy_wus` watt-microseconds, or NEVER.

    level_w and slope have the same direction as the energy is counted; energy_wus >= 0.
    Rounded up, so the energy has been gathered at the breakpoint: at most 1 us too much.
    """
    if energy_wus <= 0:
        return 1
    square = level_w * level_w + 2.0 * slope * energy_wus
    if square < 0.0:
        return NEVER
    root = level_w + sqrt(square)
    if root <= 0.0:
        return NEVER
    after = 2.0 * energy_wus / root
    return max(1, ceil(after)) if after < NEVER else NEVER


def ramp_us(gap_w, w_per_us):
    """Microseconds (>= 1) to get over gap_w > 0 at a pace > 0; float noise adds none."""
    return max(1, ceil(gap_w / w_per_us - 1e-6))


class Element:
    """Base of all elements. Attributes: name, phases (mask), next_break_us."""

    is_flexible = False  # True: takes commands

    def __init__(self, name, phases):
        self.name = name
        self.phases = phase_mask(phases)
        self.next_break_us = NEVER
        self.level_w = 0.0  # power at level_us
        self.slope = 0.0
        self.level_us = 0
        self._gathered_wus = 0.0  # energy up to level_us
        self.plant = None
        self.voltage_v = 0
        self.conductors = tuple(k + 1 for k in range(3) if self.phases >> k & 1)

    @property
    def parts(self):
        """The elements that the plant sums: itself, or one per conductor."""
        return (self,)

    @property
    def power_w(self):
        """Power in W at plant.now_us, after any breakpoint at that time; > 0 consumes."""
        if self.plant is None:
            return self.level_w
        return self.level_w + self.slope * (self.plant.now_us - self.level_us)

    @property
    def wanted_w(self):
        """Power in W that it would take (> 0) or supply (< 0) at plant.now_us if unlimited."""
        return self.power_w

    @property
    def energy_ws(self):
        """Energy in Ws consumed (> 0) or supplied (< 0) from 0 to plant.now_us."""
        if self.plant is None:
            return 0.0
        span = self.plant.now_us - self.level_us
        line = self.level_w * span + 0.5 * self.slope * span * span
        return (self._gathered_wus + line) / US_PER_S

    def attach(self, plant):
        """Join a plant, at its time 0. Called by Plant, once."""
        if self.plant is not None:
            raise ValueError(f"{self.name}: already part of a plant")
        self.plant = plant
        self.voltage_v = plant.voltage_v
        self.on_break(0)

    def on_break(self, t_us):
        """Turn onto the line that begins at t_us and set next_break_us > t_us."""

    def _close(self, t_us):
        """End the line at t_us; return the energy it gathered in watt-microseconds."""
        span = t_us - self.level_us
        line_wus = self.level_w * span + 0.5 * self.slope * span * span
        self._gathered_wus += line_wus
        self.level_w += self.slope * span
        self.level_us = t_us
        return line_wus


class FlexibleElement(Element):
    """An element that follows commands, each after the same dead time (delay_ms >= 0).

    Subclasses implement `_apply(t_us, value)` (a command begins to act), `_plan(t_us)` (choose
    the line from t_us on and return the time of the next breakpoint of their own) and may
    extend `_settle(line_wus)` (energy of the line just ended).
    """

    is_flexible = True

    def __init__(self, name, phases, delay_ms):
        super().__init__(name, phases)
        self._delay_us = round(require(name, "delay_ms", delay_ms, 0, 600_000) * US_PER_MS)
        self._pending = deque()  # (when it begins to act in us, value)
        self._last_command = None
        self._own_break_us = NEVER
        self._ramp_end_us = NEVER
        self._ramp_goal_w = 0.0

    def on_break(self, t_us):
        line_wus = self._close(t_us)
        if t_us >= self._ramp_end_us:
            self.level_w = self._ramp_goal_w
        self._settle(t_us, line_wus)
        pending = self._pending
        while pending and pending[0][0] <= t_us:
            self._apply(t_us, pending.popleft()[1])
        self._own_break_us = self._plan(t_us)
        self._set_next_break()

    def _settle(self, t_us, line_wus):
        pass

    def _command(self, t_us, value):
        """Queue a command; a repeated one changes nothing."""
        if value == self._last_command:
            return
        self.plant.advance(t_us)
        self._last_command = value
        self._pending.append((t_us + self._delay_us, value))
        if self._delay_us == 0:
            self.on_break(t_us)
        else:
            self._set_next_break()
        self.plant.refresh()

    def _set_next_break(self):
        own, pending = self._own_break_us, self._pending
        self.next_break_us = min(own, pending[0][0]) if pending else own

    def _hold(self, level_w):
        """Stay at level_w from the start of this line."""
        self.level_w = level_w
        self.slope = 0.0
        self._ramp_end_us = NEVER
        return NEVER

    def _ramp(self, t_us, goal_w, duration_us):
        """Go to goal_w in a straight line; return the time of its end. duration_us >= 1."""
        self.slope = (goal_w - self.level_w) / duration_us
        self._ramp_goal_w = goal_w
        self._ramp_end_us = t_us + duration_us
        return self._ramp_end_us

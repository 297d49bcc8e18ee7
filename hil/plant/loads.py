# SPDX-License-Identifier: MIT
"""Uncontrolled loads, and the load behind a relay.

`phases` is a conductor mask 1..7 or a name ("L1", "L23", "L123"); a load on several conductors
is shared equally between them.
"""

from hil.plant.csv_trace import Trace, read_trace
from hil.plant.element import NEVER, Element, FlexibleElement, require, to_us

_MAX_W = 1e8


class ConstantLoad(Element):
    """load_w for ever, -1e8..1e8 W (< 0 is a source that nobody controls)."""

    def __init__(self, name, phases, load_w):
        super().__init__(name, phases)
        self.level_w = float(require(name, "load_w", load_w, -_MAX_W, _MAX_W))


class _Steps(Element):
    """Values that hold until the next one. at_us: first 0, strictly increasing."""

    def __init__(self, name, phases, at_us, load_w):
        super().__init__(name, phases)
        self._at_us = at_us
        self._steps_w = load_w
        self._next = 0

    def on_break(self, t_us):
        self._close(t_us)
        at_us, k = self._at_us, self._next
        while k < len(at_us) and at_us[k] <= t_us:
            k += 1
        self._next = k
        self.level_w = float(self._steps_w[k - 1])
        self.next_break_us = at_us[k] if k < len(at_us) else NEVER


class StepLoad(_Steps):
    """Steps of load_w[k] W from at_s[k] s on; 0 W before at_s[0]. at_s strictly increasing."""

    def __init__(self, name, phases, at_s, load_w):
        if not at_s or len(at_s) != len(load_w):
            raise ValueError(f"{name}: at_s and load_w: expected equally many, at least one")
        at_us = [to_us(require(name, "at_s", t_s, 0, 1e8)) for t_s in at_s]
        if any(after <= before for before, after in zip(at_us, at_us[1:], strict=False)):
            raise ValueError(f"{name}: at_s {at_s!r}: expected times that strictly increase")
        steps_w = [require(name, "load_w", w, -_MAX_W, _MAX_W) for w in load_w]
        if at_us[0] > 0:
            at_us.insert(0, 0)
            steps_w.insert(0, 0.0)
        super().__init__(name, phases, at_us, steps_w)


class CsvLoad(Element):
    """A recorded load: a Trace or the path of one (see csv_trace; BadCsv when refused).

    scale multiplies every value. A trace with l1_w,l2_w,l3_w loads each conductor with its own
    column and `phases` is then L1..L3. pv_w, if present, is not part of the load: see
    sources.trace_profile. After the last row the last value holds.
    """

    def __init__(self, name, phases, trace, scale=1.0):
        if not isinstance(trace, Trace):
            trace = read_trace(trace)
        require(name, "scale", scale, 0, 1e6)
        self.trace = trace
        if trace.is_per_phase:
            super().__init__(name, 7)
            names = ("l1_w", "l2_w", "l3_w")
            self._parts = tuple(self._part(1 << k, names[k], scale) for k in range(3))
        else:
            super().__init__(name, phases)
            self._parts = (self._part(self.phases, "load_w", scale),)

    def _part(self, mask, column, scale):
        values = self.trace.columns[column]
        if scale != 1.0:
            values = [w * scale for w in values]
        return _Steps(f"{self.name}.{column}", mask, self.trace.t_us, values)

    @property
    def parts(self):
        return self._parts

    @property
    def power_w(self):
        return sum(part.power_w for part in self._parts)

    @property
    def energy_ws(self):
        return sum(part.energy_ws for part in self._parts)

    def attach(self, plant):
        super().attach(plant)
        for part in self._parts:
            part.attach(plant)


class RelayLoad(FlexibleElement):
    """A load behind a relay contact, for example a water heater with its own thermostat.

    load_w: 0..1e8 W while the contact is closed and the thermostat calls for heat, that is
    during the first `duty` (0..1) of every period_s. delay_ms: operating time of the relay.
    operations counts changes of the contact; is_on is its state; repeated commands are free.
    """

    def __init__(self, name, phases, load_w, duty=1.0, period_s=600, is_on=False, delay_ms=10):
        super().__init__(name, phases, delay_ms)
        self.load_w = float(require(name, "load_w", load_w, 0, _MAX_W))
        self._period_us = to_us(require(name, "period_s", period_s, 0.001, 1e6))
        self._calls_us = round(require(name, "duty", duty, 0, 1) * self._period_us)
        self.is_on = bool(is_on)
        self.operations = 0
        self._last_command = self.is_on

    def switch(self, t_us, on):
        """Close (True) or open the contact at t_us >= plant.now_us, after delay_ms."""
        self._command(t_us, bool(on))

    @property
    def is_calling(self):
        """True while the thermostat calls for heat."""
        now_us = self.plant.now_us if self.plant is not None else 0
        return now_us % self._period_us < self._calls_us

    @property
    def wanted_w(self):
        return self.load_w if self.is_calling else 0.0

    def _apply(self, t_us, value):
        self.is_on = value
        self.operations += 1  # each command that gets here differs from the one before

    def _plan(self, t_us):
        into_us = t_us % self._period_us
        is_calling = into_us < self._calls_us
        self._hold(self.load_w if self.is_on and is_calling else 0.0)
        if self._calls_us in (0, self._period_us):
            return NEVER
        return t_us - into_us + (self._calls_us if is_calling else self._period_us)

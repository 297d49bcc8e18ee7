# SPDX-License-Identifier: MIT
"""The plant: what really flows at the point of common coupling (PCC) and in each conductor.

The sum of piecewise-linear elements, so integrals, peaks and limit crossings are exact and cheap.
Verdicts are judged on this truth. It must never read a meter, a limit or a command; emulated
meters and devices read and steer it, the recorder listens.

Cost without a breakpoint: one comparison when all powers are constant, four lines otherwise.
"""

from hil.plant.element import NEVER, US_PER_S


class Plant:
    """Elements behind one PCC.

    phases: 1, 2 (split-phase legs) or 3 conductors. voltage_v: nominal, per conductor to neutral.

    Attributes to read: now_us; w0 and w1, lists of 4 floats (axis 0 = PCC total, 1..3 = L1..L3;
    W at nominal voltage and unity power factor, > 0 imports): within segment() the powers at the
    start and the end of that piece; afterwards w1 is the power from now_us on, as power_w() is.
    recorder: None, or an object whose segment(t0_us, t1_us) is called for each piece
    (t1_us > t0_us, now_us == t1_us); it copies what it keeps and does not advance the plant.
    At a step, one piece ends at the old value and the next begins at the new one.
    """

    def __init__(self, phases, voltage_v, elements):
        if phases not in (1, 2, 3):
            raise ValueError(f"phases {phases!r}: expected 1, 2 or 3")
        if not 1 <= voltage_v <= 1000:
            raise ValueError(f"voltage_v {voltage_v!r}: expected 1..1000")
        self.phases = phases
        self.voltage_v = voltage_v
        self.elements = list(elements)
        self.recorder = None
        self.now_us = 0
        self.w0 = [0.0] * 4
        self.w1 = [0.0] * 4
        self._level_w = [0.0] * 4  # at _level_us
        self._slope = [0.0] * 4
        self._level_us = 0
        self._gathered_wus = [0.0] * 4  # up to _level_us
        self._is_flat = True
        self._break_us = NEVER
        self._check_elements()
        self._parts = []
        for element in self.elements:
            element.attach(self)
            self._parts.extend(element.parts)
        self.refresh()

    def _check_elements(self):
        names = set()
        for element in self.elements:
            if element.name in names:
                raise ValueError(f"element {element.name!r}: name used twice")
            names.add(element.name)
            if element.phases >> self.phases:
                raise ValueError(
                    f"element {element.name!r}: phases mask {element.phases}: "
                    f"expected conductors of a {self.phases}-phase site"
                )

    def element(self, name):
        """The element of that name; KeyError if there is none."""
        for element in self.elements:
            if element.name == name:
                return element
        raise KeyError(name)

    def power_w(self, axis=0):
        """Power of an axis (0 = PCC total, 1..3 = conductors) in W from now_us on."""
        return self._level_w[axis] + self._slope[axis] * (self.now_us - self._level_us)

    @property
    def energy_ws(self):
        """A new list of 4: energy per axis from 0 to now_us in Ws, imports minus exports."""
        span = self.now_us - self._level_us
        half = 0.5 * span * span
        return [
            (self._gathered_wus[k] + self._level_w[k] * span + self._slope[k] * half) / US_PER_S
            for k in range(4)
        ]

    @property
    def next_break_us(self):
        """Time of the next breakpoint already known (a command may bring an earlier one)."""
        return self._break_us

    def advance(self, t_us):
        """Go to t_us >= now_us through every breakpoint on the way, those at t_us included."""
        now_us = self.now_us
        if t_us <= now_us:
            if t_us < now_us:
                raise ValueError(f"plant asked to go back from {now_us} us to {t_us} us")
            return
        while self._break_us <= t_us:
            self._run_to(self._break_us)
            self._pass_break()
        if self._is_flat:  # w0 and w1 already hold the levels
            t0_us = self.now_us
            if t0_us < t_us:
                self.now_us = t_us
                if self.recorder is not None:
                    self.recorder.segment(t0_us, t_us)
        else:
            self._run_to(t_us)

    def refresh(self):
        """Sum the elements anew, from now_us on. Elements call it after a command."""
        now_us = self.now_us
        level_w, slope, gathered = self._level_w, self._slope, self._gathered_wus
        span = now_us - self._level_us
        half = 0.5 * span * span
        for k in range(4):
            gathered[k] += level_w[k] * span + slope[k] * half
            level_w[k] = slope[k] = 0.0
        break_us = NEVER
        for part in self._parts:
            w = part.level_w + part.slope * (now_us - part.level_us)
            level_w[0] += w
            slope[0] += part.slope
            share = 1.0 / len(part.conductors)
            for k in part.conductors:
                level_w[k] += w * share
                slope[k] += part.slope * share
            if part.next_break_us < break_us:
                break_us = part.next_break_us
        self._level_us = now_us
        self._break_us = break_us
        self._is_flat = not any(slope)
        self.w0[:] = level_w
        self.w1[:] = level_w

    def _pass_break(self):
        now_us = self.now_us
        for part in self._parts:
            if part.next_break_us <= now_us:
                part.on_break(now_us)
                if part.next_break_us <= now_us:
                    raise RuntimeError(f"{part.name}: no progress at {now_us} us")
        self.refresh()

    def _run_to(self, t_us):
        t0_us = self.now_us
        if t_us == t0_us:
            return
        if not self._is_flat:
            span = t_us - self._level_us
            w0, w1, level_w, slope = self.w0, self.w1, self._level_w, self._slope
            w0[0] = w1[0]
            w0[1] = w1[1]
            w0[2] = w1[2]
            w0[3] = w1[3]
            w1[0] = level_w[0] + slope[0] * span
            w1[1] = level_w[1] + slope[1] * span
            w1[2] = level_w[2] + slope[2] * span
            w1[3] = level_w[3] + slope[3] * span
        self.now_us = t_us
        if self.recorder is not None:
            self.recorder.segment(t0_us, t_us)

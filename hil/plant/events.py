# SPDX-License-Identifier: MIT
"""A lively household or workshop, from a seed: kettles and motor starts.

The same seed and name give the same load, on every machine. Kettles and motors draw from streams
of their own, so changing one rate leaves the other's events alone.
"""

import random

from hil.plant.element import NEVER, US_PER_S, Element, require, to_us


class EventLoad(Element):
    """Appliances that come on at random, exponentially distributed gaps.

    kettles_per_hour, motor_starts_per_hour: 0..3600. kettle_w: W or (low, high), for kettle_s =
    (low, high) s. motor_w: running power, W or (low, high), for motor_s s; it starts at
    inrush_factor times that and falls in a straight line within inrush_s s. (A real inrush is
    mostly reactive; a power control system reads it as current, so it is counted here in full.)
    Several may be on at once; all are shared equally between the conductors of `phases`.
    """

    def __init__(
        self,
        name,
        phases,
        seed,
        kettles_per_hour=2,
        motor_starts_per_hour=4,
        kettle_w=(2200, 3000),
        motor_w=(500, 1500),
        inrush_factor=6,
        kettle_s=(120, 240),
        motor_s=(120, 900),
        inrush_s=(0.3, 1.0),
    ):
        super().__init__(name, phases)
        require(name, "inrush_factor", inrush_factor, 1, 20)
        require(name, "kettles_per_hour", kettles_per_hour, 0, 3600)
        require(name, "motor_starts_per_hour", motor_starts_per_hour, 0, 3600)
        self._kettle = (_range(name, "kettle_w", kettle_w), _range(name, "kettle_s", kettle_s))
        self._motor = (
            _range(name, "motor_w", motor_w),
            _range(name, "motor_s", motor_s),
            _range(name, "inrush_s", inrush_s),
        )
        self._inrush_factor = inrush_factor
        self._starts = [  # [time of the next start, its stream, per hour, makes its lines]
            [NEVER, random.Random(f"{seed}:{name}:kettles"), kettles_per_hour, self._kettle_on],
            [NEVER, random.Random(f"{seed}:{name}:motors"), motor_starts_per_hour, self._motor_on],
        ]
        for start in self._starts:
            start[0] = _after(0, start)
        self._lines = []  # (start_us, end_us, w at the start, W/us), begun or yet to begin
        self.starts = 0  # appliances switched on so far

    def _kettle_on(self, t_us, draw):
        w = round(draw.uniform(*self._kettle[0]))
        self._lines.append((t_us, t_us + to_us(draw.uniform(*self._kettle[1])), w, 0.0))

    def _motor_on(self, t_us, draw):
        w = round(draw.uniform(*self._motor[0]))
        stop_us = t_us + to_us(draw.uniform(*self._motor[1]))
        calm_us = min(t_us + to_us(draw.uniform(*self._motor[2])), stop_us - 1)
        slope = -(self._inrush_factor - 1) * w / (calm_us - t_us)
        self._lines.append((t_us, calm_us, w * self._inrush_factor, slope))
        self._lines.append((calm_us, stop_us, w, 0.0))

    def on_break(self, t_us):
        self._close(t_us)
        for start in self._starts:
            while start[0] <= t_us:
                start[3](start[0], start[1])
                start[0] = _after(start[0], start)
                self.starts += 1
        self._lines = [line for line in self._lines if line[1] > t_us]
        self.level_w = self.slope = 0.0
        self.next_break_us = min(start[0] for start in self._starts)
        for start_us, end_us, w, slope in self._lines:
            if start_us <= t_us:
                self.level_w += w + slope * (t_us - start_us)
                self.slope += slope
            self.next_break_us = min(self.next_break_us, end_us)


def _after(t_us, start):
    """Time of the next start after t_us."""
    if not start[2]:
        return NEVER
    return t_us + 1 + round(start[1].expovariate(start[2] / 3600) * US_PER_S)


def _range(owner, field, value):
    """(low, high) from a number or a pair, both > 0."""
    low, high = value if isinstance(value, (tuple, list)) else (value, value)
    require(owner, field, low, 1e-3, 1e8)
    return low, require(owner, field, high, low, 1e8)

# SPDX-License-Identifier: MIT
"""PV: what the sun makes available, and an inverter that follows a cap.

An availability profile is an iterator of pieces (until_us, w_from, w_to): a straight line in W
(>= 0) from the end of the piece before, the first from 0, until_us strictly increasing; after the
last piece its w_to holds. One profile serves one Pv.
"""

import random
from math import ceil, pi, sin

from hil.plant.csv_trace import Trace, read_trace
from hil.plant.element import NEVER, US_PER_S, FlexibleElement, ramp_us, require, to_us

_FULL_RANGE_S = 1.0
_NODE_US = 60 * US_PER_S


def constant_profile(w):
    """The same availability for ever, W >= 0."""
    require("constant_profile", "w", w, 0, 1e8)
    return iter([(NEVER, float(w), float(w))])


def trace_profile(trace, column="pv_w", scale=1.0):
    """Availability from a column of a Trace or of a trace file; each value holds."""
    if not isinstance(trace, Trace):
        trace = read_trace(trace)
    if column not in trace.columns:
        raise ValueError(f"{trace.file}: column {column!r}: expected one of {[*trace.columns]}")
    return _hold_each(trace.t_us, [w * scale for w in trace.columns[column]])


def _hold_each(t_us, values):
    for k, w in enumerate(values):
        yield (t_us[k + 1] if k + 1 < len(t_us) else NEVER), w, w


def clear_sky(rated_w, sunrise_s, sunset_s, start_s=0, clouds_per_hour=0, seed=0, depth=0.7):
    """Half a sine between sunrise and sunset of every day (s of the day, 0..86400), with clouds.

    rated_w: the peak. start_s: time of day at t = 0. The sine is drawn as chords of 60 s. Clouds
    come at random (seeded): an edge of 1..5 s down by 0.3..1 times depth, 20..300 s of shade, an
    edge of 1..5 s up. depth 0..1.
    """
    owner = "clear_sky"
    require(owner, "rated_w", rated_w, 0, 1e8)
    require(owner, "sunrise_s", sunrise_s, 0, 86_400)
    require(owner, "sunset_s", sunset_s, sunrise_s + 1, 86_400)
    require(owner, "start_s", start_s, 0, 86_400)
    require(owner, "clouds_per_hour", clouds_per_hour, 0, 120)
    require(owner, "depth", depth, 0, 1)
    clouds = _clouds(clouds_per_hour, seed, depth)
    return _sky_pieces(rated_w, to_us(sunrise_s), to_us(sunset_s), to_us(start_s), clouds)


def _sky_pieces(rated_w, sunrise_us, sunset_us, start_us, clouds):
    day_us = 86_400 * US_PER_S

    def sun_w(t_us):
        into_us = (start_us + t_us) % day_us - sunrise_us
        if not 0 < into_us < sunset_us - sunrise_us:
            return 0.0
        return rated_w * sin(pi * into_us / (sunset_us - sunrise_us))

    def next_node(t_us):
        at_us = (start_us + t_us) % day_us
        if at_us < sunrise_us:
            return t_us + sunrise_us - at_us
        if at_us < sunset_us:
            return t_us + min(_NODE_US - (at_us - sunrise_us) % _NODE_US, sunset_us - at_us)
        return t_us + day_us - at_us + sunrise_us

    now_us, cloud_us, clear_from, clear_to = 0, 0, 1.0, 1.0
    until_us = 0
    while True:
        if now_us == until_us:
            cloud_us, (until_us, clear_from, clear_to) = until_us, next(clouds)
        end_us = min(next_node(now_us), until_us)
        slope = (clear_to - clear_from) / (until_us - cloud_us)
        w_from = sun_w(now_us) * (clear_from + slope * (now_us - cloud_us))
        w_to = sun_w(end_us) * (clear_from + slope * (end_us - cloud_us))
        yield end_us, w_from, w_to
        now_us = end_us


def _clouds(per_hour, seed, depth):
    """Endless pieces (until_us, clearness from, clearness to), clearness 0..1."""
    if not per_hour:
        yield NEVER, 1.0, 1.0
    draw = random.Random(f"{seed}:clouds")
    now_us = 0
    while True:
        now_us += to_us(draw.expovariate(per_hour / 3600)) + 1
        yield now_us, 1.0, 1.0
        shaded = 1.0 - depth * draw.uniform(0.3, 1.0)
        now_us += to_us(draw.uniform(1, 5))
        yield now_us, 1.0, shaded
        now_us += to_us(draw.uniform(20, 300))
        yield now_us, shaded, shaded
        now_us += to_us(draw.uniform(1, 5))
        yield now_us, shaded, 1.0


class Pv(FlexibleElement):
    """PV behind an inverter; power_w <= 0 supplies.

    rated_w > 0: what the inverter can supply at most; profile: see above (None: rated_w always);
    cap() acts after delay_ms and then moves along a ramp; ramp_w_per_s: default rated_w in 1 s.
    """

    def __init__(self, name, phases, rated_w, profile=None, delay_ms=200, ramp_w_per_s=None):
        super().__init__(name, phases, delay_ms)
        self.rated_w = float(require(name, "rated_w", rated_w, 1e-3, 1e8))
        if ramp_w_per_s is None:
            ramp_w_per_s = rated_w / _FULL_RANGE_S
        require(name, "ramp_w_per_s", ramp_w_per_s, 1e-3, 1e12)
        self._cap_pace = ramp_w_per_s / US_PER_S
        self._profile = iter(profile if profile is not None else constant_profile(rated_w))
        self._sun_us = 0  # the piece of the profile: start, end, power at both
        self._sun_end_us = 0
        self._sun_w = 0.0
        self._sun_slope = 0.0
        self._sun_to_w = 0.0
        self.cap_w = self.rated_w  # the cap last commanded
        self._last_command = self.rated_w
        self._cap_goal_w = self.rated_w
        self._cap_from_w = self.rated_w  # the cap as it moves: at _cap_us, W/us, end
        self._cap_us = 0
        self._cap_slope = 0.0
        self._cap_end_us = NEVER

    def cap(self, t_us, w):
        """Supply at most w (>= 0) W; commanded at t_us >= plant.now_us."""
        self.cap_w = min(max(0.0, float(w)), self.rated_w)
        self._command(t_us, self.cap_w)

    @property
    def available_w(self):
        """What it could supply at plant.now_us, W >= 0, at most rated_w."""
        return self._sun_at(self.plant.now_us if self.plant is not None else 0)

    @property
    def wanted_w(self):
        """-available_w."""
        return -self.available_w

    def _sun_at(self, t_us):
        return min(self.rated_w, self._sun_w + self._sun_slope * (t_us - self._sun_us))

    def _cap_at(self, t_us):
        return self._cap_from_w + self._cap_slope * (t_us - self._cap_us)

    def _apply(self, t_us, value):
        """Move the cap; a falling one starts at the present power, not at an idle cap."""
        self._cap_from_w = self._cap_at(t_us)
        if value < self._cap_from_w:
            power_w = min(self._cap_from_w, -self.level_w)
            self._cap_from_w = max(value, power_w)
        self._cap_us = t_us
        self._cap_goal_w = value
        gap_w = value - self._cap_from_w
        move_us = ramp_us(abs(gap_w), self._cap_pace) if gap_w else 0
        self._cap_slope = gap_w / move_us if move_us else 0.0
        self._cap_end_us = t_us + move_us if move_us else NEVER

    def _plan(self, t_us):
        if t_us >= self._cap_end_us:
            self._cap_from_w, self._cap_slope = self._cap_goal_w, 0.0
            self._cap_us, self._cap_end_us = t_us, NEVER
        while t_us >= self._sun_end_us:
            self._next_piece()
        sun_w = self._sun_w + self._sun_slope * (t_us - self._sun_us)
        lines = [(sun_w, self._sun_slope), (self._cap_at(t_us), self._cap_slope)]
        level_w, slope = min(lines)
        self.level_w, self.slope = 0.0 - level_w, 0.0 - slope  # never -0.0
        break_us = min(self._sun_end_us, self._cap_end_us)
        for other_w, other_slope in lines:
            if other_slope < slope:
                meet_us = t_us + max(1, ceil((other_w - level_w) / (slope - other_slope)))
                break_us = min(break_us, meet_us)
        return break_us

    def _next_piece(self):
        start_us = self._sun_end_us
        end_us, w_from, w_to = next(self._profile, (NEVER, self._sun_to_w, self._sun_to_w))
        if end_us <= start_us or w_from < 0 or w_to < 0:
            raise ValueError(f"{self.name}: bad piece of its profile at {start_us} us")
        self._sun_us, self._sun_end_us = start_us, end_us
        self._sun_w, self._sun_to_w = float(w_from), float(w_to)
        self._sun_slope = (w_to - w_from) / (end_us - start_us)

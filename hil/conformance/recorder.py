# SPDX-License-Identifier: MIT
"""Listens to the plant's truth and keeps every exceedance, exactly.

The plant reports straight lines; crossings with the limit plus tolerance are computed, not
sampled. Tolerance: the meter class, by default 1 % of the limit and at least 50 W / 0.25 A.
"""

from dataclasses import dataclass

US_PER_S = 1_000_000
QUANTITIES = ("import", "export", "current")


@dataclass
class Excursion:
    quantity: str
    start_us: float
    end_us: float
    peak: float  # above limit plus tolerance, W or A


class _Watch:
    """One quantity against one threshold."""

    __slots__ = ("quantity", "over_us", "open", "done")

    def __init__(self, quantity):
        self.quantity = quantity
        self.over_us = 0.0
        self.open = None
        self.done = []

    def line(self, t0_us, t1_us, x0, x1):
        """The straight line from x0 to x1 (above the threshold: > 0)."""
        if x0 <= 0 and x1 <= 0:
            if self.open is not None:
                self.close(t0_us)
            return
        begin, end = t0_us, t1_us
        if x0 < 0:
            begin = t0_us + (t1_us - t0_us) * -x0 / (x1 - x0)
        elif x1 < 0:
            end = t0_us + (t1_us - t0_us) * x0 / (x0 - x1)
        if self.open is None:
            self.open = Excursion(self.quantity, begin, end, 0.0)
        elif begin > t0_us:
            self.close(t0_us)
            self.open = Excursion(self.quantity, begin, end, 0.0)
        self.over_us += end - begin
        self.open.end_us = end
        self.open.peak = max(self.open.peak, x0, x1)
        if end < t1_us:
            self.close(end)

    def close(self, t_us):
        self.open.end_us = t_us
        self.done.append(self.open)
        self.open = None


class Recorder:
    """Attach as `plant.recorder`. `excursions()` and the counters cover the run so far."""

    def __init__(self, plant, oracle, tolerance):
        self._plant = plant
        self._oracle = oracle
        self._tolerance = tolerance
        self.watches = {name: _Watch(name) for name in QUANTITIES}
        self.limit_changed()

    def limit_changed(self):
        """Take the oracle's limits for the segments to come."""
        oracle = self._oracle
        self._import_w = oracle.import_w + self.tolerance_w(oracle.import_w)
        self._export_w = oracle.export_w + self.tolerance_w(oracle.export_w)
        conductor_a = oracle.conductor_a
        self._conductor_w = (conductor_a + self.tolerance_a(conductor_a)) * self._plant.voltage_v

    def tolerance_w(self, limit_w):
        return max(self._tolerance.floor_w, limit_w * self._tolerance.reading_permille / 1000)

    def tolerance_a(self, limit_a):
        return max(self._tolerance.floor_a, limit_a * self._tolerance.reading_permille / 1000)

    def segment(self, t0_us, t1_us):
        w0, w1 = self._plant.w0, self._plant.w1
        watches = self.watches
        a, b = w0[0], w1[0]
        watch = watches["import"]
        if a > self._import_w or b > self._import_w or watch.open is not None:
            watch.line(t0_us, t1_us, a - self._import_w, b - self._import_w)
        watch = watches["export"]
        if -a > self._export_w or -b > self._export_w or watch.open is not None:
            watch.line(t0_us, t1_us, -a - self._export_w, -b - self._export_w)
        top = self._conductor_w
        watch = watches["current"]
        a = max(w0[1], w0[2], w0[3], -w0[1], -w0[2], -w0[3])
        b = max(w1[1], w1[2], w1[3], -w1[1], -w1[2], -w1[3])
        if a > top or b > top or watch.open is not None:
            volts = self._plant.voltage_v
            watch.line(t0_us, t1_us, (a - top) / volts, (b - top) / volts)

    def finish(self, t_us):
        for watch in self.watches.values():
            if watch.open is not None:
                watch.close(t_us)

    def excursions(self):
        every = [e for watch in self.watches.values() for e in watch.done]
        return sorted(every, key=lambda e: e.start_us)

# SPDX-License-Identifier: MIT
"""A tiny closed loop around core.Cycle: loads obey after a dead time, meters show it later.

One axis of truth in W. Each device acts on a command after `dead_ms` and is read once a second;
the meter shows what was true `latency_ms` ago. A command counts as settled by the app's rule: the
device's reading and the PCC sample are both younger than its effect.
"""

from collections import deque

from sites import at, evse, make_resources, make_site, make_snapshot

from firmline.core.cycle import Cycle

NONE = -1
STEP_MS = 100


class Loop:
    def __init__(self, rows, import_w=20000, dead_ms=1000, latency_ms=200, meter_ms=200):
        self.site = make_site(1, import_w, 10000, import_w)
        self.site.rotation_ms = 900000
        self.resources = make_resources(rows)
        self.count = self.resources.count
        self.snapshot = make_snapshot()
        self.cycle = Cycle(self.site, self.resources, self.snapshot, 3000, 10000)
        self.dead_ms = dead_ms
        self.latency_ms = latency_ms
        self.meter_ms = meter_ms
        self.ms = 0
        self.load_w = 0
        self.wants_w = [row[4] for row in rows]  # a load takes this, or less when offered less
        self.truth_w = [0] * self.count
        self.dynamic_w = NONE
        self._orders = [deque() for _ in rows]
        self._changed_ms = [0] * self.count
        self._history = deque()
        self.changes = []  # (ms, commands) whenever a command changed
        self.peaks_w = []

    def total_w(self):
        return self.load_w + sum(self.truth_w)

    def step(self):
        self.ms += STEP_MS
        self._move_devices()
        self._history.append((self.ms, self.total_w()))
        self._read_devices()
        is_new = self.ms % self.meter_ms == 0
        if is_new:
            shown_w = self._shown_w()
            self.snapshot.axis_w[0] = self.snapshot.axis_w[1] = shown_w
        before = list(self.resources.command_w)
        self.cycle.limits.update(True, self.dynamic_w, NONE, NONE, NONE)
        self.cycle.step(is_new, at(self.ms))
        self._send(before)

    def run(self, ms):
        for _ in range(ms // STEP_MS):
            self.step()

    def _move_devices(self):
        for index, orders in enumerate(self._orders):
            while orders and orders[0][0] <= self.ms:
                self.truth_w[index] = min(orders.popleft()[1], self.wants_w[index])

    def _read_devices(self):
        resources = self.resources
        for index in range(self.count):
            if (self.ms + 130 * index) % 1000 < STEP_MS:
                resources.power_w[index] = self.truth_w[index]
            age_ms = self.ms - self._changed_ms[index]
            if resources.in_flight[index] and age_ms >= self.dead_ms + self.latency_ms + 1100:
                resources.in_flight[index] = 0

    def _shown_w(self):
        while len(self._history) > 1 and self._history[1][0] <= self.ms - self.latency_ms:
            self._history.popleft()
        return self._history[0][1]

    def _send(self, before):
        after = list(self.resources.command_w)
        for index in range(self.count):
            if after[index] != before[index]:
                self._orders[index].append((self.ms + self.dead_ms, after[index]))
                self._changed_ms[index] = self.ms
        if after != before:
            self.changes.append((self.ms, after))


def vehicles(count, high_w=7360, min_w=1380):
    return [evse(1, high_w, min_w) for _ in range(count)]

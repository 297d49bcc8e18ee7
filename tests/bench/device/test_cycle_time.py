# SPDX-License-Identifier: MIT
"""Microseconds per control cycle, one meter and eight devices, in whatever runtime this is.

Prints `cycle_us MEAN` for a site with room, `busy_us MEAN` for one where each sample makes the
commands move. Run by tests/bench/speed.py; nothing is judged.
"""

import time

from firmline.core import snapshot as core
from firmline.core.cycle import Cycle

CYCLES = 300
ROUNDS = 5


def _now_us():
    if hasattr(time, "perf_counter_ns"):
        return time.perf_counter_ns() // 1000
    return time.ticks_us() if hasattr(time, "ticks_us") else time.ticks_ms() * 1000


def _site():
    site = core.Site(3, 2300, 40000, 10000, 63 * 230)
    site.ceiling_import_w = site.ceiling_export_w = 43470
    site.ceiling_conductor_w = 63 * 230
    resources = core.Resources(8)
    for index in range(5):
        resources.add(index, core.EVSE, 7, 0, 4140, 11040, 0)
    resources.add(5, core.BATTERY, 7, -10000, 0, 10000, 0)
    resources.add(6, core.PV, 7, -10000, 0, 0, -3000)
    resources.add(7, core.RELAY, 1, 0, 3000, 3000, 0)
    for index in range(8):
        resources.is_online[index] = 1
        resources.wants[index] = 1
    return site, resources


def _mean_us(swing_w):
    site, resources = _site()
    snapshot = core.Snapshot()
    cycle = Cycle(site, resources, snapshot, 600, 2000)
    best = None
    now_ms = 0
    for _ in range(ROUNDS):
        started_us = _now_us()
        for count in range(CYCLES):
            now_ms += 100
            load_w = 15000 + (swing_w if count & 1 else 0)
            for index in range(8):
                resources.power_w[index] = resources.command_w[index]
                resources.in_flight[index] = 0
                load_w += resources.command_w[index]
            snapshot.axis_w[0] = load_w
            snapshot.axis_w[1] = snapshot.axis_w[2] = snapshot.axis_w[3] = load_w // 3
            cycle.step(True, now_ms)
        took_us = (_now_us() - started_us) / CYCLES
        best = took_us if best is None else min(best, took_us)
    return best


def test_cycle_time():
    print("cycle_us", _mean_us(0))
    print("busy_us", _mean_us(9000))

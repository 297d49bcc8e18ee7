# SPDX-License-Identifier: MIT
"""main.py of the budget run: the unmodified controller, each poll timed on the chip.

Prints one line `FIGURES {json}` after SECONDS of running. The placeholder SECONDS is filled in by
tests/bench/pico_budget.py. Times are microseconds. The clock's own cost, two calls around
each poll, is measured first and taken off.
"""

import gc
import json
import time
from array import array

gc.collect()
bare_bytes = gc.mem_alloc()  # MicroPython and this file

from firmline import app  # noqa: E402
from firmline.core.units import TICKS_MASK  # noqa: E402

SECONDS = 60
KINDS = ("choose", "receive", "send", "cycle", "cycle_send")
KEEP = 600  # times of each kind that the median is taken from
WARM_MS = 3000  # what happens before counts as starting up

imported_us = time.ticks_us()


class Times:
    """The worst of all, and the newest KEEP."""

    def __init__(self):
        self.worst = 0
        self.count = 0
        self._kept = array("H", [0] * KEEP)

    def add(self, took_us):
        self._kept[self.count % KEEP] = min(took_us, 65535)
        self.count += 1
        if took_us > self.worst:
            self.worst = took_us

    def figures(self):
        kept = sorted(self._kept[: min(self.count, KEEP)])
        if not kept:
            return None
        return {
            "count": self.count,
            "median": kept[len(kept) // 2],
            "p99": kept[len(kept) * 99 // 100],
            "worst": self.worst,
        }


class CycleClock:
    """Stands in for hardware.ticks_us, which the controller reads before and after each cycle."""

    def __init__(self):
        self.times = None
        self._start_us = -1

    def ticks_us(self):
        now_us = time.ticks_us() & TICKS_MASK
        if self._start_us < 0:
            self._start_us = now_us
        else:
            if self.times is not None:
                self.times.add(time.ticks_diff(now_us, self._start_us))
            self._start_us = -1
        return now_us


def clock_cost_us():
    start_us = time.ticks_us()
    for _ in range(100):
        time.ticks_diff(time.ticks_us(), time.ticks_us())
    return time.ticks_diff(time.ticks_us(), start_us) // 100


def heap():
    """(bytes in use, bytes free, microseconds of the collection)."""
    start_us = time.ticks_us()
    gc.collect()
    took_us = time.ticks_diff(time.ticks_us(), start_us)
    return gc.mem_alloc(), gc.mem_free(), took_us


def kind_of(controller, sent_before, cycles_before, has_bytes):
    sent = 0
    for bus in controller.buses:
        sent += bus.master.bytes_sent
    if controller.supervisor.cycles != cycles_before:
        return 4 if sent != sent_before else 3
    return 2 if sent != sent_before else 1 if has_bytes else 0


def sent_bytes(controller):
    sent = 0
    for bus in controller.buses:
        sent += bus.master.bytes_sent
    return sent


def poll_again(hardware, controller, times, cost_us):
    """A poll right after another finds nothing to do: what an idle one costs. Not when bytes have
    come meanwhile."""
    for port in hardware._ports:
        if port.any() >= port.wanted:
            return
    now_ms = hardware.ticks_ms()
    cycles = controller.supervisor.cycles
    sent = sent_bytes(controller)
    begin_us = time.ticks_us()
    controller.poll(now_ms)
    took_us = time.ticks_diff(time.ticks_us(), begin_us) - cost_us
    if controller.supervisor.cycles == cycles and sent_bytes(controller) == sent:
        times.add(took_us)


def run(hardware, controller, clock, cost_us):
    first_us = 0
    sample_us = 0
    command_us = 0
    gc.threshold(-1)  # as hardware.run does: or this file's own frames make a collection due
    before = heap()
    times = [Times() for _ in KINDS]
    again = Times()
    cycle_times = Times()
    own_bytes = heap()[0] - before[0]
    start_ms = time.ticks_ms()
    allocated = -1
    while True:
        elapsed_ms = time.ticks_diff(time.ticks_ms(), start_ms)
        if elapsed_ms > SECONDS * 1000:
            break
        if clock.times is None and elapsed_ms > WARM_MS:
            clock.times = cycle_times
            gc.collect()
            allocated = gc.mem_alloc()
        cycles = controller.supervisor.cycles
        sent = sent_bytes(controller)
        has_bytes = False
        for port in hardware._ports:
            if port.any() >= port.wanted:
                has_bytes = True
        begin_us = time.ticks_us()
        wait_ms = controller.poll(hardware.ticks_ms())
        took_us = time.ticks_diff(time.ticks_us(), begin_us) - cost_us
        if not first_us:
            first_us = time.ticks_us()
        if not sample_us and controller.meter.samples and controller.cycle.mode != 0:
            sample_us = time.ticks_us()
        if not command_us and sample_us:
            for link in controller.links:
                if link is not None and link.settled():
                    command_us = time.ticks_us()
        if elapsed_ms > WARM_MS:
            times[kind_of(controller, sent, cycles, has_bytes)].add(took_us)
            poll_again(hardware, controller, again, cost_us)
        hardware._rest(wait_ms)
    allocated = gc.mem_alloc() - allocated
    hardware._alive = 1 << 20  # the dead-man sleeps from here on: printing takes its time
    after = heap()
    figures = {kind: times[k].figures() for k, kind in enumerate(KINDS)}
    figures["again"] = again.figures()
    figures["control_cycle"] = cycle_times.figures()
    figures["worst_cycle_us"] = controller.worst_cycle_us
    figures["imported_us"] = imported_us
    figures["first_cycle_us"] = first_us
    figures["first_sample_us"] = sample_us
    figures["first_command_taken_us"] = command_us
    figures["bare_bytes"] = bare_bytes
    figures["heap_used_at_start"] = before[0] - bare_bytes
    figures["heap_free_at_start"] = before[1]
    figures["heap_used_at_end"] = after[0] - own_bytes - bare_bytes
    figures["allocated_while_running"] = allocated
    figures["gc_pause_us"] = after[2]
    figures["cycles"] = controller.supervisor.cycles
    figures["late_cycles"] = controller.supervisor.late_cycles
    print("FIGURES", json.dumps(figures))


def open_hardware():
    from firmline.hal import detect  # not kept, as in the real main.py

    return detect.open_hardware([])


def main():
    hardware = open_hardware()
    controller, cause = app.start(hardware)
    if controller is None:
        print("NOT STARTED", cause)
    clock = CycleClock()
    hardware.ticks_us = clock.ticks_us  # not for the buses: they have the real one
    run(hardware, controller, clock, clock_cost_us())
    while True:
        hardware.feed_watchdog()
        hardware._rest(500)


main()

# SPDX-License-Identifier: MIT
"""main.py of the profile run: every method of the controller's classes counted and timed.

Prints `METHOD name calls total worst own` lines after SECONDS of running, in microseconds; own is
the total without the methods called from there. What the timing itself costs is measured on
an empty function and taken off, to a few percent. The worst times hold garbage collections, which
the timing itself causes.
"""

import gc
import sys
import time
from array import array

from firmline import app
from firmline.boards import pico
from firmline.hal import detect
from firmline.services.config import load

SECONDS = 30
WARM_MS = 3000
MOST = 300
PACKAGES = (
    "firmline.app",
    "firmline.core",
    "firmline.services",
    "firmline.modbus",
    "firmline.devices",
)

names = []
calls = array("i", [0] * MOST)
total = array("i", [0] * MOST)
own = array("i", [0] * MOST)
worst = array("i", [0] * MOST)
begun_us = array("i", [0] * 40)  # per depth: when, timing until then, time of the callees
before_us = array("i", [0] * 40)
callees_us = array("i", [0] * 40)
depth = 0
inner_us = 0  # what the two clock readings see of the timing itself
outer_us = 0  # what the caller sees of it besides
overhead_us = 0  # of all timing so far
clock = time.ticks_us


def enter():
    global depth
    depth += 1
    callees_us[depth] = 0
    before_us[depth] = overhead_us
    begun_us[depth] = clock()


def leave(slot):
    global depth, overhead_us
    took_us = time.ticks_diff(clock(), begun_us[depth]) - inner_us
    took_us -= overhead_us - before_us[depth]
    own[slot] += took_us - callees_us[depth]
    depth -= 1
    callees_us[depth] += took_us
    overhead_us += inner_us + outer_us
    calls[slot] += 1
    total[slot] += took_us
    if took_us > worst[slot]:
        worst[slot] = took_us


def timed(function, name, count):
    """`function` of `count` arguments, timed. Each wrapper is small enough for its frame to fit
    the stack: one on the heap takes 0.4 ms."""
    slot = len(names)
    names.append(name)

    def call1(a):
        enter()
        result = function(a)
        leave(slot)
        return result

    def call2(a, b):
        enter()
        result = function(a, b)
        leave(slot)
        return result

    def call3(a, b, c):
        enter()
        result = function(a, b, c)
        leave(slot)
        return result

    if count == 1:
        return call1
    return call2 if count == 2 else call3


def classes():
    """Every class of the controller that is loaded, once."""
    found = []
    for name in sorted(sys.modules):
        if name.startswith(PACKAGES):
            for value in sys.modules[name].__dict__.values():
                if isinstance(value, type) and value not in found and hasattr(value, "__dict__"):
                    found.append(value)
    return found


def instrument():
    """arguments.txt: lines `Class.method count`, made by tests/bench/pico_budget.py. Methods of
    more than three arguments count as their callers' own time."""
    owners = classes()
    with open("arguments.txt") as file:
        for line in file:
            name, count = line.split()
            owner, method = name.split(".")
            for each in owners:
                if each.__name__ == owner and method in each.__dict__ and len(names) < MOST:
                    function = each.__dict__[method]
                    setattr(each, method, timed(function, name, int(count)))


def calibrate():
    """Cost of timing: seen inside, and seen by the caller."""
    global inner_us, outer_us

    def empty(a, b):
        pass

    call = timed(empty, "empty", 2)
    slot = len(names) - 1
    bare_us = full_us = seen_us = 1000000
    for _ in range(20):  # the least: USB and the collector come in between now and then
        start_us = clock()
        for _ in range(20):
            empty(1, 2)
        bare_us = min(bare_us, time.ticks_diff(clock(), start_us))
        total[slot] = 0
        start_us = clock()
        for _ in range(20):
            call(1, 2)
        took_us = time.ticks_diff(clock(), start_us)
        if took_us < full_us:
            full_us = took_us
            seen_us = total[slot]
    inner_us = (seen_us - bare_us) // 20
    outer_us = (full_us - seen_us) // 20
    print("timing costs", inner_us, "+", outer_us, "us; an empty call", bare_us // 20)


def main():
    calibrate()
    gc.threshold(2048)  # the wrappers stay for good: close together, please
    instrument()
    # So slow a controller would drop the driver enable too late: as if the transceiver had none.
    pico.UARTS = {name: uart[:3] + (None,) for name, uart in pico.UARTS.items()}
    hardware = detect.open_hardware([])
    controller = app.Controller(load(hardware.read_config()), hardware)
    gc.collect()
    gc.threshold(-1)
    start_ms = time.ticks_ms()
    is_warm = False
    while time.ticks_diff(time.ticks_ms(), start_ms) < SECONDS * 1000:
        if not is_warm and time.ticks_diff(time.ticks_ms(), start_ms) > WARM_MS:
            is_warm = True
            for k in range(MOST):
                calls[k] = total[k] = worst[k] = own[k] = 0
        wait_ms = controller.poll(hardware.ticks_ms())
        hardware._rest(wait_ms)
    for k in range(len(names)):
        if calls[k]:
            print("METHOD", names[k], calls[k], total[k], worst[k], own[k])
    print("END")
    while True:
        hardware.feed_watchdog()
        hardware._rest(1000)


main()

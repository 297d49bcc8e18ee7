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
MOST = 330
PACKAGES = (
    "firmline.app",
    "firmline.core",
    "firmline.services",
    "firmline.modbus",
    "firmline.devices",
)
FUNCTIONS = ("modbus.crc.crc16", "devices.fields.decode", "devices.fields.float_scaled")

names = []
calls = array("i", [0] * MOST)
total = array("i", [0] * MOST)
own = array("i", [0] * MOST)
worst = array("i", [0] * MOST)
stack = array("i", [0] * 40)  # time of the callees, per depth
depth = 0
inner_us = 0  # what the two clock readings see of the timing itself
overhead_us = 0  # of all timing so far
outer_us = 0  # what the caller sees of it besides


def timed(function, name):
    slot = len(names)
    names.append(name)
    clock = time.ticks_us
    diff = time.ticks_diff

    def call(*arguments):
        global depth, overhead_us
        depth += 1
        stack[depth] = 0
        before_us = overhead_us
        start_us = clock()
        result = function(*arguments)
        took_us = diff(clock(), start_us) - inner_us - (overhead_us - before_us)
        callees_us = stack[depth]
        depth -= 1
        stack[depth] += took_us
        overhead_us += inner_us + outer_us
        calls[slot] += 1
        total[slot] += took_us
        own[slot] += took_us - callees_us
        if took_us > worst[slot]:
            worst[slot] = took_us
        return result

    return call


def module_of(path):
    __import__("firmline." + path)
    return sys.modules["firmline." + path]


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
    for owner in classes():
        for method in list(owner.__dict__):
            function = owner.__dict__[method]
            if method[:2] != "__" and type(function) is type(timed) and len(names) < MOST:
                setattr(owner, method, timed(function, owner.__name__ + "." + method))
    for path in FUNCTIONS:
        module, name = path.rsplit(".", 1)
        function = getattr(module_of(module), name, None)
        if function is not None:
            wrapped = timed(function, name)
            for other in list(sys.modules.values()):
                if getattr(other, name, None) is function:
                    setattr(other, name, wrapped)


def calibrate():
    """Cost of timing: seen inside, and seen by the caller."""
    global inner_us, outer_us

    def empty(a, b):
        pass

    call = timed(empty, "empty")
    slot = len(names) - 1
    clock = time.ticks_us
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
    gc.threshold(-1)
    calibrate()
    instrument()
    gc.collect()
    # So slow a controller would drop the driver enable too late: as if the transceiver had none.
    pico.UARTS = {name: uart[:3] + (None,) for name, uart in pico.UARTS.items()}
    hardware = detect.open_hardware([])
    controller = app.Controller(load(hardware.read_config()), hardware)
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

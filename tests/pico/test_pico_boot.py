# SPDX-License-Identifier: MIT
"""The start, the dead-man and the crash loop on the chip: the firmware's own files, no devices."""

import json

import pytest

from hil.targets.pico import image
from host_tools import unfold

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TRIP, RELAY = 9, 8
CONFIG = {
    "schema": 1,
    "board": "pico",
    "site": {
        "phases": 1,
        "voltage_v": 230,
        "service_a": 63,
        "firm_import_w": 9000,
        "firm_export_w": 0,
    },
    "buses": [{"port": "uart0"}],
    "devices": [
        {"name": "grid", "type": "eastron_sdm630", "unit": 1},
        {"name": "heater", "type": "relay_output", "pin": RELAY, "load_w": 2000},
        {"name": "trip", "type": "trip_output", "pin": TRIP},
    ],
}
START = """
import sys, time
from firmline import app

def open_hardware():
    from firmline.hal import detect
    return detect.open_hardware([])

hardware = open_hardware()
WORD = hardware.marker()

def say(*what):
    while time.ticks_ms() < 2500:  # the console over USB is not there before
        time.sleep_ms(10)
    print(*what)
    time.sleep_ms(100)

def cause():
    with open("cause.txt") as file:
        return file.read()
"""


@pytest.fixture
def start(boot):
    """start(main, config, seconds) -> (chip, events) of the firmware with that end of main.py."""

    def begin(main, seconds, config=CONFIG):
        files = image.firmware_files(json.dumps(config) if config else "")
        if config is None:
            del files["config.json"]
        source = START + main if main else files["main.py"].decode()
        del files["main.py"]
        chip = boot(source, files, (RELAY, TRIP))
        events = []
        while chip.now_us < seconds * 1e6:
            events += chip.run(seconds * 1e6)
        return chip, events

    return begin


def console(events):
    return "".join(event[2] for event in events if event[0] == "text")


def resets(events):
    return [event[1] for event in events if event[0] == "reset"]


def pins(events, pin):
    return [(event[1], event[3]) for event in events if event[0] == "pin" and event[2] == pin]


HANG = """
def run(controller):
    while time.ticks_ms() < 3000:
        controller.poll(hardware.ticks_ms())
        time.sleep_ms(1)
    while True:
        pass

hardware.run = run
if WORD & 0xFF == 0:
    app.main(hardware)
controller, _ = app.start(hardware)
say("START", controller.start_cause, hex(WORD), hex(hardware.marker()), cause())
"""


def test_a_hang_opens_the_trip_output_before_the_watchdog_resets(start):
    _, events = start(HANG, 10)

    (_, off), (on_us, on), (open_us, level), *_ = pins(events, TRIP)
    fed_us = resets(events)[0] - 4_000_000
    assert (off, on, level) == (0, 1, None)  # None: nothing drives it
    assert on_us < 2_500_000
    assert 2_850_000 <= fed_us <= 3_010_000
    assert 890_000 <= open_us - fed_us <= 1_010_000
    said = console(events)
    assert "START 2 0xb5a0001 0xb5a0002 start: the watchdog has reset the chip" in said


COMES_BACK = """
def run(controller):
    while time.ticks_ms() < 3000:
        controller.poll(hardware.ticks_ms())
        time.sleep_ms(1)
    time.sleep_ms(1500)
    while time.ticks_ms() < 6000:
        controller.poll(hardware.ticks_ms())

hardware.run = run
if WORD & 0xFF == 0:
    app.main(hardware)
say("START", hex(WORD), hardware.reset_cause(), cause())
"""


def test_a_program_that_comes_back_after_the_dead_man_is_stopped(start):
    _, events = start(COMES_BACK, 8)

    assert [level for _, level in pins(events, TRIP)][:3] == [0, 1, None]
    assert len(resets(events)) == 1 and resets(events)[0] < 5_000_000
    said = console(events)
    assert "START 0xb5a0201 2 stopped: RuntimeError" in said
    assert "dead-man" in said
    assert "Hardware.feed_watchdog" in unfold.readable(said, unfold.own_names())
    assert 1 not in [level for t_us, level in pins(events, TRIP) if t_us > 4_000_000]


INTERRUPT_ENDS = """
def run(controller):
    while True:
        if time.ticks_ms() > 3000:
            hardware._timer.deinit()  # as MicroPython does when its callback has failed
        controller.poll(hardware.ticks_ms())
        time.sleep_ms(1)

hardware.run = run
if WORD & 0xFF == 0:
    app.main(hardware)
say("START", hex(WORD), hardware.reset_cause(), cause())
"""


def test_a_dead_man_whose_interrupt_has_ended_stops_the_program(start):
    _, events = start(INTERRUPT_ENDS, 8)

    (_, off), (_, on), (open_us, level), *_ = pins(events, TRIP)
    assert (off, on, level) == (0, 1, None)
    assert 3_900_000 < open_us < 4_300_000
    said = console(events)
    assert "START 0xb5a0201 2 stopped: RuntimeError('dead-man: its interrupt has stopped" in said


EMERGENCY = """
def run(controller):
    head_end = controller.head_end
    while True:
        controller.poll(hardware.ticks_ms())
        if time.ticks_ms() > 2600:
            head_end.heartbeat(hardware.ticks_ms())
            head_end.set_emergency(1234, 0, 900, hardware.ticks_ms())
            while True:
                pass

hardware.run = run
if WORD & 0xFF == 0:
    app.main(hardware)
controller, _ = app.start(hardware)
controller.poll(hardware.ticks_ms())
limits = controller.cycle.limits
say("START", limits.high_w[0], limits.low_w[0], controller.head_end.emergency_left_ms > 880000)
"""


def test_an_emergency_limit_outlives_the_watchdog(start):
    _, events = start(EMERGENCY, 12)

    assert len(resets(events)) == 1
    assert "START 1234 0 True" in console(events)


FAILS = """
def run(controller):
    raise ValueError("boom")

hardware.run = run
app.main(hardware)
"""


def test_a_program_that_fails_at_each_start_ends_in_safe_mode(start):
    chip, events = start(FAILS, 16)

    assert len(resets(events)) == 5
    assert console(events).count("firmline: safe mode: start: 5 starts in a row") == 1
    last = resets(events)[-1]
    assert not [t_us for pin in (TRIP, RELAY) for t_us, level in pins(events, pin) if level]
    assert chip.now_us - last > 4_500_000  # it stays there, longer than a watchdog would let it
    assert chip.counts()["flash_writes"] < 20  # two causes, each written once


RESTART = """
if WORD & 0x300:
    controller, _ = app.start(hardware)
    say("START", controller.start_cause, hex(WORD), hex(hardware.marker()))
else:
    app.start(hardware)
    hardware.restart()
"""


def test_a_restart_that_was_asked_for_is_told_from_a_hang(start):
    _, events = start(RESTART, 6)

    assert len(resets(events)) == 1
    assert "START 3 0xb5a0100 0xb5a0001" in console(events)


def test_the_real_main_without_a_configuration_is_in_safe_mode_and_says_why(start):
    _, events = start(None, 5, None)

    assert not resets(events)
    assert "firmline: safe mode: " in console(events)
    assert "config.json" in console(events)
    assert not [event for event in events if event[0] == "tx"]


KEPT = """
controller, _ = app.start(hardware)
kept = [name for name in sys.modules if name.startswith("firmline.services.c")]
kept += [name for name in sys.modules if name.startswith("firmline.devices.m")]
controller.poll(hardware.ticks_ms())
import gc
gc.collect()
say("KEPT", kept, gc.mem_alloc())
"""


def test_what_only_the_start_needs_is_gone(start):
    _, events = start(KEPT, 3)

    said = console(events)
    assert "KEPT ['firmline.devices.measured'] " in said
    assert (
        int(said.split("measured'] ")[1].split()[0]) < 100_000
    )  # a small site, MicroPython included

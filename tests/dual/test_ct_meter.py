# SPDX-License-Identifier: MIT
"""A controller whose meter is CTs on its own converter: samples, freshness, faults that are told,
work in pieces, and no allocation."""

import json
import math
from array import array

from alloc_site import CONFIG, FakeHardware, make_machine_code
from sites import FALLBACK, MASK, NORMAL, START_MS

from firmline.app import Controller
from firmline.services.config import load
from firmline.services.ct_meter import E_METER_FAULT

try:
    import micropython
except ImportError:
    micropython = None


class SkipTest(Exception):
    pass


class FakeConverter:
    """Sine waves of 64 samples. A window is full when the test says so."""

    def __init__(self, inputs):
        self.slots = 4 if inputs == 3 else inputs
        self.samples = array("H", [2048] * (512 * self.slots))
        self.is_full = False
        self.overruns = 0
        self.taken = 0

    def show(self, counts, offset=2048):
        """counts: RMS of each input, negative where it is in antiphase."""
        for k in range(len(counts)):
            amplitude = counts[k] * math.sqrt(2)
            for at in range(64):
                angle = 2 * math.pi * (at + k / self.slots) / 64
                value = int(offset + amplitude * math.sin(angle) + 0.5)
                for group in range(at, 512, 64):
                    self.samples[group * self.slots + k] = value
        self.is_full = True

    def window(self):
        if not self.is_full:
            return -1
        self.is_full = False
        self.taken += 1
        return 0

    def is_intact(self):
        return True


class CtHardware(FakeHardware):
    def __init__(self):
        FakeHardware.__init__(self)
        self.adc = None
        self.asked = None

    def open_adc(self, inputs, mains_hz):
        self.asked = (inputs, mains_hz)
        self.adc = FakeConverter(inputs)
        return self.adc


class Site:
    """Split phase, CTs of 100 A / 333 mV and a voltage; a relay of 3 kW."""

    def __init__(self, hardware=None):
        config = json.loads(json.dumps(CONFIG))
        config["site"].update({"phases": 2, "voltage_v": 120, "service_a": 100, "firm_a": 80})
        config["site"].update({"firm_import_w": 9000, "worst_case_load_w": 8000})
        config["devices"][0] = {
            "name": "grid",
            "type": "ct_input",
            "rated_a": 100,
            "rated_mv": 333,
            "voltage_mv": 600,
            "mains_hz": 60,
        }
        self.hardware = hardware or CtHardware()
        self.controller = Controller(load(json.dumps(config)), self.hardware)
        self.adc = self.hardware.adc
        self.meter = self.controller.meter
        self.now_ms = START_MS

    def counts(self, l1_w, l2_w, volts=120):
        """RMS at each input: 100 A are 333 mV, 120 V are 600 mV, 3.3 V are 4,096 counts."""
        a = [w * 333 * 4096 // (100 * 120 * 3300) for w in (l1_w, l2_w)]
        return [a[0], -a[1], volts * 600 * 4096 // (120 * 3300)]

    def run(self, ms):
        end_ms = self.now_ms + ms
        while self.now_ms < end_ms:
            self.controller.poll(self.now_ms & MASK)
            self.now_ms += 1

    def faults_told(self):
        return [value for _, _, code, value in self.controller.events if code == E_METER_FAULT]


def near(value, wanted, off):
    return abs(value - wanted) <= off


def test_the_converter_gets_an_input_for_each_leg_and_one_for_the_voltage():
    assert Site().hardware.asked == (3, 60)


def test_a_window_becomes_a_sample_of_the_site():
    site = Site()
    site.adc.show(site.counts(4000, -1500))
    site.run(30)
    assert site.meter.samples == 1
    assert near(site.meter.l_w[0], 4000, 40)
    assert near(site.meter.l_w[1], -1500, 40)
    axis_w = site.controller.snapshot.axis_w
    assert near(axis_w[0], 2500, 60)
    assert near(axis_w[1], 4000, 40)
    assert near(axis_w[2], -1500, 40), "a conductor carries the sign of its power"
    assert near(site.meter.l_dv[0], 1200, 6)
    assert site.controller.cycle.mode == NORMAL


def test_a_window_is_worked_off_in_pieces():
    site = Site()
    site.adc.show(site.counts(4000, 1500))
    while site.adc.taken == 0:
        site.run(1)
    pieces = 0
    while site.meter.samples == 0:
        assert site.meter.wait_ms(site.now_ms & MASK) == 1
        site.run(1)
        pieces += 1
    assert 3 <= pieces <= 6  # three inputs, two products, the end; two a poll where a cycle runs


def test_between_windows_the_converter_is_left_alone():
    site = Site()
    site.adc.show(site.counts(1000, 1000))
    site.run(20)
    assert 100 < site.meter.wait_ms(site.now_ms & MASK) <= 132
    site.run(200)
    assert site.meter.wait_ms(site.now_ms & MASK) == 1, "it is late: looked for at each poll"


def test_a_converter_that_stops_ends_in_fallback():
    site = Site()
    for _ in range(5):
        site.adc.show(site.counts(1000, 1000))
        site.run(133)
    assert site.controller.cycle.mode == NORMAL
    site.run(2100)
    assert site.controller.cycle.mode == FALLBACK


def test_a_plug_that_is_out_is_told_once_and_is_no_sample():
    site = Site()
    site.adc.show(site.counts(1000, 1000))
    site.run(133)
    for _ in range(20):
        site.adc.show((10, 10, 10), 3900)
        site.run(133)
    assert site.meter.samples == 1
    assert site.controller.cycle.mode == FALLBACK
    assert site.faults_told() == [0o511]  # open, each; the voltage is not there either
    for _ in range(7):
        site.adc.show(site.counts(1000, 1000))
        site.run(133)
    assert site.meter.samples == 8
    assert site.faults_told() == [0o511]
    site.adc.show(site.counts(1000, 1000))
    site.run(133)
    assert site.faults_told() == [0o511, 0]


def test_a_loose_plug_does_not_fill_the_log():
    site = Site()
    for k in range(40):
        if k % 2:
            site.adc.show(site.counts(1000, 1000))
        else:
            site.adc.show((10, 10, 10), 3900)
        site.run(133)
    assert site.faults_told() == [0o511]
    assert site.meter.samples == 20


def test_hardware_without_such_a_converter_is_refused():
    try:
        Site(FakeHardware())
    except OSError as error:
        assert "test cannot sample by itself: use a Modbus meter" in str(error)
        return
    raise AssertionError("not refused")


def test_the_bus_asks_its_devices_and_no_meter():
    site = Site()
    for _ in range(10):
        site.adc.show(site.counts(1000, 1000))
        site.run(133)
    assert len(site.controller.buses) == 2
    assert site.controller.buses[0].meter_index == -1
    assert site.controller.meter is site.controller.buses[1]
    assert site.hardware.ports["uart0"].sent_n > 0


def test_lost_windows_count_as_errors_of_a_bus():
    site = Site()
    site.run(300)
    before = site.controller.telemetry.values[28]
    site.adc.overruns = 3
    site.run(300)
    assert site.controller.telemetry.values[28] >= before + 3


def windows_of(site):
    """(counts, offset) of windows: usual ones, a fault, a small one."""
    return (
        (site.counts(4000, -1500), 2048),
        (site.counts(9000, 8000), 2048),
        ((10, 10, 10), 3900),
        (site.counts(200, 100), 2048),
    )


def test_a_poll_never_needs_the_heap():
    if not hasattr(micropython, "heap_lock"):
        raise SkipTest("no heap_lock here")
    site = Site()
    shown = windows_of(site)
    for k in range(16):
        counts, offset = shown[k % 4]
        site.adc.show(counts, offset)
        for _ in range(133):
            micropython.heap_lock()
            site.controller.poll(site.now_ms & MASK)
            micropython.heap_unlock()
            site.now_ms += 1
    assert site.meter.samples > 5
    assert site.faults_told() == [0o511]


def test_windows_allocate_zero_bytes():
    if not hasattr(micropython, "mem_total"):
        raise SkipTest("no mem_total here: the locked heap has to do")
    make_machine_code()
    site = Site()
    shown = windows_of(site)
    grown = 0
    for k in range(16):
        counts, offset = shown[k % 4]
        site.adc.show(counts, offset)
        for _ in range(133):
            before = micropython.mem_total()
            site.controller.poll(site.now_ms)
            grown += micropython.mem_total() - before
            site.now_ms = (site.now_ms + 1) & MASK
    assert site.meter.samples > 5
    assert grown == 0, grown

# SPDX-License-Identifier: MIT
"""A whole site on fake wires for the controller tests: meter, two EVSEs, battery, PV, relay, trip
output and a head-end. The controller's frames are real; what it writes changes what it measures.

Ports only copy bytes while the controller runs; replies are made between polls by `answer`.
"""

import json
import struct

from sites import MASK, START_MS, Lcg

from firmline.app import Controller
from firmline.modbus.crc import crc16
from firmline.services.config import load

METER = 1
EVSE_A = 11
EVSE_B = 12
BATTERY = 21
PV = 31
HEAD_END = 1

CONFIG = {
    "schema": 1,
    "site": {
        "phases": 3,
        "voltage_v": 230,
        "service_a": 63,
        "firm_import_w": 25000,
        "firm_export_w": 5000,
        "worst_case_load_w": 12000,
    },
    "timing": {
        "hold_ms": 600,
        "fallback_ms": 2000,
        "raise_delay_ms": 3000,
        "resume_delay_ms": 4000,
        "rotation_s": 30,
    },
    "buses": [{"port": "uart0", "baud": 115200}],
    "head_end": {"port": "uart1", "baud": 115200, "unit": HEAD_END, "timeout_s": 15},
    "devices": [
        {"name": "pcc", "type": "eastron_sdm630", "unit": METER},
        {"name": "a", "type": "abb_terra_ac", "unit": EVSE_A, "max_a": 32, "settle_ms": 1500},
        {"name": "b", "type": "abb_terra_ac", "unit": EVSE_B, "max_a": 32, "settle_ms": 1500},
        {
            "name": "battery",
            "type": "sunspec_battery_704",
            "unit": BATTERY,
            "max_charge_w": 5000,
            "max_discharge_w": 5000,
            "policy": "self_consumption",
        },
        {"name": "pv", "type": "sunspec_pv_704", "unit": PV, "rated_w": 9000, "fallback_w": 2000},
        {"name": "heater", "type": "relay_output", "pin": 5, "load_w": 3000, "min_off_s": 5},
        {"name": "trip", "type": "trip_output", "pin": 6},
    ],
}


class CopyPort:
    """What the controller sees. Nothing here allocates after construction."""

    def __init__(self):
        self.sent = bytearray(256)
        self.sent_n = 0
        self._received = bytearray(256)
        self._received_n = 0
        self._read = 0

    def write(self, buf, n):
        for k in range(n):
            self.sent[k] = buf[k]
        self.sent_n = n

    def any(self):
        return self._received_n - self._read

    def readinto(self, buf, n):
        for k in range(n):
            buf[k] = self._received[self._read + k]
        self._read += n
        return n

    def tx_done(self):
        return True

    def take(self):
        """The frame that was sent since the last call, b"" if none; not for the hot path."""
        frame = bytes(self.sent[: self.sent_n])
        self.sent_n = 0
        return frame

    def arrive(self, frame):
        """Replaces what nobody has read yet."""
        for k in range(len(frame)):
            self._received[k] = frame[k]
        self._received_n = len(frame)
        self._read = 0


class FakeOutput:
    def __init__(self):
        self.is_on = None
        self.changes = 0
        self.stuck = None  # what its contact is at, whatever it is told

    def set(self, on):
        if on != self.is_on:
            self.changes += 1
        self.is_on = on

    def readback(self):
        return self.is_on if self.stuck is None else self.stuck


class FakeHardware:
    model = "test"
    serial = "1"

    def __init__(self):
        self.ports = {}
        self.outputs = {}
        self.feeds = 0
        self.guarded = None
        self.word = None
        self.words = [0, 0, 0, 0]
        self._us = MASK - 500000

    def open_port(self, name, baud, is_even):
        self.ports[name] = CopyPort()
        return self.ports[name]

    def open_output(self, pin, active_low, readback_pin):
        self.outputs[pin] = FakeOutput()
        return self.outputs[pin]

    def pass_us(self, us):
        """Below a second; never beyond a small int."""
        self._us = self._us + us if self._us < MASK - us else self._us - MASK + us - 1

    def open_network(self, settings):
        return None

    def ticks_us(self):
        self.pass_us(37)
        return self._us

    def feed_watchdog(self):
        self.feeds += 1

    def guard_outputs(self, outputs, limit_ms):
        self.guarded = (outputs, limit_ms)

    def set_marker(self, word):
        self.word = word

    def kept(self, k):
        return self.words[k]

    def keep(self, k, word):
        self.words[k] = word

    def open_console(self):
        return None

    def is_service(self):
        return False


def sealed(body):
    crc = crc16(bytearray(body), len(body))
    return body + bytes((crc & 0xFF, crc >> 8))


def read_reply(unit, function, words):
    return sealed(bytes((unit, function, 2 * len(words))) + words_to_bytes(words))


def words_to_bytes(words):
    return b"".join([struct.pack(">H", word & 0xFFFF) for word in words])


def float_words(value):
    return list(struct.unpack(">HH", struct.pack(">f", value)))


def long_words(value):
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def write_frame(unit, address, words):
    head = struct.pack(">BBHHB", unit, 16, address, len(words), 2 * len(words))
    return sealed(head + words_to_bytes(words))


def sunspec_map(models):
    """{address: word} of a chain of models, and {id: address}; a model is (id, {offset: word})."""
    words = {40000: 0x5375, 40001: 0x6E53}
    places = {}
    at = 40002
    for model, length, content in models:
        places[model] = at
        words[at] = model
        words[at + 1] = length
        for offset in range(2, length + 2):
            words[at + offset] = content.get(offset, 0)
        at += length + 2
    words[at] = 0xFFFF
    words[at + 1] = 0
    return words, places


def make_machine_code():
    """The loops over arrays become machine code, as on the RP2040: as bytecode their frames, too
    large for the stack, would be taken from the heap and given back at the end of each call. For
    an interpreter with `native`; not undone."""
    import micropython

    from firmline.core import allocator, balance, cycle, guard, ledger, loads, shares, supply
    from firmline.devices import ct, ct_kernel
    from firmline.services import telemetry

    for kernels in (ledger, shares, ct_kernel):
        with open(kernels.__file__) as file:
            source = file.read().replace("\ndef ", "\n@micropython.native\ndef ")
        made = {"micropython": micropython}
        exec(source, made)  # noqa: S102
        for user in (allocator, balance, cycle, guard, loads, supply, telemetry, ct):
            for name in list(user.__dict__):
                if hasattr(kernels, name) and name in made and name[0] != "_" and name != "const":
                    setattr(user, name, made[name])


class Devices:
    """Everything behind the wires. W: > 0 consumes."""

    def __init__(self):
        self.load_w = [1000, 1000, 1000]
        self.sun_w = 5000
        self.offer_ma = {EVSE_A: 0, EVSE_B: 0}
        self.is_plugged = {EVSE_A: True, EVSE_B: True}
        self.heater_w = 0
        self.is_silent = {}
        self.refuses = {}  # answers writes with an exception
        self.is_absurd = False
        self.pv, self._pv_at = sunspec_map(
            (
                (1, 66, {}),
                (701, 153, {116: 0}),
                (702, 50, {26: 9000, 45: 0}),
                (704, 65, {54: 0xFFFE, 15: 10000}),
            )
        )
        self.battery, self._battery_at = sunspec_map(
            ((1, 66, {}), (701, 153, {}), (704, 65, {}), (713, 7, {4: 55}))
        )
        self.writes = 0

    def ev_w(self, unit):
        """A vehicle takes all it is offered from 6 A on, at 230 V on three conductors."""
        if not self.is_plugged[unit] or self.offer_ma[unit] < 6000:
            return 0
        return self.offer_ma[unit] * 69 // 100

    def pv_w(self):
        cap_w = 9000 * self.pv[self._pv_at[704] + 15] // 10000
        return -min(self.sun_w, cap_w)

    def battery_w(self):
        at = self._battery_at[704] + 24
        supplied_w = self.battery[at] << 16 | self.battery[at + 1]
        return -(supplied_w - 0x100000000 if supplied_w & 0x80000000 else supplied_w)

    def phase_w(self, k):
        shared_w = self.ev_w(EVSE_A) + self.ev_w(EVSE_B) + self.pv_w() + self.battery_w()
        return self.load_w[k] + (shared_w + self.heater_w) // 3

    def total_w(self):
        return self.phase_w(0) + self.phase_w(1) + self.phase_w(2)

    def reply_to(self, frame):
        """The reply to one request frame, b"" from a silent or unknown device."""
        unit, function, address, count = struct.unpack(">BBHH", frame[:6])
        if self.is_silent.get(unit):
            return b""
        if function == 16 and self.refuses.get(unit):
            return sealed(bytes((unit, 0x90, 4)))
        if function == 16:
            self.writes += 1
            for k in range(count):
                self._store(unit, address + k, frame[7 + 2 * k] << 8 | frame[8 + 2 * k])
            return sealed(frame[:6])
        return read_reply(unit, function, self._words(unit, address, count))

    def _words(self, unit, address, count):
        if unit == METER:
            return self._meter_words(address)
        if unit == PV or unit == BATTERY:
            words, places = self.pv, self._pv_at
            power_w = self.pv_w()
            if unit == BATTERY:
                words, places = self.battery, self._battery_at
                power_w = self.battery_w()
            words[places[701] + 10] = -power_w & 0xFFFF
            return [words[address + k] for k in range(count)]
        return self._evse_words(unit, address)

    def _meter_words(self, address):
        words = []
        if address == 0:
            return float_words(230.0) * 3
        for k in range(3):
            words += float_words(3e5 if self.is_absurd else abs(self.phase_w(k)) / 230)
        for k in range(3):
            words += float_words(5e8 if self.is_absurd else self.phase_w(k))
        return words

    def _evse_words(self, unit, address):
        if address == 0x4006:
            return long_words(32000)
        state = 0 if not self.is_plugged[unit] else 4 if self.ev_w(unit) else 1
        words = [0, state << 8] + long_words(self.offer_ma[unit])
        for _ in range(3):
            words += long_words(self.ev_w(unit) * 1000 // 690)
        return words + [0] * 6 + long_words(self.ev_w(unit))

    def _store(self, unit, address, word):
        if unit == PV:
            self.pv[address] = word
        elif unit == BATTERY:
            self.battery[address] = word
        elif address == 0x4101:
            self.offer_ma[unit] = self._high << 16 | word
        elif address == 0x4100:
            self._high = word


class Bench:
    """The controller, its devices and its head-end on one clock. changes: of the site;
    edit(config) may change anything else. A second bus is uart2, with the same devices on it."""

    def __init__(self, changes=None, hardware=None, edit=None):
        config = json.loads(json.dumps(CONFIG))
        config["site"].update(changes or {})
        if edit:
            edit(config)
        self.hardware = hardware or FakeHardware()
        self.controller = Controller(load(json.dumps(config)), self.hardware)
        self.devices = Devices()
        self.line = self.hardware.ports["uart0"]
        self.second_line = self.hardware.ports.get("uart2", self.line)
        self.head_end_line = self.hardware.ports["uart1"]
        self.relay = self.hardware.outputs[5]
        self.trip = self.hardware.outputs[6]
        self.ms = 0
        self.now_ms = START_MS
        self.lcg = Lcg(5)

    def answer(self):
        """Between two polls: what was asked is answered; the heater follows its relay."""
        self._answer(self.line)
        self._answer(self.second_line)
        if self.head_end_line.sent_n:
            self.head_end_line.take()
        self.devices.heater_w = 3000 if self.relay.is_on else 0

    def _answer(self, line):
        if line.sent_n:
            reply = self.devices.reply_to(line.take())
            if reply:
                line.arrive(reply)

    def after(self, wait_ms):
        """Let time pass as the controller asked for, a few ms while a reply is under way."""
        if self.line.any() or self.second_line.any() or self.head_end_line.any():
            wait_ms = 2
        self.ms += wait_ms
        self.hardware.pass_us(1000 * wait_ms)
        self.now_ms = (START_MS + self.ms) & MASK

    def write(self, address, words):
        """The head-end writes one block; a new one replaces one that was not read."""
        self.head_end_line.arrive(write_frame(HEAD_END, address, words))

    def heartbeat(self):
        self.write(40225, [self.ms // 1000 & 0xFFFF])

    def dynamic(self, import_w, export_w, duration_s):
        self.write(40226, long_words(import_w) + long_words(export_w) + [duration_s])

    def emergency(self, import_w, export_w, duration_s):
        self.write(40231, long_words(import_w) + long_words(export_w) + [duration_s])

    def read_all(self, address):
        self.head_end_line.arrive(sealed(struct.pack(">BBHH", HEAD_END, 3, address, 100)))

    def run(self, until_ms):
        """Plainly, for tests that look at the outcome."""
        while self.ms < until_ms:
            wait_ms = self.controller.poll(self.now_ms)
            self.answer()
            self.after(wait_ms)

# SPDX-License-Identifier: MIT
"""Hand-written fakes of the plant's elements, reached through the `fakes` fixture."""

import pytest

from hil.line import rtu
from hil.line.line import Line
from hil.world import World


class FakePlant:
    """Constant powers (W: total, L1..L3) until they are set anew; refuses to go back in time."""

    def __init__(self, phases=3, voltage_v=230):
        self.phases = phases
        self.voltage_v = voltage_v
        self.now_us = 0
        self.power_w = [0.0] * 4
        self.energy_ws = [0.0] * 4

    def advance(self, t_us):
        assert t_us >= self.now_us
        for k in range(4):
            self.energy_ws[k] += self.power_w[k] * (t_us - self.now_us) / 1e6
        self.now_us = t_us

    def set(self, t_us, *conductors_w):
        self.advance(t_us)
        self.power_w = [sum(conductors_w), *conductors_w, 0.0, 0.0][:4]


class FakeElement:
    """Notes every command with its time."""

    def __init__(self):
        self.commands = []
        self.power_w = 0.0
        self.energy_ws = 0.0
        self.soc = 0.5
        self.phases = 0b001
        self.plugged = False
        self.wants = False
        self.draw_a = 0.0

    def _note(self, t_us, value):
        self.commands.append((t_us, value))

    offer = cap = setpoint = _note


class Fakes:
    """A world, a plant, and requests answered without a line in between."""

    Plant = FakePlant
    Element = FakeElement

    def __init__(self):
        self.world = World()
        self.plant = FakePlant()

    def at(self, seconds):
        """Let time pass up to `seconds`."""
        self.world.run_until(round(seconds * 1e6))

    def ask(self, device, function, address, count):
        """Registers that the device answers now; an exception as its code, None for silence."""
        frame = rtu.read_request(device.unit, function, address, count)
        reply = device.handle(frame, self.world.now_us)
        if reply is None:
            return None
        assert rtu.is_intact(reply)
        if reply[1] & 0x80:
            return reply[2]
        assert reply[:3] == bytes((device.unit, function, 2 * count))
        return [reply[3 + 2 * k] << 8 | reply[4 + 2 * k] for k in range(count)]

    def tell(self, device, address, *values):
        """Function 16; 0 when it was taken, else the exception code."""
        frame = rtu.write_request(device.unit, address, values)
        reply = device.handle(frame, self.world.now_us)
        assert rtu.is_intact(reply)
        if reply[1] & 0x80:
            return reply[2]
        assert reply[:6] == frame[:6]
        return 0


class EchoDevice:
    """Answers every frame with fixed bytes and notes what it got."""

    def __init__(self, unit=1, name="echo", response_delay_us=10_000, reply=None):
        self.unit = unit
        self.name = name
        self.response_delay_us = response_delay_us
        self.reply = rtu.with_crc(bytes((unit, 3, 2, 0x12, 0x34))) if reply is None else reply
        self.heard = []

    def handle(self, frame, t_us):
        self.heard.append((t_us, frame))
        return self.reply


class Bus:
    """A Line with a receiver that notes (t_us, bytes)."""

    Device = EchoDevice

    def __init__(self, **options):
        self.world = World()
        self.line = Line(self.world, **{"baud": 19200, **options})
        self.got = []
        self.line.on_receive = lambda t_us, data: self.got.append((t_us, data))

    def attach(self, *others, **options):
        device = EchoDevice(*others, **options)
        self.line.attach(device)
        return device

    def ask(self, t_us, unit=1):
        """Send one request at t_us and let everything happen."""
        self.world.run_until(t_us)
        self.line.send(rtu.read_request(unit, 3, 0, 1), t_us)

    def reply_to(self, t_us, unit=1):
        """What arrives because of one request at t_us."""
        del self.got[:]
        self.ask(t_us, unit)
        self.world.run_until(t_us + 5_000_000)
        return self.got[:]


@pytest.fixture
def fakes():
    return Fakes()


@pytest.fixture
def make_bus():
    return Bus

# SPDX-License-Identifier: MIT
"""The desktop's serial port, hal/unix.py, in a real MicroPython at the end of a pseudo-terminal.

A few lines of MicroPython use the port; the test is the device at the other end and reads what
they print.
"""

import contextlib
import json
import os
import select
import subprocess
import threading
import time

import pytest

from hil.targets.firmware import FIRMWARE_DIR, TargetError, find_micropython
from tests.host.tools_site import CONFIG, METER

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

HEAD = f"""
import json, sys, time
sys.path.insert(0, {str(FIRMWARE_DIR)!r})
from firmline.hal.unix import SerialPort, speed_code

def say(*values):
    print(json.dumps(values))

path = sys.argv[1]
"""


class Device:
    """A script that runs in MicroPython and the master side of the terminal that it is given."""

    def __init__(self, script):
        self.master, self.slave = pty.openpty()
        try:
            command = [find_micropython(), "-c", HEAD + script, os.ttyname(self.slave)]
        except TargetError as error:
            pytest.skip(str(error))
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def heard(self):
        """The next line that the script printed, as the list of values it said."""
        if not select.select([self.process.stdout], [], [], 10)[0]:
            raise AssertionError("the controller's side is blocked")
        line = self.process.stdout.readline()
        try:
            return json.loads(line)
        except ValueError:
            raise AssertionError(line + self.process.stdout.read()) from None

    def read(self, count, timeout_s=5):
        """Bytes that the script wrote."""
        data = b""
        while len(data) < count and select.select([self.master], [], [], timeout_s)[0]:
            data += os.read(self.master, 4096)
        return data

    def vanish(self):
        for descriptor in (self.slave, self.master):
            os.close(descriptor)
        self.slave = self.master = None

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if self.master is not None:
            self.vanish()


@contextlib.contextmanager
def device(script):
    started = Device(script)
    try:
        yield started
    finally:
        started.close()


def test_every_byte_passes_unchanged_both_ways():
    script = """
port = SerialPort(path, 19200)
port.write(bytes(range(256)) + b"not this", 256)
got = b""
buffer = bytearray(256)
say("open")
while len(got) < 256:
    count = port.any()
    port.readinto(buffer, count)
    got += bytes(buffer[:count])
    time.sleep_ms(1)
say(list(got), port.errors)
"""
    with device(script) as controller:
        assert controller.heard() == ["open"]
        assert controller.read(256) == bytes(range(256))
        os.write(controller.master, bytes(range(256)))
        assert controller.heard() == [list(range(256)), 0]
        assert controller.read(1, 0.1) == b""  # no echo


def test_reading_takes_what_is_there_and_never_waits_for_more():
    script = """
port = SerialPort(path, 9600)
buffer = bytearray(8)
say(port.any(), port.readinto(buffer, 8))
while not port.any():
    time.sleep_ms(1)
start = time.ticks_ms()
seen = []
while time.ticks_ms() - start < 100:
    seen.append(port.any())
say(seen[0], seen[-1], port.readinto(buffer, 2), list(buffer), port.any())
say(port.readinto(buffer, 8), list(buffer), port.any())
"""
    with device(script) as controller:
        assert controller.heard() == [0, 0]
        os.write(controller.master, b"\x01\x02\x03")
        assert controller.heard() == [3, 3, 2, [1, 2, 0, 0, 0, 0, 0, 0], 1]
        assert controller.heard() == [1, [3, 2, 0, 0, 0, 0, 0, 0], 0]


def test_more_than_its_buffer_waits_in_the_system_and_keeps_its_order():
    script = """
port = SerialPort(path, 9600)
say("open")
while port.any() < 512:
    time.sleep_ms(1)
say(port.any())
buffer = bytearray(100)
got = 0
in_order = True
while got < 2000:
    count = port.readinto(buffer, min(100, port.any()))
    for k in range(count):
        in_order = in_order and buffer[k] == (got + k) % 251
    got += count
say(got, in_order, port.errors)
"""
    with device(script) as controller:
        assert controller.heard() == ["open"]
        os.write(controller.master, bytes(k % 251 for k in range(2000)))
        assert controller.heard() == [512]
        assert controller.heard() == [2000, True, 0]


def test_writing_to_a_device_that_does_not_read_drops_and_counts():
    script = """
port = SerialPort(path, 9600)
frame = bytearray(250)
start = time.ticks_ms()
for k in range(1000):
    port.write(frame, 250)
say(port.errors, time.ticks_ms() - start)
"""
    with device(script) as controller:
        errors, took_ms = controller.heard()
        assert 0 < errors < 1000
        assert took_ms < 2000


SPEEDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)


@pytest.mark.skipif("sys.platform != 'linux'", reason="the codes of Linux")
def test_every_speed_is_set_as_the_system_names_it():
    script = f"""
import termios
for baud in {SPEEDS}:
    port = SerialPort(path, baud)
    settings = termios.tcgetattr(port._file.fileno())
    say(*settings[:6])
    port._file.close()
try:
    SerialPort(path, 300)
except OSError as error:
    say(str(error))
"""
    with device(script) as controller:
        for baud in SPEEDS:
            iflag, oflag, cflag, lflag, ispeed, ospeed = controller.heard()
            assert ispeed == ospeed == getattr(termios, f"B{baud}"), baud
            assert iflag == oflag == lflag == 0
            assert cflag & termios.CSIZE == termios.CS8
            assert cflag & termios.CREAD and cflag & termios.CLOCAL
            assert not cflag & (termios.PARENB | termios.CSTOPB | termios.CRTSCTS)
        assert controller.heard() == [f"baud 300: accepted are {list(SPEEDS)}"]


def test_speeds_are_plain_numbers_where_the_system_is_not_linux():
    script = 'say(speed_code(38400, "darwin"), speed_code(12345, "freebsd"))'
    with device(script) as controller:
        assert controller.heard() == [38400, 12345]


def test_port_that_vanishes_is_silent_and_counts():
    script = """
port = SerialPort(path, 19200)
buffer = bytearray(8)
say("open")
while not port.is_gone:
    port.any()
    time.sleep_ms(1)
say(port.any(), port.readinto(buffer, 8), list(buffer))
errors = port.errors
for k in range(10):
    port.write(buffer, 8)
say(errors, port.errors - errors, port.any(), port.tx_done())
"""
    with device(script) as controller:
        assert controller.heard() == ["open"]
        os.write(controller.master, b"\x07")
        time.sleep(0.2)
        controller.vanish()
        assert controller.heard() == [1, 1, [7, 0, 0, 0, 0, 0, 0, 0]]
        errors, of_writes, waiting, done = controller.heard()
        assert errors >= 1
        assert (of_writes, waiting, done) == (10, 0, True)
        assert controller.process.wait(5) == 0


SITE = CONFIG | {
    "head_end": None,
    "devices": [
        METER | {"poll_ms": 100},
        {"name": "heater", "type": "relay_output", "pin": 5, "load_w": 2000, "min_off_s": 0},
    ],
    "timing": {"hold_ms": 300, "fallback_ms": 1000, "raise_delay_ms": 100},
}


class Site:
    """An emulated meter of a quiet site behind the controller's port, and the controller."""

    def __init__(self, folder):
        from hil.line import devices
        from hil.line.line import Line
        from hil.plant import ConstantLoad, Plant
        from hil.world import World

        world = World()
        plant = Plant(1, 230, [ConstantLoad("load", "L1", 1000)])
        self.line = Line(world, 19200)
        self.line.attach(devices.create(world, plant, SITE["devices"][0], None, {}))
        self.world = world
        path = folder / "site.json"
        path.write_text(json.dumps(SITE))
        self.master, self.slave = pty.openpty()
        command = [find_micropython(), str(FIRMWARE_DIR / "main.py"), str(path)]
        command += ["--port", f"uart0={os.ttyname(self.slave)}"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines = []
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def run(self, line, timeout_s):
        """Be the meter until the controller has said `line`."""
        self.line.on_receive = lambda _, data: os.write(self.master, data)
        start_s = time.monotonic()
        while line not in self.lines:
            now_us = round((time.monotonic() - start_s) * 1e6)
            assert now_us < timeout_s * 1e6, self.lines
            self.world.run_until(now_us)
            if select.select([self.master], [], [], 0.002)[0]:
                self.line.send(os.read(self.master, 256), now_us)

    def await_line(self, line, timeout_s):
        give_up_s = time.monotonic() + timeout_s
        while line not in self.lines and time.monotonic() < give_up_s:
            time.sleep(0.01)
        assert line in self.lines, self.lines

    def unplug(self):
        os.close(self.slave)
        os.close(self.master)
        self.master = None

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.kill()
        self.process.wait()
        self._reader.join(5)
        self.process.stdout.close()
        if self.master is not None:
            self.unplug()


@pytest.fixture
def site(tmp_path):
    try:
        find_micropython()
    except TargetError as error:
        pytest.skip(str(error))
    site = Site(tmp_path)
    yield site
    site.close()


def test_controller_outlives_its_meters_adapter_and_falls_back(site):
    """The adapter is pulled while the heater runs: the freshness rules open its relay, and the
    process neither ends nor spins."""
    site.run("firmline: output 5 on", 20)

    unplugged_s = time.monotonic()
    site.unplug()
    site.await_line("firmline: output 5 off", 5)

    assert time.monotonic() - unplugged_s > 0.2  # on lost freshness, not on the error itself
    assert site.lines == [
        "firmline: running",
        "firmline: output 5 on",
        "firmline: output 5 off",
    ]
    if os.path.exists("/proc/self/stat"):
        before_s = site.cpu_s()
        time.sleep(2)
        assert site.cpu_s() - before_s < 1.0
    assert site.process.poll() is None


def test_interrupt_ends_it_with_the_outputs_off(site):
    site.run("firmline: output 5 on", 20)

    site.process.send_signal(2)
    site.process.wait(5)
    site.await_line("firmline: stopped: Ctrl-C", 5)

    assert "firmline: output 5 off" in site.lines
    assert not any("Traceback" in line for line in site.lines)

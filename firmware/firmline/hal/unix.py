# SPDX-License-Identifier: MIT
"""Desktop port: serial devices and pseudo-terminals under MicroPython's unix port.

The edge where OSError is caught: a port whose device has vanished goes silent and counts, and
the freshness rules of the core do the rest. Hazard H-07.
"""

import select
import sys
import termios
import time

from firmline.core.units import TICKS_MASK

_BUFFER_SIZE = 512
# termios speed codes of Linux; the interpreter knows only some by name
_SPEEDS = {
    1200: 9,
    2400: 11,
    4800: 12,
    9600: 13,
    19200: 14,
    38400: 15,
    57600: 0o10001,
    115200: 0o10002,
    230400: 0o10003,
    460800: 0o10004,
    921600: 0o10007,
}


class SerialPort:
    """A raw 8N1 tty. Raises OSError if it cannot be opened; never afterwards."""

    def __init__(self, path, baud):
        if baud not in _SPEEDS:
            raise OSError("%s: baud %d: accepted are %s" % (path, baud, sorted(_SPEEDS)))
        self._file = open(path, "r+b", buffering=0)
        descriptor = self._file.fileno()
        termios.setraw(descriptor)
        settings = termios.tcgetattr(descriptor)
        settings[4] = settings[5] = _SPEEDS[baud]
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._count = 0
        self.errors = 0

    def write(self, buffer, count):
        try:
            self._file.write(memoryview(buffer)[:count])
        except OSError:
            self.errors += 1

    def any(self):
        try:
            while self._count < _BUFFER_SIZE and self._is_readable():
                got = self._file.readinto(self._view[self._count :])
                if not got:
                    break
                self._count += got
        except OSError:
            self.errors += 1
        return self._count

    def _is_readable(self):
        for _, event in self._poll.ipoll(0):
            return bool(event & select.POLLIN)
        return False

    def readinto(self, buffer, count):
        count = min(count, self._count)
        buffer[:count] = self._view[:count]
        left = self._count - count
        self._buffer[:left] = self._buffer[count : self._count]
        self._count = left
        return count

    def tx_done(self):
        return True


class Output:
    """A pin that only exists as a record: `level` is what a board would drive."""

    def __init__(self, active_low):
        self._active_low = active_low
        self.level = active_low
        self.is_on = False

    def set(self, on):
        self.is_on = bool(on)
        self.level = self.is_on != self._active_low

    def readback(self):
        return self.is_on


class Hardware:
    """ports: name in the configuration -> path of a tty."""

    model = "desktop"
    serial = "0"

    def __init__(self, config_path, ports):
        self._config_path = config_path
        self._ports = ports
        self.outputs = {}

    def read_config(self):
        with open(self._config_path) as file:
            return file.read()

    def open_port(self, name, baud):
        if name not in self._ports:
            raise OSError("port %s is not given: use --port %s=/dev/..." % (name, name))
        return SerialPort(self._ports[name], baud)

    def open_output(self, pin, active_low):
        self.outputs[pin] = Output(active_low)
        return self.outputs[pin]

    def ticks_ms(self):
        return time.ticks_ms() & TICKS_MASK

    def ticks_us(self):
        return time.ticks_us() & TICKS_MASK

    def feed_watchdog(self):
        pass  # the desktop has none; the bench judges silence on the wire

    def record_cause(self, text):
        sys.stderr.write("firmline: %s\n" % text)

    def run(self, controller):
        while True:
            controller.poll(self.ticks_ms())
            time.sleep_ms(1)

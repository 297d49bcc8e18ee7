# SPDX-License-Identifier: MIT
"""Desktop port: serial devices and pseudo-terminals under MicroPython's unix port.

The edge where OSError is caught: a port whose device has vanished goes silent and counts, and
the freshness rules of the core do the rest. It must never block: not on a read that wants more
than has come, not on a peer that does not read. Hazard H-07.

What it writes to stdout is for whoever started it (the wall-clock bench reads it): one line
`firmline: running` and one for each change of an output, `firmline: output 5 on`.
"""

import select
import sys
import termios
import time

from firmline.core.units import TICKS_MASK, const
from firmline.hal.ramfiles import open_files

_BUFFER_SIZE = const(512)
_RESTART_STATUS = const(75)  # EX_TEMPFAIL
_FAILED = const(0x200)  # marker word of services.boot
_CONFIG_CHARS = const(20000)  # more than the validator takes
# Linux codes its speeds; the interpreter knows only some of them by name. Elsewhere they are
# plain numbers.
_LINUX_SPEEDS = {
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
# c_cflag, Linux and BSD: 8 data bits, receiver on, no modem lines; no parity, one stop bit
_CFLAG = {"linux": 0o4260, "darwin": 0x8B00}
_EVEN = {"linux": 0o400, "darwin": 0x1000}  # PARENB
_REASONS = {
    2: "does not exist",
    13: "may not be opened (permission)",
    25: "is not a serial port",
    98: "is taken by another program",
}


def speed_code(baud, platform):
    """What termios wants for `baud`; OSError when it has no such speed."""
    if platform != "linux":
        return baud
    if baud not in _LINUX_SPEEDS:
        raise OSError("baud %d: accepted are %s" % (baud, sorted(_LINUX_SPEEDS)))
    return _LINUX_SPEEDS[baud]


def _make_raw(descriptor, baud, is_even):
    """8 data bits, 1 stop bit, no translation, no flow control, and a read that returns at
    once: the interpreter reads on until the buffer is full, so a read that waits for a byte
    would stop the controller.
    """
    code = speed_code(baud, sys.platform)
    termios.setraw(descriptor)
    settings = termios.tcgetattr(descriptor)
    settings[0] = settings[1] = 0
    settings[2] = _CFLAG.get(sys.platform, settings[2])
    if is_even:
        settings[2] |= _EVEN.get(sys.platform, 0)
    settings[4] = settings[5] = code
    characters = settings[6]
    for index in range(len(characters)):
        if isinstance(characters[index], int):  # only VMIN and VTIME are numbers
            characters[index] = 0
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)


class SerialPort:
    """A raw 8N1 tty. Raises OSError if it cannot be opened; never afterwards.

    errors: writes that failed or found no room, reads that failed, and the loss of the device,
    which is for good: a path that comes back may be another device.
    """

    def __init__(self, path, baud, is_even=False):
        self._file = open(path, "r+b", buffering=0)
        _make_raw(self._file.fileno(), baud, is_even)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN | select.POLLOUT)
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._count = 0
        self.wanted = 1
        self.is_gone = False
        self.errors = 0

    def write(self, buffer, count):
        if not self._events() & select.POLLOUT:
            self.errors += 1
            return
        try:
            self._file.write(memoryview(buffer)[:count])
        except OSError:
            self.errors += 1

    def any(self):
        if self._count < _BUFFER_SIZE and self._events() & select.POLLIN:
            try:
                self._count += self._file.readinto(self._view[self._count :]) or 0
            except OSError:
                self.errors += 1
        return self._count

    def _events(self):
        """What the device is ready for; nothing once it has vanished."""
        if self.is_gone:
            return 0
        for _, events in self._poll.ipoll(0):
            if events & (select.POLLHUP | select.POLLERR):
                self.is_gone = True
                self.errors += 1
            return events
        return 0

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

    def __init__(self, pin, active_low, report):
        self._pin = pin
        self._active_low = active_low
        self._report = report
        self.level = active_low
        self.is_on = False

    def set(self, on):
        if bool(on) == self.is_on:
            return
        self.is_on = bool(on)
        self.level = self.is_on != self._active_low
        self._report("output %d %s" % (self._pin, "on" if self.is_on else "off"))

    def readback(self):
        return self.is_on


class Hardware:
    """ports: name in the configuration -> path of a tty. data_path: folder for what is kept over
    a restart, None: nothing is. options: those of hal/desktop.py by name: console (bool), listen
    (address of the TCP port)."""

    model = "desktop"
    serial = "0"
    has_clock = True
    cause = 0  # what reset_cause says: a test may play any start
    is_restarting = False
    is_small = False
    _cause = ""

    def __init__(self, config_path, ports, is_service=False, data_path=None, options=()):
        self._options = dict(options)
        self._listener = None
        self._config_path = config_path
        self.words = [0, 0, 0, 0]  # the marker, and what would outlive a reset
        self._ports = ports
        self._is_service = is_service
        self.files = open_files(data_path)
        self._used = {}
        self.outputs = {}
        self.errors = 0

    def read_config(self):
        try:
            with open(self._config_path) as file:
                return file.read(_CONFIG_CHARS)
        except (OSError, UnicodeError) as error:
            raise OSError("%s: cannot be read: %s" % (self._config_path, _reason(error)))

    def open_port(self, name, baud, is_even):
        if name not in self._ports:
            raise OSError("port %s is not given: use --port %s=/dev/..." % (name, name))
        path = self._ports[name]
        if path in self._used:
            raise OSError("port %s: %s is port %s already" % (name, path, self._used[path]))
        self._used[path] = name
        try:
            return SerialPort(path, baud, is_even)
        except OSError as error:
            raise OSError("port %s: %s: %s" % (name, path, _reason(error)))

    def open_output(self, pin, active_low, readback_pin):
        self.outputs[pin] = Output(pin, active_low, self._report)
        return self.outputs[pin]

    def open_network(self, settings):
        from firmline.hal.network import Network

        return Network(settings, None)

    def open_console(self):
        """stdin and stdout as a port, if `--console` was given; then reports go to stderr."""
        if not self._options.get("console"):
            return None
        from firmline.hal.console import Console

        return Console()

    def open_listener(self, tcp_port):
        from firmline.hal.tcp import Listener

        address = self._options.get("listen", "127.0.0.1")
        try:
            self._listener = Listener(address, tcp_port)
        except OSError as error:
            raise OSError("TCP port %s:%d: %s" % (address, tcp_port, _reason(error)))
        return self._listener

    def last_cause(self):
        """Of this process; a board keeps it in a file."""
        return self._cause

    def ticks_ms(self):
        return time.ticks_ms() & TICKS_MASK  # pyright: ignore[reportOperatorIssue]

    def ticks_us(self):
        return time.ticks_us() & TICKS_MASK  # pyright: ignore[reportOperatorIssue]

    def make_safe(self):
        for output in self.outputs.values():
            output.set(False)

    def feed_watchdog(self):
        pass  # the desktop has none; the bench judges silence on the wire

    def guard_outputs(self, outputs, limit_ms):
        pass  # nor a timer beside the program

    def reset_cause(self):
        return self.cause

    def marker(self):
        return self.words[0]

    def set_marker(self, word):
        self.words[0] = word

    def kept(self, k):
        return self.words[k]

    def keep(self, k, word):
        self.words[k] = word

    def is_service(self):
        return self._is_service

    def restart(self):
        """Where somebody asked for it main.py starts anew, in this process; a program that failed
        ends, and whoever started it may start it again: exit status 75."""
        self.make_safe()
        if self._listener:
            self._listener.close()
        self.is_restarting = not self.words[0] & _FAILED
        self._report("restart")
        sys.exit(_RESTART_STATUS)

    def record_cause(self, text):
        self._cause = text
        sys.stderr.write("firmline: %s\n" % text)

    def _report(self, text):
        """A closed stdout must not stop the controller."""
        stream = sys.stderr if self._options.get("console") else sys.stdout
        try:
            stream.write("firmline: %s\n" % text)
        except OSError:
            self.errors += 1

    def run(self, controller):
        self._report("running")
        while True:
            controller.poll(self.ticks_ms())
            time.sleep_ms(1)

    def run_safe(self, safe_mode):
        """The process ends, and that is safe; with a console it stays, as a board does."""
        if self._options.get("console"):
            self._report("safe mode")
            try:
                while True:
                    safe_mode.poll(self.ticks_ms())
                    time.sleep_ms(1)
            except KeyboardInterrupt:
                self.record_cause("stopped: Ctrl-C")


def _reason(error):
    if isinstance(error, UnicodeError):
        return "it is not UTF-8 text"
    return _REASONS.get(error.errno, str(error))

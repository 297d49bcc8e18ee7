# SPDX-License-Identifier: MIT
"""A board's raw REPL: run a line there, read what it prints. Files go through host_tools/agent.py.

Uses mpremote's SerialTransport for the raw REPL protocol. Whatever goes wrong is one of two
errors: the link is lost, or the board refused a call.
"""

import ast
import base64
import contextlib
import io
import os
import struct
import time
from pathlib import Path

from host_tools.errors import Missing, ToolError
from host_tools.ports import why_not_open

try:
    from termios import error as termios_error  # pyserial lets it through
except ImportError:  # Windows
    termios_error = OSError

_PORT_ERRORS = (OSError, termios_error, TypeError, ValueError, struct.error)
_AGENT = Path(__file__).with_name("agent.py")
_CHUNK = 1024  # bytes sent in one call: the board's heap holds it four times over
_READ_S = 2.0
_WRITE_S = 5.0
_RESET_S = 1.0
_STOP_S = 5.0  # the prompt is there by then, also where flash is being written
_ERRNO = {"28": "no space left", "5": "its flash cannot be read or written"}


class LinkLost(ToolError):
    """The port is gone or nothing sensible comes from it."""


class BoardError(ToolError):
    """The board ran into an exception."""


class Board:
    """An open serial port. Use as a context manager or call close()."""

    def __init__(self, device):
        try:
            from mpremote.transport import TransportError, TransportExecError
            from mpremote.transport_serial import SerialTransport
        except ImportError:
            raise Missing("mpremote is") from None
        self.device = device
        self._errors = (TransportError, *_PORT_ERRORS)
        self._exec_error = TransportExecError
        try:
            self._link = SerialTransport(os.path.realpath(device), timeout=_READ_S)
            self._link.serial.write_timeout = _WRITE_S
            self.is_open = True
        except self._errors as error:
            raise LinkLost(f"{device}: {why_not_open(device, error)}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.is_open = False
        with contextlib.suppress(*self._errors):
            self._link.close()

    def listen(self, seconds, until=None):
        """What the board says within `seconds`, or until it ends in `until` (bytes), as text."""
        return self._guarded(self._listen, seconds, until)

    def _listen(self, seconds, until):
        said = b""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not (until and said.endswith(until)):
            count = self._link.serial.in_waiting
            if count:
                said += self._link.serial.read(count)
            else:
                time.sleep(0.02)
        return said.decode("utf-8", "replace")

    def ask(self):
        """A question to a firmware that runs: its console answers "?" by a line. To an interpreter
        it is a line with an error, to anything else nothing."""
        self._guarded(self._link.serial.write, b"\r?\r")

    def interrupt(self, attempts=2):
        """Stop what runs (its outputs go safe), enter the raw REPL, start the agent. Returns
        what the board said when it was stopped."""
        said = ""
        for attempt in range(attempts):
            try:
                self._guarded(self._link.serial.write, b"\r\x03")
                said += self.listen(_STOP_S, b">>> ")
                with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints what it saw
                    self._link.enter_raw_repl(soft_reset=False, timeout_overall=2)
                break
            except self._errors as error:
                if isinstance(error, OSError) or attempt == attempts - 1:
                    raise LinkLost(f"{self.device}: no MicroPython answers there") from None
        self.run(_AGENT.read_text(encoding="utf-8"))
        return said

    def _guarded(self, function, *arguments):
        try:
            return function(*arguments)
        except self._errors as error:
            raise LinkLost(f"{self.device}: the cable is gone, or the board: {error}") from None

    def run(self, code):
        """Runs `code` there; what it printed."""
        try:
            return self._link.exec(code).decode()
        except self._exec_error as error:
            lines = error.error_output.strip().splitlines() or ["an unknown error"]
            raise BoardError(f"{self.device}: the board says: {_plain(lines[-1])}") from None
        except self._errors as error:
            raise LinkLost(f"{self.device}: the cable is gone, or the board: {error}") from None

    def call(self, name, *arguments):
        """Calls a function of the agent; a list of what it printed, a literal on each line."""
        said = self.run(f"{name}({', '.join(map(repr, arguments))})")
        try:
            return [ast.literal_eval(line) for line in said.splitlines() if line.strip()]
        except (ValueError, SyntaxError):
            raise LinkLost(f"{self.device}: the board's answer is garbled") from None

    def send(self, path, data, advance):
        """Writes a file."""
        self.call("begin", path)
        for start in range(0, len(data), _CHUNK):
            chunk = data[start : start + _CHUNK]
            self.call("put", base64.b64encode(chunk))
            advance(len(chunk))
        self.call("end")

    def restart(self):
        """A hard reset. The port goes away where USB is the chip's own; an adapter's stays open,
        because opening one resets many an ESP32. What was said meanwhile."""
        said = ""
        try:
            self._link.exec_raw_no_follow("machine.reset()")
            return self.listen(_RESET_S)
        except (LinkLost, *self._errors):
            self.close()
        return said


def open_when_there(device, seconds):
    """A Board on `device` as soon as it can be opened; LinkLost after `seconds`."""
    end_s = time.monotonic() + seconds
    while True:
        try:
            return Board(device)
        except LinkLost:
            if time.monotonic() >= end_s:
                raise
            time.sleep(0.1)


def _plain(line):
    number = line.rpartition(" ")[2]
    if line.startswith("OSError") and number in _ERRNO:
        return _ERRNO[number]
    return line

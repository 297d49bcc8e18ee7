# SPDX-License-Identifier: MIT
"""The console as a port: USB serial on a board, stdin and stdout on the desktop.

It reads byte by byte and only what is there: a read that wants more would wait for it. Ctrl-C
stays what it is: a board's interpreter raises KeyboardInterrupt by itself; where the terminal
hands the byte over (a raw one), it is raised here. A host that does not read would hold the
program up for 500 ms: so it writes byte by byte too, each when the port says that it takes one.
(An RP2040 says so from one free byte on, and then waits for room for all that it is given:
MicroPython, shared/tinyusb/mp_usbd_cdc.c.)
"""

import select
import sys

from firmline.core.units import const

_CTRL_C = const(3)


class Console:
    """Of sys.stdin and sys.stdout; any() returns 0 or 1. is_gone: the other end was closed."""

    def __init__(self):
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._reading = select.poll()
        self._reading.register(sys.stdin, select.POLLIN)
        self._writing = select.poll()
        self._writing.register(sys.stdout, select.POLLOUT)
        self._byte = bytearray(1)
        self.is_gone = False
        self.errors = 0

    def any(self):
        if not self.is_gone:
            for _, events in self._reading.ipoll(0):
                if events & select.POLLIN:
                    return 1
                self.is_gone = True
        return 0

    def readinto(self, buffer, count):
        """One byte."""
        try:
            count = self._in.readinto(self._byte)
        except OSError:  # a terminal that was closed
            count = 0
        if not count:
            self.is_gone = True
            return 0
        if self._byte[0] == _CTRL_C:
            raise KeyboardInterrupt
        buffer[0] = self._byte[0]
        return 1

    def write(self, buffer, count):
        """How many of the bytes the port has taken."""
        taken = 0
        while taken < count and self._is_ready():
            self._byte[0] = buffer[taken]
            taken += 1
            try:
                self._out.write(self._byte)
            except OSError:
                self.errors += 1
        return taken

    def _is_ready(self):
        for _, events in self._writing.ipoll(0):
            return bool(events & select.POLLOUT)
        return False

# SPDX-License-Identifier: MIT
"""A controller that is read again and again, through pulled cables and restarts."""

import time

from host_tools import reading
from host_tools.connection import Connection
from host_tools.device import Device
from host_tools.errors import ToolError
from host_tools.options import place

_RETRY_S = 0.5


class Session:
    """The first connection must succeed (BadInput otherwise); later ones are tried again.

    trouble: why there is no reading now, "" while there is. lost_s: time.monotonic() of its
    begin. losses: how often.
    """

    def __init__(self, arguments):
        self._arguments = arguments
        self._place = place(arguments)  # also later: another board must not take its place
        self._connection = None
        self.trouble = ""
        self.lost_s = 0.0
        self.losses = 0
        self._tried_s = 0.0
        self._open()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self):
        self._tried_s = time.monotonic()
        connection = Connection(self._place, self._arguments.timeout)
        try:
            self.device = Device(connection)
            self.identity = self.device.as_json()
            self.config_text = self.device.config()
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def read(self):
        """A reading, or None with `trouble` saying why. Comes back soon also then."""
        try:
            if self._connection is None:
                if time.monotonic() - self._tried_s < _RETRY_S:
                    return None
                self._open()
            now = reading.take(self.device, self.config_text)
        except ToolError as error:
            self._lose(str(error))
            return None
        self.trouble = ""
        return now

    def _lose(self, why):
        self.close()
        if not self.trouble:
            self.lost_s = time.monotonic()
            self.losses += 1
        self.trouble = why

# SPDX-License-Identifier: MIT
"""A master's bytes, cut into whole Modbus RTU requests: what a wire of the bench carries.

A process or a chip sends a request in pieces, the emulated devices take it as one. Used by the
targets whose controller is beyond a port: wall.py and pico/target.py.
"""

from hil.line.rtu import is_intact

_SILENCE_US = 20_000  # ends what is no whole request


class Requests:
    """Puts them onto `wire`, each when its last byte has come. is_from_first: the silence that
    ends anything else counts from the first of the bytes that wait, not from the last."""

    def __init__(self, wire, is_from_first=False):
        self._wire = wire
        self._is_from_first = is_from_first
        self._have = bytearray()
        self._since_us = 0

    def add(self, t_us, data):
        have = self._have
        if not have or not self._is_from_first:
            self._since_us = t_us
        have += data
        while have:
            count = request_bytes(have)
            if count is None or len(have) < count or not is_intact(have[:count]):
                return
            self._wire.send(bytes(have[:count]), t_us)
            del have[:count]

    def rest(self, t_us):
        """Bytes that make no request go onto the wire as they are once the line is silent."""
        if self._have and t_us - self._since_us >= _SILENCE_US:
            self._wire.send(bytes(self._have), t_us)
            self._have.clear()


def request_bytes(data):
    """Length of the Modbus RTU request that `data` begins with; None while that is not known."""
    if len(data) >= 2 and 1 <= data[1] <= 6:
        return 8
    if len(data) >= 7 and data[1] in (15, 16):
        return 9 + data[6]
    return None

# SPDX-License-Identifier: MIT
"""What every emulated Modbus device shares: the request cycle, exceptions, and its own timers.

A device acts on a plant element and falls back by itself when its master goes silent. It never
knows about faults of the line; those happen to its frames afterwards.
"""

from hil.line.rtu import (
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    crc16,
    exception_reply,
    parse,
    with_crc,
)

S_US = 1_000_000


class RegisterDevice:
    """A Modbus RTU slave. Subclasses give `read` and `write`; both answer a code for refusals."""

    def __init__(self, world, unit, name=None, response_delay_ms=20):
        if not 1 <= unit <= 247:
            raise ValueError(f"unit {unit}: 1..247 wanted")
        self.world = world
        self.unit = unit
        self.name = f"unit{unit}" if name is None else name
        self.response_delay_us = round(response_delay_ms * 1000)

    def read(self, function, address, count, t_us):
        """Big-endian bytes of `count` registers, or an exception code (int), or None: silence."""
        return ILLEGAL_FUNCTION

    def write(self, address, values, t_us):
        """Take the uint16 `values` from `address` on; 0 or an exception code. All or nothing."""
        return ILLEGAL_FUNCTION

    def heard(self, t_us):
        """Called for each intact request addressed to this device: feeds a watchdog."""

    def handle(self, frame, t_us):
        """The reply frame to a request frame (both with CRC), None for silence."""
        request = parse(frame)
        if request is None:
            return None
        unit, function, address, count, values, head, crc = request
        self.heard(t_us)
        if function == 3 or function == 4:
            if 0 < count <= 125:
                body = self.read(function, address, count, t_us)
                if body.__class__ is not int:
                    if body is None:
                        return None
                    return head + body + crc16(body, crc).to_bytes(2, "little")
            else:
                body = ILLEGAL_VALUE
            return exception_reply(unit, function, body)
        code = self._write(function, address, count, values, t_us)
        if code:
            return exception_reply(self.unit, function, code)
        return with_crc(frame[:6]) if function == 16 else frame

    def _write(self, function, address, count, values, t_us):
        if count is None:
            return ILLEGAL_FUNCTION
        if count != len(values) or not 0 < count <= 123:
            return ILLEGAL_VALUE
        return self.write(address, values, t_us)


class Timer:
    """A reversion or watchdog timer on the world's queue: restartable, one pending event.

    Restarting costs no event while the pending one is earlier than the new expiry: it finds
    itself early and goes to sleep again.
    """

    def __init__(self, world, on_expiry):
        self.due_us = None
        self._world = world
        self._on_expiry = on_expiry
        self._armed_us = None

    def restart(self, seconds):
        """Expire `seconds` from now; 0 stops the timer."""
        if seconds <= 0:
            self.due_us = None
            return
        self.due_us = self._world.now_us + round(seconds * S_US)
        if self._armed_us is None or self.due_us < self._armed_us:
            self._arm()

    def stop(self):
        self.due_us = None

    def remaining_s(self):
        """Whole seconds left, rounded up; 0 when stopped."""
        if self.due_us is None:
            return 0
        return -((self._world.now_us - self.due_us) // S_US)

    def _arm(self):
        self._armed_us = self.due_us
        self._world.at(self.due_us, self._fire, self.due_us)

    def _fire(self, armed_us):
        if armed_us != self._armed_us:
            return
        self._armed_us = None
        if self.due_us is None:
            return
        if self._world.now_us < self.due_us:
            self._arm()
            return
        self.due_us = None
        self._on_expiry()

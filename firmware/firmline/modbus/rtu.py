# SPDX-License-Identifier: MIT
"""Modbus RTU master: one request at a time over a polled serial port.

It never blocks, allocates or raises after construction (a function whose locals and stack exceed
11 words takes its frame from the heap, hence some short helpers), and it never takes a late or
stray reply for the answer to a newer request: the line must have been silent before a request
goes out, and a reply must match the request in unit, function and length (and echoed address and
count), and carry a good CRC. What remains possible is an answer
later than `timeout_ms + late_ms` to an *identical* request, so `timeout_ms` must exceed what the
slowest device needs.

While a reply is under way `port.wanted` says how many bytes are worth a poll: a reply is taken in
two pieces, its head and the rest, and not byte by byte. Whoever polls may leave fewer alone until
`wait_ms` has passed.

Called by services.bus. The port contract: write(buf, n), any(), readinto(buf, n).
Source: Modbus over Serial Line V1.02 (2.5.1 framing), Modbus Application Protocol V1.1b3.
"""

from firmline.core.units import const, elapsed_ms, remaining_ms
from firmline.modbus.crc import crc16
from firmline.modbus.words import find, move

IDLE = const(0)
BUSY = const(1)
DONE = const(2)
FAILED = const(3)

NONE = const(0)
TIMEOUT = const(1)
CRC = const(2)
EXCEPTION = const(3)
MALFORMED = const(4)

READ_HOLDING = const(3)
READ_INPUT = const(4)
WRITE_SINGLE = const(6)
WRITE_MULTIPLE = const(16)

_WAITING = const(4)  # internal: a request is out
_QUIET = const(5)  # internal: the line has to stay silent for a while

_COUNT_MASK = const(0x3FFFFFFF)
_NEVER_MS = const(0x3FFFFFFF)
_EXCEPTION_BYTES = const(5)
_ECHO_BYTES = const(8)
_CHUNK_BYTES = const(64)


def gap_ms(baud):
    """Silence that ends a frame: 3.5 characters of 10 bits, at least 2 ms."""
    gap = (35000 + baud - 1) // baud
    return gap if gap > 2 else 2


def gap_us(baud):
    """The same exactly: 3.5 characters of 10 bits, at least 1,750 us, as the standard has it."""
    gap = (35000000 + baud - 1) // baud
    return gap if gap > 1750 else 1750


class RtuMaster:
    """Owns `port`. `max_registers` bounds both directions (at most 123). `ticks_us`: a clock on
    the 2**30 ring that measures silence; without one, or while it stands still as the bench's
    does, silence is counted in whole milliseconds of `now_ms`."""

    def __init__(self, port, baud, max_registers=60, ticks_us=None):
        self._port = port
        self._baud = baud
        self._max_registers = max_registers
        self._tx = bytearray(9 + 2 * max_registers)
        self._rx = bytearray(5 + 2 * max_registers)
        self.data = self._rx  # of a finished read: the first register is at byte 3
        self._chunk = bytearray(_CHUNK_BYTES)
        self._gap_ms = gap_ms(baud)
        self._gap_us = gap_us(baud)
        self._ticks_us = ticks_us
        port.wanted = 1
        self.late_ms = 30  # after a timeout: how long a late reply is still waited out
        self._state = IDLE
        self._since_ms = 0
        self._silent_limit_ms = 0
        self._frame_limit_ms = 0
        self._quiet_ms = 0
        self._quiet_us = 0
        self._heard_us = 0
        self._have = 0
        self._need = 0
        self.error = NONE
        self.exception_code = 0
        self.ok = 0
        self.timeouts = 0
        self.crc_errors = 0
        self.exceptions = 0
        self.malformed = 0
        self.discarded = 0
        self.bytes_sent = 0
        self.bytes_received = 0

    def start_read(self, unit, function, address, count, timeout_ms, now_ms):
        """Ask for `count` registers with function 3 or 4. False (nothing sent) unless IDLE."""
        if self._state != IDLE or count < 1 or count > self._max_registers:
            return False
        self._need = 5 + 2 * count
        self._since_ms = now_ms
        self._tx[0] = unit
        self._put_head(function, address)
        self._put_argument(count)
        self._send(6, timeout_ms)
        return True

    def set_register(self, k, value):
        """Put the k-th uint16 of the next `start_write` into the outgoing frame."""
        tx = self._tx
        tx[7 + 2 * k] = (value >> 8) & 0xFF
        tx[8 + 2 * k] = value & 0xFF

    def start_write(self, unit, address, count, timeout_ms, now_ms):
        """Write the registers set before with function 16. False (nothing sent) unless IDLE."""
        if self._state != IDLE or count < 1 or count > self._max_registers:
            return False
        self._need = _ECHO_BYTES
        self._since_ms = now_ms
        self._tx[0] = unit
        self._put_head(WRITE_MULTIPLE, address)
        self._put_argument(count)
        self._tx[6] = 2 * count
        self._send(7 + 2 * count, timeout_ms)
        return True

    def start_write_single(self, unit, address, value, timeout_ms, now_ms):
        """Write one register with function 6. False (nothing sent) unless IDLE."""
        if self._state != IDLE:
            return False
        self._need = _ECHO_BYTES
        self._since_ms = now_ms
        self._tx[0] = unit
        self._put_head(WRITE_SINGLE, address)
        self._put_argument(value)
        self._send(6, timeout_ms)
        return True

    def poll(self, now_ms):
        """Advance; IDLE, BUSY, DONE or FAILED. The last two stay until `release`."""
        state = self._state
        if state == _WAITING:
            return self._poll_reply(now_ms)
        if state == IDLE or state == _QUIET:
            return self._poll_line(now_ms)
        return state

    def register(self, k):
        """The k-th uint16 of a finished read."""
        rx = self._rx
        return (rx[3 + 2 * k] << 8) | rx[4 + 2 * k]

    def release(self):
        """Give the finished transaction up; the line then rests for the inter-frame gap."""
        if self._state == DONE or self._state == FAILED:
            self._state = _QUIET

    def is_idle(self):
        """A request could be started now."""
        return self._state == IDLE

    def wait_ms(self, now_ms):
        """Milliseconds until `poll` is needed if no byte arrives: >= 1, large when idle."""
        if self._state == IDLE:
            return _NEVER_MS
        if self._state == _WAITING:
            limit = self._frame_limit_ms if self._have else self._silent_limit_ms
            wait = remaining_ms(now_ms, self._since_ms, limit)
        else:
            wait = self._quiet_left_ms(now_ms)
        return wait if wait > 1 else 1

    def _put_head(self, function, address):
        tx = self._tx
        tx[1] = function
        tx[2] = address >> 8
        tx[3] = address & 0xFF

    def _put_argument(self, value):
        self._tx[4] = value >> 8
        self._tx[5] = value & 0xFF

    def _send(self, n, timeout_ms):
        tx = self._tx
        crc = crc16(tx, n)
        tx[n] = crc & 0xFF
        tx[n + 1] = crc >> 8
        n += 2
        # Both limits run from the computed end of transmission; +1 covers the started tick.
        limit = (n * 10000 + self._baud - 1) // self._baud + timeout_ms + 1
        self._silent_limit_ms = limit
        self._frame_limit_ms = limit + (self._need * 10000 + self._baud - 1) // self._baud
        self._have = 0
        self.error = NONE
        self.exception_code = 0
        self.bytes_sent = (self.bytes_sent + n) & _COUNT_MASK
        self._state = _WAITING
        self._port.wanted = _EXCEPTION_BYTES  # no reply is shorter
        self._port.write(tx, n)

    def _poll_line(self, now_ms):
        """IDLE or resting: stray bytes are thrown away and start the rest again."""
        n = self._look()
        if n:
            if n > _CHUNK_BYTES:
                n = _CHUNK_BYTES
            self._port.readinto(self._chunk, n)
            self.discarded = (self.discarded + n) & _COUNT_MASK
            if self._state == IDLE or self._quiet_ms < self._gap_ms:
                self._quiet_ms = self._gap_ms
            self._state = _QUIET
            self._keep_quiet(self._quiet_ms, now_ms)
        elif self._state == IDLE:
            return IDLE
        elif self._quiet_left_ms(now_ms) == 0:
            self._state = IDLE
            return IDLE
        return BUSY

    def _quiet_left_ms(self, now_ms):
        """Of the silence that is to be kept, rounded up."""
        if self._ticks_us is not None:
            passed_us = elapsed_ms(self._ticks_us(), self._heard_us)
            if passed_us:
                passed_us = self._quiet_us - passed_us
                return (passed_us + 999) // 1000 if passed_us > 0 else 0
        return remaining_ms(now_ms, self._since_ms, self._quiet_ms)

    def _look(self):
        """Bytes waiting. When there are some, the line has spoken until now."""
        n = self._port.any()
        if n and self._ticks_us is not None:
            self._heard_us = self._ticks_us()
        return n

    def _poll_reply(self, now_ms):
        n = self._look()
        while n and self._have < self._need:
            self._take(n)
            if self._have and self._rx[0] != self._tx[0]:
                self._skip_strays()
            if self._have > 1 and not self._header_fits():
                self.malformed += 1
                return self._fail(MALFORMED, self._gap_ms, now_ms)
            n = self._look()
        if self._have == self._need:
            return self._finish(now_ms)
        limit = self._silent_limit_ms
        if self._have:
            limit = self._frame_limit_ms
            self._port.wanted = self._need - self._have
        if elapsed_ms(now_ms, self._since_ms) < limit:
            return BUSY
        self.timeouts += 1
        return self._fail(TIMEOUT, self.late_ms + self._gap_ms, now_ms)

    def _take(self, n):
        """Move up to n waiting bytes into the reply."""
        have = self._have
        if n > self._need - have:
            n = self._need - have
        if have == 0:
            self._port.readinto(self._rx, n)
        else:
            if n > _CHUNK_BYTES:
                n = _CHUNK_BYTES
            self._port.readinto(self._chunk, n)
            move(self._rx, have, self._chunk, 0, n)
        self._have = have + n
        self.bytes_received = (self.bytes_received + n) & _COUNT_MASK

    def _skip_strays(self):
        """Drop leading bytes that cannot start the reply (an unbiased line makes them)."""
        rx = self._rx
        start = find(rx, self._have, self._tx[0])
        self._have -= start
        move(rx, 0, rx, start, self._have)
        self.discarded = (self.discarded + start) & _COUNT_MASK

    def _header_fits(self):
        """Function, length and echo belong to the request, as far as they have arrived."""
        rx = self._rx
        tx = self._tx
        function = tx[1]
        if rx[1] == function | 0x80:
            self._need = _EXCEPTION_BYTES
            return self._have <= _EXCEPTION_BYTES
        if rx[1] != function:
            return False
        if function == READ_HOLDING or function == READ_INPUT:
            return self._have < 3 or rx[2] == 2 * tx[5]
        if self._have < 6:
            return True
        return rx[2] == tx[2] and rx[3] == tx[3] and rx[4] == tx[4] and rx[5] == tx[5]

    def _finish(self, now_ms):
        if crc16(self._rx, self._need):
            self.crc_errors += 1
            return self._fail(CRC, self._gap_ms, now_ms)
        if self._rx[1] & 0x80:
            self.exceptions += 1
            self.exception_code = self._rx[2]
            return self._fail(EXCEPTION, self._gap_ms, now_ms)
        self.ok = (self.ok + 1) & _COUNT_MASK
        self._keep_quiet(self._gap_ms, now_ms)
        self._state = DONE
        return DONE

    def _fail(self, error, quiet_ms, now_ms):
        self.error = error
        if self._ticks_us is not None:
            self._heard_us = self._ticks_us()  # after a timeout from now on
        self._keep_quiet(quiet_ms, now_ms)
        self._state = FAILED
        return FAILED

    def _keep_quiet(self, quiet_ms, now_ms):
        """The line has to be silent for so long; a plain gap is kept to the microsecond."""
        self._port.wanted = 1
        self._since_ms = now_ms
        self._quiet_ms = quiet_ms
        self._quiet_us = self._gap_us if quiet_ms <= self._gap_ms else quiet_ms * 1000

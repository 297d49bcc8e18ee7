# SPDX-License-Identifier: MIT
"""Modbus RTU server: answers reads (3, 4) and writes (6, 16) for one unit address.

It never answers for another unit, never accepts a broadcast (an unauthenticated write nobody can
see the effect of), and never blocks, allocates or raises after construction. What the registers
mean is decided by `registers`:
    read(address, count, reply) -> exception code or 0; it calls reply.put(k, u16) for each k, or
        fills reply.tx, big-endian words from byte 3 on
    write(address, count, request) -> exception code or 0; it calls request.get(k) -> u16
A write must be refused as a whole or applied as a whole: that is up to `registers`.

Other units' frames on a shared line are recognised by length and CRC and stepped over; anything
else is skipped until the line has been silent. Called by services (the head-end server).
"""

from firmline.core.units import const, elapsed_ms, remaining_ms
from firmline.modbus.crc import crc16
from firmline.modbus.rtu import gap_ms
from firmline.modbus.words import move

ILLEGAL_FUNCTION = const(1)
ILLEGAL_ADDRESS = const(2)
ILLEGAL_VALUE = const(3)

_READ_HOLDING = const(3)
_READ_INPUT = const(4)
_WRITE_SINGLE = const(6)
_WRITE_MULTIPLE = const(16)
_MAX_READ = const(125)
_MAX_WRITE = const(123)
_FRAME_BYTES = const(256)
_SHORT_REQUEST = const(8)
_RESYNC_MS = const(20)  # a host's USB adapter may pause this long inside one frame
_COUNT_MASK = const(0x3FFFFFFF)
_NEVER_MS = const(0x3FFFFFFF)


class RtuServer:
    """Owns `port`. Unit 1..247."""

    def __init__(self, port, baud, unit, registers):
        self._port = port
        self._unit = unit
        self._registers = registers
        self._rx = bytearray(_FRAME_BYTES)
        self._tx = bytearray(_FRAME_BYTES)
        self.tx = self._tx  # for registers.read
        self._chunk = bytearray(_FRAME_BYTES)
        self._have = 0
        self._last_byte_ms = 0
        self._gap_ms = gap_ms(baud)
        self._resync_ms = self._gap_ms if self._gap_ms > _RESYNC_MS else _RESYNC_MS
        self._is_skipping = False
        self._reply_bytes = 0
        self._data_at = 0
        self.ok = 0
        self.timeouts = 0
        self.crc_errors = 0
        self.exceptions = 0
        self.malformed = 0
        self.discarded = 0
        self.bytes_sent = 0
        self.bytes_received = 0

    def poll(self, now_ms):
        """Take what has arrived and answer when it is due. Call every 1..2 ms."""
        n = self._port.any()
        if n:
            self._take(n, now_ms)
        elif self._reply_bytes:
            if elapsed_ms(now_ms, self._last_byte_ms) >= self._gap_ms:
                self._port.write(self._tx, self._reply_bytes)
                self.bytes_sent = (self.bytes_sent + self._reply_bytes) & _COUNT_MASK
                self._reply_bytes = 0
        elif self._have or self._is_skipping:
            if elapsed_ms(now_ms, self._last_byte_ms) >= self._resync_ms:
                self._end_of_silence()

    def wait_ms(self, now_ms):
        """Milliseconds until `poll` is needed if no byte arrives: >= 1, large when idle."""
        if self._reply_bytes:
            wait = remaining_ms(now_ms, self._last_byte_ms, self._gap_ms)
        elif self._have or self._is_skipping:
            wait = remaining_ms(now_ms, self._last_byte_ms, self._resync_ms)
        else:
            return _NEVER_MS
        return wait if wait > 1 else 1

    def put(self, k, value):
        """For registers.read: the k-th uint16 of the reply."""
        tx = self._tx
        tx[3 + 2 * k] = (value >> 8) & 0xFF
        tx[4 + 2 * k] = value & 0xFF

    def get(self, k):
        """For registers.write: the k-th uint16 of the request."""
        at = self._data_at + 2 * k
        return (self._rx[at] << 8) | self._rx[at + 1]

    def _take(self, n, now_ms):
        """Append what arrived; what comes while an answer is pending cannot be a request."""
        self._last_byte_ms = now_ms
        if n > _FRAME_BYTES:
            n = _FRAME_BYTES
        self._port.readinto(self._chunk, n)
        self.bytes_received = (self.bytes_received + n) & _COUNT_MASK
        if self._is_skipping or self._reply_bytes or self._have + n > _FRAME_BYTES:
            self._skip(n)
            return
        self._append(n)
        while self._have >= 4 and self._step():
            pass

    def _append(self, n):
        move(self._rx, self._have, self._chunk, 0, n)
        self._have += n

    def _skip(self, n):
        self.discarded = (self.discarded + n + self._have) & _COUNT_MASK
        self._have = 0
        self._reply_bytes = 0
        self._is_skipping = True

    def _step(self):
        """Deal with the frame at the start of the buffer; True when another may follow."""
        if self._rx[0] == self._unit:
            self._step_own()
            return False
        length = self._other_length()
        if length < 0:
            self._skip(0)
            return False
        if length == 0:
            return False
        self._have -= length
        move(self._rx, 0, self._rx, length, self._have)
        return True

    def _step_own(self):
        function = self._rx[1]
        if function == _WRITE_MULTIPLE:
            length = 9 + self._rx[6] if self._have > 6 else 9
        elif function == _READ_HOLDING or function == _READ_INPUT or function == _WRITE_SINGLE:
            length = _SHORT_REQUEST
        else:
            return  # length unknown: silence ends it
        if self._have < length:
            return
        if length > _FRAME_BYTES or crc16(self._rx, length):
            self.crc_errors += 1
            self._skip(0)
            return
        self.discarded = (self.discarded + self._have - length) & _COUNT_MASK
        self._have = 0
        self._answer(function)

    def _other_length(self):
        """Bytes of the other unit's frame at the start: 0 when not all there, -1 when not one."""
        rx = self._rx
        function = rx[1]
        if function & 0x80:
            short = long = 5
        elif 1 <= function <= 4:
            short = 5 + rx[2]
            long = _SHORT_REQUEST
        elif function == 15 or function == _WRITE_MULTIPLE:
            short = _SHORT_REQUEST
            long = 9 + rx[6] if self._have > 6 else 9
        else:
            short = long = _SHORT_REQUEST
        have = self._have
        if have >= short and crc16(rx, short) == 0:
            return short
        if have >= long and crc16(rx, long) == 0:
            return long
        return -1 if have >= short and have >= long else 0

    def _end_of_silence(self):
        """The line rested: what is left was an unsupported request or a broken frame."""
        have = self._have
        if have >= 4 and self._rx[0] == self._unit and crc16(self._rx, have) == 0:
            self._refuse(self._rx[1], ILLEGAL_FUNCTION)
        elif have:
            self.timeouts += 1
            self.discarded = (self.discarded + have) & _COUNT_MASK
        self._have = 0
        self._is_skipping = False

    def _answer(self, function):
        """Run one good request and leave the reply in the transmit buffer."""
        self._data_at = 4
        address = self.get(-1)
        count = self.get(0)
        if function == _WRITE_SINGLE:
            code = self._registers.write(address, 1, self)
        elif function == _WRITE_MULTIPLE:
            self._data_at = 7
            if count < 1 or count > _MAX_WRITE or self._rx[6] != 2 * count:
                code = ILLEGAL_VALUE
            else:
                code = self._registers.write(address, count, self)
        elif count < 1 or count > _MAX_READ:
            code = ILLEGAL_VALUE
        else:
            code = self._registers.read(address, count, self)
        if code:
            self._refuse(function, code)
            return
        self.ok = (self.ok + 1) & _COUNT_MASK
        if function == _WRITE_SINGLE or function == _WRITE_MULTIPLE:
            self._seal_echo(function)
        else:
            self._tx[2] = 2 * count
            self._seal(function, 3 + 2 * count)

    def _seal_echo(self, function):
        for k in range(2, 6):
            self._tx[k] = self._rx[k]
        self._seal(function, 6)

    def _refuse(self, function, code):
        self.exceptions += 1
        self._tx[2] = code
        self._seal(function | 0x80, 3)

    def _seal(self, function, n):
        tx = self._tx
        tx[0] = self._unit
        tx[1] = function
        crc = crc16(tx, n)
        tx[n] = crc & 0xFF
        tx[n + 1] = crc >> 8
        self._reply_bytes = n + 2

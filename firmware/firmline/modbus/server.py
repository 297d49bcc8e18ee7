# SPDX-License-Identifier: MIT
"""Modbus RTU server: the framing of one unit's requests and answers; pdu.py says what they mean.

It never answers for another unit, never accepts a broadcast (an unauthenticated write nobody can
see the effect of), and never blocks, allocates or raises after construction.

Other units' frames on a shared line are recognised by length and CRC and stepped over; anything
else is skipped until the line has been silent. Called by services (the head-end server).
"""

from firmline.core.units import const, elapsed_ms, remaining_ms
from firmline.modbus.crc import crc16
from firmline.modbus.pdu import MAY_LOOSEN, Pdu
from firmline.modbus.rtu import gap_ms
from firmline.modbus.words import move

_READ_HOLDING = const(3)
_READ_INPUT = const(4)
_WRITE_SINGLE = const(6)
_WRITE_MULTIPLE = const(16)
_READ_FILE = const(20)
_WRITE_FILE = const(21)
_FRAME_BYTES = const(256)
_SHORT_REQUEST = const(8)
_RESYNC_MS = const(20)  # a host's USB adapter may pause this long inside one frame
_COUNT_MASK = const(0x3FFFFFFF)
_NEVER_MS = const(0x3FFFFFFF)


class RtuServer:
    """Owns `port`. Unit 1..247. `pdu`: what answers, see pdu.py for its `files`."""

    def __init__(self, port, baud, unit, registers):
        self._port = port
        self._unit = unit
        self._rx = bytearray(_FRAME_BYTES)
        self._tx = bytearray(_FRAME_BYTES)
        self.pdu = Pdu(registers, self._rx, self._tx, MAY_LOOSEN)
        self._have = 0
        self._last_byte_ms = 0
        self._gap_ms = gap_ms(baud)
        self._resync_ms = self._gap_ms if self._gap_ms > _RESYNC_MS else _RESYNC_MS
        self._is_skipping = False
        self._reply_bytes = 0
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
        elif self._reply_bytes < 0:
            if self.pdu.later > 0:
                self._answer(0)
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

    def _take(self, n, now_ms):
        """Append what arrived; what comes while an answer is pending cannot be a request, and ends
        that one: so there is room for it where answers are made."""
        self._last_byte_ms = now_ms
        if n > _FRAME_BYTES:
            n = _FRAME_BYTES
        self._port.readinto(self._tx, n)
        self.bytes_received = (self.bytes_received + n) & _COUNT_MASK
        if self._is_skipping or self._reply_bytes or self._have + n > _FRAME_BYTES:
            self._skip(n)
            return
        self._append(n)
        while self._have >= 4 and self._step():
            pass

    def _append(self, n):
        move(self._rx, self._have, self._tx, 0, n)
        self._have += n

    def _skip(self, n):
        self.discarded = (self.discarded + n + self._have) & _COUNT_MASK
        self._have = 0
        self._reply_bytes = self.pdu.later = 0
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
        elif function == _READ_FILE or function == _WRITE_FILE:
            length = 5 + self._rx[2]
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
        self._answer(length)

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
        elif function == _READ_FILE or function == _WRITE_FILE:
            short = long = 5 + rx[2]
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
            self._answer(have)
        elif have:
            self.timeouts += 1
            self.discarded = (self.discarded + have) & _COUNT_MASK
        self._have = 0
        self._is_skipping = False

    def _answer(self, length):
        """Run one good request of `length` bytes, 0: the one that was to be answered later, and
        leave the reply in the transmit buffer."""
        n = self.pdu.answer(length - 3) if length else self.pdu.later
        if n == 0:
            self._reply_bytes = -1  # later
            return
        n += 1
        tx = self._tx
        if tx[1] & 0x80:
            self.exceptions += 1
        else:
            self.ok = (self.ok + 1) & _COUNT_MASK
        tx[0] = self._unit
        crc = crc16(tx, n)
        tx[n] = crc & 0xFF
        tx[n + 1] = crc >> 8
        self._reply_bytes = n + 2

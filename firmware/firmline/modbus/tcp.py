# SPDX-License-Identifier: MIT
"""Modbus TCP server: one client, requests answered in turn.

A header that cannot be Modbus ends the connection, because nothing after it can be trusted; so
does a client that says nothing for a minute, or does not take its answer for ten seconds. Requests
may come in pieces or several at once; the transaction is echoed. Unit: our own, or 255 as the
specification recommends; any other gets exception 11 (nobody there). Nobody is authenticated: see
`rights` in pdu.py. It never blocks, allocates or raises; the listener allocates when a client
comes.

The listener: any() -> something can be read from the client (it also takes in a client);
readinto(buf) -> bytes, -1 when the client is gone; write(buf, n) -> bytes taken, -1; hang_up();
is_open; session, which changes with the client. Called by services.tools.
Source: Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.
"""

from firmline.core.units import const, elapsed_ms
from firmline.modbus.pdu import Pdu

_HEAD_BYTES = const(6)  # transaction, protocol, length; what follows is unit and PDU
_FRAME_BYTES = const(260)
_CHUNK_BYTES = const(64)
_MOST_CHUNKS = const(5)  # in one poll
_IDLE_LOOK_MS = const(20)
_AWAKE_MS = const(1000)  # at every poll for so long after the last byte
_SILENT_MS = const(60000)
_STUCK_MS = const(10000)
_ANY_UNIT = const(255)
_NOBODY = const(11)  # gateway target device failed to respond
_COUNT_MASK = const(0x3FFFFFFF)


class TcpServer:
    """Owns `listener`. Unit 1..247. rights: as in pdu.py."""

    def __init__(self, listener, unit, registers, rights):
        self._listener = listener
        self._unit = unit
        self._rx = bytearray(_FRAME_BYTES)
        self._tx = bytearray(_FRAME_BYTES)
        self._chunk = bytearray(_CHUNK_BYTES)
        self.pdu = Pdu(
            registers,
            memoryview(self._rx)[_HEAD_BYTES:],
            memoryview(self._tx)[_HEAD_BYTES:],
            rights,
        )
        self._session = 0
        self._have = 0  # bytes in _rx
        self._unsent = 0  # bytes of the answer, at the start of _tx; -1: it comes later
        self._chunk_at = 0  # what of the chunk is not looked at yet
        self._chunk_have = 0
        self._looked_ms = 0
        self._moved_ms = 0
        self.is_awake = False
        self.ok = 0
        self.exceptions = 0
        self.malformed = 0
        self.timeouts = 0

    def poll(self, now_ms):
        """Take what has come, and answer. Some ten times a second, each time while awake."""
        if not self.is_awake and elapsed_ms(now_ms, self._looked_ms) < _IDLE_LOOK_MS:
            return
        self._looked_ms = now_ms
        is_there = self._listener.any()
        if self._session != self._listener.session:
            self._begin(now_ms)
        if not self._listener.is_open:
            self.is_awake = False
            return
        if self._unsent:
            self._send(now_ms)
        elif is_there or self._chunk_at < self._chunk_have:
            self._moved_ms = now_ms
            self.is_awake = True
            self._take()
        self._look_at_silence(elapsed_ms(now_ms, self._moved_ms))

    def _begin(self, now_ms):
        """Another client: nothing of the last one's counts."""
        self._session = self._listener.session
        self._have = self._unsent = self._chunk_at = self._chunk_have = self.pdu.later = 0
        self._moved_ms = now_ms

    def _look_at_silence(self, silent_ms):
        if silent_ms >= (_STUCK_MS if self._unsent else _SILENT_MS):
            self.timeouts += 1
            self._listener.hang_up()
        elif silent_ms >= _AWAKE_MS:
            self.is_awake = False

    def _take(self):
        """What is there, up to the end of one request: the next one waits for its answer."""
        left = _MOST_CHUNKS
        while left and not self._unsent and self._listener.is_open:
            if self._chunk_at >= self._chunk_have:
                left -= 1
                self._chunk_at = 0
                self._chunk_have = self._listener.readinto(self._chunk)
                if self._chunk_have <= 0:
                    return
            self._use_chunk()

    def _use_chunk(self):
        rx = self._rx
        while self._chunk_at < self._chunk_have and not self._unsent:
            rx[self._have] = self._chunk[self._chunk_at]
            self._have += 1
            self._chunk_at += 1
            if self._have >= _HEAD_BYTES:
                self._look_at_frame((rx[4] << 8) + rx[5])

    def _look_at_frame(self, length):
        """At least the header is there; length: of unit and PDU, as the header says."""
        if self._rx[2] or self._rx[3] or length < 2 or length > _FRAME_BYTES - _HEAD_BYTES:
            self.malformed += 1
            self._chunk_have = self._have = 0
            self._listener.hang_up()
        elif self._have == _HEAD_BYTES + length:
            self._have = 0
            self._answer(length - 1)

    def _answer(self, n):
        tx = self._tx
        for k in range(_HEAD_BYTES + 1):
            tx[k] = self._rx[k]
        if tx[6] == self._unit or tx[6] == _ANY_UNIT:
            n = self.pdu.answer(n)
        else:
            tx[7] = self._rx[7] | 0x80
            tx[8] = _NOBODY
            n = 2
        if n:
            self._reply(n)
        else:
            self._unsent = -1

    def _reply(self, n):
        tx = self._tx
        if tx[7] & 0x80:
            self.exceptions += 1
        else:
            self.ok = (self.ok + 1) & _COUNT_MASK
        tx[4] = 0
        tx[5] = n + 1
        self._unsent = _HEAD_BYTES + 1 + n
        self._push()

    def _send(self, now_ms):
        before = self._unsent
        if before > 0:
            self._push()
        elif self.pdu.later > 0:
            self._reply(self.pdu.later)
        if self._unsent != before:
            self._moved_ms = now_ms

    def _push(self):
        """Give the listener what it takes; what it does not is moved to the front and kept."""
        taken = self._listener.write(self._tx, self._unsent)
        if taken < 0:
            self._unsent = 0
            return
        self._unsent -= taken
        for k in range(self._unsent if taken else 0):
            self._tx[k] = self._tx[k + taken]

# SPDX-License-Identifier: MIT
"""Modbus ASCII server on a console that people use too: ":" hex digits, LRC, CR LF.

Only printable characters are in a frame, so Ctrl-C (0x03) is never part of one. What is no frame
is ignored: key presses, terminal noise. "?" and Enter alone are answered by a line for people. It
never answers for another unit and never accepts a broadcast. It never blocks or raises, and
allocates nothing but that line; a port may raise KeyboardInterrupt where Ctrl-C was pressed.

An idle console is looked at every 50 ms at most, and at every poll for a while after a byte. The
answer leaves in pieces as the port has room, and is given up when nobody reads.

The port: any() -> at least one byte can be read, readinto(buf, 1), and write(buf, n) -> bytes
that it has taken, without waiting for more room.
Loaded and called by services.tools. Source: Modbus over Serial Line V1.02, 2.5.2.
"""

from firmline.core.units import const, elapsed_ms

_IDLE_LOOK_MS = const(50)
_AWAKE_MS = const(1000)  # at every poll for so long after the last byte
_GIVE_UP_MS = const(1000)  # between two characters of a frame, or of an answer nobody takes
_FRAME_BYTES = const(256)
_PIECE_BYTES = const(16)
_MOST_BYTES = const(16)  # taken in one poll
_COUNT_MASK = const(0x3FFFFFFF)

_HEX = b"0123456789ABCDEF"
_COLON = const(58)
_CR = const(13)
_LF = const(10)
_QUESTION = const(63)

_OUTSIDE = const(0)  # what is not a frame is ignored
_INSIDE = const(1)
_ENDING = const(2)  # CR has come
_ASKED = const(3)  # "?" has come, alone on its line
_NEW_LINE = const(4)  # nothing has come on this line


class AsciiServer:
    """Owns `port`, and the buffers of `pdu`, a modbus.pdu.Pdu. Unit 1..247, 0: any but the
    broadcast. status: None, or status() -> bytes of a line for a person."""

    def __init__(self, port, unit, pdu, status=None):
        self._port = port
        self._unit = unit
        self._status = status
        self._rx = bytearray(_FRAME_BYTES)
        self._tx = bytearray(_FRAME_BYTES)
        self._piece = bytearray(_PIECE_BYTES)
        self.pdu = pdu
        pdu.rx = self._rx
        pdu.tx = self._tx
        self._state = _NEW_LINE
        self._digits = 0  # hex digits of the frame so far
        self._looked_ms = 0
        self._moved_ms = 0  # a byte came or went
        self.is_awake = False
        self._text = None  # an answer that is not a frame
        self._sent = 0  # bytes of the answer that are out, -1: not even its colon ...
        self._unsent = 0  # characters of the piece that the port has not taken
        self._length = 0  # ... of so many; 0: there is no answer under way, -1: it comes later
        self.ok = 0
        self.exceptions = 0
        self.lrc_errors = 0
        self.malformed = 0
        self.timeouts = 0

    def poll(self, now_ms):
        """Take what has come, and answer. Some ten times a second, each time while awake."""
        if not self.is_awake and elapsed_ms(now_ms, self._looked_ms) < _IDLE_LOOK_MS:
            return
        self._looked_ms = now_ms
        if self._length:
            self._send(now_ms)
            return
        if self._port.any():
            self._moved_ms = now_ms
            self.is_awake = True
            self._take()
        elif self.is_awake and elapsed_ms(now_ms, self._moved_ms) >= _AWAKE_MS:
            self.is_awake = False
            if self._state == _INSIDE or self._state == _ENDING:
                self.timeouts += 1
                self._state = _OUTSIDE

    def _take(self):
        """Up to the end of a frame; what is behind it stays in the port until that is answered."""
        left = _MOST_BYTES
        while left and not self._length and self._port.any():
            left -= 1
            self._port.readinto(self._piece, 1)
            self._step(self._piece[0])

    def _step(self, char):
        if char == _COLON:
            self._state = _INSIDE
            self._digits = 0
        elif self._state == _INSIDE:
            self._step_inside(char)
        elif char == _LF or char == _CR:
            self._step_line_end(char)
        elif self._state == _NEW_LINE and char == _QUESTION:
            self._state = _ASKED
        else:
            self._state = _OUTSIDE

    def _step_inside(self, char):
        if char == _CR:
            self._state = _ENDING
            return
        digit = _digit(char)
        at = self._digits >> 1
        if digit < 0 or at >= _FRAME_BYTES:
            self.malformed += 1
            self._state = _OUTSIDE
        elif self._digits & 1:
            self._rx[at] |= digit
        else:
            self._rx[at] = digit << 4
        self._digits += 1

    def _step_line_end(self, char):
        state = self._state
        self._state = _NEW_LINE
        if state == _ENDING and char == _LF:
            self._end_frame()
        elif state == _ASKED and self._status:
            self._text = self._status()
            self._length = len(self._text)
            self._sent = 0

    def _end_frame(self):
        n = self._digits >> 1
        if n < 3 or self._digits & 1:
            self.malformed += 1
        elif lrc(self._rx, n):
            self.lrc_errors += 1
        elif self._rx[0] and (self._rx[0] == self._unit or not self._unit):
            self._answer(n)

    def _answer(self, n):
        n = self.pdu.answer(n - 2)
        if n:
            self._reply(n)
        else:
            self._length = -1

    def _reply(self, n):
        tx = self._tx
        n += 1
        if tx[1] & 0x80:
            self.exceptions += 1
        else:
            self.ok = (self.ok + 1) & _COUNT_MASK
        tx[0] = self._rx[0]
        tx[n] = lrc(tx, n)
        self._text = None
        self._length = n + 1
        self._sent = -1

    def _send(self, now_ms):
        """The next characters, as many as the port has room for, at most two pieces a poll."""
        left = 2
        if self._length < 0:
            self._moved_ms = now_ms
            if self.pdu.later > 0:
                self._reply(self.pdu.later)
        while left and self._length > 0:
            left -= 1
            if not self._unsent:
                self._unsent = self._take_text() if self._text else self._take_digits()
            if not self._unsent:
                self._length = 0
            elif self._push():
                self._moved_ms = now_ms
            else:
                left = 0
        if self._length > 0 and elapsed_ms(now_ms, self._moved_ms) >= _GIVE_UP_MS:
            self.timeouts += 1
            self._length = self._unsent = 0

    def _push(self):
        """How much of the piece the port takes; the rest of it moves to the front."""
        piece = self._piece
        taken = self._port.write(piece, self._unsent)
        self._unsent -= taken
        for k in range(self._unsent):
            piece[k] = piece[k + taken]
        return taken

    def _take_digits(self):
        """The next piece: the colon, the digits of up to eight bytes, or CR and LF; its length."""
        piece = self._piece
        count = 0
        while count < _PIECE_BYTES and 0 <= self._sent < self._length:
            byte = self._tx[self._sent]
            piece[count] = _HEX[byte >> 4]
            piece[count + 1] = _HEX[byte & 15]
            self._sent += 1
            count += 2
        if count == 0 and self._sent < 0:
            piece[0] = _COLON
            count = 1
            self._sent = 0
        elif count == 0 and self._sent == self._length:
            piece[0] = _CR
            piece[1] = _LF
            count = 2
            self._sent += 1
        return count

    def _take_text(self):
        text = self._text or b""
        count = 0
        while count < _PIECE_BYTES and self._sent < self._length:
            self._piece[count] = text[self._sent]
            self._sent += 1
            count += 1
        return count


def _digit(char):
    """The value of a hex digit, -1 for any other character. Lower case is taken too."""
    if 48 <= char <= 57:
        return char - 48
    char |= 32
    return char - 87 if 97 <= char <= 102 else -1


def lrc(buffer, n):
    """What makes the sum of the first n bytes 0 modulo 256; 0 over a frame with a good LRC."""
    total = 0
    for k in range(n):
        total += buffer[k]
    return -total & 0xFF

# SPDX-License-Identifier: MIT
"""Modbus RTU frames on the host: CRC, requests, replies, framing of a byte stream.

Independent of the firmware's codec on purpose: the bench must not share its mistakes. Speed
matters here (a day has 860,000 meter reads): the CRC goes two bytes a step and read requests,
which repeat, are parsed once.
"""

from struct import Struct, unpack

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3

_CACHE_LIMIT = 4096
_WORDS = [Struct(f"<{n}H").unpack for n in range(130)]


def _byte_step(crc):
    for _ in range(8):
        crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


_BYTE = [_byte_step(n) for n in range(256)]
_WORD = [_BYTE[((n >> 8) ^ _BYTE[n & 0xFF]) & 0xFF] ^ (_BYTE[n & 0xFF] >> 8) for n in range(65536)]


def crc16(data, crc=0xFFFF):
    """CRC-16/MODBUS of `data`, continuing from `crc`."""
    even = len(data) & ~1
    table = _WORD
    if even == len(data) and even < 260:
        words = _WORDS[even >> 1](data)
    else:
        words = unpack(f"<{even >> 1}H", data[:even])
    for word in words:
        crc = table[crc ^ word]
    if even != len(data):
        crc = (crc >> 8) ^ _BYTE[(crc ^ data[-1]) & 0xFF]
    return crc


def with_crc(body):
    """The frame of `body`: the CRC follows low byte first."""
    return bytes(body) + crc16(body).to_bytes(2, "little")


def is_intact(frame):
    """A frame of plausible length whose CRC fits."""
    return 4 <= len(frame) <= 256 and crc16(frame[:-2]) == frame[-2] | frame[-1] << 8


def read_request(unit, function, address, count):
    """Functions 3 and 4."""
    return with_crc(
        bytes((unit, function, address >> 8, address & 0xFF, count >> 8, count & 0xFF))
    )


def write_request(unit, address, values):
    """Function 16; `values` are uint16."""
    body = bytearray((unit, 16, address >> 8, address & 0xFF, 0, len(values), 2 * len(values)))
    for value in values:
        body += value.to_bytes(2, "big")
    return with_crc(body)


def write_single_request(unit, address, value):
    """Function 6."""
    return with_crc(
        bytes((unit, 6, address >> 8, address & 0xFF, value >> 8 & 0xFF, value & 0xFF))
    )


def exception_reply(unit, function, code):
    return with_crc(bytes((unit, function | 0x80, code)))


class Request(tuple):
    """(unit, function, address, count, values, head, head_crc), parsed and CRC-checked.

    count is None for a function this bench does not know; values are the uint16 of a write;
    head and head_crc are the first three bytes of a read's good reply and the CRC up to there.
    """

    __slots__ = ()


_reads = {}


def parse(frame):
    """The Request in `frame` (bytes), or None when the CRC or the length does not fit."""
    request = _reads.get(frame)
    return _parse(frame) if request is None else request


def _parse(frame):
    if not is_intact(frame):
        return None
    unit, function = frame[0], frame[1]
    if function in (3, 4):
        if len(frame) != 8:
            return None
        address, count = frame[2] << 8 | frame[3], frame[4] << 8 | frame[5]
        head = bytes((unit, function, 2 * count & 0xFF))
        request = Request((unit, function, address, count, None, head, crc16(head)))
        if len(_reads) >= _CACHE_LIMIT:
            _reads.clear()
        _reads[frame] = request
        return request
    if function == 6 and len(frame) == 8:
        values = (frame[4] << 8 | frame[5],)
        return Request((unit, function, frame[2] << 8 | frame[3], 1, values, None, 0))
    if function == 16 and len(frame) >= 9 and len(frame) == 9 + frame[6]:
        address, count = frame[2] << 8 | frame[3], frame[4] << 8 | frame[5]
        values = unpack(f">{frame[6] // 2}H", frame[7 : 7 + (frame[6] & 0xFE)])
        return Request((unit, function, address, count, values, None, 0))
    if function in (6, 16):
        return None
    return Request((unit, function, 0, None, None, None, 0))


def request_length(head):
    """Expected bytes of the request that starts with `head`; 0 while that cannot be known."""
    if len(head) < 2:
        return 0
    if head[1] != 16:
        return 8
    return 9 + head[6] if len(head) >= 7 else 0


class RequestFramer:
    """Cuts a byte stream without timing (a pty) into request frames, by length and CRC.

    A start that does not lead to an intact frame is dropped byte by byte; `discarded` counts.
    """

    def __init__(self):
        self.discarded = 0
        self._buffer = bytearray()

    def feed(self, data):
        """List of the intact frames completed by `data`, in order."""
        buffer = self._buffer
        buffer += data
        frames = []
        while True:
            length = request_length(buffer)
            if length == 0 or (length > len(buffer) and length <= 256):
                return frames
            frame = bytes(buffer[:length])
            if is_intact(frame):
                frames.append(frame)
                del buffer[:length]
            else:
                self.discarded += 1
                del buffer[0]

    def reset(self):
        """After a silence: what is left can never become a frame."""
        self.discarded += len(self._buffer)
        self._buffer.clear()

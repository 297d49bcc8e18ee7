# SPDX-License-Identifier: MIT
"""Loops over bytes and words. On a board these functions are machine code (host_tools/compile.py),
some thirty times as fast; elsewhere the same source is plain Python.

Hence no default arguments, no exceptions, integers within 32 bits, and callers that keep every
index inside its buffer: nothing checks it there. Called by modbus, services.registers.
"""

from firmline.core.units import const, ptr8, ptr16, ptr32

# Of services.register_map, but folded into the code (a test compares)
_U16 = const(5)
_HIGH = const(13)
_LOW = const(14)


def crc_of(data: ptr8, count: int, crc: int, table: ptr16) -> int:
    """CRC of data[0:count], continued from `crc`. `table`: 16 entries, one for each nibble."""
    k = 0
    while k < count:
        crc = crc ^ data[k]
        crc = table[crc & 15] ^ (crc >> 4)
        crc = table[crc & 15] ^ (crc >> 4)
        k += 1
    return crc


def move(target: ptr8, at: int, source: ptr8, start: int, count: int):
    """target[at:at + count] = source[start:start + count], the first byte first."""
    while count > 0:
        target[at] = source[start]
        at += 1
        start += 1
        count -= 1


def find(data: ptr8, count: int, byte: int) -> int:
    """Place of the first `byte` in data[0:count], `count` when there is none."""
    k = 0
    while k < count and data[k] != byte:
        k += 1
    return k


def put_map(target: ptr8, image: ptr16, kinds: ptr8, telemetry: ptr32, address: int, count: int):
    """Registers [address, address + count) of services.register_map as big-endian words from
    target[3] on. Kind 0: `image` has the value; else it has an index of `telemetry`, and the kind
    is U16, HIGH or LOW. Of all other kinds the index itself is put."""
    while count > 0:
        count -= 1
        value = image[address + count]
        if kinds[address + count] == _HIGH:
            value = telemetry[value] >> 16
        elif kinds[address + count] == _LOW:
            value = telemetry[value]
        elif kinds[address + count] == _U16:
            value = telemetry[value]
            if value < 0:
                value = 0
            if value > 0xFFFF:
                value = 0xFFFF
        target[2 * count + 3] = (value >> 8) & 0xFF
        target[2 * count + 4] = value & 0xFF

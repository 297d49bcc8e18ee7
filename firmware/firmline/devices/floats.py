# SPDX-License-Identifier: MIT
"""Decoding of IEEE 754 single precision numbers into integers, without floats.

Apart from fields.py because it is machine code (viper) on the RP2040: a meter that gives floats is
read ten times a second or faster. Plain Python elsewhere; the same rules as for core/ledger.py.
"""

from firmline.core.units import const, ptr8, ptr32

_INVALID = const(-0x3FFFFFFF)
_LIMIT = const(0x1FFFFFFF)
_DATA_AT = const(3)
_FIELD = const(6)


def float_scaled(high: int, low: int, numerator: int) -> int:
    """round(float32 * numerator) as an int, |result| < 2**29; _INVALID for NaN, Inf or beyond.

    0 < numerator <= 1000. The fraction is cut to 19 bits first: numerator / 2**19 stays below
    0.002 units, and no intermediate leaves 30 bits.
    """
    exponent = (high >> 7) & 0xFF
    if exponent == 0xFF:
        return _INVALID
    mantissa = ((high & 0x7F) << 16) | low | 0x800000
    shift = 150 - exponent
    if shift <= 0:
        if shift < -5:
            return _INVALID
        whole = mantissa << (0 - shift)
        fraction = 0
    elif shift > 43:  # below 2**-19, zero and denormals included
        return 0
    else:
        whole = 0
        if shift < 24:
            whole = mantissa >> shift
        fraction = mantissa
        if shift < 24:
            fraction = mantissa - (whole << shift)
        if shift > 19:
            fraction = fraction >> (shift - 19)
        else:
            fraction = fraction << (19 - shift)
    if whole > _LIMIT // numerator:
        return _INVALID
    whole = whole * numerator + ((fraction * numerator + 0x40000) >> 19)
    if whole > _LIMIT:
        return _INVALID
    return 0 - whole if high & 0x8000 else whole


def float_value(data: ptr8, at: int, numerator: int) -> int:
    high = (data[at] << 8) | data[at + 1]
    at = (data[at + 2] << 8) | data[at + 3]
    return int(float_scaled(high, at, numerator))


def decode_floats(data: ptr8, fields: ptr32, count: int, work: ptr32) -> int:
    """As fields.decode_all, for a block of nothing but F32: the scale factor does not apply."""
    while count > 0:
        count -= 1
        at = _FIELD * count
        first = _DATA_AT + 2 * fields[at]
        at = fields[at + 2]
        at = int(float_value(data, first, at))
        work[count] = at
        if at == _INVALID:
            return 0
    return 1

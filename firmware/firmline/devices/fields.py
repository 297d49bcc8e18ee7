# SPDX-License-Identifier: MIT
"""The vocabulary of the product tables, and the decoding of one field of a reply.

A field is a tuple of six ints:
    (offset, kind, numerator, denominator, target, scale)
offset      register offset from the start of the product's map or of the SunSpec model
kind        how the registers are read (below); a not-implemented code or a value beyond
            +-2**29 is INVALID and spoils the whole reply
numerator   value = raw * numerator / denominator, rounded to nearest (half away from zero)
target      where the value goes in the link (below)
scale       NO_SCALE, the offset of the SunSpec scale factor read in the same block, or
            SCALE_SET / SCALE_W / SCALE_AUX: a scale factor kept from the identification

Integers only, nothing allocated, nothing raised. Called by devices.link.
"""

from firmline.core.units import const

INVALID = const(-0x3FFFFFFF)

# kinds
U16 = const(0)
I16 = const(1)
U32 = const(2)  # high word first
I32 = const(3)
F32 = const(4)  # IEEE 754, high word first; the denominator is not used
SUNS_U16 = const(5)  # 0xFFFF: not implemented
SUNS_I16 = const(6)  # 0x8000: not implemented
SUNS_SF = const(7)  # scale factor -10..10
U16_BITS = const(8)  # (register >> numerator) & denominator
U16_WITHIN = const(9)  # numerator <= value <= denominator, else INVALID
U32_WITHIN = const(10)

# targets: 0..8 are phase values
L1_MA = const(0)
L2_MA = const(1)
L3_MA = const(2)
L1_W = const(3)
L2_W = const(4)
L3_W = const(5)
L1_DV = const(6)
L2_DV = const(7)
L3_DV = const(8)
TOTAL_W = const(9)
DRAW_W = const(10)
POWER_W = const(11)
STATE = const(12)
SOC_PERMILLE = const(13)
LIMIT_MA = const(14)
RATED = const(15)  # W of an inverter or battery, mA of a charger
CHECKED = const(16)  # only has to be valid

NO_SCALE = const(-1)
SCALE_SET = const(-2)  # of the set point
SCALE_W = const(-3)  # of the measured power
SCALE_AUX = const(-4)
SCALES = const(3)

_LIMIT = const(0x1FFFFFFF)
_TENTH_OF_LIMIT = const(53687091)
_POWERS = (1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000)


def float_scaled(high, low, numerator):
    """round(float32 * numerator) as an int, |result| < 2**29; INVALID for NaN, Inf or beyond.

    0 < numerator <= 1000. The fraction is cut to 19 bits first: numerator / 2**19 stays below
    0.002 units, and no intermediate leaves 30 bits.
    """
    exponent = (high >> 7) & 0xFF
    if exponent == 0xFF:
        return INVALID
    mantissa = ((high & 0x7F) << 16) | low | 0x800000
    shift = 150 - exponent
    if shift <= 0:
        if shift < -5:
            return INVALID
        whole = mantissa << -shift
        fraction = 0
    elif shift > 43:  # below 2**-19, zero and denormals included
        return 0
    else:
        whole = mantissa >> shift if shift < 24 else 0
        fraction = mantissa - (whole << shift) if shift < 24 else mantissa
        fraction = fraction >> (shift - 19) if shift > 19 else fraction << (19 - shift)
    if whole > _LIMIT // numerator:
        return INVALID
    whole = whole * numerator + ((fraction * numerator + 0x40000) >> 19)
    if whole > _LIMIT:
        return INVALID
    return -whole if high & 0x8000 else whole


def decimal_scaled(raw, power, denominator):
    """round(raw * 10**power / denominator) or INVALID.

    |raw| < 2**29, -10 <= power <= 10, 1 <= denominator <= 1000.
    """
    size = -raw if raw < 0 else raw
    while power > 0 and size:
        if size > _TENTH_OF_LIMIT:
            return INVALID
        size *= 10
        power -= 1
    if power < 0:
        if power < -8:
            return 0
        divisor = _POWERS[-power]
        if denominator > 1:  # two steps: the product could leave 30 bits
            size = (size + (divisor >> 1)) // divisor
            divisor = denominator
    else:
        divisor = denominator
    if divisor > 1:
        size = (size + (divisor >> 1)) // divisor
    return -size if raw < 0 else size


def scale_factor(reply, at):
    """The SunSpec scale factor in register `at` of a reply: -10..10, or INVALID."""
    return _raw(reply, at, SUNS_SF)


def _raw(reply, at, kind):
    """The integer kinds before scaling, or INVALID."""
    value = reply.register(at)
    if kind == SUNS_U16:
        return INVALID if value == 0xFFFF else value
    if kind == SUNS_I16 or kind == SUNS_SF:
        if value == 0x8000:
            return INVALID
        value = value - 0x10000 if value & 0x8000 else value
        return INVALID if kind == SUNS_SF and (value < -10 or value > 10) else value
    if kind == I16:
        return value - 0x10000 if value & 0x8000 else value
    if kind == U32 or kind == U32_WITHIN or kind == I32:
        if kind == I32 and value & 0x8000:
            if value < 0xE000:
                return INVALID
            value -= 0x10000
        elif value >= 0x2000:
            return INVALID
        return value * 65536 + reply.register(at + 1)
    return value


def _float(reply, field):
    high = reply.register(field[0])
    return float_scaled(high, reply.register(field[0] + 1), field[2])


def decode(reply, field, power):
    """Value of `field` of a reply; field[0] counts from the reply's first register.

    `reply` offers register(k). `power` is the decimal scale factor that applies, 0 if none.
    """
    kind = field[1]
    if kind == F32:
        return _float(reply, field)
    raw = _raw(reply, field[0], kind)
    if raw == INVALID:
        return INVALID
    if kind == U16_BITS:
        return (raw >> field[2]) & field[3]
    if kind == U16_WITHIN or kind == U32_WITHIN:
        return raw if field[2] <= raw <= field[3] else INVALID
    if field[2] != 1:
        if raw > _LIMIT // 1000 or raw < -(_LIMIT // 1000):
            return INVALID
        raw *= field[2]
    if power or field[3] != 1:
        return decimal_scaled(raw, power, field[3])
    return raw if -_LIMIT <= raw <= _LIMIT else INVALID

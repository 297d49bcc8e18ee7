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

A block's fields lie in one array("i"), six numbers each. A block has floats (F32) or integers, not
both. Integers only, nothing allocated, nothing raised. Called by devices.measured.
"""

from firmline.core.units import const
from firmline.devices.floats import decode_floats

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

_LIMIT = const(0x1FFFFFFF)
_TENTH_OF_LIMIT = const(53687091)
_DATA_AT = const(3)  # in a reply: unit, function and byte count come before
_FIELD = const(6)  # numbers that make a field
_KIND = const(1)  # the second
MOST_FIELDS = const(12)  # of a block
_SCALES_AT = const(12)  # in the working array: behind the decoded values
WORK = const(15)  # its length


def decimal_scaled(raw, power, denominator):
    """round(raw * 10**power / denominator) or INVALID.

    |raw| < 2**29, -10 <= power <= 10, 1 <= denominator <= 1000.
    """
    size = 0 - raw if raw < 0 else raw
    while power > 0 and size != 0:
        if size > _TENTH_OF_LIMIT:
            return INVALID
        size *= 10
        power -= 1
    if power < 0:
        if power < -8:
            return 0
        divisor = 1
        while power < 0:
            divisor *= 10
            power += 1
        size = (size + (divisor >> 1)) // divisor  # two steps: the product could leave 30 bits
    if denominator > 1:
        size = (size + (denominator >> 1)) // denominator
    return 0 - size if raw < 0 else size


def raw_value(data, at, kind):
    """The integer kinds before scaling, or INVALID. `at`: byte of the reply."""
    value = (data[at] << 8) | data[at + 1]
    if kind == SUNS_U16:
        return INVALID if value == 0xFFFF else value
    if kind == SUNS_I16 or kind == SUNS_SF:
        if value == 0x8000:
            return INVALID
        if value & 0x8000:
            value -= 0x10000
        if kind == SUNS_SF and (value < -10 or value > 10):
            return INVALID
        return value
    if kind == I16:
        return value - 0x10000 if value & 0x8000 else value
    if kind == U32 or kind == U32_WITHIN or kind == I32:
        if kind == I32 and value & 0x8000:
            if value < 0xE000:
                return INVALID
            value -= 0x10000
        elif value >= 0x2000:
            return INVALID
        return value * 65536 + ((data[at + 2] << 8) | data[at + 3])
    return value


def power_of(data, scale, work):
    """The decimal scale factor that applies to a field, or INVALID."""
    if scale >= 0:
        return raw_value(data, _DATA_AT + 2 * scale, SUNS_SF)
    if scale == NO_SCALE:
        return 0
    return work[_SCALES_AT + SCALE_SET - scale]


def decode(data, fields, at, work):
    """Value of the field whose six numbers begin at fields[at], or INVALID."""
    raw = _raw(data, fields, at)
    if raw == INVALID or fields[at + 1] >= U16_BITS:
        return _limited(raw, fields, at)
    power = power_of(data, fields[at + 5], work)
    return _scaled(raw, fields, at, power)


def _raw(data, fields, at):
    kind = fields[at + 1]
    at = _DATA_AT + 2 * fields[at]
    return raw_value(data, at, kind)


def _limited(raw, fields, at):
    if fields[at + 1] == U16_BITS:
        return (raw >> fields[at + 2]) & fields[at + 3]
    if raw != INVALID and fields[at + 2] <= raw <= fields[at + 3]:
        return raw
    return INVALID


def _scaled(raw, fields, at, power):
    if power == INVALID:
        return INVALID
    if fields[at + 2] != 1:
        if raw > _LIMIT // 1000 or raw < -(_LIMIT // 1000):
            return INVALID
        raw *= fields[at + 2]
    if power or fields[at + 3] != 1:
        return decimal_scaled(raw, power, fields[at + 3])
    return raw if -_LIMIT <= raw <= _LIMIT else INVALID


def decode_all(data, fields, count, work):
    """Decode `count` fields of a reply into work[0:count]; 0 when one of them is invalid.

    `data`: the reply's bytes. `work`: WORK ints; the last three are the scale factors that were
    read before (SCALE_SET, SCALE_W, SCALE_AUX).
    """
    if count and fields[_KIND] == F32:
        return decode_floats(data, fields, count, work)
    while count > 0:
        count -= 1
        work[count] = decode(data, fields, _FIELD * count, work)
        if work[count] == INVALID:
            return 0
    return 1

# SPDX-License-Identifier: MIT
"""devices.fields: integer decoding of floats, scaled integers and not-implemented codes."""

import struct
from array import array

from modbus_fakes import reply_bytes

from firmline.devices import fields, floats
from firmline.devices.catalog import PLACES, table_of

INVALID = -0x3FFFFFFF
LIMIT = (1 << 29) - 1


def scaled(high, low, numerator=1):
    return floats.float_scaled(high, low, numerator)


def words(value):
    return struct.unpack(">HH", struct.pack(">f", value))


def test_floats_of_a_real_meter():
    assert scaled(0x4367, 0xAF55, 10) == 2317  # 231.68 V in 0.1 V
    assert scaled(0x4088, 0xFA31, 1000) == 4281  # 4.2805 A in mA
    assert scaled(0xC42F, 0x2666, 1) == -701  # -700.6 W


def test_zero_in_every_form_is_zero():
    for high, low in ((0, 0), (0x8000, 0), (0, 1), (0x007F, 0xFFFF), (0x807F, 0xFFFF)):
        assert scaled(high, low, 1000) == 0


def test_halves_round_away_from_zero():
    assert scaled(0x3F00, 0) == 1  # 0.5
    assert scaled(0xBF00, 0) == -1
    assert scaled(0x3EFF, 0xFFFF) == 0  # just below
    assert scaled(0x4020, 0) == 3  # 2.5
    assert scaled(0x3F7F, 0xFFFF) == 1


def test_nan_and_infinities_are_invalid():
    for high, low in ((0x7FC0, 0), (0xFFC0, 0), (0x7F80, 0), (0xFF80, 0), (0x7F80, 1)):
        assert scaled(high, low) == INVALID


def test_range_ends_at_two_to_the_29():
    assert scaled(0x4DFF, 0xFFFF) == 0x1FFFFFE0  # the largest float below 2**29
    assert scaled(0x4E00, 0x0000) == INVALID
    assert scaled(0xCDFF, 0xFFFF) == -0x1FFFFFE0
    assert scaled(0xCE00, 0x0000) == INVALID
    assert scaled(0x7F7F, 0xFFFF) == INVALID
    assert scaled(*words(536870.0), numerator=1000) == 536870000
    assert scaled(*words(536871.0), numerator=1000) == INVALID


def test_every_exponent_agrees_with_the_float_itself():
    state = 12345
    for exponent in range(100, 158):
        for _ in range(12):
            state = state * 69069 + 12345 & 0xFFFFFFFF
            high = exponent << 7 | state >> 16 & 0x807F
            low = state & 0xFFFF
            value = struct.unpack(">f", struct.pack(">HH", high, low))[0]
            for numerator in (1, 10, 1000):
                given = scaled(high, low, numerator)
                wanted = value * numerator
                if abs(wanted) > LIMIT:
                    assert given == INVALID
                else:
                    assert abs(given - wanted) <= 0.503, (exponent, value, numerator, given)


def test_decimal_scaling():
    assert fields.decimal_scaled(1234, 0, 1) == 1234
    assert fields.decimal_scaled(1234, 2, 1) == 123400
    assert fields.decimal_scaled(1234, -2, 1) == 12
    assert fields.decimal_scaled(1250, -2, 1) == 13
    assert fields.decimal_scaled(-1250, -2, 1) == -13
    assert fields.decimal_scaled(-1249, -2, 1) == -12
    assert fields.decimal_scaled(7, 0, 2) == 4
    assert fields.decimal_scaled(70, -1, 2) == 4


def test_every_power_of_ten_divides_exactly():
    for power, wanted in (
        (-1, 12345679), (-2, 1234568), (-3, 123457), (-4, 12346), (-5, 1235), (-6, 123),
        (-7, 12), (-8, 1), (-9, 0), (-10, 0),
    ):  # fmt: skip
        assert fields.decimal_scaled(123456789, power, 1) == wanted
        assert fields.decimal_scaled(-123456789, power, 1) == -wanted


def test_decimal_scaling_at_its_ends():
    assert fields.decimal_scaled(0, 10, 1) == 0
    assert fields.decimal_scaled(5, 8, 1) == 500000000
    assert fields.decimal_scaled(54, 8, 1) == INVALID
    assert fields.decimal_scaled(-54, 8, 1) == INVALID
    assert fields.decimal_scaled(LIMIT, -8, 1) == 5
    assert fields.decimal_scaled(LIMIT, -9, 1) == 0
    assert fields.decimal_scaled(LIMIT, -10, 1) == 0


def of_reply(registers, *field, power=0):
    """One field of a reply, with the scale factor `power` where the field asks for it."""
    work = array("i", [0] * 12 + [power, 0, 0])
    is_good = fields.decode_all(reply_bytes(registers), array("i", field), 1, work)
    assert is_good == (work[0] != INVALID)
    return work[0]


def decode(kind, registers, numerator=1, denominator=1, power=0):
    return of_reply(registers, 0, kind, numerator, denominator, 0, -2, power=power)


def test_float_field():
    assert decode(fields.F32, (0x4088, 0xFA31), 1000) == 4281
    assert decode(fields.F32, (0x7FC0, 0), 1000) == INVALID


def test_field_is_taken_from_its_own_place():
    reply = (0, 0, 0x0001, 0x0002, 0x4088, 0xFA31)
    assert of_reply(reply, 2, fields.U32, 1, 1, 0, -1) == 65538
    assert of_reply(reply, 4, fields.F32, 1000, 1, 0, -1) == 4281


def test_plain_integers():
    assert decode(fields.U16, (0xFFFF,)) == 65535
    assert decode(fields.I16, (0x8000,)) == -32768
    assert decode(fields.U32, (0x0001, 0x0002)) == 65538
    assert decode(fields.I32, (0xFFFF, 0xFFFE)) == -2
    assert decode(fields.U16, (160,), 100) == 16000


def test_u32_beyond_29_bits_is_invalid():
    assert decode(fields.U32, (0x1FFF, 0xFFFF)) == LIMIT
    assert decode(fields.U32, (0x2000, 0x0000)) == INVALID
    assert decode(fields.U32, (0xFFFF, 0xFFFF)) == INVALID


def test_i32_beyond_29_bits_is_invalid():
    assert decode(fields.I32, (0xE000, 0x0001)) == -LIMIT
    assert decode(fields.I32, (0xE000, 0x0000)) == INVALID
    assert decode(fields.I32, (0xDFFF, 0xFFFF)) == INVALID
    assert decode(fields.I32, (0x8000, 0x0000)) == INVALID
    assert decode(fields.I32, (0x2000, 0x0000)) == INVALID


def test_sunspec_not_implemented_codes_are_invalid():
    assert decode(fields.SUNS_U16, (0xFFFF,)) == INVALID
    assert decode(fields.SUNS_U16, (0x8000,)) == 32768
    assert decode(fields.SUNS_I16, (0x8000,)) == INVALID
    assert decode(fields.SUNS_I16, (0xFFFF,)) == -1
    assert decode(fields.SUNS_SF, (0x8000,)) == INVALID


def test_scale_factors_beyond_ten_are_invalid():
    assert decode(fields.SUNS_SF, (0x000A,)) == 10
    assert decode(fields.SUNS_SF, (0xFFF6,)) == -10
    assert decode(fields.SUNS_SF, (0x000B,)) == INVALID
    assert decode(fields.SUNS_SF, (0xFFF5,)) == INVALID
    assert of_reply((500, 0xFFFE), 0, fields.U16, 1, 1, 0, 1) == 5
    assert of_reply((500, 0x000B), 0, fields.U16, 1, 1, 0, 1) == INVALID


def test_each_scale_factor_of_the_identification_has_its_place():
    work = array("i", [0] * 12 + [1, 2, -1])
    block = array("i", (0, 0, 1, 1, 0, -2) + (0, 0, 1, 1, 0, -3) + (0, 0, 1, 1, 0, -4))
    assert fields.decode_all(reply_bytes((50,)), block, 3, work)
    assert list(work[:3]) == [500, 5000, 5]


def test_one_invalid_field_spoils_the_reply():
    block = array("i", (0, 5, 1, 1, 0, -1) + (1, 5, 1, 1, 0, -1))
    work = array("i", [0] * 15)
    assert fields.decode_all(reply_bytes((1, 2)), block, 2, work)
    assert not fields.decode_all(reply_bytes((0xFFFF, 2)), block, 2, work)
    assert not fields.decode_all(reply_bytes((1, 0xFFFF)), block, 2, work)


def test_scaled_sunspec_values():
    assert decode(fields.SUNS_I16, (2301,), 10, 1, -1) == 2301  # 230.1 V in 0.1 V
    assert decode(fields.SUNS_I16, (0xFB2E,), 1000, 1, -2) == -12340  # -12.34 A in mA
    assert decode(fields.SUNS_I16, (3000,), 1, 1, 2) == 300000  # 300 kW
    assert decode(fields.SUNS_I16, (32767,), 1, 1, 5) == INVALID
    assert decode(fields.SUNS_I16, (500,), -1, 1, 1) == -5000


def test_bits_and_ranges():
    assert decode(fields.U16_BITS, (0x8400,), 8, 0x7F) == 4
    assert decode(fields.U16_WITHIN, (0x0107,), 0x100, 0x1FF) == 0x107
    assert decode(fields.U16_WITHIN, (0x00FF,), 0x100, 0x1FF) == INVALID
    assert decode(fields.U16_WITHIN, (0x0200,), 0x100, 0x1FF) == INVALID
    assert decode(fields.U32_WITHIN, (0, 5999), 6000, 80000) == INVALID
    assert decode(fields.U32_WITHIN, (0, 6000), 6000, 80000) == 6000
    assert decode(fields.U32_WITHIN, (1, 14464), 6000, 80000) == 80000
    assert decode(fields.U32_WITHIN, (1, 14465), 6000, 80000) == INVALID


def test_product_with_the_numerator_stays_in_range():
    assert decode(fields.U32, (8, 12582), 1000) == 536870000
    assert decode(fields.U32, (8, 12583), 1000) == INVALID
    assert decode(fields.I32, (0xFFF7, 52954), 1000) == -536870000
    assert decode(fields.I32, (0xFFF7, 52953), 1000) == INVALID
    assert decode(fields.U16, (70,), 1, 4) == 18


def test_no_block_of_any_product_mixes_floats_with_other_numbers():
    for name in PLACES:
        table = table_of(name)
        reads = [block[5] for block in table["blocks"]] + [read[5] for read in table["identify"]]
        for read in reads:
            assert len({field[1] == fields.F32 for field in read}) <= 1, name

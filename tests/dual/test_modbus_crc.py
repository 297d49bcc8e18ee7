# SPDX-License-Identifier: MIT
"""modbus.crc against the published check value, real frames and the polynomial itself."""

from firmline.modbus.crc import crc16


def bitwise(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def test_published_check_value():
    assert crc16(b"123456789", 9) == 0x4B37


def test_nothing_leaves_the_start_value():
    assert crc16(b"", 0) == 0xFFFF


def test_a_frame_with_its_own_crc_has_remainder_zero():
    # Request and reply of a real SDM meter: 231.68 V.
    assert crc16(b"\x01\x04\x00\x00\x00\x02\x71\xcb", 8) == 0
    assert crc16(b"\x01\x04\x04\x43\x67\xaf\x55\xe2\x10", 9) == 0


def test_every_single_byte_follows_the_polynomial():
    for value in range(256):
        assert crc16(bytes([value]), 1) == bitwise([value])


def test_a_frame_may_be_checked_in_parts():
    whole = b"\x02\x10\x41\x00\x00\x02\x04\x00\x00\x7d\x00"
    for cut in range(len(whole)):
        first = crc16(whole, cut)
        assert crc16(whole[cut:], len(whole) - cut, first) == 0xE8E1


def test_only_the_first_n_bytes_count():
    assert crc16(b"\x01\x04\x00\x00\x00\x02\xff\xff", 6) == 0xCB71


def test_every_flipped_bit_is_seen():
    good = b"\x01\x04\x04\x43\x67\xaf\x55\xe2\x10"
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert crc16(bad, len(bad)) != 0

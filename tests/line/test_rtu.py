# SPDX-License-Identifier: MIT
"""Frames and CRC against published examples, and the framing of a stream without timing."""

import pytest

from hil.line import rtu

# Eastron SDM630 protocol description: request and reply for the voltage of phase 1.
VOLTS_REQUEST = bytes.fromhex("0104000000 0271cb")
VOLTS_REPLY = bytes.fromhex("010404 43663334 1b38")


def crc_by_bits(data):
    """The definition: polynomial 0xA001 reflected, start 0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def test_crc_of_the_check_string_is_0x4b37():
    assert rtu.crc16(b"123456789") == 0x4B37


@pytest.mark.parametrize("length", (*range(12), 255, 256, 257, 300, 301))
def test_crc_equals_the_definition_for_every_length(length):
    data = bytes((37 * k + length) & 0xFF for k in range(length))
    assert rtu.crc16(data) == crc_by_bits(data)
    assert rtu.crc16(data[3:], rtu.crc16(data[:3])) == crc_by_bits(data)


def test_published_frames_are_intact_and_one_bit_breaks_them():
    for frame in (VOLTS_REQUEST, VOLTS_REPLY):
        assert rtu.is_intact(frame)
        for k in range(8 * len(frame)):
            broken = bytearray(frame)
            broken[k // 8] ^= 1 << k % 8
            assert not rtu.is_intact(broken)


def test_requests_are_built_as_published():
    assert rtu.read_request(1, 4, 0, 2) == VOLTS_REQUEST
    # Modbus application protocol V1.1b3, sections 6.6 and 6.12, as RTU frames of unit 0x11.
    assert rtu.write_single_request(0x11, 1, 3)[:-2] == bytes.fromhex("110600010003")
    body = bytes.fromhex("1110 0001 0002 04 000a 0102")
    assert rtu.write_request(0x11, 1, (10, 0x0102))[:-2] == body
    assert rtu.exception_reply(0x11, 3, 2)[:-2] == bytes.fromhex("118302")


def test_parse_reads_every_field():
    assert rtu.parse(VOLTS_REQUEST)[:5] == (1, 4, 0, 2, None)
    assert rtu.parse(rtu.write_single_request(9, 0x0105, 0xABCD))[:5] == (
        9,
        6,
        0x105,
        1,
        (0xABCD,),
    )
    assert rtu.parse(rtu.write_request(9, 0x4100, (0, 6000)))[:5] == (9, 16, 0x4100, 2, (0, 6000))
    assert rtu.parse(rtu.with_crc(b"\x01\x2b\x0e\x01"))[:4] == (1, 0x2B, 0, None)


def test_parse_refuses_damage_and_wrong_lengths_every_time():
    for frame in (VOLTS_REQUEST[:-1] + b"\x00", VOLTS_REQUEST[:5], b"", VOLTS_REQUEST + b"\x00"):
        assert rtu.parse(frame) is None
        assert rtu.parse(frame) is None
    assert rtu.parse(rtu.with_crc(b"\x01\x04\x00\x00\x00\x02\x00")) is None
    assert rtu.parse(rtu.with_crc(b"\x01\x06\x00\x00\x00")) is None
    assert rtu.parse(rtu.with_crc(b"\x01\x10\x00\x00\x00\x01\x04\x00\x00")) is None


def test_framer_cuts_frames_out_of_pieces_and_garbage():
    framer = rtu.RequestFramer()
    write = rtu.write_request(1, 7, (1, 2, 3))
    stream = VOLTS_REQUEST + write + VOLTS_REQUEST
    got = []
    for byte in stream:
        got += framer.feed(bytes((byte,)))
    assert got == [VOLTS_REQUEST, write, VOLTS_REQUEST]
    assert framer.discarded == 0
    assert framer.feed(b"\x00\xff\x55" + write + VOLTS_REQUEST) == [write, VOLTS_REQUEST]
    assert framer.discarded == 3


def test_framer_reset_forgets_a_started_frame():
    framer = rtu.RequestFramer()
    assert framer.feed(VOLTS_REQUEST[:5]) == []
    framer.reset()
    assert framer.feed(VOLTS_REQUEST) == [VOLTS_REQUEST]
    assert framer.discarded == 5

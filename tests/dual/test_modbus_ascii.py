# SPDX-License-Identifier: MIT
"""modbus.ascii: frames on a console that people use too. Unit 17, address 0x6B, as in the
specification's examples; the LRCs are worked out by hand."""

from modbus_fakes import (
    Clock,
    FakeRegisters,
    LateFiles,
    ServingLoop,
    Steady,
    assert_serving_allocates_nothing,
)

from firmline.modbus.ascii import AsciiServer, lrc
from firmline.modbus.pdu import Pdu

READ = b":1103006B00027F\r\n"
READ_REPLY = b":110304022B006457\r\n"
READ_ONE = b":1104006B00017F\r\n"
READ_ONE_REPLY = b":110402022BBC\r\n"
READ_FAR = b":110300C8000123\r\n"
READ_REFUSED = b":1183026A\r\n"
WRITE_TWO = b":1110006B000204000A010261\r\n"
WRITE_TWO_ECHO = b":1110006B000272\r\n"
OTHER_UNIT = b":0503006B00018C\r\n"
BROADCAST = b":0006006B123449\r\n"
REPORT_ID = b":1111DE\r\n"
REPORT_ID_REFUSED = b":1191015D\r\n"


class Console:
    """Bytes one by one; `room`: how many it takes."""

    def __init__(self):
        self.waiting = b""
        self.sent = bytearray()
        self.room = 1000000
        self.looks = 0

    def any(self):
        self.looks += 1
        return 1 if self.waiting else 0

    def readinto(self, buf, n):
        assert n == 1 and self.waiting
        buf[0] = self.waiting[0]
        self.waiting = self.waiting[1:]
        return 1

    def write(self, buf, n):
        assert 0 < n <= 16
        n = min(n, self.room)
        self.room -= n
        for k in range(n):
            self.sent.append(buf[k])
        return n


class Bench:
    def __init__(self, status=None):
        self.port = Console()
        self.clock = Clock()
        self.registers = FakeRegisters({0x6B: 0x022B, 0x6C: 0x0064})
        self.server = AsciiServer(self.port, 17, Pdu(self.registers, b"", b""), status)

    def run(self, ms):
        for _ in range(ms // 2):
            self.server.poll(self.clock.after(2))

    def answer_to(self, data, ms=300):
        self.port.waiting += data
        self.run(ms)
        said = bytes(self.port.sent)
        self.port.sent = bytearray()
        return said


def test_lrc_of_the_specification():
    assert lrc(b"\xf7\x03\x13\x89\x00\x0a", 6) == 0x60


def test_reads_and_writes():
    bench = Bench()
    assert bench.answer_to(READ) == READ_REPLY
    assert bench.answer_to(READ_ONE) == READ_ONE_REPLY
    assert bench.answer_to(WRITE_TWO) == WRITE_TWO_ECHO
    assert bench.registers.writes == [(0x6B, [0x000A, 0x0102])]
    assert (bench.server.ok, bench.server.exceptions) == (3, 0)


def test_lower_case_digits_are_taken():
    assert Bench().answer_to(b":1103006b00027f\r\n") == READ_REPLY


def test_refusals_are_exceptions():
    bench = Bench()
    assert bench.answer_to(READ_FAR) == READ_REFUSED
    assert bench.answer_to(REPORT_ID) == REPORT_ID_REFUSED
    assert bench.server.exceptions == 2


def test_another_unit_and_a_broadcast_are_not_answered():
    bench = Bench()
    assert bench.answer_to(OTHER_UNIT) == b""
    assert bench.answer_to(BROADCAST) == b""
    assert bench.registers.writes == []
    assert bench.answer_to(READ) == READ_REPLY


def test_every_split_of_a_frame_is_the_same_frame():
    for at in range(1, len(READ)):
        bench = Bench()
        assert bench.answer_to(READ[:at], 200) == b""
        assert bench.answer_to(READ[at:]) == READ_REPLY, at


def test_any_damaged_character_makes_no_answer():
    for at in range(1, len(READ) - 2):
        for char in b"0F:? G\x00":
            if READ[at] == char:
                continue
            damaged = READ[:at] + bytes([char]) + READ[at + 1 :]
            bench = Bench()
            assert bench.answer_to(damaged) == b"", (at, char)
            assert bench.answer_to(READ) == READ_REPLY, (at, char)
    assert bench.registers.writes == []


def test_a_bad_lrc_is_counted():
    bench = Bench()
    assert bench.answer_to(READ.replace(b"7F", b"7E")) == b""
    assert bench.server.lrc_errors == 1


def test_a_frame_that_begins_anew_counts_from_its_colon():
    assert Bench().answer_to(READ[:7] + READ) == READ_REPLY


def test_a_frame_that_stops_is_forgotten_after_a_second():
    bench = Bench()
    bench.answer_to(READ[:7], 1200)
    assert bench.server.timeouts == 1
    assert bench.answer_to(READ[7:]) == b""
    assert bench.answer_to(READ) == READ_REPLY


def test_an_overlong_frame_is_skipped_to_the_next_colon():
    bench = Bench()
    assert bench.answer_to(b":" + b"11" * 2000, 1000) == b""
    assert bench.server.malformed == 1
    assert bench.answer_to(b"\r\n" + READ) == READ_REPLY


def test_frames_too_short_or_of_half_bytes_are_not_answered():
    bench = Bench()
    for frame in (b":\r\n", b":11\r\n", b":11EF\r\n", b":1103006B00027F0\r\n"):
        assert bench.answer_to(frame) == b"", frame
    assert bench.server.malformed == 4


def test_key_presses_are_no_requests():
    bench = Bench()
    for keys in (b"help\r\n", b"\r\n\r\n", b"\x1b[A", b"import os\r\n", b"??\r", b"a?\r", b"?a\r"):
        assert bench.answer_to(keys) == b"", keys
    assert bench.answer_to(READ) == READ_REPLY


def test_a_question_mark_alone_is_answered_by_a_line():
    bench = Bench(lambda: b"Firmline: all is well, thank you\r\n")
    for keys in (b"?\r", b"?\r\n", b"?\n"):
        assert bench.answer_to(keys) == b"Firmline: all is well, thank you\r\n", keys
    assert bench.answer_to(READ) == READ_REPLY
    assert Bench().answer_to(b"?\r") == b""


def test_requests_in_a_row_are_answered_in_turn():
    assert Bench().answer_to(READ + READ_ONE + READ) == READ_REPLY + READ_ONE_REPLY + READ_REPLY


def test_an_idle_console_is_looked_at_twenty_times_a_second():
    bench = Bench()
    bench.run(10000)
    assert 190 <= bench.port.looks <= 201 and not bench.server.is_awake
    bench.port.waiting = READ[:3]
    bench.run(60)
    assert bench.server.is_awake
    bench.run(1100)
    assert not bench.server.is_awake


def test_the_answer_waits_for_room_and_is_given_up_when_nobody_reads():
    bench = Bench()
    bench.port.room = 0
    said = bench.answer_to(READ, 300)
    for at in range(len(READ_REPLY)):  # byte by byte, whatever the pieces are
        assert said == READ_REPLY[:at]
        bench.port.room = 1
        said += bench.answer_to(b"", 20)
    assert said == READ_REPLY
    for room in range(len(READ_REPLY)):
        bench.port.room = room
        assert bench.answer_to(READ, 1400) == READ_REPLY[:room]
        assert bench.server.timeouts == room + 1
        bench.port.room = 100
        assert bench.answer_to(READ) == READ_REPLY


def test_the_longest_read_is_one_frame():
    bench = Bench()
    bench.registers.put_all(0x100, [0xFFFF] * 125)
    said = bench.answer_to(b":11030100007D6E\r\n", 600)
    assert len(said) == 1 + 2 * (3 + 250 + 1) + 2
    assert said[:7] == b":1103FA" and said[-2:] == b"\r\n"


def test_serving_never_allocates():
    loop = ServingLoop(READ, 60)
    loop.server = AsciiServer(loop, 17, Pdu(Steady(), b"", b""))
    assert_serving_allocates_nothing(loop)


def test_what_takes_long_is_answered_later_and_in_turn():
    bench = Bench()
    files = LateFiles(bench.server.pdu)
    assert bench.answer_to(b":11140706000500000001C8\r\n" + READ, 5000) == b""
    files.finish()
    assert bench.answer_to(b"") == b":111400DB\r\n" + READ_REPLY
    bench.answer_to(b":11140706000500000001C8\r\n")
    files.finish(4)
    assert bench.answer_to(b"") == b":11940457\r\n"
    assert files.asked == 2 and bench.server.timeouts == 0

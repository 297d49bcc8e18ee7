# SPDX-License-Identifier: MIT
"""modbus.tcp: requests as they come out of a stream, and clients that misbehave."""

from modbus_fakes import (
    Clock,
    FakeRegisters,
    LateFiles,
    ServingLoop,
    Steady,
    assert_serving_allocates_nothing,
)

from firmline.modbus.tcp import TcpServer

READ = b"\x12\x34\x00\x00\x00\x06\x11\x03\x00\x6b\x00\x02"
READ_REPLY = b"\x12\x34\x00\x00\x00\x07\x11\x03\x04\x02\x2b\x00\x64"
READ_255 = b"\x00\x01\x00\x00\x00\x06\xff\x03\x00\x6b\x00\x01"
READ_255_REPLY = b"\x00\x01\x00\x00\x00\x05\xff\x03\x02\x02\x2b"
READ_FAR = b"\x00\x02\x00\x00\x00\x06\x11\x03\x00\xc8\x00\x01"
READ_REFUSED = b"\x00\x02\x00\x00\x00\x03\x11\x83\x02"
WRITE = b"\xff\xff\x00\x00\x00\x09\x11\x10\x00\x6b\x00\x01\x02\x12\x34"
WRITE_ECHO = b"\xff\xff\x00\x00\x00\x06\x11\x10\x00\x6b\x00\x01"
NOBODY = b"\x00\x00\x00\x03"  # length, then unit, function | 0x80, 11


class Listener:
    """A client's bytes in `waiting`; it takes `room` bytes of an answer at a time."""

    def __init__(self):
        self.waiting = b""
        self.sent = b""
        self.room = 1000
        self.is_open = False
        self.session = 0
        self.has_visitor = False
        self.hung_up = 0
        self.looks = 0

    def call(self):
        self.has_visitor = True

    def any(self):
        self.looks += 1
        if self.has_visitor:
            self.has_visitor = False
            self.is_open = True
            self.session += 1
            self.waiting = b""
            return False
        return bool(self.waiting)

    def readinto(self, buf):
        n = min(len(buf), len(self.waiting))
        buf[:n] = self.waiting[:n]
        self.waiting = self.waiting[n:]
        return n

    def write(self, buf, n):
        n = min(n, self.room)
        self.sent += bytes(buf[:n])
        return n

    def hang_up(self):
        self.is_open = False
        self.hung_up += 1
        self.waiting = b""


class Bench:
    def __init__(self):
        self.listener = Listener()
        self.clock = Clock()
        self.registers = FakeRegisters({0x6B: 0x022B, 0x6C: 0x0064})
        self.server = TcpServer(self.listener, 17, self.registers, 0)
        self.listener.call()
        self.run(30)

    def run(self, ms):
        for _ in range(ms // 2):
            self.server.poll(self.clock.after(2))

    def answer_to(self, data, ms=40):
        self.listener.waiting += data
        self.run(ms)
        said = self.listener.sent
        self.listener.sent = b""
        return said


def test_reads_and_writes_and_echoes_the_transaction():
    bench = Bench()
    assert bench.answer_to(READ) == READ_REPLY
    assert bench.answer_to(WRITE) == WRITE_ECHO
    assert bench.answer_to(READ_255) == READ_255_REPLY.replace(b"\x02\x2b", b"\x12\x34")
    assert bench.registers.writes == [(0x6B, [0x1234])]


def test_refusals_are_exceptions():
    bench = Bench()
    assert bench.answer_to(READ_FAR) == READ_REFUSED
    assert bench.server.exceptions == 1


def test_other_units_get_nobody_there_and_nothing_happens():
    bench = Bench()
    for unit in (0, 1, 16, 18, 247, 254):
        request = WRITE[:6] + bytes([unit]) + WRITE[7:]
        assert bench.answer_to(request) == b"\xff\xff" + NOBODY + bytes([unit, 0x90, 11])
    assert bench.registers.writes == []


def test_every_split_of_a_request_is_the_same_request():
    for at in range(1, len(WRITE)):
        bench = Bench()
        assert bench.answer_to(WRITE[:at]) == b""
        assert bench.answer_to(WRITE[at:]) == WRITE_ECHO, at


def test_requests_in_one_piece_are_answered_in_turn():
    bench = Bench()
    asked = READ + READ_FAR + WRITE + READ_255 + READ[:5]
    said = bench.answer_to(asked, 100)
    changed = READ_255_REPLY.replace(b"\x02\x2b", b"\x12\x34")
    assert said == READ_REPLY + READ_REFUSED + WRITE_ECHO + changed
    assert bench.answer_to(READ[5:]) == READ_REPLY[:9] + b"\x12\x34\x00\x64"


def test_a_hundred_requests_at_once_are_all_answered():
    bench = Bench()
    assert bench.answer_to(READ * 100, 600) == READ_REPLY * 100


def test_a_header_that_is_not_modbus_ends_the_connection():
    for head in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x12\x34\x00\x01\x00\x06",  # another protocol
        b"\x12\x34\x00\x00\x00\x01",  # no function
        b"\x12\x34\x00\x00\x00\xff",  # longer than a PDU can be
        b"\x12\x34\x00\x00\x01\x06",
    ):
        bench = Bench()
        assert bench.answer_to(head + READ) == b"", head
        assert (bench.listener.hung_up, bench.server.malformed) == (1, 1), head
        bench.listener.call()
        bench.run(40)
        assert bench.answer_to(READ) == READ_REPLY


def test_the_longest_request_is_taken():
    bench = Bench()
    bench.registers.put_all(0x100, [0] * 123)
    write = b"\x11\x10\x01\x00\x00\x7b\xf6" + bytes(246)
    said = bench.answer_to(b"\x00\x09\x00\x00\x00\xfd" + write)
    assert said == b"\x00\x09\x00\x00\x00\x06\x11\x10\x01\x00\x00\x7b"
    assert bench.registers.write_count == 1


def test_a_new_client_does_not_inherit_half_a_request():
    bench = Bench()
    assert bench.answer_to(WRITE[:9]) == b""
    bench.listener.is_open = False  # it has gone
    bench.listener.call()
    bench.run(40)
    assert bench.answer_to(WRITE[9:] + READ) != WRITE_ECHO
    assert bench.registers.writes == []


def test_a_silent_client_is_hung_up_on_after_a_minute():
    bench = Bench()
    bench.answer_to(READ)
    bench.run(59000)
    assert bench.listener.hung_up == 0
    bench.run(1100)
    assert (bench.listener.hung_up, bench.server.timeouts) == (1, 1)


def test_an_answer_waits_for_a_slow_reader():
    bench = Bench()
    bench.listener.room = 5
    assert bench.answer_to(READ + READ_255, 60) == READ_REPLY + READ_255_REPLY


def test_a_client_that_does_not_read_is_hung_up_on_after_ten_seconds():
    bench = Bench()
    bench.listener.room = 0
    bench.answer_to(READ, 9900)
    assert bench.listener.hung_up == 0
    bench.run(200)
    assert bench.listener.hung_up == 1


def test_nobody_there_is_looked_for_fifty_times_a_second():
    bench = Bench()
    bench.listener.is_open = False
    bench.run(2000)
    looks = bench.listener.looks
    bench.run(10000)
    assert 400 <= bench.listener.looks - looks <= 501
    assert not bench.server.is_awake


def test_serving_never_allocates():
    loop = ServingLoop(READ, 30)
    loop.server = TcpServer(loop, 17, Steady(), 0)
    assert_serving_allocates_nothing(loop)


READ_FILE = b"\x00\x07\x00\x00\x00\x0a\x11\x14\x07\x06\x00\x05\x00\x00\x00\x01"
LATE_REPLY = b"\x00\x07\x00\x00\x00\x03\x11\x14\x00"


def test_what_takes_long_is_answered_later_and_in_turn():
    bench = Bench()
    files = LateFiles(bench.server.pdu)
    assert bench.answer_to(READ_FILE + READ, 500) == b""
    files.finish()
    assert bench.answer_to(b"") == LATE_REPLY + READ_REPLY
    assert files.asked == 1 and bench.server.ok == 2
    bench.answer_to(READ_FILE)
    files.finish(4)
    assert bench.answer_to(b"") == LATE_REPLY[:-2] + b"\x94\x04"


def test_another_client_does_not_get_what_was_to_be_answered_later():
    bench = Bench()
    files = LateFiles(bench.server.pdu)
    bench.answer_to(READ_FILE)
    bench.listener.hang_up()
    bench.run(100)
    bench.listener.call()
    bench.run(100)
    files.finish()
    assert bench.answer_to(b"", 100) == b""
    assert bench.answer_to(READ) == READ_REPLY

# SPDX-License-Identifier: MIT
"""modbus.server: answers to one unit, refusals, and a line shared with other units.

Frames of the specification's own example (unit 17, address 0x6B). The gap at 9600 baud is 4 ms.
"""

from modbus_fakes import Clock, FakePort, FakeRegisters, LateFiles, assert_allocates_nothing

from firmline.modbus.server import RtuServer

READ = b"\x11\x03\x00\x6b\x00\x02\xb7\x47"
READ_REPLY = b"\x11\x03\x04\x02\x2b\x00\x64\x9b\xa9"
READ_INPUT = b"\x11\x04\x00\x6b\x00\x01\x42\x86"
READ_INPUT_REPLY = b"\x11\x04\x02\x02\x2b\x39\x8c"
READ_FAR = b"\x11\x03\x00\xc8\x00\x01\x07\x64"
READ_REFUSED_ADDRESS = b"\x11\x83\x02\xc1\x34"
READ_REFUSED_VALUE = b"\x11\x83\x03\x00\xf4"
WRITE_ONE = b"\x11\x06\x00\x6b\x12\x34\xf7\xf1"
WRITE_ONE_FAR = b"\x11\x06\x00\xc8\x00\x01\xcb\x64"
WRITE_ONE_REFUSED = b"\x11\x86\x02\xc2\x64"
WRITE_TWO = b"\x11\x10\x00\x6b\x00\x02\x04\x00\x0a\x01\x02\x40\xa7"
WRITE_TWO_ECHO = b"\x11\x10\x00\x6b\x00\x02\x32\x84"
WRITE_REFUSED_VALUE = b"\x11\x90\x03\x0d\xc4"
REPORT_ID = b"\x11\x11\xcd\xec"
REPORT_ID_REFUSED = b"\x11\x91\x01\x8d\x95"
BROADCAST = b"\x00\x06\x00\x6b\x12\x34\xf4\xb0"
OTHER_READ = b"\x05\x03\x00\x6b\x00\x0c\x35\x97"
OTHER_REPLY = b"\x05\x03\x18" + bytes(24) + b"\x92\x7f"
OTHER_WRITE = b"\x05\x10\x41\x00\x00\x02\x04\x00\x00\x7d\x00\xfb\x9c"
OTHER_ECHO = b"\x05\x10\x41\x00\x00\x02\x54\x70"
OTHER_REFUSAL = b"\x05\x83\x02\x81\x30"
OTHER_UNKNOWN = b"\x05\x2b\x0e\x01\x00\x81\xb7"


class Bench:
    def __init__(self, baud=9600):
        self.port = FakePort()
        self.clock = Clock()
        self.registers = FakeRegisters({0x6B: 0x022B, 0x6C: 0x0064})
        self.server = RtuServer(self.port, baud, 17, self.registers)

    def poll(self, after_ms=0):
        self.server.poll(self.clock.after(after_ms))

    def hear(self, data, after_ms=10):
        self.port.arrive(data)
        self.poll(after_ms)

    def answer(self):
        """What it has said after the gap."""
        self.poll(4)
        said = self.port.sent
        self.port.sent = []
        return said


def answer_to(request):
    bench = Bench()
    bench.hear(request)
    return bench.answer()


def test_reads_holding_registers():
    assert answer_to(READ) == [READ_REPLY]


def test_reads_with_function_4_too():
    assert answer_to(READ_INPUT) == [READ_INPUT_REPLY]


def test_writes_one_register_and_echoes():
    bench = Bench()
    bench.hear(WRITE_ONE)
    assert bench.answer() == [WRITE_ONE]
    assert bench.registers.writes == [(0x6B, [0x1234])]


def test_writes_several_registers_and_echoes():
    bench = Bench()
    bench.hear(WRITE_TWO)
    assert bench.answer() == [WRITE_TWO_ECHO]
    assert bench.registers.writes == [(0x6B, [0x000A, 0x0102])]


def test_answers_after_the_gap_and_once():
    bench = Bench()
    bench.hear(READ)
    bench.poll(3)
    assert bench.port.sent == []
    bench.poll(1)
    assert bench.port.sent == [READ_REPLY]
    bench.poll(100)
    assert bench.port.sent == [READ_REPLY]


def test_request_may_come_byte_by_byte():
    bench = Bench()
    for k in range(len(WRITE_TWO)):
        bench.hear(WRITE_TWO[k : k + 1], 2)
    assert bench.answer() == [WRITE_TWO_ECHO]


def test_refusal_of_the_registers_is_passed_on():
    assert answer_to(READ_FAR) == [READ_REFUSED_ADDRESS]
    assert answer_to(WRITE_ONE_FAR) == [WRITE_ONE_REFUSED]


def test_impossible_counts_are_refused_without_asking_the_registers():
    bench = Bench()
    bench.hear(b"\x11\x03\x00\x6b\x00\x00\x36\x86")
    assert bench.answer() == [READ_REFUSED_VALUE]
    bench.hear(b"\x11\x03\x00\x6b\x00\x7e\xb6\xa6")
    assert bench.answer() == [READ_REFUSED_VALUE]
    bench.hear(b"\x11\x10\x00\x6b\x00\x02\x03\x00\x0a\x01\x89\xb5")
    assert bench.answer() == [WRITE_REFUSED_VALUE]
    bench.hear(b"\x11\x10\x00\x6b\x00\x00\x00\x04\xb5")
    assert bench.answer() == [WRITE_REFUSED_VALUE]
    assert (bench.registers.reads, bench.registers.write_count) == (0, 0)
    assert bench.server.exceptions == 4


def test_every_byte_of_a_register_is_read():
    bench = Bench()
    bench.registers.values = {0x6B: 0x0123, 0x6C: 0x14567}
    bench.hear(READ)
    assert bench.answer()[0][3:7] == b"\x01\x23\x45\x67"


def sealed(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return data + bytes([crc & 0xFF, crc >> 8])


def test_longest_requests_are_served_and_one_more_is_not():
    bench = Bench()
    for k in range(130):
        bench.registers.values[k] = k
    for count, size in ((125, 255), (126, 5)):
        bench.hear(sealed(bytes([17, 3, 0, 0, 0, count])))
        assert len(bench.answer()[0]) == size
    for count, size in ((123, 8), (124, 5)):
        head = bytes([17, 16, 0, 0, 0, count, 2 * count])
        bench.hear(sealed(head + bytes(2 * count)))
        said = bench.answer()
        assert [len(frame) for frame in said] == ([size] if count < 124 else [])
        bench.poll(20)
    assert bench.registers.write_count == 1


def test_bytes_behind_a_request_are_dropped_and_counted():
    bench = Bench()
    bench.hear(READ + b"\x55\x55")
    assert bench.server.discarded == 2
    assert bench.answer() == [READ_REPLY]


def test_unknown_function_is_refused_after_silence():
    bench = Bench()
    bench.hear(REPORT_ID)
    bench.poll(19)
    bench.poll(0)
    assert bench.port.sent == []
    bench.poll(1)
    bench.poll(0)
    assert bench.port.sent == [REPORT_ID_REFUSED]


def test_broadcast_write_is_not_accepted():
    bench = Bench()
    bench.hear(BROADCAST)
    assert bench.answer() == []
    assert bench.registers.write_count == 0


def test_damaged_request_is_not_answered_and_the_line_recovers_after_silence():
    bench = Bench()
    bench.hear(READ[:-1] + b"\x00")
    assert bench.answer() == []
    assert bench.server.crc_errors == 1
    assert bench.server.discarded == 8
    bench.poll(15)
    bench.hear(READ, 1)  # 20 ms after the damaged one: but nobody polled in the silence
    assert bench.answer() == []
    bench.poll(20)
    bench.hear(READ)
    assert bench.answer() == [READ_REPLY]


def test_cut_off_request_is_forgotten_after_twenty_milliseconds_of_silence():
    bench = Bench()
    bench.hear(READ[:5])
    bench.poll(19)
    assert bench.server.timeouts == 0
    bench.poll(1)
    assert bench.server.timeouts == 1
    assert bench.server.discarded == 5
    bench.hear(READ, 1)
    assert bench.answer() == [READ_REPLY]


def test_pause_inside_a_request_is_tolerated_below_twenty_milliseconds():
    bench = Bench()
    bench.hear(READ[:3])
    for _ in range(9):
        bench.poll(2)
    bench.hear(READ[3:], 1)
    assert bench.answer() == [READ_REPLY]


def test_slow_line_waits_for_its_own_gap():
    bench = Bench(1200)  # 3.5 characters are 29.2 ms
    bench.hear(READ[:5])
    bench.poll(29)
    assert bench.server.timeouts == 0
    bench.poll(1)
    assert bench.server.timeouts == 1


def test_other_units_traffic_is_stepped_over_without_a_pause():
    for traffic in (OTHER_READ, OTHER_REPLY, OTHER_WRITE, OTHER_ECHO, OTHER_REFUSAL):
        bench = Bench()
        bench.hear(traffic)
        bench.hear(READ, 4)
        assert bench.answer() == [READ_REPLY], traffic


def test_other_units_exchange_and_our_request_in_one_chunk():
    bench = Bench()
    bench.hear(OTHER_READ + OTHER_REPLY + READ)
    assert bench.answer() == [READ_REPLY]
    assert bench.server.discarded == 0


def test_other_units_exchange_in_crumbs():
    bench = Bench()
    traffic = OTHER_WRITE + OTHER_ECHO + OTHER_READ + OTHER_REPLY
    for k in range(0, len(traffic), 3):
        bench.hear(traffic[k : k + 3], 3)
    bench.hear(READ, 4)
    assert bench.answer() == [READ_REPLY]


def test_our_request_inside_another_units_data_is_not_obeyed():
    inside = b"\x05\x10\x00\x00\x00\x04\x08" + WRITE_ONE + b"\x00\x00"
    bench = Bench()
    bench.hear(inside)
    bench.poll(30)
    assert bench.answer() == []
    assert bench.registers.write_count == 0


def test_unknown_traffic_is_skipped_until_silence():
    bench = Bench()
    bench.hear(OTHER_UNKNOWN + b"\x55")
    bench.hear(READ, 4)
    assert bench.answer() == []
    bench.poll(20)
    bench.hear(READ, 1)
    assert bench.answer() == [READ_REPLY]


def test_endless_noise_is_bounded_and_counted():
    bench = Bench()
    for _ in range(20):
        bench.hear(bytes([0x55] * 100), 1)
    bench.poll(20)
    assert bench.server.discarded == 2000
    bench.hear(READ, 1)
    assert bench.answer() == [READ_REPLY]


def test_what_arrives_instead_of_silence_cancels_the_answer():
    bench = Bench()
    bench.hear(READ)
    bench.hear(b"\x55", 1)
    assert bench.answer() == []


def test_registers_keep_working_across_the_wrap_of_the_clock():
    bench = Bench()
    bench.clock.after(60000 - 12)
    bench.hear(READ)
    bench.poll(3)
    assert bench.clock.now_ms == 1
    assert bench.port.sent == []
    bench.poll(1)
    assert bench.port.sent == [READ_REPLY]


def test_wait_tells_when_something_is_due():
    bench = Bench()
    assert bench.server.wait_ms(bench.clock.now_ms) == 0x3FFFFFFF
    bench.hear(READ[:4])
    assert bench.server.wait_ms(bench.clock.now_ms) == 20
    bench.hear(READ[4:], 1)
    assert bench.server.wait_ms(bench.clock.now_ms) == 4
    assert bench.server.wait_ms(bench.clock.after(9)) == 1


def test_counters():
    bench = Bench()
    bench.hear(READ)
    bench.answer()
    bench.poll(50)
    assert bench.server.ok == 1
    assert (bench.server.bytes_received, bench.server.bytes_sent) == (8, 9)


class RepeatingPort:
    """Hears the same bytes again whenever the server has answered or 30 ms have passed."""

    def __init__(self, request):
        self.request = request
        self.left = 0

    def write(self, buf, n):
        pass

    def any(self):
        return self.left

    def readinto(self, buf, n):
        at = len(self.request) - self.left
        for k in range(n):
            buf[k] = self.request[at + k]
        self.left -= n
        return n


class QuietRegisters:
    """Two registers at 0x6B, without allocating."""

    def __init__(self):
        self.sum = 0

    def read(self, address, count, reply):
        if address != 0x6B:
            return 2
        reply.put(0, 1)
        reply.put(1, 2)
        return 0

    def write(self, address, count, request):
        self.sum = request.get(0) + request.get(1)
        return 0


class Requests:
    def __init__(self, request):
        self.port = RepeatingPort(request)
        self.server = RtuServer(self.port, 9600, 17, QuietRegisters())
        self.now_ms = 0x3FFFFFFF - 500

    def step(self):
        self.port.left = len(self.port.request)
        for _ in range(8):
            self.server.poll(self.now_ms)
            self.server.wait_ms(self.now_ms)
            self.now_ms = (self.now_ms - 0x3FFFFFFB) & 0x3FFFFFFF  # + 5 in small ints


def test_serving_allocates_nothing():
    for request in (READ, WRITE_TWO, WRITE_ONE, READ_FAR, REPORT_ID, OTHER_READ + OTHER_REPLY):
        assert_allocates_nothing(Requests(request), 40)


READ_FILE = b"\x11\x14\x07\x06\x00\x05\x00\x00\x00\x01"


def test_what_takes_long_is_answered_later():
    for code, reply in ((0, b"\x11\x14\x00"), (4, b"\x11\x94\x04")):
        bench = Bench()
        files = LateFiles(bench.server.pdu)
        bench.hear(sealed(READ_FILE))
        for _ in range(100):
            assert bench.answer() == []
        assert bench.server.wait_ms(bench.clock.now_ms) == 1
        files.finish(code)
        bench.poll(1)
        assert bench.answer() == [sealed(reply)]
        assert files.asked == 1 and bench.answer() == []
        assert (bench.server.ok, bench.server.exceptions) == (code == 0, code == 4)


def test_a_request_in_the_meantime_ends_what_was_to_be_answered_later():
    bench = Bench()
    files = LateFiles(bench.server.pdu)
    bench.hear(sealed(READ_FILE))
    bench.hear(READ)  # its sender has given up; this one is not looked at
    assert bench.server.pdu.later == 0
    files.finish()
    for _ in range(10):
        assert bench.answer() == []
    bench.hear(READ, 100)
    assert bench.answer() == [READ_REPLY]
    bench.hear(sealed(READ_FILE))
    assert files.asked == 2
    files.finish()
    bench.poll(1)
    assert bench.answer() == [sealed(b"\x11\x14\x00")]

# SPDX-License-Identifier: MIT
"""modbus.rtu: the master's frames, its clock, and which replies it refuses.

At 9600 baud a character takes 1.04 ms: 8 bytes 9 ms, 9 bytes 10 ms, the gap 4 ms.
"""

from modbus_fakes import Clock, FakePort, assert_allocates_nothing

from firmline.modbus.rtu import RtuMaster, gap_ms, gap_us

IDLE, BUSY, DONE, FAILED = 0, 1, 2, 3
TIMEOUT, CRC, EXCEPTION, MALFORMED = 1, 2, 3, 4

ASK_VOLTS = b"\x01\x04\x00\x00\x00\x02\x71\xcb"
VOLTS = b"\x01\x04\x04\x43\x67\xaf\x55\xe2\x10"  # of a real SDM meter: 231.68 V
OTHER_VOLTS = b"\x01\x04\x04\x00\x00\x00\x00\xfb\x84"
SET_LIMIT = b"\x02\x10\x41\x00\x00\x02\x04\x00\x00\x7d\x00\xe1\xe8"
LIMIT_SET = b"\x02\x10\x41\x00\x00\x02\x55\xc7"
TIMEOUT_SET = b"\x02\x10\x41\x06\x00\x01\xf5\xc7"
SET_SINGLE = b"\x05\x06\x01\x05\x00\xa0\x99\xcb"
REFUSED = b"\x01\x84\x02\xc2\xc1"


class Bench:
    def __init__(self, baud=9600):
        self.port = FakePort()
        self.clock = Clock()
        self.master = RtuMaster(self.port, baud)

    def ask(self, timeout_ms=100):
        return self.master.start_read(1, 4, 0, 2, timeout_ms, self.clock.now_ms)

    def set_limit(self):
        self.master.set_register(0, 0)
        self.master.set_register(1, 32000)
        return self.master.start_write(2, 0x4100, 2, 100, self.clock.now_ms)

    def poll(self, after_ms=0):
        return self.master.poll(self.clock.after(after_ms))

    def reply(self, data, after_ms=30):
        self.port.arrive(data)
        return self.poll(after_ms)


def test_read_request_is_the_real_meters_frame():
    bench = Bench()
    assert bench.ask() is True
    assert bench.port.sent == [ASK_VOLTS]


def test_reply_is_done_as_soon_as_its_length_is_in():
    bench = Bench()
    bench.ask()
    assert bench.poll(25) == BUSY
    assert bench.reply(VOLTS) == DONE
    assert bench.master.register(0) == 0x4367
    assert bench.master.register(1) == 0xAF55
    assert bench.master.error == 0
    assert bench.master.ok == 1


def test_reply_may_come_byte_by_byte():
    bench = Bench()
    bench.ask()
    for k in range(len(VOLTS) - 1):
        assert bench.reply(VOLTS[k : k + 1], 1) == BUSY
    assert bench.reply(VOLTS[-1:], 1) == DONE
    assert bench.master.register(1) == 0xAF55


def test_write_multiple_frame_and_its_echo():
    bench = Bench()
    assert bench.set_limit() is True
    assert bench.port.sent == [SET_LIMIT]
    assert bench.reply(LIMIT_SET) == DONE


def test_every_byte_of_a_register_is_written():
    bench = Bench()
    bench.master.set_register(0, 0x12345)  # the low 16 bits count
    bench.master.set_register(1, -2)
    bench.master.start_write(2, 0x4100, 2, 100, bench.clock.now_ms)
    assert bench.port.sent[0][7:11] == b"\x23\x45\xff\xfe"
    bench = Bench()
    bench.master.start_write_single(5, 0x1234, 0x5678, 100, bench.clock.now_ms)
    assert bench.port.sent[0][:6] == b"\x05\x06\x12\x34\x56\x78"


def test_writes_time_out_like_reads():
    bench = Bench()
    bench.set_limit()  # 13 bytes are 14 ms
    assert bench.poll(114) == BUSY
    assert bench.poll(1) == FAILED
    bench = Bench()
    bench.master.start_write_single(5, 261, 160, 100, bench.clock.now_ms)
    assert bench.poll(109) == BUSY
    assert bench.poll(1) == FAILED


def test_the_outcome_of_the_last_request_is_forgotten_by_the_next():
    bench = Bench()
    bench.ask()
    bench.reply(REFUSED)
    bench.master.release()
    bench.poll(4)
    bench.ask()
    assert (bench.master.error, bench.master.exception_code) == (0, 0)


def test_write_single_frame_and_its_echo():
    bench = Bench()
    assert bench.master.start_write_single(5, 261, 160, 100, bench.clock.now_ms) is True
    assert bench.port.sent == [SET_SINGLE]
    assert bench.reply(SET_SINGLE) == DONE


def test_done_stays_until_released_then_the_line_rests_for_the_gap():
    bench = Bench()
    bench.ask()
    assert bench.reply(VOLTS) == DONE
    assert bench.poll(0) == DONE
    bench.master.release()
    assert bench.poll(3) == BUSY
    assert bench.ask() is False
    assert bench.poll(1) == IDLE
    assert bench.ask() is True
    assert bench.poll() == BUSY  # the old reply does not answer the new request


def test_gap_is_three_and_a_half_characters_rounded_up():
    assert [gap_ms(baud) for baud in (1200, 2400, 4800, 9600, 14400)] == [30, 15, 8, 4, 3]
    assert gap_ms(1750) == 20
    assert [gap_ms(baud) for baud in (17500, 19200, 115200)] == [2, 2, 2]


def test_gap_is_two_milliseconds_on_a_fast_line():
    bench = Bench(115200)
    bench.ask()
    bench.reply(VOLTS)
    bench.master.release()
    assert bench.poll(1) == BUSY
    assert bench.poll(1) == IDLE


def test_release_of_an_idle_master_changes_nothing():
    bench = Bench()
    bench.master.release()
    assert bench.poll() == IDLE


def test_silence_times_out_counted_from_the_end_of_the_request():
    bench = Bench()
    bench.ask(timeout_ms=100)
    assert bench.poll(109) == BUSY
    assert bench.poll(1) == FAILED
    assert bench.master.error == TIMEOUT
    assert bench.master.timeouts == 1


def test_timeout_runs_across_the_wrap_of_the_clock():
    bench = Bench()
    bench.clock.after(60000 - 50)
    bench.ask(timeout_ms=100)
    assert bench.poll(109) == BUSY
    assert bench.clock.now_ms == 59
    assert bench.poll(1) == FAILED


def test_a_started_reply_gets_the_time_of_its_own_bytes_and_no_more():
    bench = Bench()
    bench.ask(timeout_ms=100)
    assert bench.reply(VOLTS[:8], 100) == BUSY
    assert bench.poll(19) == BUSY
    assert bench.poll(1) == FAILED
    assert bench.master.error == TIMEOUT


def test_failed_stays_until_released():
    bench = Bench()
    bench.ask()
    assert bench.poll(500) == FAILED
    assert bench.reply(VOLTS) == FAILED
    bench.master.release()
    assert bench.poll() == BUSY


def failure_of(reply):
    bench = Bench()
    bench.ask()
    assert bench.reply(reply) == FAILED
    return bench.master


def test_wrong_crc_is_refused():
    master = failure_of(VOLTS[:-1] + b"\x11")
    assert (master.error, master.crc_errors, master.ok) == (CRC, 1, 0)


def test_damaged_data_are_refused():
    assert failure_of(VOLTS[:4] + b"\x00" + VOLTS[5:]).error == CRC


def test_exception_reply_is_reported_with_its_code():
    master = failure_of(REFUSED)
    assert (master.error, master.exception_code, master.exceptions) == (EXCEPTION, 2, 1)


def test_damaged_exception_reply_is_a_crc_error():
    assert failure_of(REFUSED[:-1] + b"\x00").error == CRC


def test_wrong_function_is_refused():
    master = failure_of(b"\x01\x03\x04\x43\x67\xaf\x55\xe3\xa7")
    assert (master.error, master.malformed) == (MALFORMED, 1)


def test_wrong_length_is_refused():
    assert failure_of(b"\x01\x04\x02\x43\x67\xc9\xea").error == MALFORMED


def test_another_units_reply_is_not_ours():
    bench = Bench()
    bench.ask()
    bench.reply(b"\x02\x04\x04\x43\x67\xaf\x55\xd1\x10")
    assert bench.poll(500) == FAILED
    assert bench.master.ok == 0


def test_echo_of_another_write_is_refused():
    bench = Bench()
    bench.set_limit()
    assert bench.reply(TIMEOUT_SET) == FAILED
    assert bench.master.error == MALFORMED


def test_stray_bytes_before_the_reply_are_dropped_and_counted():
    bench = Bench()
    bench.ask()
    assert bench.reply(b"\x00\xff" + VOLTS[:3]) == BUSY
    assert bench.reply(VOLTS[3:]) == DONE
    assert bench.master.register(0) == 0x4367
    assert bench.master.discarded == 2


def test_bytes_after_the_reply_are_dropped_and_counted():
    bench = Bench()
    bench.ask()
    assert bench.reply(VOLTS + b"\x55\x55\x55") == DONE
    bench.master.release()
    assert bench.poll(1) == BUSY
    assert bench.poll(3) == BUSY  # the line was not silent: the gap starts again
    assert bench.poll(1) == IDLE
    assert bench.master.discarded == 3


def test_junk_behind_the_rest_of_a_reply_is_left_out():
    bench = Bench()
    bench.ask()
    assert bench.reply(VOLTS[:4]) == BUSY
    assert bench.reply(VOLTS[4:] + b"\x55\x55") == DONE
    assert bench.master.register(1) == 0xAF55


def test_nothing_but_strays_is_no_reply():
    bench = Bench()
    bench.ask()
    assert bench.reply(b"\x00\x02\x00") == BUSY
    assert bench.master.discarded == 3
    assert bench.reply(VOLTS) == DONE


def test_echo_may_come_byte_by_byte():
    bench = Bench()
    bench.set_limit()
    for k in range(len(LIMIT_SET) - 1):
        assert bench.reply(LIMIT_SET[k : k + 1], 1) == BUSY
    assert bench.reply(LIMIT_SET[-1:], 1) == DONE


def test_every_difference_of_an_echo_is_seen():
    for k in range(2, 6):
        bench = Bench()
        bench.set_limit()
        echo = bytearray(LIMIT_SET)
        echo[k] ^= 1
        assert bench.reply(bytes(echo)) == FAILED
        assert bench.master.error == MALFORMED


def test_late_reply_is_waited_out_and_never_taken_for_the_next_answer():
    bench = Bench()
    bench.ask(timeout_ms=100)
    assert bench.poll(110) == FAILED
    bench.master.release()
    assert bench.poll(20) == BUSY  # still listening for a late one
    assert bench.reply(VOLTS, 5) == BUSY
    assert bench.ask() is False
    assert bench.poll(40) == IDLE
    assert bench.master.discarded == 9
    assert bench.ask() is True
    assert bench.reply(OTHER_VOLTS) == DONE
    assert bench.master.register(0) == 0


def test_after_a_timeout_the_line_is_listened_to_for_thirty_milliseconds_and_a_gap():
    bench = Bench()
    bench.ask(timeout_ms=100)
    assert bench.poll(110) == FAILED
    bench.master.release()
    assert bench.poll(33) == BUSY
    assert bench.poll(1) == IDLE


def test_late_reply_to_a_different_request_is_refused():
    bench = Bench()
    bench.ask(timeout_ms=10)
    assert bench.poll(500) == FAILED
    bench.master.release()
    assert bench.poll(500) == IDLE
    bench.master.start_read(1, 4, 6, 12, 100, bench.clock.now_ms)
    assert bench.reply(VOLTS) == FAILED
    assert bench.master.error == MALFORMED


def test_no_request_goes_out_while_the_line_is_talking():
    bench = Bench()
    bench.port.arrive(b"\x33")
    assert bench.poll() == BUSY
    assert bench.ask() is False
    assert bench.poll(3) == BUSY
    assert bench.poll(1) == IDLE
    assert bench.port.sent == []


def test_a_flood_of_strays_is_read_in_bounded_pieces():
    bench = Bench()
    bench.port.arrive(bytes(200))
    for _ in range(4):
        assert bench.poll(1) == BUSY
    assert bench.port.any() == 0
    assert bench.master.discarded == 200


def test_start_is_refused_while_busy_and_for_bad_counts():
    bench = Bench()
    now_ms = bench.clock.now_ms
    assert bench.master.start_read(1, 4, 0, 0, 100, now_ms) is False
    assert bench.master.start_read(1, 4, 0, 61, 100, now_ms) is False
    assert bench.master.start_write(1, 0, 61, 100, now_ms) is False
    assert bench.master.start_write(1, 0, 0, 100, now_ms) is False
    assert bench.port.sent == []
    for count in (1, 60):
        assert Bench().master.start_write(1, 0, count, 100, now_ms) is True
        assert Bench().master.start_read(1, 3, 0, count, 100, now_ms) is True
    assert bench.ask() is True
    assert bench.ask() is False
    assert bench.set_limit() is False
    assert bench.master.start_write_single(5, 261, 160, 100, now_ms) is False
    assert bench.port.sent == [ASK_VOLTS]


def test_the_longest_reply_fits():
    bench = Bench()
    bench.master.start_read(1, 3, 0x2000, 60, 100, bench.clock.now_ms)
    reply = b"\x01\x03\x78" + bytes(range(120))
    assert bench.reply(reply[:1]) == BUSY
    assert bench.reply(reply[1:] + b"\x92\x1e") == DONE
    assert bench.master.register(59) == 0x7677


def test_wait_is_long_when_idle_and_exact_when_waiting():
    bench = Bench()
    assert bench.master.wait_ms(bench.clock.now_ms) == 0x3FFFFFFF
    assert bench.master.is_idle()
    bench.ask(timeout_ms=100)
    assert not bench.master.is_idle()
    assert bench.master.wait_ms(bench.clock.now_ms) == 110
    assert bench.master.wait_ms(bench.clock.after(109)) == 1
    assert bench.master.wait_ms(bench.clock.after(50)) == 1
    bench.poll()
    bench.master.release()
    assert bench.master.wait_ms(bench.clock.now_ms) == 34


def test_wait_covers_the_rest_of_a_started_reply():
    bench = Bench()
    bench.ask(timeout_ms=100)
    bench.reply(VOLTS[:4], 60)
    assert bench.master.wait_ms(bench.clock.now_ms) == 60


def test_bytes_on_the_wire_are_counted():
    bench = Bench()
    bench.ask()
    bench.reply(VOLTS)
    assert (bench.master.bytes_sent, bench.master.bytes_received) == (8, 9)


class Microseconds:
    """A clock of its own beside the milliseconds, 300 us before its wrap."""

    def __init__(self):
        self.now_us = (1 << 30) - 300

    def ticks_us(self):
        return self.now_us

    def after(self, us):
        self.now_us = (self.now_us + us) % (1 << 30)


def bench_with_clock(baud):
    bench = Bench(baud)
    bench.us = Microseconds()
    bench.master = RtuMaster(bench.port, baud, 60, bench.us.ticks_us)
    return bench


def test_gap_in_microseconds_is_the_standards():
    assert [gap_us(baud) for baud in (9600, 19200, 38400, 115200)] == [3646, 1823, 1750, 1750]


def test_a_gap_is_kept_to_the_microsecond_where_a_clock_has_it():
    for baud, silence_us in ((9600, 3646), (19200, 1823), (115200, 1750)):
        bench = bench_with_clock(baud)
        bench.ask()
        assert bench.reply(VOLTS) == DONE
        bench.master.release()
        bench.us.after(silence_us - 1)
        assert bench.poll(20) == BUSY, "whatever the milliseconds say"
        assert bench.master.wait_ms(bench.clock.now_ms) == 1
        bench.us.after(1)
        assert bench.poll(0) == IDLE


def test_silence_counts_from_the_last_byte_heard():
    bench = bench_with_clock(115200)
    bench.ask()
    assert bench.reply(VOLTS) == DONE
    bench.us.after(700)  # decoded meanwhile
    bench.master.release()
    bench.us.after(1000)
    assert bench.reply(b"\x55", 1) == BUSY
    bench.us.after(1749)
    assert bench.poll(1) == BUSY
    bench.us.after(1)
    assert bench.poll(1) == IDLE


def test_after_a_timeout_a_late_reply_is_waited_out_by_that_clock_too():
    bench = bench_with_clock(9600)
    bench.ask(timeout_ms=100)
    bench.us.after(110000)
    assert bench.poll(110) == FAILED
    bench.master.release()
    bench.us.after(33999)
    assert bench.poll(33) == BUSY
    assert bench.master.wait_ms(bench.clock.now_ms) == 1
    bench.us.after(1)
    assert bench.poll(1) == IDLE


def test_a_clock_that_stands_still_leaves_it_to_the_milliseconds():
    bench = bench_with_clock(115200)
    bench.ask()
    assert bench.reply(VOLTS) == DONE
    bench.master.release()
    assert bench.poll(1) == BUSY
    assert bench.poll(1) == IDLE


def test_port_knows_how_many_bytes_are_worth_a_poll():
    bench = Bench()
    assert bench.port.wanted == 1
    bench.ask()
    assert bench.port.wanted == 5, "no reply is shorter"
    bench.reply(VOLTS[:5], 1)
    assert bench.port.wanted == 4
    bench.reply(VOLTS[5:], 1)
    assert bench.port.wanted == 1
    bench = Bench()
    bench.ask()
    assert bench.poll(500) == FAILED
    assert bench.port.wanted == 1


class QuietPort:
    """Answers every request with the same bytes, without allocating."""

    def __init__(self, reply):
        self.reply = reply
        self.left = 0

    def write(self, buf, n):
        self.left = len(self.reply)

    def any(self):
        return self.left

    def readinto(self, buf, n):
        at = len(self.reply) - self.left
        for k in range(n):
            buf[k] = self.reply[at + k]
        self.left -= n
        return n


class Transactions:
    def __init__(self, reply):
        self.master = RtuMaster(QuietPort(reply), 19200)
        self.now_ms = (1 << 30) - 500

    def step(self):
        master = self.master
        master.start_read(1, 4, 0, 2, 100, self.now_ms)
        master.wait_ms(self.now_ms)
        while master.poll(self.now_ms) == 1:
            self.now_ms = (self.now_ms - 0x3FFFFFFF) & 0x3FFFFFFF  # + 1, small
        master.register(1)
        master.release()
        while master.poll(self.now_ms):
            self.now_ms = (self.now_ms - 0x3FFFFFFF) & 0x3FFFFFFF  # + 1, small


def test_good_transactions_allocate_nothing():
    transactions = Transactions(VOLTS)
    assert_allocates_nothing(transactions, 300)
    assert transactions.master.ok >= 302


def test_failing_transactions_allocate_nothing():
    for reply in (REFUSED, VOLTS[:5], VOLTS[:-1] + b"\x00", b"\x00" + VOLTS, b"", LIMIT_SET):
        assert_allocates_nothing(Transactions(reply), 50)

# SPDX-License-Identifier: MIT
"""The hardware contract of docs/porting.md, as checks that run inside the port that is checked.

The same file runs on the desktop port, in lock-step, on the emulated RP2040 and on a real board
(tests/hal/test_contract.py says how). It is a controller: `hardware.run(suite)` polls it, so that
`run` is held to its contract too, and the last poll raises `Finished`, which must leave `run`.

A check is a generator: it asserts, and yields to be called at the next poll. At the other end of
the port a peer sends back what it hears, unless `facts["echo"]` is False.
"""

import sys
from array import array

try:
    from micropython import heap_lock, heap_unlock
except ImportError:  # CPython: nothing is known of its heap
    heap_lock = heap_unlock = None

RING = 0x3FFFFFFF
DEAD_MAN_MS = 500
LONGEST_MS = 2000  # a check that has not ended by then has failed


class Skip(Exception):
    """The check has nothing to look at on this port; the text says why."""


class Finished(Exception):
    """All checks have run."""


class Suite:
    """facts: {"port": name, "pin": number, "echo": bool, "is_board": bool, "is_stepped": bool}.
    say(text): one line for whoever started it. Opens what the configuration would open."""

    def __init__(self, hardware, facts, say):
        self.hardware = hardware
        self.facts = facts
        self.say = say
        self.telemetry = self  # what lock-step sends back with each round
        self.values = array("i", [0])
        self.now_ms = -1
        self.wait_ms = 1  # what a poll answers
        self.port = hardware.open_port(facts["port"], 19200, False)
        self.output = hardware.open_output(facts["pin"], False, None)
        self._left = list(CHECKS)
        self._running = None
        self._since_ms = 0

    def poll(self, now_ms):
        self.now_ms = now_ms
        if self._running is None:
            if not self._left:
                raise Finished()
            self._running = self._left[0](self)
            self._since_ms = now_ms
        verdict = self._step()
        if verdict is None and self.since(self._since_ms) > LONGEST_MS:
            verdict = "FAIL not done in %d ms" % LONGEST_MS
        if verdict is not None:
            self.say("contract: %s %s" % (self._left.pop(0).__name__, verdict))
            self._running = None
        return self.wait_ms

    def _step(self):
        """None while the check goes on, else its verdict."""
        try:
            next(self._running)
        except StopIteration:
            return "ok"
        except Skip as reason:
            return "skip %s" % reason
        except Exception as error:
            return "FAIL %r" % error
        return None

    def fail(self):
        pass

    def since(self, then_ms):
        return (self.now_ms - then_ms) & RING

    def drain(self):
        """Yield until the port has been silent for 100 ms."""
        buffer = bytearray(256)
        silent_ms = self.now_ms
        while self.since(silent_ms) < 100:
            count = min(self.port.any(), 256)
            if count:
                self.port.readinto(buffer, count)
                silent_ms = self.now_ms
            yield

    def needs_echo(self):
        if not self.facts["echo"]:
            raise Skip("nothing sends back: join TX and RX of the port")

    def hear(self, count, buffer):
        """Yield until `count` bytes have come into `buffer`."""
        have = 0
        while have < count:
            ready = self.port.any()
            assert ready >= 0
            if ready:
                part = bytearray(ready)
                got = self.port.readinto(part, ready)
                assert got == ready, "any() said %d, readinto gave %d" % (ready, got)
                assert have + got <= count, "more bytes than were sent"
                buffer[have : have + got] = part[:got]
                have += got
            yield


def a_check_can_fail(suite):
    """An .mpy may be compiled without assertions."""
    try:
        assert suite.facts is None
    except AssertionError:
        return
    raise RuntimeError("assertions are switched off")
    yield


def time_runs_forward_on_the_ring(suite):
    start_ms = before_ms = suite.now_ms
    while suite.since(start_ms) < 100:
        yield
        assert 0 <= suite.now_ms <= RING
        gap_ms = (suite.now_ms - before_ms) & RING
        assert gap_ms < 1000, "the next poll came %d ms later" % gap_ms
        before_ms = suite.now_ms


def ticks_us_measures_on_the_ring_or_stands_still(suite):
    ticks_us = suite.hardware.ticks_us
    start_ms = suite.now_ms
    start_us = ticks_us()
    while suite.since(start_ms) < 100:
        assert 0 <= ticks_us() <= RING
        yield
    took_us = (ticks_us() - start_us) & RING
    if suite.facts["is_stepped"]:
        assert took_us == 0, "runs would differ"
    else:
        assert 90000 <= took_us <= 200000, took_us


def an_output_is_off_when_opened(suite):
    assert not suite.output.readback()
    yield


def an_output_reads_back_what_was_set(suite):
    for on in (True, True, False, True, False, False):
        suite.output.set(on)
        yield
        assert bool(suite.output.readback()) == on
    suite.output.set(1)
    yield
    assert suite.output.readback()
    suite.output.set(0)


def make_safe_takes_every_output_back(suite):
    suite.output.set(True)
    yield
    suite.hardware.make_safe()
    yield
    assert not suite.output.readback()


def a_silent_port_has_no_bytes(suite):
    for _ in suite.drain():
        yield
    for _ in range(20):
        assert suite.port.any() == 0
        yield


def bytes_come_back_in_order(suite):
    suite.needs_echo()
    sent = bytes([0, 1, 0x7F, 0x80, 0xFF, 3, 0x0D, 0x0A, 0x11, 0x13])
    suite.port.write(sent, len(sent))
    heard = bytearray(len(sent))
    for _ in suite.hear(len(sent), heard):
        yield
    assert bytes(heard) == sent, heard


def only_the_first_n_bytes_are_sent(suite):
    suite.needs_echo()
    suite.port.write(bytearray(b"12345678"), 3)
    heard = bytearray(3)
    for _ in suite.hear(3, heard):
        yield
    for _ in suite.drain():
        yield
        assert suite.port.any() == 0, "the rest was sent too"
    assert bytes(heard) == b"123"


def readinto_leaves_what_was_not_asked_for(suite):
    suite.needs_echo()
    suite.port.write(b"abcdef", 6)
    while suite.port.any() < 6:
        yield
    part = bytearray(6)
    assert suite.port.readinto(part, 2) == 2
    assert suite.port.any() == 4
    assert suite.port.readinto(part, 4) == 4
    assert bytes(part[:4]) == b"cdef", part
    assert suite.port.any() == 0


def a_full_frame_of_256_bytes_gets_through(suite):
    suite.needs_echo()
    sent = bytes(range(256))
    suite.port.write(sent, 256)
    heard = bytearray(256)
    for _ in suite.hear(256, heard):
        yield
    assert bytes(heard) == sent


def a_port_wants_one_byte_when_opened(suite):
    """`wanted` is there before anybody has set it, so that whoever opens a port may poll."""
    assert suite.port.wanted == 1
    yield


def bytes_that_are_wanted_end_the_wait(suite):
    """A poll that names a later time comes at once when so many are there, else at that time."""
    suite.needs_echo()
    heard = bytearray(8)
    for wanted, wait_ms, least_ms, most_ms in ((8, 800, 0, 300), (9, 300, 250, 600)):
        suite.port.wanted = wanted
        suite.port.write(b"12345678", 8)
        start_ms = suite.now_ms
        suite.wait_ms = wait_ms
        yield
        suite.wait_ms = 1
        took_ms = suite.since(start_ms)
        assert took_ms <= most_ms, "%d wanted: %d ms" % (wanted, took_ms)
        assert took_ms >= least_ms or not suite.facts["is_board"], "no sleep: %d ms" % took_ms
        suite.port.wanted = 1
        for _ in suite.hear(8, heard):
            yield
        assert bytes(heard) == b"12345678", heard


def write_returns_at_once(suite):
    """256 bytes are 133 ms on the wire at 19,200 baud."""
    frame = bytearray(256)
    start_us = suite.hardware.ticks_us()
    suite.port.write(frame, 256)
    took_us = (suite.hardware.ticks_us() - start_us) & RING
    assert took_us < 40000, "%d us" % took_us
    for _ in suite.drain():
        yield


def tx_done_comes_true_and_the_port_hears_again(suite):
    suite.port.write(b"xyz", 3)
    while not suite.port.tx_done():
        yield
    for _ in suite.drain():
        yield
    assert suite.port.tx_done()
    if suite.facts["echo"]:
        for _ in bytes_come_back_in_order(suite):
            yield


def a_port_that_is_not_there_is_refused(suite):
    if suite.facts["is_stepped"]:
        raise Skip("the bench has every port")
    try:
        suite.hardware.open_port("uart9", 19200, False)
        raise AssertionError("opened")
    except OSError as error:
        assert "uart9" in str(error), error
    yield


def a_pin_that_is_no_output_is_refused(suite):
    if not suite.facts["is_board"]:
        raise Skip("only a board knows its pins")
    try:
        suite.hardware.open_output(1, False, None)
        raise AssertionError("opened")
    except OSError as error:
        assert "pin 1" in str(error), error
    yield


def the_texts_fit_the_register_map(suite):
    for text in (suite.hardware.model, suite.hardware.serial):
        assert 1 <= len(text) <= 32, text
        assert min(text) >= " " and max(text) <= "~", text
    yield


def the_configuration_is_a_text(suite):
    assert suite.hardware.read_config().strip().startswith("{")
    yield


def recording_a_cause_does_not_raise(suite):
    if suite.facts["is_stepped"]:
        raise Skip("it would be a line between two rounds")
    suite.hardware.record_cause("contract suite, \u00e4 and " + 200 * "x")
    yield


def a_file_is_what_was_saved_last(suite):
    files = getattr(suite.hardware, "files", None)
    if files is None:
        raise Skip("this port has no files yet")
    name = "contract"
    room = bytearray(b"........")
    files.remove(name)
    assert files.load(name, room) == -1 and files.size(name) == -1
    yield
    files.save(name, b"first one", 9)
    yield
    files.save(name, b"second", 4)
    yield
    assert files.size(name) == 4
    assert files.load(name, room) == 4 and bytes(room) == b"seco....", room
    assert files.read_at(name, 2, room, 8) == 2 and bytes(room[:2]) == b"co"
    assert files.read_at(name, 9, room, 8) == 0
    files.remove(name)
    files.remove(name)
    assert files.size(name) == -1


def why_it_started_is_a_code_and_the_marker_is_kept(suite):
    hardware = suite.hardware
    if not hasattr(hardware, "marker"):
        raise Skip("this port has no marker yet")
    assert 0 <= hardware.reset_cause() <= 5
    assert hardware.is_service() in (True, False)
    before = hardware.marker()
    for word in (0x0B5A0001, 0x3FFFFFFF, 0):
        hardware.set_marker(word)
        yield
        assert hardware.marker() == word
    hardware.set_marker(before)


def a_console_is_there_or_is_none(suite):
    hardware = suite.hardware
    if not hasattr(hardware, "open_console"):
        raise Skip("this port has no console yet")
    console = hardware.open_console()
    if console is None:
        raise Skip("none was asked for")
    for _ in range(5):
        assert console.any() >= 0
        yield


def a_pilot_takes_permille_and_make_safe_ends_it(suite):
    if not suite.facts["is_board"]:
        raise Skip("boards only")
    import machine

    pwm = suite.hardware.open_pwm(3, 1000)
    for permille in (0, 100, 533, 960, 1000):
        pwm.permille(permille)
        yield
        duty = pwm._pwm.duty_u16()
        assert abs(duty * 1000 // 65535 - permille) <= 1, (permille, duty)
    assert abs(pwm._pwm.freq() - 1000) <= 1, pwm._pwm.freq()
    suite.hardware.make_safe()
    yield
    assert machine.Pin(3).value() == 0
    try:
        suite.hardware.open_pwm(8, 1000)
        raise AssertionError("opened")
    except OSError as error:
        assert "pin 8" in str(error), error


def a_converter_gives_whole_windows(suite):
    """Two inputs at 50 Hz, whatever is on them: a window every 160 ms."""
    if not suite.facts["is_board"] or not hasattr(suite.hardware, "open_adc"):
        raise Skip("no converter that samples by itself")
    adc = suite.hardware.open_adc(2, 50)
    assert adc.slots == 2
    for k in range(3):
        start_ms = suite.now_ms
        first = adc.window()
        while first < 0:
            yield
            first = adc.window()
        took_ms = suite.since(start_ms)
        assert k == 0 or 150 <= took_ms <= 170, "a window took %d ms" % took_ms
        assert 0 <= first <= len(adc.samples) - 1024
        assert adc.is_intact()
    assert max(adc.samples) < 4096 and adc.overruns == 0


def what_each_poll_calls_allocates_nothing(suite):
    if heap_lock is None or not suite.facts["is_board"]:
        raise Skip("boards only")
    hardware = suite.hardware
    port = suite.port
    output = suite.output
    frame = bytearray(b"12345678")
    for _ in range(3):
        heap_lock()
        try:
            port.write(frame, 8)
            port.any()
            port.tx_done()
            output.set(True)
            output.readback()
            output.set(False)
            hardware.ticks_us()
        finally:
            heap_unlock()
        for _ in range(10):
            yield
        count = min(port.any(), 8)
        heap_lock()
        try:
            port.readinto(frame, count)
        finally:
            heap_unlock()
        yield
    for _ in suite.drain():
        yield


def the_watchdog_starts_with_the_first_feed(suite):
    """From here on it has to be fed. RP2040 and RP2350: its ENABLE bit."""
    hardware = suite.hardware
    suite.output = hardware.open_output(suite.facts["pin"], False, None)  # it was made safe
    hardware.guard_outputs((suite.output,), DEAD_MAN_MS)
    if sys.platform != "rp2":
        hardware.feed_watchdog()
        raise Skip("nothing tells whether it runs")
    import machine

    control = 0x40058000 if "RP2040" in sys.implementation._machine else 0x400D8000
    assert not machine.mem32[control] & 0x40000000, "it ran before it was fed"
    hardware.feed_watchdog()
    is_on = bool(machine.mem32[control] & 0x40000000)
    assert is_on != suite.facts["is_service"], "on: %s" % is_on
    yield


def a_guarded_output_opens_when_nothing_is_fed(suite):
    """Last: what was opened for want of a feed stays open, and the next feed raises."""
    if sys.platform != "rp2":
        raise Skip("no timer beside the program")
    suite.hardware.feed_watchdog()
    suite.output.set(True)
    start_ms = suite.now_ms
    while suite.since(start_ms) < DEAD_MAN_MS * 8 // 10:
        assert suite.output.readback(), "open after %d ms" % suite.since(start_ms)
        yield
    while suite.since(start_ms) < DEAD_MAN_MS * 12 // 10:
        yield
    suite.output.set(True)
    yield
    assert not suite.output.readback()
    try:
        suite.hardware.feed_watchdog()
        raise AssertionError("fed")
    except RuntimeError as error:
        assert "dead-man" in str(error), error


CHECKS = (
    a_check_can_fail,
    time_runs_forward_on_the_ring,
    ticks_us_measures_on_the_ring_or_stands_still,
    an_output_is_off_when_opened,
    an_output_reads_back_what_was_set,
    a_silent_port_has_no_bytes,
    bytes_come_back_in_order,
    only_the_first_n_bytes_are_sent,
    readinto_leaves_what_was_not_asked_for,
    a_full_frame_of_256_bytes_gets_through,
    a_port_wants_one_byte_when_opened,
    bytes_that_are_wanted_end_the_wait,
    write_returns_at_once,
    tx_done_comes_true_and_the_port_hears_again,
    a_port_that_is_not_there_is_refused,
    a_pin_that_is_no_output_is_refused,
    the_texts_fit_the_register_map,
    the_configuration_is_a_text,
    recording_a_cause_does_not_raise,
    a_file_is_what_was_saved_last,
    why_it_started_is_a_code_and_the_marker_is_kept,
    a_console_is_there_or_is_none,
    a_pilot_takes_permille_and_make_safe_ends_it,
    a_converter_gives_whole_windows,
    what_each_poll_calls_allocates_nothing,
    make_safe_takes_every_output_back,
    the_watchdog_starts_with_the_first_feed,
    a_guarded_output_opens_when_nothing_is_fed,
)

# SPDX-License-Identifier: MIT
"""services.tools and services.files through the Pdu, as a server calls it: files, commit, restart
and the installer lock. Functions 20 and 21: Modbus Application Protocol V1.1b3, 6.14 and 6.15."""

import binascii
import json
import struct
import sys
from array import array

from modbus_fakes import START_MS

from firmline.hal.ramfiles import RamStore
from firmline.modbus.pdu import Pdu
from firmline.services import register_map as rm
from firmline.services.eventlog import EventLog
from firmline.services.headend import HeadEnd
from firmline.services.journal_save import earlier_events, open_events
from firmline.services.registers import Registers
from firmline.services.store import TwoGenerations
from firmline.services.tools import Tools

SITE = {"phases": 3, "voltage_v": 230, "service_a": 63}
CONFIG = '{"schema": 1, "site": {}}'
NEW_CONFIG = b'{"schema": 1, "site": {"name": "new"}}'
COMMIT = 40312
RESTART = 40316
LOOSEN = 1
INSTALL = 2
ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
DEVICE_FAILURE = 4


class Hardware:
    model = "desktop"
    serial = "A1"

    def __init__(self):
        self.files = RamStore()
        self.jumper = False
        self.restarts = 0

    def read_config(self):
        return CONFIG

    def is_service(self):
        return self.jumper

    def last_cause(self):
        return 'config: "x"'

    def restart(self):
        self.restarts += 1


class Controller:
    def __init__(self):
        self.events = EventLog(4)
        self.failures = 0
        self.start_cause = 1
        self.journal = None

    def fail(self):
        self.failures += 1


class Journal:
    """Boot 0x10007; `kept`: stored events of boots, as in services.journal."""

    def __init__(self, *boots):
        self.counts = [0, 0x10007]
        self.written = 0
        self.kept = b"".join([struct.pack("<HHIi", boot, 9, 50, -boot) for boot in boots])
        self.flushed = 0

    def stored(self):
        return self.kept

    def flush(self):
        self.flushed += 1


class Bench:
    def __init__(self, in_force=0, hardware=None, rights=LOOSEN | INSTALL):
        self.hardware = hardware or Hardware()
        self.controller = Controller()
        self.tools = Tools(self.controller, self.hardware, in_force, len(CONFIG))
        self.now_ms = START_MS
        head_end = HeadEnd(60000, 48000, 0)
        telemetry = array("i", [0] * rm.TELEMETRY_SIZE)
        self.registers = Registers(telemetry, head_end, SITE)
        self.registers.tools = self.tools
        self.pdu = Pdu(self.registers, bytearray(256), bytearray(256), rights)
        self.pdu.files = self.tools
        self.run(0)

    def run(self, ms):
        self.now_ms = (self.now_ms + ms) & 0x3FFFFFFF
        self.tools.poll(self.now_ms)

    def ask(self, request):
        """The reply PDU; an int is the exception code."""
        self.pdu.rx[1 : 1 + len(request)] = request
        n = self.pdu.answer(len(request))
        while n <= 0:  # later
            self.run(0)
            n = self.pdu.later
        reply = bytes(self.pdu.tx[1 : 1 + n])
        return reply[1] if reply[0] & 0x80 else reply

    def read(self, address, count):
        reply = self.ask(struct.pack(">BHH", 3, address, count))
        return list(struct.unpack(">%dH" % count, reply[2:]))

    def write(self, address, *values):
        head = struct.pack(">BHHB", 16, address, len(values), 2 * len(values))
        reply = self.ask(head + struct.pack(">%dH" % len(values), *values))
        return reply if isinstance(reply, int) else 0

    def lengths(self):
        return self.read(40307, 5)

    def read_record(self, file, record, count):
        reply = self.ask(struct.pack(">BBBHHH", 20, 7, 6, file, record, count))
        if isinstance(reply, int):
            return reply
        assert reply[1] == len(reply) - 2 and reply[2] == 1 + 2 * count and reply[3] == 6
        return reply[4:]

    def read_file(self, file):
        length = self.lengths()[file - 1]
        data = b""
        while len(data) < length:
            data += self.read_record(file, len(data) // 2, min(120, (length - len(data) + 1) // 2))
        return data[:length]

    def write_record(self, file, record, data):
        request = struct.pack(">BBBHHH", 21, 7 + len(data), 6, file, record, len(data) // 2) + data
        reply = self.ask(request)
        if not isinstance(reply, int):
            assert reply == request
            return 0
        return reply

    def stage(self, file, data):
        data += b"\0" * (len(data) & 1)
        for at in range(0, len(data), 240):
            assert self.write_record(file, at // 2, data[at : at + 240]) == 0

    def commit(self, file, data):
        crc = binascii.crc32(data)
        return self.write(COMMIT, file, len(data), crc >> 16 & 0xFFFF, crc & 0xFFFF)

    def stored(self, name):
        store = TwoGenerations(self.hardware.files, name, 1, 16384)
        buffer = bytearray(16384)
        n = store.read(buffer)
        return (store.generation, bytes(buffer[:n])) if n >= 0 else None


def test_the_configuration_copied_by_hand_is_read_in_parts():
    bench = Bench()
    assert bench.lengths()[0] == len(CONFIG) == 25
    assert bench.read_file(1) == CONFIG.encode()
    assert bench.read_record(1, 12, 1) == b"}\0"  # an odd file ends with a 0
    assert bench.read_record(1, 13, 1) == ILLEGAL_ADDRESS
    assert bench.read_record(1, 12, 2) == ILLEGAL_ADDRESS


def test_files_that_are_not_there_cannot_be_read():
    bench = Bench()
    for file in (0, 2, 3, 4, 6, 65535):
        assert bench.read_record(file, 0, 1) == ILLEGAL_ADDRESS, file


def test_bad_file_requests_are_refused():
    bench = Bench()
    cases = (
        (b"\x14\x07\x07\x00\x01\x00\x00\x00\x01", ILLEGAL_ADDRESS),  # reference type
        (b"\x14\x07\x06\x00\x01\x27\x10\x00\x01", ILLEGAL_ADDRESS),  # record 10,000
        (b"\x14\x07\x06\x00\x01\x00\x00\x00\x00", ILLEGAL_VALUE),  # none
        (b"\x14\x07\x06\x00\x01\x00\x00\x00\x7e", ILLEGAL_VALUE),  # 126 do not fit
        (b"\x14\x06\x06\x00\x01\x00\x00\x00\x01", ILLEGAL_VALUE),
        (b"\x14\x08\x06\x00\x01\x00\x00\x00\x01\x00", ILLEGAL_VALUE),
        (b"\x14", ILLEGAL_VALUE),
        (b"\x15\x07\x06\x00\x02\x00\x00\x00\x00", ILLEGAL_VALUE),
        (b"\x15\x09\x06\x00\x02\x00\x00\x00\x02ab", ILLEGAL_VALUE),
        (b"\x15\x09\x06\x00\x02\x00\x00\x00\x01abcd", ILLEGAL_VALUE),
        (b"\x15\x09\x05\x00\x02\x00\x00\x00\x01ab", ILLEGAL_ADDRESS),
        (b"\x15\x09\x06\x00\x02\x27\x10\x00\x01ab", ILLEGAL_ADDRESS),
        (b"\x15\x09\x06\x00\x02\x20\x00\x00\x01ab", ILLEGAL_VALUE),  # beyond 16 kB
        (b"\x15\x09\x06\x00\x01\x00\x00\x00\x01ab", ILLEGAL_ADDRESS),  # the one in force
        (b"\x15\x09\x06\x00\x03\x00\x00\x00\x01ab", ILLEGAL_ADDRESS),
        (b"\x15\x09\x06\x00\x05\x00\x00\x00\x01ab", ILLEGAL_ADDRESS),
    )
    for request, code in cases:
        assert bench.ask(request) == code, request
    assert bench.lengths()[1] == 0


def test_several_parts_in_one_request():
    bench = Bench()
    parts = struct.pack(">BHHHBHHH", 6, 1, 0, 2, 6, 1, 4, 1)
    reply = bench.ask(b"\x14\x0e" + parts)
    text = CONFIG.encode()
    assert reply == ILLEGAL_VALUE  # each could be work: one is read at a time
    assert bench.ask(b"\x14\x07" + parts[:7]) == b"\x14\x06\x05\x06" + text[:4]
    one = struct.pack(">BHHH", 6, 2, 0, 1) + b'{"'
    two = struct.pack(">BHHH", 6, 2, 1, 1) + b"a}"
    bad = struct.pack(">BHHH", 6, 1, 1, 1) + b"a}"
    assert bench.ask(b"\x15\x12" + one + bad) == ILLEGAL_ADDRESS
    assert bench.lengths()[1] == 0  # as a whole, or not at all
    assert bench.ask(b"\x15\x12" + one + two) == b"\x15\x12" + one + two
    assert bench.read_file(2) == b'{"a}'


def test_a_staged_configuration_changes_nothing_until_it_is_committed():
    bench = Bench()
    bench.stage(2, NEW_CONFIG)
    assert bench.read_file(2)[: len(NEW_CONFIG)] == NEW_CONFIG
    assert bench.stored("config") is None
    assert bench.read_file(1) == CONFIG.encode()
    assert bench.commit(2, NEW_CONFIG) == 0
    assert bench.stored("config") == (1, NEW_CONFIG)
    assert bench.read_file(1) == CONFIG.encode()  # in force until the next start
    assert bench.lengths()[1] == 0
    assert bench.commit(2, NEW_CONFIG) == ILLEGAL_VALUE  # once


def test_a_commit_needs_the_length_and_the_crc_of_what_is_staged():
    bench = Bench()
    crc = binascii.crc32(NEW_CONFIG)
    n = len(NEW_CONFIG)
    bench.stage(2, NEW_CONFIG)
    for words in (
        (2, n, crc >> 16, crc & 0xFFFF ^ 1),
        (2, n, crc >> 16 ^ 0x8000, crc & 0xFFFF),
        (2, n - 1, crc >> 16, crc & 0xFFFF),
        (2, n + 2, crc >> 16, crc & 0xFFFF),
        (2, 0, 0, 0),
        (4, n, crc >> 16, crc & 0xFFFF),
        (0, n, crc >> 16, crc & 0xFFFF),
    ):
        assert bench.write(COMMIT, *words) == ILLEGAL_VALUE, words
    assert bench.stored("config") is None
    assert bench.commit(2, NEW_CONFIG) == 0


def test_a_part_of_the_commit_block_is_refused():
    bench = Bench()
    for address in range(COMMIT, RESTART + 1):
        for count in range(1, RESTART + 2 - address):
            if (address, count) not in ((COMMIT, 4), (RESTART, 1)):
                assert bench.write(address, *[0] * count) == ILLEGAL_VALUE, (address, count)


def test_what_is_no_object_is_not_committed():
    bench = Bench()
    for text in (b"hello", b"[1]", b'{"a": 1', b"{", b"  ", b"\0\0", b'{"a": 1}x'):
        bench.stage(2, text)
        assert bench.commit(2, text) == ILLEGAL_VALUE, text
    text = b' \r\n{"a": 1}\n\t '
    bench.stage(2, text)
    assert bench.commit(2, text) == 0


def test_staging_again_takes_it_from_there():
    """The cable was pulled in the middle: the length says how far it came."""
    text = b'{"a": "' + b"x" * 700 + b'"}'
    bench = Bench()
    bench.write_record(2, 0, text[:240])
    assert bench.lengths()[1] == 240
    bench.run(100000)
    bench.stage(2, text)
    assert bench.commit(2, text) == 0
    assert bench.stored("config") == (1, text)


def test_a_shorter_text_after_a_longer_one():
    bench = Bench()
    bench.stage(2, b'{"a": "' + b"x" * 700 + b'"}')
    bench.stage(2, NEW_CONFIG)
    assert bench.commit(2, NEW_CONFIG) == 0
    assert bench.stored("config") == (1, NEW_CONFIG)


def test_the_generation_in_force_is_never_written_over():
    bench = Bench()
    for text in (b'{"a": 1}', b'{"a": 2}'):
        bench.stage(2, text)
        assert bench.commit(2, text) == 0
    second = Bench(1, bench.hardware)  # it has refused generation 2
    assert second.read(40305, 2) == [0, 1]
    second.tools.lengths[0] = 8
    for k in range(3, 7):
        text = b'{"a": %d}' % k
        second.stage(2, text)
        assert second.commit(2, text) == 0
        assert second.read_file(1) == b'{"a": 1}', k
        assert second.stored("config") == (k, text)
        assert "config.0" in second.hardware.files._files


def test_the_record_is_staged_and_committed_apart():
    bench = Bench()
    bench.stage(2, NEW_CONFIG)
    bench.stage(4, b'{"by": "me"}')  # forgets the other
    assert bench.lengths()[1] == 0
    assert bench.read_file(4) == b'{"by": "me"}'
    assert bench.commit(2, NEW_CONFIG) == ILLEGAL_VALUE
    assert bench.commit(4, b'{"by": "me"}') == 0
    assert bench.stored("record") == (1, b'{"by": "me"}')
    assert bench.read_file(4) == b'{"by": "me"}'
    bench.stage(4, b'{"by": "somebody else"}')
    bench.run(700000)  # forgotten
    assert bench.read_file(4) == b'{"by": "me"}'
    again = Bench(0, bench.hardware)
    again.tools.lengths[3] = 12  # services.assembly
    assert again.read_file(4) == b'{"by": "me"}'


def test_events_are_sixteen_bytes_each_oldest_first():
    bench = Bench()
    events = bench.controller.events
    bench.controller.journal = Journal()
    events.now_s = 70000
    for k in range(6):  # the ring holds 4
        events.add(2 + k, k - 3 if k != 5 else -100000)
    assert bench.lengths()[2] == 64
    data = bench.read_file(3)
    rows = [struct.unpack(">IIHHi", data[at : at + 16]) for at in range(0, 64, 16)]
    assert rows == [
        (2, 70000, 7, 4, -1),
        (3, 70000, 7, 5, 0),
        (4, 70000, 7, 6, 1),
        (5, 70000, 7, 7, -100000),
    ]
    for at in range(32):  # any part, from the middle of an event on
        for count in range(1, 33 - at):
            assert bench.read_record(3, at, count) == data[2 * at : 2 * (at + count)]
    assert bench.read_record(3, 31, 2) == ILLEGAL_ADDRESS


def test_events_of_earlier_boots_come_first():
    bench = Bench()
    bench.controller.journal = Journal(5, 6, 6)
    bench.tools.earlier = 3
    bench.controller.events.add(1, 3)
    assert bench.read(40301, 2) == [1, 7]
    data = bench.read_file(3)
    rows = [struct.unpack(">IIHHi", data[at : at + 16]) for at in range(0, len(data), 16)]
    none = 0xFFFFFFFF
    assert rows == [
        (none, 50, 5, 9, -5),
        (none, 50, 6, 9, -6),
        (none, 50, 6, 9, -6),
        (0, 0, 7, 1, 3),
    ]
    for at in range(31):
        assert bench.read_record(3, at, 2) == data[2 * at : 2 * at + 4]


def test_the_identity_says_what_this_is():
    bench = Bench()
    bench.stage(4, b'{"by": "me"}')
    bench.commit(4, b'{"by": "me"}')
    data = bench.read_file(5)
    assert len(data) == 512
    identity = json.loads(data.decode())
    assert identity["model"] == "desktop" and identity["serial"] == "A1"
    assert identity["firmware"].count(".") == 2 and identity["map"] == 2
    assert identity["reset_cause"] == 1 and identity["boots"] == 0
    assert identity["cause"] == 'config: "x"'
    assert identity["config_crc32"] == binascii.crc32(CONFIG.encode())
    assert identity["record_crc32"] == binascii.crc32(b'{"by": "me"}')
    assert identity["config_generation"] == 0 and identity["service"] is False


def test_a_long_cause_is_cut():
    bench = Bench()
    bench.hardware.last_cause = lambda: '"\n' * 2000
    data = bench.read_file(5)
    assert len(data) == 512
    assert json.loads(data.decode())["cause"].startswith('"\n"')


def test_the_lock_without_physical_access():
    bench = Bench(rights=LOOSEN)
    assert bench.write_record(2, 0, b"{}") == ILLEGAL_FUNCTION
    assert bench.commit(2, b"{}") == ILLEGAL_FUNCTION
    assert bench.write(RESTART, 0x5AFE) == ILLEGAL_FUNCTION
    assert bench.controller.failures == 0
    assert bench.read_file(1) == CONFIG.encode()  # reading is free
    bench.hardware.jumper = True
    assert bench.read(40304, 1) == [1]
    assert bench.write_record(2, 0, b"{}") == 0
    assert bench.commit(2, b"{}") == 0
    assert bench.write(RESTART, 0x5AFE) == 0


def test_a_configuration_with_a_password_needs_physical_access_or_service():
    bench = Bench(rights=LOOSEN)
    bench.tools.has_secret = True
    assert bench.read_record(1, 0, 1) == ILLEGAL_FUNCTION
    identity = json.loads(bench.read_file(5).decode())
    assert identity["config_crc32"] == binascii.crc32(CONFIG.encode())
    bench.pdu.rights = LOOSEN | INSTALL
    assert bench.read_file(1) == CONFIG.encode()
    bench.pdu.rights = LOOSEN
    bench.hardware.jumper = True
    assert bench.read_file(1) == CONFIG.encode()


def test_what_is_staged_is_read_only_where_it_may_be_written():
    bench = Bench()
    bench.stage(2, NEW_CONFIG)
    bench.pdu.rights = LOOSEN
    assert bench.read_record(2, 0, 1) == ILLEGAL_FUNCTION
    bench.hardware.jumper = True
    assert bench.read_record(2, 0, 1) == NEW_CONFIG[:2]


ASCII = "firmline.modbus.ascii"
READ_SUNS = b":01039C4000021E\r\n"
SUNS = b":01030453756E536F\r\n"


class Console:
    """All that is written is taken; `waiting` is read byte by byte."""

    def __init__(self):
        self.waiting = b""
        self.sent = b""

    def any(self):
        return 1 if self.waiting else 0

    def readinto(self, buffer, count):
        buffer[0] = self.waiting[0]
        self.waiting = self.waiting[1:]
        return count

    def write(self, buffer, count):
        self.sent += bytes(buffer[:count])
        return count


def forget_ascii():
    """Another test may have loaded it."""
    if ASCII in sys.modules:
        del sys.modules[ASCII]


def with_console():
    forget_ascii()
    bench = Bench()
    bench.console = Console()
    bench.tools.watch(bench.console, 1, Pdu(bench.registers, b"", b"", LOOSEN | INSTALL))
    for _ in range(20):
        bench.run(100)
    return bench


def answered(bench):
    """What is said in half a second."""
    for _ in range(5):
        bench.run(100)
    while bench.tools.is_awake:
        bench.run(2)
    said, bench.console.sent = bench.console.sent, b""
    return said


def test_nothing_of_ascii_is_loaded_before_the_first_byte():
    bench = with_console()
    assert ASCII not in sys.modules and bench.tools._servers == []
    assert not bench.tools.is_awake
    bench.console.waiting = READ_SUNS
    bench.run(100)
    assert ASCII in sys.modules and bench.tools.is_awake
    assert answered(bench) == SUNS
    bench.console.waiting = b"x"  # and no second one
    bench.run(100)
    assert len(bench.tools._servers) == 1 and bench.tools.failures == 0


FAULTS = (MemoryError(), OSError(5), ImportError(), ValueError("incompatible .mpy file"))


class Broken:
    """A module in which there is not what is looked for: what a full heap or a damaged file is to
    whoever imports."""

    def __init__(self, error):
        self._error = error

    def AsciiServer(self, *_):  # noqa: N802 - as the class that it stands for
        raise self._error

    Files = AsciiServer


def test_a_console_that_cannot_be_loaded_is_tried_again_later():
    for error in FAULTS:
        bench = with_console()
        bench.console.waiting = READ_SUNS
        sys.modules[ASCII] = Broken(error)
        bench.run(100)
        assert bench.tools.failures == 1 and ASCII not in sys.modules, error
        bench.run(9899)
        assert bench.console.waiting == READ_SUNS and bench.tools.failures == 1
        sys.modules[ASCII] = Broken(error)
        bench.run(101)
        assert bench.tools.failures == 2
        bench.run(10000)
        assert answered(bench) == SUNS
        identity = json.loads(bench.read_file(5).decode())
        assert identity["failures"] == 2


def test_files_that_cannot_be_loaded_are_an_exception():
    for error in FAULTS:
        bench = Bench()
        sys.modules["firmline.services.files"] = Broken(error)
        assert bench.read_record(1, 0, 1) == DEVICE_FAILURE
        assert bench.tools.failures == 1
        assert bench.read_file(1) == CONFIG.encode()


def test_a_full_heap_stops_nothing():
    """A real one, where the interpreter can be told that it has no more."""
    try:
        from micropython import heap_lock, heap_unlock
    except ImportError:
        return
    bench = with_console()
    bench.console.waiting = READ_SUNS
    now_ms = bench.now_ms + 100
    heap_lock()
    try:
        bench.tools.poll(now_ms)
    finally:
        heap_unlock()
    assert bench.tools.failures == 1 and bench.console.waiting == READ_SUNS
    bench.run(10100)
    assert answered(bench) == SUNS
    for is_loaded in (True, False):  # the first failure drops it
        if is_loaded:
            bench.stage(2, NEW_CONFIG)
        request = b"\x14\x07\x06\x00\x05\x00\x00\x00\x01"
        bench.pdu.rx[1 : 1 + len(request)] = request
        heap_lock()
        try:
            n = bench.pdu.answer(len(request))
            while n <= 0:
                bench.tools.poll(bench.now_ms)
                n = bench.pdu.later
        finally:
            heap_unlock()
        assert bytes(bench.pdu.tx[1 : 1 + n]) == b"\x94\x04"
        assert bench.lengths()[1] == 0
    assert bench.read_file(1) == CONFIG.encode()


def test_a_restart_is_safe_at_once_and_waits_for_its_answer():
    bench = Bench()
    for word in (0, 1, 0x5AFF, 0xFE5A):
        assert bench.write(RESTART, word) == ILLEGAL_VALUE
    assert bench.controller.failures == 0
    bench.now_ms += 900  # the tick is long: the last poll was that long ago
    assert bench.write(RESTART, 0x5AFE) == 0
    assert bench.controller.failures == 1 and bench.tools.is_awake
    bench.run(0)
    assert bench.hardware.restarts == 0
    bench.run(499)
    assert bench.hardware.restarts == 0
    bench.run(1)
    assert bench.hardware.restarts == 1
    bench.run(5000)
    assert bench.hardware.restarts == 1


def test_what_is_kept_is_written_before_a_restart():
    bench = Bench()
    bench.controller.journal = Journal()
    bench.write(RESTART, 0x5AFE)
    bench.run(0)
    bench.run(500)
    assert (bench.controller.journal.flushed, bench.hardware.restarts) == (1, 1)


class CountingStore(RamStore):
    """How often it was asked since `mark`, and for how many bytes; `most` of any stretch."""

    def __init__(self):
        RamStore.__init__(self)
        self.calls = self.bytes = self.most_calls = self.most_bytes = 0

    def mark(self):
        self.most_calls = max(self.most_calls, self.calls)
        self.most_bytes = max(self.most_bytes, self.bytes)
        self.calls = self.bytes = 0

    def read_at(self, name, offset, buffer, n):
        self.calls += 1
        self.bytes += n
        return RamStore.read_at(self, name, offset, buffer, n)

    def crc32(self, name, offset, crc):
        self.calls += 1
        self.bytes += max(0, RamStore.size(self, name))
        return RamStore.crc32(self, name, offset, crc)

    def size(self, name):
        self.calls += 1
        return RamStore.size(self, name)


class StoringJournal(Journal):
    """With the 32 events of services.journal_save, of an earlier boot."""

    def __init__(self, files):
        Journal.__init__(self)
        self._files = files
        store = open_events(files)
        for _ in range(2):
            store.write(struct.pack("<HHIi", 1, 2, 3, 4) * 32, 384)

    def stored(self):
        return earlier_events(self._files, self.counts)


class CountingBench(Bench):
    """All that can be stored is, twice and as long as may be. `work(request)`: store calls and
    bytes of the longest step of it, with what is done in one go counted together."""

    def __init__(self, rights):
        hardware = Hardware()
        files = hardware.files = CountingStore()
        text = b"{" + b" " * 16382 + b"}"
        for name in ("config", "record"):
            store = TwoGenerations(files, name, 1, 16384)
            for _ in range(2):
                store.write(text, len(text))
        Bench.__init__(self, 2, hardware, rights)
        self.controller.journal = StoringJournal(files)
        for _ in range(4):
            self.controller.events.add(1, 1)

    def run(self, ms):
        self.hardware.files.mark()
        Bench.run(self, ms)

    def work(self, request):
        files = self.hardware.files
        files.mark()
        files.most_calls = files.most_bytes = 0
        reply = self.ask(request)
        files.mark()
        return reply, files.most_calls, files.most_bytes


def test_no_request_makes_the_controller_read_more_than_it_can_wait_for():
    """A file is opened once a call: on an RP2040 some 2 ms, and 1 ms for each 1.5 kB. One find of
    a record's two files is 6 calls and all of their bytes."""
    for count in (1, 120):
        bench = CountingBench(0)
        for file in (3, 5, 4, 1, 2, 6):
            for again in range(3):
                one = struct.pack(">BHHH", 6, file, 0, count)
                reply, calls, size = bench.work(b"\x14\x07" + one)
                found = file in (1, 3, 4, 5)
                assert isinstance(reply, int) != found, (file, reply)
                if again:
                    assert calls <= 1 and size <= 240, (file, again, calls, size)
                else:
                    assert calls <= 7 and size <= 33000, (file, calls, size)


def test_a_request_of_many_parts_is_refused_without_any_work():
    bench = CountingBench(0)
    for file in (1, 3, 4, 5):
        for parts in range(2, 36):
            body = struct.pack(">BHHH", 6, file, 0, 1) * parts
            assert bench.work(bytes((20, len(body))) + body)[0] == ILLEGAL_VALUE
    assert bench.work(b"\x14\x0e" + struct.pack(">BHHH", 6, 5, 0, 1) * 2)[1] == 0


def test_a_second_way_in_is_told_that_the_files_are_busy():
    bench = Bench()
    other = Pdu(bench.registers, bytearray(256), bytearray(256))
    other.files = bench.tools
    request = b"\x14\x07\x06\x00\x05\x00\x00\x00\x01"
    for pdu in (bench.pdu, other):
        pdu.rx[1 : 1 + len(request)] = request
    assert bench.pdu.answer(len(request)) == 0
    assert other.answer(len(request)) == 2 and bytes(other.tx[1:3]) == b"\x94\x06"
    while bench.pdu.later < 0:
        bench.run(0)
    assert bench.pdu.later == 6 and bytes(bench.pdu.tx[1:7]) == b'\x14\x04\x03\x06{"'
    assert other.answer(len(request)) == 0


def test_a_request_that_its_server_has_given_up_is_not_answered():
    bench = Bench()
    request = b"\x14\x07\x06\x00\x05\x00\x00\x00\x01"
    bench.pdu.rx[1 : 1 + len(request)] = request
    assert bench.pdu.answer(len(request)) == 0
    bench.pdu.later = 0
    bench.run(0)
    assert bench.pdu.later == 0 and not bench.tools.is_awake
    assert bench.read_record(5, 0, 1) == b'{"'


def test_the_record_in_the_identity_is_the_one_committed_last():
    bench = Bench()
    for text in (b'{"by": "me"}', b'{"by": "you"}'):
        bench.stage(4, text)
        assert bench.commit(4, text) == 0
        identity = json.loads(bench.read_file(5).decode())
        assert identity["record_crc32"] == binascii.crc32(text)


def test_events_that_were_stored_meanwhile_are_looked_at_again():
    bench = Bench()
    journal = bench.controller.journal = Journal(5, 6)
    bench.controller.events.add(1, 3)
    assert len(bench.read_record(3, 0, 24)) == 48
    journal.kept = journal.kept[12:]  # an older one had to go
    journal.written = 1
    bench.read_record(3, 0, 1)
    assert bench.lengths()[2] == 32
    assert bench.read_record(3, 16, 1) == ILLEGAL_ADDRESS


def test_a_store_that_fails_is_a_device_failure():
    bench = Bench()

    def fail(name, buffer, n, head=b""):
        raise OSError(28)

    bench.stage(2, NEW_CONFIG)
    save, bench.hardware.files.save = bench.hardware.files.save, fail
    assert bench.commit(2, NEW_CONFIG) == DEVICE_FAILURE
    bench.hardware.files.save = save
    assert bench.commit(2, NEW_CONFIG) == 0  # it is still staged


def test_the_files_module_is_dropped_when_nobody_uses_it():
    name = "firmline.services.files"
    bench = Bench()
    bench.read_file(1)
    assert name in sys.modules
    bench.run(29999)
    assert name in sys.modules
    bench.run(1)
    assert name not in sys.modules
    assert bench.read_file(1) == CONFIG.encode()
    bench.stage(2, NEW_CONFIG)
    bench.run(599999)
    assert bench.read_file(2)[: len(NEW_CONFIG)] == NEW_CONFIG
    bench.run(600000)
    assert name not in sys.modules
    assert bench.lengths()[1] == 0


def test_reading_the_map_does_not_load_the_files():
    sys.modules.pop("firmline.services.files", None)
    bench = Bench()
    bench.lengths()
    assert "firmline.services.files" not in sys.modules

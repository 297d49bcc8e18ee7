# SPDX-License-Identifier: MIT
"""Hand-written fakes for the Modbus tests: a port, a shared line, a clock, an allocation check."""

try:
    import micropython
except ImportError:
    micropython = None

RING = 1 << 30
START_MS = RING - 60000  # the clock of the chips wraps one minute into every test


class Clock:
    """Milliseconds on the 2**30 ring."""

    def __init__(self, now_ms=START_MS):
        self.now_ms = now_ms

    def after(self, ms):
        self.now_ms = (self.now_ms + ms) % RING
        return self.now_ms


class FakePort:
    """What was written is in `sent`; `arrive` puts bytes into the receiver."""

    def __init__(self):
        self.sent = []
        self._waiting = b""

    def arrive(self, data):
        self._waiting += data

    def write(self, buf, n):
        self.sent.append(bytes(buf[:n]))

    def any(self):
        return len(self._waiting)

    def readinto(self, buf, n):
        assert n <= len(self._waiting)
        for k in range(n):
            buf[k] = self._waiting[k]
        self._waiting = self._waiting[n:]
        return n

    def tx_done(self):
        return True


class WireEnd:
    """One transceiver of a Wire: hears everybody else. Allocates nothing after construction."""

    _SIZE = 512

    def __init__(self, wire):
        self._wire = wire
        self._ring = bytearray(self._SIZE)
        self._read = 0
        self._count = 0
        self.is_deaf = False

    def write(self, buf, n):
        ends = self._wire.ends
        for k in range(len(ends)):
            if ends[k] is not self:
                ends[k].hear(buf, n)

    def hear(self, buf, n):
        if self.is_deaf:
            return
        assert self._count + n <= self._SIZE
        at = self._read + self._count
        for k in range(n):
            self._ring[(at + k) % self._SIZE] = buf[k]
        self._count += n

    def any(self):
        return self._count

    def readinto(self, buf, n):
        at = self._read
        for k in range(n):
            buf[k] = self._ring[(at + k) % self._SIZE]
        self._read = (at + n) % self._SIZE
        self._count -= n
        return n

    def tx_done(self):
        return True


class Wire:
    """A line without delays that everybody hears."""

    def __init__(self):
        self.ends = []

    def end(self):
        self.ends.append(WireEnd(self))
        return self.ends[-1]


class LateFiles:
    """What a Pdu asks for files: `finish` answers with two bytes, or an exception code."""

    def __init__(self, pdu):
        self._pdu = pdu
        self.asked = 0
        pdu.files = self

    def answer(self, function, pdu, n):
        self.asked += 1
        pdu.later = -1
        return 0

    def finish(self, code=0):
        if self._pdu.later < 0:
            self._pdu.tx[2] = 0
            self._pdu.later = self._pdu.reply(code or -2)


class FakeRegisters:
    """For RtuServer: a dict of registers; `writes` keeps (address, values) unless silent."""

    def __init__(self, values=None, keeps=True):
        self.values = values or {}
        self.keeps = keeps
        self.writes = []
        self.reads = 0
        self.write_count = 0

    def put_all(self, address, values):
        for k in range(len(values)):
            self.values[address + k] = values[k]

    def read(self, address, count, reply):
        self.reads += 1
        for k in range(count):
            if address + k not in self.values:
                return 2
            reply.put(k, self.values[address + k])
        return 0

    def write(self, address, count, request):
        for k in range(count):
            if address + k not in self.values:
                return 2
        for k in range(count):
            self.values[address + k] = request.get(k)
        self.write_count += 1
        if self.keeps:
            self.writes.append((address, [request.get(k) for k in range(count)]))
        return 0


class Steady:
    """Registers that all hold 7; FakeRegisters takes its frame from the heap."""

    def read(self, address, count, reply):
        for k in range(count):
            reply.put(k, 7)
        return 0


class ServingLoop:
    """One request and its answer in one step, for a server that is polled every 2 ms. It is the
    port of that server: a console is read byte by byte, a TCP client at once."""

    is_open = True
    session = 1

    def __init__(self, request, polls):
        self._request = bytearray(request)
        self._at = len(request)
        self._polls = polls
        self._now_ms = 0
        self.server = None

    def any(self):
        return len(self._request) - self._at

    def readinto(self, buf, n=None):
        if n is None:
            n = len(self._request) - self._at
        for k in range(n):
            buf[k] = self._request[self._at + k]
        self._at += n
        return n

    def write(self, buf, n):
        return n

    def hang_up(self):
        pass

    def step(self):
        self._at = 0
        for _ in range(self._polls):
            self._now_ms += 2
            self.server.poll(self._now_ms)


def assert_serving_allocates_nothing(loop):
    """`loop.server` answers 22 requests, 20 of them without the heap."""
    assert_allocates_nothing(loop, 20)
    assert loop.server.ok >= 22


def reply_bytes(registers):
    """A read's reply as the master keeps it: the registers begin at byte 3."""
    data = bytearray(3)
    for register in registers:
        data += bytes((register >> 8, register & 0xFF))
    return data


class ScriptedMaster:
    """Stands for RtuMaster towards a DeviceLink: remembers the request, serves given registers."""

    def __init__(self):
        self.requests = []
        self.error = 1  # a timeout, whenever a test says FAILED
        self._reply = ()
        self._words = {}

    def start_read(self, unit, function, address, count, timeout_ms, now_ms):
        self.requests.append((unit, function, address, count))
        return True

    def set_register(self, k, value):
        self._words[k] = value & 0xFFFF

    def start_write(self, unit, address, count, timeout_ms, now_ms):
        self.requests.append((unit, 16, address, [self._words[k] for k in range(count)]))
        return True

    def start_write_single(self, unit, address, value, timeout_ms, now_ms):
        self.requests.append((unit, 6, address, [value]))
        return True

    def reply(self, registers):
        self._reply = registers
        self.data = reply_bytes(registers or ())
        return self

    def register(self, k):
        return self._reply[k]


def assert_allocates_nothing(scenario, times):
    """Run scenario.step() `times` times with the heap locked, and with the heap's total watched.

    The lock misses exceptions and big frames, mem_total sees them where it exists. CPython only
    runs the steps.
    """
    scenario.step()
    scenario.step()
    if not hasattr(micropython, "heap_lock"):
        for _ in range(times):
            scenario.step()
        return
    micropython.heap_lock()
    for _ in range(times):
        scenario.step()
    micropython.heap_unlock()
    if hasattr(micropython, "mem_total"):
        before = micropython.mem_total()
        for _ in range(times):
            scenario.step()
        grown = micropython.mem_total() - before
        assert grown == 0, grown

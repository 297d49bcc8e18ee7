# SPDX-License-Identifier: MIT
"""services.bus: who gets the line, and a whole line of emulated units without one allocation."""

from modbus_fakes import Clock, Wire, assert_allocates_nothing

from firmline.devices.catalog import table_of
from firmline.devices.link import DeviceLink
from firmline.modbus.rtu import RtuMaster
from firmline.modbus.server import RtuServer
from firmline.services.bus import Bus

IDLE, BUSY, DONE, FAILED = 0, 1, 2, 3
NO_JOB, READ, SETUP, REFRESH, WRITE_LOOSER, WRITE_TIGHTER = 0, 1, 2, 3, 4, 5


class FakeMaster:
    """A transaction ends in the next poll, and the line is free at once."""

    def __init__(self):
        self.outcome = DONE
        self._state = IDLE

    def begin(self):
        self._state = BUSY

    def poll(self, now_ms):
        if self._state == BUSY:
            self._state = self.outcome
        elif self._state == FAILED + 1:
            self._state = IDLE
        return BUSY if self._state > FAILED else self._state

    def release(self):
        self._state = FAILED + 1

    def is_idle(self):
        return self._state == IDLE

    def wait_ms(self, now_ms):
        return 7


class FakeLink:
    def __init__(self, name, log, priority=NO_JOB):
        self.name = name
        self.log = log
        self.is_telling = False
        self.priority = priority
        self.is_telling = True
        self.once = False
        self.samples = 0
        self.wait = 1000
        self.asked = 0
        self.wake = bytearray(2)
        self.place = 0

    @property
    def priority(self):
        return self._priority

    @priority.setter
    def priority(self, priority):
        """A link tells the bus when its job changes before the time it named."""
        self._priority = priority
        if self.is_telling:
            self.wake[self.place] = 1
            self.wake[-1] = 1

    def job(self, now_ms):
        self.asked += 1
        return self.priority

    def wait_ms(self, now_ms):
        return self.wait

    def begin(self, master, now_ms):
        self.log.append(self.name)
        if self.once:
            self.priority = NO_JOB
        master.begin()

    def finish(self, master, state, now_ms):
        if state == DONE:
            self.samples += 1


class Fakes:
    def __init__(self, priorities, meter_index=0):
        self.log = []
        self.links = []
        for k in range(len(priorities)):
            self.links.append(FakeLink("mabcdef"[k], self.log, priorities[k]))
        self.master = FakeMaster()
        self.bus = Bus(self.master, self.links, meter_index)

    def turns(self, count):
        """Names of the next `count` transactions, as one string."""
        del self.log[:]
        while len(self.log) < count:
            self.bus.poll(0)
            if self.master.is_idle() and not self.log:
                break
        return "".join(self.log)


def test_meter_owns_every_second_slot_while_it_is_due():
    turns = Fakes((READ, READ, READ)).turns(12)
    for k in range(0, 12, 2):
        assert "m" in turns[k : k + 2]
    assert turns.count("a") == turns.count("b") == 3


def test_others_take_turns():
    assert Fakes((NO_JOB, READ, READ, READ)).turns(6) == "abcabc"


def test_more_urgent_others_come_first():
    for low, high in ((READ, SETUP), (SETUP, REFRESH), (REFRESH, WRITE_LOOSER)):
        fakes = Fakes((NO_JOB, low, high, low))
        fakes.links[2].once = True
        assert fakes.turns(1) == "b"
        assert fakes.turns(2) in ("ca", "ac")


def test_tightening_comes_before_the_meter():
    fakes = Fakes((READ, READ, WRITE_TIGHTER))
    fakes.links[2].once = True
    assert fakes.turns(1) == "b"
    assert fakes.turns(1) == "m"


def test_looser_does_not_come_before_the_meter_twice():
    fakes = Fakes((READ, WRITE_LOOSER, NO_JOB))
    turns = fakes.turns(10)
    assert "aa" not in turns


def test_endless_tightening_leaves_the_meter_every_fourth_slot():
    turns = Fakes((READ, WRITE_TIGHTER, WRITE_TIGHTER)).turns(16)
    for k in range(13):
        assert "m" in turns[k : k + 4]


def test_after_a_failure_the_meter_is_next_even_when_tightening():
    fakes = Fakes((READ, WRITE_TIGHTER, WRITE_TIGHTER))
    fakes.master.outcome = FAILED
    turns = fakes.turns(12)
    for k in range(11):
        assert "m" in turns[k : k + 2]


def test_line_without_a_meter():
    assert Fakes((READ, READ), meter_index=-1).turns(4) in ("mama", "amam")


def test_nothing_due_starts_nothing():
    fakes = Fakes((NO_JOB, NO_JOB))
    for _ in range(10):
        fakes.bus.poll(0)
    assert fakes.log == []


def test_next_transaction_starts_in_the_poll_that_frees_the_line():
    fakes = Fakes((READ, READ))
    fakes.bus.poll(0)
    assert len(fakes.log) == 1
    fakes.bus.poll(0)
    assert len(fakes.log) == 2


def test_wait_is_the_masters_while_busy():
    fakes = Fakes((READ, NO_JOB))
    fakes.bus.poll(0)
    assert fakes.bus.wait_ms(0) == 7


def resting():
    """Nothing due for 40 ms from 1,000 on; then the second link gets a job."""
    fakes = Fakes((NO_JOB, NO_JOB))
    fakes.links[1].wait = 40
    fakes.bus.poll(1000)
    fakes.links[1].is_telling = False
    fakes.links[1].priority = READ
    return fakes


def test_bus_rests_until_the_soonest_link_is_due():
    fakes = resting()
    assert fakes.bus.wait_ms(1000) == 40
    fakes.bus.poll(1039)
    assert fakes.bus.wait_ms(1039) == 1
    assert fakes.log == []
    fakes.bus.poll(1040)
    assert fakes.log == ["a"]


def test_wait_of_a_bus_is_at_least_a_millisecond():
    fakes = resting()
    assert fakes.bus.wait_ms(1040) == 1
    assert fakes.bus.wait_ms(2000) == 1


def test_a_command_wakes_a_resting_bus():
    fakes = resting()
    fakes.links[1].is_telling = True
    fakes.links[1].priority = READ
    assert fakes.bus.wait_ms(1001) == 1
    fakes.bus.poll(1001)
    assert fakes.log == ["a"]


def test_a_bus_goes_back_to_rest_after_a_false_alarm():
    fakes = resting()
    fakes.links[1].is_telling = True
    fakes.links[1].priority = NO_JOB
    fakes.bus.poll(1001)
    assert fakes.bus.wait_ms(1001) == 40


def test_a_resting_bus_does_not_ask_the_links():
    fakes = resting()
    asked = fakes.links[1].asked
    for now_ms in range(1001, 1040):
        fakes.bus.poll(now_ms)
    assert fakes.links[1].asked == asked


def second_turn(now_ms):
    """Who comes after "a" when the passing of time has made the job of "c" more urgent."""
    fakes = Fakes((NO_JOB, READ, READ, READ))
    fakes.bus.poll(0)
    fakes.links[3].is_telling = False
    fakes.links[3].priority = REFRESH
    fakes.bus.poll(now_ms)
    return "".join(fakes.log)


def test_a_job_that_waits_is_asked_again_after_50_ms_and_may_have_become_urgent():
    assert second_turn(49) == "ab"
    assert second_turn(50) == "ac"


def test_meter_is_next_when_only_the_silence_keeps_it():
    fakes = Fakes((READ, READ, NO_JOB))
    fakes.master.is_idle = lambda: False  # it rests after a frame
    fakes.master.wait_ms = lambda now_ms: 2
    fakes.bus._slots_without_meter = 1
    assert fakes.bus.is_meter_next(0)
    fakes.master.wait_ms = lambda now_ms: 3
    assert not fakes.bus.is_meter_next(0)
    fakes.master.wait_ms = lambda now_ms: 1
    fakes.links[2].priority = WRITE_TIGHTER
    assert not fakes.bus.is_meter_next(0)
    fakes.links[2].priority = NO_JOB
    fakes.links[0].priority = NO_JOB
    assert not fakes.bus.is_meter_next(0)


def test_new_command_of_a_real_link_leaves_in_the_next_poll():
    line = Line()
    line.run(3000)
    while not line.master.is_idle() or line.bus.wait_ms(line.now_ms) < 20:
        line.step()
    sent = line.master.bytes_sent
    line.links[1].set_command(4000, True, line.now_ms)
    assert line.bus.wait_ms(line.now_ms) == 1
    line.bus.poll(line.now_ms)
    assert line.master.bytes_sent == sent + 13


SDM630 = (
    (0x4367, 0xAF55, 0x4365, 0xE666, 0x4366, 0x0000)  # 231.68 V, 229.9 V, 230 V
    + (0x4128, 0x0000, 0x404C, 0xCCCD, 0x0000, 0x0000)  # 10.5 A, 3.2 A, 0 A
    + (0x450F, 0xC666, 0xC42F, 0x2666, 0x3F80, 0x0000)  # 2300.4 W, -700.6 W, 1 W
)


class QuietRegisters:
    """A block of registers that is read and written without allocating."""

    def __init__(self, values):
        self.first = min(values)
        self.registers = [0] * (max(values) + 1 - self.first)
        for address in values:
            self.registers[address - self.first] = values[address]

    def read(self, address, count, reply):
        address -= self.first
        if address < 0 or address + count > len(self.registers):
            return 2
        while count:
            count -= 1
            self.copy(address + count, count, reply)
        return 0

    def copy(self, at, k, reply):
        reply.put(k, self.registers[at])

    def write(self, address, count, request):
        while count:
            count -= 1
            self.registers[address + count - self.first] = request.get(count)
        return 0


def sdm630():
    values = {}
    for k in range(len(SDM630)):
        values[k] = SDM630[k]
    return QuietRegisters(values)


def terra():
    values = {0x4006: 0, 0x4007: 32000, 0x400D: 0x8400, 0x4011: 16000, 0x401D: 3680, 0x4106: 0}
    return QuietRegisters(values)


def pv():
    values = {40000: 0x5375, 40001: 0x6E53, 40002: 701, 40003: 153, 40157: 704, 40158: 65}
    values[40224] = 0xFFFF
    values[40225] = 0
    values[40012] = 420  # 701: 4,200 W
    values[40118] = 1
    values[40211] = 0xFFFE  # 704: scale factor of WMaxLimPct
    return QuietRegisters(values)


class Line:
    """A meter, a charger and an inverter on one wire with a real master, all in this process."""

    def __init__(self):
        self.wire = Wire()
        self.clock = Clock()
        self.master = RtuMaster(self.wire.end(), 19200)
        self.links = [
            DeviceLink(table_of("eastron_sdm630"), 1, {"poll_ms": 100}),
            DeviceLink(table_of("abb_terra_ac"), 2, {"phases": 1, "poll_ms": 300}),
            DeviceLink(table_of("sunspec_pv_704"), 3, {"rated_w": 10000, "poll_ms": 300}),
        ]
        self.maps = [sdm630(), terra(), pv()]
        self.ends = [self.wire.end() for _ in self.maps]
        self.servers = []
        for k in range(3):
            self.servers.append(RtuServer(self.ends[k], 19200, k + 1, self.maps[k]))
        self.bus = Bus(self.master, self.links, 0)
        self.now_ms = self.clock.now_ms
        self.tick = 0

    def step(self):
        """One millisecond; the commands change now and then."""
        now_ms = self.now_ms
        self.tick += 1
        if self.tick % 400 == 0:
            self.links[1].set_command(1380 + self.tick % 4000, self.tick % 800 == 0, now_ms)
            self.links[2].set_command(-(self.tick % 9000), self.tick % 1200 == 0, now_ms)
        self.bus.poll(now_ms)
        self.bus.wait_ms(now_ms)
        for k in range(3):
            self.servers[k].poll(now_ms)
        self.now_ms = (now_ms - 0x3FFFFFFF) & 0x3FFFFFFF  # + 1 in small ints

    def run(self, ms):
        for _ in range(ms):
            self.step()


def test_a_shared_line_works_across_the_wrap_of_the_clock():
    line = Line()
    line.run(62100)
    assert line.now_ms == 2100
    meter, charger, inverter = line.links
    assert meter.total_w == 1600
    assert meter.l_dv == [2317, 2299, 2300]
    assert charger.l_ma == [16000, 0, 0]
    assert inverter.power_w == -4200
    for link in line.links:
        assert link.is_online
        assert (link.failures, link.rejected) == (0, 0)
    assert meter.samples >= 600
    master = line.master
    assert (master.timeouts, master.crc_errors, master.malformed, master.discarded) == (0, 0, 0, 0)
    assert line.maps[1].registers[0x4106 - 0x4006] == 10
    assert charger.settled()
    assert inverter.settled()


def test_a_dead_unit_does_not_hide_the_meter():
    line = Line()
    line.run(2000)
    line.ends[1].is_deaf = True
    samples = line.links[0].samples
    line.run(10000)
    assert not line.links[1].is_online
    assert line.links[0].samples - samples >= 80
    line.ends[1].is_deaf = False
    line.run(5000)
    assert line.links[1].is_online
    assert line.links[1].settled()


def test_a_whole_line_allocates_nothing():
    line = Line()
    line.run(3000)
    before = line.master.ok
    assert_allocates_nothing(line, 8000)
    assert line.master.ok - before > 150


def test_loss_and_return_allocate_nothing():
    line = Line()
    line.run(2000)
    line.ends[1].is_deaf = True
    line.ends[2].is_deaf = True
    assert_allocates_nothing(line, 3000)
    assert not line.links[2].is_online
    line.ends[1].is_deaf = False
    line.ends[2].is_deaf = False
    assert_allocates_nothing(line, 5000)
    assert line.links[1].is_online and line.links[2].is_online

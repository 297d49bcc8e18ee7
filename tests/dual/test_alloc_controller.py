# SPDX-License-Identifier: MIT
"""The whole controller allocates nothing while it runs: 10,000 control cycles with real frames.

Loads, sun, vehicles, a head-end that writes and falls silent, lost devices, a lost meter, readings
beyond all sense, and the tick wrap. Every poll of the controller runs with the heap locked; what
answers it works between the polls. The lock misses raised exceptions and big frames, so the same
hour runs again unlocked where the interpreter can tell how much was ever allocated.
"""

from alloc_site import BATTERY, EVSE_A, EVSE_B, METER, PV, Bench, make_machine_code

try:
    import micropython
except ImportError:
    micropython = None

CYCLES = 10000


class SkipTest(Exception):
    pass


class Story:
    """What happens at the site, in steps of a second; a round takes 100 s."""

    def __init__(self, bench):
        self._bench = bench
        self._second = -1
        self.modes = set()
        self.stages = set()
        self.bindings = set()

    def go_on(self):
        cycle = self._bench.controller.cycle
        self.modes.add(cycle.mode)
        self.stages.add(cycle.import_clock.stage)
        self.bindings.add(cycle.limits.binding[0])
        if self._bench.ms // 1000 != self._second:
            self._second = self._bench.ms // 1000
            self._plant(self._second % 100)
            self._line(self._second % 100)
            self._head_end(self._second % 100)

    def _plant(self, second):
        devices = self._bench.devices
        if second % 3 == 0:
            for k in range(3):
                devices.load_w[k] = self._bench.lcg.below(3500)
        if second % 7 == 0:
            devices.sun_w = self._bench.lcg.below(9000)
        devices.is_plugged[EVSE_B] = not 20 <= second < 35
        if 90 <= second < 98:  # 11,500 W are allowed on a conductor: nothing helps
            devices.load_w[0] = 20000

    def _line(self, second):
        devices = self._bench.devices
        devices.is_silent[METER] = 40 <= second < 44
        devices.is_silent[EVSE_A] = 50 <= second < 56
        devices.is_silent[PV] = 58 <= second < 61
        devices.is_silent[BATTERY] = 62 <= second < 66
        devices.is_absurd = second == 85

    def _head_end(self, second):
        bench = self._bench
        if second < 30:
            if second == 2:
                bench.dynamic(31000, 0, 20)
            elif second == 11:
                bench.dynamic(9000, 8000, 60)
            elif second == 16:
                bench.emergency(3000, 1000, 10)
            elif second == 17:
                bench.dynamic(-1, -1, 9000)  # refused
            elif second % 5 == 0:
                bench.heartbeat()
            else:
                bench.read_all(40000 + 100 * (second % 4))
        elif second % 10 == 0:
            bench.read_all(40000)


def check(bench, story):
    assert bench.controller.supervisor.cycles >= CYCLES
    assert bench.hardware.feeds >= CYCLES
    assert bench.ms > 60000, "past the tick wrap"
    assert story.modes == {0, 1, 2, 3}
    assert story.stages == {0, 1, 2, 3}
    assert story.bindings == {0, 1, 3}
    assert bench.controller.head_end.losses >= 5
    assert bench.controller.head_end.refused >= 5
    assert bench.controller.cycle.fallbacks >= 5
    assert bench.devices.writes > 1000
    assert bench.relay.changes > 10
    assert bench.trip.is_on
    for link in bench.controller.links:
        assert link is None or link.is_online


def test_a_poll_never_needs_the_heap():
    bench = Bench()
    story = Story(bench)
    controller = bench.controller
    can_lock = hasattr(micropython, "heap_lock")
    while controller.supervisor.cycles < CYCLES:
        story.go_on()
        if can_lock:
            micropython.heap_lock()
        wait_ms = controller.poll(bench.now_ms)
        if can_lock:
            micropython.heap_unlock()
        bench.answer()
        bench.after(wait_ms)
    check(bench, story)


def test_ten_thousand_cycles_allocate_zero_bytes():
    if not hasattr(micropython, "mem_total"):
        raise SkipTest("no mem_total here: the locked heap has to do")
    make_machine_code()
    bench = Bench()
    story = Story(bench)
    controller = bench.controller
    grown = 0
    while controller.supervisor.cycles < CYCLES:
        story.go_on()
        before = micropython.mem_total()
        wait_ms = controller.poll(bench.now_ms)
        grown += micropython.mem_total() - before
        bench.answer()
        bench.after(wait_ms)
    assert grown == 0, grown

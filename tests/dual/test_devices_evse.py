# SPDX-License-Identifier: MIT
"""EVSE tables through devices.link: identification, watchdog before command, states, currents."""

from modbus_fakes import Clock, ScriptedMaster

from firmline.devices.catalog import table_of
from firmline.devices.link import DeviceLink

DONE, FAILED = 2, 3
NO_JOB, READ, SETUP, REFRESH, WRITE_LOOSER, WRITE_TIGHTER = 0, 1, 2, 3, 4, 5

MAX_32_A = (0, 32000)


class Bench:
    def __init__(self, name, **options):
        self.clock = Clock()
        self.master = ScriptedMaster()
        self.link = DeviceLink(table_of(name), 7, options)

    def job(self):
        return self.link.job(self.clock.now_ms)

    def command(self, command_w, is_tighter=True):
        self.link.set_command(command_w, is_tighter, self.clock.now_ms)

    def turn(self, registers=(), state=DONE):
        """The transaction that is due: (unit, function, address, count or values)."""
        assert self.job() != NO_JOB
        self.link.begin(self.master, self.clock.now_ms)
        self.clock.after(20)
        self.link.finish(self.master.reply(registers), state, self.clock.now_ms)
        return self.master.requests[-1]


def terra_block(state=0x8400, limit=32000, amps=(16000, 15900, 16100), watts=11000):
    words = [0, state]
    for value in (limit,) + amps + (2300, 2300, 2300, watts):
        words += [value >> 16, value & 0xFFFF]
    return words


def ready_terra(**options):
    bench = Bench("abb_terra_ac", **options)
    bench.turn(MAX_32_A)
    bench.turn()
    bench.turn(terra_block())
    return bench


def test_terra_is_identified_then_its_timeout_is_set_then_it_is_read():
    bench = Bench("abb_terra_ac", reversion_s=12)
    assert bench.turn(MAX_32_A) == (7, 3, 0x4006, 2)
    assert not bench.link.is_online
    assert bench.turn() == (7, 16, 0x4106, [12])
    assert bench.link.is_online
    assert bench.turn(terra_block()) == (7, 3, 0x400C, 18)
    assert bench.job() == NO_JOB


def test_terra_that_cannot_be_one_is_never_written():
    for rating in ((0, 0), (0, 5999), (1, 14465), (0xFFFF, 0xFFFF), (0x4000, 0)):
        bench = Bench("abb_terra_ac")
        bench.command(7360)
        bench.turn(rating)
        assert bench.job() == NO_JOB
        assert bench.link.wait_ms(bench.clock.now_ms) == 500
        assert not bench.link.is_online
        assert bench.link.rejected == 1
        assert [request[1] for request in bench.master.requests] == [3]


def test_terra_values():
    link = ready_terra().link
    assert link.l_ma == [16000, 15900, 16100]
    assert link.draw_w == 11000
    assert (link.state, link.limit_ma, link.samples) == (3, 32000, 1)


def test_terra_states():
    for raw, state in (
        (0x8000, 1), (0x0000, 1), (0x8100, 2), (0x8200, 2), (0x8300, 2), (0x8400, 3),
        (0x0400, 3), (0x8500, 4), (0x8600, 4), (0xFF00, 4),
    ):  # fmt: skip
        bench = ready_terra()
        bench.clock.after(1000)
        bench.turn(terra_block(raw))
        assert bench.link.state == state, hex(raw)


def test_terra_single_phase_currents_belong_to_its_conductor():
    bench = Bench("abb_terra_ac", phases=4)
    bench.turn(MAX_32_A)
    bench.turn()
    bench.turn(terra_block(amps=(20000, 0, 0)))
    assert bench.link.l_ma == [0, 0, 20000]


def test_terra_between_two_legs_loads_both():
    bench = Bench("abb_terra_ac", phases=3, voltage_dv=1200, split_phase=True)
    bench.turn((1, 14464))
    bench.turn()
    bench.turn(terra_block(amps=(48000, 0, 0)))
    assert bench.link.l_ma == [48000, 48000, 0]
    bench.command(11520)
    assert bench.turn() == (7, 16, 0x4100, [0, 48000])


def test_terra_command_is_a_current_limit():
    bench = ready_terra(phases=7)
    bench.command(22080)
    assert bench.job() == WRITE_TIGHTER
    assert bench.turn() == (7, 16, 0x4100, [0, 32000])
    assert bench.link.settled()
    assert (bench.link.acked_w, bench.link.acked_ms) == (22080, bench.clock.now_ms)


def test_terra_of_eighty_amperes():
    bench = ready_terra(phases=1, voltage_dv=2400)
    bench.command(19200)
    assert bench.turn() == (7, 16, 0x4100, [1, 14464])


def test_terra_pause_is_a_zero():
    bench = ready_terra()
    bench.command(0)
    assert bench.turn() == (7, 16, 0x4100, [0, 0])


def test_nothing_is_commanded_before_the_controller_said_so():
    bench = ready_terra()
    for _ in range(60):
        bench.clock.after(1000)
        while bench.job() != NO_JOB:
            bench.turn(terra_block())
    written = [request[2] for request in bench.master.requests if request[1] == 16]
    assert set(written) == {0x4106}


HEIDELBERG_BLOCK = (7, 160, 158, 0, 350, 231, 230, 229, 1, 7100)


def test_heidelberg_is_set_up_with_fallback_then_watchdog_then_standby_off():
    bench = Bench("heidelberg_energy_control", fallback_w=4140, reversion_s=15)
    assert bench.turn((0x0107,)) == (7, 4, 4, 1)
    assert bench.turn() == (7, 6, 262, [60])
    assert bench.turn() == (7, 6, 257, [15000])
    assert bench.turn() == (7, 6, 258, [4])
    assert bench.turn(HEIDELBERG_BLOCK) == (7, 4, 5, 10)
    link = bench.link
    assert link.l_ma == [16000, 15800, 0]
    assert (link.draw_w, link.state) == (7100, 3)


def test_heidelberg_of_another_layout_is_never_written():
    bench = Bench("heidelberg_energy_control")
    bench.turn((0x0200,))
    assert bench.job() == NO_JOB
    assert [request[1] for request in bench.master.requests] == [4]


def test_heidelberg_states():
    for raw, state in (
        (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3), (8, 3), (9, 4), (10, 4), (11, 4), (12, 4),
    ):  # fmt: skip
        bench = Bench("heidelberg_energy_control")
        bench.turn((0x0107,))
        for _ in range(3):
            bench.turn()
        bench.turn((raw,) + HEIDELBERG_BLOCK[1:])
        assert bench.link.state == state, raw


def test_heidelberg_command_in_tenths_and_nothing_below_six_amperes():
    bench = Bench("heidelberg_energy_control")
    bench.turn((0x0107,))
    for _ in range(3):
        bench.turn()
    bench.turn(HEIDELBERG_BLOCK)
    bench.command(11040)
    assert bench.turn() == (7, 6, 261, [160])
    bench.command(4000)
    assert bench.turn() == (7, 6, 261, [0])

# SPDX-License-Identifier: MIT
"""core.supervisor: the watchdog is fed after a complete round of check-ins, and only then."""

from sites import at

from firmline.core.supervisor import Supervisor

BUS = 1
HEAD_END = 2
CYCLE = 4
OUTPUTS = 8


def check_in_all(supervisor, now_ms):
    supervisor.check_in(BUS)
    supervisor.check_in(HEAD_END)
    supervisor.cycle_done(now_ms)
    supervisor.check_in(OUTPUTS)


def test_not_fed_before_anybody_has_reported():
    assert not Supervisor(100).may_feed()


def test_fed_once_for_each_complete_round():
    supervisor = Supervisor(100)
    check_in_all(supervisor, at(0))
    assert supervisor.may_feed()
    assert not supervisor.may_feed()
    check_in_all(supervisor, at(100))
    assert supervisor.may_feed()


def test_not_fed_while_any_one_is_missing():
    for missing in (BUS, HEAD_END, CYCLE, OUTPUTS):
        supervisor = Supervisor(100)
        for _ in range(3):
            for bit in (BUS, HEAD_END, CYCLE, OUTPUTS):
                if bit != missing:
                    supervisor.check_in(bit)
            assert not supervisor.may_feed(), missing
        supervisor.check_in(missing)
        assert supervisor.may_feed()


def test_a_refusal_keeps_what_has_been_reported():
    supervisor = Supervisor(100)
    supervisor.check_in(BUS | HEAD_END)
    assert not supervisor.may_feed()
    supervisor.check_in(OUTPUTS)
    supervisor.cycle_done(at(0))
    assert supervisor.may_feed()


def test_after_a_feed_everybody_has_to_report_again():
    for missing in (BUS, HEAD_END, CYCLE, OUTPUTS):
        supervisor = Supervisor(100)
        check_in_all(supervisor, at(0))
        assert supervisor.may_feed()
        for bit in (BUS, HEAD_END, CYCLE, OUTPUTS):
            if bit != missing:
                supervisor.check_in(bit)
        assert not supervisor.may_feed(), missing


def test_cycles_are_counted():
    supervisor = Supervisor(100)
    for k in range(5):
        supervisor.cycle_done(at(100 * k))
    assert supervisor.cycles == 5
    assert supervisor.late_cycles == 0


def test_a_cycle_is_late_one_ms_after_two_ticks():
    supervisor = Supervisor(100)
    supervisor.cycle_done(at(59900))
    supervisor.cycle_done(at(60100))
    assert supervisor.late_cycles == 0, "not yet"
    supervisor.cycle_done(at(60301))
    assert supervisor.late_cycles == 1


def test_the_first_cycle_is_never_late():
    supervisor = Supervisor(100)
    supervisor.cycle_done(at(0))
    assert (supervisor.cycles, supervisor.late_cycles) == (1, 0)


def test_the_count_of_cycles_stays_inside_30_bits():
    supervisor = Supervisor(100)
    supervisor.cycles = 536870911
    supervisor.cycle_done(at(0))
    assert supervisor.cycles == 0

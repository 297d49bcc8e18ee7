# SPDX-License-Identifier: MIT
"""core.cycle: trust, modes, clocks and commands of one control cycle, step by step.

Hold 600 ms, fallback 2,000 ms, 10 s to be back inside. The site: an EVSE on L1, a battery on
L1..L3, PV on L3 and a relay on L2, with fallback values of their own.
"""

from sites import (
    L1,
    L2,
    L3,
    L123,
    at,
    battery,
    evse,
    fill,
    make_resources,
    make_site,
    make_snapshot,
    pv,
    relay,
)

from firmline.core.cycle import Cycle

START, NORMAL, HOLD, FALLBACK, TRIPPED, SAFE = range(6)
INSIDE, CUT, TO_MINIMUM, PAUSE, TRIP = range(5)
NONE = -1

ROWS = (
    evse(L1, 7360, 1380, 1840),
    battery(L123, 5000, 5000, 0),
    pv(L3, 8000, 2500),
    relay(L2, 3000, 0),
)
FELL_BACK = [1840, 0, -2500, 0]


class Bench:
    """A cycle at a virtual time; `sample` is a step with a new sample, `tick` one without."""

    def __init__(self, rows=ROWS, protected=()):
        self.site = make_site()
        self.resources = make_resources(rows, protected)
        self.snapshot = make_snapshot()
        self.cycle = Cycle(self.site, self.resources, self.snapshot, 600, 2000)
        self.ms = 50000
        self.dynamic_w = NONE
        self.emergency_w = NONE
        self.emergency_export_w = NONE

    def sample(self, ms, total_w=0, l1_w=0, l2_w=0, l3_w=0):
        fill(self.snapshot.axis_w, (total_w, l1_w, l2_w, l3_w))
        self.snapshot.samples += 1
        return self._step(True, ms)

    def tick(self, ms):
        return self._step(False, ms)

    def _step(self, is_new, ms):
        self.ms += ms
        limits = self.cycle.limits
        emergency_export_w = self.emergency_export_w
        limits.update(True, self.dynamic_w, NONE, self.emergency_w, emergency_export_w)
        self.cycle.step(is_new, at(self.ms))
        return list(self.resources.command_w)

    def command(self, *commands_w):
        """Commands that are in force and obeyed."""
        fill(self.resources.command_w, commands_w)
        fill(self.resources.power_w, commands_w)


# --- start ---


def test_it_starts_in_start_and_commands_nothing_before_the_first_step():
    bench = Bench()
    assert bench.cycle.mode == START
    assert list(bench.resources.command_w) == [0, 0, 0, 0]


def test_before_the_first_sample_everything_is_at_its_fallback_value():
    bench = Bench()
    for ms in (0, 1, 599, 2000, 60000, 3600000):
        assert bench.tick(ms) == FELL_BACK
        assert bench.cycle.mode == START
    assert bench.cycle.fallbacks == 0


def test_at_the_start_a_limit_below_firm_turns_fallback_loads_off():
    bench = Bench()
    bench.emergency_w = 19999
    assert bench.tick(0) == [0, 0, -2500, 0]


def test_the_first_sample_ends_the_start():
    bench = Bench()
    bench.tick(0)
    bench.sample(100, 1000, 400, 300, 300)
    assert bench.cycle.mode == NORMAL


# --- trust ---


def test_late_one_ms_after_the_hold_time():
    bench = Bench()
    bench.sample(0)
    bench.tick(600)
    assert bench.cycle.mode == NORMAL, "not yet"
    bench.tick(1)
    assert bench.cycle.mode == HOLD


def test_lost_one_ms_after_the_fallback_time():
    bench = Bench()
    bench.sample(9000)
    bench.tick(2000)  # across the tick wrap
    assert bench.cycle.mode == HOLD, "not yet"
    assert bench.tick(1) == FELL_BACK
    assert bench.cycle.mode == FALLBACK
    assert bench.cycle.fallbacks == 1


def test_each_loss_is_counted_once():
    bench = Bench()
    for _ in range(3):
        bench.sample(100)
        for _ in range(30):
            bench.tick(100)
    assert bench.cycle.fallbacks == 3


def test_a_sample_ends_hold_and_fallback():
    bench = Bench()
    bench.sample(0)
    bench.tick(601)
    bench.sample(1)
    assert bench.cycle.mode == NORMAL
    bench.tick(3000)
    assert bench.cycle.mode == FALLBACK
    bench.sample(1)
    assert bench.cycle.mode == NORMAL


def test_a_lost_meter_stays_lost_when_the_ring_turns():
    bench = Bench()
    bench.sample(0)
    for _ in range(21):
        bench.tick(100)
    assert bench.cycle.mode == FALLBACK
    bench.ms += (1 << 30) - 2100
    assert bench.tick(0) == FELL_BACK
    assert bench.cycle.mode == FALLBACK


def test_after_a_loss_nothing_is_looser_than_fallback_until_the_room_was_seen():
    bench = Bench([evse(L1, 7360, 1380, 1840)])
    bench.sample(0)
    bench.tick(2001)
    assert bench.sample(100, 1840, 1840) == [1840]
    bench.resources.in_flight[0] = 0
    for _ in range(50):
        fill(bench.resources.power_w, (1840,))
        assert bench.sample(100, 1840, 1840) == [1840], "not yet"
    assert bench.sample(100, 1840, 1840) == [7360]


# --- hold only tightens ---


def test_hold_keeps_the_commands():
    bench = Bench()
    bench.sample(0)
    bench.command(7000, -1000, -8000, 3000)
    assert bench.tick(601) == [7000, -1000, -8000, 3000]
    assert bench.tick(1000) == [7000, -1000, -8000, 3000]


def test_a_limit_that_drops_on_a_late_sample_cuts_at_once():
    bench = Bench()
    bench.command(7000, 0, 0, 3000)
    bench.sample(0, 18000, 7000, 3000, 0)
    bench.tick(601)
    assert bench.cycle.mode == HOLD
    bench.emergency_w = 15000  # 8,000 W uncontrolled: 7,000 W are left
    assert bench.tick(1) == [7000, 0, 0, 0]
    bench.emergency_w = 12000
    assert bench.tick(1) == [4000, 0, 0, 0]


def test_a_limit_that_rises_on_a_late_sample_loosens_nothing():
    bench = Bench()
    bench.emergency_w = 12000
    bench.command(3000, 0, 0, 0)
    bench.sample(0, 11000, 3000, 0, 0)
    bench.tick(601)
    bench.emergency_w = NONE
    for _ in range(13):
        assert bench.tick(100)[0] <= 3000
    assert bench.cycle.mode == HOLD


# --- limits between samples ---


def test_a_limit_that_drops_between_two_samples_cuts_on_the_next_tick():
    bench = Bench([evse(L1, 7360, 1380)])
    bench.command(7000)
    bench.sample(0, 10000, 8000)
    bench.emergency_w = 8000
    # 3,000 W uncontrolled, 160 W of margin
    assert bench.tick(10) == [4840]


def test_between_samples_the_commands_stay():
    bench = Bench([evse(L1, 7360, 1380)])
    bench.command(7000)
    bench.sample(0, 10000, 8000)
    for _ in range(5):
        assert bench.tick(100) == [7000]


def test_a_source_that_falls_silent_between_samples_is_no_relief_any_more():
    bench = Bench([evse(L1, 7360, 1380), pv(L1, 8000)])
    bench.command(7000, -5000)
    bench.sample(0, 19000, 7000)
    bench.resources.power_w[1] = 0
    assert bench.tick(100)[0] == 3000


# --- one step on one piece of information ---


def test_a_second_look_at_the_same_sample_does_not_cut_again():
    bench = Bench([evse(L1, 7360, 1380)])
    bench.command(7000)
    assert bench.sample(0, 23000, 8000) == [3600]
    for _ in range(20):  # the vehicle has not reacted, the meter still shows it
        assert bench.sample(100, 23000, 8000) == [3600]


def test_what_is_measured_after_the_effect_counts_again():
    bench = Bench([evse(L1, 7360, 1380)])
    bench.command(7000)
    assert bench.sample(0, 23000, 8000) == [3600]
    bench.resources.power_w[0] = 3600
    bench.resources.in_flight[0] = 0
    assert bench.sample(100, 19600, 4600) == [3600]
    bench.resources.power_w[0] = 3600
    assert bench.sample(100, 20600, 4600) == [2600]


def test_a_changed_command_is_in_flight_with_what_the_device_did_before():
    bench = Bench([evse(L1, 7360, 1380), evse(L2, 7360, 1380)])
    bench.command(7000, 2000)
    bench.sample(0, 21000, 8000, 2000)
    assert list(bench.resources.in_flight) == [1, 0]
    assert bench.resources.before_w[0] == 7000
    bench.resources.power_w[0] = 6000
    bench.sample(100, 25000, 8000, 2000)
    assert bench.resources.before_w[0] == 7000, "what was before the first of the changes"
    bench.resources.in_flight[0] = 0
    assert bench.resources.in_flight[0] == 0


def test_previous_is_the_command_that_was_in_force():
    bench = Bench([evse(L1, 7360, 1380)])
    bench.command(7000)
    bench.sample(0, 23000, 8000)
    assert bench.resources.previous_w[0] == 7000
    bench.tick(10)
    assert bench.resources.previous_w[0] == 3600


def test_a_generator_above_its_cap_is_not_counted_twice_by_the_battery():
    bench = Bench([battery(L123, 9000, 9000), pv(L123, 9500)])
    bench.sample(0)
    fill(bench.resources.power_w, (0, -9500))  # it does not obey its cap of 0 W
    commands = bench.sample(100, -11000, -3000, -3000, -3000)
    # 1,000 W too much, and 200 W of margin; not 9,500 W more
    assert commands[0] == 1200


# --- escalation ---


def over(bench, ms, **more):
    return bench.sample(ms, 25000, 5000, 5000, 5000)


def test_an_exceedance_escalates_and_trips_at_90_percent():
    bench = Bench([relay(L2, 3000)])
    bench.sample(0)
    over(bench, 100)
    for _ in range(89):
        over(bench, 100)
    assert bench.cycle.import_clock.stage == PAUSE
    assert bench.cycle.mode == NORMAL, "not yet"
    assert over(bench, 100) == [0]
    assert bench.cycle.mode == TRIPPED


def test_every_axis_starts_the_import_clock_one_watt_over_its_limit():
    for axis, limit_w in ((0, 20000), (1, 9200), (2, 9200), (3, 9200)):
        for over_w in (-5, -1, 0, 1, 5):
            bench = Bench()
            axis_w = [0, 0, 0, 0]
            axis_w[axis] = limit_w + over_w
            bench.sample(0, axis_w[0], axis_w[1], axis_w[2], axis_w[3])
            bench.sample(100, axis_w[0], axis_w[1], axis_w[2], axis_w[3])
            assert bench.cycle.import_clock.stage == (CUT if over_w > 0 else INSIDE)
            assert bench.cycle.export_clock.stage == INSIDE


def test_every_axis_starts_the_export_clock_one_watt_over_its_limit():
    for axis, limit_w in ((0, 10000), (1, 9200), (2, 9200), (3, 9200)):
        for over_w in (-5, -1, 0, 1, 5):
            bench = Bench()
            axis_w = [0, 0, 0, 0]
            axis_w[axis] = -limit_w - over_w
            bench.sample(0, axis_w[0], axis_w[1], axis_w[2], axis_w[3])
            bench.sample(100, axis_w[0], axis_w[1], axis_w[2], axis_w[3])
            assert bench.cycle.export_clock.stage == (CUT if over_w > 0 else INSIDE)
            assert bench.cycle.import_clock.stage == INSIDE


def test_an_export_that_lasts_trips_too():
    bench = Bench()
    for _ in range(92):
        bench.sample(100, -12000, -4000, -4000, -4000)
    assert bench.cycle.mode == TRIPPED
    assert list(bench.resources.command_w) == [0, 0, 0, 0]


def test_the_clock_runs_on_while_the_sample_is_late():
    bench = Bench([evse(L1, 7360, 1380)])
    bench.sample(0)
    for _ in range(85):
        over(bench, 100)
    for _ in range(6):
        bench.tick(100)
    assert bench.cycle.mode == TRIPPED


def test_a_limit_that_drops_starts_the_clock_on_the_sample_at_hand():
    bench = Bench()
    bench.sample(0, 15000)
    bench.emergency_w = 14000
    bench.tick(1)
    assert bench.cycle.import_clock.stage == CUT


def test_without_a_usable_sample_no_clock_runs():
    bench = Bench()
    fill(bench.snapshot.axis_w, (99999, 0, 0, 0))
    for _ in range(200):
        bench.tick(100)
    assert (bench.cycle.mode, bench.cycle.import_clock.stage) == (START, INSIDE)
    over(bench, 0)
    for _ in range(200):
        bench.tick(100)
    assert (bench.cycle.mode, bench.cycle.import_clock.stage) == (FALLBACK, INSIDE)


def test_a_limit_below_firm_pauses_but_does_not_trip():
    bench = Bench([evse(L1, 7360, 1380), relay(L2, 3000)])
    bench.sample(0)
    bench.emergency_w = 1000
    for _ in range(200):
        bench.sample(100, 20000)
    assert bench.cycle.mode == NORMAL
    assert list(bench.resources.command_w) == [0, 0]
    for _ in range(2):
        bench.sample(100, 20001)
    assert bench.cycle.mode == TRIPPED


def test_an_export_limit_below_firm_pauses_but_does_not_trip():
    bench = Bench([])
    bench.sample(0)
    bench.emergency_export_w = 0
    for _ in range(200):
        bench.sample(100, -10000)
    assert bench.cycle.export_clock.stage == TRIP
    assert bench.cycle.mode == NORMAL
    for _ in range(2):
        bench.sample(100, -10001)
    assert bench.cycle.mode == TRIPPED


def test_a_conductor_beyond_its_rating_trips_whatever_the_total():
    for sign in (1, -1):
        bench = Bench([])
        for _ in range(92):
            bench.sample(100, 0, 0, 9201 * sign, 0)
        assert bench.cycle.mode == TRIPPED


def test_every_axis_trips_one_watt_beyond_its_commissioned_limit():
    for direction, limits_w in ((1, (20000, 9200, 9200, 9200)), (-1, (10000, 9200, 9200, 9200))):
        for axis in range(4):
            for over_w in (0, 1):
                bench = Bench()
                axis_w = [0, 0, 0, 0]
                axis_w[axis] = direction * (limits_w[axis] + over_w)
                for _ in range(100):
                    bench.sample(100, axis_w[0], axis_w[1], axis_w[2], axis_w[3])
                assert bench.cycle.mode == (TRIPPED if over_w else NORMAL), (axis, over_w)


def test_a_head_end_cannot_trip_the_site_with_a_limit_below_firm():
    # every other stage is reached: what is flexible is off
    bench = Bench()
    bench.command(7000, 3000, -2500, 0)
    bench.emergency_w = 1000
    for _ in range(300):
        bench.sample(100, 20000, 9200, 9200, 1600)
    assert bench.cycle.import_clock.stage == TRIP
    assert bench.cycle.mode == NORMAL
    assert list(bench.resources.command_w)[0] == 0
    assert list(bench.resources.command_w)[1] <= 0


def test_tripped_is_latched_whatever_happens():
    bench = Bench(protected=(3,))
    for _ in range(92):
        over(bench, 100)
    assert bench.cycle.mode == TRIPPED
    for _ in range(100):
        assert bench.sample(100) == [0, 0, 0, 3000]
    assert bench.tick(5000) == [0, 0, 0, 3000]
    bench.ms += 1 << 29
    assert bench.sample(100) == [0, 0, 0, 3000]
    assert bench.cycle.mode == TRIPPED


# --- faults ---


def test_a_failure_turns_everything_off_and_is_latched():
    bench = Bench(protected=(3,))
    bench.sample(0)
    bench.command(7000, -5000, -8000, 3000)
    bench.cycle.fail()
    assert bench.cycle.mode == SAFE
    assert list(bench.resources.command_w) == [0, 0, 0, 3000]
    for _ in range(50):
        assert bench.sample(100) == [0, 0, 0, 3000]
    assert bench.cycle.mode == SAFE


def test_a_failure_before_the_first_step_is_safe_too():
    bench = Bench()
    bench.cycle.fail()
    assert bench.sample(100) == [0, 0, 0, 0]
    assert bench.cycle.mode == SAFE


# --- a resource that never acknowledges ---


def test_a_resource_that_never_acknowledges_lets_no_load_rise():
    bench = Bench([evse(L1, 7360, 1380), evse(L2, 7360, 1380)])
    bench.command(7000, 2000)
    bench.sample(0, 22500, 8000, 2000)
    assert bench.resources.in_flight[0] == 1
    for _ in range(600):
        fill(bench.resources.power_w, (0, 2000))  # it has even stopped drawing
        assert bench.sample(100, 2000, 0, 2000)[1] == 2000


def test_after_a_minute_without_acknowledgement_there_is_no_credit_any_more():
    # commanded to 6,700 W it still draws 7,000 and a kettle is hidden behind what it was to save
    bench = Bench([evse(L1, 7360, 1380)])
    bench.command(7000)
    assert bench.sample(0, 19900, 8000) == [6700]
    fill(bench.resources.power_w, (7000,))
    for _ in range(600):
        assert bench.sample(100, 20000, 8000) == [6700]
    assert bench.resources.in_flight[0] == 1, "not yet"
    # 20,000 W less the 6,700 W it may draw: 6,300 W are left beside the margin
    assert bench.sample(1, 20000, 8000) == [6300]


def test_after_a_minute_without_acknowledgement_the_others_may_rise_again():
    bench = Bench([evse(L1, 7360, 1380), evse(L2, 7360, 1380)])
    bench.command(7000, 2000)
    bench.sample(0, 22500, 8000, 2000)
    for _ in range(652):
        fill(bench.resources.power_w, (0, 2000))
        bench.sample(100, 2000, 0, 2000)
    assert bench.resources.command_w[1] == 7360


def test_each_change_starts_the_minute_again():
    bench = Bench([evse(L1, 7360, 1380)])
    bench.command(7000)
    assert bench.sample(0, 19900, 8000) == [6700]
    for _ in range(500):
        bench.sample(100, 19900, 8000)
    assert bench.sample(0, 20200, 8000) == [6400]
    for _ in range(600):
        bench.sample(100, 19900, 8000)
    assert bench.resources.in_flight[0] == 1, "not yet"
    bench.tick(1)
    assert bench.resources.in_flight[0] == 0


def test_a_resource_that_never_acknowledges_is_overruled_by_the_stages():
    # its old 7,000 W are still credited: only the clock sees that they are really there
    bench = Bench([evse(L1, 7360, 1380), evse(L2, 7360, 1380)])
    bench.command(7000, 7000)
    bench.emergency_w = 14000
    for _ in range(60):
        fill(bench.resources.power_w, (7000, list(bench.resources.command_w)[1]))
        bench.sample(100, 15000, 8000, 7000)
    assert bench.cycle.import_clock.stage == CUT, "not yet"
    bench.sample(100, 15000, 8000, 7000)
    assert list(bench.resources.command_w)[1] <= 1380
    for _ in range(15):
        bench.sample(100, 15000, 8000, 7000)
    assert list(bench.resources.command_w) == [0, 0]


def test_a_site_without_resources_runs_too():
    bench = Bench([])
    assert bench.sample(0, 25000) == []
    for _ in range(92):
        over(bench, 100)
    assert bench.cycle.mode == TRIPPED

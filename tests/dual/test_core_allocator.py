# SPDX-License-Identifier: MIT
"""core.allocator: equal shares, fair turns, gentle rises, sudden cuts, storage and PV.

The margin is 2 % of a limit, at least 50 W; rises wait 5 s and for what is in flight.
"""

from sites import (
    L1,
    L2,
    L3,
    L123,
    FixedLimits,
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

from firmline.core.allocator import Allocator
from firmline.core.balance import Balance
from firmline.core.pacing import Gate

SELF_CONSUMPTION = 1


class Bench:
    """An allocator whose proposals become commands at once; powers are set by the test.

    `step` runs one propose with a sample that shows `load_w` and what the resources do.
    """

    def __init__(self, rows, protected=(), phases=3, limits=None, delay_ms=5000):
        self.site = make_site(phases)
        self.site.raise_delay_ms = delay_ms
        self.site.rotation_ms = 900000
        self.resources = make_resources(rows, protected)
        for index in range(self.resources.count):
            self.resources.resume_ms[index] = 20000
        self.limits = limits or FixedLimits()
        self.balance = Balance(self.site, self.resources)
        self.allocator = Allocator(self.site, self.resources)
        self.load_w = [0, 0, 0, 0]
        self.ms = 50000  # the ring turns ten seconds later

    def sample(self):
        """What the meter shows: the load and every resource."""
        resources = self.resources
        axis_w = list(self.load_w)
        for index in range(resources.count):
            axis_w[0] += resources.power_w[index]
            for axis in range(1, 4):
                if resources.mask[index] >> (axis - 1) & 1:
                    axis_w[axis] += resources.power_w[index] // resources.wires[index]
        return make_snapshot(*axis_w)

    def step(self, ms=100):
        """Propose after `ms`; what is proposed is in force from then on."""
        self.ms += ms
        snapshot = self.sample()
        self.balance.update(snapshot)
        self.allocator.propose(snapshot, self.limits, self.balance, at(self.ms))
        proposals_w = list(self.resources.proposal_w)
        fill(self.resources.command_w, proposals_w)
        return proposals_w

    def run(self, ms):
        """Steps of 100 ms, the last after `ms`."""
        proposals_w = None
        for _ in range(ms // 100):
            proposals_w = self.step()
        return proposals_w

    def obey(self):
        """Every resource does at once what it is told."""
        fill(self.resources.power_w, list(self.resources.command_w))


def started(rows, **more):
    """A bench after its first rise, all resources obeying."""
    bench = Bench(rows, **more)
    bench.run(5100)
    bench.obey()
    return bench


# --- the gate ---


def test_the_gate_opens_after_the_whole_delay():
    gate = Gate(5000)
    assert not gate.may_rise(True, at(58000))
    assert not gate.may_rise(True, at(62999)), "not yet"
    assert gate.may_rise(True, at(63000))


def test_the_gate_waits_again_after_it_has_opened():
    gate = Gate(5000)
    gate.may_rise(True, at(58000))
    assert gate.may_rise(True, at(63000))
    assert not gate.may_rise(True, at(63001))
    assert not gate.may_rise(True, at(68000)), "not yet"
    assert gate.may_rise(True, at(68001))


def test_the_gate_starts_again_when_there_was_no_room_for_a_moment():
    gate = Gate(5000)
    gate.may_rise(True, at(58000))
    assert not gate.may_rise(False, at(62900))
    assert not gate.is_waiting
    assert not gate.may_rise(True, at(63000))
    assert not gate.may_rise(True, at(67999)), "not yet"
    assert gate.may_rise(True, at(68000))


def test_a_gate_without_a_delay_is_open():
    assert Gate(0).may_rise(True, at(0))
    assert not Gate(0).may_rise(False, at(0))


# --- loads ---


def test_nothing_is_offered_before_the_room_was_there_for_the_delay():
    bench = Bench([evse()])
    assert bench.step() == [0]
    assert bench.run(4900) == [0], "not yet"
    assert bench.step() == [7360]


def test_loads_share_the_room_in_equal_amps():
    # 20,000 W less 400 W of margin, for two: 9,800 W each would be more than they can take
    bench = started([evse(L123, 22080, 4140), evse(L123, 22080, 4140)])
    assert list(bench.resources.command_w) == [9798, 9798]
    # a single-phase load gets the same amps, a third of the watts
    bench = started([evse(L123, 22080, 4140), evse(L1, 7360, 1380)])
    assert list(bench.resources.command_w) == [13524, 4508]


def test_what_one_cannot_take_goes_to_the_others():
    bench = started([evse(L123, 4800, 4140), evse(L123, 22080, 4140)])
    assert list(bench.resources.command_w) == [4800, 14799]


def test_the_share_ends_after_four_rounds():
    # each round fills one more load up: 15 of 19,600 W stay unused
    rows = []
    for k in range(6):
        high_w = (1480, 3324, 3639, 3704, 7360, 7360)[k]
        rows.append(evse(1 << k % 3, high_w, 1380))
    bench = started(rows)
    assert list(bench.resources.command_w) == [1480, 3324, 3639, 3704, 3719, 3719]


def test_the_tightest_conductor_ends_the_share():
    # 9,200 W less 184 W less 5,000 W of load leave 4,016 W on L1
    bench = Bench([evse(L1, 7360, 1380), evse(L2, 7360, 1380)])
    bench.load_w = [5000, 5000, 0, 0]
    bench.run(5100)
    assert list(bench.resources.command_w) == [4016, 7360]


def test_the_margin_is_at_least_50_w():
    bench = Bench([battery()], limits=FixedLimits((1000, 9200, 9200, 9200)))
    bench.load_w = [1000, 0, 0, 0]
    assert bench.step() == [-50]


def test_no_room_for_the_minimum_means_no_offer():
    for load_w, expected_w in ((15460, 4140), (15461, 0)):
        bench = Bench([evse(L123, 22080, 4140)])
        bench.load_w = [load_w, 0, 0, 0]
        bench.run(5100)
        assert list(bench.resources.command_w) == [expected_w], load_w


def test_a_vehicle_that_does_not_want_gets_nothing():
    bench = started([evse(), evse()])
    bench.resources.wants[0] = 0
    assert bench.step()[0] == 0


def test_a_resource_that_is_silent_is_commanded_to_its_fallback():
    bench = started([evse(L123, 7360, 1380, 0), evse(L123, 7360, 1380, 1840)])
    bench.resources.is_online[0] = 0
    bench.resources.is_online[1] = 0
    bench.resources.power_w[0] = bench.resources.power_w[1] = 0
    assert bench.step() == [0, 1840]


def test_a_cut_comes_at_once_and_in_full():
    bench = started([evse(L123, 22080, 4140)])
    assert list(bench.resources.command_w) == [19599]
    bench.load_w = [10000, 0, 0, 0]
    assert bench.step() == [9600]


def test_a_load_that_flickers_inside_half_the_margin_sends_no_new_offer():
    # margin 400 W: up to 200 W beyond it the offers stay
    bench = started([evse(L123, 22080, 4140)])
    bench.load_w = [201, 0, 0, 0]
    assert bench.step() == [19599]
    bench.load_w = [202, 0, 0, 0]
    assert bench.step() == [19398]


def test_a_rise_of_less_than_200_w_is_not_worth_it():
    bench = Bench([evse(L123, 22080, 4140)])
    bench.load_w = [1200, 0, 0, 0]
    bench.run(5100)
    bench.obey()
    assert list(bench.resources.command_w) == [18399]
    bench.load_w = [1001, 0, 0, 0]
    assert bench.run(10000) == [18399]
    bench.load_w = [1000, 0, 0, 0]
    assert bench.run(10000) == [18600]


def test_a_rise_takes_the_least_room_seen_during_the_delay():
    bench = Bench([evse(L123, 22080, 4140)])
    bench.run(2000)
    bench.load_w = [6000, 0, 0, 0]
    bench.run(1000)
    bench.load_w = [0, 0, 0, 0]
    assert bench.run(2100) == [13599]


def test_nothing_rises_while_a_load_is_in_flight():
    bench = started([evse(L1, 7360, 1380), evse(L2, 7360, 1380)])
    bench.load_w = [10000, 0, 0, 0]
    bench.step()
    bench.obey()
    bench.load_w = [0, 0, 0, 0]
    bench.resources.in_flight[0] = 1
    before = list(bench.resources.command_w)
    assert bench.run(20000) == before
    bench.resources.in_flight[0] = 0
    assert bench.run(5100)[0] > before[0]


def test_a_new_vehicle_makes_those_in_service_give_way_first():
    bench = Bench([evse(L123, 22080, 4140), evse(L123, 22080, 4140)])
    bench.resources.wants[1] = 0
    bench.run(5100)
    bench.obey()
    assert list(bench.resources.command_w) == [19599, 0]
    bench.resources.wants[1] = 1
    assert bench.step() == [9798, 0], "room first"
    bench.obey()
    assert bench.run(5000) == [9798, 0], "not yet"
    assert bench.step() == [9798, 9798]


def test_nobody_gives_way_to_a_newcomer_while_a_load_is_in_flight():
    # the rise is on its way but not in the sample: room is seen that is already given away
    bench = Bench([evse(L1, 7360, 1380), evse(L2, 9000, 4000)])
    bench.resources.wants[1] = 0
    bench.load_w = [13000, 0, 0, 0]
    bench.run(5100)
    assert list(bench.resources.command_w) == [6600, 0]
    bench.resources.in_flight[0] = 1
    bench.resources.wants[1] = 1
    assert bench.run(2000) == [6600, 0]
    bench.obey()
    bench.resources.in_flight[0] = 0
    assert bench.step()[0] < 6600


def test_a_paused_load_rests_before_it_resumes():
    bench = started([evse(L123, 7360, 4140)], delay_ms=0)
    bench.load_w = [18000, 0, 0, 0]
    assert bench.step() == [0]
    bench.obey()
    bench.load_w = [0, 0, 0, 0]
    assert bench.run(19900) == [0], "not yet"
    assert bench.step() == [7360]


def test_the_rest_is_over_once_and_for_all():
    # off for longer than the tick ring: the age of the cut looks young again
    bench = started([evse(L123, 7360, 4140)], delay_ms=0)
    bench.load_w = [18000, 0, 0, 0]
    bench.step()
    bench.obey()
    bench.load_w = [12600, 0, 0, 0]
    bench.resources.wants[0] = 1
    bench.load_w = [18000, 0, 0, 0]
    bench.step(20000)
    bench.load_w = [0, 0, 0, 0]
    bench.ms += (1 << 30) - 20000 - 100
    assert bench.step() == [7360]


def test_the_first_in_the_queue_is_admitted_first():
    # room for one minimum only
    bench = Bench([evse(L1, 7360, 4140), evse(L2, 7360, 4140)])
    bench.load_w = [15000, 0, 0, 0]
    bench.run(5100)
    assert list(bench.resources.command_w) == [4600, 0]


def test_a_load_too_large_for_the_room_lets_a_smaller_one_pass():
    bench = Bench([relay(L1, 9000), evse(L2, 7360, 1380)])
    bench.load_w = [15000, 0, 0, 0]
    bench.run(5100)
    assert list(bench.resources.command_w) == [0, 4600]


def test_turns_change_after_the_rotation_time():
    bench = Bench([evse(L1, 4140, 4140), evse(L2, 4140, 4140)], delay_ms=0)
    bench.site.rotation_ms = 60000
    bench.resources.resume_ms[0] = bench.resources.resume_ms[1] = 0
    bench.load_w = [15000, 0, 0, 0]
    bench.step()
    bench.obey()
    assert list(bench.resources.command_w) == [4140, 0]
    waiting_since = bench.ms
    served = []
    for _ in range(1300):
        bench.step()
        bench.obey()
        now = list(bench.resources.command_w)
        assert now in ([4140, 0], [0, 4140], [0, 0])
        if not served or served[-1][1] != now:
            served.append((bench.ms - waiting_since, now))
    turns = [turn for turn in served if turn[1] != [0, 0]]
    assert [turn[1] for turn in turns] == [[4140, 0], [0, 4140], [4140, 0]]
    assert 60000 <= turns[1][0] <= 60400
    assert 120000 <= turns[2][0] <= 120800


def test_nobody_is_turned_out_while_nobody_waits():
    bench = started([evse(L1, 4140, 4140), evse(L2, 4140, 4140)])
    bench.site.rotation_ms = 60000
    for _ in range(1300):
        assert bench.step() == [4140, 4140]


def test_relays_take_no_turns():
    bench = Bench([relay(L1, 4140), evse(L2, 4140, 4140)], delay_ms=0)
    bench.site.rotation_ms = 60000
    bench.load_w = [15000, 0, 0, 0]
    for _ in range(1300):
        assert bench.step() == [4140, 0]
        bench.obey()


def test_a_protected_load_is_always_granted():
    bench = Bench([evse(L1, 7360, 1380), relay(L2, 3000)], protected=(1,))
    bench.load_w = [30000, 0, 0, 0]
    bench.run(10000)
    assert list(bench.resources.grant_w) == [0, 3000]


def test_pv_makes_room_as_far_as_it_supplies():
    bench = Bench([evse(L123, 22080, 4140), pv(L123, 9000)])
    bench.resources.command_w[1] = -9000
    bench.resources.power_w[1] = -6000
    bench.load_w = [15000, 0, 0, 0]
    bench.run(5100)
    assert bench.resources.command_w[0] == 10599


def test_a_battery_makes_no_room_for_vehicles():
    bench = Bench([evse(L123, 22080, 4140), battery(L123, 5000, 5000)])
    bench.resources.policy[1] = SELF_CONSUMPTION
    bench.resources.command_w[1] = -5000
    bench.resources.power_w[1] = -5000
    bench.load_w = [15000, 0, 0, 0]
    bench.run(5100)
    assert bench.resources.command_w[0] == 4599


def test_a_load_without_a_rating_is_left_alone():
    bench = Bench([relay(L1, 0), evse(L2, 7360, 1380)])
    assert bench.run(5100) == [0, 7360]


# --- storage ---


def test_a_battery_rests_while_the_limits_are_kept():
    bench = Bench([battery()])
    bench.load_w = [19600, 0, 0, 0]
    assert bench.step() == [0]
    bench.load_w = [-9800, 0, 0, 0]
    assert bench.step() == [0]


def test_a_battery_helps_as_much_as_is_needed_and_not_more():
    bench = Bench([battery()])
    bench.load_w = [22000, 0, 0, 0]
    assert bench.step() == [-2400]
    bench.load_w = [30000, 0, 0, 0]
    assert bench.step() == [-5000]
    bench.load_w = [-12000, 0, 0, 0]
    assert bench.step() == [2200]
    bench.load_w = [-30000, 0, 0, 0]
    assert bench.step() == [5000]


def test_a_battery_helps_its_conductor():
    # 9,200 W less 184 W: 484 W too much on L2, three times that on three wires
    bench = Bench([battery(L123)])
    bench.load_w = [9500, 0, 9500, 0]
    assert bench.step() == [-1452]
    bench = Bench([battery(L2)])
    bench.load_w = [9500, 0, 9500, 0]
    assert bench.step() == [-484]
    bench = Bench([battery(L3)])
    bench.load_w = [9500, 0, 9500, 0]
    assert bench.step() == [0]


def test_self_consumption_brings_the_exchange_to_nothing():
    bench = Bench([battery()])
    bench.resources.policy[0] = SELF_CONSUMPTION
    bench.load_w = [3000, 0, 0, 0]
    assert bench.step() == [-3000]
    bench.obey()
    assert bench.step() == [-3000]
    bench.load_w = [-2000, 0, 0, 0]
    assert bench.step() == [2000]
    bench.load_w = [9000, 0, 0, 0]
    assert bench.step() == [-5000]


def test_self_consumption_leaves_small_differences_alone():
    # a sixty-fourth of 5,000 W: 78 W
    bench = Bench([battery()])
    bench.resources.policy[0] = SELF_CONSUMPTION
    bench.load_w = [3000, 0, 0, 0]
    bench.step()
    bench.obey()
    bench.load_w = [3077, 0, 0, 0]
    assert bench.step() == [-3000]
    bench.load_w = [3078, 0, 0, 0]
    assert bench.step() == [-3078]


def test_a_battery_at_its_reserve_supplies_for_a_limit_only():
    bench = Bench([battery()])
    bench.resources.policy[0] = SELF_CONSUMPTION
    bench.resources.is_low[0] = 1
    bench.load_w = [3000, 0, 0, 0]
    assert bench.step() == [0]
    bench.load_w = [-3000, 0, 0, 0]
    assert bench.step() == [3000]
    bench.obey()
    bench.load_w = [22000, 0, 0, 0]
    assert bench.step() == [-2400]


def test_two_batteries_share_one_exchange():
    bench = Bench([battery(), battery()])
    fill(bench.resources.policy, (SELF_CONSUMPTION, SELF_CONSUMPTION))
    bench.load_w = [3000, 0, 0, 0]
    assert bench.step() == [-3000, 0]
    assert bench.step() == [-3000, -3000], "the first was given up: it shows nothing"
    bench = Bench([battery(), battery()])
    fill(bench.resources.policy, (SELF_CONSUMPTION, SELF_CONSUMPTION))
    bench.load_w = [8000, 0, 0, 0]
    assert bench.step() == [-5000, -3000]
    bench.obey()
    for _ in range(5):
        assert bench.step() == [-5000, -3000]


def test_a_battery_in_flight_counts_as_if_it_had_obeyed():
    bench = Bench([battery(), battery()])
    fill(bench.resources.policy, (SELF_CONSUMPTION, SELF_CONSUMPTION))
    fill(bench.resources.command_w, (0, -3000))
    bench.resources.in_flight[1] = 1
    bench.load_w = [3000, 0, 0, 0]
    assert bench.step() == [0, -3000]


def test_a_battery_at_nothing_stays_at_exactly_nothing():
    bench = Bench([battery()])
    bench.resources.policy[0] = SELF_CONSUMPTION
    bench.load_w = [1000, 0, 0, 0]
    bench.step()
    bench.obey()
    bench.load_w = [0, 0, 0, 0]
    assert bench.step() == [0]


def test_a_battery_in_flight_keeps_its_command_unless_a_limit_calls():
    bench = Bench([battery()])
    bench.resources.policy[0] = SELF_CONSUMPTION
    bench.resources.command_w[0] = -1000
    bench.resources.before_w[0] = 0
    bench.resources.in_flight[0] = 1
    bench.load_w = [4000, 0, 0, 0]
    assert bench.step() == [-1000]
    bench.load_w = [23000, 0, 0, 0]
    assert bench.step() == [-3400]


def test_a_silent_battery_is_commanded_to_rest():
    bench = Bench([battery()])
    bench.resources.is_online[0] = 0
    bench.load_w = [30000, 0, 0, 0]
    assert bench.step() == [0]


def test_a_battery_carries_what_a_cut_vehicle_still_draws():
    bench = started([evse(L123, 22080, 4140), battery(L123, 20000, 20000)])
    bench.load_w = [10000, 0, 0, 0]
    assert bench.step() == [9600, -9999]


def test_import_wins_where_a_battery_cannot_serve_both():
    bench = Bench(
        [battery(L123)], limits=FixedLimits((0, 9200, 9200, 9200), (0, -9200, -9200, -9200))
    )
    bench.load_w = [0, 0, 0, 0]
    assert bench.step() == [-50]


def test_two_batteries_do_not_give_up_together_what_both_gave():
    for load_w, help_w in ((22000, -2400), (-12000, 2200)):
        bench = Bench([battery(L123), battery(L123)])
        bench.load_w = [load_w, 0, 0, 0]
        assert bench.step() == [help_w, help_w], "neither is seen to help yet"
        bench.obey()
        for _ in range(5):
            assert bench.step() == [0, help_w], "one stays, and goes on staying"
            bench.obey()


# --- generation ---


def pv_bench(**more):
    bench = Bench([pv(L123, 8000)], **more)
    bench.resources.command_w[0] = -8000
    bench.resources.power_w[0] = -8000
    return bench


def test_pv_is_cut_at_once_to_what_fits():
    # 10,000 W less 200 W: all of it fits beside 1,800 W of other export
    bench = pv_bench()
    bench.load_w = [-1800, 0, 0, 0]
    assert bench.step() == [-8000]
    bench.load_w = [-3801, 0, 0, 0]
    assert bench.step() == [-5992]


def test_pv_is_off_when_others_export_too_much():
    bench = pv_bench()
    bench.load_w = [-9801, 0, 0, 0]
    assert bench.step() == [0]


def test_a_cut_of_less_than_a_hundredth_is_left_out():
    bench = pv_bench()
    bench.load_w = [-1880, 0, 0, 0]
    assert bench.step() == [-8000]
    bench.load_w = [-1890, 0, 0, 0]
    assert bench.step() == [-7904]


def test_a_cut_is_not_left_out_when_nothing_may_be_exported():
    bench = pv_bench()
    bench.resources.command_w[0] = -40
    bench.resources.power_w[0] = -40
    bench.load_w = [-9801, 0, 0, 0]
    assert bench.step() == [0]


def test_pv_rises_to_the_least_room_of_the_delay():
    bench = pv_bench()
    bench.load_w = [-9801, 0, 0, 0]
    bench.step()
    bench.obey()
    bench.load_w = [0, 0, 0, 0]
    bench.run(2000)
    bench.load_w = [-5800, 0, 0, 0]
    bench.run(1000)
    bench.load_w = [0, 0, 0, 0]
    assert bench.run(2000) == [0], "not yet"
    assert bench.step() == [-4000]
    bench.obey()
    assert bench.run(5100) == [-8000]


def test_pv_does_not_rise_in_flight():
    bench = pv_bench()
    bench.resources.command_w[0] = -4000
    bench.resources.power_w[0] = -4000
    bench.resources.in_flight[0] = 1
    assert bench.run(20000) == [-4000]
    bench.resources.in_flight[0] = 0
    assert bench.run(5100) == [-8000]


def test_pv_is_set_free_fully_though_it_is_less_than_a_hundredth():
    bench = pv_bench()
    bench.resources.command_w[0] = -7950
    bench.resources.power_w[0] = -7950
    assert bench.run(5100) == [-8000]


def test_a_rise_of_less_than_a_hundredth_waits():
    bench = pv_bench()
    bench.resources.command_w[0] = -7880
    bench.resources.power_w[0] = -7880
    bench.load_w = [-1850, 0, 0, 0]
    assert bench.run(20000) == [-7880]


def test_two_inverters_get_the_same_share_of_their_rating():
    bench = Bench([pv(L123, 8000), pv(L1, 4000)])
    fill(bench.resources.command_w, (-8000, -4000))
    bench.obey()
    bench.load_w = [-3800, 0, 0, 0]
    assert bench.step() == [-4000, -2000]


def test_what_vehicles_draw_may_be_generated_too():
    bench = Bench([pv(L123, 20000), evse(L123, 7360, 4140)])
    fill(bench.resources.command_w, (-20000, 7000))
    fill(bench.resources.power_w, (-20000, 7000))
    assert bench.step() == [-16800, 7000]
    fill(bench.resources.power_w, (-16800, 1000))
    assert bench.step()[0] == -10800


def test_a_very_large_plant_stays_inside_30_bits_and_inside_the_limit():
    # 1,000 times a rating from 1,073,742 W on passes 2**30
    for rated_w, load_w in ((1073742, -9000), (8000001, 500000), (10000000, -5000)):
        bench = Bench([pv(L1, rated_w)])
        bench.limits = FixedLimits((20000, 9200, 9200, 9200), (-10000, -9200, -9200, -9200))
        bench.resources.command_w[0] = bench.resources.power_w[0] = -rated_w
        bench.load_w = [load_w, 0, 0, 0]
        cap_w = -bench.step()[0]
        allowed_w = 9800 + load_w
        assert cap_w <= max(allowed_w, 0)
        assert cap_w >= allowed_w - rated_w // 900 - 1


def test_all_of_a_very_large_plant_is_all_of_it():
    bench = Bench([pv(L1, 9999999)], delay_ms=0)
    bench.load_w = [20000000, 0, 0, 0]
    assert bench.step() == [-9999999]


def test_a_site_with_nothing_flexible_proposes_nothing():
    assert Bench([]).step() == []

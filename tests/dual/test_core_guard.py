# SPDX-License-Identifier: MIT
"""core.guard: the safety case. Whatever is proposed, what comes out keeps G1..G5.

Default-deny over every mode, sweeps within 5 W of each limit, and the sum property over random
sites, written here from the requirement and not from the code.
"""

from sites import (
    BATTERY,
    EVSE,
    FALLBACK,
    HOLD,
    L1,
    L2,
    L3,
    L12,
    L123,
    NORMAL,
    PV,
    RELAY,
    SAFE,
    START,
    TRIPPED,
    FixedBalance,
    FixedLimits,
    Lcg,
    battery,
    evse,
    fill,
    make_resources,
    make_site,
    pv,
    relay,
)

from firmline.core.guard import Guard

INSIDE, CUT, TO_MINIMUM, PAUSE, TRIP = range(5)

RANGE = 1
BUDGET_IMPORT = 2
BUDGET_EXPORT = 4
HELD = 8
FELL_BACK = 16
STAGE = 32
OFF = 64

ONE_OF_EACH = (
    evse(L1, 7360, 1380, 1840),
    battery(L2, 5000, 4000, 1000),
    pv(L3, 8000, 2500),
    relay(L123, 3000, 3000),
)
INVALID_MODES = (-3, -2, -1, 6, 7, 8, 255, 256, 536870911)


class Bench:
    """A guard with its resources; `dispose` returns the commands as a list."""

    def __init__(self, rows, protected=(), phases=3, site=None):
        self.resources = make_resources(rows, protected)
        self.guard = Guard(site or make_site(phases), self.resources)
        self.limits = FixedLimits()
        self.balance = FixedBalance()
        self.mode = NORMAL
        self.stages = (INSIDE, INSIDE)

    def before(self, *commands_w):
        fill(self.resources.command_w, commands_w)

    def powers(self, *powers_w):
        fill(self.resources.power_w, powers_w)

    def propose(self, *proposals_w):
        fill(self.resources.proposal_w, proposals_w)
        self.guard.dispose(self.mode, self.limits, self.balance, self.stages[0], self.stages[1])
        return list(self.resources.command_w)


# --- G1: range ---


def test_a_new_guard_has_enforced_nothing():
    assert Bench(ONE_OF_EACH).guard.reasons == 0


def test_a_proposal_inside_everything_passes_unchanged():
    bench = Bench(ONE_OF_EACH)
    for proposals_w in ((0, 0, 0, 0), (1380, 5000, -8000, 3000), (7360, -4000, -1, 0)):
        assert bench.propose(*proposals_w) == list(proposals_w)
        assert bench.guard.reasons == 0


def test_a_load_takes_nothing_or_its_minimum_to_its_maximum():
    bench = Bench([evse(L1, 7360, 1380)])
    for proposal_w in range(-5, 6):
        assert bench.propose(proposal_w) == [0]
        assert bench.guard.reasons == (0 if proposal_w == 0 else RANGE)
    for proposal_w in range(1375, 1386):
        assert bench.propose(proposal_w) == [proposal_w if proposal_w >= 1380 else 0]
        assert bench.guard.reasons == (0 if proposal_w >= 1380 else RANGE)
    for proposal_w in range(7355, 7366):
        assert bench.propose(proposal_w) == [proposal_w if proposal_w <= 7360 else 0]
        assert bench.guard.reasons == (0 if proposal_w <= 7360 else RANGE)


def test_a_battery_takes_what_is_between_its_two_ratings():
    bench = Bench([battery(L2, 5000, 4000)])
    for proposal_w in list(range(-4005, -3994)) + list(range(-5, 6)) + list(range(4995, 5006)):
        is_good = -4000 <= proposal_w <= 5000
        assert bench.propose(proposal_w) == [proposal_w if is_good else 0]
        assert bench.guard.reasons == (0 if is_good else RANGE)


def test_a_generator_takes_a_cap_between_its_rating_and_nothing():
    bench = Bench([pv(L3, 8000)])
    for proposal_w in list(range(-8005, -7994)) + list(range(-5, 6)):
        is_good = -8000 <= proposal_w <= 0
        assert bench.propose(proposal_w) == [proposal_w if is_good else 0]
        assert bench.guard.reasons == (0 if is_good else RANGE)


def test_a_relay_is_off_or_at_its_load():
    bench = Bench([relay(L1, 3000)])
    for proposal_w in (-3000, -1, 1, 2995, 2999, 3001, 3005, 536870911):
        assert bench.propose(proposal_w) == [0]
        assert bench.guard.reasons == RANGE
    for proposal_w in (0, 3000):
        assert bench.propose(proposal_w) == [proposal_w]
        assert bench.guard.reasons == 0


def test_absurd_proposals_become_nothing():
    bench = Bench(ONE_OF_EACH)
    for power_w in (536870911, -536870911):
        assert bench.propose(power_w, power_w, power_w, power_w) == [0, 0, 0, 0]


# --- G5 and default-deny ---


def test_no_mode_but_the_known_four_lets_anything_through():
    for mode in (TRIPPED, SAFE) + INVALID_MODES:
        for stage in range(5):
            bench = Bench(ONE_OF_EACH)
            bench.mode = mode
            bench.stages = (stage, stage)
            bench.before(7360, 5000, -8000, 3000)
            assert bench.propose(7360, 5000, -8000, 3000) == [0, 0, 0, 0], mode
            assert bench.guard.reasons == OFF


def test_a_tripped_or_faulty_controller_keeps_only_protected_relays():
    rows = (evse(L1), battery(L2), pv(L3), relay(L123, 3000), relay(L1, 2000))
    for mode in (TRIPPED, SAFE) + INVALID_MODES:
        bench = Bench(rows, protected=(0, 1, 2, 4))
        bench.mode = mode
        assert bench.propose(7360, 5000, -8000, 3000, 0) == [0, 0, 0, 0, 2000]


def test_modes_without_a_sample_ignore_what_is_proposed():
    for mode in (START, FALLBACK):
        for proposals_w in ((0, 0, 0, 0), (7360, 5000, -8000, 3000), (-9, -9, 9, 9)):
            bench = Bench(ONE_OF_EACH)
            bench.mode = mode
            bench.before(*proposals_w)
            assert bench.propose(*proposals_w) == [1840, 1000, -2500, 3000]
            assert bench.guard.reasons == FELL_BACK


def test_a_command_depends_on_no_earlier_proposal():
    # after any history the same inputs give the same commands in NORMAL
    bench = Bench(ONE_OF_EACH)
    for mode in (FALLBACK, TRIPPED, HOLD, SAFE, START, 9):
        bench.mode = mode
        bench.propose(7360, -4000, -8000, 3000)
        bench.mode = NORMAL
        assert bench.propose(1380, 100, -200, 3000) == [1380, 100, -200, 3000]


# --- G2: late sample ---


def test_hold_lets_no_load_and_no_generator_loosen():
    for kind in (evse(L1, 7360, 1380), pv(L1, 7360)):
        sign = -1 if kind[0] == PV else 1
        for before_w in (0, 1380, 3000, 7360):
            for wanted_w in (0, 1380, 2995, 2999, 3000, 3001, 3005, 7360):
                bench = Bench([kind])
                bench.mode = HOLD
                bench.before(sign * before_w)
                expected_w = min(before_w, wanted_w)
                assert bench.propose(sign * wanted_w) == [sign * expected_w]
                assert bench.guard.reasons == (HELD if wanted_w > before_w else 0)


def test_hold_leaves_a_battery_as_it_was():
    for before_w in (-4000, -1, 0, 1, 2000, 5000):
        for wanted_w in (-4000, -5, 0, 5, 2000, 5000):
            bench = Bench([battery(L1, 5000, 4000)])
            bench.mode = HOLD
            bench.before(before_w)
            assert bench.propose(wanted_w) == [before_w]
            assert bench.guard.reasons == (HELD if wanted_w != before_w else 0)


def test_hold_takes_an_invalid_proposal_for_nothing():
    bench = Bench([evse(L1, 7360, 1380)])
    bench.mode = HOLD
    bench.before(5000)
    assert bench.propose(7361) == [0]
    assert bench.propose(1379) == [0]


def test_a_limit_that_drops_during_hold_still_cuts():
    bench = Bench([evse(L1, 7360, 1380), battery(L1, 5000, 5000)])
    bench.mode = HOLD
    bench.before(7000, 2000)
    bench.limits = FixedLimits(high_w=(8000, 9200, 9200, 9200))
    assert bench.propose(7000, 2000) == [7000, 1000]
    assert bench.guard.reasons == BUDGET_IMPORT
    bench.before(7000, 2000)
    bench.limits = FixedLimits(high_w=(1000, 9200, 9200, 9200))
    assert bench.propose(7000, 2000) == [0, 1000]


# --- G2: no sample ---


def test_fallback_gives_each_resource_its_commissioned_value():
    for mode in (START, FALLBACK):
        bench = Bench(ONE_OF_EACH)
        bench.mode = mode
        assert bench.propose(0, 0, 0, 0) == [1840, 1000, -2500, 3000]


def test_fallback_loads_are_off_one_watt_below_the_firm_import_limit():
    for limit_w in range(19995, 20006):
        bench = Bench(ONE_OF_EACH)
        bench.mode = FALLBACK
        bench.limits = FixedLimits(high_w=(limit_w, 9200, 9200, 9200))
        expected = [1840, 1000, -2500, 3000] if limit_w >= 20000 else [0, 0, -2500, 0]
        assert bench.propose(7360, 0, 0, 0) == expected, limit_w


def test_fallback_sources_are_off_one_watt_below_the_firm_export_limit():
    for limit_w in range(9995, 10006):
        bench = Bench(
            (pv(L1, 8000, 2500), battery(L2, 5000, 5000, -700), evse(L1, 7360, 1380, 1840))
        )
        bench.mode = FALLBACK
        bench.limits = FixedLimits(low_w=(-limit_w, -9200, -9200, -9200))
        expected = [-2500, -700, 1840] if limit_w >= 10000 else [0, 0, 1840]
        assert bench.propose(0, 0, 0) == expected, limit_w


def test_fallback_below_firm_leaves_not_one_watt():
    bench = Bench((battery(L1, 5000, 5000, 1), battery(L1, 5000, 5000, -1)))
    bench.mode = FALLBACK
    assert bench.propose(0, 0) == [1, -1]
    bench.limits = FixedLimits(high_w=(19999, 9200, 9200, 9200))
    assert bench.propose(0, 0) == [0, -1]
    bench.limits = FixedLimits(low_w=(-9999, -9200, -9200, -9200))
    assert bench.propose(0, 0) == [1, 0]


def test_fallback_ignores_measured_powers_and_stages():
    bench = Bench(ONE_OF_EACH)
    bench.mode = FALLBACK
    bench.stages = (TRIP, TRIP)
    bench.balance = FixedBalance((99999, 99999, 99999, 99999))
    bench.powers(9000, 9000, -9000, 9000)
    assert bench.propose(0, 0, 0, 0) == [1840, 1000, -2500, 3000]
    assert bench.guard.reasons == FELL_BACK


# --- G3: import ---


def test_the_total_import_limit_is_kept_to_the_watt():
    for uncontrolled_w in range(12635, 12646):
        bench = Bench([evse(L123, 7360, 4140)])
        bench.balance = FixedBalance((uncontrolled_w, 0, 0, 0))
        expected_w = min(7360, 20000 - uncontrolled_w)
        assert bench.propose(7360) == [expected_w]
        assert bench.guard.reasons == (BUDGET_IMPORT if uncontrolled_w > 12640 else 0)


def test_each_conductor_limit_is_kept_to_the_watt():
    for conductor in (1, 2, 3):
        for uncontrolled_w in range(1835, 1846):
            bench = Bench([evse(1 << (conductor - 1), 7360, 1380)])
            bench.balance.import_w[conductor] = uncontrolled_w
            expected_w = min(7360, 9200 - uncontrolled_w)
            assert bench.propose(7360) == [expected_w]
            assert bench.guard.reasons == (BUDGET_IMPORT if uncontrolled_w > 1840 else 0)


def test_the_tightest_conductor_of_a_three_phase_load_counts():
    for conductor in (1, 2, 3):
        for uncontrolled_w in range(6744, 6755):
            bench = Bench([evse(L123, 7360, 4140)])
            bench.balance.import_w[conductor] = uncontrolled_w
            # a third of 7,360 W is rounded up to 2,454 W: 9,200 - 2,454 = 6,746
            expected_w = 7360 if uncontrolled_w <= 6746 else 3 * (9200 - uncontrolled_w)
            assert bench.propose(7360) == [expected_w]


def test_a_conductor_that_a_load_does_not_use_does_not_limit_it():
    bench = Bench([evse(L1, 7360, 1380)])
    bench.balance = FixedBalance((0, 0, 99999, 99999))
    assert bench.propose(7360) == [7360]


def test_below_its_minimum_a_load_is_off():
    for room_w in range(1375, 1386):
        bench = Bench([evse(L1, 7360, 1380)])
        bench.balance = FixedBalance((20000 - room_w, 0, 0, 0))
        assert bench.propose(7360) == [room_w if room_w >= 1380 else 0]


def test_a_charging_battery_takes_any_rest_down_to_nothing():
    for room_w in range(-5, 6):
        bench = Bench([battery(L1, 5000, 5000)])
        bench.balance = FixedBalance((20000 - room_w, 0, 0, 0))
        assert bench.propose(5000) == [max(room_w, 0)]


def test_a_relay_that_does_not_fit_is_off():
    for room_w in range(2995, 3006):
        bench = Bench([relay(L1, 3000)])
        bench.balance = FixedBalance((20000 - room_w, 0, 0, 0))
        assert bench.propose(3000) == [3000 if room_w >= 3000 else 0]


def test_the_last_resource_is_cut_first():
    bench = Bench([evse(L1, 7360, 1380), evse(L2, 7360, 1380), evse(L3, 7360, 1380)])
    assert bench.propose(7000, 7000, 7000) == [7000, 7000, 6000]
    bench.balance = FixedBalance((5000, 0, 0, 0))
    assert bench.propose(7000, 7000, 7000) == [7000, 7000, 0]


def test_a_smaller_load_may_use_what_a_larger_one_left():
    bench = Bench([evse(L1, 7360, 1380), relay(L2, 3000), evse(L3, 7360, 1380)])
    bench.balance = FixedBalance((11000, 0, 0, 0))
    assert bench.propose(7000, 3000, 1500) == [7000, 0, 1500]


def test_uncontrolled_power_alone_beyond_the_limit_leaves_nothing():
    for over_w in (0, 1, 5, 100000):
        bench = Bench([evse(L1, 7360, 1380), battery(L2), relay(L3, 3000)])
        bench.balance = FixedBalance((20000 + over_w, 0, 0, 0))
        assert bench.propose(7360, 5000, 3000) == [0, 0, 0]
        assert bench.guard.reasons == BUDGET_IMPORT


def test_where_nothing_is_asked_for_nothing_is_reported_as_cut():
    bench = Bench(ONE_OF_EACH)
    bench.balance = FixedBalance((99999, 0, 0, 0), (-99999, 0, 0, 0))
    assert bench.propose(0, 0, 0, 0) == [0, 0, 0, 0]
    assert bench.guard.reasons == 0


def test_uncontrolled_export_makes_room_for_loads_only_as_far_as_it_goes():
    bench = Bench([evse(L1, 7360, 1380), evse(L2, 7360, 1380), evse(L3, 7360, 1380)])
    bench.balance = FixedBalance((-1000, 0, 0, 0))
    assert bench.propose(7360, 7360, 7360) == [7360, 7360, 6280]


def test_a_source_counts_for_loads_only_as_far_as_it_supplies_now():
    for power_w, expected_w in (
        (0, 1000),
        (-500, 1500),
        (-3000, 4000),
        (-5000, 4000),
        (700, 1000),
    ):
        bench = Bench([evse(L1, 7360, 500), battery(L2, 5000, 5000)])
        bench.balance = FixedBalance((19000, 0, 0, 0))
        bench.powers(0, power_w)
        # never more than it is commanded to supply from now on: 3,000 W
        assert bench.propose(7360, -3000) == [expected_w, -3000], power_w


# --- G3: export ---


def test_the_total_export_limit_is_kept_to_the_watt():
    for uncontrolled_w in range(-2005, -1994):
        bench = Bench([pv(L123, 8000)])
        bench.balance = FixedBalance((uncontrolled_w, 0, 0, 0))
        expected_w = max(-8000, -10000 - uncontrolled_w)
        assert bench.propose(-8000) == [expected_w]
        assert bench.guard.reasons == (BUDGET_EXPORT if uncontrolled_w < -2000 else 0)


def test_each_conductor_limit_is_kept_in_export_too():
    for conductor in (1, 2, 3):
        for uncontrolled_w in range(-1205, -1194):
            bench = Bench([pv(1 << (conductor - 1), 8000)])
            bench.balance.export_w[conductor] = uncontrolled_w
            expected_w = max(-8000, -9200 - uncontrolled_w)
            assert bench.propose(-8000) == [expected_w]


def test_an_export_limit_of_zero_lets_only_what_is_consumed_be_supplied():
    for uncontrolled_w in range(-5, 6):
        bench = Bench([pv(L1, 8000)])
        bench.limits = FixedLimits(low_w=(0, -9200, -9200, -9200))
        bench.balance = FixedBalance((uncontrolled_w, 0, 0, 0))
        assert bench.propose(-8000) == [-max(uncontrolled_w, 0)]


def test_a_discharging_battery_and_pv_share_the_export_limit():
    bench = Bench([pv(L1, 8000), battery(L2, 5000, 5000)])
    assert bench.propose(-8000, -5000) == [-8000, -2000]
    assert bench.guard.reasons == BUDGET_EXPORT


def test_a_load_counts_for_export_only_as_far_as_it_draws_now():
    for power_w, expected_w in ((0, 1000), (500, 1500), (3000, 4000), (5000, 4000), (-700, 1000)):
        bench = Bench([pv(L1, 8000), evse(L2, 7360, 500)])
        bench.balance = FixedBalance((-9000, 0, 0, 0))
        bench.powers(0, power_w)
        assert bench.propose(-8000, 3000) == [-expected_w, 3000], power_w


def test_import_and_export_are_judged_on_their_own_balance():
    bench = Bench([evse(L1, 7360, 500), pv(L2, 8000)])
    bench.balance = FixedBalance((19000, 0, 0, 0), (-9500, 0, 0, 0))
    assert bench.propose(7360, -8000) == [1000, -500]
    assert bench.guard.reasons == BUDGET_IMPORT | BUDGET_EXPORT


# --- split-phase and single-phase ---


def test_a_240_v_load_is_limited_by_either_leg():
    site = make_site(2, 20000, 10000, 9600, 1200)
    for leg in (1, 2):
        for uncontrolled_w in range(5755, 5766):
            bench = Bench([evse(L12, 7680, 1440)], site=site)
            bench.limits = FixedLimits((20000, 9600, 9600, 0), (-10000, -9600, -9600, 0))
            bench.balance.import_w[leg] = uncontrolled_w
            expected_w = 7680 if uncontrolled_w <= 5760 else 2 * (9600 - uncontrolled_w)
            assert bench.propose(7680) == [expected_w]


def test_a_120_v_load_is_limited_by_its_own_leg_only():
    site = make_site(2, 20000, 10000, 9600, 1200)
    bench = Bench([evse(L1, 1920, 720), evse(L2, 1920, 720)], site=site)
    bench.limits = FixedLimits((20000, 9600, 9600, 0), (-10000, -9600, -9600, 0))
    bench.balance = FixedBalance((0, 8700, 0, 0))
    assert bench.propose(1920, 1920) == [900, 1920]


def test_a_single_phase_site_has_no_second_conductor():
    bench = Bench([evse(L1, 7360, 1380)], phases=1)
    bench.limits = FixedLimits((20000, 7000, 0, 0), (-10000, -7000, 0, 0))
    bench.balance = FixedBalance((0, 0, 99999, 99999))
    assert bench.propose(7360) == [7000]


# --- protected loads ---


def test_a_protected_load_is_never_shed():
    for mode in (START, NORMAL, HOLD, FALLBACK, TRIPPED, SAFE) + INVALID_MODES:
        for stage in range(5):
            for proposal_w in (-1, 0, 1, 2999, 3000, 3001):
                bench = Bench([relay(L1, 3000)], protected=(0,))
                bench.mode = mode
                bench.stages = (stage, stage)
                bench.limits = FixedLimits((0, 0, 0, 0), (0, 0, 0, 0))
                bench.balance = FixedBalance((50000, 50000, 0, 0))
                bench.before(3000)
                assert bench.propose(proposal_w) == [3000], mode


def test_the_others_make_way_for_a_protected_load_wherever_it_is_listed():
    bench = Bench([relay(L1, 3000), evse(L2, 7360, 1380)], protected=(0,))
    bench.balance = FixedBalance((14000, 0, 0, 0))
    assert bench.propose(0, 7360) == [3000, 3000]
    bench = Bench([evse(L2, 7360, 1380), relay(L1, 3000)], protected=(1,))
    bench.balance = FixedBalance((14000, 0, 0, 0))
    assert bench.propose(7360, 0) == [3000, 3000]


def test_even_one_protected_watt_is_booked_first():
    bench = Bench([battery(L2, 5000, 5000), relay(L1, 1)], protected=(1,))
    bench.balance = FixedBalance((19000, 0, 0, 0))
    assert bench.propose(5000, 0) == [999, 1]


def test_nothing_is_left_for_others_when_a_protected_load_alone_is_too_much():
    bench = Bench([evse(L2, 7360, 1380), battery(L3), relay(L1, 3000)], protected=(2,))
    bench.balance = FixedBalance((18000, 0, 0, 0))
    assert bench.propose(7360, 5000, 0) == [0, 0, 3000]


# --- G4: stages ---

# kind, before stages -> (import: minimum, pause, trip), (export: minimum, pause, trip)
STAGE_TABLE = (
    (EVSE, 7000, (1380, 0, 0), (7000, 7000, 7000)),
    (EVSE, 1380, (1380, 0, 0), (1380, 1380, 1380)),
    (EVSE, 0, (0, 0, 0), (0, 0, 0)),
    (BATTERY, 5000, (0, 0, 0), (5000, 5000, 5000)),
    (BATTERY, 0, (0, 0, 0), (0, 0, 0)),
    (BATTERY, -4000, (-4000, -4000, -4000), (0, 0, 0)),
    (PV, -8000, (-8000, -8000, -8000), (-2500, 0, 0)),
    (PV, -2500, (-2500, -2500, -2500), (-2500, 0, 0)),
    (PV, -1000, (-1000, -1000, -1000), (-1000, 0, 0)),
    (PV, 0, (0, 0, 0), (0, 0, 0)),
    (RELAY, 3000, (3000, 3000, 3000), (3000, 3000, 3000)),
)


def row_of(kind):
    return ONE_OF_EACH[(EVSE, BATTERY, PV, RELAY).index(kind)]


def test_each_stage_does_what_the_table_says():
    for mode in (NORMAL, HOLD):
        for kind, wanted_w, in_import, in_export in STAGE_TABLE:
            for stage in (TO_MINIMUM, PAUSE, TRIP):
                for stages, expected in (
                    ((stage, INSIDE), in_import),
                    ((INSIDE, stage), in_export),
                    ((stage, CUT), in_import),
                    ((CUT, stage), in_export),
                ):
                    bench = Bench([row_of(kind)])
                    bench.mode = mode
                    bench.stages = stages
                    bench.before(wanted_w)
                    assert bench.propose(wanted_w) == [expected[stage - TO_MINIMUM]]
                    assert bench.guard.reasons == STAGE


def test_both_clocks_together_stop_everything_that_is_flexible():
    bench = Bench(ONE_OF_EACH)
    bench.stages = (PAUSE, PAUSE)
    assert bench.propose(7000, 5000, -8000, 3000) == [0, 0, 0, 3000]
    assert bench.propose(7000, -4000, -8000, 3000) == [0, 0, 0, 3000]


def test_the_first_stage_is_left_to_the_proportional_cut():
    bench = Bench(ONE_OF_EACH)
    for stages in ((CUT, INSIDE), (INSIDE, CUT), (CUT, CUT)):
        bench.stages = stages
        assert bench.propose(7000, 5000, -8000, 3000) == [7000, 5000, -8000, 3000]
        assert bench.guard.reasons == 0


def test_a_stage_never_loosens():
    for kind, wanted_w, _, _ in STAGE_TABLE:
        for stage_import in range(5):
            for stage_export in range(5):
                bench = Bench([row_of(kind)])
                bench.stages = (stage_import, stage_export)
                result_w = bench.propose(wanted_w)[0]
                assert min(wanted_w, 0) <= result_w <= max(wanted_w, 0)


# --- what one direction gives up is not relied on by the other ---


def test_a_source_that_export_cuts_is_no_relief_for_a_conductor():
    # PV feeds L1..L3; export on L2 cuts it to a third; L1 must not count on what it fed before
    bench = Bench([evse(L1, 8000, 1380), pv(L123, 9000)])
    bench.powers(8000, -9000)
    bench.limits = FixedLimits((20000, 6000, 9200, 9200), (-10000, -9200, -3000, -9200))
    bench.balance = FixedBalance((0, 1000, -2000, 0))
    assert bench.propose(8000, -9000) == [6000, -3000]


def test_a_source_that_a_stage_stops_is_no_relief():
    bench = Bench([evse(L1, 8000, 1380), battery(L123, 5000, 6000)])
    bench.powers(8000, -6000)
    bench.limits = FixedLimits((20000, 6000, 9200, 9200), (-10000, -9200, -9200, -9200))
    bench.stages = (INSIDE, TO_MINIMUM)
    assert bench.propose(8000, -6000) == [6000, 0]


def test_a_load_that_a_stage_stops_is_no_relief_for_export():
    bench = Bench([pv(L1, 8000), evse(L1, 7360, 1380)])
    bench.powers(-8000, 7360)
    bench.limits = FixedLimits((20000, 9200, 9200, 9200), (-10000, -5000, -9200, -9200))
    bench.stages = (PAUSE, INSIDE)
    assert bench.propose(-8000, 7360) == [-5000, 0]


def test_what_both_directions_give_up_is_settled_in_two_rounds():
    # export on L2 takes 1,200 W of PV, import on L1 then 600 W of the load: that is the end of it
    bench = Bench([evse(L123, 9000, 0), pv(L123, 9000)])
    bench.powers(6000, -9000)
    bench.limits = FixedLimits((20000, 1000, 9200, 9200), (-10000, -9200, -1000, -9200))
    bench.balance = FixedBalance((0, 800, 0, 0), (0, 0, -400, 0))
    assert bench.propose(9000, -9000) == [8400, -7800]
    assert bench.guard.reasons == BUDGET_IMPORT | BUDGET_EXPORT


def test_relief_that_chases_itself_is_not_counted():
    # each cut takes away relief of the other: 300 W less in each round, down to nothing
    bench = Bench([evse(L123, 9000, 0), pv(L123, 9000), pv(L3, 500)])
    bench.powers(9000, -9000, -500)
    bench.limits = FixedLimits((20000, 1000, 9200, 9200), (-10000, -9200, -1000, -9200))
    bench.balance = FixedBalance((0, 900, 0, 0), (0, 0, -1200, 0))
    assert bench.propose(9000, -9000, -500) == [300, 0, -500]
    assert_inside(bench, ())


def test_export_is_settled_first_when_both_chase_each_other():
    # 400 W a conductor fit without any load; they are not enough for one on L1
    bench = Bench([evse(L123, 9000, 0), pv(L123, 9000)])
    bench.powers(9000, -9000)
    bench.limits = FixedLimits((20000, 1000, 9200, 9200), (-10000, -9200, -1000, -9200))
    bench.balance = FixedBalance((0, 1500, 0, 0), (0, 0, -600, 0))
    assert bench.propose(9000, -9000) == [0, -1200]
    assert_inside(bench, ())


# --- the sum property ---


def share_w(power_w, wires):
    """The largest share of one wire: a third of 100 W is 34 W."""
    return -(-power_w // wires)


def worst_w(bench, direction, axis):
    """Uncontrolled plus the worst that the commands allow on `axis`; direction -1 mirrors."""
    resources = bench.resources
    balance = bench.balance
    uncontrolled_w = balance.import_w if direction > 0 else balance.export_w
    total_w = direction * uncontrolled_w[axis]
    for index in range(resources.count):
        command_w = direction * resources.command_w[index]
        if command_w <= 0:  # relief: what it supplies now, no more than it is told to
            command_w = max(command_w, min(direction * resources.power_w[index], 0))
        if axis == 0:
            total_w += command_w
        elif resources.mask[index] >> (axis - 1) & 1:
            total_w += share_w(command_w, resources.wires[index])
    return total_w


def limit_w(bench, direction, axis):
    return bench.limits.high_w[axis] if direction > 0 else -bench.limits.low_w[axis]


def is_all_off(bench, direction, axis, protected):
    for index in range(bench.resources.count):
        is_on_axis = axis == 0 or bench.resources.mask[index] >> (axis - 1) & 1
        if is_on_axis and index not in protected:
            if direction * bench.resources.command_w[index] > 0:
                return False
    return True


def assert_inside(bench, protected, axes=4):
    for direction in (1, -1):
        for axis in range(axes):
            if worst_w(bench, direction, axis) > limit_w(bench, direction, axis):
                assert is_all_off(bench, direction, axis, protected), (direction, axis)


def random_row(lcg, phases):
    mask = 1 + lcg.below((1 << phases) - 1)
    kind = lcg.below(4)
    if kind == EVSE:
        high_w = lcg.between(0, 12000)
        return evse(mask, high_w, lcg.below(high_w + 1), 0)
    if kind == BATTERY:
        return battery(mask, lcg.between(0, 9000), lcg.between(0, 9000))
    if kind == PV:
        return pv(mask, lcg.between(0, 15000))
    return relay(mask, lcg.between(0, 5000))


def random_bench(lcg):
    phases = 1 + lcg.below(3)
    rows = [random_row(lcg, phases) for _ in range(lcg.below(6))]
    protected = [k for k in range(len(rows)) if rows[k][0] == RELAY and lcg.below(4) == 0]
    bench = Bench(rows, protected, phases)
    high_w = [lcg.below(20000)] + [lcg.below(9200) for _ in range(3)]
    low_w = [-lcg.below(10000)] + [-lcg.below(9200) for _ in range(3)]
    bench.limits = FixedLimits(high_w, low_w)
    import_w = [lcg.between(-20000, 20000)] + [lcg.between(-9000, 9000) for _ in range(3)]
    export_w = [power_w + lcg.pick((0, 0, lcg.below(4000))) for power_w in import_w]
    bench.balance = FixedBalance(import_w, export_w)
    return bench, protected, phases + 1


def shake(bench, lcg):
    """Random commands before, powers and proposals: valid, invalid and at the edges."""
    resources = bench.resources
    for index in range(resources.count):
        low_w = resources.low_w[index]
        high_w = resources.high_w[index]
        resources.power_w[index] = lcg.between(low_w - 500, high_w + 500)
        resources.command_w[index] = lcg.between(low_w, high_w)
        inside_w = lcg.between(low_w, high_w)
        edge_w = lcg.pick((low_w, high_w, resources.min_w[index], 0)) + lcg.between(-1, 1)
        resources.proposal_w[index] = lcg.pick((inside_w, inside_w, edge_w))


def assert_in_range(bench):
    resources = bench.resources
    for index in range(resources.count):
        command_w = resources.command_w[index]
        assert resources.low_w[index] <= command_w <= resources.high_w[index]
        assert command_w <= 0 or command_w >= resources.min_w[index]


def assert_not_looser(bench, before_w, protected):
    for index in range(bench.resources.count):
        command_w = bench.resources.command_w[index]
        if index in protected:
            continue
        assert abs(command_w) <= abs(before_w[index])
        assert command_w * before_w[index] >= 0


def test_whatever_is_proposed_stays_inside_every_limit():
    lcg = Lcg(1)
    for _ in range(700):
        bench, protected, axes = random_bench(lcg)
        for _ in range(3):
            shake(bench, lcg)
            proposals_w = list(bench.resources.proposal_w)
            bench.stages = (lcg.pick((0, 0, 1, 2, 3)), lcg.pick((0, 0, 1, 2, 3)))
            bench.propose(*proposals_w)
            assert_in_range(bench)
            assert_inside(bench, protected, axes)


def test_whatever_is_proposed_with_a_late_sample_is_not_looser_than_before():
    lcg = Lcg(2)
    for _ in range(500):
        bench, protected, axes = random_bench(lcg)
        bench.mode = HOLD
        shake(bench, lcg)
        # commands in force are valid: they came from the guard
        for index in range(bench.resources.count):
            if 0 < bench.resources.command_w[index] < bench.resources.min_w[index]:
                bench.resources.command_w[index] = 0
        before_w = list(bench.resources.command_w)
        bench.propose(*list(bench.resources.proposal_w))
        assert_in_range(bench)
        assert_inside(bench, protected, axes)
        assert_not_looser(bench, before_w, protected)


def test_what_the_guard_lets_through_it_lets_through_again():
    lcg = Lcg(3)
    for _ in range(300):
        bench, _, _ = random_bench(lcg)
        shake(bench, lcg)
        first = bench.propose(*list(bench.resources.proposal_w))
        assert bench.propose(*first) == first


def test_a_site_without_resources_has_nothing_to_command():
    bench = Bench([])
    for mode in (START, NORMAL, HOLD, FALLBACK, TRIPPED, SAFE, 77):
        bench.mode = mode
        assert bench.propose() == []

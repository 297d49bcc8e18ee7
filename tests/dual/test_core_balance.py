# SPDX-License-Identifier: MIT
"""core.balance: what is left at the PCC without the flexible resources."""

from sites import (
    L1,
    L2,
    L3,
    L12,
    L123,
    battery,
    evse,
    fill,
    make_resources,
    make_site,
    make_snapshot,
    pv,
)

from firmline.core.balance import Balance


def make_balance(rows, phases=3):
    resources = make_resources(rows)
    return resources, Balance(make_site(phases), resources)


def test_without_resources_the_sample_is_the_uncontrolled_power():
    _, balance = make_balance([])
    balance.update(make_snapshot(6000, 1000, 2000, 3000))
    assert list(balance.import_w) == [6000, 1000, 2000, 3000]
    assert list(balance.export_w) == [6000, 1000, 2000, 3000]


def test_what_a_settled_load_draws_is_taken_out_on_its_conductors():
    resources, balance = make_balance([evse(L12), evse(L3)])
    fill(resources.command_w, (7360, 4000))
    fill(resources.power_w, (5000, 4000))
    balance.update(make_snapshot(12000, 4000, 4000, 4000))
    assert list(balance.import_w) == [3000, 1500, 1500, 0]
    assert list(balance.export_w) == [3000, 1500, 1500, 0]
    assert list(balance.credit_w) == [5000, 4000]


def test_what_a_settled_source_supplies_is_taken_out():
    resources, balance = make_balance([pv(L123), battery(L1)])
    fill(resources.command_w, (-8000, -2000))
    fill(resources.power_w, (-6000, -2000))
    balance.update(make_snapshot(-5000, -3000, -1000, -1000))
    assert list(balance.import_w) == [3000, 1000, 1000, 1000]
    assert list(balance.export_w) == [3000, 1000, 1000, 1000]


def test_no_credit_beyond_the_command():
    # a vehicle that does not obey is as uncontrolled as a kettle
    resources, balance = make_balance([evse(L1), pv(L1), battery(L1)])
    fill(resources.command_w, (2000, -1000, 500))
    fill(resources.power_w, (7000, -8000, 900))
    balance.update(make_snapshot(0, 0))
    assert list(balance.import_w)[:2] == [0 - 2000 + 1000 - 500] * 2
    assert list(balance.export_w)[:2] == [0 - 2000 + 1000 - 500] * 2


def test_no_credit_against_the_sign_of_the_command():
    resources, balance = make_balance([battery(L1), battery(L1)])
    fill(resources.command_w, (2000, -2000))
    fill(resources.power_w, (-500, 500))
    balance.update(make_snapshot(0, 0))
    assert list(balance.import_w)[:2] == [0, 0]
    assert list(balance.credit_w) == [0, 0]


def test_no_credit_for_a_resource_that_is_silent():
    # the app sets the power of a silent link to 0; the vehicle may still draw
    resources, balance = make_balance([evse(L1)])
    fill(resources.command_w, (7360,))
    balance.update(make_snapshot(9000, 9000))
    assert list(balance.import_w)[:2] == [9000, 9000]


def test_while_a_cut_is_in_flight_the_old_power_is_taken_for_import():
    # rule 5: the sample still shows 7 kW, so it must not call for a second cut
    resources, balance = make_balance([evse(L1)])
    fill(resources.command_w, (2000,))
    fill(resources.before_w, (7000,))
    fill(resources.power_w, (7000,))
    resources.in_flight[0] = 1
    balance.update(make_snapshot(10000, 10000))
    assert list(balance.import_w)[:2] == [3000, 3000]
    assert list(balance.export_w)[:2] == [8000, 8000]


def test_while_a_cut_is_in_flight_the_old_reading_counts_after_the_new_one():
    # the device is younger than the PCC sample: the old power is still in the sample
    resources, balance = make_balance([evse(L1)])
    fill(resources.command_w, (2000,))
    fill(resources.before_w, (7000,))
    fill(resources.power_w, (2000,))
    resources.in_flight[0] = 1
    balance.update(make_snapshot(10000, 10000))
    assert list(balance.import_w)[:2] == [3000, 3000]


def test_while_a_rise_is_in_flight_it_may_be_in_the_sample_or_not():
    resources, balance = make_balance([evse(L1)])
    fill(resources.command_w, (7000,))
    fill(resources.before_w, (2000,))
    fill(resources.power_w, (2000,))
    resources.in_flight[0] = 1
    balance.update(make_snapshot(4000, 4000))
    assert list(balance.import_w)[:2] == [-3000, -3000]
    assert list(balance.export_w)[:2] == [2000, 2000]
    assert balance.credit_w[0] == 7000


def test_a_battery_in_flight_between_charge_and_discharge():
    resources, balance = make_balance([battery(L1)])
    fill(resources.command_w, (-3000,))
    fill(resources.before_w, (4000,))
    fill(resources.power_w, (1000,))
    resources.in_flight[0] = 1
    balance.update(make_snapshot(5000, 5000))
    assert list(balance.import_w)[:2] == [1000, 1000]
    assert list(balance.export_w)[:2] == [8000, 8000]


def test_conductor_shares_are_rounded_toward_more_uncontrolled_power():
    # 100 W on three wires: 33 for import, 34 for export; and the mirror for a source
    resources, balance = make_balance([evse(L123)])
    fill(resources.command_w, (7360,))
    fill(resources.power_w, (100,))
    balance.update(make_snapshot(0, 0, 0, 0))
    assert list(balance.import_w) == [-100, -33, -33, -33]
    assert list(balance.export_w) == [-100, -34, -34, -34]
    resources, balance = make_balance([pv(L123)])
    fill(resources.command_w, (-8000,))
    fill(resources.power_w, (-100,))
    balance.update(make_snapshot(0, 0, 0, 0))
    assert list(balance.import_w) == [100, 34, 34, 34]
    assert list(balance.export_w) == [100, 33, 33, 33]


def test_a_split_phase_site_has_two_legs():
    resources, balance = make_balance([evse(L12), evse(L2)], phases=2)
    fill(resources.command_w, (7680, 1440))
    fill(resources.power_w, (7680, 1440))
    balance.update(make_snapshot(10000, 4000, 6000, 77))
    assert list(balance.import_w)[:3] == [880, 160, 720]
    assert balance.import_w[3] == 0, "there is no third conductor"


def test_each_update_starts_from_the_sample():
    resources, balance = make_balance([evse(L1)])
    fill(resources.command_w, (2000,))
    fill(resources.power_w, (2000,))
    for _ in range(3):
        balance.update(make_snapshot(5000, 5000))
        assert list(balance.import_w)[:2] == [3000, 3000]

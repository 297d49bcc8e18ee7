# SPDX-License-Identifier: MIT
"""core.snapshot: sites without a hole in their limits, resources that start at nothing."""

from firmline.core.snapshot import Resources, Site, Snapshot, watts_array


def test_a_site_has_its_firm_limits_as_ceilings_until_told_otherwise():
    site = Site(3, 2300, 20000, 10000, 9200)
    assert (site.axes, site.voltage_dv) == (4, 2300)
    assert (site.firm_import_w, site.firm_export_w, site.firm_conductor_w) == (20000, 10000, 9200)
    assert site.ceiling_import_w == 20000
    assert site.ceiling_export_w == 10000
    assert site.ceiling_conductor_w == 9200


def test_axes_are_the_pcc_and_one_for_each_conductor():
    assert Site(1, 2300, 1, 1, 1).axes == 2
    assert Site(2, 1200, 1, 1, 1).axes == 3
    assert Site(3, 2300, 1, 1, 1).axes == 4


def test_an_empty_snapshot_has_four_axes_and_no_sample():
    snapshot = Snapshot()
    assert list(snapshot.axis_w) == [0, 0, 0, 0]
    assert snapshot.samples == 0


def test_new_resources_command_nothing_are_offline_and_want_nothing():
    resources = Resources(3)
    assert resources.count == 3
    for values in (
        resources.command_w,
        resources.proposal_w,
        resources.power_w,
        resources.fallback_w,
        resources.is_online,
        resources.wants,
        resources.in_flight,
        resources.is_protected,
        resources.high_w,
        resources.low_w,
    ):
        assert list(values) == [0, 0, 0]


def test_wires_are_counted_from_the_mask():
    resources = Resources(7)
    for index in range(7):
        resources.add(index, 0, index + 1, 0, 0, 0, 0)
    assert list(resources.wires) == [1, 1, 2, 1, 2, 2, 3]
    assert list(resources.mask) == [1, 2, 3, 4, 5, 6, 7]


def test_add_keeps_every_field_of_the_resource_and_touches_no_other():
    resources = Resources(2)
    resources.add(1, 3, 5, -4, 6, 7, 2)
    assert list(resources.kind) == [0, 3]
    assert list(resources.low_w) == [0, -4]
    assert list(resources.min_w) == [0, 6]
    assert list(resources.high_w) == [0, 7]
    assert list(resources.fallback_w) == [0, 2]


def test_watts_hold_ten_megawatts_in_both_directions():
    values = watts_array(2)
    values[0] = 10000000
    values[1] = -10000000
    assert list(values) == [10000000, -10000000]

# SPDX-License-Identifier: MIT
"""core.limits: the limit in force is the strictest of what is active; firm is never lost (T22)."""

from sites import Lcg, make_site

from firmline.core.limits import Limits

NONE = -1
FIRM, DYNAMIC, CEILING, EMERGENCY = range(4)


def make_limits(import_w=20000, export_w=10000, ceiling_w=50000, ceiling_export_w=40000):
    """Firm 20 kW / 10 kW, ceilings far above, so that each source can be the strictest."""
    site = make_site(import_w=import_w, export_w=export_w)
    site.ceiling_import_w = ceiling_w
    site.ceiling_export_w = ceiling_export_w
    return Limits(site)


def in_force(limits):
    return (limits.high_w[0], -limits.low_w[0])


def binding(limits):
    return (limits.binding[0], limits.binding[1])


def test_firm_from_the_start():
    limits = make_limits()
    assert in_force(limits) == (20000, 10000)
    assert binding(limits) == (FIRM, FIRM)
    assert limits.is_changed


def test_a_firm_limit_above_the_ceiling_is_cut_to_the_ceiling():
    limits = make_limits(ceiling_w=19999, ceiling_export_w=9999)
    assert in_force(limits) == (19999, 9999)
    assert binding(limits) == (CEILING, CEILING)


def test_a_firm_limit_of_zero_is_a_limit():
    limits = make_limits(import_w=0, export_w=0)
    assert in_force(limits) == (0, 0)
    limits.update(False, 5000, 5000, NONE, NONE)
    assert in_force(limits) == (0, 0)


def test_a_dynamic_limit_of_a_living_head_end_replaces_firm_in_both_senses():
    limits = make_limits()
    limits.update(True, 35000, 30000, NONE, NONE)
    assert in_force(limits) == (35000, 30000)
    assert binding(limits) == (DYNAMIC, DYNAMIC)
    limits.update(True, 1234, 0, NONE, NONE)
    assert in_force(limits) == (1234, 0)
    assert binding(limits) == (DYNAMIC, DYNAMIC)


def test_directions_are_independent():
    limits = make_limits()
    limits.update(True, 15000, NONE, NONE, 700)
    assert in_force(limits) == (15000, 700)
    assert binding(limits) == (DYNAMIC, EMERGENCY)
    limits.update(True, NONE, 3000, 900, NONE)
    assert in_force(limits) == (900, 3000)
    assert binding(limits) == (EMERGENCY, DYNAMIC)


def test_a_dynamic_limit_never_passes_the_ceiling():
    limits = make_limits(ceiling_w=25000, ceiling_export_w=12000)
    for dynamic_w, expected_w, expected in (
        (24999, 24999, DYNAMIC),
        (25000, 25000, DYNAMIC),
        (25001, 25000, CEILING),
        (536870911, 25000, CEILING),
    ):
        limits.update(True, dynamic_w, NONE, NONE, NONE)
        assert in_force(limits) == (expected_w, 10000)
        assert limits.binding[0] == expected
    for dynamic_w, expected_w, expected in (
        (11999, 11999, DYNAMIC),
        (12000, 12000, DYNAMIC),
        (12001, 12000, CEILING),
    ):
        limits.update(True, NONE, dynamic_w, NONE, NONE)
        assert in_force(limits) == (20000, expected_w)
        assert limits.binding[1] == expected


def test_a_silent_head_end_keeps_only_what_is_stricter_than_firm():
    limits = make_limits()
    for dynamic_w, expected_w, expected in (
        (0, 0, DYNAMIC),
        (19995, 19995, DYNAMIC),
        (19999, 19999, DYNAMIC),
        (20000, 20000, FIRM),
        (20001, 20000, FIRM),
        (49999, 20000, FIRM),
    ):
        limits.update(False, dynamic_w, NONE, NONE, NONE)
        assert in_force(limits) == (expected_w, 10000), dynamic_w
        assert limits.binding[0] == expected
    limits.update(False, NONE, 9999, NONE, NONE)
    assert in_force(limits) == (20000, 9999)
    limits.update(False, NONE, 10001, NONE, NONE)
    assert in_force(limits) == (20000, 10000)


def test_the_loss_of_the_head_end_ends_a_looser_limit_at_once():
    limits = make_limits()
    limits.update(True, 35000, 30000, NONE, NONE)
    limits.update(False, 35000, 30000, NONE, NONE)
    assert in_force(limits) == (20000, 10000)
    assert limits.is_changed


def test_an_emergency_limit_only_tightens():
    limits = make_limits()
    for emergency_w, expected_w, expected in (
        (0, 0, EMERGENCY),
        (19999, 19999, EMERGENCY),
        (20000, 20000, FIRM),
        (20001, 20000, FIRM),
    ):
        limits.update(False, NONE, NONE, emergency_w, NONE)
        assert in_force(limits) == (expected_w, 10000)
        assert limits.binding[0] == expected
    limits.update(True, 8000, NONE, 8001, NONE)
    assert (in_force(limits), limits.binding[0]) == ((8000, 10000), DYNAMIC)


def test_an_emergency_limit_binds_without_a_head_end():
    limits = make_limits()
    limits.update(False, NONE, NONE, 5, 6)
    assert in_force(limits) == (5, 6)
    assert binding(limits) == (EMERGENCY, EMERGENCY)


def test_any_negative_value_is_no_limit():
    limits = make_limits()
    for nothing in (-1, -2, -20000, -536870911):
        limits.update(True, nothing, nothing, nothing, nothing)
        assert in_force(limits) == (20000, 10000)
        assert binding(limits) == (FIRM, FIRM)


def test_a_change_is_reported_once():
    limits = make_limits()
    limits.update(False, NONE, NONE, NONE, NONE)
    assert not limits.is_changed
    limits.update(False, NONE, NONE, 15000, NONE)
    assert limits.is_changed
    limits.update(False, NONE, NONE, 15000, NONE)
    assert not limits.is_changed
    limits.update(False, NONE, NONE, 15000, 2000)
    assert limits.is_changed
    limits.update(False, NONE, NONE, NONE, NONE)
    assert limits.is_changed


def test_the_conductor_limit_is_the_lesser_of_firm_and_ceiling_in_both_directions():
    site = make_site(conductor_w=9200)
    site.ceiling_conductor_w = 7360
    limits = Limits(site)
    assert list(limits.high_w)[1:] == [7360, 7360, 7360]
    assert list(limits.low_w)[1:] == [-7360, -7360, -7360]
    site = make_site(conductor_w=5000)
    site.ceiling_conductor_w = 7360
    assert list(Limits(site).high_w)[1:] == [5000, 5000, 5000]


def test_conductor_limits_do_not_move_with_the_head_end():
    limits = make_limits()
    limits.update(True, 49000, 39000, NONE, NONE)
    assert list(limits.high_w)[1:] == [9200, 9200, 9200]
    assert list(limits.low_w)[1:] == [-9200, -9200, -9200]
    limits.update(False, 1, 1, 0, 0)
    assert list(limits.high_w)[1:] == [9200, 9200, 9200]


def expected_in_force(firm_w, ceiling_w, is_alive, dynamic_w, emergency_w):
    """The requirement written the other way round: a minimum over a list."""
    active = [firm_w, ceiling_w]
    if dynamic_w >= 0 and is_alive:
        active = [dynamic_w, ceiling_w]
    elif dynamic_w >= 0:
        active.append(dynamic_w)
    if emergency_w >= 0:
        active.append(emergency_w)
    return min(active)


def value_of(source, firm_w, ceiling_w, dynamic_w, emergency_w):
    return (firm_w, dynamic_w, ceiling_w, emergency_w)[source]


def random_limit(lcg):
    """None, small numbers that collide, or anything up to the largest."""
    kind = lcg.below(4)
    if kind == 0:
        return NONE
    if kind == 3:
        return lcg.below(536870912)
    return 4 * lcg.below(8)


def check_direction(limits, index, firm_w, ceiling_w, is_alive, dynamic_w, emergency_w):
    value_w = in_force(limits)[index]
    assert value_w == expected_in_force(firm_w, ceiling_w, is_alive, dynamic_w, emergency_w)
    assert 0 <= value_w <= ceiling_w
    if not is_alive:
        assert value_w <= firm_w
    source = limits.binding[index]
    assert value_of(source, firm_w, ceiling_w, dynamic_w, emergency_w) == value_w


def test_t22_the_strictest_of_any_set_of_limits_is_in_force():
    lcg = Lcg(22)
    for _ in range(60):
        firm_w = (4 * lcg.below(8), lcg.below(10000001))
        ceiling_w = (4 * lcg.below(8), lcg.below(10000001))
        limits = make_limits(firm_w[0], firm_w[1], ceiling_w[0], ceiling_w[1])
        for _ in range(50):
            is_alive = lcg.below(2) == 1
            dynamic_w = (random_limit(lcg), random_limit(lcg))
            emergency_w = (random_limit(lcg), random_limit(lcg))
            before = in_force(limits)
            limits.update(is_alive, dynamic_w[0], dynamic_w[1], emergency_w[0], emergency_w[1])
            for k in (0, 1):
                check_direction(
                    limits, k, firm_w[k], ceiling_w[k], is_alive, dynamic_w[k], emergency_w[k]
                )
            assert limits.is_changed == (in_force(limits) != before)

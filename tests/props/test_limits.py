# SPDX-License-Identifier: MIT
"""T22: 100,000 random sets of simultaneous limits, with losses in between."""

import random

from sites import make_site

from firmline.core.limits import Limits

NONE = -1
FIRM, DYNAMIC, CEILING, EMERGENCY = range(4)


def some_limit(rng, near_w):
    return rng.choice(
        (NONE, NONE, 0, near_w - 1, near_w, near_w + 1, rng.randint(0, 50000), (1 << 29) - 1)
    )


def test_t22_the_minimum_of_the_active_limits_is_in_force():
    rng = random.Random(22)
    cases = 0
    for _ in range(2000):
        firm_w = [rng.randint(1, 40000), rng.randint(1, 40000)]
        ceiling_w = [rng.randint(1, 40000), rng.randint(1, 40000)]
        site = make_site(import_w=firm_w[0], export_w=firm_w[1])
        site.ceiling_import_w, site.ceiling_export_w = ceiling_w
        limits = Limits(site)
        for _ in range(50):
            is_alive = rng.random() < 0.6
            dynamic_w = [some_limit(rng, firm_w[k]) for k in range(2)]
            emergency_w = [some_limit(rng, firm_w[k]) for k in range(2)]
            limits.update(is_alive, *dynamic_w, *emergency_w)
            in_force = (limits.high_w[0], -limits.low_w[0])
            for k in range(2):
                cases += 1
                active = {CEILING: ceiling_w[k], FIRM: firm_w[k]}
                if dynamic_w[k] != NONE:
                    active[DYNAMIC] = dynamic_w[k]
                    if is_alive:
                        del active[FIRM]  # replaced, and only while the head-end is there
                if emergency_w[k] != NONE:
                    active[EMERGENCY] = emergency_w[k]
                assert in_force[k] == min(active.values())
                assert 0 <= in_force[k] <= ceiling_w[k]
                assert is_alive or in_force[k] <= firm_w[k]
                assert active[limits.binding[k]] == in_force[k]
    assert cases >= 100000

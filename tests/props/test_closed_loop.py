# SPDX-License-Identifier: MIT
"""The cycle in a closed loop with dead time and latency: it settles, fits and takes fair turns."""

import random

import pytest
from loop import Loop, vehicles
from sites import make_snapshot

from firmline.core.balance import Balance

SLOW = [(100, 100, 100), (1000, 200, 200), (3000, 500, 1000), (5000, 1000, 1000), (4000, 300, 200)]


def random_loop(seed):
    rng = random.Random(seed)
    rows = []
    for _ in range(rng.randint(1, 8)):
        high_w = rng.randint(2000, 11000)
        rows += vehicles(1, high_w, rng.randint(1380, high_w))
    dead_ms, latency_ms, meter_ms = rng.choice(SLOW)
    loop = Loop(rows, rng.randint(5000, 40000), dead_ms, latency_ms, meter_ms)
    loop.load_w = rng.randint(-2000, 1000 + loop.site.firm_import_w)
    loop.wants_w = [rng.choice((row[4], row[4] * 9 // 10, row[4] // 2)) for row in rows]
    return loop


@pytest.mark.parametrize("seed", range(60))
def test_under_a_constant_load_the_commands_come_to_rest(seed):
    loop = random_loop(seed)
    loop.site.response_ms = 60000
    loop.run(120000)
    settled = len(loop.changes)
    assert settled <= 12
    loop.run(60000)
    assert len(loop.changes) == settled, "no hunting"


@pytest.mark.parametrize("seed", range(60))
def test_the_offers_never_exceed_what_is_left(seed):
    loop = random_loop(seed)
    limit_w = loop.site.firm_import_w
    for _ in range(1200):
        loop.step()
        offers_w = sum(loop.resources.command_w)
        assert offers_w == 0 or loop.load_w + offers_w <= limit_w
    assert loop.total_w() <= max(limit_w, loop.load_w)


@pytest.mark.parametrize("seed", range(40))
def test_a_random_load_never_stays_over_the_limit_for_its_allowed_time(seed):
    rng = random.Random(seed)
    loop = random_loop(seed)
    limit_w = loop.site.firm_import_w
    over_ms = 0
    for step in range(3000):
        if step % rng.choice((7, 50, 120)) == 0:
            loop.load_w = rng.randint(0, limit_w)
        loop.step()
        over_ms = over_ms + 100 if loop.total_w() > limit_w else 0
        assert over_ms <= 10000 + loop.dead_ms
    assert loop.cycle.mode in (1, 2, 4)


@pytest.mark.parametrize("timing", SLOW)
def test_one_load_step_makes_one_cut(timing):
    loop = Loop(vehicles(3, 7360, 1380), 24000, *timing)
    loop.run(60000)
    assert list(loop.resources.command_w) == [7360] * 3
    before = len(loop.changes)
    loop.load_w = 10000
    loop.run(20000)
    cuts = loop.changes[before:]
    assert len(cuts) == 1, cuts
    # 24,000 W less 2 % less 10,000 W for three
    assert cuts[0][1] == [4506] * 3


@pytest.mark.parametrize("timing", SLOW)
def test_one_step_down_of_the_load_makes_one_rise(timing):
    loop = Loop(vehicles(3, 7360, 1380), 24000, *timing)
    loop.load_w = 10000
    loop.run(60000)
    before = len(loop.changes)
    assert list(loop.resources.command_w) == [4506] * 3
    loop.load_w = 0
    loop.run(30000)
    assert len(loop.changes) == before + 1
    assert list(loop.resources.command_w) == [7360] * 3


@pytest.mark.parametrize("seed", range(40))
def test_what_is_taken_out_and_what_is_left_make_up_the_sample(seed):
    loop = random_loop(seed)
    for _ in range(600):
        loop.step()
        resources = loop.resources
        total_w = loop.snapshot.axis_w[0]
        balance = Balance(loop.site, resources)
        balance.update(make_snapshot(total_w, total_w))
        for left_w in (balance.import_w, balance.export_w):
            assert left_w[0] == left_w[1], "one conductor carries it all"
        credit_w = sum(balance.credit_w)
        assert balance.import_w[0] + credit_w == total_w
        assert balance.import_w[0] <= balance.export_w[0]
        if not any(resources.in_flight):
            assert balance.import_w[0] == balance.export_w[0]


def test_ten_buses_eight_at_once_and_each_gets_its_turn():
    # 48 A at 240 V each, 400 A: 8 x 48 A = 384 A
    loop = Loop(vehicles(10, 11520, 11520), 96000, 1000, 200, 200)
    loop.site.rotation_ms = 120000
    served_ms = [0] * 10
    loop.run(10000)
    for _ in range(10 * 1200):
        loop.step()
        on = [command_w > 0 for command_w in loop.resources.command_w]
        assert sum(on) <= 8
        assert sum(loop.truth_w) <= 96000
        for index in range(10):
            served_ms[index] += 100 * on[index]
    assert min(served_ms) > 0
    fairness = sum(served_ms) ** 2 / (10 * sum(ms * ms for ms in served_ms))
    assert fairness >= 0.97, (fairness, served_ms)
    assert sum(served_ms) >= 0.85 * 8 * 1200000, "turns cost little"

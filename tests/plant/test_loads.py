# SPDX-License-Identifier: MIT
"""Relay loads and seeded events."""

import pytest

from hil.plant import EventLoad, Plant, RelayLoad

S = 1_000_000


def test_relay_load_switches_after_the_operating_time_and_counts():
    heater = RelayLoad("heater", "L2", 2000, delay_ms=10)
    plant = Plant(3, 230, [heater])
    assert (heater.power_w, heater.wanted_w, heater.is_on) == (0.0, 2000.0, False)
    heater.switch(1 * S, True)
    plant.advance(1_009_999)
    assert (heater.power_w, heater.operations) == (0.0, 0)
    plant.advance(1_010_000)
    assert (heater.power_w, heater.operations, plant.power_w(2)) == (2000.0, 1, 2000.0)
    heater.switch(2 * S, True)
    heater.switch(3 * S, False)
    plant.advance(4 * S)
    assert (heater.power_w, heater.operations, heater.is_on) == (0.0, 2, False)
    assert heater.energy_ws == 4000.0


def test_relay_told_what_it_is_already_does_not_operate():
    heater = RelayLoad("heater", 1, 2000)
    plant = Plant(1, 230, [heater])
    heater.switch(0, False)
    plant.advance(1 * S)
    assert heater.operations == 0


def test_relay_load_follows_its_thermostat_while_closed():
    heater = RelayLoad("heater", 1, 1000, duty=0.25, period_s=100, is_on=True, delay_ms=0)
    plant = Plant(1, 230, [heater])
    read = []
    for t_s in (0, 24.999999, 25, 99.999999, 100, 125):
        plant.advance(round(t_s * S))
        read.append(heater.power_w)
    assert read == [1000.0, 1000.0, 0.0, 0.0, 1000.0, 0.0]
    plant.advance(1000 * S)
    assert heater.energy_ws == 250_000.0
    heater.switch(1000 * S, False)
    plant.advance(1010 * S)
    assert (heater.power_w, heater.wanted_w) == (0.0, 1000.0)
    assert heater.operations == 1


class Levels:
    """A recorder that keeps (t0_us, t1_us, w0, w1) of the total."""

    def __init__(self, plant):
        self.plant, self.pieces = plant, []
        plant.recorder = self

    def segment(self, t0_us, t1_us):
        self.pieces.append((t0_us, t1_us, self.plant.w0[0], self.plant.w1[0]))


def _pieces(seed, name="house", hours=4, **options):
    plant = Plant(1, 230, [EventLoad(name, 1, seed, **options)])
    record = Levels(plant)
    plant.advance(hours * 3600 * S)
    return record.pieces


@pytest.mark.parametrize(("kettles", "motors"), [(4, 0), (0, 4)])
def test_same_seed_same_events(kettles, motors):
    rates = {"kettles_per_hour": kettles, "motor_starts_per_hour": motors}
    assert _pieces(11, **rates) == _pieces(11, **rates)
    assert _pieces(11, **rates) != _pieces(12, **rates)
    assert _pieces(11, **rates) != _pieces(11, name="neighbour", **rates)


def test_kettles_draw_their_power_for_minutes():
    pieces = _pieces(1, hours=200, kettles_per_hour=1, motor_starts_per_hour=0)
    alone = [piece for piece in pieces if 0 < piece[2] < 3001]
    assert len(alone) > 150
    assert all(2200 <= w0 == w1 <= 3000 for _, _, w0, w1 in alone)
    spans = [(t1 - t0) / S for t0, t1, _, _ in alone]
    assert max(spans) <= 240 and sorted(spans)[len(spans) // 2] >= 120
    total_s = sum(spans)
    assert 150 * 120 < total_s < 250 * 240


def test_motor_starts_at_six_times_its_power_and_decays_within_a_second():
    pieces = _pieces(2, hours=100, kettles_per_hour=0, motor_starts_per_hour=0.5)
    inrush = [
        piece for k, piece in enumerate(pieces) if piece[2] != piece[3] and pieces[k - 1][3] == 0
    ]
    assert len(inrush) > 20
    for t0_us, t1_us, w0, w1 in inrush:
        assert 300_000 <= t1_us - t0_us <= 1_000_000
        assert 3000 <= w0 <= 9000
        assert abs(w1 * 6 - w0) < 1e-6
    running = [piece for piece in pieces if 0 < piece[2] == piece[3] <= 1500]
    assert all(t1 - t0 <= 900 * S and w >= 500 for t0, t1, w, _ in running)
    assert sorted(t1 - t0 for t0, t1, _, _ in running)[len(running) // 2] > 119 * S


def test_kettle_rate_leaves_the_motors_alone():
    few = _pieces(3, kettles_per_hour=0, motor_starts_per_hour=6)
    many = _pieces(3, kettles_per_hour=30, motor_starts_per_hour=6)
    starts = {piece[0] for piece in few if piece[2] != piece[3]}
    assert len(starts) > 10
    assert starts <= {piece[0] for piece in many}


def test_no_events_at_rate_zero():
    assert _pieces(4, kettles_per_hour=0, motor_starts_per_hour=0) == [(0, 14_400 * S, 0.0, 0.0)]

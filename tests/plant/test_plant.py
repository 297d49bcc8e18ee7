# SPDX-License-Identifier: MIT
"""The sum of the elements: integrals, pieces, axes, and what is refused."""

import random

import pytest

from hil.plant import (
    Battery,
    ConstantLoad,
    CsvLoad,
    Ev,
    EventLoad,
    Plant,
    Pv,
    RelayLoad,
    StepLoad,
    Trace,
    clear_sky,
)

S = 1_000_000


class Pieces:
    """A recorder that keeps (t0_us, t1_us, w0, w1) of one axis and integrates all of them."""

    def __init__(self, plant, axis=0):
        self.plant, self.axis, self.pieces, self.ws = plant, axis, [], [0.0] * 4
        plant.recorder = self

    def segment(self, t0_us, t1_us):
        w0, w1 = self.plant.w0, self.plant.w1
        assert self.plant.now_us == t1_us
        self.pieces.append((t0_us, t1_us, w0[self.axis], w1[self.axis]))
        for k in range(4):
            self.ws[k] += (w0[k] + w1[k]) / 2 * (t1_us - t0_us) / 1e6


def test_constant_load_gives_energy_at_every_reading():
    plant = Plant(1, 230, [ConstantLoad("base", "L1", 500)])
    plant.advance(100_000)
    assert plant.energy_ws == [50.0, 50.0, 0.0, 0.0]
    plant.advance(10 * S)
    assert plant.energy_ws == [5000.0, 5000.0, 0.0, 0.0]
    assert plant.element("base").energy_ws == 5000.0


def test_step_is_a_breakpoint_even_between_two_readings():
    plant = Plant(1, 230, [StepLoad("steps", 1, [1.25, 1.5], [1000, 300])])
    record = Pieces(plant)
    plant.advance(1 * S)
    plant.advance(2 * S)
    assert record.pieces == [
        (0, 1_000_000, 0.0, 0.0),
        (1_000_000, 1_250_000, 0.0, 0.0),
        (1_250_000, 1_500_000, 1000.0, 1000.0),
        (1_500_000, 2_000_000, 300.0, 300.0),
    ]
    assert plant.energy_ws[0] == 400.0


def test_step_at_the_time_asked_for_is_passed():
    plant = Plant(1, 230, [StepLoad("steps", 1, [0, 3], [100, 700])])
    plant.advance(3 * S - 1)
    assert plant.power_w() == 100.0
    plant.advance(3 * S)
    assert plant.power_w() == 700.0
    assert plant.w1[0] == 700.0
    assert plant.element("steps").power_w == 700.0


def test_sloped_piece_is_given_with_both_ends():
    plant = Plant(1, 230, [Pv("pv", 1, 1000, ramp_w_per_s=1000, delay_ms=0)])
    record = Pieces(plant)
    plant.element("pv").cap(0, 0)
    plant.advance(250_000)
    plant.advance(500_000)
    plant.advance(2 * S)
    assert record.pieces == [
        (0, 250_000, -1000.0, -750.0),
        (250_000, 500_000, -750.0, -500.0),
        (500_000, 1_000_000, -500.0, 0.0),
        (1_000_000, 2_000_000, 0.0, 0.0),
    ]
    assert plant.energy_ws[0] == -500.0


def test_load_on_several_conductors_is_shared_equally():
    loads = [
        ConstantLoad("a", "L123", 900),
        ConstantLoad("b", "L2", 50),
        ConstantLoad("c", 5, -80),
    ]
    plant = Plant(3, 230, loads)
    assert [plant.power_w(axis) for axis in range(4)] == [870.0, 260.0, 350.0, 260.0]


def test_split_phase_vehicle_loads_both_legs():
    ev = Ev("ev", "L12", 0, 3600, 10_000, 32, delay_ms=0, up_s=0, start_delay_s=0)
    plant = Plant(2, 120, [ev, ConstantLoad("lamp", "L1", 100)])
    ev.offer(0, 30)
    plant.advance(1 * S)
    assert [plant.power_w(axis) for axis in range(4)] == [7300.0, 3700.0, 3600.0, 0.0]
    assert ev.draw_a == 30.0


def test_per_phase_trace_loads_each_conductor():
    columns = {"l1_w": [100, 10], "l2_w": [200, 20], "l3_w": [-50, 30]}
    plant = Plant(3, 230, [CsvLoad("house", 7, Trace("x.csv", [0, 2 * S], columns), scale=2)])
    assert [plant.power_w(axis) for axis in range(4)] == [500.0, 200.0, 400.0, -100.0]
    plant.advance(3 * S)
    assert [plant.power_w(axis) for axis in range(4)] == [120.0, 20.0, 40.0, 60.0]
    assert plant.energy_ws == [1120.0, 420.0, 840.0, -140.0]
    assert plant.element("house").power_w == 120.0
    assert plant.element("house").energy_ws == 1120.0


def test_trace_value_holds_until_the_next_row_and_after_the_last():
    trace = Trace("x.csv", [0, 60 * S, 90 * S], {"load_w": [100.0, 400.0, 250.0]})
    plant = Plant(1, 230, [CsvLoad("house", "L1", trace)])
    read = []
    for t_s in (59.999999, 60, 89.999999, 90, 86_400):
        plant.advance(round(t_s * S))
        read.append(plant.power_w())
    assert read == [100.0, 400.0, 400.0, 250.0, 250.0]


def test_elements_keep_their_own_energy_and_add_up():
    pv = Pv("pv", 7, 6000, clear_sky(6000, 0, 7200, clouds_per_hour=40, seed=4))
    battery = Battery("bat", 7, 2000, 0.5, 3000, 3000)
    ev = Ev("ev", "L1", 30, 5000, 4000, 16)
    heater = RelayLoad("heater", "L3", 1800, duty=0.4, period_s=60)
    events = EventLoad("house", "L2", 9, 60, 60)
    plant = Plant(3, 230, [pv, battery, ev, heater, events])
    record = Pieces(plant)
    draw = random.Random(5)
    for t_us in range(0, 7200 * S, 317_003):
        plant.advance(t_us)
        if draw.random() < 0.1:
            battery.setpoint(t_us, draw.uniform(-4000, 4000))
            ev.offer(t_us, draw.choice((0, 5.9, 6, 10, 16)))
            pv.cap(t_us, draw.uniform(0, 6000))
            heater.switch(t_us, draw.random() < 0.5)
    assert plant.energy_ws == pytest.approx(record.ws, rel=1e-9)
    total_ws = sum(element.energy_ws for element in plant.elements)
    assert total_ws == pytest.approx(plant.energy_ws[0], rel=1e-9)
    assert sum(plant.energy_ws[1:]) == pytest.approx(plant.energy_ws[0], rel=1e-9)
    ends = [piece[1] for piece in record.pieces]
    assert [piece[0] for piece in record.pieces] == [0] + ends[:-1]


def _household(step_us):
    pv = Pv("pv", 7, 6000, clear_sky(6000, 0, 7200, clouds_per_hour=40, seed=4))
    plant = Plant(3, 230, [pv, EventLoad("house", "L2", 9, 60, 60)])
    for t_us in range(step_us, 3600 * S + 1, step_us):
        if t_us % (600 * S) == 0:
            pv.cap(t_us, 1000 + t_us // (4 * S))
        plant.advance(t_us)
    return plant.energy_ws, [plant.power_w(axis) for axis in range(4)]


def test_reading_more_often_changes_nothing():
    assert _household(100_000)[0] == pytest.approx(_household(600 * S)[0], rel=1e-12)
    assert _household(100_000)[1] == pytest.approx(_household(600 * S)[1], abs=1e-6)


def test_time_does_not_run_backwards():
    plant = Plant(1, 230, [ConstantLoad("base", 1, 1), Pv("pv", 1, 10)])
    plant.advance(5)
    with pytest.raises(ValueError, match="go back from 5 us to 4 us"):
        plant.advance(4)
    with pytest.raises(ValueError, match="go back from 5 us to 3 us"):
        plant.element("pv").cap(3, 0)


def test_advance_to_now_gives_no_empty_piece():
    plant = Plant(1, 230, [StepLoad("steps", 1, [0, 1], [1, 2])])
    record = Pieces(plant)
    plant.advance(0)
    plant.advance(1 * S)
    plant.advance(1 * S)
    assert record.pieces == [(0, 1_000_000, 1.0, 1.0)]


def test_advance_to_the_start_of_a_ramp_gives_no_empty_piece():
    plant = Plant(1, 230, [Pv("pv", 1, 1000, delay_ms=500)])
    record = Pieces(plant)
    plant.element("pv").cap(0, 0)
    plant.advance(500_000)
    plant.advance(1_500_000)
    assert record.pieces == [(0, 500_000, -1000.0, -1000.0), (500_000, 1_500_000, -1000.0, 0.0)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Plant(4, 230, []), "phases 4: expected 1, 2 or 3"),
        (lambda: Plant(1, 0, []), "voltage_v 0: expected 1..1000"),
        (lambda: Plant(1, 230, [ConstantLoad("a", "L2", 1)]), "expected conductors of a 1-phase"),
        (lambda: Plant(2, 120, [ConstantLoad("a", "L123", 1)]), "conductors of a 2-phase site"),
        (lambda: Plant(1, 230, [ConstantLoad("a", 1, 1), Pv("a", 1, 1)]), "'a': name used twice"),
        (lambda: ConstantLoad("a", "L4", 1), "phases 'L4': expected a mask 1..7 or one of L1"),
        (lambda: ConstantLoad("a", 0, 1), "phases 0: expected"),
        (lambda: ConstantLoad("a", 1, float("nan")), "a: load_w nan: expected a number"),
        (lambda: StepLoad("a", 1, [0, 0], [1, 2]), "expected times that strictly increase"),
        (lambda: StepLoad("a", 1, [0], [1, 2]), "expected equally many"),
        (lambda: Battery("a", 1, 100, 1.1, 1, 1), "a: soc 1.1: expected a number 0..1"),
        (lambda: Ev("a", 1, 10, 10, 1, 16), "a: leave_s 10: expected after arrive_s 10"),
        (lambda: Pv("a", 1, 0), "a: rated_w 0: expected"),
        (lambda: RelayLoad("a", 1, 10, duty=2), "a: duty 2: expected a number 0..1"),
        (lambda: EventLoad("a", 1, 1, kettle_w=(9, 5)), "a: kettle_w 5: expected a number 9"),
    ],
)
def test_bad_element_is_refused(make, message):
    with pytest.raises(ValueError) as refused:
        make()
    assert message in str(refused.value)


def test_element_belongs_to_one_plant():
    load = ConstantLoad("a", 1, 1)
    Plant(1, 230, [load])
    with pytest.raises(ValueError, match="a: already part of a plant"):
        Plant(1, 230, [load])

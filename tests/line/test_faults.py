# SPDX-License-Identifier: MIT
"""Each fault kind inside its window and outside it."""

import struct

import pytest

from hil.line import rtu
from hil.line.faults import KINDS, Fault
from hil.line.meters import Sdm630

S_US = 1_000_000
AT_US, ARRIVES_US = 20 * S_US, 20 * S_US + 17_811
GOOD = bytes.fromhex("0103021234b533")


def strike(make_bus, kind, **parameters):
    """What a request at 20 s brings with the fault active from 10 s to 30 s; checks that the
    replies before and after are whole."""
    bus = make_bus()
    bus.attach()
    bus.line.add_fault(Fault(kind, "echo", 10 * S_US, 30 * S_US, parameters))
    assert bus.reply_to(0) == [(17_811, GOOD)]
    got = bus.reply_to(AT_US)
    assert bus.reply_to(30 * S_US) == [(30 * S_US + 17_811, GOOD)]
    return got, bus


def test_no_response_keeps_the_request_from_the_device(make_bus):
    got, bus = strike(make_bus, "no_response")
    assert got == []
    assert len(bus.line._devices[1].heard) == 2


def test_reply_lost_lets_the_device_act(make_bus):
    got, bus = strike(make_bus, "reply_lost")
    assert got == []
    assert len(bus.line._devices[1].heard) == 3


def test_bad_crc_is_paced_and_fails_the_check(make_bus):
    got, _ = strike(make_bus, "bad_crc")
    assert [t_us for t_us, _ in got] == [ARRIVES_US]
    assert got[0][1][:-2] == GOOD[:-2] and got[0][1] != GOOD


@pytest.mark.parametrize("kind, delay_ms", (("delay", 250), ("late_after_timeout", 1500)))
def test_delay_is_added_to_the_response(make_bus, kind, delay_ms):
    got, _ = strike(make_bus, kind, delay_ms=delay_ms)
    assert got == [(ARRIVES_US + 1000 * delay_ms, GOOD)]


def test_exception_reply_has_the_code_and_a_good_crc(make_bus):
    got, _ = strike(make_bus, "exception", code=6)
    assert got == [(AT_US + 14_166 + 2_604, rtu.exception_reply(1, 3, 6))]


def test_wrong_unit_and_wrong_function_have_good_crcs(make_bus):
    got, _ = strike(make_bus, "wrong_unit")
    assert got == [(ARRIVES_US, rtu.with_crc(bytes.fromhex("0203021234")))]
    got, _ = strike(make_bus, "wrong_fc")
    assert got == [(ARRIVES_US, rtu.with_crc(bytes.fromhex("0104021234")))]


def test_truncated_takes_only_the_time_of_what_is_left(make_bus):
    got, _ = strike(make_bus, "truncated", keep=4)
    assert got == [(AT_US + 14_166 + 2_083, GOOD[:4])]


def test_extra_bytes_follow_a_whole_reply(make_bus):
    got, _ = strike(make_bus, "extra_bytes", count=2)
    assert len(got) == 1
    assert got[0][0] == AT_US + 14_166 + 4_687
    assert got[0][1][:7] == GOOD and len(got[0][1]) == 9


def test_duplicate_comes_a_second_time_after_the_gap(make_bus):
    got, _ = strike(make_bus, "duplicate", gap_ms=5)
    assert got == [(ARRIVES_US, GOOD), (ARRIVES_US + 5_000 + 3_645, GOOD)]


def test_fragmented_comes_in_pieces_with_gaps(make_bus):
    got, bus = strike(make_bus, "fragmented", size=3, gap_ms=4)
    assert [data for _, data in got] == [GOOD[:3], GOOD[3:6], GOOD[6:]]
    first_us = AT_US + 14_166 + 1_562
    assert [t_us for t_us, _ in got] == [first_us, first_us + 5_562, first_us + 5_562 + 4_520]


def test_garbage_has_the_length_of_the_reply(make_bus):
    got, _ = strike(make_bus, "garbage")
    assert got[0][0] == ARRIVES_US
    assert len(got[0][1]) == 7 and got[0][1] != GOOD


DAMAGING = (
    "no_response reply_lost bad_crc exception wrong_unit wrong_fc truncated extra_bytes garbage"
)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].apply])
def test_last_good_moves_only_for_replies_the_controller_can_use(make_bus, kind):
    bus = make_bus()
    bus.attach()
    bus.line.add_fault(Fault(kind, "echo", 10 * S_US, 30 * S_US))
    bus.reply_to(0)
    bus.reply_to(AT_US)
    is_kept = bus.line.last_good == {1: 17_811}
    assert is_kept == (kind in DAMAGING.split())


def test_window_includes_its_start_and_excludes_its_end(make_bus):
    bus = make_bus()
    bus.attach(response_delay_us=10_000)
    bus.line.add_fault(Fault("no_response", "echo", 1_004_166, 2_004_166))
    assert len(bus.reply_to(1_000_000 - 1)) == 1  # arrives 1 us before the window
    bus = make_bus()
    bus.attach()
    bus.line.add_fault(Fault("no_response", "echo", 1_004_166, 20_004_166))
    assert bus.reply_to(1_000_000) == []
    assert bus.reply_to(20_000_000 - 1) == []
    bus = make_bus()
    bus.attach()
    bus.line.add_fault(Fault("no_response", "echo", 1_004_166, 20_004_166))
    assert len(bus.reply_to(20_000_000)) == 1


def test_target_is_a_name_a_unit_or_the_whole_bus(make_bus):
    for target, silent in (("two", [2]), (2, [2]), ("bus0", [1, 2])):
        bus = make_bus()
        bus.attach(1, "one")
        bus.attach(2, "two")
        bus.line.add_fault(Fault("no_response", target))
        assert [unit for unit in (1, 2) if not bus.reply_to(bus.world.now_us, unit)] == silent


def test_overlapping_windows_of_one_kind_end_one_by_one(make_bus):
    bus = make_bus()
    bus.attach()
    bus.line.add_fault(Fault("no_response", "echo", 0, 20 * S_US))
    bus.line.add_fault(Fault("no_response", "echo", 10 * S_US, 40 * S_US))
    assert bus.reply_to(15 * S_US) == []
    assert bus.reply_to(25 * S_US) == []
    assert len(bus.reply_to(40 * S_US)) == 1


def test_two_kinds_at_once_are_both_applied(make_bus):
    bus = make_bus()
    bus.attach()
    bus.line.add_fault(Fault("delay", "echo", parameters={"delay_ms": 100}))
    bus.line.add_fault(Fault("bad_crc", "echo"))
    ((t_us, data),) = bus.reply_to(0)
    assert t_us == 117_811 and not rtu.is_intact(data)


def test_probability_strikes_about_that_share_and_the_same_ones_each_time(make_bus):
    def struck(seed):
        bus = make_bus(seed=seed)
        bus.attach()
        bus.line.add_fault(Fault("no_response", "echo", parameters={"probability": 0.3}))
        return [not bus.reply_to(6 * S_US * k) for k in range(300)]

    assert 60 <= sum(struck(1)) <= 120
    assert struck(1) == struck(1)
    assert struck(1) != struck(2)


@pytest.mark.parametrize(
    "fault, text",
    (
        (Fault("sabotage", "echo"), "fault kind 'sabotage': one of no_response"),
        (Fault("delay", "echo", parameters={"ms": 5}), "'ms': delay_ms, probability wanted"),
        (Fault("bad_crc", "nobody"), "target 'nobody' is not on bus0"),
        (Fault("bad_crc", "echo", 5, 5), "ends before it begins"),
        (Fault("frozen", "echo"), "'echo' measures nothing"),
    ),
)
def test_a_bad_fault_is_refused_with_a_reason(make_bus, fault, text):
    bus = make_bus()
    bus.attach()
    with pytest.raises(ValueError, match=text):
        bus.line.add_fault(fault)


@pytest.mark.parametrize(
    "kind, shown_w",
    (("frozen", 1000), ("stuck_zero", 0), ("sign_flip", -2000), ("scale_changed", 200)),
)
def test_value_faults_change_what_the_meter_shows_inside_the_window(
    fakes, make_bus, kind, shown_w
):
    bus = make_bus()
    bus.attach(9)
    meter = Sdm630(bus.world, fakes.plant, 1, "meter", update_ms=100)
    bus.line.attach(meter)
    bus.line.add_fault(Fault(kind, "meter", 10 * S_US, 30 * S_US))
    fakes.world = bus.world

    def power_w():
        high, low = fakes.ask(meter, 4, 0x0C, 2)
        return round(struct.unpack(">f", struct.pack(">HH", high, low))[0])

    fakes.plant.set(0, 1000)
    bus.world.run_until(10 * S_US - 1)
    assert power_w() == 1000
    fakes.plant.set(bus.world.now_us, 2000)
    bus.world.run_until(20 * S_US)
    assert power_w() == shown_w
    bus.world.run_until(30 * S_US + 100_000)
    assert power_w() == 2000


def test_a_frozen_meter_goes_on_answering(fakes, make_bus):
    bus = make_bus()
    bus.line.attach(Sdm630(bus.world, fakes.plant, 1, "meter"))
    bus.line.add_fault(Fault("frozen", "meter", 10 * S_US))
    for t_us in (5 * S_US, 15 * S_US, 25 * S_US):
        bus.world.run_until(t_us)
        bus.line.send(rtu.read_request(1, 4, 0x0C, 2), t_us)
    bus.world.run_until(30 * S_US)
    assert len(bus.got) == 3


def test_truncated_keeps_half_by_default(make_bus):
    got, _ = strike(make_bus, "truncated")
    assert got == [(AT_US + 14_166 + 1_562, GOOD[:3])]


def test_wire_and_value_faults_of_one_device_do_not_disturb_its_neighbour(make_bus):
    bus = make_bus()
    bus.attach(1, "one")
    bus.attach(2, "two")
    bus.line.add_fault(Fault("bad_crc", "one"))
    assert not rtu.is_intact(bus.reply_to(0, 1)[0][1])
    assert rtu.is_intact(bus.reply_to(10 * S_US, 2)[0][1])

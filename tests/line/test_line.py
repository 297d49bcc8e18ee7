# SPDX-License-Identifier: MIT
"""Pacing, turnaround, queueing, collisions, counters: the arithmetic of a half-duplex line."""

import pytest

from hil.line import rtu
from hil.line.line import Line, MasterLine
from hil.world import World


def test_29_bytes_at_19200_baud_take_15_104_us():
    line = Line(World(), 19200)
    assert line.duration_us(29) == 15_104
    assert line.duration_us(8) == 4_166
    assert Line(World(), 9600).duration_us(29) == 30_208
    assert Line(World(), 115200).duration_us(256) == 22_222


def test_request_reaches_the_device_with_its_last_bit_and_the_reply_is_paced(make_bus):
    bus = make_bus()
    device = bus.attach(response_delay_us=10_000)
    request = rtu.read_request(1, 3, 0, 1)
    assert bus.reply_to(1_000) == [(1_000 + 4_166 + 10_000 + 3_645, device.reply)]
    assert device.heard == [(5_166, request)]  # 8 bytes: 4,166 us; the 7 of the reply: 3,645 us


def test_latency_is_added_in_each_direction(make_bus):
    bus = make_bus(latency_us=700)
    device = bus.attach(response_delay_us=10_000)
    assert [t_us for t_us, _ in bus.reply_to(0)] == [4_166 + 700 + 10_000 + 3_645 + 700]
    assert device.heard[0][0] == 4_866


def test_a_second_frame_queues_behind_the_first(make_bus):
    bus = make_bus()
    device = bus.attach(reply=b"")
    device.reply = None
    bus.line.send(b"12345678", 0)
    assert not bus.line.tx_done(4_165)
    assert bus.line.tx_done(4_166)
    bus.line.send(b"\x01abc", 100)
    assert not bus.line.tx_done(6_248)
    bus.world.run_until(1_000_000)
    assert device.heard == [(4_166 + 2_083, b"\x01abc")]


def test_other_units_and_unknown_units_stay_silent(make_bus):
    bus = make_bus()
    one, two = bus.attach(1, "one"), bus.attach(2, "two")
    assert len(bus.reply_to(0, unit=2)) == 1
    assert bus.reply_to(10_000_000, unit=3) == []
    assert one.heard == [] and len(two.heard) == 1


def test_broadcast_reaches_everybody_and_nobody_answers(make_bus):
    bus = make_bus()
    one, two = bus.attach(1, "one"), bus.attach(2, "two")
    assert bus.reply_to(0, unit=0) == []
    assert len(one.heard) == len(two.heard) == 1


def test_counters_count_both_directions(make_bus):
    bus = make_bus()
    bus.attach()
    bus.reply_to(0)
    bus.reply_to(10_000_000)
    line = bus.line
    assert (line.bytes_down, line.bytes_up, line.busy_us) == (16, 14, 2 * (4_166 + 3_645))
    assert (line.frames_down, line.frames_up, line.collisions) == (2, 2, 0)


def test_log_takes_what_was_on_the_wire(make_bus):
    bus = make_bus()
    device = bus.attach()
    bus.line.log = []
    bus.reply_to(500)
    request = rtu.read_request(1, 3, 0, 1)
    assert bus.line.log == [(500, ">", request), (500 + 17_811, "<", device.reply)]


def test_log_keeps_a_copy_of_the_callers_buffer(make_bus):
    bus = make_bus()
    bus.line.log = []
    buffer = bytearray(b"\x05abc")
    bus.line.send(buffer, 0)
    buffer[0] = 9
    assert bus.line.log[0][2] == b"\x05abc"


def test_last_good_is_when_the_last_good_reply_arrived(make_bus):
    bus = make_bus()
    device = bus.attach()
    assert bus.line.last_good == {}
    bus.reply_to(0)
    assert bus.line.last_good == {1: 17_811}
    device.reply = rtu.exception_reply(1, 3, 2)
    bus.reply_to(10_000_000)
    assert bus.line.last_good == {1: 17_811}


def test_sending_into_a_reply_spoils_both(make_bus):
    bus = make_bus()
    device = bus.attach(response_delay_us=10_000)
    bus.ask(0)  # the reply is on the wire from 14,166 to 17,811
    bus.ask(17_810)
    bus.world.run_until(1_000_000)
    assert [t_us for t_us, _ in bus.got] == [17_811]
    assert bus.got[0][1] != device.reply and len(bus.got[0][1]) == 7
    assert len(device.heard) == 1
    assert bus.line.collisions == 2
    assert bus.line.last_good == {}


def test_a_reply_starting_inside_a_request_spoils_both(make_bus):
    bus = make_bus()
    device = bus.attach(response_delay_us=10_000)
    bus.ask(0)
    bus.ask(14_166 - 4_165)  # ends 1 us after the reply has begun
    bus.world.run_until(1_000_000)
    assert len(device.heard) == 1
    assert len(bus.got) == 1 and bus.got[0][1] != device.reply


def test_sending_right_before_or_after_a_reply_spoils_nothing(make_bus):
    bus = make_bus()
    device = bus.attach(response_delay_us=10_000)
    bus.attach(2, "mute").reply = None
    bus.ask(0)
    bus.ask(14_166 - 4_166, unit=2)
    bus.ask(17_811)
    bus.world.run_until(1_000_000)
    assert [data for _, data in bus.got] == [device.reply] * 2
    assert bus.line.collisions == 0


def test_two_devices_answering_at_once_spoil_each_other(make_bus):
    bus = make_bus()
    slow, fast = bus.attach(1, "slow", 30_000), bus.attach(2, "fast", 10_000)
    bus.ask(0, unit=1)  # answers from 34,166 to 37,811
    bus.ask(21_000, unit=2)  # answers from 35,166 to 38,811
    bus.world.run_until(1_000_000)
    assert len(bus.got) == 2
    assert bus.got[0][1] != slow.reply and bus.got[1][1] != fast.reply


def test_same_seed_same_noise_other_seed_other_noise(make_bus):
    def noise(seed):
        bus = make_bus(seed=seed)
        bus.attach()
        bus.ask(0)
        bus.ask(17_000)
        bus.world.run_until(1_000_000)
        return bus.got

    assert noise(1) == noise(1)
    assert noise(1) != noise(2)


def test_one_unit_is_attached_once(make_bus):
    bus = make_bus()
    bus.attach(5)
    with pytest.raises(ValueError, match="unit 5 is on bus0 already"):
        bus.attach(5)


def test_nonsense_baud_rate_is_refused():
    with pytest.raises(ValueError, match="positive values wanted"):
        Line(World(), 0)


def test_an_empty_send_is_nothing(make_bus):
    bus = make_bus()
    bus.line.send(b"", 0)
    bus.world.run_until(1_000)
    assert bus.line.frames_down == 0


def test_head_end_line_paces_both_ways_and_spoils_what_meets():
    world, got, heard = World(), [], []
    line = MasterLine(world, 19200, latency_us=100)
    line.on_receive = lambda t_us, data: got.append((t_us, data))
    line.on_arrive = lambda t_us, data: heard.append((t_us, data))
    assert line.transmit(b"12345678", 0) == 4_166 + 100
    assert line.transmit(b"1234", 0) == 4_166 + 2_083 + 100
    world.run_until(10_000)
    assert got == [(4_266, b"12345678"), (6_349, b"1234")]
    line.send(b"1234", 10_000)
    world.run_until(20_000)
    assert heard == [(12_183, b"1234")]
    line.send(b"1234", 20_000)
    line.transmit(b"1234", 20_500)
    world.run_until(30_000)
    assert got[2][1] != b"1234" and heard[1][1] != b"1234"
    assert line.collisions == 2

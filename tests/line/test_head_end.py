# SPDX-License-Identifier: MIT
"""The emulated head-end against a scripted controller: beats, grants, silence, damage, pacing."""

from dataclasses import dataclass, field

import pytest

from hil.line import rtu
from hil.line.faults import Fault
from hil.line.head_end import Grant, HeadEnd, HeadEndMap
from hil.line.line import MasterLine
from hil.world import World

MAP = HeadEndMap(
    heartbeat=100,
    write=200,
    status=300,
    status_count=4,
    status_fields={"mode": (0, "u16"), "limit_w": (1, "i32"), "margin": (3, "i16")},
)
STATUS = bytes.fromhex("0102030000 07 ffff fc18 fff6".replace(" ", ""))


@dataclass
class Script:
    heartbeat_s: float = 0
    status_s: float = 0
    silent: tuple = ()
    write: tuple = field(default_factory=tuple)


class Controller:
    """Answers after 5 ms on its line; notes (t_us, request) of what it heard."""

    def __init__(self, world, line, answer):
        self.world = world
        self.line = line
        self.answer = answer
        self.heard = []
        line.on_receive = self.receive

    def receive(self, t_us, data):
        self.heard.append((t_us, rtu.parse(data)))
        reply = self.answer(data)
        if reply is not None:
            self.world.at(t_us + 5_000, self.line.send, reply, t_us + 5_000)


def healthy(frame):
    """Acknowledge writes, answer reads with mode 7, limit -1000 W, margin -10."""
    if frame[1] == 3:
        return rtu.with_crc(bytes((frame[0], 3, 8)) + bytes.fromhex("0007fffffc18fff6"))
    return rtu.with_crc(frame[:6]) if frame[1] == 16 else frame


@pytest.fixture
def bench():
    def build(script, answer=healthy, **options):
        world = World()
        line = MasterLine(world, 19200)
        controller = Controller(world, line, answer)
        return world, line, controller, HeadEnd(world, line, 1, MAP, script, **options)

    return build


def requests(controller):
    return [request[1:5] for _, request in controller.heard if request is not None]


def test_heartbeats_come_in_their_period_with_a_changing_value(bench):
    world, _, controller, head_end = bench(Script(heartbeat_s=5))
    world.run_until(14_999_999)
    assert [t_us for t_us, _ in controller.heard] == [4_166, 5_004_166, 10_004_166]
    assert requests(controller) == [(6, 100, 1, (1,)), (6, 100, 1, (2,)), (6, 100, 1, (3,))]
    assert head_end.heartbeats == 3


def test_a_grant_is_one_write_of_the_whole_block(bench):
    script = Script(write=(Grant(2, 6000, 1_000_000, 900),))
    world, _, controller, head_end = bench(script)
    world.run_until(1_999_999)
    assert controller.heard == []
    world.run_until(10_000_000)
    assert requests(controller) == [(16, 200, 5, (0, 6000, 0x000F, 0x4240, 900))]
    (outcome,) = head_end.acknowledged
    assert (outcome.import_w, outcome.export_w, outcome.duration_s) == (6000, 1_000_000, 900)
    # 19 bytes there, 5 ms, 8 bytes back at 19,200 baud
    assert (outcome.at_us, outcome.done_us) == (2_000_000, 2_000_000 + 9_895 + 5_000 + 4_166)


def test_a_direction_left_out_keeps_its_grant_until_that_has_expired(bench):
    script = Script(
        write=(Grant(0, 6000, None, 60), Grant(59, None, 500, 60), Grant(120, None, 400, 60))
    )
    world, _, _, head_end = bench(script)
    world.run_until(200_000_000)
    shown = [(outcome.import_w, outcome.export_w) for outcome in head_end.acknowledged]
    assert shown == [(6000, None), (6000, 500), (None, 400)]


def test_no_limit_is_written_as_minus_one(bench):
    world, _, controller, _ = bench(Script(write=(Grant(0, 5000, None, 10),)))
    world.run_until(1_000_000)
    assert requests(controller)[0][3] == (0, 5000, 0xFFFF, 0xFFFF, 10)


def test_status_is_polled_and_decoded(bench):
    world, _, controller, head_end = bench(Script(status_s=1))
    seen = []
    head_end.on_status = lambda t_us, status: seen.append((t_us, status))
    world.run_until(1_500_000)
    assert requests(controller) == [(3, 300, 4, None)] * 2
    assert head_end.status == {"mode": 7, "limit_w": -1000, "margin": -10}
    assert head_end.status_us == 1_000_000 + 4_166 + 5_000 + 6_770
    assert len(seen) == 2


def test_silent_windows_are_silent_and_their_grants_are_lost(bench):
    script = Script(
        heartbeat_s=1, status_s=1, silent=((2, 5),), write=(Grant(3, 1, 1, 1), Grant(6, 2, 2, 2))
    )
    world, line, controller, head_end = bench(script)
    world.run_until(8_000_000)
    heard_s = {t_us // 1_000_000 for t_us, _ in controller.heard}
    assert heard_s == {0, 1, 5, 6, 7}
    assert [(outcome.error, outcome.import_w) for outcome in head_end.outcomes] == [
        ("silent", 1),
        (None, 2),
    ]


def test_a_dead_controller_costs_timeouts_and_a_grant_is_tried_three_times(bench):
    script = Script(write=(Grant(0, 1, 1, 1),))
    world, _, controller, head_end = bench(script, lambda frame: None, timeout_ms=500)
    world.run_until(9_895 + 499_999)
    assert head_end.timeouts == 0
    world.run_until(9_895 + 500_000)
    assert head_end.timeouts == 1
    world.run_until(20_000_000)
    assert len(controller.heard) == 3
    assert head_end.acknowledged == []
    assert [outcome.error for outcome in head_end.outcomes] == ["timeout"]


def test_a_lost_heartbeat_is_not_repeated(bench):
    world, _, controller, head_end = bench(Script(heartbeat_s=5), lambda frame: None)
    world.run_until(4_000_000)
    assert len(controller.heard) == 1 and head_end.heartbeats == 0


def test_an_exception_is_recorded_and_not_repeated(bench):
    def refuse(frame):
        return rtu.exception_reply(1, frame[1], 3)

    world, _, controller, head_end = bench(Script(write=(Grant(0, 1, 1, 1),)), refuse)
    world.run_until(5_000_000)
    assert len(controller.heard) == 1
    assert [outcome.error for outcome in head_end.outcomes] == ["exception 3"]
    assert head_end.exceptions == 1


@pytest.mark.parametrize(
    "spoil",
    (
        lambda reply: reply[:-1] + bytes((reply[-1] ^ 1,)),
        lambda reply: rtu.with_crc(b"\x02" + reply[1:-2]),
        lambda reply: rtu.with_crc(reply[:2] + b"\x01" + reply[3:-2]),
        lambda reply: rtu.with_crc(b"\x01\x06" + reply[2:-2]),
    ),
)
def test_wrong_replies_are_not_acknowledgements(bench, spoil):
    world, _, _, head_end = bench(
        Script(write=(Grant(0, 1, 1, 1),)), lambda frame: spoil(healthy(frame))
    )
    world.run_until(5_000_000)
    assert head_end.acknowledged == [] and head_end.malformed == 3


def test_a_late_reply_is_not_taken_for_the_next_one(bench):
    world, line, controller, head_end = bench(Script(heartbeat_s=5), lambda frame: None)
    world.run_until(4_000_000)
    line.send(rtu.write_single_request(1, 100, 1), 4_000_000)
    world.run_until(4_500_000)
    assert head_end.heartbeats == 0


def test_one_transaction_at_a_time_with_a_gap(bench):
    script = Script(heartbeat_s=5, status_s=5, write=(Grant(0, 1, 1, 1),))
    world, line, controller, head_end = bench(script)
    line.log = []
    world.run_until(1_000_000)
    assert [entry[1] for entry in line.log] == ["<", ">", "<", ">", "<", ">"]
    # the second request: the first transaction, a gap of 4 characters, 8 more bytes
    assert line.log[2][0] == (4_166 + 5_000 + 4_166) + 2_083 + 4_166
    assert line.collisions == 0


def test_no_response_cuts_the_line_both_ways(bench):
    world, line, controller, head_end = bench(Script(heartbeat_s=1))
    line.add_fault(Fault("no_response", "head_end", 2_500_000, 4_500_000))
    world.run_until(3_000_001)
    line.send(b"\x01abc", 3_000_001)
    world.run_until(5_900_000)
    assert {t_us // 1_000_000 for t_us, _ in controller.heard} == {0, 1, 2, 5}
    assert head_end.heartbeats == 4


def test_damage_toward_the_controller_is_paced_and_seen_by_it(bench):
    world, line, controller, head_end = bench(Script(heartbeat_s=5))
    line.add_fault(Fault("bad_crc", "head_end"))
    world.run_until(1_000_000)
    assert controller.heard == [(4_166, None)]
    with pytest.raises(ValueError, match="target 'bus0' is not on head_end"):
        line.add_fault(Fault("bad_crc", "bus0"))


def test_on_done_tells_what_became_of_every_request(bench):
    script = Script(heartbeat_s=5, status_s=5, write=(Grant(0, 6000, None, 9), Grant(6, 7, 8, 9)))
    world, _, controller, head_end = bench(Script(**{**vars(script), "silent": ((6, 7),)}))
    seen = []
    head_end.on_done = lambda *told: seen.append(told)
    world.run_until(4_000_000)
    first = {"import_w": 6000, "export_w": None, "duration_s": 9}
    assert sorted(told[1] for told in seen) == ["grant", "heartbeat", "status"]
    assert [told[2:] for told in seen if told[1] == "grant"] == [(first, None)]
    del seen[:]
    world.run_until(8_000_000)
    refused = {"import_w": 7, "export_w": 8, "duration_s": 9}
    assert (6_000_000, "grant", refused, "silent") in seen

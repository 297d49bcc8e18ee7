# SPDX-License-Identifier: MIT
"""Charging stations: registers of known states, limits, and the fall-back after silence."""

import pytest

from hil.line import rtu
from hil.line.evse import Heidelberg, TerraAc


@pytest.fixture
def terra(fakes):
    return TerraAc(fakes.world, fakes.plant, fakes.Element(), 5, max_a=32, fallback_a=8)


@pytest.fixture
def heidelberg(fakes):
    return Heidelberg(fakes.world, fakes.plant, fakes.Element(), 5, fallback_a=6)


def offered(device):
    return device.ev.commands[-1][1]


def limit(fakes, terra, amps):
    return fakes.tell(terra, 0x4100, 0, round(1000 * amps))


def test_terra_offers_its_maximum_until_somebody_limits_it(fakes, terra):
    assert terra.ev.commands == [(0, 32)]
    fakes.at(3600)
    assert offered(terra) == 32
    lowered = TerraAc(fakes.world, fakes.plant, fakes.Element(), 5, initial_a=0)
    assert offered(lowered) == 0


def test_terra_limit_is_in_milliamps_and_below_its_maximum(fakes, terra):
    assert limit(fakes, terra, 16.5) == 0
    assert offered(terra) == 16.5
    assert fakes.ask(terra, 3, 0x400E, 2) == [0, 16_500]
    assert limit(fakes, terra, 40) == 0
    assert offered(terra) == 32
    assert fakes.ask(terra, 3, 0x4006, 2) == [0, 32_000]


def test_terra_falls_back_after_its_timeout_not_before(fakes, terra):
    assert fakes.tell(terra, 0x4106, 10) == 0
    assert limit(fakes, terra, 20) == 0
    fakes.at(9.999_999)
    assert offered(terra) == 20
    fakes.at(10)
    assert terra.ev.commands[-1] == (10_000_000, 8)
    fakes.at(1000)
    assert offered(terra) == 8


def test_terra_any_good_request_feeds_the_timeout(fakes, terra):
    fakes.tell(terra, 0x4106, 10)
    limit(fakes, terra, 20)
    fakes.at(9)
    fakes.ask(terra, 3, 0x400C, 18)
    fakes.at(18.999_999)
    assert offered(terra) == 20
    fakes.at(19)
    assert offered(terra) == 8


def test_terra_damaged_requests_do_not_feed_the_timeout(fakes, terra):
    fakes.tell(terra, 0x4106, 10)
    limit(fakes, terra, 20)
    fakes.at(9)
    frame = bytearray(rtu.read_request(5, 3, 0x400C, 18))
    frame[-1] ^= 1
    assert terra.handle(bytes(frame), fakes.world.now_us) is None
    fakes.at(10)
    assert offered(terra) == 8


def test_terra_messages_end_the_fallback(fakes, terra):
    fakes.tell(terra, 0x4106, 10)
    limit(fakes, terra, 20)
    fakes.at(30)
    assert fakes.ask(terra, 3, 0x400E, 2) == [0, 20_000]
    assert offered(terra) == 20


def test_terra_that_holds_its_fallback_waits_for_a_new_limit(fakes):
    terra = TerraAc(
        fakes.world, fakes.plant, fakes.Element(), 5, fallback_a=8, holds_fallback=True
    )
    fakes.tell(terra, 0x4106, 10)
    limit(fakes, terra, 20)
    fakes.at(30)
    assert fakes.ask(terra, 3, 0x400E, 2) == [0, 8_000]
    assert offered(terra) == 8
    limit(fakes, terra, 12)
    assert offered(terra) == 12


def test_terra_fallback_above_the_maximum_is_cut_to_it(fakes):
    terra = TerraAc(fakes.world, fakes.plant, fakes.Element(), 5, max_a=16, fallback_a=20)
    fakes.tell(terra, 0x4106, 5)
    limit(fakes, terra, 10)
    fakes.at(5)
    assert offered(terra) == 16


def test_terra_timeout_0_never_expires_and_is_read_back(fakes, terra):
    fakes.tell(terra, 0x4106, 15)
    assert fakes.ask(terra, 3, 0x4020, 1) == [15]
    fakes.tell(terra, 0x4106, 0)
    limit(fakes, terra, 20)
    fakes.at(9999)
    assert offered(terra) == 20


@pytest.mark.parametrize(
    "plugged, wants, draw_a, limit_a, register",
    (
        (False, False, 0, 16, 0x0000),
        (True, True, 0, 16, 0x0200),  # B2: offered, not drawing yet
        (True, True, 0, 0, 0x0300),  # paused
        (True, True, 10, 16, 0x0400),
        (True, True, 32, 32, 0x8400),  # at its rated current
        (True, True, 3, 0, 0x0400),  # still ramping down
        (True, False, 0, 16, 0x0200),  # full
    ),
)
def test_terra_charging_state(fakes, terra, plugged, wants, draw_a, limit_a, register):
    limit(fakes, terra, limit_a)
    terra.ev.plugged, terra.ev.wants, terra.ev.draw_a = plugged, wants, draw_a
    assert fakes.ask(terra, 3, 0x400C, 2) == [0, register]


def test_terra_measurements_of_a_known_state(fakes, terra):
    ev = terra.ev
    ev.plugged, ev.wants, ev.phases, ev.draw_a, ev.power_w = True, True, 0b101, 12.345, 70_000.0
    ev.energy_ws = 3600.0 * 5
    fakes.ask(terra, 3, 0x4000, 1)
    ev.energy_ws = 3600.0 * 75_005
    fakes.at(1)
    # wired to L1 and L3 of the site: these are its own L1 and L2
    assert fakes.ask(terra, 3, 0x4010, 6) == [0, 12_345, 0, 12_345, 0, 0]
    assert fakes.ask(terra, 3, 0x4016, 6) == [0, 2300, 0, 2300, 0, 2300]
    assert fakes.ask(terra, 3, 0x401C, 4) == [1, 70_000 - 65_536, 1, 75_000 - 65_536]
    assert len(fakes.ask(terra, 3, 0x400C, 18)) == 18


def test_terra_registers_are_as_old_as_update_ms_allows(fakes, terra):
    fakes.ask(terra, 3, 0x4010, 2)
    terra.ev.draw_a = 10.0
    fakes.at(0.199_999)
    assert fakes.ask(terra, 3, 0x4010, 2) == [0, 0]
    fakes.at(0.2)
    assert fakes.ask(terra, 3, 0x4010, 2) == [0, 10_000]


@pytest.mark.parametrize(
    "function, address, count, code",
    (
        (3, 0x3FFF, 2, 2),
        (3, 0x4021, 2, 2),
        (3, 0x4100, 2, 2),
        (4, 0x4000, 2, 1),
        (3, 0x4000, 0, 3),
    ),
)
def test_terra_read_refusals(fakes, terra, function, address, count, code):
    assert fakes.ask(terra, function, address, count) == code


@pytest.mark.parametrize(
    "address, values, code",
    (
        (0x4100, (16_000,), 2),
        (0x4101, (16_000,), 2),
        (0x4006, (0, 16_000), 2),
        (0x4100, (1, 16_000), 3),
        (0x4105, (2,), 3),
        (0x4105, (1,), 0),
        (0x4103, (1,), 0),
    ),
)
def test_terra_write_refusals(fakes, terra, address, values, code):
    assert fakes.tell(terra, address, *values) == code
    assert terra.ev.commands == [(0, 32)]


def test_heidelberg_limit_watchdog_and_failsafe(fakes, heidelberg):
    assert fakes.tell(heidelberg, 257, 4000) == 0
    assert fakes.tell(heidelberg, 262, 80) == 0
    assert fakes.tell(heidelberg, 261, 125) == 0
    assert offered(heidelberg) == 12.5
    fakes.at(3.999_999)
    assert offered(heidelberg) == 12.5
    fakes.at(4)
    assert offered(heidelberg) == 8
    assert fakes.ask(heidelberg, 3, 257, 3) == [4000, 0, 1]
    assert fakes.ask(heidelberg, 3, 261, 2) == [125, 80]


def test_heidelberg_watchdog_runs_15_s_from_power_up(fakes, heidelberg):
    fakes.at(14.999_999)
    assert offered(heidelberg) == 16
    fakes.at(15)
    assert offered(heidelberg) == 6


def test_heidelberg_input_registers_of_a_known_state(fakes, heidelberg):
    ev = heidelberg.ev
    ev.plugged, ev.wants, ev.draw_a, ev.phases, ev.power_w = True, True, 9.96, 0b011, 4582.0
    assert fakes.ask(heidelberg, 4, 4, 11) == [
        0x0108, 7, 100, 100, 0, 300, 230, 230, 230, 1, 4582,
    ]  # fmt: skip
    assert fakes.ask(heidelberg, 4, 100, 2) == [16, 6]


@pytest.mark.parametrize(
    "plugged, wants, deciamps, state",
    (
        (False, False, 0, 2),
        (False, False, 60, 3),
        (True, False, 0, 4),
        (True, False, 60, 5),
        (True, True, 0, 6),
        (True, True, 60, 7),
    ),
)
def test_heidelberg_state(fakes, heidelberg, plugged, wants, deciamps, state):
    fakes.tell(heidelberg, 261, deciamps)
    heidelberg.ev.plugged, heidelberg.ev.wants = plugged, wants
    assert fakes.ask(heidelberg, 4, 5, 1) == [state]


def test_heidelberg_remote_lock_offers_nothing(fakes, heidelberg):
    fakes.tell(heidelberg, 259, 0)
    assert offered(heidelberg) == 0
    assert fakes.ask(heidelberg, 4, 5, 1) == [10]
    fakes.tell(heidelberg, 259, 1)
    assert offered(heidelberg) == 16


@pytest.mark.parametrize(
    "address, value, code",
    (
        (261, 59, 3),
        (261, 161, 3),
        (262, 5, 3),
        (258, 1, 3),
        (259, 2, 3),
        (260, 0, 2),
        (261, 60, 0),
        (258, 4, 0),
    ),
)
def test_heidelberg_write_refusals(fakes, heidelberg, address, value, code):
    assert fakes.tell(heidelberg, address, value) == code


def test_heidelberg_unknown_registers_are_refused(fakes, heidelberg):
    assert fakes.ask(heidelberg, 4, 3, 2) == 2
    assert fakes.ask(heidelberg, 4, 18, 2) == 2
    assert fakes.ask(heidelberg, 3, 256, 2) == 2


def test_heidelberg_new_failsafe_current_acts_while_the_master_is_lost(fakes, heidelberg):
    held = Heidelberg(
        fakes.world, fakes.plant, fakes.Element(), 5, fallback_a=6, holds_fallback=True
    )
    fakes.at(20)
    assert offered(held) == 6
    fakes.tell(held, 262, 100)
    assert offered(held) == 10


def test_heidelberg_energy_counters(fakes, heidelberg):
    heidelberg.ev.energy_ws = 3600.0 * 70_000
    assert fakes.ask(heidelberg, 4, 15, 4) == [1, 70_000 - 65_536, 1, 70_000 - 65_536]


def test_terra_reads_end_exactly_at_its_last_register(fakes, terra):
    assert len(fakes.ask(terra, 3, 0x4020, 2)) == 2
    assert fakes.ask(terra, 3, 0x4020, 3) == 2


def test_single_register_write_echoes_the_request(fakes, terra):
    frame = rtu.write_single_request(5, 0x4106, 30)
    assert terra.handle(frame, 0) == frame
    assert fakes.ask(terra, 3, 0x4020, 1) == [30]


def test_write_whose_count_and_bytes_disagree_is_refused(fakes, terra):
    body = bytes.fromhex("0510 4100 0003 04 0000 3e80")
    assert terra.handle(rtu.with_crc(body), 0) == rtu.exception_reply(5, 16, 3)
    assert terra.ev.commands == [(0, 32)]

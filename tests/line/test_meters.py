# SPDX-License-Identifier: MIT
"""What the meters show and when: interval means, literals of the registers, refusals."""

import struct

import pytest

from hil.line import rtu
from hil.line.meters import IntervalMeter, Sdm630, SunSpecMeter


def floats(registers):
    return list(
        struct.unpack(f">{len(registers) // 2}f", struct.pack(f">{len(registers)}H", *registers))
    )


def test_mean_of_an_interval_with_a_step_in_it(fakes):
    meter = IntervalMeter(fakes.world, fakes.plant, 200_000)
    fakes.plant.set(0, 1000, 0, 0)
    fakes.at(0.15)
    fakes.plant.set(150_000, 1000, 4000, -200)
    fakes.at(0.2)
    assert meter.mean_w == pytest.approx([1950, 1000, 1000, -50])
    fakes.at(0.4)
    assert meter.mean_w == pytest.approx([4800, 1000, 4000, -200])


def test_a_step_is_not_seen_before_the_interval_ends(fakes):
    meter = Sdm630(fakes.world, fakes.plant, 1, update_ms=200)
    fakes.plant.set(0, 1000)
    fakes.at(0.4)
    fakes.plant.set(400_000, 3000)
    fakes.at(0.599_999)
    assert floats(fakes.ask(meter, 4, 0x34, 2)) == [1000]
    fakes.at(0.6)
    assert floats(fakes.ask(meter, 4, 0x34, 2)) == [3000]


def test_intervals_count_from_time_zero(fakes):
    fakes.at(0.05)
    meter = IntervalMeter(fakes.world, fakes.plant, 200_000)
    fakes.at(0.199_999)
    assert meter.sequence == 0
    fakes.at(0.2)
    assert meter.sequence == 1


def test_the_plant_may_be_advanced_by_others_in_between(fakes):
    meter = IntervalMeter(fakes.world, fakes.plant, 200_000)
    fakes.plant.set(0, 500)
    for k in range(1, 50):
        fakes.at(k * 0.013)
        fakes.plant.advance(fakes.world.now_us)
        if k * 0.013 >= 0.2:
            assert meter.mean_w[0] == pytest.approx(500)


def test_sdm630_is_silent_until_its_first_interval_is_complete(fakes):
    meter = Sdm630(fakes.world, fakes.plant, 1, update_ms=200)
    assert fakes.ask(meter, 4, 0, 2) is None
    fakes.at(0.2)
    assert floats(fakes.ask(meter, 4, 0, 2)) == [230]


def test_sdm630_registers_of_a_known_state(fakes):
    meter = Sdm630(fakes.world, fakes.plant, 1, update_ms=200)
    fakes.plant.set(0, 2300, -460, 115)
    fakes.at(1)
    assert floats(fakes.ask(meter, 4, 0x0000, 6)) == [230, 230, 230]
    assert floats(fakes.ask(meter, 4, 0x0006, 12)) == [10, 2, 0.5, 2300, -460, 115]
    assert floats(fakes.ask(meter, 4, 0x0012, 6)) == [2300, 460, 115]
    assert floats(fakes.ask(meter, 4, 0x001E, 6)) == [1, 1, 1]
    assert floats(fakes.ask(meter, 4, 0x002A, 2)) == [230]
    assert floats(fakes.ask(meter, 4, 0x0030, 2)) == [12.5]
    assert floats(fakes.ask(meter, 4, 0x0034, 2)) == [1955]
    assert floats(fakes.ask(meter, 4, 0x0038, 2)) == [2875]
    assert floats(fakes.ask(meter, 4, 0x0046, 2)) == [50]


def test_sdm630_reply_bytes_of_a_known_state(fakes):
    meter = Sdm630(fakes.world, fakes.plant, 1)
    fakes.plant.set(0, 2300, 0, 0)
    fakes.at(1)
    # 2300.0 is 0x450FC000 and 10.0 is 0x41200000 in IEEE 754.
    reply = meter.handle(bytes.fromhex("0104000c0002b1c8"), fakes.world.now_us)
    assert reply[:-2] == bytes.fromhex("010404450fc000") and rtu.is_intact(reply)
    assert fakes.ask(meter, 4, 6, 2) == [0x4120, 0x0000]


def test_sdm630_energies_split_import_and_export(fakes):
    meter = Sdm630(fakes.world, fakes.plant, 1)
    fakes.plant.set(0, 7200)
    fakes.at(1800)
    fakes.plant.set(fakes.world.now_us, -1800)
    fakes.at(5400)
    assert floats(fakes.ask(meter, 4, 0x48, 4)) == pytest.approx([3.6, 1.8])


def test_sdm630_of_a_single_phase_site_shows_no_other_phases(fakes):
    fakes.plant = fakes.Plant(1, 120)
    meter = Sdm630(fakes.world, fakes.plant, 1)
    fakes.plant.set(0, 240)
    fakes.at(1)
    assert floats(fakes.ask(meter, 4, 0, 12)) == [120, 0, 0, 2, 0, 0]


@pytest.mark.parametrize(
    "function, address, count, code",
    (
        (4, 0, 3, 3),  # an odd count
        (4, 0, 82, 3),  # more than 80
        (4, 0, 0, 3),
        (4, 0, 126, 3),
        (4, 0x4B, 2, 2),
        (4, 0x4000, 2, 2),
        (3, 0, 2, 1),
    ),
)
def test_sdm630_refusals(fakes, function, address, count, code):
    meter = Sdm630(fakes.world, fakes.plant, 1)
    fakes.at(1)
    assert fakes.ask(meter, function, address, count) == code


def test_sdm630_refuses_writes_and_unknown_functions(fakes):
    meter = Sdm630(fakes.world, fakes.plant, 1)
    fakes.at(1)
    assert fakes.tell(meter, 0, 1) == 1
    reply = meter.handle(rtu.with_crc(b"\x01\x2b\x0e\x01\x00"), 0)
    assert reply == rtu.exception_reply(1, 0x2B, 1)


def test_damaged_requests_get_no_reply(fakes):
    meter = Sdm630(fakes.world, fakes.plant, 1)
    fakes.at(1)
    assert meter.handle(b"\x01\x04\x00\x00\x00\x02\x71\xcc", 0) is None


def points(fakes, meter, model, offset, count=1):
    return fakes.ask(meter, 3, meter.start[model] + offset, count)


def test_meter_203_registers_of_a_known_state(fakes):
    meter = SunSpecMeter(fakes.world, fakes.plant, 7, model=203, rated_a=63)
    fakes.plant.set(0, 2300, -460, 115)
    fakes.at(1)
    assert fakes.ask(meter, 3, 40000, 4) == [0x5375, 0x6E53, 1, 66]
    assert fakes.ask(meter, 3, 40070, 2) == [203, 105]
    # 63 A: A in 0.01 A, W in 10 W (3 * 63 A * 230 V = 43 kW does not fit in int16 watts)
    assert points(fakes, meter, 203, 2, 5) == [1250, 1000, 200, 50, 0x10000 - 2]
    assert points(fakes, meter, 203, 7, 5) == [2300, 2300, 2300, 2300, 0x8000]
    assert points(fakes, meter, 203, 15, 3) == [0x10000 - 1, 5000, 0x10000 - 2]
    assert points(fakes, meter, 203, 18, 5) == [196, 230, 0x10000 - 46, 12, 1]
    assert points(fakes, meter, 203, 105, 2) == [0, 0]
    assert fakes.ask(meter, 3, 40177, 2) == [0xFFFF, 0]


def test_meter_213_registers_of_a_known_state(fakes):
    meter = SunSpecMeter(fakes.world, fakes.plant, 7, model=213)
    fakes.plant.set(0, 2300, -460, 115)
    fakes.at(1)
    assert fakes.ask(meter, 3, 40070, 2) == [213, 124]
    assert floats(points(fakes, meter, 213, 2, 8)) == [12.5, 10, 2, 0.5]
    assert floats(points(fakes, meter, 213, 10, 8)) == [230] * 4
    assert floats(points(fakes, meter, 213, 28, 8)) == [1955, 2300, -460, 115]
    assert points(fakes, meter, 213, 36, 2) == [0x7FC0, 0]  # VA: not implemented


def test_meter_203_counts_energy_each_way(fakes):
    meter = SunSpecMeter(fakes.world, fakes.plant, 7)
    fakes.plant.set(0, 7200)
    fakes.at(1800)
    fakes.plant.set(fakes.world.now_us, -1800)
    fakes.at(5400)
    assert points(fakes, meter, 203, 38, 2) == [0, 1800]
    assert points(fakes, meter, 203, 46, 2) == [0, 3600]


def test_sunspec_meter_is_silent_until_its_first_interval_is_complete(fakes):
    meter = SunSpecMeter(fakes.world, fakes.plant, 7, update_ms=500)
    fakes.at(0.499_999)
    assert fakes.ask(meter, 3, 40000, 2) is None
    fakes.at(0.5)
    assert fakes.ask(meter, 3, 40000, 2) == [0x5375, 0x6E53]


def test_power_beyond_the_scale_saturates_as_in_real_meters(fakes):
    meter = SunSpecMeter(fakes.world, fakes.plant, 7, rated_a=10)
    fakes.plant.set(0, 50_000)
    fakes.at(1)
    assert points(fakes, meter, 203, 18, 5)[0] == 32_767
    fakes.plant.set(fakes.world.now_us, -50_000)
    fakes.at(2)
    assert points(fakes, meter, 203, 18, 5)[0] == 0x10000 - 32_767


def test_only_models_203_and_213(fakes):
    with pytest.raises(ValueError, match="model 201: 203 or 213 wanted"):
        SunSpecMeter(fakes.world, fakes.plant, 7, model=201)


def test_two_runs_give_the_same_bytes(fakes):
    def run():
        local = type(fakes)()
        meter = Sdm630(local.world, local.plant, 1, update_ms=130)
        replies = []
        for k in range(200):
            local.at(0.1 * k)
            local.plant.set(local.world.now_us, 17.3 * k, -3.1 * k)
            replies.append(meter.handle(rtu.read_request(1, 4, 6, 12), local.world.now_us))
        return replies

    assert run() == run()


def test_sdm630_reads_80_registers_at_most_and_to_its_last(fakes):
    meter = Sdm630(fakes.world, fakes.plant, 1)
    fakes.at(1)
    assert len(fakes.ask(meter, 4, 0, 76)) == 76
    assert fakes.ask(meter, 4, 0, 80) == 2
    assert len(fakes.ask(meter, 4, 0x4A, 2)) == 2


def test_an_update_time_of_zero_is_refused(fakes):
    with pytest.raises(ValueError, match="update_us 0: positive wanted"):
        Sdm630(fakes.world, fakes.plant, 1, update_ms=0)

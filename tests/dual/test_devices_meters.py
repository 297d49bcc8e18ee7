# SPDX-License-Identifier: MIT
"""Meter tables through devices.link: what is asked, and what the answers mean."""

from modbus_fakes import Clock, ScriptedMaster

from firmline.devices.catalog import table_of
from firmline.devices.link import DeviceLink

DONE, FAILED = 2, 3
NO_JOB, READ = 0, 1

AMPS_AND_WATTS = (
    (0x4128, 0x0000, 0x404C, 0xCCCD, 0x0000, 0x0000)  # 10.5 A, 3.2 A, 0 A
    + (0x450F, 0xC666, 0xC42F, 0x2666, 0x3F80, 0x0000)  # 2300.4 W, -700.6 W, 1 W
)
VOLTS = (0x4367, 0xAF55, 0x4365, 0xE666, 0x4366, 0x0000)  # 231.68 V, 229.9 V, 230 V


class Bench:
    def __init__(self, name, **options):
        self.clock = Clock()
        self.master = ScriptedMaster()
        self.link = DeviceLink(table_of(name), 1, options)

    def turn(self, registers=None, took_ms=30):
        """One transaction; returns the request, None when no job was due."""
        now_ms = self.clock.now_ms
        if self.link.job(now_ms) == NO_JOB:
            return None
        self.link.begin(self.master, now_ms)
        self.clock.after(took_ms)
        state = DONE if registers else FAILED
        self.link.finish(self.master.reply(registers), state, self.clock.now_ms)
        return self.master.requests[-1]

    def answer(self, registers):
        """Answer reads from a dict of registers until nothing is due; returns the requests."""
        asked = []
        while self.link.job(self.clock.now_ms) != NO_JOB:
            self.link.begin(self.master, self.clock.now_ms)
            request = self.master.requests[-1]
            _, _, address, count = request
            values = [registers.get(address + k, 0) for k in range(count)]
            self.link.finish(self.master.reply(values), DONE, self.clock.now_ms)
            asked.append(request)
        return asked


def read_sdm630(**options):
    bench = Bench("eastron_sdm630", **options)
    assert bench.turn(VOLTS) == (1, 4, 0x0000, 6)
    assert bench.turn(AMPS_AND_WATTS) == (1, 4, 0x0006, 12)
    return bench


def test_sdm630_is_read_in_two_blocks():
    link = read_sdm630().link
    assert link.l_ma == [10500, 3200, 0]
    assert link.l_w == [2300, -701, 1]
    assert link.l_dv == [2317, 2299, 2300]
    assert link.total_w == 1600
    assert (link.samples, link.is_online, link.product.role) == (1, True, "meter")


def test_sdm630_fast_block_follows_poll_ms_and_volts_once_a_second():
    bench = read_sdm630(poll_ms=100)
    asked = []
    for _ in range(10000):
        bench.clock.after(1)
        request = bench.turn(AMPS_AND_WATTS, took_ms=0)
        if request:
            asked.append(request[2])
    assert asked.count(0x0000) == 10
    assert asked.count(0x0006) == 100


def test_a_sample_is_dated_by_its_request():
    bench = read_sdm630()
    bench.clock.after(100)
    asked_ms = bench.clock.now_ms
    bench.turn(AMPS_AND_WATTS)
    assert bench.link.sampled_ms == asked_ms
    assert bench.link.last_ok_ms == asked_ms + 30


def test_next_read_is_due_after_poll_ms_not_before():
    bench = read_sdm630(poll_ms=100)
    bench.clock.after(69)
    assert bench.link.job(bench.clock.now_ms) == NO_JOB
    assert bench.link.wait_ms(bench.clock.now_ms) == 1
    bench.clock.after(1)
    assert bench.link.wait_ms(bench.clock.now_ms) == 0
    assert bench.link.job(bench.clock.now_ms) == READ


def test_one_bad_value_spoils_the_whole_sample():
    for k in range(6):
        bench = read_sdm630()
        bad = list(AMPS_AND_WATTS)
        bad[2 * k] = 0x7FC0  # NaN
        bad[0 if k else 2] = 0x4248  # another value has changed, too
        bench.clock.after(100)
        bench.turn(bad)
        link = bench.link
        assert (link.samples, link.rejected) == (1, 1)
        assert link.l_ma == [10500, 3200, 0]
        assert link.l_w == [2300, -701, 1]
        assert link.total_w == 1600
        assert link.is_online


def test_phases_that_are_not_wired_are_left_out():
    bench = Bench("eastron_sdm630", phases=1)
    nan_elsewhere = list(AMPS_AND_WATTS)
    for k in (2, 4, 8, 10):
        nan_elsewhere[k] = 0x7FC0
    bench.turn(VOLTS)
    bench.turn(nan_elsewhere)
    assert bench.link.l_ma == [10500, 0, 0]
    assert bench.link.l_w == [2300, 0, 0]
    assert bench.link.total_w == 2300
    assert bench.link.rejected == 0


def test_meter_is_offline_after_three_failures_and_asked_on_without_a_pause():
    bench = read_sdm630()
    for wanted in (True, True, False, False):
        bench.clock.after(100)
        assert bench.turn() is not None
        assert bench.link.is_online is wanted
    bench.clock.after(100)
    bench.turn(AMPS_AND_WATTS)
    assert bench.link.is_online
    assert bench.link.failures == 4


def test_one_good_answer_starts_the_count_of_failures_again():
    bench = read_sdm630()
    for registers in (None, None, AMPS_AND_WATTS, None, None):
        bench.clock.after(100)
        bench.turn(registers)
    assert bench.link.is_online


def test_meter_takes_no_commands():
    bench = read_sdm630()
    assert bench.link.acked_w == 0
    assert not bench.link.settled()
    assert [request[1] for request in bench.master.requests] == [4, 4]


def sunspec(*models):
    """Registers of a SunSpec device: {address: value}, models as (id, length, {offset: value})."""
    registers = {40000: 0x5375, 40001: 0x6E53}
    address = 40002
    for model, length, values in models:
        registers[address] = model
        registers[address + 1] = length
        for offset in values:
            registers[address + offset] = values[offset]
        address += length + 2
    registers[address] = 0xFFFF
    return registers


METER_203 = {
    3: 1050, 4: 320, 5: 0, 6: 0xFFFE,  # 10.5 A, 3.2 A, 0 A
    8: 2317, 9: 2299, 10: 2300, 15: 0xFFFF,
    18: 160, 19: 230, 20: 0xFFBA, 21: 0, 22: 1,  # 1600 W = 2300 - 700 + 0
}  # fmt: skip


def test_sunspec_203_is_found_along_the_chain_and_read_in_one_block():
    bench = Bench("sunspec_meter_203", poll_ms=100)
    asked = bench.answer(sunspec((1, 66, {}), (203, 105, METER_203)))
    assert asked == [
        (1, 3, 40000, 2),
        (1, 3, 40002, 2),
        (1, 3, 40070, 2),
        (1, 3, 40072, 21),
    ]
    link = bench.link
    assert link.l_ma == [10500, 3200, 0]
    assert link.l_dv == [2317, 2299, 2300]
    assert link.l_w == [2300, -700, 0]
    assert link.total_w == 1600


def test_sunspec_203_uses_the_scale_factors_of_the_same_reply():
    bench = Bench("sunspec_meter_203", poll_ms=100)
    bench.answer(sunspec((1, 66, {}), (203, 105, METER_203)))
    changed = dict(METER_203)
    changed[22] = 0
    bench.clock.after(100)
    bench.answer(sunspec((1, 66, {}), (203, 105, changed)))
    assert bench.link.total_w == 160
    assert bench.link.l_w == [230, -70, 0]


def test_sunspec_203_not_implemented_scale_or_value_spoils_the_sample():
    for offset in (3, 6, 10, 15, 18, 21, 22):
        bench = Bench("sunspec_meter_203", poll_ms=100)
        values = dict(METER_203)
        values[offset] = 0x8000
        bench.answer(sunspec((1, 66, {}), (203, 105, values)))
        assert (bench.link.samples, bench.link.rejected) == (0, 1), offset


def test_sunspec_203_leaves_out_phases_that_are_not_wired():
    bench = Bench("sunspec_meter_203", phases=3)
    values = dict(METER_203)
    for offset in (5, 10, 21):
        values[offset] = 0x8000
    bench.answer(sunspec((201, 105, values)))
    assert bench.link.samples == 1
    assert bench.link.l_w == [2300, -700, 0]


def test_sunspec_203_base_may_be_the_models_own_address():
    bench = Bench("sunspec_meter_203", base=40070)
    asked = bench.answer(sunspec((1, 66, {}), (203, 105, METER_203)))
    assert asked == [(1, 3, 40070, 2), (1, 3, 40072, 21)]
    assert bench.link.total_w == 1600


def test_a_meter_without_the_model_is_never_online():
    bench = Bench("sunspec_meter_203")
    asked = bench.answer(sunspec((1, 66, {}), (103, 50, {})))
    assert asked[-1] == (1, 3, 40122, 2)
    assert not bench.link.is_online
    assert bench.link.samples == 0
    assert bench.link.wait_ms(bench.clock.now_ms) == 500


def test_a_model_that_is_too_short_is_not_taken():
    bench = Bench("sunspec_meter_203")
    bench.answer(sunspec((203, 20, METER_203)))
    assert not bench.link.is_online


def test_sunspec_213_floats():
    values = {}
    floats = {
        4: (0x4128, 0), 6: (0x404C, 0xCCCD), 8: (0, 0),
        12: (0x4367, 0xAF55), 14: (0x4365, 0xE666), 16: (0x4366, 0),
        28: (0x44C8, 0), 30: (0x450F, 0xC666), 32: (0xC42F, 0x2666), 34: (0x3F80, 0),
    }  # fmt: skip
    for offset in floats:
        values[offset], values[offset + 1] = floats[offset]
    bench = Bench("sunspec_meter_213")
    asked = bench.answer(sunspec((1, 66, {}), (213, 124, values)))
    assert asked[-1] == (1, 3, 40074, 32)
    link = bench.link
    assert link.l_ma == [10500, 3200, 0]
    assert link.l_dv == [2317, 2299, 2300]
    assert link.l_w == [2300, -701, 1]
    assert link.total_w == 1600

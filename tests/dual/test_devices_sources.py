# SPDX-License-Identifier: MIT
"""PV and battery tables through devices.link: the frames, reversion first, signs and scales."""

from modbus_fakes import Clock, ScriptedMaster

from firmline.devices.catalog import table_of
from firmline.devices.link import DeviceLink

DONE, FAILED = 2, 3
NO_JOB = 0


class Bench:
    """A SunSpec device at 40000: models as (id, length, {offset: value}), in order."""

    def __init__(self, name, models, **options):
        self.clock = Clock()
        self.master = ScriptedMaster()
        self.link = DeviceLink(table_of(name), 3, options)
        self.registers = {40000: 0x5375, 40001: 0x6E53}
        self.at = {}
        address = 40002
        for model, length, values in models:
            self.at[model] = address
            self.registers[address] = model
            self.registers[address + 1] = length
            for offset in values:
                self.registers[address + offset] = values[offset]
            address += length + 2
        self.registers[address] = 0xFFFF

    def set(self, model, offset, value):
        self.registers[self.at[model] + offset] = value

    def run(self):
        """Serve what is due; returns the writes as (model, offset, values)."""
        self.master.requests = []
        while self.link.job(self.clock.now_ms) != NO_JOB:
            self.link.begin(self.master, self.clock.now_ms)
            _, function, address, count = self.master.requests[-1]
            if function == 3:
                self.master.reply([self.registers.get(address + k, 0) for k in range(count)])
            self.link.finish(self.master, DONE, self.clock.now_ms)
        return [self.place(request) for request in self.master.requests if request[1] == 16]

    def place(self, request):
        model = max([(self.at[model], model) for model in self.at if self.at[model] <= request[2]])
        return (model[1], request[2] - model[0], request[3])

    def command(self, command_w):
        self.link.set_command(command_w, True, self.clock.now_ms)
        return self.run()

    def read(self, after_ms=5000):
        self.clock.after(after_ms)
        return self.run()


COMMON = (1, 66, {})


def pv_704(**options):
    models = (COMMON, (701, 153, {10: 420, 116: 1}), (704, 65, {54: 0xFFFE}))
    return Bench("sunspec_pv_704", models, rated_w=10000, **options)


def test_pv_704_sets_reversion_before_the_first_command():
    bench = pv_704(fallback_w=2000, reversion_s=10)
    assert bench.command(-5000) == [(704, 16, [2000, 1, 0, 10]), (704, 14, [1, 5000])]
    assert bench.link.settled()


def test_pv_704_refresh_writes_enable_and_set_point_again():
    bench = pv_704(fallback_w=-2000, reversion_s=9)
    bench.command(-2500)
    bench.clock.after(2999)
    assert bench.run() == []
    bench.clock.after(1)
    assert bench.run() == [(704, 14, [1, 2500])]
    bench.clock.after(2999)
    assert bench.run() == []


def test_pv_704_power_is_supplied():
    bench = pv_704()
    bench.run()
    assert bench.link.power_w == -4200
    assert bench.link.soc_permille == -1


def test_pv_704_uses_the_devices_own_rating_when_it_tells():
    models = (COMMON, (701, 153, {}), (702, 50, {26: 2000, 45: 1}), (704, 65, {54: 0xFFFE}))
    bench = Bench("sunspec_pv_704", models, rated_w=10000)
    assert bench.command(-5000)[-1] == (704, 14, [1, 2500])


def test_pv_704_without_the_devices_rating_uses_the_configured_one():
    models = (COMMON, (701, 153, {}), (702, 50, {26: 0xFFFF}), (704, 65, {54: 0xFFFE}))
    bench = Bench("sunspec_pv_704", models, rated_w=10000)
    assert bench.command(-5000)[-1] == (704, 14, [1, 5000])


def test_pv_with_an_unusable_scale_factor_is_never_written():
    for scale in (0x8000, 0xFFFD, 3):
        bench = pv_704()
        bench.set(704, 54, scale)
        assert bench.command(-5000) == []
        assert not bench.link.is_online


def test_pv_without_the_model_is_never_written():
    for missing in (701, 704):
        models = [COMMON, (701, 153, {}), (704, 65, {54: 0xFFFE})]
        models = [model for model in models if model[0] != missing]
        bench = Bench("sunspec_pv_704", models, rated_w=10000)
        assert bench.command(-5000) == []
        assert not bench.link.is_online


def test_pv_that_returns_with_other_addresses_is_found_again():
    bench = pv_704()
    bench.command(-5000)
    now_ms = bench.clock.after(1000)
    for _ in range(3):
        bench.link.job(now_ms)
        bench.link.begin(bench.master, now_ms)
        bench.link.finish(bench.master, FAILED, now_ms)
    assert not bench.link.is_online
    longer = (COMMON, (702, 50, {26: 0xFFFF}), (701, 153, {}), (704, 65, {54: 0xFFFE}))
    moved = Bench("sunspec_pv_704", longer)
    bench.registers, bench.at = moved.registers, moved.at
    bench.read()
    for _ in range(3):
        bench.read(1000)
    assert bench.link.is_online
    assert bench.link.settled()
    assert bench.registers[bench.at[704]] == 704
    writes = [request[2] for request in bench.master.requests if request[1] == 16]
    assert all(address - bench.at[704] in (14, 16) for address in writes)


def test_pv_without_any_rating_is_never_written():
    models = (COMMON, (701, 153, {}), (704, 65, {54: 0xFFFE}))
    bench = Bench("sunspec_pv_704", models)
    assert bench.command(-5000) == []


def pv_123(**options):
    models = (COMMON, (103, 50, {14: 42, 15: 2}), (120, 26, {3: 0xFFFF}), (123, 24, {23: 0}))
    return Bench("sunspec_pv_123", models, rated_w=10000, **options)


def test_pv_123_is_one_frame_with_the_timer_off():
    bench = pv_123(reversion_s=10)
    assert bench.command(-5050) == [(123, 5, [50, 0, 0, 0, 1])]
    assert bench.link.power_w == -4200


def test_pv_123_timer_runs_only_where_its_end_is_safe():
    bench = pv_123(reversion_s=10, reversion_is_safe=True)
    assert bench.command(-5000) == [(123, 5, [50, 0, 10, 0, 1])]


def test_pv_123_prefers_the_setting_to_the_nameplate_to_the_configuration():
    nameplate = (120, 26, {3: 2000, 4: 1})
    controls = (123, 24, {23: 0})
    models = (COMMON, (103, 50, {}), nameplate, controls)
    bench = Bench("sunspec_pv_123", models, rated_w=10000)
    assert bench.command(-5000)[0][2][0] == 25
    settings = (121, 30, {2: 25, 22: 2, 1: 30})
    models = (COMMON, (101, 50, {}), nameplate, settings, controls)
    bench = Bench("sunspec_pv_123", models, rated_w=10000)
    assert bench.link.unit == 3
    bench.command(-500)
    assert bench.link.rated == 2500


def battery_704(**options):
    models = (
        COMMON,
        (701, 153, {10: 0xFFEC, 116: 2}),
        (704, 65, {55: 0}),
        (713, 7, {4: 553, 8: 0xFFFF}),
    )
    return Bench("sunspec_battery_704", models, **options)


def test_battery_704_sets_reversion_before_the_first_command():
    bench = battery_704(fallback_w=-1000, reversion_s=70000)
    assert bench.command(5000) == [
        (704, 26, [0, 1000]),
        (704, 30, [1, 1, 4464]),
        (704, 22, [1, 1, 0xFFFF, 0xEC78]),
    ]


def test_battery_704_measures_charging_positive_and_its_charge():
    bench = battery_704()
    bench.run()
    assert bench.link.power_w == 2000
    assert bench.link.soc_permille == 553


def test_battery_704_discharge_is_positive_on_the_wire():
    bench = battery_704()
    bench.run()
    assert bench.command(-3000) == [(704, 22, [1, 1, 0, 3000])]


def test_battery_704_with_a_scale_factor():
    bench = battery_704()
    bench.set(704, 55, 1)
    assert bench.command(-3009)[-1] == (704, 22, [1, 1, 0, 300])


def test_battery_704_without_713_has_unknown_charge():
    models = (COMMON, (701, 153, {}), (704, 65, {55: 0}))
    bench = Bench("sunspec_battery_704", models)
    bench.run()
    assert bench.link.is_online
    bench.read()
    assert bench.link.soc_permille == -1
    assert all(request[2] > 40000 for request in bench.master.requests)


def battery_124(**options):
    storage = {2: 500, 18: 1, 25: 0xFFFE, 8: 5530, 22: 0xFFFE}
    models = (COMMON, (103, 50, {14: 0xFF38, 15: 1}), (124, 24, storage))
    return Bench("sunspec_battery_124", models, **options)


def test_battery_124_writes_both_rates_then_activates_them():
    bench = battery_124(reversion_s=10)
    assert bench.command(2500) == [(124, 12, [0xEC78, 5000, 0, 0]), (124, 5, [3])]
    assert bench.command(-5000) == [(124, 12, [10000, 0xD8F0, 0, 0]), (124, 5, [3])]


def test_battery_124_lost_between_two_frames_gets_both_again():
    bench = battery_124()
    bench.run()
    now_ms = bench.clock.now_ms
    bench.link.set_command(2500, True, now_ms)
    for state in (DONE, FAILED, FAILED, FAILED):
        bench.link.job(now_ms)
        bench.link.begin(bench.master, now_ms)
        bench.link.finish(bench.master, state, now_ms)
    assert not bench.link.is_online
    writes = bench.read(1000)
    probe = (124, 12, [0xEC78, 5000, 0, 0])
    assert writes == [probe, (124, 12, [0xEC78, 5000, 0, 0]), (124, 5, [3])]


def test_battery_124_command_that_changes_between_two_frames_starts_again():
    bench = battery_124()
    bench.run()
    now_ms = bench.clock.now_ms
    bench.link.set_command(2500, True, now_ms)
    bench.link.job(now_ms)
    bench.link.begin(bench.master, now_ms)
    bench.link.finish(bench.master, DONE, now_ms)
    assert bench.command(0) == [(124, 12, [0, 0, 0, 0]), (124, 5, [3])]
    assert bench.link.acked_w == 0


def test_battery_124_timer_runs_only_where_its_end_is_safe():
    bench = battery_124(reversion_s=10, reversion_is_safe=True)
    assert bench.command(0) == [(124, 12, [0, 0, 0, 10]), (124, 5, [3])]


def test_battery_124_measures():
    bench = battery_124()
    bench.run()
    assert bench.link.power_w == 2000
    assert bench.link.soc_permille == 553


def test_battery_124_without_a_charge_rating_is_never_written():
    for rating in (0, 0xFFFF):
        bench = battery_124()
        bench.set(124, 2, rating)
        assert bench.command(2500) == []
        assert not bench.link.is_online


def test_inverter_that_reports_no_power_is_still_commanded():
    bench = pv_704()
    bench.set(701, 10, 0x8000)
    assert bench.command(-5000)[-1] == (704, 14, [1, 5000])
    bench.read(1000)
    assert bench.link.is_online
    assert (bench.link.samples, bench.link.rejected) == (0, 2)

# SPDX-License-Identifier: MIT
"""Emulators by type name: the controller's own configuration entry is what commissions them."""

import pytest

from firmline.devices import catalog
from hil.line import devices
from hil.line.evse import Heidelberg, TerraAc
from hil.line.meters import Sdm630, SunSpecMeter
from hil.line.sunspec_der import SunSpecBattery124, SunSpecBattery704, SunSpecPv123, SunSpecPv704

RATED = {"rated_w": 5000}
RATES = {"max_charge_w": 5000, "max_discharge_w": 4000}
AMPS = {"max_a": 16, "fallback_a": 6, "min_a": 6, "watchdog_s": 10}


@pytest.mark.parametrize(
    "kind, config, cls",
    (
        ("eastron_sdm630", {"role": "pcc"}, Sdm630),
        ("sunspec_meter_203", {"base": 50_000}, SunSpecMeter),
        ("sunspec_meter_213", {}, SunSpecMeter),
        ("sunspec_pv_123", RATED, SunSpecPv123),
        ("sunspec_pv_704", RATED, SunSpecPv704),
        ("sunspec_battery_124", RATES, SunSpecBattery124),
        ("sunspec_battery_704", RATES, SunSpecBattery704),
        ("abb_terra_ac", AMPS, TerraAc),
        ("heidelberg_energy_control", AMPS, Heidelberg),
    ),
)
def test_create_makes_the_emulator_of_a_configuration_entry(fakes, kind, config, cls):
    config = {"type": kind, "unit": 9, "name": "one", "bus": 0, "poll_ms": 500} | config
    element = None if "meter" in kind or "sdm" in kind else fakes.Element()
    emulator = {"update_ms": 500, "response_delay_ms": 7}
    device = devices.create(fakes.world, fakes.plant, config, element, emulator)
    assert type(device) is cls
    assert (device.unit, device.name, device.response_delay_us) == (9, "one", 7_000)
    assert getattr(device, "rated_w", 5000) == 5000
    assert getattr(device, "base", 40_000) == config.get("base", 40_000)
    if cls in (TerraAc, Heidelberg):
        assert (device.max_ma, device.fallback_ma) == (16_000, 6_000)


def test_meters_of_both_models_are_told_apart(fakes):
    for model in (203, 213):
        config = {"type": f"sunspec_meter_{model}", "unit": 1, "name": "m"}
        assert model in devices.create(fakes.world, fakes.plant, config).start


def test_every_product_of_the_firmware_has_an_emulator():
    assert set(catalog.PLACES) <= set(devices.TYPES)


def test_a_unit_outside_1_to_247_is_refused(fakes):
    for unit in (0, 248):
        with pytest.raises(ValueError, match=f"unit {unit}: 1..247 wanted"):
            Sdm630(fakes.world, fakes.plant, unit)

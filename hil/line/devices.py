# SPDX-License-Identifier: MIT
"""Emulators by the device type names of a scenario and of the controller's configuration."""

from hil.line.evse import Heidelberg, TerraAc
from hil.line.meters import Sdm630, SunSpecMeter
from hil.line.sunspec_der import (
    SunSpecBattery124,
    SunSpecBattery704,
    SunSpecPv123,
    SunSpecPv704,
)

_BATTERY = ("max_charge_w", "max_discharge_w", "base")
# type -> (class, configuration keys that are also commissioned in the device, fixed arguments)
TYPES = {
    "eastron_sdm630": (Sdm630, (), {}),
    "sunspec_meter_203": (SunSpecMeter, ("base",), {"model": 203}),
    "sunspec_meter_213": (SunSpecMeter, ("base",), {"model": 213}),
    "sunspec_pv_123": (SunSpecPv123, ("rated_w", "base"), {}),
    "sunspec_pv_704": (SunSpecPv704, ("rated_w", "base"), {}),
    "sunspec_battery_124": (SunSpecBattery124, _BATTERY, {}),
    "sunspec_battery_704": (SunSpecBattery704, _BATTERY, {}),
    "abb_terra_ac": (TerraAc, ("max_a", "fallback_a"), {}),
    "heidelberg_energy_control": (Heidelberg, ("max_a", "fallback_a"), {}),
}


def create(world, plant, config, element=None, emulator=None):
    """The emulated device of one entry of the configuration's `devices` list.

    config: the controller's own keys (type, unit, name, rated_w ...). element: the plant element
    it steers; None for a meter. emulator: further keyword arguments of the class, such as
    update_ms and response_delay_ms.
    """
    cls, keys, fixed = TYPES[config["type"]]
    more = {key: config[key] for key in keys if key in config}
    steered = (plant,) if element is None else (plant, element)
    more |= fixed | (emulator or {})
    return cls(world, *steered, config["unit"], name=config.get("name"), **more)

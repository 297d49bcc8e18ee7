# SPDX-License-Identifier: MIT
"""From a scenario's description of the truth to the plant itself."""

from hil import plant
from hil.plant.element import to_us

_STAYS_S = 1e9  # a vehicle without leave_s


def build_plant(scenario):
    """A new hil.plant.Plant at t = 0; its elements are found by name: plant.element(name)."""
    elements = [
        _BUILD[key](element, scenario.seed)
        for key in ("load", "pv", "battery", "ev", "relay_load")
        for element in getattr(scenario.plant, key)
    ]
    return plant.Plant(scenario.site["phases"], scenario.site["voltage_v"], elements)


def _load(element, seed):
    kind, parameters = element.kind, element.parameters
    if kind == "events":
        return plant.EventLoad(element.name, element.phases, seed, **parameters)
    build = {"constant": plant.ConstantLoad, "csv": plant.CsvLoad, "steps": plant.StepLoad}[kind]
    return build(element.name, element.phases, **parameters)


def _pv(element, seed):
    parameters = dict(element.parameters)
    inverter = {key: parameters.pop(key) for key in ("rated_w", "delay_ms", "ramp_w_per_s")}
    profile = _PROFILES[element.kind](inverter["rated_w"], f"{seed}:{element.name}", **parameters)
    return plant.Pv(element.name, element.phases, profile=profile, **inverter)


def _steps_profile(rated_w, seed, at_s, available_w):
    t_us = [to_us(at) for at in at_s]
    values = list(available_w)
    if t_us[0] > 0:
        t_us, values = [0, *t_us], [0, *values]
    return plant.trace_profile(plant.Trace("steps", t_us, {"pv_w": values}))


_PROFILES = {
    "constant": lambda rated_w, seed, available_w: plant.constant_profile(available_w),
    "csv": lambda rated_w, seed, trace: plant.trace_profile(trace),
    "steps": _steps_profile,
    "clear_sky": lambda rated_w, seed, **sky: plant.clear_sky(rated_w, seed=seed, **sky),
}


def _ev(element, seed):
    parameters = dict(element.parameters)
    if parameters["leave_s"] is None:
        parameters["leave_s"] = _STAYS_S
    return plant.Ev(element.name, element.phases, **parameters)


_BUILD = {
    "load": _load,
    "pv": _pv,
    "battery": lambda element, seed: plant.Battery(
        element.name, element.phases, **element.parameters
    ),
    "ev": _ev,
    "relay_load": lambda element, seed: plant.RelayLoad(
        element.name, element.phases, **element.parameters
    ),
}

# SPDX-License-Identifier: MIT
"""Randomised scenario x fault variants: number k of seed s is the same run on every machine."""

from dataclasses import replace
from random import Random

from hil.conformance import profiles
from hil.scenarios.load import load
from hil.scenarios.model import Fault

_BASES = ("export_limit", "head_end_silent", "load_step_battery", "load_step_ev", "meter_cut")
# Faults that the controller has an answer to today; kind -> parameters drawn for it
_FAULTS = {
    "no_response": lambda draw: {},
    "bad_crc": lambda draw: {"probability": round(draw.uniform(0.1, 1.0), 2)},
    "delay": lambda draw: {"delay_ms": draw.randint(10, 400)},
}
_LONGEST_FAULT_S = 60
_FIRST_FAULT_S = 10  # by then each device has been given its reversion value
_REVERSION_S = 10


def variant(folder, seed, number):
    """Scenario `number` (from 0) of campaign `seed`, from the scenarios in `folder`."""
    draw = Random(f"{seed}:{number}")
    base = load(folder / f"{draw.choice(_BASES)}.toml")
    fault = tuple(_fault(base, draw) for _ in range(draw.randint(0, 3)))
    return replace(
        _without_ban(base) if _hits_actuator(fault, base) else base,
        name=f"{base.name}-{number}",
        seed=draw.randrange(1, 2**31),
        device=tuple(_retimed(device, draw) for device in base.device),
        plant=replace(base.plant, load=tuple(_scaled(load, draw) for load in base.plant.load)),
        fault=fault,
        expect=_checks(_hits_actuator(fault, base)),
    )


def _hits_actuator(fault, base):
    meters = {device.name for device in base.device if device.role == "meter"}
    return any(item.target not in meters for item in fault)


def _checks(is_longer):
    """The profile's; a lost actuator may take its own reversion or watchdog time more."""
    expect = profiles.checks(profiles.DEFAULT)
    return tuple(replace(e, max=e.max + _REVERSION_S) if is_longer else e for e in expect)


def _without_ban(base):
    """No grants: a device that cannot be reached goes to its fallback value, and that was
    commissioned for the firm limit, not for a stricter one (docs/safety.md)."""
    if base.head_end_script is None:
        return base
    return replace(base, head_end_script=replace(base.head_end_script, write=()))


def _retimed(device, draw):
    """A meter that is quicker or slower than the one of the scenario."""
    if device.role != "meter":
        return device
    drawn = {
        "update_ms": draw.choice((100, 200, 300, 500)),
        "response_delay_ms": draw.randint(5, 50),
    }
    return replace(device, emulator=device.emulator | drawn)


def _scaled(load, draw):
    """Steps of another height and at another moment."""
    if load.kind != "steps":
        return load
    factor = draw.uniform(0.5, 1.0)
    shift_s = draw.uniform(0, 5)
    at_s = [t + shift_s if t else 0 for t in load.parameters["at_s"]]
    load_w = [round(w * factor) for w in load.parameters["load_w"]]
    return replace(load, parameters=load.parameters | {"at_s": at_s, "load_w": load_w})


def _fault(base, draw):
    kind = draw.choice(sorted(_FAULTS))
    target = draw.choice([d.name for d in base.device if "unit" in d.config])
    from_s = draw.uniform(_FIRST_FAULT_S, base.duration_s - 1)
    to_s = from_s + draw.uniform(0.2, _LONGEST_FAULT_S)
    return Fault(kind, target, from_s, to_s, _FAULTS[kind](draw))

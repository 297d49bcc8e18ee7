# SPDX-License-Identifier: MIT
"""From a scenario to the objects of a run: plant elements, wires, emulated devices, head-end."""

from hil import plant as plants
from hil.line import devices as emulators
from hil.line.ct import CtInputs
from hil.line.faults import Fault
from hil.line.head_end import HeadEnd, HeadEndMap
from hil.line.line import Line, MasterLine
from hil.scenarios.schema import CONTROLLER, CT_FAULTS, CT_TYPE

US_PER_S = 1_000_000


def build_plant(scenario):
    spec = scenario.plant
    elements = [_load(item, scenario.seed) for item in spec.load]
    elements += [plants.Ev(item.name, item.phases, **_ev(item, scenario)) for item in spec.ev]
    elements += [_pv(item, scenario.seed) for item in spec.pv]
    elements += [plants.Battery(i.name, i.phases, **_given(i.parameters)) for i in spec.battery]
    elements += [
        plants.RelayLoad(i.name, i.phases, **_given(i.parameters)) for i in spec.relay_load
    ]
    return plants.Plant(scenario.site["phases"], scenario.site["voltage_v"], elements)


def _given(parameters):
    return {key: value for key, value in parameters.items() if value is not None}


def _ev(item, scenario):
    parameters = _given(item.parameters)
    parameters.setdefault("leave_s", parameters.get("arrive_s", 0) + scenario.duration_s + 1)
    return parameters


def _load(item, seed):
    parameters = _given(item.parameters)
    if item.kind == "constant":
        return plants.ConstantLoad(item.name, item.phases, **parameters)
    if item.kind == "steps":
        return plants.StepLoad(item.name, item.phases, **parameters)
    if item.kind == "csv":
        return plants.CsvLoad(item.name, item.phases, **parameters)
    return plants.EventLoad(item.name, item.phases, seed, **parameters)


def _pv(item, seed):
    parameters = _given(item.parameters)
    own = {
        k: parameters.pop(k) for k in ("rated_w", "delay_ms", "ramp_w_per_s") if k in parameters
    }
    if item.kind == "csv":
        profile = plants.trace_profile(**parameters)
    elif item.kind == "clear_sky":
        profile = plants.clear_sky(own["rated_w"], seed=seed, **parameters)
    elif item.kind == "steps":
        profile = _steps(**parameters)
    else:
        profile = plants.constant_profile(parameters.get("available_w", own["rated_w"]))
    return plants.Pv(item.name, item.phases, profile=profile, **own)


def _steps(at_s, available_w):
    if at_s[0] > 0:
        yield round(at_s[0] * US_PER_S), 0.0, 0.0
    for k, w in enumerate(available_w):
        end_us = round(at_s[k + 1] * US_PER_S) if k + 1 < len(at_s) else 1 << 62
        yield end_us, float(w), float(w)


def build_cts(world, scenario, plant, config):
    """The CT inputs of the site, with their faults armed; None where its meter is on a bus.
    config: what the controller was told, complete."""
    device = next((d for d in config["devices"] if d["type"] == CT_TYPE), None)
    if device is None:
        return None
    cts = CtInputs(world, plant, device, config["site"])
    for fault in scenario.fault:
        if fault.kind in CT_FAULTS:
            cts.arm(fault)
    return cts


def build_wires(world, scenario, plant):
    """(port name -> wire, device name -> emulated device); faults are armed."""
    wires = {}
    lines = []
    for index, bus in enumerate(scenario.bus):
        latency_us = bus.get("latency_us") or 0
        line = Line(world, bus.get("baud", 19200), latency_us, scenario.seed, f"bus{index}")
        wires[bus["port"]] = line
        lines.append(line)
    devices = {}
    for device in scenario.device:
        if "unit" not in device.config:
            continue
        element = plant.element(device.plant) if device.plant else None
        emulated = emulators.create(world, plant, device.config, element, device.emulator)
        lines[device.config.get("bus", 0)].attach(emulated)
        devices[device.name] = emulated
    if scenario.head_end is not None:
        entry = scenario.head_end
        wires[entry["port"]] = MasterLine(world, entry.get("baud", 19200), 0, scenario.seed)
    for fault in scenario.fault:
        if fault.target == CONTROLLER or fault.kind in CT_FAULTS:
            continue
        _wire_of(fault.target, scenario, lines, wires).add_fault(
            Fault(
                fault.kind,
                fault.target,
                round(fault.from_s * US_PER_S),
                round(fault.to_s * US_PER_S),
                fault.parameters,
            )
        )
    return wires, devices


def _wire_of(target, scenario, lines, wires):
    if target == "head_end":
        return wires[scenario.head_end["port"]]
    for index, line in enumerate(lines):
        if target == line.name:
            return line
        for device in scenario.device:
            if device.name == target and device.config.get("bus", 0) == index:
                return line
    raise ValueError(target)


def head_end_map():
    """Addresses of the controller's server, from its own table."""
    from firmline.services import register_map

    status, fields = _model_fields(register_map)
    return HeadEndMap(
        heartbeat=register_map.HEARTBEAT,
        write=register_map.DYNAMIC,
        status=status,
        status_count=max(offset + 2 for offset, _ in fields.values()),
        status_fields=fields,
    )


def _model_fields(register_map):
    """Start and fields of the Firmline model up to its counters (one read request)."""
    address = register_map.BASE
    start = None
    fields = {}
    for point in register_map.POINTS:
        model, name, kind, _, _ = point
        if "{}" in name:  # the resources, and what only tools read
            break
        if model == register_map.FIRMLINE_MODEL:
            start = address if start is None else start
            if kind in (register_map.U16, register_map.I32):
                fields[name] = (address - start, "i32" if kind == register_map.I32 else "u16")
        address += register_map.width(point)
    return start, fields


def build_head_end(world, scenario, wires):
    if scenario.head_end is None or scenario.head_end_script is None:
        return None
    entry = scenario.head_end
    wire = wires[entry["port"]]
    return HeadEnd(world, wire, entry.get("unit", 1), head_end_map(), scenario.head_end_script)

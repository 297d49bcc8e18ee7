# SPDX-License-Identifier: MIT
"""Read a scenario file: `load` gives frozen dataclasses or raises BadInput with one line.

Called by the bench before anything runs. It judges what only the bench can know (plant, faults,
script, expectations); what the controller is told is judged a second time by the firmware's own
validator, which gets `build_config`.
"""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

from hil.scenarios import schema, traces
from hil.scenarios.check import BadInput, Checker, shown
from hil.scenarios.model import (
    Device,
    Element,
    Expect,
    Fault,
    HeadEndScript,
    Plant,
    Scenario,
    Tolerance,
    Write,
)

__all__ = ["BadInput", "Scenario", "build_config", "load"]

_BENCH_ONLY = ("plant", "emulator", "latency_us")
_ELEMENT_OF_ROLE = {"evse": "ev", "pv": "pv", "battery": "battery", "relay": "relay_load"}
# Columns of trace.csv that a device named so would overwrite with its <name>_w.
_TAKEN = "pcc l1 l2 l3 load pv meter limit_import limit_export in_force_import in_force_export"
_MOST_WRITES = 10_000
_MOST_BYTES = 10_000_000


def load(path, load_csv=None, seed=None):
    """The scenario in the TOML file `path`; `load_csv` replaces its uncontrolled load (and its
    first PV's availability if there is a pv_w column), `seed` its seed."""
    path = Path(path)
    reader = _Reader(path, _read_toml(path))
    scenario = reader.scenario()
    if load_csv is not None:
        scenario = _with_load(scenario, Path(load_csv))
    if seed is not None:
        if not _is_seed(seed):
            accepted = schema.SCENARIO["seed"].accepted()
            raise BadInput(f"--seed = {shown(seed)}: expected {accepted}")
        scenario = replace(scenario, seed=seed)
    return scenario


def build_config(scenario):
    """The controller's configuration (a new dict, ready for json.dumps) of a scenario."""
    config = {"schema": 1, "site": dict(scenario.site)}
    if scenario.timing:
        config["timing"] = dict(scenario.timing)
    config["buses"] = [_told(bus) for bus in scenario.bus]
    if scenario.head_end is not None:
        config["head_end"] = dict(scenario.head_end)
    config["devices"] = [dict(device.config) for device in scenario.device]
    return config


def _told(table):
    return {key: value for key, value in table.items() if key not in _BENCH_ONLY}


def _is_seed(seed):
    field = schema.SCENARIO["seed"]
    return type(seed) is int and field.low <= seed <= field.high


def _read_toml(path):
    try:
        with open(path, "rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        raise BadInput(f"{path}: cannot be read: {reason}; expected a scenario file") from None
    if len(data) > _MOST_BYTES:
        raise BadInput(f"{path}: more than {_MOST_BYTES} bytes: expected a scenario file")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise BadInput(f"{path}: line {line}, column {column}: expected UTF-8 text") from None
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise BadInput(f"{path}: nested too deeply: expected a scenario file") from None
    except tomllib.TOMLDecodeError as error:
        what, place = re.fullmatch(r"(?s)(.*) \(at (.*)\)", str(error)).groups()
        if place == "end of document":
            line = text.count("\n") + 1
            place = f"line {line}, column {len(text) - text.rfind(chr(10))}"
        raise BadInput(f"{path}: {place}: not valid TOML: {what}") from None


def _with_load(scenario, path):
    """The scenario with the CSV file instead of its uncontrolled load."""
    phases = scenario.site["phases"]
    trace = traces.read(path, phases)
    every = "L" + "123"[:phases]
    csv_load = Element("load_csv", every, "csv", {"trace": trace})
    pv = scenario.plant.pv
    if trace.has_pv:
        if not pv:
            accepted = "no pv_w, because the scenario has no plant.pv"
            raise BadInput(f"{path}: row 1, column pv_w: expected {accepted}")
        kept = {key: pv[0].parameters[key] for key in ("rated_w", "delay_ms", "ramp_w_per_s")}
        pv = (replace(pv[0], kind="csv", parameters=kept | {"trace": trace}), *pv[1:])
    return replace(scenario, plant=replace(scenario.plant, load=(csv_load,), pv=pv))


class _Reader:
    """One pass over the parsed file, from the sections others refer to, to those that refer."""

    def __init__(self, path, raw):
        self.path = path
        self.check = Checker(path)
        self.raw = self.check.table(raw, schema.TOP, "")

    def scenario(self):
        head = self.section("scenario", schema.SCENARIO)
        self.duration_s = head["duration_s"]
        tolerance = Tolerance(**self.section("tolerance", schema.TOLERANCE))
        self.site = self.section("site", schema.SITE, fill=False)
        self.every_phase = "L" + "123"[: self.site["phases"]]
        bus = tuple(
            self.check.table(item, schema.BUS, path)
            for item, path in self.check.tables(self.raw["bus"], "bus")
        )
        if not bus:
            self.check.fail("bus", [], "at least one table")
        plant = self.plant()
        device = self.devices(plant)
        head_end = None
        if self.raw["head_end"] is not None:
            head_end = self.section("head_end", schema.HEAD_END, fill=False)
        targets = [item.name for item in device if "bus" in item.config]
        targets += [f"bus{index}" for index in range(len(bus))]
        targets += [] if head_end is None else ["head_end"]
        return Scenario(
            path=self.path,
            **head,
            tolerance=tolerance,
            site=self.site,
            timing=self.section("timing", schema.TIMING, fill=False),
            bus=bus,
            head_end=head_end,
            device=device,
            plant=plant,
            fault=self.faults(targets, self.ct_inputs(device)),
            head_end_script=self.script(head_end),
            expect=self.expectations(),
        )

    def section(self, key, fields, fill=True):
        raw = self.raw[key]
        return self.check.table({} if raw is None else raw, fields, key, fill)

    def plant(self):
        raw = self.check.table(self.raw["plant"], schema.PLANT, "plant")
        self.names = {}
        parts = {}
        for key in schema.PLANT:
            value = [raw[key]] if isinstance(raw[key], dict) else raw[key]  # [plant.pv]
            items = self.check.tables(value, f"plant.{key}")
            parts[key] = tuple(self.element(key, item, path) for item, path in items)
        return Plant(**parts)

    def element(self, key, item, path):
        """Every element: a name of its own, on conductors that the site has."""
        tables = {"load": schema.LOADS, "pv": schema.PVS}.get(key)
        if tables:
            checked = self.check.variant(item, "kind", tables, path)
        else:
            fields = {"ev": schema.EV, "battery": schema.BATTERY}.get(key, schema.RELAY_LOAD)
            checked = self.check.table(item, fields, path)
        kind = checked.pop("kind", None)
        self.unique(checked["name"], self.names, path)
        if kind == "csv":
            self.read_trace(checked, path, need_pv=key == "pv")
        if kind == "steps":
            self.same_length(checked, "load_w" if key == "load" else "available_w", path)
        for low, high in (("arrive_s", "leave_s"), ("sunrise_s", "sunset_s"), ("min_a", "max_a")):
            self.in_order(checked, low, high, path)
        phases = self.on_site(checked.pop("phases") or self.every_phase, path)
        return Element(checked.pop("name"), phases, kind, checked)

    def in_order(self, checked, low, high, path):
        """Times must differ, currents may be equal (a charger that only knows on and off)."""
        if checked.get(low) is None or checked.get(high) is None:
            return
        may_be_equal = low == "min_a"
        if checked[low] > checked[high] or (checked[low] == checked[high] and not may_be_equal):
            accepted = f"{'at least' if may_be_equal else 'more than'} {low}, {checked[low]}"
            self.check.fail(f"{path}.{high}", checked[high], accepted)

    def unique(self, name, names, path):
        if name in names:
            self.check.fail(f"{path}.name", name, f"another name: {names[name]} has this one")
        names[name] = path

    def on_site(self, phases, path):
        if not set(phases) <= set(self.every_phase):
            accepted = f"conductors among {self.every_phase}"
            self.check.fail(f"{path}.phases", phases, accepted)
        return phases

    def same_length(self, checked, key, path):
        if len(checked[key]) != len(checked["at_s"]):
            accepted = f"{len(checked['at_s'])} numbers, as many as at_s"
            self.check.fail(f"{path}.{key}", list(checked[key]), accepted)

    def read_trace(self, checked, path, need_pv):
        name, start_s = checked.pop("file"), checked.pop("start_s")
        scale = checked.pop("scale")
        try:
            trace = traces.read(self.path.parent / name, self.site["phases"], need_pv)
        except BadInput as error:
            raise BadInput(f"{self.path}: {path}.file = {shown(name)}: {error}") from None
        last_s = trace.t_us[-1] / 1e6
        if start_s > last_s:
            self.check.fail(f"{path}.start_s", start_s, f"a time in the file, up to {last_s:g}")
        if trace.is_per_phase and not need_pv and checked["phases"]:
            accepted = "no phases: the file has a column for each conductor"
            self.check.fail(f"{path}.phases", checked["phases"], accepted)
        checked["trace"] = traces.shifted(trace, start_s, scale)

    def devices(self, plant):
        names, used = {}, {}
        devices = []
        for item, path in self.check.tables(self.raw["device"], "device"):
            types = {
                kind: schema.DEVICES.get(kind) or schema.DEVICES[role]
                for kind, role in schema.DEVICE_TYPES.items()
            }
            checked = self.check.variant(item, "type", types, path, fill=False)
            role = schema.DEVICE_TYPES[checked["type"]]
            self.unique(checked["name"], names, path)
            taken = checked["name"] in _TAKEN.split() or checked["name"].endswith("_command")
            if role != "meter" and taken:
                accepted = f"a name that is no column of trace.csv (x_command, {_TAKEN})"
                self.check.fail(f"{path}.name", checked["name"], accepted)
            self.on_site(checked.get("phases", "L1"), path)
            self.bound(checked, role, plant, used, path)
            emulator = self.check.table(
                checked.get("emulator", {}), schema.EMULATOR, f"{path}.emulator", fill=False
            )
            devices.append(
                Device(
                    name=checked["name"],
                    type=checked["type"],
                    role=role,
                    config=_told(checked),
                    plant=checked.get("plant"),
                    emulator=emulator,
                )
            )
        return tuple(devices)

    def bound(self, checked, role, plant, used, path):
        """`plant` names an element of the device's own kind that no other device steers."""
        if role not in _ELEMENT_OF_ROLE:
            return
        kind = _ELEMENT_OF_ROLE[role]
        name = checked["plant"]
        known = {element.name: element for element in getattr(plant, kind)}
        if name not in known:
            listed = ", ".join(known) or "there is none"
            self.check.fail(f"{path}.plant", name, f"the name of a plant.{kind} ({listed})")
        if name in used:
            accepted = f"an element of its own: {used[name]} steers this one"
            self.check.fail(f"{path}.plant", name, accepted)
        used[name] = path

    def ct_inputs(self, devices):
        """{name of a ct_input: how many inputs it uses}"""
        return {
            item.name: self.site["phases"] + ("voltage_mv" in item.config)
            for item in devices
            if item.type == schema.CT_TYPE
        }

    def faults(self, targets, cts):
        faults = []
        for item, path in self.check.tables(self.raw["fault"], "fault"):
            checked = self.check.variant(item, "kind", schema.FAULTS, path)
            is_on_wires = schema.FAULTS[checked["kind"]]["target"].kind == "target"
            if is_on_wires and checked["target"] not in targets:
                accepted = f"one of {', '.join(targets)}"
                self.check.fail(f"{path}.target", checked["target"], accepted)
            if checked["kind"] in schema.CT_FAULTS:
                self.on_ct(checked, cts, path)
            self.within(checked["from_s"], f"{path}.from_s")
            checked.setdefault("to_s", self.duration_s)
            if checked["to_s"] <= checked["from_s"]:
                accepted = f"a number above from_s, {checked['from_s']}"
                self.check.fail(f"{path}.to_s", checked["to_s"], accepted)
            common = {key: checked.pop(key) for key in ("kind", "target", "from_s", "to_s")}
            faults.append(Fault(**common, parameters=checked))
        return tuple(faults)

    def on_ct(self, checked, cts, path):
        """An input that the ct_input has. cts: {name: inputs}."""
        target, number = checked["target"], checked["input"]
        if target not in cts:
            listed = ", ".join(cts) or "none: there is no ct_input"
            self.check.fail(f"{path}.target", target, f"one of {listed}")
        if number > cts[target]:
            self.check.fail(f"{path}.input", number, f"an input from 1 to {cts[target]}")

    def within(self, time_s, path):
        """What starts after the end would never happen, and its test would pass by itself."""
        if time_s >= self.duration_s:
            accepted = f"a time before scenario.duration_s, {self.duration_s}"
            self.check.fail(path, time_s, accepted)

    def script(self, head_end):
        if self.raw["head_end_script"] is None:
            return None
        if head_end is None:
            raise BadInput(f"{self.path}: head_end is missing: expected with head_end_script")
        checked = self.section("head_end_script", schema.HEAD_END_SCRIPT)
        writes = []
        for item, path in self.check.tables(checked["write"], "head_end_script.write"):
            writes += self.writes(self.check.table(item, schema.WRITE, path), path)
        for index, (from_s, _) in enumerate(checked["silent"]):
            self.within(from_s, f"head_end_script.silent[{index}]")
        checked["write"] = tuple(sorted(writes, key=lambda write: write.at_s))
        return HeadEndScript(**checked)

    def writes(self, checked, path):
        """A repeated write, written out."""
        every_s, until_s = checked.pop("every_s"), checked.pop("until_s")
        self.within(checked["at_s"], f"{path}.at_s")
        if checked["import_w"] is None and checked["export_w"] is None:
            raise BadInput(f"{self.path}: {path}.import_w is missing: expected it or export_w")
        if (every_s is None) != (until_s is None):
            key = "every_s" if every_s is None else "until_s"
            raise BadInput(f"{self.path}: {path}.{key} is missing: expected with the other")
        write = Write(**checked)
        if every_s is None:
            return [write]
        count = int((min(until_s, self.duration_s) - write.at_s) // every_s) + 1
        if not 1 <= count <= _MOST_WRITES:
            self.check.fail(f"{path}.until_s", until_s, f"1 to {_MOST_WRITES} writes from at_s on")
        return [replace(write, at_s=write.at_s + k * every_s) for k in range(count)]

    def expectations(self):
        names = {}
        expected = []
        for item, path in self.check.tables(self.raw["expect"], "expect"):
            checked = self.check.table(item, schema.EXPECT, path)
            if (checked["max"] is None) == (checked["min"] is None):
                value = "both" if checked["max"] is not None else "neither"
                raise BadInput(f"{self.path}: {path}.max and min = {value}: expected one of them")
            checked["unit"] = checked["unit"] or schema.METRICS[checked["metric"]]
            if checked["id"] in names:
                accepted = f"another id: {names[checked['id']]} has this one"
                self.check.fail(f"{path}.id", checked["id"], accepted)
            names[checked["id"]] = path
            expected.append(Expect(**checked))
        return tuple(expected)

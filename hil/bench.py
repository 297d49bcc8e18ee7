# SPDX-License-Identifier: MIT
"""One run of one scenario: truth, wires, target, judge.

The bench never judges on what the meter or the controller says; their view is recorded beside
the truth so that a reader can see why the controller did what it did.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path

from hil import build
from hil.conformance import metrics
from hil.conformance.oracle import Oracle
from hil.conformance.recorder import Recorder
from hil.conformance.watch import (
    ChangedWrites,
    FallbackWatch,
    Headroom,
    RestartWatch,
    SilenceWatch,
)
from hil.report.result import RunResult
from hil.scenarios.load import build_config
from hil.scenarios.schema import CONTROLLER, CT_FAULTS, CT_TYPE
from hil.targets import firmware
from hil.targets.stepped import LockstepTarget, VirtualTarget
from hil.world import World

US_PER_S = 1_000_000
US_PER_MS = 1_000
# names of telemetry shown as the controller's view in trace.csv
VIEW = {
    "meter_w": "T_PCC_W",
    "in_force_import_w": "T_IN_FORCE_IMPORT_W",
    "in_force_export_w": "T_IN_FORCE_EXPORT_W",
    "mode": "T_MODE",
    "stage": "T_STAGE",
}


class Bench:
    """Everything of one run. target_class(world, wires, config_path) makes the target."""

    def __init__(self, scenario, target_class, work_dir):
        self.scenario = scenario
        self.world = World()
        self.plant = build.build_plant(scenario)
        self.wires, self.devices = build.build_wires(self.world, scenario, self.plant)
        self.restart = RestartWatch()
        self.writes = [ChangedWrites(self.restart.sent) for _ in self.wires]
        for wire, writes in zip(self.wires.values(), self.writes, strict=True):
            wire.log = writes
        config = build_config(scenario)
        config_path = Path(work_dir) / "config.json"
        config_path.write_text(json.dumps(config, indent=1))
        self.config = check_config(config_path)
        self.oracle = Oracle(self.world, self.config["site"], self._timeout_s())
        self.recorder = Recorder(self.plant, self.oracle, scenario.tolerance)
        self.plant.recorder = self.recorder
        self.cts = build.build_cts(self.world, scenario, self.plant, self.config)
        self.oracle.before_change = self._advance
        self.oracle.after_change = self._limit_changed
        self.events = []
        self.head_end = build.build_head_end(self.world, scenario, self.wires)
        if self.head_end is not None:
            self.head_end.on_done = self._head_end_did
        self.headroom = Headroom(self.plant, self.oracle)
        self._resources = [d for d in scenario.device if d.role not in ("meter", "trip")]
        self._announce_script()
        self.target = target_class(self.world, self.wires, config_path)
        self.target.on_outputs = self._switch_outputs
        if self.cts is not None and not hasattr(self.target, "cts"):
            able = "virtual, pico, and micropython in lock-step can"
            raise firmware.TargetError(f"target {self.target.name} cannot play a ct_input: {able}")
        self.target.cts = self.cts
        self.target.head_end = self.head_end  # a view in wall-clock time is what it has read
        self._arm_fallback_watches()
        self._arm_controller_faults()
        self.silence = SilenceWatch(self.world, self.target, self.config)
        self.trace = {name: [] for name in self._columns()}

    def _timeout_s(self):
        return self.config["head_end"]["timeout_s"] if self.config["head_end"] else 1

    def _advance(self):
        self.plant.advance(self.world.now_us)

    def _head_end_did(self, t_us, kind, values, error):
        self.oracle.head_end_did(t_us, kind, values, error)
        self.silence.head_end_did(t_us, kind, error)
        if kind == "grant" and error is not None:
            self._event("grant", f"grant of {values['import_w']} W import: {error}", values)

    def _limit_changed(self, why):
        self.recorder.limit_changed()
        oracle = self.oracle
        self._event("limit", f"{why}: import {oracle.import_w} W, export {oracle.export_w} W")

    def _event(self, kind, text, more=None, t_us=None):
        t_s = (self.world.now_us if t_us is None else t_us) / US_PER_S
        self.events.append({"t_s": round(t_s, 6), "kind": kind, "text": text, **(more or {})})

    def _announce_script(self):
        for fault in self.scenario.fault:
            text = f"{fault.kind} on {fault.target}"
            self._event("fault", text, {"until_s": fault.to_s}, round(fault.from_s * US_PER_S))
        if self.scenario.head_end_script is not None:
            for from_s, to_s in self.scenario.head_end_script.silent:
                text = "head-end silent"
                self._event("silent", text, {"until_s": to_s}, round(from_s * US_PER_S))

    def _arm_fallback_watches(self):
        meter = next(d for d in self.scenario.device if d.role == "meter")
        wire = self.wires[self.scenario.bus[meter.config.get("bus", 0)]["port"]]
        self.fallback = FallbackWatch(self.world, self.plant, self.config, self._resources)
        for fault in self.scenario.fault:
            if fault.kind in CT_FAULTS:
                self.fallback.arm(fault, lambda start_s=fault.from_s: start_s * US_PER_S)
            if fault.target in (meter.name, wire.name) and fault.kind in (
                "no_response",
                "bad_crc",
            ):
                self.fallback.arm(fault, lambda: wire.last_good.get(meter.config["unit"]))

    def _arm_controller_faults(self):
        for fault in self.scenario.fault:
            if fault.target != CONTROLLER:
                continue
            if not hasattr(self.target, "hang"):
                able = "virtual, pico, and micropython in lock-step can"
                raise firmware.TargetError(
                    f"target {self.target.name} cannot play the fault {fault.kind}: {able}"
                )
            start_us = round(fault.from_s * US_PER_S)
            self.world.at(start_us, self.restart.begin, start_us)
            if fault.kind == "hang":
                self.world.at(start_us, self.target.hang)
            else:
                self.world.at(start_us, self.target.power_off)
                self.world.at(round(fault.to_s * US_PER_S), self.target.power_on)

    def _switch_outputs(self, t_us):
        """Pins of relays switch their loads; the plant knows them by the device's `plant`."""
        self.plant.advance(t_us)
        for bit, pin in enumerate(self.target.pins):
            on = bool(self.target.outputs >> bit & 1)
            for device in self.scenario.device:
                if device.config.get("pin") == pin and device.plant:
                    self.plant.element(device.plant).switch(t_us, on)

    def _columns(self):
        columns = ["t_s", "pcc_w", "l1_w", "l2_w", "l3_w", "limit_import_w", "limit_export_w"]
        columns += ["load_w", "pv_w"]
        for device in self._resources:
            columns += [f"{device.name}_w", f"{device.name}_command_w"]
        return columns + list(VIEW)

    def _sample(self, step_us):
        """One row of the trace, and one step of the headroom account."""
        now_us = self.world.now_us
        self.plant.advance(now_us)
        plant, trace, oracle = self.plant, self.trace, self.oracle
        trace["t_s"].append(round(now_us / US_PER_S, 3))
        for axis, name in enumerate(("pcc_w", "l1_w", "l2_w", "l3_w")):
            trace[name].append(round(plant.power_w(axis), 1))
        trace["limit_import_w"].append(oracle.import_w)
        trace["limit_export_w"].append(oracle.export_w)
        trace["load_w"].append(round(sum(e.power_w for e in self._loads), 1))
        trace["pv_w"].append(round(sum(e.power_w for e in self._pvs), 1))
        self._sample_resources()
        for name, index in VIEW.items():
            trace[name].append(self.target.view.get(index))
        self.headroom.step(step_us)
        if now_us + step_us <= self._end_us:
            self.world.at(now_us + step_us, self._sample, step_us)

    def _sample_resources(self):
        base = "T_RESOURCE_BASE"
        for index, device in enumerate(self._resources):
            element = self.plant.element(device.plant) if device.plant else None
            power_w = element.power_w if element is not None else 0
            self.trace[f"{device.name}_w"].append(round(power_w, 1))
            command_w = self.target.view.get(base, 2 * index)
            self.trace[f"{device.name}_command_w"].append(command_w)

    def _meter_text(self):
        """How the meter is modelled; a reader has to know it to read the response times."""
        meter = next(d for d in self.scenario.device if d.role == "meter")
        if meter.type == CT_TYPE:
            window_ms = 8000 / self.cts.hz
            return f"{meter.type}: a window of 8 cycles, so a new value every {window_ms:.0f} ms"
        defaults = {"update_ms": 200, "response_delay_ms": 20}
        model = defaults | {k: v for k, v in (meter.emulator or {}).items() if v is not None}
        update_ms, delay_ms = model["update_ms"], model["response_delay_ms"]
        return f"{meter.type}: a new value every {update_ms} ms, answers after {delay_ms} ms"

    @property
    def _loads(self):
        return [e for e in self.plant.elements if not e.is_flexible]

    @property
    def _pvs(self):
        names = [item.name for item in self.scenario.plant.pv]
        return [e for e in self.plant.elements if e.name in names]

    def run(self, progress=None):
        """Run to the end; returns a RunResult. progress(fraction) is called now and then."""
        self._end_us = round(self.scenario.duration_s * US_PER_S)
        step_us = self.scenario.trace_step_ms * US_PER_MS
        self.world.at(0, self._sample, step_us)
        wall_s = time.perf_counter()
        try:
            self.target.start()
            for part in range(1, 101):
                self.target.run_until(self.world, self._end_us * part // 100)
                if progress is not None:
                    progress(part / 100)
        finally:
            self.target.close()
        wall_s = time.perf_counter() - wall_s
        self.plant.advance(self._end_us)
        self.recorder.finish(self._end_us)
        return self._result(wall_s)

    def _result(self, wall_s):
        numbers = metrics.of_excursions(self.recorder.watches)
        writes = sorted(entry for writes in self.writes for entry in writes)
        excursions = self.recorder.excursions()
        numbers["command_s"] = metrics.spread(metrics.command_times(excursions, writes))
        numbers["fallback_s"] = metrics.spread(self.fallback.measured_s)
        if not self.target.is_wall_clock:
            numbers["head_end_loss_s"] = metrics.spread(self.silence.measured_s)
        numbers["restart_s"] = metrics.spread(self.restart.measured_s)
        numbers["headroom_used"] = self.headroom.used()
        relays = {}
        for item in self.scenario.plant.relay_load:
            relays[item.name] = self.plant.element(item.name).operations
        numbers["relay_operations"] = relays | {"total": sum(relays.values())}
        view = self.target.view
        numbers["cycles"] = view.get("T_CYCLES")
        numbers["late_cycles"] = view.get("T_LATE_CYCLES")
        numbers["worst_cycle_us"] = view.get("T_WORST_CYCLE_US") or None
        numbers["sim_speed"] = round(self.scenario.duration_s / wall_s, 1)
        numbers.update(self.headroom.turns())
        numbers.update(self.target.lateness())
        checks = [metrics.check(expect, numbers) for expect in self.scenario.expect]
        for excursion in excursions:
            text = f"{excursion.quantity} above the limit"
            more = {
                "to_s": round(excursion.end_us / US_PER_S, 6),
                "peak": round(excursion.peak, 1),
            }
            self._event("excursion", text, more, excursion.start_us)
        return RunResult(
            scenario={
                "name": self.scenario.name,
                "title": self.scenario.title,
                "facts": {"meter, as assumed": self._meter_text()},
            },
            target=self.target.name,
            seed=self.scenario.seed,
            duration_s=self.scenario.duration_s,
            firmware=firmware.version(),
            verdict="INCONCLUSIVE" if self.target.stalled else metrics.overall(checks),
            metrics=numbers,
            checks=checks,
            trace=self.trace,
            events=sorted(self.events, key=lambda event: event["t_s"]),
            tolerance=asdict(self.scenario.tolerance),
        )


def check_config(config_path):
    """The configuration as the firmware's own validator reads it; raises its ConfigError."""
    from firmline.services.config import load

    return load(Path(config_path).read_text())


TARGETS = {"virtual": VirtualTarget, "micropython": LockstepTarget}

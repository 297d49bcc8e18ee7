# SPDX-License-Identifier: MIT
"""What `firmline commission` checks on the running installation, one dict a check.

    {"id", "what", "accepted", "measured", "verdict": PASS | FAIL | N-A, "note"}
Nothing here switches anything; the sign check needs a person (or a script) to switch a load.
"""

import json
import time

from firmline.services.config_fields import TYPE_ROLES
from host_tools import log, reading, register_map
from host_tools.config_check import faults
from host_tools.device import CONFIG
from host_tools.errors import ToolError

PASS, FAIL, NONE = "PASS", "FAIL", "N-A"
ONLINE_S = 20.0
SIGN_S = 120.0
_SAMPLES = 6
_BEAT_S = 30.0  # most that is waited for a heartbeat
_STEADY_OF = 6  # readings in more than 1 s, in which a device is usually read anew
_STEADY_S = 25.0
_STEP_PERCENT = 50  # of the known load that must be seen
_SPREAD_W = 50  # sum of the conductors against the total, besides 2 %


def check(name, what, accepted, measured, is_good, note=""):
    verdict = NONE if is_good is None else PASS if is_good else FAIL
    row = {"id": name, "what": what, "accepted": accepted, "measured": measured}
    return row | {"verdict": verdict, "note": note}


class LiveChecks:
    """device: a Device; config: the configuration in force as a dict, with its defaults."""

    def __init__(self, device, config):
        self._device = device
        self._config = config
        self._text = json.dumps(config)

    def take(self):
        return reading.take(self._device, self._text)

    def configuration(self, expected):
        """What is in force is what was meant, and has no fault. expected: bytes, or None."""
        data = self._device.read_file(CONFIG)
        found = faults(data.decode("utf-8", "replace"))
        same = expected is None or data == expected
        measured = "as sent" if same and not found else "another one" if not same else "faulty"
        return check("config", "configuration in force", "as sent", measured, same and not found)

    def meter(self, progress=None):
        """Fresh samples, plausible volts, watts inside the service, conductors that add up."""
        readings = []
        for k in range(_SAMPLES):
            readings.append(self.take())
            if progress is not None:
                progress((k + 1) / _SAMPLES)
            time.sleep(0.2)
        usable = sum(1 for now in readings if now["pcc"]["is_usable"])
        yield check(
            "meter.fresh",
            "PCC meter answers",
            f"{_SAMPLES} of {_SAMPLES} readings usable",
            f"{usable} of {_SAMPLES}",
            usable == _SAMPLES,
        )
        if not usable:
            return
        yield self._age(readings)
        yield self._volts()
        last = next(now for now in reversed(readings) if now["pcc"]["is_usable"])
        yield from self._watts(last)

    def _age(self, readings):
        hold_ms = self._config["timing"]["hold_ms"]
        worst_ms = max(now["pcc"]["age_ms"] for now in readings if now["pcc"]["is_usable"])
        accepted = f"at most hold_ms, {hold_ms} ms"
        what = "age of the sample"
        return check("meter.age", what, accepted, f"{worst_ms} ms", worst_ms <= hold_ms)

    def _volts(self):
        names = ["PhVphA", "PhVphB", "PhVphC"][: self._config["site"]["phases"]]
        chosen = [register_map.point(name, 203) for name in names]
        chosen.append(register_map.point("V_SF", 203))
        values = self._device.values(chosen)
        volts = [values[name] * 10.0 ** values["V_SF"] for name in names]
        nominal = self._config["site"]["voltage_v"]
        low, high = nominal * 0.85, nominal * 1.15
        return check(
            "meter.volts",
            "voltage of each conductor",
            f"{low:.0f} to {high:.0f} V (voltage_v {nominal} +- 15 %)",
            ", ".join(f"{v:.1f} V" for v in volts),
            all(low <= v <= high for v in volts),
        )

    def _watts(self, now):
        site = self._config["site"]
        most_w = site["service_a"] * site["voltage_v"] * site["phases"]
        total_w, conductors_w = now["pcc"]["w"], sum(now["pcc"]["l_w"])
        yield check(
            "meter.range",
            "power at the PCC is possible",
            f"within the service, {reading.watts(most_w)} either way",
            reading.watts(total_w),
            abs(total_w) <= most_w,
        )
        apart_w = abs(total_w - conductors_w)
        yield check(
            "meter.sum",
            "conductors add up to the total",
            f"apart by at most 2 % or {_SPREAD_W} W",
            f"{reading.watts(conductors_w)}, apart by {reading.watts(apart_w)}",
            apart_w <= max(_SPREAD_W, abs(total_w) // 50),
        )

    def sign(self, base_w, load_w, wait_s, progress=None):
        """A load of load_w that is switched on within wait_s must raise the import: the meter is
        not turned round. base_w: from `steady_w`, before anybody was asked to switch."""
        need_w = load_w * _STEP_PERCENT // 100
        start_s = time.monotonic()
        step_w = 0
        while abs(step_w) < need_w and time.monotonic() - start_s < wait_s:
            time.sleep(0.3)
            step_w = self._uncontrolled_w() - base_w
            if progress is not None:
                progress(min(0.99, (time.monotonic() - start_s) / wait_s))
        took_s = time.monotonic() - start_s
        if abs(step_w) >= need_w:
            step_w = self.steady_w(load_w) - base_w
        note = "the meter sees the load as export: turn it round" if step_w <= -need_w else ""
        return check(
            "meter.sign",
            f"{reading.watts(load_w)} switched on raises the import",
            f"a rise of at least {reading.watts(need_w)}",
            f"{step_w:+} W, first seen after {took_s:.1f} s",
            step_w >= need_w,
            note,
        )

    def steady_w(self, load_w):
        """PCC less the controlled devices, once that rests. Their own readings are older than the
        meter's, so that it moves while they do; median of the last readings if it never rests."""
        spread_w = max(_SPREAD_W, load_w // 10)
        give_up_s = time.monotonic() + _STEADY_S
        values = []
        while True:
            values = [*values[1 - _STEADY_OF :], self._uncontrolled_w()]
            is_steady = len(values) == _STEADY_OF and max(values) - min(values) <= spread_w
            if is_steady or time.monotonic() > give_up_s:
                return sorted(values)[len(values) // 2]
            time.sleep(0.25)

    def _uncontrolled_w(self):
        for _ in range(20):
            now = self.take()
            if now["pcc"]["is_usable"]:
                return now["pcc"]["w"] - sum(row["power_w"] for row in now["resources"])
            time.sleep(0.2)
        raise ToolError("the meter was lost during the sign check")

    def devices(self, progress=None):
        """Each device on a bus has been identified and answers; from the controller's log."""
        names = [name for name, role in reading.resources_of(self._text) if role != "relay"]
        start_s = time.monotonic()
        while True:
            online = self._online()
            past_s = time.monotonic() - start_s
            if past_s > ONLINE_S or all(online.get(name) for name in names):
                break
            if progress is not None:
                progress(past_s / ONLINE_S)
            time.sleep(0.5)
        for device in self._config["devices"]:
            role = TYPE_ROLES[device["type"]]
            if role in ("relay", "trip"):
                text = "a pin: what hangs on it must be tried by hand"
                name = f"device.{device['name']}"
                what = f"{device['name']}: {device['type']} on pin {device['pin']}"
                yield check(name, what, "-", text, None)
            elif role != "meter":
                yield self._device_check(device, online.get(device["name"], False))

    def _device_check(self, device, is_online):
        where = f"{device['name']}: {device['type']}, bus {device['bus']} unit {device['unit']}"
        measured = "identified, answers" if is_online else "does not answer as that"
        accepted = "identified, answers"
        return check(f"device.{device['name']}", where, accepted, measured, is_online)

    def _online(self):
        """{name: answers now} as the last event of this start says."""
        found = {}
        for event in log.read(self._device):
            is_present = event["sequence"] is not None
            if is_present and event["event"] in ("device_back", "device_lost"):
                found[event["text"]] = event["event"] == "device_back"
        return found

    def head_end(self, beats, skip_note):
        """The heartbeat that should come. beats: this tool is itself on the head-end's port."""
        entry = self._config["head_end"]
        what = "heartbeat of the head-end"
        if entry is None:
            return check("head_end", what, "-", "none is configured", None)
        if skip_note:
            return check("head_end", what, "alive", "not checked", None, skip_note)
        note = ""
        if beats:
            self._device.heartbeat(1)
            note = "written by this tool, which is in the head-end's place"
        give_up_s = time.monotonic() + min(entry["timeout_s"], _BEAT_S)
        now = self.take()
        while now["head_end"] != "alive" and time.monotonic() < give_up_s:
            time.sleep(0.3)
            now = self.take()
        return check("head_end", what, "alive", now["head_end"], now["head_end"] == "alive", note)

    def limits(self):
        """What is in force is the firm limit or stricter, and the controller keeps time."""
        now, site = self.take(), self._config["site"]
        for side in ("import", "export"):
            firm_w, got_w = site[f"firm_{side}_w"], now["limits"][f"{side}_w"]
            source = now["limits"][f"binding_{side}"]
            yield check(
                f"limit.{side}",
                f"{side} limit in force",
                f"at most the firm {reading.watts(firm_w)}, or dynamic",
                f"{reading.watts(got_w)} ({source})",
                got_w <= firm_w or source in ("dynamic", "ceiling"),
            )
        yield check("mode", "mode", "normal", now["mode"], now["mode"] == "normal")
        counters = now["counters"]
        late, cycles = counters["late_cycles"], counters["cycles"]
        yield check(
            "cycles",
            "control cycles in time",
            "at most 1 % late",
            f"{late} of {cycles} late",
            late * 100 <= cycles,
        )

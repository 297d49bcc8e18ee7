# SPDX-License-Identifier: MIT
"""What a scenario file may contain, as data: one table per section, one `Field` per key.

Nothing here reads a file. `check.py` applies the tables, `load.py` does what needs more than one
key, and docs/scenarios.md is generated from `describe.py`.
"""

from dataclasses import dataclass

DAY_S = 86_400
LONGEST_S = 7 * DAY_S
MOST_W = 10_000_000  # 10 MW: far above any site, far below the firmware's 2^29 W


@dataclass(frozen=True, slots=True)
class Field:
    """One key: its kind, its range (inclusive), whether it must be there, what stands for it."""

    kind: str
    low: float | None = None
    high: float | None = None
    choices: tuple = ()
    required: bool = False
    default: object = None
    note: str = ""

    def accepted(self):
        """The words that complete 'expected ...' in an error line and in the documentation."""
        span = ""
        if self.low is not None:
            span = f" from {self.low} to {self.high}"
        if self.kind == "choice":
            lead = "one of " if len(self.choices) > 1 else ""
            return lead + ", ".join(str(choice) for choice in self.choices)
        return _WORDS[self.kind] + span


_WORDS = {
    "text": "text of 1 to 80 characters on one line",
    "name": "a name of 1 to 24 characters: a-z, then a-z, 0-9 or _",
    "id": "an id of 1 to 40 characters: A-Z, a-z, 0-9, - . or _",
    "int": "a whole number",
    "number": "a number",
    "numbers": "a list of numbers, each",
    "range": "a number or a [low, high] pair, each",
    "times": "a list of ascending times in seconds, each",
    "spans": "a list of [from_s, to_s] pairs, ascending, not overlapping, each",
    "bool": "true or false",
    "file": "the name of a CSV file, relative to this file",
    "target": "a device's name, head_end, or a bus such as bus0",
    "mask": "a list of conductors",
}
PHASES = ("L1", "L2", "L3", "L12", "L13", "L23", "L123")


def _int(low, high, note="", **more):
    return Field("int", low, high, note=note, **more)


def _number(low, high, note="", **more):
    return Field("number", low, high, note=note, **more)


def _range(low, high, note="", **more):
    return Field("range", low, high, note=note, **more)


def _watts(note="", **more):
    return Field("int", 0, MOST_W, note=note, **more)


def _time(note="", **more):
    return Field("number", 0, LONGEST_S, note=note, **more)


def _phases(note="conductors; default all of the site's", **more):
    return Field("choice", choices=PHASES, note=note, **more)


_NEED = {"required": True}
_NAME = Field("name", required=True, note="unique; names the columns of trace.csv")

SCENARIO = {
    "name": Field("name", required=True, note="short name, printed in every result"),
    "title": Field("text", required=True, note="one line for people"),
    "duration_s": _number(1, LONGEST_S, "simulated time", **_NEED),
    "seed": _int(0, 2**31 - 1, "seeds events, clouds and line noise", default=1),
    "trace_step_ms": _int(10, 60_000, "spacing of trace.csv", default=100),
}
# The meter class of the bench: how far truth may pass a limit before it counts.
TOLERANCE = {
    "reading_permille": _int(0, 100, "of the limit in force", default=10),
    "floor_w": _int(0, 100_000, "at least this many watts", default=50),
    "floor_a": _number(0, 100, "at least this many amps", default=0.25),
}

# --- what the controller is told; same names as its JSON configuration, checked again there ---
SITE = {
    "name": Field("text", required=True, note="site name"),
    "phases": Field("choice", choices=(1, 2, 3), required=True, note="2: split-phase legs"),
    "voltage_v": _int(100, 400, "line to neutral, per conductor", **_NEED),
    "service_a": _int(10, 5_000, "overcurrent device", **_NEED),
    "full_rated": Field("bool", note="true: 100 %-rated device, no 80 % rule"),
    "conductor_a": _int(1, 5_000, "secondary conductor rating"),
    "demand_load_w": _watts("demand load, caps the firm limit"),
    "connected_load_w": _watts("connected load, caps the firm limit"),
    "firm_import_w": _watts("firm import limit at the PCC", **_NEED),
    "firm_export_w": _watts("firm export limit at the PCC", **_NEED),
    "firm_a": _int(1, 5_000, "firm limit per conductor; default the setting ceiling"),
    "worst_case_load_w": _watts("uncontrolled load when the meter is lost"),
    "margin_permille": _int(0, 200, "distance kept from the limit"),
    "response_s": _int(1, 60, "allowed time back inside the limit"),
}
TIMING = {
    "tick_ms": _int(10, 1_000),
    "hold_ms": _int(100, 3_000, "older input may only tighten"),
    "fallback_ms": _int(200, 4_000, "older input is lost: fallback"),
    "raise_delay_ms": _int(0, 600_000),
    "resume_delay_ms": _int(0, 600_000),
    "rotation_s": _int(10, DAY_S, "time slice when not all EVSEs can charge"),
}
BUS = {
    "port": Field("text", required=True, note="the board's name of the port"),
    "baud": _int(1_200, 921_600, **_NEED),
    "parity": Field(
        "choice", choices=("none", "even"), default="none", note="the bench's wire stays 8N1"
    ),
    "latency_us": _int(0, 1_000_000, "bench only: added by converters", default=0),
}
HEAD_END = {
    "port": Field("text", required=True, note="the board's name of the port"),
    "baud": _int(1_200, 921_600, **_NEED),
    "unit": _int(1, 247, "address of the controller's own server", **_NEED),
    "timeout_s": _int(1, 3_600, "heartbeat older than this: firm limits"),
    "heartbeat_s": _int(1, 1_800, "how often the head-end promises to be heard"),
}
DEVICE_TYPES = {
    "eastron_sdm630": "meter",
    "sunspec_meter_203": "meter",
    "sunspec_meter_213": "meter",
    "ct_input": "meter",
    "sunspec_pv_123": "pv",
    "sunspec_pv_704": "pv",
    "sunspec_battery_124": "battery",
    "sunspec_battery_704": "battery",
    "abb_terra_ac": "evse",
    "heidelberg_energy_control": "evse",
    "relay_output": "relay",
    "trip_output": "trip",
}
_DEVICE = {"name": _NAME, "type": Field("choice", required=True)}
_ON_BUS = _DEVICE | {
    "bus": _int(0, 7, "index into [[bus]]", **_NEED),
    "unit": _int(1, 247, "Modbus address", **_NEED),
    "poll_ms": _int(10, 60_000),
    "timeout_ms": _int(10, 60_000),
    "emulator": Field("table", note="bench only: see device.emulator"),
}
_PLANT = {"plant": Field("name", required=True, note="bench only: the element it steers")}
_WIRES = {"phases": _phases("conductors that feed it; default all of the site's")}
_PCC = {"role": Field("choice", choices=("pcc",), required=True)}
CT_TYPE = "ct_input"
DEVICES = {  # a type that differs from its role has a table of its own
    "meter": _ON_BUS
    | _PCC
    | {"latency_ms": _int(0, 10_000, "from a change to the reply that shows it")},
    CT_TYPE: _DEVICE
    | _PCC
    | {
        "rated_a": _int(5, 500, "of the CT on each conductor", **_NEED),
        "rated_mv": _int(200, 1_100, "RMS that it gives at rated_a", **_NEED),
        "voltage_mv": _int(200, 1_000, "RMS of the voltage input at voltage_v; default: no input"),
        "mains_hz": Field("choice", choices=(50, 60)),
        "latency_ms": _int(0, 10_000, "from a change to the window that shows it"),
    },
    "evse": _ON_BUS
    | _PLANT
    | {
        "phases": _phases("conductors that feed it", **_NEED),
        "min_a": _int(6, 500, "6 A is the floor of IEC 61851-1", **_NEED),
        "max_a": _int(6, 500, **_NEED),
        "fallback_a": _int(0, 500, "offered when the meter or the link is lost"),
        "watchdog_s": _int(1, 3_600),
        "settle_ms": _int(0, 60_000, "actuator dead time"),
    },
    "pv": _ON_BUS
    | _PLANT
    | _WIRES
    | {
        "rated_w": _watts(**_NEED),
        "fallback_w": _watts("cap when the meter or the link is lost"),
        "reversion_s": _int(1, 3_600),
        "settle_ms": _int(0, 60_000, "actuator dead time"),
    },
    "battery": _ON_BUS
    | _PLANT
    | _WIRES
    | {
        "max_charge_w": _watts(**_NEED),
        "max_discharge_w": _watts(**_NEED),
        "fallback_w": Field("int", -MOST_W, MOST_W, note="set point after a loss"),
        "reversion_s": _int(1, 3_600),
        "settle_ms": _int(0, 60_000, "actuator dead time"),
        "policy": Field("choice", choices=("hold", "self_consumption")),
        "min_soc_permille": _int(0, 1_000),
    },
    "relay": _DEVICE
    | _PLANT
    | {
        "pin": _int(0, 63, **_NEED),
        "readback_pin": _int(0, 63, "reads the output back"),
        "active_low": Field("bool"),
        "load_w": _watts("what it switches", **_NEED),
        "phases": _phases(**_NEED),
        "fallback_on": Field("bool"),
        "min_off_s": _int(0, DAY_S),
        "protected": Field("bool", note="never shed"),
    },
    "trip": _DEVICE
    | {"pin": _int(0, 63, **_NEED), "readback_pin": _int(0, 63, "reads the output back")},
}
for _role, _table in DEVICES.items():
    _types = tuple(
        kind
        for kind, role in DEVICE_TYPES.items()
        if kind == _role or (role == _role and kind not in DEVICES)
    )
    _table["type"] = Field("choice", choices=_types, required=True)
EMULATOR = {
    "update_ms": _int(1, 60_000, "how often the product refreshes its registers"),
    "response_delay_ms": _int(0, 5_000, "request to first byte of the reply"),
}

# --- the truth ---
_LOAD = {
    "name": _NAME,
    "kind": Field("choice", choices=("constant", "csv", "steps", "events"), required=True),
    "phases": _phases(),
}
_SERIES = {
    "file": Field("file", required=True),
    "start_s": _time("this time of the file is time 0 of the run", default=0),
    "scale": _number(0, 1_000, "multiplies every power", default=1),
}
LOADS = {
    "constant": _LOAD | {"load_w": _watts(**_NEED)},
    "csv": _LOAD | _SERIES,
    "steps": _LOAD
    | {
        "at_s": Field("times", 0, LONGEST_S, required=True, note="0 W before the first"),
        "load_w": Field("numbers", 0, MOST_W, required=True, note="holds; as many as at_s"),
    },
    "events": _LOAD
    | {
        "kettles_per_hour": _number(0, 3_600, default=2),
        "motor_starts_per_hour": _number(0, 3_600, default=4),
        "kettle_w": _range(1, 100_000, default=(2_200, 3_000)),
        "kettle_s": _range(0.1, 3_600, "how long one is on", default=(120, 240)),
        "motor_w": _range(1, 1_000_000, "running power", default=(500, 1_500)),
        "motor_s": _range(0.1, 86_400, "how long one runs", default=(120, 900)),
        "inrush_factor": _number(1, 20, "start over running power", default=6),
        "inrush_s": _range(0.05, 60, "time in which the inrush decays", default=(0.3, 1.0)),
    },
}
_PV = {
    "name": _NAME,
    "kind": Field("choice", choices=("constant", "csv", "steps", "clear_sky"), required=True),
    "phases": _phases(),
    "rated_w": _int(1, MOST_W, "what the inverter can supply; peak of clear_sky", **_NEED),
    "delay_ms": _int(0, 60_000, "command to first movement", default=200),
    "ramp_w_per_s": _int(1, MOST_W, "how fast it follows a new cap; default: rated_w in 1 s"),
}
PVS = {
    "constant": _PV | {"available_w": _watts(**_NEED)},
    "csv": _PV | _SERIES,
    "steps": _PV
    | {
        "at_s": Field("times", 0, LONGEST_S, required=True, note="0 W before the first"),
        "available_w": Field("numbers", 0, MOST_W, required=True, note="holds; as many as at_s"),
    },
    "clear_sky": _PV
    | {
        "sunrise_s": _number(0, DAY_S, "seconds of the day; half a sine", default=21_600),
        "sunset_s": _number(0, DAY_S, "after sunrise_s", default=72_000),
        "start_s": _number(0, DAY_S, "time of day at time 0 of the run", default=0),
        "clouds_per_hour": _number(0, 120, "seeded, edges of 1 to 5 s", default=0),
        "depth": _number(0, 1, "share of the power that a cloud takes", default=0.7),
    },
}
EV = {
    "name": _NAME,
    "phases": _phases("conductors the vehicle uses", **_NEED),
    "arrive_s": _time("plugged in", default=0),
    "leave_s": _time("unplugged; default: stays"),
    "energy_wh": _number(1, 10_000_000, "wanted", **_NEED),
    "max_a": _number(6, 500, "on-board charger", **_NEED),
    "min_a": _number(0, 500, "below this offer it pauses", default=6),
    "delay_ms": _int(0, 60_000, "offer to first movement", default=300),
    "down_s": _number(0, 600, "then, to a lower current", default=1.5),
    "up_s": _number(0, 600, "then, to a higher current", default=3),
    "start_delay_s": _number(0, 3_600, "contactor and wake-up", default=3),
    "draw_limit_a": _number(0.1, 500, "draws no more, whatever is offered"),
    "taper": _number(0, 0.9, "last share of the energy, at falling current", default=0.1),
}
BATTERY = {
    "name": _NAME,
    "phases": _phases(),
    "capacity_wh": _number(1, 100_000_000, **_NEED),
    "soc": _number(0, 1, "at the start", default=0.5),
    "max_charge_w": _watts(**_NEED),
    "max_discharge_w": _watts(**_NEED),
    "delay_ms": _int(0, 60_000, "command to first movement", default=150),
    "ramp_w_per_s": _int(1, MOST_W, "default: the full range in 0.5 s"),
    "efficiency": _number(0.1, 1, "each way", default=0.95),
}
RELAY_LOAD = {
    "name": _NAME,
    "phases": _phases(),
    "load_w": _watts(**_NEED),
    "duty": _number(0, 1, "share of period_s in which it calls for power", default=1),
    "period_s": _number(0.1, DAY_S, default=600),
    "is_on": Field("bool", default=False, note="contact at the start"),
    "delay_ms": _int(0, 60_000, "operating time of the relay", default=10),
}

# --- what happens, and what is expected ---
_FAULT = {
    "kind": Field("choice", required=True),
    "target": Field("target", required=True),
    "from_s": _time(**_NEED),
    "to_s": _time(**_NEED),
}
CONTROLLER = "controller"  # the only target of its two faults, which no other fault takes
CT_FAULTS = ("ct_open",)
_CT_FAULT = _FAULT | {"target": Field("name", required=True, note="of the ct_input")}
_CONTROLLER_FAULT = _FAULT | {"target": Field("choice", choices=(CONTROLLER,), required=True)}
FAULTS = {
    "no_response": _FAULT,
    "bad_crc": _FAULT,
    "delay": _FAULT | {"delay_ms": _int(1, 60_000, "added to every reply", **_NEED)},
    "frozen": _FAULT,
    "ct_open": _CT_FAULT
    | {"input": _int(1, 3, "whose plug is out; a voltage is the last", **_NEED)},
    "hang": {key: _CONTROLLER_FAULT[key] for key in ("kind", "target", "from_s")},
    "power_loss": _CONTROLLER_FAULT,
}
HEAD_END_SCRIPT = {
    "heartbeat_s": _number(0.1, DAY_S, default=5),
    "status_s": _number(0.1, DAY_S, "reads the controller's status", default=1),
    "silent": Field("spans", 0, LONGEST_S, default=(), note="says nothing at all"),
    "write": Field("tables", note="see head_end_script.write"),
}
WRITE = {
    "at_s": _time(**_NEED),
    "import_w": _watts("granted import; import_w or export_w or both"),
    "export_w": _watts("granted export"),
    "duration_s": _int(1, DAY_S, "it lapses by itself after this", **_NEED),
    "every_s": _number(1, DAY_S, "written again with this period"),
    "until_s": _time("last time of the repetition; needs every_s"),
}
_QUANTITY = {
    "{}_over_limit_s": "s",
    "{}_longest_excursion_s": "s",
    "{}_peak_over_{}": None,
    "{}_excursions": "",
}
METRICS = {
    name.format(quantity, unit): unit.upper() if is_in is None else is_in
    for quantity, unit in (("import", "w"), ("export", "w"), ("current", "a"))
    for name, is_in in _QUANTITY.items()
}
METRICS |= {
    f"{name}.{part}": "" if part == "count" else "s"
    for name in ("response_s", "command_s", "fallback_s", "head_end_loss_s", "restart_s")
    for part in ("count", "p50", "p99", "max")
}
METRICS |= {
    "headroom_used": "",
    "cycles": "",
    "late_cycles": "",
    "worst_cycle_us": "us",
    "resets": "",
    "sim_speed": "",
    "relay_operations.total": "",
    "evse_charging_max": "",  # most vehicles drawing current at one time
    "evse_starts_max": "",  # starts of the vehicle that was started most often
    "evse_energy_min_wh": "Wh",  # energy of the vehicle that got least
    "evse_energy_max_wh": "Wh",
    "evse_fairness": "",  # Jain's index of the energies, 1 = equal
}
EXPECT = {
    "id": Field("id", required=True, note="test case, such as TC-M01-01"),
    "metric": Field("choice", choices=tuple(METRICS), required=True),
    "max": _number(-1e12, 1e12, "max or min, exactly one"),
    "min": _number(-1e12, 1e12),
    "requirement": Field("id", required=True, note="such as M01"),
    "unit": Field("text", note="default: the metric's own"),
}
TOP = {
    "scenario": Field("table", required=True),
    "tolerance": Field("table"),
    "site": Field("table", required=True),
    "timing": Field("table"),
    "bus": Field("tables", required=True),
    "head_end": Field("table"),
    "device": Field("tables", required=True),
    "plant": Field("table", required=True),
    "fault": Field("tables"),
    "head_end_script": Field("table"),
    "expect": Field("tables"),
}
PLANT = {key: Field("tables") for key in ("load", "ev", "pv", "battery", "relay_load")}

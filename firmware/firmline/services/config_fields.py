# SPDX-License-Identifier: MIT
"""Every field a configuration may have, as tables, and the error that refuses one.

Data only, read by config.py; docs/configuration.md explains each field (a test compares).
"""

import json

from firmline.core.units import const

MISSING = ...  # as a default: the field must be given
MAX_W = const(10000000)
MAX_FALLBACK_MS = const(4000)  # leaves 1 s of the 5 s after a meter loss to the slowest device

INT = const(0)  # low and high are the range
BOOL = const(1)
TEXT = const(2)  # low and high are the range of the length
CHOICE = const(3)  # low is the tuple of choices

TYPE_ROLES = {
    "eastron_sdm630": "meter",
    "sunspec_meter_203": "meter",
    "sunspec_meter_213": "meter",
    "ct_input": "meter",
    "abb_terra_ac": "evse",
    "heidelberg_energy_control": "evse",
    "sunspec_pv_123": "pv",
    "sunspec_pv_704": "pv",
    "sunspec_battery_124": "battery",
    "sunspec_battery_704": "battery",
    "relay_output": "relay",
    "trip_output": "trip",
}
_PHASES = ("L1", "L2", "L3", "L12", "L13", "L23", "L123")

# name, kind, low, high, default (None: may be absent), unit
SITE = (
    ("name", TEXT, 1, 60, "site", ""),
    ("phases", INT, 1, 3, ..., ""),
    ("voltage_v", INT, 100, 400, ..., "V"),
    ("service_a", INT, 10, 5000, ..., "A"),
    ("full_rated", BOOL, None, None, False, ""),
    ("conductor_a", INT, 1, 5000, None, "A"),
    ("demand_load_w", INT, 0, MAX_W, None, "W"),
    ("connected_load_w", INT, 0, MAX_W, None, "W"),
    ("firm_import_w", INT, 0, MAX_W, ..., "W"),
    ("firm_export_w", INT, 0, MAX_W, ..., "W"),
    ("firm_a", INT, 1, 5000, None, "A"),
    ("worst_case_load_w", INT, 0, MAX_W, None, "W"),
    ("margin_permille", INT, 0, 200, 20, ""),
    ("response_s", INT, 1, 60, 10, "s"),
)
TIMING = (
    ("tick_ms", INT, 10, 1000, 100, "ms"),
    ("hold_ms", INT, 100, 3000, 600, "ms"),
    ("fallback_ms", INT, 200, MAX_FALLBACK_MS, 1500, "ms"),
    ("raise_delay_ms", INT, 0, 600000, 5000, "ms"),
    ("resume_delay_ms", INT, 0, 600000, 20000, "ms"),
    ("rotation_s", INT, 10, 86400, 900, "s"),
)
BUS = (
    ("port", TEXT, 1, 32, ..., ""),
    ("baud", INT, 1200, 921600, 19200, "Bd"),
    ("parity", CHOICE, ("none", "even"), None, "none", ""),
)
HEAD_END = (
    ("port", TEXT, 1, 32, None, ""),
    ("baud", INT, 1200, 921600, 19200, "Bd"),
    ("unit", INT, 1, 247, 1, ""),
    ("timeout_s", INT, 1, 3600, 60, "s"),
    ("heartbeat_s", INT, 1, 1800, None, "s"),
    ("tcp_port", INT, 1, 65535, None, ""),
    ("tcp_may_loosen", BOOL, None, None, False, ""),
)
NETWORK = (
    ("ssid", TEXT, 1, 32, ..., ""),
    ("password", TEXT, 8, 63, ..., ""),
    ("ntp_server", TEXT, 7, 15, None, ""),
)
COMMON = (
    ("name", TEXT, 1, 24, ..., ""),
    ("type", CHOICE, tuple(sorted(TYPE_ROLES)), None, ..., ""),
)
_LINK = (
    ("bus", INT, 0, 7, 0, ""),
    ("unit", INT, 1, 247, ..., ""),
    ("timeout_ms", INT, 10, 5000, 150, "ms"),
)
_SLOW = (("poll_ms", INT, 10, 60000, 1000, "ms"),)
SUNSPEC = (("base", INT, 0, 65535, 40000, ""),)  # in addition, for the types sunspec_...
_WIRES = (("phases", CHOICE, _PHASES, None, None, ""),)
PCC = ("role", CHOICE, ("pcc",), None, "pcc", "")
_METER = (
    PCC,
    ("poll_ms", INT, 10, 60000, 100, "ms"),
    ("latency_ms", INT, 0, 10000, 300, "ms"),
)
_EVSE = (
    ("min_a", INT, 6, 500, 6, "A"),
    ("max_a", INT, 6, 500, ..., "A"),
    ("fallback_a", INT, 0, 500, 0, "A"),
    ("watchdog_s", INT, 1, 3600, 10, "s"),
    ("settle_ms", INT, 0, 60000, 5000, "ms"),
)
_PV = (
    ("rated_w", INT, 1, MAX_W, ..., "W"),
    ("fallback_w", INT, 0, MAX_W, 0, "W"),
    ("reversion_s", INT, 1, 3600, 10, "s"),
    ("settle_ms", INT, 0, 60000, 1500, "ms"),
)
_BATTERY = (
    ("max_charge_w", INT, 0, MAX_W, ..., "W"),
    ("max_discharge_w", INT, 0, MAX_W, ..., "W"),
    ("fallback_w", INT, -MAX_W, MAX_W, 0, "W"),
    ("reversion_s", INT, 1, 3600, 10, "s"),
    ("settle_ms", INT, 0, 60000, 1000, "ms"),
    ("policy", CHOICE, ("hold", "self_consumption"), None, "hold", ""),
    ("min_soc_permille", INT, 0, 1000, 100, ""),
)
_PIN = (
    ("pin", INT, 0, 63, ..., ""),
    ("readback_pin", INT, 0, 63, None, ""),
)
_RELAY = (
    ("active_low", BOOL, None, None, False, ""),
    ("load_w", INT, 0, MAX_W, ..., "W"),
    ("fallback_on", BOOL, None, None, False, ""),
    ("min_off_s", INT, 0, 86400, 60, "s"),
    ("protected", BOOL, None, None, False, ""),
)
ROLES = {  # but for a ct_input: config_ct.py
    "meter": (COMMON, _LINK, _METER),
    "evse": (COMMON, _LINK, _SLOW, _WIRES, _EVSE),
    "pv": (COMMON, _LINK, _SLOW, _WIRES, _PV),
    "battery": (COMMON, _LINK, _SLOW, _WIRES, _BATTERY),
    "relay": (COMMON, _PIN, _WIRES, _RELAY),
    "trip": (COMMON, _PIN),
}
SCHEMA = ("schema", INT, 1, 1, ..., "")
BOARD = ("board", TEXT, 1, 32, None, "")
TYPE = COMMON[1]


class ConfigError(Exception):
    """`field` is a path such as devices[2].unit; `value` is as given, or MISSING."""

    def __init__(self, field, value, accepted):
        if value is not MISSING and _may_hold_password(field):
            value = "(not shown)"
        super().__init__(field, value, accepted)
        self.field = field
        self.value = value
        self.accepted = accepted

    def __str__(self):
        return "config: %s = %s: accepted is %s" % (self.field, shown(self.value), self.accepted)


def _may_hold_password(field):
    """Also a misspelt one, or one that is not where it belongs: a refusal ends up in the identity,
    which anybody may read."""
    if field in ("network.ssid", "network.ntp_server"):
        return False
    return field.startswith("network") or "pass" in field.lower()


def shown(value):
    """`value` as it stands in the file, on one line and short."""
    if value is MISSING:
        return "(missing)"
    if isinstance(value, dict):
        return "(an object)"
    if isinstance(value, list):
        return "(a list of %d)" % len(value)
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def accepted(row):
    """What a field takes, in words."""
    _, kind, low, high, _, unit = row
    if kind == INT:
        if low == high:
            return "the integer %d" % low
        return "an integer from %d to %d%s" % (low, high, " " + unit if unit else "")
    if kind == BOOL:
        return "true or false"
    if kind == TEXT:
        return "a text of %d to %d characters on one line, without outer spaces" % (low, high)
    return "one of " + ", ".join(low)

# SPDX-License-Identifier: MIT
"""The site's configuration: JSON text in, a plain dict with every default filled in out.

The text is hostile until proven otherwise: anything missing, unknown, repeated, out of range or
contradictory is refused with the field, the value and what would be accepted. It never guesses
and never corrects. Called once at start by the app, and by host tools before a file is sent;
nothing here is needed afterwards. docs/configuration.md explains every field (a test compares).
"""

from firmline.services import config_fields as fields
from firmline.services.config_checks import CHECKS, ceiling_w, circuit_a, circuit_w, phase_mask
from firmline.services.config_fields import MISSING, TYPE_ROLES, ConfigError, accepted
from firmline.services.config_text import parse

__all__ = (
    "load",
    "ConfigError",
    "MISSING",
    "TYPE_ROLES",
    "ceiling_w",
    "circuit_a",
    "circuit_w",
    "phase_mask",
)
_TOP = ("schema", "board", "site", "timing", "buses", "head_end", "network", "devices")


def load(text):
    """The configuration in `text`, complete and checked, or ConfigError for its first fault."""
    config = fill(parse(text))
    for check in CHECKS:
        check(config)
    return config


def fill(given):
    """Each field of the object `given` checked by itself, defaults filled in: what the checks
    across fields take. Host tools use it to find every fault."""
    _refuse_unknown(given, _TOP, "")
    config = {
        "schema": _value(given.get("schema", MISSING), fields.SCHEMA, "schema"),
        "board": _value(given.get("board", MISSING), fields.BOARD, "board"),
        "site": _section(given.get("site", MISSING), (fields.SITE,), "site"),
        "timing": _section(given.get("timing", {}), (fields.TIMING,), "timing"),
        "buses": [],
        "head_end": None,
        "network": None,
        "devices": [],
    }
    for index, bus in enumerate(_list(given, "buses", 8)):
        config["buses"].append(_section(bus, (fields.BUS,), "buses[%d]" % index))
    if given.get("head_end") is not None:
        config["head_end"] = _section(given["head_end"], (fields.HEAD_END,), "head_end")
    if given.get("network") is not None:
        config["network"] = _section(given["network"], (fields.NETWORK,), "network")
    for index, device in enumerate(_list(given, "devices", 48)):
        config["devices"].append(_device(device, "devices[%d]" % index))
    _derive(config)
    return config


def _list(given, key, most):
    value = given.get(key, MISSING)
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise ConfigError(key, value, "a list of 1 to %d objects" % most)
    return value


def _device(given, path):
    if not isinstance(given, dict):
        raise ConfigError(path, given, "an object")
    kind = str(_value(given.get("type", MISSING), fields.TYPE, path + ".type"))
    return _section(given, groups_of(kind), path)


def groups_of(kind):
    """The tables with the fields of a device type."""
    if kind == "ct_input":
        from firmline.services import config_ct  # only where there are CTs

        return config_ct.GROUPS
    groups = fields.ROLES[TYPE_ROLES[kind]]
    return groups + (fields.SUNSPEC,) if kind.startswith("sunspec") else groups


def _section(given, groups, path):
    if not isinstance(given, dict):
        raise ConfigError(path, given, "an object")
    _refuse_unknown(given, [row[0] for group in groups for row in group], path + ".")
    values = {}
    for group in groups:
        for row in group:
            values[row[0]] = _value(given.get(row[0], MISSING), row, path + "." + row[0])
    return values


def _refuse_unknown(given, names, prefix):
    for key in given:
        if key not in names:
            raise ConfigError(prefix + key, given[key], "one of the keys " + ", ".join(names))


def _is_clean(text):
    return min(text) >= " " and text.strip() == text


def _value(value, row, path):
    _, kind, low, high, default, _ = row
    if value is MISSING or (value is None and default is None):
        if default is MISSING:
            raise ConfigError(path, MISSING, accepted(row))
        return default
    if kind == fields.INT:  # type(): a bool is an int for isinstance
        is_good = type(value) is int and low <= value <= high
    elif kind == fields.BOOL:
        is_good = type(value) is bool
    elif kind == fields.TEXT:
        is_good = isinstance(value, str) and low <= len(value) <= high
        is_good = is_good and _is_clean(str(value))
    else:
        is_good = value in low
    if not is_good:
        raise ConfigError(path, value, accepted(row))
    return value


def _derive(config):
    site = config["site"]
    if site["firm_a"] is None:
        site["firm_a"] = circuit_a(site)
    for device in config["devices"]:
        if "phases" in device and device["phases"] is None:
            device["phases"] = ("L1", "L12", "L123")[site["phases"] - 1]

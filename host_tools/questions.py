# SPDX-License-Identifier: MIT
"""The guided part of `firmline commission`: questions in, a configuration out.

Which fields there are, what they take and what they mean comes from the firmware's tables and
docs/configuration.md; here is only the order, and which fields everybody is asked for. The others
keep their defaults, or what the configuration in force has.
"""

import json

from firmline.services import config_fields as fields
from firmline.services.config import ceiling_w, circuit_a, circuit_w, groups_of
from host_tools import config_check
from host_tools.configuration_doc import texts
from host_tools.errors import BadInput

_RATINGS = ("name", "phases", "voltage_v", "service_a", "full_rated", "conductor_a")
_LOADS = ("demand_load_w", "connected_load_w")
_LIMITS = ("firm_import_w", "firm_export_w", "worst_case_load_w", "response_s")
_BUS = ("port", "baud", "parity")
_HEAD_END = ("port", "baud", "unit", "timeout_s")
_DEVICE = {
    "meter": ("name", "unit"),
    "ct_input": ("name", "rated_a", "rated_mv", "voltage_mv", "mains_hz"),
    "evse": ("name", "unit", "phases", "min_a", "max_a", "fallback_a"),
    "pv": ("name", "unit", "phases", "rated_w", "fallback_w"),
    "battery": ("name", "unit", "phases", "max_charge_w", "max_discharge_w", "policy"),
    "relay": ("name", "pin", "phases", "load_w", "protected", "fallback_on", "min_off_s"),
    "trip": ("name", "pin"),
}
_METER_STAND_IN = {"name": "meter", "type": "eastron_sdm630", "unit": 1}


class Dialogue:
    """read() -> a line the person typed, without its end (EOFError at the end); say(text)."""

    def __init__(self, read, say):
        self._read = read
        self._say = say

    def configuration(self, before):
        """A configuration without a fault, as a dict. before: the one in force, or {}."""
        self._say("Enter takes the value in [ ]; - leaves a field out; Ctrl-C changes nothing.")
        config = {"schema": 1, **before}
        config["site"] = self._site(dict(before.get("site", {})))
        if before.get("buses") and self.yes("Keep the buses, the head-end and the devices?", True):
            pass
        else:
            self._lines(config, before)
            config["devices"] = self._devices(config)
        self._mend(config)
        return config

    # --- one question ---

    def ask(self, section, row, default):
        """The value of a field: asked until it is one that the field takes."""
        name, _, _, _, row_default, unit = row
        if default is None and row_default is not fields.MISSING:
            default = row_default
        shown = "" if default is None else f" [{_shown(default)}]"
        may_lack = row_default is None
        if may_lack and default is None:
            shown = " [-]"
        while True:
            self._say(f"\n{name}: {texts(section, name)[0]}")
            text = self._line(f"  {name}{', ' + unit if unit else ''}{shown}: ")
            if text == "-" and may_lack:
                return None
            if not text and (default is not None or may_lack):
                return default
            value = _parsed(row, text)
            if value is not None:
                return value
            self._say(f"  {text or 'nothing'}: accepted is {fields.accepted(row)}")

    def yes(self, question, default):
        while True:
            text = self._line(f"{question} [{'Y/n' if default else 'y/N'}] ").lower()
            if text in ("", "y", "yes", "n", "no"):
                return default if not text else text[0] == "y"
            self._say("  y or n")

    def choose(self, question, choices):
        """One of `choices`, by number or name."""
        while True:
            self._say(question)
            for number, choice in enumerate(choices, 1):
                self._say(f"  {number:2}  {choice}")
            text = self._line("  number or name: ")
            if text in choices:
                return text
            if text.isdecimal() and 1 <= int(text) <= len(choices):
                return choices[int(text) - 1]
            self._say(f"  {text or 'nothing'}: accepted is 1 to {len(choices)}")

    def _line(self, prompt):
        try:
            return self._read(prompt).strip()
        except EOFError:
            raise BadInput("the input ended before the last answer: nothing was changed") from None

    def _fields(self, section, rows, names, given):
        """Ask for `names` of the table `rows`, into the dict `given`."""
        by_name = {row[0]: row for row in rows}
        for name in names:
            value = self.ask(section, by_name[name], given.get(name))
            given.pop(name, None)
            if value is not None:
                given[name] = value
        return given

    # --- the sections ---

    def _site(self, site):
        self._fields("site", fields.SITE, _RATINGS + _LOADS, site)
        for line in ceiling_lines(site):
            self._say(line)
        self._fields("site", fields.SITE, _LIMITS, site)
        probe = {"schema": 1, "site": site, "buses": [{"port": "x"}], "devices": [_METER_STAND_IN]}
        while found := _first(probe, "site."):
            self._again(site, "site", fields.SITE, found)
        return site

    def _lines(self, config, before):
        config["buses"] = []
        while not config["buses"] or self.yes("\nAnother RS-485 bus of devices?", False):
            self._say(f"\nBus {len(config['buses'])}, with devices on it")
            config["buses"].append(self._fields("bus", fields.BUS, _BUS, {}))
        config.pop("head_end", None)
        if self.yes("\nIs there a head-end that sends limits?", False):
            given = dict(before.get("head_end") or {})
            config["head_end"] = self._fields("head_end", fields.HEAD_END, _HEAD_END, given)

    def _devices(self, config):
        self._say("\nThe meter at the point of common coupling")
        devices = [self._device(config, "meter")]
        others = [role for role in _DEVICE if role not in ("meter", "ct_input")]
        while self.yes(f"\nDevices so far: {len(devices)}. Another one?", False):
            devices.append(self._device(config, self.choose("What is it?", others)))
        return devices

    def _device(self, config, role):
        types = sorted(name for name, of in fields.TYPE_ROLES.items() if of == role)
        types.sort(key=lambda name: name in _DEVICE)  # what is no product comes last
        kind = types[0] if len(types) == 1 else self.choose("Which product?", types)
        rows = [row for group in groups_of(kind) for row in group]
        section = kind if kind in _DEVICE else role
        given = {"type": kind}
        if len(config["buses"]) > 1 and any(row[0] == "bus" for row in rows):
            self._fields(section, rows, ("bus",), given)
        return self._fields(section, rows, _DEVICE[section], given)

    # --- what does not fit together ---

    def _mend(self, config):
        """Ask again for each field that the firmware's validator refuses."""
        while found := _first(config, ""):
            section, rows, holder = _holder(config, found.field)
            if holder is None:
                raise BadInput(config_check.as_line(found))
            self._again(holder, section, rows, found)

    def _again(self, holder, section, rows, error):
        name = error.field.rsplit(".", 1)[-1]
        self._say(f"\n  not accepted: {config_check.as_line(error)}")
        holder.pop(name, None)
        self._fields(section, rows, (name,), holder)


def ceiling_lines(site):
    """The setting ceiling in words: which rule sets it, what it comes to."""
    full = dict.fromkeys(row[0] for row in fields.SITE) | {"full_rated": False} | site
    amps, watts = circuit_a(full), circuit_w(full)
    yield f"\nSetting ceiling: {amps} A on each conductor, {watts} W together."
    if full["conductor_a"] is not None and amps == full["conductor_a"]:
        yield "  It is the rating of the conductors."
    elif full["full_rated"]:
        yield f"  It is the overcurrent device's {full['service_a']} A, rated for all the time."
    else:
        yield f"  It is 80 % of the overcurrent device's {full['service_a']} A, which may not be"
        yield "  loaded fully all the time."
    if ceiling_w(full) < watts:
        yield f"  Import: {ceiling_w(full)} W, the lesser of demand load and connected load."
    yield "  No limit may be above it, now or later."


def _first(config, prefix):
    """The first fault whose field begins with `prefix`, or None."""
    found = config_check.faults(json.dumps(config))
    return next((error for error in found if error.field.startswith(prefix)), None)


def _holder(config, path):
    """(section, rows, dict) that hold a field such as devices[2].unit; Nones for others."""
    if path.startswith("site."):
        return "site", fields.SITE, config["site"]
    if path.startswith("head_end."):
        return "head_end", fields.HEAD_END, config["head_end"]
    for key, section in (("buses", "bus"), ("devices", "device"), ("timing", "timing")):
        if path.startswith(key + "[") and "." in path:
            holder = config[key][int(path[len(key) + 1 : path.index("]")])]
            if section == "bus":
                return section, fields.BUS, holder
            kind = holder["type"]
            section = kind if kind in _DEVICE else fields.TYPE_ROLES[kind]
            return section, [row for group in groups_of(kind) for row in group], holder
    return None, None, None


def _shown(value):
    return {True: "y", False: "n"}.get(value, value) if isinstance(value, bool) else value


def _parsed(row, text):
    """The value in `text`, or None if the field does not take it."""
    _, kind, low, high, _, _ = row
    if kind == fields.BOOL:
        return {"y": True, "yes": True, "n": False, "no": False}.get(text.lower())
    if kind == fields.CHOICE:
        return text if text in low else None
    if kind == fields.TEXT:
        return text if low <= len(text) <= high and text.isprintable() else None
    try:
        number = int(text.replace(" ", ""))
    except ValueError:
        return None
    return number if low <= number <= high else None

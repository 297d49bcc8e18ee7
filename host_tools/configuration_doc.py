# SPDX-License-Identifier: MIT
"""Prints docs/configuration.md from the field tables of the firmware (a test compares the two).

python host_tools/configuration_doc.py > docs/configuration.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "firmware"))

from firmline.services import config_ct  # noqa: E402
from firmline.services import config_fields as fields  # noqa: E402

_INTRO = """\
# Configuration

<!-- Made by host_tools/configuration_doc.py from firmware/firmline/services/config_fields.py. -->

One JSON object, at most 16384 characters. It is read once, at start. A file that is not complete
and consistent is refused as a whole: the controller does not start on a guess. The refusal is one
line with the field, the value as given, and what would be accepted:

    config: devices[2].unit = 300: accepted is an integer from 1 to 247

Numbers are integers in the unit that the name carries. `-` as default means that the field may be
absent (or null). Refused besides what the tables say: a key that is not listed here, a key given
twice, and text that is not strictly JSON (with line and column).

The last column says what a wrong value does that the controller cannot notice.
"""

_CHECKS = """\
## What is checked across fields

- **Setting ceiling.** `firm_a` may not exceed `service_a` (80 % of it unless `full_rated`) nor
  `conductor_a`. `firm_import_w` and `firm_export_w` may not exceed that current times `voltage_v`
  times `phases`, and `firm_import_w` neither `demand_load_w` nor `connected_load_w`.
- **Fallback stands by itself.** `worst_case_load_w` plus what all loads take at their fallback
  values (EVSEs at `fallback_a`, charging batteries, relays with `fallback_on` or `protected`)
  may not exceed `firm_import_w`. Without `worst_case_load_w` every one of these values must be
  0 or false; only a `protected` relay is let through, as it is never shed. What PV and
  discharging batteries supply at theirs may not exceed `firm_export_w` in sum.
- **Times.** `hold_ms` is less than `fallback_ms`; `fallback_ms` and two ticks are at most 4000 ms,
  so that the slowest device has 1 s left of the 5 s after a meter loss; the meter's `poll_ms` is
  less than `hold_ms`; `timeout_s` of the head-end is at least two `heartbeat_s`.
- **Each thing once.** Device names, unit addresses on one bus, ports of buses and head-end, pins
  of relays and trip outputs; exactly one meter, with role `pcc`.
- **CTs.** `rated_a` is at least `firm_a`, so that an excess can be measured; `hold_ms` is at least
  200 ms, as a window takes 160. Three conductors leave no input for a voltage. **Without a
  voltage input nothing on the site may supply**: no PV, no battery that may discharge, as an
  export would count as import. A site with two conductors and a voltage is a split phase, whose
  legs are in antiphase; two phases of a three-phase system need a Modbus meter. Only boards with
  an RP2040 or RP2350 have such inputs ([wiring](wiring.md)).
- **One device.** `min_a` is at most `max_a`; `fallback_a` is 0 or within them; a fallback power
  is within the device's own range; `bus` names an entry of `buses`; `phases` names only
  conductors the site has.
"""

# (section, field): meaning, what a wrong value does
_TEXTS = {
    ("site", "name"): ("for people", ""),
    ("site", "phases"): (
        "conductors: 1, 2 (split-phase legs), 3",
        "conductors are not watched, or watts are off by a factor",
    ),
    ("site", "voltage_v"): (
        "nominal voltage of a conductor to neutral (120 for a 120/240 V service)",
        "every ampere is converted with it",
    ),
    ("site", "service_a"): (
        "rating of the overcurrent device",
        "the setting ceiling is too high: the device trips",
    ),
    ("site", "full_rated"): (
        "the overcurrent device is rated for 100 % of its current continuously",
        "the 80 % rule is lifted: the device may trip",
    ),
    ("site", "conductor_a"): (
        "rating of the secondary conductors, where lower than the device",
        "conductors overheat",
    ),
    ("site", "demand_load_w"): ("demand load of the connection", "the import ceiling is wrong"),
    ("site", "connected_load_w"): ("connected load", "the import ceiling is wrong"),
    ("site", "firm_import_w"): (
        "what may always be imported at the PCC; 0: nothing",
        "the limit agreed with the utility is not kept",
    ),
    ("site", "firm_export_w"): (
        "what may always be exported at the PCC; 0: nothing",
        "the limit agreed with the utility is not kept",
    ),
    ("site", "firm_a"): (
        "limit of each conductor, either direction; default: the setting ceiling",
        "a conductor is overloaded while the sum is inside",
    ),
    ("site", "worst_case_load_w"): (
        "most that the uncontrolled loads can take; needed to leave anything on without a meter",
        "the limit is exceeded while the meter is lost",
    ),
    ("site", "margin_permille"): (
        "distance kept from a limit, in thousandths of it",
        "small: short excursions; large: unused capacity",
    ),
    ("site", "response_s"): (
        "allowed time to be back inside a limit; sets the escalation stages",
        "long: the limit is exceeded longer than agreed",
    ),
    ("timing", "tick_ms"): ("a control cycle runs at least this often", "long: late reactions"),
    ("timing", "hold_ms"): (
        "an older sample may only tighten",
        "short: needless holding; long: acting on old samples",
    ),
    ("timing", "fallback_ms"): (
        "an older sample is lost: every resource at its fallback value",
        "short: needless fallbacks; long: a late one",
    ),
    ("timing", "raise_delay_ms"): (
        "headroom must last this long before it is given out",
        "short: commands swing with the load",
    ),
    ("timing", "resume_delay_ms"): (
        "a load that was turned off stays off this long",
        "short: vehicles and contactors are cycled",
    ),
    ("timing", "rotation_s"): (
        "turn of an EVSE when not all can charge",
        "short: many stops; long: unfair waits",
    ),
    ("bus", "port"): ("the board's name of the port", "no device answers: fallback"),
    ("bus", "baud"): ("line rate, 8 data bits, 1 stop bit", "no device answers: fallback"),
    ("bus", "parity"): ("of every device on the line", "no device answers: fallback"),
    ("head_end", "port"): (
        "the board's name of the serial port; may be absent beside `tcp_port`",
        "no head-end: firm limits",
    ),
    ("head_end", "tcp_port"): (
        "Modbus TCP for one client. Nobody is authenticated: see [safety](safety.md)",
        "",
    ),
    ("head_end", "tcp_may_loosen"): (
        "dynamic limits may also be raised over TCP, as on the serial port",
        "anyone on the network can let the site take up to the setting ceiling",
    ),
    ("head_end", "baud"): ("line rate, 8N1", "no head-end: firm limits"),
    ("head_end", "unit"): ("the controller's own Modbus address", "no head-end: firm limits"),
    ("head_end", "timeout_s"): (
        "an older heartbeat means the head-end is silent",
        "long: limits above firm outlive the head-end",
    ),
    ("head_end", "heartbeat_s"): (
        "how often the head-end promises to write; only checked against `timeout_s`",
        "",
    ),
    ("network", "ssid"): ("name of the Wi-Fi network; boards with a radio only", "no network"),
    ("network", "password"): ("of the Wi-Fi network, in the clear on the board", "no network"),
    ("network", "ntp_server"): (
        "IPv4 address of a time server; names are not looked up, that would block",
        "the clock is never set: nothing that needs a clock applies",
    ),
    ("device", "name"): ("for people and columns of logs", ""),
    ("device", "type"): (
        "product, which decides the role",
        "identification fails and nothing is written; a relay's cannot be checked",
    ),
    ("link", "bus"): ("index into `buses`", "the device does not answer: fallback value"),
    ("link", "unit"): ("Modbus address", "the wrong device is read and commanded"),
    ("link", "timeout_ms"): (
        "an answer later than this is none",
        "short: false losses; long: a dead device delays the bus",
    ),
    ("link", "poll_ms"): ("time between two readings", "short: a busy bus; long: old values"),
    ("meter", "role"): ("what it measures: the point of common coupling", ""),
    ("meter", "poll_ms"): ("time between two readings", "long: late reactions"),
    ("meter", "latency_ms"): (
        "from a change at the PCC to the reply that shows it",
        "short: two steps on the same information",
    ),
    ("ct_input", "type"): ("transformers on the board's own converter, no bus", ""),
    ("ct_input", "role"): ("what it measures: the point of common coupling", ""),
    ("ct_input", "rated_a"): (
        "primary current of the CTs: the same kind on each conductor, L1 on the first input",
        "every ampere and watt is off by the same factor",
    ),
    ("ct_input", "rated_mv"): (
        "RMS voltage that a CT gives to its input at `rated_a`, its burden included",
        "every ampere and watt is off by the same factor",
    ),
    ("ct_input", "voltage_mv"): (
        "RMS voltage at the input after the CTs' while L1 is at `voltage_v`; absent: no such "
        "input, every current counts as import",
        "every watt is off by the same factor; beyond a quarter no sample",
    ),
    ("ct_input", "mains_hz"): ("50 or 60", "windows are not whole cycles: amps swing"),
    ("ct_input", "latency_ms"): (
        "from a change at the PCC to the window that shows it: two windows and their sums",
        "short: two steps on the same information",
    ),
    ("wires", "phases"): (
        "conductors that feed it; default: all of the site's",
        "the wrong conductor is relieved",
    ),
    ("evse", "min_a"): (
        "smallest current it may offer; below that it pauses",
        "low: vehicles refuse to charge",
    ),
    ("evse", "max_a"): ("largest current it may offer", "its circuit is overloaded"),
    ("evse", "fallback_a"): (
        "current after a loss of the meter or of the controller",
        "must also be what the charger itself falls back to",
    ),
    ("evse", "watchdog_s"): (
        "the charger falls back after this long without a command",
        "long: a dead controller leaves it charging",
    ),
    ("evse", "settle_ms"): (
        "from a command to its full effect, vehicle included",
        "short: steps taken twice; long: slow return",
    ),
    ("pv", "rated_w"): (
        "nameplate of the inverter, to which its percentages refer",
        "every cap is off by the same factor",
    ),
    ("pv", "fallback_w"): ("most it supplies after a loss; 0: off", "lost yield, or export"),
    ("battery", "max_charge_w"): ("most it may charge", "the inverter limits by itself"),
    ("battery", "max_discharge_w"): ("most it may discharge", "the inverter limits by itself"),
    ("battery", "fallback_w"): ("power after a loss, + charges", ""),
    ("device", "reversion_s"): (
        "the inverter falls back after this long without a command",
        "long: a dead controller leaves the last command standing",
    ),
    ("device", "settle_ms"): (
        "from a command to its full effect",
        "short: steps taken twice; long: slow return",
    ),
    ("battery", "policy"): ("what it does inside the limits", ""),
    ("battery", "min_soc_permille"): ("never discharged below, in thousandths", "wear"),
    ("pin", "pin"): ("the board's number of the output", "something else is switched"),
    ("pin", "readback_pin"): (
        "an input that an auxiliary contact pulls to ground while the output is on",
        "absent: only the pin itself is read back; wrong: the output counts as faulty",
    ),
    ("relay", "active_low"): (
        "the load is on while the pin is low",
        "on and off are exchanged, also at start",
    ),
    ("relay", "load_w"): ("power of the switched load", "shedding takes too much or too little"),
    ("relay", "fallback_on"): ("stays on after a loss", ""),
    ("relay", "min_off_s"): ("stays off at least this long", "compressors are cycled"),
    ("relay", "protected"): ("is never shed", "the limit may not be held"),
    ("sunspec", "base"): (
        "register of the `SunS` marker, or of the model itself",
        "identification fails and nothing is written",
    ),
}

_GROUPS = {"bus": "link", "unit": "link", "timeout_ms": "link", "poll_ms": "link"}
_GROUPS |= {"phases": "wires", "pin": "pin", "readback_pin": "pin"}
_GROUPS |= {"active_low": "relay", "base": "sunspec"}


def texts(section, name):
    """Meaning and consequence of a field; KeyError where nobody has written them."""
    for key in ((section, name), (_GROUPS.get(name, "device"), name), ("device", name)):
        if key in _TEXTS:
            return _TEXTS[key]
    raise KeyError(section, name)


def sections():
    """(title, short name, rows) in the order of the page."""
    yield "`site`", "site", fields.SITE
    yield "`timing` (may be absent)", "timing", fields.TIMING
    yield "`buses`: a list of 1 to 8", "bus", fields.BUS
    yield "`head_end` (may be absent)", "head_end", fields.HEAD_END
    yield "`network` (may be absent)", "network", fields.NETWORK
    rows_of = list(fields.ROLES.items())
    rows_of.insert(1, ("ct_input", config_ct.GROUPS))  # after the other meters
    for role, groups in rows_of:
        types = [f"`{name}`" for name in _types(role)]
        rows = [row for group in groups for row in group]
        if any("sunspec" in name for name in types):
            rows += fields.SUNSPEC
        title = "meter" if role == "ct_input" else role
        yield f"`devices`, {title}: {', '.join(types)}", role, rows


def _types(row):
    """The types that a row is for."""
    if row == "ct_input":
        return [row]
    found = sorted(name for name, role in fields.TYPE_ROLES.items() if role == row)
    return [name for name in found if name != "ct_input"]


def _default(value):
    if value is fields.MISSING:
        return "**required**"
    return "-" if value is None else f"`{str(value).lower() if value in (True, False) else value}`"


def _accepted(section, row):
    if row[0] == "type":
        return "one of the types above"
    if row[0] == "base":
        return fields.accepted(row) + " (`sunspec_` types only)"
    return fields.accepted(row)


def markdown():
    lines = [_INTRO, "## Top level", ""]
    lines += ["| field | accepted |", "|---|---|", "| `schema` | the integer 1 |"]
    board = fields.accepted(fields.BOARD)
    lines += [f"| `board` | {board}: the board this is for, refused elsewhere; or absent: any |"]
    lines += [
        "| `site` | an object |",
        "| `timing`, `head_end`, `network` | an object, or absent |",
    ]
    lines += ["| `buses` | a list of 1 to 8 objects |"]
    lines += ["| `devices` | a list of 1 to 48 objects |"]
    for title, section, rows in sections():
        lines += ["", f"## {title}", ""]
        lines += ["| field | accepted | default | meaning | if wrong |", "|---|---|---|---|---|"]
        for row in rows:
            meaning, wrong = texts(section, row[0])
            accepted = _accepted(section, row)
            lines.append(f"| `{row[0]}` | {accepted} | {_default(row[4])} | {meaning} | {wrong} |")
    return "\n".join(lines) + "\n\n" + _CHECKS


if __name__ == "__main__":
    sys.stdout.write(markdown())

# SPDX-License-Identifier: MIT
"""services.config: a good file is completed, every bad one is refused with field, value and
what would be accepted."""

import json

from firmline.devices.catalog import PLACES, table_of
from firmline.services import config
from firmline.services.config_fields import ROLES


def good():
    """A 400 A site with one device of every role. Written out anew for each test."""
    return {
        "schema": 1,
        "site": {
            "name": "depot",
            "phases": 3,
            "voltage_v": 277,
            "service_a": 400,
            "firm_import_w": 48000,
            "firm_export_w": 10000,
            "worst_case_load_w": 20000,
        },
        "buses": [{"port": "uart0", "baud": 19200}, {"port": "uart2"}],
        "head_end": {"port": "uart1", "timeout_s": 60},
        "devices": [
            {"name": "pcc", "type": "eastron_sdm630", "unit": 1, "role": "pcc"},
            {"name": "ev1", "type": "abb_terra_ac", "unit": 2, "max_a": 32, "phases": "L2"},
            {"name": "roof", "type": "sunspec_pv_123", "unit": 3, "rated_w": 30000},
            {
                "name": "store",
                "type": "sunspec_battery_704",
                "unit": 4,
                "max_charge_w": 5000,
                "max_discharge_w": 6000,
            },
            {"name": "heater", "type": "relay_output", "pin": 6, "load_w": 3000, "phases": "L1"},
            {"name": "trip", "type": "trip_output", "pin": 7},
        ],
    }


def refusal(given):
    try:
        config.load(json.dumps(given))
    except config.ConfigError as error:
        return error
    raise AssertionError("not refused: " + json.dumps(given))


def refusal_of_text(text):
    try:
        config.load(text)
    except config.ConfigError as error:
        return error
    raise AssertionError("not refused: " + text[:60])


def put(given, path, value):
    """Set, append ("devices.+") or with DELETE remove what `path` names."""
    keys = path.split(".")
    for key in keys[:-1]:
        given = given[int(key)] if isinstance(given, list) else given[key]
    last = int(keys[-1]) if keys[-1].isdigit() else keys[-1]
    if value is DELETE:
        del given[last]
    elif last == "+":
        given.append(value)
    else:
        given[last] = value


DELETE = object()
PCC_2 = {"name": "pcc2", "type": "sunspec_meter_203", "unit": 9}
EV_2 = {"name": "ev2", "type": "heidelberg_energy_control", "unit": 9, "max_a": 16}


def with_changes(*changes):
    given = good()
    for at in range(0, len(changes), 2):
        put(given, changes[at], changes[at + 1])
    return given


# changes to the good file, then: field, value as shown, words that "accepted" must hold
REFUSED = (
    # missing
    (("schema", DELETE), "schema", "(missing)", "the integer 1"),
    (("site", DELETE), "site", "(missing)", "an object"),
    (("site.phases", DELETE), "site.phases", "(missing)", "an integer from 1 to 3"),
    (("site.voltage_v", DELETE), "site.voltage_v", "(missing)", "from 100 to 400 V"),
    (("site.service_a", DELETE), "site.service_a", "(missing)", "from 10 to 5000 A"),
    (("site.firm_import_w", DELETE), "site.firm_import_w", "(missing)", "from 0 to 10000000 W"),
    (("site.firm_export_w", DELETE), "site.firm_export_w", "(missing)", "from 0 to 10000000 W"),
    (("buses", DELETE), "buses", "(missing)", "a list of 1 to 8 objects"),
    (("buses.0.port", DELETE), "buses[0].port", "(missing)", "1 to 32 characters"),
    (("head_end.port", DELETE), "head_end.port", "(missing)", "1 to 32 characters"),
    (("devices", DELETE), "devices", "(missing)", "a list of 1 to 48 objects"),
    (("devices.1.name", DELETE), "devices[1].name", "(missing)", "1 to 24 characters"),
    (("devices.1.type", DELETE), "devices[1].type", "(missing)", "one of abb_terra_ac, "),
    (("devices.2.unit", DELETE), "devices[2].unit", "(missing)", "an integer from 1 to 247"),
    (("devices.1.max_a", DELETE), "devices[1].max_a", "(missing)", "from 6 to 500 A"),
    (("devices.2.rated_w", DELETE), "devices[2].rated_w", "(missing)", "from 1 to 10000000 W"),
    (("devices.3.max_charge_w", DELETE), "devices[3].max_charge_w", "(missing)", "0 to 10000000"),
    (("devices.3.max_discharge_w", DELETE), "devices[3].max_discharge_w", "(missing)", "0 to "),
    (("devices.4.pin", DELETE), "devices[4].pin", "(missing)", "an integer from 0 to 63"),
    (("devices.4.load_w", DELETE), "devices[4].load_w", "(missing)", "0 to 10000000 W"),
    (("devices.5.pin", DELETE), "devices[5].pin", "(missing)", "an integer from 0 to 63"),
    # wrong type
    (("schema", "1"), "schema", '"1"', "the integer 1"),
    (("site", []), "site", "(a list of 0)", "an object"),
    (("timing", None), "timing", "null", "an object"),
    (("timing", 5), "timing", "5", "an object"),
    (("head_end", 5), "head_end", "5", "an object"),
    (("buses", {}), "buses", "(an object)", "a list of 1 to 8 objects"),
    (("buses.1", "uart0"), "buses[1]", '"uart0"', "an object"),
    (("devices", "x"), "devices", '"x"', "a list of 1 to 48 objects"),
    (("devices.3", 7), "devices[3]", "7", "an object"),
    (("site.phases", True), "site.phases", "true", "an integer from 1 to 3"),
    (("site.phases", None), "site.phases", "null", "an integer from 1 to 3"),
    (("site.phases", [3]), "site.phases", "(a list of 1)", "an integer from 1 to 3"),
    (("site.service_a", "400"), "site.service_a", '"400"', "an integer from 10 to 5000 A"),
    (("site.firm_import_w", 48000.5), "site.firm_import_w", "48000.5", "an integer from 0"),
    (("site.full_rated", 1), "site.full_rated", "1", "true or false"),
    (("site.full_rated", "yes"), "site.full_rated", '"yes"', "true or false"),
    (("site.name", 5), "site.name", "5", "1 to 60 characters on one line"),
    (("devices.4.fallback_on", 0), "devices[4].fallback_on", "0", "true or false"),
    (("devices.4.active_low", None), "devices[4].active_low", "null", "true or false"),
    (("devices.1.type", 3), "devices[1].type", "3", "one of abb_terra_ac"),
    (("devices.1.type", []), "devices[1].type", "(a list of 0)", "one of abb_terra_ac"),
    # unknown keys, and keys of another role
    (
        ("sight", 1),
        "sight",
        "1",
        "one of the keys schema, board, site, timing, buses, head_end, network, devices",
    ),
    (("site.firm_imprt_w", 1), "site.firm_imprt_w", "1", "firm_import_w"),
    (("timing", {"tick": 100}), "timing.tick", "100", "one of the keys tick_ms, "),
    (("buses.0.parity", "E"), "buses[0].parity", '"E"', "one of none, even"),
    (("buses.0.stop", 2), "buses[0].stop", "2", "one of the keys port, baud, parity"),
    (("head_end.password", "x"), "head_end.password", '"(not shown)"', "timeout_s"),
    (("devices.0.pin", 4), "devices[0].pin", "4", "one of the keys name, type, bus, unit"),
    (("devices.0.max_a", 4), "devices[0].max_a", "4", "poll_ms"),
    (("devices.0.base", 40000), "devices[0].base", "40000", "poll_ms"),  # not a sunspec type
    (("devices.1.role", "pcc"), "devices[1].role", '"pcc"', "watchdog_s"),
    (("devices.2.max_a", 16), "devices[2].max_a", "16", "rated_w"),
    (("devices.4.unit", 16), "devices[4].unit", "16", "min_off_s"),
    (("devices.5.load_w", 16), "devices[5].load_w", "16", "one of the keys name, type, pin"),
    (("devices.1.type", "sunspec_pv_123"), "devices[1].max_a", "32", "rated_w"),
    # out of range, both sides of each kind of limit
    (("schema", 2), "schema", "2", "the integer 1"),
    (("site.phases", 0), "site.phases", "0", "an integer from 1 to 3"),
    (("site.phases", 4), "site.phases", "4", "an integer from 1 to 3"),
    (("site.voltage_v", 99), "site.voltage_v", "99", "from 100 to 400 V"),
    (("site.voltage_v", 401), "site.voltage_v", "401", "from 100 to 400 V"),
    (("site.service_a", 9), "site.service_a", "9", "from 10 to 5000 A"),
    (("site.service_a", 5001), "site.service_a", "5001", "from 10 to 5000 A"),
    (("site.firm_import_w", -1), "site.firm_import_w", "-1", "from 0 to 10000000 W"),
    (("site.firm_export_w", 1 << 70), "site.firm_export_w", "1180591620717411303424", "from 0"),
    (("site.margin_permille", 201), "site.margin_permille", "201", "from 0 to 200"),
    (("site.response_s", 0), "site.response_s", "0", "from 1 to 60 s"),
    (("site.response_s", 61), "site.response_s", "61", "from 1 to 60 s"),
    (("site.name", ""), "site.name", '""', "1 to 60 characters"),
    (("site.name", "x" * 61), "site.name", '"' + "x" * 56 + "...", "1 to 60 characters"),
    (("site.name", "a\nb"), "site.name", '"a\\nb"', "on one line"),
    (("site.name", " a"), "site.name", '" a"', "without outer spaces"),
    (("timing", {"tick_ms": 9}), "timing.tick_ms", "9", "from 10 to 1000 ms"),
    (("timing", {"hold_ms": 99}), "timing.hold_ms", "99", "from 100 to 3000 ms"),
    (("timing", {"fallback_ms": 4001}), "timing.fallback_ms", "4001", "from 200 to 4000 ms"),
    (("timing", {"rotation_s": 9}), "timing.rotation_s", "9", "from 10 to 86400 s"),
    (("buses", []), "buses", "(a list of 0)", "a list of 1 to 8 objects"),
    (("buses", [{"port": "p"}] * 9), "buses", "(a list of 9)", "a list of 1 to 8 objects"),
    (("devices", [PCC_2] * 49), "devices", "(a list of 49)", "a list of 1 to 48 objects"),
    (("devices.1.name", "x" * 25), "devices[1].name", '"' + "x" * 25 + '"', "1 to 24 characters"),
    (("buses.0.baud", 1199), "buses[0].baud", "1199", "from 1200 to 921600 Bd"),
    (("buses.0.baud", 921601), "buses[0].baud", "921601", "from 1200 to 921600 Bd"),
    (("head_end.unit", 0), "head_end.unit", "0", "an integer from 1 to 247"),
    (("head_end.timeout_s", 0), "head_end.timeout_s", "0", "from 1 to 3600 s"),
    (("head_end.timeout_s", 3601), "head_end.timeout_s", "3601", "from 1 to 3600 s"),
    (("devices.2.unit", 0), "devices[2].unit", "0", "an integer from 1 to 247"),
    (("devices.2.unit", 248), "devices[2].unit", "248", "an integer from 1 to 247"),
    (("devices.2.unit", 300), "devices[2].unit", "300", "an integer from 1 to 247"),
    (("devices.1.min_a", 5), "devices[1].min_a", "5", "from 6 to 500 A"),
    (("devices.2.base", 65536), "devices[2].base", "65536", "from 0 to 65535"),
    (("devices.4.pin", 64), "devices[4].pin", "64", "from 0 to 63"),
    # choices
    (("devices.1.type", "abb_terra"), "devices[1].type", '"abb_terra"', "abb_terra_ac, ct_input"),
    (("devices.0.role", "pv"), "devices[0].role", '"pv"', "one of pcc"),
    (("devices.1.phases", "L21"), "devices[1].phases", '"L21"', "one of L1, L2, L3, L12"),
    (("devices.3.policy", "sell"), "devices[3].policy", '"sell"', "hold, self_consumption"),
    # setting ceiling (M08): 400 A x 0.8 x 277 V x 3 = 265,920 W
    (
        ("site.firm_import_w", 265921),
        "site.firm_import_w",
        "265921",
        "265920 W: 80 % of service_a",
    ),
    (
        ("site.firm_export_w", 265921),
        "site.firm_export_w",
        "265921",
        "265920 W: 80 % of service_a",
    ),
    (("site.firm_a", 321), "site.firm_a", "321", "at most 320 A: 80 % of service_a"),
    (
        ("site.full_rated", True, "site.firm_import_w", 332401),
        "site.firm_import_w",
        "332401",
        "at most 332400 W: service_a",
    ),
    (("site.full_rated", True, "site.firm_a", 401), "site.firm_a", "401", "400 A: service_a"),
    (("site.conductor_a", 200, "site.firm_a", 201), "site.firm_a", "201", "200 A: conductor_a"),
    (("site.conductor_a", 57), "site.firm_import_w", "48000", "at most 47367 W: conductor_a"),
    (("site.demand_load_w", 47999), "site.firm_import_w", "48000", "47999 W: demand_load_w"),
    (("site.connected_load_w", 47999), "site.firm_import_w", "48000", "47999 W: connected_load_w"),
    # times that cannot all be kept
    (
        ("timing", {"hold_ms": 2000, "fallback_ms": 2000}),
        "timing.hold_ms",
        "2000",
        "less than fallback_ms 2000",
    ),
    (("timing", {"fallback_ms": 3801}), "timing.fallback_ms", "3801", "at most 3800 ms"),
    (
        ("timing", {"fallback_ms": 2001, "tick_ms": 1000}),
        "timing.fallback_ms",
        "2001",
        "at most 2000 ms",
    ),
    (("devices.0.poll_ms", 600), "devices[0].poll_ms", "600", "less than timing.hold_ms 600"),
    (("head_end.heartbeat_s", 31), "head_end.timeout_s", "60", "at least 62 s"),
    # ports, units, names, pins
    (("buses.1.port", "uart0"), "buses[1].port", '"uart0"', "a port of its own"),
    (("head_end.port", "uart2"), "head_end.port", '"uart2"', "a port that no bus uses"),
    (("devices.3.unit", 2), "devices[3].unit", "2", "devices[1] does not use"),
    (("devices.3.name", "pcc"), "devices[3].name", '"pcc"', "devices[0] does not use"),
    (
        ("devices.3.name", "pcc", "devices.3.bus", 1),
        "devices[3].name",
        '"pcc"',
        "devices[0] does not use",
    ),
    (("devices.5.pin", 6), "devices[5].pin", "6", "devices[4] does not use"),
    (
        ("devices.5.readback_pin", 6),
        "devices[5].readback_pin",
        "6",
        "devices[4] does not use",
    ),
    (("devices.5.readback_pin", 64), "devices[5].readback_pin", "64", "0 to 63"),
    (("devices.2.bus", 2), "devices[2].bus", "2", "an index of buses, 0 to 1"),
    # the meter
    (("devices.0", DELETE), "devices", "(a list of 5)", "one meter of role pcc"),
    (("devices.+", PCC_2), "devices[6].role", '"pcc"', "one pcc meter, which devices[0] is"),
    # fields of one device against each other
    (("devices.1.min_a", 33), "devices[1].min_a", "33", "at most max_a 32"),
    (("devices.1.fallback_a", 33), "devices[1].fallback_a", "33", "0 or an integer from 6 to 32"),
    (("devices.1.fallback_a", 5), "devices[1].fallback_a", "5", "0 or an integer from 6 to 32"),
    (("devices.2.fallback_w", 30001), "devices[2].fallback_w", "30001", "from 0 to 30000"),
    (("devices.3.fallback_w", 5001), "devices[3].fallback_w", "5001", "from -6000 to 5000"),
    (("devices.3.fallback_w", -6001), "devices[3].fallback_w", "-6001", "from -6000 to 5000"),
    (("site.phases", 1), "devices[1].phases", '"L2"', "conductors of L1"),
    (
        ("site.phases", 2, "devices.1.phases", "L23"),
        "devices[1].phases",
        '"L23"',
        "conductors of L12",
    ),
    # fallback by itself must stay inside the firm limits
    (("site.worst_case_load_w", 48001), "site.worst_case_load_w", "48001", "firm_import_w 48000"),
    (
        ("site.worst_case_load_w", 46339, "devices.1.fallback_a", 6),  # 6 A x 277 V = 1662 W
        "devices[1].fallback_a",
        "6",
        "at most 1661 W in fallback",
    ),
    (
        ("site.worst_case_load_w", 43001, "devices.3.fallback_w", 5000),
        "devices[3].fallback_w",
        "5000",
        "at most 4999 W in fallback",
    ),
    (
        ("site.worst_case_load_w", 45001, "devices.4.fallback_on", True),
        "devices[4].fallback_on",
        "true",
        "at most 2999 W in fallback",
    ),
    (
        ("site.worst_case_load_w", 45001, "devices.4.protected", True),
        "devices[4].load_w",
        "3000",
        "at most 2999 W in fallback",
    ),
    (
        ("site.worst_case_load_w", DELETE, "devices.1.fallback_a", 6),
        "devices[1].fallback_a",
        "6",
        "0, as site.worst_case_load_w is missing",
    ),
    (
        ("site.worst_case_load_w", DELETE, "devices.3.fallback_w", 1),
        "devices[3].fallback_w",
        "1",
        "0, as site.worst_case_load_w is missing",
    ),
    (
        ("site.worst_case_load_w", DELETE, "devices.4.fallback_on", True),
        "devices[4].fallback_on",
        "true",
        "false, as site.worst_case_load_w is missing",
    ),
    (
        (
            "site.worst_case_load_w",
            43001,
            "devices.1.fallback_a",
            6,  # 1662 W of the 4999 W left
            "devices.3.fallback_w",
            338,
            "devices.4.fallback_on",
            True,
        ),
        "devices[4].fallback_on",
        "true",
        "at most 2999 W in fallback",
    ),
    (("devices.2.fallback_w", 10001), "devices[2].fallback_w", "10001", "at most 10000 W"),
    (
        ("devices.2.fallback_w", 5000, "devices.3.fallback_w", -5001),
        "devices[3].fallback_w",
        "-5001",
        "at most 5000 W in fallback: firm_export_w",
    ),
)


def test_every_refusal_names_field_value_and_what_is_accepted():
    for changes, field, value, accepted in REFUSED:
        error = refusal(with_changes(*changes))
        assert error.field == field, (changes, str(error))
        assert accepted in error.accepted, (changes, str(error))
        line = "config: %s = %s: accepted is %s" % (field, value, error.accepted)
        assert str(error) == line, (str(error), line)
        assert "\n" not in str(error)


def with_cts(*changes):
    """A split-phase site whose meter is CTs with a voltage input."""
    given = good()
    given["site"] = {
        "phases": 2,
        "voltage_v": 120,
        "service_a": 200,
        "firm_import_w": 20000,
        "firm_export_w": 10000,
        "firm_a": 100,
    }
    given["devices"][0] = {
        "name": "grid",
        "type": "ct_input",
        "rated_a": 100,
        "rated_mv": 333,
        "voltage_mv": 600,
    }
    given["devices"][2]["rated_w"] = 9000
    for k in range(0, len(changes), 2):
        put(given, changes[k], changes[k + 1])
    return given


WITHOUT_VOLTAGE = ("devices.0.voltage_mv", DELETE)
# changes of with_cts(), field, value as shown, words of what would be accepted
CT_REFUSED = (
    (("devices.0.rated_a", 501), "devices[0].rated_a", "501", "5 to 500 A"),
    (("devices.0.rated_a", 99), "devices[0].rated_a", "99", "at least site.firm_a 100 A"),
    (("devices.0.rated_a", DELETE), "devices[0].rated_a", "(missing)", "5 to 500 A"),
    (("devices.0.rated_mv", 199), "devices[0].rated_mv", "199", "200 to 1100 mV"),
    (("devices.0.voltage_mv", 1001), "devices[0].voltage_mv", "1001", "200 to 1000 mV"),
    (("devices.0.mains_hz", 55), "devices[0].mains_hz", "55", "50 or 60 Hz"),
    (("devices.0.unit", 1), "devices[0].unit", "1", "one of the keys name, type, role"),
    (("devices.0.role", "sub"), "devices[0].role", '"sub"', "one of pcc"),
    (("devices.+", PCC_2), "devices[6].role", '"pcc"', "one pcc meter, which devices[0] is"),
    (("timing", {"hold_ms": 199}), "timing.hold_ms", "199", "at least 200 ms"),
    (("site.phases", 3), "devices[0].voltage_mv", "600", "three CTs take every input"),
    (WITHOUT_VOLTAGE, "devices[0].voltage_mv", "(missing)", "as devices[2] can supply"),
    (
        WITHOUT_VOLTAGE + ("devices.2", DELETE),
        "devices[0].voltage_mv",
        "(missing)",
        "as devices[2] can supply",
    ),
)


def test_cts_that_cannot_measure_the_site_are_refused():
    assert config.load(json.dumps(with_cts()))["devices"][0]["mains_hz"] == 50
    for changes, field, value, accepted in CT_REFUSED:
        error = refusal(with_cts(*changes))
        line = "config: %s = %s: accepted is %s" % (field, value, error.accepted)
        assert str(error) == line, (str(error), line)
        assert accepted in error.accepted, (changes, str(error))


def test_cts_without_a_voltage_are_for_sites_where_nothing_can_supply():
    given = with_cts(*WITHOUT_VOLTAGE)
    given["devices"] = given["devices"][:2] + given["devices"][4:]
    assert config.load(json.dumps(given))["devices"][0]["voltage_mv"] is None
    given = with_cts(*WITHOUT_VOLTAGE, "devices.3.max_discharge_w", 0)
    given["devices"] = given["devices"][:2] + given["devices"][3:]
    assert config.load(json.dumps(given))["devices"][2]["max_discharge_w"] == 0


def test_the_line_reads_as_documented():
    line = "config: devices[2].unit = 300: accepted is an integer from 1 to 247"
    assert str(refusal(with_changes("devices.2.unit", 300))) == line


def test_the_attributes_carry_the_value_itself():
    assert refusal(with_changes("devices.2.unit", 300)).value == 300
    assert refusal(with_changes("site.phases", DELETE)).value is config.MISSING


# text, field, words that the line must hold
BAD_TEXT = (
    ("", "(text)", "(missing)"),
    ("  \n ", "(text)", "to its last closing bracket"),
    ("{", "(text)", "to its last closing bracket"),
    ('{"schema": 1', "(text)", "to its last closing bracket"),
    ("[]", "(text)", "one JSON object"),
    ("17", "(text)", "17: accepted is one JSON object"),
    ("null", "(text)", "one JSON object"),
    ('"schema"', "(text)", "one JSON object"),
    ("hello", "line 1 column 1", "a value"),
    ("1, 2", "line 1 column 2", "a comma or the closing bracket"),
    ('{"schema": 1}, {}', "line 1 column 14", "a comma or the closing bracket"),
    ('{"schema": 00}', "line 1 column 12", "00"),
    ('{"schema": 09}', "line 1 column 12", "09"),
    ('{"schema": -01}', "line 1 column 12", "-01"),
    ('{"schema": 1}}', "line 1 column 14", "a comma or the closing bracket"),
    ('{"schema": 1} {}', "line 1 column 15", "a comma or the closing bracket"),
    ('{\n  "schema": 1,\n  "site": }', "line 3 column 11", "a value"),
    ('{"schema": 1 "site": {}}', "line 1 column 14", "a comma or the closing bracket"),
    ('{"schema" 1}', "line 1 column 11", "accepted is :"),
    ('{"schema": 1,}', "line 1 column 14", "a key in quotes"),
    ('{"buses": [1,]}', "line 1 column 14", "a value"),
    ('{"buses": [1}', "line 1 column 13", "a comma or the closing bracket"),
    ('{"buses": 1]', "line 1 column 12", "a comma or the closing bracket"),
    ("{]", "line 1 column 2", "a key in quotes or }"),
    ("[}", "line 1 column 2", "a value or ]"),
    ("{,}", "line 1 column 2", "a key in quotes or }"),
    ("{1: 2}", "line 1 column 2", "a key in quotes or }"),
    ("{schema: 1}", "line 1 column 2", "schema"),
    ("{'schema': 1}", "line 1 column 2", "a key in quotes or }"),
    ('{"schema": 48 000}', "line 1 column 15", "000"),
    ('{"schema": 01}', "line 1 column 12", "01"),
    ('{"schema": +1}', "line 1 column 12", "+1"),
    ('{"schema": -}', "line 1 column 12", "-"),
    ('{"schema": 0x10}', "line 1 column 12", "0x10"),
    ('{"schema": NaN}', "line 1 column 12", "NaN"),
    ('{"schema": True}', "line 1 column 12", "True"),
    ('{"schema": 1 // one\n}', "line 1 column 14", "//"),
    ('{"schema": "1}', "line 1 column 12", "a quote on its line"),
    ('{"schema": "1\n"}', "line 1 column 12", "a quote on its line"),
    ('{"schema": "1\\', "line 1 column 12", "a quote on its line"),
    ('{"\xe9\xe9": x}', "line 1 column 8", "x"),
    ("[[[[[[[[[[1]]]]]]]]]]", "line 1 column 9", "at most 8 levels"),
    ('{"site": {"firm_a": 1, "firm_a": 9}}', "firm_a", "each key once in its object"),
    ('{"firm\\u005fa": 1}', "firm\\u005fa", "a key without escapes"),
)


def test_text_that_is_not_json_is_refused_with_its_place():
    for text, field, words in BAD_TEXT:
        error = refusal_of_text(text)
        assert error.field == field, (text, str(error))
        assert words in str(error), (text, str(error))
        assert "\n" not in str(error)


def test_no_refusal_shows_what_may_be_a_password():
    """It becomes the cause that anybody can read."""
    rest = json.dumps(good())[1:]
    for text in (
        '"network":{"ssid":"x","password" "hunter22x"},',
        '"network":{"ssid":"x" "hunter22x"},',
        '"network":{"ssid":"x","password":hunter22x},',
        '"network":{"ssid":"x","password":"hunter22x\n"},',
        '"network":{"ssid":"x","password":"hunter22x},',
        '"network":"hunter22x",',
        '"network":{"ssid":"x","Password":"hunter22x"},',
        '"password":"hunter22x","network":{"ssid":"x"},',
        '"WiFiPass":"hunter22x",',
        '"networks":"hunter22x",',
        '"Password" "hunter22x",',
    ):
        text = "{" + text + rest
        said = str(refusal_of_text(text))
        assert "hunter" not in said and "not shown" in said, (text, said)
        assert "line 1 column" in said or "network" in said or "ass" in said, said
    network = '{"network":{"ssid":"","password":"hunter22x"},'
    said = str(refusal_of_text(network + rest))
    assert 'network.ssid = ""' in said


def test_a_number_that_only_looks_like_one_is_refused():
    for number in ("1.2.3", "1e", "1-1", "1e999"):
        refusal_of_text('{"schema": %s}' % number)


def test_equal_keys_in_different_objects_are_no_repetition():
    given = with_changes("devices.1.bus", 1, "devices.1.unit", 1)
    assert config.load(json.dumps(given))["devices"][1]["unit"] == 1


def test_text_is_at_most_16_kb():
    text = json.dumps(good())
    fill = 16384 - len(text)
    config.load(text + " " * fill)
    error = refusal_of_text(text + " " * (fill + 1))
    assert error.value == 16385
    assert "at most 16384 characters" in str(error)


def test_what_is_not_text_is_refused():
    for value in (None, b"{}", {}, 5):
        try:
            config.load(value)
        except config.ConfigError as error:
            assert error.field == "(text)"
        else:
            raise AssertionError("not refused")


def test_defaults_are_filled_in():
    loaded = config.load(json.dumps(good()))
    site = loaded["site"]
    assert site["full_rated"] is False
    assert site["conductor_a"] is None and site["demand_load_w"] is None
    assert site["margin_permille"] == 20 and site["response_s"] == 10
    timing = loaded["timing"]
    assert timing["tick_ms"] == 100 and timing["hold_ms"] == 600
    assert timing["fallback_ms"] == 1500 and timing["raise_delay_ms"] == 5000
    assert timing["resume_delay_ms"] == 20000 and timing["rotation_s"] == 900
    assert loaded["buses"][1]["baud"] == 19200
    assert loaded["head_end"]["unit"] == 1 and loaded["head_end"]["baud"] == 19200
    meter, evse, pv, battery, relay, trip = loaded["devices"]
    assert meter["bus"] == 0 and meter["poll_ms"] == 100 and meter["role"] == "pcc"
    assert evse["min_a"] == 6 and evse["fallback_a"] == 0 and evse["watchdog_s"] == 10
    assert evse["settle_ms"] == 5000 and evse["phases"] == "L2"
    assert pv["fallback_w"] == 0 and pv["reversion_s"] == 10 and pv["settle_ms"] == 1500
    assert pv["phases"] == "L123" and pv["base"] == 40000 and "base" not in meter
    assert battery["policy"] == "hold" and battery["min_soc_permille"] == 100
    assert battery["settle_ms"] == 1000
    assert relay["fallback_on"] is False and relay["protected"] is False
    assert relay["active_low"] is False
    assert trip == {"name": "trip", "type": "trip_output", "pin": 7, "readback_pin": None}


def test_head_end_and_timing_may_be_absent():
    loaded = config.load(json.dumps(with_changes("head_end", DELETE)))
    assert loaded["head_end"] is None
    assert config.load(json.dumps(with_changes("head_end", None)))["head_end"] is None


def test_conductors_default_to_all_of_the_site():
    for phases, text in ((1, "L1"), (2, "L12"), (3, "L123")):
        given = with_changes("site.phases", phases, "devices.1.phases", "L1")
        assert config.load(json.dumps(given))["devices"][2]["phases"] == text


def test_a_loaded_configuration_loads_again_unchanged():
    once = config.load(json.dumps(good()))
    assert config.load(json.dumps(once)) == once


def test_firm_amps_default_to_the_ceiling():
    for changes, amps in (
        ((), 320),
        (("site.full_rated", True), 400),
        (("site.conductor_a", 319), 319),
        (("site.service_a", 101, "site.firm_import_w", 1, "site.worst_case_load_w", 0), 80),
    ):
        site = config.load(json.dumps(with_changes(*changes)))["site"]
        assert site["firm_a"] == amps
        assert config.circuit_a(site) == amps


# each may be exactly at its limit
ACCEPTED = (
    ("site.firm_import_w", 265920),
    ("site.firm_export_w", 265920),
    ("site.firm_a", 320),
    ("site.full_rated", True, "site.firm_import_w", 332400),
    ("site.conductor_a", 58),  # 58 A x 277 V x 3 = 48,198 W
    ("site.demand_load_w", 48000),
    ("site.connected_load_w", 48000),
    ("timing", {"fallback_ms": 3800}),
    ("timing", {"hold_ms": 1499}),
    ("devices.0.poll_ms", 599),
    ("head_end.heartbeat_s", 30),
    ("devices.1.min_a", 32),
    ("devices.1.fallback_a", 32),
    ("devices.1.fallback_a", 6),
    ("devices.2.fallback_w", 10000),
    ("devices.3.fallback_w", -6000),
    ("devices.3.fallback_w", 5000),
    ("devices.2.fallback_w", 5000, "devices.3.fallback_w", -5000),
    ("site.worst_case_load_w", 48000),
    ("site.worst_case_load_w", 46338, "devices.1.fallback_a", 6),
    ("site.worst_case_load_w", 45000, "devices.4.fallback_on", True),
    ("site.worst_case_load_w", 45000, "devices.4.protected", True),
    ("site.worst_case_load_w", DELETE),
    ("site.worst_case_load_w", DELETE, "devices.4.protected", True),
    ("devices.2.unit", 1, "devices.2.bus", 1),
    ("devices.2.unit", 247),
    ("devices.+", EV_2),
    (
        "site.worst_case_load_w",
        43000,
        "devices.1.fallback_a",
        6,
        "devices.3.fallback_w",
        338,
        "devices.4.fallback_on",
        True,
    ),
    ("site.name", "x" * 60),
    ("site.name", "x"),
    ("site.name", 'a b "c" \\ {[:,]} \xe9'),
    ("devices.1.name", "x" * 24),
    ("buses", [{"port": "p%d" % number} for number in range(8)]),
    ("site.demand_load_w", None),
)


def test_the_edge_of_every_limit_is_accepted():
    for changes in ACCEPTED:
        try:
            config.load(json.dumps(with_changes(*changes)))
        except config.ConfigError as error:
            raise AssertionError("%r: %s" % (changes, error))


def test_a_load_limits_import_but_not_export():
    changes = ("site.demand_load_w", 48000, "site.firm_export_w", 60000)
    site = config.load(json.dumps(with_changes(*changes)))["site"]
    assert config.ceiling_w(site) == 48000
    assert config.circuit_w(site) == 265920


def test_ten_school_buses_on_a_400_a_service():
    # M01: 384 A of a 400 A service needs a device that is full_rated
    changes = ("site.firm_a", 384)
    assert refusal(with_changes(*changes)).field == "site.firm_a"
    config.load(json.dumps(with_changes("site.full_rated", True, *changes)))


def test_fallback_must_fit_on_each_conductor():
    # 3 x 32 A on L1 are 22 kW, well inside 48 kW, but 96 A on one conductor of 90 A
    given = good()
    given["site"]["firm_a"] = 90
    given["site"]["worst_case_load_w"] = 0
    evse = given["devices"][1]
    evse["phases"] = "L1"
    evse["fallback_a"] = 32
    for unit in (5, 6):
        given["devices"].append(dict(evse, name="ev%d" % unit, unit=unit))
    error = refusal(given)
    assert error.field == "devices[7].fallback_a"
    assert "at most 26 A in fallback on L1" in error.accepted
    given["devices"][7]["phases"] = "L3"
    config.load(json.dumps(given))


def test_a_trip_output_is_never_active_low():
    # pulled down while the board starts, it would say "healthy"
    given = good()
    given["devices"][5]["active_low"] = True
    assert refusal(given).field == "devices[5].active_low"


def test_phase_masks():
    for text, mask in (("L1", 1), ("L2", 2), ("L3", 4), ("L12", 3), ("L13", 5), ("L23", 6)):
        assert config.phase_mask(text) == mask
    assert config.phase_mask("L123") == 7


def test_every_type_has_a_role_with_fields():
    assert len(config.TYPE_ROLES) == 12
    for role in config.TYPE_ROLES.values():
        assert role in ROLES


def test_every_product_table_has_the_role_of_its_type():
    without = {"ct_input", "relay_output", "trip_output"}  # a table: nothing is on a bus
    assert set(config.TYPE_ROLES) - set(PLACES) == without
    for name in PLACES:
        assert table_of(name)["role"] == config.TYPE_ROLES[name], name


def test_a_board_may_be_named_and_is_none_otherwise():
    assert config.load(json.dumps(good()))["board"] is None
    assert config.load(json.dumps(dict(good(), board="pico")))["board"] == "pico"


def test_no_field_is_named_twice_in_a_role():
    for role in ROLES:
        names = [row[0] for group in ROLES[role] for row in group]
        assert len(set(names)) == len(names), role

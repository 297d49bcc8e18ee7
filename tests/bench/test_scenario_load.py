# SPDX-License-Identifier: MIT
"""Scenario files: what is refused, in which words, and that every committed one can be run."""

import json
from pathlib import Path

import pytest

from firmline.services import config, config_ct, config_fields
from hil.build import build_plant
from hil.scenarios import describe, schema
from hil.scenarios.load import BadInput, build_config, load

ROOT = Path(__file__).parents[2]
COMMITTED = sorted((ROOT / "hil" / "scenarios").glob("*.toml"))

GOOD = """
[scenario]
name = "small"
title = "A small site"
duration_s = 100
[site]
name = "Site"
phases = 3
voltage_v = 230
service_a = 63
firm_import_w = 17000
firm_export_w = 0
[[bus]]
port = "uart0"
baud = 19200
[head_end]
port = "uart1"
baud = 19200
unit = 1
[[device]]
name = "grid_meter"
type = "eastron_sdm630"
bus = 0
unit = 1
role = "pcc"
[[device]]
name = "evse_a"
type = "abb_terra_ac"
bus = 0
unit = 11
plant = "car"
phases = "L123"
min_a = 6
max_a = 16
[[plant.load]]
name = "house"
kind = "steps"
at_s = [0, 10]
load_w = [500, 1500]
[[plant.ev]]
name = "car"
phases = "L123"
energy_wh = 10000
max_a = 16
[[fault]]
kind = "no_response"
target = "grid_meter"
from_s = 10
to_s = 20
[head_end_script]
silent = [[5, 9]]
[[head_end_script.write]]
at_s = 1
import_w = 25000
duration_s = 60
[[expect]]
id = "TC-M01-01"
metric = "import_over_limit_s"
max = 0
requirement = "M01"
"""


def write(folder, text, name="small.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder, text):
    """The one line that refuses `text`."""
    path = write(folder, text)
    with pytest.raises(BadInput) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


# what to replace in GOOD, by what, and the words the line must carry
BAD = [
    ("duration_s = 100", "duration_s = -1", ["scenario.duration_s = -1:", "from 1 to 604800"]),
    ("duration_s = 100", "duration_s = nan", ["scenario.duration_s = nan:", "a number"]),
    ("duration_s = 100", 'duration_s = "long"', ["scenario.duration_s = 'long':", "a number"]),
    ("duration_s = 100", "duration_s = true", ["scenario.duration_s = true:", "a number"]),
    ("duration_s = 100", "", ["scenario.duration_s is missing:", "a number from 1 to 604800"]),
    ("duration_s = 100", "duration_s = 100\nsped = 1", ["scenario.sped = 1:", "no such key"]),
    ('"small"', '"Small site"', ["scenario.name = 'Small site':", "a-z"]),
    ("phases = 3", "phases = 4", ["site.phases = 4:", "one of 1, 2, 3"]),
    ("phases = 3", "phases = true", ["site.phases = true:", "one of 1, 2, 3"]),
    ("firm_import_w", "firm_improt_w", ["site.firm_improt_w = 17000", "mean firm_import_w?"]),
    ("firm_import_w = 17000", "firm_import_w = 17e3", ["= 17000.0:", "a whole number"]),
    ("[site]", "[[site]]", ["site = [", "a table"]),
    ("[[bus]]", "[bus]", ["bus = {", "an array of tables"]),
    ("baud = 19200\n[head", "baud = 300\n[head", ["bus[0].baud = 300:", "from 1200 to 921600"]),
    ('"eastron_sdm630"', '"sdm630"', ["device[0].type = 'sdm630':", "eastron_sdm630"]),
    ('type = "eastron_sdm630"', "type = 7", ["device[0].type = 7:", "eastron_sdm630"]),
    ("unit = 11", "unit = 248", ["device[1].unit = 248:", "from 1 to 247"]),
    ('plant = "car"', 'plant = "truck"', ["device[1].plant = 'truck':", "plant.ev (car)"]),
    ('"evse_a"', '"grid_meter"', ["device[1].name = 'grid_meter':", "device[0] has this one"]),
    ('"evse_a"', '"load"', ["device[1].name = 'load':", "no column of trace.csv"]),
    ('kind = "steps"', 'kind = "ramp"', ["plant.load[0].kind = 'ramp':", "constant, csv, steps"]),
    ('kind = "steps"', "", ["plant.load[0].kind is missing:", "constant, csv, steps"]),
    ("at_s = [0, 10]", "at_s = [10, 0]", ["plant.load[0].at_s = [10, 0]:", "ascending"]),
    ("at_s = [0, 10]", "at_s = [0]", ["plant.load[0].load_w = [500, 1500]:", "as many as at_s"]),
    ('"car"\nphases = "L123"\nenergy', '"car"\nphases = "L4"\nenergy', ["ev[0].phases = 'L4':"]),
    (
        "energy_wh = 10000",
        "arrive_s = 9\nleave_s = 9\nenergy_wh = 1",
        ["leave_s = 9:", "than arr"],
    ),
    ("energy_wh = 10000", "energy_wh = inf", ["plant.ev[0].energy_wh = inf:", "a number from"]),
    ('name = "car"', 'name = "house"', ["plant.ev[0].name = 'house':", "plant.load[0] has"]),
    ('"no_response"', '"gremlin"', ["fault[0].kind = 'gremlin':", "no_response, bad_crc"]),
    ('"no_response"', '"delay"', ["fault[0].delay_ms is missing:", "a whole number from 1"]),
    ('target = "grid_meter"', 'target = "bus1"', ["fault[0].target = 'bus1':", "bus0, head_end"]),
    ("to_s = 20", "to_s = 10", ["fault[0].to_s = 10:", "above from_s, 10"]),
    ("from_s = 10", "from_s = 100", ["fault[0].from_s = 100:", "before scenario.duration_s, 100"]),
    ("[[5, 9]]", "[[9, 5]]", ["head_end_script.silent = [[9, 5]]:", "[from_s, to_s]"]),
    ("[[5, 9]]", "[5, 9]", ["head_end_script.silent = [5, 9]:", "[from_s, to_s]"]),
    ("import_w = 25000", "", ["head_end_script.write[0].import_w is missing:", "or export_w"]),
    ("at_s = 1\n", "at_s = 1\nevery_s = 5\n", ["write[0].until_s is missing:"]),
    ('metric = "import_', 'metric = "imprt_', ["expect[0].metric = 'imprt_over_limit_s':"]),
    ("max = 0", "max = 0\nmin = 0", ["expect[0].max and min = both:", "one of them"]),
    ("max = 0", "", ["expect[0].max and min = neither:", "one of them"]),
]


@pytest.mark.parametrize(("good", "bad", "words"), BAD, ids=lambda value: str(value)[:30])
def test_bad_value_is_refused_in_one_line(tmp_path, good, bad, words):
    assert GOOD.count(good) >= 1
    message = refusal(tmp_path, GOOD.replace(good, bad, 1))
    for word in words:
        assert word in message
    assert "expected" in message or "no such key" in message


def test_syntax_error_names_line_and_column(tmp_path):
    assert refusal(tmp_path, "[scenario]\nname 1\n").startswith("line 2, column 6: not valid TOML")
    assert refusal(tmp_path, "[scenario]\nname =").startswith("line 2, column 7: not valid TOML")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_bytes(b"[scenario]\nname = '\xff'\n")
    with pytest.raises(BadInput, match=r"bad\.toml: line 2, column 9: expected UTF-8 text"):
        load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="cannot be read"):
        load(tmp_path)


def test_script_without_a_head_end_is_refused(tmp_path):
    start, stop = GOOD.index("[head_end]"), GOOD.index("[[device]]")
    assert refusal(tmp_path, GOOD[:start] + GOOD[stop:]).startswith("head_end is missing")


def test_two_devices_on_one_element_are_refused(tmp_path):
    start, stop = GOOD.index('[[device]]\nname = "evse_a"'), GOOD.index("[[plant.load]]")
    twice = GOOD[:stop] + GOOD[start:stop].replace("evse_a", "evse_b") + GOOD[stop:]
    message = refusal(tmp_path, twice)
    assert message.startswith("device[2].plant = 'car': expected an element of its own: device[1]")


def test_element_on_a_conductor_the_site_lacks_is_refused(tmp_path):
    message = refusal(tmp_path, GOOD.replace("phases = 3", "phases = 1"))
    assert message == "plant.ev[0].phases = 'L123': expected conductors among L1"


def test_good_file_becomes_plain_data(tmp_path):
    scenario = load(write(tmp_path, GOOD))
    assert (scenario.name, scenario.duration_s, scenario.seed) == ("small", 100, 1)
    assert scenario.tolerance.floor_w == 50 and scenario.tolerance.reading_permille == 10
    assert scenario.plant.load[0].parameters == {"at_s": (0, 10), "load_w": (500, 1500)}
    assert scenario.plant.load[0].phases == "L123"
    assert scenario.head_end_script.silent == ((5, 9),)
    assert scenario.fault[0].parameters == {}
    assert scenario.device[1].plant == "car" and scenario.device[1].role == "evse"
    assert (scenario.expect[0].unit, scenario.expect[0].max) == ("s", 0)


def test_config_holds_what_the_controller_is_told_and_nothing_of_the_bench(tmp_path):
    text = GOOD.replace('role = "pcc"', 'role = "pcc"\nemulator = { update_ms = 100 }')
    scenario = load(
        write(tmp_path, text.replace("baud = 19200", "baud = 19200\nlatency_us = 5", 1))
    )
    assert build_config(scenario) == {
        "schema": 1,
        "site": {
            "name": "Site",
            "phases": 3,
            "voltage_v": 230,
            "service_a": 63,
            "firm_import_w": 17000,
            "firm_export_w": 0,
        },
        "buses": [{"port": "uart0", "baud": 19200, "parity": "none"}],
        "head_end": {"port": "uart1", "baud": 19200, "unit": 1},
        "devices": [
            {"name": "grid_meter", "type": "eastron_sdm630", "bus": 0, "unit": 1, "role": "pcc"},
            {
                "name": "evse_a",
                "type": "abb_terra_ac",
                "bus": 0,
                "unit": 11,
                "phases": "L123",
                "min_a": 6,
                "max_a": 16,
            },
        ],
    }
    assert scenario.device[0].emulator == {"update_ms": 100}
    assert scenario.bus[0]["latency_us"] == 5


def test_repeated_write_is_written_out(tmp_path):
    text = GOOD.replace("duration_s = 60", "duration_s = 60\nevery_s = 30\nuntil_s = 61")
    writes = load(write(tmp_path, text)).head_end_script.write
    assert [(w.at_s, w.import_w, w.export_w) for w in writes] == [
        (1, 25000, None),
        (31, 25000, None),
        (61, 25000, None),
    ]


def test_load_csv_replaces_every_load_and_the_sun(tmp_path):
    pv = '[plant.pv]\nname = "roof_pv"\nkind = "constant"\nrated_w = 5000\navailable_w = 1\n'
    path = write(tmp_path, GOOD + pv)
    trace = write(tmp_path, "t_s,load_w,pv_w\n0,700,20\n50,900,30\n", "mine.csv")
    scenario = load(path, load_csv=trace)
    assert [element.name for element in scenario.plant.load] == ["load_csv"]
    plant = build_plant(scenario)
    plant.advance(60_000_000)
    assert plant.power_w() == 900 - 30


def test_load_csv_with_pv_needs_a_pv_to_replace(tmp_path):
    trace = write(tmp_path, "t_s,load_w,pv_w\n0,700,20\n", "mine.csv")
    with pytest.raises(BadInput, match=r"mine\.csv: row 1, column pv_w: expected no pv_w"):
        load(write(tmp_path, GOOD), load_csv=trace)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["row 1", "t_s"]),
        ("t_s,load\n0,1\n", ["row 1, column load", "load_w"]),
        ("t_s,load_w\n", ["row 2", "at least one row"]),
        ("t_s,load_w\n0,abc\n", ["row 2, column load_w", "'abc'", "a number"]),
        ("t_s,load_w\n0,nan\n", ["row 2, column load_w", "'nan'", "a number"]),
        ("t_s,load_w\n5,1\n", ["row 2, column t_s", "'5'", "0 in the first row"]),
        ("t_s,load_w\n0,1\n0,2\n", ["row 3, column t_s", "a time after 0 s"]),
    ],
)
def test_bad_load_csv_is_refused_in_one_line(tmp_path, text, words):
    trace = write(tmp_path, text, "mine.csv")
    with pytest.raises(BadInput) as caught:
        load(write(tmp_path, GOOD), load_csv=trace)
    message = str(caught.value)
    assert message.startswith(f"{trace}: ") and "\n" not in message
    for word in words:
        assert word in message


def test_csv_of_three_conductors_needs_three(tmp_path):
    trace = write(tmp_path, "t_s,l1_w,l2_w,l3_w\n0,1,2,3\n", "mine.csv")
    path = write(tmp_path, GOOD.replace("phases = 3", "phases = 2").replace('"L123"', '"L12"'))
    with pytest.raises(BadInput, match=r"mine\.csv: row 1, column l1_w: expected load_w"):
        load(path, load_csv=trace)


def test_csv_of_a_scenario_is_found_beside_it_shifted_and_scaled(tmp_path):
    write(tmp_path, "t_s,load_w\n0,100\n60,200\n120,300\n", "recorded.csv")
    steps = 'kind = "steps"\nat_s = [0, 10]\nload_w = [500, 1500]'
    recorded = 'kind = "csv"\nfile = "recorded.csv"\nstart_s = 90\nscale = 2'
    plant = build_plant(load(write(tmp_path, GOOD.replace(steps, recorded))))
    assert plant.power_w() == 400
    plant.advance(29_999_999)
    assert plant.power_w() == 400
    plant.advance(30_000_000)
    assert plant.power_w() == 600


def test_bad_csv_of_a_scenario_names_both_files(tmp_path):
    steps = 'kind = "steps"\nat_s = [0, 10]\nload_w = [500, 1500]'
    message = refusal(tmp_path, GOOD.replace(steps, 'kind = "csv"\nfile = "gone.csv"'))
    assert message.startswith("plant.load[0].file = 'gone.csv': ") and "No such file" in message


def test_seed_is_replaced_or_refused(tmp_path):
    path = write(tmp_path, GOOD)
    assert load(path, seed=99).seed == 99
    with pytest.raises(BadInput, match=r"--seed = -1: expected a whole number from 0"):
        load(path, seed=-1)


def test_there_are_scenarios():
    names = {path.stem for path in COMMITTED}
    assert names >= {"evening", "bus_depot", "meter_cut", "head_end_silent", "quiet_day"}
    assert names >= {"load_step_battery", "load_step_ev", "export_limit"}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_scenario_builds_a_plant_and_a_config(path):
    scenario = load(path)
    assert scenario.name == path.stem
    assert scenario.expect
    plant = build_plant(scenario)
    plant.advance(int(scenario.duration_s * 1_000_000))
    assert json.loads(json.dumps(build_config(scenario)))["schema"] == 1


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_scenario_never_needs_more_than_its_stated_worst_case(path):
    """Else the fallback after a lost meter would rest on a number that is not true."""
    scenario = load(path)
    plant = build_plant(scenario)
    loads = [plant.element(element.name) for element in scenario.plant.load]
    slow = [e for e in loads if type(e).__name__ != "EventLoad"]
    worst_w = 0
    for t_s in range(0, int(scenario.duration_s), 5):
        plant.advance(t_s * 1_000_000)
        worst_w = max(worst_w, sum(element.power_w for element in slow))
    assert worst_w <= scenario.site["worst_case_load_w"] <= scenario.site["firm_import_w"]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_firmware_accepts_the_config_of_a_committed_scenario(path):
    told = config.load(json.dumps(build_config(load(path))))
    assert told["schema"] == 1


def test_device_keys_are_those_of_the_firmware():
    assert schema.DEVICE_TYPES == config_fields.TYPE_ROLES
    for role, groups in [*config_fields.ROLES.items(), ("ct_input", config_ct.GROUPS)]:
        told = {row[0] for group in groups for row in group}
        assert set(schema.DEVICES[role]) - {"plant", "emulator"} == told, role
    for ours, theirs in (
        (schema.SITE, config_fields.SITE),
        (schema.TIMING, config_fields.TIMING),
        (schema.BUS, config_fields.BUS),
        (schema.HEAD_END, config_fields.HEAD_END),
    ):
        told = {row[0] for row in theirs} - {"tcp_port", "tcp_may_loosen"}  # no network here
        assert set(ours) - {"latency_us"} == told


def test_documentation_is_generated_from_the_tables():
    text = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    assert describe.inserted(text) == text


def test_every_committed_requirement_id_is_one_of_the_mission():
    for path in COMMITTED:
        for expect in load(path).expect:
            assert expect.requirement in {f"M{k:02}" for k in range(1, 31)}
            assert expect.id.startswith(f"TC-{expect.requirement}-")

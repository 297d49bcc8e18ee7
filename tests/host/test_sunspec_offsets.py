# SPDX-License-Identifier: MIT
"""Every SunSpec offset, type and scale factor in the product tables against pysunspec2's models.

The tables carry bare numbers; this test says which point each number stands for and asks the
JSON models that pysunspec2 ships. A number that is not listed here fails.
"""

import json
from pathlib import Path

import pytest

from firmline.devices import fields, setpoint
from firmline.devices.catalog import PLACES, table_of

sunspec2 = pytest.importorskip("sunspec2")

MODELS = Path(sunspec2.__file__).parent / "models" / "json"
KIND_TYPES = {
    fields.SUNS_I16: {"int16"},
    fields.SUNS_U16: {"uint16"},
    fields.SUNS_SF: {"sunssf"},
    fields.F32: {"float32"},
}

# (table, model, offset) -> point, for every value read.
READS = {
    "sunspec_meter_203": (203, {
        3: "AphA", 4: "AphB", 5: "AphC", 8: "PhVphA", 9: "PhVphB", 10: "PhVphC",
        18: "W", 19: "WphA", 20: "WphB", 21: "WphC",
    }),
    "sunspec_meter_213": (213, {
        4: "AphA", 6: "AphB", 8: "AphC", 12: "PhVphA", 14: "PhVphB", 16: "PhVphC",
        28: "W", 30: "WphA", 32: "WphB", 34: "WphC",
    }),
}  # fmt: skip
VALUES = {
    ("sunspec_pv_123", 123, 23): "WMaxLimPct_SF",
    ("sunspec_pv_123", 120, 3): "WRtg",
    ("sunspec_pv_123", 121, 2): "WMax",
    ("sunspec_pv_123", 101, 14): "W",
    ("sunspec_pv_704", 704, 54): "WMaxLimPct_SF",
    ("sunspec_pv_704", 701, 116): "W_SF",
    ("sunspec_pv_704", 702, 26): "WMax",
    ("sunspec_pv_704", 701, 10): "W",
    ("sunspec_battery_704", 704, 55): "WSet_SF",
    ("sunspec_battery_704", 701, 116): "W_SF",
    ("sunspec_battery_704", 701, 10): "W",
    ("sunspec_battery_704", 713, 4): "SoC",
    ("sunspec_battery_124", 124, 2): "WChaMax",
    ("sunspec_battery_124", 124, 25): "InOutWRte_SF",
    ("sunspec_battery_124", 124, 22): "ChaState_SF",
    ("sunspec_battery_124", 101, 14): "W",
    ("sunspec_battery_124", 124, 8): "ChaState",
}
# (table, model, offset of the frame) -> points in the order of the frame's registers
WRITES = {
    ("sunspec_pv_123", 123, 5): (
        "WMaxLimPct", "WMaxLimPct_WinTms", "WMaxLimPct_RvrtTms", "WMaxLimPct_RmpTms",
        "WMaxLim_Ena",
    ),
    ("sunspec_pv_704", 704, 16): ("WMaxLimPctRvrt", "WMaxLimPctEnaRvrt", "WMaxLimPctRvrtTms"),
    ("sunspec_pv_704", 704, 14): ("WMaxLimPctEna", "WMaxLimPct"),
    ("sunspec_battery_704", 704, 26): ("WSetRvrt",),
    ("sunspec_battery_704", 704, 30): ("WSetEnaRvrt", "WSetRvrtTms"),
    ("sunspec_battery_704", 704, 22): ("WSetEna", "WSetMod", "WSet"),
    ("sunspec_battery_124", 124, 12): (
        "OutWRte", "InWRte", "InOutWRte_WinTms", "InOutWRte_RvrtTms",
    ),
    ("sunspec_battery_124", 124, 5): ("StorCtl_Mod",),
}  # fmt: skip
SCALE_OF_SET_POINT = {
    "sunspec_pv_123": (123, "WMaxLimPct"),
    "sunspec_pv_704": (704, "WMaxLimPct"),
    "sunspec_battery_704": (704, "WSet"),
    "sunspec_battery_124": (124, "OutWRte"),
}
SUNSPEC = sorted(name for name in PLACES if table_of(name)["models"])


def points(model):
    """{offset: point} of the fixed part of a model, each point with its "offset"."""
    group = json.loads((MODELS / f"model_{model}.json").read_text(encoding="utf-8"))["group"]
    found = {}
    offset = 0
    for point in group["points"]:
        found[offset] = dict(point, offset=offset)
        offset += point["size"]
    return found


def named(model, name):
    return next(point for point in points(model).values() if point["name"] == name)


def reads(table):
    """(model, block, field) of every field the table reads."""
    for slot, _, first, count, _, block_fields in table["identify"]:
        for field in block_fields:
            yield table["models"][slot][0], (first, count), field
    for slot, _, first, count, _, block_fields in table["blocks"]:
        for field in block_fields:
            yield table["models"][slot][0], (first, count), field


def stored_scales(table):
    """{SCALE_SET...: (model, offset)}: where each kept scale factor was read."""
    return {
        field[4]: (model, field[0])
        for model, _, field in reads(table)
        if field[1] == fields.SUNS_SF
    }


def json_model(name, model):
    return READS[name][0] if name in READS else model


@pytest.mark.parametrize("name", SUNSPEC)
def test_fields_read_are_the_points_meant(name):
    seen = set()
    for model, _, field in reads(table_of(name)):
        if name in READS:
            wanted = READS[name][1][field[0]]
        else:
            wanted = VALUES[name, model, field[0]]
        seen.add(wanted)
        point = points(json_model(name, model))[field[0]]
        assert point["name"] == wanted
        assert point["type"] in KIND_TYPES[field[1]]
    assert seen == set(READS[name][1].values() if name in READS else seen)


@pytest.mark.parametrize("name", SUNSPEC)
def test_scale_factors_are_the_points_own(name):
    table = table_of(name)
    kept = stored_scales(table)
    for model, _, field in reads(table):
        model = json_model(name, model)
        wanted = points(model)[field[0]].get("sf")
        if field[5] == fields.NO_SCALE:
            assert wanted is None
            continue
        at_model, at = (model, field[5]) if field[5] >= 0 else kept[field[5]]
        assert at_model == model
        assert points(model)[at]["name"] == wanted


@pytest.mark.parametrize("name", SUNSPEC)
def test_blocks_cover_their_fields_and_fit_one_request(name):
    for model, (first, count), field in reads(table_of(name)):
        size = points(json_model(name, model))[field[0]]["size"]
        assert first <= field[0] and field[0] + size <= first + count
        assert field[5] < first + count
        assert count <= 60


@pytest.mark.parametrize("name", SUNSPEC)
def test_frames_write_the_points_meant(name):
    table = table_of(name)
    for slot, function, first, words in table["setup"] + table["command"]:
        model = table["models"][slot][0]
        offset = first
        for wanted in WRITES[name, model, first]:
            point = points(model)[offset]
            assert point["name"] == wanted
            assert point["access"] == "RW"
            offset += point["size"]
        assert offset - first == len(words)
        assert function == 16


@pytest.mark.parametrize("name", sorted(SCALE_OF_SET_POINT))
def test_set_point_uses_its_own_scale_factor(name):
    model, point = SCALE_OF_SET_POINT[name]
    at_model, at = stored_scales(table_of(name))[fields.SCALE_SET]
    assert (at_model, at) == (model, named(model, named(model, point)["sf"])["offset"])


@pytest.mark.parametrize("name", SUNSPEC)
def test_models_asked_for_exist_and_have_the_least_length(name):
    for first_id, last_id, least, _ in table_of(name)["models"]:
        for model in range(first_id, last_id + 1):
            fixed = points(model)
            last = max(fixed)
            assert last + fixed[last]["size"] - 2 == least, model


@pytest.mark.parametrize(
    "name, models",
    [("sunspec_meter_203", (201, 202, 204)), ("sunspec_meter_213", (211, 212, 214))],
)
def test_meter_models_of_a_family_share_what_is_read(name, models):
    family = points(READS[name][0])
    for _, _, field in reads(table_of(name)):
        for offset in (field[0], *([field[5]] if field[5] >= 0 else [])):
            for model in models:
                point = points(model)[offset]
                assert point["name"] == family[offset]["name"]
                assert point["type"] == family[offset]["type"]


def test_inverter_models_share_the_layout_of_power():
    for model in (101, 102, 103):
        assert points(model)[14]["name"] == "W"
        assert points(model)[15]["name"] == "W_SF"


def test_literals_in_frames_are_the_models_symbols():
    def symbol(model, point, name):
        return next(s["value"] for s in named(model, point)["symbols"] if s["name"] == name)

    assert symbol(123, "WMaxLim_Ena", "ENABLED") == table_of("sunspec_pv_123")["command"][0][3][4]
    assert (
        symbol(704, "WMaxLimPctEna", "ENABLED") == table_of("sunspec_pv_704")["command"][0][3][0]
    )
    assert (
        symbol(704, "WMaxLimPctEnaRvrt", "ENABLED") == table_of("sunspec_pv_704")["setup"][0][3][1]
    )
    command = table_of("sunspec_battery_704")["command"][0][3]
    assert symbol(704, "WSetEna", "ENABLED") == command[0]
    assert symbol(704, "WSetMod", "WATTS") == command[1]
    assert command[2:] == (setpoint.SET_HIGH, setpoint.SET_LOW)
    both = (1 << symbol(124, "StorCtl_Mod", "CHARGE")) | (
        1 << symbol(124, "StorCtl_Mod", "DiSCHARGE")
    )
    assert table_of("sunspec_battery_124")["command"][1][3] == (both,)

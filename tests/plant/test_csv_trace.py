# SPDX-License-Identifier: MIT
"""Trace files: what is read, and every way in which one is refused."""

from pathlib import Path

import pytest

from hil.plant import BadCsv, CsvLoad, Plant, read_trace

DATA = Path(__file__).parents[2] / "hil" / "scenarios" / "data"
HEADER = "a header t_s,load_w[,pv_w] or t_s,l1_w,l2_w,l3_w[,pv_w]"
ONCE = "each column once, of t_s,load_w[,pv_w] or t_s,l1_w,l2_w,l3_w[,pv_w]"
WATTS = "a number -100000000..100000000"
TIME = "a number 0..100000000"


def _write(tmp_path, content):
    path = tmp_path / "trace.csv"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")
    return path


def test_load_and_pv_are_read(tmp_path):
    trace = read_trace(_write(tmp_path, "t_s,load_w,pv_w\n0,100,0\n0.5, -2.5e2 ,7\n60,3,.5\n\n"))
    assert trace.t_us == [0, 500_000, 60_000_000]
    assert trace.columns == {"load_w": [100.0, -250.0, 3.0], "pv_w": [0.0, 7.0, 0.5]}
    assert (trace.has_pv, trace.is_per_phase) == (True, False)


def test_phases_are_read_in_any_order_with_bom_and_crlf(tmp_path):
    text = b"\xef\xbb\xbfl2_w,t_s,l1_w,l3_w\r\n2,0,1,3\r\n"
    trace = read_trace(_write(tmp_path, text))
    assert trace.columns == {"l2_w": [2.0], "l1_w": [1.0], "l3_w": [3.0]}
    assert (trace.has_pv, trace.is_per_phase) == (False, True)


BAD = {
    "empty file": ("", 1, "t_s", "", HEADER),
    "header only": ("t_s,load_w\n", 2, "t_s", "", "at least one row after the header"),
    "no time": ("load_w\n1\n", 1, "t_s", "load_w", HEADER),
    "no load": ("t_s\n0\n", 1, "load_w", "t_s", HEADER),
    "only pv": ("t_s,pv_w\n0,1\n", 1, "load_w", "t_s,pv_w", HEADER),
    "two phases": ("t_s,l1_w,l3_w\n0,1,2\n", 1, "l2_w", "t_s,l1_w,l3_w", HEADER),
    "load and phase": (
        "t_s,load_w,l1_w\n0,1,2\n",
        1,
        "l1_w",
        "t_s,load_w,l1_w",
        "load_w or l1_w,l2_w,l3_w",
    ),
    "unknown column": ("t_s,load_kw\n0,1\n", 1, "load_kw", "load_kw", ONCE),
    "column twice": ("t_s,load_w,load_w\n0,1,1\n", 1, "load_w", "load_w", ONCE),
    "semicolons": ("t_s;load_w\n0;1\n", 1, "t_s;load_w", "t_s;load_w", ONCE),
    "no header": ("0,1\n1,1\n", 1, "0", "0", ONCE),
    "gap": ("t_s,load_w\n0,1\n1,\n2,3\n", 3, "load_w", "", WATTS),
    "gap in time": ("t_s,load_w\n0,1\n,2\n", 3, "t_s", "", TIME),
    "gap in pv": ("t_s,load_w,pv_w\n0,1,\n", 2, "pv_w", "", "a number 0..100000000"),
    "empty row": ("t_s,load_w\n0,1\n\n2,3\n", 3, "t_s", "", "no empty row"),
    "short row": ("t_s,load_w\n0,1\n1\n", 3, "load_w", "1", "2 cells"),
    "long row": ("t_s,load_w\n0,1\n1,2,3\n", 3, "load_w", "1,2,3", "2 cells"),
    "text": ("t_s,load_w\n0,1\n1,kettle\n", 3, "load_w", "kettle", WATTS),
    "unit": ("t_s,load_w\n0,500 W\n", 2, "load_w", "500 W", WATTS),
    "time of day": ("t_s,load_w\n00:00,500\n", 2, "t_s", "00:00", TIME),
    "underscore": ("t_s,load_w\n0,1_000\n", 2, "load_w", "1_000", WATTS),
    "NaN": ("t_s,load_w\n0,NaN\n", 2, "load_w", "NaN", WATTS),
    "inf": ("t_s,load_w\n0,1\n5,-inf\n", 3, "load_w", "-inf", WATTS),
    "overflow": ("t_s,load_w\n0,1e999\n", 2, "load_w", "1e999", WATTS),
    "too much": ("t_s,load_w\n0,2e8\n", 2, "load_w", "2e8", WATTS),
    "negative pv": ("t_s,load_w,pv_w\n0,1,-1\n", 2, "pv_w", "-1", "a number 0..100000000"),
    "late start": ("t_s,load_w\n1,1\n2,1\n", 2, "t_s", "1", "0 in the first row"),
    "negative time": ("t_s,load_w\n-1,1\n", 2, "t_s", "-1", TIME),
    "time repeated": ("t_s,load_w\n0,1\n2.5,1\n2.5,2\n", 4, "t_s", "2.5", "a time after 2.5 s"),
    "time backwards": ("t_s,load_w\n0,1\n60,1\n30,2\n", 4, "t_s", "30", "a time after 60 s"),
    "below 1 us": ("t_s,load_w\n0,1\n0.0000001,1\n", 3, "t_s", "0.0000001", "a time after 0 s"),
    "not text": (b"t_s,load_w\n0,\xff\n", 0, "", "ff", "a text file in UTF-8"),
    "newline in a cell": ('t_s,load_w\n0,"1\n2"\n', 3, "load_w", "1\n2", WATTS),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused_in_one_line(tmp_path, name):
    content, row, column, value, accepted = BAD[name]
    path = _write(tmp_path, content)
    with pytest.raises(BadCsv) as refused:
        read_trace(path)
    error = refused.value
    assert (error.row, error.column, error.value, error.accepted) == (row, column, value, accepted)
    line = str(error)
    assert "\n" not in line
    where = f"row {row}, column {column}" if column else f"row {row}"
    assert line == f"{path}: {where}: {value!r}: expected {accepted}"


def test_first_mistake_is_the_one_reported(tmp_path):
    path = _write(tmp_path, "t_s,load_w\n0,1\n1,x\n2,y\n")
    with pytest.raises(BadCsv, match="row 3, column load_w: 'x': expected"):
        CsvLoad("house", 1, path)


def test_missing_file_and_directory_are_refused(tmp_path):
    with pytest.raises(BadCsv, match="none.csv: row 0: 'No such file or directory': expected"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(BadCsv, match="expected a readable file"):
        read_trace(tmp_path)


def test_long_value_is_cut(tmp_path):
    with pytest.raises(BadCsv) as refused:
        read_trace(_write(tmp_path, "t_s,load_w\n0," + "9" * 5000 + "x\n"))
    assert len(str(refused.value)) < 250


def test_household_day_is_what_its_readme_says():
    trace = read_trace(DATA / "household_day.csv")
    load_w = trace.columns["load_w"]
    assert trace.t_us == [60_000_000 * minute for minute in range(1440)]
    assert (max(load_w), load_w.index(8108), min(load_w)) == (8108.0, 19 * 60 + 51, 256.0)
    plant = Plant(1, 230, [CsvLoad("house", 1, trace)])
    plant.advance(86_400_000_000)
    assert plant.energy_ws[0] / 3.6e6 == pytest.approx(46.1092, abs=1e-4)


def test_household_evening_is_part_of_the_day():
    day = read_trace(DATA / "household_day.csv")
    evening = read_trace(DATA / "household_evening.csv")
    assert evening.columns["load_w"] == day.columns["load_w"][1080:1320]
    assert sum(w > 6000 for w in evening.columns["load_w"]) == 54
    assert len(evening.t_us) == 240

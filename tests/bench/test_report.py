# SPDX-License-Identifier: MIT
"""What a run leaves behind: names of the contract, nothing hidden, nothing fetched, same bytes."""

import json
import random
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from hil.report import decimate, files, html, plots, svg
from hil.report.result import RunResult

# The bench contract, as literals: tools outside this repository read these names.
TOP = {"scenario", "target", "seed", "duration_s", "firmware", "verdict", "metrics", "checks"}
CHECK = {"id", "requirement", "limit", "measured", "unit", "uncertainty", "margin", "verdict"}
FILES = {"summary.json", "trace.csv", "events.jsonl", "report.html", "junit.xml"}
TOLERANCE = {"reading_permille": 10, "floor_w": 50, "floor_a": 0.25}


def metrics():
    found = {}
    for name, unit in (("import", "w"), ("export", "w"), ("current", "a")):
        found[f"{name}_over_limit_s"] = 1.5
        found[f"{name}_longest_excursion_s"] = 1.0
        found[f"{name}_peak_over_{unit}"] = 900.25
        found[f"{name}_excursions"] = 2
    for name in ("response_s", "fallback_s"):
        found[name] = {"count": 1, "p50": 0.5, "p99": 0.5, "max": 0.5}
    found |= {"headroom_used": 0.9, "relay_operations": {}, "cycles": 10, "late_cycles": 0}
    return found | {"worst_cycle_us": None, "sim_speed": 200.0}


def check_row(**changes):
    row = {
        "id": "TC-M01-01",
        "requirement": "M01",
        "limit": 10,
        "measured": 1.25,
        "unit": "s",
        "uncertainty": 0.1,
        "margin": 8.75,
        "verdict": "PASS",
    }
    return row | changes


def trace(count=600, step_s=0.1):
    t_s = [round(k * step_s, 3) for k in range(count)]
    pcc_w = [9000 + 500 * (k % 3) for k in range(count)]
    for k in range(300, 312):  # 1.2 s above the limit
        pcc_w[k] = 20_000
    return {
        "t_s": t_s,
        "pcc_w": pcc_w,
        "l1_w": [w // 3 for w in pcc_w],
        "l2_w": [w // 3 for w in pcc_w],
        "l3_w": [w // 3 for w in pcc_w],
        "limit_import_w": [17_000] * count,
        "limit_export_w": [3_000] * count,
        "load_w": [2_000.5] * count,
        "pv_w": [0] * count,
        "evse_a_w": [7_000] * count,
        "evse_a_command_w": [7_360] * count,
        "meter_w": pcc_w,
        "mode": [1] * count,
        "stage": [0] * 300 + [1] * 12 + [0] * (count - 312),
    }


def result(**changes):
    fields = {
        "scenario": {"name": "small", "title": "A small site"},
        "target": "virtual",
        "seed": 1,
        "duration_s": 60,
        "firmware": "0.1.0",
        "verdict": "PASS",
        "metrics": metrics(),
        "checks": [check_row()],
        "trace": trace(),
        "events": [
            {"t_s": 10, "until_s": 20, "kind": "fault", "text": "grid_meter: no_response"},
            {"t_s": 30, "kind": "limit", "text": "import limit 17 kW"},
        ],
        "tolerance": TOLERANCE,
    }
    return RunResult(**(fields | changes))


def written(folder, run):
    files.write_run(run, folder / "out")
    return {path.name: path.read_text(encoding="utf-8") for path in (folder / "out").iterdir()}


def test_five_files_are_written_with_the_names_of_the_contract(tmp_path):
    texts = written(tmp_path, result())
    assert set(texts) == FILES
    summary = json.loads(texts["summary.json"])
    assert set(summary) == TOP
    assert summary["scenario"] == "small"
    assert [set(row) for row in summary["checks"]] == [CHECK]
    assert summary["metrics"]["response_s"] == {"count": 1, "p50": 0.5, "p99": 0.5, "max": 0.5}
    assert summary["metrics"]["worst_cycle_us"] is None


def test_summary_writes_unknown_numbers_as_null(tmp_path):
    run = result(checks=[check_row(measured=float("nan"), margin=float("inf"))])
    row = json.loads(written(tmp_path, run)["summary.json"])["checks"][0]
    assert row["measured"] is None and row["margin"] is None


def test_a_sense_is_shown_but_never_written(tmp_path):
    texts = written(tmp_path, result(checks=[check_row(sense="max")]))
    assert "sense" not in texts["summary.json"]
    assert "\u2264 10" in texts["report.html"]


def test_same_result_gives_same_bytes(tmp_path):
    assert written(tmp_path / "a", result()) == written(tmp_path / "b", result())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (17000, "17000"),
        (17000.0, "17000"),
        (0.1 + 0.2, "0.3"),
        (-2.5, "-2.5"),
        (-0.0001, "0"),
        (True, "1"),
        (None, ""),
        (float("nan"), ""),
        (1234567.8916, "1234567.892"),
    ],
)
def test_numbers_have_one_form(value, text):
    assert files.number(value) == text


def test_trace_has_a_header_and_a_row_a_sample():
    lines = files.trace_csv({"t_s": [0.0, 0.1], "pcc_w": [5, None]}).splitlines()
    assert lines == ["t_s,pcc_w", "0,5", "0.1,"]


def test_columns_of_different_length_are_an_error():
    with pytest.raises(ValueError):
        files.trace_csv({"t_s": [0, 1], "pcc_w": [5]})


def test_events_are_one_object_a_line(tmp_path):
    lines = written(tmp_path, result())["events.jsonl"].splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["fault", "limit"]


def test_junit_has_a_case_a_check_and_says_by_how_much(tmp_path):
    checks = [
        check_row(),
        check_row(id="TC-2", measured=12.5, margin=-2.5, verdict="FAIL"),
        check_row(id="TC-3", measured=None, margin=None, verdict="INCONCLUSIVE"),
        check_row(id="TC-4", verdict="N-A"),
    ]
    suite = ElementTree.fromstring(written(tmp_path, result(checks=checks))["junit.xml"])
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["4", "1", "1", "1"]
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["TC-M01-01", "TC-2", "TC-3", "TC-4"]
    message = cases[1].find("failure").get("message")
    assert "measured 12.5 s" in message and "limit 10 s" in message and "margin -2.5 s" in message
    assert cases[2].find("error") is not None  # never called a pass
    stated = {p.get("name"): p.get("value") for p in suite.find("properties")}
    assert stated["seed"] == "1" and stated["tolerance"].startswith("1 % of the limit in force")
    given = {p.get("name"): p.get("value") for p in cases[0].find("properties")}
    assert given["requirement"] == "M01" and given["margin"] == "8.75"


def test_junit_survives_characters_that_xml_cannot_hold(tmp_path):
    run = result(checks=[check_row(id='a\x00b<"&', verdict="FAIL")])
    suite = ElementTree.fromstring(written(tmp_path, run)["junit.xml"])
    assert suite.find("testcase").get("name") == 'a?b<"&'


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.words.append(data)


def test_report_asks_nothing_of_any_network(tmp_path):
    text = written(tmp_path, result())["report.html"]
    page = Page(text)
    assert not set(page.tags) & {
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "image",
        "use",
        "base",
    }
    assert [a for a in page.attributes if a[1] in ("src", "href", "xlink:href", "action")] == []
    assert not re.search(r"(https?:)?//[a-z0-9]|@import|url\(|fetch\(|XMLHttpRequest", text)


def test_report_escapes_every_text():
    evil = "<script>alert(1)</script>\"'&"
    run = result(
        scenario={"name": evil, "title": evil},
        firmware=evil,
        target=evil,
        checks=[check_row(id=evil, requirement=evil, unit=evil)],
        events=[
            {"t_s": 10, "until_s": 20, "kind": "fault", "text": evil},
            {"t_s": 12, "kind": evil, "text": evil},
        ],
        metrics=metrics() | {evil: 1},
        trace=trace() | {evil + "_w": [1] * 600, evil + "_command_w": [1] * 600},
    )
    text = html.page(run)
    assert "<script>alert" not in text
    assert Page(text).tags.count("script") == 2


def test_report_says_what_was_run_and_claims_nothing():
    words = " ".join(Page(html.page(result())).words)
    for part in ("A small site", "virtual", "0.1.0", "PASS", "TC-M01-01", "8.75", "M01"):
        assert part in words
    assert "1 % of the limit in force, at least 50 W and 0.25 A" in words
    assert "not a certified product; no compliance claimed" in words
    assert "shaped after" in words


def test_report_of_a_failure_names_the_check():
    run = result(verdict="FAIL", checks=[check_row(id="TC-9", verdict="FAIL")])
    words = " ".join(Page(html.page(run)).words)
    assert "0 of 1 checks inside their limits" in words and "Outside: TC-9." in words


def test_report_of_a_stalled_host_is_no_pass():
    words = " ".join(Page(html.page(result(verdict="INCONCLUSIVE"))).words)
    assert "this is no pass" in words


def test_noisy_site_with_32_chargers_stays_below_400_kb():
    draw = random.Random(1)
    long = trace(9_000)
    for name in [f"evse_{k}" for k in range(32)]:
        long[f"{name}_w"] = [draw.randrange(22_000) for _ in range(9_000)]
        long[f"{name}_command_w"] = [draw.randrange(22_000) for _ in range(9_000)]
    long["pcc_w"] = [draw.randrange(-9_000, 30_000) for _ in range(9_000)]
    events = [{"t_s": k, "kind": "limit", "text": "x" * 40} for k in range(2_000)]
    assert len(html.page(result(trace=long, events=events)).encode()) < 400_000


def test_runs_without_trace_checks_or_events_still_report():
    text = html.page(result(trace={"t_s": []}, checks=[], events=[], metrics={}))
    assert "This run left no trace." in text
    assert "nothing was checked" in text
    single = {name: values[:1] for name, values in trace().items()}
    assert "<svg" in html.page(result(trace=single))


def test_decimation_keeps_every_extreme():
    values = [0] * 10_000
    values[4_321], values[9_999] = 77, -5
    t_s = [k / 10 for k in range(10_000)]
    found = decimate.edges(t_s, 0, 1_000, 50)
    kept = decimate.points(t_s, values, found)
    assert {4_321, 9_999, 0} <= set(kept)
    assert len(kept) <= 2 * 50 + 2


def test_decimation_keeps_the_extremes_of_every_column_of_noise():
    draw = random.Random(3)
    values = [draw.randrange(1_000) for _ in range(5_000)]
    t_s = list(range(5_000))
    kept = set(decimate.points(t_s, values, decimate.edges(t_s, 0, 4_999, 100)))
    for column in range(100):
        inside = [k for k in range(5_000) if column * 49.99 <= k < (column + 1) * 49.99]
        shown = [values[k] for k in inside if k in kept]
        assert min(shown) == min(values[k] for k in inside)
        assert max(shown) == max(values[k] for k in inside)


def test_one_sample_of_overshoot_reaches_the_page_of_a_long_run():
    long = trace(40_000)
    long["pcc_w"] = [9_000] * 40_000
    long["pcc_w"][23_456] = 31_000
    run = result(trace=long, events=[])
    assert plots.exceedances(run) == [(2345.6, 2345.7, 13_830, "import")]
    page = html.page(run)
    assert 'class="over"' in page
    assert "31000" in page  # the read-out's highest value of that column
    assert "0.1 s, up to 13830 W over" in page  # and its close-up


def test_gap_is_drawn_as_a_gap():
    t_s = list(range(10))
    values = [1, 1, 2, None, None, 5, 6, 5, 6, 5]
    frame = svg.Frame(t_s, 0, 9, (0, 0, 90, 10), 0, 10, 90)
    assert frame.line(values, "truth").count("M") == 2


def test_exceedance_starts_above_limit_and_tolerance():
    def spells(power_w, limit_w=17_000):
        one = {"t_s": [0], "pcc_w": [power_w], "limit_import_w": [limit_w]}
        run = result(trace=one | {"limit_export_w": [3_000]}, events=[])
        return plots.exceedances(run)

    assert spells(17_170) == []  # 1 % of 17 kW
    assert spells(17_171) == [(0, 0, 1, "import")]
    assert spells(-3_050) == []  # at least 50 W
    assert spells(-3_051) == [(0, 0, 1, "export")]
    assert spells(None) == []


def test_what_the_oracle_saw_between_two_samples_is_shown():
    seen = {"t_s": 30.0123, "to_s": 30.0456, "kind": "excursion", "peak": 812.5}
    run = result(
        trace=trace() | {"pcc_w": [9_000] * 600},
        events=[seen | {"text": "import above the limit"}, seen | {"text": "current above"}],
    )
    assert plots.exceedances(run) == [(30.0123, 30.0456, 812.5, "import")]
    assert "import 812 W above the limit from 30.012 to 30.046 s" in html.page(run)


def test_strip_shows_the_highest_stage_of_each_column():
    values = [0] * 1_000
    values[500] = 3
    found = decimate.edges(list(range(1_000)), 0, 999, 10)
    assert decimate.runs(values, found) == [(0, 5, 0), (5, 6, 3), (6, 10, 0)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-3_180, 36_000, [0, 10_000, 20_000, 30_000]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-5, 5, [-4, -2, 0, 2, 4]),
    ],
)
def test_value_ticks_are_round(low, high, expected):
    assert svg.value_ticks(low, high, 5) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12_340.4, "12\u202f340"),
        (8.75, "8.75"),
        (-2.5, "\u22122.5"),
        (0.0123, "0.0123"),
        (100, "100"),
        (0, "0"),
        (None, "\u2013"),
    ],
)
def test_numbers_for_people(value, text):
    assert html.number(value) == text

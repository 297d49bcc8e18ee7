# SPDX-License-Identifier: MIT
"""`firmline monitor` goes on through a pulled cable; `log` is whole or not at all; `envelope push`
is seen in force. Against the real firmware behind pseudo-terminals."""

import csv
import io
import re
import time

import pytest

from tests.host.live_site import configuration
from tests.host.tool_runs import await_line, firmline, live_site, start_firmline
from tests.host.wall_runs import interpreter  # noqa: F401 - skips without MicroPython

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    config = configuration()
    config["head_end"]["timeout_s"] = 2
    with live_site(tmp_path_factory.mktemp("site"), config=config) as site:
        yield site


# --- monitor -------------------------------------------------------------------------------


def test_monitor_goes_on_when_the_cable_is_back(site, tmp_path):
    process = start_firmline(
        "monitor", *site.usb, "--interval", "0.1", "--csv", tmp_path / "day.csv"
    )
    try:
        await_line(process, process.stdout, "limit 17 000 W firm")
        site.usb_cable.pull()
        lost = await_line(process, process.stderr, "lost:")[-1]
        site.usb_cable.plug()
        await_line(process, process.stderr, "back after")
        await_line(process, process.stdout, "limit 17 000 W firm")
    finally:
        process.send_signal(2)
        out, err = process.communicate(timeout=10)
    assert "the connection to" in lost and "broke; trying again" in lost
    assert process.returncode == 0, err  # Ctrl-C is the usual end
    assert "Traceback" not in err

    rows = list(csv.DictReader(io.StringIO((tmp_path / "day.csv").read_text())))
    known = [bool(row["import_limit_w"]) for row in rows]
    assert known[0] and known[-1] and not all(known)  # a gap, with time but without values
    assert all(row["time_utc"].endswith("Z") for row in rows)
    assert rows[0]["import_limit_w"] == "17000"
    assert "evse_a_power_w" in rows[0]


def test_monitor_that_ends_without_the_controller_fails(site):
    process = start_firmline("monitor", *site.usb, "--interval", "0.1", "--duration", "2")
    try:
        await_line(process, process.stdout, "limit")
        site.usb_cable.pull()
        out, err = process.communicate(timeout=15)
    finally:
        process.kill()
        site.usb_cable.plug()
    assert process.returncode == 1
    assert err.count("lost:") == 1 and "Traceback" not in err


def test_monitor_once_and_as_json(site):
    ran = firmline("monitor", "--once", *site.usb)
    assert ran.status == 0
    assert "import limit  17 000 W (firm)" in ran.out
    ran = firmline("monitor", "--once", "--json", *site.usb)
    assert ran.json["limits"]["import_w"] == 17_000


def test_monitor_view_shows_the_state_and_the_loss(site):
    from rich.console import Console

    from host_tools.cli import modules, parser
    from host_tools.monitor_view import Live
    from host_tools.session import Session

    arguments = parser(modules()).parse_args(["monitor", *site.usb])
    console = Console(width=100, height=40, force_terminal=True, file=io.StringIO(), record=True)
    with Session(arguments) as session, Live(session, console) as view:
        for _ in range(3):
            view.show(session.read())
        console.print(view.picture(is_lost=False))
        shown = console.export_text(clear=True)
        assert "NORMAL" in shown and "17 000 W (firm)" in shown and "evse_b" in shown
        assert any(bar in shown for bar in "▁▂▃▄▅▆▇█")
        site.usb_cable.pull()
        try:
            view.show(session.read())
            console.print(view.picture(is_lost=True))
        finally:
            site.usb_cable.plug()
        shown = console.export_text()
        assert "NO CONNECTION for" in shown and "trying again" in shown


def test_chart_marks_what_is_past_the_limit():
    from host_tools.monitor_view import chart

    lines = chart([(1000, 2000, 500), (3000, 2000, 500), (-800, 2000, 500), (None, None, None)], 9)
    assert len(lines) == 6
    red = {
        line.plain[span.start] for line in lines for span in line.spans if str(span.style) == "red"
    }
    assert "█" in red  # 3 kW of 2, and 0.8 kW export of 0.5
    assert "3.0 kW" in lines[0].plain and "-0.8 kW" in lines[-1].plain


@pytest.mark.parametrize("command", ["monitor", "log"])
def test_csv_that_cannot_be_written_is_one_line(site, tmp_path, command):
    for path in (tmp_path, tmp_path / "no" / "x.csv"):
        ran = firmline(command, *site.usb, "--csv", path)
        assert ran.status == 2
        assert f"--csv {path}:" in ran.line()


# --- log -----------------------------------------------------------------------------------


def test_events_are_decoded_from_the_bytes_of_the_file():
    """docs/registers.md: sequence u32, seconds u32, boot u16, code u16, value s32, big-endian."""
    from datetime import UTC, datetime

    from host_tools import log

    data = bytes.fromhex(
        "ffffffff 00000e4d 0002 0004 ffff8000"  # of an earlier start
        "00010000 00010003 0003 0007 00000001"
    )
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    first, second = log.decode(data, {"uptime_s": 65_542}, now, ["a", "b"])
    assert first == {
        "sequence": None,
        "boot": 2,
        "uptime_s": 3661,
        "time": None,
        "event": "limit_changed",
        "value": -32768,
        "text": "import limit -32768 W",
    }
    assert (second["sequence"], second["boot"], second["uptime_s"]) == (65_536, 3, 65_539)
    assert (second["event"], second["text"]) == ("device_lost", "b")
    assert second["time"] == "2026-01-02T03:04:02+00:00"


def test_every_event_has_one_name_and_every_text_its_event():
    from firmline.services import eventlog
    from host_tools import names

    assert sorted(names.EVENTS) == list(range(1, eventlog.CODES + 1))  # the last: ct_meter.py
    known = set(names.EVENTS.values())
    assert len(known) == len(names.EVENTS)
    assert known >= {*names._VALUES, *names._FORMS, *names._SIDED}
    assert all(isinstance(names.event_text(name, 1), str) for name in known)


def test_a_fault_of_the_meters_own_inputs_names_input_and_kind():
    from host_tools import names

    assert names.event_text("meter_fault", 0o003) == "input 1 open, input 1 saturated"
    assert names.event_text("meter_fault", 0o410) == "input 2 open, input 3 no voltage"
    assert names.event_text("meter_fault", 0) == "none"


def test_log_is_decoded(site):
    events = firmline("log", *site.usb, "--json").json
    kinds = {(event["event"], event["text"]) for event in events}
    assert ("mode", "normal") in kinds
    assert ("meter", "fresh") in kinds
    assert ("device_back", "evse_a") in kinds and ("device_back", "evse_b") in kinds
    assert [event["sequence"] for event in events] == list(range(len(events)))
    assert all(event["time"] for event in events)

    for way in (site.rtu, site.tcp):
        ran = firmline("log", *way, "--last", "2")
        assert ran.status == 0 and ran.out.count("\n") == 3
    later = firmline("log", *site.usb, "--since", events[2]["sequence"], "--json").json
    assert later[0]["sequence"] == events[2]["sequence"]


def test_log_as_csv_is_whole_or_not_at_all(site, tmp_path):
    path = tmp_path / "events.csv"
    assert firmline("log", *site.usb, "--csv", path).status == 0
    whole = path.read_text()
    rows = list(csv.DictReader(io.StringIO(whole)))
    assert rows[0]["event"] and rows[0]["uptime_s"].isdecimal()

    site.usb_cable.pull_after(1500)  # characters: somewhere in the log
    try:
        ran = firmline("log", *site.usb, "--csv", path, "--timeout", "10")
    finally:
        site.usb_cable.plug()
    assert ran.status == 1
    assert "broke" in ran.line()
    assert path.read_text() == whole
    assert [file.name for file in tmp_path.iterdir()] == ["events.csv"]


# --- envelope ------------------------------------------------------------------------------


def test_pushed_limit_is_confirmed_from_what_is_in_force(site):
    ran = firmline("envelope", "push", "--import-w", "12000", "--duration-s", "60", *site.rtu)
    assert ran.status == 0, ran.err
    said = r"import 17 000 W \(firm\) -> 12 000 W \(dynamic, (1 min 00|5[5-9]) s left\)"
    assert re.search(said, ran.out), ran.out
    assert firmline("status", *site.usb, "--json").json["limits"]["import_w"] == 12_000

    ran = firmline(
        "envelope", "push", "--import-w", "90000", "--duration-s", "60", "--json", *site.rtu
    )
    assert ran.status == 0
    assert ran.json["before"]["import_w"] == 12_000
    assert ran.json["after"] == ran.json["after"] | {
        "import_w": 34_500,  # 80 % of 63 A, 3 x 230 V
        "binding_import": "ceiling",
    }
    assert "ceiling is stricter" in ran.line()

    ran = firmline("envelope", "push", "--clear", *site.rtu)
    assert ran.status == 0
    assert "-> 17 000 W (firm)" in ran.out


def test_held_limit_lasts_for_its_duration_and_no_longer(site):
    push = ("envelope", "push", "--import-w", "20000", "--duration-s", "4", "--hold")
    start_s = time.monotonic()
    ran = firmline(*push, *site.rtu)
    assert ran.status == 0
    assert "-> 20 000 W (dynamic" in ran.out
    assert "ended: import 17 000 W (firm)" in ran.err
    assert time.monotonic() - start_s > 3.8  # not at the 2 s without a heartbeat


def test_emergency_only_tightens(site):
    emergency = ("envelope", "push", "--emergency", "--duration-s", "60")
    try:
        ran = firmline(*emergency, "--import-w", "9000", "--export-w", "0", *site.rtu)
        assert ran.status == 0
        assert "-> 9 000 W (emergency" in ran.out and "-> 0 W (emergency" in ran.out
        ran = firmline(*emergency, "--import-w", "10000", "--export-w", "0", *site.rtu)
        assert ran.status == 1
        assert "can only be tightened" in ran.line()
    finally:
        site.stop()  # nothing else ends it early
        site.start()


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "no limit given: expected --import-w W"),
        (["--import-w", "5"], "--duration-s is missing: expected 1 to 3600"),
        (["--import-w", "-5"], "-5: expected a whole number from 0"),
        (["--import-w", "5", "--duration-s", "3601"], "3601: expected a whole number from 1"),
        (["--clear", "--emergency"], "ends by its duration only"),
        (["--clear", "--import-w", "5"], "--clear: expected alone"),
    ],
)
def test_limits_that_make_no_sense_are_one_line(arguments, said):
    ran = firmline("envelope", "push", *arguments, "--usb", "/dev/null/none")
    assert ran.status == 2
    assert said in ran.line()
